from .column_names import canonical_action as canonical_action
from .columns_rows_and_warnings_shown import Description as Description
from .files_archives_encodings import FileStamp as FileStamp, expand as expand
from .input_settings import InputSettings as InputSettings
from .normal_form import (
    ALONE as ALONE,
    as_glob as as_glob,
    check_pattern as check_pattern,
    check_zone as check_zone,
    errors_named as errors_named,
    quoted as quoted,
    search_pattern as search_pattern,
)
from .object_and_table_copies import Frame as Frame, find_objects as find_objects
from .opened_export import (
    SHOWN_ROWS as SHOWN_ROWS,
    Export as Export,
    UserGroup as UserGroup,
    masked_sample as masked_sample,
    open_export as open_export,
)
from .roles_of_columns import input_table as input_table
