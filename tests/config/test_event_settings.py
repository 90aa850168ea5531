import os
from pathlib import Path

import pytest

from eventabs.config.settings import Settings, load_settings
from eventabs.errors_and_exit_codes import ConfigError

CLOSED = '[vocabulary]\nopen = false\ntypes = [{ name = "购买" }, { name = "用餐" }]\n'


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("EVENTABS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def loaded(text: str) -> Settings:
    Path("eventabs.toml").write_text(text, encoding="utf-8")
    return load_settings(Path("eventabs.toml"), {})


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_condition_is_a_text_a_list_or_a_regular_expression() -> None:
    (rule,) = loaded(
        '[[events.must]]\naction = "visit"\nitem = ["家", "公司"]\nplace = { regex = "4S店" }\ncategory = "conversion"\n'
    ).events.must
    assert {name: (texts.texts, texts.regex) for name, texts in rule.conditions.items()} == {
        "action": (("visit",), ""),
        "item": (("家", "公司"), ""),
        "place": ((), "4S店"),
    }


def test_rules_survive_the_run_directory_and_can_be_set_by_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = loaded('[[events.must]]\nitem = { regex = "4S店" }\nmin_duration = 60\ntype = "到店"\n')
    stored = settings.model_dump(mode="json")
    assert load_settings(None, {}, base=stored) == settings
    monkeypatch.setenv("EVENTABS_EVENTS__MUST", '[{"action": "cart", "category": "conversion"}]')
    assert load_settings(None, {}).events.must[0].action.texts == ("cart",)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('type = "购买"', "events.must.0: give it a condition: action, item"),
        ('action = "cart"', "events.must.0: say what must cover the behaviors: give type, category or both"),
        (
            'action = "cart"\ntype = "加购"\nadded_type = "购买"',
            "events.must.0: added_type is for a rule without type",
        ),
        ('action = "cart"\ncategory = "sale"', "events: rule 1 of must: unknown category: sale"),
        (
            'item = { regex = "[" }\ntype = "x"',
            "events.must.0.item.regex: it takes a regular expression of RE2: missing ]",
        ),
        ('item = { regexp = "x" }\ntype = "x"', "there is no setting events.must.0.item.regexp"),
        ('action = "cart"\ntype = "a|b"', "events.must.0.type: it takes a name"),
        ('min_duration = -1\ntype = "x"', "events.must.0.min_duration: it must be at least 0"),
        ('actions = "cart"\ntype = "x"', "there is no setting events.must.0.actions"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_in_one_line_that_names_it(rule: str, said: str) -> None:
    assert said in fault(f"[[events.must]]\n{rule}\n")


def test_a_rule_may_want_no_type_that_a_closed_vocabulary_lacks() -> None:
    rule = '[[events.must]]\naction = "cart"\n{key} = "加购"\n{more}'
    assert "rule 1 of must: unknown type: 加购" in fault(CLOSED + rule.format(key="type", more=""))
    added = rule.format(key="added_type", more='category = "conversion"')
    assert "rule 1 of must: unknown type: 加购" in fault(CLOSED + added)
    loaded(CLOSED.replace("用餐", "加购") + rule.format(key="type", more=""))
    loaded(CLOSED.replace("false", "true") + rule.format(key="type", more=""))
    loaded(CLOSED.replace("open", 'other = "加购"\nopen') + rule.format(key="type", more=""))


def test_an_alias_stands_for_a_type_that_there_is() -> None:
    aliases = '[vocabulary.aliases]\n"下单" = "{}"\n'
    assert loaded(CLOSED + aliases.format("购买")).vocabulary.aliases == {"下单": "购买"}
    assert "vocabulary: unknown type: 买车" in fault(CLOSED + aliases.format("买车"))
    assert "vocabulary.aliases.下单: it takes a name" in fault(CLOSED + aliases.format("a|b"))
