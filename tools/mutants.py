"""Draws small faults and prints them: `python tools/mutants.py`; with `--into TREE`, puts each there and runs the tests.

A fault changes one line that stands once in the package: a comparison, a sign, `and`, a number or flag, a condition, a returned
value, or a statement that goes. Each room gets as many as its share of the lines. `--against TREE` draws among the lines that
another checkout has in a function of the same name, so that both can be given the same faults.
"""

import argparse
import ast
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "src/eventabs"
SECONDS = 3600  # of a suite; where it is not ready then, something hangs, so the fault was seen
SIGNS = {"==": "!=", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "in": "not in", "is": "is not", "and": "or"}
SIGNS |= {"+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "%": "+"}
SIGNS |= {new: old for old, new in SIGNS.items() if new not in SIGNS}
LEFT_OUT = {"providers/ray.py"}  # only `make test-ray` runs it

Places = Mapping[tuple[str, str], tuple[str, int]]  # of each line by function and text: its file, its number


class Mutant(NamedTuple):
    """A line of a function, without its indentation, and what comes in its place."""

    path: str
    number: int
    function: str
    old: str
    new: str


def single_lines(tree: Path) -> Places:
    """Return where each line stands that the package has once."""
    found, counts = dict[tuple[str, str], tuple[str, int]](), Counter[str]()
    for file in sorted((tree / PACKAGE).rglob("*.py")):
        functions, text = dict[int, str](), file.read_text()
        for node in ast.walk(ast.parse(text)):  # what is inside comes later
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions |= dict.fromkeys(range(node.lineno, (node.end_lineno or 0) + 1), node.name)
        for number, line in enumerate(map(str.strip, text.splitlines()), 1):
            counts[line] += 1
            found[functions.get(number, ""), line] = file.relative_to(tree / PACKAGE).as_posix(), number
    return {(function, line): place for (function, line), place in found.items() if counts[line] == 1}


def changes(text: str) -> Iterator[tuple[int, str]]:
    """Yield each change of a module: the line's number, and the line as it becomes."""
    lines = [line.encode() for line in text.splitlines()]  # columns are counted in bytes
    for node in _nodes(ast.parse(text)):
        for row, start, end, new in _changes_of(node, lines):
            line = lines[row - 1]
            yield row, (line[:start] + new.encode() + line[end:]).decode().strip()


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those of annotations, docstrings, and what is shown to people."""
    yield node
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            match child:
                case ast.Expr(value=ast.Constant()) | ast.JoinedStr():
                    continue
                case (
                    ast.Call(func=ast.Name(id="_" | "N_" | "ngettext"))
                    | ast.If(test=ast.Name(id="TYPE_CHECKING"))
                ):
                    continue
                case ast.AST() if field not in {"annotation", "returns", "decorator_list", "exc"}:
                    yield from _nodes(child)


def _changes_of(node: ast.AST, lines: Sequence[bytes]) -> Iterator[tuple[int, int, int, str]]:
    """Yield the row, its columns from and to, and what comes between them instead."""
    operands = list[ast.expr]()
    match node:
        case ast.Compare(left=left, comparators=[right]) | ast.BinOp(left=left, right=right):
            operands = [left, right]
        case ast.BoolOp(values=values):
            operands = values
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if _in_one_line(test):
            old = lines[test.lineno - 1][test.col_offset : test.end_col_offset].decode()
            yield test.lineno, test.col_offset, test.end_col_offset or 0, f"(not ({old}))"
        case ast.Return(value=ast.expr() as value) if _in_one_line(value) and ast.unparse(value) != "None":
            yield value.lineno, value.col_offset, value.end_col_offset or 0, "None"
        case ast.Constant(value=bool() | int() | float() as value):
            new = repr(not value if isinstance(value, bool) else value + 1)
            yield node.lineno, node.col_offset, node.end_col_offset or 0, new
        case (
            ast.Expr()
            | ast.AugAssign()
            | ast.Raise()
            | ast.Continue()
            | ast.Break()
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
        ) if _in_one_line(node):
            yield node.lineno, node.col_offset, node.end_col_offset or 0, "pass"
    for left, right in pairwise(operands):
        if left.end_lineno == right.lineno:
            between = left.end_col_offset or 0, right.col_offset
            sign = lines[right.lineno - 1][slice(*between)].decode().strip()
            if sign in SIGNS:
                yield right.lineno, *between, f" {SIGNS[sign]} "


def _in_one_line(node: ast.expr | ast.stmt) -> bool:
    return node.lineno == node.end_lineno


def drawn(number: int, seed: int, here: Path = ROOT, there: Path = ROOT) -> list[Mutant]:
    """Draw the faults, of each room by its share of the lines."""
    known, places = single_lines(there), {place: key for key, place in single_lines(here).items()}
    lines = Counter[str]()
    found = defaultdict[str, dict[int, list[Mutant]]](dict)  # of each room, by a number for each line
    for file in sorted((here / PACKAGE).rglob("*.py")):
        path, text = file.relative_to(here / PACKAGE).as_posix(), file.read_text()
        if path not in LEFT_OUT:
            before, room = lines.total(), path.partition("/")[0]
            lines[room] += text.count("\n")
            for row, new in changes(text):
                function, old = places.get((path, row), ("", ""))
                if (function, old) in known and new != old:
                    found[room].setdefault(before + row, []).append(Mutant(path, row, function, old, new))
    draw = random.Random(seed)  # noqa: S311  nothing secret
    shares = {room: number * lines[room] / lines.total() for room in found}
    larger = sorted(shares, key=lambda room: shares[room] % 1, reverse=True)
    larger = larger[: number - sum(map(int, shares.values()))]
    return [
        draw.choice(of_line)
        for room, share in shares.items()
        for of_line in draw.sample([*found[room].values()], int(share) + (room in larger))
    ]


@contextmanager
def put(mutant: Mutant, tree: Path) -> Iterator[str]:
    """Let a tree have the fault, in a room."""
    path, number = single_lines(tree)[mutant.function, mutant.old]
    file = tree / PACKAGE / path
    was, stat = file.read_bytes(), file.stat()
    lines = was.decode().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(mutant.old, mutant.new)
    try:
        file.write_text("".join(lines))
        yield path.partition("/")[0].removesuffix(".py")
    finally:
        file.write_bytes(was)
        os.utime(
            file, ns=(stat.st_atime_ns, stat.st_mtime_ns)
        )  # what was compiled of the fault is not taken for it


def killed_by(mutant: Mutant, tree: Path, options: Iterable[str]) -> str:
    """Return the test that fails first, of the room's tests or then of all; nothing where none does."""
    with put(mutant, tree) as room:
        for tests in (f"tests/{room}", "tests"):
            if (tree / tests).exists():
                command = [".venv/bin/python", "-m", "pytest", "-q", "-x", "-rfE", *options, tests]
                try:
                    done = subprocess.run(  # noqa: S603  our own tests
                        command, cwd=tree, capture_output=True, text=True, timeout=SECONDS, check=False
                    )
                except subprocess.TimeoutExpired:
                    return "timeout"
                if done.returncode not in {0, 5}:  # 5: none of the tests there was asked for
                    failed = re.findall("^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, re.MULTILINE)
                    return failed[0] if failed else done.stdout[-500:] + done.stderr[-500:]
    return ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--against", type=Path, default=ROOT, metavar="TREE", help="another checkout")
    parser.add_argument(
        "--into", type=Path, metavar="TREE", help="run the tests of this checkout by its .venv"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("mutants.jsonl"), help="what is there is not run"
    )
    parser.add_argument("options", nargs="*", help="of pytest, behind --")
    given = parser.parse_args()
    mutants = drawn(given.number, given.seed, ROOT, given.against)
    if not given.into:
        sys.stdout.writelines(json.dumps(each._asdict(), ensure_ascii=False) + "\n" for each in mutants)
        sys.exit()
    with given.results.open("a+") as results:
        results.seek(0)
        found = {tuple(json.loads(line).values())[:-1] for line in results}
        for each in [mutant for mutant in mutants if mutant not in found]:
            told = {**each._asdict(), "killed": killed_by(each, given.into, given.options)}
            results.write(json.dumps(told, ensure_ascii=False) + "\n")
            results.flush()
