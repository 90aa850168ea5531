"""Users of a run: a list of them, one with behaviors and events side by side, and the stored calls."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import Line, StoredCall, UserView
from eventabs.language import gettext as _, ngettext
from eventabs.records import Message
from eventabs.store import UserRow
from eventabs.views import wording
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.wording import count, duration, joined, listed

NARROW = 60  # below this, events stand under the behaviors that they begin with
UNCOVERED = "○"
UNGROUNDED = "?"
_DATE = 10  # characters of an ISO date


def state_name(state: str) -> str:
    """Name a user's state."""
    return {"pending": _("pending"), "done": _("done"), "failed": _("failed")}[state]


def render_users(console: Console, rows: Iterable[UserRow], *, total: int, skip: int) -> None:
    """Print a page of users."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(_("user"), overflow="fold")
    table.add_column(_("state"), no_wrap=True)
    table.add_column(_("behaviors"), justify="right", no_wrap=True)
    table.add_column(_("events"), justify="right", no_wrap=True)
    table.add_column(_("reason"), overflow="fold")
    shown = 0
    for row in rows:
        shown += 1
        reason = wording.reason(row.reason) if row.state == "failed" and row.reason else ""
        state = Text(state_name(row.state), style=_style(row.state))
        table.add_row(
            Text(one_line(row.user_id)), state, count(row.behaviors), count(row.events), one_line(reason)
        )
    if not shown:
        print_line(console, _("No users of this kind."))
        return
    console.print(table)
    page = _("{first}-{last} of {total}").format(
        first=count(skip + 1), last=count(skip + shown), total=wording.users(total)
    )
    if skip + shown < total:
        page = joined((page, _("more with --offset {offset}").format(offset=skip + shown)))
    print_line(console, page)


def users_json(rows: Iterable[UserRow], *, total: int, skip: int) -> str:
    """Return a page of users as one line of JSON."""
    return encode({"total": total, "offset": skip, "users": [row._asdict() for row in rows]})


def render_user(console: Console, view: UserView) -> None:
    """Print a user's behaviors on the left, and on the right the events that begin there or still last."""
    print_line(console, _headline(view), style="bold")
    side_by_side = console.width >= NARROW
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1, style="bold yellow")
    table.add_column(ratio=1, overflow="fold")
    if side_by_side:
        table.add_column(ratio=1, overflow="fold")
    for day in _days(view):
        table.add_row("", Text(one_line(day), style="bold"))
        for line in view.lines:
            if line.day == day:
                _add_line(table, view, line, side_by_side=side_by_side)
        for position in view.ungrounded:
            event = view.events[position]
            if str(event["start"])[:_DATE] == day:
                said = Text(_event(event), style="yellow")
                table.add_row(UNGROUNDED, *(("", said) if side_by_side else (said,)))
    console.print(table)
    for explanation in _legend(view):
        print_line(console, explanation)


def user_json(view: UserView, calls: Iterable[StoredCall] | None) -> str:
    """Return a user as one line of JSON; with the stored calls where they are asked for."""
    fields: dict[str, object] = view.row._asdict() | {
        "profile": dict(view.profile),
        "lines": [asdict(line) for line in view.lines],
        "events_found": list(view.events),
        "uncovered": view.uncovered,
        "ungrounded": view.ungrounded,
    }
    if calls is not None:
        fields["calls"] = [asdict(call) for call in calls]
    return encode(fields)


def render_calls(console: Console, calls: Iterable[StoredCall]) -> None:
    """Print the stored prompts and replies; instructions that are those of an earlier call are not repeated."""
    said: dict[str, int] = {}
    for call in calls:
        console.print()
        print_line(console, _call_line(call), style="bold")
        for message in call.messages:
            _print_text(console, message["role"], _once(said, call.id, message))
        if call.reasoning:
            _print_text(console, _("reasoning"), call.reasoning)
        _print_text(console, _("reply"), call.reply or _("none"))


def _once(said: dict[str, int], call_id: int, message: Message) -> str:
    first = said.setdefault(message["content"], call_id)
    if message["role"] != "system" or first == call_id:
        return message["content"]
    return _("(as in call {call})").format(call=first)


def _print_text(console: Console, title: str, text: str) -> None:
    print_line(console, f"--- {title}", style="dim")
    for line in text.split("\n"):
        console.print(Text(one_line(line)), soft_wrap=True)


def _call_line(call: StoredCall) -> str:
    sent = datetime.fromtimestamp(call.sent_at).astimezone()
    parts = [
        _("Call {call}, sent {time}, this user is {aliases}").format(
            call=call.id, time=f"{sent:%Y-%m-%d %H:%M:%S}", aliases=listed(call.asked)
        ),
        call.status,
    ]
    if call.seconds is not None:
        tokens = _("tokens {prompt} in, {completion} out").format(
            prompt=count(call.prompt_tokens), completion=count(call.completion_tokens)
        )
        parts += [call.finish_reason or "", tokens, duration(call.seconds)]
    return joined([*parts, call.error] if call.error else parts)


def _headline(view: UserView) -> str:
    row = view.row
    parts = [
        state_name(row.state),
        ngettext("{count} behavior", "{count} behaviors", row.behaviors).format(count=count(row.behaviors)),
        _("{count} events").format(count=count(len(view.events))),
    ]
    if row.state == "failed" and row.reason:
        parts.append(wording.reason(row.reason))
    named = " ".join((row.user_id, *(value for _column, value in view.profile)))
    return _("{state}: {facts}").format(state=named, facts=listed(parts))


def _days(view: UserView) -> list[str]:
    days = {line.day for line in view.lines}
    return sorted(days | {str(view.events[position]["start"])[:_DATE] for position in view.ungrounded})


def _add_line(table: Table, view: UserView, line: Line, *, side_by_side: bool) -> None:
    begun = [
        view.events[position]
        for position in line.events
        if view.events[position]["behaviors"][0] == line.index
    ]
    cells = [Text(_event(event)) for event in begun]
    if not side_by_side:
        table.add_row("" if line.events else UNCOVERED, Text(one_line(line.text)))
        for cell in cells:
            table.add_row("", Text.assemble("  ", cell, style="cyan"))
        return
    right = Text("\n").join(cells) if cells else Text("│" if line.events else "", style="dim")
    table.add_row("" if line.events else UNCOVERED, Text(one_line(line.text)), right)


def _event(event: Mapping[str, Any]) -> str:
    start, end = str(event["start"]), str(event["end"])
    until = (
        end[_DATE + 1 : _DATE + 6] if end[:_DATE] == start[:_DATE] else end[5 : _DATE + 6].replace("T", " ")
    )
    span = f"{start[_DATE + 1 : _DATE + 6]}-{until}"
    said = [span, str(event["type"]), f"({event['category']})", str(event["summary"])]
    return one_line(" ".join(part for part in said if part))


def _legend(view: UserView) -> list[str]:
    lines = []
    if uncovered := len(view.uncovered):
        lines.append(_("{mark} no event covers it ({count})").format(mark=UNCOVERED, count=count(uncovered)))
    if ungrounded := len(view.ungrounded):
        lines.append(
            _("{mark} an event that covers no behavior ({count})").format(
                mark=UNGROUNDED, count=count(ungrounded)
            )
        )
    return lines


def _style(state: str) -> str:
    return {"failed": "red", "pending": "yellow"}.get(state, "")
