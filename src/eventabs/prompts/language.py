"""In which language to ask."""

import re
from collections.abc import Iterable

from eventabs.language import Language

_CHINESE_SHARE = 0.1  # names of brands and apps are Latin in Chinese exports too
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


def prompt_language(texts: Iterable[str]) -> Language:
    """Return "zh" where more than one in ten letters of the sample is Chinese, else "en"."""
    letters = chinese = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        chinese += len(_CJK.findall(text))
    return "zh" if chinese > _CHINESE_SHARE * letters else "en"
