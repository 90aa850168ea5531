"""From settings to the parts of a run, the only place that knows both; and the run that holds them."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from eventabs.config import Settings
from eventabs.errors import ConfigError
from eventabs.ingest import Export, open_export
from eventabs.language import Language, gettext as _
from eventabs.prompts import (
    BatchLimits,
    Compactor,
    Example,
    Instructions,
    PromptBuilder,
    TokenCounter,
    default_vocabulary,
    example_events,
    example_log,
    prompt_language,
)
from eventabs.providers import (
    Cluster,
    kind_of,
    shipped_rules,
)
from eventabs.records import Category, Copying, EventType, Part, Reply, RunStatus, Shard, UserLog, Vocabulary
from eventabs.replies import Labels, Reading, read_reply
from eventabs.runs.observer import Note, Observer, Progress
from eventabs.runs.progress import ProgressTracker, snapshot
from eventabs.stop import Stop
from eventabs.store import (
    Ledger,
    RunDirectory,
    count_all,
    public_settings,
    write_checkpoint,
)

LANGUAGE_USERS = 20  # whose words decide the prompt's language


def read_text(path: str, setting: str) -> str:
    """Read a file that a setting names. Raises ConfigError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = _("{setting}: {path} cannot be read ({error}); name a UTF-8 text file")
        raise ConfigError(message.format(setting=setting, path=path, error=error)) from None


def open_input(
    settings: Settings,
    paths: Sequence[str],
    work_dir: Path,
    stop: Stop = Stop(),
    on_copy: Callable[[Copying], object] = lambda _copying: None,
) -> AbstractContextManager[Export]:
    """Read the export as it is configured; see `open_export`."""
    return open_export(
        paths,
        columns=settings.input.columns.model_dump(),
        profiles=settings.input.profiles,
        profile_columns=settings.profiles.columns,
        timezone=settings.input.timezone,
        work_dir=work_dir,
        keep_duplicates=settings.input.keep_duplicates,
        encoding=settings.input.encoding,
        dayfirst=settings.input.dayfirst,
        duration_unit=settings.input.duration_unit,
        header=settings.input.header,
        user=settings.input.user,
        sheet=settings.input.sheet,
        table=settings.input.table,
        strict=settings.input.strict,
        schema=settings.input.schema,
        shard=Shard.parse(settings.input.shard) if settings.input.shard else None,
        stop=stop,
        on_copy=on_copy,
    )


def template_text(settings: Settings) -> str | None:
    """Return the user's own template, None for the one that ships."""
    return read_text(settings.prompt.template, "prompt.template") if settings.prompt.template else None


def rules_text(settings: Settings) -> str:
    """Return the user's own rules, or those that ship."""
    if settings.rules.file:
        return read_text(settings.rules.file, "rules.file")
    return shipped_rules()


def prompt_language_of(settings: Settings, sample: Sequence[UserLog]) -> Language:
    """Return the prompt's language: as set, or the one that the first of the users' words are in."""
    if settings.prompt.language != "auto":
        return settings.prompt.language
    behaviors = [behavior for log in sample[:LANGUAGE_USERS] for behavior in log.behaviors]
    return prompt_language([text for b in behaviors for text in (b.action, b.item, b.place)])


def vocabulary_of(settings: Settings, language: Language) -> Vocabulary:
    """Return the configured vocabulary, with the shipped types where none are named."""
    configured = settings.vocabulary
    categories = tuple(Category(c.name, c.mark, c.meaning) for c in configured.categories)
    shipped = default_vocabulary(language, categories, open_types=configured.open)
    types = tuple(EventType(kind.name, kind.category) for kind in configured.types) or shipped.types
    if configured.other and not configured.open:
        types += (EventType(configured.other),)
    return replace(shipped, types=types, aliases=tuple(configured.aliases.items()))


def legend_of(
    settings: Settings, language: Language, template: str | None, sample: Sequence[UserLog]
) -> dict[str, str]:
    """Return the run's legend, made from the names of some users; empty at level `line`."""
    if settings.compaction.level == "line":
        return {}
    builder = make_builder(settings, language, template)
    return builder.legend_for(sample, batch_limits(settings, builder))


def make_builder(
    settings: Settings, language: Language, template: str | None, legend: Mapping[str, str] | None = None
) -> PromptBuilder:
    """Make what turns user logs into requests."""
    prompt = settings.prompt
    instructions = Instructions(
        language=language,
        vocabulary=vocabulary_of(settings, language),
        answer=prompt.answer,
        detail=prompt.detail,
        level=settings.compaction.level,
        template=template,
        pause=prompt.pause,
        with_summaries=prompt.summary == "short",
        guidance=prompt.guidance.strip(),
        examples=tuple(Example(example.log, example.events) for example in prompt.examples),
    )
    _check_examples(instructions, settings)
    return PromptBuilder(
        instructions,
        counter=TokenCounter(prompt.tokenizer),
        strip=settings.compaction.strip,
        legend=legend,
        constrained=_is_constrained(settings),
    )


def _is_constrained(settings: Settings) -> bool:
    """Whether a request says what its answer may hold. Raises ConfigError where that does not go with the form."""
    llm, answer = settings.llm, settings.prompt.answer
    if llm.constrain in ("auto", "none"):
        return llm.constrain == "auto" and bool(llm.grammar_field)
    needed = "lines" if llm.constrain == "grammar" else "schema"
    if answer != needed:
        message = _(
            'llm.constrain = "{constrain}" goes with prompt.answer = "{needed}", not "{answer}"; set one of them'
        )
        raise ConfigError(message.format(constrain=llm.constrain, needed=needed, answer=answer))
    return True


def _check_examples(instructions: Instructions, settings: Settings) -> None:
    """Raise ConfigError for an example whose events cannot be read as an answer about its log."""
    read = make_reader(settings, instructions.language, Compactor(instructions.language))
    for number, example in enumerate(instructions.examples, 1):
        log = example_log(example, number)
        wanted = example_events(example, instructions.vocabulary, number)
        reply = Reply(f"## U1\n{example.events.strip()}\n##\n")
        outcome = read(reply, {"U1": log}, {"U1": Part("", 0, len(log.behaviors) - 1)}).outcomes["U1"]
        if len([event for event in outcome.events if event.grounded]) < len(wanted):
            message = _(
                "prompt.examples, number {number}: only {found} of {wanted} events are about lines of its log;"
                " copy their times from it"
            )
            found = sum(event.grounded for event in outcome.events)
            raise ConfigError(message.format(number=number, found=found, wanted=len(wanted)))


def batch_limits(settings: Settings, builder: PromptBuilder) -> BatchLimits:
    """Return what one batch may hold."""
    budget = settings.budget
    return BatchLimits(
        max_input_tokens=budget.max_input_tokens,
        instructions_tokens=builder.instructions_tokens,
        max_output_tokens=budget.max_output_tokens,
        max_users=budget.max_users,
    )


def probes(settings: Settings) -> bool:
    """Whether the first batch probes how long answers are; the rules' answers have no limit."""
    return kind_of(settings.provider).is_remote


def max_calls(settings: Settings) -> int:
    """Return how many calls may ever be in flight."""
    return max(settings.run.concurrency, settings.run.max_concurrency)


def make_reader(
    settings: Settings, language: Language, compactor: Compactor
) -> Callable[[Reply, Mapping[str, UserLog], Mapping[str, Part]], Reading]:
    """Make what reads replies to prompts whose lines `compactor` wrote."""
    return partial(
        read_reply,
        labels=Labels(vocabulary_of(settings, language)),
        min_grounded=settings.run.min_grounded,
        source=kind_of(settings.provider).event_source,
        lines=compactor.contents,
        named_summaries=settings.prompt.summary == "none",
    )


def prompt_language_in(facts: Mapping[str, Any]) -> Language:
    """Return the language of a run's prompts."""
    return "zh" if facts["prompt_language"] == "zh" else "en"


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run that this process holds. `facts` is the ledger's meta; `most_users` is --limit, 0: all.

    `named` is the input as it is named today, of addresses also the queries, which are stored nowhere. `opening` notes are told
    after the start.
    """

    directory: RunDirectory
    ledger: Ledger
    settings: Settings
    environment: Mapping[str, str]
    observer: Observer
    facts: dict[str, Any]
    most_users: int
    named: Sequence[str] = ()
    opening: Sequence[Note] = ()
    cluster: Cluster | None = None

    def remember(self, **values: object) -> None:
        """Keep facts, in the ledger too."""
        self.facts.update(values)
        with self.ledger.transaction():
            self.ledger.set_meta(values)

    def remember_progress(self, progress: Progress, **values: object) -> None:
        """Keep how far the run is, for `eventabs status` and for the process that resumes it."""
        self.remember(progress=snapshot(progress, time.time()), **values)

    def remember_prices(self) -> None:
        """Keep the prices of today: costs are shown by them from now on, also where no config is at hand."""
        stored, now = self.facts["settings"], public_settings(self.settings)["llm"]["price"]
        if stored["llm"].get("price") != now:
            self.remember(settings={**stored, "llm": {**stored["llm"], "price": now}})

    def ask_failed_again(self) -> None:
        """Make failed users pending again."""
        with self.ledger.transaction():
            self.ledger.ask_failed_again()

    def tracker(self, earlier_seconds: float = 0.0) -> ProgressTracker:
        """Count what the ledger holds."""
        price, counts = self.settings.llm.price.of_tokens(), count_all(self.ledger)
        return ProgressTracker(price, counts, earlier_seconds=earlier_seconds)

    @property
    def earlier_seconds(self) -> float:
        """How long earlier processes worked on the run."""
        return float(self.facts.get("progress", {}).get("seconds", 0.0))

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
        return prompt_language_in(self.facts)
