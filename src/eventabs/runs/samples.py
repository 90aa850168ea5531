"""A run about some users of another run: copied from its ledger, and asked anew under settings of its own."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from eventabs.config import Settings, overlay
from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.prompts import VERSION, measure_parts, shuffled
from eventabs.runs.components import (
    batch_limits,
    builder_of,
    plan_batches,
    refuse_unknown_endpoint,
    remember_run,
    require_usable_provider,
)
from eventabs.runs.intake import log_users
from eventabs.runs.lifecycle import Invocation, settings_of_today
from eventabs.stop import Stop
from eventabs.store import (
    Ledger,
    RunDirectory,
    binding_facts,
    changes,
    facts_fingerprint,
    public_flags,
    public_settings,
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
        origin = _Origin.of(ledger, invocation, changed)
        own = {"copied_from": origin.facts["run_id"], "order": order, **facts}
        first = origin.first_facts(invocation, users, origin.binding(changed)) | own
        if not (is_there := (out / "ledger.sqlite").exists()):
            require_usable_provider(origin.settings, invocation.environment)
            if not confirmed:
                refuse_unknown_endpoint(origin.facts["run_id"], origin.settings, invocation.named())
        directory = RunDirectory.find(out) if is_there else RunDirectory.create(out)
        with directory.locked(fresh=not is_there):
            if not is_there:
                Ledger.create(directory.ledger, first).close()
                remember_run(first["run_id"], origin.settings)
            with closing(Ledger.open(directory.ledger)) as copy:
                found = copy.meta()
                if any(found.get(key) != value for key, value in own.items()):
                    message = _(
                        "{path} was made of another run or under another --seed; name another folder with --out, or remove it"
                    )
                    raise RunDirectoryError(message.format(path=directory.path))
                builder = builder_of(origin.settings, found)
                limits = batch_limits(origin.settings, builder)
                measured = ((log, measure_parts(log, builder, limits)) for log in map(ledger.log, users))
                log_users(copy, measured, most_users=0, stop=Stop())
                if "first_calls" not in found:
                    batches = plan_batches(shuffled(copy.pending_parts(), order), limits, origin.settings)
                    copy.set_meta({"first_calls": len(batches)})
    return directory


class _Origin(NamedTuple):
    """The run that users are copied from, and the settings under which they are asked again."""

    ledger: Ledger
    facts: Facts
    settings: Settings

    @classmethod
    def of(cls, ledger: Ledger, invocation: Invocation, changed: Changed) -> Self:
        facts = ledger.meta()
        mixed = {**facts, "flags": overlay(facts["flags"], changed)}
        return cls(ledger, mixed, settings_of_today(invocation, mixed))

    def binding(self, changed: Changed) -> dict[str, str]:
        """Return the settings that answers depend on. Raises RunDirectoryError where others than `changed` differ."""
        facts = self.facts
        binding = binding_facts(
            self.settings, template=facts["template"], rules=facts["rules"], instructions=VERSION
        )
        wanted = {f"{section}.{key}" for section, values in changed.items() for key in values}
        others = [each for each in changes(facts["binding"], binding) if each[0] not in wanted]
        if others:
            message = _(
                "settings have changed since the run whose users are asked again ({changes}); undo that, or begin a"
                " new run"
            )
            raise RunDirectoryError(message.format(changes=shown_changes(others)))
        return binding

    def first_facts(
        self, invocation: Invocation, users: Sequence[str], binding: dict[str, str]
    ) -> dict[str, Any]:
        """Return what the copy's ledger knows from the beginning."""
        config = invocation.config
        kept = ("folder", "template", "rules", "paths", "files", "prompt_language")
        return {key: self.facts[key] for key in kept} | {
            "run_id": uuid.uuid4().hex,
            "created_at": timestamp(datetime.now(UTC)),
            "config_file": str(config.absolute()) if config else self.facts["config_file"],
            "flags": public_flags(overlay(self.facts["flags"], invocation.flags)),
            "settings": public_settings(self.settings),
            "binding": binding,
            "settings_fingerprint": facts_fingerprint(binding),
            "legend": self.facts.get("legend") or {},
            "input": self._input(users),
            "input_complete": True,
        }

    def _input(self, users: Sequence[str]) -> dict[str, Any]:
        count = "SELECT behaviors FROM users WHERE user_id = ?"
        behaviors = sum(self.ledger.rows(count, user_id)[0][0] for user_id in users)
        known = {key: self.facts["input"][key] for key in ("paths", "fingerprint")}
        return known | {"users": len(users), "behaviors": behaviors, "rejected_rows": 0, "duplicates": 0}


def pending_use(directory: RunDirectory, invocation: Invocation) -> PlannedUse:
    """Return what is still to be asked in a run that was made of another."""
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        settings = settings_of_today(invocation, facts)
        parts = ledger.pending_parts()
        limits = batch_limits(settings, builder_of(settings, facts))
        batches = plan_batches(shuffled(parts, facts["order"]), limits, settings)
    return PlannedUse(
        users=len({planned.part.user_id for planned in parts}),
        calls=len(batches),
        first_calls=facts["first_calls"],
        prompt_tokens=sum(limits.input_tokens(planned.size for planned in batch.parts) for batch in batches),
        completion_tokens=sum(planned.size.output_tokens for planned in parts),
    )
