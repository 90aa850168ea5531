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
from datetime import datetime
from pathlib import Path

csv.field_size_limit(1 << 30)

RULES = {
    "apache_ip": {
        "form": "log",
        "user": "ip",
        "time": "time",
        "fmt": "%d/%m/%Y:%H:%M:%S %z",
        "action": "method",
        "item": "path",
        "pattern": r"^(?P<ip>\S+) - - (?P<time>\S+ [+-]\d{4}) (?P<method>[A-Z]+) (?P<path>.*)$",
    },
    "app_sessions": {
        "form": "csv",
        "user": "user_id",
        "time": "session_date",
        "fmt": "iso",
        "item": "session_id",
        "duration": "duration_minutes",
        "scale": 60,
    },
    "jp_transactions": {"form": "csv", "user": "CustomerID", "time": "Date", "fmt": "iso"},
    "donations": {"form": "csv", "user": "donor_id", "time": "date", "fmt": "iso", "action": "currency_type"},
    "file_access": {
        "form": "csv",
        "user": "user_id",
        "time": "timestamp",
        "fmt": "iso",
        "action": "access_type",
        "item": "file_accessed",
    },
    "product_sql": {
        "form": "sql",
        "table": "events",
        "user": "user_id",
        "time": "event_time",
        "fmt": "iso",
        "action": "event_type",
        "item": "session_id",
    },
    "gym_daily": {
        "form": "csv",
        "user": "member_id",
        "time": "visit_date + check_in_time",
        "fmt": "%Y-%m-%d %H:%M",
        "action": "attendance_status",
        "item": "workout_type",
        "duration": "workout_duration_minutes",
        "scale": 60,
    },
    "trap_logins": {
        "form": "csv",
        "user": "IP Address",
        "time": "Timestamp",
        "fmt": "iso",
        "item": "hpot Password",
    },
    "mobile_events": {
        "form": "csv",
        "user": "user_id",
        "time": "event_time",
        "fmt": "iso",
        "action": "event_name",
    },
    "dish_orders": {
        "form": "csv",
        "user": "emp_id",
        "time": "place_order_time",
        "fmt": "%Y/%m/%d %H:%M:%S",
        "item": "dishes_name",
    },
    "lib_loans": {
        "form": "csv",
        "user": "user_id",
        "time": "loan_date",
        "fmt": "iso",
        "action": "status",
        "item": "library_book_id",
        "end": "return_date",
    },
    "mudae_msgs": {"form": "csv", "user": "author", "time": "timestamp", "fmt": "iso", "item": "content"},
    "spotify_hist": {
        "form": "json",
        "user": None,
        "time": "endTime",
        "fmt": "iso",
        "item": "trackName",
        "duration": "msPlayed",
        "scale": 0.001,
    },
    "emprestimos_pt": {
        "form": "csv",
        "user": "cliente_id",
        "time": "Data Contratação",
        "fmt": "pt",
        "action": "Situação",
        "item": "Produto ",
    },
    "vendas_rfm": {
        "form": "csv",
        "user": "cliente_id",
        "time": "data_compra",
        "fmt": "iso",
        "item": "categoria",
    },
}
_MONTHS = {name: n for n, name in enumerate("jan fev mar abr mai jun jul ago set out nov dez".split(), 1)}
_VALUE = re.compile(r"'((?:[^']|'')*)'|([^,'\s]+)")


def _records(rule, path):
    text = Path(path).read_bytes().decode("utf-8-sig")
    form = rule["form"]
    if form == "json":
        yield from json.loads(text)
    elif form == "log":
        for line in text.splitlines():
            if hit := re.match(rule["pattern"], line):
                yield hit.groupdict()
    elif form == "sql":  # INSERT INTO table(columns) VALUES, then one row a line
        names = None
        for line in text.splitlines():
            if hit := re.match(r"INSERT INTO (\w+)\(([^)]*)\) VALUES", line):
                names = (
                    [n.strip() for n in hit.group(2).split(",")] if hit.group(1) == rule["table"] else None
                )
            elif names and (hit := re.match(r"\s+\((.*)\)[,;]$", line)):
                values = [
                    m.group(1) if m.group(1) is not None else m.group(2)
                    for m in _VALUE.finditer(hit.group(1))
                ]
                yield dict(zip(names, values, strict=True))
    else:
        lines = csv.reader(io.StringIO(text, newline=""))
        names = next(lines)
        for line in lines:
            if any(line):
                yield dict(zip(names, line, strict=True))


def _text(record, name):
    parts = ["" if record.get(n) is None else str(record[n]) for n in name.split(" + ")] if name else []
    text = " ".join(parts)
    return text if text.strip() else ""


def _moment(text, form):
    text = text.strip()
    if not text:
        return None
    try:
        if form == "iso":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        if form == "pt":  # 2022-01-04, 04/02/2018, 09-08-2023, 12/12/22, 06-jul-2019: day before month
            if hit := re.fullmatch(r"(\d\d)-([a-z]{3})-(\d{4})", text):
                return datetime(int(hit.group(3)), _MONTHS[hit.group(2)], int(hit.group(1)))
            for one in ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y"):
                try:
                    return datetime.strptime(text, one)
                except ValueError:
                    pass
            return None
        return datetime.strptime(text, form).replace(tzinfo=None)
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        when = _moment(_text(record, rule["time"]), rule["fmt"])
        lasting = _text(record, rule.get("duration"))
        seconds = float(lasting) * rule.get("scale", 1) if lasting else None
        end = _moment(_text(record, rule.get("end")), rule["fmt"])
        if end and when:
            seconds = (end - when).total_seconds()
        yield (
            _text(record, rule["user"]) or None,
            when,
            _text(record, rule.get("action")),
            _text(record, rule.get("item")),
            seconds,
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
        print(
            f"{entry['id']:20} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
