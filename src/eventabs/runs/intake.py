"""From the export into the ledger: every user logged, measured, cut where too large; and what was understood of the input."""

import hashlib
import heapq
import select
import shlex
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedIOBase, UnsupportedOperation
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from eventabs import ingest, prompts
from eventabs.config import Settings
from eventabs.errors_and_exit_codes import DiskFullError, InputError, RunDirectoryError, UsageError
from eventabs.ingest import Description, Export, FileStamp, Frame, InputSettings
from eventabs.interface_language import Language, gettext as _, ngettext
from eventabs.object_stores import is_address, public_address
from eventabs.prompts import BatchLimits, Compactor, Parts, PromptBuilder
from eventabs.providers import load_rules, shipped_rules
from eventabs.runs import built_from_settings as built
from eventabs.runs.built_from_settings import RunContext
from eventabs.runs.observer import InputGone, InputRead, Note, RowShown
from eventabs.shared_records import InputWarning, RejectedRow, UserLog
from eventabs.stop_request import Stop
from eventabs.store import Ledger, RunDirectory, disk_full, open_private, storage_error, write_rejects


class InputDescription(NamedTuple):
    """What was understood of an input, which has been `read` to its end.

    `rows` and `warnings` are those of a run; of `found` come columns and known tools, of files that are alike.
    `actions`: most frequent words for actions that the built-in rules do not know, and those of conversions, with their rows.
    """

    found: Description
    rows: tuple[RowShown, ...]
    warnings: tuple[InputWarning, ...]
    read: InputRead
    actions: Mapping[str, dict[str, int]] = {}

    def facts(self) -> dict[str, Any]:
        """Return what a run remembers of it."""
        return {
            "schemas": [*dict.fromkeys(each.schema for each in self.found.mappings if each.schema)],
            "columns": self.found.columns,
            "warnings": [each._asdict() for each in self.warnings],
            **self.actions,
        }

    def notes(self) -> tuple[Note, ...]:
        """Return what a run says about it, beside how much was read."""
        return (*self.found.mappings, *self.rows, *self.warnings)


_COUNTED = (
    *("rejected_rows", "duplicates", "paired_ends", "unpaired", "shortened"),
    *("skipped_lines", "non_behaviors", "other_rows"),
)
_FEW = 2_000  # behaviors, whose tokens are counted sooner log by log than sums of them are prepared
_MOST_ACTIONS = 100  # the actions of an export may be as many as its rows
_MOST_LOST = 0.5  # of the rows: where more cannot be read, the columns are wrong


def describe_export(export: Export, settings: Settings, language: Language = "en") -> InputDescription:
    """Describe an open export. `language`: the prompt's."""
    found, compactor = export.description, Compactor(language, settings.compaction.strip)
    names = (*_COUNTED, "users", "behaviors", "reasons", "compared", "not_compared")
    encodings = tuple(sorted({*export.encodings.values()} - {"utf-8", ""}))  # "": Parquet has none
    counted: dict[str, Any] = {name: getattr(export, name) for name in names}
    read = InputRead(files=len(export.files), encodings=encodings, **counted)
    rows = []
    for text, log in found.rows:
        (one,) = log.behaviors
        line = "".join(compactor.block("", log)).rstrip().rpartition("\n ")[2]
        rows.append(RowShown(export.files[one.file], one.line, text, f"{one.start:%Y-%m-%d} {line}"))
    unmet = built.unmet_rules(settings, language, (word for word, _rows in export.actions()))
    unknown, conversions = dict[str, int](), dict[str, int]()
    if not settings.is_remote:
        own = built.named_text(settings.rules.file, "rules.file")
        rules = load_rules(shipped_rules() if own is None else own, language)
        for word, number in export.actions():
            told = conversions if rules.classify(word, "", "").category == prompts.CONVERSION else unknown
            if len(told) < _MOST_ACTIONS and (told is conversions or rules.meaning(word) not in rules.known):
                told[word] = number
    actions = {"unknown_actions": unknown, "conversion_actions": conversions}
    return InputDescription(found, tuple(rows), (*found.warnings, *unmet), read, actions)


def other_reading(run: RunContext, changed: str, *, accepted: bool) -> list[Note]:
    """Say how many users keep their reading though its settings have `changed`. Raises RunDirectoryError unless that is `accepted`."""
    ((users,),) = run.ledger.rows("SELECT count(*) FROM users")
    if not users:
        return []
    message = ngettext(
        "{count} user was read under earlier settings and stays so ({changes}); to read all alike, begin a new run with"
        " another --out",
        "{count} users were read under earlier settings and stay so ({changes}); to read all alike, begin a new run with"
        " another --out",
        users,
    ).format(changes=changed)
    if not accepted:
        refusal = _("{message}; or undo that, or take it with --accept-changes")
        raise RunDirectoryError(refusal.format(message=message))
    return [InputWarning("earlier_reading", message)]


STDIN = "-"
_COPIES = ("stdin.csv", "stdin.jsonl", "frame.parquet")
_HEAD = 4096


def input_paths(paths: Sequence[str], settings: Settings) -> list[str]:
    """Return what to read, each once: what the command line names, else the config. Raises UsageError where that is nothing or not there."""
    named = list(dict.fromkeys(paths or settings.input.paths))
    if not named:
        raise UsageError(_("no input is named; give files, or set input.paths in the config"))
    for path in named:
        with suppress(OSError, ValueError):  # a name that the system does not take
            place = Path(path).parent if Path(path).name == "checkpoint.json" else Path(path)
            if RunDirectory(place).ledger.exists():
                message = _("{path} is a run, not an export; go on with it: eventabs resume {path}")
                raise UsageError(message.format(path=shlex.quote(path)))
    ingest.expand([path for path in named if path != STDIN])
    return named


def copied(named: Sequence[str], directory: Path, stop: Stop) -> list[str]:
    """Return the paths to read; a table in memory or standard input is copied into `directory`. Raises InputError, StorageError, StopRequested."""
    if STDIN not in named:
        return list(named)
    given = named[named.index(STDIN)]
    head, chunks = b"", iter([b""])
    if not isinstance(given, Frame):
        chunks = _chunks(cast("BufferedIOBase", sys.stdin.buffer), stop)
        while len(head) < _HEAD and (chunk := next(chunks, b"")):
            head += chunk
    looks_like_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    path = directory.absolute() / (_COPIES[2] if isinstance(given, Frame) else _COPIES[looks_like_json])
    try:
        for name in {*_COPIES} - {path.name}:  # of the export before
            path.with_name(name).unlink(missing_ok=True)
        with open(path, "wb", opener=open_private) as file:
            file.write(head)
            file.writelines(chunks)
        if isinstance(given, Frame):
            given.copy_to(path, stop)
    except OSError as error:
        raise storage_error(path, error) from error
    return [str(path) if each == STDIN else each for each in named]


def _chunks(stream: BufferedIOBase, stop: Stop) -> Iterator[bytes]:
    """Yield what comes; a stream that sends nothing does not hold up a stop."""
    while True:
        stop.check()
        with suppress(UnsupportedOperation):  # no file of the system, so nothing to wait for
            if not select.select([stream], [], [], 0.2)[0]:  # seconds between looks at a requested stop
                continue
        if not (chunk := stream.read1(1 << 20)):
            return
        yield chunk


USERS_A_COMMIT = 500


def read_input(run: RunContext, stop: Stop) -> list[Note]:
    """Read the input into the ledger, unless that has been done, and return what was found. Raises UsageError and StopRequested."""
    settings = run.settings
    if run.facts.get("input_complete"):  # files that are gone since are not needed any more
        gone = tuple(path for path, *_stamp in run.facts.get("input_stamps", ()) if not Path(path).exists())
        return [InputGone(gone)] if gone else []
    with opened_input(run, run.facts["paths"], stop) as export:
        before = run.facts.get("input", {}).get("fingerprint", export.fingerprint)
        if before != export.fingerprint and not run.facts.get("other_input_accepted"):
            message = _(
                "the input is not the one that this run began with; restore it, or take it with --accept-changes for"
                " users not yet read"
            )
            raise RunDirectoryError(message)
        refuse_unreadable(export, settings.input, run.directory)
        settled = built.settled_facts(settings, run.facts, prompts.sampled(export.user_logs()))
        described = describe_export(export, settings, settled["prompt_language"])
        told = [each["code"] for each in run.facts.get("input", {}).get("warnings", ())]
        if before != export.fingerprint or "earlier_rows" in told:
            kept = _kept_rows(run, stop.until(export.user_logs()))
            described = described._replace(warnings=(*described.warnings, *kept))
        run.remember(
            **settled,
            input=input_facts(export, described, run.facts["paths"], export.users, export.behaviors),
            files=list(export.files),
            # what came by standard input moves with the run directory, and is nobody's to change
            input_stamps=[] if STDIN in run.facts["paths"] else list(map(list, export.stamps)),
        )
        write_rejects(run.directory, export.rejects())
        plan = run.builder_and_limits()
        by_log = ((log, prompts.measure_parts(log, *plan)) for log in export.user_logs())
        users = by_log if export.behaviors <= _FEW else prompts.measure_logs(export.groups(), *plan)
        log_users(run.ledger, stop.until(users), run.most_users)
        run.remember(input_complete=not 0 < run.most_users < export.users)
    return [described.read, *described.notes()]


def _kept_rows(run: RunContext, logs: Iterable[UserLog]) -> Iterator[InputWarning]:
    """Say how many of the users that are read already have other rows in the `logs` of another input."""
    known = run.ledger.logged_users()
    pairs = ((run.ledger.log(log.user_id), log) for log in logs if log.user_id in known)
    rows = ([[row[:5] for row in log.behaviors] for log in pair] for pair in pairs)  # without file and line
    if not (count := len(known) - sum(before == now for before, now in rows)):
        return
    message = ngettext(
        "{count} user was read from the input before and keeps those rows; to take in the other rows, later, with extend.lateness as long as they go back: {command}",
        "{count} users were read from the input before and keep those rows; to take in the other rows, later, with extend.lateness as long as they go back: {command}",
        count,
    )
    command = shlex.join(["eventabs", "extend", str(run.directory.path), *run.facts["paths"]])
    yield InputWarning("earlier_rows", message.format(command=command))


def input_facts(
    export: Export, described: InputDescription, paths: Sequence[str], users: int, behaviors: int
) -> dict[str, object]:
    """Return what a run remembers of its input: an export, or the latest of several."""
    return {
        "paths": paths,
        "users": users,
        "behaviors": behaviors,
        "fingerprint": export.fingerprint,
        **{name: getattr(export, name) for name in (*_COUNTED, "rows")},
        "rejects": export.reasons,
        "profile_left": list(export.profile_left),
        **described.facts(),
    }


def stored_paths(named: Sequence[str]) -> list[str]:
    """Return paths as a run keeps them: found from another folder too, addresses without their queries."""
    return [
        STDIN if path == STDIN else public_address(path) if is_address(path) else str(Path.cwd() / path)
        for path in named
    ]


def drawn(user_ids: Iterable[str], most: int, seed: int) -> list[str]:
    """Return `most` ids in order, each as likely as any; a larger draw of the same seed holds the smaller one."""

    def lot(user_id: str) -> bytes:
        return hashlib.sha256(f"{seed}:{user_id}".encode("utf-8", "surrogatepass")).digest()

    return sorted(heapq.nsmallest(most, user_ids, key=lot))


def refuse_changed_input(run: RunContext, *, accepted: bool) -> None:
    """Raise RunDirectoryError where an input that was read to its end has changed, unless `accepted`; UsageError where --limit is too late."""
    if not run.facts.get("input_complete"):  # it is read again, and compared then
        return
    if 0 < run.most_users < run.tracker().counts.users:
        message = _(
            "all users are read: too late for --limit; bound the whole run with --max-cost or --max-total-tokens"
        )
        raise UsageError(message)
    stamps = [FileStamp(*stamp) for stamp in run.facts.get("input_stamps", ())]
    pairs = [(stamp, stamp.now()) for stamp in stamps]  # a file that is gone has not changed
    changed = [old.path for old, new in pairs if new is not None and new.sha256 != old.sha256]
    if changed and not accepted:
        message = _(
            "{paths} has changed since this run read it; restore it, or go on with what was read with"
            " --accept-changes (to read it anew, begin a new run)"
        )
        raise RunDirectoryError(message.format(paths=", ".join(changed)))
    if any(new != old for old, new in pairs):  # so that the content is read, and a change refused, only once
        run.remember(input_stamps=[list(new or old) for old, new in pairs])


@contextmanager
def opened_input(run: RunContext, stored: Sequence[str], stop: Stop) -> Iterator[Export]:
    """Open the files and addresses `stored`, as a run keeps them, with the queries that they are named with today."""
    named, paths = list(run.named), list[str]()
    for path in stored:
        found = next((each for each in named if path in {each, public_address(each)}), path)
        if found in named:
            named.remove(found)
        paths.append(found)
    if STDIN in paths:  # what came by it lies in the run directory, wherever that has been moved to
        copies = (run.directory.path.absolute() / name for name in _COPIES)
        copy = next((str(path) for path in copies if path.is_file()), None)
        if copy is None:
            message = _("none of {names} is in {path}; put it back, or begin a new run")
            raise InputError(message.format(names=", ".join(_COPIES), path=run.directory.path))
        paths = [copy if path == STDIN else path for path in paths]
    settings, folder, told = run.settings, run.directory.work, run.observer.noted
    try:
        with ingest.open_export(
            paths, settings.input, settings.profiles.columns, work_dir=folder, stop=stop, on_copy=told
        ) as export:
            yield export
        with suppress(OSError):
            run.directory.work.rmdir()
    except DiskFullError as error:  # of scratch files, which lie in the run directory
        raise disk_full(run.directory.path, resumable=True) from error


def refuse_unreadable(export: Export, settings: InputSettings, directory: RunDirectory | None = None) -> None:
    """Raise InputError where no user could be read, or too many rows not; the first of these are then in a file of the run `directory`."""
    refusal, share = refusal_of(export, settings)
    if refusal and directory and export.rejected_rows:
        write_rejects(directory, islice(export.rejects(), 10_000))  # of a large export it may be all rows
        message = _("{refusal}; the rejected rows are in {path}")
        refusal = message.format(refusal=refusal, path=directory.rejects)
    if refusal:
        error = InputError(refusal)
        if 0 < share <= _MOST_LOST:
            table = tomllib.loads(export.description.proposal)["input"]
            columns = table.pop("columns", {})
            error.proposal = ingest.input_table({**table, "max_rejects": share}, columns)
        raise error


def refusal_of(export: Export, settings: InputSettings) -> tuple[str, float]:
    """Return why a run is refused, "" if it is not, and the share of the rows that would have to be lost."""
    if not export.rows + export.other_rows:
        return _(
            "the input holds no rows, only what stands above them; check the query or the dates of the export,"
            " and make it again"
        ), 0
    # a shard may have no user at all where others have some
    if not export.users and export.rows_without_user >= export.other_rows:
        message = _(
            "the input holds no user that could be read ({reasons}); check [input.columns] in the config"
        )
        return message.format(reasons=_told(export) or _("no rows")), 0
    index, without_user = export.shard.index if export.shard else 0, export.rows_without_user
    own = 0 if index else without_user  # of shards these are a share of the rows of all
    shares = [(export.rejected_rows - own, export.rows - own)]
    if not (settings.strict and index):  # one is enough to name it: the first
        shares.append((without_user, export.rows + export.other_rows))
    for rejected, rows in shares:
        if rejected > settings.most_rejects * rows:
            message = _(
                "{rejected} of {rows} rows cannot be read ({reasons}); columns were taken as {columns}: name others"
                " in [input.columns], or {step}"
            )
            step = _("go without --strict") if settings.strict else _("allow it with --max-rejects {share}")
            step = _("correct the rows") if rejected == rows else step
            file = next((each.file for each in export.rejects()), export.files[0])
            columns = ", ".join(f"{role} = {column}" for role, column in export.roles[file].items())
            share = -(-100 * rejected // rows) / 100  # rounded up
            values = {"columns": columns, "step": step.format(share=share)}
            refusal = message.format(rejected=rejected, rows=rows, reasons=_told(export), **values)
            return refusal, 0 if settings.strict else share
    return "", 0


def _told(export: Export) -> str:
    """Name each reason with its count and the first row that it is about, unless the first shard has them all."""
    if not export.reasons and export.rows_without_user:
        return f"no_user {export.rows_without_user}"
    first: dict[str, RejectedRow] = {}
    rejects = export.rejects()
    while len(first) < len(export.reasons):
        reject = next(rejects)
        first.setdefault(reject.reason, reject)
    example, told = _("{reason} {count}, first in {file} line {line}"), list[str]()
    for reason, count in export.reasons.items():
        file, line = Path(first[reason].file).name, first[reason].line
        told.append(example.format(reason=reason, count=count, file=file, line=line))
    return "; ".join(told)


def log_users(ledger: Ledger, users: Iterable[tuple[UserLog, Parts]], most_users: int = 0) -> None:
    """Log the users that are not logged yet; at most `most_users` in all, 0: no limit."""
    known = ledger.logged_users()
    fresh = (user for user in users if user[0].user_id not in known)
    taken = islice(fresh, max(0, most_users - len(known)) if most_users else None)
    while chunk := list(islice(taken, USERS_A_COMMIT)):
        with ledger.transaction():
            ledger.add_users(chunk)


def measure_again(ledger: Ledger, builder: PromptBuilder, limits: BatchLimits) -> None:
    """Measure what is pending after a change of prompt or budget, but not the parts whose answer is there and not read yet."""
    unread = map(ledger.stored_reply, ledger.unread_calls())
    answered = {asked.part for stored in unread for asked in stored.users.values()}
    with ledger.transaction():
        for planned in ledger.pending_parts():
            part, rows, size = planned.part, planned.rows, planned.size
            if part in answered:
                continue
            if rows:
                size = (builder.linking if part.is_link else builder).measure(ledger.asked(part, rows).log)
            if part.is_link or (rows and limits.hold(size)):
                ledger.add_parts([(part, size)], instead_of=part, rows=rows)
            else:
                pieces = prompts.measure_parts(ledger.log(*part), builder, limits, start=part.first)
                ledger.add_parts(pieces, instead_of=part)
