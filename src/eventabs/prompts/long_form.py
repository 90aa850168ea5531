"""Behaviors in their long form: the sentences that compaction is measured against."""

from collections import Counter
from collections.abc import Iterable, Sequence

from eventabs.language import Language
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import Behavior, SentenceUse, UserLog

# {} is the item. Structured rows read so when they are written out.
_VERBS: dict[Language, dict[str, str]] = {
    "zh": {
        "": "{}",
        "visit": "在{}停留",
        "use": "使用{}",
        "browse": "浏览{}",
        "click": "点击{}",
        "search": "搜索{}",
        "compare": "对比{}",
        "cart": "将{}加入购物车",
        "favorite": "收藏{}",
        "purchase": "购买{}",
    },
    "en": {
        "": "{}",
        "visit": "stayed at {}",
        "use": "used {}",
        "browse": "viewed {}",
        "click": "clicked {}",
        "search": "searched for {}",
        "compare": "compared {}",
        "cart": "put {} into the cart",
        "favorite": "saved {}",
        "purchase": "bought {}",
    },
}
_MINUTE = 60
_IN_SECONDS = "browse"
_WITHOUT_DURATION = frozenset({"click", "search", "compare", "cart", "favorite", "purchase"})


def sentence(behavior: Behavior, language: Language = "zh") -> str:
    """Return the export's own sentence, or for a structured row the one that says the same.

    In Chinese: 在X停留 1小时14分钟, 使用A 13分钟, 浏览A 在B上 292秒, and without a duration 点击A 在B,
    搜索Q 在B, 对比A 在B, 将A加入购物车 在B, 收藏A 在B, 购买A 在B. Other actions: their word, A 在B, duration.
    """
    if behavior.text:
        return behavior.text
    action = behavior.action
    what = _VERBS[language].get(action, action + " {}").replace("{}", behavior.item, 1)
    duration = None if action in _WITHOUT_DURATION else behavior.duration
    if language == "en":
        where = f"on {behavior.place}" if behavior.place else ""
        how_long = "" if duration is None else f"for {_english(duration)}"
    else:
        where = f"在{behavior.place}" if behavior.place else ""
        where += "上" if where and action == _IN_SECONDS else ""
        how_long = "" if duration is None else _chinese(duration, action)
    return " ".join(filter(None, (what, where, how_long)))


def long_pieces(log: UserLog, language: Language = "zh") -> Sequence[str]:
    """Return a user's lines joined by newlines, each `YYYY-MM-DD HH:MM:SS sentence`.

    In pieces whose token counts add up (see TokenCounter.total).
    """
    pieces: list[str] = []
    for behavior in log.behaviors:
        stamp = behavior.start.isoformat(" ")
        pieces += (stamp[:10], stamp[10:16], stamp[16:19], *_behind_stamp(behavior, language))
    if pieces:
        pieces[-1] = pieces[-1].removesuffix("\n")
    return pieces


def long_tokens(
    counter: TokenCounter,
    sentences: Iterable[SentenceUse],
    stamps: Iterable[tuple[str, int]],
    language: Language,
) -> int:
    """Count the tokens of `long_pieces` for many users at once, where counts add up.

    `stamps` are the pieces of the stamps, each with how often it occurs.
    """
    pieces: Counter[str] = Counter(dict(stamps))
    for behavior, uses, last_uses in sentences:
        *words, end = _behind_stamp(behavior, language)
        for piece in words:
            pieces[piece] += uses
        pieces[end] += uses - last_uses
        if last_uses:
            pieces[end.removesuffix("\n")] += last_uses
    counts = zip(counter.counts(list(pieces)), pieces.values(), strict=True)
    return sum(tokens * count for tokens, count in counts)


def _behind_stamp(behavior: Behavior, language: Language) -> tuple[str, ...]:
    text = sentence(behavior, language)
    # the last word is mostly a duration, and what stands before it is repeated
    words, _, last = text.rpartition(" ")
    return (f" {words}", f" {last}\n") if words[-1:].strip() else (f" {text}\n",)


def _chinese(seconds: int, action: str) -> str:
    if action == _IN_SECONDS or seconds < _MINUTE:
        return f"{seconds}秒"
    hours, minutes = divmod(seconds // _MINUTE, 60)
    return (f"{hours}小时" if hours else "") + (f"{minutes}分钟" if minutes else "")


def _english(seconds: int) -> str:
    if seconds < _MINUTE:
        return f"{seconds} seconds"
    hours, minutes = divmod(seconds // _MINUTE, 60)
    return " ".join(
        filter(None, (f"{hours} hours" if hours else "", f"{minutes} minutes" if minutes else ""))
    )
