"""The documentation, tested: its links, commands, settings, figures and the walk of one behavior."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.core import TyperGroup

import eventabs
from docs_kit import FENCE, PAGES, block_of, blocks_of, commands_of, text_of
from eventabs.cli.commands import app
from eventabs.config.settings import Settings, load_settings
from eventabs.ingest.column_names import ACTION_WORDS, FAILURES, MARKERS, PLATFORMS, fit, plain
from eventabs.prompts.compact_lines import Compactor
from eventabs.runs.built_from_settings import builder_and_limits
from eventabs.shared_records import Behavior, UserLog
from eventabs.store.ledger import Ledger, unpack_json, unpack_log, unpack_parts, unpack_text
from house import environment, eventabs as run_eventabs, ran
from input_files import opened
from paths import ROOT
from reply_cases import behaviors, one, told

READMES = (Path("README.md"), Path("README.zh-CN.md"))
USAGE = (Path("docs/usage.md"), Path("docs/zh/usage.md"))
ARCHITECTURE = Path("docs/architecture.md")
ARCHITECTURE_ZH = Path("docs/zh/architecture.md")
CONTRIBUTING = Path("CONTRIBUTING.md")
DECISIONS = Path("docs/decisions.md")
FORMATS = Path("docs/formats.md")
FORMATS_ZH = Path("docs/zh/formats.md")

# whose two versions say the same, part by part; the others are only in one language or differ
BOTH = {page.stem for page in PAGES if page.match("docs/*.md")} - {"index"}
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ +(?P<title>.+)$", re.MULTILINE)

pages = pytest.mark.parametrize("page", PAGES, ids=str)
readmes = pytest.mark.parametrize("page", READMES, ids=str)


class Demo(NamedTuple):
    """What `make demo` leaves."""

    events: list[str]
    ledger: Ledger

    def one(self, sql: str, *values: object) -> Any:  # noqa: ANN401  whatever the column holds
        ((value,),) = self.ledger.rows(sql, *values)
        return value


def _anchor(title: str) -> str:
    """Return the anchor that code hosts give a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text_of(Path("Makefile")), re.MULTILINE))


def _run_demo(folder: Path, spoken: str = "en") -> str:
    """Run the command of `make demo`; return what it says."""
    (line,) = [line for line in text_of(Path("Makefile")).splitlines() if "$(BIN)/eventabs run" in line]
    (folder / "examples").symlink_to(ROOT / "examples")
    return ran(*shlex.split(line)[1:], cwd=folder, EVENTABS_LANG=spoken).stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the command of `make demo`."""
    folder = tmp_path_factory.mktemp("demo")
    _run_demo(folder)
    ledger = Ledger.open(folder / "demo.eventabs" / "ledger.sqlite")
    events = (folder / "demo.eventabs" / "events.jsonl").read_text("utf-8").splitlines()
    yield Demo(events, ledger)
    ledger.close()


# links


@pages
def test_links_between_pages_and_files_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(FENCE.sub("", text_of(page))):
        target, _, anchor = match["target"].partition("#")
        if "://" in target:
            continue
        named = (ROOT / page).parent / target if target else ROOT / page
        assert named.exists(), match["target"]
        if anchor:
            titles = HEADING.findall(FENCE.sub("", named.read_text("utf-8")))
            assert anchor in map(_anchor, titles), match["target"]


def test_each_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [READMES[0]]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for match in LINK.finditer(text_of(page)):
            target = Path(os.path.normpath(page.parent / match["target"].partition("#")[0]))
            if target in PAGES and target not in reached:
                waiting.append(target)
    assert [page for page in PAGES if page not in reached] == []


FIRST_PAGES = (Path("docs/index.md"), Path("docs/zh/index.md"))


@pytest.mark.parametrize("first", FIRST_PAGES, ids=str)
def test_the_navigation_names_every_page_once(first: Path) -> None:
    pages = {page.stem for page in PAGES if page.parent == first.parent and page != first}
    assert sorted(_navigation(first)) == sorted(pages)


def test_the_navigation_has_the_same_order_in_both_languages() -> None:
    english, chinese = map(_navigation, FIRST_PAGES)
    assert [name for name in english if name in chinese] == [name for name in chinese if name in english]


def _navigation(first: Path) -> list[str]:
    found = re.findall(r"^```\{toctree\}\n(.*?)^```", text_of(first), re.MULTILINE | re.DOTALL)
    lines = [line for block in found for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


# commands


@pages
def test_every_command_line_of_the_tool_can_be_parsed(page: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for words in commands_of(page):
        if words[0] != "eventabs" or words[1:] == ["--help"]:
            continue
        command = group.commands[words[1]]
        command.make_context(words[1], words[2:])  # raises for an option that there is not


@pages
def test_every_make_target_that_is_named_is_there(page: Path) -> None:
    named = {words[1] for words in commands_of(page) if words[0] == "make"}
    named |= set(re.findall(r"`make ([a-z-]+)`", text_of(page)))
    assert named <= _make_targets()


def test_the_first_screen_of_the_readmes_has_the_two_commands() -> None:
    for page in READMES:
        assert blocks_of(page, "sh")[0].text == "make demo\nmake test\n"
        assert text_of(page).index("make test") < 600


@pages
def test_settings_in_code_spans_are_settings(page: Path) -> None:
    known = Settings().model_dump()
    for section, key in re.findall(r"`\[?(llm|run|input|prompt|budget)\.(?!log)([a-z_]+)\]?`", text_of(page)):
        assert key in known[section], f"{section}.{key}"
    for name in re.findall(r"`EVENTABS_([A-Z_]+)`", text_of(page)):
        value: Any = known
        for step in name.lower().split("__"):
            assert step in value, name
            value = value[step]


# settings


@pages
def test_every_toml_block_loads_as_settings(page: Path, tmp_path: Path) -> None:
    for block in blocks_of(page, "toml"):
        config = tmp_path / "eventabs.toml"
        config.write_text(block.text, "utf-8")
        load_settings(config, {})


# two languages


PAIRS = [
    READMES,
    *((Path("docs") / page.name, page) for page in PAGES if page.match("docs/zh/*.md") and page.stem in BOTH),
]
pairs = pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=str)


@pairs
def test_both_languages_have_the_same_blocks_in_the_same_order(english: Path, chinese: Path) -> None:
    # what a page shows of the tool's own words is compared with what is printed in its language
    is_played = english.stem in {"README", "getting-started", "cookbook"}
    both = [
        [
            block._replace(text="") if is_played and block.language == "text" else block
            for block in blocks_of(page)
        ]
        for page in (english, chinese)
    ]
    assert both[0] == both[1]


@pairs
def test_both_languages_have_the_same_sections_and_tables(english: Path, chinese: Path) -> None:
    texts = [FENCE.sub("", text_of(page)) for page in (english, chinese)]
    heads, rows = (
        [[len(found) for found in re.findall(pattern, text, re.MULTILINE)] for text in texts]
        for pattern in (r"^(#+) ", r"^\|")
    )
    assert heads[0] == heads[1]
    assert rows[0] == rows[1]


@pairs
def test_both_languages_have_the_same_figures(english: Path, chinese: Path) -> None:
    texts = [_without_targets(FENCE.sub("", text_of(page))) for page in (english, chinese)]
    texts[1] = re.sub(r"(\d+) 万", lambda match: f"{int(match[1]) / 100:g}", texts[1])  # in millions
    texts[1] = re.sub(r"\b1?\d 月", "", texts[1])  # English months are words
    figures = [set(re.findall(r"\d[\d,.]*\d|\d", text)) for text in texts]
    assert figures[0] == figures[1]


def _without_targets(text: str) -> str:
    """Leave out where links lead: the anchor of a heading is another in each language."""
    return re.sub(r"\]\([^)]*\)", "]", text)


def test_both_readmes_fit_on_150_lines() -> None:
    assert all(len(text_of(page).splitlines()) <= 150 for page in READMES)


# what is shown is what happens


@pytest.mark.parametrize(("page", "spoken"), [(READMES[0], "en"), (READMES[1], "zh")])
def test_the_demo_says_what_the_readme_says(page: Path, spoken: str, tmp_path: Path) -> None:
    lines = _run_demo(tmp_path, spoken).splitlines()
    said = [line.split(" ", 2)[2] if re.match(r"\d{4}-", line) else line for line in lines]
    shown = blocks_of(page, "text")[0].text.splitlines()
    assert [line for line in shown if line not in said] == []


@readmes
def test_the_row_and_the_event_of_the_readme_are_those_of_the_demo(page: Path, demo: Demo) -> None:
    row, event = blocks_of(page, "text")[1].text.splitlines()
    assert row in text_of(Path("examples/behaviors.jsonl")).splitlines()
    assert event in demo.events


@pytest.mark.slow
def test_the_figures_of_the_workload_are_those_of_its_commands(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    generate, estimate = (
        words
        for words in commands_of(USAGE[0])
        if any(word.endswith("workload.py") for word in words) or words[-1] == "workload.jsonl"
    )
    subprocess.run([sys.executable, *generate[1:]], cwd=tmp_path, env=environment(tmp_path), check=True)
    small, dense = (
        json.loads(run_eventabs(*estimate[1:], *flags, "--json", cwd=tmp_path).stdout)
        for flags in ((), ("--compaction", "dense"))
    )
    shown = re.findall(r"^\|.*\| ([\d.]+) million \| (\d+) \|$", text_of(USAGE[0]), re.MULTILINE)
    long = small["tokens"]["long"]
    assert [(float(millions), int(batches)) for millions, batches in shown] == [
        (round(tokens / 1e6, 2), batches)
        for tokens, batches in (
            (long, small["case"]["8000"]),
            (long, small["case"]["40000"]),
            (small["tokens"]["compact"], small["batches"]),
            (dense["tokens"]["compact"], dense["batches"]),
        )
    ]
    sent, answered = small["tokens"]["prompt_total"] / 1e6, small["expected_output_tokens"] / 1e6
    assert f"{sent:.2f} million tokens in and {answered:.2f} million out" in text_of(USAGE[0])
    for page in USAGE:
        assert f"{small['users']:,}" in text_of(page)
        assert f"{small['behaviors']:,}" in text_of(page)


# formats


def _table(heading: str, on: Path = FORMATS) -> list[list[str]]:
    """Return the cells of all tables below a heading of a page, without those of the head."""
    page = text_of(on)
    below = re.split(r"^#+ ", page[page.index(f"# {heading}\n") + 2 :], flags=re.MULTILINE)[0]
    rows = [re.split(r"(?<!\\) *\| *", line)[1:-1] for line in below.splitlines() if line.startswith("|")]
    return [row for row, following in zip(rows, [*rows[1:], [""]], strict=True) if not _rules(row, following)]


def _rules(row: list[str], following: list[str]) -> bool:
    return row[0].startswith("---") or following[0].startswith("---")


def _read(folder: Path, rows: Sequence[Mapping[str, str]], timezone: str = "") -> list[Behavior]:
    """Read one behavior a row, each of a user of its own, in the order of the rows."""
    file = folder / "rows.jsonl"
    lines = [
        json.dumps({"user": f"{number:03}", "time": "2026-01-01 10:00:00", **row}, ensure_ascii=False)
        for number, row in enumerate(rows)
    ]
    file.write_text("\n".join(lines), "utf-8")
    with opened(folder, file, timezone=timezone) as export:
        assert export.rejected_rows == 0, list(export.rejects())
        return [log.behaviors[0] for log in export.user_logs()]


def test_the_names_that_the_page_lists_are_found() -> None:
    listed = [(role.strip("`"), name) for role, names in _table("Columns") for name in names.split(", ")]
    assert [(role, name) for role, name in listed if fit(name, role) < 0.45] == []


def test_the_words_of_actions_failures_and_platforms_are_among_those_that_are_known() -> None:
    listed = {
        row[0].strip("`"): set(row[1].split(", ")) for row in _table("Actions") if row[0].startswith("`")
    }
    known: dict[str, set[str]] = {action: set(words.split()) for action, words in ACTION_WORDS.items()}
    assert listed.keys() == known.keys()
    assert [word for action, words in listed.items() for word in words - known[action]] == []
    for page in (FORMATS, FORMATS_ZH):
        failures, platforms = (
            tuple(words.split(", ")) for words in re.findall(r"[(（]([^()（）]+) \.\.\.[)）]", text_of(page))
        )
        assert set(failures) <= set(FAILURES)
        assert set(platforms) <= set(PLATFORMS)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("Columns", "列"),
        ("Actions", "动作"),
        ("Structured rows and sentences", "结构化的行与句子"),
        ("Actions with a text", "有文字的动作"),
        ("Times", "时间"),
        ("Durations", "时长"),
        ("Begins and ends", "开始和结束"),
    ],
)
def test_what_is_read_is_listed_alike_in_both_languages(english: str, chinese: str) -> None:
    assert _table(english) == _table(chinese, FORMATS_ZH)


def test_the_words_that_begin_and_end_are_among_those_that_are_known() -> None:
    listed = [
        [{plain(word) for word in words.split(", ")} for words in row] for row in _table("Begins and ends")
    ]
    assert listed
    for begins, ends in listed:
        assert any(begins <= set(family[0]) and ends <= set(family[1]) for family in MARKERS)


def test_the_sentences_hold_the_facts_that_the_page_says(tmp_path: Path) -> None:
    table = _table("Structured rows and sentences")
    behaviors = _read(tmp_path, [{"text": sentence} for sentence, *_facts in table])
    assert [[b.action, b.item, b.place, str(b.duration or "")] for b in behaviors] == [
        facts for _sentence, *facts in table
    ]


def test_actions_with_a_text_are_written_as_the_page_says(tmp_path: Path) -> None:
    table = _table("Actions with a text")
    for number, (action, text, others, line) in enumerate(table):
        role, _, value = others.partition(" ")
        row = {"action": action, "text": text} | ({role: value} if role else {})
        (tmp_path / str(number)).mkdir()
        log = UserLog("u", tuple(_read(tmp_path / str(number), [row])))
        (written,) = Compactor("en" if text.isascii() else "zh").lines(log)
        assert written.partition(" ")[2] == line.strip("`")


def test_times_are_read_as_the_page_says(tmp_path: Path) -> None:
    table = _table("Times")
    for with_offset in (False, True):
        rows = [row for row in table if ("+" in row[1]) is with_offset]
        assert len(rows) > 3
        behaviors = _read(tmp_path, [{"time": time, "item": "x"} for time, _read_as in rows])
        assert [behavior.start.isoformat() for behavior in behaviors] == [read_as for _time, read_as in rows]


def test_durations_are_read_as_the_page_says(tmp_path: Path) -> None:
    table = _table("Durations")
    behaviors = _read(tmp_path, [{"item": "x", "duration": duration} for duration, _seconds in table])
    assert [str(behavior.duration) for behavior in behaviors] == [seconds for _duration, seconds in table]


def test_the_prompt_is_written_as_the_page_shows() -> None:
    first, second = datetime(2026, 1, 1), datetime(2026, 1, 2)  # noqa: DTZ001  wall times
    users = (
        UserLog(
            "user_0007",
            (
                Behavior(first.replace(hour=10), "visit", "XX西餐厅", "", 4440),
                Behavior(first.replace(hour=14, minute=30), "browse", "宝马7系", "汽车之家", 150),
                Behavior(second.replace(hour=9, minute=5), "use", "微信", "", 45),
                Behavior(second.replace(hour=22, minute=37), "", "和室友在宿舍聊到很晚"),
            ),
            (("age", "40"), ("gender", "男"), ("occupation", "企业管理者"), ("city", "上海")),
        ),
        UserLog("user_0008", (Behavior(first.replace(hour=12, minute=10), "cart", "帐篷", "淘宝"),)),
    )
    compactor = Compactor("zh", Settings().compaction.strip)
    blocks = [compactor.block("U1", users[0], 1), compactor.block("U2", users[1], 5)]
    assert "".join(piece for block in blocks for piece in block) == block_of(FORMATS, "prompt") + "\n"


def test_what_is_read_as_well_means_what_the_page_says() -> None:
    rows = behaviors(*(f"2087-03-03 {hour:02}:00" for hour in range(6, 18)))
    wanted = one("工作 2-4 9", log=rows)
    assert wanted.events == ["工作 1,2,3", "工作 8"]
    for _what, examples in _table("What is read as well"):
        lines = [line.replace(r"\|", "|") for line in re.findall("`([^`]+)`", examples)]
        answers = ["\n".join(lines)] if ", then " in examples else lines
        assert [answer for answer in answers if one(answer, log=rows) != wanted] == []


def test_both_forms_of_an_answer_on_the_page_mean_the_same() -> None:
    lines = told(block_of(FORMATS, "lines"))
    assert lines == told(blocks_of(FORMATS, "json")[-1].text)
    assert {user.reason for user in lines.values()} == {None}
    assert "加购! 9? <购买 露营帐篷>" in lines["U1"].events


def test_every_reason_for_a_rejected_row_is_explained(tmp_path: Path) -> None:
    bad = {
        "rows.jsonl": '{"uid": "a", "time": "2026-01-01", "item": "x"}\n{"uid\n[1]\n{"time": "2026-01-01"}\n'
        '{"uid": "a", "time": "soon", "item": "x"}\n{"uid": "a", "time": "2026-01"}\n{"uid": "a", "time": "2026-01-01"}\n'
        '{"uid": "a", "time": "2026-01-01", "item": "x", "duration": "long"}\n',
        "rows.csv": "uid,time,item\na,2026-01-01,x,y\n",
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text, "utf-8")
    with opened(tmp_path, *(tmp_path / name for name in bad)) as export:
        reasons = {row.reason for row in export.rejects()}
    assert reasons == {reason.strip("`") for reason, _when in _table("Rejected rows")}


# architecture


def test_the_drawing_is_the_contract_and_has_every_room() -> None:
    contracts = tomllib.loads(text_of(Path("pyproject.toml")))["tool"]["importlinter"]["contracts"]
    layers = [name for layer in contracts[0]["layers"] for name in layer.split(" | ")]
    drawing = blocks_of(ARCHITECTURE, "text")[0].text
    drawn = re.findall(r"\b(\w+)(?:/|\.py)", drawing)
    assert [f"eventabs.{name}" for name in drawn] == layers
    package = Path(eventabs.__file__).parent
    assert all((package / name).exists() for name in re.findall(r"\b\w+(?:/|\.py)", drawing))
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(drawn) == rooms | {path.stem for path in package.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("page", [ARCHITECTURE, ARCHITECTURE_ZH, CONTRIBUTING, DECISIONS], ids=str)
def test_every_module_and_folder_that_a_page_names_is_there(page: Path) -> None:
    package = Path(eventabs.__file__).parent
    named = set(
        re.findall(
            r"`(?:src/eventabs/)?((?:[a-z_]+/)+|(?:[a-z_]+/)*[a-z_]+\.(?:py|toml|sql)|[a-z_]+/[a-z_]+)`",
            text_of(page),
        )
    )
    assert [name for name in named if not ((package / name).exists() or (ROOT / name).exists())] == []


def test_the_architecture_is_one_page() -> None:
    assert len(text_of(ARCHITECTURE).splitlines()) <= 150


def test_every_decision_has_its_number_and_its_date() -> None:
    decided = re.findall(r"^## (.*)\n\n(.*)", text_of(DECISIONS), re.MULTILINE)
    numbers = [int(title.partition(". ")[0]) for title, _paragraph in decided]
    assert numbers == sorted(set(numbers))  # those that fell are deleted
    assert [title for title, text in decided if not re.match(r"\d{4}-\d\d-\d\d[.,]", text)] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(text_of(Path("pyproject.toml")))["project"]
    page = text_of(DECISIONS).partition("\n## 2. ")[0]
    reasons = set(re.findall(r"^\| \[?([a-z0-9-]+)[\] ]", page, re.MULTILINE))
    extras = project["optional-dependencies"]
    development = extras.pop("dev")
    assert _distributions(*project["dependencies"], *chain(*extras.values())) <= reasons
    listed = page.partition("For development only:")[2]
    assert {name for name in _distributions(*development) if not re.search(rf"\b{name}\b", listed)} == set()


def _distributions(*requirements: str) -> set[str]:
    return {re.split(r"[<>=!~ \[]", requirement)[0] for requirement in requirements}


def test_the_tables_of_the_ledger_are_those_of_the_architecture(demo: Demo) -> None:
    tables = {name for (name,) in demo.ledger.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    described = text_of(ARCHITECTURE).partition("## The ledger")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", described, re.MULTILINE)) == tables


def test_the_walk_of_one_behavior_is_what_the_demo_does(demo: Demo) -> None:
    text = " ".join(text_of(ARCHITECTURE).split())
    rows = text_of(Path("examples/behaviors.jsonl")).splitlines()
    line = rows.index(block_of(ARCHITECTURE, "row")) + 1
    assert f"Line {line} of" in text

    log = unpack_log("u008", demo.one("SELECT log FROM users WHERE user_id = 'u008'"))
    ((index, behavior),) = [(i, b) for i, b in enumerate(log.behaviors) if b.line == line]
    assert repr(behavior) == block_of(ARCHITECTURE, "behavior")
    assert f"{len(log.behaviors)} behaviors, this one at index {index}" in text
    assert f"`{' '.join(value for _name, value in log.profile)}`" in text

    ((first, last, call),) = demo.ledger.rows("SELECT first, last, call_id FROM parts WHERE user_id = 'u008'")
    assert f"part (u008, {first}, {last})" in text
    builder, _limits = builder_and_limits(Settings(), {"prompt_language": "zh", "template": None})
    tokens, expected, _rows = builder.measure(log)
    assert f"has {tokens:,} tokens without row numbers; its answer is expected to have {expected}." in text

    users = unpack_parts(demo.one("SELECT users FROM calls WHERE id = ?", call))
    (alias,) = [alias for alias, part in users.items() if part.user_id == "u008"]
    assert f"is called {alias} there" in text
    assert f"takes the {len(users)} users" in text
    prompt = unpack_json(demo.one("SELECT messages FROM calls WHERE id = ?", call))[1]["content"]
    assert block_of(ARCHITECTURE, "line") in _user_block(prompt, alias)
    reply = unpack_text(demo.one("SELECT reply FROM calls WHERE id = ?", call))
    assert block_of(ARCHITECTURE, "answer") in _user_block(reply, alias)
    assert block_of(ARCHITECTURE, "event") in demo.events


def _user_block(text: str, alias: str) -> list[str]:
    """Return the lines of one user in a prompt or a reply."""
    return re.split(r"^## ?", text, flags=re.MULTILINE)[int(alias[1:])].splitlines()


# versions


def test_the_changelog_names_the_version() -> None:
    assert f"## [{eventabs.__version__}]" in text_of(Path("CHANGELOG.md"))
    assert tomllib.loads(text_of(Path("pyproject.toml")))["project"]["version"] == eventabs.__version__
