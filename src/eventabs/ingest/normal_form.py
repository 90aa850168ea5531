"""Raw rows -> behaviors in normal form, as one SELECT."""

from typing import Final

from eventabs.ingest import markers, sentences, times
from eventabs.ingest.actions import CANONICAL, plain_sql
from eventabs.ingest.columns import ROLES
from eventabs.ingest.sources import quoted, trimmed

_LONGEST_USER_ID: Final = 1024  # bytes; what is longer is no id
_LONGEST_WORD: Final = 24  # bytes; a longer text is a sentence, not an action's name


def normal_form(raw: str, zone: str, dayfirst: bool | None = None) -> str:
    """Return the SELECT that normalizes the relation `raw`, row by row (file, line, problem and a text column per role).

    `zone` is a quoted SQL literal, or "" where wall times stay as they are. The result has user_id, start
    (TIMESTAMP, wall time), shift (offset in seconds or NULL), action, item (NULL: the text itself), place,
    duration, file, line, text (NULL for structured rows), reason (NULL for readable rows) and mark (see `markers`).
    """
    cleaned = ", ".join(f"{trimmed(_quote(role))} AS {_quote(role)}" for role in ROLES)
    return f"""
    WITH trim_ends AS (SELECT file, line, problem, {cleaned} FROM ({raw})),
    marked AS (
        SELECT * EXCLUDE (marker_word) REPLACE ({_unmarked_action()} AS action), {markers.mark("marker_word")} AS mark
        FROM (SELECT *, {plain_sql("marker")} AS marker_word FROM trim_ends)
    ),
    cleaned AS (
        SELECT * REPLACE (
            CASE WHEN early IS NULL THEN {times.spelled_out('"time"', '"date"', dayfirst)} ELSE "time" END AS "time",
            CASE WHEN "end" IS NOT NULL THEN {times.spelled_out('"end"', '"date"', dayfirst)} END AS "end",
            CASE WHEN coalesce(category, brand, price) IS NULL THEN item
                ELSE concat_ws(' ', category, brand, item, price) END AS item)
        FROM (SELECT *, {times.usual('"time"')} AS early FROM marked)
    ),
    looked_up AS (SELECT *, {_canonical("word")} AS canonical FROM (SELECT *, {_plain_word()} AS word FROM cleaned)),
    known AS (
        SELECT *, coalesce(canonical, action) AS deed,
            CASE WHEN action IS NULL AND canonical IS NULL THEN text END AS sentence
        FROM looked_up
    ),
    first_look AS (
        SELECT *, CASE WHEN early IS NULL THEN {times.usual('"time"')} ELSE early END AS usual_time, {sentences.parts("sentence")} AS said FROM known
    ),
    apart AS (
        SELECT *, {times.time_parts('"time"', "usual_time")} AS stamp, {sentences.action("said")} AS done,
            coalesce(duration, {sentences.spoken_duration("said")}) AS lasting
        FROM first_look
    ),
    valued AS (
        SELECT *, {times.wall('"time"', "usual_time", "stamp")} AS wall,
            {times.shift('"time"', "usual_time", "stamp")} AS shift, {times.duration_number("lasting")} AS number
        FROM apart
    ),
    believed AS (
        SELECT * REPLACE ({times.believable_time("wall", "shift")} AS wall),
            {times.duration_parts("lasting", "number")} AS units
        FROM valued
    ),
    ended AS (
        SELECT *, {times.wall('"end"', "usual_end", "end_stamp")} AS end_wall
        FROM (
            SELECT *, {times.time_parts('"end"', "usual_end")} AS end_stamp
            FROM (SELECT *, {times.usual('"end"')} AS usual_end FROM believed)
        )
    ),
    until AS (
        SELECT * REPLACE (coalesce(lasting, "end") AS lasting), CASE WHEN lasting IS NULL THEN
            epoch(end_wall) - epoch(wall)
            - coalesce({times.shift('"end"', "usual_end", "end_stamp")}, 0) + coalesce(shift, 0) END AS until_end
        FROM ended
    ),
    offsets AS (
        SELECT * REPLACE (
            CASE WHEN "offset" IS NULL THEN wall ELSE wall - to_seconds(coalesce(shift, 0))
                + to_minutes(try_cast("offset" AS INTEGER)) END AS wall,
            CASE WHEN "offset" IS NULL THEN shift ELSE try_cast("offset" AS INTEGER) * 60 END AS shift
        ) FROM until
    ),
    summed AS (
        SELECT *, coalesce(until_end, {times.duration_seconds("number", "units")}) AS total FROM offsets
    ),
    placed AS ({_in_zone(zone)})
    SELECT {_user()} AS user_id, wall AS start, shift,
        {_action()} AS action, {_item()} AS item, {_place()} AS place, seconds AS duration,
        file, line, sentence AS text, {_reason()} AS reason, mark
    FROM (SELECT *, {times.believable_duration("total")} AS seconds FROM placed)
    """


def _unmarked_action() -> str:
    """Drop an action that only begins or ends something, unless nothing else says what was done."""
    return f"""CASE WHEN marker IS NULL OR marker IS DISTINCT FROM action OR {markers.mark("marker_word")} IS NULL THEN action
        WHEN coalesce(text, item, place, app, media, category, brand) IS NULL THEN {markers.opening("marker_word")} END"""


def _in_zone(zone: str) -> str:
    if not zone:
        return "SELECT * FROM summed"
    return f"""SELECT * REPLACE ({times.wall_in(zone, "moment")} AS wall, {times.shift_in(zone, "moment")} AS shift)
        FROM (SELECT *, {times.instant("wall", "shift", zone)} AS moment FROM summed)"""


def _user() -> str:
    return f"""CASE WHEN strlen("user") <= {_LONGEST_USER_ID} THEN "user" END"""


def _quote(name: str) -> str:
    return f'"{name}"'


def _plain_word() -> str:
    text = f"CASE WHEN strlen(text) <= {_LONGEST_WORD} THEN text END"
    return plain_sql(f"coalesce(action, {text})")


def _canonical(word: str) -> str:
    """Return SQL for the canonical action of a word, by its length first: no join, which would not keep rows in order."""
    by_length: dict[int, list[str]] = {}
    for known, action in CANONICAL.items():
        by_length.setdefault(len(known.encode()), []).append(f"WHEN {quoted(known)} THEN {quoted(action)}")
    cases = " ".join(
        f"WHEN {length} THEN CASE {word} {' '.join(those)} END" for length, those in by_length.items()
    )
    return f"CASE strlen({word}) {cases} END"


def _action() -> str:
    """Without an action, a place alone was visited and an app alone was used; all else is free text."""
    return """CASE WHEN sentence IS NOT NULL THEN coalesce(done, '')
        WHEN deed IS NOT NULL THEN deed
        WHEN item IS NULL AND media IS NULL AND place IS NOT NULL THEN 'visit'
        WHEN item IS NULL AND media IS NULL AND app IS NOT NULL THEN 'use'
        ELSE '' END"""


def _item() -> str:
    return f"""CASE WHEN done IS NOT NULL THEN {sentences.item("said")}
        WHEN sentence IS NOT NULL THEN NULL
        WHEN deed = 'visit' OR (deed IS NULL AND item IS NULL AND media IS NULL AND place IS NOT NULL)
            THEN coalesce(place, item, app, media, '')
        WHEN deed = 'use' THEN coalesce(app, item, media, place, '')
        ELSE coalesce(item, media, app, place, '') END"""


def _place() -> str:
    return f"""CASE WHEN done IN ('visit', 'use') THEN ''
        WHEN done IS NOT NULL THEN coalesce(nullif({sentences.place("said", "done")}, ''), media, app, place, '')
        WHEN sentence IS NOT NULL THEN coalesce(place, media, app, '')
        WHEN deed IN ('visit', 'use') THEN ''
        WHEN deed = 'purchase' AND item IS NOT NULL THEN coalesce(place, media, app, '')
        WHEN item IS NOT NULL THEN coalesce(media, app, place, '')
        WHEN media IS NOT NULL THEN coalesce(app, place, '')
        WHEN app IS NOT NULL AND deed IS NOT NULL THEN coalesce(place, '')
        ELSE '' END"""


def _reason() -> str:
    return f"""CASE WHEN problem IS NOT NULL THEN problem
        WHEN {_user()} IS NULL THEN 'no_user'
        WHEN wall IS NULL THEN 'bad_time'
        WHEN coalesce(duration, "end") IS NOT NULL AND seconds IS NULL THEN 'bad_duration'
        WHEN coalesce(deed, sentence, item, place, app, media) IS NULL THEN 'no_behavior' END"""
