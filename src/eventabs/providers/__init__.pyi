from .presets import load_preset as load_preset
from .rate_limit import Pacer as Pacer
from .retry import (
    CallCancelledError as CallCancelledError,
    Gate as Gate,
    RetryPolicy as RetryPolicy,
    complete_with_retries as complete_with_retries,
)
