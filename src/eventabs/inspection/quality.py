"""What is known of a run's quality beside an audit, as tables: reviews that were read back, and what batches brought."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from eventabs.language import gettext as _
from eventabs.store import Ledger, RunDirectory, read_head

_LARGEST: Final = 16_000_000  # bytes of a stored result
_MOST_TYPES: Final = 12


class Share(float):
    """A share from 0 to 1, to be shown in percent."""

    __slots__ = ()


class Table(NamedTuple):
    """A table that a section of the report shows as it is: numbers are told apart from texts only to align them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    note: str = ""


def quality_tables(directory: RunDirectory, ledger: Ledger) -> Iterator[Table]:
    """Yield what reviews have found, the latest first, and what was usable by size of the batch and by place in it."""
    for result in _results(directory):
        with suppress(LookupError, TypeError):  # of another version
            yield from list(_review_tables(result))
    yield from _batch_tables(ledger)


def _results(directory: RunDirectory) -> Iterator[Mapping[str, Any]]:
    """Yield the results of all reviews that can be read."""
    found = directory.reviews.glob("*/result.json")
    for path in sorted(found, key=_changed_at, reverse=True):
        try:
            result = orjson.loads(read_head(path, _LARGEST))
        except (OSError, ValueError):
            continue
        if isinstance(result, dict) and isinstance(result.get("reviewers"), list):
            yield result


def _changed_at(path: Path) -> float:
    return path.lstat().st_mtime


def _review_tables(result: Mapping[str, Any]) -> Iterator[Table]:
    reviewers, agreement = result["reviewers"], result.get("agreement") or {}
    rows = tuple(
        (
            Path(each["file"]).name,
            each["judged"],
            _share(each["precision"]),
            _share(each["at_least"]),
            each["reviewed_days"]["days"],
            _share(each["reviewed_days"]["recall"]["value"]),
            agreement.get("kappa"),
        )
        for each in reviewers
    )
    columns = (
        _("review"),
        _("events"),
        _("right"),
        _("at least"),
        _("days"),
        _("recall"),
        _("Cohen's kappa"),
    )
    yield Table(
        _("Judged by people"),
        columns,
        rows,
        _("At least: exact one-sided 95 % bound of the share of all events, Clopper and Pearson"),
    )
    types = tuple(
        (row["type"], row["judged"], _share(row["precision"]), _share(row["at_least"]))
        for row in reviewers[0]["by_type"][:_MOST_TYPES]
    )
    if types:
        yield Table(
            _("Judged by people, by type"), (_("Type"), _("events"), _("right"), _("at least")), types
        )


def _share(value: float | None) -> Share | None:
    return None if value is None else Share(value)


def _batch_tables(ledger: Ledger) -> list[Table]:
    """Return tables where there is something to compare: batches of several sizes, or with a place in them.

    The last one explains the columns of both.
    """
    tables = []
    columns = _("users asked"), _("usable"), _("ungrounded"), _("events a user")
    note = _("Usable: share of the answers. Ungrounded: share that matched no behaviors and was asked again")
    sizes = ledger.rows("SELECT * FROM yield_by_size")
    if len(sizes) > 1:
        rows = tuple(
            (
                f"{least}+" if most is None else str(least) if most == least else f"{least}-{most}",
                *_told(counts),
            )
            for least, most, *counts in sizes
        )
        tables.append(Table(_("Users in the batch"), ("", *columns), rows))
    thirds = {1: _("first third"), 2: _("middle third"), 3: _("last third")}
    places = ledger.rows("SELECT * FROM yield_by_third")
    if places:
        rows = tuple((thirds[third], *_told(counts)) for third, *counts in places)
        tables.append(Table(_("Place in the batch"), ("", *columns), rows))
    return [*tables[:-1], *(table._replace(note=note) for table in tables[-1:])]


def _told(counts: Sequence[Any]) -> tuple[float | None, ...]:
    asked, usable, ungrounded, events = counts
    return asked, _share(usable), _share(ungrounded), events
