"""Whole runs through the command line, against the rules and against a server on loopback."""

import json
import sqlite3  # noqa: TID251  what the tool wrote is read as any other program would
import stat
from pathlib import Path

from house import checkpoint, eventabs, lines, ran, write_users
from openai_server import OpenAIServer, answer, answer_by_day, script, status, stream


def model(server: OpenAIServer) -> tuple[str, ...]:
    return ("--model", "test-model", "--base-url", server.base_url)


def test_a_run_by_rules_accounts_for_every_user_and_leaves_the_promised_files(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=7)
    done = ran("run", "input.jsonl", "--provider", "rules", "--json", cwd=tmp_path)
    out = tmp_path / "input.eventabs"
    names = "checkpoint.json ledger.sqlite events.jsonl journeys.jsonl failures.jsonl rejects.jsonl run.log .gitignore"
    assert {*names.split(" ")} <= {p.name for p in out.iterdir()}
    assert (out / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in out.iterdir() if p.is_file())
    summary = json.loads(done.stdout)
    assert summary["status"] == "completed"
    assert summary["users"] == summary["success_count"] == 7
    assert summary["provider"] == "rules"
    snapshot = checkpoint(out)
    assert snapshot["status"] == "completed"
    assert snapshot["processed_users"] == snapshot["total_users"] == snapshot["success_count"] == 7
    assert snapshot["input"]["behaviors"] == 84
    assert snapshot["ledger"] == "ledger.sqlite"
    events = lines(out / "events.jsonl")
    assert len(events) == summary["events"]
    assert {event["user_id"] for event in events} == {f"user_{n:04d}" for n in range(7)}
    assert {event["source"] for event in events} == {"rules"}
    assert lines(out / "journeys.jsonl") == [], "the rules give none"


def test_events_checkpoint_and_ledger_agree(tmp_path: Path, openai_server: OpenAIServer) -> None:
    write_users(tmp_path / "input.jsonl", users=9)
    done = ran("run", "input.jsonl", *model(openai_server), "--max-users", 2, "--json", cwd=tmp_path)
    out = tmp_path / "input.eventabs"
    events = lines(out / "events.jsonl")
    snapshot = checkpoint(out)
    database = sqlite3.connect(out / "ledger.sqlite")
    (calls, tokens) = database.execute("SELECT count(*), sum(prompt_tokens) FROM calls").fetchone()
    (counted,) = database.execute("SELECT sum(events) FROM parts WHERE state = 'done'").fetchone()
    database.close()
    assert calls == snapshot["usage"]["calls"] == len(openai_server.requests)
    # six end sooner with three workers; five do where the first answer came before the others were asked
    assert calls in (5, 6)
    assert tokens == snapshot["usage"]["prompt_tokens"] == json.loads(done.stdout)["prompt_tokens"]
    assert counted == len(events) == 9 * 4
    assert snapshot["batches"] == {"total": calls, "done": calls}
    assert events == sorted(events, key=lambda e: (e["user_id"], e["start"]))


def test_no_user_id_leaves_the_machine(tmp_path: Path, openai_server: OpenAIServer) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    eventabs("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    assert openai_server.requests
    assert "user_0" not in json.dumps([r.body for r in openai_server.requests])


def test_an_unusable_user_is_asked_again_in_a_smaller_batch_and_the_others_are_not(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    def without_last(message: str) -> str:
        return answer_by_day(message).rpartition("## U4")[0] + "##"

    openai_server.behavior = script(answer(without_last), then=answer())
    write_users(tmp_path / "input.jsonl", users=4)
    done = ran("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    first, second = openai_server.requests
    assert len(first.blocks) == 4
    assert len(second.blocks) == 1
    assert second.blocks["U1"] == first.blocks["U4"]
    assert "asked again  1 user (the reply left the user out)" in done.stderr
    state = eventabs("status", "input.eventabs", cwd=tmp_path).stdout
    assert "Asked again: 1 user (the reply left the user out)\n" in state
    assert " in all\n" in state, "it is over"


def test_a_user_whose_answers_stay_bad_fails_with_the_reason_after_five_attempts(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    def without_rows(message: str) -> str:
        return answer_by_day(message) if "09:17" not in message else "## U1\n睡觉 13-17\n##"

    openai_server.behavior = answer(without_rows)
    write_users(tmp_path / "input.jsonl", users=3)
    done = eventabs("run", "input.jsonl", *model(openai_server), "--max-users", 1, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    (failure,) = lines(tmp_path / "input.eventabs" / "failures.jsonl")
    assert failure["user_id"] == "user_0002"
    assert failure["reason"] == "unplaced"
    assert failure["attempts"] == 5
    assert len(failure["calls"]) == 5
    assert checkpoint(tmp_path / "input.eventabs")["failed_count"] == 1
    assert "failures.jsonl" in done.stderr


def test_a_cut_answer_keeps_the_whole_users_and_asks_for_the_others_without_charge(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    def cut(message: str) -> str:
        whole = answer_by_day(message)
        return whole[: whole.index("## U3") + 30]

    openai_server.behavior = script(answer(cut, finish_reason="length"), then=answer())
    write_users(tmp_path / "input.jsonl", users=6)
    ran("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    first, *again = openai_server.requests
    asked_again = [block for request in again for block in request.blocks.values()]
    assert sorted(asked_again) == sorted(block for alias, block in first.blocks.items() if alias > "U2")
    assert max(len(request.blocks) for request in again) < 6


def test_a_user_alone_whose_answer_is_cut_is_asked_in_parts_and_done_when_every_part_is(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    async def behave(exchange) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        days = exchange.received.user_message.count("\n# ")
        well = answer() if days < 3 else answer(lambda text: answer_by_day(text)[:20], finish_reason="length")
        await well(exchange)

    openai_server.behavior = behave
    write_users(tmp_path / "input.jsonl", users=1, behaviors=12)
    ran("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    pieces = [request.user_message.count("\n# ") for request in openai_server.requests]
    assert (pieces[0], sum(pieces[-2:])) == (4, 4)
    events = lines(tmp_path / "input.eventabs" / "events.jsonl")
    assert [index for event in events for index in event["behaviors"]] == list(range(12))


def test_a_user_larger_than_a_batch_is_cut_at_day_boundaries_and_joined_again(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=2, behaviors=300)
    ran("run", "input.jsonl", *model(openai_server), "--max-input-tokens", 2500, cwd=tmp_path)
    assert len(openai_server.requests) > 2
    events = lines(tmp_path / "input.eventabs" / "events.jsonl")
    for user in ("user_0000", "user_0001"):
        covered = [i for e in events if e["user_id"] == user for i in e["behaviors"]]
        assert covered == list(range(300))


def test_a_constraint_that_the_form_of_answers_cannot_have_is_a_fault(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=2)
    arguments = ("run", "input.jsonl", *model(openai_server))
    done = eventabs(*arguments, cwd=tmp_path, EVENTABS_LLM__CONSTRAIN="schema")
    assert done.returncode == 2
    assert 'prompt.answer = "schema"' in done.stderr
    done = eventabs(
        *arguments,
        cwd=tmp_path,
        EVENTABS_LLM__CONSTRAIN="schema",
        EVENTABS_PROMPT__ANSWER="schema",
        EVENTABS_LLM__OMIT='["response_format"]',
    )
    assert done.returncode == 2
    assert "is sent as response_format, which llm.omit leaves out" in done.stderr
    assert not openai_server.requests


def test_a_stream_that_breaks_is_kept_and_read_as_far_as_it_came(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    broken: list[bytes] = []

    async def behave(exchange) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        if broken:
            await answer()(exchange)
            return
        text = answer_by_day(exchange.received.user_message)
        half = text[: text.index("## U3") + 12]
        broken.append(json.dumps({"choices": [{"delta": {"content": half}}]}).encode())
        await stream(b"data: " + broken[0] + b"\n\n", end=False)(exchange)

    openai_server.behavior = behave
    write_users(tmp_path / "input.jsonl", users=4)
    ran("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    first, *again = openai_server.requests
    asked_again = {block for request in again for block in request.blocks.values()}
    assert asked_again == {first.blocks["U3"], first.blocks["U4"]}


def test_a_wrong_key_stops_the_run_saved_and_resumable(tmp_path: Path, openai_server: OpenAIServer) -> None:
    openai_server.behavior = status(
        401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}
    )
    write_users(tmp_path / "input.jsonl", users=2)
    done = eventabs("run", "input.jsonl", *model(openai_server), cwd=tmp_path, OPENAI_API_KEY="sk-wrong-one")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "check the variable OPENAI_API_KEY\n" in done.stderr
    assert "eventabs resume input.eventabs" in done.stderr
    assert checkpoint(tmp_path / "input.eventabs")["status"] == "stopped"
    openai_server.behavior = answer()
    ran("resume", "input.eventabs", cwd=tmp_path, OPENAI_API_KEY="sk-right-one")
    written = b"".join(p.read_bytes() for p in (tmp_path / "input.eventabs").rglob("*") if p.is_file())
    assert b"sk-wrong-one" not in written
    assert b"sk-right-one" not in written


def test_a_trial_under_limit_goes_on_with_the_others_and_pays_nobody_twice(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=6)
    trial = ran("run", "input.jsonl", *model(openai_server), "--limit", 2, "--json", cwd=tmp_path)
    assert json.loads(trial.stdout)["users"] == 2
    done = ran("resume", "input.eventabs", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["success_count"] == 6
    asked = [block for request in openai_server.requests for block in request.blocks.values()]
    assert len(asked) == 6


def test_reparse_follows_a_changed_reading_and_failed_users_can_be_asked_again(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = answer(lambda _message: "## U1\n##")
    write_users(tmp_path / "input.jsonl", users=1)
    failed = eventabs("run", "input.jsonl", *model(openai_server), cwd=tmp_path)
    assert failed.returncode == 3
    (failure,) = lines(tmp_path / "input.eventabs" / "failures.jsonl")
    assert failure["reason"] == "unplaced"
    (tmp_path / "must.toml").write_text('[[events.must]]\naction = "visit"\ncategory = "conversion"\n')
    ran("reparse", "input.eventabs", "--config", "must.toml", cwd=tmp_path)
    events = lines(tmp_path / "input.eventabs" / "events.jsonl")
    assert [(event["source"], event["behaviors"]) for event in events] == [("must", [n]) for n in range(12)]
    without = eventabs("reparse", "input.eventabs", cwd=tmp_path)
    assert without.returncode == 3
    calls = len(openai_server.requests)
    openai_server.behavior = answer()
    assert eventabs("resume", "input.eventabs", cwd=tmp_path).returncode == 3
    assert len(openai_server.requests) == calls
    no_replies = ("--replies", "failures.jsonl")
    refused = eventabs("resume", "input.eventabs", "--retry-failed", *no_replies, cwd=tmp_path)
    assert refused.returncode == 2
    assert checkpoint(tmp_path / "input.eventabs")["failed_count"] == 1
    assert eventabs("status", "input.eventabs", cwd=tmp_path).stdout.count("1 failed") == 1
    ran("resume", "input.eventabs", "--retry-failed", cwd=tmp_path)
    assert len(openai_server.requests) == calls + 1
