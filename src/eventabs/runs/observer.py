"""The facts that a run reports to its observers: no words, no colors."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import orjson

from eventabs.shared_records import ColumnsFound, Copying, Counts, InputWarning, RunStatus, ratio
from eventabs.store import open_to_append


@dataclass(frozen=True, slots=True)
class Started:
    """The first line of a run. `config_file`, `model` and `host` may be ""."""

    config_file: str
    provider: str
    model: str
    host: str
    out: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What deserves a line: a note of the run; those of the input lie in `records`."""


@dataclass(frozen=True, slots=True)
class KeyUnset(Told):
    """The variable that the settings name for the key is unset or empty: calls are made without one."""

    variable: str


@dataclass(frozen=True, slots=True)
class SettingsTaken(Told):
    """Settings that answers depend on have changed since the run began; `is_answered`: some were given under those before."""

    changes: str  # `key before -> now`, one after another
    is_answered: bool


@dataclass(frozen=True, slots=True)
class InputRead(Told):
    """The input has been read to its end."""

    files: int
    users: int
    behaviors: int
    rejected_rows: int
    duplicates: int
    reasons: dict[str, int] = field(default_factory=dict)  # rejected rows by reason
    encodings: tuple[str, ...] = ()  # found in the files, but for UTF-8
    paired_ends: int = 0  # rows that gave a begin its duration
    unpaired: int = 0  # behaviors: begins without an end, ends without a begin
    shortened: int = 0  # behaviors whose text prompts cut
    compared: tuple[str, ...] = ()  # the columns in which duplicates are equal
    not_compared: tuple[str, ...] = ()
    skipped_lines: int = 0  # titles and sums, above and below the rows
    non_behaviors: int = 0  # rows that their schema says are no behaviors
    other_rows: int = 0  # of other shards


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionCounts:
    """What an extension takes in, and which behaviors that were answered are asked about again, on how many days of users."""

    new_users: int = 0
    extended_users: int = 0
    new_behaviors: int = 0
    late_behaviors: int = 0
    changed_behaviors: int = 0
    gone_behaviors: int = 0
    too_late_behaviors: int = 0
    reopened_behaviors: int = 0
    reopened_days: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Extended(ExtensionCounts, Told):
    """Another export has been taken in; behaviors that lie more than `lateness` back are listed in a file, and left out."""

    lateness: str
    listed: str


@dataclass(frozen=True, slots=True)
class InputGone(Told):
    """Files that have been read are gone. They are not needed any more."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowShown(Told):
    """A row of the input as its file has it, and the line that it becomes."""

    file: str
    line: int
    text: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Planned(Told):
    """The plan before the first call. `pending_users` are those still to be asked about."""

    batches: int
    pending_users: int
    users: int
    users_per_batch: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress(Counts):
    """How far the run is; sent after every change.

    `completion_tokens` includes an estimate for the answers that are coming in. `tier_costs`: what the replies of each tier
    cost, empty where all are the ordinary one's. `in_flight_limit`: calls that may be in flight now; 0: not known. `tokens_per_second`: recent completion tokens of
    all calls together. `cost_projected`: of the whole run, None where nothing is left. `seconds`: the work of all processes.
    """

    batches_total: int = 0
    in_flight: int = 0
    in_flight_limit: int = 0
    cost: float | None = None
    tier_costs: dict[str, float | None] = field(default_factory=dict)
    eta_seconds: float | None = None
    tokens_per_second: float | None = None
    cost_projected: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Serving(Told):
    """Progress is also answered over HTTP, at `address`."""

    address: str


@dataclass(frozen=True, slots=True)
class Retrying(Told):
    """A call failed in a way that may pass; it is sent again after `wait_seconds`."""

    call: int
    cause: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class AwaitingEndpoint(Told):
    """The endpoint does not accept connections; it is tried again after `wait_seconds`."""

    cause: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class CoolingDown(Told):
    """The endpoint asked for fewer requests: none is sent for `seconds` from now."""

    seconds: float


@dataclass(frozen=True, slots=True)
class MachinesChanged(Told):
    """How many machines of a cluster make calls now; `lost`: the address of one that does no more, "" for none."""

    count: int
    lost: str
    cause: str


@dataclass(frozen=True, slots=True)
class BatchDone(Told):
    """A reply was read. `unusable` counts its parts by reason.

    `ignored` counts its blocks about users that are not in the batch, or that had one before; `misfiled`, `repeated` and `unplaced`
    count rows as in `Counts`. `missed` counts the events that the rules of [[events.must]] added.
    """

    call: int
    users: int
    usable: int
    unusable: dict[str, int]
    seconds: float
    ignored: int = 0
    misfiled: int = 0
    repeated: int = 0
    unplaced: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class CallFailed(Told):
    """A call ended without a readable answer, after all its tries."""

    call: int
    users: int
    error: str


@dataclass(frozen=True, slots=True)
class RequestsWritten(Told):
    """The requests of a run are in a file, to be answered by others. `left`: batches that are not part of it yet."""

    path: str
    requests: int
    left: int = 0


@dataclass(frozen=True, slots=True)
class RepliesRead(Told):
    """A file of replies was stored. `lines` counts its lines by kind.

    Kinds: `replies`; `errors`; `not_reached`: requests that were never carried out; `repeated`: lines about requests that have an
    answer; `late`: replies about users that have been asked about again; `unknown`: lines of other runs; `unreadable`.
    """

    path: str
    lines: dict[str, int]


@dataclass(frozen=True, slots=True)
class JobChanged(Told):
    """A job of the batch service has another status. `done` of its `requests` are, as the service counts them."""

    job: int
    batch_id: str
    status: str
    requests: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class JobTrouble(Told):
    """The batch service did not answer, or takes no more now; it is asked again after `wait_seconds`."""

    cause: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Stopping(Told):
    """Somebody asked the run to stop; calls on the wire have `seconds` for their answers."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StateChanged(Told):
    """The run's state, and the reason in one line, "" if it needs none."""

    status: RunStatus
    cause: str = ""


Note = Told | Copying | ColumnsFound | InputWarning


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(Counts):
    """How a run ended; the object that --json prints, and what the closing table needs beside it.

    `behaviors` are those of the input; `limited_of` its users, where --limit left some out, else 0. `standing_events` are
    the events of users who are not done, since an extension has more to ask about them.
    """

    status: RunStatus
    provider: str
    cost: float | None
    seconds: float
    out: str
    rejected_rows: int = 0
    rejects: dict[str, int] = field(default_factory=dict)  # rejected rows by reason
    duplicates: int = 0
    paired_ends: int = 0
    unpaired: int = 0
    non_behaviors: int = 0
    schemas: Sequence[str] = ()  # of known tools, whose exports the files are
    columns: dict[str, str] = field(default_factory=dict)  # by role
    warnings: list[dict[str, str]] = field(default_factory=list)  # about the input: code, message
    unknown_actions: dict[str, int] = field(default_factory=dict)  # to the built-in rules: rows by word
    conversion_actions: dict[str, int] = field(default_factory=dict)  # to them, in the same way
    limited_of: int = 0
    standing_events: int = 0
    extension: dict[str, int] | None = None  # what the last extension took in, took and changed
    cause: str = ""  # why the run was stopped
    bad_answer: str = ""  # how the latest answer begins, where it stopped and nothing of that could be used
    failures: dict[str, int] = field(default_factory=dict)
    asked_again: dict[str, int] = field(default_factory=dict)  # users after a bad answer, by its reason
    currency: str = "USD"
    tier_costs: dict[str, float | None] = field(default_factory=dict)  # by tier; empty: all are ordinary

    @property
    def events_per_user_day(self) -> float | None:
        """As in `Counts`, of users that are done."""
        return ratio(self.events - self.standing_events, self.user_days)


class Observer(Protocol):
    """Watches a run. Its methods are quick and never raise."""

    def started(self, facts: Started) -> None:
        """Hear that the run begins or goes on."""

    def noted(self, note: Note) -> None:
        """Hear of something that deserves a line."""

    def progressed(self, progress: Progress) -> None:
        """Hear that a count changed."""


class LogFile(AbstractContextManager["LogFile"]):
    """Appends the facts of a run to a file as JSON lines, but for progress, and passes all of them on.

    A context manager. Raises StorageError where the file cannot be opened.
    """

    def __init__(self, path: Path, observer: Observer | None = None) -> None:
        self._observer = observer
        self._file = open_to_append(path)

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def started(self, facts: Started) -> None:
        """Log the start."""
        self._write(facts)
        if self._observer is not None:
            self._observer.started(facts)

    def noted(self, note: Note) -> None:
        """Log a note."""
        self._write(note)
        if self._observer is not None:
            self._observer.noted(note)

    def progressed(self, progress: Progress) -> None:
        """Pass the counts on."""
        if self._observer is not None:
            self._observer.progressed(progress)

    def _write(self, fact: Started | Note) -> None:
        line = {"time": datetime.now(UTC), "event": type(fact).__name__, **asdict(fact)}
        with suppress(OSError):  # a full disk must not end the run by its log
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE, default=str))
