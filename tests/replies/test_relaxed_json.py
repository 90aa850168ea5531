import json

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.replies.forms import is_closed, parse, parse_prefix, straightened

VALUE = {"u": "U1", "events": [["01-01 10:00", "a", None, True, "it's"]], "n": 1.5}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(VALUE),
        repr(VALUE),
        "{'u':'U1','events':[['01-01 10:00','a',null,true,'it's']],'n':1.5}",
        """{u: 'U1', events: [["01-01 10:00", "a", None, True, 'it\\'s'],], n: 1.5,}""",
        """{“u”：“U1”，“events”：[（“01-01 10:00”，“a”，None，True，"it's"）]，“n”：1.5；}""",
        """ {"u":"U1","events":(('01-01 10:00','a',undefined,True,"it's",),),"n":1.5}\n""",
    ],
)
def test_json_with_other_punctuation_is_read(text: str) -> None:
    assert parse(text) == VALUE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["他说"好"吃","b"]', ['他说"好"吃', "b"]),
        ('["搜索"帐篷""]', ['搜索"帐篷"']),
        ("""['say "x"', 'y']""", ['say "x"', "y"]),
        ('["a\nb"]', ["a\nb"]),
        ('["None, (True): ;]"]', ["None, (True): ;]"]),
        ("['10:00 a', '：，']", ["10:00 a", "：，"]),
        ("[“a”，“b：c，d”，‘it's’]", ["a", "b：c，d", "it's"]),
    ],
)
def test_what_stands_in_strings_stays(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "'a'",
        "['a'",
        "{'a':['b'}",
        "['a','b",
        '["a],["b"]',
        "['a' 'b']",
        '["a""b"]',
        "[" * 100_000,
    ],
)
def test_what_is_broken_or_cut_is_no_json(text: str) -> None:
    assert parse(text) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab'\"[]{},: \n\\：“”", max_size=8), min_size=1))
def test_whatever_python_writes_is_read_as_it_was(texts: list[str]) -> None:
    ambiguous = any("：" in text or "“" in text or "”" in text for text in texts)
    assert ambiguous or parse(repr(texts)) == texts
    assert parse(json.dumps(texts)) == texts


def test_what_stands_behind_an_object_is_left_out() -> None:
    assert parse_prefix("{'a':1} and more") == {"a": 1}
    assert parse_prefix("1 and more") is None


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("{'events':[['a']]}", True),
        ("{'events':[['a']],'n':1}", True),
        ("{'events':[['a'],'n':1} and more", True),
        ("[('a', 'b')]}", True),
        ("{'events':[['a']]", False),
        ("{'events':[{'a':[1]}", False),
        ("{'events':['}]}", False),
        ("", False),
    ],
)
def test_an_object_is_closed_by_its_own_bracket(text: str, closed: bool) -> None:
    assert is_closed(text) == closed


def test_full_width_punctuation_is_straightened_only_outside_of_strings() -> None:
    assert straightened('｛"u"：“U1”，"s":"好，吃："｝') == '{"u":"U1","s":"好，吃："}'
    assert straightened("'好，\n，'，") == "'好，\n，',"
    assert straightened("{}") == "{}"
