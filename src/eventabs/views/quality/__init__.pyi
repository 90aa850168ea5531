from .audit import (
    AuditSection as AuditSection,
    announcement as announcement,
    audit_json as audit_json,
    audit_section as audit_section,
    render_audit as render_audit,
)
from .calibration import (
    arm_line as arm_line,
    calibration_announcement as calibration_announcement,
    calibration_json as calibration_json,
    config_diff as config_diff,
    render_calibration as render_calibration,
)
from .comparison import (
    comparison_json as comparison_json,
    render_comparison as render_comparison,
    render_comparison_page as render_comparison_page,
)
from .evaluation import (
    evaluation_json as evaluation_json,
    render_evaluation as render_evaluation,
    render_evaluation_page as render_evaluation_page,
)
from .review import (
    drawn_json as drawn_json,
    render_next_step as render_next_step,
    render_review as render_review,
    render_review_page as render_review_page,
    review_json as review_json,
)
