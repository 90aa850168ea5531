import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.choices import Detail
from eventabs.errors import ConfigError
from eventabs.language import Language
from eventabs.providers.rules import (
    WORDING,
    RulesProvider,
    Summarizer,
    clip,
    find_segments,
    load_rules,
    shipped_rules,
    width,
)
from eventabs.records import Behavior, Category, Reply, Request, Usage, UserLog, Vocabulary

# provider


VOCABULARY = Vocabulary((), (Category("conversion", "!"), Category("engagement")))
RULES = load_rules(shipped_rules(), "zh")
ENGLISH = load_rules(shipped_rules(), "en")
JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))  # they stay: emoji and some scripts need them
HALF_A_YEAR = timedelta(days=183)
LINE = re.compile(
    r"(?P<start>\d\d:\d\d)(?:-(?:(?:(?P<year>\d{4})-)?(?P<day>\d\d-\d\d) )?(?P<end>\d\d:\d\d))?"
    r" (?P<type>[^\s|!][^|!]*?)(?P<mark>!?)(?: \| (?P<summary>\S.*))?"
)


@dataclass(frozen=True)
class Read:
    """An event as the text says it, with the minutes that it names."""

    start: datetime
    end: datetime
    type: str
    mark: str
    summary: str


def parse(text: str) -> dict[str, list[Read]]:
    """Read a whole answer; fails on any line that is not to the letter of the form."""
    *lines, last = text.split("\n")
    assert last == "##"
    users: dict[str, list[Read]] = {}
    day = None
    for line in lines:
        if line.startswith("## "):
            events = users.setdefault(line.removeprefix("## "), [])
            day = None
        elif header := re.fullmatch(r"# (?:(\d{4})-)?(\d\d)-(\d\d)", line):
            year = int(header[1]) if header[1] else day.year if day else 0
            day = date(year, int(header[2]), int(header[3]))
        else:
            assert day is not None
            match = LINE.fullmatch(line)
            assert match, line
            events.append(event_of(match, day))
    return users


def event_of(match: re.Match[str], day: date) -> Read:
    start = at(day, match["start"])
    if match["end"] is None:
        end = start
    elif match["day"] is None:
        end = at(day, match["end"])
        if end < start:
            end += timedelta(days=1)
    elif match["year"]:
        end = at(date.fromisoformat(f"{match['year']}-{match['day']}"), match["end"])
    else:
        end = at(date.fromisoformat(f"{day.year}-{match['day']}"), match["end"])
        if end < start:
            end = at(date.fromisoformat(f"{day.year + 1}-{match['day']}"), match["end"])
            assert end - start < HALF_A_YEAR
    assert start <= end
    return Read(start, end, match["type"], match["mark"], match["summary"] or "")


def at(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}")


def covered(events: list[Read], log: tuple[Behavior, ...]) -> list[list[int]]:
    """Return which behaviors each event covers, by the documented rule."""
    starts = {event.start for event in events}
    minutes = [behavior.start.replace(second=0, microsecond=0, tzinfo=None) for behavior in log]
    return [
        [
            position
            for position, minute in enumerate(minutes)
            if event.start <= minute <= event.end
            and not (minute == event.end > event.start and event.end in starts)
        ]
        for event in events
    ]


def behavior(start: str, action: str, item: str, place: str = "", duration: int | None = None) -> Behavior:
    return Behavior(datetime.fromisoformat(start), action, item, place, duration)


async def answer(log: list[Behavior], detail: Detail = "day", *, english: bool = False) -> str:
    provider = RulesProvider(ENGLISH if english else RULES, VOCABULARY, detail)
    request = Request((), {"U1": UserLog("someone", tuple(log))}, 0, 0)
    return (await provider.complete(request)).text


async def lines(log: list[Behavior], detail: Detail = "day", *, english: bool = False) -> list[str]:
    text = await answer(log, detail, english=english)
    parse(text)
    return text.split("\n")[1:-1]


DEALER = [
    behavior("2026-01-05 10:00:05", "visit", "宝马4S店", duration=6_900),
    behavior("2026-01-05 10:30:00", "use", "微信", duration=600),
]


async def test_the_reply_is_whole_and_costs_nothing() -> None:
    provider = RulesProvider(RULES, VOCABULARY)
    reply = await provider.complete(Request((), {"U1": UserLog("a", tuple(DEALER))}, 0, 0))
    await provider.aclose()
    assert reply == Reply(
        "## U1\n# 2026-01-05\n10:00-10:30 到店! | 宝马4S店看车 1小时55分钟\n10:30-10:40 社交 | 微信 10分钟\n##",
        usage=Usage(),
    )


async def test_english_types_and_summaries() -> None:
    assert await lines(DEALER, english=True) == [
        "# 2026-01-05",
        "10:00-10:30 store visit! | looking at cars at 宝马4S店 1 h 55 min",
        "10:30-10:40 socializing | 微信 10 min",
    ]


async def test_every_user_of_the_request_is_answered_in_order() -> None:
    users = {f"U{n}": UserLog(str(n), tuple(DEALER[:1])) for n in (1, 2, 3)}
    reply = await RulesProvider(RULES, VOCABULARY).complete(Request((), users, 0, 0))
    assert list(parse(reply.text)) == ["U1", "U2", "U3"]


async def test_a_visit_overnight_ends_on_the_next_day_and_one_of_days_names_its_last() -> None:
    assert await lines([behavior("2026-01-04 22:10", "visit", "XX会所", duration=12_000)]) == [
        "# 2026-01-04",
        "22:10-01:30 社交 | 会所聚会 3小时20分钟",
    ]
    assert await lines([behavior("2026-01-03 20:00", "visit", "XX酒店", duration=133_800)]) == [
        "# 2026-01-03",
        "20:00-01-05 09:10 住宿 | 酒店住宿 1天13小时",
    ]


async def test_a_day_and_an_hour_is_not_read_as_an_hour() -> None:
    log = [behavior("2026-01-03 20:00", "visit", "XX酒店", duration=86_400 + 3_600)]
    assert (await lines(log))[1].startswith("20:00-01-04 21:00 ")
    log = [behavior("2026-01-03 20:00", "visit", "XX酒店", duration=86_400)]
    assert (await lines(log))[1].startswith("20:00-01-04 20:00 ")


async def test_the_year_stands_where_it_changes() -> None:
    log = [
        behavior("2025-12-31 23:00", "visit", "餐厅", duration=5_400),
        behavior("2026-01-02 12:00", "visit", "餐厅"),
        behavior("2026-01-03 12:00", "purchase", "车"),
    ]
    assert [line for line in await lines(log) if line.startswith("#")] == [
        "# 2025-12-31",
        "# 2026-01-02",
        "# 01-03",
    ]
    assert "23:00-00:30 用餐 | 餐厅用餐 1小时30分钟" in await lines(log)


async def test_an_end_more_than_half_a_year_ahead_in_another_year_names_its_year() -> None:
    assert (await lines([behavior("2025-06-01 10:00", "visit", "公寓", duration=86_400 * 250)]))[
        1
    ].startswith("10:00-2026-02-06 10:00 ")
    assert (await lines([behavior("2025-12-01 10:00", "visit", "公寓", duration=86_400 * 40)]))[1].startswith(
        "10:00-01-10 10:00 "
    )


async def test_a_duration_beyond_the_calendar_does_no_harm() -> None:
    log = [Behavior(datetime.fromisoformat("9999-12-31 10:00"), "visit", "家", "", 10**9)]
    assert (await lines(log))[1].startswith("10:00 居家 ")


async def test_times_with_an_offset_are_printed_as_wall_time() -> None:
    east = timezone(timedelta(hours=8))
    log = [Behavior(datetime(2026, 1, 5, 0, 30, tzinfo=east), "visit", "餐厅", "", 600)]
    assert (await lines(log))[:2] == ["# 2026-01-05", "00:30-00:40 用餐 | 餐厅用餐 10分钟"]


async def test_a_clock_that_is_set_back_loses_nobody() -> None:
    summer, winter = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
    log = (
        Behavior(datetime(2026, 10, 25, 2, 50, tzinfo=summer), "visit", "餐厅"),
        Behavior(datetime(2026, 10, 25, 2, 10, tzinfo=winter), "purchase", "车"),
        Behavior(datetime(2026, 10, 25, 2, 50, tzinfo=winter), "use", "微信"),
    )
    events = parse(await answer(list(log)))["U1"]
    assert covered(events, log) == [[1], [0, 2]]


async def test_behaviors_of_a_purchase_minute_are_told_with_the_purchase() -> None:
    log = [
        behavior("2026-01-05 10:00:01", "browse", "星瀚_M5", "车迹", 20),
        behavior("2026-01-05 10:00:30", "purchase", "星瀚_M5", "星瀚4S店"),
        behavior("2026-01-05 10:00:50", "use", "微信", duration=20),
    ]
    assert await lines(log) == ["# 2026-01-05", "10:00-10:01 购买! | 购买星瀚M5；浏览星瀚M5 20秒；微信 20秒"]


async def test_interleaved_themes_are_cut_into_runs() -> None:
    log = [
        behavior("2026-01-05 08:00", "visit", "公司", duration=14_000),
        behavior("2026-01-05 12:00", "visit", "食堂", duration=1_800),
        behavior("2026-01-05 13:00", "visit", "公司", duration=18_000),
    ]
    assert [event.type for event in parse(await answer(log))["U1"]] == ["工作", "用餐", "工作"]


async def test_a_small_thing_in_between_goes_into_its_surroundings() -> None:
    log = [
        behavior(f"2026-01-05 {hour:02}:00", action, item, "", 600)
        for hour, action, item in [
            (8, "visit", "公司"),
            (9, "use", "微信"),
            (10, "visit", "公司"),
            (11, "use", "高德地图"),
            (12, "visit", "餐厅"),
            (18, "visit", "健身房"),
        ]
    ]
    assert [event.type for event in parse(await answer(log))["U1"]] == ["工作", "用餐", "运动"]


async def test_what_begins_during_a_visit_is_a_part_of_it_but_not_of_a_longer_stay() -> None:
    aside = behavior("2026-01-05 11:00", "browse", "星瀚_M5", "车迹汽车网", 60)
    visit = behavior("2026-01-05 10:00", "visit", "高尔夫球场", duration=2 * 3_600)
    stay = behavior("2026-01-05 10:00", "visit", "酒店", duration=20 * 3_600)
    assert (await lines([visit, aside]))[1:] == ["10:00-12:00 运动 | 高尔夫球场运动 2小时；浏览星瀚M5 1分钟"]
    assert [event.type for event in parse(await answer([stay, aside]))["U1"]] == ["住宿", "看车"]


async def test_fine_keeps_every_session_and_a_pause_ends_one() -> None:
    log = [
        behavior("2026-01-05 10:00", "browse", "A", "车迹汽车网", 1_200),
        behavior("2026-01-05 10:45", "browse", "B", "车迹汽车网", 60),
        behavior("2026-01-05 11:30", "browse", "C", "车迹汽车网", 60),
    ]
    assert [len(parse(await answer(log, detail))["U1"]) for detail in ("fine", "day")] == [2, 1]


async def test_a_session_goes_on_over_midnight() -> None:
    log = [
        behavior("2026-01-05 23:40", "use", "Steam", duration=1_500),
        behavior("2026-01-06 00:20", "use", "Steam", duration=1_500),
    ]
    assert await lines(log) == ["# 2026-01-05", "23:40-00:45 娱乐 | Steam，2次共50分钟"]


def busy_log(days: int) -> list[Behavior]:
    doings = [
        ("visit", "公司"),
        ("use", "微信"),
        ("browse", "星瀚_M5"),
        ("visit", "餐厅"),
        ("search", "星瀚M5价格"),
        ("visit", "健身房"),
        ("visit", "星瀚4S店"),
        ("compare", "对比_星瀚_M5,云驰_K3"),
    ]
    first = datetime.fromisoformat("2026-01-05 08:00")
    return [
        Behavior(first + timedelta(days=day, hours=2 * hour), action, item, "", 900)
        for day in range(days)
        for hour, (action, item) in enumerate(doings)
    ]


@pytest.mark.parametrize(
    ("detail", "days", "most"),
    [("brief", 40, 12), ("day", 12, 12 * 4), ("day", 60, 60 * 4), ("fine", 12, 96)],
)
async def test_each_level_of_detail_keeps_its_measure(detail: Detail, days: int, most: int) -> None:
    log = busy_log(days)
    events = parse(await answer(log, detail))["U1"]
    assert 1 < len(events) <= most
    assert sorted(chain.from_iterable(covered(events, tuple(log)))) == list(range(len(log)))
    if detail != "brief":
        assert sum(event.type == "到店" for event in events) == days


async def test_brief_gives_up_visits_before_purchases() -> None:
    log = [
        behavior(f"2026-01-{day:02} 10:00", "purchase" if day == 9 else "visit", "星瀚4S店")
        for day in range(1, 29)
    ]
    events = parse(await answer(log, "brief"))["U1"]
    assert len(events) == 12
    assert [event.start.day for event in events if event.type == "购买"] == [9]


async def test_the_rules_look_at_no_more_of_a_text_than_a_model_is_sent() -> None:
    begins = "宝马4S店 " + "好" * 194
    short = await answer([behavior("2026-01-05 10:00", "visit", begins, begins, 60)])
    assert len(begins) == 200
    assert (
        await answer([behavior("2026-01-05 10:00", "visit", begins + "医院", begins + " 医院", 60)]) == short
    )
    padded = begins.replace(" ", " " * 100)
    assert await answer([behavior("2026-01-05 10:00", "visit", padded, begins, 60)]) == short


async def test_words_that_say_the_action_themselves_get_no_verb_and_no_phrase_of_a_place() -> None:
    paid = behavior("2026-03-04 10:00", "purchase", "支付停车费", "启程4S店")
    visit = behavior("2026-03-04 12:00", "visit", "启程4S店 试驾", duration=3600)
    search = behavior("2026-03-04 18:00", "search", "在懂车帝搜索宝马7系油耗")
    seen = behavior("2026-03-04 18:05", "browse", "宝马7系", duration=120)
    log = [
        each._replace(text=each.item) if each is not seen else each for each in (paid, visit, search, seen)
    ]
    told = "\n".join(await lines(log, "fine"))
    assert "| 支付停车费，启程4S店" in told
    assert "| 启程4S店 试驾 1小时" in told
    assert "在懂车帝搜索宝马7系油耗" in told


async def test_an_empty_log_is_answered_with_no_event() -> None:
    assert await answer([]) == "## U1\n##"


async def test_marks_come_from_the_vocabulary() -> None:
    vocabulary = Vocabulary((), (Category("conversion", "$"), Category("other")))
    provider = RulesProvider(RULES, vocabulary)
    reply = await provider.complete(Request((), {"U1": UserLog("a", tuple(DEALER[:1]))}, 0, 0))
    assert "到店$ | " in reply.text


def test_a_category_that_the_vocabulary_lacks_is_named() -> None:
    with pytest.raises(ConfigError, match=r"types\.purchase\.category.*conversion.*vocabulary\.categories"):
        RulesProvider(RULES, Vocabulary((), (Category("all"),)))


names = st.one_of(
    st.sampled_from(
        ["XX西餐厅", "微信", "星瀚4S店", "星瀚_M5_详情页", "对比_星瀚_M5,云驰_K3", "公司", "家", "XX"]
    ),
    st.text(max_size=30),
)
actions = st.sampled_from(
    ["visit", "use", "browse", "click", "search", "compare", "cart", "favorite", "purchase", "", "赞"]
)
durations = st.one_of(st.none(), st.integers(0, 7_200), st.integers(80_000, 400_000))
minutes = st.one_of(st.integers(0, 60), st.integers(0, 60 * 72), st.integers(0, 60 * 24 * 500))


@st.composite
def logs(draw: st.DrawFn) -> tuple[Behavior, ...]:
    rows = draw(
        st.lists(
            st.tuples(minutes, st.integers(0, 59), actions, names, names, durations), min_size=1, max_size=25
        )
    )
    first = datetime.fromisoformat("2025-12-30 22:00")
    unordered = [
        Behavior(first + timedelta(minutes=minute, seconds=second), action, item, place, duration, 0, line)
        for line, (minute, second, action, item, place, duration) in enumerate(rows)
    ]
    return tuple(sorted(unordered, key=lambda row: (row.start, row.line)))


def stands_alone(row: Behavior) -> bool:
    return row.action in {"purchase", "cart"} or (row.action == "visit" and "4S" in row.item + row.place)


@settings(max_examples=200, deadline=None)
@given(log=logs(), detail=st.sampled_from(["brief", "day", "fine"]), english=st.booleans())
async def test_any_log_is_covered_once_by_events_that_do_not_overlap(
    log: tuple[Behavior, ...], detail: Detail, *, english: bool
) -> None:
    events = parse(await answer(list(log), detail, english=english))["U1"]
    covers = covered(events, log)
    assert Counter(position for cover in covers for position in cover) == Counter(range(len(log)))
    assert all(covers)
    assert all(one.end <= other.start for one, other in pairwise(events))
    assert all(len(event.summary) <= 200 for event in events)
    assert all(event.summary.translate(JOINERS).isprintable() for event in events)
    if detail == "brief":
        assert len(events) <= 12
        return
    for event, cover in zip(events, covers, strict=True):
        alone = [log[position] for position in cover if stands_alone(log[position])]
        assert (event.mark == "!") == bool(alone)
        if alone:
            assert len({log[position].start.replace(second=0) for position in cover}) == 1


# summary


LANGUAGE_RULES = {language: load_rules(shipped_rules(), language) for language in WORDING}
START = datetime.fromisoformat("2026-01-05 10:00")
Doing = tuple[str, str, str, int | None]


def summarized(*doings: Doing, language: Language = "zh") -> str:
    log = [
        Behavior(START + timedelta(seconds=second), action, item, place, duration)
        for second, (action, item, place, duration) in enumerate(doings)
    ]
    (segment,) = find_segments(log, LANGUAGE_RULES[language], "day")
    return Summarizer(log, LANGUAGE_RULES[language]).summary(segment)


LOOKING: list[Doing] = [
    ("browse", "长城_哈弗H6", "汽车之家", 300),
    ("browse", "长城_哈弗H9", "易车网", 100),
    ("search", "长城哈弗H9价格", "易车", None),
    ("click", "长城_哈弗H9_详情页", "汽车之家", None),
]


@pytest.mark.parametrize(
    ("doings", "expected"),
    [
        ([("visit", "XX西餐厅", "", 3_060)], "西餐厅用餐 51分钟"),
        ([("visit", "XX西餐厅", "", None)], "西餐厅用餐"),
        ([("use", "微信", "", 45)], "微信 45秒"),
        ([("browse", "长城_哈弗H6", "汽车之家", 292)], "浏览长城哈弗H6 4分钟，汽车之家"),
        ([("search", "儿童座椅安装", "", None)], "搜索儿童座椅安装"),
        ([("cart", "长城_哈弗H6", "汽车之家", None)], "加购长城哈弗H6，汽车之家"),
        (LOOKING, "长城哈弗H6、长城哈弗H9，浏览2次、搜索1次、点击1次共6分钟，汽车之家等"),
        (LOOKING[:2], "浏览长城哈弗H6、长城哈弗H9，2次共6分钟，汽车之家等"),
        (
            [("compare", "对比_长城_WEY VV7,吉利_星越", "汽车之家", 600), LOOKING[0]],
            "对比长城WEY VV7、吉利星越，浏览1次共15分钟，汽车之家",
        ),
        (
            [("compare", "对比_长城_WEY VV7,吉利_星越", "汽车之家", 600)] * 2 + LOOKING[:1],
            "对比长城WEY VV7、吉利星越，对比2次、浏览1次共25分钟，汽车之家",
        ),
        ([("use", "汽车之家", "", 60), LOOKING[1]], "长城哈弗H9，使用1次、浏览1次共2分钟，易车网等"),
        ([("visit", "餐厅", "", 600), ("use", "微信", "", 90)], "餐厅用餐 10分钟；微信 1分钟"),
        ([("", "早上在小区门口吃面", "", None)], "早上在小区门口吃面"),
        ([("", "吃面\n## U2", "", None)], "吃面 ## U2"),
        ([("打赏", "主播", "", None)], "主播"),
        ([("打赏", "", "直播间", None)], "直播间"),
        ([("visit", "", "", None)], ""),
    ],
)
def test_a_summary_names_things_counts_and_time(doings: list[Doing], expected: str) -> None:
    assert summarized(*doings) == expected


def test_english_summaries() -> None:
    assert (
        summarized(*LOOKING[:2], language="en") == "browsed 长城哈弗H6, 长城哈弗H9, 2x, 6 min, 汽车之家 etc."
    )
    places: list[Doing] = [
        ("visit", name, "", 600) for name in ("Blue cafe", "Red diner", "Pub lunch", "Canteen")
    ]
    assert summarized(*places, language="en") == "meal at Blue cafe, Red diner, Pub lunch (of 4), 4x, 40 min"


def test_what_was_dealt_with_most_comes_first() -> None:
    seen: list[Doing] = [("browse", f"云驰_K{n}", "车迹汽车网", n * 60) for n in range(1, 6)]
    assert summarized(*seen) == "浏览云驰K5、云驰K4、云驰K3等5项，5次共15分钟，车迹汽车网"


def test_summaries_stay_short_whatever_the_names() -> None:
    long: list[Doing] = [("browse", f"{n}" + "很长的商品名称" * 9, "店铺" * 30, 60) for n in range(4)]
    for count in range(1, 5):
        assert width(summarized(*long[:count])) <= 88
        assert width(summarized(*long[:count], language="en")) <= 96
    assert summarized(("", "长" * 300, "", None)) == "长" * 43 + "…"
    assert summarized(("", "long" * 300, "", None)) == "long" * 21 + "lo…"


def test_further_themes_are_left_out_where_no_room_is() -> None:
    doings: list[Doing] = [("visit", "餐厅" * 20, "", 3_600), ("use", "微信" * 20, "", 60)]
    assert "微信" not in summarized(*doings)


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "", ""),
        (59, "59秒", "59 s"),
        (60, "1分钟", "1 min"),
        (3_600, "1小时", "1 h"),
        (4_499, "1小时14分钟", "1 h 14 min"),
        (306_060, "3天13小时", "3 d 13 h"),
        (86_400 + 120, "1天2分钟", "1 d 2 min"),
    ],
)
def test_times_are_said_in_their_two_largest_units(seconds: int, zh: str, en: str) -> None:
    assert WORDING["zh"].duration(seconds) == zh
    assert WORDING["en"].duration(seconds) == en


def test_a_name_that_is_cut_shows_it() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abcd…"
    assert clip("长城哈弗", 8) == "长城哈弗"
    assert clip("长城哈弗H6", 8) == "长城哈…"
