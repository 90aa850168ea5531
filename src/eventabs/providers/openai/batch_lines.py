"""The lines of batch files: a request for each call, and what came back for it.

https://platform.openai.com/docs/guides/batch, and what other services and `vllm run-batch` make of it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from eventabs.errors import EndpointError, TransientError
from eventabs.language import gettext as _
from eventabs.providers.openai.endpoint import Endpoint, Sampling, Tier
from eventabs.providers.openai.errors import ErrorContext, find_error, make_error
from eventabs.providers.openai.redaction import ReplyMask, one_line
from eventabs.providers.openai.transport import parse_address
from eventabs.providers.openai.wire import ReplyAssembler, build_body, parse_json
from eventabs.records import Message, Reply, Request

# of a line about a request that was never carried out: the job ended before its turn
_NOT_REACHED = frozenset({"batch_expired", "batch_cancelled", "batch_canceled", "request_cancelled"})
_STREAMED = ("stream", "stream_options")  # answers come in a file
_LONGEST_WAIT = 0.0  # a line asks nobody to wait


class ReplyLine(NamedTuple):
    """What came back for a request: a reply, an error, or None where it was never carried out."""

    custom_id: str
    result: Reply | EndpointError | None


def request_fields(request: Request, model: str, sampling: Sampling) -> dict[str, Any]:
    """Return the body of a request, but for its messages; a batch is a tier of its own."""
    body = build_body(request, model, replace(sampling, tier=Tier()), sampling.omit)
    return {name: value for name, value in body.items() if name not in {"messages", *_STREAMED}}


def request_line(custom_id: str, url: str, fields: Mapping[str, Any], messages: tuple[Message, ...]) -> bytes:
    """Return the line of a request, with its end."""
    body = {**fields, "messages": list(messages)}
    line = {"custom_id": custom_id, "method": "POST", "url": url, "body": body}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class ReplyLines:
    """Reads lines of output and error files, in any order and mixture.

    `source` is who the messages of errors name, `tier` the one that served the replies, "" if that is not known.
    """

    def __init__(self, endpoint: Endpoint, source: str, tier: str = "") -> None:
        self._tier = tier
        address = parse_address(endpoint)
        self._secrets = address.secrets
        self._key_variable = endpoint.key_variable
        self._mask = ReplyMask(address.keys, address.secrets)
        self._source = source

    def read(self, line: bytes) -> ReplyLine | None:
        """Read a line. None: it is none, such as the torn last one of a file that is still written."""
        document = parse_json(line)
        if not isinstance(document, dict) or not {"response", "error"} & document.keys():
            return None  # such as a request
        if not isinstance(document.get("custom_id"), str):
            return None
        response, error = document.get("response"), document.get("error")
        status, body = _response(response)
        if isinstance(body, dict) and body.get("choices") and status < HTTPStatus.BAD_REQUEST:
            return ReplyLine(document["custom_id"], self._reply(body))
        if status < HTTPStatus.BAD_REQUEST:  # an error that says no status, or 0, or even 200
            status = HTTPStatus.OK
        return ReplyLine(document["custom_id"], self._error(_error_payload(error, body), status))

    def _reply(self, body: Mapping[str, Any]) -> Reply | EndpointError:
        assembler = ReplyAssembler()
        assembler.add(body)
        assembler.end()
        reply = replace(assembler.build(broken_by="interrupted", seconds=0.0), tier=self._tier)
        if reply.finish_reason == "interrupted" and not assembler.characters:
            message = _("{host} broke off before any content; it may pass: resume later")
            return TransientError(message.format(host=self._source))
        return self._mask.masked(reply)

    def _error(self, payload: dict[str, Any], status: int) -> EndpointError | None:
        found = find_error(payload)
        if found is not None and _NOT_REACHED & set(found.codes):
            return None
        if found is not None and found.cause(status) is not None:
            context = ErrorContext(
                status,
                {},
                0.0,
                self._source,
                self._secrets,
                _LONGEST_WAIT,
                key_variable=self._key_variable,
            )
            return make_error(found, context)
        said = one_line(found.message if found else "", self._secrets) or _("no reason given")
        message = _("{host} has no answer to a request: {said}")
        return TransientError(message.format(host=self._source, said=said))


def _response(response: object) -> tuple[int, object]:
    """Return status and body; 0 where there is no status."""
    if not isinstance(response, dict):
        return 0, None
    status = response.get("status_code", 0)
    body = response if "choices" in response else response.get("body")
    if isinstance(body, str):
        body = parse_json(body.encode())
    with suppress(TypeError, ValueError):
        return int(status), body
    return 0, body


def _error_payload(error: object, body: object) -> dict[str, Any]:
    """Return an error as the body of an HTTP answer has it; vLLM has that body, or a text, in the place of `error`."""
    if isinstance(error, dict):
        return error if isinstance(error.get("error"), dict) else {"error": error}
    if isinstance(error, str) and error:
        return {"error": {"message": error}}
    return body if isinstance(body, dict) else {}
