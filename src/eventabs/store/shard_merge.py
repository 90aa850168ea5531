"""Shards as one run."""

import heapq
import os
import shlex
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson

from eventabs.errors_and_exit_codes import DiskFullError, RunDirectoryError
from eventabs.interface_language import gettext as _
from eventabs.shared_records import AnyPath, RunStatus, Shard
from eventabs.store.counts_users_jobs_extensions import count_all
from eventabs.store.ledger import Ledger, damage_reported, load_json, making, uri_to_read
from eventabs.store.result_files import write_results
from eventabs.store.run_directory_and_checkpoint import (
    RunDirectory,
    disk_full,
    limited_of,
    replace_file,
    timestamp,
    write_checkpoint,
)
from eventabs.store.settings_fingerprint import changes, host_of, shown_changes

Facts = Mapping[str, Any]
Status = RunStatus | Literal["killed"]

_NAMED: Final = 10  # missing shards
_SERVED_AT: Final = "llm.base_url"  # a fleet of servers has one for each shard
_TABLES: Final = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name <> 'meta'"
_STATES: Final = "SELECT state, count(*) FROM (SELECT max(state) AS state FROM shard.parts GROUP BY user_id) GROUP BY state"
_SAME: Final = (
    *("paths", "files", "folder", "config_file", "template", "rules"),
    *("reparsed", "prompt_language", "legend", "binding", "settings_fingerprint"),
)
_OF_ONE: Final = ("fingerprint", "paths", "columns", "schemas")  # of the input, alike in all shards


class MergedRun(NamedTuple):
    """Merged shards: their directory, where each is, those that were not named, and what has to be known about it."""

    path: Path
    shards: dict[Shard, Path]
    missing: tuple[Shard, ...]
    warnings: tuple[str, ...]


class ShardState(NamedTuple):
    """How a shard was when it was merged; `shard`: i/N, `host`: of its endpoint."""

    shard: str
    out: str
    status: Status
    host: str
    users: int
    done: int
    failed: int


class _Part(NamedTuple):
    shard: Shard
    directory: RunDirectory
    facts: Facts
    status: Status


def merge(
    directories: AnyPath | Iterable[AnyPath], out: AnyPath, *, accept_changes: bool = False
) -> MergedRun:
    """Make `out` the run of all users of some shards, finished or not, as they are now; or bring it up to date.

    Raises RunDirectoryError where a directory is no shard, two hold the same users, `out` holds shards that are not among
    them, or, unless `accept_changes`, inputs or settings differ, also from those of `out`, and StorageError.
    """
    listed = [directories] if isinstance(directories, str | os.PathLike) else directories
    # each once, however it is spelled
    if not (named := {os.path.realpath(path): Path(path) for path in listed}.values()):
        raise RunDirectoryError(_("no shard is named; give their run directories, such as *-of-16.eventabs"))
    parts = sorted(map(_opened, named), key=lambda part: part.shard.index)
    _refuse_unlike(parts, accept_changes=accept_changes)
    count, known = parts[0].shard.count, {part.shard.index for part in parts}
    missing = tuple(Shard(index, count) for index in range(count) if index not in known)
    target = _target(Path(out), parts, accept_changes=accept_changes)
    with target.locked(fresh=not target.ledger.exists()):
        try:
            facts = _write_ledger(target, parts, missing=len(missing))
            with Ledger.watch(target.ledger) as ledger:
                write_results(target, ledger)
                replace_file(target.rejects, _rejects(parts))
                counts = count_all(ledger)
            left = max(0, facts["progress"]["batches_total"] - counts.batches_done)
            write_checkpoint(target, facts, counts, status=facts["status"], batches_left=left)
        except DiskFullError as error:
            raise disk_full(target.path, resumable=False) from error
    shards = {part.shard: part.directory.path for part in parts}
    return MergedRun(target.path, shards, missing, tuple(_warnings(parts, missing)))


def shard_states(directory: RunDirectory, facts: Facts) -> tuple[ShardState, ...]:
    """Return how each of merged shards was, its path as short as it can be shown; none where a run was not merged."""
    states = []
    for each in facts.get("shards", ()):
        path = os.path.normpath(Path(os.path.realpath(directory.path)) / each["out"])
        inside = os.path.relpath(path)
        states.append(ShardState(**each | {"out": path if inside.startswith(os.pardir) else inside}))
    return tuple(states)


def refuse_merged(directory: RunDirectory, facts: Facts) -> None:
    """Raise RunDirectoryError for merged shards, which go on each in its own run directory."""
    if not (shards := shard_states(directory, facts)):
        return
    message = _(
        "{path} is merged from shards, which are all completed; name the run directory of one of them"
    )
    if unfinished := [each.out for each in shards if each.status != "completed"]:
        message = _("{path} is merged from shards and does not go on itself; go on with: {commands}")
    commands = "; ".join(f"eventabs resume {shlex.quote(path)}" for path in unfinished)
    raise RunDirectoryError(message.format(path=directory.path, commands=commands))


def _opened(path: Path) -> _Part:
    directory = RunDirectory.find(path)
    in_use = directory.in_use()  # before the ledger: a run that ends in between is not taken for a killed one
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
    refuse_merged(directory, facts)
    if not (shard := facts["settings"]["input"].get("shard", "")):
        message = _(
            "{path} is a run of all users; only shards are merged, which begin with: eventabs run --shard"
        )
        raise RunDirectoryError(message.format(path=directory.path))
    saved: RunStatus = facts.get("status", "running")
    stopped: Status = "killed" if saved == "running" else saved
    if stopped == "completed" and not facts.get("input_complete", True):  # under --limit
        stopped = "interrupted"
    return _Part(Shard.parse(shard), directory, facts, "running" if in_use else stopped)


def _refuse_unlike(parts: Sequence[_Part], *, accept_changes: bool) -> None:
    for first, second in pairwise(parts):
        changed = changes(first.facts["binding"], second.facts["binding"])
        changed = [change for change in changed if change[0] != _SERVED_AT]
        message = ""
        if first.shard == second.shard:
            message = _("{first} and {second} are both shard {shard}; name one of them")
        elif first.shard.count != second.shard.count:
            message = _(
                "{first} is shard {shard} and {second} is shard {other}; merge shards of the same number"
            )
        elif changed and not accept_changes:
            message = _(
                "{first} and {second} have different settings ({changes}); take them all the same with --accept-changes"
            )
        if message:
            named = {"first": first.directory.path, "second": second.directory.path}
            differ = {"shard": first.shard, "other": second.shard, "changes": shown_changes(changed)}
            raise RunDirectoryError(message.format(**named, **differ))
    read = [part for part in parts if part.facts.get("input", {}).get("fingerprint")]  # the others not yet
    for first, second in pairwise(read):
        if first.facts["input"]["fingerprint"] != second.facts["input"]["fingerprint"] and not accept_changes:
            message = _(
                "{first} and {second} have read different inputs; take them all the same with --accept-changes"
            )
            raise RunDirectoryError(message.format(first=first.directory.path, second=second.directory.path))


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


def _target(path: Path, parts: Sequence[_Part], *, accept_changes: bool) -> RunDirectory:
    """Make the directory of merged shards, or take one. Raises RunDirectoryError where `path` holds anything else, maybe its only copy."""
    directory, facts = RunDirectory(path), dict[str, Any]()
    if directory.ledger.is_file():
        with Ledger.watch(directory.ledger) as ledger:
            facts = ledger.meta()
    if not (before := shard_states(directory, facts)):
        return RunDirectory.create(path)
    shards, ids = {str(part.shard) for part in parts}, {part.facts["run_id"] for part in parts}
    inputs = {part.facts.get("input", {}).get("fingerprint") for part in parts}
    # an extension changes the input of a run, not its id
    changed = {change[0] for change in changes(facts["binding"], parts[0].facts["binding"])} - {_SERVED_AT}
    is_new = bool(changed) or facts["input"].get("fingerprint") not in inputs
    is_other = facts["run_id"] not in ids and is_new
    lost = [each.out for each in before if each.shard not in shards]
    if lost or (is_other and not accept_changes):
        message = _(
            "{path} was merged from other shards ({shards}), or another input, model or prompt; name all of its shards, or take"
            " another --out; for the same shards of another input, model or prompt: --accept-changes"
        )
        raise RunDirectoryError(
            message.format(path=path, shards=", ".join(lost or (each.out for each in before)))
        )
    return directory


def _write_ledger(target: RunDirectory, parts: Sequence[_Part], *, missing: int) -> dict[str, Any]:
    """Write the ledger with the rows of all shards; return the facts that it remembers."""
    metas, shards = list[Facts](), list[Facts]()
    with making(target.ledger) as connection:
        for part in parts:
            meta, states = _copy(connection, part.directory.ledger)
            metas.append(meta)
            path, folder = os.path.realpath(part.directory.path), os.path.realpath(target.path)
            apart = os.path.commonpath((path, folder)) == os.path.sep
            state = ShardState(
                shard=str(part.shard),
                out=path if apart else os.path.relpath(path, folder),
                status=part.status,
                host=host_of(meta["settings"]["llm"]["base_url"]),
                users=max(sum(states.values()), limited_of(meta)),
                done=states.get("done", 0),
                failed=states.get("failed", 0),
            )
            shards.append(state._asdict())
        ended = {"interrupted" if each.status in ("running", "killed") else each.status for each in parts}
        # that of the one that needs most
        unfinished = next((each for each in ("stopped", "interrupted", "waiting") if each in ended), None)
        facts = _merged_facts(metas) | {
            "status": unfinished or ("interrupted" if missing else "completed"),
            "shards": shards,
            "merged_at": timestamp(),
        }
        Ledger(connection, target.ledger).set_meta(facts)
    return facts


def _copy(connection: sqlite3.Connection, shard: Path) -> tuple[Facts, dict[str, int]]:
    """Copy the rows of a shard as it is at this moment; return its facts and its users by state."""
    highest = "SELECT ifnull((SELECT max(id) FROM main.calls), 0), ifnull((SELECT max(id) FROM main.jobs), 0)"
    calls, jobs = connection.execute(highest).fetchone()  # which are numbered on from shard to shard
    connection.execute("ATTACH ? AS shard", (uri_to_read(shard),))
    with damage_reported(shard):
        connection.execute("BEGIN")
        stored = connection.execute("SELECT key, value FROM shard.meta")
        meta = {key: load_json(value) for key, value in stored}
        for (table,) in connection.execute(_TABLES).fetchall():
            changed = {
                "id": f"id + {jobs if table == 'jobs' else calls}",
                "call_id": f"call_id + {calls}",
                "since": f"since + {calls}",
                "job_id": f"job_id + {jobs}",
            }
            names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
            values = ", ".join(changed.get(name, name) for (name,) in names)
            connection.execute(f"INSERT INTO main.{table} SELECT {values} FROM shard.{table}")
        states = dict(connection.execute(_STATES).fetchall())
        connection.execute("COMMIT")
    connection.execute("DETACH shard")
    return meta, states


def _merged_facts(metas: Sequence[Facts]) -> dict[str, Any]:
    """Return the facts of all shards as those of one run; of the whole input they are as the first has them."""
    first, settings = metas[0], metas[0]["settings"]
    progress = [meta.get("progress", {}) for meta in metas]
    read: dict[str, Any] = {}
    for key, value in (pair for meta in metas for pair in meta.get("input", {}).items()):
        if key in _OF_ONE or key not in read:
            read.setdefault(key, value)
        elif isinstance(value, Mapping):
            total = Counter(read[key])
            total.update(value)
            read[key] = dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))
        elif isinstance(value, list):
            read[key] = read[key] + [each for each in value if each not in read[key]]
        else:
            read[key] += value
    return {key: first[key] for key in _SAME if key in first} | {
        "input_complete": all(meta.get("input_complete", True) for meta in metas),
        "run_id": min(meta["run_id"] for meta in metas),
        "created_at": min(meta["created_at"] for meta in metas),
        "settings": settings | {"input": settings["input"] | {"shard": ""}},
        "progress": {
            "batches_total": sum(each.get("batches_total", 0) for each in progress),
            "seconds": max(each.get("seconds", 0.0) for each in progress),
        },
        "input": read | {"other_rows": 0} if read else {"paths": first["paths"]},
    }


def _rejects(parts: Sequence[_Part]) -> Iterator[bytes]:
    """Yield the lines about rejected rows in order of file and line, as each shard has them."""
    files = [stamp[0] for stamp in parts[0].facts.get("input_stamps", ())]
    places = {path: place for place, path in enumerate(files)}

    def place(line: bytes) -> tuple[int, str, int]:
        row = orjson.loads(line)
        return places.get(row["file"], len(places)), row["file"], row["line"]

    with ExitStack() as opened:
        written = [part.directory.rejects for part in parts if part.directory.rejects.exists()]
        lines = [opened.enter_context(path.open("rb")) for path in written]
        yield from heapq.merge(*lines, key=place)
