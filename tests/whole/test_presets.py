"""Presets in whole runs: the address, the key's variable and what is sent come from the preset."""

from pathlib import Path

from house import checkpoint, ran, write_users
from openai_server import OpenAIServer


def _config(folder: Path, text: str) -> None:
    (folder / "eventabs.toml").write_text(text, encoding="utf-8")
    write_users(folder / "input.jsonl", users=3)


def test_a_run_sends_what_the_preset_says_and_keeps_it(tmp_path: Path, openai_server: OpenAIServer) -> None:
    _config(
        tmp_path, f'[llm]\npreset = "moonshot"\nmodel = "kimi-k2.6"\nbase_url = "{openai_server.base_url}"\n'
    )
    ran("run", "input.jsonl", cwd=tmp_path, MOONSHOT_API_KEY="sk-kimi-secret")
    (request,) = openai_server.requests
    assert request.headers["authorization"] == "Bearer sk-kimi-secret"
    assert request.body["thinking"] == {"type": "disabled"}
    assert "max_tokens" not in request.body
    assert request.body["max_completion_tokens"] == 8192
    llm = checkpoint(tmp_path / "input.eventabs")["settings"]["llm"]
    assert llm["omit"] == ["temperature", "max_tokens"]
    assert llm["api_key_env"] == "MOONSHOT_API_KEY"
    ran("resume", "input.eventabs", cwd=tmp_path, MOONSHOT_API_KEY="sk-kimi-secret")
