"""`eventabs check`: everything that can be known before a run, for a few dozen tokens."""

import asyncio
import time
from collections.abc import Mapping

from eventabs.checks.findings import CheckReport, EndpointFacts, Finding, OnFinding
from eventabs.checks.offline import run_findings, settings_findings
from eventabs.config import Settings
from eventabs.runs import Price, endpoint_of, lacks_key, sampling_of
from eventabs.store import host_of


def check(
    settings: Settings, config_file: str, environment: Mapping[str, str], tell: OnFinding
) -> CheckReport:
    """Check the settings, the endpoint and what a run would do; `tell` hears of each finding when it is made."""
    began = time.monotonic()
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        tell(finding)

    for finding in settings_findings(settings, config_file, environment):
        note(finding)
    facts = EndpointFacts()
    if settings.provider == "openai" and not _is_faulty(findings, "address"):
        facts = asyncio.run(_ask(settings, environment, note))
    for finding in run_findings(settings, facts):
        note(finding)
    llm = settings.llm
    calls = settings.provider == "openai"
    return CheckReport(
        config_file=config_file,
        provider=settings.provider,
        preset=llm.preset if calls else "",
        model=llm.model if calls else "",
        host=host_of(llm.base_url) if calls else "",
        key_variable=llm.api_key_env if calls else "",
        key_is_set=calls and bool(environment.get(llm.api_key_env)),
        findings=tuple(findings),
        facts=facts,
        cost=Price(llm.price.input, llm.price.output).cost(
            facts.spent.prompt_tokens, facts.spent.completion_tokens
        ),
        currency=llm.price.currency,
        seconds=time.monotonic() - began,
    )


async def _ask(settings: Settings, environment: Mapping[str, str], tell: OnFinding) -> EndpointFacts:
    from eventabs.checks.endpoint import EndpointCheck  # noqa: PLC0415  the HTTP stack takes long to load

    llm = settings.llm
    endpoint_check = EndpointCheck(settings, endpoint_of(llm, environment), sampling_of(llm), tell)
    await endpoint_check.run(key_is_missing=lacks_key(llm, environment))
    return endpoint_check.facts


def _is_faulty(findings: list[Finding], name: str) -> bool:
    return any(finding.name == name and finding.state == "fault" for finding in findings)
