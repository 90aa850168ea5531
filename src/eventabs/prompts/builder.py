"""The request for a batch: the instructions, and the users' blocks."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING

from eventabs.language import Language
from eventabs.prompts.compaction import Compactor, make_legend
from eventabs.prompts.constraint import grammar, most_events, schema
from eventabs.prompts.expected_output import Expectation, response_format
from eventabs.prompts.instructions import Instructions
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import JsonSchemaFormat, Message, PartSize, Request, UserLog

if TYPE_CHECKING:
    from eventabs.choices import AnswerForm, Detail

# What a chat format adds to two messages: 4 tokens each, and 3 before the answer (OpenAI's cookbook,
# "How to count tokens with tiktoken").
CHAT_FRAMING_TOKENS = 11

_ALIASES = ("U9", "U99", "U999")  # this one costs as much as any; in OpenAI's encodings all cost the same
_LEGEND_USERS = 500  # users whose names make the legend
_LEGEND_BEHAVIORS = 100_000  # behaviors of these users, which are kept in memory; no further user then
_CHINESE_SHARE = 0.1  # brands and apps have Latin names in Chinese exports too
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


class PromptBuilder:
    """Writes prompts of one kind. Raises ConfigError if the instructions' template is wrong.

    The `legend` (texts by code, see `legend_for`) is in every request, used or not: so a part costs the
    same in any batch, and requests begin with the same bytes, as prefix caches need. `constrained`: a request
    says what its answer may contain, as a grammar for lines and as a tight schema for `schema`.
    """

    def __init__(
        self,
        instructions: Instructions,
        *,
        counter: TokenCounter,
        strip: Sequence[str] = (),
        legend: Mapping[str, str] | None = None,
        constrained: bool = False,
    ) -> None:
        self.counter = counter
        self.answer: AnswerForm = instructions.answer
        self.detail: Detail = instructions.detail
        self.expected = Expectation(
            instructions.answer, pause=instructions.pause, with_summaries=instructions.with_summaries
        )
        self.strip = tuple(strip)
        self.compactor = Compactor(instructions.language, strip, level=instructions.level, legend=legend)
        self._system: Message = {"role": "system", "content": instructions.text()}
        self._vocabulary = instructions.vocabulary
        self._constrained = constrained
        self._response_format = response_format(instructions.answer, instructions.with_summaries)
        self._alias = max(_ALIASES, key=counter.count)
        self.legend_tokens = counter.count(self.compactor.legend())
        self.instructions_tokens = (
            counter.count(self._system["content"]) + CHAT_FRAMING_TOKENS + self.legend_tokens
        )

    def legend_for(self, logs: Sequence[UserLog], limits: BatchLimits) -> dict[str, str]:
        """Return the legend that shortens batches of such users most."""
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
        """Count the tokens of the log's block exactly, and estimate those of its answer."""
        return PartSize(
            self.counter.total(self.compactor.block(self._alias, log)) + self.counter.seam,
            self.expected.tokens(log.behaviors, self.detail),
        )

    def header_tokens(self, log: UserLog) -> int:
        """Count the tokens of the block's header."""
        return self.counter.total(self.compactor.header(self._alias, log))

    def request(self, logs: Sequence[UserLog], *, max_output_tokens: int) -> Request:
        """Write the request for logs that are cut to their parts; aliases are U1, U2, ... in order."""
        users = {f"U{number}": log for number, log in enumerate(logs, 1)}
        pieces = [piece for alias, log in users.items() for piece in self.compactor.block(alias, log)]
        return Request(
            messages=(self._system, {"role": "user", "content": self.compactor.legend() + "".join(pieces)}),
            users=users,
            input_tokens=self.instructions_tokens + self.counter.total(pieces),
            max_output_tokens=max_output_tokens,
            response_format=self._schema(users),
            grammar=self._grammar(users),
        )

    def _grammar(self, users: Mapping[str, UserLog]) -> str:
        if not self._constrained or self.answer != "lines":
            return ""
        return grammar(self._days(users), self._vocabulary, with_summaries=self.expected.with_summaries)

    def _schema(self, users: Mapping[str, UserLog]) -> JsonSchemaFormat | None:
        if not self._constrained or self.answer != "schema":
            return self._response_format
        return schema(self._days(users), self._vocabulary, with_summaries=self.expected.with_summaries)

    def _days(self, users: Mapping[str, UserLog]) -> dict[str, dict[date, int]]:
        return {alias: most_events(log.behaviors, self.expected, self.detail) for alias, log in users.items()}


def sampled(logs: Iterator[UserLog]) -> list[UserLog]:
    """Take the first users of `logs`, whose words decide language and legend; of a huge user only the beginning."""
    sample: list[UserLog] = []
    behaviors = 0
    for log in islice(logs, _LEGEND_USERS):
        sample.append(replace(log, behaviors=log.behaviors[:_LEGEND_BEHAVIORS]))
        behaviors += len(log.behaviors)
        if behaviors >= _LEGEND_BEHAVIORS:
            break
    return sample


def prompt_language(texts: Iterable[str]) -> Language:
    """Return "zh" if more than one in ten letters of the sample is Chinese, else "en"."""
    letters = chinese = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        chinese += len(_CJK.findall(text))
    return "zh" if chinese > _CHINESE_SHARE * letters else "en"
