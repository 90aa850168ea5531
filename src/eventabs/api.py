"""The library under the command line: runs, estimates, checks and events as functions, objects and data frames."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

import orjson

from eventabs import runs
from eventabs.config import Settings, overlay
from eventabs.errors_and_exit_codes import InputError, StoppedError, UsageError
from eventabs.ingest import Frame
from eventabs.interface_language import gettext as _
from eventabs.runs import Invocation, JsonLines, Observer, Observers, RunContext, RunState, Watch
from eventabs.shared_records import AnyPath, Event, EventOrJourney, Journey, of_row
from eventabs.stop_request import Stop
from eventabs.store import RunDirectory, Status, open_to_append

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from eventabs.check_before_run import CheckReport, OnFinding


class _Records(list[EventOrJourney]):
    """Lines of a file, as objects and as frames."""

    _kind: type[EventOrJourney]
    _shown: tuple[str, ...]  # fields in a notebook

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401  a record, or records of the same kind for a slice
        found = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}>"

    def _repr_html_(self) -> str:
        """Return the first of them as a table, as notebooks show it."""
        rows = [self._shown, *([_cell(each, name) for name in self._shown] for each in self[:10])]
        cells = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
        table = "".join(f"<tr>{row}</tr>" for row in cells).replace("td>", "th>", 2 * len(self._shown))
        return f"<table>{table}</table><p>{escape(repr(self))}</p>"

    def to_arrow(self) -> "pa.Table":
        """Return a pyarrow table. Raises ImportError where pyarrow is missing."""
        return cast("pa.Table", _library("pyarrow").table(self._columns))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas frame. Raises ImportError where pandas is missing."""
        return cast("pd.DataFrame", _library("pandas").DataFrame(self._columns))

    def to_polars(self) -> "pl.DataFrame":
        """Return a polars frame. Raises ImportError where polars is missing."""
        return cast("pl.DataFrame", _library("polars").DataFrame(self._columns))

    @property
    def _columns(self) -> dict[str, list[Any]]:
        """The records by field; `start` and `end` are wall times."""
        columns = {name: [_cell(each, name) for each in self] for name in self._kind._fields}
        for name in ("start", "end"):
            columns[name] = [datetime.fromisoformat(text).replace(tzinfo=None) for text in columns[name]]
        return columns


def _cell(made: Event | Journey, name: str) -> Any:  # noqa: ANN401  what a column holds
    value = getattr(made, name)
    return list(value) if isinstance(value, tuple) else value


class Events(_Records[Event]):
    """Events in the order of events.jsonl: by user, then by start."""

    _kind = Event
    _shown = ("user_id", "start", "end", "type", "summary", "journey")


class Journeys(_Records[Journey]):
    """Journeys in the order of journeys.jsonl: by user, then by start."""

    _kind = Journey
    _shown = ("user_id", "kind", "name", "start", "end", "types")


def read_events(path: AnyPath) -> Events:
    """Read the events of a run directory, its checkpoint.json or an events.jsonl. Raises InputError."""
    return Events(_lines(Path(path), "events.jsonl", Event))


def read_journeys(path: AnyPath) -> Journeys:
    """Read the journeys of a run directory, its checkpoint.json or a journeys.jsonl. Raises InputError."""
    return Journeys(_lines(Path(path), "journeys.jsonl", Journey))


def _lines(named: Path, name: str, kind: type[EventOrJourney]) -> list[EventOrJourney]:
    file = named / name if named.is_dir() else named
    if named.suffix != ".jsonl" and (named.name == "checkpoint.json" or named.is_file()):
        file = named.with_name(name)
    try:
        with file.open("rb") as lines:
            return [of_row(kind, orjson.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as error:  # also of something else, or of a version before
        message = _("{path} cannot be read ({error}); name a run directory or its {name}")
        said = str(error).partition("\n")[0]
        raise InputError(message.format(path=file, error=said, name=name)) from None


def _library(name: str) -> Any:  # noqa: ANN401  a module that may be missing
    try:
        return import_module(name)
    except ImportError:
        message = _("this needs {name}; install it: pip install {name}")
        raise ImportError(message.format(name=name)) from None


P = ParamSpec("P")
T = TypeVar("T")


class ArrowStream(Protocol):
    """A table in memory: a frame of pandas or polars, a table or stream of Arrow, a relation of DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


Inputs = AnyPath | Iterable[AnyPath] | ArrowStream
SettingsLike = Settings | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended: its directory and its summary. Failed users are in `failures`, and raise nothing."""

    path: Path
    summary: RunState

    @property
    def status(self) -> Status:
        """`completed`, `interrupted`, `stopped`, or `waiting` for replies to requests.jsonl."""
        return self.summary.status

    @property
    def events(self) -> Events:
        """The events of all users that are done, in order of user and start."""
        return read_events(self.path)

    @property
    def journeys(self) -> Journeys:
        """The journeys of all users that are done, in order of user and start."""
        return read_journeys(self.path)

    @property
    def failures(self) -> dict[str, int]:
        """Failed users by reason; failures.jsonl names them."""
        return self.summary.failures


class RunStoppedError(StoppedError):
    """The run could not go on: a limit, a full disk, an endpoint that answers nothing. `run` is what was reached."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


async def arun(
    inputs: Inputs = (),
    *,
    settings: SettingsLike = None,
    config: AnyPath | None = None,
    out: AnyPath | None = None,
    shard: str = "",
    observer: Observer | Watch | None = None,
    stop: Stop | None = None,
) -> Run:
    """Read exports or a table in memory, ask about every user, and write the events into a new run directory (`out`).

    `settings` is a Settings, which is taken as it is, or a mapping as in the TOML, laid over the config file and the
    EVENTABS_ variables. `shard`: "3/16" reads the users of one of 16 shards. `stop.request()` ends the run in order; so does a cancellation, which is raised afterwards.
    Raises UsageError for wrong settings, input or directory, and RunStoppedError where the run could not go on.
    """
    stop = stop or Stop()
    with runs.begin_run(
        _invocation(settings, config, shard),
        paths=_paths(inputs),
        out=None if out is None else Path(out),
        watch=_watch(observer),
        stop=stop,
    ) as context:
        return await _ended(context, stop, runs.execute(context, stop))


async def aresume(
    checkpoint: AnyPath,
    *,
    settings: SettingsLike = None,
    config: AnyPath | None = None,
    accept_changes: bool = False,
    replies: AnyPath | Iterable[AnyPath] = (),
    cancel: bool = False,
    retry_failed: bool = False,
    trust_endpoint: bool = False,
    observer: Observer | Watch | None = None,
    stop: Stop | None = None,
) -> Run:
    """Go on with a run that was stopped, killed or has crashed: no usable answer is bought again.

    `accept_changes` takes changed settings for users that are not done, `replies` are files that answer requests.jsonl, `cancel` cancels the jobs of the batch service and stops, `retry_failed` asks about failed users again,
    `trust_endpoint` calls the endpoint that only the run directory names. Raises as `arun`.
    """
    stop = stop or Stop()
    with runs.reopen_run(
        _invocation(settings, config),
        named=Path(checkpoint),
        changed="accept" if accept_changes else "refuse",
        confirmed=trust_endpoint,
        watch=_watch(observer),
    ) as context:
        paths = list(map(Path, _paths(replies)))
        work = runs.execute(context, stop, replies=paths, cancel=cancel, retry=retry_failed)
        return await _ended(context, stop, work)


async def aextend(
    checkpoint: AnyPath,
    inputs: Inputs,
    *,
    settings: SettingsLike = None,
    config: AnyPath | None = None,
    accept_changes: bool = False,
    retry_failed: bool = False,
    trust_endpoint: bool = False,
    observer: Observer | Watch | None = None,
    stop: Stop | None = None,
) -> Run:
    """Take another export of the same users into a run: only what is new in it is asked about.

    `accept_changes` accepts behaviors that have changed or are gone, and changed settings, `retry_failed` asks about
    failed users again, `trust_endpoint` calls the endpoint that only the run directory names. Raises as `arun`.
    """
    stop = stop or Stop()
    paths = _paths(inputs)
    with runs.reopen_run(
        _invocation(settings, config),
        named=Path(checkpoint),
        changed="accept" if accept_changes else "refuse",
        confirmed=trust_endpoint,
        watch=_watch(observer),
        inputs=paths,
    ) as context:
        runs.begin_extension(context, paths, accepted=accept_changes, stop=stop)
        return await _ended(context, stop, runs.execute(context, stop, retry=retry_failed))


def estimate(
    inputs: Inputs = (),
    *,
    settings: SettingsLike = None,
    config: AnyPath | None = None,
    shard: str = "",
    observer: Observer | None = None,
) -> "runs.Estimate":
    """Plan a run, or one of its shards: users, tokens, calls, time and cost. Calls no model. Raises UsageError.

    `observer` hears how far objects have been copied.
    """
    on_copy = observer.noted if observer else lambda _copying: None
    return runs.estimate_run(_invocation(settings, config, shard).settings(), _paths(inputs), on_copy)


async def acheck(
    *, settings: SettingsLike = None, config: AnyPath | None = None, on_finding: "OnFinding" = lambda _: None
) -> "CheckReport":  # quoted: a run without a model loads no HTTP client
    """Check settings, key and endpoint with a few tiny requests. Raises ConfigError for settings that do not hold."""
    from eventabs.check_before_run import check as check_all  # noqa: PLC0415  as above

    invocation = _invocation(settings, config)
    named = str(invocation.config_file() or "")
    return await check_all(invocation.settings(), named, invocation.environment, on_finding)


def _sync(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the function for callers without an event loop; inside one it raises UsageError."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(function(*args, **kwargs))
        message = _("an event loop is running here, as in a notebook; use: await eventabs.{name}(...)")
        raise UsageError(message.format(name=function.__name__))

    call.__name__ = call.__qualname__ = function.__name__.removeprefix("a")
    return call


run = _sync(arun)
resume = _sync(aresume)
extend = _sync(aextend)
check = _sync(acheck)


def _invocation(settings: SettingsLike, config: AnyPath | None, shard: str = "") -> Invocation:
    isolated = isinstance(settings, Settings)
    given = settings.model_dump(exclude_unset=True) if isinstance(settings, Settings) else settings
    values = {} if given is None else given
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise UsageError(_("settings takes a Settings, or a mapping by names; the path of a file is config"))
    if shard is not None and shard != "":  # 0 is a mistake
        values = overlay(values, {"input": {"shard": shard}})
    return Invocation(None if isolated or config is None else Path(config), values, os.environ, isolated)


def _paths(inputs: Inputs) -> list[str]:
    is_one = isinstance(inputs, str | os.PathLike) or hasattr(inputs, "__arrow_c_stream__")
    named: Any = [inputs] if is_one or not isinstance(inputs, Iterable) else inputs
    paths = [os.fspath(each) if isinstance(each, str | os.PathLike) else Frame(each) for each in named]
    if len(paths) > 1 and any(isinstance(path, Frame) for path in paths):
        raise UsageError(_("a table in memory is an input alone; make one of all, or write it to a file"))
    return paths


def _watch(observer: Observer | Watch | None) -> Watch:
    """Return the function that gives a run its observer; without one of the caller's own, run.log gets the facts as JSON lines."""
    if observer is not None and callable(observer):
        return observer

    @contextmanager
    def watch(directory: RunDirectory, _settings: Settings) -> Iterator[Observer]:
        with open_to_append(directory.log) as log:
            yield Observers([JsonLines(log.write, counts=False), *([observer] if observer else [])])

    return watch


async def _ended(run: RunContext, stop: Stop, work: Coroutine[None, None, RunState]) -> Run:
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():  # a cancellation requests a stop, and is raised once all has ended in order
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            stop.request()
    if cancelled is not None:
        task.exception()
        raise cancelled
    finished = Run(run.directory.path, task.result())
    if finished.status == "stopped":
        raise RunStoppedError(finished.summary.cause, finished)
    return finished
