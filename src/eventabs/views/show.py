"""Users of a run: a list of them, one with behaviors and events side by side, and the stored calls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import Line, StoredCall, UserView
from eventabs.language import gettext as _
from eventabs.records import Message
from eventabs.store import UserRow
from eventabs.views import messages, usage
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count, duration, events, joined, listed
from eventabs.views.panel import NARROW

UNCOVERED = "○"
UNGROUNDED = "?"
_DATE = 10  # characters of an ISO date
_STYLES = {"failed": "red", "pending": "yellow"}


def _state_name(state: str) -> str:
    return {"pending": _("pending"), "done": _("done"), "failed": _("failed")}[state]


def render_users(console: Console, rows: Sequence[UserRow], *, total: int, skip: int) -> None:
    """Print a page of users."""
    if not rows:
        print_line(console, _("No users of this kind."))
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(_("user"), overflow="fold")
    table.add_column(_("state"), no_wrap=True)
    table.add_column(_("behaviors"), justify="right", no_wrap=True)
    table.add_column(_("events"), justify="right", no_wrap=True)
    table.add_column(_("reason"), overflow="fold")
    for row in rows:
        reason = messages.reason(row.reason) if row.state == "failed" and row.reason else ""
        state = Text(_state_name(row.state), style=_STYLES.get(row.state, ""))
        table.add_row(
            Text(one_line(row.user_id)), state, count(row.behaviors), count(row.events), one_line(reason)
        )
    console.print(table)
    shown = skip + len(rows)
    page = _("{first}-{last} of {total}").format(
        first=count(skip + 1), last=count(shown), total=messages.users(total)
    )
    if shown < total:
        page = joined((page, _("more with --offset {offset}").format(offset=shown)))
    print_line(console, page)


def users_json(rows: Iterable[UserRow], *, total: int, skip: int) -> str:
    """Return a page of users as one line of JSON."""
    return encode({"total": total, "offset": skip, "users": [row._asdict() for row in rows]})


def render_user(console: Console, view: UserView) -> None:
    """Print a user's behaviors on the left, and on the right the events that begin there or still last."""
    print_line(console, _headline(view), style="bold")
    side_by_side = console.width >= NARROW  # else events stand under the behaviors that they begin with
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1, style="bold yellow")
    for _side in range(1 + side_by_side):
        table.add_column(ratio=1, overflow="fold")
    for day in _days(view):
        table.add_row("", Text(one_line(day), style="bold"))
        for line in view.lines:
            if line.day == day:
                _add_line(table, view, line, side_by_side=side_by_side)
        for position in view.ungrounded:
            event = view.events[position]
            if str(event["start"])[:_DATE] == day:
                cell = Text(event_text(event), style="yellow")
                table.add_row(UNGROUNDED, *(("", cell) if side_by_side else (cell,)))
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
    printed: dict[str, int] = {}  # texts by the first call that has them
    for call in calls:
        console.print()
        print_line(console, _call_line(call), style="bold")
        for message in call.messages:
            _print_text(console, message["role"], _once(printed, call.id, message))
        if call.reasoning:
            _print_text(console, _("reasoning"), call.reasoning)
        _print_text(console, _("reply"), call.reply or _("none"))


def _once(printed: dict[str, int], call_id: int, message: Message) -> str:
    first = printed.setdefault(message["content"], call_id)
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
        tokens = usage.tokens(call.prompt_tokens, call.completion_tokens, call.cached_tokens)
        parts += [call.finish_reason or "", tokens, duration(call.seconds)]
    return joined([*parts, call.error] if call.error else parts)


def _headline(view: UserView) -> str:
    row = view.row
    parts = [
        _state_name(row.state),
        messages.behaviors(row.behaviors),
        events(len(view.events)),
    ]
    if row.state == "failed" and row.reason:
        parts.append(messages.reason(row.reason))
    named = " ".join((row.user_id, *(value for _column, value in view.profile)))
    return _("{state}: {facts}").format(state=named, facts=listed(parts))


def _days(view: UserView) -> list[str]:
    days = {line.day for line in view.lines}
    return sorted(days | {str(view.events[position]["start"])[:_DATE] for position in view.ungrounded})


def _add_line(table: Table, view: UserView, line: Line, *, side_by_side: bool) -> None:
    events = (view.events[position] for position in line.events)
    cells = [Text(event_text(event)) for event in events if event["behaviors"][0] == line.index]
    row = "" if line.events else UNCOVERED, Text(one_line(line.text))
    if side_by_side:
        lasting = Text("│" if line.events else "", style="dim")
        table.add_row(*row, Text("\n").join(cells) if cells else lasting)
        return
    table.add_row(*row)
    for cell in cells:
        table.add_row("", Text.assemble("  ", cell, style="cyan"))


def event_text(event: Mapping[str, Any]) -> str:
    """Return an event on one line; one that ends on another day with that day."""
    start, end = str(event["start"]), str(event["end"])
    same_day = end[:_DATE] == start[:_DATE]
    until = end[_DATE + 1 : _DATE + 6] if same_day else end[5 : _DATE + 6].replace("T", " ")
    span = f"{start[_DATE + 1 : _DATE + 6]}-{until}"
    category = f"({event['category']})" if event["category"] else ""
    parts = (span, str(event["type"]), category, str(event["summary"]))
    return one_line(" ".join(part for part in parts if part))


def _legend(view: UserView) -> list[str]:
    marks = (
        (view.uncovered, UNCOVERED, _("{mark} no event covers it ({count})")),
        (view.ungrounded, UNGROUNDED, _("{mark} an event that covers no behavior ({count})")),
    )
    return [text.format(mark=mark, count=count(len(found))) for found, mark, text in marks if found]
