"""The facts that a run reports to its observers: no words, no colors."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, asdict, dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from eventabs.shared_records import ColumnsFound, Copying, Counts, InputWarning, Record, RunStatus


class Started(NamedTuple):
    """The first line of a run. `config_file`, `model` and `host` may be ""."""

    config_file: str
    provider: str
    model: str
    host: str
    out: str
    resumed: bool


class SettingsTaken(NamedTuple):
    """Settings that answers depend on have changed since the run began; `is_answered`: some were given under those before."""

    changes: str  # `key before -> now`, one after another
    is_answered: bool


class InputRead(NamedTuple):
    """The input has been read to its end."""

    files: int
    users: int
    behaviors: int
    rejected_rows: int
    duplicates: int
    reasons: Mapping[str, int] = {}  # rejected rows by reason
    encodings: tuple[str, ...] = ()  # found in the files, but for UTF-8
    paired_ends: int = 0  # rows that gave a begin its duration
    unpaired: int = 0  # behaviors: begins without an end, ends without a begin
    shortened: int = 0  # behaviors whose text prompts cut
    compared: tuple[str, ...] = ()  # the columns in which duplicates are equal
    not_compared: tuple[str, ...] = ()
    skipped_lines: int = 0  # that are no rows: titles, sums, notices of a chat
    non_behaviors: int = 0  # rows that their schema says are no behaviors
    other_rows: int = 0  # of other shards


class ExtensionCounts(Record, kw_only=True):
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


class Extended(ExtensionCounts, kw_only=True):
    """Another export has been taken in; behaviors that lie more than `lateness` back are listed in a file, and left out."""

    lateness: str
    listed: str


class InputGone(NamedTuple):
    """Files that have been read are gone. They are not needed any more."""

    paths: tuple[str, ...]


class RowShown(NamedTuple):
    """A row of the input as its file has it, and the line that it becomes."""

    file: str
    line: int
    text: str
    becomes: str


class Planned(NamedTuple):
    """The plan before the first call. `pending_users` are those still to be asked about."""

    batches: int
    pending_users: int
    users: int
    users_per_batch: float


class Progress(Counts, kw_only=True):
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


class Serving(NamedTuple):
    """Progress is also answered over HTTP, at `address`."""

    address: str


class Retrying(NamedTuple):
    """A call failed in a way that may pass; it is sent again after `wait_seconds`."""

    call: int
    cause: str
    wait_seconds: float


class AwaitingEndpoint(NamedTuple):
    """The endpoint or its batch service does not answer, or takes no more now; it is asked again after `wait_seconds`."""

    cause: str
    wait_seconds: float


class CoolingDown(NamedTuple):
    """The endpoint asked for fewer requests: none is sent for `seconds` from now."""

    seconds: float


class MachinesChanged(Record):
    """How many machines of a cluster make calls now; `lost`: the address of one that does no more, "" for none."""

    count: int
    lost: str
    cause: str


class BatchDone(NamedTuple):
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


class CallFailed(NamedTuple):
    """A call ended without a readable answer, after all its tries."""

    call: int
    users: int
    error: str


class RequestsWritten(NamedTuple):
    """The requests of a run are in a file, to be answered by others. `left`: batches that are not part of it yet."""

    path: str
    requests: int
    left: int


class RepliesRead(NamedTuple):
    """A file of replies was stored. `lines` counts its lines by kind.

    Kinds: `replies`; `errors`; `not_reached`: requests that were never carried out; `repeated`: lines about requests that have an
    answer; `late`: replies about users that have been asked about again; `unknown`: lines of other runs; `unreadable`.
    """

    path: str
    lines: dict[str, int]


class JobChanged(NamedTuple):
    """A job of the batch service has another status. `done` of its `requests` are, as the service counts them."""

    job: int
    batch_id: str
    status: str
    requests: int
    done: int = 0


class Stopping(NamedTuple):
    """Somebody asked the run to stop; calls on the wire have `seconds` for their answers."""

    seconds: float


class StateChanged(NamedTuple):
    """The run's state, and the reason in one line, "" if it needs none."""

    status: RunStatus
    cause: str = ""


_OfInput = InputRead | InputGone | RowShown | Extended | Copying | ColumnsFound | InputWarning
_OfCalls = BatchDone | CallFailed | Retrying | AwaitingEndpoint | CoolingDown | MachinesChanged
_OfRequests = RequestsWritten | RepliesRead | JobChanged
Note = (
    Started | SettingsTaken | Planned | Serving | Stopping | StateChanged | _OfInput | _OfCalls | _OfRequests
)
Fact = Progress | Note


class Observer(Protocol):
    """Watches a run. Its method is quick and never raises."""

    def noted(self, fact: Fact) -> None:
        """Hear that the run begins or goes on, that a count changed, or of something that deserves a line."""


class Observers:
    """Passes facts on to several observers, `opening` notes after the start."""

    def __init__(self, observers: Sequence[Observer], opening: Sequence[Note] = ()) -> None:
        self._observers, self._opening = observers, opening

    def noted(self, fact: Fact) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.noted(fact)
        for note in self._opening if isinstance(fact, Started) else ():
            self.noted(note)


SECONDS_BETWEEN_COUNTS = 0.2
# what could hide or turn around a line, and bytes of an undecodable file name
_HIDDEN = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"


@dataclass(eq=False)
class JsonLines:
    """Writes one object a fact: `event` names it (started, planned, progress, ...), `time` is ISO 8601.

    `counts`: also how far the run is, at most five times a second, and before every other fact.
    """

    write: Callable[[bytes], object]
    _: KW_ONLY
    counts: bool = True
    now: Callable[[], datetime] = datetime.now
    clock: Callable[[], float] = time.monotonic
    _held: Progress | None = None
    _last_counts: float = -SECONDS_BETWEEN_COUNTS

    def noted(self, fact: Fact) -> None:
        """Write a fact after the counts that led to it, and counts now or when some time has passed."""
        if isinstance(fact, Progress):
            self._held = fact if self.counts else None
            if self.clock() - self._last_counts < SECONDS_BETWEEN_COUNTS:
                return
        if self._held is not None:
            self._write(self._held)
            self._held, self._last_counts = None, self.clock()
        if not isinstance(fact, Progress):
            self._write(fact)

    def _write(self, fact: Fact) -> None:
        stamp = self.now().astimezone().isoformat(timespec="milliseconds")
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(fact).__name__).lower()  # `batch_done` for BatchDone
        facts = {
            "event": name,
            "time": stamp,
            **(asdict(fact) if isinstance(fact, Record) else fact._asdict()),
        }
        facts.pop("answers", None)  # which the ledger alone counts
        line = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
        line = re.sub(_HIDDEN, lambda match: f"\\u{ord(match[0]):04x}", line)
        with suppress(OSError):  # a full disk must not end the run by its log
            self.write(f"{line}\n".encode())
