from .components import (
    CONNECT_SECONDS as CONNECT_SECONDS,
    RunContext as RunContext,
    batch_limits as batch_limits,
    endpoint_of as endpoint_of,
    lacks_key as lacks_key,
    make_builder as make_builder,
    no_connection_step as no_connection_step,
    no_model_message as no_model_message,
    rules_text as rules_text,
    sampling_of as sampling_of,
    start_command as start_command,
    template_text as template_text,
    unset_key as unset_key,
)
from .estimate import (
    Estimate as Estimate,
    ExtensionEstimate as ExtensionEstimate,
    describe_input as describe_input,
    estimate_extension as estimate_extension,
    estimate_run as estimate_run,
    first_request as first_request,
    repriced_above as repriced_above,
)
from .extension import begin_extension as begin_extension
from .intake import (
    STDIN as STDIN,
    InputDescription as InputDescription,
    drawn as drawn,
    read_sample as read_sample,
)
from .lifecycle import (
    Invocation as Invocation,
    Watch as Watch,
    begin_run as begin_run,
    default_out as default_out,
    execute as execute,
    reopen_run as reopen_run,
    reparse as reparse,
    settings_of_today as settings_of_today,
)
from .limits import MAX_FAILURES as MAX_FAILURES
from .observer import (
    AwaitingEndpoint as AwaitingEndpoint,
    BatchDone as BatchDone,
    CallFailed as CallFailed,
    ColumnsFound as ColumnsFound,
    CoolingDown as CoolingDown,
    Extended as Extended,
    InputGone as InputGone,
    InputRead as InputRead,
    JobChanged as JobChanged,
    JobTrouble as JobTrouble,
    KeyUnset as KeyUnset,
    LogFile as LogFile,
    MachinesChanged as MachinesChanged,
    Note as Note,
    Observer as Observer,
    Planned as Planned,
    Progress as Progress,
    RepliesRead as RepliesRead,
    RequestsWritten as RequestsWritten,
    Retrying as Retrying,
    RowShown as RowShown,
    Serving as Serving,
    SettingsTaken as SettingsTaken,
    Started as Started,
    StateChanged as StateChanged,
    Stopping as Stopping,
    Summary as Summary,
)
from .progress import ProgressTracker as ProgressTracker
from .samples import (
    PlannedUse as PlannedUse,
    copy_users as copy_users,
    pending_use as pending_use,
    use_under as use_under,
)
