"""What `eventabs check` finds at good, broken and hostile endpoints, and what it says to do."""

import asyncio
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from check_kit import Model
from eventabs.check_before_run import CheckReport, Finding, check as check_all
from eventabs.config.settings import load_settings
from house import write_users
from openai_server import (
    Behavior,
    Exchange,
    OpenAIServer,
    answer,
    completion,
    listing,
    raw,
    script,
    stall,
    status,
)

KEY = "sk-tell-nobody-1234567890"


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("EVENTABS_")
    ]:
        monkeypatch.delenv(name)


class Checked:
    """What one check found."""

    def __init__(self, report: CheckReport) -> None:
        self.code = report.exit_code
        self.report = report
        self.findings = {finding.name: finding for finding in report.findings}

    def state(self, name: str) -> str:
        return self.findings[name].state

    def message(self, name: str) -> str:
        return self.findings[name].message

    def next_step(self, name: str) -> str:
        return self.findings[name].next_step


def check(folder: Path, server: OpenAIServer | None = None, config: str = "", **environment: str) -> Checked:
    """Check with a config; whatever is asked and answered, the key is in none of the findings."""
    address = f'base_url = "{server.base_url}"\n' if server else ""
    model = 'model = "m"\n' if server and "model =" not in config else ""
    path = folder / "eventabs.toml"
    path.write_text(f"[llm]\n{address}{model}{config}", encoding="utf-8")
    found: list[Finding] = []
    environment = {"OPENAI_API_KEY": KEY} | environment
    report = asyncio.run(check_all(load_settings(path, {}), str(path), environment, found.append))
    assert found == report.findings
    assert KEY not in str(asdict(report))
    return Checked(report)


# sound


def test_a_good_endpoint_is_sound(tmp_path: Path, openai_server: OpenAIServer) -> None:
    model = Model()
    openai_server.behavior = model()
    openai_server.models = listing({"id": "m", "max_model_len": 65536}, "other")
    config = 'temperature = 0.0\ngrammar_field = "grammar"\n[llm.price]\ninput = 1.0\noutput = 2.0\n'
    checked = check(tmp_path, openai_server, config)
    assert checked.code == 0
    assert {finding.state for finding in checked.report.findings} <= {"ok", "skipped"}
    assert checked.report.abilities == {
        "streaming": "yes",
        "usage": "yes",
        "temperature": "yes",
        "thinking": "no",
        "output_limit": "max_tokens",
        "json_schema": "yes",
        "grammar": "yes",
        "rows": "1000",
    }
    assert checked.report.context_tokens == 65536
    assert list(checked.report.models or ()) == ["m", "other"]
    assert checked.report.key_is_set is True
    assert 0 < (checked.report.cost or 0) < 0.05
    most = [int(str(body["max_tokens"])) for body in model.asked]
    assert (max(most[:4]), most[4:]) == (512, [8_192] * 3), "of made-up users as much as in a run"


@pytest.mark.parametrize(
    ("model", "ability", "value"),
    [
        (Model(streams=False), "streaming", "no"),
        (Model(usage=False), "usage", "no"),
        (Model(refuses=("temperature",)), "temperature", "no"),
        (Model(reasoning="Let me see."), "thinking", "yes"),
        (Model(says="<think>Well.</think>ready"), "thinking", "yes"),
        (Model(schema="refused"), "json_schema", "no"),
        (Model(grammar=""), "grammar", "ignored"),
        (Model(grammar="", refuses=("ebnf",)), "grammar", "no"),
    ],
)
def test_each_inability_is_found(
    tmp_path: Path, openai_server: OpenAIServer, model: Model, ability: str, value: str
) -> None:
    openai_server.behavior = model()
    checked = check(tmp_path, openai_server, "temperature = 0.5\n")
    assert checked.report.abilities[ability] == value
    assert checked.code == 0


@pytest.mark.parametrize(
    ("keeps", "budget", "kept", "asked", "step"),
    [
        (1_000, "", "1000", [50, 300, 1_000], ""),
        (1_000, "max_rows = 400\n", "300", [50, 300], ""),
        (299, "", "50", [50, 300], "set budget.max_rows = 50"),
        (20, "", "0", [50], 'set prompt.answer = "schema"'),
        (1_000, "max_rows = 40\n", None, [], ""),
    ],
)
def test_how_many_rows_come_back_is_found_with_made_up_users(  # noqa: PLR0917  a model and what is said of it
    tmp_path: Path,
    openai_server: OpenAIServer,
    keeps: int,
    budget: str,
    kept: str | None,
    asked: list[int],
    step: str,
) -> None:
    model = Model(keeps=keeps)
    openai_server.behavior = model()
    checked = check(tmp_path, openai_server, f"[budget]\n{budget}")
    shown = [received.blocks for received in openai_server.requests if "## U1" in received.user_message]
    rows = [sum(not line.startswith("# ") for block in blocks.values() for line in block) for blocks in shown]
    assert (checked.report.abilities.get("rows"), rows) == (kept, asked)
    if kept:
        assert (checked.state("rows") == "warning", checked.next_step("rows")[: len(step)]) == (
            bool(step),
            step,
        )


FLEX = 'tier = "flex"\n[llm.price]\ninput = 1.0\noutput = 2.0\n'
BODY = "extra_body = { max_tokens = 9, response_format = { type = 'text' } }\n"
NO_THINKING = "extra_body = { thinking = { type = 'disabled' } }"
OF_DEFAULT_TIER = json.loads(completion("ready")) | {"service_tier": "default"}
FULL = status(498, {"error": {"code": "capacity_exceeded", "message": "full"}})
GGUF = {"id": "/models/qwen3-8b-q4_k_m.gguf", "meta": {"n_ctx": 8192, "n_ctx_train": 40960}}
SHORT = {"id": "m", "max_model_len": 32768}
TINY = {"id": "m", "meta": {"n_ctx": 4096, "n_ctx_train": 131072}}


@pytest.mark.parametrize(
    ("behavior", "models", "config", "name", "found", "told"),
    [
        (Model(), [], "", "grammar", "0 note", 'llm.grammar_field = "grammar"'),
        (Model(grammar="structured_outputs"), [], "", "grammar", "0 note", '"structured_outputs"'),
        (Model(grammar=""), [], 'constrain = "grammar"', "grammar", "0 warning", 'constrain = "none"'),
        (Model(reasoning="Hm."), [], NO_THINKING, "thinking", "0 warning", "although"),
        (Model(schema="refused"), [], '[prompt]\nanswer = "schema"', "json_schema", "0 warning", '"lines"'),
        (Model(), [], "stream = false", "streaming", "0 note", "llm.stream = true"),
        (Model(), [], BODY, "output_limit", "0 skipped", ""),
        (Model(), [], BODY, "json_schema", "0 skipped", ""),
        (Model(), [SHORT], "", "context", "2 fault", "budget.max_input_tokens = 24576"),
        (Model(), [TINY], "", "context", "2 fault", "tokens = 3072 and budget.max_output_tokens = 1024"),
        (Model(), [GGUF], 'model = "qwen3"', "context", "2 fault", "8,192 tokens do not hold"),
        (Model(), [GGUF, "another"], 'model = "qwen3"', "context", "0 note", ""),
        (Model(), ["x", "qwen-plus"], 'model = "qwen-pluss"', "models", "0 warning", "as qwen-plus"),
        (answer(lambda _user: ""), [], "", "request", "0 warning", "check once more"),
        (status(200, OF_DEFAULT_TIER), [], FLEX, "tier", "0 warning", "standard answered"),
        (FULL, [], FLEX, "request", "0 warning", ""),
        (Model(), [], '[prompt]\ntemplate = "none.txt"', "prompt", "2 fault", "none.txt"),
        (Model(), [], '[rules]\nfile = "none.toml"', "prompt", "2 fault", "rules.file"),
    ],
)
def test_what_an_endpoint_does_is_told_with_the_next_step(  # noqa: PLR0917  an endpoint and what is said of it
    tmp_path: Path,
    openai_server: OpenAIServer,
    behavior: Model | Behavior,
    models: list[Any],
    config: str,
    name: str,
    found: str,
    told: str,
) -> None:
    openai_server.behavior = behavior() if isinstance(behavior, Model) else behavior
    if models:
        openai_server.models = listing(*models)
    checked = check(tmp_path, openai_server, f"{config}\n")
    assert f"{checked.code} {checked.state(name)}" == found
    assert told in f"{checked.message(name)}\n{checked.next_step(name)}"


NOWHERE = 'model = "m"\nproxy = "http://127.0.0.1:9"\n'  # no request gets anywhere
GPT = 'preset = "openai"\nmodel = "gpt-5.4"\nproxy = "http://127.0.0.1:9"\n'
DEEPSEEK = 'preset = "deepseek"\nmodel = "deepseek-flash"\nproxy = "http://127.0.0.1:9"\n'
OPENAI = f'base_url = "https://api.openai.com/v1"\n{NOWHERE}'
EXAMPLE = f'base_url = "https://api.example.com/v1"\n{NOWHERE}'
OF_A_CALL = 'base_url = "https://api.example.com/v1/chat/completions/?token=tell-nobody-token"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("config", "name", "found", "told"),
    [
        ('[prompt]\ntemplate = "none.txt"\n', "prompt", "2 fault", "prompt.template"),
        ("[budget]\nmax_input_tokens = 100\n", "prompt", "2 fault", "--max-input-tokens"),
        ('[rules]\nfile = "none.toml"\n', "prompt", "2 fault", "rules.file"),
        ('[input]\npaths = ["none.csv"]\n', "input", "2 fault", "none.csv"),
        ('[input]\nprofiles = "none.csv"\n', "input", "2 fault", "none.csv"),
        ('[input]\ntimezone = "Mars/Base"\n', "input", "2 fault", "Mars/Base"),
        (OF_A_CALL, "address", "2 fault", "set it to https://api.example.com/v1\n"),
        ('base_url = "https://nowhere.invalid/v1"\nmodel = "m"\n', "connection", "1 fault", "llm.base_url"),
        (EXAMPLE, "connection", "1 fault", "127.0.0.1:9"),
        (EXAMPLE, "connection", "1 fault", "llm.proxy"),
        (DEEPSEEK, "key", "2 fault", "DEEPSEEK_API_KEY"),
        (OPENAI, "key", "2 fault", ""),
        (f"{GPT}[budget]\nmax_input_tokens = 300000\n", "repricing", "2 warning", "tokens = 272000\n"),
    ],
)
def test_what_settings_alone_show_is_told_without_an_endpoint(
    tmp_path: Path, config: str, name: str, found: str, told: str
) -> None:
    checked = check(tmp_path, None, config, OPENAI_API_KEY="")
    assert f"{checked.code} {checked.state(name)}" == found
    assert told in f"{checked.message(name)}\n{checked.next_step(name)}\n"


# what fails


def test_a_wrong_key_names_the_variable_and_the_other_regions(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = status(401, {"error": {"message": f"Incorrect API key: {KEY}"}})
    openai_server.models = openai_server.behavior
    checked = check(tmp_path, openai_server, 'api_key_env = "MY_KEY"\n', MY_KEY=KEY)
    assert checked.code == 1
    assert "check the variable MY_KEY" in checked.message("request")
    checked = check(tmp_path, openai_server, 'preset = "qwen"\n', DASHSCOPE_API_KEY=KEY)
    assert "dashscope-intl" in checked.next_step("request")
    checked = check(tmp_path, openai_server, 'api_key_env = "MY_KEY"\n')
    assert "check the variable MY_KEY" in checked.message("request")


def test_an_address_without_its_path_is_told(tmp_path: Path, openai_server: OpenAIServer) -> None:
    openai_server.behavior = openai_server.models = status(404, b"<html>not here</html>")
    bare = openai_server.base_url.removesuffix("/v1")
    checked = check(tmp_path, None, f'base_url = "{bare}"\nmodel = "m"\n')
    assert f"{bare}/v1" in checked.next_step("request")


def test_secrets_in_the_address_are_in_no_finding(tmp_path: Path, openai_server: OpenAIServer) -> None:
    openai_server.behavior = openai_server.models = status(404, b"")
    bare = openai_server.base_url.removesuffix("/v1").replace("http://", "http://me:hunter2hunter2@")
    checked = check(tmp_path, None, f'base_url = "{bare}?token=tell-nobody-token"\nmodel = "m"\n')
    assert checked.state("request") == "fault"
    assert "hunter2" not in str(asdict(checked.report))
    assert "tell-nobody" not in str(asdict(checked.report))


def test_without_a_model_those_of_the_endpoint_are_listed(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.models = listing("one", "two")
    checked = check(tmp_path, None, f'preset = "vllm"\nbase_url = "{openai_server.base_url}"\n')
    assert checked.code == 2
    assert checked.state("model") == "fault"
    assert "one, two" in checked.next_step("models")
    assert not any(request.method == "POST" for request in openai_server.requests)


def test_an_unknown_model_names_those_that_are_most_like_it(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = status(404, {"error": {"message": "no such model", "code": "model_not_found"}})
    openai_server.models = listing("qwen-plus", "qwen-flash", "Llama-9")
    checked = check(tmp_path, openai_server, 'model = "qwen-pluss"\n')
    assert checked.code == 1
    assert "such as qwen-plus" in checked.next_step("request")
    checked = check(tmp_path, openai_server, 'model = "zzz"\n')
    assert "qwen-plus, qwen-flash, Llama-9" in checked.next_step("request")


def test_a_variable_that_the_user_chose_and_did_not_set_is_a_warning(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = Model()()
    for environment in ({}, {"MY_KEY": ""}):
        checked = check(tmp_path, openai_server, 'api_key_env = "MY_KEY"\n', **environment)
        assert checked.state("key") == "warning"
        assert "MY_KEY" in checked.next_step("key")
    assert check(tmp_path, openai_server, 'preset = "vllm"\n').state("key") == "note", "most want none"


def test_a_server_of_ones_own_that_does_not_run_is_named_by_its_command(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = taken.getsockname()[1]
        checked = check(
            tmp_path, None, f'preset = "vllm"\nmodel = "m"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        )
    assert checked.code == 1
    assert "refuses the connection" in checked.message("connection")
    assert "vllm serve" in checked.next_step("connection")
    assert "request" not in checked.findings


@pytest.mark.parametrize(
    "behavior",
    [
        status(200, b"<!doctype html><html>Welcome</html>"),
        status(200, b"\xff\xfe nothing"),
        status(500, b"oops"),
        raw(b"SSH-2.0-OpenSSH\r\n"),
        stall(),
    ],
)
def test_whatever_a_hostile_endpoint_sends_is_one_line_and_exit_code_1(
    tmp_path: Path, openai_server: OpenAIServer, behavior: Behavior
) -> None:
    openai_server.behavior = openai_server.models = behavior
    checked = check(tmp_path, openai_server, "idle_timeout = 0.3\ncall_timeout = 0.5\n")
    assert checked.code == 1
    assert checked.state("request") == "fault"
    assert "\n" not in checked.message("request")


def test_a_later_question_that_fails_does_not_hide_what_is_known(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = script(Model()(), status(503, b"busy"))
    checked = check(tmp_path, openai_server)
    assert checked.report.abilities["streaming"] == "yes"
    assert checked.report.abilities["json_schema"] == "unknown"


def test_a_key_that_the_endpoint_repeats_is_masked_everywhere(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = status(200, completion(f"Your key is {KEY}", "stop"))
    openai_server.models = listing(f"model-of-{KEY}", "m")
    checked = check(tmp_path, openai_server)  # asserts that the key is nowhere
    assert "[redacted]" in checked.message("request")
    assert "model-of-[redacted]" in (checked.report.models or ())


def test_the_input_of_the_config_is_looked_for(tmp_path: Path) -> None:
    export = write_users(tmp_path / "a.jsonl", users=1)
    checked = check(tmp_path, None, f'[input]\npaths = ["{export}"]\n')
    assert checked.code == 0
    assert checked.message("input").startswith("1 file")


def test_a_tier_is_told_with_its_price_and_its_wait(tmp_path: Path, openai_server: OpenAIServer) -> None:
    model = Model()
    openai_server.behavior = model()
    checked = check(tmp_path, openai_server, f"{FLEX}flex = 0.5\n")
    assert checked.state("tier") == "ok"
    assert "50%" in checked.message("tier")
    assert "900 s" in checked.message("tier")
    assert all(body["service_tier"] == "flex" for body in model.asked)
    unpriced = check(tmp_path, openai_server, FLEX)
    assert (unpriced.state("tier"), unpriced.next_step("tier")) == ("note", "set llm.price.flex, such as 0.5")


def test_a_price_of_a_preset_is_told_with_its_source_and_date_and_one_of_ones_own_without(
    tmp_path: Path,
) -> None:
    config = 'preset = "deepseek"\nmodel = "deepseek-flash"\nproxy = "http://127.0.0.1:9"\n'
    known = check(tmp_path, None, config).message("price")
    assert "0.006 in from the cache" in known
    assert "https://api-docs.deepseek.com/quick_start/pricing had it on 2026-11-25" in known
    own = check(tmp_path, None, f"{config}[llm.price]\ninput = 2.0\noutput = 8.0\n").message("price")
    assert own == "2.0 in, 2.0 in from the cache, 8.0 out, USD a million tokens"


def test_an_endpoint_that_fails_at_many_rows_is_told_with_how_many_came_back(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    model = Model()()

    async def behave(exchange: Exchange) -> None:
        await (status(503) if "## U2" in exchange.received.user_message else model)(exchange)

    openai_server.behavior = behave
    checked = check(tmp_path, openai_server)
    assert (checked.report.abilities["rows"], checked.state("rows")) == ("50", "warning")
    assert "503" in checked.next_step("rows")
    assert "set budget.max_rows = 50" in checked.next_step("rows")
