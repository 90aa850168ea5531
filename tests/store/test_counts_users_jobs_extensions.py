from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.shared_records import FailureReason, Outcome, Part, Reply, Usage, UserLog
from eventabs.store.counts_users_jobs_extensions import (
    count_all,
    current_by_user,
    failed_users,
    made_of,
    settled_user,
    states_by_user,
    users_by_reason,
)
from eventabs.store.ledger import Ledger, PartChange, Retry
from runs_kit import (
    SETTINGS,
    SIZE,
    answer,
    bad,
    event_of,
    journey_of,
    make_log,
    new_ledger,
    opened,
    well,
    whole,
)

HALVES = (Part("cleo", 0, 9), Part("cleo", 10, 19))


def in_halves(tmp_path: Path) -> Ledger:
    ledger = new_ledger(tmp_path, settings=SETTINGS)
    with ledger.transaction():
        ledger.add_users([(make_log("cleo", 20), [(part, SIZE) for part in HALVES])])
    return ledger


def settled(ledger: Ledger, outcome: Outcome, state: str, reason: FailureReason | None = None) -> int:
    log = make_log(outcome.part.user_id)
    accepted = outcome if state == "done" else None
    change = PartChange(outcome.part, state, attempts=1, reason=reason, accepted=accepted)
    with ledger.transaction():
        number = opened(ledger, log)
        ledger.store_reply(number, answer())
        ledger.settle(number, [outcome], [change])
    return number


@pytest.mark.parametrize("users", [0, 1, 1_000, 1_001, 2_003])
def test_every_user_comes_once_and_in_order_however_many_there_are(tmp_path: Path, users: int) -> None:
    names = [f"u{number:05d}" for number in range(users)]
    ledger = new_ledger(tmp_path, (make_log(name, 1) for name in reversed(names)))
    assert list(states_by_user(ledger)) == [(name, "pending") for name in names]


def test_what_the_answers_that_hold_say_is_counted_of_parts_that_are_done_alone(tmp_path: Path) -> None:
    log = make_log("anna", 20)
    ledger = new_ledger(tmp_path, [log, make_log("bert")])
    rows = {"minor": (4,), "unplaced": (5,), "misfiled": 2, "repeated": 3}
    earlier = replace(bad(whole(log), "unplaced"), events=(event_of(whole(log)),), **rows)  # type: ignore[arg-type]
    settled(ledger, earlier, "pending", "unplaced")
    assert (count_all(ledger).answered, count_all(ledger).user_days) == (0, 0)
    assert made_of(ledger, "anna") == ([], [], (), (), ())
    said = event_of(Part("anna", 0, 3))._replace(sure=False, outside=True)
    settled(ledger, replace(earlier, reason=None, events=(said,)), "done")
    assert count_all(ledger).event_counts == {
        "behaviors_answered": 20, "behaviors_placed": 4, "behaviors_minor": 1, "behaviors_unplaced": 1,
        "behaviors_unasked": 0, "behaviors_misfiled": 2, "behaviors_repeated": 3, "user_days": 3,
        "events_per_user_day": 0.3333, "unsure_events": 1, "outside_labels": 1, "must_misses": 0,
        "unlinked": 0,
    }  # fmt: skip
    assert made_of(ledger, "anna")[2:] == ([4], [5], [])


def test_a_user_in_parts_is_done_only_when_every_part_is(tmp_path: Path) -> None:
    ledger = in_halves(tmp_path)
    settled(ledger, well(HALVES[0]), "done")
    assert settled_user(ledger, "cleo").state == "pending"
    assert not any(events for _user_id, events, _journeys in current_by_user(ledger))
    assert count_all(ledger).events == 0
    settled(ledger, well(HALVES[1]), "done")
    assert settled_user(ledger, "cleo").state == "done"
    assert [user_id for user_id, events, _journeys in current_by_user(ledger) if events] == ["cleo"]
    assert count_all(ledger).events == 2


def test_a_user_with_a_failed_part_fails_once_no_part_is_pending(tmp_path: Path) -> None:
    ledger = in_halves(tmp_path)
    failed = settled(ledger, bad(HALVES[0], "refused"), "failed", "refused")
    assert settled_user(ledger, "cleo").state == "pending"
    assert list(failed_users(ledger)) == []
    settled(ledger, well(HALVES[1]), "done")
    assert settled_user(ledger, "cleo").state == "failed"
    assert list(failed_users(ledger)) == [
        {
            "user_id": "cleo",
            "reason": "refused",
            "attempts": 1,
            "broken_calls": 0,
            "calls": [failed, failed + 1],
        }
    ]
    assert count_all(ledger).events == 0, "only users that are done count"


def test_events_and_journeys_of_a_user_in_parts_are_joined_in_order_of_time(tmp_path: Path) -> None:
    ledger = in_halves(tmp_path)
    early, late = event_of(HALVES[0]), event_of(Part("cleo", 9, 9), start="2026-01-03T00:00:00")
    between = event_of(HALVES[1], start="2026-01-02T00:00:00")
    journeys = [journey_of(part) for part in HALVES]
    early, between = (
        each._replace(journey=own.id) for each, own in zip((early, between), journeys, strict=True)
    )
    settled(ledger, Outcome(HALVES[1], None, (between,), (journeys[1],)), "done")
    settled(ledger, Outcome(HALVES[0], None, (early, late), (journeys[0],)), "done")
    events = made_of(ledger, "cleo").events
    assert [event["start"] for event in events] == [early.start, between.start, late.start]
    (journey,) = made_of(ledger, "cleo").journeys
    assert (journey["behaviors"], journey["events"]) == (list(range(20)), [early.id, between.id])
    assert [event["journey"] for event in events] == [journey["id"], journey["id"], None]
    assert ("cleo", events, [journey]) in current_by_user(ledger)
    assert settled_user(ledger, "cleo").journeys == [journey]
    assert count_all(ledger).journeys == 1, "in two parts, but one"


def test_events_are_those_of_the_call_that_holds_not_of_an_earlier_one(tmp_path: Path) -> None:
    log = make_log("anna")
    ledger = new_ledger(tmp_path, [log])
    settled(ledger, bad(whole(log)), "pending", "unparsable")
    settled(ledger, well(whole(log), event_of(whole(log), "聚会")), "done")
    assert [event["type"] for event in made_of(ledger, "anna").events] == ["聚会"]


def test_a_user_that_got_no_answer_counts_the_calls_that_broke_and_no_attempt(tmp_path: Path) -> None:
    log = make_log("anna")
    ledger = new_ledger(tmp_path, [log])
    with ledger.transaction():
        call = opened(ledger, log)
        change = PartChange(whole(log), "failed", broken_calls=8, reason="endpoint")
        ledger.fail_call(call, "HTTP 500", [change])
    assert list(failed_users(ledger)) == [
        {"user_id": "anna", "reason": "endpoint", "attempts": 0, "broken_calls": 8, "calls": [call]}
    ]


def test_a_failed_user_names_every_call_whose_answer_was_bad_for_it(tmp_path: Path) -> None:
    log = make_log("anna")
    ledger = new_ledger(tmp_path, [log, make_log("bert")])
    first = settled(ledger, bad(whole(log)), "pending", "unparsable")
    settled(ledger, well(Part("bert", 0, 2)), "done")
    last = settled(ledger, bad(whole(log), "missing"), "failed", "missing")
    assert list(failed_users(ledger)) == [
        {"user_id": "anna", "reason": "missing", "attempts": 1, "broken_calls": 0, "calls": [first, last]}
    ]


def test_reasons_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path, [UserLog(f"nobody {n}", ()) for n in range(2)] + [make_log("anna")])
    settled(ledger, bad(Part("anna", 0, 2), "refused"), "failed", "refused")
    assert list(users_by_reason(ledger, "failed_users").items()) == [("no_readable_rows", 2), ("refused", 1)]


def test_users_asked_again_after_a_bad_answer_count_once_by_the_first_reason(tmp_path: Path) -> None:
    logs = [make_log(name) for name in ("anna", "bert", "cleo", "dora")]
    ledger = new_ledger(tmp_path, logs)
    anna, bert, cleo, dora = map(whole, logs)
    settled(ledger, bad(anna, "empty"), "pending", "empty")
    settled(ledger, bad(anna, "unparsable"), "pending", "unparsable")
    settled(ledger, bad(bert, "empty"), "pending", "empty")
    settled(ledger, bad(cleo, "unparsable"), "pending", "unparsable")
    settled(ledger, well(anna), "done")
    settled(ledger, bad(bert, "empty"), "failed", "empty")
    settled(ledger, bad(dora, "content_filter"), "failed", "content_filter")
    assert users_by_reason(ledger, "asked_again") == {"empty": 2, "unparsable": 1}, (
        "dora failed without another try"
    )
    (plan,) = ledger.rows(
        "EXPLAIN QUERY PLAN SELECT * FROM outcomes WHERE reason IS NOT NULL GROUP BY user_id"
    )[:1]
    assert "bad_outcomes" in plan[-1], "no answer that is well is looked at"


def test_calls_count_with_their_tokens_and_retries_whatever_became_of_them(tmp_path: Path) -> None:
    log = make_log("anna")
    ledger = new_ledger(tmp_path, [log])
    settled(ledger, bad(whole(log)), "pending", "unparsable")
    with ledger.transaction():
        for _lost in range(2):
            number = opened(ledger, log)
        for cause in ("503", "rate_limit", "rate_limit"):
            ledger.note_retry(Retry(number - 1, 5.0, cause, "HTTP", 2.0))
        ledger.fail_call(number, "gone", [])
    counted = count_all(ledger)
    assert (counted.calls, counted.retries, counted.batches_done) == (3, 3, 2)
    assert list(counted.retry_causes.items()) == [("rate_limit", 2), ("503", 1)]
    assert (counted.prompt_tokens, counted.completion_tokens) == (100, 40)


@given(st.lists(st.lists(st.sampled_from(["pending", "done", "failed"]), min_size=1, max_size=4), max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_states_of_users_follow_from_those_of_their_parts(
    tmp_path_factory: pytest.TempPathFactory, users: list[list[str]]
) -> None:
    ledger = new_ledger(tmp_path_factory.mktemp("states"))
    with ledger.transaction():
        for number, states in enumerate(users):
            user_id = f"user {number}"
            parts = [Part(user_id, position, position) for position in range(len(states))]
            ledger.add_users([(make_log(user_id, len(states)), [(part, SIZE) for part in parts])])
            changes = [PartChange(part, state) for part, state in zip(parts, states, strict=True)]
            ledger.settle(1, [], changes)
    expected = [
        "pending" if "pending" in states else "failed" if "failed" in states else "done" for states in users
    ]
    assert [settled_user(ledger, f"user {number}").state for number in range(len(users))] == expected
    counted = count_all(ledger)
    assert (counted.users, counted.done, counted.failed) == (
        len(users),
        expected.count("done"),
        expected.count("failed"),
    )


def test_the_tokens_of_each_tier_are_counted_and_cached_ones_among_all(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path, [make_log("anna"), make_log("bert"), make_log("cleo")])
    with ledger.transaction():
        for name, tier in (("anna", "flex"), ("bert", "flex"), ("cleo", "")):
            number = opened(ledger, make_log(name))
            ledger.store_reply(number, Reply("##", usage=Usage(100, 40, 0, 30), tier=tier))
    counts = count_all(ledger)
    flex = {"calls": 2, "prompt_tokens": 200, "completion_tokens": 80, "cached_tokens": 60}
    ordinary = {"calls": 1, "prompt_tokens": 100, "completion_tokens": 40, "cached_tokens": 30}
    assert counts.tiers == {"standard": ordinary, "flex": flex}
    assert counts.cached_tokens == 90
