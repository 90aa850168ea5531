"""The library: the same runs as the command line's, from any thread and any event loop."""

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import lazy_loader
import pytest

import eventabs
from eventabs.errors_and_exit_codes import InputError, UsageError
from eventabs.runs.observer import BatchDone, Planned
from eventabs.shared_records import Event, InputWarning, Journey, Shard, as_row
from eventabs.store import Ledger
from exports_kit import make_event, make_journey
from house import lines, write_users
from openai_server import OpenAIServer
from paths import ROOT
from runs_kit import Watcher

# loading them takes a second, and every worker imports this module
pd, pl = lazy_loader.load("pandas"), lazy_loader.load("polars")

RULES = {"llm": {"provider": "rules"}}
SMALL = RULES | {"budget": {"max_users": 2}, "run": {"concurrency": 1}}


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_users(tmp_path / "export.jsonl", users=6)


@pytest.fixture
def process_as_it_is() -> Iterator[None]:
    """Check that nothing of the process has changed."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    umask = os.umask(0o022)
    os.umask(umask)
    own = {**os.environ, "PYTEST_CURRENT_TEST": ""}
    before = own, [signal.getsignal(n) for n in numbers], gc.get_threshold(), umask
    yield
    now = os.umask(0o022)
    os.umask(now)
    assert (
        {**os.environ, "PYTEST_CURRENT_TEST": ""},
        [signal.getsignal(n) for n in numbers],
        gc.get_threshold(),
        now,
    ) == before


def line_of(made: Event | Journey) -> str:
    return json.dumps(as_row(made)) + "\n"


@pytest.mark.usefixtures("process_as_it_is")
def test_a_run_leaves_its_directory_and_the_process_as_it_was(export: Path, tmp_path: Path) -> None:
    run = eventabs.run(export, settings=RULES, out=tmp_path / "out")
    assert (run.status, run.summary.done, run.failures) == ("completed", 6, {})
    assert run.path == tmp_path / "out"
    names = {file.name for file in run.path.iterdir()}
    assert names >= {"checkpoint.json", "ledger.sqlite", "events.jsonl", "failures.jsonl", "run.log"}
    assert lines(run.path / "run.log")[0]["event"] == "started"


def test_the_events_of_a_run_are_objects_and_frames(export: Path) -> None:
    run = eventabs.run([str(export)], settings=RULES)
    events = run.events
    raw = lines(run.path / "events.jsonl")
    assert [json.loads(line_of(event)) for event in events] == raw
    assert events[-1] == list(events)[-1]
    assert list(events[:3].to_pandas()["user_id"]) == [row["user_id"] for row in raw[:3]]
    for path in (run.path, run.path / "checkpoint.json", run.path / "events.jsonl"):
        assert len(eventabs.read_events(path)) == run.summary.events == len(raw)
    frame = events.to_pandas()
    assert list(frame["summary"]) == [row["summary"] for row in raw]
    assert frame["start"][0].to_pydatetime() == datetime.fromisoformat(raw[0]["start"])
    assert events.to_polars()["behaviors"].to_list() == [row["behaviors"] for row in raw]
    assert events.to_arrow().column("minutes").to_pylist() == [row["minutes"] for row in raw]
    assert len(run.journeys) == len(lines(run.path / "journeys.jsonl"))


def test_journeys_are_objects_and_frames(tmp_path: Path) -> None:
    made = [make_journey(user, [make_event(user, "2026-01-01T09:15:07+08:00")]) for user in ("anna", "bert")]
    file = tmp_path / "journeys.jsonl"
    file.write_text("".join(map(line_of, made)), "utf-8")
    journeys = eventabs.read_journeys(tmp_path)
    assert list(journeys) == list(eventabs.read_journeys(file)) == made
    assert (journeys[1], list(journeys[1:])) == (made[1], made[1:])
    assert repr(journeys) == "<Journeys: 2>"
    frame = journeys.to_pandas()
    assert frame["start"][0].to_pydatetime() == datetime(2026, 1, 1, 9, 15, 7)  # noqa: DTZ001  wall time
    assert journeys.to_polars()["events"].to_list() == [["anna/0"], ["bert/0"]]
    assert journeys.to_arrow().column("converted").to_pylist() == [False, False]


def test_a_frame_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        eventabs.Events([]).to_pandas()


@pytest.mark.parametrize("content", [None, b"{torn\n", b"[1]\n", b'{"user_id": "anna", "sure": true}\n'])
def test_results_that_cannot_be_read_end_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    for name, read in (("events.jsonl", eventabs.read_events), ("journeys.jsonl", eventabs.read_journeys)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name} cannot be read.* its {name}$"):
            read(tmp_path)


@pytest.mark.parametrize(
    "kind", ["pandas", "polars", "pyarrow", "stream", "duckdb", "polars without pyarrow"]
)
def test_a_table_in_memory_gives_the_events_of_its_file(
    export: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_file = eventabs.run(export, settings=SMALL, out="file")
    frame = pl.DataFrame(lines(export), infer_schema_length=None)
    made: dict[str, Callable[[], Any]] = {
        "pandas": frame.to_pandas,
        "pyarrow": frame.to_arrow,
        "stream": lambda: frame.to_arrow().to_reader(),
        "duckdb": lambda: duckdb.sql(f"SELECT * FROM '{export}'"),
    }
    table = made.get(kind, lambda: frame)()
    if kind == "polars without pyarrow":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    stop = eventabs.Stop()
    stopped = eventabs.run(table, settings=SMALL, observer=Watcher(stop.request), stop=stop)
    assert (stopped.path, stopped.status) == (Path("frame.eventabs"), "interrupted")
    resumed = eventabs.resume(stopped.path)
    assert (resumed.path / "events.jsonl").read_bytes() == (of_file.path / "events.jsonl").read_bytes()
    assert (resumed.path / "frame.parquet").stat().st_mode & 0o77 == 0


def test_the_results_of_a_run_that_is_not_there_are_not_those_beside_it(export: Path) -> None:
    run = eventabs.run(export, settings=RULES)
    for name in ("gone.eventabs", "gone.jsonl"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            eventabs.read_events(run.path / name)
    for name in ("checkpoint.json", "ledger.sqlite", "events.jsonl"):
        assert list(eventabs.read_events(run.path / name)) == list(run.events)


def test_one_path_is_taken_where_a_list_of_paths_is(export: Path, tmp_path: Path) -> None:
    run = eventabs.run(export, settings=RULES, out=tmp_path / "0", shard="0/1")
    assert eventabs.merge(str(run.path), tmp_path / "m").shards == {Shard(0, 1): run.path}
    in_files = {"llm": {"model": "m"}, "run": {"mode": "files"}}
    waiting = eventabs.run(export, settings=in_files, out=tmp_path / "waiting")
    with pytest.raises(InputError, match=r"gone\.jsonl cannot be read"):
        eventabs.resume(waiting.path, replies="gone.jsonl")


def test_a_run_of_a_file_is_extended_by_a_table(export: Path, tmp_path: Path) -> None:
    eventabs.run(export, settings=RULES, out="out")
    later = pd.read_json(write_users(tmp_path / "later.jsonl", users=7), lines=True)
    assert eventabs.estimate(later, settings=RULES).users == 7
    assert (eventabs.extend("out", later).summary.extension or {})["new_users"] == 1


def test_a_column_whose_kind_changes_late_is_read_whole() -> None:
    rows = [{"user_id": 7, "time": "2026-01-01 10:00", "item": 1}] * 5_000
    table = pd.DataFrame([*rows, {"user_id": "anna", "time": "2026-01-01 10:00", "item": "tea"}])
    run = eventabs.run(table, settings=RULES | {"input": {"keep_duplicates": True}})
    assert {event.user_id for event in run.events} == {"7", "anna"}


def test_what_is_neither_paths_nor_one_table_is_refused() -> None:
    for inputs in (7, None, [pd.DataFrame(), "export.jsonl"], pl.LazyFrame()):
        with pytest.raises(UsageError, match="table"):
            eventabs.run(cast("Any", inputs), settings=RULES)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"settings": "my.toml"}, "the path of a file is config"),
        ({"settings": {1: 2}}, "a mapping by names"),
        ({"shard": 0}, "input.shard"),
    ],
)
def test_arguments_of_another_kind_are_refused(export: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        eventabs.run(export, **{"settings": RULES, **arguments})


def test_a_frame_whose_copy_is_gone_is_asked_for_by_its_name() -> None:
    rows = [{"user_id": user, "time": "2026-01-01 10:00", "item": "tea"} for user in range(3)]
    run = eventabs.run(pd.DataFrame(rows), settings={**RULES, "run": {"limit": 1}})
    (run.path / "frame.parquet").unlink()
    with pytest.raises(InputError, match=r"frame\.parquet is in frame\.eventabs; put it back"):
        eventabs.resume(run.path)


def test_records_show_themselves_in_a_notebook_and_text_stays_text(tmp_path: Path) -> None:
    made = make_journey("<i>anna</i>", [make_event("<i>anna</i>", "2026-01-01T09:15:07+08:00")])
    (tmp_path / "journeys.jsonl").write_text(line_of(made), "utf-8")
    shown = eventabs.read_journeys(tmp_path)._repr_html_()
    assert "<th>kind</th>" in shown
    assert "<td>&lt;i&gt;anna&lt;/i&gt;</td>" in shown
    assert "<i>" not in shown


def test_settings_objects_are_taken_as_they_are_and_mappings_are_laid_over_the_file(export: Path) -> None:
    Path("eventabs.toml").write_text("[budget]\nmax_users = 1\n", encoding="utf-8")
    assert eventabs.run(export, settings=RULES, out="a").summary.calls == 6
    assert eventabs.run(export, settings=SMALL, out="b").summary.calls == 3
    isolated = eventabs.Settings.model_validate(RULES)
    assert eventabs.run(export, settings=isolated, out="c").summary.calls == 1


def test_a_run_in_the_place_of_an_export_names_the_command_that_goes_on_with_it(export: Path) -> None:
    eventabs.run(export, settings=RULES, out="out")
    for named in ("out", "out/checkpoint.json"):
        with pytest.raises(UsageError, match=rf"go on with it: eventabs resume {named}$"):
            eventabs.run(named, settings=RULES)


def test_over_a_run_of_another_version_nobody_is_told_to_resume(export: Path) -> None:
    eventabs.run(export, settings=RULES, out="old")
    with closing(Ledger.open(Path("old/ledger.sqlite"))) as ledger:
        ledger.rows("PRAGMA user_version = 3")
    with pytest.raises(UsageError, match=r"begin anew in another directory: eventabs run INPUT --out DIR$"):
        eventabs.run(export, settings=RULES, out="old")


@pytest.mark.parametrize(
    ("address", "told"), [("http://nowhere.invalid/v1", True), ("https://nowhere.invalid/v1", False)]
)
def test_plain_http_to_another_machine_is_told_before_anything_is_sent(
    export: Path, address: str, *, told: bool
) -> None:
    watcher = Watcher()
    with pytest.raises(eventabs.RunStoppedError):
        eventabs.run(export, settings={"llm": {"model": "m", "base_url": address}}, observer=watcher)
    assert [warning.code for warning in watcher.of(InputWarning)] == ["unencrypted"] * told


def test_a_check_reports_each_finding(openai_server: OpenAIServer) -> None:
    found: list[str] = []
    settings = {"llm": {"model": "m", "base_url": openai_server.base_url}}
    report = eventabs.check(settings=settings, on_finding=lambda finding: found.append(finding.name))
    assert report.exit_code == 0
    assert "connection" in found


# threads, loops, two at once


@pytest.mark.usefixtures("process_as_it_is")
def test_runs_in_two_threads_of_one_process_end_as_one_alone(export: Path, tmp_path: Path) -> None:
    alone = eventabs.run(export, settings=SMALL, out="alone")
    runs: dict[str, eventabs.Run] = {}

    def work(name: str) -> None:
        runs[name] = eventabs.run(export, settings=SMALL, out=tmp_path / name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = (alone.path / "events.jsonl").read_bytes()
    assert [(runs[name].path / "events.jsonl").read_bytes() for name in ("a", "b")] == [expected] * 2


async def test_two_runs_share_a_running_event_loop(export: Path) -> None:
    first, second = await asyncio.gather(
        eventabs.arun(export, settings=SMALL, out="a"), eventabs.arun(export, settings=SMALL, out="b")
    )
    assert (first.summary.done, second.summary.done) == (6, 6)


async def test_inside_an_event_loop_the_plain_functions_name_their_counterparts(export: Path) -> None:
    for call, name in (
        (lambda: eventabs.run(export), "arun"),
        (lambda: eventabs.resume("x"), "aresume"),
        (eventabs.check, "acheck"),
    ):
        with pytest.raises(UsageError, match=rf"await eventabs\.{name}\("):
            call()


# stopping


async def test_a_cancelled_run_is_saved_first(export: Path) -> None:
    task: asyncio.Task[eventabs.Run] | None = None

    def cancel() -> None:
        assert task is not None
        task.cancel()

    task = asyncio.create_task(eventabs.arun(export, settings=SMALL, out="out", observer=Watcher(cancel)))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert eventabs.read_events("out")[0].user_id, "what was done before is there"
    assert (await eventabs.aresume("out/checkpoint.json")).summary.done == 6


def test_a_run_that_cannot_go_on_raises_with_what_was_reached(export: Path) -> None:
    settings = SMALL | {"run": {"concurrency": 1, "max_total_tokens": 1}}
    with pytest.raises(eventabs.RunStoppedError, match="--max-total-tokens 1") as stopped:
        eventabs.run(export, settings=settings, out="out")
    assert stopped.value.run.status == "stopped"
    assert stopped.value.run.summary.pending == 6
    assert eventabs.resume("out", settings={"run": {"max_total_tokens": 0}}).summary.done == 6


def test_an_observer_gets_the_plan_and_the_progress(export: Path) -> None:
    watcher = Watcher()
    eventabs.run(export, settings=SMALL, observer=watcher)
    assert watcher.starts
    assert watcher.progress
    assert {Planned, BatchDone} <= {type(note) for note in watcher.notes}


@pytest.mark.slow
def test_a_notebook_runs_from_its_own_event_loop(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    client = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    export = ROOT / "examples" / "behaviors.jsonl"
    cells = [
        "import eventabs",
        f"estimate = eventabs.estimate({str(export)!r}, settings={RULES!r})",
        f"run = await eventabs.arun({str(export)!r}, settings={RULES!r}, out='nb.eventabs')",
        "print(estimate.users, run.status, len(run.events), len(run.events.to_pandas()))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert notebook.cells[-1].outputs[0].text.startswith("24 completed ")


def test_the_library_is_typed_and_loads_nothing_until_it_is_used() -> None:
    assert set(dir(eventabs)) >= {
        "Event", "Events", "Journey", "Journeys", "Run", "Settings", "Stop", "arun", "check", "estimate", "read_events",
        "read_journeys", "resume", "run",
    }  # fmt: skip
    assert (Path(eventabs.__file__).parent / "py.typed").exists()
