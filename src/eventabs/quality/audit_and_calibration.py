"""Users of a run asked again: in other company (an audit), or in calls of several sizes (a calibration)."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median_high
from typing import Final, NamedTuple

from eventabs import store
from eventabs.api import Run, RunStoppedError, aresume
from eventabs.config import overlay
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import gettext as _
from eventabs.measures import Compared, Group, groups_of, mean_of, wholes_of
from eventabs.runs import Endpoint, Invocation, Watch, copy_users, drawn
from eventabs.shared_records import Counts
from eventabs.stop_request import Stop
from eventabs.store import Ledger, RunDirectory

_REFERENCES: Final = 2  # runs of one user a prompt: what a model agrees with itself


class Arm(NamedTuple):
    """A run that asks users again, and how many it has in a prompt at most."""

    path: Path
    users: int


@dataclass(frozen=True, slots=True)
class AskingPlan:
    """Who is asked again in which runs, and what it takes, at most, by what the run's own answers took."""

    invocation: Invocation
    arms: tuple[Arm, ...]
    users: int  # of the run that has most left to ask
    calls: int  # of all runs, as the tokens
    prompt_tokens: int
    completion_tokens: int
    users_in_run: int
    own: int  # users a prompt, at most, by today's settings
    margin: float  # how far a size may lie below one user a prompt; 1 of an audit, which judges none
    endpoint: Endpoint
    cost: float | None  # None without prices

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        first, *others = self.arms  # an audit has one
        return calibration_of(self).recommended is None if others else _facts_of(first).is_open


def plan_audit(
    named: Path, invocation: Invocation, *, share: float, seed: int, out: Path | None, confirmed: bool
) -> AskingPlan:
    """Draw a share (0 to 1) of a run's users that are done, and make or extend the audit's directory; calls nobody. Raises UsageError."""
    source = RunDirectory.find(named)
    path = out or source.audit
    with Ledger.watch(source.ledger) as ledger:
        done = [user_id for user_id, state in store.states_by_user(ledger) if state == "done"]
        asked = ledger.rows("SELECT (SELECT count(*) FROM json_each(users)) FROM calls WHERE status = 'read'")
    if not done:
        message = _("no user of {path} is done yet; go on with eventabs resume")
        raise UsageError(message.format(path=source.path))
    wanted = invocation.flags.get("budget", {}).get("max_users")  # else half as many users a prompt as usual
    usual = median_high(users for (users,) in asked) if asked else 0
    arm = Arm(path, wanted or usual // 2 or 2)
    if (path / "ledger.sqlite").exists():
        with Ledger.watch(path / "ledger.sqlite") as ledger:
            arm = Arm(path, ledger.meta()["settings"]["budget"]["max_users"])
    if wanted and wanted != arm.users:
        message = _("the audit in {path} asks about {known} users a prompt; name another folder with --out")
        raise UsageError(message.format(path=path, known=arm.users))
    users, order = drawn(done, max(1, round(share * len(done))), seed), f"audit {seed}"
    return _plan(source, invocation, [arm], users, of=len(done), order=order, confirmed=confirmed)


def plan_calibration(
    named: Path,
    invocation: Invocation,
    *,
    users: int,
    sizes: Iterable[int],
    margin: float = 0.05,
    seed: int = 0,
    out: Path | None = None,
    confirmed: bool = False,
) -> AskingPlan:
    """Draw users of a run, done or not, and make a directory for each number of users a prompt; calls nobody. Raises UsageError."""
    source = RunDirectory.find(named)
    folder = out or source.path / "calibration"
    with Ledger.watch(source.ledger) as ledger:
        store.refuse_merged(source, ledger.meta())
        known = ledger.logged_users()
        own = invocation.settings(ledger.meta()).budget.max_users
    asked = drawn(known, users, seed)
    # the bound where a size makes no difference at all
    of_alike = mean_of({0.0: len(asked)}, -1.0).low
    if of_alike is None or of_alike < -margin:
        message = _(
            "{users} of {known} users are too few to show that a size lies within {margin}; take more (--users, or a larger run) or allow more (--margin)"
        )
        raise UsageError(message.format(users=len(asked), known=len(known), margin=f"{margin:g}"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    arms = [Arm(folder / "1", 1), Arm(folder / "1-again", 1)]
    arms += (Arm(folder / f"{size}", size) for size in sorted({*sizes, own} - {1}))
    order, of = f"calibration {seed}", len(known)
    return _plan(source, invocation, arms, asked, of=of, margin=margin, order=order, confirmed=confirmed)


def _plan(
    source: RunDirectory,
    invocation: Invocation,
    arms: Iterable[Arm],
    users: list[str],
    *,
    of: int,
    margin: float = 1.0,
    order: str,
    confirmed: bool,
) -> AskingPlan:
    kept: list[Arm] = []
    left = first_calls = calls = prompt = completion = 0
    with Ledger.watch(source.ledger) as ledger:
        store.refuse_merged(source, ledger.meta())
        settings = invocation.settings(ledger.meta())
        counts = store.count_all(ledger)
        ((sent,),) = ledger.rows("SELECT sum(input_tokens) FROM calls WHERE prompt_tokens > 0")
        ((expected,),) = ledger.rows("SELECT sum(output_tokens) FROM parts WHERE state <> 'pending'")
    for arm in arms:
        flags = overlay(invocation.flags, {"budget": {"max_users": arm.users}})
        directory, pending, all_calls, plan = copy_users(
            source, users, arm.path, invocation._replace(flags=flags), order=order, confirmed=confirmed
        )
        # no fewer calls than a smaller size
        if kept and arm.users > kept[-1].users and all_calls >= first_calls:
            directory.discard()
            continue
        kept.append(arm)
        left, first_calls, calls = max(left, pending), all_calls, calls + len(plan.batches)
        prompt, completion = prompt + plan.prompt_tokens, completion + sum(plan.output_tokens)
    if sent:
        prompt = round(prompt * counts.prompt_tokens / sent)
    if expected and counts.completion_tokens:
        completion = round(completion * counts.completion_tokens / expected)
    endpoint = Endpoint.stored(settings.llm.model_dump())
    return AskingPlan(
        invocation=invocation,
        arms=tuple(kept),
        users=left,
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        users_in_run=of,
        own=settings.budget.max_users,
        margin=margin,
        endpoint=endpoint,
        cost=endpoint.price.cost(prompt, completion, tier=settings.llm.tier),
    )


async def aask(plan: AskingPlan, *, confirmed: bool, observer: Watch, stop: Stop) -> Run:
    """Ask what is left, one run after another up to the first outside the margin; return the last. Raises as `aresume`."""
    limits = plan.invocation.settings().run
    for arm in plan.arms:
        if _facts_of(arm).is_open:
            others = [_facts_of(each) for each in plan.arms if each != arm]
            cost = sum(facts.cost or 0.0 for facts in others)
            tokens = sum(facts.counts.prompt_tokens + facts.counts.completion_tokens for facts in others)
            left = {  # of the limits of all runs together; 0 would be no limit
                "max_cost": max(1e-9, limits.max_cost - cost),
                "max_total_tokens": max(1, limits.max_total_tokens - tokens),
            }
            own_limits = {name: value for name, value in left.items() if getattr(limits, name)}
            own = {"budget": {"max_users": arm.users}, "run": own_limits}
            try:
                run = await aresume(
                    arm.path,
                    settings=overlay(plan.invocation.flags, own),
                    config=plan.invocation.config,
                    trust_endpoint=confirmed,
                    observer=observer,
                    stop=stop,
                )
            except RunStoppedError as error:
                if _facts_of(arm).is_open:
                    raise
                run = error.run
            if _facts_of(arm).is_open:
                break
        if len(plan.arms) > _REFERENCES and calibration_of(plan).recommended:
            break
    return run


# which size


class ArmFacts(NamedTuple):
    """What a size has brought."""

    arm: Arm
    is_open: bool  # it has something left to do
    counts: Counts
    cost: float | None
    rows: int  # the most in a call
    kept: float | None = None  # the share of a user's rows that are as with one user a prompt
    # how far that lies below what two answers with one user a prompt have in common, at most, by an exact one-sided bound
    lacks: float | None = None


class Calibration(NamedTuple):
    """What is known by now: the sizes up to the first that lacks too much, and once that is known, the best."""

    plan: AskingPlan
    arms: tuple[ArmFacts, ...]
    recommended: ArmFacts | None
    changes: dict[str, dict[str, int]]  # what to set, nested as in the TOML; nothing where they have it


def calibration_of(plan: AskingPlan) -> Calibration:
    """Judge the sizes by what their runs have brought by now: in order, so that all together err no oftener than one bound."""
    alone = [_answers(arm) for arm in plan.arms[:_REFERENCES]]
    users = alone[0].keys() & alone[1].keys()
    own = {user: _kept(alone[0][user], alone[1][user]) for user in users}
    found: list[ArmFacts] = []
    best = None
    for number, arm in enumerate(plan.arms):
        facts, shares = _facts_of(arm), own
        if number >= _REFERENCES:
            answers = _answers(arm)
            shares = {user: fmean(_kept(answers.get(user), each[user]) for each in alone) for user in users}
            # shares are rounded down to a thousandth
            above = Counter(math.floor(1_000 * (shares[user] - own[user])) / 1_000 for user in users)
            low = mean_of(above, -1.0).low
            facts = facts._replace(lacks=None if low is None else max(0.0, -low))
        found.append(facts._replace(kept=fmean(shares.values()) if shares else None))
        if facts.is_open:
            return Calibration(plan, tuple(found), None, {})
        if number >= _REFERENCES and (facts.lacks is None or facts.lacks > plan.margin):
            break
        best = found[-1]
    changes = {}
    if best and best.arm.users != plan.own:
        changes = {"budget": {"max_users": best.arm.users, "max_rows": best.rows}}
    return Calibration(plan, tuple(found), best, changes)


def _facts_of(arm: Arm) -> ArmFacts:
    with Ledger.watch(arm.path / "ledger.sqlite") as ledger:
        facts, counts = ledger.meta(), store.count_all(ledger)
        ((rows,),) = ledger.rows(  # the most in a call, none where no answer could be read
            "SELECT max((SELECT sum(json_extract(value, '$[2]') - json_extract(value, '$[1]') + 1) FROM json_each(calls.users)))"
            " FROM calls WHERE status = 'read'"
        )
    status, price = facts.get("status"), Endpoint.stored(facts["settings"]["llm"]).price
    # what gave up without an answer it could read has nothing left to do
    gave_up = status == "stopped" and rows and not counts.done and arm.users > 1
    is_open = not gave_up and (status != "completed" or counts.pending > 0)
    return ArmFacts(arm, is_open, counts, price.total(counts), rows or 0)


def _answers(arm: Arm) -> dict[str, tuple[int, list[Group]]]:
    """Return how many rows each user has that is done, and its events, each journey as one."""
    with Ledger.watch(arm.path / "ledger.sqlite") as ledger:
        rows = dict(ledger.rows("SELECT user_id, behaviors FROM users"))
        return {
            user_id: (rows[user_id], wholes_of(groups_of(*store.made_of(ledger, user_id)[:2])))
            for user_id, state in store.states_by_user(ledger)
            if state == "done"
        }


def _kept(one: tuple[int, list[Group]] | None, other: tuple[int, list[Group]]) -> float:
    """Return the share of a user's rows that are the same in two answers; of a failed user none is."""
    if one is None:
        return 0.0
    return Compared(one[1], other[1], range(one[0])).agreement()["stays"] / one[0]
