"""Truth about the files of this folder, worked out from the files themselves.

    python truth.py              print the figures of every file and compare them with truth.toml
    python truth.py ID           print the rows of one file

rows(ID, PATH) yields (user, time, action, item, seconds) of each record, in file order. The user is the column
RULES[ID]["user"]; "A + B" joins two columns with a space, "a.b" is a field within a field. Standard library only;
the one Parquet file needs pyarrow.
"""

import csv
import json
import re
import sqlite3
import sys
from datetime import datetime, timedelta
from pathlib import Path

csv.field_size_limit(1 << 30)
EPOCH = datetime(1970, 1, 1)
MONTHS_PT = {m: n for n, m in enumerate("jan fev mar abr mai jun jul ago set out nov dez".split(), 1)}


# ---- times, each as the file writes it, without offset ------------------------------------------------------------
def iso(text):
    """2019-03-08T00:40:49, 2026-04-26T00:00:01.455076Z, 2025-11-10T18:14:42.477096287+01:00[Europe/Vienna]."""
    text = re.sub(r"\[[^\]]*\]$", "", text)
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    text = re.sub(r"(?<=\d)(Z|[+-]\d\d:?\d\d)$", "", text) if re.search(r"\d:\d\d", text) else text
    text = re.sub(r"\.(\d{1,6})$", lambda m: "." + m[1].ljust(6, "0"), text)
    return datetime.fromisoformat(text)


def epoch_s(text):
    return EPOCH + timedelta(seconds=float(text))


def epoch_ms(text):
    return EPOCH + timedelta(milliseconds=float(text))


def form(pattern):
    return lambda text: datetime.strptime(text, pattern)


def twitter(text):
    return datetime.strptime(text, "%a %b %d %H:%M:%S +0000 %Y")


def jira_pt(text):
    """12/mar/25 3:48 AM."""
    day, month, rest = text.split("/")
    return datetime.strptime(f"{day} {MONTHS_PT[month.lower()]} {rest}", "%d %m %y %I:%M %p")


# ---- records ------------------------------------------------------------------------------------------------------
def table(path, sep=",", skip=False):
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=sep, skipinitialspace=skip)
        names = next(lines)
        for cells in lines:
            if any(cells):
                record = {}
                for name, cell in zip(names, cells):
                    record.setdefault(name, cell)  # of several columns of a name the first counts
                yield record


def flat(value, name=""):
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, part in value.items() for k, v in flat(part, f"{name}.{key}" if name else key).items()}


def jsonl(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                try:
                    record = json.loads(line, parse_int=str, parse_float=str)
                except ValueError:  # cowrie_es: the last line is cut in the middle of the record
                    continue
                yield flat(record)


def steam(path):
    with open(path, encoding="utf-8") as file:
        for record in json.load(file, parse_int=str, parse_float=str)["reviews"].values():
            yield flat(record)


def irc(path):
    """Lines of people (<nick> text, * nick does), and lines of the channel (*** nick <...> has joined)."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if hit := re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)  (?:<([^>]+)> ?|\* (\S+) )?(.*)", line):
                yield {"time": hit[1], "user": hit[2] or hit[3], "text": hit[4]}


def sqlite(path, name):
    base = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    base.row_factory = sqlite3.Row
    for line in base.execute(f'select * from "{name}" order by rowid'):
        yield dict(line)


def xlsx(path):
    """The first sheet of a workbook; its dates are numbers of days since 1899-12-30."""
    import zipfile
    from xml.etree import ElementTree

    ns = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        words = [
            "".join(t.text or "" for t in si.iter(ns + "t"))
            for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    names = {}
    for line in sheet.iter(ns + "row"):
        cells = {}
        for cell in line:
            value = cell.find(ns + "v")
            if value is not None:
                column = re.match("[A-Z]+", cell.get("r"))[0]
                cells[column] = words[int(value.text)] if cell.get("t") == "s" else value.text
        if not names:
            names = cells
        elif cells:
            yield {names[column]: value for column, value in cells.items() if column in names}


def parquet(path):
    import pyarrow.parquet

    yield from pyarrow.parquet.read_table(path).to_pylist()


# ---- rules --------------------------------------------------------------------------------------------------------
RULES = {
    "graphika_tweets": dict(read=jsonl, user="node_id", time="message_time", clock=twitter, item="text"),
    "jira_pt": dict(
        read=table, user="Relator", time="Criado", clock=jira_pt, action="Tipo do ticket", item="Resumo", end="Resolvido"
    ),
    "clash_battles": dict(
        read=table,
        user="player_tag",
        time="battle_time",
        clock=form("%Y%m%dT%H%M%S.%fZ"),
        action="result",
        item="opponent_name",
    ),
    "saccades": dict(read=table, user="subject_id", action="game_status", duration="duration", factor=0.001),
    "fluid_irc": dict(read=irc, user="user", time="time", clock=iso, item="text"),
    "coltag_clicks": dict(read=table, user="UserID", time="Timestamp", clock=iso, action="Action", item="Hit"),
    "polis_austria": dict(
        read=table, user="voter-id", time="timestamp", clock=epoch_ms, action="vote", item="comment-id"
    ),
    "steam_reviews": dict(
        read=steam,
        user="author.steamid",
        time="timestamp_created",
        clock=epoch_s,
        action="voted_up",
        item="review",
    ),
    "ucc_tickets": dict(read=parquet, user="operator", time="timestamp", action="category", item="text"),
    "urm25_server": dict(
        read=lambda path: table(path, skip=True),
        user="userId",
        time="timestamp",
        clock=iso,
        action="event",
        item="message",
    ),
    "discord_es": dict(read=table, user="Author", time="Timestamp", clock=iso, item="Content"),
    "riksdag_speeches": dict(
        read=table, user="talare", time="dok_datum", clock=iso, action="kammaraktivitet", item="avsnittsrubrik"
    ),
    "casino_slots": dict(
        read=lambda path: sqlite(path, "spins"), user="user_id", time="created_at", clock=iso, item="game"
    ),
    "anki_revlog": dict(
        read=table, user=None, time="id", clock=epoch_ms, action="ease", item="cid", duration="time", factor=0.001
    ),
    "music_league": dict(read=table, user="Voter ID", time="Created", clock=iso, item="Spotify URI"),
    "vbs_submissions": dict(
        read=table, user="team", time="timestamp", clock=epoch_ms, action="status", item="taskName"
    ),
    "welltory_sleep": dict(
        read=table, user="user_code", time="sleep_begin", clock=iso, end="sleep_end", duration="sleep_duration"
    ),
    "hass_db": dict(
        read=lambda path: sqlite(path, "events"),
        user=None,
        time="time_fired",
        clock=iso,
        action="event_type",
        item="event_data",
    ),
    "cowrie_es": dict(
        read=jsonl, user="src_ip", time="timestamp", clock=iso, action="eventid", item="input", duration="duration"
    ),
    "pointage_fr": dict(
        read=xlsx,
        user="id_employe",
        time="date",
        clock=lambda text: datetime(1899, 12, 30) + timedelta(days=float(text)),
        item="id_chantier",
        duration="nb_heure",
        factor=3600,
    ),
    "younicam": dict(
        read=table, user="username", time="inDate", clock=form("%m/%d/%y %H:%M"), end="outDate"
    ),
}


def _cell(record, names):
    """The text of a column, or of columns joined; None where one is empty."""
    if not names:
        return None
    parts = [record.get(part) for part in names.split(" + ")]
    texts = ["" if part is None else str(part).strip() for part in parts]
    return " ".join(texts) if all(texts) else None


def _moment(record, name, rule):
    value = record.get(name) if name else None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    try:
        return rule["clock"](str(value).strip()) if value not in (None, "") else None
    except ValueError:
        return None


def rows(ID, PATH):
    rule = RULES[ID]
    for record in rule["read"](PATH):
        start, end = _moment(record, rule.get("time"), rule), _moment(record, rule.get("end"), rule)
        text = _cell(record, rule.get("duration"))
        seconds = float(text) * rule.get("factor", 1) if text else None
        if seconds is None and start and end:
            seconds = (end - start).total_seconds()
        yield _cell(record, rule["user"]), start, _cell(record, rule.get("action")), _cell(record, rule.get("item")), seconds


# ---- check --------------------------------------------------------------------------------------------------------
def figures(ID, path):
    every = list(rows(ID, path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {
        "rows_in": len(every),
        "users": len({row[0] for row in done or every if row[0]}),
        "behaviors": len(done),
    }
    if dated:
        found["first"] = min(row[1] for row in dated).isoformat(timespec="seconds")
        found["last"] = max(row[1] for row in dated).isoformat(timespec="seconds")
    if lasting := [row[4] for row in dated if row[4] is not None]:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    return found


def main():
    import hashlib
    import tomllib

    here = Path(__file__).parent
    entries = tomllib.loads((here / "truth.toml").read_text()).get("file", []) if (here / "truth.toml").exists() else []
    told = {entry["id"]: entry for entry in entries}
    wanted = sys.argv[1:]
    if wanted:
        for row in rows(wanted[0], next(p for p in here.glob(wanted[0] + ".*"))):
            print(row)
        return
    for ID in RULES:
        path = next(p for p in here.glob(ID + ".*"))
        found = figures(ID, path)
        entry = told.get(ID, {})
        wrong = [k for k, v in found.items() if entry.get(k) != v]
        if entry and hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            wrong.append("sha256")
        if isinstance(entry.get("user"), list) and len(entry["user"]) > 1:
            others, first = {}, RULES[ID]["user"]
            for name in entry["user"][1:]:
                RULES[ID]["user"] = name
                done = [row[0] for row in rows(ID, path) if row[0] and row[1]]
                others[name] = [len(set(done)), len(done)]
            RULES[ID]["user"] = first
            found["other_users"] = others
            if others != entry.get("other_users"):
                wrong.append("other_users")
        print(ID, found, "OK" if entry and not wrong else f"DIFFERS {wrong}" if entry else "no entry")


if __name__ == "__main__":
    main()
