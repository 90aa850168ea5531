"""What `eventabs check` finds: one fact each, in words, with the next step where something is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from eventabs.providers.openai import ListedModel
from eventabs.records import Usage

Section = Literal["settings", "endpoint", "abilities", "run"]
# ok: as it should be. note: worth knowing. warning: a run works, but worse or dearer. fault: a run would fail.
State = Literal["ok", "note", "warning", "fault", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is for programs and stays; `said` and `step` (the next step, "" for none) are one line for people."""

    section: Section
    name: str
    state: State
    said: str
    step: str = ""


OnFinding = Callable[[Finding], None]

# how long an endpoint is waited for at most, in seconds: shorter than in a run
CONNECT_SECONDS = 10.0
LIST_SECONDS = 20.0
REQUEST_SECONDS = 60.0


@dataclass(slots=True)
class EndpointFacts:
    """What is known of the endpoint so far. None: not known."""

    is_reached: bool = False
    models: tuple[ListedModel, ...] | None = None
    context_tokens: int | None = None  # as the server runs the model, else as its preset has it
    context_is_told: bool = False  # by the server
    abilities: dict[str, str] = field(default_factory=dict)
    spent: Usage = Usage()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All that was found. Cost is None without prices."""

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
