"""Prints how large the package is, room by room: `python tools/size.py`; with `--against COMMIT`, after what it was then.

Below it are the words of the English pages, docs/*.md without the decisions, code and tables included. Records are dataclasses, named tuples, typed dicts and models. `fields` and `length` are means, of a record and of a function.
"""

import argparse
import ast
import io
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE, PAGES = "src/eventabs", "docs"
OTHERS = (".sql", ".toml", ".js", ".css", ".html", ".j2")
COLUMNS = (
    *("python", "code", "docstrings", "comments", "blank", "others", "modules"),
    *("records", "fields", "functions", "length"),
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Sizes = Mapping[str, Counter[str]]  # of each room, of the modules outside of any, and of all


def files_here(root: Path = ROOT, folder: str = PACKAGE) -> dict[str, bytes]:
    """Return the folder's files as they are, by their path in the folder."""
    start = root / folder
    return {path.relative_to(start).as_posix(): path.read_bytes() for path in start.rglob("*.*")}


def files_then(commit: str, root: Path = ROOT, folder: str = PACKAGE) -> dict[str, bytes]:
    """Return the folder's files as a commit has them."""
    command = ["git", "-C", str(root), "archive", commit, folder]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)  # noqa: S603  our own git
    if done.returncode:
        sys.exit(done.returncode)  # git has said why
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        files = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
    return {name.removeprefix(f"{folder}/"): file.read() for name, file in files.items() if file}


def sizes(files: Mapping[str, bytes]) -> Sizes:
    """Count what the files of each room hold."""
    trees = {path: ast.parse(content) for path, content in files.items() if path.endswith(".py")}
    classes = [each for tree in trees.values() for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
    records = {"NamedTuple", "TypedDict", "BaseModel", "BaseSettings"}
    while more := {each.name for each in classes if records & _bases(each)} - records:
        records |= more
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path, content in files.items():
        room = path.partition("/")[0] + "/" if "/" in path else "outside"
        if path in trees:
            found[room] += _size_of_module(content.decode(), trees[path], records)
        elif path.endswith(OTHERS):
            found[room]["others"] += content.count(b"\n")
    return {**found, "total": sum(found.values(), Counter())}


def _bases(of: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).rpartition(".")[2] for base in of.bases}


def _size_of_module(text: str, tree: ast.Module, records: set[str]) -> Counter[str]:
    size, docstrings = Counter(modules=1), set[int]()
    for each in ast.walk(tree):
        if isinstance(each, (ast.Module, ast.ClassDef, *FUNCTIONS)) and ast.get_docstring(each) is not None:
            docstrings |= set(range(each.body[0].lineno, (each.body[0].end_lineno or 0) + 1))
        if isinstance(each, FUNCTIONS):
            size += Counter(functions=1, length=(each.end_lineno or 0) - each.lineno + 1)
        elif isinstance(each, ast.ClassDef):
            decorators = [ast.unparse(decorator) for decorator in each.decorator_list]
            if records & _bases(each) or any(one.startswith("dataclass") for one in decorators):
                fields = [
                    ast.unparse(line.annotation) for line in each.body if isinstance(line, ast.AnnAssign)
                ]
                size += Counter(records=1, fields=sum(not field.startswith("ClassVar") for field in fields))
    for number, line in enumerate(text.splitlines(), 1):
        first = line.lstrip()[:1]
        kind = {"": "blank", "#": "comments"}.get(first, "code")
        size += Counter(("python", "docstrings" if number in docstrings else kind))
    return size


def words(files: Mapping[str, bytes]) -> int:
    """Count the words of the English pages but the decisions, as `wc -w` does."""
    pages = {path for path in files if path.endswith(".md") and "/" not in path} - {"decisions.md"}
    return sum(len(files[path].split()) for path in pages)


def table(now: Sizes, then: Sizes | None = None) -> str:
    """Return the table; each figure that was another one `then` stands after that."""
    rows = [["", *COLUMNS]]
    for room in sorted({*now, *(then or now)}, key=lambda room: (not room.endswith("/"), room)):
        before, after = (_cells((of or now).get(room, Counter())) for of in (then, now))
        pairs = zip(before, after, strict=True)
        rows.append([room, *(new if old == new else f"{old} > {new}" for old, new in pairs)])
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    aligned = (f"{row[0]:{first}}  {'  '.join(map(str.rjust, row[1:], others))}\n" for row in rows)
    return "".join(aligned)


def _cells(size: Counter[str]) -> list[str]:
    means = {
        name: f"{size[name] / max(size[of], 1):.1f}"
        for name, of in (("fields", "records"), ("length", "functions"))
    }
    return [means.get(name, f"{size[name]:,}") for name in COLUMNS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", metavar="COMMIT", help="show what its tree had, and what there is now")
    commit = parser.parse_args().against
    sys.stdout.write(table(sizes(files_here()), sizes(files_then(commit)) if commit else None))
    before = f"{words(files_then(commit, folder=PAGES)):,} > " if commit else ""
    sys.stdout.write(f"words of the pages: {before}{words(files_here(folder=PAGES)):,}\n")
