"""What was understood of an input, with the lines that its rows become."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from eventabs.config import Settings
from eventabs.ingest import Description, Export, FileMapping, ReadRow
from eventabs.language import Language
from eventabs.prompts import Compactor
from eventabs.records import InputWarning, UserLog
from eventabs.runs.components import (
    LANGUAGE_USERS,
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
