"""The trial of a batch service, with few users and kills."""

from pathlib import Path

import pytest

import batch_jobs
from house import write_users


@pytest.mark.slow
def test_a_run_killed_at_a_request_or_in_a_state_of_the_ledger_submits_and_pays_nothing_twice(
    tmp_path: Path,
) -> None:
    write_users(tmp_path / "input.jsonl", users=batch_jobs.USERS, behaviors=4)
    calm = batch_jobs.run_to_its_end(tmp_path / "calm", None)
    states = [point for point in batch_jobs.points(40, calm.point.request) if point.ledger]
    assert len(states) == 10
    requests = [point for point in batch_jobs.points(40, calm.point.request) if not point.ledger]
    assert len({point.request for point in requests}) > 20
    for index, point in enumerate([requests[5], states[5]]):
        killed = batch_jobs.run_to_its_end(tmp_path / f"kill-{index}", point)
        assert (killed.twice_submitted, killed.twice_answered) == (0, 0)
        assert (killed.was_killed, killed.done, killed.events) == (True, batch_jobs.USERS, calm.events)
