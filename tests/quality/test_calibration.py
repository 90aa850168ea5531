"""A calibration tries settings on a sample: announced, limited, resumable, and what it recommends is measured."""

import json
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventabs.quality.calibration import Arm, ArmReader
from eventabs.store import Ledger
from house import eventabs, start, wait_until, write_users
from known_mistakes import Mistakes, write_export
from openai_server import OpenAIServer, answer, slowly
from simulated_model import Options, Speed
from simulator import Simulator

AT_ONCE = Speed(first_token=0.0, prefill=0.0, decode=0.0)
ONLY_SIZES = ("--levels", "line", "--summaries", "short")
CONFIG = '# ours\n[llm]\nmodel = "m"\n\n[budget]\nmax_users = 20  # many\n'


def calibrated(folder: Path, *flags: object) -> dict[str, Any]:
    done = eventabs("calibrate", "input.jsonl", "--json", *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_users(tmp_path / "input.jsonl", users=24, behaviors=6)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[OpenAIServer]:
    with OpenAIServer(answer()) as running:
        (folder / "eventabs.toml").write_text(
            CONFIG.replace('"m"', f'"m"\nbase_url = "{running.base_url}"'), "utf-8"
        )
        yield running


def test_every_setting_is_a_run_of_the_same_users_and_the_cheapest_that_agrees_is_recommended(
    folder: Path, server: OpenAIServer
) -> None:
    found = calibrated(folder, "--users", 12, "--sizes", "1,4,12,99", "--yes")
    arms = {arm["name"]: arm for arm in found["arms"]}
    assert list(arms) == [  # 12 and 99 make the batches of the config's own 20
        "1-line-short",
        "1-line-short-again",
        "4-line-short",
        "20-line-short",
        "20-legend-short",
        "20-day-short",
        "20-line-none" if found["recommended"].startswith("20-line") else "20-legend-none",
    ]
    unread = arms.pop("20-day-short")  # the server cannot read that form, so no answer is usable
    assert (unread["status"], unread["done"], unread["within"]) == ("stopped", 0, False)
    assert {arm["done"] for arm in arms.values()} == {12}
    assert arms["1-line-short"]["calls"] == arms["1-line-short-again"]["calls"] == 12
    for arm in ("1-line-short", "4-line-short"):
        assert (arms[arm]["agreement"]["value"], arms[arm]["shortfall"], arms[arm]["within"]) == (
            1.0,
            0.0,
            True,
        )
        assert arms[arm]["coverage"] == arms[arm]["success"] == 1.0
    logs = []
    for arm in arms:
        with Ledger.watch(folder / "input.calibration" / arm / "ledger.sqlite") as ledger:
            logs.append({user: ledger.log(user) for user in sorted(ledger.logged_users())})
    assert all(log == logs[0] for log in logs)
    best = arms[found["recommended"]]
    fitting = [arm for arm in found["arms"] if arm["within"]]
    tokens = min(arm["prompt_tokens"] + arm["completion_tokens"] for arm in fitting)
    assert best["prompt_tokens"] + best["completion_tokens"] == tokens


def test_nothing_is_asked_before_it_is_confirmed_and_nothing_twice(
    folder: Path, server: OpenAIServer
) -> None:
    command = ("--users", 12, "--sizes", "1,3", *ONLY_SIZES, "--max-users", 12)
    refused = eventabs("calibrate", "input.jsonl", *command, cwd=folder)
    assert refused.returncode == 2
    assert "12 of 24 users" in refused.stderr
    assert not server.requests
    found = calibrated(folder, *command, "--max-total-tokens", 10_000_000)
    asked = len(server.requests)
    assert [arm["users_a_prompt"] for arm in found["arms"]] == [1, 1, 3, 12]
    assert asked == sum(arm["calls"] for arm in found["arms"])
    assert calibrated(folder, *command) == found
    assert len(server.requests) == asked
    other = eventabs("calibrate", "input.jsonl", *command, "--seed", 5, cwd=folder)
    assert other.returncode == 2
    assert "--out" in other.stderr


def test_one_limit_holds_for_all_runs_together(folder: Path, server: OpenAIServer) -> None:
    command = ("--users", 12, "--sizes", "1,3", *ONLY_SIZES)
    limit = 28_000
    stopped = eventabs(
        "calibrate", "input.jsonl", *command, "--json", "--max-total-tokens", limit, cwd=folder
    )
    assert stopped.returncode == 1
    found = json.loads(stopped.stdout)
    assert not found["complete"]
    assert found["recommended"] is None
    used = sum(arm["prompt_tokens"] + arm["completion_tokens"] for arm in found["arms"])
    assert 0 < used <= limit
    assert len(found["arms"]) > 1
    assert calibrated(folder, *command, "--yes")["complete"]


def test_a_killed_calibration_goes_on_with_the_same_command(folder: Path, server: OpenAIServer) -> None:
    server.behavior = slowly(0.1, answer())
    command = ("--users", 12, "--sizes", "1,3", *ONLY_SIZES, "--yes")
    killed = start("calibrate", "input.jsonl", *command, cwd=folder)
    wait_until(lambda: len(server.requests) >= 15)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    stopped = start("calibrate", "input.jsonl", *command, cwd=folder)
    wait_until(lambda: len(server.requests) >= 20)
    stopped.send_signal(signal.SIGINT)
    _out, told = stopped.communicate()
    assert stopped.returncode == 130
    assert "same command" in told.decode()
    (folder / "input.jsonl").unlink()  # it has been read
    server.behavior = answer()
    found = calibrated(folder, *command)
    assert found["complete"]
    assert len(server.requests) <= sum(arm["calls"] for arm in found["arms"])
    assert sum(arm["calls"] for arm in found["arms"]) <= 12 + 12 + 5 + 2 + 3


@pytest.mark.slow
def test_the_recommended_setting_is_shown_and_written_without_touching_the_rest(folder: Path) -> None:
    write_export(folder / "input.csv", users=60, days=8, seed=2)
    mistakes = Mistakes(swapped=0.01, shifted=0.01, merged=0.01, invented=0.01, bears=5, growth=1.0)
    with Simulator(Options(AT_ONCE, mistakes=mistakes, seed=2)) as simulator:
        config = CONFIG.replace('"m"', f'"m"\nbase_url = "{simulator.base_url}"')
        (folder / "eventabs.toml").write_text(config, "utf-8")
        done = eventabs(
            "calibrate",
            "input.csv",
            *("--users", 60, "--sizes", "1,4", *ONLY_SIZES, "--margin", 0.06, "--yes", "--write", "-q"),
            cwd=folder,
        )
    assert done.returncode == 0, done.stderr
    assert "Recommended: 4 users a prompt" in done.stdout
    assert "-max_users = 20  # many" in done.stderr
    assert "+max_users = 4  # many" in done.stderr
    assert (folder / "eventabs.toml").read_text("utf-8") == config.replace("= 20", "= 4")


def test_a_second_model_is_judged_against_the_first(folder: Path, server: OpenAIServer) -> None:
    (folder / "second.toml").write_text(
        f'[llm]\nmodel = "cheap"\nbase_url = "{server.base_url}"\nprice = {{input = 0.1, output = 0.2}}\n',
        "utf-8",
    )
    flags = ("--users", 12, "--sizes", "1", *ONLY_SIZES, "--second", "second.toml", "--yes")
    found = calibrated(folder, *flags)
    *_first, second = found["arms"]
    assert (second["model"], second["within"], second["agreement"]["value"]) == ("cheap", True, 1.0)
    assert second["cost"] == pytest.approx(
        (second["prompt_tokens"] * 0.1 + second["completion_tokens"] * 0.2) / 1_000_000
    )
    assert {request.body["model"] for request in server.requests} == {"m", "cheap"}
    assert found["recommended"] == "20-line-short"  # as many tokens, and the first has no price


def test_where_all_prices_are_known_the_cheaper_model_is_recommended_and_written(
    folder: Path, server: OpenAIServer
) -> None:
    config = folder / "eventabs.toml"
    config.write_text(
        config.read_text("utf-8").replace("\n\n", "\nprice = {input = 1, output = 2}  # a million\n\n"),
        "utf-8",
    )
    named = f'model = "cheap"\nbase_url = "{server.base_url}"\nprice = {{input = 0.1, output = 0.2}}\n'
    (folder / "second.toml").write_text(f"[llm]\n{named}", "utf-8")
    flags = ("--users", 12, "--sizes", "1", *ONLY_SIZES, "--second", "second.toml", "--yes", "--write")
    assert calibrated(folder, *flags)["recommended"] == "20-line-short-second"
    written = tomllib.loads(config.read_text("utf-8"))
    assert written["llm"] == tomllib.loads(named)
    assert "# ours" in config.read_text("utf-8")


def test_what_does_not_make_sense_is_refused(folder: Path, server: OpenAIServer) -> None:
    for flags in (("--sizes", "1,x"), ("--levels", "none"), ("--summaries", "long"), ("--users", "3")):
        refused = eventabs("calibrate", "input.jsonl", *flags, cwd=folder)
        assert refused.returncode == 2, flags
    assert not server.requests


def test_a_failed_user_counts_as_one_without_events(folder: Path, server: OpenAIServer) -> None:
    calibrated(folder, "--users", 12, "--sizes", "1,3", *ONLY_SIZES, "--yes")
    path = folder / "input.calibration"
    three = path / "3-line-short" / "ledger.sqlite"
    ledger = Ledger.open(three)
    with ledger.transaction():
        ledger.rows(
            "UPDATE parts SET state = 'failed', reason = 'cut' WHERE user_id = (SELECT min(user_id) FROM users)"
        )
    ledger.close()
    one = Arm(1, "line", "short")
    reader = ArmReader(path, one, margin=0.01, tail=0.05, seed=0)
    found = reader.read(one._replace(users=3))
    # 11 of 12 users agree, each with 2 events
    assert found.agreement.value == pytest.approx(2 * (2 * 22) / (2 * 22 + 2 * 24))
    assert not found.within
    assert tomllib.loads((folder / "eventabs.toml").read_text("utf-8"))["budget"]["max_users"] == 20
