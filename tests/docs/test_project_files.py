"""The files that code hosts, containers and package indexes look for say what the project is."""

import re
import tomllib
from itertools import chain

import pytest
from packaging.requirements import Requirement

from paths import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.lstrip().startswith("#")
]


def test_the_oldest_and_the_newest_python_are_tested() -> None:
    named = re.findall(r":: (3\.\d+)$", "\n".join(PYPROJECT["project"]["classifiers"]), re.MULTILINE)
    assert f'python: ["{named[0]}", "{named[-1]}"]' in WORKFLOW
    assert PYPROJECT["project"]["requires-python"] == f">={named[0]}"
    assert f"FROM python:{named[-1]}-slim" in (ROOT / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_each_requirement_is_pinned_within_its_bounds(python: str, platform: str) -> None:
    place = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": platform}
    pinned = {
        pin.name: str(pin.specifier).removeprefix("==")
        for pin in PINS
        if pin.marker is None or pin.marker.evaluate(place)
    }
    asked = [
        *PYPROJECT["build-system"]["requires"],
        *PYPROJECT["project"]["dependencies"],
        *chain(*PYPROJECT["project"]["optional-dependencies"].values()),
    ]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pinned[requirement.name]), f"run `make lock`: {requirement}"


def test_the_workflow_runs_targets_that_there_are() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    run = re.findall(r"run: make (\S+)", WORKFLOW)
    assert {"lint", "test-all", "dist-test"} <= set(run) <= set(targets)


def test_the_hooks_are_the_linters_of_the_project_and_fetch_nothing() -> None:
    assert re.findall(r"repo: (\S+)", HOOKS) == ["local"]
    linted = re.findall(
        r"^\t\$\(BIN\)/(\S+)", (ROOT / "Makefile").read_text("utf-8").partition("\nlint:")[2], re.MULTILINE
    )
    assert set(linted[:4]) <= set(re.findall(r"entry: \.venv/bin/(\S+?)(?=[ ,])", HOOKS))


def test_the_page_for_an_index_has_no_link_to_a_file() -> None:
    hook = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = "".join((ROOT / fragment["path"]).read_text("utf-8") for fragment in hook["fragments"])
    relative = re.compile(r"\]\((?![a-z]+://)")
    assert relative.search(text)
    for substitution in hook["substitutions"]:
        text = re.sub(substitution["pattern"], substitution["replacement"], text)
    assert not relative.search(text)
