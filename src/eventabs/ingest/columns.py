"""The columns that a file must have, and what to say where it does not."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

from eventabs.errors import InputError
from eventabs.ingest.actions import plain
from eventabs.ingest.markers import NONE
from eventabs.ingest.sources import Source
from eventabs.language import gettext as _

Role = Literal[
    "user",
    "time",
    "text",
    "action",
    "item",
    "place",
    "app",
    "media",
    "duration",
    "end",
    "date",
    "offset",
    "category",
    "brand",
    "price",
    "marker",
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

# In order of preference: of two columns that fit a role, the name further left wins.
_USUAL_NAMES: Final[dict[Role, str]] = {
    "user": "user_id uid user user_name member_id customer_id client_id visitor_id device_id"
    " 用户ID 用户 用户编号 用户标识 用户名 会员ID 会员编号 客户ID 设备ID",
    "time": "timestamp event_time time datetime start start_time begin_time created_at utc_timestamp"
    " ts event_timestamp occurred_at date 时间 时间戳 行为时间 发生时间 事件时间 开始时间 操作时间 日期时间 日期",
    "text": "behavior_text behaviour_text text behavior behaviour behavior_description description"
    " 行为 行为描述 描述 行为文本 行为内容 文本",
    "action": "action event_type type behavior_type behaviour_type event_name event action_type activity"
    " 行为类型 动作 动作类型 事件类型 操作 操作类型 类型",
    "item": "item_id item item_name product_id product product_name goods_id sku_id content object query"
    " 商品 商品ID 商品名称 物品 物品ID 产品 对象 内容 车型",
    "place": "poi_id poi poi_name place place_name venue venue_name venue_category venue_id location location_name"
    " 地点 地点名称 位置 场所 门店 兴趣点",
    "app": "app_id app app_name application package_name 应用 应用ID 应用名称 APP名称",
    "media": "media_id media media_name site website channel platform 媒体 媒体ID 媒体名称 网站 平台 渠道",
    "duration": "duration dwell duration_seconds dwell_time duration_sec stay_seconds stay_time seconds"
    " 时长 停留时长 持续时间 停留时间 使用时长 时长秒 时长(秒)",
    "end": "end end_time end_timestamp finish finish_time stop stop_time ended_at 结束时间 结束",
    "date": "date event_date day 日期",
    "offset": "timezone_offset tz_offset utc_offset 时区偏移",
    "category": "category_code category category_name item_category product_category category_id 类目 品类 商品类目",
    "brand": "brand brand_name 品牌",
    "price": "price unit_price 价格 单价",
    "marker": "marker phase state status event_state lifecycle transition begin_end start_end start_stop open_close on_off"
    " 标记 状态 阶段 起止 起止标记 开始结束",
}
USUAL_NAMES: Final[dict[Role, tuple[str, ...]]] = {
    role: tuple(plain(name) for name in names.split()) for role, names in _USUAL_NAMES.items()
}

PROFILE_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "age": ("age", "年龄"),
    "gender": ("gender", "sex", "性别"),
    "occupation": ("occupation", "job", "profession", "职业"),
    "city": ("city", "城市", "所在城市", "居住城市"),
}


class UnknownColumnError(Exception):
    """A column that was named for a role is not there. Holds the role and the name."""

    def __init__(self, role: str, name: str) -> None:
        super().__init__(role, name)
        self.role = role
        self.name = name


def find_roles(columns: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Return the column for each role that is found among `columns`.

    `named` maps a role to the column's name, "" where it is to be found. Raises UnknownColumnError.
    """
    for role, name in named.items():
        if name and name not in columns:
            raise UnknownColumnError(role, name)
    taken = {
        name for role, name in named.items() if name and role != "marker"
    }  # whose words may be actions too
    free = {plain(column): column for column in reversed(columns) if column not in taken}
    found: dict[str, str] = {}
    for role in ROLES:
        usual = (free[name] for name in USUAL_NAMES[role] if name in free)
        column = named.get(role) or next(usual, "")
        if column and not (role == "date" and column == found.get("time")):
            found[role] = column
    return found


def missing_profile_columns(columns: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return those of `wanted` that are not among `columns`; age, gender, occupation and city may be missing."""
    known = {*map(plain, columns), *(name for names in PROFILE_NAMES.values() for name in names)}
    return [name for name in wanted if plain(name) not in known]


def find_profile_columns(columns: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name to show, column) for each of `wanted` that is among `columns`, in that order.

    Age, gender, occupation and city are found by their usual names too and shown in English.
    """
    by_plain_name = {plain(column): column for column in reversed(columns)}
    found: list[tuple[str, str]] = []
    for name in wanted:
        shown = next((key for key, names in PROFILE_NAMES.items() if plain(name) in names), name)
        candidates = (plain(name), *PROFILE_NAMES.get(shown, ()))
        column = next((by_plain_name[each] for each in candidates if each in by_plain_name), None)
        if column is not None and shown not in dict(found):
            found.append((shown, column))
    return found


_LISTED = 300  # characters
_WHAT_HAPPENED = ("text", "action", "item", "place", "app", "media", "category")


def behavior_columns(source: Source, named: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each role in an export's file. Raises InputError where one is missing."""
    try:
        found = find_roles(
            source.columns, {role: name for role, name in named.items() if (role, name) != ("marker", NONE)}
        )
    except UnknownColumnError as error:
        message = _('{path} has no column {name} ([input.columns] {role} = "{name}"); it has: {columns}')
        raise InputError(
            message.format(path=source.path, name=error.name, role=error.role, columns=_listed(source))
        ) from None
    if "user" not in found:
        message = _(
            '{path} has no user column; name it in eventabs.toml: [input.columns] user = "..."; it has: {columns}'
        )
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    if "time" not in found:
        message = _(
            '{path} has no time column; name it in eventabs.toml: [input.columns] time = "..."; it has: {columns}'
        )
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    if not any(role in found for role in _WHAT_HAPPENED):
        message = _(
            "{path} has no column that says what was done; name it in eventabs.toml:"
            ' [input.columns] text = "..." or action = "..." and item = "..."; it has: {columns}'
        )
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    return found


def profile_columns(
    source: Source, named_user: str, wanted: Sequence[str]
) -> tuple[str, list[tuple[str, str]]]:
    """Return the user column of the profiles' file, and (name to show, column) for what may be shown.

    Raises InputError without a user column, and where there is no such column as one of `wanted`.
    """
    user = named_user if named_user in source.columns else find_roles(source.columns, {}).get("user")
    if user is None:
        message = _("profiles file {path} has no user column; call it user_id; it has: {columns}")
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    if missing := missing_profile_columns(source.columns, wanted):
        message = _("profiles file {path} has no column {name} ([profiles] columns); it has: {columns}")
        raise InputError(message.format(path=source.path, name=missing[0], columns=_listed(source)))
    return user, find_profile_columns(source.columns, wanted)


def _listed(source: Source) -> str:
    return textwrap.shorten(", ".join(source.columns), _LISTED, placeholder=" ...")
