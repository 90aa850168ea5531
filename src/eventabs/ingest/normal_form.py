"""Raw rows -> behaviors in normal form, as one SELECT on top of the macros of times.sql and sentences.sql."""

from collections.abc import Iterable, Mapping
from typing import Final

import duckdb

from eventabs.ingest.column_names import (
    CANONICAL,
    FAILURE_SAID,
    FAILURES,
    MARKERS,
    OPENING_VERBS,
    PLATFORMS,
    ROLES,
    SENTENCE_VERBS,
    SEPARATORS,
)
from eventabs.ingest.database import WHITE, quoted, sql
from eventabs.records import THING, DurationUnit

# A division, since a thousandth is no exact number.
_IN_SECONDS: Final[dict[DurationUnit, str]] = {"ms": "/ 1000", "s": "", "min": "* 60", "h": "* 3600"}
# Beside an action a text describes it. A row that begins or ends something is known by its object alone.
_DESCRIPTION: Final = (
    "CASE WHEN action IS NOT NULL AND mark IS NULL AND plain_word(text) <> word THEN text END"
)
# Without descriptions, the same columns: what they are made by takes a tenth of the time of opening a small file.
_NO_ENDING: Final = "NULL::STRUCT(words VARCHAR, h VARCHAR, m VARCHAR, s VARCHAR)"
_NOT_DESCRIBED: Final = "SELECT *, NULL::VARCHAR AS words, NULL::VARCHAR AS site, false AS is_told FROM zoned"
BEGINS: Final = 1
ENDS: Final = -1
_LONGEST_USER_ID: Final = 1024  # bytes; what is longer is no id

# Each unit's words, longest first: the first that fits is taken.
_DAYS: Final = "天|日|days?|d"
_HOURS: Final = "个?小时|时|hours?|hrs?|h"
_MINUTES: Final = "分钟|分|minutes?|mins?|m"
_SECONDS: Final = "秒钟?|seconds?|secs?|s"
_NUMBER: Final = r"\d{1,12}(?:\.\d{1,9})?"
_UNITS: Final = "".join(f"(?:({_NUMBER}) ?(?:{unit}) ?)?" for unit in (_DAYS, _HOURS, _MINUTES, _SECONDS))
# The end of a description: any of hours, minutes and seconds.
_ENDING: Final = "".join(rf"(?:(\d+(?:\.\d+)?) ?(?:{unit}) ?)?" for unit in (_HOURS, _MINUTES, _SECONDS))
# A duration inside a sentence: a unit behind each number, and no days, which are rather dates there.
_SENTENCE_DURATION: Final = rf"(?:{_NUMBER} ?(?:{_HOURS}|{_MINUTES}|{_SECONDS}) ?)+"


def row_digest(columns: Iterable[str]) -> str:
    """Return the SQL of a number that tells rows with different values in `columns` apart, up to chance (2^-64).

    A column "" has no value in any row. NULL without columns.
    """
    values = [f'"{column}"' if column else "NULL::VARCHAR" for column in columns]
    return f"hash({', '.join(values)})" if values else "NULL::UBIGINT"


def normal_form(
    raw: str,
    zone: str,
    dayfirst: bool | None = None,
    *,
    digest: str = row_digest(()),
    duration_unit: DurationUnit = "s",
    described: bool = False,
) -> str:
    """Return the SELECT that normalizes the relation `raw` (see normal_form.sql).

    `zone` is a time zone's name, or "" where wall times stay as they are. `dayfirst` None: there are no dates such as
    03/04/2026. `digest` is SQL; `duration_unit`: of durations that are plain numbers.
    `described`: rows may have both an action and a text.
    """
    moment = f"moment_of(wall, shift, {quoted(zone)})"
    zoned = (
        f"SELECT * REPLACE (timezone({quoted(zone)}, {moment}) AS wall, shift_in({quoted(zone)}, {moment}) AS shift)"
        " FROM summed"
    )
    return sql(
        "normal_form.sql",
        trimmed_roles=", ".join(f'trimmed("{role}") AS "{role}"' for role in ROLES),
        zoned=zoned if zone else "FROM summed",
        dayfirst="NULL::BOOLEAN" if dayfirst is None else str(dayfirst),
        thing=THING,
        digest=digest,
        description=_DESCRIPTION if described else "NULL::VARCHAR",
        ending="split_text(description)" if described else _NO_ENDING,
        described=sql("described.sql") if described else _NOT_DESCRIBED,
        in_seconds=_IN_SECONDS[duration_unit],
        raw=raw,
    )


def define_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the functions that the normal form is made of."""
    connection.execute(sql("times.sql", units=_UNITS))
    connection.execute(
        sql(
            "sentences.sql",
            duration=_SENTENCE_DURATION,
            ending=_ENDING,
            verbs="|".join(SENTENCE_VERBS),
            listed_verbs=_listed(SENTENCE_VERBS),
            opening_verbs=" ".join(
                f"WHEN '{action}' THEN regexp_matches(text, '{_opening(verbs)}')"
                for action, verbs in OPENING_VERBS.items()
            ),
        )
    )
    kinds = {
        word: str(kind)
        for family in MARKERS
        for kind, words in zip((BEGINS, ENDS), family, strict=True)
        for word in words
    }
    said = f"coalesce({_case('lower(result)', FAILURE_SAID)}, lower(result))"
    families = {word: family[0][0] for family in MARKERS for words in family for word in words}
    connection.execute(f"""
        CREATE OR REPLACE MACRO trimmed(text) AS
            -- `trim` with a set of characters is slow, and so is a character's look-up in a list
            CASE WHEN text < '!' OR (text >= '\u00a0' AND unicode(text) IN (160, 12288, 65279))
                OR contains({WHITE}, text[-1]) THEN nullif(trim(text, {WHITE}), '') ELSE text END;
        CREATE OR REPLACE MACRO plain_word(text) AS
            CASE WHEN {" OR ".join(f"contains(text, '{mark}')" for mark in SEPARATORS)}
                THEN translate(lower(text), '{SEPARATORS}', '') ELSE lower(text) END;  -- translate is slow
        CREATE OR REPLACE MACRO readable_user(id) AS CASE WHEN strlen(id) <= {_LONGEST_USER_ID} THEN id END;
        CREATE OR REPLACE MACRO canonical_action(word) AS {_by_length("word", CANONICAL)};
        CREATE OR REPLACE MACRO is_platform(name) AS {_among("plain_word(name)", PLATFORMS)};
        CREATE OR REPLACE MACRO is_failure(result) AS {_among("plain_word(result)", FAILURES)};
        -- "failed purchase", 购买失败: the name of an action that came to nothing, so that no purchase is seen in it
        CREATE OR REPLACE MACRO failed_action(action, canonical, result) AS
            CASE WHEN action IS NULL OR starts_with(result, action) THEN {said}
                WHEN strlen({said}) = length({said}) THEN {said} || ' ' || coalesce(canonical, action)
                ELSE action || {said} END;
        CREATE OR REPLACE MACRO marker_kind(word) AS CAST({_by_length("word", kinds)} AS TINYINT);
        CREATE OR REPLACE MACRO marker_family(word) AS {_case("word", families)};
        CREATE OR REPLACE MACRO sentence_action(parts) AS
            {_case("parts.verb", {**SENTENCE_VERBS, "在": "visit", "将": "cart", "把": "cart"})}""")


def _opening(verbs: Iterable[str]) -> str:
    forms = (rf"{verb}(?:s|d|ed)?\b" if verb.isascii() else verb for verb in verbs)
    return f"^(?i:{'|'.join(forms)})"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(quoted, words))


def _case(word: str, values: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN {quoted(each)} THEN {quoted(value)}" for each, value in values.items())
    return f"CASE {word} {cases} END"


def _among(word: str, words: Iterable[str]) -> str:
    return f"coalesce({_by_length(word, dict.fromkeys(words, 'yes'))} = 'yes', false)"


def _by_length(word: str, values: Mapping[str, str]) -> str:
    """Look up a word by its length first: no join, which a long IN becomes, and which would not keep rows in order."""
    lengths = sorted({len(each.encode()) for each in values})
    cases = (
        f"WHEN {length} THEN {_case(word, {each: values[each] for each in values if len(each.encode()) == length})}"
        for length in lengths
    )
    return f"CASE strlen({word}) {' '.join(cases)} END"
