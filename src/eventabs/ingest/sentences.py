"""Sentences that hold the facts of a structured row -> those facts, parsed by SQL.

在XX西餐厅停留 1小时14分钟      浏览A 在B上 292秒      使用A 13分钟      搜索Q 在B
点击A 在B      对比A 在B      将A加入购物车 在B      购买A 在B      收藏A 在B
"""

from typing import Final

from eventabs.ingest.actions import Action
from eventabs.ingest.times import SPOKEN

_VERBS: Final[dict[str, Action]] = {
    "浏览": "browse",
    "使用": "use",
    "搜索": "search",
    "点击": "click",
    "对比": "compare",
    "购买": "purchase",
    "收藏": "favorite",
}
_OPENINGS: Final[dict[str, Action]] = {**_VERBS, "在": "visit", "将": "cart", "把": "cart"}

_WHERE_AND_HOW_LONG: Final = rf"(?: 在(.+?))?(?: ({SPOKEN}))?$"
_VISIT: Final = rf"^(在)(.+?)(?:停留|逗留)() ?({SPOKEN})?$"
_CART: Final = rf"^(将|把)(.+?)加入购物车{_WHERE_AND_HOW_LONG}"
_DEED: Final = rf"^({'|'.join(_VERBS)}) ?(.+?){_WHERE_AND_HOW_LONG}"
_FIELDS: Final = "['verb', 'item', 'place', 'spoken']"

# On a site one is 上; a shop's name may well end so.
_ON_A_SITE: Final = "('browse', 'search', 'click', 'compare')"


def parts(sentence: str) -> str:
    """Return SQL that takes the SQL expression `sentence` apart: a struct of verb, item, place and spoken duration.

    The verb is "" or the whole is NULL where the sentence fits no pattern.
    """
    verbs = ", ".join(f"'{verb}'" for verb in _VERBS)
    return (
        # what no visit lacks is looked for first: the regular expression is slow where it fails
        f"CASE WHEN starts_with({sentence}, '在') AND (contains({sentence}, '停留') OR contains({sentence}, '逗留'))"
        f" THEN regexp_extract({sentence}, '{_VISIT}', {_FIELDS})"
        f" WHEN left({sentence}, 1) IN ('将', '把') AND contains({sentence}, '加入购物车') THEN regexp_extract({sentence}, '{_CART}', {_FIELDS})"
        f" WHEN left({sentence}, 2) IN ({verbs}) THEN regexp_extract({sentence}, '{_DEED}', {_FIELDS}) END"
    )


def action(said: str) -> str:
    """Return SQL for the canonical action of the struct made by `parts`, NULL where it fits no pattern."""
    cases = " ".join(f"WHEN '{opening}' THEN '{name}'" for opening, name in _OPENINGS.items())
    return f"CASE {said}.verb {cases} END"


def item(said: str) -> str:
    """Return SQL for what the sentence is about. A search without a site owns its last words: 搜索深圳天气 30分钟."""
    return (
        f"CASE WHEN {_is_bare_search(said)} AND {said}.spoken <> ''"
        f" THEN {said}.item || ' ' || {said}.spoken ELSE {said}.item END"
    )


def place(said: str, doing: str) -> str:
    """Return SQL for where else, "" if nowhere; `doing` is the SQL expression of the canonical action."""
    return (
        f"CASE WHEN {doing} IN {_ON_A_SITE} AND length({said}.place) > 1 AND ends_with({said}.place, '上')"
        f" THEN left({said}.place, -1) ELSE {said}.place END"
    )


def spoken_duration(said: str) -> str:
    """Return SQL for the text of the duration, NULL if there is none."""
    return f"CASE WHEN NOT ({_is_bare_search(said)}) THEN nullif({said}.spoken, '') END"


def _is_bare_search(said: str) -> str:
    return f"{said}.verb = '搜索' AND {said}.place = ''"
