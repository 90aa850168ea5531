"""Behaviors in the long form: the sentences to which compaction is compared."""

from collections import Counter
from collections.abc import Sequence

from eventabs.language import Language
from eventabs.prompts.measurement import UserGroup
from eventabs.prompts.tokens import TokenCounter
from eventabs.prompts.vocabulary import ACTIONS
from eventabs.records import THING, Behavior, UserLog

_ACTIONS = ("", THING, "visit", *ACTIONS)
_CHINESE = "{} {} 在{}停留 使用{} 浏览{} 点击{} 搜索{} 对比{} 将{}加入购物车 收藏{} 购买{}"
_ENGLISH = (
    "{}; {}; stayed at {}; used {}; viewed {}; clicked {}; searched for {}; compared {}; put {} into the cart; saved {}; "
    "bought {}"
)
_SENTENCES: dict[Language, dict[str, str]] = {  # {} is the item
    "zh": dict(zip(_ACTIONS, _CHINESE.split(), strict=True)),
    "en": dict(zip(_ACTIONS, _ENGLISH.split("; "), strict=True)),
}
_MINUTE = 60
_IN_SECONDS = "browse"
_WITHOUT_DURATION = frozenset(ACTIONS) - {"use", "browse"}


def sentence(behavior: Behavior, language: Language = "zh") -> str:
    """Return the export's own sentence, or for a structured row an equivalent one, such as 浏览A 在B上 292秒."""
    if behavior.text:
        return behavior.text
    action = behavior.action
    what = _SENTENCES[language].get(action, action + " {}").replace("{}", behavior.item, 1)
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
    """Return a user's lines `YYYY-MM-DD HH:MM:SS sentence` in pieces for TokenCounter.total."""
    pieces: list[str] = []
    for behavior in log.behaviors:
        stamp = behavior.start.isoformat(" ")
        pieces += (stamp[:10], stamp[10:16], stamp[16:19], *_behind_stamp(behavior, language))
    if pieces:
        pieces[-1] = pieces[-1].removesuffix("\n")
    return pieces


def long_tokens(group: UserGroup, counter: TokenCounter, language: Language) -> int:
    """Count the tokens of the long form of all users of a group."""
    if not counter.adds_up:
        logs = group.logs(range(len(group.users)))
        return sum(counter.total(long_pieces(log, language)) for log in logs)
    pieces: Counter[str] = Counter(dict(group.stamps()))
    for behavior, uses, last_uses in group.sentences():
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
    # the last word is mostly a duration, and the text before it recurs
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
    return " ".join([f"{hours} hours"] * (hours > 0) + [f"{minutes} minutes"] * (minutes > 0))
