import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.object_and_table_copies import find_objects
from eventabs.object_stores import public_address
from object_server import KEY, SECRET, ObjectServer, object_server

ROW = b"user_id,time,item\nu1,2026-01-15 09:00:00,tent\n"
NAMES = (
    "a b.csv",
    "中文 100%.csv",
    "p%20q.csv",
    "#1?.csv",
    "[x]*.csv",
    "day/1.csv",
    "day/2.jsonl.gz",
    "day/notes.pdf",
    "day/sub/3.csv",
    "day/_tmp/4.csv",
    "day/.5.csv",
    "days/6.csv",
)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        for name in NAMES:
            running.put(f"s3://shop/{name}", ROW)
        yield running


@pytest.fixture(autouse=True)
def _credentials(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)


def names(address: str) -> list[str]:
    return sorted(each.address.removeprefix("s3://shop/") for each in find_objects([address]))


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_named_as_it_is_called_whatever_characters_it_holds(name: str) -> None:
    assert names(f"s3://shop/{name}") == [name]


@pytest.mark.parametrize("address", ["s3://shop/day/", "s3://shop/day"])
def test_a_folder_means_the_exports_in_it_and_below(address: str) -> None:
    assert names(address) == ["day/1.csv", "day/2.jsonl.gz", "day/sub/3.csv"]


def test_a_bucket_is_a_folder() -> None:
    assert "a b.csv" in names("s3://shop")
    assert names("s3://shop") == names("s3://shop/")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("day/*.csv", ["day/.5.csv", "day/1.csv"]),
        ("day/?.jsonl.gz", ["day/2.jsonl.gz"]),
        ("day*/[16].csv", ["day/1.csv", "days/6.csv"]),
        ("**/3.csv", ["day/sub/3.csv"]),
        ("day/**/*.csv", ["day/.5.csv", "day/1.csv", "day/_tmp/4.csv", "day/sub/3.csv"]),
    ],
)
def test_a_glob_matches_as_in_a_folder(pattern: str, found: list[str]) -> None:
    assert names(f"s3://shop/{pattern}") == found


def test_a_folder_does_not_mean_what_is_excluded_but_a_name_does() -> None:
    profiles = "s3://shop/day/1.csv"
    assert len(find_objects(["s3://shop/day/"], [profiles])) == 2
    assert len(find_objects([profiles], [profiles])) == 1


def test_files_are_no_objects() -> None:
    assert find_objects(["behaviors.csv", "exports/"]) == []


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("s3://shop/none.csv", "does not exist; check the name"),
        ("s3://shop/none/", "does not exist; check the name"),
        ("s3://shop/day/none/*.csv", "no object matches"),
        ("s3://nowhere/a.csv", "there is no such bucket"),
        ("s3://nowhere/", "there is no such bucket"),
        ("s3://shop/day//1.csv", "empty names"),
        ("s3://shop/../1.csv", "empty names"),
        ("s3://", "addresses begin with s3://BUCKET/"),
        ("ftp://example.org/a.csv", "addresses begin with s3://BUCKET/"),
        ("az://shop/a.csv", "no credentials are set; set AZURE_STORAGE_ACCOUNT_NAME"),
        ("https://me:secret@example.org/a.csv", "curl -fL -u USER https://example.org/a.csv"),
    ],
)
def test_what_is_no_object_is_refused_in_one_line_with_the_next_step(address: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        find_objects([address])
    message = str(caught.value)
    assert part in message
    assert message.count("\n") == 0
    assert not {KEY, SECRET, "secret"} & set(message.replace("/", " ").replace(":", " ").split())


def test_a_folder_without_exports_says_what_is_read(server: ObjectServer) -> None:
    server.put("s3://papers/a.pdf", b"%PDF")
    with pytest.raises(InputError, match="holds no export"):
        find_objects(["s3://papers/"])


@pytest.mark.slow
def test_a_store_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1 cannot be reached; check the network"):
        find_objects(["s3://shop/a b.csv"])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@example.org/a.csv?sig=secret#x", "https://example.org/a.csv?..."),
        ("HTTPS://example.org/a.csv?sig=a/b@c", "HTTPS://example.org/a.csv?..."),
        ("https://example.org/a@b.csv", "https://example.org/a@b.csv"),
        ("https://me@example.org", "https://example.org"),
        ("s3://shop/#1?.csv", "s3://shop/#1?.csv"),
        ("behaviors.csv", "behaviors.csv"),
    ],
)
def test_what_may_be_secret_in_an_address_is_not_shown(address: str, shown: str) -> None:
    assert public_address(address) == shown
    assert public_address(shown) == shown


def test_an_address_whose_query_was_cut_asks_for_it() -> None:
    with pytest.raises(InputError, match="name the whole address again"):
        find_objects(["https://example.org/a.csv?..."])


def test_without_the_extra_the_message_names_it() -> None:
    program = (
        "import sys; sys.modules['obstore'] = None\n"
        "from eventabs.ingest import find_objects\n"
        "from eventabs.errors_and_exit_codes import InputError\n"
        "try: find_objects(['https://example.org/a.csv?sig=secret'])\n"
        "except InputError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said == (
        "https://example.org/a.csv?... is an address; install what opens it: pip install 'eventabs[s3]'\n"
    )


def test_a_name_is_not_taken_for_a_file_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="addresses begin with"):
        find_objects([f"file://{tmp_path}/a.csv"])
