"""The sequence of `eventabs check`: settings, endpoint, abilities, run; a few dozen tokens in all."""

import time
from collections.abc import Mapping

from eventabs.checks.findings import CheckReport, EndpointFacts, Finding, OnFinding
from eventabs.checks.offline import run_findings, settings_findings
from eventabs.config import Settings
from eventabs.providers import kind_of
from eventabs.runs import Price
from eventabs.store import host_of


async def check(
    settings: Settings, config_file: str, environment: Mapping[str, str], on_finding: OnFinding
) -> CheckReport:
    """Check the settings, the endpoint and what a run would do; `on_finding` gets each finding at once."""
    started = time.monotonic()
    llm = settings.llm
    findings: list[Finding] = []

    def add(finding: Finding) -> None:
        findings.append(finding)
        on_finding(finding)

    for finding in settings_findings(settings, config_file, environment):
        add(finding)
    is_remote = kind_of(settings.provider).is_remote
    facts = EndpointFacts()
    if is_remote and not any(found.name == "address" and found.state == "fault" for found in findings):
        from eventabs.checks.endpoint import EndpointCheck  # noqa: PLC0415  the HTTP stack takes long to load

        facts = await EndpointCheck(settings, environment, add).run()
    for finding in run_findings(settings, facts):
        add(finding)
    price = Price(llm.price.input, llm.price.output)
    return CheckReport(
        config_file=config_file,
        provider=settings.provider,
        preset=llm.preset if is_remote else "",
        model=llm.model if is_remote else "",
        host=host_of(llm.base_url) if is_remote else "",
        key_variable=llm.api_key_env if is_remote else "",
        key_is_set=is_remote and bool(environment.get(llm.api_key_env)),
        findings=tuple(findings),
        facts=facts,
        cost=price.cost(facts.spent.prompt_tokens, facts.spent.completion_tokens),
        currency=llm.price.currency,
        seconds=time.monotonic() - started,
    )
