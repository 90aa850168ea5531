"""The payloads of /chat/completions, asked and answered.

https://platform.openai.com/docs/api-reference/chat, and what compatible servers make of it.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from eventabs.llm.endpoint import Sampling
from eventabs.records import FinishReason, Reply, Request, Usage

# Parameters that a server may do without; max_tokens goes over into max_completion_tokens.
DROPPABLE = frozenset({"response_format", "stream_options", "temperature", "seed", "max_tokens"})

_FINISH_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",  # GLM
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # GLM
    "network_error": "interrupted",  # GLM
    "insufficient_system_resource": "interrupted",  # DeepSeek
    "error": "interrupted",  # OpenRouter
    "abort": "interrupted",  # vLLM, SGLang
}
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_MOST_TOKENS = 10**9  # no call has more: what a server claims is added up and stored


def build_body(request: Request, model: str, sampling: Sampling, dropped: frozenset[str]) -> dict[str, Any]:
    """Put the JSON body of a request together, without the parameters that the server does not take."""
    optional: dict[str, Any] = {
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "response_format": request.response_format,
        "max_tokens": request.max_output_tokens,
        "stream_options": {"include_usage": True} if sampling.stream else None,
    }
    body: dict[str, Any] = {"model": model, "messages": list(request.messages), "stream": sampling.stream}
    body |= {name: value for name, value in optional.items() if value is not None and name not in dropped}
    if "max_tokens" in dropped or "max_completion_tokens" in sampling.extra_body:
        body.pop("max_tokens", None)
        body["max_completion_tokens"] = request.max_output_tokens
    return body | dict(sampling.extra_body)


def parse_json(data: bytes) -> object:
    """Read JSON, also with broken UTF-8 or half surrogate pairs in its strings. None: it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


class ReplyAssembler:
    """Puts a reply together from the payloads of a stream, or from the one payload of a plain answer."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish_reason: FinishReason | None = None
        self._usage: Usage | None = None
        self.characters = 0  # of text and reasoning
        self.is_recognized = False  # whether any payload was one of a chat completion
        self.is_streamed = False  # whether the payloads come as events

    @property
    def has_content(self) -> bool:
        """Whether any text or reasoning has arrived."""
        return self.characters > 0

    @property
    def is_finished(self) -> bool:
        """Whether the server has said how the answer ended."""
        return self._finish_reason is not None

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take one payload. Whatever it holds, this does not raise."""
        usage = payload.get("usage")
        choices = payload.get("choices")
        if isinstance(choices, list):
            self.is_recognized = True
            if choices and isinstance(choice := choices[0], dict):
                self._add_choice(choice)
                usage = usage or choice.get("usage")  # Moonshot
        if isinstance(usage, dict):
            self._usage = _read_usage(usage) or self._usage

    def end(self) -> None:
        """Hear the stream's [DONE]: the answer is whole, also if no finish_reason came."""
        self._finish_reason = self._finish_reason or "stop"

    def build(self, *, broken_by: FinishReason, seconds: float) -> Reply:
        """Return the reply as far as it came; `broken_by` is how it ended if the server did not say."""
        return Reply(
            text=_join(self._text),
            finish_reason=self._finish_reason or broken_by,
            reasoning=_join(self._reasoning),
            usage=self._usage or Usage(),
            usage_reported=self._usage is not None,
            seconds=seconds,
            streamed=self.is_streamed,
        )

    def _add_choice(self, choice: dict[str, Any]) -> None:
        if choice.get("index"):
            return
        message = choice.get("delta") or choice.get("message")
        # MiniMax repeats the whole message behind the last delta.
        repeated = not choice.get("delta") and self.has_content
        if isinstance(message, dict) and not repeated:
            self._add_content(message.get("content") or message.get("refusal"), self._text)
            thought = next((value for name in _REASONING_FIELDS if (value := message.get(name))), None)
            self._add_content(thought, self._reasoning)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self._finish_reason = _FINISH_REASONS.get(reason, "stop")

    def _add_content(self, content: object, into: list[str]) -> None:
        """Add a string, or a list of parts as Mistral and others send them."""
        if isinstance(content, str):
            if content:
                into.append(content)
                self.characters += len(content)
        elif isinstance(content, list):
            for part in content:
                if isinstance(part, dict):
                    self._add_content(part.get("text"), into)
                    self._add_content(part.get("thinking"), self._reasoning)


def _join(pieces: list[str]) -> str:
    text = "".join(pieces)
    try:
        text.encode()
    except UnicodeEncodeError:  # a surrogate pair that came in two halves becomes one character again
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _read_usage(usage: dict[str, Any]) -> Usage | None:
    if "prompt_tokens" not in usage and "completion_tokens" not in usage:
        return None
    cached = _count(usage, "prompt_tokens_details", "cached_tokens")
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    reasoning = _count(usage, "completion_tokens_details", "reasoning_tokens")
    # xAI and Gemini count reasoning beside the completion, but in the total:
    # https://docs.x.ai/docs/key-information/consumption-and-rate-limits
    aside = max(0, _count(usage, "total_tokens") - prompt - completion) if prompt else 0
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion + aside,
        reasoning_tokens=max(reasoning, aside),
        # DeepSeek and Moonshot have fields of their own
        cached_tokens=cached or _count(usage, "prompt_cache_hit_tokens") or _count(usage, "cached_tokens"),
    )


def _count(usage: dict[str, Any], *path: str) -> int:
    value: Any = usage
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return min(value, _MOST_TOKENS) if isinstance(value, int) and value > 0 else 0
