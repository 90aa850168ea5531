"""Models that lose rows, the more the more rows a call has: which size a run finds, what that costs, and what becomes of the users.

    python benchmarks/weak_models.py --users 240

Nothing is spent: the models are simulated. `lost 5 %` leaves out that share of the rows of a call of 1,000, half of it at 500, twice at
2,000. `constant` ones lose as much in any call.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import eventabs
import workload
from simulated_model import Model, Options, Speed
from simulated_replies import Answered, Block, Told, Wanted, segments, told_of
from simulator import Simulator

SOUND_AT = 1_000  # rows of a call, in which the share is lost
PRICE = {"input": 0.75, "output": 4.5, "currency": "USD"}  # a million tokens
Weakness = Callable[[Told, float, Random], Told]


def lost(told: Told, share: float, rng: Random) -> Told:
    """Leave out a share of the rows."""
    return told.with_rows(lambda row: () if rng.random() < share else (row,))


def doubled(told: Told, share: float, rng: Random) -> Told:
    """Name a row a second time in the place of another."""
    rows = sorted({row for event in told.events for row in event.rows}) or [told.first]
    return told.with_rows(lambda row: (rng.choice(rows),) if rng.random() < share else (row,))


def shifted(told: Told, share: float, rng: Random) -> Told:
    """Name the next row in the place of one."""
    return told.with_rows(lambda row: (row + 1,) if rng.random() < share else (row,))


def renumbered(told: Told, _share: float, _rng: Random) -> Told:
    """Count anew for each user."""
    return told.starting_at(1)


@dataclass
class Weak(Model):
    """A model with a weakness. `rows`: of each call, in order."""

    weakness: Weakness = lost
    share: float = 0.0
    grows: bool = True
    ends: bool = True
    rows: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__({}, 7)

    def answer(
        self,
        blocks: Mapping[str, Block],
        kind: str,  # noqa: ARG002
        wanted: Wanted,
        most_tokens: int,  # noqa: ARG002
        rng: Random,
    ) -> tuple[Answered, str]:
        """Answer as a sound model does, then spoil each user's part."""
        told = {alias: told_of(block, wanted.minor_word) for alias, block in blocks.items()}
        rows = sum(
            sum(line[:1].isdigit() for line in block.text.splitlines()[1:]) for block in blocks.values()
        )
        self.rows.append(rows)
        share = min(0.9, self.share * (rows / SOUND_AT if self.grows else 1))
        if self.share:
            told = {alias: self.weakness(each, share, rng) for alias, each in told.items()}
        written = segments(told, wanted.form)
        return Answered(tuple(written if self.ends else written[:-1])), ""


MODELS: dict[str, Callable[[], Weak]] = {
    "sound": Weak,
    **{
        f"{weakness.__name__} {share:.0%}": partial(Weak, weakness, share)
        for weakness in (lost, doubled, shifted)
        for share in (0.01, 0.05, 0.2)
    },
    "lost 20%, constant": partial(Weak, lost, 0.2, grows=False),
    "numbers anew": partial(Weak, renumbered, 1.0),
    "never ##": partial(Weak, ends=False),
}


class Figures(NamedTuple):
    """What a run against a model came to. `rows`: of the largest call in the second half; `unplaced`: of the rows of done users."""

    rows: int
    calls: int
    tokens: int
    cost: float
    done: int
    failed: str
    unplaced: float


def measured(model: Weak, export: Path, out: Path) -> Figures:
    """Run against a model."""
    with Simulator(Options(Speed(0.0, 0.0, 0.0)), model=model) as server:
        llm = {"model": "simulated", "base_url": server.base_url, "price": PRICE}
        run = eventabs.run(export, settings={"llm": llm}, out=out).summary
    return Figures(
        max(model.rows[len(model.rows) // 2 :]),
        run.calls,
        run.prompt_tokens + run.completion_tokens,
        run.cost or 0.0,
        run.done,
        ", ".join(f"{count} {reason}" for reason, count in run.failures.items()) or "0",
        run.unplaced / max(run.answered, 1),
    )


def export_of(users: int, folder: Path) -> Path:
    """Write an export of users with 96 rows each on average."""
    path = folder / "behaviors.csv"
    workload.main(["--users", str(users), "--behaviors", "92", "--format", "csv", "--output", str(path)])
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of all models, or of some."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=240)
    parser.add_argument("--models", nargs="*", default=[*MODELS])
    given = parser.parse_args(arguments)
    print(
        "| model | rows a call at the end | calls | tokens, of the sound model's | USD | users done | failed | rows unplaced |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="eventabs-weak-") as name:
        os.environ["XDG_STATE_HOME"] = name
        export, sound = export_of(given.users, Path(name)), 0
        for model in dict.fromkeys(("sound", *given.models)):
            found = measured(MODELS[model](), export, Path(name) / model.replace(" ", "-"))
            sound = sound or found.tokens
            print(
                f"| {model} | {found.rows} | {found.calls} | {found.tokens / sound:.2f} | {found.cost:.2f} | {found.done} |"
                f" {found.failed} | {found.unplaced:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
