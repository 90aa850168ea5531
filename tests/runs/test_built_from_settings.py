from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from eventabs.config.settings import Settings, load_settings
from eventabs.runs.built_from_settings import RunContext, must_rules_of, start_command, unmet_rules
from eventabs.shared_records import Behavior, FailureReason
from eventabs.store.counts_users_jobs_extensions import settled_user
from eventabs.store.ledger import Ledger, PartChange
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from runs_kit import Watcher, bad, make_log, new_ledger, whole

ANNA = make_log("anna")


def job_on(path: Path, ledger: Ledger, settings: Settings | None = None, **facts: Any) -> RunContext:  # noqa: ANN401
    return RunContext(RunDirectory(path), ledger, settings or Settings(), {}, Watcher(), facts, 0)


def test_what_a_run_remembers_is_there_in_the_next_process(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path)
    job = job_on(tmp_path, ledger)
    job.remember(prompt_language="zh", input={"users": 3})
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.sqlite")
    assert again.meta() == job.facts == {"prompt_language": "zh", "input": {"users": 3}}
    again.close()


def test_the_counts_are_the_ledgers_with_the_prices_of_today(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path, [ANNA])
    settings = Settings.model_validate({"llm": {"price": {"input": 0.0, "output": 0.0}}})
    progress = job_on(tmp_path, ledger, settings).tracker().progress(waiting=0, workers=1)
    assert (progress.users, progress.done, progress.cost) == (1, 0, 0.0)
    assert job_on(tmp_path, ledger).tracker().progress(waiting=0, workers=1).cost is None
    ledger.close()


def test_without_a_rule_about_actions_those_of_an_export_stay_in_its_database() -> None:
    settings = Settings.model_validate({"events": {"must": [{"item": "phone", "category": "conversion"}]}})
    actions = iter(["view"])  # as many as rows, maybe
    assert (list(unmet_rules(settings, "en", actions)), next(actions)) == ([], "view")


def test_the_command_of_a_server_names_the_model_and_gives_calls_room() -> None:
    vllm = Settings.model_validate({"llm": {"preset": "vllm", "model": "my model"}})
    command = "vllm serve {} --max-model-len 49152 --enable-prompt-tokens-details"
    assert start_command(vllm) == command.format("'my model'")
    assert start_command(Settings.model_validate({"llm": {"preset": "vllm"}})) == command.format("MODEL")
    assert start_command(Settings()) == ""


@pytest.mark.parametrize(("reason", "peers"), [("endpoint", 0), ("refused", 1)])
def test_failed_users_can_be_asked_again_with_nothing_held_against_them(
    tmp_path: Path, reason: FailureReason, peers: int
) -> None:
    ledger = new_ledger(tmp_path, [ANNA, make_log("nobody", 0)])
    with ledger.transaction():
        ledger.settle(
            1,
            [bad(whole(ANNA))],
            [PartChange(whole(ANNA), "failed", attempts=3, broken_calls=2, reason=reason)],
        )
    with ledger.transaction():
        ledger.ask_failed_again()
    (planned,) = ledger.pending_parts()
    assert (planned.part, planned.attempts, planned.broken_calls, planned.max_peers) == (
        whole(ANNA),
        0,
        0,
        peers,
    )
    assert settled_user(ledger, "nobody").state == "failed", "there is nothing to ask about"
    ledger.close()


def test_another_type_is_offered_in_a_closed_vocabulary_only() -> None:
    types = [{"name": "看车"}, {"name": "用餐"}]
    for is_open, offered in ((False, ["看车", "用餐", "其他"]), (True, ["看车", "用餐"])):
        named = {"vocabulary": {"open": is_open, "types": types, "other": "其他"}}
        vocabulary = load_settings(None, named, isolated=True).vocabulary.in_force("zh")
        assert [kind.name for kind in vocabulary.types] == offered
    named = {"vocabulary": {"open": False, "other": "x"}}
    shipped = load_settings(None, named, isolated=True).vocabulary.in_force("en")
    assert shipped.types[-1].name == "x"
    assert len(shipped.types) > 20


@pytest.mark.parametrize(
    ("rule", "added"),
    [
        ({"type": "到店"}, ("到店", "conversion")),
        ({"type": "试驾"}, ("试驾", "engagement")),
        ({"type": "用餐", "category": "conversion"}, ("用餐", "conversion")),
        ({"category": "conversion"}, ("到店", "conversion")),
        ({"category": "conversion", "added_type": "购买"}, ("购买", "conversion")),
        ({"category": "risk"}, ("risk", "risk")),
    ],
)
def test_an_added_event_is_named_by_its_rule_and_the_vocabulary(
    rule: dict[str, str], added: tuple[str, str]
) -> None:
    categories = [{"name": "conversion", "mark": "!"}, {"name": "risk", "mark": "~"}, {"name": "engagement"}]
    types = [{"name": "用餐"}, {"name": "到店", "category": "conversion"}]
    named = {
        "vocabulary": {"categories": categories, "types": types},
        "events": {"must": [{"action": "下单", "min_duration": 60} | rule]},
    }
    rules = must_rules_of(load_settings(None, named, isolated=True), "zh")
    bought = Behavior(datetime(2026, 1, 1, 10), "purchase", "灯", "", 60)  # noqa: DTZ001  exports hold wall times
    assert [rule.added for rule in rules.required([bought]).values()] == [added]


@pytest.mark.parametrize(
    ("vocabulary", "added"),
    [
        ({}, [("加购", "conversion"), ("购买", "conversion")]),
        ({"types": [{"name": "用餐"}]}, [("加购", "conversion"), ("购买", "conversion")]),
        ({"types": [{"name": "用餐"}], "open": False}, [("conversion", "conversion")] * 2),
        (
            {
                "types": [{"name": "用餐"}, {"name": "成交", "category": "conversion"}, {"name": "加购"}],
                "open": False,
            },
            [("加购", "conversion"), ("成交", "conversion")],
        ),
        (
            {"types": [{"name": "购买", "category": "engagement"}]},
            [("加购", "conversion"), ("购买", "engagement")],
        ),
        ({"categories": [{"name": "b"}, {"name": "risk", "mark": "*"}]}, []),
    ],
)
def test_conversions_are_what_the_export_calls_so_never_what_a_sentence_says(
    vocabulary: dict[str, Any], added: list[tuple[str, str]]
) -> None:
    rules = must_rules_of(load_settings(None, {"vocabulary": vocabulary}, isolated=True), "zh")
    at = datetime(2026, 1, 1, 10)  # noqa: DTZ001  exports hold wall times
    log = [Behavior(at, action, "灯") for action in ("visit", "cart", "purchase", "")]
    log += [Behavior(at, "purchase", "灯", text="买了灯"), Behavior(at, "", "购买了灯")]
    assert [(row, rule.added) for row, rule in rules.required(log).items()] == [
        *zip((1, 2), added, strict=False)
    ]
