"""Tiny requests that show what an endpoint supports. Each costs a few dozen tokens, more where a model thinks."""

from contextlib import aclosing, suppress
from typing import Any, Literal

from eventabs.errors_and_exit_codes import RejectedRequestError, TransientError
from eventabs.interface_language import gettext as _
from eventabs.providers.openai import endpoint_and_wire as wire
from eventabs.providers.openai.client import Channel, OpenAIProvider
from eventabs.providers.openai.endpoint_and_wire import Endpoint, GrammarField
from eventabs.providers.openai.endpoint_errors import find_error, make_error
from eventabs.shared_records import Reply, Request, Usage

# names of a model's context: vLLM and SGLang, Moonshot and OpenRouter, Groq, LM Studio
_CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")


async def list_models(endpoint: Endpoint) -> dict[str, int | None]:
    """Fetch the tokens of the contexts of all models, by name, None where the list lacks them. Raises ConfigError and the subclasses of EndpointError."""
    async with aclosing(Channel(endpoint)) as channel:
        sending = channel.send("GET", channel.address.beside("/models"))
        body, context = await channel.read(sending, limit=endpoint.reply_characters)
    payload = wire.parse_json(body)
    entries = payload.get("data", payload.get("models")) if isinstance(payload, dict) else payload
    if isinstance(entries, list):
        found = dict[str, int | None]()  # a gateway may list a model for each server behind it
        for entry in entries:
            model = entry if isinstance(entry, dict) else {"id": entry}
            known = [model.get(field) for field in _CONTEXT_FIELDS]
            # llama.cpp, where n_ctx_train is not what is in force
            if isinstance(meta := model.get("meta"), dict):
                known.append(meta.get("n_ctx"))
            tokens = next((each for each in known if type(each) is int and each > 0), None)
            name = model.get("id") or model.get("name")
            if isinstance(name, str) and name:
                key = wire.redacted_line(name, context.secrets)
                found[key] = found.get(key) or tokens
        return found
    if error := find_error(payload):
        raise make_error(error, context)
    text = wire.redacted_line(body[:1024].decode("utf-8", "replace"), context.secrets) or _("nothing")
    message = _("{host} did not answer with a list of models: {said}; check llm.base_url")
    raise TransientError(message.format(host=context.host, said=text), status=context.status)


Support = Literal["yes", "ignored", "no", "unknown"]

_GREETING = "Answer with one word: ready"
_GREETING_TOKENS = 512  # enough for a model that thinks a little first
_COUNTING = "Count from 1 to 200, separated by spaces. Write nothing else."
COUNTING_TOKENS = 16
_JSON_QUESTION = "Answer in JSON: are you ready?"
_SCHEMA_KEY = "ready_to_read_exports"  # no model would choose it by itself
_GRAMMAR_ANSWER = "=== 7 ==="  # no model would choose it by itself
_GRAMMAR = f'root ::= "{_GRAMMAR_ANSWER}"'
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "readiness",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {_SCHEMA_KEY: {"type": "boolean"}},
            "required": [_SCHEMA_KEY],
            "additionalProperties": False,
        },
    },
}


class Prober:
    """Sends requests as a run would. Its methods raise ConfigError where settings cannot work, and the subclasses of EndpointError.

    `dropped`: what is not sent: omitted from the start, or refused since. `spent`: the tokens of all answers.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.dropped = frozenset[str](endpoint.llm.omit)
        self.spent = Usage()

    async def greet(self, **changes: bool) -> Reply:
        """Ask for one word, with all parameters of the settings but for the `changes`."""
        return await self._send(_GREETING, _GREETING_TOKENS, **changes)

    async def probe_output_limit(self) -> tuple[str, Support, int]:
        """Ask for more than COUNTING_TOKENS, by the other parameter where the first is ignored; return it, whether it works, and how many tokens came."""
        first = await self._count(self.dropped)
        if first[:2] == ("max_tokens", "ignored"):
            second = await self._count(self.dropped | {"max_tokens"})
            if second[1] == "yes":
                return second
        return first

    async def _count(self, omit: frozenset[str]) -> tuple[str, Support, int]:
        """Ask once, without the parameters of `omit`; return as `probe_output_limit` does."""
        support: Support = "unknown"
        tokens = 0
        with suppress(RejectedRequestError):  # some models that think refuse so small a limit
            reply = await self._send(_COUNTING, COUNTING_TOKENS, omit=omit)
            # a token has eight characters at most
            tokens = reply.usage.completion_tokens or len(reply.text) // 8
            unlimited = tokens - reply.usage.reasoning_tokens > COUNTING_TOKENS * 2  # some slack
            support = "ignored" if unlimited else "yes" if reply.finish_reason == "length" else "unknown"
        name = "max_completion_tokens" if "max_tokens" in omit | self.dropped else "max_tokens"
        return name, support, tokens

    async def probe(self, field: GrammarField = "") -> Support:
        """Ask under a grammar, in this field, that allows one odd answer; without a field, under a json_schema with a key that only it names."""
        text, wanted = (_GREETING, _GRAMMAR_ANSWER) if field else (_JSON_QUESTION, f'"{_SCHEMA_KEY}"')
        bound = wire.grammar_parameter(_GRAMMAR, field) if field else {"response_format": _SCHEMA}
        extra_body = {**self._endpoint.llm.extra_body, **bound}  # never dropped
        try:
            reply = await self._send(text, _GREETING_TOKENS, extra_body=extra_body)
        except RejectedRequestError:
            return "no"
        if wanted in reply.text:
            return "yes"
        return "ignored" if reply.finish_reason == "stop" else "unknown"

    async def _send(self, text: str, max_tokens: int, **changes: Any) -> Reply:  # noqa: ANN401  of Endpoint
        return await self.ask(Request(({"role": "user", "content": text},), {}, 0, max_tokens), **changes)

    async def ask(self, request: Request, endpoint: Endpoint | None = None, **changes: Any) -> Reply:  # noqa: ANN401  of Endpoint
        """Send a request of a run, to the same `endpoint` under other limits than a check's if that is given; `changes`: of the parameters."""
        endpoint = (endpoint or self._endpoint).changed(**{"omit": self.dropped, **changes})
        async with aclosing(OpenAIProvider(endpoint)) as provider:
            reply = await provider.complete(request)
        self.spent = Usage(*(sum(pair) for pair in zip(self.spent, reply.usage, strict=True)))
        self.dropped |= provider.dropped.difference(endpoint.llm.omit)
        return reply
