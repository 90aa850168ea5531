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
    "tianchi_sample": {
        "form": "csv",
        "user": "user_id",
        "time": "time",
        "fmt": "%Y-%m-%d %H",
        "action": "behavior_type",
        "item": "item_id",
    },
    "door_face": {"form": "csv", "user": "Name", "time": "Time", "fmt": "iso", "action": "Access Type"},
    "weibo_tangshan": {
        "form": "csv",
        "user": "微博作者",
        "time": "发布时间",
        "fmt": "iso",
        "item": "微博内容",
    },
    "rfm_pay": {
        "form": "xlsx",
        "user": "user_id",
        "time": "payment_date",
        "fmt": "serial",
        "action": "type",
        "item": "id",
    },
    "jd_reviews": {
        "form": "csv",
        "user": "user_id",
        "time": "comment_time",
        "fmt": "iso",
        "item": "product_name",
    },
    "orders_828": {
        "form": "csv",
        "user": "用户ID",
        "time": "下单时间",
        "fmt": "iso",
        "action": "支付状态",
        "item": "订单ID",
    },
    "douyin_jsonl": {
        "form": "jsonl",
        "user": "user_id",
        "time": "published_at",
        "fmt": "iso",
        "item": "text",
    },
    "weibo_stock": {"form": "csv", "user": "user", "time": "posted_at", "fmt": "zh", "item": "content"},
    "bili_short": {"form": "csv", "user": "名字", "time": "时间", "fmt": "iso", "item": "评论"},
    "xhs_notes": {"form": "csv", "user": "user_id", "time": "timestamp", "fmt": "epoch_ms", "item": "title"},
    "bank_flow": {
        "form": "xlsx",
        "user": None,
        "time": ["交易日期", "交易时间"],
        "fmt": "serial+hms",
        "action": "资金属性",
    },
    "bili_hot": {
        "form": "sqlite",
        "table": "hot_data",
        "user": "uid",
        "time": "post_date",
        "fmt": "iso",
        "action": "card_type",
        "item": "id",
    },
    "nezha_short": {"form": "csv", "user": "user", "time": "time", "fmt": "iso", "item": "comments"},
    "cowork_bookings": {
        "form": "csv",
        "user": "member_id",
        "time": ["booking_date", "start_time"],
        "fmt": "iso",
        "end": ["booking_date", "end_time"],
        "action": "is_cancelled",
        "item": "space_id",
    },
    "crop_logins": {"form": "csv", "header": False, "user": "#2", "time": "#1", "fmt": "iso"},
    "hotel_rooms": {
        "form": "csv",
        "user": "customerID",
        "time": "bookingDate",
        "fmt": "%m/%d/%Y",
        "item": "hotelID",
    },
    "cycle_audit": {
        "form": "json",
        "user": "username",
        "time": "timestamp",
        "fmt": "iso",
        "action": "action",
        "item": "details",
    },
    "clase_asistencia": {
        "form": "xlsx",
        "user": "nombre",
        "time": None,
        "fmt": "iso",
        "action": "estado",
        "item": "semana",
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
    if isinstance(name, list):
        return " ".join(filter(None, (_text(record, part, rule) for part in name)))
    value = record.get(name) if name else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _serial(text):
    """Day number of a workbook, to the millisecond: 0.85 is not a second too early."""
    return datetime(1899, 12, 30) + timedelta(milliseconds=round(float(text) * 86400000))


def _moment(text, form):
    if not text:
        return None
    try:
        if form == "serial":
            return _serial(text)
        if form == "serial+hms":  # 43466 90000: a day number and h*10000 + m*100 + s
            day, clock = text.split()
            clock = int(float(clock))
            return _serial(day) + timedelta(
                hours=clock // 10000, minutes=clock // 100 % 100, seconds=clock % 100
            )
        if form == "zh" and "年" in text:  # the other few are ISO
            return datetime.strptime(text.strip(), "%Y年%m月%d日 %H:%M")
        if form == "epoch_ms":
            return datetime(1970, 1, 1) + timedelta(milliseconds=int(text))
        if form in ("iso", "zh"):
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip())).replace(tzinfo=None)
        return datetime.strptime(text.strip(), form)
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        start = _moment(_text(record, rule["time"], rule), rule["fmt"])
        until = _moment(_text(record, rule.get("end"), rule), rule["fmt"])
        yield (
            _text(record, rule["user"], rule) or None,
            start,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            (until - start).total_seconds() if start and until else None,
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
