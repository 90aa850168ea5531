"""Names and files that are not exports: what they are, and what to do instead."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from eventabs.errors import InputError
from eventabs.language import gettext as _
from eventabs.records import Event

# The schemes of databases, each with a command that writes a query's rows as CSV.
_POSTGRESQL: Final = r'psql ADDRESS -c "\copy (SELECT ...) TO STDOUT CSV HEADER" | eventabs run -'
_MYSQL: Final = 'mysql --batch -e "SELECT ..." DATABASE | eventabs run -'
_CLICKHOUSE: Final = 'clickhouse-client --query "SELECT ... FORMAT CSVWithNames" | eventabs run -'
_MONGODB: Final = "mongoexport --uri ADDRESS --collection NAME | eventabs run -"
_BIGQUERY: Final = 'bq query --format=csv --nouse_legacy_sql --max_rows=1000000 "SELECT ..." | eventabs run -'
_RECIPES: Final = {
    "postgres": _POSTGRESQL,
    "postgresql": _POSTGRESQL,
    "redshift": _POSTGRESQL,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "clickhouse": _CLICKHOUSE,
    "mongodb": _MONGODB,
    "mongodb+srv": _MONGODB,
    "bigquery": _BIGQUERY,
}
_OTHER_DATABASES: Final = frozenset(
    ["jdbc", "odbc", "mssql", "sqlserver", "oracle", "snowflake", "hive", "presto", "trino", "redis"]
)
_DATABASE: Final = re.compile(r"(?:jdbc:)?([a-z][a-z0-9+]*):", re.IGNORECASE)

_PICTURES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"
_DOCUMENTS: Final = (".doc", ".docx", ".odt", ".rtf", ".pages", ".ppt", ".pptx", ".odp", ".key")
_TEXTS: Final = (".md", ".markdown", ".rst", ".adoc", ".tex")
_XML: Final = re.compile(rb"\s*<(?:\?xml|log\b)")
_WEB_PAGE: Final = re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE)
_EVENT: Final = {
    name for name in Event.model_fields if name not in ("summary_source", "outside")
}  # always there
_MARK: Final = b"\xef\xbb\xbf"


def refuse_database(name: str) -> None:
    """Raise InputError if `name` is the address of a database. The address is not shown: it may have a password."""
    found = _DATABASE.match(name)
    scheme = found[1].lower() if found else ""
    _driver, _colon, product = scheme.partition("+")
    if recipe := _RECIPES.get(scheme) or _RECIPES.get(scheme.removesuffix(f"+{product}")):
        message = _("{scheme}:// names a database; let its own client write the rows: {recipe}")
        raise InputError(message.format(scheme=scheme, recipe=recipe))
    if scheme in _OTHER_DATABASES:
        message = _(
            "{scheme}:// names a database; let its own client write the rows as CSV with a header:"
            " CLIENT ... | eventabs run -"
        )
        raise InputError(message.format(scheme=scheme))


def refuse_document(path: str, start: bytes) -> None:
    """Raise InputError if a file is a PDF, a picture, a web page, XML or a text document, by its first bytes or name."""
    if start.startswith(b"%PDF"):
        message = _("{path} is a PDF; ask its source for the rows as CSV, JSON lines or Parquet")
    elif start.startswith(_PICTURES) or (start.startswith(b"RIFF") and start[8:12] == b"WEBP"):
        message = _("{path} is a picture; ask its source for the rows as CSV, JSON lines or Parquet")
    elif _is_document(path, start):
        message = _("{path} is a text document; copy its table to a spreadsheet and save that as CSV")
    elif _WEB_PAGE.match(start.removeprefix(_MARK)):
        message = _(
            "{path} is a web page, perhaps of a login or an error; download the export itself, as CSV or JSON lines"
        )
    elif _XML.match(start.removeprefix(_MARK)):
        message = _(
            "{path} is XML, not a table of behaviors; export the rows as CSV, JSON lines or Parquet"
            " (what `eventabs export` wrote are events: the input is what they were made from)"
        )
    elif Path(path).suffix.lower() in _TEXTS:
        message = _("{path} is a text, not a table of behaviors; name a file with a row for each behavior")
    else:
        return
    raise InputError(message.format(path=path))


def refuse_events(path: str, columns: Collection[str]) -> None:
    """Raise InputError if a file has the columns of events, as runs and exports write them."""
    if set(columns) >= _EVENT:
        message = _(
            "{path} holds events that eventabs has made, not behaviors; name the export that they were made from,"
            " or look at them with eventabs show"
        )
        raise InputError(message.format(path=path))


def _is_document(path: str, start: bytes) -> bool:
    if start.startswith(b"{\\rtf"):
        return True
    return start.startswith((_ZIP, _OLE)) and Path(path).suffix.lower() in _DOCUMENTS
