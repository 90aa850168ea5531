import pytest

from eventabs.replies.claims import Aliases
from eventabs.replies.objects import blocks_of, names_user

BOTH = Aliases(dict.fromkeys(["U1", "U2"], 100))
A = ["01-01 10:00", "01-01 11:00", "a"]
B = ["01-01 12:00", "01-01 13:00", "b"]
OBJECT = {"start": "01-01 10:00", "end": "11:00", "type": "a"}


def shape(
    value: object, *, aliases: Aliases = BOTH, closed: bool = True
) -> list[tuple[str, bool, list[str]]]:
    blocks = blocks_of([value], aliases, closed=closed)
    return [(b.alias, b.closed, [claim.type for claim in b.claims]) for b in blocks]


@pytest.mark.parametrize(
    "value",
    [
        [{"u": "U1", "events": [A, B]}],
        {"users": [{"user_id": "用户U1", "Events": [A, B]}]},
        {"result": {"data": {"output": [{"id": 1, "items": [A, B]}]}}},
        {"U1": [A, B]},
        {"U1": {"events": [A, B]}},
        {"用户1": {"2026-01-01": [A, B]}},
        {"u": "U1", "data": [A, B]},
        {"U1": ["01-01 10:00-11:00 a", "01-01 12:00 b"]},
        {"U1": [OBJECT, {"date": "01-01", "time": "12:00-13:00", "事件": "b"}]},
        {"U1": [{"day": "01-01", "list": [["10:00", "a"], ["12:00", "b"]]}]},
        [{"user": "U1"} | OBJECT, {"user": "U1"} | OBJECT | {"type": "b"}],
        [["U1", *A], ["u1", *B]],
    ],
)
def test_users_and_events_are_found_in_any_shape(value: object) -> None:
    assert shape(value) == [("U1", True, ["a", "b"])]


@pytest.mark.parametrize(
    ("value", "blocks"),
    [
        ({"U9": [A]}, [("", True, [])]),
        ({"U1": None, "U2": [A]}, [("U1", True, []), ("U2", True, ["a"])]),
        ({"u": "U1", "events": None}, [("U1", True, [])]),
        ({"U1": [[], {}, "x", 7, None, ["10:00"]]}, [("U1", True, [])]),
        ({"U1": [{"start": "now", "type": "a"}, {"start": "10:00"}]}, [("U1", True, [])]),
        ({"error": "no"}, []),
        ([A, B], []),
        ("U1", []),
    ],
)
def test_what_says_nothing_gives_nothing(value: object, blocks: list[tuple[str, bool, list[str]]]) -> None:
    assert shape(value) == blocks


def test_the_last_user_of_events_that_name_theirs_is_open_unless_the_whole_is_known() -> None:
    rows = [["U1", *A], ["U2", *B]]
    assert shape(rows, closed=False) == [("U1", True, ["a"]), ("U2", False, ["b"])]
    assert shape(rows) == [("U1", True, ["a"]), ("U2", True, ["b"])]


def test_events_without_owner_belong_to_a_user_alone() -> None:
    assert shape({"events": [A, OBJECT]}, aliases=Aliases(dict.fromkeys(["U2"], 100))) == [
        ("U2", True, ["a", "a"])
    ]
    assert shape({"events": [A]}) == []
    assert shape({"U2": [A], "more": [B]}, aliases=Aliases(dict.fromkeys(["U2"], 100))) == [
        ("U2", True, ["a"])
    ]


def test_nests_beyond_reason_are_not_followed() -> None:
    nest: object = {"U1": [A]}
    for _ in range(20):
        nest = [nest]
    assert shape(nest) == []
    inner: object = [A]
    for _ in range(20):
        inner = [inner]
    assert shape({"U1": inner}) == [("U1", True, [])]


def test_a_value_tells_whether_it_names_a_user() -> None:
    assert names_user({"x": {"U1": []}}, BOTH)
    assert not names_user({"x": [A]}, BOTH)
