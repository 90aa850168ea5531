"""A run from start to stop: what is done in which order, and in which state it is left."""

import asyncio
import time
from contextlib import suppress

from eventabs import interrupts
from eventabs.errors import RunDirectoryError, StoppedError, UsageError
from eventabs.exports import Export
from eventabs.language import gettext as _
from eventabs.runs.binding import host_of
from eventabs.runs.calling import call_everybody
from eventabs.runs.intake import refuse_unreadable, take_in
from eventabs.runs.job import Job
from eventabs.runs.ledger_results import failure_reasons
from eventabs.runs.measuring import measured_logs
from eventabs.runs.observer import InputRead, RunStatus, Started, StateChanged, Summary
from eventabs.runs.results import write_rejects, write_results
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.spool import STDIN, spooled
from eventabs.runs.wiring import batch_limits, legend_of, open_input, prompt_language_of, sampled

_USUAL_ENCODINGS = ("utf-8", "")  # "": Parquet has none


def conduct(job: Job, *, resumed: bool) -> Summary:
    """Read what is not read yet, call for what is not answered yet, and leave everything in order."""
    began = time.monotonic()
    status: RunStatus = "completed"
    cause = ""
    with interrupts.restored():
        interrupts.interrupt()
        try:
            job.observer.started(_start_facts(job, resumed=resumed))
            job.remember(status="running", began_at=time.time())
            if not job.facts.get("input_complete"):
                _read_input(job)
            job.save(job.tally(), status="running")
            if asyncio.run(call_everybody(job)):
                status = "interrupted"
        except StoppedError as error:
            status, cause = "stopped", str(error)
        except KeyboardInterrupt:
            status = "interrupted"
        except UsageError:
            leave(job, "stopped")
            raise
        interrupts.ignore()  # it is only moments until everything is saved
        leave(job, status)
        job.remember(ended_at=time.time())
        job.observer.noted(StateChanged(status, cause))
        return summarize(job, status, time.monotonic() - began)


def _read_input(job: Job) -> None:
    settings = job.settings
    # what came by standard input lies in the run directory, wherever that has been moved to
    paths = [spooled(job.directory.path) if path == STDIN else path for path in job.facts["paths"]]
    with open_input(settings, paths, job.directory.work) as export:
        _refuse_other_input(job, export)
        refuse_unreadable(export, max_rejects=settings.input.max_rejects)
        first = sampled(export.user_logs())
        language = job.facts.get("prompt_language") or prompt_language_of(settings, first)
        legend = job.facts.get("legend")
        if legend is None:
            legend = legend_of(settings, language, job.facts["template"], first)
        job.remember(
            prompt_language=language,
            legend=legend,
            input={
                "paths": job.facts["paths"],
                "fingerprint": export.fingerprint,
                "users": export.users,
                "behaviors": export.behaviors,
                "rejected_rows": export.rejected_rows,
                "duplicates": export.duplicates,
                "paired_ends": export.paired_ends,
                "unpaired": export.unpaired,
                "rows": export.rows,
                "rejects": export.reasons,
            },
        )
        write_rejects(job.directory, export.rejects())
        builder = job.builder()
        limits = batch_limits(settings, builder)
        users = measured_logs(export.stretches(), builder, limits, settings)
        take_in(job.ledger, users, most_users=job.most_users)
        job.remember(input_complete=not 0 < job.most_users < export.users)
    with suppress(OSError):
        job.directory.work.rmdir()
    job.observer.noted(
        InputRead(
            len(export.files),
            export.users,
            export.behaviors,
            export.rejected_rows,
            export.duplicates,
            export.reasons,
            tuple(sorted({name for name in export.encodings.values() if name not in _USUAL_ENCODINGS})),
            export.paired_ends,
            export.unpaired,
        )
    )


def _refuse_other_input(job: Job, export: Export) -> None:
    before = job.facts.get("input", {}).get("fingerprint", export.fingerprint)
    if before != export.fingerprint and not job.facts.get("other_input_accepted"):
        message = _(
            "the input is not the one that this run began with; restore it, or take it with --accept-changes"
        )
        raise RunDirectoryError(message)


def leave(job: Job, status: RunStatus) -> None:
    """Write the results and the checkpoint of a run that stops here."""
    with job.ledger.transaction():
        job.ledger.lose_open_calls()
    write_results(job.directory, job.ledger)
    job.remember(status=status)
    job.save(job.tally(), status=status, batches_waiting=_batches_waiting(job))


def _batches_waiting(job: Job) -> int:
    """Count the batches that the pending parts make: the plan of whoever resumes."""
    pending = job.ledger.pending_parts()
    if not pending:
        return 0
    builder = job.builder()
    return Scheduler(
        pending, batch_limits(job.settings, builder), workers=job.settings.run.concurrency
    ).batches


def _start_facts(job: Job, *, resumed: bool) -> Started:
    settings = job.settings
    calls = settings.provider == "openai"
    return Started(
        config_file=job.facts["config_file"],
        provider=settings.provider,
        model=settings.llm.model if calls else "",
        host=host_of(settings.llm.base_url) if calls else "",
        out=str(job.directory.path),
        resumed=resumed,
    )


def summarize(job: Job, status: RunStatus, seconds: float) -> Summary:
    """Say how the run stands. `seconds` is how long this process worked on it."""
    tally = job.tally()
    counted = job.facts.get("input", {})
    return Summary(
        status=status,
        provider=job.settings.provider,
        users=tally.users,
        success_count=tally.done,
        failed_count=tally.failed,
        pending=tally.users - tally.done - tally.failed,
        events=tally.events,
        calls=tally.calls,
        retries=tally.retries,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost=tally.cost,
        seconds=seconds,
        out=str(job.directory.path),
        rejected_rows=counted.get("rejected_rows", 0),
        rejects=counted.get("rejects", {}),
        duplicates=counted.get("duplicates", 0),
        paired_ends=counted.get("paired_ends", 0),
        unpaired=counted.get("unpaired", 0),
        behaviors=counted.get("behaviors", 0),
        users_in_input=counted.get("users", 0),
        failures=failure_reasons(job.ledger),
        currency=job.settings.llm.price.currency,
    )
