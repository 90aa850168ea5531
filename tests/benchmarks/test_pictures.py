"""The pictures of the READMEs: made from what a run tells, and seen wherever they are shown."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from eventabs import interface_language as language
from eventabs.runs.observer import CoolingDown, Planned, Progress, Retrying, Started
from pictures import PICTURES, Fact, until_a_cooldown

PANELS = sorted(PICTURES.glob("*.svg"))
PHOTOGRAPHS = sorted(PICTURES.glob("*.png"))
FACTS = [
    Fact(
        0.0, Started("/somewhere/eventabs.toml", "openai", "simulated", "127.0.0.1:8000", "x.eventabs", False)
    ),
    Fact(1.0, Planned(25, 100, 100, 4.0)),
    Fact(10.0, Retrying(1, "HTTP 429", 5.0)),
    Fact(10.0, CoolingDown(5.0)),
    Fact(11.0, Progress(users=100, done=10, batches_total=25, batches_done=3)),
    Fact(50.0, CoolingDown(5.0)),
    Fact(51.0, Progress(users=100, done=70, batches_total=25, batches_done=18, retries=2)),
    Fact(52.0, Progress(users=100, done=72, batches_total=25, batches_done=19, retries=2)),
]


def test_the_panel_is_taken_at_the_first_cooldown_late_in_the_run() -> None:
    assert until_a_cooldown(FACTS, 0.6) == FACTS[:7]
    with pytest.raises(SystemExit):
        until_a_cooldown(FACTS, 0.9)


@pytest.mark.parametrize("panel", PANELS, ids=lambda path: path.name)
def test_a_panel_is_whole_and_asks_for_nothing_elsewhere(panel: Path) -> None:
    text = panel.read_text("utf-8")
    ET.fromstring(text)  # noqa: S314  our own file
    assert "@font-face" not in text
    assert set(re.findall(r"url\(.", text)) <= {"url(#"}


def test_pictures_are_there_in_both_languages_and_small() -> None:
    names = {path.name for path in (*PANELS, *PHOTOGRAPHS)}
    assert names == {
        f"{kind}-{lang}.{form}"
        for kind, form in (("panel", "svg"), ("report", "png"))
        for lang in language.LANGUAGES
    }
    assert max(path.stat().st_size for path in (*PANELS, *PHOTOGRAPHS)) < 300_000
