import io

import pytest
from hypothesis import given, settings, strategies as st
from rich.console import Console

from eventabs.errors_and_exit_codes import InputError
from eventabs.views.output_streams import one_line, print_command, print_error, print_line, stderr_console


def _terminal(width: int = 40) -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(file=screen, width=width, force_terminal=True, color_system=None), screen


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    line.encode()
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u200f" for c in line)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("x\u202ey", "x\\u202ey"),
        ("\udce4.csv", "\\udce4.csv"),
    ],
)
def test_control_and_bidi_characters_are_shown_not_obeyed(text: str, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize("text", ["[red]user_1[/red]", "[/foo]", "[user_1] :smile:", "\\[x]"])
def test_markup_in_data_is_printed_as_it_is(text: str) -> None:
    console, screen = _terminal()
    print_line(console, text)
    assert screen.getvalue() == text + "\n"


def test_an_error_stays_one_line_when_piped(capfd: pytest.CaptureFixture[str]) -> None:
    print_error(stderr_console(), InputError("no [user] column in " + "very/long/path/" * 20 + "\nx.csv"))
    assert capfd.readouterr().err == (
        "eventabs: no [user] column in " + "very/long/path/" * 20 + "\\nx.csv\n"
    )


def test_a_sentence_folds_between_words_on_a_terminal() -> None:
    console, screen = _terminal(width=20)
    print_line(console, "a sentence longer than the line")
    assert screen.getvalue().splitlines() == ["a sentence longer ", "than the line"]


def test_a_command_to_paste_is_never_folded() -> None:
    console, screen = _terminal(width=20)
    print_command(console, "Go on with: ", "eventabs resume a/long/path/to/a.eventabs")
    assert screen.getvalue() == "Go on with: eventabs resume a/long/path/to/a.eventabs\n"


def test_a_terminal_without_a_width_has_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert stderr_console().width == 80
