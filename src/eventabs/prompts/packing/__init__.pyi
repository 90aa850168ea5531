from .batches import pack as pack, plan as plan, shuffled as shuffled
from .bounds import BatchLimits as BatchLimits, Bound as Bound, lower_bound as lower_bound
