"""A run from start to stop: begun, copied from another, resumed, executed, and its stored replies read anew."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from eventabs import providers, store
from eventabs.config import Settings, find_config, load_settings, named_values, overlay, with_absolute_paths
from eventabs.errors_and_exit_codes import (
    ConfigError,
    DiskFullError,
    InputError,
    RunDirectoryError,
    StoppedError,
    UsageError,
)
from eventabs.ingest import Frame
from eventabs.interface_language import gettext as _, ngettext
from eventabs.object_stores import is_address, public_address
from eventabs.prompts import CONVERSION, VERSION, measure_parts, shuffled
from eventabs.runs import batch_jobs, built_from_settings as built, intake
from eventabs.runs.built_from_settings import RunContext
from eventabs.runs.extension import extension_facts, take_in_export
from eventabs.runs.observer import Note, Observer, Observers, Progress, SettingsTaken, Started, StateChanged
from eventabs.runs.progress_and_stop_conditions import FAILURES_FACT, REFUSED_FACT, ProgressTracker, snapshot
from eventabs.runs.run_state import RunState, state_of
from eventabs.runs.schedule_and_settlement import Session, acceptable, scheduler_of
from eventabs.shared_records import AskedUser, InputWarning, Outcome, Part, RunStatus
from eventabs.stop_request import Stop, StopRequested
from eventabs.store import Ledger, LedgerWriter, PartChange, RunDirectory


async def execute(  # noqa: C901  the run from start to stop
    run: RunContext, stop: Stop, *, replies: Sequence[Path] = (), cancel: bool = False, retry: bool = False
) -> RunState:
    """Read what is not read yet, call for what is not answered yet, and leave everything in order.

    `replies` are files with answers to requests.jsonl. `cancel`: cancel the jobs of the batch service, keep what they did, and
    stop. `retry`: ask about failed users again. A requested `stop` ends it early with the status `interrupted`; in mode `files` it ends with `waiting`. Reading and
    saving happen in a thread. Raises ConfigError where a cluster shall make the calls and is not there, and UsageError where nothing waits for `replies`.
    """
    if replies and run.settings.run.mode != "files" and not store.stored_jobs(run.ledger):
        message = _("this run has written no requests, so it waits for no replies; leave out --replies")
        raise UsageError(message)
    if retry:
        with run.ledger.transaction():
            run.ledger.ask_failed_again()
    earlier = run.earlier_seconds
    tracker = run.tracker(earlier)  # for the time that the run takes
    status: RunStatus = "completed"
    cause = ""

    def seconds() -> float:  # that all processes have worked: one that has found nothing to do adds none
        return tracker.seconds if run.tracker().counts != tracker.counts else earlier

    is_elsewhere = run.settings.cluster.engine != "local" and run.settings.run.mode != "files"
    joined = providers.connected(run.settings.cluster.ray_address) if is_elsewhere else nullcontext()
    async with joined as cluster:  # None: this process makes the calls
        run = run._replace(cluster=cluster)
        try:
            _tell_start(run)
            begun = tracker.progress(waiting=0, workers=1)
            run.remember(progress=snapshot(begun, time.time()), status="running", began_at=time.time())
            for note in await asyncio.to_thread(intake.read_input, run, stop):
                run.observer.noted(note)
            run.save(store.count_all(run.ledger), status="running")
            if run.facts.get("extending"):
                if run.ledger.unread_calls():  # before the parts that they are about become other ones
                    with _opened_session(run, stop, run.tracker()) as session:
                        await session.settle_unread()
                for note in await asyncio.to_thread(take_in_export, run, stop):
                    run.observer.noted(note)
                run.save(store.count_all(run.ledger), status="running")
            with _opened_session(run, stop, tracker) as session:
                status = await batch_jobs.call_model(session, replies, cancel=cancel)
        except StopRequested:
            status = "interrupted"
        except StoppedError as error:
            status, cause = "stopped", str(error)
        except UsageError:
            # where an extension was refused, the run is what it was
            refused: RunStatus = "completed" if run.facts.get("status") == "completed" else "stopped"
            save_stopped(run, refused, seconds())
            raise
        cause = "; ".join(filter(None, (cause, batch_jobs.going_on(store.stored_jobs(run.ledger)))))
        progress = await asyncio.to_thread(save_stopped, run, status, seconds())
        if status != "completed":  # calls that were cut off are pending again
            run.observer.noted(progress)
        run.observer.noted(StateChanged(status, cause))
        return summarize(run, cause)


@contextmanager
def _opened_session(run: RunContext, stop: Stop, so_far: ProgressTracker) -> Iterator[Session]:
    # those of an extended run are whole, and stay so until they are replaced
    paths = () if run.facts.get("extension") else (run.directory.events, run.directory.journeys)
    if paths:
        store.write_results(run.directory, run.ledger)  # an earlier process may have left a torn line
    with ExitStack() as opened, LedgerWriter(run.ledger) as writer:
        results = [opened.enter_context(store.open_to_append(path)) for path in paths]
        yield Session(run, stop, *run.builder_and_limits(), writer, results, run.tracker(so_far.seconds))


def save_stopped(run: RunContext, status: RunStatus, seconds: float) -> Progress:
    """Write results and checkpoint of a run that stops after `seconds` of work by all processes; return how far it is."""
    with run.ledger.transaction():
        run.ledger.lose_open_calls()
    store.write_results(run.directory, run.ledger)
    if run.facts.get("extension"):
        run.remember(changed=store.write_changes(run.directory, run.ledger))
    tracker, waiting = run.tracker(), len(store.unanswered(run.ledger))
    if pending := run.ledger.pending_parts():  # and their batches, as the plan of a resumed run has them
        waiting += scheduler_of(
            run, pending, run.builder_and_limits()[1], probe=run.settings.is_remote
        ).batches
    progress = replace(tracker.progress(waiting=waiting, workers=1), seconds=seconds, in_flight_limit=0)
    run.remember(progress=snapshot(progress, time.time()), status=status)
    run.save(tracker.counts, status=status, batches_left=waiting)
    return progress


def _tell_start(run: RunContext) -> None:
    settings, is_remote = run.settings, run.settings.is_remote
    config, out = run.facts["config_file"], str(run.directory.path)
    model = settings.llm.model if is_remote else ""
    host = store.host_of(providers.endpoint_of(settings.llm, {}).llm.base_url) if is_remote else ""
    run.observer.noted(Started(config, settings.provider, model, host, out, resumed="status" in run.facts))
    is_called = is_remote and settings.run.mode != "files" and not run.cluster
    if is_called and (variable := built.unset_key(settings.llm, run.environment)):
        message = _("{variable} is not set: no key is sent").format(variable=variable)
        run.observer.noted(InputWarning("no_key", message))
    address = urlsplit(settings.llm.base_url)
    if is_called and address.scheme == "http" and not providers.is_loopback(address.hostname or ""):
        message = _("{host} is called by plain http: all that is sent can be read on the way")
        run.observer.noted(InputWarning("unencrypted", message.format(host=address.hostname)))


def summarize(run: RunContext, cause: str = "") -> RunState:
    """Return how a run that has been saved ended, with the actions that nothing tells the built-in rules, and those of conversions."""
    state = state_of(run.directory, run.ledger)
    events, journeys, _users = store.count_standing(run.ledger)
    unknown, conversions = state.input["unknown_actions"], state.input["conversion_actions"]
    rows, category = unknown | conversions, dict.fromkeys(conversions, CONVERSION)
    if rows:
        must = built.must_rules_of(run.settings, run.facts["prompt_language"])
        # a rule that must hold goes first
        category |= {word: rule.added[1] for word in rows if (rule := must.naming(word))}
    actions = {
        "unknown_actions": {word: rows[word] for word in unknown if word not in category},
        "conversion_actions": {word: rows[word] for word in rows if category.get(word) == CONVERSION},
    }
    return replace(
        state,
        cause=cause,
        events=state.events + events,
        journeys=state.journeys + journeys,
        standing_events=events,
        extension=extension_facts(run),
        input={**state.input, **actions},
    )


OnChange = Literal["refuse", "accept", "ignore"]
Watch = Callable[[RunDirectory, Settings], AbstractContextManager[Observer]]


class Invocation(NamedTuple):
    """Where settings come from: `flags`, nested as in the TOML, over `config` (else the file found) and the variables.

    `isolated`: over the defaults only, without file and variables.
    """

    config: Path | None
    flags: Mapping[str, Any]
    environment: Mapping[str, str]
    isolated: bool = False

    def config_file(self, facts: Mapping[str, Any] = {}) -> Path | None:
        """Return the config file that is named, else that of the run with these `facts` while it is there, else the one found here."""
        recorded = Path(facts.get("config_file", ""))
        if not self.config and recorded.is_file():
            return recorded
        return None if self.isolated else find_config(self.config, self.environment)

    def named(self) -> dict[str, Any]:
        """Return what the layers name, without defaults and presets. Raises ConfigError."""
        return named_values(self.config_file(), self.flags, isolated=self.isolated)

    def settings(self, facts: Mapping[str, Any] = {}) -> Settings:
        """Load the settings; for a run with these `facts`, over the stored ones, and its flags of the beginning first. Raises ConfigError."""
        config, flags = self.config_file(facts), overlay(facts.get("flags", {}), self.flags)
        settings = load_settings(config, flags, base=facts.get("settings", {}), isolated=self.isolated)
        return with_absolute_paths(settings, Path(facts["folder"])) if facts else settings

    def facts_of(self, settings: Settings, before: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Return what a run remembers of its settings, and of the texts that they name; `before`: the facts that these follow."""
        config, texts = self.config_file(before), built.named_texts(settings, before)
        binding = store.binding_facts(settings, **texts, instructions=VERSION)
        return {
            "folder": before.get("folder") or str(Path.cwd()),
            "config_file": str(config.absolute()) if config else before.get("config_file", ""),
            "flags": store.public_flags(overlay(before.get("flags", {}), self.flags)),
            "settings": store.public_settings(settings),
            "reparsed": {},
            "binding": binding,
            "settings_fingerprint": store.facts_fingerprint(binding),
            **texts,
            **dict.fromkeys((FAILURES_FACT, REFUSED_FACT)),
        }


@contextmanager
def begin_run(
    invocation: Invocation, *, paths: Sequence[str], out: Path | None, watch: Watch, stop: Stop
) -> Iterator[RunContext]:
    """Begin a run in a new directory; remove it again, but for rejected rows, where nothing could begin. Raises UsageError, StopRequested."""
    settings = with_absolute_paths(invocation.settings(), Path.cwd())
    built.require_usable_provider(settings, invocation.environment)
    named = intake.input_paths(paths, settings)
    facts = {"run_id": uuid.uuid4().hex, "created_at": store.timestamp(), **invocation.facts_of(settings)}
    path = out or default_out(named, settings.input.shard)
    with suppress(OSError):  # of a ledger that is not there
        store.refuse_other_format(RunDirectory(path).ledger)
    directory = RunDirectory.create(path)
    nothing_paid = True
    try:
        with directory.locked(fresh=True), watch(directory, settings) as observer:
            intake.copied(named, directory.path, stop)
            facts["paths"] = intake.stored_paths(named)
            with closing(Ledger.create(directory.ledger, facts)) as ledger:
                built.remember_run(facts["run_id"], settings)
                known = directory, ledger, settings, invocation.environment, observer, facts
                run = RunContext(*known, settings.run.limit, named)
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

    `inputs`: what it is to be extended by; what it has read may have changed then. Raises RunDirectoryError where there is none, another
    process has it, or settings that its answers depend on have changed and `changed` is to refuse that. `ignore` is for work without calls.
    """
    directory = RunDirectory.find(named)
    with (
        directory.locked(),
        store.damage_reported(directory.ledger),
        closing(Ledger.open(directory.ledger)) as ledger,
    ):
        facts = ledger.meta()
        store.refuse_merged(directory, facts)
        settings = invocation.settings(facts)
        if config := invocation.config_file(facts):
            facts["config_file"] = str(config.absolute())
        if changed != "ignore":
            built.require_usable_provider(settings, invocation.environment)
        if not confirmed and changed != "ignore":
            built.refuse_unknown_endpoint(facts["run_id"], settings, invocation.named())
        with watch(directory, settings) as observer:
            # a trial under --limit goes on with all users: the first limit no longer counts
            most_users = int(invocation.flags.get("run", {}).get("limit", 0))
            known = directory, ledger, settings, invocation.environment, observer, facts
            run = RunContext(*known, most_users, inputs or settings.input.paths)
            # costs are shown by the prices of today from now on, also where no config is at hand
            stored, prices = facts["settings"], store.public_settings(settings)["llm"]["price"]
            if stored["llm"].get("price") != prices:
                run.remember(settings={**stored, "llm": {**stored["llm"], "price": prices}})
            if changed != "ignore":
                accepted = changed == "accept"
                if inputs is None:
                    intake.refuse_changed_input(run, accepted=accepted)
                opening = _take_changes(run, invocation, accepted=accepted, reads_anew=inputs is not None)
                run = run._replace(observer=Observers([observer], opening))
            yield run


def default_out(paths: Sequence[str], shard: str = "") -> Path:
    """Return the run directory for an input, `<stem>.eventabs` in the current folder, or for shard i/N `<stem>.i-of-N.eventabs`."""
    first = public_address(paths[0]).partition("?")[0] if is_address(paths[0]) else paths[0]
    stem = (
        "frame" if isinstance(first, Frame) else "stdin" if first == intake.STDIN else store.input_stem(first)
    )
    part = f".{shard.replace('/', '-of-')}" if shard else ""
    return Path(f"{stem}{part}.eventabs")


def _take_changes(run: RunContext, invocation: Invocation, *, accepted: bool, reads_anew: bool) -> list[Note]:
    """Refuse settings that differ from those of the beginning, or take them for what is still pending.

    Where nothing is answered yet, only those that the input was read under, and all of a run that was copied from another, are
    refused. `reads_anew`: the input of all users, which is then compared with what is known.
    """
    facts = invocation.facts_of(run.settings, run.facts)
    changed = store.changes(run.facts["binding"], facts["binding"])
    before, now = run.facts["settings"]["input"].get("shard", ""), run.settings.input.shard
    if now != before:  # the users would be those of another run directory
        message = _(
            "this run holds {before}, not {now}; leave out --shard and input.shard, or name the run directory of {now}"
        )
        held, wanted = (
            _("shard {shard}").format(shard=shard) if shard else _("all users") for shard in (before, now)
        )
        raise RunDirectoryError(message.format(before=held, now=wanted))
    is_answered = bool(run.ledger.rows("SELECT 1 FROM answered_or_awaited LIMIT 1"))
    # the logs in the ledger depend on these settings
    is_reading = any(key.startswith(("input.", "profiles")) for key, *_values in changed)
    notes = list[Note]()
    if is_reading and not reads_anew:
        notes = intake.other_reading(run, store.shown_changes(changed), accepted=accepted)
    if changed and not accepted and (is_answered or is_reading or "copied_from" in run.facts):
        message = _(
            "settings have changed since this run began ({changes}); undo that, or take it for users not yet"
            " done with --accept-changes"
        )
        raise RunDirectoryError(message.format(changes=store.shown_changes(changed)))
    run.facts["other_input_accepted"] = accepted
    if not changed:
        return []
    run.remember(**facts)
    if run.settings.run.mode != "live" and (awaited := store.unanswered(run.ledger)):
        message = _("requests that are out ({count}) keep the earlier settings; --mode live asks them anew")
        notes.append(InputWarning("requests_out", message.format(count=len(awaited))))
    if "prompt_language" in run.facts:
        parts = (each.part for each in run.ledger.pending_parts() if not each.part.is_link)
        sample = [run.ledger.log(*part) for part in islice(parts, 500)]
        bare = run.facts | {"legend": None}
        run.remember(**(built.settled_facts(run.settings, bare, sample) if sample else {"legend": None}))
        intake.measure_again(run.ledger, *run.builder_and_limits())
    return [SettingsTaken(store.shown_changes(changed), is_answered), *notes]


def reparse(run: RunContext) -> RunState:
    """Read every stored reply anew. A part takes the events of the first reply that is usable for it.

    A part that no reply is usable for any more is failed, so that it can be asked about again. The settings that replies are
    read under are remembered beside those that the run was asked under, which the next command begins with again.
    """
    saved = run.facts.get("status", "stopped")
    status: RunStatus = "interrupted" if saved == "running" else saved  # it was killed
    if "prompt_language" in run.facts:
        settings = store.public_settings(run.settings)
        run.facts["reparsed"] = {table: settings[table] for table in ("vocabulary", "events")}
        with run.ledger.transaction():
            run.ledger.set_meta({"reparsed": run.facts["reparsed"]})
            kept, actions = _read_again(run)
        words = (word for word, _rows in actions.most_common())
        for note in built.unmet_rules(run.settings, run.facts["prompt_language"], words):
            run.observer.noted(note)
        if kept:
            message = ngettext(
                "{count} answer about rows that an extension has changed since keeps its result",
                "{count} answers about rows that an extension has changed since keep their results",
                kept,
            )
            run.observer.noted(InputWarning("kept_results", message))
    save_stopped(run, status, run.earlier_seconds)
    run.observer.noted(StateChanged(status))
    return summarize(run)


def _read_again(run: RunContext) -> tuple[int, Counter[str]]:
    """Read all replies; return how many answers keep their result, since their rows have changed, and the actions of all rows."""
    ledger, reader = run.ledger, built.make_reader(run.settings, run.facts)
    since = dict(ledger.rows("SELECT user_id, since FROM extended"))
    kept, actions = 0, Counter[str]()
    accepted: set[Part] = set()
    last: dict[Part, tuple[int, AskedUser, Outcome]] = {}  # that was not usable, and its call
    for (call_id,) in ledger.rows("SELECT id FROM calls WHERE status IN ('answered', 'read') ORDER BY id"):
        stored = ledger.stored_reply(call_id)
        actions.update(row.action for user in stored.users.values() for row in user.log.behaviors)
        outcomes = reader.read(stored.reply, stored.users).outcomes.values()
        same, changes = list[Outcome | None](), []
        for (alias, user), outcome in zip(stored.users.items(), outcomes, strict=True):
            is_same = store.digest_of(user.log.behaviors) == stored.digests[alias]
            if not is_same or since.get(user.part.user_id, 0) >= stored.call_id:
                kept += 1  # rows that are not the ones that were shown, and what an extension has kept
                same.append(None)
                continue
            same.append(outcome)
            if not outcome.usable:
                last[user.part] = stored.call_id, user, outcome
            elif user.part not in accepted:
                accepted.add(user.part)
                changes.append(PartChange(user.part, "done", accepted=outcome))
        store.store_answers(ledger, stored.call_id, stored.users.values(), same)
        ledger.settle(stored.call_id, filter(None, same), changes)
    done = {Part(*row) for row in ledger.rows("SELECT user_id, first, last FROM parts WHERE state = 'done'")}
    for part in done.intersection(last) - accepted:
        call_id, user, outcome = last[part]
        if best := acceptable(user, outcome):
            ledger.settle(call_id, [best], [PartChange(part, "done", accepted=best)])
        elif not part.is_link:
            failed = "UPDATE parts SET state = 'failed', reason = ?, events = 0, journeys = 0"
            ledger.rows(f"{failed} WHERE user_id = ? AND first = ? AND last = ?", outcome.reason, *part)
    for user_id in {part.user_id for part in done}:
        store.settled_user(ledger, user_id)
    return kept, actions


# A run about some users of another run: copied from its ledger, and asked anew under settings of its own.


def copy_users(
    source: RunDirectory, users: list[str], out: Path, invocation: Invocation, *, order: str, confirmed: bool
) -> tuple[RunDirectory, int, int, built.Plan]:
    """Make a run about `users` of another, or add those that one made before lacks; it is gone on with like any run.

    Return it with how many users are still to be asked, the calls that all take as they were planned first, and the plan of
    those that are left. No setting that answers depend on may differ, but for budget.max_users. `order` names the order of the users
    in the batches, and must be that of a run made before. Raises UsageError, also for an endpoint that only the source names unless
    that is `confirmed`.
    """
    with Ledger.watch(source.ledger) as ledger:
        origin = ledger.meta()
        origin["flags"] = overlay(origin["flags"], origin.get("reparsed", {}))
        settings = invocation.settings(origin)
        facts = invocation.facts_of(settings, origin)
        in_force = store.binding_in_force(origin)
        changed = store.changes(in_force, facts["binding"])
        # what prompts show: replies can be read under other words, users not be asked under both
        shown = (each for each in store.changes(origin["binding"], in_force) if "aliases" not in each[0])
        changed += [each for each in shown if each[0].startswith("vocabulary.") and each not in changed]
        if others := [each for each in changed if each[0] != "budget.max_users"]:
            message = _(
                "settings have changed since the run whose users are asked again ({changes}); undo that, or begin a"
                " new run"
            )
            raise RunDirectoryError(message.format(changes=store.shown_changes(others)))
        own = {"copied_from": origin["run_id"], "order": order, "binding": facts["binding"]}
        if not (is_there := RunDirectory(out).ledger.exists()):
            built.require_usable_provider(settings, invocation.environment)
            if not confirmed:
                built.refuse_unknown_endpoint(origin["run_id"], settings, invocation.named())
        directory = RunDirectory.find(out) if is_there else RunDirectory.create(out)
        with directory.locked(fresh=not is_there):
            if not is_there:
                same = {key: origin[key] for key in ("paths", "files", "prompt_language")}
                facts |= same | own | {"legend": origin.get("legend") or {}, "input_complete": True}
                facts |= {"run_id": uuid.uuid4().hex, "created_at": store.timestamp()}
                Ledger.create(directory.ledger, facts).close()
                built.remember_run(facts["run_id"], settings)
            with closing(Ledger.open(directory.ledger)) as made:
                found = made.meta()
                stale = any(found.get(key) != value for key, value in own.items())
                known = made.logged_users() if order.startswith("audit ") else ()  # sizes are compared alone
                if stale or any(made.log(user) != ledger.log(user) for user in known):
                    message = _(
                        "{path} was made of another run, before this one has changed (extend, reparse), or under another"
                        " --seed; name another folder with --out, or remove it"
                    )
                    raise RunDirectoryError(message.format(path=directory.path))
                settings = invocation.settings(found)
                builder, limits = built.builder_and_limits(settings, found)
                measured = ((log, measure_parts(log, builder, limits)) for log in map(ledger.log, users))
                intake.log_users(made, measured)
                parts = made.pending_parts()
                plan = built.plan_batches(shuffled(parts, order), limits, settings)
                first_calls = found.get("first_calls", len(plan.batches))
                counted, kept = store.count_all(made), ("paths", "fingerprint")
                read = {key: origin["input"][key] for key in kept} | {"rejected_rows": 0, "duplicates": 0}
                read |= {"users": counted.users, "behaviors": counted.behaviors}
                made.set_meta({"first_calls": first_calls, "input": read})
    return directory, len({planned.part.user_id for planned in parts}), first_calls, plan
