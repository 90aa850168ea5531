"""Counts, users with their events, jobs, answers and extensions, read from a ledger and written into it. Views are in views.sql."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import orjson

from eventabs.replies import joined
from eventabs.shared_records import (
    COUNT_NAMES,
    STANDARD_TIER,
    TIER_COUNTS,
    AnswerFigures,
    AskedUser,
    Batch,
    Counts,
    Event,
    Journey,
    Message,
    Outcome,
    Part,
    PartSize,
    UserLog,
    as_row,
    of_row,
    rows_in,
)
from eventabs.store import ledger as codec
from eventabs.store.ledger import FIGURES, Ledger, PartChange
from eventabs.store.run_directory_and_checkpoint import settings_in_force

# Counts of answers as they were read, by their place in the batch: what falls with the size of a batch, or towards its end, speaks for
# smaller ones.


# as the view has them, and from the third on of an answer: as `Outcome.figures`
ANSWER_FIGURES: Final = ("asked", "usable", "behaviors", *FIGURES)
_ANSWER: Final = f"INSERT OR REPLACE INTO answers VALUES ({', '.join('?' * (3 + len(ANSWER_FIGURES)))})"


def store_answers(
    ledger: Ledger, call_id: int, asked: Collection[AskedUser], outcomes: Iterable[Outcome | None]
) -> None:
    """Count anew what an answer said about each user of a batch; None: what is counted stays. Links have no behaviors to count."""
    users = len(asked)
    for place, (user, outcome) in enumerate(zip(asked, outcomes, strict=True), 1):
        if outcome and not user.part.is_link:
            third = str(1 + (place - 1) * 3 // users) if users >= 3 else ""  # noqa: PLR2004  `1` to `3`
            figures = outcome.figures.values()
            ledger.rows(_ANSWER, call_id, third, place, users, outcome.reason, len(user.rows), *figures)


def stored_answers(ledger: Ledger) -> AnswerFigures:
    """Sum up all answers by the class of their batch, few users first, and by the third of it in which the user stood."""
    bands = dict[str, Counter[str]]()
    thirds = {third: Counter[str]() for third in ("1", "2", "3", "")}
    for users, third, *figures in ledger.rows("SELECT * FROM answers_by_place"):
        least = 1 << (users.bit_length() - 1)  # by powers of two: 1, 2-3, 4-7, 8-15
        band = bands.setdefault(f"{least}-{2 * least - 1}" if least > 1 else "1", Counter())
        for counted in (band, thirds[third]):
            counted.update(dict(zip(ANSWER_FIGURES, figures, strict=True)))
    del thirds[""]  # of fewer than three users
    found = {"by_batch_users": bands, "by_position": thirds}
    return {by: [{"name": name, **row} for name, row in rows.items() if row] for by, rows in found.items()}


def count_all(ledger: Ledger) -> Counts:
    """Count everything."""
    (sums,) = ledger.rows(f"SELECT {', '.join(COUNT_NAMES)} FROM counted")
    causes = ledger.rows("SELECT cause, count(*) FROM retries GROUP BY cause ORDER BY 2 DESC, 1")
    tiers = ledger.rows(f"SELECT tier, {', '.join(TIER_COUNTS)} FROM tier_use")
    by_tier = {tier or STANDARD_TIER: dict(zip(TIER_COUNTS, use, strict=True)) for tier, *use in tiers}
    numbers = dict(zip(COUNT_NAMES, sums, strict=True))
    return Counts(**numbers, answers=stored_answers(ledger), retry_causes=dict(causes), tiers=by_tier)


Row = dict[str, Any]  # an event or a journey, as in events.jsonl and journeys.jsonl


class Made(NamedTuple):
    """What all parts of a user that are done hold: events and journeys in order of start and end, and the log indices of other rows."""

    events: list[Row]
    journeys: list[Row]
    minor: Sequence[int] = ()
    unplaced: Sequence[int] = ()
    unasked: Sequence[int] = ()


class UserRow(NamedTuple):
    """A user as a list shows it."""

    user_id: str
    state: str
    behaviors: int
    events: int
    reason: str | None  # None unless a part failed
    attempts: int  # bad answers, of the part that had most, as the calls without an answer
    broken_calls: int = 0


def user_rows(ledger: Ledger, state: str | None = None, *, most: int = -1, skip: int = 0) -> list[UserRow]:
    """Return users in order of user id, all or those of a state; `most` of them after `skip`."""
    which = "FROM user_states WHERE ?1 IS NULL ORDER BY user_id"
    if state:  # by the index of parts, since users of a state may be few among many
        which = (
            "FROM parts CROSS JOIN user_states USING (user_id) WHERE parts.state = ?1 AND user_states.state = ?1"
            " GROUP BY parts.user_id ORDER BY parts.user_id"
        )
    rows = ledger.rows(f"SELECT user_states.* {which} LIMIT ?2 OFFSET ?3", state, most, skip)
    return [UserRow(*row) for row in rows]


def user_row(ledger: Ledger, user_id: str) -> UserRow | None:
    """Return a user, None where the ledger has no such user."""
    rows = ledger.rows("SELECT * FROM user_states WHERE user_id = ?", user_id)
    return UserRow(*rows[0]) if rows else None


def states_by_user(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Yield the id and the state of every user, in order of user id; few are in memory at a time."""
    return ledger.by_user("SELECT user_id, state FROM user_states WHERE user_id > ?")


def user_states(ledger: Ledger) -> dict[str, int]:
    """Count users by state."""
    ((users, pending),) = ledger.rows(
        "SELECT (SELECT count(*) FROM users), count(DISTINCT user_id) FROM parts WHERE state = 'pending'"
    )
    failed = sum(users_by_reason(ledger, "failed_users").values())
    return {"pending": pending, "done": users - pending - failed, "failed": failed}


def users_by_reason(ledger: Ledger, which: Literal["failed_users", "asked_again"]) -> dict[str, int]:
    """Count users that failed, or whose answer was bad and who are asked again, by reason, the most frequent first."""
    return dict(ledger.rows(f"SELECT reason, count(*) FROM {which} GROUP BY reason ORDER BY 2 DESC, 1"))


def bad_answer(ledger: Ledger) -> str:
    """Return how the latest answer begins, where nothing of it could be used; else ""."""
    latest = ledger.rows("SELECT reply FROM latest_bad_reply")
    return "".join(codec.unpack_text(reply).strip()[:200] for (reply,) in latest)


def failed_users(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Yield all users that failed, in order of user id: the reason, what was tried, and all calls."""
    if not (failed := user_rows(ledger, "failed")):
        return
    calls: dict[str, list[int]] = {user.user_id: [] for user in failed}
    for call_id, user_id in ledger.rows("SELECT DISTINCT call_id, user_id FROM user_calls ORDER BY call_id"):
        if user_id in calls:
            calls[user_id].append(call_id)
    for user in failed:
        tried = {"attempts": user.attempts, "broken_calls": user.broken_calls}
        yield {"user_id": user.user_id, "reason": user.reason, **tried, "calls": calls[user.user_id]}


def goal_of(settings: Mapping[str, Any]) -> str:
    """Return the category that stored settings are after, see `Vocabulary.goal`."""
    return next((each["name"] for each in settings["vocabulary"]["categories"] if each["mark"]), "")


def made_of(ledger: Ledger, user_id: str) -> Made:
    """Return what all parts of a user that are done hold."""
    of_parts = "SELECT first, last, result FROM user_results WHERE user_id = ? ORDER BY first"
    results, others = ledger.rows(of_parts, user_id), Made._fields[2:]
    if len(results) > 1:
        pieces = [codec.unpack_outcome(Part(user_id, *ends), None, result) for *ends, result in results]
        found = joined(pieces, goal_of(settings_in_force(ledger.meta())))
        made = orjson.loads(orjson.dumps([list(map(as_row, each)) for each in found]))
        return Made(*made, *([row for piece in pieces for row in getattr(piece, name)] for name in others))
    if not results:
        return Made([], [])
    whole = codec.unpack_json(results[0][-1])
    return Made(whole["events"], whole["journeys"], *map(rows_in, map(whole.__getitem__, others)))


def current_by_user(ledger: Ledger) -> Iterator[tuple[str, list[Row], list[Row]]]:
    """Yield each user who may have some with the current events and journeys, in order of user id; one is in memory at a time."""
    found = ledger.by_user("SELECT user_id, state FROM users_with_results WHERE user_id > ?")
    return ((user_id, *current_of(ledger, user_id, state)[:2]) for user_id, state in found)


def current_of(ledger: Ledger, user_id: str, state: str | None) -> Made:
    """Return the events and journeys of a user: of one that is not done, those before an extension."""
    if state == "done":
        return made_of(ledger, user_id)
    rows = ledger.rows("SELECT before FROM standing WHERE user_id = ?", user_id)
    return Made(*codec.unpack_json(rows[0][0])) if rows else Made([], [])


class SettledUser(NamedTuple):
    """What has become of a user; events, journeys and days only of one that is done."""

    state: str  # `pending`, `done` or `failed`
    events: Sequence[Row] = ()
    journeys: Sequence[Row] = ()
    days: int = 0  # on which it did something


def settled_user(ledger: Ledger, user_id: str, whole: PartChange | None = None) -> SettledUser:
    """Return the state of a user, and its events once it is done; `whole`: the change of its only part, which says it all."""
    if whole:
        state, made = whole.state, whole.accepted and whole.accepted.as_rows
    else:
        ((state,),) = ledger.rows("SELECT state FROM user_states WHERE user_id = ?", user_id)
        made = made_of(ledger, user_id)[:2] if state == "done" else None
        if made:  # journeys that lie in several parts are one now, and are counted as one
            counted = "UPDATE parts SET journeys = CASE WHEN first = 0 THEN ? ELSE 0 END WHERE user_id = ?"
            ledger.rows(counted, len(made[1]), user_id)
    if not made:
        return SettledUser(state)
    ((days,),) = ledger.rows("SELECT days FROM users WHERE user_id = ?", user_id)
    return SettledUser(state, *made, days)


# Jobs in a ledger: requests that went out in one file, and whose answers come back in files.
#
# A job is `written` (requests.jsonl, for whoever takes it), or one of a batch service: `planned` before anything is sent, then
# `uploaded` (it has a file_id), then `submitted` (it has a batch_id). A job that nothing is awaited from any more is `closed`.


JobState = Literal["written", "planned", "uploaded", "submitted", "closed"]


class Job(NamedTuple):
    """A job. Times are seconds since 1970."""

    id: int
    state: JobState
    requests: int
    input_tokens: int  # of its prompts, as counted here
    file_id: str | None = None
    batch_id: str | None = None
    status: str | None = None  # as the service said last
    submitted_at: float | None = None
    ended_at: float | None = None
    error: str | None = None

    @property
    def is_out(self) -> bool:
        """Whether it is one of a batch service, and not closed."""
        return self.state in {"planned", "uploaded", "submitted"}


def add_to_job(ledger: Ledger, job_id: int, call_id: int, body: dict[str, Any], state: JobState) -> int:
    """Make a call that was just opened part of a job, 0: of a new one in a state; return the job's number."""
    counted = (
        "INSERT INTO jobs (id, state, requests, input_tokens) SELECT ?, ?, 1, input_tokens FROM calls WHERE id = ?"
        " ON CONFLICT DO UPDATE SET requests = requests + 1, input_tokens = input_tokens + excluded.input_tokens RETURNING id"
    )
    ((job_id,),) = ledger.rows(counted, job_id or None, state, call_id)
    ledger.rows("INSERT INTO job_calls VALUES (?, ?, ?)", call_id, job_id, codec.pack_json(body))
    return job_id


def stored_jobs(ledger: Ledger) -> list[Job]:
    """Return all jobs in order."""
    return [Job(*row) for row in ledger.rows("SELECT * FROM jobs ORDER BY id")]


def unanswered(ledger: Ledger, job_id: int | None = None) -> list[int]:
    """Return the calls whose answers are awaited, in order: those of a job, or of all."""
    awaited = "SELECT call_id FROM awaited_calls WHERE ? IS NULL OR job_id = ? ORDER BY call_id"
    return [call_id for (call_id,) in ledger.rows(awaited, job_id, job_id)]


def job_request(ledger: Ledger, call_id: int) -> tuple[dict[str, Any], tuple[Message, ...]]:
    """Return the request of a call that is part of a job: its body without messages, and these."""
    request = "SELECT body, messages FROM job_calls JOIN calls ON calls.id = call_id WHERE call_id = ?"
    ((body, messages),) = ledger.rows(request, call_id)
    return codec.unpack_json(body), codec.unpack_messages(messages)


# `lost`: given up; `late`: so, and its users were asked again; `repeated`: it has an answer; `unknown`: there is no such call
CallState = Literal["sent", "lost", "late", "repeated", "unknown"]


def call_of_job(ledger: Ledger, call_id: int) -> tuple[CallState, int]:
    """Return what has become of a call that is part of a job, and the tokens of its prompt."""
    of_job = "SELECT status, users, input_tokens FROM job_calls JOIN calls ON id = call_id WHERE call_id = ?"
    ((status, users, tokens),) = ledger.rows(of_job, call_id) or [("unknown", "{}", 0)]
    if status == "lost":
        # their answers are awaited, or are there and not read yet
        busy = "SELECT users FROM awaited_calls UNION ALL SELECT users FROM calls WHERE status = 'answered'"
        asked = {part for (each,) in ledger.rows(busy) for part in codec.unpack_parts(each).values()}
        parts = set(codec.unpack_parts(users).values())
        status = "lost" if len(ledger.planned_parts(parts - asked)) == len(parts) else "late"
    return "repeated" if status in ("answered", "read", "failed") else status, tokens


def batch_of_call(ledger: Ledger, call_id: int) -> Batch:
    """Return what a call asks about, as it is planned now: all its parts are pending."""
    ((users,),) = ledger.rows("SELECT users FROM calls WHERE id = ?", call_id)
    parts = codec.unpack_parts(users).values()
    planned = ledger.planned_parts(parts)
    return Batch(tuple(planned[part] for part in parts))


def give_up(ledger: Ledger, state: JobState) -> None:
    """Await no answers from the jobs in a state any more."""
    for job in stored_jobs(ledger):
        if job.state == state:
            close_job(ledger, job.id)


def close_job(ledger: Ledger, /, job_id: int, **values: object) -> list[Batch]:
    """Await nothing from a job any more; return what it has no answers for, which is asked about again."""
    calls = unanswered(ledger, job_id)
    for call_id in calls:
        ledger.change("calls", call_id, status="lost")
    ledger.change("jobs", job_id, state="closed", **values)
    return [batch_of_call(ledger, call_id) for call_id in calls]


# What an extended run keeps of its users, and what extensions have changed in events and journeys.
#
# Until all that is new of a user is answered, the user's earlier events and journeys are the current ones.


_NOT_DONE = "SELECT DISTINCT user_id FROM parts WHERE state IN ('pending', 'failed')"


def find_user(ledger: Ledger, user_id: str) -> tuple[UserLog, str | None] | None:
    """Return the log of a user with its ordinals as they are stored, None where the ledger has no such user."""
    found = ledger.rows("SELECT ordinals FROM users WHERE user_id = ?", user_id)
    return (ledger.log(user_id), found[0][0]) if found else None


def known_outcome(ledger: Ledger, user_id: str) -> Outcome | None:
    """Return what all parts of a user that is done hold together, None of any other user."""
    of_parts = "SELECT max(state), max(last) FROM parts WHERE user_id = ? AND first >= 0"
    ((state, last),) = ledger.rows(of_parts, user_id)
    if state != "done":
        return None
    made = made_of(ledger, user_id)
    events = tuple(of_row(Event, each) for each in made.events)
    journeys = tuple(of_row(Journey, each) for each in made.journeys)
    minor, unplaced, unasked = (tuple(sorted(rows)) for rows in made[2:])
    return Outcome(Part(user_id, 0, last), None, events, journeys, minor, unplaced, unasked)


def begin_changes(ledger: Ledger, *, anew: bool) -> None:
    """Begin an extension; `anew`: changes count from the events that are current now."""
    if anew:
        ledger.rows(f"UPDATE extended SET before = NULL WHERE user_id NOT IN ({_NOT_DONE})")
    ledger.rows(
        "INSERT INTO extended (user_id, since, last, before) SELECT user_id, 0, behaviors - 1, ? FROM users"
        f" WHERE user_id IN ({_NOT_DONE}) ON CONFLICT DO UPDATE SET before = coalesce(before, excluded.before)",
        codec.pack_json([[], []]),
    )


class ExtendedUser(NamedTuple):
    """A user as an extension leaves it."""

    log: UserLog
    ordinals: str | None
    asked: Sequence[tuple[Part, PartSize]]
    rows: str = ""  # of the whole user that are asked about: the answer joins what was kept; "": what was kept is done
    kept: Outcome | None = None
    listed: Sequence[str] = ()  # journeys beside the rows


def extend_user(ledger: Ledger, user: ExtendedUser, since: int) -> None:
    """Write down what an extension makes of a user; `since`: the last call before."""
    log, ordinals, asked, rows, kept, listed = user
    user_id, last = log.user_id, len(log.behaviors) - 1
    states = ledger.rows("SELECT state FROM user_states WHERE user_id = ?", user_id)
    before = current_of(ledger, user_id, states[0][0] if states else None)[:2]
    waits = codec.pack_outcome(kept) if kept and rows else None
    ledger.rows(
        "INSERT INTO extended VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET since = excluded.since, last = excluded.last,"
        " kept = excluded.kept, listed = excluded.listed, before = coalesce(before, excluded.before)",
        *(user_id, since, last, waits, orjson.dumps(listed).decode(), codec.pack_json(before)),
    )
    for table in ("users", "parts"):
        ledger.rows(f"DELETE FROM {table} WHERE user_id = ?", user_id)
    # that the user was in those calls stays known
    nothing = codec.pack_outcome(Outcome(Part(user_id, 0, last), None))
    ledger.rows("UPDATE outcomes SET result = ? WHERE user_id = ? AND reason IS NULL", nothing, user_id)
    ledger.add_users([(log, asked)], ordinals, rows)
    if kept and not rows:
        ledger.add_parts([(kept.part, PartSize(0, 0, 0))])
        ledger.add_outcomes(since, [kept], [PartChange(kept.part, "done", accepted=kept)])


def count_standing(ledger: Ledger) -> tuple[int, int, int]:
    """Count the current events and journeys of users who are not done, and these users: they were done before an extension."""
    standing = ledger.rows(f"SELECT user_id FROM extended WHERE user_id IN ({_NOT_DONE})")
    held = (current_of(ledger, user_id, None)[:2] for (user_id,) in standing)
    sizes = [(len(events), len(journeys)) for events, journeys in held if events or journeys]
    return sum(events for events, _ in sizes), sum(journeys for _, journeys in sizes), len(sizes)


def changed_rows(ledger: Ledger, at: int) -> Iterator[Row]:
    """Yield what the last extension changed in events (`at` 0) or journeys (1), user by user: each line with `change`."""
    extended = "SELECT user_id, state, before FROM extended JOIN user_states USING (user_id) WHERE user_id > ? AND before IS NOT NULL"
    for user_id, state, before in ledger.by_user(extended):
        left = {each["id"]: each for each in codec.unpack_json(before)[at]}
        changed: list[Row] = []
        for each in current_of(ledger, user_id, state)[:2][at]:
            if (known := left.pop(each["id"], None)) is None:
                changed.append({"change": "added", **each})
            elif known != each:
                changed.append({"change": "replaced", **each, "before": known})
        changed += ({"change": "removed", **each} for each in left.values())
        yield from sorted(changed, key=lambda each: (each["start"][:19], each["end"][:19]))
