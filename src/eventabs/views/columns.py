"""What was understood of an input: a table, rows beside their lines, warnings, and the mapping as TOML; and as JSON."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.ingest import FileMapping
from eventabs.language import gettext as _, ngettext
from eventabs.runs import InputDescription
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count, share

_LISTED = 20  # columns without a role, and files
# what a basic string of TOML may not hold as it is, and what one_line escapes, but in the form of TOML
_UNSAFE = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]'
)


def render_columns(console: Console, described: InputDescription) -> None:
    """Print the roles with their columns, rows beside the lines that they become, warnings, and TOML to copy."""
    print_line(console, messages.noted(described.read))
    for mapping in described.mappings:
        _render_mapping(console, mapping, of_several=len(described.mappings) > 1)
    if described.rows:
        console.print("", _rows(described), sep="\n")
    if described.warnings:
        print_line(console, "")
    for warning in described.warnings:
        print_line(console, messages.noted(warning), style="yellow")
    print_line(console, "")
    print_line(console, _("To take other columns, copy this to eventabs.toml and change it:"))
    # never folded: it is copied
    console.print(Text(input_toml(described.mappings, described.columns)), soft_wrap=True)


def columns_json(described: InputDescription) -> bytes:
    """Return the object that columns prints with --json, and a line end."""
    read = described.read
    fields = {
        **described.facts(),
        "users": read.users,
        "behaviors": read.behaviors,
        "rejected_rows": read.rejected_rows,
        "rejects": read.reasons,
        "duplicates": read.duplicates,
        "paired_ends": read.paired_ends,
        "unpaired": read.unpaired,
        "skipped_lines": read.skipped_lines,
        "non_behaviors": read.non_behaviors,
        "files": [asdict(mapping) for mapping in described.mappings],
        "rows": [asdict(row) for row in described.rows],
    }
    return f"{encode(fields)}\n".encode()


def input_toml(mappings: Sequence[FileMapping], columns: Mapping[str, str]) -> str:
    """Return what was understood as tables of the config file. Where files have a schema, its columns are comments."""
    schemas = {each.schema for each in mappings}
    if schemas == {""}:
        return columns_toml(columns)
    named = [f"schema = {_toml(name)}" for name in schemas if len(schemas) == 1]
    comments = (f"# {role} = {_toml(name)}" for role, name in columns.items())
    return "\n".join(["[input]", *named, "", "[input.columns]", *comments])


def columns_toml(columns: Mapping[str, str]) -> str:
    """Return the mapping as the table of the config file."""
    return "\n".join(["[input.columns]", *(f"{role} = {_toml(name)}" for role, name in columns.items())])


def _toml(text: str) -> str:
    """Return `text` as a basic string of TOML; half a surrogate pair, which TOML cannot hold, is replaced."""
    return '"' + _UNSAFE.sub(_escaped, text) + '"'


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    return "\\uFFFD" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04X}"


def _render_mapping(console: Console, mapping: FileMapping, *, of_several: bool) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(_("Role"), style="bold")
    table.add_column(_("Column"), overflow="fold")
    of = ngettext("Of the first {count} row", "Of the first {count} rows", mapping.sampled)
    table.add_column(of.format(count=count(mapping.sampled)), justify="right")
    table.add_column(justify="right")
    for role, name in mapping.columns.items():
        held = mapping.filled[role]
        table.add_row(role, one_line(name), count(held), share(held, mapping.sampled))
    print_line(console, "")
    if mapping.schema:
        print_line(console, _("Schema: {schema}").format(schema=mapping.schema))
    if of_several:
        files = _("Files: {files}").format(files=_listed(mapping.files))
        print_line(console, files)
    console.print(table)
    if mapping.unused:
        print_line(
            console, _("Without a role: {columns}").format(columns=_listed(mapping.unused)), style="dim"
        )


def _rows(described: InputDescription) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True)
    table.add_column(_("Line"), justify="right", no_wrap=True)
    table.add_column(_("In the file"), overflow="fold", ratio=3, max_width=100)
    table.add_column(_("What it becomes"), overflow="fold", ratio=2)
    for row in described.rows:
        table.add_row(count(row.line), one_line(row.text), Text(one_line(row.becomes), style="bold"))
    return table


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _LISTED
    listed = ", ".join(names[:_LISTED])
    return listed if more <= 0 else _("{names} and {count} more").format(names=listed, count=count(more))
