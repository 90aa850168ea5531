"""Limits on what a run may spend, checked before a call is sent."""

from eventabs.errors import LimitReachedError
from eventabs.language import gettext as _
from eventabs.records import Batch
from eventabs.runs.tally import Tally


class SpendingLimit:
    """Keeps a run under its limits even if every call in flight answers as long as it may. 0: no limit.

    Input is counted as the batches are; `instructions_tokens` come on top of each.
    """

    def __init__(
        self, *, max_cost: float, max_total_tokens: int, instructions_tokens: int, max_output_tokens: int
    ) -> None:
        self._max_cost = max_cost
        self._max_total_tokens = max_total_tokens
        self._instructions_tokens = instructions_tokens
        self._max_output_tokens = max_output_tokens
        self._in_flight = 0
        self._reserved_input = 0

    def reserve(self, batch: Batch, tally: Tally) -> bool:
        """Reserve what a batch may take. False: not before calls in flight have shown what they took.

        Raises LimitReachedError where it would pass a limit and nothing is in flight.
        """
        refusal = self._refusal(self._input(batch), tally)
        if refusal is None:
            self._in_flight += 1
            self._reserved_input += self._input(batch)
            return True
        if self._in_flight:
            return False
        raise refusal

    def release(self, batch: Batch) -> None:
        """Give back what `reserve` took: the call has ended and its real tokens are counted."""
        self._in_flight -= 1
        self._reserved_input -= self._input(batch)

    def _input(self, batch: Batch) -> int:
        return self._instructions_tokens + sum(planned.size.input_tokens for planned in batch.parts)

    def _refusal(self, tokens_in: int, tally: Tally) -> LimitReachedError | None:
        prompt = tally.prompt_tokens + self._reserved_input + tokens_in
        completion = tally.completion_tokens + (self._in_flight + 1) * self._max_output_tokens
        cost = tally.price.cost(prompt, completion)
        if self._max_cost and cost is not None and cost > self._max_cost:
            message = _(
                "--max-cost {limit} could be passed by the next call; go on with a higher one: eventabs resume"
            )
            return LimitReachedError(message.format(limit=self._max_cost))
        if self._max_total_tokens and prompt + completion > self._max_total_tokens:
            message = _(
                "--max-total-tokens {limit} could be passed by the next call; go on with more: eventabs resume"
            )
            return LimitReachedError(message.format(limit=self._max_total_tokens))
        return None
