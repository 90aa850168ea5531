from .estimate_columns_check import (
    check_json as check_json,
    columns_json as columns_json,
    estimate_json as estimate_json,
    extension_json as extension_json,
    print_prompt as print_prompt,
    prompt_json as prompt_json,
    render_asked as render_asked,
    render_columns as render_columns,
    render_estimate as render_estimate,
    render_extension as render_extension,
    render_verdict as render_verdict,
    showing_findings as showing_findings,
)
from .evaluation_comparison_calibration import (
    announcement as announcement,
    calibration_json as calibration_json,
    comparison_json as comparison_json,
    evaluation_json as evaluation_json,
    render_calibration as render_calibration,
    render_comparison as render_comparison,
    render_comparison_page as render_comparison_page,
    render_evaluation as render_evaluation,
    render_evaluation_page as render_evaluation_page,
)
from .output_streams import (
    OutputGoneError as OutputGoneError,
    encode as encode,
    print_bytes as print_bytes,
    print_error as print_error,
    print_json as print_json,
    print_line as print_line,
    print_proposal as print_proposal,
    replace_streams as replace_streams,
    stderr_console as stderr_console,
    stdout_console as stdout_console,
)
from .panel_status_show import (
    display as display,
    log_to as log_to,
    render_calls as render_calls,
    render_status as render_status,
    render_summary as render_summary,
    render_user as render_user,
    render_users as render_users,
    status_json as status_json,
    summary_json as summary_json,
    user_json as user_json,
    users_json as users_json,
    watch_status as watch_status,
)
from .progress_server import ProgressServer as ProgressServer
from .report import NAME as NAME, render_report as render_report, write_report as write_report
from .review_page import (
    quality_tables as quality_tables,
    render_next_step as render_next_step,
    render_review as render_review,
    render_review_page as render_review_page,
    review_json as review_json,
)
