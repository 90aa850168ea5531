"""The options of the commands. Each is declared once, with the setting that it sets."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Option

from eventabs.choices import AnswerForm, Compaction, Detail, ProviderChoice, RunMode, TierName
from eventabs.language import gettext as _

of_input = partial(Option, rich_help_panel=_("Input"))
of_model = partial(Option, rich_help_panel=_("Model"))
of_budget = partial(Option, rich_help_panel=_("Budget"))
of_pace = partial(Option, rich_help_panel=_("Pace and limits"))
of_cluster = partial(Option, rich_help_panel=_("Many machines"))
of_view = partial(Option, rich_help_panel=_("What is shown"))


@dataclass(frozen=True, slots=True)
class SettingFlags:
    """Flags that set a setting for this run."""

    config: Annotated[
        Path | None, Option(help=_("Config file (TOML). Else $EVENTABS_CONFIG, else ./eventabs.toml."))
    ] = None
    user: Annotated[
        str | None,
        of_input(help=_("Whose files they are, where no column says it: me, or {stem}, the file's name.")),
    ] = None
    profiles: Annotated[
        str | None, of_input(help=_("File with one row a user: age, gender, occupation, city."))
    ] = None
    timezone: Annotated[
        str | None, of_input(help=_("Zone that the users lived by, such as Asia/Shanghai."))
    ] = None
    columns: Annotated[
        str | None,
        of_input(help=_("Columns of a CSV without a header: user_id,item_id,category,action,timestamp.")),
    ] = None
    keep_duplicates: Annotated[bool | None, of_input("--keep-duplicates", help=_("Keep equal rows."))] = None
    strict: Annotated[
        bool | None, of_input("--strict", help=_("Stop at the first row that cannot be read."))
    ] = None
    max_rejects: Annotated[
        float | None,
        of_input(
            help=_(
                "Share of rows that may be unreadable; above this the run refuses to start. (default: 0.05)"
            )
        ),
    ] = None
    shard: Annotated[
        str | None,
        of_input(help=_("Only the users of shard i of N, i from 0: 3/16. Each shard is a run of its own.")),
    ] = None
    limit: Annotated[
        int | None, of_input(min=1, help=_("Only the first N users; resume goes on with the others."))
    ] = None
    provider: Annotated[
        ProviderChoice | None,
        of_model(help=_("openai: a model at an endpoint. rules: built in, calls nobody.")),
    ] = None
    preset: Annotated[str | None, of_model(help=_("Known endpoint, such as deepseek, qwen or vllm."))] = None
    model: Annotated[str | None, of_model(help=_("Name of the model."))] = None
    base_url: Annotated[
        str | None, of_model(help=_("Address of the endpoint, such as https://api.deepseek.com/v1."))
    ] = None
    tier: Annotated[
        TierName | None,
        of_model(help=_("flex: slower answers at about half the price, where the endpoint has that.")),
    ] = None
    detail: Annotated[
        Detail | None,
        of_model(help=_("day: events of a day, and journeys; fine: every occasion; journeys: these only.")),
    ] = None
    answer: Annotated[
        AnswerForm | None, of_model(help=_("Form of the answers; lines cost the fewest tokens."))
    ] = None
    compaction: Annotated[
        Compaction | None,
        of_budget(help=_("How behaviors are written: line; dense, shorter, with codes for names.")),
    ] = None
    max_input_tokens: Annotated[int | None, of_budget(help=_("Tokens of a prompt. (default: 40000)"))] = None
    max_output_tokens: Annotated[int | None, of_budget(help=_("Tokens of an answer. (default: 8192)"))] = None
    max_users: Annotated[int | None, of_budget(help=_("Users in a prompt. (default: 30)"))] = None
    mode: Annotated[
        RunMode | None,
        of_pace(
            help=_(
                "live: call by call; batch: the vendor's batch service, slower and cheaper; files: write requests.jsonl,"
                " to be answered elsewhere, and stop."
            )
        ),
    ] = None
    concurrency: Annotated[int | None, of_pace(help=_("Calls at a time. (default: 3)"))] = None
    max_concurrency: Annotated[
        int | None, of_pace(help=_("Calls at a time, at most: grows while it helps."))
    ] = None
    rpm: Annotated[int | None, of_pace(help=_("Requests a minute, at most."))] = None
    tpm: Annotated[int | None, of_pace(help=_("Tokens a minute, at most."))] = None
    wait: Annotated[
        bool | None, of_pace("--wait", help=_("Wait for an endpoint that does not accept connections yet."))
    ] = None
    max_cost: Annotated[
        float | None, of_pace(help=_("Stop before more than this is spent; needs llm.price."))
    ] = None
    max_total_tokens: Annotated[
        int | None, of_pace(help=_("Stop before more tokens than this are used."))
    ] = None

    engine: Annotated[
        Literal["local", "ray"] | None,
        of_cluster(help=_("ray: the machines of a Ray cluster make the calls.")),
    ] = None
    ray_address: Annotated[
        str | None,
        of_cluster(
            help=_("auto: the cluster of this machine; host:port. (default: one of this machine alone)")
        ),
    ] = None

    def nested(self) -> dict[str, dict[str, Any]]:
        """Return the flags that were given as settings, nested as in the TOML."""
        values: dict[str, dict[str, Any]] = {}
        for name, (section, key) in SET_BY_FLAGS.items():
            value = getattr(self, name, None)
            if value is not None:
                names = [column.strip() for column in value.split(",")] if name == "columns" else value
                values.setdefault(section, {})[key] = names
        return values


_OTHER_KEYS = {"columns": "header", "compaction": "level"}  # flags that are not named as their setting
SET_BY_FLAGS = {
    flag: (section, _OTHER_KEYS.get(flag, flag))
    for section, flags in {
        "input": "user profiles timezone columns keep_duplicates strict shard max_rejects",
        "llm": "provider preset model base_url tier",
        "prompt": "detail answer",
        "compaction": "compaction",
        "budget": "max_input_tokens max_output_tokens max_users",
        "run": "limit mode concurrency max_concurrency rpm tpm wait max_cost max_total_tokens",
        "cluster": "engine ray_address",
    }.items()
    for flag in flags.split()
}


def flag_name(option: str) -> str:
    """Return `--max-cost` for `max_cost`."""
    return f"--{option.replace('_', '-')}"


# settled before the command line is parsed, see help.py; here it is checked and has its place on the help pages
Lang = Annotated[Literal["en", "zh", "auto"] | None, of_view(help=_("Language of messages."))]


@dataclass(frozen=True, slots=True)
class ShownFlags:
    """Flags about what is shown."""

    lang: Lang = None
    progress: Annotated[
        Literal["auto", "plain", "json"], of_view(help=_("How progress is shown on standard error."))
    ] = "auto"
    quiet: Annotated[bool, of_view("--quiet", "-q", help=_("Only errors and the end."))] = False
    verbose: Annotated[bool, of_view("--verbose", "-v", help=_("Every batch and every retry."))] = False
    json: Annotated[bool, of_view("--json", help=_("One JSON object on standard output at the end."))] = False


@dataclass(frozen=True, slots=True)
class LookFlags:
    """Flags of the commands that only look."""

    lang: Lang = None
    json: Annotated[bool, of_view("--json", help=_("JSON on standard output."))] = False


def with_options(*groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of dataclasses; it receives one filled instance of each, by position.

    Typer has no such notion: it reads the signature made here.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[len(groups) :]
        options = [_parameter(field) for group in groups for field in fields(group)]
        names = {group: [field.name for field in fields(group)] for group in groups}

        @wraps(command)
        def flat(**values: Any) -> None:  # noqa: ANN401  whatever the options hold
            filled = [group(**{name: values.pop(name) for name in names[group]}) for group in groups]
            command(*filled, **values)

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *options]]
        flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        flat.__annotations__ = {p.name: p.annotation for p in parameters}
        return flat

    return decorate


def _parameter(field: Any) -> inspect.Parameter:  # noqa: ANN401  dataclasses.Field
    kind, none = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    default = none if field.default is MISSING else field.default
    return inspect.Parameter(field.name, kind, default=default, annotation=field.type)
