from .api import (
    Events as Events,
    Journeys as Journeys,
    Run as Run,
    RunStoppedError as RunStoppedError,
    acheck as acheck,
    aextend as aextend,
    aresume as aresume,
    arun as arun,
    check as check,
    estimate as estimate,
    extend as extend,
    read_events as read_events,
    read_journeys as read_journeys,
    resume as resume,
    run as run,
)
from .config import Settings as Settings
from .errors_and_exit_codes import EventabsError as EventabsError
from .shared_records import Event as Event, Journey as Journey
from .stop_request import Stop as Stop
from .store import MergedRun as MergedRun, merge as merge

__version__: str
