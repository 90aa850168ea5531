"""A config file keeps what people wrote around the settings that are changed."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from eventabs.config import edited_config, example_config
from eventabs.errors import ConfigError

CONFIG = """\
# ours
[llm]
model = "m"  # chosen in March

[budget]
max_users = 30      # many
"""


def test_only_the_lines_of_the_settings_change(tmp_path: Path) -> None:
    path = tmp_path / "eventabs.toml"
    path.write_text(CONFIG, "utf-8")
    before, after = edited_config(path, {"budget": {"max_users": 8}, "compaction": {"level": "dense"}})
    assert before == CONFIG
    assert after.startswith(CONFIG.replace("max_users = 30", "max_users = 8"))
    assert tomllib.loads(after)["compaction"] == {"level": "dense"}
    assert path.read_text("utf-8") == CONFIG  # it is for the caller to write it


@pytest.mark.parametrize(
    "text", ["", "budget.max_users = 5\n", "budget = {max_users = 5}\n", "[budget]\n", example_config("en")]
)
def test_whatever_form_a_table_has(tmp_path: Path, text: str) -> None:
    path = tmp_path / "eventabs.toml"
    path.write_text(text, "utf-8")
    _before, after = edited_config(path, {"budget": {"max_users": 8}})
    assert tomllib.loads(after)["budget"]["max_users"] == 8
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in after.splitlines() if line.startswith("#")
    ]


def test_a_file_that_is_not_there_is_made_of_the_settings_alone(tmp_path: Path) -> None:
    assert edited_config(tmp_path / "none.toml", {"budget": {"max_users": 8}}) == (
        "",
        "[budget]\nmax_users = 8\n",
    )


@pytest.mark.parametrize("text", ["budget = 3\n", "[budget\n", "budget = []\n"])
def test_a_file_that_cannot_take_them_is_refused_with_their_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "eventabs.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"budget\.max_users"):
        edited_config(path, {"budget": {"max_users": 8}})


@given(st.lists(st.text("abc #=", max_size=12).map(lambda text: f"# {text.strip()}".strip()), max_size=6))
def test_no_comment_is_lost(tmp_path_factory: pytest.TempPathFactory, comments: list[str]) -> None:
    path = tmp_path_factory.mktemp("edits") / "eventabs.toml"
    path.write_text("\n".join([*comments, "[budget]", *comments, "max_users = 3", ""]), "utf-8")
    _before, after = edited_config(path, {"budget": {"max_users": 8}})
    assert [line for line in after.splitlines() if line.startswith("#")] == [*comments, *comments]
