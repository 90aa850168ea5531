"""Processes of the tool that begin with its libraries loaded: forks of one process that loaded them once.

The suite starts thousands of processes, and most of the time of a short one is loading: of modules, and of the tokenizer's
tables. The command line itself depends on the language, so it is loaded once in each.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO, NoReturn

# what most commands load; none of them starts a thread
_LIBRARIES = (
    *("duckdb", "jinja2", "rich.markdown", "rich.table", "tiktoken", "typer", "eventabs.api"),
    *("eventabs.check_before_run", "eventabs.ingest.opened_export", "eventabs.quality.audit_and_calibration"),
    *("eventabs.providers.openai.client", "eventabs.providers.rules", "eventabs.runs.batch_jobs"),
    *("eventabs.store.result_files", "eventabs.views.estimate_columns_check", "eventabs.views.live_progress"),
    *("eventabs.views.report.page", "eventabs.views.status_and_summary"),
)
_MAX_REQUEST = 2**20  # bytes


def run_preloaded(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
) -> tuple[int, bytes, bytes]:
    """Run the tool to its end. Return its exit code, standard output and standard error."""
    request = json.dumps({"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)})
    mine, other = socket.socketpair()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, mine:
        with other:
            socket.send_fds(
                _server(),
                [request.encode("utf-8", "surrogateescape")],
                [out.fileno(), err.fileno(), other.fileno()],
            )
        mine.settimeout(timeout)
        code = json.loads(mine.recv(16))
        return code, _content(out), _content(err)


@cache
def _server() -> socket.socket:
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with other:
        process = subprocess.Popen(
            [sys.executable, __file__, str(other.fileno())],
            pass_fds=[other.fileno()],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    atexit.register(process.wait)
    atexit.register(mine.close)  # before it waits
    return mine


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _serve(requests: socket.socket) -> None:
    """Fork for each request; return in the fork, ready to become the tool. Ends with the process that asks."""
    while True:
        content, files, _flags, _address = socket.recv_fds(requests, _MAX_REQUEST, 3)
        if not content:
            sys.exit()
        if not os.fork():
            requests.close()
            _attend(files[2])
            _become(content, files[:2])
            return
        for file in files:
            os.close(file)
        while _ended():
            pass


def _attend(answers: int) -> None:
    """Return in another fork; report here how that ends."""
    child = os.fork()
    if not child:
        os.close(answers)
        return
    _pid, status = os.waitpid(child, 0)
    os.write(answers, json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(content: bytes, files: Sequence[int]) -> None:
    request = json.loads(content.decode("utf-8", "surrogateescape"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["eventabs", *request["arguments"]]


def _ended() -> bool:
    """Take note of a process that has ended; False where none has."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def _main(requests: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LIBRARIES:
        importlib.import_module(name)
    importlib.import_module("eventabs.prompts").TokenCounter()  # its tables stay in memory
    command_lines = {language: _load_command_line(language) for language in ("en", "zh")}
    gc.freeze()  # pages with nothing but counts of the collector would be copied in each fork
    _serve(socket.socket(fileno=requests))
    sys.modules.update(command_lines["en"])
    begin = dict(os.environ)
    importlib.import_module("eventabs.cli.help_and_usage_errors").choose_language()
    sys.modules.update(command_lines[os.environ["LANGUAGE"]])
    os.environ.clear()
    os.environ.update(begin)
    importlib.import_module("eventabs.__main__").main()
    sys.exit()


def _load_command_line(language: str) -> dict[str, ModuleType]:
    """Load the command line in a language; return its modules, which are no longer among the loaded ones."""
    importlib.import_module("eventabs.interface_language").activate(language)
    importlib.import_module("eventabs.cli.main")
    return {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith("eventabs.cli")}


if __name__ == "__main__":
    _main(int(sys.argv[1]))
