"""A made-up app whose export grows every night, and a simulated model that answers by row numbers, over HTTP.

    python benchmarks/nights.py --users 40 --nights 31

Rows come a night late, change afterwards, share seconds and go on over midnight; new users join; somebody who looks for a tent on
Monday goes on for weeks. Every night the export is taken into one run, which is killed at random moments. Then events and journeys
are compared with those of one run over all that is known by then, and the input tokens with those of the new rows alone.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Lock, Thread
from typing import Any, NamedTuple

import eventabs
from eventabs.prompts import TokenCounter
from eventabs.shared_records import row_ranges

FIRST_DAY = datetime(2026, 3, 1)  # noqa: DTZ001  exports hold wall times
WINDOW_DAYS = 30
_PLACES = ("Office", "Cafe Luna", "City gym", "Harbor cinema", "Green market")
_APPS = ("Chat", "News")
_GOALS = ("tent", "sofa", "phone", "bike")
_STEPS = ("search", "browse", "browse", "cart", "browse", "purchase", "browse", "browse")
_LATE, _CHANGED, _OVER_MIDNIGHT, _SAME_SECOND = (
    0.01,
    0.005,
    0.1,
    0.02,
)  # shares of rows, rows, user-days, rows
_BEGUN = 0.06  # journeys a user and day
_DAY_BEGINS = 5  # o'clock

_KNOWN = re.compile(r"> (\w+) (\w+)")
_ALONE = re.compile(r">: ([\d,]+)")
_DATE = re.compile(r"# (?:(\d{4})-)?(\d{2})-(\d{2})")
_ROW = re.compile(r"(\d+) (\d{2}):\d{2} (.+)")
_GOAL = re.compile(rf"(?:{'|'.join(_GOALS)})\d+")
_TYPES = {"search": "searching", "view": "browsing", "cart": "add to cart!", "buy": "purchase!", "use": ""}
_OF_PLACES = {"Office": "work", "Cafe": "dining", "City": "exercise", "Harbor": "entertainment"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row as it is from some night on; `known` and `changed` are nights, counted from 0."""

    row: Row
    day: int
    known: int
    changed: int | None = None
    changed_row: Row = field(default_factory=dict)

    def at(self, night: int) -> Row:
        """Return the row as the export of a night has it."""
        return self.changed_row if self.changed is not None and self.changed <= night else self.row


def record(users: int, nights: int, *, seed: int = 7, cut: int = _DAY_BEGINS) -> list[Recorded]:
    """Make up what is recorded: about ten rows a user and day, known the night after, at `cut` o'clock."""
    rng = Random(seed)
    rows = []
    for user in range(users):
        joined = 0 if user % 4 else rng.randrange(nights)
        goals = defaultdict[int, list[tuple[str, str]]](list)  # steps by day
        for day in range(joined, nights):
            if rng.random() < _BEGUN:
                _begin_journey(rng, goals, day)
            for at, action, item in _day(rng, day, goals[day]):
                row = {
                    "user_id": f"user_{user:05d}",
                    "timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
                    "action": action,
                    "poi" if action == "visit" else "app" if action == "use" else "item": item,
                    "duration": rng.choice((None, 60, 600, 1_800)),
                }
                known = (at - FIRST_DAY - timedelta(hours=cut)).days
                known = max(known, joined) + (rng.random() < _LATE and known > joined)
                changed = known + 1 if rng.random() < _CHANGED else None
                other = {"poi": "Old library"} if action == "visit" else {"duration": 120}
                rows.append(Recorded(row, (at - FIRST_DAY).days, known, changed, row | other))
    return rows


def _begin_journey(rng: Random, goals: dict[int, list[tuple[str, str]]], day: int) -> None:
    """Plan the steps towards a goal: the second one soon, the others over weeks."""
    item = f"{rng.choice(_GOALS)}{rng.randrange(10_000)}"
    for number, action in enumerate(_STEPS[: rng.randint(2, len(_STEPS))]):
        goals[day].append((action, item))
        day += rng.randint(0, 2) if not number else rng.randint(0, 9)


def _day(rng: Random, day: int, goals: list[tuple[str, str]]) -> Iterator[tuple[datetime, str, str]]:
    """Yield what somebody does on a day."""
    done = [("visit", rng.choice(_PLACES)) for _row in range(rng.randint(4, 7))]
    done += [("use", rng.choice(_APPS)) for _row in range(rng.randint(1, 3))]
    done = sorted([*done, *goals], key=lambda _each: rng.random())
    at = FIRST_DAY + timedelta(days=day, seconds=rng.randrange(7 * 3600, 10 * 3600))
    is_late = rng.random() < _OVER_MIDNIGHT
    for number, (action, item) in enumerate(done):
        if is_late and number == len(done) - 3:
            at = FIRST_DAY + timedelta(days=day, hours=23, minutes=rng.randrange(20, 50))
        yield at, action, item
        if rng.random() >= _SAME_SECOND:
            at += timedelta(minutes=rng.randrange(5, 40) if is_late else rng.randrange(5, 80))


def export(rows: Iterable[Recorded], night: int, shape: str) -> list[Row]:
    """Return the export of a night: `window` of 30 days, all so far `appended`, or the `day` alone with what came late."""
    if shape == "day":
        return [each.row for each in rows if each.known == night]
    since = night - WINDOW_DAYS + 1 if shape == "window" else 0
    return [each.at(night) for each in rows if each.known <= night and each.day >= since]


def write(path: Path, rows: Iterable[Row]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def answer(user_message: str) -> str:
    """Answer in lines, from the rows alone: rows with a goal are a journey, once there are two of them or it is known."""
    blocks = re.split(r"^## (U\d+).*\n", user_message, flags=re.MULTILINE)[1:]
    told = [f"## {alias}\n{_told(block)}" for alias, block in zip(blocks[::2], blocks[1::2], strict=True)]
    return "".join([*told, "##\n"])


def _told(block: str) -> str:
    known, alone, rows = _read(block)
    steps, others = defaultdict[str, list[_Shown]](list), list[_Shown]()
    for row in rows:
        found = _GOAL.search(row.what)
        (steps[found[0]] if found else others).append(row)
    lines = []
    for goal, own in sorted(steps.items()):
        if goal not in known and len(own) == 1:
            others += own
        elif any(row.number not in alone for row in own):
            kind = "purchase" if int(goal[-1]) % 2 else "interest"
            lines.append(f"> {kind} {goal}: {'; '.join(_events(own))}")
    lines += _events(row for row in others if row.type)
    minor = [row.number for row in others if not row.type]
    lines += [f"minor {row_ranges(minor)}"] if minor else []
    return "".join(f"{line}\n" for line in lines)


class _Shown(NamedTuple):
    number: int
    day: int
    what: str
    type: str  # "" of a minor one


def _read(block: str) -> tuple[set[str], set[int], list[_Shown]]:
    """Return the goals of journeys that are known, the rows that are by themselves, and all rows."""
    known, alone, rows = set[str](), set[int](), list[_Shown]()
    year = day = 0
    for line in block.splitlines():
        if found := _KNOWN.match(line):
            known.add(found[2])
        elif found := _ALONE.match(line):
            alone = {int(number) for number in found[1].split(",")}
        elif found := _DATE.match(line):
            year = int(found[1] or year)
            day = date(year, int(found[2]), int(found[3])).toordinal()
        elif found := _ROW.match(line):
            word = found[3].partition(" ")[0]
            kind = _TYPES.get(word, _OF_PLACES.get(word, "shopping"))
            rows.append(_Shown(int(found[1]), day - (int(found[2]) < _DAY_BEGINS), found[3], kind))
    return known, alone, rows


def _events(rows: Iterable[_Shown]) -> list[str]:
    """Return an event for the rows of a type on a day; a conversion, and what has a goal of its own, is one each."""
    events = defaultdict[tuple[str, object], list[str]](list)
    for row in rows:
        goal = _GOAL.search(row.what)
        same = row.number if row.type.endswith("!") else (row.day, goal and goal[0])
        events[row.type, same].append(str(row.number))
    return [f"{kind} {','.join(numbers)}" for (kind, _same), numbers in events.items()]


@dataclass
class Endpoint:
    """The simulated model at work. `requests` counts its answers."""

    base_url: str = ""
    requests: int = 0


@contextmanager
def served() -> Iterator[Endpoint]:
    """Serve the model on loopback."""
    endpoint, counter, lock = Endpoint(), TokenCounter(), Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = answer(body["messages"][-1]["content"])
            with lock:
                endpoint.requests += 1
                prompt = sum(counter.count(message["content"]) for message in body["messages"])
                completion = counter.count(text)
            message = {"role": "assistant", "content": text}
            reply = {
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
            }
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            """Be silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_request: object) -> None:
            """Be silent about clients that were killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        endpoint.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield endpoint
        finally:
            server.shutdown()


def results(out: Path) -> list[Any]:
    """Return events and journeys without their ids, and without summaries, which are worded by what else is in a log."""
    journeys = read(out / "journeys.jsonl")
    names = {journey["id"]: journey["name"] for journey in journeys}
    spans = {}
    plain = []
    for event in read(out / "events.jsonl"):
        spans[event["id"]] = event["type"], event["behaviors"]
        others = {key: value for key, value in event.items() if key not in ("id", "summary")}
        plain.append(others | {"journey": names.get(event["journey"])})
    for journey in journeys:
        others = {key: value for key, value in journey.items() if key != "id"}
        plain.append(others | {"events": [spans[each] for each in journey["events"]]})
    return plain


def read(path: Path) -> list[Any]:
    """Return the lines of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def merged(before: Iterable[Any], changes: Iterable[Any]) -> dict[str, Any]:
    """Return lines by id, with what `changes` says about them."""
    lines = {each["id"]: each for each in before}
    for change in changes:
        name, was = change.pop("change"), change.pop("before", None)
        assert lines.pop(change["id"], None) == (change if name == "removed" else was)
        if name != "removed":
            lines[change["id"]] = change
    return lines


def settings(endpoint: Endpoint) -> dict[str, Any]:
    """Return settings that call the model."""
    llm = {"model": "m", "base_url": endpoint.base_url, "stream": False}
    return {"llm": llm, "prompt": {"language": "en"}}


def extend_with_kills(out: Path, export: Path, endpoint: Endpoint, moments: random.Random, kills: int) -> int:
    """Extend a run, killed so many times; the last time it may work to its end. Return how many kills struck it at work."""
    command = [sys.executable, "-m", "eventabs", "extend", str(out), str(export), "-q", "--accept-changes"]
    command += ["--model", "m", "--base-url", endpoint.base_url]
    variables = {**os.environ, "EVENTABS_LLM__STREAM": "false", "EVENTABS_PROMPT__LANGUAGE": "en"}
    struck = 0
    for _kill in range(kills):
        process = subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        answered = endpoint.requests + moments.randint(1, 3)
        until = time.monotonic() + moments.uniform(0.5, 4.0)
        while process.poll() is None and time.monotonic() < until and endpoint.requests < answered:
            time.sleep(0.01)
        struck += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return struck


def main() -> None:
    """Play the nights and print a line for each; end with an error where results differ."""
    options = _options()
    moments = random.Random(options.seed)
    rows = record(options.users, options.nights, seed=options.seed, cut=options.cut)
    with tempfile.TemporaryDirectory(prefix="eventabs-nights-") as name, served() as endpoint:
        os.environ["XDG_STATE_HOME"] = name
        folder, model = Path(name), settings(endpoint)
        out = folder / "out"
        taken = alone = blocks = shown = 0
        for night in range(options.nights):
            export_of_night = write(folder / f"{night}.jsonl", export(rows, night, options.shape))
            if not night:
                eventabs.run(export_of_night, settings=model, out=out)
                continue
            before = {of: read(out / f"{of}.jsonl") for of in ("events", "journeys")}
            struck = extend_with_kills(out, export_of_night, endpoint, moments, options.kills)
            for of, lines in before.items():
                now = {each["id"]: each for each in read(out / f"{of}.jsonl")}
                if merged(lines, read(out / f"{of}.new.jsonl")) != now:
                    sys.exit(f"night {night}: {of}.new.jsonl is not what has changed; see {folder}")
            known = [
                each.row if options.shape == "day" else each.at(night) for each in rows if each.known <= night
            ]
            whole = eventabs.run(
                write(folder / "all.jsonl", known), settings=model, out=folder / f"all-{night}"
            )
            if results(out) != results(whole.path):
                sys.exit(f"night {night}: the results are not those of one run")
            new = [each.row for each in rows if each.known == night]
            new += [each.changed_row for each in rows if each.changed == night and options.shape != "day"]
            fresh = eventabs.run(
                write(folder / "new.jsonl", new), settings=model, out=folder / f"new-{night}"
            )
            facts = eventabs.resume(out).summary.extension or {}
            one, other = facts["prompt_tokens"], fresh.summary.prompt_tokens
            instructions = _instructions(out), _instructions(fresh.path)
            taken, alone = taken + one, alone + other
            shown += one - facts["calls"] * instructions[0]
            blocks += other - fresh.summary.calls * instructions[1]
            print(
                f"night {night:2}: {facts['new_behaviors']:5} new, {facts['late_behaviors']:3} late,"
                f" {facts['changed_behaviors']:3} changed, {facts['reopened_behaviors']:4} asked again,"
                f" {facts['journeys_replaced']:3} journeys went on, {struck} kills; input tokens {one:7,}"
                f" against {other:7,}: {one / other:.3f}",
                flush=True,
            )
        print(f"all nights: {taken:,} input tokens, {taken / alone:.3f} of the new rows sent alone")
        print(f"without instructions: {shown:,} tokens, {shown / blocks:.3f} of the new rows")
        print(f"one run over all days: {whole.summary.prompt_tokens:,}")


def _instructions(out: Path) -> int:
    """Return the tokens of a system message of a run."""
    from eventabs.store import Ledger, unpack_messages  # noqa: PLC0415  what only this looks into

    with Ledger.watch(out / "ledger.sqlite") as ledger:
        ((messages,),) = ledger.rows("SELECT messages FROM calls ORDER BY id DESC LIMIT 1")
    return TokenCounter().count(unpack_messages(messages)[0]["content"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--nights", type=int, default=31)
    parser.add_argument("--shape", choices=("window", "appended", "day"), default="window")
    parser.add_argument("--cut", type=int, default=_DAY_BEGINS, help="o'clock, at which exports end")
    parser.add_argument("--kills", type=int, default=1, help="SIGKILLs a night")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
