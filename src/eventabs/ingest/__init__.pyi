from .database import errors_named as errors_named, scratch_database as scratch_database
from .export import Export as Export, open_export as open_export
from .files import expand as expand
from .groups import UserGroup as UserGroup
from .sources import as_glob as as_glob, quoted as quoted
from .staging import check_zone as check_zone
