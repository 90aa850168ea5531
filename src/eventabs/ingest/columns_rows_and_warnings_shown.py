"""What was understood of an export: roles, rows beside what they became, and what looks wrong or is lost."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from operator import itemgetter
from statistics import median
from typing import Final, NamedTuple

import duckdb

from eventabs.ingest.column_names import ACTION_WORDS, EMPTY, NOBODY, StatedUnit, fit
from eventabs.ingest.columns_by_their_values import NEARLY_NONE, SURE_NAME, values_of
from eventabs.ingest.formats.base import InputFile, SampledRow
from eventabs.ingest.normal_form import quoted_list
from eventabs.ingest.roles_and_known_schemas import Reading
from eventabs.ingest.roles_of_columns import BEHIND, JOINED, NO_COLUMN, input_table, warning
from eventabs.ingest.sort_and_pair import RowCounts
from eventabs.interface_language import gettext as _
from eventabs.shared_records import Behavior, ColumnsFound, InputWarning, UserLog

_LEAST: Final = 50  # rows; of fewer a share means nothing
_LISTED: Final = 12  # columns without a role
_NEARLY_ALL: Final = 0.9  # of the rows
_MANY: Final = 0.2  # of the rows
_HEAD: Final = 10_000  # rows of the first users
_HOURS: Final = 24
_NIGHT: Final = 6  # hours
_LEAST_TIMES: Final = 500  # rows with a time of day that are needed to find a night
_IMPOSSIBLE: Final = 24 * 3600  # seconds: half of the durations are at most this long
# Several words, and no address, markup or setting.
_WORDS: Final = r"(?=.*(?:[\u4e00-\u9fff]{2}|[^\W\d_]{2} [^\W_]))[^/\\<>{}=|@]+"


def _implausible(file: Reading, roles: Collection[str], words: str) -> Iterator[InputWarning]:
    """Say what looks wrong. `roles` are those that a column plays; `words`: a column without one that says what was done, "" for none."""
    connection, zone = file.source.file.connection, file.source.file.settings.timezone
    ((rows, old, long, in_utc, by_hour, first, last),) = connection.execute(f"""
        SELECT count(*), count(*) FILTER (year(start) < 1990), count(*) FILTER (duration > {_IMPOSSIBLE}),
            count(*) FILTER (shift = 0), histogram(hour(start)) FILTER (start <> date_trunc('day', start)),
            min(start), max(start)
        FROM behaviors WHERE reason IS NULL""").fetchall()
    if old > rows / 2:
        message = _(
            "{share} of the rows are before 1990; if they are not, their times are no epochs: write them in a form of docs/formats.md"
        )
        yield warning("odd_years", message, share=_percent(old / rows))
    yield from _users(connection, rows)
    if rows >= _LEAST:
        if not by_hour:
            message = _(
                "all rows fall on 00:00, so that their order within a day is that of the file; if another column has the hour, name both: {setting}"
            )
            yield warning("midnights", message, setting='[input.columns] time = "...", date = "..."')
        yield from _lines(file, rows, roles, words)
        yield from _durations(connection, roles, file.unit) if {"duration", "end"} & {*roles} else ()
        if not zone and "offset" not in roles:
            hours = [(by_hour or {}).get(hour, 0) for hour in range(_HOURS)]
            yield from clock_warnings(hours, last - first, in_utc > _NEARLY_ALL * rows)
    if "marker" in roles and long:
        message = _(
            "behaviors from a begin to an end that last longer than a day: {count:,}; an end, and the begin of another, may be missing between; if each row is an act of its own: {setting}"
        )
        yield warning("long_pairs", message, "marker", NO_COLUMN, count=long)


def _lines(file: Reading, rows: int, roles: Collection[str], words: str) -> Iterator[InputWarning]:
    """Look for lines that all say the same, or are a bare verb."""
    connection, verbs = file.source.file.connection, quoted_list(ACTION_WORDS)
    ((action, item),) = connection.execute(f"""
        SELECT coalesce(CAST(mode(action) AS VARCHAR), ''), coalesce(CAST(mode(nullif(item, '')) AS VARCHAR), '')
        FROM behaviors WHERE rowid < {_HEAD} AND reason IS NULL""").fetchall()
    counts = f"""SELECT count(*) FILTER (action = ?), count(*) FILTER (item = ?), count(*) FILTER (item = ''),
            count(*) FILTER (item = '' AND action IN ({verbs}))
        FROM behaviors WHERE reason IS NULL"""
    found = connection.execute(counts, [action, item]).fetchall()
    ((with_action, with_item, without_item, bare_verbs),) = found
    if "action" in roles and with_action > _NEARLY_ALL * rows:
        message = _(
            '{share} of the rows have the action "{action}"; if another column says what was done, name it: {setting}'
        )
        yield warning("one_action", message, "action", share=_percent(with_action / rows), action=action)
    role, name = "item" if "text" in roles or not words else "text", words or "..."
    left = _("; ") + _("columns without a role: {columns}") if file.unused and not words else ""
    columns = ", ".join(file.unused[:_LISTED])
    # the export's own words may say all (`login:`), unless another column has more
    bare = without_item if words or without_item > _NEARLY_ALL * rows else bare_verbs
    if bare > _MANY * rows:
        message = _(
            "{share} of the lines are a bare verb, which does not say what something was done with;"
            " name the column that does: {setting}"
        )
        yield warning("no_object", message + left, role, name, share=_percent(bare / rows), columns=columns)
    elif words and "text" not in roles:
        message = _("not used: {column}; it looks like what was done, in words: {setting}")
        yield warning("unused_column", message, role, name, column=words)
    elif item and with_item > _NEARLY_ALL * rows:
        message = _(
            '{share} of the rows have the object "{item}"; if another column says with what something was done,'
            " name it: {setting}"
        )
        values = {"share": _percent(with_item / rows), "item": item, "columns": columns}
        yield warning("one_object", message + left, role, name, **values)


def _users(connection: duckdb.DuckDBPyConnection, rows: int) -> Iterator[InputWarning]:
    """Look for words for nobody that have more rows than users have or mark an empty cell, for as many users as rows, and for one who has nearly all."""
    unknown = """SELECT user_id, readable FROM users
        WHERE lower(user_id) IN (SELECT unnest(?)) AND readable >= 20
            -- times the mean, or what stands in a cell without a value
            AND (readable * (SELECT count(*) FROM users) >= 2 * ? OR lower(user_id) IN (SELECT unnest(?)))
            -- numbers from 0
            AND NOT (user_id = '0' AND readable <= 4 * (SELECT max(readable) FROM users WHERE user_id <> '0'))
        ORDER BY readable DESC"""
    for user, count in connection.execute(unknown, [NOBODY, rows, [*EMPTY]]).fetchall():
        message = _(
            'the user "{user}" has {count:,} rows ({share}), and looks like a word for nobody, whose rows become one'
            " log; leave these rows out, or name another column: {setting}"
        )
        share = _percent(count / rows)
        yield warning("unknown_user", message, "user", user=user, count=count, share=share)
    ((users, most),) = connection.execute("SELECT count(*), max(readable) FROM users").fetchall()
    if rows >= _LEAST and users > _NEARLY_ALL * rows:
        message = _(
            "nearly every row is another user ({share}); if another column says who it was, name it: {setting}"
        )
        yield warning("many_users", message, "user", share=_percent(users / rows))
    elif rows >= _LEAST and users > 1 and most > _NEARLY_ALL * rows:
        message = _("one user has {share} of the rows; if another column says who it was, name it: {setting}")
        yield warning("one_user", message, "user", share=_percent(most / rows))


def clock_warnings(hours: Sequence[int], span: timedelta, is_utc: bool) -> Iterator[InputWarning]:
    """Look for a night that is not from 0 to 6: people sleep, so six consecutive hours of the day have few rows.

    If these are others, the times are in another zone than the users'. `hours`: rows by hour, without those exactly at midnight.
    """
    times = sum(hours)
    sums = [sum(hours[(first + each) % _HOURS] for each in range(_NIGHT)) for first in range(_HOURS)]
    first, early = min(range(_HOURS), key=sums.__getitem__), sums[0]
    is_known = times >= _LEAST_TIMES and span >= timedelta(days=3)
    # many are awake from 0 to 6, and less than half as many in the quietest hours
    if not is_known or early <= 0.15 * times or sums[first] > early / 2:
        return
    template = _("{early} of the rows lie from 0 to 6 o'clock, the fewest from {first} to {last}")
    seen = template.format(early=_percent(early / times), first=first, last=(first + _NIGHT) % _HOURS)
    if is_utc:
        message = _(
            "the times are in UTC, and are taken as the users' own; name the zone that the users lived by:"
            " --timezone Asia/Shanghai, or UTC if that is right"
        )
    else:
        message = _(
            "the times look like those of another zone than the users'; if they are in UTC, say so: {setting} with --timezone"
            " Asia/Shanghai, or name there the column with the minutes from UTC"
        )
    code = "utc_times" if is_utc else "foreign_times"
    yield warning(code, _("; ").join((message, seen)), "offset", "=0")


def _durations(
    connection: duckdb.DuckDBPyConnection, roles: Collection[str], unit: StatedUnit | None
) -> Iterator[InputWarning]:
    """Check the first users: durations last days, or go beyond the user's next row; where a thousandth does not, they are milliseconds."""
    ((rows, middle, beyond, thousandth, fine, overlapping),) = connection.execute(f"""
        SELECT count(*), coalesce(median(duration), 0), count(*) FILTER (duration > gap), count(*) FILTER (duration / 1000 > gap),
            count(*) FILTER (is_fine), count(*) FILTER (is_fine AND duration > gap)
        FROM (
            SELECT duration, epoch(lead(start) OVER (ORDER BY id) - start) AS gap, user_id,
                lead(user_id) OVER (ORDER BY id) AS following, start <> date_trunc('minute', start) AS is_fine
            FROM (SELECT *, rowid AS id FROM behaviors WHERE rowid < {_HEAD}) WHERE reason IS NULL)
        WHERE duration > 0 AND following = user_id""").fetchall()
    overlap = middle >= 3 * 3600 and beyond > rows / 2 and thousandth * 2 <= beyond
    if rows >= _LEAST and "duration" in roles and not unit and (overlap or middle >= _IMPOSSIBLE):
        message = _(
            "half of the durations are longer than {hours} hours, so they look like milliseconds;"
            " if they are, say so: {setting}"
        )
        setting = '[input] duration_unit = "ms"'
        yield warning("milliseconds", message, hours=f"{middle / 3600:,.0f}", setting=setting)
    elif fine >= _LEAST and overlapping > 0.6 * fine:
        message = _(
            "{share} of the durations go beyond the same user's next row; if they are no time that was spent, leave them out: {setting}"
        )
        role, share = "duration" if "duration" in roles else "end", _percent(overlapping / fine)
        yield warning("overlapping_durations", message, role, NO_COLUMN, share=share)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


class Description(NamedTuple):
    """What was understood of an export."""

    mappings: tuple[ColumnsFound, ...]
    rows: tuple[tuple[str, UserLog], ...]  # some, each beside the behavior that it became
    warnings: tuple[InputWarning, ...]
    proposal: str

    @property
    def columns(self) -> dict[str, str]:
        """The column of each role; where files differ, that of the first file with the role."""
        return {role: name for each in reversed(self.mappings) for role, name in each.columns.items()}


def describe(files: Sequence[Reading], counts: RowCounts, warnings: Iterable[InputWarning]) -> Description:
    """Describe files that have been read, beside the `warnings` about their columns."""
    alike: dict[tuple[object, ...], list[Reading]] = {}  # files with the same roles
    for each in files:
        alike.setdefault((each.schema.name, *each.roles.items()), []).append(each)
    samples = [tuple(same[0].source.sample()) for same in alike.values()]
    mappings = tuple(
        ColumnsFound(
            files=tuple(each.name for each in same),
            columns=same[0].roles,
            # what holds for all rows has no place
            filled={
                role: sum(map(any, zip(*(values_of(rows, each) for each in places), strict=True)))
                if places
                else len(rows)
                for role, places in same[0].places.items()
            },
            sampled=len(rows),
            unused=same[0].unused,
            schema=same[0].schema.name,
        )
        for same, rows in zip(alike.values(), samples, strict=True)
    )
    first, sample = files[0], samples[0]
    # of a known tool, which column says what was done is no question
    played = {role for each in mappings for role in each.columns if role != "action" or not each.schema}
    # the column or path without a role that says in words what was done, and not who it was
    users = {value for place in first.places.get("user", ()) for value in values_of(sample, place)}
    used = {str(place) for places in first.places.values() for place in places}
    in_words = [
        each
        for each in first.choice.profiles
        if each.column not in used
        and each.distinct > max(len(users), NEARLY_NONE * len(each.values))  # cities are fewer
        and each.share(_WORDS) >= _NEARLY_ALL
    ]
    words = max(in_words, key=lambda each: each.distinct).column if in_words else ""
    found = [*warnings, *_left_out_rows(files, counts), *_left_inside(first, sample)]
    found += [*_short_on_days(first), *_implausible(first, played, words)]
    # tables of the config file that read the files as they were read: of a known tool its schema is enough
    schema, columns = (mappings[0].schema, mappings[0].columns) if len(mappings) == 1 else ("", {})
    settings = {**({"schema": schema} if schema else {}), **first.source.file.settings.kept()}
    proposal = input_table(settings, {} if schema else columns, first.choice.near)
    return Description(mappings, _read_rows(first, sample), tuple(dict.fromkeys(found)), proposal)


def broken_texts(files: Iterable[tuple[str, InputFile]]) -> Iterator[InputWarning]:
    """Say which files, by their names, have characters that were cut."""
    message = _(
        "{path} has characters that are not {encoding}, {count:,}, the first in line {line:,}; each is read as \ufffd; if the file has another"
        " encoding, name it: {setting}"
    )
    for name, file in files:
        values = {"path": name, "encoding": file.encoding, "setting": "[input] encoding"}
        if count := file.content.broken:
            yield warning("broken_texts", message, count=count, line=file.content.line_not_utf8, **values)


def _left_inside(file: Reading, sample: Sequence[SampledRow]) -> Iterator[InputWarning]:
    """Look for rows inside a row, an object behind a text, and what people did before a login."""
    source, roles, places = file.source, file.roles, file.places
    if source.unwrapped:
        message = _("{path} holds one object; its list {column} is read as the rows")
        yield warning("unwrapped", message, path=file.name, column=source.unwrapped)
    if source.joined_sheets:
        message = _(
            "{path} has sheets with the same columns, which are read as one table: {sheets}; to read one: {setting}"
        )
        sheets = ", ".join(source.joined_sheets)
        yield warning("joined_sheets", message, path=file.name, sheets=sheets, setting="[input] sheet")
    for key, left in (("table", source.left_tables), ("sheet", source.left_sheets)):
        message = _(
            "{path} has other tables or sheets with a user and a time, which are not read: {tables}; to read one: {setting}"
        )
        if left:
            tables, setting = ", ".join(left), f"[input] {key}"
            yield warning("other_tables", message, path=file.name, tables=tables, setting=setting)
    lists = [
        leaf.column
        for leaf in source.inventory.leaves
        if leaf.steps and not isinstance(leaf.steps[0], str)  # beside other rows only with a time
        if len(sample) == 1 or fit(leaf.names[-1], "time") > SURE_NAME
    ]
    if lists and not file.schema.name:
        message = _("the column {column} holds lists; if their records are the rows: {setting}")
        key = json.dumps(lists[0], ensure_ascii=False)
        lines = shlex.join(["jq", "-c", f"..|select(.{key}?)|del(.{key})+.{key}[]", file.name])
        yield warning("one_row", message, column=lists[0], setting=f"{lines} | eventabs run -")
    if written := [each.column for each in file.choice.profiles if each.share(r"(?s)\[?\{'.*") > _MANY]:
        message = _("objects as Python writes them are not read: {columns}; write them as JSON: {setting}")
        setting = "frame[column].map(json.dumps)"
        yield warning("python_objects", message, columns=", ".join(written), setting=setting)
    may_hide = places.get("text") and places.get("item") and "action" not in roles
    things = Counter(values_of(sample, places["item"][0]) if may_hide else ())
    hidden = len(things - Counter({"": len(sample)})) > 1 and things.total() - things[""]
    if hidden > _MANY * len(sample) and not file.schema.name:
        message = _(
            "the column {column} reaches no line, since {text} says what was done; to take it instead: {setting}"
        )
        yield warning("hidden_object", message, "text", NO_COLUMN, column=roles["item"], text=roles["text"])
    if len(ways := places.get("user", ())) > 1 and JOINED not in roles["user"]:
        pairs = [*zip(values_of(sample, ways[0]), values_of(sample, ways[-1]), strict=True)]
        known = {later for first, later in pairs if first}
        count = sum(not first and later in known for first, later in pairs if later)
        message = _(
            "{count} of the first {rows} rows have no {user} but the {column} of somebody who has one, as before a login, and are"
            " read as another user's; to join them: {setting}"
        )
        values = {"count": count, "rows": len(sample), "user": ways[0], "column": ways[-1]}
        joined = BEHIND.join(map(str, (ways[-1], *ways[:-1])))
        yield from [warning("anonymous_rows", message, "user", joined, **values)] if count else []


def _short_on_days(file: Reading) -> Iterator[InputWarning]:
    """Look in the first rows, behaviors or not, for times that are days, with durations of seconds because neither a name nor the settings say their unit."""
    by_column = {each.column: each for each in file.choice.profiles}
    held = {role: by_column.get(column) for role, column in file.roles.items()}  # a column may have no name
    day, lasting = held.get("time"), held.get("duration")
    given = file.source.file.settings.model_fields_set
    is_told = "date" in file.roles or file.unit or "duration_unit" in given
    values = lasting.values if day and lasting and day.kind == "day" and not is_told else ()
    numbers = [float(value) for value in values if re.fullmatch(r"\d{1,4}(?:\.\d+)?", value)]
    if len(numbers) >= _LEAST and 0 < (longest := max(numbers)) <= 60 * _HOURS:  # minutes of a day
        unit = '"h"' if longest <= _HOURS and median(numbers) <= _HOURS / 2 else '"min"'
        message = _(
            "the times are days, and the longest duration of the first rows is read as {longest:g} seconds; say the unit, also if that is right: {setting}"
        )
        yield warning("seconds_of_days", message, longest=longest, setting=f"[input] duration_unit = {unit}")


def _left_out_rows(files: Sequence[Reading], rows: RowCounts) -> Iterator[InputWarning]:
    """Say what is read as no behavior, with the setting that reads it, where many begins and ends have no partner, and that the rows of a tool are one person's."""
    # many duplicates whose times are minutes or days, in which the same may be done twice
    times = "SELECT count(start), count(*) FILTER (start <> date_trunc('minute', start)) FROM behaviors"
    ((timed, finer),) = files[0].source.file.connection.execute(times).fetchall()
    if timed >= _LEAST and rows.duplicates > NEARLY_NONE * timed and not finer:
        message = _(
            "{count:,} rows are left out, since they equal another; no time has seconds, so that they may be acts of their own;"
            " to keep them: {setting}"
        )
        yield warning("equal_rows", message, count=rows.duplicates, setting="[input] keep_duplicates = true")
    if rows.unpaired > NEARLY_NONE * (rows.paired_ends + rows.unpaired) and rows.paired_ends:
        message = _(
            "{count:,} begins and ends have no partner, beside {pairs:,} that were joined; if each row is an act of its own: {setting}"
        )
        yield warning("unpaired", message, "marker", NO_COLUMN, count=rows.unpaired, pairs=rows.paired_ends)
    schemas = {each.schema.name: each for each in files if each.schema.name}
    if counts := rows.left_out:
        names = ", ".join(f"{action} {rows:,}" for action, rows in [*counts.items()][:_LISTED])
        message = _(
            "{count:,} rows are no behaviors by the schema {schema}: {names}; to read them too: {setting}"
        )
        setting = '[input] schema = "none"'
        if any("event" in each.schema.non_behaviors for each in schemas.values()):
            first = next(iter(counts))
            setting = f'[input.names] "{first}" = "{first}"'
        values = {"schema": ", ".join(schemas), "names": names, "setting": setting}
        yield warning("left_out_rows", message, count=sum(counts.values()), **values)
    for name, reading in schemas.items():
        if reading.roles.get("user") == f'"{reading.schema.one_user}"':
            message = _(
                'no column of {schema} says whose rows they are: all are read as those of "{user}"; to name the person: --user'
            )
            yield warning("one_person", message, schema=name, user=reading.schema.one_user)


def _read_rows(file: Reading, sample: Sequence[SampledRow]) -> tuple[tuple[str, UserLog], ...]:
    """Return some rows of the first file, of different actions where there are several, with what they became."""
    texts = {row.line: row.text for row in sample}
    # the first row of each action, then the others
    query = """SELECT user_id, start, action, coalesce(item, text) AS item, place, duration, file, line, coalesce(text, '')
        FROM behaviors WHERE file = 0 AND reason IS NULL AND line <= ?
        ORDER BY row_number() OVER (PARTITION BY action ORDER BY line), line LIMIT 3"""
    found = file.source.file.connection.execute(query, [max(texts, default=0)]).fetchall()
    rows = ((user_id, Behavior(*facts)) for user_id, *facts in sorted(found, key=itemgetter(7)))
    return tuple((texts[one.line], UserLog(str(user_id), (one,))) for user_id, one in rows)
