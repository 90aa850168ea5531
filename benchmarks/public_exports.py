"""How eventabs reads public exports that it has never seen, beside what is right about them.

    python benchmarks/public_exports.py DIR... [--json] [--only ID] [--hide] [--trivial] [--asked [people]] [--either]

DIR holds the files as ID.*; they are not in the repository. The truth is that of public_exports.toml and public_truth.py,
or of DIR/truth.toml and DIR/truth.py, as benchmarks/public has for each set (same keys; rows(ID, PATH) gives user, time, action, item and seconds of each row of the
files in RULES). Each is read untouched, and every user, time and duration is compared, row by row. What is not right is read again
with the first proposal copied: that of a refusal, else the settings that warnings name. A line a file says which roles were
wrong, a line a set counts the outcomes. With --hide the names of the right user columns say nothing, as in a language that no list has. With --asked
each file is read by the answer of a large model to the question of `columns --ask`, of those that were kept in answers.json of the set;
with --asked people by what a second person wrote who had the file and saw neither the truth nor a reading (people.json). With --either
the columns that this person took are right as well, and no action or item where they took none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import re
import shlex
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import duckdb

from eventabs.errors_and_exit_codes import EndpointError, EventabsError, InputError
from eventabs.ingest import Export, InputSettings, column_names, columns_by_their_values, open_export
from eventabs.runs import Invocation, ask_columns
from public_truth import Row, Rule, rows

if TYPE_CHECKING:
    from datetime import datetime

_LIST: Final = Path(__file__).with_name("public_exports.toml")
_SETTING: Final = re.compile(
    r'\[input(?P<table>\.columns)?\] ((?:\w+ = (?:"[^"]*"|\[[^\]]*\]|true|false)(?:, )?)+)'
)
_OPTIONS: Final = re.compile(r"--columns \S+(?: --user \S+)?|--user me|--max-rejects \S+")
_MOST_REJECTS: Final = 0.05  # of the rows
_DONE: Final = ("action", "text", "item")
_OUTCOMES: Final = (
    "right",
    "right as proposed",
    "rightly refused",
    "wrong as proposed",
    "refused",
    "wrong, warned",
    "wrong, and said",
    "not asked",
    "wrong in silence",
)
Truth = Callable[[Path, Rule, str | None, str | None], list[Row]]


def _listed(value: Any) -> list[str]:  # noqa: ANN401  a text or texts
    return [value] if isinstance(value, str) else list(value or ())


def proposed(message: str) -> dict[str, Any]:
    """Return the settings of `[input]` that a message proposes: a whole table, single settings, or options."""
    if (start := message.find("\n[input]")) >= 0:
        return dict(tomllib.loads(message[start:])["input"])
    found: dict[str, Any] = {}
    for hit in _SETTING.finditer(message):
        target = found.setdefault("columns", {}) if hit["table"] else found
        target |= {
            k: v for k, v in tomllib.loads(hit[2].rstrip(", ").replace(", ", "\n")).items() if v != "..."
        }
    if not found and (options := _OPTIONS.search(message)):
        parts = iter(shlex.split(options[0]))
        named = dict(zip(parts, parts, strict=False))
        found = {"header": named["--columns"].split(",")} if "--columns" in named else {}
        found |= {"user": named["--user"]} if "--user" in named else {}
        found |= {"max_rejects": float(named["--max-rejects"])} if "--max-rejects" in named else {}
    return {key: value for key, value in found.items() if value}


def truth_of(folder: Path) -> tuple[list[Rule], Truth]:
    """Return the files of a folder, and what gives the rows of one of them with columns as the user and the time."""
    if not (listed := folder / "truth.toml").exists():
        return tomllib.loads(_LIST.read_text("utf-8"))["file"], lambda *which: list(rows(*which[:3]))
    spec = importlib.util.spec_from_file_location(f"truth_of_{folder.name}", folder / "truth.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]

    def found(path: Path, entry: Rule, user: str | None, time: str | None) -> list[Row]:
        if (rule := module.RULES.get(entry["id"])) is None:
            return list(rows(path, entry, user))
        others = {"user": user} if user and user not in _listed(entry.get("user"))[:1] else {}
        others |= {"time": time} if time and isinstance(rule.get("time"), str) else {}
        module.RULES[entry["id"]] = {**rule, **others} if others else rule
        try:
            return [Row(*row) for row in module.rows(entry["id"], str(path))]
        finally:
            module.RULES[entry["id"]] = rule

    return tomllib.loads(listed.read_text("utf-8"))["file"], found


def _matches(columns: str, allowed: list[str], header: list[str]) -> bool:
    names = [re.sub(r"\[[\d*]+\]", "", column) for column in re.split(r" [|+] ", columns) if column]
    spelled = {
        *names,
        *(" ".join(name.split()) for name in names),
        *map(str.lower, names),
        *(f"message {name}" for name in names),  # of a chat, and of a log with named parts
        *(f"text after {name}:" for name in names),
        *(f"#{header.index(name) + 1}" for name in names if name in header),
    }
    inner = (
        " ".join(each.split()).split(".", outer)[-1]
        for each in allowed
        for outer in range(each.count(".") + 1)
    )
    return not spelled.isdisjoint({*allowed, *inner})  # an unwrapped list is not named


def _of_users(rows: Counter[tuple[str, Any]]) -> Counter[str]:
    return Counter(user for user, _time in rows.elements())


def _put_up_with(export: Export, options: InputSettings) -> int:
    """Return how many rows may be lost, of those that are told of as unread or left out. Raises InputError where a run would refuse them."""
    rejected, rows = export.rejected_rows, export.rows
    if rejected > options.most_rejects * rows:
        share = math.ceil(100 * rejected / rows) / 100
        message = f"{rejected} of {rows} rows cannot be read ({', '.join(export.reasons)}); allow it with --max-rejects {share}"
        raise InputError(message)
    left_out = export.skipped_lines + export.non_behaviors
    return min(rejected + left_out, int(_MOST_REJECTS * rows))


def faults(
    path: Path, entry: Rule, settings: dict[str, Any], work: Path, truth: Truth
) -> tuple[list[str], str, dict[str, str]]:
    """Read a file, and return what is wrong, the texts of the warnings, and its roles."""
    options = InputSettings.model_validate({**settings, "keep_duplicates": True})
    with open_export([str(path)], options, work_dir=work) as export:
        found = Counter(
            (log.user_id, b.start.replace(tzinfo=None), b.duration)
            for log in export.user_logs()
            for b in log.behaviors
        )
        warned = "\n".join(each.message for each in export.description.warnings)
        said = _put_up_with(export, options)
        roles, header = export.description.columns, [*export.compared, *export.not_compared]
    odd, also = [], entry.get("also", {})
    users = [*_listed(entry.get("user")), *also.get("user", [])] or [""]
    times = [*_listed(entry.get("time"))[1:], *also.get("time", [])]
    used = roles.get("time", "") if roles.get("time") in times and "date" not in roles else None
    truths = [truth(path, entry, user or None, used) for user in users]
    own = "" if any(users) else options.user or (re.findall('^"(.*)"$', roles.get("user", "")) or [""])[0]
    read = Counter((user, time) for user, time, _lasting in found.elements())
    right = [
        Counter(
            ((own or row.user).strip(), row.time and row.time.replace(microsecond=0))
            for row in each
            if (own or row.user or "").strip() and row.time
        )
        for each in truths
    ]
    nearest = min(right, key=lambda each: (read - each).total() + (each - read).total())
    extra, lost = (read - nearest).total(), (nearest - read).total()
    if extra or lost > said:
        is_time = any(_of_users(read) == _of_users(each) for each in right)
        odd.append(f"{'time' if is_time else 'user or time'} ({extra} rows wrong, {lost} lost)")
    spoken = [role for role in _DONE if not roles.get(role, "=").startswith("=")]
    done = [name for role in ("action", "item") for name in (*_listed(entry.get(role)), *also.get(role, []))]
    for role in spoken:
        allowed = done if role == "text" else [*_listed(entry.get(role)), *also.get(role, [])]
        if not _matches(roles[role], allowed, header):
            odd.append(f"{role} = {roles[role]}")
    is_wanted = "-" not in done and any(entry.get(role) for role in ("action", "item", "place"))
    if is_wanted and not any(
        _matches(roles[role], done, header) for role in (*spoken, *({"place", "app", "media"} & roles.keys()))
    ):
        odd.append("nothing done")
    if place := _listed(entry.get("place")) + also.get("place", []):
        odd += (
            [f"place = {roles['place']}"]
            if "place" in roles and not _matches(roles["place"], place, header)
            else []
        )
    by_user = [(own or row.user or "", row) for row in truths[right.index(nearest)]]
    if fault := _wrong_durations(found, by_user, entry, roles, header):
        odd.append(fault)
    return odd, warned, roles


def _wrong_durations(
    found: Counter[tuple[str, datetime, int | None]],
    true_rows: list[tuple[str, Row]],
    entry: Rule,
    roles: dict[str, str],
    header: list[str],
) -> str:
    """Say in how many rows the duration is wrong, "" in none."""
    lasting, wanted = defaultdict(list), defaultdict(list)
    for user, time, seconds in found.elements():
        lasting[user, time].append(seconds or 0)
    for user, row in true_rows:
        if row.time and (row.seconds or 0) >= 0:
            wanted[user.strip(), row.time.replace(microsecond=0)].append(row.seconds or 0)
    both = [key for key, each in lasting.items() if len(each) == len(wanted[key])]
    pairs = [pair for key in both for pair in zip(sorted(lasting[key]), sorted(wanted[key]), strict=True)]
    wrong = sum(abs(one - other) > 1 for one, other in pairs)  # behaviors have whole seconds
    if "duration" not in roles and _matches(roles.get("end", ""), _listed(entry.get("end")), header):
        # a duration beside an end is rounded, to minutes or hundredths of an hour, and mended by hand in some rows
        apart = sum(abs(one - other) > 60 for one, other in pairs)
        wrong = 0 if apart * 50 < len(pairs) else wrong
    is_extra = "duration" not in entry and not any(one for one, _other in pairs)  # an end need not be taken
    others = [*_listed(entry.get("duration"))[1:], *entry.get("also", {}).get("duration", [])]
    is_other = _matches(roles.get("duration", ""), others, header)
    is_other |= _matches(roles.get("end", ""), entry.get("also", {}).get("end", []), header)
    if wrong and not is_other and not (is_extra and "end" in entry and "right too" in entry.get("why", "")):
        return f"duration ({wrong} of {len(pairs)} rows wrong)"
    return ""


@contextmanager
def hidden(names: list[str]) -> Iterator[None]:
    """Let the names of columns say nothing about roles."""
    known, unsaid = column_names.fit, {form for name in names for form in (name, *name.split(".")[-1:])}
    with patch.object(
        columns_by_their_values, "fit", lambda name, role: known(name, role) * (name not in unsaid)
    ):
        yield


def outcome(path: Path, entry: Rule, work: Path, truth: Truth) -> dict[str, Any]:
    """Read a file untouched, then as was proposed."""
    told: dict[str, Any] = {"id": entry["id"], "form": path.suffix[1:], "expect": entry["expect"]}
    try:
        odd, message, roles = faults(path, entry, {}, work, truth)
        told |= {"untouched": "; ".join(odd) or "right", "roles": roles}
        refused = False
    except EventabsError as error:
        odd, refused = ["refused"], True
        message = f"{error}\n{getattr(error, 'proposal', '')}"
        told["untouched"] = f"refused: {message}"
    settings = proposed(message)
    if odd and settings:
        try:
            rest, _warned, roles = faults(path, entry, settings, work, truth)
            told["copied"] = "; ".join(rest) or "right"
            told["copied_roles"] = roles
        except EventabsError as error:
            told["copied"] = f"refused: {error}"
    told["odd"] = [each.split()[0] for each in odd]
    if not odd:
        is_said = (
            entry["expect"] == "read" or "are read as those of" in message
        )  # one person's, as a warning says
        told["result"] = "right" if is_said else "wrong in silence"
    elif refused and entry["expect"] != "read":
        told["result"] = "rightly refused"
    elif told.get("copied") == "right":
        told["result"] = "right as proposed"
    elif not refused:
        said = {
            "nothing": ["no name says what was done"],
            "user": ["says who it was", "looks like a word for nobody"],
        }
        named = any(words in message for each in told["odd"] for words in said.get(each, [each]))
        told["result"] = "wrong, warned" if named else "wrong in silence"
    else:
        told["result"] = "wrong as proposed" if settings else "refused"
    return told


@contextmanager
def answering(text: str) -> Iterator[str]:
    """Yield the address of an endpoint that always answers so."""
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    reply: dict[str, Any] = {"id": "1", "object": "chat.completion", "model": "kept", "choices": [choice]}
    reply |= {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


def asked_outcome(path: Path, entry: Rule, answer: str, work: Path, truth: Truth) -> dict[str, Any]:
    """Read a file by a model's answer, as `columns --ask --write model` writes it down."""
    told: dict[str, Any] = {"id": entry["id"], "expect": entry["expect"], "odd": ["refused"]}
    refused = "wrong, and said" if entry["expect"] == "read" else "rightly refused"
    with answering(answer) as url:
        flags = {"llm": {"provider": "openai", "model": "kept", "base_url": url}}
        try:
            both = ask_columns(Invocation(None, flags, {}, isolated=True), [str(path)], lambda _said: None)
            settings = both.chosen("model")["input"]
            told["odd"], _warned, told["roles"] = faults(path, entry, settings, work, truth)
        except EndpointError as error:
            return told | {"untouched": f"{error}", "result": refused}
        except InputError as error:  # before anything is asked
            return told | {"untouched": f"{error}", "result": "not asked" if "wrong" in refused else refused}
        except EventabsError as error:
            return told | {"untouched": f"{error}", "result": refused}
    right = "right" if entry["expect"] == "read" else "rightly refused"
    wrong = "wrong in silence" if both.agree else "wrong, and said"
    return told | {"untouched": "; ".join(told["odd"]), "result": wrong if told["odd"] else right}


def written_outcome(path: Path, entry: Rule, written: str, work: Path, truth: Truth) -> dict[str, Any]:
    """Read a file by the settings that a second person wrote, who may also have refused it."""
    told: dict[str, Any] = {"id": entry["id"], "expect": entry["expect"], "odd": ["refused"]}
    try:
        settings = {"max_rejects": 0.5, **tomllib.loads(written)["input"]}  # a run would name the share
        told["odd"], _warned, told["roles"] = faults(path, entry, settings, work, truth)
    except (EventabsError, tomllib.TOMLDecodeError) as error:
        rightly = "wrong, and said" if entry["expect"] == "read" else "rightly refused"
        return told | {"untouched": f"{error}", "result": rightly}
    result = "wrong as proposed" if told["odd"] else "right"
    return told | {"untouched": "; ".join(told["odd"]), "result": result}


def with_second_person(entry: Rule, written: str) -> Rule:
    """Return what is right about a file with what the settings of a second person take for each role."""
    if not written.lstrip().startswith("["):  # refused
        return entry
    columns = tomllib.loads(written)["input"].get("columns", {})
    taken = {role: name for role, name in columns.items() if not re.search(r"^=| [+|] ", name)}
    taken |= {"item": taken.pop("text")} if "text" in taken else {}
    if not {"action", "item"} & taken.keys():
        taken["item"] = "-"
    also = dict(entry.get("also", {}))
    for role, name in taken.items():
        if not any(f".{each}".endswith(f".{name}") for each in _listed(entry.get(role))):
            also[role] = [*also.get(role, []), name]
    return {**entry, "also": also}


def is_read_by_ten_lines(path: Path, entry: Rule, truth: Truth) -> bool:
    """Whether DuckDB's own reader and the first columns that are called so give the right users and times."""
    rows = f"(SELECT COLUMNS(*)::VARCHAR FROM '{path}')"
    try:
        names = [each[0] for each in duckdb.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()]
        user = next(
            name for name in names if re.search("user|member|customer|name|用户|姓名", name, re.IGNORECASE)
        )
        time = next(name for name in names if re.search("time|date|时间|日期", name, re.IGNORECASE))
        found = duckdb.execute(
            f"""SELECT trim("{user}"), try_cast("{time}" AS TIMESTAMP) FROM {rows}"""
        ).fetchall()
    except (duckdb.Error, StopIteration):
        return False
    read = Counter((who, when.replace(microsecond=0)) for who, when in found if who and when)
    users = [*_listed(entry.get("user")), *entry.get("also", {}).get("user", [])]
    right = (
        Counter(
            (row.user.strip(), row.time.replace(microsecond=0))
            for row in truth(path, entry, each, None)
            if row.user and row.time
        )
        for each in users
    )
    return any(each == read for each in right)


def main() -> None:
    """Print a line a file, and a line a set."""
    ask = argparse.ArgumentParser(description="How public exports are read.")
    ask.add_argument("dirs", type=Path, nargs="+", metavar="DIR")
    ask.add_argument("--json", action="store_true")
    ask.add_argument("--only", default="")
    ask.add_argument("--hide", action="store_true", help="the names of user columns say nothing")
    ask.add_argument(
        "--trivial", action="store_true", help="count the files that ten lines read right instead"
    )
    ask.add_argument(
        "--asked",
        nargs="?",
        const="answers",
        choices=["answers", "people"],
        help="read by the kept answers of a large model, or of a second person",
    )
    ask.add_argument(
        "--either", action="store_true", help="what a second person took is right, too (people.json)"
    )
    args = ask.parse_args()
    for folder in args.dirs:
        kept = Path(__file__).with_name("public") / folder.resolve().name / f"{args.asked}.json"
        answers = json.loads(kept.read_text("utf-8")) if args.asked else {}
        people = json.loads(kept.with_name("people.json").read_text("utf-8")) if args.either else {}
        sums: Counter[str] = Counter()
        entries, truth = truth_of(folder)
        for entry in (with_second_person(each, people.get(each["id"], "")) for each in entries):
            path = next(iter(sorted(folder.glob(entry["id"] + ".*"))), None)
            if path is None or args.only not in ("", entry["id"]):
                continue
            if args.asked and entry["id"] not in answers:
                sums["not asked"] += 1
                continue
            if args.trivial:
                sums["right"] += entry["expect"] == "read" and is_read_by_ten_lines(path, entry, truth)
                continue
            users = [*_listed(entry.get("user")), *entry.get("also", {}).get("user", [])]
            with tempfile.TemporaryDirectory() as work, hidden(users if args.hide else []):
                given = answers.get(entry["id"])
                read = written_outcome if args.asked == "people" else asked_outcome
                told = (
                    read(path, entry, given, Path(work), truth)
                    if given
                    else outcome(path, entry, Path(work), truth)
                )
            sums[told["result"]] += 1
            if args.json:
                print(json.dumps(told, ensure_ascii=False), flush=True)
            else:
                detail = [str(told[key]) for key in ("untouched", "copied") if key in told and told["odd"]]
                print(
                    f"{told['id']:20} {told['result']:20} {' | '.join(detail)}"[:300].replace("\n", " "),
                    flush=True,
                )
        print(
            folder.name,
            *(f"{sums[each]} {each}" for each in _OUTCOMES if sums[each]),
            sep=", ",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
