"""A run read from its ledger, without the lock: its state, its calls, and one user with behaviors and events."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from eventabs import store
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import Language, gettext as _
from eventabs.prompts import Compactor, TokenCounter
from eventabs.providers import Price, kind_of
from eventabs.replies import without_reasoning
from eventabs.runs import BatchDone, CallFailed, Progress, Retrying
from eventabs.shared_records import Counts, Message, Shard
from eventabs.store import Job, Ledger, RunDirectory, ShardState, Status, UserRow

_RECENT_CALLS = 50  # the last failure is among them


class Endpoint(NamedTuple):
    """What a run's settings say about its provider; `model` and `host` are "" where no model is called."""

    provider: str
    model: str
    host: str
    price: Price
    currency: str


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands. `killed`: its process is gone without having saved an end.

    `last_failure`: of the latest calls, None for a run that is completed. `language`: the `lang` setting.
    `cooling_seconds`: how long no call is sent, because the endpoint asked for fewer requests.
    """

    status: Status
    run_id: str
    out: str
    created_at: str
    endpoint: Endpoint
    progress: Progress
    failures: dict[str, int]
    last_failure: CallFailed | BatchDone | Retrying | None
    language: str
    # how the latest answer begins, where the run was stopped and nothing of it could be used
    bad_answer: str = ""
    cooling_seconds: float = 0.0
    asked_again: Mapping[str, int] = field(default_factory=dict)  # users after a bad answer, by its reason
    jobs: tuple[Job, ...] = ()  # of a batch service, and files of requests
    shards: tuple[ShardState, ...] = ()  # as they were when they were merged
    missing_shards: int = 0  # that were not merged
    limited_of: int = 0  # users of the input, of whom --limit left some out
    merged_at: str = ""


def endpoint_of(llm: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint that the stored `llm` settings name."""
    kind = kind_of(llm["provider"], model=llm["model"])
    model, host = (llm["model"], store.host_of(llm["base_url"])) if kind.is_remote else ("", "")
    return Endpoint(kind.name, model, host, Price(**llm["price"]), llm["price"]["currency"])


def inspect_run(named: Path, *, now: Callable[[], float]) -> RunState:
    """Look at a run; `now` gives seconds since 1970. Raises RunDirectoryError where there is none."""
    directory = RunDirectory.find(named)
    in_use = directory.in_use()  # before the ledger: a run that ends in between does not look killed
    with Ledger.watch(directory.ledger) as ledger:
        facts, at = ledger.meta(), now()
        saved = facts.get("status")
        status: Status = saved if saved in ("interrupted", "stopped", "waiting", "completed") else "killed"
        if in_use and "shards" not in facts:
            status = "running"
        endpoint = endpoint_of(facts["settings"]["llm"])
        began_at = facts.get("began_at", 0.0)
        running = status == "running"
        if shards := store.shard_states(directory, facts):
            endpoint = endpoint._replace(host=", ".join(dict.fromkeys(each.host for each in shards)))
        return RunState(
            status=status,
            run_id=facts["run_id"],
            out=str(directory.path),
            created_at=facts["created_at"],
            endpoint=endpoint,
            progress=_progress(ledger, facts, endpoint.price, at if running else None),
            failures=store.failure_reasons(ledger),
            asked_again=store.asked_again(ledger),
            last_failure=None if status == "completed" else _last_failure(ledger, began_at, running=running),
            language=facts["settings"]["lang"],
            bad_answer=store.bad_answer(ledger) if status == "stopped" else "",
            cooling_seconds=max(0.0, store.cooling_until(ledger, began_at) - at) if running else 0.0,
            jobs=tuple(store.stored_jobs(ledger)),
            shards=shards,
            missing_shards=Shard.parse(shards[0].shard).count - len(shards) if shards else 0,
            merged_at=facts.get("merged_at", ""),
            limited_of=store.limited_of(facts),
        )


def kept_progress(facts: Mapping[str, Any]) -> Progress:
    """Return the counts that the run kept last; one that was killed at once kept none."""
    kept = facts.get("progress", {})
    return Progress(**{field.name: kept[field.name] for field in fields(Progress) if field.name in kept})


def _progress(ledger: Ledger, facts: Mapping[str, Any], price: Price, now: float | None) -> Progress:
    """Return what the run itself shows `now`, so that no two screens contradict each other; at rest what the ledger counts."""
    kept = kept_progress(facts)
    if now is not None:
        since = max(0.0, now - facts["progress"]["at"]) if facts.get("status") == "running" else 0.0
        eta = None if kept.eta_seconds is None else max(0.0, kept.eta_seconds - since)
        answers = store.stored_answers(ledger)  # which the run itself does not count
        return replace(kept, answers=answers, seconds=kept.seconds + since, eta_seconds=eta)
    counts = store.count_all(ledger)  # a killed process may have kept less
    return Progress(
        **{field.name: getattr(counts, field.name) for field in fields(Counts)},
        batches_total=max(kept.batches_total, counts.batches_done),
        cost=price.total(counts),
        tier_costs=price.by_tier(counts) if counts.has_other_tiers else {},
        seconds=kept.seconds,
    )


def _last_failure(
    ledger: Ledger, began_at: float, *, running: bool
) -> CallFailed | BatchDone | Retrying | None:
    if running and (retry := store.retry_under_way(ledger, began_at)):
        return Retrying(retry.call_id, retry.error, retry.wait_seconds)
    latest = ledger.rows(
        "SELECT id, users, status, seconds, error FROM calls ORDER BY id DESC LIMIT ?", _RECENT_CALLS
    )
    for call_id, users, status, seconds, error in latest:
        parts = len(store.unpack_parts(users))
        if status == "failed":
            return CallFailed(call_id, parts, error or "")
        reasons = (
            "SELECT reason, count(*) FROM outcomes WHERE call_id = ? AND reason IS NOT NULL GROUP BY reason"
        )
        if unusable := dict(ledger.rows(reasons, call_id)):
            return BatchDone(call_id, parts, parts - sum(unusable.values()), unusable, seconds or 0.0)
    return None


_CALLS = """
    SELECT id, users, messages, input_tokens, reply, reasoning, coalesce(reasoning_tokens, 0), sent_at, ended_at,
        seconds, prompt_tokens, completion_tokens, cached_tokens, coalesce(tier, ''), attempt, status,
        coalesce(finish_reason, ''),
        (SELECT count(*) FROM outcomes WHERE outcomes.call_id = calls.id AND outcomes.reason IS NULL)
    FROM calls ORDER BY sent_at, id
"""
_OUTCOMES = "SELECT user_id, first, reason FROM outcomes WHERE call_id = ?"

Cost = Callable[[int, int, int, str], float | None]  # of tokens in, out and cached, at a tier


class TokenUse(NamedTuple):
    """Where the tokens of a call went. `wasted`: the share of users that got nothing usable from it."""

    instructions: float = 0.0
    behaviors: float = 0.0
    reasoning: float = 0.0
    answers: float = 0.0
    wasted: float = 0.0


class CallFacts(NamedTuple):
    """One call. Times are seconds since 1970; `ended_at` is None for a call that was lost in flight.

    `seconds` is how long its last try took, so the time before that went into waits and earlier tries.
    `reasoning_tokens` are those that the endpoint counted, `cost` is None where a price is missing.
    """

    id: int
    users: int
    cost: float | None
    use: TokenUse
    reasoning_tokens: int
    sent_at: float
    ended_at: float | None
    seconds: float | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    tier: str  # that served it, "" for the ordinary one
    attempt: int
    status: str
    finish_reason: str
    usable: int


def call_facts(ledger: Ledger, tokenizer: str, cost: Cost) -> Iterator[CallFacts]:
    """Yield all calls in the order in which they were sent."""
    # most calls have the instructions of the last one
    count = lru_cache(maxsize=1)(TokenCounter(tokenizer).count)
    for call_id, parts, messages, tokens, reply, thoughts, reasoning, *facts in ledger.rows(_CALLS):
        _sent_at, _ended_at, _seconds, prompt, completion, cached, tier, *_ending, usable = facts
        sent = store.unpack_messages(messages)
        instructions = "".join(message["content"] for message in sent if message["role"] == "system")
        asked = len(store.unpack_parts(parts))
        use = token_use(
            prompt=prompt,
            completion=completion,
            reasoning=reasoning or completion * _thought_share(reply, thoughts),
            instructions_share=count(instructions) / tokens if tokens and prompt else 0.0,
            usable_share=usable / asked if asked else 0.0,
        )
        price = cost(prompt, completion, cached, tier)
        yield CallFacts._make((call_id, asked, price, use, reasoning, *facts))


def token_use(
    *, prompt: int, completion: int, reasoning: float, instructions_share: float, usable_share: float
) -> TokenUse:
    """Split the tokens of a call by what they were for; the parts add up to all of them."""
    instructions = min(prompt, prompt * instructions_share)
    thought = min(completion, reasoning)
    return TokenUse(
        instructions * usable_share,
        (prompt - instructions) * usable_share,
        thought * usable_share,
        (completion - thought) * usable_share,
        (prompt + completion) * (1 - usable_share),
    )


def _thought_share(reply: bytes | None, thoughts: bytes | None) -> float:
    """Return the share of reasoning in a completion, by characters, where the endpoint does not count it."""
    text = store.unpack_text(reply)
    total = len(text) + len(store.unpack_text(thoughts))
    return (total - len(without_reasoning(text).text)) / total if total else 0.0


class AskedPart(NamedTuple):
    """A user in a call, by its alias there. `outcome`: "usable", why it was not, or "" where no reply was read."""

    alias: str
    user_id: str
    first: int  # index of its first behavior
    last: int
    outcome: str


def asked_parts(ledger: Ledger, call_id: int) -> tuple[AskedPart, ...]:
    """Return the users of a call with what it brought each."""
    ((parts,),) = ledger.rows("SELECT users FROM calls WHERE id = ?", call_id)
    outcomes = {(user, first): reason or "usable" for user, first, reason in ledger.rows(_OUTCOMES, call_id)}
    return tuple(
        AskedPart(alias, *part, outcomes.get((part.user_id, part.first), ""))
        for alias, part in store.unpack_parts(parts).items()
    )


_STORED = (
    "SELECT id, users, messages, reasoning, reply, status, sent_at, seconds, finish_reason, prompt_tokens,"
    " completion_tokens, cached_tokens, error FROM calls WHERE id"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A behavior. `state`: `placed`, or a field of RowsOfUser, or "" where no answer was accepted.

    `event`: the position of its event in the user's events; `begins`: it is the first one of that.
    """

    index: int
    day: str  # ISO 8601; it begins at 05:00
    text: str
    state: str
    event: int | None = None
    begins: bool = False


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as the ledger has it. `asked`: parts by alias, those of the user whose calls are read, each with its first and last behavior."""

    id: int
    asked: dict[str, tuple[str, int, int]]
    messages: tuple[Message, ...]
    reasoning: str
    reply: str
    status: str
    sent_at: float
    seconds: float | None
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    error: str | None


@dataclass(frozen=True, slots=True)
class UserView:
    """A user with all that is known of it: events and journeys (by id) of its parts that are done, in order of time."""

    row: UserRow
    profile: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    events: list[dict[str, Any]]
    journeys: dict[str, dict[str, Any]]


def view_user(ledger: Ledger, user_id: str, named: Path) -> UserView:
    """Return what is known of a user. Raises UsageError where the run, as it is `named`, has no such user."""
    row = store.user_row(ledger, user_id)
    if row is None:
        message = _("the run has no user {user}; list its users with: eventabs show {path}")
        raise UsageError(message.format(user=user_id, path=shlex.quote(str(named))))
    log, events = ledger.log(user_id), store.events_of(ledger, user_id)
    event_of = {index: position for position, event in enumerate(events) for index in event["behaviors"]}
    firsts = {event["behaviors"][0] for event in events}
    found = store.rows_of_user(ledger, user_id)._asdict()
    states = {index: state for state, indices in found.items() for index in indices}
    lines = [
        Line(
            index,
            date.fromordinal(behavior.day).isoformat(),
            text,
            "placed" if index in event_of else states.get(index, ""),
            event_of.get(index),
            index in firsts,
        )
        for index, (behavior, text) in enumerate(
            zip(log.behaviors, compactor_of(ledger.meta()).lines(log), strict=True)
        )
    ]
    journeys = {journey["id"]: journey for journey in store.journeys_of(ledger, user_id)}
    return UserView(row, log.profile, tuple(lines), events, journeys)


def stored_calls(ledger: Ledger, user_id: str) -> Iterator[StoredCall]:
    """Yield the calls that a user was part of, in order."""
    of_user = f"{_STORED} IN (SELECT call_id FROM user_calls WHERE user_id = ?) ORDER BY id"
    for row in ledger.rows(of_user, user_id):
        call = _stored(row)
        asked = {alias: part for alias, part in call.asked.items() if part[0] == user_id}
        yield replace(call, asked=asked)


def stored_call(ledger: Ledger, call_id: int) -> StoredCall:
    """Return a call with its texts and all its parts."""
    (row,) = ledger.rows(f"{_STORED} = ?", call_id)
    return _stored(row)


def _stored(row: Sequence[Any]) -> StoredCall:
    call_id, parts, messages, reasoning, reply, *facts = row
    asked = {alias: (*part,) for alias, part in store.unpack_parts(parts).items()}
    texts = store.unpack_messages(messages), store.unpack_text(reasoning), store.unpack_text(reply)
    return StoredCall(call_id, asked, *texts, *facts)


def compactor_of(facts: Mapping[str, Any]) -> Compactor:
    """Return what writes the behaviors of a run, from its facts; a line for each, whatever its prompts had."""
    language: Language = "zh" if facts.get("prompt_language") == "zh" else "en"
    return Compactor(language, facts["settings"]["compaction"]["strip"])
