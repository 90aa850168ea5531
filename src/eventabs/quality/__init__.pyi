from .comparison import (
    ComparedRun as ComparedRun,
    Comparison as Comparison,
    Side as Side,
    UserPair as UserPair,
    compare as compare,
)
from .evaluation import (
    Baseline as Baseline,
    Evaluation as Evaluation,
    Figure as Figure,
    evaluate as evaluate,
)
from .gold import read_labels as read_labels, wall_seconds as wall_seconds
