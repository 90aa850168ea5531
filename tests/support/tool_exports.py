"""One session, the truth, as the tools export it whose events have their objects in different fields.

A step is a minute and second of the day, what was done and the object. `written` gives an export's file for a tool.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import duckdb

from eventabs.ingest.roles_and_known_schemas import shipped


class Step(NamedTuple):
    """A behavior: seconds after the session began, its kind, its object."""

    after: int
    kind: str
    thing: str


START: Final = datetime(2026, 1, 15, 2, 0, 42, tzinfo=UTC)
# rows in one minute, two in one second
SESSION: Final = (
    Step(0, "page", "Outdoor Shop"),
    Step(9, "search", "帐篷 two person"),
    Step(9, "page", "Search results"),
    Step(31, "view", "Tent Trekker 2"),
    Step(55, "view", "Tent Dome 3"),
    Step(140, "cart", "Tent Trekker 2"),
    Step(200, "page", "Sleeping bags"),
    Step(233, "view", "Sleeping bag 5°C"),
    Step(260, "wish", "Sleeping bag 5°C"),
    Step(300, "screen", "Reviews"),
    Step(360, "click", "Compare now"),
    Step(395, "view", "Stove, small"),
    Step(420, "cart", "Stove, small"),
    Step(500, "page", "Checkout"),
    Step(560, "buy", "Tent Trekker 2"),
)
USER: Final = "user-7"


def _time(step: Step) -> datetime:
    return START + timedelta(seconds=step.after)


def _iso(step: Step) -> str:
    return _time(step).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _spaced(step: Step) -> str:
    return _time(step).strftime("%Y-%m-%d %H:%M:%S")


def _epoch(step: Step) -> int:
    return int(_time(step).timestamp())


Row = dict[str, Any]

_SEGMENT: Final = {
    "search": "Products Searched",
    "view": "Product Viewed",
    "cart": "Product Added",
    "wish": "Product Added to Wishlist",
    "click": "Button Clicked",
    "buy": "Order Completed",
}


def _segment(step: Step) -> Row:
    row: Row = {
        "messageId": f"m{step.after}{step.kind}",
        "anonymousId": USER,
        "timestamp": _iso(step),
        "sentAt": _iso(step),
    }
    match step.kind:
        case "page":
            return row | {"type": "page", "name": None, "properties": {"title": step.thing, "path": "/x"}}
        case "screen":
            return row | {"type": "screen", "name": step.thing, "properties": {}}
        case "search":
            properties: Row = {"query": step.thing}
        case "click":
            properties = {"label": step.thing}
        case "buy":
            properties = {"order_id": "o-1", "products": [{"product_id": "p1", "name": step.thing}]}
        case _:
            properties = {"product_id": "p1", "name": step.thing}
    return row | {"type": "track", "event": _SEGMENT[step.kind], "properties": properties}


def _amplitude(step: Step) -> Row:
    names = {
        "page": "[Amplitude] Page Viewed",
        "screen": "[Amplitude] Screen Viewed",
        "click": "[Amplitude] Element Clicked",
    }
    keys = {
        "page": "[Amplitude] Page Title",
        "screen": "[Amplitude] Screen Name",
        "click": "[Amplitude] Element Text",
        "search": "query",
    }
    properties = {
        keys.get(step.kind, "product_name"): step.thing,
        "[Amplitude] Page URL": "https://shop.example/x",
    }
    return {
        "event_type": names.get(step.kind, f"{step.kind} item"),
        "user_id": None,
        "device_id": USER,
        "amplitude_id": 123456789,
        "event_time": _time(step).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "event_properties": properties,
        "user_properties": {},
        "uuid": f"x{step.after}{step.kind}",
    }


def _mixpanel(step: Step) -> Row:
    names = {"page": "$mp_web_page_view", "click": "$mp_click"}
    keys = {"page": "current_page_title", "screen": "screen_name", "click": "$el_text", "search": "query"}
    properties = {
        "time": _epoch(step),
        "distinct_id": USER,
        "$insert_id": f"i{step.after}{step.kind}",
        "$current_url": "https://shop.example/x",
        keys.get(step.kind, "product_name"): step.thing,
    }
    return {"event": names.get(step.kind, f"{step.kind} item"), "properties": properties}


def _posthog(step: Step) -> Row:
    names = {"page": "$pageview", "screen": "$screen", "click": "$autocapture"}
    keys = {"page": "title", "screen": "$screen_name", "click": "$el_text", "search": "query"}
    properties = {"$current_url": "https://shop.example/x", keys.get(step.kind, "product_name"): step.thing}
    return {
        "uuid": f"0190-{step.after}-{step.kind}",
        "event": names.get(step.kind, f"{step.kind} item"),
        "properties": properties,
        "timestamp": _iso(step),
        "distinct_id": USER,
        "person_id": "a-person",
    }


_GA4: Final = {
    "page": "page_view",
    "screen": "screen_view",
    "search": "view_search_results",
    "view": "view_item",
    "cart": "add_to_cart",
    "wish": "add_to_wishlist",
    "click": "click",
    "buy": "purchase",
}


def _ga4(step: Step) -> Row:
    keys = {"page": "page_title", "screen": "firebase_screen", "search": "search_term", "click": "link_text"}
    params = [{"key": "ga_session_id", "value": {"string_value": None, "int_value": 17}}]
    items: list[Row] = []
    if key := keys.get(step.kind):
        params.append({"key": key, "value": {"string_value": step.thing, "int_value": None}})
    else:
        items = [{"item_id": "p1", "item_name": step.thing, "item_brand": "(not set)"}]
    return {
        "event_date": "20260115",
        "event_timestamp": _epoch(step) * 1_000_000,
        "event_name": _GA4[step.kind],
        "event_params": params,
        "user_id": None,
        "user_pseudo_id": USER,
        "items": items,
    }


def _ga4_flat(step: Step) -> Row:
    keys = {"page": "page_title", "screen": "screen_name", "search": "search_term", "click": "link_text"}
    row = dict.fromkeys(("page_title", "screen_name", "search_term", "link_text", "item_name"), "")
    row[keys.get(step.kind, "item_name")] = step.thing
    return {
        "event_timestamp": _epoch(step) * 1_000_000,
        "event_name": _GA4[step.kind],
        "user_pseudo_id": USER,
        **row,
    }


_SNOWPLOW: Final = next(schema.header for schema in shipped() if schema.name == "snowplow")
_IGLU: Final = "iglu:com.snowplowanalytics.snowplow"


def _described(schema: str, data: Row) -> str:
    return json.dumps(
        {"schema": f"{_IGLU}/unstruct_event/jsonschema/1-0-0", "data": {"schema": schema, "data": data}},
        ensure_ascii=False,
    )


def _snowplow(step: Step) -> Row:
    row: Row = dict.fromkeys(_SNOWPLOW, "") | {
        "app_id": "shop",
        "platform": "web",
        "collector_tstamp": _spaced(step) + ".000",
        "derived_tstamp": _spaced(step) + ".000",
        "event": "unstruct",
        "event_id": f"e{step.after}{step.kind}",
        "domain_userid": USER,
        "v_tracker": "js-3",
        "page_title": "Some page",
    }
    match step.kind:
        case "page":
            return row | {"event": "page_view", "event_name": "page_view", "page_title": step.thing}
        case "screen":
            event = _described(f"{_IGLU}/screen_view/jsonschema/1-0-0", {"name": step.thing})
            return row | {"event_name": "screen_view", "unstruct_event": event}
        case "search":
            event = _described(f"{_IGLU}/site_search/jsonschema/1-0-0", {"terms": [step.thing]})
            return row | {"event_name": "site_search", "unstruct_event": event}
        case "click":
            return row | {
                "event": "struct",
                "event_name": "event",
                "se_action": "click",
                "se_label": step.thing,
            }
        case _:
            types = {
                "view": "product_view",
                "cart": "add_to_cart",
                "buy": "transaction",
                "wish": "add_to_wishlist",
            }
            event = _described(
                f"{_IGLU}.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": types[step.kind]}
            )
            product = {
                "schema": f"{_IGLU}.ecommerce/product/jsonschema/1-0-0",
                "data": {"id": "p1", "name": step.thing},
            }
            page = {"schema": f"{_IGLU}/web_page/jsonschema/1-0-0", "data": {"id": "w"}}
            contexts = {"schema": f"{_IGLU}/contexts/jsonschema/1-0-1", "data": [page, product]}
            return row | {
                "event_name": "snowplow_ecommerce_action",
                "unstruct_event": event,
                "contexts": json.dumps(contexts, ensure_ascii=False),
            }


def _snowplow_columns(step: Step) -> Row:
    """Write the row as a warehouse has it: a column for each kind of event and entity."""
    kept = (
        "app_id",
        "platform",
        "collector_tstamp",
        "derived_tstamp",
        "event",
        "event_name",
        "event_id",
        "domain_userid",
    )
    found = _snowplow(step)
    row: Row = {
        name: found[name] or None for name in (*kept, "v_tracker", "page_title", "se_action", "se_label")
    }
    row["unstruct_event_com_snowplowanalytics_snowplow_screen_view_1"] = {
        "name": step.thing if step.kind == "screen" else None
    }
    row["unstruct_event_com_snowplowanalytics_snowplow_site_search_1"] = {
        "terms": [step.thing] if step.kind == "search" else []
    }
    is_product = "contexts" in found and bool(found["contexts"])
    types = json.loads(found["unstruct_event"])["data"]["data"].get("type") if is_product else None
    row["unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"] = {
        "type": types
    }
    row["contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"] = (
        [{"id": "p1", "name": step.thing}] if is_product else []
    )
    return row


def _matomo(steps: Sequence[Step]) -> str:
    def action(step: Step) -> Row:
        row: Row = {
            "timestamp": _epoch(step),
            "url": "https://shop.example/x",
            "timeSpent": "9",
            "pageIdAction": "3",
            "icon": None,
        }
        match step.kind:
            case "page":
                return row | {"type": "action", "pageTitle": step.thing}
            case "search":
                return row | {"type": "search", "siteSearchKeyword": step.thing, "pageTitle": ""}
            case "view":
                return row | {"type": "action", "pageTitle": "A page", "productViewName": step.thing}
            case "buy":
                return row | {
                    "type": "ecommerceOrder",
                    "orderId": "o-1",
                    "itemDetails": [{"itemSKU": "p1", "itemName": step.thing}],
                }
            case _:
                return row | {
                    "type": "event",
                    "eventCategory": "Shop",
                    "eventAction": step.kind,
                    "eventName": step.thing,
                }

    visit = {
        "idVisit": "1",
        "visitorId": USER,
        "userId": None,
        "serverTimestamp": _epoch(steps[0]),
        "pluginsIcons": [{"pluginIcon": "a.png", "pluginName": "pdf"}],
        "actionDetails": list(map(action, steps)),
    }
    return json.dumps([visit], ensure_ascii=False, indent=1)


def _sensors(step: Step) -> Row:
    names = {"page": "$pageview", "screen": "$AppViewScreen", "click": "$WebClick", "buy": "PayOrder"}
    keys = {"page": "$title", "screen": "$screen_name", "click": "$element_content", "search": "keyword"}
    return {
        "distinct_id": USER,
        "time": _epoch(step) * 1000,
        "type": "track",
        "event": names.get(step.kind, f"{step.kind}Product"),
        "_track_id": step.after + len(step.kind),
        "lib": {"$lib": "js", "$lib_version": "1.25"},
        "properties": {
            "$lib": "js",
            "$url": "https://shop.example/x",
            keys.get(step.kind, "product_name"): step.thing,
        },
    }


def _umeng(step: Step) -> Row:
    keys = {"page": "page_name", "screen": "page_name", "click": "name", "search": "keyword"}
    return {
        "umid": USER,
        "event_name": f"{step.kind}_event",
        "event_type": "custom",
        "cli_timestamp": _epoch(step) * 1000,
        "event_kv_json": json.dumps({keys.get(step.kind, "product_name"): step.thing}, ensure_ascii=False),
    }


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _table(rows: Iterable[Mapping[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO()
    listed = list(rows)
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(listed[0])
    for row in listed:
        values = (
            json.dumps(each, ensure_ascii=False) if isinstance(each, dict | list) else each
            for each in row.values()
        )
        writer.writerow(values)
    return text.getvalue()


def _tsv(rows: Iterable[Row]) -> str:
    return "".join("\t".join(map(str, row.values())) + "\n" for row in rows)


def _each(
    row: Callable[[Step], Row], form: Callable[[Iterable[Row]], str]
) -> Callable[[Sequence[Step]], str]:
    return lambda steps: form(map(row, steps))


# The name of the file, the schema it is of, and how it is written.
EXPORTS: Final[dict[str, tuple[str, Callable[[Sequence[Step]], str]]]] = {
    "segment.jsonl": ("segment", _each(_segment, _lines)),
    "amplitude.json": ("amplitude", _each(_amplitude, _lines)),
    "amplitude.csv": ("amplitude", _each(_amplitude, _table)),
    "mixpanel.jsonl": ("mixpanel", _each(_mixpanel, _lines)),
    "posthog.jsonl": ("posthog", _each(_posthog, _lines)),
    "posthog.csv": ("posthog", _each(_posthog, _table)),
    "ga4.jsonl": ("ga4", _each(_ga4, _lines)),
    "ga4_flat.csv": ("ga4", _each(_ga4_flat, _table)),
    "snowplow.tsv": ("snowplow", _each(_snowplow, _tsv)),
    "snowplow.jsonl": ("snowplow", _each(_snowplow_columns, _lines)),
    "matomo.json": ("matomo", _matomo),
    "sensors.jsonl": ("sensors", _each(_sensors, _lines)),
    "umeng.csv": ("umeng", _each(_umeng, _table)),
}
AS_PARQUET: Final = ("ga4.jsonl", "posthog.jsonl", "posthog.csv", "snowplow.jsonl")


def to_parquet(source: str, target: str) -> None:
    """Copy a file of JSON lines or CSV to Parquet, objects as structs, JSON in CSV as texts."""
    reader = (
        f"read_csv('{source}', all_varchar = true)" if source.endswith(".csv") else f"read_json('{source}')"
    )
    duckdb.connect().execute(f"COPY (SELECT * FROM {reader}) TO '{target}'")
