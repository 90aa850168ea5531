"""What is right about the files of this folder, by reading them; standard library only.

    python truth.py            print the figures of every file and compare them with truth.toml
"""
import csv
import io
import json
import re
import sqlite3
import struct
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
csv.field_size_limit(1 << 30)

YMDHMS = "%Y-%m-%d %H:%M:%S"
# form: how the file is read; time: column or columns joined by a space; when: formats tried in turn
RULES = {
    "zh_meal_orders": {"user": "name", "form": "csv", "enc": "gb18030", "time": "use_start_time", "when": ["%Y/%m/%d %H:%M"], "end": "lock_time", "item": "dining_table_name"},
    "crm_rep_activities": {"user": "rep_id", "form": "csv", "time": "activity_at", "when": [YMDHMS], "action": "activity_type", "item": "lead_id", "dur": "duration_minutes", "unit": 60},
    "werkspot_events": {"user": "professional_id_anonymized", "form": "csv", "sep": ";", "time": "created_at", "when": [YMDHMS], "action": "event_type", "item": "meta_data"},
    "usability_ign": {"user": "case", "form": "csv", "sep": ";", "action": "activity"},
    "zh_store_orders": {"user": "#8", "form": "csv", "header": False, "time": "#2", "when": ["%Y-%m-%d"], "item": "#14"},
    "duitku_topups": {"user": "customer_id", "form": "xlsx", "time": "created_at", "when": ["%Y-%m-%d %H:%M:%S.%f +00:00"], "action": "type", "item": "detail"},
    "kr_playauto": {"user": "주문자명", "form": "csv", "time": "결제완료일", "when": [YMDHMS], "item": "온라인상품명"},
    "zh_b2b_orders": {"user": "下单账号", "form": "csv", "time": "下单时间", "when": ["%Y/%m/%d %H:%M"], "action": "订单状态", "item": "合同号", "void": ["-"]},
    "shopify_orders": {"user": "Email", "form": "csv", "time": "Created at", "cut": 19, "when": [YMDHMS], "action": "Financial Status", "item": "Lineitem name"},
    "zh_punch_clock": {"user": "#1", "form": "csv", "sep": "\t", "header": False, "time": "#2", "when": [YMDHMS]},
    "zh_pharmacy": {"user": "社保卡号", "form": "xlsx", "time": "购药时间", "cut": 10, "when": ["%Y-%m-%d"], "item": "商品名称"},
    "zh_search_log": {"user": "#2", "form": "csv", "enc": "gb18030", "sep": "\t", "header": False, "plain": True, "time": "#1", "when": ["%Y%m%d%H%M%S"], "item": "#3"},
    "zh_tv_replay": {"user": "设备号", "form": "xlsx", "time": "开始时间", "when": ["serial"], "item": "频道名", "dur": "观看时间", "unit": 60},
    "zh_staff_sales": {"user": "销售员", "form": "xlsx", "time": "销售日期", "when": ["serial"], "item": "货号"},
    "zh_fingerprints": {"user": "姓名", "form": "xls", "time": "刷卡日期 + 刷卡时间", "when": ["%Y-%m-%d %H:%M"], "action": "签到方式"},
    "br_wiki_audit": {"user": "user_id", "form": "json", "time": "timestamp", "when": ["%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S"], "action": "action", "item": "details"},
    "th_schedule_actions": {"user": "user", "form": "lines", "pattern": r"\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\] USER_ACTION \[(?P<action>[^\]]*)\] User: (?P<user>\S+) - (?P<details>.*) - IP: (?P<ip>\S+)$", "time": "time", "when": [YMDHMS], "action": "action", "item": "details"},
    "ru_tutor_bot": {"user": "user", "form": "lines", "pattern": r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \| (?P<logger>[^|]*?) +\| (?P<level>\w+) +\| (?P<line>[^|]*?) \| (?P<function>[^|]*?) \| User (?P<user>\d+) - (?P<action>[^|]*?)(?: \| (?P<details>.*))?$", "time": "time", "when": [YMDHMS], "action": "action", "item": "details"},
    "callcenter_calls": {"user": "agent_id", "form": "csv", "time": "start_time", "when": [YMDHMS, "%m-%d-%Y %H:%M:%S"], "action": "call_type", "item": "customer_id", "dur": "duration_sec", "unit": 1},
    "jp_insurance_calls": {"user": "agent_id", "form": "csv", "time": "call_datetime", "when": ["%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S"], "action": "call_result", "item": "product_id", "dur": "call_duration_min", "unit": 60},
    "payments_app_events": {"user": "user_id", "form": "csv", "time": "event_ts", "when": ["%Y-%m-%dT%H:%M:%SZ"], "action": "event_type", "item": "page"},
    "es_support_agents": {"user": "agent_name", "form": "sqlite", "table": "activity_log", "time": "created_at", "when": [YMDHMS], "action": "action", "item": "category", "dur": "duration_ms", "unit": 0.001},
    "ua_print_bot": {"user": "user_id", "form": "sqlite", "table": "user_queries", "time": "timestamp", "when": ["%Y-%m-%d %H:%M:%S.%f"], "item": "query_text"},
    "zh_basket": {"user": None, "form": "xlsx", "item": "商品名称"},
    "zh_hotpot": {"user": None, "form": "none"},
}


def _table(lines, header=True):
    """Rows as dicts; a name that comes twice keeps its first column; every column is "#n" as well."""
    names = None
    for line in lines:
        if not any(v.strip() for v in line):
            continue
        if header and names is None:
            names = line
            continue
        row = {f"#{n}": v for n, v in enumerate(line, 1)}
        for name, value in zip(names or [], line):
            row.setdefault(name, value)
        yield row


def _csv(path, rule):
    text = Path(path).read_bytes().decode(rule.get("enc", "utf-8-sig"))
    quoting = csv.QUOTE_NONE if rule.get("plain") else csv.QUOTE_MINIMAL
    yield from _table(csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","), quoting=quoting), rule.get("header", True))


def _xlsx(path, rule):
    """The first sheet, cells as text as they stand in the file."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for part in ET.parse(book.open("xl/sharedStrings.xml")).getroot().iter(space + "si"):
                shared.append("".join(t.text or "" for t in part.iter(space + "t")))
        sheet = ET.parse(book.open("xl/worksheets/sheet1.xml")).getroot()

    def lines():
        for row in sheet.iter(space + "row"):
            cells = {}
            for n, cell in enumerate(row.iter(space + "c")):
                place = re.match("[A-Z]+", cell.get("r") or "")
                at = n
                if place:
                    at = 0
                    for letter in place[0]:
                        at = at * 26 + ord(letter) - 64
                    at -= 1
                value = cell.find(space + "v")
                if cell.get("t") == "inlineStr":
                    text = "".join(t.text or "" for t in cell.iter(space + "t"))
                elif value is None or value.text is None:
                    text = ""
                elif cell.get("t") == "s":
                    text = shared[int(value.text)]
                else:
                    text = value.text
                cells[at] = text
            yield [cells.get(i, "") for i in range(max(cells, default=-1) + 1)]

    yield from _table(lines())


def _stream(raw):
    """The Workbook stream of an OLE2 file."""
    size = 1 << struct.unpack_from("<H", raw, 30)[0]
    sector = lambda n: raw[512 + n * size : 512 + (n + 1) * size]  # noqa: E731
    fat_count, first_dir = struct.unpack_from("<I", raw, 44)[0], struct.unpack_from("<I", raw, 48)[0]
    blocks = [n for n in struct.unpack_from("<109I", raw, 76) if n < 0xFFFFFFFC][:fat_count]
    fat = []
    for n in blocks:
        fat.extend(struct.unpack(f"<{size // 4}I", sector(n)))

    def chain(n):
        out = []
        while n < 0xFFFFFFFC:
            out.append(sector(n))
            n = fat[n]
        return b"".join(out)

    table = chain(first_dir)
    for at in range(0, len(table), 128):
        name = table[at : at + struct.unpack_from("<H", table, at + 64)[0]].decode("utf-16-le").rstrip("\0")
        if name in ("Workbook", "Book"):
            return chain(struct.unpack_from("<I", table, at + 116)[0])[: struct.unpack_from("<I", table, at + 120)[0]]
    raise ValueError("no workbook")


def _strings(parts):
    """The shared strings of an SST record and its CONTINUE records."""
    part, at, found = 0, 8, []
    total = struct.unpack_from("<I", parts[0], 4)[0]
    while len(found) < total:
        if at >= len(parts[part]):
            part, at = part + 1, 0
        left, flags = struct.unpack_from("<HB", parts[part], at)
        at += 3
        runs = extra = 0
        if flags & 8:
            runs = struct.unpack_from("<H", parts[part], at)[0]
            at += 2
        if flags & 4:
            extra = struct.unpack_from("<I", parts[part], at)[0]
            at += 4
        wide, text = flags & 1, ""
        while left:
            if at >= len(parts[part]):
                part, at = part + 1, 1
                wide = parts[part][0] & 1
            take = min(left, (len(parts[part]) - at) // (2 if wide else 1))
            data = parts[part][at : at + take * (2 if wide else 1)]
            text += data.decode("utf-16-le" if wide else "latin-1")
            at += len(data)
            left -= take
        skip = runs * 4 + extra
        while skip > len(parts[part]) - at:
            skip -= len(parts[part]) - at
            part, at = part + 1, 0
        at += skip
        found.append(text)
    return found


def _xls(path, rule):
    """The text cells of the first sheet of a BIFF8 workbook (all its cells are text)."""
    data = _stream(Path(path).read_bytes())
    at, records = 0, []
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, at)
        records.append((at, kind, data[at + 4 : at + 4 + length]))
        at += 4 + length
    shared, begin = [], None
    for n, (_, kind, body) in enumerate(records):
        if kind == 0x85 and begin is None:
            begin = struct.unpack_from("<I", body)[0]
        if kind == 0xFC:
            parts = [body]
            while records[n + len(parts)][1] == 0x3C:
                parts.append(records[n + len(parts)][2])
            shared = _strings(parts)
    cells = {}
    for place, kind, body in records:
        if place < begin:
            continue
        if kind == 0xA:
            break
        if kind == 0xFD:
            row, column, _, index = struct.unpack_from("<HHHI", body)
            cells.setdefault(row, {})[column] = shared[index]
    yield from _table([cells[r].get(c, "").strip() for c in range(max(cells[r]) + 1)] for r in sorted(cells))


def _json(path, rule):
    for record in json.loads(Path(path).read_text(encoding="utf-8-sig")):
        yield {k: "" if v is None else str(v) for k, v in record.items()}


def _lines(path, rule):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        hit = re.match(rule["pattern"], line)
        if hit:
            yield {k: v or "" for k, v in hit.groupdict().items()}


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    base.row_factory = sqlite3.Row
    for row in base.execute(f'select * from "{rule["table"]}"'):
        yield {k: "" if row[k] is None else str(row[k]) for k in row.keys()}


FORMS = {"csv": _csv, "xlsx": _xlsx, "xls": _xls, "json": _json, "lines": _lines, "sqlite": _sqlite, "none": lambda path, rule: iter(())}


def _cell(row, column):
    if not column:
        return ""
    return " ".join(row.get(part, "").strip() for part in column.split(" + ")).strip()


def _when(text, rule):
    text = text[: rule.get("cut")] if rule.get("cut") else text
    for form in rule.get("when", []):
        try:
            if form == "serial":
                return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def rows(name, path):
    """Tuples (user, time, action, item, seconds), in file order."""
    rule = RULES[name]
    for row in FORMS[rule["form"]](path, rule):
        user = _cell(row, rule["user"])
        if not user or user in rule.get("void", []):
            user = None
        time = _when(_cell(row, rule.get("time")), rule) if rule.get("time") else None
        seconds = None
        if rule.get("dur"):
            try:
                seconds = float(_cell(row, rule["dur"])) * rule["unit"]
            except ValueError:
                seconds = None
        if seconds is None and rule.get("end") and time:
            end = _when(_cell(row, rule["end"]), rule)
            seconds = (end - time).total_seconds() if end else None
        yield user, time, _cell(row, rule.get("action")), _cell(row, rule.get("item")), seconds


def figures(name, path):
    found = list(rows(name, path))
    kept = [r for r in found if r[0] and r[1]]
    # of whom there is no user at all (one person's own export) the times still count, as in public_exports.toml
    dated = kept or [r for r in found if r[1]]
    told = {"rows_in": len(found), "users": len({r[0] for r in kept}) if RULES[name].get("time") else len({r[0] for r in found if r[0]}), "behaviors": len(kept)}
    if dated:
        told["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        told["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
        lasting = [r[4] for r in dated if r[4] is not None]
        if lasting:
            told["total_minutes"] = round(sum(lasting) / 60, 1)
    return told


def main():
    wrong = 0
    for entry in tomllib.loads((HERE / "truth.toml").read_text(encoding="utf-8"))["file"]:
        path = next(HERE.glob(entry["id"] + ".*"))
        told = figures(entry["id"], path)
        off = {k: (v, entry.get(k)) for k, v in told.items() if entry.get(k) != v}
        others = entry.get("user", [])
        swapped = {}
        for other in others[1:] if isinstance(others, list) else []:
            keep = RULES[entry["id"]]["user"]
            RULES[entry["id"]]["user"] = other
            more = figures(entry["id"], path)
            swapped[other] = [more["users"], more["behaviors"]]
            RULES[entry["id"]]["user"] = keep
        if swapped != entry.get("other_users", {}):
            off["other_users"] = swapped
        wrong += bool(off)
        print(entry["id"], told, swapped, "OFF " + str(off) if off else "ok")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
