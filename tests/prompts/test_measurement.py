"""Users are measured by sums over the whole export: the result is what counting each user's log gives."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.config.settings import Settings
from eventabs.ingest.opened_export import Export
from eventabs.interface_language import Language
from eventabs.prompts.instructions_and_requests import PromptBuilder
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.user_costs import (
    measure_group,
    measure_logs,
    measure_parts,
    users_counted_by_log,
)
from eventabs.runs import builder_and_limits
from eventabs.setting_choices import Compaction, Detail
from input_files import opened

COLUMNS = (
    *("user_id", "timestamp", "action", "item_id", "app_id", "poi_id", "duration"),
    *("behavior_text", "city"),
)
Row = tuple[str, ...]
LEGEND = {"A": "XX公园", "B": "看 宝马7系", "C": "·de"}

USERS = st.sampled_from(["u1", "用户2", "10086", "7", "Straße", "a|b", "DE", "K\u212aelvin"])
DAYS = st.sampled_from(["2025-12-30", "2025-12-31", "2026-01-01", "2026-01-02", "2026-02-01", "2027-02-01"])
CLOCKS = st.sampled_from(["00:00:00", "00:29:59", "09:05:30", "09:05:59", "23:59:59"])
NAMES = st.one_of(
    st.sampled_from(
        [
            *("", "XX公园", "公园", "XX", "看 宝马7系", "宝马_u1的店", "10086号", "STRASSE 7", "ODE", "de"),
            *("in DE", "two  spaces", "tab\u200bless", "a|b", '"quoted"', "at 10:00", "half 5m"),
            *("half 0", " 0", "A", "咖啡。", "对比_A", "<|endoftext|>", "kelvin"),
        ]
    ),
    st.text("aA宝马XX 0:\"'。é", max_size=8),
)
ACTIONS = st.sampled_from(["", "visit", "browse", "use_app", "compare", "purchase", "own word", "u1"])
DURATIONS = st.sampled_from(["", "", "0", "59", "60", "4440", "90000"])
ROWS = st.lists(
    st.tuples(USERS, DAYS, CLOCKS, ACTIONS, NAMES, NAMES, NAMES, DURATIONS, NAMES), min_size=1, max_size=30
)


@contextmanager
def exported(rows: Sequence[Row], timezone: str = "") -> Iterator[Export]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "behaviors.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS[:8], *rows])
        with opened(Path(folder), path, timezone=timezone) as export:
            yield export


def joined(rows: list[Row]) -> list[Row]:
    return [(user, f"{day} {clock}", *others) for user, day, clock, *others in rows]


def with_level(level: Compaction, detail: Detail = "day") -> Settings:
    return Settings.model_validate({"compaction": {"level": level}, "prompt": {"detail": detail}})


def at_level(
    level: Compaction, language: Language, detail: Detail = "day"
) -> tuple[PromptBuilder, BatchLimits]:
    facts = {"prompt_language": language, "template": None, "legend": LEGEND if level == "dense" else None}
    return builder_and_limits(with_level(level, detail), facts)


@settings(max_examples=25, deadline=None)
@given(ROWS, st.sampled_from(["zh", "en"]))
def test_every_user_costs_what_counting_the_log_gives(rows: list[Row], language: Language) -> None:
    with exported(joined(rows)) as export:
        logs = list(export.user_logs())
        for level, detail in product(get_args(Compaction), get_args(Detail)):
            builder, limits = at_level(level, language, detail)
            measured = list(measure_logs(export.groups(), builder, limits))
            assert measured == [(log, measure_parts(log, builder, limits)) for log in logs]


@settings(max_examples=10, deadline=None)
@given(ROWS, st.sampled_from(["zh", "en"]), st.sampled_from([40, 8_192]))
def test_the_parts_of_a_group_are_those_of_each_log(
    rows: list[Row], language: Language, max_output_tokens: int
) -> None:
    for level in get_args(Compaction):
        builder, limits = at_level(level, language)
        prompt = builder, limits._replace(max_output_tokens=max_output_tokens)
        with exported(joined(rows)) as export:
            logs = list(export.user_logs())
            found = [part for group in export.groups() for part in measure_group(group, *prompt)]
            assert found == [part for log in logs for part in measure_parts(log, *prompt)]


def test_reading_goes_on_after_a_caller_that_stopped_at_the_first_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eventabs.ingest.opened_export._BEHAVIORS", 5)
    rows = [(f"user {n % 7}", f"2026-01-01 10:{n:02}:00", "visit", "", "", "A", "60", "") for n in range(40)]
    with exported(rows) as export:
        groups = export.groups()
        first = next(groups)
        assert [user.user_id for user in first.users] == ["user 0"]
        del groups  # which ends the thread that makes the next one
        assert [len(group.users) for group in export.groups()] == [1] * 7


def test_where_a_zone_turns_clocks_back_over_midnight_days_are_those_of_the_log() -> None:
    rows = [
        (user, f"{day}T{time}", "visit", "", "", "place", "", "")
        for user, before, after in (("anna", "2026-01-01", "2026-01-02"), ("ben", "2025-12-31", "2026-01-01"))
        for day, time in ((after, "00:10:00+09:00"), (before, "23:20:00+08:00"), (after, "00:50:00+09:00"))
    ]
    builder, limits = at_level("line", "en")
    with exported(rows) as export:
        assert [users_counted_by_log(group, ()) for group in export.groups()] == [set()]
        measured = list(measure_logs(export.groups(), builder, limits))
        assert measured == [(log, measure_parts(log, builder, limits)) for log in export.user_logs()]
