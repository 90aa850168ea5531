import json
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.shared_records import Behavior, Message, Outcome, Part, UserLog
from eventabs.store.ledger import (
    MOST_TIMES,
    StoredValueError,
    digest_of,
    pack_json,
    pack_log,
    pack_messages,
    pack_outcome,
    pack_text,
    unpack_json,
    unpack_log,
    unpack_messages,
    unpack_outcome,
    unpack_parts,
    unpack_text,
)
from runs_kit import event_of, journey_of

offsets = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
moments = st.builds(
    lambda moment, zone: moment.replace(microsecond=0, tzinfo=zone), st.datetimes(), st.none() | offsets
)
behaviors = st.builds(
    Behavior,
    moments,
    st.text(max_size=8),
    st.text(max_size=20),
    st.text(max_size=8),
    st.none() | st.integers(-1, 2**62),
    st.integers(0, 1000),
    st.integers(0, 2**40),
    st.just(""),
)
logs = st.builds(
    UserLog,
    st.text(max_size=8),
    st.lists(behaviors, max_size=6).map(tuple),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
    known=st.just(()),
)
any_text = st.text(st.characters(exclude_categories=()), max_size=200)


def wall_and_offset(log: UserLog) -> list[tuple[datetime, timedelta | None]]:
    """Equal instants in different zones are equal to Python, but not to an analyst."""
    return [(b.start.replace(tzinfo=None), b.start.utcoffset()) for b in log.behaviors]


@given(logs)
@settings(max_examples=200, deadline=None)
def test_a_log_comes_back_as_it_was_with_its_wall_times_and_offsets(log: UserLog) -> None:
    back = unpack_log(log.user_id, pack_log(log))
    assert back == log
    assert wall_and_offset(back) == wall_and_offset(log)


@given(logs, st.data())
@settings(max_examples=100, deadline=None)
def test_a_part_of_a_log_is_its_behaviors_first_to_last(log: UserLog, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, max(0, len(log.behaviors) - 1)))
    last = data.draw(st.integers(first, max(first, len(log.behaviors) - 1)))
    part = unpack_log(log.user_id, pack_log(log), first, last)
    assert part.behaviors == log.behaviors[first : last + 1]
    assert part.profile == log.profile


def test_the_sentence_of_the_export_is_left_out() -> None:
    behavior = Behavior(datetime(2026, 1, 1), "visit", "x", text="在XX停留")  # noqa: DTZ001  wall time
    (back,) = unpack_log("u", pack_log(UserLog("u", (behavior,)))).behaviors
    assert back == behavior._replace(text="")


@given(any_text)
@settings(max_examples=100, deadline=None)
def test_any_reply_text_survives_also_with_half_surrogate_pairs(text: str) -> None:
    assert unpack_text(pack_text(text)) == text


def test_what_a_call_asked_about_comes_back_by_alias() -> None:
    stored = {"U1": ('张"三', 0, 9, "3-5 9", "d"), "U2": ("b", 3, 4, "", "e")}
    assert unpack_parts(json.dumps(stored)) == {"U1": Part('张"三', 0, 9), "U2": Part("b", 3, 4)}


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
@settings(max_examples=40, deadline=None)
def test_an_outcome_comes_back_as_it_was(minor: set[int], unplaced: set[int], unasked: set[int]) -> None:
    part = Part("张/三", 0, 60)
    outcome = Outcome(
        part,
        "unplaced",
        (event_of(part),),
        (journey_of(part),),
        tuple(sorted(minor)),
        tuple(sorted(unplaced)),
        tuple(sorted(unasked)),
        misfiled=3,
        repeated=2,
    )
    assert unpack_outcome(part, "unplaced", pack_outcome(outcome)) == outcome


def test_the_digest_of_rows_changes_with_what_was_shown_of_them_alone() -> None:
    behavior = Behavior(datetime(2026, 1, 1), "visit", "x", "y", 60, 1, 2, "在x停留")  # noqa: DTZ001  wall time
    digest = digest_of([behavior])
    assert digest_of([behavior._replace(file=3, line=4, text="")]) == digest
    for shown in (
        {"item": "z"},
        {"duration": 61},
        {"start": behavior.start.replace(tzinfo=UTC)},
        {"place": ""},
    ):
        assert digest_of([behavior._replace(**shown)]) != digest
    assert len({digest_of([behavior] * count) for count in range(4)}) == 4


@pytest.mark.parametrize(
    "read",
    [
        lambda: unpack_json(b"\x00\x11"),
        lambda: unpack_json("text"),  # type: ignore[arg-type]
        lambda: unpack_json(zlib.compress(b"{")),
        lambda: unpack_parts("{"),
    ],
)
def test_whatever_cannot_be_read_is_one_kind_of_error(read: Callable[[], object]) -> None:
    with pytest.raises(StoredValueError):
        read()


@pytest.mark.slow
def test_a_value_that_inflates_without_end_is_refused_before_it_takes_memory() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    with pytest.raises(StoredValueError):
        unpack_text(bomb)
    with pytest.raises(StoredValueError):
        unpack_json(bomb)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * (MOST_TIMES * len(bomb)) + 1_000_000


def test_whatever_is_stored_can_be_read_again_however_well_it_would_shrink() -> None:
    long = "a" * 9_000_000
    assert unpack_text(pack_text(long)) == long
    assert unpack_json(pack_json([long])) == [long]
    assert len(pack_text("a" * 1_000_000)) < 10_000


def test_half_a_value_is_an_error_not_a_shorter_value() -> None:
    packed = pack_text("一二三" * 1000)
    with pytest.raises(StoredValueError):
        unpack_text(packed[: len(packed) // 2])


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, None), (2047, 2048), (2048, 4095), (3000, None)],
)
def test_any_part_of_a_long_log_is_read_without_the_rest(first: int, last: int | None) -> None:
    start = datetime(2026, 1, 1)  # noqa: DTZ001  wall time
    behaviors = tuple(
        Behavior(start + timedelta(minutes=number), "use", f"app {number}", line=number)
        for number in range(5000)
    )
    packed = pack_log(UserLog("u", behaviors, (("age", "40"),)))
    part = unpack_log("u", packed, first, last)
    assert part == UserLog("u", behaviors[first : None if last is None else last + 1], (("age", "40"),))


@pytest.mark.parametrize("at", [0, 5, -200])
def test_a_damaged_long_log_is_damaged_and_nothing_else(at: int) -> None:
    start = datetime(2026, 1, 1)  # noqa: DTZ001  wall time
    packed = bytearray(pack_log(UserLog("u", (Behavior(start, "use", "微信"),) * 5000)))
    packed[at] ^= 0xFF
    with pytest.raises(StoredValueError):
        unpack_log("u", bytes(packed))
    with pytest.raises(StoredValueError):
        unpack_log("u", bytes(packed[:-200]))


@pytest.mark.parametrize("length", [0, 8191, 8192, 8193])
def test_a_text_of_any_length_comes_back_and_any_inflater_reads_it(length: int) -> None:
    text = ("2026-03-07 10:04 启程4S店 1h35m; " * (length // 20 + 1))[:length]
    assert unpack_text(pack_text(text)) == text
    assert zlib.decompress(pack_text(text)).decode() == text


def test_words_that_say_the_action_themselves_stay_told_apart_from_an_object() -> None:
    said, named = (
        Behavior(datetime(2026, 1, 15, 10), "use", "打开汽车之家", "家", 60, text=text)  # noqa: DTZ001  as a user's clock
        for text in ("打开汽车之家", "")
    )
    log = unpack_log("u", pack_log(UserLog("u", (said, named))))
    assert log.behaviors == (said, named)


@pytest.mark.parametrize("characters", [3_000, 20_000, 3_000_000])
def test_messages_come_back_however_long_what_they_begin_with_is(characters: int) -> None:
    for user in ("## U1", "## U1 " + "家" * 20_000):
        messages: tuple[Message, ...] = (
            {"role": "system", "content": "行" * characters},
            {"role": "user", "content": user},
        )
        assert unpack_messages(pack_messages(messages)) == messages
