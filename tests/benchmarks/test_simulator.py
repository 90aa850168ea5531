"""The simulated endpoint: good answers, reproducible failures, limits that hold, a log that tells it all."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import simulated_model
import simulated_replies
from endpoints import endpoint_at
from eventabs.prompts.compact_lines import default_vocabulary
from eventabs.prompts.instructions_and_requests import Instructions, PromptBuilder
from eventabs.prompts.tokens import TokenCounter
from eventabs.providers.openai.client import OpenAIProvider
from eventabs.replies import Reader
from eventabs.setting_choices import AnswerForm, Compaction
from eventabs.shared_records import AskedUser, Behavior, Category, Outcome, Part, Reply, Request, UserLog
from reliability_records import Call, Run
from simulated_model import MINUTE, Model, Options, RateLimits, Speed, parse_failures
from simulated_replies import Told
from simulator import Simulator

pytestmark = pytest.mark.slow

VOCABULARY = default_vocabulary("zh", (Category("conversion", "!"), Category("engagement")), open_types=True)
AT_ONCE = Speed(first_token=0.0, prefill=0.0, decode=0.0)
FIRST = datetime(2025, 12, 30, 8, 5)  # noqa: DTZ001  exports hold wall times


def log_of(user: int, behaviors: int = 24) -> UserLog:
    """Return a log of some days, for the first user across New Year; no two users share a day."""
    places = ("西餐厅", "宝马4S店", "公司", "公司", "地铁2号线", "山图书馆")
    return UserLog(
        f"user_{user}",
        tuple(
            Behavior(
                FIRST + timedelta(days=10 * user, hours=3 * n, minutes=7 * user),
                "visit",
                places[(user + n) % 6],
                "",
                600,
            )
            for n in range(behaviors)
        ),
        (("city", f"城市{user}"),),
    )


def request_of(
    users: int, form: AnswerForm = "lines", *, most_tokens: int = 8192, level: Compaction = "line"
) -> Request:
    instructions = Instructions(language="zh", vocabulary=VOCABULARY, answer=form, level=level)
    builder = PromptBuilder(instructions, counter=TokenCounter())
    return builder.request([log_of(user) for user in range(users)], max_output_tokens=most_tokens)


def body_of(request: Request, **fields: object) -> dict[str, Any]:
    body = {"model": "m", "messages": list(request.messages), "max_tokens": request.max_output_tokens}
    return body | ({"response_format": request.response_format} if request.response_format else {}) | fields


def read(request: Request, reply: Reply) -> dict[str, Outcome]:
    asked = {
        alias: AskedUser(Part(log.user_id, 0, len(log.behaviors) - 1), log, range(len(log.behaviors)))
        for alias, log in request.users.items()
    }
    reader = Reader(VOCABULARY, detail="day", source="llm", summarize=lambda _log: lambda _behaviors: "")
    return reader.read(reply, asked).outcomes


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def ask(simulator: Simulator, request: Request, idle_timeout: float = 5.0) -> Reply:
    provider = OpenAIProvider(endpoint_at(simulator.base_url, idle_timeout=idle_timeout))
    try:
        return await provider.complete(request)
    finally:
        await provider.aclose()


@pytest.mark.parametrize("form", ["lines", "schema"])
async def test_a_good_answer_has_every_row_of_every_user_once_in_the_asked_form(form: AnswerForm) -> None:
    request = request_of(5, form)
    with Simulator(Options(AT_ONCE)) as simulator:
        reply = await ask(simulator, request)
    assert reply.text.startswith({"lines": "## U1", "schema": '{"users":['}[form])
    for alias, outcome in read(request, reply).items():
        assert outcome.usable
        assert outcome.unplaced == outcome.unasked == ()
        assert (outcome.misfiled, outcome.repeated) == (0, 0)
        placed = [index for event in outcome.events for index in event.behaviors] + [*outcome.minor]
        assert sorted(placed) == list(range(len(request.users[alias].behaviors)))
        assert len(outcome.minor) == 4  # on the metro
        (journey,) = outcome.journeys
        assert (journey.kind, journey.name, journey.converted) == ("购买", "宝马4S店", True)
        assert {event.sure for event in outcome.events} == {True, False}


def told_by(request: Request) -> dict[str, Told]:
    blocks = simulated_replies.read_blocks(request.messages[-1]["content"])
    return {alias: simulated_replies.told_of(block, "零碎") for alias, block in blocks.items()}


def test_a_users_answer_depends_on_that_users_block_alone() -> None:
    both, alone = told_by(request_of(2)), told_by(request_of(1))
    assert both["U1"] == alone["U1"]
    assert both["U2"].first == 25
    assert both["U2"].starting_at(1) not in both.values()


# none of the users, or not all, can be done with these
UNREADABLE = {
    *("missing_users", "unknown_alias", "swapped_users", "truncated", "lost", "shifted"),
    *("renumbered", "endless", "unreadable", "refusal"),
}


@pytest.mark.parametrize("form", ["lines", "schema"])
@pytest.mark.parametrize("kind", sorted(simulated_replies.MALFORMED))
def test_malformed_answers_hold_what_can_be_read_and_nothing_that_passes_for_more(
    kind: str, form: AnswerForm
) -> None:
    request = request_of(6, form)
    answers = told_by(request)
    rng = Model({}, 1).draw(kind)[1]
    text = "".join(segment.text for segment in simulated_replies.malformed(kind, answers, form, rng))
    good = "".join(segment.text for segment in simulated_replies.segments(answers, form))
    assert text != good
    found = read(request, Reply(text))
    usable = {alias for alias, outcome in found.items() if outcome.usable}
    if kind in UNREADABLE:
        assert usable < set(answers)
        return
    assert usable == set(answers)
    if kind == "doubled":
        assert all(outcome.repeated for outcome in found.values())
    assert found == {
        alias: replace(outcome, repeated=found[alias].repeated)
        for alias, outcome in read(request, Reply(good)).items()
    }


def test_a_mix_has_the_asked_shares_and_another_draw_for_what_is_asked_again() -> None:
    model = Model(parse_failures(simulated_model.CASE_FAILURES), 7)
    kinds = Counter(model.draw("the same message")[0] for _ in range(4000))
    shares = {
        "empty": 0.10,
        "malformed": 0.15,
        "cut": 0.10,
        "stalled": 0.05,
        "rate_limited": 0.05,
        "well": 0.55,
    }
    assert kinds.keys() == shares.keys()
    for kind, share in shares.items():
        assert kinds[kind] / 4000 == pytest.approx(share, abs=0.025)


def test_no_sixty_seconds_hold_more_requests_or_tokens_than_the_limits() -> None:
    limits = RateLimits(rpm=3, tpm=100)
    assert [limits.admit(now, 40) for now in (0.0, 1.0)] == [0.0, 0.0]
    assert limits.admit(2.0, 40) == 58.0  # tokens
    assert limits.admit(3.0, 1) == 0.0
    assert limits.admit(4.0, 1) == 56.0  # requests
    assert limits.admit(60.0, 40) == 0.0
    assert limits.admit(60.5, 500) == pytest.approx(MINUTE - 0.5)  # alone in a minute of its own
    assert limits.admit(121.0, 500) == 0.0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["well", *simulated_model.KINDS])
async def test_everything_that_was_served_stands_in_the_log(tmp_path: Path, kind: str, stream: bool) -> None:
    request = request_of(3)
    failures = {kind: 1.0} if kind != "well" else {}
    body = body_of(request, stream=stream, stream_options={"include_usage": True})
    with Simulator(Options(AT_ONCE, failures), log=tmp_path / "log") as simulator:
        async with httpx.AsyncClient(base_url=simulator.base_url, timeout=1) as client:
            try:
                response = await client.post("/chat/completions", json=body)
            except httpx.HTTPError:
                response = None
    (line,) = lines(tmp_path / "log")
    assert line["kind"] == kind
    assert list(line["users"]) == ["U1", "U2", "U3"]
    first, text = line["users"]["U2"]
    assert (first, text.splitlines()[0]) == (25, "城市1")
    assert line["prompt_tokens"] + 11 == request.input_tokens  # what a chat format adds is not text
    assert line["finished"] == (response is not None)
    if response is not None:
        assert line["status"] == response.status_code
    if kind == "well":
        assert set(line["answered"]) == {"U1", "U2", "U3"}
        assert sum(line["answered"].values()) <= line["completion_tokens"]
    if kind in ("stalled", "rate_limited", "unavailable"):
        assert line["completion_tokens"] == 0


def run_of(log: list[dict[str, Any]], calls: list[Call]) -> Run:
    return Run(Path("out"), log, calls, {"a": "done", "b": "done"})


def served(number: int, at: float, text: str = "answer", *, message: str = "both") -> dict[str, Any]:
    return {"number": number, "time": at, "seconds": 1.0, "message": message, "text": text}


def call(number: int, at: float, status: str = "read", *, kept: str = "U1", message: str = "both") -> Call:
    parts = {"U1": ("a", 0, 9), "U2": ("b", 0, 9)}
    return Call(
        number,
        at,
        status,
        message,
        "answer" if status == "read" else "",
        parts,
        frozenset(filter(None, [kept])),
    )


def test_an_answer_counts_as_bought_again_only_if_it_was_stored_before() -> None:
    again = run_of([served(1, 10.1), served(2, 20.1)], [call(1, 10.0), call(2, 20.0)])
    assert (again.bought_again, again.usable_twice) == (1, 1)
    lost = run_of([served(1, 10.1), served(2, 20.1)], [call(1, 10.0, "lost", kept=""), call(2, 20.0)])
    assert (lost.bought_again, lost.usable_twice) == (0, 0)


def test_a_request_that_the_ledger_does_not_know_is_counted() -> None:
    assert run_of([served(1, 10.1), served(2, 10.2, message="other")], [call(1, 10.0)]).unlisted == 1
