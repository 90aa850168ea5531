"""A small run that ended in every way, for the tests of the report."""

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from chromium import Page
from eventabs.inspection import Table
from eventabs.runs.run_state import state_of
from eventabs.shared_records import Behavior, Event, Outcome, Part, Usage, UserLog, lasting_id
from eventabs.store.ledger import Ledger, PartChange, Retry
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from eventabs.views.report import render_report, write_report
from exports_kit import make_event, make_journey
from runs_kit import SIZE, answer, bad, batch_of, event_of, make_log, request_for, well, whole

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>[/bold]{{7*7}}</title><!--\u2028\u202e"
READY = "document.querySelector('main[aria-busy=false]')"
FACTS: dict[str, object] = {
    "run_id": "r1",
    "created_at": "2026-01-15T10:00:00+00:00",
    "paths": ["/somewhere/behaviors.csv"],
    "files": ["/somewhere/behaviors.csv"],
    "status": "completed",
    "settings": {
        "lang": "auto",
        "llm": {
            "provider": "auto",
            "model": "deepseek-chat",
            "base_url": "https://api.example.com/v1",
            "price": {"input": 2.0, "output": 8.0, "currency": "CNY"},
        },
        "prompt": {"tokenizer": "cl100k_base"},
        "compaction": {"strip": []},
        "vocabulary": {"categories": [{"name": "conversion", "mark": "!"}]},
    },
}


_BLOCK = re.compile(r'<script type="text/plain" id="data-([\w-]+)">([\w+/=]*)</script>')


def packed_data(page: str) -> dict[str, Any]:
    """Return what a page holds compressed, by name."""
    return {
        name: orjson.loads(zlib.decompress(base64.b64decode(text))) for name, text in _BLOCK.findall(page)
    }


def make_run(
    path: Path,
    *,
    user_ids: tuple[str, str, str] = ("ann", "bob", "cy"),
    item: str = "餐厅",
    kind: str = "用餐",
    summary: str = "西餐厅用餐",
    reply: str = "<think>hm</think>## U1\n10:0",
    error: str = "HTTP 503",
) -> None:
    """Make the ledger of a run: the first user is done, the second failed, the third's call broke."""
    path.mkdir(exist_ok=True)
    logs = [_named(make_log(user_id), item) for user_id in user_ids]
    ledger = Ledger.create(path / "ledger.sqlite", FACTS)
    with ledger.transaction():
        ledger.add_users((log, [(whole(log), SIZE)]) for log in logs)
    done, failed, broken = (whole(log) for log in logs)
    events = [
        _event(done, kind, summary, logs[0], 0),
        _event(done, kind + "!", "", logs[0], 1, category="conversion", sure=False),
    ]
    with ledger.transaction():
        first = _call(ledger, *logs[:2])
        usage = Usage(prompt_tokens=200, completion_tokens=80, reasoning_tokens=20, cached_tokens=50)
        ledger.store_reply(first, answer(reply)._replace(usage=usage, finish_reason="length"))
        made = _made(done, events, journey=(kind, summary), minor=(2,))
        ledger.settle(
            first,
            [made, bad(failed, "cut")],
            [
                PartChange(done, "done", accepted=made),
                PartChange(failed, "failed", attempts=3, reason="cut"),
            ],
        )
        ledger.note_retry(Retry(first, 1_001.0, "503", error, 1.0))
        second = _call(ledger, logs[2])
        for again in range(3):
            ledger.note_retry(Retry(second, 1_002.0 + again, "rate_limit", error, 2.0))
        ledger.fail_call(second, error, [PartChange(broken, "pending", broken_calls=1)])
    ledger.close()


def rendered(run: Path, *quality: Table) -> tuple[Iterator[bytes], list[str]]:
    """Return the page of a run in pieces, and its notes; with tables of its quality."""
    directory = RunDirectory(run)
    with Ledger.watch(directory.ledger) as ledger:
        return render_report(ledger, state_of(directory, ledger), quality)


def write_page(run: Path, path: Path | None = None) -> Path:
    """Write the report of a run, by default into its folder."""
    path = path or run / "report.html"
    write_report(rendered(run)[0], path)
    return path


async def open_page(page: Page, path: Path, fragment: str = "") -> None:
    """Open a report, and wait until what its address asks for is shown."""
    await page.open(path, fragment)
    await page.until(READY)


def make_evil_run(path: Path) -> None:
    """Make a run in which every text from data tries to be markup, is written from the right, or is very long."""
    make_run(
        path,
        user_ids=(f"a{EVIL}", f"b{EVIL}", f"c{EVIL}"),
        item=EVIL,
        kind=EVIL + "שלום" + "x" * 5_000,
        summary=EVIL + "y" * 5_000,
        reply=f"## U1\n{EVIL}\x00\x1b[31m",
        error=EVIL,
    )


CROWD = tuple(f"user {n}" for n in range(1, 13))
STORIES = (  # of event types by user, in turn
    ("浏览", "对比", "到店"),
    ("浏览", "对比", "用餐"),
    ("用餐", "浏览", "购买"),
)
_GOALS = ("到店", "购买")
_NAMES = (("browse", "星瀚M5", "车迹汽车网"), ("visit", "湖滨餐厅", ""), ("visit", "启程4S店", ""))


def make_crowd(
    path: Path,
    *,
    user_ids: tuple[str, ...] = CROWD,
    calls: int = 3,
    stories: tuple[tuple[str, ...], ...] = STORIES,
    seconds: int = 600,
) -> None:
    """Make the ledger of a run in which all are done; their events tell one of the stories, one event a day, none for "".

    Each event covers two behaviors of one second and one of the same minute; the fourth of a day is minor. Stories with a goal are journeys.
    """
    path.mkdir(exist_ok=True)
    ledger = Ledger.create(path / "ledger.sqlite", FACTS)
    told = {user_id: stories[place % len(stories)] for place, user_id in enumerate(user_ids)}
    logs = [
        UserLog(user_id, tuple(_lived(story, seconds)), (("city", "上海"),))
        for user_id, story in told.items()
    ]
    with ledger.transaction():
        ledger.add_users((log, [(whole(log), SIZE)]) for log in logs)
    each = -(-len(logs) // calls)
    for first in range(0, len(logs), each):
        asked = logs[first : first + each]
        with ledger.transaction():
            call = _call(ledger, *asked)
            ledger.store_reply(call, answer("## U1\n10:00 用餐 | 湖滨餐厅\n##"))
            outcomes = [_outcome(log, told[log.user_id]) for log in asked]
            done = [PartChange(o.part, "done", accepted=o) for o in outcomes]
            ledger.settle(call, outcomes, done)
    ledger.close()


def _lived(story: tuple[str, ...], seconds: int) -> Iterator[Behavior]:
    for day, kind in enumerate(story):
        action, item, place = _NAMES[2 if kind in _GOALS else kind == "用餐"]
        for line, second in enumerate((5, 5, 40)):
            start = datetime(2026, 1, 5 + day, 9 + day, 30, second)  # noqa: DTZ001  exports hold wall times
            yield Behavior(start, action, f"{item}{line or ''}", place, seconds + line)
        yield Behavior(datetime(2026, 1, 5 + day, 20, 0), "use", "小绿书", "", 60)  # noqa: DTZ001  as above


def _outcome(log: UserLog, story: tuple[str, ...]) -> Outcome:
    events = _told(log, story)
    minor = tuple(range(3, len(log.behaviors), 4))
    unplaced = tuple(4 * day + row for day, kind in enumerate(story) if not kind for row in range(3))
    journey = ("购车", "星瀚M5") if any(kind in _GOALS for kind in story) else None
    return replace(_made(whole(log), events, journey=journey, minor=minor), unplaced=unplaced)


def _made(
    part: Part, events: list[Event], *, journey: tuple[str, str] | None, minor: tuple[int, ...]
) -> Outcome:
    """Return a usable outcome whose events are all part of one journey, of a kind and a name."""
    if journey is None:
        return replace(well(part, *events), minor=minor)
    kind, name = journey
    whole_of = make_journey(
        part.user_id,
        events,
        kind=kind,
        name=name,
        days=len({event.start[:10] for event in events}),
        minutes=60,
        converted=any(event.category == "conversion" for event in events),
    )
    joined = [event._replace(journey=whole_of.id) for event in events]
    return replace(well(part, *joined), journeys=(whole_of,), minor=minor)


def _told(log: UserLog, story: tuple[str, ...]) -> list[Event]:
    seconds = log.behaviors[0].duration or 0
    return [
        make_event(
            log.user_id,
            f"2026-01-{5 + day:02}T{9 + day:02}:30:05",
            (log.behaviors[4 * day + 2].start + timedelta(seconds=seconds + 2)).isoformat(),
            tuple(range(4 * day, 4 * day + 3)),
            type=kind,
            category="conversion" if kind in _GOALS else "engagement",
            summary=f"{kind}第{day}天",
            source="must" if kind == "购买" else "llm",
        )
        for day, kind in enumerate(story)
        if kind
    ]


def _call(ledger: Ledger, *logs: UserLog) -> int:
    request = request_for(logs)
    batch = batch_of(*(log.user_id for log in logs))
    return ledger.open_call(batch, request, settings_fingerprint="f", sent_at=1_000.0)


def _named(log: UserLog, item: str) -> UserLog:
    return log._replace(behaviors=tuple(behavior._replace(item=item) for behavior in log.behaviors))


def _event(part: Part, kind: str, summary: str, log: UserLog, row: int, **changed: object) -> Event:
    first = log.behaviors[row].start
    times = {"start": first.isoformat(), "end": (first + timedelta(minutes=30)).isoformat()}
    values: Any = (
        {"id": lasting_id(part.user_id, row), "summary": summary, "behaviors": (row,)} | times | changed
    )
    return event_of(part, kind)._replace(**values)
