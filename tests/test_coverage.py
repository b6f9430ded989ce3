"""Intervals hold as often as they say: a small seeded form of benchmarks/coverage.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parent.parent / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["win_rate", "bradley_terry", "per_dimension", "ppi_win_rate", "taste_for_length", "ppi_ratings"]
)
def test_nominal_95_percent_intervals_cover_about_that_and_a_biased_judge_alone_almost_never(
    coverage: ModuleType, name: str
) -> None:
    for row, (share, count) in coverage.covered(getattr(coverage, name), 150, seed=1).items():
        assert count >= 150
        if "judge alone" in row:
            assert share < 0.05, row
        else:
            assert 0.90 <= share <= 0.99, row


@pytest.mark.data
def test_on_pandalms_own_labels_the_calibrated_interval_holds_and_the_judges_never_does(
    coverage: ModuleType, data_dir: Path
) -> None:
    found = coverage.covered(coverage.pandalm(data_dir), 200, seed=1)
    assert found["... PandaLM-7B alone"][0] < 0.02
    assert 0.91 <= found["PandaLM, PPI++ with PandaLM-7B, 100 of 2,000"][0] <= 0.99
