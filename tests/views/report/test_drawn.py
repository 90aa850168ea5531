"""What the report draws is what was counted: sizes are read from the browser and compared with known counts."""

import json
from pathlib import Path

import pytest

import chromium
from house import ran
from report_kit import open_page, write_page

pytestmark = pytest.mark.skipif(
    not chromium.BINARY, reason="there is no Chromium here: apt-get install chromium"
)

FIGURES = """
(() => Object.fromEntries([...document.querySelectorAll('table.figures')].filter((table) => table.caption?.innerText === {caption})
  .flatMap((table) => [...table.tBodies[0].rows]).map((row) => [row.dataset.row, [...row.querySelectorAll('td:not(.bar-cell)')].map((cell) => cell.innerText)])))()
"""


def _export(folder: Path, *rows: tuple[str, str, str, dict[str, object]]) -> Path:
    """Write an export of user, time, action and what else a row has; return the report of its run by the built-in rules."""
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for user, time, action, rest in rows:
            row = {"user_id": user, "timestamp": f"2026-03-02 {time}", "action": action, **rest}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    ran("run", "rows.jsonl", "--provider", "rules", "--out", "run", cwd=folder)
    return write_page(folder / "run")


async def test_a_place_is_counted_also_where_it_is_all_that_a_row_names(tmp_path: Path) -> None:
    path = _export(
        tmp_path,
        ("a", "12:00", "visit", {"poi": "海底捞"}),
        ("b", "12:10", "order", {"poi": "海底捞"}),
        ("c", "12:20", "order", {"item": "毛肚", "poi": "海底捞"}),
        ("d", "12:30", "search", {"item": "海底捞"}),
        ("e", "12:40", "order", {"item": "毛肚"}),
        ("e", "12:50", "use", {"app": "微聊"}),
    )
    async with chromium.browser() as page:
        await open_page(page, path)
        found = await page.run(FIGURES.replace("{caption}", json.dumps("Places, sites and apps, by users")))
        assert found == {"海底捞": ["3 60 %"], "微聊": ["1 20 %"]}
        await open_page(page, path, "#tab=users&place=海底捞")
        users = await page.run(
            "[...document.querySelectorAll('#users-table tbody th')].map((one) => one.textContent)"
        )
        assert users == ["a", "b", "c"]
