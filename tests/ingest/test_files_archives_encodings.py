"""Files are found as they are named, and refused with one clear line."""

import os
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.files_archives_encodings import Content
from input_files import opened


def write(folder: Path, name: str, data: bytes = b"x\n") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def inspect(path: str) -> Content:
    return files.inspect(path, path)


def test_files_and_globs_come_sorted_and_none_twice(tmp_path: Path) -> None:
    b, a, c = (write(tmp_path, name) for name in ("b.csv", "a.csv", "c.jsonl"))
    (tmp_path / "folder.csv").mkdir()
    assert files.expand([c, str(tmp_path / "*.csv"), a, b]) == (a, b, c)


def test_a_name_that_is_not_utf8_is_refused_in_one_line(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.csv")
    path = write(tmp_path, name)
    for named in (path, str(tmp_path), str(tmp_path / "*.csv")):
        with pytest.raises(InputError, match=r"the file name .*\.csv' is not valid text; rename the file"):
            files.expand([named])


def test_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    a = write(tmp_path, "a.csv")
    (tmp_path / "b.csv").symlink_to(a)
    os.link(a, tmp_path / "c.csv")
    assert files.expand([str(tmp_path / "*.csv")]) == (a,)


def test_a_name_with_glob_characters_that_exists_is_taken_literally(tmp_path: Path) -> None:
    odd = write(tmp_path, "[ab]*?.csv")
    write(tmp_path, "a1.csv")
    assert files.expand([odd]) == (odd,)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("missing.csv", "does not exist"),
        ("*.parquet", "no file matches"),
        ("", "holds no export"),
        ("x" * 5000, "does not exist"),
        ("a\0b", "does not exist"),
    ],
)
def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path, name: str, part: str) -> None:
    path = str(tmp_path / name) if len(name) < 100 else name
    with pytest.raises(InputError, match=part) as caught:
        files.expand([path])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe\0", "is a binary file"),
        (b"PK\0\0" * 50, "is a binary file"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, part: str) -> None:
    with pytest.raises(InputError, match=part):
        inspect(write(tmp_path, "a.csv", data))


def test_a_pipe_is_refused_before_it_is_opened_and_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe\.csv is a pipe.*eventabs run -"):
        files.expand([str(tmp_path / "pipe.csv")])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "gone.csv").symlink_to("nowhere.csv")
    with pytest.raises(InputError, match=r"gone\.csv does not exist"):
        files.expand([str(tmp_path / "folder")])


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\r\n\n  \n"])
def test_a_file_without_a_character_is_empty(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="is empty"):
        inspect(write(tmp_path, "a.csv", data))


def test_a_single_nul_in_a_text_does_not_make_it_binary(tmp_path: Path) -> None:
    assert inspect(write(tmp_path, "a.csv", ("好" * 50 + "\0\n").encode() * 2)).lines == 2


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, "a.csv")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="Permission denied; check its permissions"):
        inspect(path)


def test_a_line_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LINE", 2 << 20)
    path = write(tmp_path, "a.csv", b"x" * (4 << 20))
    with pytest.raises(InputError, match="a line longer than 2 MB"), opened(tmp_path, path):
        pass


@pytest.mark.parametrize(
    ("data", "lines", "one_newline"),
    [
        (b"a\nb\n", 2, True),
        (b"a\nb", 2, True),
        (b"a\r\nb\r\n", 2, True),
        (b"a\r\nb\n", 2, False),
        (b"a\rb\n", 1, False),
        (b"a\n\n\n", 3, True),
        (b"x" * ((1 << 20) - 1) + b"\r\nb\r\n", 2, True),
        (b"x" * ((1 << 20) - 1) + b"\rb\r\n", 1, False),
    ],
)
def test_lines_are_counted_and_mixed_line_endings_noticed(
    tmp_path: Path, data: bytes, lines: int, one_newline: bool
) -> None:
    content = inspect(write(tmp_path, "a.csv", data))
    assert (content.lines, content.one_newline) == (lines, one_newline)


def test_the_longest_line_is_never_underestimated(tmp_path: Path) -> None:
    data = b"a\n" * 10 + b"x" * (3 << 20) + b"\nb\n"
    assert inspect(write(tmp_path, "a.csv", data)).longest >= 3 << 20


def test_the_fingerprint_is_of_content_whatever_names_and_order(tmp_path: Path) -> None:
    one, two, other = (
        (inspect(write(tmp_path, name, data)).sha256, "")
        for name, data in (("1", b"a"), ("2", b"b"), ("3", b"c"))
    )
    assert files.fingerprint([one, two]) == files.fingerprint([two, one])
    assert files.fingerprint([one, two]) != files.fingerprint([one, other])


def test_the_head_is_whole_lines_and_at_least_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "\ufeff好,b\n1,2\n33,44\n".encode())
    assert list(files.spread_lines(path, 1)) == ["好,b"]
    assert list(files.spread_lines(path, 16)) == ["好,b", "1,2"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("好\n".encode() * 400_000, 0),
        (b"a\nb\n" + "用户".encode("gbk"), 3),
        (b"a\n" * (1 << 19) + "b\n用户\nc".encode("gbk"), (1 << 19) + 2),
        (b"x" * ((1 << 20) - 1) + "好\n".encode(), 0),
        (b"x" * ((1 << 20) - 1) + "好".encode()[:1] + b"\nb\n", 1),
        (b"a\n" + "好".encode()[:2], 2),
    ],
)
def test_another_encoding_is_noticed_at_the_line_where_it_shows(
    tmp_path: Path, data: bytes, line: int
) -> None:
    assert inspect(write(tmp_path, "a.csv", data)).line_not_utf8 == line


def test_spread_lines_are_whole_lines_from_all_over_the_file_and_none_comes_twice(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"".join(b"%05d\n" % number for number in range(1000)))
    lines = list(files.spread_lines(path, 60, 3))
    assert all(len(line) == 5 for line in lines)
    assert {round(int(line), -1) for line in lines} == {0, 10, 250, 260, 500, 510, 750, 760}
    assert [int(line) for line in files.spread_lines(path, 500, 19)] == [*range(1000)]
