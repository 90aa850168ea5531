"""A review: what is drawn, and what is read back of what people said, also after a spreadsheet."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import InputError, RunDirectoryError, UsageError
from eventabs.measures import least_share
from eventabs.quality.review import Review, draw_review, read_review
from house import eventabs, lines, ran
from runs_jobs import Place, finish

COLUMNS = ("review", "item", "user_id", "start", "type", "verdict", "correct_type", "behaviors")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Place(tmp_path_factory.mktemp("review"), users=30)
    with place.begin() as run:
        finish(run)
    return place.out


def rows_of(review: Review, said: Mapping[str, str], *, otherwise: str = "right") -> list[dict[str, str]]:
    """Return the rows of a reviewer who says one thing of all events that `said` does not name, and ends every day."""
    events = [
        {"item": event.item, "user_id": event.user_id, "verdict": said.get(event.item, otherwise)}
        for event in review.events
    ]
    days = [
        {"item": day.item, "user_id": day.user_id, "verdict": said.get(day.item, "done")}
        for day in review.days
    ]
    return [{"review": review.id, **row} for row in (*events, *days)]


def save(
    path: Path, rows: list[dict[str, str]], *, delimiter: str = ",", encoding: str = "utf-8-sig"
) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def test_the_same_seed_draws_the_same_review_and_another_seed_another(out: Path) -> None:
    first = draw_review(out, sample=40, days=3)
    assert draw_review(out, sample=40, days=3) == first
    other = draw_review(out, sample=40, days=3, seed=1).review
    assert other.id != first.review.id
    assert {each.user_id for each in other.events} != {each.user_id for each in first.review.events}


@pytest.mark.slow
def test_every_event_is_drawn_as_often_as_any_other(out: Path) -> None:
    run = lines(out / "events.jsonl")
    drawn = Counter[tuple[str, str]]()
    for seed in range(60):
        review = draw_review(out, sample=len(run) // 4, days=0, seed=seed).review
        assert len(review.events) == len(run) // 4
        drawn.update((event.user_id, event.start) for event in review.events)
    assert len(drawn) == len({(event["user_id"], event["start"]) for event in run})
    assert min(drawn.values()) >= 1  # 15 expected; more than four standard deviations away
    assert max(drawn.values()) <= 32


def test_by_type_each_type_has_its_share_and_there_is_no_figure_of_all(out: Path, tmp_path: Path) -> None:
    run = Counter(event["type"] for event in lines(out / "events.jsonl"))
    review = draw_review(out, sample=4 * len(run), days=0, by="type").review
    drawn = Counter(event.type for event in review.events)
    assert sum(drawn.values()) == 4 * len(run)
    assert all(drawn[name] >= min(4, run[name]) for name in run)
    (reviewer,) = read_review(out, [save(tmp_path / "a.csv", rows_of(review, {}))])[1]["reviewers"]
    assert reviewer["precision"] is reviewer["at_least"] is None
    assert {row["type"]: row["judged"] for row in reviewer["by_type"]} == dict(drawn)
    assert all(row["at_least"] and row["at_least"] < 1 for row in reviewer["by_type"])


def test_more_than_there_is_draws_all(out: Path) -> None:
    run = lines(out / "events.jsonl")
    for by in ("", "type"):
        review = draw_review(out, sample=10**6, days=10**6, by=by).review
        assert len(review.events) == len(run) == review.events_in_run
        assert len(review.days) == review.days_in_run == 120


def test_every_event_of_a_day_is_judged_once(out: Path) -> None:
    review = draw_review(out, sample=50, days=20).review
    assert len({each.item for each in review.events}) == len(review.events)
    drawn = [event.item for event in review.events if event.drawn]
    assert len(drawn) == 50
    events = {event.item: event for event in review.events}
    run = lines(out / "events.jsonl")
    for day in review.days:
        started = [e for e in run if e["user_id"] == day.user_id and e["start"].startswith(day.day)]
        assert [events[item].start for item in day.events] == [event["start"] for event in started]


def test_a_day_is_shown_with_all_its_rows_and_no_other(out: Path) -> None:
    sheet = draw_review(out, sample=1, days=20)
    for day in sheet.review.days:
        assert [number for number, *_line in sheet.lines[day.item]] == [*range(day.first, day.last + 1)]


def test_an_event_is_shown_with_eight_rows_before_and_behind_it(out: Path) -> None:
    sheet = draw_review(out, sample=50, days=0)
    one = next(each for each in sheet.review.events if len(each.behaviors) == 1 and each.behaviors[0] > 8)
    (row,) = one.behaviors
    numbers = [number for number, *_line in sheet.lines[one.item]]
    assert numbers == [*range(row - 8, numbers[-1] + 1)]
    assert numbers[-1] <= row + 8


def test_precision_has_its_bound_and_days_their_recall(out: Path, tmp_path: Path) -> None:
    review = draw_review(out, sample=60, days=12).review
    said = {"E1": "type", "E2": "span", "E3": "none"}
    rows = rows_of(review, said)
    day = review.days[0]
    missing = {"review": review.id, "item": day.item, "verdict": "missing", "behaviors": "b0 b1"}
    nothing_said = missing | {"item": "E4", "verdict": "nothing"}
    save(tmp_path / "a.csv", [*rows, nothing_said])
    with pytest.raises(InputError, match="of E4 it is right, type, span, none, or an empty cell"):
        read_review(out, [tmp_path / "a.csv"])
    save(tmp_path / "a.csv", [*rows, missing, missing, missing | {"behaviors": "b2"}])  # two saves in one
    (reviewer,) = read_review(out, [tmp_path / "a.csv"])[1]["reviewers"]
    assert tuple(reviewer.values())[1:7] == (60, 0, 57, 1, 1, 1)
    assert reviewer["precision"] == 57 / 60
    assert reviewer["at_least"] == least_share(57, 60)
    of_days = [item for day in review.days for item in day.events]
    nothing = sum(said.get(item) == "none" for item in of_days)
    wrong = sum(item in said for item in of_days)
    assert tuple(reviewer["reviewed_days"].values())[:5] == (
        12,
        0,
        len(of_days) - nothing + 2,
        len(of_days) - wrong,
        2,
    )
    shares = []
    for each in review.days:
        told = [said.get(item, "right") for item in each.events]
        real = len(told) - told.count("none") + (2 if each == day else 0)
        shares.append(told.count("right") / real)
    assert reviewer["reviewed_days"]["recall"].value == pytest.approx(sum(shares) / 12)


def test_what_is_passed_over_counts_as_wrong_and_what_is_not_reached_not_at_all(
    out: Path, tmp_path: Path
) -> None:
    review = draw_review(out, sample=60, days=0).review
    said = {f"E{number}": "right" for number in range(1, 41) if number != 7}
    rows = rows_of(review, said, otherwise="")
    (reviewer,) = read_review(out, [save(tmp_path / "a.csv", rows)])[1]["reviewers"]
    assert (reviewer["judged"], reviewer["skipped"], reviewer["left"]) == (39, 1, 20)
    assert reviewer["precision"] == 1
    assert reviewer["at_least"] == least_share(39, 40)


def test_a_day_with_an_open_event_has_no_recall(out: Path, tmp_path: Path) -> None:
    review = draw_review(out, sample=1, days=12).review
    rows = rows_of(review, {review.days[0].events[0]: ""})
    (reviewer,) = read_review(out, [save(tmp_path / "a.csv", rows)])[1]["reviewers"]
    assert (reviewer["reviewed_days"]["days"], reviewer["reviewed_days"]["unfinished"]) == (11, 1)


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(";", "utf-8"), ("\t", "utf-16"), (",", "gb18030"), (";", "utf-8-sig")]
)
def test_a_csv_is_read_as_spreadsheets_write_it(
    out: Path, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    review = draw_review(out, sample=30, days=2).review
    rows = rows_of(review, {"E1": "type"})
    rows[0] |= {"correct_type": "看车", "verdict": " Type "}
    blank: dict[str, str] = {}
    path = save(tmp_path / "a.csv", [*reversed(rows), blank], delimiter=delimiter, encoding=encoding)
    (reviewer,) = read_review(out, [path])[1]["reviewers"]
    assert reviewer["confused"] == [{"type": review.events[0].type, "meant": "看车", "events": 1}]
    assert reviewer["judged"] == 30


def test_users_that_lost_their_leading_zeros_are_told(tmp_path: Path) -> None:
    place = Place(tmp_path, users=2)
    text = place.export.read_text("utf-8").replace("user_000", "000")
    place.export.write_text(text, "utf-8")
    with place.begin() as run:
        finish(run)
    review = draw_review(place.out, sample=5, days=0).review
    rows = [row | {"user_id": row["user_id"].lstrip("0") or "0"} for row in rows_of(review, {})]
    save(tmp_path / "a.csv", rows)
    done = ran("review", "out", "--read", "a.csv", cwd=tmp_path)
    assert "leading zeros" in done.stdout


def test_ids_are_those_of_their_rows_as_the_page_writes_them_and_as_spreadsheets_show_them(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, users=3)
    text = place.export.read_text("utf-8").replace("user_000", "54131210")
    place.export.write_text(text.replace("541312100", "'abc"), "utf-8")
    with place.begin() as run:
        finish(run)
    review = draw_review(place.out, sample=50, days=0).review
    rows = rows_of(review, {})
    path = tmp_path / "a.csv"
    said = {"541312101": "5.41312E+08", "541312102": "541312102.0"}
    (reviewer,) = read_review(
        place.out, [save(path, [row | {"user_id": said.get(row["user_id"], row["user_id"])} for row in rows])]
    )[1]["reviewers"]
    assert reviewer["renamed"] == sum(row["user_id"] in said for row in rows) > 0
    other = {"541312101": "541312102", "541312102": "541312101"}
    mixed = [row | {"user_id": other.get(row["user_id"], row["user_id"])} for row in rows]
    assert "sort whole rows" in refused(place.out, path, mixed)


def refused(out: Path, path: Path, rows: list[dict[str, str]]) -> str:
    with pytest.raises(InputError) as caught:
        read_review(out, [save(path, rows)])
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_what_cannot_be_meant_is_refused_in_one_line(out: Path, tmp_path: Path) -> None:
    review = draw_review(out, sample=30, days=2).review
    other = draw_review(out, sample=30, days=2, seed=5).review
    path = tmp_path / "a.csv"
    rows = rows_of(review, {})
    assert "r0123456789ab" in refused(out, path, [row | {"review": "r0123456789ab"} for row in rows])
    assert "row 3" in refused(out, path, [rows[0], rows_of(other, {})[1]])
    assert "E999" in refused(out, path, [rows[0] | {"item": "E999"}])
    assert "maybe" in refused(out, path, [rows[0] | {"verdict": "maybe"}])
    assert "missing" in refused(out, path, [rows[-1] | {"verdict": "right"}])
    assert "nobody" in refused(out, path, [rows[0] | {"user_id": "nobody"}])
    assert "E1 is none here and right" in refused(out, path, [rows[0], rows[0] | {"verdict": "none"}])
    assert "no verdicts" in refused(out, path, [])
    for name in ("../../x", "", "r"):
        assert "row 2" in refused(out, path, [rows[0] | {"review": name}])


def test_a_file_that_is_no_csv_of_a_review_is_refused_in_one_line(out: Path, tmp_path: Path) -> None:
    for data in (b"", b"\x00\xff\xfe", b"a,b\n1,2\n", b"PK\x03\x04"):
        (tmp_path / "a.csv").write_bytes(data)
        with pytest.raises(InputError, match="save the CSV"):
            read_review(out, [tmp_path / "a.csv"])
    with pytest.raises(InputError):
        read_review(out, [tmp_path / "none.csv"])


def test_two_reviewers_have_a_kappa_and_the_events_on_which_they_differ(out: Path, tmp_path: Path) -> None:
    review = draw_review(out, sample=50, days=0).review
    one = save(tmp_path / "one.csv", rows_of(review, {"E1": "none", "E2": "none"}))
    two = save(tmp_path / "two.csv", rows_of(review, {"E1": "none", "E3": "span"}))
    found = read_review(out, [one, two])[1]["agreement"]
    assert found is not None
    assert (found["judged"], found["same"]) == (50, 48)
    assert [(each["item"], each["first"], each["second"]) for each in found["differ"]] == [
        ("E2", "none", "right"),
        ("E3", "right", "span"),
    ]
    chance = (48 * 48 + 2 * 1 + 0) / 2500
    assert found["kappa"] == pytest.approx((48 / 50 - chance) / (1 - chance))
    other = draw_review(out, sample=50, days=0, seed=9).review
    with pytest.raises(UsageError, match="two reviewers judge the same one"):
        read_review(out, [one, save(tmp_path / "three.csv", rows_of(other, {}))])
    with pytest.raises(UsageError):
        read_review(out, [one, two, one])


def test_the_command_makes_the_page_reads_it_back_and_keeps_the_figures(out: Path, tmp_path: Path) -> None:
    drawn = json.loads(eventabs("review", out, "--sample", 200, "--json", cwd=tmp_path).stdout)
    page = Path(drawn["page"])
    made = eventabs("review", out, "--sample", 200, cwd=tmp_path)
    assert made.stdout.strip() == str(page)
    assert f"eventabs review {out} --read {drawn['review']}.csv" in made.stderr
    assert page.stat().st_mode & 0o777 == 0o600
    review = draw_review(out, sample=200, days=20).review
    assert (drawn["review"], drawn["drawn"]) == (review.id, 200)
    assert drawn["events_a_user_day"] == len(lines(out / "events.jsonl")) / (30 * 4)
    save(tmp_path / "a.csv", rows_of(review, {"E9": "type", "E99": "span", "E120": "none"}))
    shown = eventabs("review", out, "--read", "a.csv", cwd=tmp_path)
    assert "at least 96.2 %" in shown.stdout
    found: dict[str, Any] = json.loads(
        eventabs("review", out, "--read", "a.csv", "--json", cwd=tmp_path).stdout
    )
    assert found["reviewers"][0]["at_least"] == pytest.approx(0.9617, abs=1e-4)
    assert json.loads((page.parent / "result.json").read_bytes()) == found


def test_a_run_without_events_and_a_folder_without_a_run_are_refused(tmp_path: Path) -> None:
    place = Place(tmp_path, users=1)
    with place.begin():
        pass
    with pytest.raises(UsageError, match="eventabs resume"):
        draw_review(place.out, sample=5, days=1)
    with pytest.raises(RunDirectoryError):
        read_review(tmp_path, [tmp_path / "a.csv"])
