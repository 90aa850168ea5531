"""Writes docs/configuration.md and docs/zh/configuration.md: every setting with its names, its values and what it is for.

config.example.toml and config.example.zh.toml get those of them that are not rarely changed.

    python tools/configuration_page.py

Names, types and defaults come from the settings themselves, flags from the options of `run`, and the meanings
from the comments of src/eventabs/config/settings.en.toml and settings.zh.toml, which are written nowhere else.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from eventabs.cli.commands import SET_BY_FLAGS, flag_name
from eventabs.config import explained_settings
from eventabs.config.settings import Settings
from eventabs.interface_language import Language

ROOT = Path(__file__).parent.parent
HEAD = """\
# Configuration

Every setting. Those that most people change are in [config.example.toml](../config.example.toml); `eventabs init --all` writes
all of them. The first of these that names a setting wins:

1. the flag, such as `--concurrency 8`;
2. the environment variable, such as `EVENTABS_RUN__CONCURRENCY=8`; lists and tables are written as JSON;
3. the config file: `--config`, else `$EVENTABS_CONFIG`, else `./eventabs.toml`;
4. the preset that `llm.preset` names;
5. the default.

`eventabs resume` and `reparse` change the settings of the run in the same order; the config file that the run began with goes before
`./eventabs.toml`. Relative file names count from the current folder. An unknown setting is an error.
"""
CHINESE_HEAD = """\
# 配置

全部设置。多数人会改的在 [config.example.zh.toml](../../config.example.zh.toml)；`eventabs init --all` 写出全部。同一项设置，排在前面的优先：

1. 命令行参数，例如 `--concurrency 8`；
2. 环境变量，例如 `EVENTABS_RUN__CONCURRENCY=8`；列表和表写成 JSON；
3. 配置文件：`--config` 指定的，其次 `$EVENTABS_CONFIG`，再次 `./eventabs.toml`；
4. `llm.preset` 指定的预设；
5. 默认值。

`eventabs resume` 和 `reparse` 用同样的次序覆盖运行原有的设置；运行开始时用的配置文件，优先于当前文件夹里的。相对路径以当前文件夹为准。不存在的设置是错误。
"""
# what the page says of types and values, as it is said in Chinese
CHINESE_WORDS = {
    "Outside of any table": "不属于任何表",
    "| setting | values, the default first | meaning |": "| 设置 | 取值，默认值在前 | 含义 |",
    "boolean": "true 或 false",
    "integer": "整数",
    "number": "数",
    "no default": "无",
    "above": "大于",
    "from": "至少",
    "to": "至多",
    ", ": "，",
}


class Page(NamedTuple):
    """A page in one language: where it and the example are, how it begins, and its words for the English ones."""

    language: Language
    path: Path
    example: Path
    head: str
    words: dict[str, str]

    @property
    def settings(self) -> str:
        """All settings, with their comments."""
        return explained_settings(self.language, all_of_them=True)

    def say(self, text: str) -> str:
        """Return a word of the page in its language."""
        return self.words.get(text, text)


ENGLISH = Page("en", ROOT / "docs" / "configuration.md", ROOT / "config.example.toml", HEAD, {})
CHINESE = Page(
    "zh",
    ROOT / "docs" / "zh" / "configuration.md",
    ROOT / "config.example.zh.toml",
    CHINESE_HEAD,
    CHINESE_WORDS,
)
_SECTION = re.compile(r"#?\[(?P<name>[\w.]+)\]$")
_KEY = re.compile(r"#?(?P<key>\w+) = (?P<rest>.*)$")
_PLACEHOLDER = re.compile(r"\$\w+")
_PAGE = re.compile(r"docs/(\w+\.md)")
_CONTINUED = re.compile(r"\s+# (?P<text>.*)$")


class Setting(NamedTuple):
    """A setting: where it stands, its part of the JSON schema, and what it is for."""

    section: str  # "" for those outside of any
    key: str
    schema: dict[str, Any]
    meaning: str

    @property
    def name(self) -> str:
        """Return `run.concurrency`."""
        return ".".join(filter(None, (self.section, self.key)))

    @property
    def variable(self) -> str:
        """Return `EVENTABS_RUN__CONCURRENCY`."""
        return f"EVENTABS_{self.name.replace('.', '__').upper()}"


def meanings(example: str) -> dict[str, str]:
    """Return the comments of the example, by section and by setting, each on one line.

    A comment stands behind its setting and goes on below it, indented; or above the setting or section,
    from the beginning of the line, with no empty line between.
    """
    found: dict[str, str] = {}
    section, last, above = "", "", list[str]()
    for line in example.splitlines():
        if match := _SECTION.match(line):
            section = last = match["name"]
            found[last] = " ".join(above)
        elif match := _KEY.match(line):
            last = ".".join(filter(None, (section, match["key"])))
            behind = match["rest"].partition(" # ")[2]
            found[last] = " ".join([*above, behind.strip()]).strip()
        elif match := _CONTINUED.match(line):
            found[last] += f" {match['text'].strip()}"
        above = [*above, line[2:]] if line.startswith("# ") else []
    return found


def settings(page: Page = ENGLISH) -> Iterator[Setting]:
    """Yield all settings in the order in which they are declared."""
    schema = Settings.model_json_schema()
    comments = meanings(page.settings)
    yield from _of_table("", schema, schema["$defs"], comments)


def _of_table(
    section: str, table: dict[str, Any], known: dict[str, Any], comments: dict[str, str]
) -> Iterator[Setting]:
    inner = []
    for key, value in table["properties"].items():
        name = ".".join(filter(None, (section, key)))
        if "$ref" in value:
            inner.append((name, known[value["$ref"].rpartition("/")[2]]))
        else:
            yield Setting(section, key, value, comments.get(name, ""))
    for name, below in inner:
        yield from _of_table(name, below, known, comments)


def content(page: Page) -> str:
    """Return what a page holds."""
    flags = {".".join(where): flag_name(flag) for flag, where in SET_BY_FLAGS.items()}
    comments = meanings(page.settings)
    parts, section = [page.head], None
    for setting in settings(page):
        if setting.section != section:
            section = setting.section
            title = f"`[{section}]`" if section else page.say("Outside of any table")
            said = f"{_cell(comments[section])}\n\n" if comments.get(section) else ""
            head = page.say("| setting | values, the default first | meaning |")
            parts.append(f"\n## {title}\n\n{said}{head}\n|---|---|---|\n")
        names = [f"**`{setting.key}`**", f"`{setting.variable}`"]
        if setting.name in flags:
            names.append(f"`{flags[setting.name]}`")
        values = _values(setting.schema, page)
        parts.append(f"| {'<br>'.join(names)} | {values} | {_cell(setting.meaning)} |\n")
    return "".join(parts)


def _values(schema: dict[str, Any], page: Page) -> str:
    """Say what a setting is without being set, and what else it takes. A default shows of which kind the values are."""
    (kind,) = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    default = schema["default"]
    none = f"{page.say('no default')}{page.say(', ')}{page.say(kind['type'])}"
    first = none if default is None else f"`{_toml(default)}`"
    others = [f"`{_toml(value)}`" for value in kind.get("enum", ()) if value != default]
    return page.say(", ").join([first, *others, *_bounds(kind, page)])


def _bounds(schema: dict[str, Any], page: Page) -> list[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if schema["type"] == "integer" and above is not None:
        low, above = above + 1, None
    said = [] if above is None else [f"{page.say('above')} {above}"]
    is_plain = low is None or (low <= 0 and high is None)  # nobody expects less than nothing
    said += [] if is_plain else [f"{page.say('from')} {low:g}"]
    said += [] if high is None else [f"{page.say('to')} {high:g}"]
    return [" ".join(said)] if said else []


def _toml(value: object) -> str:
    """Write a default as TOML does."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}" if value else "{}"
        )
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    """Keep a text from ending its cell or becoming markup or mathematics; link the pages that it names."""
    text = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return _PAGE.sub(r"[\g<0>](\g<1>)", _PLACEHOLDER.sub(r"`\g<0>`", text))


if __name__ == "__main__":
    for each in (ENGLISH, CHINESE):
        each.path.write_text(content(each), "utf-8")
        each.example.write_text(explained_settings(each.language, all_of_them=False), "utf-8")
