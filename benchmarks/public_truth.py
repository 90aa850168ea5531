"""What is right about public exports, worked out without eventabs.

    python benchmarks/public_truth.py DIR                 check every file of public_exports.toml
    python benchmarks/public_truth.py DIR --rows ID       print the rows: user, time, action, item, seconds
    python benchmarks/public_truth.py DIR --json          print the figures, one object a line

The files are not in the repository. The list names repository, commit and path; a file that was cut says where.
DIR holds them as ID.* (ID.csv, ID.json). Columns, time format and parse rule are those of the list; nothing is
guessed. Where the list names several columns that are right, the first one counts here. "A + B" joins two columns
with a space, "#3" is the third column of a file without a header, "a.b" is a field within a field.

openpyxl reads .xlsx and pyarrow reads .parquet; without them these files are skipped.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import json
import re
import sqlite3  # noqa: TID251  a public file is one
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Record = dict[str, Any]
Rule = dict[str, Any]

_LIST: Final = Path(__file__).with_name("public_exports.toml")
_FIGURES: Final = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_EPOCHS: Final = {"epoch_s": 1, "epoch_ms": 1000}


class Row(NamedTuple):
    """One record as it counts; user or time may be missing."""

    user: str
    time: datetime | None
    action: str
    item: str
    seconds: float | None


def _flat(value: object, path: str = "") -> Record:
    """Turn {"a": {"b": 1}} into {"a.b": 1}."""
    if not isinstance(value, dict):
        return {path: value}
    return {
        k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()
    }


def _within(value: object, path: list[str], name: str = "", above: Record | None = None) -> Iterator[Record]:
    """Find the records under `path`; what stands beside a list in its parent is kept as "parent.name"."""
    if isinstance(value, list):
        for part in value:
            yield from _within(part, path, name, above)
    elif path and isinstance(value, dict):
        kept = {f"{name}.{k}": v for k, v in value.items() if name and not isinstance(v, list | dict)}
        yield from _within(value[path[0]], path[1:], path[0], kept)
    elif not path:
        yield {**(above or {}), **_flat(value)}


def _table(lines: Iterable[Iterable[Any]], rule: Rule) -> Iterator[Record]:
    """Make records of rows of cells: the header is row `header_row`, or there is none."""
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        cells = list(line)
        if not rule.get("header", True):
            names = [f"#{n}" for n in range(1, len(cells) + 1)]
        elif number <= rule.get("header_row", 1):
            names = cells
            continue
        if any(value not in (None, "") for value in cells):
            yield dict(zip(names, cells, strict=False))


def _text(path: Path, rule: Rule) -> str:
    return path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))


def _csv(path: Path, rule: Rule) -> Iterator[Record]:
    csv.field_size_limit(1 << 30)
    return _table(
        csv.reader(_text(path, rule).splitlines(keepends=True), delimiter=rule.get("sep", ",")), rule
    )


def _json(path: Path, rule: Rule) -> Iterator[Record]:
    return _within(json.loads(_text(path, rule)), rule["records"].split(".") if "records" in rule else [])


def _jsonl(path: Path, rule: Rule) -> Iterator[Record]:
    return (_flat(json.loads(line)) for line in _text(path, rule).splitlines() if line.strip())


def _lines(path: Path, rule: Rule) -> Iterator[Record]:
    """Keep the lines that match; a group a_b is the column "a b"."""
    for line in _text(path, rule).splitlines():
        if hit := re.match(rule["pattern"], line):
            yield {k.replace("_", " "): v for k, v in hit.groupdict().items()}


def _w3c(path: Path, rule: Rule) -> Iterator[Record]:
    names: list[str] = []
    for line in _text(path, rule).splitlines():
        if line.startswith("#Fields:"):
            names = line.split()[1:]
        elif line and not line.startswith("#"):
            yield dict(zip(names, line.split(" "), strict=True))


def _xlsx(path: Path, rule: Rule) -> Iterator[Record]:
    book = importlib.import_module("openpyxl").load_workbook(path, read_only=True, data_only=True)
    sheet = book[rule["sheet"]] if "sheet" in rule else book.worksheets[0]
    sheet.reset_dimensions()
    return _table(sheet.iter_rows(values_only=True), rule)


def _parquet(path: Path, _: Rule) -> Iterator[Record]:
    yield from importlib.import_module("pyarrow.parquet").read_table(path).to_pylist()


def _sqlite(path: Path, rule: Rule) -> Iterator[Record]:
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    return map(dict, base.execute(f'select * from "{rule["table"]}"'))


_FORMS: Final[dict[str, Callable[[Path, Rule], Iterator[Record]]]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _jsonl,
    "lines": _lines,
    "w3c": _w3c,
    "xlsx": _xlsx,
    "parquet": _parquet,
    "sqlite": _sqlite,
    "none": lambda _path, _rule: iter(()),
}


def _cell(record: Record, names: str | list[str], rule: Rule) -> str:
    """Read a column, or columns joined; empty where one of them is."""
    name = names if isinstance(names, str) else names[0]
    parts = [
        str(value).strip() if (value := record.get(part)) is not None else "" for part in name.split(" + ")
    ]
    return " ".join(parts) if all(part and part not in rule.get("empty", []) for part in parts) else ""


def _moment(text: str, form: str, rule: Rule) -> datetime | None:
    """Read the time as it stands in the export, without its offset."""
    for old, new in rule.get("replace", {}).items():
        text = text.replace(old, new)
    if not text or not form:
        return None
    try:
        if form in _EPOCHS:
            return datetime.fromtimestamp(float(text) / _EPOCHS[form], UTC).replace(tzinfo=None)
        if form == "iso":
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).replace(tzinfo=None)
        return datetime.strptime(text, form).replace(tzinfo=None)  # noqa: DTZ007  a wall time
    except ValueError:
        return None


def _seconds(text: str, unit: str) -> float | None:
    try:
        if unit == "h:mm:ss":
            hours, minutes, rest = text.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(rest)
        return float(text) * _SECONDS[unit] if text else None
    except ValueError:
        return None


def rows(path: Path, entry: Rule, user: str | None = None) -> Iterator[Row]:
    """Read every record of a file; `user` is another column as the user."""
    rule, form = entry["parse"], entry.get("time_format", "")
    for record in _FORMS[rule["form"]](path, rule):
        told = {
            k: _cell(record, entry.get(k, ""), rule)
            for k in ("user", "time", "action", "item", "duration", "end")
        }
        start, end = _moment(told["time"], form, rule), _moment(told["end"], form, rule)
        seconds = _seconds(told["duration"], entry.get("unit", "s"))
        if seconds is None and start and end:
            seconds = (end - start).total_seconds()
        who = _cell(record, user, rule) if user else told["user"]
        yield Row(who, start, told["action"], told["item"], seconds)


def figures(path: Path, entry: Rule) -> dict[str, Any]:
    """Count a file; without a user the dates and the minutes are those of the rows with a time."""
    every = list(rows(path, entry))
    done = [row for row in every if row.user and row.time]
    dated = done or [row for row in every if row.time]
    users = {row.user for row in done or every if row.user}
    found: dict[str, Any] = {"rows_in": len(every), "users": len(users), "behaviors": len(done)}
    if times := [row.time for row in dated if row.time]:
        found["first"] = min(times).isoformat(timespec="seconds")
        found["last"] = max(times).isoformat(timespec="seconds")
    if lasting := [row.seconds for row in dated if row.seconds is not None]:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    if isinstance(entry.get("user"), list):
        found["other_users"] = {}
        for name in entry["user"][1:]:
            other = [row.user for row in rows(path, entry, name) if row.user and row.time]
            found["other_users"][name] = [len(set(other)), len(other)]
    return found


def _print_rows(path: Path, entry: Rule) -> None:
    for row in rows(path, entry):
        time = row.time.isoformat() if row.time else ""
        fields = (row.user, time, row.action, row.item, "" if row.seconds is None else f"{row.seconds:g}")
        print("\t".join(re.sub(r"\s+", " ", field) for field in fields))


def _check(path: Path, entry: Rule, found: dict[str, Any]) -> bool:
    odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in _FIGURES if found.get(k) != entry.get(k)]
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        odd.insert(0, "another file: sha256")
    print(f"{entry['id']:22} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")
    return not odd


def main() -> int:
    """Check the files of a directory against the list, or print what they hold."""
    ask = argparse.ArgumentParser(description="What is right about public exports.")
    ask.add_argument("dir", type=Path)
    ask.add_argument("--rows", metavar="ID")
    ask.add_argument("--json", action="store_true")
    args = ask.parse_args()
    right = True
    for entry in tomllib.loads(_LIST.read_text("utf-8"))["file"]:
        if args.rows not in (None, entry["id"]):
            continue
        path = next(iter(sorted(args.dir.glob(entry["id"] + ".*"))), None)
        try:
            if path is None:
                print(f"{entry['id']}: not in {args.dir}", file=sys.stderr)
            elif args.rows:
                _print_rows(path, entry)
            elif args.json:
                print(json.dumps({"id": entry["id"], **figures(path, entry)}, ensure_ascii=False))
            else:
                right &= _check(path, entry, figures(path, entry))
        except ImportError as gone:
            print(f"{entry['id']}: skipped, {gone}", file=sys.stderr)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
