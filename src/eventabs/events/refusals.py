"""Whether a reply without any event is a refusal."""

import re

_OPENINGS = re.compile(
    r"\W*(?:(?:我)?(?:很|非常|十分)?(?:抱歉|对不起|遗憾)|我?(?:无法|不能|没有办法|拒绝)"
    r"|作为(?:一[个名])?(?:AI|人工智能|语言模型)"
    r"|(?:i[’']?m|i am)(?: (?:very|so|really))? sorry|sorry\b|i apologi[sz]e|unfortunately,? i"
    r"|i (?:cannot|can[’']?t|can not|won[’']?t|will not|must decline)|(?:i[’']?m|i am) (?:unable|not able)"
    r"|as an? (?:ai|artificial|language)|i refuse)",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether `text` opens as models open a refusal, in Chinese or English."""
    return _OPENINGS.match(text[:200]) is not None
