"""The results of `eventabs check`: findings of one line each, with a next step where something is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from eventabs.providers import ListedModel
from eventabs.records import Usage

Section = Literal["settings", "endpoint", "abilities", "run"]
# ok: as it should be. note: worth knowing. warning: a run works, but worse or dearer. fault: a run would fail.
State = Literal["ok", "note", "warning", "fault", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is stable, for programs; `message` and `next_step` ("" for none) are one line each."""

    section: Section
    name: str
    state: State
    message: str
    next_step: str = ""


OnFinding = Callable[[Finding], None]

# limits for each request of a check, in seconds: shorter than in a run
LIST_SECONDS = 20.0
REQUEST_SECONDS = 60.0


@dataclass(slots=True)
class EndpointFacts:
    """What is known of the endpoint so far. None: not known."""

    is_reached: bool = False
    models: tuple[ListedModel, ...] | None = None
    context_tokens: int | None = None  # as the server runs the model, else as its preset has it
    context_is_reported: bool = False  # by the server
    abilities: dict[str, str] = field(default_factory=dict)
    spent: Usage = Usage()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings, and the settings that they are about. Cost is None without prices."""

    config_file: str
    provider: str
    preset: str
    model: str
    host: str
    key_variable: str
    key_is_set: bool
    findings: tuple[Finding, ...]
    facts: EndpointFacts
    cost: float | None
    currency: str
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: sound; 2: the settings have to be corrected; 1: only the endpoint fails."""
        faulty = {finding.section for finding in self.findings if finding.state == "fault"}
        if faulty & {"settings", "run"}:
            return 2
        return 1 if faulty else 0
