"""Processes of the tool that begin with its libraries loaded: forks of one process that loaded them once.

The suite starts thousands of processes, and most of the time of a short one is loading: of modules, and of the tokenizer's
tables. The command line itself depends on the language, so it is loaded once in each.
"""

import atexit
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NoReturn

# what most commands load; none of them starts a thread
_LIBRARIES = (
    *("duckdb", "jinja2", "rich.markdown", "rich.table", "tiktoken", "typer", "eventabs.api"),
    *("eventabs.check_before_run", "eventabs.ingest.opened_export", "eventabs.quality.audit_and_calibration"),
    *("eventabs.providers.openai.client", "eventabs.providers.rules", "eventabs.runs.batch_jobs"),
    *("eventabs.store.result_files", "eventabs.views.estimate_columns_check"),
    *("eventabs.views.report", "eventabs.views.panel_status_show"),
)
_MAX_REQUEST = 2**20  # bytes


def run_preloaded(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float, before: str = ""
) -> tuple[int, bytes, bytes]:
    """Run the tool to its end, after the code `before`. Return its exit code, standard output and standard error."""
    request = json.dumps(
        {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment), "before": before}
    )
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


def _serve(requests: socket.socket) -> str:
    """Fork for each request, and report how the fork ends. Ends with the process that asks.

    Return in a fork, ready to become the tool, the code that goes before.
    """
    with selectors.DefaultSelector() as awaited:
        awaited.register(requests, selectors.EVENT_READ)
        while True:
            for key, _events in awaited.select():
                if key.data:
                    awaited.unregister(key.fd)
                    _report(key.fd, *key.data)
                    continue
                content, files, _flags, _address = socket.recv_fds(requests, _MAX_REQUEST, 3)
                if not content:
                    sys.exit()
                if not (process := os.fork()):
                    os.close(files[2])
                    return _become(content, files[:2])
                for file in files[:2]:
                    os.close(file)
                awaited.register(os.pidfd_open(process), selectors.EVENT_READ, (process, files[2]))


def _report(ended: int, process: int, answers: int) -> None:
    _process, status = os.waitpid(process, 0)
    with suppress(BrokenPipeError):  # it took longer than was waited
        os.write(answers, json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os.close(ended)
    os.close(answers)


def _become(content: bytes, files: Sequence[int]) -> str:
    request = json.loads(content.decode("utf-8", "surrogateescape"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["eventabs", *request["arguments"]]
    return str(request["before"])


def _main(requests: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LIBRARIES:
        importlib.import_module(name)
    # what the tool makes once stays in memory: the tokenizer's tables, known schemas, rules, typer's commands
    importlib.import_module("eventabs.prompts").TokenCounter()
    importlib.import_module("eventabs.ingest.roles_and_known_schemas").shipped()
    rules = importlib.import_module("eventabs.providers.rules")
    for language in ("en", "zh"):
        rules.load_rules(rules.shipped_rules(), language).classify("", "", "")
    typer: Any = importlib.import_module("typer.main")
    typer.get_command = cache(typer.get_command)
    command_lines = {language: _load_command_line(language) for language in ("en", "zh")}
    gc.freeze()  # pages with nothing but counts of the collector would be copied in each fork
    with socket.socket(fileno=requests) as asked:
        before = _serve(asked)
    sys.modules.update(command_lines["en"])
    begin = dict(os.environ)
    importlib.import_module("eventabs.cli.help_and_usage_errors").choose_language()
    sys.modules.update(command_lines[os.environ["LANGUAGE"]])
    os.environ.clear()
    os.environ.update(begin)
    exec(before, {})  # noqa: S102  code of a test
    importlib.import_module("eventabs.__main__").main()
    sys.exit()


def _load_command_line(language: str) -> dict[str, ModuleType]:
    """Load the command line in a language; return its modules, which are no longer among the loaded ones."""
    importlib.import_module("eventabs.interface_language").activate(language)
    command_line = importlib.import_module("eventabs.cli.commands")
    importlib.import_module("typer.main").get_command(command_line.app)
    return {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith("eventabs.cli")}


if __name__ == "__main__":
    _main(int(sys.argv[1]))
