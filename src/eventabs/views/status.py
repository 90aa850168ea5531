"""How a run stands, for people and as JSON, once or again and again."""

from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from eventabs.inspection import RunState
from eventabs.language import gettext as _
from eventabs.views import wording
from eventabs.views.console import one_line, print_command, print_line
from eventabs.views.json_lines import encode, progress_fields
from eventabs.views.panel import ProgressPanel
from eventabs.views.wording import count, duration, joined

SECONDS_BETWEEN_LOOKS = 1.0


def status_json(standing: RunState) -> str:
    """Return how a run stands as one line of JSON."""
    progress = standing.progress
    failure = standing.last_failure
    return encode(
        progress_fields(standing.status, progress, progress.eta_seconds)
        | {
            "pending": standing.pending,
            "in_flight": progress.in_flight,
            "in_flight_limit": progress.in_flight_limit,
            "events": standing.events,
            "calls": progress.calls,
            "retries": progress.retries,
            "retry_causes": progress.retry_causes,
            "cooling_seconds": round(standing.cooling_seconds, 1),
            "prompt_tokens": progress.prompt_tokens,
            "completion_tokens": progress.completion_tokens,
            "tokens_per_second": _rounded(progress.tokens_per_second, 1),
            "cost": _rounded(progress.cost, 6),
            "cost_projected": _rounded(progress.cost_projected, 6),
            "currency": standing.currency,
            "seconds": round(standing.seconds, 3),
            "failures": standing.failures,
            "last_failure": failure and wording.noted(failure),
            "provider": standing.provider,
            "model": standing.model,
            "host": standing.host,
            "run_id": standing.run_id,
            "created_at": standing.created_at,
            "out": standing.out,
        }
    )


def render_status(console: Console, standing: RunState) -> None:
    """Print how a run stands, and what to do next."""
    if console.is_terminal:
        console.print(_picture(standing))
    else:
        print_line(console, _headline(standing))
        print_line(console, wording.progressed(standing.progress, standing.currency))
        for line in _troubles(standing):
            print_line(console, line)
    if command := _next_step(standing):
        print_command(console, _("Go on with: "), command)


def watch_status(
    console: Console,
    look: Callable[[], RunState],
    *,
    as_json: bool,
    sleep: Callable[[float], None],
) -> None:
    """Show how a run stands until it is completed, also past a kill and a resume."""
    if as_json or not console.is_terminal:
        _watch_lines(console, look, as_json=as_json, sleep=sleep)
        return
    with Live(console=console, auto_refresh=False, redirect_stderr=False) as live:
        while True:
            standing = look()
            live.update(_picture(standing), refresh=True)
            if standing.status == "completed":
                return
            sleep(SECONDS_BETWEEN_LOOKS)


def _watch_lines(
    console: Console, look: Callable[[], RunState], *, as_json: bool, sleep: Callable[[float], None]
) -> None:
    before = ""
    while True:
        standing = look()
        if as_json:
            line = status_json(standing)
        else:
            line = joined((_state(standing), wording.progressed(standing.progress, standing.currency)))
        if line != before:
            console.out(line if as_json else one_line(line), highlight=False)
            before = line
        if standing.status == "completed":
            return
        sleep(SECONDS_BETWEEN_LOOKS)


def _picture(standing: RunState) -> RenderableType:
    panel = ProgressPanel(standing.currency)
    panel.now = panel.told_at = standing.seconds
    panel.cooling_until = standing.seconds + standing.cooling_seconds
    panel.progress = standing.progress
    panel.phase = "" if standing.status != "running" else panel.phase
    if standing.progress.users:
        panel.phase = _("waiting for the first reply") if standing.status == "running" else ""
    if standing.model:
        panel.title = f"{standing.model} @ {standing.host}"
    else:
        panel.title = standing.provider
    if standing.last_failure:
        panel.trouble = wording.noted(standing.last_failure)
    style = {"completed": "bold green", "running": "bold"}.get(standing.status, "bold yellow")
    lines = [Text(one_line(line)) for line in _reasons(standing)]
    return Group(Text(one_line(_headline(standing)), style=style), panel, *lines)


def _headline(standing: RunState) -> str:
    return _("{state}: {out}").format(state=_state(standing), out=standing.out)


def _state(standing: RunState) -> str:
    if standing.status == "killed":
        return _("Not running: the process was killed or has crashed, state saved")
    return wording.status(standing.status)


def _troubles(standing: RunState) -> list[str]:
    lines = _reasons(standing)
    if standing.cooling_seconds:
        lines.append(wording.cooling(standing.cooling_seconds))
    if standing.last_failure:
        lines.append(wording.noted(standing.last_failure))
    lines.append(_("{time} so far").format(time=duration(standing.seconds)))
    return lines


def _reasons(standing: RunState) -> list[str]:
    if not standing.failures:
        return []
    return [
        _("Failed users by reason:"),
        *(f"  {count(number)}  {wording.reason(code)}" for code, number in standing.failures.items()),
    ]


def _next_step(standing: RunState) -> str:
    if standing.status in {"interrupted", "stopped", "killed"}:
        return wording.resume_command(standing.out)
    return ""


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)
