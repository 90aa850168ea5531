"""Whole runs under hostile conditions: signals, full disks, damaged files, endpoints that are up to no good."""

import signal
from pathlib import Path

import pytest

from house import checkpoint, eventabs, start, wait_until, write_users
from openai_server import Behavior, OpenAIServer, answer, script, status


def model(server: OpenAIServer) -> tuple[object, ...]:
    return ("--model", "m", "--base-url", server.base_url, "--max-users", 1)


# waiting


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("behavior", "flags"),
    [
        (status(429, headers={"Retry-After": "600"}), ()),
        (status(503), ()),
        (answer(), ("--rpm", "1")),
    ],
    ids=["cooldown", "backoff", "pace"],
)
def test_a_run_that_only_waits_stops_at_once(
    tmp_path: Path,
    openai_server: OpenAIServer,
    behavior: Behavior,
    flags: tuple[str, ...],
    number: signal.Signals,
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


def test_a_wait_of_hours_stops_the_run_saved_and_says_when_to_resume(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = script(answer(), then=status(429, headers={"Retry-After": "7200"}))
    write_users(tmp_path / "input.jsonl", users=3)
    done = eventabs("run", "input.jsonl", *model(openai_server), "--concurrency", 1, cwd=tmp_path)
    assert done.returncode == 1
    assert "takes no requests before" in done.stderr
    assert "llm.longest_wait" in done.stderr
    assert checkpoint(tmp_path / "input.eventabs")["status"] == "stopped"
    openai_server.behavior = answer()
    assert eventabs("resume", "input.eventabs", cwd=tmp_path).returncode == 0
    assert len(openai_server.requests) == 4
