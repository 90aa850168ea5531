"""What the report shows of a run's quality: reviews, and what batches brought by size and place."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from eventabs.inspection import Table, batch_tables
from eventabs.interface_language import Language, activate
from eventabs.quality.review import draw_review, read_review
from eventabs.shared_records import AskedUser, Counts, Part
from eventabs.store.counts_users_jobs_extensions import ANSWER_FIGURES, count_all, store_answers
from eventabs.store.ledger import Ledger, PartChange
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from eventabs.views.review_page import quality_tables, review_json
from report_kit import FACTS
from runs_jobs import Place, finish
from runs_kit import SIZE, answer, bad, batch_of, event_of, make_log, request_for, well, whole


def _ask(ledger: Ledger, users: str, unusable: str = "") -> None:
    """Ask about users in one batch; each has an event of two rows and a minor one, those named nothing."""
    logs = [make_log(user_id) for user_id in users]
    batch, request = batch_of(*users), request_for(logs)
    call_id = ledger.open_call(batch, request, settings_fingerprint="f", sent_at=1_000.0)
    ledger.store_reply(call_id, answer("## U1"))
    asked = [AskedUser(whole(log), log, range(3)) for log in logs]
    outcomes = [
        bad(user.part, "unparsable")
        if user.part.user_id in unusable
        else replace(well(user.part, event_of(Part(user.part.user_id, 0, 1), "a")), minor=(2,))
        for user in asked
    ]
    store_answers(ledger, call_id, asked, outcomes)
    changes = [
        PartChange(each.part, "done", accepted=each)
        if each.usable
        else PartChange(each.part, "pending", attempts=1, reason="unparsable")
        for each in outcomes
    ]
    ledger.settle(call_id, outcomes, changes)


def _tables(path: Path) -> dict[str, Table]:
    with Ledger.watch(path / "ledger.sqlite") as ledger:
        return {table.title: table for table in quality_tables(RunDirectory(path), count_all(ledger))}


def _ledger(path: Path, users: str) -> Ledger:
    ledger = Ledger.create(path / "ledger.sqlite", FACTS)
    with ledger.transaction():
        ledger.add_users((make_log(user_id), [(whole(make_log(user_id)), SIZE)]) for user_id in users)
    return ledger


def test_answers_are_counted_by_size_of_the_batch_and_by_third_of_it(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, "abcdef")
    with ledger.transaction():
        _ask(ledger, "abcdef", unusable="ef")
        _ask(ledger, "e")
    ledger.close()
    tables = _tables(tmp_path)
    sizes, places = tables["Users in the batch"], tables["Place in the batch"]
    assert sizes.columns == ("", "users asked", "usable", "rows an event", "minor", "unplaced")
    assert sizes.rows == [("1", 1, 1.0, 2.0, 0.3333, 0.0), ("4-7", 6, 0.6667, 2.0, 0.2222, 0.0)]
    assert places.rows == [
        ("first third", 2, 1.0, 2.0, 0.3333, 0.0),
        ("middle third", 2, 1.0, 2.0, 0.3333, 0.0),
        ("last third", 2, 0.0, None, 0.0, 0.0),
    ]
    assert (sizes.note, bool(places.note)) == ("", True), "what explains both stands once"


def test_several_runs_stand_side_by_side_in_each_class_and_one_may_lack_it(tmp_path: Path) -> None:
    counts = {}
    for name, batches in (("A", ("abcdef",)), ("B", ("abc", "def"))):
        (tmp_path / name).mkdir()
        ledger = _ledger(tmp_path / name, "abcdef")
        with ledger.transaction():
            for users in batches:
                _ask(ledger, users)
        counts[name] = count_all(ledger)
        ledger.close()
    sizes, places = batch_tables(counts)
    assert [row[:3] for row in sizes.rows] == [("2-3", "B", 6), ("4-7", "A", 6)]
    assert [row[:3] for row in places.rows[:2]] == [("first third", "A", 2), ("first third", "B", 2)]
    assert sizes.columns[:3] == ("", "run", "users asked")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_figure_of_answers_has_a_column_of_its_own(language: Language) -> None:
    rows = [{"name": name, **dict.fromkeys(ANSWER_FIGURES, 1)} for name in ("1", "2-3")]
    activate(language)
    (sizes,) = batch_tables({"": Counts(answers={"by_batch_users": rows, "by_position": []})})
    activate("en")
    assert len(sizes.columns) == len(sizes.rows[0]) == 11, "one place, five figures, five faults"


def test_where_nothing_can_be_compared_there_is_no_table(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, "ab")
    with ledger.transaction():
        _ask(ledger, "ab")
    ledger.close()
    assert _tables(tmp_path) == {}


def test_a_review_that_was_read_back_is_shown_and_a_broken_one_left_out(tmp_path: Path) -> None:
    place = Place(tmp_path, users=4)
    with place.begin() as run:
        finish(run)
    review = draw_review(place.out, sample=8, days=0).review
    rows = [
        f"{review.id},{event.item},{'none' if event.item == 'E1' else 'right'}" for event in review.events
    ]
    (tmp_path / "ann.csv").write_text("\n".join(["review,item,verdict", *rows]), "utf-8")
    _review, said = read_review(place.out, [tmp_path / "ann.csv"])
    (place.out / "reviews" / review.id / "result.json").write_text(review_json(review, **said), "utf-8")
    for number, text in enumerate(("{", "[]", "{}", '{"reviewers": [{}]}', '{"reviewers": [1], "by": null}')):
        broken = place.out / "reviews" / f"r{number}"
        broken.mkdir()
        (broken / "result.json").write_text(text, "utf-8")
    tables = _tables(place.out)
    bound = said["reviewers"][0]["at_least"]
    assert list(tables)[:4] == [
        *(
            each.format("ann.csv")
            for each in ("Review by {}, 8 events", "{}, by type", "{}, types that were meant")
        ),
        "The two differ",
    ]
    figures = tables["Review by ann.csv, 8 events"]
    assert figures.rows[0] == ("right", 7 / 8, f"at least {100 * (bound or 0):.1f} %")
    assert figures.note.startswith(
        "The bound is exact for a random sample of any number of events; the run has "
    )
    types = [(row[0], row[1]) for row in tables["ann.csv, by type"].rows]
    assert sorted(types) == sorted(Counter(event.type for event in review.events).items())
