"""What the browser reads: nothing of a user's behaviors and events is lost on the way."""

import zlib
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

import orjson
from hypothesis import given, settings, strategies as st

from eventabs.inspection.report import UserFacts
from eventabs.records import Behavior, UserLog
from eventabs.store.queries import RowsOfUser, UserRow
from eventabs.views.report.records import PackedUsers, differences, shown

FIRST = datetime(2026, 1, 5, 23, 59, 58)  # noqa: DTZ001  exports hold wall times

JOURNEY = {
    "id": "ann/j0",
    "kind": "购买",
    "name": "帐篷\n",
    "days": 2,
    "converted": True,
    "types": ["搜索", "浏览"],
}

logs = st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 9_000)), min_size=1, max_size=12)


def _facts(steps: list[tuple[int, int]], owners: list[int], texts: list[str]) -> UserFacts:
    starts = accumulate(step for step, _length in steps)
    behaviors = tuple(
        Behavior(FIRST + timedelta(seconds=at), "visit", f"餐厅{at % 3}", "", length)
        for at, (_step, length) in zip(starts, steps, strict=True)
    )
    events: list[dict[str, Any]] = []
    for number in sorted({owner for owner in owners if owner >= 0}):
        covered = [index for index, owner in enumerate(owners) if owner == number]
        ends = [
            behaviors[index].start + timedelta(seconds=behaviors[index].duration or 0) for index in covered
        ]
        events.append(
            {
                "type": f"type{number % 3}",
                "category": "engagement",
                "start": behaviors[covered[0]].start.isoformat(),
                "end": max(ends).isoformat(),
                "summary": texts[number % len(texts)],
                "behaviors": covered,
                "journey": "ann/j0" if number == 1 else None,
                "sure": True,
                "source": "llm",
            }
        )
    without = RowsOfUser(*([i for i, owner in enumerate(owners) if owner == state] for state in (-1, -2, -3)))
    row = UserRow("ann", "done", len(behaviors), len(events), None, 0)
    return UserFacts(row, UserLog("ann", behaviors), [b.item for b in behaviors], events, [JOURNEY], without)


def _opened(packed: PackedUsers) -> dict[str, Any]:
    packed.close_chunk()
    value: dict[str, Any] = orjson.loads(zlib.decompress(packed.chunks[0]))
    return value


@given(logs, st.data())
@settings(max_examples=100, deadline=None)
def test_a_record_holds_what_behaviors_and_events_say(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    owners = data.draw(st.lists(st.integers(-3, 4), min_size=len(steps), max_size=len(steps)))
    facts = _facts(steps, owners, ["吃", "", "吃", "看"])
    packed = PackedUsers("conversion")
    packed.add(facts)
    chunk = _opened(packed)
    base, times, names, lengths, owned, kinds, summaries, flags, journey_of, journeys = chunk["users"][0]
    assert base == (FIRST - datetime(1970, 1, 1)) // timedelta(seconds=1) + steps[0][0]  # noqa: DTZ001  as above
    assert list(accumulate(times)) == [at - steps[0][0] for at in accumulate(step for step, _length in steps)]
    assert [chunk["names"][name] for name in names] == facts.phrases
    assert lengths == [length for _step, length in steps]
    numbers = list(accumulate(owned))
    assert [
        [i for i, n in enumerate(numbers, 0) if n == place] for place in range(1, len(facts.events) + 1)
    ] == [event["behaviors"] for event in facts.events]
    assert [number for number in numbers if number < 0] == [owner for owner in owners if owner < 0]
    assert [bool(number) for number in journey_of] == [bool(event["journey"]) for event in facts.events]
    assert journeys == [["购买", "帐篷\\n", 2, True, "搜索 → 浏览"]]
    assert [packed.kinds[kind][0] for kind in kinds] == [event["type"] for event in facts.events]
    assert _texts(chunk["texts"], summaries) == [event["summary"] for event in facts.events]
    assert set(flags) <= {0}


def _texts(texts: list[str], numbers: list[int]) -> list[str]:
    upcoming = iter(range(1, len(texts)))
    return [texts[next(upcoming) if number < 0 else number] for number in numbers]


def test_flags_say_what_the_model_was_not_sure_of_and_where_an_event_comes_from() -> None:
    facts = _facts([(0, 60)], [0], ["a"])
    (event,) = facts.events
    packed = PackedUsers("conversion")
    packed.add(
        facts._replace(events=[event, event | {"source": "must", "sure": False}, event | {"outside": True}])
    )
    assert _opened(packed)["users"][0][7] == [0, 9, 2]


@given(st.lists(st.integers(-(10**9), 10**9)), st.integers(-(10**9), 10**9))
def test_differences_add_up(numbers: list[int], base: int) -> None:
    assert list(accumulate(differences(numbers, base), initial=base))[1:] == numbers


def test_a_chunk_is_closed_before_it_grows_large_and_users_are_found_in_it() -> None:
    packed = PackedUsers("conversion")
    for number in range(700):
        facts = _facts([(1, 1)] * 30, [0] * 30, ["a"])
        packed.add(facts._replace(row=facts.row._replace(user_id=f"user{number}")))
    packed.close_chunk()
    chunks = packed.index()["users"]["chunk"]
    assert len(packed.chunks) == chunks[-1] + 1 > 1
    assert all(after - before in (0, 1) for before, after in pairwise(chunks))
    sizes = [len(orjson.loads(zlib.decompress(chunk))["users"]) for chunk in packed.chunks]
    assert sizes == [chunks.count(number) for number in range(len(packed.chunks))]


def test_users_of_a_place_a_transition_and_a_path_are_listed() -> None:
    packed = PackedUsers("conversion")
    facts = _facts([(0, 60), (60, 60)], [0, 1], ["a"])
    goal = facts.events[1] | {"category": "conversion"}
    for events in ([facts.events[0], goal], [facts.events[0]]):
        packed.add(facts._replace(events=events))
    assert packed.users_of("place", "餐厅0") == [0, 1]
    assert packed.users_of("transition", ("type0", "type1")) == [0]
    assert packed.users_of("path", ("type0", "type1")) == [0]
    assert packed.users_of("path", ("type1", "type1")) == []
    assert packed.users_of("journey", "购买") == [0, 1]


def test_what_is_shown_has_no_controls_and_an_end() -> None:
    assert shown("a\x00\u202eb\n") == "a\\x00\\u202eb\\n"
    assert len(shown("x" * 10_000)) == 300
