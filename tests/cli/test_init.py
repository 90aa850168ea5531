"""`eventabs init`: a config file that explains every setting and changes none but those that were named."""

import os
import pty
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from eventabs.config.settings import Settings, load_settings
from eventabs.providers import shipped_rules
from house import eventabs, ran
from paths import ROOT

# what an example comments out too
LEFT_OUT = re.compile(
    r'#(?:dayfirst|cached_input|flex|batch|temperature|seed|input|output|\[llm|thinking|\[vocabulary|"|enable_|chat_template'
    r"|max_completion|X-Project|\[input\.names|1 = |pv = )"
)
SETTINGS = ROOT / "src" / "eventabs" / "config"
EXAMPLES = {language: SETTINGS / f"settings.{language}.toml" for language in ("en", "zh")}


def settings_in(text: str) -> list[str]:
    """Return the lines of an example without what is said about them."""
    without = (line.partition(" # ")[0].rstrip() for line in text.splitlines())
    return [line for line in without if line and not line.startswith("# ") and line != "#"]


def test_both_examples_have_the_same_settings_in_the_same_order() -> None:
    english, chinese = (settings_in(path.read_text("utf-8")) for path in EXAMPLES.values())
    assert len(english) > 80
    assert [line for line in english if not line.lstrip().startswith("#")] == [
        line for line in chinese if not line.lstrip().startswith("#")
    ]
    assert tomllib.loads(EXAMPLES["en"].read_text("utf-8")) == tomllib.loads(
        EXAMPLES["zh"].read_text("utf-8")
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_new_file_sets_nothing_and_names_everything(tmp_path: Path, language: str) -> None:
    done = ran("init", "--all", "--lang", language, cwd=tmp_path)
    assert done.stdout == "eventabs.toml\n"
    path = tmp_path / "eventabs.toml"
    assert load_settings(path, {}) == Settings()
    text = path.read_text("utf-8")
    opened = "\n".join(
        re.sub(r"^(\s*)#(?=\S)", r"\1", line) for line in text.splitlines() if not LEFT_OUT.match(line)
    )
    assert tomllib.loads(opened) == tomllib.loads(EXAMPLES[language].read_text("utf-8"))


def test_a_preset_brings_its_suggested_model_and_the_next_steps(tmp_path: Path) -> None:
    done = ran("init", "--preset", "deepseek", cwd=tmp_path)
    settings = load_settings(tmp_path / "eventabs.toml", {})
    assert (settings.llm.preset, settings.llm.model) == ("deepseek", "deepseek-flash")
    assert "export DEEPSEEK_API_KEY=" in done.stderr
    assert "eventabs check" in done.stderr
    ran("init", "--preset", "vllm", "--model", 'a"b', "--output", "own.toml", cwd=tmp_path)
    assert load_settings(tmp_path / "own.toml", {}).llm.model == 'a"b'


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "eventabs.toml").write_text("# mine\n")
    done = eventabs("init", cwd=tmp_path)
    assert done.returncode == 2
    assert "--output" in done.stderr
    assert (tmp_path / "eventabs.toml").read_text() == "# mine\n"


def test_standard_output_gets_the_file_alone(tmp_path: Path) -> None:
    done = eventabs("init", "--output", "-", cwd=tmp_path)
    assert "concurrency" in done.stdout
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_a_terminal_is_asked_which_endpoint(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "eventabs", "init"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path) as process:
        os.write(ours, b"nowhere\nqwen\n")
        assert process.wait(60) == 0
    os.close(theirs)
    os.close(ours)
    assert load_settings(tmp_path / "eventabs.toml", {}).llm.preset == "qwen"


def test_the_built_in_rules_are_written_to_be_changed(tmp_path: Path) -> None:
    done = ran("init", "--rules", cwd=tmp_path)
    assert done.stdout == "my-rules.toml\n"
    rules = tmp_path / "my-rules.toml"
    assert (
        rules.read_text("utf-8")
        == shipped_rules()
        == ran("init", "--rules", "--output", "-", cwd=tmp_path).stdout
    )
    assert '[rules] file = "my-rules.toml"' in done.stderr
    (tmp_path / "eventabs.toml").write_text('[rules]\nfile = "my-rules.toml"\n')
    rules.write_text(
        rules.read_text("utf-8").replace('purchase = ["buy"', 'purchase = ["开盲盒", "buy"'), "utf-8"
    )
    (tmp_path / "app.csv").write_text("user_id,time,action,item\nu1,2026-03-02 10:00,开盲盒,盒\n", "utf-8")
    ran("run", "app.csv", "--provider", "rules", cwd=tmp_path)
    assert '"conversion"' in (tmp_path / "app.eventabs" / "events.jsonl").read_text("utf-8")
    refused = eventabs("init", "--rules", "--preset", "qwen", cwd=tmp_path)
    assert (refused.returncode, "leave out the other flags" in refused.stderr) == (2, True)
