"""The rules of [[events.must]] in a run: made from the settings, applied to answers, and what is asked about misses.

A usable answer with misses that are to be asked about is kept. One more call shows the model the missed lines alone,
in the usual form, so that it costs little and its prompt is any other's. What it does not bring, the rules add.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from eventabs.config import MustSettings, Settings
from eventabs.ingest import canonical_action, search_pattern
from eventabs.language import Language
from eventabs.prompts import PromptBuilder
from eventabs.records import Outcome, Part, PartSize, PlannedPart, UserLog, Vocabulary
from eventabs.replies import MustRule, MustRules, TextCondition
from eventabs.runs.components import (
    RunContext,
    vocabulary_of,
)
from eventabs.store import KeptAnswer, Ledger, PlacedAnswer, StoredReply


def must_rules_of(settings: Settings, language: Language) -> MustRules:
    """Return the rules that the events must keep."""
    vocabulary = vocabulary_of(settings, language)
    rules = (_must_rule(rule, vocabulary) for rule in settings.events.must)
    return MustRules(tuple(rules), search_pattern)


def _must_rule(rule: MustSettings, vocabulary: Vocabulary) -> MustRule:
    conditions = {name: TextCondition(texts.texts, texts.regex) for name, texts in rule.conditions.items()}
    if "action" in conditions:  # as the export may say it
        words = tuple(map(canonical_action, rule.action.texts))
        conditions["action"] = TextCondition(words, rule.action.regex)
    return MustRule(
        conditions=conditions,
        type=rule.type,
        category=rule.category,
        added=_added_label(rule, vocabulary),
        min_duration=rule.min_duration,
        max_duration=rule.max_duration,
        asks=rule.miss == "ask",
    )


def _added_label(rule: MustSettings, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return type and category of an event that a rule adds.

    Without a type that is the first of its category, or the category's own name.
    """
    in_category = (kind.name for kind in vocabulary.types if kind.category == rule.category)
    kind = rule.type or rule.added_type or next(in_category, rule.category)
    inherited = {known.name: known.category for known in vocabulary.types}.get(kind, "")
    return kind, rule.category or inherited or vocabulary.default_category


def missed_lines(log: UserLog, part: Part, missed: tuple[int, ...]) -> UserLog:
    """Return the log of a part with those behaviors only that are asked about; all where `missed` names none."""
    if not missed:
        return log
    return replace(log, behaviors=tuple(log.behaviors[index - part.first] for index in missed))


def logs_of(stored: StoredReply, ledger: Ledger) -> dict[str, UserLog]:
    """Return the logs that a stored reply is about, by alias, as its request had them."""
    return {
        alias: missed_lines(ledger.log(*part), part, stored.missed.get(alias, ()))
        for alias, part in stored.users.items()
    }


def rules_in_force(run: RunContext, builder: PromptBuilder) -> "RulesInForce":
    """Return the rules of a run."""
    return RulesInForce(must_rules_of(run.settings, run.prompt_language), builder.measure)


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Applies the rules to outcomes. `measure` counts the tokens of a log."""

    rules: MustRules
    measure: Callable[[UserLog], PartSize]

    def question(self, planned: PlannedPart, log: UserLog, outcome: Outcome) -> PlannedPart | None:
        """Return what is to be asked about an outcome, None where it misses nothing that is asked about."""
        missed = self.rules.questions(log, planned.part, outcome.events)
        if not missed:
            return None
        size = self.measure(missed_lines(log, planned.part, missed))
        return planned._replace(size=size, max_peers=0, missed=missed)

    def enforced(self, log: UserLog, outcome: Outcome) -> Outcome:
        """Return the outcome with what the rules add; one that is not usable as it is."""
        if not outcome.usable:
            return outcome
        return replace(outcome, events=self.rules.enforced(log, outcome.part, outcome.events))

    def placed(self, place: int, users: int, log: UserLog, outcome: Outcome) -> PlacedAnswer:
        """Return what an answer held as it was read, and what it lacked; `place`: of the user among those of the batch."""
        return PlacedAnswer.of(place, users, log, outcome, self.enforced(log, outcome))

    def placed_again(
        self, stored: StoredReply, logs: Mapping[str, UserLog], outcomes: Mapping[str, Outcome]
    ) -> list[PlacedAnswer]:
        """Return what those answers in a reply held that were read again, each with the log it is about."""
        return [
            self.placed(place, len(stored.users), logs[alias], outcomes[alias])
            for place, alias in enumerate(stored.users, 1)
            if alias in outcomes and alias not in stored.missed
        ]

    def completed(self, kept: KeptAnswer, missed: tuple[int, ...], outcome: Outcome) -> Outcome:
        """Return the kept answer with what an outcome about missed lines, usable or not, has for them; then enforced."""
        part = outcome.part
        answered = [  # the reader took the lines for a log without gaps
            event.model_copy(
                update={"behaviors": tuple(missed[index - part.first] for index in event.behaviors)}
            )
            for event in outcome.events
        ]
        return Outcome(part, None, self.rules.completed(kept.log, part, kept.events, answered))
