"""The truth of the files in this folder, read without the tool; standard library only.

    python truth.py [DIR]            check every file of truth.toml against the figures listed there
    python truth.py [DIR] --figures  print the figures

rows(ID, PATH) yields (user text or None, naive datetime or None, action, item, seconds or None) in file order.
A time without a year has the year 1904 here (a leap year); figures() leaves that year out ("04-16T21:49:00").
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

# fmt: one or several forms of the time, the first that fits; end: a moment in endfmt, the span is end minus time.
RULES = {
    "jp_orders": {"form": "csv", "user": "顧客 ID", "time": "オーダー日", "fmt": ["iso"], "item": "製品名"},
    "jp_room_entry": {"form": "xlsx", "user": "氏名", "time": "入室時刻", "fmt": ["%m/%d %H:%M"], "yearless": True,
                      "end": "退室時刻"},
    "jp_shifts": {"form": "csv", "user": "staff_id", "time": "date + start_time", "fmt": ["clock"],
                  "end": "date + end_time", "action": "source"},
    "jp_pos": {"form": "csv", "user": None, "time": "datetime", "fmt": ["%Y/%m/%d %H:%M"],
               "action": "payment_method", "item": "product_name"},
    "jp_purchases": {"form": "csv", "user": "customer_name", "time": "purchase_date", "fmt": ["iso"],
                     "item": "product_id", "empty": ["NULL"]},
    "tw_comments": {"form": "xlsx", "user": "name", "time": "time", "fmt": ["iso"], "item": "text"},
    "cn_reviews": {"form": "xlsx", "user": "用户名", "time": "评论时间", "fmt": ["%d/%m/%Y"], "item": "产品id"},
    "fitness_days": {"form": "csv", "user": "user_id", "time": "activity_date", "fmt": ["iso"],
                     "duration": "session_duration_min", "scale": 60},
    "cn_danmaku": {"form": "csv", "user": None, "time": "弹幕时间", "fmt": ["iso"], "item": "弹幕内容"},
    "game_payments": {"form": "csv", "user": "user_id", "time": "log_date", "fmt": ["%Y.%m.%d"], "item": "app_name"},
    "game_purchases": {"form": "csv", "user": "user_id", "time": "created_at", "fmt": ["iso"], "action": "state",
                       "item": "id"},
    "loan_calls": {"form": "csv", "user": "target_id", "time": "created_at", "fmt": ["iso"], "action": "status",
                   "item": "summary", "duration": "duration"},
    "bike_shop": {"form": "csv", "user": "customer_id", "time": "transaction_date", "fmt": ["%d.%m.%Y"],
                  "action": "order_status", "item": "product_id"},
    "prestamos": {"form": "csv", "user": "cliente_id", "time": "fecha_otorgado", "fmt": ["iso"], "action": "estado",
                  "item": "prestamo_id"},
    "tour_bookings": {"form": "csv", "user": "contact_name", "time": "tour_date", "fmt": ["iso"],
                      "action": "status", "item": "tour_name"},
    "storage_rent": {"form": "sqlite", "table": "bookings_raw", "user": "customer_id", "time": "start_date",
                     "fmt": ["iso"], "end": "end_date", "item": "unit_size"},
    "server_logins": {"form": "csv", "user": "username", "time": "login-time", "fmt": ["iso"],
                      "item": "server-name"},
    "gym_visits": {"form": "csv", "user": "member_id", "time": "checkin_time", "fmt": ["iso"]},
    "clinic_visits": {"form": "csv", "user": "patient_id", "time": "appointment_date", "fmt": ["iso", "%d/%m/%Y"],
                      "action": "status", "item": "visit_reason"},
    "kr_attendance": {"form": "csv", "user": "student_id", "time": "date", "fmt": ["iso"], "action": "status",
                      "item": "reason"},
    "hr_hours": {"form": "csv", "user": "employee_id", "time": "attendance_date", "fmt": ["iso"],
                 "duration": "hours_worked", "scale": 3600},
    "vn_comments": {"form": "xlsx", "user": "User", "time": "Created At", "fmt": ["%H:%M %d/%m/%Y"],
                    "item": "Comment"},
    "twitch_chat": {"form": "json", "list": "comments", "user": "commenter.display_name", "time": "created_at",
                    "fmt": ["iso"], "item": "message.body"},
}
_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _xlsx(path):
    """Cells of the first sheet as text; numbers as the file has them."""
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for part in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).findall(_M + "si"):
                for sound in part.findall(_M + "rPh"):  # readings of Japanese text are no part of it
                    part.remove(sound)
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
        if any((text or "").strip() for text in cells.values()):
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
            record = {name: cell for name, cell in zip(names, line) if name}
            if any((cell or "").strip() for cell in record.values()):
                yield record
        return
    if form == "json":
        yield from json.loads(path.read_text("utf-8-sig"))[rule["list"]]
        return
    text = path.read_bytes().decode("utf-8-sig")
    lines = csv.reader(io.StringIO(text, newline=""))
    names = next(lines)
    for line in lines:
        if any(line):
            yield dict(zip(names, line))


def _text(record, name, rule):
    if not name:
        return ""
    if " + " in name:
        return " ".join(_text(record, part, rule) for part in name.split(" + "))
    value = record.get(name)
    if value is None and "." in name:
        value = record
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, forms):
    for form in forms:
        try:
            if not text:
                return None
            if form == "iso":
                text_ = re.sub(r"\.(\d{1,6})\d*", lambda m: "." + m.group(1).ljust(6, "0"), text.strip())
                return datetime.fromisoformat(text_.replace("Z", "+00:00")).replace(tzinfo=None)
            if form == "clock":  # a day and a time of day that may be 24:00 or later
                day, clock = text.split()
                hours, minutes = clock.split(":")
                return datetime.fromisoformat(day) + timedelta(hours=int(hours), minutes=int(minutes))
            if "%Y" not in form and "%y" not in form:
                return datetime.strptime("1904 " + text.strip(), "%Y " + form)
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        start = _moment(_text(record, rule["time"], rule), rule["fmt"])
        lasting = _text(record, rule.get("duration"), rule)
        span = float(lasting) * rule.get("scale", 1) if lasting else None
        if "end" in rule:
            end = _moment(_text(record, rule["end"], rule), rule["fmt"])
            span = (end - start).total_seconds() if start and end else None
        yield (
            _text(record, rule["user"], rule) or None,
            start,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            span,
        )


def figures(entry, path):
    rule = RULES[entry["id"]]
    kept = rule["user"]
    every = list(rows(entry["id"], path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done}), "behaviors": len(done)}
    if dated:
        cut = 5 if rule.get("yearless") else 0
        found["first"] = min(row[1] for row in dated).isoformat(timespec="seconds")[cut:]
        found["last"] = max(row[1] for row in dated).isoformat(timespec="seconds")[cut:]
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
