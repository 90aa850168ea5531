from .audit import (
    LEAST_STABLE as LEAST_STABLE,
    AuditFacts as AuditFacts,
    ConfusedEvent as ConfusedEvent,
    UnstableUser as UnstableUser,
    audit_facts as audit_facts,
)
from .calls import AskedPart as AskedPart, CallFacts as CallFacts, CallText as CallText, TokenUse as TokenUse
from .quality import (
    BatchRow as BatchRow,
    Share as Share,
    Table as Table,
    batch_tables as batch_tables,
    by_batch_users as by_batch_users,
    by_position as by_position,
)
from .report import ReportFacts as ReportFacts, UserFacts as UserFacts, open_report_facts as open_report_facts
from .status import RunState as RunState, inspect_run as inspect_run
from .user import (
    Line as Line,
    StoredCall as StoredCall,
    UserView as UserView,
    stored_calls as stored_calls,
    view_user as view_user,
)
