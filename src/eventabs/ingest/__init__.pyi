from .column_names import canonical_action as canonical_action
from .database import (
    as_glob as as_glob,
    errors_named as errors_named,
    quoted as quoted,
    scratch_database as scratch_database,
)
from .description import Description as Description, FileMapping as FileMapping, ReadRow as ReadRow
from .export import Export as Export, open_export as open_export
from .files import FileStamp as FileStamp, expand as expand
from .groups import UserGroup as UserGroup
from .objects import find_objects as find_objects
from .patterns import check_pattern as check_pattern, search_pattern as search_pattern
from .tables import check_zone as check_zone
