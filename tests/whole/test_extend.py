"""Runs that are extended night after night by the command line, and killed while it works."""

import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

import nights
from eventabs.store import Ledger
from house import checkpoint, eventabs, ran, start, wait_until

NIGHTS = 3


@pytest.fixture
def endpoint() -> Iterator[nights.Endpoint]:
    with nights.served() as running:
        yield running


def flags(endpoint: nights.Endpoint) -> tuple[object, ...]:
    return ("--model", "m", "--base-url", endpoint.base_url, "--max-users", 3, "-q")


def exports(folder: Path) -> list[Path]:
    """Write sliding windows of an app, one a night."""
    rows = nights.record(14, NIGHTS, seed=11, cut=0)
    return [
        nights.write(folder / f"{night}.jsonl", nights.export(rows, night, "window"))
        for night in range(NIGHTS)
    ]


@pytest.mark.slow
def test_an_extension_that_is_killed_at_any_moment_ends_as_if_it_had_not_been(
    tmp_path: Path, endpoint: nights.Endpoint
) -> None:
    moments = random.Random(5)  # noqa: S311  a seeded choice of moments
    first, *rest = exports(tmp_path)
    for out in ("calm", "wild"):
        ran("run", first.name, *flags(endpoint), "--out", out, cwd=tmp_path)
    for export in rest:
        command = ("extend", "{out}", export.name, *flags(endpoint), "--accept-changes")
        calm = ran(*(str(each).format(out="calm") for each in command), cwd=tmp_path)
        for _kill in range(2):
            kill(start(*(str(each).format(out="wild") for each in command), cwd=tmp_path), endpoint, moments)
        # gone on with by either command
        again = (
            command if moments.random() < 0.5 else ("resume", "{out}", *flags(endpoint), "--accept-changes")
        )
        if (
            checkpoint(tmp_path / "wild")["status"] == "completed"
        ):  # maybe killed before it was noted what to do
            again = command
        ran(*(str(each).format(out="wild") for each in again), cwd=tmp_path)
        for name in ("events.jsonl", "events.new.jsonl", "journeys.jsonl", "journeys.new.jsonl"):
            assert (tmp_path / "wild" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
        wild, calm = (checkpoint(tmp_path / out)["event_counts"] for out in ("wild", "calm"))
        assert wild == calm
        assert wild["events_per_user_day"] > 0


def kill(process: Popen[bytes], endpoint: nights.Endpoint, moments: random.Random) -> None:
    """Kill an extension while it starts, reads, plans or calls."""
    if moments.random() < 0.5:
        time.sleep(moments.uniform(0.1, 1.5))
    else:
        answered = endpoint.requests + moments.randint(1, 3)
        wait_until(lambda: endpoint.requests >= answered or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_an_extension_killed_while_it_compares_lists_no_change_of_the_one_before_it(tmp_path: Path) -> None:
    first, second, third = exports(tmp_path)
    ran("run", first.name, "--provider", "rules", "--out", "calm", cwd=tmp_path)
    extend(second, "calm")
    shutil.copytree(tmp_path / "calm", tmp_path / "before")
    extend(third, "calm")
    while not is_killed_comparing(tmp_path, third):
        shutil.rmtree(tmp_path / "wild")
    extend(third, "wild")
    for name in ("events.jsonl", "events.new.jsonl", "journeys.jsonl", "journeys.new.jsonl"):
        assert (tmp_path / "wild" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


def extend(export: Path, out: str) -> None:
    ran("extend", out, export.name, "--accept-changes", cwd=export.parent)


def is_killed_comparing(folder: Path, export: Path) -> bool:
    """Kill an extension of a copy of the run; return whether it was comparing then."""
    shutil.copytree(folder / "before", folder / "wild")
    process = start("extend", "wild", export.name, "--accept-changes", cwd=folder)
    wait_until(lambda: is_comparing(folder / "wild") or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return is_comparing(folder / "wild")


def is_comparing(out: Path) -> bool:
    with Ledger.watch(out / "ledger.sqlite") as ledger:
        facts = ledger.meta()
    return bool(facts["extending"]) and facts["status"] == "running"


def test_an_export_is_extended_from_standard_input_and_stopped_in_order(
    tmp_path: Path, endpoint: nights.Endpoint
) -> None:
    first, second, *_rest = exports(tmp_path)
    assert eventabs("run", first.name, *flags(endpoint), "--out", "out", cwd=tmp_path).returncode == 0
    ran("extend", "out", "-", *flags(endpoint), "--accept-changes", cwd=tmp_path, stdin=second.read_bytes())
    ran("run", second.name, *flags(endpoint), "--out", "whole", cwd=tmp_path)
    assert nights.results(tmp_path / "out") == nights.results(tmp_path / "whole")


def test_an_extension_needs_its_run_alone_and_no_directory_of_its_own(tmp_path: Path) -> None:
    first, second, *_rest = exports(tmp_path)
    assert eventabs("run", first.name, "--provider", "rules", "--out", "out", cwd=tmp_path).returncode == 0
    both = eventabs("run", second.name, "--extend", "out", "--out", "other", cwd=tmp_path)
    assert (both.returncode, "--out" in both.stderr) == (2, True)
    missing = eventabs("extend", "nowhere", second.name, cwd=tmp_path)
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
