from .findings import (
    REQUEST_SECONDS as REQUEST_SECONDS,
    CheckReport as CheckReport,
    Finding as Finding,
    OnFinding as OnFinding,
    Section as Section,
    State as State,
)
from .sequence import check as check
