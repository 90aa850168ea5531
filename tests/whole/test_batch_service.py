"""A batch service as people use it: Ctrl-C leaves the job, status shows it, cancel ends it."""

import json
import math
import signal
from pathlib import Path

from batch_service import BatchServer, Fate
from house import eventabs, start, wait_until, write_users


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
        assert b"1 job goes on at the batch service" in err
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
