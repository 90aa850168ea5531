"""Limits on what a run may spend, checked before a call is sent."""

from eventabs.errors import LimitReachedError
from eventabs.language import gettext as _
from eventabs.records import Batch
from eventabs.runs.tally import Tally


class SpendingLimit:
    """Counts what calls in flight are expected to take beside what has been spent. 0: no limit.

    `instructions_tokens` come on top of each batch's own input.
    """

    def __init__(self, *, max_cost: float, max_total_tokens: int, instructions_tokens: int) -> None:
        self._max_cost = max_cost
        self._max_total_tokens = max_total_tokens
        self._instructions_tokens = instructions_tokens
        self._reserved_input = 0
        self._reserved_output = 0

    def reserve(self, batch: Batch, tally: Tally) -> None:
        """Reserve what a batch is expected to take. Raises LimitReachedError where it would pass a limit."""
        tokens_in, tokens_out = self._expected(batch)
        prompt = tally.prompt_tokens + self._reserved_input + tokens_in
        completion = tally.completion_tokens + self._reserved_output + tokens_out
        cost = tally.price.cost(prompt, completion)
        if self._max_cost and cost is not None and cost > self._max_cost:
            message = _(
                "--max-cost {limit} would be passed by the next call; go on with a higher one: eventabs resume"
            )
            raise LimitReachedError(message.format(limit=self._max_cost))
        if self._max_total_tokens and prompt + completion > self._max_total_tokens:
            message = _(
                "--max-total-tokens {limit} would be passed by the next call; go on with more: eventabs resume"
            )
            raise LimitReachedError(message.format(limit=self._max_total_tokens))
        self._reserved_input += tokens_in
        self._reserved_output += tokens_out

    def release(self, batch: Batch) -> None:
        """Give back what `reserve` took: the call has ended and its real tokens are counted."""
        tokens_in, tokens_out = self._expected(batch)
        self._reserved_input -= tokens_in
        self._reserved_output -= tokens_out

    def _expected(self, batch: Batch) -> tuple[int, int]:
        tokens_in = self._instructions_tokens + sum(planned.size.input_tokens for planned in batch.parts)
        return tokens_in, sum(planned.size.output_tokens for planned in batch.parts)
