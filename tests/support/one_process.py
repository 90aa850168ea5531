"""Commands of the tool, one after another in one process: most of what a short one takes is its start."""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self


class OneProcess:
    """Runs commands from entering to leaving the context, all in the language of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(self._environment),
            text=True,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def run(self, arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([arguments, str(cwd)])}\n")
        self._process.stdin.flush()
        return subprocess.CompletedProcess(arguments, *json.loads(self._process.stdout.readline()))


def _typed(arguments: Sequence[str], cwd: str) -> tuple[object, str, str]:
    """Return exit code, standard output and standard error of a command."""
    from eventabs.__main__ import main  # noqa: PLC0415  only the process that runs it loads it

    os.chdir(cwd)
    sys.argv = ["eventabs", *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        for number, file in enumerate((out, err), 1):
            os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except BaseException:  # noqa: BLE001  as the interpreter would show it
            traceback.print_exc()
            code = 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(), err.read().decode()


def _serve() -> None:
    replies = os.fdopen(os.dup(1), "w")
    for request in os.fdopen(os.dup(0)):
        print(json.dumps(_typed(*json.loads(request))), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
