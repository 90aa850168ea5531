import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import EventabsError, RunDirectoryError, StorageError
from eventabs.shared_records import Part, PartSize, Reply, Usage, UserLog
from eventabs.store.ledger import Ledger, PartChange, digest_of
from runs_kit import SIZE, answer, bad, make_log, new_ledger, opened, plan, well, whole

ANNA, BERT, CLEO = make_log("anna"), make_log("bert"), make_log("cleo", 20)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path, [ANNA, BERT, CLEO])
    yield ledger
    ledger.close()


def call(ledger: Ledger, *logs: UserLog) -> int:
    with ledger.transaction():
        return opened(ledger, *logs, at=1000.5)


def part_row(ledger: Ledger, part: Part) -> tuple[object, ...]:
    (row,) = ledger.rows(
        "SELECT state, attempts, broken_calls, max_peers, reason, events, call_id FROM parts"
        " WHERE user_id = ? AND first = ? AND last = ?",
        *part,
    )
    return row


# its file


def test_a_commit_waits_for_the_disk(ledger: Ledger) -> None:
    assert ledger.rows("PRAGMA journal_mode") == [("wal",)]
    assert ledger.rows("PRAGMA synchronous") == [(2,)]


def test_what_is_committed_is_there_in_another_process_after_a_crash(ledger: Ledger, tmp_path: Path) -> None:
    call(ledger, ANNA)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in tmp_path.glob("ledger.sqlite*"):  # as a kill leaves them: the log is not folded in
        shutil.copy(file, crashed)
    again = Ledger.open(crashed / "ledger.sqlite")
    assert again.logged_users() == {"anna", "bert", "cleo"}
    assert again.rows("SELECT status FROM calls") == [("sent",)]
    again.close()


def test_to_open_a_new_ledger_changes_nothing_that_only_a_writer_could_undo_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    made = list[bytes]()
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "open", lambda created: made.append(created.read_bytes()))
        Ledger.create(path, {})
    ledger = Ledger.open(path)
    assert path.read_bytes() == made[0]
    ledger.close()


@pytest.mark.parametrize("content", [b"", b"not a database, though long enough to be looked at" * 50])
def test_a_file_that_is_no_ledger_is_called_damaged_also_an_empty_one_since_none_is_ever_made_empty(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match="damaged"):
        Ledger.open(path)


@pytest.mark.parametrize("found", [3, 99])
def test_a_ledger_of_another_format_is_refused_in_one_line_and_nothing_is_deleted(
    ledger: Ledger, tmp_path: Path, found: int
) -> None:
    ledger.rows(f"PRAGMA user_version = {found}")
    ledger.close()
    before = (tmp_path / "ledger.sqlite").read_bytes()
    for look in (Ledger.open, lambda path: Ledger.watch(path).__enter__()):
        with pytest.raises(
            RunDirectoryError, match=rf"^.*format {found}.* begin anew in another directory: eventabs run.*$"
        ):
            look(tmp_path / "ledger.sqlite")
    assert (tmp_path / "ledger.sqlite").read_bytes() == before


@given(page=st.integers(0, 30), garbage=st.binary(min_size=64, max_size=64))
@settings(max_examples=15, deadline=None)
def test_a_damaged_ledger_is_refused_in_one_line_or_still_whole(
    tmp_path_factory: pytest.TempPathFactory, page: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    ledger = new_ledger(folder, [make_log(f"user {n}", 60) for n in range(40)])
    ledger.close()
    path = folder / "ledger.sqlite"
    with path.open("r+b") as file:
        file.seek(page * 8192 % path.stat().st_size)
        file.write(garbage)
    try:
        opened = Ledger.open(path)
    except EventabsError as error:
        told = str(error)
    else:
        told = ""
        assert len(opened.logged_users()) <= 40
        opened.close()
    assert "\n" not in told


# transactions


def test_a_transaction_is_kept_as_a_whole_or_not_at_all(ledger: Ledger) -> None:
    def change_and_fail() -> None:
        with ledger.transaction():
            ledger.set_meta({"a": 1})
            ledger.add_parts([], instead_of=whole(ANNA))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert ledger.meta() == {}
    assert [planned.part for planned in ledger.pending_parts()] == [whole(ANNA), whole(BERT), whole(CLEO)]


def test_what_sqlite_has_rolled_back_is_never_taken_for_committed(ledger: Ledger) -> None:
    ((pages,),) = ledger.rows("PRAGMA page_count")
    ledger.rows(f"PRAGMA max_page_count = {pages}")

    @ledger.transaction()
    def remember() -> None:
        ledger.set_meta({"status": "completed"})
        with suppress(Exception):  # SQLite rolls all back
            ledger.set_meta({"long": "x" * 1_000_000})

    with pytest.raises(StorageError, match="no transaction is active"):
        remember()
    assert ledger.meta().get("status") != "completed"


def test_a_full_disk_is_told_and_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    (pages,) = ledger.rows("PRAGMA page_count")[0]
    ledger.rows(f"PRAGMA max_page_count = {pages}")
    big: list[tuple[UserLog, Sequence[tuple[Part, PartSize]]]] = [
        (make_log(f"new {n}", 400), []) for n in range(50)
    ]
    with pytest.raises(StorageError, match="eventabs resume"), ledger.transaction():
        ledger.add_users(big)
    assert ledger.logged_users() == {"anna", "bert", "cleo"}
    ledger.rows("PRAGMA max_page_count = 1000000")
    with ledger.transaction():
        ledger.add_users(big)
    assert len(ledger.logged_users()) == 53


def test_a_wrong_statement_is_not_taken_for_damage(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="UNIQUE") as caught, ledger.transaction():
        ledger.add_users([(ANNA, [])])
    assert not isinstance(caught.value, EventabsError)


# users and parts


def test_a_user_without_behaviors_fails_at_once(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.add_users([(UserLog("dora", ()), [])])
    assert part_row(ledger, Part("dora", 0, -1))[0] == "failed"
    assert part_row(ledger, Part("dora", 0, -1))[4] == "no_readable_rows"
    assert "dora" not in {planned.part.user_id for planned in ledger.pending_parts()}


def test_pending_parts_come_in_order_with_what_earlier_calls_have_shown(ledger: Ledger) -> None:
    number = call(ledger, BERT)
    with ledger.transaction():
        ledger.settle(
            number,
            [bad(whole(BERT))],
            [PartChange(whole(BERT), "pending", attempts=1, broken_calls=2, max_peers=4)],
        )
    anna, bert, cleo = ledger.pending_parts()
    assert anna == plan("anna")._replace(is_whole=True)
    assert (bert.size, bert.attempts, bert.broken_calls, bert.max_peers) == (SIZE, 1, 2, 4)
    assert cleo.part == Part("cleo", 0, 19)


def test_a_log_comes_back_cut_to_its_part(ledger: Ledger) -> None:
    assert ledger.log("cleo", 5, 7).behaviors == CLEO.behaviors[5:8]
    assert ledger.log("anna") == ANNA
    asked = ledger.asked(Part("cleo", 5, 12), "6 9-10", before=0)
    assert (asked.rows, asked.earlier) == ([6, 9, 10], None)
    assert asked.log.behaviors == (CLEO.behaviors[6], *CLEO.behaviors[9:11])


def test_what_answers_before_a_call_have_placed_comes_with_what_is_asked_next(ledger: Ledger) -> None:
    part = whole(CLEO)
    outcomes = [replace(bad(part, "unplaced"), minor=(row,)) for row in range(2)] + [bad(part, "refused")]
    for outcome in outcomes:
        number = call(ledger, CLEO)
        with ledger.transaction():
            ledger.settle(number, [outcome], [PartChange(part, "pending", asked=("3 5-6", SIZE))])
    assert [ledger.asked(part, "3", before=before).earlier for before in (9, 3, 2, 1, 0)] == [
        *(outcomes[1], outcomes[1], outcomes[0], None, None)
    ]
    (planned,) = [each for each in ledger.pending_parts() if each.part == part]
    assert (planned.rows, planned.size) == ("3 5-6", SIZE._replace(rows=3))


def test_a_part_is_replaced_by_its_pieces(ledger: Ledger) -> None:
    pieces = [(Part("cleo", 0, 9), PartSize(50, 20, 10)), (Part("cleo", 10, 19), PartSize(60, 30, 10))]
    with ledger.transaction():
        ledger.add_parts(pieces, instead_of=whole(CLEO))
    found = [(p.part, p.size, p.is_whole) for p in ledger.pending_parts() if p.part.user_id == "cleo"]
    assert found == [(part, size, False) for part, size in pieces]


def test_pieces_of_a_part_whose_answer_was_too_long_stand_alone_also_after_a_restart(ledger: Ledger) -> None:
    number = call(ledger, CLEO)
    pieces = ((Part("cleo", 0, 9), SIZE), (Part("cleo", 10, 19), SIZE))
    with ledger.transaction():
        ledger.settle(
            number,
            [bad(whole(CLEO), "cut")],
            [PartChange(whole(CLEO), "pending", too_large=True, replaced_by=pieces)],
        )
    assert [p.max_peers for p in ledger.pending_parts() if p.part.user_id == "cleo"] == [1, 1]


# calls


def test_a_reply_that_nobody_has_read_is_found_again_as_it_came(ledger: Ledger) -> None:
    reply = Reply(
        "## U1\ud800 \x00",
        "length",
        reasoning="hm\udfff",
        usage=Usage(7, 6, 5, 4),
        usage_reported=False,
        seconds=1.25,
    )
    number = call(ledger, ANNA, BERT)
    with ledger.transaction():
        ledger.store_reply(number, reply)
    assert ledger.unread_calls() == [number]
    stored = ledger.stored_reply(number)
    assert (stored.call_id, stored.reply) == (number, reply)
    assert stored.users == {f"U{n}": ledger.asked(whole(log), "") for n, log in enumerate((ANNA, BERT), 1)}
    assert stored.digests == dict.fromkeys(("U1", "U2"), digest_of(ANNA.behaviors))


def test_a_reply_that_was_read_is_not_found_again(ledger: Ledger) -> None:
    number = call(ledger, ANNA)
    with ledger.transaction():
        ledger.store_reply(number, answer())
    with ledger.transaction():
        outcome = well(whole(ANNA))
        ledger.settle(number, [outcome], [PartChange(whole(ANNA), "done", accepted=outcome)])
    assert ledger.unread_calls() == []
    assert part_row(ledger, whole(ANNA)) == ("done", 0, 0, 0, None, 1, number)


def test_a_call_that_brought_no_answer_keeps_the_error_and_what_it_means(ledger: Ledger) -> None:
    number = call(ledger, ANNA)
    change = PartChange(whole(ANNA), "failed", broken_calls=5, reason="endpoint")
    with ledger.transaction():
        ledger.fail_call(number, "HTTP 503: 忙", [change])
    assert ledger.rows("SELECT status, error FROM calls") == [("failed", "HTTP 503: 忙")]
    assert part_row(ledger, whole(ANNA)) == ("failed", 0, 5, 0, "endpoint", 0, number)


def test_only_calls_without_an_answer_are_lost_with_the_process(ledger: Ledger) -> None:
    call(ledger, ANNA)
    answered = call(ledger, BERT)
    with ledger.transaction():
        ledger.store_reply(answered, answer())
    with ledger.transaction():
        assert ledger.lose_open_calls() == 1
        assert ledger.lose_open_calls() == 0
    assert ledger.rows("SELECT status FROM calls ORDER BY id") == [("lost",), ("answered",)]
    assert ledger.unread_calls() == [answered]


def test_values_are_remembered_by_key_and_replaced(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.set_meta({"a": 1, "b": None})
    with ledger.transaction():
        ledger.set_meta({"a": {"深": [1.5, True]}})
    assert ledger.meta() == {"a": {"深": [1.5, True]}, "b": None}


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_ledger_on_a_read_only_medium_is_read_without_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: bool
) -> None:
    new_ledger(tmp_path, [ANNA]).close()
    if looked_at:
        with Ledger.watch(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.logged_users() == {"anna"}
        (tmp_path / "ledger.sqlite-shm").unlink()  # as copying does, and SQLite cannot make it anew there
        assert (tmp_path / "ledger.sqlite-wal").exists()
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    before = sorted(tmp_path.iterdir())
    with Ledger.watch(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.logged_users() == {"anna"}
        assert sorted(tmp_path.iterdir()) == before
