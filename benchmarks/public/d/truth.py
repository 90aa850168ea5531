"""What is right about the files of this folder, worked out without any tool.

    python truth.py            figures of every file, checked against truth.toml
    python truth.py ID         its rows

openpyxl reads the two workbooks. Times are as written, without offset, epochs in UTC.
"""
from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
csv.field_size_limit(1 << 30)

# form: how records are made; time: column; fmt: strptime formats, iso, epoch; the other keys are columns
RULES = {
    "douyin_comments": {"user": "用户id", "time": "评论时间", "fmt": "%Y.%m.%d", "item": "评论内容"},
    "foody_reviews_vn": {"user": "user_url", "time": "datetimes", "fmt": "%d/%m/%Y %H:%M", "item": "content"},
    "weibo_topic": {"user": "发布者姓名", "time": "发布时间", "fmt": "%Y/%m/%d %H:%M", "item": "微博正文"},
    "gofood_tweets": {
        "user": "user_id_str", "time": "created_at", "fmt": "%a %b %d %H:%M:%S %z %Y", "item": "full_text",
    },
    "zonasi_youtube": {"user": "Author", "time": "Published", "fmt": "iso", "item": "Comment"},
    "kakao_android": {"form": "kakao", "user": "user"},
    "fta_twitter_ko": {"user": "계정이름", "time": "작성일", "fmt": "%m/%d/%Y", "item": "내용"},
    "vision_access_zh": {
        "user": "姓名", "time": "时间", "fmt": "%Y-%m-%d %H:%M:%S", "action": "状态", "item": "详情",
    },
    "punch_clock_zh": {
        "form": "xlsx", "header_row": 1, "user": "姓名", "time": "打卡时间", "fmt": "%Y-%m-%d %H:%M:%S", "item": "打卡地点",
    },
    "qq_gb2312": {
        "enc": "gb18030", "user": "id", "time": "date", "fmt": "%Y-%m-%d %H:%M:%S", "item": "message",
    },
    "purba_family": {"form": "purba", "user": "user"},
    "danmaku_xml": {"form": "danmaku", "user": "user"},
    "wayfair_orders": {
        "user": "Ship To Name", "time": "PO Date & Time", "fmt": "%m/%d/%Y %H:%M:%S", "action": "Order Status",
        "item": "Item Name",
    },
    "chess_games": {
        "user": "player", "time": "end_datetime", "fmt": "%Y-%m-%d %H:%M:%S", "action": "result", "item": "opponent",
    },
    "crossword_times": {"user": "user", "time": "load_ts", "fmt": "%Y-%m-%d %H:%M:%S.%f", "hms": "time"},
    "active_window": {"user": None, "time": "date", "fmt": "epoch", "item": "window"},
    "bot_commands": {"form": "bot", "user": "#1"},
    "telegram_counts": {"user": None, "time": None},
    "desk_tickets": {
        "form": "tickets", "user": "contact_name", "time": "created_on", "fmt": "%Y-%m-%d %H:%M:%S",
        "action": "status", "item": "subject", "end": "resolved_on",
    },
    "utpl_biometric": {
        "form": "xlsx", "header_row": 4, "user": "Cedula", "time": "Fecha + DIA_ENTRADA",
        "fmt": "%Y-%m-%d %H:%M", "hms": "Horas Trabajadas",
    },
    "spinnaker_issues": {
        "user": "author", "time": "created", "fmt": "%Y-%m-%d %H:%M:%S UTC", "action": "status", "item": "title",
    },
    "task_times": {
        "form": "entries", "user": "task.owners.person.name", "time": "start-time", "fmt": "%Y-%m-%dT%H:%M:%SZ",
        "item": "task.name", "number": "duration-in-seconds",
    },
    "ab_events": {
        "user": "session_id", "time": "timestamp", "fmt": "%Y-%m-%d %H:%M:%S", "action": "event_name", "item": "event_value",
    },
    "ifttt_tweets": {"header": False, "user": "#2", "time": "#1", "fmt": "%B %d, %Y at %I:%M%p", "item": "#3"},
}


def _table(lines, header_row=1, header=True):
    names = []
    for number, cells in enumerate(lines, 1):
        cells = list(cells)
        if not header:
            names = [f"#{n}" for n in range(1, len(cells) + 1)]
        elif number <= header_row:
            names = cells
            continue
        if any(c not in (None, "") for c in cells):
            yield dict(zip(names, cells, strict=False))


def _csv(path, rule):
    with path.open(encoding=rule.get("enc", "utf-8-sig"), newline="") as stream:
        yield from _table(csv.reader(stream), header=rule.get("header", True))


def _xlsx(path, rule):
    import openpyxl

    sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
    sheet.reset_dimensions()
    for record in _table(sheet.iter_rows(values_only=True), rule["header_row"]):
        if len(record) < 2:  # the two lines of source and date at the end
            continue
        yield {
            k: v.strftime("%Y-%m-%d") if k == "Fecha" and isinstance(v, datetime) else v for k, v in record.items()
        }


def _tickets(path, _):
    return iter(json.loads(path.read_text("utf-8"), parse_int=str, parse_float=str)["tickets"])


def _entries(path, _):
    def flat(node, name=""):
        for part in node:
            inner = f"{name}.{part.tag}" if name else part.tag
            if len(part):
                yield from flat(part, inner)
            else:
                yield inner, part.text

    return (dict(flat(node)) for node in ElementTree.parse(path).getroot())


_FORMS = {"csv": _csv, "xlsx": _xlsx, "tickets": _tickets, "entries": _entries}


def _cell(record, name):
    if not name:
        return ""
    parts = ["" if record.get(p) is None else str(record.get(p)).strip() for p in name.split(" + ")]
    return " ".join(parts) if all(parts) else ""


def _moment(text, fmt):
    if not text:
        return None
    try:
        if fmt == "epoch":
            return datetime.fromtimestamp(float(text), UTC).replace(tzinfo=None)
        if fmt == "iso":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        return datetime.strptime(text, fmt).replace(tzinfo=None)
    except ValueError:
        return None


def _hms(text):
    if not re.fullmatch(r"\d+:\d\d:\d\d", text or ""):
        return None
    h, m, s = map(int, text.split(":"))
    return timedelta(hours=h, minutes=m, seconds=s).total_seconds()


_KAKAO = re.compile(r"(\d{4})년 (\d+)월 (\d+)일 (오전|오후) (\d+):(\d\d)(?:, (?:(.*?) : )?(.*))?$")
_US = re.compile(r"(\d+)/(\d+)/(\d\d), (\d+):(\d\d)[\s\u202f](AM|PM) - (?:([^:]+): )?(.*)$")


def _chat(path, form):
    for line in path.read_text("utf-8-sig").split("\n"):
        line = line.rstrip("\r")
        if form == "kakao" and (hit := _KAKAO.match(line)):
            y, mo, d, half, h, mi, who, text = hit.groups()
            hour = int(h) % 12 + (12 if half == "오후" else 0)
            yield who, datetime(int(y), int(mo), int(d), hour, int(mi)), text or ""
        elif form == "purba" and (hit := _US.match(line)):
            mo, d, y, h, mi, half, who, text = hit.groups()
            hour = int(h) % 12 + (12 if half == "PM" else 0)
            yield who, datetime(2000 + int(y), int(mo), int(d), hour, int(mi)), text


def rows(ident, path):
    """Yield user, time, action, item, seconds of each record."""
    rule = RULES[ident]
    form, path = rule.get("form", "csv"), Path(path)
    if form in ("kakao", "purba"):
        for who, when, text in _chat(path, form):
            yield (who if rule["user"] == "user" else None), when, "", text, None
        return
    if form == "danmaku":  # p = second in the film, mode, size, colour, epoch, pool, hash of the user, id
        for node in ElementTree.parse(path).getroot().iter("d"):
            part = node.get("p").split(",")
            who = {"user": part[6]}.get(rule["user"])
            yield who, _moment(part[4], "epoch"), "", node.text or "", None
        return
    if form == "bot":  # a line that begins with a number and a semicolon is a record, the others go on with the text
        for line in path.read_text("utf-8").splitlines():
            if hit := re.match(r"(\d+);(.*)", line):
                yield (hit[1] if rule["user"] == "#1" else None), None, hit[2], "", None
        return
    for record in _FORMS[form](path, rule):
        start = _moment(_cell(record, rule.get("time")), rule.get("fmt"))
        seconds = _hms(_cell(record, rule["hms"])) if "hms" in rule else None
        if "number" in rule and (told := _cell(record, rule["number"])):
            seconds = float(told)
        if "end" in rule and start and (end := _moment(_cell(record, rule["end"]), rule["fmt"])):
            seconds = (end - start).total_seconds()
        yield (
            _cell(record, rule["user"]) or None, start, _cell(record, rule.get("action")),
            _cell(record, rule.get("item")), seconds,
        )


def figures(ident, path, others=()):
    every = list(rows(ident, path))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {"rows_in": len(every), "users": len({r[0] for r in done or every if r[0]}), "behaviors": len(done)}
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    lasting = [r[4] for r in dated if r[4] is not None]
    if lasting:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    kept, more = RULES[ident]["user"], {}
    for name in others:
        RULES[ident]["user"] = name
        got = [r[0] for r in rows(ident, path) if r[0] and r[1]]
        more[name] = [len(set(got)), len(got)]
    RULES[ident]["user"] = kept
    if more:
        found["other_users"] = more
    return found


def main():
    if len(sys.argv) > 1:
        path = next(HERE.glob(sys.argv[1] + ".*"))
        for row in rows(sys.argv[1], path):
            print("\t".join(re.sub(r"\s+", " ", str(v)) for v in row))
        return 0
    right = True
    for entry in tomllib.loads((HERE / "truth.toml").read_text("utf-8"))["file"]:
        ident = entry["id"]
        users = entry.get("user", [])
        found = figures(ident, next(HERE.glob(ident + ".*")), users[1:] if isinstance(users, list) else ())
        keys = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
        odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in keys if found.get(k) != entry.get(k)]
        right &= not odd
        print(f"{ident:20} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
