"""Events against labels, beside what trivial programs score on the same rows; and two runs of the same export against each other."""

import csv
import heapq
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

import orjson

from eventabs import measures, store
from eventabs.errors_and_exit_codes import InputError, RunDirectoryError, UsageError
from eventabs.inspection import compactor_of
from eventabs.interface_language import gettext as _
from eventabs.measures import Compared, Figure, Group, Groups, Score, Segment, Sums, Tally
from eventabs.providers import load_rules, rule_events, shipped_rules
from eventabs.runs import RunState, state_of
from eventabs.shared_records import Behavior, UserLog
from eventabs.store import Ledger, RunDirectory, made_of

_MINUTE, _HOUR = 60, 3600  # seconds
_NEAR: Final = 300  # seconds before the first label, and after the last, in which events are judged
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
    """A label of one row, found by its line in the input file, or its time."""

    time: float | None  # None: not given
    line: int
    group: str  # "": the row is in none
    label: str
    parent: str
    kind: str  # what the group is, such as a journey
    goal: str  # the kind of the journey that it is in


@dataclass(slots=True)
class Labels:
    """What people said of each user, "" in a file without a user column."""

    of_rows: bool  # else of time
    by_user: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))  # RowLabel, or Segment
    doubled: int = 0  # that were there before


def read_labels(path: Path) -> Labels:
    """Read labels from a CSV, JSON lines, an events.jsonl or the directory of a run. Raises InputError."""
    seen = set[object]()
    if path.is_dir() or path.name == "checkpoint.json":
        path = RunDirectory.find(path).path / "events.jsonl"
    message = _("{path} cannot be read ({error}); labels are CSV or JSON lines: user, start, end, label")
    table = list(rows_of_table(path, message))
    labels = Labels(of_rows=any(name in row for _number, row in table for name in _NAMES["group"]))
    for number, row in table:
        found = {
            role: next((row[name.lower()] for name in names if row.get(name.lower())), "")
            for role, names in _NAMES.items()
        }
        user = found["user"]
        label = _row_label(path, number, found) if labels.of_rows else _span(path, number, found)
        if (user, label) in seen and (not isinstance(label, RowLabel) or label.line):
            labels.doubled += 1
        else:
            labels.by_user[user].append(label)
        seen.add((user, label))
    if not labels.by_user:
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
    time = _seconds(path, number, found["time"]) if found["time"] else None
    return RowLabel(time, int(line or 0), *(found[role] for role in RowLabel._fields[2:]))


def _span(path: Path, number: int, found: Mapping[str, str]) -> Segment:
    missing = [role for role in ("start", "label") if not found[role]]
    if missing:
        message = _("{path}, row {row} has no {role}; columns: user, start, end, label")
        raise InputError(message.format(path=path, row=number, role=missing[0]))
    start = _seconds(path, number, found["start"])
    end = _seconds(path, number, found["end"]) if found["end"] else start
    if start - end > _HOUR:  # else clocks may have gone back
        message = _("{path}, row {row} ends before it starts; correct its times")
        raise InputError(message.format(path=path, row=number))
    return Segment(start, max(start, end), found["label"])


def rows_of_table(path: Path, message: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the cells, by columns in lower case, of the rows of a CSV or of JSON lines. Raises InputError."""
    try:
        data = path.read_bytes()
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # a spreadsheet's, as GB18030 below
        try:
            text = data.decode("utf-16" if utf16 else "utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("gb18030")
        if text.lstrip().startswith("{"):
            for number, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    row = {
                        k: v if v or type(v) in (int, float) else "" for k, v in orjson.loads(line).items()
                    }
                    yield number, {key.strip().lower(): str(value).strip() for key, value in row.items()}
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
    """Return a wall time in whole seconds, as those of rows are; an offset from UTC is left out."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC, microsecond=0).timestamp()
    except ValueError:
        message = _("{path}, row {row}: {time} is no time; write 2026-01-15T10:00:00")
        raise InputError(message.format(path=path, row=number, time=text)) from None


class UserRow(NamedTuple):
    """A user that has events and labels."""

    user_id: str
    events: int
    labels: int
    figures: dict[str, float | None]
    lanes: tuple[list[Segment], ...]  # what is drawn: labels, events, journeys of the labels, journeys

    @property
    def worth(self) -> float:
        """What the users are ordered by: B-cubed F1, or that of the starts where there are no rows."""
        return self.figures.get("bcubed_f1", self.figures.get("start_f1_1")) or 0.0


@dataclass(slots=True)
class Evaluation:
    """Events against labels. Scores, totals and `by_label` are made of what was counted of all users."""

    unit: Literal["minutes", "rows"]  # of `by_label` and `confusion`: minutes where labels are intervals
    tally: Tally = field(default_factory=Tally)
    # of `events`, of `labels`
    shapes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unused: Counter[str] = field(default_factory=Counter)  # what is left out
    by_user: list[UserRow] = field(default_factory=list)
    # by (wanted, found) label; "" where there is none
    confusion: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    # by kind: `groups` (events as groups of rows), `wholes` (each journey as one group), `journeys`, `spans`
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    totals: dict[str, Sums] = field(default_factory=dict)
    # label, amount (that have it in the labels), precision, recall, f1
    by_label: list[dict[str, Any]] = field(default_factory=list)


def evaluate(events: Path, gold: Path) -> Evaluation:
    """Hold the events of a run, or of an events.jsonl, which has no behaviors, against labels. Raises InputError."""
    labels = read_labels(gold)
    sums = Evaluation("rows" if labels.of_rows else "minutes")
    sums.unused["doubled"] = labels.doubled
    found: dict[str, list[Segment]] = {}
    opened: AbstractContextManager[Ledger | None] = nullcontext()
    try:
        opened = Ledger.watch(RunDirectory.find(events).ledger)
    except RunDirectoryError:
        if labels.of_rows:
            message = _("labels of rows need the behaviors; name the run directory instead of {path}")
            raise InputError(message.format(path=events)) from None
        read = read_labels(events)
        found = {} if read.of_rows else read.by_user
    with opened as ledger:
        known = {user for (user,) in ledger.rows("SELECT user_id FROM users")} if ledger else set(found)
        if labels.by_user.keys() == {""} and len(known) == 1:  # of a file without a user column
            labels.by_user = dict.fromkeys(known, labels.by_user[""])
        users = set(labels.by_user)
        sums.unused["without_labels"] = len(known - users)
        if ledger:
            sums.unused["unknown_users"] = len(users - known)
            facts = ledger.meta()
            rules = load_rules(shipped_rules(), "zh" if facts.get("prompt_language") == "zh" else "en")
            detail = facts["settings"]["prompt"]["detail"]
            for user in sorted(users & known):
                log, made = ledger.log(user), measures.groups_of(*made_of(ledger, user)[:2])
                ruled = [Group(frozenset(rows), kind.name) for rows, kind in rule_events(log, rules, detail)]
                _judge_user(log, made, ruled, labels, sums)
        for user in sorted(users if found.keys() & users else ()):
            wanted = labels.by_user[user]
            near, figures = _add_spans(found.get(user, []), wanted, {}, sums)
            sums.by_user.append(UserRow(user, len(near), len(wanted), figures, (wanted, near)))
    if not sums.by_user:
        message = _("no user of {gold} has events in {events}; compare the ids of both")
        raise InputError(message.format(gold=gold, events=events))
    _make_figures(sums)
    return sums


def _judge_user(log: UserLog, found: Groups, by_rules: Groups, labels: Labels, sums: Evaluation) -> None:
    rows, given = measures.rows_of(log), labels.by_user[log.user_id]
    if labels.of_rows:
        wanted, judged = _of_rows(given, rows, sums)
    else:  # rows in none are not judged: nothing is known of them
        held = defaultdict[int, set[int]](set)
        for place, owner in enumerate(measures.owners_of(given, [row.instant for row in rows])):
            if owner is not None:
                held[owner].add(place)
        sums.unused["without_rows"] += len(given) - len(held)
        wanted = [Group(frozenset(held[owner]), given[owner].label) for owner in sorted(held)]
        judged = sorted(chain.from_iterable(held.values()))
    mine = sums.tally.add(found, wanted, rows, judged, rules=by_rules)
    sums.shapes["events"].update(measures.shape_of(found, rows, judged))
    sums.shapes["labels"].update(measures.shape_of(wanted, rows, judged))
    figures = {name: figure(mine) for name, figure in measures.FIGURES.items()}
    lanes = [_lane(wanted, rows), _lane(found, rows)]
    if not labels.of_rows:
        near = [place for place, row in enumerate(rows) if _is_near(row.instant, given)]
        trivial = measures.baselines(rows, near) | {"rules": by_rules}
        drawn = {name: _spans(groups, rows) for name, groups in trivial.items()}
        judged_spans, timed = _add_spans(_spans(found, rows), given, drawn, sums)
        figures, lanes = figures | timed, [given, judged_spans]
    for groups in (wanted, found):
        wholes = [whole for whole in measures.wholes_of(groups) if whole.parent]
        lanes.append(_lane((each._replace(type=each.type or each.parent) for each in wholes), rows))
    sums.by_user.append(UserRow(log.user_id, len(found), len(wanted), figures, tuple(lanes)))


def _of_rows(labels: list[RowLabel], rows: list[Behavior], sums: Evaluation) -> tuple[Groups, list[int]]:
    """Return the groups that rows are labelled with, and all rows that have a label. A row is taken once."""
    by_time: defaultdict[float, list[int]] = defaultdict(list)
    lines: defaultdict[int, list[int]] = defaultdict(list)  # of several files may be alike
    for position, row in enumerate(rows):
        by_time[row.instant].append(position)
        lines[row.line].append(position)
    waiting: dict[float | None, Iterator[int]] = {time: iter(places) for time, places in by_time.items()}
    held: defaultdict[str, set[int]] = defaultdict(set)
    first: dict[str, RowLabel] = {}
    judged = set[int]()
    for label in sorted(labels, key=lambda each: each.line):
        named = [place for place in lines[label.line] if label.time in (None, rows[place].instant)]
        places = chain(named if len(named) == 1 else (), waiting.get(label.time, ()))
        place = next((place for place in places if place not in judged), None)
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
    groups = list[Group]()
    for group, own in held.items():
        label = first[group]
        parent = label.parent or (group if group in journeys else "")
        groups.append(Group(frozenset(own), label.label or group, parent=parent, kind=goals.get(parent, "")))
    return groups, sorted(judged)


def _add_spans(
    found: Sequence[Segment], wanted: list[Segment], drawn: dict[str | int, list[Segment]], sums: Evaluation
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


def _spans(groups: Iterable[Group], rows: Sequence[Behavior]) -> list[Segment]:
    spans = ((group.type, [rows[place].span for place in group.rows]) for group in groups if group.rows)
    return [Segment(min(each)[0], max(end for _start, end in each), kind) for kind, each in spans]


def _lane(groups: Iterable[Group], rows: Sequence[Behavior]) -> list[Segment]:
    """Return the stretch of each group on each day: from its first row to the end of its last."""
    stretches = []
    for group in groups:
        days: defaultdict[int, list[int]] = defaultdict(list)
        for place in group.rows:
            days[rows[place].start.toordinal()].append(place)
        stretches += _spans((group._replace(rows=frozenset(places)) for places in days.values()), rows)
    return sorted(stretches)


def _make_figures(sums: Evaluation) -> None:
    if sums.unit == "rows":  # as in JSON the same keys have minutes
        sums.confusion = {pair: float(rows) for pair, rows in sums.tally.types.items()}
    types = {found for _label, found in sums.confusion} - {""}
    labelled = [(label in types, amount) for (label, _found), amount in sums.confusion.items() if label]
    typed = sum(amount for is_type, amount in labelled if is_type)
    are_types = sums.unit == "minutes" or 2 * typed >= sum(amount for _is_type, amount in labelled) > 0
    of_rows = {name: figure for name, figure in measures.FIGURES.items() if name != "same_type"}
    groups = measures.FIGURES if are_types else of_rows
    sums.scores = sums.tally.scores(groups=groups, wholes=of_rows, spans=measures.SPAN_FIGURES)
    sums.totals = {kind: measures.added(users) for kind, users in sums.tally.found.items() if kind != "spans"}
    sums.unused = +sums.unused  # without what is 0
    sums.by_user.sort(key=lambda row: (row.worth, row.user_id))
    sums.confusion = dict(sorted(sums.confusion.items())) if are_types else {}
    for label in {label for label, _found in sums.confusion if label}:
        right = sums.confusion.get((label, label), 0)
        found = sum(amount for (_label, ours), amount in sums.confusion.items() if ours == label)
        wanted = sum(amount for (theirs, _found), amount in sums.confusion.items() if theirs == label)
        shares = {"precision": measures.share(right, found), "recall": measures.share(right, wanted)}
        f1 = measures.f1_of(right, found, wanted)
        sums.by_label.append({"label": label, "amount": wanted, **shares, "f1": f1})
    sums.by_label.sort(key=lambda row: (-row["amount"], row["label"]))


_SETTINGS: Final = "SELECT count(DISTINCT settings_fingerprint) FROM calls"
_SAID: Final = 4  # fields of a behavior: when it was, what, where

Event = dict[str, Any]


class ComparedRun(NamedTuple):
    """One of both runs as a whole."""

    run: RunState
    settings: int  # under how many different ones its calls were made
    shape: Counter[str]  # of the events of the users compared


class Side(NamedTuple):
    """The events and journeys of a user in one run."""

    events: Sequence[Event]
    journeys: Sequence[Event]
    unequal: Sequence[int]  # positions of events that have no equal in the other run, in order


class UserPair(NamedTuple):
    """A user in both runs. `days` and `behaviors` have an item for each behavior; the indices of both sides point there."""

    user_id: str
    figures: dict[str, float | None]
    days: tuple[str, ...]
    behaviors: tuple[str, ...]
    a: Side
    b: Side


@dataclass(slots=True)
class Comparison:
    """Two runs of the same export. What is kept while users are counted is as large for a million of them as for a thousand."""

    a: ComparedRun
    b: ComparedRun
    same_input: bool
    settings: list[dict[str, str]]  # what differs: key, a, b
    tally: Tally = field(default_factory=Tally)  # of the users that both have done
    shared_users: int = 0  # in both, whatever has become of them
    other_rows: int = 0  # users compared whose behaviors are not the same in both
    # the second run judged by the first, by kind: `groups`, and where there are journeys `wholes` and `journeys`
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    # the share of a user's rows, and of its journeys, that the second run has too: mean of users, with an exact one-sided bound
    kept: dict[str, Figure] = field(default_factory=dict)
    # how many behaviors of type a in the first run are of type b in the second
    types: list[dict[str, str | int]] = field(default_factory=list)
    most_different: list[UserPair] = field(default_factory=list)  # in order


def compare(first: Path, second: Path, *, most: int = 20) -> Comparison:
    """Compare two runs, one user at a time, also while somebody works on them. `most`: users side by side. Raises UsageError."""
    directories = RunDirectory.find(first), RunDirectory.find(second)
    with Ledger.watch(directories[0].ledger) as ours, Ledger.watch(directories[1].ledger) as theirs:
        facts = ours.meta(), theirs.meta()
        read = [each.get("input", {}).get("fingerprint") for each in facts]
        changes = store.changes(*map(store.binding_in_force, facts))
        found = Comparison(
            ComparedRun(state_of(directories[0], ours), ours.rows(_SETTINGS)[0][0], Counter()),
            ComparedRun(state_of(directories[1], theirs), theirs.rows(_SETTINGS)[0][0], Counter()),
            same_input=read[0] == read[1],
            settings=[{"key": key, "a": a, "b": b} for key, a, b in changes],
        )
        different = heapq.nlargest(max(1, most), _counted(found, ours, theirs))  # of 0 it would count nobody
        if not found.tally.users:
            message = _("no user of {first} is in {second}; name two runs of the same export")
            if found.shared_users:
                message = _(
                    "no user is done in both runs yet; {shared} are in both: go on with eventabs resume"
                )
            raise UsageError(message.format(first=first, second=second, shared=found.shared_users))
        found.scores = found.tally.scores(groups=measures.FIGURES, wholes=measures.FIGURES)
        found.kept = {name: measures.mean_of(shares) for name, shares in found.tally.kept.items() if shares}
        moved = [(-rows, a, b) for (a, b), rows in found.tally.types.items() if a and b and a != b]
        # most rows first
        found.types = [{"a": a, "b": b, "behaviors": -rows} for rows, a, b in sorted(moved)[:50]]
        for _difference, user_id in different[:most]:
            pair = Pair.of(ours, theirs, user_id)
            days, lines = zip(*lines_of(pair.log, facts[0]), strict=True)
            before, after = pair.groups
            sums = Compared(after, before, range(len(lines))).agreement()
            figures = {name: figure(sums) for name, figure in measures.FIGURES.items()}
            sides = map(Side, pair.events, pair.journeys, pair.unequal())
            found.most_different.append(UserPair(user_id, figures, days, lines, *sides))
    return found


def _counted(found: Comparison, ours: Ledger, theirs: Ledger) -> Iterator[tuple[float, str]]:
    """Count the users; yield whose events differ, behind the share of them that do, times how many these are."""
    for user_id, state in store.states_by_user(ours):
        row = store.user_row(theirs, user_id)
        found.shared_users += row is not None
        if not row or not state == row.state == "done":
            continue
        pair = Pair.of(ours, theirs, user_id)
        before, after = pair.groups
        rows = measures.rows_of(pair.log)
        found.tally.add(after, before, rows, range(len(rows)))
        found.tally.has_journeys |= any(group.parent for group in after)
        found.other_rows += pair.own[0] != pair.own[1]
        found.a.shape.update(measures.shape_of(before, rows, pair.own[0]))
        found.b.shape.update(measures.shape_of(after, rows, pair.own[1]))
        if unequal := sum(map(len, pair.unequal())):
            yield unequal**2 / sum(map(len, pair.events)), user_id


class Pair(NamedTuple):
    """A user's events and journeys in both runs. They point into `log`, which has the behaviors of either run, and each run `own` ones."""

    log: UserLog
    own: Sequence[Sequence[int]]
    events: Sequence[list[Event]]
    journeys: Sequence[list[Event]]
    groups: Sequence[list[Group]]  # the events, of the behaviors in common

    @classmethod
    def of(cls, first: Ledger, second: Ledger, user_id: str) -> Self:
        """Read a user. Where the behaviors are not the same in both, `log` has all of them in order of time."""
        log, other = first.log(user_id), second.log(user_id)
        events, journeys = map(
            list, zip(made_of(first, user_id)[:2], made_of(second, user_id)[:2], strict=True)
        )
        own: list[Sequence[int]] = [range(len(log.behaviors))] * 2
        said = ([behavior[:_SAID] for behavior in each.behaviors] for each in (log, other))
        if next(said) != next(said):
            rows = [
                list(_numbered((row.start.replace(tzinfo=None), *row[1:_SAID]) for row in each.behaviors))
                for each in (log, other)
            ]
            behaviors = dict(zip(rows[0] + rows[1], log.behaviors + other.behaviors, strict=True))
            in_order = sorted(behaviors, key=lambda row: row[0][0])
            place_of = {row: place for place, row in enumerate(in_order)}
            log = UserLog(user_id, tuple(behaviors[row] for row in in_order), log.profile)
            own = [[place_of[row] for row in side] for side in rows]
            events = [
                [event | {"behaviors": [places[index] for index in event["behaviors"]]} for event in found]
                for places, found in zip(own, events, strict=True)
            ]
        return cls(log, own, events, journeys, list(map(measures.groups_of, events, journeys)))

    def unequal(self) -> list[list[int]]:
        """Return the positions of events without an equal one: the same labels, behaviors, and kind of journey, if in one."""
        # without what may differ between equal ones: the id of a journey, and doubt
        sides = [
            list(_numbered(each._replace(parent="in one" if each.parent else "", sure=True) for each in side))
            for side in self.groups
        ]
        both = set(sides[0]).intersection(sides[1])
        return [[place for place, each in enumerate(side) if each not in both] for side in sides]


def _numbered(things: Iterable[Any]) -> Iterator[tuple[Any, int]]:
    """Yield each thing with its number among equal ones."""
    seen: Counter[Any] = Counter()
    for each in things:
        seen[each] += 1
        yield each, seen[each]


def lines_of(log: UserLog, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the day and the text of each behavior, in the language of a run's prompts."""
    for behavior, text in zip(log.behaviors, compactor_of(facts).lines(log), strict=True):
        yield behavior.start.date().isoformat(), text
