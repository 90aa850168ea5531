"""`columns --ask`: a model says which column plays which role; its answer is read beside the proposal by values."""

import asyncio
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson

from eventabs import providers  # loads the HTTP stack when it is first looked up
from eventabs.config import Settings, explained_settings, overlay
from eventabs.errors_and_exit_codes import ConfigError, EndpointError, InputError, UsageError
from eventabs.ingest import SHOWN_ROWS, Export, input_table, masked_sample
from eventabs.interface_language import gettext as _
from eventabs.object_stores import is_address
from eventabs.prompts import TokenCounter
from eventabs.providers import kind_of
from eventabs.replies import without_reasoning
from eventabs.runs.built_from_settings import endpoint_of, require_usable_provider
from eventabs.runs.estimate import opened_export
from eventabs.runs.intake import STDIN, InputDescription, describe_export, input_paths, refuse_unreadable
from eventabs.runs.start_resume_reparse import Invocation
from eventabs.shared_records import Request
from eventabs.store import host_of

_COMPARED: Final = 2000  # lines of the first file, whose rows are compared one by one
_MAY_SET: Final = {"user", "dayfirst", "duration_unit", "columns", "names"}
_OF_ZONES: Final = {"utc_times", "foreign_times"}  # warnings that are not about columns
_FACTS: Final = ("user", "time", "duration", "activity")
_Rows = dict[int, tuple[str, ...]]  # the _FACTS of each row of the first file, by line


@dataclass(frozen=True, slots=True)
class ReadColumns:
    """Tables of the config file, and how the input is read by them.

    `refused`: why it is not, or not unasked; `doubts`: why the reading is not sound.
    """

    proposal: str
    described: InputDescription | None = None
    refused: str = ""
    doubts: tuple[str, ...] = ()


class Difference(NamedTuple):
    """In how many rows two readings differ, and the line of the first with what it is by each."""

    what: str
    rows: int
    line: int
    by_model: str
    by_values: str


@dataclass(frozen=True, slots=True)
class AskedColumns:
    """The columns by a model beside those by values."""

    model: ReadColumns
    values: ReadColumns
    agree: bool
    differences: tuple[Difference, ...]

    def chosen(self, which: Literal["model", "values"]) -> dict[str, Any]:
        """Return the settings of one of both. Raises UsageError where the input is not soundly read by them."""
        read = self.model if which == "model" else self.values
        if read.doubts:
            message = _("nothing is written, since the input is not soundly read so: {doubt}")
            raise UsageError(message.format(doubt=read.doubts[0]))
        return tomllib.loads(read.proposal)


def ask_columns(
    invocation: Invocation, inputs: Sequence[str], on_request: Callable[[str], object]
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
    values, by_values = _read(invocation, {}, paths)
    if values.refused and values.proposal:
        proposed, by_values = _read(invocation, tomllib.loads(values.proposal)["input"], paths)
        values = replace(proposed, refused=values.refused)
    message = _(
        "Sent to {model} at {host}: names and types of the columns and {rows} rows of {path}, without ids of users; {tokens} tokens"
    )
    llm, tokens = settings.llm, f"{request.input_tokens:,}"
    host = host_of(llm.base_url)
    on_request(message.format(model=llm.model, host=host, rows=SHOWN_ROWS, path=paths[0], tokens=tokens))
    prober = providers.Prober(endpoint_of(llm, invocation.environment))
    answer = parsed_columns(asyncio.run(prober.ask(request)).text, header)
    try:
        model, by_model = _read(invocation, answer, paths, beside=values)
    except ConfigError as error:
        raise _unusable(str(error)) from None
    differences = tuple(_differences(by_model, by_values))
    one, other = model.described, values.described
    agree = bool(one and other and one.read == other.read and not differences)
    return AskedColumns(model, values, agree, differences)


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
    return Request(
        ({"role": "user", "content": text},), {}, tokens, settings.budget.max_output_tokens
    ), header


def parsed_columns(text: str, header: Sequence[str]) -> dict[str, Any]:
    """Return the settings of [input] in an answer, TOML or JSON, with the names of columns without any. Raises EndpointError."""
    text = without_reasoning(text).text
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL) or re.search(r"([\[{].*)", text, re.DOTALL)
    answer: Any = None
    for loads in (tomllib.loads, orjson.loads):
        with suppress(ValueError):
            answer = loads(found[1] if found else "")
    answer = answer.get("input", answer) if isinstance(answer, dict) else None
    columns = answer.get("columns") if isinstance(answer, dict) else None
    if not isinstance(columns, dict) or not {"user", "time"} <= columns.keys():
        raise _unusable(_("it is no table [input.columns] with user and time"))
    if unknown := sorted(answer.keys() - _MAY_SET):
        raise _unusable(_("it sets input.{key}").format(key=unknown[0]))
    return {**answer, "header": header} if header else answer


def _unusable(fault: str) -> EndpointError:
    message = _("the model's answer cannot be used: {fault}; ask again, or name the columns yourself")
    return EndpointError(message.format(fault=fault))


def _read(
    invocation: Invocation, given: Mapping[str, Any], paths: Sequence[str], beside: ReadColumns | None = None
) -> tuple[ReadColumns, _Rows]:
    """Read the input with settings of [input] `given`; also return rows of the first file. Raises ConfigError."""
    settings = replace(invocation, flags=overlay(invocation.flags, {"input": given})).settings()
    try:
        with opened_export(settings, paths) as export:
            refuse_unreadable(export, max_rejects=settings.input.max_rejects)
            rows: _Rows = {
                row.line: (log.user_id, f"{row.start}", f"{row.duration}", " ".join(row[1:4]))
                for log in export.user_logs()
                for row in log.behaviors
                if row.file == 0 and row.line <= _COMPARED
            }
            found = tomllib.loads(export.description.proposal)["input"]
            doubts = tuple(_doubts(export, beside.described)) if beside else ()
            described = describe_export(export, settings)
            return ReadColumns(_tables(overlay(found, given)), described, doubts=doubts), rows
    except InputError as error:
        proposal = error.proposal or (_tables(given) if given else "")
        return ReadColumns(proposal, refused=str(error), doubts=(str(error),)), {}


def _tables(given: Mapping[str, Any]) -> str:
    return input_table({key: given[key] for key in given if key != "columns"}, given.get("columns", {}))


def _doubts(export: Export, beside: InputDescription | None) -> Iterator[str]:
    """Say why a reading is not sound: it rejects more than the one `beside` it, or has warnings of its own."""
    least = beside.read.rejected_rows if beside else 0
    if export.rejected_rows > least:
        first = next(export.rejects())
        message = _("{count} rows cannot be read, by values {least}; the first is line {line}: {reason}")
        yield message.format(count=export.rejected_rows, least=least, line=first.line, reason=first.reason)
    known = _OF_ZONES | {each.code for each in (beside.warnings if beside else ())}
    yield from (each.message for each in export.description.warnings if each.code not in known)


def _differences(model: _Rows, values: _Rows) -> Iterator[Difference]:
    """Yield what rows differ in that both have, and the rows that one of both lacks."""
    for number, what in enumerate(_FACTS):
        if lines := [
            each for each in values if each in model and model[each][number] != values[each][number]
        ]:
            yield Difference(
                what, len(lines), min(lines), model[min(lines)][number], values[min(lines)][number]
            )
    if (lines := [*model.keys() ^ values.keys()]) and model and values:
        one, other = (" ".join(rows.get(min(lines), ())) for rows in (model, values))
        yield Difference("rows", len(lines), min(lines), one, other)
