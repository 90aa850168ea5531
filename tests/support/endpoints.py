"""An endpoint for tests, from values of [llm] and fields of its own."""

from dataclasses import fields
from typing import Any

from eventabs.providers.openai.endpoint_and_wire import Endpoint, LlmSettings

OWN = {each.name for each in fields(Endpoint)}


def endpoint_at(base_url: str = "", api_key: str | None = None, **values: Any) -> Endpoint:  # noqa: ANN401  of both
    own = {name: values.pop(name) for name in OWN & values.keys()}
    return Endpoint(LlmSettings(**{"model": "m", "base_url": base_url, **values}), api_key, **own)
