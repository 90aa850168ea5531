import pytest

from eventabs.replies.claims import Aliases
from eventabs.replies.json_text import is_json, read_json

BOTH = Aliases(dict.fromkeys(["U1", "U2"], 100))
U1 = '{"u":"U1","events":[["01-01 10:00","a"]]}'
U2 = '{"u":"U2","events":[["01-01 10:00","b"]]}'


@pytest.mark.parametrize(
    "text",
    [
        f"[{U1},{U2}]",
        f"So [here]: [{U1},{U2}]",
        f"Well:\n[{U1},{U2}]\nDone.",
        f"{U1}\n{U2}",
        f"  {U1},\n  {U2},\n",
        f"{U1} {U2}",
        f"```json\n{U1}\n```\nand\n```json\n{U2}\n```",
    ],
)
def test_json_is_found_wherever_it_stands(text: str) -> None:
    blocks = list(read_json(text, BOTH, stopped=True))
    assert [(b.alias, b.closed, b.claims[0].type) for b in blocks] == [("U1", True, "a"), ("U2", True, "b")]


@pytest.mark.parametrize("text", [f"[{U1},{U2[:-5]}", f"{U1}\n{U2[:-2]}", f"{U1}\n{U2[:25]}"])
def test_what_is_cut_stays_open(text: str) -> None:
    first, second = read_json(text, BOTH, stopped=True)
    assert (first.alias, first.closed) == ("U1", True)
    assert (second.alias, second.closed) == ("U2", False)


@pytest.mark.parametrize("text", ["", "no brackets", "[1]", "{", "}{", "]"])
def test_text_without_users_gives_none(text: str) -> None:
    assert list(read_json(text, BOTH, stopped=True)) == []


def test_only_a_whole_object_or_array_is_json() -> None:
    assert is_json(U1)
    assert is_json(" [1]\n")
    assert not any(map(is_json, ["", "1", "null", "[]", U1 + U2, "\ud800"]))
