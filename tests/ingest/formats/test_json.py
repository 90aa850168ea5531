"""JSON of any shape becomes one object a line, and no line is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.formats.json import Json
from input_files import loaded, open_input_file, opened, queried, write


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.jsonl", '{"a": 1, "b": 2}\n{"c": 3}\n', ("a", "b", "c")),
        ("a.json", 'bad\n{"a": 1}\n', ("a",)),
        ("spool", '\n{"a": 1}\n', ("a",)),
    ],
)
def test_json_is_recognized_and_its_keys_are_found(
    tmp_path: Path, name: str, text: str, columns: tuple[str, ...]
) -> None:
    opened = open_input_file(tmp_path, name, text)
    assert isinstance(opened, Json)
    assert opened.columns == columns


def test_keys_that_come_late_are_found(tmp_path: Path) -> None:
    text = '{"a": 1}\n' * 60_000 + '{"late": 1}\n' * 60_000
    assert open_input_file(tmp_path, "a.jsonl", text).columns == ("a", "late")


def test_json_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no line that is a JSON object"):
        open_input_file(tmp_path, "a.json", "[1]\n")


def test_a_chat_with_times_and_no_days_is_told_to_have_them(tmp_path: Path) -> None:
    line = "10:00:01] <ann> hi\n"
    with pytest.raises(InputError, match="a chat needs the day in each line"):
        open_input_file(tmp_path, "a.txt", f"[{line}" * 3)
    assert open_input_file(tmp_path, "b.txt", f"[2026-01-05 {line}" * 3).columns[:2] == ("time", "user")


def test_json_lines_keep_their_numbers_and_name_their_problems(tmp_path: Path) -> None:
    opened = open_input_file(
        tmp_path, "a.jsonl", '{"a": 1, "b": null}\n\n   \n{"a"\n[1]\n"x"\n{"b": 1.50}\n{"a": {"k": [1]}}'
    )
    assert queried(opened, "a", "b", "") == [
        (1, None, "1", None, None),
        (2, "blank", None, None, None),
        (3, "blank", None, None, None),
        (4, "bad_json", None, None, None),
        (5, "not_an_object", None, None, None),
        (6, "not_an_object", None, None, None),
        (7, None, None, "1.5", None),
        (8, None, '{"k":[1]}', None, None),
    ]


def test_json_keys_with_odd_characters_are_found(tmp_path: Path) -> None:
    opened = open_input_file(
        tmp_path, "a.jsonl", '{"a/b": 1, "c~d": 2, "e\'f": 3, "g\\"h": 4, "用户 ID": 5}\n'
    )
    assert queried(opened, *opened.columns) == [(1, None, "1", "2", "3", "4", "5")]


def test_json_numbers_beyond_64_bits_keep_their_digits(tmp_path: Path) -> None:
    opened = open_input_file(tmp_path, "a.jsonl", '{"a": 123456789012345678901234567890}\n')
    assert queried(opened, "a") == [(1, None, "123456789012345678901234567890")]


def test_a_line_of_many_megabytes_is_read(tmp_path: Path) -> None:
    opened = open_input_file(
        tmp_path, "a.jsonl", '{"a": "1"}\n{"a": "' + "x" * (17 << 20) + '"}\n{"a": "3"}\n'
    )
    assert [(line, len(value)) for line, _problem, value in queried(opened, "a")] == [
        (1, 1),
        (2, 17 << 20),
        (3, 1),
    ]


def test_json_lines_with_mixed_line_endings_keep_their_line_numbers(tmp_path: Path) -> None:
    text = '{"user": 1, "b": 2}\r\n{"user": 2}\n\r\n{"user": 3}\r\nc\rd\n{"user": 4}'
    assert loaded(open_input_file(tmp_path, "a.jsonl", text)) == [
        (1, None, "1", "2"),
        (2, None, "2", None),
        (3, "blank", None, None),
        (4, None, "3", None),
        (5, "bad_json", None, None),
        (6, None, "4", None),
    ]


def test_a_broken_element_of_an_array_is_rejected_alone(tmp_path: Path) -> None:
    good = '{"uid": "u1", "time": "2026-01-15", "item": "%s"}'
    path = write(tmp_path, "a.json", f'[{good % "a"},\n{{"uid": "u1", oops}},\n{good % "b, [c]"}, 7]\n')
    with opened(tmp_path, path) as export:
        assert [(row.line, row.reason) for row in export.rejects()] == [(2, "bad_json"), (4, "not_an_object")]
        assert (export.behaviors, export.rows) == (2, 4)


def test_an_array_larger_than_what_is_read_at_once_keeps_every_element(tmp_path: Path) -> None:
    rows = [
        {"uid": f"u{n}", "time": "2026-01-15", "item": 'a "quoted" [x], {y} \\' * 9} for n in range(9_000)
    ]
    for form in (json.dumps(rows), json.dumps(rows, indent=1)):
        with opened(tmp_path, write(tmp_path, "a.json", form)) as export:
            assert (export.users, export.behaviors, export.rejected_rows) == (9_000, 9_000, 0)


WRAPPED = {
    "exported": "2026-01-16",
    "data": [{"uid": "u1", "time": "2026-01-15", "item": 'a "quoted" [x], {y}'}] * 3,
    "city": "x",
    "more": [{"uid": "u2", "time": "2026-01-15", "item": "b", "city": "y"}],
}


@pytest.mark.parametrize("form", [{}, {"indent": 1}])
def test_an_object_around_all_records_is_read_as_a_stream_where_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: dict[str, Any]
) -> None:
    text = json.dumps(WRAPPED, **form)
    path = write(tmp_path, "a.json", text)
    monkeypatch.setattr("eventabs.ingest.files_archives_encodings.LONGEST_LINE", 300)
    monkeypatch.setattr("eventabs.ingest.formats.json._CHUNK", 20)
    monkeypatch.setattr("eventabs.ingest.files_archives_encodings._CHUNK", 100)
    columns = {"place": "city"}
    with opened(tmp_path, path, columns=columns) as export:
        assert (export.users, export.behaviors, export.duplicates, export.rejected_rows) == (2, 2, 2, 0)
        assert [log.behaviors[0].place for log in export.user_logs()] == ["x", "y"]
    path.write_text(json.dumps({"data": "x" * 400}, indent=1))
    with pytest.raises(InputError, match="has a JSON value longer than"), opened(tmp_path, path):
        pass


@pytest.mark.parametrize(
    "before",
    [
        '{"n": 1, "data": [\n',
        '{"n": 1,\n"data": [',
        '{"n": 1, "data": [{"uid": "u0",\n"time": "2026-01-15"},',
    ],
)
def test_an_object_around_records_may_break_its_lines_anywhere(tmp_path: Path, before: str) -> None:
    rows = ",\n".join(f'{{"uid": "u{n}", "time": "2026-01-15", "item": "x"}}' for n in (1, 2))
    with opened(tmp_path, write(tmp_path, "a.json", f"{before}{rows}\n]}}\n")) as export:
        assert [log.user_id for log in export.user_logs()][-2:] == ["u1", "u2"]


def test_a_first_line_that_is_cut_costs_no_other_line(tmp_path: Path) -> None:
    good = '{"uid": "u", "time": "2026-01-15", "item": "x"}\n'
    with opened(tmp_path, write(tmp_path, "a.jsonl", '{"uid": "u",\n' + good)) as export:
        assert (export.behaviors, export.reasons) == (1, {"bad_json": 1})


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("history", {"time": "2026-01-16 10:00:00", "status": "sent"}),
        ("日志 2", {"time": "2026-01-16 10:00:00", "action": "buy", "item": "tea"}),
        ("replies", {"time": "2026-01-16 10:00:00", "user": "u2", "text": "hi"}),
        ("photos", {"time": "2026-01-16 10:00:00", "uri": "a.jpg"}),
    ],
)
def test_what_is_told_of_a_row_is_no_row_but_said(tmp_path: Path, name: str, inside: dict[str, str]) -> None:
    row = json.dumps({"user": "u", "time": "2026-01-15 10:00:00", "place": "x", name: [inside]})
    path = write(tmp_path, "a.jsonl", f"{row}\n{row}\n")
    with opened(tmp_path, path, keep_duplicates=True) as export:
        assert (export.users, export.behaviors) == (1, 2)
        (told,) = export.description.warnings
        assert (told.code, f'select(."{name}"?)' in told.message) == ("one_row", True)


def test_lists_of_one_person_name_what_was_done_and_keys_in_another_case_are_one_column(
    tmp_path: Path,
) -> None:
    liked = [{"date": f"2026-01-15 10:00:{n:02}", "link": f"https://example.org/{n}"} for n in range(20)]
    kept = [{"Date": f"2026-01-16 10:00:{n:02}", "Link": f"https://example.org/k{n}"} for n in range(20)]
    whole = {"activity": {"Like List": {"items": liked}, "Favorite Videos": {"items": kept}}}
    with opened(tmp_path, write(tmp_path, "a.json", json.dumps(whole)), user="me") as export:
        assert (export.behaviors, export.rejected_rows) == (40, 0)
        assert export.description.columns == {"time": "date", "action": "list", "item": "link"}
        (log,) = export.user_logs()
        assert {behavior.action for behavior in log.behaviors} == {"Like List", "Favorite Videos"}


def test_records_under_ids_of_their_own_are_rows(tmp_path: Path) -> None:
    reviews = {
        f"4{n}": {"id": n, "user": f"u{n % 2}", "time": f"2026-01-15 10:00:0{n}", "text": "good"}
        for n in range(4)
    }
    whole = {"reviews": reviews, "summary": {"count": 4, "score": 6}}
    with opened(tmp_path, write(tmp_path, "a.json", json.dumps(whole))) as export:
        assert (export.users, export.behaviors, export.rejected_rows) == (2, 4, 0)
    with opened(tmp_path, tmp_path / "a.json", columns={"item": "key", "text": "-"}) as export:
        items = {behavior.item for log in export.user_logs() for behavior in log.behaviors}
        assert items == {"40", "41", "42", "43"}


@pytest.mark.parametrize("pages", [1, 2])
def test_the_records_of_an_interface_s_pages_are_rows_where_their_times_are_in_objects(
    tmp_path: Path, pages: int
) -> None:
    def thread(number: int) -> dict[str, object]:
        told = {"authorName": f"u{number % 2}", "publishedAt": f"2026-01-15T10:00:0{number}", "text": "good"}
        return {"id": f"t{number}", "snippet": {"channel": "c", "comment": {"snippet": told}}}

    answers = [
        {"kind": "list", "pageInfo": {"total": 4}, "items": [thread(4 * page + n) for n in range(4)]}
        for page in range(pages)
    ]
    data = json.dumps(answers if pages > 1 else answers[0], indent=1)
    with opened(tmp_path, write(tmp_path, "a.json", data)) as export:
        assert (export.users, export.behaviors, export.rejected_rows) == (2, 4 * pages, 0)


@pytest.mark.parametrize("where", ["node", "edge"])
def test_the_nodes_of_a_connection_of_graphql_are_rows_with_what_the_edges_say(
    tmp_path: Path, where: str
) -> None:
    times = [{"createdAt": f"2026-01-15T10:00:0{n}Z"} for n in range(4)]
    nodes = [
        {"author": {"login": f"u{n % 2}"}} | (time if where == "node" else {}) for n, time in enumerate(times)
    ]
    pairs = zip((*nodes, None), (*times, {}), strict=True)
    edges = [{"node": node, **(time if where == "edge" else {})} for node, time in pairs]
    data = {"data": {"repository": {"issues": {"totalCount": 5, "edges": edges}}}}
    with opened(tmp_path, write(tmp_path, "a.json", json.dumps(data, indent=1))) as export:
        assert (export.users, export.behaviors, export.rejected_rows) == (2, 4, 0)


def test_a_list_column_of_the_export_stays_its_own(tmp_path: Path) -> None:
    row = {"user": "u", "time": "2026-01-15 10:00:00", "item": "x"}
    whole = {"list": "mine", "orders": [row], "visits": [{**row, "item": "y"}]}
    opened_file = open_input_file(tmp_path, "a.json", json.dumps(whole))
    assert {
        values["list"] for values in map(opened_file.fields, (text for _n, text in opened_file.texts()))
    } == {"mine"}


def test_remarks_above_a_list_are_no_records(tmp_path: Path) -> None:
    rows = json.dumps([{"user": "u1", "time": f"2026-01-15 10:00:0{n}", "item": "x"} for n in range(3)])
    data = f"/**\n Export to JSON\n */\n\n// Database 'a'\n\n{rows}"
    with opened(tmp_path, write(tmp_path, "a.json", data)) as export:
        assert (export.behaviors, export.rejected_rows) == (3, 0)
