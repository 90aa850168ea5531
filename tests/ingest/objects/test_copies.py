import gzip
import os
import socket
import sqlite3  # noqa: TID251  the file of a user, not ours
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from multiprocessing.dummy import DummyProcess
from pathlib import Path
from urllib.parse import quote

import pytest
import xlsxwriter
from hypothesis import given, settings, strategies as st

from eventabs import object_stores
from eventabs.errors_and_exit_codes import InputError, StorageError
from eventabs.ingest.object_and_table_copies import copied
from eventabs.shared_records import Copying
from eventabs.stop_request import Stop, StopRequested
from input_files import opened, write
from object_server import ObjectServer, object_server, web_server

ROWS = "user_id,time,item\n" + "".join(f"u{n % 3},2026-01-15 09:00:{n % 60:02},帐篷{n}\n" for n in range(200))
DATA = ROWS.encode()
LONG = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _environment(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    short = {"init_backoff": timedelta(milliseconds=5), "max_backoff": timedelta(milliseconds=5), "base": 2}
    monkeypatch.setattr(object_stores, "_WAITS", short)


def fetched(folder: Path, *paths: str) -> list[bytes]:
    """Copy what addresses name; return the copies, of which nothing stays."""
    with copied(paths, "", folder / "objects.tmp", stop=Stop(), on_copy=lambda _copying: None) as copies:
        found = [Path(path).read_bytes() for path in copies.paths]
    assert not list(folder.iterdir())
    return found


def refused(folder: Path, address: str) -> str:
    with pytest.raises(InputError) as caught:
        fetched(folder, address)
    assert not list(folder.iterdir())
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_objects_are_read_as_the_same_files_are(tmp_path: Path, server: ObjectServer) -> None:
    header, *rows = ROWS.splitlines(keepends=True)
    one, two = "".join([header, *rows[:90]]).encode(), "".join([header, *rows[90:]]).encode()
    server.put("s3://same/day/1 中文%.csv", one)
    server.put("s3://same/day/2.csv.gz", gzip.compress(two))
    with opened(tmp_path, "s3://same/day/") as export:
        assert export.files == ("s3://same/day/1 中文%.csv", "s3://same/day/2.csv.gz")
        logs = list(export.user_logs())
    local = write(tmp_path, "1.csv", one), write(tmp_path, "2.csv", two)
    with opened(tmp_path, *local) as export:
        assert list(export.user_logs()) == logs
    with opened(tmp_path, local[0], "s3://same/day/2.csv.gz") as export:
        assert list(export.user_logs()) == logs
    assert sum(len(log.behaviors) for log in logs) == 200


def test_archives_workbooks_and_databases_in_a_store_are_read_as_on_the_disk(
    tmp_path: Path, server: ObjectServer
) -> None:
    files = (packed_file(tmp_path / "b.zip"), workbook(tmp_path / "c.xlsx"), database(tmp_path / "d.sqlite"))
    for file in files:
        server.put(f"s3://kinds/day/{file.name}", file.read_bytes())
    with opened(tmp_path, *files) as export:
        logs, fingerprint = list(export.user_logs()), export.fingerprint
    assert [log.user_id for log in logs] == ["u1", "u2", "u3"]
    with opened(tmp_path, "s3://kinds/day/") as export:
        assert export.files == (
            "s3://kinds/day/b.zip/in/a.csv",
            "s3://kinds/day/c.xlsx",
            "s3://kinds/day/d.sqlite",
        )
        assert list(export.user_logs()) == logs
        assert export.description.mappings[0].files[0] == "s3://kinds/day/b.zip/in/a.csv"
        assert (export.stamps, export.fingerprint) == ((), fingerprint)


def test_whose_file_an_object_is_stands_in_its_address(tmp_path: Path, server: ObjectServer) -> None:
    server.put("s3://whose/alice/2026.csv", b"time,item\n2026-01-15 10:00:42,tea\n")
    for named, user in (("{stem}", "2026"), ("{parent}", "alice")):
        with opened(tmp_path, "s3://whose/alice/2026.csv", user=named) as export:
            assert [log.user_id for log in export.user_logs()] == [user]


def test_a_system_without_more_threads_is_told_as_that(
    tmp_path: Path, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [server.put(f"s3://threads/{number}.csv", DATA) for number in range(4)]
    started, start, message = list[DummyProcess](), DummyProcess.start, "can't start new thread"

    def started_twice(thread: DummyProcess) -> None:
        if len(started) == 2:
            raise RuntimeError(message)
        started.append(thread)
        start(thread)

    monkeypatch.setattr(DummyProcess, "start", started_twice)
    with pytest.raises(RuntimeError, match=message):
        fetched(tmp_path, *addresses)
    assert not list(tmp_path.iterdir())


def packed_file(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/a.csv", "user_id,time,item\nu1,2026-01-15 10:00:42,tea\n")
    return path


def workbook(path: Path) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["user_id", "time", "item"])
        sheet.write_row(1, 0, ["u2", "2026-01-15 10:00:42", "tea"])
    return path


def database(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE log (user_id, time, item)")
        connection.execute("INSERT INTO log VALUES ('u3', '2026-01-15 10:00:42', 'tea')")
        connection.commit()
    return path


def test_profiles_may_be_an_object_that_the_folder_of_the_input_holds(
    tmp_path: Path, server: ObjectServer
) -> None:
    server.put("s3://people/day/1.csv", DATA)
    profiles = server.put("s3://people/day/profiles.csv", b"user_id,city\nu1,Leiden\n")
    with opened(tmp_path, "s3://people/day/", profiles=profiles, profile_columns=("city",)) as export:
        assert export.files == ("s3://people/day/1.csv",)
        assert [log.profile for log in export.user_logs()] == [(), (("city", "Leiden"),), ()]


def test_the_fingerprint_is_of_what_objects_contain(tmp_path: Path, server: ObjectServer) -> None:
    def fingerprint(address: str) -> str:
        with opened(tmp_path, address) as export:
            return export.fingerprint

    before = fingerprint(server.put("s3://prints/a.csv", DATA))
    assert fingerprint(server.put("s3://prints/b.csv", DATA)) == before
    assert fingerprint(str(write(tmp_path, "a.csv", DATA))) == before
    assert fingerprint(server.put("s3://prints/a.csv", DATA.replace(b"u1", b"u9"))) != before


def test_errors_name_the_address_and_not_the_copy(tmp_path: Path, server: ObjectServer) -> None:
    for name, data, part in (
        ("empty.csv", b"", "is empty"),
        ("[picture]*.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe\0", "is a picture"),
        ("other.csv", b"\0\1\xff" * 50, "is a binary file"),
        ("broken.parquet", b"PAR1" + b"\1" * 50 + b"PAR1", "cannot be read"),
        ("broken.csv.gz", gzip.compress(DATA)[:90], "cannot be unpacked"),
    ):
        address = server.put(f"s3://wrong/{name}", data)
        with pytest.raises(InputError) as caught, opened(tmp_path, address):
            pass
        assert address in str(caught.value)
        assert part in str(caught.value)
        assert "objects.tmp" not in str(caught.value)
        assert not list((tmp_path / "work").iterdir())


@pytest.mark.slow
def test_thousands_of_small_objects_come_whole_and_in_the_order_of_their_names(
    tmp_path: Path, server: ObjectServer
) -> None:
    for number in range(1005):  # a listing has 1,000
        server.put(f"s3://many/{number:05}.csv", b"%d" % number)
    assert fetched(tmp_path, "s3://many/") == [b"%d" % number for number in range(1005)]


def test_progress_tells_how_many_objects_and_bytes(tmp_path: Path, server: ObjectServer) -> None:
    told = list[Copying]()
    server.put("s3://large/a.csv", bytes(21_000_000))
    server.put("s3://large/b.csv", b"1")
    with copied(["s3://large"], "", tmp_path / "c", stop=Stop(), on_copy=told.append):
        pass
    assert told[0] == Copying(2, 21_000_001, 0)
    assert all(before.done < after.done for before, after in pairwise(told))


def test_a_requested_stop_ends_the_copying(tmp_path: Path, server: ObjectServer) -> None:
    server.put("s3://stopped/a.csv", DATA)
    stop, folder = Stop(), tmp_path / "objects.tmp"
    copies = copied(["s3://stopped/a.csv"], "", folder, stop=stop, on_copy=lambda _copying: stop.request())
    with pytest.raises(StopRequested), copies:
        pass
    assert not list(tmp_path.iterdir())


def test_a_server_that_falls_silent_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    stop = Stop()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.csv"
        threading.Timer(0.1, stop.request).start()
        copies = copied([address], "", tmp_path / "c", stop=stop, on_copy=lambda _copying: None)
        with pytest.raises(StopRequested), copies:
            pass


@pytest.mark.parametrize(
    "path", ["a.csv", "redirect", "gzip.csv", "a b 100%25.csv?sig=a%2Fb&x=1", "中文.csv"]
)
def test_what_a_web_address_answers_is_copied_as_it_is(tmp_path: Path, path: str) -> None:
    with web_server(DATA) as web:
        assert fetched(tmp_path, f"{web.address}/{path}") == [DATA]
        assert web.requests[0][0] == "/" + quote(path, safe="%/?=&")


def test_two_queries_are_two_objects(tmp_path: Path) -> None:
    with web_server(DATA) as web:
        addresses = [f"{web.address}/a.csv?day={day}" for day in (1, 2)]
        assert fetched(tmp_path, *addresses, addresses[0]) == [DATA, DATA]


def test_content_that_was_compressed_on_the_way_is_read(tmp_path: Path) -> None:
    with web_server(gzip.compress(DATA)) as web, opened(tmp_path, f"{web.address}/gzip.csv") as export:
        assert export.behaviors == 200


def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with web_server(LONG) as web:
        assert fetched(tmp_path, f"{web.address}/break-etag.csv") == [LONG]
        starts = [int(headers.get("range", "bytes=0-")[6:].split("-")[0]) for _, headers in web.requests]
        assert starts[0] == 0 < min(starts[1:])


@pytest.mark.parametrize("path", ["break.csv", "break-etag-change.csv"])
def test_a_transfer_that_cannot_surely_go_on_says_so(tmp_path: Path, path: str) -> None:
    with web_server(LONG) as web:
        message = refused(tmp_path, f"{web.address}/{path}")
    assert "the transfer breaks off (" in message
    assert "start again, or download it and name the file" in message


def test_an_object_that_changes_after_it_was_found_is_noticed(tmp_path: Path, server: ObjectServer) -> None:
    def change(_copying: Copying) -> None:
        server.put("s3://moving/a.csv", DATA * 2)

    moving = copied([server.put("s3://moving/a.csv", DATA)], "", tmp_path / "c", stop=Stop(), on_copy=change)
    with pytest.raises(InputError, match="has changed while it was read"), moving:
        pass


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("loop", "leads elsewhere, and not to an end"),
        ("chunked", "curl -fL ADDRESS | eventabs run -"),
        ("denied", "access is denied (HTTP 403); check the address"),
        ("missing", "does not exist (HTTP 404)"),
        ("failing", "answers HTTP 500; try again later"),
    ],
)
def test_a_web_address_that_gives_no_export_says_why(tmp_path: Path, path: str, part: str) -> None:
    with web_server(DATA) as web:
        message = refused(tmp_path, f"{web.address}/{path}?sig=secret")
    assert message.startswith(f"{web.address}/{path}?...")
    assert part in message
    assert "secret" not in message


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\xef\xbb\xbf\n<HTML lang=en>"])
def test_a_login_page_is_no_export(tmp_path: Path, page: bytes) -> None:
    with web_server(page) as web:
        assert "is a web page, perhaps of a login" in refused(tmp_path, f"{web.address}/a.csv")


def test_what_finds_no_room_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    with web_server(DATA) as web, pytest.raises(StorageError, match="there is no room left"):
        fetched(tmp_path, f"{web.address}/huge.csv")
    assert not list(tmp_path.iterdir())


@given(st.integers(200_000, 300_000), st.integers(0, 900_000))  # five breaks are the most
@settings(max_examples=10, deadline=None)
def test_wherever_transfers_break_the_copy_is_the_same(piece: int, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"end"
    with tempfile.TemporaryDirectory() as folder, web_server(data, piece=piece) as web:
        assert fetched(Path(folder), f"{web.address}/break-etag.csv") == [data]
