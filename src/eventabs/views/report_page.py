"""The report: one HTML file that needs nothing else, made from the facts of a run.

Users, events and calls are in the page compressed; its script inflates them, counts, and draws. The page forbids itself every connection, and every style and script but its own, which are named by their
hashes.
"""

import base64
import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from eventabs import __version__, interface_language as language
from eventabs.errors_and_exit_codes import StorageError, UsageError
from eventabs.inspection import ReportFacts, Share
from eventabs.interface_language import gettext as _
from eventabs.store import replace_file
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import one_line
from eventabs.views.report_data import (
    PackedCalls,
    PackedUsers,
    Sums,
    packed,
    sent_zone,
    shown,
    visible_lines,
    zone_note,
)
from eventabs.views.sections import written
from eventabs.views.words_and_figures import count

NAME: Final = "report.html"
HUES: Final = 10
MOST_COLORS: Final = 30  # of types: each hue plain, hatched and dotted
MOST_USERS: Final = 20_000  # whose timelines are in a page
MOST_BYTES: Final = 24_000_000  # of them, compressed
_MOST_FAILED: Final = 2_000  # of users that are kept beside a sample because they failed
_OF_STORED: Final = 0.6  # bytes in the page for a byte of stored logs, with the events, at most
_SAID: Final = re.compile(r"""\b_\(("(?:[^"\\]|\\.)*")\)""")  # a message in a script
_HERE: Final = "<!--data-->"  # no text from data holds it: < is escaped

_STYLES: Final = tuple(f"assets/report/{name}.css" for name in ("page", "timeline", "charts", "print"))
_SCRIPTS: Final = tuple(
    f"assets/report/{name}.js"
    for name in (
        *("elements", "data", "address", "groups", "charts", "overview", "timeline"),
        *("user", "table", "tables", "calls", "main"),
    )
)


class ReportPage(NamedTuple):
    """A page in pieces, and what its reader should know of what it leaves out."""

    chunks: Iterator[bytes]
    notes: tuple[str, ...]


def render_report(facts: ReportFacts) -> ReportPage:
    """Return the page. Reads the facts' users to their end."""
    counts, endpoint = facts.run.progress, facts.run.endpoint
    sums, users, total, beside = Sums(facts.goal), PackedUsers(), counts.users, 0
    # the share of users that a page keeps, drawn by their ids
    part = min(1.0, MOST_USERS / max(1, total), MOST_BYTES / max(1.0, facts.logged_bytes * _OF_STORED))
    for user in facts.users:
        sums.add(user)
        lot = zlib.crc32(user.row.user_id.encode("utf-8", "surrogatepass"))
        is_drawn = users.bytes <= MOST_BYTES and lot < part * 2**32
        is_listed = not is_drawn and user.row.state == "failed" and beside < _MOST_FAILED
        beside += is_listed
        if is_drawn or is_listed:
            users.add(user, facts.log(user.row.user_id), is_drawn=is_drawn)
    users.close_chunk()
    zone = sent_zone(facts.timezone)
    calls = PackedCalls(facts, users.numbers, zone)
    kept = len(users.numbers) - beside
    notes = {"users": "", "calls": ""}  # what the page leaves out
    if kept < total:
        message = _(
            "{kept} of {users} are in the page, drawn by their ids, so that shares are near those of all. The overview"
            " counts all users while no filter is set, everything else these; {failed} more that failed are listed only"
            " where the state is failed. See any user with: eventabs show"
        )
        notes["users"] = message.format(kept=count(kept), users=messages.users(total), failed=count(beside))
    if calls.left_out:
        message = _(
            "Prompts and replies of {kept} of {calls} calls are in the report, those with bad replies first; see the"
            " others with: eventabs show CHECKPOINT USER_ID --raw"
        )
        notes["calls"] = message.format(kept=count(calls.size - calls.left_out), calls=count(calls.size))
    figures = sums.figures(counts)
    waits: dict[str, list[float]] = defaultdict(list)  # by cause
    for retry in facts.retries:
        waits[retry.cause].append(retry.wait_seconds)
    taken, left = facts.profile_columns
    page = render_page(
        "assets/report/page.html.j2",
        _STYLES,
        _SCRIPTS,
        here=Markup(_HERE),  # noqa: S704  our own mark
        facts=facts,
        run=facts.run,
        calls=calls,
        figures=figures,
        times=zone_note(facts.timezone, users.offsets),
        begun=f"{datetime.fromisoformat(facts.run.created_at).astimezone(zone):%Y-%m-%d %H:%M} {zone}",
        notes=notes,
        # columns of the profiles that no filter has, and the setting that takes them
        unused_columns=left
        and (", ".join(map(shown, left)), f"columns = {orjson.dumps([*taken, *left]).decode()}"),
        quality=facts.quality(),
        retries=sorted(waits.items(), key=lambda each: (-len(each[1]), each[0])),
        tiers=list(messages.tiers(counts, counts.tier_costs, endpoint.currency)),
    )
    index = users.index() | {
        "colors": colors_of([shown(kind) for kind, _number in messages.most_frequent(sums.types)]),
        "files": list(map(shown, facts.files)),
        "goal": shown(facts.goal),
        "currency": shown(endpoint.currency) if facts.run.paid is not None else "",
        "name": shown(facts.inputs[0].rpartition(".")[0] or facts.inputs[0]) if facts.inputs else "",
        "categories": {shown(name): shown(messages.category(name)) for name in sums.categories},
        "provider": endpoint.provider,
        "zone": str(zone),
        "sums": figures,
    }
    blocks = {
        "index": packed(index),
        **{f"users-{number}": chunk for number, chunk in enumerate(users.chunks)},
        "calls": packed(calls.index()),
        **{f"texts-{number}": chunk for number, chunk in enumerate(calls.chunks)},
    }
    head, tail = page.split(_HERE)
    return ReportPage(_pieces(head, blocks, tail), tuple(filter(None, notes.values())))


def render_page(name: str, styles: Sequence[str], scripts: Sequence[str] = (), **values: object) -> str:
    """Return the page of a template; `styles` are files that follow the style of all pages."""
    # k: of shapes and text, f: behind text; base.html.j2 has the patterns
    colors = "".join(
        f".k{n}{{fill:{f'url(#p{n})' if n >= HUES else f'var(--k{n})'};--k:var(--k{n % HUES});--f:var(--f{n % HUES})}}\n"
        for n in range(MOST_COLORS)
    )
    style, script = colors + "".join(map(_part, ("style.css", *styles))), "".join(map(_part, scripts))
    if script:  # the files share one scope; what they say is looked up here
        script = f'"use strict";\n(() => {{\n{script}}})();\n'
        script = _SAID.sub(lambda said: orjson.dumps(_(orjson.loads(said[1]))).decode(), script)
    values |= {
        "lang": {"en": "en", "zh": "zh-Hans"}[language.active()],
        "version": __version__,
        "style": Markup(style),  # noqa: S704  our own file
        "script": Markup(script),  # noqa: S704  our own file
        "hues": HUES,
    }
    return _environment().get_template(name).render(values)


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


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Return the class of the color and pattern of types, the most frequent first; those beyond MOST_COLORS have none.

    The hue hangs on the name alone, so that a type has the same on every page; of types with the same hue the first is plain, the
    next ones are hatched and dotted. Those after that take what is free.
    """
    free = list(range(MOST_COLORS))
    taken: dict[str, str] = {}
    for name in islice(names, MOST_COLORS):
        hue = zlib.crc32(name.encode("utf-8", "surrogatepass")) % HUES
        place = next((each for each in free if each % HUES == hue), free[0])
        free.remove(place)
        taken[name] = f"k{place}"
    return taken


def _short(number: int) -> str:
    """Return 2774382 as 2.77 M."""
    for size, unit, sign in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if number >= size:
            return f"{number / unit:.3g} {sign}"
    return count(number)


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
    environment.globals |= {"_": _, "zip": zip}
    named = "average behaviors cause count duration event_facts limited listed money reason retries rows share status_name"
    environment.filters |= {name: getattr(messages, name) for name in named.split()} | {
        "category": lambda name: one_line(messages.category(name)),
        "cell": _cell,
        "digest": lambda text: f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}",
        "lines": visible_lines,
        "one_line": one_line,
        "short": _short,
    }
    return environment


def _cell(value: str | float | None) -> str:
    """Return a cell of a table as text; a share in percent, with a decimal where it has one, and never rounded up to all."""
    if not isinstance(value, Share):
        return written(value)
    text = f"{100 * value:.1f}".removesuffix(".0")
    return f"{'99.9' if value < 1 and text == '100' else text} %"


def _part(name: str) -> str:
    """Return one of our files: those without a folder are shared by all pages."""
    name = name if "/" in name else f"assets/{name}"
    return resources.files("eventabs.views").joinpath(*name.split("/")).read_text("utf-8")
