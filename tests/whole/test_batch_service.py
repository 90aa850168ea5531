"""A batch service as people use it: Ctrl-C leaves the job, status shows it, cancel ends it."""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path

from batch_service import BatchServer, Fate
from house import environment, eventabs, ran, start, wait_until, write_users

KILLED_AT_THE_FIRST_JOB = """
import os, signal
from contextlib import contextmanager
from eventabs.store import Ledger
transaction = Ledger.transaction

@contextmanager
def killed(ledger):
    with transaction(ledger):
        yield
    if ledger.rows("SELECT 1 FROM jobs"):
        os.kill(os.getpid(), signal.SIGKILL)

Ledger.transaction = killed
from eventabs.__main__ import main
main()
"""


def test_ctrl_c_leaves_the_job_and_says_so_status_shows_it_and_cancel_keeps_what_it_did(
    tmp_path: Path,
) -> None:
    write_users(tmp_path / "input.jsonl", users=8, behaviors=4)
    with BatchServer((Fate(served=2, stays=math.inf),)) as server:
        (tmp_path / "eventabs.toml").write_text(
            f'[llm]\nmodel = "m"\nbase_url = "{server.base_url}"\n[budget]\nmax_users = 2\n'
            "[batch]\npoll_seconds = 0.05\nlive_calls = 0\n"
        )
        process = start("run", "input.jsonl", "--mode", "batch", "--out", "out", cwd=tmp_path)
        wait_until(lambda: "GET /batches/batch-0" in server.asked)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"jobs open at the batch service: 1" in err
        assert b"eventabs resume out" in err
        assert not server.jobs[0].cancelled
        (job,) = json.loads(eventabs("status", "out", "--json", cwd=tmp_path).stdout)["jobs"]
        assert (job["batch_id"], job["state"], job["requests"]) == ("batch-0", "submitted", 4)
        assert "Job 1 (batch-0)" in eventabs("status", "out", cwd=tmp_path).stdout
        cancelled = eventabs("resume", "out", "--cancel", "--json", cwd=tmp_path)
        assert cancelled.returncode == 1
        assert server.jobs[0].cancelled
        assert json.loads(cancelled.stdout)["success_count"] == 4
        assert server.asked.count("POST /batches") == 1


def test_a_run_killed_as_soon_as_the_ledger_has_a_job_uploads_no_empty_file(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=8, behaviors=4)
    with BatchServer() as server:
        flags = ("--model", "m", "--base-url", server.base_url, "--max-users", "2", "--mode", "batch")
        (tmp_path / "eventabs.toml").write_text("[batch]\npoll_seconds = 0.05\nlive_calls = 0\n")
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_AT_THE_FIRST_JOB, "run", "input.jsonl", "--out", "out", *flags],
            cwd=tmp_path,
            env=environment(tmp_path),
            check=False,
            capture_output=True,
        )
        assert (killed.returncode, server.files) == (-signal.SIGKILL, {})
        ran("resume", "out", cwd=tmp_path)
        assert all(server.files[job.file_id][1] for job in server.jobs)
        assert set(server.answered.values()) == {1}
