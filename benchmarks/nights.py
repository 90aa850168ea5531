"""A made-up app whose export grows every night, and a simulated model that answers from the rows alone, over HTTP.

Rows come late, change afterwards, share seconds and go on over midnight; new users join. The model makes an event of what
follows without a pause, so that its answer about a stretch of a log does not depend on what else it is asked about.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Lock, Thread
from typing import Any

from eventabs.prompts.tokens import TokenCounter

FIRST_DAY = datetime(2026, 3, 1)  # noqa: DTZ001  exports hold wall times
PAUSE = timedelta(minutes=60)  # of the model; less than level `day` allows within an event
WINDOW_DAYS = 30
_PLACES = ("Cafe Luna", "City gym", "Harbor cinema", "BMW dealer", "Green market", "Night bus", "Old library")
_ACTIONS = ("visit", "browse", "search", "purchase")
_LATE, _CHANGED, _OVER_MIDNIGHT, _SAME_MINUTE = 0.03, 0.01, 0.1, 0.2  # shares of rows, rows, user-days, rows
_HEADER = re.compile(r"# (?:(\d{4})-)?(\d{2})-(\d{2})")
_LINE = re.compile(r"(\d{2}):(\d{2}) (.+)")

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


def record(users: int, nights: int, *, seed: int = 7, changes: bool = True) -> list[Recorded]:
    """Make up what is recorded: 3 to 5 rows a user and day."""
    rng = Random(seed)
    rows = []
    for user in range(users):
        joined = 0 if user % 3 else rng.randrange(nights)
        for day in range(joined, nights):
            for at in _moments(rng, day):
                row = {
                    "user_id": f"user_{user:05d}",
                    "timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
                    "action": rng.choice(_ACTIONS),
                    "poi": rng.choice(_PLACES),
                    "duration": rng.choice((None, 60, 600, 1_800)),
                }
                of_day = (at - FIRST_DAY).days
                known = of_day + (rng.random() < _LATE and of_day > joined)
                changed = known + 1 if changes and rng.random() < _CHANGED else None
                rows.append(Recorded(row, of_day, known, changed, row | {"poi": "Moved cafe"}))
    return rows


def _moments(rng: Random, day: int) -> Iterator[datetime]:
    count = rng.randint(3, 5)
    at = FIRST_DAY + timedelta(days=day, seconds=rng.randrange(7 * 3600, 20 * 3600))
    if rng.random() < _OVER_MIDNIGHT:
        at = FIRST_DAY + timedelta(days=day, hours=23, minutes=rng.randrange(20, 50))
    for _row in range(count):
        yield at
        if rng.random() < _SAME_MINUTE:
            at += timedelta(seconds=rng.choice((0, 0, 20)))
        else:
            at += timedelta(minutes=rng.choice((5, 20, 40, 150)))


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
    """Answer in the lines form: an event for what follows without a pause, named by its first row."""
    lines: list[str] = []
    at: datetime | None = None
    sessions: list[tuple[datetime, datetime, str, int]] = []
    year, day = 0, FIRST_DAY

    def close() -> None:
        shown = None
        for first, last, name, rows in sessions:
            if first.date() != shown:
                lines.append(f"# {first:%Y-%m-%d}")
                shown = first.date()
            lines.append(f"{_span(first, last)} {name} | {rows} rows")
        sessions.clear()

    for line in user_message.splitlines():
        if line.startswith("## "):
            close()
            lines.append(line.split(" ")[0] + " " + line.split(" ")[1])
            at = None
        elif header := _HEADER.match(line):
            year = int(header[1] or year)
            day = datetime(year, int(header[2]), int(header[3]))  # noqa: DTZ001  as above
        elif row := _LINE.match(line):
            now = day + timedelta(hours=int(row[1]), minutes=int(row[2]))
            if at is not None and now - at <= PAUSE:
                first, _last, name, rows = sessions[-1]
                sessions[-1] = first, now, name, rows + 1
            else:
                sessions.append((now, now, _name(row[3]), 1))
            at = now
    close()
    return "\n".join([*lines, "##"])


def _name(told: str) -> str:
    place = next((place for place in (*_PLACES, "Moved cafe") if place in told), "other")
    return place.split()[-1]


def _span(first: datetime, last: datetime) -> str:
    if first == last:
        return f"{first:%H:%M}"
    return (
        f"{first:%H:%M}-{last:%H:%M}" if first.date() == last.date() else f"{first:%H:%M}-{last:%m-%d %H:%M}"
    )


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
