"""Truth of the 20 files, read with the standard library only."""
import csv
import io
import json
import re
import sqlite3
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

RULES = {
    "pmp_tickets": {"user": "Name", "time": "Request Date", "action": "Category", "item": "Description (First Query)"},
    "dingtalk_punches": {"user": "UserId", "time": "打卡时间", "action": "打卡结果", "sheet": "原始记录", "header_row": 3},
    "gesture_events": {"user": "user_id", "time": "timestamp", "action": "event_type", "item": "sku_id"},
    "travel_poi": {"user": "user_id", "time": "timestamp", "action": "action", "item": "poi_id"},
    "transit_tickets": {"user": None, "time": "#3", "end": "#4"},
    "blog_ga": {"user": "dimension1", "time": "dateHourMinute", "item": "pagePath"},
    "course_trace": {"user": "#3", "time": "#5", "action": "#4", "item": "#2"},
    "video_clicks": {"user": "uid", "time": "time", "action": "event", "item": "vid"},
    "game_actions": {"user": "user_id", "time": "timestamp", "action": "action_type", "item": "quest_id"},
    "ride_trips": {"user": "rider_id", "time": "requested_at", "action": "status", "duration": "duration_mins", "per": 60},
    "taxi_touches": {"user": "user_id", "time": "touch_ts", "action": "touch_channel", "item": "campaign_id"},
    "meal_orders": {"user": "emp_id", "time": "place_order_time", "item": "dishes_name"},
    "lms_activities": {"user": "user_id", "time": "created_at", "action": "activity_type", "item": "resource_id", "duration": "duration", "per": 1, "table": "activities"},
    "pool_badges": {"user": "member_id", "time": "access_time", "action": "access_decision", "item": "denial_reason"},
    "my_punches": {"user": None, "time": ["打卡日期", "首次打卡时间"], "end": ["打卡日期", "末次打卡时间"]},
    "factory_reports": {"user": "生产人员", "time": "报工开始时间", "action": "工序名称", "item": "产品名称", "duration": "报工时长", "header_row": 2},
    "note_comments": {"user": "user_info_user_id", "time": "create_time", "action": "comment_type", "item": "content"},
    "sirad_audit": {"user": "structured_data.audit@32473.username", "time": "timestamp", "action": "structured_data.audit@32473.accion", "item": "structured_data.audit@32473.modulo"},
    "export_orders": {"user": "客户名称", "time": "订单日期", "action": "订单状态", "item": "产品名称"},
    "page_visits": {"user": "ip", "time": "createdAt", "item": "path"},
}

_N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def _column(ref):
    n = 0
    for c in ref:
        if not c.isalpha():
            break
        n = n * 26 + ord(c.upper()) - 64
    return n - 1


def _sheets(path):
    """Yield (name, rows) of each sheet; cells as the XML has them, '' where empty."""
    z = zipfile.ZipFile(path)
    strings = []
    if "xl/sharedStrings.xml" in z.namelist():
        for si in ET.fromstring(z.read("xl/sharedStrings.xml")).iter(_N + "si"):
            parts = [si] if si.find(_N + "t") is not None else si.findall(_N + "r")
            strings.append("".join(t.text or "" for p in parts for t in p.findall(_N + "t")))
    targets = {r.get("Id"): r.get("Target") for r in ET.fromstring(z.read("xl/_rels/workbook.xml.rels"))}
    for s in ET.fromstring(z.read("xl/workbook.xml")).iter(_N + "sheet"):
        t = targets[s.get(_R + "id")].lstrip("/")
        out = []
        for row in ET.fromstring(z.read(t if t.startswith("xl/") else "xl/" + t)).iter(_N + "row"):
            cells, i = [], -1
            for c in row.findall(_N + "c"):
                i = _column(c.get("r")) if c.get("r") else i + 1
                v, kind = c.find(_N + "v"), c.get("t")
                if kind == "inlineStr":
                    x = "".join(k.text or "" for k in c.iter(_N + "t"))
                elif v is None or v.text is None:
                    x = ""
                else:
                    x = strings[int(v.text)] if kind == "s" else v.text
                cells += [""] * (i + 1 - len(cells))
                cells[i] = x
            out.append(cells)
        yield s.get("name"), out


def _table(lines, header_row=1):
    lines = list(lines)
    names = lines[header_row - 1]
    for line in lines[header_row:]:
        if any(v != "" for v in line):
            line = line + [""] * (len(names) - len(line))
            yield {n: v for n, v in reversed(list(zip(names, line))) if n}


def _flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    out = {}
    for k, v in value.items():
        out.update(_flat(v, f"{path}.{k}" if path else k))
    return out


def _records(name, path):
    rule, path = RULES[name], Path(path)
    end = path.suffix
    if end == ".xlsx":
        for number, (sheet, lines) in enumerate(_sheets(path)):
            if name == "meal_orders" or sheet == rule.get("sheet") or ("sheet" not in rule and number == 0):
                yield from _table(lines, rule.get("header_row", 1))
    elif end == ".db":
        con = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        con.row_factory = sqlite3.Row
        for r in con.execute(f"select * from {rule['table']} order by rowid"):
            yield {k: "" if r[k] is None else str(r[k]) for k in r.keys()}
        con.close()
    elif end == ".jsonl":
        for line in path.read_text("utf-8").splitlines():
            if line.strip():
                yield {k: "" if v is None else str(v) for k, v in _flat(json.loads(line)).items()}
    elif end == ".json":
        for r in json.loads(path.read_text("utf-8")):
            yield {k: "" if v is None else str(v) for k, v in _flat(r).items()}
    else:
        lines = csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=";" if name == "ride_trips" else ",")
        if name in ("transit_tickets", "course_trace"):
            for line in lines:
                yield {f"#{i}": v for i, v in enumerate(line, 1)}
        else:
            yield from _table(lines)


def _serial(text):
    """An Excel day number, to the nearest second."""
    return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))


def _time(name, text):
    text = text.strip()
    if not text or text == "NULL":
        return None
    if name in ("meal_orders", "factory_reports", "export_orders", "my_punches"):
        return _serial(text)
    if name == "pmp_tickets":
        return datetime.strptime(text, "%m/%d/%Y") if "/" in text else _serial(text)
    if name == "travel_poi":
        return datetime.fromtimestamp(int(text), timezone.utc).replace(tzinfo=None)
    forms = {"blog_ga": "%Y%m%d%H%M", "ride_trips": "%d/%m/%Y %H:%M", "note_comments": "%Y/%m/%d %H:%M:%S", "transit_tickets": "%d/%m/%Y %H:%M:%S"}
    if name in forms:
        return datetime.strptime(text, forms[name])
    if name == "pool_badges":
        text = re.sub(r"[+-]\d\d$", "", text)
        text = re.sub(r"\.\d+$", lambda m: m[0].ljust(7, "0"), text)
    return datetime.fromisoformat(re.sub(r"Z$", "", text))


def _get(name, record, column):
    if isinstance(column, list):
        return _time(name, str(sum(float(record[c]) for c in column)))
    return _time(name, record.get(column, ""))


def rows(name, path):
    rule = RULES[name]
    for r in _records(name, path):
        user = r.get(rule["user"], "") if rule["user"] else ""
        if name == "meal_orders":
            user = user.removesuffix(".0")  # as Excel shows the number
        if user.strip() in ("", "NULL"):
            user = None
        time = _get(name, r, rule["time"])
        seconds = None
        if name == "factory_reports":
            m = re.fullmatch(r"(?:(\d+)小时)?(?:(\d+)分钟)?", r["报工时长"])
            if m and r["报工时长"]:
                seconds = int(m[1] or 0) * 3600 + int(m[2] or 0) * 60
        elif "duration" in rule:
            if r[rule["duration"]] != "":
                seconds = float(r[rule["duration"]].replace(",", ".")) * rule["per"]
        elif "end" in rule:
            end = _get(name, r, rule["end"])
            if end and time:
                seconds = (end - time).total_seconds()
        yield user, time, r.get(rule.get("action"), "") or "", r.get(rule.get("item"), "") or "", seconds


def figures(name, path):
    out = list(rows(name, path))
    good = [x for x in out if x[0] and x[1]]
    times = [x[1] for x in out if x[1]] if not good else [x[1] for x in good]
    secs = [x[4] for x in (good or out) if x[4] is not None]
    show = lambda t: t.replace(microsecond=0).isoformat()
    f = {"rows_in": len(out), "users": len({x[0] for x in good}), "behaviors": len(good)}
    if times:
        f |= {"first": show(min(times)), "last": show(max(times))}
    if secs:
        f["total_minutes"] = round(sum(secs) / 60, 1)
    return f


if __name__ == "__main__":
    here = Path(__file__).parent
    bad = 0
    for e in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        p = next(here.glob(e["id"] + ".*"))
        f = figures(e["id"], p)
        for other, pair in e.get("other_users", {}).items():
            keep = RULES[e["id"]]["user"]
            RULES[e["id"]]["user"] = other
            g = figures(e["id"], p)
            RULES[e["id"]]["user"] = keep
            if [g["users"], g["behaviors"]] != pair:
                print(e["id"], other, g, "is not", pair)
                bad += 1
        for k, v in f.items():
            if e.get(k) != v:
                print(e["id"], k, v, "is not", e.get(k))
                bad += 1
    print("wrong:", bad)
