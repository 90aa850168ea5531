from .agreement import (
    Agreement as Agreement,
    Occurrence as Occurrence,
    agreement_of as agreement_of,
    equal_events as equal_events,
    occurrences as occurrences,
    same_behaviors as same_behaviors,
    same_starts as same_starts,
    stable_events as stable_events,
    wall_minute as wall_minute,
)
from .batch_classes import place_third as place_third, users_band as users_band
from .bootstrap import (
    FEW_CLUSTERS as FEW_CLUSTERS,
    Figure as Figure,
    figure_of as figure_of,
    interval as interval,
    lower_bound as lower_bound,
    resampled as resampled,
    share_of as share_of,
)
from .confusion import Claim as Claim, LogText as LogText, fits_better as fits_better
from .judgments import cohen_kappa as cohen_kappa, least_share as least_share
from .matching import Hits as Hits, matched_segments as matched_segments, matched_times as matched_times
from .stability import (
    Repeat as Repeat,
    Stability as Stability,
    StabilityRow as StabilityRow,
    UserStability as UserStability,
    stability_of as stability_of,
)
from .timeline import Segment as Segment, overlaps as overlaps
