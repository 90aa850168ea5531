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
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "sz_metro": {"form": "csv", "user": "card_no", "time": "deal_date", "fmt": "iso", "action": "deal_type",
                 "item": "station"},
    "shop_orders_cn": {"form": "csv", "user": "user_id", "time": "timestamp", "fmt": "iso", "item": "product_id"},
    "lab_attendance": {"form": "csv", "user": "user_id", "time": "check_in_time", "fmt": "iso", "action": "status",
                       "duration": "work_hours", "scale": 3600},
    "class_submits": {"form": "csv", "user": "student_ID", "time": "time", "fmt": "epoch", "action": "state",
                      "item": "title_ID"},
    "bili_comments": {"form": "csv", "user": "用户昵称", "time": "回复时间", "fmt": "iso", "action": "评论层级",
                      "item": "评论内容"},
    "kid_lessons": {"form": "csv", "user": "student_id", "time": "lesson_date", "fmt": "iso",
                    "action": "completion_status", "item": "course_id", "duration": "duration_minutes", "scale": 60},
    "pchome_goods": {"form": "xlsx", "sheet": "工作表2", "user": "消費者編號(member_id)", "time": "訂單日期(date_cd)",
                     "clock": "訂單時間(time_cd)", "fmt": "serial", "item": "商品名稱(goods)"},
    "taobao_orders": {"form": "xlsx", "sheet": "sheet1", "user": "买家会员名", "time": "订单付款时间", "fmt": "serial",
                      "action": "订单状态", "item": "宝贝标题", "empty": ["'null"]},
    "mz_behaviors": {"form": "sql", "table": "learning_behaviors", "user": "user_id", "time": "created_at",
                     "fmt": "iso", "action": "behavior_type", "item": "course_id", "duration": "duration"},
    "tmall_log": {"form": "csv", "header": False, "user": "#1", "time": None, "fmt": "iso", "action": "#8",
                  "item": "#2"},
    "presencas_pt": {"form": "csv", "user": "id_funcionario", "time": "data_registro", "fmt": "iso",
                     "action": "status_presenca"},
    "timesheet_mixed": {"form": "csv", "user": "employee_id", "time": "work_date",
                        "fmt": ["%m/%d/%Y", "%Y/%m/%d", "%Y-%m-%d", "%d-%b-%Y", "%b %d, %Y"],
                        "action": "billable_flag", "item": "project_id", "duration": "hours", "scale": 3600},
    "strashun_loans": {"form": "csv", "user": "person's name", "time": "date", "fmt": "%d/%m/%Y",
                       "item": "book name"},
    "bank_sessions": {"form": "csv", "user": "User ID", "time": "Timestamp", "fmt": "iso", "action": "Action",
                      "item": "Page URL"},
    "telecalls_in": {"form": "csv", "user": "telecaller_id", "time": "created_at", "fmt": "iso",
                     "action": "product_call_status", "item": "doctor_id", "duration": "call_time_in_sec"},
    "desk_tickets": {"form": "csv", "user": "assignee", "time": "created_at", "fmt": "iso", "action": "status",
                     "item": "category", "duration": "resolution_hours", "scale": 3600},
    "shop_vn": {"form": "csv", "sep": ";", "user": "Customer_ID", "time": "Purchase_Date", "fmt": "%d/%m/%Y",
                "item": "Product_Category"},
    "shop_orders_in": {"form": "jsonl", "user": "customer_id", "time": "order_date", "fmt": "iso", "action": "status",
                       "item": "items"},
    "github_issues": {"form": "jsonl", "user": "user", "time": "created_at", "fmt": "iso", "action": "state",
                      "item": "title"},
    "untappd_team": {"form": "json", "inner": "items", "user": "items.user.user_name", "time": "items.created_at",
                     "fmt": "%a, %d %b %Y %H:%M:%S %z", "action": "items.rating_score",
                     "item": "items.beer.beer_name"},
}
_M = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def _xlsx(path, wanted):
    """Cells of a named sheet as text; numbers as the file has them."""
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for part in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).findall(_M + "si"):
                shared.append("".join(t.text or "" for t in part.iter(_M + "t")))
        place = {}
        for link in ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels")):
            place[link.get("Id")] = link.get("Target")
        names = {}
        for entry in ElementTree.fromstring(book.read("xl/workbook.xml")).iter(_M + "sheet"):
            names[entry.get("name")] = place[entry.get(_R)]
        target = names[wanted]
        sheet = ElementTree.fromstring(book.read(target.lstrip("/") if target.startswith("/") else "xl/" + target))
    for row in sheet.iter(_M + "row"):
        cells = {}
        for cell in row.findall(_M + "c"):
            column = 0
            for sign in re.match("[A-Z]+", cell.get("r")).group():
                column = column * 26 + ord(sign) - 64
            kind, value = cell.get("t"), cell.find(_M + "v")
            if kind == "inlineStr":
                text = "".join(t.text or "" for t in cell.iter(_M + "t"))
            elif value is None:
                continue
            else:
                text = shared[int(value.text)] if kind == "s" else value.text
            cells[column - 1] = text
        if any(cells.values()):
            yield [cells.get(n, "") for n in range(max(cells) + 1)]


def _tuples(text):
    """Rows of the VALUES of a MySQL dump: (1,'a',NULL),(2,...) as lists of text or None."""
    row, word, quoted, was, at = None, [], False, False, 0
    while at < len(text):
        sign = text[at]
        if quoted:
            if sign == "\\":
                word.append({"n": "\n", "t": "\t", "r": "\r", "0": "\0"}.get(text[at + 1], text[at + 1]))
                at += 1
            elif sign == "'":
                quoted = False
            else:
                word.append(sign)
        elif sign == "'":
            quoted = was = True
        elif row is None:
            if sign == "(":
                row, word, was = [], [], False
        elif sign in ",)":
            value = "".join(word)
            row.append(value if was else None if value == "NULL" else value)
            word, was = [], False
            if sign == ")":
                yield row
                row = None
        else:
            word.append(sign)
        at += 1


def _flat(value, front=""):
    """Fields of an object, those within by a.b; lists stay as JSON."""
    found = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            found.update(_flat(inner, front + name + "."))
        else:
            found[front + name] = inner if isinstance(inner, (str, type(None))) else json.dumps(inner)
    return found


def _records(rule, path):
    path = Path(path)
    form = rule["form"]
    if form == "xlsx":
        lines = _xlsx(path, rule["sheet"])
        names = [name.strip() for name in next(lines)]
        for line in lines:
            yield {name: cell for name, cell in zip(names, line) if name}
        return
    text = path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))
    if form == "jsonl":
        for line in text.split("\n"):
            if line.strip():
                yield _flat(json.loads(line))
        return
    if form == "json":
        for outer in json.loads(text):
            for inner in outer[rule["inner"]]:
                record = _flat(inner, rule["inner"] + ".")
                record.update({k: v for k, v in outer.items() if k != rule["inner"]})
                yield record
        return
    if form == "sql":
        made = re.search(r"CREATE TABLE `%s` \((.*?)\n\)" % rule["table"], text, re.S).group(1)
        names = re.findall(r"^\s*`(\w+)`", made, re.M)
        for hit in re.finditer(r"^INSERT INTO `%s` VALUES (.*);$" % rule["table"], text, re.M):
            for values in _tuples(hit.group(1)):
                yield dict(zip(names, values, strict=True))
        return
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines) if rule.get("header", True) else None
    for line in lines:
        if any(line):
            yield dict(zip(names or [f"#{n}" for n in range(1, len(line) + 1)], line))


def _text(record, name, rule):
    value = record.get(name) if name else None
    text = "" if value is None else str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, form):
    if not text:
        return None
    text = text.strip()
    if isinstance(form, list):
        return next((m for m in (_moment(text, one) for one in form) if m), None)
    try:
        if form == "serial":
            try:
                return datetime(1899, 12, 30) + timedelta(days=float(text))
            except ValueError:
                return datetime.strptime(text, "%Y/%m/%d")  # some cells of pchome_goods are text
        if form == "epoch":
            return datetime.fromtimestamp(float(text), timezone.utc).replace(tzinfo=None)
        if form == "iso":
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).replace(tzinfo=None)
        return datetime.strptime(text, form).replace(tzinfo=None)
    except ValueError:
        return None


def _clock(text):
    """A part of a day: a fraction of a serial, or text as 10:31 or 10:31:05."""
    try:
        return timedelta(days=float(text))
    except ValueError:
        parts = [int(p) for p in text.strip().split(":")]
        return timedelta(hours=parts[0], minutes=parts[1], seconds=parts[2] if len(parts) > 2 else 0)


def _whole(moment):
    """Serials carry an error of some microseconds: to the nearest second."""
    return (moment + timedelta(microseconds=500000)).replace(microsecond=0)


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        lasting = _text(record, rule.get("duration"), rule)
        moment = _moment(_text(record, rule["time"], rule), rule["fmt"])
        if moment and rule.get("clock"):
            moment += _clock(_text(record, rule["clock"], rule))
        if moment and rule["fmt"] == "serial":
            moment = _whole(moment)
        yield (
            _text(record, rule["user"], rule) or None,
            moment,
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            float(lasting.removesuffix(" hrs")) * rule.get("scale", 1) if lasting else None,
        )


def figures(entry, path):
    rule = RULES[entry["id"]]
    kept = rule["user"]
    every = list(rows(entry["id"], path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done}), "behaviors": len(done)}
    if dated:
        found["first"] = min(row[1] for row in dated).isoformat(timespec="seconds")
        found["last"] = max(row[1] for row in dated).isoformat(timespec="seconds")
    if spans := [row[4] for row in dated if row[4] is not None]:
        found["total_minutes"] = round(sum(spans) / 60, 1)
    if isinstance(entry.get("user"), list) and len(entry["user"]) > 1:
        found["other_users"] = {}
        for name in entry["user"][1:]:
            rule["user"] = name
            other = [row[0] for row in rows(entry["id"], path) if row[0] and row[1]]
            found["other_users"][name] = [len(set(other)), len(other)]
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
        print(f"{entry['id']:20} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
