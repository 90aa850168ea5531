"""An audit asks some users again: announced, confirmed, limited, resumable, and compared with the run."""

import json
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batch_files import read_requests, reply_to, write_lines
from eventabs.errors_and_exit_codes import RunDirectoryError, UsageError
from eventabs.measures import mean_of
from eventabs.quality import compare, draw_review, plan_audit
from eventabs.runs.start_resume_reparse import Invocation
from eventabs.shared_records import Behavior, UserLog
from eventabs.store import Ledger
from eventabs.store.ledger import pack_log
from house import checkpoint, eventabs, lines, ran, start, wait_until, write_users
from openai_server import OpenAIServer, answer, answer_by_day, slowly
from runs_jobs import RULES, Place, finish


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Place(tmp_path_factory.mktemp("finished"), users=24)
    with made.begin() as run:
        finish(run)
    return made.folder


@pytest.fixture
def place(tmp_path: Path, finished: Path) -> Place:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return Place(tmp_path, users=24)


def audited(folder: Path, *flags: object) -> dict[str, Any]:
    done = ran("audit", "out", "--json", *flags, cwd=folder)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_who_answers_alike_agrees_and_the_run_is_as_it_was(place: Place) -> None:
    before = place.events(), place.checkpoint()
    found = audited(place.folder, "--share", "50%", "--seed", 3)
    assert (place.events(), place.checkpoint()) == before
    assert (found["users"], found["a"]["done"], found["b"]["done"]) == (12, 24, 12)
    assert found["settings"] == [{"key": "budget.max_users", "a": "30", "b": "12"}], (
        "half of the 24 in a prompt"
    )
    assert found["figures"]["exact_f1"]["value"] == found["figures"]["same_type"]["value"] == 1.0
    assert found["most_different"] == []
    assert found["kept"]["rows"] == {"value": 1.0, "low": mean_of({1.0: 12}).low, "high": 1.0}
    assert found["figures"]["exact_f1"]["baselines"].keys() == {"rows", "action", "object", "pause"}
    assert checkpoint(place.out / "audit")["status"] == "completed"


def test_an_audit_is_announced_at_the_prices_of_today_which_its_cost_is_shown_by_later(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=4)
    config = tmp_path / "eventabs.toml"
    config.write_text(f'[llm]\nmodel = "m"\nbase_url = "{openai_server.base_url}"\n')
    ran("run", "input.jsonl", "--out", "out", cwd=tmp_path)
    config.write_text(f"{config.read_text()}[llm.price]\ninput = 2.0\noutput = 8.0\n")
    done = ran("audit", "out", "--yes", "--json", cwd=tmp_path)
    first, second = done.stderr.splitlines()[:2]
    assert " asked again, " in first
    assert ": 1 call, " in first
    assert first.endswith(" USD")
    assert " Config " in second, "it is new, and nothing goes on"
    assert json.loads(done.stdout)["b"]["cost"] > 0
    assert json.loads(eventabs("status", "out/audit", "--json", cwd=tmp_path).stdout)["cost"] > 0
    assert json.loads(eventabs("status", "out", "--json", cwd=tmp_path).stdout)["cost"] is None


def test_a_larger_share_goes_on_with_the_audit_that_is_there(place: Place) -> None:
    first = audited(place.folder, "--share", "25%")
    again = audited(place.folder, "--share", "25%")
    assert again == first
    more = audited(place.folder, "--share", "0.5")
    assert (first["b"]["calls"], first["users"]) == (1, 6)
    assert (more["b"]["calls"], more["users"]) == (2, 12)


def test_another_seed_or_number_of_users_needs_another_folder(place: Place) -> None:
    audited(place.folder)
    for flag in (("--seed", 1), ("--max-users", 3)):
        refused = eventabs("audit", "out", *flag, cwd=place.folder)
        assert refused.returncode == 2
        assert "--out" in refused.stderr
    assert audited(place.folder, "--seed", 1, "--out", "other")["b"]["out"].endswith("other")


def test_a_share_is_one_of_the_users(place: Place) -> None:
    for share in ("0", "101%", "5 %%", "many", "-1", "nan"):
        refused = eventabs("audit", "out", f"--share={share}", cwd=place.folder)
        assert refused.returncode == 2, share
        assert "5%" in refused.stderr


def test_settings_of_today_that_change_answers_are_refused_before_anything_is_made(place: Place) -> None:
    refused = eventabs("audit", "out", "--detail", "fine", cwd=place.folder)
    assert refused.returncode == 2
    assert "prompt.detail" in refused.stderr
    assert not (place.out / "audit").exists()


def test_after_a_reparse_users_are_asked_again_under_what_the_replies_are_read_under(place: Place) -> None:
    shutil.copytree(place.out, place.folder / "earlier")
    rule = '[[events.must]]\nmin_duration = 0\ntype = "停留"\n'
    (place.folder / "must.toml").write_text(rule, "utf-8")
    ran("reparse", "out", "--config", "must.toml", cwd=place.folder)
    found = audited(place.folder, "--share", "50%")
    assert [each["key"] for each in found["settings"]] == ["budget.max_users"]
    assert found["figures"]["same_type"]["value"] == found["kept"]["rows"]["value"] == 1.0
    assert "events.must" in [each["key"] for each in compare(place.folder / "earlier", place.out).settings]
    ran("reparse", "out", cwd=place.folder)
    refused = eventabs("audit", "out", cwd=place.folder)
    assert (refused.returncode, "--out" in refused.stderr) == (2, True), "its events are of other rules"


def test_an_audit_is_not_compared_with_logs_that_have_grown_since(place: Place) -> None:
    audited(place.folder, "--share", "100%")
    more = place.export.read_text("utf-8").splitlines()[0].replace("2026-01", "2026-02")
    (place.folder / "more.jsonl").write_text(more + "\n", "utf-8")
    ran("extend", "out", "more.jsonl", cwd=place.folder)
    for share in ("5%", "100%"):
        refused = eventabs("audit", "out", "--share", share, cwd=place.folder)
        assert (refused.returncode, "--out" in refused.stderr) == (2, True)
    drawn = draw_review(place.out, sample=1, days=0, doubtful=40).review
    assert not any("moved" in event.doubts for event in drawn.events), "what was not asked has not moved"


def test_a_run_without_users_that_are_done_has_nothing_to_audit(tmp_path: Path) -> None:
    made = Place(tmp_path)
    with made.begin():
        pass
    invocation = Invocation(None, RULES, {})
    with pytest.raises(UsageError, match="resume"):
        plan_audit(made.out, invocation, share=0.5, seed=0, out=None, confirmed=False)
    with pytest.raises(RunDirectoryError):
        plan_audit(tmp_path / "none", invocation, share=0.5, seed=0, out=None, confirmed=False)


def test_users_whose_behaviors_have_changed_since_are_matched_and_counted(place: Place) -> None:
    audited(place.folder, "--share", "100%")
    with closing(Ledger.open(place.out / "ledger.sqlite")) as ledger:
        log = ledger.log("user_0003")
        first: Behavior = log.behaviors[0]
        other = UserLog(log.user_id, (first._replace(item="别处"), *log.behaviors[1:]), log.profile)
        with ledger.transaction():
            ledger.rows("UPDATE users SET log = ? WHERE user_id = ?", pack_log(other), log.user_id)
    found = compare(place.out, place.out / "audit")
    assert (found.tally.users, found.other_rows) == (24, 1)


# over HTTP


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenAIServer]:
    write_users(tmp_path / "input.jsonl", users=30)
    with OpenAIServer(answer(), log=tmp_path / "server.jsonl") as running:
        ran(
            "run",
            "input.jsonl",
            *("--out", "out", "--model", "m", "--base-url", running.base_url, "--max-users", 5),
            cwd=tmp_path,
        )
        running.requests.clear()
        yield running


def test_nothing_is_asked_before_it_is_confirmed(tmp_path: Path, server: OpenAIServer) -> None:
    refused = eventabs("audit", "out", "--share", "40%", cwd=tmp_path)
    assert refused.returncode == 2
    assert "12 of 30 users asked again, at most 2 a prompt, by m at 127.0.0.1" in refused.stderr
    assert "6 calls" in refused.stderr
    assert "--yes" in refused.stderr
    assert not server.requests
    ran("audit", "out", "--share", "40%", "--max-total-tokens", 1_000_000, cwd=tmp_path)
    assert len(server.requests) == 6


def test_users_have_other_neighbors_in_another_order(tmp_path: Path, server: OpenAIServer) -> None:
    found = audited(tmp_path, "--share", "100%", "--max-users", 5, "--yes")
    assert found["users"] == 30
    blocks = [list(request.blocks.values()) for request in server.requests]
    assert any(prompt != sorted(prompt) for prompt in blocks)


def test_a_limit_stops_an_audit_and_a_larger_one_goes_on(tmp_path: Path, server: OpenAIServer) -> None:
    stopped = eventabs(
        "audit", "out", "--share", "100%", "--max-total-tokens", 16_000, "--json", cwd=tmp_path
    )
    assert stopped.returncode == 1
    found = json.loads(stopped.stdout)
    assert 0 < found["b"]["prompt_tokens"] + found["b"]["completion_tokens"] <= 16_000
    assert 0 < found["users"] < 30
    asked = len(server.requests)
    assert audited(tmp_path, "--share", "100%", "--max-total-tokens", 1_000_000)["users"] == 30
    assert len(server.requests) > asked


def test_an_audit_in_files_names_the_step_that_brings_its_replies(
    tmp_path: Path, server: OpenAIServer
) -> None:
    command = ("audit", "out", "--share", "40%", "--mode", "files", "--yes", "--quiet")
    waiting = eventabs(*command, "--json", cwd=tmp_path)
    assert json.loads(waiting.stdout)["status"] == "waiting"
    (step,) = re.findall(r"eventabs (resume out/audit --replies) FILE; then the same command", waiting.stderr)
    replies = map(reply_to, read_requests(tmp_path / "out/audit/requests.jsonl"))
    ran(*step.split(), write_lines(tmp_path / "replies.jsonl", replies), cwd=tmp_path)
    assert audited(tmp_path, *command[2:])["users"] == 12
    assert not server.requests


@pytest.mark.slow
def test_a_killed_audit_goes_on_and_buys_no_answer_twice(tmp_path: Path, server: OpenAIServer) -> None:
    server.behavior = slowly(0.1, answer())
    (tmp_path / "server.jsonl").unlink(missing_ok=True)
    command = ("audit", "out", "--share", "100%", "--max-users", 1, "--yes")
    killed = start(*command, cwd=tmp_path)
    wait_until(lambda: len(server.requests) >= 8)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    stopped = start(*command, cwd=tmp_path)
    wait_until(lambda: len(server.requests) >= 16)
    stopped.send_signal(signal.SIGINT)
    _out, told = stopped.communicate()
    assert stopped.returncode == 130
    assert "same command" in told.decode()
    server.behavior = answer()
    found = audited(tmp_path, *command[2:])
    assert (found["b"]["done"], found["users"]) == (30, 30)
    assert len(server.requests) <= 30 + 3  # those in flight when it was killed
    assert len(lines(tmp_path / "out/audit/events.jsonl")) == found["b"]["events"]


# in calls of several sizes

CALIBRATE = ("calibrate", "out", "--users", 24, "--margin", 0.3, "--sizes", "2,4,99")


def calibrated(folder: Path, *flags: object) -> dict[str, Any]:
    done = ran(*CALIBRATE, "--json", *flags, cwd=folder)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def mistaken(message: str) -> str:
    """Answer by day, and in calls of more than two users call a third of the events of each wrongly."""
    written = answer_by_day(message)
    if message.count("\n## ") + message.startswith("## ") <= 2:
        return written
    return re.sub(r"^浏览 (\S+) (.*)$", r"浏览 \2\n工作 \1", written, flags=re.MULTILINE)


def test_sizes_are_tried_in_order_and_where_all_agree_nothing_is_to_be_changed(
    tmp_path: Path, server: OpenAIServer
) -> None:
    refused = eventabs(*CALIBRATE, cwd=tmp_path)
    assert refused.returncode == 2
    assert "24 of 30 users asked again, at most 1, 1, 2, 4, 99 a prompt, by m at 127.0.0.1" in refused.stderr
    assert not server.requests
    few = eventabs("calibrate", "out", "--yes", cwd=tmp_path)
    assert few.returncode == 2
    assert "30 of 30 users are too few" in few.stderr
    own = ("--sizes", "2,4", "--max-users", 4)
    found = calibrated(tmp_path, "--max-total-tokens", 10_000_000, *own)
    assert [arm["name"] for arm in found["arms"]] == ["1", "1-again", "2", "4"]
    assert [arm["calls"] for arm in found["arms"]] == [24, 24, 12, 6]
    assert {arm["kept"] for arm in found["arms"]} == {1.0}
    assert (found["complete"], found["changes"]) == (True, {})
    asked = len(server.requests)
    assert calibrated(tmp_path, *own) == found
    assert len(server.requests) == asked == sum(arm["calls"] for arm in found["arms"])


def test_the_largest_size_that_agrees_is_recommended_and_no_larger_one_asked(
    tmp_path: Path, server: OpenAIServer
) -> None:
    server.behavior = answer(mistaken)
    found = calibrated(tmp_path, "--yes")
    assert [arm["name"] for arm in found["arms"]] == ["1", "1-again", "2", "4"]
    assert found["arms"][-1]["kept"] == pytest.approx(0.75, abs=0.01)
    assert found["arms"][-1]["lacks"] > 0.3 > found["arms"][2]["lacks"]
    assert (found["recommended"], found["changes"]) == ("2", {"budget": {"max_users": 2, "max_rows": 24}})
    shown = eventabs(*CALIBRATE, cwd=tmp_path).stdout
    assert shown.endswith("[budget]\nmax_users = 2\nmax_rows = 24\n")


@pytest.mark.slow
def test_one_limit_holds_for_all_sizes_and_a_killed_calibration_goes_on(
    tmp_path: Path, server: OpenAIServer
) -> None:
    limit = 40_000
    stopped = eventabs(*CALIBRATE, "--json", "--max-total-tokens", limit, cwd=tmp_path)
    assert stopped.returncode == 1
    found = json.loads(stopped.stdout)
    assert (found["complete"], found["recommended"], len(found["arms"])) == (False, None, 2)
    assert 0 < sum(arm["prompt_tokens"] + arm["completion_tokens"] for arm in found["arms"]) <= limit
    server.behavior = slowly(0.1, answer())
    before = len(server.requests)
    killed = start(*CALIBRATE, "--yes", cwd=tmp_path)
    wait_until(lambda: len(server.requests) >= before + 3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    server.behavior = answer()
    assert calibrated(tmp_path, "--yes")["complete"]
