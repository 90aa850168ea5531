"""The calls of a run for its report: when, how large, and what their tokens were spent on."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from eventabs.events.cleaning import without_reasoning
from eventabs.prompts.tokens import TokenCounter
from eventabs.runs.ledger import Ledger
from eventabs.runs.stored_logs import unpack_json, unpack_text

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
