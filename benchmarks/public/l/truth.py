"""Truth of the 20 files of this folder, read with the standard library only.

    python truth.py            check every file against truth.toml
    python truth.py --json     print the figures
    python truth.py --rows ID  print the rows
"""
import csv
import gzip
import hashlib
import json
import re
import sqlite3
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

_S = "%Y-%m-%d %H:%M:%S"
_Z = "%Y-%m-%dT%H:%M:%SZ"
# user, time (columns joined with a space), end, action, item: columns; length: column and its unit in seconds.
RULES = {
    "esm_mpath": {"user": "connectionId", "time": ["timeStampStart"], "end": ["timeStampStop"], "action": "questionListName", "epoch": 1, "sep": ";"},
    "telegram_xd_cz": {"user": "user_id", "time": ["timestamp"], "action": "chat type 0=group, 1=DM", "item": "message_id", "form": "%Y-%m-%dT%H:%M:%S"},
    "trakt_history": {"user": "trakt_user", "time": ["watched_at"], "item": "title", "form": "%Y-%m-%d"},
    "vast_events": {"user": "Participant", "time": ["Date", "Time"], "action": "ActionType", "item": "ActionParameters", "length": ("duration", 1), "form": "%m/%d/%y %HH %MM %SS"},
    "study_log_it": {"user": None, "time": ["date", "start"], "end": ["date", "finish"], "action": "activity_type", "item": "topic", "days": True},
    "reservas_pt": {"user": "ClienteID", "time": ["Data"], "action": "Tipo Reserva", "item": "ReservaID", "form": "%d/%m/%Y", "sep": ";"},
    "hebrew_comments": {"user": "author", "time": ["published_at"], "item": "text", "form": _Z},
    "trello_board": {"user": "memberCreator.fullName", "time": ["date"], "action": "type", "item": "data.card.name", "form": "%Y-%m-%dT%H:%M:%S.%fZ", "records": "actions"},
    "histogram_answers": {"user": "participant", "time": [], "action": "answer", "item": "dataset", "length": ("timing", 0.001), "sep": ";"},
    "sleep_diary": {"user": "userId", "time": ["date"], "length": ("sleep_duration", 3600), "form": "%Y-%m-%d"},
    "valoraciones_es": {"user": "Usuario", "time": ["fecha"], "action": "semaforo", "item": "Local", "form": "%d/%m/%Y"},
    "twitch_irc": {"user": "user", "time": ["time"], "action": "command", "item": "text", "form": "%Y-%m-%d_%H:%M:%S",
                   "pattern": r"(?P<time>\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d) - :(?:(?P<user>[^ !]+)!\S+|\S+) (?P<command>\S+) (?P<channel>#?\S+)(?: :(?P<text>.*))?"},
    "offences_kyiv": {"user": None, "time": ["date"], "action": "grp", "item": "cat", "form": "%Y-%m-%d", "sep": "\t"},
    "faq_bot_ru": {"user": "user_id", "time": ["ts"], "action": "action", "item": "payload", "form": _Z, "table": "events"},
    "podbbang_reviews_kr": {"user": "nickname", "time": ["created"], "action": "rating", "item": "title", "form": "%Y.%m.%d"},
    "neurogame_sessions": {"user": "user_id", "time": ["timestamp"], "action": "exit_reason", "item": "session_id", "epoch": 1},
    "ida_actions": {"user": "user_id", "time": ["creation_time"], "action": "action_type", "item": "action_params", "form": _S, "sep": "\t"},
    "contributor_events": {"user": "#4", "time": ["#5"], "action": "#2", "item": "#6", "form": _S, "header": False},
    "amharic_shops": {"user": "sender_id", "time": ["date"], "item": "message_text", "form": "%Y-%m-%d %H:%M:%S+00:00"},
    "crisis_tweets": {"user": "fromUser", "time": ["createdAt.$date"], "item": "text", "epoch": 1000},
}


def _flat(value, path=""):
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()}
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return {path: text}


def _sheet(path):
    """Yield the rows of the first sheet as {column letters: text}."""
    n = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    z = zipfile.ZipFile(path)
    strings = ["".join(t.text or "" for t in si.iter(n + "t")) for si in ET.fromstring(z.read("xl/sharedStrings.xml"))]
    for row in ET.fromstring(z.read("xl/worksheets/sheet1.xml")).iter(n + "row"):
        cells = {}
        for c in row.findall(n + "c"):
            v = c.find(n + "v")
            text = "" if v is None else v.text or ""
            cells[re.match("[A-Z]+", c.get("r")).group()] = strings[int(text)] if c.get("t") == "s" and text else text
        yield cells


def _records(name, path):
    """Yield each record as {column: text}."""
    rule, path = RULES[name], Path(path)
    if "table" in rule:
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        for r in base.execute(f'select * from "{rule["table"]}" order by rowid'):
            yield {k: "" if r[k] is None else str(r[k]) for k in r.keys()}
    elif path.suffix == ".xlsx":
        head = None
        for cells in _sheet(path):
            if head is None:
                head = cells
            elif any(v.strip() for v in cells.values()):
                yield {head[k]: v for k, v in cells.items() if head.get(k)}
    elif "pattern" in rule:
        for line in path.read_text("utf-8").splitlines():
            if hit := re.match(rule["pattern"], line):
                yield {k: v or "" for k, v in hit.groupdict().items()}
    elif path.suffix in (".json", ".jsonl"):
        def read(text):
            return json.loads(text, parse_int=str, parse_float=str)
        text = path.read_text("utf-8")
        if name in ("crisis_tweets", "neurogame_sessions"):
            found = [read(line) for line in text.splitlines() if line.strip()]
        else:
            found = read(text)
            found = found[rule["records"]] if "records" in rule else found
        for r in found:
            yield _flat(r)
    else:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as f:
            head = None
            for cells in csv.reader(f, delimiter=rule.get("sep", ",")):
                if not any(cells):
                    continue
                if not rule.get("header", True):
                    yield {f"#{n}": v for n, v in enumerate(cells, 1)}
                elif head is None:
                    head = cells
                else:
                    yield dict(zip(head, cells))


def _moment(r, names, rule):
    parts = [(r.get(n) or "").strip() for n in names]
    if not parts or not all(parts):
        return None
    text = " ".join(parts)
    try:
        if "days" in rule:  # a day of Excel and a clock time
            hours, minutes = parts[1].split(":")
            return datetime(1899, 12, 30) + timedelta(days=float(parts[0]), hours=int(hours), minutes=int(minutes))
        if "epoch" in rule:
            return datetime.fromtimestamp(float(text) / rule["epoch"], timezone.utc).replace(tzinfo=None) if float(text) else None
        return datetime.strptime(text, rule["form"])
    except ValueError:
        return None


def rows(name, path):
    rule = RULES[name]
    for r in _records(name, path):
        start = _moment(r, rule["time"], rule)
        end = _moment(r, rule.get("end", []), rule)
        seconds = (end - start).total_seconds() if start and end else None
        if "length" in rule:
            column, unit = rule["length"]
            try:
                seconds = float(r[column]) * unit
            except (KeyError, ValueError):
                seconds = None
        who = r.get(rule["user"]) if rule["user"] else None
        yield who if who and who.strip() else None, start, r.get(rule.get("action"), ""), r.get(rule.get("item"), ""), seconds


def figures(name, path, users=()):
    every = list(rows(name, path))
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    found = {"rows_in": len(every), "users": len({r[0] for r in done or every if r[0]}), "behaviors": len(done)}
    if dated:
        found["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        found["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    lasting = [r[4] for r in dated or every if r[4] is not None]
    if lasting:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    if users:
        kept, found["other_users"] = RULES[name]["user"], {}
        for other in users:
            RULES[name]["user"] = other
            seen = [r[0] for r in rows(name, path) if r[0] and r[1]]
            found["other_users"][other] = [len(set(seen)), len(seen)]
        RULES[name]["user"] = kept
    return found


def main():
    here = Path(__file__).parent
    if sys.argv[1:2] == ["--rows"]:
        for r in rows(sys.argv[2], next(here.glob(sys.argv[2] + ".*"))):
            print(*r, sep="\t")
        return
    bad = 0
    for e in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(here.glob(e["id"] + ".*"))
        others = e["user"][1:] if isinstance(e.get("user"), list) else []
        found = figures(e["id"], path, others)
        if sys.argv[1:] == ["--json"]:
            print(json.dumps({"id": e["id"], **found}, ensure_ascii=False))
            continue
        odd = [f"{k}: {found.get(k)}, listed {e.get(k)}" for k in ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users") if found.get(k) != e.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != e["sha256"]:
            odd.append("sha256")
        bad += bool(odd)
        print(f"{e['id']:22} {e['expect']:6} {found['behaviors']:>6}  {'; '.join(odd) or 'as listed'}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
