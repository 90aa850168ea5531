"""What columns hold in some rows, how well each fits a role by its name and its values, and names for columns without any."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise
from typing import Final

import duckdb

from eventabs.ingest.column_names import CANONICAL, EMPTY, MARKERS, NEVER, fit, plain, stated_unit, words_of
from eventabs.ingest.formats.base import SampledRow
from eventabs.ingest.inner_paths import InnerPath, Inventory, encoded, value_at
from eventabs.ingest.normal_form import MONTHS

_MAKERS: Final = {
    *["author", "autor", "auteur", "автор", "作者", "작성자", "creator", "editor", "verfasser", "penulis"]
}
PERSONS: Final = r"\S+@\S+\.\w+|[A-Z][\w.'-]+,?(?: [A-Z][\w.'-]*,?){1,3}|\+?\d[\d -]{9,18}|[0-9a-f-]{16,}"
DONE: Final = {"text", "action", "item", "app", "media"}
ACTIVITY: Final = {*DONE, "place", "category"}
_KNOWN_MARKERS: Final = {word for family in MARKERS for words in family for word in words}
ALIKE: Final = 0.9  # share of a column's values that are of one kind
SAMPLED: Final = 1000  # rows
LEAST: Final = 20  # rows, of which a share says something
NEARLY_NONE: Final = 0.05  # of the rows
MORE: Final = 0.1  # of the rows: what another column holds beyond the one that was taken
SURE: Final = 0.45  # a score below it is a question
ASKED: Final = 0.44  # a column that is a question, and no other column a better answer
NEAR_BY: Final = 0.04  # two scores that differ by less are a question
HALF: Final = 0.5  # of the values
MOSTLY: Final = 0.75  # of the rows: a user or a time in fewer of them is none where another column is
HANDFUL: Final = 5  # users, in a thousand rows or more
PLAIN_NAME: Final = 0.95  # says it without any doubt
SURE_NAME: Final = 0.7  # a name all of whose words say it
ALL_ALIKE: Final = 0.98  # of the values: one that is nearly everywhere says nothing
FEW: Final = 20  # different values: more are things, not actions
_FLAG: Final = re.compile(r"(?i)yes|no|y|n|true|false|是|否|有|无|male|female|m|f|男|女|保密")
_OF_DEVICE: Final = (
    r"(?i)(?:(?:google |mobile )?chrome|firefox|(?:mobile )?safari|(?:microsoft )?edge|opera|android|ios|iphone|ipad|windows|mac ?os|linux|ubuntu"
    r"|desktop|mobile|tablet|smartphone)\b.{0,20}|\d{3,4} ?[x×*] ?\d{3,4}|utf-?8"
)
_OF_CALENDAR: Final = re.compile(
    rf"(?i)(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?|week(?:day|end)|(?:星期|周)[一二三四五六日天]|1?\d月|{MONTHS}"
)
EPOCH: Final = re.compile(r"1\d{9}(?:\d{3})?(?:\.\d+)?")
_PLURAL: Final = re.compile("[sS](?:$|_?(?:[A-Za-z][a-z]*ed|[oO]f|[pP]er|[sS]een|[rR]ead|[sS]old)(?![a-z]))")
_LONG_NUMBER: Final = re.compile(r"\d{9,}(?:\.\d+)?")
_USUAL_TIME: Final = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[ T].*)?$|\d{9,10}(?:\.\d+)?$|\d{12,13}(?:\.\d+)?$|\d{15,16}$|\d{18,19}$"
)
_MAY_BE_TIME: Final = re.compile(  # it has a year, or three short numbers
    r"(?=.{6,80}$)(?=.*(?:\b[12]\d{3}|\b\d{8}\b|\d[-/.](?:\d\d?|[^\W\d]{3,9})[-/.]\d)).*[^\d.].*|\d{8}(?:\d{6})?$|(?:\d{4}\.\d{1,2}\.\d{1,2}|\d{1,2}\.\d{1,2}\.\d{2,4})$"
)
# forms of times
_SORTING: Final = (r"\d{4}[-/.]\d\d[-/.]\d\d(?: .*)?", r"\d{4}-\d\d-\d\dT.*", r"1\d{9}", r"1\d{12}")
_DAY: Final = re.compile(
    r"(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{8}"
    r"|\d{1,2}[-/ ][^\W\d_]{3,9}[-/ ]\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})(?:[ T]00:00(?::00(?:\.0+)?)?Z?)?"
)
_HALF_DAY: Final = r"([上下]午)? ?(\d\d?)(:[\d:.,]+)\s*([AaPp]\.?[Mm]\.?)?"
_BARE_CLOCK: Final = re.compile(r"(?:[01]?\d|2[0-3])(?:[0-5]\d[0-5]\d|H [0-5]?\dM [0-5]?\dS)")  # 93005
_CLOCK: Final = re.compile(r"(?:[上下]午 ?)?\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?")
_SPOKEN: Final = r"(?:\d+(?:\.\d+)? ?(?:天|日|일|[个個]?小[时時]|時間|[时時]|시간|分[钟鐘]?|분|秒[钟鐘]?|초|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|ms|[dhms]) ?)+"
_LASTING: Final = rf"-?\d{{1,9}}(?:[.,]\d+)?|(?:\d+ days?,? )?[\d:.]+|P[\dDTHMS.]+|{_SPOKEN}"
_BELOW_HOUR: Final = re.compile(r"00?:\d\d:\d\d")
_MEASURED: Final = re.compile(r"-?\d{1,4}\.\d{5,}")
_DECIMAL: Final = r"[¥$€+-]?(?:[\d,]*\.\d+|\d+,\d\d?)"
_ADDRESS: Final = r"\d{1,3}(?:\.\d{1,3}){3}|(?=.*\d)[\da-f]*(?::[\da-f]*){3,7}"  # of the internet
_RANDOM: Final = r"(?=.*\d)[\w+/-]{16,}=*"
ID: Final = r"(?=.*\d)(?=.*[A-Za-z])[\w-]{2,}"  # letters and digits


class Profile:
    """What a column or path holds in some rows, "" where it holds nothing. `names`: the words on the way to it.

    `words`: those of its own name, `is_of_row`: one of them says what may differ in every row. `read` is the share of its
    values that read as times, by their usual form or as one of `times`, of the `kind` stamp, day, or clock, which needs a
    day beside it; `codes` that of numbers and ids, `usual` that of the most frequent value.
    """

    def __init__(self, path: InnerPath, values: Sequence[str], times: Collection[str]) -> None:
        self.column, self.names, self.values = str(path), path.names, values
        self.kind = ""  # until its values are known; how well a name fits depends on it
        self.words = words_of(self.names[-1])
        self.is_of_row = not {"id", "no", "number", "ref", "url", "编号", "номер"}.isdisjoint(self.words)
        self._counts = counts = Counter(filter(None, values))  # most come back, and are looked at once
        self._held = counts.total() or 1
        self.filled = counts.total() / len(values) if values else 1.0
        self.distinct, self.usual = len(counts), max(counts.values(), default=0) / self._held
        clocks = max(self.share(_CLOCK), self.share(_BARE_CLOCK) if self.named("time") else 0)
        read = sum(counts[each] for each in counts if each in times or _USUAL_TIME.match(each))
        self.read = max(clocks, read / self._held)
        if counts:
            self.kind = "clock" if clocks > ALIKE else "day" if self.share(_DAY) > ALIKE else "stamp"
        self.codes = self.share(r"[\d.\-]+(?:,\d+)?|[0-9a-fA-F\-]{16,}")  # and ids of hexadecimal digits

    def share(self, form: str | re.Pattern[str]) -> float:
        """Return the share of its values that have a form."""
        fitting = filter(re.compile(form).fullmatch, self._counts)
        return sum(map(self._counts.__getitem__, fitting)) / self._held

    @property
    def is_flag(self) -> bool:
        """Whether it says yes and no, somebody's sex, or a part of the time."""
        return max(self.share(_FLAG), self.share(_OF_CALENDAR)) > ALIKE

    @property
    def days(self) -> int:
        """How many days its times fall on, 0 where no form says the day first or of few rows."""
        is_dated = len(self.values) >= LEAST and max(map(self.share, _SORTING[:2])) > ALIKE
        return len({value[:10] for value in self.values if value}) if is_dated else 0

    @property
    def is_of_user(self) -> bool:
        """Whether it says who somebody is or with which device, and not what was done: `author.url`, `gender`, `Chrome 103`."""
        is_inner = len(self.names) > 1 and fit(self.names[-2], "user") > SURE_NAME
        return is_inner or self.is_never("done") or self.share(_OF_DEVICE) > ALIKE

    @property
    def knows_actions(self) -> bool:
        """Whether most of its values are words for what was done."""
        return sum(plain(value) in CANONICAL for value in self.values) > HALF * self.filled * len(self.values)

    def is_never(self, role: str) -> bool:
        """Whether its name has a word with which it is not of a role; `done`: it says who somebody is, not what was done."""
        return not NEVER[role].isdisjoint(self.words)

    def named(self, role: str) -> float:
        """How well its name fits a role, less the deeper it lies."""
        depth = len(self.names) - 1
        if self.column.endswith("[*]") and role != "item":
            return 0.0  # all elements of a list
        if (role, self.kind, plain(self.names[-1])) == ("duration", "clock", "time"):  # beside the time
            return SURE_NAME * (self.share(_BELOW_HOUR) > ALIKE)
        if not depth:
            return fit(self.column, role)
        is_of_user = role in {*ACTIVITY, "duration"} and self.is_of_user
        is_device = role == "user" and NEVER["done"].issuperset(self.words)  # somebody's
        is_length = role == "duration" and not NEVER[role].isdisjoint(words_of(self.names[-2]))  # of a film
        if is_of_user or is_device or is_length:
            return 0.0
        found = fit(" ".join(self.names[-2:]), role)
        if role != "place":  # a branch of git is another one
            found = max(found, fit(self.names[-1], role))
        # inside a context or a device some names mean something else
        return 0.0 if role in {"media", "marker", "date", "offset", "end", "price"} else found * 0.95**depth

    @property
    def is_count(self) -> bool:
        """Whether it says how many, and not what: `comments`, `pages_viewed`; or numbers of which some are 0."""
        is_plural = _PLURAL.search(self.names[-1]) and not self.is_of_row
        some_are_none = self.distinct > FEW and self.share("0") > NEARLY_NONE
        return self.codes > ALIKE and bool(is_plural or some_are_none)

    @property
    def counts_rows(self) -> bool:
        """Whether its values are the numbers of the rows: each is one more than the one before."""
        numbers = [int(value) for value in self.values if re.fullmatch("[0-9]{1,18}", value)]
        steps = sum(one + 1 == next_one for one, next_one in pairwise(numbers))
        return steps > ALIKE * len(self.values)

    def comes_before(self, begins: "Profile | None") -> bool:
        """Whether most of its ends are before their starts, so that they are of another clock."""
        return self.early(begins) > HALF * len(self.values)

    def early(self, begins: "Profile | None") -> int:
        """How many of its ends are before their starts, 0 of few rows."""
        pairs = zip(begins.values, self.values, strict=True) if begins and len(self.values) >= LEAST else ()
        return sum(_padded(begin) > _padded(end) for begin, end in pairs if begin and end)

    def comes_after(self, begins: "Profile | None") -> bool:
        """Whether its times are mostly later than those of another column, and hardly one is earlier; both in one form that sorts."""
        forms = _SORTING if begins and self.kind == begins.kind else ()
        if begins is None or not any(self.share(form) > ALIKE < begins.share(form) for form in forms):
            return False
        pairs = [(a, b) for a, b in zip(begins.values, self.values, strict=True) if a and b]
        late, early = (sum(order(*pair) for pair in pairs) for order in (str.__lt__, str.__gt__))
        return late > max(HALF * len(pairs), MORE * len(self.values)) and early <= NEARLY_NONE * len(pairs)

    def is_within(self, coarse: "Profile") -> bool:
        """Whether each of its values has a single one of another column beside it, or nothing speaks yet."""
        pairs = {(a, b) for a, b in zip(self.values, coarse.values, strict=True) if a and b}
        return len(self.values) < LEAST or len(pairs) <= 1 + (1 + NEARLY_NONE) * self.distinct

    def is_of(self, who: "Profile") -> bool:
        """Whether it has a single value for each of the users who come back."""
        return 1 < who.distinct < HALF * len(who.values) and who.is_within(self)

    def is_another_name_of(self, who: "Profile") -> bool:
        """Whether its codes have a single user each, and a user, who comes back, a single code: a customer's company."""
        comes_back = 1 < who.distinct < ALIKE * who.filled * len(who.values) and len(who.values) >= LEAST
        return comes_back and self.codes > ALIKE and self.is_within(who) and who.is_within(self)

    def score(self, role: str) -> float:  # noqa: C901, PLR0912  a case for each role
        """How well name and values fit a role."""
        found, rows = self.named(role), len(self.values)
        held = self.filled * rows
        if rows < LEAST or not found:
            return found if self.filled else found * 0.1
        if self.filled <= NEARLY_NONE * len(self.names):
            return found * 0.1 if self.filled else 0.0
        is_time = self.read > ALIKE > self.codes
        if role in ACTIVITY | {"user"} and (self.is_flag or is_time or self.share(_MEASURED) > HALF):
            return 0.0  # yes and no, a time, or what was measured
        is_name = found < SURE and len(self.words) == 1
        is_each, is_code = self.distinct > held * ALIKE, self.codes > ALIKE
        if role in {*ACTIVITY, "user"} and self.is_count:  # `comments` and `pages_viewed` count them
            found *= 0.1
        elif role == "media" and self.distinct <= FEW < rows * MORE:
            found *= 0.5  # few channels are rather where from
        match role:
            case "time" | "date" | "end":
                found *= 1.0 if self.read > HALF else 0.5 if self.read > NEARLY_NONE else 0.1
            case "duration":
                found *= self.share(_LASTING) > ALIKE
                if is_code and found <= SURE_NAME and not stated_unit(" ".join(self.names[-2:])):
                    found *= 0.5
            # nobody comes back: a name alone is rather that of a thing
            case "user" if is_name and (self.distinct >= HALF * held or self.share(PERSONS) < HALF):
                found = 0.0
            # who made the thing, a book, rather than who read it, since they hardly come back
            case "user" if self.distinct > max(HALF * held, SAMPLED * MORE) and _MAKERS & {*self.words}:
                found = min(found, ASKED)
            case "user" | "action" if self.distinct <= (1 if role == "user" else 2):
                found *= 0.8
            case "user" if self.distinct <= HANDFUL and rows >= SAMPLED and found < SURE_NAME - NEAR_BY / 2:
                found *= HALF
            case "action" | "item" | "text" if self.usual > ALL_ALIKE:  # any other is better
                found = min(found, max(SURE, found * HALF))
            # numbers of what was done are few
            case "action" if (is_code or self.is_of_row) and self.distinct > FEW:
                found *= 0.1
            case "offset" if self.distinct > 2 * FEW:  # seconds into a film, say
                found = 0.0
            case "text" | "media" if is_code:
                found *= 0.1
            case "item" | "place":  # numbers name nothing, an id or address of the row itself even less
                is_row = is_each and (self.is_of_row or self.counts_rows)
                found *= 0.47 if is_row else 0.8 if is_code else 1.0
                found *= not (role == "item" and (self.knows_actions or (is_code and self.is_never("money"))))
                if role == "item" and self.distinct <= FEW < rows * MORE:
                    found *= 0.9  # few values are rather what was done
                if role == "item" and self.filled < HALF and found < PLAIN_NAME:
                    found = max(min(found, SURE), 0.8 * found)  # one that more rows have is better
        if role == "action" and self.filled < HALF and self.named(role) < PLAIN_NAME:
            found = min(found, ASKED)  # one that more rows have is better
        if role in ("user", "time") and self.filled < 1 - NEARLY_NONE:  # the other rows would be rejected
            most = max(SURE_NAME, found * self.filled) if self.filled > MOSTLY else SURE
            found = min(found - NEAR_BY / 2 if role == "time" else found, most)
        return found


def profiles(
    inventory: Inventory, sample: Sequence[SampledRow], connection: duckdb.DuckDBPyConnection | None
) -> list[Profile]:
    """Return what the columns hold, and the paths inside them but for those to a single element of a list."""
    plain_columns = (InnerPath(each) for each in inventory.columns if each not in inventory.objects)
    leaves = (leaf.of_all() for leaf in inventory.leaves)
    paths = dict.fromkeys((*plain_columns, *(leaf for leaf in leaves if int not in map(type, leaf.steps))))
    rows = [row for row in sample if row.values]
    held = {path: ["" if each.lower() in EMPTY else each for each in values_of(rows, path)] for path in paths}
    values, times = set[str]().union(*held.values()), set[str]()
    unread = {each for each in values if not (_USUAL_TIME.match(each) or _CLOCK.fullmatch(each))}
    unread = {*filter(_MAY_BE_TIME.match, unread)}
    if connection and unread:  # those that are times to the SQL that reads the rows, day or month first
        query = """SELECT DISTINCT text FROM (SELECT text, t, usual_time(t) AS usual FROM (
                SELECT text, unnest([spelled_time(text, NULL, true), spelled_time(text, NULL, false)]) AS t
                FROM (SELECT unnest(?::VARCHAR[]) AS text)))
            WHERE believable_time(wall_time(t, usual, time_parts(t, usual)), 0) IS NOT NULL"""
        times = {text for (text,) in connection.execute(query, [sorted(unread)]).fetchall()}
    found = [Profile(path, held[path], times) for path in paths]
    if any(each.read > ALIKE and not _may_be_ids(each) for each in found):
        for each in filter(_may_be_ids, found):
            each.read = 0.0
    return found


def _may_be_ids(each: Profile) -> bool:
    """Whether what reads as times is rather ids, beside another time: it comes in many rows, is a number, or no time in some, and no name says when."""
    comes_back = len(each.values) >= LEAST and each.distinct <= HALF * len(each.values)
    is_id = each.read < ALIKE or each.share(_LONG_NUMBER) > ALIKE
    return comes_back and is_id and not any(map(each.named, ("time", "end", "date")))


def _padded(clock: str) -> str:
    """Return a text that sorts as its time does: 9:07 is before 17:42, 11:05 AM before 1:10 PM."""
    if not (found := re.fullmatch(_HALF_DAY, clock)):
        return clock
    hour, half = int(found[2]), (found[1] or found[4] or "").lower()
    is_late = half[:1] in ("p", "下")
    return f"{hour % 12 + 12 * is_late if half else hour:02}{found[3]}"


def header_by_values(found: Sequence[Profile]) -> list[str]:
    """Return names for the columns of rows without a header, by their values; those such as c3 have no role.

    A user comes back, and an id is rather a code than a number. What differs in every row is the row itself.
    """
    stamps = [each for each in found if each.kind == "stamp" and each.read > ALIKE]
    is_written = any(each.codes < HALF for each in stamps)  # then what is digits may be an order's number

    def is_stamp(each: Profile) -> bool:
        is_digits = not is_written and each.share(r"(?:19|20)\d{12}") > ALIKE  # 20111230000005
        return each in stamps and (each.codes < HALF or each.share(EPOCH) > ALIKE or is_digits)

    def among(each: Profile, words: Collection[str]) -> float:
        return sum(plain(value) in words for value in each.values) / (each.filled * len(each.values))

    kinds: dict[str, Callable[[Profile], bool]] = {
        "timestamp": is_stamp,
        "end": is_stamp,
        "date": lambda each: each.kind == "day" and each.read > ALIKE,
        "time": lambda each: each.kind == "clock",
        "action": lambda each: among(each, CANONICAL) > ALIKE,
        "state": lambda each: among(each, _KNOWN_MARKERS) > ALIKE,
        "duration": lambda each: max(each.share(_SPOKEN), each.share(_BELOW_HOUR)) > ALIKE,
    }
    names: dict[str, Profile] = {}
    free = [each for each in found if each.values and each.filled]
    free = [each for each in free if each.read > ALIKE or not each.counts_rows]
    for name, is_one in kinds.items():
        one = next(filter(is_one, free), None)
        if one and not (name in ("date", "time") and "timestamp" in names):
            names[name] = one
            free.remove(one)
    free = [each for each in free if each.share(_DECIMAL) < 1]  # a price or a place is nobody
    if free and (len(free) > 1 or any(each.counts_rows for each in found)):
        names["user_id"] = who = max(free, key=_looks_like_a_user)
        # without a name beside the number
        free = [each for each in free if each is not who and not each.is_of(who)]
    free = [each for each in free if not each.is_flag and (each.distinct > 1 or len(each.values) < LEAST)]
    coded = (max(each.codes, each.read, each.share(ID), each.share(_RANDOM)) for each in free)
    words = [each for each, share in zip(free, coded, strict=True) if share <= ALIKE]
    if free:
        names["item"] = max(words, key=lambda each: each.distinct, default=free[0])
        is_known = not names.keys().isdisjoint(("action", "state"))
        most = FEW if names["item"] in words else 0 if is_known else HANDFUL
        if names["item"].distinct <= most and MORE * len(found[0].values) > FEW:
            words = [names.pop("item")]  # few values are rather what was done
    few = [each for each in words if each is not names.get("item") and 1 < each.distinct <= FEW]
    if few and "action" not in names and len(few) <= 2:  # noqa: PLR2004  of more nothing says which one
        names["action"] = few[0]
    by_column = {each.column: name for name, each in names.items()}
    return [by_column.get(each.column, each.column) for each in found]


def _looks_like_a_user(each: Profile) -> tuple[float, ...]:
    """Return how much a column without a name looks like a user: a word or a form says it, a code, or that it comes back."""
    comes_back = 1 < each.distinct < each.filled * len(each.values)
    prefix = re.split(r"\d", each.values[0])[0]  # user_000001, maybe the only one; `IP: 10.0.0.1`
    begins_so = each.share(re.escape(prefix) + r"\S*\d\S*") > ALIKE
    is_number = min(each.share(form) for form in (_LONG_NUMBER, PERSONS)) > ALIKE
    has_form = is_number or each.share(_ADDRESS) > ALIKE
    is_person = (begins_so and fit(prefix, "user") > 0) or (comes_back and has_form)
    return is_person, (comes_back and each.share(ID) > ALIKE) * each.distinct, comes_back


def values_of(rows: Iterable[SampledRow], path: InnerPath) -> list[str]:
    """Return what rows hold at a path, as texts; "" for nothing."""
    found = [value_at(row.values, path) if path.steps else row.values.get(path.column) for row in rows]
    return ["" if it is None else it.strip() if isinstance(it, str) else encoded(it) for it in found]
