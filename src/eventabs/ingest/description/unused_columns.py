"""Columns without a role that look as if they had one: the rows that were read do not show what is lost.

Few are named: only if the role has no column, or a wrong one, and both name and values fit it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from eventabs.ingest.candidates import value_of
from eventabs.ingest.column_names import plain, stated_unit
from eventabs.ingest.columns import column_setting
from eventabs.ingest.formats import SampledRow
from eventabs.ingest.paths import InnerPath, Inventory
from eventabs.language import gettext as _
from eventabs.records import InputWarning

_LEAST_ROWS: Final = 20  # rows; a single user in fewer means nothing
_ALIKE: Final = 0.9  # of a column's values
_DURATION_NAME: Final = re.compile(
    "duration|dwell|elapsed|timespent|(?:seconds?|secs|millis|minutes)$|时长|停留|逗留|驻留|秒数?$|毫秒数?$|分钟数?$|耗时|用时"
)
_OF_A_MEDIUM: Final = re.compile(
    "video|track|song|film|movie|media|视频|歌曲|影片|电影|曲目"
)  # its length is that of the medium, not of the behavior
_END_NAME: Final = re.compile("(?<![a-z])(?:end|until|leave|left|exit|finish)|结束|离开|离店|离场|退出|终止")
_USER_NAME: Final = re.compile(
    "(?:user|member|customer|client|guest|person|subscriber|uid)(?:id|no|num|number|code|key|name)?|"
    "(?:用户|会员|客户|顾客|学员|读者|买家|员工)(?:号|编号|编码|代码|标识|账号|卡号|名|id|no)?"
)
_DURATION: Final = re.compile(
    r"\d{1,7}(?:\.\d+)?|(?:\d+ ?(?:个?小时|时|分钟?|秒钟?|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s) ?)+"
)
_DAY: Final = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{8}")
_CLOCK: Final = re.compile(
    r"(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?[ T])?\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\b.*"
)
# Several words, and no address, markup or setting.
_WORDS: Final = re.compile(r"(?=.*(?:[\u4e00-\u9fff]{2}|[^\W\d_]{2} [^\W_]))[^/\\<>{}=|@]+")
_FEW: Final = 0.05  # of the rows: a column with fewer different values, such as a city, says little of each


def unused_columns(
    inventory: Inventory, places: Mapping[str, Sequence[InnerPath]], sample: Sequence[SampledRow]
) -> Iterator[InputWarning]:
    """Yield what to say about the columns and paths without a role in a file of no known tool. `places`: those with one, by role."""
    filled = _filled(inventory, places, sample)
    if not {"duration", "end", "marker"} & places.keys():
        yield from _durations(filled)
    yield from _times(filled, places, sample)
    yield from _users(filled, places, sample)


def column_of_words(
    inventory: Inventory, places: Mapping[str, Sequence[InnerPath]], sample: Sequence[SampledRow]
) -> str:
    """Return the column or path without a role that says in words what was done, and not who it was; "" for none."""
    users = _values_of(places.get("user", ()), sample)
    counts = {
        name: len(set(texts))
        for name, texts in _filled(inventory, places, sample).items()
        if _are(_WORDS, texts) and len(set(texts)) > max(len(set(users)), _FEW * len(sample))
    }
    return max(counts, key=lambda name: counts[name], default="")


def _filled(
    inventory: Inventory, places: Mapping[str, Sequence[InnerPath]], sample: Sequence[SampledRow]
) -> dict[str, list[str]]:
    """Return the values of the columns and paths without a role that have any."""
    used = {place for paths in places.values() for place in paths}
    spelled = [*inventory.columns, *(path for _names, path in inventory.names())]
    rest = {name: found for name in spelled if (found := inventory.find(name)) and found not in used}
    values = {name: [each for row in sample if (each := value_of(row, path))] for name, path in rest.items()}
    return {name: texts for name, texts in values.items() if texts and name not in inventory.objects}


def _durations(values: Mapping[str, Sequence[str]]) -> Iterator[InputWarning]:
    for name, texts in values.items():
        word = plain(name.rpartition(".")[2])
        setting = column_setting("duration", name)
        if _DURATION_NAME.search(word) and not _OF_A_MEDIUM.search(word) and _are(_DURATION, texts):
            message = _("not used: {column}; it looks like a duration: {setting}")
            if stated_unit(name) is None and (unit := _unit(word)):
                setting = f'{setting}, [input] duration_unit = "{unit}"'
        elif _END_NAME.search(name.lower()) and _are(_CLOCK, texts):
            message = _("not used: {column}; it looks like the time of an end: {setting}")
            setting = column_setting("end", name)
        else:
            continue
        yield InputWarning("unused_column", message.format(column=name, setting=setting))
        return


def _unit(word: str) -> str:
    units = {"ms": "毫秒|millis|ms$", "min": "分钟|minutes|mins$", "h": "小时|hours$"}
    return next((unit for unit, words in units.items() if re.search(words, word)), "")


def _times(
    values: Mapping[str, Sequence[str]],
    places: Mapping[str, Sequence[InnerPath]],
    sample: Sequence[SampledRow],
) -> Iterator[InputWarning]:
    """Look for times of day if the chosen time has none."""
    if "date" in places or not (days := _values_of(places.get("time", ()), sample)) or not _are(_DAY, days):
        return
    for name, texts in values.items():
        if _are(_CLOCK, texts) and not _END_NAME.search(name.lower()):
            setting = column_setting("time", name)
            if not _DAY.match(texts[0]):
                setting = f'{setting}, date = "{places["time"][0]}"'
            message = _(
                "not used: {column}; it looks like the time, of which {days} has the day alone: {setting}"
            )
            yield InputWarning(
                "unused_column", message.format(column=name, days=places["time"][0], setting=setting)
            )
            return


def _users(
    values: Mapping[str, Sequence[str]],
    places: Mapping[str, Sequence[InnerPath]],
    sample: Sequence[SampledRow],
) -> Iterator[InputWarning]:
    """Look for users if all rows are of one user."""
    if len(sample) < _LEAST_ROWS or len(set(_values_of(places.get("user", ()), sample))) > 1:
        return
    for name, texts in values.items():
        if _USER_NAME.fullmatch(plain(name.rpartition(".")[2])) and len(set(texts)) > 1:
            message = _(
                "not used: {column}; it looks like the user, and all rows are of one user now: {setting}"
            )
            setting = column_setting("user", name)
            yield InputWarning("unused_column", message.format(column=name, setting=setting))
            return


def _values_of(paths: Sequence[InnerPath], sample: Sequence[SampledRow]) -> list[str]:
    return [value for row in sample for path in paths if (value := value_of(row, path))]


def _are(form: re.Pattern[str], values: Sequence[str]) -> bool:
    return sum(bool(form.fullmatch(value)) for value in values) >= _ALIKE * len(values)
