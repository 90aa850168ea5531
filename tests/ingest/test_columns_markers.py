"""Which column says begin or end is found only where that is certain, and can be named."""

from pathlib import Path

import duckdb
import pytest

from eventabs.errors_and_exit_codes import InputError
from input_files import opened, write


def counted(folder: Path, *texts: str, marker: str = "") -> tuple[int, int, int]:
    """Return behaviors, joined ends and rows without a partner of CSV files."""
    paths = [write(folder, f"{number}.csv", text) for number, text in enumerate(texts)]
    with opened(folder, *paths, columns={"marker": marker}) as export:
        assert export.rows == export.behaviors + export.rejected_rows + export.duplicates + export.paired_ends
        return export.behaviors, export.paired_ends, export.unpaired


def log(column: str, *words: str) -> str:
    rows = (f"u,2026-01-15 10:{minute:02}:00,x,{each}\n" for minute, each in enumerate(words))
    return f"uid,time,item,{column}\n{''.join(rows)}"


@pytest.mark.parametrize("column", ["event_type", "state", "Start-End", "操作", "起止"])
@pytest.mark.parametrize(("begin", "end"), [("MOVE_TO_FOREGROUND", "move to background"), ("打开", "关闭")])
def test_a_column_with_a_usual_name_and_words_of_both_kinds_pairs_rows(
    tmp_path: Path, column: str, begin: str, end: str
) -> None:
    assert counted(tmp_path, log(column, begin, end, begin, end)) == (2, 2, 0)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("action", ["open"] * 20),
        ("action", ["open", "close", "click", "buy"]),
        ("action", ["open"] * 18 + ["click", "close"]),
        ("wifi", ["on", "off"]),
        ("state", ["new", "begin", "end"]),
    ],
)
def test_words_that_come_by_chance_pair_nothing(tmp_path: Path, column: str, words: list[str]) -> None:
    text = log(column, *words)
    behaviors, ends, alone = counted(tmp_path, text)
    assert (behaviors, ends, alone) == (len(words), 0, 0)
    with opened(tmp_path, str(tmp_path / "0.csv")) as export:
        assert all("marker" not in roles for roles in export.roles.values())


def test_a_named_column_pairs_whatever_other_words_it_has(tmp_path: Path) -> None:
    text = log("action", "open", "click", "close", "buy", "open")
    assert counted(tmp_path, text) == (5, 0, 0)
    assert counted(tmp_path, text, marker="action") == (4, 1, 1)
    (first, second, *_rest) = logs(tmp_path, marker="action")
    assert (first, second) == (("thing", "x", 120), ("click", "x", None))
    assert counted(tmp_path, log("wifi", "on", "off"), marker="wifi") == (1, 1, 0)


def test_pairing_can_be_refused_and_a_wrong_name_is_an_error(tmp_path: Path) -> None:
    text = log("action", "open", "close")
    assert counted(tmp_path, text, marker="-") == (2, 0, 0)
    assert logs(tmp_path, marker="-") == [("open", "x", None), ("close", "x", None)]
    with pytest.raises(InputError, match=r"has no column nowhere \(\[input\.columns\] marker"):
        counted(tmp_path, text, marker="nowhere")


def test_files_decide_together(tmp_path: Path) -> None:
    begins, ends = log("event", "open"), log("event", "close").replace("10:00", "10:05")
    assert counted(tmp_path, ends, begins) == (1, 1, 0)


def test_a_column_of_its_own_may_be_empty_and_leaves_the_action_alone(tmp_path: Path) -> None:
    rows = "u,2026-01-15 10:00:00,watch,x,begin\nu,2026-01-15 10:01:00,click,x,\nu,2026-01-15 10:05:00,watch,x,end\n"
    assert counted(tmp_path, f"uid,time,action,item,marker\n{rows}") == (2, 1, 0)
    assert logs(tmp_path) == [("watch", "x", 300), ("click", "x", None)]


def test_where_nothing_else_says_what_was_done_the_first_word_of_the_pair_does(tmp_path: Path) -> None:
    rows = "u,2026-01-15 10:00:00,screen_on\nu,2026-01-15 10:01:00,screen_off\nu,2026-01-15 10:05:00,screen_off\n"
    assert counted(tmp_path, f"uid,time,action\n{rows}") == (2, 1, 1)
    assert logs(tmp_path) == [("on", "", 60), ("on", "", None)]


def test_of_several_columns_called_so_the_one_that_says_begin_and_end_is_taken(tmp_path: Path) -> None:
    text = "uid,time,item,phase,state,event_type\n" + "".join(
        f"u,2026-01-15 10:{minute:02}:00,x,new,{each},y\n" for minute, each in enumerate(("begin", "end"))
    )
    assert counted(tmp_path, text) == (1, 1, 0)
    with opened(tmp_path, tmp_path / "0.csv") as export:
        assert export.description.columns["marker"] == "state"


def test_json_lines_and_parquet_are_looked_at_as_well(tmp_path: Path) -> None:
    csv = tmp_path / "0.csv"
    csv.write_text(log("event", "open", "close"))
    for form, name in (("JSON", "a.jsonl"), ("PARQUET", "a.parquet")):
        duckdb.execute(f"COPY (FROM '{csv}') TO '{tmp_path / name}' (FORMAT {form})")
        with opened(tmp_path, str(tmp_path / name)) as export:
            assert (export.behaviors, export.paired_ends) == (1, 1)


def test_a_file_that_turns_out_to_be_gbk_is_paired_too(tmp_path: Path) -> None:
    rows = "".join(f"u{n},2026-01-15 10:00:00,item {n},\n" for n in range(20_000))
    words = "u,2026-01-15 11:00:00,新能源汽车的价格和试驾,open\nu,2026-01-15 11:01:00,新能源汽车的价格和试驾,close\n"
    path = tmp_path / "a.csv"
    path.write_bytes(
        f"uid,time,item,state\n{words.replace('新能源汽车的价格和试驾', 'x')}{rows}{words}".encode("gbk")
    )
    with opened(tmp_path, str(path)) as export:
        assert (export.paired_ends, export.encodings[str(path)]) == (2, "gb18030")


def logs(folder: Path, marker: str = "") -> list[tuple[str, str, int | None]]:
    with opened(folder, folder / "0.csv", columns={"marker": marker}) as export:
        return [(b.action, b.item, b.duration) for log in export.user_logs() for b in log.behaviors]


XES = "case:concept:name,concept:name,lifecycle:transition,time:timestamp\n"


def test_activities_of_a_process_log_last_from_start_to_complete(tmp_path: Path) -> None:
    rows = "".join(
        f"c1,{activity},{transition},2026-01-15 10:00:{second}+01:00\n"
        for activity, transition, second in [
            ("check", "start", "42"),
            ("decide", "start", "42"),
            ("check", "complete", "44"),
            ("decide", "complete", "59"),
        ]
    )
    assert counted(tmp_path, XES + rows) == (2, 2, 0)


def test_a_begin_whose_end_comes_days_later_is_told(tmp_path: Path) -> None:
    rows = [f"u,2026-01-{day:02} 10:00:00,A,{kind}" for day in (5, 15) for kind in ("open", "close")]
    for lines, codes in ((rows, []), ([rows[0], rows[3]], ["long_pairs"])):
        path = write(tmp_path, "a.csv", "\n".join(["user,time,app,event_type", *lines]) + "\n")
        with opened(tmp_path, str(path)) as export:
            assert [each.code for each in export.description.warnings] == codes


def test_a_process_log_that_only_completes_pairs_nothing(tmp_path: Path) -> None:
    rows = "".join(f"c1,{each},complete,2026-01-15 10:00:42\n" for each in ("check", "decide"))
    assert counted(tmp_path, XES + rows) == (2, 0, 0)


def test_the_time_of_a_process_log_is_the_end_where_a_start_stands_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "case:concept:name,concept:name,time:timestamp,start_timestamp\n"
        "c1,check,2026-01-15 10:01:02,2026-01-15 10:00:42\n"
    )
    with opened(tmp_path, str(path)) as export:
        ((behavior,),) = (log.behaviors for log in export.user_logs())
    assert (behavior.action, behavior.start.second, behavior.duration) == ("check", 42, 20)
