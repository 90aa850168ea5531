from .evaluation import (
    Baseline as Baseline,
    Evaluation as Evaluation,
    Figure as Figure,
    evaluate as evaluate,
)
from .gold import read_labels as read_labels
