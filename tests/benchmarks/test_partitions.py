"""The benchmark of reading by the shards of one machine, at a size for tests."""

import json

import pytest

import partitions as bench


def test_an_input_that_is_read_once_gives_the_same_logs_for_fewer_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = bench.main(["--rows", "3000", "--shards", "3"])
    figures = json.loads(capsys.readouterr().out)
    assert (code, figures["same_logs"]) == (0, True)
    assert figures["ratio"]["bytes_read"] < 1
