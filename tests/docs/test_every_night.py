"""docs/extend.md: the script of every night is played night after night, and what starts it is checked as far as it can be here."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from docs_kit import blocks_of
from house import environment, ran, start, wait_until
from paths import ROOT
from simulated_model import Options, Speed
from simulator import Simulator

PAGE = Path("docs/extend.md")
SAMPLES = {block.title: block.text for block in blocks_of(PAGE, "sample")}
RUN = "shop.eventabs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the script, our command on its path, and an export for each day of the example."""
    for name, text in (
        ("nightly.sh", SAMPLES["nightly.sh"]),
        ("bin/eventabs", f'#!/bin/sh\nexec {sys.executable} -m eventabs "$@"\n'),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(0o755)
    lines = (ROOT / "examples" / "behaviors.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "exports").mkdir()
    for day, rows in groupby(sorted(lines, key=day_of), day_of):
        (tmp_path / "exports" / f"{day}.jsonl").write_text("".join(rows), "utf-8")
    return tmp_path


def day_of(line: str) -> str:
    return str(json.loads(line)["timestamp"])[:10]


def nights(folder: Path) -> list[str]:
    return sorted(f"exports/{path.name}" for path in (folder / "exports").iterdir())


def nightly(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["./nightly.sh", *arguments],
        cwd=folder,
        env=environment(folder, PATH=path, OPENAI_API_KEY="sk-test"),
        check=False,
        capture_output=True,
        text=True,
    )


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "nightly.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def working(folder: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a run of the first night's export that waits so many seconds for its model, which eventabs.toml names."""
    with Simulator(Options(Speed(first_token=request.param, prefill=0.0, decode=0.0))) as simulator:
        llm = f'[llm]\nmodel = "m"\nbase_url = "{simulator.base_url}"\n'
        (folder / "eventabs.toml").write_text(llm, "utf-8")
        process = start("run", nights(folder)[0], "--out", RUN, cwd=folder, OPENAI_API_KEY="sk-test")
        wait_until((folder / RUN / "checkpoint.json").exists)
        yield process
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, if it still runs."""
    process.kill()
    process.wait()
    if process.stderr:
        process.stderr.close()


def begun(folder: Path, *exports: str) -> None:
    ran("run", *exports, "--provider", "rules", "--out", RUN, cwd=folder)


@pytest.mark.slow
def test_night_after_night_the_script_takes_in_a_file_and_leaves_a_line(folder: Path) -> None:
    *before, last_but_one, last = nights(folder)
    begun(folder, *before)
    for export in (last_but_one, last, last):
        done = nightly(folder, export)
        assert done.returncode == 0, done.stderr
    assert [night["status"] for night in told(folder)] == ["completed"] * 3
    news = [night["extension"]["new_behaviors"] for night in told(folder)]
    assert news[0] > 0
    assert news[1] > 0
    assert news[2] == 0, "the same file holds nothing new"


def test_without_an_export_the_script_means_yesterday_s_and_says_that_it_is_missing(folder: Path) -> None:
    begun(folder, nights(folder)[0])
    done = nightly(folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert re.search(r"exports/\d{4}-\d\d-\d\d\.jsonl does not exist", line)
    assert told(folder) == []


@pytest.mark.slow
@pytest.mark.usefixtures("working")
@pytest.mark.parametrize("working", [60.0], indirect=True)
def test_a_second_start_while_one_works_leaves_with_a_clear_word(folder: Path) -> None:
    done = nightly(folder, nights(folder)[1])
    assert done.returncode == 2
    assert f"{RUN} is in use by another eventabs; wait for it or stop it first" in done.stderr
    assert told(folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("working", [3.0], indirect=True)
def test_what_a_killed_night_left_is_done_before_the_next(
    folder: Path, working: subprocess.Popen[bytes]
) -> None:
    end(working)
    done = nightly(folder, nights(folder)[1])
    assert done.returncode == 0, done.stderr
    resumed, extended = told(folder)
    assert resumed["status"] == extended["status"] == "completed"
    assert extended["extension"]["new_behaviors"] > 0
    assert extended["behaviors"] > resumed["behaviors"]


def test_the_line_of_cron_has_five_times_and_no_percent_sign() -> None:
    *variables, line = SAMPLES["crontab"].splitlines()
    assert all(re.fullmatch(r"[A-Z]+=\S+", variable) for variable in variables)
    minute, hour, *others, command = line.split(maxsplit=5)
    assert int(minute) in range(60)
    assert int(hour) in range(24)
    assert others == ["*", "*", "*"]
    assert "%" not in command
    checked = subprocess.run(["sh", "-n", "-c", command], check=False, capture_output=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_units_are_such_that_systemd_takes_them(folder: Path) -> None:
    units = [name for name in SAMPLES if name.startswith("eventabs-nightly.")]
    assert len(units) == 2
    for name in units:
        (folder / name).write_text(SAMPLES[name].replace("/srv/eventabs", str(folder)), "utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(folder / name for name in units)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_task_of_airflow_is_python() -> None:
    compile(SAMPLES["shop_events.py"], "shop_events.py", "exec")  # Airflow itself is not installed
