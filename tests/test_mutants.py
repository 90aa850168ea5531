"""Small faults are drawn, put into a tree, and leave it as it was."""

import sys
from pathlib import Path

import pytest

import mutants

MODULE = '''"""Doc of 1 + 1."""

def larger(a: int = 2, *, b: bool = True) -> int:
    """Return more than 3."""
    if a < 3 and b:
        raise ValueError(_("less than {most}").format(most=3))
    names.append(f"{a + 1}")
    self.count = a
    return a - b
'''
CHANGES = [
    (3, "def larger(a: int = 3, *, b: bool = True) -> int:"),
    (3, "def larger(a: int = 2, *, b: bool = False) -> int:"),
    (5, "if (not (a < 3 and b)):"),
    (5, "if a < 3 or b:"),
    (5, "if a <= 3 and b:"),
    (5, "if a < 4 and b:"),
    (6, "pass"),
    (7, "pass"),
    (8, "pass"),
    (9, "return None"),
    (9, "return a + b"),
]


def test_each_kind_of_fault_changes_one_line_and_no_text() -> None:
    assert sorted(mutants.changes(MODULE)) == sorted(CHANGES)


def _tree(folder: Path, **rooms: str) -> Path:
    for room, text in rooms.items():
        module = folder / mutants.PACKAGE / room / "a.py"
        module.parent.mkdir(parents=True)
        module.write_text(text)
    return folder


def test_faults_are_drawn_by_lines_of_rooms_where_both_trees_have_the_line(tmp_path: Path) -> None:
    larger, smaller = (
        "".join(f"def {name}{n}():\n    return {name}({n})\n" for n in range(number))
        for name, number in (("f", 20), ("g", 10))
    )
    here = _tree(tmp_path / "here", one=larger, two=smaller)
    there = _tree(tmp_path / "there", other=larger.replace("def f1", "def h1"), two=smaller)
    found = mutants.drawn(9, 1, here, there)
    assert [each.path for each in found] == ["one/a.py"] * 6 + ["two/a.py"] * 3
    assert not [each for each in found if each.function.startswith("f1")]
    assert found == mutants.drawn(9, 1, here, there)
    assert len({each.number for each in found[:6]}) == 6


@pytest.mark.slow
def test_a_fault_is_put_into_a_tree_for_its_tests_and_taken_out(tmp_path: Path) -> None:
    tree = _tree(tmp_path, one="def f():\n    return 1 + 0\n")
    for path, text in (
        ("tests/one/test_one.py", "def test_nothing():\n    pass\n"),
        ("tests/whole/test_whole.py", "import a\n\ndef test_sum():\n    assert a.f() == 1\n"),
        ("pytest.ini", "[pytest]\npythonpath = src/eventabs/one\n"),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / ".venv").symlink_to(sys.prefix)
    before = (tree / mutants.PACKAGE / "one/a.py").read_bytes()
    survives, dies = (
        mutants.Mutant("one/a.py", 2, "f", "return 1 + 0", new) for new in ("return 1  - 0", "return None")
    )
    assert not mutants.killed_by(survives, tree, ["-p", "no:cacheprovider"])
    assert mutants.killed_by(dies, tree, []) == "tests/whole/test_whole.py::test_sum"
    assert (tree / mutants.PACKAGE / "one/a.py").read_bytes() == before
