"""The calls of a run, from the ledger: whom they served, what they used and cost, and what was sent and answered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from eventabs.prompts import TokenCounter
from eventabs.records import Message
from eventabs.replies import without_reasoning
from eventabs.store import Ledger, unpack_messages, unpack_parts, unpack_text

_CALLS = (
    "SELECT id, users, messages, input_tokens, reasoning_tokens, reply, reasoning, sent_at, ended_at, seconds,"
    " prompt_tokens, completion_tokens, cached_tokens, attempt, status, coalesce(finish_reason, '')"
    " FROM calls ORDER BY sent_at, id"
)
_TEXTS = "SELECT messages, reply, reasoning, coalesce(error, '') FROM calls WHERE id = ?"
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

    users: int
    usable: int
    sent_at: float
    ended_at: float | None
    seconds: float | None
    prompt_tokens: int
    completion_tokens: int
    use: TokenUse
    id: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    tier: str = ""  # that served it, "" for the ordinary one
    cost: float | None = None
    attempt: int = 1
    status: str = "read"
    finish_reason: str = ""


def call_facts(ledger: Ledger, tokenizer: str, cost: Cost) -> Iterator[CallFacts]:
    """Yield all calls in the order in which they were sent."""
    # most calls have the instructions of the last one
    count = lru_cache(maxsize=1)(TokenCounter(tokenizer).count)
    usable = dict(ledger.rows("SELECT call_id, count(*) FROM outcomes WHERE reason IS NULL GROUP BY call_id"))
    tiers = dict(ledger.rows("SELECT id, tier FROM calls WHERE tier IS NOT NULL"))
    for call_id, parts, messages, tokens, reasoning, reply, thoughts, *facts in ledger.rows(_CALLS):
        sent_at, ended_at, seconds, prompt, completion, cached, *ending = facts
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
        tier = tiers.get(call_id, "")
        paid = tier, cost(prompt, completion, cached, tier)
        used = prompt, completion, use, call_id, cached, reasoning, *paid
        yield CallFacts._make((asked, held, sent_at, ended_at, seconds, *used, *ending))


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


class AskedPart(NamedTuple):
    """A user in a call, by its alias there. `outcome`: "usable", why it was not, or "" where no reply was read."""

    alias: str
    user_id: str
    first: int  # index of its first behavior
    last: int
    outcome: str


@dataclass(frozen=True, slots=True)
class CallText:
    """What was sent in a call and what came back; `error` where nothing did."""

    messages: tuple[Message, ...]
    reply: str
    reasoning: str
    error: str


def asked_parts(ledger: Ledger, call_id: int) -> tuple[AskedPart, ...]:
    """Return the users of a call with what it brought each."""
    ((parts,),) = ledger.rows("SELECT users FROM calls WHERE id = ?", call_id)
    outcomes = {(user, first): reason or "usable" for user, first, reason in ledger.rows(_OUTCOMES, call_id)}
    return tuple(
        AskedPart(alias, *part, outcomes.get((part.user_id, part.first), ""))
        for alias, part in unpack_parts(parts).items()
    )


def call_text(ledger: Ledger, call_id: int) -> CallText:
    """Return the texts of a call."""
    ((messages, reply, reasoning, error),) = ledger.rows(_TEXTS, call_id)
    return CallText(unpack_messages(messages), unpack_text(reply), unpack_text(reasoning), error)
