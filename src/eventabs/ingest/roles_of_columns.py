"""Which column of a file has which role, by its name and its values together; what is proposed where that is not sure."""

import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import dropwhile, islice, pairwise, product, takewhile
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from eventabs.errors_and_exit_codes import ConfigError, InputError
from eventabs.ingest.column_names import (
    CANONICAL,
    EMPTY,
    MARKERS,
    PROFILE_NAMES,
    ROLES,
    fit,
    is_excluded,
    plain,
    stated_unit,
    words_of,
)
from eventabs.ingest.formats.base import CONSTANT, Format, SampledRow
from eventabs.ingest.inner_paths import InnerPath, Inventory, value_at
from eventabs.ingest.input_settings import InputSettings
from eventabs.ingest.normal_form import number
from eventabs.interface_language import gettext as _, ngettext
from eventabs.shared_records import InputWarning

NO_COLUMN: Final = "-"  # as the column of a role: no column has the role
RECORD: Final = f"{CONSTANT}record"  # as the column of actions: every row says the same, that there was one
BEHIND: Final = " | "  # between the columns of a role, of which the first that is filled counts
JOINED: Final = " + "  # between columns that are one together: first and last name; year, month and day
_NEAR: Final = 0.85  # similarity above which a user's name is taken for a column's
_PACKED: Final = re.compile(r"\.(?:gz|zst)$", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")
# in the names of what may differ in every row
_OF_A_ROW: Final = {"id", "no", "number", "ref", "url", "编号", "номер"}
_MAKERS: Final = {
    *("author", "autor", "auteur", "автор", "作者", "작성자"),
    *("creator", "editor", "verfasser", "penulis"),
}
_PERSONS: Final = re.compile(
    r"\S+@\S+\.\w+|[A-Z][\w.'-]+,?(?: [A-Z][\w.'-]*){1,3}|\+?\d[\d -]{9,18}|[0-9a-f-]{16,}"
)
_NUMBERED: Final = re.compile(r".*\d.*")
_YEAR_OR_DAY: Final = re.compile(r"(?:19|20)\d\d(?:[-/.]?\d\d?){0,2}")
_ROW_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_DONE: Final = {"text", "action", "item", "app", "media"}
_ACTIVITY: Final = {*_DONE, "place", "category"}
# Inside a context or a device these names mean something else.
_ONLY_OUTSIDE: Final = {"media", "marker", "date", "offset", "end", "price"}
_KNOWN_MARKERS: Final = {word for family in MARKERS for words in family for word in words}
_ALIKE: Final = 0.9  # share of a column's values that are of one kind
_BALANCE: Final = 4  # at most this many times more begins than ends, or ends than begins
_SAMPLED: Final = 1000  # rows
_LEAST: Final = 20  # rows, of which a share says something
_NEARLY_NONE: Final = 0.05  # of the rows
_MORE: Final = 0.1  # of the rows: what another column holds beyond the one that was taken
_SURE: Final = 0.45  # a score below it is a question
_ASKED: Final = 0.44  # a column that is a question, and no other column a better answer
_PLAIN_NAME: Final = 0.95  # of a user
_NEAR_BY: Final = 0.04  # two scores that differ by less are a question
_HALF: Final = 0.5  # of the values
_MOSTLY: Final = 0.75  # of the rows: a user or a time in fewer of them is none where another column is
_TELLS_NOTHING: Final = {"user": 1, "action": 2}  # different values
_HANDFUL: Final = 5  # users, in a thousand rows or more
_SURE_NAME: Final = 0.7  # a name all of whose words say it
_ALL_ALIKE: Final = 0.98  # of the values: one that is nearly everywhere says nothing
_FEW: Final = 20  # different values: more are things, not actions
_NESTED: Final = 0.95  # of a score, for each step into an object
# Of a time, beside others that are named as well: a day alone is none where another column has the hour.
_FINENESS: Final = {"": 1.0, "stamp": 1.0, "clock": 0.98, "day": 0.7}
_THERE_AND_BACK: Final = {"in", "out"}
_SHORT: Final = re.compile(r"\d{0,2}")  # a number within a group
_FLAG: Final = re.compile(r"(?i)yes|no|y|n|true|false|是|否|有|无")
_OF_CALENDAR: Final = re.compile(
    r"(?i)(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?|week(?:day|end)|(?:星期|周)[一二三四五六日天]|1?\d月"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_EPOCH: Final = re.compile(r"1\d{9}(?:\d{3})?(?:\.\d+)?")
_LONG_NUMBER: Final = re.compile(r"\d{9,}(?:\.\d+)?")
_CODE: Final = re.compile(r"[\d.\-]+(?:,\d+)?|[0-9a-fA-F\-]{16,}")  # numbers, and ids of hexadecimal digits
_USUAL_TIME: Final = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[ T].*)?$|\d{9,10}(?:\.\d+)?$|\d{12,13}(?:\.\d+)?$|\d{15,16}$|\d{18,19}$"
)
_MAY_BE_TIME: Final = re.compile(  # it has a year, or three short numbers
    r"(?=.{6,40}$)(?=.*(?:\b\d{4}|\d[-/.](?:\d\d?|[^\W\d]{3,9})[-/.]\d)).*[^\d.].*|\d{8}(?:\d{6})?$|(?:\d{4}\.\d{1,2}\.\d{1,2}|\d{1,2}\.\d{1,2}\.\d{2,4})$"
)
_DAY: Final = re.compile(
    r"(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{8}"
    r"|\d{1,2}[-/ ][^\W\d_]{3,9}[-/ ]\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})(?:[ T]00:00(?::00(?:\.0+)?)?Z?)?"
)
_DAY_OR_MONTH: Final = re.compile(r"(?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|1[0-2])[-/.](?:\d{4}|\d\d)(?:,? .*)?")
_HALF_DAY: Final = re.compile(r"([上下]午)? ?(\d\d?)(:[\d:.,]+)\s*([AaPp]\.?[Mm]\.?)?")
_BARE_CLOCK: Final = re.compile(r"(?:[01]?\d|2[0-3])[0-5]\d[0-5]\d")  # 93005
_CALENDAR: Final = {
    *("y", "yr", "year", "yyyy", "ano", "jahr", "annee", "anno", "год", "tahun", "yil", "rok", "年", "年份"),
    *("m", "mon", "month", "mm", "mes", "monat", "mois", "mese", "месяц", "bulan", "ay", "月", "月份"),
    *("d", "day", "dd", "dia", "tag", "jour", "giorno", "день", "hari", "gun", "日", "天"),
}
_OF_DAY: Final = [re.compile(form) for form in (r"(?:19|20)\d\d", r"0?[1-9]|1[0-2]", r"0?[1-9]|[12]\d|3[01]")]
_OF_CLOCK: Final = [re.compile(form) for form in (r"[01]?\d|2[0-3]", r"[0-5]?\d", r"[0-5]?\d(?:\.\d+)?")]
_CLOCK: Final = re.compile(r"(?:[上下]午 ?)?\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?")
_SPOKEN: Final = re.compile(
    r"(?:\d+(?:\.\d+)? ?(?:天|日|个?小时|时|分钟?|秒钟?|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|ms|[dhms]) ?)+"
)
_BELOW_HOUR: Final = re.compile(r"00?:\d\d:\d\d")
_LASTING: Final = re.compile(rf"-?\d{{1,9}}(?:[.,]\d+)?|[\d:.]+|{_SPOKEN.pattern}")
_SMALL: Final = re.compile(r"-?\d{1,4}(?:[.,]\d+)?")
_DECIMAL: Final = re.compile(r"[¥$€+-]?(?:[\d,]*\.\d+|\d+,\d\d?)")
_LOWER: Final = re.compile("[a-z ]+")
_DATED: Final = re.compile(r"\d+[-/.年]\d.*")
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|(?=.*\d)[\da-f]*(?::[\da-f]*){3,7}")  # of the internet
_RANDOM: Final = re.compile(r"(?=.*\d)[\w+/-]{16,}=*")
_MOST_ALIKE: Final = 2  # columns of few values
_ID: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w-]{2,}")  # letters and digits
# what JSON leaves, and TOML may not hold as it is or a terminal shows as something else
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def user_of_file(path: str, named: str) -> str:
    """Return the user of a file by `[input] user`: {stem} is the file's name without its endings, {parent} its folder's.

    Raises ConfigError for any other word in braces.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100  a link to a file has a name of its own
    words = {"stem": Path(_PACKED.sub("", file.name)).stem, "parent": file.parent.name}
    if unknown := next((word for word in _PLACEHOLDER.findall(named) if word not in words), None):
        message = _("[input] user: {word} is not known; write {stem}, {parent}, or a user's id")
        raise ConfigError(message.format(word=f"{{{unknown}}}", stem="{stem}", parent="{parent}"))
    return _PLACEHOLDER.sub(lambda found: words[found[1]], named)


class Profile(NamedTuple):
    """What a column or path holds in the first rows, "" where it holds nothing. `names`: the words on the way to it.

    `read` is the share of its values that read as times, of the `kind` stamp, day, or clock, which needs a day beside it;
    `codes` that of numbers and ids.
    """

    column: str
    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    filled: float = 1.0
    distinct: int = 0
    read: float = 0.0
    kind: str = ""
    codes: float = 0.0
    usual: float = 0.0  # the share of its most frequent value

    @property
    def is_flag(self) -> bool:
        """Whether it says yes and no, or is a part of the time."""
        return max(_share(_FLAG, self.values), _share(_OF_CALENDAR, self.values)) > _ALIKE

    @property
    def is_amount(self) -> bool:
        """Whether it holds small numbers, and its name has no word for an id."""
        return _OF_A_ROW.isdisjoint(words_of(self.names[-1])) and _share(_SMALL, self.values) > _HALF

    @property
    def is_of_user(self) -> bool:
        """Whether it says who somebody is, and not what was done: `author.url`, `gender`."""
        is_inner = len(self.names) > 1 and fit(self.names[-2], "user") > _SURE_NAME
        return is_inner or is_excluded(self.names[-1], "done")

    def named(self, role: str) -> float:
        """How well its name fits a role, less the deeper it lies."""
        depth = len(self.names) - 1
        if self.column.endswith("[*]") and role != "item":
            return 0.0  # all elements of a list
        if (role, self.kind, plain(self.names[-1])) == ("duration", "clock", "time"):  # beside the time
            return _SURE_NAME * (_share(_BELOW_HOUR, self.values) > _ALIKE)
        if not depth:
            return fit(self.column, role)
        if role in {*_ACTIVITY, "duration"} and self.is_of_user:
            return 0.0
        found = fit(" ".join(self.names[-2:]), role)
        if role != "place":  # a branch of git is another one
            found = max(found, fit(self.names[-1], role))
        return 0.0 if role in _ONLY_OUTSIDE else found * _NESTED**depth

    @property
    def counts_rows(self) -> bool:
        """Whether its values are the numbers of the rows: each is one more than the one before."""
        numbers = [int(value) for value in self.values if _ROW_NUMBER.fullmatch(value)]
        steps = sum(one + 1 == next_one for one, next_one in pairwise(numbers))
        return steps > _ALIKE * len(self.values)

    def score(self, role: str) -> float:  # noqa: C901, PLR0912  a case for each role
        """How well name and values fit a role."""
        found, rows = self.named(role), len(self.values)
        held = self.filled * rows
        if rows < _LEAST or not found:
            return found if self.filled else found * 0.1
        if self.filled <= _NEARLY_NONE * len(self.names):
            return found * 0.1 if self.filled else 0.0
        if role in _ACTIVITY | {"user"} and (self.is_flag or (self.read > _ALIKE > self.codes)):
            return 0.0  # a time, or yes and no
        is_name = found < _SURE and len(words_of(self.names[-1])) == 1
        is_each, is_code = self.distinct > rows * _ALIKE, self.codes > _ALIKE
        is_count = is_code and self.names[-1].lower().endswith("s")
        if role in {*_ACTIVITY, "user"} and is_count:  # `comments` counts them
            found *= 0.1
        elif role == "media" and self.distinct <= _FEW < rows * _MORE:
            found *= 0.5  # few channels are rather where from
        match role:
            case "time" | "date" | "end":
                found *= 1.0 if self.read > _NEARLY_NONE else 0.1
            case "duration":
                found *= _share(_LASTING, self.values) > _ALIKE
            # nobody comes back: a name alone is rather that of a thing
            case "user" if is_name and (
                self.distinct >= _HALF * held or _share(_PERSONS, self.values) < _HALF
            ):
                found = 0.0
            # who made the thing, a book, rather than who read it, since they hardly come back
            case "user" if self.distinct > _HALF * held and not _MAKERS.isdisjoint(words_of(self.names[-1])):
                found = min(found, _ASKED)
            case "user" | "action" if self.distinct <= _TELLS_NOTHING[role]:
                found *= 0.8
            case "user" if (
                self.distinct <= _HANDFUL and rows >= _SAMPLED and found < _SURE_NAME - _NEAR_BY / 2
            ):
                found *= _HALF
            case "action" | "item" | "text" if self.usual > _ALL_ALIKE:  # any other is better
                found = min(found, max(_SURE, found * _HALF))
            case "action" if is_code and self.distinct > _FEW:  # numbers of what was done are few
                found *= 0.1
            case "text" | "media" if is_code:
                found *= 0.1
            case "item" | "place":  # numbers name nothing, an id or address of the row itself even less
                is_row = is_each and (not _OF_A_ROW.isdisjoint(words_of(self.names[-1])) or self.counts_rows)
                found *= 0.47 if is_row else 0.8 if is_code else 1.0
                if role == "item" and self.distinct <= _FEW < rows * _MORE:
                    found *= 0.9  # few values are rather what was done
        if role in ("user", "time") and self.filled < 1 - _NEARLY_NONE:  # the other rows would be rejected
            found = min(found, max(_SURE_NAME, found * self.filled) if self.filled > _MOSTLY else _SURE)
        return found


def _share(form: re.Pattern[str], values: Sequence[str]) -> float:
    return sum(bool(form.fullmatch(value)) for value in values if value) / max(1, sum(map(bool, values)))


def profiles(
    inventory: Inventory, sample: Sequence[SampledRow], connection: duckdb.DuckDBPyConnection | None
) -> list[Profile]:
    """Return what the columns hold, and the paths inside them but for those to a single element of a list."""
    paths = [
        path
        for path in dict.fromkeys(
            (*map(InnerPath, inventory.columns), *map(InnerPath.of_all, inventory.leaves))
        )
        if (path.steps or path.column not in inventory.objects)
        and not any(isinstance(step, int) for step in path.steps)
    ]
    values = {path: [value_of(row, path) for row in sample if row.values] for path in paths}
    held = {path: ["" if each.lower() in EMPTY else each for each in found] for path, found in values.items()}
    unread = {
        value
        for values in held.values()
        for value in values
        if _MAY_BE_TIME.match(value) and not (_USUAL_TIME.match(value) or _CLOCK.fullmatch(value))
    }
    times = _times(connection, sorted(unread)) if connection and unread else set()
    found = [_measured(Profile(str(path), path.names, tuple(held[path])), times) for path in paths]
    others = [each for each in found if each.read > _ALIKE and not _may_be_ids(each)]
    return [each._replace(read=0.0) if others and _may_be_ids(each) else each for each in found]


def _may_be_ids(each: Profile) -> bool:
    """Whether what reads as times is rather ids, beside another time: it comes in many rows, is a number, or no time in some, and no name says when."""
    comes_back = len(each.values) >= _LEAST and each.distinct <= _HALF * len(each.values)
    is_id = each.read < _ALIKE or _share(_LONG_NUMBER, each.values) > _ALIKE
    return comes_back and is_id and not any(map(each.named, ("time", "end", "date")))


def _measured(profile: Profile, times: Collection[str]) -> Profile:
    filled = [value for value in profile.values if value]
    if not (held := len(filled)):
        return profile._replace(filled=0.0 if profile.values else 1.0)
    clocks = max(_share(_CLOCK, filled), _share(_BARE_CLOCK, filled) if profile.named("time") else 0)
    return profile._replace(
        filled=held / len(profile.values),
        distinct=len(set(filled)),
        usual=Counter(filled).most_common(1)[0][1] / held,
        read=max(clocks, sum(each in times or bool(_USUAL_TIME.match(each)) for each in filled) / held),
        kind="clock" if clocks > _ALIKE else "day" if _share(_DAY, filled) > _ALIKE else "stamp",
        codes=_share(_CODE, filled),
    )


def _times(connection: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> set[str]:
    """Return the texts that are times to the SQL that reads the rows, day or month first."""
    query = """SELECT DISTINCT text FROM (SELECT text, t, usual_time(t) AS usual FROM (
            SELECT text, unnest([spelled_time(text, NULL, true), spelled_time(text, NULL, false)]) AS t
            FROM (SELECT unnest(?::VARCHAR[]) AS text)))
        WHERE believable_time(wall_time(t, usual, time_parts(t, usual)), 0) IS NOT NULL"""
    return {text for (text,) in connection.execute(query, [list(texts)]).fetchall()}


class Choice(NamedTuple):
    """The column of each role, a user and time for which too little speaks (`unsure`), and runners-up (`near`).

    `guessed`: what was done is taken from these roles by their values, or nothing says it. `markers`: the columns
    that are called so, the best name first, then that of the actions.
    """

    roles: dict[str, str]
    unsure: dict[str, str]
    near: dict[str, str]
    guessed: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()


def choose(found: Sequence[Profile], named: Mapping[str, str], *, has_user: bool = False) -> Choice:
    """Choose the columns of all roles together: of all pairs of a role and a column the best one first.

    `named` maps a role to its column, "" to find it, NO_COLUMN if it has none. A column plays one role; any may be the
    marker too, which values in all files decide.
    """
    roles = {role: column for role, column in named.items() if column not in ("", NO_COLUMN)}
    used = {
        each
        for role, column in roles.items()
        if role != "marker"
        for each in (column, *re.split(r" [|+] ", column))
    }
    parts = {"minute", "second"} if "hour" in {plain(each.column) for each in found} else ()  # no durations
    free = [each for each in found if each.column not in used and plain(each.column) not in parts]
    unsure, near = dict[str, str](), dict[str, str]()
    dated = [each for each in found if each.column not in used - {named.get("time")}]
    _choose_time(dated, named, roles, unsure)
    used |= {
        each for role in ("time", "date") for each in roles.get(role, unsure.get(role, "")).split(JOINED)
    }
    closed = {"time", "date", "marker", *(["user"] if has_user else [])}
    open_roles = [role for role in ROLES if not named.get(role) and role not in closed]
    scored = ((each.score(role), role, each) for role in open_roles for each in free)
    pairs = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
    for score, role, each in pairs:
        if role in roles or role in unsure or each.column in used:
            continue
        close = [other for rest, of, other in pairs if of == role and rest > score - _NEAR_BY]
        if role == "user":
            if score < 2 * _MORE or (score < _ASKED and _who(free, used)):
                continue  # it holds nobody, or somebody else comes back
            each, near[role] = _finest(each, close)  # noqa: PLW2901
        if role == "text" and score < each.named(role) and _DONE & roles.keys():
            continue  # it says the same in all rows
        is_seldom = each.filled <= _NEARLY_NONE and not each.names[1:]
        sure = each.named(role) if is_seldom else score
        (roles if sure >= _SURE else unsure)[role] = each.column
        used.add(each.column)
        if role in ("item", "place"):
            near[role] = next((other.column for other in close if other.column not in used), "")
    if "user" in {*open_roles} - {*roles, *unsure} and (
        who := _unnamed_user(free, used, {**unsure, **roles})
    ):
        unsure["user"] = who.column
    taken = {role: column for role, column in {**named, **roles}.items() if column}
    guessed = _guess_activity(free, taken, unsure, near)
    roles |= guessed
    if roles.get("result") in guessed.values():
        del roles["result"]
    done = [
        each.values for each in found if each.column in {roles[role] for role in _ACTIVITY & roles.keys()}
    ]
    if (
        done
        and len(done[0]) >= _LEAST
        and "action" not in roles
        and sum(map(any, zip(*done, strict=True))) < _ALIKE * len(done[0])
    ):
        guessed["action"] = roles["action"] = RECORD  # rows that say nothing else
    _drop_doubtful_ends(free, roles)
    unsure = {role: column for role, column in unsure.items() if role in ("user", "time", "date")}
    markers = [(each.score("marker"), each.column) for each in free if each.named("marker") >= _SURE]
    return Choice(
        {role: roles[role] for role in ROLES if role in roles},
        unsure,
        near,
        tuple(guessed),
        (*(column for _score, column in sorted(markers, reverse=True)), roles.get("action", "")),
    )


def _drop_doubtful_ends(free: Sequence[Profile], roles: dict[str, str]) -> None:
    """Leave out ends that come before their starts, and a duration without a unit beside an end, which says the unit."""
    held = {role: each for role, column in roles.items() for each in free if each.column == column}
    begins, lasts, ends = map(held.get, ("time", "duration", "end"))
    # `End date` beside `Start time`: `End time` is the end
    if ends and begins and ends.kind == "day" != begins.kind:
        kinds = (begins.kind, "stamp")
        other = next((each.column for each in free if each.named("end") >= _SURE and each.kind in kinds), "")
        del roles["end"]
        roles.update([("end", other)] if other else ())
        return
    if ends and _come_before(ends, begins):
        del roles["end"]
        return
    if not (lasts and ends) or stated_unit(" ".join(lasts.names[-2:])):
        return
    if min(ends.filled, ends.read, max(lasts.codes, plain(lasts.column) == "time")) > _ALIKE:
        del roles["duration"]


def _come_before(ends: Profile, begins: Profile | None) -> bool:
    """Whether most ends are before their starts, so that they are of another clock."""
    pairs = zip(begins.values, ends.values, strict=True) if begins and len(ends.values) >= _LEAST else ()
    return sum(_padded(begin) > _padded(end) for begin, end in pairs if end) > _HALF * len(ends.values)


def _padded(clock: str) -> str:
    """Return a text that sorts as its time does: 9:07 is before 17:42, 11:05 AM before 1:10 PM."""
    if not (found := _HALF_DAY.fullmatch(clock)):
        return clock
    hour, half = int(found[2]), (found[1] or found[4] or "").lower()
    is_late = half[:1] in ("p", "下")
    return f"{hour % 12 + 12 * is_late if half else hour:02}{found[3]}"


def _guess_activity(
    free: Sequence[Profile], taken: Mapping[str, str], unsure: Mapping[str, str], near: dict[str, str]
) -> dict[str, str]:
    """Return columns that may say what was done, where no name does in (nearly) every row; runners-up go to `near`."""
    told = [each.values for each in free if each.column in {taken[role] for role in _ACTIVITY & taken.keys()}]
    held = sum(map(any, zip(*told, strict=True)))
    if _DONE & taken.keys() and (not told or held >= (1 - _NEARLY_NONE) * len(told[0])):
        return {}
    who = next((each for each in free if each.column == taken.get("user", unsure.get("user"))), None)
    # a state says what was done, where nothing else does
    taken = {role: name for role, name in taken.items() if role not in ("result", "marker")}
    taken |= {role: unsure[role] for role in ("user", "time", "date") if role in unsure}
    left = [each for each in free if each.column not in taken.values() and not each.is_flag]
    found = {role: unsure[role] for role in ("action", "item") if role in unsure and role not in taken}
    found |= _by_values(left, taken, who, near)
    if len({*found.values()}) < len(found):
        del found["item"]
    if "item" not in {**taken, **found} and (thing := _what(left, {**taken, **found}, who)):
        found["item"] = thing.column
    return found


def _choose_time(
    free: Sequence[Profile], named: Mapping[str, str], roles: dict[str, str], unsure: dict[str, str]
) -> None:
    """Take the finest of the times, a clock with the day beside it; without any name, the one column of times."""
    days = [each for each in free if each.score("date") >= _SURE and each.kind in ("", "day")]
    has_day = bool(roles.get("date") or days)
    if not named.get("time"):
        fineness = {**_FINENESS, "clock": _FINENESS["clock"] if has_day else 0.1}
        times = [each for each in free if each.score("time") > _NEARLY_NONE * 2]
        filled = [each for each in free if each.filled > _ALIKE and not each.named("end")]
        clocks = [each for each in filled if each.kind == "clock" and not each.named("duration")]
        values = [each for each in filled if each.kind != "clock" and each.read > _ALIKE > each.codes]
        values = values or [each for each in filled if _share(_EPOCH, each.values) > _ALIKE]
        if not (times or values):  # an end alone says when
            values = [each for each in free if each.kind != "clock" and min(each.filled, each.read) > _ALIKE]
        if times:
            best = max(times, key=lambda each: each.score("time") * fineness[each.kind])
            # `date_out` of a loan is before `date_in`, `outDate` of a visit behind `inDate`
            ends = () if named.get("end") else (*times, *(each for each in free if each.named("end")))
            there_and_back = (
                (one, other)
                for one, other in product(times, ends)
                if _ways(one) ^ _ways(other) == _THERE_AND_BACK
                and not _come_before(other, one)
                and min(one.filled, other.filled, other.read) > _ALIKE
                and (best in (one, other) or best.values == one.values)
            )
            best, other = next(there_and_back, (best, None))
            (roles if best.score("time") >= _SURE else unsure)["time"] = best.column
            if other:
                roles["end"] = other.column
        elif not values:
            unsure |= _in_parts(free)
        else:
            best = min(values, key=lambda each: (is_excluded(each.names[-1], "time"), each.kind == "day"))
            if best.kind == "day" and len(clocks) == 1:
                unsure |= {"time": clocks[0].column, "date": best.column}
            else:
                (roles if len(values) == 1 else unsure)["time"] = best.column
    time = next((each for each in free if each.column == roles.get("time")), None)
    rest = [each for each in days if each is not time]
    # `Start date` belongs to `Start time`, `End date` does not
    if time and rest and (time.kind in ("", "clock") or not time.read) and not named.get("date"):
        roles["date"] = max(rest, key=lambda each: each.score("date")).column


def _in_parts(free: Sequence[Profile]) -> dict[str, str]:
    """Return the time of columns side by side: year, month and day, in this order or the other way, and what follows of hour, minute and second."""
    for at in range(len(free) - 2):
        day = free[at : at + 3]
        for parts in (day, day[::-1]):
            fits = all(_share(form, each.values) > _ALIKE for form, each in zip(_OF_DAY, parts, strict=True))
            named = [each for each in parts if not _CALENDAR.isdisjoint(words_of(each.names[-1])[-1:])]
            if fits and len(named) > 1 and not any(is_excluded(each.names[-1], "time") for each in parts):
                clock = zip(_OF_CLOCK, free[at + 3 :], strict=False)
                told = takewhile(lambda pair: _share(pair[0], pair[1].values) > _ALIKE, clock)
                days = JOINED.join(each.column for each in parts)
                hours = JOINED.join(each.column for _form, each in told)
                return {"date": days, "time": hours} if JOINED in hours else {"time": days}
    return {}


def _ways(each: Profile) -> set[str]:
    return {*"_".join(words_of(each.names[-1])).split("_")}


def _finest(best: Profile, rivals: Sequence[Profile]) -> tuple[Profile, str]:
    """Return the column whose values each belong to one value of the others, and one that is no coarser, "" for none."""
    for rival in rivals:
        if not _is_within(best, rival):
            if not _is_within(rival, best):
                return best, rival.column
            best = rival
    return best, ""


def _is_within(fine: Profile, coarse: Profile) -> bool:
    """Whether each value of one column has a single one of another beside it, or nothing speaks yet."""
    pairs = {pair for pair in zip(fine.values, coarse.values, strict=True) if all(pair)}
    return len(fine.values) < _LEAST or len(pairs) <= 1 + (1 + _NEARLY_NONE) * fine.distinct


def _by_values(
    left: Sequence[Profile], taken: Mapping[str, str], who: Profile | None, near: dict[str, str]
) -> dict[str, str]:
    """Return columns without a telling name that could say what was done: of few values an action, of many an object.

    What is the same in all rows of a user (`who`) says who somebody is.
    """
    texts = [
        each
        for each in left
        if each.filled > 3 * _MORE
        and each.distinct > 1
        and each.codes + each.read < _HALF
        and not (
            each.is_of_user
            or each.named("user") > (0 if who else _SURE)
            or (each.named("date") and _share(_DATED, each.values) > _HALF)
        )
        and not (who and _is_of(each, who))
    ]
    few = [each for each in texts if each.distinct <= min(_FEW, max(2, _HALF * len(each.values)))]
    found = {}
    if few and not taken.get("action"):
        few.sort(key=lambda each: (each.named("result") > 0, each.named("action"), each.filled), reverse=True)
        found["action"] = few[0].column
    # an id of the row says nothing beside what was done
    told = found and few[0].filled > _ALIKE
    ids = {each.column for each in texts if told and not _OF_A_ROW.isdisjoint(words_of(each.names[-1]))}
    many = [
        each
        for each in texts
        if each.column not in found.values()
        and each.distinct > min(_HANDFUL, _HALF * len(each.values))
        and each.column not in ids
    ]
    if many and not taken.get("item"):
        found["item"] = max(many, key=lambda each: each.filled * each.distinct).column
    near["action"] = next((each.column for each in few if each.column not in found.values()), "")
    return found


def _is_of(each: Profile, who: Profile) -> bool:
    """Whether a column has a single value for each of the users who come back."""
    return 1 < who.distinct < _HALF * len(who.values) and _is_within(who, each)


def _who(left: Sequence[Profile], taken: Collection[str]) -> Profile | None:
    """Return the column that most looks like somebody who comes back, where no role has a word for it: `teller_id`."""

    def weight(each: Profile) -> float:
        words = words_of(each.names[-1])
        told = 2.0 * (_share(_PERSONS, each.values) > _ALIKE) + 1.5 * (not _OF_A_ROW.isdisjoint(words[-1:]))
        return told + each.distinct / len(each.values) + each.named("user")

    able = [each for each in _who_come_back(left, taken, 1) if weight(each) > 1]
    return max(able, key=lambda each: (each.distinct > 1, weight(each)), default=None)


def _unnamed_user(free: Sequence[Profile], used: Collection[str], told: Mapping[str, str]) -> Profile | None:
    """Return the column that may be the user where no name says so: persons, ids, authors, else one whose values come back.

    Exports say first whose a row is, then when. `told`: the roles that are known.
    """
    rest = [each for each in free if each.column not in used]

    def is_whose(each: Profile) -> bool:
        if each.column == "list":  # numbered or many
            is_dated = _share(_YEAR_OR_DAY, each.values) > 0
            return not is_dated and (each.distinct > _FEW or _share(_NUMBERED, each.values) == 1)
        return "text" in told and fit(each.column, "user") > 0 and _share(_PERSONS, each.values) > _HALF

    first = _who(free, used) or next(filter(is_whose, rest), None)
    if first or "time" not in told:
        return first
    behind = {each.column for each in dropwhile(lambda each: each.column != told["time"], free)}
    for each in _who_come_back(rest, (), 3, _ALIKE):
        looks_like_an_id = _share(_ID, each.values) > _ALIKE or _share(_PERSONS, each.values) > _HALF
        is_word = each.is_amount or _share(_LOWER, each.values) > _ALIKE  # a mood, a habit
        if is_word or (each.column in behind and not looks_like_an_id):
            continue
        # persons rather than their region, but no orders of theirs
        if not first or (first.distinct < each.distinct <= len(each.values) / 3 and _is_within(each, first)):
            first = each
    return first


def _what(left: Sequence[Profile], taken: Mapping[str, str], who: Profile | None) -> Profile | None:
    """Return the column of ids of something that comes back: `quiz_id`; where nothing says what was done, any that tells rows apart."""
    is_told = not _ACTIVITY.isdisjoint(taken)
    able = [
        each
        for each in left
        if each.column not in taken.values()
        and each.filled > _ALIKE
        and 1 < each.distinct < (_HALF if is_told else _ALL_ALIKE) * len(each.values)
        and each.read <= _HALF
        and not (who and _is_of(each, who))
        and not is_excluded(each.names[-1], "money")
        and each.named("user") < _SURE
        and not (is_told and _OF_A_ROW.isdisjoint(words_of(each.column)[1:][-1:]))
    ]
    return max(able, key=lambda each: each.distinct, default=None)


def _who_come_back(
    left: Sequence[Profile], taken: Collection[str], least: int = 2, most: float = _HALF
) -> list[Profile]:
    return [
        each
        for each in left
        if least <= each.distinct <= most * each.filled * len(each.values)
        and each.filled > _MOSTLY
        and each.column not in taken
        and each.read <= _HALF
        and not any(is_excluded(each.names[-1], what) for what in ("done", "user"))
        and not any(each.named(role) >= _SURE for role in ROLES)
    ]


def header_by_values(found: Sequence[Profile]) -> list[str]:
    """Return names for the columns of rows without a header, by their values; those such as c3 have no role.

    A user comes back, and an id is rather a code than a number. What differs in every row is the row itself.
    """

    def is_stamp(each: Profile) -> bool:
        is_epoch = _share(_EPOCH, each.values) > _ALIKE
        return each.kind == "stamp" and each.read > _ALIKE and (is_epoch or each.codes < _HALF)

    def share(each: Profile, words: Collection[str]) -> float:
        return sum(plain(value) in words for value in each.values) / (each.filled * len(each.values))

    kinds: dict[str, Callable[[Profile], bool]] = {
        "timestamp": is_stamp,
        "end": is_stamp,
        "date": lambda each: each.kind == "day" and each.read > _ALIKE,
        "time": lambda each: each.kind == "clock",
        "action": lambda each: share(each, CANONICAL) > _ALIKE,
        "state": lambda each: share(each, _KNOWN_MARKERS) > _ALIKE,
        "duration": lambda each: max(_share(_SPOKEN, each.values), _share(_BELOW_HOUR, each.values)) > _ALIKE,
    }
    names: dict[str, Profile] = {}
    free = [each for each in found if each.values and each.filled]
    free = [each for each in free if each.read > _ALIKE or not each.counts_rows]
    for name, is_one in kinds.items():
        one = next(filter(is_one, free), None)
        if one and not (name in ("date", "time") and "timestamp" in names):
            names[name] = one
            free.remove(one)
    counted = any(each.counts_rows for each in found)
    free = [each for each in free if _share(_DECIMAL, each.values) < 1]  # a price or a place is nobody
    if free and (len(free) > 1 or counted):
        names["user_id"] = who = max(free, key=_looks_like_a_user)
        # without a name beside the number
        free = [each for each in free if each is not who and not _is_of(each, who)]
    free = [each for each in free if not each.is_flag]
    coded = (_ID, _RANDOM)
    words = [
        each
        for each in free
        if max(each.codes, each.read, *(_share(form, each.values) for form in coded)) <= _ALIKE
    ]
    if free:
        names["item"] = max(words, key=lambda each: each.distinct, default=free[0])
        if names["item"] in words and names["item"].distinct <= _FEW < _MORE * len(found[0].values):
            words = [names.pop("item")]  # few values are rather what was done
    few = [each for each in words if each is not names.get("item") and 1 < each.distinct <= _FEW]
    # of several nothing says which one is it
    if few and "action" not in names and len(few) <= _MOST_ALIKE:
        names["action"] = few[0]
    by_column = {each.column: name for name, each in names.items()}
    return [by_column.get(each.column, each.column) for each in found]


def _looks_like_a_user(each: Profile) -> tuple[float, ...]:
    """Return how much a column without a name looks like a user: a word or a form says it, a code, or that it comes back."""
    comes_back = 1 < each.distinct < each.filled * len(each.values) and each.filled >= 1 - _NEARLY_NONE
    prefix = re.split(r"\d", each.values[0])[0]  # user_000001, maybe the only one; `IP: 10.0.0.1`
    begins_so = _share(re.compile(re.escape(prefix) + r"\S*\d\S*"), each.values) > _ALIKE
    is_number = min(_share(form, each.values) for form in (_LONG_NUMBER, _PERSONS)) > _ALIKE
    has_form = is_number or _share(_ADDRESS, each.values) > _ALIKE
    is_person = (begins_so and fit(prefix, "user") > 0) or (comes_back and has_form)
    return is_person, (comes_back and _share(_ID, each.values) > _ALIKE) * each.distinct, comes_back


def required(
    path: str,
    choice: Choice,
    inventory: Inventory,
    given: InputSettings = InputSettings(),
    found: Sequence[Profile] = (),
) -> dict[str, str]:
    """Return the column of each role. Raises InputError where one is missing or not sure, with the whole proposal."""
    roles, has_user = choice.roles, bool(given.user)
    what, proposed = "", {**choice.roles, **choice.unsure}
    if "time" not in proposed and not (has_user or "user" in proposed):
        what = _("neither a user nor a time column; if it is a table of behaviors at all, name them")
    elif "user" not in roles and not has_user:
        what = _(
            'no user column that is sure; say whose file it is (--user me, --user "{{stem}}" for its name), or name it'
        )
    elif "time" not in roles:
        what = _("no time column that is sure; name it")
    elif choice.near.get("user") and not has_user:
        what = _("two columns that may be the user, {first} and {second}; name one")
    if not _ACTIVITY & proposed.keys():
        proposed["action"] = RECORD
    if not what:
        return proposed
    template = _("{path} has {what} in eventabs.toml under [input.columns]; it has: {columns}")
    what = what.format(first=roles.get("user", ""), second=choice.near.get("user", ""))
    error = _refusal(template, path, inventory.every, what=what)
    if "time" in proposed:
        near: dict[str, object] = {**choice.near}
        settings = {**given.kept(), **({} if "user" in proposed or has_user else {"user": "me"})}
        days = next((each for each in found if each.column == proposed.get("date", proposed["time"])), None)
        if days and given.dayfirst is None and _share(_DAY_OR_MONTH, days.values) == 1:
            settings["dayfirst"], near["dayfirst"] = True, False
        columns = {role: proposed[role] for role in ROLES if role in proposed}
        error.proposal = input_table(settings, columns, near)
    raise error


def input_table(
    settings: Mapping[str, object], columns: Mapping[str, str], near: Mapping[str, object] = {}
) -> str:
    """Return tables of the config file that give a reading; `near`: runners-up, as comments."""
    other = _("or")
    lines, mapped = (
        [
            f"{name} = {_toml(value)}"
            + (f"  # {other} {_toml(near[name])}" if near.get(name, "") != "" else "")
            for name, value in table.items()
        ]
        for table in (settings, columns)
    )
    return "\n".join(["[input]", *lines, *(["", "[input.columns]", *mapped] if mapped else [])])


def _toml(value: object) -> str:
    """Return `value` in TOML, which has the strings of JSON; half a surrogate pair, which no file holds, is replaced."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml(each)} = {_toml(name)}' for each, name in value.items())} }}"
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return _UNSAFE.sub(lambda hit: f"\\u{ord(hit[0]):04X}", text)


def refuse_one_user(source: Format, user_columns: Iterable[str]) -> None:
    """Raise InputError if the user that the settings name for the file is rather the name of a column.

    `user_columns` name the users: if one has several users, all would become one log.
    """
    user, path = source.file.settings.user, source.file.path
    message = ""
    places = {column: source.inventory.find(column) or InnerPath(column) for column in user_columns}
    seen = {
        column: {value_of(row, place) for row in source.sample()} - {""} for column, place in places.items()
    }
    if column := next((column for column, values in seen.items() if len(values) > 1), ""):
        message = _(
            "{path} has the column {column} with several users, who would all become the one user {user}; leave out"
            ' --user ([input] user), or name the column: {setting}; if all rows are of one person: [input.columns] user = "-" as well'
        )
    elif source.file.named.get("user") != NO_COLUMN:
        known = {plain(leaf.names[-1]): str(leaf) for leaf in source.inventory.leaves}
        known |= {plain(column): column for column in source.columns}
        for near in get_close_matches(plain(user), known, 1, _NEAR):
            column = known[near]
            message = _(
                "--user ([input] user) is the id of the one user whose rows they are, and {path} has a column {column}; name"
                ' a column of users so: {setting}; if {user} is an id: [input.columns] user = "-" as well'
            )
    if message:
        setting = column_setting("user", column)
        raise InputError(message.format(path=path, column=column, user=user, setting=setting))


def refuse_absent_columns(path: str, inventory: Inventory, named: Mapping[str, str]) -> None:
    """Raise InputError if a file lacks a column or path that the user named."""
    for role, name in named.items():
        if name in ("", NO_COLUMN) or name[0] == CONSTANT:
            continue
        ways = (parts_of(each, inventory) for each in alternatives(name, inventory))
        if not any(all(map(inventory.find, parts)) for parts in ways):
            message = _('{path} has no column {name} ([input.columns] {role} = "{name}"); it has: {columns}')
            raise _refusal(message, path, inventory.every, name=name, role=role)


def alternatives(column: str, inventory: Inventory) -> list[str]:
    """Return the columns of a role in order of trial: `properties.name | properties.content` names two."""
    return [column] if column in inventory.columns else column.split(BEHIND)


def parts_of(column: str, inventory: Inventory) -> list[str]:
    """Return the columns that are one together: `first_name + last_name` names two."""
    parts = column.split(JOINED)  # a path to a key with a plus in it may be found, too
    is_one = column in inventory.columns or not all(map(inventory.find, parts))
    return [column] if is_one and inventory.find(column) else parts


def column_setting(role: str, name: str = "...") -> str:
    """Return the setting that names the column of a role."""
    return f'[input.columns] {role} = "{name}"'


def profile_columns(
    path: str, columns: Sequence[str], named_user: str, wanted: Sequence[str]
) -> tuple[str, list[tuple[str, str]]]:
    """Return the user column of the profiles' file, and (name to show, column) for each `wanted` column.

    Raises InputError without a user column, and for a missing `wanted` column that is not one of the usual ones.
    """
    found = choose(profiles(Inventory(columns), (), None), {}).roles
    user = named_user if named_user in columns else found.get("user")
    if user is None:
        message = _("profiles file {path} has no user column; call it user_id; it has: {columns}")
        raise _refusal(message, path, columns)
    known = {*map(plain, columns), *(name for names in PROFILE_NAMES.values() for name in names)}
    if missing := [name for name in wanted if plain(name) not in known]:
        message = _("profiles file {path} has no column {name} ([profiles] columns); it has: {columns}")
        raise _refusal(message, path, columns, name=missing[0])
    return user, find_profile_columns(columns, wanted)


def find_profile_columns(columns: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name to show, column) for each `wanted` column that exists, in that order.

    Age, gender, occupation and city are also found by their usual names, and shown in English.
    """
    by_plain_name = {plain(column): column for column in reversed(columns)}
    found: dict[str, str] = {}
    for name in wanted:
        shown = next((key for key, names in PROFILE_NAMES.items() if plain(name) in names), name)
        candidates = (plain(name), *PROFILE_NAMES.get(shown, ()))
        column = next((by_plain_name[each] for each in candidates if each in by_plain_name), None)
        if column is not None:
            found.setdefault(shown, column)
    return list(found.items())


def _refusal(message: str, path: str, columns: Sequence[str], **values: str) -> InputError:
    listed = textwrap.shorten(", ".join(columns), 300, placeholder=" ...")
    return InputError(message.format(path=path, columns=listed, **values))


def marker_columns(found: Iterable[tuple[Format, Collection[str]]], named: str) -> set[str]:
    """Return those of the columns that may be markers, by file, whose values in all files mark begins and ends.

    `named`: the column that the user named, NO_COLUMN for none, "" to find it.
    """
    if named:
        return {named} - {NO_COLUMN}
    seen: dict[str, Counter[str]] = {}
    for source, columns in found:
        for row in source.sample() if columns else ():
            for column in columns:
                if word := plain(str(row.values.get(column) or "").strip()):
                    seen.setdefault(column, Counter())[word] += 1
    return {column for column, words in seen.items() if _are_markers(words)}


def _are_markers(words: Counter[str]) -> bool:
    known = sum(count for each, count in words.items() if each in _KNOWN_MARKERS)
    if known < _ALIKE * words.total():
        return False
    kinds = [[sum(words[each] for each in kind) for kind in family] for family in MARKERS]
    return any(min(family) * _BALANCE >= max(family) > 0 for family in kinds)


class ColumnChoice:
    """Finds the columns of an export's files, alike for files with the same names. `warnings` say what was odd."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, settings: InputSettings) -> None:
        self._connection = connection
        self._settings = settings
        self.named: dict[str, str] = dict(settings.columns)
        self._known: dict[tuple[object, ...], tuple[list[Profile], Choice]] = {}
        self.warnings: list[InputWarning] = []

    def of_file(self, source: Format) -> tuple[list[Profile], Choice]:
        """Return what the columns hold, and that of each role. Raises InputError where one is missing or not sure."""
        key = (source.columns, frozenset(source.inventory.leaves))
        if key not in self._known:
            path, inventory = source.file.path, source.inventory
            refuse_absent_columns(path, inventory, self.named)
            first = {InnerPath(each, ("0",)) for each in inventory.columns}
            if first and first <= inventory.leaves.keys() and not self.named.get("time"):
                how = 'DataFrame.to_json(PATH, orient="records", lines=True)'
                raise InputError(_("{path} holds columns; write rows: {how}").format(path=path, how=how))
            found = profiles(inventory, tuple(islice(source.sample(), _SAMPLED)), self._connection)
            choice = choose(found, self.named, has_user=source.file.has_user)
            roles = required(path, choice, inventory, self._settings, found)
            self.warnings += _guessed(choice, roles)
            if found and len(found[0].values) >= _LEAST:
                self.warnings += self._doubts(found, roles)
                if not ("end" in roles or self.named.get("end")):
                    self.warnings += _early_ends(found, roles)
            self._known[key] = found, choice._replace(roles=roles)
        return self._known[key]

    def refuse_unnamed(self, source: Format) -> None:
        """Raise InputError for rows without a header, with names for their columns to copy."""
        if not source.is_unnamed:
            return
        rows = list(islice(source.sample(), _SAMPLED))
        names = header_by_values(profiles(Inventory(source.columns), rows, self._connection))
        options = f"--columns {','.join(names)}" + ("" if "user_id" in names else " --user me")
        message = _(
            "{path} has no header; name its columns, by their values: {options} (a column such as c3 is left out). First row: {row}"
        )
        first = textwrap.shorten(rows[0].text, 100, placeholder=" ...")
        raise InputError(message.format(path=source.file.path, options=options, row=first))

    def users(self, source: Format) -> list[str]:
        """Return the columns that say whose rows they are, unless the user of the tool says that none does."""
        if named := self.named.get("user"):
            return [named]
        return [each.column for each in profiles(source.inventory, (), None) if each.named("user") > _SURE]

    def _doubts(self, found: Sequence[Profile], roles: Mapping[str, str]) -> Iterable[InputWarning]:
        """Say which columns gave way, which named ones hold nothing, which of the others hold more, and where users may be numbers in a group."""
        by_column = {each.column: each for each in found}
        who = by_column.get(roles.get("user", ""))
        if who and not self.named.get("user") and who.distinct <= _FEW and _share(_SHORT, who.values) == 1:
            finer = [
                each
                for each in _who_come_back(found, [*roles.values()])
                if each.codes < _HALF and each.distinct >= 2 * who.distinct and _is_within(each, who)
            ]
            for each in sorted(finer, key=lambda each: each.distinct)[:1]:
                message = _(
                    "the user column {column} holds the numbers of {count} users only, and {other} tells more apart; if a number is several"
                    " people's: {setting}"
                )
                values = {"column": who.column, "count": who.distinct, "other": each.column}
                setting = column_setting("user", each.column)
                yield warning("numbered_users", message, setting=setting, **values)
        if who and not self.named.get("user") and who.distinct == 1 and who.named("user") < _PLAIN_NAME:
            message = _(
                "the first rows are all of one user, {user}, by the column {column}; if another column says who it was, name it: {setting}"
            )
            setting = column_setting("user")
            yield warning("one_user", message, user=max(who.values), column=who.column, setting=setting)
        for role, column in roles.items():
            chosen = by_column.get(column)
            if chosen is None:
                continue
            if self.named.get(role):
                if _readable(chosen, role) <= _NEARLY_NONE and not (role == "time" and "date" in roles):
                    message = _(
                        "[input.columns] {role} names the column {column}, which can be read in {held:,} {of}; name another"
                    )
                    yield _doubt("named_column_fails", message, role, chosen)
                continue
            others = [
                each for each in found if each.named(role) >= _SURE and each.column not in roles.values()
            ]
            usual = max(others, key=lambda each: each.named(role), default=chosen)
            fuller = [each for each in others if _is_fuller(role, each, chosen)]
            better = usual.named(role) - chosen.named(role)
            matters = better > 0 if role in {"user", "time"} else usual.filled and better > _NEAR_BY
            if matters and _readable(usual, role) <= (_MOSTLY if role in {"user", "time"} else _NEARLY_NONE):
                message = _(
                    "the column {column} has the role {role}, since {other} can be read in {more:,} {of}; to take that: {setting}"
                )
                yield _doubt("gave_way", message, role, chosen, usual)
            elif fuller:
                message = _(
                    "the column {column} (role {role}) is filled in {held:,} {of}, {other} in {more:,}; to take that: {setting}"
                )
                yield _doubt("fuller_column", message, role, chosen, fuller[0])


def _early_ends(found: Sequence[Profile], roles: Mapping[str, str]) -> Iterable[InputWarning]:
    """Say which ends were left out, since they come before their starts."""
    begins = next((each for each in found if each.column == roles.get("time")), None)
    for each in found:
        if each.named("end") >= _SURE and _come_before(each, begins):
            message = _(
                "most ends in the column {column} come before the starts in {other}, so no duration is made of them; if they are right: {setting}"
            )
            values = {"column": each.column, "other": roles["time"]}
            yield warning("early_ends", message, setting=column_setting("end", each.column), **values)


def _guessed(choice: Choice, roles: Mapping[str, str]) -> Iterable[InputWarning]:
    """Say which roles were taken by their values alone."""
    if guessed := [*choice.guessed, *(role for role in roles if role not in choice.roles)]:
        message = _(
            "no name says what was done, so it is taken from values: {taken}; if another column says it, name it: {setting}"
        )
        taken = ", ".join(f'{role} = "{roles[role]}"' for role in guessed)
        setting = column_setting("action", choice.near.get("action") or "...")
        yield warning("guessed_activity", message, taken=taken, setting=setting)


def warning(code: str, message: str, **values: object) -> InputWarning:
    """Return a warning with the values in its message."""
    return InputWarning(code, message.format(**values))


def _doubt(code: str, message: str, role: str, chosen: Profile, other: Profile | None = None) -> InputWarning:
    rows = len(chosen.values)
    of = ngettext("of the first {count:,} row", "of the first {count:,} rows", rows).format(count=rows)
    held, more = (round(_readable(each, role) * rows) if each else 0 for each in (chosen, other))
    values = {"held": held, "more": more, "of": of, "other": other.column if other else ""}
    setting = column_setting(role, str(values["other"]))
    return warning(code, message, role=role, column=chosen.column, setting=setting, **values)


def _readable(profile: Profile, role: str) -> float:
    return min(profile.filled, profile.read) if role == "time" else profile.filled


def _is_fuller(role: str, other: Profile, chosen: Profile) -> bool:
    is_code = other.codes > _ALIKE > chosen.codes
    is_coarser = role == "place" and other.distinct <= chosen.distinct  # cities are no place of each
    return other.filled > chosen.filled + _MORE and not (is_code or is_coarser)


def value_of(row: SampledRow, path: InnerPath) -> str:
    """Return what a row holds at a path, as text; "" for nothing."""
    value = value_at(row.values, path)
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def profile_warnings(
    connection: duckdb.DuckDBPyConnection,
    source: Format,
    wanted: Sequence[str],
    shown: Sequence[tuple[str, str]],
) -> list[InputWarning]:
    """Say which of the `wanted` columns the profiles' file lacks, and whether it is about other users.

    `shown`: (name to show, column) of those that it has.
    """
    path = source.file.path
    absent = [name for name in wanted if not find_profile_columns(source.columns, [name])]
    found = []
    if absent:
        message = _(
            "profiles file {path} has no column {absent}, which no user's header shows then; it has: {columns};"
            " name what may be sent: [profiles] columns"
        )
        columns = ", ".join(source.columns)
        found.append(
            warning("absent_profile_column", message, path=path, absent=", ".join(absent), columns=columns)
        )
    known = number(connection, "SELECT count(*) FROM profiles SEMI JOIN users USING (user_id)")
    if shown and not known:
        message = _(
            "profiles file {path} has a profile of no user of the export; its user column has to hold the same ids:"
            " {setting}"
        )
        found.append(warning("foreign_profiles", message, path=path, setting=column_setting("user")))
    return found
