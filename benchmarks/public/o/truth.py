"""Truth of the files in this folder, worked out by hand, standard library only.

RULES[ID] says how a file is read; rows(ID, PATH) yields (user, time, action, item, seconds) of each row in file order.
"A + B" joins two columns with a space, "#3" is the third column of a file without a header.
"""

import csv
import io
import json
import re
import sqlite3
import sys
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone

CN = "%Y-%m-%d %H:%M:%S"

RULES = {
    "errand_audit": {"form": "json", "user": "operator_id", "time": "created_at", "format": "iso", "action": "action", "item": "order_id"},
    "callback_calls": {"form": "xlsx", "user": "被叫号码", "time": "接通时间", "format": "%Y-%m-%d %H:%M", "action": "机器人标签", "item": "通话文本", "duration": "通话时长", "unit": 1},
    "grid_events": {"form": "csv", "user": "上报人", "time": "上报时间", "format": "%d/%m/%y %H:%M", "action": "二级分类", "item": "事件描述", "end": "办结时间"},
    "bike_sales": {"form": "xlsx", "user": "客户名称", "time": "下单日期", "format": "cell", "item": "产品名称"},
    "overtime_approvals": {"form": "xlsx", "user": "创建人", "time": "创建时间", "format": CN, "action": "审批状态", "item": "详细说明（加班内容）", "duration": "时长（小时）", "unit": 3600},
    "attendance_months": {"form": "csv", "encoding": "gb18030", "user": "姓名", "time": "时间", "format": "%Y-%m", "duration": "minute", "unit": 60},
    "fingerprint_days": {"form": "xlsx", "user": "姓名", "time": "考勤日期", "format": "%Y-%m-%d"},
    "mall_clicks": {"form": "csv", "user": "user_id", "time": "vtime", "format": "%Y/%m/%d %H:%M", "action": "action", "item": "item_id"},
    "wechat_bill": {"form": "csv", "user": None, "time": "交易时间", "format": CN, "action": "交易类型", "item": "商品"},
    "tmall_orders": {"form": "csv", "user": None, "time": "订单创建时间", "format": CN},
    "qr_visits": {"form": "csv", "header": False, "user": "#1", "time": "#3", "format": "iso", "item": "#2", "end": "#4"},
    "govplan_tickets": {"form": "csv", "user": "solicitante", "time": "data_abertura", "format": ["%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M"], "action": "categoria", "item": "descricao"},
    "tiendanube_sales": {"form": "csv", "sep": ";", "encoding": "latin-1", "user": "Email", "time": "Fecha", "format": "%d/%m/%Y %H:%M:%S", "action": "Estado de la orden", "item": "Nombre del producto"},
    "shop_access": {"form": "csv", "user": "user_id", "time": "time", "format": "iso", "action": "method", "item": "path"},
    "outreach_log": {"form": "csv", "user": "Email", "time": "Timestamp", "format": "iso", "action": "Action", "item": "Email Stage"},
    "queue_log": {"form": "csv", "user": "type", "no_user": ["NONE"], "time": "time", "format": CN, "action": "event", "item": "queue_name", "duration": "ttime", "unit": 1},
    "phone_calls": {"form": "csv", "user": "user", "time": "timestamp", "format": "%a %b %d %H:%M:%S %z %Y", "action": "direction", "item": "other", "duration": "duration", "unit": 1},
    "villa_bookings": {"form": "csv", "user": "nom_client", "time": "date_arrivee", "format": "%Y-%m-%d", "action": "plateforme", "item": "propriete_id", "end": "date_depart"},
    "course_events": {"form": "csv", "user": "user_id", "time": "event_timestamp", "format": CN, "action": "event_type", "item": "course_id"},
    "trivia_scores": {"form": "sqlite", "table": "score_events", "user": "nick", "time": "answered_at", "format": "epoch"},
    "sql_questions": {"form": "jsonl", "user": "session_id", "time": "timestamp", "format": "iso", "action": "intent.type", "item": "question"},
    "smart_band": {"form": "csv", "user": None, "time": "date + start", "format": "%Y-%m-%d %H:%M", "end": "date + stop"},
}

_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def _xlsx(path):
    """Rows of cells of the first sheet; cells with a date format become datetimes."""
    z = zipfile.ZipFile(path)
    strings = []
    if "xl/sharedStrings.xml" in z.namelist():
        for si in ET.fromstring(z.read("xl/sharedStrings.xml")).findall(_M + "si"):
            strings.append("".join(t.text or "" for t in si.iter(_M + "t")))
    styles = ET.fromstring(z.read("xl/styles.xml"))
    codes = {int(n.get("numFmtId")): n.get("formatCode") for n in styles.iter(_M + "numFmt")}
    dates = set()
    for i, xf in enumerate(styles.find(_M + "cellXfs")):
        k = int(xf.get("numFmtId") or 0)
        code = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", codes.get(k, ""))
        if 14 <= k <= 22 or 45 <= k <= 47 or ("General" not in code and re.search("[ymdhs]", code, re.I)):
            dates.add(i)
    first = next(ET.fromstring(z.read("xl/workbook.xml")).iter(_M + "sheet")).get(_R + "id")
    target = next(r.get("Target") for r in ET.fromstring(z.read("xl/_rels/workbook.xml.rels")) if r.get("Id") == first)
    name = target.lstrip("/") if target.startswith("/") else "xl/" + target
    for row in ET.fromstring(z.read(name)).iter(_M + "row"):
        cells = []
        for c in row.findall(_M + "c"):
            col = 0
            for ch in re.match("[A-Z]*", c.get("r") or "")[0]:
                col = col * 26 + ord(ch) - 64
            while len(cells) < (col or len(cells) + 1) - 1:
                cells.append("")
            v, kind = c.find(_M + "v"), c.get("t")
            if kind == "inlineStr":
                value = "".join(t.text or "" for t in c.iter(_M + "t"))
            elif v is None or v.text is None:
                value = ""
            elif kind == "s":
                value = strings[int(v.text)]
            elif kind in ("str", "e", "b"):
                value = v.text
            elif int(c.get("s") or 0) in dates:
                value = datetime(1899, 12, 30) + timedelta(seconds=round(float(v.text) * 86400))
            else:
                value = v.text
            cells.append(value)
        yield cells


def _records(ID, path):
    rule = RULES[ID]
    if rule["form"] == "json":
        with open(path, encoding="utf-8-sig") as f:
            yield from json.load(f)
        return
    if rule["form"] == "jsonl":
        with open(path, encoding="utf-8-sig") as f:
            for line in f:
                if line.strip():
                    record = json.loads(line)
                    for k, v in list(record.items()):
                        if isinstance(v, dict):
                            record.update({f"{k}.{inner}": w for inner, w in v.items()})
                    yield record
        return
    if rule["form"] == "sqlite":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        yield from map(dict, base.execute(f'select * from "{rule["table"]}"'))
        base.close()
        return
    if rule["form"] == "xlsx":
        table = _xlsx(path)
    else:
        csv.field_size_limit(1 << 30)
        with open(path, "rb") as f:
            text = f.read().decode(rule.get("encoding", "utf-8-sig"))
        table = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = None
    for cells in table:
        if names is None:
            if rule.get("header", True):
                names = cells
                continue
            names = [f"#{n}" for n in range(1, len(cells) + 1)]
        if any(c != "" for c in cells):
            yield dict(zip(names, cells))


def _cell(record, name):
    if not name:
        return ""
    parts = [record.get(p) for p in name.split(" + ")]
    if len(parts) == 1 and isinstance(parts[0], datetime):
        return parts[0]
    parts = ["" if p is None else str(p).strip() for p in parts]
    return " ".join(parts) if all(parts) else ""


def _time(value, form):
    if isinstance(value, datetime):
        return value
    for f in [form] if isinstance(form, str) else form:
        try:
            if f == "epoch":
                return datetime.fromtimestamp(int(value), timezone.utc).replace(tzinfo=None)
            t = datetime.fromisoformat(value.replace("Z", "+00:00")) if f == "iso" else datetime.strptime(value, f)
            return t.replace(tzinfo=None)
        except ValueError:
            continue
    return None


def _number(text):
    hit = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(?:秒)?", text)
    return float(hit[1]) if hit else None


def rows(ID, PATH):
    rule = RULES[ID]
    for record in _records(ID, PATH):
        user = _cell(record, rule["user"])
        if user in rule.get("no_user", []):
            user = ""
        time = _time(_cell(record, rule["time"]), rule["format"])
        seconds = None
        if "duration" in rule:
            n = _number(_cell(record, rule["duration"]))
            seconds = None if n is None else n * rule["unit"]
        elif "end" in rule:
            end = _time(_cell(record, rule["end"]), rule["format"])
            if end is not None and time is not None:
                seconds = (end - time).total_seconds()
        yield str(user) or None, time, str(_cell(record, rule.get("action"))), str(_cell(record, rule.get("item"))), seconds


def figures(ID, path):
    all_rows = list(rows(ID, path))
    kept = [r for r in all_rows if r[0] and r[1]]
    out = {"rows_in": len(all_rows), "users": len({r[0] for r in kept}), "behaviors": len(kept)}
    if kept:
        out["first"] = min(r[1] for r in kept).replace(microsecond=0).isoformat()
        out["last"] = max(r[1] for r in kept).replace(microsecond=0).isoformat()
        s = [r[4] for r in kept if r[4] is not None]
        if s:
            out["total_minutes"] = round(sum(s) / 60, 1)
    return out


if __name__ == "__main__":
    import tomllib
    from pathlib import Path

    here = Path(__file__).parent
    bad = 0
    for entry in tomllib.loads((here / "truth.toml").read_text())["file"]:
        path = next(here.glob(entry["id"] + ".*"))
        got = figures(entry["id"], path)
        for user, (users, behaviors) in entry.get("other_users", {}).items():
            mine = RULES[entry["id"]]["user"]
            RULES[entry["id"]]["user"] = user
            other = figures(entry["id"], path)
            RULES[entry["id"]]["user"] = mine
            if (other["users"], other["behaviors"]) != (users, behaviors):
                got["other " + user] = other
        wrong = {k: (v, entry.get(k)) for k, v in got.items() if entry.get(k) != v}
        bad += bool(wrong)
        print(entry["id"], "ok" if not wrong else wrong)
    sys.exit(bad)
