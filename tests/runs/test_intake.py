from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from eventabs.config.settings import Settings
from eventabs.prompts.instructions_and_requests import PromptBuilder
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.user_costs import log_of_part, measure_parts
from eventabs.runs.built_from_settings import builder_and_limits
from eventabs.runs.intake import log_users, measure_again
from eventabs.shared_records import Batch, Part, UserLog
from eventabs.store.counts_users_jobs_extensions import count_all, settled_user
from eventabs.store.ledger import Ledger, PartChange
from runs_desk import FACTS
from runs_kit import answer, make_log, new_ledger, request_for, well, whole

WHALE = make_log("whale", 60)


@pytest.fixture(scope="module")
def builder() -> PromptBuilder:
    return builder_and_limits(Settings(), FACTS)[0]


@pytest.fixture(scope="module")
def limits() -> BatchLimits:
    return builder_and_limits(Settings(), FACTS)[1]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path)
    yield ledger
    ledger.close()


def tight(limits: BatchLimits) -> BatchLimits:
    """Return limits into which no day of the whale fits."""
    return limits._replace(max_output_tokens=8 + 32)


@pytest.fixture
def take(ledger: Ledger, builder: PromptBuilder, limits: BatchLimits) -> Callable[..., None]:
    """Return what takes logs into the ledger, each measured."""

    def taken(logs: Iterable[UserLog], most_users: int = 0) -> None:
        measured = ((log, measure_parts(log, builder, limits)) for log in logs)
        log_users(ledger, measured, most_users)

    return taken


def ids(ledger: Ledger) -> list[str]:
    return sorted(ledger.logged_users())


def test_every_user_is_logged_once_with_what_it_costs(
    ledger: Ledger, builder: PromptBuilder, take: Callable[..., None]
) -> None:
    take([make_log("anna"), UserLog("nobody", ()), WHALE])
    assert ids(ledger) == ["anna", "nobody", "whale"]
    assert ledger.log("whale") == WHALE
    anna, whale = ledger.pending_parts()
    assert anna.size == builder.measure(make_log("anna"))
    assert whale.part == whole(WHALE)
    assert settled_user(ledger, "nobody").state == "failed"


def test_users_that_are_logged_already_are_not_logged_again(
    ledger: Ledger, take: Callable[..., None]
) -> None:
    logs = [make_log(f"user {n}") for n in range(5)]
    take(logs[:3])
    take(logs)
    assert len(ledger.pending_parts()) == 5
    assert count_all(ledger).behaviors == 15


@pytest.mark.parametrize(("most", "logged"), [((2, 0), 6), ((2, 4), 4), ((4, 2), 4), ((0, 2), 6)])
def test_a_limit_counts_the_users_of_all_takes(
    ledger: Ledger, take: Callable[..., None], most: tuple[int, int], logged: int
) -> None:
    for most_users in most:
        take([make_log(f"user {n}") for n in range(6)], most_users)
    assert ids(ledger) == [f"user {n}" for n in range(logged)]


def test_under_a_limit_no_more_is_read_than_needed(take: Callable[..., None]) -> None:
    read = []

    def logs() -> Iterator[UserLog]:
        for n in range(100):
            read.append(n)
            yield make_log(f"user {n}")

    take(logs(), 3)
    assert len(read) <= 4


def test_users_are_kept_as_they_come_so_that_a_kill_loses_only_the_last_few(
    ledger: Ledger, take: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventabs.runs.intake.USERS_A_COMMIT", 4)

    def logs() -> Iterator[UserLog]:
        yield from (make_log(f"user {n}") for n in range(10))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(logs())
    assert len(ids(ledger)) == 8


def test_parts_of_a_stretch_are_numbered_in_the_whole_log(
    builder: PromptBuilder, limits: BatchLimits
) -> None:
    stretch = log_of_part(WHALE, Part("whale", 20, 39))
    parts = [part for part, _size in measure_parts(stretch, builder, tight(limits), start=20)]
    assert [n for part in parts for n in range(part.first, part.last + 1)] == list(range(20, 40))


def test_what_is_pending_is_measured_again_and_what_is_done_stays(
    ledger: Ledger, builder: PromptBuilder, limits: BatchLimits, take: Callable[..., None]
) -> None:
    take([make_log("anna"), WHALE])
    anna = Part("anna", 0, 2)
    with ledger.transaction():
        ledger.settle(1, [well(anna)], [PartChange(anna, "done", accepted=well(anna))])
    measure_again(ledger, builder, tight(limits))
    assert settled_user(ledger, "anna").state == "done"
    parts = ledger.pending_parts()
    assert {planned.part.user_id for planned in parts} == {"whale"}
    assert [n for p in parts for n in range(p.part.first, p.part.last + 1)] == list(range(60))


def test_a_part_whose_paid_answer_is_not_read_yet_stays_as_it_was_asked_about(
    ledger: Ledger, builder: PromptBuilder, limits: BatchLimits, take: Callable[..., None]
) -> None:
    take([make_log("anna", 30), WHALE])
    (planned, _whale) = ledger.pending_parts()
    with ledger.transaction():
        number = ledger.open_call(
            Batch((planned,)), request_for([make_log("anna", 30)]), settings_fingerprint="f", sent_at=0.0
        )
        ledger.store_reply(number, answer())
    measure_again(ledger, builder, tight(limits))
    (number,) = ledger.unread_calls()
    stored = ledger.stored_reply(number)
    assert stored.users["U1"].part in {pending.part for pending in ledger.pending_parts()}
