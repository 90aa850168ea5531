"""The table of the package's size counts what stands there, now and in a commit."""

import subprocess
from pathlib import Path

import size

MODULE = '''"""A module."""

from typing import ClassVar, NamedTuple
# why

@dataclasses.dataclass(frozen=True)
class Point:
    """A record."""

    x: int  # across
    known: ClassVar[int] = 0

class Base(NamedTuple):
    a: int
    b: int
    c: int

class More(Base):
    def length(self) -> int:
        """Say how long.

        It is short.
        """
        return 1
'''


def test_lines_records_and_functions_are_counted_by_room() -> None:
    found = size.sizes({"runs/a.py": MODULE.encode(), "runs/b/c.sql": b"a\nb\n", "top.py": b"x = 1\n"})
    assert dict(zip(size.COLUMNS, (24, 12, 6, 1, 5, 2, 1, 3, 4, 1, 6), strict=True)) == found["runs/"]
    assert found["outside"] == {"python": 1, "code": 1, "modules": 1}
    assert found["total"]["python"] == 25


def test_the_table_shows_what_a_commit_had_and_what_there_is_now(tmp_path: Path) -> None:
    module = tmp_path / "src/eventabs/runs/a.py"
    module.parent.mkdir(parents=True)
    module.write_text("a = 1\n")
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "A module is there")):
        subprocess.run([*git, *command], check=True)
    module.write_text(MODULE)
    now, then = size.files_here(tmp_path), size.files_then("HEAD", tmp_path)
    head, room, total = size.table(size.sizes(now), size.sizes(then)).splitlines()
    assert head.split() == [*size.COLUMNS]
    figures = "1 > 24  1 > 12  0 > 6  0 > 1  0 > 5  0  1  0 > 3  0.0 > 1.3  0 > 1  0.0 > 6.0"
    assert " ".join(room.split()) == " ".join(f"runs/ {figures}".split())
    assert total.split()[1:] == room.split()[1:]


def test_words_are_those_of_the_english_pages_without_the_decisions() -> None:
    pages = {"a.md": b"# One\n\n`two` three", "zh/a.md": b"one", "decisions.md": b"one", "conf.py": b"one"}
    assert size.words(pages) == 4
