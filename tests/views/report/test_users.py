"""What the report counts and keeps of users."""

from datetime import datetime, timedelta

from eventabs.inspection.report import UserFacts
from eventabs.records import Behavior, UserLog
from eventabs.store.queries import UserRow
from eventabs.views.report.users import ReportUsers

DAY = datetime(2026, 1, 5, 9, 0)  # noqa: DTZ001  a Monday, as exports have it


def _user(user_id: str, *events: dict[str, object], behaviors: int = 3) -> UserFacts:
    done = (Behavior(DAY + timedelta(hours=n), "visit", f"餐厅{n}", "", 90) for n in range(behaviors))
    log = UserLog(user_id, tuple(done), (("city", "上海"),))
    return UserFacts(UserRow(user_id, "done", behaviors, len(events), None, 0), log, list(events))


def _event(kind: str, start: str, end: str, *, category: str = "engagement") -> dict[str, object]:
    return {
        "type": kind,
        "category": category,
        "start": start,
        "end": end,
        "summary": "",
        "behaviors": [0],
        "grounded": True,
    }


def test_events_are_counted_by_hour_and_by_what_follows_what() -> None:
    user = _user(
        "ann",
        _event("看", "2026-01-05T09:10:00", "2026-01-05T09:20:00"),
        _event("买", "2026-01-05T09:30:00", "2026-01-06T09:30:00", category="conversion"),
        _event("看", "sometime", "later"),
    )
    counted = ReportUsers.of([user])
    assert counted.hours == {(0, 9): 2}
    assert counted.transitions == {("看", "买"): 1, ("买", "看"): 1}
    assert counted.categories == {"engagement": 2, "conversion": 1}
    assert (counted.covered, counted.behaviors) == (1, 3)


def test_a_record_tells_times_as_differences_of_minutes() -> None:
    counted = ReportUsers.of(
        [_user("ann", _event("看", "2026-01-05T09:10:00+08:00", "2026-01-05T10:20:00+08:00"))]
    )
    (record,) = counted.data()["users"]
    minute = (DAY - datetime(1970, 1, 1)) // timedelta(minutes=1)  # noqa: DTZ001  as the records count
    assert record[4] == minute
    assert record[5] == [0, 60, 60]
    assert record[8] == [1, 1]  # behaviors 1 and 2 are in no event
    assert (record[9], record[10]) == ([10], [70])


def test_a_page_keeps_as_many_users_as_fit_and_counts_all() -> None:
    counted = ReportUsers.of([_user(f"user{n}") for n in range(100)], most_bytes=1_000)
    assert 0 < len(counted.records) < 100
    assert len(counted.records) + counted.left_out == 100
    assert counted.behaviors == 300
