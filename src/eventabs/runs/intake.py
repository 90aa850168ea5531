"""From the export into the ledger: every user logged, measured, and cut where it is too large."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from eventabs.errors import InputError
from eventabs.exports import Export
from eventabs.language import gettext as _
from eventabs.prompts.builder import PromptBuilder
from eventabs.prompts.packing import Limits
from eventabs.prompts.splitting import split
from eventabs.records import Part, PartSize, RejectedRow, UserLog
from eventabs.runs.ledger import Ledger
from eventabs.runs.measuring import Parts, measured, measured_parts

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
    return [] if len(parts) == 1 else [measured(log, part, builder, start) for part in parts]


def measure_again(ledger: Ledger, builder: PromptBuilder, limits: Limits) -> None:
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
            ledger.replace_part(planned.part, measured_parts(log, builder, limits, start=planned.part.first))


def sample_texts(logs: Sequence[UserLog]) -> list[str]:
    """Return the words of some logs, to see which language they are in."""
    return [text for log in logs for b in log.behaviors for text in (b.action, b.item, b.place)]
