"""What the browser reads: nothing of a user's behaviors and events is lost on the way."""

import zlib
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

import orjson
from hypothesis import given, settings, strategies as st

from eventabs.prompts import Compactor
from eventabs.shared_records import Behavior, Counts, UserLog
from eventabs.store.counts_users_jobs_extensions import Made, UserRow
from eventabs.views.report import PackedUsers, Sums, differences, places_of, shown

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


COMPACTOR = Compactor("zh", ())


def _facts(
    steps: list[tuple[int, int]], owners: list[int], texts: list[str]
) -> tuple[UserRow, Made, UserLog]:
    starts = accumulate(step for step, _length in steps)
    behaviors = tuple(
        Behavior(
            FIRST + timedelta(seconds=at), "visit", f"餐厅{at % 3}", "", length, place % 2, 7 * place + 1
        )
        for place, (at, (_step, length)) in enumerate(zip(starts, steps, strict=True))
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
    others = ([i for i, owner in enumerate(owners) if owner == state] for state in (-1, -2, -3))
    row = UserRow("ann", "done", len(behaviors), len(events), None, 0)
    log = UserLog("ann", behaviors, (("city", "上海\n"),))
    return row, Made(events, [JOURNEY], *others), log


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
    row, made, log = _facts(steps, owners, ["吃", "", "吃", "看"])
    packed = PackedUsers(COMPACTOR)
    packed.add(row, made, log)
    chunk = _opened(packed)
    (record,) = chunk["users"]
    base, times, names, lengths, owned, kinds, summaries, flags, journey_of, journeys, rows, files, *_rest = (
        record
    )
    assert base == (FIRST - datetime(1970, 1, 1)) // timedelta(seconds=1) + steps[0][0]  # noqa: DTZ001  as above
    assert list(accumulate(times)) == [at - steps[0][0] for at in accumulate(step for step, _length in steps)]
    assert [chunk["names"][name] for name in names] == COMPACTOR.phrases(log)
    assert lengths == [length for _step, length in steps]
    numbers = list(accumulate(owned))
    assert [
        [i for i, n in enumerate(numbers, 0) if n == place] for place in range(1, len(made.events) + 1)
    ] == [event["behaviors"] for event in made.events]
    assert [number for number in numbers if number < 0] == [owner for owner in owners if owner < 0]
    assert [bool(number) for number in journey_of] == [bool(event["journey"]) for event in made.events]
    assert journeys == [["购买", "帐篷\\n", 2, 1]]
    assert list(accumulate(rows)) == [behavior.line for behavior in log.behaviors]
    assert (files or [0]) == [behavior.file for behavior in log.behaviors]
    assert {chunk["names"][place] for place in record[12]} == {b.item for b in log.behaviors}
    assert record[13] == []
    assert packed.index()["columns"] == ["city"]
    assert packed.users["profile"] == [{0: "上海\\n"}]
    assert [packed.index()["kinds"][kind][0] for kind in kinds] == [event["type"] for event in made.events]
    assert _texts(chunk["texts"], summaries) == [event["summary"] for event in made.events]
    assert set(flags) <= {0}


def _texts(texts: list[str], numbers: list[int]) -> list[str]:
    upcoming = iter(range(1, len(texts)))
    return [texts[next(upcoming) if number < 0 else number] for number in numbers]


def test_flags_say_what_the_model_was_not_sure_of_and_where_an_event_comes_from() -> None:
    row, made, log = _facts([(0, 60)], [0], ["a"])
    (event,) = made.events
    packed = PackedUsers(COMPACTOR)
    changed = [event, event | {"source": "must", "sure": False}, event | {"outside": True}]
    packed.add(row, made._replace(events=changed), log)
    assert _opened(packed)["users"][0][7] == [0, 9, 2]


@given(st.lists(st.integers(-(10**9), 10**9)), st.integers(-(10**9), 10**9))
def test_differences_add_up(numbers: list[int], base: int) -> None:
    assert list(accumulate(differences(numbers, base), initial=base))[1:] == numbers


def test_a_chunk_is_closed_before_it_grows_large_and_users_are_found_in_it() -> None:
    packed = PackedUsers(COMPACTOR)
    for number in range(700):
        row, made, log = _facts([(1, 1)] * 30, [0] * 30, ["a"])
        packed.add(row._replace(user_id=f"user{number}"), made, log)
    packed.close_chunk()
    chunks = packed.index()["users"]["chunk"]
    assert len(packed.chunks) == chunks[-1] + 1 > 1
    assert all(after - before in (0, 1) for before, after in pairwise(chunks))
    sizes = [len(orjson.loads(zlib.decompress(chunk))["users"]) for chunk in packed.chunks]
    assert sizes == [chunks.count(number) for number in range(len(packed.chunks))]


def test_the_sums_count_a_user_once_for_each_type_and_kind() -> None:
    sums = Sums("conversion")
    bought = JOURNEY | {"kind": "购买"}
    for converted in (True, False):
        _row, made, *_log = _facts([(0, 60), (60, 60)], [0, 1], ["a"])
        first, second = made.events
        events = [
            first,
            first,
            second | {"category": "conversion" if converted else "engagement"},
        ]
        sums.add(Made(events, [bought, bought | {"converted": converted}]))
    found = sums.figures(Counts(users=3, done=2))
    assert found["types"] == [("type0", 4, 2), ("type1", 2, 2)]
    assert found["kinds"] == [("购买", 4, 2, 3)]
    assert (found["users"], found["reached"], found["converted"]) == (3, 1, 3)


def test_places_are_what_is_visited_or_used_and_where_else_something_happens() -> None:
    done = (
        Behavior(FIRST, "visit", "4S店", ""),
        Behavior(FIRST, "browse", "M5", "汽车网"),
        Behavior(FIRST, "use", "微聊", ""),
        Behavior(FIRST, "order", "海底捞", ""),
        Behavior(FIRST, "search", "汉庭", ""),
        Behavior(FIRST, "", "在家吃面", "", text="在家吃面"),
    )
    assert places_of(done) == ({"4S店", "汽车网", "微聊"}, {"海底捞"})


def test_what_is_shown_has_no_controls_and_an_end() -> None:
    assert shown("a\x00\u202eb\n") == "a\\x00\\u202eb\\n"
    assert len(shown("x" * 10_000)) == 300
