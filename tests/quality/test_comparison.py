"""Two runs are held against each other; every figure is one that a hand can compute."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import chromium
from compared_kit import event, journey, make_run
from eventabs.errors_and_exit_codes import RunDirectoryError, UsageError
from eventabs.quality import Comparison, compare
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from eventabs.views import comparison_json, render_comparison_page
from house import eventabs, ran
from paths import ROOT
from runs_kit import make_log


def values(comparison: Comparison) -> dict[str, float | None]:
    return {name: score.value for name, score in comparison.scores["groups"].items()}


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
            event("ann", "09:15", "meal", [0], category="conversion", sure=False),
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
    assert set(found.scores) == {"groups"}, "there are no journeys"
    assert found.types == [{"a": "eat", "b": "meal", "behaviors": 1}]
    assert found.settings == [{"key": "prompt.detail", "a": '"day"', "b": '"fine"'}]
    assert found.scores["groups"]["pair_f1"].low is None, "two users say nothing of others"


def test_each_run_has_what_it_used_and_the_shape_of_its_events(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    first, second = found.a, found.b
    names = ("groups", "rows", "grouped", "single", "unsure", "days")
    assert [first.shape[name] for name in names] == [3, 6, 6, 1, 0, 2]
    assert [second.shape[name] for name in names] == [4, 6, 6, 3, 1, 2]
    used = first.run
    assert (used.calls, used.prompt_tokens, second.run.completion_tokens) == (1, 1_000, 300)
    assert used.cost == pytest.approx((1_000 * 2 + 100 * 8) / 1e6)
    assert first.run.endpoint.model == "deepseek-chat"


def test_how_far_a_run_has_moved_is_told_in_every_form(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    counts = replace(found.a.run, answered=10, placed=6, minor=3, unplaced=1, misfiled=2)
    moved = replace(found, a=found.a._replace(run=counts))
    page = render_comparison_page(moved)
    for words in ("rows an event", "unplaced rows", "header", "-100.0 %", "+33.3 %", "0.300"):
        assert words in page
    shown = json.loads(comparison_json(moved))
    assert shown["a"]["compared"]["rows_per_event"] == 2.0
    assert shown["b"]["compared"]["doubtful"] == 0.25
    assert shown["a"]["event_counts"]["behaviors_minor"] == 3


def test_journeys_are_compared_as_groups_of_their_own_with_their_kinds(tmp_path: Path) -> None:
    def run(name: str, trip: str, rows: Sequence[int]) -> Path:
        events = [
            event("ann", f"{9 + row:02}:15", "trip", [row], journey="ann/j0" if row in rows else None)
            for row in range(3)
        ]
        journeys = [journey(trip, *(each for each in events if each.journey))]
        bob = [event("bob", "09:15", "trip", [0, 1, 2], journey="bob/j0")]
        return make_run(
            tmp_path / name, {"ann": events, "bob": bob}, journeys=[*journeys, journey("旅行", *bob)]
        )

    runs = run("a", "旅行", [0, 1, 2]), run("b", "工作", [0, 1, 2])
    found = compare(*runs).scores
    assert found["groups"]["exact_f1"].value == found["wholes"]["exact_f1"].value == 1.0
    assert found["journeys"]["whole"].value == 1.0
    assert found["journeys"]["same_kind"].value == 0.5
    other = compare(runs[0], run("c", "旅行", [0, 1]))
    assert other.scores["journeys"]["exact"].value == 0.5
    assert other.scores["journeys"]["whole"].value == 1.0, "Dice of two rows of three is 0.8"
    alone = {"ann": [event("ann", "09:15", "trip", [0])]}
    assert "journeys" in compare(make_run(tmp_path / "d", alone), runs[0]).scores, "B has some"
    (ann,) = other.most_different
    assert ann.b.unequal == [2], "it is in the journey no more"
    shown = eventabs("diff", *runs, cwd=tmp_path).stdout
    assert "> 工作 湖边度假" in shown
    assert "same kind" in shown


def test_users_that_one_run_has_not_done_are_left_out_and_counted(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    assert (found.tally.users, found.shared_users) == (2, 4)
    assert (found.a.run.done, found.b.run.done) == (3, 4)


def test_the_other_way_round_the_figures_are_the_same(two: tuple[Path, Path]) -> None:
    one, other = compare(*two), compare(*reversed(two))
    for name in ("pair_f1", "bcubed_f1", "exact_f1", "boundary_f1", "same_type"):
        assert values(one)[name] == values(other)[name]
    assert values(one)["bcubed_recall"] == values(other)["bcubed_precision"]
    assert (one.a, one.b) == (other.b, other.a)


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
    assert (found[1].days[0], found[1].behaviors[0]) == ("2026-01-01", "09:15 餐厅0 30m")
    assert (found[1].a.unequal, found[1].b.unequal) == ([], [1])


def test_a_log_that_has_grown_is_matched_by_what_its_behaviors_say(tmp_path: Path) -> None:
    log = make_log("ann")
    earlier = log.behaviors[0]._replace(start=log.behaviors[0].start - timedelta(hours=1), item="公司")
    grown = log._replace(behaviors=(earlier, *log.behaviors))
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
    assert (found.a.shape["rows"], found.b.shape["rows"]) == (3, 4)
    shown = eventabs("diff", "a", "b", cwd=tmp_path)
    assert "1 user with other behaviors in A than in B" in shown.stdout
    assert "files of both inputs are not the same" in shown.stdout


def test_ten_users_have_intervals_and_they_are_the_same_each_time(tmp_path: Path) -> None:
    users = [f"u{number}" for number in range(12)]
    same = {user: [event(user, "09:15", "eat", [0])] for user in users}
    mixed = {user: [event(user, "09:15", "eat", [0] if n % 3 else [1])] for n, user in enumerate(users)}
    runs = make_run(tmp_path / "a", same), make_run(tmp_path / "b", mixed)
    figure = compare(*runs).scores["groups"]["exact_f1"]
    assert figure.value == pytest.approx(8 / 12)
    assert figure.low is not None
    assert figure.high is not None
    assert 0.2 < figure.low < 8 / 12 < figure.high <= 1
    assert compare(*runs).scores["groups"]["exact_f1"] == figure


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
    export = ROOT / "examples/behaviors.jsonl"
    for detail in ("fine", "day"):
        done = ran("run", export, "--provider", "rules", "--detail", detail, "--out", detail, cwd=tmp_path)
    page = tmp_path / "page.html"
    done = ran("diff", "fine", "day", "--json", "--output", page, "--users", "2", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["users"], found["same_input"], found["drawn"]) == (24, True, "users")
    assert found["settings"] == [{"key": "prompt.detail", "a": '"fine"', "b": '"day"'}]
    assert found["a"]["events"] > found["b"]["events"] == found["b"]["compared"]["groups"]
    assert len(found["most_different"]) == 2
    text = page.read_text("utf-8")
    assert text.count('class="user-pair compared"') == 2
    assert "≠" in eventabs("diff", "fine", "day", cwd=tmp_path).stdout
    narrow = eventabs("diff", "fine", "day", cwd=tmp_path, COLUMNS="50").stdout
    assert "  B " in narrow
    none = eventabs("diff", "fine", "day", "--users", "0", cwd=tmp_path).stdout
    assert "≠" not in none
    wrong = eventabs("diff", "fine", "input.jsonl", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_text_from_data_breaks_out_of_neither_page_nor_terminal(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>[/bold]\x1b[31m{0}"
    log = make_log(evil)
    named = log._replace(behaviors=tuple(behavior._replace(item=evil) for behavior in log.behaviors))
    for name, kind in (("a", evil), ("b", "eat")):
        found = event(evil, "09:15", kind, [0], category=kind, journey="j")
        trip = journey(evil, found)._replace(name=evil)
        binding = {"prompt.detail": kind + evil}
        make_run(tmp_path / name, {evil: [found]}, journeys=[trip], logs=[named], binding=binding)
    done = ran("diff", "a", "b", "--output", "page.html", cwd=tmp_path)
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
