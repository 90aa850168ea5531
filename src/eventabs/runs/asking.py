"""`columns --ask`: a model says which column plays which role; its answer is read beside the proposal by values."""

import asyncio
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import tomlkit

from eventabs import providers  # loads the HTTP stack when it is first looked up
from eventabs.config import Settings, explained_settings, overlay
from eventabs.errors import ConfigError, EndpointError, InputError, UsageError
from eventabs.ingest import masked_sample
from eventabs.language import gettext as _
from eventabs.object_stores import is_address
from eventabs.prompts import TokenCounter
from eventabs.providers import kind_of
from eventabs.records import Request
from eventabs.replies import without_reasoning
from eventabs.runs.components import call_limits, endpoint_of, require_usable_provider, sampling_of
from eventabs.runs.estimate import opened_export
from eventabs.runs.intake import STDIN, InputDescription, describe_export, input_paths, refuse_unreadable
from eventabs.runs.lifecycle import Invocation
from eventabs.store import host_of

_COMPARED: Final = 2000  # lines of the first file, whose rows are compared one by one
_MAY_SET: Final = {"user", "dayfirst", "duration_unit", "columns", "names"}
_OF_ZONES: Final = {"utc_times", "foreign_times"}  # warnings that are not about columns
_COUNTS: Final = ("users", "behaviors", "rejected_rows")
_FACTS: Final = ("user", "time", "duration", "activity")
_Rows = dict[int, tuple[str, ...]]  # the _FACTS of each row of the first file, by line


@dataclass(frozen=True, slots=True)
class ReadColumns:
    """Tables of the config file, and how the input is read by them. `refused`: why it is not, or is not sure."""

    proposal: str
    described: InputDescription | None = None
    refused: str = ""
    first_reject: str = ""


class Difference(NamedTuple):
    """In how many rows two readings differ, and the line of the first with what it is by each."""

    what: str
    rows: int
    line: int
    by_model: str
    by_values: str


@dataclass(frozen=True, slots=True)
class AskedColumns:
    """The columns by a model beside those by values. `doubts`: why the reading by the model is not sound."""

    model: ReadColumns
    values: ReadColumns
    differences: tuple[Difference, ...]
    doubts: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Whether all users and rows are read alike."""
        one, other = self.model.described, self.values.described
        same = one and other and all(getattr(one.read, each) == getattr(other.read, each) for each in _COUNTS)
        return bool(same) and not self.differences


def ask_columns(
    invocation: Invocation, inputs: Sequence[str], on_request: Callable[[Request], object]
) -> AskedColumns:
    """Ask the model once about the first file; `on_request` hears before what is sent. Raises UsageError and EndpointError."""
    settings = invocation.settings()
    if not kind_of(settings.provider).is_remote:
        raise UsageError(_("--ask asks a model, and none is named; set llm.model or --model"))
    require_usable_provider(settings, invocation.environment)
    paths = input_paths(inputs, settings)
    if any(path == STDIN or is_address(path) for path in paths):
        raise UsageError(_("--ask reads the input several times; copy it to a file, and name that"))
    request, header = columns_request(settings, paths)
    values, rows = _read(invocation, {}, paths)
    if values.proposal and not values.described:
        refused = values.refused
        values, rows = _read(invocation, tomllib.loads(values.proposal)["input"], paths)
        values = replace(values, refused=refused)
    on_request(request)
    answer = parsed_columns(asyncio.run(_answer(settings, invocation.environment, request)), header)
    try:
        model, rows_by_model = _read(invocation, answer, paths)
    except ConfigError as error:
        raise _unusable(str(error)) from None
    differences = _differences(rows_by_model, rows) if model.described and values.described else ()
    return AskedColumns(model, values, tuple(differences), tuple(_doubts(model, values)))


def columns_request(settings: Settings, paths: Sequence[str]) -> tuple[Request, list[str]]:
    """Return what is asked about the first of the files, and the names that columns without any are given. Raises InputError."""
    given = settings.input.model_dump(include={"encoding", "header", "sheet", "table"})
    with tempfile.TemporaryDirectory(prefix="eventabs-") as folder:
        sample, header = masked_sample(paths, Path(folder), **given)
    explained = explained_settings("en", all_of_them=True).partition("[input.columns]\n")[2]
    roles = explained.partition("\n\n\n")[0].replace("\n## Rarely changed", "")
    question = resources.files(__package__).joinpath("columns_question.txt").read_text("utf-8")
    text = question.replace("$roles", roles) + sample
    tokens = TokenCounter(settings.prompt.tokenizer).count(text)
    return Request(({"role": "user", "content": text},), {}, tokens, settings.budget.max_output_tokens), header


async def _answer(settings: Settings, environment: Mapping[str, str], request: Request) -> str:
    endpoint = endpoint_of(settings.llm, environment)
    provider = providers.OpenAIProvider(endpoint, sampling_of(settings.llm), call_limits(settings))
    async with aclosing(provider):
        return (await provider.complete(request)).text


def parsed_columns(text: str, header: Sequence[str]) -> dict[str, Any]:
    """Return the settings of [input] in an answer, TOML or JSON, with the names of columns without any. Raises EndpointError."""
    text = without_reasoning(text).text
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL) or re.search(r"([\[{].*)", text, re.DOTALL)
    answer: Any = None
    for loads in (tomllib.loads, orjson.loads):
        with suppress(ValueError):
            answer = loads(found[1] if found else "")
    answer = answer.get("input", answer) if isinstance(answer, dict) else {}
    columns = answer.get("columns")
    if not isinstance(columns, dict) or not {"user", "time"} <= columns.keys():
        raise _unusable(_("it is no table [input.columns] with user and time"))
    if unknown := sorted(answer.keys() - _MAY_SET):
        raise _unusable(_("it sets input.{key}").format(key=unknown[0]))
    return {**answer, "header": header} if header else answer


def _unusable(fault: str) -> EndpointError:
    message = _("the model's answer cannot be used: {fault}; ask again, or name the columns yourself")
    return EndpointError(message.format(fault=fault))


def _read(invocation: Invocation, given: Mapping[str, Any], paths: Sequence[str]) -> tuple[ReadColumns, _Rows]:
    """Read the input with settings of [input] `given`; also return rows of the first file. Raises ConfigError."""
    settings = replace(invocation, flags=overlay(invocation.flags, {"input": given})).settings()
    try:
        with opened_export(settings, paths) as export:
            refuse_unreadable(export, max_rejects=settings.input.max_rejects)
            rows: _Rows = {
                row.line: (log.user_id, f"{row.start}", f"{row.duration or ''}", " ".join(filter(None, (*row[1:4], row.text))))
                for log in export.user_logs()
                for row in log.behaviors
                if row.file == 0 and row.line <= _COMPARED
            }
            rejects = {each.line: each.reason for each in export.rejects() if each.line <= _COMPARED}
            rows |= {line: ("", "", "", reason) for line, reason in rejects.items()}
            table = tomlkit.dumps(overlay(tomllib.loads(export.description.proposal), {"input": given}))
            first = next((f"{line}: {reason}" for line, reason in rejects.items()), "")
            return ReadColumns(table, describe_export(export, settings), first_reject=first), rows
    except InputError as error:
        proposal = error.proposal or (tomlkit.dumps({"input": given}) if given else "")
        return ReadColumns(proposal, refused=str(error)), {}


def _differences(model: _Rows, values: _Rows) -> Iterator[Difference]:
    nothing = ("",) * len(_FACTS)
    pairs = [(line, model.get(line, nothing), values.get(line, nothing)) for line in sorted(model | values)]
    for number, what in enumerate(_FACTS):
        if other := [each for each in pairs if each[1][number] != each[2][number]]:
            line, one, two = other[0]
            yield Difference(what, len(other), line, one[number], two[number])


def _doubts(model: ReadColumns, values: ReadColumns) -> Iterator[str]:
    """Say why the reading by the model is not sound: it fails, rejects more than that by values, or has warnings of its own."""
    if model.described is None:
        yield model.refused
        return
    rejected = model.described.read.rejected_rows
    least = values.described.read.rejected_rows if values.described else 0
    if rejected > least:
        message = _("{count} rows cannot be read, by values {least}; the first is line {line}")
        yield message.format(count=f"{rejected:,}", least=f"{least:,}", line=model.first_reject)
    known = {each.code for each in values.described.warnings} if values.described else set()
    yield from (each.message for each in model.described.warnings if each.code not in known | _OF_ZONES)
