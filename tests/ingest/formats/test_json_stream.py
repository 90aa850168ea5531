"""JSON values are told apart as a stream, wherever its pieces end."""

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest.formats import json as json_format
from eventabs.ingest.formats.json import NotOneObjectError, elements, records_inside

LONGEST = 10_000
TEXT = st.text(st.sampled_from('ab"\\[]{},:\n é'), max_size=8)
FIELD = st.one_of(TEXT, st.integers(), st.none(), st.lists(st.integers(), max_size=3))
RECORD = st.dictionaries(
    st.sampled_from("xyz"), st.one_of(FIELD, st.dictionaries(TEXT, FIELD, max_size=2)), max_size=3
)
WRAPPER = st.dictionaries(
    TEXT, st.one_of(FIELD, RECORD, st.lists(RECORD, min_size=1, max_size=4)), min_size=1, max_size=4
)


@pytest.fixture(autouse=True)
def tiny_pieces(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401  a fixture that hypothesis may use
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_format, "_CHUNK", 5)
        yield


def records_of(wrapper: dict[str, Any]) -> list[Any]:
    lists = [
        value
        for value in wrapper.values()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    return [record for records in lists for record in records]


@settings(max_examples=60)
@given(st.lists(RECORD, max_size=5), st.sampled_from([None, 1]))
def test_the_elements_of_an_array_are_its_elements(records: list[Any], indent: int | None) -> None:
    found = elements(io.StringIO(json.dumps(records, indent=indent)), LONGEST)
    assert [json.loads(text) for text in found] == records


@settings(max_examples=60)
@given(st.lists(RECORD, min_size=1, max_size=5), st.sampled_from([None, 1]))
def test_objects_that_follow_each_other_are_told_apart(records: list[Any], indent: int | None) -> None:
    text = "\n".join(json.dumps(record, indent=indent) for record in records)
    assert [json.loads(each) for each in elements(io.StringIO(text), LONGEST)] == records


@settings(max_examples=120)
@given(WRAPPER, st.sampled_from([None, 1]))
def test_records_and_the_fields_around_them_come_apart(wrapper: dict[str, Any], indent: int | None) -> None:
    around: dict[str, Any] = {}
    found = [
        json.loads(text)
        for text in records_inside(around, io.StringIO(f" {json.dumps(wrapper, indent=indent)}\n"), LONGEST)
    ]
    assert found == records_of(wrapper)
    assert around == {key: value for key, value in wrapper.items() if not records_of({key: value})}


def test_a_broken_record_costs_no_other_and_a_cut_end_is_the_last_one() -> None:
    around: dict[str, Any] = {}
    text = '{"n": 1, "data": [{"a": 1}, {"a": oops}, 7, {"a": 2} {"a": 3}, {"a": [4'
    found = [each.strip() for each in records_inside(around, io.StringIO(text), LONGEST)]
    assert found == ['{"a": 1}', '{"a": oops}', "7", '{"a": 2} {"a": 3}', '{"a": [4']
    assert around == {"n": 1}


@pytest.mark.parametrize("more", ["{}", '            \n\n  {"data": [{}]}', "]"])
def test_what_follows_the_object_is_told(more: str) -> None:
    with pytest.raises(NotOneObjectError):
        list(records_inside({}, io.StringIO('{"data": [{}]}' + more), LONGEST))


def test_a_value_that_cannot_be_held_is_refused_and_many_short_ones_are_not() -> None:
    long = json.dumps({"data": [{"x": "y" * 50}] * 50})
    assert len(list(records_inside({}, io.StringIO(long), 200))) == 50
    with pytest.raises(OverflowError):
        list(elements(io.StringIO(long), 200))
    for text in ('{"data": "%s"}', '{"data": [{"x": "%s"}]}'):
        with pytest.raises(OverflowError):
            list(records_inside({}, io.StringIO(text % ("y" * 500)), 200))


@pytest.mark.parametrize("piece", ["x", "\\n"])
def test_a_long_string_is_read_without_many_times_its_size_in_memory(piece: str) -> None:
    file = io.StringIO('[{"a": "%s"}]' % (piece * 1_500_000))
    tracemalloc.start()
    try:
        (found,) = elements(file, 4_000_000)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(found)
    finally:
        tracemalloc.stop()
