"""`eventabs check` as people run it: exit codes, what is shown, and what is for programs."""

from pathlib import Path

from check_kit import Model
from house import ran
from openai_server import OpenAIServer

KEY = "sk-tell-nobody-1234567890"


def test_without_a_config_the_rules_are_sound_and_need_no_endpoint(tmp_path: Path) -> None:
    done = ran("check", cwd=tmp_path)
    assert "no endpoint is needed" in done.stdout
    assert "All checks passed" in done.stdout


def test_what_a_person_sees_names_config_model_and_cost_and_never_the_key(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.behavior = Model()()
    done = ran(
        "check", "--model", "m", "--base-url", openai_server.base_url, cwd=tmp_path, OPENAI_API_KEY=KEY
    )
    assert "OPENAI_API_KEY is set" in done.stdout
    assert "All checks passed; the check took" in done.stdout
    assert KEY not in done.stdout
