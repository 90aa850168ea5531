"""Raw rows -> behaviors in normal form, as one SELECT; and the DuckDB that runs it: on disk, without other access."""

import errno
import glob
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import duckdb

from eventabs.errors_and_exit_codes import ConfigError, InputError, out_of_memory
from eventabs.ingest import column_names as words
from eventabs.ingest.column_names import MARKERS, OPENING_VERBS, ROLES, SENTENCE_VERBS, SEPARATORS, StatedUnit
from eventabs.ingest.files_archives_encodings import copies_written, no_room
from eventabs.interface_language import gettext as _
from eventabs.shared_records import THING
from eventabs.stop_request import Stop

MEMORY_LIMIT: Final = "540MB"  # with 500 MB, 46 million rows cannot be sorted any more
ALONE: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": MEMORY_LIMIT,
}
_OPTIONAL: Final = re.compile(r"\{if ([a-z ]+)\}(.*?)(?:\{else\}((?:(?!\{end\}).)*))?\{end\}", re.DOTALL)
WHITE: Final = "' \t\r\n\v\f\u00a0\u3000\ufeff'"  # an SQL literal


def as_glob(path: str) -> str:
    """Return the glob that matches exactly this path; a `~` that it begins with is no home folder."""
    return glob.escape(f"./{path}" if path.startswith("~") else path)


@contextmanager
def scratch_database(
    folder: Path, readable: Sequence[str], stop: Stop = Stop()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database in `folder`. It may read the files `readable`, also by their globs, and nothing else.

    The folder is created, and removed afterwards. At a requested `stop`, statements raise StopRequested.
    """
    folder = folder.absolute()  # DuckDB takes a leading ~ for the home folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    config = {
        **ALONE,
        "threads": min(os.cpu_count() or 1, 4),  # each takes its share of the memory limit
        "temp_directory": str(folder / "spill"),
        # line numbers and the final scan rely on rows staying in order
        "preserve_insertion_order": True,
    }
    try:
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # in notebooks without ipywidgets there is none to switch off
            with suppress(duckdb.InvalidInputException):
                connection.execute("SET enable_progress_bar = false")
            # a name that is read as a glob is checked as the glob and as the file that it matches
            allowed = {form for path in readable for form in (path, as_glob(path))}
            connection.execute("SET allowed_paths = ?", [sorted(allowed)])
            connection.execute("SET allowed_directories = ?", [[str(folder)]])
            connection.execute("SET enable_external_access = false")
            with stop.calling(connection.interrupt):
                yield connection
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupted" not in str(error).lower():
            raise
        stop.check()
        raise KeyboardInterrupt from None  # how DuckDB passes Ctrl-C on
    except duckdb.Error as error:
        if not _is_full(error):
            raise
        with copies_written(folder.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_full(error: duckdb.Error) -> bool:
    return any(sign in str(error) for sign in ("No space left", "Could not write", "failed to offload"))


@contextmanager
def errors_named(what: str) -> Iterator[None]:
    """Turn DuckDB's errors into an InputError of one line about `what`."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        if _is_full(error):
            raise no_room(what) from None
        if "Out of Memory Error" in str(error):  # also as the cause of another one
            raise out_of_memory(error) from None
        message = _(
            "{what} cannot be read: {error}; check the file, and the space left for the run directory"
        )
        raise InputError(message.format(what=what, error=str(error).partition("\n")[0])) from None


def fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a result, a few thousand in memory at a time."""
    return chain.from_iterable(iter(lambda: cursor.fetchmany(10_000), []))


def number(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> int:
    """Return the single number of a query, or the number of rows that a statement changes."""
    ((found,),) = connection.execute(sql, list(values)).fetchall()
    return int(found)


def sql(name: str, roles: Collection[str] = ROLES, **values: object) -> str:
    """Return the text of an SQL file of this folder, with `values` for its {placeholders}.

    What only rows with other `roles` need, is left out: {if role}...{else}...{end}.
    """
    text = Path(__file__).with_name(name).read_text("utf-8")
    text = _OPTIONAL.sub(lambda part: part[2] if {*part[1].split()} & {*roles} else part[3] or "", text)
    return filled(text, **values)


def filled(text: str, **values: object) -> str:
    """Return `text` with `values` for its {placeholders}."""
    return re.sub(r"\{([a-z_]+)\}", lambda placeholder: str(values[placeholder[1]]), text)


def quoted(text: str) -> str:
    """Return `text` as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted_list(texts: Iterable[str]) -> str:
    """Return the texts as SQL literals with commas between them."""
    return ", ".join(map(quoted, texts))


# A division, since 0.001 is not exact.
_FACTORS: Final = {"ns": "/ 1e9", "us": "/ 1e6", "ms": "/ 1000", "min": "* 60", "h": "* 3600"}
BEGINS: Final = 1
ENDS: Final = -1

# Each unit's words, longest first: the first that fits is taken.
_DAYS: Final = "天|日|일|days?|d"
_HOURS: Final = "[个個]?小[时時]|時間|[时時]|시간|hours?|hrs?|h"
_MINUTES: Final = "分[钟鐘]?|분|minutes?|mins?|m"
_SECONDS: Final = "秒[钟鐘]?|초|seconds?|secs?|s"
MONTHS: Final = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
_NUMBER: Final = r"\d{1,12}(?:\.\d{1,9})?"
_UNITS: Final = "".join(f"(?:({_NUMBER}) ?(?:{unit}) ?)?" for unit in (_DAYS, _HOURS, _MINUTES, _SECONDS))
# The end of a description: any of hours, minutes and seconds.
_ENDING: Final = "".join(rf"(?:(\d+(?:\.\d+)?) ?(?:{unit}) ?)?" for unit in (_HOURS, _MINUTES, _SECONDS))
# A duration inside a sentence: a unit behind each number, and no days, which are rather dates there.
_SENTENCE_DURATION: Final = rf"(?:{_NUMBER} ?(?:{_HOURS}|{_MINUTES}|{_SECONDS}) ?)+"


def normal_form(raw: str, zone: str, dayfirst: bool | None, unit: StatedUnit, roles: Collection[str]) -> str:
    """Return the SELECT that normalizes the relation `raw` (see normal_form.sql).

    `zone` is a time zone's name, or "" where wall times stay as they are. `dayfirst` None: there are no dates such as
    03/04/2026. `unit`: of durations that are plain numbers. `roles`: those that the rows may have, and `described` where they
    may have both an action and a text; the SQL for others, `{if role}...{else}...{end}`, takes as long to prepare as a
    small file to read.
    """
    trimmed = (role for role in ROLES if role == "user" or (role in roles and role != "time"))
    moment = f"moment_of(wall, shift, {quoted(zone)})"
    in_zone = f"timezone({quoted(zone)}, {moment}) AS wall, shift_in({quoted(zone)}, {moment}) AS shift"
    return sql(
        "normal_form.sql",
        roles,
        trimmed_roles=", ".join(f'trimmed("{role}") AS "{role}"' for role in trimmed),
        zoned=f"SELECT * REPLACE ({in_zone}) FROM summed" if zone else "FROM summed",
        dayfirst="NULL::BOOLEAN" if dayfirst is None else str(dayfirst),
        thing=THING,
        described=sql("described.sql"),
        in_seconds=_FACTORS.get(unit, ""),
        empty="|".join(map(re.escape, sorted(words.EMPTY))),
        raw=raw,
    )


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the SQL macros that all rows need."""
    separated = " OR ".join(f"contains(text, '{mark}')" for mark in SEPARATORS)
    texts = sql("texts.sql", white=WHITE, separated=separated, separators=SEPARATORS, longest=1024)
    connection.execute(texts + sql("times.sql", units=_UNITS))


def define_words(
    connection: duckdb.DuckDBPyConnection, roles: Collection[str] = ROLES, names: Mapping[str, str] = {}
) -> None:
    """Define the macros that rows with `roles` need. `names`: what the export calls actions, and what they are."""
    actions = words.CANONICAL | {
        words.plain(f"{each}{end}"): words.canonical_action(name)
        for end in (".0", "")  # a name that is given as it is wins
        for each, name in names.items()
    }
    kinds = {word: str(BEGINS) for begins, _ends in MARKERS for word in begins}
    kinds |= {word: str(ENDS) for _begins, ends in MARKERS for word in ends}
    families = {word: family[0][0] for family in MARKERS for kind in family for word in kind}
    verbs = {**SENTENCE_VERBS, "在": "visit", "将": "cart", "把": "cart"}
    opening = {
        action: "|".join(rf"{verb}(?:s|d|ed)?\b" if verb.isascii() else verb for verb in each.split())
        for action, each in OPENING_VERBS.items()
    }
    begun = (f"WHEN '{each}' THEN regexp_matches(text, '^(?i:{form})')" for each, form in opening.items())
    values = {
        "canonical": _by_length("word", actions),
        "platform": _among("word", words.PLATFORMS),
        "failure": _among("word", words.FAILURES),
        "said": f"coalesce({_case('lower(result)', words.FAILURE_SAID)}, lower(result))",
        "kind": _by_length("word", kinds),
        "family": _case("word", families),
        "sentence_action": _case("parts.verb", verbs),
        "duration": _SENTENCE_DURATION,
        "ending": _ENDING,
        "verbs": "|".join(SENTENCE_VERBS),
        "listed_verbs": quoted_list(SENTENCE_VERBS),
        "opening_verbs": " ".join(begun),
    }
    connection.execute(sql("words.sql", roles, **values) + sql("sentences.sql", roles, **values))


def _case(word: str, values: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN {quoted(each)} THEN {quoted(value)}" for each, value in values.items())
    return f"CASE {word} {cases} END"


def _among(word: str, listed: Iterable[str]) -> str:
    return f"coalesce({_by_length(word, dict.fromkeys(listed, 'yes'))} = 'yes', false)"


def _by_length(word: str, values: Mapping[str, str]) -> str:
    """Look up a word among those of its length. A long IN becomes a join, which does not keep the order of rows."""
    cases = ""
    for length in sorted({len(each.encode()) for each in values}):
        same = {each: value for each, value in values.items() if len(each.encode()) == length}
        cases += f" WHEN {length} THEN [{quoted_list(same.values())}][list_position([{quoted_list(same)}], {word})]"
    return f"CASE strlen({word}){cases} END"


# Users' regular expressions run in DuckDB's RE2, in linear time; with Python's `re` one of them could block a run.


def check_pattern(regex: str) -> None:
    """Raise ValueError with RE2's message if `regex` is invalid."""
    try:
        search_pattern(regex, [""])
    except (duckdb.Error, UnicodeError) as error:
        cause = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
        raise ValueError(_("it takes a regular expression of RE2: {cause}").format(cause=cause)) from None


def search_pattern(regex: str, texts: Collection[str]) -> set[str]:
    """Return the texts that match `regex` anywhere. May be called from any thread."""
    # a literal is compiled once, a parameter for every text
    where = f"regexp_matches(text, {quoted(regex)})"
    select = f"SELECT text FROM (SELECT unnest(?::VARCHAR[]) AS text) WHERE {where}"
    return {text for (text,) in _database().cursor().execute(select, [list(texts)]).fetchall()}


def check_zone(zone: str, connection: duckdb.DuckDBPyConnection | None = None) -> None:
    """Raise ConfigError unless `zone` is a time zone's name or ""; `connection`: a database that is there already."""
    query = "SELECT count(*) FROM pg_timezone_names() WHERE name = ?"
    if zone and not number(connection or _database(), query, [zone]):
        message = _("there is no time zone {zone}; take a name such as Asia/Shanghai or Europe/Berlin")
        raise ConfigError(message.format(zone=zone))


@cache
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={**ALONE, "threads": 1})
    connection.execute("SET enable_external_access = false")
    return connection
