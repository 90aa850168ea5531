"""The seeded generator of behavior."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import workload

pytestmark = pytest.mark.slow


def written(tmp_path: Path, *options: str) -> Path:
    out = tmp_path / "out"
    workload.main([*options, "--output", str(out)])
    return out


@pytest.fixture(scope="module")
def rows() -> list[Any]:
    return list(workload.generate(60, 90, 3))


@pytest.mark.parametrize("form", ["csv", "jsonl", "text"])
def test_the_same_options_give_the_same_bytes(tmp_path: Path, form: str) -> None:
    options = ("--users", "20", "--behaviors", "30", "--format", form, "--unique-text", "0.3")
    first = written(tmp_path, *options).read_bytes()
    assert first == written(tmp_path, *options).read_bytes()
    assert first != written(tmp_path, *options, "--seed", "8").read_bytes()


def test_a_larger_workload_holds_the_smaller_one(rows: list[Any]) -> None:
    smaller = set(workload.generate(30, 90, 3))
    assert smaller < set(rows)


def test_sentences_hold_the_facts_of_the_rows() -> None:
    base = {"user_id": "u", "timestamp": "2026-01-01 10:00:00"}
    cases = {
        "在XX餐厅停留 1小时14分钟": {"action": "visit_poi", "poi_id": "XX餐厅", "duration": "4440"},
        "使用懂驾 13分钟": {"action": "use_app", "app_id": "懂驾", "duration": "788"},
        "浏览A_1 在B上 292秒": {"action": "browse", "item_id": "A_1", "media_id": "B", "duration": "292"},
        "搜索Q 在B": {"action": "search", "item_id": "Q", "app_id": "B"},
        "点击A_详情页 在B": {"action": "click", "item_id": "A_详情页", "media_id": "B"},
        "对比对比_A,C 在B": {"action": "compare", "item_id": "对比_A,C", "app_id": "B", "duration": "130"},
        "将A加入购物车 在B": {"action": "add_cart", "item_id": "A", "app_id": "B"},
        "购买A 在B4S店": {"action": "purchase", "item_id": "A", "poi_id": "B4S店"},
        "和表妹见面": {"action": "", "text": "和表妹见面"},
    }
    for said, facts in cases.items():
        assert workload.sentence(workload.Row(**base, **facts)) == said


def test_the_three_forms_hold_the_same_rows(tmp_path: Path) -> None:
    options = ("--users", "5", "--behaviors", "40", "--unique-text", "0.2", "--format")
    with written(tmp_path, *options, "csv").open(encoding="utf-8", newline="") as file:
        table = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    lines = written(tmp_path, *options, "jsonl").read_text(encoding="utf-8").splitlines()
    objects = [{name: str(value) for name, value in json.loads(line).items()} for line in lines]
    assert table == objects
    texts = written(tmp_path, *options, "text").read_text(encoding="utf-8").splitlines()
    said = [json.loads(line) for line in texts]
    assert [(row["user_id"], row["timestamp"]) for row in said] == [
        (row["user_id"], row["timestamp"]) for row in objects
    ]
    assert all(set(row) == {"user_id", "timestamp", "behavior_text"} for row in said)
