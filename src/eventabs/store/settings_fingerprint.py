"""Which settings bind a run: those that its answers depend on, and how they have changed."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from eventabs.config import Settings
from eventabs.object_stores import public_address

_BINDING = (
    *("input.timezone", "input.keep_duplicates", "input.encoding", "input.dayfirst", "input.duration_unit"),
    *("input.header", "input.user", "input.sheet", "input.table", "input.schema", "input.columns"),
    *("input.names", "profiles", "prompt", "compaction", "budget", "vocabulary", "events"),
)
_OF_LLM = ("model", "base_url", "temperature", "seed", "omit", "extra_body", "constrain", "grammar_field")
_LONGEST_SHOWN = 80  # characters of both values of a setting


def public_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain values that may be stored: without header values and URL secrets."""
    return _public(settings.model_dump(mode="json"))


def public_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags without URL secrets and header values, and without addresses that are not whole without them."""
    public = _public({section: values for section, values in flags.items() if isinstance(values, Mapping)})
    if "input" in public:  # what is cut would win over the variables that name it whole
        named = public["input"].items()
        public["input"] = {key: value for key, value in named if value == flags["input"][key]}
    return public


def _public(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without header values, user info of the endpoint and queries of addresses, which may hold signatures."""
    public = {**values} | {
        section: dict(values[section]) for section in ("llm", "input") if section in values
    }
    llm, named = public.get("llm", {}), public.get("input", {})
    llm.pop("extra_headers", None)
    llm |= {key: public_url(llm[key]) for key in ("base_url", "proxy") if key in llm}
    if "paths" in named:
        named["paths"] = type(named["paths"])(public_address(str(path)) for path in named["paths"])
    if "profiles" in named:
        named["profiles"] = public_address(str(named["profiles"]))
    return public


def binding_facts(
    settings: Settings, *, template: str | None, rules: str | None, instructions: str
) -> dict[str, str]:
    """Return, by dotted key, the settings that answers depend on. Files count by their content, `instructions` by their version."""
    of_provider = (f"llm.{key}" for key in _OF_LLM) if settings.is_remote else ("rules.file",)
    keys = (*_BINDING, *of_provider)
    facts = {
        key: orjson.dumps(value).decode()
        for key, value in flattened(public_settings(settings)).items()
        if any(key == bound or key.startswith(f"{bound}.") for bound in keys)
    }
    facts["llm.provider"] = settings.provider
    if settings.is_remote and template is None:
        facts["prompt.version"] = instructions
    for key, text in {"prompt.template": template, "rules.file": rules}.items():
        if key in facts:
            facts[key] = "" if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]
    return facts


def binding_in_force(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the stored facts, with those that `reparse` has read the replies under since."""
    since = flattened(facts.get("reparsed", {})).items()
    return {**facts.get("binding", {}), **{key: orjson.dumps(value).decode() for key, value in since}}


def facts_fingerprint(facts: Mapping[str, str]) -> str:
    """Name a set of facts: equal facts, equal names."""
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (key, value before, value now) of what differs, by key; "" where there was nothing."""
    return [
        (key, before.get(key, ""), now.get(key, ""))
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]


def shown_changes(changed: Sequence[tuple[str, str, str]]) -> str:
    """Return changes as one line; of long values only the key."""
    return "; ".join(
        key if len(before + now) > _LONGEST_SHOWN else f"{key} {before or '-'} -> {now or '-'}"
        for key, before, now in changed
    )


def public_url(url: str) -> str:
    """Return the URL without user info and query, which may hold secrets; "" if it names no host."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all; the first call fails on it with its own error
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.netloc else ""


def host_of(url: str) -> str:
    """Return host and port of a URL."""
    return public_url(url).partition("//")[2].partition("/")[0]


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and not key.startswith("extra_"):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
