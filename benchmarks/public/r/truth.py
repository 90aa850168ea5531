"""Truth of the files of this folder, worked out by reading the files; standard library only.

    python truth.py            figures of every file
RULES: ID -> {"user": column}. rows(ID, PATH) yields (user, time, action, item, seconds) of each row in file order.
"""
from __future__ import annotations

import csv
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
    "muserec_art": {"user": "user_id"},
    "es_weblogs": {"user": "nu_telefono"},
    "cookie_clicks": {"user": "COOKIE"},
    "kaoqin_txt": {"user": "#5"},
    "choice_discord": {"user": "Author"},
    "xapi_moodle": {"user": "actor.name"},
    "zhihu_answers": {"user": "知乎作者"},
    "bili_olympics": {"user": "用户名称"},
    "govplan_chamados": {"user": "solicitante"},
    "tracker_issues": {"user": ""},
    "shopee_events": {"user": "userId"},
    "cadet_journey": {"user": "cadet_id"},
    "rides_latam": {"user": "rider_id"},
    "travel_clicks": {"user": "VisitID"},
    "invoice_process": {"user": "Resource"},
    "batch_attendance": {"user": "emp_name"},
    "campus_events": {"user": "student_id"},
    "apache_table": {"user": "Host"},
    "timelly_log": {"user": "username"},
    "csgo_server": {"user": "name"},
}


def _table(path, sep=",", encoding="utf-8-sig"):
    text = Path(path).read_bytes().decode(encoding)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=sep)
    names = next(lines)
    for cells in lines:
        if any(cells):
            yield dict(zip(names, cells))


_X = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _xlsx(path, sheet="xl/worksheets/sheet1.xml"):
    """The rows of one sheet as text; empty cells are ''."""
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).iter(_X + "si"):
                shared.append("".join(t.text or "" for t in si.iter(_X + "t")))
        names = None
        for row in ElementTree.fromstring(book.read(sheet)).iter(_X + "row"):
            cells = {}
            for c in row.iter(_X + "c"):
                letters = re.match(r"[A-Z]+", c.get("r"))[0]
                if c.get("t") == "inlineStr":
                    value = "".join(t.text or "" for t in c.iter(_X + "t"))
                else:
                    v = c.find(_X + "v")
                    value = "" if v is None else v.text or ""
                    if c.get("t") == "s" and value:
                        value = shared[int(value)]
                cells[letters] = value
            if names is None:
                names = cells
            elif any(cells.values()):
                yield {name: cells.get(letters, "") for letters, name in names.items()}


def _time(text, form):
    try:
        return datetime.strptime(text, form)
    except (ValueError, TypeError):
        return None


def _iso(text):
    """The wall time as written, without the offset."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)
    except (ValueError, AttributeError):
        return None


def _epoch(text, per=1):
    try:
        return datetime(1970, 1, 1) + timedelta(seconds=float(text) / per)
    except (ValueError, TypeError, OverflowError):
        return None


def _span(start, end):
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def _get(value, path):
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


_YMD = "%Y-%m-%d %H:%M:%S"
_CSGO = re.compile(
    r'^L (?P<t>\d\d/\d\d/\d{4} - \d\d:\d\d:\d\d): (?:"(?P<name>.*?)<\d+><(?P<steamid>[^<>]*)>(?:<(?P<team>[^<>]*)>)?" ?(?:\[[-\d ]+\] )?(?P<rest>.*))?'
)


def rows(ID, PATH):
    u = RULES[ID]["user"]
    if ID == "muserec_art":
        for r in _table(PATH):
            yield r[u] or None, _iso(r["timestamp"]), r["event"], r["content_id"], None
    elif ID == "es_weblogs":
        for r in _table(PATH):
            a, b = _iso(r["it_evento"]), _iso(r["it_fin_evento"])
            yield r[u] or None, a, "", r["no_url"], _span(a, b)
    elif ID == "cookie_clicks":
        for r in _table(PATH, ";"):
            yield r[u] or None, _time(r["Date"] + " " + r["Time"], _YMD), "", r["Webpage"], None
    elif ID == "kaoqin_txt":
        n = int(u[1:]) - 1
        for line in Path(PATH).read_bytes().decode("gb18030").splitlines():
            c = line.split("\t")
            if len(c) > 5:
                yield c[n] or None, _time(c[1], _YMD), c[5], "", None
    elif ID == "choice_discord":
        for r in _table(PATH):
            yield r[u] or None, _time(r["Date_Col"], _YMD), "", r["Message"], None
    elif ID == "xapi_moodle":
        for r in json.loads(Path(PATH).read_text("utf-8")):
            d = _get(r, "result.duration")
            s = None
            if d:
                h, m, x = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?", d).groups()
                s = int(h or 0) * 3600 + int(m or 0) * 60 + float(x or 0)
            yield (
                _get(r, u) or None, _iso(r["timestamp"]), _get(r, "verb.display.en"),
                _get(r, "object.definition.name.en") or "", s,
            )
    elif ID == "zhihu_answers":
        for r in _table(PATH):
            yield r[u] or None, _time(r["回答时间"], _YMD), "", r["回答内容"], None
    elif ID == "bili_olympics":
        for r in _table(PATH):
            yield r[u] or None, _epoch(r["评论时间"]), "", r["用户评论"], None
    elif ID == "govplan_chamados":
        for r in _xlsx(PATH):
            a = _time(r["data_abertura"], "%d/%m/%Y %H:%M") or _time(r["data_abertura"], "%d/%m/%Y %H:%M:%S")
            yield r[u] or None, a, r["categoria"], r["descricao"], None
    elif ID == "tracker_issues":
        for r in _table(PATH):
            a, b = _epoch(r["created"], 1000), _epoch(r["resolved"], 1000)
            yield None, a, r["category"], r["key"], _span(a, b)
    elif ID == "shopee_events":
        for r in _table(PATH):
            yield r[u] or None, _iso(r["timestamp"]), r["action"], r["productName"], None
    elif ID == "cadet_journey":
        for r in _table(PATH):
            yield r[u] or None, _iso(r["ts"]), r["category"], r["title"], None
    elif ID == "rides_latam":
        for r in _table(PATH):
            yield r[u] or None, _iso(r["timestamp"]), r["status"], r["ride_id"], None
    elif ID == "travel_clicks":
        for r in _table(PATH):
            yield r[u] or None, None, "", r["PageName"], float(r["TimeOnPage"])
    elif ID == "invoice_process":
        for r in _table(PATH):
            a, b = _time(r["StartTimestamp"], "%d/%m/%Y %H:%M"), _time(r["EndTimestamp"], "%d/%m/%Y %H:%M")
            yield r[u] or None, a, r["ActivityName"], r["CaseId"], _span(a, b)
    elif ID == "batch_attendance":
        for r in _table(PATH):
            a = _time(r["date"] + " " + r["clock_in"], _YMD)
            b = _time(r["date"] + " " + r["clock_out"], _YMD)
            yield r[u] or None, a, "", "", _span(a, b)
    elif ID == "campus_events":
        for r in _table(PATH):
            yield r[u] or None, _time(r["event_date"], "%Y-%m-%d"), r["event_type"], r["event_name"], None
    elif ID == "apache_table":
        for r in _table(PATH):
            yield r[u] or None, _epoch(r["Date"]), r["Verb"], r["Path"], None
    elif ID == "timelly_log":
        for r in _table(PATH):
            yield r[u] if r[u].strip() else None, _time(r["timestamp"], _YMD), r["action"], r["detail"], None
    elif ID == "csgo_server":
        for line in Path(PATH).read_bytes().decode("utf-8").splitlines():
            hit = _CSGO.match(line)
            if not hit:
                continue
            rest = hit["rest"] or ""
            verb = re.match(r"[a-z_ ]*", rest)[0].strip()
            yield hit[u] or None, _time(hit["t"], "%m/%d/%Y - %H:%M:%S"), verb, rest[len(verb):].strip(), None


def figures(ID, PATH):
    n = kept = 0
    users, first, last, total, timed = set(), None, None, 0.0, False
    everyone = set()
    for user, time, _action, _item, seconds in rows(ID, PATH):
        n += 1
        if user is not None:
            everyone.add(user)
        if user is None or time is None:
            continue
        kept += 1
        users.add(user)
        first = time if first is None or time < first else first
        last = time if last is None or time > last else last
        if seconds is not None:
            total, timed = total + seconds, True
    out = {"rows_in": n, "users": len(users) if kept else len(everyone), "behaviors": kept}
    if kept:
        out["first"], out["last"] = (t.replace(microsecond=0).isoformat() for t in (first, last))
    if kept and timed:
        out["total_minutes"] = round(total / 60, 1)
    return out


if __name__ == "__main__":
    import tomllib

    here = Path(__file__).parent
    bad = 0
    for f in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        i = f["id"]
        path = next(p for p in here.iterdir() if p.name.split(".")[0] == i)
        own = figures(i, path)
        alternatives = {}
        for other in (f["user"][1:] if isinstance(f.get("user"), list) else []):
            if "+" in other:
                continue
            kept = RULES[i]["user"]
            RULES[i]["user"] = other
            x = figures(i, path)
            alternatives[other] = [x["users"], x["behaviors"]]
            RULES[i]["user"] = kept
        listed = {k: f[k] for k in ("rows_in", "users", "behaviors", "first", "last", "total_minutes") if k in f}
        ok = own == listed and alternatives == f.get("other_users", {})
        bad += not ok
        print("ok " if ok else "BAD", i, own, alternatives)
    sys.exit(bool(bad))
