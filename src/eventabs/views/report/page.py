"""The report: one HTML file that needs nothing else, made from the facts of a run.

The pictures are SVG inside the page; users, events and calls are in it compressed, and its script inflates what is
looked at. The page forbids itself every connection, and every style and script but its own, which are named by their
hashes.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from rich.cells import cell_len, set_cell_size

from eventabs import __version__, language
from eventabs.errors import StorageError, UsageError
from eventabs.inspection import ReportFacts, Share, UserFacts
from eventabs.language import gettext as _
from eventabs.store import replace_file
from eventabs.views import messages
from eventabs.views.console import one_line
from eventabs.views.messages import count
from eventabs.views.report.charts import facets, pictures, sections, type_order
from eventabs.views.report.records import (
    EventCounts,
    PackedCalls,
    PackedUsers,
    packed,
    sent_zone,
    shown,
    visible_lines,
    weekdays,
    zone_note,
)

NAME: Final = "report.html"
MOST_USERS: Final = 20_000  # whose timelines are in a page
MOST_BYTES: Final = 24_000_000  # of them, compressed
_MOST_FAILED: Final = 2_000  # of users that are kept because they failed
_OF_STORED: Final = 0.6  # bytes in the page for a byte of stored logs, with the events, at most
_BRIEF: Final = 14  # cells of a name beside a ribbon
_HERE: Final = "<!--data-->"  # no text from data holds it: < is escaped

_STYLES: Final = tuple(
    f"report/assets/{name}.css" for name in ("page", "timeline", "pictures", "run", "print")
)
_SCRIPTS: Final = tuple(
    f"report/assets/{name}.js"
    for name in (
        *("elements", "data", "address", "search", "timeline"),
        *("user", "table", "tables", "calls", "main"),
    )
)


class ReportPage(NamedTuple):
    """A page in pieces, and what its reader should know of what it leaves out."""

    chunks: Iterator[bytes]
    notes: tuple[str, ...]


def render_report(facts: ReportFacts) -> ReportPage:
    """Return the page. Reads the facts' users to their end."""
    counts, users = EventCounts(facts.goal), PackedUsers(facts.goal)
    sample = _Sample(facts)
    for user in facts.users:
        counts.add(user)
        if sample.takes(user, users.bytes):
            users.add(user)
    users.close_chunk()
    zone = sent_zone(facts.timezone)
    calls = PackedCalls(facts, users.numbers, zone)
    kept, total = len(users.numbers), facts.counts.users
    notes = {"users": "", "calls": ""}  # what the page leaves out
    if kept < total:
        message = _(
            "{kept} of {users} have their timelines in the report: those that failed first, the others drawn by their"
            " ids. The figures count all users; see any of them with: eventabs show"
        )
        notes["users"] = message.format(kept=count(kept), users=messages.users(total))
    if calls.left_out:
        message = _(
            "Prompts and replies of {kept} of {calls} calls are in the report, those with bad replies first; see the"
            " others with: eventabs show CHECKPOINT USER_ID --raw"
        )
        sent = len(facts.calls)
        notes["calls"] = message.format(kept=count(sent - calls.left_out), calls=count(sent))
    page = render_page(
        "report/assets/page.html.j2",
        _STYLES,
        _SCRIPTS,
        here=Markup(_HERE),  # noqa: S704  our own mark
        facts=facts,
        counts=counts,
        times=zone_note(facts.timezone, counts.offsets),
        begun=f"{datetime.fromisoformat(facts.created_at).astimezone(zone):%Y-%m-%d %H:%M} {zone}",
        notes=notes,
        sections=facts.sections,
        **sections(facts),
        **pictures(counts),
    )
    words = words_of("report/assets/words.j2", zone=str(zone), weekdays=weekdays())
    head, tail = page.split(_HERE)
    blocks = {
        "index": packed(_index(facts, counts, users) | {"words": words}),
        **{f"users-{number}": chunk for number, chunk in enumerate(users.chunks)},
        "calls": packed(calls.index()),
        **{f"texts-{number}": chunk for number, chunk in enumerate(calls.chunks)},
    }
    return ReportPage(_pieces(head, blocks, tail), tuple(filter(None, notes.values())))


def render_page(name: str, styles: Sequence[str], scripts: Sequence[str] = (), **values: object) -> str:
    """Return the page of a template; `styles` are files that follow the style of all pages."""
    style, script = "".join(map(_part, ("style.css", *styles))), "".join(map(_part, scripts))
    if script:  # the files share one scope
        script = f'"use strict";\n(() => {{\n{script}}})();\n'
    return (
        _environment()
        .get_template(name)
        .render(
            lang={"en": "en", "zh": "zh-Hans"}[language.active()],
            version=__version__,
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704  our own file
            script=Markup(script),  # noqa: S704  our own file
            **values,
        )
    )


def words_of(name: str, **values: object) -> Any:  # noqa: ANN401  as the template has them
    """Return the words of a script from the template that sets `words`."""
    return _environment().get_template(name).make_module(values).words  # type: ignore[attr-defined]


def write_report(page: str | Iterable[bytes], path: Path) -> None:
    """Write the page, for its owner only. Raises UsageError, also for a file that is there and no page."""
    try:
        if path.exists() and not _begins_like_a_page(path):
            message = _("{path} exists and is no report; name another file with --output")
            raise UsageError(message.format(path=path))
        replace_file(path, [page.encode("utf-8", "replace")] if isinstance(page, str) else page)
    except (OSError, StorageError) as error:
        cause = error.__cause__ or error  # a StorageError names the next step of a run; a report is none
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=path, error=getattr(cause, "strerror", None) or cause)) from None


class _Sample:
    """Which users a page keeps: all, or those that failed and a share of the others, drawn by their ids."""

    def __init__(self, facts: ReportFacts) -> None:
        users = facts.counts.users
        by_bytes = MOST_BYTES / max(1.0, facts.logged_bytes * _OF_STORED)
        self._share = min(1.0, MOST_USERS / max(1, users), by_bytes)
        self._failed = 0

    def takes(self, user: UserFacts, size: int) -> bool:
        """Whether the user is kept in a page of `size` bytes so far."""
        if size > MOST_BYTES:
            return False
        if user.row.state == "failed" and self._failed < _MOST_FAILED:
            self._failed += 1
            return True
        drawn = zlib.crc32(user.row.user_id.encode("utf-8", "surrogatepass"))
        return drawn < self._share * 2**32


def _index(facts: ReportFacts, counts: EventCounts, users: PackedUsers) -> dict[str, Any]:
    found: dict[str, dict[str, list[int]]] = {"place": {}, "transition": {}, "path": {}, "journey": {}}
    for kind, name, thing in facets(counts):
        found[kind][name] = users.users_of(kind, thing)
    return users.index() | {
        "colors": type_order(counts),
        "facets": found,
        "goal": shown(facts.goal),
        "currency": shown(facts.endpoint.currency) if facts.cost is not None else "",
        "name": shown(facts.inputs[0].rpartition(".")[0] or facts.inputs[0]) if facts.inputs else "",
        "categories": {shown(name): shown(messages.category(name)) for name in counts.categories},
    }


def _pieces(head: str, blocks: Mapping[str, bytes], tail: str) -> Iterator[bytes]:
    yield head.encode("utf-8", "replace")
    for name, data in blocks.items():
        yield f'<script type="text/plain" id="data-{name}">'.encode()
        yield base64.b64encode(data)
        yield b"</script>\n"
    yield tail.encode("utf-8", "replace")


def _begins_like_a_page(path: Path) -> bool:
    if not path.is_file():  # reading a pipe would wait for a writer
        return False
    with path.open("rb") as file:
        return file.read(15).lower() == b"<!doctype html>"


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_part),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["_"] = _
    environment.filters |= {
        "count": messages.count,
        "duration": messages.duration,
        "users": messages.users,
        "limited": messages.limited,
        "events": messages.events,
        "journeys": messages.journeys,
        "behaviors": messages.behaviors,
        "one_line": one_line,
        "lines": visible_lines,
        "reason": messages.reason,
        "category": messages.category,
        "share": messages.share,
        "brief": lambda text: (
            text if cell_len(text) <= _BRIEF else f"{set_cell_size(text, _BRIEF - 1).rstrip()}…"
        ),
        "cell": _cell,
        "translated": _translated,
        "section_name": lambda name: {"quality": _("Quality")}.get(name) or one_line(name),
    }
    return environment


def _cell(value: str | float | None) -> str:
    """Return a value of a stored table as text."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return _translated(value)
    if isinstance(value, Share):
        # a decimal where it has one; what is less than all is not said to be all
        text = f"{100 * value:.1f}".removesuffix(".0")
        return f"{'99.9' if value < 1 and text == '100' else text} %"
    return count(value) if isinstance(value, int) else f"{value:,.4g}"


def _translated(text: str) -> str:
    """Return a text of a stored table in the reader's language; the catalogue has its own head under ""."""
    return one_line(_(text)) if text else ""


def _part(name: str) -> str:
    """Return one of our files: those without a folder are shared by all pages."""
    name = name if "/" in name else f"assets/{name}"
    return resources.files("eventabs.views").joinpath(*name.split("/")).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
