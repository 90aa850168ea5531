"""The benchmark of where the rows come from, at a size for tests."""

import pytest

import sources as bench
from postgresql import FOLDERS


@pytest.mark.slow
def test_every_source_is_read_to_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--rows", "920", "--rounds", "1"])
    header, *lines = capsys.readouterr().out.splitlines()[-4 if FOLDERS else -3 :]
    assert header.split()[0] == "rows"
    assert [line.split()[0] for line in lines] == ["file", "S3", *(["PostgreSQL"] if FOLDERS else [])]
    assert len({line.split()[1] for line in lines}) == 1
