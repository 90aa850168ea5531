"""Tiny requests that show what an endpoint takes. Each costs a few dozen tokens, more where a model thinks."""

from dataclasses import dataclass, replace
from typing import Literal

from eventabs.errors import RejectedRequestError
from eventabs.llm.endpoint import CallLimits, Endpoint, Sampling, parse_address
from eventabs.llm.openai import OpenAIProvider
from eventabs.llm.redaction import one_line
from eventabs.llm.wire import parse_json
from eventabs.records import JsonSchemaFormat, Message, Reply, Request, Usage

Support = Literal["yes", "ignored", "no", "unknown"]
LimitName = Literal["max_tokens", "max_completion_tokens"]

_HELLO = "Answer with one word: ready"
_HELLO_TOKENS = 512  # enough for a model that thinks a little first
_COUNT = "Count from 1 to 200, separated by spaces. Write nothing else."
_COUNT_TOKENS = 16
_SLACK = 2  # times the limit that an answer may have before it counts as unlimited
_CHARACTERS_A_TOKEN = 8  # at most, in such an answer
_JSON = "Answer in JSON: are you ready?"
_KEY = "ready_to_read_exports"  # no model would choose it by itself
_SCHEMA: JsonSchemaFormat = {
    "type": "json_schema",
    "json_schema": {
        "name": "readiness",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {_KEY: {"type": "boolean"}},
            "required": [_KEY],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and the parameters that were not sent: omitted, or refused by the endpoint."""

    reply: Reply
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class OutputLimit:
    """The parameter that limits an answer's length, and whether it does. `tokens` came where `asked` were allowed."""

    name: LimitName
    support: Support
    tokens: int
    asked: int = _COUNT_TOKENS


class Prober:
    """Asks an endpoint as a run would ask it. Raises ConfigError when made with settings that cannot work.

    Every question raises the subclasses of EndpointError. What the endpoint has refused is not sent again.
    `spent`: the tokens of all answers so far.
    """

    def __init__(self, endpoint: Endpoint, sampling: Sampling, limits: CallLimits) -> None:
        self._secrets = parse_address(endpoint).secrets
        self._endpoint = endpoint
        self._sampling = sampling
        self._limits = limits
        self.spent = Usage()

    async def say_hello(self, *, stream: bool | None = None) -> Answer:
        """Ask for one word, with everything that the settings send; `stream` as they have it unless it is given."""
        stream = self._sampling.stream if stream is None else stream
        return await self._ask(_HELLO, _HELLO_TOKENS, replace(self._sampling, stream=stream))

    async def find_output_limit(self) -> OutputLimit:
        """Ask for more than the limit allows, by the other of the two parameters where the first is ignored."""
        first = await self._count_up(self._sampling)
        if first.support == "ignored" and first.name == "max_tokens":
            omit = self._sampling.omit | {"max_tokens"}
            second = await self._count_up(replace(self._sampling, omit=omit))
            if second.support == "yes":
                return second
        return first

    async def keeps_schema(self) -> Support:
        """Ask under a json_schema with a key that only the schema names."""
        return await self._in_json(self._sampling, _SCHEMA, key=_KEY)

    async def keeps_json(self) -> Support:
        """Ask under json_object."""
        extra_body = {**self._sampling.extra_body, "response_format": {"type": "json_object"}}
        return await self._in_json(replace(self._sampling, extra_body=extra_body), None, key="")

    def shown(self, text: str) -> str:
        """Return foreign text as one line without secrets."""
        return one_line(text, self._secrets)

    async def _in_json(
        self, sampling: Sampling, response_format: JsonSchemaFormat | None, *, key: str
    ) -> Support:
        sampling = replace(sampling, omit=sampling.omit - {"response_format"})
        try:
            answer = await self._ask(_JSON, _HELLO_TOKENS, sampling, response_format)
        except RejectedRequestError:
            return "no"
        if "response_format" in answer.left_out:
            return "no"
        if answer.reply.finish_reason != "stop":
            return "unknown"
        value = parse_json(answer.reply.text.strip().encode())
        return "yes" if isinstance(value, dict) and (not key or key in value) else "ignored"

    async def _count_up(self, sampling: Sampling) -> OutputLimit:
        try:
            answer = await self._ask(_COUNT, _COUNT_TOKENS, sampling)
        except RejectedRequestError:  # so say models that cannot think in so few tokens
            return OutputLimit(
                "max_completion_tokens" if "max_tokens" in sampling.omit else "max_tokens", "unknown", 0
            )
        reply = answer.reply
        tokens = reply.usage.completion_tokens or len(reply.text) // _CHARACTERS_A_TOKEN
        unlimited = tokens - reply.usage.reasoning_tokens > _COUNT_TOKENS * _SLACK
        support: Support = "ignored" if unlimited else "yes" if reply.finish_reason == "length" else "unknown"
        name: LimitName = "max_completion_tokens" if "max_tokens" in answer.left_out else "max_tokens"
        return OutputLimit(name, support, tokens)

    async def _ask(
        self, text: str, most_tokens: int, sampling: Sampling, response_format: JsonSchemaFormat | None = None
    ) -> Answer:
        provider = OpenAIProvider(self._endpoint, sampling, self._limits)
        message: Message = {"role": "user", "content": text}
        request = Request((message,), {}, 0, most_tokens, response_format)
        try:
            reply = await provider.complete(request)
        finally:
            await provider.aclose()
        self.spent = Usage(*(sum(pair) for pair in zip(self.spent, reply.usage, strict=True)))
        refused = provider.dropped - sampling.omit - {"response_format"}
        self._sampling = replace(self._sampling, omit=self._sampling.omit | refused)
        return Answer(reply, provider.dropped)
