"""The rows of a user in two runs, side by side in the terminal."""

import io
from pathlib import Path

from rich.console import Console

from compared_kit import event, make_run
from eventabs.quality import compare
from eventabs.views import render_comparison
from runs_kit import make_log


def test_of_a_user_with_many_differences_40_rows_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    events = [event("u1", "08:00", "work", [number]) for number in range(43)]
    logs = [make_log("u1", 43)]
    two = [make_run(tmp_path / name, {"u1": found}, logs=logs) for name, found in (("a", events), ("b", []))]
    render_comparison(Console(file=(shown := io.StringIO()), width=100), compare(*two), most=1)
    assert shown.getvalue().count("≠") == 40 + 1, "which says what the mark means"
    assert "餐厅39" in shown.getvalue()
    assert "3 more rows" in shown.getvalue()
