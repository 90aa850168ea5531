"""The rows of a user in two runs, side by side in the terminal."""

import io

from rich.console import Console

from eventabs.quality.evaluation_and_comparison import Side, UserPair
from eventabs.views.evaluation_comparison_calibration import _print_user


def test_of_a_user_with_many_differences_40_rows_are_shown_and_the_others_counted() -> None:
    event = {
        "type": "work", "category": "", "start": "2026-03-02T08:00:00", "end": "2026-03-02T08:00:00", "summary": "",
        "journey": None, "sure": True, "source": "llm",
    }  # fmt: skip
    events = tuple({**event, "behaviors": [number]} for number in range(43))
    rows = tuple(f"row {number}." for number in range(43))
    pair = UserPair(
        "u1", {}, ("2026-03-02",) * 43, rows, Side(events, (), tuple(range(43))), Side((), (), ())
    )
    _print_user(Console(file=(shown := io.StringIO()), width=100), pair)
    assert shown.getvalue().count("row ") == 40
    assert "row 39." in shown.getvalue()
    assert "3 more rows" in shown.getvalue()
