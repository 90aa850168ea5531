"""The prompt speaks the language of the data."""

import pytest

from eventabs.language import Language
from eventabs.prompts.templates import prompt_language


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
