"""When to stop rather than burn money: too many calls without one success."""

from collections.abc import Callable, Mapping
from typing import Any

from eventabs.errors import ContextTooLongError, EndpointError, ModeratedError, StoppedError
from eventabs.language import gettext as _
from eventabs.records import Batch

MOST_FRUITLESS_CALLS = 10
_FACT = "fruitless"


class Fruitless:
    """Counts calls since the last success, also of earlier processes. Raises StoppedError when they are too many.

    What was counted holds only under the settings that it was counted under. A run that was stopped makes one
    call when it is resumed: restarting it again and again must not buy ten calls each time. `remember` is given
    what the next process has to know, as soon as that changes: a killed process says nothing at its end.
    """

    def __init__(self, facts: Mapping[str, Any], *, remember: Callable[[dict[str, Any]], None]) -> None:
        self._remember = remember
        self._settings = facts["settings_fingerprint"]
        counted = facts.get(_FACT) or {}
        known = counted.get("settings_fingerprint") == self._settings
        self._calls: int = counted["calls"] if known else 0
        self._succeeded: bool = counted["succeeded"] if known else False

    def succeeded(self) -> None:
        """Hear of an answer that some user is well with."""
        if not self._succeeded or self._calls:
            self._keep(0, succeeded=True)

    def bad_answer(self, batch: Batch) -> None:
        """Hear of an answer that no user is well with.

        Such answers are the tail of every run, so they count only for users asked for the first time,
        and only until one is well.
        """
        if batch.attempt == 1 and not self._succeeded:
            self._count(_("none of the first answers could be read"))

    def no_answer(self, error: EndpointError) -> None:
        """Hear of a call without an answer. A refusal of content shows an endpoint that works."""
        refused = isinstance(error, ModeratedError | ContextTooLongError)
        if not (refused and self._succeeded):
            self._count(error)

    def _count(self, cause: object) -> None:
        self._keep(self._calls + 1, succeeded=self._succeeded)
        if self._calls < MOST_FRUITLESS_CALLS:
            return
        message = _(
            "{calls} calls without one success ({cause}); mend the endpoint or the prompt, then: eventabs resume"
        )
        raise StoppedError(message.format(calls=self._calls, cause=cause))

    def _keep(self, calls: int, *, succeeded: bool) -> None:
        self._calls, self._succeeded = calls, succeeded
        counted = {"settings_fingerprint": self._settings, "calls": calls, "succeeded": succeeded}
        self._remember({_FACT: counted})
