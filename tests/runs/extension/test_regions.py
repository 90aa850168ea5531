"""Which stretches of a grown log are asked about, and what is kept of the answers about the rest."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings, strategies as st

from eventabs.records import Behavior
from eventabs.runs.changes import GONE, LogChange, MergedLog, Regions, merged, plan_regions
from eventabs.store import KnownPart

START = datetime(2026, 3, 1, 9)  # noqa: DTZ001  exports hold wall times
PAUSE = 3_600
REST = (100, 20, 0, 0, 0, None)


def row(minutes: int, item: str = "a", duration: int | None = None) -> Behavior:
    return Behavior(START + timedelta(minutes=minutes), "visit", item, "", duration)


def sessions(behaviors: Sequence[Behavior], places: Sequence[int]) -> list[list[int]]:
    """Return the places of behaviors that follow each other without a pause, as a model would tell them by the rows alone."""
    found: list[list[int]] = []
    end = START
    for behavior, place in zip(behaviors, places, strict=True):
        if found and behavior.start - end <= timedelta(seconds=PAUSE):
            found[-1].append(place)
        else:
            found.append([place])
        end = max(end, behavior.start + timedelta(seconds=behavior.duration or 0))
    return found


def event(places: Sequence[int], start: str = "2026-03-01T09:00:00") -> dict[str, Any]:
    return {
        "user_id": "u",
        "type": "t",
        "start": start,
        "end": start,
        "behaviors": list(places),
        "grounded": bool(places),
    }


def part(first: int, last: int, *covers: Sequence[int], state: str = "done", call: int = 1) -> KnownPart:
    return KnownPart(first, last, state, call if state == "done" else None, tuple(map(event, covers)), REST)


Teller = Callable[[Sequence[Behavior], Sequence[int]], list[list[int]]]


def cut(log: Sequence[Behavior], cuts: Sequence[int], told_by: Teller) -> list[KnownPart]:
    """Return the parts of a log, cut at some places between events, each with its events."""
    told = told_by(log, range(len(log)))
    borders = sorted({0, len(told), *(cut % (len(told) + 1) for cut in cuts)})
    events = [event(places, log[places[0]].start.isoformat()) for places in told]
    return [
        KnownPart(told[first][0], told[last - 1][-1], "done", number, tuple(events[first:last]), REST)
        for number, (first, last) in enumerate(pairwise(borders), 1)
    ]


behaviors = st.lists(
    st.builds(
        row,
        (st.integers(0, 60) | st.integers(0, 240)).map(lambda quarters: 15 * quarters),
        st.sampled_from("ab"),
        st.sampled_from((None, 900, 5400)),
    ),
    min_size=1,
    max_size=20,
).map(lambda found: sorted(found, key=lambda behavior: behavior.start))


@st.composite
def growths(draw: st.DrawFn, told_by: Teller = sessions) -> tuple[MergedLog, list[KnownPart]]:
    log = draw(behaviors)
    added = draw(behaviors)
    removed = draw(st.sets(st.integers(0, len(log) - 1), max_size=2)) if len(log) > 2 else set()
    found = LogChange(tuple(added), removed=tuple(sorted(removed)))
    return merged(log, found, added), cut(log, draw(st.lists(st.integers(0, 9), max_size=3)), told_by)


def tiles(plan: Regions, parts: Sequence[KnownPart]) -> list[tuple[int, int]]:
    untouched = [(each.first, each.last) for each in parts if each not in plan.gone]
    return sorted([*untouched, *((piece.first, piece.last) for piece in plan.moved), *plan.regions])


def kept_events(plan: Regions, parts: Sequence[KnownPart]) -> list[list[int]]:
    untouched = [row["behaviors"] for each in parts if each not in plan.gone for row in each.events]
    return [*untouched, *(list(row["behaviors"]) for piece in plan.moved for row in piece.events)]


@settings(max_examples=500)
@given(growths())
def test_what_is_kept_and_what_is_asked_about_are_all_of_the_log_once(
    growth: tuple[MergedLog, list[KnownPart]],
) -> None:
    log, parts = growth
    plan = plan_regions(log, parts, PAUSE)
    covered = [place for first, last in tiles(plan, parts) for place in range(first, last + 1)]
    assert covered == list(range(len(log.behaviors)))


@settings(max_examples=500)
@given(growths())
def test_a_model_that_goes_by_the_rows_answers_as_about_the_whole_log(
    growth: tuple[MergedLog, list[KnownPart]],
) -> None:
    log, parts = growth
    plan = plan_regions(log, parts, PAUSE)
    asked = [
        told
        for first, last in plan.regions
        for told in sessions(log.behaviors[first : last + 1], range(first, last + 1))
    ]
    whole = sessions(log.behaviors, range(len(log.behaviors)))
    assert sorted([*kept_events(plan, parts), *asked]) == whole


def chosen(behaviors: Sequence[Behavior], places: Sequence[int]) -> list[list[int]]:
    """Return two events a day at most, as a model would tell them that chooses: what comes third joins the second."""
    days: dict[date, list[list[int]]] = {}
    for session in sessions(behaviors, places):
        of_day = days.setdefault(behaviors[places.index(session[0])].start.date(), [])
        if len(of_day) == 2:
            of_day[1] += session
        else:
            of_day.append(session)
    return [session for of_day in days.values() for session in of_day]


@settings(max_examples=500)
@given(growths(told_by=chosen))
def test_a_model_that_chooses_among_the_activities_of_a_day_answers_as_about_the_whole_log(
    growth: tuple[MergedLog, list[KnownPart]],
) -> None:
    log, parts = growth
    plan = plan_regions(log, parts, PAUSE, whole_days=True)
    asked = [
        told
        for first, last in plan.regions
        for told in chosen(log.behaviors[first : last + 1], range(first, last + 1))
    ]
    whole = chosen(log.behaviors, range(len(log.behaviors)))
    assert sorted([*kept_events(plan, parts), *asked]) == sorted(whole)


def test_the_day_before_is_asked_about_again_only_where_what_is_new_may_belong_to_it() -> None:
    before = [row(minutes) for minutes in (0, 300, 600, 870)]  # 9:00, 14:00, 19:00, 23:30
    told = [part(0, 3, [0], [1], [2], [3])]
    far = merged(before, LogChange((row(1_080),)), (row(1_080),))
    near = merged(before, LogChange((row(920),)), (row(920),))
    assert plan_regions(far, told, PAUSE, whole_days=True).regions == [(4, 4)]
    assert plan_regions(near, told, PAUSE, whole_days=True).regions == [(0, 4)]
    assert plan_regions(near, told, PAUSE).regions == [(3, 4)]


@settings(max_examples=500)
@given(growths())
def test_events_are_kept_discarded_or_renumbered_and_none_is_lost(
    growth: tuple[MergedLog, list[KnownPart]],
) -> None:
    log, parts = growth
    plan = plan_regions(log, parts, PAUSE)
    events = sum(len(each.events) for each in parts)
    assert len(kept_events(plan, parts)) + len(plan.discarded) == events
    for piece in plan.moved:
        for row_kept in piece.events:
            assert piece.first <= min(row_kept["behaviors"])
            assert max(row_kept["behaviors"]) <= piece.last
    places = {place: index for index, place in enumerate(log.places) if place != GONE}
    old = {tuple(each["behaviors"]) for known in parts for each in known.events}
    for kept in kept_events(plan, parts):
        assert tuple(places[place] for place in kept) in old


def plan_after(log: list[Behavior], parts: list[KnownPart], *added: Behavior) -> Regions:
    return plan_regions(merged(log, LogChange(added), added), parts, PAUSE)


def test_what_follows_after_a_pause_is_asked_about_alone() -> None:
    plan = plan_after([row(0), row(10)], [part(0, 1, [0, 1])], row(600), row(610))
    assert plan.regions == [(2, 3)]
    assert plan.gone == []
    assert plan.reopened == []


def test_the_last_event_is_asked_about_again_where_it_may_go_on() -> None:
    plan = plan_after([row(0), row(200), row(210)], [part(0, 2, [0], [1, 2])], row(230))
    assert plan.regions == [(1, 3)]
    assert [(piece.first, piece.last) for piece in plan.moved] == [(0, 0)]
    assert plan.reopened == [1, 2]
    assert [each["behaviors"] for _part, each in plan.discarded] == [[1, 2]]
    assert plan.moved_from is None


def test_an_event_that_reaches_back_is_asked_about_as_a_whole() -> None:
    plan = plan_after([row(0), row(10), row(20), row(30)], [part(0, 3, [0, 3], [1, 2])], row(40))
    assert plan.regions == [(0, 4)]


def test_a_late_behavior_opens_the_events_beside_it_and_moves_those_behind() -> None:
    log = [row(0), row(600), row(640), row(1200)]
    plan = plan_after(log, [part(0, 3, [0], [1, 2], [3])], row(620, "b"))
    assert plan.regions == [(1, 3)]
    assert [
        (piece.first, piece.last, [each["behaviors"] for each in piece.events]) for piece in plan.moved
    ] == [
        (0, 0, [[0]]),
        (4, 4, [[4]]),
    ]
    assert plan.moved_from == 3
    assert [each["behaviors"] for _part, each in plan.renumbered] == [[3]]


def test_a_long_stay_that_comes_late_joins_what_began_meanwhile() -> None:
    log = [row(0), row(120), row(240)]
    plan = plan_after(log, [part(0, 2, [0], [1], [2])], row(5, "stay", 12_000))
    assert plan.regions == [(0, 3)]


def test_an_event_all_of_whose_behaviors_are_gone_is_dropped_and_nobody_is_asked() -> None:
    log = [row(0), row(600)]
    plan = plan_regions(merged(log, LogChange((), removed=(1,)), log[:1]), [part(0, 1, [0], [1])], PAUSE)
    assert plan.regions == []
    assert [each["behaviors"] for _part, each in plan.discarded] == [[1]]
    assert [(piece.first, piece.last) for piece in plan.moved] == [(0, 0)]


def test_a_part_that_waits_is_asked_about_together_with_what_is_new() -> None:
    plan = plan_after([row(0), row(600)], [part(0, 0, [0]), part(1, 1, state="pending")], row(1200))
    assert plan.regions == [(1, 2)]
    assert [(each.first, each.state) for each in plan.gone] == [(1, "pending")]


def test_a_part_that_failed_stays_so_unless_something_falls_into_it() -> None:
    log, parts = [row(0), row(600)], [part(0, 1, state="failed")]
    assert plan_after(log, parts, row(1200)).gone == []
    assert plan_after(log, parts, row(300)).regions == [(0, 2)]


def test_an_event_without_behaviors_stays_with_what_was_told_around_it() -> None:
    lost = event([], "2026-03-01T19:05:00")
    known = KnownPart(0, 2, "done", 1, (event([0]), lost, event([1, 2])), REST)
    log = [row(0), row(600), row(640)]
    assert [each for _part, each in plan_after(log, [known], row(660)).discarded] == [lost, event([1, 2])]
    kept = plan_after(log, [known], row(300))
    assert [each for piece in kept.moved for each in piece.events if not each["behaviors"]] == [lost]
