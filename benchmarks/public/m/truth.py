"""The truth of this folder's files, from the files alone; standard library only.

RULES: ID -> rule; rows(ID, PATH) yields (user, time, action, item, seconds) of each row, in file order.
    python truth.py            print the figures of every file
Cells are taken without the spaces and tabs at their ends, as benchmarks/public_truth.py does.
"""

import csv
import io
import json
import re
import sqlite3
import struct
import sys
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

csv.field_size_limit(1 << 30)

RULES = {
    "waybills": {"form": "csv", "user": "发货客户名称", "time": "发货时间", "format": "%Y-%m-%d", "action": "货运公司名称", "item": "货物名称"},
    "clock_machine": {"form": "xls", "user": "姓名", "time": "日期时间", "format": "serial", "action": "记录状态", "item": "比对方式"},
    "install_orders": {"form": "xlsx", "user": "施工人员", "time": "boss受理时间", "format": "%Y-%m-%d %H:%M:%S", "action": "工单标题",
                       "item": "套餐信息", "duration": "工单历时", "unit": 3600},
    "appsflyer": {"form": "csv", "user": "appsflyer_id", "time": "event_time", "format": "%Y-%m-%d %H:%M:%S.%f", "action": "event_name",
                  "item": "event_value"},
    "game_recharge": {"form": "csv", "user": "#account_id", "time": "$part_date", "format": "%Y-%m-%d"},
    "punches_bare": {"form": "xlsx", "header": False, "user": "#1", "time": "#2", "format": "serial"},
    "milk_wallet": {"form": "sqlite", "table": "transactions", "user": "user_id", "time": "timestamp", "format": "%Y-%m-%d %H:%M:%S",
                    "action": "type", "item": "category"},
    "song_comments": {"form": "csv", "user": "昵称", "time": "日期", "format": "%Y-%m-%d %H:%M:%S", "item": "评论内容"},
    "orders_timeless": {"form": "csv", "encoding": "gb18030", "user": "客户ID", "time": "", "format": "", "item": "产品名称"},
    "shop_orders": {"form": "xlsx", "user": "买家会员名", "time": "订单付款时间", "format": "serial", "action": "订单状态", "item": "宝贝标题"},
    "taekwondo": {"form": "csv", "user": "id_alumno", "time": "fecha_clase", "format": "%Y-%m-%d", "action": "presente", "item": "id_grupo"},
    "glpi_desk": {"form": "csv", "sep": ";", "user": "Requerente - Requerente", "time": "Data de abertura", "format": "%d-%m-%Y %H:%M",
                  "action": "Status", "item": "Título"},
    "asterisk_cdr": {"form": "csv", "header": False, "user": "#3", "time": "#1", "format": "%d/%m/%Y %H:%M:%S", "action": "#8", "item": "#4",
                     "duration": "#10", "unit": 1},
    "crm_talks": {"form": "csv", "user": "Contact ID", "time": "Date + Time", "format": "%Y-%m-%d %H:%M:%S", "action": "Status", "item": "Origin"},
    "samokat": {"form": "xlsx", "user": "", "time": "accepted_at", "format": "serial", "item": "product_id"},
    "lessons": {"form": "xlsx", "user": "customer_id", "time": "event_date", "format": "serial", "action": "is_attend", "item": "event_id"},
    "freight_calls": {"form": "csv", "user": "carrier_name", "time": "created_at", "format": "%Y-%m-%dT%H:%M:%S.%fZ",
                      "action": "call_outcome_class", "item": "load_destination", "duration": "call_duration", "unit": 1},
    "voicebot": {"form": "csv", "user": "ToNumber", "time": "StartTimestamp", "format": "%m/%d/%Y, %I:%M:%S %p", "action": "CallStatus",
                 "item": "CallSummary", "duration": "TotalDuration (in sec)", "unit": 1, "end": "EndTimestamp"},
    "spring_log": {"form": "lines", "encoding": "gb18030", "user": "", "time": "time", "format": "%Y-%m-%d %H:%M:%S.%f",
                   "pattern": r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) +(?P<level>[A-Z]+) (?P<rest>.*)"},
    "hr_punches": {"form": "json", "user": "name", "time": "date + punchTime", "format": "%Y-%m-%d %H:%M:%S"},
}

_N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _csv(path, rule):
    text = path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))
    return csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))


def _column(name):
    at = 0
    for letter in re.match("[A-Z]+", name).group():
        at = at * 26 + ord(letter) - 64
    return at - 1


def _xlsx(path, _rule):
    """The rows of the first sheet, cells as written."""
    book = zipfile.ZipFile(path)
    shared = []
    if "xl/sharedStrings.xml" in book.namelist():
        for si in ET.fromstring(book.read("xl/sharedStrings.xml")).iter(_N + "si"):
            shared.append("".join(t.text or "" for t in si.iter(_N + "t")))
    for row in ET.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(_N + "row"):
        cells = {}
        for c in row.iter(_N + "c"):
            v, kind = c.find(_N + "v"), c.get("t")
            if kind == "inlineStr":
                value = "".join(t.text or "" for t in c.iter(_N + "t"))
            elif v is None or v.text is None:
                continue
            else:
                value = shared[int(v.text)] if kind == "s" else v.text
            cells[_column(c.get("r"))] = value
        yield [cells.get(n, "") for n in range(max(cells, default=-1) + 1)]


def _ole(b):
    """The Workbook stream of an .xls."""
    size = 1 << struct.unpack_from("<H", b, 30)[0]
    sector = lambda n: b[(n + 1) * size : (n + 2) * size]
    fat = []
    for n in struct.unpack_from("<109I", b, 76):
        if n < 0xFFFFFFFA:
            fat += struct.unpack("<%dI" % (size // 4), sector(n).ljust(size, b"\xff"))

    def chain(n):
        out = []
        while n < 0xFFFFFFFA:
            out.append(sector(n))
            n = fat[n]
        return b"".join(out)

    names = chain(struct.unpack_from("<I", b, 48)[0])
    for k in range(0, len(names), 128):
        long = struct.unpack_from("<H", names, k + 64)[0]
        if long and names[k : k + long - 2].decode("utf-16le") in ("Workbook", "Book"):
            start, length = struct.unpack_from("<II", names, k + 116)
            return chain(start)[:length]
    raise ValueError("no workbook")


def _sst(parts):
    out, k, p = [], 0, 8

    def take(m):
        nonlocal k, p
        got = b""
        while len(got) < m:
            if p >= len(parts[k]):
                k, p = k + 1, 0
            x = parts[k][p : p + m - len(got)]
            p += len(x)
            got += x
        return got

    for _ in range(struct.unpack_from("<I", parts[0], 4)[0]):
        long, flags = struct.unpack("<H", take(2))[0], take(1)[0]
        runs = struct.unpack("<H", take(2))[0] if flags & 8 else 0
        extra = struct.unpack("<I", take(4))[0] if flags & 4 else 0
        text, wide = "", flags & 1
        while len(text) < long:
            if p >= len(parts[k]):
                k, p = k + 1, 1
                wide = parts[k][0] & 1
            each = 2 if wide else 1
            many = min((len(parts[k]) - p) // each, long - len(text))
            x = parts[k][p : p + many * each]
            p += len(x)
            text += x.decode("utf-16le" if wide else "latin1")
        take(4 * runs + extra)
        out.append(text)
    return out


def _rk(v):
    f = float(struct.unpack("<i", struct.pack("<I", v))[0] >> 2) if v & 2 else struct.unpack("<d", b"\0\0\0\0" + struct.pack("<I", v & 0xFFFFFFFC))[0]
    return f / 100 if v & 1 else f


def _xls(path, _rule):
    """The rows of the first sheet of an .xls (BIFF8)."""
    stream, p, records = _ole(path.read_bytes()), 0, []
    while p + 4 <= len(stream):
        kind, long = struct.unpack_from("<HH", stream, p)
        records.append((kind, stream[p + 4 : p + 4 + long]))
        p += 4 + long
    shared, cells, sheets, i = [], {}, 0, 0
    while i < len(records):
        kind, d = records[i]
        if kind == 0xFC:
            parts = [d]
            while records[i + 1][0] == 0x3C:
                i += 1
                parts.append(records[i][1])
            shared = _sst(parts)
        elif kind == 0x809 and struct.unpack_from("<H", d, 2)[0] == 0x10:
            sheets += 1
        elif sheets == 1 and kind == 0xFD:
            r, c, _, n = struct.unpack_from("<HHHI", d)
            cells[r, c] = shared[n]
        elif sheets == 1 and kind == 0x203:
            r, c, _, v = struct.unpack("<HHHd", d[:14])
            cells[r, c] = repr(v)
        elif sheets == 1 and kind == 0x27E:
            r, c, _, v = struct.unpack_from("<HHHI", d)
            cells[r, c] = repr(_rk(v))
        elif sheets == 1 and kind == 0xBD:
            r, c = struct.unpack_from("<HH", d)
            for n in range((len(d) - 6) // 6):
                cells[r, c + n] = repr(_rk(struct.unpack_from("<I", d, 6 + 6 * n)[0]))
        i += 1
    wide = max(c for _, c in cells) + 1
    for r in range(max(r for r, _ in cells) + 1):
        yield [cells.get((r, c), "") for c in range(wide)]


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = base.execute(f'select * from "{rule["table"]}" order by rowid')
    yield [d[0] for d in found.description]
    for row in found:
        yield ["" if v is None else str(v) for v in row]


def _lines(path, rule):
    """The lines that begin with a time."""
    yield ["time", "level", "rest"]
    for line in path.read_bytes().decode(rule["encoding"]).splitlines():
        if hit := re.match(rule["pattern"], line):
            yield list(hit.groups())


def _json(path, _rule):
    every = json.loads(path.read_text("utf-8-sig"), parse_int=str, parse_float=str)
    names = list(every[0])
    yield names
    for record in every:
        yield ["" if record.get(n) is None else str(record[n]) for n in names]


_FORMS = {"csv": _csv, "xlsx": _xlsx, "xls": _xls, "sqlite": _sqlite, "json": _json, "lines": _lines}


def _records(path, rule):
    names = None
    for cells in _FORMS[rule["form"]](path, rule):
        cells = [c.strip() for c in cells]
        if not any(cells):
            continue
        if names is None:
            names = [f"#{n + 1}" for n in range(len(cells))] if not rule.get("header", True) else cells
            if rule.get("header", True):
                continue
        yield dict(zip(names, cells))


def _cell(record, name):
    parts = [record.get(p, "") for p in name.split(" + ")] if name else [""]
    return " ".join(parts) if all(parts) else ""


def _moment(text, form):
    if not text or not form:
        return None
    try:
        if form == "serial":
            if re.fullmatch(r"\d+-\d+-\d+ [\d:]+", text):  # one column holds both in punches_bare
                return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
            return datetime(1899, 12, 30) + timedelta(milliseconds=round(float(text) * 86400000))
        if form == "epoch":
            return datetime.fromtimestamp(float(text), timezone.utc).replace(tzinfo=None)
        return datetime.strptime(text, form)
    except ValueError:
        return None


def rows(ID, PATH):
    rule = RULES[ID]
    for record in _records(Path(PATH), rule):
        time = _moment(_cell(record, rule["time"]), rule["format"])
        seconds = None
        if rule.get("duration"):
            try:
                seconds = float(_cell(record, rule["duration"])) * rule["unit"]
            except ValueError:
                pass
        if seconds is None and rule.get("end") and time:
            end = _moment(_cell(record, rule["end"]), rule["format"])
            seconds = (end - time).total_seconds() if end else None
        yield (_cell(record, rule["user"]) or None, time, _cell(record, rule.get("action", "")), _cell(record, rule.get("item", "")), seconds)


def figures(ID, PATH, user=None):
    """The figures of truth.toml; `user` is another column as the user."""
    kept = RULES[ID]["user"]
    RULES[ID]["user"] = user or kept
    try:
        every = list(rows(ID, PATH))
    finally:
        RULES[ID]["user"] = kept
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    out = {"rows_in": len(every), "users": len({r[0] for r in (done or every) if r[0]}), "behaviors": len(done)}
    if dated:
        out["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        out["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    if lasting := [r[4] for r in dated if r[4] is not None]:
        out["total_minutes"] = round(sum(lasting) / 60, 1)
    return out


def main():
    import tomllib

    here, right = Path(__file__).parent, True
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(iter(sorted(here.glob(entry["id"] + ".*"))))
        found = figures(entry["id"], path)
        found["other_users"] = {u: [f["users"], f["behaviors"]] for u in (entry.get("user", []) if isinstance(entry.get("user"), list) else [])[1:]
                                for f in [figures(entry["id"], path, u)]}
        odd = [f"{k}: {v}, listed {entry.get(k)}" for k, v in found.items() if v != entry.get(k, {} if k == "other_users" else None)]
        right &= not odd
        print(f"{entry['id']:16} {entry['expect']:5} {found['behaviors']:>6}  {'; '.join(odd) or 'as listed'}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
