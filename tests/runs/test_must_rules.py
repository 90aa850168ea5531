"""Runs under rules that must hold, against a model over HTTP that leaves conversions out of its answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventabs.runs.observer import BatchDone
from eventabs.runs.run_state import RunState
from eventabs.runs.start_resume_reparse import reparse
from house import lines
from openai_server import OpenAIServer, answer, read_blocks
from runs_jobs import Place, finish

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
def place(own_folder: Path) -> Place:
    place = Place(own_folder)
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
    """Answer with one event a day that has all rows, but for those of the last hour, which are minor."""
    said, row = list[str](), 0
    for alias, block in read_blocks(message).items():
        rows = [(row := row + 1, line) for line in block if not line.startswith("# ")]
        late, early = (
            [str(n) for n, line in rows if line.startswith("18:00") == is_late] for is_late in (True, False)
        )
        said += [f"## {alias}", f"忙碌 {','.join(early)}", f"零碎 {' '.join(late)}"]
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


def run(place: Place, named: dict[str, Any], out: str = "out") -> RunState:
    with place.begin(named, out=place.folder / out) as job:
        return finish(job)


def events(place: Place, out: str = "out") -> list[dict[str, Any]]:
    return lines(place.folder / out / "events.jsonl")


def holding(place: Place) -> set[tuple[str, str]]:
    """Return source and type of the events that hold the conversions; each is one of its own."""
    of_rows = {(e["user_id"], index): e for e in events(place) for index in e["behaviors"]}
    owners = [
        of_rows[user, day + index] for user in ("anna", "bert", "cleo") for day in (0, 5) for index in NEEDED
    ]
    assert {(owner["category"], len(owner["behaviors"])) for owner in owners} == {("conversion", 1)}
    return {(owner["source"], owner["type"]) for owner in owners}


def test_conversions_that_a_model_misses_or_buries_are_events_of_their_own(
    place: Place, server: OpenAIServer
) -> None:
    summary = run(place, flags(server, RULE))
    assert (summary.status, summary.done, summary.failed, summary.calls) == ("completed", 3, 0, 1)
    assert holding(place) == {("must", "下单")}
    assert (summary.missed, summary.placed, summary.minor) == (18, 30, 0)
    assert place.watcher.of(BatchDone)[0].missed == 18
    assert place.checkpoint()["event_counts"]["must_misses"] == 18


def test_without_a_rule_the_conversions_that_the_export_names_are_events(
    place: Place, server: OpenAIServer
) -> None:
    summary = run(place, flags(server))
    assert (summary.missed, summary.placed, summary.minor) == (18, 30, 0)
    assert holding(place) == {("must", "购买"), ("must", "加购")}


def test_a_vocabulary_without_the_category_has_no_conversions(place: Place, server: OpenAIServer) -> None:
    summary = run(place, flags(server) | {"vocabulary": {"categories": [{"name": "all"}]}})
    assert (summary.missed, summary.placed, summary.minor) == (0, 24, 6)


def read_again(place: Place, named: dict[str, Any] | None = None) -> RunState:
    with place.reopen(named, changed="ignore") as job:
        return reparse(job)


def test_stored_replies_are_read_again_under_the_rules_of_today(place: Place, server: OpenAIServer) -> None:
    first = run(place, flags(server, RULE))
    before = place.events()
    again = read_again(place)
    assert (again.calls, again.event_counts, again.answers) == (
        first.calls,
        first.event_counts,
        first.answers,
    )
    assert place.events() == before
    without = read_again(place, {"events": {"must": []}})
    assert (without.missed, holding(place)) == (18, {("must", "购买"), ("must", "加购")})
    other = read_again(place, {"events": {"must": [RULE | {"added_type": "消费"}]}})
    assert (other.missed, holding(place)) == (18, {("must", "消费")})
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
