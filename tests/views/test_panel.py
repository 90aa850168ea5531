import io
import re
import time
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from clock import Clock
from eventabs.interface_language import activate
from eventabs.runs.observer import (
    AwaitingEndpoint,
    BatchDone,
    CallFailed,
    CoolingDown,
    InputRead,
    Note,
    Planned,
    Progress,
    Retrying,
    Started,
    StateChanged,
)
from eventabs.views.panel_status_show import REFRESHES_PER_SECOND, RichObserver

START = Started("", "openai", "[m]", "h", "x.eventabs", resumed=False)
COUNTS = Progress(
    users=486,
    done=304,
    failed=4,
    batches_total=25,
    batches_done=16,
    prompt_tokens=672_000,
    completion_tokens=96_000,
    in_flight=3,
    calls=19,
    retries=3,
    cost=0.3744,
    eta_seconds=140,
    in_flight_limit=4,
    retry_causes={"rate_limit": 2, "503": 1},
    tokens_per_second=312.4,
    cost_projected=0.5922,
)
NOTES: list[Note] = [
    InputRead(1, 486, 44847, 0, 0),
    Planned(25, 486, 486, 19.44),
    Retrying(12, "HTTP 429 [slow]", 20),
    CoolingDown(18.0),
    BatchDone(13, 19, 17, {"missing": 2}, 42),
    CallFailed(14, 19, "HTTP 500"),
    StateChanged("running"),
    StateChanged("interrupted"),
    StateChanged("stopped", "no quota"),
]
ROWS = 8  # of the panel with COUNTS
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _screen(width: int = 80, clock: Clock = Clock()) -> tuple[RichObserver, Terminal]:
    terminal = Terminal()
    console = Console(file=terminal, width=width, force_terminal=True, color_system=None)
    return RichObserver(console, verbose=False, currency="USD", clock=clock), terminal


def _lines(terminal: Terminal) -> list[str]:
    return [line.rstrip() for line in _ESCAPES.sub("", terminal.getvalue()).replace("\r", "\n").splitlines()]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [30, 59, 60, 200])
def test_no_line_is_wider_than_the_terminal_or_than_120_columns(width: int, language: str) -> None:
    activate("zh" if language == "zh" else "en")
    observer, terminal = _screen(width)
    with observer:
        observer.noted(START)
        observer.noted(COUNTS)
        for note in NOTES:
            observer.noted(note)
    frames = [line for line in _lines(terminal) if "│" in line or "╭" in line or "╰" in line]
    assert max(cell_len(line) for line in _lines(terminal)) <= max(width, 120)
    assert {cell_len(line) for line in frames} == {min(width, 120)}


CAUSE = "HTTP 503: " + "the upstream server is overloaded, " * 4 + "trace 8f3a"


@pytest.mark.parametrize("note", [CallFailed(7, 3, CAUSE), AwaitingEndpoint(CAUSE, 2.0)])
def test_the_cause_of_the_last_failure_is_not_cut_away(note: Note) -> None:
    observer, terminal = _screen(80)
    with observer:
        observer.noted(COUNTS)
        observer.noted(note)
        observer.refresh()
    assert "trace 8f3a" in terminal.getvalue()


def test_the_panel_shows_how_far_the_run_is() -> None:
    observer, terminal = _screen()
    with observer:
        observer.noted(START)
        observer.noted(COUNTS)
        observer.noted(NOTES[2])
    text = " ".join("".join(c if c not in "│━╺" else " " for c in terminal.getvalue()).split())
    for fact in (
        "[m] @ h",
        "63 % 2m 20s left",
        "users 304 of 486 done 4 failed",
        "batches 16 of 25 done 3 of 4 in flight 19 calls",
        "tokens 672,000 in 96,000 out 312 tokens/s",
        "cost 0.3744 USD of about 0.5922 USD",
        "retries rate limit ×2, HTTP 503 ×1",
        "last Call 12: HTTP 429 [slow]; again in 20s",
    ):
        assert fact in text


def test_before_the_first_count_the_panel_says_what_is_being_done() -> None:
    observer, terminal = _screen()
    with observer:
        observer.noted(Started("", "rules", "", "", "x", resumed=False))
        observer.noted(NOTES[0])
    assert "reading the input" in terminal.getvalue()
    assert "counting and packing" in terminal.getvalue()
    assert " of 0" not in terminal.getvalue()


def test_until_a_reply_came_no_time_is_promised() -> None:
    observer, terminal = _screen()
    with observer:
        observer.noted(NOTES[1])
        observer.noted(replace(COUNTS, batches_done=0))
    assert "waiting for the first reply" in terminal.getvalue()
    assert "left" not in terminal.getvalue()


def test_only_notes_that_deserve_a_line_are_printed_above_the_panel() -> None:
    observer, terminal = _screen()
    for note in NOTES:  # outside the live display only the lines above it are printed
        observer.noted(note)
    assert [line.split(" ")[0] for line in _lines(terminal)] == ["Input:", "Split", "Call", "Stopped,"]


def test_nothing_of_the_panel_stays_behind() -> None:
    observer, terminal = _screen()
    with observer:
        observer.noted(COUNTS)
    erased = terminal.getvalue().rsplit("╯", 1)[1]
    assert erased.count("\x1b[2K") == ROWS + 1, "and the row of the cursor"


def _resized(width: int, *notes: Note) -> str:
    """Return what is written from the moment on when a terminal of 80 columns has other ones, to the end of the run."""
    observer, terminal = _screen(80)
    observer.auto_refresh = False
    with observer:
        observer.noted(COUNTS)
        observer.refresh()
        before = len(terminal.getvalue())
        observer.console.width = width
        for note in notes:
            observer.noted(note)
    return terminal.getvalue()[before:]


def _rows_erased(written: str) -> int:
    return written.count("\x1b[1A\x1b[2K")


@pytest.mark.parametrize(("width", "rows"), [(70, 2 * ROWS), (30, 3 * ROWS), (110, ROWS)])
def test_a_panel_that_a_narrower_terminal_folded_is_erased_whole(width: int, rows: int) -> None:
    assert _rows_erased(_resized(width).split("╭")[0]) == rows


def test_a_note_that_comes_before_the_folded_panel_is_drawn_again_erases_it_whole() -> None:
    assert _rows_erased(_resized(70, CallFailed(14, 19, "HTTP 500")).split("Call 14")[0]) == 2 * ROWS


def test_nothing_of_a_folded_panel_stays_behind() -> None:
    frame, erased = _resized(30).split("╭")[1].split("╯")
    assert _rows_erased(erased) == frame.count("\n") + 2, "and the row of the cursor"


def test_thousands_of_updates_draw_only_a_few_frames() -> None:
    observer, terminal = _screen()
    begun = time.monotonic()
    with observer:
        for done in range(20_000):
            observer.noted(replace(COUNTS, done=done % 400))
    seconds = time.monotonic() - begun
    assert terminal.getvalue().count("╭") <= seconds * REFRESHES_PER_SECOND + 3


def test_an_error_inside_leaves_the_terminal_as_it_was() -> None:
    observer, terminal = _screen()
    with pytest.raises(RuntimeError), observer:
        raise RuntimeError
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def _last_frame(terminal: Terminal) -> str:
    return terminal.getvalue().rsplit("╭", 1)[1]


def test_a_cooldown_counts_down_and_goes() -> None:
    clock = Clock()
    observer, terminal = _screen(clock=clock)
    with observer:
        observer.noted(COUNTS)
        observer.noted(CoolingDown(20.0))
        clock.seconds += 5
        observer.refresh()
        assert "cooling down, 15s left" in _last_frame(terminal)
        clock.seconds += 15
        observer.refresh()
        assert "cooling down" not in _last_frame(terminal)
        assert "rate limit ×2" in _last_frame(terminal)


def test_the_remaining_time_runs_down_between_two_counts_and_is_gone_when_it_has_run_out() -> None:
    clock = Clock()
    observer, terminal = _screen(clock=clock)
    with observer:
        observer.noted(COUNTS)
        clock.seconds += 20
        observer.refresh()
        assert "2m 00s left" in _last_frame(terminal)
        clock.seconds += 999
        observer.refresh()
        assert "left" not in _last_frame(terminal)


def test_the_panel_has_a_row_for_cost_and_retries_only_where_there_are_any() -> None:
    observer, terminal = _screen()
    with observer:
        observer.noted(replace(COUNTS, cost=None, cost_projected=None, retries=0, retry_causes={}))
        observer.refresh()
        assert "cost" not in _last_frame(terminal)
        assert "retries" not in _last_frame(terminal)


def test_cached_tokens_and_the_tiers_have_rows_where_there_are_any() -> None:
    flex = {"calls": 16, "prompt_tokens": 600_000, "completion_tokens": 90_000, "cached_tokens": 500_000}
    ordinary = {"calls": 3, "prompt_tokens": 72_000, "completion_tokens": 6_000, "cached_tokens": 4_000}
    observer, terminal = _screen(100)
    with observer:
        observer.noted(START)
        observer.noted(
            replace(
                COUNTS,
                cached_tokens=504_000,
                tiers={"standard": ordinary, "flex": flex},
                tier_costs={"standard": 0.1, "flex": 0.2744},
            )
        )
    rows = [" ".join(line.strip("│ ").split()) for line in _lines(terminal)]
    assert "cached 504,000 in 75 %" in rows
    assert "of that tier standard: 3 calls, 0.1000 USD" in rows
    assert "tier flex: 16 calls, 0.2744 USD" in rows
