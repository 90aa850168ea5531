"""What is right about the files of this folder, by reading them; standard library only.

    python truth.py            print the figures of every file and compare them with truth.toml
    python truth.py --rows ID  print the rows: user, time, action, item, seconds
    python truth.py --json     print the figures

Cells are taken without the spaces at their ends, as benchmarks/public_truth.py does. danmu_xml and kakao_study have
no columns: "p #7" is the seventh part of the attribute p; of the chat the columns are user, time, text.
"""
import csv
import hashlib
import io
import json
import re
import sys
import tomllib
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).parent
csv.field_size_limit(1 << 30)
_S = "%Y-%m-%d %H:%M:%S"

RULES = {
    "campus_card": {"user": "userName", "time": "jndatetimeStr", "format": _S, "action": "turnoverType", "item": "resume"},
    "weibo_replies": {"user": "user_id", "time": "created_at", "format": "iso", "item": "text"},
    "mayor_letters": {"form": "xlsx", "user": "留言用户", "time": "留言时间", "format": "%Y/%m/%d %H:%M:%S", "action": "一级分类", "item": "留言主题"},
    "danmu_xml": {"form": "danmu", "user": "p #7", "time": "p #5", "format": "epoch", "item": "text"},
    "douban_shorts": {"user": "昵称", "time": "评论时间", "format": _S, "item": "评论内容"},
    "danmu_songs": {"user": None, "time": "弹幕时间", "format": _S, "item": "弹幕内容"},
    "danmu_authors": {"user": "author", "time": "date", "format": "epoch", "item": "text"},
    "rutube_comments": {"user": "author_id", "time": "created_ts", "format": "iso", "item": "text"},
    "class_annotations": {"user": "user", "time": "created", "format": "%Y-%m-%d %H:%M:%S.%f", "item": "text"},
    "ebird_rows": {"user": "OBSERVER.ID", "time": "YEAR + MONTH + DAY + TIME.OBSERVATIONS.STARTED", "format": "ebird",
                   "action": "PROTOCOL.TYPE", "item": "COMMON.NAME", "duration": "DURATION.MINUTES", "unit": 60},
    "mananera_comments": {"user": "author_id", "time": "published_at", "format": "iso", "item": "comment_text"},
    "home_chores": {"user": "Persona", "time": "Quando", "format": "%d/%m/%Y, %H:%M", "action": "Cosa", "item": "Cosa"},
    "reddit_suspects": {"user": "author.name", "time": "created_utc", "format": "epoch", "item": "body"},
    "meetup_rsvps": {"user": "member_id", "time": "created", "format": "epoch_ms", "action": "response", "item": "event_id"},
    "yammer_vn": {"form": "xlsx", "user": "Tên + MSSV", "time": "Thời gian", "format": "%Y/%m/%d %H:%M:%S +0000", "item": "Nội dung"},
    "alien_boxes": {"user": "subid", "time": None, "action": "trial_type", "item": "stimulus", "duration": "rt", "unit": 0.001},
    "star_log": {"sep": "\t", "user": None, "time": "Date", "format": "%Y-%m-%d", "item": "Item"},
    "arena_guests": {"user": "name", "time": "date", "format": "%Y%m%d", "item": "title"},
    "cod_trophy": {"form": "threads", "user": "snippet.topLevelComment.snippet.authorDisplayName",
                   "time": "snippet.topLevelComment.snippet.publishedAt", "format": "iso",
                   "item": "snippet.topLevelComment.snippet.textOriginal"},
    "kakao_study": {"form": "kakao", "user": "user", "time": "time", "format": "kakao", "item": "text"},
}

_N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def _csv(path, rule):
    # one byte of ebird_rows' header is no UTF-8
    text = path.read_bytes().decode("utf-8-sig", "replace")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=rule.get("sep", ","))
    names = next(lines)
    for line in lines:
        if line:
            yield dict(zip(names, line))


def _xlsx(path, rule):
    """The rows of every sheet, each below its own header; rows of no cell are left out."""
    z = zipfile.ZipFile(path)
    strings = []
    if "xl/sharedStrings.xml" in z.namelist():
        strings = ["".join(t.text or "" for t in si.iter(_N + "t")) for si in ET.fromstring(z.read("xl/sharedStrings.xml"))]
    where = {r.get("Id"): r.get("Target") for r in ET.fromstring(z.read("xl/_rels/workbook.xml.rels"))}
    for sheet in ET.fromstring(z.read("xl/workbook.xml")).iter(_N + "sheet"):
        names = None
        for row in ET.fromstring(z.read("xl/" + where[sheet.get(_R + "id")].removeprefix("/xl/"))).iter(_N + "row"):
            cells = {}
            for c in row.iter(_N + "c"):
                v = c.find(_N + "v")
                text = "".join(t.text or "" for t in c.iter(_N + "t")) if c.get("t") == "inlineStr" else "" if v is None else v.text or ""
                if c.get("t") == "s" and text:
                    text = strings[int(text)]
                if text.strip():
                    cells[re.match("[A-Z]+", c.get("r")).group()] = text
            if not cells:
                continue
            if names is None:
                names = cells
            else:
                yield {names[k]: v for k, v in cells.items() if k in names}


def _danmu(path, _rule):
    for d in ET.fromstring(path.read_bytes()).iter("d"):
        yield {**{f"p #{n}": v for n, v in enumerate(d.get("p").split(","), 1)}, "text": d.text or ""}


def _flat(value, path=""):
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in _flat(part, f"{path}.{key}" if path else key).items()}
    return {path: "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}


def _threads(path, _rule):
    """The comment threads of each page of the answer; the replies within a thread are no rows here."""
    for page in json.loads(path.read_text("utf-8")):
        for item in page["items"]:
            yield _flat({k: v for k, v in item.items() if k != "replies"})


def _kakao(path, _rule):
    """The lines that begin with a time; lines of the system (who came, who left, a new day) have no user."""
    for line in path.read_text("utf-8-sig").split("\n"):
        if hit := re.match(r"(\d{4}년 \d+월 \d+일 오[전후] \d+:\d\d)(?:, (?:(.+?) : )?(.*))?", line):
            yield {"time": hit[1], "user": hit[2] or "", "text": hit[3] or ""}


_FORMS = {"csv": _csv, "xlsx": _xlsx, "danmu": _danmu, "threads": _threads, "kakao": _kakao}


def _cell(record, name):
    if not name:
        return ""
    if name in record or " + " not in name:
        return record.get(name, "").strip()
    parts = [record.get(p, "").strip() for p in name.split(" + ")]
    return " ".join(parts) if all(parts) else ""


def _moment(record, name, form):
    if not name:
        return None
    if form == "ebird":  # 20 rows have no time of day: the day counts
        day = [int(record[k]) for k in ("YEAR", "MONTH", "DAY")]
        clock = record["TIME.OBSERVATIONS.STARTED"].strip()
        return datetime(*day, *(int(p) for p in clock.split(":"))) if clock else datetime(*day)
    text = _cell(record, name)
    if not text:
        return None
    try:
        if form in ("epoch", "epoch_ms"):
            return datetime.fromtimestamp(float(text) / (1000 if form == "epoch_ms" else 1), timezone.utc).replace(tzinfo=None)
        if form == "iso":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        if form == "kakao":
            y, m, d, half, h, mi = re.match(r"(\d+)년 (\d+)월 (\d+)일 (오[전후]) (\d+):(\d+)", text).groups()
            return datetime(int(y), int(m), int(d), int(h) % 12 + 12 * (half == "오후"), int(mi))
        if re.fullmatch(r"\d{5}(\.\d+)?", text):  # a date cell
            return datetime(1899, 12, 30) + timedelta(seconds=round(float(text) * 86400))
        if form.endswith(", %H:%M") and "," not in text:  # home_chores: 35 rows have the day only
            form = form[:-7]
        return datetime.strptime(text, form)
    except ValueError:
        return None


def rows(ID, PATH):
    rule = RULES[ID]
    for record in _FORMS[rule.get("form", "csv")](Path(PATH), rule):
        seconds = None
        if rule.get("duration"):
            try:
                seconds = float(_cell(record, rule["duration"])) * rule["unit"]
            except ValueError:
                pass
        yield (_cell(record, rule["user"]) or None, _moment(record, rule["time"], rule.get("format")),
               _cell(record, rule.get("action")), _cell(record, rule.get("item")), seconds)


def figures(ID, PATH):
    every = list(rows(ID, PATH))
    done = [r for r in every if r[0] and r[1]]
    times = sorted(r[1] for r in (done or every) if r[1])
    told = {"rows_in": len(every), "users": len({r[0] for r in (done or every) if r[0]}), "behaviors": len(done)}
    if times:
        told |= {"first": times[0].isoformat(timespec="seconds"), "last": times[-1].isoformat(timespec="seconds")}
    if any(r[4] is not None for r in every):
        told["total_minutes"] = round(sum(r[4] or 0 for r in (done or every)) / 60, 1)
    return told


def main():
    listed = {e["id"]: e for e in tomllib.loads((HERE / "truth.toml").read_text("utf-8"))["file"]}
    if sys.argv[1:2] == ["--rows"]:
        path = next(HERE.glob(sys.argv[2] + ".*"))
        for row in rows(sys.argv[2], path):
            print(*row, sep="\t")
        return
    wrong = 0
    for ID in RULES:
        path = next(p for p in HERE.glob(ID + ".*"))
        told, entry = figures(ID, path), listed.get(ID, {})
        others = {}
        names = entry.get("user", [])
        for name in (names if isinstance(names, list) else [names])[1:]:
            kept, RULES[ID]["user"] = RULES[ID]["user"], name
            f = figures(ID, path)
            others[name] = [f["users"], f["behaviors"]]
            RULES[ID]["user"] = kept
        if others:
            told["other_users"] = others
        if sys.argv[1:] == ["--json"]:
            print(json.dumps({"id": ID, **told}, ensure_ascii=False))
            continue
        off = {k: (v, entry.get(k)) for k, v in told.items() if entry.get(k) != v}
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry.get("sha256"):
            off["sha256"] = "differs"
        wrong += bool(off)
        print(ID, "right" if not off else off)
    print(wrong, "differ;", len(RULES), "files,", len(listed), "listed")


if __name__ == "__main__":
    main()
