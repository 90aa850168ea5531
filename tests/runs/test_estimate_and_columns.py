import io
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventabs.config.settings import Settings, overlay
from eventabs.errors_and_exit_codes import ConfigError, InputError, UsageError
from eventabs.prompts.instructions_and_requests import CHAT_FRAMING_TOKENS
from eventabs.prompts.tokens import TokenCounter
from eventabs.prompts.user_costs import long_pieces
from eventabs.runs import estimate_and_columns
from eventabs.runs.estimate_and_columns import (
    Estimate,
    _case_batches,
    _repriced,
    describe_input,
    estimate_run,
    first_request,
)
from eventabs.shared_records import Batch, Part, PartSize, PlannedPart
from eventabs.store.ledger import unpack_json
from input_files import opened
from openai_server import OpenAIServer
from runs_jobs import RULES, Place, finish
from runs_kit import LIMITS


@pytest.fixture
def place(own_folder: Path) -> Place:
    return Place(own_folder, users=23)


def with_settings(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate(overlay(RULES, sections))


def estimated(place: Place, **sections: dict[str, Any]) -> Estimate:
    return estimate_run(with_settings(**sections), [str(place.export)], print)


def test_the_long_lines_are_counted_exactly(place: Place) -> None:
    with opened(place.folder, place.export) as export:
        texts = ["".join(long_pieces(log, "zh")) for log in export.user_logs()]
    assert texts[0].startswith("2026-01-01 09:15:00 在")
    counter = TokenCounter("cl100k_base")
    assert estimated(place).tokens_long == sum(counter.count(text) for text in texts)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        pytest.param({"budget": {"max_input_tokens": 2_000}}, marks=pytest.mark.slow),
        {"budget": {"max_output_tokens": 100}},  # every user has to be cut
        pytest.param({"budget": {"max_rows": 40}}, marks=pytest.mark.slow),
        pytest.param({"prompt": {"answer": "schema", "detail": "fine"}}, marks=pytest.mark.slow),
        {"compaction": {"level": "dense"}, "budget": {"max_users": 4}, "prompt": {"detail": "fine"}},
        {"budget": {"max_users": 4}, "run": {"limit": 7}},
    ],
)
def test_a_run_sends_what_was_estimated(place: Place, sections: dict[str, dict[str, Any]]) -> None:
    written = overlay({"llm": {"provider": "openai", "model": "m"}, "run": {"mode": "files"}}, sections)
    estimate = estimated(place, **written)
    with place.begin(written) as job:
        summary = finish(job)
        sent = job.ledger.rows("SELECT sum(input_tokens), count(*) FROM calls")
        parts = job.ledger.rows("SELECT sum(input_tokens), sum(output_tokens) FROM parts")
    assert summary.users == estimate.users
    assert estimate.described.read.users == 23
    assert summary.limited_of == (23 if estimate.users < 23 else 0)
    assert sent == [(estimate.prompt_tokens, estimate.batches)]
    assert parts[0][1] == estimate.expected_output_tokens
    assert estimate.tokens_compact > parts[0][0], "row numbers, and the legend of each call"


def test_the_time_is_that_of_the_answers_shared_by_the_workers(place: Place) -> None:
    one = estimated(place, budget={"max_users": 1}, run={"concurrency": 1}, llm={"tokens_per_second": 10.0})
    assert one.seconds == pytest.approx(one.expected_output_tokens / 10)
    many = estimated(
        place, budget={"max_users": 1}, run={"concurrency": 100}, llm={"tokens_per_second": 10.0}
    )
    assert many.seconds == pytest.approx(one.seconds / 23), "all answers are equally long here"


def test_the_cost_is_that_of_prompts_and_answers_and_unknown_without_prices(place: Place) -> None:
    assert estimated(place).cost is None
    estimate = estimated(place, llm={"price": {"input": 2.0, "output": 8.0, "currency": "CNY"}})
    expected = (2 * estimate.prompt_tokens + 8 * estimate.expected_output_tokens) / 10**6
    assert estimate.cost == pytest.approx(expected)
    assert estimate.currency == "CNY"


def test_the_cost_is_that_of_the_tier_and_beside_it_the_one_with_cached_instructions(place: Place) -> None:
    price = {"input": 2.0, "cached_input": 0.2, "output": 8.0, "flex": 0.5}
    budget = {"max_users": 4}
    ordinary = estimated(place, llm={"price": price}, budget=budget)
    flex = estimated(place, llm={"price": price, "tier": "flex"}, budget=budget)
    assert ordinary.cost is not None
    assert flex.cost == pytest.approx(ordinary.cost / 2)
    assert ordinary.unpacked.cost is not None
    assert flex.unpacked.cost == pytest.approx(ordinary.unpacked.cost / 2)
    saved = 1.8 * ordinary.prefix_tokens * (ordinary.batches - 1) / 10**6
    assert ordinary.batches > 1
    assert ordinary.cost_cached == pytest.approx(ordinary.cost - saved)
    unknown = estimated(place, llm={"price": price | {"cached_input": None}}, budget=budget)
    assert (unknown.cost, unknown.cost_cached) == (ordinary.cost, None)


def test_a_run_by_the_batch_service_costs_what_batches_do(place: Place) -> None:
    price = {"input": 1.0, "output": 2.0, "batch": 0.25}
    live, batch = (estimated(place, llm={"price": price}, run={"mode": mode}) for mode in ("live", "batch"))
    assert live.cost is not None
    assert batch.cost == pytest.approx(live.cost / 4)
    assert (live.tier, batch.tier) == ("standard", "batch")


@pytest.mark.parametrize(("language", "is_cached"), [("en", False), ("zh", True)])
def test_instructions_too_short_for_the_cache_of_a_vendor_are_counted_as_not_cached(
    place: Place, language: str, *, is_cached: bool
) -> None:
    price = {"input": 2.0, "cached_input": 0.2, "output": 8.0}
    llm = {"preset": "openai", "model": "gpt-5.4-mini", "price": price}
    estimate = estimated(place, llm=llm, prompt={"language": language}, budget={"max_users": 4})
    assert (estimate.prefix_tokens >= 1_024) == is_cached == (estimate.cost_cached is not None)


def test_prompts_above_the_length_at_which_a_vendor_takes_more_are_counted() -> None:
    settings = with_settings(llm={"preset": "openai", "model": "gpt-5.4"})
    sizes, limits = (272_000, 272_001, 300_000), LIMITS._replace(instructions_tokens=1_000)
    batches = [Batch((PlannedPart(Part("u", 0, 1), PartSize(size - 1_000, 10, 0)),)) for size in sizes]
    warning = _repriced(settings, batches, limits)
    assert warning is not None
    assert warning.code == "repriced"
    assert warning.message.startswith("2 prompts have more than 272,000 tokens")
    assert "budget.max_input_tokens = 272000" in warning.message
    assert _repriced(settings, batches[:1], limits) is None
    assert _repriced(with_settings(llm={"model": "gpt-5.4"}), batches, limits) is None


def test_a_larger_output_limit_is_named_with_the_calls_that_it_would_take(place: Place) -> None:
    estimate = estimated(place, budget={"max_output_tokens": 600})
    assert estimate.larger_output is not None
    assert estimate.larger_output["batches"] < estimate.batches
    again = estimated(place, budget={"max_output_tokens": estimate.larger_output["limit"]})
    assert again.batches == estimate.larger_output["batches"]


def test_the_practice_that_this_tool_replaces_is_estimated_beside(place: Place) -> None:
    # 12 behaviors a user: 700 guessed tokens, so eleven users in 8,000
    assert estimated(place).case_batches == {8_000: 3, 40_000: 1}


def test_the_rule_of_that_practice_closes_a_batch_before_it_exceeds_the_budget() -> None:
    assert _case_batches([], 8_000) == 0
    assert _case_batches([78, 78], 8_000) == 1
    assert _case_batches([78, 79], 8_000) == 2
    assert _case_batches([78, 78, 1, 2], 8_000) == 2
    assert _case_batches([1_000, 1], 8_000) == 2


@pytest.mark.parametrize(
    ("provider", "budget"),
    [("rules", {"max_output_tokens": 300}), ("openai", {}), ("openai", {"max_users": 3})],
)
def test_the_first_request_is_shown_exactly_as_a_run_sends_it(
    place: Place, openai_server: OpenAIServer, provider: str, budget: dict[str, int]
) -> None:
    flags = {
        "llm": {"provider": provider, "model": "m", "base_url": openai_server.base_url},
        "run": {"concurrency": 1},
        "budget": budget,
    }
    request = first_request(Settings.model_validate(flags), [str(place.export)], print)
    with place.begin(flags) as job:
        finish(job)
        ((messages, tokens),) = job.ledger.rows("SELECT messages, input_tokens FROM calls WHERE id = 1")
    assert unpack_json(messages) == list(request.messages)
    assert tokens == (request.input_tokens if provider == "openai" else CHAT_FRAMING_TOKENS)


def test_the_first_batch_for_a_model_leaves_room_for_longer_answers(place: Place) -> None:
    budget = {"max_output_tokens": 800}
    sure, probing = (
        first_request(
            Settings.model_validate(
                {"llm": {"provider": provider, "model": "m"}, "budget": budget, "run": {"concurrency": 1}}
            ),
            [str(place.export)],
            print,
        )
        for provider in ("rules", "openai")
    )
    assert len(probing.users) < len(sure.users)


def test_standard_input_can_be_estimated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(place.export.read_bytes())))
    found, of_file = estimate_run(with_settings(), ["-"], print), estimated(place)
    assert replace(found, described=of_file.described) == of_file
    assert found.described.read == of_file.described.read


def test_an_input_without_a_user_is_refused(place: Place) -> None:
    place.export.write_text('{"timestamp": "x", "user_id": "", "behavior_text": "y"}\n')
    for look in (estimate_run, first_request):
        with pytest.raises(InputError):
            look(with_settings(), [str(place.export)], print)


def test_an_input_without_a_readable_behavior_has_no_first_request(place: Place) -> None:
    place.export.write_text('{"timestamp": "never", "user_id": "u", "behavior_text": "y"}\n')
    allowed: dict[str, Any] = {"input": {"max_rejects": 1}}
    assert estimated(place, **allowed).batches == 0
    with pytest.raises(UsageError, match="no behavior"):
        first_request(with_settings(**allowed), [str(place.export)], print)


def test_what_dense_would_take_stands_beside_unless_it_is_in_force(place: Place) -> None:
    dense = estimated(place, compaction={"level": "dense"})
    estimate = estimated(place)
    assert estimate.dense == {"batches": dense.batches, "prompt_total": dense.prompt_tokens}
    assert (dense.tokens_compact < estimate.tokens_compact, dense.dense) == (True, None)


@pytest.mark.parametrize("bound", ["_SAMPLED_USERS", "_SAMPLED_ROWS"])
def test_of_many_users_or_rows_a_sample_tells_of_long_lines_and_of_dense(
    place: Place, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    exact = estimated(place)
    most = {"_SAMPLED_USERS": 12, "_SAMPLED_ROWS": math.ceil(12 * exact.behaviors / exact.users)}
    monkeypatch.setattr(estimate_and_columns, bound, most[bound])
    monkeypatch.setattr(estimate_and_columns, "_SAMPLED_PLACES", 5)
    sampled = estimated(place)
    assert (exact.sampled, sampled.sampled) == (None, 15)
    assert sampled.tokens_long == pytest.approx(exact.tokens_long, rel=0.02)
    assert exact.dense is not None
    assert sampled.dense is not None
    assert sampled.dense["prompt_total"] == pytest.approx(exact.dense["prompt_total"], rel=0.5)
    assert (sampled.prompt_tokens, sampled.batches) == (exact.prompt_tokens, exact.batches)


def test_a_template_of_ones_own_that_does_not_explain_dense_has_no_such_figure(place: Place) -> None:
    own = place.folder / "own.txt"
    own.write_text("$types $categories $journeys $detail $format")
    assert estimated(place, prompt={"template": str(own)}).dense is None
    with pytest.raises(ConfigError, match=r"\$input"):
        estimated(place, prompt={"template": str(own)}, compaction={"level": "dense"})


def test_a_text_that_is_not_needed_may_be_gone(place: Place) -> None:
    own = with_settings(prompt={"template": str(place.folder / "gone.txt")})
    assert describe_input(own, [str(place.export)]).read.users == 23
    llm, gone = {"provider": "openai", "model": "m"}, {"file": str(place.folder / "gone.toml")}
    assert estimated(place, llm=llm, rules=gone).users == 23


@pytest.mark.parametrize("level", ["line", "dense"])
def test_the_same_users_without_packing_are_computed_beside_the_plan(place: Place, level: str) -> None:
    alike: dict[str, dict[str, Any]] = {
        "llm": {"price": {"input": 2.0, "output": 8.0}},
        "run": {"concurrency": 1},
        "compaction": {"level": level},
    }
    packed = estimated(place, **alike)
    single = estimated(place, **alike, budget={"max_users": 1})
    assert packed.batches == 1
    assert packed.unpacked.batches == single.batches == 23
    instructions = packed.prompt_tokens - packed.tokens_compact  # once, and without the legend
    assert packed.unpacked.prompt_tokens == packed.tokens_long + 23 * instructions
    assert packed.unpacked.expected_output_tokens == single.expected_output_tokens
    assert packed.unpacked.seconds == pytest.approx(single.seconds)
    expected = 2 * packed.unpacked.prompt_tokens + 8 * packed.unpacked.expected_output_tokens
    assert packed.unpacked.cost == pytest.approx(expected / 10**6)


def test_columns_say_why_a_run_would_refuse_rows_that_cannot_be_read(place: Place) -> None:
    rows = "".join(f"u{number},yesterday,tea\n" for number in range(3))
    (place.folder / "rows.csv").write_text(f"user,time,item\n{rows}")
    described = describe_input(with_settings(), [str(place.folder / "rows.csv")])
    (told,) = [each.message for each in described.warnings if each.code == "refused"]
    assert told.startswith("3 of 3 rows cannot be read (bad_time 3, first in rows.csv line 2)")
    assert told.endswith("name others in [input.columns], or correct the rows"), "no share of them would do"
    assert [
        each.code
        for each in describe_input(with_settings(), [str(place.export)]).warnings
        if each.code == "refused"
    ] == []
