"""Events against labels, which are intervals or groups of rows, beside what trivial programs score on the same rows."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import orjson

from eventabs import measures
from eventabs.errors_and_exit_codes import InputError, RunDirectoryError
from eventabs.interface_language import gettext as _
from eventabs.measures import Group, Row, Score, Segment, Sums, Tally
from eventabs.providers import load_rules, rule_events, shipped_rules
from eventabs.shared_records import UserLog
from eventabs.store import Ledger, RunDirectory, made_of

DAY: Final = 86_400
_MINUTE: Final = 60
_NEAR: Final = 300  # seconds before the first label, and after the last, in which events are judged
_ONLY_USER: Final = ""  # of a file without a user column
# kinds of groups that are journeys of their own
_JOURNEYS: Final = frozenset({"journey", "undertaking", "旅程"})

# The columns of a file of labels by role; of two that fit, the one further left is taken.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "user": ("user_id", "user", "uid", "用户ID", "用户"),
    "start": ("start", "start_time", "begin", "from", "开始时间", "开始"),
    "end": ("end", "end_time", "stop", "to", "结束时间", "结束"),
    "label": ("label", "type", "activity", "event", "class", "标签", "类型", "活动", "事件"),
    "group": ("group", "group_id", "组", "分组"),
    "time": ("timestamp", "time", "时间", "时间戳"),
    "line": ("line", "行号", "行"),
    "parent": ("parent", "journey", "旅程", "上级"),
    "kind": ("kind", "性质"),
    "goal": ("journey_kind", "旅程类型"),
}


class RowLabel(NamedTuple):
    """A label of one row, found by its line in the input file, or its time (None: not given). `group` "": the row is in none.

    `kind`: what the group is, such as a journey; `goal`: the kind of the journey that it is in.
    """

    time: float | None
    line: int
    group: str
    label: str
    parent: str
    kind: str
    goal: str


@dataclass(slots=True)
class Labels:
    """What people said of each user: intervals, or rows. `doubled`: labels that were there before."""

    spans: dict[str, list[Segment]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[str, list[RowLabel]] = field(default_factory=lambda: defaultdict(list))
    doubled: int = 0

    @property
    def users(self) -> set[str]:
        """The users that have labels; "" for that of a file without a user column."""
        return {*self.spans, *self.rows}

    def name_the_only_user(self, known: Iterable[str]) -> None:
        """Give the labels of a file without a user column to the only user that there is."""
        if self.users == {_ONLY_USER} and len(names := list(known)) == 1:
            self.spans = dict(zip(names, self.spans.values(), strict=False))
            self.rows = dict(zip(names, self.rows.values(), strict=False))


def read_labels(path: Path) -> Labels:
    """Read labels from a CSV, JSON lines, an events.jsonl or the directory of a run.

    A file with a column of groups has labels of rows, any other intervals. Times are wall times; an offset from UTC is left out, as in
    events.jsonl. Raises InputError where a row cannot be read.
    """
    labels = Labels()
    seen = set[object]()
    if path.is_dir() or path.name == "checkpoint.json":
        path = RunDirectory.find(path).path / "events.jsonl"
    message = _("{path} cannot be read ({error}); labels are CSV or JSON lines: user, start, end, label")
    table = list(rows_of_table(path, message))
    of_rows = any(name in row for _number, row in table for name in _NAMES["group"])
    for number, row in table:
        found = {
            role: next((row[name.lower()] for name in names if row.get(name.lower())), "")
            for role, names in _NAMES.items()
        }
        user = found["user"] or _ONLY_USER
        label = _row_label(path, number, found) if of_rows else _span(path, number, found)
        if (user, label) in seen and (not isinstance(label, RowLabel) or label.line):
            labels.doubled += 1
        elif isinstance(label, RowLabel):
            labels.rows[user].append(label)
        else:
            labels.spans[user].append(label)
        seen.add((user, label))
    if not labels.users:
        message = _("{path} holds no labels; give a row for each: user, start, end, label")
        raise InputError(message.format(path=path))
    return labels


def _row_label(path: Path, number: int, found: Mapping[str, str]) -> RowLabel:
    line = found["line"]
    if not found["time"] and not line:
        message = _(
            "{path}, row {row} has neither time nor line; columns: user, time, line, group, label, parent"
        )
        raise InputError(message.format(path=path, row=number))
    if line and not line.isdecimal():
        message = _(
            "{path}, row {row}: {line} is no line; write the number of the row's line in the input file"
        )
        raise InputError(message.format(path=path, row=number, line=line))
    return RowLabel(
        _seconds(path, number, found["time"]) if found["time"] else None,
        int(line or 0),
        *(found[role] for role in ("group", "label", "parent", "kind", "goal")),
    )


def _span(path: Path, number: int, found: Mapping[str, str]) -> Segment:
    missing = [role for role in ("start", "label") if not found[role]]
    if missing:
        message = _("{path}, row {row} has no {role}; columns: user, start, end, label")
        raise InputError(message.format(path=path, row=number, role=missing[0]))
    start = _seconds(path, number, found["start"])
    end = _seconds(path, number, found["end"]) if found["end"] else start
    return Segment(start, max(start, end), found["label"])


def rows_of_table(path: Path, message: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV or of JSON lines, each with its line, by its columns in lower case; blank rows are left out.

    A CSV may come out of a spreadsheet: with commas, semicolons or tabs, in UTF-8, UTF-16 or GB18030. Raises InputError with the `message`.
    """
    try:
        data = path.read_bytes()
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            text = data.decode("utf-16" if utf16 else "utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("gb18030")
        if text.lstrip().startswith("{"):
            for number, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    row = orjson.loads(line).items()
                    yield number, {name.strip().lower(): str(value or "").strip() for name, value in row}
            return
        if text.lower().startswith("sep="):  # which Excel itself leaves out
            text = text.partition("\n")[2]
        head = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",\t;", key=head.count))
        names = [name.strip().lower() for name in next(reader, [])]
        for values in reader:
            if any(value.strip() for value in values):
                given = zip(names, (value.strip() for value in values), strict=False)
                yield reader.line_num, dict.fromkeys(names, "") | dict(given)
    except (OSError, ValueError, AttributeError, csv.Error) as error:
        raise InputError(message.format(path=path, error=error)) from None


def _seconds(path: Path, number: int, text: str) -> float:
    """Return a wall time in seconds; an offset from UTC is left out."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        message = _("{path}, row {row}: {time} is no time; write 2026-01-15T10:00:00")
        raise InputError(message.format(path=path, row=number, time=text)) from None


class LabelRow(NamedTuple):
    """A label: rows, or minutes, that have it in the labels; precision, recall and F1 of these."""

    label: str
    amount: float
    precision: float | None
    recall: float | None
    f1: float | None


class UserRow(NamedTuple):
    """A user: events, labels, and the figures; the lanes are what is drawn: labels, events, journeys of the labels, journeys."""

    user_id: str
    events: int
    labels: int
    figures: dict[str, float | None]
    lanes: tuple[list[Segment], ...]

    @property
    def worth(self) -> float:
        """What the users are ordered by: B-cubed F1, or that of the starts where there are no rows."""
        return self.figures.get("bcubed_f1", self.figures.get("start_f1_1")) or 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Events against labels. `scores` by kind: `groups` (events as groups of rows), `wholes` (each journey as one group), `journeys`, `spans`.

    `unused`: what is left out, by name: how many. `unit`: of `by_label` and `confusion`, minutes where labels are intervals. `shapes` are
    sums of the events and of the labels.
    """

    unit: Literal["minutes", "rows"]
    scores: dict[str, dict[str, Score]]
    totals: dict[str, Sums]
    shapes: dict[str, Sums]
    unused: dict[str, int]
    by_label: tuple[LabelRow, ...]
    by_user: tuple[UserRow, ...]
    confusion: dict[tuple[str, str], float]  # by (wanted, found) label; "" where there is none


class _Sums:
    """What is counted of each user, by kind of score and by who groups: the events, or a baseline."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.shapes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.confusion: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.unused: Counter[str] = Counter()
        self.users: list[UserRow] = []


def evaluate(events: Path, gold: Path) -> Evaluation:
    """Hold the events of a run (or an events.jsonl) against labels.

    Groups of rows and baselines need the behaviors, so only a run directory has them. Raises InputError.
    """
    labels = read_labels(gold)
    sums = _Sums()
    sums.unused["doubled"] = labels.doubled
    try:
        directory = RunDirectory.find(events)
    except RunDirectoryError:
        if labels.rows:
            message = _("labels of rows need the behaviors; name the run directory instead of {path}")
            raise InputError(message.format(path=events)) from None
        found = read_labels(events).spans
        labels.name_the_only_user(found)
        sums.unused["without_labels"] = len(set(found) - labels.users)
        for user in sorted(labels.users if labels.users & set(found) else ()):
            wanted = labels.spans[user]
            near, figures = _add_spans(found.get(user, []), wanted, {}, sums)
            sums.users.append(UserRow(user, len(near), len(wanted), figures, (wanted, near)))
    else:
        _judge_run(directory, labels, sums)
    if not sums.users:
        message = _("no user of {gold} has events in {events}; compare the ids of both")
        raise InputError(message.format(gold=gold, events=events))
    return _evaluation(sums, is_timed=bool(labels.spans))


def _judge_run(directory: RunDirectory, labels: Labels, sums: _Sums) -> None:
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        known = {user for (user,) in ledger.rows("SELECT user_id FROM users")}
        labels.name_the_only_user(known)
        sums.unused["without_labels"] = len(known - labels.users)
        sums.unused["unknown_users"] = len(labels.users - known)
        rules = load_rules(shipped_rules(), "zh" if facts.get("prompt_language") == "zh" else "en")
        is_fine = facts["settings"]["prompt"]["detail"] == "fine"
        for user in sorted(labels.users & known):
            log, found = (
                ledger.log(user),
                measures.groups_of(*made_of(ledger, user)),
            )
            events = rule_events(log, rules, "fine" if is_fine else "day")
            _judge_user(log, found, [Group(frozenset(rows), kind) for rows, kind in events], labels, sums)


def _judge_user(log: UserLog, found: list[Group], by_rules: list[Group], labels: Labels, sums: _Sums) -> None:
    rows, spans = measures.rows_of(log), labels.spans.get(log.user_id, [])
    if spans:  # rows in none are not judged: nothing is known of them
        held = measures.rows_in(spans, [row.start for row in rows])
        sums.unused["without_rows"] += held.count([])
        wanted = [Group(frozenset(own), span.label) for own, span in zip(held, spans, strict=True) if own]
        judged = sorted(row for own in held for row in own)
    else:
        wanted, judged = _of_rows(labels.rows[log.user_id], log, sums)
    compared = sums.tally.add(found, wanted, rows, judged, rules=by_rules)
    for pair, count in compared.types().items() if not spans else ():
        sums.confusion[pair] += count
    sums.shapes["events"].update(measures.shape_of(found, rows, judged))
    sums.shapes["labels"].update(measures.shape_of(wanted, rows, judged))
    mine = compared.agreement()
    figures = {name: figure(mine) for name, figure in measures.FIGURES.items()}
    lanes = [_lane(wanted, rows), _lane(found, rows)]
    if spans:
        near = [place for place, row in enumerate(rows) if _is_near(row.start, spans)]
        drawn = {
            name: _spans(groups, rows)
            for name, groups in (measures.baselines(rows, near) | {"rules": by_rules}).items()
        }
        judged_spans, timed = _add_spans(_spans(found, rows), spans, drawn, sums)
        figures, lanes = figures | timed, [spans, judged_spans]
    for groups in (wanted, found):
        wholes = [whole for whole in measures.wholes_of(groups) if whole.parent]
        lanes.append(_lane((each._replace(type=each.type or each.parent) for each in wholes), rows))
    sums.users.append(UserRow(log.user_id, len(found), len(wanted), figures, tuple(lanes)))


def _of_rows(labels: Sequence[RowLabel], log: UserLog, sums: _Sums) -> tuple[list[Group], list[int]]:
    """Return the groups that rows are labelled with, and all rows that have a label. A row is taken once."""
    times = [row.start for row in measures.rows_of(log)]
    waiting: defaultdict[float, list[int]] = defaultdict(list)
    for position in reversed(range(len(times))):
        waiting[times[position]].append(position)
    lines = {behavior.line: position for position, behavior in enumerate(log.behaviors)}
    held: defaultdict[str, set[int]] = defaultdict(set)
    first: dict[str, RowLabel] = {}
    judged = set[int]()
    for label in sorted(labels, key=lambda each: each.line):
        place: int | None = lines.get(label.line)
        if place is None or place in judged or label.time not in (None, times[place]):
            places = waiting[label.time] if label.time is not None else []
            while places and places[-1] in judged:
                places.pop()
            place = places.pop() if places else None
        if place is None:
            sums.unused["without_row"] += 1
            continue
        judged.add(place)
        held[label.group].add(place)
        first.setdefault(label.group, label)
    held.pop("", None)
    journeys = {label.parent for label in first.values()} | {
        group for group, label in first.items() if label.kind.lower() in _JOURNEYS and not label.parent
    }
    goals = {label.parent or group: label.goal for group, label in first.items() if label.goal}
    return [
        Group(
            frozenset(places),
            first[group].label or group,
            parent=(parent := first[group].parent or (group if group in journeys else "")),
            kind=goals.get(parent, ""),
        )
        for group, places in held.items()
    ], sorted(judged)


def _add_spans(
    found: Sequence[Segment], wanted: list[Segment], drawn: dict[str | int, list[Segment]], sums: _Sums
) -> tuple[list[Segment], dict[str, float | None]]:
    """Count a user's spans; return those that are judged, and their figures."""
    near = [segment for segment in found if _is_near(segment.start, wanted)]
    sums.unused["outside"] += len(found) - len(near)
    mine = measures.compare_spans(near, wanted)
    sums.tally.count("spans", mine)
    for name, spans in drawn.items():
        sums.tally.count("spans", measures.compare_spans(spans, wanted), name)
    for (theirs, ours), seconds in measures.label_seconds(near, wanted).items():
        if theirs is not None and seconds:
            sums.confusion[theirs, ours or ""] += seconds / _MINUTE
    return near, {name: figure(mine) for name, figure in measures.SPAN_FIGURES.items()}


def _is_near(start: float, labels: Sequence[Segment]) -> bool:
    first, last = min(label.start for label in labels), max(label.end for label in labels)
    return first - _NEAR <= start <= last + _NEAR


def _spans(groups: Iterable[Group], rows: Sequence[Row]) -> list[Segment]:
    return [
        Segment(min(rows[p].start for p in group.rows), max(rows[p].end for p in group.rows), group.type)
        for group in groups
        if group.rows
    ]


def _lane(groups: Iterable[Group], rows: Sequence[Row]) -> list[Segment]:
    """Return the stretch of each group on each day: from its first row to the end of its last."""
    stretches = []
    for group in groups:
        days: defaultdict[int, list[int]] = defaultdict(list)
        for place in group.rows:
            days[int(rows[place].start // DAY)].append(place)
        stretches += _spans((group._replace(rows=frozenset(places)) for places in days.values()), rows)
    return sorted(stretches)


def _evaluation(sums: _Sums, *, is_timed: bool) -> Evaluation:
    types = {found for _label, found in sums.confusion} - {""}
    labelled = [(label in types, amount) for (label, _found), amount in sums.confusion.items() if label]
    typed = sum(amount for is_type, amount in labelled if is_type)
    are_types = is_timed or 2 * typed >= sum(amount for _is_type, amount in labelled) > 0
    of_rows = {name: figure for name, figure in measures.FIGURES.items() if name != "same_type"}
    figures = {
        "groups": measures.FIGURES if are_types else of_rows,
        "wholes": of_rows,
        "journeys": measures.JOURNEY_FIGURES,
        "spans": measures.SPAN_FIGURES,
    }
    confusion = dict(sorted(sums.confusion.items())) if are_types else {}
    by_label = list[LabelRow]()
    for label in {label for label, _found in confusion if label}:
        right = confusion.get((label, label), 0)
        found = sum(amount for (_label, ours), amount in confusion.items() if ours == label)
        wanted = sum(amount for (theirs, _found), amount in confusion.items() if theirs == label)
        precision, recall = measures.share(right, found), measures.share(right, wanted)
        by_label.append(LabelRow(label, wanted, precision, recall, measures.f1_of(right, found, wanted)))
    return Evaluation(
        unit="minutes" if is_timed else "rows",
        scores=sums.tally.scores(figures),
        totals={kind: each for kind, each in sums.tally.totals().items() if kind != "spans"},
        shapes=dict(sums.shapes),
        unused={name: count for name, count in sums.unused.items() if count},
        by_label=tuple(sorted(by_label, key=lambda row: (-row.amount, row.label))),
        by_user=tuple(sorted(sums.users, key=lambda row: (row.worth, row.user_id))),
        confusion=confusion,
    )
