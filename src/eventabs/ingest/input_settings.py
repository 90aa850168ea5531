"""The tables `[input]` and `[input.columns]` of the settings, which say what is read, and how."""

import warnings
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from eventabs.ingest.column_names import ROLES
from eventabs.shared_records import DurationUnit, Shard, TomlTable


def _joined(names: object) -> object:
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return " | ".join(names)
    return names


Column = Annotated[str, BeforeValidator(_joined)]


# Column names by role, of several the first that is filled. "" means: find it; "=word" is a word for all rows.
_BY_ROLE: Any = dict.fromkeys(ROLES, (Column, ""))
InputColumns = create_model("InputColumns", __base__=TomlTable, **_BY_ROLE)


with warnings.catch_warnings():
    # `schema` was a method of pydantic's first version, which still warns of fields called so
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class InputSettings(TomlTable):
        """What to read, and how."""

        paths: tuple[str, ...] = ()
        user: str = ""  # whose files they are; "": a column says it
        profiles: str = ""
        timezone: str = ""
        encoding: str = ""  # a codec of Python's; "" finds it
        sheet: str = ""  # of workbooks
        table: str = ""  # of databases
        dayfirst: bool | None = None
        duration_unit: DurationUnit = "s"  # of durations that are plain numbers
        header: tuple[str, ...] = ()  # the columns of CSV files that have none
        # a tool's name, "none", a TOML file of the user's own, or "" (found by the fields)
        schema: str = ""  # type: ignore[assignment]  # hides that method
        keep_duplicates: bool = False
        strict: bool = False
        # only the rows of its users are kept, and with the first one those without a user
        shard: Annotated[str, AfterValidator(lambda text: text and str(Shard.parse(text)))] = ""
        max_rejects: Annotated[float, Field(ge=0, le=1)] = 0.05
        columns: InputColumns = InputColumns()  # type: ignore[valid-type]  # made of all roles
        names: dict[str, str] = {}  # what words of actions mean

        @property
        def most_rejects(self) -> float:
            """The share of rows that may be unreadable."""
            return 0.0 if self.strict else self.max_rejects

        def kept(self) -> dict[str, object]:
            """Return those, beside the columns, by which the same files are read alike, where they are set."""
            others = {"paths", "profiles", "columns", "strict", "shard", "max_rejects"}
            return self.model_dump(exclude_defaults=True, exclude=others)
