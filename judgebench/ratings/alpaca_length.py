"""AlpacaEval 2's published length-controlled win rate: the penalised model, with the authors' side files.

Source: Dubois et al. 2024 and its public code. To `length_control`'s model come an L1 penalty of cross-validated
strength, and the preferences of two gamed baselines (one told to be verbose, one concise) as rows of weight 0.1 each
without θ, so that φ cannot run away. ``df_gamed.csv`` holds those rows and each instruction's difficulty;
``instruction_difficulty.csv`` the difficulties alone. The authors publish both; they are read from where they lie.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from judgebench.errors import FileError, MissingPackage, UserError
from judgebench.ratings.intervals import Floats
from judgebench.ratings.length_control import LengthControlled, counts, described, observed, standardised
from judgebench.types import Record

GAMED_WEIGHT = 0.2 / 2
"""Weight of a gamed baseline's row: λ = 0.2 shared by two of them."""

DRAWS = 200
"""Resamples behind the error: each is a fit at the strength of penalty that all questions chose."""


class GamedRow(Record, frozen=True, kw_only=True):
    """One row of ``df_gamed.csv``."""

    index: int
    """Number of the instruction, from 0."""
    preference: float | None
    """Share that the baseline under another prompt took, in [0, 1]; None where it was not judged."""
    std_delta_len: float
    """Baseline's length less its length, over the standard deviation."""
    instruction_difficulty: float
    """γ."""


class AlpacaWeights(Record, frozen=True, kw_only=True):
    """A model's two weights that predict it against any other."""

    theta: float
    """Its ``not_gamed_baseline`` weight."""
    psi: float
    """Its ``instruction_difficulty`` weight."""


def read_gamed(path: Path) -> list[GamedRow]:
    """The rows of ``df_gamed.csv``.

    Raises:
        FileError: it cannot be read, a column is missing, or a cell is no number.
    """
    rows = _rows(path, ("index", "preference", "std_delta_len", "instruction_difficulty"))
    found = []
    for line, row in enumerate(rows, 2):
        try:
            wanted = row["preference"].strip()
            found.append(
                GamedRow(
                    index=int(float(row["index"])),
                    preference=float(wanted) if wanted.lower() not in ("", "nan") else None,
                    std_delta_len=float(row["std_delta_len"]),
                    instruction_difficulty=float(row["instruction_difficulty"]),
                )
            )
        except ValueError as error:
            raise FileError(path, str(error), line=line) from None
    return found


def read_difficulty(path: Path) -> dict[int, float]:
    """Instruction's number → γ, of ``instruction_difficulty.csv``.

    Raises:
        FileError: it cannot be read, or a cell is no number.
    """
    found = {}
    for line, row in enumerate(_rows(path, ("instruction_difficulty",)), 2):
        try:
            first = next(iter(row.values()))
            found[int(float(first))] = float(row["instruction_difficulty"])
        except ValueError as error:
            raise FileError(path, str(error), line=line) from None
    return found


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, f"cannot be read: {error}") from None
    missing = [name for name in columns if not rows or name not in rows[0]]
    if missing:
        raise FileError(path, f"column {missing[0]!r} is missing; a side file of AlpacaEval 2 is wanted")
    return rows


def fit(
    preferences: Sequence[float],
    lengths: Sequence[float],
    baseline_lengths: Sequence[float],
    indices: Sequence[int],
    gamed: Sequence[GamedRow],
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> LengthControlled:
    """The published length-controlled win rate, with the error of the estimator.

    Args:
        preferences: share of the point that each of the model's answers took from the baseline's, in [0, 1].
        lengths: its length, in characters.
        baseline_lengths: the length of the baseline's answer.
        indices: number of each instruction in the order of AlpacaEval, from 0.
        gamed: rows of ``df_gamed.csv``.
        clusters: the question of each; None: ``indices``.
        draws: resamples of questions for the error; 0 gives none.
        seed: of numpy's default generator.
        level: coverage.

    Raises:
        UserError: what `length_control.fit` refuses, or an instruction that the gamed rows do not have.
        MissingPackage: scikit-learn is not installed.
    """
    known: dict[int, float] = {}
    for row in gamed:
        known.setdefault(row.index, row.instruction_difficulty)
    strange = sorted(set(indices) - set(known))
    if strange:
        raise UserError(f"instruction {strange[0]} is not in the gamed rows: its difficulty is unknown")
    difficulty = [known[index] for index in indices]
    points, gap, gamma, codes = observed(
        preferences, lengths, baseline_lengths, difficulty, list(indices) if clusters is None else clusters
    )
    assert gamma is not None
    groups = int(codes.max()) + 1
    held = [row for row in gamed if row.preference is not None]
    other = np.array([[math.tanh(row.std_delta_len), row.instruction_difficulty, 0.0] for row in held]).reshape(-1, 3)
    shares = np.array([row.preference for row in held], dtype=np.float64)
    base = np.full(len(held), GAMED_WEIGHT)

    def data(weights: Floats) -> tuple[Floats, Floats, Floats]:
        length = standardised(gap[None, :], weights[None, :])[0]
        own = np.column_stack([length, gamma, np.ones(len(points))])
        return np.vstack([other, own]), np.concatenate([shares, points]), np.concatenate([base, weights])

    strength, weights = _chosen(*data(np.ones(len(points))))
    fitted = special.expit(weights[2] + weights[1] * gamma)
    found = []
    if draws and groups > 1:
        for drawn in counts(codes, draws, np.random.default_rng(seed)):
            again = _penalised(*data(drawn), strength)
            found.append(float((drawn * special.expit(again[2] + again[1] * gamma)).sum() / drawn.sum()))
    return described(
        (points, gap, groups), fitted, {"theta": weights[2], "length": weights[0], "difficulty": weights[1]},
        np.array(found), (draws if found else 0, seed, level), True,
        f"L1 penalty, C = {strength:.4g} by cross-validation on {len(held)} gamed rows and the model's own",
    )  # fmt: skip


def against(model: AlpacaWeights, other: AlpacaWeights, difficulty: Mapping[int, float] | Sequence[float]) -> float:
    """Length-controlled win rate, in per cent, of one model against another: mean σ(Δθ + Δψ γ) over instructions."""
    gamma = np.array(list(difficulty.values()) if isinstance(difficulty, Mapping) else list(difficulty))
    return 100 * float(special.expit(model.theta - other.theta + (model.psi - other.psi) * gamma).mean())


def _settings() -> dict[str, Any]:
    """What both of scikit-learn's estimators are built with; the name of the L1 penalty changed in 1.8."""
    try:
        import sklearn
    except ModuleNotFoundError:
        raise MissingPackage("scikit-learn", "length") from None
    major, minor = (int(part) for part in sklearn.__version__.split(".")[:2])
    return {"solver": "liblinear", "fit_intercept": False, "random_state": 123} | (
        {} if (major, minor) >= (1, 8) else {"penalty": "l1"}
    )


def _doubled(design: Floats, shares: Floats, weights: Floats) -> tuple[Floats, Any, Floats]:
    """Each row once as a win and once as a loss, weighing its share: so scikit-learn takes shares as outcomes."""
    outcome = np.repeat([1, 0], len(shares))
    return np.vstack([design, design]), outcome, np.concatenate([weights * shares, weights * (1 - shares)])


def _log_loss(outcome: Any, chance: Any, *, share: Any, weight: Any) -> float:
    """Weighted mean log loss of a doubled fold, by each row's own share."""
    aim = np.where(outcome == 1, share, 1 - share)
    chance = np.clip(chance, 1e-15, 1 - 1e-15)
    return -float(np.mean(weight * (aim * np.log(chance) + (1 - aim) * np.log(1 - chance))))


def _chosen(design: Floats, shares: Floats, weights: Floats) -> tuple[float, Floats]:
    """The strength of penalty (C) that five folds of questions choose, and the coefficients at it."""
    settings = _settings()
    import sklearn
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import GroupKFold

    modern = "penalty" not in settings
    x, outcome, both = _doubled(design, shares, weights)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(_log_loss, response_method="predict_proba", greater_is_better=False)
        scorer = scorer.set_score_request(share=True, weight=True)
        extra: dict[str, Any] = {"l1_ratios": (1.0,), "use_legacy_attributes": False} if modern else {}
        model = LogisticRegressionCV(Cs=10, cv=GroupKFold(5), scoring=scorer, **settings, **extra)
        model.set_fit_request(sample_weight=True)
        model.fit(
            x, outcome, sample_weight=both, groups=np.tile(np.arange(len(shares)), 2),
            share=np.concatenate([shares, 1 - shares]), weight=np.concatenate([weights, weights]),
        )  # fmt: skip
    return float(np.ravel(model.C_)[0]), np.asarray(model.coef_[0], dtype=np.float64)


def _penalised(design: Floats, shares: Floats, weights: Floats, strength: float) -> Floats:
    """The coefficients at a given strength of penalty."""
    settings = _settings()
    from sklearn.linear_model import LogisticRegression

    extra = {"l1_ratio": 1.0} if "penalty" not in settings else {}
    x, outcome, both = _doubled(design, shares, weights)
    kept = both > 0
    model = LogisticRegression(C=strength, **settings, **extra).fit(x[kept], outcome[kept], sample_weight=both[kept])
    return np.asarray(model.coef_[0], dtype=np.float64)
