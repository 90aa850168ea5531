"""An export whose rows have an action and a description, as people write it: every word reaches the prompt and the events."""

import json
import re
from pathlib import Path

import pytest

from house import eventabs, lines

CHINESE = """\
用户编号,发生时间,行为类型,行为描述,地点,城市
U01,2026-03-02 08:10:00,使用,打开汽车之家 29分钟,,苏州
U01,2026-03-02 12:05:00,搜索,搜索“SUV 对比”,,苏州
U01,2026-03-03 10:00:00,到访,在启程4S店停留 95 分钟,启程4S店,苏州
U01,2026-03-04 09:00:00,支付,支付停车费 35元,苏州中心,苏州
U02,2026-03-02 08:10:00,浏览,SUV频道首页,,上海
U02,2026-03-03 10:00:00,到访,试驾理想L7,启程4S店,上海
U02,2026-03-04 21:00:00,登录,手机号登录成功,,上海
"""
ENGLISH = """\
user_id,event_time,event_type,description,place,city
c-100,2026-03-02T08:10:00,open_app,Opened Autohome for 29 minutes,,Leeds
c-100,2026-03-02T12:05:00,search,Searched for an SUV,,Leeds
c-100,2026-03-03T10:00:00,visit,Stayed at Northgate Dealership for 95 minutes,Northgate Dealership,Leeds
c-100,2026-03-04T09:00:00,payment,Coffee and a sandwich,Riverside Mall,Leeds
c-200,2026-03-02T08:10:00,page_view,SUV channel,,York
c-200,2026-03-03T10:00:00,visit,Test drive of the Model L7,Northgate Dealership,York
c-200,2026-03-04T21:00:00,login,Login with phone number,,York
"""
LINES = {
    CHINESE: [
        *("08:10 打开汽车之家 29m", '12:05 搜 "“SUV 对比”"', "10:00 启程4S店 1h35m", "09:00 支付停车费 35元 苏州中心"),
        *("08:10 看 SUV频道首页", "10:00 启程4S店 试驾理想L7", "21:00 手机号登录成功"),
    ],
    ENGLISH: [
        *("08:10 Opened Autohome 29m", "12:05 Searched for an SUV", "10:00 Stayed at Northgate Dealership 1h35m"),
        *('09:00 buy "Coffee and a sandwich" "Riverside Mall"', '08:10 view "SUV channel"'),
        *("10:00 Northgate Dealership Test drive of the Model L7", "21:00 Login with phone number"),
    ],
}  # fmt: skip
SUMMARIES = {
    CHINESE: [
        *("打开汽车之家", "“SUV 对比”", "共29分钟", "启程4S店看车 1小时35分钟", "支付停车费 35元，苏州中心"),
        *("浏览SUV频道首页", "启程4S店 试驾理想L7", "手机号登录成功"),
    ],
    ENGLISH: [
        *("Opened Autohome", "Searched for an SUV", ", 29 min", "Stayed at Northgate Dealership 1 h 35 min"),
        *("bought Coffee and a sandwich, Riverside Mall", "browsed SUV channel"),
        *("Northgate Dealership Test drive of the Model L7", "Login with phone number"),
    ],
}  # fmt: skip
EXPORTS = pytest.mark.parametrize("text", [CHINESE, ENGLISH], ids=["zh", "en"])


def export_of(folder: Path, text: str) -> str:
    (folder / "rows.csv").write_text(text, encoding="utf-8")
    return str(folder / "rows.csv")


@EXPORTS
@pytest.mark.parametrize("level", ["line", "dense"])
def test_every_word_of_a_description_is_in_the_prompt_and_said_once(
    tmp_path: Path, text: str, level: str
) -> None:
    path = export_of(tmp_path, text)
    shown = eventabs("estimate", path, "--show-prompt", cwd=tmp_path, EVENTABS_COMPACTION__LEVEL=level).stdout
    rows = [line.partition(" ")[2] for line in shown.rpartition("\n[user]\n")[2].splitlines()]
    wanted = LINES[text] if level == "line" else map(dense, LINES[text])
    assert [line for line in wanted if line not in rows] == []


def dense(line: str) -> str:
    """Return what level `dense` makes of a line."""
    clock, _, told = line.partition(" ")
    minutes = re.sub(r"(?:(\d)h)?(\d+)m$", lambda found: f"{60 * int(found[1] or 0) + int(found[2])}", told)
    return f"{int(clock.replace(':', ''))} {minutes}"


@EXPORTS
def test_every_word_of_a_description_is_in_the_events_of_the_rules(tmp_path: Path, text: str) -> None:
    eventabs("run", export_of(tmp_path, text), "--provider", "rules", "--out", "out", cwd=tmp_path)
    events = lines(tmp_path / "out" / "events.jsonl")
    summaries = "\n".join(event["summary"] for event in events)
    assert [words for words in SUMMARIES[text] if words not in summaries] == []
    paid = [
        event for event in events if event["category"] == "conversion" and event["start"].endswith("09:00:00")
    ]
    assert len(paid) == 1  # what was paid is told by the action, whatever the words are


@EXPORTS
def test_nothing_is_odd_about_such_an_export(tmp_path: Path, text: str) -> None:
    header, _, rows = text.partition("\n")
    months = "".join(rows.replace("2026-03", f"2026-{month:02}") for month in range(1, 13))
    found = eventabs("columns", export_of(tmp_path, f"{header}\n{months}"), "--json", cwd=tmp_path)
    assert json.loads(found.stdout)["warnings"] == []
