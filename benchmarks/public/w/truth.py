"""What is right about these files, worked out without the tool. RULES and rows(ID, PATH); standard library only
(pyarrow for the one Parquet file).

    python truth.py DIR      check every file of truth.toml
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

csv.field_size_limit(1 << 30)

RULES = {
    "win_logons": {"form": "csv", "user": "User", "time": "DateTime", "format": "%d/%m/%Y %H:%M:%S",
                   "action": "Type", "item": "Destination"},
    "marcaciones_ar": {"form": "csv", "header": False, "user": "#1", "time": "#2 + #3", "format": "%Y-%m-%d %H:%M",
                       "strip": True},
    "attlog_ua": {"form": "csv", "sep": "\t", "header": False, "user": "#2", "time": "#3", "format": "%Y-%m-%d %H:%M:%S"},
    "trello_board": {"form": "json", "records": "actions", "user": "memberCreator.fullName", "time": "date",
                     "format": "iso", "action": "type", "item": "data.card.name"},
    "calls_agents": {"form": "csv", "user": "agent_id", "time": "datestamp", "format": "%Y-%m-%d %H:%M:%S",
                     "action": "status", "item": "lead_id", "duration": "call_length", "seconds": 1},
    "chamados_lab": {"form": "csv", "user": "RESPOSÁVEL PELO CHAMADO", "time": "DATA + HORA", "format": "serial",
                     "action": "CLASSIFICAÇÃO", "item": "DESCRIÇÃO DO PROBLEMA/ SOLICITAÇÃO",
                     "duration": "TEMPO TOTAL DE ATENDIMENTO", "seconds": 86400},
    "rmail_db": {"form": "parquet", "user": "from_name", "time": "date", "format": "datetime", "item": "subject"},
    "huellero_pe": {"form": "csv", "encoding": "cp1252", "user": "Nombre", "time": "HORA",
                    "format": "%d/%m/%Y %I:%M %p", "replace": {"a.m.": "AM", "p.m.": "PM"}, "action": "checktype"},
    "ropensci_commits": {"form": "csv", "user": "author", "time": "date", "format": "iso", "item": "pkg"},
    "timelog_it": {"form": "csv", "user": "Risorse", "time": "Data", "format": "%d/%m/%Y", "item": "Task",
                   "action": "Descrizione", "duration": "Ore Effettive", "seconds": 3600},
    "fx_trades": {"form": "xes", "user": "resource", "time": "time:timestamp", "format": "iso",
                  "action": "concept:name", "item": "currency_pair"},
    "jira_cycle": {"form": "csv", "user": None, "time": "created_date", "format": "%Y-%m-%d", "item": "id"},
    "presence_cs": {"form": "csv", "user": "Created By: Full Name", "time": "Start DT", "format": "%d/%m/%Y %H:%M:%S",
                    "action": "Service Presence Status: Developer Name", "duration": "Status Duration", "seconds": 1},
    "chat_transcripts": {"form": "csv", "user": "Owner: Full Name", "time": "Start Time", "end": "End Time",
                         "format": "%d/%m/%Y, %H:%M", "item": "Case: Case Number"},
    "hotel_dept": {"form": "sqlite", "table": "logs_acoes_departamento", "user": "colaborador_id", "time": "timestamp",
                   "format": "iso", "action": "acao", "item": "entidade"},
    "hotel_cashier": {"form": "json", "records": "transactions", "user": "user", "time": "timestamp",
                      "format": "%d/%m/%Y %H:%M", "action": "type", "item": "description"},
    "teportal_audit": {"form": "json", "user": "user", "time": "timestamp", "format": "%Y-%m-%d %H:%M:%S",
                       "action": "action", "item": "details"},
    "biometric_ph": {"form": "json", "user": "deviceUserId", "time": "recordTime", "format": "js"},
    "inbox_events": {"form": "csv", "user": "user_id", "time": "created_at", "format": "iso", "action": "event_type",
                     "item": "conversation_id"},
    "crm_deals": {"form": "xlsx", "user": "Deal Owner Name", "time": "Created Time", "format": "%d.%m.%Y %H:%M",
                  "action": "Stage", "item": "Product"},
    "asterisk_cdr": {"form": "csv", "user": "src", "time": "calldate", "format": "%Y-%m-%d %H:%M:%S",
                     "action": "disposition", "item": "dst", "duration": "duration", "seconds": 1},
    "support_fi": {"form": "csv", "encoding": "cp1252", "sep": ";", "user": None, "time": "datetime", "format": "rfc2822",
                   "action": "category", "item": "title", "end": "datetime2"},
    "rp_chat": {"form": "lines", "user": "user", "time": "time", "format": "%d.%m.%Y %H:%M:%S", "item": "text",
                "pattern": r"^\[(?P<time>\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d)\] (?:CHAT:(?P<chat>\S+) )?"
                           r"(?:USER:(?P<user>\S+) )?(?:TEXT:)?(?P<text>.*)"},
}


def _flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()}


def _csv(path, rule):
    with path.open(encoding=rule.get("encoding", "utf-8-sig"), newline="") as file:
        names = None
        for line in csv.reader(file, delimiter=rule.get("sep", ",")):
            if not rule.get("header", True):
                names = [f"#{n}" for n in range(1, len(line) + 1)]
            elif names is None:
                names = line
                continue
            if any(line):
                yield dict(zip(names, line, strict=False))


def _json(path, rule):
    data = json.loads(path.read_text(encoding="utf-8-sig"), parse_int=str, parse_float=str)
    name = rule.get("records")
    if isinstance(data, dict):
        data = data[name]
    elif name:
        data = [part for outer in data for part in outer[name]]
    for part in data:
        yield _flat(part)


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    base.row_factory = sqlite3.Row
    for row in base.execute(f'select * from "{rule["table"]}" order by rowid'):
        yield dict(row)


def _parquet(path, _rule):
    import pyarrow.parquet as parquet  # the one thing beyond the standard library

    yield from parquet.read_table(path).to_pylist()


def _lines(path, rule):
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if hit := re.match(rule["pattern"], line):
            yield hit.groupdict()


def _xes(path, _rule):
    space = "{http://www.xes-standard.org/}"
    for trace in ElementTree.parse(path).getroot().iter(f"{space}trace"):
        for event in trace.iter(f"{space}event"):
            yield {part.get("key"): part.get("value") for part in event}


def _xlsx(path, _rule):
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        texts = ["".join(t.text or "" for t in si.iter(f"{space}t"))
                 for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).iter(f"{space}si")]
        names = None
        with book.open("xl/worksheets/sheet1.xml") as sheet:
            for _, row in ElementTree.iterparse(sheet):
                if row.tag != f"{space}row":
                    continue
                cells = {}
                for cell in row.iter(f"{space}c"):
                    value = cell.find(f"{space}v")
                    text = "" if value is None else value.text or ""
                    cells[re.match(r"[A-Z]+", cell.get("r"))[0]] = texts[int(text)] if cell.get("t") == "s" and text else text
                row.clear()
                if names is None:
                    names = cells
                elif any(cells.values()):
                    yield {name: cells.get(letter, "") for letter, name in names.items()}


FORMS = {"csv": _csv, "json": _json, "sqlite": _sqlite, "parquet": _parquet, "lines": _lines, "xes": _xes, "xlsx": _xlsx}


def _text(record, name):
    if name is None:
        return ""
    value = " ".join(part for part in (str(record.get(part) or "").strip() for part in name.split(" + ")) if part) \
        if " + " in name else record.get(name)
    return "" if value is None else str(value)


def _time(record, name, rule):
    form = rule["format"]
    if form == "datetime":
        value = record[name]
        return value.astimezone(UTC).replace(tzinfo=None) if value else None
    text = _text(record, name).strip()
    for old, new in rule.get("replace", {}).items():
        text = text.replace(old, new)
    if not text:
        return None
    if form == "serial":
        parts = text.split()
        try:
            days, part = float(parts[0]), float(parts[1])
        except (ValueError, IndexError):
            return None
        return datetime(1899, 12, 30) + timedelta(days=days) + timedelta(seconds=round(part * 86400))
    if form == "iso":
        return datetime.fromisoformat(text).replace(tzinfo=None)
    if form == "rfc2822":
        return datetime.strptime(text[:-6], "%a, %d %b %Y %H:%M:%S")
    if form == "js":
        return datetime.strptime(text.split(" GMT")[0], "%a %b %d %Y %H:%M:%S")
    return datetime.strptime(text, form)


def rows(ident, path):
    """Yield (user or None, time or None, action, item, seconds or None) of each row, in file order."""
    rule = RULES[ident]
    for record in FORMS[rule["form"]](Path(path), rule):
        user = _text(record, rule["user"])
        if rule.get("strip"):
            user = user.strip()
        time = _time(record, rule["time"], rule)
        seconds = None
        if "duration" in rule:
            text = _text(record, rule["duration"]).strip().replace(",", ".")
            try:
                seconds = float(text) * rule["seconds"] if text else None
            except ValueError:
                seconds = None
        elif "end" in rule:
            end = _time(record, rule["end"], rule)
            seconds = (end - time).total_seconds() if end and time else None
        yield user if user.strip() else None, time, _text(record, rule.get("action")), _text(record, rule.get("item")), seconds


def figures(ident, path):
    every = list(rows(ident, path))
    done = [row for row in every if row[0] is not None and row[1] is not None]
    times = sorted(row[1] for row in (done or every) if row[1] is not None)
    found = {"rows_in": len(every), "users": len({row[0] for row in done}), "behaviors": len(done)}
    if times:
        found["first"], found["last"] = (t.replace(microsecond=0).isoformat() for t in (times[0], times[-1]))
    spans = [row[4] for row in (done or every) if row[4] is not None]
    if spans:
        found["total_minutes"] = round(sum(spans) / 60, 1)
    return found


def main():
    import tomllib

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for entry in tomllib.loads((folder / "truth.toml").read_text())["file"]:
        ident = entry["id"]
        path = next(p for p in folder.glob(f"{ident}.*"))
        found = figures(ident, path)
        others = {}
        for name in entry.get("other_users", {}):
            kept = RULES[ident]["user"]
            RULES[ident]["user"] = name
            other = figures(ident, path)
            RULES[ident]["user"] = kept
            others[name] = [other["users"], other["behaviors"]]
        if others:
            found["other_users"] = others
        wrong = {k: (entry.get(k), v) for k, v in found.items() if entry.get(k) != v}
        print(f"{ident:18}", "ok" if not wrong else f"WRONG {wrong}", found)


if __name__ == "__main__":
    main()
