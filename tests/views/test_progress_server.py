import http.client
import json
import socket
from dataclasses import replace

import pytest

from clock import Clock
from eventabs.errors_and_exit_codes import UsageError
from eventabs.runs.observer import Planned, Progress, Started, StateChanged
from eventabs.views.progress_server import PATHS, ProgressServer

COUNTS = Progress(
    users=486, done=304, failed=4, batches_total=25, batches_done=16, in_flight=3, eta_seconds=140.04
)


def ask(
    server: ProgressServer, path: str = PATHS[0], *, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, object]]:
    port = int(server.address.split(":")[2].split("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers={"Host": host} if host is not None else {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, json.loads(body) if body else {}


@pytest.mark.parametrize("path", [*PATHS, "/progress?x=1"])
def test_both_paths_answer_with_the_nine_fields(path: str) -> None:
    clock = Clock()
    with ProgressServer(0, clock=clock) as server:
        server.noted(Started("", "rules", "", "", "x", resumed=False))
        server.noted(COUNTS)
        clock.seconds += 20
        assert ask(server, path) == (
            200,
            {
                "status": "running",
                "total_users": 486,
                "processed_users": 308,
                "success_count": 304,
                "failed_count": 4,
                "current_batch": 19,
                "total_batches": 25,
                "progress_percent": 63.4,
                "estimated_remaining_seconds": 120.0,
            },
        )


def test_before_the_first_count_and_at_the_end_it_answers_too() -> None:
    with ProgressServer(0) as server:
        _status, first = ask(server)
        assert (first["total_users"], first["progress_percent"]) == (0, 0.0)
        assert first["estimated_remaining_seconds"] is None
        server.noted(Planned(1, 1, 1, 1.0))
        server.noted(replace(COUNTS, users=308, in_flight=0))
        server.noted(StateChanged("completed"))
        _status, last = ask(server)
        assert (last["status"], last["progress_percent"]) == ("completed", 100.0)


def test_an_estimate_that_has_run_out_is_not_repeated_as_zero() -> None:
    clock = Clock()
    with ProgressServer(0, clock=clock) as server:
        server.noted(COUNTS)
        clock.seconds += 141
        assert ask(server)[1]["estimated_remaining_seconds"] is None
        server.noted(replace(COUNTS, eta_seconds=0.0))
        assert ask(server)[1]["estimated_remaining_seconds"] == 0.0


@pytest.mark.parametrize("host", ["evil.example:80", "127.0.0.1.evil.example", ""])
def test_other_hosts_are_refused(host: str) -> None:
    with ProgressServer(0) as server:
        assert ask(server, host=host)[0] == 403


@pytest.mark.parametrize("method", ["POST", "BREW"])
def test_other_methods_are_refused(method: str) -> None:
    with ProgressServer(0) as server:
        assert ask(server, method=method)[0] == 405


def test_other_paths_are_unknown_and_localhost_is_welcome() -> None:
    with ProgressServer(0) as server:
        assert ask(server, "/")[0] == 404
        assert ask(server, host="localhost:1")[0] == 200


def test_a_client_that_talks_no_http_harms_nobody() -> None:
    with ProgressServer(0) as server:
        port = int(server.address.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"\x00\x01\n\n")
        assert ask(server)[0] == 200


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_number_that_is_no_port_is_an_error(port: int) -> None:
    with pytest.raises(UsageError, match="--progress-port"):
        ProgressServer(port)
