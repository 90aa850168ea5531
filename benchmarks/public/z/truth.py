"""Truth of the files in this folder, read without the tool. Standard library only; the one Parquet file needs pyarrow.

RULES: ID -> rule; `rows(ID, PATH)` yields (user, time, action, item, seconds) of each record, in file order.
"A + B" joins two columns with a space. "a.b" is a field within a field. Chats have the columns user, time, text.
"#3" is the third column of a file without a header.
"""

import pathlib
import csv
import gzip
import io
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
import zipfile
from datetime import UTC, datetime, timedelta

csv.field_size_limit(10**9)

SECOND = "%Y-%m-%d %H:%M:%S"
DAY = "%Y-%m-%d"
WHATSAPP = r"^[\u200e\u200f]*\[(?P<time>\d\d/\d\d/\d{4}, \d\d:\d\d:\d\d)\] (?:(?P<user>.+?): )?(?P<text>.*)"
KAKAO = r"^(?P<time>\d{4}년 \d+월 \d+일 오[전후] \d+:\d\d), (?:(?P<user>[^:]+?) : )?(?P<text>.*)"

RULES = {
    "kenya_ireland_chat": {"form": "lines", "pattern": WHATSAPP, "user": "user", "time": "time", "item": "text",
                           "time_format": "%d/%m/%Y, %H:%M:%S"},
    "kakao_blinduo": {"form": "lines", "pattern": KAKAO, "user": "user", "time": "time", "item": "text",
                      "time_format": "%Y년 %m월 %d일 %p %I:%M"},
    "acesso_cartoes": {"form": "csv", "sep": ";", "header": False, "user": "#2", "time": "#1", "action": "#4",
                       "time_format": "epoch"},
    "cityhall_tweets": {"form": "csv", "sep": "\t", "user": "screen_name", "time": "created_at",
                        "item": "status_url", "time_format": "iso"},
    "requests_commits": {"form": "csv", "user": "author_name", "time": "date", "item": "message",
                         "time_format": "iso"},
    "pokemon_survey": {"form": "xlsx", "user": None, "time": "Timestamp", "item": "What is your favourite Pokémon?",
                       "time_format": "excel"},
    "wordle_golf": {"form": "sqlite", "table": "player_scores", "user": "player", "time": "date",
                    "time_format": DAY},
    "spark_session_events": {"form": "jsonl", "user": "customer_id", "time": "ts", "action": "event_type",
                             "item": "page", "time_format": SECOND},
    "dental_citas": {"form": "csv", "user": "ID_Paciente", "time": "Fecha_Cita", "action": "Estado",
                     "duration": "Duracion_Minutos", "factor": 60, "time_format": DAY},
    "own_timesheet": {"form": "csv", "user": None, "time": "date + clock_in", "end": "date + clock_out",
                      "action": "notes", "item": "code", "time_format": SECOND},
    "reddit_submissions": {"form": "csv", "user": "author_id", "time": "created", "item": "title",
                           "time_format": "epoch"},
    "case_orders": {"form": "parquet", "user": "user_id", "time": "created_at", "action": "status",
                    "time_format": "datetime"},
    "radio_activity": {"form": "csv", "user": "listener_email_address", "time": "started_listening_at",
                       "item": "song_title", "time_format": SECOND},
    "bili_year_songs": {"form": "xlsx", "user": "name", "time": "pubdate", "item": "title",
                        "time_format": "excel_or_text"},
}
NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _text(path, rule):
    return path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))


def _csv(path, rule):
    lines = csv.reader(io.StringIO(_text(path, rule), newline=""), delimiter=rule.get("sep", ","))
    names = next(lines) if rule.get("header", True) else None
    for line in lines:
        if line:
            yield dict(zip(names or [f"#{n}" for n in range(1, len(line) + 1)], line, strict=False))


def _lines(path, rule):
    for line in _text(path, rule).replace("\r\n", "\n").split("\n"):
        if hit := re.match(rule["pattern"], line):
            yield hit.groupdict()


def _jsonl(path, _):
    data = path.read_bytes()
    for line in (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode().split("\n"):
        if line.strip():
            yield json.loads(line, parse_int=str, parse_float=str)


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    return [dict(row) for row in base.execute(f'select * from "{rule["table"]}" order by rowid')]


def _parquet(path, _):
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def _xlsx(path, _):
    """Read the first sheet: the header is its first row."""
    book = zipfile.ZipFile(path)
    shared = []
    if "xl/sharedStrings.xml" in book.namelist():
        shared = ["".join(t.text or "" for t in si.iter(NS + "t"))
                  for si in ET.fromstring(book.read("xl/sharedStrings.xml")).iter(NS + "si")]
    names = None
    for row in ET.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(NS + "row"):
        cells = {}
        for cell in row.iter(NS + "c"):
            value, inline = cell.find(NS + "v"), cell.find(NS + "is")
            if inline is not None:
                text = "".join(t.text or "" for t in inline.iter(NS + "t"))
            elif value is None or value.text is None:
                continue
            else:
                text = shared[int(value.text)] if cell.get("t") == "s" else value.text
            cells[re.sub(r"\d", "", cell.get("r"))] = text
        if names is None:
            names = cells
        elif any(v.strip() for v in cells.values()):
            yield {names.get(k, k): v for k, v in cells.items()}


FORMS = {"csv": _csv, "lines": _lines, "jsonl": _jsonl, "sqlite": _sqlite, "parquet": _parquet, "xlsx": _xlsx}


def _cell(record, name):
    """Read a column, a field within a field, or columns joined (empty where one of them is)."""
    if name is None:
        return None
    if " + " in name:
        parts = [_cell(record, part) for part in name.split(" + ")]
        return " ".join(parts) if all(parts) else None
    value = record.get(name)
    if value is None and "." in name:
        value = record
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    return None if value is None or value == "" else str(value)


def _moment(text, form):
    if not text:
        return None
    try:
        if form == "epoch":
            return datetime.fromtimestamp(float(text), UTC).replace(tzinfo=None)
        if form in ("iso", "datetime"):
            return datetime.fromisoformat(text).replace(tzinfo=None)
        if form.startswith("excel"):
            if re.fullmatch(r"[\d.]+(E[+-]?\d+)?", text):
                return datetime(1899, 12, 30) + timedelta(milliseconds=round(float(text) * 86400000))
            return datetime.strptime(text, SECOND)
        return datetime.strptime(text.replace("오전", "AM").replace("오후", "PM"), form)
    except ValueError:
        return None


def rows(ident, path):
    """Yield (user, time, action, item, seconds) of each record."""
    rule = RULES[ident]
    path = pathlib.Path(path)
    for record in FORMS[rule["form"]](path, rule):
        told = {k: _cell(record, rule.get(k)) for k in ("user", "time", "action", "item", "duration", "end")}
        start, end = _moment(told["time"], rule["time_format"]), _moment(told["end"], rule["time_format"])
        seconds = None
        if told["duration"]:
            seconds = float(told["duration"]) * rule.get("factor", 1)
        elif start and end:
            seconds = (end - start).total_seconds()
        yield told["user"], start, told["action"], told["item"], seconds


if __name__ == "__main__":
    import sys
    from pathlib import Path

    folder = Path(__file__).parent
    for one in sys.argv[1:] or RULES:
        every = list(rows(one, next(folder.glob(one + ".*"))))
        done = [r for r in every if r[0] and r[1]]
        dated = done or [r for r in every if r[1]]
        lasting = [r[4] for r in dated if r[4] is not None]
        print(one, len(every), len({r[0] for r in done}), len(done),
              *(f(r[1] for r in dated).isoformat(timespec="seconds") for f in (min, max)),
              round(sum(lasting) / 60, 1) if lasting else "", every[0])
