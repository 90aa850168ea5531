from typing import Any

import pytest

from eventabs.errors_and_exit_codes import StorageError
from eventabs.runs.run_state import RunState
from eventabs.runs.schedule_and_settlement import Session
from eventabs.runs.start_resume_reparse import reparse
from eventabs.shared_records import InputWarning
from eventabs.store.ledger import pack_json, pack_log, pack_text
from house import lines
from report_kit import packed_data, rendered
from runs_jobs import RULES, Place, finish

TWO_A_BATCH = RULES | {"budget": {"max_users": 2}, "run": {"concurrency": 1}}


def run(place: Place, flags: dict[str, Any] = TWO_A_BATCH) -> RunState:
    with place.begin(flags) as job:
        return finish(job)


def read_again(place: Place, flags: dict[str, Any] | None = None) -> RunState:
    with place.reopen(flags, changed="ignore") as job:
        return reparse(job)


def spoil(place: Place, sql: str, *values: object) -> None:
    with place.reopen(changed="ignore") as job, job.ledger.transaction():
        job.ledger.rows(sql, *values)


def test_what_answers_held_is_counted_anew_by_what_is_read_in_them_now(place: Place) -> None:
    first = run(place)
    spoil(place, "UPDATE answers SET placed = 0, events = 9, reason = 'cut' WHERE place = 2")
    spoil(place, "UPDATE calls SET reply = ? WHERE id = 1", pack_text("I cannot do that"))
    again = read_again(place)
    ((before,), (after,)) = (each.answers["by_batch_users"] for each in (first, again))
    assert (before["asked"], before["usable"], after["asked"], after["usable"]) == (6, 6, 6, 4)
    assert after["placed"] == again.placed < before["placed"]
    assert again.user_days == 4 * 4, "two users are not done any more"


def test_everything_comes_from_the_replies_not_from_what_was_read_in_them_before(place: Place) -> None:
    run(place)
    before = place.events()
    spoil(place, "UPDATE outcomes SET result = ?, reason = 'unparsable'", pack_json([]))
    spoil(place, "UPDATE parts SET state = 'failed', reason = 'unparsable', events = 0")
    assert read_again(place).done == 6
    assert place.events() == before


def test_the_vocabulary_of_the_last_reading_is_that_of_the_report_and_the_checkpoint(place: Place) -> None:
    def goals() -> tuple[str, str]:
        data = packed_data(b"".join(rendered(place.out)[0]).decode())
        return data["index"]["goal"], place.checkpoint()["settings"]["vocabulary"]["categories"][0]["name"]

    run(place)
    own = [{"name": "demo", "mark": "+"}, {"name": "conversion", "mark": "!"}, {"name": "rest", "mark": ""}]
    flags = TWO_A_BATCH | {"vocabulary": {"categories": own}}
    read_again(place, flags)
    assert goals() == ("demo", "demo")
    with place.reopen() as job:
        assert job.settings.vocabulary.categories[0].name == "conversion", (
            "a run goes on under what it was asked under"
        )
    read_again(place)
    assert goals() == ("conversion", "conversion")
    read_again(place, flags)
    with place.reopen({"prompt": {"detail": "fine"}}, changed="accept") as job:
        finish(job)
    assert goals() == ("conversion", "conversion"), "accepted changes come after what was read"


def test_a_user_that_no_reply_is_usable_for_any_more_is_failed_and_can_be_asked_again(place: Place) -> None:
    run(place)
    before = place.events()
    spoil(place, "UPDATE calls SET reply = ? WHERE id = 1", pack_text("I cannot do that"))
    summary = read_again(place)
    assert (summary.done, summary.failed) == (4, 2)
    assert len({event["user_id"] for event in lines(place.out / "events.jsonl")}) == 4
    assert [sorted(failure["calls"]) for failure in lines(place.out / "failures.jsonl")] == [[1], [1]]
    with place.reopen() as job:
        with job.ledger.transaction():
            job.ledger.ask_failed_again()
        assert finish(job).done == 6
    assert place.events() == before


def test_rows_that_are_not_those_that_were_shown_keep_their_result_and_that_is_said(place: Place) -> None:
    first = run(place)
    before = place.events()
    spoil(place, "UPDATE calls SET reply = ?", pack_text("I cannot do that"))
    with place.reopen(changed="ignore") as job:
        for user_id in sorted(job.ledger.logged_users())[1:]:
            log = job.ledger.log(user_id)
            other = log._replace(behaviors=(log.behaviors[0]._replace(item="别处"), *log.behaviors[1:]))
            job.ledger.rows("UPDATE users SET log = ? WHERE user_id = ?", pack_log(other), user_id)
    again = read_again(place)
    assert (again.done, again.failures) == (5, {"refused": 1})
    (note,) = (each for each in place.watcher.of(InputWarning) if each.code == "kept_results")
    assert note.message.startswith("5 answers"), "nothing keeps its result in silence"
    kept = [line for line in before.splitlines() if b"user_0000" not in line]
    assert place.events().splitlines() == kept
    assert [row["usable"] for row in again.answers["by_batch_users"]] == [
        row["usable"] - 1 for row in first.answers["by_batch_users"]
    ]


def test_the_first_reply_that_is_usable_for_a_user_counts(place: Place) -> None:
    run(place)
    before = place.events()
    spoil(place, "UPDATE calls SET reply = ? WHERE id = 1", pack_text("I cannot do that"))
    read_again(place)
    with place.reopen() as job:
        with job.ledger.transaction():
            job.ledger.ask_failed_again()
        finish(job)
    assert read_again(place).done == 6
    assert place.events() == before


def test_a_reply_that_nobody_has_read_yet_is_read_too_and_a_stopped_run_stays_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_arguments: object) -> bool:
        raise StorageError("full")  # noqa: EM101  what it says does not matter

    with monkeypatch.context() as broken:
        broken.setattr(Session, "settle_reply", full)
        run(place)
    summary = read_again(place)
    assert (summary.status, summary.done, summary.pending) == ("stopped", 2, 4)
    with place.reopen() as job:
        assert finish(job).calls == 3


def test_a_run_that_was_killed_is_to_be_gone_on_with_not_running(place: Place) -> None:
    run(place)
    spoil(place, "UPDATE meta SET value = '\"running\"' WHERE key = 'status'")
    assert read_again(place).status == "interrupted"
    assert place.checkpoint()["status"] == "interrupted"


def test_a_run_that_never_read_its_input_has_nothing_to_read_again(place: Place) -> None:
    with place.begin():
        pass
    summary = read_again(place)
    assert (summary.status, summary.users, summary.events) == ("stopped", 0, 0)
