"""User logs -> what they cost, their parts, and the request for a batch. The door of this room."""

from collections.abc import Mapping, Sequence

from eventabs.language import Language
from eventabs.prompts.answers import TOKENS_A_USER, TOKENS_AN_EVENT, expected_output_tokens, response_format
from eventabs.prompts.compaction import Compactor, make_legend
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.splitting import split
from eventabs.prompts.templates import system_message
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import (
    AnswerForm,
    Compaction,
    Detail,
    Message,
    Part,
    PartSize,
    Request,
    UserLog,
    Vocabulary,
)

# What a chat format adds to two messages: 4 tokens each, and 3 before the answer (OpenAI's cookbook,
# "How to count tokens with tiktoken").
CHAT_FRAMING_TOKENS = 11

_ALIASES = ("U9", "U99", "U999")  # one of them costs as much as any; in OpenAI's encodings all cost the same
# A token is at least a byte, so these bounds need no counting:
_MOST_BYTES_A_LINE = 64  # all but the fields, with a day header
_MOST_BYTES_A_CHARACTER = 8  # four in UTF-8, twice where it is escaped


class PromptBuilder:
    """Writes prompts of one kind. Raises ConfigError where `template` does not hold.

    The `legend` (texts by code, see `legend_for`) stands in every request, used or not: so a part costs the
    same in any batch, and requests begin with the same bytes, which prefix caches want.
    """

    def __init__(
        self,
        *,
        counter: TokenCounter,
        language: Language,
        template: str | None,
        vocabulary: Vocabulary,
        answer: AnswerForm,
        detail: Detail,
        strip: Sequence[str] = (),
        level: Compaction = "line",
        legend: Mapping[str, str] | None = None,
    ) -> None:
        self.counter = counter
        self.answer: AnswerForm = answer
        self.detail: Detail = detail
        self.strip = tuple(strip)
        self.compactor = Compactor(language, strip, level=level, legend=legend)
        self._system: Message = {
            "role": "system",
            "content": system_message(template, language, vocabulary, answer, detail, level=level),
        }
        self._response_format = response_format(answer)
        self._alias = max(_ALIASES, key=counter.count)
        self.legend_tokens = counter.count(self.compactor.legend())
        self.instructions_tokens = (
            counter.count(self._system["content"]) + CHAT_FRAMING_TOKENS + self.legend_tokens
        )

    def legend_for(self, logs: Sequence[UserLog], limits: BatchLimits) -> dict[str, str]:
        """Return the legend that shortens batches of users like these most."""
        if not logs:
            return {}
        sizes = [self.measure(log) for log in logs]
        users = min(
            limits.max_users,
            len(logs) * limits.room / max(1, sum(size.input_tokens for size in sizes)),
            len(logs) * limits.max_output_tokens / sum(size.output_tokens for size in sizes),
        )
        share = min(1.0, users / len(logs))
        return make_legend(self.compactor.texts(logs), share, self.counter.count)

    def measure(self, log: UserLog) -> PartSize:
        """Count the tokens of the log's block, exactly, and estimate those of the answer about it."""
        return PartSize(
            self.counter.total(self.compactor.block(self._alias, log)) + self.counter.seam,
            expected_output_tokens(log.behaviors, self.detail, self.answer),
        )

    def header_tokens(self, log: UserLog) -> int:
        """Count the tokens of what stands above the log's days."""
        return self.counter.total(self.compactor.header(self._alias, log))

    def split(self, log: UserLog, limits: BatchLimits) -> tuple[Part, ...]:
        """Cut a log into parts that each fit into a batch; one part where the whole log does."""

        def fits(first: int, last: int) -> bool:
            part = UserLog(log.user_id, log.behaviors[first : last + 1], log.profile)
            return self._surely_fits(part, limits) or limits.hold(self.measure(part))

        return split(log, fits)

    def request(self, logs: Sequence[UserLog], *, max_output_tokens: int) -> Request:
        """Write the request for some logs, each already cut to its part: aliases U1, U2, ... in order."""
        users = {f"U{number}": log for number, log in enumerate(logs, 1)}
        pieces = [piece for alias, log in users.items() for piece in self.compactor.block(alias, log)]
        return Request(
            messages=(self._system, {"role": "user", "content": self.compactor.legend() + "".join(pieces)}),
            users=users,
            input_tokens=self.instructions_tokens + self.counter.total(pieces),
            max_output_tokens=max_output_tokens,
            response_format=self._response_format,
        )

    def _surely_fits(self, log: UserLog, limits: BatchLimits) -> bool:
        """Whether an upper bound already fits, which is far cheaper than to count."""
        characters = sum(len(b.action) + len(b.item) + len(b.place) for b in log.behaviors)
        characters += sum(len(column) + len(value) for column, value in log.profile)
        lines = len(log.behaviors) + len(log.profile) + 1
        most_events = len(log.behaviors)
        return limits.hold(
            PartSize(
                characters * _MOST_BYTES_A_CHARACTER + lines * _MOST_BYTES_A_LINE,
                TOKENS_A_USER + TOKENS_AN_EVENT[self.answer] * most_events,
            )
        )
