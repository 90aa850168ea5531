"""The system message says all that is asked, in few tokens and the data's language, and checks the user's own template."""

import re
from itertools import product
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import default_vocabulary
from eventabs.prompts.instructions_and_requests import Instructions, prompt_language
from eventabs.prompts.tokens import TokenCounter
from eventabs.setting_choices import AnswerForm, Compaction, Detail
from eventabs.shared_records import Category, EventType, Example, JourneyKind, Vocabulary

OWN = "T $types C $categories J $journeys D $detail F $format"
LANGUAGES: tuple[Language, ...] = ("zh", "en")
FORMS: tuple[AnswerForm, ...] = ("lines", "schema")
DETAILS: tuple[Detail, ...] = ("day", "fine", "journeys")


def message(
    template: str | None = None,
    language: Language = "zh",
    vocabulary: Vocabulary | None = None,
    **others: Any,  # noqa: ANN401  whatever instructions take
) -> str:
    vocabulary = vocabulary or default_vocabulary(language)
    return Instructions(language=language, vocabulary=vocabulary, template=template, **others).text()


def example_rows(text: str) -> list[int]:
    """Return the row numbers of the answer to the worked example, in lines."""
    answer = re.split("示例输出：|Example output:", text)[1].split("##\n\n")[0]
    groups = re.findall(r"(?<= )[\d,-]+\??(?=[ ;；\n])", answer)
    return sorted(int(row) for group in groups for row in re.findall(r"\d+", group))


@pytest.mark.parametrize(("language", "answer", "detail"), [*product(LANGUAGES, FORMS, DETAILS)])
def test_the_shipped_templates_are_short_and_complete(
    language: Language, answer: AnswerForm, detail: Detail
) -> None:
    text = message(language=language, answer=answer, detail=detail)
    vocabulary = default_vocabulary(language)
    assert "$" not in text
    assert "\n\n\n" not in text
    assert not re.search(r"\\n|\{(?!\")", text)  # nothing is left to fill in
    assert all(kind.name in text for kind in default_vocabulary(language).types)
    assert all(kind.name in text for kind in vocabulary.journeys)
    assert (vocabulary.minor in text) == (detail == "day")
    assert ('"minor"' in text) == (answer == "schema" and detail == "day")
    assert ('"events"' in text) == (answer == "schema" and detail != "journeys")
    assert TokenCounter().count(text) < 1_450


def test_each_detail_and_form_asks_for_something_else() -> None:
    assert len({message(answer=answer, detail=detail) for answer, detail in product(FORMS, DETAILS)}) == 6


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worked_example_shows_the_whole_answer_in_the_asked_form(language: Language) -> None:
    assert example_rows(message(language=language)) == list(range(1, 14))
    assert example_rows(message(language=language, detail="fine")) == list(range(1, 14))
    assert example_rows(message(language=language, detail="journeys")) == [5, 6, 8, 10, 11, 12]
    assert "\n##\n\n" in message(language=language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worked_example_lies_where_no_export_has_any_date(language: Language) -> None:
    """A model that copies it must not be taken for one that answers."""
    years = {int(year) for year in re.findall(r"# (\d{4})-", message(language=language))}
    assert min(years) > 2080


def test_a_closed_vocabulary_is_said_to_be_closed() -> None:
    closed = default_vocabulary("zh", open_types=False)
    assert "只用 浏览" in message(vocabulary=closed)
    assert "自拟" not in message(vocabulary=closed)
    kinds = Vocabulary((), closed.categories, journeys=closed.journeys, open_journeys=False, minor="零碎")
    assert "历程类别：只用 购买、" in message(vocabulary=kinds)


OTHERS = Vocabulary(
    types=(EventType("meal"), EventType("nap"), EventType("alarm", "risk")),
    categories=(Category("risk", "*", "whatever needs a look"), Category("normal")),
    journeys=(JourneyKind("illness", "with its doctors"), JourneyKind("big buy")),
    minor="minor",
)


def test_with_other_types_the_example_shows_the_form_and_no_foreign_name() -> None:
    text = message(None, "en", OTHERS)
    assert "meal, nap, alarm* (where none" in text
    assert "- `*` behind the type: risk (whatever needs a look).\n" in text
    assert "Kinds: illness (with its doctors), big buy\n" in text
    assert text.endswith(
        "The output looks like this:\n## U1\n> kind name: type 3; type 5,9\ntype 1-2,6 8\ntype 4\nminor 7\n##\n\n"
        "Output the result only: no thinking, explanation or code fence."
    )
    assert "dining" not in text
    assert "minor" not in message(None, "en", OTHERS, detail="fine")
    assert "type 4" not in message(None, "en", OTHERS, detail="journeys")


def test_with_other_kinds_of_journeys_alone_it_shows_the_form_too() -> None:
    shipped = default_vocabulary("zh")
    others = Vocabulary(shipped.types, shipped.categories, journeys=(JourneyKind("买车"),), minor="零碎")
    assert "露营" not in message(vocabulary=others)


SLEEP = Example(
    "# 2087-03-03 Mon\n23:10 Bedroom door 1h5m\n# 03-04\n06:58 Bedroom door\n07:10 Toilet 5s\n07:20 Bus 12",
    "> illness long nights: nap 1,2?\nalarm* 3\nminor 4",
)
NUMBERED = Example(SLEEP.log.replace("\n23", "\n1 23").replace("\n06", "\n2 06"), SLEEP.events)


@pytest.mark.parametrize("second", [SLEEP, NUMBERED])
def test_the_users_own_examples_are_one_request_with_its_answer(second: Example) -> None:
    text = message(None, "en", OTHERS, examples=(SLEEP, second))
    assert (
        "Example input:\n## U1\n# 2087-03-03 Mon\n1 23:10 Bedroom door 1h5m\n# 03-04\n2 06:58 Bedroom door\n"
        "3 07:10 Toilet 5s\n4 07:20 Bus 12\n## U2\n# 2087-03-03 Mon\n5 23:10 Bedroom door 1h5m\n"
    ) in text
    assert (
        "Example output:\n## U1\n> illness long nights: nap 1,2?\nalarm* 3\nminor 4\n"
        "## U2\n> illness long nights: nap 5,6?\nalarm* 7\nminor 8\n##\n"
    ) in text
    assert "The output looks like this" not in text


def test_own_examples_stand_in_the_form_and_the_level_in_force() -> None:
    text = message(None, "en", OTHERS, examples=(SLEEP,), answer="schema", level="dense")
    assert "1 2310 Bedroom door 65\n# 03-04\n2 658 Bedroom door\n3 710 Toilet 5s\n4 720 Bus 12\n" in text
    assert (
        '"steps":[{"type":"nap","rows":"1,2?"}]}],"events":[{"type":"alarm*","rows":"3"}],"minor":"4"}'
        in text
    )


CLOSED = Vocabulary(
    OTHERS.types, OTHERS.categories, open=False, journeys=OTHERS.journeys, open_journeys=False, minor="minor"
)


@pytest.mark.parametrize(
    ("events", "hint"),
    [
        ("", "row 1 stands 0 times in events, and the log has 4 rows"),
        ("nap 1-3", "row 4 stands 0 times"),
        ("nap 1-4 2", "row 2 stands 2 times"),
        ("nap 1-5", "row 5 stands 1 times"),
        ("nap 1-4 9-8", "row 8 stands 1 times"),
        (f"nap 1-{'9' * 5000}", f"row {'9' * 12} stands 1 times in events, and the log has 4 rows"),
        ("nap", "events has the line nap"),
        ("23:10 nap 1-4", "23:10 nap is no type"),
        ("> illness: nap 1-4", "events has the line > illness: nap 1-4"),
        ("> illness nights nap 1-4", "events has the line > illness nights nap 1-4"),
        ("> party all night: nap 1-4", "party is no kind of journey"),
        ("party 1-4", "party is no type of the vocabulary"),
        ("nap! 1-4", "nap! is no type of the vocabulary"),
    ],
)
def test_an_answer_that_is_none_is_named_by_line_name_or_row(events: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"prompt.examples, number 2: {re.escape(hint)}"):
        message(None, "en", CLOSED, examples=(SLEEP, Example(SLEEP.log, events)))


@pytest.mark.parametrize(("detail", "line"), [("journeys", "alarm* 3"), ("fine", "minor is no type")])
def test_an_example_has_only_what_the_detail_asks_for(detail: Detail, line: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(line)):
        message(None, "en", CLOSED, examples=(SLEEP,), detail=detail)


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        ("", "has no lines"),
        ("23:10 x", "the line 23:10 x"),
        ("# 03-03\n23:10 x", "the line # 03-03"),
        ("# 2087-13-03\n23:10 x", "2087-13-03"),
        ("# 2087-03-03\n25:10 x", "25:10"),
        ("# 2087-03-03\n23:10 x\n3 23:11 y", "the line 3 23:11 y"),
    ],
)
def test_a_log_that_is_none_is_named_by_its_line(log: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"prompt.examples, number 1: log .*{hint}"):
        message(None, "en", OTHERS, examples=(Example(log, "nap 1"),))


def test_guidance_and_pauses_are_what_the_user_wants() -> None:
    assert (
        "Further guidance, which wins where it differs from the above:\nA night is one event.\n"
        in message(language="en", guidance="A night is one event.")
    )
    assert "超过 90 分钟" in message(detail="fine", pause=90)
    assert "分钟" not in message(detail="fine", pause=0)


def test_a_category_is_told_by_its_own_meaning_and_the_default_one_only_with_one() -> None:
    categories = (Category("conversion", "+", "订车"), Category("rest", "", "其余"))
    text = message(vocabulary=default_vocabulary("zh", categories))
    assert "- 类型后加 `+`：conversion（订车）。\n- 不加标记：rest（其余）。\n" in text
    assert "加购+" in text
    assert "实地看货" not in text
    assert "engagement" not in message()


def test_the_users_template_is_filled_and_may_contain_braces_and_dollars() -> None:
    text = message(OWN + ' {"a": 1} $$5 ${example}\n\n')
    assert '{"a": 1} $5 ' in text
    assert "## U1" in text
    assert text == text.strip()


@pytest.mark.parametrize(
    ("template", "others", "told"),
    [
        *(
            (OWN.replace(f"${name}", ""), {}, rf"\${name} is missing")
            for name in ("types", "categories", "journeys", "detail", "format")
        ),
        (OWN, {"level": "dense"}, r"\$input is missing"),
        (OWN, {"guidance": "x"}, r"\$guidance is missing"),
        (f"{OWN} $users", {}, r"\$users is no placeholder.*\$types"),
        (f"{OWN} $summary", {}, r"\$summary is no placeholder.*\$types"),
        (f"{OWN}\n5 $ each", {}, r"line 2: .*\$\$"),
    ],
)
def test_what_is_wrong_in_a_template_is_named(template: str, others: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        message(template, **others)


def test_a_fault_of_the_template_is_told_before_one_of_an_example() -> None:
    with pytest.raises(ConfigError, match=r"\$types is missing"):
        message("", examples=(Example("", ""),))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("level", ["line", "dense"])
def test_the_worked_example_stands_in_the_level_that_is_sent(language: Language, level: Compaction) -> None:
    text = message(language=language, level=level)
    assert ("\n1 07:35 " in text) == (level == "line")
    assert ("\n1 735 " in text) == (level == "dense")
    assert ("`A=…`" in text) == ("\nA=" in text) == ("07:43" in text) == (level == "dense")


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
