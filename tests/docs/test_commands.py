"""The guides, played: their commands are run in order, and what they are said to print is compared."""

import ast
import csv
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import chromium
from docs_kit import Block, blocks_of, command_lines, text_of, without_assignments
from eventabs import interface_language as language
from eventabs.cli.commands import app
from eventabs.providers.openai.endpoint_and_wire import load_preset, preset_names
from house import environment
from paths import ROOT
from report_kit import open_page, packed_data
from simulated_model import Options, Speed
from simulator import Simulator

GETTING_STARTED = Path("docs/getting-started.md")
GETTING_STARTED_ZH = Path("docs/zh/getting-started.md")
COOKBOOK = Path("docs/cookbook.md")
COOKBOOK_ZH = Path("docs/zh/cookbook.md")
EXPORTS = Path("docs/exports.md")
LEFT_OUT = "..."
AT_ONCE = Speed(first_token=0.0, prefill=0.0, decode=0.0)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Answer for every model that the guides name."""
    with Simulator(Options(AT_ONCE)) as simulator:
        yield simulator.base_url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Play in a folder with the examples, with a key for every preset and nothing else of whoever runs the tests."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    keys = {load_preset(name).api_key_env: "sk-test" for name in preset_names()}
    variables = environment(tmp_path, EVENTABS_LANG="en", **keys)
    for name in os.environ.keys() - variables.keys():
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    language.activate("en")


def play(page: Path, folder: Path, *, has_model: bool) -> None:
    """Do what a page says, in its language; compare what it shows where no model had a say."""
    language.activate("zh" if page.parent.name == "zh" else "en")
    os.environ["EVENTABS_LANG"] = language.active()
    printed = ""
    for block in blocks_of(page):
        match block.language:
            case "toml" if has_model:
                (folder / "eventabs.toml").write_text(block.text, "utf-8")
            case "sample" | "template":
                (folder / block.title).parent.mkdir(exist_ok=True)
                (folder / block.title).write_text(block.text, "utf-8")
            case "python":
                _run_python(block.text)
            case "sh":
                printed = "".join(map(_run, command_lines(block.text)))
            case "text" if not has_model or block.title == "always":
                _compare(block, printed)


def _run(line: str) -> str:
    """Run a command of ours, or one that only shows a file; the others start servers, install something or need a bucket."""
    words = shlex.split(line, comments=True)
    if words[0] == "head":
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout
    if without_assignments(words)[:1] != ["eventabs"] or any("s3://" in word for word in words):
        return ""
    # in this process: starting one each would take most of the time
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return done.output


def _run_python(text: str) -> None:
    """Run a program if what it needs is here; that it is one holds anywhere."""
    program = ast.parse(text)
    needed = {name.name for node in program.body if isinstance(node, ast.Import) for name in node.names}
    if all(importlib.util.find_spec(name) for name in needed):
        subprocess.run([sys.executable, "-c", text], check=True, stdout=subprocess.DEVNULL)


def _compare(block: Block, printed: str) -> None:
    said = {re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line).rstrip() for line in printed.splitlines()}
    shown = [line.rstrip() for line in block.text.splitlines()]
    assert [line for line in shown if line not in said | {LEFT_OUT}] == [], printed


@pytest.mark.parametrize(
    "guide",
    [
        GETTING_STARTED,
        GETTING_STARTED_ZH,
        pytest.param(Path("examples/README.md"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_guide_without_a_model_says_what_is_shown(guide: Path, folder: Path) -> None:
    play(guide, folder, has_model=False)


@pytest.mark.parametrize(
    "guide",
    [GETTING_STARTED, *(pytest.param(page, marks=pytest.mark.slow) for page in (COOKBOOK, COOKBOOK_ZH))],
    ids=str,
)
def test_a_guide_with_a_model_comes_to_its_end(
    guide: Path, folder: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTABS_LLM__BASE_URL", endpoint)
    play(guide, folder, has_model=True)


@pytest.fixture(params=["en", "zh"])
def recipe_for_a_goal(request: pytest.FixtureRequest, folder: Path) -> tuple[str, Path]:
    """Play the recipe for a run that began before there was a config file; return the page's language and the report."""
    page = COOKBOOK_ZH if request.param == "zh" else COOKBOOK
    language.activate("zh" if request.param == "zh" else "en")
    (sample,) = (block for block in blocks_of(page, "sample") if block.title == "app.csv")
    (folder / sample.title).write_text(sample.text, "utf-8")
    _run("eventabs run app.csv --provider rules --out reached")
    (config,) = (block.text for block in blocks_of(page, "toml") if 'name = "demo"' in block.text)
    (folder / "eventabs.toml").write_text(config, "utf-8")
    (commands,) = (block.text for block in blocks_of(page, "sh") if "reparse reached" in block.text)
    for line in command_lines(commands):
        _run(line)
    return request.param, folder / "reached" / "report.html"


def test_the_recipe_for_a_goal_ends_in_a_report_of_that_goal(recipe_for_a_goal: tuple[str, Path]) -> None:
    _language, report = recipe_for_a_goal
    assert packed_data(report.read_text("utf-8"))["index"]["goal"] == "demo"
    checkpoint = json.loads((report.parent / "checkpoint.json").read_text("utf-8"))
    assert checkpoint["settings"]["vocabulary"]["categories"][0]["name"] == "demo"
    assert checkpoint["settings"]["events"]["must"][0]["category"] == "demo"


@chromium.needed
async def test_the_report_says_of_the_goal_what_the_recipe_says(recipe_for_a_goal: tuple[str, Path]) -> None:
    spoken, report = recipe_for_a_goal
    async with chromium.browser() as page:
        await open_page(page, report)
        shown = await page.run("document.querySelector('#answer [data-key=reached]').innerText")
    label, figure = {
        "en": ("users with demo, also outside journeys", "2 100 %"),
        "zh": ("有“demo”的用户（不限于旅程）", "2 100 %"),
    }[spoken]
    assert " ".join(shown.split()) == f"{label} {figure}"
    assert label in text_of(COOKBOOK_ZH if spoken == "zh" else COOKBOOK)


def test_what_is_made_of_the_events_holds_them(folder: Path) -> None:
    play(EXPORTS, folder, has_model=False)
    events = [json.loads(line) for line in (folder / "demo" / "events.jsonl").read_text("utf-8").splitlines()]
    _holds_sequences(folder, events)
    for program in ("neo4j.py", "ocel.py"):
        _run_python((ROOT / "examples" / program).read_text("utf-8"))
    _holds_a_graph(folder, events)
    _holds_objects(json.loads((folder / "ocel.json").read_text("utf-8")), events)


@pytest.mark.slow
def test_the_notebook_of_the_page_runs_as_one(folder: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    client = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("pandas", reason="is what the notebook is about")
    for line in command_lines(blocks_of(EXPORTS, "sh")[0].text):
        _run(line)
    (cell,) = (block.text for block in blocks_of(EXPORTS, "python") if "import pandas" in block.text)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    shown = notebook.cells[0].outputs[0].text
    assert re.search(r"^工作 +\d+ +\d+\.\d", shown, re.MULTILINE), shown


def _holds_sequences(folder: Path, events: list[dict[str, Any]]) -> None:
    head, *lines = (folder / "sequences.txt").read_text("utf-8").splitlines()
    assert head == "@CONVERTED_FROM_TEXT"
    items = {number: name for _tag, number, name in (line.split("=") for line in lines if line[0] == "@")}
    sequences = [line.removesuffix(" -1 -2").split(" -1 ") for line in lines if line[0] != "@"]
    users: dict[str, list[str]] = {event["user_id"]: [] for event in events}
    for event in events:
        users[event["user_id"]].append(event["type"])
    assert [[items[number] for number in sequence] for sequence in sequences] == list(users.values())


def _holds_objects(log: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """Hold a log against what OCEL 2.0 demands of its JSON, and against the events."""
    assert [event["type"] for event in log["events"]] == [event["type"] for event in events]
    for things, kinds in (("objects", "objectTypes"), ("events", "eventTypes")):
        declared = {kind["name"]: {each["name"] for each in kind["attributes"]} for kind in log[kinds]}
        assert len({thing["id"] for thing in log[things]}) == len(log[things])
        assert all({each["name"] for each in t["attributes"]} == declared[t["type"]] for t in log[things])
    assert all(datetime.fromisoformat(event["time"]).tzinfo for event in log["events"])
    named = [{each["objectId"] for each in event["relationships"]} for event in log["events"]]
    assert set.union(*named) == {each["id"] for each in log["objects"]}
    (visit,) = (
        objects
        for objects, event in zip(named, events, strict=True)
        if (event["user_id"], event["behaviors"]) == ("u008", [27])
    )
    assert visit == {"user:u008", "place:启程4S店"}


def _holds_a_graph(folder: Path, events: list[dict[str, Any]]) -> None:
    def rows(name: str) -> list[list[str]]:
        with (folder / f"neo4j-{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]

    assert [row[1] for row in rows("events")] == [event["type"] for event in events]
    assert [user for (user, _number, _type) in rows("did")] == [event["user_id"] for event in events]
    users = [user for user, _label in rows("users")]
    assert users == sorted({event["user_id"] for event in events})
    assert len(rows("next")) == len(events) - len(users)
