"""The state of a run, for people and as JSON, once or again and again."""

from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from eventabs.inspection import RunState
from eventabs.language import gettext as _
from eventabs.runs import Progress
from eventabs.views import wording
from eventabs.views.console import encode, one_line, print_command, print_line
from eventabs.views.panel import ProgressPanel
from eventabs.views.wording import count, duration, joined

SECONDS_BETWEEN_LOOKS = 1.0


def progress_fields(status: str, progress: Progress, eta_seconds: float | None) -> dict[str, object]:
    """Return the fields of GET /progress; `current_batch` is the number of batches sent so far."""
    processed = progress.done + progress.failed
    return {
        "status": status,
        "total_users": progress.users,
        "processed_users": processed,
        "success_count": progress.done,
        "failed_count": progress.failed,
        "current_batch": progress.batches_done + progress.in_flight,
        "total_batches": progress.batches_total,
        "progress_percent": _percent(processed, progress.users),
        "estimated_remaining_seconds": None if eta_seconds is None else round(max(0.0, eta_seconds), 1),
    }


def _percent(part: int, whole: int) -> float:
    """One decimal, 100 only where nothing is left."""
    if not whole:
        return 0.0
    return 100.0 if part >= whole else min(round(100 * part / whole, 1), 99.9)


def status_json(state: RunState) -> str:
    """Return the state of a run as one line of JSON."""
    progress = state.progress
    return encode(
        progress_fields(state.status, progress, progress.eta_seconds)
        | {
            "pending": state.pending,
            "in_flight": progress.in_flight,
            "in_flight_limit": progress.in_flight_limit,
            "events": state.events,
            "calls": progress.calls,
            "retries": progress.retries,
            "retry_causes": progress.retry_causes,
            "cooling_seconds": round(state.cooling_seconds, 1),
            "prompt_tokens": progress.prompt_tokens,
            "completion_tokens": progress.completion_tokens,
            "tokens_per_second": _rounded(progress.tokens_per_second, 1),
            "cost": _rounded(progress.cost, 6),
            "cost_projected": _rounded(progress.cost_projected, 6),
            "currency": state.currency,
            "seconds": round(state.seconds, 3),
            "failures": state.failures,
            "last_failure": state.last_failure and wording.noted(state.last_failure),
            "provider": state.provider,
            "model": state.model,
            "host": state.host,
            "run_id": state.run_id,
            "created_at": state.created_at,
            "out": state.out,
        }
    )


def render_status(console: Console, state: RunState) -> None:
    """Print the state of a run, and what to do next."""
    if console.is_terminal:
        console.print(_picture(state))
    else:
        lines = (_headline(state), wording.progressed(state.progress, state.currency), *_troubles(state))
        for line in lines:
            print_line(console, line)
    if state.status in {"interrupted", "stopped", "killed"}:
        print_command(console, _("Go on with: "), wording.resume_command(state.out))


def watch_status(
    console: Console,
    look: Callable[[], RunState],
    *,
    as_json: bool,
    sleep: Callable[[float], None],
) -> None:
    """Show the state of a run until it is completed, also past a kill and a resume."""
    if as_json or not console.is_terminal:
        _watch_lines(console, look, as_json=as_json, sleep=sleep)
        return
    with Live(console=console, auto_refresh=False, redirect_stderr=False) as live:
        while True:
            state = look()
            live.update(_picture(state), refresh=True)
            if state.status == "completed":
                return
            sleep(SECONDS_BETWEEN_LOOKS)


def _watch_lines(
    console: Console, look: Callable[[], RunState], *, as_json: bool, sleep: Callable[[float], None]
) -> None:
    before = ""
    while True:
        state = look()
        if as_json:
            line = status_json(state)
        else:
            line = joined((_name(state), wording.progressed(state.progress, state.currency)))
        if line != before:
            console.out(line if as_json else one_line(line), highlight=False)
            before = line
        if state.status == "completed":
            return
        sleep(SECONDS_BETWEEN_LOOKS)


def _picture(state: RunState) -> Group:
    panel = ProgressPanel(state.currency)
    panel.now = panel.counted_at = state.seconds
    panel.cooling_until = state.seconds + state.cooling_seconds
    panel.progress = state.progress
    if state.status != "running":
        panel.phase = ""
    elif state.progress.users:
        panel.phase = _("waiting for the first reply")
    panel.title = f"{state.model} @ {state.host}" if state.model else state.provider
    if state.last_failure:
        panel.trouble = wording.noted(state.last_failure)
    style = {"completed": "bold green", "running": "bold"}.get(state.status, "bold yellow")
    lines = [Text(one_line(line)) for line in _reasons(state)]
    return Group(Text(one_line(_headline(state)), style=style), panel, *lines)


def _headline(state: RunState) -> str:
    return _("{state}: {out}").format(state=_name(state), out=state.out)


def _name(state: RunState) -> str:
    if state.status == "killed":
        return _("Not running: the process was killed or has crashed, state saved")
    return wording.status(state.status)


def _troubles(state: RunState) -> list[str]:
    lines = _reasons(state)
    if state.cooling_seconds:
        lines.append(wording.cooling(state.cooling_seconds))
    if state.last_failure:
        lines.append(wording.noted(state.last_failure))
    return [*lines, _("{time} so far").format(time=duration(state.seconds))]


def _reasons(state: RunState) -> list[str]:
    rows = [f"  {count(number)}  {wording.reason(code)}" for code, number in state.failures.items()]
    return [_("Failed users by reason:"), *rows] if rows else []


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)
