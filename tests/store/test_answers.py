"""What answers held, by the users in the batch and by place in it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings, strategies as st

from eventabs.shared_records import AnswerCells, AskedUser, Outcome
from eventabs.store.ledger_queries import (
    ANSWER_FIGURES,
    PlacedAnswer,
    placed_answers,
    store_answers,
    stored_answers,
)
from runs_kit import bad, event_of, journey_of, make_log, new_ledger, whole

LOG = make_log("anna", 20)
BANDS = {1: "1"} | {
    users: f"{least}-{2 * least - 1}" for least in (2, 4, 8, 16, 32, 64) for users in range(least, 2 * least)
}
FIGURES = st.integers(0, 5)
PLACES = st.integers(1, 70).flatmap(lambda users: st.tuples(st.integers(1, users), st.just(users)))


def placed(where: tuple[int, int], reason: str | None, numbers: list[int]) -> PlacedAnswer:
    return PlacedAnswer(*where, reason, tuple(numbers))


ANSWERS = st.builds(
    placed, PLACES, st.sampled_from([None, "unplaced", "cut"]), st.lists(FIGURES, min_size=12, max_size=12)
)


def test_an_answer_is_counted_with_what_it_was_asked_about_and_what_it_says_of_it() -> None:
    part = whole(LOG)
    said = event_of(part)._replace(behaviors=(0, 1, 2), outside=True, sure=False)
    added = event_of(part)._replace(behaviors=(5,), source="must")
    rows = {"minor": (6, 7), "unplaced": (8,), "unasked": (9, 10, 11), "misfiled": 4, "repeated": 5}
    read = Outcome(part, "unplaced", (said, added), (journey_of(part),), **rows)  # type: ignore[arg-type]
    first, second = placed_answers(
        [AskedUser(part, LOG, range(20)), AskedUser(part, LOG, range(8))], [bad(part), read]
    )
    assert first == (1, 2, "unparsable", (20, *[0] * 11))
    assert second[:3] == (2, 2, "unplaced")
    assert dict(zip(ANSWER_FIGURES[2:], second.numbers, strict=True)) == {
        "behaviors": 8, "events": 2, "journeys": 1, "placed": 4,
        "minor": 2, "unplaced": 1, "unasked": 3, "misfiled": 4, "repeated": 5, "unsure": 1, "outside": 1, "missed": 1,
    }  # fmt: skip


def test_places_are_told_apart_by_thirds() -> None:
    thirds = [PlacedAnswer(place, 9, None, ()).third for place in (1, 3, 4, 7, 9)]
    assert thirds == ["1", "1", "2", "3", "3"]
    assert PlacedAnswer(2, 2, None, ()).third == ""


def added_up(calls: list[list[PlacedAnswer]]) -> AnswerCells:
    cells: AnswerCells = {}
    for each in (answer for call in calls for answer in call):
        known = cells.setdefault(BANDS[each.users], {}).setdefault(
            each.third, dict.fromkeys(ANSWER_FIGURES, 0)
        )
        for name, number in zip(ANSWER_FIGURES, (1, int(each.reason is None), *each.numbers), strict=True):
            known[name] += number
    return cells


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(ANSWERS, max_size=6, unique_by=lambda each: each.place), max_size=4))
def test_a_ledger_sums_up_answers_by_the_class_of_their_batch_and_their_place(
    calls: list[list[PlacedAnswer]],
) -> None:
    with TemporaryDirectory() as folder:
        ledger = new_ledger(Path(folder))
        for number, found in enumerate(calls, 1):
            # as in a real call, all have the same batch
            batch = [each._replace(users=max(one.users for one in found)) for each in found]
            calls[number - 1] = batch
            with ledger.transaction():
                store_answers(ledger, number, batch)
                store_answers(ledger, number, batch)  # read again, they are no other ones
        assert stored_answers(ledger) == added_up(calls)
        ledger.close()
