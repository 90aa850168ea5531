"""What the report counts over all users."""

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given, settings, strategies as st

from eventabs.inspection.report import UserFacts
from eventabs.records import Behavior, UserLog
from eventabs.store.queries import RowsOfUser, UserRow
from eventabs.views.report import records
from eventabs.views.report.records import EventCounts, Tally, places_of, steps_before

DAY = datetime(2026, 1, 5, 9, 0)  # noqa: DTZ001  a Monday, as exports have it


def user(
    user_id: str, *events: dict[str, object], behaviors: int = 3, journeys: tuple[dict[str, object], ...] = ()
) -> UserFacts:
    done = (Behavior(DAY + timedelta(hours=n), "visit", f"餐厅{n}", "", 90) for n in range(behaviors))
    log = UserLog(user_id, tuple(done), (("city", "上海"),))
    row = UserRow(user_id, "done", behaviors, len(events), None, 0)
    return UserFacts(row, log, [], list(events), list(journeys), RowsOfUser([], [], []))


def event(
    kind: str, start: str = "2026-01-05T09:00:00", *, category: str = "engagement"
) -> dict[str, object]:
    return {
        "type": kind,
        "category": category,
        "start": start,
        "end": start,
        "summary": "",
        "behaviors": [0],
    }


def counted(*users: UserFacts) -> EventCounts:
    counts = EventCounts("conversion")
    for one in users:
        counts.add(one)
    return counts


def test_events_are_counted_by_hour_day_and_by_what_follows_what() -> None:
    counts = counted(
        user(
            "ann",
            event("看", "2026-01-05T09:10:00"),
            event("买", "2026-01-05T09:30:00", category="conversion"),
            event("看", "2026-01-06T08:00:00"),
        )
    )
    assert counts.hours == {(0, 9): 2, (1, 8): 1}
    today = DAY.toordinal()
    assert counts.days == {(today, "看"): 1, (today, "买"): 1, (today + 1, "看"): 1}
    assert counts.transitions == {("看", "买"): 1, ("买", "看"): 1}
    assert counts.categories == {"engagement": 2, "conversion": 1}
    assert (counts.types, counts.type_users) == ({"看": 2, "买": 1}, {"看": 1, "买": 1})


def test_journeys_are_counted_by_kind_by_users_and_by_how_they_ended() -> None:
    bought, looked = {"kind": "购买", "converted": True}, {"kind": "购买", "converted": False}
    counts = counted(
        user("ann", journeys=(bought, looked, {"kind": "旅行", "converted": True})),
        user("bob", journeys=(looked,)),
    )
    assert (counts.kinds, counts.kind_users) == ({"购买": 3, "旅行": 1}, {"购买": 2, "旅行": 1})
    assert counts.converted == 2


def test_a_path_ends_at_the_first_goal_and_counts_a_step_once_in_a_row() -> None:
    walked = [event(kind) for kind in "aabcd"] + [event("buy", category="conversion"), event("z")]
    assert steps_before(walked, "conversion") == (("a", "b", "c", "d"), "buy")
    paths = {("b", "c", "d", "buy"): 1, ("c", "d", "buy"): 1, ("d", "buy"): 1}
    assert counted(user("ann", *walked)).paths == paths


def test_steps_count_the_users_that_went_them_with_and_without_a_goal() -> None:
    bought = user("ann", event("a"), event("b"), event("buy", category="conversion"))
    counts = counted(bought, user("bob", event("a"), event("b"), event("a")), user("cy", event("a")))
    assert (counts.steps["a",], counts.steps["a", "b"], counts.steps["b", "a"]) == (3, 2, 1)
    assert counts.paths == {("a", "b", "buy"): 1, ("b", "buy"): 1}


@given(st.lists(st.lists(st.sampled_from("abcg"), max_size=9), max_size=6))
@settings(max_examples=80, deadline=None)
def test_no_more_users_reach_a_goal_by_a_path_than_went_its_steps(stories: list[list[str]]) -> None:
    users = [
        user(str(n), *(event(kind, category="conversion" if kind == "g" else "x") for kind in story))
        for n, story in enumerate(stories)
    ]
    counts = counted(*users)
    for path, reached in counts.paths.items():
        numbers = [counts.steps[path[: place + 1]] for place in range(len(path) - 1)]
        assert numbers == sorted(numbers, reverse=True)
        assert reached <= numbers[-1]


def test_places_are_what_is_visited_and_where_else_something_happens() -> None:
    done = (
        Behavior(DAY, "visit", "4S店", ""),
        Behavior(DAY, "browse", "M5", "汽车网"),
        Behavior(DAY, "use", "微聊", ""),
    )
    assert places_of(done) == {"4S店", "汽车网"}


def test_a_tally_forgets_rare_things_only() -> None:
    tally = Tally()
    bound = records._MOST_KEPT
    tally.note(["often"] * 5)
    tally.note(range(bound + 1))
    assert len(tally) <= bound
    assert tally["often"] == 5
    assert isinstance(tally, Counter)
