"""Labels given by people, or the events of another run, as segments of each user's time."""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from eventabs.errors import InputError
from eventabs.events import read_events
from eventabs.language import gettext as _
from eventabs.measures import Segment

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
