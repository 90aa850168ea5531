"""A thin client of /files and /batches, and the lines of batch files.

https://platform.openai.com/docs/api-reference/batch, and what other services and `vllm run-batch` make of it. There is no
idempotency key: whoever creates a job notes before what it creates, and after a doubt looks for it (`find_job`) instead of creating it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Any

import httpx
import orjson

from eventabs.errors_and_exit_codes import EndpointError, TransientError
from eventabs.interface_language import gettext as _
from eventabs.providers.openai import endpoint_and_wire as wire, endpoint_errors as errors
from eventabs.providers.openai.client import Channel, checked, parse_address
from eventabs.providers.openai.endpoint_and_wire import BatchProfile, Endpoint, ReplyAssembler, Tier
from eventabs.providers.openai.endpoint_errors import ErrorContext
from eventabs.shared_records import Message, Reply, Request

GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_QUEUE_CODES = frozenset({"token_limit_exceeded", "tokenlimitexceeded", "enqueued_token_limit_exceeded"})
FINAL = frozenset({"completed", "failed", "expired", "cancelled"})  # nothing more happens to such a job
_SPELLINGS = {"canceled": "cancelled", "canceling": "cancelling"}


class QueueFullError(EndpointError):
    """The service takes no more tokens now: jobs of the account that are not done yet hold all that may wait."""


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A job as the service describes it: `status` as OpenAI names it, `error` why it failed as a whole, `queue_was_full` where too many tokens waited."""

    id: str
    status: str
    output_file_id: str
    error_file_id: str
    total: int
    done: int
    error: str
    queue_was_full: bool


class BatchService(Channel):
    """The batch service at an endpoint. Its methods raise the subclasses of EndpointError."""

    def __init__(self, endpoint: Endpoint, profile: BatchProfile) -> None:
        super().__init__(endpoint)
        self._profile = profile
        self.host = self.address.host

    @staticmethod
    def refusal(body: bytes, context: ErrorContext) -> EndpointError:
        """Return the error that an answer without success is."""
        error, found = errors.make_status_error(body, context), errors.find_error(wire.parse_json(body))
        if found is not None and _QUEUE_CODES & set(found.codes):
            return QueueFullError(str(error), status=error.status)
        if error.status in GONE:
            message = _("{error}; or it is gone: eventabs resume --cancel, then --mode live")
            return EndpointError(message.format(error=error), status=error.status)
        return error

    async def upload(self, path: Path, name: str) -> str:
        """Upload a file of requests; return the id that it gets."""
        fields = {"purpose": self._profile.purpose}
        if self._profile.needs_file_name:
            fields["file_name"] = name
        with path.open("rb") as file:
            form: dict[str, Any] = {"data": fields, "files": {"file": (name, file, "application/jsonl")}}
            url = self.address.beside(self._profile.upload_path)
            return self._id_of(await self._ask("POST", url, **form))

    async def create_job(self, file_id: str, metadata: Mapping[str, str]) -> RemoteJob:
        """Create a job from an uploaded file. After a TransientError it may exist or not."""
        body: dict[str, Any] = {"input_file_id": file_id, "endpoint": self._profile.url}
        if self._profile.window:
            body["completion_window"] = self._profile.window
        if self._profile.takes_metadata:
            body["metadata"] = dict(metadata)
        return self._job(await self._ask("POST", self.address.beside("/batches"), orjson.dumps(body)))

    async def find_job(self, file_id: str, metadata: Mapping[str, str]) -> RemoteJob | None:
        """Look through the account's jobs for the one made from a file, or with that metadata."""
        url = self.address.beside("/batches").copy_merge_params({"limit": "100"})
        for _page in range(200):  # the newest first
            document = await self._ask("GET", url)
            jobs = [_inner(entry) for entry in document.get("data") or () if isinstance(entry, dict)]
            for job in jobs:
                own = job.get("metadata")
                is_named = isinstance(own, dict) and all(str(own.get(k)) == v for k, v in metadata.items())
                if is_named or job.get("input_file_id") == file_id:
                    return self._job(job)
            last = str(document.get("last_id") or (self._id_of(jobs[-1]) if jobs else ""))
            if not document.get("has_more") or not last or url.params.get("after") == last:
                break
            url = url.copy_merge_params({"after": last})
        return None

    async def retrieve(self, job_id: str) -> RemoteJob:
        """Return a job in its present state."""
        return self._job(await self._ask("GET", self.address.beside(f"/batches/{job_id}")))

    async def cancel(self, job_id: str) -> None:
        """Ask for the end of a job; it is `cancelled` some minutes later, or has ended or ends otherwise meanwhile."""
        try:
            await self._ask("POST", self.address.beside(f"/batches/{job_id}/cancel"))
        except EndpointError as error:
            if error.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
                raise

    async def download(self, file_id: str, to: FileIO) -> None:
        """Write the content of a file into one that is open here, in place of what it holds."""
        to.truncate(0)
        sending = self.send("GET", self.address.beside(f"/files/{file_id}/content"))
        async with self.answer(sending) as (chunks, _context, _timeout):
            async for chunk in chunks:
                to.write(chunk)

    async def _ask(self, method: str, url: httpx.URL, content: bytes = b"", **form: Any) -> dict[str, Any]:  # noqa: ANN401  of `send`
        """Send, and read the JSON of the answer. Raises QueueFullError, and errors by status and code."""
        sending = self.send(method, url, content, **form)
        body, context = await self.read(sending, limit=3 * 1024 * 1024)  # no file
        document = wire.parse_json(body)
        if isinstance(document, list):  # Together lists jobs without a page around them
            return {"data": document}
        if not isinstance(document, dict):
            message = _("{host} did not answer with JSON to a question about batches; check llm.base_url")
            raise TransientError(message.format(host=self.host))
        is_described = document.get("id") or document.get("object") == "list"
        if not is_described and (error := errors.find_error(document)):
            raise errors.make_error(error, context)
        return document

    def _id_of(self, document: Mapping[str, Any]) -> str:
        found = _inner(document).get("id")
        if isinstance(found, str) and found:
            return found
        message = _("{host} took the file and named no id for it: {said}")
        said = wire.redacted_line(str(dict(document)), self.address.secrets)
        raise TransientError(message.format(host=self.host, said=said))

    def _job(self, document: Mapping[str, Any]) -> RemoteJob:
        job = _inner(document)
        status = str(job.get("status", "")).lower()
        # why it failed: OpenAI has a list in an object, others a list, one text or one object
        found = job.get("errors") or job.get("error") or ()
        if isinstance(found, dict):
            found = found.get("data") or [found]
        found = found if isinstance(found, list | tuple) else [found]
        faults = [each if isinstance(each, dict) else {"message": each} for each in found]
        texts = [str(each.get("message") or each.get("code") or "") for each in faults]
        return RemoteJob(
            id=self._id_of(document),
            status=self._profile.statuses.get(status, _SPELLINGS.get(status, status)),
            output_file_id=str(job.get("output_file_id") or ""),
            error_file_id=str(job.get("error_file_id") or ""),
            total=wire.count_in(job.get("request_counts"), "total"),
            done=sum(wire.count_in(job.get("request_counts"), name) for name in ("completed", "failed")),
            error="; ".join(wire.redacted_line(text, self.address.secrets) for text in texts),
            queue_was_full=any(str(each.get("code")).lower() in _QUEUE_CODES for each in faults),
        )


def _inner(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an answer wraps: `data` at SiliconFlow, `job` at Together."""
    wrapped = (document.get(name) for name in ("job", "data"))
    return next((inner for inner in wrapped if isinstance(inner, dict)), document)


# of a line about a request that was never carried out: the job ended before its turn
_NOT_REACHED = frozenset({"batch_expired", "batch_cancelled", "batch_canceled", "request_cancelled"})


def request_fields(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    """Return the body of a request, but for its messages; a batch is a tier of its own, and its answers come in a file."""
    body = wire.build_body(request, replace(endpoint, tier=Tier()), endpoint.llm.omit)
    left_out = {"messages", "stream", "stream_options"}
    return {name: value for name, value in body.items() if name not in left_out}


def request_line(custom_id: str, url: str, fields: Mapping[str, Any], messages: tuple[Message, ...]) -> bytes:
    """Return the line of a request, with its end."""
    body = {**fields, "messages": list(messages)}
    line = {"custom_id": custom_id, "method": "POST", "url": url, "body": body}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class ReplyLines:
    """Reads lines of output and error files, in any order. Messages of errors name `source`; `tier` served the replies, "" if that is not known."""

    def __init__(self, endpoint: Endpoint, source: str, tier: str = "") -> None:
        self._source = source
        self._tier = tier
        self._address = parse_address(endpoint)
        # a line asks nobody to wait, and a batch is a tier of its own
        self._endpoint = replace(endpoint.changed(longest_wait=0.0), tier=Tier())

    def read(self, line: bytes) -> tuple[str, Reply | EndpointError | None] | None:
        """Read a line: the custom_id and what came back, None where it was never carried out; no pair where it is no such line, as a torn last one."""
        document = wire.parse_json(line)
        if not isinstance(document, dict) or not {"response", "error"} & document.keys():
            return None  # such as a request
        if not isinstance(document.get("custom_id"), str):
            return None
        response, error = document.get("response"), document.get("error")
        response = response if isinstance(response, dict) else {}
        body = response if "choices" in response else response.get("body")
        if isinstance(body, str):
            body = wire.parse_json(body.encode())
        status = wire.count_in(response, "status_code")
        if isinstance(body, dict) and body.get("choices") and status < HTTPStatus.BAD_REQUEST:
            assembler = ReplyAssembler()
            assembler.add(body)
            assembler.end()
            reply = assembler.build(seconds=0.0)._replace(tier=self._tier)
            try:
                return document["custom_id"], checked(reply, self._address, self._source)
            except TransientError as broken_off:
                return document["custom_id"], broken_off
        if status < HTTPStatus.BAD_REQUEST:  # an error that says no status, or 0, or even 200
            status = HTTPStatus.OK
        # as the body of an HTTP answer has it; vLLM has that body, or a text, in its place
        if isinstance(error, dict):
            body = error if isinstance(error.get("error"), dict) else {"error": error}
        elif isinstance(error, str) and error:
            body = {"error": {"message": error}}
        return document["custom_id"], self._error(body, status)

    def _error(self, payload: object, status: int) -> EndpointError | None:
        """Return the error of a line without a reply; None: its request was never carried out."""
        found = errors.find_error(payload)
        if found is not None and _NOT_REACHED & set(found.codes):
            return None
        if found is not None and found.cause(status) is not None:
            context = ErrorContext(status, {}, 0.0, self._source, self._address.secrets, self._endpoint)
            return errors.make_error(found, context)
        # a bare status proves nothing: the whole run would end at one line with 403
        said = wire.redacted_line(found.message if found else "", self._address.secrets)
        message = _("{host} has no answer to a request: {said}")
        return TransientError(message.format(host=self._source, said=said or _("no reason given")))
