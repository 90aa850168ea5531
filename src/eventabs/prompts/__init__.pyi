from .builder import PromptBuilder as PromptBuilder, prompt_language as prompt_language, sampled as sampled
from .compaction import Compactor as Compactor
from .expected_output import Expectation as Expectation
from .instructions import (
    VERSION as VERSION,
    Example as Example,
    Instructions as Instructions,
    example_events as example_events,
    example_log as example_log,
)
from .long_form import long_tokens as long_tokens
from .measurement import (
    Parts as Parts,
    log_of_part as log_of_part,
    measure_group as measure_group,
    measure_logs as measure_logs,
    measure_part as measure_part,
    measure_parts as measure_parts,
    output_tokens as output_tokens,
)
from .packing import (
    BatchLimits as BatchLimits,
    Bound as Bound,
    lower_bound as lower_bound,
    plan as plan,
    shuffled as shuffled,
)
from .splitting import split as split
from .tokens import TokenCounter as TokenCounter
from .vocabulary import (
    CONVERSION as CONVERSION,
    ENGAGEMENT as ENGAGEMENT,
    default_vocabulary as default_vocabulary,
)
