from .must_rules import MustRule as MustRule, MustRules as MustRules, TextCondition as TextCondition
from .reader import (
    Reader as Reader,
    Reading as Reading,
    joined as joined,
    one_by_name as one_by_name,
    unreadable as unreadable,
)
from .text_forms import without_reasoning as without_reasoning
from .words_and_row_numbers import read_as as read_as
