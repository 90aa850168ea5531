"""What answers held, by the users in the batch and by place in it; and the days of users."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings, strategies as st

from eventabs.records import Outcome
from eventabs.store.ledger import Ledger, PartChange
from eventabs.store.queries import (
    PlacedAnswer,
    cells_of,
    count_all,
    repeated_in,
    store_answers,
    stored_answers,
    summed,
)
from runs_kit import answer, bad, batch_of, event_of, make_log, new_ledger, request_for, well, whole

LOG = make_log("anna", 20)  # eight behaviors a day
FIGURES = st.integers(0, 5)
PLACES = st.integers(1, 70).flatmap(lambda users: st.tuples(st.integers(1, users), st.just(users)))


def placed(where: tuple[int, int], reason: str | None, numbers: list[int]) -> PlacedAnswer:
    return PlacedAnswer(*where, reason, *numbers)


ANSWERS = st.builds(
    placed, PLACES, st.sampled_from([None, "ungrounded", "cut"]), st.lists(FIGURES, min_size=8, max_size=8)
)


def settled(ledger: Ledger, user_id: str, behaviors: int, outcome: Outcome) -> None:
    """Have a user answered, alone in a batch."""
    log = make_log(user_id, behaviors)
    with ledger.transaction():
        call = ledger.open_call(batch_of(user_id), request_for([log]), settings_fingerprint="f", sent_at=0.0)
        ledger.store_reply(call, answer())
        store_answers(ledger, call, [PlacedAnswer.of(1, 1, log, outcome, outcome)])
        state = "done" if outcome.usable else "pending"
        ledger.settle(call, [outcome], [PartChange(outcome.part, state, events=len(outcome.events))])


def test_an_answer_is_counted_with_what_it_was_asked_about_and_what_it_lacks() -> None:
    part = whole(LOG)
    said = event_of(part).model_copy(update={"behaviors": (0, 1, 2), "outside": True})
    stray = event_of(part).model_copy(update={"behaviors": (), "grounded": False})
    added = event_of(part).model_copy(update={"behaviors": (5,), "source": "must"})
    read = Outcome(part, None, (said, stray), duplicates=4)
    found = PlacedAnswer.of(3, 7, LOG, read, Outcome(part, None, (said, stray, added)))
    assert found._asdict() == {
        "place": 3, "users": 7, "reason": None, "behaviors": 20, "user_days": 3, "events": 2, "covered": 3,
        "ungrounded": 1, "repeated": 4, "outside": 1, "missed": 1,
    }  # fmt: skip


def test_an_answer_that_was_not_usable_is_counted_as_asked_for_alone() -> None:
    part = whole(LOG)
    found = PlacedAnswer.of(1, 2, LOG, bad(part, "ungrounded"), bad(part, "ungrounded"))
    assert found == (1, 2, "ungrounded", *[0] * 8)
    (cell,) = cells_of([found])["2-3"].values()
    assert (cell["asked"], cell["usable"], cell["strayed"]) == (1, 0, 1)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(ANSWERS, max_size=6, unique_by=lambda each: each.place), max_size=4))
def test_what_a_ledger_sums_up_is_what_a_run_adds_up_call_by_call(calls: list[list[PlacedAnswer]]) -> None:
    with TemporaryDirectory() as folder:
        ledger = new_ledger(Path(folder))
        for number, found in enumerate(calls, 1):
            # as in a real call, all have the same batch
            batch = [each._replace(users=max(one.users for one in found)) for each in found]
            calls[number - 1] = batch
            with ledger.transaction():
                store_answers(ledger, number, batch)
                store_answers(ledger, number, batch)  # read again, they are no other ones
        assert stored_answers(ledger) == summed([{}, *map(cells_of, calls)])
        ledger.close()


def test_duplicates_are_found_by_place(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path)
    with ledger.transaction():
        store_answers(ledger, 4, [placed((place, 5), None, [0] * 5 + [place, 0, 0]) for place in range(1, 6)])
    assert repeated_in(ledger, 4, [2, 5, 9]) == 7
    ledger.close()


def test_the_days_of_users_that_are_done_are_counted_and_no_others(tmp_path: Path) -> None:
    logs = [LOG, make_log("bert", 9), make_log("cleo", 3), make_log("dora", 0)]
    ledger = new_ledger(tmp_path, logs)
    assert count_all(ledger).user_days == 0
    settled(ledger, "anna", 20, well(whole(LOG)))
    settled(ledger, "bert", 9, bad(whole(logs[1])))
    counts = count_all(ledger)
    assert (counts.user_days, counts.answered, counts.events_per_user_day) == (3, 20, round(1 / 3, 4))
    settled(ledger, "bert", 9, well(whole(logs[1])))
    assert (count_all(ledger).user_days, count_all(ledger).answered) == (5, 29)
    ledger.close()
