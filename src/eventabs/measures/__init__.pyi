from .bootstrap import interval as interval, resampled as resampled
from .matching import Hits as Hits, matched_segments as matched_segments, matched_times as matched_times
from .timeline import Segment as Segment, overlaps as overlaps
