"""The total of the package is watched."""

import size
from paths import ROOT

MOST_LINES = 26_785
MOST_WORDS = 23_504  # of the English pages without the decisions: half of what 185b292 had


def test_the_package_has_no_more_lines_than_it_had() -> None:
    lines = sum(path.read_bytes().count(b"\n") for path in (ROOT / "src").rglob("*.py"))
    assert lines <= MOST_LINES


def test_the_pages_have_no_more_words_than_half_of_what_they_had() -> None:
    assert size.words(size.files_here(folder=size.PAGES)) <= MOST_WORDS
