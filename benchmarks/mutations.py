"""How much of an answer is read after models' habits and plain damage have been at it.

    python benchmarks/mutations.py --count 1000000

From a thousand well-formed answers, mutations by kind, from a seed: the share of users that are read with exactly
their events, of those that would be asked about again, and events that are none of the answer's.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from answer_samples import VOCABULARY, Form, Sample, Truth, samples
from eventabs.prompts import Compactor
from eventabs.records import Event, Outcome, Reply
from eventabs.replies import Labels, read_reply
from mutation_kinds import KINDS, Kind, dressed

SAMPLES = 1_000
_LABELS = Labels(VOCABULARY)
_LINES = Compactor("zh").contents
_DRESSED = 0.3  # of the mutations have prose, thoughts or the like around them as well


@dataclass(slots=True)
class Tally:
    """What was read of the mutations of one kind."""

    answers: int = 0
    users: int = 0
    whole: int = 0  # users with exactly their events
    partly: int = 0  # done, but with fewer events or words
    reasons: Counter[str] = field(default_factory=Counter)
    invented: list[str] = field(default_factory=list)  # the answers with an event that is none of theirs

    @property
    def share(self) -> float:
        """The share of users with exactly their events."""
        return self.whole / self.users if self.users else 1.0


def measure(count: int, seed: int) -> dict[Kind, Tally]:
    """Read `count` mutations, as many of each kind, of a thousand answers."""
    tallies = {kind: Tally() for kind in KINDS}
    for kind, sample, text in _mutations(count, seed):
        _read(kind, sample, text, tallies[kind])
    return tallies


def _mutations(count: int, seed: int) -> Iterator[tuple[Kind, Sample, str]]:
    by_form: dict[Form, list[Sample]] = {}
    for sample in samples(SAMPLES, seed):
        by_form.setdefault(sample.form, []).append(sample)
    random = Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        sample = random.choice(by_form[random.choice(kind.forms)])
        if kind.summaries:
            sample = sample.saying(random.choice(kind.summaries))
        text = kind.mutate(sample, random)
        if kind.dresses and random.random() < _DRESSED:
            text = dressed(text, random)
        yield kind, sample, text


def _read(kind: Kind, sample: Sample, text: str, tally: Tally) -> None:
    reading = read_reply(
        Reply(text, kind.finish_reason),
        sample.users,
        sample.parts,
        labels=_LABELS,
        min_grounded=0.5,
        source="llm",
        lines=_LINES,
    )
    tally.answers += 1
    for alias, outcome in reading.outcomes.items():
        tally.users += 1
        truths = sample.truths[alias]
        _judge(truths, outcome, tally)
        if any(_is_invented(event, sample, truths, kind) for event in outcome.events):
            tally.invented.append(text)


def _judge(truths: Sequence[Truth], outcome: Outcome, tally: Tally) -> None:
    if outcome.reason is not None:
        tally.reasons[outcome.reason] += 1
    elif [_truth(event) for event in outcome.events] == list(truths):
        tally.whole += 1
    else:
        tally.partly += 1


def _truth(event: Event) -> Truth:
    return Truth(event.behaviors, event.type, event.category, event.summary)


def _is_invented(event: Event, sample: Sample, truths: Sequence[Truth], kind: Kind) -> bool:
    """Whether an event is none of the user's.

    Where signs are lost, what they said is lost too: a header gives its events to the user or the day before. What
    then stays is the minute of the day.
    """
    if not kind.damages:
        return _truth(event) not in truths
    named = [moment for events in sample.events.values() for each in events for moment in each[:2]]
    clocks = {f"{moment:%H:%M}" for moment in named}
    return event.start[11:16] not in clocks


def table(tallies: dict[Kind, Tally]) -> list[str]:
    """Return the rows of a Markdown table, the header first."""
    rows = [
        "| mutation | answers | users | read exactly | done with less | asked again | invented |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, tally in tallies.items():
        shares = (n / tally.users for n in (tally.whole, tally.partly, sum(tally.reasons.values())))
        cells = [kind.name, f"{tally.answers:,}", f"{tally.users:,}", *(f"{100 * n:.2f} %" for n in shares)]
        rows.append(f"| {' | '.join([*cells, str(len(tally.invented))])} |")
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return 1 where an event was invented or a kind is read less often than it has to be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="mutations (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, help="whatever is drawn is drawn from it")
    options = parser.parse_args(argv)
    began = time.perf_counter()
    tallies = measure(options.count, options.seed)
    seconds = time.perf_counter() - began
    print("\n".join(table(tallies)))
    users = sum(tally.users for tally in tallies.values())
    print(f"\n{options.count:,} answers about {users:,} users in {seconds:.0f} s, seed {options.seed}")
    for kind, tally in tallies.items():
        for text in tally.invented[:1]:
            print(f"\ninvented, {kind.name}:\n{text}", file=sys.stderr)
    return int(any(tally.invented or tally.share < kind.least for kind, tally in tallies.items()))


if __name__ == "__main__":
    sys.exit(main())
