"""Truth of the 20 files of this folder, read with the standard library only.

    python truth.py            check every file against truth.toml
    python truth.py --json     print the figures
    python truth.py --rows ID  print the rows
"""
import csv
import hashlib
import json
import re
import sqlite3
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

_S = "%Y-%m-%d %H:%M:%S"
RULES = {
    "azki_events": {"user": "user_id", "time": "event_timestamp", "action": "event_name", "forms": [_S]},
    "city_visits_cn": {"user": "ip", "time": "timestamp", "item": "url", "forms": [_S]},
    "own_punches_cn": {"user": None, "time": ["date", "start"], "end": ["date", "end"]},
    "bot_likes_ru": {"user": "#1", "item": "#2", "action": "#3", "header": False},
    "radio_checks": {"user": "employee", "time": "checkin_on", "action": "quality", "item": "call_sign", "forms": ["%m/%d/%Y %I:%M %p"]},
    "library_log_cn": {"user": "user", "time": "time", "action": "action", "item": "detail", "forms": [_S, "%Y-%m-%d_%H-%M-%S"]},
    "factory_ops_cn": {"user": "username", "time": "timestamp", "action": "action", "item": "details", "forms": [_S]},
    "getout_visits": {"user": "member_id", "time": "visit_date", "item": "venue_name", "forms": ["%Y-%m-%d"]},
    "hive_visits_cn": {"user": "#2", "time": "#5", "item": "#4", "forms": [_S], "header": False, "sep": "\x01"},
    "stripe_charges": {"user": "customer", "time": "created", "forms": ["%Y-%m-%dT%H:%M:%SZ"]},
    "bank_sales_id": {"user": "cust_email", "time": "order_date", "item": "product_name", "forms": ["%Y-%m-%d"]},
    "timesheets_id": {"user": "employee_id", "time": ["date", "checkin"], "end": ["date", "checkout"], "forms": [_S]},
    "school_gate_cn": {"user": "stu_id", "time": "kq_dateTime", "action": "kq_controllerID", "forms": ["%Y/%m/%d %H:%M"]},
    "restaurant_cn": {"user": "emp_id", "time": "use_start_time", "end": "lock_time", "action": "order_status", "forms": ["%Y/%m/%d %H:%M:%S"], "encoding": "gb18030"},
    "trade_orders_cn": {"user": "客户", "time": ["订单日期"], "action": "状态", "item": "产品名称"},
    "nickname_reviews_cn": {"user": "用户", "time": "创建时间", "action": "状态", "item": "昵称", "forms": [_S]},
    "hotel_orders_cn": {"user": "client_id", "time": "channel_create_time", "action": "channel_status", "item": "dida_hotel_name", "forms": [_S], "table": "orders"},
    "pig_game_tw": {"user": "user_id", "time": "upload_time", "action": "user_action", "item": "target", "forms": [_S]},
    "card_game": {"user": "session_id", "time": "timestamp", "action": "name", "item": "card_id", "epoch": True},
    "noodle_shifts_ca": {"user": "employee_id", "time": "start_time", "end": "end_time", "action": "role", "forms": [_S]},
}

_N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _sheet(path):
    """Yield the rows of the first sheet as {column letters: text}."""
    z = zipfile.ZipFile(path)
    strings = []
    if "xl/sharedStrings.xml" in z.namelist():
        for si in ET.fromstring(z.read("xl/sharedStrings.xml")).iter(_N + "si"):
            strings.append("".join(t.text or "" for t in si.iter(_N + "t")))
    for row in ET.fromstring(z.read("xl/worksheets/sheet1.xml")).iter(_N + "row"):
        cells = {}
        for c in row.findall(_N + "c"):
            v = c.find(_N + "v")
            text = "" if v is None else v.text or ""
            if c.get("t") == "s" and text:
                text = strings[int(text)]
            elif c.get("t") == "inlineStr":
                text = "".join(t.text or "" for t in c.iter(_N + "t"))
            cells[re.match("[A-Z]+", c.get("r")).group()] = text
        yield cells


def _records(name, path):
    rule = RULES[name]
    suffix = Path(path).suffix
    if suffix == ".xlsx":
        head = None
        for cells in _sheet(path):
            if head is None:
                head = {k: v.strip() for k, v in cells.items() if v}
            elif any(v.strip() for v in cells.values()):
                yield {head[k]: v for k, v in cells.items() if k in head}
    elif suffix == ".db":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        for r in base.execute(f'select * from "{rule["table"]}" order by rowid'):
            yield {k: "" if r[k] is None else str(r[k]) for k in r.keys()}
    elif suffix in (".json", ".jsonl"):
        text = Path(path).read_text("utf-8")
        found = json.loads(text[text.index("[{"):], parse_float=str) if suffix == ".json" else [
            json.loads(line, parse_float=str) for line in text.splitlines() if line.strip()]
        for r in found:
            yield {k: v if isinstance(v, str) else "" if v is None else json.dumps(v, ensure_ascii=False) for k, v in r.items()}
    else:
        with open(path, encoding=rule.get("encoding", "utf-8-sig"), newline="") as f:
            lines = (line.rstrip("\r\n").split(rule["sep"]) for line in f) if "sep" in rule else csv.reader(f)
            head = None
            for cells in lines:
                if not any(cells):
                    continue
                if not rule.get("header", True):
                    yield {f"#{n}": v for n, v in enumerate(cells, 1)}
                elif head is None:
                    head = cells
                else:
                    yield dict(zip(head, cells))


def _moment(parts, rule):
    if not parts or not all(p.strip() and p not in rule.get("empty", ()) for p in parts):
        return None
    text = " ".join(p.strip() for p in parts)
    try:
        if rule.get("epoch"):
            return datetime.fromtimestamp(float(text), timezone.utc).replace(tzinfo=None)
        if "forms" not in rule:  # days of Excel
            return datetime(1899, 12, 30) + timedelta(seconds=round(sum(float(p) for p in parts) * 86400))
    except ValueError:
        return None
    for form in rule["forms"]:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            pass
    return None


def rows(name, path):
    rule = RULES[name]
    for r in _records(name, path):
        def get(k):
            names = rule.get(k) or []
            return [r.get(n) or "" for n in ([names] if isinstance(names, str) else names)]
        start, end = _moment(get("time"), rule), _moment(get("end"), rule)
        who = r.get(rule["user"]) if rule["user"] else None
        if not who or not who.strip() or who in rule.get("empty", ()):
            who = None
        seconds = (end - start).total_seconds() if start and end else None
        yield who, start, "".join(get("action")), "".join(get("item")), seconds


def figures(name, path, users=()):
    every = list(rows(name, path))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {"rows_in": len(every), "users": len({r[0] for r in done or every if r[0]}), "behaviors": len(done)}
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    lasting = [r[4] for r in dated if r[4] is not None]
    if lasting:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    if users:
        kept, found["other_users"] = RULES[name]["user"], {}
        for other in users:
            RULES[name]["user"] = other
            seen = [r[0] for r in rows(name, path) if r[0] and r[1]]
            found["other_users"][other] = [len(set(seen)), len(seen)]
        RULES[name]["user"] = kept
    return found


def main():
    here = Path(__file__).parent
    if sys.argv[1:2] == ["--rows"]:
        for r in rows(sys.argv[2], next(here.glob(sys.argv[2] + ".*"))):
            print(*r, sep="\t")
        return
    bad = 0
    for e in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(here.glob(e["id"] + ".*"))
        others = e["user"][1:] if isinstance(e.get("user"), list) else []
        found = figures(e["id"], path, others)
        if sys.argv[1:] == ["--json"]:
            print(json.dumps({"id": e["id"], **found}, ensure_ascii=False))
            continue
        odd = [f"{k}: {found.get(k)}, listed {e.get(k)}" for k in ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users") if found.get(k) != e.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != e["sha256"]:
            odd.append("sha256")
        bad += bool(odd)
        print(f"{e['id']:22} {e['expect']:6} {found['behaviors']:>6}  {'; '.join(odd) or 'as listed'}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
