import errno
import os
import shutil
import sqlite3  # noqa: TID251  damage is done from outside
import subprocess
import zlib
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from eventabs.errors import RunDirectoryError, StorageError
from eventabs.inspection.report import open_report_facts
from eventabs.inspection.status import inspect_run
from eventabs.inspection.user import stored_calls, view_user
from eventabs.runs.lifecycle import reparse
from eventabs.store.damage import damage_reported
from eventabs.store.ledger import Ledger
from eventabs.store.tables import export_events
from eventabs.views.report import render_report
from eventabs.views.show import render_calls
from runs_jobs import RULES, Place, finish

NO_BLOB = "x'00112233'"
OTHER_JSON = f"x'{zlib.compress(b'[1, 2]').hex()}'"

# what is done to the ledger: what the error names
DAMAGE = {
    f"UPDATE users SET log = {NO_BLOB}": "users.log of user_0000",
    f"UPDATE users SET log = {OTHER_JSON}": "users.log of user_0000",
    "UPDATE users SET log = 'text'": "users.log",
    f"UPDATE outcomes SET events = {NO_BLOB}": "outcomes.events of 1 user_0000",
    f"UPDATE outcomes SET events = {OTHER_JSON}": "outcomes.events of 1 user_0000",
    f"UPDATE calls SET reply = {NO_BLOB}": "calls.reply of 1",
    f"UPDATE calls SET messages = {NO_BLOB}": "calls.messages of 1",
    "UPDATE calls SET users = '{'": "calls.users of 1",
    "UPDATE calls SET users = '[1]'": "calls.users of 1",
    "UPDATE calls SET sent_at = 'yesterday'": "calls.sent_at",
    "UPDATE calls SET sent_at = 1e18": "calls.sent_at",
    "UPDATE meta SET value = '\"gone\"' WHERE key = 'status'": "meta.status",
    "UPDATE users SET behaviors = 4611686018427387904": "users.behaviors",
    "UPDATE meta SET value = '{'": "meta.run_id",
    "UPDATE meta SET value = '{}' WHERE key = 'settings'": "meta.settings",
    "UPDATE meta SET value = '1' WHERE key = 'flags'": "meta.flags",
    "UPDATE meta SET value = '1' WHERE key = 'input'": "meta.input",
    "DELETE FROM meta": "meta.run_id",
    "DELETE FROM users WHERE user_id = 'user_0001'": "users.user_id of user_0001",
    "DELETE FROM parts WHERE user_id = 'user_0000'": "parts.user_id of user_0000",
    "ALTER TABLE calls RENAME COLUMN seconds TO hours": "calls.seconds",
    "DROP TABLE outcomes": "outcomes.call_id",
    "DROP TABLE meta": "meta.key",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a run of which a part is done."""
    place = Place(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(place.folder / "state"))
        with place.begin(RULES | {"budget": {"max_users": 2}, "run": {"limit": 4}}) as job:
            finish(job, resumed=False)
    return place


@pytest.fixture
def place(whole: Place, tmp_path: Path) -> Place:
    """Return a copy of it."""
    shutil.copytree(whole.folder, tmp_path / "copy")
    return Place(tmp_path / "copy")


def look(place: Place) -> None:
    inspect_run(place.out, now=lambda: 0.0)


def show(place: Place) -> None:
    path = place.out / "ledger.sqlite"
    with damage_reported(path), Ledger.watch(path) as ledger:
        view_user(ledger, "user_0000")
        render_calls(Console(file=StringIO()), stored_calls(ledger, "user_0000"))


def report(place: Place) -> None:
    with open_report_facts(place.out) as facts:
        render_report(facts)


def export(place: Place) -> None:
    export_events(place.out, "csv", place.folder / "new.csv")


def resume(place: Place) -> None:
    with place.reopen() as job:
        finish(job, resumed=True)


def read_again(place: Place) -> None:
    with place.reopen(changed="ignore") as job:
        reparse(job)


COMMANDS = (look, show, report, export, resume)


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_named_by_every_command_that_needs_it(place: Place, damage: str) -> None:
    with closing(sqlite3.connect(place.out / "ledger.sqlite")) as ledger:
        ledger.execute(damage)
        ledger.commit()
    refused = [command for command in COMMANDS if (told := error_of(command, place)) and check(told, damage)]
    assert refused


def error_of(command: Callable[[Place], None], place: Place) -> str:
    try:
        command(place)
    except RunDirectoryError as error:
        return str(error)
    return ""


def check(told: str, damage: str) -> bool:
    assert "\n" not in told
    assert f" {DAMAGE[damage]} cannot be read" in told
    assert "go on without" in told or "events.jsonl" in told
    return True


@pytest.mark.parametrize("command", COMMANDS)
def test_torn_pages_are_called_damage_with_the_command_that_saves_what_is_left(
    place: Place, command: Callable[[Place], None]
) -> None:
    path = place.out / "ledger.sqlite"
    os.truncate(path, path.stat().st_size // 2)
    assert ".recover" in error_of(command, place)


BOMB = f"x'{zlib.compress(bytes(8_000_000), 9).hex()}'"


@pytest.mark.parametrize(
    ("value", "commands"),
    [
        ("users.log", (show, report, read_again)),
        ("outcomes.events", (show, report, export, resume)),
        ("calls.messages", (show, report)),
        ("calls.reply", (show, report, read_again)),
        ("calls.reasoning", (show, report, read_again)),
    ],
)
def test_a_value_made_to_fill_the_memory_is_named_in_one_line_by_every_command_that_inflates_it(
    place: Place, value: str, commands: tuple[Callable[[Place], None], ...]
) -> None:
    table, column = value.split(".")
    with closing(sqlite3.connect(place.out / "ledger.sqlite")) as ledger:
        ledger.execute(
            "UPDATE calls SET input_tokens = 9, prompt_tokens = 9"
        )  # as of an endpoint, not the rules
        ledger.execute(f"UPDATE {table} SET {column} = {BOMB}")
        ledger.commit()
    for command in commands:
        told = error_of(command, place)
        assert f"{value} of " in told
        assert "32 times its size" in told
        assert "\n" not in told
    assert error_of(look, place) == ""  # status reads no such value


@pytest.mark.parametrize(
    ("bomb", "named"),
    [
        (f"UPDATE users SET log = {BOMB}", "users.log of user_0000"),
        (f"UPDATE calls SET status = 'answered', reply = {BOMB}", "calls.reply of 1"),
    ],
)
def test_a_value_made_to_fill_the_memory_stops_a_resume_that_needs_it(
    place: Place, bomb: str, named: str
) -> None:
    with closing(sqlite3.connect(place.out / "ledger.sqlite")) as ledger:
        ledger.execute("UPDATE parts SET state = 'pending'")
        ledger.execute(bomb)
        ledger.commit()
    assert f"{named} would unpack" in error_of(resume, place)


@pytest.mark.parametrize(
    "active",
    [
        "CREATE VIEW more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n",
        "CREATE TRIGGER more AFTER UPDATE ON parts BEGIN DELETE FROM users; END",
        "CREATE VIRTUAL TABLE more USING fts5(text)",
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_ledger_that_would_run_somebody_elses_statements_is_refused(
    place: Place, command: Callable[[Place], None], active: str
) -> None:
    with closing(sqlite3.connect(place.out / "ledger.sqlite")) as ledger:
        ledger.execute(active)
        ledger.commit()
    assert "was not written by eventabs alone" in error_of(command, place)


def test_a_whole_ledger_is_never_blamed_for_a_fault_of_ours(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), damage_reported(place.out / "ledger.sqlite"):
        _never = 1 / 0
    with pytest.raises(KeyError), damage_reported(place.out / "ledger.sqlite"):
        raise KeyError


def test_a_disk_that_refuses_is_no_damage(place: Place) -> None:
    with pytest.raises(OSError, match="Read-only"), damage_reported(place.out / "ledger.sqlite"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_errors_that_say_what_to_do_are_left_as_they_are(place: Place) -> None:
    with pytest.raises(StorageError, match="full"), damage_reported(place.out / "ledger.sqlite"):
        raise StorageError("full")  # noqa: EM101


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="no sqlite3 command")
def test_the_command_that_the_error_names_makes_a_ledger_again(place: Place) -> None:
    path = place.out / "ledger.sqlite"
    with path.open("r+b") as file:
        file.seek(3 * 4096 + 8)
        file.write(bytes(16))
    _said, _with, command = error_of(report, place).partition("with: ")
    subprocess.run(command, shell=True, check=True, cwd=place.folder)  # noqa: S602  as a person pastes it
    ledger = Ledger.open(place.folder / "saved.sqlite")
    assert len(ledger.logged_users()) == 4
    ledger.close()
