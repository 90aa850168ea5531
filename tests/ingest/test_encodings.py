"""Encoding and compression of a file are found, or refused where they are not certain."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from eventabs.errors_and_exit_codes import ConfigError, InputError
from input_files import facts, loaded, open_input_file, opened, write

CHINESE = "用户ID,行为类型,时间,商品\n" + "".join(
    f"u{n % 3},浏览,2026-01-15 10:{n:02}:00,新能源汽车的价格和试驾\n" for n in range(20)
)
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zst": zstandard.compress,
}


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        *(
            (codec, "plain")
            for codec in ("utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
        ),
        *((codec, packed) for codec in ("utf-8", "gbk") for packed in ("gz", "zst")),
    ],
)
def test_encoding_and_compression_are_found(tmp_path: Path, codec: str, packed: str) -> None:
    data = PACKED[packed](CHINESE.encode(codec))
    found = facts(tmp_path, write(tmp_path, f"b.csv.{packed}", data))
    assert (len(found), found[0]) == (20, "u0|2026-01-15T10:00:00|browse|新能源汽车的价格和试驾||")


@pytest.mark.parametrize("codec", ["utf-8", "gbk", "utf-16"])
def test_lines_that_end_in_cr_alone_are_lines(tmp_path: Path, codec: str) -> None:
    data = CHINESE.replace("\n", "\r").encode(codec)
    assert len(facts(tmp_path, write(tmp_path, "mac.csv", data))) == 20


@pytest.mark.parametrize("codec", ["utf-8", "gbk", "utf-16"])
def test_lines_of_any_encoding_may_end_in_several_ways(tmp_path: Path, codec: str) -> None:
    lines = CHINESE.splitlines(keepends=True)
    text = "".join([*lines[:9], lines[9].replace("\n", "\r\n"), lines[10].replace("的", "\r"), *lines[11:]])
    found = facts(tmp_path, write(tmp_path, "mixed.csv", text.encode(codec)))
    assert (len(found), sum("汽车 价格" in fact for fact in found)) == (20, 1)


def test_frames_behind_one_another_are_one_file(tmp_path: Path) -> None:
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0sums"
    data = b"".join(zstandard.compress(line.encode()) for line in CHINESE.splitlines(keepends=True))
    assert len(facts(tmp_path, write(tmp_path, "b.csv.zst", data + skipped))) == 20


def test_profiles_of_another_encoding_are_read(tmp_path: Path) -> None:
    rows = "".join(f"x{n},{n}\n" for n in range(20_000))
    profiles = write(tmp_path, "p.csv", f"uid,职业\n{rows}u1,工程师和设计师\n".encode("gbk"))
    with opened(
        tmp_path, write(tmp_path, "b.csv", CHINESE), profiles=str(profiles), profile_columns=("职业",)
    ) as export:
        assert [log.profile for log in export.user_logs()] == [(), (("occupation", "工程师和设计师"),), ()]


@pytest.mark.parametrize("beginning", [5_000, 20_000])
def test_gbk_behind_a_long_ascii_beginning_is_found(tmp_path: Path, beginning: int) -> None:
    rows = "".join(f"u1,2026-01-15 10:00:00,item {n}\n" for n in range(beginning))
    text = f"uid,time,item\n{rows}u1,2026-01-15 11:00:00,新能源汽车的价格和试驾\n"
    assert facts(tmp_path, write(tmp_path, "a.csv", text.encode("gbk")))[-1].endswith("试驾||")


@pytest.mark.parametrize(
    ("text", "codec"),
    [("試駕預約與優惠價格", "big5"), ("příliš žluťoučký kůň", "cp852"), ("İstanbul'da ışık açıldı", "cp857"), ("café réservé", "mac_roman"), ("车", "gbk"),
     ("καφές και τσάι", "cp1253"), ("קניתי כרטיס לסרט", "cp1255"), ("اشتريت تذكرة الفيلم", "cp1256"), ("Купил билет в кино", "koi8-r")],
)  # fmt: skip
def test_an_encoding_that_is_not_certain_is_refused_until_it_is_named(
    tmp_path: Path, text: str, codec: str
) -> None:
    data = f"uid,time,item\nu1,2026-01-15 10:00:00,{text}\n".encode(codec)
    path = write(tmp_path, "a.csv", data)
    with pytest.raises(InputError, match=r"\[input\] encoding"), opened(tmp_path, path):
        pass
    (fact,) = facts(tmp_path, path, encoding=codec)
    assert text in fact


@pytest.mark.parametrize(
    ("text", "codec"),
    [("自動車の価格を調べた", "cp932"), ("자동차 가격을 검색했다", "cp949"), ("café réservé à l'été", "cp1252"), ("купил билет", "cp1251"), ("zażółć gęślą jaźń", "cp1250"), ("kısa değil şarjı", "cp1254")],
)  # fmt: skip
def test_the_letters_of_a_language_tell_its_encoding(tmp_path: Path, text: str, codec: str) -> None:
    path = write(tmp_path, "a.csv", f"uid,time,item\nu1,2026-01-15 10:00:00,{text}\n".encode(codec))
    (fact,) = facts(tmp_path, path)
    assert text in fact


@pytest.mark.parametrize(
    ("codec", "encoding"), [("utf-8", ""), ("utf-8", "utf-8"), ("gb18030", ""), ("gb18030", "gb18030")]
)
def test_a_few_characters_that_were_cut_are_read_as_such_and_said(
    tmp_path: Path, codec: str, encoding: str
) -> None:
    row = "u{0},2026-01-15 10:00:00,新能源汽车的价格和试驾{0}\n"
    lost = "x,2026-01-15 10:00:00,\ufffd\n" * 9  # before, by another program: these are whole
    text = "uid,time,item\n" + "".join(row.format(number) for number in range(400)) + lost
    for cut, is_read in ((1, True), (40, False)):  # characters; many speak of another encoding
        data = text.encode(codec).split("试".encode(codec))
        parts = [
            part + "试".encode(codec)[: 1 if number in range(200, 200 + cut) else None]
            for number, part in enumerate(data[:-1])
        ]
        path = write(tmp_path, "a.csv", b"".join([*parts, data[-1]]))
        if not is_read:
            with (
                pytest.raises(InputError, match=r"\[input\] encoding"),
                opened(tmp_path, path, encoding=encoding),
            ):
                pass
            continue
        with opened(tmp_path, path, encoding=encoding) as export:
            (said,) = [each.message for each in export.description.warnings if each.code == "broken_texts"]
            assert f"{encoding or codec}, 1, the first in line 202;" in said
            items = {log.user_id: log.behaviors[0].item for log in export.user_logs()}
        assert [user for user, item in items.items() if "\ufffd" in item] == ["u200", "x"]
        assert items["u7"] == "新能源汽车的价格和试驾7"


def test_characters_cut_in_the_profiles_are_said_too(tmp_path: Path) -> None:
    profiles = "user_id,occupation\n" + "".join(f"{number},工程师\n" for number in range(200))
    path = write(tmp_path, "people.csv", profiles.encode()[:-2] + b"\n")
    rows = write(tmp_path, "a.csv", "user,time,item\n1,2026-01-15 10:00:00,x\n")
    with opened(tmp_path, rows, profiles=str(path), profile_columns=("occupation",)) as export:
        (said,) = [each.message for each in export.description.warnings if each.code == "broken_texts"]
    assert f"{path} has characters that are not utf-8, 1, the first in line 201;" in said


def test_an_encoding_that_does_not_exist_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", CHINESE)
    with pytest.raises(ConfigError, match="no encoding klingon"), opened(tmp_path, path, encoding="klingon"):
        pass
    with pytest.raises(InputError, match="is not ascii"), opened(tmp_path, path, encoding="ascii"):
        pass
    path = write(
        tmp_path, "cut.csv.gz", gzip.compress(CHINESE.encode())[:-9]
    )  # refused before it is unpacked
    with pytest.raises(ConfigError, match="no encoding klingon"), opened(tmp_path, path, encoding="klingon"):
        pass


def test_what_was_compressed_is_named_by_its_own_name(tmp_path: Path) -> None:
    for data, part in ((b"", "is empty"), (b"\0\xff" * 50, "is a binary file")):
        path = write(tmp_path, "a.csv.gz", gzip.compress(data))
        with pytest.raises(InputError, match=rf"a\.csv\.gz {part}"), opened(tmp_path, path):
            pass


@pytest.mark.parametrize("packed", ["gz", "zst"])
@pytest.mark.parametrize("cut", [3, 20])
def test_a_cut_archive_is_refused(tmp_path: Path, packed: str, cut: int) -> None:
    path = write(tmp_path, f"a.csv.{packed}", PACKED[packed](CHINESE.encode())[:-cut])
    with pytest.raises(InputError, match="cannot be unpacked"), opened(tmp_path, path):
        pass


@pytest.mark.parametrize(
    ("name", "start", "line"),
    [
        ("a.csv", b"user,b\n" + b"1,2\n" * 100_000, 100_001),
        ("a.jsonl", b'{"user": 1, "b": 2}\n' * 50_000, 50_000),
    ],
)
def test_another_encoding_deep_in_the_file_is_named_with_its_line(
    tmp_path: Path, name: str, start: bytes, line: int
) -> None:
    with pytest.raises(InputError, match=rf"is not UTF-8 \(line {line + 1}\)"):
        loaded(open_input_file(tmp_path, name, start + b"\xc4\xe3,2\n"))
