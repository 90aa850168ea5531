"""XES, read by a plain XML parser, with what the standard demands."""

import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from eventabs.errors_and_exit_codes import UsageError
from eventabs.shared_records import Event
from exports_kit import HOSTILE, export_file, make_event, make_journey, make_run

ORDER = ("extension", "global", "classifier", "string", "trace")
NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
VALUES = {
    "string": re.compile(r".*", re.DOTALL),
    "boolean": re.compile("true|false"),
    "int": re.compile("[0-9]+"),
    "date": DATE,
}


class Read(NamedTuple):
    """An event of a trace as it was read."""

    user: str
    transition: str
    time: str
    values: dict[str, str]


def exported(folder: Path, *events: Event, zone: str = "", run_zone: str = "Asia/Shanghai") -> list[Read]:
    """Export events, check the file against the standard, and return what it says."""
    path = export_file(make_run(folder, events, run_zone), "xes", timezone=zone)
    log = ET.parse(path).getroot()  # noqa: S314  a file of our own
    check(log)
    return [
        Read(
            values_of(trace)["concept:name"], values["lifecycle:transition"], values["time:timestamp"], values
        )
        for trace in log.iter("trace")
        for values in map(values_of, trace.iter("event"))
    ]


def values_of(element: ET.Element) -> dict[str, str]:
    return {child.attrib["key"]: child.attrib["value"] for child in element if "key" in child.attrib}


def check(log: ET.Element) -> None:
    """Hold a log against the schema of IEEE 1849, and its rules on extensions, globals and classifiers."""
    assert log.tag == "log"
    assert float(log.attrib["xes.version"]) == 1.0
    places = [ORDER.index(child.tag) for child in log]
    assert places == sorted(places)
    prefixes = set()
    for extension in log.iter("extension"):
        assert set(extension.attrib) == {"name", "prefix", "uri"}
        prefixes.add(extension.attrib["prefix"])
    declared = {part.attrib["scope"]: values_of(part) for part in log.iter("global")}
    assert set(declared) == {"trace", "event"}
    for classifier in log.iter("classifier"):
        assert NAME.fullmatch(classifier.attrib["name"])
        assert set(classifier.attrib["keys"].split()) <= set(declared["event"])
    for scope, known in declared.items():
        for element in log.iter(scope):
            assert set(known) <= set(values_of(element))
    for element in log.iter():
        if key := element.attrib.get("key"):
            assert ":" not in key or key.partition(":")[0] in prefixes
            assert VALUES[element.tag].fullmatch(element.attrib["value"])
    for trace in log.iter("trace"):
        times = [datetime.fromisoformat(values_of(event)["time:timestamp"]) for event in trace.iter("event")]
        assert all(earlier <= later for earlier, later in pairwise(times))


def test_each_event_has_a_start_and_a_complete_with_the_offset_of_the_run_s_zone(tmp_path: Path) -> None:
    read = exported(
        tmp_path,
        make_event("anna", "2026-01-01T09:00:00", "2026-01-01T12:00:00", type="工作", summary="写代码"),
        make_event(
            "anna", "2026-01-01T10:00:00", "2026-01-01T10:05:00", type="用餐", behaviors=(1, 2), sure=False
        ),
        make_event("bert", "2026-01-01T09:15:07"),
    )
    assert [(event.user, event.transition, event.time, event.values["concept:name"]) for event in read] == [
        ("anna", "start", "2026-01-01T09:00:00+08:00", "工作"),
        ("anna", "start", "2026-01-01T10:00:00+08:00", "用餐"),
        ("anna", "complete", "2026-01-01T10:05:00+08:00", "用餐"),
        ("anna", "complete", "2026-01-01T12:00:00+08:00", "工作"),
        ("bert", "start", "2026-01-01T09:15:07+08:00", "用餐"),
        ("bert", "complete", "2026-01-01T09:15:07+08:00", "用餐"),
    ]
    assert [event.values["concept:instance"] for event in read] == [
        *("anna/0", "anna/1", "anna/1", "anna/0", "bert/0", "bert/0")
    ]
    assert read[2].values["behaviors"] == "[1,2]"
    assert read[3].values["summary"] == "写代码"
    assert [(each.values["sure"], each.values["minutes"]) for each in read[2:4]] == [
        ("false", "30"),
        ("true", "30"),
    ]
    assert "journey_id" not in read[2].values


def test_journeys_are_attributes_of_events_or_the_cases_themselves(tmp_path: Path) -> None:
    events = [make_event("anna"), make_event("anna", "2026-01-03T09:00:00", behaviors=(2,))]
    journey = make_journey("anna", events, name="<去>看车")
    inside = [event._replace(journey=journey.id) for event in events]
    alone = make_event("anna", "2026-01-02T09:00:00", behaviors=(1,))
    run = make_run(tmp_path, [inside[0], alone, inside[1]], "Asia/Shanghai", [journey])
    by_users, by_journeys = (
        ET.parse(export_file(run, "xes", cases=cases)).getroot()  # noqa: S314  as above
        for cases in ("users", "journeys")
    )
    for log in (by_users, by_journeys):
        check(log)
    ends = [values for values in map(values_of, by_users.iter("event")) if "category" in values]
    assert [values.get("journey_id") for values in ends] == ["anna/j0", None, "anna/j0"]
    assert (ends[0]["journey_kind"], ends[0]["journey_name"]) == ("购买", "<去>看车")
    (trace,) = by_journeys.iter("trace")
    assert values_of(trace) == {"concept:name": "anna/j0", "kind": "购买", "name": "<去>看车", "user": "anna"}
    assert [values_of(event)["concept:instance"] for event in trace.iter("event")] == [
        *("anna/0", "anna/0", "anna/2", "anna/2")
    ]


def test_text_from_data_is_text(tmp_path: Path) -> None:
    read = exported(tmp_path, *(make_event("<a>&\"'", type=text, summary=text) for text in HOSTILE))
    kept = [
        text.replace("\x01", "\ufffd").replace("\x0b", "\ufffd").replace("\uffff", "\ufffd")
        for text in HOSTILE
    ]
    ends = [event for event in read if event.transition == "complete"]
    assert (
        [event.values["summary"] for event in ends]
        == [event.values["concept:name"] for event in ends]
        == kept
    )
    assert {event.user for event in read} == {"<a>&\"'"}


def test_an_event_s_own_offset_holds_over_the_zone_that_is_named(tmp_path: Path) -> None:
    events = make_event("anna", "2026-01-01T09:00:00+01:00"), make_event("bert", "2026-07-01T09:00:00")
    read = exported(tmp_path, *events, zone="America/New_York")
    assert [event.time for event in read[::2]] == ["2026-01-01T09:00:00+01:00", "2026-07-01T09:00:00-04:00"]


def test_an_event_without_an_offset_takes_that_of_the_user_s_others(tmp_path: Path) -> None:
    events = make_event("anna", "2026-01-01T08:00:00"), make_event("anna", "2026-01-01T09:00:00+08:00")
    read = exported(tmp_path, *events, run_zone="")
    assert [event.time[-6:] for event in read] == ["+08:00"] * 4


def test_without_any_zone_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--timezone Asia/Shanghai"):
        exported(tmp_path, make_event("anna"), run_zone="")
    assert not (tmp_path / "events.xes").exists()


@pytest.mark.parametrize("zone", ["Asia/Shangai", "Asia", "../etc/passwd", "/etc/passwd", "\0", "a" * 5000])
def test_a_zone_that_there_is_not_is_told(tmp_path: Path, zone: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        exported(tmp_path, make_event("anna"), zone=zone)


def test_offsets_with_seconds_are_written_in_utc(tmp_path: Path) -> None:
    read = exported(tmp_path, make_event("anna", "1890-01-01T10:00:00"))
    assert [event.time for event in read] == ["1890-01-01T01:54:17+00:00"] * 2


def test_an_end_before_its_start_is_its_start(tmp_path: Path) -> None:
    read = exported(tmp_path, make_event("anna", "2026-01-01T10:00:00", "2026-01-01T09:00:00"))
    assert [event.time for event in read] == ["2026-01-01T10:00:00+08:00"] * 2
