"""A calibration: a sample asked under different settings, and the cheapest that agrees as the model agrees with itself."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from eventabs.api import Run, RunStoppedError, aresume
from eventabs.choices import Compaction
from eventabs.config import Settings, load_settings, overlay, read_toml
from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.measures import (
    Compared,
    Figure,
    Group,
    f1_of,
    figure_of,
    groups_of,
    lower_bound,
    same_events,
)
from eventabs.providers import Price, kind_of
from eventabs.records import Counts
from eventabs.runs import (
    MAX_FAILURES,
    Invocation,
    PlannedUse,
    Watch,
    begin_run,
    copy_users,
    default_out,
    pending_use,
    read_sample,
    use_under,
)
from eventabs.stop import Stop
from eventabs.store import Ledger, RunDirectory, count_all, events_of, host_of, states_by_user

CONFIDENCE: Final = 0.95  # that what is recommended lies within the margin
_LEDGER: Final = "ledger.sqlite"
_ANSWERED: Final = (
    "SELECT count(*) FILTER (WHERE status = 'read'), count(*) FILTER (WHERE status = 'failed') FROM calls"
)

Answers = Mapping[str, Sequence[Group]]
Pairs = Callable[[Sequence[Group], Sequence[Group]], Sequence[tuple[int, int]]]
Row = tuple[
    float, ...
]  # pairs with both answers of one user a prompt, events, pairs of these two, their events


class Arm(NamedTuple):
    """A setting to try. `model` is "" for the config's own, else the second one. `again`: the same once more."""

    users: int
    level: Compaction
    summary: str
    model: str = ""
    again: bool = False

    @property
    def name(self) -> str:
        """The name of its run directory."""
        second = "-second" if self.model else ""
        return f"{self.users}-{self.level}-{self.summary}{second}{'-again' if self.again else ''}"

    @property
    def flags(self) -> dict[str, dict[str, Any]]:
        """What it sets, nested as in the TOML; of the model only what the caller knows."""
        return {
            "budget": {"max_users": self.users},
            "compaction": {"level": self.level},
            "prompt": {"summary": self.summary},
        }


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """What an arm has brought. `settled`: it is completed, or the model cannot answer so at all. `counts`, `cost` and `seconds` are of its run; `behaviors` of the users that are done.

    `agreement`: events that are the same (type, Dice 0.8) in it and in one user a prompt, the F1 of one against the
    other, over both answers of one user a prompt; `same_behaviors`: likewise, the very same ones. `shortfall`: how far the agreement lies
    below the model's own at most, by a one-sided bound; None where it has none. `within`: it lies within the margin.
    """

    arm: Arm
    status: str
    settled: bool
    counts: Counts
    cost: float | None
    currency: str
    seconds: float
    coverage: float | None
    agreement: Figure
    same_behaviors: Figure
    shortfall: float | None
    within: bool

    @property
    def tokens(self) -> int:
        """All that were read and written."""
        return self.counts.prompt_tokens + self.counts.completion_tokens


def cheapest(arms: Sequence[ArmFacts]) -> ArmFacts:
    """Return the arm that costs least, by tokens where a cost is not known."""
    known = all(facts.cost is not None for facts in arms)
    return min(arms, key=lambda facts: (facts.cost or 0.0 if known else 0.0, facts.tokens))


class ArmReader:
    """Reads arms under a folder against one user a prompt, asked twice. `tail`: of the bound of each arm."""

    def __init__(self, folder: Path, one: Arm, *, margin: float, tail: float, seed: int) -> None:
        self._folder = folder
        self._references = (one, one._replace(again=True))
        self._margin = margin
        self._tail = tail
        self._seed = seed
        self._settled: dict[Arm, ArmFacts] = {}

    def has(self, arm: Arm) -> bool:
        """Whether an arm has been begun."""
        return (self._folder / arm.name / _LEDGER).is_file()

    def read(self, arm: Arm) -> ArmFacts:
        """Return what an arm has brought by now; what is settled is read once."""
        if arm in self._settled:
            return self._settled[arm]
        found = self._read(arm)
        if found.settled and all(map(self.has, self._references)):
            self._settled[arm] = found
        return found

    def _read(self, arm: Arm) -> ArmFacts:
        with Ledger.watch(self._folder / arm.name / _LEDGER) as ledger:
            facts, counts = ledger.meta(), count_all(ledger)
            answers = _answers(ledger)
            ((read, failed),) = ledger.rows(_ANSWERED)
        status = facts.get("status", "interrupted")
        price = facts["settings"]["llm"]["price"]
        rows, same = self._rows(arm, answers)
        bound = lower_bound(rows, difference, tail=self._tail, seed=self._seed)
        return ArmFacts(
            arm=arm,
            status=status,
            settled=status == "completed"
            or (status == "stopped" and read >= MAX_FAILURES and not failed and not counts.done),
            counts=counts,
            cost=Price.of(price).total(counts),
            currency=price["currency"],
            seconds=float(facts.get("progress", {}).get("seconds", 0.0)),
            coverage=counts.covered / counts.behaviors if counts.behaviors else None,
            agreement=figure_of(rows, _agreement, self._seed),
            same_behaviors=figure_of(same, _agreement, self._seed),
            shortfall=None if bound is None else max(0.0, -bound),
            within=bound is not None and bound >= -self._margin,
        )

    def _rows(self, arm: Arm, answers: Answers) -> tuple[list[Row], list[Row]]:
        """Return by user that both references have done what the agreement is made of; then of the very same behaviors."""
        if not all(map(self.has, self._references)):
            return [], []
        first, second = map(self._answers_of, self._references)
        users = sorted(first.keys() & second.keys())
        if arm in self._references:
            told = [
                (first[user], (second[user], second[user]), (first[user], second[user])) for user in users
            ]
        else:  # a failed user has no events
            told = [
                (answers.get(user, []), (first[user], second[user]), (first[user], second[user]))
                for user in users
            ]
        stable, same = (
            [row_of(pairs, ours, theirs, own) for ours, theirs, own in told]
            for pairs in (same_events, lambda one, other: Compared(one, other).pairs(1.0))
        )
        return stable, same

    def _answers_of(self, arm: Arm) -> Answers:
        with Ledger.watch(self._folder / arm.name / _LEDGER) as ledger:
            return _answers(ledger)


def _answers(ledger: Ledger) -> Answers:
    """Return the events of users that are done, but for those that a rule has added."""
    return {
        user_id: groups_of(event for event in events_of(ledger, user_id) if event["source"] != "must")
        for user_id, state in states_by_user(ledger)
        if state == "done"
    }


def row_of(
    pairs: Pairs,
    ours: Sequence[Group],
    theirs: tuple[Sequence[Group], Sequence[Group]],
    own: tuple[Sequence[Group], Sequence[Group]],
) -> Row:
    """Return what the agreement of a user's events with two answers, and of two answers with each other, is made of."""
    both = sum(len(pairs(ours, each)) for each in theirs)
    return both, sum(len(ours) + len(each) for each in theirs), len(pairs(*own)), sum(map(len, own))


def _agreement(sums: Sequence[float]) -> float | None:
    return f1_of(sums[0], sums[1], 0)


def difference(sums: Sequence[float]) -> float | None:
    """Return how far an agreement lies above that of the two answers."""
    return 2 * sums[0] / sums[1] - 2 * sums[2] / sums[3] if sums[1] and sums[3] else None


SUFFIX: Final = ".calibration"
_SAMPLE: Final = "sample"  # the run directory that holds the users
_LEAST_COST: Final = 1e-9

OnArm = Callable[[Arm], object]


@dataclass(frozen=True, slots=True)
class CalibrationChoice:
    """What a calibration tries: `sizes` are users a prompt, the config's own number apart; `second` is a config file.

    `margin`: how far the agreement may lie below the model's own.
    """

    users: int = 200
    seed: int = 0
    margin: float = 0.01
    sizes: tuple[int, ...] = (1, 4, 8, 16, 32)
    levels: tuple[Compaction, ...] = ("line", "legend", "day")
    summaries: tuple[str, ...] = ("short", "none")
    second: Path | None = None


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """What is tried on which users. `use` and `cost` are what is still to be asked takes, at most.

    `own` is the config's own setting, `sizes` the numbers of users a prompt that make other batches than that.
    """

    folder: Path
    choice: CalibrationChoice
    own: Arm
    sizes: tuple[int, ...]
    second: Mapping[str, Any]
    users: int
    users_in_input: int
    model: str
    host: str
    use: PlannedUse
    arms: int
    cost: float | None
    currency: str

    @property
    def one(self) -> Arm:
        """One user a prompt under the config's own level and summaries."""
        return self.own._replace(users=1)

    @property
    def questions(self) -> int:
        """How many chains of settings are judged; together they err as often as one bound may."""
        others = (self._other_levels, self._other_summaries, self._other_models)
        return 1 + sum(len(changed(self.one)) for changed in others)

    def _other_levels(self, best: Arm) -> list[Arm]:
        return [best._replace(level=level) for level in self.choice.levels if level != self.own.level]

    def _other_summaries(self, best: Arm) -> list[Arm]:
        return [best._replace(summary=each) for each in self.choice.summaries if each != self.own.summary]

    def _other_models(self, best: Arm) -> list[Arm]:
        return [best._replace(model=self.second["model"])] if self.second else []

    def reader(self) -> ArmReader:
        """Make what reads the arms."""
        tail = (1 - CONFIDENCE) / self.questions
        return ArmReader(self.folder, self.one, margin=self.choice.margin, tail=tail, seed=self.choice.seed)

    def stages(self, read: Callable[[Arm], ArmFacts | None]) -> "Iterator[list[Arm]]":
        """Yield the arms of each stage, which are read before the next: later ones stand on the best of those before.

        What is not there yet does not become the best. The last stage yields the best alone.
        """
        one = self.one
        sizes = [self.own._replace(users=size) for size in self.sizes]
        yield [one, one._replace(again=True), *sizes]
        best = one
        for arm in (
            sizes
        ):  # in this order, up to the first that is not within: so the chain errs no oftener than one bound
            facts = read(arm)
            if facts is None or not facts.within:
                break
            best = arm
        for changed in (self._other_levels, self._other_summaries, self._other_models):
            arms = changed(best)
            yield arms
            found = [facts for facts in map(read, [best, *arms]) if facts is not None]
            fitting = [facts for facts in found if facts.within or facts.arm == best]
            best = cheapest(fitting).arm if fitting else best
        yield [best]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known by now: the arms in the order of their stages, and once all are there, the cheapest within the margin."""

    plan: CalibrationPlan
    arms: tuple[ArmFacts, ...]
    recommended: ArmFacts | None

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        """What to set in the config, nested as in the TOML; nothing where its own setting is the best."""
        own = self.plan.own
        if self.recommended is None or self.recommended.arm == own:
            return {}
        arm = self.recommended.arm
        wanted = {
            ("budget", "max_users"): (own.users, arm.users),
            ("compaction", "level"): (own.level, arm.level),
            ("prompt", "summary"): (own.summary, arm.summary),
        }
        second = self.plan.choice.second
        changes: dict[str, dict[str, Any]] = {"llm": read_toml(second)["llm"]} if arm.model and second else {}
        for (section, key), (before, now) in wanted.items():
            if before != now:
                changes.setdefault(section, {})[key] = now
        return changes


def plan_calibration(
    inputs: Sequence[str],
    invocation: Invocation,
    choice: CalibrationChoice,
    *,
    out: Path | None,
    watch: Watch,
    stop: Stop,
) -> CalibrationPlan:
    """Read the input, keep a sample of its users, and plan what to ask; calls nobody.

    A calibration that is there is gone on with; its input is not read again. Raises UsageError.
    """
    settings = invocation.settings()
    own = Arm(settings.budget.max_users, settings.compaction.level, settings.prompt.summary)
    folder = out or default_out(list(inputs) or list(settings.input.paths) or ["-"]).with_suffix(SUFFIX)
    _take_sample(folder, inputs, invocation, choice, watch=watch, stop=stop)
    source = RunDirectory.find(folder / _SAMPLE)
    with Ledger.watch(source.ledger) as ledger:
        users, facts = len(ledger.logged_users()), ledger.meta()
    is_remote = kind_of(settings.provider).is_remote
    plan = CalibrationPlan(
        folder=folder,
        choice=choice,
        own=own,
        sizes=tuple(_other_batches(source, invocation, choice.sizes, own)),
        second=_second(choice.second),
        users=users,
        users_in_input=facts["sample"]["of"],
        model=settings.llm.model if is_remote else "",
        host=host_of(settings.llm.base_url) if is_remote else "",
        use=PlannedUse(0, 0, 0, 0),
        arms=0,
        cost=None,
        currency=settings.llm.price.currency,
    )
    return _with_use(plan, source, invocation, settings)


def _take_sample(
    folder: Path,
    inputs: Sequence[str],
    invocation: Invocation,
    choice: CalibrationChoice,
    *,
    watch: Watch,
    stop: Stop,
) -> None:
    """Read the input into the sample's run directory, unless that has been done."""
    directory = RunDirectory(folder / _SAMPLE)
    wanted = {"users": choice.users, "seed": choice.seed}
    if directory.ledger.is_file() and not directory.in_use():
        with Ledger.watch(directory.ledger) as ledger:
            facts = ledger.meta()
        if facts.get("input_complete"):
            if any(facts["sample"][key] != value for key, value in wanted.items()):
                message = _(
                    "{path} holds other users than --users and --seed say; name another folder with --out"
                )
                raise UsageError(message.format(path=folder))
            return
        directory.discard()  # its process was killed while it read
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = replace(invocation, flags=overlay(invocation.flags, {"run": {"limit": 0}}))
    with begin_run(whole, paths=inputs, out=directory.path, watch=watch, stop=stop) as run:
        read_sample(run, stop, **wanted)


def _other_batches(
    source: RunDirectory, invocation: Invocation, sizes: Sequence[int], own: Arm
) -> Iterator[int]:
    """Yield the numbers of users a prompt above one that are worth a try, in order, the config's own among them.

    A number that the other limits do not let come about makes the batches of another.
    """

    def calls_of(size: int) -> int:
        flags = own._replace(users=size).flags
        under = replace(invocation, flags=overlay(invocation.flags, flags))
        return use_under(source, under, flags).calls

    most = calls_of(own.users)
    for size in sorted({*sizes, own.users} - {1}):
        calls = calls_of(size)
        if size == own.users or (size < own.users and calls > most) or (size > own.users and calls < most):
            yield size


def _second(config: Path | None) -> dict[str, Any]:
    """Return the [llm] of a config file, nested as in the TOML; {} where none is named."""
    if config is None:
        return {}
    llm = load_settings(config, {}, isolated=True).llm
    if not llm.model:
        message = _("{path} names no llm.model; the second model is the one that it names")
        raise UsageError(message.format(path=config))
    return llm.model_dump()


def _flags(plan: CalibrationPlan, arm: Arm) -> dict[str, dict[str, Any]]:
    return arm.flags | ({"llm": dict(plan.second)} if arm.model else {})


def _under(plan: CalibrationPlan, arm: Arm, invocation: Invocation) -> Invocation:
    return replace(invocation, flags=overlay(invocation.flags, _flags(plan, arm)))


def _with_use(
    plan: CalibrationPlan, source: RunDirectory, invocation: Invocation, settings: Settings
) -> CalibrationPlan:
    """Return the plan with what is left to ask; of settings that stand on answers to come, as if with one user a prompt."""
    reader = plan.reader()
    use, cost, arms = plan.use, 0.0, 0
    prices = True
    for stage in plan.stages(lambda arm: _settled(reader, arm)):
        for arm in stage:
            if _settled(reader, arm):
                continue
            under = _under(plan, arm, invocation)
            left = (
                pending_use(RunDirectory(plan.folder / arm.name), under)
                if reader.has(arm)
                else use_under(source, under, _flags(plan, arm))
            )
            price = under.settings().llm.price.of_tokens()
            takes = price.cost(left.prompt_tokens, left.completion_tokens)
            prices = prices and takes is not None
            use, cost, arms = use.plus(left), cost + (takes or 0.0), arms + 1
    is_paid = prices and kind_of(settings.provider).is_remote
    return replace(plan, use=use._replace(users=plan.users), arms=arms, cost=cost if is_paid else None)


def _settled(reader: ArmReader, arm: Arm) -> ArmFacts | None:
    if not reader.has(arm):
        return None
    facts = reader.read(arm)
    return facts if facts.settled else None


def calibration_of(plan: CalibrationPlan) -> Calibration:
    """Return what the arms have brought by now, also while somebody works on them."""
    reader = plan.reader()
    *tried, (best,) = plan.stages(lambda arm: _settled(reader, arm))
    found = [reader.read(arm) for stage in tried for arm in stage if reader.has(arm)]
    complete = all(_settled(reader, arm) for stage in tried for arm in stage)
    return Calibration(plan, tuple(found), reader.read(best) if complete else None)


async def acalibrate(
    plan: CalibrationPlan,
    invocation: Invocation,
    *,
    watch: Watch,
    stop: Stop,
    confirmed: bool = False,
    on_arm: OnArm = lambda _arm: None,
) -> Run:
    """Ask what is left, one arm after another; return the last run.

    `run.max_cost` and `run.max_total_tokens` hold for all arms together. Raises as `aresume`, and UsageError where nothing is left.
    """
    reader = plan.reader()
    run: Run | None = None
    for stage in plan.stages(lambda arm: _settled(reader, arm)):
        for arm in stage:
            if _settled(reader, arm):
                continue
            on_arm(arm)
            directory = await asyncio.to_thread(_begun, plan, arm, invocation, confirmed=confirmed)
            under = _under(plan, arm, invocation)
            try:
                run = await aresume(
                    directory.path,
                    settings=overlay(under.flags, {"run": _limits_left(plan, arm, under)}),
                    config=invocation.config,
                    trust_endpoint=confirmed,
                    observer=watch,
                    stop=stop,
                )
            except RunStoppedError as error:  # no answer under these settings is one too
                run = error.run
                if not _settled(reader, arm):
                    raise
            if run.status == "interrupted":
                return run
    if run is None:
        message = _("nothing is left to ask in {path}")
        raise UsageError(message.format(path=plan.folder))
    return run


def _begun(plan: CalibrationPlan, arm: Arm, invocation: Invocation, *, confirmed: bool) -> RunDirectory:
    source = RunDirectory(plan.folder / _SAMPLE)
    with Ledger.watch(source.ledger) as ledger:
        users = sorted(ledger.logged_users())
    return copy_users(
        source,
        users,
        plan.folder / arm.name,
        _under(plan, arm, invocation),
        changed=_flags(plan, arm),
        order=f"calibration {plan.choice.seed}",
        confirmed=confirmed,
    )


def _limits_left(plan: CalibrationPlan, arm: Arm, under: Invocation) -> dict[str, float]:
    """Return the limits of an arm: those of all, less what the other arms have used; never 0, which is none."""
    limits = under.settings().run
    cost, tokens = 0.0, 0
    for path in plan.folder.glob("*/ledger.sqlite"):
        if path.parent.name not in {arm.name, _SAMPLE}:
            with Ledger.watch(path) as ledger:
                counts, llm = count_all(ledger), ledger.meta()["settings"]["llm"]
            cost += Price.of(llm["price"]).total(counts) or 0.0
            tokens += counts.prompt_tokens + counts.completion_tokens
    left: dict[str, float] = {}
    if limits.max_cost:
        left["max_cost"] = max(_LEAST_COST, limits.max_cost - cost)
    if limits.max_total_tokens:
        left["max_total_tokens"] = max(1, limits.max_total_tokens - tokens)
    return left
