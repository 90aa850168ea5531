"""Every format of docs/formats.md is read as the page says, whatever its encoding and compression."""

import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import formats
from eventabs.ingest.formats.base import Format, Query, Wanted
from eventabs.ingest.normal_form import as_glob, quoted
from input_files import facts, facts_of, open_input_file, opened, queried, settings_of, write
from paths import ROOT

PAGE = ROOT / "docs" / "formats.md"
MORE = ROOT / "tests" / "data" / "samples.md"
SAMPLES = [
    sample
    for page in (PAGE, MORE)
    for sample in re.findall(
        r"^```sample (\S+)\n(.*?)^```\n```behaviors\n(.*?)^```$",
        page.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]


@pytest.mark.parametrize(("name", "text", "behaviors"), SAMPLES, ids=[name for name, *_ in SAMPLES])
def test_a_sample_is_read_as_it_says(tmp_path: Path, name: str, text: str, behaviors: str) -> None:
    with opened(tmp_path, write(tmp_path, name, text)) as export:
        assert facts_of(export) == behaviors.splitlines()
        copied = settings_of(export.description.proposal)
    assert facts(tmp_path, tmp_path / name, **copied) == behaviors.splitlines()
    crlf = write(tmp_path, f"crlf-{name}", text.replace("\n", "\r\n"))
    assert facts(tmp_path, crlf) == behaviors.splitlines()


def test_all_samples_are_found() -> None:
    assert len(SAMPLES) == sum(page.read_text("utf-8").count("```sample ") for page in (PAGE, MORE)) == 16


def test_a_folder_means_its_exports_without_profiles_and_what_runs_left(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "day=1").mkdir(parents=True)
    (folder / "in.eventabs").mkdir()
    write(folder / "in.eventabs", "ledger.sqlite", "x")
    write(folder / "in.eventabs", "events.jsonl", "{}")
    write(folder, "readme.txt", "hello")
    profiles = write(folder, "profiles.csv", "uid,age\nu1,40\n")
    write(folder, "a.csv", "uid,time,item\nu1,2026-01-15,x\n")
    write(folder / "day=1", "b.jsonl", '{"uid": "u2", "time": "2026-01-15", "item": "x"}\n')
    with opened(tmp_path, folder, profiles=str(profiles)) as export:
        assert [Path(path).name for path in export.files] == ["a.csv", "b.jsonl"]
        assert export.users == 2


def test_columns_name_a_csv_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "u1,7,shoes,buy,2026-01-15 10:00:00\n")
    header = ("user_id", "item_id", "category", "action", "timestamp")
    assert facts(tmp_path, path, header=header) == ["u1|2026-01-15T10:00:00|purchase|shoes 7||"]
    with (
        pytest.raises(InputError, match="has 5 fields in its first line"),
        opened(tmp_path, path, header=("a",)),
    ):
        pass


def test_dates_that_nothing_decides_are_refused_until_dayfirst_says(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,item\nu1,03/04/2026,x\n")
    with pytest.raises(InputError, match=r"\[input\] dayfirst"), opened(tmp_path, path):
        pass
    assert facts(tmp_path, path, dayfirst=True) == ["u1|2026-04-03T00:00:00|thing|x||"]
    assert facts(tmp_path, path, dayfirst=False) == ["u1|2026-03-04T00:00:00|thing|x||"]


def test_an_offset_that_no_place_has_rejects_its_row(tmp_path: Path) -> None:
    rows = ["8", "480", "2880", "99:00"]
    text = "".join(f"u{n},2026-01-15 10:00:00,{offset},x\n" for n, offset in enumerate(rows))
    with opened(tmp_path, write(tmp_path, "a.csv", f"uid,time,tz_offset,item\n{text}")) as export:
        assert (export.behaviors, export.reasons) == (2, {"bad_time": 2})
        starts = [log.behaviors[0].start.isoformat() for log in export.user_logs() if log.behaviors]
        assert starts == ["2026-01-15T18:00:00+08:00"] * 2


def test_an_end_before_its_start_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user,start,end,item\nA,2026-01-15 10:00:00,2026-01-15 09:00:00,x\n")
    with opened(tmp_path, path) as export:
        assert export.reasons == {"bad_duration": 1}


def test_equal_rows_are_kept_on_demand(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,item\n" + "u1,2026-01-15,x\n" * 3)
    with opened(tmp_path, path, keep_duplicates=True) as export:
        assert (export.behaviors, export.duplicates) == (3, 0)


def test_a_text_that_prompts_cut_is_counted(tmp_path: Path) -> None:
    rows = "".join(
        f"u{n},2026-01-15 10:00:00,{text}\n"
        for n, text in enumerate(("x" * 200, "好" * 200, "好" * 201, "y" * 3_000_000))
    )
    with opened(tmp_path, write(tmp_path, "a.csv", "uid,time,item\n" + rows)) as export:
        assert (export.behaviors, export.shortened) == (4, 2)
    with opened(
        tmp_path, write(tmp_path, "b.csv", "uid,time,text\nu1,2026-01-15 10:00:00," + "说" * 201 + "\n")
    ) as export:
        assert export.shortened == 1


# a large file, broken in ten ways

GOOD = "u{n},2026-01-15 10:00:00,item {n},60"
BROKEN = {
    "u{n}": "bad_csv",
    "u{n},2026-01-15 10:00:00,item,60,more": "bad_csv",
    'u{n},2026-01-15 10:00:00,"item,60': "bad_csv",
    "u{n},someday,item,60": "bad_time",
    "u{n},,item,60": "bad_time",
    "u{n},2026-13-45 10:00:00,item,60": "bad_time",
    ",2026-01-15 10:00:00,item,60": "no_user",
    "u{n},2026-01-15 10:00:00,,60": "no_behavior",
    "u{n},2026-01-15 10:00:00,item,long": "bad_duration",
    "u{n},2026-01-15 10:00:00,item,-5": "bad_duration",
}


@pytest.mark.slow
def test_of_100_000_rows_each_of_the_1_000_broken_ones_is_named_by_its_line(tmp_path: Path) -> None:
    kinds = list(BROKEN)
    lines = ["uid,time,item,duration"]
    expected = []
    for number in range(100_000):
        if number % 100 == 37:
            kind = kinds[number // 100 % 10]
            expected.append((len(lines) + 1, BROKEN[kind], kind.format(n=number)))
            lines.append(kind.format(n=number))
        else:
            lines.append(GOOD.format(n=number // 2 * 2 if number % 1000 == 1 else number))
    with opened(tmp_path, write(tmp_path, "a.csv", "\n".join(lines) + "\n")) as export:
        assert [(row.line, row.reason, row.text) for row in export.rejects()] == expected
        assert export.duplicates == 100
        assert export.behaviors + export.rejected_rows + export.duplicates == export.rows == 100_000
        assert export.reasons == {
            reason: 100 * list(BROKEN.values()).count(reason) for reason in export.reasons
        }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row"), [("a.jsonl", '{{"n": {n}, "p": "{p}"}}\n'), ("a.csv", "{n},{p}\n")])
def test_line_numbers_hold_through_a_file_larger_than_duckdbs_buffers(
    tmp_path: Path, name: str, row: str
) -> None:
    body = "".join(row.format(n=number, p="x" * (number % 400)) for number in range(1, 250_001))
    header = "n,p\n" if name.endswith("csv") else ""
    found = queried(open_input_file(tmp_path, name, header + body), "n")
    shift = 1 if header else 0
    assert len(found) == 250_000
    assert all(line == int(number) + shift for line, _problem, number in found)


class LogLines(Format):
    """A format that the tool does not know: `when who what`, one a line, below a line #log."""

    def find_columns(self) -> tuple[str, ...]:
        return ("time", "user", "item")

    def query(self, wanted: Wanted) -> Query:
        positions = {name: self.columns.index(column) + 1 for name, column in wanted if column}
        values = ", ".join(
            f"split_part(text, ' ', {positions[name]}) AS \"{name}\""
            if name in positions
            else f'NULL AS "{name}"'
            for name, _column in wanted
        )
        path, options = quoted(as_glob(self.file.text)), "header = true, auto_detect = false"
        reader = f"read_csv({path}, columns = {{'text': 'VARCHAR'}}, delim = '\x01', {options})"
        select = f"SELECT NULL::BIGINT AS line, NULL::VARCHAR AS problem, {values} FROM {reader}"
        return Query(select, first_line=2)

    def texts(self) -> Iterator[tuple[int, str]]:
        lines = Path(self.file.text).read_text("utf-8").splitlines()
        return ((number, line) for number, line in enumerate(lines, start=1) if number > 1)

    def fields(self, text: str) -> Mapping[str, str]:
        return dict(zip(self.columns, text.split(" "), strict=False))


def test_another_format_is_one_class_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = formats.text_format
    monkeypatch.setattr(
        formats,
        "text_format",
        lambda path, start: LogLines if start.startswith(b"#log\n") else others(path, start),
    )
    log = write(tmp_path, "a.log", gzip.compress(b"#log\n2026-01-15T10:00:00 u1 tea\nsoon u2 milk\n"))
    table = write(tmp_path, "b.csv", "uid,time,item\nu1,2026-01-15 11:00:00,cake\n")
    with opened(tmp_path, log, table) as export:
        assert [b.item for each in export.user_logs() for b in each.behaviors] == ["tea", "cake"]
        assert [(row.line, row.reason, row.text) for row in export.rejects()] == [
            (3, "bad_time", "soon u2 milk")
        ]


def test_of_long_rows_fewer_are_looked_at_first(tmp_path: Path) -> None:
    rows = "".join(f"u{n},2026-01-15 10:00:0{n},{'x' * 1_000_000}\n" for n in range(8))
    with opened(tmp_path, write(tmp_path, "a.csv", f"user,time,item\n{rows}")) as export:
        assert (export.behaviors, export.description.mappings[0].sampled) == (8, 5)  # the fifth passes 4 MB
