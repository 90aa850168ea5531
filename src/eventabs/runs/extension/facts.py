"""What a run remembers of its extensions: how far the last one is, what it took in, what its calls took."""

from collections.abc import Mapping
from typing import Any, Final

from eventabs.runs.components import RunContext
from eventabs.store import Ledger

COMPARING: Final = "comparing"  # nothing of the run has changed yet
TAKING: Final = "taking"
TAKEN: Final = "taken"
NOTHING_NEW: Final = "nothing_new"  # of this process alone: the run knew all of the export
_USED = "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM calls WHERE id > ?"


def is_extending(facts: Mapping[str, Any]) -> bool:
    """Whether an export is still to be taken in."""
    return _last(facts).get("state") in {COMPARING, TAKING}


def is_extended(facts: Mapping[str, Any]) -> bool:
    """Whether a run has been extended: its events.jsonl is whole then, also while calls are made."""
    return bool(_last_taken(facts))


def tokens_so_far(ledger: Ledger) -> list[int]:
    """Return the tokens of all calls, in and out."""
    ((_calls, *tokens),) = ledger.rows(_USED, 0)
    return tokens


def spent_before(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokens and the cost of a run before its last extension, which has the limits on spending for itself."""
    spent: dict[str, Any] = _last_taken(facts).get("spent_before", {})
    return spent


def extension_facts(run: RunContext) -> dict[str, int] | None:
    """Return what the last extension took in, what its calls took, and how many events it changed; None: there is none."""
    extension = _last_taken(run.facts)
    if not extension:
        return None
    (used,) = run.ledger.rows(_USED, extension["since"])
    changes = run.facts.get("event_changes", {})
    facts = {
        **extension["counts"],
        **dict(zip(("calls", "prompt_tokens", "completion_tokens"), used, strict=True)),
        **{f"events_{change}": changes.get(change, 0) for change in ("added", "replaced", "removed")},
    }
    return dict.fromkeys(facts, 0) if run.facts.get(NOTHING_NEW) else facts


def _last(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    extension: Mapping[str, Any] = facts.get("extension", {})
    return extension


def _last_taken(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last extension that has changed the run."""
    extension = _last(facts)
    earlier: Mapping[str, Any] = extension.get("before", {})
    return earlier if extension.get("state") == COMPARING else extension
