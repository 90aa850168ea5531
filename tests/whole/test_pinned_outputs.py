"""What people and programs see of the tool is what tests/data/pinned holds; `make pinned` writes that anew.

A small export with rejected rows, a duplicate, a user without a row and one whose answers stay bad is estimated, run, shown,
exported and extended, in both languages, against a server on loopback. Then come wrong commands, and every help page.
"""

import difflib
import json
import re
import shlex
import shutil
import sqlite3  # noqa: TID251  as any other program reads it
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pytest
import typer
from python_calamine import load_workbook
from typer.core import TyperGroup

from check_kit import Model
from eventabs import __version__
from eventabs.cli.commands import app
from house import checkpoint, eventabs
from openai_server import Exchange, OpenAIServer, answer, listing, read_blocks, status
from paths import ROOT

PINNED = ROOT / "tests" / "data" / "pinned"

# the file of an output, and the command that gives it
SHOWN = {
    "estimate": "estimate behaviors.csv",
    "run": "run behaviors.csv --out run",
    "status": "status run",
    "show": "show run",
    "show-user": "show run anna",
}
SHOWN_IN_ENGLISH = {
    "columns": "columns behaviors.csv",
    "reparse": "reparse run",
    "rules": "run behaviors.csv --provider rules --out rules",
    "diff": "diff run rules",
    "evaluate": "evaluate rules --gold labels.csv",
    "export": "export rules --output events.csv",
    "files": "run behaviors.csv --mode files --out files",
    "files-status": "status files",
    "check": "check --model thorough",
}
OBJECTS = {
    "estimate": "estimate behaviors.csv",
    "columns": "columns behaviors.csv",
    "run-shard": "run behaviors.csv --provider rules --shard 0/2 --out shard-0",
    "run-other-shard": "run behaviors.csv --provider rules --shard 1/2 --out shard-1",
    "resume": "resume run",
    "status": "status run",
    "show": "show run",
    "show-user": "show run anna",
    "diff": "diff run rules",
    "evaluate": "evaluate rules --gold labels.csv",
    "files-status": "status files",
    "check": "check --model thorough",
    "extend": "extend rules later.csv --yes",
}
SHOWN_LAST = {
    "merge": "merge shard-0 shard-1 --out merged",
    "merged-status": "status merged",
    "extend": "extend run later.csv --yes",
}
FILES = (
    *("run/checkpoint.json", "run/events.jsonl", "run/journeys.jsonl", "run/failures.jsonl"),
    *("run/rejects.jsonl", "run/run.log", "rules/events.jsonl", "files/requests.jsonl"),
)
FILES_LAST = (
    *("merged/checkpoint.json", "merged/events.jsonl", "run/events.new.jsonl"),
    *("run/journeys.new.jsonl",),
)

UNREADABLE: dict[str, bytes] = {
    "empty.csv": b"",
    "empty.jsonl": b"",
    "binary.csv": bytes(range(256)) * 20,
    "nouser.csv": b"a,timestamp,text\n1,2026-01-01 10:00:00,x\n",
    "notime.csv": b"user_id,text\nu1,x\n",
    "big5.csv": "user_id,timestamp,text\nu1,2026-01-01 10:00:00,試駕預約與優惠價格\n".encode("big5"),
    "header.csv": b"user_id,timestamp,text\n",
    "empty.json": b"[]",
    "[/red].csv": b"",
}
CONFIGS = {
    "unknown": '[llm]\nmodle = "x"\n',
    "no-toml": "[llm\n",
    "type": '[run]\nconcurrency = "many"\n',
    "default": '[[vocabulary.categories]]\nname = "a"\nmark = "!"\n',
    "template": '[prompt]\ntemplate = "none.txt"\n',
    "rules": '[rules]\nfile = "none.toml"\n',
    "tokenizer": '[llm]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n[prompt]\ntokenizer = "gpt9"\n',
    "zone": '[input]\ntimezone = "Mars/Base"\n',
    "price": "[run]\nmax_cost = 1.0\n",
    "port": '[llm]\nmodel = "m"\nbase_url = "https://x.example:99999/v1"\n',
    "model": '[llm]\nprovider = "openai"\n',
    "no-key": '[llm]\nmodel = "m"\n',
    "budget": '[llm]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n[budget]\nmax_input_tokens = 100\n',
    "constrain": '[llm]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nconstrain = "schema"\n',
}
MISUSED = (
    *("frobnicate", "run --detail huge", "run --rpm x", "run --no-such-flag", "run --confg x"),
    *("run --config", "run --quiet=3", "run a --quiet true", "run a --concurrency 0"),
    *("run a --limit 0", "run a --lang fr", "run", "run --config gone.toml"),
    *("run a --config faults.toml", "resume", "reparse a b", "show a --limit 0", "--lang"),
)
WRONG = (
    "run gone.csv",
    "run ftp://example.com/a.csv",
    "run '*.nothing'",
    *(f"run '{name}' --quiet --out wrong" for name in UNREADABLE),
    *(f"run ../later.csv --config {name}.toml --out wrong" for name in CONFIGS),
    "estimate ../behaviors.csv --max-rejects 0.01",
    "estimate ../behaviors.csv --strict",
    "run ../later.csv --out ../run",
    "run ../later.csv --out ..",
    "run ../later.csv --config served.toml --model refused --out stopped",
    "run ../later.csv --config served.toml --max-total-tokens 100 --out limited",
    "resume ../run --model another",
    "resume gone",
    "resume .",
    "resume empty.csv",
    "resume damaged",
    "extend ../run gone.csv",
    "status gone",
    "show ../run nobody",
    "export ../run --output x.xls",
    "export ../run --output x.xls --format xlsx",
    "export ../run --output x.csv.gz",
    "export ../run --output -",
    "export ../run --output x.jsonl",
    "export ../run --output x.xlsx --format csv",
    "export ../run --output x.CSV --format xes",
    "export ../run --output x.xlsx --bom",
    "export ../run --output x.xlsx --timezone Asia/Shanghai",
    "export ../run --output ../behaviors.csv",
    "evaluate ../run --gold empty.csv",
    "diff ../run gone",
    "merge gone --out part",
    "check --config no-toml.toml",
)


@pytest.fixture
def folder(tmp_path: Path, openai_server: OpenAIServer) -> Path:
    """Return a folder with the export and its config, and one in it with what is wrong."""
    shutil.copytree(PINNED / "input", tmp_path, dirs_exist_ok=True)
    served = f'[llm]\nmodel = "m"\nbase_url = "{openai_server.base_url}"\n'
    with (tmp_path / "eventabs.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{served}price = {{ input = 2.0, output = 8.0 }}\n")
    wrong = tmp_path / "wrong"
    (wrong / "damaged").mkdir(parents=True)
    (wrong / "damaged" / "ledger.sqlite").write_bytes(b"not a database" * 500)
    (wrong / "served.toml").write_text(served, "utf-8")
    (wrong / "faults.toml").write_text('modle = "m"\n[run]\nconcurrency = 0\nrpm = -1\n', "utf-8")
    for name, toml in CONFIGS.items():
        (wrong / f"{name}.toml").write_text(toml, "utf-8")
    for name, content in UNREADABLE.items():
        (wrong / name.replace("/", "")).write_bytes(content)
    return tmp_path


async def behave(exchange: Exchange) -> None:
    """Answer by the model's name: well but for one user, after a first 429; not at all; or for `check`."""
    model = exchange.received.body["model"]
    if model == "refused":
        await status(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})(exchange)
    elif model == "thorough":
        await Model()()(exchange)
    elif exchange.received.number == 0:
        await status(429, headers={"Retry-After": "0"})(exchange)
    else:
        await answer(_answered)(exchange)


_STEPS = {"试驾": "搜索", "宝马3系": "浏览", "宝马4S店": "到店!", "加购": "加购!", "买 双人": "购买!"}
_TYPES = {"西餐厅": "用餐", "健身房": "零碎", "飞书": "工作", "企业微信": "工作", "电台": ""}


def _answered(message: str) -> str:
    """Answer with a journey for a car or a tent, a minor row, and nothing about where the radio was on."""
    answered, row = list[str](), 0
    for alias, block in read_blocks(message).items():
        steps, others = list[str](), list[str]()
        for line in block:
            if line.startswith(("# ", ">")):  # a day, and journeys that are known
                continue
            row += 1
            if step := next((kind for words, kind in _STEPS.items() if words in line), ""):
                steps.append(f"{step} {row}{'?' * (step == '浏览')}")
            elif kind := next((kind for words, kind in _TYPES.items() if words in line), "浏览"):
                others.append(f"{kind} {row}")
        answered += [f"## {alias}", *([f"> 购买 心仪之物：{'；'.join(steps)}"] if steps else []), *others]
    return "\n".join([*answered, "##"])


class Desk:
    """Where the commands are typed, and what is masked of what they say."""

    def __init__(self, folder: Path, server: OpenAIServer, language: str) -> None:
        self._server = server
        self._language = language
        self.folder = folder

    def asked(self, line: str, within: str = ".") -> CompletedProcess[str]:
        """Type a command."""
        return eventabs(
            *shlex.split(line),
            cwd=self.folder / within,
            EVENTABS_LANG=self._language,
            XDG_STATE_HOME=str(self.folder / ".state"),
        )

    def said(self, line: str, within: str = ".") -> str:
        """Return a command, what it says, and its exit code."""
        done = self.asked(line, within)
        shown = f"$ eventabs {line}\n{done.stdout}"
        if done.stderr:
            shown += f"--- standard error\n{done.stderr}"
        return self.masked(f"{shown}--- exit code {done.returncode}\n", timed=not line.startswith("estimate"))

    def told(self, line: str) -> str:
        """Return the object that a command prints for programs, one value on a line."""
        done = self.asked(f"{line} --json")
        text = json.dumps(json.loads(done.stdout), indent=1, ensure_ascii=False)
        return self.masked(f"{text}\n", timed=not line.startswith("estimate"))

    def kept(self, path: str) -> str:
        """Return what a file holds."""
        return self.masked((self.folder / path).read_text("utf-8"))

    def requests(self) -> list[str]:
        """Return the requests so far, one value on a line."""
        bodies = [received.body for received in self._server.requests]
        return [f"{json.dumps(body, indent=1, ensure_ascii=False)}\n" for body in bodies]

    def masked(self, text: str, *, timed: bool = True) -> str:
        """Return a text without what is another in every run."""
        fixed = {str(self.folder): "<folder>", f":{self._server.port}": ":<port>", __version__: "<version>"}
        for found, mask in fixed.items():
            text = text.replace(found, mask)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "<time>", text)
        text = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "<time> ", text, flags=re.MULTILINE)
        text = re.sub(r"(merged at )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", r"\1<time>", text)
        text = re.sub(r"\b[0-9a-f]{32}\b", "<id>", text)
        text = re.sub(r'("settings_fingerprint": ")\w+', r"\1<with the port>", text)
        if timed:
            text = re.sub(r"\b(?:\d+(?:[dhm]|天|小时|分) ?)*\d+(?:\.\d+)?( ?)(s\b|秒)", r"<n>\1\2", text)
            text = re.sub(r"\b[\d.,]+ (tokens/s|token/秒)", r"<n> \1", text)
            text = re.sub(r'("\w*(?:seconds|per_second)": )[\d.]+', r"\1<n>", text)
        return re.sub(r" +$", "", text, flags=re.MULTILINE)


def _outputs(desk: Desk, language: str) -> Iterator[tuple[str, str]]:
    """Yield what people see, as files of a language; in English more, and what programs see."""
    for name, line in SHOWN.items():
        yield f"{language}/{name}.txt", desk.said(line)
    before = set((desk.folder / "wrong").iterdir())
    wrong = [desk.said(line, "wrong") for line in MISUSED]
    if language == "en":
        yield "files/request.json", desk.requests()[0]
        for name, line in SHOWN_IN_ENGLISH.items():
            yield f"en/{name}.txt", desk.said(line)
        yield from ((f"files/{path}", desk.kept(path)) for path in FILES)
        yield "exports.txt", _exports(desk)
        wrong += [desk.said(line, "wrong") for line in WRONG]
        yield from ((f"json/{name}.json", desk.told(line)) for name, line in OBJECTS.items())
        for name, line in SHOWN_LAST.items():
            yield f"en/{name}.txt", desk.said(line)
        yield from ((f"files/{path}", desk.kept(path)) for path in FILES_LAST)
        yield "demo.txt", _demo(desk)
    left = sorted(path.name for path in set((desk.folder / "wrong").iterdir()) - before)
    yield f"{language}/errors.txt", "\n".join([*wrong, f"left behind: {left}\n"])
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for command in ("", *group.commands):
        yield f"{language}/help/{command or 'eventabs'}.txt", desk.said(f"{command} --help".strip())


def _demo(desk: Desk) -> str:
    """Return the hashes of what `make demo` reads and makes."""
    (desk.folder / "demo").mkdir()
    (desk.folder / "demo" / "examples").symlink_to(ROOT / "examples")
    line = "run examples/behaviors.jsonl --profiles examples/profiles.csv --provider rules --out demo"
    assert desk.asked(line, "demo").returncode == 0
    events = (desk.folder / "demo" / "demo" / "events.jsonl").read_bytes()
    state = checkpoint(desk.folder / "demo" / "demo")
    return (
        f"events.jsonl: {len(events.splitlines())} lines, {sha256(events).hexdigest()}\n"
        f"input: {state['input']['fingerprint']}\nsettings: {state['settings_fingerprint']}\n"
    )


def _exports(desk: Desk) -> str:
    """Return names and types of what each format has, with the first event."""
    shown = []
    for form in ("csv", "xlsx", "parquet", "sqlite", "xes"):
        done = desk.asked(f"export rules --output out.{form}")
        assert done.returncode == 0, done.stderr
        path = desk.folder / f"out.{form}"
        match form:
            case "csv":
                lines = path.read_text("utf-8").splitlines()[:3]
            case "xlsx":
                book = load_workbook(path)
                lines = [
                    f"{name}: {book.get_sheet_by_name(name).to_python()[:2]}" for name in book.sheet_names
                ]
            case "parquet":
                with duckdb.connect() as connection:
                    table = connection.execute(f"DESCRIBE FROM '{path}'").fetchall()
                lines = [f"{column[0]} {column[1]}" for column in table]
            case "sqlite":
                with sqlite3.connect(path) as database:
                    lines = [
                        sql for (sql,) in database.execute("SELECT sql FROM sqlite_schema WHERE sql > ''")
                    ]
                database.close()
            case _:
                lines = path.read_text("utf-8").partition("</trace>")[0].splitlines()
        shown.append("\n".join([f"{form}:", *lines, ""]))
    return desk.masked("\n".join(shown))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_people_and_programs_see_is_what_is_pinned(
    folder: Path, openai_server: OpenAIServer, language: str, request: pytest.FixtureRequest
) -> None:
    openai_server.behavior = behave
    openai_server.models = listing("m", "thorough")
    outputs = dict(_outputs(Desk(folder, openai_server, language), language))
    if request.config.getoption("--write-pinned"):
        _write(outputs, language)
    pinned = {name: (PINNED / name).read_text("utf-8") for name in _kept(language)}
    changed = [_difference(name, pinned, outputs) for name in sorted(pinned.keys() | outputs.keys())]
    assert not any(changed), (
        f"\n{''.join(changed)}\nIf that is meant: `make pinned`, and look at the difference"
    )


def _kept(language: str) -> list[str]:
    """Return the pinned files of a language; those for programs belong to English."""
    names = [path.relative_to(PINNED) for path in PINNED.rglob("*") if path.is_file()]
    own = {"zh": {"zh"}, "en": {name.parts[0] for name in names} - {"zh", "input"}}[language]
    return [str(name) for name in names if name.parts[0] in own]


def _write(outputs: dict[str, str], language: str) -> None:
    for name in _kept(language):
        (PINNED / name).unlink()
    for name, text in outputs.items():
        (PINNED / name).parent.mkdir(parents=True, exist_ok=True)
        (PINNED / name).write_text(text, "utf-8")


def _difference(name: str, pinned: dict[str, str], outputs: dict[str, str]) -> str:
    before, now = (kept.get(name, "").splitlines(keepends=True) for kept in (pinned, outputs))
    return "".join(difflib.unified_diff(before, now, f"pinned/{name}", f"now/{name}"))
