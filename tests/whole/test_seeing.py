"""Looking at whole runs from other processes, while they go on, are killed and resumed."""

import json
import re
import signal
import threading
import urllib.request
from pathlib import Path
from typing import Any

from house import checkpoint, eventabs, ran, start, wait_until, write_users
from openai_server import OpenAIServer, answer, answer_by_day, held

USERS = 12


def status(cwd: Path) -> dict[str, Any]:
    done = ran("status", "out", "--json", cwd=cwd)
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_a_run_is_watched_while_it_is_killed_and_resumed(tmp_path: Path, openai_server: OpenAIServer) -> None:
    gate = threading.Event()
    openai_server.behavior = held(gate, answer(), free=2)
    write_users(tmp_path / "input.jsonl", users=USERS)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--max-users", 1)
    process = start("run", "input.jsonl", *flags, "--out", "out", "--progress-port", 0, cwd=tmp_path)
    assert process.stderr
    address = ""
    while not address:
        if found := re.search(rb"http://127.0.0.1:\d+/progress", process.stderr.readline()):
            address = found.group().decode()
    wait_until(lambda: len(openai_server.requests) > 3)
    with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310  http, to this machine
        served = json.load(response)
    assert (served["status"], served["total_users"]) == ("running", USERS)
    (tmp_path / "out" / "checkpoint.json").unlink()
    wait_until(lambda: status(tmp_path)["in_flight"] > 0)
    running = status(tmp_path)
    assert (running["status"], running["total_users"]) == ("running", USERS)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = status(tmp_path)
    assert (killed["status"], killed["in_flight"]) == ("killed", 0)
    assert killed["pending"] > 0
    gate.set()
    openai_server.behavior = answer()
    watched = start("status", "out", "--watch", cwd=tmp_path)
    assert eventabs("resume", "out", cwd=tmp_path).returncode == 0
    watched.communicate(timeout=20)
    assert watched.returncode == 0
    assert status(tmp_path)["success_count"] == USERS


def test_a_busy_port_leaves_nothing_behind(tmp_path: Path, openai_server: OpenAIServer) -> None:
    write_users(tmp_path / "input.jsonl", users=1)
    port = openai_server.base_url.split(":")[2].split("/")[0]
    done = eventabs("run", "input.jsonl", "--provider", "rules", "--progress-port", port, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not list(tmp_path.glob("*.eventabs"))


def test_tokens_grow_while_an_answer_comes_in_and_the_reported_ones_take_their_place(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    gate = threading.Event()
    openai_server.behavior = answer(pieces=20, gap=0.1, gate=gate)
    write_users(tmp_path / "input.jsonl", users=2)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--progress", "json", "--out", "out")
    process = start("run", "input.jsonl", *flags, cwd=tmp_path)
    wait_until(lambda: len(openai_server.requests) > 0)
    wait_until(lambda: status(tmp_path)["completion_tokens"] > 0)
    assert status(tmp_path)["processed_users"] == 0
    gate.set()
    _out, err = process.communicate(timeout=60)
    facts = [json.loads(line) for line in err.decode().splitlines() if line.startswith("{")]
    counts = [fact for fact in facts if fact["event"] == "progress"]
    coming = [fact["completion_tokens"] for fact in counts if not fact["batches_done"]]
    assert coming == sorted(coming)
    assert len(set(coming)) > 2
    used = checkpoint(tmp_path / "out")["usage"]["completion_tokens"]
    assert counts[-1]["completion_tokens"] == used == status(tmp_path)["completion_tokens"]
    assert used == len(answer_by_day(openai_server.requests[-1].user_message)) // 2
