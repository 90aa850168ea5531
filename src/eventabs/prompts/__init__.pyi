from .answers import expected_output_tokens as expected_output_tokens
from .builder import PromptBuilder as PromptBuilder
from .compaction import Compactor as Compactor
from .long_form import long_pieces as long_pieces, long_tokens as long_tokens, sentence as sentence
from .measurement import (
    Parts as Parts,
    log_of_part as log_of_part,
    measure_logs as measure_logs,
    measure_part as measure_part,
    measure_parts as measure_parts,
    output_tokens as output_tokens,
    parts_by_user as parts_by_user,
    users_counted_by_log as users_counted_by_log,
)
from .packing import (
    BatchLimits as BatchLimits,
    case_batches as case_batches,
    lower_bound as lower_bound,
    plan as plan,
    shuffled as shuffled,
)
from .splitting import split as split
from .templates import prompt_language as prompt_language
from .tokens import TokenCounter as TokenCounter
from .vocabulary import default_vocabulary as default_vocabulary
