from .api import (
    Run as Run,
    RunStoppedError as RunStoppedError,
    acheck as acheck,
    aextend as aextend,
    aresume as aresume,
    arun as arun,
    check as check,
    estimate as estimate,
    extend as extend,
    resume as resume,
    run as run,
)
from .config import Settings as Settings
from .errors import EventabsError as EventabsError
from .events import Events as Events, read_events as read_events
from .records import Event as Event
from .stop import Stop as Stop
from .store import MergedRun as MergedRun, merge as merge

__version__: str
