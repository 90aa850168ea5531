"""What can go wrong: each error is one line for people, what is wrong and the next step; its class decides the exit code."""

import errno
import re
from dataclasses import KW_ONLY, InitVar, dataclass
from typing import ClassVar, NamedTuple

from eventabs.interface_language import gettext as _

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of an OSError


class EventabsError(Exception):
    """Base of all errors that people meet; each of its arguments is one line in their language."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


class UsageError(EventabsError):
    """Something that the caller has to correct before anything can run: wrong usage, input or config, changed settings."""

    exit_code = 2


class InputError(UsageError):
    """An export or profiles file that cannot be read. `proposal`: tables of the config file that may mend it."""

    proposal = ""


class ConfigError(UsageError):
    """A wrong setting, template, vocabulary or rules file; a SettingFault for each wrong setting."""


class SettingFault(NamedTuple):
    """A line of a ConfigError: what is wrong with the setting `key` (run.rpm), alone and as a line that says where it was set."""

    key: str
    what: str
    line: str
    passed: bool  # by the caller, neither in a file nor in the environment

    def __str__(self) -> str:
        return self.line


class RunDirectoryError(UsageError):
    """A run directory that is in use, already holds a run, is damaged or is not one."""


class StoppedError(EventabsError):
    """The run could not go on; what was reached is saved."""


class LimitReachedError(StoppedError):
    """A limit set by the user (cost, tokens) was reached."""


class StorageError(StoppedError):
    """The run directory cannot be written any more: it is read-only, or gone."""


class DiskFullError(StorageError):
    """There is no room on the disk, or the quota is used up."""


@dataclass(eq=False, repr=False)
class EndpointError(StoppedError):
    """A call that ended without a readable answer."""

    message: InitVar[str]  # every exception keeps what it is made with
    _: KW_ONLY
    status: int | None = None  # of HTTP; None without one
    wait_seconds: float | None = None  # the endpoint's demand
    parameters: frozenset[str] = frozenset()  # of the request, those that the endpoint refuses


class FatalEndpointError(EndpointError):
    """No call can succeed until the user changes something (key, quota, model, address) or hours pass."""


class TransientError(EndpointError):
    """The same call may succeed later: no connection, a timeout, HTTP 408, 409, 425, 429 or 5xx."""


class RateLimitedError(TransientError):
    """The endpoint asks for fewer requests: HTTP 429 and its like."""


class UnavailableError(TransientError):
    """No server accepts connections, or the one that does is not ready, as while it loads its model."""


class CapacityError(UnavailableError):
    """A cheaper tier has no capacity now; nobody was too fast."""


class NoContentError(TransientError):
    """The server took the request and sent no content in time: it has a queue, or it hangs."""


class MachineLostError(TransientError):
    """The machine of a cluster that made the call is gone or does not answer; another one may make it."""


class ModeratedError(EndpointError):
    """The endpoint's moderation refused the content of the request."""


class ContextTooLongError(EndpointError):
    """The request does not fit the model's context."""


class RejectedRequestError(EndpointError):
    """A 4xx that no repetition will change."""


def out_of_memory(error: Exception) -> StoppedError:
    """Return the error for a process that gets no more memory."""
    message = _(
        "out of memory ({error}); give the process more (ulimit -v, the limit of its container), or end others. A run goes on"
        " with: eventabs resume"
    )
    return StoppedError(message.format(error=str(error).partition("\n")[0] or type(error).__name__))


def toml_fault(error: ValueError) -> str:
    """Return what tomllib's error means, with line and column, in the language in force."""
    text, place = str(error), re.search(r"\(at line (\d+), column (\d+)\)$", str(error))
    no_quote = ("Unterminated", "Illegal character", "Found invalid character", 'Expected "')
    meanings: dict[str | tuple[str, ...], str] = {  # how messages begin, and what they mean
        "Invalid value": _("this is no value; a text stands in quotes"),
        "Expected '='": _("= is missing behind the key"),
        "Expected ']": _("] is missing behind the name of the table"),
        "Expected newline": _("something follows the value; each setting has a line of its own"),
        "Unclosed array": _("the list has no closing ]"),
        "Unclosed inline table": _("the table has no closing }"),
        "Unescaped": _("a backslash in a text; write it twice, or put the text in single quotes"),
        "Invalid date": _("there is no such date or time"),
        no_quote: _("a text has no closing quote, or holds a character that it may not hold"),
        ("Cannot", "Duplicate"): _("a key or table of this name stands in the file already"),
        ("Invalid statement", "Invalid initial"): _(
            "a key is of letters, digits, - and _; any other stands in quotes"
        ),
    }
    fault = next((words for beginnings, words in meanings.items() if text.startswith(beginnings)), text)
    if place is None:
        return _("at the end of the file: {fault}").format(fault=fault)
    return _("line {line}, column {column}: {fault}").format(line=place[1], column=place[2], fault=fault)
