"""From the export into the ledger: every user logged, measured, and cut where it is too large."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from eventabs.config import Settings
from eventabs.errors import InputError, UsageError
from eventabs.ingest import Export
from eventabs.language import gettext as _
from eventabs.prompts import BatchLimits, Parts, PromptBuilder, measure_part, measure_parts, split
from eventabs.records import Part, PartSize, RejectedRow, UserLog
from eventabs.store import Ledger, open_private, storage_error

STDIN = "-"
_NAMES = ("stdin.csv", "stdin.jsonl")
_HEAD = 4096


def input_paths(paths: Sequence[str], settings: Settings) -> list[str]:
    """Return what to read, each once: what the command line names, else the config.

    Raises UsageError where nothing is named, or a name could not be stored as text.
    """
    named = list(dict.fromkeys(paths or settings.input.paths))
    if not named:
        message = _("no input is named; give files, or set input.paths in the config")
        raise UsageError(message)
    for path in named:
        if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
            message = _("the file name {path} is not valid text; rename the file")
            raise UsageError(message.format(path=ascii(path)))
    return named


def copy_stdin(directory: Path, stream: BinaryIO | None = None) -> str:
    """Copy a stream (standard input) into `directory`, named by what it looks like; return the path.

    Raises StorageError where the disk refuses.
    """
    stream = stream or sys.stdin.buffer
    head = stream.read(_HEAD)
    looks_like_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    path = directory / _NAMES[looks_like_json]
    try:
        with open(path, "wb", opener=open_private) as file:
            file.write(head)
            shutil.copyfileobj(stream, file)
    except OSError as error:
        raise storage_error(path, error) from error
    return str(path.absolute())


def stdin_copy(directory: Path) -> str:
    """Return where `spool` put the stream. Raises InputError where it is gone."""
    for name in _NAMES:
        if (directory / name).is_file():
            return str((directory / name).absolute())
    message = _("{path} no longer holds what came by standard input; begin a new run")
    raise InputError(message.format(path=directory))


USERS_A_COMMIT = 500


def refuse_unreadable(export: Export, *, max_rejects: float) -> None:
    """Raise InputError where no user could be read, or more rows are unreadable than may be.

    `max_rejects` is a share of all rows.
    """
    if not export.users:
        message = _(
            "the input holds no user that could be read ({reasons}); check [input.columns] in the config"
        )
        raise InputError(message.format(reasons=_told(export) or _("no rows")))
    if export.rejected_rows > max_rejects * export.rows:
        message = _(
            "{rejected} of {rows} rows cannot be read ({reasons}); columns were taken as {columns}: name others"
            " in [input.columns], or allow it with --max-rejects"
        )
        raise InputError(
            message.format(
                rejected=export.rejected_rows,
                rows=export.rows,
                reasons=_told(export),
                columns=_columns(export),
            )
        )


def _told(export: Export) -> str:
    """Name each reason with its count and the first row that it is about."""
    first: dict[str, RejectedRow] = {}
    rejects = export.rejects()
    while len(first) < len(export.reasons):
        reject = next(rejects)
        first.setdefault(reject.reason, reject)
    example = _("{reason} {count}, first in {file} line {line}")
    return "; ".join(
        example.format(
            reason=reason, count=count, file=Path(first[reason].file).name, line=first[reason].line
        )
        for reason, count in export.reasons.items()
    )


def _columns(export: Export) -> str:
    """Name the columns of the file that the first rejected row is in."""
    roles = export.roles[next(export.rejects()).file]
    return ", ".join(f"{role} = {column}" for role, column in roles.items())


def take_in(ledger: Ledger, users: Iterable[tuple[UserLog, Parts]], *, most_users: int) -> None:
    """Log the users that are not logged yet; at most `most_users` in all, 0: no limit."""
    known = ledger.logged_users()
    fresh: Iterator[tuple[UserLog, Parts]] = (user for user in users if user[0].user_id not in known)
    if most_users:
        fresh = islice(fresh, max(0, most_users - len(known)))
    while chunk := list(islice(fresh, USERS_A_COMMIT)):
        with ledger.transaction():
            ledger.add_users(chunk)


def halves(log: UserLog, builder: PromptBuilder, *, start: int) -> list[tuple[Part, PartSize]]:
    """Cut a log in parts of at most half its behaviors, nothing if it is a single one.

    `start` is the index of the log's first behavior in the user's whole log.
    """
    half = (len(log.behaviors) + 1) // 2
    parts = split(log, lambda first, last: last - first < half)
    return [] if len(parts) == 1 else [measure_part(log, part, builder, start) for part in parts]


def measure_again(ledger: Ledger, builder: PromptBuilder, limits: BatchLimits) -> None:
    """Measure what is still pending, after a change of prompt or budget.

    Parts whose answer is there but not read yet stay as they were asked about.
    """
    unread = map(ledger.stored_reply, ledger.unread_calls())
    answered = {part for stored in unread for part in stored.users.values()}
    with ledger.transaction():
        for planned in ledger.pending_parts():
            if planned.part in answered:
                continue
            (log,) = ledger.logs([planned.part])
            ledger.replace_part(planned.part, measure_parts(log, builder, limits, start=planned.part.first))


def sample_texts(logs: Sequence[UserLog]) -> list[str]:
    """Return the words of some logs, to see which language they are in."""
    return [text for log in logs for b in log.behaviors for text in (b.action, b.item, b.place)]
