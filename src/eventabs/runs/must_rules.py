"""The rules of [[events.must]] in a run: made from the settings, and applied to answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eventabs.config import MustSettings, Settings
from eventabs.ingest import canonical_action, search_pattern
from eventabs.language import Language
from eventabs.records import Outcome, UserLog, Vocabulary
from eventabs.replies import MustRule, MustRules, TextCondition
from eventabs.runs.components import (
    RunContext,
    vocabulary_of,
)
from eventabs.store import Ledger, PlacedAnswer, StoredReply


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
    )


def _added_label(rule: MustSettings, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return type and category of an event that a rule adds.

    Without a type that is the first of its category, or the category's own name.
    """
    in_category = (kind.name for kind in vocabulary.types if kind.category == rule.category)
    kind = rule.type or rule.added_type or next(in_category, rule.category)
    inherited = {known.name: known.category for known in vocabulary.types}.get(kind, "")
    return kind, rule.category or inherited or vocabulary.default_category


def logs_of(stored: StoredReply, ledger: Ledger) -> dict[str, UserLog]:
    """Return the logs that a stored reply is about, by alias."""
    return {alias: ledger.log(*part) for alias, part in stored.users.items()}


def rules_in_force(run: RunContext) -> "RulesInForce":
    """Return the rules of a run."""
    return RulesInForce(must_rules_of(run.settings, run.prompt_language))


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Applies the rules to outcomes."""

    rules: MustRules

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
            if alias in outcomes
        ]
