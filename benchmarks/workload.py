"""Seeded user behavior at any size: the same options always give the same bytes, in constant memory.

    python benchmarks/workload.py --users 486 --behaviors 92 --seed 7 --format csv --output behaviors.csv

Everybody lives through the same story at their own pace: they browse cars, search, compare, visit dealers and
some buy, between meals, sport, apps and now and then a journey of days. Minutes are uniform, some behaviors
share one, stays cross midnight, and rows are not sorted by time. Brands, sites and places are invented.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, TextIO

Format = Literal["csv", "jsonl", "text"]

FIRST_DAY = datetime(2025, 11, 24)  # noqa: DTZ001 - wall time, as exports have it
DAYS_AHEAD = 4_000
DAYS = [f"{FIRST_DAY + timedelta(days=day):%Y-%m-%d}" for day in range(DAYS_AHEAD)]
BEHAVIORS_A_DAY = 4
SHUFFLED_AT_ONCE = 5_000  # rows that are held, so that users and days are mixed

MODELS = [
    f"{brand}_{model}"
    for brand, models in {
        "星瀚": ("M5", "M7", "远望者"),
        "云驰": ("灵犀", "逐光", "K3", "K5"),
        "北岭": ("山海H6", "山海H8", "WAY V7"),
        "澄海": ("浪", "汐", "湾"),
        "洛神": ("Lumen", "Aria", "E-Nova"),
    }.items()
    for model in models
]
CAR_SITES = ("车迹汽车网", "选车之友", "新程汽车", "驾域汽车", "懂驾")
CAR_APPS = ("车迹汽车网", "选车之友", "懂驾")
APPS = ("蓝信微聊", "小绿书", "颤音", "众口点评", "行者地图")
PLACES = ("XX私房小馆", "XX炭火烧肉餐厅", "XX海派西餐厅", "XX湖滨高尔夫球场", "XX商务会所", "XX云顶健身房")
HOTELS = ("XX望江酒店", "XX雪山度假酒店", "XX海湾民宿")
QUESTIONS = ("", "价格", "油耗", "配置", "怎么样", "保养贵不贵")
PEOPLE = ("同事老周", "物业小陈", "楼下邻居", "表妹", "供应商", "孩子班主任", "装修师傅", "大学室友")
DEEDS = (
    "约好周末见面",
    "核对账目",
    "商量接送时间",
    "取回寄存的包裹",
    "改签行程",
    "修好了水管",
    "借走一本旧书",
)
PLACES_OF_DEEDS = ("地铁口", "小区门口", "三号会议室", "社区食堂", "河边步道", "学校后门", "车库", "咖啡馆")
OCCUPATIONS = ("教师", "工程师", "医生", "个体经营者", "护士", "设计师", "企业管理者", "公务员", "销售")
CITIES = ("杭州", "成都", "武汉", "西安", "苏州", "长沙", "青岛", "重庆", "广州")
INTERESTS = ("摄影", "音乐", "徒步", "阅读", "高尔夫", "烹饪", "科技", "园艺")
INTENTS = ("无", "观望", "首购", "换购")

# Shares of the actions in the three thirds of a story.
STORY: tuple[tuple[tuple[str, ...], tuple[float, ...]], ...] = (
    (("browse", "use_app", "visit_poi"), (0.6, 0.8, 1.0)),
    (("search", "click", "browse", "visit_poi", "use_app"), (0.35, 0.6, 0.85, 0.93, 1.0)),
    (("compare", "click", "browse", "dealer", "add_cart", "purchase"), (0.4, 0.65, 0.85, 0.96, 0.985, 1.0)),
)


class Row(NamedTuple):
    """A behavior as exported. "" where a column does not apply; `text` only where it is free text."""

    user_id: str
    timestamp: str
    action: str
    item_id: str = ""
    app_id: str = ""
    media_id: str = ""
    poi_id: str = ""
    duration: str = ""
    text: str = ""


COLUMNS = ("user_id", "action", "timestamp", "item_id", "app_id", "media_id", "poi_id", "duration")


def generate(
    users: int, behaviors: int, seed: int, *, unique_text: float = 0.0, first: int = 1
) -> Iterator[Row]:
    """Yield the rows of `users` users with `behaviors` each on average, mixed.

    `unique_text` is the share of rows that are free text and occur once. Users before number `first` are left out.
    """
    order = Random(f"{seed}:order")
    held: list[Row] = []
    for user in range(first, users + 1):
        for row in _life(user, behaviors, Random(f"{seed}:{user}"), unique_text):
            if len(held) < SHUFFLED_AT_ONCE:
                held.append(row)
                continue
            position = int(order.random() * SHUFFLED_AT_ONCE)
            yield held[position]
            held[position] = row
    order.shuffle(held)
    yield from held


def profiles(users: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield the header and one profile a user."""
    yield (
        "user_id",
        "age",
        "gender",
        "income",
        "occupation",
        "city",
        "interests",
        "budget",
        "has_car",
        "purchase_intent",
    )
    for user in range(1, users + 1):
        rng = Random(f"{seed}:{user}:profile")
        income = rng.randrange(6_000, 60_000)
        yield (
            _user_id(user),
            str(rng.randrange(20, 65)),
            rng.choice("男女"),
            str(income),
            rng.choice(OCCUPATIONS),
            rng.choice(CITIES),
            ",".join(rng.sample(INTERESTS, 3)),
            str(income // 1_200),
            rng.choice("是否"),
            rng.choice(INTENTS),
        )


def sentence(row: Row) -> str:
    """Say a row as a sentence that holds the same facts."""
    seconds = int(row.duration or 0)
    where = row.app_id or row.media_id or row.poi_id
    match row.action:
        case "":
            return row.text
        case "visit_poi":
            return f"在{row.poi_id}停留 {_spoken(seconds)}"
        case "use_app":
            return f"使用{row.app_id} {_spoken(seconds)}"
        case "browse":
            return f"浏览{row.item_id} 在{where}上 {seconds}秒"
        case "add_cart":
            return f"将{row.item_id}加入购物车 在{where}"
        case action:
            verb = {"search": "搜索", "click": "点击", "compare": "对比", "purchase": "购买"}[action]
            return f"{verb}{row.item_id} 在{where}"


def write(rows: Iterator[Row], form: Format, out: TextIO) -> None:
    """Write rows as CSV or JSON lines of columns, or as JSON lines of sentences ("text")."""
    if form == "csv":
        table = csv.writer(out, lineterminator="\n")
        table.writerow((*COLUMNS, "behavior_text"))
        table.writerows((row.user_id, row.action, row.timestamp, *row[3:8], row.text) for row in rows)
        return
    as_object: Callable[[Row], dict[str, str | int]] = _facts if form == "jsonl" else _as_sentence
    out.writelines(json.dumps(as_object(row), ensure_ascii=False) + "\n" for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a workload as the command line asks."""
    options = _options(arguments)
    rows = generate(options.users, options.behaviors, options.seed, unique_text=options.unique_text)
    with _opened(options.output) as out:
        write(rows, options.format, out)
    if options.profiles:
        with _opened(options.profiles) as out:
            csv.writer(out, lineterminator="\n").writerows(profiles(options.users, options.seed))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write seeded user behavior of any size.")
    parser.add_argument("--users", type=int, default=486)
    parser.add_argument("--behaviors", type=int, default=92, help="of a user, on average")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--unique-text", type=float, default=0.0, help="share of free text that occurs once")
    parser.add_argument("--format", choices=("csv", "jsonl", "text"), default="csv")
    parser.add_argument("--output", default="-", help="file to write, - for standard output")
    parser.add_argument("--profiles", default="", help="CSV file for the users' profiles")
    return parser.parse_args(arguments)


def _opened(name: str) -> TextIOWrapper | nullcontext[TextIO]:
    return nullcontext(sys.stdout) if name == "-" else Path(name).open("w", encoding="utf-8", newline="")


def _life(user: int, mean: int, rng: Random, unique_text: float) -> Iterator[Row]:
    """Yield one user's rows in time order: between half and one and a half times the mean, at least one."""
    user_id = _user_id(user)
    count = max(1, round(mean * (0.5 + rng.random())))
    favorites = rng.sample(MODELS, 4)
    buys = rng.random() < 0.2
    hotel_at = int(rng.random() * count * 2)  # half of the users travel once
    for number, seconds in enumerate(_moments(count, rng)):
        when = (
            f"{DAYS[seconds // 86_400]} {seconds // 3_600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        )
        if number == hotel_at:
            stay = 86_400 + int(rng.random() * 3 * 86_400)
            yield Row(user_id, when, "visit_poi", poi_id=_one(HOTELS, rng), duration=str(stay))
        elif rng.random() < unique_text:
            yield Row(user_id, when, "", text=_free_text(user, number, rng))
        else:
            action = _action(number / count, rng, buys=buys)
            yield _row(user_id, when, action, favorites, rng)


def _moments(count: int, rng: Random) -> list[int]:
    """Return seconds since the first day, ascending: uniform, and some in the same minute as the one before."""
    span = min(DAYS_AHEAD, max(1, count // BEHAVIORS_A_DAY)) * 86_400
    moments: list[int] = []
    while len(moments) < count:
        moment = int(rng.random() * span)
        moments.append(moment)
        while rng.random() < 0.06 and len(moments) < count:  # a burst
            moments.append(moment - moment % 60 + int(rng.random() * 60))
    moments.sort()
    return moments


def _action(progress: float, rng: Random, *, buys: bool) -> str:
    actions, shares = STORY[int(progress * 3)]
    chance = rng.random()
    action = next(action for action, share in zip(actions, shares, strict=True) if chance < share)
    return "click" if action == "purchase" and not buys else action


def _row(user_id: str, when: str, action: str, favorites: list[str], rng: Random) -> Row:
    item = _one(favorites, rng)
    facts: dict[str, str]
    match action:
        case "visit_poi":
            facts = {"poi_id": _one(PLACES, rng), "duration": _between(1_800, 7_200, rng)}
        case "dealer":
            action = "visit_poi"
            facts = {"poi_id": _dealer(item), "duration": _between(1_800, 7_200, rng)}
        case "use_app":
            app = _one(CAR_APPS if rng.random() < 0.4 else APPS, rng)
            facts = {"app_id": app, "duration": _between(60, 1_800, rng)}
        case "browse":
            facts = {"item_id": item, "media_id": _one(CAR_SITES, rng), "duration": _between(30, 300, rng)}
        case "click":
            facts = {"item_id": f"{item}_详情页", "media_id": _one(CAR_SITES, rng)}
        case "search":
            query = item.replace("_", "") + _one(QUESTIONS, rng)
            facts = {"item_id": query, "app_id": _one(CAR_APPS, rng)}
        case "compare":
            both = ",".join(dict.fromkeys((item, _one(favorites, rng))))
            facts = {"item_id": f"对比_{both}", "app_id": CAR_APPS[0], "duration": _between(120, 600, rng)}
        case "add_cart":
            facts = {"item_id": item, "app_id": CAR_APPS[0]}
        case _:
            facts = {"item_id": item, "poi_id": _dealer(item)}
    return Row(user_id, when, action, **facts)


def _dealer(item: str) -> str:
    return item.partition("_")[0] + "4S店"


def _free_text(user: int, number: int, rng: Random) -> str:
    return f"在{_one(PLACES_OF_DEEDS, rng)}和{_one(PEOPLE, rng)}{_one(DEEDS, rng)}，备忘{user:x}-{number}"


def _one(choices: Sequence[str], rng: Random) -> str:
    return choices[int(rng.random() * len(choices))]


def _between(low: int, high: int, rng: Random) -> str:
    return str(low + int(rng.random() * (high - low)))


def _user_id(user: int) -> str:
    return f"user_{user:04}"


def _spoken(seconds: int) -> str:
    hours, minutes = seconds // 3_600, seconds // 60 % 60
    parts = [f"{hours}小时"] * (hours > 0) + [f"{minutes}分钟"] * (minutes > 0)
    return "".join(parts)


def _facts(row: Row) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"user_id": row.user_id, "timestamp": row.timestamp}
    facts |= {name: value for name, value in zip(Row._fields[2:7], row[2:7], strict=True) if value}
    if row.duration:
        facts["duration"] = int(row.duration)
    if row.text:
        facts["behavior_text"] = row.text
    return facts


def _as_sentence(row: Row) -> dict[str, str | int]:
    return {"user_id": row.user_id, "timestamp": row.timestamp, "behavior_text": sentence(row)}


if __name__ == "__main__":
    main()
