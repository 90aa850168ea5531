"""The words for requests and replies in files, and for the jobs of a batch service."""

from eventabs import runs
from eventabs.language import gettext as _, ngettext
from eventabs.store import Job


def of_job(note: runs.RequestsWritten | runs.RepliesRead | runs.JobChanged) -> str:
    """Return a note about a file or a job as one line."""
    match note:
        case runs.RequestsWritten():
            template = ngettext(
                "{count} request to be answered: {path}",
                "{count} requests to be answered: {path}",
                note.requests,
            )
            return template.format(count=f"{note.requests:,}", path=note.path)
        case runs.RepliesRead():
            found = [_line_count(kind, number) for kind, number in note.lines.items()]
            return _("Read {path}: {facts}").format(path=note.path, facts=_(", ").join(found) or _("nothing"))
        case runs.JobChanged():
            template = _("Job {job} ({batch_id}): {status}, {done} of {requests} requests done")
            return template.format(
                job=note.job,
                batch_id=note.batch_id,
                status=note.status,
                done=f"{note.done:,}",
                requests=f"{note.requests:,}",
            )


def job_line(job: Job) -> str:
    """Say how a job of the batch service stands."""
    template = ngettext(
        "Job {job} ({batch_id}): {status}, {requests} request",
        "Job {job} ({batch_id}): {status}, {requests} requests",
        job.requests,
    )
    return template.format(
        job=job.id,
        batch_id=job.batch_id or "-",
        status=job.status or job.state,
        requests=f"{job.requests:,}",
    )


def _line_count(kind: str, number: int) -> str:
    """Count lines of a kind in a file of replies."""
    counted = {
        "replies": ngettext("{count} reply", "{count} replies", number),
        "errors": ngettext("{count} error", "{count} errors", number),
        "not_reached": ngettext(
            "{count} request was not carried out", "{count} requests were not carried out", number
        ),
        "repeated": ngettext("{count} line is known already", "{count} lines are known already", number),
        "late": ngettext("{count} reply came too late", "{count} replies came too late", number),
        "unknown": ngettext("{count} line is of another run", "{count} lines are of another run", number),
        "unreadable": ngettext("{count} line is no reply", "{count} lines are no replies", number),
    }
    return counted[kind].format(count=f"{number:,}")
