"""A small run that ended in every way, for the tests of the report."""

from dataclasses import replace
from pathlib import Path

from eventabs.records import Event, Part, Usage, UserLog
from eventabs.store.ledger import Ledger, PartChange, Retry
from runs_kit import SIZE, answer, bad, batch_of, event_of, make_log, request_for, well, whole

FACTS: dict[str, object] = {
    "run_id": "r1",
    "created_at": "2026-01-15T10:00:00+00:00",
    "paths": ["/somewhere/behaviors.csv"],
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
    },
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
        _event(done, kind, summary),
        _event(done, kind + "!", "", category="conversion", start="2026-01-03T22:00:00", behaviors=()),
    ]
    with ledger.transaction():
        first = _call(ledger, *logs[:2])
        usage = Usage(prompt_tokens=200, completion_tokens=80, reasoning_tokens=20)
        ledger.store_reply(first, replace(answer(reply), usage=usage, finish_reason="length"))
        ledger.settle(
            first,
            [well(done, *events), bad(failed, "cut")],
            [PartChange(done, "done", events=2), PartChange(failed, "failed", attempts=3, reason="cut")],
        )
        ledger.note_retry(Retry(first, 1_001.0, "503", error, 1.0))
        second = _call(ledger, logs[2])
        for again in range(3):
            ledger.note_retry(Retry(second, 1_002.0 + again, "rate_limit", error, 2.0))
        ledger.fail_call(second, error, [PartChange(broken, "pending", broken_calls=1)])
    ledger.close()


def _call(ledger: Ledger, *logs: UserLog) -> int:
    request = request_for(logs)
    batch = batch_of(*(log.user_id for log in logs))
    return ledger.open_call(batch, request, settings_fingerprint="f", sent_at=1_000.0)


def _named(log: UserLog, item: str) -> UserLog:
    return replace(log, behaviors=tuple(behavior._replace(item=item) for behavior in log.behaviors))


def _event(part: Part, kind: str, summary: str, **changed: object) -> Event:
    values = {"summary": summary, "behaviors": (0, 1), "grounded": "behaviors" not in changed} | changed
    return event_of(part, kind).model_copy(update=values)
