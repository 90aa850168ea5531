"""The benchmark of the way from files to packed batches, at a size for tests."""

import csv
import json
from pathlib import Path

import pytest

import exports as bench

pytestmark = pytest.mark.slow


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "behaviors.csv"
    bench.generate(920, 0.3, path, tmp_path)
    return path


def test_rows_come_in_order_of_time_and_each_users_all_over_the_file(export: Path) -> None:
    with export.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert 800 <= len(rows) <= 1_050
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)
    assert len({row["user_id"] for row in rows[:40]}) > 5
    assert [path.name for path in export.parent.iterdir()] == [export.name]


@pytest.mark.parametrize("step", list(bench.STEPS))
def test_every_step_reads_all_rows(
    export: Path, tmp_path: Path, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main(["--step", step, "--input", str(export), "--work-dir", str(tmp_path)])
    measured = bench.Measured(*json.loads(capsys.readouterr().out))
    assert measured.rows == len(export.read_text("utf-8").splitlines()) - 1
    assert measured.seconds > 0
    assert measured.memory > 10
