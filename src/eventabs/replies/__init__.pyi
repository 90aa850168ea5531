from .forms_of_answers import read_as as read_as, without_reasoning as without_reasoning
from .reader import (
    MustRule as MustRule,
    MustRules as MustRules,
    Reader as Reader,
    Reading as Reading,
    TextCondition as TextCondition,
    joined as joined,
    unreadable as unreadable,
)
