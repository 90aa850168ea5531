"""What people say of a run's events: precision with an exact bound, recall by reviewed days, and how far two agree."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.measures import Figure, cohen_kappa, least_share, share_of
from eventabs.quality.sample import Review, SampledDay, SampledEvent
from eventabs.quality.verdicts import Verdicts, read_verdicts
from eventabs.store import RunDirectory, replace_file

_MOST_REVIEWERS: Final = 2


class Judged(NamedTuple):
    """Verdicts on some events of the sample. `name`: their type, "" for all.

    `skipped`: without a verdict, though one that came later in the random order has one. `precision` is of those with a
    verdict; for `at_least`, the exact one-sided 95 % bound, those skipped are wrong. Both are None where they mean nothing.
    """

    name: str
    judged: int
    skipped: int
    right: int
    wrong_type: int
    wrong_span: int
    nothing: int
    precision: float | None
    at_least: float | None


class ReviewedDays(NamedTuple):
    """Days that were looked at as a whole, every event of theirs judged; `unfinished` ones are left out.

    `real`: events that were there, found or missing. `recall`: of these the share found with the right type and span,
    `found`: the share found at all; 95 % intervals draw days.
    """

    days: int
    unfinished: int
    real: int
    right: int
    missing: int
    recall: Figure
    found: Figure


class Reviewer(NamedTuple):
    """What one person says. `left`: events of the sample after the last one with a verdict; `confused`: (type, type meant, how often).

    `renamed`: rows whose user a spreadsheet has changed, such as by leading zeros.
    """

    file: str
    all: Judged
    left: int
    by_type: tuple[Judged, ...]
    days: ReviewedDays
    confused: tuple[tuple[str, str, int], ...]
    renamed: int


class Difference(NamedTuple):
    """An event on which two reviewers differ."""

    event: SampledEvent
    first: str
    second: str


class PairAgreement(NamedTuple):
    """How far two reviewers agree on the events that both judged; `kappa` is None where it is not defined."""

    judged: int
    same: int
    kappa: float | None
    differ: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class ReviewResult:
    """A review that was read back; `drawn` events are its sample. `agreement` is None for a single reviewer."""

    review: Review
    out: str
    drawn: int
    reviewers: tuple[Reviewer, ...]
    agreement: PairAgreement | None


def read_review(named: Path, files: Sequence[Path]) -> ReviewResult:
    """Read what one or two reviewers have saved.

    Raises InputError for a file that cannot be read or is of another review, UsageError for more than two files.
    """
    if len(files) > _MOST_REVIEWERS:
        raise UsageError(_("--read takes the files of one or two reviewers"))
    directory = RunDirectory.find(named)
    read = [read_verdicts(directory, path) for path in files]
    review = read[0].review
    for each in read[1:]:
        if each.review.id != review.id:
            message = _(
                "{second} is of review {other}, {first} of {review}; two reviewers judge the same one"
            )
            raise UsageError(
                message.format(second=each.path, other=each.review.id, first=read[0].path, review=review.id)
            )
    return ReviewResult(
        review=review,
        out=str(directory.path),
        drawn=sum(event.drawn for event in review.events),
        reviewers=tuple(map(_reviewer, read)),
        agreement=_agreement(*read) if len(read) > 1 else None,
    )


def keep_result(result: ReviewResult, figures: str) -> None:
    """Keep the figures, as JSON, beside the sample, for the report of the run. Raises StorageError."""
    folder = RunDirectory(Path(result.out)).reviews / result.review.id
    replace_file(folder / "result.json", [figures.encode()])


def _reviewer(read: Verdicts) -> Reviewer:
    drawn = [event for event in read.review.events if event.drawn]
    judged = [place for place, event in enumerate(drawn) if event.item in read.events]
    reached = drawn[: judged[-1] + 1] if judged else []
    types = Counter(event.type for event in reached)
    whole = _judged("", reached, read)
    confused = Counter(
        (event.type, read.types[event.item]) for event in read.review.events if event.item in read.types
    )
    return Reviewer(
        file=str(read.path),
        # types that are as frequent in the sample, and not in the run, say nothing of all events
        all=whole._replace(precision=None, at_least=None) if read.review.by else whole,
        left=len(drawn) - len(reached),
        by_type=tuple(
            _judged(name, [event for event in reached if event.type == name], read)
            for name, _count in types.most_common()
        ),
        days=_days(read),
        confused=tuple((*types, count) for types, count in confused.most_common()),
        renamed=read.renamed,
    )


def _judged(name: str, events: Iterable[SampledEvent], read: Verdicts) -> Judged:
    said = Counter(read.events.get(event.item, "") for event in events)
    judged = said.total() - said[""]
    return Judged(
        name=name,
        judged=judged,
        skipped=said[""],
        right=said["right"],
        wrong_type=said["type"],
        wrong_span=said["span"],
        nothing=said["none"],
        precision=said["right"] / judged if judged else None,
        at_least=least_share(said["right"], said.total()) if judged else None,
    )


def _days(read: Verdicts) -> ReviewedDays:
    looked_at = [day for day in read.review.days if day.item in read.days]
    whole = [day for day in looked_at if all(event in read.events for event in day.events)]
    counts = [(*_found(day, read), read.missing.get(day.item, 0)) for day in whole]
    return ReviewedDays(
        days=len(whole),
        unfinished=len(looked_at) - len(whole),
        real=sum(found + missing for _right, found, missing in counts),
        right=sum(right for right, _found, _missing in counts),
        missing=sum(missing for _right, _found, missing in counts),
        recall=share_of([(right, found + missing) for right, found, missing in counts]),
        found=share_of([(found, found + missing) for _right, found, missing in counts]),
    )


def _found(day: SampledDay, read: Verdicts) -> tuple[int, int]:
    said = Counter(read.events[item] for item in day.events)
    return said["right"], said.total() - said["none"]


def _agreement(first: Verdicts, second: Verdicts) -> PairAgreement:
    both = [
        event for event in first.review.events if event.item in first.events and event.item in second.events
    ]
    pairs = [(first.events[event.item], second.events[event.item]) for event in both]
    differ = tuple(
        Difference(event, *pair) for event, pair in zip(both, pairs, strict=True) if pair[0] != pair[1]
    )
    return PairAgreement(len(pairs), len(pairs) - len(differ), cohen_kappa(pairs), differ)
