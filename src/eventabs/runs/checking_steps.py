"""What to do next where an endpoint fails a check: one line each, more exact than the error alone can be."""

from collections.abc import Sequence
from difflib import get_close_matches
from http import HTTPStatus
from urllib.parse import urlsplit

from eventabs.config import LlmSettings, Settings
from eventabs.errors import EndpointError, RejectedRequestError
from eventabs.language import gettext as _
from eventabs.llm.connecting import Obstacle, UnreachableError
from eventabs.llm.endpoint import is_loopback
from eventabs.llm.listing import ListedModel
from eventabs.llm.preset import load_preset
from eventabs.runs.asking import start_command
from eventabs.runs.binding import public_url

_NEAREST = 3
_SHOWN = 8
_LIKENESS = 0.4


def after_no_connection(error: UnreachableError, settings: Settings) -> str:
    """Say what to do where nobody could be connected to."""
    if error.through_proxy:
        return _("check llm.proxy and the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
    if error.obstacle in {"refused", "silent"} and _is_here(settings.llm):
        return _start(settings)
    steps: dict[Obstacle, str] = {
        "name": _("check the host in llm.base_url, and the network"),
        "refused": _("check host and port in llm.base_url, and whether the server runs"),
        "untrusted": _("set llm.ca_file to the PEM file of your authority, or check this machine's clock"),
        "no_tls": _("if the server speaks plain http, begin llm.base_url with http://"),
    }
    other = _("check the network and a firewall; where only a proxy leads out, set llm.proxy")
    return steps.get(error.obstacle, other)


def after_refusal(
    error: EndpointError, llm: LlmSettings, *, key_is_set: bool, models: Sequence[ListedModel] | None
) -> str:
    """Say what to do where the endpoint refused a request; "" where its error says it all."""
    match error.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return _after_refused_key(llm, key_is_set=key_is_set)
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return _after_not_found(llm, models)
        case None:
            return ""
    if isinstance(error, RejectedRequestError):
        return _("leave out what it does not take: llm.omit, llm.extra_body")
    return ""


def nearest(model: str, models: Sequence[ListedModel]) -> list[str]:
    """Return the listed names that are most like the model's, the likest first."""
    by_lower = {listed.name.lower(): listed.name for listed in models}
    found = get_close_matches(model.lower(), by_lower, n=_NEAREST, cutoff=_LIKENESS)
    return [by_lower[name] for name in found]


def some_names(models: Sequence[ListedModel]) -> str:
    """Name the first of the models."""
    names = ", ".join(listed.name for listed in models[:_SHOWN])
    return f"{names}, …" if len(models) > _SHOWN else names


def _after_refused_key(llm: LlmSettings, *, key_is_set: bool) -> str:
    if not key_is_set:
        return _("put your key into {variable}, or name another variable in llm.api_key_env").format(
            variable=llm.api_key_env
        )
    others = load_preset(llm.preset).other_base_urls if llm.preset else ()
    if others:
        step = _("check the key in {variable}; one of another region belongs to llm.base_url = {addresses}")
        return step.format(variable=llm.api_key_env, addresses=", ".join(others))
    return _("check the key in {variable}").format(variable=llm.api_key_env)


def _after_not_found(llm: LlmSettings, models: Sequence[ListedModel] | None) -> str:
    if models and llm.model not in {listed.name for listed in models}:
        alike = nearest(llm.model, models)
        if alike:
            return _("set llm.model to one that it lists, such as {names}").format(names=", ".join(alike))
        return _("set llm.model to one that it lists: {names}").format(names=some_names(models))
    if not urlsplit(llm.base_url).path.strip("/"):
        return _("try llm.base_url = {address}/v1").format(address=public_url(llm.base_url).rstrip("/"))
    return _(
        "llm.base_url is what stands before /chat/completions; llm.model is spelled as the endpoint does"
    )


def _is_here(llm: LlmSettings) -> bool:
    return is_loopback(urlsplit(llm.base_url).hostname or "")


def _start(settings: Settings) -> str:
    command = start_command(settings)
    if command:
        return _("start the server: {command}").format(command=command)
    return _("start the server, or correct the port in llm.base_url")
