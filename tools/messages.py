"""Keeps the Chinese catalogue: `python tools/messages.py` brings it up to date; --check only looks, and exits 1 if it is stale."""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

TYPER_WORDS = (
    "(deprecated) ",
    "(dynamic)",
    "Aborted!",
    "Aborted.",
    "Arguments",
    "Commands",
    "Error",
    "Missing command.",
    "No such command {name!r}.",
    "Options",
    "Try [blue]'{command_path} {help_option}'[/] for help.",
    "[default: {}]",
    "[env var: {}]",
    "[required]",
    "default: {default}",
    "env var: {var}",
    "required",
)

MessageId = str | tuple[str, ...]

# what declares an option of a command looks its text up, what makes a count of things both of its texts
_KEYWORDS = DEFAULT_KEYWORDS | dict.fromkeys(("flag", "of_model", "of_view", "option")) | {"_things": (1, 2)}
_FIELD = re.compile(r"\{([^{}]*)\}")
# Dates and versions would change in every diff.
_HEADERS = ("Language", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Plural-Forms")


class CalmCatalog(Catalog):
    """A catalogue whose header holds nothing but what gettext needs to read it."""

    def __iter__(self) -> Iterator[Message]:
        """Yield the header, equal for equal messages, and then the messages."""
        header, *messages = super().__iter__()
        lines = str(header.string).splitlines()
        yield Message("", "\n".join(line for line in lines if line.partition(":")[0] in _HEADERS))
        yield from messages


def extracted(package: Path) -> dict[MessageId, list[str]]:
    """Return the messages in the code of `package` with the files they stand in, in order."""
    found: dict[MessageId, set[str]] = {}
    for file, _line, words, _comments, _context in extract_from_dir(
        package, [("**.py", "python"), ("**.j2", "jinja2"), ("**.js", "javascript")], keywords=_KEYWORDS
    ):
        message: MessageId = words if isinstance(words, str) else tuple(words)
        found.setdefault(message, set()).add(f"eventabs/{file}")
    for path in package.glob("cli/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(map(_makes_command, node.decorator_list)):
                help_text = ast.get_docstring(node) or ""
                found.setdefault(help_text, set()).add(f"eventabs/{path.relative_to(package)}")
    for word in TYPER_WORDS:
        found.setdefault(word, set()).add("typer")
    return {message: sorted(files) for message, files in sorted(found.items(), key=_by_text)}


def _makes_command(decorator: ast.expr) -> bool:
    """Whether it is `@command(...)`: the docstring below it is the command's help."""
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "command"


def updated(messages: dict[MessageId, list[str]], po: bytes) -> Catalog:
    """Return a catalogue of exactly `messages`, with the translations that `po` has for them."""
    old = read_po(BytesIO(po), locale="zh")
    catalog = CalmCatalog(locale="zh", header_comment="# Chinese translations of eventabs.", fuzzy=False)
    for message, files in messages.items():
        key = message if isinstance(message, str) else message[0]
        known = old.get(key)
        catalog.add(message, string=_translation(message, known), locations=[(file, 0) for file in files])
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """Return the text form, for translators."""
    text = BytesIO()
    write_po(text, catalog, width=110, no_location=True)
    return text.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """Return the compiled form that gettext reads."""
    compiled = BytesIO()
    write_mo(compiled, catalog)
    return compiled.getvalue()


def faults(catalog: Catalog) -> Iterator[str]:
    """Name each message that has no translation, or one with other placeholders."""
    for message in catalog:
        if not message.id:
            continue
        ids, strings = _forms(message.id), _forms(message.string)
        if not all(strings):
            yield f"untranslated: {ids[0]}"
        elif _fields(strings[-1]) != _fields(ids[-1]):
            yield f"other placeholders in the translation: {ids[0]}"


def _by_text(item: tuple[MessageId, set[str]]) -> str:
    message, _files = item
    return message if isinstance(message, str) else message[0]


def _translation(message: MessageId, known: Message | None) -> str | tuple[str, ...]:
    plural = not isinstance(message, str)
    if known is None or not known.string or known.fuzzy or known.pluralizable != plural:
        return ("",) if plural else ""
    return known.string if isinstance(known.string, str) else tuple(known.string)


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text or "",) if isinstance(text, str | None) else tuple(text)


def _fields(text: str) -> list[str]:
    """Return names, conversions and formats of all placeholders: {seconds:.1f}, {name!r}, {}."""
    return sorted(_FIELD.findall(text))


PACKAGE = Path(__file__).parents[1] / "src" / "eventabs"


def main(arguments: list[str]) -> int:
    """Write eventabs.po and eventabs.mo, or --check them. Returns the exit code."""
    po = PACKAGE / "locales" / "zh" / "LC_MESSAGES" / "eventabs.po"
    mo = po.with_suffix(".mo")
    catalog = updated(extracted(PACKAGE), po.read_bytes() if po.exists() else b"")
    problems = list(faults(catalog))
    if arguments == ["--check"]:
        for path, content in ((po, as_po(catalog)), (mo, as_mo(catalog))):
            if not path.exists() or path.read_bytes() != content:
                problems.append(f"{path.name} is stale: run `make messages`")
    else:
        po.parent.mkdir(parents=True, exist_ok=True)
        po.write_bytes(as_po(catalog))
        mo.write_bytes(as_mo(catalog))
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
