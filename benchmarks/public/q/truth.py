"""Independent truth of the 20 files of this folder. Standard library only.

python truth.py        figures of every file
"""
import csv
import io
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

csv.field_size_limit(1 << 30)

RULES = {
    "shop_clickstream": {"user": "user_id", "time": "timestamp", "action": "event_type", "item": "product_id"},
    "clicks_headless": {"user": "#1", "time": "#2", "action": "#3", "item": "#4", "header": False},
    "ga_sessions": {"user": "fullVisitorId", "time": "visitStartTime", "form": "epoch_s", "item": "channelGrouping"},
    "hazanda_chat": {"user": "author_id", "item": "text"},
    "peas": {"user": "st_id", "time": "timest", "item": "subject"},
    "game_days": {"user": "user_id", "time": "event_date", "duration": "session_length", "unit": 60.0},
    "player_sessions": {"user": "player", "time": "start_at", "duration": "duration", "unit": "days"},
    "shop_sessions": {"user": "user_id", "time": "timestamp", "action": "event_type", "item": "product_id"},
    "course_subscriptions": {"user": "Student", "time": "SubscriptionStartDate", "item": "TrackName",
                             "end": "SubscriptionEndDate"},
    "reddit_tickets": {"user": "author", "time": "timestamp", "item": "body"},
    "nfl_comments": {"user": "", "time": "timestamp", "form": "epoch_s", "item": "text", "sep": "\t"},
    "gym_checkins": {"user": "Member ID", "time": "Date + Time"},
    "whatsapp_class": {"user": "user", "kind": "chat"},
    "patient_paths": {"user": "Patient", "time": "Timestamp", "action": "Activity"},
    "feature_use": {"user": "user_id", "time": "timestamp", "action": "feature", "duration": "session_duration",
                    "unit": 1.0},
    "gamepad_sessions": {"user": "player_name", "time": "created_at", "item": "game_id", "duration": "duration_sec",
                         "unit": 1.0},
    "isp_tickets": {"user": "cliente_id", "time": "data_abertura", "action": "categoria", "item": "descricao",
                    "end": "data_fechamento"},
    "signal_group": {"user": "envelope.sourceName", "time": "envelope.timestamp", "form": "epoch_ms",
                     "item": "envelope.dataMessage.message", "kind": "jsonl"},
    "logins": {"user": "user_id", "time": "timestamp", "action": "event", "kind": "json"},
    "interviews": {"user": "user_id", "time": "activity_timestamp", "action": "activity_type",
                   "item": "competition_id", "duration": "session_duration", "unit": 1.0},
}

_LINE = re.compile(r"^\u200e?\[(\d\d\.\d\d\.\d\d, \d\d:\d\d:\d\d)\] ([^:]+): ?(.*)")


def _flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    out = {}
    for key, part in value.items():
        out.update(_flat(part, f"{path}.{key}" if path else key))
    return out


def _records(ident, path):
    rule = RULES[ident]
    text = Path(path).read_bytes().decode("utf-8-sig")
    kind = rule.get("kind", "csv")
    if kind == "chat":
        for line in text.split("\n"):
            if hit := _LINE.match(line):
                yield {"time": hit[1], "user": hit[2], "text": hit[3]}
    elif kind == "jsonl":
        for line in text.splitlines():
            if line.strip():
                yield _flat(json.loads(line))
    elif kind == "json":
        for part in json.loads(text):
            yield _flat(part)
    else:
        names = None
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ",")):
            if not any(cells):
                continue
            if not rule.get("header", True):
                names = [f"#{n}" for n in range(1, len(cells) + 1)]
            elif names is None:
                names = cells
                continue
            yield dict(zip(names, cells))


def _cell(record, name):
    if not name:
        return ""
    parts = ["" if (v := record.get(p)) is None else str(v) for p in name.split(" + ")]
    return " ".join(parts) if all(p.strip() for p in parts) else ""


def _moment(text, form):
    text = text.strip()
    if not text:
        return None
    if form:
        size = 1000 if form == "epoch_ms" else 1
        return datetime(1970, 1, 1) + timedelta(seconds=float(text) / size)
    try:
        return datetime.fromisoformat(re.sub(r"([+-]\d\d)(:?\d\d)?$", "", text) if len(text) > 19 else text)
    except ValueError:
        return None


def _seconds(text, unit):
    text = text.strip()
    if not text:
        return None
    if unit == "days":
        day, clock = re.fullmatch(r"(-?\d+) days ([\d:.]+)", text).groups()
        h, m, s = clock.split(":")
        return int(day) * 86400 + int(h) * 3600 + int(m) * 60 + float(s)
    return float(text) * unit


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(ident, path):
        if rule.get("kind") == "chat":
            yield record[rule["user"]], datetime.strptime(record["time"], "%d.%m.%y, %H:%M:%S"), "", record["text"], None
            continue
        when = _moment(_cell(record, rule.get("time")), rule.get("form"))
        seconds = None
        if "duration" in rule:
            seconds = _seconds(_cell(record, rule["duration"]), rule["unit"])
        elif "end" in rule:
            end = _moment(_cell(record, rule["end"]), None)
            seconds = (end - when).total_seconds() if end and when else None
        yield (_cell(record, rule["user"]) or None, when, _cell(record, rule.get("action")),
               _cell(record, rule.get("item")), seconds)


def figures(ident, path):
    all_rows = list(rows(ident, path))
    done = [r for r in all_rows if r[0] and r[1]]
    times = [r[1].replace(microsecond=0) for r in all_rows if r[1]]
    spent = [r[4] for r in all_rows if r[4] is not None and r[1]]
    out = {"rows_in": len(all_rows), "users": len({r[0].strip() for r in all_rows if r[0]}), "behaviors": len(done)}
    if times:
        out |= {"first": min(times).isoformat(), "last": max(times).isoformat()}
    if "duration" in RULES[ident] or "end" in RULES[ident]:
        out["total_minutes"] = round(sum(spent) / 60, 1)
    return out


if __name__ == "__main__":
    here = Path(__file__).parent
    for name in RULES:
        file = next(p for p in here.glob(name + ".*"))
        print(name, figures(name, file))
