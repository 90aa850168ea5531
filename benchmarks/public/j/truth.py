"""The rows of each file of truth.toml, read on their own: python truth.py checks them against the list."""

import csv
import datetime as dt
import hashlib
import json
import re
import sqlite3
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

csv.field_size_limit(1 << 30)
EPOCH = dt.datetime(1970, 1, 1)
LOG = (r'^(?P<ip>\S+) \S+ (?P<name>\S+) \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>\S+)[^"]*" '
       r'(?P<status>\d+) (?P<bytes>\S+) "(?P<referer>[^"]*)" "(?P<agent>.*)"$')
CHAT = r"^[\u200e\u200f]?\[(?P<time>\d+/\d+/\d+, \d+:\d+:\d+[\s\u202f][AP]M)\] (?P<user>.*?): (?P<text>.*)"

RULES = {
    "villo_trips": dict(form="csv", sep=";", header=False, user="#2", time="#4", item="#1", end="#6", tf="iso", empty="None"),
    "hotel_reviews": dict(form="csv", user=None, time="日期", item="评论", action="评价", tf="%Y年%m月%d日"),
    "site_access": dict(form="lines", pattern=LOG, user="ip", time="time", action="method", item="path", tf="%d/%b/%Y:%H:%M:%S %z"),
    "pr_commits": dict(form="csv", user="UID", time="Year + Month + Day", item="PQID", tf="%Y %m %d"),
    "tree_care": dict(form="csv", user=None, time="date", action="activitiesDone", item="treeId", duration="durationMinutes", unit=60, tf="iso"),
    "film_reviews": dict(form="csv", user="用户昵称", time="评论时间", item="评论内容（短评）", action="评级", tf="iso"),
    "motorph_attendance": dict(form="csv", user="Employee #", time="Date + Log In", end="Date + Log Out", tf="%m/%d/%Y %H:%M"),
    "cve_edges": dict(form="csv", user="source", time="timeset", action="label", item="target", tf="iso"),
    "class_signins": dict(form="xlsx", user="学号/工号", time="时间", item="课程", action="签到状态", tf="%Y年%m月%d日"),
    "ev_charging": dict(form="csv", sep=";", user="user_id", time="start_plugin", item="garage_id", duration="duration_hours", unit=3600, end="end_plugout", tf="iso"),
    "commandmaps_trials": dict(form="csv", user="userid", time=None, action="interface", item="commandid", duration="time", unit=0.001, tf="iso"),
    "pattern_helpers": dict(form="csv", user="participant_uid", time="timestamp", action="action", item="op_fn", tf="ms"),
    "bounty_reports": dict(form="jsonl", user="reporter", time="disclosed_at", item="title", tf="iso"),
    "parador_tweets": dict(form="csv", user="author id", time="created_at", item="tweet", tf="iso"),
    "caterpillar_surveys": dict(form="csv", header=False, user="#3", time="#6", action="#16", item="#11", tf="iso"),
    "shop_visits": dict(form="csv", sep="\t", user="customer_id", time="end", item="viewed_products", duration="time_spent_in_minutes", unit=60, tf="ms"),
    "h5_events": dict(form="sqlite", table="events", user="user_id", time="timestamp", action="event_name", tf="iso"),
    "neunziger_tweets": dict(form="xlsx", user="Autor ", time="Datum ", item="Tweet ", tf="serial"),
    "football_chat": dict(form="lines", pattern=CHAT, user="user", time="time", item="text", tf="%m/%d/%y, %I:%M:%S %p"),
    "geo_checkins": dict(form="jsonl", user="u", time="t", item="x", tf="s"),
}

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _xlsx(path):
    """Cells of the first sheet as the file stores them (dates are serial numbers)."""
    book = zipfile.ZipFile(path)
    texts = ["".join(t.text or "" for t in si.iter(_S + "t")) for si in ET.fromstring(book.read("xl/sharedStrings.xml")).iter(_S + "si")]
    for row in ET.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(_S + "row"):
        cells = {}
        for cell in row.iter(_S + "c"):
            value = cell.find(_S + "v")
            if value is not None:
                number = 0
                for letter in re.match("[A-Z]+", cell.get("r")).group():
                    number = number * 26 + ord(letter) - 64
                cells[number] = texts[int(value.text)] if cell.get("t") == "s" else value.text
        yield [cells.get(n, "") for n in range(1, max(cells, default=0) + 1)]


def _table(lines, header):
    names = None
    for cells in lines:
        if header and names is None:
            names = cells
        elif any(cells):
            yield dict(zip(names if header else [f"#{n}" for n in range(1, len(cells) + 1)], cells))


def _records(path, rule):
    if rule["form"] == "csv":
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from _table(csv.reader(file, delimiter=rule.get("sep", ",")), rule.get("header", True))
    elif rule["form"] == "xlsx":
        yield from _table(_xlsx(path), True)
    elif rule["form"] == "jsonl":
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)
    elif rule["form"] == "sqlite":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        yield from map(dict, base.execute(f'select * from "{rule["table"]}"'))
    else:
        for line in Path(path).read_bytes().decode("utf-8").replace("\r\n", "\n").split("\n"):
            if hit := re.match(rule["pattern"], line):
                yield hit.groupdict()


def _cell(record, name, rule):
    if not name:
        return ""
    parts = ["" if record.get(n) is None else str(record[n]).strip() for n in name.split(" + ")]
    return " ".join(parts) if all(p and p != rule.get("empty") for p in parts) else ""


def _time(text, tf):
    if not text:
        return None
    try:
        if tf in ("s", "ms"):
            return EPOCH + dt.timedelta(seconds=float(text) / (1000 if tf == "ms" else 1))
        if tf == "serial":
            return dt.datetime(1899, 12, 30) + dt.timedelta(days=float(text))
        if tf == "iso":
            return dt.datetime.fromisoformat(text).replace(tzinfo=None)
        return dt.datetime.strptime(text.replace("\u202f", " "), tf).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def rows(ID, PATH):
    """Yield (user or None, time or None, action, item, seconds or None) of each record, in file order."""
    rule = RULES[ID]
    for record in _records(PATH, rule):
        start = _time(_cell(record, rule.get("time"), rule), rule["tf"])
        end = _time(_cell(record, rule.get("end"), rule), rule["tf"])
        text = _cell(record, rule.get("duration"), rule)
        seconds = float(text) * rule["unit"] if text else None
        if seconds is None and start and end:
            seconds = (end - start).total_seconds()
        user = _cell(record, rule["user"], rule) or None
        yield user, start, _cell(record, rule.get("action"), rule), _cell(record, rule.get("item"), rule), seconds


def figures(ID, PATH, others=()):
    every = list(rows(ID, PATH))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {"rows_in": len(every), "users": len({r[0] for r in done or every if r[0]}), "behaviors": len(done)}
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    if lasting := [r[4] for r in dated if r[4] is not None]:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    if others:
        kept, found["other_users"] = RULES[ID]["user"], {}
        for name in others:
            RULES[ID]["user"] = name
            other = [r[0] for r in rows(ID, PATH) if r[0] and r[1]]
            found["other_users"][name] = [len(set(other)), len(other)]
        RULES[ID]["user"] = kept
    return found


if __name__ == "__main__":
    here = Path(__file__).parent
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(iter(sorted(here.glob(entry["id"] + ".*"))))
        users = entry.get("user", [])
        got = figures(entry["id"], path, users[1:] if isinstance(users, list) else ())
        odd = {k: (v, entry.get(k)) for k, v in got.items() if v != entry.get(k)}
        odd |= {k: (None, entry[k]) for k in ("first", "last", "total_minutes", "other_users") if k in entry and k not in got}
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            odd["sha256"] = "another file"
        print(f"{entry['id']:22} {entry['expect']:6} {got['behaviors']:>7}", odd or "as listed")
    sys.exit(0)
