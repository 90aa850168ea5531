"""The state of a run, for people and as JSON, once or again and again."""

import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from eventabs.inspection import RunState
from eventabs.language import gettext as _
from eventabs.runs import Progress
from eventabs.store import ShardState
from eventabs.views import messages, usage
from eventabs.views.console import encode, one_line, print_command, print_line
from eventabs.views.job_messages import job_line
from eventabs.views.messages import count, duration, joined, listed
from eventabs.views.panel import ProgressPanel
from eventabs.views.quality.answers import answer_fields, answer_tables, event_figures

SECONDS_BETWEEN_LOOKS = 1.0
_JSON_KEYS = (
    "pending in_flight in_flight_limit events calls retries retry_causes cooling_seconds prompt_tokens"
    " completion_tokens tokens_per_second cost cost_projected currency seconds failures last_failure provider model"
    " host run_id created_at out event_counts answers cached_tokens tiers jobs asked_again"
)
_AT_REST = ("interrupted", "stopped", "killed")
_DIGITS = {"cooling_seconds": 1, "tokens_per_second": 1, "cost": 6, "cost_projected": 6, "seconds": 3}


def progress_fields(status: str, progress: Progress, eta_seconds: float | None) -> dict[str, object]:
    """Return the fields of GET /progress; `current_batch` is the number of batches sent so far."""
    processed, users = progress.done + progress.failed, progress.users
    percent = round(100 * processed / users, 1) if users else 0.0
    return {
        "status": status,
        "total_users": users,
        "processed_users": processed,
        "success_count": progress.done,
        "failed_count": progress.failed,
        "current_batch": progress.batches_done + progress.in_flight,
        "total_batches": progress.batches_total,
        "progress_percent": percent if processed >= users else min(percent, 99.9),
        "estimated_remaining_seconds": None if eta_seconds is None else round(max(0.0, eta_seconds), 1),
    }


def status_json(state: RunState, **more: object) -> str:
    """Return the state of a run as one line of JSON, with what else is to be said."""
    progress = state.progress
    fields = asdict(progress) | asdict(state) | state.endpoint._asdict()
    for key, digits in _DIGITS.items():
        fields[key] = None if fields[key] is None else round(fields[key], digits)
    fields |= {
        "pending": progress.pending,
        "event_counts": progress.event_counts,
        "answers": answer_fields(progress),
        "jobs": [job._asdict() for job in state.jobs],
        "last_failure": state.last_failure and messages.noted(state.last_failure),
        "tiers": usage.tier_fields(progress, progress.tier_costs),
    }
    shown = progress_fields(state.status, progress, progress.eta_seconds)
    if state.shards:
        more |= {
            "shards": list(map(_shard_fields, state.shards)),
            "missing_shards": state.missing_shards,
            "merged_at": state.merged_at,
        }
    return encode(shown | {key: fields[key] for key in _JSON_KEYS.split()} | more)


def _shard_fields(shard: ShardState) -> dict[str, object]:
    counts = {"users": shard.users, "success_count": shard.done, "failed_count": shard.failed}
    return {"shard": shard.shard, "out": shard.out, "status": shard.status, **counts}


def render_status(console: Console, state: RunState) -> None:
    """Print the state of a run, and what to do next."""
    if console.is_terminal:
        console.print(_picture(state))
    else:
        for line in _lines(state):
            print_line(console, line)
    # the built-in rules do not see who else is in a batch
    for table in answer_tables({"": state.progress}) if state.endpoint.model else ():
        console.print("", table, sep="\n")
    for shard in state.shards:
        if shard.status in _AT_REST:
            label = _("Shard {shard}, {done} of {users} done; go on with: ")
            done, total = count(shard.done), messages.users(shard.users)
            print_command(
                console,
                label.format(shard=shard.shard, done=done, users=total),
                messages.resume_command(shard.out),
            )
    if state.shards:
        time = f"{datetime.fromisoformat(state.merged_at).astimezone():%Y-%m-%d %H:%M:%S}"
        label = _("As merged at {time}; bring it up to date with: ").format(time=time)
        print_command(console, label, f"eventabs merge DIR... --out {shlex.quote(state.out)}")
    elif state.status in _AT_REST:
        print_command(console, _("Go on with: "), messages.resume_command(state.out))
    if state.status == "waiting":
        print_command(
            console, _("Then read the replies: "), f"{messages.resume_command(state.out)} --replies FILE"
        )


def watch_status(
    console: Console, look: Callable[[], RunState], *, as_json: bool, sleep: Callable[[float], None]
) -> None:
    """Show the state of a run until it is completed, also past a kill and a resume."""
    drawn = console.is_terminal and not as_json
    before = ""
    with Live(console=console, auto_refresh=False, redirect_stderr=False) if drawn else nullcontext() as live:
        while True:
            state = look()
            if live:
                live.update(_picture(state), refresh=True)
            elif (line := status_json(state) if as_json else _line(state)) != before:
                console.out(line, highlight=False)
                before = line
            if state.status == "completed":
                return
            sleep(SECONDS_BETWEEN_LOOKS)


def _line(state: RunState) -> str:
    return one_line(joined((_name(state), usage.progress_line(state.progress, state.endpoint.currency))))


def _picture(state: RunState) -> Group:
    endpoint = state.endpoint
    panel = ProgressPanel(endpoint.currency)
    panel.now = panel.counted_at = state.progress.seconds
    panel.cooling_until = state.progress.seconds + state.cooling_seconds
    panel.progress = state.progress
    if state.status != "running":
        panel.phase = ""
    elif state.progress.users:
        panel.phase = _("waiting for the first reply")
    panel.ended = state.status == "completed"
    panel.title = f"{endpoint.model} @ {endpoint.host}" if endpoint.model else endpoint.provider
    if state.last_failure:
        panel.trouble = messages.noted(state.last_failure)
    style = {"completed": "bold green", "running": "bold"}.get(state.status, "bold yellow")
    lines = [Text(line) for line in _events(state.progress)]
    lines += [Text(one_line(line)) for line in (*_again(state), *messages.failures(state.failures))]
    lines += [Text(one_line(job_line(job))) for job in state.jobs if job.is_out]
    return Group(Text(one_line(_headline(state)), style=style), panel, *lines)


def _headline(state: RunState) -> str:
    return _("{state}: {out}").format(state=_name(state), out=state.out)


def _name(state: RunState) -> str:
    if state.shards:
        total = len(state.shards) + state.missing_shards
        completed = sum(shard.status == "completed" for shard in state.shards)
        parts = [_("{count} of {total} shards completed").format(count=count(completed), total=count(total))]
        if state.missing_shards:
            parts.append(_("{count} missing").format(count=count(state.missing_shards)))
        return listed(parts)
    if state.status == "killed":
        return _("Not running: the process was killed or has crashed, state saved")
    return messages.status(state.status)


def _events(progress: Progress) -> list[str]:
    """Say what is known of the events, nothing before there are any."""
    if not progress.events:
        return []
    return [listed((messages.events(progress.events), *event_figures(progress)))]


def _lines(state: RunState) -> list[str]:
    counts = usage.progress_line(state.progress, state.endpoint.currency)
    lines = [
        _headline(state),
        counts,
        *_events(state.progress),
        *_again(state),
        *messages.failures(state.failures),
    ]
    if state.cooling_seconds:
        lines.append(messages.cooling(state.cooling_seconds))
    if state.last_failure:
        lines.append(messages.noted(state.last_failure))
    lines += [job_line(job) for job in state.jobs if job.is_out]
    time = _("{time} in all") if state.status == "completed" else _("{time} so far")
    return [*lines, time.format(time=duration(state.progress.seconds))]


def _again(state: RunState) -> list[str]:
    again = usage.asked_again(state.asked_again)
    return [_("Asked again: {users}").format(users=again)] if again else []
