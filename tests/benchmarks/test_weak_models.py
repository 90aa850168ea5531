"""Models that lose rows, at a size for tests: every user ends, with fewer rows a call only where that helps."""

from pathlib import Path

import pytest

import weak_models as bench


@pytest.mark.parametrize(
    ("model", "rows", "calls"),
    [
        ("lost 20%", (60, 500), (6, 40)),
        pytest.param("sound", (500, 1300), (2, 6), marks=pytest.mark.slow),
        pytest.param("numbers anew", (40, 200), (24, 30), marks=pytest.mark.slow),
        pytest.param("never ##", (500, 1300), (2, 8), marks=pytest.mark.slow),
    ],
)
def test_every_user_is_done_at_a_size_that_the_model_can_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    rows: tuple[int, int],
    calls: tuple[int, int],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    found = bench.measured(bench.MODELS[model](), bench.export_of(24, tmp_path), tmp_path / "out")
    assert (found.done, found.failed) == (24, "0")
    assert rows[0] <= found.rows <= rows[1]
    assert calls[0] <= found.calls <= calls[1]
    assert found.unplaced <= 0.05
