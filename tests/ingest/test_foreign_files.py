"""What is no export is answered with what it is and what to do instead."""

import json
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import expand
from eventabs.ingest.files_archives_encodings import refuse_document
from eventabs.shared_records import as_row
from exports_kit import make_event, make_journey
from input_files import facts, opened, write


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("postgres://me:secret@host/shop", "psql"),
        ("postgresql+psycopg2://me:secret@host/shop", "psql"),
        ("jdbc:postgresql://host/shop?password=secret", "psql"),
        ("MySQL://me:secret@host/shop", "mysql --batch"),
        ("clickhouse://secret@host", "clickhouse-client"),
        ("mongodb+srv://me:secret@host", "mongoexport"),
        ("bigquery://project/secret", "bq query"),
        ("jdbc:oracle:thin:me/secret@host", "CSV HEADER"),
        ("snowflake://me:secret@host", "CSV HEADER"),
    ],
)
def test_an_address_of_a_database_is_answered_with_its_client_and_never_shown(
    address: str, client: str
) -> None:
    with pytest.raises(InputError) as refused:
        expand([address])
    assert client in str(refused.value)
    assert "| eventabs run -" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["mysql.csv", "C:/x.csv", "a:b.csv", "postgres", "exports/*.jsonl"])
def test_other_names_are_none(name: str) -> None:
    with pytest.raises(InputError, match=r"does not exist|no file matches"):
        expand([name])


@pytest.mark.parametrize(
    ("name", "start", "word"),
    [
        ("a.pdf", b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        ("a.csv", b"%PDF-1.7\n", "PDF"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0", "picture"),
        ("a.jpg", b"\xff\xd8\xff\xe0\0", "picture"),
        ("a.webp", b"RIFF\1\2\3\4WEBPVP8 ", "picture"),
        ("a.docx", b"PK\x03\x04\x14\0", "text document"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1", "text document"),
        ("a.rtf", b"{\\rtf1", "text document"),
        ("README.md", b"# a tool\n| page | what |\n", "is a text, not a table"),
        ("a.xes", b'<?xml version="1.0"?><log>', "XML, not a table"),
        ("a.xml", b'<i><d p="1.5,1,25">a, b</d></i>', "XML, not a table"),
        ("a.csv", b"\xef\xbb\xbf <!DOCTYPE html><title>Sign in</title>", "web page"),
    ],
)
def test_documents_pictures_and_pages_are_named_by_what_they_are(
    tmp_path: Path, name: str, start: bytes, word: str
) -> None:
    with pytest.raises(InputError, match=word), opened(tmp_path, write(tmp_path, name, start)):
        pass


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.zip", b"PK\x03\x04"),
        ("a.xlsx", b"PK\x03\x04"),
        ("a.csv", b"BMI,user\n"),
        ("a.csv", b"user,time\n"),
        ("a.json", b"[]"),
    ],
)
def test_other_files_are_none_of_these(name: str, start: bytes) -> None:
    refuse_document(name, start)


_EVENT = make_event("u1", "2026-01-15T10:00:42", type="browsing", minutes=0)
EVENT = as_row(_EVENT)
JOURNEY = as_row(make_journey("u1", [_EVENT]))


@pytest.mark.parametrize("made", [EVENT, EVENT | {"outside": True}, EVENT | {"mine": 1}, JOURNEY])
@pytest.mark.parametrize("user", ["", "me"])
def test_what_was_made_of_behaviors_are_none(tmp_path: Path, made: dict[str, object], user: str) -> None:
    path = write(tmp_path, "made.jsonl", json.dumps(made) + "\n")
    with (
        pytest.raises(InputError, match="holds events that eventabs has made"),
        opened(tmp_path, path, user=user),
    ):
        pass


def test_behaviors_with_some_of_their_columns_are_read(tmp_path: Path) -> None:
    row = {key: value for key, value in EVENT.items() if key != "sure"}
    path = write(tmp_path, "events.jsonl", json.dumps(row) + "\n")
    assert facts(tmp_path, path) == ["u1|2026-01-15T10:00:42|browse|engagement||"]


def test_a_folder_without_exports_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf", "c.docx"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"2 \.pdf, 1 \.docx"):
        expand([str(tmp_path)])


def test_raw_lines_of_irc_are_a_chat(tmp_path: Path) -> None:
    lines = [
        "2026-01-15_10:00:00 - :irc.example 001 ann :Welcome!\n:irc.example 002 ann :-",
        "2026-01-15_10:00:01 - :ann!ann@example PRIVMSG #room :hello",
        "2026-01-15_10:00:02 - :bob!bob@example PRIVMSG #room :hi: there",
    ]
    with opened(tmp_path, write(tmp_path, "a.log", "\n\n".join(lines) + "\n")) as export:
        assert [(log.user_id, log.behaviors[0].item) for log in export.user_logs()] == [
            ("ann", "hello"),
            ("bob", "hi: there"),
        ]
        assert export.skipped_lines == 2  # the server's
