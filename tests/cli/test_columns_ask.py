"""`columns --ask`: what is sent, how the answer stands beside the columns by values, and what is written."""

import json
import os
import sqlite3  # noqa: TID251  the file of a user, not ours
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from house import eventabs, ran
from openai_server import OpenAIServer, answer

ROWS = "member_id,staff_id,done_at,action,item,remark\n" + "".join(
    f"anna{n % 3:03d},s{n % 2},2026-03-{1 + n % 27:02d} 10:{n % 60:02d},{'buy' if n % 4 else 'look'},thing {n % 7},"
    f"seen by anna{n % 3:03d}\n"
    for n in range(60)
)
RIGHT = '[input.columns]\nuser = "member_id"\ntime = "done_at"\naction = "action"\nitem = "item"\n'
OTHER = RIGHT.replace('user = "member_id"', 'user = "staff_id"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "export.csv").write_text(ROWS, encoding="utf-8")
    values = ran("columns", "export.csv", "--json", cwd=tmp_path)
    assert json.loads(values.stdout)["columns"]["user"] == "member_id"
    return tmp_path


def named(server: OpenAIServer) -> tuple[str, ...]:
    return ("columns", "export.csv", "--ask", "--model", "m", "--base-url", server.base_url)


def saying(server: OpenAIServer, text: str) -> tuple[str, ...]:
    server.behavior = answer(lambda _message: text)
    return named(server)


def test_one_call_shows_the_model_names_types_and_20_rows_without_ids_of_users_and_that_is_said_before(
    folder: Path, openai_server: OpenAIServer
) -> None:
    done = ran(*saying(openai_server, RIGHT), cwd=folder)
    (request,) = openai_server.requests
    columns, _blank, rows = request.user_message.partition("\n\nRows:\n")
    assert '"done_at": times, 60 different, 100% filled' in columns
    assert len(rows.splitlines()) == 20
    assert "thing 3" in rows
    assert "anna" not in rows  # neither in its column nor inside a remark
    assert "seen by [id1]" in rows
    host = openai_server.base_url.split("/")[2]
    assert f"Sent to m at {host}: names and types of the columns and 20 rows of export.csv" in done.stderr


def test_where_both_read_the_same_that_is_said(folder: Path, openai_server: OpenAIServer) -> None:
    for text in (
        RIGHT,
        f"<think>Which one?</think>Here it is:\n```toml\n{RIGHT}```\nDone.",
        json.dumps(tomllib.loads(RIGHT)),
    ):
        done = ran(*saying(openai_server, text), cwd=folder)
        assert "Both read the same users, times, durations and actions." in done.stdout
        assert 'user = "member_id"' in done.stdout


def test_where_they_differ_both_are_shown_with_the_first_line_and_nothing_is_written(
    folder: Path, openai_server: OpenAIServer
) -> None:
    done = ran(*saying(openai_server, OTHER), cwd=folder)
    assert "Both read the same" not in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("user  "))
    assert row.split() == ["user", "60", "2", "s0", "anna000"]
    assert 'user = "staff_id"' in done.stdout
    assert 'user = "member_id"' in done.stdout
    assert not (folder / "eventabs.toml").exists()
    told = json.loads(ran(*saying(openai_server, OTHER), "--json", cwd=folder).stdout)
    assert told["agree"] is False
    assert told["differences"][0] == {
        "what": "user",
        "rows": 60,
        "line": 2,
        "by_model": "s0",
        "by_values": "anna000",
    }
    assert told["model"]["described"]["columns"]["user"] == "staff_id"


@pytest.mark.parametrize(("which", "user"), [("model", "staff_id"), ("values", "member_id")])
def test_write_puts_the_chosen_columns_into_the_config_in_place(
    folder: Path, openai_server: OpenAIServer, which: str, user: str
) -> None:
    config = folder / "shared.toml"
    config.write_bytes(b'# ours\r\nlang = "en"\r\n\r\n[input.columns]\r\nplace = "-" # none\r\n')
    config.chmod(0o644)
    (folder / "eventabs.toml").symlink_to("shared.toml")
    ran(*saying(openai_server, OTHER), "--write", which, cwd=folder)
    assert (folder / "eventabs.toml").is_symlink()
    assert config.stat().st_mode & 0o777 == 0o644
    text = config.read_bytes().decode()
    assert text.startswith('# ours\r\nlang = "en"\r\n')
    assert 'place = "-" # none' in text
    assert tomllib.loads(text)["input"]["columns"]["user"] == user
    again = ran("columns", "export.csv", "--json", cwd=folder)
    assert json.loads(again.stdout)["columns"]["user"] == user


def test_rows_that_one_reading_lacks_are_told_apart_from_rows_that_differ(
    folder: Path, openai_server: OpenAIServer
) -> None:
    with (folder / "export.csv").open("a", encoding="utf-8") as file:
        file.write("anna001,,2026-03-09 10:00,buy,thing 1,\n")
    told = json.loads(ran(*saying(openai_server, OTHER), "--json", cwd=folder).stdout)
    assert [(each["what"], each["rows"], each["line"]) for each in told["differences"]] == [
        ("user", 60, 2),
        ("rows", 1, 62),
    ]
    assert "anna001 2026-03-09 10:00:00" in told["differences"][1]["by_values"]
    assert told["differences"][1]["by_model"] == ""


def test_a_reading_by_the_model_that_is_not_sound_is_not_written(
    folder: Path, openai_server: OpenAIServer
) -> None:
    with (folder / "export.csv").open("a", encoding="utf-8") as file:
        file.write("anna001,,2026-03-09 10:00,buy,thing 1,\n" * 2)
    assert "config file: --write values\n" in ran(*saying(openai_server, OTHER), cwd=folder).stdout
    done = eventabs(*saying(openai_server, OTHER), "--write", "model", cwd=folder)
    assert done.returncode == 2
    assert "To write one" not in done.stdout
    assert "2 rows cannot be read, by values 0; the first is line 62: no_user" in done.stderr
    assert not (folder / "eventabs.toml").exists()
    wrong = RIGHT.replace('time = "done_at"', 'time = "item"')
    done = eventabs(*saying(openai_server, wrong), "--write", "model", cwd=folder)
    assert done.returncode == 2
    assert "nothing is written" in done.stderr
    assert "line 2" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"input": 3}', "it is no table [input.columns] with user and time"),
        ("I do not know.", "it is no table [input.columns] with user and time"),
        ('[input.columns]\nuser = "member_id"\n', "it is no table [input.columns] with user and time"),
        ('[input]\npaths = ["/etc/passwd"]\n' + RIGHT, "it sets input.paths"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_in_one_line(
    folder: Path, openai_server: OpenAIServer, text: str, said: str
) -> None:
    done = eventabs(*saying(openai_server, text), cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "ask again, or name the columns yourself" in done.stderr.splitlines()[-1]


def test_a_column_that_the_file_lacks_is_named(folder: Path, openai_server: OpenAIServer) -> None:
    done = ran(*saying(openai_server, RIGHT.replace("member_id", "customer")), cwd=folder)
    assert "Not sound by the model: export.csv has no column customer" in done.stdout
    assert 'user = "member_id"' in done.stdout


def trips(leaving: str = "2026-03-02 10:{n:02d}:07", time: str = "2026-03-01 10:{n:02d}:07") -> str:
    """Return rows of a minute each; `leaving` and `time` are templates, of which the number of the row is filled in."""
    rows = (
        f"anna{n % 3:03d},{time.format(n=n)},{leaving.format(n=n)},{'buy' if n % 4 else 'look'},thing {n % 7},\n"
        for n in range(60)
    )
    return "member_id,done_at,leaving,action,item,spot\n" + "".join(rows)


def told_of(server: OpenAIServer, folder: Path, text: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return what is told as JSON, the tables that are written, and what people read."""
    shown = ran(*saying(server, text), cwd=folder).stdout
    told = ran(*saying(server, text), "--json", "--write", "model", cwd=folder).stdout
    written = tomllib.loads((folder / "eventabs.toml").read_text("utf-8"))["input"]
    return json.loads(told), written, " ".join(shown.split())


@pytest.mark.parametrize(
    ("line", "role", "said"),
    [
        ('brand = "maker"', "brand", "brand = maker; export.csv has no column maker"),
        ('weather = "item"', "", "weather = item; settings: there is no setting input.columns.weather"),
        (
            'offset = "leaving"',
            "offset",
            "offset = leaving; 60 rows cannot be read: bad_time; to do without:",
        ),
        ("price = 3", "price", "price = 3; settings: input.columns.price: it takes a text"),
        (
            'place = "spot"',
            "place",
            "place = spot; [input.columns] place names the column spot, which can",
        ),
        (
            'end = "leaving"',
            "end",
            "end = leaving; 100 % of the durations go beyond the same user's next row",
        ),
    ],
)
def test_a_role_that_rows_can_do_without_is_left_out_where_a_fault_names_it_and_that_is_said(
    folder: Path, openai_server: OpenAIServer, line: str, role: str, said: str
) -> None:
    (folder / "export.csv").write_text(trips(), encoding="utf-8")
    told, written, shown = told_of(openai_server, folder, f"{RIGHT}{line}\n")
    (what,) = told["left_out"]
    assert what.startswith(said)
    assert f"Left out of the model's answer: {said}" in shown
    assert told["model"]["doubts"] == told["differences"] == []
    right = tomllib.loads(RIGHT)["input"]["columns"]
    assert written["columns"] == right | ({role: "-"} if role else {})  # nor is it found by its name


def test_several_faults_are_left_out_and_what_rows_need_is_not(
    folder: Path, openai_server: OpenAIServer
) -> None:
    (folder / "export.csv").write_text(trips(), encoding="utf-8")
    text = RIGHT + 'place = "spot"\nbrand = "maker"\nend = "leaving"\n'
    told, _written, _shown = told_of(openai_server, folder, text)
    assert [each.split()[0] for each in told["left_out"]] == ["brand", "place", "end"]
    for needed in ("member_id", "done_at", "action"):
        wrong = text.replace(f'= "{needed}"', '= "deed"')
        done = eventabs(*saying(openai_server, wrong), "--write", "model", cwd=folder)
        assert done.returncode == 2
        assert "export.csv has no column deed" in done.stderr


@pytest.mark.parametrize("early", [3, 9])
def test_of_durations_that_cannot_be_read_those_are_put_up_with_that_a_run_puts_up_with(
    folder: Path, openai_server: OpenAIServer, early: int
) -> None:
    rows = trips("2026-03-01 10:{n:02d}:37").splitlines()
    rows[1 : early + 1] = (each.replace(":37,", ":00,") for each in rows[1 : early + 1])
    (folder / "export.csv").write_text("\n".join(rows), encoding="utf-8")
    told, written, shown = told_of(openai_server, folder, f'{RIGHT}end = "leaving"\n')
    is_kept = early == 3
    assert written["columns"]["end"] == ("leaving" if is_kept else "-")
    assert told["model"]["described"]["rejected_rows"] == (3 if is_kept else 0)
    assert ("3 rows rejected (bad_duration 3)" in shown) == is_kept
    left = [] if is_kept else ["end = leaving; 9 rows cannot be read: bad_duration; to do without"]
    assert [each.rpartition(":")[0] for each in told["left_out"]] == left


@pytest.mark.parametrize("order", ["true", "false"])
def test_an_order_of_dates_is_left_out_where_more_rows_can_be_read_without_it(
    folder: Path, openai_server: OpenAIServer, order: str
) -> None:
    rows = trips().splitlines()
    rows[1] = rows[1].replace("2026-03-01", "03-14-2026", 1)
    (folder / "export.csv").write_text("\n".join(rows), encoding="utf-8")
    told, written, _shown = told_of(openai_server, folder, f"[input]\ndayfirst = {order}\n{RIGHT}")
    left = ["dayfirst; without it more rows can be read"] if order == "true" else []
    assert told["left_out"] == left
    assert ("dayfirst" in written) == (not left)
    assert told["model"]["described"]["rejected_rows"] == 0


def test_a_zone_that_only_some_times_name_is_taken_as_the_refusal_proposes_it(
    folder: Path, openai_server: OpenAIServer
) -> None:
    rows = trips(time="2026-03-01T10:{n:02d}:07Z").replace("T10:07:07Z", " 10:07")
    (folder / "export.csv").write_text(rows, encoding="utf-8")
    told, written, _shown = told_of(openai_server, folder, RIGHT)
    assert written["timezone"] == "UTC"
    assert told["model"]["described"]["behaviors"] == 60


@pytest.mark.parametrize(("user", "may_be_lost"), [("member_id", 0.07), ("spot", None)])
def test_rows_that_the_reading_by_values_lacks_too_may_be_lost_as_the_refusal_proposes_it(
    folder: Path, openai_server: OpenAIServer, user: str, may_be_lost: float | None
) -> None:
    rows = trips().replace("anna000,2026-03-01 10:0", ",2026-03-01 10:0").replace(",\n", ",room\n", 30)
    (folder / "export.csv").write_text(rows, encoding="utf-8")
    done = eventabs(*saying(openai_server, RIGHT.replace("member_id", user)), "--write", "model", cwd=folder)
    if may_be_lost:
        written = tomllib.loads((folder / "eventabs.toml").read_text("utf-8"))["input"]
        assert (done.returncode, written["max_rejects"]) == (0, may_be_lost)
    else:
        assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_who_never_comes_back_is_a_user_where_the_model_says_so(
    folder: Path, openai_server: OpenAIServer
) -> None:
    rows = trips().splitlines()
    rows[1:] = (f"{n}{row}" for n, row in enumerate(rows[1:]))
    (folder / "export.csv").write_text("\n".join(rows), encoding="utf-8")
    told, written, shown = told_of(openai_server, folder, RIGHT)
    assert written["columns"]["user"] == "member_id"
    assert told["model"]["doubts"] == []
    assert "nearly every row is another user" in shown


def test_columns_found_by_name_for_what_an_answer_leaves_out_are_no_fault_of_it(
    folder: Path, openai_server: OpenAIServer
) -> None:
    rows = trips("Street {n}").replace("member_id", "k").replace(",thing 5,", ",thing 5,Rome", 1)
    names = rows.replace("leaving", "user_location").replace("spot", "place")
    (folder / "export.csv").write_text(names, encoding="utf-8")
    told, written, shown = told_of(openai_server, folder, RIGHT.replace("member_id", "k"))
    assert "the column user_location has the role place" in shown
    assert told["model"]["doubts"] == []
    assert written["columns"]["user"] == "k"


def test_rows_without_a_header_are_compared_with_the_names_that_their_values_propose(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    rows = "".join(
        f"{18000 + n * 7 % 290},2026-03-01 10:{n // 60:02d}:{n % 60:02d},1,255\n" for n in range(300)
    )
    (tmp_path / "export.csv").write_text(rows, encoding="utf-8")
    text = '[input.columns]\nuser = "c1"\ntime = "c2"\naction = "=punch"\n'
    told, written, shown = told_of(openai_server, tmp_path, text)
    # which both warn of, so that it is no doubt of one
    assert shown.count("nearly every row is another user") == 2
    assert told["values"]["described"]["columns"]["user"] == "user_id"
    assert written["columns"]["user"] == "c1"
    (tmp_path / "eventabs.toml").unlink()
    ran(*saying(openai_server, text), "--write", "values", cwd=tmp_path)
    written = tomllib.loads((tmp_path / "eventabs.toml").read_text("utf-8"))["input"]
    assert written["header"][:2] == ["user_id", "timestamp"]


def test_a_file_that_is_refused_by_values_is_asked_about_too(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    rows = "".join(f"{line.partition(',')[2]}\n" for line in ROWS.splitlines()[1:])
    (tmp_path / "export.csv").write_text(rows, encoding="utf-8")
    text = '[input.columns]\nuser = "c1"\ntime = "c2"\naction = "c3"\nitem = "c4"\n'
    done = ran(*saying(openai_server, text), "--write", "model", cwd=tmp_path)
    assert "has no header" in done.stdout
    config = tomllib.loads((tmp_path / "eventabs.toml").read_text("utf-8"))
    assert config["input"]["header"] == ["c1", "c2", "c3", "c4", "c5"]
    assert ran("columns", "export.csv", cwd=tmp_path).stdout.count('user = "c1"') == 1


def test_of_a_file_with_broken_rows_the_others_are_shown(tmp_path: Path, openai_server: OpenAIServer) -> None:
    broken = "".join(
        f"{line},one,more\n" if number % 7 == 5 else f"{line}\n"
        for number, line in enumerate(ROWS.splitlines(), 2)
    )
    (tmp_path / "export.csv").write_text(broken, encoding="utf-8")
    eventabs(*saying(openai_server, RIGHT), cwd=tmp_path)
    (request,) = openai_server.requests
    assert len(request.user_message.partition("\n\nRows:\n")[2].splitlines()) == 20


def test_of_a_database_the_model_sees_the_other_tables_and_may_name_one(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.execute("CREATE TABLE orders (member_id, done_at, action, item)")
        database.execute("CREATE TABLE visits (member_id, done_at, action, page)")
        for n in range(60):
            row = (f"anna{n % 3:03d}", f"2026-03-{1 + n % 27:02d} 10:{n % 60:02d}", "buy", f"thing {n % 7}")
            database.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", row)
            if n % 2:
                database.execute("INSERT INTO visits VALUES (?, ?, ?, ?)", row)
        database.commit()
    asked = [each.replace("export.csv", "app.db") for each in saying(openai_server, RIGHT)]
    text = RIGHT.replace('item = "item"', 'item = "page"')
    openai_server.behavior = answer(lambda _message: f'[input]\ntable = "visits"\n{text}')
    told = json.loads(ran(*asked, "--json", cwd=tmp_path).stdout)
    assert "Other tables:\nvisits: member_id, done_at, action, page" in openai_server.requests[0].user_message
    assert told["agree"] is False
    assert [(each["what"], each["by_model"], each["rows"]) for each in told["differences"]] == [
        ("table", "visits", 30)
    ]
    openai_server.behavior = answer(lambda _message: f'[input]\ntable = "users"\n{text}')
    done = eventabs(*asked, cwd=tmp_path)
    assert done.returncode == 1
    assert "it sets input.table" in done.stderr.splitlines()[-1]


def test_what_speaks_against_no_user_and_no_time_is_said_and_the_reading_written(
    folder: Path, openai_server: OpenAIServer
) -> None:
    text = '[input.columns]\nuser = "member_id"\ntime = "done_at"\naction = "-"\ntext = "remark"\nitem = "item"\n'
    done = ran(*saying(openai_server, text), "--write", "model", cwd=folder)
    assert "the column item reaches no line, since remark says what was done" in " ".join(done.stdout.split())
    assert "Not sound" not in done.stdout
    assert (
        tomllib.loads((folder / "eventabs.toml").read_text("utf-8"))["input"]["columns"]["text"] == "remark"
    )


def test_names_of_coded_actions_are_taken_and_written(tmp_path: Path, openai_server: OpenAIServer) -> None:
    rows = "user_id,timestamp,action,item\n" + "".join(
        f"u{n % 3},2026-03-{1 + n % 27:02d} 10:{n % 60:02d},{n % 2},thing {n % 7}\n" for n in range(60)
    )
    (tmp_path / "export.csv").write_text(rows, encoding="utf-8")
    text = '[input.columns]\nuser = "user_id"\ntime = "timestamp"\naction = "action"\nitem = "item"\n[input.names]\n1 = "buy"\n'
    done = ran(*saying(openai_server, text), "--write", "model", cwd=tmp_path)
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("activity  "))
    assert "purchase thing 1" in row
    told = json.loads(ran("columns", "export.csv", "--json", cwd=tmp_path).stdout)
    assert any("buy" in each["becomes"] for each in told["rows"])
    assert tomllib.loads(told["proposal"])["input"]["names"] == {"1": "buy"}


def test_who_cannot_be_asked_hears_why_before_anything_is_sent(
    folder: Path, openai_server: OpenAIServer
) -> None:
    (folder / "empty.csv").touch()
    given = named(openai_server)
    for arguments, said in (
        (("columns", "export.csv", "--ask"), "set llm.model or --model"),
        (("columns", "-", *given[2:]), "copy it to a file, and name that"),
        (("columns", "empty.csv", *given[2:]), "empty.csv is empty"),
        (("columns", "export.csv", "--write", "model"), "--write goes with --ask"),
    ):
        done = eventabs(*arguments, cwd=folder)
        assert done.returncode == 2, said
        assert said in done.stderr
    assert not openai_server.requests


def test_a_config_that_cannot_be_written_is_named(folder: Path, openai_server: OpenAIServer) -> None:
    done = eventabs(
        *saying(openai_server, RIGHT), "--write", "model", cwd=folder, EVENTABS_CONFIG=os.devnull + "/no.toml"
    )
    assert done.returncode == 2
    assert "no.toml" in done.stderr


def test_a_model_may_give_one_word_for_all_rows_and_the_zone_of_times_that_name_none(
    folder: Path, openai_server: OpenAIServer
) -> None:
    rows = ROWS.replace(":00,buy", ":00+08:00,buy")
    (folder / "export.csv").write_text(rows, encoding="utf-8")
    text = '[input]\ntimezone = "Asia/Shanghai"\n' + RIGHT.replace('action = "action"', 'action = "=visit"')
    ran(*saying(openai_server, text), "--write", "model", cwd=folder)
    written = tomllib.loads((folder / "eventabs.toml").read_text("utf-8"))["input"]
    assert (written["timezone"], written["columns"]["action"]) == ("Asia/Shanghai", "=visit")


def test_days_without_hours_are_written_where_no_other_reading_has_hours(
    folder: Path, openai_server: OpenAIServer
) -> None:
    rows = "".join(
        f"CN-{n},2026-03-{1 + n % 27:02d},west,ann{n % 3},thing {n % 7} x,{n}.50\n" for n in range(60)
    )
    (folder / "export.csv").write_text(
        rows, encoding="utf-8"
    )  # without a header, so that values are asked about
    text = '[input.columns]\nuser = "c4"\ntime = "c2"\nitem = "c5"\n'
    ran(*saying(openai_server, text), "--write", "model", cwd=folder)
    assert tomllib.loads((folder / "eventabs.toml").read_text("utf-8"))["input"]["columns"]["time"] == "c2"


def test_a_year_in_a_time_is_not_masked_where_it_is_also_the_id_of_a_user(
    folder: Path, openai_server: OpenAIServer
) -> None:
    rows = ROWS.replace("anna00", "202").replace("2026-03", "2021-03").replace("thing 1", "thing 2021")
    (folder / "export.csv").write_text(rows, encoding="utf-8")
    ran(*saying(openai_server, RIGHT), cwd=folder)
    (request,) = openai_server.requests
    shown = request.user_message.partition("\n\nRows:\n")[2]
    assert '"done_at": "2021-03-' in shown
    assert "thing 2021" not in shown
