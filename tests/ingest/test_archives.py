"""Exports inside a zip file are files of their own; what could do harm is refused."""

import gzip
import zipfile
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import InputError
from input_files import facts, opened, write

ROWS = "time,item\n2026-01-15 10:00:00,x\n"


def archive(folder: Path, files: dict[str, str | bytes], name: str = "a.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as packed:
        for member, data in files.items():
            packed.writestr(member, data)
    return folder / name


def test_each_export_inside_is_a_file_of_its_own(tmp_path: Path) -> None:
    inside = archive(tmp_path, {"book.csv": ROWS}, "inner.bin").read_bytes()
    packed = archive(
        tmp_path,
        {
            "logs/u1.csv": ROWS,
            "logs/deep/u2.csv.gz": gzip.compress(ROWS.encode()),
            "u3.jsonl": '{"time": "2026-01-15 10:00:00", "item": "x"}\n',
            "张三.csv": ROWS.replace("x", "好的商品名字").encode("gbk"),
            "readme.txt": "hello",
            "picture.bin": inside,
            "__MACOSX/._u1.csv": b"\0",
        },
    )
    found = facts(tmp_path, packed, user="{stem}")
    assert found == [
        f"{user}|2026-01-15T10:00:00|thing|{item}||"
        for user, item in [("u1", "x"), ("u2", "x"), ("u3", "x"), ("张三", "好的商品名字")]
    ]
    with opened(tmp_path, packed, user="me") as export:
        assert [Path(path).relative_to(tmp_path).as_posix() for path in export.files] == [
            "a.zip/logs/deep/u2.csv.gz", "a.zip/logs/u1.csv", "a.zip/u3.jsonl", "a.zip/张三.csv"
        ]  # fmt: skip


def test_a_pattern_behind_an_archive_names_some_of_its_files(tmp_path: Path) -> None:
    packed = archive(tmp_path, {"a/u1.csv": ROWS, "b/settings.json": "{}"})
    assert facts(tmp_path, packed / "a" / "*.csv", user="{parent}") == ["a|2026-01-15T10:00:00|thing|x||"]


def test_a_rejected_row_names_the_archive_and_the_file(tmp_path: Path) -> None:
    packed = archive(tmp_path, {"in/u1.csv": ROWS + "soon,y\n"})
    with opened(tmp_path, packed, user="me") as export:
        assert [(row.file, row.line, row.text) for row in export.rejects()] == [
            (f"{packed}/in/u1.csv", 3, "soon,y")
        ]


def test_a_name_in_the_encoding_of_another_system_is_read(tmp_path: Path) -> None:
    packed = archive(tmp_path, {"zhang_.csv": ROWS})
    packed.write_bytes(packed.read_bytes().replace(b"zhang_", "张三丰".encode("gbk")))
    assert facts(tmp_path, packed, user="{stem}") == ["张三丰|2026-01-15T10:00:00|thing|x||"]


@pytest.mark.slow
def test_what_cannot_be_unpacked_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = archive(tmp_path, {"u1.csv": ROWS}).read_bytes()
    protected = bytearray(whole)
    protected[whole.index(b"PK\1\2") + 8] |= 1
    body = whole.index(b"u1.csv") + len("u1.csv")
    for path, said in {
        archive(tmp_path, {"b.zip": whole}, "nested.zip"): r"holds an archive itself \(b.zip\)",
        archive(tmp_path, {"a.csv": b"time,item\n" + bytes(400 << 20)}, "bomb.zip"): "would unpack to 400 MB",
        archive(tmp_path, {"a.txt": "x"}, "none.zip"): "holds no export",
        write(tmp_path, "cut.zip", whole[:60]): "cannot be unpacked",
        write(tmp_path, "bad.zip", whole[:body] + b"\xff" * 10 + whole[body + 10 :]): "cannot be unpacked",
        write(tmp_path, "protected.zip", bytes(protected)): "protected by a password",
    }.items():
        with pytest.raises(InputError, match=said) as caught, opened(tmp_path, path, user="me"):
            pass
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_with_a_changed_byte_is_refused_in_one_line_however_it_is_packed(
    tmp_path: Path, packing: int
) -> None:
    path, rows = tmp_path / "a.zip", "".join(f"2026-01-15 10:00:00,{n * n}\n" for n in range(200))
    with zipfile.ZipFile(path, "w", packing) as packed:
        packed.writestr("u1.csv", f"time,item\n{rows}")
    whole = path.read_bytes()
    for at in range(60, len(whole) - 150, 90):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(InputError) as caught, opened(tmp_path, path, user="me"):
            pass
        assert str(caught.value).startswith(f"{path}/u1.csv cannot be unpacked (")
