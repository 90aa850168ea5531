"""Requests that leave as a file, and replies that come as files: nothing is sent, nobody lost, nobody asked twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from batch_files import error_to, not_reached, read_requests, reply_to, write_lines
from house import checkpoint, eventabs, lines, ran, write_users
from openai_server import OpenAIServer, answer, answer_by_day

OUT = "input.eventabs"
WAITING = 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a run whose requests wait for replies: 12 users, four a request."""
    write_users(tmp_path / "input.jsonl", users=12)
    begun = run(tmp_path, "run", "input.jsonl", "--model", "m", "--mode", "files", "--max-users", 4)
    assert begun["status"] == "waiting"
    return tmp_path


def run(folder: Path, *arguments: object, code: int = WAITING) -> dict[str, Any]:
    """Run the tool; return its JSON."""
    done = eventabs(*arguments, "--json", cwd=folder)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def resume(folder: Path, *replies: str, code: int = 0) -> dict[str, Any]:
    """Read replies."""
    return run(folder, "resume", OUT, *(part for file in replies for part in ("--replies", file)), code=code)


def requests(folder: Path) -> list[dict[str, Any]]:
    """Return the requests that wait."""
    return read_requests(folder / OUT / "requests.jsonl")


def test_cancel_of_requests_that_are_out_in_a_file_calls_nobody(
    folder: Path, openai_server: OpenAIServer
) -> None:
    model = ("--base-url", openai_server.base_url, "--accept-changes")
    stopped = run(folder, "resume", OUT, "--mode", "live", "--cancel", *model, code=1)
    assert (stopped["status"], openai_server.requests) == ("stopped", [])


def test_a_run_in_files_ends_as_one_that_called_the_model(folder: Path, openai_server: OpenAIServer) -> None:
    asked = requests(folder)
    assert len(asked) == 3
    assert checkpoint(folder / OUT)["status"] == "waiting"
    assert checkpoint(folder / OUT)["batches"] == {"total": 3, "done": 0}
    write_lines(folder / "out.jsonl", [reply_to(request) for request in reversed(asked)])
    done = resume(folder, "out.jsonl")
    assert (done["status"], done["success_count"], done["calls"]) == ("completed", 12, 3)
    assert not (folder / OUT / "requests.jsonl").exists()
    usage = [reply_to(request)["response"]["body"]["usage"] for request in asked]
    assert done["prompt_tokens"] == sum(each["prompt_tokens"] for each in usage)
    ran(
        *("run", "input.jsonl", "--model", "m", "--base-url", openai_server.base_url),
        *("--max-users", 4, "--out", "live"),
        cwd=folder,
    )
    assert (folder / OUT / "events.jsonl").read_bytes() == (folder / "live/events.jsonl").read_bytes()
    bodies = sorted(request["body"]["messages"][1]["content"] for request in asked)
    sent = [request.body for request in openai_server.requests if request.method == "POST"]
    assert bodies == sorted(body["messages"][1]["content"] for body in sent)


def test_what_is_missing_waits_under_its_own_name_and_is_charged_nothing(folder: Path) -> None:
    first, second, third = requests(folder)
    write_lines(folder / "out.jsonl", [reply_to(first)])
    write_lines(folder / "errors.jsonl", [not_reached(second)])
    partial = resume(folder, "out.jsonl", "errors.jsonl", code=WAITING)
    assert (partial["success_count"], partial["pending"]) == (4, 8)
    assert requests(folder) == [second, third]
    again = resume(folder, code=WAITING)
    assert (again["calls"], requests(folder)) == (3, [second, third]), "without replies nothing changes"
    write_lines(folder / "late.jsonl", [reply_to(second), reply_to(third)])
    done = resume(folder, "late.jsonl")
    assert (done["success_count"], done["calls"]) == (12, 3)


def test_repeated_foreign_and_torn_lines_are_told_and_change_nothing(folder: Path) -> None:
    first, *_others = requests(folder)
    foreign = reply_to(first | {"custom_id": "0" * 32 + "-1"})
    beyond = reply_to(first | {"custom_id": first["custom_id"] + "9" * 20})
    other = reply_to(first, lambda _message: "## U1\n##")
    write_lines(folder / "out.jsonl", [reply_to(first), other, foreign, beyond])
    with (folder / "out.jsonl").open("a", encoding="utf-8") as torn:
        torn.write('{"custom_id": "x", "respo')
    done = eventabs("resume", OUT, "--replies", "out.jsonl", cwd=folder)
    told = "1 reply, 1 line is known already, 2 lines are of another run, 1 line is no reply"
    assert f"Read out.jsonl: {told}" in done.stderr
    assert checkpoint(folder / OUT)["success_count"] == 4
    before = (folder / OUT / "events.jsonl").read_bytes()
    again = eventabs("resume", OUT, "--replies", "out.jsonl", cwd=folder)
    assert "2 lines are known already" in again.stderr
    assert (folder / OUT / "events.jsonl").read_bytes() == before


def test_bad_answers_and_errors_are_asked_about_anew_in_smaller_requests(folder: Path) -> None:
    first, second, third = requests(folder)
    cut = reply_to(first, lambda message: answer_by_day(message)[:20], finish_reason="length")
    write_lines(
        folder / "out.jsonl", [cut, error_to(second, 400, "context_length_exceeded"), reply_to(third)]
    )
    resume(folder, "out.jsonl", code=WAITING)
    known = {request["custom_id"] for request in (first, second, third)}
    asked = requests(folder)
    assert not known & {request["custom_id"] for request in asked}
    users = [request["body"]["messages"][1]["content"].count("## U") for request in asked]
    assert sum(users) == 8
    assert max(users) == 2
    write_lines(folder / "out.jsonl", [reply_to(request) for request in asked])
    assert resume(folder, "out.jsonl")["success_count"] == 12


def test_the_rest_can_be_asked_live_and_a_reply_that_comes_later_is_told(
    folder: Path, openai_server: OpenAIServer
) -> None:
    first, second, _third = requests(folder)
    write_lines(folder / "out.jsonl", [reply_to(first)])
    live = ("--mode", "live", "--base-url", openai_server.base_url, "--accept-changes")
    ran("resume", OUT, "--replies", "out.jsonl", *live, cwd=folder)
    sent = [request for request in openai_server.requests if request.method == "POST"]
    assert sum(len(request.blocks) for request in sent) == 8
    events = (folder / OUT / "events.jsonl").read_bytes()
    write_lines(folder / "late.jsonl", [reply_to(second)])
    late = ran("resume", OUT, "--replies", "late.jsonl", "--yes", cwd=folder)
    assert "1 reply came too late" in late.stderr
    assert (folder / OUT / "events.jsonl").read_bytes() == events


def test_a_reply_to_a_request_that_was_given_up_still_counts_where_nobody_was_asked_again(
    folder: Path, openai_server: OpenAIServer
) -> None:
    first, second, third = requests(folder)
    openai_server.behavior = answer(lambda _message: "", finish_reason="content_filter")
    base_url = ("--base-url", "http://127.0.0.1:9/v1", "--accept-changes")
    away = eventabs("resume", OUT, "--mode", "live", *base_url, cwd=folder)
    assert away.returncode == 1, "nobody is there, and nobody was asked"
    write_lines(folder / "out.jsonl", [reply_to(request) for request in (first, second, third)])
    ran("resume", OUT, "--replies", "out.jsonl", "--mode", "files", *base_url, cwd=folder)
    assert checkpoint(folder / OUT)["usage"]["calls"] == 3


def test_requests_that_are_all_refused_alike_stop_the_run_and_cost_no_user_an_attempt(folder: Path) -> None:
    asked = requests(folder)
    refused = [error_to(request, 400, "unsupported_parameter", "temperature?") for request in asked]
    write_lines(folder / "errors.jsonl", refused)
    done = eventabs("resume", OUT, "--replies", "errors.jsonl", cwd=folder)
    assert done.returncode == 1
    assert "temperature?" in done.stderr
    resume(folder, code=WAITING)
    users = [request["body"]["messages"][1]["content"].count("## U") for request in requests(folder)]
    assert users == [4, 4, 4]


def test_a_limit_on_tokens_holds_for_what_is_written_too(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=12)
    flags = ("--model", "m", "--mode", "files", "--max-users", 4, "--max-output-tokens", 1000)
    begun = run(tmp_path, "run", "input.jsonl", *flags, "--max-total-tokens", 5000)
    asked = requests(tmp_path)
    assert len(asked) < 3
    write_lines(tmp_path / "out.jsonl", [reply_to(request) for request in asked])
    on = run(tmp_path, "resume", OUT, "--replies", "out.jsonl", "--max-total-tokens", 100_000)
    assert on["success_count"] == 4 * len(asked)
    assert on["calls"] == begun["calls"] + len(requests(tmp_path))
    low = eventabs("run", "input.jsonl", *flags, "--max-total-tokens", 100, "--out", "low", cwd=tmp_path)
    assert low.returncode == 1
    assert "--max-total-tokens 100" in low.stderr


def test_neither_key_nor_endpoint_is_needed_but_a_model_is(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    run(tmp_path, "run", "input.jsonl", "--preset", "glm", "--model", "glm-5", "--mode", "files")
    (request,) = requests(tmp_path)
    assert request["url"] == "/v4/chat/completions", "as the preset says"
    rules = eventabs("run", "input.jsonl", "--mode", "files", "--out", "rules", cwd=tmp_path)
    assert rules.returncode == 2
    assert "--mode files is for a model" in rules.stderr
    assert not (tmp_path / "rules").exists()


@pytest.mark.parametrize("content", [None, "", '{"user_id": "a"}\n'], ids=["missing", "empty", "no replies"])
def test_a_file_without_replies_is_refused_and_the_requests_still_wait(
    folder: Path, content: str | None
) -> None:
    if content is not None:
        (folder / "out.jsonl").write_text(content)
    done = eventabs("resume", OUT, "--replies", "out.jsonl", cwd=folder)
    assert done.returncode == 2
    assert "out.jsonl" in done.stderr
    assert len(requests(folder)) == 3
    assert resume(folder, code=WAITING)["pending"] == 12


def test_requests_that_are_gone_are_written_again_to_the_byte(folder: Path) -> None:
    before = (folder / OUT / "requests.jsonl").read_bytes()
    (folder / OUT / "requests.jsonl").unlink()
    assert resume(folder, code=WAITING)["calls"] == 3
    assert (folder / OUT / "requests.jsonl").read_bytes() == before


def test_status_and_show_know_that_replies_are_awaited(folder: Path) -> None:
    status = eventabs("status", OUT, cwd=folder)
    assert "Waiting for replies" in status.stdout
    assert f"eventabs resume {OUT} --replies FILE" in status.stdout
    assert json.loads(eventabs("status", OUT, "--json", cwd=folder).stdout)["status"] == "waiting"
    ran("show", OUT, "user_0000", "--raw", cwd=folder)
    assert eventabs("report", OUT, cwd=folder).returncode == 0
    assert lines(folder / OUT / "events.jsonl") == []


def test_settings_that_change_do_not_touch_requests_that_are_out(folder: Path) -> None:
    before = requests(folder)
    changed = ("--max-input-tokens", 30_000, "--accept-changes")
    run(folder, "resume", OUT, *changed)
    assert requests(folder) == before
    write_lines(folder / "out.jsonl", [reply_to(request) for request in before])
    assert resume(folder, "out.jsonl")["success_count"] == 12
