"""How much of an answer by rows is read after models' habits and plain damage have been at it.

    python benchmarks/mutations.py --count 1000000

From a thousand good answers, mutations by kind, from a seed: the share of users that are read with exactly their
events and of those that would be asked about again; and whether a promise was broken: a row in two events, a row that
does not stand under its user's header, or a row that is neither placed nor counted.
"""

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from eventabs.replies import Reader
from eventabs.shared_records import Outcome, Reply
from mutation_kinds import KINDS, VOCABULARY, Kind, Sample, Step, samples

SAMPLES = 1_000
_READER = Reader(VOCABULARY, detail="day", source="llm", summarize=lambda _log: lambda _behaviors: "")


@dataclass(slots=True)
class Tally:
    """What was read of the mutations of one kind."""

    answers: int = 0
    users: int = 0
    exact: int = 0  # users with exactly their events
    other: int = 0  # users that are done with others
    rows: int = 0
    placed: int = 0  # rows in events or minor, of users that are done
    reasons: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)  # what was broken, with the answer

    @property
    def share(self) -> float:
        """The share of users with exactly their events."""
        return self.exact / self.users if self.users else 1.0


def measure(count: int, seed: int) -> dict[Kind, Tally]:
    """Read `count` mutations, as many of each kind, of a thousand answers."""
    tallies = {kind: Tally() for kind in KINDS}
    random = Random(seed)
    of = list(samples(min(SAMPLES, count), seed))
    for number in range(count):
        kind, sample = KINDS[number % len(KINDS)], random.choice(of)
        text = kind.mutate(sample, random)
        _read(kind, sample, text, tallies[kind])
    return tallies


def _read(kind: Kind, sample: Sample, text: str, tally: Tally) -> None:
    outcomes = _READER.read(Reply(text, kind.finish_reason), sample.asked).outcomes
    tally.answers += 1
    named = _rows_under_headers(text, sample)
    first = 1
    for alias, user in sample.asked.items():
        outcome = outcomes[alias]
        placed = [*outcome.minor, *(row for event in outcome.events for row in event.behaviors)]
        accounted = sorted([*placed, *outcome.unplaced, *outcome.unasked])
        if len(placed) != len(set(placed)):
            tally.broken.append(f"a row of {alias} in two events:\n{text}")
        if placed and accounted != [*user.rows]:
            tally.broken.append(f"a row of {alias} neither placed nor counted:\n{text}")
        if named is not None and not {first + row for row in placed} <= named.get(alias, set()):
            tally.broken.append(f"a row of {alias} that does not stand under the header:\n{text}")
        first += len(user.rows)
        tally.users += 1
        tally.rows += len(user.rows)
        tally.placed += len(placed) if outcome.usable else 0
        if outcome.reason not in (None, "minor"):
            tally.reasons[str(outcome.reason)] += 1
        elif _steps(outcome) == sorted(sample.steps[alias]) and outcome.minor == sample.minor[alias]:
            tally.exact += 1
        else:
            tally.other += 1


def _rows_under_headers(text: str, sample: Sample) -> dict[str, set[int]] | None:
    """Return the numbers that stand below each header, found by other means than the reader's; None: it has no such headers."""
    sections = re.split(r"^\W*U([1-9]\d*)(?![0-9a-zA-Z])", text, flags=re.MULTILINE)
    if len(sections) == 1 or "{" in text or "<think>" in text or "</think>" in text:
        return None
    rows = sum(len(user.rows) for user in sample.asked.values())
    named: dict[str, set[int]] = {}
    parts = [("", sections[0]), *zip(sections[1::2], sections[2::2], strict=True)]
    for number, part in parts:
        found = {
            row
            for first, _hyphen, last in re.findall(r"(\d+)(?:( ?(?:-|–|~|>|to|至)+ ?)(\d+))?", part)
            for row in range(int(first), min(int(last or first), rows) + 1)
        }
        for alias in [f"U{number}"] if number else sample.asked:
            named.setdefault(alias, set()).update(found)
    return named


def _steps(outcome: Outcome) -> list[Step]:
    names = {journey.id: (journey.kind, journey.name) for journey in outcome.journeys}
    return sorted(
        Step(
            event.behaviors,
            event.type + "!" * (event.category == "conversion"),
            event.sure,
            names.get(event.journey or ""),
        )
        for event in outcome.events
    )


def table(tallies: dict[Kind, Tally]) -> list[str]:
    """Return the rows of a Markdown table, the header first."""
    rows = [
        "| mutation | answers | users | read exactly | done otherwise | asked again | rows placed | broken promises |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, tally in tallies.items():
        shares = (n / tally.users for n in (tally.exact, tally.other, sum(tally.reasons.values())))
        cells = [kind.name, f"{tally.answers:,}", f"{tally.users:,}", *(f"{100 * n:.2f} %" for n in shares)]
        cells += [f"{100 * tally.placed / tally.rows:.2f} %", str(len(tally.broken))]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return 1 where a promise was broken or a kind is read less often than it has to be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=25_000, help="mutations (default: 25000)")
    parser.add_argument("--seed", type=int, default=1, help="whatever is drawn is drawn from it")
    options = parser.parse_args(argv)
    began = time.perf_counter()
    tallies = measure(options.count, options.seed)
    seconds = time.perf_counter() - began
    print("\n".join(table(tallies)))
    users, rows = (sum(getattr(tally, name) for tally in tallies.values()) for name in ("users", "rows"))
    print(
        f"\n{options.count:,} answers about {users:,} users, {rows:,} rows in {seconds:.0f} s, seed {options.seed}"
    )
    for kind, tally in tallies.items():
        for text in tally.broken[:1]:
            print(f"\n{kind.name}: {text}", file=sys.stderr)
    return int(any(tally.broken or tally.share < kind.least for kind, tally in tallies.items()))


if __name__ == "__main__":
    sys.exit(main())
