"""An export that grows every night: after each, events and journeys are those of one run over all of it."""

import re
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest

import eventabs
import nights
from batch_files import reply_to, write_lines
from eventabs import RunStoppedError, Stop
from eventabs.errors_and_exit_codes import InputError, RunDirectoryError, UsageError
from eventabs.runs.estimate_and_columns import estimate_extension
from eventabs.runs.extension import Planner
from eventabs.runs.observer import Extended
from eventabs.runs.start_resume_reparse import Invocation, reopen_run, reparse
from eventabs.shared_records import Part, lasting_id
from eventabs.store.ledger import Ledger, PartChange, unpack_messages
from house import lines
from runs_kit import Watcher

Model = dict[str, Any]


pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def model() -> Iterator[Model]:
    """Serve the model, and return the settings with which it is called."""
    with nights.served() as endpoint:
        yield nights.settings(endpoint) | {"budget": {"max_users": 5}}


@pytest.mark.parametrize(
    ("shape", "cut"),
    [("window", 0), *(pytest.param(*each, marks=pytest.mark.slow) for each in (("appended", 5), ("day", 0)))],
)
def test_after_each_night_events_and_journeys_are_those_of_one_run_over_all_days(
    model: Model, shape: str, cut: int
) -> None:
    rows = nights.record(12, 6, seed=3, cut=cut)
    out, before = Path("out"), dict[str, list[Any]](events=[], journeys=[])
    went_on = 0
    for night in range(6):
        export = nights.write(Path(f"{night}.jsonl"), nights.export(rows, night, shape))
        if night == 0:
            eventabs.run(export, settings=model, out=out)
        else:
            run = eventabs.extend(out, export, settings=model, accept_changes=True)
            went_on += (run.summary.extension or {})["journeys_replaced"]
        known = [each.row if shape == "day" else each.at(night) for each in rows if each.known <= night]
        whole = eventabs.run(nights.write(Path("all.jsonl"), known), settings=model, out=f"all-{night}")
        assert nights.results(out) == nights.results(whole.path)
        for of, earlier in before.items():
            now = nights.read(out / f"{of}.jsonl")
            if night:
                changes = nights.read(out / f"{of}.new.jsonl")
                assert nights.merged(earlier, changes) == {each["id"]: each for each in now}
            before[of] = now
    assert went_on > 0
    checkpoint, at_once = (
        orjson.loads((each / "checkpoint.json").read_bytes()) for each in (out, whole.path)
    )
    assert checkpoint["input"]["behaviors"] == at_once["input"]["behaviors"]
    assert checkpoint["event_counts"] == at_once["event_counts"]


def visits(*rows: tuple[str, str, str]) -> list[nights.Row]:
    return [{"user_id": user, "timestamp": at, "action": "visit", "poi": poi} for user, at, poi in rows]


def steps(*rows: tuple[str, str, str]) -> list[nights.Row]:
    return [{"user_id": "u1", "timestamp": at, "action": action, "item": item} for at, action, item in rows]


FIRST = visits(
    ("u1", "2026-03-01 09:00:00", "City gym"),
    ("u1", "2026-03-01 23:40:00", "Harbor cinema"),
    ("u2", "2026-03-01 12:00:00", "Cafe Luna"),
)


SOFA = steps(("2026-03-02 20:00:00", "search", "sofa7"), ("2026-03-03 20:00:00", "browse", "sofa7"))
PAID = [SOFA[0], SOFA[1] | {"action": "purchase"}]


def begun(model: Model, rows: list[nights.Row] = FIRST) -> Path:
    return eventabs.run(nights.write(Path("first.jsonl"), rows), settings=model, out="out").path


def extended(model: Model, rows: list[nights.Row], **options: Any) -> eventabs.Run:  # noqa: ANN401  as `extend` takes them
    return eventabs.extend("out", nights.write(Path("more.jsonl"), rows), settings=model, **options)


def last_prompt(out: Path) -> tuple[str, str]:
    """Return the system message and the user message of the last call."""
    with Ledger.watch(out / "ledger.sqlite") as ledger:
        ((messages,),) = ledger.rows("SELECT messages FROM calls ORDER BY id DESC LIMIT 1")
    system, user = (message["content"] for message in unpack_messages(messages))
    return system, user


def test_a_lone_search_of_monday_joins_the_journey_of_tuesday(model: Model) -> None:
    out = begun(model, steps(("2026-03-02 20:00:00", "search", "tent1")))
    (search,) = lines(out / "events.jsonl")
    run = extended(model, steps(("2026-03-03 20:00:00", "browse", "tent1")))
    (journey,) = lines(out / "journeys.jsonl")
    assert (journey["name"], journey["behaviors"]) == ("tent1", [0, 1])
    joined, added = lines(out / "events.new.jsonl")
    assert (joined["change"], joined["id"], joined["journey"]) == ("replaced", search["id"], journey["id"])
    assert (joined["before"], added["change"]) == (search, "added")
    assert run.summary.extension == {
        "new_users": 0,
        "extended_users": 1,
        "new_behaviors": 1,
        **dict.fromkeys(("late_behaviors", "changed_behaviors", "gone_behaviors", "too_late_behaviors"), 0),
        **dict.fromkeys(("reopened_behaviors", "reopened_days"), 0),
        "calls": 1,
        "prompt_tokens": (run.summary.extension or {})["prompt_tokens"],
        "completion_tokens": (run.summary.extension or {})["completion_tokens"],
        **dict.fromkeys(("events_added", "events_replaced", "journeys_added"), 1),
        **dict.fromkeys(("events_removed", "journeys_replaced", "journeys_removed"), 0),
    }


def test_a_delivery_joins_the_purchase_that_was_paid_last_week_which_keeps_its_id(model: Model) -> None:
    out = begun(model, PAID)
    (before,) = lines(out / "journeys.jsonl")
    extended(model, steps(("2026-03-10 11:00:00", "receive", "sofa7")))
    (changed,) = lines(out / "journeys.new.jsonl")
    assert (changed["change"], changed["id"], changed["before"]) == ("replaced", before["id"], before)
    assert changed["behaviors"] == [0, 1, 2]
    assert [event["change"] for event in lines(out / "events.new.jsonl")] == ["added"]
    system, user = last_prompt(out)
    assert "context" in system
    assert user == "## U1\n> purchase sofa7\n# 2026-03-10 Tue\n1 11:00 receive: sofa7\n"


def test_journeys_that_were_touched_long_ago_are_not_shown(model: Model) -> None:
    out = begun(model, PAID)
    extended(model | {"extend": {"journey_days": 6}}, steps(("2026-03-10 11:00:00", "receive", "sofa7")))
    assert "sofa7: " not in last_prompt(out)[1]
    assert lines(out / "journeys.new.jsonl") == []
    assert lines(out / "journeys.jsonl")[0]["behaviors"] == [0, 1]


def test_an_earlier_row_joins_a_journey_which_keeps_its_id_and_events_keep_theirs(model: Model) -> None:
    out = begun(model, PAID)
    before, (journey,) = lines(out / "events.jsonl"), lines(out / "journeys.jsonl")
    extended(model, steps(("2026-03-01 20:00:00", "browse", "sofa7")))
    (after,) = lines(out / "journeys.jsonl")
    assert (after["id"], after["behaviors"]) == (journey["id"], [0, 1, 2])
    assert after["start"] == "2026-03-01T20:00:00"
    events = {event["id"]: event["behaviors"] for event in lines(out / "events.jsonl")}
    assert events == {lasting_id("u1", 2): [0], **{each["id"]: [row + 1] for row, each in enumerate(before)}}


def test_only_the_days_that_something_new_touches_are_asked_about_again(model: Model) -> None:
    out = begun(model)
    later = visits(("u1", "2026-03-03 09:00:00", "Cafe Luna"))
    run = extended(model, later)
    assert (run.summary.extension or {})["reopened_behaviors"] == 0
    assert last_prompt(out)[1].startswith("## U1\n>: 1,2\n"), "as possible first hints"
    # a night goes on until five o'clock
    run = extended(model, visits(("u1", "2026-03-02 00:10:00", "Harbor cinema")))
    facts = run.summary.extension or {}
    assert (facts["reopened_behaviors"], facts["reopened_days"], facts["late_behaviors"]) == (2, 1, 1)
    assert [(event.start[5:16], event.behaviors) for event in run.events if event.user_id == "u1"] == [
        ("03-01T09:00", (0,)),
        ("03-01T23:40", (1, 2)),
        ("03-03T09:00", (3,)),
    ]
    told = [(change["change"], change["behaviors"]) for change in lines(out / "events.new.jsonl")]
    assert told == [("replaced", [1, 2]), ("replaced", [3])], "the id is the old one, the index a new one"


def test_a_call_of_an_extension_has_the_tokens_that_were_planned(model: Model) -> None:
    rows = nights.record(9, 12, seed=5)
    out = begun(model, nights.export(rows, 10, "window"))
    extended(model, nights.export(rows, 11, "window"), accept_changes=True)
    with Ledger.watch(out / "ledger.sqlite") as ledger:
        since = ledger.meta()["extension"]["since"]
        calls = ledger.rows("SELECT input_tokens, prompt_tokens, messages FROM calls WHERE id > ?", since)
    shown = "".join(unpack_messages(messages)[1]["content"] for *_tokens, messages in calls)
    assert "\n> " in shown
    framing = 11
    assert {written - counted for written, counted, _messages in calls} == {framing}


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


def test_what_has_changed_or_is_gone_is_refused_and_the_run_stays_as_it_was(model: Model) -> None:
    others = visits(("u4", "2026-03-01 09:00:00", "Cafe Luna"), ("u5", "2026-03-01 09:00:00", "Cafe Luna"))
    out = begun(model, [*FIRST, *others])
    before = (out / "events.jsonl").read_bytes()
    rows = [FIRST[0] | {"poi": "Office"}, FIRST[1], *others]
    with pytest.raises(RunDirectoryError, match=r"1 behavior has changed and 1 is gone .*--accept-changes"):
        extended(model, [*rows, *visits(("u3", "2026-03-01 13:00:00", "Cafe Luna"))])
    told = [(row["change"], row["user_id"], row["item"]) for row in lines(out / "changes.jsonl")]
    assert told == [("changed", "u1", "City gym"), ("gone", "u2", "Cafe Luna")]
    assert (out / "events.jsonl").read_bytes() == before
    assert orjson.loads((out / "checkpoint.json").read_bytes())["status"] == "completed"
    run = extended(model, rows, accept_changes=True)
    assert [event.type for event in run.events] == ["work", "entertainment", "dining", "dining"]
    ids = [(change["change"], change["id"]) for change in lines(out / "events.new.jsonl")]
    assert ids == [("added", "u1/2"), ("removed", "u1/0"), ("removed", "u2/0")]


def test_a_journey_whose_other_row_is_gone_becomes_a_plain_event(model: Model) -> None:
    others = visits(("u1", "2026-03-03 09:00:00", "City gym"), ("u1", "2026-03-03 21:00:00", "Cafe Luna"))
    out = begun(model, [*SOFA, *others])
    extended(model, [SOFA[0], *others], accept_changes=True)
    assert lines(out / "journeys.jsonl") == []
    assert [(event["type"], event["journey"]) for event in lines(out / "events.jsonl")] == [
        ("searching", None),
        ("exercise", None),
        ("dining", None),
    ]


def test_days_that_are_gone_whole_cost_no_call(model: Model) -> None:
    many = visits(*(("u2", f"2026-03-0{day} 12:00:00", "Cafe Luna") for day in range(1, 6)))
    lone = visits(("u1", "2026-03-01 09:00:00", "City gym"), ("u1", "2026-03-03 09:00:00", "City gym"))
    more = visits(("u3", "2026-03-03 09:00:00", "City gym"))
    begun(model, [*many, *lone, *more])
    run = extended(model, [*many, lone[0], *more], accept_changes=True)
    assert run.summary.calls == 1
    assert [event.behaviors for event in run.events if event.user_id == "u1"] == [(0,)]


def test_an_export_of_a_few_users_says_nothing_about_the_others(model: Model) -> None:
    rows = [row for each in range(9) for row in visits((f"u{each}", "2026-03-01 09:00:00", "City gym"))]
    begun(model, rows)
    run = extended(model, [*rows[:2], *visits(("u0", "2026-03-01 20:00:00", "Cafe Luna"))])
    assert (run.summary.extension or {})["gone_behaviors"] == 0
    assert len(run.events) == 10


def test_what_lies_too_far_back_is_left_out_and_listed_until_lateness_takes_it(model: Model) -> None:
    out = begun(model)
    old = visits(("u1", "2026-02-20 09:00:00", "Office"))
    heard = Watcher()
    run = extended(model, old, observer=heard)
    assert len(run.events) == 3
    (told,) = heard.of(Extended)
    assert (told.too_late_behaviors, told.new_behaviors) == (1, 0)
    assert [row["change"] for row in lines(out / "changes.jsonl")] == ["too_late"]
    run = extended(model | {"extend": {"lateness": "3 weeks"}}, old)
    assert [event.type for event in run.events] == ["work", "exercise", "entertainment", "dining"]


def test_earlier_results_hold_as_long_as_what_is_new_of_their_user_has_no_answer(model: Model) -> None:
    out = begun(model, [*FIRST, *SOFA])
    names = ("events.jsonl", "journeys.jsonl")
    before = [(out / name).read_bytes() for name in names]
    refusing = model | {"llm": model["llm"] | {"base_url": "http://127.0.0.1:9/v1"}}
    nights_of_failure = [
        steps(("2026-03-04 20:00:00", "cart", "sofa7")),
        visits(("u1", "2026-03-03 10:00:00", "Office"), ("u3", "2026-03-02 12:00:00", "Cafe Luna")),
    ]
    for failing in nights_of_failure:
        with pytest.raises(RunStoppedError):
            extended(refusing, failing, accept_changes=True)
        assert [(out / name).read_bytes() for name in names] == before
        assert lines(out / "events.new.jsonl") == lines(out / "journeys.new.jsonl") == []
    run = eventabs.resume("out", settings=model, accept_changes=True)
    assert run.summary.events == len(run.events) == 8
    assert lines(out / "journeys.jsonl")[0]["behaviors"] == [2, 4, 5]
    for name, earlier in zip(names, before, strict=True):
        changes = nights.read(out / name.replace(".", ".new."))
        merged = nights.merged(map(orjson.loads, earlier.splitlines()), changes)
        assert merged == {each["id"]: each for each in lines(out / name)}


def test_a_run_that_was_stopped_early_is_extended_and_completed_at_once(model: Model) -> None:
    stop = Stop()
    rows = [row for each in range(9) for row in visits((f"u{each}", "2026-03-01 09:00:00", "City gym"))]
    settings = model | {"budget": {"max_users": 1}, "run": {"concurrency": 1}}
    stopped = eventabs.run(
        nights.write(Path("first.jsonl"), rows),
        settings=settings,
        out="out",
        stop=stop,
        observer=Watcher(stop.request),
    )
    before = len(stopped.events)
    assert 0 < before < 9
    run = extended(settings, visits(("u8", "2026-03-02 09:00:00", "Cafe Luna")))
    assert run.summary.done == 9
    assert len(run.events) == 10
    changes = [change["change"] for change in lines(run.path / "events.new.jsonl")]
    assert changes == ["added"] * (10 - before)


def test_a_run_that_has_read_half_its_input_is_refused(model: Model) -> None:
    nights.write(Path("first.jsonl"), FIRST)
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


def test_an_extension_that_is_stopped_while_it_plans_has_changed_nothing_and_is_gone_on_with(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(model)
    stop, plan = Stop(), Planner.plan

    def planned(*change: Any) -> Any:  # noqa: ANN401  as Planner.plan
        stop.request()
        return plan(*change)

    with monkeypatch.context() as patched:
        patched.setattr(Planner, "plan", planned)
        more = visits(("u1", "2026-03-03 09:00:00", "Office"), ("u3", "2026-03-03 09:00:00", "Office"))
        run = extended(model, more, stop=stop)
    assert (run.status, run.summary.behaviors, run.summary.extension) == ("interrupted", 3, None)
    assert not list(Path("out").glob("*.tmp"))
    later = visits(("u1", "2026-03-04 09:00:00", "Office"), ("u3", "2026-03-04 09:00:00", "Office"))
    other = nights.write(Path("other.jsonl"), later)
    with pytest.raises(RunDirectoryError, match="is not taken in yet; first: eventabs resume"):
        eventabs.extend("out", other, settings=model)
    run = eventabs.resume("out", settings=model)
    assert (run.status, run.summary.behaviors, len(run.events)) == ("completed", 5, 5)
    stop = Stop()
    with monkeypatch.context() as patched:
        patched.setattr(Planner, "plan", planned)
        run = eventabs.extend("out", other, settings=model, stop=stop)
    assert run.status == "interrupted"
    assert set((run.summary.extension or {"none": 1}).values()) == {0}  # that of before has been told


def test_while_an_export_is_taken_in_the_run_is_not_completed(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plan, seen = begun(model), Planner.plan, list[str]()

    def planned(*change: Any) -> Any:  # noqa: ANN401  as Planner.plan
        seen.append(orjson.loads((out / "checkpoint.json").read_bytes())["status"])
        return plan(*change)

    monkeypatch.setattr(Planner, "plan", planned)
    extended(model, visits(("u1", "2026-03-03 09:00:00", "Office")))
    assert set(seen) == {"running"}


def test_an_export_that_is_gone_when_a_run_goes_on_is_named_with_how_to_take_it_in(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(model)
    stop = Stop()

    def stopped(*_change: Any) -> None:  # noqa: ANN401  as Planner.plan
        stop.request()
        stop.check()

    with monkeypatch.context() as patched:
        patched.setattr(Planner, "plan", stopped)
        extended(model, visits(("u1", "2026-03-03 09:00:00", "Office")), stop=stop)
    Path("more.jsonl").rename("elsewhere")
    with pytest.raises(UsageError, match=r"once it can be read: eventabs extend \S*out \S*more\.jsonl"):
        eventabs.resume("out", settings=model)


@pytest.mark.parametrize("state", ["comparing", "taking"])
def test_an_extension_that_an_earlier_version_began_is_taken_in(model: Model, state: str) -> None:
    out = begun(model)
    export = nights.write(Path("more.jsonl"), visits(("u1", "2026-03-03 09:00:00", "Office")))
    asked = {"paths": [str(export)], "state": state, "accepted": False}
    known = {"before": {}, "status": "completed"} if state == "comparing" else {"since": 1, "counts": {}}
    with closing(Ledger.open(out / "ledger.sqlite")) as ledger, ledger.transaction():
        ledger.set_meta({"extension": asked | known, "status": "running"})
    run = eventabs.resume("out", settings=model)
    assert (run.status, run.summary.behaviors) == ("completed", 4)


def test_reparsing_an_extended_run_changes_nothing(model: Model) -> None:
    rows = nights.record(9, 4, seed=5, cut=0)
    for night in range(4):
        export = nights.write(Path(f"{night}.jsonl"), nights.export(rows, night, "window"))
        if night:
            eventabs.extend("out", export, settings=model, accept_changes=True)
        else:
            eventabs.run(export, settings=model, out="out")
    reparsed(model)


def reparsed(model: Model) -> None:
    """Read the replies of the run again, and see that all is as it was."""
    names = ("events.jsonl", "journeys.jsonl", "events.new.jsonl", "journeys.new.jsonl")
    before = [(Path("out") / name).read_bytes() for name in names]
    counts = orjson.loads((Path("out") / "checkpoint.json").read_bytes())["event_counts"]
    with reopen_run(
        Invocation(None, model, {}),
        named=Path("out"),
        changed="ignore",
        confirmed=True,
        watch=lambda *_run: nullcontext(Watcher()),
    ) as run:
        reparse(run)
    assert [(Path("out") / name).read_bytes() for name in names] == before
    assert orjson.loads((Path("out") / "checkpoint.json").read_bytes())["event_counts"] == counts


@pytest.mark.parametrize(
    "fault", ["left out", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("cut", "half"))]
)
def test_an_answer_that_is_bad_at_first_leaves_no_trace_in_what_stays(
    model: Model, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    rows = nights.record(9, 8, seed=4, cut=0)
    eventabs.run(nights.write(Path("6.jsonl"), nights.export(rows, 6, "window")), settings=model, out="out")
    answer, calls = nights.answer, list[str]()

    def bad(message: str) -> str:
        calls.append(message)
        told = answer(message)
        if len(calls) > 4:
            return told
        match fault:
            case "left out":
                return re.sub(r"(?m)^(work|dining) .*\n", "", told)
            case "cut":
                return told[: len(told) // 2]
        return told.replace("##\n", "") + "## U1\nwork 1\n##\n"

    monkeypatch.setattr(nights, "answer", bad)
    export = nights.write(Path("7.jsonl"), nights.export(rows, 7, "window"))
    run = eventabs.extend("out", export, settings=model, accept_changes=True)
    assert (run.status, run.failures) == ("completed", {})
    monkeypatch.setattr(nights, "answer", answer)
    known = [each.at(7) for each in rows if each.known <= 7]
    whole = eventabs.run(nights.write(Path("all.jsonl"), known), settings=model, out="all")
    assert nights.results(Path("out")) == nights.results(whole.path)
    if fault in ("left out", "cut"):
        assert len(calls) > (run.summary.extension or {})["extended_users"] // 5 + 1
    reparsed(model)


def test_an_extension_is_asked_in_files_and_answered_from_files(model: Model) -> None:
    out = begun(model, [*FIRST, *SOFA])
    files = model | {"run": {"mode": "files"}}
    run = extended(files, steps(("2026-03-04 20:00:00", "cart", "sofa7")))
    assert run.status == "waiting"
    with pytest.raises(RunDirectoryError, match="--replies FILE, or with --mode live"):
        eventabs.extend("out", "more.jsonl", settings=files)
    asked = nights.read(out / "requests.jsonl")
    path = write_lines(Path("replies.jsonl"), [reply_to(request, nights.answer) for request in asked])
    run = eventabs.resume("out", settings=files, replies=[path])
    assert run.status == "completed"
    assert lines(out / "journeys.jsonl")[0]["behaviors"] == [2, 3, 4]


def test_users_whose_settings_changed_meanwhile_are_measured_again_and_keep_their_past(model: Model) -> None:
    out = begun(model, SOFA)
    refusing = model | {"llm": model["llm"] | {"base_url": "http://127.0.0.1:9/v1"}}
    with pytest.raises(RunStoppedError):
        extended(refusing, steps(("2026-03-04 20:00:00", "cart", "sofa7")), accept_changes=True)
    other = model | {"prompt": {"language": "en", "guidance": "A sofa is furniture."}}
    run = eventabs.resume("out", settings=other, accept_changes=True)
    assert run.status == "completed"
    system, user = last_prompt(out)
    assert "furniture" in system
    assert user.startswith("## U1\n> purchase sofa7\n# 2026-03-04 Wed\n1 ")
    assert lines(out / "journeys.jsonl")[0]["behaviors"] == [0, 1, 2]


def test_an_estimate_has_the_calls_of_the_extension_and_leaves_no_trace(model: Model) -> None:
    rows = nights.record(12, 2, seed=9)
    out = begun(model, nights.export(rows, 0, "day"))
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    export = nights.write(Path("1.jsonl"), nights.export(rows, 1, "day"))
    estimated = estimate_extension(Invocation(None, model, {}), out, [str(export)], print)
    # a reader of a database leaves an empty log beside it
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if "sqlite-" not in path.name}
    assert after == before
    taken = eventabs.extend(out, export, settings=model).summary.extension or {}
    for name in ("new_users", "extended_users", "new_behaviors", "late_behaviors", "reopened_behaviors"):
        assert getattr(estimated, name) == taken[name]
    assert estimated.batches == taken["calls"] > 1
    assert estimated.users == taken["new_users"] + taken["extended_users"]
    assert 0 <= estimated.prompt_tokens - taken["prompt_tokens"] <= 20 * estimated.batches


def test_limits_on_spending_hold_for_each_extension_by_itself(model: Model) -> None:
    rows = nights.record(12, 2, seed=9)
    first = nights.write(Path("first.jsonl"), nights.export(rows, 0, "day"))
    out = eventabs.run(first, settings=model, out="out")
    export = nights.write(Path("1.jsonl"), nights.export(rows, 1, "day"))
    most = out.summary.prompt_tokens + out.summary.completion_tokens + 10_200
    run = eventabs.extend(
        "out", export, settings=model | {"run": {"max_total_tokens": most, "concurrency": 1}}
    )
    assert run.status == "completed"
    assert run.summary.prompt_tokens + run.summary.completion_tokens + 8_192 > most


def test_a_failed_user_keeps_its_events_and_is_asked_again_on_request(model: Model) -> None:
    out = begun(model)
    before = [event for event in lines(out / "events.jsonl") if event["user_id"] == "u1"]
    extended(model, visits(("u1", "2026-03-03 09:00:00", "Cafe Luna")))
    ledger = Ledger.open(out / "ledger.sqlite")
    with ledger.transaction():  # it stands for a reply that failed the user
        ledger.fail_call(2, "refused", [PartChange(Part("u1", 0, 2), "failed", reason="refused")])
    ledger.close()
    failed = extended(model, visits(("u2", "2026-03-04 09:00:00", "Cafe Luna")))
    assert failed.failures == {"refused": 1}
    assert [event for event in lines(out / "events.jsonl") if event["user_id"] == "u1"] == before
    assert failed.summary.events == 4
    again = extended(model, visits(("u2", "2026-03-05 09:00:00", "Cafe Luna")), retry_failed=True)
    assert again.failures == {}
    assert [event.behaviors for event in again.events if event.user_id == "u1"] == [(0,), (1,), (2,)]


def test_users_asked_again_with_an_export_that_has_nothing_new_are_told_as_changes(model: Model) -> None:
    rows = visits(("u1", "2026-03-03 09:00:00", "Cafe Luna"), ("u2", "2026-03-03 09:00:00", "Cafe Luna"))
    out = begun(model)
    extended(model, rows)
    with closing(Ledger.open(out / "ledger.sqlite")) as ledger, ledger.transaction():
        ledger.fail_call(2, "refused", [PartChange(Part("u1", 0, 2), "failed", reason="refused")])
    eventabs.resume("out", settings=model)  # the failure is in the files now
    earlier = lines(out / "events.jsonl")
    stopped = Stop()
    stopped.request()
    eventabs.extend("out", "more.jsonl", settings=model, retry_failed=True, stop=stopped)
    facts = extended(model, rows).summary.extension or {}
    assert (facts["calls"], facts["events_added"], facts["new_behaviors"]) == (1, 1, 0)
    changes = nights.read(out / "events.new.jsonl")
    assert nights.merged(earlier, changes) == {each["id"]: each for each in lines(out / "events.jsonl")}
    facts = extended(model, rows).summary.extension or {"": 1}
    assert not any(facts.values()), "merged already"


def test_the_same_extension_again_after_a_stop_tells_what_all_of_it_changed(model: Model) -> None:
    begun(model)
    stop = Stop()
    rows = [row for each in range(9) for row in visits((f"u{each}", "2026-03-03 09:00:00", "City gym"))]
    settings = model | {"budget": {"max_users": 1}, "run": {"concurrency": 1}}
    stopped = extended(settings, rows, stop=stop, observer=Watcher(stop.request), accept_changes=True)
    assert (stopped.status, stopped.summary.pending > 0) == ("interrupted", True)
    facts = extended(settings, rows).summary.extension or {}
    assert (facts["events_added"], facts["new_behaviors"]) == (9, 9)


def test_a_user_whose_days_fill_more_than_a_call_is_asked_about_in_pieces_and_the_past_stays(
    model: Model,
) -> None:
    past = steps(("2026-03-01 20:00:00", "search", "sofa7"), ("2026-03-02 20:00:00", "browse", "sofa7"))
    out = begun(model, past)
    before = lines(out / "events.jsonl")
    times = [
        f"2026-03-0{day} {hour:02}:{minute:02}:00"
        for day in (4, 5)
        for hour in (9, 10)
        for minute in range(60)
    ]
    many = visits(*(("u1", at, f"Cafe {number}") for number, at in enumerate(times)))
    tight = model | {"budget": {"max_users": 5, "max_rows": 70}}
    run = extended(tight, many, accept_changes=True)
    assert (run.summary.extension or {})["calls"] > 1
    assert lines(out / "events.jsonl")[:2] == before
    rows = sorted(row for event in run.events for row in event.behaviors)
    assert rows == list(range(242))
