"""What one call may hold."""

from dataclasses import dataclass

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.records import PartSize


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may hold: tokens in with the instructions, tokens out, users."""

    max_input_tokens: int
    instructions_tokens: int
    max_output_tokens: int
    max_users: int

    @property
    def room(self) -> int:
        """Input tokens left for blocks. Raises ConfigError where there are none."""
        if self.instructions_tokens >= self.max_input_tokens:
            message = _(
                "the instructions alone take {tokens} of {limit} input tokens; raise --max-input-tokens"
            )
            raise ConfigError(message.format(tokens=self.instructions_tokens, limit=self.max_input_tokens))
        return self.max_input_tokens - self.instructions_tokens

    def hold(self, size: PartSize) -> bool:
        """Whether one part of this size fits into a batch of its own."""
        return size.input_tokens <= self.room and size.output_tokens <= self.max_output_tokens
