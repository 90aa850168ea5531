"""The geometry of the pictures of events."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import assume, given, settings, strategies as st

from eventabs.views.report.charts import address, facets, pictures
from eventabs.views.report.records import EventCounts

MONDAY = 739_621  # 2026-01-05


def _counts(**values: Mapping[Any, int]) -> EventCounts:
    counts = EventCounts("conversion")
    for name, numbers in values.items():
        getattr(counts, name).update(numbers)
    return counts


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 900), st.sampled_from([f"t{n}" for n in range(14)])),
        st.integers(1, 50),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=80, deadline=None)
def test_the_columns_of_days_hold_every_event_and_stay_in_their_frame(
    numbers: dict[tuple[int, str], int],
) -> None:
    types: dict[object, int] = {}
    for (_day, kind), number in numbers.items():
        types[kind] = types.get(kind, 0) + number
    days = {(MONDAY + day, kind): number for (day, kind), number in numbers.items()}
    drawn = pictures(_counts(types=types, days=days))["days"]
    assume(drawn)  # of one day there is none
    assert sum(int(value.replace(",", "")) for _label, value in drawn["rows"]) == sum(numbers.values())
    assert len(drawn["rows"]) <= 124
    boxes = [box for _color, _name, segments in drawn["groups"] for box in segments]
    assert all(
        left >= 0 and top >= -1e-6 and left + width <= 100 and top + height <= 100 + 1e-6
        for left, top, width, height, _title in boxes
    )
    assert min(top for _left, top, *_rest in boxes) == pytest.approx(0, abs=1e-6), (
        "the highest fills the frame"
    )


def test_a_clock_that_was_never_set_does_not_stretch_the_days() -> None:
    days = {(MONDAY + day, "a"): 400 for day in range(10)} | {(719_163, "a"): 1}
    drawn = pictures(_counts(types={"a": 4_001}, days=days))["days"]
    assert (len(drawn["rows"]), drawn["left_out"]) == (10, 1)


def test_many_days_are_drawn_by_week_and_say_so() -> None:
    drawn = pictures(_counts(types={"a": 400}, days={(MONDAY + day, "a"): 1 for day in range(400)}))["days"]
    assert drawn["unit"] == "by week"
    assert len(drawn["rows"]) == 58


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), st.integers(1, 999), min_size=1
    )
)
@settings(max_examples=80, deadline=None)
def test_ribbons_begin_and_end_inside_the_picture(transitions: dict[tuple[str, str], int]) -> None:
    drawn = pictures(_counts(types={"a": 1}, transitions=transitions))["transitions"]
    for path, _color, href, _title in drawn["ribbons"]:
        heights = [float(value) for value in re.findall(r"V([\d.]+)|M0 ([\d.]+)", path)[0] if value]
        assert 0 <= min(heights) <= max(heights) <= drawn["height"] + 0.1
        assert unquote(href).startswith("#transition=")
    assert len(drawn["ribbons"]) <= 14


def test_a_funnel_only_narrows_and_names_its_drop_offs() -> None:
    counts = _counts(
        paths={("a", "b", "c", "buy"): 5},
        steps={("a",): 20, ("a", "b"): 10, ("a", "b", "c"): 8},
        types={"a": 9},
    )
    (path,) = pictures(counts)["paths"]
    assert [(name, users, drop) for name, _color, _href, users, drop in path["steps"]] == [
        ("a", "20", ""),
        ("b", "10", "−50 %"),
        ("c", "8", "−20 %"),
        ("buy", "5", "−38 %"),
    ]
    assert unquote(path["href"]) == "#path=a → b → c → buy"


def test_long_paths_give_way_to_short_ones_that_users_share() -> None:
    paths = {("a", "b", "buy"): 1, ("c", "b", "buy"): 2, ("b", "buy"): 3}
    (path,) = pictures(_counts(paths=paths, steps={("b",): 9}, types={"a": 9}))["paths"]
    assert path["title"] == "b → buy"


def test_an_address_can_hold_any_name() -> None:
    assert address(type="a&b=c #%\ud800") == "#type=a%26b%3Dc%20%23%25%3F"


def test_whatever_has_a_picture_can_be_asked_for() -> None:
    counts = _counts(
        places={"x": 3}, transitions={("a", "b"): 2}, paths={("a", "b"): 1}, types={"a": 1}, kinds={"买": 2}
    )
    assert list(facets(counts)) == [
        ("place", "x", "x"),
        ("transition", "a → b", ("a", "b")),
        ("path", "a → b", ("a", "b")),
        ("journey", "买", "买"),
    ]


def test_events_of_one_day_have_no_columns_and_a_rare_type_is_not_said_to_be_none() -> None:
    drawn = pictures(_counts(types={"a": 9_999, "b": 1}, days={(MONDAY, "a"): 9_999, (MONDAY, "b"): 1}))
    assert drawn["days"] is None
    assert [bar.share for bar in drawn["types"]] == ["99 %", "< 0.1 %"]
