from .batches import case_batches as case_batches
from .bounds import BatchLimits as BatchLimits, lower_bound as lower_bound
from .rounds import plan as plan, shuffled as shuffled
