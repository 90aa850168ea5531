"""Events against labels: starts, segments, minutes and labels, with baselines and intervals."""

import csv
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal, NamedTuple

import orjson

from eventabs.api import read_events
from eventabs.errors import InputError, RunDirectoryError
from eventabs.language import gettext as _
from eventabs.measures import (
    FEW_CLUSTERS,
    Figure,
    Hits,
    Segment,
    interval,
    matched_segments,
    matched_times,
    overlaps,
    resampled,
)
from eventabs.store import Ledger, RunDirectory

Labels = dict[str, list[Segment]]

# The columns of a file of labels by role; of two that fit, the one further left is taken.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "user": ("user_id", "user", "uid", "用户ID", "用户"),
    "start": ("start", "start_time", "begin", "from", "开始时间", "开始"),
    "end": ("end", "end_time", "stop", "to", "结束时间", "结束"),
    "label": ("label", "type", "activity", "event", "class", "标签", "类型", "活动", "事件"),
}
_ONLY_USER: Final = ""  # of a file without a user column


def read_labels(path: Path) -> Labels:
    """Return the segments of each user in order of time: from a CSV, JSON lines, or the directory of a run.

    Times are wall times; an offset from UTC is left out, as in events.jsonl. A file without a user column is about one
    user, named "". Raises InputError where a row cannot be read.
    """
    labels: Labels = {}
    for number, row in _rows(path):
        found = {role: _value(row, names) for role, names in _NAMES.items()}
        missing = [role for role in ("start", "label") if not found[role]]
        if missing:
            message = _("{path}, row {row} has no {role}; columns: user, start, end, label")
            raise InputError(message.format(path=path, row=number, role=missing[0]))
        start = _seconds(path, number, found["start"])
        end = _seconds(path, number, found["end"]) if found["end"] else start
        segment = Segment(start, max(start, end), found["label"].strip())
        labels.setdefault(found["user"] or _ONLY_USER, []).append(segment)
    if not labels:
        message = _("{path} holds no labels; give a row for each: user, start, end, label")
        raise InputError(message.format(path=path))
    return {user: sorted(segments) for user, segments in sorted(labels.items())}


def wall_seconds(time: datetime) -> float:
    """Return a wall time as seconds that can be compared, whatever its offset from UTC."""
    return time.replace(tzinfo=UTC).timestamp()


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.is_dir() or path.name in {"events.jsonl", "checkpoint.json"}:
        events = (event.model_dump() for event in read_events(path))
        yield from enumerate(filter(_is_timed, events), start=1)
        return
    try:
        text = path.read_text("utf-8-sig")
        if text.lstrip().startswith("{"):
            for number, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    yield number, orjson.loads(line)
        else:
            first = text.partition("\n")[0]
            delimiter = max(",\t;", key=first.count)
            yield from enumerate(csv.DictReader(text.splitlines(), delimiter=delimiter), start=2)
    except (OSError, UnicodeDecodeError, orjson.JSONDecodeError, csv.Error) as error:
        message = _("{path} cannot be read ({error}); labels are CSV or JSON lines: user, start, end, label")
        raise InputError(message.format(path=path, error=error)) from None


def _is_timed(event: Mapping[str, Any]) -> bool:
    """Whether an event has times; a model may have given impossible ones."""
    try:
        return datetime.fromisoformat(event["start"]) <= datetime.fromisoformat(event["end"])
    except (ValueError, TypeError):
        return False


def _value(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    by_name = {str(key).strip().lower(): value for key, value in row.items()}
    return next((str(by_name[name.lower()]) for name in names if by_name.get(name.lower())), "")


def _seconds(path: Path, number: int, text: str) -> float:
    try:
        return wall_seconds(datetime.fromisoformat(text.strip()))
    except ValueError:
        message = _("{path}, row {row}: {time} is no time; write 2026-01-15T10:00:00")
        raise InputError(message.format(path=path, row=number, time=text)) from None


DAY: Final = 86_400
_MINUTE: Final = 60
_GAPS: Final = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360)  # minutes
_DRAWS: Final = 20

Cluster = tuple[str, int]  # user and day
Sums = Mapping[str, float]


class Baseline(NamedTuple):
    """Starts that know nothing of the events: how many, and the F1 that they reach. `gap`: minutes of pause."""

    kind: Literal["gaps", "random"]
    starts: int
    start_f1: float | None
    gap: int = 0


class LabelRow(NamedTuple):
    """A label: minutes that have it in the labels, precision, recall and F1 of these minutes, and F1 of its starts."""

    label: str
    minutes: float
    precision: float | None
    recall: float | None
    f1: float | None
    start_f1: float | None


class UserRow(NamedTuple):
    """A user: events, labels, F1 of the starts without and with the label, share of minutes with the right label."""

    user_id: str
    events: int
    labels: int
    start_f1: float | None
    labelled_start_f1: float | None
    minutes_right: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Events against labels. `found` and `wanted` are the segments compared, by user.

    `without_labels` counts users that the labels do not name, `outside` events before a user's first label or after the
    last: both are left out. `drawn` says what the intervals draw: users or days.
    """

    within: float  # minutes
    found: Labels
    wanted: Labels
    without_labels: int
    outside: int
    drawn: Literal["users", "days"]
    figures: dict[str, Figure]
    baselines: tuple[Baseline, ...]
    by_label: tuple[LabelRow, ...]
    by_user: tuple[UserRow, ...]
    confusion: dict[tuple[str, str], float]  # minutes by (wanted, found) label; "" where there is no event


def evaluate(events: Path, gold: Path, *, within: float = 1.0, seed: int = 0) -> Evaluation:
    """Hold the events of a run (or an events.jsonl) against labels. `within`: minutes that a start may be off.

    Baselines need the behaviors, so only a run directory has them. Raises InputError.
    """
    found, wanted = read_labels(events), read_labels(gold)
    if set(wanted) == {""} and len(found) == 1:
        wanted = {next(iter(found)): wanted[""]}
    if not set(found) & set(wanted):
        message = _("no user of {gold} has events in {events}; compare the ids of both")
        raise InputError(message.format(gold=gold, events=events))
    margin = within * _MINUTE
    near = {user: _near(found.get(user, []), labels, margin) for user, labels in wanted.items()}
    sums = {user: _user_sums(user, near[user], wanted[user], margin) for user in wanted}
    clusters, drawn = _clusters(sums)
    total = _added(clusters)
    return Evaluation(
        within=within,
        found=near,
        wanted=wanted,
        without_labels=len(set(found) - set(wanted)),
        outside=sum(len(found.get(user, [])) - len(near[user]) for user in wanted),
        drawn=drawn,
        figures=_figures(total, clusters, random.Random(seed)),  # noqa: S311  no secret
        baselines=tuple(_baselines(events, near, wanted, margin, random.Random(seed))),  # noqa: S311  no secret
        by_label=tuple(_label_rows(total)),
        by_user=tuple(_user_rows(sums, near, wanted)),
        confusion=_confusion(total),
    )


def _near(found: Sequence[Segment], labels: Sequence[Segment], margin: float) -> list[Segment]:
    first = min(label.start for label in labels) - margin
    last = max(label.end for label in labels) + margin
    return [segment for segment in found if first <= segment.start <= last]


def _user_sums(
    user: str, found: Sequence[Segment], wanted: Sequence[Segment], margin: float
) -> dict[Cluster, Sums]:
    """Return what the figures are made of, by the day on which a segment begins."""
    sums: defaultdict[Cluster, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(segment: Segment, name: str, amount: float = 1) -> None:
        sums[user, int(segment.start // DAY)][name] += amount

    for segment in found:
        add(segment, "found")
        add(segment, f"found:{segment.label}")
    for segment in wanted:
        add(segment, "wanted")
        add(segment, f"wanted:{segment.label}")
    for _ours, theirs in matched_times([s.start for s in found], [s.start for s in wanted], margin):
        add(wanted[theirs], "hits")
    for label in {segment.label for segment in wanted}:
        ours = [segment.start for segment in found if segment.label == label]
        same = [segment for segment in wanted if segment.label == label]
        for _position, theirs in matched_times(ours, [segment.start for segment in same], margin):
            add(same[theirs], "labelled hits")
            add(same[theirs], f"hits:{label}")
    for _ours, theirs in matched_segments(found, wanted):
        add(wanted[theirs], "segment hits")
    _add_seconds(found, wanted, add)
    return dict(sums)


def _add_seconds(
    found: Sequence[Segment], wanted: Sequence[Segment], add: Callable[[Segment, str, float], None]
) -> None:
    inside: dict[int, list[float]] = {}
    for segment, parts in zip(wanted, overlaps(found, wanted), strict=True):
        owned = {position: seconds for position, seconds in parts.items() if position is not None}
        add(segment, "labelled seconds", sum(parts.values()))
        add(segment, "covered seconds", max(owned.values(), default=0.0))
        for position, seconds in parts.items():
            label = "" if position is None else found[position].label
            add(segment, f"seconds:{segment.label}\t{label}", seconds)
        for position, seconds in owned.items():
            inside.setdefault(position, []).append(seconds)
    for position, each in inside.items():
        add(found[position], "pure seconds", max(each))
        add(found[position], "found seconds", sum(each))


def _clusters(
    sums: Mapping[str, Mapping[Cluster, Sums]],
) -> tuple[list[Sums], Literal["users", "days"]]:
    if len(sums) < FEW_CLUSTERS:  # users; days are drawn then
        return [day for days in sums.values() for day in days.values()], "days"
    return [_added(days.values()) for days in sums.values()], "users"


def _added(sums: Iterable[Sums]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for each in sums:
        for name, amount in each.items():
            total[name] += amount
    return dict(total)


def _figures(total: Sums, clusters: Sequence[Sums], random_numbers: random.Random) -> dict[str, Figure]:
    names = sorted(total)
    rows = [[each.get(name, 0.0) for name in names] for each in clusters]
    drawn = list(resampled(rows, random_numbers))

    def figure(of: Callable[[Sums], float | None]) -> Figure:
        bounds = interval(drawn, lambda sums: of(dict(zip(names, sums, strict=True))))
        return Figure(of(total), *(bounds or (None, None)))

    return {name: figure(of) for name, of in _FIGURES.items()}


def _hits(name: str) -> Callable[[Sums], Hits]:
    return lambda sums: Hits(sums.get(name, 0), sums.get("found", 0), sums.get("wanted", 0))


def _share(part: str, whole: str) -> Callable[[Sums], float | None]:
    return lambda sums: sums.get(part, 0.0) / sums[whole] if sums.get(whole) else None


def _label_hits(sums: Sums, label: str) -> Hits:
    """Return the seconds in which a label is right, found and wanted, as if they were hits."""
    right = found = wanted = 0.0
    for (theirs, ours), seconds in _pairs(sums):
        right += seconds * (theirs == ours == label)
        found += seconds * (ours == label)
        wanted += seconds * (theirs == label)
    return Hits(right, found, wanted)


def _pairs(sums: Sums) -> Iterator[tuple[tuple[str, str], float]]:
    for name, seconds in sums.items():
        if name.startswith("seconds:"):
            theirs, _tab, ours = name.removeprefix("seconds:").partition("\t")
            yield (theirs, ours), seconds


def _minutes_right(sums: Sums) -> float | None:
    right = sum(seconds for (theirs, ours), seconds in _pairs(sums) if theirs == ours)
    return right / sums["labelled seconds"] if sums.get("labelled seconds") else None


def _macro_f1(sums: Sums) -> float | None:
    """Return the mean of the F1 of minutes over the labels that were given (as in van Kasteren et al. 2011)."""
    right: defaultdict[str, float] = defaultdict(float)
    either: defaultdict[str, float] = defaultdict(float)
    for (theirs, ours), seconds in _pairs(sums):
        right[theirs] += seconds * (theirs == ours)
        either[theirs] += seconds
        either[ours] += seconds
    given = {theirs for (theirs, _ours), seconds in _pairs(sums) if seconds}
    return fmean(2 * right[label] / either[label] for label in given) if given else None


_FIGURES: Final[dict[str, Callable[[Sums], float | None]]] = {
    "start_f1": lambda sums: _hits("hits")(sums).f1,
    "start_precision": lambda sums: _hits("hits")(sums).precision,
    "start_recall": lambda sums: _hits("hits")(sums).recall,
    "labelled_start_f1": lambda sums: _hits("labelled hits")(sums).f1,
    "segment_f1": lambda sums: _hits("segment hits")(sums).f1,
    "purity": _share("pure seconds", "found seconds"),
    "coverage": _share("covered seconds", "labelled seconds"),
    "minutes_right": _minutes_right,
    "label_macro_f1": _macro_f1,
}


def _label_rows(total: Sums) -> Iterator[LabelRow]:
    labels = {theirs for (theirs, _ours), _seconds in _pairs(total)}
    rows = []
    for label in labels:
        seconds = _label_hits(total, label)
        counts = (total.get(f"{kind}:{label}", 0) for kind in ("hits", "found", "wanted"))
        minutes = seconds.wanted / _MINUTE
        starts = Hits(*counts).f1
        rows.append(LabelRow(label, minutes, seconds.precision, seconds.recall, seconds.f1, starts))
    yield from sorted(rows, key=lambda row: (-row.minutes, row.label))


def _user_rows(
    sums: Mapping[str, Mapping[Cluster, Sums]], found: Labels, wanted: Labels
) -> Iterator[UserRow]:
    for user, days in sums.items():
        total = _added(days.values())
        figures = (_FIGURES[name](total) for name in ("start_f1", "labelled_start_f1", "minutes_right"))
        yield UserRow(user, len(found[user]), len(wanted[user]), *figures)


def _confusion(total: Sums) -> dict[tuple[str, str], float]:
    return {pair: seconds / _MINUTE for pair, seconds in sorted(_pairs(total)) if seconds}


def _baselines(
    events: Path, found: Labels, wanted: Labels, margin: float, random_numbers: random.Random
) -> Iterator[Baseline]:
    """Yield the best of a grid of pauses after which an event begins, and starts at random, as many as there are events."""
    times = dict(_behavior_times(events, wanted, margin))
    if not times:
        return

    def reached(starts_of: Callable[[str], list[float]]) -> Hits:
        hits = starts_found = starts_wanted = 0
        for user, labels in wanted.items():
            starts = starts_of(user)
            hits += len(matched_times(starts, [label.start for label in labels], margin))
            starts_found += len(starts)
            starts_wanted += len(labels)
        return Hits(hits, starts_found, starts_wanted)

    grid = [(reached(lambda user, gap=gap: _after_pauses(times.get(user, []), gap)), gap) for gap in _GAPS]  # type: ignore[misc]
    best, gap = max(grid, key=lambda each: each[0].f1 or 0)
    yield Baseline("gaps", int(best.found), best.f1, gap)

    def drawn(user: str) -> list[float]:
        distinct = sorted(set(times.get(user, [])))
        return random_numbers.sample(distinct, min(len(found[user]), len(distinct)))

    draws = [reached(drawn) for _draw in range(_DRAWS)]
    yield Baseline("random", int(draws[0].found), fmean(each.f1 or 0 for each in draws))


def _after_pauses(times: Sequence[float], gap: int) -> list[float]:
    later = [after for before, after in pairwise(times) if after - before > gap * _MINUTE]
    return [*times[:1], *later]


def _behavior_times(events: Path, wanted: Labels, margin: float) -> Iterator[tuple[str, list[float]]]:
    """Yield each user's times of behaviors near the labels, where `events` is a run."""
    try:
        directory = RunDirectory.find(events)
    except RunDirectoryError:
        return
    with Ledger.watch(directory.ledger) as ledger:
        for user, labels in wanted.items():
            if ledger.rows("SELECT 1 FROM users WHERE user_id = ?", user):
                starts = [wall_seconds(behavior.start) for behavior in ledger.log(user).behaviors]
                moments = [Segment(start, start, "") for start in starts]
                yield user, [moment.start for moment in _near(moments, labels, margin)]
