"""The scratch database is shut off, and leaves nothing behind."""

from pathlib import Path

import duckdb
import pytest

from eventabs.errors_and_exit_codes import InputError, StorageError
from eventabs.ingest.normal_form import errors_named, quoted, scratch_database
from input_files import opened, write


def test_only_the_named_files_can_be_read(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.csv", tmp_path / "other.csv"
    mine.write_text("a\n1\n")
    other.write_text("a\n1\n")
    with scratch_database(tmp_path / "scratch", [str(mine)]) as connection:
        query = "SELECT count(*) FROM read_csv(?)"
        assert connection.execute(query, [str(mine)]).fetchone() == (1,)
        with pytest.raises(duckdb.PermissionException):
            connection.execute(query, [str(other)])
        with pytest.raises(duckdb.Error):
            connection.execute("SET enable_external_access = true")
        with pytest.raises(duckdb.Error):
            connection.execute("SET allowed_paths = ?", [[str(other)]])


def test_memory_is_given_back_and_nothing_can_be_set_afterwards(tmp_path: Path) -> None:
    allowed = "SELECT current_setting('memory_limit')"
    with scratch_database(tmp_path / "scratch", []) as connection:
        assert connection.execute(allowed).fetchone() == ("514.9 MiB",)
    with opened(tmp_path, write(tmp_path, "a.csv", b"user,time,item\nu1,2026-01-15,A\n")) as export:
        assert export._connection.execute(allowed).fetchone() == ("238.4 MiB",)
        with pytest.raises(duckdb.Error):
            export._connection.execute("SET memory_limit = '8GB'")


def test_the_folder_is_private_and_gone_afterwards_also_after_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "scratch"
    with scratch_database(folder, []):
        assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    with pytest.raises(duckdb.Error), scratch_database(folder, []) as connection:
        connection.execute("no sql")
    assert not folder.exists()


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "behaviors.duckdb").write_bytes(b"half a database")
    with scratch_database(folder, []) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_duckdbs_errors_become_one_line_about_the_file() -> None:
    with pytest.raises(InputError) as caught, errors_named("x.csv"):
        duckdb.execute("SELECT error('first' || chr(10) || 'second')")
    assert str(caught.value).startswith("x.csv cannot be read: ")
    assert "second" not in str(caught.value)


def test_a_quoted_literal_is_itself() -> None:
    with duckdb.connect() as connection:
        assert connection.execute("SELECT " + quoted("it's ''")).fetchone() == ("it's ''",)


def test_a_disk_without_room_for_the_scratch_database_is_said_with_its_folder(tmp_path: Path) -> None:
    full = "Failed to commit: Could not write file: No space left on device"
    with (
        pytest.raises(StorageError, match="cannot be written"),
        scratch_database(tmp_path / "scratch", []),
    ):
        raise duckdb.TransactionException(full)
    assert not (tmp_path / "scratch").exists()
