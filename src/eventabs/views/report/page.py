"""The report: one HTML file that needs nothing else, made from the facts of a run.

Charts are SVG and tables; only the list of users needs the script. The page forbids itself every
connection, and every style and script but its own, which are named by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from eventabs import __version__, language
from eventabs.errors import StorageError, UsageError
from eventabs.inspection import ReportFacts
from eventabs.language import gettext as _
from eventabs.store import replace_file
from eventabs.views import messages
from eventabs.views.console import one_line
from eventabs.views.quality import audit_section
from eventabs.views.report.charts import sections
from eventabs.views.report.users import ReportUsers

NAME = "report.html"
# < > & cannot end the script element or open a comment in it; the separators end a line in old engines
_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def render_report(facts: ReportFacts) -> str:
    """Return the page. Reads the facts' users to their end."""
    users = ReportUsers.of(facts.users)
    data = embedded_json(users.data() | {"words": _words()})
    audit = audit_section(facts.audit) if facts.audit else None
    return render_page(
        "page.html.j2", data=data, facts=facts, users=users, audit=audit, **sections(facts, users)
    )


def render_page(name: str, styles: Sequence[str] = (), **values: object) -> str:
    """Return the page of a template; `styles` are files that stand behind the style of all pages."""
    style, script = "".join(map(_part, ("style.css", *styles))), _part("script.js")
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


def write_report(page: str, path: Path) -> None:
    """Write the page, for its owner only. Raises UsageError, also for a file that is there and no page."""
    try:
        if path.exists() and not _begins_like_a_page(path):
            message = _("{path} exists and is no report; name another file with --output")
            raise UsageError(message.format(path=path))
        replace_file(path, [page.encode("utf-8", "replace")])
    except (OSError, StorageError) as error:
        cause = error.__cause__ or error  # a StorageError names the next step of a run; a report is none
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=path, error=getattr(cause, "strerror", None) or cause)) from None


def _begins_like_a_page(path: Path) -> bool:
    if not path.is_file():  # reading a pipe would wait for a writer
        return False
    with path.open("rb") as file:
        return file.read(15).lower() == b"<!doctype html>"


def embedded_json(value: object) -> Markup:
    """Return JSON that stays inside its script element, whatever its strings hold."""
    text = orjson.dumps(value).decode()
    return Markup(text.translate(_ESCAPED))  # noqa: S704  nothing in it can end the element


def lines(text: str) -> str:
    """Return a text of many lines with every control and bidi character made visible."""
    return "\n".join(one_line(line.rstrip("\r").replace("\t", "    ")) for line in text.split("\n"))


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
        "one_line": one_line,
        "lines": lines,
        "reason": messages.reason,
    }
    return environment


def _part(name: str) -> str:
    return resources.files("eventabs.views").joinpath("assets", name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _words() -> dict[str, Any]:
    """Return the words of the script."""
    return {
        "states": {"done": _("done"), "failed": _("failed"), "pending": _("still to do")},
        "weekdays": messages.weekdays(),
        "shown": _("{shown} of {found} users"),
        "none": _("No user matches. Clear the search or choose another state."),
        "behaviors": _("Behaviors: {count}"),
        "events": _("Events: {count}"),
        "uncovered": _("in no event: {count}"),
        "ungrounded": _("matches no behavior"),
        "noEvents": _("No events."),
        "minutes": _("{count} min"),
        "allBehaviors": _("All behaviors as text"),
    }
