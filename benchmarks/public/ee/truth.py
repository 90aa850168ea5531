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
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "wa_class": {"form": "chat", "user": "user", "time": "time", "fmt": "%m/%d/%y, %I:%M %p", "item": "text"},
    "hevy_gym": {
        "form": "csv",
        "sep": ";",
        "user": None,
        "time": "start_time",
        "fmt": "%d %b %Y, %H:%M",
        "action": "title",
        "item": "exercise_title",
        "end": "end_time",
    },
    "yt_history": {"form": "json", "user": None, "time": "time", "fmt": "iso", "item": "title"},
    "support_eu": {
        "form": "csv",
        "user": "user_id",
        "time": "created_at",
        "fmt": "iso",
        "action": "issue_type",
        "item": "ticket_id",
        "duration": "resolution_time_hours",
        "scale": 3600,
    },
    "shop_tw": {"form": "xlsx", "user": "顧客ID", "time": "日期", "fmt": "iso", "item": "商品名稱"},
    "fin_events": {
        "form": "csv",
        "user": "user_id",
        "time": "event_timestamp",
        "fmt": "iso",
        "action": "event_name",
    },
    "card_sample": {
        "form": "csv",
        "user": "user_id",
        "time": "transaction_date",
        "fmt": "iso",
        "item": "merchant_id",
    },
    "game_sessions": {
        "form": "csv",
        "user": "user_id",
        "time": "session_date",
        "fmt": "iso",
        "duration": "session_length_minutes",
        "scale": 60,
    },
    "elib_loans": {
        "form": "csv",
        "user": "user_id",
        "time": "loan_date",
        "fmt": "iso",
        "item": "book_id",
        "end": "return_date",
    },
    "fatura_br": {
        "form": "csv",
        "sep": ";",
        "user": "codigo_cliente",
        "time": "data",
        "fmt": "iso",
        "action": "tipo_movimento",
        "item": "descricao_produto",
    },
    "saas_events": {"form": "csv", "user": "user_id", "time": "event_date", "fmt": "iso", "action": "event"},
    "bank_ru": {
        "form": "xlsx",
        "user": "Номер карты",
        "time": "Дата операции",
        "fmt": "serial",
        "action": "Категория",
        "item": "Описание",
    },
    "li_messages": {
        "form": "csv",
        "user": "FROM",
        "time": "DATE",
        "fmt": "%Y-%m-%d %H:%M:%S UTC",
        "item": "TO",
    },
    "web_beh": {
        "form": "csv",
        "user": "user_id",
        "time": "timestamp",
        "fmt": "iso",
        "action": "event_type",
        "item": "page_url",
        "duration": "event_duration",
    },
    "quiz_attempts": {
        "form": "csv",
        "user": "student_id",
        "time": "start_time",
        "fmt": "iso",
        "action": "status",
        "item": "quiz_id",
        "end": "end_time",
    },
    "week_sheets": {
        "form": "csv",
        "header": False,
        "user": "#1",
        "time": "#3",
        "fmt": "week",
        "duration": "#5",
        "scale": 3600,
    },
    "social_msgs": {"form": "csv", "user": "Username", "time": "Date_created", "fmt": "iso", "item": "Text"},
    "health_events": {
        "form": "csv",
        "user": "customer_id",
        "time": "event_date",
        "fmt": "iso",
        "action": "event_type",
    },
}
_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINE = re.compile(r"(\d{1,2}/\d{1,2}/\d{2}, \d{1,2}:\d{2})\s([AP]M) - (?:([^:]+): )?(.*)")


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
    if form == "chat":
        for line in text.split("\n"):
            if hit := _LINE.match(line):
                yield {"time": f"{hit.group(1)} {hit.group(2)}", "user": hit.group(3), "text": hit.group(4)}
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
            return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))
        if form == "week":
            return datetime.strptime(text.split("-")[0], "%d.%m.%Y")
        if form == "iso":
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip())).replace(tzinfo=None)
        return datetime.strptime(text.strip(), form)
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        lasting = _text(record, rule.get("duration"), rule)
        begun = _moment(_text(record, rule["time"], rule), rule["fmt"])
        over = _moment(_text(record, rule.get("end"), rule), rule["fmt"])
        spent = float(lasting) * rule.get("scale", 1) if lasting else None
        if begun and over:
            spent = (over - begun).total_seconds()
        yield (
            _text(record, rule["user"], rule) or None,
            begun,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            spent,
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
