from .answers import (
    ANSWER_FIGURES as ANSWER_FIGURES,
    PlacedAnswer as PlacedAnswer,
    add_answer_counts as add_answer_counts,
    answer_counts as answer_counts,
    cells_of as cells_of,
    repeated_in as repeated_in,
    store_answer_counts as store_answer_counts,
    store_answers as store_answers,
    summed as summed,
)
from .checkpoint import (
    EVERY_BATCHES as EVERY_BATCHES,
    timestamp as timestamp,
    write_checkpoint as write_checkpoint,
)
from .codec import (
    instant as instant,
    unpack_messages as unpack_messages,
    unpack_parts as unpack_parts,
    unpack_text as unpack_text,
)
from .connection import damage_reported as damage_reported
from .directory import (
    RunDirectory as RunDirectory,
    disk_full as disk_full,
    input_stem as input_stem,
    open_private as open_private,
    open_to_append as open_to_append,
    read_head as read_head,
    replace_file as replace_file,
    storage_error as storage_error,
)
from .exports import ExportFormat as ExportFormat, export_events as export_events
from .extensions import (
    ExtendedUser as ExtendedUser,
    KnownPart as KnownPart,
    MovedPart as MovedPart,
    StandingEvents as StandingEvents,
    begin_changes as begin_changes,
    count_standing_events as count_standing_events,
    extend_user as extend_user,
    find_log as find_log,
    is_moved as is_moved,
    known_parts as known_parts,
    last_call as last_call,
    moved_answer_counts as moved_answer_counts,
    moved_users as moved_users,
    standing_events as standing_events,
    users_between as users_between,
    users_with_events as users_with_events,
)
from .fingerprint import (
    binding_facts as binding_facts,
    changes as changes,
    facts_fingerprint as facts_fingerprint,
    host_of as host_of,
    public_flags as public_flags,
    public_settings as public_settings,
    public_url as public_url,
    shown_changes as shown_changes,
)
from .jobs import (
    Job as Job,
    JobRequest as JobRequest,
    JobState as JobState,
    add_to_job as add_to_job,
    awaited_tokens as awaited_tokens,
    batch_of_call as batch_of_call,
    busy_parts as busy_parts,
    call_status as call_status,
    change_job as change_job,
    give_up as give_up,
    give_up_written as give_up_written,
    job_requests as job_requests,
    open_job as open_job,
    parts_of_call as parts_of_call,
    stored_jobs as stored_jobs,
    unanswered as unanswered,
)
from .ledger import (
    PEERS_OF_PIECES as PEERS_OF_PIECES,
    Ledger as Ledger,
    PartChange as PartChange,
    Retry as Retry,
    StoredReply as StoredReply,
)
from .merged import (
    MergedRun as MergedRun,
    ShardState as ShardState,
    Status as Status,
    merge as merge,
    refuse_merged as refuse_merged,
    shard_states as shard_states,
)
from .queries import (
    REPORT_SECTIONS as REPORT_SECTIONS,
    SettledUser as SettledUser,
    UserRow as UserRow,
    all_user_rows as all_user_rows,
    asked_again as asked_again,
    cooling_until as cooling_until,
    count_all as count_all,
    events_of as events_of,
    failure_reasons as failure_reasons,
    has_answers as has_answers,
    retry_under_way as retry_under_way,
    settings_used as settings_used,
    settled_by as settled_by,
    settled_user as settled_user,
    states_by_user as states_by_user,
    stored_retries as stored_retries,
    user_row as user_row,
    user_rows as user_rows,
    user_states as user_states,
)
from .results import (
    EventsFile as EventsFile,
    write_changes as write_changes,
    write_rejects as write_rejects,
    write_results as write_results,
)
from .writer import LedgerWriter as LedgerWriter
