"""What replies teach about tokens: how much longer answers are than expected, and prompts than counted."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from eventabs.prompts.packing import Limits
from eventabs.records import PartSize, Usage

_QUANTILE = 0.95  # of answers must fit, not the average one, or batches would be cut
_REMEMBERED = 100  # replies
_FIRST_LESSON = 3  # replies
_WORTH_PLANNING = 0.05  # a change of a factor by less than this is not worth a new plan
_OUTPUT_FACTORS = (0.5, 8.0)  # what is believed at most
_MOST_INPUT_FACTOR = 2.0


class Learner:
    """Turns usage into limits to plan with.

    The limits are the user's, divided by how many tokens came for each that was expected. The input
    limit is only ever lowered: the user set it in tokens of the tokenizer that counts.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inputs: deque[float] = deque(maxlen=_REMEMBERED)
        self._outputs: deque[float] = deque(maxlen=_REMEMBERED)
        self._heard = 0
        self._next_lesson = _FIRST_LESSON
        self._input_factor = 1.0
        self._output_factor = 1.0

    def hear(self, sent: Iterable[PartSize], answered: Iterable[PartSize], usage: Usage) -> Limits | None:
        """Take a reply's usage; `answered` are the sizes of those parts that it covers whole.

        Return the limits to plan with from now on where they have changed enough, else None.
        """
        if not usage.completion_tokens:
            return None
        self._heard += 1
        expected_input = self._limits.instructions_tokens + sum(size.input_tokens for size in sent)
        self._inputs.append(usage.prompt_tokens / expected_input)
        expected_output = sum(size.output_tokens for size in answered)
        was_cut = expected_output == 0
        if was_cut:
            self._outputs.append(2 * self._output_factor)
        else:
            self._outputs.append(usage.completion_tokens / expected_output)
        if self._heard < self._next_lesson and not was_cut:
            return None
        self._next_lesson = max(self._next_lesson, 2 * self._heard)
        return self._learn()

    def _learn(self) -> Limits | None:
        lowest, highest = _OUTPUT_FACTORS
        output_factor = min(max(_quantile(self._outputs), lowest), highest)
        input_factor = min(max(_quantile(self._inputs), 1.0), _MOST_INPUT_FACTOR)
        changes = (output_factor / self._output_factor, input_factor / self._input_factor)
        if all(abs(change - 1) < _WORTH_PLANNING for change in changes):
            return None
        self._output_factor, self._input_factor = output_factor, input_factor
        room = max(1, int(self._limits.max_input_tokens / input_factor) - self._limits.instructions_tokens)
        return replace(
            self._limits,
            max_input_tokens=self._limits.instructions_tokens + room,
            max_output_tokens=max(1, int(self._limits.max_output_tokens / output_factor)),
        )


def _quantile(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(_QUANTILE * len(ordered)))]
