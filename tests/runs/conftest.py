"""A folder for runs."""

from pathlib import Path

import pytest

from runs_jobs import Place


@pytest.fixture
def place(own_folder: Path) -> Place:
    """Return a folder, now the current one, with an export of six users."""
    return Place(own_folder)
