"""Which column of a file has which role, by its name and its values together; what is proposed where that is not sure."""

import json
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import dropwhile, islice, product, takewhile
from typing import Final, NamedTuple

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.column_names import MARKERS, PROFILE_NAMES, ROLES, is_answered_by, plain, stated_unit
from eventabs.ingest.columns_by_their_values import (
    ACTIVITY,
    ALIKE,
    ALL_ALIKE,
    ASKED,
    DONE,
    EPOCH,
    FEW,
    HALF,
    HANDFUL,
    ID,
    LEAST,
    MORE,
    MOSTLY,
    NEAR_BY,
    NEARLY_NONE,
    PERSONS,
    PLAIN_NAME,
    SAMPLED,
    SURE,
    SURE_NAME,
    Profile,
    header_by_values,
    profiles,
    values_of,
)
from eventabs.ingest.formats.base import CONSTANT, Format, SampledRow
from eventabs.ingest.inner_paths import InnerPath, Inventory
from eventabs.ingest.normal_form import number
from eventabs.interface_language import gettext as _, ngettext
from eventabs.shared_records import InputWarning

NO_COLUMN: Final = "-"  # as the column of a role: no column has the role
RECORD: Final = f"{CONSTANT}record"  # as the column of actions: every row says the same, that there was one
BEHIND: Final = " | "  # between the columns of a role, of which the first that is filled counts
JOINED: Final = " + "  # between columns that are one together: first and last name; year, month and day
_BALANCE: Final = 4  # at most this many times more begins than ends, or ends than begins
_DAY_OR_MONTH: Final = r"(?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|1[0-2])[-/.](?:\d{4}|\d\d)(?:,? .*)?"
_CALENDAR: Final = {
    *("y", "yr", "year", "yyyy", "ano", "jahr", "annee", "anno", "год", "tahun", "yil", "rok", "年", "年份"),
    *("m", "mon", "month", "mm", "mes", "monat", "mois", "mese", "месяц", "bulan", "ay", "月", "月份"),
    *("d", "day", "dd", "dia", "tag", "jour", "giorno", "день", "hari", "gun", "日", "天"),
}
_OF_DAY: Final = (r"(?:19|20)\d\d", r"0?[1-9]|1[0-2]", r"0?[1-9]|[12]\d|3[01]")
_OF_CLOCK: Final = (r"[01]?\d|2[0-3]", r"[0-5]?\d", r"[0-5]?\d(?:\.\d+)?")
# what JSON leaves, and TOML may not hold as it is or a terminal shows as something else
_UNSAFE: Final = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"


class Choice(NamedTuple):
    """The column of each role, a user and time for which too little speaks (`unsure`), and runners-up (`near`).

    `profiles` of the columns. `guessed`: what was done is taken from these roles by their values, or nothing says it.
    `markers`: the columns that are called so, the best name first, then that of the actions. `warnings` say what was odd.
    """

    roles: dict[str, str]
    unsure: dict[str, str] = {}
    near: dict[str, str] = {}
    profiles: Sequence[Profile] = ()
    guessed: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    warnings: tuple[InputWarning, ...] = ()


def choose(found: Sequence[Profile], named: Mapping[str, str], *, has_user: bool = False) -> Choice:
    """Choose the columns of all roles together: of all pairs of a role and a column the best one first.

    `named` maps a role to its column, "" to find it, NO_COLUMN if it has none. A column plays one role; any may be the
    marker too, which values in all files decide.
    """
    roles = {role: column for role, column in named.items() if column not in ("", NO_COLUMN)}
    given = [column for role, column in roles.items() if role != "marker"]
    used = {*given, *re.split(r" [|+] ", BEHIND.join(given))}
    parts = {"minute", "second"} if "hour" in {plain(each.column) for each in found} else ()  # no durations
    free = [each for each in found if each.column not in used and plain(each.column) not in parts]
    unsure, near = dict[str, str](), dict[str, str]()
    dated = [each for each in found if each.column not in used - {named.get("time")}]
    _choose_time(dated, named, roles, unsure)
    when = {**unsure, **roles}
    used |= {each for role in ("time", "date") for each in when.get(role, "").split(JOINED)}
    closed = {"time", "date", "marker", *(["user"] if has_user else [])}
    open_roles = [role for role in ROLES if not named.get(role) and role not in closed]
    scored = ((each.score(role), role, each) for role in open_roles for each in free)
    pairs = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
    for score, role, each in pairs:
        in_rows = role in ("action", "item") and each.filled > NEARLY_NONE
        is_nothing = score < 2 * MORE and (in_rows or role == "user")  # nobody, and nothing done
        if role in roles or role in unsure or each.column in used or is_nothing:
            continue
        close = _rivals(each, role, score, pairs)
        if role == "user":
            if score < ASKED and _who(free, used):
                continue  # somebody else comes back
            plain_ones = [one for one in close if one.named(role) > 1]
            each, near[role] = _finest([*plain_ones, each][0], close)  # noqa: PLW2901
            used |= {one.column for one in free if one is not each and one.is_another_name_of(each)}
        if role == "text" and score < each.named(role) and DONE & roles.keys():
            continue  # it says the same in all rows
        (roles if _certainty(each, role, score, free) >= SURE else unsure)[role] = each.column
        used.add(each.column)
        if role in ("item", "place"):
            near[role] = next((other.column for other in close if other.column not in used), "")
    told = {**unsure, **roles}
    if "user" in open_roles and "user" not in told and (who := _unnamed_user(free, used, told)):
        unsure["user"] = who.column
    asked = {role: column for role, column in unsure.items() if role in ("user", "time", "date")}
    taken = {role: column for role, column in {**named, **roles}.items() if column} | asked
    who = next((each for each in found if each.column == taken.get("user")), None)
    guessed = _guess_activity(free, who, taken, unsure, near)
    roles = {role: column for role, column in roles.items() if column not in guessed.values()} | guessed
    if "action" not in roles and _told(found, roles) < ALIKE:
        guessed["action"] = roles["action"] = RECORD  # rows that say nothing else
    _drop_doubtful_ends(free, roles)
    markers = [(each.score("marker"), each.column) for each in free if each.named("marker") >= SURE]
    may_mark = (*(column for _score, column in sorted(markers, reverse=True)), roles.get("action", ""))
    ordered = {role: roles[role] for role in ROLES if role in roles}
    return Choice(ordered, asked, near, found, tuple(guessed), may_mark)


def _rivals(
    each: Profile, role: str, score: float, pairs: Sequence[tuple[float, str, Profile]]
) -> list[Profile]:
    """Return the columns that fit a role nearly as well; beside a handful of users in many rows, maybe companies, all that tell more apart."""
    is_coarse = role == "user" and each.distinct <= HANDFUL and len(each.values) >= SAMPLED
    of_role = [(rest, one) for rest, of, one in pairs if of == role]
    finer = {one for rest, one in of_role if is_coarse and rest >= SURE and one.distinct > each.distinct}
    return [one for rest, one in of_role if rest > score - NEAR_BY or one in finer]


def _certainty(each: Profile, role: str, score: float, free: Sequence[Profile]) -> float:
    """Return how sure it is that a column has a role: a handful of users are kinds of devices where a name says it better."""
    named = each.named(role)
    rivals = (one for one in free if role == "user" and one.named(role) > named and one.distinct > HANDFUL)
    if each.distinct <= HANDFUL and named <= SURE_NAME and any(rivals):
        return ASKED
    return named if each.filled <= NEARLY_NONE and not each.names[1:] else score


def _drop_doubtful_ends(free: Sequence[Profile], roles: dict[str, str]) -> None:
    """Leave out ends that come before their starts, and a duration without a unit beside an end, which says the unit."""
    held = {role: each for role, column in roles.items() for each in free if each.column == column}
    begins, lasts, ends = map(held.get, ("time", "duration", "end"))
    # `End date` beside `Start time`: `End time` is the end
    if ends and begins and ends.kind == "day" != begins.kind:
        kinds = (begins.kind, "stamp")
        other = next((each.column for each in free if each.named("end") >= SURE and each.kind in kinds), "")
        del roles["end"]
        roles.update([("end", other)] if other else ())
    elif ends and ends.comes_before(begins):
        del roles["end"]
    elif lasts and ends and min(ends.filled, ends.read) > ALIKE:
        has_unit = stated_unit(" ".join(lasts.names[-2:]))
        is_plain = not has_unit and max(lasts.codes, plain(lasts.column) == "time") > ALIKE
        if is_plain or lasts.named("duration") < SURE_NAME:  # `DriveTimeMinutes` is another one
            del roles["duration"]


def _told(found: Sequence[Profile], roles: Mapping[str, str]) -> float:
    """Return the share of the rows in which a column says what was done, 1 where no column does and of few rows."""
    columns = {roles[role] for role in ACTIVITY & roles.keys()}
    told = [each.values for each in found if each.column in columns and len(each.values) >= LEAST]
    return sum(map(any, zip(*told, strict=True))) / len(told[0]) if told else 1.0


def _guess_activity(
    free: Sequence[Profile],
    who: Profile | None,
    taken: Mapping[str, str],
    unsure: Mapping[str, str],
    near: dict[str, str],
) -> dict[str, str]:
    """Return columns that may say what was done, where no name does in (nearly) every row; runners-up go to `near`.

    Of few values it is an action, of many an object. What is the same in all rows of a user says who somebody is.
    """
    if DONE & taken.keys() and _told(free, taken) >= 1 - NEARLY_NONE:
        return {}
    # a state or a category says what was done, where nothing else does
    taken = {role: name for role, name in taken.items() if role not in ("result", "category")}
    left = [
        each
        for each in free
        if each.column not in taken.values()
        and not (each.is_flag or each.named("duration") >= SURE or (who and each.is_of(who)))
    ]
    rows = len(free[0].values) if free else 0
    texts = [
        each
        for each in left
        if each.filled > 3 * MORE
        and each.distinct > 1
        and each.codes + each.read + each.share(r"-?\w{0,2}[$€£¥₩₹₽] ?-?[\d.,]+") < HALF
        and not (each.is_of_user or each.named("user") > (0 if who else SURE) or each.named("place"))
        and not (each.named("date") and each.share(r"\d+[-/.年]\d.*") > HALF)
    ]
    few = [each for each in texts if each.distinct <= min(FEW, max(2, HALF * rows))]
    # addresses, paths, files and packages are rather things
    few = [each for each in few if not each.is_of_row and each.share(r"\S*[\w)][/.\\]\w\S*") <= HALF]
    found = dict[str, str]()
    if few and "action" not in taken:
        few.sort(key=lambda each: (each.knows_actions, each.named("result") > 0, each.filled), reverse=True)
        found["action"] = few[0].column
    many = [
        each
        for each in texts
        if each.column not in found.values()
        and each.distinct > min(HANDFUL, HALF * rows)
        and not (found and few[0].filled > ALIKE and each.is_of_row)  # an id beside what was done
        and not each.named("result")  # a state is no thing
    ]
    if many and "item" not in taken:
        found["item"] = max(many, key=lambda each: each.distinct).column
    near["action"] = next((each.column for each in few if each.column not in found.values()), "")
    found = {role: unsure[role] for role in ("action", "item") if role in unsure} | found
    # the ids of something that comes back: `quiz_id`; where nothing says what was done, any that tells rows apart
    is_told = not ACTIVITY.isdisjoint({*taken, *found})
    things = [
        each
        for each in left
        if each.column not in found.values()
        and each.filled > ALIKE
        and 1 < each.distinct < (HALF if is_told else ALL_ALIKE) * rows
        and max(each.read, each.share("[01]")) <= HALF
        and not (each.is_never("money") or each.is_count)
        and each.named("user") < SURE
        # numbers that no name calls ids are rather amounts, and a name beside the user is theirs
        and (each.is_of_row or not (is_told or each.codes > HALF or (who and each.named("user"))))
    ]
    if things and "item" not in {**taken, **found}:
        found["item"] = max(things, key=lambda each: each.distinct).column
    if found.keys() == {"action"} and "item" not in taken and _told(free, found) < 1 - NEARLY_NONE:
        found = {"item": found["action"], "action": RECORD}  # no row is lost for a guess
    return found


def _choose_time(
    free: Sequence[Profile], named: Mapping[str, str], roles: dict[str, str], unsure: dict[str, str]
) -> None:
    """Take the finest of the times, a clock with the day beside it; without any name, the one column of times."""
    days = [each for each in free if each.score("date") >= SURE and each.kind in ("", "day")]
    if not named.get("time"):
        # beside others that are named as well: a day alone is no time where another column has the hour
        fineness = {"": 1.0, "stamp": 1.0, "clock": 0.98 if roles.get("date") or days else 0.1, "day": 0.7}
        times = [each for each in free if each.score("time") > NEARLY_NONE * 2]
        filled = [each for each in free if each.filled > ALIKE and not each.named("end")]
        clocks = [each for each in filled if each.kind == "clock" and not each.named("duration")]
        values = [each for each in filled if each.kind != "clock" and each.read > ALIKE > each.codes]
        values = values or [each for each in filled if each.share(EPOCH) > ALIKE]
        if not (times or values):  # an end alone says when
            values = [each for each in free if each.kind != "clock" and min(each.filled, each.read) > ALIKE]
        if times:
            best = max(times, key=lambda each: each.score("time") * fineness[each.kind])
            # `date_out` of a loan is before `date_in`, `outDate` of a visit behind `inDate`
            ends = () if named.get("end") else (*times, *(each for each in free if each.named("end")))
            there_and_back = (
                (one, other)
                for one, other in product(times, ends)
                if is_answered_by(one.words, other.words)
                and not other.comes_before(one)
                and min(one.filled, other.read) > ALIKE
                and other.filled > MORE  # the rest is still out
                and (best in (one, other) or best.values == one.values)
            )
            best, other = next(there_and_back, (best, None))
            # rows were written at once, or those of a day: `created_at` beside `comment_at`, `check_in_time`
            if re.search("creat|创建", best.column.lower()):
                spread = [each for each in values if not each.is_never("time") and each.days > HANDFUL]
                spread = [each for each in spread if best.days == 1 or each.distinct > 2 * best.distinct]
                best = max(spread, key=lambda each: each.days, default=best)
            (roles if best.score("time") >= SURE or best.days > HANDFUL else unsure)["time"] = best.column
            if other:
                roles["end"] = other.column
        elif not values:
            unsure |= _in_parts(free)
        else:
            best = min(values, key=lambda each: (each.is_never("time"), each.kind == "day"))
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
            fits = all(each.share(form) > ALIKE for form, each in zip(_OF_DAY, parts, strict=True))
            named = [each for each in parts if _CALENDAR & {*each.words[-1:]}]
            if fits and len(named) > 1 and not any(each.is_never("time") for each in parts):
                clock = zip(_OF_CLOCK, free[at + 3 :], strict=False)
                told = takewhile(lambda pair: pair[1].share(pair[0]) > ALIKE, clock)
                days = JOINED.join(each.column for each in parts)
                hours = JOINED.join(each.column for _form, each in told)
                return {"date": days, "time": hours} if JOINED in hours else {"time": days}
    return {}


def _finest(best: Profile, rivals: Sequence[Profile]) -> tuple[Profile, str]:
    """Return the column whose values each belong to one value of the others, and one that is no coarser, "" for none."""
    for rival in rivals:
        if not best.is_within(rival):
            if not rival.is_within(best):
                return best, rival.column
            best = rival
    return best, ""


def _who(left: Sequence[Profile], taken: Collection[str]) -> Profile | None:
    """Return the column that most looks like somebody who comes back, where no role has a word for it: `teller_id`."""

    def weight(each: Profile) -> float:
        told = 2.0 * (each.share(PERSONS) > ALIKE) + 1.5 * each.is_of_row
        return told + each.distinct / len(each.values) + each.named("user")

    able = [each for each in _who_come_back(left, taken, 1) if weight(each) > 1]
    return max(able, key=lambda each: (each.distinct > 1, weight(each)), default=None)


def _unnamed_user(free: Sequence[Profile], used: Collection[str], told: Mapping[str, str]) -> Profile | None:
    """Return the column that may be the user where no name says so: persons, ids, authors, else one whose values come back."""
    rest = [each for each in free if each.column not in used]

    def is_whose(each: Profile) -> bool:
        if each.column == "list":  # numbered or many
            is_dated = each.share(r"(?:19|20)\d\d(?:[-/.]?\d\d?){0,2}") > 0  # 2024, 2024-05
            return not is_dated and (each.distinct > FEW or each.share(r".*\d.*") == 1)
        is_person = "text" in told or each.distinct == 1 or each.share(PERSONS) > HALF
        return is_person and bool(DONE & told.keys()) and each.named("user") > 0

    first = _who(free, used) or next(filter(is_whose, rest), None)
    if first or "time" not in told:
        return first
    # exports say first whose a row is, then when
    behind = {each.column for each in dropwhile(lambda each: each.column != told["time"], free)}
    for each in _who_come_back(rest, (), 3, ALIKE):
        looks_like_an_id = each.share(ID) > ALIKE or each.share(PERSONS) > HALF
        is_amount = not each.is_of_row and each.share(r"-?\d{1,4}(?:[.,]\d+)?") > HALF
        is_word = is_amount or each.share("[a-z ]+") > ALIKE  # a mood, a habit
        if is_word or (each.column in behind and not looks_like_an_id):
            continue
        # persons rather than their region, but no orders of theirs
        if not first or (first.distinct < each.distinct <= len(each.values) / 3 and each.is_within(first)):
            first = each
    return first


def _who_come_back(
    left: Sequence[Profile], taken: Collection[str], least: int = 2, most: float = HALF
) -> list[Profile]:
    return [
        each
        for each in left
        if least <= each.distinct <= most * each.filled * len(each.values)
        and each.filled > MOSTLY
        and each.column not in taken
        and each.read <= HALF
        and not (each.is_never("done") or each.is_never("user"))
        and not any(each.named(role) >= SURE for role in ROLES)
    ]


def required(source: Format, choice: Choice) -> dict[str, str]:
    """Return the column of each role. Raises InputError where one is missing or not sure, with the whole proposal."""
    roles, given, has_user = choice.roles, source.file.settings, source.file.settings.user
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
    if not ACTIVITY & proposed.keys():
        proposed["action"] = RECORD
    if not what:
        return proposed
    template = _("{path} has {what} in eventabs.toml under [input.columns]; it has: {columns}")
    what = what.format(first=roles.get("user", ""), second=choice.near.get("user", ""))
    error = _refusal(template, source.file.path, source.inventory.every, what=what)
    if "time" in proposed:
        near: dict[str, object] = {**choice.near}
        settings = {**given.kept(), **({} if "user" in proposed or has_user else {"user": "me"})}
        by_column: dict[str | None, Profile] = {each.column: each for each in reversed(choice.profiles)}
        who, days = map(by_column.get, (proposed.get("user"), proposed.get("date", proposed["time"])))
        if who and HALF < who.filled < 1 - given.max_rejects / 2:  # deleted accounts, say
            settings["max_rejects"] = round(1 - who.filled + NEARLY_NONE, 2)
        if days and given.dayfirst is None and days.share(_DAY_OR_MONTH) == 1:
            settings["dayfirst"], near["dayfirst"] = True, False
        columns = {role: proposed[role] for role in ROLES if role in proposed}
        error.proposal = input_table(settings, columns, near)
    raise error


def input_table(
    settings: Mapping[str, object], columns: Mapping[str, str], near: Mapping[str, object] = {}
) -> str:
    """Return tables of the config file that give a reading; `near`: runners-up, as comments."""
    mark = _("or")
    others = {name: f"  # {mark} {_toml(other)}" for name, other in near.items() if other != ""}
    lines, mapped = (
        [f"{name} = {_toml(value)}{others.get(name, '')}" for name, value in table.items()]
        for table in (settings, columns)
    )
    return "\n".join(["[input]", *lines, *(["", "[input.columns]", *mapped] if mapped else [])])


def _toml(value: object) -> str:
    """Return `value` in TOML, which has the strings of JSON; half a surrogate pair, which no file holds, is replaced."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml(each)} = {_toml(name)}' for each, name in value.items())} }}"
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return text if text.isprintable() else re.sub(_UNSAFE, lambda hit: f"\\u{ord(hit[0]):04X}", text)


def refuse_one_user(source: Format, user_columns: Sequence[str] | None) -> None:
    """Raise InputError if the user that the settings name for the file is rather the name of a column.

    If one of `user_columns` has several users, all would become one log. None: no schema says which these are, but a setting or the names do.
    """
    user, path, named = source.file.settings.user, source.file.path, source.file.named["user"]
    message = ""
    if user_columns is None:
        found = () if named else profiles(source.inventory, [*source.sample()], source.file.connection)
        user_columns = [named] if named else [each.column for each in found if each.score("user") > SURE]
    places = {column: source.inventory.find(column) or InnerPath(column) for column in user_columns}
    seen = {name: {*values_of(source.sample(), place)} - {""} for name, place in places.items()}
    if column := next((column for column, values in seen.items() if len(values) > 1), ""):
        message = _(
            "{path} has the column {column} with several users, who would all become the one user {user}; leave out"
            ' --user ([input] user), or name the column: {setting}; if all rows are of one person: [input.columns] user = "-" as well'
        )
    elif named != NO_COLUMN:
        known = {plain(leaf.names[-1]): str(leaf) for leaf in source.inventory.leaves}
        known |= {plain(column): column for column in source.columns}
        for near in get_close_matches(plain(user), known, 1, cutoff=0.85):
            column = known[near]
            message = _(
                "--user ([input] user) is the id of the one user whose rows they are, and {path} has a column {column}; name"
                ' a column of users so: {setting}; if {user} is an id: [input.columns] user = "-" as well'
            )
    if message:
        setting = f'[input.columns] user = "{column}"'
        raise InputError(message.format(path=path, column=column, user=user, setting=setting))


def refuse_absent_columns(source: Format) -> None:
    """Raise InputError if a file lacks a column or path that the user named."""
    path, inventory = source.file.path, source.inventory
    for role, name in source.file.named.items():
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


def profile_columns(source: Format, wanted: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """Return the user column of the profiles' file, and (name to show, column) for each `wanted` column.

    Raises InputError without a user column, and for a missing `wanted` column that is not one of the usual ones.
    """
    path, columns, named = source.file.path, source.columns, source.file.named["user"]
    found = choose(profiles(Inventory(columns), (), None), {}).roles
    user = named if named in columns else found.get("user")
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


def choices(sources: Iterable[Format]) -> dict[Format, Choice]:
    """Return the columns of each file by role; files with the same names are read alike. Raises InputError where a column is missing or not sure.

    The marker is the column that the user named, else the first that may be it and whose values in all files mark begins and ends.
    """
    known, chosen = dict[tuple[object, ...], Choice](), dict[Format, Choice]()
    seen: dict[str, Counter[str]] = {}
    for source in sources:
        key = (source.columns, frozenset(source.inventory.leaves))
        rows = [*source.sample()] if key not in known or known[key].markers else ()
        choice = known.get(key) or _choice_of_file(source, rows)
        chosen[source] = known[key] = choice
        for column in () if source.file.named["marker"] else choice.markers:
            words = (plain(str(row.values.get(column) or "").strip()) for row in rows)
            seen.setdefault(column, Counter()).update(filter(None, words))
    markers = {column for column, words in seen.items() if _are_markers(words)}
    for source, choice in chosen.items():
        marker = next((each for each in choice.markers if each in markers), choice.roles.get("marker", ""))
        chosen[source] = choice._replace(roles={**choice.roles, "marker": marker})
    return chosen


def _are_markers(words: Counter[str]) -> bool:
    kinds = [[sum(words[each] for each in kind) for kind in family] for family in MARKERS]
    is_balanced = any(min(family) * _BALANCE >= max(family) > 0 for family in kinds)
    return is_balanced and sum(map(sum, kinds)) >= ALIKE * words.total()


def _choice_of_file(source: Format, sample: Sequence[SampledRow]) -> Choice:
    file, inventory, named = source.file, source.inventory, source.file.named
    first = {InnerPath(each, ("0",)) for each in inventory.columns}
    if first and first <= inventory.leaves.keys() and not named["time"]:
        how = 'DataFrame.to_json(PATH, orient="records", lines=True)'
        raise InputError(_("{path} holds columns; write rows: {how}").format(path=file.path, how=how))
    found = profiles(inventory, source.spread(SAMPLED, sample), file.connection)
    choice = choose(found, named, has_user=bool(file.settings.user))
    roles = required(source, choice)
    warnings = []
    if guessed := [*choice.guessed, *(role for role in roles if role not in choice.roles)]:
        message = _(
            "no name says what was done, so it is taken from values: {taken}; if another column says it, name it: {setting}"
        )
        taken = ", ".join(f'{role} = "{roles[role]}"' for role in guessed)
        other = choice.near.get("action") or "..."
        warnings.append(warning("guessed_activity", message, "action", other, taken=taken))
    if found and len(found[0].values) >= LEAST:
        warnings += _doubts(choice._replace(roles=roles), named)
    return choice._replace(roles=roles, warnings=tuple(warnings))


def refuse_unnamed(source: Format) -> None:
    """Raise InputError for rows without a header, with names for their columns to copy."""
    if not source.is_unnamed:
        return
    rows = list(islice(source.sample(), SAMPLED))
    names = header_by_values(profiles(Inventory(source.columns), rows, source.file.connection))
    options = f"--columns {','.join(names)}" + ("" if "user_id" in names else " --user me")
    message = _(
        "{path} has no header; name its columns, by their values: {options} (a column such as c3 is left out). First row: {row}"
    )
    first = textwrap.shorten(rows[0].text, 100, placeholder=" ...")
    error = InputError(message.format(path=source.file.path, options=options, row=first))
    error.proposal = input_table({"header": names, **({} if "user_id" in names else {"user": "me"})}, {})
    raise error


def _doubts(choice: Choice, named: Mapping[str, str]) -> Iterator[InputWarning]:
    """Say which columns gave way, which named ones hold nothing, which of the others hold more, where users may be numbers in a group, and which ends are none."""
    roles, found = choice.roles, choice.profiles
    by_column = {each.column: each for each in found}
    who = None if named["user"] else by_column.get(roles.get("user", ""))
    if who and who.distinct <= FEW and who.share(r"\d{0,2}") == 1:  # numbers within a group
        finer = [
            each
            for each in _who_come_back(found, [*roles.values()])
            if each.codes < HALF and each.distinct >= 2 * who.distinct and each.is_within(who)
        ]
        for each in sorted(finer, key=lambda each: each.distinct)[:1]:
            message = _(
                "the user column {column} holds the numbers of {count} users only, and {other} tells more apart; if a number is several"
                " people's: {setting}"
            )
            values = {"column": who.column, "count": who.distinct, "other": each.column}
            yield warning("numbered_users", message, "user", each.column, **values)
    if who and who.distinct == 1 and who.named("user") < PLAIN_NAME:
        message = _(
            "all rows that were looked at are of one user, {user}, by the column {column}; if another column says who it was, name it: {setting}"
        )
        yield warning("one_user", message, "user", user=max(who.values), column=who.column)
    held = {role: by_column[column] for role, column in roles.items() if column in by_column}
    for role, chosen in held.items():
        if named[role]:
            if _readable(chosen, role) <= NEARLY_NONE and not (role == "time" and "date" in roles):
                message = _(
                    "[input.columns] {role} names the column {column}, which can be read in {held:,} {of}; name another"
                )
                yield _doubt("named_column_fails", message, role, chosen, chosen)
            continue
        others = [each for each in found if each.named(role) >= SURE and each.column not in roles.values()]
        usual = max(others, key=lambda each: each.named(role), default=chosen)
        fuller = [each for each in others if each.filled > chosen.filled + MORE]
        fuller = [each for each in fuller if not each.codes > ALIKE > chosen.codes]
        # cities are no place of each
        fuller = [each for each in fuller if role != "place" or each.distinct > chosen.distinct]
        better = usual.named(role) - chosen.named(role)
        matters = better > 0 if role in {"user", "time"} else usual.filled and better > NEAR_BY
        if matters and _readable(usual, role) <= (MOSTLY if role in {"user", "time"} else NEARLY_NONE):
            message = _(
                "the column {column} has the role {role}, since {other} can be read in {more:,} {of}; to take that: {setting}"
            )
            yield _doubt("gave_way", message, role, chosen, usual)
        elif fuller:
            message = _(
                "the column {column} (role {role}) is filled in {held:,} {of}, {other} in {more:,}; to take that: {setting}"
            )
            yield _doubt("fuller_column", message, role, chosen, fuller[0])
    if not named["end"]:
        yield from _ends(choice, held.get("time"), held.get("end"))


def _ends(choice: Choice, begins: Profile | None, ends: Profile | None) -> Iterator[InputWarning]:
    """Say which ends are of the next day or, where none is taken, come before the starts, and which times behind these may be ends."""
    roles, found = choice.roles, choice.profiles
    if ends:
        are_clocks = begins and begins.kind == ends.kind == "clock"
        if are_clocks and (count := ends.early(begins)):
            message = _(
                "{count:,} {of} end at a time of day before that of their start, and last until the next day; for no durations: {setting}"
            )
            yield warning("next_day_ends", message, "end", NO_COLUMN, count=count, of=_of_rows(ends))
        return
    early = [each for each in found if each.named("end") >= SURE and each.comes_before(begins)]
    for each in early:
        message = _(
            "most ends in the column {column} come before the starts in {other}, so no duration is made of them; if they are right: {setting}"
        )
        values = {"column": each.column, "other": roles["time"]}
        yield warning("early_ends", message, "end", each.column, **values)
    left = [each for each in found if each.column not in roles.values() and not each.is_never("time")]
    late = [each.column for each in left if "duration" not in roles and each.comes_after(begins)]
    if late:
        message = _(
            "times in other columns are later than those of {other}: {columns}; if they are ends: {setting}"
        )
        yield warning("later_times", message, "end", late[0], other=roles["time"], columns=", ".join(late))


def warning(code: str, message: str, role: str = "", name: str = "...", /, **values: object) -> InputWarning:
    """Return a warning with the values in its message, and as {setting} that which names the column of a role."""
    return InputWarning(code, message.format(**{"setting": f'[input.columns] {role} = "{name}"', **values}))


def _doubt(code: str, message: str, role: str, chosen: Profile, other: Profile) -> InputWarning:
    rows = len(chosen.values)
    held, more = (round(_readable(each, role) * rows) for each in (chosen, other))
    values = {"held": held, "more": more, "of": _of_rows(chosen), "role": role, "column": chosen.column}
    return warning(code, message, role, other.column, other=other.column, **values)


def _of_rows(profile: Profile) -> str:
    rows = len(profile.values)
    return ngettext("of {count:,} row", "of {count:,} rows", rows).format(count=rows)


def _readable(profile: Profile, role: str) -> float:
    return min(profile.filled, profile.read) if role == "time" else profile.filled


def profile_warnings(source: Format, wanted: Sequence[str]) -> Iterator[InputWarning]:
    """Say which of the `wanted` columns the profiles' file lacks, and whether it is about other users."""
    path = source.file.path
    if absent := [name for name in wanted if not find_profile_columns(source.columns, [name])]:
        message = _(
            "profiles file {path} has no column {absent}, which no user's header shows then; it has: {columns};"
            " name what may be sent: [profiles] columns"
        )
        values = {"absent": ", ".join(absent), "columns": ", ".join(source.columns)}
        yield warning("absent_profile_column", message, path=path, **values)
    known = "SELECT count(*) FROM profiles SEMI JOIN users USING (user_id)"
    if len(absent) < len(wanted) and not number(source.file.connection, known):
        message = _(
            "profiles file {path} has a profile of no user of the export; its user column has to hold the same ids:"
            " {setting}"
        )
        yield warning("foreign_profiles", message, "user", path=path)
