import io
import json
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from eventabs.interface_language import activate
from eventabs.providers import Price
from eventabs.runs.run_state import Endpoint, RunState
from eventabs.views.panel_status_show import render_summary, summary_json

ENDPOINT = Endpoint("openai", "m", "h", Price(), "CNY")
WELL = RunState(
    status="completed",
    run_id="r",
    created_at="2026-01-01T00:00:00+00:00",
    endpoint=ENDPOINT,
    last_failure=None,
    failures={},
    users=486,
    done=486,
    failed=0,
    events=9012,
    calls=25,
    retries=0,
    prompt_tokens=714_000,
    completion_tokens=102_000,
    cost=None,
    seconds=754.2,
    out="x.eventabs",
)
BADLY = replace(
    WELL,
    status="interrupted",
    done=304,
    failed=4,
    retries=3,
    retry_causes={"rate_limit": 2, "503": 1},
    cost=0.4,
    out="my runs/[x]",
    input={**WELL.input, "rejected_rows": 3},
    failures={"missing": 1, "cut": 3},
)


def _printed(summary: RunState, *, quiet: bool = False, width: int = 80) -> str:
    pipe = io.StringIO()
    render_summary(Console(file=pipe, width=width), summary, quiet=quiet)
    return pipe.getvalue()


def _squeezed(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_what_failed_is_told_in_words_the_most_frequent_first() -> None:
    lines = _squeezed(_printed(BADLY))
    start = lines.index("Failed users by reason:")
    assert lines[start + 1 : start + 3] == [
        "3 the reply was cut off before the user's end; try a smaller budget.max_rows or another model",
        "1 the reply left the user out; try a smaller budget.max_rows or another model",
    ]


def test_the_next_steps_name_the_files_and_the_command_to_go_on() -> None:
    text = _printed(BADLY)
    assert "Events: my runs/[x]/events.jsonl\n" in text
    assert "Unreadable rows (3), each with its line number: my runs/[x]/rejects.jsonl\n" in text
    assert "Failed users, each with its reason: my runs/[x]/failures.jsonl\n" in text
    assert "Go on with: eventabs resume 'my runs/[x]'\n" in text
    nobody = replace(BADLY, done=0, failed=486, failures={"endpoint": 486})
    for ended in (nobody, replace(nobody, status="completed")):
        assert "Go on with: eventabs resume 'my runs/[x]' --retry-failed\n" in _printed(ended)
    assert "--retry-failed" not in _printed(replace(nobody, failed=400))


def test_tokens_retries_and_cost_are_told_where_a_model_was_called() -> None:
    lines = _squeezed(_printed(BADLY))
    assert "batches 0 of 0 done, 25 calls" in lines
    assert "retries rate limit ×2, HTTP 503 ×1" in lines
    assert lines[lines.index("tokens 714,000 in, 102,000 out") + 1] == "cost 0.4000 CNY"
    assert "cost" not in _printed(WELL)


def test_the_rules_say_plainly_that_no_model_was_called() -> None:
    for quiet in (False, True):
        text = _printed(replace(WELL, endpoint=ENDPOINT._replace(provider="rules")), quiet=quiet)
        assert re.search("^No model was called.*: eventabs init --preset NAME$", text, re.MULTILINE)
        assert not re.search("tokens|calls", text)


def test_a_trial_says_in_its_first_line_how_many_users_were_left_out() -> None:
    text = _printed(replace(WELL, users=5, done=5, limited_of=40, events=7))
    assert text.startswith("Completed: 5 of 5 users done, limited: 5 of 40 users, 7 events")


def test_users_that_were_asked_again_are_told_with_the_reasons() -> None:
    lines = _squeezed(_printed(replace(WELL, asked_again={"empty": 9}), width=120))
    assert "asked again 9 users (the reply was empty or held no events)" in lines
    summary = replace(WELL, asked_again={"unparsable": 1, "empty": 9})
    lines = _squeezed(_printed(summary, width=160))
    told = "the reply was empty or held no events ×9, the reply could not be read ×1"
    assert f"asked again 10 users ({told})" in lines
    assert json.loads(summary_json(summary))["asked_again"] == summary.asked_again
    assert "asked again" not in _printed(WELL)


def test_quiet_leaves_the_end_and_what_failed() -> None:
    text = _printed(BADLY, quiet=True)
    assert "tokens" not in text
    assert text.startswith("Interrupted, state saved: 304 of 486 users done, 4 failed, 178 still to do")
    assert "cut off" in text
    assert "eventabs resume" in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_figures_line_up_in_both_languages(language: str) -> None:
    activate("zh" if language == "zh" else "en")
    lines = _printed(BADLY).splitlines()
    start = lines.index("") + 1
    sent = "714,000" if language == "en" else "输入 714,000"
    figures = (
        "304" if language == "en" else "完成 304",
        "0 of" if language == "en" else "完成 0",
        sent,
        "0.4000 CNY",
        "rate" if language == "en" else "限流",
        "12",
    )
    rows = zip(lines[start : lines.index("", start)], figures, strict=True)
    assert len({cell_len(line[: line.index(figure)]) for line, figure in rows}) == 1


ROWS = replace(
    WELL, journeys=19, answered=1_058, placed=846, minor=212, misfiled=2, repeated=1, unsure=5, outside=3, missed=4, unlinked=1,
    user_days=4_506,
)  # fmt: skip


def test_what_became_of_the_rows_is_one_line_and_what_is_remarkable_about_the_events_another() -> None:
    lines = _squeezed(_printed(ROWS, width=200))
    assert lines[0] == "Completed: 486 of 486 users done, 9,012 events, 19 journeys"
    assert [line for line in lines if line.startswith(("rows ", "events "))] == [
        "rows 846 in 9,012 events (19 journeys), 212 minor (20 %), 0 unplaced, 2 under another user's header, 1 repeated",
        "events 2.00 a user-day, 5 of which the model was not sure, 3 with types outside the vocabulary, 4 missed events added by rule, journeys of 1 large user not linked",
    ]
    assert "Journeys: x.eventabs/journeys.jsonl" in lines
    assert json.loads(summary_json(ROWS))["journeys"] == 19


def test_what_there_is_none_of_is_not_told_but_for_unplaced_rows() -> None:
    (line,) = [
        line
        for line in _squeezed(_printed(replace(WELL, answered=9, placed=7, unasked=2), width=200))
        if line.startswith("rows")
    ]
    assert line == "rows 7 in 9,012 events (0 journeys), 0 unplaced, 2 not asked for"


def test_reasons_say_what_helps() -> None:
    text = _printed(replace(BADLY, failures={"unplaced": 2, "renumbered": 1, "endpoint": 1}), width=200)
    assert "2 the reply left out too many of the user's rows; try a smaller budget.max_rows" in " ".join(
        text.split()
    )
    assert 'try llm.constrain, prompt.answer = "schema" or another model' in text
    assert "gave no readable answer\n" in text


@pytest.mark.parametrize("quiet", [True, False])
def test_a_run_that_stopped_shows_how_an_answer_began_and_where_the_others_are(*, quiet: bool) -> None:
    text = _printed(replace(BADLY, status="stopped", bad_answer="Sure!\n\x1b[31m[b]"), quiet=quiet, width=200)
    assert "Nothing could be used of an answer that begins: Sure!\\n\\x1b[31m[b]\n" in text
    assert "All bad answers, as they came: eventabs report 'my runs/[x]'\n" in text


def test_events_that_an_extension_left_standing_are_none_of_the_days_of_users_that_are_done() -> None:
    state = replace(WELL, events=10, standing_events=5, user_days=5)
    assert json.loads(summary_json(state))["event_counts"]["events_per_user_day"] == 1.0


def test_json_has_what_answers_held_by_users_in_the_batch_and_place() -> None:
    cell = {"asked": 4, "usable": 3, "behaviors": 30, "events": 9, "journeys": 2, "placed": 24, "minor": 5, "unplaced": 1,
        "unasked": 0, "misfiled": 1, "repeated": 2, "unsure": 1, "outside": 3, "missed": 4}  # fmt: skip
    rows = {"by_batch_users": [{"name": "4-7", **cell}], "by_position": [{"name": "1", **cell}]}
    assert json.loads(summary_json(replace(WELL, answers=rows)))["answers"] == rows
