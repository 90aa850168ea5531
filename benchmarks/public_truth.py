"""What is right about public exports, worked out without eventabs.

    python benchmarks/public_truth.py DIR                 check every file of public_exports.toml
    python benchmarks/public_truth.py DIR --rows ID       print the rows: user, time, action, item, seconds
    python benchmarks/public_truth.py DIR --json          the figures, one object a line

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
import json
import re
import sqlite3
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

LIST = Path(__file__).with_name("public_exports.toml")
FIGURES = ("rows_in", "users", "behaviors", "first", "last", "total_minutes")
SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
csv.field_size_limit(1 << 30)


def flat(value: object, path: str = "") -> dict:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, part in value.items() for k, v in flat(part, f"{path}.{key}" if path else key).items()}


def table(rows, parse: dict):
    """Rows of cells as records: the header is row `header_row`, or there is none."""
    rows = iter(rows)
    if parse.get("header", True):
        for _ in range(parse.get("header_row", 1) - 1):
            next(rows)
        names = list(next(rows))
    for row in rows:
        if any(cell not in (None, "") for cell in row):
            yield dict(zip(names if parse.get("header", True) else [f"#{n + 1}" for n in range(len(row))], row, strict=False))


def records(path: Path, parse: dict):
    form = parse["form"]
    if form in ("xlsx", "parquet", "sqlite"):
        if form == "xlsx":
            import openpyxl

            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            sheet = book[parse["sheet"]] if "sheet" in parse else book.worksheets[0]
            sheet.reset_dimensions()
            yield from table(sheet.iter_rows(values_only=True), parse)
        elif form == "parquet":
            import pyarrow.parquet

            for batch in pyarrow.parquet.read_table(path).to_batches():
                yield from batch.to_pylist()
        else:
            base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            base.row_factory = sqlite3.Row
            yield from map(dict, base.execute(f'select * from "{parse["table"]}"'))
        return
    text = path.read_bytes().decode("utf-8-sig")
    if form == "csv":
        yield from table(csv.reader(text.splitlines(True), delimiter=parse.get("sep", ",")), parse)
    elif form == "json":
        whole = json.loads(text)
        yield from map(flat, whole[parse["records"]] if "records" in parse else whole)
    elif form == "jsonl":
        yield from (flat(json.loads(line)) for line in text.splitlines() if line.strip())
    elif form == "w3c":
        for line in text.splitlines():
            if line.startswith("#Fields:"):
                names = line.split()[1:]
            elif line and not line.startswith("#"):
                yield dict(zip(names, line.split(" "), strict=True))
    elif form == "lines":
        for line in text.splitlines():
            if hit := re.match(parse["pattern"], line):
                yield {k.replace("_", " "): v for k, v in hit.groupdict().items()}


def first(names: str | list) -> str:
    return names if isinstance(names, str) else names[0] if names else ""


def cell(record: dict, names: str | list, empty: list) -> str:
    """The text of a column, or of columns joined; empty where one of them is."""
    if not first(names):
        return ""
    parts = []
    for name in first(names).split(" + "):
        value = record.get(name)
        parts.append("" if value is None or str(value).strip() in empty else str(value).strip())
    return " ".join(parts) if all(parts) else ""


def moment(text: str, form: str) -> datetime | None:
    """The time as it stands in the export, without its offset."""
    if not text:
        return None
    try:
        if form in ("iso", "cell"):
            text = re.sub(r"(\.\d{6})\d+", r"\1", text)
            return datetime.fromisoformat(text).replace(tzinfo=None)
        if form.startswith("epoch"):
            seconds = float(text) / (1000 if form == "epoch_ms" else 1)
            return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        return datetime.strptime(text, form).replace(tzinfo=None)
    except ValueError:
        return None


def seconds(text: str, unit: str) -> float | None:
    if not text:
        return None
    try:
        if unit == "h:mm:ss":
            hours, minutes, rest = text.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(rest)
        return float(text) * SECONDS[unit]
    except ValueError:
        return None


def rows(path: Path, entry: dict, user: str | None = None):
    """(user, time, action, item, seconds) of every record; user or time may be missing."""
    parse, form = entry["parse"], entry.get("time_format", "")
    empty = parse.get("empty", [])

    def time(record: dict, name: str) -> datetime | None:
        text = cell(record, entry.get(name, ""), empty)
        for old, new in parse.get("replace", {}).items():
            text = text.replace(old, new)
        return moment(text, form)

    for record in records(path, parse):
        start = time(record, "time")
        long = seconds(cell(record, entry.get("duration", ""), empty), entry.get("unit", ""))
        if long is None and start and (end := time(record, "end")):
            long = (end - start).total_seconds()
        yield (cell(record, user or entry.get("user", ""), empty), start, cell(record, entry.get("action", ""), empty),
               cell(record, entry.get("item", ""), empty), long)


def figures(path: Path, entry: dict) -> dict:
    every = list(rows(path, entry))
    done = [row for row in every if row[0] and row[1]]
    dated = [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in every if row[0]}), "behaviors": len(done)}
    if done:
        found["users"] = len({row[0] for row in done})
    if dated:
        times = [row[1] for row in done or dated]
        found |= {"first": min(times).isoformat(timespec="seconds"), "last": max(times).isoformat(timespec="seconds")}
    if any(row[4] is not None for row in done or dated):
        found["total_minutes"] = round(sum(row[4] or 0 for row in done or dated) / 60, 1)
    for name in entry.get("user", [])[1:] if isinstance(entry.get("user"), list) else []:
        other = [row for row in rows(path, entry, name) if row[0] and row[1]]
        found.setdefault("other_users", {})[name] = [len({row[0] for row in other}), len(other)]
    return found


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("dir", type=Path)
    ask.add_argument("--rows", metavar="ID")
    ask.add_argument("--json", action="store_true")
    args = ask.parse_args()
    wrong = 0
    for entry in tomllib.loads(LIST.read_text("utf-8"))["file"]:
        if args.rows and entry["id"] != args.rows:
            continue
        path = next(iter(sorted(args.dir.glob(entry["id"] + ".*"))), None)
        if path is None:
            print(f"{entry['id']}: no such file in {args.dir}", file=sys.stderr)
            continue
        if args.rows:
            for user, time, action, item, long in rows(path, entry):
                fields = (user, time.isoformat() if time else "", action, item, "" if long is None else f"{long:g}")
                print("\t".join(re.sub(r"\s+", " ", field) for field in fields))
            return 0
        try:
            found = figures(path, entry)
        except ImportError as gone:
            print(f"{entry['id']}: skipped, {gone}", file=sys.stderr)
            continue
        if args.json:
            print(json.dumps({"id": entry["id"], **found}, ensure_ascii=False))
            continue
        same = hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        odd = [] if same else ["sha256"]
        odd += [f"{k}: {found.get(k)} not {entry.get(k)}" for k in (*FIGURES, "other_users") if found.get(k) != entry.get(k)]
        wrong += bool(odd)
        print(f"{entry['id']:22} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
