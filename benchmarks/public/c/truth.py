"""The truth of the files in this folder, read without the tool. Standard library only.

RULES: id -> rule; "user" is the column used as the user ("A + B" joins, "#3" is the third column of a file without a header,
"a.b" a field within a field). rows(ID, PATH) yields (user, time, action, item, seconds) of each record, in file order.
Header names are compared without the spaces around them; cells without the spaces around them.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "raku_issues": {"form": "csv", "user": "created_by", "time": "created_at", "item": "author_association",
                    "action": "state", "end": "closed_at", "fmt": ["%Y-%m-%dT%H:%M:%SZ"]},
    "mozilla_bugs": {"form": "csv", "user": "creator", "time": "creation_time", "action": "status", "item": "summary",
                     "fmt": ["%Y-%m-%dT%H:%M:%SZ"]},
    "kakaopay_events": {"form": "csv", "user": "user_id", "time": "event_time", "action": "event_name",
                        "item": "campaign_type", "fmt": ["%Y-%m-%d %H:%M:%S"]},
    "clock_in_us": {"form": "csv", "sep": ";", "user": "user_id", "time": "start_time", "item": "position",
                    "duration": "length", "unit": "h", "end": "end_time", "fmt": ["%Y-%m-%d %H:%M:%S"]},
    "jira_worklog": {"form": "csv", "header": False, "user": "#2", "time": "#3", "item": "#1", "end": "#4",
                     "fmt": ["%Y-%m-%d %H:%M:%S"]},
    "moodle_table": {"form": "csv", "header": False, "user": "#13", "time": "#18", "action": "#2", "item": "#5",
                     "fmt": ["epoch"]},
    "face_clock_zh": {"form": "xlsx", "user": "姓名", "time": "日期时间", "fmt": ["%Y/%m/%d %H:%M:%S"]},
    "fingerprint_tr": {"form": "sqlite", "table": "attendance", "user": "user_id", "time": "check_in",
                       "duration": "duration_minutes", "unit": "min", "end": "check_out", "fmt": ["iso"]},
    "support_pt": {"form": "csv", "sep": ";", "user": "email", "time": "data", "action": "status", "item": "descricao",
                   "duration": "tempo_minutos", "unit": "min", "fmt": ["%Y-%m-%d", "%d-%m-%Y", "%Y/%m/%d", "%d/%m/%Y"]},
    "crm_activities": {"form": "csv", "user": "rep_name", "time": "activity_date", "action": "activity_type",
                       "item": "deal_id", "duration": "duration_min", "unit": "min", "fmt": ["%Y-%m-%d"]},
    "web_events": {"form": "csv", "user": "user_id", "time": "created_at", "action": "event_type", "item": "page_url",
                   "duration": "page_duration_ms", "unit": "ms", "fmt": ["iso"]},
    "site_visits": {"form": "jsonl", "user": "user_id", "time": "event_time", "item": "page.current", "fmt": ["iso"]},
    "git_commits": {"form": "csv", "user": "author", "time": "date", "item": "message",
                    "fmt": ["%Y-%m-%d %H:%M:%S %z"]},
    "harvest_hours": {"form": "csv", "user": "First Name + Last Name", "time": "Date", "action": "Task", "item": "Notes",
                      "duration": "Hours", "unit": "h", "fmt": ["%Y-%m-%d"]},
    "campus_library": {"form": "csv", "user": "student_id", "time": "checkout_date", "action": "status",
                       "item": "book_title", "end": "return_date", "fmt": ["%Y-%m-%d"]},
    "hospital_visits": {"form": "csv", "user": "patient_name", "time": "arrival_time", "action": "outcome",
                        "item": "diagnosis", "duration": "length_of_stay_mins", "unit": "min",
                        "fmt": ["%Y-%m-%d %H:%M:%S"]},
    "sepsis_log": {"form": "csv", "user": "case_id", "time": "timestamp", "action": "activity",
                   "fmt": ["%Y-%m-%d %H:%M:%S"]},
    "bike_trips": {"form": "csv", "user": "", "time": "start_date", "item": "start_station_name",
                   "duration": "duration_sec", "unit": "s", "end": "end_date", "fmt": ["%m/%d/%Y %H:%M:%S"]},
    "own_timetracking": {"form": "csv", "user": "", "time": "From", "action": "Activity type", "duration": "Duration",
                         "unit": "hh:mm", "end": "To", "fmt": ["%Y-%m-%d %H:%M"]},
    "p2p_no_time": {"form": "csv", "user": "user", "time": "", "action": "activity", "item": "traceid", "fmt": []},
}

_FACTOR = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}


def _csv(path, rule):
    with open(path, encoding="utf-8-sig", newline="") as file:
        names = None
        for cells in csv.reader(file, delimiter=rule.get("sep", ",")):
            if not any(cell.strip() for cell in cells):
                continue
            if not rule.get("header", True):
                yield {f"#{n}": cell for n, cell in enumerate(cells, 1)}
            elif names is None:
                # own_timetracking begins with a stray ;"Activity type"
                names = [cell.strip().lstrip(";").strip('"') for cell in cells]
            else:
                yield dict(zip(names, cells))


def _flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()}


def _jsonl(path, rule):
    """The last line of site_visits is cut off in the middle: no record."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                yield _flat(json.loads(line, parse_int=str, parse_float=str))
            except ValueError:
                continue


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    return (dict(row) for row in base.execute(f'select * from "{rule["table"]}"'))


def _xlsx(path, rule):
    ns = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    book = zipfile.ZipFile(path)
    words = ["".join(t.text or "" for t in si.iter(ns + "t"))
             for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))]
    names = None
    for row in ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(ns + "row"):
        cells = {}
        for cell in row.iter(ns + "c"):
            value = cell.find(ns + "v")
            text = "" if value is None else value.text or ""
            letter = re.match(r"[A-Z]+", cell.get("r"))[0]
            cells[letter] = words[int(text)] if cell.get("t") == "s" and text else text
        if names is None:
            names = cells
        elif any(cells.values()):
            yield {names[k]: v for k, v in cells.items() if k in names}


_FORMS = {"csv": _csv, "jsonl": _jsonl, "sqlite": _sqlite, "xlsx": _xlsx}


def _cell(record, name):
    if not name:
        return ""
    parts = [str(record[part]).strip() if record.get(part) is not None else "" for part in name.split(" + ")]
    return " ".join(parts) if all(parts) else ""


def _time(text, forms):
    for form in forms if text else []:
        try:
            if form == "epoch":
                return datetime.fromtimestamp(int(text), timezone.utc).replace(tzinfo=None)
            if form == "iso":
                return datetime.fromisoformat(text).replace(tzinfo=None)
            return datetime.strptime(text, form).replace(tzinfo=None)
        except ValueError:
            continue
    return None


def _seconds(text, unit):
    try:
        if unit == "hh:mm":
            hours, minutes = text.split(":")
            return int(hours) * 3600.0 + int(minutes) * 60
        return float(text) * _FACTOR[unit]
    except (ValueError, KeyError):
        return None


def rows(ID, PATH):
    rule = RULES[ID]
    for record in _FORMS[rule["form"]](PATH, rule):
        start = _time(_cell(record, rule["time"]), rule["fmt"])
        end = _time(_cell(record, rule.get("end", "")), rule["fmt"])
        long = _seconds(_cell(record, rule.get("duration", "")), rule.get("unit", ""))
        if long is None and start and end:
            long = (end - start) / timedelta(seconds=1)
        if long is not None and long < 0:
            long = None  # an end before the start, or minus 15 minutes, is no duration
        yield (_cell(record, rule["user"]) or None, start, _cell(record, rule.get("action", "")),
               _cell(record, rule.get("item", "")), long)


def figures(ID, PATH, user=None):
    kept = RULES[ID]["user"]
    RULES[ID]["user"] = kept if user is None else user
    every = list(rows(ID, PATH))
    RULES[ID]["user"] = kept
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done or every if row[0]}), "behaviors": len(done)}
    if dated:
        found["first"] = min(row[1] for row in dated).isoformat(timespec="seconds")
        found["last"] = max(row[1] for row in dated).isoformat(timespec="seconds")
    lasting = [row[4] for row in dated if row[4] is not None]
    if lasting:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    return found


def check(folder="."):
    import hashlib
    import tomllib
    from pathlib import Path

    right = True
    for entry in tomllib.loads((Path(folder) / "truth.toml").read_text("utf-8"))["file"]:
        path = next(p for p in Path(folder).glob(entry["id"] + ".*") if p.suffix not in (".py", ".toml"))
        found = figures(entry["id"], path)
        users = entry.get("user", [])
        others = {n: figures(entry["id"], path, n) for n in (users[1:] if isinstance(users, list) else [])}
        if others:
            found["other_users"] = {n: [f["users"], f["behaviors"]] for n, f in others.items()}
        odd = [f"{k}: found {found.get(k)}, listed {entry.get(k)}" for k in
               ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
               if found.get(k) != entry.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            odd.append("another file")
        right &= not odd
        print(entry["id"], entry["expect"], "; ".join(odd) or "as listed")
    return right


if __name__ == "__main__":
    sys.exit(not check(sys.argv[1] if len(sys.argv) > 1 else "."))
