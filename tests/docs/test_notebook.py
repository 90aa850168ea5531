"""examples/events.ipynb runs, shows what is stored in it, and ends with the recipe of docs/exports.md."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from docs_kit import blocks_of
from paths import ROOT

NOTEBOOK = ROOT / "examples" / "events.ipynb"
READING = 'events = pd.read_parquet("events.parquet")\n'


def shown(cells: list[dict[str, Any]]) -> list[list[str]]:
    """Return the words that each cell prints; those of equal counts may come in any order."""
    return [
        sorted(
            word
            for output in cell["outputs"]
            for word in "".join(output.get("text") or output["data"]["text/html"]).split()
        )
        for cell in cells
        if cell["cell_type"] == "code"
    ]


@pytest.mark.slow
def test_the_notebook_shows_what_is_stored_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    client = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("pandas", reason="is what the notebook is about")
    for name in ("behaviors.jsonl", "profiles.csv"):
        shutil.copy(NOTEBOOK.with_name(name), tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    stored = shown(notebook.cells)
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert shown(notebook.cells) == stored, "run: jupyter execute --inplace examples/events.ipynb"
    assert any(stored)


def test_the_last_cell_is_the_recipe_of_the_page() -> None:
    (recipe,) = (
        block.text for block in blocks_of(Path("docs/exports.md"), "python") if READING in block.text
    )
    cell = json.loads(NOTEBOOK.read_text("utf-8"))["cells"][-1]
    assert "".join(cell["source"]).partition("\n")[2] == recipe.partition(READING)[2].rstrip()
