"""The room that is held for answers on their way."""

import resource
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from eventabs.errors import DiskFullError
from eventabs.records import Reply, Usage
from eventabs.store.codec import StoredValueError
from eventabs.store.reserve import Reserve, reserve_bytes

ROOM = reserve_bytes(2, 1_000)
TEXTS = st.text(st.characters(), max_size=200)  # lone surrogates included


@pytest.fixture
def reserve(tmp_path: Path) -> Reserve:
    return Reserve(tmp_path / "reserve")


def test_room_is_held_while_a_process_works_and_given_back_at_its_end(
    reserve: Reserve, tmp_path: Path
) -> None:
    with reserve.held(ROOM):
        status = (tmp_path / "reserve").stat()
        assert status.st_blocks * 512 >= ROOM
        assert status.st_mode & 0o777 == 0o600
        assert not reserve.is_marked()
    assert list(tmp_path.iterdir()) == []


def test_without_room_nothing_is_begun(reserve: Reserve, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM - 1, limits[1]))
    try:
        with pytest.raises(DiskFullError, match=f"disk of {tmp_path} is full"), reserve.held(ROOM):
            raise AssertionError
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_kept_answers_come_back_in_order_and_outlive_the_process(reserve: Reserve, tmp_path: Path) -> None:
    replies = [
        Reply(f"answer {n}", "length", "why", Usage(3, 4), seconds=n, usage_reported=False) for n in range(9)
    ]
    with reserve.held(ROOM):
        before = (tmp_path / "reserve").stat().st_size
        for number, reply in enumerate(replies, start=1):
            reserve.keep(number, reply)
        assert (tmp_path / "reserve").stat().st_size == before, "nothing new is asked of a full disk"
    assert reserve.is_marked()
    assert reserve.kept() == list(enumerate(replies, start=1))
    reserve.clear()
    assert (reserve.is_marked(), reserve.kept()) == (False, [])


@given(text=TEXTS, reasoning=TEXTS)
def test_an_answer_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, reasoning: str
) -> None:
    reserve = Reserve(tmp_path_factory.mktemp("run") / "reserve")
    reply = Reply(text, reasoning=reasoning, tier="flex")
    with reserve.held(ROOM):
        reserve.keep(7, reply)
        assert reserve.kept() == [(7, reply)]


def test_an_answer_beyond_the_room_is_told_and_hurts_no_other(reserve: Reserve) -> None:
    small, large = Reply("small"), Reply("".join(chr(0x4E00 + n * n % 20_000) for n in range(20_000)))
    with reserve.held(ROOM):
        reserve.keep(1, small)
        with pytest.raises(DiskFullError):
            reserve.keep(2, large)
    assert reserve.kept() == [(1, small)]


def test_the_mark_stays_for_the_next_process_and_gives_back_the_room(
    reserve: Reserve, tmp_path: Path
) -> None:
    with pytest.raises(DiskFullError), reserve.held(ROOM):
        raise DiskFullError
    assert reserve.is_marked()
    assert reserve.kept() == []
    assert (tmp_path / "reserve").stat().st_size < ROOM


def test_half_a_line_of_a_power_cut_is_left_out(reserve: Reserve, tmp_path: Path) -> None:
    with reserve.held(ROOM):
        reserve.keep(1, Reply("whole"))
        reserve.keep(2, Reply("torn"))
    content = (tmp_path / "reserve").read_bytes().rstrip(b"\0")
    (tmp_path / "reserve").write_bytes(content[:-5] + bytes(100))
    assert reserve.kept() == [(1, Reply("whole"))]


def test_what_was_not_written_here_is_damage(reserve: Reserve, tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(b"disk full\n[1]\n")
    with pytest.raises(StoredValueError):
        reserve.kept()
