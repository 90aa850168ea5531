"""Files with results: events.jsonl, journeys.jsonl, failures.jsonl and rejects.jsonl; and tables as CSV, Parquet, SQLite, Excel and XES."""

import errno
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, tzinfo
from functools import partial
from io import FileIO
from itertools import count, islice
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import orjson

from eventabs.errors_and_exit_codes import UsageError
from eventabs.ingest import ALONE, as_glob, errors_named, quoted
from eventabs.interface_language import gettext as _
from eventabs.object_stores import Address, Destination, is_address
from eventabs.setting_choices import ExportFormat, TraceCases
from eventabs.shared_records import RejectedRow
from eventabs.store import counts_users_jobs_extensions as queries
from eventabs.store.counts_users_jobs_extensions import Row, SettledUser
from eventabs.store.ledger import Ledger, offset_seconds
from eventabs.store.run_directory_and_checkpoint import (
    RunDirectory,
    locked,
    open_private,
    replace_file,
    replaced,
    storage_error,
)

if TYPE_CHECKING:
    import xlsxwriter


# in DuckDB, of columns in any table; the others are texts
_TYPES: Final = {
    **dict.fromkeys(("start", "end"), "TIMESTAMP"),
    **dict.fromkeys(("minutes", "days", "behavior", "line"), "INTEGER"),
    **dict.fromkeys(("sure", "converted"), "BOOLEAN"),
    **dict.fromkeys(("types", "events"), "VARCHAR[]"),
    "behaviors": "INTEGER[]",
}


class Table(NamedTuple):
    """What is handed out: its columns with their types, and its rows. Times are ISO 8601."""

    name: str
    columns: dict[str, str]
    rows: Callable[[Ledger], Iterator[Row]]


def _made(at: int, ledger: Ledger) -> Iterator[Row]:
    return (each for _user_id, *made in queries.current_by_user(ledger) for each in made[at])


def _behaviors(ledger: Ledger) -> Iterator[Row]:
    files = ledger.meta().get("files", [])
    for user_id, state in queries.states_by_user(ledger):
        if state != "done":
            continue
        made = queries.made_of(ledger, user_id)
        event_of = {index: event for event in made.events for index in event["behaviors"]}
        became = dict.fromkeys(made.minor, "minor") | dict.fromkeys(made.unasked, "unasked")
        for index, behavior in enumerate(ledger.log(user_id).behaviors):
            event = event_of.get(index, {})
            text = behavior.text or ("" if behavior.action else behavior.item)
            yield {
                "event": event.get("id"),
                "journey": event.get("journey"),
                "user_id": user_id,
                "behavior": index,
                "became": "placed" if event else became.get(index, "unplaced"),
                "file": files[behavior.file],
                "line": behavior.line,
                "start": behavior.start.isoformat(),
                "action": behavior.action,
                "item": "" if text else behavior.item,
                "place": behavior.place,
                "text": text,
            }


_OF_EVENTS: Final = "id user_id type category start end minutes summary journey sure source behaviors"
_OF_JOURNEYS: Final = "id user_id kind name start end days minutes converted types events behaviors"
_OF_ROWS: Final = "event journey user_id behavior became file line start action item place text"
_TABLES: Final = tuple(
    Table(name, {column: _TYPES.get(column, "VARCHAR") for column in columns.split()}, rows)
    for name, columns, rows in (
        ("events", _OF_EVENTS, partial(_made, 0)),
        ("journeys", _OF_JOURNEYS, partial(_made, 1)),
        ("rows", _OF_ROWS, _behaviors),
    )
)


def _plain(value: Any) -> Any:  # noqa: ANN401  a cell
    """Return a cell for formats without lists, where these are JSON arrays."""
    return orjson.dumps(value).decode() if isinstance(value, list) else value


# with a quote before what a spreadsheet would run
_HARMLESS: Final = (
    """CASE WHEN regexp_matches("{0}", '^[=+\\-@\\t\\r]') THEN chr(39) || "{0}" ELSE "{0}" END"""
)
_LIST: Final = 'CAST(to_json("{0}") AS VARCHAR)'


def write_csv(table: Table, ledger: Ledger, target: Path, *, bom: bool) -> None:
    """Write a table as CSV, lists as JSON arrays; `bom`: mark it as UTF-8. Raises InputError where DuckDB cannot."""
    types = {name: kind.replace("TIMESTAMP", "VARCHAR") for name, kind in table.columns.items()}
    shown = {"VARCHAR": _HARMLESS, "VARCHAR[]": _LIST, "INTEGER[]": _LIST}
    cells = ", ".join(shown.get(kind, '"{0}"').format(name) for name, kind in types.items())
    header = '"' + "\ufeff" * bom + '", "'.join(types) + '"'  # its first name begins the file
    select = f"SELECT * FROM (SELECT {cells} FROM written) AS shown({header})"
    _copy(table.rows(ledger), types, select, target, "FORMAT csv, HEADER")


def write_parquet(table: Table, ledger: Ledger, target: Path) -> None:
    """Write a table as Parquet: times as wall times, behind the known columns their offsets in seconds. Raises InputError."""
    times = [name for name, kind in table.columns.items() if kind == "TIMESTAMP"]

    def typed(row: Row) -> Row:
        moments = {name: datetime.fromisoformat(row[name]) for name in times}
        walls = {name: moment.replace(tzinfo=None).isoformat() for name, moment in moments.items()}
        return row | walls | {f"{name}_offset": offset_seconds(at) for name, at in moments.items()}

    types = table.columns | dict.fromkeys((f"{name}_offset" for name in times), "INTEGER")
    _copy(map(typed, table.rows(ledger)), types, "FROM written", target, "FORMAT parquet")


def _copy(rows: Iterable[Row], types: Mapping[str, str], select: str, target: Path, options: str) -> None:
    """Write what `select` makes of the rows, which go over the disk: DuckDB takes no rows one by one."""
    lines = target.with_suffix(".jsonl")
    with open(lines, "wb", opener=open_private) as file:
        file.writelines(map(_line, rows))
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    read = f"read_json({quoted(as_glob(str(lines)))}, format = 'newline_delimited', columns = {{{columns}}})"
    config = {**ALONE, "memory_limit": "256MB", "threads": 2}  # each holds the rows that it writes next
    with errors_named(str(lines)), duckdb.connect(config=config) as connection:
        connection.execute(
            f"COPY (WITH written AS (FROM {read}) {select}) TO {quoted(str(target))} ({options})"
        )
    lines.unlink()


def write_sqlite(tables: Sequence[Table], ledger: Ledger, target: Path) -> None:
    """Write tables into a new SQLite database, lists as JSON arrays."""
    types = {"INTEGER": "INTEGER", "BOOLEAN": "INTEGER"}
    with closing(sqlite3.connect(target)) as database, database:
        for table in tables:
            columns = ", ".join(f'"{name}" {types.get(kind, "TEXT")}' for name, kind in table.columns.items())
            database.execute(f"CREATE TABLE {table.name} ({columns})")
            slots = ", ".join("?" * len(table.columns))
            cells = ([_plain(row[name]) for name in table.columns] for row in table.rows(ledger))
            database.executemany(f"INSERT INTO {table.name} VALUES ({slots})", cells)


# Excel's own limits
_ROWS: Final = 1_048_575  # below the header
_CHARACTERS: Final = 32_767  # of a cell, counted in UTF-16
_FIRST_YEAR: Final = 1900

_WIDTHS: Final = {"id": 16, "user_id": 16, "start": 19, "end": 19, "name": 24, "summary": 48, "text": 48}


def write_workbook(tables: Sequence[Table], ledger: Ledger, target: Path) -> None:
    """Write tables as sheets of a workbook, or several each; times are wall times, a text longer than a cell ends in `…`."""
    try:
        import xlsxwriter  # noqa: PLC0415  an extra
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415  an extra
    except ImportError:
        message = _("{format} needs a package; install it: pip install 'eventabs[excel]'")
        raise UsageError(message.format(format="xlsx")) from None
    options = {
        "constant_memory": True,
        "use_zip64": True,
        "tmpdir": str(target.parent),
        "default_date_format": "yyyy-mm-dd hh:mm:ss",
    }
    try:
        with xlsxwriter.Workbook(str(target), options) as book:
            for table in tables:
                _write_sheets(book, table, table.rows(ledger))
    except FileCreateError as error:
        raise error.args[0] from error  # the system's own


def _write_sheets(book: "xlsxwriter.Workbook", table: Table, rows: Iterator[Row]) -> None:
    bold = book.add_format({"bold": True})
    for number in count(1):
        sheet = book.add_worksheet(table.name if number == 1 else f"{table.name} {number}")
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(table.columns):
            sheet.set_column(column, column, _WIDTHS.get(title, 12))
            sheet.write_string(0, column, title, bold)
        written = 0
        for written, row in enumerate(islice(rows, _ROWS), 1):
            for column, (name, kind) in enumerate(table.columns.items()):
                cell = _cell(row[name], kind)
                # a text is no formula and no link, whatever it begins with
                (sheet.write_string if cell and isinstance(cell, str) else sheet.write)(written, column, cell)
        sheet.autofilter(0, 0, written, len(table.columns) - 1)
        if written < _ROWS:
            return


def _cell(value: Any, kind: str) -> Any:  # noqa: ANN401  as it is written
    if kind == "TIMESTAMP":
        wall_time = datetime.fromisoformat(value).replace(tzinfo=None)
        return wall_time if wall_time.year >= _FIRST_YEAR else wall_time.isoformat()
    if not isinstance(text := _plain(value), str):
        return text
    if text.startswith("<r>"):
        text = f" {text}"  # xlsxwriter would take it for its own markup
    text = text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")  # which XML cannot hold
    if len(text.encode("utf-16-le")) <= 2 * _CHARACTERS:
        return text
    return text.encode("utf-16-le")[: 2 * _CHARACTERS - 2].decode("utf-16-le", "ignore") + "…"


_FOREIGN: Final = "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # to XML 1.0


def write_xes(ledger: Ledger, target: Path, zone: str, cases: TraceCases) -> int:
    """Write users, or journeys, as traces of their events; return how many journeys. Times without an offset are of `zone`."""
    try:
        known = ZoneInfo(zone) if zone else None
    except (KeyError, OSError, ValueError):
        message = _("there is no time zone {zone}; take a name such as Asia/Shanghai or Europe/Berlin")
        raise UsageError(message.format(zone=zone)) from None
    with open(target, "w", encoding="utf-8", opener=open_private) as file:
        # without a namespace, as the schema of the standard has it
        file.write(Path(__file__).with_name("xes_head.xml").read_text("utf-8"))
        written = 0
        for user_id, events, found in queries.current_by_user(ledger):
            written += len(found)
            journeys = {journey["id"]: journey for journey in found}
            steps = _steps(events, known)
            if cases == "users" and events:
                file.writelines(_trace({"concept:name": user_id}, steps, journeys))
            for name, journey in journeys.items() if cases == "journeys" else ():
                kind = {key: journey[key] for key in ("kind", "name")}
                own = [step for step in steps if step[2]["journey"] == name]
                file.writelines(_trace({"concept:name": name, **kind, "user": user_id}, own, journeys))
        file.write("</log>\n")
    return written


_Step = tuple[datetime, str, Row]  # the start or the end of an event


def _steps(events: Sequence[Row], zone: tzinfo | None) -> list[_Step]:
    """Return the steps of a user's events in order of time; without an offset they take the zone's, else that of an event beside."""
    times = [[datetime.fromisoformat(event[name]) for name in ("start", "end")] for event in events]
    beside = zone or next((start.tzinfo for start, _end in times if start.tzinfo), None)
    if events and beside is None:
        message = _(
            "XES needs times with a zone, and the run knows none; say what zone people lived in: --timezone Asia/Shanghai"
        )
        raise UsageError(message)
    steps: list[_Step] = []
    for event, ends in zip(events, times, strict=True):
        begun, ended = (each if each.tzinfo else each.replace(tzinfo=beside) for each in ends)
        steps += [(begun, "start", event), (max(begun, ended), "complete", event)]
    return sorted(steps, key=lambda step: step[0])  # stable: a start stays before its own end


def _trace(named: Mapping[str, str], steps: Iterable[_Step], journeys: Mapping[str, Row]) -> Iterator[str]:
    yield "<trace>\n"
    yield from map(_string, named, named.values())
    for moment, transition, event in steps:
        yield "<event>\n"
        yield _string("concept:name", event["type"])
        yield _string("concept:instance", event["id"])
        yield _string("lifecycle:transition", transition)
        # seconds in an offset, as before zones were made, are none of XML's
        at = moment.astimezone(UTC) if moment.strftime("%z")[5:] else moment
        yield f'<date key="time:timestamp" value="{at.isoformat(timespec="seconds")}"/>\n'
        if transition == "complete":
            texts = {key: event[key] for key in ("category", "summary", "source")}
            if journey := journeys.get(event["journey"]):
                texts |= {f"journey_{key}": journey[key] for key in ("id", "kind", "name")}
            yield from map(_string, texts, texts.values())
            yield _string("behaviors", _plain(event["behaviors"]))
            yield f'<int key="minutes" value="{event["minutes"]}"/>\n'
            yield f'<boolean key="sure" value="{str(event["sure"]).lower()}"/>\n'
        yield "</event>\n"
    yield "</trace>\n"


def _string(key: str, value: str) -> str:
    from xml.sax.saxutils import quoteattr  # noqa: PLC0415  it loads an HTTP client

    text = re.sub(_FOREIGN, "\ufffd", value)
    return f"<string key={quoteattr(key)} value={quoteattr(text)}/>\n"


def export_events(
    named: Path,
    form: ExportFormat,
    output: str = "",  # a file or the address of an object; "": beside events.jsonl, where files are replaced
    *,
    rows: bool = False,  # the behaviors too
    cases: TraceCases = "users",  # the traces of XES
    bom: bool = False,  # mark CSV as UTF-8
    timezone: str = "",  # of times without one in XES, if not the run's
    replace: bool = False,  # also where something is
) -> tuple[list[str], dict[str, int]]:
    """Write the current events and journeys of all users, each file as a whole or not at all. Raises UsageError.

    Return the files, as they may be shown, and counts: users by state, those `standing` as before an extension, `journeys` of an XES log.
    """
    directory = RunDirectory.find(named)
    tables = _TABLES if rows else _TABLES[:2]
    names = [table.name for table in (tables if form in ("csv", "parquet") else tables[:1])]  # of files
    parent = Path(output).parent if output and not is_address(output) else directory.path
    targets = _targets(directory, names, form, output, replace=replace)
    try:
        with _scratch(parent) as folder:
            files, journeys = [folder / name for name in names], 0
            with Ledger.watch(directory.ledger) as ledger:
                match form:
                    case "sqlite":
                        write_sqlite(tables, ledger, files[0])
                    case "xlsx":
                        write_workbook(tables, ledger, files[0])
                    case "xes":
                        zone = timezone or str(ledger.meta()["settings"]["input"]["timezone"])
                        journeys = write_xes(ledger, files[0], zone, cases)
                    case _:
                        write = partial(write_csv, bom=bom) if form == "csv" else write_parquet
                        for table, file in zip(tables, files, strict=True):
                            write(table, ledger, file)
                *_held, standing = queries.count_standing(ledger)
                counts = queries.user_states(ledger) | {"standing": standing, "journeys": journeys}
            for target, file in zip(targets, files, strict=True):
                if isinstance(target, Destination):
                    target.write(file)
                else:
                    file.chmod(0o600)
                    file.replace(target)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        where = parent / Path(str(targets[0])).name
        raise UsageError(message.format(path=where, error=error.strerror or error)) from error
    return list(map(str, targets)), counts


def _targets(
    directory: RunDirectory, names: Sequence[str], form: ExportFormat, output: str, *, replace: bool
) -> list[Path | Destination]:
    """Return where tables go: with `out/day.csv` for events, journeys go to `out/day.journeys.csv`. Raises UsageError."""
    if not output:
        return [directory.path / f"{name}.{form}" for name in names]
    if len(names) > 1 and Address.of(output).is_web and re.search("[?#]", output):
        message = _(
            "a signed address takes one file, and {format} has one a table; take --format sqlite or xlsx, or write files and upload each"
        )
        raise UsageError(message.format(format=form))
    folder, slash, last = output.rpartition("/")
    stem, ending = Path(last).stem, Path(last).suffix
    paths = [output, *(f"{folder}{slash}{stem}.{name}{ending}" for name in names[1:])]
    if is_address(output):
        return [Destination(path, replace=replace) for path in paths]
    for name, path in zip(paths, map(Path, paths), strict=True):
        if last in ("", ".", "..") or path.is_symlink() or (path.exists() and not path.is_file()):
            raise UsageError(_("{path} is no regular file; name another with --output").format(path=name))
        if not replace and path.exists():
            message = _("{path} exists; name another with --output, or replace it with --replace")
            raise UsageError(message.format(path=path))
        is_export = path.name.split(".")[0] in ("events", "journeys", "rows") and path.suffix == f".{form}"
        if path.exists() and RunDirectory(path.parent).ledger.exists() and not is_export:
            message = _("{path} may be a file of the run itself; name another with --output")
            raise UsageError(message.format(path=path))
    return list(map(Path, paths))


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """Make a folder for its owner only, and remove those of exports that were killed: nobody holds their locks any more."""
    prefix, a_folder = ".eventabs-export-", os.O_RDONLY | os.O_DIRECTORY
    for left in parent.glob(f"{prefix}????????"):
        with suppress(OSError), locked(left, a_folder):
            rmtree(left)
    with TemporaryDirectory(prefix=prefix, dir=parent) as folder, ExitStack() as held:
        with suppress(OSError):  # a file system without locks
            held.enter_context(locked(Path(folder), a_folder))
        yield Path(folder).absolute()  # DuckDB takes a leading ~ for the home folder


def append_results(files: Iterable[FileIO], users: Collection[SettledUser]) -> None:
    """Append what users have to events.jsonl and journeys.jsonl, whole lines with one system call each. Raises StorageError.

    The files are open: to open them anew for each answer takes longer than to write. Without any nothing is written.
    """
    for file, made in zip(files, ("events", "journeys"), strict=False):
        lines = b"".join([_line(each) for user in users for each in getattr(user, made)])
        try:
            written = file.write(lines) if lines else 0
        except OSError as error:
            raise storage_error(Path(file.name), error) from error
        if written != len(lines):
            file.truncate(file.tell() - written)
            raise storage_error(Path(file.name), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def write_results(directory: RunDirectory, ledger: Ledger) -> None:
    """Write events.jsonl, journeys.jsonl and failures.jsonl anew from the ledger, in order of user and time."""
    with replaced(directory.events) as events, replaced(directory.journeys) as journeys:
        for _user_id, made, found in queries.current_by_user(ledger):
            events.writelines(map(_line, made))
            journeys.writelines(map(_line, found))
    replace_file(directory.failures, map(_line, queries.failed_users(ledger)))


def write_changes(directory: RunDirectory, ledger: Ledger) -> dict[str, int]:
    """Write what the last extension changed to events.new.jsonl and journeys.new.jsonl; return how many lines of each kind."""
    counts = Counter[str]()
    for at, name in enumerate(("events", "journeys")):
        with replaced(directory.path / f"{name}.new.jsonl") as file:
            for row in queries.changed_rows(ledger, at):
                counts[f"{name}_{row['change']}"] += 1
                file.write(_line(row))
    return dict(counts)


def write_rejects(directory: RunDirectory, rejects: Iterable[RejectedRow]) -> None:
    """Write rejects.jsonl."""
    rows = ({"file": row.file, "line": row.line, "reason": row.reason, "text": row.text} for row in rejects)
    replace_file(directory.rejects, map(_line, rows))


def _line(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
