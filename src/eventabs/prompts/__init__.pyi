from .compact_lines import (
    CONVERSION as CONVERSION,
    CONVERSIONS as CONVERSIONS,
    ENGAGEMENT as ENGAGEMENT,
    MINOR as MINOR,
    Compactor as Compactor,
    default_vocabulary as default_vocabulary,
)
from .instructions_and_requests import (
    VERSION as VERSION,
    Instructions as Instructions,
    PromptBuilder as PromptBuilder,
    made_up_day as made_up_day,
    prompt_language as prompt_language,
    sampled as sampled,
)
from .packing import (
    BatchLimits as BatchLimits,
    Bound as Bound,
    lower_bound as lower_bound,
    plan as plan,
    shuffled as shuffled,
)
from .tokens import TokenCounter as TokenCounter
from .user_costs import (
    Parts as Parts,
    log_of_part as log_of_part,
    long_pieces as long_pieces,
    measure_group as measure_group,
    measure_logs as measure_logs,
    measure_parts as measure_parts,
    overlapping_parts as overlapping_parts,
)
