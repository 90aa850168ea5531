import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from eventabs.config.config_files import find_config
from eventabs.config.settings import (
    Settings,
    load_settings,
    with_absolute_paths,
)
from eventabs.errors_and_exit_codes import ConfigError
from eventabs.shared_records import TomlTable
from paths import ROOT

EXAMPLE = ROOT / "src" / "eventabs" / "config" / "settings.en.toml"
COMMENTED_OUT = re.compile(r"^#(?=[A-Za-z\[])", re.MULTILINE)


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("EVENTABS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _toml(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _fault(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(config, flags or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


# settings.en.toml


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, TomlTable):
            yield from _fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _named(values: Mapping[str, Any], prefix: str = "") -> set[str]:
    names = set()
    for key, value in values.items():
        names.add(prefix + key)
        if isinstance(value, dict):
            names |= _named(value, f"{prefix}{key}.")
    return names


def _example_in_use() -> str:
    return COMMENTED_OUT.sub("", EXAMPLE.read_text("utf-8"))


def test_the_example_holds_the_defaults() -> None:
    assert load_settings(EXAMPLE, {}) == Settings()


def test_the_example_names_every_setting() -> None:
    named = _named(tomllib.loads(_example_in_use()))
    assert [field for field in _fields(Settings) if field not in named] == []


def test_the_example_still_loads_when_all_that_is_commented_out_is_used(tmp_path: Path) -> None:
    settings = load_settings(_toml(tmp_path, _example_in_use()), {})
    assert settings.llm.extra_body["enable_thinking"] is False
    assert settings.llm.extra_body["thinking"] == {"type": "disabled"}
    assert settings.llm.extra_body["chat_template_kwargs"] == {"enable_thinking": False}
    assert settings.llm.price.input is not None


# layers


def test_each_layer_lies_over_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _toml(tmp_path, "[run]\nconcurrency = 4\nrpm = 4\ntpm = 4\n")
    monkeypatch.setenv("EVENTABS_RUN__RPM", "5")
    monkeypatch.setenv("EVENTABS_RUN__TPM", "5")
    run = load_settings(config, {"run": {"tpm": 6}}).run
    assert (run.attempts, run.concurrency, run.rpm, run.tpm) == (5, 4, 5, 6)


def test_all_layers_lie_over_the_base(tmp_path: Path) -> None:
    base = {"run": {"rpm": 1, "tpm": 1}, "lang": "zh"}
    settings = load_settings(_toml(tmp_path, "run.tpm = 2"), {}, base=base)
    assert (settings.run.rpm, settings.run.tpm, settings.lang) == (1, 2, "zh")


def test_a_variable_names_nested_settings_with_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTABS_LLM__MODEL", "some-model")
    monkeypatch.setenv("EVENTABS_LLM__PRICE__INPUT", "0.5")
    monkeypatch.setenv("EVENTABS_INPUT__COLUMNS__USER", "会员")
    monkeypatch.setenv("EVENTABS_INPUT__PATHS", '["a.csv", "b.csv"]')
    settings = load_settings(None, {})
    assert settings.llm.model == "some-model"
    assert settings.llm.price.input == 0.5
    assert settings.input.model_dump()["columns"]["user"] == "会员"
    assert settings.input.paths == ("a.csv", "b.csv")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbfrun.rpm = 7\r\n")
    assert load_settings(path, {}).run.rpm == 7


# which file


def test_the_named_file_comes_first_then_the_variable_then_the_folder(tmp_path: Path) -> None:
    Path("eventabs.toml").touch()
    there = {"EVENTABS_CONFIG": "there.toml"}
    assert find_config(tmp_path / "named.toml", there) == tmp_path / "named.toml"
    assert find_config(None, there) == Path("there.toml")
    assert find_config(None, {"EVENTABS_CONFIG": ""}) == Path("eventabs.toml")
    assert find_config(None, {}) == Path("eventabs.toml")


# faults


LISTED = "eventabs init --all --output -` lists them all"
EXPLAINED = "eventabs init --all --output -` explains"


@pytest.mark.parametrize(
    ("text", "where", "step"),
    [
        # names that there are not
        ("modle = 1", "no setting modle;", LISTED),
        ("run.concurency = 3", "no setting run.concurency;", "the nearest in name is run.concurrency"),
        (
            "[input.columns]\nusr = 'x'",
            "no setting input.columns.usr;",
            "nearest in name is input.columns.user",
        ),
        ("input.concurrency = 3", "no setting input.concurrency;", "the nearest in name is run.concurrency"),
        ("[input.columns]\nwhen = 'x'", "no setting input.columns.when;", LISTED),
        ("vocabulary.types = [{ name = 'x', kind = 'y' }]", "no setting vocabulary.types.0.kind;", LISTED),
        ("llm.api_key = 'sk-secret'", "no setting llm.api_key;", "the nearest in name is llm.api_key_env"),
        ("'llm.model' = 'm'", " llm.model is one name there", "let what is before a dot be a table"),
        # values that cannot be
        ("llm.api_key_env = 'sk-secret'", " llm.api_key_env: ", "takes the name of an environment variable"),
        ("run.concurrency = 0", " run.concurrency: ", EXPLAINED),
        ("run.concurrency = 'many'", " run.concurrency: ", EXPLAINED),
        ("budget.max_rows = -1", " budget.max_rows: ", EXPLAINED),
        ("llm.price.input = -0.1", " llm.price.input: ", EXPLAINED),
        ("llm.provider = 'qwen'", " llm.provider: ", EXPLAINED),
        ("lang = 'fr'", " lang: ", EXPLAINED),
        ("run.rpm = 999999999999999999999", " run.rpm: ", EXPLAINED),
        ("budget.max_input_tokens = 999999999999999999999", " budget.max_input_tokens: ", EXPLAINED),
        ("llm.idle_timeout = inf", " llm.idle_timeout: ", EXPLAINED),
        ("llm.temperature = nan", " llm.temperature: ", EXPLAINED),
        ("llm.extra_body = { seed = 999999999999999999999 }", " llm.extra_body: ", EXPLAINED),
        ("run = 3", " run: ", EXPLAINED),
        ("input.columns.user = ['id', 1]", " input.columns.user: ", EXPLAINED),
        # what is gone
        ('compaction.level = "legend"', " compaction.level: ", "it takes one of: line, dense"),
        ('prompt.detail = "brief"', " prompt.detail: ", "it takes one of: "),
        ('prompt.answer = "json"', " prompt.answer: ", "it takes one of: "),
        ('prompt.summary = "none"', "no setting prompt.summary;", LISTED),
        ("run.min_grounded = 0.5", "no setting run.min_grounded;", LISTED),
        # what is no TOML
        ("[run\n", "cannot be read", "--config"),
        ("lang = '\udcff'\n", "cannot be read", "--config"),
        ("[run]\nrpm = ten\n", "line 2, column 7", "a text stands in quotes"),
        ("[run]\nrpm\n", "line 2, column 4", "= is missing"),
        ("[run\nrpm = 1\n", "line 1, column 5", "] is missing"),
        ("lang = 'en'\nlang = 'zh'\n", "line 2", "stands in the file already"),
        ('lang = "en\n', "line 1, column 11", "closing quote"),
        ("lang = 'en\n", "at the end of the file", "closing quote"),
        ('lang = "\\q"\n', "line 1", "backslash"),
        ("语言 = 'zh'\n", "line 1, column 1", "stands in quotes"),
    ],
)
def test_a_fault_in_the_file_is_one_line_that_says_where_it_is_and_what_to_do(
    tmp_path: Path, text: str, where: str, step: str
) -> None:
    config = tmp_path / "own.toml"
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    fault = _fault(config)
    assert where in fault
    assert step in fault
    assert str(config) in fault
    assert "sk-secret" not in fault


def test_a_missing_file_is_named_with_the_flag_to_use(tmp_path: Path) -> None:
    assert re.search(r"none.toml does not exist.*--config", _fault(tmp_path / "none.toml"))
    assert f"{tmp_path} cannot be read" in _fault(tmp_path)


def test_a_fault_outside_a_file_names_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _fault(flags={"run": {"rpm": -1}}).startswith("settings: run.rpm:")
    monkeypatch.setenv("EVENTABS_RUN__RPN", "1")
    assert "there is no setting run.rpn; the nearest in name is run.rpm" in _fault()
    monkeypatch.setenv("EVENTABS_LLM__OMIT", "max_tokens")
    assert _fault().startswith('EVENTABS_LLM__OMIT takes JSON, a list such as ["a", "b"]')


# vocabulary


MARKS = "give every category its own mark, and exactly one of them none"
MINOR = "is the word for rows that no event is made of"
READ_ELSE = "an answer that has {} would be read as something else; give it another name"
ONE_SIGN = "vocabulary.categories.1.mark: it takes one sign"


@pytest.mark.parametrize(
    ("vocabulary", "told"),
    [
        ({"categories": []}, MARKS),
        ({"categories": [{"name": "a", "mark": "!"}]}, MARKS),
        ({"categories": [{"name": "a"}, {"name": "b"}]}, MARKS),
        ({"categories": [{"name": "a"}, *({"name": name, "mark": "!"} for name in "bc")]}, MARKS),
        *(
            ({"categories": [{"name": "a"}, {"name": "b", "mark": mark}]}, ONE_SIGN)
            for mark in ("!!", *"7?？>#,，-;:| aé买_)")
        ),
        *(
            ({"types": [{"name": name}]}, "vocabulary.types.0.name: ")
            for name in ("5G套餐 9", "work 3-4", "24", "班次 1,3", "sure?", "> buy", "# buy", "a;b")
        ),
        ({"types": [{"name": "零碎"}]}, MINOR),
        ({"other": "minor"}, MINOR),
        ({"types": [{"name": "Ｍinor"}]}, MINOR),
        ({"aliases": {"零碎": "x"}}, MINOR),
        ({"types": [{"name": "app"}, {"name": "ＡＰＰ"}]}, READ_ELSE.format("app")),
        ({"types": [{"name": "buy", "category": name} for name in ("conversion", "")]}, "buy stands twice"),
        ({"types": [{"name": "buy!"}, {"name": "buy"}]}, READ_ELSE.format("buy")),
        ({"types": [{"name": "<think>"}]}, READ_ELSE.format("<think>")),
        ({"journeys": [{"name": "trip"}, {"name": "Trip"}]}, READ_ELSE.format("trip")),
        ({"types": [{"name": "到店", "category": "conversoin"}]}, "unknown category: conversoin"),
    ],
)
def test_what_an_answer_could_not_say_is_refused_in_one_line(vocabulary: dict[str, Any], told: str) -> None:
    fault = _fault(flags={"vocabulary": vocabulary})
    assert told in fault
    assert "Value error" not in fault


@pytest.mark.parametrize("name", ["5G套餐", "3D打印", "阶段2", "餐饮:早餐", "24小时店", "level 2b"])
def test_digits_elsewhere_in_a_type_do_no_harm(name: str) -> None:
    types = load_settings(None, {"vocabulary": {"types": [{"name": name}]}}).vocabulary.types
    assert types[0].name == name


def test_where_every_row_is_in_an_event_a_closed_vocabulary_has_a_type_for_the_rest() -> None:
    flags = {"prompt": {"detail": "fine"}, "vocabulary": {"open": False}}
    assert "name a type for the rest in vocabulary.other" in _fault(flags=flags)
    load_settings(None, {**flags, "vocabulary": {"open": False, "other": "其他"}})
    load_settings(None, {**flags, "prompt": {"detail": "day"}})


# what comes out


@pytest.mark.parametrize(
    ("choice", "model", "preset", "name"),
    [
        ("auto", "", "", "rules"),
        ("auto", "m", "", "openai"),
        ("auto", "", "qwen", "openai"),
        ("rules", "m", "qwen", "rules"),
        ("openai", "", "", "openai"),
    ],
)
def test_a_model_or_a_preset_decides_where_no_provider_is_named(
    choice: str, model: str, preset: str, name: str
) -> None:
    settings = Settings.model_validate({"llm": {"provider": choice, "model": model, "preset": preset}})
    assert settings.provider == name
    assert settings.is_remote == (name == "openai")


def test_header_values_are_not_shown() -> None:
    settings = load_settings(None, {"llm": {"extra_headers": {"X-Token": "tell-nobody"}}})
    assert settings.llm.extra_headers["X-Token"].get_secret_value() == "tell-nobody"
    assert "tell-nobody" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_survive_being_stored() -> None:
    flags = {"input": {"paths": ["a.csv"]}, "llm": {"model": "m", "extra_body": {"enable_thinking": False}}}
    settings = load_settings(None, flags)
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


def test_files_are_named_from_a_folder_so_that_another_one_can_use_them(tmp_path: Path) -> None:
    flags = {
        "input": {"profiles": "people.csv"},
        "llm": {"ca_file": "/etc/own.pem"},
        "prompt": {"template": "asks/short.txt"},
    }
    settings = with_absolute_paths(load_settings(None, flags), tmp_path)
    assert settings.input.profiles == str(tmp_path / "people.csv")
    assert settings.llm.ca_file == "/etc/own.pem"
    assert settings.prompt.template == str(tmp_path / "asks" / "short.txt")
    assert settings.rules.file == ""
