from pathlib import Path
from typing import Any

import pytest

from eventabs.config.settings import Settings, overlay, with_absolute_paths, with_preset
from eventabs.errors_and_exit_codes import RunDirectoryError
from eventabs.runs.built_from_settings import refuse_unknown_endpoint, remember_run
from eventabs.runs.start_resume_reparse import Invocation

KEY = {"OPENAI_API_KEY": "secret"}
HERE = {"model": "m", "base_url": "https://api.example.com/v1"}


pytestmark = pytest.mark.usefixtures("own_folder")


def stored(llm: dict[str, Any]) -> Settings:
    """Return settings as a run directory gives them."""
    return with_absolute_paths(Settings.model_validate({"llm": llm}), Path.cwd())


def check(
    settings: Settings,
    *,
    run_id: str = "r",
    environment: dict[str, str] = KEY,
    config: Path | None = None,
    named: dict[str, str] | None = None,
) -> None:
    refuse_unknown_endpoint(
        run_id, settings, Invocation(config, {"llm": named or {}}, environment or {}).named()
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_url", "https://evil.example/v1"),
        ("proxy", "http://evil.example:8080"),
        ("ca_file", "/tmp/evil.pem"),  # noqa: S108  not opened
        ("api_key_env", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_connection_that_only_the_run_directory_names_gets_no_key(key: str, value: str) -> None:
    environment = KEY | {"AWS_SECRET_ACCESS_KEY": "secret"}
    settings = stored({"model": "m", key: value})
    with pytest.raises(RunDirectoryError, match=rf"llm\.{key}.*--yes"):
        check(settings, environment=environment)
    check(settings, environment=environment, named={key: value})


def test_the_default_endpoint_needs_no_confirmation() -> None:
    check(stored({"model": "m"}))


def test_an_endpoint_named_in_the_config_found_here_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError):
        check(stored(HERE))
    (tmp_path / "eventabs.toml").write_text('[llm]\nbase_url = "https://api.example.com/v1"\n')
    check(stored(HERE))


def test_an_endpoint_named_in_the_environment_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTABS_LLM__BASE_URL", HERE["base_url"])
    check(stored(HERE))


def test_what_is_named_here_counts_as_it_is_in_force_not_as_a_weaker_layer_has_it(tmp_path: Path) -> None:
    (tmp_path / "eventabs.toml").write_text('[llm]\nbase_url = "https://evil.example/v1"\n')
    with pytest.raises(RunDirectoryError):
        check(
            stored(HERE | {"base_url": "https://evil.example/v1"}),
            named={"base_url": "https://good.example/v1"},
        )


def test_an_authority_named_here_is_trusted_also_by_its_relative_path(tmp_path: Path) -> None:
    (tmp_path / "eventabs.toml").write_text('[llm]\nca_file = "certs/ca.pem"\n')
    check(stored({"model": "m", "ca_file": "certs/ca.pem"}))


def test_headers_are_as_secret_as_a_key() -> None:
    headers = {"extra_headers": {"Authorization": "Bearer secret"}}
    with pytest.raises(RunDirectoryError, match="confirm"):
        check(stored(overlay(HERE, headers)), environment={})


def test_also_without_a_secret_the_users_rows_go_nowhere_unknown() -> None:
    with pytest.raises(RunDirectoryError, match="confirm"):
        check(stored(HERE), environment={})


def test_a_run_that_was_begun_here_is_known_as_long_as_it_connects_to_the_same_place() -> None:
    remember_run("other", stored(HERE))
    with pytest.raises(RunDirectoryError):
        check(stored(HERE))
    remember_run("r", stored(HERE))
    check(stored(HERE))
    with pytest.raises(RunDirectoryError):
        check(stored(HERE | {"base_url": "https://evil.example/v1"}))


def test_what_is_remembered_is_private_and_names_nobody(tmp_path: Path) -> None:
    remember_run("r", stored(HERE | {"base_url": "https://user:hunter2@api.example.com/v1"}))
    known = tmp_path / "state" / "eventabs"
    assert known.stat().st_mode & 0o077 == 0
    content = (known / "runs").read_text()
    assert "example" not in content
    assert "hunter2" not in content


def test_where_nothing_can_be_remembered_runs_begin_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    remember_run("r", stored(HERE))
    with pytest.raises(RunDirectoryError):
        check(stored(HERE))


def test_a_preset_that_is_named_here_names_its_endpoint_and_no_other(tmp_path: Path) -> None:
    deepseek = with_preset({"llm": {"preset": "deepseek", "model": "m"}})["llm"]
    environment = {"DEEPSEEK_API_KEY": "secret"}
    with pytest.raises(RunDirectoryError, match=r"llm\.base_url.*--yes"):
        check(stored(deepseek), environment=environment)
    check(stored(deepseek), environment=environment, named={"preset": "deepseek"})
    elsewhere = stored({**deepseek, "base_url": "https://evil.example/v1"})
    with pytest.raises(RunDirectoryError, match=r"llm\.base_url.*--yes"):
        check(elsewhere, environment=environment, named={"preset": "deepseek"})
