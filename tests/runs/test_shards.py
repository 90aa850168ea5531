"""A shard is a run of its own, bound to its users."""

import json
from pathlib import Path

import pytest

import eventabs
from eventabs import Settings
from eventabs.errors_and_exit_codes import InputError, RunDirectoryError
from eventabs.runs.start_resume_reparse import default_out
from eventabs.shared_records import Shard

RULES = {"llm": {"provider": "rules"}}


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write an export whose users share a minute and a second, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "user_id": f"u{n % 12:02d}",
            "timestamp": f"2026-01-0{1 + n % 4} 10:00:00",
            "behavior_text": f"在餐厅{n}用餐",
        }
        for n in range(120)
    ]
    rows += [rows[5], {"user_id": "", "timestamp": "2026-01-01 10:00:00", "behavior_text": "遛狗"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "day.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return "day.jsonl"


def events(folder: str) -> list[bytes]:
    return (Path(folder) / "events.jsonl").read_bytes().splitlines()


def test_an_estimate_of_a_shard_is_about_its_users(export: str) -> None:
    by_shard = [eventabs.estimate(export, settings=RULES, shard=f"{index}/3").users for index in range(3)]
    assert by_shard == [sum(Shard(index, 3).holds(f"u{n:02d}") for n in range(12)) for index in range(3)]
    isolated = Settings.model_validate(RULES)
    assert eventabs.estimate(export, settings=isolated, shard="1/3").users == by_shard[1]


def test_a_shard_without_users_is_completed(export: str) -> None:
    empty = next(
        index for index in range(1, 40) if not any(Shard(index, 40).holds(f"u{n:02d}") for n in range(12))
    )
    run = eventabs.run(export, settings=RULES, shard=f"{empty}/40")
    assert (run.status, run.summary.users, list(run.events)) == ("completed", 0, [])


def test_under_strict_a_row_without_a_user_stops_the_shard_that_has_it_alone(export: str) -> None:
    strict = {**RULES, "input": {"strict": True}}
    with pytest.raises(InputError, match=r"no_user 1, first in day\.jsonl line 122"):
        eventabs.run(export, settings=strict, shard="0/3")
    assert [eventabs.run(export, settings=strict, shard=f"{index}/3").status for index in (1, 2)] == [
        "completed",
        "completed",
    ]


@pytest.mark.parametrize(("begun", "now"), [("1/3", "2/3"), ("1/3", "1/4"), ("", "0/3")])
def test_a_run_is_not_resumed_as_another_shard(export: str, begun: str, now: str) -> None:
    run = eventabs.run(export, settings=RULES, shard=begun, out="a")
    with pytest.raises(RunDirectoryError, match=f"not shard {now}; leave out --shard"):
        eventabs.resume(run.path, settings={"input": {"shard": now}}, accept_changes=True)
    assert eventabs.resume(run.path).status == "completed"


@pytest.mark.parametrize("index", [0, 1])
def test_every_shard_refuses_an_input_with_too_many_rows_without_a_user(tmp_path: Path, index: int) -> None:
    rows = "".join(f"{'' if n % 3 else 'u'}{'' if n % 3 else n},2026-01-01 10:00:00,x\n" for n in range(30))
    path = tmp_path / "a.csv"
    path.write_text(f"user_id,time,item\n{rows}", "utf-8")
    with pytest.raises(InputError, match=r"20 of 30 rows cannot be read .*no_user 20"):
        eventabs.run(path, settings=RULES, out=tmp_path / "out", shard=f"{index}/2")
    with pytest.raises(InputError, match="20 of 30 rows cannot be read"):
        eventabs.estimate(path, settings=RULES)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("logs/day.csv.gz", "day.3-of-16.eventabs"),
        ("-", "stdin.3-of-16.eventabs"),
        ("s3://bucket/day.parquet?x=1", "day.3-of-16.eventabs"),
    ],
)
def test_the_directory_is_named_by_input_and_shard(path: str, name: str) -> None:
    assert default_out([path], "3/16") == Path(name)
