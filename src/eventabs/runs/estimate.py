"""What a run would take, from the input alone. Calls nobody."""

import heapq
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, get_args

from eventabs.config import Settings
from eventabs.errors import UsageError
from eventabs.exports import Export
from eventabs.language import Language
from eventabs.language import gettext as _
from eventabs.prompts.builder import PromptBuilder
from eventabs.prompts.detail import expected_output_tokens
from eventabs.prompts.packing import Limits, case_batches, lower_bound
from eventabs.prompts.sentences import long_pieces
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import Batch, Detail, Part, PartSize, PlannedPart, Request, UserLog
from eventabs.runs.intake import cut_to, measured_parts, refuse_unreadable, sample_texts
from eventabs.runs.planning import plan
from eventabs.runs.spool import STDIN, named_inputs, spool
from eventabs.runs.tally import Price
from eventabs.runs.wiring import (
    SAMPLED_USERS,
    batch_limits,
    make_builder,
    open_input,
    probes,
    prompt_language_of,
    template_text,
)

CASE_BUDGETS = (8_000, 40_000)  # tokens a batch: as the case had it, and as it was planned
_OUTPUT_STEP = 1_024  # larger output limits are named in steps, as models have them

Bound = Literal["input", "output", "users"]


@dataclass(frozen=True, slots=True)
class DetailEstimate:
    """The plan for one level of detail."""

    detail: str
    expected_output_tokens: int
    batches: int
    binds: Bound


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `eventabs estimate` shows. Tokens are totals; `cost` is None without prices."""

    users: int
    behaviors: int
    rejected_rows: int
    duplicates: int
    tokens_long: int
    tokens_compact: int
    tokens_prompt_total: int
    batches: int
    lower_bound: int
    binds: Bound
    expected_output_tokens: int
    seconds: float
    cost: float | None
    currency: str
    case_batches: dict[int, int]  # batches by the case's rule, by its budget (8,000 and 40,000)
    details: tuple[DetailEstimate, ...]
    larger_output_limit: int | None  # an output limit that would save calls, None if none would
    larger_output_batches: int | None
    concurrency: int
    tokens_per_second: float
    max_input_tokens: int
    max_output_tokens: int


@dataclass(slots=True)
class _Measured:
    """What one pass over the users adds up to; one small row a part."""

    counts: list[int] = field(default_factory=list)  # behaviors by user
    tokens_long: int = 0
    parts: list[Part] = field(default_factory=list)
    input_tokens: list[int] = field(default_factory=list)
    output_tokens: dict[Detail, list[int]] = field(
        default_factory=lambda: {detail: [] for detail in get_args(Detail)}
    )

    def sizes(self, detail: Detail) -> list[PartSize]:
        return list(map(PartSize, self.input_tokens, self.output_tokens[detail]))


def estimate_run(settings: Settings, paths: Sequence[str]) -> Estimate:
    """Plan a run of the input. Raises UsageError for input that cannot be read."""
    with _opened(settings, paths) as export:
        language, builder, logs = _prepared(settings, export)
        limits = batch_limits(settings, builder)
        measured = _measure(settings, logs, builder, limits, language)
        return _estimate(settings, export, measured, limits)


def first_request(settings: Settings, paths: Sequence[str]) -> Request:
    """Return the first request of the plan, exactly as it would be sent."""
    with _opened(settings, paths) as export:
        language, builder, logs = _prepared(settings, export)
        limits = batch_limits(settings, builder)
        measured = _measure(settings, logs, builder, limits, language)
        batches = _plan(measured, settings.prompt.detail, limits, settings)
        if not batches:
            message = _("the input holds no behavior that could be read; see: eventabs estimate")
            raise UsageError(message)
        wanted = [planned.part for planned in batches[0].parts]
        found = _find(export.user_logs(), {part.user_id for part in wanted})
        return builder.request(
            [cut_to(found[part.user_id], part) for part in wanted],
            max_output_tokens=limits.max_output_tokens,
        )


@contextmanager
def _opened(settings: Settings, paths: Sequence[str]) -> Iterator[Export]:
    named = named_inputs(paths, settings)
    with (
        tempfile.TemporaryDirectory(prefix="eventabs-") as folder,
        open_input(
            settings, [spool(Path(folder)) if path == STDIN else path for path in named], Path(folder)
        ) as export,
    ):
        yield export


def _prepared(settings: Settings, export: Export) -> tuple[Language, PromptBuilder, Iterator[UserLog]]:
    refuse_unreadable(export, strict=settings.input.strict, max_rejects=settings.input.max_rejects)
    logs = iter(export.user_logs())
    first = list(islice(logs, SAMPLED_USERS))
    language = prompt_language_of(settings, sample_texts(first))
    return language, make_builder(settings, language, template_text(settings)), chain(first, logs)


def _measure(
    settings: Settings, logs: Iterable[UserLog], builder: PromptBuilder, limits: Limits, language: Language
) -> _Measured:
    counter = TokenCounter(settings.prompt.tokenizer)
    measured = _Measured()
    for log in logs:
        measured.counts.append(len(log.behaviors))
        measured.tokens_long += counter.total(long_pieces(log, language))
        for part, size in measured_parts(log, builder, limits):
            measured.parts.append(part)
            measured.input_tokens.append(size.input_tokens)
            behaviors = cut_to(log, part).behaviors
            for detail, tokens in measured.output_tokens.items():
                tokens.append(expected_output_tokens(behaviors, detail, settings.prompt.answer))
    return measured


def _estimate(settings: Settings, export: Export, measured: _Measured, limits: Limits) -> Estimate:
    sizes = measured.sizes(settings.prompt.detail)
    batches = _plan(measured, settings.prompt.detail, limits, settings)
    bound, binds = lower_bound(sizes, limits)
    output = sum(size.output_tokens for size in sizes)
    compact = sum(measured.input_tokens)
    prompt_total = compact + limits.instructions_tokens * len(batches)
    larger = _larger_output_limit(measured, limits, settings)
    price = settings.llm.price
    return Estimate(
        users=export.users,
        behaviors=export.behaviors,
        rejected_rows=export.rejected_rows,
        duplicates=export.duplicates,
        tokens_long=measured.tokens_long,
        tokens_compact=compact,
        tokens_prompt_total=prompt_total,
        batches=len(batches),
        lower_bound=bound,
        binds=binds,
        expected_output_tokens=output,
        seconds=_schedule_seconds(
            [sum(planned.size.output_tokens for planned in batch.parts) for batch in batches],
            workers=settings.run.concurrency,
            tokens_per_second=settings.llm.tokens_per_second,
        ),
        cost=Price(price.input, price.output).cost(prompt_total, output),
        currency=price.currency,
        case_batches={budget: case_batches(measured.counts, budget) for budget in CASE_BUDGETS},
        details=tuple(_of_detail(measured, detail, limits, settings) for detail in get_args(Detail)),
        larger_output_limit=larger[0] if larger else None,
        larger_output_batches=larger[1] if larger else None,
        concurrency=settings.run.concurrency,
        tokens_per_second=settings.llm.tokens_per_second,
        max_input_tokens=limits.max_input_tokens,
        max_output_tokens=limits.max_output_tokens,
    )


def _plan(measured: _Measured, detail: Detail, limits: Limits, settings: Settings) -> list[Batch]:
    """Return the plan that a run would begin with."""
    parts = list(map(PlannedPart, measured.parts, measured.sizes(detail)))
    return plan(parts, limits, probe=probes(settings))


def _of_detail(measured: _Measured, detail: Detail, limits: Limits, settings: Settings) -> DetailEstimate:
    _bound, binds = lower_bound(measured.sizes(detail), limits)
    batches = len(_plan(measured, detail, limits, settings))
    return DetailEstimate(detail, sum(measured.output_tokens[detail]), batches, binds)


def _larger_output_limit(measured: _Measured, limits: Limits, settings: Settings) -> tuple[int, int] | None:
    """Return the output limit from which on another limit binds, and the batches under it."""
    detail = settings.prompt.detail
    output = sum(measured.output_tokens[detail])
    others, _binds = lower_bound(measured.sizes(detail), replace(limits, max_output_tokens=max(1, output)))
    needed = -(-output // max(1, others))
    limit = -(-needed // _OUTPUT_STEP) * _OUTPUT_STEP
    if limit <= limits.max_output_tokens:
        return None
    larger = replace(limits, max_output_tokens=limit)
    batches = len(_plan(measured, detail, larger, settings))
    return (limit, batches) if batches < len(_plan(measured, detail, limits, settings)) else None


def _schedule_seconds(output_tokens: Sequence[int], *, workers: int, tokens_per_second: float) -> float:
    """Return when the last of the batches, taken in this order by the first free worker, is written."""
    free = [0.0] * workers
    for tokens in output_tokens:
        heapq.heapreplace(free, free[0] + tokens / tokens_per_second)
    return max(free)


def _find(logs: Iterable[UserLog], wanted: set[str]) -> Mapping[str, UserLog]:
    return {log.user_id: log for log in logs if log.user_id in wanted}
