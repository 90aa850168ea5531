"""Files with results: events.jsonl, failures.jsonl and rejects.jsonl; and events as CSV, Parquet, SQLite, Excel and XES."""

import errno
import fcntl
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self
from xml.sax.saxutils import quoteattr
from zoneinfo import ZoneInfo

import duckdb
import orjson

from eventabs.errors import UsageError
from eventabs.ingest import as_glob, errors_named, quoted
from eventabs.language import gettext as _
from eventabs.object_stores import Destination, is_address
from eventabs.records import RejectedRow
from eventabs.store.directory import RunDirectory, open_private, open_to_append, replace_file, storage_error
from eventabs.store.extensions import changed_events, users_with_events
from eventabs.store.ledger import Ledger, offset_seconds
from eventabs.store.queries import failed_users, user_states

if TYPE_CHECKING:
    import xlsxwriter


TEXTS: Final = ("user_id", "type", "category", "start", "end", "summary", "source")
COLUMNS: Final = (*TEXTS, "behaviors", "grounded")

Row = dict[str, Any]


def rows_of(ledger: Ledger) -> Iterator[Row]:
    """Yield all events in the order of events.jsonl."""
    return (event for _user_id, events in users_with_events(ledger) for event in events)


def behaviors_text(row: Row) -> str:
    """Return the behaviors of an event as a JSON array, for formats without lists."""
    return orjson.dumps(row["behaviors"]).decode()


def start_and_end(row: Row) -> tuple[datetime, datetime]:
    """Return start and end, aware where they have an offset."""
    return datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])


_BOM: Final = "\ufeff"
# with a quote before what a spreadsheet would run
_HARMLESS: Final = (
    """CASE WHEN regexp_matches("{0}", '^[=+\\-@\\t\\r]') THEN chr(39) || "{0}" ELSE "{0}" END AS "{0}\""""
)
_STORED: Final = dict.fromkeys(TEXTS, "VARCHAR") | {"behaviors": "INTEGER[]", "grounded": "BOOLEAN"}
_OFFSETS: Final = ("start_offset", "end_offset")
_TYPED: Final = _STORED | {"start": "TIMESTAMP", "end": "TIMESTAMP"} | dict.fromkeys(_OFFSETS, "INTEGER")


def write_csv(rows: Iterable[Row], target: Path, *, bom: bool) -> None:
    """Write events as CSV, behaviors as a JSON array; `bom`: mark it as UTF-8, which Excel needs.

    Raises InputError where DuckDB cannot.
    """
    names = dict(zip(TEXTS, TEXTS, strict=True))
    if bom:
        names["user_id"] = _BOM + "user_id"  # the header's first name begins the file
    texts = ", ".join(f'"{names[name]}"' for name in TEXTS)
    harmless = ", ".join(map(_HARMLESS.format, TEXTS))
    select = f"SELECT {harmless}, CAST(to_json(behaviors) AS VARCHAR) AS behaviors, grounded FROM events"
    header = f"SELECT * FROM ({select}) AS written({texts}, behaviors, grounded)"
    _copy(rows, _STORED, header, target, "FORMAT csv, HEADER")


def write_parquet(rows: Iterable[Row], target: Path) -> None:
    """Write events as Parquet: start and end as wall times, behind the known columns their offsets from UTC.

    Offsets are seconds, null where the run knew no zone. Raises InputError where DuckDB cannot.
    """
    columns = ", ".join(f'"{name}"' for name in (*COLUMNS, *_OFFSETS))
    _copy(map(_typed, rows), _TYPED, f"SELECT {columns} FROM events", target, "FORMAT parquet")


def write_sqlite(rows: Iterable[Row], target: Path) -> None:
    """Write events into the table `events` of a new SQLite database, behaviors as a JSON array."""
    stored = ({**row, "behaviors": behaviors_text(row)} for row in rows)
    with closing(sqlite3.connect(target)) as database, database:
        texts = ", ".join(f'"{name}" TEXT' for name in TEXTS)
        database.execute(f"CREATE TABLE events ({texts}, behaviors TEXT, grounded INTEGER)")
        database.executemany(
            f"INSERT INTO events VALUES ({', '.join(f':{name}' for name in COLUMNS)})", stored
        )


def _typed(row: Row) -> Row:
    start, end = start_and_end(row)
    times = {"start": start.replace(tzinfo=None).isoformat(), "end": end.replace(tzinfo=None).isoformat()}
    return {**row, **times, "start_offset": offset_seconds(start), "end_offset": offset_seconds(end)}


def _copy(rows: Iterable[Row], types: dict[str, str], select: str, target: Path, options: str) -> None:
    """Write what `select` makes of the table `events`, which goes over the disk: DuckDB takes no rows one by one."""
    lines = target.with_name("events.jsonl")
    with open(lines, "wb", opener=open_private) as file:
        file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    events = (
        f"read_json({quoted(as_glob(str(lines)))}, format = 'newline_delimited', columns = {{{columns}}})"
    )
    with errors_named(str(lines)), duckdb.connect(config=_CONFIG) as connection:
        connection.execute(
            f"COPY (WITH events AS (FROM {events}) {select}) TO {quoted(str(target))} ({options})"
        )
    lines.unlink()


_CONFIG: Final[dict[str, Any]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "256MB",
    "threads": 2,  # each holds the rows that it writes next
}


# Excel's own limits
_ROWS: Final = 1_048_575  # below the header
_CHARACTERS: Final = 32_767  # of a cell, counted in UTF-16
_FIRST_YEAR: Final = 1900

_WIDTHS: Final = {"user_id": 16, "start": 19, "end": 19, "summary": 48}


def write_workbook(rows: Iterable[Row], target: Path) -> None:
    """Write events as a workbook; times are wall times, a text longer than a cell is cut and ends in `…`.

    Events that a sheet has no room for go to a further one. Raises UsageError where xlsxwriter is missing.
    """
    try:
        import xlsxwriter  # noqa: PLC0415  an extra
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415  an extra
    except ImportError:
        message = _("{format} needs a package; install it: pip install 'eventabs[excel]'")
        raise UsageError(message.format(format="xlsx")) from None
    options = {"constant_memory": True, "use_zip64": True, "tmpdir": str(target.parent)}
    try:
        with xlsxwriter.Workbook(str(target), options) as book:
            _write_sheets(book, rows)
    except FileCreateError as error:
        raise error.args[0] from error  # the system's own


def _write_sheets(book: "xlsxwriter.Workbook", rows: Iterable[Row]) -> None:
    time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    bold = book.add_format({"bold": True})
    rest = iter(rows)
    name, number = "events", 1
    while True:
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(COLUMNS):
            sheet.set_column(column, column, _WIDTHS.get(title, 12))
            sheet.write_string(0, column, title, bold)
        written = 0
        for written, row in enumerate(islice(rest, _ROWS), 1):
            _write_row(sheet, written, row, time)
        sheet.autofilter(0, 0, written, len(COLUMNS) - 1)
        if written < _ROWS:
            return
        number += 1
        name = f"events {number}"


def _write_row(sheet: Any, number: int, row: Row, time: Any) -> None:  # noqa: ANN401  xlsxwriter has no types
    start, end = map(_date, start_and_end(row))
    values = {**row, "start": start, "end": end, "behaviors": behaviors_text(row)}
    for column, name in enumerate(COLUMNS):
        match values[name]:
            case bool(value):
                sheet.write_boolean(number, column, value)
            case datetime() as moment:
                sheet.write_datetime(number, column, moment, time)
            case value:  # never a formula, whatever it begins with
                sheet.write_string(number, column, _cell(str(value)))


def _date(moment: datetime) -> datetime | str:
    wall_time = moment.replace(tzinfo=None)
    return wall_time if wall_time.year >= _FIRST_YEAR else wall_time.isoformat()


def _cell(text: str) -> str:
    if text.startswith("<r>"):
        text = f" {text}"  # xlsxwriter would take it for its own markup
    text = text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")  # which XML cannot hold
    if len(text.encode("utf-16-le")) <= 2 * _CHARACTERS:
        return text
    return text.encode("utf-16-le")[: 2 * _CHARACTERS - 2].decode("utf-16-le", "ignore") + "…"


# without a namespace, as the schema of the standard has it
_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xes.features="">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<global scope="trace">
<string key="concept:name" value=""/>
</global>
<global scope="event">
<string key="concept:name" value=""/>
<string key="concept:instance" value=""/>
<string key="lifecycle:transition" value="complete"/>
<date key="time:timestamp" value="1970-01-01T00:00:00+00:00"/>
</global>
<classifier name="Type" scope="event" keys="concept:name"/>
<classifier name="TypeAndTransition" scope="event" keys="concept:name lifecycle:transition"/>
<string key="lifecycle:model" value="standard"/>
"""
_FOREIGN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # to XML 1.0


def write_xes(users: Iterable[tuple[str, Sequence[Row]]], target: Path, zone: str) -> None:
    """Write the events of users as traces. Times without an offset are those of `zone`, a name or "".

    Raises UsageError for an unknown zone, and where one is needed.
    """
    known = _zone(zone)
    with open(target, "w", encoding="utf-8", opener=open_private) as file:
        file.write(_HEAD)
        for user_id, events in users:
            file.writelines(_trace(user_id, events, known))
        file.write("</log>\n")


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, OSError, ValueError):
        message = _("there is no time zone {zone}; take a name such as Asia/Shanghai or Europe/Berlin")
        raise UsageError(message.format(zone=name)) from None


def _trace(user_id: str, events: Sequence[Row], zone: tzinfo | None) -> Iterator[str]:
    transitions = []
    for number, (row, (start, end)) in enumerate(zip(events, _moments(events, zone), strict=True)):
        transitions.append((start, "start", number, row))
        transitions.append((max(start, end), "complete", number, row))
    transitions.sort(key=lambda each: each[0])  # stable: a start stays before its own end
    yield f"<trace>\n{_string('concept:name', user_id)}"
    for moment, transition, number, row in transitions:
        yield from _event(moment, transition, number, row)
    yield "</trace>\n"


def _event(moment: datetime, transition: str, number: int, row: Row) -> Iterator[str]:
    yield "<event>\n"
    yield _string("concept:name", row["type"])
    yield _string("concept:instance", str(number))
    yield _string("lifecycle:transition", transition)
    if moment.strftime("%z")[5:]:  # seconds in an offset, as before zones were made, are none of XML's
        moment = moment.astimezone(UTC)
    yield f'<date key="time:timestamp" value="{moment.isoformat(timespec="seconds")}"/>\n'
    if transition == "complete":
        for key in ("category", "summary", "source"):
            yield _string(key, row[key])
        yield _string("behaviors", behaviors_text(row))
        yield f'<boolean key="grounded" value="{str(bool(row["grounded"])).lower()}"/>\n'
    yield "</event>\n"


def _moments(events: Sequence[Row], zone: tzinfo | None) -> list[tuple[datetime, datetime]]:
    """Return the times of a user's events with offsets: their own, else the zone's, else that of an event beside them."""
    times = [start_and_end(row) for row in events]
    beside = zone or next((start.tzinfo for start, _end in times if start.tzinfo), None)
    return [(_aware(start, beside), _aware(end, beside)) for start, end in times]


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo:
        return moment
    if zone is None:
        message = _(
            "XES needs times with a zone, and the run knows none; say what zone people lived in: --timezone Asia/Shanghai"
        )
        raise UsageError(message)
    return moment.replace(tzinfo=zone)


def _string(key: str, value: str) -> str:
    text = _FOREIGN.sub("\ufffd", value)
    return f"<string key={quoteattr(key)} value={quoteattr(text)}/>\n"


_SCRATCH = ".eventabs-export-"

ExportFormat = Literal["csv", "parquet", "sqlite", "xlsx", "xes"]


class Exported(NamedTuple):
    """Where events were written, as it may be shown; of how many users that are done, and how many are not yet."""

    place: str
    done: int
    pending: int


def export_events(
    named: Path,
    form: ExportFormat,
    output: str = "",
    *,
    bom: bool = False,
    timezone: str = "",
    replace: bool = False,
) -> Exported:
    """Write the events of all users that are done, also of a run that goes on.

    `output` is a file or the address of an object; "": beside events.jsonl, where the file is replaced. Either is
    written as a whole or not at all. `bom`: mark CSV as UTF-8; `timezone`: that of times without one in XES, if not the
    run's; `replace`: also where something is. Raises RunDirectoryError where there is no run, and UsageError where
    `output` is there already or cannot be written.
    """
    directory = RunDirectory.find(named)
    target: Destination | _File
    if is_address(output):
        target, local = Destination(output, replace=replace), directory.path / "events"
    else:
        local = Path(output or directory.path / f"events.{form}")
        target = _File(local, form, replace=replace or not output)
    try:
        with _scratch(local.parent) as folder:
            fresh = folder / "events"
            with Ledger.watch(directory.ledger) as ledger:
                _write(ledger, form, fresh, bom=bom, timezone=timezone)
                states = user_states(ledger)
            target.write(fresh)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=local, error=error.strerror or error)) from error
    return Exported(target.address, states["done"], states["pending"])


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """Make a folder for its owner only, and remove those of exports that were killed: nobody holds their locks any more."""
    for left in parent.glob(f"{_SCRATCH}????????"):
        with suppress(OSError), _locked(left):
            rmtree(left)
    with TemporaryDirectory(prefix=_SCRATCH, dir=parent) as folder, ExitStack() as held:
        with suppress(OSError):  # a file system without locks
            held.enter_context(_locked(Path(folder)))
        yield Path(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises OSError where another process holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


class _File:
    """A place for a file of this machine. Raises UsageError where one is that may not be replaced."""

    def __init__(self, path: Path, form: ExportFormat, *, replace: bool) -> None:
        self.address = str(path)
        self._path = path
        if not (path.exists() or path.is_symlink()):
            return
        if not replace:
            message = _("{path} exists; name another with --output, or replace it with --replace")
            raise UsageError(message.format(path=path))
        if RunDirectory(path.parent).holds_run() and path.name != f"events.{form}":
            message = _("{path} may be a file of the run itself; name another with --output")
            raise UsageError(message.format(path=path))

    def write(self, fresh: Path) -> None:
        """Put a file there, in one step."""
        fresh.chmod(0o600)
        fresh.replace(self._path)


def _write(ledger: Ledger, form: ExportFormat, target: Path, *, bom: bool, timezone: str) -> None:
    match form:
        case "csv":
            write_csv(rows_of(ledger), target, bom=bom)
        case "parquet":
            write_parquet(rows_of(ledger), target)
        case "sqlite":
            write_sqlite(rows_of(ledger), target)
        case "xlsx":
            write_workbook(rows_of(ledger), target)
        case "xes":
            zone = timezone or str(ledger.meta()["settings"]["input"]["timezone"])
            write_xes(users_with_events(ledger), target, zone)


class EventsFile:
    """Appends the events of users as they are done. The file has whole lines only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_to_append(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def append(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write events with one system call. Raises StorageError."""
        lines, end = _lines(events), self._file.tell()
        try:
            written = self._file.write(lines)
        except OSError as error:
            raise storage_error(self._path, error) from error
        if written != len(lines):
            self._file.truncate(end)
            raise storage_error(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def write_results(directory: RunDirectory, ledger: Ledger) -> None:
    """Write events.jsonl and failures.jsonl anew from the ledger, in order of user and time."""
    replace_file(directory.events, (_lines(events) for _user_id, events in users_with_events(ledger)))
    replace_file(directory.failures, (_lines([user]) for user in failed_users(ledger)))


def write_changes(directory: RunDirectory, ledger: Ledger) -> dict[str, int]:
    """Write events.new.jsonl, what the last extension changed in the events; return how many lines of each kind."""
    counts = Counter[str]()

    def lines() -> Iterator[bytes]:
        for change in changed_events(ledger):
            counts[change["change"]] += 1
            yield _lines([change])

    replace_file(directory.new_events, lines())
    return dict(counts)


def write_rejects(directory: RunDirectory, rejects: Iterable[RejectedRow]) -> None:
    """Write rejects.jsonl."""
    rows = ({"file": row.file, "line": row.line, "reason": row.reason, "text": row.text} for row in rejects)
    replace_file(directory.rejects, (_lines([row]) for row in rows))


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
