"""A run read from its ledger, without the lock: its calls, one user with behaviors and events, why answers and users failed."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from eventabs import store
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import Language, gettext as _
from eventabs.prompts import Compactor
from eventabs.replies import without_reasoning
from eventabs.shared_records import Counts, Message, Part, Record, ratio
from eventabs.store import Ledger, UserRow


class TokenUse(NamedTuple):
    """Where the tokens of a call went."""

    instructions: float = 0.0
    behaviors: float = 0.0
    reasoning: float = 0.0
    answers: float = 0.0
    wasted: float = 0.0  # the share of users that got nothing usable from it


class Line(Record):
    """A behavior."""

    index: int
    day: str  # ISO 8601; it begins at 05:00
    text: str
    state: str  # `placed`, `minor`, `unplaced` or `unasked`, or "" where no answer was accepted
    event: int | None = None  # the position of its event in the user's events
    begins: bool = False  # it is the first one of that


class StoredCall(NamedTuple):
    """A call as the ledger has it. Times are seconds since 1970."""

    id: int
    asked: dict[str, Part]  # by alias
    brought: dict[str, str]  # by alias: "usable", or why it was not; empty where no reply was read
    messages: tuple[Message, ...]
    reasoning: str
    reply: str
    status: str
    sent_at: float
    ended_at: float | None  # None: lost in flight
    seconds: float | None  # of its last try: the time before that went into waits and earlier tries
    attempt: int
    finish_reason: str | None
    tier: str | None  # that served it, None for the ordinary one
    input_tokens: int  # counted here, the others by the endpoint
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    error: str | None

    @property
    def usable(self) -> int:
        """How many of its users got something from it."""
        return list(self.brought.values()).count("usable")

    def use(self, count: Callable[[str], int]) -> TokenUse:
        """Split its tokens by what they were for; the parts add up to all of them. `count`: tokens of a text."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        told = "".join(message["content"] for message in self.messages if message["role"] == "system")
        share = count(told) / self.input_tokens if self.input_tokens and prompt else 0.0
        instructions = min(prompt, prompt * share)
        thought: float = self.reasoning_tokens
        if not thought and (written := len(self.reply) + len(self.reasoning)):
            # by characters, where the endpoint does not count it
            thought = completion * (written - len(without_reasoning(self.reply)[0])) / written
        thought = min(completion, thought)
        usable = self.usable / len(self.asked) if self.asked else 0.0
        return TokenUse(
            instructions * usable,
            (prompt - instructions) * usable,
            thought * usable,
            (completion - thought) * usable,
            (prompt + completion) * (1 - usable),
        )


class UserView(NamedTuple):
    """A user with all that is known of it: events and journeys (by id) of its parts that are done, in order of time."""

    row: UserRow
    profile: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    events: list[dict[str, Any]]
    journeys: dict[str, dict[str, Any]]


def view_user(ledger: Ledger, user_id: str, named: Path) -> UserView:
    """Return what is known of a user. Raises UsageError where the run, as it is `named`, has no such user."""
    row = store.user_row(ledger, user_id)
    if row is None:
        message = _("the run has no user {user}; list its users with: eventabs show {path}")
        raise UsageError(message.format(user=user_id, path=shlex.quote(str(named))))
    log, made = ledger.log(user_id), store.made_of(ledger, user_id)
    event_of = {index: position for position, event in enumerate(made.events) for index in event["behaviors"]}
    firsts = {event["behaviors"][0] for event in made.events}
    states = {index: state for state, rows in zip(made._fields[2:], made[2:], strict=True) for index in rows}
    lines = list[Line]()
    texts = compactor_of(ledger.meta()).lines(log)
    for index, (behavior, text) in enumerate(zip(log.behaviors, texts, strict=True)):
        day, event = date.fromordinal(behavior.day).isoformat(), event_of.get(index)
        state = states.get(index, "") if event is None else "placed"
        lines.append(Line(index, day, text, state, event, index in firsts))
    by_id = {journey["id"]: journey for journey in made.journeys}
    return UserView(row, log.profile, tuple(lines), made.events, by_id)


def calls_of(ledger: Ledger, user_id: str) -> Iterator[StoredCall]:
    """Yield the calls that a user was part of, in order; `asked` has only its own parts."""
    of_user = "id IN (SELECT call_id FROM user_calls WHERE user_id = ?)"
    for call in stored_calls(ledger, of_user, user_id):
        asked = {alias: part for alias, part in call.asked.items() if part.user_id == user_id}
        brought = {alias: outcome for alias, outcome in call.brought.items() if alias in asked}
        yield call._replace(asked=asked, brought=brought)


def stored_calls(ledger: Ledger, which: str = "true", *values: object) -> Iterator[StoredCall]:
    """Yield the calls of which a condition holds, in order."""
    others = ", ".join(StoredCall._fields[6:])
    outcomes = "SELECT user_id, first, coalesce(reason, 'usable') FROM outcomes WHERE call_id = ?"
    query = f"SELECT id, users, messages, reasoning, reply, {others} FROM calls WHERE {which} ORDER BY id"
    for call_id, users, sent, thoughts, answer, *facts in ledger.rows(query, *values):
        asked = store.unpack_parts(users)
        found = {(user, first): outcome for user, first, outcome in ledger.rows(outcomes, call_id)}
        brought = {alias: found[part[:2]] for alias, part in asked.items() if part[:2] in found}
        texts = store.unpack_messages(sent), store.unpack_text(thoughts), store.unpack_text(answer)
        yield StoredCall(call_id, asked, brought, *texts, *facts)


def compactor_of(facts: Mapping[str, Any]) -> Compactor:
    """Return what writes the behaviors of a run, from its facts; a line for each, whatever its prompts had."""
    language: Language = "zh" if facts.get("prompt_language") == "zh" else "en"
    return Compactor(language, facts["settings"]["compaction"]["strip"])


class Table(NamedTuple):
    """A table as it is shown in the terminal and on pages; its first column names the rows. `words`: columns that hold no figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    words: Sequence[str] = ()


def batch_tables(runs: Mapping[str, Counts]) -> list[Table]:
    """Return tables where there is something to compare, of counts by run: batches of several sizes, or with a place in them."""
    shares = [
        (_("usable"), "usable", "asked"),
        (_("rows an event"), "placed", "events"),
        (_("minor"), "minor", "behaviors"),
        (_("unplaced"), "unplaced", "behaviors"),
        # and where there are some
        (_("misfiled"), "misfiled", "behaviors"),
        (_("repeated"), "repeated", "behaviors"),
        (_("not sure"), "unsure", "events"),
        (_("outside the vocabulary"), "outside", "events"),
        (_("missed"), "missed", "events"),
    ]
    names = ["", *([_("run")] if len(runs) > 1 else []), _("users asked")]
    thirds = {"1": _("first third"), "2": _("middle third"), "3": _("last third")}
    tables = list[Table]()
    for title, by, shown_as in (
        (_("Users in the batch"), "by_batch_users", {}),
        (_("Place in the batch"), "by_position", thirds),
    ):
        found = [(run, row) for run, counts in runs.items() for row in counts.answers[by]]
        found.sort(key=lambda each: int(each[1]["name"].partition("-")[0]))  # of one name in order of runs
        if len({row["name"] for _run, row in found}) < 2:  # noqa: PLR2004  nothing to compare
            continue
        seen = shares[:4] + [each for each in shares[4:] if any(row[each[1]] for _run, row in found)]
        rows = [
            (
                shown_as.get(row["name"], row["name"]),
                *([run] if len(runs) > 1 else []),
                row["asked"],
                *(ratio(row[part], row[whole]) for _name, part, whole in seen),
            )
            for run, row in found
        ]
        tables.append(Table(title, (*names, *(name for name, *_of in seen)), rows))
    note = _(
        "Usable is a share of the answers. Shares of the behaviors: minor (no event is made of them), unplaced (left out by"
        " the answer), misfiled (given to another user), repeated (given twice). Shares of the events: not sure, outside the"
        " vocabulary, missed (your rules had to add them). Columns that are 0 everywhere are left out."
    )
    return [*tables[:-1], *(table._replace(note=note) for table in tables[-1:])]


def failures(ledger: Ledger) -> Iterator[tuple[str, int, int, int, list[tuple[str, int, str, str, int]]]]:
    """Yield causes of failures, the worst first: bad answers, users that had one, those that failed in the end, examples."""
    causes = "SELECT reason, bad, users, failed FROM failure_causes ORDER BY failed DESC, bad DESC, reason"
    of_one = """SELECT user_id, call_id, finish_reason, reply FROM bad_replies WHERE reason = ?
        GROUP BY call_id ORDER BY max(failed) DESC, call_id LIMIT 3"""
    for reason, *numbers in ledger.rows(causes):
        # user, call, finish reason, reply, characters cut from it
        examples = list[tuple[str, int, str, str, int]]()
        for user_id, call_id, finish_reason, blob in ledger.rows(of_one, reason):
            text = store.unpack_text(blob)
            left_out = max(0, len(text) - 3_600)  # of a long reply the end shows how it broke off
            shown = f"{text[:3_000]}\n […]\n{text[-600:]}" if left_out else text
            examples.append((user_id, call_id, finish_reason, shown, left_out))
        yield reason, *numbers, examples
