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
    "phi_access": {"form": "csv", "user": "user_id", "time": "timestamp", "fmt": "iso", "action": "action",
                   "item": "patient_id"},
    "citybike_trips": {"form": "csv", "user": "user_id", "time": "start_time", "fmt": "iso", "item": "bike_id",
                       "duration": "duration_minutes", "scale": 60},
    "store_visitors": {"form": "jsonl", "user": "visitor_id", "time": "timestamp", "fmt": "iso",
                       "action": "event_type", "item": "zone_id", "duration": "dwell_ms", "scale": 0.001},
    "slack_day": {"form": "json", "user": "user", "time": "ts", "fmt": "epoch_s", "action": "type", "item": "text"},
    "computacao_chat": {"form": "lines", "user": "user", "time": "time", "fmt": "%d/%m/%y, %H:%M:%S", "item": "text",
                        "pattern": r"^\u200e?\[(?P<time>\d\d/\d\d/\d\d, \d\d:\d\d:\d\d)\] (?:(?P<user>[^:]+): )?(?P<text>.*)"},
    "flask_commits": {"form": "json", "user": "author_name", "time": "author_date", "fmt": "iso", "item": "msg"},
    "endo_clinic": {"form": "sqlite", "table": "appointments", "user": "patient_id", "time": "appointment_date",
                    "fmt": "iso", "action": "status", "item": "appointment_type"},
    "chamados_natura": {"form": "xlsx", "user": "ATRIBUID", "time": "DTCRIACAO", "fmt": "iso", "action": "STATUS",
                        "item": "CATEGORIZACAO", "empty": ["NULL"]},
    "shop_clicks": {"form": "jsonl", "user": "user_id", "time": "timestamp", "fmt": "iso", "action": "event_type",
                    "item": "product_id"},
    "tg_groups": {"form": "csv", "user": "sender_id", "time": "date", "fmt": "iso", "item": "text"},
    "discord_civ": {"form": "csv", "user": "Username", "time": "Date", "fmt": "%Y-%m-%d,%H:%M:%S", "item": "Content"},
    "library_audit": {"form": "lines", "user": "username", "time": "time", "fmt": "iso", "action": "action",
                      "item": "book_title", "inside": "details",
                      "pattern": r"^\[(?P<time>\S+)\] \| ACTION: (?P<action>\w+) \| DETAILS: (?P<details>\{.*\}) \| "
                                 r"RESULT: (?P<result>\w+)"},
    "rfid_folding": {"form": "json", "user": "nik_operator", "time": "timestamp", "fmt": "iso", "action": "status",
                     "item": "item"},
    "affid_jira": {"form": "xlsx", "user": "Rapporteur", "time": "Création", "fmt": "serial", "action": "État",
                   "item": "Résumé", "empty": ["nan"]},
    "connect_jira": {"form": "json", "user": "people.reporter.name", "time": "startdate", "fmt": "iso",
                     "action": "type", "item": "title"},
    "dating_swipes": {"form": "csv", "user": "user_id", "time": "swipe_time", "fmt": "iso", "action": "direction",
                      "item": "target_user_id"},
    "courier_actions": {"form": "csv", "user": "user_id", "time": "time", "fmt": "%d/%m/%y %H:%M", "action": "action",
                        "item": "order_id"},
    "face_attendance": {"form": "xlsx", "user": "Name", "time": ["Date", "Time"], "fmt": "%Y-%m-%d %H:%M:%S",
                        "action": "Action"},
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


def _flat(record, before=""):
    """Fields within fields as "a.b"; lists stay as they are."""
    out = {}
    for name, value in record.items():
        if isinstance(value, dict):
            out.update(_flat(value, f"{before}{name}."))
        else:
            out[before + name] = value
    return out


def _lists(tree):
    """The records of a JSON file: the members of every list, however many keys above it."""
    if isinstance(tree, list):
        yield from tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _lists(value)


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
    if form == "jsonl":
        for line in text.split("\n"):
            if line.strip():
                yield _flat(json.loads(line))
        return
    if form == "json":
        yield from map(_flat, _lists(json.loads(text)))
        return
    if form == "lines":
        for line in text.split("\n"):
            hit = re.match(rule["pattern"], line)
            if hit:
                record = hit.groupdict()
                if "inside" in rule:
                    record.update(_flat(json.loads(record[rule["inside"]])))
                yield record
        return
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines) if rule.get("header", True) else None
    for line in lines:
        if any(line):
            yield dict(zip(names or [f"#{n}" for n in range(1, len(line) + 1)], line))


def _text(record, name, rule):
    if isinstance(name, list):
        return " ".join(_text(record, one, rule) for one in name)
    value = record.get(name) if name else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, form):
    if not text:
        return None
    try:
        if form == "serial":
            return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))
        if form == "epoch_s":
            return datetime(1970, 1, 1) + timedelta(seconds=float(text))
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
