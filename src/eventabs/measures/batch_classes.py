"""The classes by which answers are compared: how many users were in the batch, and where in it the user stood.

The audit compares by them how stable events are, every run what the answers held.
"""

from typing import Final

THIRDS: Final = 3


def users_band(users: int) -> str:
    """Name a number of users in a batch by powers of two: `1`, `2-3`, `4-7`, `8-15`; "" for none."""
    least = 1 << (users.bit_length() - 1) if users > 0 else 0
    return f"{least}-{2 * least - 1}" if least > 1 else str(least or "")


def place_third(place: int, users: int) -> str:
    """Name the third of a batch in which a place from 1 on lies, `1` to `3`; "" where that says nothing."""
    return str(1 + (place - 1) * THIRDS // users) if place and users >= THIRDS else ""
