"""What users cost: by sums over stretches of the export, and by their logs where sums do not hold."""

from collections.abc import Iterable, Iterator, Sequence

from eventabs.config import Settings
from eventabs.exports import Stretch
from eventabs.prompts.apart import id_key, kin, unusual
from eventabs.prompts.builder import PromptBuilder
from eventabs.prompts.detail import BEHAVIORS_AN_EVENT, MOST_BRIEF, SESSION_GAP, answer_tokens
from eventabs.prompts.packing import Limits
from eventabs.records import AnswerForm, Detail, Part, PartSize, UserLog

Parts = list[tuple[Part, PartSize]]


def measured_parts(log: UserLog, builder: PromptBuilder, limits: Limits, *, start: int = 0) -> Parts:
    """Return the parts of a log and what each costs; one part unless the log is too large for a batch.

    `start` is the index of the log's first behavior in the user's whole log.
    """
    return [measured(log, part, builder, start) for part in builder.split(log, limits)]


def measured(log: UserLog, part: Part, builder: PromptBuilder, start: int) -> tuple[Part, PartSize]:
    """Return a part, numbered in the whole log, and what it costs."""
    return Part(log.user_id, part.first + start, part.last + start), builder.measure(cut_to(log, part))


def cut_to(log: UserLog, part: Part) -> UserLog:
    """Return the log with the behaviors of a part only, whose indices count from the log's first."""
    return UserLog(log.user_id, log.behaviors[part.first : part.last + 1], log.profile)


def measured_logs(
    stretches: Iterable[Stretch], builder: PromptBuilder, limits: Limits, settings: Settings
) -> Iterator[tuple[UserLog, Parts]]:
    """Yield every user's log and parts."""
    for stretch in stretches:
        apart = users_apart(stretch, settings.compaction.strip)
        expected = output_tokens(stretch, settings.prompt.detail, settings.prompt.answer)
        parts = parts_by_user(stretch, builder, limits, apart, expected)
        logs = stretch.logs(range(len(stretch.users)))
        for log, (parts_of_log, _log) in zip(logs, parts, strict=True):
            yield log, parts_of_log


def users_apart(stretch: Stretch, marks: Sequence[str]) -> set[int]:
    """Return the users whose tokens are not the sum of what recurs, and maybe some more, by number."""
    return (
        stretch.users_of(unusual(stretch.names))
        | stretch.users_named([id_key(user.user_id) for user in stretch.users])
        | stretch.users_of_several(kin(stretch.names, marks))
        | stretch.users_back_in_time()
    )


def parts_by_user(
    stretch: Stretch, builder: PromptBuilder, limits: Limits, apart: set[int], expected: Sequence[int]
) -> Iterator[tuple[Parts, UserLog | None]]:
    """Yield the parts of each user as `measured_parts` would, and the log where it had to be made for that.

    `apart` are the users whose tokens are no sums, `expected` the output tokens by user.
    """
    tokens = _input_tokens(stretch, builder)
    whole: list[Parts | None] = [None] * len(stretch.users)
    for number, user in enumerate(stretch.users):
        if not user.behaviors:
            whole[number] = []
        elif tokens is not None and number not in apart:
            size = PartSize(tokens[number], expected[number])
            if limits.hold(size):
                whole[number] = [(Part(user.user_id, 0, user.behaviors - 1), size)]
    logs = stretch.logs([number for number, parts in enumerate(whole) if parts is None])
    for parts in whole:
        if parts is not None:
            yield parts, None
        else:
            log = next(logs)
            yield measured_parts(log, builder, limits), log


def _input_tokens(stretch: Stretch, builder: PromptBuilder) -> list[int] | None:
    """Return each user's input tokens, right for all but `users_apart`; None: the tokenizer's counts do not add up."""
    pieces = builder.piece_costs(stretch.names, stretch.durations, stretch.days)
    if pieces is None:
        return None
    blocks = stretch.costs(pieces)
    headers = (builder.header_tokens(UserLog(user.user_id, (), user.profile)) for user in stretch.users)
    return [header + block for header, block in zip(headers, blocks, strict=True)]


def output_tokens(stretch: Stretch, detail: Detail, answer: AnswerForm) -> list[int]:
    """Return each user's expected output tokens."""
    return [answer_tokens(events, answer) for events in _expected_events(stretch, detail)]


def _expected_events(stretch: Stretch, detail: Detail) -> list[int]:
    """Do for all users what `prompts.detail.expected_events` does for one."""
    if detail == "fine":
        return stretch.sessions(round(SESSION_GAP.total_seconds()))
    if detail == "brief":
        return [min(MOST_BRIEF, days) for days in stretch.active_days()]
    return stretch.groups(BEHAVIORS_AN_EVENT)
