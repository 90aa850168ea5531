"""What a run would take, as tables and as JSON; and the first request of its plan."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.language import gettext as _, ngettext
from eventabs.records import STANDARD_TIER, InputWarning, Request
from eventabs.runs import Estimate
from eventabs.views import messages
from eventabs.views.console import encode, print_line
from eventabs.views.messages import count, duration, money

_LEAST_WIDTH = 80
_JSON_KEYS = (
    "users behaviors rejected_rows duplicates tokens batches lower_bound binds expected_output_tokens seconds cost"
    " case currency levels details larger_output concurrency tokens_per_second max_input_tokens max_output_tokens"
    " users_in_input paired_ends unpaired shortened skipped_lines non_behaviors unpacked compared not_compared"
    " schemas columns warnings tier prefix_tokens cost_cached"
)


def render_estimate(console: Console, estimate: Estimate) -> None:
    """Print what was understood of the input, what it holds, its tokens, the batches and what the run would cost."""
    _render_notes(console, estimate, warnings=False)
    print_line(console, "")
    tables = [_input(estimate), _tokens(estimate), _batches(estimate), _details(estimate)]
    if estimate.batches:
        tables.append(_comparison(estimate))
    for table in tables:
        # figures are never cut: in a narrower terminal the rows fold
        console.print(table, "", sep="\n", width=max(console.width, _LEAST_WIDTH), crop=False)
    if estimate.duplicates:
        equal = messages.equal_columns(estimate.compared, estimate.not_compared)
        print_line(console, _("Duplicates dropped: {equal}").format(equal=equal))
    if estimate.batches:
        print_line(console, _("Without packing: one user a call, long lines, JSON objects as answers"))
    for line in (*_larger_limit(estimate), *_time_and_cost(estimate)):
        print_line(console, line)
    _render_notes(console, estimate, warnings=True)
    if estimate.batches:
        print_line(console, messages.plan(estimate.batches, estimate.users / estimate.batches), style="bold")


def _render_notes(console: Console, estimate: Estimate, *, warnings: bool) -> None:
    """Print what was understood of the input, or what looks wrong there and in the plan."""
    for note in (*estimate.described.notes(), *_plan_warnings(estimate)):
        if isinstance(note, InputWarning) is warnings:
            print_line(console, messages.noted(note), style="yellow" if warnings else "dim")


def _plan_warnings(estimate: Estimate) -> list[InputWarning]:
    return [estimate.repriced] if estimate.repriced else []


def estimate_json(estimate: Estimate) -> bytes:
    """Return the object that estimate prints with --json, and a line end."""
    limit, unpacked = estimate.larger_output_limit, estimate.unpacked
    described = estimate.described.facts()
    fields = (
        asdict(estimate)
        | described
        | {
            "warnings": [*described["warnings"], *map(asdict, _plan_warnings(estimate))],
            "tokens": {
                "long": estimate.tokens_long,
                "compact": estimate.tokens_compact,
                "prompt_total": estimate.tokens_prompt_total,
            },
            "seconds": round(estimate.seconds, 1),
            "case": {str(budget): batches for budget, batches in estimate.case_batches.items()},
            "larger_output": limit and {"limit": limit, "batches": estimate.larger_output_batches},
            "unpacked": asdict(unpacked) | {"seconds": round(unpacked.seconds, 1)},
        }
    )
    return f"{encode({key: fields[key] for key in _JSON_KEYS.split()})}\n".encode()


def print_prompt(console: Console, request: Request) -> None:
    """Print the messages, each under its role; what they hold is printed to the letter."""
    for message in request.messages:
        console.print(Text(f"[{message['role']}]", style="bold"), soft_wrap=True)
        console.print(Text(message["content"]), soft_wrap=True)


def prompt_json(request: Request) -> bytes:
    """Return the messages, and what is asked of the answer, as the endpoint gets them."""
    body = {"messages": list(request.messages), "max_tokens": request.max_output_tokens}
    if request.response_format is not None:
        body["response_format"] = request.response_format
    if request.grammar:
        body["grammar"] = request.grammar
    return f"{encode(body)}\n".encode()


def _table(title: str, *columns: str, rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title, style="bold", min_width=26)
    for column in columns:
        table.add_column(column, justify="right", min_width=12)
    for row in rows:
        table.add_row(*row)
    return table


def _input(estimate: Estimate) -> Table:
    rows: list[tuple[str, ...]] = [(_("users"), count(estimate.users))]
    if estimate.users < estimate.users_in_input:
        rows.append((_("without --limit"), count(estimate.users_in_input)))
    rows += [
        (_("behaviors"), count(estimate.behaviors), _mean(estimate.behaviors, estimate.users)),
        (_("rejected rows"), count(estimate.rejected_rows)),
        (_("duplicates dropped"), count(estimate.duplicates)),
    ]
    if estimate.paired_ends or estimate.unpaired:
        rows.append((_("ends joined to begins"), count(estimate.paired_ends)))
        rows.append((_("without a partner"), count(estimate.unpaired)))
    if estimate.shortened:
        rows.append((_("texts cut to 200 characters"), count(estimate.shortened)))
    if estimate.skipped_lines:
        rows.append((_("titles and sums left out"), count(estimate.skipped_lines)))
    if estimate.non_behaviors:
        rows.append((_("no behaviors"), count(estimate.non_behaviors)))
    return _table(_("Input"), _("total"), _("a user"), rows=rows)


def _tokens(estimate: Estimate) -> Table:
    template = _("level {level}")
    tokens = (
        (_("long lines"), estimate.tokens_long),
        *((template.format(level=level.level), level.tokens) for level in estimate.levels),
        (_("all that is sent"), estimate.tokens_prompt_total),
    )
    long = estimate.tokens_long
    rows = (
        (label, count(number), _mean(number, estimate.behaviors), f"{number / long:.2f}" if long else "-")
        for label, number in tokens
    )
    return _table(_("Input tokens"), _("total"), _("a behavior"), _("ratio"), rows=rows)


def _batches(estimate: Estimate) -> Table:
    plans = (_("this plan"), estimate.batches), (_("lower bound"), estimate.lower_bound)
    rows = ((label, count(batches), _mean(estimate.users, batches)) for label, batches in plans)
    return _table(_("Batches"), _("batches"), _("users a batch"), rows=rows)


def _details(estimate: Estimate) -> Table:
    limits = {"input": _("input tokens"), "output": _("output tokens"), "users": _("users")}
    rows = (
        (detail.detail, count(detail.expected_output_tokens), count(detail.batches), limits[detail.binds])
        for detail in estimate.details
    )
    columns = _("output tokens"), _("batches"), _("limit that binds")
    return _table(_("Level of detail"), *columns, rows=rows)


def _comparison(estimate: Estimate) -> Table:
    """Set the plan beside one user a call: both follow from the input, neither was run."""
    other, output = estimate.unpacked, estimate.expected_output_tokens
    rows: list[tuple[str, ...]] = [
        (_("calls"), count(other.calls), count(estimate.batches)),
        (_("input tokens"), count(other.prompt_tokens), count(estimate.tokens_prompt_total)),
        (_("expected output tokens"), count(other.expected_output_tokens), count(output)),
        (_("time"), duration(other.seconds), duration(estimate.seconds)),
    ]
    if other.cost is not None and estimate.cost is not None:
        rows.append((_("cost"), *(money(cost, estimate.currency) for cost in (other.cost, estimate.cost))))
    return _table(_("Computed, not measured"), _("without packing"), _("this plan"), rows=rows)


def _mean(total: int, number: int) -> str:
    return f"{total / number:.1f}" if number else "-"


def _larger_limit(estimate: Estimate) -> list[str]:
    limit, batches = estimate.larger_output_limit, estimate.larger_output_batches
    if limit is None or batches is None:
        return []
    template = ngettext(
        "--max-output-tokens {limit} instead of {present}: {batches} batch instead of {now}",
        "--max-output-tokens {limit} instead of {present}: {batches} batches instead of {now}",
        batches,
    )
    present, now = estimate.max_output_tokens, count(estimate.batches)
    return [template.format(limit=limit, present=present, batches=count(batches), now=now)]


def _time_and_cost(estimate: Estimate) -> tuple[str, str]:
    time = _("Time: about {time}, with {calls} calls at once and {speed} output tokens a second each").format(
        time=duration(estimate.seconds), calls=estimate.concurrency, speed=f"{estimate.tokens_per_second:g}"
    )
    if estimate.cost is None:
        return time, _("Cost: unknown; set input and output prices under [llm.price] of the config")
    template = _("Cost: about {cost}")
    if estimate.tier != STANDARD_TIER:
        template = _("Cost: about {cost} at tier {tier}")
    cost = template.format(cost=money(estimate.cost, estimate.currency), tier=estimate.tier)
    if estimate.cost_cached is None:
        return time, cost
    cached = _(
        "{cost}; {less} if the endpoint has the {tokens} tokens in its cache that every prompt begins with"
    )
    less = money(estimate.cost_cached, estimate.currency)
    return time, cached.format(cost=cost, less=less, tokens=count(estimate.prefix_tokens))
