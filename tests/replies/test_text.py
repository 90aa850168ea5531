import pytest

from eventabs.replies.text import AnswerText, fold, one_line, without_reasoning


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", AnswerText("plain")),
        ("\ufeff plain", AnswerText("plain")),
        ("<think>a</think>b", AnswerText("b")),
        ("a</think>b", AnswerText("b")),
        ("<think>a</think>b</think>c", AnswerText("c")),
        ("b\n<think>a</think>", AnswerText("b\n")),
        ("a</think>", AnswerText("")),
        ("<think>a", AnswerText("", "a")),
        ("b\n<THINKING>a", AnswerText("b\n", "a")),
        ("b <think>a", AnswerText("b <think>a")),
        ("[THINK]a[/THINK]b", AnswerText("b")),
        ("◁think▷a◁/think▷b", AnswerText("b")),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", AnswerText("b")),
        ("<thinker>a</thinker>b", AnswerText("<thinker>a</thinker>b")),
    ],
)
def test_reasoning_is_taken_away(text: str, answer: AnswerText) -> None:
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
