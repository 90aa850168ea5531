"""What a report shows, from the ledger alone: the headline, the users and what is said of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from eventabs.prompts import TokenCounter
from eventabs.providers import kind_of
from eventabs.records import Behavior, Counts
from eventabs.replies import without_reasoning
from eventabs.runs import Price
from eventabs.store import (
    Ledger,
    Retry,
    RunDirectory,
    count_all,
    damage_reported,
    host_of,
    stored_retries,
    unpack_json,
    unpack_log,
    unpack_text,
)

_CALLS = (
    "SELECT id, users, messages, input_tokens, sent_at, ended_at, seconds, status, finish_reason,"
    " prompt_tokens, completion_tokens, reasoning_tokens, reply, reasoning FROM calls ORDER BY sent_at, id"
)


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
    """

    call_id: int
    users: int
    usable: int
    sent_at: float
    ended_at: float | None
    seconds: float | None
    status: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    use: TokenUse


def call_facts(ledger: Ledger, tokenizer: str) -> Iterator[CallFacts]:
    """Yield all calls in the order in which they were sent."""
    instructions = _Instructions(TokenCounter(tokenizer))
    usable = dict(ledger.rows("SELECT call_id, count(*) FROM parts WHERE state = 'done' GROUP BY call_id"))
    for row in ledger.rows(_CALLS):
        call_id, users, messages, tokens, sent_at, ended_at, seconds, status, finish, *spent = row
        prompt, completion, reasoning, reply, thoughts = spent
        asked = len(orjson.loads(users))
        held = usable.get(call_id, 0)
        use = token_use(
            prompt=prompt,
            completion=completion,
            reasoning=reasoning or completion * _thought_share(reply, thoughts),
            instructions_share=instructions.tokens(messages) / tokens if tokens and prompt else 0.0,
            usable_share=held / asked if asked else 0.0,
        )
        yield CallFacts(
            call_id,
            asked,
            held,
            sent_at,
            ended_at,
            seconds,
            status,
            finish or "",
            prompt,
            completion,
            use,
        )


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


class _Instructions:
    """Counts system messages; mostly the one before is there again."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._before = ""
        self._counted = 0

    def tokens(self, packed: bytes) -> int:
        messages: list[dict[str, Any]] = unpack_json(packed)
        text = "".join(message["content"] for message in messages if message["role"] == "system")
        if text != self._before:
            self._before, self._counted = text, self._counter.count(text)
        return self._counted


def _thought_share(reply: bytes | None, thoughts: bytes | None) -> float:
    """Return how much of what was said is reasoning, by characters, where the endpoint does not count it."""
    text = "" if reply is None else unpack_text(reply)
    aside = 0 if thoughts is None else len(unpack_text(thoughts))
    total = len(text) + aside
    return (total - len(without_reasoning(text).text)) / total if total else 0.0


_EXAMPLES = 3  # of each cause
_HEAD, _TAIL = 3_000, 600  # characters of a long reply that are shown; its end tells how it broke off

_REASONS = """
    SELECT reason, sum(bad), sum(failed), sum(users) FROM (
        SELECT reason, count(*) AS bad, 0 AS failed, count(DISTINCT user_id) AS users
        FROM outcomes WHERE reason IS NOT NULL GROUP BY reason
        UNION ALL
        SELECT reason, 0, count(DISTINCT user_id), 0 FROM parts WHERE state = 'failed' GROUP BY reason
    ) GROUP BY reason ORDER BY 3 DESC, 2 DESC, reason
"""


class Example(NamedTuple):
    """A user whom a call did not serve. `left_out` counts the characters cut from the middle of the reply."""

    user_id: str
    call_id: int
    attempt: int
    finish_reason: str
    reply: str
    left_out: int


class FailureFacts(NamedTuple):
    """A cause: how often a reply was bad for a user by it, for how many, and who failed by it in the end."""

    reason: str
    bad_answers: int
    users: int
    failed: int
    examples: tuple[Example, ...]


class CallError(NamedTuple):
    """An error that ended calls without an answer, and how many."""

    error: str
    calls: int


def failure_facts(ledger: Ledger) -> Iterator[FailureFacts]:
    """Yield all causes: those that users failed by in the end first."""
    for reason, bad, failed, users in ledger.rows(_REASONS):
        yield FailureFacts(reason, bad, users, failed, tuple(_examples(ledger, reason)))


def call_errors(ledger: Ledger) -> Iterator[CallError]:
    """Yield what ended calls without an answer, the most frequent first."""
    for error, calls in ledger.rows(
        "SELECT error, count(*) FROM calls WHERE status = 'failed' GROUP BY error ORDER BY 2 DESC, 1 LIMIT 10"
    ):
        yield CallError(error or "", calls)


def _examples(ledger: Ledger, reason: str) -> Iterator[Example]:
    """Yield replies of different calls, those first that decided the matter."""
    rows = ledger.rows(
        "SELECT outcomes.user_id, calls.id, calls.attempt, calls.finish_reason, calls.reply"
        " FROM outcomes JOIN calls ON calls.id = outcomes.call_id"
        " LEFT JOIN parts ON parts.call_id = calls.id AND parts.user_id = outcomes.user_id"
        " AND parts.first = outcomes.first AND parts.state = 'failed'"
        " WHERE outcomes.reason = ? GROUP BY calls.id ORDER BY max(parts.state IS NOT NULL) DESC, calls.id LIMIT ?",
        reason,
        _EXAMPLES,
    )
    for user_id, call_id, attempt, finish_reason, blob in rows:
        text = "" if blob is None else unpack_text(blob)
        left_out = max(0, len(text) - _HEAD - _TAIL)
        shown = f"{text[:_HEAD]}\n […]\n{text[-_TAIL:]}" if left_out else text
        yield Example(user_id, call_id, attempt, finish_reason or "", shown, left_out)


_STATES = """
    SELECT CASE WHEN sum(state = 'pending') THEN 'pending' WHEN sum(state = 'failed') THEN 'failed' ELSE 'done' END
        AS state, min(reason) FILTER (WHERE state = 'failed') AS reason
    FROM parts WHERE true
"""
_USER_IDS = f"""
    SELECT user_id FROM ({_STATES.replace("SELECT", "SELECT user_id,", 1)} GROUP BY user_id)
    ORDER BY CASE state WHEN 'failed' THEN 0 WHEN 'pending' THEN 1 ELSE 2 END, user_id
"""


@dataclass(frozen=True, slots=True)
class UserFacts:
    """One user: the state, the log and the events that hold. `reason` is "" unless it failed."""

    user_id: str
    state: str
    reason: str
    profile: tuple[tuple[str, str], ...]
    behaviors: tuple[Behavior, ...]
    events: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A run as its ledger has it. `model` and `host` are "" where no model was called."""

    run_id: str
    status: str
    created_at: str
    inputs: tuple[str, ...]
    provider: str
    model: str
    host: str
    counts: Counts
    cost: float | None
    currency: str
    calls: tuple[CallFacts, ...]
    retries: tuple[Retry, ...]
    failures: tuple[FailureFacts, ...]
    call_errors: tuple[CallError, ...]
    users: Iterator[
        UserFacts
    ]  # failed ones first, then pending, then done, each by id; read once, as it goes
    language: str  # the `lang` setting of the run


@contextmanager
def open_report_facts(named: Path) -> Iterator[ReportFacts]:
    """Read what a report needs of a run directory. Raises RunDirectoryError where there is no run."""
    path = RunDirectory.find(named).ledger
    with damage_reported(path), Ledger.watch(path) as ledger:
        yield _facts(ledger)


def _facts(ledger: Ledger) -> ReportFacts:
    meta = ledger.meta()
    settings = meta["settings"]
    llm = settings["llm"]
    counted = count_all(ledger)
    kind = kind_of(llm["provider"], model=llm["model"])
    price = Price(llm["price"]["input"], llm["price"]["output"])
    return ReportFacts(
        run_id=meta["run_id"],
        status=meta.get("status", "running"),
        created_at=meta["created_at"],
        inputs=tuple(Path(path).name for path in meta["paths"]),
        provider=kind.name,
        model=llm["model"] if kind.is_remote else "",
        host=host_of(llm["base_url"]) if kind.is_remote else "",
        counts=counted,
        cost=price.cost(counted.prompt_tokens, counted.completion_tokens) if kind.is_remote else None,
        currency=llm["price"]["currency"],
        calls=tuple(call_facts(ledger, settings["prompt"]["tokenizer"])),
        retries=tuple(stored_retries(ledger)),
        failures=tuple(failure_facts(ledger)),
        call_errors=tuple(call_errors(ledger)),
        users=_users(ledger),
        language=settings["lang"],
    )


def _users(ledger: Ledger) -> Iterator[UserFacts]:
    for (user_id,) in ledger.rows(_USER_IDS):
        ((blob,),) = ledger.rows("SELECT log FROM users WHERE user_id = ?", user_id)
        ((state, reason),) = ledger.rows(f"{_STATES} AND user_id = ? GROUP BY user_id", user_id)
        log = unpack_log(user_id, blob)
        yield UserFacts(
            user_id, state, reason or "", log.profile, log.behaviors, tuple(_kept_events(ledger, user_id))
        )


def _kept_events(ledger: Ledger, user_id: str) -> list[dict[str, Any]]:
    """Return the events of all parts that are done: a failed user's good parts count as well."""
    rows = ledger.rows(
        "SELECT outcomes.events FROM parts JOIN outcomes USING (call_id, user_id, first)"
        " WHERE parts.state = 'done' AND user_id = ?",
        user_id,
    )
    events = [event for (blob,) in rows for event in unpack_json(blob)]
    return sorted(events, key=lambda event: (event["start"], event["end"]))
