"""Shards seen as one run: a directory with their events, failures, rejected rows and counts, and no ledger of its own."""

import heapq
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.records import RunStatus, Shard
from eventabs.store import (
    Ledger,
    MergedLedgers,
    RunDirectory,
    changes,
    common_binding,
    count_all,
    merged_status,
    replace_file,
    shard_of,
    write_checkpoint,
    write_results,
)

_NAMED: Final = 10  # missing shards
_SERVED_AT: Final = "llm.base_url"  # a fleet of servers has one for each shard


@dataclass(frozen=True, slots=True)
class MergedRun:
    """A view of shards: its directory, theirs, the shards that were not named, and what has to be known about it."""

    path: Path
    shards: dict[Shard, Path]
    missing: tuple[Shard, ...]
    warnings: tuple[str, ...]


class _Part(NamedTuple):
    shard: Shard
    directory: RunDirectory
    ledger: Ledger
    facts: dict[str, Any]
    status: RunStatus


def merge(
    directories: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    accept_changes: bool = False,
) -> MergedRun:
    """Make `out` a view of shards, finished or not, or bring it up to date: events, failures, rejected rows, counts.

    Nothing of the ledgers is copied: `status`, `show`, `report`, `export` and `diff` read them where they are. Raises
    RunDirectoryError where a directory is no shard, two hold the same users, or, unless `accept_changes`, inputs or
    settings differ.
    """
    with ExitStack() as opened:
        parts = sorted(
            (_opened(opened, path) for path in _distinct(directories)), key=lambda part: part.shard.index
        )
        _refuse_overlaps(parts)
        if not accept_changes:
            _refuse_differences(parts)
        target = RunDirectory.create_merged(Path(out))
        opened.enter_context(target.locked(fresh=True))
        count, known = parts[0].shard.count, {part.shard.index for part in parts}
        missing = tuple(Shard(index, count) for index in range(count) if index not in known)
        view = MergedLedgers({part.shard: part.ledger for part in parts})
        _write_checkpoint(target, view, parts, missing=len(missing))
        write_results(target, view)
        replace_file(target.rejects, _rejects(parts))
    shards = {part.shard: part.directory.path for part in parts}
    return MergedRun(target.path, shards, missing, tuple(_warnings(parts, missing)))


def _distinct(directories: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return each directory once, however it is spelled."""
    found = list({os.path.realpath(path): Path(path) for path in directories}.values())
    if not found:
        message = _("no shard is named; give their run directories, such as *-of-16.eventabs")
        raise RunDirectoryError(message)
    return found


def _opened(opened: ExitStack, path: Path) -> _Part:
    directory = RunDirectory.find(path)
    in_use = directory.in_use()  # before the ledger: a run that ends in between is not taken for a killed one
    ledger = opened.enter_context(Ledger.watch(directory.ledger))
    facts = ledger.meta()
    shard = shard_of(facts)
    if shard is None:
        message = _(
            "{path} is a run of all users; only shards are merged, which begin with: eventabs run --shard"
        )
        raise RunDirectoryError(message.format(path=directory.path))
    saved: RunStatus = facts.get("status", "running")
    stopped: RunStatus = "interrupted" if saved == "running" else saved
    return _Part(shard, directory, ledger, facts, "running" if in_use else stopped)


def _refuse_overlaps(parts: Sequence[_Part]) -> None:
    """Raise RunDirectoryError where two shards hold the same users."""
    for first, second in pairwise(parts):
        named = {"first": first.directory.path, "second": second.directory.path}
        if first.shard == second.shard:
            message = _("{first} and {second} are both shard {shard}; name one of them")
            raise RunDirectoryError(message.format(**named, shard=first.shard))
    other = next((part for part in parts if part.shard.count != parts[0].shard.count), None)
    if other:
        message = _("{first} is shard {shard} and {second} is shard {other}; merge shards of the same number")
        raise RunDirectoryError(
            message.format(
                first=parts[0].directory.path,
                second=other.directory.path,
                shard=parts[0].shard,
                other=other.shard,
            )
        )


def _refuse_differences(parts: Sequence[_Part]) -> None:
    """Raise RunDirectoryError where shards were made of different inputs, or under different settings."""
    read = [part for part in parts if _fingerprint(part)]
    for part in read[1:]:
        if _fingerprint(part) != _fingerprint(read[0]):
            message = _(
                "{first} and {second} have read different inputs; take them all the same with --accept-changes"
            )
            raise RunDirectoryError(message.format(first=read[0].directory.path, second=part.directory.path))
    first = parts[0]
    for part in parts[1:]:
        if changed := [
            change
            for change in changes(*(common_binding(each.facts) for each in (first, part)))
            if change[0] != _SERVED_AT
        ]:
            message = _(
                "{first} and {second} have different settings ({changes}); take them all the same with --accept-changes"
            )
            listed = "; ".join(f"{key} {before or '-'} -> {now or '-'}" for key, before, now in changed)
            raise RunDirectoryError(
                message.format(first=first.directory.path, second=part.directory.path, changes=listed)
            )


def _fingerprint(part: _Part) -> str:
    """Return what identifies the input of a shard; "" while it has not been read."""
    return str(part.facts.get("input", {}).get("fingerprint", ""))


def _warnings(parts: Sequence[_Part], missing: Sequence[Shard]) -> Iterator[str]:
    if missing:
        named = ", ".join(map(str, missing[:_NAMED])) + (" ..." if len(missing) > _NAMED else "")
        message = _(
            "{count} shards are missing ({shards}); begin each with: eventabs run INPUT --shard i/N, and merge again"
        )
        yield message.format(count=len(missing), shards=named)
    languages = {part.facts["prompt_language"] for part in parts if part.facts.get("input", {}).get("users")}
    if len(languages) > 1:
        message = _(
            "the prompts of the shards are in different languages ({languages}); name one in [prompt] language"
        )
        yield message.format(languages=", ".join(sorted(languages)))


def _write_checkpoint(
    target: RunDirectory, view: MergedLedgers, parts: Sequence[_Part], *, missing: int
) -> None:
    saved = [part.directory.saved() for part in parts]
    batches = [each.get("batches", {"total": 0, "done": 0}) for each in saved]
    costs = [each.get("usage", {}).get("cost") for each in saved]
    status = merged_status([part.status for part in parts], missing=missing)
    write_checkpoint(
        target,
        view.meta(),
        count_all(view),
        status="interrupted" if status == "killed" else status,
        cost=None if None in costs else sum(costs),
        batches_left=sum(each["total"] - each["done"] for each in batches),
        shards=[_entry(target.path, part) for part in parts],
    )


def _entry(target: Path, part: _Part) -> dict[str, str]:
    """Return how a view names a shard: from its own folder, unless they have no folder in common."""
    path, folder = os.path.realpath(part.directory.path), os.path.realpath(target)
    relative = os.path.relpath(path, folder)
    apart = os.path.commonpath((path, folder)) == os.path.sep
    return {"shard": str(part.shard), "path": path if apart else relative, "status": part.status}


def _rejects(parts: Sequence[_Part]) -> Iterator[bytes]:
    """Yield the lines about rejected rows in order of file and line, as each shard has them."""
    files = [stamp[0] for stamp in parts[0].facts.get("input_stamps", ())]
    places = {path: place for place, path in enumerate(files)}
    written = [part.directory.rejects for part in parts if part.directory.rejects.exists()]
    return heapq.merge(*map(_lines, written), key=partial(_place, places))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _place(places: Mapping[str, int], line: bytes) -> tuple[int, str, int]:
    row = orjson.loads(line)
    return places.get(row["file"], len(places)), row["file"], row["line"]
