"""Killed runs: what is on disk is enough, nobody is lost and nobody is asked twice."""

import json
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house import asked_users, checkpoint, eventabs, lines, ran, start, wait_until, write_users
from openai_server import OpenAIServer, answer, read_blocks, slowly

USERS = 36


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_users(tmp_path / "input.jsonl", users=USERS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenAIServer]:
    with OpenAIServer(slowly(0.05, answer()), log=tmp_path / "server.jsonl") as running:
        yield running


def with_journeys(message: str) -> str:
    """Answer about one user. Of four days two rows are left out: the journey has one of them once their day is asked about alone."""
    (block,) = read_blocks(message).values()
    if sum(line.startswith("# ") for line in block) > 1:
        return "## U1\n> 购买 新车：看车 1,2 5?；到店! 7\n零碎 3 9\n浏览 4,6 8 10\n##"
    return "## U1\n> 购买 新车：看车 2\n浏览 1,3\n##"


def undisturbed(tmp_path: Path, server: OpenAIServer) -> list[bytes]:
    ran("run", "input.jsonl", *flags(server), "--out", "calm", cwd=tmp_path)
    (tmp_path / "server.jsonl").unlink()
    server.requests.clear()
    return results(tmp_path / "calm")


def results(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in ("events.jsonl", "journeys.jsonl")]


def flags(server: OpenAIServer) -> tuple[object, ...]:
    return ("--model", "m", "--base-url", server.base_url, "--max-users", 1)


def kill_after(process: "subprocess.Popen[bytes]", server: OpenAIServer, requests: int) -> None:
    wait_until(lambda: len(server.requests) >= requests or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_run_killed_twice_ends_byte_equal_and_asks_nobody_again_whose_answer_was_stored(
    tmp_path: Path, export: Path, server: OpenAIServer
) -> None:
    server.behavior = slowly(0.05, answer(with_journeys))
    calm = undisturbed(tmp_path, server)
    # once before the tenth batch, once in the middle
    kill_after(start("run", "input.jsonl", *flags(server), "--out", "wild", cwd=tmp_path), server, 6)
    assert checkpoint(tmp_path / "wild")["status"] == "running"
    stored = stored_users(tmp_path / "wild")
    before = len(received(tmp_path))
    kill_after(start("resume", "wild/checkpoint.json", cwd=tmp_path), server, 50)
    assert stored
    assert not stored & asked_from(tmp_path, before)
    stored = stored_users(tmp_path / "wild")
    before = len(received(tmp_path))
    ran("resume", "wild", cwd=tmp_path)
    assert not stored & asked_from(tmp_path, before)
    assert results(tmp_path / "wild") == calm
    journeys = lines(tmp_path / "wild" / "journeys.jsonl")
    assert [journey["behaviors"] for journey in journeys] == [[0, 1, 4, 6, 10]] * USERS, "of both answers"
    assert checkpoint(tmp_path / "wild")["success_count"] == USERS
    assert quality(tmp_path, "wild") == quality(tmp_path, "calm")
    # a kill loses at most the three calls in flight
    assert len(received(tmp_path)) <= 2 * USERS + 2 * 3


def quality(tmp_path: Path, out: str) -> list[Any]:
    """Return what checkpoint and status say of the events."""
    status = json.loads(eventabs("status", out, "--json", cwd=tmp_path).stdout)
    found = [checkpoint(tmp_path / out)["event_counts"], status["event_counts"], status["answers"]]
    assert found[0]["user_days"] == 4 * USERS
    assert found[2]["by_batch_users"][0]["asked"] == 2 * USERS
    return found


def received(tmp_path: Path) -> list[tuple[str, ...]]:
    log = [line for line in lines(tmp_path / "server.jsonl") if line["event"] == "received"]
    return asked_users(log)


def asked_from(tmp_path: Path, position: int) -> set[str]:
    return {json.dumps(block, ensure_ascii=False) for block in received(tmp_path)[position:]}


def stored_users(out: Path) -> set[str]:
    """Return the blocks whose answer stands in the ledger."""
    import sqlite3  # noqa: PLC0415, TID251  read as any other program would
    import zlib  # noqa: PLC0415

    database = sqlite3.connect(out / "ledger.sqlite")
    rows = database.execute("SELECT messages FROM calls WHERE status IN ('answered', 'read')").fetchall()
    database.close()
    messages = [json.loads(zlib.decompress(blob))[1]["content"] for (blob,) in rows]
    return {
        json.dumps(block, ensure_ascii=False) for text in messages for block in read_blocks(text).values()
    }


@pytest.mark.slow
def test_kills_at_random_moments_never_lose_or_double_a_user(
    tmp_path: Path, export: Path, server: OpenAIServer
) -> None:
    server.behavior = slowly(0.05, answer(with_journeys))
    calm = undisturbed(tmp_path, server)
    moments = random.Random(7)  # noqa: S311  a seeded choice of moments
    process = start("run", "input.jsonl", *flags(server), "--out", "wild", cwd=tmp_path)
    for _kill in range(4):
        seen = len(server.requests)
        kill_after(process, server, seen + moments.randint(1, 6))
        process = start("resume", "wild", cwd=tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert results(tmp_path / "wild") == calm
    assert len(received(tmp_path)) <= 2 * USERS + 4 * 3


@pytest.mark.slow
def test_a_run_killed_while_it_reads_its_input_can_be_looked_at_and_resumed(
    tmp_path: Path, server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=600)
    process = start(
        "run", "input.jsonl", *flags(server), "--provider", "rules", "--out", "wild", cwd=tmp_path
    )
    wait_until((tmp_path / "wild" / "ledger.sqlite").exists)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    looks = (
        "status",
        "show",
        "report",
        "export --rows",
        "review",
        "diff wild",
        "audit",
        "calibrate",
        "reparse",
    )
    looking = [start(look.split()[0], "wild", *look.split()[1:], cwd=tmp_path) for look in looks]
    said = {look: process.communicate()[1] for look, process in zip(looks, looking, strict=True)}
    assert not [look for look, errors in said.items() if b"Traceback" in errors]
    *codes, reparsed = [process.returncode for process in looking]
    assert codes == [0, 0, 0, 0, 2, 2, 2, 2], said
    assert reparsed in (1, 130)  # it was killed before or after it was noted that it runs
    ran("resume", "wild", cwd=tmp_path)
    assert checkpoint(tmp_path / "wild")["success_count"] == 600


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_run_waits_for_calls_in_flight_saves_and_prints_the_resume_command(
    tmp_path: Path, export: Path, server: OpenAIServer, number: signal.Signals
) -> None:
    process = start("run", "input.jsonl", *flags(server), cwd=tmp_path)
    wait_until(lambda: len(server.requests) >= 8)
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"eventabs resume input.eventabs" in err
    snapshot = checkpoint(tmp_path / "input.eventabs")
    assert snapshot["status"] == "interrupted"
    answered = [line for line in lines(tmp_path / "server.jsonl") if line["event"] == "answered"]
    assert snapshot["success_count"] == len(answered)
    assert len({e["user_id"] for e in lines(tmp_path / "input.eventabs" / "events.jsonl")}) == len(answered)


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once_and_is_still_safe(
    tmp_path: Path, export: Path, server: OpenAIServer
) -> None:
    server.behavior = slowly(60, answer())
    process = start("run", "input.jsonl", *flags(server), cwd=tmp_path)
    wait_until(lambda: len(server.requests) >= 3)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=8)
    assert process.returncode == 130
    server.behavior = answer()
    ran("resume", "input.eventabs", cwd=tmp_path)


@pytest.mark.slow
def test_a_checkpoint_that_is_missing_or_broken_is_made_again_from_the_ledger(
    tmp_path: Path, export: Path, server: OpenAIServer
) -> None:
    calm = undisturbed(tmp_path, server)
    kill_after(start("run", "input.jsonl", *flags(server), "--out", "wild", cwd=tmp_path), server, 15)
    (tmp_path / "wild" / "checkpoint.json").write_bytes(b'{"format": 1, "sta')
    with (tmp_path / "wild" / "events.jsonl").open("ab") as torn:
        torn.write(b'{"user_id": "user_00')
    ran("resume", "wild/checkpoint.json", cwd=tmp_path)
    assert results(tmp_path / "wild") == calm


@pytest.mark.slow
def test_an_interrupt_while_the_input_is_read_is_no_error(tmp_path: Path) -> None:
    write_users(tmp_path / "once.jsonl", users=200, behaviors=60)
    rows = (tmp_path / "once.jsonl").read_bytes()
    (tmp_path / "input.jsonl").write_bytes(rows * 10)  # long to read, and most of it duplicates
    process = start("run", "input.jsonl", "--provider", "rules", "--out", "out", cwd=tmp_path)
    wait_until((tmp_path / "out" / "tmp" / "reading.tmp").exists)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert b"eventabs resume out" in err
    assert eventabs("resume", "out", "-q", cwd=tmp_path).returncode == 0
