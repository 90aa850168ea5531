"""Makes the pictures of the READMEs: a run against the simulated endpoint, its panel and its report.

    python benchmarks/pictures.py

It writes panel-LANG.svg and report-LANG.png to docs/pictures. The run is one of the command line tool, with the
workload of the READMEs and the case's failures, once in each language: what endpoints and the tool say of a
failure is kept in the words in which it was said. Chromium takes the photograph of the report.
"""

import argparse
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, get_args

from rich.cells import cell_len
from rich.console import Console

import workload
from eventabs import interface_language as language
from eventabs.runs.observer import CoolingDown, Note, Progress, Started
from eventabs.views.panel_status_show import RichObserver
from simulated_model import CASE_FAILURES, Options, Speed, parse_failures
from simulator import Simulator

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
CONFIG = """\
[llm]
model = "simulated"
base_url = "http://127.0.0.1:8000/v1"
idle_timeout = 6.0

[llm.price]
currency = "CNY"
input = 2.0
output = 8.0

[run]
concurrency = 6
"""
TIMES_FASTER = 20.0  # than the model that the simulator stands for
RETRY_AFTER = 5.0  # seconds, so that a cooldown can be seen
SHARE_DONE = 0.6  # when the panel's picture is taken: at the first cooldown from there on
LEAST_COOLING = 2.0  # seconds that it still has to last
PAGE = (1100, 1240)  # of the report's photograph, in pixels
DRAWN_WITHIN = (
    10_000  # milliseconds of the browser's own time: the timeline is inflated after the page is loaded
)
# fonts of the machine that shows the picture: a code host loads none from elsewhere, and 2 cells fit a Chinese character
FONTS = (
    "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', monospace"
)
_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_TEXT = re.compile(
    r'<text class="(?P<style>[^"]+)" x="(?P<x>[^"]+)" y="(?P<y>[^"]+)"[^>]*>(?P<text>[^<]*)</text>'
)
_CELL = 12.2  # wide, as rich draws it
_KINDS = {
    re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower(): kind
    for kind in (Started, Progress, *get_args(Note))
}


class Fact(NamedTuple):
    """What the run told its observer, and when (seconds since 1970)."""

    at: float
    told: Any  # Started, Progress or one of Note


def run(folder: Path, lang: str) -> list[Fact]:
    """Run the tool in a folder, in a language; return all that it told."""
    words = "--users 486 --behaviors 92 --seed 7 --format text --output"
    workload.main([*words.split(), str(folder / "workload.jsonl")])
    (folder / "eventabs.toml").write_text(CONFIG, "utf-8")
    options = Options(
        Speed(scale=TIMES_FASTER), failures=parse_failures(CASE_FAILURES), retry_after=RETRY_AFTER
    )
    with Simulator(options, port=8000):
        done = subprocess.run(
            [sys.executable, "-m", "eventabs", "run", "workload.jsonl", "--progress", "json", "--lang", lang],
            cwd=folder,
            env=os.environ | {"XDG_STATE_HOME": str(folder / "state")},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return list(_facts(line for line in done.stderr.splitlines() if line.startswith("{")))


def _facts(lines: Iterator[str]) -> Iterator[Fact]:
    for line in lines:
        values = json.loads(line)
        kind = _KINDS[values.pop("event")]
        yield Fact(datetime.fromisoformat(values.pop("time")).timestamp(), kind(**values))


def until_a_cooldown(facts: Sequence[Fact], share_done: float) -> list[Fact]:
    """Return the facts up to the first count in a cooldown after so many of the users are done."""
    share = cooling_until = 0.0
    for number, (at, told) in enumerate(facts, 1):
        if isinstance(told, CoolingDown):
            cooling_until = at + told.seconds
        if isinstance(told, Progress):
            share = told.done / max(1, told.users)
            if share >= share_done and cooling_until > at + LEAST_COOLING:
                return list(facts[:number])
    message = "the run has no cooldown late enough; take another seed"
    raise SystemExit(message)


def draw_panel(facts: Sequence[Fact]) -> str:
    """Return as SVG what a terminal shows after the facts."""
    now = facts[0].at
    console = Console(record=True, file=io.StringIO(), width=80, force_terminal=True, legacy_windows=False)
    observer = RichObserver(console, verbose=False, currency="CNY", clock=lambda: now)
    for now, told in facts:  # noqa: B007  the observer's clock
        if isinstance(told, Started):
            observer.noted(told._replace(config_file="eventabs.toml"))  # not the temporary folder's name
        else:
            observer.noted(told)
    console.print(observer.picture())
    svg = console.export_svg(title="eventabs run workload.jsonl", unique_id="panel")
    svg = _TEXT.sub(_in_cells, svg)
    return _FONT_FACE.sub("", svg).replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


def _in_cells(match: re.Match[str]) -> str:
    """Give every wide character its own place: rich reckons all as narrow, and they would lie on each other."""
    x, drawn = float(match["x"]), []
    for cells, run in groupby(html.unescape(match["text"].rstrip("\n")), key=cell_len):
        text = "".join(run)
        if cells == 1:
            place = f'x="{x:.1f}" textLength="{_CELL * len(text):.1f}"'
        else:
            place = f'x="{" ".join(f"{x + _CELL * cells * at:.1f}" for at in range(len(text)))}"'
        drawn.append(f'<text class="{match["style"]}" y="{match["y"]}" {place}>{html.escape(text)}</text>')
        x += _CELL * cells * len(text)
    return "".join(drawn)


def photograph(page: Path, picture: Path) -> None:
    """Write the upper part of a page as PNG."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    width, height = PAGE
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--virtual-time-budget={DRAWN_WITHIN}",
            f"--window-size={width},{height}",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures of the READMEs.")
    parser.add_argument("--output", type=Path, default=PICTURES, help="folder to write to")
    output = parser.parse_args(arguments).output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as temporary:
        for lang in language.LANGUAGES:
            folder = Path(temporary) / lang
            folder.mkdir()
            shown = until_a_cooldown(run(folder, lang), SHARE_DONE)
            language.activate(lang)
            (output / f"panel-{lang}.svg").write_text(draw_panel(shown), "utf-8")
            page = folder / "report.html"
            make = ["report", "workload.eventabs", "--lang", lang, "--output", page]
            subprocess.run([sys.executable, "-m", "eventabs", *map(str, make)], cwd=folder, check=True)
            photograph(page, output / f"report-{lang}.png")


if __name__ == "__main__":
    main()
