"""What is right about the files of this folder, read with the standard library only."""
import csv
import json
import re
import zipfile
import xml.etree.ElementTree as ET
from datetime import datetime, timezone
from pathlib import Path

csv.field_size_limit(1 << 30)
JOIN = " + "

RULES = {
    "lb_smoking": {"form": "xlsx", "user": "User", "time": "Time", "fmt": "%d/%m/%Y %H:%M", "action": "Type", "none": ["False"]},
    "mx_class": {"form": "csv", "user": "student_id", "time": "date", "fmt": "%Y-%m-%d", "action": "status", "item": "subject"},
    "ph_gym": {"form": "csv", "user": "Name", "time": "Date + Time in", "fmt": "%m/%d/%y %H:%M"},
    "us_aba": {"form": "csv", "user": "ProviderId", "time": "DateTimeFrom", "fmt": "%m/%d/%Y %H:%M",
               "action": "ProcedureCodeDescription", "duration": "TimeWorkedInMins", "scale": 60},
    "cn_library": {"form": "csv", "user": "ReaderID", "time": "BorrowDate", "fmt": "%Y-%m-%d", "item": "CopyID", "end": "ReturnDate"},
    "es_class": {"form": "csv", "user": "alumno", "time": "timestamp", "fmt": "%Y-%m-%d %H:%M:%S",
                 "action": "estado_asistencia", "item": "asignatura"},
    "br_shift": {"form": "chat", "user": "user", "time": "time", "fmt": "%d/%m/%Y %H:%M:%S", "item": "text"},
    "cn_attlog": {"form": "csv", "header": False, "sep": "\t", "user": "#1", "time": "#2", "fmt": "%Y-%m-%d %H:%M:%S", "action": "#4"},
    "lb_gym": {"form": "csv", "user": "member_id", "time": "date", "fmt": "%d/%m/%Y", "item": "note",
               "duration": "activity_minutes", "scale": 60},
    "ru_training": {"form": "csv", "header": False, "user": "#1", "time": "#4", "fmt": "%Y.%m.%d", "item": "#2"},
    "nl_tennis": {"form": "csv", "user": "Naam", "time": "Inschrijfdatum", "fmt": "%d/%m/%Y %H:%M", "item": "Voorkeur 1"},
    "ml_clinic": {"form": "csv", "header": False, "user": "#2", "time": "#1", "fmt": "%d/%m/%Y", "action": "#3", "item": "#4"},
    "br_tabletennis": {"form": "csv", "user": "Jogador 1", "time": "Data + Horário", "fmt": "%d/%m/%Y %H:%M", "item": "ID Partida"},
    "de_boardgames": {"form": "plays", "user": "playerRefId", "time": "plays.playDate", "fmt": "%Y-%m-%d %H:%M:%S",
                      "item": "plays.gameRefId", "duration": "plays.durationMin", "scale": 60},
    "us_refgame": {"form": "csv", "sep": "\t", "user": "gameid", "time": "time", "fmt": "ms", "action": "eventType", "item": "intendedName"},
    "id_attendance": {"form": "xlsx", "user": "Nama", "time": "Tanggal", "fmt": "%Y-%m-%d", "action": "Status"},
    "us_videoquiz": {"form": "csv", "header": False, "user": "#1", "time": "#3", "fmt": "%Y-%m-%d %H:%M:%S", "action": "#7", "item": "#6"},
    "uk_museum": {"form": "csv", "user": "", "time": "at", "fmt": "%Y-%m-%d %H:%M:%S", "action": "val"},
    "de_meditation": {"form": "csv", "user": "", "time": "meditation_start", "fmt": "iso", "item": "comment",
                      "duration": "meditation_duration", "scale": 1},
    "cz_meals": {"form": "csv", "user": "", "time": "timestamp", "fmt": "iso"},
}

_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _sheet(path):
    """The first sheet of a workbook as lists of texts."""
    with zipfile.ZipFile(path) as z:
        shared = []
        if "xl/sharedStrings.xml" in z.namelist():
            for si in ET.fromstring(z.read("xl/sharedStrings.xml")).iter(_NS + "si"):
                shared.append("".join(t.text or "" for t in si.iter(_NS + "t")))
        root = ET.fromstring(z.read("xl/worksheets/sheet1.xml"))
    for row in root.iter(_NS + "row"):
        cells = {}
        for c in row.iter(_NS + "c"):
            col = 0
            for ch in re.match(r"[A-Z]+", c.get("r")).group():
                col = col * 26 + ord(ch) - 64
            v = c.find(_NS + "v")
            kind = c.get("t")
            if kind == "inlineStr":
                text = "".join(t.text or "" for t in c.iter(_NS + "t"))
            elif v is None or v.text is None:
                text = ""
            elif kind == "s":
                text = shared[int(v.text)]
            elif kind == "b":
                text = "True" if v.text == "1" else "False"
            else:
                text = v.text
            cells[col] = text
        yield [cells.get(i, "") for i in range(1, max(cells, default=0) + 1)]


def _records(path, rule):
    form = rule["form"]
    if form == "plays":
        for play in json.loads(Path(path).read_text("utf-8"))["plays"]:
            above = {f"plays.{k}": v for k, v in play.items() if not isinstance(v, (list, dict))}
            for score in play["playerScores"]:
                yield {**above, **score}
        return
    if form == "chat":
        last = None
        for line in Path(path).read_text("utf-8").splitlines():
            hit = re.match(r"\u200e?\[(?P<time>\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)\] (?:(?P<user>[^:]+): )?(?P<text>.*)", line)
            if hit:
                if last:
                    yield last
                last = hit.groupdict()
            elif last:
                last["text"] += "\n" + line
        if last:
            yield last
        return
    if form == "xlsx":
        lines = _sheet(path)
    else:
        text = Path(path).read_bytes().decode("utf-8-sig")
        lines = csv.reader(text.splitlines(keepends=True), delimiter=rule.get("sep", ","))
    names = None
    for cells in lines:
        if not any(c.strip() for c in cells):
            continue
        if rule.get("header", True) and names is None:
            names = [c.strip() for c in cells]
            continue
        keys = names if rule.get("header", True) else [f"#{i}" for i in range(1, len(cells) + 1)]
        yield dict(zip(keys, cells))


def _cell(record, name, rule):
    if not name:
        return ""
    parts = []
    for part in name.split(JOIN):
        value = record.get(part, record.get(part.strip()))
        parts.append("" if value is None else str(value).strip())
    text = " ".join(parts) if all(parts) else ""
    return "" if text in rule.get("none", ()) else text


def _moment(text, fmt):
    if not text or not fmt:
        return None
    try:
        if fmt == "ms":
            return datetime.fromtimestamp(int(text) / 1000, timezone.utc).replace(tzinfo=None)
        if fmt == "iso":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        return datetime.strptime(text, fmt)
    except ValueError:
        return None


def rows(ID, path):
    rule = RULES[ID]
    for record in _records(path, rule):
        get = lambda key: _cell(record, rule.get(key, ""), rule)  # noqa: E731
        start, end = _moment(get("time"), rule["fmt"]), _moment(get("end"), rule["fmt"])
        seconds = None
        if rule.get("duration"):
            try:
                seconds = float(get("duration").replace(",", ".")) * rule["scale"]
            except ValueError:
                seconds = None
        elif start and end:
            seconds = (end - start).total_seconds()
        yield get("user") or None, start, get("action"), get("item"), seconds


def figures(ID, path, user=None):
    kept = RULES[ID]["user"]
    if user is not None:
        RULES[ID]["user"] = user
    try:
        every = list(rows(ID, path))
    finally:
        RULES[ID]["user"] = kept
    done = [r for r in every if r[0] and r[1]]
    dated = done or [r for r in every if r[1]]
    out = {"rows_in": len(every), "users": len({r[0] for r in done or every if r[0]}), "behaviors": len(done)}
    if dated:
        out["first"] = min(r[1] for r in dated).isoformat(timespec="seconds")
        out["last"] = max(r[1] for r in dated).isoformat(timespec="seconds")
    if lasting := [r[4] for r in dated if r[4] is not None]:
        out["total_minutes"] = round(sum(lasting) / 60, 1)
    return out


def check():
    import hashlib
    import tomllib
    here = Path(__file__).parent
    good = True
    for e in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        path = next(iter(sorted(here.glob(e["id"] + ".*"))))
        got = figures(e["id"], path)
        odd = [f"{k}: {got.get(k)} != {e.get(k)}" for k in ("rows_in", "users", "behaviors", "first", "last", "total_minutes") if got.get(k) != e.get(k)]
        if hashlib.sha256(path.read_bytes()).hexdigest() != e["sha256"]:
            odd.append("sha256")
        others = e["user"][1:] if isinstance(e.get("user"), list) else []
        for name in others:
            f = figures(e["id"], path, name)
            if e.get("other_users", {}).get(name) != [f["users"], f["behaviors"]]:
                odd.append(f"{name}: {[f['users'], f['behaviors']]}")
        print(e["id"], e["expect"], got["behaviors"], "; ".join(odd) or "ok")
        good &= not odd
    return good


if __name__ == "__main__":
    import sys
    if len(sys.argv) > 1 and sys.argv[1] == "--figures":
        for i in RULES:
            print(i, figures(i, next(iter(sorted(Path(__file__).parent.glob(i + ".*"))))))
    else:
        sys.exit(not check())
