"""Parts -> batches under three limits: as few batches as possible, evenly filled, longest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal, NamedTuple

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.records import PartSize

Bound = Literal["input", "output", "users"]

MAX_ALIASES = 999  # U1000 would cost a token more than what was measured

_LOOKS = 50_000  # at batches, while parts look for their places; shared out among the parts
_FEWEST_LOOKS = 4  # of a part, at the emptiest batches
_FEW = 8  # batches too many, up to which the search goes one by one
_FIRST_FIT_STEPS = 1_000_000  # parts times batches, about a second


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may hold: tokens in with the instructions, tokens out, users."""

    max_input_tokens: int
    instructions_tokens: int
    max_output_tokens: int
    max_users: int

    @property
    def room(self) -> int:
        """Input tokens left for blocks. Raises ConfigError where there are none."""
        if self.instructions_tokens >= self.max_input_tokens:
            message = _(
                "the instructions alone take {tokens} of {limit} input tokens; raise --max-input-tokens"
            )
            raise ConfigError(message.format(tokens=self.instructions_tokens, limit=self.max_input_tokens))
        return self.max_input_tokens - self.instructions_tokens

    def hold(self, size: PartSize) -> bool:
        """Whether one part of this size fits into a batch of its own."""
        return size.input_tokens <= self.room and size.output_tokens <= self.max_output_tokens


def lower_bound(sizes: Sequence[PartSize], limits: Limits) -> tuple[int, Bound]:
    """Return the number of batches that no packing can undercut, and the limit that it comes from.

    max(ceil(input / (budget - instructions)), ceil(output / budget), ceil(users / max_users)).
    """
    bounds: dict[Bound, int] = {
        "input": -(-sum(size.input_tokens for size in sizes) // limits.room),
        "output": -(-sum(size.output_tokens for size in sizes) // limits.max_output_tokens),
        "users": -(-len(sizes) // limits.max_users),
    }
    binding = max(bounds, key=bounds.__getitem__)
    return bounds[binding], binding


def pack(sizes: Sequence[PartSize], limits: Limits) -> list[list[int]]:
    """Return batches as indices into `sizes`, the longest expected answer first.

    Starts from the lower bound and takes the fewest batches into which the parts go when each, largest
    first, is put where the batch's fullest dimension stays emptiest (LPT). No batch breaks a limit, but
    for parts that exceed one by themselves: these stand alone.
    """
    fitting = [index for index, size in enumerate(sizes) if limits.hold(size)]
    too_large = [[index] for index, size in enumerate(sizes) if not limits.hold(size)]
    packed = _Packer(sizes, limits, fitting).fewest() if fitting else []
    batches = [sorted(batch) for batch in packed] + too_large

    def length(batch: list[int]) -> tuple[int, int, int]:
        tokens_out = sum(sizes[index].output_tokens for index in batch)
        tokens_in = sum(sizes[index].input_tokens for index in batch)
        return -tokens_out, -tokens_in, batch[0]

    return sorted(batches, key=length)


def case_batches(counts: Sequence[int], budget: int) -> int:
    """Return how many batches the practice makes that this tool replaces, from behaviors by user.

    Users in order (of user_id, say), 50 tokens a behavior and 100 a user guessed; a batch is closed when
    the next user would pass the budget.
    """
    batches = load = 0
    for count in counts:
        tokens = 50 * count + 100
        if not batches or load + tokens > budget:
            batches += 1
            load = 0
        load += tokens
    return batches


class _Load(NamedTuple):
    tokens_in: int
    tokens_out: int
    users: int


_EMPTY = _Load(0, 0, 0)


class _Packer:
    """Greedy packing of parts that each fit alone, into a given or growing number of batches."""

    def __init__(self, sizes: Sequence[PartSize], limits: Limits, indices: Sequence[int]) -> None:
        self._sizes = sizes
        self._limits = limits
        self._room = limits.room
        self._max_output = limits.max_output_tokens
        self._max_users = min(limits.max_users, MAX_ALIASES)
        self._looks = max(_FEWEST_LOOKS, _LOOKS // len(indices))
        self._largest_first = sorted(indices, key=lambda index: (-self._fill(*sizes[index], 1), index))

    def fewest(self) -> list[list[int]]:
        """Search upwards from the lower bound for the fewest batches; to within half a percent of them."""
        bound = lower_bound([self._sizes[index] for index in self._largest_first], self._limits)[0]
        best = self._level(bound)
        if len(best) > bound and len(self._largest_first) * len(best) <= _FIRST_FIT_STEPS:
            best = min(best, self._first_fit(), key=len)
        too_few = bound
        while len(best) > too_few + 1 + bound // 200:
            missing = len(best) - too_few
            count = too_few + (1 if missing <= _FEW else missing // 2)
            attempt = self._level(count)
            best = min(best, attempt, key=len)
            if len(attempt) > count:
                too_few = count
        return best

    def _first_fit(self) -> list[list[int]]:
        """Put each part, largest first, into the first batch that has room; better where parts are large."""
        batches: list[list[int]] = []
        loads: list[_Load] = []
        for index in self._largest_first:
            size = self._sizes[index]
            for batch, load in enumerate(loads):
                grown = self._grown(load, size)
                if grown is not None:
                    loads[batch] = grown
                    batches[batch].append(index)
                    break
            else:
                loads.append(_Load(size.input_tokens, size.output_tokens, 1))
                batches.append([index])
        return batches

    def _level(self, count: int) -> list[list[int]]:
        """Fill `count` batches evenly, and more where a part finds no room."""
        batches: list[list[int]] = [[] for _ in range(count)]
        loads = [_EMPTY] * count
        heap = [(0.0, batch) for batch in range(count)]
        heapify(heap)
        for index in self._largest_first:
            size = self._sizes[index]
            fill, batch, load = self._emptiest(size, loads, heap)
            if batch == len(batches):
                batches.append([])
                loads.append(load)
            batches[batch].append(index)
            loads[batch] = load
            heappush(heap, (fill, batch))
        return [batch for batch in batches if batch]

    def _emptiest(
        self, size: PartSize, loads: Sequence[_Load], heap: list[tuple[float, int]]
    ) -> tuple[float, int, _Load]:
        """Take the batch off the heap, of the emptiest ones, that stays emptiest with the part; or a new one.

        Returns its fill, number and load with the part.
        """
        seen = [heappop(heap) for _ in range(min(self._looks, len(heap)))]
        best = None
        for entry in seen:
            grown = self._grown(loads[entry[1]], size)
            if grown is not None:
                fill = self._fill(*grown)
                if best is None or fill < best[0]:
                    best = fill, entry, grown
        for entry in seen:
            if best is None or entry is not best[1]:
                heappush(heap, entry)
        if best is None:
            return self._fill(*size, 1), len(loads), _Load(*size, 1)
        return best[0], best[1][1], best[2]

    def _grown(self, load: _Load, size: PartSize) -> _Load | None:
        """Return the load with the part, or None where it would break a limit."""
        tokens_in = load.tokens_in + size.input_tokens
        tokens_out = load.tokens_out + size.output_tokens
        if tokens_in > self._room or tokens_out > self._max_output or load.users >= self._max_users:
            return None
        return _Load(tokens_in, tokens_out, load.users + 1)

    def _fill(self, tokens_in: int, tokens_out: int, users: int) -> float:
        """Return the share of the fullest dimension."""
        return max(tokens_in / self._room, tokens_out / self._max_output, users / self._max_users)
