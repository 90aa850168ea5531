"""What a run would take, as tables and as JSON; and the first request of its plan."""

from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.language import gettext as _, ngettext
from eventabs.records import Request
from eventabs.runs import Estimate
from eventabs.views import wording
from eventabs.views.console import encode, print_line
from eventabs.views.wording import count, duration, money

_LEAST_WIDTH = 80


def render_estimate(console: Console, estimate: Estimate) -> None:
    """Print what the input holds, its tokens, the batches and what the run would cost."""
    tables = [_input(estimate), _tokens(estimate), _batches(estimate), _details(estimate)]
    if estimate.batches:
        tables.append(_comparison(estimate))
    for table in tables:
        # figures are never cut: in a narrower terminal the rows fold
        console.print(table, "", sep="\n", width=max(console.width, _LEAST_WIDTH), crop=False)
    if estimate.batches:
        print_line(console, _("Without packing: one user a call, long lines, JSON objects as answers"))
    for line in (*_larger_limit(estimate), _time(estimate), _cost(estimate)):
        print_line(console, line)
    if estimate.batches:
        print_line(console, wording.plan(estimate.batches, estimate.users / estimate.batches), style="bold")


def estimate_json(estimate: Estimate) -> bytes:
    """Return the object that estimate prints with --json, and a line end."""
    larger = None
    if estimate.larger_output_limit is not None:
        larger = {"limit": estimate.larger_output_limit, "batches": estimate.larger_output_batches}
    tokens = {
        "long": estimate.tokens_long,
        "compact": estimate.tokens_compact,
        "prompt_total": estimate.tokens_prompt_total,
    }
    fields = {
        "users": estimate.users,
        "behaviors": estimate.behaviors,
        "rejected_rows": estimate.rejected_rows,
        "duplicates": estimate.duplicates,
        "tokens": tokens,
        "batches": estimate.batches,
        "lower_bound": estimate.lower_bound,
        "binds": estimate.binds,
        "expected_output_tokens": estimate.expected_output_tokens,
        "seconds": round(estimate.seconds, 1),
        "cost": estimate.cost,
        "case": {str(budget): batches for budget, batches in estimate.case_batches.items()},
        "currency": estimate.currency,
        "levels": [asdict(level) for level in estimate.levels],
        "details": [asdict(detail) for detail in estimate.details],
        "larger_output": larger,
        "concurrency": estimate.concurrency,
        "tokens_per_second": estimate.tokens_per_second,
        "max_input_tokens": estimate.max_input_tokens,
        "max_output_tokens": estimate.max_output_tokens,
        "users_in_input": estimate.users_in_input,
        "paired_ends": estimate.paired_ends,
        "unpaired": estimate.unpaired,
        "unpacked": asdict(estimate.unpacked) | {"seconds": round(estimate.unpacked.seconds, 1)},
    }
    return f"{encode(fields)}\n".encode()


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
    return f"{encode(body)}\n".encode()


def _table(title: str, *columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title, style="bold", min_width=26)
    for column in columns:
        table.add_column(column, justify="right", min_width=12)
    return table


def _input(estimate: Estimate) -> Table:
    table = _table(_("Input"), _("total"), _("a user"))
    table.add_row(_("users"), count(estimate.users))
    if estimate.users < estimate.users_in_input:
        table.add_row(_("without --limit"), count(estimate.users_in_input))
    table.add_row(_("behaviors"), count(estimate.behaviors), _mean(estimate.behaviors, estimate.users))
    table.add_row(_("rejected rows"), count(estimate.rejected_rows))
    table.add_row(_("duplicates dropped"), count(estimate.duplicates))
    if estimate.paired_ends or estimate.unpaired:
        table.add_row(_("ends joined to begins"), count(estimate.paired_ends))
        table.add_row(_("without a partner"), count(estimate.unpaired))
    return table


def _tokens(estimate: Estimate) -> Table:
    table = _table(_("Input tokens"), _("total"), _("a behavior"), _("ratio"))
    template = _("level {level}")
    rows = (
        (_("long lines"), estimate.tokens_long),
        *((template.format(level=level.level), level.tokens) for level in estimate.levels),
        (_("all that is sent"), estimate.tokens_prompt_total),
    )
    for label, tokens in rows:
        ratio = f"{tokens / estimate.tokens_long:.2f}" if estimate.tokens_long else "-"
        table.add_row(label, count(tokens), _mean(tokens, estimate.behaviors), ratio)
    return table


def _batches(estimate: Estimate) -> Table:
    table = _table(_("Batches"), _("batches"), _("users a batch"))
    for label, batches in ((_("this plan"), estimate.batches), (_("lower bound"), estimate.lower_bound)):
        table.add_row(label, count(batches), _mean(estimate.users, batches))
    return table


def _details(estimate: Estimate) -> Table:
    table = _table(_("Level of detail"), _("output tokens"), _("batches"), _("limit that binds"))
    for detail in estimate.details:
        row = (detail.detail, count(detail.expected_output_tokens), count(detail.batches))
        table.add_row(*row, Text(_limit(detail.binds)))
    return table


def _comparison(estimate: Estimate) -> Table:
    """Set the plan beside one user a call: both follow from the input, neither was run."""
    table = _table(_("Computed, not measured"), _("without packing"), _("this plan"))
    other = estimate.unpacked
    table.add_row(_("calls"), count(other.calls), count(estimate.batches))
    table.add_row(_("input tokens"), count(other.prompt_tokens), count(estimate.tokens_prompt_total))
    outputs = other.expected_output_tokens, estimate.expected_output_tokens
    table.add_row(_("expected output tokens"), *map(count, outputs))
    table.add_row(_("time"), duration(other.seconds), duration(estimate.seconds))
    if other.cost is not None and estimate.cost is not None:
        costs = (money(cost, estimate.currency) for cost in (other.cost, estimate.cost))
        table.add_row(_("cost"), *costs)
    return table


def _mean(total: int, number: int) -> str:
    return f"{total / number:.1f}" if number else "-"


def _limit(binds: str) -> str:
    return {"input": _("input tokens"), "output": _("output tokens"), "users": _("users")}[binds]


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


def _time(estimate: Estimate) -> str:
    template = _("Time: about {time}, with {calls} calls at once and {speed} output tokens a second each")
    return template.format(
        time=duration(estimate.seconds), calls=estimate.concurrency, speed=f"{estimate.tokens_per_second:g}"
    )


def _cost(estimate: Estimate) -> str:
    if estimate.cost is None:
        return _("Cost: unknown; set input and output prices under [llm.price] of the config")
    return _("Cost: about {cost}").format(cost=money(estimate.cost, estimate.currency))
