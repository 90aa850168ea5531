"""A table is found between titles and sums, by whatever its lines are split."""

import re
import shlex
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import InputError
from input_files import facts, facts_of, opened, write

TITLES = [
    "微信支付账单明细,,,",
    "起始时间：[2026-01-01 00:00:00] 终止时间：[2026-03-31 23:59:59],,,",
    ",,,",
    "支出：2笔 45.50元,,,",
    "1. 充值/提现等交易，将计入中性交易,,,",
    "----------------------微信支付账单明细列表--------------------,,,",
]
HEADER = "时间,类型,商品,金额(元),备注"
ROWS = [
    '2026-03-31 18:33:01,商户消费,"拿铁, 大杯",¥18.50,"/"',
    "2026-03-31 18:33:40,商户消费,手机壳\t,¥27.00,/",
]
FOOTER = [
    "------------------------------------",
    "共2笔记录",
    "已支出:2笔,45.50元",
    "导出时间:[2026-04-01 10:00:00]    用户:小明",
]
BILL = ["me|2026-03-31T18:33:01|商户消费|拿铁, 大杯||", "me|2026-03-31T18:33:40|商户消费|手机壳||"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_bill_is_read_between_its_titles_and_sums(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join([*TITLES, HEADER, *ROWS, *FOOTER, ""])
    bill = write(tmp_path, "bill.csv", text.encode(encoding))
    assert facts(tmp_path, bill, user="me") == BILL
    with opened(tmp_path, bill, user="me") as export:
        assert (export.rows, export.skipped_lines) == (2, 9)


TITLE = st.sampled_from(
    [
        "Daily report",
        "Report:,January",
        "Period:,2026-01-01 - 2026-01-31,",
        "----------",
        ",,,",
        "",
        "3. Rows: 7",
    ]
)
SUM = st.sampled_from(["Total,,,7", "Total: 7", "合计,,,7", "=====", "(7 rows)", ""])
CELL = st.sampled_from(["x", '5" pipe', "a, b", "Total", "----"])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(TITLE, max_size=12),
    st.lists(CELL, min_size=1, max_size=8),
    st.lists(SUM, max_size=4),
    st.booleans(),
)
def test_no_row_is_lost_between_titles_and_sums(
    tmp_path_factory: pytest.TempPathFactory,
    titles: list[str],
    cells: list[str],
    sums: list[str],
    blank: bool,
) -> None:
    folder = tmp_path_factory.mktemp("report")
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    rows = [f"u1,2026-01-15 10:00:{second:02},{cell},1" for second, cell in enumerate(quoted)]
    lines = [*titles, "user,time,item,price", *rows[:1], *[",,,"] * blank, *rows[1:], *sums]
    with opened(folder, write(folder, "report.csv", "\n".join(lines) + "\n")) as export:
        (log,) = export.user_logs()
        assert [b.item for b in log.behaviors] == [f"{cell} 1" for cell in cells]
        assert export.rows == len(cells)
        assert export.skipped_lines == sum(bool(line.strip(",")) for line in (*titles, *sums))


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M", "%b %d, %Y, %I:%M:%S %p", "%d-%b-%Y %H:%M:%S", "%m/%d/%y %H:%M", "%Y年%m月%d日 %H时%M分", "%Y%m%dT%H%M%S", "%B %d, %Y"]
)  # fmt: skip
def test_a_row_that_begins_with_a_word_for_a_sum_is_one_by_its_time(tmp_path: Path, form: str) -> None:
    days = [datetime(2026, 1, day, 9, 5).strftime(form) for day in range(11, 31)]  # noqa: DTZ001  a wall time
    words = ["Summary opened", "Count set", "Page viewed", "合计查看"]
    rows = [f'{words[n % 4]},"{day}",u1,x{n}' for n, day in enumerate(days)]
    path = write(
        tmp_path, "a.csv", "\n".join(["event,time,user_id,item", *rows, "Total,,,20", f'导出,"{days[0]}",,'])
    )
    with opened(tmp_path, path, dayfirst=False) as export:
        assert (export.behaviors, export.skipped_lines) == (20, 2)


def test_a_cut_last_line_is_a_rejected_row_and_no_remark(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user,time,item\nu1,2026-01-15 10:00:00,x\nu2,2026-01-1")
    with opened(tmp_path, path) as export:
        assert export.reasons == {"bad_csv": 1}
        assert export.skipped_lines == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user_id  timestamp            item\nu1       2026-01-15 10:00:42  red shoes\n", "u1|2026-01-15T10:00:42|thing|red shoes||"),
        ("user_id timestamp item\nu1 2026-01-15 10:00:42 shoes\n", "u1|2026-01-15T10:00:42|thing|shoes||"),
        ("date time user item\n2026-01-15 10:00:42 u1\tshoes\n", "u1|2026-01-15T10:00:42|thing|shoes||"),
        ("# exported\n# user,time,item\nu1,2026-01-15 10:00:42,x\n", "u1|2026-01-15T10:00:42|thing|x||"),
        ('user\ttime\titem\nu1\t2026-01-15 10:00:42\t"open\n', 'u1|2026-01-15T10:00:42|thing|"open||'),
        ('user,time,item\nu1,2026-01-15 10:00:42,"a\n\nb, c"\n', "u1|2026-01-15T10:00:42|thing|a\n\nb, c||"),
    ],
)  # fmt: skip
def test_lines_are_split_as_their_program_wrote_them(tmp_path: Path, text: str, found: str) -> None:
    assert facts(tmp_path, write(tmp_path, "a.txt", text)) == [found]


def test_blanks_between_a_quote_and_a_delimiter_are_no_part_of_a_field(tmp_path: Path) -> None:
    text = 'user_id,time,item,n\nu,2026-01-15 10:00:42,"a ""b"" , c"\t,"1" \nu,2026-01-15 10:00:43,"d",""\t\n'
    assert facts(tmp_path, write(tmp_path, "rows.csv", text)) == [
        'u|2026-01-15T10:00:42|thing|a "b" , c||',
        "u|2026-01-15T10:00:43|thing|d||",
    ]


def test_text_behind_a_quote_is_still_a_broken_row(tmp_path: Path) -> None:
    rows = write(
        tmp_path,
        "rows.csv",
        'user_id,time,item\nu,2026-01-15 10:00:42,"a" b\nu,2026-01-15 10:00:43,"c"\n',
    )
    with opened(tmp_path, rows) as export:
        assert (export.behaviors, export.reasons) == (1, {"bad_csv": 1})


def test_rows_that_differ_only_in_the_second_column_of_a_name_are_no_duplicates(tmp_path: Path) -> None:
    rows = "".join(f"u1,2026-03-01 10:00,click,shop,{thing}\n" for thing in ("tent", "stove", "lamp"))
    path = write(tmp_path, "rows.csv", f"user_id,time,action,item,item\n{rows}")
    with opened(tmp_path, path, columns={"item": "item_2"}) as export:
        assert [fact.split("|")[3] for fact in facts_of(export)] == ["tent", "stove", "lamp"]
        assert export.duplicates == 0


@pytest.mark.parametrize(
    ("header", "blank", "counts"),
    [
        ("user_id,time,action,item,", "order{n}", (9, 0)),
        ("user_id,time,action,item,", "{n}", (9, 0)),
        (",user_id,time,action,item", "order{n}", (9, 0)),
        (",user_id,time,action,item", "{n}", (1, 8)),  # the index that pandas and R write
    ],
)
def test_rows_that_differ_only_in_a_column_with_a_blank_name_are_no_duplicates_unless_it_is_an_index(
    tmp_path: Path, header: str, blank: str, counts: tuple[int, int]
) -> None:
    columns = header.split(",")
    row = {"user_id": "u1", "time": "2026-03-01 10:00", "action": "buy", "item": "tent"}
    rows = [",".join(row.get(name, blank.format(n=n)) for name in columns) for n in range(9)]
    with opened(tmp_path, write(tmp_path, "rows.csv", "\n".join([header, *rows]))) as export:
        assert (export.behaviors, export.duplicates) == counts
        assert (f"column_{columns.index('') + 1}" in export.compared) == (counts[1] == 0)


def test_a_row_of_numbers_is_no_header(tmp_path: Path) -> None:
    rows = write(tmp_path, "rows.csv", "".join(f"{user},{user + 7},3\n" for user in range(9)))
    with pytest.raises(InputError, match="has no header"), opened(tmp_path, rows):
        pass


@pytest.mark.parametrize(
    "text", ['u1,2026-01-15 10:00:00,"6" pipe"x"\n' * 2, "INSERT INTO log VALUES ('u1','2026-01-15 10:00:00','x');\n" * 2]
)  # fmt: skip
def test_rows_that_are_all_broken_have_no_header(tmp_path: Path, text: str) -> None:
    with (
        pytest.raises(InputError, match=r"has no header.* First row: "),
        opened(tmp_path, write(tmp_path, "a.csv", text)),
    ):
        pass


def test_the_ratings_of_movielens_are_known_by_their_shape(tmp_path: Path) -> None:
    rows = write(
        tmp_path, "u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n186\t303\t4\t891717742\n"
    )
    assert facts(tmp_path, rows) == [
        "186|1998-04-04T19:22:22+00:00|thing|302||",
        "186|1998-04-04T19:22:22+00:00|thing|303||",
        "196|1997-12-04T15:55:49+00:00|thing|242||",
    ]


def test_quotes_that_are_plain_characters_swallow_no_lines(tmp_path: Path) -> None:
    rows = [
        'u1,2026-01-15 10:00:00,"open,1',
        'u2,2026-01-15 10:00:01,x",1',
        'u3,2026-01-15 10:00:02,6" pipe,1',
    ]
    with opened(tmp_path, write(tmp_path, "a.csv", "\n".join(["user,time,item,n", *rows]))) as export:
        found = [(b.item, b.line) for log in export.user_logs() for b in log.behaviors]
        assert found == [('x"', 3), ('6" pipe', 4)]
        assert [row.text for row in export.rejects()] == rows[:1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "u1,2026-01-15 10:00:00,x,buy\nu1,2026-01-15 10:00:01,y,buy\n",
            "u1|2026-01-15T10:00:00|purchase|x||",
        ),
        ("7;1768471200;shoes;19.90;13分钟\n", "7|2026-01-15T10:00:00+00:00|thing|shoes||780"),
        ("device log\n\n2026-01-15\t10:00:00\tkitchen\ton\n", "me|2026-01-15T10:00:00|thing|kitchen||"),
    ],
)
def test_the_columns_that_are_proposed_for_rows_without_a_header_work(
    tmp_path: Path, text: str, found: str
) -> None:
    path = write(tmp_path, "a.csv", text)
    with pytest.raises(InputError, match="has no header") as caught, opened(tmp_path, path, columns={}):
        pass
    options = re.search(r"(--columns .*?) \(", str(caught.value))
    assert options
    words = shlex.split(options[1])
    user = words[3] if len(words) > 2 else ""
    assert facts(tmp_path, path, header=words[1].split(","), user=user)[0] == found


SMART_HOME = [
    "2008-11-10 14:28:17.986759 M22 ON Sleep begin",
    "2008-11-10 14:28:47.986759 M22 OFF",
    "2008-11-10 14:29:17.5      T01 21.5",
]


def test_the_log_of_a_smart_home_is_known_by_its_shape(tmp_path: Path) -> None:
    home = write(tmp_path, "home.txt", "\n".join([*SMART_HOME[:2] * 12, SMART_HOME[2]]))
    assert facts(tmp_path, home, user="{stem}") == [
        "home|2008-11-10T14:28:17|thing|M22||30",
        "home|2008-11-10T14:29:17|thing|T01||",
    ]
