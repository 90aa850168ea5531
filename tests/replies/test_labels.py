import pytest

from eventabs.records import Category, EventType, Vocabulary
from eventabs.replies.forms import Claim, NamedTime
from eventabs.replies.reader import MAX_SUMMARY, MAX_TYPE, Labels, one_line

WORDS = Labels(
    Vocabulary(
        types=(EventType("到店", "conversion"), EventType("Go!", "intent"), EventType("Dining")),
        categories=(Category("conversion", "!"), Category("engagement"), Category("intent", "？")),
    )
)


@pytest.mark.parametrize(
    ("kind", "category", "summary", "described"),
    [
        ("看车", "", "", ("看车", "engagement", "")),
        ("看车!", "", "", ("看车", "conversion", "")),
        ("看车！", "", "", ("看车", "conversion", "")),
        ("看车 !", "", "", ("看车", "conversion", "")),
        ("看车?", "", "", ("看车", "intent", "")),
        ("**看车!**", "", "", ("看车", "conversion", "")),
        ("看车 (Conversion)", "", "", ("看车", "conversion", "")),
        ("看车【conversion】", "", "", ("看车", "conversion", "")),
        ("看车 (西单)", "", "", ("看车 (西单)", "engagement", "")),
        ("到店", "", "", ("到店", "conversion", "")),
        ("到店", "engagement", "", ("到店", "engagement", "")),
        ("Go!", "", "", ("Go!", "intent", "")),
        ("dining", "", "", ("Dining", "engagement", "")),
        ("看车", "conversion", "好", ("看车", "conversion", "好")),
        ("看车", "!", "好", ("看车", "conversion", "好")),
        ("看车", "other", "好", ("看车", "engagement", "好")),
        ("到店", "other", "conversion", ("到店", "conversion", "other")),
        ("到店", "好", "Engagement", ("到店", "engagement", "好")),
        ("看车!", "好", "engagement", ("看车", "conversion", "好")),
        ("看车", "", "conversion", ("看车", "conversion", "")),
        ("Dining - 西餐厅", "", "", ("Dining", "engagement", "西餐厅")),
        ("dining：a - b", "", "", ("Dining", "engagement", "a - b")),
        ("到店! 4S店", "", "", ("到店", "conversion", "4S店")),
        ("到店！，4S店", "", "", ("到店", "conversion", "4S店")),
        ("到店 — 4S店", "", "", ("到店", "conversion", "4S店")),
        ("到店-4S店", "", "", ("到店-4S店", "engagement", "")),
        ("到店（4S店）", "", "", ("到店", "conversion", "4S店")),
        ("到店", "", "Engagement | 4S店", ("到店", "engagement", "4S店")),
        ("到店", "", "4S店 | a | engagement", ("到店", "engagement", "4S店 | a")),
        ("到店吃饭", "", "", ("到店吃饭", "engagement", "")),
        ("看车 - 西单", "", "", ("看车 - 西单", "engagement", "")),
        ("Dining - 西餐厅", "", "x", ("Dining - 西餐厅", "engagement", "x")),
        ("!", "", "x", ("", "conversion", "x")),
        ("** : -", "", "", ("", "engagement", "")),
        ("a\x00\u202eb\nc", "", "d\r\ne", ("a b c", "engagement", "d e")),
        ("x" * 90, "", "y" * 900, ("x" * MAX_TYPE, "engagement", "y" * MAX_SUMMARY)),
        ("x" * MAX_TYPE + "!", "", "", ("x" * MAX_TYPE, "conversion", "")),
    ],
)
def test_type_category_and_summary_are_named_by_the_vocabulary(
    kind: str, category: str, summary: str, described: tuple[str, str, str]
) -> None:
    claim = Claim(NamedTime(None, 0), None, kind, category, summary)
    assert WORDS.describe(claim) == described


def test_another_name_of_a_type_becomes_the_type_with_its_category() -> None:
    words = Labels(
        Vocabulary(
            (EventType("购买", "conversion"), EventType("用餐")),
            (Category("conversion", "!"), Category("engagement")),
            aliases=(("下单", "购买"), ("Buy", "购买"), ("聚餐", "聚会"), ("用餐", "购买")),
        )
    )

    def named(kind: str) -> tuple[str, str]:
        return words.describe(Claim(NamedTime(None, 0), None, kind))[:2]

    assert [named(kind) for kind in ("下单", "BUY!", "下单?")] == [
        ("购买", "conversion"),
        ("购买", "conversion"),
        ("下单?", "engagement"),
    ]
    assert named("聚餐") == ("聚会", "engagement")
    assert named("用餐") == ("用餐", "engagement"), "what is a type itself stays one"


@pytest.mark.parametrize("is_open", [True, False])
def test_only_a_closed_vocabulary_has_an_outside(is_open: bool) -> None:
    long = "y" * (MAX_TYPE + 9)
    types = (EventType("购买"), EventType(long))
    words = Labels(Vocabulary(types, (Category("all"),), is_open, (("下单", "购买"),)))
    described = [
        words.describe(Claim(NamedTime(None, 0), None, kind))[0] for kind in ("购买", "下单", "看车", long)
    ]
    assert [words.is_outside(kind) for kind in described] == [False, False, not is_open, False]


def test_a_mark_may_be_a_character_that_otherwise_only_adorns() -> None:
    words = Labels(Vocabulary((), (Category("big", "*"), Category("small"))))
    assert words.describe(Claim(NamedTime(None, 0), None, "a*"))[:2] == ("a", "big")
    assert words.describe(Claim(NamedTime(None, 0), None, "a: b"))[0] == "a: b", "no type is known"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" a \n\t b\r\n", "a b"),
        ("a\u202eb\u2066c\x1b[0m", "a b c [0m"),
        ("a\x00b\ud800c", "a b c"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("x" * 100, "x" * 40),
        ("x" * 39 + " y", "x" * 39),
    ],
)
def test_shown_text_is_one_short_safe_line(text: str, line: str) -> None:
    assert one_line(text, 40) == line
