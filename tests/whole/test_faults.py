"""Whole runs under hostile conditions: signals, full disks, damaged files, endpoints that are up to no good."""

import asyncio
import gzip
import json
import os
import shlex
import signal
import sqlite3  # noqa: TID251  spoils what only store writes
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from house import checkpoint, environment, eventabs, ran, start, wait_until, write_users
from openai_server import Behavior, Exchange, OpenAIServer, answer, script, slowly, status


def model(server: OpenAIServer) -> tuple[object, ...]:
    return ("--model", "m", "--base-url", server.base_url, "--max-users", 1)


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")


HELD_EXPORT = """
import duckdb, time
duckdb.connect = lambda **_config: time.sleep(600)
from eventabs.__main__ import main
main()
"""


def in_shell(folder: Path, arguments: str, before: str = "true") -> subprocess.CompletedProcess[bytes]:
    """Run the tool with redirections, as a shell makes them; the exit code is that of the tool."""
    script = f"set -o pipefail; {before}; {shlex.quote(sys.executable)} -m eventabs {arguments}"
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment(folder), check=False, capture_output=True
    )


# memory


@pytest.mark.parametrize(
    "megabytes", [150, *(pytest.param(size, marks=pytest.mark.slow) for size in (60, 90, 220, 300, 500))]
)
@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_too_little_memory_is_one_line_and_leaves_no_scratch_file(
    tmp_path: Path, megabytes: int, form: str
) -> None:
    write_users(tmp_path / "input.jsonl", users=20)
    assert eventabs("run", "input.jsonl", "--provider", "rules", "--out", "out", cwd=tmp_path).returncode == 0
    (tmp_path / "there").mkdir()
    limit = f"ulimit -v {1024 * megabytes}"
    done = in_shell(tmp_path, f"export out --output there/events.{form}", limit)
    said = done.stderr.decode()
    assert "Traceback" not in said
    gave_up = done.returncode == 127  # glibc, which says so for each thread
    assert gave_up or said.count("\n") <= (done.returncode != 0)
    left = {path.name for path in (tmp_path / "there").iterdir() if not gave_up}
    whole = {"events.csv", "events.journeys.csv"} if form == "csv" else {"events.sqlite"}
    assert left == (whole if done.returncode == 0 else set())
    assert done.returncode == 0 or "emory" in said


def test_an_export_removes_what_a_killed_one_left_and_nothing_of_one_that_works(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=20)
    assert eventabs("run", "input.jsonl", "--provider", "rules", "--out", "out", cwd=tmp_path).returncode == 0
    killed = subprocess.Popen(
        [sys.executable, "-c", HELD_EXPORT, "export", "out"], cwd=tmp_path, env=environment(tmp_path)
    )
    wait_until(lambda: [*(tmp_path / "out").glob(".eventabs-*/events.jsonl")] != [])
    for left in (1, 0):
        assert eventabs("export", "out", cwd=tmp_path).returncode == 0
        assert len([*(tmp_path / "out").glob(".eventabs-*")]) == left
        killed.kill()
        killed.wait()


# waiting


@pytest.mark.parametrize(
    ("number", "behavior", "flags"),
    [
        (signal.SIGINT, status(429, headers={"Retry-After": "600"}), ()),
        pytest.param(signal.SIGTERM, status(503), (), marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, answer(), ("--rpm", "1"), marks=pytest.mark.slow),
    ],
    ids=["cooldown", "backoff", "pace"],
)
def test_a_run_that_only_waits_stops_at_once(
    tmp_path: Path,
    openai_server: OpenAIServer,
    number: signal.Signals,
    behavior: Behavior,
    flags: tuple[str, ...],
) -> None:
    openai_server.behavior = behavior
    write_users(tmp_path / "input.jsonl", users=5)
    process = start("run", "input.jsonl", *model(openai_server), *flags, cwd=tmp_path)
    wait_until(lambda: len(openai_server.requests) >= (1 if flags else 3) and not openai_server.in_flight)
    process.send_signal(number)
    _out, err = process.communicate(timeout=8)  # calls on the wire would have ten seconds
    assert process.returncode == 130, err
    assert b"eventabs resume input.eventabs" in err
    sent = len(openai_server.requests)
    openai_server.behavior = answer()
    assert eventabs("resume", "input.eventabs", "--rpm", 0, cwd=tmp_path).returncode == 0
    assert checkpoint(tmp_path / "input.eventabs")["success_count"] == 5
    assert len(openai_server.requests) <= sent + 5


# signals


@pytest.mark.parametrize(
    ("slow", "command", "number"),
    [
        ("rich", "--help", signal.SIGINT),
        ("duckdb", "run", signal.SIGTERM),
        ("pydantic", "report", signal.SIGINT),
    ],
)
def test_an_interrupt_while_the_tool_is_loaded_says_nothing_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, slow: str, command: str
) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    # short sleeps: a signal that comes just before one would not cut it short
    (folder / f"{slow}.py").write_text(
        "import time\nopen('loading', 'w')\nfor _each in range(600):\n    time.sleep(0.1)\n"
    )
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = start(command, "input.jsonl", cwd=tmp_path, PYTHONPATH=os.pathsep.join(paths))
    wait_until((tmp_path / "loading").exists)
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    assert {path.name for path in tmp_path.iterdir()} == {"slow", "loading"}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_however_often_it_is_interrupted_a_run_saves_and_prints_the_resume_command(
    tmp_path: Path, openai_server: OpenAIServer, number: signal.Signals
) -> None:
    openai_server.behavior = slowly(60, answer())
    write_users(tmp_path / "input.jsonl", users=5)
    process = start("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    wait_until(lambda: len(openai_server.requests) >= 3)
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.005)
    _out, err = process.communicate()
    assert process.returncode == 130, err
    assert b"eventabs resume input.eventabs" in err
    assert b"Traceback" not in err
    assert checkpoint(tmp_path / "input.eventabs")["status"] == "interrupted"


# output that nobody takes


@needs_full
def test_messages_that_a_full_disk_refuses_do_not_end_a_run(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    done = in_shell(tmp_path, "run input.jsonl --provider rules 2> /dev/full")
    assert done.returncode == 0
    assert checkpoint(tmp_path / "input.eventabs")["status"] == "completed"
    assert "Completed" in (tmp_path / "input.eventabs" / "run.log").read_text("utf-8")
    gone = in_shell(tmp_path, "--help | true")
    assert (gone.returncode, gone.stderr) == (0, b"")


# files of the run directory


@pytest.mark.parametrize("name", ["run.log", "checkpoint.json"])
def test_a_folder_in_the_place_of_a_file_is_one_line_and_the_run_goes_on_without_it(
    tmp_path: Path, name: str
) -> None:
    write_users(tmp_path / "input.jsonl", users=2)
    assert eventabs("run", "input.jsonl", "--limit", 1, "--out", "out", "-q", cwd=tmp_path).returncode == 0
    (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / name).mkdir()
    done = eventabs("resume", "out", "-q", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"eventabs: out/{name} cannot be written (Is a directory)")
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "out" / name).rmdir()
    assert eventabs("resume", "out", "-q", cwd=tmp_path).returncode == 0
    assert checkpoint(tmp_path / "out")["success_count"] == 2


@pytest.mark.slow
def test_without_a_run_directory_a_full_disk_is_no_reason_to_resume(tmp_path: Path) -> None:
    rows = write_users(tmp_path / "input.jsonl", users=20, behaviors=40)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(rows.read_bytes()))
    for command in ("estimate - < input.jsonl", "estimate packed.jsonl.gz", "run - --out out < input.jsonl"):
        # what measures coverage would write files too, and fail over them
        done = in_shell(tmp_path, command, before="unset COVERAGE_PROCESS_CONFIG; ulimit -f 20")
        said = done.stderr.decode().splitlines()[-1]
        assert said.startswith("eventabs: ")
        assert said.endswith("start again"), said
        assert "resume" not in said


# endpoints that are up to no good


def test_a_loop_of_restarts_buys_one_call_each_time_and_goes_on_once_the_endpoint_is_well(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = status(500)
    write_users(tmp_path / "input.jsonl", users=30)
    flags = (*model(openai_server), "--concurrency", 1)
    done = eventabs("run", "input.jsonl", *flags, cwd=tmp_path, EVENTABS_RUN__CALL_TRIES="1")
    assert (done.returncode, len(openai_server.requests)) == (1, 10), done.stderr
    for restarts in (1, 2):
        done = eventabs("resume", "input.eventabs", cwd=tmp_path, EVENTABS_RUN__CALL_TRIES="1")
        assert (done.returncode, len(openai_server.requests)) == (1, 10 + restarts), done.stderr
        assert "without a usable answer" in done.stderr
    openai_server.behavior = answer()
    done = ran("resume", "input.eventabs", cwd=tmp_path)
    assert checkpoint(tmp_path / "input.eventabs")["success_count"] == 30


def test_without_a_connection_status_shows_the_plan_that_the_run_announced(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=20, behaviors=100)  # a first batch that probes makes one more
    flags = ("--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    done = eventabs("run", "input.jsonl", *flags, cwd=tmp_path)
    assert done.returncode == 1
    shown = json.loads(eventabs("status", "input.eventabs", "--json", cwd=tmp_path).stdout)
    assert f"Split into {shown['total_batches']} batches" in done.stderr
    assert checkpoint(tmp_path / "input.eventabs")["batches"]["total"] == shown["total_batches"]


# damaged files


def test_a_damaged_log_stops_the_run_in_one_line(tmp_path: Path, openai_server: OpenAIServer) -> None:
    openai_server.behavior = status(401)
    write_users(tmp_path / "input.jsonl", users=12)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--max-users", 4)
    assert eventabs("run", "input.jsonl", *flags, cwd=tmp_path).returncode == 1
    run = tmp_path / "input.eventabs"
    with closing(sqlite3.connect(run / "ledger.sqlite")) as ledger, ledger:
        (damaged,) = ledger.execute("SELECT user_id FROM users LIMIT 1 OFFSET 5").fetchone()
        ledger.execute("UPDATE users SET log = x'00' WHERE user_id = ?", (damaged,))
    openai_server.behavior = answer()
    done = eventabs("resume", "input.eventabs", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert ".recover" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# an endpoint that is there, and busy or away


def one_slot(then: Behavior) -> Behavior:
    """Answer one call at a time; the others wait without a byte."""
    slot = asyncio.Lock()

    async def behave(exchange: Exchange) -> None:
        async with slot:
            await then(exchange)

    return behave


@pytest.mark.slow
def test_a_server_that_queues_gets_fewer_calls_and_the_message_says_how_many_to_ask_for(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = one_slot(answer(pieces=6, gap=0.1))
    write_users(tmp_path / "input.jsonl", users=16)
    (tmp_path / "eventabs.toml").write_text("[llm]\nidle_timeout = 0.4\n")
    flags = ("--max-users", 1, "--concurrency", 8, "--verbose", "--json")
    done = ran(
        "run", "input.jsonl", "--model", "m", "--base-url", openai_server.base_url, *flags, cwd=tmp_path
    )
    assert "lower run.concurrency" in done.stderr
    assert "timeout ×" in done.stderr
    assert "connection ×" not in done.stderr
    with closing(sqlite3.connect(tmp_path / "input.eventabs" / "ledger.sqlite")) as ledger:
        widths = [width for (width,) in ledger.execute("SELECT in_flight_limit FROM calls ORDER BY id")]
    assert widths[0] == 8
    assert min(widths) < 3


@pytest.mark.parametrize(
    ("before", "calls", "flags"),
    [((answer(),), 1, ()), pytest.param((), 6, ("--wait",), marks=pytest.mark.slow)],
    ids=["that answered before", "with --wait"],
)
def test_a_server_that_loads_its_model_is_waited_for(
    tmp_path: Path,
    openai_server: OpenAIServer,
    before: tuple[Behavior, ...],
    calls: int,
    flags: tuple[str, ...],
) -> None:
    loading = status(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
    refused = 2 * calls
    late = slowly(0.2, loading)  # once the answer before has been read
    openai_server.behavior = script(*before, *[late] * refused, then=answer())
    write_users(tmp_path / "input.jsonl", users=6)
    (tmp_path / "eventabs.toml").write_text(f"[run]\ncall_tries = 1\nconcurrency = {calls}\n")
    done = ran("run", "input.jsonl", *model(openai_server), *flags, "--json", cwd=tmp_path)
    assert "Loading model" in done.stderr
    assert done.stderr.count("; again in 2") == 1
    result = json.loads(done.stdout)
    assert (result["success_count"], result["calls"], result["retries"]) == (6, 6, refused)


# two at once
