"""How numbers look to people: short, aligned, in their language."""

from collections.abc import Iterable

from eventabs.language import gettext as _

TENTHS_BELOW = 10  # from ten on they are noise


def count(number: int) -> str:
    """Return 44847 as 44,847."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, tenths below ten seconds."""
    if seconds < TENTHS_BELOW:
        return _("{seconds:.1f}s").format(seconds=seconds)
    return clock(seconds)


def clock(seconds: float) -> str:
    """Return a time in its two largest units, whole seconds: what a running clock shows."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return _("{days}d {hours:02d}h").format(days=days, hours=hours)
    if hours:
        return _("{hours}h {minutes:02d}m").format(hours=hours, minutes=minutes)
    if minutes:
        return _("{minutes}m {seconds:02d}s").format(minutes=minutes, seconds=rest)
    return _("{seconds}s").format(seconds=rest)


def listed(parts: Iterable[str]) -> str:
    """Join small facts in a row."""
    return _(", ").join(parts)


def joined(clauses: Iterable[str]) -> str:
    """Join clauses that may hold rows of facts themselves."""
    return _("; ").join(clauses)


def average(number: float) -> str:
    """Return a mean rounded to a whole number, below ten to one decimal."""
    return f"{number:.1f}".removesuffix(".0") if number < TENTHS_BELOW else f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """Return a percentage, never rounded up to 100; "-" of nothing."""
    if not whole:
        return "-"
    return f"{min(round(100 * part / whole), 99 if part < whole else 100)} %"


def money(amount: float, currency: str) -> str:
    """Return an amount with enough digits to be more than zero where it is."""
    digits = 2 if amount >= 1 or not amount else 4
    return f"{amount:,.{digits}f} {currency}"


def weekdays() -> list[str]:
    """Return the names of the days from Monday, short."""
    return [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]
