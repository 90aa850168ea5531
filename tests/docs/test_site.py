"""The Chinese half of the site, built: what readers type into its search is in its index."""

import json
import runpy
import shutil
import subprocess
import sys
from typing import Any

import pytest

from paths import ROOT

for name in ("sphinx", "myst_parser", "furo"):
    pytest.importorskip(name, reason="needs the extra docs")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Build the site as `make docs` does; return the index of its search."""
    site = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--conf-dir",
        str(ROOT / "docs"),
    ]
    options = ["-D", "language=zh_CN", "-d", str(site / "trees"), str(ROOT / "docs" / "zh"), str(site)]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (site / "searchindex.js").read_text("utf-8")
    found: dict[str, Any] = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    return found


@pytest.mark.parametrize("query", ["账本", "限流", "运行目录", "批处理服务"])
def test_a_chinese_query_is_found_by_its_pairs(index: dict[str, Any], query: str) -> None:
    pairs = [query[place : place + 2] for place in range(len(query) - 1)]
    assert [pair for pair in pairs if pair not in index["terms"]] == []


def test_the_lines_of_a_chinese_paragraph_become_one() -> None:
    join_lines = runpy.run_path(str(ROOT / "docs" / "conf.py"))["join_lines"]
    fence = "```sh\n一，\n二\n```"
    source = [f"# 题\n\n三。\n四，\n`run` 五\nsix：\n\n- 七；\n- 八：\n1. 九\n\n{fence}\n\n| 十 |\n| 百 |\n"]
    join_lines(None, "", source)
    assert source == [
        f"# 题\n\n三。四，`run` 五\nsix：\n\n- 七；\n- 八：\n1. 九\n\n{fence}\n\n| 十 |\n| 百 |\n"
    ]


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("运行目录", ["运行", "行目", "目录"]),
        ("限流 429", ["限流", "429"]),
        ("SQLite账本", ["SQLite", "账本"]),
    ],
)
def test_a_query_is_cut_as_the_index_is(query: str, words: list[str]) -> None:
    search = runpy.run_path(str(ROOT / "docs" / "conf.py"))["SearchPairs"]({})
    assert search.split(query) == words
    program = f"{search.js_splitter_code}; console.log(JSON.stringify(splitQuery({json.dumps(query)})))"
    shown = subprocess.run(["node", "-e", program], check=True, capture_output=True, text=True).stdout
    assert json.loads(shown) == words
