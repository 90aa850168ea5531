"""The truth of the files in this folder, read without the tool; standard library only.

    python truth.py [DIR]            check every file of truth.toml against the figures listed there
    python truth.py [DIR] --figures  print the figures

rows(ID, PATH) yields (user text or None, naive datetime or None, action, item, seconds or None) in file order.
Times are as written, without the offset; epochs are in UTC.
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
    "foundry_chat": {"form": "jsonl", "user": "user", "time": "timestamp", "fmt": "epoch_ms", "action": "type",
                     "item": "content"},
    "untappd_valle": {"form": "json", "user": "user.user_name", "time": "created_at",
                      "fmt": "%a, %d %b %Y %H:%M:%S %z", "item": "beer.beer_name"},
    "sf_calls": {"form": "xlsx", "head": "Activity Type", "user": "Assigned To: Full Name", "time": "Date",
                 "fmt": "%d/%m/%Y", "action": "Activity Type", "item": "Account: Account Name",
                 "need": "Assigned To: Full Name"},
    "sf_emails": {"form": "xlsx", "head": "Activity Type", "user": "Assigned", "time": "Completed Date/Time",
                  "fmt": "%d/%m/%Y %H:%M", "action": "Activity Type", "item": "Subject", "need": "Activity Type"},
    "support_cases": {"form": "json", "user": "customer.customer_id", "time": "submitted_date", "fmt": "iso",
                      "action": "category", "item": "linked_journey.journey_id"},
    "rag_audit": {"form": "lines", "pattern": r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\|(?P<level>\w+)\|"
                  r"rid=(?P<rid>[^|]*)\|user=(?P<user>[^|]*)\|ip=(?P<ip>[^|]*)\|action=(?P<action>\S+) "
                  r"status=(?P<status>\S+)(?P<rest>.*)$", "user": "user", "time": "time", "fmt": "iso",
                  "action": "action", "item": "rest", "empty": ["-"]},
    "ola_bookings": {"form": "xlsx", "head": "Booking_ID", "user": "Customer_ID", "time": "Date", "fmt": "serial",
                     "action": "Booking_Status", "item": "Vehicle_Type"},
    "helpdesk_steps": {"form": "csv", "sep": ";", "user": "case_id", "time": "timestamp", "fmt": "iso",
                       "action": "activity"},
    "amazon_orders": {"form": "csv", "user": None, "time": "Order Date", "fmt": "iso", "action": "Order Status",
                      "item": "Product Name"},
    "firefox_places": {"form": "sqlite", "table": "moz_historyvisits", "user": None, "time": "visit_date",
                       "fmt": "epoch_us", "action": "visit_type", "item": "place_id"},
    "jira_radio": {"form": "csv", "user": "Creator", "time": "Created", "fmt": "%d/%b/%y %I:%M %p",
                   "action": "Issue Type", "item": "Summary"},
    "chamados_ti": {"form": "csv", "user": "analyst", "time": "created_at", "fmt": "iso", "action": "category",
                    "item": "ticket_id", "end": "resolved_at"},
    "shop_events": {"form": "jsonl", "user": "user_id", "time": "timestamp", "fmt": "iso", "action": "event_type",
                    "item": "product_id"},
    "it_tickets": {"form": "csv", "user": "employee_id", "time": "created_at", "fmt": "iso", "action": "category",
                   "item": "ticket_summary", "duration": "resolution_time_hours", "scale": 3600},
    "whatsapp_team": {"form": "lines", "pattern": r"^(?P<time>\d\d/\d\d/\d{4}, \d{1,2}:\d\d\s[ap]m) - "
                      r"(?:(?P<user>[^:]+): )?(?P<text>.*)$", "user": "user", "time": "time",
                      "fmt": "%d/%m/%Y, %I:%M %p", "item": "text"},
    "jquery_gitlog": {"form": "json", "user": "author", "time": "date", "fmt": "%a %b %d %H:%M:%S %Y %z",
                      "item": "message"},
    "banvic": {"form": "csv", "sep": ";", "user": "num_conta", "time": "data_transacao", "fmt": "utc",
               "action": "nome_transacao"},
    "activitywatch": {"form": "json", "path": ["buckets", "aw-watcher-window_LAPTOP-MCRJASPH", "events"],
                      "user": None, "time": "timestamp", "fmt": "iso", "action": "data.app", "item": "data.title",
                      "duration": "duration"},
    "monzo_reviews": {"form": "csv", "user": "name", "time": "publishedDate", "fmt": "iso", "item": "title",
                      "empty": ["NA"]},
    "chirp": {"form": "sqlite", "table": "Cheeps", "user": "AuthorId", "time": "TimeStamp", "fmt": "iso",
              "item": "Text"},
    "bgstats": {"form": "json", "path": ["plays"], "each": "playerScores", "user": "playerScores.playerRefId",
                "time": "playDate", "fmt": "iso", "item": "gameRefId", "duration": "durationMin", "scale": 60},
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
            cells[column - 1] = text or ""
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
    if form == "xlsx":  # a report can have lines above the header and totals below
        lines = _xlsx(path)
        names = next(line for line in lines if rule["head"] in line)
        for line in lines:
            record = {name: cell for name, cell in zip(names, line) if name}
            if not rule.get("need") or record.get(rule["need"]):
                yield record
        return
    text = path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))
    if form == "jsonl":
        for line in text.split("\n"):
            if line.strip():
                yield json.loads(line)
        return
    if form == "json":
        data = json.loads(text)
        for step in rule.get("path", []):
            data = data[step]
        for record in data:
            if "each" in rule:  # one record for each of an inner list
                for inner in record[rule["each"]]:
                    yield {**record, rule["each"]: inner}
            else:
                yield record
        return
    if form == "lines":  # lines that begin with a time
        for line in text.split("\n"):
            if hit := re.match(rule["pattern"], line.rstrip("\r")):
                yield hit.groupdict()
        return
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines)
    for line in lines:
        if any(line):
            record = {}
            for name, cell in zip(names, line):  # of columns of one name the first
                record.setdefault(name, cell)
            yield record


def _text(record, name, rule):
    value = record
    for step in name.split(".") if name and name not in record else [name]:
        value = value.get(step) if isinstance(value, dict) and step else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, form):
    if not text:
        return None
    text = " ".join(text.split())
    try:
        if form == "serial":
            return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))
        if form in ("epoch_ms", "epoch_us"):
            return datetime(1970, 1, 1) + timedelta(microseconds=int(text) * (1000 if form == "epoch_ms" else 1))
        if form == "utc":
            text, form = text.removesuffix(" UTC"), "iso"
            text = re.sub(r"\.(\d+)$", lambda m: "." + m.group(1)[:6].ljust(6, "0"), text)
        if form == "iso":
            text = re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")
            return datetime.fromisoformat(text).replace(tzinfo=None)
        return datetime.strptime(text, form).replace(tzinfo=None)
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        start = _moment(_text(record, rule["time"], rule), rule["fmt"])
        seconds = None
        if lasting := _text(record, rule.get("duration"), rule):
            seconds = float(lasting) * rule.get("scale", 1)
        elif "end" in rule and start:
            stop = _moment(_text(record, rule["end"], rule), rule["fmt"])
            seconds = (stop - start).total_seconds() if stop else None
        yield (
            _text(record, rule["user"], rule) or None,
            start,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            seconds,
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
