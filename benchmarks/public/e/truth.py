"""What is right about the files of this folder, read from the files alone (openpyxl for .xlsx, pyarrow for .parquet).

    python truth.py            check every file against truth.toml
    python truth.py ID         print its rows

rows(ID, PATH) yields (user or None, time or None, action, item, seconds or None) of each record, in file order.
RULES[ID]["user"] is the column of the user; the measure may put another there. "a.b" is a field within a field.
"""

import csv
import hashlib
import html
import io
import json
import re
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

csv.field_size_limit(1 << 30)

RULES = {
    "asistencia_mx": {"form": "csv", "user": "Trabajador", "time": "Fecha Reg + Hora Reg", "time_format": "%m/%d/%y %H:%M", "action": "Tipo Registro"},
    "foundry_es": {"form": "jsonl", "user": "user", "time": "timestamp", "time_format": "epoch_ms", "action": "type", "item": "content"},
    "chamados_pt": {"form": "xlsx", "user": "Nome Solicitante", "time": "Data Abertura", "end": "Data Finalizado", "time_format": "%d/%m/%Y %H:%M", "action": "Status", "item": "Assunto"},
    "stunden_de": {"form": "csv", "user": "Name", "time": "Datum", "time_format": "%Y-%m-%d", "item": "Beschreibung", "duration": "Stunden", "unit": "h"},
    "twitch_chat": {"form": "lines", "user": "user", "time": "time", "time_format": "%Y-%m-%d %H:%M:%S", "item": "text", "pattern": r"\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\] <(?P<user>[^>]*)> (?P<text>.*)"},
    "whatsapp_pt": {"form": "lines", "user": "user", "time": "time", "time_format": "%d/%m/%y, %H:%M", "item": "text", "pattern": "\u200e?(?P<time>\\d\\d/\\d\\d/\\d\\d, \\d\\d:\\d\\d) - \u200e?(?:(?P<user>[^:]+): )?(?P<text>.*)"},
    "avis_lyon": {"form": "csv", "user": "nom_utilisateur", "time": "date_avis", "time_format": "months", "action": "note_restaurant", "item": "titre_avis"},
    "quesabes": {"form": "json", "records": "pedidos", "user": None, "time": "fecha_de_realizado", "time_format": "iso", "action": "estado", "item": "pedido"},
    "telegram_html": {"form": "telegram", "user": "user", "time": "time", "time_format": "%d.%m.%Y %H:%M:%S", "item": "text"},
    "hepsiburada_tr": {"form": "csv", "encoding": "cp1254", "sep": ";", "user": "Adlar", "time": "Tarihler", "time_format": "months", "item": "Yorumlar"},
    "strava_us": {"form": "csv", "user": None, "time": "Activity Date", "time_format": "%b %d, %Y, %I:%M:%S %p", "action": "Activity Type", "item": "Activity Name", "duration": "Elapsed Time", "unit": "s"},
    "garitas": {"form": "csv", "user": None, "time": "", "time_format": "iso"},
    "telegram_ru": {"form": "csv", "user": "sender_id", "time": "date", "time_format": "iso", "item": "text"},
    "group_ranks": {"form": "jsonl", "user": "id", "time": "t", "time_format": "iso", "action": "type", "item": "toName"},
    "ab_events": {"form": "csv", "user": "session_id", "time": "timestamp", "time_format": "iso", "action": "event_name", "item": "event_value"},
    "turnstile_br": {"form": "sqlite", "table": "acessos", "user": "usuario_id", "time": "data_hora", "time_format": "iso", "action": "tipo"},
    "devlog_comments": {"form": "parquet", "user": "slack_id", "time": "created_at", "time_format": "iso", "item": "text"},
    "plusword": {"form": "csv", "user": "user", "time": "timestamp", "time_format": "%d/%m/%Y %H:%M", "item": "filename", "duration": "time", "unit": "h:mm:ss"},
    "otree_dk": {"form": "csv", "sep": ";", "user": "participant.code", "time": "participant.time_started", "time_format": "iso", "action": "participant._current_page_name", "item": "group.link_word"},
    "keystrokes": {"form": "csv", "user": "user_id", "time": "timestamp", "time_format": "epoch_ms", "action": "op", "item": "char"},
}

MONTHS = {name: n for names in (
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
) for n, name in enumerate(names.split(), 1)}
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


def _flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()}


def _text(path, rule):
    return path.read_bytes().decode(rule.get("encoding", "utf-8-sig"))


def _csv(path, rule):
    """Read records; U+2028 and the like do not end a line, and of two columns of a name the first counts."""
    lines = csv.reader(io.StringIO(_text(path, rule), newline=""), delimiter=rule.get("sep", ","))
    names = next(lines)
    for cells in lines:
        if any(cells):
            record = {}
            for name, cell in zip(names, cells):
                record.setdefault(name, cell)
            yield record


def _jsonl(path, rule):
    return (_flat(json.loads(line)) for line in _text(path, rule).split("\n") if line.strip())


def _json(path, rule):
    value = json.loads(_text(path, rule))
    return (_flat(part) for part in value[rule["records"]])


def _lines(path, rule):
    for line in _text(path, rule).split("\n"):
        if hit := re.match(rule["pattern"], line.rstrip("\r")):
            yield hit.groupdict()


def _xlsx(path, rule):
    import openpyxl
    sheet = openpyxl.load_workbook(path, data_only=True).worksheets[0]
    lines = sheet.iter_rows(values_only=True)
    names = next(lines)
    for cells in lines:
        if any(cell is not None for cell in cells):
            yield {name: cell for name, cell in zip(names, cells) if name}


def _parquet(path, rule):
    import pyarrow.parquet
    yield from pyarrow.parquet.read_table(path).to_pylist()


def _sqlite(path, rule):
    base = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    base.row_factory = sqlite3.Row
    yield from map(dict, base.execute(f'select * from "{rule["table"]}" order by rowid'))


def _telegram(path, rule):
    """Messages of a page of a chat; one that follows another of the same person has no name of its own."""
    user = None
    for part in re.split(r'(?=<div class="message )', _text(path, rule))[1:]:
        if not part.startswith('<div class="message default'):
            continue
        own = part.split('<div class="forwarded body">')[0]
        if hit := re.search(r'<div class="from_name">\s*(.*?)\s*(?:<span|</div>)', own, re.S):
            user = html.unescape(re.sub(r"<[^>]+>", "", hit[1])).strip()
        time = re.search(r'date details" title="([^"]+)"', part)
        text = re.search(r'<div class="text">(.*?)</div>', part, re.S)
        yield {
            "user": user,
            "time": time[1] if time else "",
            "text": html.unescape(re.sub(r"<[^>]+>", " ", text[1])).strip() if text else "",
        }


FORMS = {"csv": _csv, "jsonl": _jsonl, "json": _json, "lines": _lines, "xlsx": _xlsx, "parquet": _parquet, "sqlite": _sqlite, "telegram": _telegram}


def _cell(record, name):
    if not name:
        return ""
    parts = ["" if record.get(part) is None else str(record[part]).strip() for part in name.split(" + ")]
    return " ".join(parts) if all(parts) else ""


def _moment(text, form):
    if not text:
        return None
    try:
        if form == "epoch_ms":
            return datetime.fromtimestamp(int(text) / 1000, UTC).replace(tzinfo=None)
        if form == "months":
            hit = re.search(r"(\d{1,2}) (\w+) (\d{4})", text)
            return datetime(int(hit[3]), MONTHS[hit[2].lower()], int(hit[1])) if hit else None
        if form == "iso":
            hit = re.match(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?)?", text)
            time = datetime.fromisoformat(f"{hit[1]}T{hit[2] or '00:00:00'}")
            return time.replace(microsecond=int((hit[3] or "0")[:6].ljust(6, "0")))
        return datetime.strptime(text, form)
    except (ValueError, TypeError):
        return None


def _seconds(text, unit):
    try:
        if unit == "h:mm:ss":
            hours, minutes, rest = text.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(rest)
        return float(text) * SECONDS[unit] if text else None
    except ValueError:
        return None


def rows(ident, path):
    rule = RULES[ident]
    for record in FORMS[rule["form"]](Path(path), rule):
        start = _moment(_cell(record, rule.get("time")), rule["time_format"])
        end = _moment(_cell(record, rule.get("end")), rule["time_format"])
        seconds = _seconds(_cell(record, rule.get("duration")), rule.get("unit", "s"))
        if seconds is None and start and end:
            seconds = (end - start).total_seconds()
        yield (_cell(record, rule["user"]) or None, start, _cell(record, rule.get("action")), _cell(record, rule.get("item")), seconds)


def figures(ident, path, users=()):
    every = list(rows(ident, path))
    done = [row for row in every if row[0] and row[1]]
    dated = done or [row for row in every if row[1]]
    found = {"rows_in": len(every), "users": len({row[0] for row in done}), "behaviors": len(done)}
    if dated:
        found["first"] = min(row[1] for row in dated).isoformat(timespec="seconds")
        found["last"] = max(row[1] for row in dated).isoformat(timespec="seconds")
    if lasting := [row[4] for row in dated if row[4] is not None]:
        found["total_minutes"] = round(sum(lasting) / 60, 1)
    if len(users) > 1:
        found["other_users"] = {}
        kept = RULES[ident]["user"]
        for name in users[1:]:
            RULES[ident]["user"] = name
            other = [row[0] for row in rows(ident, path) if row[0] and row[1]]
            found["other_users"][name] = [len(set(other)), len(other)]
        RULES[ident]["user"] = kept
    return found


def main():
    import tomllib
    here = Path(__file__).parent
    for entry in tomllib.loads((here / "truth.toml").read_text("utf-8"))["file"]:
        ident = entry["id"]
        path = next(p for p in sorted(here.glob(ident + ".*")))
        if sys.argv[1:] == [ident]:
            for row in rows(ident, path):
                print(*row, sep="\t")
        elif not sys.argv[1:]:
            user = entry.get("user", [])
            found = figures(ident, path, user if isinstance(user, list) else [user])
            keys = ("rows_in", "users", "behaviors", "first", "last", "total_minutes", "other_users")
            odd = [f"{k}: {found.get(k)}, listed {entry.get(k)}" for k in keys if found.get(k) != entry.get(k)]
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
                odd.append("another file")
            print(f"{ident:18} {entry['expect']:7} {found['behaviors']:>7}  {'; '.join(odd) or 'as listed'}")


if __name__ == "__main__":
    main()
