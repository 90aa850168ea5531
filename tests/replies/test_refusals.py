import pytest

from eventabs.replies.reader import is_refusal


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，我无法完成。",
        "很抱歉，",
        "对不起，",
        "我无法提供",
        "我不能",
        "作为一个AI语言模型，",
        "I'm sorry, but",
        "**I’m really sorry",
        "Sorry, I can't",
        "I cannot help",
        "I can’t",
        "I am unable to",
        "I apologize, but",
        "Unfortunately, I",
        "As an AI",
    ],
)
def test_a_refusal_is_known_by_its_opening(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["", "Here are the events", "用户无法", "Sorrysoft", "I can see", "The user said: I cannot"]
)
def test_other_texts_are_no_refusal(text: str) -> None:
    assert not is_refusal(text)
