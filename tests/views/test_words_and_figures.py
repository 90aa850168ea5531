from typing import get_args

import pytest

from eventabs.interface_language import Language, activate
from eventabs.runs.observer import (
    BatchDone,
    CallFailed,
    InputRead,
    Note,
    Planned,
    Retrying,
    Started,
    StateChanged,
)
from eventabs.shared_records import FailureReason, RunStatus
from eventabs.views import words_and_figures as messages

RULES = Started("", "rules", "", "", "x.eventabs", resumed=True)


def test_the_first_line_of_the_rules_says_that_no_model_is_called() -> None:
    line = messages.noted(RULES)
    assert "provider rules" in line
    assert "no model is called" in line
    assert line.startswith("Going on: config none")
    activate("zh")
    assert "不调用模型" in messages.noted(RULES)


@pytest.mark.parametrize(
    ("batches", "mean", "english", "chinese"),
    [
        (1, 24, "Split into 1 batch, 24 users a batch on average", "分为 1 批处理，每批平均 24 个用户"),
        (3, 1, "Split into 3 batches of 1 user", "分为 3 批处理，每批 1 个用户"),
    ],
)
def test_the_plan_is_announced_in_both_languages(
    batches: int, mean: float, english: str, chinese: str
) -> None:
    assert messages.plan_line(batches, mean) == english
    activate("zh")
    assert messages.plan_line(batches, mean) == chinese


@pytest.mark.parametrize(
    ("note", "line"),
    [
        (
            InputRead(1, 1, 3, 0, 0, paired_ends=1, unpaired=2),
            "Input: 1 file, 1 user, 3 behaviors, 1 end joined to its begin (2 without a partner)",
        ),
        (
            InputRead(2, 486, 44847, 1, 12, compared=("uid", "time", "item")),
            (
                "Input: 2 files, 486 users, 44,847 behaviors, 1 row rejected, 12 duplicates dropped"
                " (equal in all columns: uid, time, item)"
            ),
        ),
        (
            InputRead(1, 1, 1, 0, 2, compared=("uid",), not_compared=("insert_id",)),
            "Input: 1 file, 1 user, 1 behavior, 2 duplicates dropped (equal in all columns but insert_id)",
        ),
        (Planned(25, 486, 486, 19.4), "Split into 25 batches, 19 users a batch on average"),
        (
            Planned(5, 96, 486, 19.2),
            "Split into 5 batches, 19 users a batch on average; 96 of 486 users still to do",
        ),
        (Retrying(12, "HTTP 429", 20), "Call 12: HTTP 429; again in 20s"),
        (
            BatchDone(3, 19, 17, {"cut": 1, "new": 1}, 42),
            "Call 3: 17 of 19 users usable in 42s; the reply was cut off before the user's end (1); new (1)",
        ),
        (
            BatchDone(3, 4, 4, {}, 42, misfiled=2, repeated=1, unplaced=3),
            "Call 3: 4 of 4 users usable in 42s; rows: 3 unplaced, 2 under another user's header, 1 repeated",
        ),
        (CallFailed(4, 2, "HTTP 500"), "Call 4 for 2 users failed: HTTP 500"),
        (StateChanged("stopped", "out of money"), "Stopped, state saved: out of money"),
        (StateChanged("running"), "Running"),
    ],
)
def test_each_note_is_one_clear_line(note: Note, line: str) -> None:
    assert messages.noted(note) == line


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_of_a_failure_and_every_state_has_words(language: Language) -> None:
    activate(language)
    for code in get_args(FailureReason):
        words = messages.in_words(code)
        assert words != code
        assert words.isascii() == (language == "en")
    assert all(messages.in_words(state) != state for state in get_args(RunStatus))


def test_what_was_ignored_in_a_reply_and_how_files_were_read_is_told() -> None:
    done = messages.noted(BatchDone(7, 3, 3, {}, 1.0, ignored=2))
    assert "2 blocks ignored" in done
    read = messages.noted(InputRead(1, 2, 3, 0, 0, encodings=("gb18030",)))
    assert "read as gb18030" in read


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.04, "0.0s", "0.0秒"),
        (7.23, "7.2s", "7.2秒"),
        (42, "42s", "42秒"),
        (59.6, "1m 00s", "1分00秒"),
        (754, "12m 34s", "12分34秒"),
        (3599.7, "1h 00m", "1小时00分"),
        (11040, "3h 04m", "3小时04分"),
        (183600, "2d 03h", "2天03小时"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: float, english: str, chinese: str) -> None:
    assert messages.duration(seconds) == english
    activate("zh")
    assert messages.duration(seconds) == chinese


@pytest.mark.parametrize(
    ("mean", "shown"), [(19.44, "19"), (1.2, "1.2"), (4.0, "4"), (9.96, "10"), (1234.5, "1,234")]
)
def test_an_average_is_rounded_to_what_matters(mean: float, shown: str) -> None:
    assert messages.average(mean) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "-"), (0, 9, "0 %"), (1, 3, "33 %"), (9, 9, "100 %"), (999, 1000, "99 %")],
)
def test_a_share_is_100_percent_only_when_nothing_is_left(part: int, whole: int, shown: str) -> None:
    assert messages.share(part, whole) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "0.00 USD"), (0.0123, "0.0123 USD"), (1234.567, "1,234.57 USD")]
)
def test_a_small_amount_of_money_is_not_shown_as_zero(amount: float, shown: str) -> None:
    assert messages.money(amount, "USD") == shown
