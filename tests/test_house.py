"""The total of the package is watched."""

from paths import ROOT

MOST_LINES = 26_849


def test_the_package_has_no_more_lines_than_it_had() -> None:
    lines = sum(path.read_bytes().count(b"\n") for path in (ROOT / "src").rglob("*.py"))
    assert lines <= MOST_LINES
