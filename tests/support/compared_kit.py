"""Runs whose events and journeys are made up, to be held against others or against labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventabs.shared_records import Event, Journey, Outcome, UserLog, lasting_id
from eventabs.store.ledger import PartChange
from exports_kit import make_journey
from report_kit import FACTS
from runs_kit import answer, bad, event_of, make_log, new_ledger, opened, whole

SETTINGS: Any = FACTS["settings"]
BOUND = {"prompt.detail": '"day"', "llm.model": '"deepseek-chat"'}
Events = Sequence[Event]


def event(user: str, start: str, kind: str, behaviors: Sequence[int], **values: object) -> Event:
    made = event_of(whole(make_log(user)), kind, f"2026-01-01T{start}:00")
    changed: Any = {"id": lasting_id(user, behaviors[0]), "behaviors": tuple(behaviors), **values}
    return made._replace(**changed)


def journey(kind: str, *events: Event) -> Journey:
    """Return a journey of some events, which name it by its id."""
    return make_journey(
        events[0].user_id, events, id=str(events[0].journey), kind=kind, name="湖边度假", minutes=0
    )


def make_run(
    path: Path,
    events: Mapping[str, Events | None],
    *,
    journeys: Sequence[Journey] = (),
    logs: Sequence[UserLog] = (),
    tokens: tuple[int, int] = (1_000, 100),
    **facts: object,
) -> Path:
    """Make a run in which each user has its events; None: failed. `logs` replace the usual three visits."""
    path.mkdir()
    settings = {**SETTINGS, "compaction": {"strip": []}, "prompt": {"detail": "day"}}
    known = {"binding": BOUND, "input": {"fingerprint": "same"}, "prompt_language": "zh"}
    facts = {**FACTS, "settings": settings, **known, **facts}
    all_logs = {user: make_log(user) for user in events} | {log.user_id: log for log in logs}
    ledger = new_ledger(path, all_logs.values(), **facts)
    with ledger.transaction():
        call = opened(ledger, *(all_logs[user] for user in events), at=1_000.0)
        ledger.store_reply(call, answer(prompt_tokens=tokens[0], completion_tokens=tokens[1]))
        outcomes = [
            bad(whole(all_logs[user]))
            if found is None
            else Outcome(
                whole(all_logs[user]),
                None,
                tuple(found),
                tuple(each for each in journeys if each.user_id == user),
            )
            for user, found in events.items()
        ]
        changes = [
            PartChange(each.part, "done", accepted=each)
            if each.usable
            else PartChange(each.part, "failed", reason="cut")
            for each in outcomes
        ]
        ledger.settle(call, outcomes, changes)
    ledger.close()
    return path
