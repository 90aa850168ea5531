import pytest

from eventabs.replies.claims import Aliases
from eventabs.replies.lines import read_rows


def shape(text: str) -> list[tuple[str, bool, list[str]]]:
    blocks = read_rows(text, Aliases(dict.fromkeys(["U1", "U2"], 100)))
    return [(b.alias, b.closed, [claim.type for claim in b.claims]) for b in blocks]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("U1|01-01 10:00|a\nU1|01-01 11:00|b\n##", [("U1", True, ["a", "b"])]),
        ("U1|01-01 10:00|a\nU2|01-01 11:00|b\n", [("U1", True, ["a"]), ("U2", False, ["b"])]),
        (
            "| u1 | 01-01 10:00 | a |\n|---|---|---|\n- U2｜01-01 11:00｜b\n##\n",
            [("U1", True, ["a"]), ("U2", True, ["b"])],
        ),
        (
            "U1|01-01 10:00|a\nU2|01-01 11:00|b\nU1|01-01 12:00|c\n",
            [("U1", False, ["a", "c"]), ("U2", False, ["b"])],
        ),
        ("U9|01-01 10:00|a\n##", [("", True, [])]),
        ("U1|whenever|a\n##", [("U1", True, [])]),
        ("10:00-11:00 | a | b\nplain\n##", []),
    ],
)
def test_rows_are_gathered_by_user(text: str, blocks: list[tuple[str, bool, list[str]]]) -> None:
    assert shape(text) == blocks
