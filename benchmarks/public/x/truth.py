"""Truth of the files in this folder, read without the tool. Standard library only.

RULES: ID -> rule; `rows(ID, PATH)` yields (user, time, action, item, seconds) of each record, in file order.
"A + B" joins two columns with a space. "a.b" is a field within a field (of the first element where a is a list).
"""

import csv
import gzip
import json
import re
import xml.etree.ElementTree as ET
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal

csv.field_size_limit(10**9)

STUDENT = ("Extra Credit Sign In: Please type in your student ID if you are extra credit eligible. This information "
           "is solely for your instructor to identify who has completed the survey for extra credit. ")
DAY = "%Y-%m-%d"
SECOND = "%Y-%m-%d %H:%M:%S"

RULES = {
    "web_actions": {"user": "user_id", "time": "timestamp", "action": "action", "duration": "session_duration_minutes",
                    "factor": 60, "time_format": SECOND, "form": "csv"},
    "lesson_progress": {"user": "user_id", "time": "activity_datetime", "action": "lesson_type", "item": "lesson_id",
                        "time_format": SECOND, "form": "csv"},
    "language_survey": {"user": STUDENT, "time": "Timestamp",
                        "item": "Which language class are you currently taking?",
                        "time_format": "%m/%d/%Y %H:%M:%S", "form": "csv"},
    "order_lines_pt": {"user": "cliente", "time": "data_pedido", "action": "situacao", "item": "descricao_produto",
                       "time_format": "%d/%m/%Y", "form": "csv"},
    "diet_ko": {"user": "user_id", "time": "timestamp", "item": "food_names", "time_format": SECOND, "form": "csv"},
    "hotel_stays": {"user": "emel", "time": "arrival_date", "action": "resv_status", "item": "hotel_name",
                    "end": "depature_date", "time_format": "excel", "form": "xlsx"},
    "fuel_cards_fr": {"user": "Porteur", "time": "Date", "action": "Type transaction", "item": "Produit",
                      "time_format": "excel", "form": "xlsx"},
    "gym_classes": {"user": "member_id", "time": "signup_date", "item": "class_type", "time_format": DAY,
                    "form": "csv"},
    "whatsapp_trip": {"user": "user", "time": "time", "item": "text", "time_format": "%d/%m/%Y, %H:%M:%S",
                      "form": "chat"},
    "devpost": {"user": "Submitter Screen Name", "time": "Submission Created At", "item": "Submission Title",
                "time_format": "%m/%d/%Y %H:%M:%S", "form": "csv"},
    "whatsapp_csv_es": {"user": "Persona", "time": "Fecha + Hora", "item": "Mensaje",
                        "time_format": "%d/%m/%Y %H:%M:%S", "form": "csv"},
    "stripe_invoices": {"user": "customer_id", "time": "created_at", "action": "billing_reason",
                        "item": "subscription_id", "time_format": SECOND, "form": "csv", "empty": ("NULL",)},
    "login_sessions": {"user": "USERID", "time": "DATE + START_TIME", "end": "DATE + END_TIME",
                       "time_format": "%Y-%m-%d %I:%M:%S %p", "form": "csv"},
    "snowplow_gz": {"user": "domain_userid", "time": "dvce_created_tstamp", "action": "event", "item": "page_title",
                    "time_format": SECOND, "form": "jsonl"},
    "psn_purchases": {"user": "player_id", "time": "purchase_date", "action": "item_type", "item": "item_id",
                      "time_format": DAY, "form": "csv"},
    "clicks_hashed": {"user": "uid", "time": "timestamp", "item": "iid", "time_format": "epoch", "form": "csv"},
    "topshot_listings": {"user": "seller", "time": "timeStamp", "item": "tokens.attributes.Name",
                         "time_format": "iso", "form": "json", "within": "data"},
    "sales_ja": {"user": "顧客ID", "time": "注文日", "item": "商品名", "time_format": DAY, "form": "csv"},
    "lastfm_one": {"user": None, "time": "datetime", "item": "track", "time_format": SECOND, "form": "csv"},
    "photo_ratings": {"user": "id", "time": None, "item": "photo", "form": "csv", "sep": "\t"},
}

_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _csv(path, rule):
    with open(path, encoding="utf-8-sig", newline="") as f:
        lines = csv.reader(f, delimiter=rule.get("sep", ","))
        names = next(lines)
        for cells in lines:
            if cells:
                yield dict(zip(names, cells))


def _xlsx(path, rule):
    """The first sheet."""
    z = zipfile.ZipFile(path)
    shared = ["".join(t.text or "" for t in si.iter(_NS + "t")) for si in ET.fromstring(z.read("xl/sharedStrings.xml"))]
    names = None
    for row in ET.fromstring(z.read("xl/worksheets/sheet1.xml")).iter(_NS + "row"):
        cells = []
        for c in row.iter(_NS + "c"):
            at = 0
            for ch in re.match("[A-Z]+", c.get("r")).group():
                at = at * 26 + ord(ch) - 64
            cells += [""] * (at - len(cells))
            v = c.find(_NS + "v")
            text = "" if v is None else v.text or ""
            cells[at - 1] = shared[int(text)] if c.get("t") == "s" else text
        if names is None:
            names = cells
        elif any(cells):
            yield dict(zip(names, cells))


def _chat(path, rule):
    with open(path, encoding="utf-8", newline="") as f:
        for line in f.read().split("\n"):
            if m := re.match("\u200e?\\[(\\d\\d/\\d\\d/\\d{4}, \\d\\d:\\d\\d:\\d\\d)\\] ([^:\r]+):(?: (.*))?", line):
                yield {"time": m[1], "user": m[2], "text": m[3] or ""}


def _jsonl(path, rule):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        for line in f:
            if line.strip():
                yield json.loads(line, parse_int=str, parse_float=str)


def _json(path, rule):
    with open(path, encoding="utf-8") as f:
        yield from json.load(f, parse_int=str, parse_float=str)[rule["within"]]


_FORMS = {"csv": _csv, "xlsx": _xlsx, "chat": _chat, "jsonl": _jsonl, "json": _json}


def _cell(record, name, rule):
    if not name:
        return None
    parts = []
    for part in name.split(" + "):
        value = record.get(part)
        if value is None and "." in part:
            value = record
            for key in part.split("."):
                value = value[0] if isinstance(value, list) and value else value
                value = value.get(key) if isinstance(value, dict) else None
        value = "" if value is None else str(value).strip()
        if not value or value in rule.get("empty", ()):
            return None
        parts.append(value)
    return " ".join(parts)


def _moment(text, form):
    if not text or not form:
        return None
    try:
        if form == "excel":
            return datetime(1899, 12, 30) + timedelta(seconds=int((Decimal(text) * 86400).to_integral_value()))
        if form == "epoch":
            return datetime.fromtimestamp(int(text), UTC).replace(tzinfo=None)
        if form == "iso":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        return datetime.strptime(text, form)
    except ValueError:
        return None


def rows(id, path):
    rule = RULES[id]
    for record in _FORMS[rule["form"]](path, rule):
        form = rule.get("time_format")
        start, end = _moment(_cell(record, rule.get("time"), rule), form), _moment(_cell(record, rule.get("end"), rule), form)
        seconds = None
        if rule.get("duration"):
            text = _cell(record, rule["duration"], rule)
            seconds = float(text) * rule.get("factor", 1) if text else None
        elif start and end and end >= start:
            seconds = (end - start).total_seconds()
        yield (_cell(record, rule["user"], rule), start, _cell(record, rule.get("action"), rule),
               _cell(record, rule.get("item"), rule), seconds)


def figures(id, path, user=None):
    kept = RULES[id]["user"]
    if user:
        RULES[id]["user"] = user
    try:
        every = list(rows(id, path))
    finally:
        RULES[id]["user"] = kept
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


if __name__ == "__main__":
    import hashlib
    import tomllib
    from pathlib import Path

    here = Path(__file__).parent
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        name = entry["id"]
        path = next(iter(sorted(here.glob(name + ".*"))))
        found = figures(name, path)
        found["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        odd = [f"{k}: {found.get(k)} but listed {entry.get(k)}"
               for k in ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "sha256")
               if found.get(k) != entry.get(k)]
        users = entry.get("user")
        if isinstance(users, list):
            other = {u: [(f := figures(name, path, u))["users"], f["behaviors"]] for u in users[1:]}
            if other != entry.get("other_users"):
                odd.append(f"other_users: {other}")
        print(f"{name:18} {entry['expect']:5} {found['behaviors']:>6}  {'; '.join(odd) or 'as listed'}")
