"""An open run: its directory, its ledger, its settings and who watches it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventabs.config import Settings
from eventabs.language import Language
from eventabs.prompts import PromptBuilder
from eventabs.records import RunStatus
from eventabs.runs.components import make_builder
from eventabs.runs.observer import Observer
from eventabs.runs.progress import Price, ProgressTracker
from eventabs.store import Ledger, RunDirectory, count_all, write_checkpoint


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run that this process holds. `facts` is the ledger's meta; `most_users` is --limit, 0: all."""

    directory: RunDirectory
    ledger: Ledger
    settings: Settings
    environment: Mapping[str, str]
    observer: Observer
    facts: dict[str, Any]
    most_users: int

    def remember(self, **values: object) -> None:
        """Keep facts, in the ledger too."""
        self.facts.update(values)
        with self.ledger.transaction():
            self.ledger.set_meta(values)

    def ask_failed_again(self) -> None:
        """Make failed users pending again."""
        with self.ledger.transaction():
            self.ledger.ask_failed_again()

    def tracker(self) -> ProgressTracker:
        """Count what the ledger holds."""
        price = self.settings.llm.price
        return ProgressTracker(Price(price.input, price.output), count_all(self.ledger))

    def save(self, tracker: ProgressTracker, *, status: RunStatus, batches_waiting: int = 0) -> None:
        """Write checkpoint.json."""
        write_checkpoint(
            self.directory,
            self.facts,
            tracker.counts,
            status=status,
            cost=tracker.cost,
            batches_left=tracker.under_way + batches_waiting,
        )

    def builder(self) -> PromptBuilder:
        """Make what writes the run's prompts, under the legend that was settled when the input was read."""
        return make_builder(
            self.settings, self.prompt_language, self.facts["template"], self.facts.get("legend")
        )

    @property
    def prompt_language(self) -> Language:
        """The language of the prompt, settled when the input was read."""
        return "zh" if self.facts["prompt_language"] == "zh" else "en"
