"""What was understood of an input, with the lines that its rows become."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from eventabs.config import Settings
from eventabs.ingest import Description, Export, FileMapping, ReadRow
from eventabs.language import Language
from eventabs.prompts import Compactor
from eventabs.records import InputWarning, UserLog
from eventabs.runs.components import LANGUAGE_USERS, prompt_language_of
from eventabs.runs.observer import ColumnsFound, Note, RowShown


@dataclass(frozen=True, slots=True)
class InputDescription:
    """What was understood of an input. Rows = behaviors + rejected rows + duplicates + ends joined to begins.

    `mappings` tell the columns of files that are alike, those of the first file first; `rows` are of that file.
    """

    rows: tuple[RowShown, ...]
    mappings: tuple[FileMapping, ...]
    warnings: tuple[InputWarning, ...]
    schema: str
    columns: dict[str, str]
    files: int
    users: int
    behaviors: int
    duplicates: int
    paired_ends: int
    reasons: dict[str, int]  # rejected rows by reason

    @property
    def rejected_rows(self) -> int:
        """How many rows could not be read."""
        return sum(self.reasons.values())

    def facts(self) -> dict[str, Any]:
        """Return what a run remembers of it."""
        return {
            "schema": self.schema,
            "columns": self.columns,
            "warnings": [asdict(each) for each in self.warnings],
        }

    def notes(self) -> Iterator[Note]:
        """Yield what a run says about it."""
        for each in self.mappings:
            yield ColumnsFound(each.columns, each.filled, each.sampled, self.schema)
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
        schema=found.schema,
        columns=found.columns,
        files=len(export.files),
        users=export.users,
        behaviors=export.behaviors,
        duplicates=export.duplicates,
        paired_ends=export.paired_ends,
        reasons=export.reasons,
    )


def language_of(export: Export, settings: Settings) -> Language:
    """Return the prompt's language, by as few users as decide it."""
    return prompt_language_of(settings, list(islice(export.user_logs(), LANGUAGE_USERS)))


def _shown(row: ReadRow, compactor: Compactor) -> RowShown:
    block = "".join(compactor.block("", UserLog(row.user_id, (row.behavior,))))
    line = block.strip().rpartition("\n")[2]
    return RowShown(row.file, row.line, row.text, f"{row.behavior.start:%Y-%m-%d} {line}")
