import pytest

from eventabs.events.cleaning import Answer, fold, one_line, without_reasoning


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", Answer("plain")),
        ("\ufeff plain", Answer("plain")),
        ("<think>a</think>b", Answer("b")),
        ("a</think>b", Answer("b")),
        ("<think>a</think>b</think>c", Answer("c")),
        ("b\n<think>a</think>", Answer("b\n")),
        ("a</think>", Answer("")),
        ("<think>a", Answer("", "a")),
        ("b\n<THINKING>a", Answer("b\n", "a")),
        ("b <think>a", Answer("b <think>a")),
        ("[THINK]a[/THINK]b", Answer("b")),
        ("◁think▷a◁/think▷b", Answer("b")),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", Answer("b")),
        ("<thinker>a</thinker>b", Answer("<thinker>a</thinker>b")),
    ],
)
def test_reasoning_is_taken_away(text: str, answer: Answer) -> None:
    assert without_reasoning(text) == answer


def test_folding_keeps_every_character_in_its_place() -> None:
    assert fold("１０：００～１１：１４　Ｕ１｜！（）") == "10:00-11:14 U1|!()"
    assert fold("用餐 – — a") == "用餐 - - a"


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
