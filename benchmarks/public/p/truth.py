"""Independent truth of the 20 files in this folder; standard library only.

    python truth.py            check all files against truth.toml
    python truth.py ID         print the rows of one file
RULES[ID]["user"] names the user column; rows(ID, PATH) yields (user, time, action, item, seconds) of each row.
"""

import csv
import gzip
import hashlib
import json
import re
import sys
import tomllib
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from pathlib import Path

csv.field_size_limit(1 << 30)
HERE = Path(__file__).parent

RULES = {
    "poker_scores": {"form": "csv", "user": "Player Name", "time": "Game Date", "how": "js", "item": "Game ID"},
    "shogi_games": {"form": "csv", "user": "name1", "time": "date", "how": "%Y-%m-%d", "action": "result", "item": "name2"},
    "flood_chat_ru": {"form": "csv", "user": "Sender Name", "time": "Time", "how": "iso", "item": "Message"},
    "gc_drops": {"form": "json", "records": [], "user": "characterId", "time": "createdAt", "how": "iso", "item": "mapId"},
    "ffnexus_discord": {"form": "jsonl", "user": "authorId", "time": "createdAt", "how": "ms", "item": "content"},
    "axlegrad_chat": {
        "form": "lines", "user": "user", "time": "time", "how": "%d.%m.%Y %H:%M:%S", "item": "text",
        "pattern": r"^\[(?P<time>\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d)\] CHAT:(?P<chat>\S+) USER:(?P<user>.*?) TEXT:(?P<text>.*)",
    },
    "survivor_votes": {"form": "csv", "user": "castaway", "item": "vote"},
    "bili_nouser": {"form": "csv", "user": "", "time": "comment_time", "how": "%Y-%m-%d %H:%M:%S", "item": "comment"},
    "zhytlobud_texts": {"form": "none", "user": ""},
    "magic_games": {"form": "json", "records": ["games", "participants"], "user": "player", "time": "games.date", "how": "%Y-%m-%d", "action": "result", "item": "deck_name_normalized", "duration": "games.duration_minutes", "unit": 60.0},
    "ea_forum": {"form": "json", "records": ["data", "posts", "results"], "user": "user.username", "time": "postedAt", "how": "iso", "item": "title"},
    "windy_answers": {"form": "xml", "user": "OwnerUserId", "time": "CreationDate", "how": "iso", "item": "Body"},
    "user_tweets": {"form": "csv", "user": "screen_name", "time": "created_at", "how": "iso", "item": "text"},
    "serra_comments": {"form": "csv", "user": "autor_comentario", "time": "comentario_data", "how": "pt_month", "item": "comentario_titulo"},
    "larry_voice": {"form": "csv", "user": "name", "time": "time", "how": "iso", "action": "user_joined", "item": "channel"},
    "normalizer_commits": {
        "form": "lines", "user": "#2", "time": "#3", "how": "%Y-%m-%d", "item": "#4",
        "pattern": r"^(?P<c1>[0-9a-f]{7}) \| (?P<c2>.*?) \| (?P<c3>\d{4}-\d\d-\d\d) \| (?P<c4>.*)",
    },
    "mpc_votes": {"form": "csv", "user": "member", "time": "meeting_date", "how": "%Y-%m-%d", "item": "preferred_rate"},
    "caluso_presenze": {"form": "csv", "user": "id", "time": "date", "how": "%Y-%m-%d", "action": "assenti"},
    "torrino_votes": {"form": "csv", "header": "wallet", "user": "wallet", "time": "timestamp", "how": "s", "action": "FAVOREVOLE", "item": "signed_message"},
    "taxi_trips": {"form": "csv", "user": "taxi_id", "time": "tpep_pickup_datetime", "how": "%Y-%m-%d %H:%M:%S", "item": "car_type", "end": "tpep_dropoff_datetime"},
}

_PT = dict(zip("jan fev mar abr mai jun jul ago set out nov dez".split(), range(1, 13), strict=True))
_EPOCH = datetime(1970, 1, 1)


def _time(text, how):
    """Read a time as it is written, without its offset."""
    text = "" if text is None else str(text).strip()
    if text in ("", "NA"):
        return None
    if how == "iso":
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)
    if how == "s":
        return _EPOCH + timedelta(seconds=int(text))
    if how == "ms":
        return _EPOCH + timedelta(milliseconds=int(text))
    if how == "js":  # Tue Feb 20 2024 00:00:00 GMT+0100 (Central European Standard Time)
        return datetime.strptime(text[4:24], "%b %d %Y %H:%M:%S")
    if how == "pt_month":  # set de 2022 • Amigos
        hit = re.match(r"([a-z]{3}) de (\d{4})", text)
        return datetime(int(hit[2]), _PT[hit[1]], 1) if hit else None
    return datetime.strptime(text, how)


def _flat(value, path=""):
    if isinstance(value, dict):
        out = {}
        for k, v in value.items():
            out.update(_flat(v, f"{path}.{k}" if path else k))
        return out
    return {path: value}


def _records(rid, path):
    rule = RULES[rid]
    raw = path.read_bytes()
    if path.name.endswith(".gz"):
        raw = gzip.decompress(raw)
    form = rule["form"]
    if form == "none":
        return
    text = raw.decode("utf-8-sig")
    if form == "csv":
        names = None
        for cells in csv.reader(text.splitlines(keepends=True)):
            if names is None:
                if "header" not in rule or (cells and cells[0] == rule["header"]):
                    names = cells
                continue
            if any(cells):
                yield dict(zip(names, cells, strict=True))
    elif form == "jsonl":
        for line in text.split("\n"):
            if line.strip():
                yield _flat(json.loads(line))
    elif form == "xml":
        for element in ET.fromstring(text):
            yield dict(element.attrib)
    elif form == "lines":
        for line in text.splitlines():
            if hit := re.match(rule["pattern"], line):
                yield {re.sub(r"^c(\d)$", r"#\1", k): v for k, v in hit.groupdict().items()}
    elif form == "json":
        value = json.loads(text)
        if rid == "magic_games":
            for game in value["games"]:
                above = {f"games.{k}": v for k, v in game.items() if not isinstance(v, (list, dict))}
                for part in game["participants"]:
                    yield {**above, **part}
        else:
            for key in rule["records"]:
                value = value[key]
            for part in value:
                yield _flat(part)


def _get(record, name):
    if not name:
        return None
    if " + " in name:
        return " ".join(str(record.get(part, "")) for part in name.split(" + "))
    value = record.get(name)
    return None if value in (None, "") else str(value)


def rows(rid, path):
    rule = RULES[rid]
    for record in _records(rid, Path(path)):
        when = _time(record.get(rule["time"]), rule["how"]) if "time" in rule else None
        seconds = None
        if "duration" in rule and record.get(rule["duration"]):
            seconds = float(record[rule["duration"]]) * rule["unit"]
        elif "end" in rule and when is not None:
            end = _time(record.get(rule["end"]), rule["how"])
            seconds = None if end is None else (end - when).total_seconds()
        yield _get(record, rule["user"]), when, _get(record, rule.get("action")), _get(record, rule.get("item")), seconds


def figures(rid, path):
    got = list(rows(rid, path))
    kept = [r for r in got if r[0] is not None and r[1] is not None]
    times = [r[1] for r in got if r[1] is not None] if not RULES[rid]["user"] else [r[1] for r in kept]
    out = {"rows_in": len(got), "users": len({r[0] for r in got if r[0] is not None}) if not times else len({r[0] for r in kept}), "behaviors": len(kept)}
    if times:
        out["first"] = min(times).isoformat(timespec="seconds")
        out["last"] = max(times).isoformat(timespec="seconds")
    spans = [r[4] for r in got if r[4] is not None and r[4] >= 0]
    if spans:
        out["total_minutes"] = round(sum(spans) / 60, 1)
    return out


def main():
    if len(sys.argv) > 1:
        for row in rows(sys.argv[1], next(HERE.glob(sys.argv[1] + ".*"))):
            print(*row, sep="\t")
        return
    listed = tomllib.loads((HERE / "truth.toml").read_text(encoding="utf-8"))["file"]
    bad = 0
    for entry in listed:
        rid = entry["id"]
        path = next(p for p in HERE.glob(rid + ".*"))
        say = []
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            say.append("sha256")
        if entry["expect"] != "refuse":
            got = figures(rid, path)
            for key in ("rows_in", "users", "behaviors", "first", "last", "total_minutes"):
                if got.get(key) != entry.get(key):
                    say.append(f"{key}: {got.get(key)} is not {entry.get(key)}")
            for name, want in entry.get("other_users", {}).items():
                kept, RULES[rid]["user"] = RULES[rid]["user"], name
                other = figures(rid, path)
                RULES[rid]["user"] = kept
                if [other["users"], other["behaviors"]] != want:
                    say.append(f"other {name}: {other['users']}, {other['behaviors']}")
        print(rid, "ok" if not say else say)
        bad += bool(say)
    print(len(listed), "files,", bad, "differ")


if __name__ == "__main__":
    main()
