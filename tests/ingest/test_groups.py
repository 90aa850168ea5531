"""Groups of users are summed up as their logs would be."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from input_files import opened

USERS = ("anna", "bob", "用户")


def export_file(folder: Path, days: Sequence[int]) -> Path:
    """Write for each user, on each of some days of January, as many rows as the day's number, a quarter of an hour apart."""
    path = folder / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("uid", "time", "action", "item", "duration"))
        for position, user in enumerate(USERS):
            for day in days[position:]:
                for number in range(day):
                    at = f"2026-01-{day:02} {number // 4:02}:{number % 4 * 15:02}:00"
                    writer.writerow((user, at, "view", f"Item {user}", 60))
    return path


def test_users_whose_rows_begin_near_each_other_are_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventabs.ingest.opened_export._BEHAVIORS", 6)
    with opened(tmp_path, export_file(tmp_path, (1, 2, 3))) as export:
        found = [[user.behaviors for user in group.users] for group in export.groups()]
    assert found == [[1 + 2 + 3], [2 + 3, 3]]


@pytest.mark.parametrize("behaviors", [1, 300_000])
def test_groups_have_the_logs_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviors: int
) -> None:
    monkeypatch.setattr("eventabs.ingest.opened_export._BEHAVIORS", behaviors)
    with opened(tmp_path, export_file(tmp_path, (2, 9, 11))) as export:
        assert [log for group in export.groups() for log in group.logs(range(len(group.users)))] == list(
            export.user_logs()
        )


def test_names_days_and_users_are_those_of_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventabs.ingest.opened_export._BEHAVIORS", 1)
    with opened(tmp_path, export_file(tmp_path, (1, 2))) as export:
        first, second = (
            (group.names, group.durations, group.days, group.users_named(["item bob"]))
            for group in export.groups()
        )
    assert [name.item for name in first[0]] == ["Item anna"]
    assert [name.item for name in second[0]] == ["Item bob"]
    assert (first[1], len(first[2]), len(second[2])) == ([60], 2, 1)
    assert (first[3], second[3]) == (set(), {0})


def test_only_the_first_users_are_grouped_on_demand(tmp_path: Path) -> None:
    with opened(tmp_path, export_file(tmp_path, (1, 2, 3))) as export:
        for group in export.groups(2):
            assert [user.user_id for user in group.users] == ["anna", "bob"]
            assert [user.behaviors for user in group.users] == [1 + 2 + 3, 2 + 3]
            assert {name.item for name in group.names} == {"Item anna", "Item bob"}


def test_a_group_has_the_logs_of_some_of_its_users(tmp_path: Path) -> None:
    with opened(tmp_path, export_file(tmp_path, (1, 2, 3))) as export:
        anna, _bob, other = export.user_logs()
        for group in export.groups():
            assert list(group.logs({0, 2})) == [anna, other]
            assert list(group.logs(())) == []
