"""Fields from data become one clean line, and lose nothing that anyone would miss."""

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.prompts.compact_lines import MASK, clean, id_pattern, shown, without_marks


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("宝马 7系", "宝马 7系"),
        (" WEY\t VV7\n", "WEY VV7"),
        ("a\r\n## U2\u2028b", "a ## U2 b"),
        ("a\u202eb\u2066c\u200bd\ufeff", "abcd"),
        ("a\x00\x1b[31mb", "a[31mb"),
        ("a \x00 b", "a b"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("bad \ud800 half", "bad \ufffd half"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("", ""),
    ],
)
def test_a_field_is_one_visible_line(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_clean_text_is_stable_encodable_and_has_no_line_ends(raw: str) -> None:
    text = clean(raw)
    assert clean(text) == text
    assert text.encode("utf-8").decode("utf-8").splitlines() in ([], [text])
    assert text == text.strip()


def test_long_fields_are_cut_to_200_characters_and_say_so() -> None:
    assert shown("好" * 200) == "好" * 200
    assert shown("好" * 201) == "好" * 199 + "…"


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("XX西餐厅", "西餐厅"),
        ("XX 西餐厅", "西餐厅"),
        ("朝阳XX大厦", "朝阳大厦"),
        ("XXL衬衫", "XXL衬衫"),
        ("3XX", "3XX"),
        ("xx店", "xx店"),
        ("XX", "XX"),
        ("西餐厅", "西餐厅"),
    ],
)
def test_filler_marks_go_unless_they_are_part_of_a_word_or_all_there_is(name: str, stripped: str) -> None:
    assert without_marks(name, ("XX", "")) == stripped


@pytest.mark.parametrize(
    ("user_id", "text", "masked"),
    [
        ("user_0007", "我是User_0007，你好", f"我是{MASK}，你好"),
        ("user_0007", "user_00071", "user_00071"),
        ("张三", "和张三吃饭", f"和{MASK}吃饭"),
        ("13800138000", "电话13800138000", f"电话{MASK}"),
        ("a.b", "axb a.b", f"axb {MASK}"),
        ("bob", "bobsleigh with Bob", f"bobsleigh with {MASK}"),
        ("ali", "ALİ ile", f"{MASK} ile"),
        ("alıcı", "ALICI geldi", f"{MASK} geldi"),
    ],
)
def test_the_users_own_id_is_found_as_a_whole_word(user_id: str, text: str, masked: str) -> None:
    pattern = id_pattern(user_id, text)
    assert pattern is not None
    assert pattern.sub(MASK, text) == masked


@pytest.mark.parametrize("user_id", ["7", "1234", "x", "", " "])
def test_short_numbers_and_single_characters_are_no_identity(user_id: str) -> None:
    assert id_pattern(user_id, user_id) is None
