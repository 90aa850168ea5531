import pytest

from eventabs.language import activate
from eventabs.views import wording


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
    assert wording.duration(seconds) == english
    activate("zh")
    assert wording.duration(seconds) == chinese


def test_a_running_clock_shows_no_tenths() -> None:
    assert wording.clock(3.7) == "4s"


@pytest.mark.parametrize(
    ("mean", "shown"), [(19.44, "19"), (1.2, "1.2"), (4.0, "4"), (9.96, "10"), (1234.5, "1,234")]
)
def test_an_average_is_rounded_to_what_matters(mean: float, shown: str) -> None:
    assert wording.average(mean) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "-"), (0, 9, "0 %"), (1, 3, "33 %"), (9, 9, "100 %"), (999, 1000, "99 %")],
)
def test_a_share_is_100_percent_only_when_nothing_is_left(part: int, whole: int, shown: str) -> None:
    assert wording.share(part, whole) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "0.00 USD"), (0.0123, "0.0123 USD"), (1234.567, "1,234.57 USD")]
)
def test_a_small_amount_of_money_is_not_shown_as_zero(amount: float, shown: str) -> None:
    assert wording.money(amount, "USD") == shown
