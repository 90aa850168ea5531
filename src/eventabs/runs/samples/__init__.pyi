from .copies import (
    PlannedUse as PlannedUse,
    copy_users as copy_users,
    pending_use as pending_use,
    use_under as use_under,
)
