"""What was understood of an input, with the lines that its rows become."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from eventabs.config import Settings
from eventabs.errors import RunDirectoryError
from eventabs.ingest import Description, Export, FileMapping, ReadRow
from eventabs.language import Language, ngettext
from eventabs.prompts import Compactor
from eventabs.records import InputWarning, UserLog
from eventabs.runs.components import (
    LANGUAGE_USERS,
    RunContext,
    prompt_language_of,
)
from eventabs.runs.observer import ColumnsFound, InputRead, Note, RowShown

_USUAL_ENCODINGS: Final = ("utf-8", "")  # "": Parquet has none


@dataclass(frozen=True, slots=True)
class InputDescription:
    """What was understood of an input, which has been `read` to its end.

    `mappings` tell the columns of files that are alike, those of the first file first; `rows` are of that file.
    """

    rows: tuple[RowShown, ...]
    mappings: tuple[FileMapping, ...]
    warnings: tuple[InputWarning, ...]
    schemas: tuple[str, ...]
    columns: dict[str, str]
    read: InputRead

    def facts(self) -> dict[str, Any]:
        """Return what a run remembers of it."""
        return {
            "schemas": list(self.schemas),
            "columns": self.columns,
            "warnings": [asdict(each) for each in self.warnings],
        }

    def notes(self) -> Iterator[Note]:
        """Yield what a run says about it, beside how much was read."""
        for each in self.mappings:
            yield ColumnsFound(each.columns, each.filled, each.sampled, each.schema)
        yield from self.rows
        yield from self.warnings


def describe(export: Export, settings: Settings, language: Language = "en") -> InputDescription:
    """Describe an open export. `language`: the prompt's."""
    found: Description = export.description
    compactor = Compactor(language, settings.compaction.strip)
    return InputDescription(
        rows=tuple(_shown(row, compactor) for row in found.rows),
        mappings=found.mappings,
        warnings=found.warnings,
        schemas=found.schemas,
        columns=found.columns,
        read=_read(export),
    )


def _read(export: Export) -> InputRead:
    return InputRead(
        len(export.files),
        export.users,
        export.behaviors,
        export.rejected_rows,
        export.duplicates,
        export.reasons,
        tuple(sorted({name for name in export.encodings.values() if name not in _USUAL_ENCODINGS})),
        export.paired_ends,
        export.unpaired,
        export.shortened,
        export.compared,
        export.not_compared,
        export.skipped_lines,
        export.non_behaviors,
        export.other_rows,
    )


def language_of(export: Export, settings: Settings) -> Language:
    """Return the prompt's language, by as few users as decide it."""
    return prompt_language_of(settings, list(islice(export.user_logs(), LANGUAGE_USERS)))


def _shown(row: ReadRow, compactor: Compactor) -> RowShown:
    block = "".join(compactor.block("", UserLog(row.user_id, (row.behavior,))))
    line = block.strip().rpartition("\n")[2]
    return RowShown(row.file, row.line, row.text, f"{row.behavior.start:%Y-%m-%d} {line}")


def other_reading(run: RunContext, changed: str, *, accepted: bool) -> tuple[Note, ...]:
    """Say how many users keep the reading that they have, where settings of the reading have `changed` since.

    Raises RunDirectoryError with the sound way unless that is `accepted`. Without any user there is nothing to say.
    """
    ((users,),) = run.ledger.rows("SELECT count(*) FROM users")
    if not users:
        return ()
    facts = {"count": f"{users:,}", "changes": changed}
    if not accepted:
        message = ngettext(
            "settings have changed since this run began ({changes}), some of them by which the input is read, and {count} user"
            " was read before: begin a new run with another --out, to read all alike; or undo that; or take it with"
            " --accept-changes, which leaves the reading of that user as it is",
            "settings have changed since this run began ({changes}), some of them by which the input is read, and {count} users"
            " were read before: begin a new run with another --out, to read all alike; or undo that; or take it with"
            " --accept-changes, which leaves the reading of these users as it is",
            users,
        )
        raise RunDirectoryError(message.format(**facts))
    message = ngettext(
        "{count} user was read under earlier settings and stays so ({changes}); to read all alike, begin a new run with"
        " another --out",
        "{count} users were read under earlier settings and stay so ({changes}); to read all alike, begin a new run with"
        " another --out",
        users,
    )
    return (InputWarning("earlier_reading", message.format(**facts)),)
