"""Files written to a store and to web addresses: whole, or not at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventabs import object_stores
from eventabs.errors_and_exit_codes import UsageError
from eventabs.object_stores import Destination
from object_server import KEY, SECRET, ObjectServer, WebServer, in_front_of, object_server, web_server

PIECE = 5 << 20  # the least that S3 takes, but for the last one


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        running.put("s3://lake/taken.csv", b"kept")
        yield running


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server(b"") as running:
        yield running


@pytest.fixture(autouse=True)
def _credentials(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(object_stores, "_PIECE", PIECE)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a file of more pieces than are sent at once."""
    file = tmp_path / "large"
    file.write_bytes(b"".join(bytes([number]) * PIECE for number in range(10)) + b"end")
    return file


def small(folder: Path, data: bytes = b"events") -> Path:
    file = folder / "small"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("name", ["a.csv", "deep/er/中文 100%.csv", "#1?.csv"])
def test_an_object_has_the_bytes_of_the_file_under_the_very_name(
    tmp_path: Path, server: ObjectServer, name: str
) -> None:
    destination = Destination(f"s3://lake/{name}")
    destination.write(small(tmp_path))
    assert server.get(str(destination)) == b"events"


def test_a_file_without_a_byte_is_an_object(tmp_path: Path, server: ObjectServer) -> None:
    Destination("s3://lake/empty").write(small(tmp_path, b""))
    assert server.get("s3://lake/empty") == b""


def test_a_large_file_is_written_in_pieces(server: ObjectServer, large: Path) -> None:
    Destination("s3://lake/large").write(large)
    assert server.get("s3://lake/large") == large.read_bytes()
    assert server.unfinished("lake") == 0


def test_an_object_that_is_there_is_replaced_on_request_alone(tmp_path: Path, server: ObjectServer) -> None:
    with pytest.raises(UsageError, match=r"s3://lake/taken\.csv exists; .*--replace"):
        Destination("s3://lake/taken.csv")
    assert server.get("s3://lake/taken.csv") == b"kept"
    Destination("s3://lake/taken.csv", replace=True).write(small(tmp_path))
    assert server.get("s3://lake/taken.csv") == b"events"


@pytest.mark.parametrize("refused", ["PUT partNumber=3", "POST uploadId="], ids=["a piece", "the end"])
def test_an_upload_that_fails_leaves_neither_an_object_nor_pieces(
    server: ObjectServer, large: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    method, part = refused.split()
    with in_front_of(server, lambda asked, path: 403 * (asked == method and part in path)) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(UsageError, match="access is denied"):
            Destination("s3://lake/broken").write(large)
    with pytest.raises(FileNotFoundError):
        server.get("s3://lake/broken")
    assert server.unfinished("lake") == 0


def test_ctrl_c_leaves_neither_an_object_nor_pieces(
    server: ObjectServer, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_method: str, path: str) -> int:
        if "partNumber=1&" in path:  # while later pieces wait for this one
            os.kill(os.getpid(), signal.SIGINT)
        return 0

    # ignored where the tests run in the background
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with in_front_of(server, interrupted) as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            with pytest.raises(KeyboardInterrupt):
                Destination("s3://lake/stopped").write(large)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(FileNotFoundError):
        server.get("s3://lake/stopped")
    assert server.unfinished("lake") == 0


@pytest.mark.slow
def test_a_failing_replacement_leaves_the_object_that_is_there(
    server: ObjectServer, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("s3://lake/old", b"old")
    with in_front_of(server, lambda method, _path: 500 * (method == "PUT")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(UsageError, match="the server answers HTTP 500; try again later"):
            Destination("s3://lake/old", replace=True).write(large)
    assert server.get("s3://lake/old") == b"old"


def test_a_web_server_gets_one_request_with_the_whole_address(large: Path, web: WebServer) -> None:
    destination = Destination(f"{web.address}/a b.csv?signature=s1gned")
    destination.write(large)
    assert web.written["/a%20b.csv?signature=s1gned"] == large.read_bytes()
    assert "s1gned" not in str(destination)


def test_a_web_server_is_told_not_to_overwrite_unless_that_is_wanted(tmp_path: Path, web: WebServer) -> None:
    address = f"{web.address}/twice.csv?signature=s1gned"
    Destination(address).write(small(tmp_path))
    with pytest.raises(UsageError, match=r"twice\.csv\?\.\.\. exists; "):
        Destination(address).write(small(tmp_path, b"others"))
    assert web.written["/twice.csv?signature=s1gned"] == b"events"
    Destination(address, replace=True).write(small(tmp_path, b"others"))
    assert web.written["/twice.csv?signature=s1gned"] == b"others"


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("s3://lake", "name an object: s3://BUCKET/KEY"),
        ("s3://lake/folder/", "name an object: s3://BUCKET/KEY"),
        ("https://example.org", "name an object: s3://BUCKET/KEY"),
        ("http:///example.org", "name an object: s3://BUCKET/KEY"),
        ("http://\\/example.org", "name an object: s3://BUCKET/KEY"),
        ("{web}/folder/..", "name an object: s3://BUCKET/KEY"),
        ("https://example.org?to=/a.csv", "name an object: s3://BUCKET/KEY"),
        ("{web}/folder/?signature=secret", "name an object: s3://BUCKET/KEY"),
        ("file:///tmp/a.csv", "name an object: s3://BUCKET/KEY"),
        ("s3://lake/a//b.csv", "empty names"),
        ("s3://nowhere/a.csv", "there is no such bucket"),
        (
            "az://lake/a.csv",
            "no credentials are set; set AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
        ),
        ("https://me:secret@example.org/a.csv", "curl -T FILE -u USER https://example.org/a.csv"),
        ("{web}/denied.csv?signature=secret", "denied.csv?...: access is denied (HTTP 403)"),
        pytest.param("http://127.0.0.1:1/a.csv", "127.0.0.1:1 cannot be reached", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line_with_the_next_step(
    tmp_path: Path, web: WebServer, address: str, part: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Destination(address.format(web=web.address)).write(small(tmp_path))
    message = str(caught.value)
    assert part in message
    assert "\n" not in message
    assert not {KEY, SECRET, "secret"} & set(message.replace("/", " ").replace(":", " ").split())


def test_without_the_extra_the_message_names_it() -> None:
    program = (
        "import sys; sys.modules['obstore'] = None\n"
        "from eventabs.object_stores import Destination\n"
        "from eventabs.errors_and_exit_codes import UsageError\n"
        "try: Destination('s3://lake/a.csv')\n"
        "except UsageError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said == "s3://lake/a.csv is an address; install what opens it: pip install 'eventabs[s3]'\n"
