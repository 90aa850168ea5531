"""The benchmark of shards, at a size for tests."""

import pytest

import shards as bench


@pytest.mark.slow
def test_merged_events_are_those_of_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    code = bench.main(["--users", "6", "--behaviors", "8", "--shards", "2", "--read-rows", "200"])
    printed = capsys.readouterr().out
    assert code == 0
    assert printed.count("events equal to the byte") == 2
    rows = {line[:14].strip(): line[14:].split() for line in printed.splitlines()}
    assert rows["in turn"][1:4] == rows["side by side"][1:4]
    assert rows["one run"][1] == rows["in turn"][1] == "6"
    assert rows["one run"][2] == rows["in turn"][2]
