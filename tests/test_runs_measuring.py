"""Users are measured by sums over the whole export: what comes out is what counting each user's log says."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from eventabs.config import Settings, validated
from eventabs.exports import Export, open_export
from eventabs.language import Language
from eventabs.records import Compaction, Detail
from eventabs.runs.measuring import measured_logs, measured_parts
from eventabs.runs.wiring import batch_limits, make_builder

COLUMNS = (
    "user_id",
    "timestamp",
    "action",
    "item_id",
    "app_id",
    "poi_id",
    "duration",
    "behavior_text",
    "city",
)
Row = tuple[str, ...]

USERS = st.sampled_from(["u1", "用户2", "10086", "7", "Straße", "a|b", "DE", "K\u212aelvin"])
DAYS = st.sampled_from(["2025-12-30", "2025-12-31", "2026-01-01", "2026-01-02", "2026-02-01", "2027-02-01"])
CLOCKS = st.sampled_from(["00:00:00", "00:29:59", "09:05:30", "09:05:59", "23:59:59"])
NAMES = st.one_of(
    st.sampled_from(
        [
            "",
            "XX公园",
            "公园",
            "XX",
            "看 宝马7系",
            "宝马_u1的店",
            "10086号",
            "STRASSE 7",
            "ODE",
            "de",
            "in DE",
            "two  spaces",
            "tab\u200bless",
            "a|b",
            '"quoted"',
            "at 10:00",
            "half 5m",
            "half 0",
            " 0",
            "A",
            "咖啡。",
            "对比_A",
            "<|endoftext|>",
            "kelvin",
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
def exported(rows: list[Row], timezone: str = "") -> Iterator[Export]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "behaviors.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS[:8], *rows])
        with open_export(
            [str(path)], columns={}, profiles="", profile_columns=(), timezone=timezone, work_dir=Path(folder)
        ) as export:
            yield export


def joined(rows: list[Row]) -> list[Row]:
    return [(user, f"{day} {clock}", *others) for user, day, clock, *others in rows]


def with_level(level: Compaction, detail: Detail = "day") -> Settings:
    return validated({"compaction": {"level": level}, "prompt": {"detail": detail}}, origin="test")


@settings(max_examples=60, deadline=None)
@given(
    ROWS,
    st.sampled_from(get_args(Compaction)),
    st.sampled_from(get_args(Detail)),
    st.sampled_from(["zh", "en"]),
)
def test_every_user_costs_what_counting_the_log_says(
    rows: list[Row], level: Compaction, detail: Detail, language: Language
) -> None:
    wanted = with_level(level, detail)
    legend = None if level == "line" else {"A": "XX公园", "B": "看 宝马7系", "C": "·de"}
    builder = make_builder(wanted, language, None, legend)
    limits = batch_limits(wanted, builder)
    with exported(joined(rows)) as export:
        logs = list(export.user_logs())
        measured = list(measured_logs(export.stretches(), builder, limits, wanted))
    assert measured == [(log, measured_parts(log, builder, limits)) for log in logs]
