"""What a run would take, from the input alone."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DetailEstimate:
    """The plan for one level of detail."""

    detail: str
    expected_output_tokens: int
    batches: int
    binds: Literal["input", "output", "users"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `eventabs estimate` shows. Tokens are totals; `cost` is None without prices."""

    users: int
    behaviors: int
    rejected_rows: int
    duplicates: int
    tokens_long: int
    tokens_compact: int
    tokens_prompt_total: int
    batches: int
    lower_bound: int
    binds: Literal["input", "output", "users"]
    expected_output_tokens: int
    seconds: float
    cost: float | None
    currency: str
    case_batches: dict[int, int]  # batches by the case's rule, by its budget (8,000 and 40,000)
    details: tuple[DetailEstimate, ...]
    larger_output_limit: int | None  # an output limit that would save calls, None if none would
    larger_output_batches: int | None
    concurrency: int
    tokens_per_second: float
    max_input_tokens: int
    max_output_tokens: int
