"""What an extension would take, from the ledger and the export, without a call and without a trace."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eventabs.config import Settings
from eventabs.ingest import Export
from eventabs.prompts import plan
from eventabs.records import Part, PlannedPart
from eventabs.runs.components import batch_limits, make_builder, probes, prompt_language_in
from eventabs.runs.description import InputDescription, describe
from eventabs.runs.estimate import OnCopy, opened_export, schedule_seconds
from eventabs.runs.extension.intake import refuse_unextendable
from eventabs.runs.extension.plan import Planner, pause_seconds
from eventabs.runs.extension.survey import survey, user_changes
from eventabs.runs.intake import refuse_unreadable
from eventabs.runs.lifecycle import Invocation, settings_of_today
from eventabs.runs.observer import ExtensionCounts
from eventabs.stop import Stop
from eventabs.store import Ledger, RunDirectory, last_call, refuse_merged


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionEstimate(ExtensionCounts):
    """What `estimate --extend` shows: what is new in an export, and what all that a run would ask about then costs.

    `users`: those who would be asked about, with what waits in the run already. Changes are counted as accepted.
    """

    users: int
    batches: int
    prompt_tokens: int
    expected_output_tokens: int
    seconds: float
    cost: float | None
    currency: str
    lateness: str
    described: InputDescription


def estimate_extension(
    invocation: Invocation, named: Path, paths: Sequence[str], on_copy: OnCopy = lambda _copying: None
) -> ExtensionEstimate:
    """Plan the extension of a run. Raises UsageError."""
    directory = RunDirectory.find(named)
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        refuse_merged(directory, facts)
        settings = settings_of_today(invocation, facts)
        refuse_unextendable(settings, facts, ledger)
        language = prompt_language_in(facts)
        builder = make_builder(settings, language, facts["template"], facts.get("legend"))
        limits = batch_limits(settings, builder)
        planner = Planner(
            ledger,
            builder,
            limits,
            pause_seconds(settings),
            settings.prompt.detail == "day",
            last_call(ledger),
        )
        with opened_export(settings, paths, on_copy) as export:
            refuse_unreadable(export, max_rejects=settings.input.max_rejects)
            pending, counts = _planned(export, planner, settings)
            described = describe(export, settings, language)
    batches = plan(pending, limits, probe=probes(settings), workers=settings.run.concurrency)
    prompt = sum(planned.size.input_tokens for planned in pending) + limits.instructions_tokens * len(batches)
    output = [sum(planned.size.output_tokens for planned in batch.parts) for batch in batches]
    price = settings.llm.price.of_tokens()
    return ExtensionEstimate(
        **asdict(counts),
        users=len({planned.part.user_id for planned in pending}),
        batches=len(batches),
        prompt_tokens=prompt,
        expected_output_tokens=sum(output),
        seconds=schedule_seconds(output, settings),
        cost=price.cost(prompt, sum(output), tier=settings.llm.tier),
        currency=settings.llm.price.currency,
        lateness=settings.extend.lateness,
        described=described,
    )


def _planned(
    export: Export, planner: Planner, settings: Settings
) -> tuple[list[PlannedPart], ExtensionCounts]:
    """Return all parts that would be asked about, and what the export counts for."""
    lateness, stop, counts = settings.extend.lateness_seconds, Stop(), ExtensionCounts()
    pending = {planned.part: planned for planned in planner.ledger.pending_parts()}
    found = survey(export, planner.ledger, lateness=lateness, stop=stop)
    for change in user_changes(export, planner.ledger, found, lateness=lateness, stop=stop):
        user, counted = planner.plan(change)
        counts += counted
        if user is not None:
            for gone in user.gone:
                pending.pop(Part(user.log.user_id, gone.first, gone.last), None)
            pending |= {part: PlannedPart(part, size) for part, size in user.fresh}
    return list(pending.values()), counts
