"""What a model is shown of a file before its columns are known: what they hold, and some rows without the ids of users."""

import json
import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from eventabs.ingest import files_archives_encodings as files, sort_and_pair
from eventabs.ingest.formats import open_file
from eventabs.ingest.normal_form import as_glob, scratch_database
from eventabs.ingest.roles_and_known_schemas import SchemaChoice
from eventabs.ingest.roles_of_columns import Profile, choose, profiles
from eventabs.stop_request import Stop

_PROFILED: Final = 1000  # rows
SHOWN_ROWS: Final = 20  # of these, spread evenly
_MOST: Final = 150  # columns and paths, those that are filled most
_LONGEST: Final = 80  # characters of a value
_INSIDE: Final = 4  # characters of an id that is masked inside other values too: "1" is everywhere
_ALIKE: Final = 0.9  # share of a column's values that are of one kind
_SURE: Final = 0.45  # a name from which on a column may hold users
_KINDS: Final = {"stamp": "times", "day": "days", "clock": "times of day"}


def masked_sample(paths: Sequence[str], folder: Path, **settings: Any) -> tuple[str, list[str]]:  # noqa: ANN401  of InputFile
    """Return the columns and 20 rows of the first file as a text, and the names that columns without any are given.

    Raises InputError.
    """
    path = files.expand(paths)[0]
    with scratch_database(folder / "reading.tmp", [path, as_glob(path)], Stop()) as connection:
        sort_and_pair.prepare(connection)
        headers = SchemaChoice("").headers
        source = open_file(connection, path, folder / "reading.tmp", headers=headers, **settings)
        sample = list(islice(source.sample(), _PROFILED))
        found = [each for each in profiles(source.inventory, sample, connection) if each.filled]
    often = sorted((each.filled for each in found), reverse=True)[:_MOST]
    shown = [each for each in found if each.filled >= often[-1]][:_MOST]
    masked = _masking(found)
    spread = sorted({len(sample) * number // SHOWN_ROWS for number in range(SHOWN_ROWS)} if sample else ())
    rows = [{each.column: masked(each, row) for each in shown if each.values[row]} for row in spread]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "\n".join(["Columns:", *map(_described, shown), "", "Rows:", *texts])
    return text, list(source.columns) if source.is_unnamed else []


def _described(each: Profile) -> str:
    kind = _KINDS[each.kind] if each.read > _ALIKE else "text"
    if each.codes > _ALIKE:
        kind = "numbers that may be times" if each.read > _ALIKE else "numbers or codes"
    return f"{json.dumps(each.column, ensure_ascii=False)}: {kind}, {each.distinct} different, {each.filled:.0%} filled"


def _masking(found: Sequence[Profile]) -> Callable[[Profile, int], str]:
    """Return what gives a column's value in a row, cut; ids and names of users are [id1], [id2], ... in all columns."""
    choice = choose(found, {})
    proposed = {choice.roles.get("user"), choice.unsure.get("user"), choice.near.get("user")}
    others = {*choice.roles.values()} - proposed
    users = proposed | {each.column for each in found if each.named("user") >= _SURE} - others
    ids = dict.fromkeys(value for each in found if each.column in users for value in each.values if value)
    aliases = {value: f"[id{number}]" for number, value in enumerate(ids, 1)}
    long = sorted((each for each in ids if len(each) >= _INSIDE), key=len, reverse=True)
    inside = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, long)) or '(?!)'})(?!\w)")

    def masked(each: Profile, row: int) -> str:
        text = each.values[row]
        text = aliases[text] if each.column in users else inside.sub(lambda hit: aliases[hit[0]], text)
        text = " ".join(text.split())
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

    return masked
