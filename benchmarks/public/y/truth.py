"""The truth of the files in this folder, read without the tool; standard library only.

    python truth.py [DIR]            check every file of truth.toml against the figures listed there
    python truth.py [DIR] --figures  print the figures

rows(ID, PATH) yields (user text or None, naive datetime or None, action, item, seconds or None) in file order.
"""
from __future__ import annotations

import csv
import hashlib
import io
import re
import sqlite3
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "ropebag_actions": {"form": "sqlite", "table": "user_actions", "user": "user_id", "time": "created_at",
                        "fmt": "iso", "action": "action_type", "item": "details"},
    "licence_orders": {"form": "csv", "encoding": "gb18030", "user": "user_id", "time": "create_date",
                       "fmt": "%Y/%m/%d %H:%M", "item": "range_name"},
    "sandbox_orders": {"form": "csv", "user": "user_id", "time": "purchase_ts", "fmt": "iso", "item": "item_id"},
    "attendance_seed": {"form": "sql", "table": "attendance_record", "user": "emp_id", "time": "check_in_time",
                        "fmt": "iso", "duration": "work_duration", "scale": 60},
    "workorder_feedback": {"form": "xlsx", "user": "反馈人", "time": "反馈时间", "fmt": "serial",
                           "action": "工单池类型", "item": "工单编码"},
    "douyin_videos": {"form": "csv", "header": False, "user": "#2", "time": "#3", "fmt": "%Y/%m/%d %H:%M:%S"},
    "site_logs_cn": {"form": "csv", "user": "user_id", "time": "timestamp", "fmt": "iso", "item": "url"},
    "twilio_calls": {"form": "csv", "user": "from", "time": "start_time", "fmt": "iso", "action": "direction",
                     "item": "to", "duration": "duration"},
    "crm_calls_ru": {"form": "xlsx", "user": "CustomerID", "time": "Date", "fmt": "serial", "item": "Number"},
    "jira_export": {"form": "csv", "user": "Creator", "time": "Created", "fmt": "%m/%d/%Y %H:%M",
                    "action": "Issue Type", "item": "Summary"},
    "lecture_attendance": {"form": "csv", "user": "Student_ID", "time": "Lecture_Date", "fmt": "iso", "item": "Subject"},
    "feed_views": {"form": "csv", "sep": ";", "user": "user", "time": "date_time", "fmt": "iso"},
    "bank_logins": {"form": "csv", "user": "account_id", "time": "login_time", "fmt": "iso",
                    "action": "login_success", "item": "device_fingerprint"},
    "hotel_reservations": {"form": "csv", "user": None, "time": "created", "fmt": "iso",
                           "action": "reservationStatus", "item": "roomCode"},
}
_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_INSERT = re.compile(r"^INSERT INTO `(\w+)` \(([^)]*)\) VALUES \((.*)\);$")
_VALUE = re.compile(r"'((?:[^'\\]|''|\\.)*)'|([^,']+)")


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
    if form == "sql":
        for line in text.split("\n"):
            hit = _INSERT.match(line.strip())
            if hit and hit.group(1) == rule["table"]:
                names = re.findall(r"`(\w+)`", hit.group(2))
                values = [m.group(1) if m.group(1) is not None else None if m.group(2) == "NULL" else m.group(2)
                          for m in _VALUE.finditer(hit.group(3))]
                yield dict(zip(names, values, strict=True))
        return
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines) if rule.get("header", True) else None
    for line in lines:
        if any(line):
            yield dict(zip(names or [f"#{n}" for n in range(1, len(line) + 1)], line))


def _text(record, name, rule):
    value = record.get(name) if name else None
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


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        lasting = _text(record, rule.get("duration"), rule)
        yield (
            _text(record, rule["user"], rule) or None,
            _moment(_text(record, rule["time"], rule), rule["fmt"]),
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            float(lasting) * rule.get("scale", 1) if lasting else None,
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
        print(f"{entry['id']:20} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
