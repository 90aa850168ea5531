"""From settings to the other rooms' plain arguments: the only place that knows both."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from eventabs.config import Settings
from eventabs.errors import ConfigError
from eventabs.events.reading import Reading, read_reply
from eventabs.events.vocabulary import Words
from eventabs.exports import Export, open_export
from eventabs.language import Language
from eventabs.language import gettext as _
from eventabs.llm.rules_book import shipped_rules
from eventabs.prompts.builder import PromptBuilder
from eventabs.prompts.language import prompt_language
from eventabs.prompts.packing import Limits
from eventabs.prompts.tokens import TokenCounter
from eventabs.prompts.vocabulary import default_vocabulary
from eventabs.records import Category, EventType, Part, Reply, UserLog, Vocabulary
from eventabs.runs.intake import sample_texts

_LANGUAGE_USERS = 20  # whose words decide the prompt's language
_LEGEND_USERS = 500  # whose names make the legend
_LEGEND_BEHAVIORS = 100_000  # of these users; no further one then, since they are kept in memory


def read_text(path: str, setting: str) -> str:
    """Read a file that a setting names. Raises ConfigError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = _("{setting}: {path} cannot be read ({error}); name a UTF-8 text file")
        raise ConfigError(message.format(setting=setting, path=path, error=error)) from None


def open_input(settings: Settings, paths: Sequence[str], work_dir: Path) -> AbstractContextManager[Export]:
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
        header=settings.input.header,
        strict=settings.input.strict,
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
    return prompt_language(sample_texts(sample[:_LANGUAGE_USERS]))


def vocabulary_of(settings: Settings, language: Language) -> Vocabulary:
    """Return the configured vocabulary, with the shipped types where none are named."""
    configured = settings.vocabulary
    categories = tuple(Category(c.name, c.mark, c.meaning) for c in configured.categories)
    if not configured.types:
        return default_vocabulary(language, categories, open_types=configured.open)
    types = tuple(EventType(kind.name, kind.category) for kind in configured.types)
    return Vocabulary(types, categories, configured.open)


def sampled(logs: Iterator[UserLog]) -> list[UserLog]:
    """Take from `logs` the first users, whose words decide the language and the legend."""
    sample: list[UserLog] = []
    behaviors = 0
    while len(sample) < _LEGEND_USERS and behaviors < _LEGEND_BEHAVIORS:
        log = next(logs, None)
        if log is None:
            break
        sample.append(log)
        behaviors += len(log.behaviors)
    return sample


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
    return PromptBuilder(
        counter=TokenCounter(settings.prompt.tokenizer),
        language=language,
        template=template,
        vocabulary=vocabulary_of(settings, language),
        answer=settings.prompt.answer,
        detail=settings.prompt.detail,
        strip=settings.compaction.strip,
        level=settings.compaction.level,
        legend=legend,
    )


def batch_limits(settings: Settings, builder: PromptBuilder) -> Limits:
    """Return what one batch may hold."""
    budget = settings.budget
    return Limits(
        max_input_tokens=budget.max_input_tokens,
        instructions_tokens=builder.instructions_tokens,
        max_output_tokens=budget.max_output_tokens,
        max_users=budget.max_users,
    )


def probes(settings: Settings) -> bool:
    """Whether the first batch probes how long answers are; the rules' answers have no limit."""
    return settings.provider == "openai"


def most_workers(settings: Settings) -> int:
    """Return how many calls may ever be in flight."""
    return max(settings.run.concurrency, settings.run.max_concurrency)


def make_reader(
    settings: Settings, language: Language
) -> Callable[[Reply, Mapping[str, UserLog], Mapping[str, Part]], Reading]:
    """Make what reads replies."""
    words = Words(vocabulary_of(settings, language))

    def read(reply: Reply, users: Mapping[str, UserLog], parts: Mapping[str, Part]) -> Reading:
        return read_reply(
            reply,
            users,
            parts,
            words=words,
            min_grounded=settings.run.min_grounded,
            source="rules" if settings.provider == "rules" else "llm",
        )

    return read
