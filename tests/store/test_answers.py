"""What answers held, by the users in the batch and by place in it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings, strategies as st

from eventabs.shared_records import AnswerFigures, AskedUser, Outcome
from eventabs.store.counts_users_jobs_extensions import ANSWER_FIGURES, store_answers, stored_answers
from runs_kit import bad, event_of, journey_of, make_log, new_ledger, whole

PlacedAnswer = tuple[Any, ...]  # a row of `answers` without its call
LOG = make_log("anna", 20)
BANDS = {1: "1"} | {
    users: f"{least}-{2 * least - 1}" for least in (2, 4, 8, 16, 32, 64) for users in range(least, 2 * least)
}
FIGURES = st.integers(0, 5)
PLACES = st.integers(1, 70).flatmap(lambda users: st.tuples(st.integers(1, users), st.just(users)))


def placed(where: tuple[int, int], reason: str | None, numbers: list[int]) -> PlacedAnswer:
    place, users = where
    third = str(1 + (place - 1) * 3 // users) if users > 2 else ""
    return (third, place, users, reason, *numbers)


ANSWERS = st.builds(
    placed, PLACES, st.sampled_from([None, "unplaced", "cut"]), st.lists(FIGURES, min_size=12, max_size=12)
)


def stored_for(folder: Path, asked: list[AskedUser], outcomes: list[Outcome]) -> list[PlacedAnswer]:
    ledger = new_ledger(folder)
    for _again in range(2):  # read again, they are no other ones
        store_answers(ledger, 1, asked, outcomes)
    found = ledger.rows("SELECT * FROM answers ORDER BY place")
    ledger.close()
    return [answer[1:] for answer in found]


def test_an_answer_is_counted_with_what_it_was_asked_about_and_what_it_says_of_it(tmp_path: Path) -> None:
    part = whole(LOG)
    said = event_of(part)._replace(behaviors=(0, 1, 2), outside=True, sure=False)
    added = event_of(part)._replace(behaviors=(5,), source="must")
    rows = {"minor": (6, 7), "unplaced": (8,), "unasked": (9, 10, 11), "misfiled": 4, "repeated": 5}
    read = Outcome(part, "unplaced", (said, added), (journey_of(part),), **rows)  # type: ignore[arg-type]
    asked = [AskedUser(part, LOG, range(20)), AskedUser(part, LOG, range(8))]
    first, second = stored_for(tmp_path, asked, [bad(part), read])
    assert first == ("", 1, 2, "unparsable", 20, *[0] * 11)
    assert second[:4] == ("", 2, 2, "unplaced")
    assert tuple(read.figures) == ANSWER_FIGURES[3:]
    assert dict(zip(ANSWER_FIGURES[2:], second[4:], strict=True)) == {
        "behaviors": 8, "events": 2, "journeys": 1, "placed": 4,
        "minor": 2, "unplaced": 1, "unasked": 3, "misfiled": 4, "repeated": 5, "unsure": 1, "outside": 1, "missed": 1,
    }  # fmt: skip


def test_places_are_told_apart_by_thirds(tmp_path: Path) -> None:
    def thirds(users: int) -> list[str]:
        asked = [AskedUser(whole(LOG), LOG, range(20))] * users
        (folder := tmp_path / str(users)).mkdir()
        return [answer[0] for answer in stored_for(folder, asked, [bad(whole(LOG))] * users)]

    assert thirds(9) == ["1", "1", "1", "2", "2", "2", "3", "3", "3"]
    assert thirds(2) == ["", ""]


def added_up(calls: list[list[PlacedAnswer]]) -> AnswerFigures:
    """Return what every answer adds to the rows of its batch and of its third."""
    found: AnswerFigures = {"by_batch_users": [], "by_position": []}
    answers = sorted((answer for call in calls for answer in call), key=lambda answer: answer[2])
    for by, name_of in (
        ("by_batch_users", lambda each: BANDS[each[2]]),
        ("by_position", lambda each: each[0]),
    ):
        names = dict.fromkeys(map(name_of, answers))
        for name in sorted(names) if by == "by_position" else names:
            own = [answer[4:] for answer in answers if name_of(answer) == name]
            usable = sum(answer[3] is None for answer in answers if name_of(answer) == name)
            figures = (len(own), usable, *map(sum, zip(*own, strict=True)))
            found[by] += [{"name": name, **dict(zip(ANSWER_FIGURES, figures, strict=True))}] if name else []
    return found


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(ANSWERS, max_size=6, unique_by=lambda each: each[1]), max_size=4))
def test_a_ledger_sums_up_answers_by_the_class_of_their_batch_and_their_place(
    calls: list[list[PlacedAnswer]],
) -> None:
    with TemporaryDirectory() as folder:
        ledger = new_ledger(Path(folder))
        for number, found in enumerate(calls, 1):
            # as in a real call, all have the same batch
            users = max((each[2] for each in found), default=0)
            batch = [
                placed((place, users), reason, numbers) for _third, place, _users, reason, *numbers in found
            ]
            calls[number - 1] = batch
            slots = ", ".join("?" * (3 + len(ANSWER_FIGURES)))
            with ledger.transaction():
                for answer in batch:
                    ledger.rows(f"INSERT INTO answers VALUES ({slots})", number, *answer)
        assert stored_answers(ledger) == added_up(calls)
        ledger.close()
