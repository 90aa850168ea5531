"""What an endpoint says went wrong, and what that means: by code and status, never by its words."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from eventabs.llm.codes import BASE_RESP, MEANINGS, TOO_LONG_PARAMETERS, Meaning

_BY_STATUS: dict[int, Meaning] = {
    401: "key",
    402: "quota",
    403: "key",
    404: "model",
    405: "model",
    408: "again",
    409: "again",
    425: "again",
    429: "rate",
}
_FIRST_ERROR = HTTPStatus.BAD_REQUEST
_FIRST_SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR
_ERROR_STATUSES = range(400, 600)
# Many servers name these only in the message. The words do not decide what the error is, only which
# optional parameter the next request leaves out.
_NAMED_IN_TEXT = ("response_format", "stream_options")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as a payload describes it; empty where it leaves something out."""

    message: str = ""
    codes: tuple[str, ...] = ()  # in lower case, the most telling first
    parameters: frozenset[str] = frozenset()  # of the request, named as the cause
    status: int | None = None  # an HTTP status given as the code
    meaning: Meaning | None = None  # where the payload has a table of codes of its own

    def means(self, status: int) -> Meaning | None:
        """Return what the fault means in an answer with this status. None: nothing known."""
        known = self.meaning or next((MEANINGS[code] for code in self.codes if code in MEANINGS), None)
        if known in {None, "rejected"}:
            if self.parameters & TOO_LONG_PARAMETERS:
                return "too_long"
            return self._by_status(status) or known
        if known == "rate" and status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "too_long"  # Groq: one request larger than the tokens of a whole minute
        return known

    def _by_status(self, status: int) -> Meaning | None:
        if status < _FIRST_ERROR:
            status = self.status or status
        if status >= _FIRST_SERVER_ERROR:
            return "again"
        return _BY_STATUS.get(status) or ("rejected" if status >= _FIRST_ERROR else None)


def find_fault(payload: object) -> Fault | None:
    """Find the error in a payload of whatever status; None if it describes none."""
    if not isinstance(payload, dict):
        return None
    base = payload.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        meaning = BASE_RESP.get(_whole(base["status_code"]), "again")
        return Fault(message=str(base.get("status_msg", "")), meaning=meaning)
    error = payload.get("error")
    if isinstance(error, dict):
        is_empty = not any(error.values())  # as a server may name it in every good answer
        return None if is_empty and payload.get("choices") is not None else _read_error(error)
    if error:
        return _read_error(payload | {"message": error})
    if payload.get("choices") is None and ("message" in payload or "detail" in payload):
        return _read_error(payload)
    return None


def _read_error(error: dict[str, Any]) -> Fault:
    inner = error.get("innererror")
    codes = [error.get("code"), inner.get("code") if isinstance(inner, dict) else None, error.get("type")]
    text = str(error.get("message") or error.get("detail") or "")
    parameters = _read_parameters(error) or [name for name in _NAMED_IN_TEXT if name in text]
    return Fault(
        message=text,
        codes=tuple(str(code).lower() for code in codes if isinstance(code, str | int)),
        parameters=frozenset(parameters),
        status=next((number for code in codes if (number := _whole(code)) in _ERROR_STATUSES), None),
    )


def _read_parameters(error: dict[str, Any]) -> list[str]:
    """Read the parameters at fault: `param` as OpenAI has it, `detail[].loc` as FastAPI has it."""
    names = [error.get("param")]
    detail = error.get("detail")
    for entry in detail if isinstance(detail, list) else ():
        location = entry.get("loc") if isinstance(entry, dict) else None
        names += location[1:2] if isinstance(location, list) else []
    return [name.split(".")[0].split("[")[0] for name in names if isinstance(name, str) and name]


def _whole(value: object) -> int:
    """Return the whole number that a code is, 0 if it is none."""
    try:
        return int(value) if isinstance(value, int | str) else 0
    except ValueError:
        return 0
