from .copies import Copies as Copies, copied as copied, plan_copies as plan_copies
from .store import (
    find_objects as find_objects,
    open_bucket as open_bucket,
    public_address as public_address,
    store_errors_named as store_errors_named,
)
