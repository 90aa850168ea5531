from .must_rules import MustRule as MustRule, MustRules as MustRules, TextCondition as TextCondition
from .reader import (
    Labels as Labels,
    Reading as Reading,
    read_reply as read_reply,
    without_reasoning as without_reasoning,
)
