"""What is wrong with a ledger that something failed on. Nobody looks for it before: that takes a read of it all."""

import errno
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from eventabs.config import Settings
from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.records import Event, RunStatus
from eventabs.store.codec import MOST_TIMES, InflationError, unpack_json, unpack_log, unpack_text
from eventabs.store.fingerprint import public_settings
from eventabs.store.ledger import connect_to_read, damaged

_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, zlib.error)
_STORED_AS = {
    "INTEGER": "'integer', 'null'",
    "REAL": "'real', 'integer', 'null'",
    "TEXT": "'text', 'null'",
    "BLOB": "'blob', 'null'",
}
_RANGES = {
    "INTEGER": (-1, 10**15),  # sums of more pass what the database can add up
    "REAL": (0, 10**11),  # seconds since 1970; later ones are beyond the calendar
}
# what JSON facts and blobs are made of; those of a run that has just begun, and what it learns later
_FACTS: dict[str, Any] = {
    "run_id": str,
    "created_at": str,
    "folder": str,
    "config_file": str,
    "settings_fingerprint": str,
    "template": str | None,
    "rules": str,
    "paths": list[str],
    "binding": dict[str, str],
    "flags": dict[str, dict[str, Any]],
}
_LATER_FACTS: dict[str, Any] = {
    "input": dict[str, Any],
    "legend": dict[str, str] | None,
    "prompt_language": str,
    "status": RunStatus,
    "began_at": float,
    "ended_at": float,
    "fruitless": dict[str, str | int],
}
_NEEDED_BY_FEW = ("calls.messages of", "calls.reply of", "calls.reasoning of")
_ASKED = dict[str, tuple[str, int, int]]


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise RunDirectoryError for what fails because the ledger is damaged; a fault of ours stays what it is."""
    try:
        yield
    except (*_UNREADABLE, AttributeError, RuntimeError, OSError, sqlite3.Error) as error:
        if isinstance(error, OSError) and error.errno != errno.EOVERFLOW:
            raise  # the disk's fault; the other one is a time beyond the calendar
        with closing(connect_to_read(path)) as ledger:
            try:
                what = next(_findings(ledger), "")
            except sqlite3.Error:
                raise damaged(path) from error
        if not what:
            raise
        if isinstance(error, InflationError):
            raise _swollen(path, what) from None
        raise _unreadable(path, what) from error


def _swollen(path: Path, what: str) -> RunDirectoryError:
    message = _(
        "{path} is not opened further: {what} would unpack to more than {times} times its size, which no run"
        " leaves behind; it was made to fill your memory, or it is damaged: do not use this run directory"
    )
    return RunDirectoryError(message.format(path=path, what=what, times=MOST_TIMES))


def _unreadable(path: Path, what: str) -> RunDirectoryError:
    if what.startswith(_NEEDED_BY_FEW):
        message = _(
            "{path} is damaged: {what} cannot be read. Only report, reparse and show --raw need it; the other"
            " commands go on without"
        )
    else:
        message = _(
            "{path} is damaged: {what} cannot be read. events.jsonl beside it has what was done: keep a copy, and"
            " ask about the others in a new run with another --out"
        )
    return RunDirectoryError(message.format(path=path, what=what))


def _findings(ledger: sqlite3.Connection) -> Iterator[str]:
    """Yield what cannot be read, such as `calls.reply of 3`, the worst first. Raises sqlite3.Error."""
    ((sound,),) = ledger.execute("PRAGMA quick_check(1)")
    if sound != "ok":
        raise sqlite3.DatabaseError(sound)
    yield from _columns(ledger)
    yield from _facts(ledger)
    yield from _strays(ledger)
    events, asked, messages = map(TypeAdapter[Any], (list[Event], _ASKED, list[dict[str, str]]))
    for table, column, key, read in (
        ("users", "log", "user_id", lambda blob: unpack_log("", blob)),
        (
            "outcomes",
            "events",
            "call_id || ' ' || user_id",
            lambda blob: events.validate_python(unpack_json(blob)),
        ),
        ("calls", "users", "id", lambda text: asked.validate_python(orjson.loads(text))),
        ("calls", "messages", "id", lambda blob: messages.validate_python(unpack_json(blob))),
        ("calls", "reply", "id", unpack_text),
        ("calls", "reasoning", "id", unpack_text),
    ):
        rows = ledger.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL")
        yield from (f"{table}.{column} of {of}" for of, value in rows if not _reads(read, value))


def _columns(ledger: sqlite3.Connection) -> Iterator[str]:
    """Yield columns that are not there, or hold values of another kind."""
    tables = resources.files("eventabs.store").joinpath("schema.sql").read_text("utf-8")
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(tables)
        for (table,) in fresh.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            found = {name for _id, name, *_rest in ledger.execute(f"PRAGMA table_info({table})")}
            for _id, column, kind, *_rest in fresh.execute(f"PRAGMA table_info({table})"):
                stray = f"SELECT 1 FROM {table} WHERE typeof({column}) NOT IN ({_STORED_AS[kind]})"
                if kind in _RANGES:
                    stray += " OR {} NOT BETWEEN {} AND {}".format(column, *_RANGES[kind])
                if column not in found or ledger.execute(f"{stray} LIMIT 1").fetchone():
                    yield f"{table}.{column}"


def _facts(ledger: sqlite3.Connection) -> Iterator[str]:
    stored = dict(ledger.execute("SELECT key, value FROM meta"))
    for key, kind in (_FACTS | _LATER_FACTS).items():
        known = key in stored or key in _FACTS
        if known and not _reads(partial(_validated, kind), stored.get(key, "")):
            yield f"meta.{key}"
    if not _reads(_settings, stored.get("settings", "")):
        yield "meta.settings"


def _strays(ledger: sqlite3.Connection) -> Iterator[str]:
    """Yield users that only one of two tables knows."""
    for table, other in (("users", "parts"), ("parts", "users")):
        unknown = f"SELECT user_id FROM {other} EXCEPT SELECT user_id FROM {table} LIMIT 1"
        yield from (f"{table}.user_id of {user_id}" for (user_id,) in ledger.execute(unknown))


def _reads(read: Callable[[Any], object], value: object) -> bool:
    try:
        read(value)
    except _UNREADABLE:
        return False
    return True


def _validated(kind: Any, text: str) -> None:  # noqa: ANN401  whatever stands for a type
    TypeAdapter(kind).validate_python(orjson.loads(text))


def _settings(text: str) -> None:
    settings = orjson.loads(text)
    Settings(**settings)
    _refuse_missing(settings, public_settings(Settings()))


def _refuse_missing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, value in expected.items():
        if isinstance(value, Mapping):
            _refuse_missing(found[key], value)
        else:
            found[key]
