"""Runs whose input lies in a store or behind a web address."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import eventabs
from object_server import SECRET, ObjectServer, object_server, web_server

DATA = "user_id,time,item\n" + "".join(f"u{n % 3},2026-01-15 09:00:{n % 60:02},帐篷{n}\n" for n in range(90))
TRIAL = ("--provider", "rules", "--limit", "1", "--out", "trial")


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


def ours(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return eventabs(*arguments, cwd=cwd, stdin=None, **variables)


def stored(folder: Path) -> bytes:
    """Return all that a run has written, in one piece."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_run_of_a_folder_in_a_store_is_named_after_it_and_goes_on_there(
    tmp_path: Path, server: ObjectServer
) -> None:
    server.put("s3://whole/january/1.csv", DATA.encode())
    trial = ours("run", "s3://whole/january/", *TRIAL[:4], cwd=tmp_path, **server.variables)
    assert "Copying 1 object" in trial.stderr
    assert trial.returncode == 0
    done = ours("resume", "january.eventabs", cwd=tmp_path, **server.variables)
    assert done.returncode == 0
    assert "3 of 3 users done" in done.stderr
    assert SECRET.encode() not in stored(tmp_path)
    assert not (tmp_path / "january.eventabs" / "tmp").exists()


def test_an_object_that_has_changed_is_no_longer_the_input_of_the_run(
    tmp_path: Path, server: ObjectServer
) -> None:
    address = server.put("s3://whole/changed.csv", DATA.encode())
    assert ours("run", address, *TRIAL, cwd=tmp_path, **server.variables).returncode == 0
    server.put("s3://whole/changed.csv", DATA.replace("帐篷", "睡袋").encode())
    refused = ours("resume", "trial", cwd=tmp_path, **server.variables)
    assert refused.returncode == 2
    assert "the input is not the one that this run began with" in refused.stderr


def test_events_go_to_a_store_in_the_form_that_the_name_ends_in(tmp_path: Path, server: ObjectServer) -> None:
    address = server.put("s3://whole/input.csv", DATA.encode())
    assert (
        ours("run", address, *TRIAL[:2], "--out", "trial", cwd=tmp_path, **server.variables).returncode == 0
    )
    for name, flags in (("events.parquet", ()), ("EVENTS.CSV", ("--bom",))):
        local = ours("export", "trial", "--output", name, *flags, cwd=tmp_path)
        assert local.returncode == 0, local.stderr
        target = f"s3://whole/out/{name}"
        done = ours("export", "trial", "--out", target, *flags, cwd=tmp_path, **server.variables)
        stem, _dot, ending = name.partition(".")
        other = f"{stem}.journeys.{ending}"
        said = f"{target}\ns3://whole/out/{other}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
        assert server.get(target) == (tmp_path / name).read_bytes()
        assert server.get(f"s3://whole/out/{other}") == (tmp_path / other).read_bytes()
    refused = ours("export", "trial", "--output", target, cwd=tmp_path, **server.variables)
    assert refused.returncode == 2
    assert "EVENTS.CSV exists; name another with --output, or replace it with --replace" in refused.stderr
    again = ours("export", "trial", "--output", target, "--replace", cwd=tmp_path, **server.variables)
    assert again.returncode == 0
    assert server.get(target) == (tmp_path / "EVENTS.CSV").read_bytes().removeprefix(b"\xef\xbb\xbf")
    assert SECRET.encode() not in stored(tmp_path)
    assert not list((tmp_path / "trial").glob(".eventabs-*"))


def test_the_query_of_a_web_address_is_written_nowhere_and_asked_for_again(tmp_path: Path) -> None:
    profiles = "user_id,city\nu1,Leiden\n"
    with web_server(DATA.encode()) as web, web_server(profiles.encode()) as others:
        address = f"{web.address}/export.csv?signature=s1gned"
        users = f"{others.address}/users.csv?signature=s1gned"
        assert ours("run", address, "--profiles", users, *TRIAL, cwd=tmp_path).returncode == 0
        assert b"s1gned" not in stored(tmp_path)
        refused = ours("resume", "trial", cwd=tmp_path)
        assert refused.returncode == 2
        assert f"{web.address}/export.csv?...: what stood behind the ?" in refused.stderr
        named = {"EVENTABS_INPUT__PATHS": f'["{address}"]', "EVENTABS_INPUT__PROFILES": users}
        assert ours("resume", "trial", cwd=tmp_path, **named).returncode == 0
        assert "users 3 of 3 done" in ours("status", "trial", cwd=tmp_path).stdout
        assert b"s1gned" not in stored(tmp_path)


def test_an_estimate_tells_on_standard_error_that_it_copies(tmp_path: Path, server: ObjectServer) -> None:
    address = server.put("s3://whole/told.csv", DATA.encode())
    told = ours("estimate", address, "--json", cwd=tmp_path, **server.variables)
    assert "Copying 1 object, 2.9 KB" in told.stderr
    assert "Copying" not in told.stdout
    assert "Copying" not in ours("estimate", address, "--quiet", cwd=tmp_path, **server.variables).stderr
