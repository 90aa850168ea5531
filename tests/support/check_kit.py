"""A model at a loopback endpoint that takes what it is told to take, for the tests of `eventabs check`."""

import json
from dataclasses import dataclass, field

from openai_server import Behavior, Exchange, answer, answer_by_day, completion, count_usage, status

READY = "ready"


@dataclass
class Model:
    """The defaults are a model that can everything. Call it for the behavior.

    `refuses`: parameters that it answers with a 400. `schema`: how it takes a response_format:
    "kept", "ignored" or "refused". `grammar`: the field in which it takes a grammar; `limit`: the parameter that it heeds, "" for none.
    `keeps`: how many rows of a prompt come back in its answer.
    """

    refuses: tuple[str, ...] = ()
    schema: str = "kept"
    grammar: str = "grammar"
    limit: str = "max_tokens"
    streams: bool = True
    usage: bool = True
    reasoning: str = ""
    says: str = READY
    keeps: int = 1_000_000
    asked: list[dict[str, object]] = field(default_factory=list)

    def __call__(self) -> Behavior:
        return self._behave

    async def _behave(self, exchange: Exchange) -> None:
        body = exchange.received.body
        self.asked.append(body)
        kind = (body.get("response_format") or {}).get("type", "")
        for name in self.refuses:
            if name in body:
                await status(400, {"error": {"message": f"{name} is unknown", "param": name}})(exchange)
                return
        if kind == "json_schema" and self.schema == "refused":
            await status(400, {"error": {"message": f"response_format {kind} is unavailable"}})(exchange)
            return
        text, finish = self._cut(self._text(exchange, kind), body)
        if body.get("stream") and self.streams and not self.reasoning:
            await answer(lambda _message: text, finish_reason=finish, usage=self.usage)(exchange)
            return
        counts = count_usage(exchange.received, text) if self.usage else None
        await exchange.respond(
            200, completion(text, finish, counts, reasoning_content=self.reasoning or None)
        )

    def _text(self, exchange: Exchange, kind: str) -> str:
        if "## U1" in exchange.received.user_message:
            return answer_by_day(exchange.received.user_message, keeps=self.keeps)
        body = exchange.received.body
        if bound := body.get(self.grammar):
            text = bound["grammar"] if isinstance(bound, dict) else bound
            return str(text).split('"')[1]
        if kind == "json_schema" and self.schema == "kept":
            schema = body["response_format"]["json_schema"]["schema"]
            return json.dumps(dict.fromkeys(schema["required"], True))
        if "Count from" in exchange.received.user_message:
            return " ".join(map(str, range(1, 201)))
        return self.says

    def _cut(self, text: str, body: dict[str, object]) -> tuple[str, str]:
        most = body.get(self.limit)
        if isinstance(most, int) and len(text) // 2 > most:
            return text[: 2 * most], "length"
        return text, "stop"
