import os
import re
import shutil
import sqlite3  # noqa: TID251  the ledger is damaged by hand
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from eventabs.errors_and_exit_codes import RunDirectoryError, StorageError
from eventabs.inspection import calls_of, view_user
from eventabs.runs.run_state import inspect_run
from eventabs.runs.start_resume_reparse import reparse
from eventabs.store.counts_users_jobs_extensions import user_row, user_states
from eventabs.store.ledger import Ledger, damage_reported
from eventabs.store.result_files import export_events
from eventabs.views.panel_status_show import render_calls
from report_kit import rendered
from runs_jobs import RULES, Place, finish

NO_BLOB = "x'00112233'"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a run of which a part is done."""
    place = Place(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(place.folder / "state"))
        with place.begin(RULES | {"budget": {"max_users": 2}, "run": {"limit": 4}}) as job:
            finish(job)
    return place


@pytest.fixture
def place(whole: Place, tmp_path: Path) -> Place:
    """Return a copy of it."""
    shutil.copytree(whole.folder, tmp_path / "copy")
    return Place(tmp_path / "copy")


def look(place: Place) -> None:
    inspect_run(place.out, now=lambda: 0.0)


def show(place: Place) -> None:
    with Ledger.watch(place.out / "ledger.sqlite") as ledger:
        view_user(ledger, "user_0000", Path("run"))
        render_calls(Console(file=StringIO()), calls_of(ledger, "user_0000"))


def report(place: Place) -> None:
    rendered(place.out)


def export(place: Place) -> None:
    export_events(place.out, "csv", str(place.folder / "new.csv"))


def resume(place: Place) -> None:
    with place.reopen() as job:
        finish(job)


def read_again(place: Place) -> None:
    with place.reopen(changed="ignore") as job:
        reparse(job)


COMMANDS = (look, show, report, export, resume, read_again)

# what is done to the ledger: the commands that need it
DAMAGE = {
    f"UPDATE users SET log = {NO_BLOB}": (show, report, read_again),
    f"UPDATE outcomes SET result = {NO_BLOB}": (show, report, export, resume),
    f"UPDATE calls SET reply = {NO_BLOB}": (show, report, read_again),
    f"UPDATE calls SET reasoning = {NO_BLOB}": (show, report, read_again),
    f"UPDATE calls SET messages = {NO_BLOB}": (show, report),
    "UPDATE calls SET users = '{'": (show, report, read_again),
    "UPDATE meta SET value = '{'": (look, show, report, resume, read_again),
}
OTHER_TABLES = {
    "ALTER TABLE calls RENAME COLUMN seconds TO hours": (show, report, resume, read_again),
    "DROP TABLE outcomes": (look, show, report, export, resume, read_again),
    "DROP TABLE meta": (look, show, report, resume, read_again),
}


def spoil(place: Place, *statements: str) -> None:
    with closing(sqlite3.connect(place.out / "ledger.sqlite")) as ledger:
        for statement in statements:
            ledger.execute(statement)
        ledger.commit()


def error_of(command: Callable[[Place], None], place: Place) -> str:
    try:
        command(place)
    except RunDirectoryError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_cannot_be_read_is_called_damage_in_one_line_by_every_command_that_needs_it(
    place: Place, damage: str
) -> None:
    # as of an endpoint, since the rules report no tokens
    spoil(place, "UPDATE calls SET input_tokens = 9, prompt_tokens = 9", damage)
    told = {command.__name__: error_of(command, place) for command in COMMANDS}
    assert [name for name in told if told[name]] == [command.__name__ for command in DAMAGE[damage]]
    for message in filter(None, told.values()):
        assert message.startswith(f"{place.out / 'ledger.sqlite'} is damaged; events.jsonl")
        assert message.endswith(".recover | sqlite3 saved.sqlite")
        assert "\n" not in message


@pytest.mark.parametrize("change", OTHER_TABLES)
def test_a_ledger_with_other_tables_or_columns_is_whole_but_of_another_version(
    place: Place, change: str
) -> None:
    spoil(place, change)
    told = {command.__name__: error_of(command, place) for command in COMMANDS}
    assert [name for name in told if told[name]] == [command.__name__ for command in OTHER_TABLES[change]]
    for message in filter(None, told.values()):
        assert re.search(
            r"does not fit this version of eventabs \(no such (column|table): [\w.]+\); go on with", message
        )
        assert "\n" not in message


def test_torn_pages_are_called_damage_with_the_command_that_saves_what_is_left(place: Place) -> None:
    path = place.out / "ledger.sqlite"
    os.truncate(path, path.stat().st_size // 2)
    for command in COMMANDS:
        assert ".recover" in error_of(command, place)


@pytest.mark.parametrize(
    ("value", "commands"),
    [
        ("users.log", (show, report, read_again)),
        ("calls.reply", (show, report, read_again)),
    ],
)
def test_a_value_made_to_fill_the_memory_is_refused_in_little_by_every_command_that_inflates_it(
    place: Place, value: str, commands: tuple[Callable[[Place], None], ...]
) -> None:
    table, column = value.split(".")
    bomb = zlib.compress(bytes(100_000_000), 9).hex()
    spoil(
        place,
        "UPDATE calls SET input_tokens = 9, prompt_tokens = 9",
        f"UPDATE {table} SET {column} = x'{bomb}'",
    )
    for command in commands:
        tracemalloc.start()
        assert ".recover" in error_of(command, place)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 50_000_000
    assert error_of(look, place) == ""  # status reads no such value


@pytest.mark.parametrize(
    "active",
    [
        "CREATE VIEW more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n",
        "CREATE TRIGGER more AFTER UPDATE ON parts BEGIN DELETE FROM users; END",
        "CREATE VIRTUAL TABLE more USING fts5(text)",
    ],
)
def test_a_ledger_that_would_run_somebody_elses_statements_is_refused(place: Place, active: str) -> None:
    spoil(place, active)
    for command in COMMANDS:
        assert "was not written by eventabs alone" in error_of(command, place)


def test_a_table_in_the_place_of_a_view_is_not_read(place: Place) -> None:
    spoil(place, "CREATE TABLE user_states AS SELECT user_id, 'done' AS state FROM users")
    with Ledger.watch(place.out / "ledger.sqlite") as ledger:
        assert user_states(ledger) == {"pending": 0, "done": 4, "failed": 0}
        assert user_row(ledger, "user_0000") is not None


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError(), KeyError(), ValueError(), OSError(), StorageError("full")]
)
def test_a_fault_of_the_program_or_the_disk_is_not_called_damage(place: Place, fault: Exception) -> None:
    with pytest.raises(type(fault)), damage_reported(place.out / "ledger.sqlite"):
        raise fault


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="no sqlite3 command")
def test_the_command_that_the_error_names_makes_a_ledger_again(place: Place) -> None:
    path = place.out / "ledger.sqlite"
    with path.open("r+b") as file:
        file.seek(3 * 8192 + 8)
        file.write(bytes(16))
    _said, _with, command = error_of(report, place).partition("with: ")
    subprocess.run(command, shell=True, check=True, cwd=place.folder)  # noqa: S602  as a person pastes it
    ledger = Ledger.open(place.folder / "saved.sqlite")
    assert len(ledger.logged_users()) == 4
    ledger.close()
