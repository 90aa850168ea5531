"""A run about some users of another run: copied from its ledger, and asked anew under settings of its own."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from eventabs.config import Settings, overlay
from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.prompts import measure_parts, shuffled
from eventabs.runs.components import (
    batch_limits,
    builder_of,
    plan_batches,
    refuse_unknown_endpoint,
    remember_run,
    require_usable_provider,
)
from eventabs.runs.intake import log_users
from eventabs.runs.lifecycle import Invocation, settings_facts, settings_of_today
from eventabs.stop import Stop
from eventabs.store import (
    Ledger,
    RunDirectory,
    changes,
    shown_changes,
    timestamp,
)

Facts = Mapping[str, Any]
Changed = Mapping[str, Mapping[str, Any]]


class PlannedUse(NamedTuple):
    """What is still to be asked takes, as it is planned; `first_calls`: what all takes, as it was planned first."""

    users: int
    calls: int
    first_calls: int
    prompt_tokens: int
    completion_tokens: int


def copy_users(
    source: RunDirectory,
    users: Sequence[str],
    out: Path,
    invocation: Invocation,
    *,
    changed: Changed,
    order: str,
    confirmed: bool,
    **facts: object,
) -> RunDirectory:
    """Make a run about `users` of another, or add those that one made before lacks; it is gone on with like any run.

    `changed` are the settings that differ, nested as flags; any other that answers depend on is refused. `order` names the
    order of the users in the batches. `facts` are remembered, and must be those of a run made before.
    Raises UsageError, also for an endpoint that only the source names unless that is `confirmed`.
    """
    with Ledger.watch(source.ledger) as ledger:
        origin = ledger.meta()
        origin |= {"flags": overlay(origin["flags"], changed)}
        settings = settings_of_today(invocation, origin)
        own = {"copied_from": origin["run_id"], "order": order, **facts}
        first = _first_facts(invocation, settings, origin, changed) | own
        first["input"] = {key: origin["input"][key] for key in ("paths", "fingerprint")} | {
            "users": len(users),
            "behaviors": sum(
                ledger.rows("SELECT behaviors FROM users WHERE user_id = ?", user_id)[0][0]
                for user_id in users
            ),
            "rejected_rows": 0,
            "duplicates": 0,
        }
        if not (is_there := (out / "ledger.sqlite").exists()):
            require_usable_provider(settings, invocation.environment)
            if not confirmed:
                refuse_unknown_endpoint(origin["run_id"], settings, invocation.named())
        directory = RunDirectory.find(out) if is_there else RunDirectory.create(out)
        with directory.locked(fresh=not is_there):
            if not is_there:
                Ledger.create(directory.ledger, first).close()
                remember_run(first["run_id"], settings)
            with closing(Ledger.open(directory.ledger)) as copy:
                found = copy.meta()
                if any(found.get(key) != value for key, value in own.items()):
                    message = _(
                        "{path} was made of another run or under another --seed; name another folder with --out, or remove it"
                    )
                    raise RunDirectoryError(message.format(path=directory.path))
                builder = builder_of(settings, found)
                limits = batch_limits(settings, builder)
                measured = ((log, measure_parts(log, builder, limits)) for log in map(ledger.log, users))
                log_users(copy, measured, most_users=0, stop=Stop())
                if "first_calls" not in found:
                    first_plan = plan_batches(shuffled(copy.pending_parts(), order), limits, settings)
                    copy.set_meta({"first_calls": len(first_plan.batches)})
    return directory


def _first_facts(
    invocation: Invocation, settings: Settings, origin: Facts, changed: Changed
) -> dict[str, Any]:
    """Return what the copy's ledger knows from the beginning. Raises RunDirectoryError where other settings than `changed` differ."""
    config = str(invocation.config.absolute()) if invocation.config else origin["config_file"]
    flags = overlay(origin["flags"], invocation.flags)
    own = settings_facts(settings, flags, config, origin["template"], origin["rules"])
    wanted = {f"{section}.{key}" for section, values in changed.items() for key in values}
    if others := [each for each in changes(origin["binding"], own["binding"]) if each[0] not in wanted]:
        message = _(
            "settings have changed since the run whose users are asked again ({changes}); undo that, or begin a"
            " new run"
        )
        raise RunDirectoryError(message.format(changes=shown_changes(others)))
    return {key: origin[key] for key in ("folder", "paths", "files", "prompt_language")} | {
        "run_id": uuid.uuid4().hex,
        "created_at": timestamp(),
        **own,
        "legend": origin.get("legend") or {},
        "input_complete": True,
    }


def pending_use(directory: RunDirectory, invocation: Invocation) -> PlannedUse:
    """Return what is still to be asked in a run that was made of another."""
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        settings = settings_of_today(invocation, facts)
        parts = ledger.pending_parts()
        limits = batch_limits(settings, builder_of(settings, facts))
        plan = plan_batches(shuffled(parts, facts["order"]), limits, settings)
    return PlannedUse(
        users=len({planned.part.user_id for planned in parts}),
        calls=len(plan.batches),
        first_calls=facts["first_calls"],
        prompt_tokens=plan.prompt_tokens,
        completion_tokens=sum(plan.output_tokens),
    )
