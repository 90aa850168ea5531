"""Findings as lines and as JSON: nothing in them styles or tears the terminal."""

import io
from dataclasses import replace

from rich.console import Console

from eventabs.check_before_run import CheckReport, Finding
from eventabs.shared_records import Usage
from eventabs.views.estimate_columns_check import render_verdict, showing_findings

FINE = Finding("settings", "config", "ok", "eventabs.toml")
WARNED = Finding("abilities", "thinking", "warning", "the model thinks", "switch it off")
FAULTY = Finding("endpoint", "request", "fault", "[bold]HTTP 401\u202e\n", "set [KEY]")
OTHER = Finding("run", "context", "fault", "too small", "set more")


def report(*findings: Finding, cost: float | None = None, spent: Usage = Usage()) -> CheckReport:
    known = CheckReport("c.toml", "openai", "USD", model="m", findings=[*findings], models={"m": 4096})
    return replace(known, spent=spent, cost=cost, seconds=1.25)


def shown(*findings: Finding, terminal: bool, quiet: bool = False, width: int = 80) -> str:
    text = io.StringIO()
    console = Console(
        file=text, force_terminal=terminal, width=width, markup=False, highlight=False, color_system=None
    )
    with showing_findings(console, quiet=quiet) as on_finding:
        for finding in findings:
            on_finding(finding)
    return text.getvalue()


def test_each_section_has_its_title_once_and_each_finding_its_step() -> None:
    lines = shown(FINE, WARNED, terminal=False).splitlines()
    assert lines == [
        "Settings",
        "  ✓ config: eventabs.toml",
        "What it can do",
        "  ! thinking: the model thinks",
        "    → switch it off",
    ]


def test_a_terminal_gets_columns_that_stay_within_its_width() -> None:
    long = Finding("run", "input", "fault", "x" * 200, "y" * 200)
    for width in (80, 120):
        lines = shown(long, FINE, terminal=True, width=width).splitlines()
        assert max(len(line) for line in lines if "\x1b" not in line) <= width
        assert sum(line.count("x") for line in lines) == 200


def test_foreign_text_is_shown_to_the_letter_and_cannot_turn_the_line() -> None:
    for terminal in (False, True):
        text = shown(FAULTY, terminal=terminal)
        assert "[bold]HTTP 401" in text
        assert "\u202e" not in text
        assert "set [KEY]" in text


def test_quiet_leaves_out_what_is_fine() -> None:
    assert "config" not in shown(FINE, WARNED, terminal=False, quiet=True)


def test_the_settings_have_to_be_corrected_before_the_endpoint_counts() -> None:
    assert report(FINE).exit_code == 0
    assert report(FINE, WARNED).exit_code == 0
    assert report(FAULTY).exit_code == 1
    assert report(FAULTY, OTHER).exit_code == 2


def test_the_verdict_counts_warnings_and_says_what_the_check_cost() -> None:
    for findings, said in (
        ((FINE,), "All checks passed"),
        ((WARNED,), "Checks passed with 1 warning"),
        ((FAULTY,), "endpoint"),
    ):
        text = io.StringIO()
        spent = report(*findings, cost=0.25, spent=Usage(1200, 30))
        render_verdict(Console(file=text, width=200), spent)
        assert said in text.getvalue()
        assert "1,200 tokens in and 30 out in 1.2s" in text.getvalue()
        assert "cost 0.2500 USD" in text.getvalue()
