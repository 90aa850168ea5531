from .check import (
    REQUEST_SECONDS as REQUEST_SECONDS,
    CheckReport as CheckReport,
    Finding as Finding,
    OnFinding as OnFinding,
    Section as Section,
    State as State,
    check as check,
)
