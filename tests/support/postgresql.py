"""A PostgreSQL server of its own, which an unprivileged user runs; none where PostgreSQL is not installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
_OWNER = "postgres"  # the user that the package makes; the server does not run as root
_OPTIONS = "-c listen_addresses='' -c fsync=off -c unix_socket_directories="


@contextmanager
def postgresql() -> Iterator[list[str]]:
    """Start a server, and yield the command that begins a psql connected to it."""
    binaries = FOLDERS[-1]
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(folder, _OWNER)
    switch = ["runuser", "-u", _OWNER, "--"] if is_root else []

    def run(*command: str | Path) -> None:
        subprocess.run([*switch, *map(str, command)], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    data = folder / "data"
    initdb = ("--pgdata", data, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    try:
        run(binaries / "initdb", *initdb, "--username=analyst")
        start = ("start", "--wait", "--pgdata", data, "--log", folder / "log")
        run(binaries / "pg_ctl", *start, "--options", _OPTIONS + str(folder))
        try:
            yield [str(binaries / "psql"), f"postgresql://analyst@/postgres?host={folder}", "-q", "-X"]
        finally:
            run(binaries / "pg_ctl", "stop", "--pgdata", data, "--mode=immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
