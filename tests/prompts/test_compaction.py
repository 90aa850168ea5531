"""Lines are short, cannot be forged, and can be read back to the last behavior."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import Compactor
from eventabs.setting_choices import Compaction
from eventabs.shared_records import THING, Behavior, UserLog
from read_back import BEHAVIORS, at, expand, what_comes_back


def block(
    behaviors: list[Behavior],
    *,
    language: Language = "zh",
    strip: tuple[str, ...] = (),
    user_id: str = "u-17",
    profile: tuple[tuple[str, str], ...] = (),
) -> str:
    return "".join(Compactor(language, strip).block("U1", UserLog(user_id, tuple(behaviors), profile), 1))


def lines_of(behaviors: list[Behavior], strip: tuple[str, ...] = (), user_id: str = "u-17") -> list[str]:
    return Compactor("zh", strip).lines(UserLog(user_id, tuple(behaviors)))


def test_a_block_has_the_documented_shape() -> None:
    behaviors = [
        Behavior(datetime.fromisoformat("2026-01-01T10:00"), "visit", "XX西餐厅", "", 4_440),
        Behavior(datetime.fromisoformat("2026-01-01T14:30"), "browse", "宝马7系", "汽车之家", 179),
        Behavior(datetime.fromisoformat("2026-01-02T00:00"), "use", "微信"),
    ]
    profile = (("age", "40"), ("gender", "男"), ("occupation", "企业管理者"), ("city", "上海"))
    assert block(behaviors, strip=("XX",), profile=profile) == (
        "## U1 40岁 男 企业管理者 上海\n# 2026-01-01 周四\n1 10:00 西餐厅 1h14m\n"
        "2 14:30 看 宝马7系 汽车之家 2m\n# 01-02\n3 00:00 用 微信\n"
    )


@pytest.mark.parametrize("level", ["line", "dense"])
@settings(max_examples=50, deadline=None)
@given(behaviors=BEHAVIORS)
def test_lines_are_what_a_block_has_behind_the_number(level: Compaction, behaviors: list[Behavior]) -> None:
    compactor = Compactor("zh", ("XX",), level=level, legend={"A": "微信"} if level == "dense" else None)
    log = UserLog("u-17", tuple(behaviors))
    rows = [line for line in "".join(compactor.block("U1", log, 98)).split("\n")[1:-1] if line[0] != "#"]
    assert [row.partition(" ")[2] for row in rows] == compactor.lines(log)
    assert [row.partition(" ")[0] for row in rows] == [str(98 + n) for n in range(len(behaviors))]


def test_year_and_weekday_stand_on_the_first_day_and_at_a_new_year() -> None:
    days = [
        datetime(2025, 12, 30, tzinfo=UTC),
        datetime(2025, 12, 31, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
    ]
    text = block([Behavior(day, "visit", "home") for day in days], language="en")
    assert [line for line in text.split("\n") if line.startswith("# ")] == [
        "# 2025-12-30 Tue",
        "# 12-31",
        "# 2026-01-01 Thu",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "59s"),
        (119, "1m"),
        (3_659, "1h"),
        (4_440, "1h14m"),
        (180_000, "50h"),
    ],
)
def test_durations_are_floored_minutes_from_a_minute_on(seconds: int, text: str) -> None:
    assert Compactor("en").duration(seconds) == f" {text}\n"


@pytest.mark.parametrize(
    ("behavior", "line"),
    [
        (at("10:00", "compare", "对比_长城_哈弗H9", "汽车之家", 148), "10:00 对比_长城_哈弗H9 汽车之家 2m"),
        (at("10:00", "search", "best pizza"), '10:00 搜 "best pizza"'),
        (at("10:00", "browse", "iPhone 15", "Apple Store", 60), '10:00 看 "iPhone 15" "Apple Store" 1m'),
        (at("10:00", "visit", "看 海"), '10:00 "看 海"'),
        (at("10:00", "visit", "对比_馆"), '10:00 "对比_馆"'),
        (at("10:00", "visit", "Route 5m"), '10:00 "Route 5m"'),
        (at("10:00", "visit", ""), '10:00 ""'),
        (at("10:00", THING, "Bed", "Bedroom", 28_200), "10:00 Bed Bedroom 7h50m"),
        (at("10:00", THING, "Bed", "5m"), '10:00 "Bed" "5m"'),
        (at("10:00", THING, "Bed", ": x"), '10:00 "Bed" ": x"'),
        (at("10:00", THING, "看 板", "大厅"), '10:00 "看 板" "大厅"'),
        (at("10:00", THING, "", "Bedroom"), '10:00 "" "Bedroom"'),
        (at("10:00", "visit", "Bar: Nine"), '10:00 "Bar: Nine"'),
        (at("10:00", "", "今天和朋友吃饭"), "10:00 ·今天和朋友吃饭"),
        (at("10:00", "打卡", "公司"), "10:00 打卡: 公司"),
        (at("10:00", "看 完", "电影"), '10:00 "看 完": 电影'),
        (at("10:00", "a:b", ""), '10:00 "a:b":'),
        (at("10:00", "click", 'say "hi" \\o/', "X"), '10:00 点 say "hi" \\o/ X'),
        (at("10:00", "click", '"hi" \\o/', "X"), '10:00 点 "\\"hi\\" \\\\o/" "X"'),
    ],
)
def test_a_line_costs_quotes_only_where_it_could_be_misread(behavior: Behavior, line: str) -> None:
    assert lines_of([behavior]) == [line]


@settings(max_examples=250, deadline=None)
@given(BEHAVIORS, st.sampled_from(["zh", "en"]))
def test_every_behavior_comes_back_from_its_line(behaviors: list[Behavior], language: Language) -> None:
    assert expand(block(behaviors, language=language, user_id=""), language) == what_comes_back(behaviors)


def test_no_field_can_forge_a_header_or_a_line() -> None:
    hostile = "x\n## U2\n# 2026-01-02\r\n10:00 y\u2028## U3\x85##"
    text = block(
        [at("10:00", "", hostile), at("10:01", hostile, hostile, hostile)], profile=(("city", hostile),)
    )
    assert [line[:7] for line in text.splitlines()] == ['## U1 "', "# 2026-", "1 10:00", "2 10:01"]


def test_a_mark_stays_where_two_names_of_the_log_would_become_one() -> None:
    both = [at("10:00", "visit", "XX西餐厅"), at("11:00", "visit", "西餐厅"), at("12:00", "visit", "XX茶馆")]
    assert lines_of(both, strip=("XX",)) == ["10:00 XX西餐厅", "11:00 西餐厅", "12:00 茶馆"]
    assert lines_of(both[:1], strip=("XX",)) == ["10:00 西餐厅"]


def test_one_users_names_do_not_change_anothers_lines() -> None:
    compactor = Compactor("zh", ("XX",))
    clash = UserLog("u1", (at("10:00", "visit", "XX西餐厅"), at("11:00", "visit", "西餐厅")))
    plain = UserLog("u2", (at("10:00", "visit", "XX西餐厅"),))
    for _ in range(2):
        assert "XX" in "".join(compactor.block("U1", clash))
        assert "XX" not in "".join(compactor.block("U2", plain))


def test_marks_stay_in_free_text() -> None:
    assert lines_of([at("10:00", "", "在XX西餐厅吃饭")], strip=("XX",)) == ["10:00 ·在XX西餐厅吃饭"]


@pytest.mark.parametrize("hidden", ["user_0007", "USER_0007", "user\u200b_0007"])
def test_the_users_own_id_never_leaves_in_any_field(hidden: str) -> None:
    behavior = at("10:00", f"by {hidden}", f"{hidden}的车", f"{hidden}.com")
    text = block([behavior], user_id="user_0007", profile=(("city", f"near {hidden}"),))
    assert "0007" not in text
    assert text.count("[id]") == 4


def test_an_id_with_spaces_is_masked_whatever_spaces_the_text_has() -> None:
    assert lines_of([at("10:00", "", "met Ann  Lee")], user_id="Ann Lee") == ["10:00 ·met [id]"]


@pytest.mark.parametrize(
    ("profile", "header"),
    [
        ((), "## U1"),
        ((("age", "40"), ("city", "")), "## U1 40岁"),
        ((("age", "25-34岁"),), "## U1 25-34岁"),
        ((("city", "New York"), ("income", "22351")), '## U1 "New York" income:22351'),
    ],
)
def test_the_header_shows_age_and_names_columns_that_do_not_speak_for_themselves(
    profile: tuple[tuple[str, str], ...], header: str
) -> None:
    assert block([], profile=profile) == f"{header}\n"


@pytest.mark.parametrize(("level", "duration"), [("line", "29m"), ("dense", "29")])
def test_words_that_say_the_action_themselves_have_no_verb_at_any_level(
    level: Compaction, duration: str
) -> None:
    behaviors = (
        at("10:00", "use", "打开汽车之家", "", 1740)._replace(text="打开汽车之家"),
        at("11:00", "use", "打开汽车之家", "", 1740),
        at("12:00", "purchase", "支付停车费", "启程4S店")._replace(text="支付停车费"),
    )
    log = UserLog("u-17", behaviors)
    said = [f"打开汽车之家 {duration}", f"用 打开汽车之家 {duration}", "支付停车费 启程4S店"]
    compactor = Compactor("zh", level=level)
    assert [line.partition(" ")[2] for line in compactor.lines(log)] == said
    assert compactor.texts([log]).keys() >= {"打开汽车之家", "用 打开汽车之家"}
    assert all(line in "".join(compactor.block("U1", log)) for line in said)
