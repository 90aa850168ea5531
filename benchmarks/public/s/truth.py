"""Truth of the files of this folder, worked out by reading the files; standard library only.

    python truth.py            figures of every file
RULES: ID -> {"user": column}. rows(ID, PATH) yields (user, time, action, item, seconds) of each row in file order.
"""
from __future__ import annotations

import csv
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
    "reservas_es": {"user": "id_cliente"},
    "bank_logins_ng": {"user": "user_id"},
    "lessons_in": {"user": "student_id"},
    "teams_meeting_id": {"user": "Nama"},
    "shopify_za": {"user": "Email"},
    "ga4_ux": {"user": "user_pseudo_id"},
    "orders_de": {"user": "customer_id"},
    "order_process_nl": {"user": "resource"},
    "secure_access_latam": {"user": "user_id"},
    "opinions_no_time": {"user": "user_id"},
    "web_log_vn": {"user": "#2"},
    "clickstream_mixed": {"user": "device.browser_id"},
    "learning_log": {"user": "Name"},
    "payments_zh": {"user": "用户名"},
    "tmall_reviews_zh": {"user": "评论人信息"},
    "zk_attlog_ph": {"user": "#1"},
    "tower_defense": {"user": "user_id"},
    "douyin_comments_zh": {"user": "用户id"},
    "danmu_zh": {"user": ""},
    "slack_day_et": {"user": "user"},
}


def _table(path, sep=",", header=True):
    text = Path(path).read_bytes().decode("utf-8-sig")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=sep)
    names = next(lines) if header else None
    for cells in lines:
        if any(cells):
            yield dict(zip(names or [f"#{n}" for n in range(1, len(cells) + 1)], cells))


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
                if c.get("t") == "inlineStr":
                    value = "".join(t.text or "" for t in c.iter(_X + "t"))
                else:
                    v = c.find(_X + "v")
                    value = "" if v is None else v.text or ""
                    if c.get("t") == "s" and value:
                        value = shared[int(value)]
                cells[re.match(r"[A-Z]+", c.get("r"))[0]] = value
            if names is None:
                names = cells
            elif any(cells.values()):
                yield {name: cells.get(letters, "") for letters, name in names.items()}


def _time(text, *forms):
    for form in forms:
        try:
            return datetime.strptime(text.strip(), form)
        except (ValueError, AttributeError):
            pass
    return None


def _epoch(text):
    try:
        return datetime(1970, 1, 1) + timedelta(seconds=float(text))
    except (ValueError, TypeError):
        return None


def _span(start, end):
    return None if start is None or end is None else (end - start).total_seconds()


def _get(value, path):
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value):
    """Text of a JSON value as written; '' where there is none."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_S = "%Y-%m-%d %H:%M:%S"
_D = "%Y-%m-%d"


def _words(text):
    """1h 42m 3s -> seconds."""
    found = re.findall(r"(\d+)\s*([hms])", text)
    return sum(int(n) * {"h": 3600, "m": 60, "s": 1}[u] for n, u in found) if found else None


def rows(ident, path):
    user = RULES[ident]["user"]
    if ident == "reservas_es":
        for r in _table(path):
            yield r[user], _time(r["fecha_reserva"], _D), "", r["id_hotel"], None
    elif ident == "bank_logins_ng":
        for r in _table(path):
            start = _time(r["login_time"], _S)
            yield r[user], start, r["status"], "", _span(start, _time(r["logout_time"], _S))
    elif ident == "lessons_in":
        for r in _table(path):
            yield r[user], _time(r["last_accessed"], _D), "", r["lesson_id"], None
    elif ident == "teams_meeting_id":
        for r in _table(path, ";"):
            yield r[user], _time(r["Join Time"], "%m/%d/%Y, %I:%M:%S %p"), r["Role"], "", _words(r["Duration"])
    elif ident == "shopify_za":
        for r in _table(path):
            yield r[user], _time(r["Created at"][:19], _S), "", r["Lineitem name"], None
    elif ident == "ga4_ux":
        for r in _table(path):
            yield r[user], _time(r["ts"], "%Y-%m-%d %H:%M:%S.%f UTC", _S + " UTC"), r["event_name"], r["page_path"], None
    elif ident == "orders_de":
        for r in _table(path):
            yield r[user], _time(r["order_date"], _D), r["status"], r["order_id"], None
    elif ident == "order_process_nl":
        for r in _table(path, ";"):
            start = _time(r["start time"], _S)
            yield r[user], start, r["activity"], r["product"], _span(start, _time(r["end time"], _S))
    elif ident == "secure_access_latam":
        for r in _table(path):
            yield r[user], _time(r["timestamp"], _S), r["action"], r["resource"], None
    elif ident == "opinions_no_time":
        for r in _table(path):
            yield r[user], None, r["accepts"], r["id"], None
    elif ident == "web_log_vn":
        for r in _table(path, header=False):
            yield r[user], _time(r["#1"], _S), "", r["#3"], float(r["#5"])
    elif ident == "clickstream_mixed":
        for line in Path(path).read_text("utf-8").splitlines():
            if line.strip():
                r = json.loads(line, parse_float=str)
                yield _text(_get(r, user)), _time(r["event_ts"], "%Y-%m-%dT%H:%M:%S"), r["event"], "", None
    elif ident == "learning_log":
        for r in _table(path):
            yield r[user], _time(r["TimeStamp"], "%m/%d/%Y %H:%M"), r["Medium"], r["Resource"], None
    elif ident == "payments_zh":
        for r in _xlsx(path):
            days = float(r["付款日期"]) if r["付款日期"] else None
            when = None if days is None else datetime(1899, 12, 30) + timedelta(seconds=round(days * 86400))
            yield r[user], when, "", "", None
    elif ident == "tmall_reviews_zh":
        for r in _xlsx(path):
            yield r[user], None, "", r["商品名"], None
    elif ident == "zk_attlog_ph":
        for line in Path(path).read_text("utf-8").splitlines():
            if line.strip():
                r = {f"#{n}": cell.strip() for n, cell in enumerate(line.split("\t"), 1)}
                yield r[user], _time(r["#2"], _S), r["#4"], "", None
    elif ident == "tower_defense":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        for r in base.execute("select * from Telemetry order by rowid"):
            yield str(r[user]), _time(r["dateTime"], "%Y-%m-%d %H:%M:%S.%f"), r["telemetry_type"], r["data"], None
    elif ident == "douyin_comments_zh":
        for r in _table(path):
            yield r[user], _time(r["评论时间"], _D), "", r["评论内容"], None
    elif ident == "danmu_zh":
        for r in _table(path):
            yield r.get(user), _epoch(r["弹幕添加时间戳"]), "", r["弹幕内容"], None
    elif ident == "slack_day_et":
        for r in json.loads(Path(path).read_text("utf-8")):
            yield _text(_get(r, user)), _epoch(r["ts"]), r["type"], r["text"], None


def figures(ident, path):
    found = list(rows(ident, path))
    kept = [r for r in found if r[0] and r[1]]
    times = [r[1] for r in found if r[1] is not None]
    spans = [r[4] for r in kept if r[4] is not None]
    return {
        "rows_in": len(found),
        "users": len({r[0] for r in kept}),
        "behaviors": len(kept),
        "first": min(times).isoformat(timespec="seconds") if times else None,
        "last": max(times).isoformat(timespec="seconds") if times else None,
        "total_minutes": round(sum(spans) / 60, 1) if spans else None,
    }


if __name__ == "__main__":
    import tomllib

    here = Path(__file__).parent
    listed = {f["id"]: f for f in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]} if (here / "truth.toml").exists() else {}
    for ident in RULES:
        path = next(p for p in here.glob(ident + ".*"))
        got = figures(ident, path)
        entry = listed.get(ident, {})
        bad = {k: (entry.get(k), v) for k, v in got.items() if entry and (entry.get(k) != v) and (v is not None or k in entry) and not (entry.get("expect") != "read" and k not in entry)}
        print(ident, got, "DIFFERS " + str(bad) if bad else "ok" if entry else "")
        users = entry.get("user", [])
        for other in users[1:] if isinstance(users, list) else []:
            kept, RULES[ident]["user"] = RULES[ident]["user"], other
            fig = figures(ident, path)
            RULES[ident]["user"] = kept
            print("   ", other, [fig["users"], fig["behaviors"]], "" if entry.get("other_users", {}).get(other) == [fig["users"], fig["behaviors"]] else "DIFFERS")
