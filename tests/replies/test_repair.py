import pytest

from eventabs.replies.claims import Aliases
from eventabs.replies.json_text import read_chunks, straightened

NEXT = ',{"u":"U2","events":['


def first(text: str, *, stopped: bool = True) -> tuple[bool, list[tuple[str, str]]]:
    block = next(
        b
        for b in read_chunks(text, Aliases(dict.fromkeys(["U1", "U2"], 100)), stopped=stopped)
        if b.alias == "U1"
    )
    return block.closed, [(claim.type, claim.summary) for claim in block.claims]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (
            '{"u":"U1","events":[["01-01 10:00","a","","他说"好"吃"],["01-01 11:00","b"]]}',
            [("a", '他说"好"吃'), ("b", "")],
        ),
        (
            '{"u":"U1","events":[["01-01 10:00","a","","x\ny"],["01-01 11:00","b"]]',
            [("a", "x\ny"), ("b", "")],
        ),
        (
            "{'u': 'U1', 'events': [['01-01 10:00', 'a', None, 'it'], ['01-01 11:00', 'b'],]}",
            [("a", "it"), ("b", "")],
        ),
        (
            "{'u': 'U1', 'events': [('01-01 10:00', 'a', '', 'it'), ('01-01 11:00', 'b')]}",
            [("a", "it"), ("b", "")],
        ),
        (
            '{u:"U1",events:[{start:"01-01 10:00",type:"a"},{start:"01-01 11:00",type:"b"}]}',
            [("a", ""), ("b", "")],
        ),
        ('{"U1":[["01-01 10:00" "a"],["01-01 11:00","b"]', [("a", ""), ("b", "")]),
        ('{"u":"U1","events":[["01-01 10:00","a"],["01-01 11:00","b" "c"', [("a", ""), ("b", "c")]),
        ('{"u":"U1","events":[["01-01 10:00","a"],["01-01 11:00",' + "[" * 1500, [("a", "")]),
        ('{"u":"U1","note":"x" "y"}', []),
    ],
)
def test_one_fault_costs_at_most_one_event(text: str, events: list[tuple[str, str]]) -> None:
    assert first(text + NEXT, stopped=False) == (True, events)


@pytest.mark.parametrize(
    ("text", "stopped", "closed"),
    [
        ("{'u':'U1','events':[['01-01 10:00','a']]}", True, True),
        ("{'u':'U1','events':[['01-01 10:00','a']]}]}\n```\nHope it helps", True, True),
        ("{'u':'U1','events':[['01-01 10:00','a']],}],}", True, True),
        ("{'u':'U1','events':[['01-01 10:00','a']]}", False, False),
        ("{'u':'U1','events':[['01-01 10:00','a']]", True, False),
        ("{'u':'U1','events':[['01-01 10:00','a'],['01-01", True, False),
        ("{'u':'U1','events':[{'start':'01-01 10:00','type':'a','x':[1]},{'start", True, False),
        ("{'U1': no", True, True),
        ('{"u":"U1","events":[["01-01 10:00","a"]]} and more', False, True),
    ],
)
def test_a_mended_end_is_trusted_only_where_brackets_close_and_the_model_stopped(
    text: str, stopped: bool, closed: bool
) -> None:
    if "no" in text:
        assert list(read_chunks(text, Aliases(dict.fromkeys(["U1"], 100)), stopped=stopped)) == []
    else:
        assert first(text, stopped=stopped)[0] == closed


def test_an_unknown_user_closes_nobody() -> None:
    text = "{'u':'U1','events':[['01-01 10:00','a'],{'u':'U9','events':[['01-01 11:00','b']"
    assert not first(text)[0]


def test_a_broken_event_that_names_its_user_is_one_event() -> None:
    text = """[{'user':'U1','start':'01-01 10:00','type':'a'},{"user":"U1","start":"01-01 11:00","type":"b"},{"u":"U2","""
    assert first(text + '"x"') == (False, [("a", ""), ("b", "")])


def test_mending_ends_when_its_allowance_is_used_up() -> None:
    piece = '["01-01 10:00","a","","x" "y' + "z" * 1900 + '"],'
    closed, events = first('{"u":"U1","events":[' + piece * 60 + NEXT)
    assert closed
    assert 0 < len(events) < 60


def test_full_width_punctuation_is_straightened_only_outside_of_strings() -> None:
    assert straightened('｛"u"：“U1”，"s":"好，吃："｝') == '{"u":"U1","s":"好，吃："}'
    assert straightened('"好，\n，"') == '"好，\n,"'
    assert straightened("{}") == "{}"
