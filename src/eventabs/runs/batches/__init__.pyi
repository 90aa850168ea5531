from .jobs import going_on as going_on, refuse_other_mode as refuse_other_mode
from .session import Session as Session, in_order as in_order
from .waves import (
    cancel_jobs as cancel_jobs,
    read_replies as read_replies,
    run_jobs as run_jobs,
    write_requests as write_requests,
)
