import stat
from pathlib import Path
from typing import Any

import orjson

from eventabs.shared_records import Counts
from eventabs.store.run_directory_and_checkpoint import RunDirectory, write_checkpoint

FACTS: dict[str, Any] = {
    "run_id": "r",
    "created_at": "2026-01-01T00:00:00+00:00",
    "paths": ["/data/a.csv"],
    "settings": {"llm": {"model": "m", "price": {"input": 3.4, "output": 3.4}}},
    "settings_fingerprint": "f",
    "flags": {"not": "shown"},
}


def written(tmp_path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    directory = RunDirectory(tmp_path)
    write_checkpoint(directory, facts, Counts(), status="running", batches_left=5)
    document: dict[str, Any] = orjson.loads(directory.checkpoint.read_bytes())
    return document


def test_a_cost_is_written_to_the_millionth(tmp_path: Path) -> None:
    counts = Counts(prompt_tokens=1)
    write_checkpoint(RunDirectory(tmp_path), FACTS, counts, status="running", batches_left=0)
    assert orjson.loads((tmp_path / "checkpoint.json").read_bytes())["usage"]["cost"] == 0.000003


def test_before_the_input_is_read_the_checkpoint_names_its_paths(tmp_path: Path) -> None:
    assert written(tmp_path, FACTS)["input"] == {"paths": ["/data/a.csv"]}


def test_the_checkpoint_is_private_and_ends_with_a_newline(tmp_path: Path) -> None:
    written(tmp_path, FACTS)
    path = tmp_path / "checkpoint.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().endswith(b"}\n")
