"""An export that grows every night: after each, the events are those of one run over all of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest

import eventabs
import nights
from eventabs import RunStoppedError, Stop
from eventabs.errors import ConfigError, InputError, RunDirectoryError, UsageError
from eventabs.inspection import inspect_run
from eventabs.records import Part
from eventabs.runs.estimate import estimate_extension
from eventabs.runs.lifecycle import Invocation, reopen_run, reparse
from eventabs.runs.observer import BatchDone, Extended, Note, Progress, Started
from eventabs.store.ledger import Ledger
from house import lines
from openai_server import OpenAIServer, answer

Model = dict[str, Any]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def model() -> Iterator[Model]:
    """Serve the model, and return the settings with which it is called."""
    with nights.served() as endpoint:
        yield {
            "llm": {"model": "m", "base_url": endpoint.base_url, "stream": False},
            "prompt": {"language": "en"},
            "budget": {"max_users": 5},
        }


def events_of_one_run(model: Model, exports: list[Path], name: str) -> bytes:
    return (eventabs.run(exports, settings=model, out=name).path / "events.jsonl").read_bytes()


def merged(before: bytes, changes: Path) -> list[bytes]:
    """Merge what has changed into events as docs/extend.md says."""
    events = list(map(orjson.loads, before.splitlines()))
    for line in lines(changes):
        change, replaced = line.pop("change"), line.pop("before", None)
        if change != "added":
            events.remove(replaced if change == "replaced" else line)
        if change != "removed":
            events.append(line)
    return sorted(map(orjson.dumps, events))


@pytest.mark.parametrize(
    "shape",
    ["window", *(pytest.param(shape, marks=pytest.mark.slow) for shape in ("appended", "day"))],
)
def test_after_each_night_the_events_are_those_of_one_run_over_all_days(model: Model, shape: str) -> None:
    rows = nights.record(12, 4, seed=3, changes=shape != "day")
    out, before = Path("out"), b""
    exports: list[Path] = []
    for night in range(4):
        export = nights.write(Path(f"{night}.jsonl"), nights.export(rows, night, shape))
        exports = [*exports, export] if shape == "day" else [export]
        if night == 0:
            eventabs.run(export, settings=model, out=out)
        else:
            run = eventabs.extend(out, export, settings=model, accept_changes=True)
            sent = sum(part[2] - part[1] + 1 for part in parts_sent(out, run.summary.extension))
            extension = run.summary.extension or {}
            assert sent == extension["new_behaviors"] + extension["reopened_behaviors"]
        events = (out / "events.jsonl").read_bytes()
        assert events == events_of_one_run(model, exports, f"all-{night}")
        if night:
            assert merged(before, out / "events.new.jsonl") == sorted(events.splitlines())
        before = events
    checkpoint = orjson.loads((out / "checkpoint.json").read_bytes())
    known = len({orjson.dumps(each.at(3)) for each in rows if each.known <= 3})  # equal rows are one
    assert checkpoint["input"]["behaviors"] == known
    assert checkpoint["event_counts"]["behaviors_covered"] == known
    whole = orjson.loads((Path("all-3") / "checkpoint.json").read_bytes())
    assert checkpoint["event_counts"] == whole["event_counts"]


def parts_sent(out: Path, extension: dict[str, int] | None) -> list[list[Any]]:
    """Return the parts that the calls of the last extension were about."""
    with Ledger.watch(out / "ledger.sqlite") as ledger:
        since = ledger.meta()["extension"]["since"]
        found = ledger.rows("SELECT users FROM calls WHERE id > ?", since)
    assert extension is not None
    assert len(found) == extension["calls"]
    return [part for (users,) in found for part in orjson.loads(users).values()]


def visits(*rows: tuple[str, str, str]) -> list[nights.Row]:
    return [{"user_id": user, "timestamp": at, "action": "visit", "poi": poi} for user, at, poi in rows]


FIRST = visits(
    ("u1", "2026-03-01 09:00:00", "City gym"),
    ("u1", "2026-03-01 23:40:00", "Night bus"),
    ("u2", "2026-03-01 12:00:00", "Cafe Luna"),
)


def begun(model: Model, rows: list[nights.Row] = FIRST) -> Path:
    return eventabs.run(nights.write(Path("first.jsonl"), rows), settings=model, out="out").path


def extended(model: Model, rows: list[nights.Row], **options: Any) -> eventabs.Run:  # noqa: ANN401  as `extend` takes them
    return eventabs.extend("out", nights.write(Path("more.jsonl"), rows), settings=model, **options)


def test_the_same_file_again_is_no_news_and_costs_nothing(model: Model) -> None:
    before = (begun(model) / "events.jsonl").read_bytes()
    run = extended(model, FIRST)
    assert (run.status, run.summary.calls) == ("completed", 1)
    assert (run.path / "events.jsonl").read_bytes() == before
    more = [*FIRST, *visits(("u1", "2026-03-02 00:10:00", "City gym"))]
    told = (extended(model, more).path / "events.new.jsonl").read_bytes()
    again = extended(model, more)
    assert not any((again.summary.extension or {"": 1}).values())
    assert (run.path / "events.new.jsonl").read_bytes() == told  # for whoever has not merged it yet


def test_a_session_over_midnight_becomes_one_event(model: Model) -> None:
    begun(model)
    run = extended(model, visits(("u1", "2026-03-02 00:10:00", "City gym")))
    assert [(event.start[5:16], event.behaviors) for event in run.events if event.user_id == "u1"] == [
        ("03-01T09:00", (0,)),
        ("03-01T23:40", (1, 2)),
    ]
    (changed,) = lines(run.path / "events.new.jsonl")
    assert (changed["change"], changed["behaviors"], changed["before"]["behaviors"]) == (
        "replaced",
        [1, 2],
        [1],
    )


def test_what_has_changed_or_is_gone_is_refused_and_the_run_stays_as_it_was(model: Model) -> None:
    others = visits(("u4", "2026-03-01 09:00:00", "Night bus"), ("u5", "2026-03-01 09:00:00", "Night bus"))
    out = begun(model, [*FIRST, *others])
    before = (out / "events.jsonl").read_bytes()
    rows = [FIRST[0] | {"poi": "Old library"}, FIRST[1], *others]
    with pytest.raises(RunDirectoryError, match=r"1 behavior has changed and 1 is gone .*--accept-changes"):
        extended(model, [*rows, *visits(("u3", "2026-03-01 13:00:00", "Cafe Luna"))])
    told = [(row["change"], row["user_id"], row["item"]) for row in lines(out / "changes.jsonl")]
    assert told == [("changed", "u1", "City gym"), ("gone", "u2", "Cafe Luna")]
    assert (out / "events.jsonl").read_bytes() == before
    assert orjson.loads((out / "checkpoint.json").read_bytes())["status"] == "completed"
    run = extended(model, rows, accept_changes=True)
    assert [event.type for event in run.events] == ["library", "bus", "bus", "bus"]
    assert {change["change"] for change in lines(out / "events.new.jsonl")} == {"replaced", "removed"}


def test_an_export_of_a_few_users_says_nothing_about_the_others(model: Model) -> None:
    rows = [row for each in range(9) for row in visits((f"u{each}", "2026-03-01 09:00:00", "City gym"))]
    begun(model, rows)
    run = extended(model, [*rows[:2], *visits(("u0", "2026-03-01 20:00:00", "Cafe Luna"))])
    assert (run.summary.extension or {})["gone_behaviors"] == 0
    assert len(run.events) == 10


def test_what_lies_too_far_back_is_left_out_and_listed_until_lateness_takes_it(model: Model) -> None:
    out = begun(model)
    old = visits(("u1", "2026-02-20 09:00:00", "Old library"))
    heard = Heard()
    run = extended(model, old, observer=heard)
    assert len(run.events) == 3
    (told,) = [fact for fact in heard.facts if isinstance(fact, Extended)]
    assert (told.too_late_behaviors, told.new_behaviors) == (1, 0)
    assert [row["change"] for row in lines(out / "changes.jsonl")] == ["too_late"]
    run = extended(model | {"extend": {"lateness": "3 weeks"}}, old)
    assert [event.type for event in run.events] == ["library", "gym", "bus", "Luna"]


def test_earlier_events_hold_as_long_as_what_is_new_of_their_user_has_no_answer(
    model: Model,
) -> None:
    out = begun(model)
    before = (out / "events.jsonl").read_bytes()
    refusing = model | {"llm": model["llm"] | {"base_url": "http://127.0.0.1:9/v1"}}
    more = visits(("u1", "2026-03-02 00:10:00", "City gym"), ("u3", "2026-03-02 09:00:00", "Cafe Luna"))
    with pytest.raises(RunStoppedError):
        extended(refusing, more, accept_changes=True)
    assert (out / "events.jsonl").read_bytes() == before
    assert lines(out / "events.new.jsonl") == []
    run = eventabs.resume("out", settings=model, accept_changes=True)
    assert [(event.type, event.behaviors) for event in run.events] == [
        ("gym", (0,)),
        ("bus", (1, 2)),
        ("Luna", (0,)),
        ("Luna", (0,)),
    ]
    assert [change["change"] for change in lines(out / "events.new.jsonl")] == ["replaced", "added"]


def test_changes_count_from_when_the_run_was_last_completed(model: Model) -> None:
    out = begun(model)
    before = (out / "events.jsonl").read_bytes()
    refusing = model | {"llm": model["llm"] | {"base_url": "http://127.0.0.1:9/v1"}}
    nights_of_failure = [
        visits(("u1", "2026-03-02 00:10:00", "City gym"), ("u2", "2026-02-28 12:00:00", "Night bus")),
        visits(("u1", "2026-03-01 10:00:00", "Old library"), ("u2", "2026-03-02 12:00:00", "Cafe Luna")),
    ]
    for rows in nights_of_failure:
        with pytest.raises(RunStoppedError):
            extended(refusing, rows, accept_changes=True)
        assert merged(before, out / "events.new.jsonl") == sorted(
            (out / "events.jsonl").read_bytes().splitlines()
        )
    run = extended(model, visits(("u3", "2026-03-03 12:00:00", "Cafe Luna")), accept_changes=True)
    assert merged(before, out / "events.new.jsonl") == sorted(
        (out / "events.jsonl").read_bytes().splitlines()
    )
    assert [event.behaviors for event in run.events] == [(0, 1), (2, 3), (0,), (1,), (2,), (0,)]


def test_a_run_that_was_stopped_early_is_extended_and_completed_at_once(model: Model) -> None:
    stop = Stop()
    rows = [row for each in range(9) for row in visits((f"u{each}", "2026-03-01 09:00:00", "City gym"))]
    settings = model | {"budget": {"max_users": 1}, "run": {"concurrency": 1}}
    stopped = eventabs.run(
        nights.write(Path("first.jsonl"), rows),
        settings=settings,
        out="out",
        stop=stop,
        observer=Heard(stop.request),
    )
    before = len(stopped.events)
    assert 0 < before < 9
    run = extended(settings, visits(("u8", "2026-03-02 09:00:00", "Cafe Luna")))
    assert run.summary.done == 9
    assert len(run.events) == 10
    changes = [change["change"] for change in lines(run.path / "events.new.jsonl")]
    assert changes == ["added"] * (10 - before)


def test_a_run_with_few_events_a_user_or_an_input_half_read_is_refused(model: Model) -> None:
    begun(model | {"prompt": {"language": "en", "detail": "brief"}})
    with pytest.raises(ConfigError, match="brief"):
        extended(model, FIRST)
    eventabs.run("first.jsonl", settings=model | {"run": {"limit": 1}}, out="trial")
    with pytest.raises(RunDirectoryError, match="eventabs resume"):
        eventabs.extend("trial", "first.jsonl", settings=model)


def test_an_export_that_cannot_be_compared_or_read_leaves_the_run_as_it_was(model: Model) -> None:
    out = begun(model)
    before = (out / "events.jsonl").read_bytes()
    with pytest.raises(InputError, match="offset"):
        extended(model, visits(("u1", "2026-03-02T09:00:00+08:00", "City gym")))
    with pytest.raises(UsageError):
        eventabs.extend("out", "nowhere.jsonl", settings=model)
    assert (out / "events.jsonl").read_bytes() == before
    assert orjson.loads((out / "checkpoint.json").read_bytes())["status"] == "completed"
    assert eventabs.resume("out", settings=model).status == "completed"


def test_reparsing_an_extended_run_changes_nothing(model: Model) -> None:
    rows = nights.record(9, 3, seed=5)
    for night in range(3):
        export = nights.write(Path(f"{night}.jsonl"), nights.export(rows, night, "window"))
        if night:
            eventabs.extend("out", export, settings=model, accept_changes=True)
        else:
            eventabs.run(export, settings=model, out="out")
    changed_nothing_when_reparsed(model)


def test_duplicates_that_were_dropped_stay_counted_when_a_run_is_extended_and_reparsed() -> None:
    def twice(message: str) -> str:
        lines_said = nights.answer(message).splitlines()
        return "\n".join(line for line in lines_said for _time in range(2 if "|" in line else 1))

    with OpenAIServer(answer(twice)) as server:
        model = {"llm": {"model": "m", "base_url": server.base_url}, "prompt": {"language": "en"}}
        begun(model)
        assert duplicates() == len(FIRST)
        run = extended(model, visits(("u1", "2026-03-02 00:10:00", "City gym")))
        assert duplicates() == len(FIRST) + 2, "and those of the day that is asked about anew"
        assert run.summary.events == len(FIRST)
        changed_nothing_when_reparsed(model)


def duplicates() -> int:
    document = orjson.loads((Path("out") / "checkpoint.json").read_bytes())
    return int(document["event_counts"]["duplicates"])


def changed_nothing_when_reparsed(model: Model) -> None:
    """Read the replies of a run again, and see that all is as it was."""
    before = (Path("out") / "events.jsonl").read_bytes()
    counts = orjson.loads((Path("out") / "checkpoint.json").read_bytes())["event_counts"]
    answers = inspect_run(Path("out"), now=lambda: 0.0).progress.answers
    assert answers
    invocation = Invocation(None, model, {})
    with reopen_run(
        invocation,
        named=Path("out"),
        changed="ignore",
        confirmed=True,
        watch=lambda *_run: Heard().watching(),
    ) as run:
        reparse(run)
    assert (Path("out") / "events.jsonl").read_bytes() == before
    assert orjson.loads((Path("out") / "checkpoint.json").read_bytes())["event_counts"] == counts
    assert inspect_run(Path("out"), now=lambda: 0.0).progress.answers == answers


def test_an_estimate_has_the_calls_of_the_extension_and_leaves_no_trace(model: Model) -> None:
    rows = nights.record(12, 2, seed=9, changes=False)
    out = eventabs.run(
        nights.write(Path("0.jsonl"), nights.export(rows, 0, "day")), settings=model, out="out"
    ).path
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    export = nights.write(Path("1.jsonl"), nights.export(rows, 1, "day"))
    estimated = estimate_extension(Invocation(None, model, {}), out, [str(export)])
    # a reader of a database leaves an empty log beside it
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if "sqlite-" not in path.name}
    assert after == before
    taken = eventabs.extend(out, export, settings=model).summary.extension or {}
    for name in ("new_users", "extended_users", "new_behaviors", "late_behaviors", "reopened_behaviors"):
        assert getattr(estimated, name) == taken[name]
    assert estimated.batches == taken["calls"] > 1
    assert estimated.users == taken["new_users"] + taken["extended_users"]


def test_limits_on_spending_hold_for_each_extension_by_itself(model: Model) -> None:
    rows = nights.record(12, 2, seed=9, changes=False)
    out = eventabs.run(
        nights.write(Path("0.jsonl"), nights.export(rows, 0, "day")), settings=model, out="out"
    )
    export = nights.write(Path("1.jsonl"), nights.export(rows, 1, "day"))
    most = out.summary.prompt_tokens + out.summary.completion_tokens + 10_000
    run = eventabs.extend(
        "out", export, settings=model | {"run": {"max_total_tokens": most, "concurrency": 1}}
    )
    assert run.status == "completed"
    assert run.summary.prompt_tokens + run.summary.completion_tokens + 8_192 > most


def test_a_failed_user_keeps_its_events_and_is_asked_again_on_request(model: Model) -> None:
    from eventabs.store.ledger import PartChange  # noqa: PLC0415  it stands for a reply that failed the user

    out = begun(model)
    extended(model, visits(("u1", "2026-03-03 09:00:00", "Cafe Luna")))
    before = lines(out / "events.jsonl")
    ledger = Ledger.open(out / "ledger.sqlite")
    (part,) = [
        Part(*row)
        for row in ledger.rows("SELECT user_id, first, last FROM parts WHERE user_id = 'u1' AND first = 2")
    ]
    with ledger.transaction():
        ledger.fail_call(1, "refused", [PartChange(part, "failed", reason="refused")])
    ledger.close()
    failed = extended(model, visits(("u2", "2026-03-04 09:00:00", "Cafe Luna")))
    assert failed.failures == {"refused": 1}
    assert [(event.user_id, event.type) for event in failed.events] == [
        ("u1", "gym"),
        ("u1", "bus"),
        ("u2", "Luna"),
        ("u2", "Luna"),
    ]
    assert failed.summary.events == 4
    again = extended(model, visits(("u2", "2026-03-05 09:00:00", "Cafe Luna")), retry_failed=True)
    assert again.failures == {}
    assert len(again.events) == len(before) + 2


class Heard:
    """Keeps what a run reports, and calls back at each finished batch."""

    def __init__(self, at_batch: Callable[[], None] = lambda: None) -> None:
        self.facts: list[Started | Note | Progress] = []
        self._at_batch = at_batch

    def started(self, facts: Started) -> None:
        self.facts.append(facts)

    def noted(self, note: Note) -> None:
        self.facts.append(note)
        if isinstance(note, BatchDone):
            self._at_batch()

    def progressed(self, progress: Progress) -> None:
        self.facts.append(progress)

    def watching(self) -> AbstractContextManager["Heard"]:
        return nullcontext(self)
