"""Merged shards are the run that all users would have been."""

import json
import os
import shutil
import sqlite3  # noqa: TID251  a shard is left as a kill leaves it
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import eventabs
from eventabs.cli.commands import app
from eventabs.errors_and_exit_codes import RunDirectoryError
from eventabs.quality import compare
from eventabs.runs.run_state import inspect_run
from eventabs.shared_records import Shard
from eventabs.store import Ledger, export_events, merge, unpack_parts
from report_kit import packed_data, rendered

RULES: dict[str, Any] = {"llm": {"provider": "rules"}}
USERS = 30
COUNT = 4
KINDS = ("events", "failures", "journeys", "rejects")
MERGE = "import sys; from eventabs.store import merge; print('begun', flush=True); merge(sys.argv[2:], sys.argv[1])"
FILES = sorted(
    (".gitignore", "checkpoint.json", "ledger.sqlite", "run.lock", *(f"{name}.jsonl" for name in KINDS))
)


def write_export(path: Path) -> Path:
    """Write an export of two files' worth of rows: many in one second, with copies, unreadable and ownerless rows."""
    rows = [
        {
            "user_id": f"用户{n % USERS}",
            "timestamp": f"2026-01-0{1 + n % 3} 1{n % 5}:00:0{n % 2}",
            "behavior_text": text,
        }
        for n in range(900)
        for text in [f"在餐厅{n % 7}用餐"]
    ]
    rows[10:10] = [rows[3], {**rows[4], "timestamp": "soon"}, {**rows[5], "user_id": ""}]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run of all users, and one of each shard, once for all tests."""
    folder = tmp_path_factory.mktemp("made")
    write_export(folder / "day.jsonl")
    before = Path.cwd()
    os.chdir(folder)
    try:
        eventabs.run("day.jsonl", settings=RULES)
        for index in range(COUNT):
            eventabs.run("day.jsonl", settings=RULES, shard=f"{index}/{COUNT}")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a test copies of its own, as the current folder."""
    shutil.copytree(made, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    return tmp_path / "w"


def shards() -> list[str]:
    return [f"day.{index}-of-{COUNT}.eventabs" for index in range(COUNT)]


def checkpoint(path: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(path) / "checkpoint.json").read_text("utf-8"))
    return document


def users_of(paths: list[str]) -> int:
    return sum(checkpoint(path)["total_users"] for path in paths)


def cli(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments, catch_exceptions=True)
    return done.exit_code, done.output + str(done.exception or "")


@pytest.mark.parametrize("name", ["events.jsonl", "failures.jsonl", "rejects.jsonl"])
def test_files_of_merged_shards_are_those_of_the_unsharded_run_to_the_byte(folder: Path, name: str) -> None:
    merge(reversed(shards()), "m")
    assert (folder / "m" / name).read_bytes() == (folder / "day.eventabs" / name).read_bytes()


def test_a_merged_run_that_was_read_has_no_files_but_its_own(folder: Path) -> None:
    merge(shards(), "m")
    inspect_run(Path("m"), now=lambda: 0.0)
    assert sorted(file.name for file in Path("m").iterdir()) == FILES


def test_the_checkpoint_adds_up_the_shards_and_names_them_from_its_own_folder(folder: Path) -> None:
    merge(shards(), "m")
    merged, whole = checkpoint("m"), checkpoint("day.eventabs")
    assert set(whole) | {"shards"} == set(merged)
    for key in (
        "format",
        "status",
        "input",
        "settings",
        "settings_fingerprint",
        "total_users",
        "success_count",
    ):
        assert merged[key] == whole[key], key
    assert merged["event_counts"] == whole["event_counts"]
    assert merged["ledger"] == "ledger.sqlite"
    assert merged["shards"][1] == {"shard": "1/4", "path": "../day.1-of-4.eventabs", "status": "completed"}


def test_a_view_moves_with_its_shards(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    merge(shards(), "views/m")
    folder.rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert inspect_run(Path("elsewhere/views/m"), now=lambda: 0.0).done == USERS


def test_status_show_export_and_diff_are_those_of_the_unsharded_run(folder: Path) -> None:
    merge(shards(), "m")
    state, whole = (inspect_run(Path(path), now=lambda: 0.0) for path in ("m", "day.eventabs"))
    assert (state.status, state.done) == (whole.status, whole.done)
    assert state.events == whole.events
    assert state.event_counts == whole.event_counts
    assert state.user_days == USERS, "each has its day"
    assert sum(row["asked"] for row in state.answers["by_batch_users"]) == USERS
    assert [each.shard for each in state.shards] == ["0/4", "1/4", "2/4", "3/4"]
    labels = ["evaluate", "--gold", "day.eventabs"]
    for command in (["show", "--limit", "7", "--offset", "9"], ["show", "--state", "done"], labels):
        code, shown = cli(command[0], "m", *command[1:], "--json")
        assert (code, shown) == cli(command[0], "day.eventabs", *command[1:], "--json")
        assert code == 0
    for form in ("csv", "sqlite"):
        export_events(Path("m"), form, f"m.{form}")
    export_events(Path("day.eventabs"), "csv", "whole.csv")
    assert Path("m.csv").read_bytes() == Path("whole.csv").read_bytes()
    comparison = compare(Path("m"), Path("day.eventabs"))
    assert (comparison.tally.users, comparison.same_input, comparison.settings) == (USERS, True, [])
    assert comparison.scores["groups"]["exact_f1"].value == 1.0
    assert comparison.a.settings == comparison.b.settings == 1
    assert list(eventabs.read_events("m")) == list(eventabs.read_events("day.eventabs"))


def test_a_report_holds_the_calls_and_users_of_all_shards(folder: Path) -> None:
    merge(shards(), "m")
    data = packed_data(b"".join(rendered(Path("m"))[0]).decode())
    users = data["index"]["users"]["id"]
    calls = len(data["calls"]["id"])
    assert data["index"]["sums"]["events"] == len(eventabs.read_events("m"))
    assert sorted(users) == sorted(f"用户{n}" for n in range(USERS))
    assert calls == sum(checkpoint(path)["usage"]["calls"] for path in shards()) > COUNT - 1
    assert cli("report", "m")[0] == 0
    assert (folder / "m" / "report.html").stat().st_size > 10_000


def test_missing_shards_are_told_and_taken_in_when_they_are_there(folder: Path) -> None:
    merged = merge(shards()[:2], "m")
    assert merged.missing == (Shard(2, 4), Shard(3, 4))
    assert merged.warnings == (
        "2 shards are missing (2/4, 3/4); begin each with: eventabs run INPUT --shard i/N, and merge again",
    )
    assert checkpoint("m")["status"] == "interrupted"
    code, shown = cli("merge", *shards()[:3], "--out", "k", "--json")
    assert (code, json.loads(shown)["missing_shards"]) == (0, 1)
    code, shown = cli("status", "m")
    assert code == 0
    assert shown.startswith("2 of 4 shards completed, 2 missing: m")
    again = merge(shards(), "m")
    assert (again.missing, again.warnings) == ((), ())
    assert checkpoint("m")["status"] == "completed"
    assert (folder / "m/events.jsonl").read_bytes() == (folder / "day.eventabs/events.jsonl").read_bytes()


def test_shards_that_a_limit_left_users_out_of_are_unfinished(folder: Path) -> None:
    for index in range(2):
        settings = {**RULES, "run": {"limit": 2}}
        eventabs.run("day.jsonl", settings=settings, shard=f"{index}/2", out=f"trial{index}")
    merge(["trial0", "trial1"], "m")
    found = checkpoint("m")
    assert (found["status"], found["limited"]) == ("interrupted", {"users": 4, "of": USERS})
    assert found["shards"][0]["status"] == "interrupted"
    assert cli("status", "m")[1].startswith(f"0 of 2 shards completed: m, limited: 4 of {USERS} users")
    assert cli("resume", "m")[1].endswith("eventabs resume trial0; eventabs resume trial1")
    for path in ("trial0", "trial1"):
        eventabs.resume(path)
    merge(["trial0", "trial1"], "m")
    assert (checkpoint("m")["status"], checkpoint("m")["limited"]) == ("completed", None)


def test_a_merged_run_is_not_replaced_by_fewer_shards_or_those_of_another_input(folder: Path) -> None:
    merge(shards()[:3], "m")
    before = (folder / "m/events.jsonl").read_bytes()
    shutil.rmtree(shards()[1])
    lost = r"m was merged from other shards \(day.1-of-4.eventabs, day.2-of-4.eventabs\), .*; name all"
    for named in ([shards()[0]], [shards()[0], shards()[3]]):
        with pytest.raises(RunDirectoryError, match=lost):
            merge(named, "m")
        with pytest.raises(RunDirectoryError, match=lost):
            merge(named, "m", accept_changes=True)
    eventabs.run("day.jsonl", settings=RULES, shard="0/2", out="halves")
    with pytest.raises(RunDirectoryError, match="m was merged from other shards"):
        merge(["halves"], "m")
    write_export(Path("other.jsonl")).write_text(Path("day.jsonl").read_text("utf-8") * 2, "utf-8")
    others = [str(eventabs.run("other.jsonl", settings=RULES, shard=f"{n}/4").path) for n in range(4)]
    fine = RULES | {"prompt": {"detail": "fine"}}
    asked = [
        str(eventabs.run("day.jsonl", settings=fine, shard=f"{n}/4", out=f"fine{n}").path) for n in range(4)
    ]
    for named in (others, asked):
        with pytest.raises(RunDirectoryError, match=r"of another input, model or prompt: --accept-changes"):
            merge(named, "m")
    assert (folder / "m/events.jsonl").read_bytes() == before
    again = eventabs.run("day.jsonl", settings=RULES, shard="0/4", out="again").path
    eventabs.run("day.jsonl", settings=RULES, shard="1/4")
    merge([again, *shards()[1:]], "m")
    merge(others, "m", accept_changes=True)
    assert checkpoint("m")["total_users"] == users_of(others)


def test_a_merged_run_takes_in_what_extensions_have_brought_its_shards(folder: Path) -> None:
    merge(shards(), "m")
    later = [
        {"user_id": f"用户{n}", "timestamp": "2026-01-05 10:00:00", "behavior_text": "遛狗"} for n in range(9)
    ]
    Path("later.jsonl").write_text("".join(json.dumps(row) + "\n" for row in later), "utf-8")
    for path in shards():
        eventabs.extend(path, "later.jsonl")
    merge(shards(), "m")
    assert sum(event.start[:10] == "2026-01-05" for event in eventabs.read_events("m")) == len(later)


def test_shards_that_hold_the_same_users_are_refused_in_one_line(folder: Path) -> None:
    shutil.copytree("day.1-of-4.eventabs", "copy")
    with pytest.raises(RunDirectoryError, match="are both shard 1/4; name one of them"):
        merge([*shards(), "copy"], "m")
    eventabs.run("day.jsonl", settings=RULES, shard="1/2")
    with pytest.raises(RunDirectoryError, match="merge shards of the same number"):
        merge([*shards(), "day.1-of-2.eventabs"], "m")
    with pytest.raises(RunDirectoryError, match=r"day\.eventabs is a run of all users"):
        merge([*shards(), "day.eventabs"], "m")
    with pytest.raises(RunDirectoryError, match="no shard is named"):
        merge([], "m")
    assert not Path("m").exists()


def test_shards_of_different_inputs_or_settings_are_refused_unless_that_is_accepted(folder: Path) -> None:
    write_export(Path("other.jsonl")).write_text(Path("day.jsonl").read_text("utf-8") * 2, "utf-8")
    eventabs.run("other.jsonl", settings=RULES, shard="1/4", out="other")
    with pytest.raises(RunDirectoryError, match=r"have read different inputs; .*--accept-changes"):
        merge([shards()[0], "other", *shards()[2:]], "m")
    eventabs.run("day.jsonl", settings={**RULES, "prompt": {"detail": "fine"}}, shard="1/4", out="fine")
    with pytest.raises(RunDirectoryError, match=r'different settings \(prompt.detail "day" -> "fine"\)'):
        merge([shards()[0], "fine", *shards()[2:]], "m")
    assert merge([shards()[0], "fine", *shards()[2:]], "m", accept_changes=True).missing == ()


def killed(path: str) -> None:
    """Leave a run as a kill does."""
    with closing(sqlite3.connect(Path(path) / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("""UPDATE meta SET value = '"running"' WHERE key = 'status'""")
        ledger.execute("UPDATE parts SET state = 'pending' WHERE user_id = (SELECT min(user_id) FROM parts)")


def test_shards_whose_ledgers_have_their_shard_among_what_binds_go_on_and_are_merged(folder: Path) -> None:
    for index, path in enumerate(shards()):
        killed(path)
        with closing(sqlite3.connect(Path(path) / "ledger.sqlite")) as ledger, ledger:
            ledger.execute(
                """UPDATE meta SET value = json_set(value, '$."input.shard"', ?) WHERE key = 'binding'""",
                (f'"{index}/{COUNT}"',),
            )
    assert merge(shards(), "m").missing == ()
    assert {eventabs.resume(path).status for path in shards()} == {"completed"}
    merge(shards(), "m")
    assert (folder / "m/events.jsonl").read_bytes() == (folder / "day.eventabs/events.jsonl").read_bytes()


def test_merged_shards_do_not_go_on_and_name_what_does(folder: Path) -> None:
    merge(shards(), "n")
    killed(shards()[1])
    merge(shards()[:2], "m")
    assert cli("resume", "n")[1].endswith("which are all completed; name the run directory of one of them")
    for command in (
        ["resume", "m"],
        ["reparse", "m"],
        ["audit", "m", "--share", "0.5"],
        ["calibrate", "m", "--users", "30", "--margin", "0.9"],
    ):
        assert cli(*command) == (
            1,
            "m is merged from shards and does not go on itself; go on with: eventabs resume day.1-of-4.eventabs",
        )


def test_status_says_when_shards_were_merged_and_how_each_goes_on(folder: Path) -> None:
    killed(shards()[1])
    merge(shards(), "m")
    _code, shown = cli("status", "m")
    assert shown.startswith("3 of 4 shards completed: m")
    (going_on,) = [line for line in shown.splitlines() if line.startswith("Shard 1/4, ")]
    assert going_on.endswith("users done; go on with: eventabs resume day.1-of-4.eventabs")
    (as_of,) = [line for line in shown.splitlines() if line.startswith("As merged at ")]
    assert as_of.endswith("; bring it up to date with: eventabs merge DIR... --out m")
    before = cli("status", "m", "--json")
    shutil.rmtree(shards()[1])
    assert cli("status", "m", "--json") == before, "it needs no shard any more"
    assert json.loads(before[1])["merged_at"][:4] in as_of


def test_calls_are_numbered_on_from_shard_to_shard(folder: Path) -> None:
    merge(shards(), "m")
    with Ledger.watch(Path("m/ledger.sqlite")) as ledger:
        calls = ledger.rows("SELECT id, users FROM calls ORDER BY id")
        asked = {call_id: {part.user_id for part in unpack_parts(users).values()} for call_id, users in calls}
        for call_id, user_id in ledger.rows("SELECT call_id, user_id FROM outcomes"):
            assert user_id in asked[call_id]
        assert {call_id for (call_id,) in ledger.rows("SELECT call_id FROM parts")} <= asked.keys()
    assert len(calls) == sum(checkpoint(path)["usage"]["calls"] for path in shards())


def test_a_view_takes_no_place_that_holds_something_else(folder: Path) -> None:
    with pytest.raises(RunDirectoryError, match="already holds a run"):
        merge(shards(), shards()[0])
    Path("full").mkdir()
    Path("full/notes.txt").touch()
    with pytest.raises(RunDirectoryError, match="is not an empty folder"):
        merge(shards(), "full")
    merge(shards(), "m")
    with pytest.raises(RunDirectoryError, match="is merged from shards"):
        merge(["m"], "n")


@pytest.mark.slow
@pytest.mark.parametrize("is_first", [True, False])
def test_a_merge_that_is_killed_leaves_the_run_of_before_or_of_now_and_can_be_made_again(
    folder: Path, is_first: bool
) -> None:
    if not is_first:
        merge(shards()[:2], "m")
    done = set()
    for wait in (0.0, 0.01, 0.02, 0.04, 0.08, 0.16):
        process = subprocess.Popen([sys.executable, "-c", MERGE, "m", *shards()], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(wait)
        process.kill()
        process.communicate()
        if Path("m/ledger.sqlite").exists():
            done.add(inspect_run(Path("m"), now=lambda: 0.0).done)
    assert done <= {users_of(shards()[:2]), USERS}
    merge(shards(), "m")
    assert (folder / "m/events.jsonl").read_bytes() == (folder / "day.eventabs/events.jsonl").read_bytes()
    assert sorted(file.name for file in Path("m").iterdir()) == FILES
