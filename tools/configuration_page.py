"""Writes docs/configuration.md: every setting with its names, its values and what it is for.

    python tools/configuration_page.py

Names, types and defaults come from the settings themselves, flags from the options of `run`, and the meanings
from the comments of config.example.toml, which are written nowhere else.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from eventabs.cli.options import SET_BY_FLAGS, flag_name
from eventabs.config.settings import Settings

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "config.example.toml"
PAGE = ROOT / "docs" / "configuration.md"
HEAD = """\
# Configuration

Every setting, made from the settings themselves and from [config.example.toml](../config.example.toml) by `make docs`.

A setting is looked up in this order, and the first that names it wins:

1. the flag, where there is one, such as `--concurrency 8`;
2. the environment variable, such as `EVENTABS_RUN__CONCURRENCY=8`; lists and tables are written as JSON;
3. the config file: the one that `--config` names, else `$EVENTABS_CONFIG`, else `./eventabs.toml`;
4. the preset that `llm.preset` names, for what it knows about ([cookbook](cookbook.md));
5. the default.

`eventabs resume` begins with the settings that the run was begun with, and lays the same over them. A key is only ever
read from the environment, from the variable that `llm.api_key_env` names. Relative file names count from the current folder. A
setting that does not exist is an error.
"""
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


def settings() -> Iterator[Setting]:
    """Yield all settings in the order in which they are declared."""
    schema = Settings.model_json_schema()
    comments = meanings(EXAMPLE.read_text("utf-8"))
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


def page() -> str:
    """Return docs/configuration.md."""
    flags = {".".join(where): flag_name(flag) for flag, where in SET_BY_FLAGS.items()}
    comments = meanings(EXAMPLE.read_text("utf-8"))
    parts, section = [HEAD], None
    for setting in settings():
        if setting.section != section:
            section = setting.section
            title = f"`[{section}]`" if section else "Outside of any table"
            said = f"{_cell(comments[section])}\n\n" if comments.get(section) else ""
            parts.append(f"\n## {title}\n\n{said}| setting | values | meaning |\n|---|---|---|\n")
        names = [f"**`{setting.key}`**", f"`{setting.variable}`"]
        if setting.name in flags:
            names.append(f"`{flags[setting.name]}`")
        parts.append(f"| {'<br>'.join(names)} | {_values(setting.schema)} | {_cell(setting.meaning)} |\n")
    return "".join(parts)


def _values(schema: dict[str, Any]) -> str:
    """Say what a setting takes and what it is without being set."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    (kind,) = kinds
    said = f"{_kind(kind)}{_bounds(kind)}"
    if schema["default"] is None:
        return f"{said}; no default"
    return f"{said}; `{_toml(schema['default'])}`"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f'`"{value}"`' for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {'tables' if '$ref' in schema['items'] else 'texts'}"
    return {
        "string": "text",
        "boolean": "true or false",
        "integer": "whole number",
        "number": "number",
        "object": "table",
    }[schema["type"]]


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if schema["type"] == "integer" and above is not None:
        low, above = above + 1, None
    said = [] if above is None else [f"above {above}"]
    said += [] if low is None or low < -1 else [f"from {low:g}"]
    said += [] if high is None else [f"to {high:g}"]
    return f" {' '.join(said)}" if said else ""


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
    return _PAGE.sub(r"[\g<0>](\1)", _PLACEHOLDER.sub(r"`\g<0>`", text))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
