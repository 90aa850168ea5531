"""Shares for the tests of clusters: a folder, and a bucket of an S3 server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventabs.shards.cluster.share import Share, open_share
from object_server import ObjectServer, object_server

KINDS = ("folder", "bucket")


@pytest.fixture(scope="session")
def objects() -> Iterator[ObjectServer]:
    """Return an S3 server."""
    with object_server() as server:
        yield server


@pytest.fixture(params=KINDS)
def share(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Share:
    """Return an empty share of either kind."""
    if request.param == "folder":
        return open_share(str(tmp_path / "share"))
    server: ObjectServer = request.getfixturevalue("objects")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    server.put("s3://shared/made", b"")
    return open_share(f"s3://shared/{tmp_path.name}-{id(request)}")
