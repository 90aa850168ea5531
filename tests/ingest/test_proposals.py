"""What is proposed can be copied: it gives the reading that was shown, or the one that a refusal asks about."""

import json
import tomllib
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from input_files import facts, opened, proposed, settings_of, write
from paths import ROOT

DIGITS = str.maketrans("", "", "-: ")
TIMES = [f"2026-01-{day:02} {8 + day % 9:02}:{day:02}:00" for day in range(1, 29)]


def gym(head: str = "cliente_id,fecha,hora,tipo_acceso,clase,duracion_min") -> str:
    rows = [
        f"{n % 5},{time[:10]},{time[11:16]},{('Tarjeta', 'Puerta')[n % 2]},Clase {n % 25},{n}"
        for n, time in enumerate(TIMES, 1)
    ]
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize(
    "path", [ROOT / "examples" / "behaviors.jsonl", ROOT / "tests/data/pinned/input/behaviors.csv"]
)
def test_the_proposal_for_a_file_that_is_read_reads_it_alike(tmp_path: Path, path: Path) -> None:
    with opened(tmp_path, path) as export:
        shown = export.description.columns, export.behaviors, list(export.user_logs())
    with opened(tmp_path, path, **proposed(tmp_path, path)) as export:
        assert (export.description.columns, export.behaviors, list(export.user_logs())) == shown


def test_what_values_alone_say_was_done_is_read_and_said_with_the_line_that_changes_it(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "a.csv", gym("cliente_id,fecha,hora,modo,clase,duracion_min"))
    with opened(tmp_path, path) as export:
        (said,) = [each.message for each in export.description.warnings if each.code == "guessed_activity"]
    assert 'action = "modo", item = "clase"' in said
    assert said.endswith('[input.columns] action = "..."')
    (first, *_rest) = facts(tmp_path, path)
    assert first == "0|2026-01-05T13:05:00|Puerta|Clase 5||300"


def test_where_nothing_says_what_was_done_or_only_in_some_rows_each_row_is_a_record_of_its_state(
    tmp_path: Path,
) -> None:
    rows = [f"{n % 5},{time},{n}" for n, time in enumerate(TIMES, 1)]
    assert (
        facts(tmp_path, write(tmp_path, "a.csv", "\n".join(["user_id,time,score", *rows])))[0].split("|")[2]
        == "record"
    )
    rows = [
        f"{n % 5},{time},{'so' * (n % 9 == 0)},{('late', 'sent')[n % 2]}" for n, time in enumerate(TIMES, 1)
    ]
    path = write(tmp_path, "b.csv", "\n".join(["user_id,time,comment,status", *rows]))
    assert {each.split("|")[2] for each in facts(tmp_path, path)} == {"late", "sent"}


@pytest.mark.parametrize("name", ["promo", "event", "product", "premium"])
def test_yes_and_no_never_say_what_was_done(tmp_path: Path, name: str) -> None:
    rows = [f"{n % 5},{time},{('yes', 'no')[n % 2]}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join([f"user_id,time,{name}", *rows]))
    assert {tuple(each.split("|")[2:4]) for each in facts(tmp_path, path)} == {("record", "")}
    with (
        pytest.raises(InputError, match="--columns user_id,timestamp,c3 "),
        opened(tmp_path, write(tmp_path, "b.csv", "\n".join(f"u{row}" for row in rows))),
    ):
        pass


def test_the_proposal_for_lists_of_users_and_for_a_schema_of_ones_own_read_them(tmp_path: Path) -> None:
    rows = [{"time": "2026-01-01 10:00:00", "item": "a"}, {"time": "2026-01-02 10:00:00", "item": "b"}]
    path = write(tmp_path, "two.json", json.dumps({"u1": rows, "u2": rows}))
    with opened(tmp_path, path, **proposed(tmp_path, path)) as export:
        assert (export.users, export.behaviors) == (2, 4)
    own = 'title = "own"\nrecognized_by = []\n[columns]\nuser = "who"\ntime = "at"\nitem = "what"\n'
    schema = str(write(tmp_path, "own.toml", own))
    path = write(tmp_path, "a.csv", "who,at,what\nu1,2026-01-01,a\n")
    with opened(tmp_path, path, schema=schema) as export:
        assert settings_of(export.description.proposal) == {"schema": schema}


def test_columns_as_pandas_writes_them_are_refused_with_what_writes_rows(tmp_path: Path) -> None:
    frame = {"user_id": {"0": "u1", "1": "u2"}, "time": {"0": TIMES[0], "1": TIMES[1]}}
    path = write(tmp_path, "df.json", json.dumps(frame))
    with pytest.raises(InputError, match=r"orient=\"records\", lines=True"), opened(tmp_path, path):
        pass


def test_of_users_the_fields_of_their_object_and_what_is_alike_in_all_their_rows_say_nothing_of_what_was_done(
    tmp_path: Path,
) -> None:
    rows = "".join(
        f'{{"user": {{"id": {n % 5}, "url": "http://x.org/{n % 5}", "type": "A{n % 3}"}}, "at": "{time}", "plan": "p{n % 5 % 2}", "kind": "k{n % 3}", "way": "w{n % 7}"}}\n'
        for n, time in enumerate(TIMES)
    )
    path = write(tmp_path, "a.jsonl", rows)
    with opened(tmp_path, path) as export:
        assert export.description.columns == {
            "user": "user.id",
            "time": "at",
            "action": "kind",
            "item": "way",
        }


def test_of_two_columns_that_may_be_the_user_one_is_asked_for_and_the_other_named(tmp_path: Path) -> None:
    rows = "".join(f"view,{n % 7},r{n % 4},{time}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"action,patient,visitor,time\n{rows}")
    with (
        pytest.raises(InputError, match="patient and visitor") as caught,
        opened(tmp_path, path, duration_unit="ms", dayfirst=False),
    ):
        pass
    assert 'user = "patient"  # or "visitor"' in caught.value.proposal
    settings = settings_of(caught.value.proposal)
    assert (settings["duration_unit"], settings["dayfirst"]) == ("ms", False)


def test_rows_that_say_nobody_are_proposed_as_those_of_one(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "ts,username,track_name\n" + "".join(f"{time},,song\n" for time in TIMES))
    assert proposed(tmp_path, path)["user"] == "me"
    assert len(facts(tmp_path, path, **proposed(tmp_path, path))) == len(TIMES)


def test_of_several_columns_of_a_role_the_first_that_is_filled_counts_and_a_word_may_stand_for_one(
    tmp_path: Path,
) -> None:
    rows = '{"user": "u1", "time": "2026-01-15 10:00:42", "p": {"name": "tent"}}\n{"user": "u2", "time": "2026-01-15 10:00:42", "p": {"name": "", "content": "boots"}}\n'
    path = write(tmp_path, "a.jsonl", rows)
    assert facts(tmp_path, path, columns={"item": "p.name | p.content", "action": "=view"}) == [
        "u1|2026-01-15T10:00:42|browse|tent||",
        "u2|2026-01-15T10:00:42|browse|boots||",
    ]


def test_ids_that_come_back_are_proposed_as_the_user_or_as_the_object_where_no_name_says_more(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{n},{n % 9},{n % 3},{time}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"id,quiz_id,teller_id,time\n{rows}")
    assert proposed(tmp_path, path)["columns"] == {"user": "teller_id", "time": "time", "item": "quiz_id"}
    path = write(tmp_path, "b.csv", f"try_id,quiz_id,user_id,time\n{rows}")
    assert proposed(tmp_path, path)["columns"] == {"user": "user_id", "time": "time", "item": "quiz_id"}


def test_where_no_name_says_who_the_first_column_that_comes_back_is_proposed_persons_rather_than_their_region(
    tmp_path: Path,
) -> None:
    rows = [f"{n % 9 // 5},{n % 3},zu{n % 9}k,{time},olu {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["gurka,vesh,trobal,time,kelti", *rows]))
    assert proposed(tmp_path, path)["columns"]["user"] == "trobal"
    rows = [f"{time},olu {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "b.csv", "\n".join(["time,kelti", *rows]))
    assert proposed(tmp_path, path)["user"] == "me"


def test_numbers_side_by_side_whose_names_say_no_day_are_no_time(tmp_path: Path) -> None:
    rows = [f"u{n % 5},{1950 + n},{n % 12 + 1},{n % 28 + 1},tea {n}" for n in range(28)]
    for names in ("birth_year,birth_month,birth_day", "store,rating,qty"):
        path = write(tmp_path, "a.csv", "\n".join([f"user_id,{names},item", *rows]))
        with pytest.raises(InputError, match="no time column") as caught, opened(tmp_path, path):
            pass
        assert not caught.value.proposal


def test_an_id_of_the_row_is_no_object_beside_what_was_done(tmp_path: Path) -> None:
    rows = [f"u{n % 5},{time},mood {n % 3},VIS{n:04}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user,time,trobal,vesh_id", *rows]))
    with opened(tmp_path, path) as export:
        assert export.description.columns == {"user": "user", "time": "time", "action": "trobal"}


def test_columns_that_are_one_together_are_joined_and_a_time_in_parts_is_proposed_so(tmp_path: Path) -> None:
    rows = [f"Ann,Lee{n % 5},{n},7,2013,{n % 24},{n % 60},tea {n}" for n in range(1, 29)]
    path = write(tmp_path, "a.csv", "\n".join(["First,Last,d,m,y,h,min,item", *rows]))
    table = proposed(tmp_path, path)["columns"]
    assert (table["date"], table["time"]) == ("y + m + d", "h + min")
    table |= {"user": "First + Last"}
    assert facts(tmp_path, path, columns=table)[0].startswith("Ann Lee0|2013-07-05T05:05:00|")
    day = {"user": "First | Last", "time": "y + m + d", "date": "-", "item": "item"}
    assert facts(tmp_path, path, columns=day)[0].startswith("Ann|2013-07-01T00:00:00|")
    with (
        pytest.raises(InputError, match="has no column y \\+ month"),
        opened(tmp_path, path, columns={"time": "y + month"}),
    ):
        pass


def test_rows_whose_object_is_empty_are_records_and_lists_of_plain_values_are_objects(tmp_path: Path) -> None:
    rows = [f"{n % 5}\t{time}\t{'[7, 8]' if n % 3 else '[]'}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.tsv", "\n".join(["user_id\ttime\tviewed_products", *rows]))
    with opened(tmp_path, path) as export:
        assert export.description.columns["item"] == "viewed_products[*]"
        assert "guessed_activity" in {each.code for each in export.description.warnings}
    assert {tuple(each.split("|")[2:4]) for each in facts(tmp_path, path)} == {
        ("record", "7, 8"),
        ("record", ""),
    }


def test_numbers_that_count_or_are_times_say_nothing_of_what_was_done(tmp_path: Path) -> None:
    rows = [f"{n % 5},{time},1668157{n:06}.0,{n % 3},m{n % 2}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user_id,time,task_start,overload_events,mode", *rows]))
    with opened(tmp_path, path) as export:
        assert export.description.columns["action"] == "mode"


def test_users_that_are_numbers_within_a_team_are_told(tmp_path: Path) -> None:
    rows = [f"{n % 2},t{n % 4}x,{time},song {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user,team,time,item", *rows]))
    with opened(tmp_path, path) as export:
        (said,) = [each.message for each in export.description.warnings if each.code == "numbered_users"]
    assert said.endswith('[input.columns] user = "team"')


def test_an_id_of_one_is_proposed_as_the_user_where_no_other_comes_back(tmp_path: Path) -> None:
    rows = "".join(f"{n},1,{time},milk\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"id,child_id,start,type\n{rows}")
    assert proposed(tmp_path, path)["columns"]["user"] == "child_id"


def test_a_session_of_some_rows_is_no_user(tmp_path: Path) -> None:
    rows = "".join(f"{'s1' * (n % 2)},{time},view\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"session,time,action\n{rows}")
    with pytest.raises(InputError, match="no user column that is sure"), opened(tmp_path, path):
        pass


def test_a_runner_up_for_an_object_is_named_beside_it(tmp_path: Path) -> None:
    rows = "".join(f"{n % 5},{time},song {n % 9},film {n % 8}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"user,time,song,film\n{rows}")
    with opened(tmp_path, path) as export:
        assert 'item = "song"  # or "film"' in export.description.proposal


def test_addresses_and_ids_of_persons_are_users_of_rows_without_a_header(tmp_path: Path) -> None:
    rows = [
        f"{time},Prod-{n % 9},Cust-{n % 5},shop {n % 3},word {n % 4},tea {n}" for n, time in enumerate(TIMES)
    ]
    path = write(tmp_path, "a.csv", "\n".join(rows))
    with pytest.raises(InputError, match="--columns timestamp,c2,user_id,"), opened(tmp_path, path):
        pass
    rows = [
        f"{time.replace(' ', '  ')}  ORD{n % 9}  10.0.0.{n % 7}  {('GET', 'HEAD')[n % 2]}  /a/{n}"
        for n, time in enumerate(TIMES)
    ]
    path = write(tmp_path, "b.tsv", "\n".join(rows))
    with (
        pytest.raises(InputError, match="--columns date,time,c3,user_id,action,item"),
        opened(tmp_path, path),
    ):
        pass


def test_a_schema_that_finds_no_object_or_takes_users_for_one_person_gives_way_to_the_columns(
    tmp_path: Path,
) -> None:
    rows = [f"{time},u{n % 5},session_start,/page/{n}" for n, time in enumerate(TIMES)]
    text = "\n".join(["event_timestamp,user_pseudo_id,event_name,page_uri", *rows])
    assert (
        facts(tmp_path, write(tmp_path, "a.csv", text))[0] == "u0|2026-01-01T09:01:00|session_start|/page/0||"
    )
    rows = [f"{time},{n * 1000},song {n},m{n % 5}" for n, time in enumerate(TIMES)]
    text = "\n".join(["endTime,msPlayed,trackName,member", *rows])
    with opened(tmp_path, write(tmp_path, "b.csv", text)) as export:
        assert (export.description.columns["user"], export.users) == ("member", 5)


def test_a_schema_whose_column_of_users_names_nobody_asks_whose_file_it_is(tmp_path: Path) -> None:
    rows = [f"{time},60000,song {n}," for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["ts,ms_played,master_metadata_track_name,username", *rows]))
    with (
        pytest.raises(InputError, match=r"names nobody in its column username.*--user me"),
        opened(tmp_path, path),
    ):
        pass
    assert proposed(tmp_path, path) == {"user": "me"}
    with opened(tmp_path, path, user="me") as export:
        assert (export.users, export.behaviors) == (1, len(TIMES))


def test_the_notice_that_messages_are_encrypted_is_no_message(tmp_path: Path) -> None:
    notice = "[31/01/23, 12:09:00] Our group: \u200eMessages and calls are end-to-end encrypted.\n"
    said = "[31/01/23, 12:10:00] Ann: it is end-to-end encrypted\n[31/01/23, 12:11:00] Bob: yes\n"
    with opened(tmp_path, write(tmp_path, "a.txt", notice + said)) as export:
        assert (list(export.user_ids()), export.behaviors, export.skipped_lines) == (["Ann", "Bob"], 2, 1)


LOG = '9.9.9.{n} - - [17/May/2015:10:05:03 +0000] "GET /a{n} HTTP/1.1" 200 203 "http://x.org/" "Mozilla/5.0 (X11)"\n'
W3C = "#Software: IIS\n#Fields: date time cs-method cs-uri-stem c-ip time-taken\n2016-01-10 00:07:26 GET /a 9.9.9.1 2000\n"

ZEEK = "#path\thttp\n#fields\tts\tuid\tid.orig_h\tmethod\turi\n1379288667.668082\tCy1\t9.9.9.1\tGET\t/a b\n"

JSON_LOG = '2026-01-02 10:00:00 INFO {"user": "ann", "action": "view", "item": %s, "n": null}\n'


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (LOG.format(n=1) + LOG.format(n=2), "9.9.9.1|2015-05-17T10:05:03+00:00|GET|/a1||"),
        (W3C, "9.9.9.1|2016-01-10T00:07:26|GET|/a||2"),
        (W3C[:-51] + W3C[-51:].replace(" ", "\t"), "9.9.9.1|2016-01-10T00:07:26|GET|/a||2"),
        (ZEEK, "9.9.9.1|2013-09-15T23:44:27+00:00|GET|/a b||"),
        (
            "31/01/23, 12:09 - Ann: one\ntwo\n31/01/23, 12:10 - Bob: three\n",
            "Ann|2023-01-31T12:09:00||one two||",
        ),
        (
            "x\n2022년 4월 14일 오전 1:45, 김 : 안녕\n2022년 4월 14일 오후 1:45, 김 : 네\n",
            "김|2022-04-14T01:45:00||안녕||",
        ),
        ("[2020-10-30 20:25:16] <dj> hi: all\n" * 2, "dj|2020-10-30T20:25:16||hi: all||"),
        ("2026-01-02T10:00:00Z ann: hi - all\n" * 2, "ann|2026-01-02T10:00:00+00:00||hi - all||"),
        ("(1767348000) ann - hi, all\n" * 2, "ann|2026-01-02T10:00:00+00:00||hi, all||"),
        (
            "2026-01-02 10:00:00 [INFO] 用户: 张三, 动作: 浏览, 商品: 茶\n" * 2,
            "张三|2026-01-02T10:00:00|browse|茶||",
        ),
        (
            "编号,用户,动作,时间\n"
            + '"1","  码：96 , 王 级：甲  余额：0 | 收益：0 ","浏览","2026-01-02 10:00:00"\n' * 9,
            "码：96 , 王 级：甲  余额：0 | 收益：0|2026-01-02T10:00:00|browse|||",
        ),
        (
            "2026-01-02 10:00:00 用户：张三，动作：浏览，商品：茶\n" * 2,
            "张三|2026-01-02T10:00:00|browse|茶||",
        ),
        (
            "用户=张三 动作=浏览 商品=茶 时间=2026-01-02 10:00:00\n" * 2,
            "张三|2026-01-02T10:00:00|browse|茶||",
        ),
        (
            "user=ann action=view item=tea time=2026-01-02 08:01:42\n" * 2,
            "ann|2026-01-02T08:01:42|browse|tea||",
        ),
        (
            "user=ann;time=2026-01-02 08:01:42;action=view;item=red tea\n" * 2,
            "ann|2026-01-02T08:01:42|browse|red tea||",
        ),
        (
            "User: ann, Action: view, Item: tea, Time: 1/20/2026 8:01 PM\n" * 2,
            "ann|2026-01-20T20:01:00|browse|tea||",
        ),
        (JSON_LOG % '"\\u8336 \\"7\\""' * 2, 'ann|2026-01-02T10:00:00|browse|茶 "7"||'),
        (
            'ts=2026-01-02T10:00:00 level=info user=ann message="red tea"\n' * 2,
            "ann|2026-01-02T10:00:00|thing|red tea||",
        ),
        (JSON_LOG % '{"name": "\\u8336"}' * 2, "ann|2026-01-02T10:00:00|browse|茶||"),
    ],
)
def test_logs_of_servers_and_chats_are_read_by_the_form_of_their_lines(
    tmp_path: Path, text: str, first: str
) -> None:
    assert facts(tmp_path, write(tmp_path, "a.txt", text))[0] == first


def test_a_level_in_brackets_is_nobody(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.log",
        "2026-01-02 10:00:00 [INFO] opened: page a\n2026-01-02 10:00:01 [INFO] closed: page b\n",
    )
    with pytest.raises(InputError), opened(tmp_path, path):
        pass


@pytest.mark.parametrize(
    ("text", "broken", "left_out"),
    [
        (LOG.format(n=1) + '9.9.9.9 - - [17/May/2015:10:05:04 +0000] "-" 408 0\n' + LOG.format(n=2), 1, 0),
        (W3C + "#Software: IIS\n2016-01-10 00:07:27 GET /b\n" + W3C.splitlines()[-1][:-1] + "1\n", 1, 3),
        ("Chat\n\n" + "[2020-10-30 20:25:16] <dj> hi: all\nand\n" * 2, 0, 1),
    ],
)
def test_lines_of_a_log_that_have_another_form_are_rejected_and_titles_are_counted(
    tmp_path: Path, text: str, broken: int, left_out: int
) -> None:
    with opened(tmp_path, write(tmp_path, "a.txt", text), keep_duplicates=True) as export:
        assert (export.behaviors, export.reasons.get("bad_csv", 0)) == (2, broken)
        assert export.skipped_lines == left_out


QQ = """消息对象:群

2026-01-02 9:11:12 Ann (x)(123456)
早
多行

2026-01-02 9:11:20 系统消息(10000)
某人加入本群

2026-01-02 9:11:30 Bob<bob@qq.com>
[图片]

2026-01-02 9:12:12 Ann2(123456)
晚
"""
LINE = """[LINE] グループ
保存日時：2026/01/03 10:48

2026/01/02(火)
10:11\tAnn\tやあ
10:12\tBob\thi
all
10:13\t\tBobが退会しました。

2026/01/03(水)
午後1:11\tAnn\tはい
"""
EXPORTED = "Ann:\n时间: 2026-01-02 10:11:12\n内容: 早\n多行:\n\n\nBob:\n时间: 2026-01-02 10:12:12\n内容: 晚\n"


@pytest.mark.parametrize(
    ("text", "read", "left_out"),
    [
        (
            QQ,
            [
                "123456|2026-01-02T09:11:12||早 多行||",
                "123456|2026-01-02T09:12:12||晚||",
                "bob@qq.com|2026-01-02T09:11:30||[图片]||",
            ],
            3,
        ),
        (
            LINE,
            [
                "Ann|2026-01-02T10:11:00||やあ||",
                "Ann|2026-01-03T13:11:00||はい||",
                "Bob|2026-01-02T10:12:00||hi all||",
            ],
            3,
        ),
        (EXPORTED, ["Ann|2026-01-02T10:11:12||早 多行:||", "Bob|2026-01-02T10:12:12||晚||"], 0),
        (
            "1/2/26, 12:08 - Ann left\n1/31/26, 12:09 - Ann: one\n1/31/26, 12:10 - Bob: two\n",
            ["Ann|2026-01-31T12:09:00||one||", "Bob|2026-01-31T12:10:00||two||"],
            1,
        ),
    ],
)
def test_chats_in_blocks_are_read_and_what_the_program_says_is_counted(
    tmp_path: Path, text: str, read: list[str], left_out: int
) -> None:
    path = write(tmp_path, "a.txt", text)
    assert facts(tmp_path, path) == read
    with opened(tmp_path, path) as export:
        assert (export.rejected_rows, export.skipped_lines) == (0, left_out)


def test_long_numbers_that_come_in_many_rows_beside_a_time_are_proposed_as_the_user(tmp_path: Path) -> None:
    rows = "".join(f"150396036{n % 3},{time},{n}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"Id,SleepDay,TotalMinutesAsleep\n{rows}")
    columns = {"user": "Id", "time": "SleepDay", "action": "=record", "duration": "TotalMinutesAsleep"}
    assert proposed(tmp_path, path)["columns"] == columns
    rows = "".join(f"{n // 14},150396036{n % 3},{n}\n" for n, _time in enumerate(TIMES))
    path = write(tmp_path, "b.csv", f"user_id,at,item\n{rows}")  # beside no other time they are one
    with opened(tmp_path, path) as export:
        assert export.description.columns["time"] == "at"


def test_of_rows_without_a_header_long_numbers_and_user_words_are_users_and_few_words_are_actions(
    tmp_path: Path,
) -> None:
    rows = [
        f"{n % 4},20801662613600{n % 3},{('SMS', 'Call')[n % 2]},{time},00:00:{n % 60:02}"
        for n, time in enumerate(TIMES * 9)
    ]
    path = write(tmp_path, "a.csv", "\n".join(rows))
    with (
        pytest.raises(InputError, match="--columns c1,user_id,action,timestamp,duration "),
        opened(tmp_path, path),
    ):
        pass
    rows = [f"user_000001,{time},id{n % 5}x,song {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "b.csv", "\n".join(rows))
    with pytest.raises(InputError, match="--columns user_id,timestamp,c3,item "), opened(tmp_path, path):
        pass


def test_a_user_without_a_value_in_many_rows_gives_way_to_a_name_that_is_sure_too(tmp_path: Path) -> None:
    rows = "".join(f"{n % 5 if n % 3 else ''},P{n % 5},{time},milk\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"工号,姓名,时间,商品\n{rows}")
    with opened(tmp_path, path) as export:
        assert (export.description.columns["user"], export.rejected_rows) == ("姓名", 0)


def test_of_two_columns_of_things_the_one_with_few_values_gives_way(tmp_path: Path) -> None:
    rows = "".join(f"{n % 9},{time},{('Home', 'Song')[n % 2]},song {n}\n" for n, time in enumerate(TIMES * 9))
    path = write(tmp_path, "a.csv", f"user_id,time,page,song\n{rows}")
    with opened(tmp_path, path) as export:
        assert export.description.columns["item"] == "song"


def test_two_offsets_are_read_and_times_of_which_some_have_none_are_refused_with_the_line_that_reads_them(
    tmp_path: Path,
) -> None:
    both = "a,2026-10-25T01:59:00+02:00,x\na,2026-10-25T02:00:00+01:00,x\n"
    read = ["a|2026-10-25T01:59:00+02:00|thing|x||", "a|2026-10-25T02:00:00+01:00|thing|x||"]
    assert facts(tmp_path, write(tmp_path, "a.csv", f"user,time,item\n{both}")) == read
    for others, zone in (("", "Asia/Shanghai"), ("a,2026-10-25T03:00:00Z,x\n", "UTC")):
        path = write(tmp_path, "b.csv", f"user,time,item\n{others or both}a,2026-10-25T03:00:00,x\n")
        with (
            pytest.raises(InputError, match=f"and 1 do not; .*--timezone {zone}") as caught,
            opened(tmp_path, path),
        ):
            pass
        assert caught.value.proposal == f'[input]\ntimezone = "{zone}"'
        assert facts(tmp_path, path, timezone=zone)


def test_a_time_of_go_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.csv",
        "user,time,item\na,2026-01-02 10:11:12 +0000 UTC,x\na,2026-01-02 10:11:12 -0700 PDT,y\n",
    )
    assert [each[2:27] for each in facts(tmp_path, path)] == [
        "2026-01-02T10:11:12-07:00",
        "2026-01-02T10:11:12+00:00",
    ][::-1]


def test_what_a_schema_leaves_out_is_said_with_its_count_and_read_once_it_has_a_name(tmp_path: Path) -> None:
    rows = "session_start,1767261642000000,u1,Home\npage_view,1767261643000000,u1,Home\nsession_start,1767261644000000,u1,Home\n"
    path = write(tmp_path, "a.csv", f"event_name,event_timestamp,user_pseudo_id,page_title\n{rows}")
    with opened(tmp_path, path) as export:
        (said,) = [each.message for each in export.description.warnings if each.code == "left_out_rows"]
        assert (export.behaviors, export.non_behaviors) == (1, 2)
    assert "2 rows are no behaviors by the schema ga4: session_start 2;" in said
    assert said.endswith('[input.names] "session_start" = "session_start"')
    with opened(tmp_path, path, names={"session_start": "session_start"}) as export:
        assert (
            export.behaviors,
            export.non_behaviors,
            {each.code for each in export.description.warnings},
        ) == (3, 0, set())


def test_rows_that_a_schema_takes_as_one_persons_are_said_to_be(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.csv",
        "ts,ms_played,master_metadata_track_name\n" + "".join(f"{time},60000,song\n" for time in TIMES),
    )
    with opened(tmp_path, path) as export:
        assert "one_person" in {each.code for each in export.description.warnings}
    with opened(tmp_path, path, user="ann") as export:
        assert "one_person" not in {each.code for each in export.description.warnings}


def test_a_name_that_hardly_comes_back_is_a_thing_and_who_is_asked_for(tmp_path: Path) -> None:
    rows = "".join(f"{time},Band {n},Hall {n % 3}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"date,name,venue\n{rows}")
    assert proposed(tmp_path, path) == {
        "user": "me",
        "columns": {"time": "date", "item": "name", "place": "venue"},
    }


def test_of_rows_without_a_header_no_place_or_price_is_a_user(tmp_path: Path) -> None:
    rows = [
        f"2026-01-{1 + n:02d} 0{n % 9}:30:00,{31.2 + n % 3 / 1000:.4f},{n % 2}.90,0,look" for n in range(28)
    ]
    path = write(tmp_path, "a.csv", "\n".join(rows))
    with pytest.raises(InputError, match="--columns timestamp,c2,c3,"), opened(tmp_path, path):
        pass


def test_a_name_beside_the_number_of_a_user_is_no_object_of_rows_without_a_header(tmp_path: Path) -> None:
    rows = "".join(f"{n % 5},{'ABCDE'[n % 5]}nn,{time},1\n" for n, time in enumerate(TIMES))
    with (
        pytest.raises(InputError, match="--columns user_id,c2,timestamp,c4 "),
        opened(tmp_path, write(tmp_path, "a.csv", rows)),
    ):
        pass


def test_ends_before_their_starts_give_way_to_a_duration(tmp_path: Path) -> None:
    rows = "".join(f"u{n % 3},{time},2025{time[4:]},{n},run\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"user,startTime,endTime,duration,activity\n{rows}")
    with opened(tmp_path, path) as export:
        assert (export.rejected_rows, export.description.columns["duration"]) == (0, "duration")
        (said,) = [each.message for each in export.description.warnings if each.code == "early_ends"]
        assert '[input.columns] end = "endTime"' in said


def test_who_calls_is_the_user_and_who_is_called_the_object(tmp_path: Path) -> None:
    rows = "".join(f"34651758{n % 5:02},33454254{n:02},{time},40{n % 7:02}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"calling_number,called_number,start_date,cell_site\n{rows}")
    with opened(tmp_path, path) as export:
        assert export.description.columns == {
            "user": "calling_number",
            "time": "start_date",
            "item": "called_number",
        }


def test_counts_and_minutes_after_something_are_no_users(tmp_path: Path) -> None:
    rows = "".join(f"{time},{n % 9},{n % 6},Press\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"start_time,reps,minutesAfterWakeup,exercise\n{rows}")
    assert proposed(tmp_path, path)["user"] == "me"


def test_a_time_that_many_rows_lack_gives_way_to_one_that_they_have(tmp_path: Path) -> None:
    rows = "".join(f"u{n % 3},{time if n % 3 else ''},{time},Book {n}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"user,read_at,created_at,title\n{rows}")
    with opened(tmp_path, path) as export:
        assert (export.description.columns["time"], export.rejected_rows) == ("created_at", 0)


def test_a_row_of_a_log_by_tabs_that_lacks_a_field_is_rejected(tmp_path: Path) -> None:
    text = ZEEK + "1379288668.0\tCy2\t9.9.9.2\tGET /a b\n"
    with opened(tmp_path, write(tmp_path, "http.log", text)) as export:
        assert (export.behaviors, export.rejected_rows) == (1, 1)


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ('ts={time} level=info user={user} action={done} item="red tea"', ("user", "ts", "action", "item")),
        ('{time} INFO {{"user": "{user}", "action": "{done}"}}', ("user", "time", "action", None)),
        ("[{time}] WEB [{done}] User: {user} - {done} it - IP: 10.0.0.1", ("User", "time", None, "message")),
    ],
)
def test_a_log_whose_lines_name_their_fields_is_read(
    tmp_path: Path, line: str, columns: tuple[str | None, ...]
) -> None:
    done = ("login", "view", "buy")
    text = "".join(
        line.format(time=f"2026-01-15T10:{n:02}:07", user=f"u{n % 4}", done=done[n % 3]) + "\n"
        for n in range(40)
    )
    with opened(tmp_path, write(tmp_path, "web.log", text)) as export:
        found = export.description.columns
        assert export.users == 4
        assert tuple(found.get(role) for role in ("user", "time", "action", "item")) == columns


def test_lines_without_a_time_are_left_out_and_counted_where_all_others_have_one(tmp_path: Path) -> None:
    line = "[2026-01-15 10:{:02}:{:02}] USER:u{} TEXT:see you at {}"
    lines = [line.format(n // 60, n % 60, n % 4, n) + "\nby the lake" * (n % 9 == 4) for n in range(400)]
    with opened(tmp_path, write(tmp_path, "bot.log", "\n".join(lines) + "\n")) as export:
        assert (export.behaviors, export.rejected_rows, export.skipped_lines) == (400, 0, 44)


def test_what_only_later_lines_of_a_log_name_or_say_stays_in_the_message(tmp_path: Path) -> None:
    line = "2026-01-15 10:{:02}:{:02} level=info user=u{} action=pay"
    early = [line.format(n // 60 % 60, n % 60, n % 4) for n in range(3000)]
    late = [f"{early[-1]} {said}" for said in ("amount=35", "amount=70", "error: coupon rejected")]
    text = "\n".join([*early, *late]) + "\n"
    with opened(tmp_path, write(tmp_path, "app.log", text), columns={"item": "message"}) as export:
        things = {each.item for log in export.user_logs() for each in log.behaviors}
        assert (export.duplicates, things) == (0, {"", "amount=35", "amount=70", "error: coupon rejected"})


def test_fields_behind_the_last_name_are_a_column_and_an_end_without_its_day_is_that_of_the_start(
    tmp_path: Path,
) -> None:
    rows = [
        f"u{n % 4},1/2/2026,1/2/2026,10:{n:02}:00,11:{n:02}:00,tea" + ",to u1" * (n % 3 == 0)
        for n in range(40)
    ]
    text = "\n".join(["user,start date,end date,start time,end time,item", *rows]) + "\n"
    with opened(tmp_path, write(tmp_path, "calls.csv", text), dayfirst=True) as export:
        assert (export.behaviors, export.rejected_rows) == (40, 0)
        assert {b.duration for log in export.user_logs() for b in log.behaviors} == {3600}


def test_a_plan_is_no_end_and_what_goes_out_and_comes_in_begins_as_it_goes_out(tmp_path: Path) -> None:
    rows = [f"u{n % 5},{time},2027-01-01 00:00:00,x{n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user,time,planned_end_time,item", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert "end" not in export.description.columns
    loans = [f"{n},u{n % 5},2026-01-{n + 1:02},2026-02-{n + 1:02},b{n % 7}" for n in range(28)]
    path = write(tmp_path, "b.csv", "\n".join(["id,card_no,date_out,date_in,book", *loans]) + "\n")
    with opened(tmp_path, path) as export:
        assert export.description.columns["time"] == "date_out"
        assert export.description.columns["end"] == "date_in"


def test_many_begins_and_ends_without_a_partner_are_said_with_the_line_that_keeps_all(tmp_path: Path) -> None:
    rows = [f"u{n % 5},{time},task {n // 10},{('start', 'complete')[n % 2]}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user,time,activity,lifecycle", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert export.unpaired > 0
        (said,) = [each.message for each in export.description.warnings if each.code == "unpaired"]
    assert said.endswith('[input.columns] marker = "-"')
    with opened(tmp_path, path, columns={"marker": "-"}) as export:
        assert export.behaviors == len(rows)


def test_of_rows_without_a_header_digits_are_times_and_what_is_the_same_in_all_says_nothing(
    tmp_path: Path,
) -> None:
    def header_of(rows: list[str]) -> str:
        path = write(tmp_path, "a.csv", "\n".join(rows))
        with pytest.raises(InputError, match="has no header") as caught, opened(tmp_path, path):
            pass
        return str(caught.value).partition("--columns ")[2].partition(" ")[0]

    digits = [
        f"2011123000{n // 60:02}{n % 60:02},{n % 40:032x},query {n},1,https://a.example/{n}"
        for n in range(99)
    ]
    assert header_of(digits) == "timestamp,user_id,item,c4,c5"
    orders = [f"u{n % 9}x,{time},{time.translate(DIGITS)},tea {n}" for n, time in enumerate(TIMES)]
    assert header_of(orders) == "user_id,timestamp,c3,item"  # the number of an order has the time in it
    punches = [
        f"{18000 + n * 11 % 70},2026-01-01 {n // 60:02}:{n % 60:02}:00,1,255,{n % 3}" for n in range(1200)
    ]
    assert header_of(punches) == "user_id,timestamp,c3,c4,action"


def test_of_rows_without_a_header_names_are_proposed_as_a_table_too(tmp_path: Path) -> None:
    for name, text, table in (
        ("a.csv", "".join(f"u{n % 9}x,{time},tea {n}\n" for n, time in enumerate(TIMES)), {}),
        ("b.csv", "device log\n\n2026-01-15\t10:00:00\tkitchen\ton\n", {"user": "me"}),
    ):
        path = write(tmp_path, name, text)
        with pytest.raises(InputError, match="has no header") as caught, opened(tmp_path, path):
            pass
        found = tomllib.loads(caught.value.proposal)["input"]
        assert f"--columns {','.join(found.pop('header'))} " in str(caught.value)
        assert found == table


def test_measured_values_and_money_are_neither_users_nor_objects(tmp_path: Path) -> None:
    rows = "".join(f"P-{n % 4}x,{time},{n / 7:.9f},{n % 3}.{n:05},on\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "a.csv", f"pID,Notified,mindful_response,drinks_number,week\n{rows}")
    assert proposed(tmp_path, path)["columns"]["user"] == "pID"
    assert "item" not in proposed(tmp_path, path)["columns"]
    rows = "".join(f"{n % 5};{time};R$ {n}.345,00;room {n % 21}\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "b.csv", f"cliente_id;data;total;quarto\n{rows}")
    assert proposed(tmp_path, path)["columns"]["item"] == "quarto"


def test_an_object_in_less_than_half_of_the_rows_gives_way_to_a_fuller_one(tmp_path: Path) -> None:
    rows = "".join(
        f"u{n % 5},{time},{'chief' * (n % 2)},so he said {n}\n" for n, time in enumerate(TIMES[1:])
    )
    path = write(tmp_path, "a.csv", f"user,time,title,message\n{rows}")
    assert proposed(tmp_path, path)["columns"]["item"] == "message"


def test_neither_how_long_something_lasted_nor_a_yes_is_what_was_done(tmp_path: Path) -> None:
    rows = "".join(
        f"u{n % 5},{time},2027{time[4:]},0 days 00:{n:02}:10,{n % 2}\n" for n, time in enumerate(TIMES)
    )
    path = write(tmp_path, "a.csv", f"player,start_at,end_at,duration,is_win\n{rows}")
    with opened(tmp_path, path) as export:
        found = export.description.columns
        assert (found["action"], found["end"], "item" in found) == ("=record", "end_at", False)


def test_a_duration_is_found_in_every_form_that_is_read(tmp_path: Path) -> None:
    for lasted in ("PT1M5S", "0 days 00:01:05.700", "65", "1 min 5 s"):
        rows = [
            f'{{"user": "u{n % 5}", "at": "{time}", "done": {{"duration": "{lasted}"}}}}'
            for n, time in enumerate(TIMES)
        ]
        with opened(tmp_path, write(tmp_path, "a.jsonl", "\n".join(rows))) as export:
            assert {b.duration for log in export.user_logs() for b in log.behaviors} == {65}


def test_times_that_are_later_than_the_start_are_said_to_be_ends_maybe(tmp_path: Path) -> None:
    def said(later: str, head: str) -> list[str]:
        rows = "".join(f"u{n % 5},{time},{later if n % 7 else ''},pay\n" for n, time in enumerate(TIMES))
        with opened(tmp_path, write(tmp_path, "a.csv", f"user,time,{head},action\n{rows}")) as export:
            return [each.message for each in export.description.warnings if each.code == "later_times"]

    assert [
        each.endswith('[input.columns] end = "archived"') for each in said("2026-02-01 10:00:00", "archived")
    ] == [True]
    assert said("2026-01-15 10:00:00", "archived") == []  # some are earlier
    assert said("2026-02-01 10:00:00", "updated_at") == []


def test_a_shift_that_ends_after_midnight_ends_on_the_next_day(tmp_path: Path) -> None:
    text = "emp_id,date,clock_in,clock_out\n1,2026-01-15,22:14:00,06:40:00\n1,2026-01-16,10:14 PM,01:14 AM\n2,2026-01-17,8:00,8:00\n"
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        lasted = [b.duration for log in export.user_logs() for b in log.behaviors]
    assert lasted == [8 * 3600 + 26 * 60, 3 * 3600, 0]


def test_an_author_whom_many_rows_lack_is_proposed_with_what_lets_them_go(tmp_path: Path) -> None:
    rows = "".join(
        f"{'' if n % 4 == 1 else f'name{n}'},{TIMES[n % 28]},words {n} and more\n" for n in range(200)
    )
    table = proposed(tmp_path, path := write(tmp_path, "a.csv", f"author,timestamp,body\n{rows}"))
    assert table["columns"]["user"] == "author"
    with opened(tmp_path, path, **table) as export:
        assert export.rejected_rows == 50 < table["max_rejects"] * export.rows


def test_a_kind_of_device_is_no_user_where_few_rows_have_the_users_number(tmp_path: Path) -> None:
    rows = "".join(
        f"{n if n % 4 == 1 else ''},{time},{'PC' if n % 3 else 'Mobile'},login\n"
        for n, time in enumerate(TIMES)
    )
    with (
        pytest.raises(InputError, match="no user column that is sure"),
        opened(tmp_path, write(tmp_path, "a.csv", f"user_id,timestamp,device,event\n{rows}")),
    ):
        pass


def test_an_action_in_few_rows_gives_way_to_words_in_all_and_money_is_nothing_done(tmp_path: Path) -> None:
    levels = ("easy", "", "", "hard", "", "", "fair", "", "")
    rows = "".join(
        f"u{n % 5},{time},{levels[n % 9]},{('begin', 'boss')[n % 2]}\n" for n, time in enumerate(TIMES)
    )
    path = write(tmp_path, "a.csv", f"user,time,stage_difficulty,telemetry\n{rows}")
    assert proposed(tmp_path, path)["columns"]["action"] == "telemetry"
    rows = "".join(f"u{n % 5},{time},{n % 20}.45\n" for n, time in enumerate(TIMES))
    path = write(tmp_path, "b.csv", f"用户名,付款日期,订单金额\n{rows}")
    assert proposed(tmp_path, path)["columns"] == {"user": "用户名", "time": "付款日期", "action": "=record"}
