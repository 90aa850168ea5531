"""A simulated model over HTTP leaves out a third of the conversions of the demo's users; rules cover every one."""

import json
import sys
from pathlib import Path

import pytest

from eventabs.store.ledger import Ledger
from house import eventabs, lines
from paths import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from simulated_model import Options, Speed, parse_failures
from simulator import Simulator

RULES = """
[[events.must]]
action = ["purchase", "cart"]
category = "conversion"
added_type = "购买"

[[events.must]]
action = "visit"
item = { regex = "4S店" }
category = "conversion"
type = "到店"
"""


def uncovered(out: Path) -> tuple[int, int]:
    """Return how many behaviors are conversions, and how many of them no event of that category covers."""
    category = {
        (event["user_id"], index): event["category"]
        for event in lines(out / "events.jsonl")
        for index in event["behaviors"]
    }
    with Ledger.watch(out / "ledger.sqlite") as ledger:
        needed = [
            (user_id, index)
            for user_id in ledger.logged_users()
            for index, behavior in enumerate(ledger.log(user_id).behaviors)
            if behavior.action in ("purchase", "cart")
            or (behavior.action == "visit" and "4S店" in behavior.item)
        ]
    return len(needed), sum(category.get(key) != "conversion" for key in needed)


@pytest.mark.parametrize("rules", ["", RULES], ids=["no rules", "rules"])
def test_every_conversion_is_covered_after_the_run(tmp_path: Path, rules: str) -> None:
    (tmp_path / "eventabs.toml").write_text(rules, encoding="utf-8")
    with Simulator(Options(Speed(0.0, 0.0, 0.0), parse_failures("missed=0.33"))) as model:
        done = eventabs(
            *("run", ROOT / "examples" / "behaviors.jsonl", "--out", "out", "--json"),
            *("--model", "simulated", "--base-url", model.base_url),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    needed, missed = uncovered(tmp_path / "out")
    sources = [event["source"] for event in lines(tmp_path / "out" / "events.jsonl")]
    added = sources.count("must")
    assert (summary["success_count"], summary["failed_count"]) == (24, 0)
    assert summary["event_counts"]["must_misses"] == added
    assert needed == 21
    assert missed == 0
    assert added > 0
    assert f"{added} missed event" in done.stderr
    status = json.loads(eventabs("status", "out", "--json", cwd=tmp_path).stdout)
    assert status["event_counts"] == summary["event_counts"]
    report = eventabs("report", "out", cwd=tmp_path)
    assert f"{added} missed event" in Path(tmp_path / report.stdout.strip()).read_text("utf-8")
