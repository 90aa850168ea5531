"""The files of an export: the role of each column, by a schema or by name, and how the files are read."""

from collections.abc import Callable, Collection, Sequence

from eventabs.ingest import files, tables
from eventabs.ingest.candidates import ColumnChoice
from eventabs.ingest.column_names import ROLES
from eventabs.ingest.columns import marker_columns, refuse_one_user, unit_of_column, with_marker
from eventabs.ingest.description import MappedFile
from eventabs.ingest.foreign_files import refuse_events
from eventabs.ingest.formats import Format, Query, Wanted
from eventabs.ingest.objects import Copies
from eventabs.ingest.paths import InnerPath
from eventabs.ingest.schemas import FileSchema, SchemaChoice


class BehaviorFiles:
    """Files of behaviors. `roles` has for each file the column of each role.

    `users`: the user of each file, "" if a column names the user. Rows that differ in a column that is neither `technical`
    nor technical in the schema are no duplicates.
    """

    def __init__(
        self,
        paths: Sequence[str],
        opened: Callable[..., Format],
        schemas: SchemaChoice,
        choice: ColumnChoice,
        *,
        technical: Collection[str],
        users: Sequence[str],
    ) -> None:
        self._opened = opened
        self._users = users
        self._choice = choice
        self._schema_choice = schemas
        self._technical = technical
        self._markers: set[str] = set()
        self._schemas: dict[str, FileSchema] = {}
        self.sources = [opened(path) for path in paths]
        self.roles = self._find_roles(self.sources)

    def load(self, insert: Callable[..., int], *, encoding: str, strict: bool) -> None:
        """Read all files. `insert` takes the number of a file and the query of its rows."""
        for index, source in enumerate(self.sources):
            try:
                self._load(index, insert, strict=strict)
            except files.NotUtf8Error:
                if encoding:
                    raise
                self.sources[index] = self._opened(source.file.path, not_utf8=True)
                (self.roles[index],) = self._find_roles([self.sources[index]])
                self._load(index, insert, strict=strict)

    def _load(self, index: int, insert: Callable[..., int], *, strict: bool) -> None:
        source = self.sources[index]
        source.file.stop.check()
        compared = [column if column in source.columns else "" for column in sorted(self.compared()[0])]
        others = {column: f"other{number}" for number, column in enumerate(compared) if column}
        schema = self._schemas.get(source.file.path)
        wanted: Wanted
        if schema:
            names = others
            wanted = [*schema.wanted, *((name, column) for column, name in others.items())]
        else:
            names = {**others, **{column: role for role, column in self.roles[index].items()}}
            wanted = [(role, self.roles[index].get(role, "")) for role in ROLES]
            wanted += [(name, column) for column, name in others.items() if names[column] == name]
        user, columns = self._users[index], [names.get(column, "") for column in compared]
        duration = "" if schema else self.roles[index].get("duration", "")
        unit = unit_of_column(source.inventory, duration) if duration else None

        def insert_rows(query: Query) -> int:
            rows = schema.select(query, list(others.values())) if schema else query
            return insert(
                index,
                rows.of_user(user),
                compared=columns,
                stated_unit=unit,
                described=self.roles[index].keys() >= {"text", "action"},
                strict=source if strict else None,
            )

        tables.load(source, wanted, insert_rows, strict=strict)

    def compared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns that are compared to find duplicates, and those that are not."""
        columns = dict.fromkeys(column for source in self.sources for column in source.columns)
        known = (column for each in self._schemas.values() for column in each.schema.technical)
        technical = {*self._technical, *known}
        return (
            tuple(column for column in columns if column not in technical),
            tuple(column for column in columns if column in technical),
        )

    def digests(self, copies: Copies) -> list[bytes]:
        """Return the digest of each file that was read, with the user that its name gives."""
        contents = (copies.content(each.file) for each in self.sources)
        return [each.of_user(user).sha256 for each, user in zip(contents, self._users, strict=True)]

    def mapped(self, names: Sequence[str]) -> list[MappedFile]:
        """Return how the files were understood; `names` are the names to show."""
        parts = zip(names, self.sources, self.roles, strict=True)
        return [self._mapped(name, source, roles) for name, source, roles in parts]

    def _mapped(self, name: str, source: Format, roles: dict[str, str]) -> MappedFile:
        if schema := self._schemas.get(source.file.path):
            return MappedFile(name, source, roles, schema.places, schema.unused, schema.schema.name)
        found = {role: source.inventory.find(column) or InnerPath(column) for role, column in roles.items()}
        used = {place.column for place in found.values()}
        unused = tuple(column for column in source.columns if column not in used)
        return MappedFile(name, source, roles, {role: (place,) for role, place in found.items()}, unused, "")

    def _find_roles(self, sources: Sequence[Format]) -> list[dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for source in sources:
            path = source.file.path
            refuse_events(path, source.columns)
            if schema := self._schema_choice.of_file(source, self._choice.named):
                self._schemas[path] = schema
                found[path] = schema.roles
            else:
                found[path] = self._choice.roles(source)
            if source.file.user:
                refuse_one_user(source, schema.user_columns if schema else self._choice.users(source))
        others = [(each, found[each.file.path]) for each in sources if each.file.path not in self._schemas]
        self._markers |= marker_columns(others, self._choice.named.get("marker", ""))
        return [
            roles if path in self._schemas else with_marker(roles, self._markers)
            for path, roles in found.items()
        ]
