"""What all tables of settings share: they refuse unknown keys, and a name is one that a line of an answer can hold."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# what a line of an answer can hold as a type: none of the grammar's own characters
Name = Annotated[
    str, Field(pattern=r"^[^\s|｜#\u202a-\u202e\u2066-\u2069][^|｜\n\r\t\u202a-\u202e\u2066-\u2069]*$")
]
OptionalName = Annotated[
    str, Field(pattern=r"^(?:[^\s|｜#\u202a-\u202e\u2066-\u2069][^|｜\n\r\t\u202a-\u202e\u2066-\u2069]*)?$")
]


class Section(BaseModel):
    """A table of the TOML file. Unknown keys are errors: a typo must not pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
