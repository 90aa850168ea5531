from .report_facts import (
    LogFacts as LogFacts,
    ReportFacts as ReportFacts,
    Share as Share,
    Table as Table,
    UserFacts as UserFacts,
    batch_tables as batch_tables,
    by_batch_users as by_batch_users,
    by_position as by_position,
    open_report_facts as open_report_facts,
)
from .run_status import (
    CallFacts as CallFacts,
    Line as Line,
    RunState as RunState,
    StoredCall as StoredCall,
    TokenUse as TokenUse,
    UserView as UserView,
    asked_parts as asked_parts,
    inspect_run as inspect_run,
    stored_call as stored_call,
    stored_calls as stored_calls,
    view_user as view_user,
)
