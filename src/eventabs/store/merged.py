"""The ledgers of shards, read as the one ledger of a run; nothing of them is copied."""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields, replace
from functools import wraps
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar, cast

from eventabs.records import Counts, RunStatus, Shard, UserLog
from eventabs.store.connection import connect, damage_reported, uri_to_read
from eventabs.store.directory import RunDirectory
from eventabs.store.fingerprint import facts_fingerprint
from eventabs.store.ledger import Ledger

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Counts)
R = TypeVar("R", bound=tuple[Any, ...])

Status = RunStatus | Literal["killed"]

_TABLES: Final = ("users", "spans", "parts", "calls", "retries", "outcomes", "answers")
_BOUND_BY: Final = "input.shard"
_SAME: Final = ("paths", "folder", "config_file", "template", "rules", "prompt_language", "legend")
_OF_ONE: Final = (
    "fingerprint",
    "paths",
    "columns",
    "schemas",
)  # facts about the input that shards have in common


class LedgerView(Protocol):
    """What can be read of a run, whether it has one ledger or one for each of its shards."""

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the ledger. Of shards: each one's rows, one after the other."""

    def meta(self) -> dict[str, Any]:
        """Return all stored values."""

    def log(self, user_id: str, first: int = 0, last: int | None = None) -> UserLog:
        """Return the log of a user, or its behaviors `first`..`last`, both included."""


class MergedLedgers:
    """The ledgers of some shards of an input, each with its users alone."""

    def __init__(self, ledgers: Mapping[Shard, Ledger]) -> None:
        self.each = tuple(ledgers.values())
        self._any = next(iter(ledgers))
        self._by_index = {shard.index: ledger for shard, ledger in ledgers.items()}

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Query every ledger, and return all rows, one ledger's after the other's."""
        return [row for ledger in self.each for row in ledger.rows(sql, *values)]

    def meta(self) -> dict[str, Any]:
        """Return the facts that a run of all shards' users would have stored."""
        return merged_facts([ledger.meta() for ledger in self.each])

    def log(self, user_id: str, first: int = 0, last: int | None = None) -> UserLog:
        """Return the log of a user, or its behaviors `first`..`last`, both included."""
        return self.of(user_id).log(user_id, first, last)

    def of(self, user_id: str) -> Ledger:
        """Return the ledger that has a user if one has it."""
        return self._by_index.get(self._any.index_of(user_id), self.each[0])


@contextmanager
def watch_as_one(directory: RunDirectory) -> Iterator[Ledger]:
    """Read a run from one ledger, for what numbers calls. That of merged shards is made in a scratch folder, and removed."""
    if not directory.is_merged():
        with Ledger.watch(directory.ledger) as ledger:
            yield ledger
        return
    with TemporaryDirectory(prefix="eventabs-") as folder:
        path = Path(folder) / "ledger.sqlite"
        with watch_run(directory) as merged:
            Ledger.create(path, merged.meta()).close()
        _fill(path, [each.ledger for each in directory.shards().values()])
        with Ledger.watch(path) as ledger:
            yield ledger


def _fill(path: Path, shards: Sequence[Path]) -> None:
    """Copy the rows of ledgers into an empty one. Calls are numbered on from shard to shard."""
    calls = 0
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for shard in shards:
            connection.execute("ATTACH ? AS shard", (uri_to_read(shard),))
            with damage_reported(shard):
                for table in _TABLES:
                    names = f"SELECT name FROM pragma_table_info('{table}', ?)"
                    known, found = (
                        {name for (name,) in connection.execute(names, (schema,))}
                        for schema in ("main", "shard")
                    )
                    columns = sorted(known & found)  # a ledger of another version has fewer or more
                    if not columns:
                        continue
                    number = "id" if table == "calls" else "call_id"
                    values = (f"{name} + {calls}" if name == number else name for name in columns)
                    connection.execute(
                        f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM shard.{table}"
                    )
                ((calls,),) = connection.execute("SELECT coalesce(max(id), 0) FROM main.calls").fetchall()
            connection.execute("DETACH shard")


@contextmanager
def watch_run(directory: RunDirectory) -> Iterator[LedgerView]:
    """Read a run, or the shards that were merged into a directory, as they are at this moment; see `Ledger.watch`."""
    with ExitStack() as opened:
        if not directory.is_merged():
            yield opened.enter_context(Ledger.watch(directory.ledger))
            return
        yield MergedLedgers(
            {
                shard: opened.enter_context(Ledger.watch(each.ledger))
                for shard, each in directory.shards().items()
            }
        )


def shard_of(facts: Mapping[str, Any]) -> Shard | None:
    """Return which shard a run is, by its stored facts; None for a run of all users."""
    stored = facts["settings"]["input"].get("shard", "")
    return Shard.parse(stored) if stored else None


def common_binding(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that bind a run, without which shard it is."""
    return {key: value for key, value in facts["binding"].items() if key != _BOUND_BY}


def merged_facts(metas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the facts of all shards as those of one run."""
    first = metas[0]
    binding = common_binding(first)
    settings = first["settings"]
    return {key: first[key] for key in _SAME if key in first} | {
        "run_id": min(meta["run_id"] for meta in metas),
        "created_at": min(meta["created_at"] for meta in metas),
        "settings": settings | {"input": settings["input"] | {"shard": ""}},
        "binding": binding,
        "settings_fingerprint": facts_fingerprint(binding),
        "status": merged_status([meta.get("status", "running") for meta in metas], missing=0),
        "answer_counts": added(meta.get("answer_counts", {}) for meta in metas),
        "input": _merged_input([meta["input"] for meta in metas if "input" in meta])
        or {"paths": first["paths"]},
    }


def merged_status(statuses: Collection[Status], *, missing: int) -> Status:
    """Return the status of several shards as that of one run, by the one that needs most."""
    order: tuple[Status, ...] = ("running", "killed", "stopped", "interrupted")
    unfinished = next((status for status in order if status in statuses), None)
    return unfinished or ("interrupted" if missing else "completed")


def _merged_input(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum up what shards have read; what is of the whole input stays as the first has it."""
    merged: dict[str, Any] = {}
    for facts in inputs:
        for key, value in facts.items():
            if key in _OF_ONE or key not in merged:
                merged.setdefault(key, value)
            elif isinstance(value, Mapping):
                merged[key] = added([merged[key], value])
            elif isinstance(value, list):
                merged[key] = merged[key] + [each for each in value if each not in merged[key]]
            else:
                merged[key] += value
    return merged | ({"other_rows": 0} if merged else {})


def in_turn(
    combine: Callable[[Iterable[T]], T],
) -> Callable[[Callable[Concatenate[Ledger, P], T]], Callable[Concatenate[LedgerView, P], T]]:
    """Let a function of a ledger take merged ones too: it is called with each, and `combine` makes one result of all."""

    def decorate(function: Callable[Concatenate[Ledger, P], T]) -> Callable[Concatenate[LedgerView, P], T]:
        @wraps(function)
        def call(ledger: LedgerView, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if isinstance(ledger, MergedLedgers):
                return combine([function(each, *args, **kwargs) for each in ledger.each])
            return function(cast("Ledger", ledger), *args, **kwargs)

        return call

    return decorate


def of_user(
    function: Callable[Concatenate[Ledger, str, P], T],
) -> Callable[Concatenate[LedgerView, str, P], T]:
    """Let a function of a ledger and a user take merged ledgers too: it is called with the one that has the user."""

    @wraps(function)
    def call(ledger: LedgerView, user_id: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
        own = ledger.of(user_id) if isinstance(ledger, MergedLedgers) else cast("Ledger", ledger)
        return function(own, user_id, *args, **kwargs)

    return call


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up numbers by name, the largest first."""
    total = Counter[str]()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))


def added_counts(counts: Iterable[C]) -> C:
    """Add up the counts of shards, each field by itself; None where one has None."""
    every = list(counts)
    names = [field.name for field in fields(every[0])]
    return replace(every[0], **{name: summed([getattr(each, name) for each in every]) for name in names})


def summed(values: Sequence[Any]) -> Any:  # noqa: ANN401  a number, None, or numbers by name at any depth
    """Add up numbers, or numbers by name at any depth, each by itself; None where one is None."""
    if None in values:
        return None
    if values and not isinstance(values[0], Mapping):
        return sum(values)
    names = dict.fromkeys(name for value in values for name in value)
    return {name: summed([value[name] for value in values if name in value]) for name in names}


def set_of_all(sets: Iterable[set[str]]) -> set[str]:
    """Put sets together."""
    return set().union(*sets)


def by_first(rows: Iterable[Iterable[R]]) -> Iterator[R]:
    """Merge rows, each shard's in order of their first value, in that order."""
    return heapq.merge(*rows, key=itemgetter(0))


def by_user(records: Iterable[Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Merge records, each shard's in order of user id, in that order."""
    return heapq.merge(*records, key=itemgetter("user_id"))
