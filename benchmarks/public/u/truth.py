"""The truth of the files in this folder, read without the tool.

    python truth.py [DIR]        check every file of truth.toml against the figures listed there

rows(ID, PATH) yields (user text or None, naive datetime or None, action, item, seconds or None) in file order.
Only the standard library, but for the two .parquet files, which need pyarrow (as in public_truth.py).
"""
from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import re
import sqlite3
import sys
from datetime import UTC, date, datetime
from pathlib import Path

csv.field_size_limit(1 << 30)

RULES = {
    "doggly_mixpanel": {"form": "jsonl", "user": "properties.distinct_id", "time": "properties.time", "fmt": "epoch_s",
                        "action": "event", "item": "properties.$current_url"},
    "stripe_overlays": {"form": "csv", "sep": ";", "user": "Customer ID", "time": "Created date (UTC)",
                        "fmt": "%Y-%m-%d %H:%M:%S", "action": "Status", "item": "Invoice Number"},
    "etsy_masked": {"form": "csv", "user": "Buyer", "time": "Sale Date", "fmt": "%m/%d/%y", "item": "SKU"},
    "bc_telemetry": {"form": "csv", "user": "user_Id", "time": "timestamp [UTC]", "fmt": "%m/%d/%Y, %I:%M:%S.%f %p",
                     "action": "message", "item": "name", "duration": "duration", "scale": 0.001, "empty": ["N/A"]},
    "salesbot_events": {"form": "jsonl", "user": "session_id", "time": "timestamp", "fmt": "iso",
                        "action": "event_type", "item": "product_type"},
    "mamawod_events": {"form": "jsonl", "user": "uid", "time": "t", "fmt": "epoch_ms", "action": "event",
                       "item": "coachArea"},
    "ad_impressions": {"form": "csv", "user": "uid", "time": "impTimestamp", "fmt": "iso", "action": "click",
                       "item": "creativeID"},
    "fiesta_visits": {"form": "sqlite", "table": "events", "user": "session_id", "time": "created_at", "fmt": "iso",
                      "action": "event_name", "item": "page_path"},
    "veepee_visits": {"form": "parquet", "user": "user_id", "time": "visit_date", "fmt": "iso", "item": "campaign_id"},
    "ai_sessions": {"form": "parquet", "user": "user_id", "time": "date", "fmt": "iso", "action": "feature",
                    "item": "model"},
    "signup_events": {"form": "csv", "user": "user_id", "time": "event_time", "fmt": "%Y-%m-%d %H:%M:%S",
                      "action": "event_name"},
    "tinybird_actions": {"form": "csv", "user": "practitioner_id", "time": "created_at",
                         "fmt": "%Y-%m-%d %H:%M:%S.%f UTC", "action": "action_display", "item": "action_category"},
    "sam_billing": {"form": "csv", "sep": "\t", "user": "user_id", "time": None, "action": "status", "item": "service"},
    "au_orders": {"form": "csv", "user": None, "time": "Created at", "fmt": "%Y-%m-%d %H:%M:%S %z", "item": "Name"},
    "job_tracking": {"form": "csv", "user": "uid", "time": "ts", "fmt": "iso", "action": "custom_track", "item": "dl"},
    "app_subscriptions": {"form": "csv", "user": "user_id", "time": "event_date", "fmt": "iso",
                          "action": "payment_type", "item": "subscription_name"},
    "retention_curve": {"form": "csv", "sep": ";", "user": None, "time": None},
    "snowplow_gz": {"form": "jsonl", "gz": True, "user": "domain_userid", "time": "dvce_created_tstamp", "fmt": "iso",
                    "action": "event", "item": "page_title"},
    "appmetrica_installs": {"form": "csv", "user": "appmetrica_device_id", "time": "install_datetime",
                            "fmt": "%Y-%m-%d %H:%M:%S"},
    "cardbot_actions": {"form": "json", "user": "user_id", "time": "timestamp", "fmt": "iso", "action": "action",
                        "item": "details.card_number"},
}


def _flat(value, path=""):
    """{"a": {"b": 1}} as {"a.b": 1}."""
    if not isinstance(value, dict):
        return {path: value}
    out = {}
    for key, part in value.items():
        out.update(_flat(part, f"{path}.{key}" if path else key))
    return out


def _records(rule, path):
    path = Path(path)
    if rule["form"] == "sqlite":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        base.row_factory = sqlite3.Row
        for row in base.execute(f'select * from "{rule["table"]}" order by rowid'):
            yield dict(row)
        base.close()
        return
    if rule["form"] == "parquet":
        yield from importlib.import_module("pyarrow.parquet").read_table(path).to_pylist()
        return
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if rule.get("gz") else raw).decode("utf-8-sig")
    if rule["form"] == "csv":
        yield from csv.DictReader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    elif rule["form"] == "json":  # numbers stay as written
        yield from (_flat(part) for part in json.loads(text, parse_int=str, parse_float=str))
    else:
        yield from (_flat(json.loads(line, parse_int=str, parse_float=str)) for line in text.split("\n") if line.strip())


def _text(record, name, rule):
    value = record.get(name) if name else None
    if value is None or isinstance(value, (list, dict)):
        return ""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    text = str(value)
    return "" if not text.strip() or text.strip() in rule.get("empty", []) else text


def _moment(text, form):
    if not text or not form:
        return None
    try:
        if form.startswith("epoch"):
            return datetime.fromtimestamp(float(text) / (1000 if form == "epoch_ms" else 1), UTC).replace(tzinfo=None)
        if form == "iso":
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip())).replace(tzinfo=None)
        return datetime.strptime(text.strip(), form).replace(tzinfo=None)
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in _records(rule, path):
        lasting = _text(record, rule.get("duration"), rule)
        yield (
            _text(record, rule["user"], rule) or None,
            _moment(_text(record, rule["time"], rule), rule.get("fmt")),
            _text(record, rule.get("action"), rule),
            _text(record, rule.get("item"), rule),
            float(lasting) * rule.get("scale", 1) if lasting else None,
        )


def figures(entry, path):
    rule = RULES[entry["id"]]
    kept = rule["user"]
    every = list(rows(entry["id"], path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done or every if row[0]}), "behaviors": len(done)}
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
    import hashlib
    import tomllib

    here = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    good = True
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(p for p in sorted(here.glob(entry["id"] + ".*")))
        try:
            found = figures(entry, path)
        except ImportError as gone:
            print(f"{entry['id']}: skipped, {gone}")
            continue
        keys = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
        odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in keys if found.get(k) != entry.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            odd.append("another file: sha256")
        good &= not odd
        print(f"{entry['id']:22} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
