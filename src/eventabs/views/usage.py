"""What a run has used so far, in words and as JSON: tokens, cached ones, calls and cost, by tier."""

from collections.abc import Iterator, Mapping

from eventabs import runs
from eventabs.language import gettext as _, ngettext
from eventabs.records import Counts
from eventabs.views import messages
from eventabs.views.console import one_line
from eventabs.views.messages import average, clock, count, joined, listed, money


def progress_line(progress: runs.Progress, currency: str) -> str:
    """Return the counts of a run as one line."""
    parts = [
        _("batches {done} of {total}").format(
            done=count(progress.batches_done), total=count(progress.batches_total)
        ),
        _("users {done} done, {failed} failed of {total}").format(
            done=count(progress.done), failed=count(progress.failed), total=count(progress.users)
        ),
        tokens(progress.prompt_tokens, progress.completion_tokens, progress.cached_tokens),
        messages.in_flight(progress),
        listed((messages.retries(progress.retries), *messages.causes(progress.retry_causes))),
    ]
    if progress.tokens_per_second is not None:
        parts.append(speed(progress.tokens_per_second))
    if progress.cost is not None:
        parts.append(_("cost {cost}").format(cost=money(progress.cost, currency)))
    if progress.cost_projected is not None:
        parts.append(_("of about {cost}").format(cost=money(progress.cost_projected, currency)))
    parts += tiers(progress, progress.tier_costs, currency)
    if progress.eta_seconds:
        parts.append(_("{time} left").format(time=clock(progress.eta_seconds)))
    return joined(parts)


def speed(tokens_per_second: float) -> str:
    """Name the tokens that come in a second."""
    return _("{count} tokens/s").format(count=average(tokens_per_second))


def asked_again(numbers: Mapping[str, int]) -> str:
    """Count the users that are asked again after a bad answer, with the reasons; "" where there are none."""
    of_each = "{reason} ×{users}" if len(numbers) > 1 else "{reason}"
    reasons = (
        of_each.format(reason=messages.reason(code), users=count(users))
        for code, users in messages.most_frequent(numbers)
    )
    template = _("{users} ({reasons})")
    asked = messages.users(sum(numbers.values()))
    return template.format(users=asked, reasons=listed(reasons)) if numbers else ""


def tokens(prompt: int, completion: int, cached: int = 0) -> str:
    """Count tokens in and out, and those in that the endpoint had in its cache, where it had some."""
    template = _("tokens {prompt} in, {completion} out")
    if cached:
        template = _("tokens {prompt} in ({cached} cached), {completion} out")
    return template.format(prompt=count(prompt), cached=count(cached), completion=count(completion))


def tiers(counts: Counts, costs: Mapping[str, float | None], currency: str) -> Iterator[str]:
    """Tell the calls and the cost of each tier, where another than the ordinary one served some."""
    for tier, use in counts.by_tier.items():
        if counts.has_other_tiers and use["calls"]:
            calls = ngettext("{count} call", "{count} calls", use["calls"]).format(count=count(use["calls"]))
            cost = costs.get(tier)
            template = _("tier {tier}: {calls}") if cost is None else _("tier {tier}: {calls}, {cost}")
            yield template.format(tier=one_line(tier), calls=calls, cost=money(cost or 0.0, currency))


def tier_fields(counts: Counts, costs: Mapping[str, float | None]) -> dict[str, dict[str, float | None]]:
    """Return the calls, tokens and cost of each tier as JSON has them; empty where the ordinary one served all."""
    if not counts.has_other_tiers:
        return {}
    rounded = {tier: None if cost is None else round(cost, 6) for tier, cost in costs.items()}
    return {tier: {**use, "cost": rounded.get(tier)} for tier, use in counts.by_tier.items()}
