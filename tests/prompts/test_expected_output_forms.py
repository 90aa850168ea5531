"""The three forms in which an answer is asked for."""

import json
from datetime import datetime
from typing import Any

from eventabs.prompts.lines import AnsweredEvent, response_format, written


def event(start: str, end: str, kind: str, mark: str = "", category: str = "engagement") -> AnsweredEvent:
    return AnsweredEvent(
        datetime.fromisoformat(start), datetime.fromisoformat(end), kind, category, mark, "…"
    )


EVENTS = [
    event("2025-12-31T10:00", "2025-12-31T11:14", "用餐"),
    event("2025-12-31T22:10", "2026-01-01T01:30", "聚会"),
    event("2026-01-01T09:10", "2026-01-01T09:10", "到店", "!", "conversion"),
    event("2026-01-02T20:00", "2026-01-05T09:10", "出差"),
    event("2026-01-02T22:00", "2026-01-02T22:30", "用餐"),
]


def test_lines_mirror_the_prompt() -> None:
    assert written([("U1", EVENTS), ("U2", [])], "lines").split("\n") == [
        "## U1",
        "# 2025-12-31",
        "10:00-11:14 用餐 | …",
        "22:10-01:30 聚会 | …",
        "# 2026-01-01",
        "09:10 到店! | …",
        "# 01-02",
        "20:00-01-05 09:10 出差 | …",
        "22:00-22:30 用餐 | …",
        "## U2",
        "##",
    ]


def test_json_is_one_line_a_user() -> None:
    first, second = written([("U1", EVENTS[2:3]), ("U2", [])], "json").split("\n")
    row = ["01-01 09:10", "01-01 09:10", "到店", "conversion", "…"]
    assert json.loads(first) == {"u": "U1", "events": [row]}
    assert second == '{"u":"U2","events":[]}'


def test_an_answer_by_schema_is_one_object_that_the_schema_allows() -> None:
    answer = json.loads(written([("U1", EVENTS), ("U2", [])], "schema"))
    assert [user["u"] for user in answer["users"]] == ["U1", "U2"]
    assert {type(cell) for user in answer["users"] for row in user["events"] for cell in row} == {str}


def test_only_the_schema_form_has_a_response_format_and_it_is_strict() -> None:
    assert response_format("lines") is None
    assert response_format("json") is None
    form = response_format("schema")
    assert form is not None
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    schema: Any = form["json_schema"]["schema"]
    assert schema["required"] == ["users"]
    assert all(part["additionalProperties"] is False for part in (schema, *schema["$defs"].values()))


def test_without_summaries_no_form_has_one() -> None:
    assert (
        written([("U1", EVENTS[:1])], "lines", with_summaries=False)
        == "## U1\n# 2025-12-31\n10:00-11:14 用餐\n##"
    )
    (row,) = json.loads(written([("U1", EVENTS[:1])], "json", with_summaries=False))["events"]
    assert row == ["12-31 10:00", "12-31 11:14", "用餐", "engagement"]
    form = response_format("schema", with_summaries=False)
    assert form is not None
    assert "summary" not in json.dumps(form)
