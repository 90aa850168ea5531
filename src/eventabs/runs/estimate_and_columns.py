"""Before a run: what it or an extension would take, without a call; and which column plays which role, as a model says it."""

import asyncio
import heapq
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, field
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson

from eventabs import prompts, providers  # providers load the HTTP stack when first looked up
from eventabs.config import Settings, explained_settings, overlay
from eventabs.errors_and_exit_codes import ConfigError, EndpointError, InputError, StorageError, UsageError
from eventabs.ingest import SHOWN_ROWS, Export, input_table, masked_sample, open_export
from eventabs.interface_language import gettext as _, ngettext
from eventabs.object_stores import is_address
from eventabs.prompts import BatchLimits, Bound, PromptBuilder, TokenCounter
from eventabs.providers import load_preset
from eventabs.replies import without_reasoning
from eventabs.runs import built_from_settings as built, intake
from eventabs.runs.extension import Planner, Survey, refuse_unextendable
from eventabs.runs.intake import InputDescription
from eventabs.runs.observer import ExtensionCounts
from eventabs.runs.start_resume_reparse import Invocation
from eventabs.setting_choices import Compaction
from eventabs.shared_records import BATCH_TIER, Batch, Copying, InputWarning, PlannedPart, Record, Request
from eventabs.stop_request import Stop
from eventabs.store import Ledger, RunDirectory, host_of, refuse_merged

CASE_BUDGETS = (8_000, 40_000)  # tokens a batch: as the case had it, and as it was planned
_OUTPUT_STEP = 1_024  # larger output limits are named in steps, as models have them
_SAMPLED_USERS = 1_000  # by about as many, where there are more, long lines and other levels are judged,
_SAMPLED_ROWS = 100_000  # or by fewer who have about as many rows: each is read
_SAMPLED_PLACES = 32  # in order of the users, evenly spread, where these are taken from
OnCopy = Callable[[Copying], object]


class Use(Record):
    """What batches take; `seconds`: until the last of them is answered, `cost`: None without prices."""

    batches: int
    prompt_tokens: int
    expected_output_tokens: int
    seconds: float
    cost: float | None


class Estimate(Use, kw_only=True):
    """What `eventabs estimate` shows. Tokens are totals; `cost` counts no token as cached.

    `cost_cached`: the cost where the endpoint has the `prefix_tokens`, with which every prompt begins, in its cache for all calls
    but the first; None where that changes nothing or is not known. `repriced`: prompts that their length makes dearer.
    `linking_calls`: how many more calls at most say which journeys of users in several pieces are one, where one suffices for each;
    nothing else counts them, since how many journeys there will be is not known.

    `users`: those that a run would ask about, fewer than are in the input under --limit; all but `described` is about them.
    `sampled`: of how many of them `dense` and the tokens of the long form follow; None: of all.
    """

    users: int
    behaviors: int
    tokens_long: int
    tokens_compact: int
    lower_bound: int
    binds: Bound
    currency: str
    case_batches: dict[int, int]  # batches by the case's rule, by its budget (8,000 and 40,000)
    # batches and tokens of all prompts at this level; None: it is in force, or the user's own template does not explain it
    dense: dict[str, int] | None
    larger_output: dict[str, int] | None  # a limit that would save calls, and the batches; None if none would
    settings: Settings = field(repr=False)
    unpacked: Use  # the same users without packing: a call for each, and long lines without a legend
    described: InputDescription
    tier: str
    prefix_tokens: int = 0
    cost_cached: float | None = None
    repriced: InputWarning | None = None
    linking_calls: int = 0
    sampled: int | None = None


def _tier(settings: Settings) -> str:
    """Return the tier that answers a run."""
    return BATCH_TIER if settings.run.mode == "batch" else settings.llm.tier


def estimate_run(settings: Settings, paths: Sequence[str], on_copy: OnCopy) -> Estimate:
    """Plan a run of the input. Raises UsageError for input that cannot be read."""
    counts, parts, tokens_long = list[int](), list[PlannedPart](), 0
    at_dense, dense_parts, of_sampled = None, list[PlannedPart](), list[int]()
    with opened_export(settings, paths, on_copy) as export:
        builder, limits = _builder_at(settings.compaction.level, settings, export)
        language = builder.instructions.language
        if settings.compaction.level != "dense":
            with suppress(ConfigError):  # a template of the user's own need not explain it
                at_dense = _builder_at("dense", settings, export)
        users = min(settings.run.limit or export.users, export.users)
        with_rows = max(1, _SAMPLED_ROWS * export.users // max(1, export.behaviors))
        most, stretch = min(_SAMPLED_USERS, with_rows, users), -(-users // _SAMPLED_PLACES)
        for group in export.groups(settings.run.limit):
            places = enumerate(range(len(counts), len(counts) + len(group.users)))
            spread = {number for number, place in places if place % stretch * users < stretch * most}
            counts += [user.behaviors for user in group.users]
            parts += [PlannedPart(*each) for each in prompts.measure_group(group, builder, limits)]
            for log in group.logs(spread):
                of_sampled.append(len(log.behaviors))
                tokens_long += builder.counter.total(prompts.long_pieces(log, language))
                if at_dense:
                    dense_parts += [PlannedPart(*each) for each in prompts.measure_parts(log, *at_dense)]
        described = intake.describe_export(export, settings, language)
    # what DuckDB held is free now
    batches, prompt_total, outputs = built.plan_batches(parts, limits, settings)
    scale, dense = sum(counts) / max(1, sum(of_sampled)), None
    tokens_long = round(tokens_long * scale)
    if at_dense:
        dense_batches, tokens, _outputs = built.plan_batches(dense_parts, at_dense[1], settings)
        dense = {"batches": round(len(dense_batches) * scale), "prompt_total": round(tokens * scale)}
    use, sizes = _use(settings, prompt_total, outputs), [planned.size for planned in parts]
    bound, binds = prompts.lower_bound(sizes, limits)
    alone = sorted(map(builder.expected_tokens, counts), reverse=True)
    long_prompts = tokens_long + len(alone) * (builder.instructions_tokens - builder.legend_tokens)
    price, tier = settings.llm.price, _tier(settings)
    # an endpoint can have the equal beginning of all prompts but the first in its cache
    least = load_preset(settings.llm.preset).least_cached_tokens
    prefix = limits.instructions_tokens
    cacheable = prefix * max(0, len(batches) - 1) if prefix >= least and price.cached_input is not None else 0
    cost_cached = price.cost(prompt_total, use.expected_output_tokens, cacheable, tier)
    pieces = Counter(planned.part.user_id for planned in parts)
    return Estimate(
        **asdict(use),
        users=len(counts),
        behaviors=sum(counts),
        tokens_long=tokens_long,
        tokens_compact=prompt_total - (prefix - builder.legend_tokens) * len(batches),
        lower_bound=bound,
        binds=binds,
        currency=settings.llm.price.currency,
        case_batches={budget: _case_batches(counts, budget) for budget in CASE_BUDGETS},
        dense=dense,
        larger_output=_larger_output(parts, limits, settings, len(batches)),
        settings=settings,
        unpacked=_use(settings, long_prompts, alone),
        described=described,
        tier=tier,
        prefix_tokens=prefix,
        cost_cached=cost_cached if cacheable else None,
        repriced=_repriced(settings, batches, limits),
        linking_calls=sum(number > 1 for number in pieces.values()) if settings.is_remote else 0,
        sampled=len(of_sampled) if len(of_sampled) < len(counts) else None,
    )


def describe_input(settings: Settings, paths: Sequence[str]) -> InputDescription:
    """Read the input and say what was understood of it. Raises UsageError for input that cannot be read."""
    with opened_export(settings, paths) as export:
        sample = list(islice(export.user_logs(), built.LANGUAGE_USERS))
        refusal, _share = intake.refusal_of(export, settings.input)
        if refusal and settings.input.strict:  # else its rows and columns are what helps
            raise InputError(refusal)
        found = intake.describe_export(export, settings, built.prompt_language_of(settings, sample))
        told = (InputWarning("refused", refusal),) if refusal else ()
        return found._replace(warnings=(*found.warnings, *told))


def first_request(settings: Settings, paths: Sequence[str], on_copy: OnCopy) -> Request:
    """Return the first request of the plan, exactly as it would be sent."""
    with opened_export(settings, paths, on_copy) as export:
        builder, limits = _builder_at(settings.compaction.level, settings, export)
        groups = export.groups(settings.run.limit)
        measured = (prompts.measure_group(group, builder, limits) for group in groups)
        parts = [PlannedPart(*each) for of_group in measured for each in of_group]
        batches = built.plan_batches(parts, limits, settings).batches
        if not batches:
            raise UsageError(_("the input holds no behavior that could be read; see: eventabs estimate"))
        wanted = [planned.part for planned in batches[0].parts]
        users = {part.user_id for part in wanted}
        found = {log.user_id: log for log in export.user_logs() if log.user_id in users}
        logs = [prompts.log_of_part(found[part.user_id], part) for part in wanted]
        return builder.request(logs, max_output_tokens=limits.max_output_tokens)


@contextmanager
def opened_export(
    settings: Settings, paths: Sequence[str], on_copy: OnCopy = lambda _copying: None
) -> Iterator[Export]:
    """Open the input with its scratch files in a folder of their own. Raises UsageError, and StorageError where there is no room."""
    named = intake.input_paths(paths, settings)
    try:
        scratch = tempfile.TemporaryDirectory(prefix="eventabs-")
    except OSError as error:
        message = _("no folder for scratch files can be written ({error}); let TMPDIR name one that has room")
        raise StorageError(message.format(error=error.strerror)) from None
    with scratch as name:
        folder = Path(name)
        read, columns = intake.copied(named, folder, Stop()), settings.profiles.columns
        with open_export(read, settings.input, columns, work_dir=folder, on_copy=on_copy) as export:
            yield export


def _builder_at(level: Compaction, settings: Settings, export: Export) -> tuple[PromptBuilder, BatchLimits]:
    """Make the builder of prompts at a level, as a run would, with the limits of a batch. Raises InputError for an unreadable export."""
    intake.refuse_unreadable(export, settings.input)
    own = settings.model_copy(update={"compaction": settings.compaction.model_copy(update={"level": level})})
    facts = {"template": built.named_text(own.prompt.template, "prompt.template")}
    sample = prompts.sampled(export.user_logs())
    return built.builder_and_limits(own, facts | built.settled_facts(own, facts, sample))


def _repriced(settings: Settings, batches: Sequence[Batch], limits: BatchLimits) -> InputWarning | None:
    llm = settings.llm
    limit = load_preset(llm.preset).known_model(llm.model).repriced_above or inf
    above = sum(limits.input_tokens(planned.size for planned in batch.parts) > limit for batch in batches)
    if not above:
        return None
    message = ngettext(
        "{count} prompt has more than {limit} tokens, from where on {model} has a higher price for the whole call, which the"
        " cost above leaves out; set budget.max_input_tokens = {plain}",
        "{count} prompts have more than {limit} tokens, from where on {model} has a higher price for the whole call, which the"
        " cost above leaves out; set budget.max_input_tokens = {plain}",
        above,
    )
    return InputWarning("repriced", message.format(limit=f"{limit:,}", plain=limit, model=llm.model))


def _larger_output(
    parts: Sequence[PlannedPart], limits: BatchLimits, settings: Settings, planned: int
) -> dict[str, int] | None:
    """Return the output limit from which on another limit binds, and the batches under it, if less than `planned`."""
    sizes = [each.size for each in parts]
    output = sum(size.output_tokens for size in sizes)
    others, _binds = prompts.lower_bound(sizes, limits._replace(max_output_tokens=max(1, output)))
    limit = -(-output // (max(1, others) * _OUTPUT_STEP)) * _OUTPUT_STEP
    if limit <= limits.max_output_tokens:
        return None
    batches = len(built.plan_batches(parts, limits._replace(max_output_tokens=limit), settings).batches)
    return {"limit": limit, "batches": batches} if batches < planned else None


def _case_batches(counts: Sequence[int], budget: int) -> int:
    """Return how many batches the practice makes that this tool replaces, from behaviors by user: in order, tokens guessed."""
    batches = load = 0
    for count in counts:
        tokens = 50 * count + 100
        if not batches or load + tokens > budget:
            batches += 1
            load = 0
        load += tokens
    return batches


def _use(settings: Settings, prompt_tokens: int, output_tokens: Sequence[int]) -> Use:
    """Return what calls take, by the expected tokens of each answer, in the order in which the first free worker takes them."""
    free = [0.0] * settings.run.concurrency
    for tokens in output_tokens:
        heapq.heapreplace(free, free[0] + tokens / settings.llm.tokens_per_second)
    output = sum(output_tokens)
    cost = settings.llm.price.cost(prompt_tokens, output, tier=_tier(settings))
    return Use(len(output_tokens), prompt_tokens, output, max(free), cost)


class ExtensionEstimate(ExtensionCounts, Use, kw_only=True):
    """What `estimate --extend` shows: what is new in an export, and what all that a run would ask about then costs.

    `users`: those who would be asked about, with what waits in the run already. Changes are counted as accepted.
    """

    users: int
    currency: str
    lateness: str
    described: InputDescription


def estimate_extension(
    invocation: Invocation, named: Path, paths: Sequence[str], on_copy: OnCopy
) -> ExtensionEstimate:
    """Plan the extension of a run. Raises UsageError."""
    directory = RunDirectory.find(named)
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        refuse_merged(directory, facts)
        settings = invocation.settings(facts)
        refuse_unextendable(facts, ledger, directory.path)
        prompt = built.builder_and_limits(settings, facts | {"extension": True}, is_sent=settings.is_remote)
        planner, limits = Planner(ledger, settings, *prompt), prompt[1]
        pending = dict[str, list[PlannedPart]]()
        for planned in ledger.pending_parts():
            pending.setdefault(planned.part.user_id, []).append(planned)
        with opened_export(settings, paths, on_copy) as export:
            intake.refuse_unreadable(export, settings.input)
            for change in Survey(export, ledger, settings.extend.lateness_seconds, Stop()).changes():
                if user := planner.plan(change):
                    pending[change.seen.user_id] = [PlannedPart(*each) for each in user.asked]
            described = intake.describe_export(export, settings, facts["prompt_language"])
    parts = [planned for of_user in pending.values() for planned in of_user]
    return ExtensionEstimate(
        **planner.counts,
        **asdict(_use(settings, *built.plan_batches(parts, limits, settings)[1:])),
        users=sum(map(bool, pending.values())),
        currency=settings.llm.price.currency,
        lateness=settings.extend.lateness,
        described=described,
    )


# `columns --ask`: the answer of a model is read beside the proposal by values.
_COMPARED: Final = 2000  # lines of the first file, whose rows are compared one by one
_MAY_SET: Final = {"user", "dayfirst", "timezone", "duration_unit", "columns", "names"}
# warnings that speak neither of users and times nor of durations: zones, what lines show, and roles found by name; and that
# nobody comes back, since a model saw the other columns
_BESIDE_FACTS: Final = {
    *("utc_times", "foreign_times", "hidden_object", "unused_column", "guessed_activity", "many_users"),
    *("one_action", "one_object", "no_object", "unwrapped"),
    *("gave_way", "fuller_column", "early_ends", "later_times", "python_objects"),
}
_SETTING: Final = re.compile(r"input(?:\.columns[.\]]|\]) ?(\w+)")  # as messages name it
_SAID: Final = {"text", "action", "item", "place", "app", "media", "category"}  # what was done
_FACTS: Final = ("user", "time", "duration", "activity")
_Rows = dict[int, tuple[str, ...]]  # the _FACTS of each row of the first file, by line


class ReadColumns(NamedTuple):
    """Tables of the config file, how the input is read by them, why that is `refused`, and `doubts` of the reading."""

    proposal: str
    described: InputDescription | None = None
    refused: str = ""
    doubts: tuple[str, ...] = ()


class Difference(NamedTuple):
    """In how many rows two readings differ, and the line of the first with what it is by each."""

    what: str
    rows: int
    line: int
    by_model: str
    by_values: str


class AskedColumns(NamedTuple):
    """The columns by a model beside those by values; `left_out`: what of its answer is not used, and why."""

    model: ReadColumns
    values: ReadColumns
    agree: bool
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...] = ()

    def chosen(self, which: Literal["model", "values"]) -> dict[str, Any]:
        """Return the settings of one of both. Raises UsageError where the input is not soundly read by them."""
        read = self.model if which == "model" else self.values
        if read.doubts:
            message = _("nothing is written, since the input is not soundly read so: {doubt}; take the other")
            raise UsageError(message.format(doubt=read.doubts[0]))
        return tomllib.loads(read.proposal)


def ask_columns(
    invocation: Invocation, inputs: Sequence[str], on_request: Callable[[str], object]
) -> AskedColumns:
    """Ask the model once about the first file; `on_request` hears before what is sent. Raises UsageError and EndpointError."""
    settings = invocation.settings()
    if not settings.is_remote:
        raise UsageError(_("--ask asks a model, and none is named; set llm.model or --model"))
    built.require_usable_provider(settings, invocation.environment)
    paths = intake.input_paths(inputs, settings)
    if any(path == intake.STDIN or is_address(path) for path in paths):
        raise UsageError(_("--ask reads the input several times; copy it to a file, and name that"))
    with tempfile.TemporaryDirectory(prefix="eventabs-") as folder:
        sample, header, tables = masked_sample(paths, Path(folder), settings.input)
    explained = explained_settings("en", all_of_them=True).partition("[input.columns]\n")[2]
    roles = explained.partition("\n\n\n")[0].replace("\n## Rarely changed", "")
    question = Path(__file__).with_name("columns_question.txt").read_text("utf-8")
    text = question.replace("$roles", roles) + sample
    tokens = TokenCounter(settings.prompt.tokenizer).count(text)
    values, by_values = _read(invocation, {}, paths)
    if values.refused and values.proposal:
        proposed, by_values = _read(invocation, tomllib.loads(values.proposal)["input"], paths)
        values = proposed._replace(refused=values.refused)
    message = _(
        "Sent to {model} at {host}: names and types of the columns and {rows} rows of {path}, without ids of users; {tokens} tokens"
    )
    llm = settings.llm
    sent = {"model": llm.model, "host": host_of(llm.base_url), "rows": SHOWN_ROWS, "path": paths[0]}
    on_request(message.format(**sent, tokens=f"{tokens:,}"))
    request = Request(({"role": "user", "content": text},), {}, tokens, settings.budget.max_output_tokens)
    prober = providers.Prober(providers.endpoint_of(llm, invocation.environment))
    answer = parsed_columns(asyncio.run(prober.ask(request)).text, header, tables)
    model, by_model, left_out = _read_without_faults(invocation, answer, paths, values)
    differences = tuple(_differences(by_model, by_values))
    if table := answer.get("table"):  # its lines are others
        differences = (Difference("table", len(by_model), min(by_model, default=0), table, ""),)
    one, other = model.described, values.described
    agree = bool(one and other and one.read == other.read and not differences)
    return AskedColumns(model, values, agree, differences, left_out)


def parsed_columns(text: str, header: Sequence[str], tables: Collection[str]) -> dict[str, Any]:
    """Return the settings of [input] in an answer, TOML or JSON, with the names of columns without any; it may name one of `tables`. Raises EndpointError."""
    text = without_reasoning(text)[0]
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL) or re.search(r"([\[{].*)", text, re.DOTALL)
    answer: Any = None
    for loads in (tomllib.loads, orjson.loads):
        with suppress(ValueError):
            answer = loads(found[1] if found else "")
    answer = answer.get("input", answer) if isinstance(answer, dict) else None
    columns: Any = answer.get("columns") if isinstance(answer, dict) else None
    fault = ""
    if not isinstance(columns, dict) or not {"user", "time"} <= columns.keys():
        fault = _("it is no table [input.columns] with user and time")
    elif others := sorted(answer.keys() - _MAY_SET - ({"table"} if answer.get("table") in tables else set())):
        fault = _("it sets input.{key}").format(key=others[0])
    if fault:
        message = _("the model's answer cannot be used: {fault}; ask again, or name the columns yourself")
        raise EndpointError(message.format(fault=fault))
    # what it leaves out is not guessed from values
    columns = {"action": "=record" if _SAID.isdisjoint(columns) else "-", "item": "-", **columns}
    return {**answer, "columns": columns, **({"header": header} if header else {})}


def _read_without_faults(
    invocation: Invocation, answer: dict[str, Any], paths: Sequence[str], values: ReadColumns
) -> tuple[ReadColumns, _Rows, tuple[str, ...]]:
    """Read the input by an answer, without what doubts name and rows can do without; also return what was left out, and why."""
    columns, left = answer["columns"], list[str]()
    spoken = (role for role in ("action", "item", "text") if str(columns.get(role) or "-")[0] not in "-=")
    roles = set[str](dict(invocation.settings().input.columns))
    unneeded = {*roles, *columns} - {"user", "time", "date", next(spoken, "")}
    while True:
        read, rows = _read(invocation, answer, paths, beside=values)
        proposed = tomllib.loads(read.proposal).get("input", {}) if read.refused else {}
        if "timezone" in proposed and "timezone" not in answer:
            answer["timezone"] = proposed["timezone"]
            continue
        named = ((key, doubt) for doubt in read.doubts for key in _SETTING.findall(doubt) if key in unneeded)
        if not (fault := next(named, None)):
            if "max_rejects" in proposed and "max_rejects" not in answer:  # doubted where values lose fewer
                answer["max_rejects"] = proposed["max_rejects"]
                continue
            break
        key, doubt = fault
        unneeded.remove(key)
        held = (read.described.found.columns if read.described else {}) | columns
        left.append(_("; ").join((f"{key} = {held[key]}" if key in held else key, doubt)))
        columns.pop(key, None)
        columns |= {key: "-"} if key in roles else {}  # not found by its name either
    if answer.pop("dayfirst", None) is not None:
        other, others = _read(invocation, answer, paths, beside=values)
        lost = [each.described.read.rejected_rows if each.described else inf for each in (other, read)]
        if lost[0] < lost[1]:
            left.append(_("dayfirst; without it more rows can be read"))
            read, rows = other, others
    return read, rows, tuple(left)


def _read(
    invocation: Invocation, given: Mapping[str, Any], paths: Sequence[str], beside: ReadColumns | None = None
) -> tuple[ReadColumns, _Rows]:
    """Read the input with settings of [input] `given`; also return rows of the first file. Raises ConfigError."""
    doubts = tuple[str, ...]()
    try:
        settings = invocation._replace(flags=overlay(invocation.flags, {"input": given})).settings()
        with opened_export(settings, paths) as export:
            doubts = tuple(_doubts(export, beside, settings.input.most_rejects)) if beside else ()
            intake.refuse_unreadable(export, settings.input)
            rows: _Rows = {
                row.line: (log.user_id, f"{row.start}", f"{row.duration}", " ".join(row[1:4]))
                for log in export.user_logs()
                for row in log.behaviors
                if row.file == 0 and row.line <= _COMPARED
            }
            found = tomllib.loads(export.description.proposal)["input"]
            described = intake.describe_export(export, settings)
            return ReadColumns(_tables(overlay(found, given)), described, doubts=doubts), rows
    except ConfigError as error:
        if not beside:
            raise
        return ReadColumns("", refused=str(error), doubts=(str(error),)), {}
    except InputError as error:
        proposal = error.proposal or (_tables(given) if given else "")
        return ReadColumns(proposal, refused=str(error), doubts=(str(error), *doubts)), {}


def _tables(given: Mapping[str, Any]) -> str:
    return input_table({key: given[key] for key in given if key != "columns"}, given.get("columns", {}))


def _doubts(export: Export, beside: ReadColumns, most: float) -> Iterator[str]:
    """Say why a reading is not sound: it rejects more than the one `beside` it, or has warnings of its own on users, times or durations."""
    least = beside.described.read.rejected_rows if beside.described else 0
    count = export.rejected_rows - export.reasons.get("bad_duration", 0)  # these are left out, or put up with
    if export.rejected_rows > most * export.rows:
        for reason, role in (("bad_duration", "duration"), ("bad_duration", "end"), ("bad_time", "offset")):
            if reason in export.reasons and role in export.description.columns:
                message = _("{count} rows cannot be read: {reason}; to do without: {setting}")
                setting = f'[input.columns] {role} = "-"'
                yield message.format(count=export.reasons[reason], reason=reason, setting=setting)
    elif count > least + export.rows // 50:  # 2 %
        first = next(each for each in export.rejects() if each.reason != "bad_duration")
        message = _("{count} rows cannot be read, by values {least}; the first is line {line}: {reason}")
        yield message.format(count=count, least=least, line=first.line, reason=first.reason)
    # days alone are no doubt where no other reading is sound
    known = _BESIDE_FACTS | ({"midnights"} if beside.refused else set())
    known |= {each.code for each in beside.described.warnings} if beside.described else set()
    yield from (each.message for each in export.description.warnings if each.code not in known)


def _differences(model: _Rows, values: _Rows) -> Iterator[Difference]:
    """Yield what rows differ in that both have, and the rows that one of both lacks."""
    both = sorted(model.keys() & values.keys())
    for number, what in enumerate(_FACTS):
        if lines := [line for line in both if model[line][number] != values[line][number]]:
            one, other = (rows[lines[0]][number] for rows in (model, values))
            yield Difference(what, len(lines), lines[0], one, other)
    if model and values and (lines := sorted(model.keys() ^ values.keys())):
        one, other = (" ".join(rows.get(lines[0], ())) for rows in (model, values))
        yield Difference("rows", len(lines), lines[0], one, other)
