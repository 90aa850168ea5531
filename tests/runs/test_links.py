"""Users too large for a call: the journeys of their pieces, and the call that says which of these are one."""

import re
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

import eventabs
from batch_files import read_requests, reply_to, write_lines
from batch_service import BatchServer
from eventabs.prompts import TokenCounter
from eventabs.prompts.instructions_and_requests import CHAT_FRAMING_TOKENS
from eventabs.replies import joined
from eventabs.runs.start_resume_reparse import Invocation, reopen_run, reparse
from eventabs.shared_records import Outcome, Part
from eventabs.store.ledger import Ledger, unpack_messages
from house import environment, lines
from preloaded import run_preloaded
from runs_kit import Watcher, event_of, journey_of

DAYS = 24
ROWS = 24  # of a call: so each user is cut in three
_NUMBERED = re.compile(r"(\d+) (.+)")
_LINK = re.compile(r"(\d+) 购买 (.+?): .+ \d{4}-\d\d-\d\d(?:–[\d-]+)?")


def is_link(message: str) -> bool:
    return "\n# " not in message


def model(message: str) -> str:
    """Name the journeys of a piece after its first day, as a model does that sees no other piece; link all about one thing."""
    answer: list[str] = []
    for block in re.split(r"(?m)^(?=## )", message)[1:]:
        header, *rows = block.splitlines()
        answer.append(header)
        if is_link(message):
            named = [found for row in rows if (found := _LINK.fullmatch(row))]
            assert len(named) == len(rows)
            for thing in ("帐篷", "沙发"):
                own = [found[1] for found in named if found[2].startswith(thing)]
                answer += [f"同一 {','.join(own)}"] if len(own) > 1 else []
            continue
        numbered = [found for row in rows if (found := _NUMBERED.fullmatch(row))]
        day = next(row for row in rows if row.startswith("# "))[2:].split()[0][-5:]
        for thing in ("帐篷", "沙发"):
            own = [found[1] for found in numbered if thing in found[2]]
            answer += [f"> 购买 {thing}{day}：浏览 {' '.join(own)}"] if own else []
        answer.append("用餐 " + " ".join(found[1] for found in numbered if "面馆" in found[2]))
    return "\n".join([*answer, "##"])


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(write=model) as running:
        yield running


pytestmark = pytest.mark.usefixtures("own_folder")


def export(name: str = "export.jsonl", users: int = 3, first: int = 1, last: int = DAYS) -> str:
    """Write some days of users who look for a tent and a sofa on each, and of one who does so on one."""
    rows = [
        {"user_id": f"u{user}", "timestamp": f"2026-03-{day:02} {hour}:00:00", "action": action, "item": item}
        for day in range(first, last + 1)
        for user in (*range(users), *(["lone"] if day == 1 else []))
        for hour, action, item in (
            ("10", "browse", "帐篷"),
            ("12", "visit", "面馆"),
            ("20", "browse", "沙发"),
        )
    ]
    Path(name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return name


def settings(server: BatchServer, **sections: Any) -> dict[str, Any]:  # noqa: ANN401  as settings take them
    return {
        "llm": {"model": "m", "base_url": server.base_url, "longest_wait": 5.0, "stream": False},
        "prompt": {"language": "zh"},
        "budget": {"max_rows": ROWS},
        "batch": {"poll_seconds": 0.01, "live_calls": 1, "live_share": 0.0},
        **sections,
    }


def results(out: Path) -> tuple[bytes, bytes]:
    return (out / "events.jsonl").read_bytes(), (out / "journeys.jsonl").read_bytes()


def journeys(out: Path, user: str = "u0") -> dict[str, tuple[str, int]]:
    """Return name and number of rows of a user's journeys, by id."""
    own = (each for each in lines(out / "journeys.jsonl") if each["user_id"] == user)
    return {each["id"]: (each["name"], len(each["behaviors"])) for each in own}


ONE_EACH = {"u0/j0": ("帐篷03-01", DAYS), "u0/j2": ("沙发03-01", DAYS)}


def link_calls(out: Path) -> list[tuple[str, str]]:
    """Return the messages of the linking calls."""
    with Ledger.watch(out / "ledger.sqlite") as ledger:
        found = ledger.rows("SELECT messages FROM calls ORDER BY id")
    told = [tuple(message["content"] for message in unpack_messages(packed)) for (packed,) in found]
    return [(system, user) for system, user in told if is_link(user)]


def test_the_journeys_of_a_large_users_pieces_become_one_by_a_single_call_for_all_users(
    server: BatchServer,
) -> None:
    run = eventabs.run(export(), settings=settings(server), out="out")
    out = run.path
    assert (run.status, run.summary.done, run.summary.unlinked) == ("completed", 4, 0)
    assert journeys(out) == ONE_EACH
    assert [len(journeys(out, user)) for user in ("u1", "u2", "lone")] == [2, 2, 0]
    (journey, *_others) = lines(out / "journeys.jsonl")
    events = {each["id"]: each for each in lines(out / "events.jsonl")}
    assert {events[each]["journey"] for each in journey["events"]} == {journey["id"]}
    assert (journey["days"], journey["start"][:10], journey["end"][:10]) == (DAYS, "2026-03-01", "2026-03-24")
    ((system, message),) = link_calls(out)
    assert "同一 1,4,7" in system
    numbers = [int(line.split()[0]) for line in message.splitlines() if not line.startswith("#")]
    assert numbers == list(range(1, len(numbers) + 1)), "counted through all users"
    assert "\n1 购买 帐篷03-01: 浏览 2026-03-01–03-0" in message
    counted = (run.summary.journeys, len(lines(out / "journeys.jsonl")))
    assert counted == (6, 6)


def test_a_link_that_no_answer_comes_for_fails_nobody_and_is_counted(server: BatchServer) -> None:
    server.write = lambda message: "" if is_link(message) else model(message)
    run = eventabs.run(export(users=1), settings=settings(server), out="out")
    assert (run.status, run.summary.done, run.summary.failed, run.summary.unlinked) == ("completed", 2, 0, 1)
    assert len(journeys(run.path)) > 2
    server.write = model
    assert eventabs.resume(run.path, trust_endpoint=True).summary.unlinked == 1


@pytest.mark.parametrize(
    ("said", "unlinked", "names"),
    [
        ("## U1\n同一 1,3 2,4\n##", 0, 2),
        ("用户1：\n- 同一：1、3\n- same: 2 and 4", 0, 2),
        ("## U1\n1,3\n2,4\n##", 0, 2),
        ('{"users":[{"user":"U1","events":[{"type":"同一","rows":"1,3 2,4"}]}]}', 0, 2),
        ("## U1\n同一 1,3? 2,4\n##", 0, 3),
        ("## U1\n同一 1,3 3,4\n##", 0, 3),
        ("## U1\n##", 0, 4),
        ("## U1\n同一 11,13\n##", 1, 4),
        ("## U2\n同一 1,3\n##", 1, 4),
        ("对不起，我不能。", 1, 4),
    ],
)
def test_a_link_is_read_as_leniently_as_other_answers(
    server: BatchServer, said: str, unlinked: int, names: int
) -> None:
    server.write = lambda message: said if is_link(message) else model(message)
    small = settings(server, budget={"max_rows": 9})
    run = eventabs.run(export(users=1, last=6), settings=small, out="out")
    assert (run.summary.unlinked, len(journeys(run.path))) == (unlinked, names)


def test_journeys_too_many_for_a_call_are_asked_about_in_several_that_overlap(server: BatchServer) -> None:
    run = eventabs.run(export(users=1, last=28), settings=settings(server, budget={"max_rows": 6}), out="out")
    calls = link_calls(run.path)
    assert len(calls) > 2
    assert all(len(message.splitlines()) <= 7 for _system, message in calls)
    assert journeys(run.path) == {"u0/j0": ("帐篷03-01", 28), "u0/j2": ("沙发03-01", 28)}


def test_no_linking_call_breaks_the_budget_and_its_tokens_are_counted_exactly(server: BatchServer) -> None:
    run = eventabs.run(export(users=9), settings=settings(server), out="out")
    with Ledger.watch(run.path / "ledger.sqlite") as ledger:
        sizes = ledger.rows("SELECT input_tokens, messages FROM calls")
    count = TokenCounter().count
    for tokens, packed in sizes:
        assert tokens == CHAT_FRAMING_TOKENS + sum(count(each["content"]) for each in unpack_messages(packed))


def test_reparse_links_as_before_and_keeps_what_was_said_of_other_journeys(server: BatchServer) -> None:
    out = eventabs.run(export(), settings=settings(server), out="out").path
    before = results(out)
    with reopen_run(
        Invocation(None, {}, {}),
        named=out,
        changed="ignore",
        confirmed=True,
        watch=lambda *_of: nullcontext(Watcher()),
    ) as run:
        reparse(run)
    assert results(out) == before


def test_a_linked_journey_keeps_its_id_when_the_user_is_extended(server: BatchServer) -> None:
    out = eventabs.run(export(last=8), settings=settings(server), out="out").path
    more = export("more.jsonl", first=9, last=DAYS)
    run = eventabs.extend(out, more, settings=settings(server))
    assert (run.status, run.summary.failed) == ("completed", 0)
    assert journeys(out) == ONE_EACH


def test_links_go_in_a_wave_of_their_own_through_files(server: BatchServer) -> None:
    whole = eventabs.run(export(), settings=settings(server), out="live")
    files = settings(server, run={"mode": "files"})
    run, waves = eventabs.run("export.jsonl", settings=files, out="out"), []
    while run.status == "waiting":
        requests = read_requests(run.path / "requests.jsonl")
        waves.append([is_link(each["body"]["messages"][-1]["content"]) for each in requests])
        replies = write_lines(Path("replies.jsonl"), [reply_to(each, model) for each in requests])
        run = eventabs.resume(run.path, replies=[replies], trust_endpoint=True)
    assert [set(wave) for wave in waves] == [{False}, {True}]
    assert len(waves[1]) == 1
    assert results(run.path) == results(whole.path)


def test_links_are_asked_through_the_batch_service_in_a_later_job(server: BatchServer) -> None:
    whole = eventabs.run(export(users=6), settings=settings(server), out="live")
    batch = {"poll_seconds": 0.01, "live_calls": 0, "live_share": 0.0}
    small = settings(server, run={"mode": "batch"}, batch=batch)
    server.live.clear()
    run = eventabs.run("export.jsonl", settings=small, out="out")
    assert (run.status, len(server.live), len(server.jobs)) == ("completed", 0, 2)
    links = [server.requests_of(job) for job in server.jobs]
    assert [is_link(wave[0]["body"]["messages"][-1]["content"]) for wave in links] == [False, True]
    assert results(run.path) == results(whole.path)


@given(st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=4, unique=True), max_size=4), st.data())
def test_journeys_that_are_one_in_any_way_have_the_earliest_id_and_the_name_with_most_rows(
    groups: list[list[int]], data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(st.integers(2, 5), min_size=6, max_size=6))
    pieces, first = [], 0
    for number, rows in enumerate(sizes):
        part = Part("u", first, first + rows - 1)
        journey = journey_of(part, f"name {number}")
        event = event_of(part)._replace(journey=journey.id)
        pieces.append(Outcome(part, None, (event,), (journey,)))
        first += rows
    ids = [piece.journeys[0].id for piece in pieces] + ["u/j900", "u/j901"]  # these are not there any more
    link = Outcome(Part.link("u"), None, same=tuple(tuple(ids[each] for each in own) for own in groups))
    events, journeys = joined([link, *pieces], "conversion")
    sets = [{number} for number in range(8)]
    for own in groups:
        together = set().union(*(each for each in sets if not each.isdisjoint({n for n in own if n < 6})))
        sets = [each for each in sets if each.isdisjoint(together)] + ([together] if together else [])
    wanted = {
        (ids[min(own)], f"name {max(sorted(own), key=sizes.__getitem__)}", sum(sizes[each] for each in own))
        for own in sets
        if max(own) < 6
    }
    assert {(each.id, each.name, len(each.behaviors)) for each in journeys} == wanted
    assert {event.journey for event in events} == {each.id for each in journeys}


KILLED = """
import os, signal
from contextlib import contextmanager
from eventabs.store import Ledger
transaction, left = Ledger.transaction, COMMITS

def look(ledger):
    global left
    left -= bool(ledger.rows("SELECT 1 FROM parts WHERE first < 0"))
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

@contextmanager
def killed(ledger):
    with transaction(ledger):
        yield
        look(ledger)
    look(ledger)

Ledger.transaction = killed
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["live", "batch"])
def test_a_run_killed_again_and_again_while_it_links_ends_byte_equal(
    server: BatchServer, tmp_path: Path, mode: str
) -> None:
    calm = results(eventabs.run(export(), settings=settings(server), out="calm").path)
    Path("eventabs.toml").write_text(
        f'[llm]\nmodel = "m"\nbase_url = "{server.base_url}"\nstream = false\n[prompt]\nlanguage = "zh"\n'
        f'[budget]\nmax_rows = {ROWS}\n[run]\nmode = "{mode}"\n'
        "[batch]\npoll_seconds = 0.01\nlive_calls = 0\nlive_share = 0.0\n",
        "utf-8",
    )
    command, commits = ["run", "export.jsonl", "--out", "out"], 0
    while code := code_of(command, tmp_path, commits):
        assert code == -signal.SIGKILL
        command, commits = ["resume", "out"], commits + 5
    assert commits > 5
    assert results(Path("out")) == calm


def code_of(command: list[str], home: Path, commits: int) -> int:
    """Run a command that is killed before or after a commit, counted from when there are links; return its exit code."""
    killed = KILLED.replace("COMMITS", str(commits))
    return run_preloaded(command, home, environment(home), 120, before=killed)[0]
