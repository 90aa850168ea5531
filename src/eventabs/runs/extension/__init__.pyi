from .estimate import ExtensionEstimate as ExtensionEstimate, estimate_extension as estimate_extension
from .facts import (
    extension_facts as extension_facts,
    is_extended as is_extended,
    is_extending as is_extending,
    spent_before as spent_before,
)
from .intake import (
    begin_extension as begin_extension,
    refuse_unextendable as refuse_unextendable,
    take_in as take_in,
)
