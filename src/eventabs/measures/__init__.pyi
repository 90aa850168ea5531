from .agreement import (
    Agreement as Agreement,
    Occurrence as Occurrence,
    agreement_of as agreement_of,
    equal_events as equal_events,
    same_starts as same_starts,
)
from .bootstrap import interval as interval, resampled as resampled
from .matching import Hits as Hits, matched_segments as matched_segments, matched_times as matched_times
from .timeline import Segment as Segment, overlaps as overlaps
