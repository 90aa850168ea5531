"""Rows of the public files of truth.toml, read independent of the tool; standard library only.

    python3 truth.py            check every file against truth.toml

rows(ID, PATH) yields (user, time, action, item, seconds) of every record in file order. Texts are as in the file,
without white space at their ends. Times as written, without offset; epochs in UTC.
"""

import csv
import hashlib
import io
import json
import re
import sqlite3
import sys
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

csv.field_size_limit(1 << 30)

YMDHMS = "%Y-%m-%d %H:%M:%S"
RULES = {
    "mafengwo_reviews": {"form": "csv", "user": "评论名称", "time": "评论时间", "fmt": YMDHMS, "item": "评论内容"},
    "wechat_pay": {"form": "csv", "skip": 1, "user": None, "time": "交易时间", "fmt": YMDHMS, "action": "交易类型", "item": "商品"},
    "xiaohongshu_comments": {"form": "csv", "user": "user_id", "time": "comment_date", "fmt": "%Y-%m-%d", "item": "comment_content"},
    "qq_group": {"form": "qq", "user": "user", "time": "time", "fmt": YMDHMS, "item": "text"},
    "jeecg_sys_log": {"form": "sql", "table": "sys_log", "user": "userid", "time": "create_time", "fmt": YMDHMS, "action": "log_content", "item": "method"},
    "kakaotalk_pc": {"form": "kakao_pc", "user": "user", "time": "time", "fmt": "%Y년 %m월 %d일 %p %I:%M", "item": "text"},
    "kakaotalk_en": {"form": "kakao_en", "user": "user", "time": "time", "fmt": "%B %d, %Y, %I:%M %p", "item": "text"},
    "naver_voc": {"form": "xlsx", "sheet": "원본데이터", "user": "아이디", "time": "등록일", "fmt": "excel", "item": "리뷰"},
    "field_checkin_zh": {"form": "xlsx", "sheet": "Sheet1", "user": "姓名", "time": "签到时间", "end": "签退时间", "fmt": "excel", "action": "类型", "item": "签到地址"},
    "mall_points_id": {"form": "csv", "user": "id_user", "time": "tanggal", "fmt": "%Y-%m-%d", "item": "id_tenant"},
    "pulsa_agents": {"form": "csv", "user": "ID Agen", "time": "Tanggal Dibuat", "fmt": YMDHMS, "action": "Status", "item": "Nama Produk"},
    "novel_reviews_id": {"form": "csv", "user": "id_user", "time": "tanggal_ulasan", "fmt": "id", "item": "id_novel"},
    "tokopedia_reviews": {"form": "csv", "user": "userName", "time": "at", "fmt": YMDHMS, "item": "content"},
    "hris_attendance_id": {"form": "csv", "user": "employee_id", "time": "date + check_in", "end": "date + check_out", "fmt": YMDHMS, "action": "status"},
    "attendance_vn": {"form": "csv", "user": "student_id", "time": "date + check_in_time", "fmt": YMDHMS, "action": "attendance_status"},
    "pharmacy_notices_vn": {"form": "json", "user": "user_id", "time": "createdAt", "fmt": "iso", "action": "type", "item": "message"},
    "td_weblog_ja": {"form": "csv", "user": "td_client_id", "time": "time", "fmt": "epoch_s", "action": "action", "item": "td_url"},
    "linkedin_messages": {"form": "csv", "user": "FROM", "time": "DATE", "fmt": YMDHMS + " UTC", "item": "CONTENT"},
    "play_music_activity": {"form": "json", "user": None, "time": "time", "fmt": "iso", "action": "title", "item": "title"},
    "upi_payments": {"form": "csv", "user": "user_id", "time": "initiated_at", "fmt": "iso", "action": "txn_success", "item": "bank_name"},
    "campus_card": {"form": "sqlite", "table": "consumption", "user": "student_id", "time": "timestamp", "fmt": YMDHMS, "action": "tx_type", "item": "merchant_type"},
    "campus_wall": {"form": "csv", "user": None, "time": "time", "fmt": YMDHMS, "action": "class_name", "item": "content"},
}
ID_MONTHS = dict(zip("Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember".split(), range(1, 13)))


def _text(path):
    return path.read_bytes().decode("utf-8-sig")


def _csv(path, rule):
    table = list(csv.reader(io.StringIO(_text(path), newline="")))[rule.get("skip", 0):]
    for line in table[1:]:
        if any(cell.strip() for cell in line):
            yield dict(zip(table[0], line))


def _json(path, rule):
    for record in json.loads(_text(path), parse_int=str, parse_float=str):
        flat = {}
        for key, value in record.items():
            if isinstance(value, dict):
                if "$date" in value:
                    flat[key] = value["$date"]
                flat.update({f"{key}.{k}": v for k, v in value.items()})
            else:
                flat[key] = value
        yield flat


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    for row in base.execute(f'select * from "{rule["table"]}"'):
        yield dict(row)


def _sql(path, rule):
    """INSERT INTO t (a, b) VALUES (...); one record a statement, as this dump has it."""
    text = _text(path)
    plain = re.compile(r"[^,)]*")
    for hit in re.finditer(r"^INSERT INTO `?(\w+)`? \(([^)]*)\) VALUES \(", text, re.M):
        if hit[1] != rule["table"]:
            continue
        names, values, i = [n.strip(" `") for n in hit[2].split(",")], [], hit.end()
        while True:
            while text[i] == " ":
                i += 1
            if text[i] == "'":
                i += 1
                part = []
                while True:
                    if text[i] == "\\":
                        part.append(text[i + 1])
                        i += 2
                    elif text[i:i + 2] == "''":
                        part.append("'")
                        i += 2
                    elif text[i] == "'":
                        i += 1
                        break
                    else:
                        part.append(text[i])
                        i += 1
                values.append("".join(part))
            else:
                word = plain.match(text, i)
                i = word.end()
                values.append(None if word[0].strip().lower() == "null" else word[0].strip())
            if text[i] == ")":
                break
            i += 1
        yield dict(zip(names, values, strict=True))


def _xlsx(path, rule):
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    rel = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
    book = zipfile.ZipFile(path)
    shared = []
    if "xl/sharedStrings.xml" in book.namelist():
        for si in ET.fromstring(book.read("xl/sharedStrings.xml")).iter(main + "si"):
            # text of phonetic guides (rPh) is no text of the cell
            shared.append("".join(t.text or "" for e in si for t in ([e] if e.tag == main + "t" else e.findall(main + "t") if e.tag == main + "r" else [])))
    targets = {r.get("Id"): r.get("Target") for r in ET.fromstring(book.read("xl/_rels/workbook.xml.rels"))}
    sheet = next(s for s in ET.fromstring(book.read("xl/workbook.xml")).iter(main + "sheet") if s.get("name") == rule["sheet"])
    target = targets[sheet.get(rel)].lstrip("/")
    root = ET.fromstring(book.read(target if target.startswith("xl/") else "xl/" + target))
    names = None
    for row in root.iter(main + "row"):
        cells = {}
        for c in row.findall(main + "c"):
            v, kind = c.find(main + "v"), c.get("t")
            if kind == "inlineStr":
                value = "".join(t.text or "" for t in c.iter(main + "t"))
            elif v is None:
                continue
            else:
                value = shared[int(v.text)] if kind == "s" else v.text
            cells[re.match("[A-Z]+", c.get("r"))[0]] = value
        if names is None:
            names = cells
        elif any(x.strip() for x in cells.values()):
            yield {names[k]: x for k, x in cells.items() if k in names}


def _chat(lines, begin):
    """Join the lines that follow a message to it; `begin` makes a record of a line or returns None."""
    last = None
    for line in lines:
        record = begin(line)
        if record is None:
            if last is not None:
                last["text"] += "\n" + line
            continue
        if last is not None:
            yield last
        last = record
    if last is not None:
        yield last


def _qq(path, rule):
    head = re.compile(r"(\d{4}-\d\d-\d\d \d{1,2}:\d\d:\d\d) (.*)$")

    def begin(line):
        hit = head.match(line)
        if not hit:
            return None
        who = hit[2].strip()
        tail = re.search(r"[(<]([^()<>]*)[)>]$", who)
        return {"time": hit[1], "user": who, "qq": tail[1] if tail else "", "name": who[:tail.start()].strip() if tail else who, "text": ""}

    for record in _chat(_text(path).replace("\r\n", "\n").split("\n"), begin):
        record["text"] = record["text"].strip("\n")
        yield record


def _kakao_pc(path, rule):
    day = ""

    def begin(line):
        nonlocal day
        if hit := re.match(r"-{5,} (\d{4}년 \d+월 \d+일) \S+ -{5,}$", line):
            day = hit[1]
            return None
        if hit := re.match(r"\[(.+?)\] \[(오[전후]) (\d+:\d\d)\] (.*)$", line):
            half = "AM" if hit[2] == "오전" else "PM"
            return {"time": f"{day} {half} {hit[3]}", "user": hit[1], "text": hit[4]}
        return None

    return _chat(_text(path).replace("\r\n", "\n").split("\n"), begin)


def _kakao_en(path, rule):
    head = re.compile(r"([A-Z][a-z]+ \d{1,2}, \d{4}, \d{1,2}:\d\d [AP]M)(?:, (.*))?$")

    def begin(line):
        hit = head.match(line)
        if not hit:
            return None
        who, mark, text = (hit[2] or "").partition(" : ")
        return {"time": hit[1], "user": who if mark else "", "text": text if mark else hit[2] or ""}

    return _chat(_text(path).replace("\r\n", "\n").split("\n"), begin)


FORMS = {"csv": _csv, "json": _json, "sqlite": _sqlite, "sql": _sql, "xlsx": _xlsx, "qq": _qq, "kakao_pc": _kakao_pc, "kakao_en": _kakao_en}


def _cell(record, name):
    if not name:
        return None
    parts = ["" if record.get(p) is None else str(record[p]).strip() for p in name.split(" + ")]
    return " ".join(parts) if all(parts) else None


def _moment(text, fmt):
    if not text:
        return None
    try:
        if fmt == "epoch_s":
            return datetime.fromtimestamp(float(text), timezone.utc).replace(tzinfo=None)
        if fmt == "iso":
            return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)
        if fmt == "excel":
            return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))
        if fmt == "id":
            day, month, year = text.split()
            return datetime(int(year), ID_MONTHS[month], int(day))
        return datetime.strptime(text, fmt)
    except (ValueError, KeyError):
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in FORMS[rule["form"]](Path(path), rule):
        start, end = _moment(_cell(record, rule["time"]), rule["fmt"]), _moment(_cell(record, rule.get("end")), rule["fmt"])
        seconds = (end - start).total_seconds() if start and end else None
        yield _cell(record, rule["user"]), start, _cell(record, rule.get("action")), _cell(record, rule.get("item")), seconds


def figures(ident, path, entry):
    every = list(rows(ident, path))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {"rows_in": len(every), "users": len({r[0] for r in done}), "behaviors": len(done)}
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    if lasting := [r[4] for r in dated if r[4] is not None]:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    if isinstance(entry.get("user"), list):
        keep, found["other_users"] = RULES[ident]["user"], {}
        for name in entry["user"][1:]:
            RULES[ident]["user"] = name
            other = [r[0] for r in rows(ident, path) if r[0] and r[1]]
            found["other_users"][name] = [len(set(other)), len(other)]
        RULES[ident]["user"] = keep
    return found


def main():
    import tomllib
    here, right = Path(__file__).parent, True
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(iter(here.glob(entry["id"] + ".*")))
        found = figures(entry["id"], path, entry)
        odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users") if found.get(k) != entry.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            odd.append("another file")
        print(entry["id"], entry["expect"], found["behaviors"], "; ".join(odd) or "as listed")
        right = right and not odd
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
