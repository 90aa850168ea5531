"""Events are held against labels; every figure is one that a hand can compute."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import chromium
from compared_kit import event, journey, make_run
from eventabs.errors_and_exit_codes import InputError
from eventabs.quality import Evaluation, evaluate
from eventabs.store import Ledger
from eventabs.views import evaluation_json
from house import eventabs, lines, ran, write_users

Row = tuple[str, str, str, str]


def events_file(path: Path, rows: Sequence[Row]) -> Path:
    """Write events of one day: user, start, end, type."""
    lines = (
        json.dumps(
            {
                "user_id": user,
                "type": label,
                "category": "engagement",
                "start": f"2026-01-15T{start}:00",
                "end": f"2026-01-15T{end}:00",
            }
        )
        for user, start, end, label in rows
    )
    path.write_text("\n".join(lines) + "\n")
    return path


def labels_file(path: Path, rows: Sequence[Row]) -> Path:
    """Write labels of one day as CSV."""
    lines = (f"{user},2026-01-15 {start}:00,2026-01-15 {end}:00,{label}" for user, start, end, label in rows)
    path.write_text("\n".join(["user_id,start,end,label", *lines]) + "\n")
    return path


def evaluated(tmp_path: Path, events: Sequence[Row], labels: Sequence[Row]) -> Evaluation:
    """Hold events against labels."""
    return evaluate(
        events_file(tmp_path / "events.jsonl", events), labels_file(tmp_path / "gold.csv", labels)
    )


def values(found: Evaluation, kind: str = "spans") -> dict[str, float | None]:
    """Return the figures of one kind."""
    return {name: score.value for name, score in found.scores[kind].items()}


LABELS = [
    ("u1", "08:00", "09:00", "work"),
    ("u1", "10:00", "11:00", "eat"),
    ("u1", "12:00", "14:00", "sleep"),
]


def test_equal_events_are_right_in_every_figure(tmp_path: Path) -> None:
    found = evaluated(tmp_path, LABELS, LABELS)
    assert set(values(found).values()) == {1.0}
    assert found.confusion == {("work", "work"): 60, ("eat", "eat"): 60, ("sleep", "sleep"): 120}


def test_the_figures_by_hand(tmp_path: Path) -> None:
    events = [
        ("u1", "08:01", "09:00", "work"),  # a hit: one minute off
        ("u1", "10:00", "11:00", "sleep"),  # a start, but another label
        ("u1", "13:00", "14:00", "sleep"),  # half of its label, no start
    ]
    found = evaluated(tmp_path, events, LABELS)
    said = values(found)
    assert said["start_f1_0"] == pytest.approx(2 / 6)
    assert said["start_f1_1"] == pytest.approx(4 / 6)
    assert said["labelled_start_f1"] == pytest.approx(2 / 6)
    assert said["overlap_f1"] == 1.0
    assert said["minutes_right"] == pytest.approx((59 + 60) / 240)
    assert found.confusion == {
        ("work", "work"): 59,
        ("work", ""): 1,
        ("eat", "sleep"): 60,
        ("sleep", "sleep"): 60,
        ("sleep", ""): 60,
    }
    rows = {row["label"]: row for row in found.by_label}
    assert rows["sleep"]["precision"] == pytest.approx(0.5)
    assert rows["eat"]["precision"] is None
    assert rows["eat"]["recall"] == 0


def test_users_and_times_without_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    events = [*LABELS, ("u1", "20:00", "21:00", "eat"), ("u2", "08:00", "09:00", "eat")]
    found = evaluated(tmp_path, events, [*LABELS, LABELS[0]])
    assert found.unused == {"outside": 1, "without_labels": 1, "doubled": 1}
    assert values(found)["start_f1_1"] == 1.0


def test_a_user_without_events_counts_against_them(tmp_path: Path) -> None:
    labels = [*LABELS, ("u2", "08:00", "09:00", "eat")]
    found = evaluated(tmp_path, LABELS, labels)
    assert values(found)["start_f1_1"] == pytest.approx(6 / 7)
    assert values(found)["minutes_right"] == pytest.approx(240 / 300)


def test_ten_users_have_intervals_and_fewer_have_none(tmp_path: Path) -> None:
    many = [(f"u{number}", *row[1:]) for number in range(10) for row in LABELS]
    assert evaluated(tmp_path, LABELS, LABELS).scores["spans"]["start_f1_1"].low is None
    assert evaluated(tmp_path, many, many).scores["spans"]["start_f1_1"].low == 1.0


def test_labels_may_be_json_lines_or_another_run_and_need_no_user_where_there_is_one(tmp_path: Path) -> None:
    events = events_file(tmp_path / "events.jsonl", LABELS)
    lines = tmp_path / "gold.jsonl"
    lines.write_text(
        '{"开始时间": "2026-01-15T08:00:00+08:00", "结束时间": "2026-01-15T09:00:00+08:00", "标签": "work"}\n'
    )
    assert evaluate(events, lines).confusion == {("work", "work"): 60.0}
    assert values(evaluate(events, events))["start_f1_1"] == 1.0
    table = tmp_path / "gold.csv"
    table.write_text(
        "sep=;\nstart;end;label\n2026-01-15 08:00;2026-01-15 09:00;work\n"
    )  # Excel's own first line
    assert evaluate(events, table).confusion == {("work", "work"): 60.0}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("user,start,end,label\nu1,soon,later,a\n", "row 2"),
        ("user,start,end\nu1,2026-01-15,2026-01-16\n", "label"),
        ("user,start,end,label\n", "no labels"),
        ("user,start,end,label\nu1,2026-01-15 10:00,2026-01-15 08:59,a\n", "row 2 ends before it starts"),
        (
            "user,start,end,label\nelse,2026-01-15,2026-01-16,a\nu9,2026-01-15,2026-01-16,a\n",
            "compare the ids",
        ),
        ("\x00\xff", "cannot be read"),
    ],
)
def test_labels_that_cannot_be_used_are_one_line_with_the_next_step(
    tmp_path: Path, text: str, hint: str
) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=hint):
        evaluate(events_file(tmp_path / "events.jsonl", LABELS), gold)


def run_of(tmp_path: Path, users: int = 3) -> list[dict[str, Any]]:
    """Let the rules make the events of a run, and return those events."""
    write_users(tmp_path / "input.jsonl", users=users, behaviors=12)
    assert eventabs("run", "input.jsonl", "--provider", "rules", cwd=tmp_path).returncode == 0
    return lines(tmp_path / "input.eventabs/events.jsonl")


def row_labels(tmp_path: Path, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Label the rows of a run as its events have them; `number` is the position among the user's rows."""
    with Ledger.watch(tmp_path / "input.eventabs/ledger.sqlite") as ledger:
        logs = {event["user_id"]: ledger.log(event["user_id"]) for event in events}
    return [
        {
            "user_id": event["user_id"],
            "timestamp": logs[event["user_id"]].behaviors[row].start.isoformat(),
            "line": logs[event["user_id"]].behaviors[row].line,
            "group": f"g{number}",
            "label": event["type"],
            "parent": "",
        }
        for number, event in enumerate(events)
        for row in event["behaviors"]
    ]


def write_labels(path: Path, rows: Sequence[dict[str, Any]], *without: str) -> Path:
    """Write labels as CSV, without some columns."""
    kept = [{key: value for key, value in row.items() if key not in without} for row in rows]
    text = "\n".join(",".join(map(str, row.values())) for row in kept)
    path.write_text(f"{','.join(kept[0])}\n{text}\n", "utf-8")
    return path


@pytest.mark.parametrize("without", ["", "line", "timestamp"])
def test_rows_are_found_by_their_line_or_their_time(tmp_path: Path, without: str) -> None:
    labels = row_labels(tmp_path, run_of(tmp_path))
    found = evaluate(tmp_path / "input.eventabs", write_labels(tmp_path / "gold.csv", labels, without))
    assert values(found, "groups")["exact_f1"] == values(found, "groups")["same_type"] == 1.0
    assert not found.unused
    assert "spans" not in found.scores


def test_times_of_labels_count_in_whole_seconds_as_those_of_rows(tmp_path: Path) -> None:
    rows = [f"u1,2026-01-0{day} 10:0{minute}:00.{minute}50,a" for day in (5, 6) for minute in (2, 5, 7)]
    (tmp_path / "input.csv").write_text("\n".join(["user_id,time,item", *rows]) + "\n")
    ran("run", "input.csv", "--provider", "rules", cwd=tmp_path)
    times = [row.split(",")[1] for row in rows]
    gold = tmp_path / "gold.csv"
    gold.write_text("\n".join(["time,group", *(f"{time},g{time[9]}" for time in times)]) + "\n")
    found = evaluate(tmp_path / "input.eventabs", gold)
    assert (found.totals["groups"]["rows"], found.unused) == (6, {})
    gold.write_text(f"start,end,label\n{times[0]},{times[2]},x\n{times[3]},{times[5]},y\n")
    found = evaluate(tmp_path / "input.eventabs", gold)
    assert (found.totals["groups"]["rows"], found.unused) == (6, {})


def test_a_line_of_several_files_names_a_row_only_with_its_time(tmp_path: Path) -> None:
    for day, name in enumerate(("first.csv", "second.csv"), start=5):
        rows = (f"u1,2026-01-0{day} 10:0{minute}:00,a" for minute in range(3))
        (tmp_path / name).write_text("\n".join(["user_id,time,item", *rows]) + "\n")
    ran("run", "first.csv", "second.csv", "--provider", "rules", "--out", "out", cwd=tmp_path)
    gold = tmp_path / "gold.csv"
    gold.write_text("line,group\n2,g1\n3,g1\n4,g1\n")
    assert evaluate(tmp_path / "out", gold).unused == {"without_row": 3}
    timed = (f"{minute + 2},g1,2026-01-05 10:0{minute}:00" for minute in range(3))
    gold.write_text("\n".join(["line,group,time", *timed]) + "\n")
    found = evaluate(tmp_path / "out", gold)
    assert (found.totals["groups"]["rows"], found.unused) == (3, {})


def test_amounts_are_of_one_type_in_json_in_rows_as_in_minutes(tmp_path: Path) -> None:
    events = run_of(tmp_path)
    rows = write_labels(tmp_path / "rows.csv", row_labels(tmp_path, events))
    for unit, gold in (("rows", rows), ("minutes", tmp_path / "input.eventabs")):
        found = json.loads(evaluation_json(evaluate(tmp_path / "input.eventabs", gold)))
        assert found["unit"] == unit
        assert {type(row["amount"]) for row in found["by_label"]} == {float}
        assert {type(each[unit]) for each in found["confusion"]} == {float}


def test_a_nought_in_a_json_line_is_a_value(tmp_path: Path) -> None:
    rows = row_labels(tmp_path, run_of(tmp_path))
    rows = [row | {"group": int(row["group"][1:])} for row in rows]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    found = evaluate(tmp_path / "input.eventabs", gold)
    assert values(found, "groups")["exact_f1"] == 1.0
    assert found.totals["groups"]["loose_wanted"] == 0


def test_a_json_line_of_a_row_in_no_group_may_leave_the_group_out(tmp_path: Path) -> None:
    first, *others = row_labels(tmp_path, run_of(tmp_path))
    del first["group"]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(map(json.dumps, (first | {"start": first["timestamp"]}, *others))), "utf-8")
    found = evaluate(tmp_path / "input.eventabs", gold)
    assert found.totals["groups"]["rows"] == 1 + len(others)
    assert found.totals["groups"]["loose_wanted"] == 1


def test_what_is_not_used_of_row_labels_is_counted_and_said_with_the_next_step(tmp_path: Path) -> None:
    labels = row_labels(tmp_path, run_of(tmp_path))
    labels = [row for row in labels if row["user_id"] != labels[0]["user_id"]]
    more = [
        labels[0],
        {**labels[0], "user_id": "nobody"},
        {**labels[0], "timestamp": "2031-01-01T00:00:00", "line": 99_999},
    ]
    write_labels(tmp_path / "gold.csv", [*labels, *more])
    done = ran("evaluate", "input.eventabs", "--gold", "gold.csv", cwd=tmp_path)
    for said in (
        "1 user with labels are not in the run: compare the ids",
        "Labels of rows that match no row: 1; compare their times and lines",
        "Labels that are there twice: 1;",
        "1 user without labels are left out",
    ):
        assert said in done.stdout
    found = json.loads(
        eventabs("evaluate", "input.eventabs", "--gold", "gold.csv", "--json", cwd=tmp_path).stdout
    )
    assert found["unused"] == {"unknown_users": 1, "without_row": 1, "doubled": 1, "without_labels": 1}
    assert found["figures"]["exact_f1"]["value"] == 1.0


def test_parents_are_journeys_and_judged_as_one_group(tmp_path: Path) -> None:
    events = run_of(tmp_path)
    labels = row_labels(tmp_path, events)
    user = events[0]["user_id"]
    whole = [row | {"parent": "trip"} if row["user_id"] == user else row for row in labels]
    found = evaluate(tmp_path / "input.eventabs", write_labels(tmp_path / "gold.csv", whole))
    assert values(found, "groups")["exact_f1"] == 1.0
    assert found.totals["wholes"]["journeys_wanted"] == 1
    assert found.scores["journeys"]["whole"].value == 0.0
    assert found.scores["journeys"]["false"].value is None, "these events have no journeys"
    # a group that is one event is found; so is one that the column of kinds names
    one = [
        row | {"kind": "undertaking" if row["group"] == labels[0]["group"] else "routine"} for row in labels
    ]
    found = evaluate(tmp_path / "input.eventabs", write_labels(tmp_path / "gold.csv", one))
    assert found.scores["journeys"]["exact"].value == 1.0


def test_journeys_are_judged_by_the_parents_of_labels_and_their_kinds(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = [
        event("ann", "09:15", "search", [0], journey="ann/j0"),
        event("ann", "11:15", "buy", [2], journey="ann/j0"),
        event("ann", "10:15", "work", [1], sure=False),
    ]
    second = [event("bob", "09:15", "trip", [0, 1], journey="bob/j0")]
    journeys = [journey("purchase", *first[:2]), journey("trip", *second)]
    make_run(run, {"ann": first, "bob": second}, journeys=journeys)
    rows = [
        f"{user},{row + 1},{group},{label},{parent},{kind}"
        for user, row, group, label, parent, kind in (
            ("ann", 0, "g1", "search", "tent", "purchase"),
            ("ann", 2, "g2", "buy", "tent", "purchase"),
            ("ann", 1, "g3", "work", "", ""),
            ("bob", 0, "g1", "trip", "lake", "leisure"),
            ("bob", 1, "g1", "trip", "lake", "leisure"),
            ("bob", 2, "", "", "", ""),
        )
    ]
    gold = tmp_path / "gold.csv"
    gold.write_text("\n".join(["user,line,group,label,parent,journey_kind", *rows]) + "\n")
    found = evaluate(run, gold)
    said = values(found, "journeys")
    assert said == {"whole": 1.0, "exact": 1.0, "best_dice": 1.0, "false": 0.0, "same_kind": 0.5}
    assert values(found, "groups")["exact_f1"] == values(found, "wholes")["exact_f1"] == 1.0
    assert values(found, "groups")["loose_f1"] == 1.0
    assert found.shapes["events"]["unsure"] == 1
    timed = tmp_path / "timed.csv"
    timed.write_text("user,start,end,label\nann,2026-01-01 09:15,2026-01-01 09:45,search\n")
    assert evaluate(run, timed).scores.keys() == {"groups", "spans"}, "intervals name no journeys"
    done = eventabs("evaluate", run, "--gold", gold, "--output", "page.html", cwd=tmp_path)
    assert "2 of 2 labelled journeys are found whole, 2 exactly" in done.stdout
    assert "events, journeys" in (tmp_path / "page.html").read_text("utf-8")


def test_baselines_are_always_beside_it_in_every_form(tmp_path: Path) -> None:
    write_labels(tmp_path / "gold.csv", row_labels(tmp_path, run_of(tmp_path)))
    command = ("evaluate", "input.eventabs", "--gold", "gold.csv")
    done = ran(*command, "--json", "--output", "page.html", cwd=tmp_path)
    score = json.loads(done.stdout)["figures"]["bcubed_f1"]
    assert list(score["baselines"]) == ["rows", "action", "object", "rules", "pause"]
    assert score["value"] == score["baselines"]["rules"] == 1.0
    assert score["skill"] is None, "nothing is left above the rules"
    for text in (
        (tmp_path / "page.html").read_text("utf-8"),
        eventabs(*command, cwd=tmp_path).stdout,
    ):
        for name in ("each row", "action a day", "object a day", "best pause", "rules", "skill"):
            assert name in text


def test_the_rows_of_an_interval_are_a_group_and_its_times_are_judged_too(tmp_path: Path) -> None:
    run_of(tmp_path)
    gold = "input.eventabs/events.jsonl"
    done = ran("evaluate", "input.eventabs", "--gold", gold, "--json", cwd=tmp_path)
    figures = json.loads(done.stdout)["figures"]
    assert figures["start_f1_0"]["value"] == figures["same_type"]["value"] == 1.0
    assert figures["start_f1_0"]["baselines"].keys() == figures["pair_f1"]["baselines"].keys()
    shown = eventabs("evaluate", "input.eventabs", "--gold", gold, "--lang", "zh", cwd=tmp_path)
    assert "基线" in shown.stdout
    wrong = eventabs("evaluate", "input.eventabs", "--gold", "gone.csv", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_labels_of_rows_need_a_run(tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("user,time,group\nu1,2026-01-15 08:00:00,a\n")
    with pytest.raises(InputError, match="name the run directory"):
        evaluate(events_file(tmp_path / "events.jsonl", LABELS), gold)


@pytest.mark.skipif(not chromium.BINARY, reason="there is no Chromium here: apt-get install chromium")
async def test_the_page_of_forty_users_can_be_read(tmp_path: Path) -> None:
    labels = row_labels(tmp_path, run_of(tmp_path, users=40))
    for place, row in enumerate(labels):
        row["label"] = f"kind {place % 14}"
    write_labels(tmp_path / "gold.csv", labels)
    ran("evaluate", "input.eventabs", "--gold", "gold.csv", "--output", "page.html", cwd=tmp_path)
    days = "[...document.querySelectorAll('.compared')].filter((day) => !day.hidden)"
    async with chromium.browser() as page:
        for width in (1280, 390):
            await page.size(width, 800)
            await page.open(tmp_path / "page.html")
            assert await page.run("document.documentElement.scrollWidth") <= width
            assert await page.run("document.documentElement.scrollHeight") <= 3_000
            assert await page.run(
                "[...document.querySelectorAll('g[data-type]')].every((bar) => bar.querySelector('text').textContent)"
            )
        users = await page.run(f"new Set({days}.map((day) => day.dataset.user)).size")
        assert users > 1
        await page.run("user.value = user.options[7].value; user.dispatchEvent(new Event('change'))")
        assert await page.run(f"{days}.every((day) => day.dataset.user === user.value)")
        await page.run("type.value = 'kind 3'; type.dispatchEvent(new Event('change'))")
        assert await page.run(
            "[...document.querySelectorAll('g[data-type]:not([hidden])')].every((bar) => bar.dataset.type === 'kind 3')"
        )
        colors = await page.run(
            "[...document.querySelectorAll('.legend rect')].map((key) => getComputedStyle(key).fill)"
        )
        assert len(set(colors)) == len(colors) > 14
        assert page.complaints() == []
