"""Whole runs inside the test's own process, by the built-in rules."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from eventabs.config.settings import Settings
from eventabs.runs.built_from_settings import RunContext
from eventabs.runs.observer import Observer
from eventabs.runs.run_state import RunState
from eventabs.runs.start_resume_reparse import Invocation, OnChange, begin_run, execute, reopen_run
from eventabs.stop_request import Stop
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from house import write_users
from runs_kit import Watcher

RULES = {"llm": {"provider": "rules"}}


@dataclass
class Place:
    """A folder with an export of some users, and who watches the runs in it."""

    folder: Path
    users: int = 6
    watcher: Watcher = field(default_factory=Watcher)
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self.export = write_users(self.folder / "export.jsonl", users=self.users)
        self.out = self.folder / "out"

    def begin(
        self,
        flags: Mapping[str, Any] = RULES,
        *,
        config: Path | None = None,
        paths: Sequence[str] | None = None,
        out: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[RunContext]:
        return begin_run(
            Invocation(config, flags, environment or {}),
            paths=[str(self.export)] if paths is None else paths,
            out=out or self.out,
            watch=self._watch,
            stop=self.stop,
        )

    def reopen(
        self,
        flags: Mapping[str, Any] | None = None,
        *,
        config: Path | None = None,
        changed: OnChange = "refuse",
        confirmed: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[RunContext]:
        return reopen_run(
            Invocation(config, flags or {}, environment or {}),
            named=self.out,
            changed=changed,
            confirmed=confirmed,
            watch=self._watch,
        )

    def checkpoint(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads((self.out / "checkpoint.json").read_bytes())
        return document

    def events(self) -> bytes:
        return (self.out / "events.jsonl").read_bytes()

    @contextmanager
    def _watch(self, _directory: RunDirectory, _settings: Settings) -> Iterator[Observer]:
        yield self.watcher


def finish(run: RunContext, *, stop: Stop | None = None) -> RunState:
    """Execute an open run to its end."""
    return asyncio.run(execute(run, stop or Stop()))
