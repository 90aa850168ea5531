"""The command line: what is wrong gives one line that names the next step, and exit code 2. tests/data/pinned has most such lines."""

import json
import os
import re
from pathlib import Path

import pytest

from eventabs import __version__
from house import eventabs, ran, write_users
from openai_server import OpenAIServer


def one_error_line(stderr: str) -> str:
    """Return the line of the error, having seen that there is exactly one and no traceback."""
    assert "Traceback" not in stderr
    (line,) = [line for line in stderr.splitlines() if line.startswith("eventabs: ")]
    return line


def test_without_input_the_paths_of_the_config_are_taken(tmp_path: Path) -> None:
    nothing = eventabs("run", cwd=tmp_path)
    assert nothing.returncode == 2
    assert "input.paths" in one_error_line(nothing.stderr)
    write_users(tmp_path / "input.jsonl", users=1)
    (tmp_path / "eventabs.toml").write_text('[input]\npaths = ["input.jsonl"]\n')
    assert eventabs("run", "--provider", "rules", cwd=tmp_path).returncode == 0
    assert eventabs("estimate", cwd=tmp_path).returncode == 0


def test_names_with_brackets_and_spaces_are_shown_to_the_letter(tmp_path: Path) -> None:
    name = "odd [bold] 用户 (1).jsonl"
    write_users(tmp_path / name, users=1)
    done = ran("run", name, "--provider", "rules", cwd=tmp_path)
    assert "odd [bold] 用户 (1).eventabs" in done.stderr
    gone = eventabs("run", "[/red].jsonl", cwd=tmp_path)
    assert "[/red].jsonl" in one_error_line(gone.stderr)


def test_progress_json_is_json_lines_on_stderr(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=2)
    done = eventabs("run", "input.jsonl", "--provider", "rules", "--progress", "json", "-q", cwd=tmp_path)
    parsed = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert len(parsed) >= 3


def test_the_built_in_rules_cost_nothing_also_with_prices_and_run_and_status_say_the_same(
    tmp_path: Path,
) -> None:
    write_users(tmp_path / "input.jsonl", users=2)
    (tmp_path / "eventabs.toml").write_text("[llm.price]\ninput = 2.0\noutput = 8.0\n")
    done = ran("run", "input.jsonl", "--provider", "rules", "--json", "--out", "out", cwd=tmp_path)
    seen = ran("status", "out", "--json", cwd=tmp_path)
    assert [json.loads(each.stdout)["cost"] for each in (done, seen)] == [0.0, 0.0]


def test_words_that_the_built_in_rules_do_not_know_are_named_at_the_end_until_a_rule_names_them(
    tmp_path: Path,
) -> None:
    words = ["order_paid"] * 2 + ["开盲盒"] * 4 + [f"word {n}" for n in range(8)]
    rows = [f"u{n % 2},2026-03-02 10:{n:02},{word},thing {n}" for n, word in enumerate(words)]
    (tmp_path / "app.csv").write_text("\n".join(["user_id,time,action,item", *rows]), "utf-8")
    done = ran("run", "app.csv", "--provider", "rules", "--json", cwd=tmp_path)
    shown = ", ".join(f'"word {n}" 1' for n in range(7))
    assert f'"开盲盒" 4, {shown}, others\n' in done.stderr
    assert 'count as conversion: "purchase" 2\n' in done.stderr
    assert "eventabs reparse app.eventabs\n" in done.stderr
    assert "order_paid" not in done.stderr.partition("Completed:")[2]
    assert len(json.loads(done.stdout)["unknown_actions"]) == 9
    (pasted,) = (line for line in done.stderr.splitlines() if "events.must = " in line)
    pasted = pasted[pasted.index("events.must") :].replace("ACTION", "开盲盒").replace("NAME", "盲盒")
    (tmp_path / "eventabs.toml").write_text(pasted, "utf-8")
    again = ran("run", "app.csv", "--provider", "rules", "--json", "--out", "again", cwd=tmp_path)
    assert "开盲盒" not in json.loads(again.stdout)["unknown_actions"]
    assert json.loads(again.stdout)["conversion_actions"] == {"开盲盒": 4, "purchase": 2}
    events = map(json.loads, (tmp_path / "again" / "events.jsonl").read_text("utf-8").splitlines())
    reached = [event for event in events if event["category"] == "conversion"]
    assert sorted(event["source"] for event in reached) == ["must"] * 4 + ["rules"] * 2
    (tmp_path / "eventabs.toml").write_text(
        'events.must = [{ action = { regex = "." }, category = "conversion" }]', "utf-8"
    )
    assert (
        json.loads(ran("run", "app.csv", "--json", "--out", "all", cwd=tmp_path).stdout)["unknown_actions"]
        == {}
    )


def test_a_rule_whose_action_no_row_has_is_warned_of_with_the_nearest_word(tmp_path: Path) -> None:
    (tmp_path / "app.csv").write_text(
        "user_id,time,action,item\nu1,2026-03-02 10:00,start_demo,plan\n", "utf-8"
    )
    rules = ("start_dmeo", "start_demo", "完全不同")
    must = ", ".join(f'{{ action = "{each}", category = "conversion" }}' for each in rules)
    (tmp_path / "eventabs.toml").write_text(f"events.must = [{must}]", "utf-8")
    done = ran("run", "app.csv", "--provider", "rules", "--json", cwd=tmp_path)
    unmet = [each["message"] for each in json.loads(done.stdout)["warnings"] if each["code"] == "unmet_rule"]
    rest = "of a rule in events.must, so that it does nothing"
    nearest = 'the nearest word of the input is "start_demo"'
    assert unmet == [
        f'no row has the action "start_dmeo" {rest}; {nearest}',
        f'no row has the action "完全不同" {rest}',
    ]
    assert all(each in done.stderr for each in unmet)
    assert unmet[0] in ran("reparse", "app.eventabs", cwd=tmp_path).stderr


def test_a_run_with_a_model_says_nothing_of_words_that_the_rules_do_not_know(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    (tmp_path / "app.csv").write_text("user_id,time,action,item\nu1,2026-03-02 10:00,开盲盒,盒\n", "utf-8")
    called = ("--model", "m", "--base-url", openai_server.base_url)
    found = json.loads(eventabs("run", "app.csv", "--json", *called, cwd=tmp_path).stdout)
    assert (found["unknown_actions"], found["conversion_actions"]) == ({}, {})


def test_estimate_calls_nobody_and_leaves_nothing(tmp_path: Path, openai_server: OpenAIServer) -> None:
    write_users(tmp_path / "input.jsonl", users=2)
    before = sorted(tmp_path.iterdir())
    ran("estimate", "input.jsonl", "--model", "m", "--base-url", openai_server.base_url, cwd=tmp_path)
    assert not openai_server.requests
    assert sorted(tmp_path.iterdir()) == before


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert eventabs("--version", cwd=tmp_path).stdout.strip() == f"eventabs {__version__}"


@pytest.mark.parametrize("where", ["flag", "locale", "config"])
def test_chinese_is_spoken_where_it_is_asked_for(tmp_path: Path, where: str) -> None:
    write_users(tmp_path / "input.jsonl", users=1)
    flag = ("--lang", "zh") if where == "flag" else ()
    extra = {"LC_ALL": "zh_CN.UTF-8"} if where == "locale" else {}
    if where == "config":
        (tmp_path / "eventabs.toml").write_text('lang = "zh"\n')
    done = ran("run", "input.jsonl", "--provider", "rules", *flag, cwd=tmp_path, stdin=None, **extra)
    assert "分为 1 批处理" in done.stderr


def test_every_command_speaks_the_language_of_the_config_whatever_that_of_the_run(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=1)
    flags = ("run", "input.jsonl", "--provider", "rules", "--out", "out")
    assert eventabs(*flags, cwd=tmp_path, EVENTABS_LANG="zh").returncode == 0
    assert "Completed" in eventabs("status", "out", cwd=tmp_path).stdout
    (tmp_path / "eventabs.toml").write_text('lang = "zh"\n')
    commands = (("status", "out"), ("show", "out"), ("report", "out", "--output", "page.html"))
    for command in commands:
        done = ran(*command, cwd=tmp_path)
        assert "user_0000" not in done.stdout or "用户" in done.stdout
    assert "完成" in eventabs("status", "out", cwd=tmp_path).stdout
    assert 'lang="zh-Hans"' in (tmp_path / "page.html").read_text("utf-8")
    assert "Completed" in eventabs("status", "out", cwd=tmp_path, EVENTABS_LANG="en").stdout
    for line in ("--help", "show out --help", "export gone --format csv", "frobnicate"):
        done = eventabs(*line.split(), cwd=tmp_path)
        assert re.search("[\u4e00-\u9fff]", done.stdout + done.stderr), line


def test_a_language_in_the_environment_is_checked_and_may_be_empty(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=1)
    wrong = eventabs("status", "x", cwd=tmp_path, EVENTABS_LANG="fr")
    assert wrong.returncode == 2
    assert "auto, en, zh" in one_error_line(wrong.stderr)
    ran("run", "input.jsonl", "--provider", "rules", cwd=tmp_path, EVENTABS_LANG="")


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("EVENTABS_MODEL", "m", "EVENTABS_LLM__MODEL"),
        ("EVENTABS_INPUT__PATHS", "a.csv", "JSON"),
    ],
)
def test_a_variable_that_sets_nothing_is_no_silent_typo(
    tmp_path: Path, variable: str, value: str, hint: str
) -> None:
    write_users(tmp_path / "input.jsonl", users=1)
    done = eventabs("run", "input.jsonl", cwd=tmp_path, stdin=None, **{variable: value})
    assert done.returncode == 2
    assert hint in one_error_line(done.stderr)


def test_a_file_name_that_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    write_users(tmp_path / name, users=1)
    done = eventabs("run", name, "--provider", "rules", cwd=tmp_path)
    assert done.returncode == 2
    assert "rename" in one_error_line(done.stderr)


def test_a_run_from_standard_input_goes_on_where_it_was_moved_to(tmp_path: Path) -> None:
    rows = write_users(tmp_path / "rows.jsonl", users=3).read_bytes()
    ran("run", "-", "--provider", "rules", "--limit", 1, "--out", "a", cwd=tmp_path, stdin=rows)
    (tmp_path / "a").rename(tmp_path / "b")
    done = ran("resume", "b", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["success_count"] == 3
