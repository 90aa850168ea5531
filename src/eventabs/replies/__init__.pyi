from .labels import Labels as Labels
from .reader import Reading as Reading, read_reply as read_reply, without_reasoning as without_reasoning
