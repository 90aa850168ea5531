"""Events are held against labels; every figure is one that a hand can compute."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from eventabs.errors import InputError
from eventabs.quality import Evaluation, evaluate
from house import eventabs, write_users

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


def evaluated(tmp_path: Path, events: Sequence[Row], labels: Sequence[Row], within: float = 1) -> Evaluation:
    """Hold events against labels."""
    return evaluate(
        events_file(tmp_path / "events.jsonl", events),
        labels_file(tmp_path / "gold.csv", labels),
        within=within,
    )


LABELS = [
    ("u1", "08:00", "09:00", "work"),
    ("u1", "10:00", "11:00", "eat"),
    ("u1", "12:00", "14:00", "sleep"),
]


def test_equal_events_are_right_in_every_figure(tmp_path: Path) -> None:
    found = evaluated(tmp_path, LABELS, LABELS)
    assert {figure.value for figure in found.figures.values()} == {1.0}
    assert found.confusion == {("work", "work"): 60, ("eat", "eat"): 60, ("sleep", "sleep"): 120}


def test_the_figures_by_hand(tmp_path: Path) -> None:
    events = [
        ("u1", "08:01", "09:00", "work"),  # a hit: one minute off
        ("u1", "10:00", "11:00", "sleep"),  # a start, but another label
        ("u1", "13:00", "14:00", "sleep"),  # half of its label, no start
    ]
    found = evaluated(tmp_path, events, LABELS)
    values = {name: figure.value for name, figure in found.figures.items()}
    assert values["start_f1"] == pytest.approx(4 / 6)
    assert values["labelled_start_f1"] == pytest.approx(2 / 6)
    assert values["segment_f1"] == pytest.approx(4 / 6)  # 59 of 60 minutes, and 60 of 120
    assert values["minutes_right"] == pytest.approx((59 + 60) / 240)
    assert values["coverage"] == pytest.approx((59 + 60 + 60) / 240)
    assert values["purity"] == pytest.approx(1.0)
    assert found.confusion == {
        ("work", "work"): 59,
        ("work", ""): 1,
        ("eat", "sleep"): 60,
        ("sleep", "sleep"): 60,
        ("sleep", ""): 60,
    }
    # work 2*59/(59+60), eat 0, sleep 2*60/(120+120)
    assert values["label_macro_f1"] == pytest.approx((118 / 119 + 0 + 0.5) / 3)
    rows = {row.label: row for row in found.by_label}
    assert rows["sleep"].precision == pytest.approx(0.5)
    assert rows["eat"].precision is None
    assert rows["eat"].recall == 0


def test_one_event_over_everything_is_covered_but_not_pure(tmp_path: Path) -> None:
    found = evaluated(tmp_path, [("u1", "08:00", "14:00", "work")], LABELS)
    assert found.figures["coverage"].value == pytest.approx(1.0)
    assert found.figures["purity"].value == pytest.approx(120 / 240)


def test_users_and_times_without_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    events = [*LABELS, ("u1", "20:00", "21:00", "eat"), ("u2", "08:00", "09:00", "eat")]
    found = evaluated(tmp_path, events, LABELS)
    assert (found.outside, found.without_labels) == (1, 1)
    assert found.figures["start_f1"].value == 1.0


def test_a_user_without_events_counts_against_them(tmp_path: Path) -> None:
    labels = [*LABELS, ("u2", "08:00", "09:00", "eat")]
    found = evaluated(tmp_path, LABELS, labels)
    assert found.figures["start_recall"].value == pytest.approx(3 / 4)
    assert found.figures["minutes_right"].value == pytest.approx(240 / 300)


def test_ten_users_are_drawn_and_fewer_give_way_to_their_days(tmp_path: Path) -> None:
    few = evaluated(tmp_path, LABELS, LABELS)
    many = [(f"u{number}", *row[1:]) for number in range(10) for row in LABELS]
    assert few.drawn == "days"
    assert evaluated(tmp_path, many, many).drawn == "users"


def test_labels_may_be_json_lines_or_another_run_and_need_no_user_where_there_is_one(tmp_path: Path) -> None:
    events = events_file(tmp_path / "events.jsonl", LABELS)
    lines = tmp_path / "gold.jsonl"
    lines.write_text(
        '{"开始时间": "2026-01-15T08:00:00+08:00", "结束时间": "2026-01-15T09:00:00+08:00", "标签": "work"}\n'
    )
    assert evaluate(events, lines).figures["start_recall"].value == 1.0
    assert evaluate(events, events).figures["start_f1"].value == 1.0


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("user,start,end,label\nu1,soon,later,a\n", "row 2"),
        ("user,start,end\nu1,2026-01-15,2026-01-16\n", "label"),
        ("user,start,end,label\n", "no labels"),
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


def test_a_run_is_held_against_labels_with_its_baselines_and_a_page(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    assert eventabs("run", "input.jsonl", "--provider", "rules", cwd=tmp_path).returncode == 0
    gold = "input.eventabs/events.jsonl"
    done = eventabs(
        "evaluate", "input.eventabs", "--gold", gold, "--json", "--output", "page.html", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["figures"]["start_f1"]["value"] == 1.0
    assert [baseline["kind"] for baseline in figures["baselines"]] == ["gaps", "random"]
    assert (tmp_path / "page.html").read_text("utf-8").count('class="lane"') >= 6
    shown = eventabs("evaluate", "input.eventabs", "--gold", gold, "--lang", "zh", cwd=tmp_path)
    assert "覆盖率" in shown.stdout
    wrong = eventabs("evaluate", "input.eventabs", "--gold", "gone.csv", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
