"""The words for what happens to the shards of a run on a cluster; apart, since messages.py is full."""

from eventabs import runs
from eventabs.language import gettext as _, ngettext


def of_shards(note: runs.ShardMoved | runs.CopyFailed) -> str:
    """Return a note as one line."""
    if isinstance(note, runs.CopyFailed):
        return _("A shard could not be copied and is tried again: {cause}").format(cause=note.cause)
    template = ngettext(
        "Shard {shard} goes on in another process ({cause}); {count} call is made again",
        "Shard {shard} goes on in another process ({cause}); {count} calls are made again",
        note.calls_lost,
    )
    return template.format(shard=note.shard, cause=note.cause, count=f"{note.calls_lost:,}")
