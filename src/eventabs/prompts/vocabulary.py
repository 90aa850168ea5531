"""The words of prompts in each language: verbs and days of compact lines, and the default types of events."""

from collections.abc import Sequence

from eventabs.language import Language
from eventabs.records import Category, EventType, Vocabulary

ACTIONS = ("use", "browse", "click", "search", "compare", "cart", "favorite", "purchase")
# Chosen by their number of tokens behind a space in cl100k_base: 用 点 搜 对比 加购 take 2 (比 would take 3), 看 收藏 买
# take 3 (购买 5); every English verb takes 1. In o200k_base all take 1 but for 对比 and 加购, which take 2.
VERBS: dict[Language, dict[str, str]] = {
    "zh": dict(zip(ACTIONS, ["用", "看", "点", "搜", "对比", "加购", "收藏", "买"], strict=True)),
    "en": dict(
        zip(ACTIONS, ["use", "view", "click", "search", "compare", "cart", "save", "buy"], strict=True)
    ),
}
WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
YEARS: dict[Language, str] = {"zh": "岁", "en": "y"}

CONVERSION = "conversion"
ENGAGEMENT = "engagement"

DEFAULT_CATEGORIES: tuple[Category, ...] = (Category(CONVERSION, "!"), Category(ENGAGEMENT))


def _types(engagements: str, conversions: str) -> tuple[EventType, ...]:
    return (
        *map(EventType, engagements.split(", ")),
        *(EventType(name, CONVERSION) for name in conversions.split(", ")),
    )


DEFAULT_TYPES: dict[Language, tuple[EventType, ...]] = {
    "zh": _types(
        "浏览, 搜索, 对比, 收藏, 看车, 看房, 使用应用, 用餐, 点外卖, 工作, 学习, 阅读, 居家, 休息, 运动, 娱乐, 社交, "
        "购物, 买菜, 出行, 旅行, 住宿, 就医, 育儿, 理财, 生活服务",
        "到店, 加购, 购买",
    ),
    "en": _types(
        "browsing, searching, comparing, saving, car viewing, house hunting, app use, dining, food delivery, work, study, "
        "reading, at home, rest, exercise, entertainment, socializing, shopping, groceries, travel, trip, lodging, "
        "health care, parenting, finance, services",
        "store visit, add to cart, purchase",
    ),
}


def default_vocabulary(
    language: Language, categories: Sequence[Category] = DEFAULT_CATEGORIES, *, open_types: bool = True
) -> Vocabulary:
    """Return the shipped types of `language`; they keep only the given categories."""
    known = {category.name for category in categories}
    types = tuple(
        kind if kind.category in known else EventType(kind.name) for kind in DEFAULT_TYPES[language]
    )
    return Vocabulary(types, tuple(categories), open_types)
