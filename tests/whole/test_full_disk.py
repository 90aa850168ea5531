"""Whole runs on disks that are really full: small file systems in memory."""

import gzip
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


@pytest.mark.parametrize(
    "spare", [160, *(pytest.param(spare, marks=pytest.mark.slow) for spare in (60, 300))]
)
def test_a_full_disk_stops_the_run_and_once_there_is_room_it_goes_on_with_all_that_was_committed(
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
        disk(taken + spare)
        full = eventabs("resume", "disk/run", "--max-total-tokens", 0, cwd=tmp_path)
        assert full.returncode == 1, full.stderr
        assert "the disk of disk/run is full" in full.stderr
        assert "eventabs resume disk/run" in full.stderr
        assert "Traceback" not in full.stderr
        looked_at = json.loads(eventabs("status", "disk/run", "--json", cwd=tmp_path).stdout)
        assert looked_at["status"] in {"stopped", "killed"}
        disk(20_000)
        done = eventabs("resume", "disk/run", "--max-total-tokens", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert checkpoint(place / "run")["success_count"] == USERS
    again = [user for user, times in answered(log).items() if times > 1]
    assert len(again) <= 6 * 2, "no more than the calls in flight"


def test_a_disk_without_room_for_the_input_makes_no_call(
    tmp_path: Path, disk: Disk, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    disk(90)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--out", "disk/run")
    done = eventabs("run", "input.jsonl", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("eventabs: the disk of disk/run is full; make room there")
    assert openai_server.requests == []


def test_a_disk_without_room_for_what_is_unpacked_stops_the_run_and_it_goes_on_once_there_is_room(
    tmp_path: Path, disk: Disk
) -> None:
    path = write_users(tmp_path / "input.jsonl", users=300, behaviors=60)
    (tmp_path / "input.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    place = disk(1_000)
    full = eventabs("run", "input.jsonl.gz", "--provider", "rules", "--out", "disk/run", cwd=tmp_path)
    assert full.returncode == 1
    assert (
        "the disk of disk/run is full; make room there, then run: eventabs resume disk/run\n" in full.stderr
    )
    assert full.stderr.splitlines()[-1] == "Go on with: eventabs resume disk/run"
    disk(60_000)
    done = eventabs("resume", "disk/run", cwd=tmp_path)
    assert (done.returncode, checkpoint(place / "run")["success_count"]) == (0, 300)
