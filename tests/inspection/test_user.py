from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import UsageError
from eventabs.inspection import calls_of, view_user
from eventabs.shared_records import Behavior, Event, Journey, Part, UserLog
from eventabs.store.counts_users_jobs_extensions import UserRow, user_rows, user_states, users_by_reason
from eventabs.store.ledger import Ledger, PartChange
from runs_kit import (
    SIZE,
    answer,
    bad,
    event_of,
    make_log,
    new_ledger,
    opened,
    plan,
    well,
    whole,
)

FACTS = {"settings": {"compaction": {"strip": []}}, "prompt_language": "zh"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path, map(make_log, ("a", "b", "c")), **FACTS)


def _answered(ledger: Ledger, user: str, *events: Event, **more: Any) -> None:  # noqa: ANN401  fields of the outcome
    with ledger.transaction():
        call_id = opened(ledger, make_log(user), make_log("c"), at=5.0)
        ledger.store_reply(call_id, answer("## U1\n[x]"))
        outcome = replace(well(plan(user).part, *events), **more)
        ledger.settle(
            call_id,
            [outcome, bad(plan("c").part)],
            [PartChange(outcome.part, "done", accepted=outcome)],
        )


def _answered_alone(ledger: Ledger, user: str) -> None:
    number = opened(ledger, make_log(user), at=5.0)
    ledger.store_reply(number, answer())
    outcome = well(plan(user).part)
    ledger.settle(number, [outcome], [PartChange(outcome.part, "done", accepted=outcome)])


def test_lines_know_their_event_or_why_they_have_none(ledger: Ledger) -> None:
    event = event_of(Part("a", 0, 0))._replace(journey="a/j0")
    journey = Journey(
        id="a/j0", user_id="a", kind="购买", name="帐篷", start=event.start, end=event.end, days=1, minutes=30,
        converted=False, types=("用餐",), events=(event.id,), behaviors=(0,),
    )  # fmt: skip
    _answered(ledger, "a", event, journeys=(journey,), minor=(1,), unplaced=(2,))
    view = view_user(ledger, "a", Path("run"))
    assert view.lines[0].text == "09:15 餐厅0 30m"
    assert [(line.state, line.event, line.begins) for line in view.lines] == [
        ("placed", 0, True),
        ("minor", None, False),
        ("unplaced", None, False),
    ]
    assert [line.day for line in view.lines] == ["2026-01-01"] * 3
    assert view.journeys["a/j0"]["name"] == "帐篷"
    assert view.events[0]["journey"] == "a/j0"
    assert view.profile == (("city", "上海"),)


def test_a_day_begins_at_five(tmp_path: Path) -> None:
    first = datetime(2026, 1, 1, 23, 30)  # noqa: DTZ001  exports hold wall times
    starts = (first, first + timedelta(hours=5, minutes=29), first + timedelta(hours=5, minutes=30))
    log = UserLog("n", tuple(Behavior(start, "visit", "酒吧") for start in starts))
    ledger = Ledger.create(tmp_path / "nights.sqlite", FACTS)
    ledger.add_users([(log, [(whole(log), SIZE)])])
    assert [line.day for line in view_user(ledger, "n", tmp_path).lines] == ["2026-01-01"] * 2 + [
        "2026-01-02"
    ]


def test_a_user_that_was_not_answered_has_lines_and_no_events(ledger: Ledger) -> None:
    view = view_user(ledger, "b", Path("run"))
    assert (view.row, view.events, view.journeys) == (UserRow("b", "pending", 3, 0, None, 0), [], {})
    assert [line.state for line in view.lines] == [""] * 3


def test_an_unknown_user_is_a_usage_error(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match=r"no user nobody; .*eventabs show 'a run'"):
        view_user(ledger, "nobody", Path("a run"))


def test_stored_calls_are_those_the_user_was_part_of(ledger: Ledger) -> None:
    _answered(ledger, "a", event_of(Part("a", 0, 2)))
    _answered(ledger, "b", event_of(Part("b", 0, 2)))
    assert [call.id for call in calls_of(ledger, "c")] == [1, 2]
    (call,) = calls_of(ledger, "b")
    assert (call.asked, call.reply, call.status) == ({"U1": Part("b", 0, 2)}, "## U1\n[x]", "read")
    assert call.messages[0]["content"] == "extract"


def test_calls_that_brought_no_answer_are_stored_calls_too(ledger: Ledger) -> None:
    with ledger.transaction():
        for _call in range(3):
            number = opened(ledger, make_log("b"), at=5.0)
        ledger.fail_call(number, "HTTP 503", [])
        ledger.store_reply(number - 1, answer())
    assert [call.status for call in calls_of(ledger, "b")] == ["sent", "answered", "failed"]
    assert list(calls_of(ledger, "a")) == []


def _steps(ledger: Ledger, look: Callable[[], object]) -> int:
    """Count the steps of SQLite's machine, in hundreds."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    ledger._db.set_progress_handler(count, 100)
    look()
    ledger._db.set_progress_handler(None, 0)
    return steps


def test_looking_at_a_user_or_a_page_does_not_go_through_all_others(ledger: Ledger) -> None:
    looks: list[Callable[[], object]] = [
        lambda: view_user(ledger, "a", Path("run")),
        lambda: list(calls_of(ledger, "a")),
        lambda: user_rows(ledger, most=2),
        lambda: user_rows(ledger, "done", most=2),
        lambda: users_by_reason(ledger, "failed_users"),
        lambda: user_states(ledger),
    ]
    _answered(ledger, "a", event_of(Part("a", 0, 2)))
    _answered(ledger, "b", event_of(Part("b", 0, 2)))
    among_few = [_steps(ledger, look) for look in looks]
    more = [f"d{number}" for number in range(600)]
    with ledger.transaction():
        ledger.add_users((make_log(user), [(whole(make_log(user)), SIZE)]) for user in more)
        for user in more:
            _answered_alone(ledger, user)
    assert [_steps(ledger, look) for look in looks] == pytest.approx(among_few, abs=3)


def test_users_are_listed_by_state_and_in_pages(ledger: Ledger) -> None:
    _answered(ledger, "b", event_of(Part("b", 0, 2)))
    with ledger.transaction():
        ledger._db.execute(
            "UPDATE parts SET state = 'failed', reason = 'cut', attempts = 3 WHERE user_id = 'c'"
        )
    assert user_states(ledger) == {"pending": 1, "done": 1, "failed": 1}
    assert [row.user_id for row in user_rows(ledger)] == ["a", "b", "c"]
    assert [row.user_id for row in user_rows(ledger, most=1, skip=1)] == ["b"]
    assert user_rows(ledger, "failed") == [UserRow("c", "failed", 3, 0, "cut", 3)]
