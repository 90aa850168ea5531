"""Whole runs on disks that are really full: small file systems in memory."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from house import checkpoint, eventabs, lines, write_users
from openai_server import OpenAIServer, answer, slowly

Disk = Callable[[int], Path]
USERS = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Give a disk of so many kilobytes; a second time, make it so large."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(kilobytes: int) -> Path:
        options = f"size={kilobytes}k" + (",remount" if place.is_mount() else "")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        return place

    if not shutil.which("mount"):
        pytest.skip("no mount command")
    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)


def answered(log: Path) -> Counter[str]:
    """Count the users that got a whole answer."""
    sent = [line for line in lines(log) if line["event"] == "answered"] if log.exists() else []
    return Counter(json.dumps(user) for line in sent for user in line["users"])


@pytest.mark.parametrize("spare", [100, 200, 300], ids=lambda spare: f"{spare} KB for the calls")
def test_what_was_answered_when_the_disk_was_full_is_never_bought_again(
    tmp_path: Path, disk: Disk, spare: int
) -> None:
    log = tmp_path / "server.jsonl"
    write_users(tmp_path / "input.jsonl", users=USERS, behaviors=60)
    with OpenAIServer(slowly(0.05, answer()), log=log) as server:
        flags = ("--model", "m", "--base-url", server.base_url, "--max-users", 2, "--concurrency", 6)
        place = disk(20_000)
        # the reading takes room that it gives back, so the disk becomes small only when calls are made
        begun = eventabs(
            "run", "input.jsonl", *flags, "--max-total-tokens", 9_000, "--out", "disk/run", cwd=tmp_path
        )
        assert begun.returncode == 1, begun.stderr
        taken = sum(file.stat().st_blocks for file in (place / "run").iterdir()) // 2
        reserved = 6 * 8_192 * 4 // 1_024
        disk(taken + reserved + spare)
        full = eventabs("resume", "disk/run", "--max-total-tokens", 0, cwd=tmp_path)
        assert full.returncode == 1, full.stderr
        assert "the disk of disk/run is full" in full.stderr
        assert "eventabs resume disk/run" in full.stderr
        assert "Traceback" not in full.stderr
        assert eventabs("status", "disk/run", cwd=tmp_path).stdout.startswith("Stopped: disk full")
        assert json.loads(eventabs("status", "disk/run", "--json", cwd=tmp_path).stdout)["disk_full"]
        disk(20_000)
        done = eventabs("resume", "disk/run", "--max-total-tokens", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert checkpoint(place / "run")["success_count"] == USERS
    assert set(answered(log).values()) == {1}
    assert not (place / "run" / "reserve").exists()


def test_a_disk_without_room_for_the_answers_of_the_calls_in_flight_makes_no_call(
    tmp_path: Path, disk: Disk, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    disk(90)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--out", "disk/run")
    done = eventabs("run", "input.jsonl", *flags, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "eventabs: the disk of disk/run is full; make room there and start again\n",
    )
    assert openai_server.requests == []
    disk(9_000)
    assert eventabs("run", "input.jsonl", *flags, cwd=tmp_path).returncode == 0
