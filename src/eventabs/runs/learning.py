"""What replies teach about tokens: how much longer answers are than expected, and prompts than counted."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from eventabs.prompts.packing import Limits
from eventabs.records import PartSize, Usage

_QUANTILE = 0.95  # of answers must fit, not the average one, or batches would be cut
_EARLY_QUANTILE = 0.6  # of few answers the tail is only the one longest, and the longest users go first
_ENOUGH_FOR_THE_TAIL = 20  # replies
_AFTER_A_CUT = 1.25  # at least so much longer than it came
_NEAR_THE_CAP = 0.9
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
        self._longest = 0  # tokens of an answer
        self._next_lesson = _FIRST_LESSON
        self._input_factor = 1.0
        self._output_factor = 1.0

    def at_the_cap(self, usage: Usage) -> bool:
        """Whether an answer that broke off was as long as answers can be.

        The endpoint's own cap may be lower than ours; an answer far shorter than others broke off by
        accident.
        """
        cap = min(self._limits.max_output_tokens, self._longest or self._limits.max_output_tokens)
        return not self._longest or usage.completion_tokens >= _NEAR_THE_CAP * cap

    def hear(
        self, sent: Iterable[PartSize], usage: Usage, *, whole: bool, capped: bool = False
    ) -> Limits | None:
        """Take a reply's usage. `whole`: every part came out well; `capped`: it broke off at the cap.

        Return the limits to plan with from now on where they have changed enough, else None.
        """
        sent = list(sent)
        if not usage.completion_tokens or not (whole or capped):
            return None
        self._heard += 1
        self._longest = max(self._longest, usage.completion_tokens)
        input_tokens = self._limits.instructions_tokens + sum(size.input_tokens for size in sent)
        self._inputs.append(usage.prompt_tokens / input_tokens)
        ratio = usage.completion_tokens / sum(size.output_tokens for size in sent)
        self._outputs.append(ratio if whole else _AFTER_A_CUT * max(ratio, self._output_factor))
        if self._heard < self._next_lesson and not capped:
            return None
        self._next_lesson = max(self._next_lesson, 2 * self._heard)
        return self._learn()

    def _learn(self) -> Limits | None:
        lowest, highest = _OUTPUT_FACTORS
        share = _QUANTILE if self._heard >= _ENOUGH_FOR_THE_TAIL else _EARLY_QUANTILE
        output_factor = min(max(_quantile(self._outputs, share), lowest), highest)
        input_factor = min(max(_quantile(self._inputs, share), 1.0), _MOST_INPUT_FACTOR)
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


def _quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
