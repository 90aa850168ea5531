from .audit_and_calibration import (
    AskingPlan as AskingPlan,
    Calibration as Calibration,
    aask as aask,
    calibration_of as calibration_of,
    plan_audit as plan_audit,
    plan_calibration as plan_calibration,
)
from .evaluation_and_comparison import (
    ComparedRun as ComparedRun,
    Comparison as Comparison,
    Evaluation as Evaluation,
    Side as Side,
    UserPair as UserPair,
    compare as compare,
    evaluate as evaluate,
    read_labels as read_labels,
)
from .review import (
    Review as Review,
    SampledDay as SampledDay,
    SampledEvent as SampledEvent,
    Sheet as Sheet,
    draw_review as draw_review,
    read_review as read_review,
)
