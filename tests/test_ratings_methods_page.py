"""The methods page says what the code does."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "methods.md").read_text()


def test_the_worked_example_prints_what_the_page_says():
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    said = re.search(r"```text\n(.*?)```", PAGE, re.S)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == said


def test_every_function_the_page_names_exists():
    named = re.findall(r"`(judgebench(?:\.\w+)+)\.(\w+)`", PAGE)
    assert len(named) > 30
    for module, name in named:
        if (module, name) != ("judgebench.errors", "UserError"):
            assert callable(getattr(importlib.import_module(module), name))


def test_every_field_the_page_lists_is_a_field_of_its_record():
    records = {
        name: getattr(importlib.import_module(f"judgebench.{module}"), name)
        for module, name in [
            ("judges.debias", "PositionBias"),
            ("ratings.intervals", "ClusteredError"),
            ("ratings.intervals", "Estimate"),
            ("ratings.paired", "PairedDifference"),
            ("ratings.winrate", "WinRates"),
            ("ratings.winrate", "PairResult"),
            ("ratings.winrate", "WinMatrix"),
            ("ratings.elo", "Spread"),
            ("ratings.bradley_terry", "Fit"),
            ("ratings.covariates", "CovariateFit"),
            ("ratings.bootstrap", "Bootstrap"),
            ("ratings.ties", "TieFit"),
            ("ratings.ties", "TieComparison"),
            ("ratings.ranks", "Rank"),
            ("ratings.style_control", "StyleControlled"),
            ("ratings.length_control", "LengthControlled"),
            ("ratings.hierarchy", "DimensionFit"),
            ("ratings.hierarchy", "Contrast"),
            ("ratings.hierarchy", "Correlation"),
            ("ratings.grades", "GradedPairs"),
            ("ratings.power", "PowerPlan"),
            ("ratings.multiplicity", "Adjusted"),
            ("ratings.equivalence", "Equivalence"),
            ("ratings.ppi", "PPIEstimate"),
            ("ratings.ppi_ratings", "PPIRatings"),
            ("ratings.joint_bias", "JointRatings"),
            ("ratings.prevalence", "TrueRate"),
            ("ratings.active", "WeightedMean"),
            ("ratings.selective", "Threshold"),
            ("ratings.juries", "Consensus"),
            ("ratings.juries", "JuryCard"),
            ("ratings.sequential", "EProcess"),
            ("ratings.sequential", "ConfidenceSequence"),
            ("ratings.stopping", "PairState"),
            ("ratings.confusion", "Confusion"),
            ("ratings.confusion", "MacroScores"),
            ("ratings.correlations", "DocumentCorrelation"),
            ("ratings.bias", "PositionShares"),
            ("ratings.bias", "Stability"),
            ("ratings.bias", "Verbosity"),
            ("ratings.self_preference", "SelfPreference"),
            ("ratings.sway", "Sway"),
            ("ratings.sway", "Effect"),
            ("ratings.sway", "Standing"),
            ("ratings.person_fit", "PersonFit"),
            ("ratings.person_fit", "Permutation"),
            ("ratings.gate", "Withstood"),
        ]
    }
    for name, record in records.items():
        listed = re.search(rf"`{name}`: `([^`]+)`", PAGE)[1].split(", ")
        assert tuple(listed) == record.__struct_fields__, name
