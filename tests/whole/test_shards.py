"""Shards that other programs start, in turn or side by side, come to what one run comes to."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from docs_kit import blocks_of
from eventabs.runs.run_state import inspect_run
from eventabs.store import merge
from house import checkpoint, environment, eventabs, start, wait_until, write_users
from openai_server import OpenAIServer, answer, answer_by_day, held

USERS, SHARDS = 40, 4
SCALE = Path("docs/scale.md")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the events of one run of all users."""
    folder = tmp_path_factory.mktemp("whole")
    with OpenAIServer() as server:
        write_inputs(folder, server)
        done = eventabs("run", "export.jsonl", "--out", "whole", cwd=folder)
    assert done.returncode == 0, done.stderr
    return (folder / "whole" / "events.jsonl").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, openai_server: OpenAIServer) -> Path:
    """Return a folder with the export, a config that names the server, and the script of the page."""
    write_inputs(tmp_path, openai_server)
    (script,) = [block.text for block in blocks_of(SCALE, "sh") if block.title == "shard.sh"]
    (tmp_path / "shard.sh").write_text(ours(script), "utf-8")
    return tmp_path


def write_inputs(folder: Path, server: OpenAIServer) -> None:
    write_users(folder / "export.jsonl", users=USERS)
    (folder / "eventabs.toml").write_text(
        f'[llm]\nmodel = "m"\nbase_url = "{server.base_url}"\n[budget]\nmax_users = 3\n', "utf-8"
    )


def ours(text: str) -> str:
    """Return commands of the page for our four shards, in the current folder."""
    return text.replace("16", str(SHARDS)).replace("15", str(SHARDS - 1)).replace("/data/", "")


def played(command: str, folder: Path, **variables: str) -> int:
    """Run a command with the `eventabs` of our interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment(folder, PATH=path, **variables),
        check=False,
        timeout=120,
    )
    return done.returncode


def shards(folder: Path) -> list[Path]:
    return [folder / f"export.{index}-of-{SHARDS}.eventabs" for index in range(SHARDS)]


def merged(folder: Path) -> bytes:
    merge(shards(folder), folder / "merged")
    return (folder / "merged" / "events.jsonl").read_bytes()


@pytest.mark.slow
def test_indexed_jobs_one_after_the_other_make_the_events_of_one_run(
    folder: Path, whole: bytes, openai_server: OpenAIServer
) -> None:
    for index in range(SHARDS):
        variable = ("JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID")[index % 2]
        assert played("sh shard.sh", folder, **{variable: str(index)}) == 0
    asked = len(openai_server.requests)
    assert played("sh shard.sh", folder, JOB_COMPLETION_INDEX="0") == 0  # as after a node that was lost
    assert len(openai_server.requests) == asked
    assert merged(folder) == whole
    assert checkpoint(folder / "merged")["total_users"] == USERS


@pytest.mark.slow
def test_processes_side_by_side_make_the_events_of_one_run(folder: Path, whole: bytes) -> None:
    (commands,) = [block.text for block in blocks_of(SCALE, "sh") if "xargs -P" in block.text]
    assert played(ours(commands), folder) == 0
    assert (folder / "merged" / "events.jsonl").read_bytes() == whole


@pytest.mark.slow
def test_a_shard_that_is_killed_is_merged_as_it_is_and_again_once_it_has_gone_on(
    folder: Path, whole: bytes, openai_server: OpenAIServer
) -> None:
    gate = threading.Event()
    openai_server.behavior = held(gate, answer(), free=2)

    def begin(index: int) -> subprocess.Popen[bytes]:
        return start("run", "export.jsonl", "--shard", f"{index}/{SHARDS}", "--concurrency", 1, cwd=folder)

    killed = begin(1)
    wait_until(lambda: len(openai_server.requests) > 2, seconds=120)
    running = [begin(0), begin(2), begin(3)]
    killed.send_signal(signal.SIGKILL)
    gate.set()
    for process in (killed, *running):
        process.communicate(timeout=120)
    assert [process.returncode for process in (killed, *running)] == [-signal.SIGKILL, 0, 0, 0]
    merged(folder)
    state = inspect_run(folder / "merged", now=time.time)
    assert [each.status for each in state.shards] == ["completed", "killed", "completed", "completed"]
    assert 0 < state.done < USERS
    refused = eventabs("resume", "merged", cwd=folder)
    assert refused.returncode == 2
    assert f"go on with: eventabs resume {shards(folder)[1].name}" in refused.stderr
    assert eventabs("resume", shards(folder)[1], cwd=folder).returncode == 0
    assert merged(folder) == whole
    assert inspect_run(folder / "merged", now=time.time).done == USERS


def test_a_job_does_not_fail_for_users_that_no_new_start_would_help(
    folder: Path, openai_server: OpenAIServer
) -> None:
    def without_the_first(message: str) -> str:
        return answer_by_day(message.replace("## U1 ", "## U99 ").replace("## U1\n", "## U99\n"))

    openai_server.behavior = answer(without_the_first)
    assert played("sh shard.sh", folder, SLURM_ARRAY_TASK_ID="1") == 0
    assert checkpoint(shards(folder)[1])["failed_count"] > 0
    assert played("sh shard.sh", folder, SLURM_ARRAY_TASK_ID="4") != 0


@pytest.mark.slow
def test_each_shard_may_have_a_server_of_its_own(
    folder: Path, whole: bytes, openai_server: OpenAIServer
) -> None:
    with OpenAIServer() as other:
        for index in range(SHARDS):
            server = (openai_server, other)[index % 2]
            named = ("--shard", f"{index}/{SHARDS}", "--base-url", server.base_url)
            assert eventabs("run", "export.jsonl", *named, cwd=folder).returncode == 0
        assert openai_server.requests
        assert other.requests
    assert merged(folder) == whole
    hosts = inspect_run(folder / "merged", now=time.time).endpoint.host
    assert set(hosts.split(", ")) == {f"127.0.0.1:{server.port}" for server in (openai_server, other)}
