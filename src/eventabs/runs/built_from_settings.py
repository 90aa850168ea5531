"""From settings to the parts of a run: endpoint, builder, limits and rules, and the context that has them."""

import asyncio
import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from platformdirs import user_state_path

from eventabs import prompts, providers, store  # providers load the HTTP stack when first looked up
from eventabs.config import MustSettings, Settings, environment_values, with_preset
from eventabs.errors_and_exit_codes import ConfigError, RunDirectoryError
from eventabs.ingest import canonical_action, search_pattern
from eventabs.interface_language import Language, activate, active, gettext as _
from eventabs.prompts import CONVERSION, CONVERSIONS, BatchLimits, Instructions, PromptBuilder, TokenCounter
from eventabs.providers import BatchProfile, Complete, LlmSettings
from eventabs.replies import MustRule, MustRules, Reader, TextCondition
from eventabs.runs.observer import CoolingDown, MachinesChanged, Observer
from eventabs.runs.progress_and_stop_conditions import ProgressTracker
from eventabs.shared_records import Batch, Counts, InputWarning, PlannedPart, RunStatus, UserLog, Vocabulary
from eventabs.store import Ledger, RunDirectory

LANGUAGE_USERS = 20  # whose words decide the prompt's language


def named_text(path: str, setting: str, before: str | None = None) -> str | None:
    """Read a file that a setting names; return the text `before` where it names none, or that is gone. Raises ConfigError."""
    if not path or (before is not None and not Path(path).is_file()):
        return before
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = _("{setting}: {path} cannot be read ({error}); name a UTF-8 text file")
        raise ConfigError(message.format(setting=setting, path=path, error=error)) from None


def named_texts(settings: Settings, before: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Return the user's own template, None for the one that ships, and rules; those of `before`, a run's facts so far, where they are gone."""
    template = named_text(settings.prompt.template, "prompt.template", before.get("template"))
    rules = named_text(settings.rules.file, "rules.file", before.get("rules"))
    return {"template": template, "rules": providers.shipped_rules() if rules is None else rules}


def prompt_language_of(settings: Settings, sample: Sequence[UserLog]) -> Language:
    """Return the prompt's language: as set, or the one that the first of the users' words are in."""
    if settings.prompt.language != "auto":
        return settings.prompt.language
    behaviors = [behavior for log in sample[:LANGUAGE_USERS] for behavior in log.behaviors]
    return prompts.prompt_language([text for b in behaviors for text in (b.action, b.item, b.place)])


def settled_facts(settings: Settings, facts: Mapping[str, Any], sample: Sequence[UserLog]) -> dict[str, Any]:
    """Return the prompt's language and the legend, empty at level `line`: as in a run's `facts`, else by the words of some users."""
    language, legend = facts.get("prompt_language"), facts.get("legend")
    language = language or prompt_language_of(settings, sample)
    if legend is None and settings.compaction.level != "line":
        builder, limits = builder_and_limits(settings, {**facts, "prompt_language": language})
        legend = builder.legend_for(sample, limits)
    return {"prompt_language": language, "legend": legend or {}}


def builder_and_limits(
    settings: Settings, facts: Mapping[str, Any], *, is_sent: bool = True
) -> tuple[PromptBuilder, BatchLimits]:
    """Make the builder of a run's requests, with the legend that was settled when the input was read, and the limits of a batch.

    `is_sent`: whether the requests go to a model; else their tokens cost nothing, and are not counted. Raises ConfigError where answers are to be constrained in a way that does not fit their form.
    """
    prompt, llm, language = settings.prompt, settings.llm, facts["prompt_language"]
    needed = {"grammar": "lines", "schema": "schema"}.get(llm.constrain, prompt.answer)
    if prompt.answer != needed:
        message = _(
            'llm.constrain = "{constrain}" goes with prompt.answer = "{needed}", not "{answer}"; set one of them'
        )
        raise ConfigError(message.format(constrain=llm.constrain, needed=needed, answer=prompt.answer))
    if llm.constrain == "schema" and "response_format" in llm.omit:
        message = _(
            'llm.constrain = "schema" is sent as response_format, which llm.omit leaves out; change one of them'
        )
        raise ConfigError(message)
    instructions = Instructions(
        language=language,
        vocabulary=settings.vocabulary.in_force(language),
        answer=prompt.answer,
        detail=prompt.detail,
        level=settings.compaction.level,
        template=facts["template"],
        pause=prompt.pause,
        guidance=prompt.guidance.strip(),
        examples=prompt.examples,
        extends=bool(facts.get("extension")),
    )
    builder = PromptBuilder(
        instructions,
        counter=TokenCounter(prompt.tokenizer if is_sent else ""),
        strip=settings.compaction.strip,
        legend=facts.get("legend"),
        constrained=bool(llm.grammar_field) if llm.constrain == "auto" else llm.constrain != "none",
    )
    budget = settings.budget.model_dump()
    limits = BatchLimits(**budget, instructions_tokens=builder.instructions_tokens, counter=builder.counter)
    return builder, limits


def make_reader(settings: Settings, facts: Mapping[str, Any]) -> Reader:
    """Make the reader of replies to a run's prompts."""
    language = facts["prompt_language"]
    return Reader(
        settings.vocabulary.in_force(language),
        detail=settings.prompt.detail,
        source="llm" if settings.is_remote else "rules",
        summarize=providers.load_rules(facts["rules"], language).summaries,
        must=must_rules_of(settings, language),
    )


class Plan(NamedTuple):
    """What a run begins with: its batches, the tokens of all their prompts, and by batch those of the expected answer."""

    batches: list[Batch]
    prompt_tokens: int
    output_tokens: list[int]


def plan_batches(parts: Sequence[PlannedPart], limits: BatchLimits, settings: Settings) -> Plan:
    """Plan a run. The first batch probes how long answers are; the rules' answers have no limit."""
    batches = prompts.plan(parts, limits, probe=settings.is_remote, workers=settings.run.concurrency)
    inputs = sum(limits.input_tokens(planned.size for planned in batch.parts) for batch in batches)
    outputs = [sum(planned.size.output_tokens for planned in batch.parts) for batch in batches]
    return Plan(batches, inputs, outputs)


class RunContext(NamedTuple):
    """A run that this process has locked. `facts` is the ledger's meta; `most_users` is --limit, 0: all.

    `named` is the input as it is named today, of addresses also the queries, which are stored nowhere.
    """

    directory: RunDirectory
    ledger: Ledger
    settings: Settings
    environment: Mapping[str, str]
    observer: Observer
    facts: dict[str, Any]
    most_users: int
    named: Sequence[str] = ()
    cluster: "providers.Cluster | None" = None

    def builder_and_limits(self, **facts: object) -> tuple[PromptBuilder, BatchLimits]:
        """Make the builder of requests and the limits of a batch. `facts`: others than the run's."""
        return builder_and_limits(self.settings, self.facts | facts, is_sent=self.settings.is_remote)

    def remember(self, **values: object) -> None:
        """Keep facts, in the ledger too."""
        self.facts.update(values)
        with self.ledger.transaction():
            self.ledger.set_meta(values)

    def tracker(self, earlier_seconds: float = 0.0) -> ProgressTracker:
        """Count what the ledger holds."""
        price, counts = self.settings.llm.price, store.count_all(self.ledger)
        return ProgressTracker(price, counts, earlier_seconds=earlier_seconds)

    @property
    def earlier_seconds(self) -> float:
        """How long earlier processes worked on the run."""
        return float(self.facts.get("progress", {}).get("seconds", 0.0))

    def save(self, counts: Counts, *, status: RunStatus, batches_left: int = 0) -> None:
        """Write checkpoint.json."""
        store.write_checkpoint(self.directory, self.facts, counts, status=status, batches_left=batches_left)


_CONNECTION = ("base_url", "proxy", "ca_file", "api_key_env")  # each can lead a key or the users' rows astray


def require_usable_provider(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise ConfigError where the settings name no provider that could be asked."""
    llm, is_elsewhere = settings.llm, settings.cluster.engine != "local"
    if settings.is_remote:
        if not llm.model:
            raise ConfigError(no_model_message(llm.preset))
        public = {key: store.public_url(getattr(llm, key)) for key in ("base_url", "proxy")}
        for key, value in {**public, "extra_headers": {}}.items() if is_elsewhere else ():
            variable = f"EVENTABS_LLM__{key.upper()}"
            if getattr(llm, key) != value and variable not in environment:
                message = _(
                    "llm.{key} may hold a secret, which is not sent to other machines; export {variable} here and where Ray is started"
                )
                raise ConfigError(message.format(key=key, variable=variable))
        # where requests could not leave, this raises
        providers.proxy_of(providers.endpoint_of(llm, {} if is_elsewhere else environment))
        if settings.run.mode != "files" and not is_elsewhere and lacks_key(llm, environment):
            message = _(
                "{host} wants a key, and {variable} is not set; export it, or name another in llm.api_key_env"
            )
            raise ConfigError(message.format(host=store.host_of(llm.base_url), variable=llm.api_key_env))
    elif is_elsewhere or settings.run.mode != "live":
        flag = "--engine ray" if is_elsewhere else f"--mode {settings.run.mode}"
        message = _("{flag} is for a model, and the built-in rules answer here; set llm.model or --model")
        raise ConfigError(message.format(flag=flag))
    if settings.run.max_cost and llm.price.cost(1, 1) is None:
        raise ConfigError(_("--max-cost needs prices; set input and output under [llm.price] in the config"))


def batch_profile(settings: Settings) -> BatchProfile:
    """Return how the batch service is spoken to: as the preset says, else as OpenAI's; with what is set in [batch]."""
    known = providers.load_preset(settings.llm.preset).batch or BatchProfile()
    named = settings.batch.model_dump(include={"window", "max_requests"})
    return known.model_copy(update={key: value for key, value in named.items() if value})


def no_model_message(preset: str) -> str:
    """Say that a model has to be named, such as the one that the preset suggests."""
    if suggested := providers.load_preset(preset).suggested_model:
        message = _("no model is named, and a preset chooses none; set llm.model or --model, such as {model}")
        return message.format(model=suggested)
    return _("no model is named; set llm.model or --model, or use --provider rules")


def start_command(settings: Settings) -> str:
    """Return the command that starts the user's own server with room for a call; "" without a preset that has one."""
    call_tokens = settings.budget.max_input_tokens + settings.budget.max_output_tokens
    tokens = -(-call_tokens // 1_024) * 1_024  # a context is given in round numbers
    model = shlex.quote(settings.llm.model) if settings.llm.model else "MODEL"
    return providers.load_preset(settings.llm.preset).start_command.format(model=model, tokens=tokens)


def no_connection_step(error: "providers.UnreachableError", settings: Settings) -> str:
    """Return the next step where there is no connection."""
    if error.through_proxy:
        return _("check llm.proxy and the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
    is_local = providers.is_loopback(urlsplit(settings.llm.base_url).hostname or "")
    if is_local and error.reason in {"refused", "timeout"}:
        if command := start_command(settings):
            return _("start the server: {command}").format(command=command)
        return _("start the server, or correct the port in llm.base_url")
    steps: dict[providers.UnreachableReason, str] = {
        "dns": _("check the host in llm.base_url, and the network"),
        "refused": _("check host and port in llm.base_url, and whether the server runs"),
        "untrusted": _("set llm.ca_file to the PEM file of your authority, or check this machine's clock"),
        "no_tls": _("if the server speaks plain http, begin llm.base_url with http://"),
    }
    other = _("check the network and a firewall; where only a proxy leads out, set llm.proxy")
    return steps.get(error.reason, other)


def lacks_key(llm: LlmSettings, environment: Mapping[str, str]) -> bool:
    """Whether the endpoint is known to want a key, with a preset or without, and none would be sent."""
    has_one = environment.get(llm.api_key_env) or llm.extra_headers or {"@", "?"} & set(llm.base_url)
    return not has_one and store.host_of(llm.base_url).lower() in providers.hosts_with_keys()


def unset_key(llm: LlmSettings, environment: Mapping[str, str]) -> str:
    """Return the variable that the user chose for the key where it is unset or empty; "" where all is well."""
    # one that only the defaults or a preset name may be unset: a server of one's own often wants no key
    is_chosen = llm.api_key_env != providers.load_preset(llm.preset).api_key_env
    return llm.api_key_env if is_chosen and not environment.get(llm.api_key_env) else ""


def opened_provider(
    run: RunContext, closing: asyncio.Event, on_refused: Callable[[frozenset[str]], object]
) -> AbstractAsyncContextManager[Complete]:
    """Open the provider, here or on a cluster; once `closing` is set it sends nothing. `on_refused` hears of parameters no longer sent."""
    settings, observer, llm, limits = run.settings, run.observer, run.settings.llm, run.settings.run
    connections, is_ready = max(limits.concurrency, limits.max_concurrency) + 1, lambda: True
    if not settings.is_remote:
        language = run.facts["prompt_language"]
        rules, vocabulary = run.facts["rules"], settings.vocabulary.in_force(language)
        loaded = providers.load_rules(rules, language)
        return nullcontext(providers.RulesProvider(loaded, vocabulary, settings.prompt.detail).complete)
    provider: providers.Provider
    if run.cluster is None:
        endpoint = providers.endpoint_of(llm, run.environment, connections)
        provider = providers.OpenAIProvider(endpoint, on_refused=on_refused)
    else:
        public, own = store.public_settings(settings)["llm"], bool(settings.cluster.ray_address)
        provider = run.cluster(
            partial(_provider_on_machine, public, connections, active(), own=own),
            connections=connections,
            call_seconds=llm.call_timeout,
            on_refused=on_refused,
            on_machines=lambda count, lost, cause: observer.noted(MachinesChanged(count, lost, cause)),
        )
        is_ready = provider.is_ready
    pace = providers.Pacer(
        limits.rpm,
        limits.tpm,
        tries=limits.call_tries,
        on_cooldown=lambda seconds: observer.noted(CoolingDown(seconds)),
        is_ready=is_ready,
        closing=closing,
    )
    return providers.open_provider(provider, pace)


def _provider_on_machine(
    llm: Mapping[str, Any], connections: int, language: Language, *, own: bool
) -> "providers.OpenAIProvider":
    """Make the provider on a cluster's machine, whose environment has key and headers; in an `own` cluster also the model's address."""
    activate(language)
    keys = ("extra_headers", *(_CONNECTION if own else ()))
    here = {key: value for key, value in environment_values().get("llm", {}).items() if key in keys}
    endpoint = providers.endpoint_of(LlmSettings(**{**llm, **here}), os.environ, connections)
    return providers.OpenAIProvider(endpoint)


def remember_run(run_id: str, settings: Settings) -> None:
    """Note that this user began the run. Where that cannot be noted, resume asks for --yes."""
    with suppress(OSError):
        folder = user_state_path("eventabs")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder / "runs", "a", encoding="ascii", opener=store.open_private) as known:
            known.write(_digest(run_id, settings) + "\n")


def refuse_unknown_endpoint(run_id: str, settings: Settings, named_today: Mapping[str, Any]) -> None:
    """Raise RunDirectoryError where keys and users' rows would go where only the run directory says.

    What counts is `named_today` (by the config file, variables and flags), the preset that it names, the defaults,
    and runs that were begun here.
    """
    known = ""
    with suppress(OSError, UnicodeDecodeError):
        known = (user_state_path("eventabs") / "runs").read_text("ascii")
    is_called = settings.is_remote and settings.run.mode != "files"
    if not is_called or _digest(run_id, settings) in known.splitlines():
        return
    named = with_preset(named_today).get("llm", {})
    if named.get("ca_file"):
        named["ca_file"] = str(Path.cwd() / named["ca_file"])
    for key in _CONNECTION:
        value = getattr(settings.llm, key)
        if value not in (LlmSettings.model_fields[key].default, named.get(key)):
            message = _(
                "this run was not begun here, and it alone says that {host} is to be called (llm.{key});"
                " confirm with --yes"
            )
            raise RunDirectoryError(message.format(host=store.host_of(settings.llm.base_url), key=key))


def _digest(run_id: str, settings: Settings) -> str:
    where = [str(getattr(settings.llm, key)) for key in _CONNECTION]
    return hashlib.sha256("\n".join([run_id, *where]).encode()).hexdigest()


def must_rules_of(settings: Settings, language: Language) -> MustRules:
    """Return the rules that the events must keep: the user's, and that each conversion of the export is an event."""
    vocabulary = settings.vocabulary.in_force(language)
    rules = [_must_rule(rule, vocabulary) for rule in settings.events.must]
    categories = {kind.name: kind.category for kind in vocabulary.types}
    first = next((name for name, category in categories.items() if category == CONVERSION), CONVERSION)
    has_conversions = any(each.name == CONVERSION for each in vocabulary.categories)
    for action, name in CONVERSIONS[language].items() if has_conversions else ():
        kind = name if vocabulary.open or name in categories else first
        category = categories.get(kind) or CONVERSION
        is_action = {"action": TextCondition((action,))}
        rules.append(MustRule(is_action, "", category, (kind, category), no_sentences=True))
    return MustRules(rules, search_pattern)


def _must_rule(rule: MustSettings, vocabulary: Vocabulary) -> MustRule:
    conditions = {name: TextCondition(texts.texts, texts.regex) for name, texts in rule.conditions.items()}
    if "action" in conditions:  # as the export may say it
        words = tuple(map(canonical_action, rule.action.texts))
        conditions["action"] = TextCondition(words, rule.action.regex)
    # without a type an event that it adds has the first of its category, or the category's own name
    in_category = (kind.name for kind in vocabulary.types if kind.category == rule.category)
    added = rule.type or rule.added_type or next(in_category, rule.category)
    inherited = {known.name: known.category for known in vocabulary.types}.get(added, "")
    category = rule.category or inherited or vocabulary.default_category
    same = rule.model_dump(include={"type", "category", "min_duration", "max_duration"})
    return MustRule(conditions=conditions, added=(added, category), **same)


def unmet_rules(settings: Settings, language: Language, actions: Iterable[str]) -> Iterator[InputWarning]:
    """Warn of the user's rules whose action is none of `actions`, the most frequent first, with the nearest of these."""
    rules = [rule for rule in settings.events.must if "action" in rule.conditions]
    words = list(actions) if rules else []  # there may be as many as rows
    for rule in rules:
        conditions = _must_rule(rule, settings.vocabulary.in_force(language)).conditions
        if not conditions["action"].met(words, search_pattern):
            action = ", ".join(rule.action.texts) or rule.action.regex
            message = _('no row has the action "{action}" of a rule in events.must, so that it does nothing')
            nearest = _('the nearest word of the input is "{word}"')
            near = get_close_matches(action, words[:1_000], 1)  # the most frequent
            parts = (message.format(action=action), *(nearest.format(word=word) for word in near))
            yield InputWarning("unmet_rule", _("; ").join(parts))
