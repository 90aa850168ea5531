import os
from pathlib import Path
from typing import Any

import pytest

from eventabs.config.settings import overlay
from eventabs.errors_and_exit_codes import (
    ConfigError,
    InputError,
    RunDirectoryError,
    StorageError,
    UsageError,
)
from eventabs.runs.observer import Fact, InputGone, InputRead, Note, Planned, Progress, StateChanged
from eventabs.runs.run_state import RunState
from eventabs.runs.schedule_and_settlement import Session
from eventabs.shared_records import InputWarning
from eventabs.stop_request import Stop
from house import lines, write_users
from runs_jobs import RULES, Place, finish
from runs_kit import Watcher

TWO_A_BATCH = RULES | {"budget": {"max_users": 2}, "run": {"concurrency": 1}}


def run(place: Place, flags: dict[str, Any] = TWO_A_BATCH, **more: Any) -> RunState:  # noqa: ANN401
    with place.begin(flags, **more) as job:
        return finish(job, stop=place.stop)


def resume(place: Place, flags: dict[str, Any] | None = None, **more: Any) -> RunState:  # noqa: ANN401
    with place.reopen(flags, **more) as job:
        return finish(job)


def undisturbed(tmp_path: Path) -> bytes:
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    place = Place(folder)
    run(place)
    return place.events()


class Stopping(Watcher):
    """Requests a stop when something is reported, once."""

    def __init__(self, stop: Stop, at: type[Note | Progress]) -> None:
        super().__init__()
        self._stop, self._at = stop, at

    def noted(self, fact: Fact) -> None:
        super().noted(fact)
        is_counted = not isinstance(fact, Progress) or fact.done
        if is_counted and isinstance(fact, self._at) and not self._stop.requests:
            self._stop.request()


def test_the_rules_are_sent_nothing_so_no_tokens_are_counted_and_none_bind(place: Place) -> None:
    with place.begin(overlay(RULES, {"budget": {"max_input_tokens": 100}})) as job:
        assert finish(job).done == 6
        assert job.ledger.rows("SELECT sum(input_tokens), count(*) FROM parts") == [(0, 6)]


def test_what_happens_is_told_in_order(place: Place) -> None:
    run(place)
    (started,) = place.watcher.starts
    assert (started.provider, started.model, started.host, started.resumed) == ("rules", "", "", False)
    told = [note for note in place.watcher.notes if isinstance(note, InputRead | Planned | StateChanged)]
    assert told == [
        InputRead(1, 6, 72, 0, 0, compared=("user_id", "timestamp", "behavior_text")),
        Planned(batches=3, pending_users=6, users=6, users_per_batch=2.0),
        StateChanged("completed"),
    ]


@pytest.mark.parametrize("at", [InputRead, Planned])
def test_an_interrupted_run_is_saved_and_ends_as_if_it_had_never_been(place: Place, at: type[Note]) -> None:
    place.watcher = Stopping(place.stop, at)
    summary = run(place)
    assert summary.status == "interrupted"
    assert summary.pending > 0
    checkpoint = place.checkpoint()
    assert checkpoint["status"] == "interrupted"
    told = place.watcher.progress[-1]
    assert told.batches_total == 3
    assert told.batches_done < 3, "calls that were cut off are to be done again"
    assert (told.eta_seconds, told.in_flight) == (None, 0)
    assert checkpoint["batches"]["total"] == 3, "what is done, and the plan for the rest"
    assert len({event["user_id"] for event in lines(place.out / "events.jsonl")}) == summary.done
    place.watcher = Watcher()
    assert resume(place).status == "completed"
    assert place.watcher.starts[0].resumed
    assert place.events() == undisturbed(place.folder)


def test_a_reply_that_was_paid_for_but_not_read_is_read_and_not_bought_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_arguments: object) -> bool:
        raise StorageError("full")  # noqa: EM101  what it says does not matter

    with monkeypatch.context() as broken:
        broken.setattr(Session, "settle_reply", full)
        summary = run(place)
    assert (summary.status, summary.calls, summary.pending) == ("stopped", 1, 6)
    assert resume(place).calls == 3
    assert place.events() == undisturbed(place.folder)


def codes(place: Place) -> list[str]:
    return [note.code for note in place.watcher.of(InputWarning)]


def test_another_input_is_refused_as_long_as_it_is_not_all_read(place: Place) -> None:
    run(place, TWO_A_BATCH | {"run": {"limit": 2}})
    write_users(place.export, users=9)
    with pytest.raises(RunDirectoryError, match="--accept-changes"):
        resume(place)
    assert place.checkpoint()["status"] == "stopped", "nobody is running"
    assert resume(place, changed="accept").users == 9
    assert "earlier_rows" not in codes(place), "the rows of the first two are the same"


@pytest.mark.parametrize(("behaviors", "gone", "count"), [(15, "nobody", 2), (12, "user_0000", 1)])
def test_users_that_keep_the_rows_of_an_earlier_input_are_told_with_the_way_to_the_others(
    place: Place, behaviors: int, gone: str, count: int
) -> None:
    run(place, TWO_A_BATCH | {"run": {"limit": 2}})
    rows = write_users(place.export, users=6, behaviors=behaviors).read_text("utf-8").splitlines()
    place.export.write_text("\n".join(row for row in rows if gone not in row), "utf-8")
    summary = resume(place, changed="accept")
    (told,) = (note.message for note in place.watcher.of(InputWarning) if note.code == "earlier_rows")
    assert told.startswith(f"{count} user")
    assert told.endswith(f"eventabs extend {place.out} {place.export}")
    assert [each["message"] for each in summary.input["warnings"] if each["code"] == "earlier_rows"] == [told]


def test_users_that_keep_earlier_rows_are_told_of_at_each_later_reading(place: Place) -> None:
    run(place, TWO_A_BATCH | {"run": {"limit": 2}})
    write_users(place.export, users=6, behaviors=15)
    resume(place, {"run": {"limit": 4}}, changed="accept")
    assert [each["code"] for each in resume(place).input["warnings"]].count("earlier_rows") == 1


def test_a_changed_reading_is_refused_with_a_new_run_as_the_way(place: Place) -> None:
    run(place, TWO_A_BATCH | {"run": {"limit": 2}})
    changed = {"input": {"timezone": "Asia/Shanghai"}}
    with pytest.raises(
        RunDirectoryError,
        match=r"2 users were read under earlier settings.*timezone.*begin a new run with another --out; or",
    ):
        resume(place, changed)
    place.watcher.notes.clear()
    resume(place, changed, changed="accept")
    told = [note.message for note in place.watcher.notes if isinstance(note, InputWarning)]
    assert any("2 users were read under earlier settings and stay so" in each for each in told)


def test_an_input_that_is_read_is_never_needed_again(place: Place) -> None:
    place.watcher = Stopping(place.stop, Progress)
    run(place)
    place.export.unlink()
    place.watcher = Watcher()
    assert resume(place).done == 6
    assert InputGone((str(place.export),)) in place.watcher.notes


@pytest.fixture
def read_whole(place: Place) -> Place:
    """Leave a run that has read its input and done nothing more."""
    place.watcher = Stopping(place.stop, Progress)
    run(place)
    place.watcher = Watcher()
    return place


def test_an_input_that_changed_after_it_was_read_is_refused_until_that_is_accepted(read_whole: Place) -> None:
    write_users(read_whole.export, users=9)
    before = read_whole.checkpoint()
    for _again in range(2):
        with pytest.raises(RunDirectoryError, match=r"has changed since.*--accept-changes"):
            resume(read_whole)
    assert read_whole.checkpoint() == before
    assert resume(read_whole, changed="accept").users == 6, "what was read is what counts"
    assert resume(read_whole).status == "completed"


def test_a_limit_that_comes_after_all_users_were_read_is_refused(read_whole: Place) -> None:
    before = read_whole.checkpoint()
    with pytest.raises(UsageError, match="--max-total-tokens"):
        resume(read_whole, {"run": {"limit": 5}})
    assert read_whole.checkpoint() == before
    assert resume(read_whole, {"run": {"limit": 6}}).done == 6


def test_the_same_content_written_anew_is_no_change(read_whole: Place) -> None:
    content = read_whole.export.read_bytes()
    read_whole.export.unlink()
    read_whole.export.write_bytes(content)
    os.utime(read_whole.export, (0, 0))
    assert resume(read_whole).done == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'{"user_id": "u", "timestamp": "never", "behavior_text": "x"}\n', None),
        (b'{"timestamp": "2026-01-01 10:00:00", "behavior_text": "x"}\n', None),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", None),
    ],
)
def test_an_input_without_anything_to_ask_about_ends_in_one_line_or_in_failures(
    place: Place, content: bytes, said: str | None
) -> None:
    place.export.write_bytes(content)
    try:
        summary = run(place)
    except InputError as error:
        told = str(error)
        left = [file.name for file in place.out.iterdir()] if place.out.exists() else []
        assert set(left) <= {"rejects.jsonl", ".gitignore"}, "no run that could be resumed"
    else:
        told = ""
        assert (summary.status, summary.pending, summary.calls) == ("completed", 0, 0)
        assert summary.failures == {"no_readable_rows": summary.users}
    assert "\n" not in told
    assert said is None or said in told


def test_ends_that_were_joined_are_counted_wherever_rows_are(place: Place) -> None:
    clock = ("10:00:00", "10:05:00", "11:00:00", "never")
    for at, event in zip(clock, ("open", "close", "open", "close"), strict=True):
        with place.export.open("a") as file:
            file.write(
                f'{{"user_id": "u", "timestamp": "2026-01-01 {at}", "item": "x", "event": "{event}"}}\n'
            )
    summary = run(place)
    told = [summary.input[name] for name in ("behaviors", "paired_ends", "unpaired", "rejected_rows")]
    assert told == [74, 1, 1, 1]
    counted = place.checkpoint()["input"]
    assert (
        counted["rows"]
        == 76
        == sum(counted[part] for part in ("behaviors", "rejected_rows", "duplicates", "paired_ends"))
    )


def test_users_none_of_whose_rows_are_readable_are_failed_with_the_reason(place: Place) -> None:
    with place.export.open("a") as file:
        file.write('{"user_id": "lost", "timestamp": "never", "behavior_text": "x"}\n')
    summary = run(place)
    assert (summary.users, summary.done, summary.failed) == (7, 6, 1)
    assert summary.failures == {"no_readable_rows": 1}
    assert summary.input["rejected_rows"] == 1
    assert lines(place.out / "failures.jsonl") == [
        {"user_id": "lost", "reason": "no_readable_rows", "attempts": 0, "broken_calls": 0, "calls": []}
    ]
    (reject,) = lines(place.out / "rejects.jsonl")
    assert (reject["file"], reject["line"]) == (str(place.export), 73)


@pytest.mark.parametrize("good", [0, 1], ids=["nobody is readable", "too many rows are not"])
def test_the_rejected_rows_of_a_refused_run_can_be_read_and_the_next_run_takes_the_folder(
    place: Place, good: int
) -> None:
    whole = place.export.read_text("utf-8")
    bad = '{"user_id": "anna", "timestamp": "never", "behavior_text": "x"}\n' * 3
    place.export.write_text(whole.splitlines()[0] + "\n" + bad if good else bad, encoding="utf-8")
    with pytest.raises(InputError, match=f"rejected rows are in {place.out / 'rejects.jsonl'}"):
        run(place)
    assert [row["line"] for row in lines(place.out / "rejects.jsonl")] == [good + n for n in (1, 2, 3)]
    assert {file.name for file in place.out.iterdir()} == {"rejects.jsonl", ".gitignore"}
    place.export.write_text(whole, encoding="utf-8")
    assert run(place).done == 6
    assert lines(place.out / "rejects.jsonl") == []


def test_settings_that_cannot_work_change_nothing(place: Place) -> None:
    run(place, TWO_A_BATCH | {"run": {"limit": 2}})
    with pytest.raises(ConfigError, match="no model"):
        resume(place, {"llm": {"provider": "openai"}}, changed="accept")
    assert place.checkpoint()["status"] == "completed"
    assert resume(place).done == 6
