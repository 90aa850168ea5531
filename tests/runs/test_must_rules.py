"""Runs under rules that must hold, against a model over HTTP that leaves conversions out of its answers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventabs.inspection.report import by_batch_users
from eventabs.runs.lifecycle import reparse
from eventabs.runs.observer import BatchDone, Summary
from house import lines
from openai_server import OpenAIServer, answer, read_blocks
from runs_jobs import Place, finish

MINUTE = re.compile(r"(\d{2}:\d{2}) (.*)")
ROWS = (
    ("10:00:05", "visit", "公司", 600),
    ("12:00:10", "browse", "帐篷", 60),
    ("12:00:10", "purchase", "帐篷", None),  # in the same second
    ("12:00:40", "cart", "炉子", None),  # in the same minute
    ("18:00:00", "purchase", "灯", None),
)
NEEDED = (2, 3, 4)
RULE = {"action": ["购买", "cart"], "category": "conversion", "added_type": "下单"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = Place(tmp_path)
    with place.export.open("w", encoding="utf-8") as file:
        for user in ("anna", "bert", "cleo"):
            for day in (3, 4):
                for clock, action, item, seconds in ROWS:
                    row = {
                        "user_id": user,
                        "time": f"2026-01-{day:02d} {clock}",
                        "action": action,
                        "item": item,
                    }
                    file.write(json.dumps(row | {"duration": seconds}, ensure_ascii=False) + "\n")
    return place


def careless(message: str) -> str:
    """Answer with one event for all that is no conversion, and each conversion where there is nothing else."""
    said = []
    for alias, block in read_blocks(message).items():
        said.append(f"## {alias}")
        whole = any("公司" in line for line in block)
        for line in block:
            if found := MINUTE.match(line):
                converts = found[2].startswith(("买", "加购"))
                if not (whole and converts):
                    said.append(f"{found[1]} {'成交!' if converts else '忙碌'} | {found[2]}")
            else:
                said.append(line)
    return "\n".join([*said, "##"])


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer(careless)) as running:
        yield running


def flags(server: OpenAIServer, *rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "llm": {"model": "m", "base_url": server.base_url},
        "events": {"must": list(rules)},
        "run": {"concurrency": 1, "call_tries": 1},
    }


def run(place: Place, named: dict[str, Any], out: str = "out") -> Summary:
    with place.begin(named, out=place.folder / out) as job:
        return finish(job, resumed=False)


def events(place: Place, out: str = "out") -> list[dict[str, Any]]:
    return lines(place.folder / out / "events.jsonl")


def covering(place: Place) -> dict[str, set[str]]:
    """Return, by source, the types of the events that cover the conversions; each has one owner, a conversion."""
    found: dict[str, set[str]] = {}
    for user in ("anna", "bert", "cleo"):
        owners = [(index, e) for e in events(place) if e["user_id"] == user for index in e["behaviors"]]
        assert len({index for index, _event in owners}) == len(owners)
        for index in (*NEEDED, *(index + len(ROWS) for index in NEEDED)):
            (owner,) = [event for owned, event in owners if owned == index]
            assert owner["category"] == "conversion"
            found.setdefault(owner["source"], set()).add(owner["type"])
    return found


def test_a_model_that_misses_conversions_leaves_none_uncovered(place: Place, server: OpenAIServer) -> None:
    summary = run(place, flags(server, RULE))
    assert (summary.status, summary.done, summary.failed, summary.calls) == ("completed", 3, 0, 1)
    assert covering(place) == {"must": {"下单"}}
    assert summary.missed == 18
    assert summary.covered == 30
    assert place.watcher.of(BatchDone)[0].missed == 18
    assert place.checkpoint()["event_counts"]["must_misses"] == 18


def test_what_the_model_missed_is_counted_as_it_was_read(place: Place, server: OpenAIServer) -> None:
    summary = run(place, flags(server, RULE))
    (row,) = by_batch_users(summary)
    assert (row.asked, row.must_misses, row.behaviors_covered, row.behaviors) == (3, 18, 24, 30), (
        "an event at noon covers all of it"
    )
    with place.reopen(changed="ignore") as job:
        again = reparse(job)
    assert (again.answers, again.event_counts) == (summary.answers, summary.event_counts)


def test_without_the_rule_they_stay_uncovered(place: Place, server: OpenAIServer) -> None:
    assert run(place, flags(server)).missed == 0
    assert "conversion" not in {event["category"] for event in events(place)}


def read_again(place: Place, named: dict[str, Any] | None = None) -> Summary:
    with place.reopen(named, changed="ignore") as job:
        return reparse(job)


def test_stored_replies_are_read_again_under_the_rules_of_today(place: Place, server: OpenAIServer) -> None:
    first = run(place, flags(server, RULE))
    before = place.events()
    again = read_again(place)
    assert (again.calls, again.done, again.missed, again.covered) == (first.calls, 3, first.missed, 30)
    assert place.events() == before
    without = read_again(place, {"events": {"must": []}})
    assert (without.missed, without.covered) == (0, 24)
    other = read_again(place, {"events": {"must": [RULE | {"added_type": "消费"}]}})
    assert (other.missed, covering(place)) == (18, {"must": {"消费"}})
    assert read_again(place, flags(server, RULE)).missed == first.missed
    assert place.events() == before


def test_labels_outside_a_closed_vocabulary_are_marked_and_counted_and_aliases_mapped(
    place: Place, server: OpenAIServer
) -> None:
    closed = {"open": False, "types": [{"name": "下单", "category": "conversion"}]}
    summary = run(place, flags(server, RULE) | {"vocabulary": closed})
    marked = {(event["type"], event.get("outside", False)) for event in events(place)}
    assert marked == {("忙碌", True), ("下单", False)}
    assert summary.outside == sum(event["type"] == "忙碌" for event in events(place))
    aliases = {"vocabulary": {"aliases": {"忙碌": "下单"}}}
    assert (read_again(place, aliases).outside, {event["type"] for event in events(place)}) == (0, {"下单"})
