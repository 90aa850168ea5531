"""Fills batches: spreads parts evenly, then repairs batches that are too full."""

from bisect import insort
from collections.abc import Sequence
from itertools import chain
from math import inf
from typing import NamedTuple

from eventabs.prompts.packing.bounds import BatchLimits
from eventabs.records import PartSize

_PARTNERS = 300_000  # partners of batches that are too full; divided among the parts
_FEWEST_PARTNERS = 10
_MOST_PARTNERS = 60
_CLOSE = 500  # a search among many batches ends within one in N
_HOPELESS = 8  # batches that stay too full before a number of batches is given up; and one in twenty
_LOOKS = 50_000  # batches that parts look at for a place; divided among the parts
_FEWEST_LOOKS = 4
_ROUNDS = 6  # over all that are too full
_BEST_FIT_STEPS = 1_000_000  # parts times batches, about a second


class _Load(NamedTuple):
    tokens_in: int
    tokens_out: int
    users: int

    def plus(self, size: PartSize, sign: int = 1) -> "_Load":
        return _Load(self.tokens_in + sign * size[0], self.tokens_out + sign * size[1], self.users + sign)


Batches = list[list[int]]


class Packer:
    """Packs parts, each of which fits into a batch alone."""

    def __init__(self, sizes: Sequence[PartSize], limits: BatchLimits) -> None:
        self._sizes = sizes
        self._room = limits.room
        self._max_output = limits.max_output_tokens
        self._max_users = limits.max_users
        self._largest_first = sorted(range(len(sizes)), key=lambda index: -self._fill((*sizes[index], 1)))
        self._rank = {index: rank for rank, index in enumerate(self._largest_first)}

    def packed(self, least: int) -> Batches:
        """Search upwards from `least` for the fewest batches that take all parts, evenly filled if possible.

        Among many batches the search ends at the first number that saves no batch.
        """
        close = least // _CLOSE
        best = even = self._filled(least)
        too_few = least if len(best) > least else least - 1
        if len(best) > least and len(self._sizes) * least <= _BEST_FIT_STEPS:
            best = min(best, self._best_fit(self._largest_first), key=len)
        while len(best) > too_few + 1 + close:
            count = (too_few + len(best)) // 2
            even = self._filled(count)
            if len(even) > count:
                too_few = count
            if close and len(even) >= len(best):
                return best
            best = min(even, best, key=len)
        if len(even) != len(best):
            even = self._filled(len(best))
        return even if len(even) == len(best) else best

    def _filled(self, count: int) -> Batches:
        """Return N batches, evenly filled, and more for parts that found no room."""
        batches, loads = self._spread(count)
        self._repair(batches, loads)
        left = chain.from_iterable(map(self._taken_out, batches, loads))
        further = self._best_fit(sorted(left, key=self._rank.__getitem__))
        return [batch for batch in batches if batch] + further

    def _taken_out(self, batch: list[int], load: _Load) -> list[int]:
        """Take parts out of a batch until it fits: the smallest that is enough, or the largest."""
        taken = []
        while self._excess(load):
            batch.sort(key=self._rank.__getitem__)
            enough = (i for i in reversed(batch) if not self._excess(load.plus(self._sizes[i], -1)))
            out = next(enough, batch[0])
            batch.remove(out)
            load = load.plus(self._sizes[out], -1)
            taken.append(out)
        return taken

    def _spread(self, count: int) -> tuple[Batches, list[_Load]]:
        """Put each part, largest first, into the batch that stays emptiest (LPT), with room or without."""
        room, max_output, max_users, sizes = self._room, self._max_output, self._max_users, self._sizes
        batches: Batches = [[] for _ in range(count)]
        tokens_in, tokens_out = [0] * count, [0] * count
        emptiest_first = [(0.0, batch) for batch in range(count)]  # sorted: few move, so this beats a heap
        looks = min(count, max(_FEWEST_LOOKS, _LOOKS // len(sizes)))
        for index in self._largest_first:
            size_in, size_out = sizes[index]
            emptiest = inf, count
            for at, (_fill, batch) in enumerate(emptiest_first[:looks]):
                fill_in = (tokens_in[batch] + size_in) / room
                fill_out = (tokens_out[batch] + size_out) / max_output
                fill = fill_in if fill_in > fill_out else fill_out  # noqa: FURB136  twice as fast in the innermost loop
                fill_users = (len(batches[batch]) + 1) / max_users
                fill = fill if fill > fill_users else fill_users  # noqa: FURB136
                if (fill, batch) < emptiest:
                    emptiest, chosen_at = (fill, batch), at
            chosen = emptiest[1]
            batches[chosen].append(index)
            tokens_in[chosen] += size_in
            tokens_out[chosen] += size_out
            del emptiest_first[chosen_at]
            insort(emptiest_first, emptiest)
        return batches, list(map(_Load, tokens_in, tokens_out, map(len, batches)))

    def _repair(self, batches: Batches, loads: list[_Load]) -> None:
        """Exchange parts until no batch is too full, or no exchange helps."""
        hopeless = _HOPELESS + len(batches) // 20
        for _round in range(_ROUNDS):
            too_full = [batch for batch, load in enumerate(loads) if self._excess(load)]
            too_full.sort(key=lambda batch: (-self._excess(loads[batch]), batch))
            others = [batch for batch, load in enumerate(loads) if not self._excess(load)]
            emptiest = [sorted(others, key=lambda batch: (loads[batch][at], batch)) for at in range(3)]
            failures = 0
            for batch in too_full:
                shares = self._shares(loads[batch])
                partners = emptiest[shares.index(max(shares))]
                failures += not self._relieved(batch, batches, loads, partners)
                if failures > hopeless:
                    return
            if failures == len(too_full):
                return

    def _relieved(self, batch: int, batches: Batches, loads: list[_Load], partners: list[int]) -> bool:
        """Exchange parts of a batch that is too full with `partners`. Return whether that was enough."""
        most = min(_MOST_PARTNERS, max(_FEWEST_PARTNERS, _PARTNERS // len(self._sizes)), len(partners))
        at = 0
        for _look in range(most):
            partner = partners[at]
            best = self._best_exchange(batch, partner, batches, loads)
            if best is None:
                at += 1
                continue
            out, back, loads[batch], loads[partner] = best
            batches[batch].remove(out)
            batches[partner].append(out)
            if back is not None:
                batches[partner].remove(back)
                batches[batch].append(back)
            partners.append(partners.pop(at))  # batches with room stay in front, for the next batch too
            if not self._excess(loads[batch]):
                return True
        return False

    def _best_exchange(
        self, batch: int, partner: int, batches: Batches, loads: list[_Load]
    ) -> tuple[int, int | None, _Load, _Load] | None:
        """Find the exchange of at most one part each that leaves the least excess; return the loads after it.

        The partner never becomes too full.
        """
        room, max_output, max_users, sizes = self._room, self._max_output, self._max_users, self._sizes
        (ours_in, ours_out, ours), (theirs_in, theirs_out, theirs) = loads[batch], loads[partner]
        best_excess, best_fill = self._excess(loads[batch]), 2.0
        best = None
        given_back = self._given_back(batches[partner], loads[partner])
        for out in batches[batch]:
            out_in, out_out = sizes[out]
            left_in, left_out, left = ours_in - out_in, ours_out - out_out, ours - 1
            for back, back_in, back_out, back_user, most_in, most_out in given_back:
                if out_in > most_in or out_out > most_out:
                    continue
                # `_excess` inlined: this is the innermost loop
                load_in, load_out, load_users = left_in + back_in, left_out + back_out, left + back_user
                excess = 0.0
                if load_in > room:
                    excess += load_in / room - 1
                if load_out > max_output:
                    excess += load_out / max_output - 1
                if load_users > max_users:
                    excess += load_users / max_users - 1
                if excess > best_excess or (best is None and excess == best_excess):
                    continue
                load = _Load(load_in, load_out, load_users)
                fill = self._fill(load)
                if excess == best_excess and fill >= best_fill:
                    continue
                other = _Load(
                    theirs_in + out_in - back_in, theirs_out + out_out - back_out, theirs + 1 - back_user
                )
                fill = max(fill, self._fill(other))
                if excess < best_excess or fill < best_fill:
                    best_excess, best_fill = excess, fill
                    best = out, back, load, other
        return best

    def _given_back(self, batch: list[int], load: _Load) -> list[tuple[int | None, int, int, int, int, int]]:
        """Return what a batch may give for a part (none or one of its own), its size, and the tokens that the batch can then take."""
        free_in, free_out = self._room - load.tokens_in, self._max_output - load.tokens_out
        given: list[tuple[int | None, int, int, int, int, int]] = []
        if load.users < self._max_users:
            given.append((None, 0, 0, 0, free_in, free_out))
        for back in batch:
            back_in, back_out = self._sizes[back]
            given.append((back, back_in, back_out, 1, free_in + back_in, free_out + back_out))
        return given

    def _best_fit(self, indices: Sequence[int]) -> Batches:
        """Put each part, in the given order (largest first), into the fullest batch with room; best for large parts."""
        batches: Batches = []
        loads: list[_Load] = []
        for index in indices:
            size_in, size_out = self._sizes[index]
            most_in, most_out = self._room - size_in, self._max_output - size_out
            chosen, fullest = None, -1.0
            for batch, (tokens_in, tokens_out, users) in enumerate(loads):
                if tokens_in <= most_in and tokens_out <= most_out and users < self._max_users:
                    fill = self._fill((tokens_in + size_in, tokens_out + size_out, users + 1))
                    if fill > fullest:
                        chosen, fullest = batch, fill
            if chosen is None:
                batches.append([index])
                loads.append(_Load(size_in, size_out, 1))
            else:
                batches[chosen].append(index)
                loads[chosen] = loads[chosen].plus(self._sizes[index])
        return batches

    def _fill(self, load: tuple[int, int, int]) -> float:
        """Return the share of the fullest limit."""
        return max(load[0] / self._room, load[1] / self._max_output, load[2] / self._max_users)

    def _shares(self, load: _Load) -> tuple[float, float, float]:
        return load.tokens_in / self._room, load.tokens_out / self._max_output, load.users / self._max_users

    def _excess(self, load: _Load) -> float:
        """Return the share by which the load exceeds limits, 0 if it exceeds none."""
        return sum(share - 1 for share in self._shares(load) if share > 1)
