"""An audit: some users of a run asked again, with other neighbors, in another order and in batches of another size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eventabs.api import Run, aresume
from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.providers import kind_of
from eventabs.runs import (
    Invocation,
    Observer,
    PlannedUse,
    Watch,
    copy_users,
    drawn,
    pending_use,
    settings_of_today,
)
from eventabs.stop import Stop
from eventabs.store import Ledger, RunDirectory, count_all, host_of, refuse_merged, states_by_user

_USUAL_USERS: Final = (  # in a batch of the run: the median
    "SELECT users FROM (SELECT (SELECT count(*) FROM json_each(calls.users)) AS users FROM calls WHERE status = 'read')"
    " ORDER BY users LIMIT 1 OFFSET (SELECT count(*) FROM calls WHERE status = 'read') / 2"
)


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What an audit is still to ask, and what that takes by what the run's own answers took.

    `is_open`: it has not been completed, be it that answers have only to be read. `users_a_prompt`: at most. `model` and `host` are "" where no model is called, `cost` is None without prices.
    """

    path: Path
    is_open: bool
    use: PlannedUse
    users_in_run: int
    users_a_prompt: int
    model: str
    host: str
    cost: float | None
    currency: str


def plan_audit(
    named: Path,
    invocation: Invocation,
    *,
    share: float,
    seed: int = 0,
    out: Path | None = None,
    confirmed: bool = False,
) -> AuditPlan:
    """Draw a share (0 to 1) of a run's users that are done, and make the audit's directory; calls nobody.

    The same share again goes on with the audit that is there, a larger one adds users to it. The users a prompt are those
    of `budget.max_users` where `invocation` has a flag for it, else half of the run's usual number. Raises UsageError, also for an
    endpoint that only the run directory names, unless that is `confirmed`.
    """
    source = RunDirectory.find(named)
    path = out or source.audit
    with Ledger.watch(source.ledger) as ledger:
        refuse_merged(source, ledger.meta())
        done = [user_id for user_id, state in states_by_user(ledger) if state == "done"]
        usual = ledger.rows(_USUAL_USERS)
    if not done:
        message = _("no user of {path} is done yet; go on with eventabs resume")
        raise UsageError(message.format(path=source.path))
    size = _users_a_prompt(path, invocation, usual[0][0] if usual else 1)
    directory = copy_users(
        source,
        drawn(done, max(1, round(share * len(done))), seed),
        path,
        invocation,
        changed={"budget": {"max_users": size}},
        order=f"audit {seed}",
        confirmed=confirmed,
        seed=seed,
    )
    return _planned(source, directory, invocation, len(done), size)


def _users_a_prompt(path: Path, invocation: Invocation, usual: int) -> int:
    wanted: int | None = invocation.flags.get("budget", {}).get("max_users")
    if not (path / "ledger.sqlite").exists():
        return wanted or max(1, usual // 2 if usual > 1 else 2)
    with Ledger.watch(path / "ledger.sqlite") as ledger:
        known: int = ledger.meta()["settings"]["budget"]["max_users"]
    if wanted not in (None, known):
        message = _("the audit in {path} asks about {known} users a prompt; name another folder with --out")
        raise UsageError(message.format(path=path, known=known))
    return known


def _planned(
    source: RunDirectory, directory: RunDirectory, invocation: Invocation, done: int, size: int
) -> AuditPlan:
    use = pending_use(directory, invocation)
    with Ledger.watch(source.ledger) as ledger:
        use = _as_answered(use, ledger)
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
    settings = settings_of_today(invocation, facts)
    llm, is_remote = settings.llm, kind_of(settings.provider).is_remote
    return AuditPlan(
        path=directory.path,
        is_open=facts.get("status") != "completed",
        use=use,
        users_in_run=done,
        users_a_prompt=size,
        model=llm.model if is_remote else "",
        host=host_of(llm.base_url) if is_remote else "",
        cost=llm.price.of_tokens().cost(use.prompt_tokens, use.completion_tokens, tier=llm.tier)
        if is_remote
        else None,
        currency=llm.price.currency,
    )


def _as_answered(use: PlannedUse, ledger: Ledger) -> PlannedUse:
    """Return a plan in the tokens that the run's own calls came to, for each that was planned."""
    counts = count_all(ledger)
    ((sent,),) = ledger.rows("SELECT sum(input_tokens) FROM calls WHERE prompt_tokens > 0")
    ((expected,),) = ledger.rows("SELECT sum(output_tokens) FROM parts WHERE state <> 'pending'")
    return use._replace(
        prompt_tokens=round(use.prompt_tokens * counts.prompt_tokens / sent) if sent else use.prompt_tokens,
        completion_tokens=round(use.completion_tokens * counts.completion_tokens / expected)
        if expected and counts.completion_tokens
        else use.completion_tokens,
    )


async def aaudit(
    plan: AuditPlan,
    invocation: Invocation,
    *,
    confirmed: bool = False,
    observer: Observer | Watch | None = None,
    stop: Stop | None = None,
) -> Run:
    """Ask what is left of an audit. Raises as `aresume`, which it is; nothing is bought twice."""
    return await aresume(
        plan.path,
        settings=invocation.flags,
        config=invocation.config,
        trust_endpoint=confirmed,
        observer=observer,
        stop=stop,
    )
