"""What is right about the files of this folder, by reading them; standard library only.

    python truth.py            print the figures of every file and compare them with truth.toml
"""
import csv
import io
import json
import re
import sqlite3
import sys
import tomllib
import zipfile
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).parent
csv.field_size_limit(1 << 30)

RULES = {
    "office_attendance": {"user": "Name"},
    "cuckoo_timer": {"user": "user"},
    "video_study_jp": {"user": "participant_id"},
    "asset_downloads": {"user": "User_ID"},
    "althingi_votes": {"user": "member_id"},
    "case_votes": {"user": "#3"},
    "baby_feeding": {"user": "child_id"},
    "polis_votes_jp": {"user": "pid"},
    "alcohol_ema": {"user": "pID"},
    "course_visits_ru": {"user": "user_id"},
    "venice_validations": {"user": "seriale"},
    "mowing_diary_jp": {"user": None},
    "strava_nl": {"user": None},
    "phone_screen": {"user": "device_id"},
    "zhwiki_votes": {"user": "#2"},
    "attendance_az": {"user": "Employee"},
    "podcast_bot_it": {"user": "chat_id"},
    "dashboard_log": {"user": "teamMember"},
    "search_chat_tasks": {"user": "user"},
    "otree_timespent": {"user": "participant__code"},
    "sanskrit_issues": {"user": "user"},
}


def _table(path, sep=",", header=True):
    """Rows as dicts; a name that comes twice keeps its first column, every column is "#n" as well."""
    text = Path(path).read_bytes().decode("utf-8-sig")
    names = None
    for line in csv.reader(io.StringIO(text, newline=""), delimiter=sep):
        if not line:
            continue
        if header and names is None:
            names = line
            continue
        row = {f"#{n}": v for n, v in enumerate(line, 1)}
        for name, value in zip(names or [], line):
            row.setdefault(name, value)
        yield row


def _when(text, form):
    try:
        return datetime.strptime(text.strip(), form)
    except (ValueError, AttributeError):
        return None


def _iso(text):
    """Drop the offset; the wall time stays as written."""
    if not text:
        return None
    hit = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?", text)
    if not hit:
        return None
    return datetime.strptime(f"{hit[1]} {hit[2]}.{(hit[3] or '0')[:6].ljust(6, '0')}", "%Y-%m-%d %H:%M:%S.%f")


def _epoch(text, scale=1):
    try:
        return (datetime(1970, 1, 1) + timedelta(seconds=float(text) / scale)).replace(microsecond=0)
    except (TypeError, ValueError):
        return None


def _text(value):
    if value is None:
        return None
    value = str(value).strip()
    return value or None


def _span(start, end):
    return (end - start).total_seconds() if start and end else None


def _xlsx(path):
    n = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    book = zipfile.ZipFile(path)
    shared = []
    if "xl/sharedStrings.xml" in book.namelist():
        shared = ["".join(t.text or "" for t in si.iter(n + "t")) for si in ET.fromstring(book.read("xl/sharedStrings.xml"))]
    names = None
    for row in ET.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(n + "row"):
        cells = {}
        for cell in row:
            value = cell.find(n + "v")
            if value is None:
                continue
            column = re.match(r"[A-Z]+", cell.get("r"))[0]
            cells[column] = shared[int(value.text)] if cell.get("t") == "s" else value.text
        if names is None:
            names = cells
        elif cells:
            yield {name: cells.get(column) for column, name in names.items()}


MONTHS_NL = {m: i for i, m in enumerate("jan feb mrt apr mei jun jul aug sep okt nov dec".split(), 1)}


def _dutch(text):
    hit = re.match(r"(\d{1,2}) (\w{3})\.? (\d{4}),? (\d{1,2}):(\d\d):(\d\d)", text or "")
    if not hit or hit[2] not in MONTHS_NL:
        return None
    return datetime(int(hit[3]), MONTHS_NL[hit[2]], int(hit[1]), int(hit[4]), int(hit[5]), int(hit[6]))


def rows(ident, path):
    user = RULES[ident]["user"]

    def who(record):
        return _text(record.get(user)) if user else None

    if ident == "office_attendance":
        for r in _table(path):
            start = _when(f"{r['Date']} {r['Check-In Time']}", "%d/%m/%Y %H:%M:%S")
            end = _when(f"{r['Date']} {r['Check-Out Time']}", "%d/%m/%Y %H:%M:%S")
            yield who(r), start, r["Status"], r["Department"], _span(start, end)
    elif ident == "cuckoo_timer":
        for r in _table(path):
            yield who(r), _iso(r["estimated_time"]), r["action"], None, None
    elif ident == "video_study_jp":
        for line in Path(path).read_text("utf-8").splitlines():
            if line.strip():
                r = json.loads(line)
                yield who(r), _iso(r["server_time"]), r["event_type"], r["video_title"], None
    elif ident == "asset_downloads":
        for r in _table(path):
            yield who(r), _when(r["Download_Date"], "%m/%d/%Y"), None, r["Asset_ID"], None
    elif ident == "althingi_votes":
        parts = [f"vote_time_{p}" for p in ("year", "month", "date", "hour", "minute", "second")]
        for r in _table(path):
            yield who(r), _when(" ".join(r[p] for p in parts), "%Y %m %d %H %M %S"), r["vote"], r["topic"], None
    elif ident == "case_votes":
        for r in _table(path, ";", header=False):
            yield who(r), _iso(r["#2"]), None, r["#5"], None
    elif ident == "baby_feeding":
        for r in _table(path):
            start, end = _when(r["start"], "%d/%m/%Y %H:%M"), _when(r["end"], "%d/%m/%Y %H:%M")
            yield who(r), start, r["method"], r["type"], _span(start, end)
    elif ident == "polis_votes_jp":
        for r in _table(path):
            yield who(r), _epoch(r["created"], 1000), r["vote"], r["tid"], None
    elif ident == "alcohol_ema":
        for r in _table(path):
            yield who(r), _when(r["Notification.Time"], "%Y-%m-%d %H:%M:%S"), r["Session.Name"], None, None
    elif ident == "course_visits_ru":
        for r in _table(path):
            yield who(r), _when(r["visit_date"], "%d.%m.%Y"), None, r["URL_visited"], None
    elif ident == "venice_validations":
        for r in _table(path):
            yield who(r), _iso(r["data_validazione"]), None, r["descrizione_titolo"], None
    elif ident == "mowing_diary_jp":
        for r in _table(path):
            start = _when(f"{r['日付']} {r['出勤時間']}", "%Y/%m/%d %H:%M")
            try:
                seconds = float(r["勤務時間"]) * 3600
            except ValueError:
                seconds = None
            yield who(r), start, r["活動内容"], None, seconds
    elif ident == "strava_nl":
        for r in _table(path):
            try:
                seconds = float(r["Verstreken tijd"])
            except ValueError:
                seconds = None
            yield who(r), _dutch(r["Datum van activiteit"]), r["Activiteitstype"], r["Naam activiteit"], seconds
    elif ident == "phone_screen":
        for r in _table(path):
            yield who(r), _epoch(r["timestamp"], 1000), r["#4"], None, None
    elif ident == "zhwiki_votes":
        for r in _table(path, header=False):
            yield who(r), None, r["#3"], r["#1"], None
    elif ident == "attendance_az":
        for r in _xlsx(path):
            try:
                day = (datetime(1899, 12, 30) + timedelta(days=int(float(r["Date"])))).strftime("%Y-%m-%d")
            except (TypeError, ValueError):
                day = ""
            start, end = _when(f"{day} {r['Entry']}", "%Y-%m-%d %H:%M"), _when(f"{day} {r['Exit']}", "%Y-%m-%d %H:%M")
            yield who(r), start, None, r["Department"], _span(start, end)
    elif ident == "podcast_bot_it":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        for r in map(dict, base.execute("select * from stats order by id")):
            yield who(r), _when(r["datetime"], "%d/%m/%Y %H:%M:%S"), r["query"], r["query"], None
    elif ident == "dashboard_log":
        for line in Path(path).read_text("utf-8").splitlines():
            if line.strip():
                r = json.loads(line)
                yield who(r), _iso(r["timestamp"]), r.get("method"), r.get("path"), None
    elif ident == "search_chat_tasks":
        for r in _table(path, "\t"):
            yield who(r), _iso(r["timestamp"]), r["content"], r["topic"], None
    elif ident == "otree_timespent":
        for r in _table(path):
            yield who(r), _epoch(r["epoch_time"]), r["page_name"], r["page_name"], float(r["seconds_on_page"])
    elif ident == "sanskrit_issues":
        for issues in json.loads(Path(path).read_text("utf-8")).values():
            for r in issues:
                yield who(r), _iso(r["created_at"]), r["state"], r["title"], None
    else:
        raise KeyError(ident)


def figures(ident, path):
    every = list(rows(ident, path))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {
        "rows_in": len(every),
        "users": len({r[0] for r in (done or every) if r[0]}),
        "behaviors": len(done),
    }
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    lasting = [r[4] for r in dated if r[4] is not None]
    if lasting:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    return found


def main():
    listed = {}
    if (HERE / "truth.toml").exists():
        listed = {e["id"]: e for e in tomllib.loads((HERE / "truth.toml").read_text("utf-8"))["file"]}
    right = True
    for ident in RULES:
        path = next(HERE.glob(ident + ".*"))
        found, entry = figures(ident, path), listed.get(ident, {})
        if isinstance(entry.get("user"), list):
            first, others = RULES[ident]["user"], {}
            for name in entry["user"][1:]:
                RULES[ident]["user"] = name
                done = [r for r in rows(ident, path) if r[0] and r[1]]
                others[name] = [len({r[0] for r in done}), len(done)]
            RULES[ident]["user"] = first
            found["other_users"] = others
        keys = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
        odd = {k: (found.get(k), entry.get(k)) for k in keys if found.get(k) != entry.get(k)}
        right &= not odd
        print(ident, found, "" if not odd else f"ODD {odd}" if entry else "not listed")
    return not right


if __name__ == "__main__":
    sys.exit(main())
