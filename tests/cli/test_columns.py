"""What the command line shows of what it understood."""

import json
import tomllib
from pathlib import Path

import pytest

from house import eventabs, ran

BAD = "member_id,device_id,event_type,time,item\n" + "".join(
    f",d{n % 3},track,1768471{n:03d},thing {n}\n" for n in range(200)
)


def toml_of(screen: str) -> str:
    return screen[screen.rindex("\n[input.columns]") + 1 :]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "export.csv").write_text(BAD, encoding="utf-8")
    return tmp_path


def test_columns_ends_with_toml_that_gives_the_same_columns(folder: Path) -> None:
    shown = ran("columns", "export.csv", cwd=folder)
    toml = toml_of(shown.stdout)
    assert tomllib.loads(toml)["input"]["columns"]["user"] == "device_id"
    (folder / "eventabs.toml").write_text(toml, encoding="utf-8")
    again = eventabs("columns", "export.csv", cwd=folder)
    assert toml_of(again.stdout) == toml


def test_columns_estimate_and_run_say_the_same_and_warnings_stop_nothing(folder: Path) -> None:
    told = json.loads(eventabs("columns", "export.csv", "--json", cwd=folder).stdout)
    assert {each["code"] for each in told["warnings"]} == {"gave_way", "one_action"}
    estimate = json.loads(eventabs("estimate", "export.csv", "--json", cwd=folder).stdout)
    run = eventabs("run", "export.csv", "--provider", "rules", "--json", cwd=folder)
    ended = json.loads(run.stdout)
    assert run.returncode == 0
    for other in (estimate, ended):
        assert other["columns"] == told["columns"]
        assert other["warnings"] == told["warnings"]
    log = (folder / "export.eventabs" / "run.log").read_text("utf-8")
    for each in told["warnings"]:
        assert each["message"] in run.stderr
        assert each["message"] in log
    assert "user = device_id" in run.stderr
    assert "becomes 2026-01-15" in run.stderr
