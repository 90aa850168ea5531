"""Writes ocel.json, an OCEL 2.0 log, from events.parquet.

An event has many objects: its user, its journey, and the places, items and apps of its rows, which come from the export.
Change +08:00 and the names of the columns to yours.
"""

import json
from pathlib import Path

import duckdb

rows = duckdb.sql("""
    WITH covered AS (
        SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY timestamp) - 1 AS place, poi, item, app
        FROM read_json('examples/behaviors.jsonl', columns = {
            user_id: 'VARCHAR', timestamp: 'TIMESTAMP', poi: 'VARCHAR', item: 'VARCHAR', app: 'VARCHAR'})
    ), events AS (
        SELECT row_number() OVER () AS number, * FROM 'events.parquet'
    )
    SELECT number, id, events.user_id, type, "end", category, [journey], list(poi), list(item), list(app)
    FROM events LEFT JOIN covered ON covered.user_id = events.user_id AND place IN behaviors
    GROUP BY ALL ORDER BY number
""").fetchall()

kinds = ("user", "journey", "place", "item", "app")
objects, events = set(), []
for _number, event, user, kind, end, category, *named in rows:
    ids = {("user", user)} | {
        (what, name) for what, names in zip(kinds[1:], named, strict=True) for name in names if name
    }
    objects |= ids
    events.append(
        {
            "id": event,
            "type": kind,
            "time": f"{end.isoformat()}+08:00",
            "attributes": [{"name": "category", "value": category}],
            "relationships": [{"objectId": ":".join(each), "qualifier": each[0]} for each in sorted(ids)],
        }
    )
log = {
    "objectTypes": [{"name": kind, "attributes": []} for kind in kinds],
    "eventTypes": [
        {"name": kind, "attributes": [{"name": "category", "type": "string"}]}
        for kind in sorted({event["type"] for event in events})
    ],
    "objects": [{"id": ":".join(each), "type": each[0], "attributes": []} for each in sorted(objects)],
    "events": events,
}
Path("ocel.json").write_text(json.dumps(log, ensure_ascii=False), "utf-8")
