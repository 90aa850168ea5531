"""The calls over time as the report's template draws them: percent of the frame, words and a table."""

from typing import Any

from eventabs.language import gettext as _
from eventabs.views.figures import count, duration
from eventabs.views.report_charts import TimeBin, Timeline

_TABLE_ROWS = 24


def drawn_timeline(line: Timeline) -> dict[str, Any]:
    """Scale the calls over time to their frame, and thin them out for the table."""
    top = max(1.0, *(bin_.working + bin_.waiting for bin_ in line.bins))
    bad = max(1, *(bin_.bad for bin_ in line.bins))
    width = 100 / len(line.bins)
    step = max(1, len(line.bins) // _TABLE_ROWS)
    return {
        "columns": [_column(bin_, place * width, width, top, bad) for place, bin_ in enumerate(line.bins)],
        "pauses": [f"{100 * pause / line.seconds:.3f}" for pause in line.pauses if line.seconds],
        "cooldowns": [
            (f"{100 * start / line.seconds:.3f}", f"{100 * (end - start) / line.seconds:.3f}")
            for start, end in line.cooldowns
        ],
        "ticks": ["0", *(duration(line.seconds * place / 4) for place in range(1, 5))],
        "top": f"{top:.1f}".removesuffix(".0"),
        "rows": [_row(line.bins[at : at + step]) for at in range(0, len(line.bins), step)],
    }


def _column(bin_: TimeBin, left: float, width: float, top: float, bad: int) -> dict[str, str]:
    title = _("{time}: {working} at work, {waiting} waiting, {bad} with a bad reply, {retries} sent again")
    return {
        "left": f"{left:.3f}",
        "width": f"{width + 0.05:.3f}",  # no seams between neighbors
        "working": f"{100 * bin_.working / top:.2f}",
        "working_top": f"{100 - 100 * bin_.working / top:.2f}",
        "waiting": f"{100 * bin_.waiting / top:.2f}",
        "waiting_top": f"{100 - 100 * (bin_.working + bin_.waiting) / top:.2f}",
        "bad": f"{100 * bin_.bad / bad:.1f}",
        "title": title.format(
            time=duration(bin_.start),
            working=f"{bin_.working:.1f}",
            waiting=f"{bin_.waiting:.1f}",
            bad=bin_.bad,
            retries=bin_.retries,
        ),
    }


def _row(bins: tuple[TimeBin, ...]) -> tuple[str, str, str, str, str]:
    return (
        duration(bins[0].start),
        f"{sum(bin_.working for bin_ in bins) / len(bins):.1f}",
        f"{sum(bin_.waiting for bin_ in bins) / len(bins):.1f}",
        count(sum(bin_.bad for bin_ in bins)),
        count(sum(bin_.retries for bin_ in bins)),
    )
