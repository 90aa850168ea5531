"""The system message says all that is asked, in few tokens and the data's language, and checks the user's own template."""

import re
from itertools import product

import pytest

from eventabs.errors import ConfigError
from eventabs.language import Language
from eventabs.prompts.builder import prompt_language, system_message
from eventabs.prompts.tokens import TokenCounter
from eventabs.prompts.vocabulary import DEFAULT_CATEGORIES, DEFAULT_TYPES, default_vocabulary
from eventabs.records import AnswerForm, Category, Compaction, Detail, EventType, Vocabulary

OWN = "T $types C $categories D $detail F $format"
FORMS: tuple[AnswerForm, ...] = ("lines", "json", "schema")
DETAILS: tuple[Detail, ...] = ("brief", "day", "fine")


def message(
    template: str | None = None,
    language: Language = "zh",
    vocabulary: Vocabulary | None = None,
    answer: AnswerForm = "lines",
    detail: Detail = "day",
) -> str:
    return system_message(template, language, vocabulary or default_vocabulary(language), answer, detail)


@pytest.mark.parametrize(("language", "answer", "detail"), [*product(("zh", "en"), FORMS, DETAILS)])
def test_the_shipped_templates_are_short_and_complete(
    language: Language, answer: AnswerForm, detail: Detail
) -> None:
    text = message(None, language, None, answer, detail)
    assert "$" not in text
    assert all(kind.name in text for kind in DEFAULT_TYPES[language])
    assert all(category.name in text for category in DEFAULT_CATEGORIES)
    assert TokenCounter().count(text) < 900


def test_each_detail_and_form_asks_for_something_else() -> None:
    assert len({message(answer=answer, detail=detail) for answer, detail in product(FORMS, DETAILS)}) == 9


def test_the_worked_example_shows_the_whole_answer_in_the_asked_form() -> None:
    assert "19:20-19:28 购物 | " in message()
    assert "12:10 加购! | " in message()
    assert re.search(r"^##$", message(), re.MULTILINE)
    assert '{"u":"U1","events":[["03-02 09:05","03-02 16:55","工作","engagement",' in message(answer="json")
    assert '{"users":[{"u":"U1","events":[[' in message(answer="schema")


def test_marks_stand_behind_types_in_lines_and_categories_are_named_in_json() -> None:
    assert "购买!" in message()
    assert "购买(conversion)" in message(answer="json")
    assert "!" not in message(answer="json")


def test_a_closed_vocabulary_is_said_to_be_closed() -> None:
    closed = default_vocabulary("zh", open_types=False)
    assert "只用 浏览" in message(vocabulary=closed)
    assert "自拟" not in message(vocabulary=closed)


def test_the_example_uses_the_users_own_types_marks_and_meanings() -> None:
    vocabulary = Vocabulary(
        types=(EventType("meal"), EventType("work"), EventType("alarm", "risk")),
        categories=(Category("risk", "*", "whatever needs a look"), Category("normal")),
    )
    text = message(None, "en", vocabulary)
    assert "meal, work, alarm*" in text
    assert "* behind the type: risk (whatever needs a look); no mark: normal" in text
    assert "09:05-16:55 work | " in text
    assert "22:40-00:45 alarm* | " in text
    assert "dining" not in text


def test_without_any_types_the_example_keeps_its_own() -> None:
    assert "用餐 | " in message(vocabulary=Vocabulary((), DEFAULT_CATEGORIES))


def test_the_users_template_is_filled_and_may_contain_braces_and_dollars() -> None:
    text = message(OWN + ' {"a": 1} $$5 ${example}\n\n')
    assert '{"a": 1} $5 ' in text
    assert "## U1" in text
    assert text == text.strip()


@pytest.mark.parametrize("name", ["types", "categories", "detail", "format"])
def test_a_missing_placeholder_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"\${name} is missing"):
        message(OWN.replace(f"${name}", ""))


def test_an_empty_template_is_none_of_ours() -> None:
    with pytest.raises(ConfigError, match="types is missing"):
        message("")


def test_an_unknown_placeholder_is_named_beside_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"\$users is no placeholder.*\$types"):
        message(OWN + " $users")


def test_a_lone_dollar_sign_is_named_by_its_line() -> None:
    with pytest.raises(ConfigError, match=r"line 2: .*\$\$"):
        message(OWN + "\n5 $ each")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("level", "shown"), [("legend", "\nA="), ("day", "\nA="), ("line", "## U1")])
def test_the_worked_example_stands_in_the_level_that_is_sent(
    language: Language, level: Compaction, shown: str
) -> None:
    text = system_message(None, language, default_vocabulary(language), "lines", "day", level=level)
    assert shown in text
    assert ("`A=…`" in text) == (level != "line")
    assert ("\n03 12:10 " in text) == (level == "day")


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["browse", "宝马_X3", "汽车之家"], "zh"),
        (["visit", "Blue Bottle Coffee", "use", "WeChat 微信", "Starbucks Reserve"], "en"),
        (["a" * 9 + "好"], "en"),
        (["a" * 8 + "好"], "zh"),
        (["12:30", "!?"], "en"),
        ([], "en"),
    ],
)
def test_more_than_one_chinese_letter_in_ten_makes_it_chinese(texts: list[str], language: Language) -> None:
    assert prompt_language(texts) == language
