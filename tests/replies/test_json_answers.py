import pytest

from eventabs.replies.forms import Aliases, blocks_of, is_json, names_user, read_chunks, read_json

BOTH = Aliases(dict.fromkeys(["U1", "U2"], 100))
A = ["01-01 10:00", "01-01 11:00", "a"]
B = ["01-01 12:00", "01-01 13:00", "b"]
OBJECT = {"start": "01-01 10:00", "end": "11:00", "type": "a"}


def shape(
    value: object, *, aliases: Aliases = BOTH, closed: bool = True
) -> list[tuple[str, bool, list[str]]]:
    blocks = blocks_of([value], aliases, closed=closed)
    return [(b.alias, b.closed, [claim.type for claim in b.claims]) for b in blocks]


@pytest.mark.parametrize(
    "value",
    [
        [{"u": "U1", "events": [A, B]}],
        {"users": [{"user_id": "用户U1", "Events": [A, B]}]},
        {"result": {"data": {"output": [{"id": 1, "items": [A, B]}]}}},
        {"U1": [A, B]},
        {"U1": {"events": [A, B]}},
        {"用户1": {"2026-01-01": [A, B]}},
        {"u": "U1", "data": [A, B]},
        {"U1": ["01-01 10:00-11:00 a", "01-01 12:00 b"]},
        {"U1": [OBJECT, {"date": "01-01", "time": "12:00-13:00", "事件": "b"}]},
        {"U1": [{"day": "01-01", "list": [["10:00", "a"], ["12:00", "b"]]}]},
        [{"user": "U1"} | OBJECT, {"user": "U1"} | OBJECT | {"type": "b"}],
        [["U1", *A], ["u1", *B]],
    ],
)
def test_users_and_events_are_found_in_any_shape(value: object) -> None:
    assert shape(value) == [("U1", True, ["a", "b"])]


@pytest.mark.parametrize(
    ("value", "blocks"),
    [
        ({"U9": [A]}, [("", True, [])]),
        ({"U1": None, "U2": [A]}, [("U1", True, []), ("U2", True, ["a"])]),
        ({"u": "U1", "events": None}, [("U1", True, [])]),
        ({"U1": [[], {}, "x", 7, None, ["10:00"]]}, [("U1", True, [])]),
        ({"U1": [{"start": "now", "type": "a"}, {"start": "10:00"}]}, [("U1", True, [])]),
        ({"error": "no"}, []),
        ([A, B], []),
        ("U1", []),
    ],
)
def test_what_says_nothing_gives_nothing(value: object, blocks: list[tuple[str, bool, list[str]]]) -> None:
    assert shape(value) == blocks


def test_the_last_user_of_events_that_name_theirs_is_open_unless_the_whole_is_known() -> None:
    rows = [["U1", *A], ["U2", *B]]
    assert shape(rows, closed=False) == [("U1", True, ["a"]), ("U2", False, ["b"])]
    assert shape(rows) == [("U1", True, ["a"]), ("U2", True, ["b"])]


def test_events_without_owner_belong_to_a_user_alone() -> None:
    assert shape({"events": [A, OBJECT]}, aliases=Aliases(dict.fromkeys(["U2"], 100))) == [
        ("U2", True, ["a", "a"])
    ]
    assert shape({"events": [A]}) == []
    assert shape({"U2": [A], "more": [B]}, aliases=Aliases(dict.fromkeys(["U2"], 100))) == [
        ("U2", True, ["a"])
    ]


def test_nests_beyond_reason_are_not_followed() -> None:
    nest: object = {"U1": [A]}
    for _ in range(20):
        nest = [nest]
    assert shape(nest) == []
    inner: object = [A]
    for _ in range(20):
        inner = [inner]
    assert shape({"U1": inner}) == [("U1", True, [])]


def test_a_value_tells_whether_it_names_a_user() -> None:
    assert names_user({"x": {"U1": []}}, BOTH)
    assert not names_user({"x": [A]}, BOTH)


# JSON in text

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


# mending

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
        ("{'u':'U1','events':[['01-01 10:00','a']]}", False, True),
        ("{'u':'U1','events':[['01-01 10:00','a'] ['01-01 11:00','b']]}", False, False),
        ("{'u':'U1','events':[['01-01 10:00','a'] ['01-01 11:00','b']],'count':2}", True, True),
        ("{'u':'U1','events':[['01-01 10:00','a'] ['01-01 11:00','b'],'count':2}", True, True),
        ("{'u':'U1','events':[{'start':'01-01 10:00','type':'a','x':[1]}", True, False),
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
