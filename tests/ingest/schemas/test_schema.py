"""Exports of known tools are recognized by their fields, and every object of a session is kept."""

import re
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import ConfigError, InputError
from eventabs.ingest.roles_and_known_schemas import shipped
from eventabs.shared_records import UserLog
from input_files import facts, facts_of, opened, settings_of, write
from paths import ROOT
from tool_exports import AS_PARQUET, EXPORTS, SESSION, to_parquet


def _read(folder: Path, path: Path, **wanted: Any) -> tuple[str, list[UserLog], int]:  # noqa: ANN401  as open_export takes them
    with opened(folder, path, **wanted) as export:
        assert export.rejected_rows == 0, list(export.rejects())
        assert export.duplicates == 0
        return export.description.mappings[0].schema, list(export.user_logs()), export.non_behaviors


def _check_session(logs: list[UserLog]) -> None:
    """Check that the one log has the session's steps in order, with their objects."""
    (log,) = logs
    start = log.behaviors[0].start
    assert [(each.start - start).seconds for each in log.behaviors] == [step.after for step in SESSION]
    pairs = [(step.thing, each.item) for step, each in zip(SESSION, log.behaviors, strict=True)]
    assert [(thing, item) for thing, item in pairs if thing not in item] == []


@pytest.mark.parametrize("name", EXPORTS)
def test_every_object_of_a_session_is_kept(tmp_path: Path, name: str) -> None:
    schema, text = EXPORTS[name]
    found, logs, left_out = _read(tmp_path, write(tmp_path, name, text(SESSION)))
    assert (found, left_out) == (schema, 0)
    _check_session(logs)


@pytest.mark.parametrize("name", AS_PARQUET)
def test_every_object_is_kept_in_parquet_too(tmp_path: Path, name: str) -> None:
    schema, text = EXPORTS[name]
    target = tmp_path / "rows.parquet"
    to_parquet(str(write(tmp_path, name, text(SESSION))), str(target))
    found, logs, _left_out = _read(tmp_path, target)
    assert found == schema
    _check_session(logs)


SEGMENT = """\
{"type": "track", "event": "Product Viewed", "messageId": "1", "anonymousId": "a", "timestamp": "2026-01-15T10:00:42Z", "properties": {"name": "Tent", "mine": "x"}}
{"type": "identify", "userId": "u1", "messageId": "2", "anonymousId": "a", "timestamp": "2026-01-15T10:00:43Z", "traits": {"name": "Li"}}
{"type": "track", "event": "Product Viewed", "messageId": "3", "userId": "u1", "anonymousId": "a", "timestamp": "2026-01-15T10:00:43Z", "properties": {"name": "Boots", "mine": "y"}}
"""
OWN = """\
title = "Our shop"
recognized_by = [["kind", "who", "at"]]
absent = "-"
non_behaviors.kind = ["ping*"]
columns = {user = ["who", "device"], time = "at", event = "kind", item = ["thing.name", "page"]}

[[events]]
names = "Bought"
action = "purchase"
columns.item = []
columns.place = "shop"
"""
OWN_ROWS = """\
{"kind": "look", "who": "-", "device": "d1", "at": "2026-01-15 10:00:42", "thing": {"name": "Tent"}, "page": "p", "shop": "Main"}
{"kind": "bought", "who": "u1", "device": "d1", "at": "2026-01-15 10:00:43", "thing": {"name": "Tent"}, "page": "p", "shop": "Main"}
{"kind": "ping 3", "who": "u1", "device": "d1", "at": "2026-01-15 10:00:43", "thing": null, "page": "p", "shop": "Main"}
"""


def _facts(logs: list[UserLog]) -> list[tuple[str, str, str]]:
    return [(log.user_id, behavior.action, behavior.item) for log in logs for behavior in log.behaviors]


def test_who_has_no_user_id_is_known_by_the_anonymous_one_and_identify_is_no_behavior(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", SEGMENT)
    with opened(tmp_path, path) as export:
        assert _facts(list(export.user_logs())) == [("a", "browse", "Tent"), ("u1", "browse", "Boots")]
        assert export.roles[str(path)]["user"] == "userId | anonymousId"
        assert (export.rows, export.behaviors, export.non_behaviors, export.rejected_rows) == (3, 2, 1, 0)


def test_a_user_with_rows_that_are_no_behaviors_only_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", SEGMENT + SEGMENT.splitlines()[1].replace("u1", "u9") + "\n")
    with opened(tmp_path, path) as export:
        assert [log.user_id for log in export.user_logs()] == ["a", "u1"]
        assert (export.users, export.non_behaviors) == (2, 2)


def test_events_of_google_analytics_that_fivetran_flattened_have_their_name(tmp_path: Path) -> None:
    text = (
        "name,timestamp,user_id,user_pseudo_id,platform,param_ga_session_id,param_page_title\n"
        "page_view,2026-01-15 10:00:42,,p1,web,s1,Tents\nsession_start,2026-01-15 10:00:42,,p1,web,s1,Tents\n"
        "add_to_cart,2026-01-15 10:00:43,u1,p1,web,s1,\n"
    )
    found, logs, left_out = _read(tmp_path, write(tmp_path, "a.csv", text))
    assert (found, left_out) == ("ga4", 1)
    assert _facts(logs) == [("p1", "browse", "Tents"), ("u1", "cart", "")]


def test_what_is_no_behavior_is_not_unreadable(tmp_path: Path) -> None:
    with opened(tmp_path, write(tmp_path, "a.jsonl", SEGMENT)) as export:
        assert (export.behaviors, export.rejected_rows) == (2, 0)


def test_columns_that_the_user_names_win_over_those_of_the_schema(tmp_path: Path) -> None:
    named = {"item": "properties.mine", "user": "messageId"}
    _schema, logs, _left_out = _read(tmp_path, write(tmp_path, "a.jsonl", SEGMENT), columns=named)
    assert _facts(logs) == [("1", "browse", "x"), ("3", "browse", "y")]


def test_without_a_schema_columns_are_found_by_their_names(tmp_path: Path) -> None:
    columns = {"user": "anonymousId"}
    schema, logs, left_out = _read(
        tmp_path, write(tmp_path, "a.jsonl", SEGMENT), schema="none", columns=columns
    )
    assert (schema, left_out) == ("", 0)
    assert [action for _user, action, _item in _facts(logs)] == ["browse", "thing", "browse"]


def test_a_file_of_the_users_own_is_a_schema(tmp_path: Path) -> None:
    own = write(tmp_path, "shop.toml", OWN)
    schema, logs, left_out = _read(tmp_path, write(tmp_path, "a.jsonl", OWN_ROWS), schema=str(own))
    assert (schema, left_out) == ("shop", 1)
    assert _facts(logs) == [("d1", "look", "Tent"), ("u1", "purchase", "Main")]


def test_a_named_schema_is_taken_where_a_file_lacks_its_other_fields(tmp_path: Path) -> None:
    rows = '{"distinct_id": "u1", "timestamp": "2026-01-15T10:00:42Z", "event": "$pageview", "properties": {"title": "Home"}}\n'
    path = write(tmp_path, "a.jsonl", rows)
    assert _facts(_read(tmp_path, path, schema="posthog")[1]) == [("u1", "browse", "Home")]


def test_a_named_schema_without_a_user_in_the_file_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "x,time\n1,2026-01-15\n")
    with pytest.raises(
        InputError,
        match=r'a\.csv has no user column of the schema amplitude .* set \[input\] schema = "none"',
    ):
        _read(tmp_path, path, schema="amplitude")


@pytest.mark.parametrize(
    ("wanted", "text", "message"),
    [
        (
            "amplitud",
            None,
            "there is no schema amplitud; take one of activitywatch, .* or the path of a TOML file",
        ),
        (
            "missing.toml",
            None,
            r"the schema .*missing\.toml cannot be read: .*; docs/schemas\.md shows its form",
        ),
        ("own.toml", "title = 1", r"the schema .*own\.toml cannot be read: title: "),
        ("own.toml", "x = ", r"the schema .*own\.toml cannot be read: "),
        ("own.toml", f'header_pattern = "(["\n{OWN}', r"own\.toml cannot be read: header_pattern: "),
        ("own.toml", OWN.replace("place", "palce"), "there is no role palce; the roles are user, time, "),
    ],
)
def test_a_schema_that_cannot_be_read_is_an_error_of_one_line(
    tmp_path: Path, wanted: str, text: str | None, message: str
) -> None:
    if text is not None:
        write(tmp_path, wanted, text)
    named = str(tmp_path / wanted) if wanted.endswith(".toml") else wanted
    with pytest.raises(ConfigError, match=message) as caught:
        _read(tmp_path, write(tmp_path, "a.jsonl", SEGMENT), schema=named)
    assert "\n" not in str(caught.value)


def test_a_stream_that_ended_began_as_much_earlier_as_it_lasted(tmp_path: Path) -> None:
    rows = '[{"endTime": "2026-01-15 10:05", "artistName": "A", "trackName": "T", "msPlayed": 61500}]'
    ((log,), _left_out) = _read(tmp_path, write(tmp_path, "StreamingHistory0.json", rows))[1:]
    (behavior,) = log.behaviors
    assert (behavior.start.isoformat(), behavior.duration) == ("2026-01-15T10:03:58+00:00", 61)


def test_an_export_that_only_resembles_a_tools_is_none_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, "amplitude.csv", "user_id,event_time,event_type,item\nu1,2026-01-15,view,x\n")
    assert _read(tmp_path, path)[0] == ""


PAGE = ROOT / "docs" / "schemas.md"
SAMPLES = re.findall(
    r"^`(\w+)`: .*?^```sample (\S+)\n(.*?)^```\n```behaviors\n(.*?)^```$",
    PAGE.read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(
    ("schema", "name", "text", "behaviors"), SAMPLES, ids=[schema for schema, *_ in SAMPLES]
)
def test_a_sample_of_the_page_is_read_as_it_shows(
    tmp_path: Path, schema: str, name: str, text: str, behaviors: str
) -> None:
    path = write(tmp_path, name, text)
    with opened(tmp_path, path) as export:
        assert export.description.mappings[0].schema == schema
        assert export.rows == export.behaviors + export.non_behaviors
        assert facts_of(export) == behaviors.splitlines()
        copied = settings_of(export.description.proposal)
    assert facts(tmp_path, path, **copied) == behaviors.splitlines()


def test_every_schema_has_a_source_a_date_and_a_sample_on_the_page() -> None:
    assert all(schema.title and schema.source and schema.read for schema in shipped())
    assert {schema for schema, *_ in SAMPLES} == {schema.name for schema in shipped()}
    page = PAGE.read_text("utf-8")
    assert [source for schema in shipped() for source in schema.source if f"<{source}>" not in page] == []


def test_the_schema_of_the_page_reads_the_row_that_it_is_for(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    (own,) = re.findall(r"^```schema shop\.toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (row,) = re.findall(r'^`\[input\] schema = "shop\.toml"`, for rows such as `(.*)`:$', page, re.MULTILINE)
    schema = write(tmp_path, "shop.toml", own)
    assert facts(tmp_path, write(tmp_path, "rows.jsonl", f"{row}\n"), schema=str(schema)) == [
        "u1|2026-01-15T10:00:43+00:00|purchase|Tent||"
    ]
