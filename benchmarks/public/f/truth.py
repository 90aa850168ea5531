"""What is right about the files of this folder. Standard library only.

    python truth.py            check every file of truth.toml
    python truth.py ID         print the first rows
"""

import csv
import json
import re
import sqlite3
import struct
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

csv.field_size_limit(1 << 30)

# user: the column; time, action, item, seconds: columns or None. form: how to read.
RULES = {
    "ctf_submissions": dict(user="nickname", form="csv", clock="time", action="correct", item="challenge"),
    "sign_in_zh": dict(user="登记号码", form="xls", time="出勤时间", fmt="zh"),
    "blood_requests_id": dict(user="instansi", form="csv", time="tanggal", fmt="%d-%m-%Y", item="komponen"),
    "whatsapp_es": dict(user="user", form="wa_ios"),
    "whatsapp_gh": dict(user="user", form="wa_android"),
    "fruit_orders_zh": dict(user="收件人", form="csv", item="发货信息"),
    "phone_reviews_vn": dict(user="user_name", form="csv", action="star_ratings", item="comment_text"),
    "donations_ua": dict(user=None, form="csv", time="Date", fmt="%Y-%m-%d", action="Payment method", item="Category"),
    "baby_feeds": dict(user=None, form="csv", time="from_time", fmt="%Y-%m-%d %H:%M:%S.%f", seconds="duration"),
    "qtox_irc": dict(user="user", form="irc"),
    "wechat_copy": dict(user="user", form="wechat"),
    "yoklama_tr": dict(user="#1", form="csv_bare"),
    "mouse_clicks": dict(user=None, form="csv", time="time", fmt="epoch", item="x"),
    "cowrie_lt": dict(user="src_ip", form="jsonl", time="timestamp", fmt="iso", action="eventid", item="message", seconds="duration"),
    "youtube_ko": dict(user="author", form="csv", time="published_at", fmt="iso", item="text"),
    "invoices_br": dict(user="CLIENTE", form="csv", sep=";", time="DT_NUM_NF", fmt="%d/%m/%Y", action="TIPO", item="DESCRICAO"),
    "netease_plays": dict(user="user_id", form="csv", time="song_in_timestamp", fmt="epoch", action="finished", item="song_id"),
    "forum_logs_ru": dict(user="ip_address", form="sqlite", time="timestamp", fmt="%Y-%m-%d %H:%M:%S", action="action"),
    "agendamentos_br": dict(user="nome_paciente", form="csv", time="ano", fmt="%d/%m/%Y %H:%M:%S"),
    "wallet_dump_in": dict(user="user_id", form="copy", table="public.transactions", time="created_at", fmt="iso", action="transaction_type", item="operator"),
    "contacts_conf": dict(user="#1", form="tsv_bare", item="#2", start="#3", stop="#4"),
    "danmaku_zh2": dict(user="user", form="danmaku"),
    "bike_persona": dict(user="user_id", form="csv", time="start_time", fmt="%m/%d/%Y %H:%M", action="usertype", item="bikeid", seconds="tripduration"),
    "league_songs": dict(user="Submitter ID", form="csv", time="Created", fmt="iso", item="Title"),
}


def _text(path):
    return Path(path).read_bytes().decode("utf-8-sig")


def _csv(path, rule):
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = [line for line in csv.reader(file, delimiter=rule.get("sep", ",")) if any(line)]
    for line in lines[1:]:
        yield dict(zip(lines[0], line))


def _csv_bare(path, rule, sep=","):
    with open(path, encoding="utf-8-sig", newline="") as file:
        for line in csv.reader(file, delimiter=sep):
            if any(line):
                yield {f"#{n}": value for n, value in enumerate(line, 1)}


def _tsv_bare(path, rule):
    return _csv_bare(path, rule, "\t")


def _workbook(path):
    """Give the stream Workbook of an old office file (OLE)."""
    data = Path(path).read_bytes()
    size = 1 << struct.unpack_from("<H", data, 30)[0]

    def block(n):
        return data[(n + 1) * size : (n + 2) * size]

    count, first = struct.unpack_from("<II", data, 44)
    table = b"".join(block(n) for n in struct.unpack_from("<109I", data, 76)[:count])
    after = struct.unpack(f"<{len(table) // 4}I", table)

    def chain(n):
        while n < 0xFFFFFFFA:
            yield block(n)
            n = after[n]

    folder = b"".join(chain(first))
    for at in range(0, len(folder), 128):
        name = folder[at : at + struct.unpack_from("<H", folder, at + 64)[0]].decode("utf-16-le").strip("\0")
        if name == "Workbook":
            start, length = struct.unpack_from("<II", folder, at + 116)
            return b"".join(chain(start))[:length]
    raise ValueError(path)


def _strings(parts):
    """Give the texts of the table of strings, which may go on in further records."""
    total, at, part, out = struct.unpack_from("<I", parts[0], 4)[0], 8, 0, []
    while len(out) < total:
        if at >= len(parts[part]):
            part, at = part + 1, 0
        length, flags = struct.unpack_from("<HB", parts[part], at)
        at += 3
        runs = rest = 0
        if flags & 8:
            runs, at = struct.unpack_from("<H", parts[part], at)[0], at + 2
        if flags & 4:
            rest, at = struct.unpack_from("<I", parts[part], at)[0], at + 4
        text = ""
        while True:
            wide = 1 + (flags & 1)
            take = min(length - len(text), (len(parts[part]) - at) // wide)
            text += parts[part][at : at + take * wide].decode("utf-16-le" if wide == 2 else "latin-1")
            at += take * wide
            if len(text) == length:
                break
            part, at = part + 1, 1
            flags = parts[part][0]
        at += 4 * runs + rest
        out.append(text)
    return out


def _xls(path, rule):
    """Read the texts of the only sheet (BIFF8)."""
    data, at, last, table, cells = _workbook(path), 0, 0, [], {}
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, at)
        body = data[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 0xFC or (kind == 0x3C and last == 0xFC):
            table.append(body)
            kind = 0xFC
        elif kind == 0xFD:
            line, column, _, number = struct.unpack("<HHHI", body)
            cells[line, column] = number
        last = kind
    text = _strings(table)
    width = max(column for _, column in cells) + 1
    lines = [[text[cells[n, m]] if (n, m) in cells else "" for m in range(width)] for n in range(max(cells)[0] + 1)]
    for line in lines[1:]:
        yield dict(zip(lines[0], line))


def _jsonl(path, rule):
    return (json.loads(line) for line in _text(path).splitlines() if line.strip())


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    table = "forum_logs" if rule["user"] == "ip_address" else "bot_logs"
    return [dict(row) for row in base.execute(f"select * from {table}")]


def _copy(path, rule):
    names = None
    for line in _text(path).split("\n"):
        if names is None:
            if hit := re.match(rf"COPY {re.escape(rule['table'])} \((.*)\) FROM stdin;", line):
                names = [name.strip('" ') for name in hit[1].split(",")]
        elif line == "\\.":
            return
        else:
            yield {k: None if v == "\\N" else v for k, v in zip(names, line.split("\t"), strict=True)}


def _wa_ios(path, rule):
    for line in _text(path).split("\n"):
        if hit := re.match("\u200e?\\[(\\d+)/(\\d+)/(\\d\\d), (\\d+):(\\d\\d):(\\d\\d)\\] ([^:]*): (.*)", line):
            day, month, year, *clock = map(int, hit.groups()[:6])
            yield {"user": hit[7], "when": datetime(2000 + year, month, day, *clock), "item": hit[8].strip("\r")}


def _wa_android(path, rule):
    for line in _text(path).split("\n"):
        if hit := re.match("(\\d+/\\d+/\\d\\d), (\\d+:\\d\\d)\u202f([AP]M) - (.*)", line):
            when = datetime.strptime(f"{hit[1]} {hit[2]} {hit[3]}", "%m/%d/%y %I:%M %p")
            name, colon, text = hit[4].partition(": ")
            yield {"user": name if colon else None, "when": when, "item": text if colon else hit[4]}


def _irc(path, rule):
    for line in Path(path).read_bytes().decode("utf-8", "replace").split("\n"):
        if hit := re.match(r"\[\d\d:\d\d:\d\d\] (?:<([^>]+)> ?|\* (\S+) |\*\*\* )(.*)", line):
            yield {"user": hit[1] or hit[2], "when": None, "item": hit[3]}


def _wechat(path, rule):
    day, row, out = None, None, []
    for line in _text(path).split("\n"):
        if hit := re.match(r"—+(\d{4}-\d\d-\d\d)—+", line):
            day = datetime.strptime(hit[1], "%Y-%m-%d")
        elif hit := re.match(r"(.+?) ?(\d\d):(\d\d)$", line):
            when = day and day + timedelta(hours=int(hit[2]), minutes=int(hit[3]))
            row = {"user": hit[1], "when": when, "item": ""}
            out.append(row)
        elif row and line:
            row["item"] = (row["item"] + "\n" + line).strip()
    return out


def _danmaku(path, rule):
    for hit in re.finditer(r'<d p="([^"]*)">(.*?)</d>', _text(path), re.S):
        part = hit[1].split(",")
        yield {"user": part[6], "when": datetime.fromtimestamp(int(part[4]), UTC).replace(tzinfo=None), "item": hit[2]}


def _time(value, fmt):
    if value in (None, ""):
        return None
    if fmt == "epoch":
        return datetime.fromtimestamp(float(value), UTC).replace(tzinfo=None)
    if fmt == "iso":
        return datetime.fromisoformat(value).replace(tzinfo=None)
    if fmt == "zh":
        return datetime.strptime(re.sub(r" 星期. ", " ", value), "%Y/%m/%d %H:%M")
    return datetime.strptime(value, fmt)


def rows(ID: str, PATH: str | Path) -> Iterator[tuple]:
    """Yield (user, time, action, item, seconds) of each row, in file order."""
    rule = RULES[ID]
    for row in globals()["_" + rule["form"]](PATH, rule):
        user = row.get(rule["user"]) if rule["user"] else None
        when = row["when"] if "when" in row else _time(row.get(rule.get("time")), rule["fmt"]) if "time" in rule else None
        item = row.get(rule.get("item"), row.get("item"))
        seconds = None
        if "seconds" in rule and row.get(rule["seconds"]) not in (None, ""):
            seconds = float(row[rule["seconds"]])
        elif "start" in rule:
            seconds = float(row[rule["stop"]]) - float(row[rule["start"]])
        yield (None if user in (None, "") else str(user), when, row.get(rule.get("action")), item, seconds)


def figures(ID, path, ask=False):
    found = list(rows(ID, path))
    good = [row for row in found if row[0] is not None and row[1] is not None]
    times = [row[1] for row in (good or found) if row[1] is not None]
    took = [row[4] for row in (found if ask else good) if row[4] is not None]
    out = {"rows_in": len(found), "users": len({row[0] for row in (good or found) if row[0] is not None}), "behaviors": len(good)}
    if times:
        out |= {"first": min(times).strftime("%Y-%m-%dT%H:%M:%S"), "last": max(times).strftime("%Y-%m-%dT%H:%M:%S")}
    if took:
        out["total_minutes"] = round(sum(took) / 60, 1)
    return out


def main():
    here = Path(__file__).parent
    if len(sys.argv) > 1:
        for number, row in zip(range(8), rows(sys.argv[1], next(here.glob(sys.argv[1] + ".*")))):
            print(row)
        return
    wrong = 0
    for entry in tomllib.loads((here / "truth.toml").read_text())["file"]:
        ID, path = entry["id"], next(here.glob(entry["id"] + ".*"))
        found = figures(ID, path, entry["expect"] != "read")
        if entry.get("other_users"):
            found["other_users"], first = {}, RULES[ID]["user"]
            for name in entry["other_users"]:
                RULES[ID]["user"] = name
                other = figures(ID, path)
                found["other_users"][name] = [other["users"], other["behaviors"]]
            RULES[ID]["user"] = first
        for key in ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users"):
            if found.get(key) != entry.get(key):
                wrong += 1
                print(ID, key, "found", found.get(key), "listed", entry.get(key))
    print("wrong:", wrong)


if __name__ == "__main__":
    main()
