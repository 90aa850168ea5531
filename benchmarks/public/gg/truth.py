"""The truth of the files in this folder, read without the tool; standard library only.

    python truth.py [DIR]            check every file of truth.toml against the figures listed there
    python truth.py [DIR] --figures  print the figures

rows(ID, PATH) yields (user text or None, naive datetime or None, action, item, seconds or None) in file order.
"""

from __future__ import annotations

import csv
import hashlib
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
    "valve_checks": {
        "form": "xlsx",
        "user": "检验员",
        "time": "日期",
        "fmt": "iso",
        "action": "是否合格",
        "item": "产品编号",
    },
    "valve_orders": {
        "form": "xlsx",
        "user": "客户名称",
        "time": "日期",
        "fmt": "iso",
        "action": "状态",
        "item": "订单号",
    },
    "buyer_trades": {
        "form": "xlsx",
        "user": "BuyerID",
        "time": "交易日期",
        "fmt": "serial",
        "item": "交易编号",
    },
    "seller_orders": {"form": "csv", "user": "销售员", "time": "订单日期", "fmt": "iso", "item": "产品编码"},
    "superstore_cn": {
        "form": "xlsx",
        "user": "客户 ID",
        "time": "订单日期",
        "fmt": "iso",
        "item": "产品名称",
    },
    "metro_transfers": {
        "form": "csv",
        "user": "卡号",
        "time": ["地铁交易日期", "地铁交易时间"],
        "fmt": "dayclock",
        "item": "地铁站名称",
    },
    "sport_sales": {
        "form": "xlsx",
        "sheets": [2],
        "user": None,
        "time": "订单日期",
        "fmt": "serial",
        "item": "商品编号",
    },
    "swipes_days": {
        "form": "xlsx",
        "sheets": [1, 2, 3],
        "user": "姓名",
        "time": "刷卡日期",
        "fmt": "serial",
        "duration": "总工作时长",
        "scale": 86400,
        "empty": ["打卡异常"],
    },
    "kakao_jobs": {"form": "kakao", "user": "user", "time": "time", "fmt": "iso", "item": "text"},
    "nasa_access": {
        "form": "lines",
        "user": "ip",
        "time": "time",
        "fmt": "%d/%b/%Y:%H:%M:%S %z",
        "action": "method",
        "item": "path",
        "pattern": r'^(?P<ip>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>\S+)',
    },
    "neptuno_orders": {
        "form": "csv",
        "encoding": "cp1252",
        "user": "IdCliente",
        "time": "FechaPedido",
        "fmt": "iso",
        "item": "IdPedido",
    },
    "hub_loans": {
        "form": "csv",
        "user": "student_id",
        "time": "borrow_date",
        "fmt": "iso",
        "action": "status",
        "item": "book_id",
        "end": "return_date",
    },
    "wd_orders": {
        "form": "csv",
        "sep": ";",
        "user": "Sprzedawca",
        "time": "Data zamowienia",
        "fmt": "%d.%m.%Y",
        "item": "idZamowienia",
    },
    "retail_baskets": {
        "form": "csv",
        "user": "Customer_Name",
        "time": "Date",
        "fmt": "%m/%d/%Y %H:%M",
        "action": "Payment_Method",
        "item": "Product",
    },
    "meal_bills": {
        "form": "csv",
        "user": "emp_id",
        "time": "use_start_time",
        "fmt": "%Y/%m/%d %H:%M",
        "item": "dining_table_name",
    },
    "dsa_answers": {
        "form": "json",
        "user": "user_id",
        "time": "timestamp",
        "fmt": "epoch",
        "action": "correct",
        "item": "problem_id",
        "duration": "time_taken",
    },
}
_SPACES = (
    "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}",
    "{http://purl.oclc.org/ooxml/spreadsheetml/main}",
)


def _xlsx(path, sheet=1):
    """Cells of a sheet as text; numbers and ISO dates as the file has them (transitional and strict form)."""
    with zipfile.ZipFile(path) as book:
        root = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{sheet}.xml"))
        m = next(s for s in _SPACES if root.tag == s + "worksheet")
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for part in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).findall(m + "si"):
                shared.append("".join(t.text or "" for t in part.iter(m + "t")))
    for row in root.iter(m + "row"):
        cells = {}
        for cell in row.findall(m + "c"):
            column = 0
            for sign in re.match("[A-Z]+", cell.get("r")).group():
                column = column * 26 + ord(sign) - 64
            kind, value = cell.get("t"), cell.find(m + "v")
            if kind == "inlineStr":
                text = "".join(t.text or "" for t in cell.iter(m + "t"))
            elif value is None:
                continue
            else:
                text = shared[int(value.text)] if kind == "s" else value.text
            cells[column - 1] = text
        if any(cells.values()):
            yield [cells.get(n, "") for n in range(max(cells) + 1)]


def _kakao(text):
    """Messages of a KakaoTalk export: the day in lines of dashes, [name] [morning or afternoon h:mm] before the text."""
    day = None
    for line in re.split(r"\r?\n", text):
        hit = re.match(r"^-{15} (\d{4})년 (\d+)월 (\d+)일 .요일 -{15}$", line)
        if hit:
            day = datetime(*(int(g) for g in hit.groups()))
            continue
        hit = re.match(r"^\[(.*?)\] \[(오전|오후) (\d+):(\d\d)\] (.*)$", line)
        if hit:
            hour = int(hit[3]) % 12 + (12 if hit[2] == "오후" else 0)
            yield {
                "user": hit[1],
                "time": (day + timedelta(hours=hour, minutes=int(hit[4]))).isoformat(),
                "text": hit[5],
            }


def _records(rule, path):
    path = Path(path)
    form = rule["form"]
    if form == "xlsx":
        for sheet in rule.get("sheets", [1]):
            lines = _xlsx(path, sheet)
            names = next(lines)
            for line in lines:
                yield {name: cell for name, cell in zip(names, line) if name}
        return
    text = path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))
    if form == "json":
        yield from json.loads(text)
        return
    if form == "kakao":
        yield from _kakao(text)
        return
    if form == "lines":
        for line in text.split("\n"):
            hit = re.match(rule["pattern"], line)
            if hit:
                yield hit.groupdict()
        return
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines)
    for line in lines:
        if any(line):
            yield dict(zip(names, line))


def _text(record, name, rule):
    if isinstance(name, list):
        return "|".join(_text(record, part, rule) for part in name)
    value = record.get(name) if name else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, form):
    if not text:
        return None
    try:
        if form == "epoch":
            return datetime(1970, 1, 1) + timedelta(seconds=float(text))
        if form == "serial":
            return datetime(1899, 12, 30) + timedelta(days=float(text))
        if form == "dayclock":
            day, clock = text.split("|")
            start = _moment(day, "serial") if day.isdigit() else datetime.strptime(day, "%Y/%m/%d")
            return datetime.combine(start.date(), datetime.strptime(clock, "%H:%M:%S").time())
        if form == "iso":
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip())).replace(tzinfo=None)
        return datetime.strptime(text.strip(), form).replace(tzinfo=None)
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        moment = _moment(_text(record, rule["time"], rule), rule["fmt"])
        lasting = _text(record, rule.get("duration"), rule)
        seconds = float(lasting) * rule.get("scale", 1) if lasting else None
        if rule.get("end"):
            end = _moment(_text(record, rule["end"], rule), rule["fmt"])
            seconds = (end - moment).total_seconds() if end and moment else None
        yield (
            _text(record, rule["user"], rule) or None,
            moment,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            seconds,
        )


def figures(entry, path):
    rule = RULES[entry["id"]]
    kept = rule["user"]
    every = list(rows(entry["id"], path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done}), "behaviors": len(done)}
    if dated:
        found["first"] = min(row[1] for row in dated).replace(microsecond=0).isoformat()
        found["last"] = max(row[1] for row in dated).replace(microsecond=0).isoformat()
    if rule.get("duration") or rule.get("end"):
        found["total_minutes"] = round(sum(row[4] or 0 for row in done) / 60, 1)
    listed = entry.get("user", [])
    others = listed[1:] if isinstance(listed, list) else []
    if others:
        found["other_users"] = {}
        for name in others:
            rule["user"] = name
            rest = [row for row in rows(entry["id"], path) if row[0] and row[1]]
            found["other_users"][name] = [len({row[0] for row in rest}), len(rest)]
        rule["user"] = kept
    return found


def main():
    import tomllib

    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    here = Path(names[0]) if names else Path(__file__).parent
    good = True
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(p for p in sorted(here.glob(entry["id"] + ".*")))
        found = figures(entry, path)
        if "--figures" in sys.argv:
            print(entry["id"], found)
            continue
        keys = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
        odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in keys if found.get(k) != entry.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            odd.append("another file: sha256")
        good &= not odd
        print(
            f"{entry['id']:20} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
