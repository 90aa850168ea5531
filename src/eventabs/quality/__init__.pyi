from .audit import AuditPlan as AuditPlan, aaudit as aaudit, plan_audit as plan_audit
from .comparison import (
    ComparedRun as ComparedRun,
    Comparison as Comparison,
    Side as Side,
    UserPair as UserPair,
    compare as compare,
)
from .evaluation import Baseline as Baseline, Evaluation as Evaluation, evaluate as evaluate
from .gold import read_labels as read_labels, wall_seconds as wall_seconds
