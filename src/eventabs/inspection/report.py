"""What a report shows, from the ledger alone: the run, its calls, its failures and its users."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from eventabs.inspection.audit import AuditFacts, audit_facts
from eventabs.inspection.status import Endpoint, endpoint_of
from eventabs.prompts import TokenCounter
from eventabs.records import Counts, UserLog
from eventabs.replies import without_reasoning
from eventabs.store import (
    Ledger,
    Retry,
    RunDirectory,
    UserRow,
    count_all,
    events_of,
    stored_retries,
    unpack_messages,
    unpack_parts,
    unpack_text,
    user_rows,
    watch_as_one,
)

_CALLS = (
    "SELECT id, users, messages, input_tokens, reasoning_tokens, reply, reasoning, sent_at, ended_at, seconds,"
    " prompt_tokens, completion_tokens FROM calls ORDER BY sent_at, id"
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

    users: int
    usable: int
    sent_at: float
    ended_at: float | None
    seconds: float | None
    prompt_tokens: int
    completion_tokens: int
    use: TokenUse


def call_facts(ledger: Ledger, tokenizer: str) -> Iterator[CallFacts]:
    """Yield all calls in the order in which they were sent."""
    # most calls have the instructions of the last one
    count = lru_cache(maxsize=1)(TokenCounter(tokenizer).count)
    usable = dict(ledger.rows("SELECT call_id, count(*) FROM outcomes WHERE reason IS NULL GROUP BY call_id"))
    for call_id, parts, messages, tokens, reasoning, reply, thoughts, *facts in ledger.rows(_CALLS):
        prompt, completion = facts[-2:]
        sent = unpack_messages(messages)
        instructions = "".join(message["content"] for message in sent if message["role"] == "system")
        asked = len(unpack_parts(parts))
        held = usable.get(call_id, 0)
        use = token_use(
            prompt=prompt,
            completion=completion,
            reasoning=reasoning or completion * _thought_share(reply, thoughts),
            instructions_share=count(instructions) / tokens if tokens and prompt else 0.0,
            usable_share=held / asked if asked else 0.0,
        )
        yield CallFacts._make([asked, held, *facts, use])


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
    text = unpack_text(reply)
    total = len(text) + len(unpack_text(thoughts))
    return (total - len(without_reasoning(text).text)) / total if total else 0.0


_EXAMPLES = 3  # of each cause
_HEAD, _TAIL = 3_000, 600  # characters of a long reply that are shown; its end shows how it broke off

_CAUSES = "SELECT reason, bad, users, failed FROM failure_causes ORDER BY failed DESC, bad DESC, reason"
_ERRORS = (
    "SELECT coalesce(error, ''), count(*) FROM calls WHERE status = 'failed'"
    " GROUP BY error ORDER BY 2 DESC, 1 LIMIT 10"
)


class Example(NamedTuple):
    """A user that got nothing usable from a call. `left_out` counts the characters cut from the middle of the reply."""

    user_id: str
    call_id: int
    finish_reason: str
    reply: str
    left_out: int


class FailureFacts(NamedTuple):
    """A cause: how many bad answers it made, for how many users, and how many failed by it in the end."""

    reason: str
    bad_answers: int
    users: int
    failed: int
    examples: tuple[Example, ...]


def _examples(ledger: Ledger, reason: str) -> Iterator[Example]:
    """Yield replies of different calls, first those after which the user failed."""
    rows = ledger.rows(
        "SELECT user_id, call_id, finish_reason, reply FROM bad_replies WHERE reason = ?"
        " GROUP BY call_id ORDER BY max(failed) DESC, call_id LIMIT ?",
        reason,
        _EXAMPLES,
    )
    for *facts, blob in rows:
        text = unpack_text(blob)
        left_out = max(0, len(text) - _HEAD - _TAIL)
        shown = f"{text[:_HEAD]}\n […]\n{text[-_TAIL:]}" if left_out else text
        yield Example._make([*facts, shown, left_out])


class UserFacts(NamedTuple):
    """One user: the state, the log and the events that hold."""

    row: UserRow
    log: UserLog
    events: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A run as its ledger has it."""

    run_id: str
    status: str
    created_at: str
    inputs: tuple[str, ...]
    endpoint: Endpoint
    counts: Counts
    cost: float | None
    calls: tuple[CallFacts, ...]
    retries: tuple[Retry, ...]
    failures: tuple[FailureFacts, ...]  # those that made users fail first
    call_errors: tuple[tuple[str, int], ...]  # what ended calls without an answer, the most frequent first
    users: Iterator[UserFacts]  # failed ones first, then pending, then done, each by id; can be read once
    language: str  # the `lang` setting of the run
    audit: AuditFacts | None


@contextmanager
def open_report_facts(named: Path) -> Iterator[ReportFacts]:
    """Read what a report needs of a run directory. Raises RunDirectoryError where there is no run."""
    with watch_as_one(RunDirectory.find(named, merged=True)) as ledger:
        meta = ledger.meta()
        settings = meta["settings"]
        endpoint = endpoint_of(settings["llm"])
        counted = count_all(ledger)
        yield ReportFacts(
            run_id=meta["run_id"],
            status=meta.get("status", "running"),
            created_at=meta["created_at"],
            inputs=tuple(Path(path).name for path in meta["paths"]),
            endpoint=endpoint,
            counts=counted,
            cost=endpoint.price.total(counted) if endpoint.model else None,
            calls=tuple(call_facts(ledger, settings["prompt"]["tokenizer"])),
            retries=tuple(stored_retries(ledger)),
            failures=tuple(
                FailureFacts._make([*row, tuple(_examples(ledger, row[0]))]) for row in ledger.rows(_CAUSES)
            ),
            call_errors=tuple(ledger.rows(_ERRORS)),
            users=_users(ledger),
            language=settings["lang"],
            audit=audit_facts(named),
        )


def _users(ledger: Ledger) -> Iterator[UserFacts]:
    for state in ("failed", "pending", "done"):
        for row in user_rows(ledger, state):
            yield UserFacts(row, ledger.log(row.user_id), events_of(ledger, row.user_id))
