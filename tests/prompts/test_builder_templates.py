"""The system message says all that is asked, in few tokens and the data's language, and checks the user's own template."""

import re
from itertools import product
from typing import Any

import pytest

from eventabs.choices import AnswerForm, Compaction, Detail
from eventabs.errors import ConfigError
from eventabs.language import Language
from eventabs.prompts.builder import Example, Instructions, example_events, example_log, prompt_language
from eventabs.prompts.lines import DEFAULT_CATEGORIES, DEFAULT_TYPES, default_vocabulary
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import Category, EventType, Vocabulary

OWN = "T $types C $categories D $detail F $format"
FORMS: tuple[AnswerForm, ...] = ("lines", "json", "schema")
DETAILS: tuple[Detail, ...] = ("brief", "day", "fine")


def message(
    template: str | None = None,
    language: Language = "zh",
    vocabulary: Vocabulary | None = None,
    **others: Any,  # noqa: ANN401  whatever instructions take
) -> str:
    vocabulary = vocabulary or default_vocabulary(language)
    return Instructions(language=language, vocabulary=vocabulary, template=template, **others).text()


@pytest.mark.parametrize(("language", "answer", "detail"), [*product(("zh", "en"), FORMS, DETAILS)])
def test_the_shipped_templates_are_short_and_complete(
    language: Language, answer: AnswerForm, detail: Detail
) -> None:
    text = message(language=language, answer=answer, detail=detail)
    assert "$" not in text
    assert all(kind.name in text for kind in DEFAULT_TYPES[language])
    assert all(category.name in text for category in DEFAULT_CATEGORIES)
    assert TokenCounter().count(text) < 1300


def test_each_detail_and_form_asks_for_something_else() -> None:
    assert len({message(answer=answer, detail=detail) for answer, detail in product(FORMS, DETAILS)}) == 9


def test_the_worked_example_shows_the_whole_answer_in_the_asked_form() -> None:
    assert "\n19:20-19:24 购物 | " in message()
    assert "\n19:31 加购! | " in message()
    assert re.search(r"^##$", message(), re.MULTILINE)
    assert '{"u":"U1","events":[["03-03 08:05","03-03 08:05","工作","engagement",' in message(answer="json")
    assert '{"users":[{"u":"U1","events":[[' in message(answer="schema")


def test_the_worked_example_lies_where_no_export_has_any_date() -> None:
    """A model that copies it must not be taken for one that answers."""
    for language in ("zh", "en"):
        years = {int(year) for year in re.findall(r"# (\d{4})-", message(language=language))}
        assert min(years) > 2080


def test_marks_stand_behind_types_in_lines_and_categories_are_named_in_json() -> None:
    assert "购买!" in message()
    assert "购买(conversion)" in message(answer="json")
    assert "!" not in message(answer="json")


def test_a_closed_vocabulary_is_said_to_be_closed() -> None:
    closed = default_vocabulary("zh", open_types=False)
    assert "只用 浏览" in message(vocabulary=closed)
    assert "自拟" not in message(vocabulary=closed)


OTHERS = Vocabulary(
    types=(EventType("meal"), EventType("nap"), EventType("alarm", "risk")),
    categories=(Category("risk", "*", "whatever needs a look"), Category("normal")),
)


def test_with_other_types_the_example_shows_the_form_and_no_foreign_label() -> None:
    text = message(None, "en", OTHERS)
    assert "meal, nap, alarm*" in text
    assert "* behind the type: risk (whatever needs a look); no mark: normal" in text
    assert text.endswith(
        "The output looks like this:\n## U1\n# 2087-03-03\n08:05 type | summary\n12:05-13:05 type | summary\n##\n\n"
        "Output the result only: no thinking, explanation or code fence."
    )
    assert "dining" not in text


SLEEP = Example(
    "# 2087-03-03\n23:10 Bedroom door\n# 03-04\n06:58 Bedroom door\n07:10 Toilet",
    "# 2087-03-03\n23:10-06:58 nap | night\n# 03-04\n07:10 alarm* | early",
)


@pytest.mark.parametrize("answer", FORMS)
def test_the_users_own_examples_stand_as_they_wrote_them_and_in_the_form_of_the_answer(
    answer: AnswerForm,
) -> None:
    text = message(None, "en", OTHERS, answer=answer, examples=(SLEEP, SLEEP))
    assert f"## U1\n{SLEEP.log}\n## U2\n{SLEEP.log}\nExample output:\n" in text
    assert "The output looks like this" not in text
    if answer == "lines":
        assert f"## U1\n{SLEEP.events}\n## U2\n" in text
    else:
        assert '["03-03 23:10","03-04 06:58","nap","normal","night"]' in text


def test_at_level_day_an_example_has_a_line_for_each_day() -> None:
    text = message(None, "en", OTHERS, examples=(SLEEP,), level="day")
    assert "\n# 2087-03-03 23:10 Bedroom door\n# 03-04 06:58 Bedroom door 07:10 Toilet\n" in text


def test_an_example_is_read_as_a_log_and_as_events() -> None:
    assert [behavior.item for behavior in example_log(SLEEP, 1).behaviors] == [
        "Bedroom door",
        "Bedroom door",
        "Toilet",
    ]
    events = example_events(SLEEP, OTHERS, 1)
    assert [(event.type, event.category, event.summary) for event in events] == [
        ("nap", "normal", "night"),
        ("alarm", "risk", "early"),
    ]
    assert f"{events[0].end}" == "2087-03-04 06:58:00"


@pytest.mark.parametrize(
    ("events", "hint"),
    [
        ("", "no lines"),
        ("23:10 nap", "23:10 nap"),
        ("# 2087-13-03\n23:10 nap", "2087-13-03"),
        ("# 2087-03-03\nnap", "the line nap"),
        ("# 2087-03-03\n25:10 nap", "25:10"),
        ("# 2087-03-03\n23:10 party", "party is no type"),
    ],
)
def test_an_example_that_is_none_is_named(events: str, hint: str) -> None:
    closed = Vocabulary(OTHERS.types, OTHERS.categories, open=False)
    with pytest.raises(ConfigError, match=rf"prompt.examples, number 2: .*{hint}"):
        message(None, "en", closed, examples=(SLEEP, Example(SLEEP.log, events)))


def test_guidance_summaries_and_pauses_are_what_the_user_wants() -> None:
    assert (
        "Further guidance, which wins where it differs from the above:\nA night is one event.\n"
        in message(language="en", guidance="A night is one event.")
    )
    with pytest.raises(ConfigError, match=r"\$guidance is missing"):
        message(OWN, guidance="x")
    assert "不写摘要" in message(with_summaries=False)
    assert " | " not in message(with_summaries=False)
    assert "超过 90 分钟" in message(detail="fine", pause=90)
    assert "分钟" not in message(detail="fine", pause=0)


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
    text = message(language=language, level=level)
    assert shown in text
    assert ("`A=…`" in text) == (level != "line")
    assert ("\n06 14:10 " in text) == (level == "day")


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
