"""Forms of exports that were met late: names and dates of more languages, durations and ends by their values, chats, dumps."""

from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from input_files import facts, opened, proposed, write

TIMES = [f"2026-01-{day:02} {8 + day % 9:02}:{day:02}:00" for day in range(1, 29)]


def table(header: str, *cells: str) -> str:
    """Write a row for each of TIMES, numbered from 1; cells have {n}, {five} (its rest by five) and {time}."""
    rows = [",".join(cells).format(n=n, five=n % 5, time=time) for n, time in enumerate(TIMES, 1)]
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("header", "user", "time", "item"),
    [
        ("Relator,Criado,Assunto", "Relator", "Criado", "Assunto"),
        ("ID Agen,Tanggal Dibuat,Ulasan", "ID Agen", "Tanggal Dibuat", "Ulasan"),
        ("아이디,등록일,리뷰", "아이디", "등록일", "리뷰"),
        ("利用者,時刻,件名", "利用者", "時刻", "件名"),
        ("Uživatel,Datum,Titul", "Uživatel", "Datum", "Titul"),
    ],
)
def test_columns_are_known_by_their_names_in_more_languages(
    tmp_path: Path, header: str, user: str, time: str, item: str
) -> None:
    path = write(tmp_path, "a.csv", table(header, "ann{five}", "{time}", "tea {n}"))
    with opened(tmp_path, path) as export:
        columns = export.description.columns
    assert (columns["user"], columns["time"], columns["item"]) == (user, time, item)


def test_out_and_in_are_the_end_and_the_start_of_one_stay(tmp_path: Path) -> None:
    text = table(
        "user,inDate,date,outDate,room", "u{five}", "{time}", "{time}", "2026-02-28 10:00:00", "r{n}"
    )
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        columns = export.description.columns
    assert (columns["time"], columns["end"]) == ("inDate", "outDate")


def test_a_check_in_with_its_check_out_comes_before_the_time_at_which_the_row_was_made_not_before_any(
    tmp_path: Path,
) -> None:
    text = table("user,created_at,check_in,check_out", "u{five}", "{time}", "{time}", "2026-02-28 10:00:00")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        columns = export.description.columns
    assert (columns["time"], columns["end"]) == ("check_in", "check_out")
    text = table("user,timestamp,date_in,date_out", "u{five}", "{time}", "2026-02-0{five}", "2026-02-28")
    with opened(tmp_path, write(tmp_path, "b.csv", text)) as export:
        assert export.description.columns["time"] == "timestamp"


def test_an_end_that_is_named_stays_beside_a_pair(tmp_path: Path) -> None:
    text = table(
        "user,in_date,out_date,done", "u{five}", "{time}", "2026-02-28 10:00:00", "2026-03-01 10:00:00"
    )
    path = write(tmp_path, "a.csv", text)
    with opened(tmp_path, path, columns={"end": "done"}) as export:
        assert (export.description.columns["time"], export.description.columns["end"]) == ("in_date", "done")


def test_an_in_date_that_most_rows_lack_is_no_time(tmp_path: Path) -> None:
    rows = [f"saw{n},u{n % 5},{time},{'2026-03-01 10:00:00' * (n % 3 == 0)}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["tool,worker,out_date,in_date", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert (export.description.columns["time"], export.rejected_rows) == ("out_date", 0)


@pytest.mark.parametrize("name", ["nb_heures", "tempo_minutos", "Stunden gesamt"])
def test_units_in_other_languages_make_a_duration(tmp_path: Path, name: str) -> None:
    text = table(f"user,time,item,{name}", "u{five}", "{time}", "tea {n}", "{n}")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["duration"] == name


def test_a_clock_below_an_hour_beside_the_time_is_how_long_it_took(tmp_path: Path) -> None:
    text = table("load_ts,user,time", "{time}", "u{five}", "00:04:{n:02}")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["duration"] == "time"
        assert {b.duration for log in export.user_logs() for b in log.behaviors} == {
            *range(241, 241 + len(TIMES))
        }


def test_other_clocks_below_an_hour_are_no_durations_beside_one(tmp_path: Path) -> None:
    text = table("user,date,item,avg_pace,duration", "u{five}", "{time}", "run", "00:05:30", "00:40:00")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["duration"] == "duration"
    for name in ("ring", "time"):
        text = table(f"caller,callee,start,end,{name}", "u{five}", "v", "{time}", "{time}", "00:00:09")
        with opened(tmp_path, write(tmp_path, f"{name}.csv", text)) as export:
            assert export.description.columns.keys() & {"duration", "end"} == {"end"}


def test_a_dash_is_no_broken_duration_and_no_broken_end(tmp_path: Path) -> None:
    rows = [f"u{n % 5},{time},{'-' if n % 3 else time},tea {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user,start,end,item", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert (export.rejected_rows, export.behaviors) == (0, len(TIMES))
    rows = [f"u{n % 5},{time},{'n/a' if n % 3 else 60},tea {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "b.csv", "\n".join(["user,start,duration,item", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert (export.rejected_rows, export.behaviors) == (0, len(TIMES))


def test_few_weathers_money_and_lengths_of_texts_are_nothing_that_was_done(tmp_path: Path) -> None:
    text = table("user,time,status,weather_condition", "u{five}", "{time}", "late", "sun")
    weather = text.replace("late,sun", "early,rain", 9)
    with opened(tmp_path, write(tmp_path, "a.csv", weather)) as export:
        assert export.description.columns.keys() & {"action", "item", "text"} == {"action"}
    rows = [f"{n % 5},{time},{n % 9},{n % 13 * 1000}" for n, time in enumerate(TIMES, 1)]
    path = write(tmp_path, "b.csv", "\n".join(["id_user,tanggal,id_barcode,total", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert export.description.columns["item"] == "id_barcode"
    text = table("user,time,action,read_text_length", "u{five}", "{time}", "read", "{n}")
    with opened(tmp_path, write(tmp_path, "c.csv", text)) as export:
        assert "text" not in export.description.columns


def test_days_of_eight_digits_are_no_ids_and_a_class_is_a_thing(tmp_path: Path) -> None:
    rows = [f"u{n % 5},202601{n % 9 + 10},{time[:10]},tea{n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["user_id,dt,due_date,item", *rows]) + "\n")
    with pytest.raises(InputError) as caught, opened(tmp_path, path):
        pass
    assert 'time = "dt"' in caught.value.proposal
    rows = [f"u{n % 5},{time},{n % 9}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "b.csv", "\n".join(["user_id,timestamp,class_id", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        assert export.description.columns["item"] == "class_id"


def test_staff_and_ways_of_contact_are_no_users_where_a_client_is(tmp_path: Path) -> None:
    text = table("client,contact,date,subject", "c{five}", "mail", "{time}", "so {n}")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["user"] == "client"
    text = table("cliente,atendente,data,assunto", "c{five}", "a{five}", "{time}", "so {n}")
    with opened(tmp_path, write(tmp_path, "b.csv", text)) as export:
        assert export.description.columns["user"] == "cliente"


def test_texts_with_other_delimiters_do_not_hide_a_header_without_a_name_for_the_time(tmp_path: Path) -> None:
    text = table("customer;song;played", "ann{five};Hello{n}", " Goodbye", " Again;{time}")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        columns = export.description.columns
    assert (columns["user"], columns["time"], columns["item"]) == ("customer", "played", "song")


def test_ids_that_come_back_beside_texts_are_proposed_as_users_and_those_of_the_rows_are_not(
    tmp_path: Path,
) -> None:
    rows = [f"it was {n},{1000 + n % 25},{5000 + n},{time}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["text,node_id,message_id,message_time", *rows]) + "\n")
    with pytest.raises(InputError) as caught, opened(tmp_path, path):
        pass
    assert 'user = "node_id"' in caught.value.proposal


def test_ids_and_addresses_in_one_column_are_no_times(tmp_path: Path) -> None:
    who = ("879231132", "112233445", "ann@qq.com", "532594859")
    rows = [f"{time},{who[n % 4]},so {n}" for n, time in enumerate(TIMES)]
    path = write(tmp_path, "a.csv", "\n".join(["date,id,message", *rows]) + "\n")
    with pytest.raises(InputError) as caught, opened(tmp_path, path):
        pass
    assert 'user = "id"' in caught.value.proposal


def test_rows_without_a_header_whose_cells_hold_other_delimiters_are_no_header(tmp_path: Path) -> None:
    cell = '"a:1:{{s:8:""username"";s:5:""admin"";}}"'
    text = table("", '"{n}"', '"seen"', cell, '"{five}"', '"16135{n:05}"').lstrip("\n")
    with (
        pytest.raises(
            InputError, match="has no header; name its columns, by their values: --columns "
        ) as caught,
        opened(tmp_path, write(tmp_path, "a.csv", text)),
    ):
        pass
    assert "username" not in str(caught.value).partition("First row")[0]


def test_an_irc_log_has_who_said_something_and_not_what_the_program_says(tmp_path: Path) -> None:
    lines = [
        "2019-03-08T09:00:00  *** ann <ann!~a@h> has joined #room",
        *(f"2019-03-08T09:42:{n:02}  <{('ann', 'bob[m]')[n % 2]}> Morning: {n}" for n in range(40)),
        "2019-03-08T09:50:00  *** ann <ann!~a@h> has quit IRC (Quit: Leaving.)",
    ]
    with opened(tmp_path, write(tmp_path, "room.log", "\n".join(lines) + "\n")) as export:
        assert {log.user_id for log in export.user_logs()} == {"ann", "bob[m]"}
        assert (export.rejected_rows, export.skipped_lines) == (0, 2)
    lines += [
        "2019-03-08T10:00:00  *** Ann logged in",
        "2019-03-08T10:00:01  --> I left it there",
        "2019-03-08T10:00:02  * ann sent a long message:  < https://example.org/1 >",
    ]
    with opened(tmp_path, write(tmp_path, "b.log", "\n".join(lines) + "\n")) as export:
        assert (export.rejected_rows, export.skipped_lines) == (3, 2)


def test_a_chat_of_kakaotalk_on_a_pc_has_its_days_between_the_messages(tmp_path: Path) -> None:
    lines = [
        "자바 님과 카카오톡 대화",
        "저장한 날짜 : 2018-06-03 22:39:48",
        "",
        "--------------- 2018년 3월 3일 토요일 ---------------",
        "남재창님이 들어왔습니다.",
        "[ㅇ] [오후 8:54] 안녕하세요",
        "교수님",
        "[남재창] [오후 8:58] 네",
        "--------------- 2018년 3월 5일 월요일 ---------------",
        "[남재창] [오전 8:41] Good morning",
    ]
    found = facts(tmp_path, write(tmp_path, "talk.txt", "\n".join(lines) + "\n"))
    assert [line.split("|")[:2] for line in found] == [
        ["ㅇ", "2018-03-03T20:54:00"],
        ["남재창", "2018-03-03T20:58:00"],
        ["남재창", "2018-03-05T08:41:00"],
    ]


def test_a_name_with_a_colon_is_one_name_in_whatsapp(tmp_path: Path) -> None:
    names: tuple[str, ...] = ("ann", "Souaga:/ YAAN", "bob", "+233 59")
    lines = [f"8/{day}/23, 7:45 AM - {names[day % 4]}: so {day}" for day in range(13, 28)]
    found = facts(tmp_path, write(tmp_path, "chat.txt", "\n".join(lines) + "\n"))
    assert {line.split("|")[0] for line in found} == {*names}
    notice = '8/28/23, 7:45 AM - ann changed the group name to "Trip 10:30, meet: station"'
    found = facts(tmp_path, write(tmp_path, "b.txt", "\n".join([*lines, notice, lines[0]]) + "\n"))
    assert {line.split("|")[0] for line in found} == {*names}
    of_iphone = (*names, "~\u202fJohn 17:1 x")
    lines = [f"[8/{day}/23, 7:45:00 AM] {of_iphone[day % 5]}: so {day}" for day in range(13, 28)]
    long = "[8/28/23, 7:45:00 AM] ann: first\n" + "and more\n" * 30
    found = facts(tmp_path, write(tmp_path, "c.txt", long + "\n".join(lines) + "\n"))
    assert {line.split("|")[0] for line in found} == {*of_iphone}


def test_a_dump_of_a_database_is_refused_with_the_way_to_its_rows_and_rows_by_that_name_are_read(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "b.sql", table("user,time,item", "u{five}", "{time}", "tea {n}"))
    with opened(tmp_path, path) as export:
        assert export.behaviors == len(TIMES)
    dumps = {
        "mysql --batch": "INSERT INTO `log` VALUES (1,'ann','2026-01-01 10:00:00','login');\n",
        "psql": "--\n-- PostgreSQL database dump\n--\nCOPY public.log (id, who) FROM stdin;\n1\tann\n",
    }
    for client, text in dumps.items():
        path = write(tmp_path, "log.sql", text)
        with pytest.raises(InputError, match=rf"log\.sql is a dump: .*: {client} "), opened(tmp_path, path):
            pass


def test_clocks_without_a_leading_zero_are_a_stay_from_in_to_out(tmp_path: Path) -> None:
    text = table("user,date,check-in time,check-out time", "u{five}", "2026-01-0{five}", "9:0{five}", "17:42")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        columns = export.description.columns
    assert (columns["time"], columns["end"], columns["date"]) == ("check-in time", "check-out time", "date")
    text = table(
        "user,date,check-in time,check-out time", "u{five}", "2026-01-1{five}", "11:05 AM", "1:1{five} PM"
    )
    path = write(tmp_path, "b.csv", text)
    assert {row.rpartition("|")[2] for row in facts(tmp_path, path)} == {str(7500 + 60 * n) for n in range(5)}


def test_where_each_user_has_one_department_the_address_is_the_place(tmp_path: Path) -> None:
    text = table("姓名,部门,打卡时间,打卡地址,打卡结果", "张{five}", "部{five}", "{time}", "路{n}号", "正常")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["place"] == "打卡地址"
    for header in ("姓名,部门,打卡时间,区域", "姓名,门店,打卡时间,收货地址"):  # coarser; sent to
        text = table(header, "张{five}", "部{five}", "{time}", "路{n}号")
        with opened(tmp_path, write(tmp_path, "b.csv", text)) as export:
            assert export.description.columns["place"] == header.split(",")[1]


def test_measures_with_a_decimal_comma_days_and_pictures_are_no_objects(tmp_path: Path) -> None:
    text = table("user;time;status;base;date of shift", "u{five}", "{time}", "done").replace(",", ";")
    text = text.replace("done\n", "done;6{five},5;26-01-{n} Mon\n").format(five=1, n=2)
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert "item" not in export.description.columns
    text = table("user,timestamp,data", "u{five}", "{time}", "clicked rice {n}")
    with opened(tmp_path, write(tmp_path, "c.csv", text)) as export:
        assert export.description.columns["item"] == "data"
    text = table("user,time,picture_file,dishes_name", "u{five}", "{time}", "a/{n}.jpg", "fish {five}")
    with opened(tmp_path, write(tmp_path, "b.csv", text)) as export:
        assert export.description.columns["item"] == "dishes_name"


def test_the_number_of_the_row_is_no_object_of_rows_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", table("", "{n}", "{time}", "user-{five}", "{n}0").lstrip("\n"))
    with pytest.raises(InputError, match="--columns c1,timestamp,user_id,item"), opened(tmp_path, path):
        pass


def test_days_that_go_up_by_one_are_times_of_rows_without_a_header(tmp_path: Path) -> None:
    rows = [f"{20240100 + n},u{n % 5},run {n % 3}" for n in range(1, 29)]
    path = write(tmp_path, "a.csv", "\n".join(rows))
    with pytest.raises(InputError, match="--columns date,user_id"), opened(tmp_path, path):
        pass


def test_lines_of_hive_and_long_texts_of_a_chat_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.txt", table("user,time,item", "u{five}", "{time}", "tea {n}").replace(",", "\x01")
    )
    assert len(facts(tmp_path, path)) == len(TIMES)
    said = "\n".join(
        f"[6/{n}/22, 9:20:0{n % 9} AM] Ann Lee: who plays?\n\nBob\nCid\nDan" for n in range(13, 29)
    )
    path = write(tmp_path, "b.txt", f"{said}\n")
    assert facts(tmp_path, path)[0].startswith("Ann Lee|2022-06-13T09:20:04|")


def test_a_title_in_the_place_of_each_name_is_no_header(tmp_path: Path) -> None:
    text = "\n".join(
        [
            "报工_全部,报工_全部,报工_全部",
            table("生产人员,报工开始时间,工序名称", "张{five}", "{time}", "焊接{n}"),
        ]
    )
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["time"] == "报工开始时间"


def test_a_weak_name_of_small_numbers_is_no_user(tmp_path: Path) -> None:
    text = table("pID,Notification.Time,mindful_response,drinks", "sub-{five}", "{time}", "{five}", "tea {n}")
    assert proposed(tmp_path, write(tmp_path, "a.csv", text))["columns"]["user"] == "pID"


@pytest.mark.parametrize("names", [("loan_date", "return_date"), ("借书时间", "还书时间")])
def test_what_is_lent_lasts_until_it_is_returned(tmp_path: Path, names: tuple[str, str]) -> None:
    text = table(
        f"user_id,book_id,{names[0]},due,{names[1]}",
        "u{five}",
        "b{n}",
        "{time}",
        "2026-03-01 08:00:00",
        "2026-02-28 10:00:00",
    )
    with opened(tmp_path, write(tmp_path, "loans.csv", text)) as export:
        columns = export.description.columns
    assert (columns["time"], columns["end"]) == names


def test_a_loan_is_paid_back_at_a_time(tmp_path: Path) -> None:
    text = table("客户编号,还款时间,还款方式", "u{five}", "{time}", "支付宝{five}")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["time"] == "还款时间"


def test_what_is_bought_and_returned_later_does_not_last_until_then(tmp_path: Path) -> None:
    text = table("user_id,product,order_date,return_date", "u{five}", "p{n}", "{time}", "2026-02-28 10:00:00")
    with opened(tmp_path, write(tmp_path, "orders.csv", text)) as export:
        assert "end" not in export.description.columns


def test_an_events_duration_has_seconds_like_any_other(tmp_path: Path) -> None:
    text = table("user_id,time,page,event_duration", "u{five}", "{time}", "/p{n}", "{n}0")
    lasting = [row.rpartition("|")[2] for row in facts(tmp_path, write(tmp_path, "a.csv", text))]
    assert sorted(lasting, key=int) == [f"{n}0" for n in range(1, 29)]
    text = table("user_id,event_time,page,event_hour,event_ms", "u{five}", "{time}", "/p{n}", "{n}", "{n}0")
    with opened(tmp_path, write(tmp_path, "b.csv", text)) as export:
        assert "duration" not in export.description.columns


def test_a_name_is_whose_rows_they_are_where_nothing_else_is(tmp_path: Path) -> None:
    text = table("名字,时间,评论", "人{n}", "{time}", "很好看的第{n}集")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["user"] == "名字"
    text = table("Name,Access Type,Time", "pxy", "Entry", "{time}")
    assert proposed(tmp_path, write(tmp_path, "door.csv", text))["columns"]["user"] == "Name"


def test_counts_that_are_called_like_people_are_nobody(tmp_path: Path) -> None:
    text = table("exercise,start_time,reps", "squat {five}", "{time}", "{n}")
    with opened(tmp_path, write(tmp_path, "gym.csv", text), user="me") as export:
        assert export.users == 1


def test_of_two_columns_of_users_a_handful_in_many_rows_are_rather_companies(tmp_path: Path) -> None:
    rows = [
        f"2026-01-20T{n % 24:02}:{n % 60:02}:27Z,jacket {n % 70},brand {n % 3},{9000 + n % 9}"
        for n in range(1200)
    ]
    text = "\n".join(["timestamp,item,buyer,nik_operator", *rows]) + "\n"
    with opened(tmp_path, write(tmp_path, "folding.csv", text)) as export:
        assert export.description.columns["user"] == "nik_operator"


def test_what_is_still_lent_has_no_end_and_the_rest_has_one(tmp_path: Path) -> None:
    rows = [f"u{n % 5},b{n},{time},{'2026-02-28 10:00:00' * (n % 2)}" for n, time in enumerate(TIMES)]
    text = "\n".join(["student_id,book_id,borrow_date,return_date", *rows]) + "\n"
    path = write(tmp_path, "loans.csv", text)
    with opened(tmp_path, path) as export:
        assert export.description.columns["end"] == "return_date"
    assert sum(row.endswith("|") for row in facts(tmp_path, path)) == len(TIMES) / 2


def test_a_time_taken_has_seconds_but_in_the_log_of_a_server(tmp_path: Path) -> None:
    text = table("user_id,timestamp,problem_id,time_taken", "u{five}", "{time}", "p{five}", "{n}")
    lasting = [row.rpartition("|")[2] for row in facts(tmp_path, write(tmp_path, "quiz.csv", text))]
    assert sorted(lasting, key=int) == [f"{n}" for n in range(1, 29)]
    log = "#Fields: date time cs-username cs-uri-stem time-taken\n" + "".join(
        f"2026-01-10 00:07:{n} ann /a{n} 2000\n" for n in range(10, 40)
    )
    lasting = [row.rpartition("|")[2] for row in facts(tmp_path, write(tmp_path, "u_ex.log", log))]
    assert {*lasting} == {"2"}


def test_amounts_and_the_name_beside_a_user_are_nothing_that_was_done(tmp_path: Path) -> None:
    rows = [f"{n},{40 + n % 33},{n % 9},{TIMES[n % 28]},1868888{n % 30:02}00,王小{n % 30}" for n in range(40)]
    text = "\n".join(["bill,expenditure,table_id,time,phone,name", *rows]) + "\n"
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert export.description.columns["item"] == "table_id"


def test_a_chat_of_long_messages_is_known_by_the_lines_that_say_the_day(tmp_path: Path) -> None:
    news = "\n\n".join(f"☞ 신문 헤드라인 {n}" for n in range(40))
    days = (f"--------------- 2020년 8월 2{n}일 수요일 ---------------\n" for n in range(6, 9))
    text = "\n".join(f"{day}[기획 10년] [오전 8:47] {news}\n[민수] [오후 1:02] 감사합니다" for day in days)
    assert len(facts(tmp_path, write(tmp_path, "kakao.txt", text + "\n"))) == 6


def test_a_category_is_what_was_done_where_nothing_else_says_it(tmp_path: Path) -> None:
    rows = [f"u{n % 9},类别{n % 4},{n}01,{time}" for n, time in enumerate(TIMES)]
    text = "\n".join(["用户编号,文章类别,阅读数,访问日期", *rows]) + "\n"
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        columns = export.description.columns
    assert "文章类别" in (columns.get("action"), columns.get("item"))


def test_a_technician_is_a_user_and_no_action(tmp_path: Path) -> None:
    text = table("TicketID,CreatedDate,Category,Technician", "T-{n}", "{time}", "c{five}", "Tech {five}")
    assert proposed(tmp_path, write(tmp_path, "a.csv", text))["columns"]["user"] == "Technician"


def test_a_number_of_each_row_is_no_place_though_some_rows_have_none(tmp_path: Path) -> None:
    text = table("user,time,product,merchant_id", "u{five}", "{time}", "tea {n}", "90201803{n}")
    text = text.replace("902018031\n", "\n").replace("902018032\n", "\n").replace("902018033\n", "\n")
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert "place" not in export.description.columns


def test_a_server_log_with_its_months_as_numbers_is_read(tmp_path: Path) -> None:
    text = "".join(f"83.149.9.{n % 7} - - {n}/05/2015:10:05:{n} +0000 GET /a{n}\n" for n in range(10, 30))
    rows = facts(tmp_path, write(tmp_path, "apache.log", text))
    assert (len(rows), rows[0]) == (20, "83.149.9.0|2015-05-14T10:05:14+00:00|GET|/a14||")


def test_the_other_name_of_a_user_says_nothing_also_where_the_user_is_named(tmp_path: Path) -> None:
    text = table("IdCliente,Destinatario,Fecha,Cargo", "C{five}", "Cliente {five}", "{time}", "{n}")
    path = write(tmp_path, "a.csv", text)
    for columns in ({}, {"user": "IdCliente"}):
        with opened(tmp_path, path, columns=columns) as export:
            assert not {"action", "item"} & {
                r for r, c in export.description.columns.items() if c == "Destinatario"
            }
