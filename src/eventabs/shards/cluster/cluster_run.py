"""A run on a cluster from start to stop: what `run` and `resume` do where the engine is one of many machines."""

import shutil
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from eventabs import __version__
from eventabs.api import Run, RunStoppedError
from eventabs.config import Settings, overlay, with_absolute_paths
from eventabs.errors import RunDirectoryError, UsageError
from eventabs.language import active, gettext as _
from eventabs.objects import is_address, public_address
from eventabs.providers import kind_of
from eventabs.runs import (
    STDIN,
    Invocation,
    Started,
    Summary,
    Watch,
    default_out,
    input_paths,
    refuse_unknown_endpoint,
    remember_run,
    summary_of,
)
from eventabs.shards.cluster.driver import Driver
from eventabs.shards.cluster.permits import SharedLimits
from eventabs.shards.cluster.ray import RayCluster, open_cluster
from eventabs.shards.cluster.worker import Job
from eventabs.stop import Stop
from eventabs.store import (
    RunDirectory,
    asked_again,
    count_all,
    failure_reasons,
    host_of,
    public_settings,
    watch_run,
)

_JOB: Final = "job.json"
_SHARDS_A_MACHINE: Final = 2
_SHARE: Final = "share"
_WORK: Final = "work"


async def run_on_cluster(
    invocation: Invocation, *, paths: Sequence[str], out: Path | None, watch: Watch, stop: Stop
) -> Run:
    """Begin a run on a cluster, in a new run directory that becomes a view of its shards.

    Raises UsageError for what cannot work, and RunStoppedError where the run could not go on.
    """
    settings = with_absolute_paths(invocation.settings(), Path.cwd())
    named = input_paths(paths, settings)
    _refuse_what_is_for_one_machine(settings, named)
    directory = RunDirectory.create(out or default_out(named))
    directory.cluster.mkdir(mode=0o700)
    with suppress(OSError):
        (directory.path / ".gitignore").write_text("*\n", "ascii")
    try:
        config = invocation.config_file()
        with _opened(settings) as cluster:
            job = Job(
                version=__version__,
                language=active(),
                paths=tuple(path if is_address(path) else str(Path.cwd() / path) for path in named),
                settings=public_settings(settings),
                config_file=str(config.absolute()) if config else "",
                share=_share(settings, directory, cluster),
                run_id=uuid.uuid4().hex,
                shards=settings.cluster.shards or _SHARDS_A_MACHINE * cluster.machines,
                copy_seconds=settings.cluster.copy_seconds,
                lease_seconds=settings.cluster.lease_seconds,
                limits=_limits(settings),
                folder=_folder(directory, cluster),
            )
            remember_run(job.run_id, settings)
            _write_job(job, directory)
            return await _drive(job, directory, cluster, settings, watch=watch, stop=stop, resumed=False)
    except UsageError:
        if not directory.is_merged():  # no machine has begun
            shutil.rmtree(directory.path, ignore_errors=True)
        raise


async def resume_on_cluster(
    invocation: Invocation,
    *,
    named: Path,
    accept_changes: bool,
    retry_failed: bool,
    cancel: bool,
    confirmed: bool,
    watch: Watch,
    stop: Stop,
) -> Run:
    """Go on with a run on a cluster, under the settings that it began with and the flags of today. Raises as `run_on_cluster`."""
    directory = _directory_of(named)
    stored = _read_job(directory)
    flags = overlay(stored["settings"], invocation.flags)
    recorded = Path(stored["config_file"]) if stored["config_file"] else None
    config = invocation.config or (recorded if recorded and recorded.is_file() else None)
    today = replace(invocation, config=config, flags=flags)
    settings = with_absolute_paths(today.settings(), Path.cwd())
    if not confirmed:
        refuse_unknown_endpoint(stored["run_id"], settings, invocation.named())
    with _opened(settings) as cluster:
        job = Job(
            **{
                **stored,
                "version": __version__,
                "language": active(),
                "paths": tuple(stored["paths"]),
                "settings": public_settings(settings),
            },
            copy_seconds=settings.cluster.copy_seconds,
            lease_seconds=settings.cluster.lease_seconds,
            limits=_limits(settings),
            folder=_folder(directory, cluster),
            accept_changes=accept_changes,
            retry_failed=retry_failed,
            cancel=cancel,
        )
        return await _drive(job, directory, cluster, settings, watch=watch, stop=stop, resumed=True)


async def _drive(
    job: Job,
    directory: RunDirectory,
    cluster: RayCluster,
    settings: Settings,
    *,
    watch: Watch,
    stop: Stop,
    resumed: bool,
) -> Run:
    with RunDirectory(directory.cluster).locked(), watch(directory, settings) as observer:
        is_remote = kind_of(settings.provider).is_remote
        observer.started(
            Started(
                config_file=job.config_file,
                provider=settings.provider,
                model=settings.llm.model if is_remote else "",
                host=host_of(settings.llm.base_url) if is_remote else "",
                out=str(directory.path),
                resumed=resumed,
            )
        )
        driver = Driver(job, directory, cluster, observer, stop)
        await driver.run()
    run = Run(directory.path, _summary(driver, directory, settings))
    if driver.status == "stopped":
        raise RunStoppedError(driver.cause, run)
    return run


def _summary(driver: Driver, directory: RunDirectory, settings: Settings) -> Summary:
    price = settings.llm.price.of_tokens()
    with watch_run(directory) as ledgers:
        counts, facts, failures = count_all(ledgers), ledgers.meta(), failure_reasons(ledgers)
        again = asked_again(ledgers)
    return summary_of(
        facts,
        counts,
        status=driver.status,
        cause=driver.cause,
        provider=settings.provider,
        cost=price.total(counts),
        seconds=driver.seconds,
        out=str(directory.path),
        failures=failures,
        asked_again=again,
        currency=settings.llm.price.currency,
        tier_costs=price.by_tier(counts),
    )


def _opened(settings: Settings) -> AbstractContextManager[RayCluster]:
    shards = settings.cluster.shards or _SHARDS_A_MACHINE
    return open_cluster(settings.cluster.ray_address, workers=shards)


def _limits(settings: Settings) -> SharedLimits:
    run = settings.run
    return SharedLimits(
        run.rpm, run.tpm, run.max_cost, run.max_total_tokens, settings.batch.max_enqueued_tokens
    )


def _share(settings: Settings, directory: RunDirectory, cluster: RayCluster) -> str:
    """Return the folder or address that all machines reach. Raises UsageError where none is named, and there are several."""
    named = settings.cluster.share
    if named:
        return named if is_address(named) else str(Path(named).absolute())
    if cluster.is_local:
        return str((directory.cluster / _SHARE).absolute())
    message = _(
        "machines share claims and copies in a folder or bucket that all of them reach; name it with --share,"
        " such as /mnt/shared/eventabs or s3://bucket/eventabs"
    )
    raise UsageError(message)


def _folder(directory: RunDirectory, cluster: RayCluster) -> str:
    """Return where shards are worked on: beside their copies on this machine alone, so that the next driver finds them."""
    return str((directory.cluster / _WORK).absolute()) if cluster.is_local else ""


def _refuse_what_is_for_one_machine(settings: Settings, named: Sequence[str]) -> None:
    if STDIN in named:
        message = _(
            "standard input is read by one machine alone; name a file or an address that all machines reach"
        )
        raise UsageError(message)
    mode = settings.run.mode
    for flag, given in (
        ("--limit", settings.run.limit),
        ("--shard", settings.input.shard),
        (f"--mode {mode}", mode == "files"),
    ):
        if given:
            message = _("{flag} does not go with --engine ray; leave it out")
            raise UsageError(message.format(flag=flag))
    for path in named:
        if public_address(path) != path:
            message = _(
                "{path} has a query or a user, which may be secret and is told to no other machine; copy it to a bucket"
            )
            raise UsageError(message.format(path=public_address(path)))


def _directory_of(named: Path) -> RunDirectory:
    return RunDirectory(named if named.is_dir() else named.parent)


def _write_job(job: Job, directory: RunDirectory) -> None:
    """Keep what a later driver needs to go on."""
    kept = ("paths", "settings", "config_file", "share", "run_id", "shards")
    content = orjson.dumps({name: getattr(job, name) for name in kept}, option=orjson.OPT_INDENT_2)
    path = directory.cluster / _JOB
    path.touch(mode=0o600)
    path.write_bytes(content)


def _read_job(directory: RunDirectory) -> dict[str, Any]:
    path = directory.cluster / _JOB
    try:
        stored: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        message = _("{path} cannot be read ({error}); name the run directory of a run on a cluster")
        raise RunDirectoryError(message.format(path=path, error=error)) from None
    return stored
