"""How a run is begun, how one that stopped is taken up again, and how its stored replies are read anew."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from eventabs.config import (
    Settings,
    find_config,
    load_settings,
    named_values,
    overlay,
    with_absolute_paths,
)
from eventabs.errors import ConfigError, DiskFullError, InputError, RunDirectoryError
from eventabs.language import gettext as _
from eventabs.objects import is_address, public_address
from eventabs.prompts import VERSION
from eventabs.records import FailureReason, Part
from eventabs.runs.components import (
    RunContext,
    batch_limits,
    legend_of,
    make_reader,
    read_text,
    rules_text,
    template_text,
)
from eventabs.runs.description import other_reading
from eventabs.runs.endpoint import refuse_unknown_endpoint, remember_run, require_usable_provider
from eventabs.runs.execution import save_stopped, summarize
from eventabs.runs.intake import (
    STDIN,
    copy_stdin,
    input_paths,
    measure_again,
    refuse_changed_input,
    require_input,
    stored_paths,
)
from eventabs.runs.must_rules import logs_of, rules_in_force
from eventabs.runs.observer import Note, Observer, SettingsTaken, StateChanged, Summary
from eventabs.stop import Stop, StopRequested
from eventabs.store import (
    Ledger,
    PartChange,
    RunDirectory,
    StoredReply,
    answer_counts,
    binding_facts,
    changes,
    damage_reported,
    facts_fingerprint,
    has_answers,
    input_stem,
    moved_answer_counts,
    moved_users,
    public_flags,
    public_settings,
    refuse_merged,
    repeated_in,
    shown_changes,
    store_answer_counts,
    store_answers,
    timestamp,
)

_READ_UNDER = ("input.", "profiles")  # settings that the logs in the ledger depend on
_LEGEND_PARTS = 500  # whose names make the legend anew

OnChange = Literal["refuse", "accept", "ignore"]
Watch = Callable[[RunDirectory, Settings], AbstractContextManager[Observer]]


@dataclass(frozen=True, slots=True)
class Invocation:
    """Where settings come from: `flags`, nested as in the TOML, over `config` (else the file found) and the variables.

    `isolated`: over the defaults only, without file and variables.
    """

    config: Path | None
    flags: Mapping[str, Any]
    environment: Mapping[str, str]
    isolated: bool = False

    def config_file(self) -> Path | None:
        """Return the config file in force."""
        return None if self.isolated else find_config(self.config, self.environment)

    def named(self) -> dict[str, Any]:
        """Return what the layers name, without defaults and presets. Raises ConfigError."""
        return named_values(self.config_file(), self.flags, isolated=self.isolated)

    def settings(self) -> Settings:
        """Load the settings. Raises ConfigError."""
        return load_settings(self.config_file(), self.flags, isolated=self.isolated)


@contextmanager
def begin_run(
    invocation: Invocation, *, paths: Sequence[str], out: Path | None, watch: Watch, stop: Stop
) -> Iterator[RunContext]:
    """Begin a run in a new directory; remove it again, but for rejected rows, where nothing could begin.

    Raises UsageError for wrong settings or input and a directory that is taken, and StopRequested where a stop is requested while standard input is copied.
    """
    settings = with_absolute_paths(invocation.settings(), Path.cwd())
    require_usable_provider(settings, invocation.environment)
    named = input_paths(paths, settings)
    require_input(named)
    facts = _first_facts(invocation, settings)
    directory = RunDirectory.create(out or default_out(named, settings.input.shard))
    nothing_paid = True
    try:
        with directory.locked(fresh=True), watch(directory, settings) as observer:
            if STDIN in named:
                copy_stdin(directory.path, stop)
            facts["paths"] = stored_paths(named)
            with closing(Ledger.create(directory.ledger, facts)) as ledger:
                remember_run(facts["run_id"], settings)
                run = RunContext(
                    directory,
                    ledger,
                    settings,
                    invocation.environment,
                    observer,
                    facts,
                    settings.run.limit,
                    named,
                )
                try:
                    yield run
                except (ConfigError, InputError):
                    nothing_paid = not ledger.rows("SELECT 1 FROM calls LIMIT 1")
                    raise
    except (ConfigError, InputError, StopRequested, DiskFullError) as error:
        if nothing_paid and not (isinstance(error, DiskFullError) and directory.ledger.exists()):
            directory.discard()
        raise


@contextmanager
def reopen_run(
    invocation: Invocation,
    *,
    named: Path,
    changed: OnChange,
    confirmed: bool,
    watch: Watch,
    inputs: Sequence[str] | None = None,
) -> Iterator[RunContext]:
    """Take up a run again, under the settings that it began with and the flags of today.

    `inputs`: what it is to be extended by; what it has read may have changed then.

    Raises RunDirectoryError where there is none, another process has it, or settings that its answers
    depend on have changed and `changed` is to refuse that. `ignore` is for work without calls.
    """
    directory = RunDirectory.find(named)
    with (
        directory.locked(),
        damage_reported(directory.ledger),
        closing(Ledger.open(directory.ledger)) as ledger,
    ):
        facts = ledger.meta()
        refuse_merged(directory, facts)
        settings = settings_of_today(invocation, facts)
        if changed != "ignore":
            require_usable_provider(settings, invocation.environment)
        if not confirmed and changed != "ignore":
            refuse_unknown_endpoint(facts["run_id"], settings, invocation.named())
        with watch(directory, settings) as observer:
            # a trial under --limit goes on with all users: the first limit does not hold any more
            most_users = int(invocation.flags.get("run", {}).get("limit", 0))
            run = RunContext(
                directory,
                ledger,
                settings,
                invocation.environment,
                observer,
                facts,
                most_users,
                inputs or settings.input.paths,
            )
            run.remember_prices()
            if changed != "ignore":
                if inputs is None:
                    refuse_changed_input(run, accepted=changed == "accept")
                opening = _take_changes(
                    run, invocation, accepted=changed == "accept", is_read_anew=inputs is not None
                )
                run = replace(run, opening=opening)
            yield run


def default_out(paths: Sequence[str], shard: str = "") -> Path:
    """Return the run directory for an input, `<stem>.eventabs` in the current folder, or for shard i/N `<stem>.i-of-N.eventabs`."""
    first = public_address(paths[0]).partition("?")[0] if is_address(paths[0]) else paths[0]
    stem = "stdin" if first == STDIN else input_stem(first)
    part = f".{shard.replace('/', '-of-')}" if shard else ""
    return Path(f"{stem}{part}.eventabs")


def _first_facts(invocation: Invocation, settings: Settings) -> dict[str, Any]:
    config = invocation.config_file()
    template, rules = template_text(settings), rules_text(settings)
    binding = binding_facts(settings, template=template, rules=rules, instructions=VERSION)
    return {
        "run_id": uuid.uuid4().hex,
        "created_at": timestamp(datetime.now(UTC)),
        "folder": str(Path.cwd()),
        "config_file": str(config.absolute()) if config else "",
        "flags": public_flags(invocation.flags),
        "settings": public_settings(settings),
        "binding": binding,
        "settings_fingerprint": facts_fingerprint(binding),
        "template": template,
        "rules": rules,
    }


def settings_of_today(invocation: Invocation, facts: Mapping[str, Any]) -> Settings:
    """Lay the config file and the flags, first those of the beginning, over the stored settings."""
    recorded = Path(facts["config_file"]) if facts["config_file"] else None
    config = invocation.config or (recorded if recorded and recorded.is_file() else None)
    flags = overlay(facts["flags"], invocation.flags)
    settings = load_settings(config, flags, base=facts["settings"], isolated=invocation.isolated)
    return with_absolute_paths(settings, Path(facts["folder"]))


def _take_changes(
    run: RunContext, invocation: Invocation, *, accepted: bool, is_read_anew: bool
) -> tuple[Note, ...]:
    """Refuse settings that differ from those of the beginning, or take them for what is still pending.

    Where nothing is answered yet, only those that the input was read under, and all of a run that was copied from another, are
    refused. `is_read_anew`: the input of all users, which is then compared with what is known.
    """
    template = _text_of_today(run.settings.prompt.template, "prompt.template", run.facts["template"])
    rules = _text_of_today(run.settings.rules.file, "rules.file", run.facts["rules"])
    binding = binding_facts(run.settings, template=template, rules=rules, instructions=VERSION)
    changed = changes(run.facts["binding"], binding)
    _refuse_other_shard(run.facts["settings"]["input"].get("shard", ""), run.settings.input.shard)
    is_answered = has_answers(run.ledger)
    is_reading = any(key.startswith(_READ_UNDER) for key, *_values in changed)
    is_free = not is_answered and not is_reading
    notes = tuple[Note, ...]()
    if is_reading and not is_read_anew:
        notes = other_reading(run, shown_changes(changed), accepted=accepted)
    if changed and not accepted and (not is_free or "copied_from" in run.facts):
        message = _(
            "settings have changed since this run began ({changes}); undo that, or take it for users not yet"
            " done with --accept-changes"
        )
        raise RunDirectoryError(message.format(changes=shown_changes(changed)))
    run.facts["other_input_accepted"] = accepted
    if not changed:
        return ()
    run.remember(
        config_file=str(invocation.config.absolute()) if invocation.config else run.facts["config_file"],
        flags=public_flags(overlay(run.facts["flags"], invocation.flags)),
        settings=public_settings(run.settings),
        binding=binding,
        settings_fingerprint=facts_fingerprint(binding),
        template=template,
        rules=rules,
    )
    if "prompt_language" in run.facts:
        sample = run.ledger.logs([planned.part for planned in run.ledger.pending_parts()[:_LEGEND_PARTS]])
        legend = legend_of(run.settings, run.prompt_language, template, sample) if sample else None
        run.remember(legend=legend)
        builder = run.builder()
        measure_again(run.ledger, builder, batch_limits(run.settings, builder))
    return (SettingsTaken(shown_changes(changed), is_answered), *notes)


def _refuse_other_shard(before: str, now: str) -> None:
    """Raise RunDirectoryError where the users would be those of another run directory."""
    if now != before:
        message = _(
            "this run holds {before}, not {now}; leave out --shard and input.shard, or name the run directory of {now}"
        )
        held, wanted = (
            _("shard {shard}").format(shard=shard) if shard else _("all users") for shard in (before, now)
        )
        raise RunDirectoryError(message.format(before=held, now=wanted))


def _text_of_today(path: str, setting: str, before: str | None) -> str | None:
    """Return what stands in the file now; what stood there at the beginning where it is gone."""
    return read_text(path, setting) if path and Path(path).is_file() else before


def reparse(run: RunContext) -> Summary:
    """Read every stored reply anew. A part takes the events of the first reply that is usable for it.

    A part that no reply is usable for any more is failed, so that it can be asked about again.
    """
    status = run.facts.get("status", "stopped")
    if "prompt_language" in run.facts:
        with run.ledger.transaction():
            _read_again(run)
    save_stopped(run, status, run.earlier_seconds)
    run.observer.noted(StateChanged(status))
    return summarize(run, status)


def _read_again(run: RunContext) -> None:
    ledger = run.ledger
    builder = run.builder()
    read = make_reader(run.settings, run.prompt_language, builder.compactor)
    rules = rules_in_force(run)
    counted: dict[Part, Mapping[str, int]] = {}  # what the answer that holds counts
    reasons: dict[Part, FailureReason] = {}
    moved = moved_users(ledger)
    repeated = 0
    for whole in ledger.stored_replies():
        stored = _about_parts_of_today(whole, moved)
        left_out = [place for place, alias in enumerate(whole.users, 1) if alias not in stored.users]
        repeated += repeated_in(ledger, whole.call_id, left_out)
        logs = logs_of(stored, ledger)
        outcomes = read(stored.reply, logs, stored.users).outcomes
        store_answers(ledger, whole.call_id, rules.placed_again(whole, logs, outcomes))
        ruled = [rules.enforced(logs[alias], found) for alias, found in outcomes.items()]
        first = [outcome for outcome in ruled if outcome.usable and outcome.part not in counted]
        counted |= {outcome.part: answer_counts([outcome]) for outcome in first}
        reasons |= {outcome.part: outcome.reason for outcome in ruled if outcome.reason is not None}
        changes = [PartChange(outcome.part, "done", events=len(outcome.events)) for outcome in first]
        ledger.settle(stored.call_id, ruled, changes)
    ledger.fail_parts({part: reason for part, reason in reasons.items() if part not in counted})
    done = {Part(*row) for row in ledger.rows("SELECT user_id, first, last FROM parts WHERE state = 'done'")}
    totals = Counter[str]()
    for part in done & counted.keys():
        totals.update(counted[part])
    totals.update(moved_answer_counts(ledger) | {"repeated": repeated})
    store_answer_counts(ledger, totals)


def _about_parts_of_today(stored: StoredReply, moved: Mapping[str, int]) -> StoredReply:
    """Leave out users whose parts an extension has cut or renumbered since: their events stay as they are."""
    users = {
        alias: part for alias, part in stored.users.items() if moved.get(part.user_id, 0) < stored.call_id
    }
    return stored._replace(users=users)
