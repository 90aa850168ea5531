"""The truth of the files in this folder, read without the tool; standard library only.

    python truth.py [DIR]            check every file of truth.toml against the figures listed there
    python truth.py [DIR] --figures  print the figures

rows(ID, PATH) yields (user text or None, naive datetime or None, action, item, seconds or None) in file order.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sqlite3
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "toggl_flores": {
        "form": "csv",
        "user": "User",
        "time": "Start date + Start time",
        "fmt": "%Y-%m-%d %H:%M:%S",
        "action": "Description",
        "item": "Project",
        "duration": "Duration",
    },
    "phoenix_chat": {
        "form": "lines",
        "line": r"(?P<time>\d{1,2}\.\d{1,2}\.\d{4} \d\d:\d\d) - (?:(?P<user>[^:\u200e]+): )?(?P<text>.*)",
        "user": "user",
        "time": "time",
        "fmt": "%d.%m.%Y %H:%M",
        "item": "text",
    },
    "kyc_events": {
        "form": "csv",
        "user": "user_id",
        "time": "event_time",
        "fmt": "iso",
        "action": "event_name",
        "item": "kyc_document_type",
    },
    "bank_rfm_ru": {
        "form": "csv",
        "user": "customer_id",
        "time": "transaction_date",
        "fmt": "iso",
        "action": "payment_method",
        "item": "product_category",
    },
    "asistencia": {
        "form": "csv",
        "user": "id_estudiante",
        "time": "fecha",
        "fmt": "iso",
        "action": "estado",
        "item": "id_grupo",
    },
    "glue_events": {
        "form": "jsonl",
        "user": "user_id",
        "time": "event_timestamp",
        "fmt": "iso",
        "action": "event_type",
        "item": "payload.product_id",
    },
    "yt_history": {
        "form": "json",
        "user": None,
        "time": "date",
        "fmt": "%d %b %Y, %H:%M:%S",
        "item": "title",
    },
    "desk_tickets": {
        "form": "xlsx",
        "user": "Technician",
        "time": "CreatedDate",
        "end": "ResolvedDate",
        "fmt": "serial",
        "action": "Category",
        "item": "TicketID",
    },
    "apache_flow": {
        "form": "lines",
        "line": r"(?P<ip>\S+) - - (?P<time>\d\d/\d\d/\d{4}:\d\d:\d\d:\d\d) \+0000 (?P<method>\S+) (?P<url>.*)",
        "user": "ip",
        "time": "time",
        "fmt": "%d/%m/%Y:%H:%M:%S",
        "action": "method",
        "item": "url",
    },
    "wallet_bills": {
        "form": "sqlite",
        "table": "bills",
        "user": "user_id",
        "time": "transaction_time",
        "fmt": "iso",
        "action": "category",
        "item": "product",
    },
    "article_reads": {
        "form": "csv",
        "user": "用户编号",
        "time": "访问日期",
        "fmt": "%Y/%m/%d",
        "item": "文章类别",
    },
    "shop_actions": {
        "form": "csv",
        "user": "user_id",
        "time": "timestamp",
        "fmt": "iso",
        "action": "action_type",
        "item": "product_name",
    },
    "staff_tcp": {
        "form": "json",
        "encoding": "gb18030",
        "user": "id",
        "time": "stime",
        "end": "dtime",
        "fmt": "iso",
        "action": "proto",
        "item": "dip",
    },
    "song_comments": {
        "form": "xlsx",
        "user": "用户昵称",
        "time": "评论时间",
        "fmt": "%Y年%m月%d日 %H:%M:%S",
        "item": "评论内容",
    },
}
_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _xlsx(path):
    """Cells of the first sheet as text; numbers as the file has them."""
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for part in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).findall(_M + "si"):
                shared.append("".join(t.text or "" for t in part.iter(_M + "t")))
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    for row in sheet.iter(_M + "row"):
        cells = {}
        for cell in row.findall(_M + "c"):
            column = 0
            for sign in re.match("[A-Z]+", cell.get("r")).group():
                column = column * 26 + ord(sign) - 64
            kind, value = cell.get("t"), cell.find(_M + "v")
            if kind == "inlineStr":
                text = "".join(t.text or "" for t in cell.iter(_M + "t"))
            elif value is None:
                continue
            else:
                text = shared[int(value.text)] if kind == "s" else value.text
            cells[column - 1] = text
        if any(cells.values()):
            yield [cells.get(n, "") for n in range(max(cells) + 1)]


def _records(rule, path):
    path = Path(path)
    form = rule["form"]
    if form == "sqlite":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        for row in base.execute(f'select * from "{rule["table"]}" order by rowid'):
            yield dict(row)
        base.close()
        return
    if form == "xlsx":
        lines = _xlsx(path)
        names = next(lines)
        for line in lines:
            yield {name: cell for name, cell in zip(names, line) if name}
        return
    text = path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))
    if form == "lines":
        for line in text.split("\n"):
            if hit := re.match(rule["line"], line.rstrip("\r")):
                yield hit.groupdict()
        return
    if form == "json":
        yield from json.loads(text)
        return
    if form == "jsonl":
        for line in text.split("\n"):
            if line.strip():
                yield json.loads(line)
        return
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines) if rule.get("header", True) else None
    for line in lines:
        if any(line):
            yield dict(zip(names or [f"#{n}" for n in range(1, len(line) + 1)], line))


def _text(record, name, rule):
    """The text of a column; "a + b": both together, "a.b": a field within a field."""
    if name and " + " in name:
        return " ".join(_text(record, part, rule) for part in name.split(" + ")).strip()
    value = record
    for part in name.split(".") if name else [None]:
        value = value.get(part) if isinstance(value, dict) else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, form):
    if not text:
        return None
    try:
        if form == "serial":
            return datetime(1899, 12, 30) + timedelta(days=float(text))
        if form == "iso":
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip())).replace(tzinfo=None)
        return datetime.strptime(text.strip(), form)
    except ValueError:
        return None


def _lasting(record, rule, begin):
    text = _text(record, rule.get("duration"), rule)
    if text:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
        return float(hours * 3600 + minutes * 60 + seconds)
    close = _moment(_text(record, rule.get("end"), rule), rule["fmt"])
    return (close - begin).total_seconds() if begin and close else None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        begin = _moment(_text(record, rule["time"], rule), rule["fmt"])
        yield (
            _text(record, rule["user"], rule) or None,
            begin,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            _lasting(record, rule, begin),
        )


def figures(entry, path):
    rule = RULES[entry["id"]]
    kept = rule["user"]
    every = list(rows(entry["id"], path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done}), "behaviors": len(done)}
    if dated:
        found["first"] = min(row[1] for row in dated).isoformat(timespec="seconds")
        found["last"] = max(row[1] for row in dated).isoformat(timespec="seconds")
    if spans := [row[4] for row in dated if row[4] is not None]:
        found["total_minutes"] = round(sum(spans) / 60, 1)
    if isinstance(entry.get("user"), list) and len(entry["user"]) > 1:
        found["other_users"] = {}
        for name in entry["user"][1:]:
            rule["user"] = name
            other = [row[0] for row in rows(entry["id"], path) if row[0] and row[1]]
            found["other_users"][name] = [len(set(other)), len(other)]
        rule["user"] = kept
    return found


def main():
    import tomllib

    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    here = Path(names[0]) if names else Path(__file__).parent
    good = True
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(p for p in sorted(here.glob(entry["id"] + ".*")))
        found = figures(entry, path)
        if "--figures" in sys.argv:
            print(entry["id"], found)
            continue
        keys = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
        odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in keys if found.get(k) != entry.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            odd.append("another file: sha256")
        good &= not odd
        print(
            f"{entry['id']:20} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
