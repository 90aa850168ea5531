"""Users' regular expressions on their data, by the RE2 in DuckDB: its time is linear in the text for every expression.

Python's `re` takes exponential time on some; one such rule would block a run.
"""

from collections.abc import Collection
from functools import cache

import duckdb

from eventabs.ingest.database import quoted
from eventabs.language import gettext as _


def check_pattern(regex: str) -> None:
    """Raise ValueError with RE2's message if `regex` is invalid."""
    try:
        search_pattern(regex, [""])
    except (duckdb.Error, UnicodeError) as error:
        cause = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
        message = _("it takes a regular expression of RE2: {cause}")
        raise ValueError(message.format(cause=cause)) from None


def search_pattern(regex: str, texts: Collection[str]) -> set[str]:
    """Return the texts that match `regex` anywhere. May be called from any thread."""
    # a literal is compiled once, a parameter for every text
    where = f"regexp_matches(text, {quoted(regex)})"
    select = f"SELECT text FROM (SELECT unnest(?::VARCHAR[]) AS text) WHERE {where}"
    return {text for (text,) in _database().cursor().execute(select, [list(texts)]).fetchall()}


@cache
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})
    connection.execute("SET enable_external_access = false")
    return connection
