import io
import json
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from eventabs.config import Settings
from eventabs.ingest import Description
from eventabs.interface_language import activate
from eventabs.runs.estimate_and_columns import Estimate, Use
from eventabs.runs.intake import InputDescription
from eventabs.runs.observer import InputRead
from eventabs.shared_records import ColumnsFound, InputWarning
from eventabs.views.estimate_columns_check import estimate_json, render_estimate

DESCRIBED = InputDescription(
    Description((ColumnsFound(("a.csv",), {"user": "uid"}, {"user": 5}, 5, ()),), (), (), ""),
    rows=(),
    warnings=(InputWarning("one_action", "all rows are alike"),),
    read=InputRead(1, 486, 44_847, 3, 12, {"bad_time": 3}, compared=("user_id", "timestamp", "item")),
)
ESTIMATE = Estimate(
    described=DESCRIBED,
    users=486,
    behaviors=44_847,
    tokens_long=1_404_441,
    tokens_compact=1_067_000,
    prompt_tokens=1_092_000,
    batches=25,
    lower_bound=24,
    binds="output",
    expected_output_tokens=151_000,
    seconds=840.0,
    cost=0.4321,
    currency="CNY",
    case_batches={8000: 381, 40_000: 62},
    dense={"batches": 21, "prompt_total": 603_900},
    larger_output={"limit": 16_384, "batches": 20},
    settings=Settings(),
    tier="standard",
    unpacked=Use(
        batches=486, prompt_tokens=1_650_000, expected_output_tokens=190_000, seconds=1_060.04, cost=0.7654
    ),
)


def _printed(estimate: Estimate) -> list[str]:
    pipe = io.StringIO()
    render_estimate(Console(file=pipe, width=80), estimate)
    return pipe.getvalue().splitlines()


def _squeezed(estimate: Estimate) -> list[str]:
    return [" ".join(line.split()) for line in _printed(estimate)]


def test_the_practice_of_one_past_job_is_for_programs_only() -> None:
    assert not [line for line in _printed(ESTIMATE) if "381" in line or "case" in line]


def test_without_prices_nothing_is_compared_that_is_not_known() -> None:
    unknown = replace(ESTIMATE, cost=None, unpacked=replace(ESTIMATE.unpacked, cost=None))
    assert not [line for line in _squeezed(unknown) if line.startswith("cost ")]
    assert "time 17m 40s 14m 00s" in _squeezed(unknown)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_table_fits_80_columns_and_lines_up(language: str) -> None:
    activate("zh" if language == "zh" else "en")
    lines = _printed(ESTIMATE)
    for number, line in enumerate(lines):
        assert cell_len(line) <= 80
        if line.startswith("──"):
            assert cell_len(lines[number - 1]) == cell_len(line) == cell_len(lines[number + 1])


def test_without_prices_the_cost_says_where_to_set_them() -> None:
    assert "Cost: unknown; set input and output prices under [llm.price] of the config" in _squeezed(
        replace(ESTIMATE, cost=None)
    )


def test_users_left_out_by_a_limit_are_counted() -> None:
    assert not [line for line in _printed(ESTIMATE) if "--limit" in line]
    (line,) = [line for line in _printed(replace(ESTIMATE, users=5)) if "--limit" in line]
    assert "486" in line
    assert "dense" not in "\n".join(_printed(replace(ESTIMATE, dense=None)))


def test_figures_of_a_sample_say_so() -> None:
    lines = "\n".join(_squeezed(replace(ESTIMATE, sampled=5_000)))
    assert "input tokens; about, scaled up from 5,000 users evenly spread" in lines
    assert "long lines, about 1,404,441" in lines
    assert json.loads(estimate_json(replace(ESTIMATE, sampled=5_000)))["sampled"] == 5_000
    assert "about, " not in "\n".join(_printed(ESTIMATE))


def test_an_empty_input_is_shown_without_a_plan() -> None:
    empty = replace(ESTIMATE, users=0, behaviors=0, tokens_long=0, tokens_compact=0, batches=0, lower_bound=0)
    lines = _squeezed(empty)
    assert "long lines 0 - -" in lines
    assert not any(line.startswith(("Split", "Computed", "Without", "Answers")) for line in lines)


def test_joined_ends_are_told_where_there_are_any() -> None:
    lines = _squeezed(
        replace(
            ESTIMATE, described=DESCRIBED._replace(read=DESCRIBED.read._replace(paired_ends=7, unpaired=2))
        )
    )
    assert lines[lines.index("duplicates dropped 12") + 1 :][:2] == [
        "ends joined to begins 7",
        "without a partner 2",
    ]
    assert not any(line.startswith("without a partner") for line in _squeezed(ESTIMATE))


def test_the_schema_and_rows_that_are_no_behaviors_are_shown_where_there_are_any() -> None:
    mapping = ColumnsFound(("a.csv",), {"user": "uid"}, {"user": 5}, 5, (), "ga4")
    read = DESCRIBED.read._replace(non_behaviors=7)
    known = replace(
        ESTIMATE, described=DESCRIBED._replace(found=DESCRIBED.found._replace(mappings=(mapping,)), read=read)
    )
    lines = _squeezed(known)
    assert lines[0] == "Schema: ga4; columns: user = uid"
    assert lines[lines.index("duplicates dropped 12") + 1] == "no behaviors 7"
    assert not any(line.startswith(("Schema", "no behaviors")) for line in _squeezed(ESTIMATE))
    fields = json.loads(estimate_json(known))
    assert (fields["non_behaviors"], fields["schemas"]) == (7, ["ga4"])


def test_the_tier_and_the_cost_with_cached_instructions_stand_in_the_line_of_the_cost() -> None:
    flex = replace(ESTIMATE, tier="flex", prefix_tokens=1_237, cost_cached=0.4021)
    text = " ".join(_squeezed(flex))
    assert "Cost: about 0.4321 CNY at tier flex; 0.4021 CNY if the endpoint has the 1,237 tokens" in text
    fields = json.loads(estimate_json(flex))
    assert (fields["tier"], fields["prefix_tokens"], fields["cost_cached"]) == ("flex", 1_237, 0.4021)


def test_prompts_that_their_length_makes_dearer_are_a_warning_among_the_others() -> None:
    warned = replace(ESTIMATE, repriced=InputWarning("repriced", "2 prompts are long"))
    assert "Warning: 2 prompts are long" in _squeezed(warned)
    codes = [warning["code"] for warning in json.loads(estimate_json(warned))["warnings"]]
    assert codes == ["one_action", "repriced"]
