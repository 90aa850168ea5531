"""How the simulated endpoint decides: how fast it is, whom it admits, what a request gets. No clock, no network."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import simulated_replies as replies
from eventabs.prompts.tokens import TokenCounter
from simulated_replies import Answered, Block, Segment, Wanted

# The failures of the case: each kind but those ON_TOP excludes the others.
CASE_FAILURES = "empty=0.10,malformed=0.15,cut=0.10,stalled=0.05,rate_limited=0.05,think=1.0"
# Thoughts before an answer; the share of conversions that answers count as minor; the share of rows that they leave out.
ON_TOP = ("think", "missed", "lost")
KINDS = ("empty", "malformed", "cut", "stalled", "rate_limited", "broken", "unavailable")

MINUTE = 60.0
ON_THE_WAY = 0.1  # seconds after a 429 in which requests may still come that left before it arrived
_PIECE_SECONDS = 0.02  # real time between two pieces of a stream
_LEAST_PIECE = 4  # tokens
_EMPTY = ("nothing", "blank", "null")


def parse_failures(text: str) -> dict[str, float]:
    """Read `empty=0.1,think=1`. Raises ValueError where a kind is unknown or the shares exceed one."""
    shares = {}
    for item in filter(None, text.replace(" ", "").split(",")):
        kind, _, share = item.partition("=")
        if kind not in KINDS + ON_TOP:
            message = f"{kind}: no such failure; there are {', '.join(KINDS + ON_TOP)}"
            raise ValueError(message)
        shares[kind] = float(share)
    exclusive = sum(share for kind, share in shares.items() if kind in KINDS)
    if exclusive > 1 or any(not 0 <= share <= 1 for share in shares.values()):
        message = "the shares of the failures must be from 0 to 1, and together at most 1"
        raise ValueError(message)
    return shares


@dataclass(frozen=True, slots=True)
class Speed:
    """The latency model: seconds to the first token, tokens a second read and written (0: at once)."""

    first_token: float = 1.0
    prefill: float = 5000.0
    decode: float = 60.0
    scale: float = 1.0  # so many times faster than that

    def reading(self, prompt_tokens: int) -> float:
        """Return the seconds from the request to the first token."""
        return (self.first_token + (prompt_tokens / self.prefill if self.prefill else 0.0)) / self.scale

    def writing(self, tokens: int) -> float:
        """Return the seconds that so many tokens take."""
        return tokens / self.decode / self.scale if self.decode else 0.0

    @property
    def piece(self) -> int:
        """How many tokens a piece of a stream holds."""
        return max(_LEAST_PIECE, int(self.decode * self.scale * _PIECE_SECONDS))


@dataclass(frozen=True, slots=True)
class Options:
    """What the endpoint is like. `retry_after` (seconds) goes with drawn 429s; limits of 0 are none."""

    speed: Speed = Speed()
    failures: Mapping[str, float] = field(default_factory=dict)
    seed: int = 7
    rpm: int = 0
    tpm: int = 0
    retry_after: float = 1.0


class RateLimits:
    """Requests and tokens in any 60 seconds, and the times in which a 429 has forbidden to ask."""

    def __init__(self, rpm: int, tpm: int) -> None:
        self._rpm = rpm
        self._tpm = tpm
        self._admitted: deque[tuple[float, int]] = deque()  # (time, tokens)
        self._tokens = 0
        self._forbidden: list[tuple[float, float]] = []

    def admit(self, now: float, tokens: int) -> float:
        """Admit a request, or return the seconds until it could be; one above `tpm` needs a minute alone."""
        while self._admitted and self._admitted[0][0] + MINUTE <= now:
            self._tokens -= self._admitted.popleft()[1]
        tokens_over = self._tokens + min(tokens, self._tpm) - self._tpm if self._tpm else 0
        requests_over = len(self._admitted) + 1 - self._rpm if self._rpm else 0
        wait = 0.0
        for admitted_at, taken in self._admitted:
            if tokens_over <= 0 and requests_over <= 0:
                break
            tokens_over, requests_over = tokens_over - taken, requests_over - 1
            wait = admitted_at + MINUTE - now
        if not wait:
            self._admitted.append((now, tokens))
            self._tokens += tokens
        return wait

    def forbid(self, now: float, seconds: float) -> None:
        """Forbid requests for so long."""
        self._forbidden.append((now + ON_THE_WAY, now + seconds))

    def is_forbidden(self, now: float) -> bool:
        """Whether a request now ignores a 429."""
        self._forbidden = [window for window in self._forbidden if window[1] > now]
        return any(begin <= now for begin, _ in self._forbidden)


class Weight(NamedTuple):
    """Tokens of a reply: of its reasoning field, of its content, and of the content by the user it is about."""

    reasoning: int
    content: int
    by_user: dict[str, int]

    @property
    def total(self) -> int:
        """All that is paid for."""
        return self.reasoning + self.content


class Model:
    """Draws what goes wrong, and answers."""

    def __init__(self, failures: Mapping[str, float], seed: int) -> None:
        self._failures = failures
        self._seed = seed
        self._counter = TokenCounter()
        self._asked: Counter[str] = Counter()
        self._instructions: dict[str, int] = {}

    def prompt_tokens(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Count the tokens of the messages; those before the last come again and again."""
        *before, last = (message["content"] for message in messages)
        for text in before:
            if text not in self._instructions:
                self._instructions[text] = self._counter.count(text)
        return sum(self._instructions[text] for text in before) + replies.count(self._counter, last)

    def draw(self, message: str) -> tuple[str, Random]:
        """Return what goes wrong with a request, "well" if nothing, and the randomness of its answer.

        `message` names what is asked; asked again, the draw is another.
        """
        self._asked[message] += 1
        rng = Random(f"{self._seed}:{message}:{self._asked[message]}")
        share = rng.random()
        for kind in KINDS:
            share -= self._failures.get(kind, 0.0)
            if share < 0:
                return kind, rng
        return "well", rng

    def answer(
        self, blocks: Mapping[str, Block], kind: str, wanted: Wanted, most_tokens: int, rng: Random
    ) -> tuple[Answered, str]:
        """Write an answer that is good or bad as `kind` says; return it with the variety of its badness."""
        answers = {alias: replies.told_of(block, wanted.minor_word) for alias, block in blocks.items()}
        if missed := self._failures.get("missed", 0.0):
            for alias, told in answers.items():
                answers[alias] = told.without(lambda event: event.type[-1] == "!" and rng.random() < missed)
        if lost := self._failures.get("lost", 0.0):
            answers = {alias: replies.losing(told, lost, rng) for alias, told in answers.items()}
        detail = ""
        written: Sequence[Segment] = ()
        if kind == "empty":
            detail = rng.choice(_EMPTY)
            written = [Segment("", " \n")] if detail == "blank" else []
        elif kind == "malformed":
            detail = rng.choice(sorted(replies.MALFORMED))
            written = replies.malformed(detail, answers, wanted.form, rng)
        else:
            written = replies.segments(answers, wanted.form)
        answered = Answered(tuple(written))
        if rng.random() < self._failures.get("think", 0.0):
            answered = replies.with_thinking(answered, replies.thinking(answers, rng), rng)
        if kind in ("cut", "broken"):
            tokens = int(self.weigh(answered).total * rng.uniform(0.2, 0.9))
            answered = replies.cut(answered, self._counter, tokens=tokens)
        return replies.cut(answered, self._counter, tokens=most_tokens), detail

    def weigh(self, answered: Answered) -> Weight:
        """Count the tokens of a reply."""
        by_user: dict[str, int] = {}
        content = 0
        for alias, text in answered.segments:
            tokens = replies.count(self._counter, text)
            content += tokens
            if alias and tokens:
                by_user[alias] = by_user.get(alias, 0) + tokens
        return Weight(replies.count(self._counter, answered.reasoning), content, by_user)
