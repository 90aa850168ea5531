"""Two runs are held against each other; every figure is one that a hand can compute."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import chromium
from eventabs.errors import RunDirectoryError, UsageError
from eventabs.quality import Comparison, compare
from eventabs.records import Event, UserLog
from eventabs.store.directory import RunDirectory
from eventabs.store.ledger import Ledger, PartChange
from eventabs.views import comparison_json, render_comparison_page
from eventabs.views.quality import run_rows
from house import eventabs, write_users
from report_kit import FACTS
from runs_kit import SIZE, answer, bad, batch_of, event_of, make_log, request_for, well, whole

SETTINGS: Any = FACTS["settings"]
BOUND = {"prompt.detail": '"day"', "llm.model": '"deepseek-chat"'}
Events = Sequence[Event]


def event(user: str, start: str, kind: str, behaviors: Sequence[int], category: str = "engagement") -> Event:
    at = f"2026-01-01T{start}:00" if len(start) == 5 else start
    return event_of(whole(make_log(user)), kind, at).model_copy(
        update={"behaviors": tuple(behaviors), "category": category, "grounded": bool(behaviors)}
    )


def make_run(
    path: Path,
    events: Mapping[str, Events | None],
    *,
    logs: Sequence[UserLog] = (),
    tokens: tuple[int, int] = (1_000, 100),
    **facts: object,
) -> Path:
    """Make a run in which each user has its events; None: failed. `logs` replace the usual three visits."""
    path.mkdir()
    settings = {**SETTINGS, "compaction": {"strip": []}}
    known = {"binding": BOUND, "input": {"fingerprint": "same"}, "prompt_language": "zh"}
    facts = {**FACTS, "settings": settings, **known, **facts}
    ledger = Ledger.create(path / "ledger.sqlite", facts)
    all_logs = {user: make_log(user) for user in events} | {log.user_id: log for log in logs}
    with ledger.transaction():
        ledger.add_users((log, [(whole(log), SIZE)]) for log in all_logs.values())
    with ledger.transaction():
        call = ledger.open_call(
            batch_of(*events),
            request_for([all_logs[user] for user in events]),
            settings_fingerprint="f",
            sent_at=1_000.0,
        )
        ledger.store_reply(call, answer(prompt_tokens=tokens[0], completion_tokens=tokens[1]))
        parts = {user: whole(log) for user, log in all_logs.items()}
        ledger.settle(
            call,
            [
                bad(parts[user]) if found is None else well(parts[user], *found)
                for user, found in events.items()
            ],
            [
                PartChange(parts[user], "failed", reason="cut")
                if found is None
                else PartChange(parts[user], "done", events=len(found))
                for user, found in events.items()
            ],
        )
    ledger.close()
    return path


def values(comparison: Comparison) -> dict[str, float | None]:
    return {name: figure.value for name, figure in comparison.figures.items()}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first = {
        "ann": [event("ann", "09:15", "eat", [0]), event("ann", "10:15", "work", [1, 2])],
        "bob": [event("bob", "09:15", "eat", [0, 1, 2])],
        "cy": [event("cy", "09:15", "eat", [0])],
        "dan": None,
    }
    second = {
        "ann": [
            event("ann", "09:15", "meal", [0], "conversion"),
            event("ann", "10:16", "work", [1]),
            event("ann", "11:15", "work", [2]),
        ],
        "bob": [event("bob", "09:15", "eat", [0, 1, 2])],
        "cy": None,
        "dan": [event("dan", "09:15", "eat", [0])],
        "eve": [event("eve", "09:15", "eat", [0])],
    }
    other = {"prompt.detail": '"fine"', "llm.model": '"deepseek-chat"'}
    return (
        make_run(tmp_path / "a", first),
        make_run(tmp_path / "b", second, tokens=(2_000, 300), binding=other),
    )


def test_the_figures_by_hand(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    said = values(found)
    # ann: 0 | 1 2 in A, 0 | 1 | 2 in B; bob: 0 1 2 in both
    assert said["pair_f1"] == pytest.approx(2 * 3 / (4 + 3))
    assert said["bcubed_precision"] == 1.0
    assert said["bcubed_recall"] == pytest.approx((1 + 2 * 0.5 + 3) / 6)
    assert said["exact_f1"] == said["whole_f1"] == pytest.approx(2 * 2 / 7)
    assert said["boundary_f1"] == pytest.approx(2 * 1 / (1 + 2))
    assert said["same_type"] == pytest.approx(5 / 6)
    assert found.journeys == {}
    assert found.types == (("eat", "meal", 1),)
    assert found.settings == (("prompt.detail", '"day"', '"fine"'),)
    assert found.figures["pair_f1"].low is None, "two users say nothing of others"


def test_each_run_has_what_it_used_and_covered(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    first, second = found.first, found.second
    assert (first.events, first.covered, first.behaviors, first.user_days) == (3, 6, 6, 2)
    assert (second.events, second.covered, second.behaviors, second.user_days) == (4, 6, 6, 2)
    assert (first.counts.calls, first.counts.prompt_tokens, second.counts.completion_tokens) == (
        1,
        1_000,
        300,
    )
    assert first.cost == pytest.approx((1_000 * 2 + 100 * 8) / 1e6)
    assert first.model == "deepseek-chat"


def test_how_far_a_run_has_moved_is_told_with_what_answers_held_in_batches_of_each_size(
    two: tuple[Path, Path],
) -> None:
    found = compare(*two)
    cell = dict.fromkeys(
        [
            "asked",
            "usable",
            "strayed",
            "behaviors",
            "user_days",
            "events",
            "covered",
            "ungrounded",
            "repeated",
            "outside",
            "missed",
        ],
        4,
    )
    first = found.first._replace(counts=replace(found.first.counts, answers={"1": {"": cell}}, ungrounded=2))
    second = found.second._replace(counts=replace(found.second.counts, answers={"8-15": {"1": cell}}))
    moved = replace(found, first=first, second=second)
    rows = {row[0]: row[1:] for row in run_rows(moved)}
    assert rows["events a user-day"] == ("1.50", "2.00", "+33.3 %")
    assert rows["behaviors in an event"] == ("1.000", "1.000", "")
    assert rows["events that match no behavior"] == ("2", "0", "-100.0 %")
    assert "events repeated and dropped" not in rows
    page = render_comparison_page(moved)
    assert "8-15" in page
    shown = json.loads(comparison_json(moved))
    assert [shown[run]["answers"]["by_batch_users"][0]["name"] for run in "ab"] == ["1", "8-15"]
    assert shown["a"]["event_counts"]["ungrounded"] == 2


def test_users_that_one_run_has_not_done_are_left_out_and_counted(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    assert (found.users, found.shared) == (2, 4)
    assert (found.first.counts.done, found.second.counts.done) == (3, 4)


def test_the_other_way_round_the_figures_are_the_same(two: tuple[Path, Path]) -> None:
    one, other = compare(*two), compare(*reversed(two))
    for name in ("pair_f1", "bcubed_f1", "exact_f1", "boundary_f1", "same_type"):
        assert one.figures[name] == other.figures[name]
    assert one.figures["bcubed_recall"] == other.figures["bcubed_precision"]
    assert (one.first, one.second) == (other.second, other.first)


def test_a_run_agrees_with_itself(two: tuple[Path, Path]) -> None:
    found = compare(two[0], two[0] / "checkpoint.json")
    assert set(values(found).values()) - {None} == {1.0}
    assert not found.most_different
    assert not found.types
    assert not found.settings
    assert found.same_input


def test_users_that_differ_stand_side_by_side_the_most_different_first(tmp_path: Path) -> None:
    equal = {user: [event(user, "09:15", "eat", [0])] for user in ("a", "b", "c")}
    changed = {
        "b": [event("b", "09:15", "eat", [0]), event("b", "10:15", "work", [1])],
        "c": [event("c", "10:15", "work", [1]), event("c", "11:15", "work", [2])],
    }
    runs = make_run(tmp_path / "a", equal), make_run(tmp_path / "b", equal | changed)
    found = compare(*runs).most_different
    assert [pair.user_id for pair in found] == ["c", "b"]
    assert [pair.user_id for pair in compare(*runs, most=1).most_different] == ["c"]
    assert found[1].lines[0] == ("2026-01-01", "09:15 餐厅0 30m")
    assert (found[1].first.unequal, found[1].second.unequal) == (frozenset(), frozenset({1}))


def test_a_log_that_has_grown_is_matched_by_what_its_behaviors_say(tmp_path: Path) -> None:
    log = make_log("ann")
    earlier = log.behaviors[0]._replace(start=log.behaviors[0].start - timedelta(hours=1), item="公司")
    grown = replace(log, behaviors=(earlier, *log.behaviors))
    old = make_run(tmp_path / "a", {"ann": [event("ann", "10:15", "work", [1, 2])]})
    new = make_run(
        tmp_path / "b",
        {"ann": [event("ann", "10:15", "work", [2, 3])]},
        logs=[grown],
        input={"fingerprint": "other"},
    )
    found = compare(old, new)
    assert (found.other_rows, found.same_input) == (1, False)
    assert values(found)["exact_f1"] == 1.0
    assert (found.first.behaviors, found.second.behaviors) == (3, 4)
    shown = eventabs("diff", "a", "b", cwd=tmp_path)
    assert "1 user with other behaviors in A than in B" in shown.stdout
    assert "files of both inputs are not the same" in shown.stdout


def test_ten_users_have_intervals_and_they_are_the_same_each_time(tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(12)]
    same = {user: [event(user, "09:15", "eat", [0])] for user in users}
    mixed = {user: [event(user, "09:15", "eat", [0] if n % 3 else [1])] for n, user in enumerate(users)}
    runs = make_run(tmp_path / "a", same), make_run(tmp_path / "b", mixed)
    figure = compare(*runs).figures["exact_f1"]
    assert figure.value == pytest.approx(8 / 12)
    assert figure.low is not None
    assert figure.high is not None
    assert 0.2 < figure.low < 8 / 12 < figure.high <= 1
    assert compare(*runs).figures["exact_f1"] == figure


def test_a_time_that_is_none_agrees_with_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    impossible = [event("ann", "2026-02-30T25:61:00", "dream", [])]
    runs = make_run(tmp_path / "a", {"ann": impossible}), make_run(tmp_path / "b", {"ann": []})
    found = compare(*runs)
    assert values(found)["whole_f1"] == 0.0
    done = eventabs("diff", "a", "b", "--output", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dream" in done.stdout


def test_a_run_under_way_is_compared_as_far_as_it_has_come(tmp_path: Path) -> None:
    done = {"ann": [event("ann", "09:15", "eat", [0])]}
    make_run(tmp_path / "a", done, logs=[make_log("zed")])
    make_run(tmp_path / "b", done)
    with RunDirectory(tmp_path / "a").locked():
        shown = eventabs("diff", "a", "b", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "A is not complete: 1 user still to do" in shown.stdout


def test_runs_of_other_users_are_refused_with_the_next_step(tmp_path: Path, two: tuple[Path, Path]) -> None:
    other = make_run(tmp_path / "c", {"zoe": [event("zoe", "09:15", "eat", [0])]})
    with pytest.raises(UsageError, match=r"no user of .* is in .*; name two runs of the same export"):
        compare(two[0], other)
    failed = make_run(tmp_path / "d", {"ann": None})
    with pytest.raises(UsageError, match="no user is done in both runs yet; 1 are in both"):
        compare(two[0], failed)
    with pytest.raises(RunDirectoryError, match="does not exist"):
        compare(two[0], tmp_path / "gone")


def test_two_runs_of_the_tool_are_compared_in_every_form(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=12, behaviors=24)
    for detail in ("fine", "brief"):
        done = eventabs(
            "run", "input.jsonl", "--provider", "rules", "--detail", detail, "--out", detail, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    page = tmp_path / "page.html"
    done = eventabs("diff", "fine", "brief", "--json", "--output", page, "--users", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["users"], found["same_input"], found["drawn"]) == (12, True, "users")
    assert found["settings"] == [{"key": "prompt.detail", "a": '"fine"', "b": '"brief"'}]
    assert found["a"]["events"] > found["b"]["events"] == found["b"]["compared"]["events"]
    assert len(found["most_different"]) == 2
    text = page.read_text("utf-8")
    assert text.count('class="user-pair"') == 2
    assert "≠" in eventabs("diff", "fine", "brief", cwd=tmp_path).stdout
    narrow = eventabs("diff", "fine", "brief", cwd=tmp_path, COLUMNS="50").stdout
    assert "  B " in narrow
    none = eventabs("diff", "fine", "brief", "--users", "0", cwd=tmp_path).stdout
    assert "≠" not in none
    wrong = eventabs("diff", "fine", "input.jsonl", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_text_from_data_breaks_out_of_neither_page_nor_terminal(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>[/bold]\x1b[31m{0}"
    log = make_log(evil)
    named = replace(log, behaviors=tuple(behavior._replace(item=evil) for behavior in log.behaviors))
    for name, kind in (("a", evil), ("b", "eat")):
        found = event(evil, "09:15", kind, [0], category=kind)
        make_run(tmp_path / name, {evil: [found]}, logs=[named], binding={"prompt.detail": kind + evil})
    done = eventabs("diff", "a", "b", "--output", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "\x1b" not in page


@pytest.mark.skipif(not chromium.BINARY, reason="there is no Chromium here: apt-get install chromium")
async def test_the_page_stands_alone_and_fits_every_window(tmp_path: Path, two: tuple[Path, Path]) -> None:
    eventabs("diff", *two, "--output", "page.html", cwd=tmp_path)
    async with chromium.browser() as page:
        for width in (1100, 390):
            await page.size(width, 800)
            await page.open(tmp_path / "page.html")
            assert await page.run("document.documentElement.scrollWidth") <= width
        assert page.complaints() == []
        assert len(page.requests()) == 2
