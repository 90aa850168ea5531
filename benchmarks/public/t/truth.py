"""Truth of the files of this folder, worked out by reading the files; standard library only.

    python truth.py            figures of every file, compared with truth.toml
RULES: ID -> {"user": column}. rows(ID, PATH) yields (user, time, action, item, seconds) of each row in file order.
"""
from __future__ import annotations

import csv
import io
import json
import re
import sys
import tomllib
import zipfile
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "bili_danmaku": {"user": "UID", "time": "unixtime", "form": "s", "action": "", "item": "content"},
    "weibo_checkins_sy": {"user": "user_id", "time": "created_at", "form": "%Y-%m-%d %H:%M:%S", "action": "", "item": "location"},
    "shopee_reviews_tw": {"user": "使用者ID", "time": "留言時間", "form": "%Y/%m/%d", "action": "", "item": "商品名稱"},
    "bili_comments_nohead": {"user": "#2", "time": "#5", "form": "%Y-%m-%d %H:%M:%S", "action": "", "item": "#6", "header": False},
    "supermarket_shifts": {"user": "工号", "time": "日期", "form": "%Y-%m-%d", "action": "", "item": "柜台"},
    "study_group_log": {"user": "Author", "time": "DATE", "form": "serial", "action": "State", "item": "Content", "header_row": 4},
    "douyin_huawei": {"user": "user_id", "time": "create_time", "form": "s", "action": "", "item": "aweme_id"},
    "campus_doors": {"user": "AccessCardNo", "time": "Date", "form": "%Y/%m/%d %H:%M", "action": "Address", "item": "Address", "encoding": "gb18030"},
    "danmu_offsets": {"user": "Mid", "time": "", "form": "", "action": "", "item": "Content"},
    "weibo_one_person": {"user": "", "time": "publish_time", "form": "%Y-%m-%d %H:%M", "action": "", "item": "weibo_content", "encoding": "gb18030"},
    "book_proposals_erp": {"user": "Creator", "time": "Created", "form": "serial", "action": "", "item": "PyramidName"},
    "zhihu_answers": {"user": "id", "time": "time", "form": "%Y-%m-%d %H:%M:%S", "action": "", "item": "cotent"},
    "oj_submits_class": {"user": "student_ID", "time": "time", "form": "s", "action": "state", "item": "title_ID"},
    "dianping_mountain": {"user": "username", "time": "comment_at", "form": "%Y-%m-%d %H:%M:%S", "action": "", "item": "location"},
    "pta_submits": {"user": "user.studentUser.studentNumber", "time": "submitAt", "form": "%Y-%m-%dT%H:%M:%SZ", "action": "status", "item": "problemSetProblem.id"},
    "hightech_checkin": {"user": "id", "time": "checkin", "form": "%Y-%m-%d %H:%M:%S", "action": "", "item": "", "end": "checkout"},
    "hightech_logins": {"user": "user", "time": "time", "form": "%Y-%m-%d %H:%M:%S", "action": "state", "item": "dip"},
    "bili_show_reviews": {"user": "author", "time": "date", "form": "serial", "action": "", "item": "content"},
    "tieba_ai": {"user": "作者", "time": "日期", "form": "%Y-%m-%d %H:%M", "action": "", "item": "标题"},
    "meituan_wuhan": {"user": "评论用户id", "time": "评论时间", "form": "ms", "action": "", "item": "评论店铺"},
}


def _table(path, rule):
    text = Path(path).read_bytes().decode(rule.get("encoding", "utf-8-sig"))
    lines = csv.reader(io.StringIO(text, newline=""))
    names = next(lines) if rule.get("header", True) else None
    for cells in lines:
        if any(cell.strip() for cell in cells):
            yield dict(zip(names or [f"#{n}" for n in range(1, len(cells) + 1)], cells))


_X = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _xlsx(path, rule, sheet="xl/worksheets/sheet1.xml"):
    """The rows of the first sheet as they stand in the XML; of two columns with one name the first counts."""
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).iter(_X + "si"):
                shared.append("".join(t.text or "" for t in si.iter(_X + "t")))
        names, number = None, 0
        for row in ElementTree.fromstring(book.read(sheet)).iter(_X + "row"):
            number = int(row.get("r", number + 1))
            cells, column = {}, 0
            for c in row.iter(_X + "c"):
                column += 1
                where = c.get("r")
                if where:
                    column = 0
                    for letter in re.match(r"[A-Z]+", where)[0]:
                        column = column * 26 + ord(letter) - 64
                if c.get("t") == "inlineStr":
                    value = "".join(t.text or "" for t in c.iter(_X + "t"))
                else:
                    v = c.find(_X + "v")
                    value = "" if v is None else v.text or ""
                    if c.get("t") == "s" and value:
                        value = shared[int(value)]
                cells[column] = value
            if number <= rule.get("header_row", 1):
                names = cells
            elif any(value.strip() for value in cells.values()):
                record = {}
                for at, name in names.items():
                    if name and name not in record:
                        record[name] = cells.get(at, "")
                yield record


def _flat(value, path=""):
    if isinstance(value, dict):
        flat = {}
        for key, part in value.items():
            flat.update(_flat(part, f"{path}.{key}" if path else key))
        return flat
    return {path: value}


def _json(path, rule):
    for record in json.loads(Path(path).read_text("utf-8"), parse_float=str, parse_int=str):
        yield {k: v if isinstance(v, str) else "" if v is None else json.dumps(v) for k, v in _flat(record).items()}


def _moment(text, form):
    text = (text or "").strip()
    try:
        if form in ("s", "ms"):
            value = Decimal(text) / (1000 if form == "ms" else 1)
            return datetime(1970, 1, 1) + timedelta(microseconds=int(value * 1000000))
        if form == "serial":
            return datetime(1899, 12, 30) + timedelta(milliseconds=round(float(text) * 86400000))
        return datetime.strptime(text, form) if form else None
    except (ArithmeticError, ValueError):
        return None


def rows(ID, PATH):
    rule = RULES[ID]
    read = {".csv": _table, ".xlsx": _xlsx, ".json": _json}[Path(PATH).suffix]
    for record in read(PATH, rule):
        def get(name):
            return (record.get(name) or "").strip() if name else ""
        start, end = _moment(get(rule["time"]), rule["form"]), _moment(get(rule.get("end")), rule["form"])
        seconds = (end - start).total_seconds() if start and end else None
        yield get(rule["user"]) or None, start, get(rule["action"]), get(rule["item"]), seconds


def figures(ID, path):
    every = list(rows(ID, path))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {"rows_in": len(every), "users": len({r[0] for r in done or every if r[0]}), "behaviors": len(done)}
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    lasting = [r[4] for r in dated if r[4] is not None]
    if lasting:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    return found


def main():
    here = Path(__file__).parent
    entries = {e["id"]: e for e in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]} if (here / "truth.toml").exists() else {}
    for ID in RULES:
        path = next(p for p in here.glob(ID + ".*"))
        found = figures(ID, path)
        entry = entries.get(ID, {})
        wrong = {k: (v, entry.get(k)) for k, v in found.items() if entry.get(k) != v}
        users = entry.get("user")
        others = {}
        if isinstance(users, list):
            first = RULES[ID]["user"]
            for name in users[1:]:
                RULES[ID]["user"] = name
                other = figures(ID, path)
                others[name] = [other["users"], other["behaviors"]]
            RULES[ID]["user"] = first
            if entry.get("other_users") != others:
                wrong["other_users"] = (others, entry.get("other_users"))
        print(ID, found, others, "OK" if entry and not wrong else f"WRONG {wrong}")


if __name__ == "__main__":
    sys.exit(main())
