from .address import (
    QUERY_CUT as QUERY_CUT,
    Address as Address,
    is_address as is_address,
    public_address as public_address,
)
from .errors import BrokenError as BrokenError, store_errors_named as store_errors_named
from .store import (
    StoredObject as StoredObject,
    listed as listed,
    object_at as object_at,
    open_store as open_store,
)
from .upload import Destination as Destination
