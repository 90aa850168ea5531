"""The event types that are offered when the config names none."""

from collections.abc import Sequence

from eventabs.language import Language
from eventabs.records import Category, EventType, Vocabulary

CONVERSION = "conversion"
ENGAGEMENT = "engagement"

DEFAULT_CATEGORIES: tuple[Category, ...] = (Category(CONVERSION, "!"), Category(ENGAGEMENT))

DEFAULT_TYPES: dict[Language, tuple[EventType, ...]] = {
    "zh": (
        EventType("浏览"),
        EventType("搜索"),
        EventType("对比"),
        EventType("收藏"),
        EventType("看车"),
        EventType("看房"),
        EventType("使用应用"),
        EventType("用餐"),
        EventType("点外卖"),
        EventType("工作"),
        EventType("学习"),
        EventType("阅读"),
        EventType("居家"),
        EventType("休息"),
        EventType("运动"),
        EventType("娱乐"),
        EventType("社交"),
        EventType("购物"),
        EventType("买菜"),
        EventType("出行"),
        EventType("旅行"),
        EventType("住宿"),
        EventType("就医"),
        EventType("育儿"),
        EventType("理财"),
        EventType("生活服务"),
        EventType("到店", CONVERSION),
        EventType("加购", CONVERSION),
        EventType("购买", CONVERSION),
    ),
    "en": (
        EventType("browsing"),
        EventType("searching"),
        EventType("comparing"),
        EventType("saving"),
        EventType("car viewing"),
        EventType("house hunting"),
        EventType("app use"),
        EventType("dining"),
        EventType("food delivery"),
        EventType("work"),
        EventType("study"),
        EventType("reading"),
        EventType("at home"),
        EventType("rest"),
        EventType("exercise"),
        EventType("entertainment"),
        EventType("socializing"),
        EventType("shopping"),
        EventType("groceries"),
        EventType("travel"),
        EventType("trip"),
        EventType("lodging"),
        EventType("health care"),
        EventType("parenting"),
        EventType("finance"),
        EventType("services"),
        EventType("store visit", CONVERSION),
        EventType("add to cart", CONVERSION),
        EventType("purchase", CONVERSION),
    ),
}


def default_vocabulary(
    language: Language, categories: Sequence[Category] = DEFAULT_CATEGORIES, *, open_types: bool = True
) -> Vocabulary:
    """Return the shipped types of `language` under the given categories.

    A type keeps its category only where that is one of `categories`.
    """
    known = {category.name for category in categories}
    types = tuple(
        kind if kind.category in known else EventType(kind.name) for kind in DEFAULT_TYPES[language]
    )
    return Vocabulary(types, tuple(categories), open_types)
