"""People and judges together: a mean that is right by people's labels and narrow by the judge's verdicts.

Sources: Angelopoulos et al. 2023, "Prediction-powered inference" (λ = 1); Angelopoulos, Duchi and Zrnic 2023, "PPI++"
(λ tuned). The labels must be a random sample of what the judge judged; otherwise no formula here holds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import FLAT, Codes, Floats, cluster_codes, finite, normal_quantile, t_quantile
from judgebench.types import Record

FEW_LABELS = 20
"""Below this many labelled questions the normal quantile is not trusted: Student's t, and the note says so."""

NOT_RANDOM = (
    "the people's labels were not drawn at random from what the judge judged: calibration by them (PPI) is refused, as "
    "no interval would hold"
)


class PPIEstimate(Record, frozen=True, kw_only=True):
    """A prediction-powered mean beside people alone and the judge alone; undefined is None, ``note`` says why."""

    value: float
    """λ · mean of the judge on the unlabelled + mean of (human - λ · judge) on the labelled."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""
    se: float | None
    """Standard error."""
    lam: float
    """λ in [0, 1]: how far the judge is trusted to narrow the interval; 0 is people alone, 1 plain PPI."""
    rectifier: float
    """Mean of human - judge on the labelled: the judge's bias."""
    human_value: float
    """Mean of the labels alone."""
    human_low: float | None
    """Lower end of people alone."""
    human_high: float | None
    """Upper end of people alone."""
    human_se: float | None
    """Standard error of people alone."""
    judge_value: float | None
    """Mean of the judge on the unlabelled; None where there are none."""
    judge_low: float | None
    """Lower end of the judge alone: covers the judge's mean, not people's."""
    judge_high: float | None
    """Upper end of the judge alone."""
    judge_se: float | None
    """Standard error of the judge alone."""
    effective_n_ratio: float | None
    """Squared ratio of the errors of people alone and of this: how many times the labels it is worth."""
    n_human: int
    """Labels."""
    n_judge: int
    """Verdicts without a label."""
    clusters: int
    """Labelled questions."""
    method: str = "ppi"
    """``ppi``, or ``augmented`` where labels were drawn with known chances."""
    note: str = ""
    """What a reader must know."""


def ppi_mean(
    human: Sequence[float],
    judge_on_human: Sequence[float],
    judge_only: Sequence[float],
    *,
    lam: float | None = None,
    folds: int = 1,
    human_clusters: Sequence[Hashable] | None = None,
    judge_clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    seed: int = 0,
    random_sample: bool = True,
) -> PPIEstimate:
    """Mean of people's scores over all that the judge judged, from a random sample of labels (PPI, PPI++).

    θ = λ mean_N f + mean_n(Y - λ f), Var = λ² Var(f)/N + Var(Y - λ f)/n, λ = Cov(Y, f) / ((1 + n/N) Var f) cut to [0,
    1] (PPI++, section 6; variances by n, the pooled one of λ by n - 1). With clusters the variance is that of the
    questions' summed parts, labelled and not, times G/(G-1), and the quantile is Student's with G - 1 degrees of
    freedom, G being the labelled questions. Under `FEW_LABELS` of them without clusters given, t(n-1) and n/(n-1)
    likewise.

    Args:
        human: n labels.
        judge_on_human: the judge's scores of the same n.
        judge_only: the judge's scores of N others.
        lam: λ; None tunes it.
        folds: above 1, λ of a fold is tuned on the others, so that no label tunes its own weight.
        human_clusters: question of each label; None: one each.
        judge_clusters: question of each unlabelled verdict; a question may be on both sides.
        level: coverage.
        seed: of the folds.
        random_sample: the declaration that the labelled are a random sample.

    Raises:
        UserError: not a random sample; no labels; lengths that differ; a score that is not finite; λ outside [0, 1].
    """
    if not random_sample:
        raise UserError(NOT_RANDOM)
    y, f, rest = finite(human), finite(judge_on_human), finite(judge_only)
    if len(y) != len(f):
        raise UserError(f"every label needs the judge's score of the same, found {len(y)} and {len(f)}")
    if len(y) == 0:
        raise UserError("no labels: a judge cannot be calibrated by nobody")
    if lam is not None and not 0 <= lam <= 1:
        raise UserError(f"λ must lie in [0, 1], found {lam}")
    if (human_clusters is None) != (judge_clusters is None) and len(rest):
        raise UserError("give the questions of both the labelled and the unlabelled, or of neither")
    codes, labelled = _shared_codes(human_clusters, judge_clusters, len(y), len(rest))
    clustered = human_clusters is not None
    notes = []
    if len(rest) == 0:
        lam = 0.0
        notes.append("every verdict is labelled: people alone")
    weights, odd = _weights(y, f, rest, codes[: len(y)], (lam, folds, seed))
    notes += odd
    value = float(np.mean(y - weights * f)) + (float(weights.mean()) * float(rest.mean()) if len(rest) else 0.0)
    few = labelled < FEW_LABELS
    if few:
        notes.append(f"{labelled} labelled questions: Student's t, and the interval is rough")
    exact = clustered or few
    quantile = _quantile(level, labelled, exact=exact)
    residual = _centred_by(y - weights * f, weights)
    parts = np.concatenate(
        [residual / len(y), weights.mean() * (rest - rest.mean()) / len(rest) if len(rest) else rest]
    )
    se = _clustered_root(parts, codes, labelled, exact=exact)
    human_se = _clustered_root((y - y.mean()) / len(y), codes[: len(y)], labelled, exact=exact)
    low, high = _around(value, se, quantile)
    human_low, human_high = _around(float(y.mean()), human_se, quantile)
    judge_value, judge_se, judge_low, judge_high = _alone(rest, codes[len(y) :], level, clustered=clustered)
    if judge_se is not None and judge_se < FLAT:
        notes.append("the judge's scores alone never vary: no interval of theirs")
        judge_low = judge_high = None
    if human_se is not None and human_se < FLAT:
        human_low = human_high = None
    if se is None:
        notes.append("one labelled question: no interval")
    elif se < FLAT:
        notes.append("no variation between questions: no interval")
        low = high = human_low = human_high = None
    return PPIEstimate(
        value=value, low=low, high=high, se=se, lam=float(weights.mean()), rectifier=float(np.mean(y - f)),
        human_value=float(y.mean()), human_low=human_low, human_high=human_high, human_se=human_se,
        judge_value=judge_value, judge_low=judge_low, judge_high=judge_high, judge_se=judge_se,
        effective_n_ratio=human_se**2 / se**2 if se and human_se else None, n_human=len(y), n_judge=len(rest),
        clusters=labelled, note="; ".join(notes),
    )  # fmt: skip


def tuned_lambda(human: Sequence[float], judge_on_human: Sequence[float], judge_only: Sequence[float]) -> float | None:
    """λ of PPI++ for a mean: Cov(Y, f) / ((1 + n/N) Var f), cut to [0, 1]; None where the judge never varies.

    Raises:
        UserError: a score that is not finite, or lengths that differ.
    """
    y, f, rest = finite(human), finite(judge_on_human), finite(judge_only)
    if len(y) != len(f):
        raise UserError(f"every label needs the judge's score of the same, found {len(y)} and {len(f)}")
    return _lambda(y, f, rest)


def _lambda(y: Floats, f: Floats, rest: Floats) -> float | None:
    both = np.concatenate([f, rest])
    if not len(y) or not len(rest) or np.ptp(both) < FLAT:
        return None
    found = float(np.mean((y - y.mean()) * (f - f.mean()))) / ((1 + len(y) / len(rest)) * float(both.var(ddof=1)))
    return min(1.0, max(0.0, found))


def _weights(
    y: Floats, f: Floats, rest: Floats, codes: Codes, settings: tuple[float | None, int, int]
) -> tuple[Floats, list[str]]:
    """λ of every label, and notes."""
    lam, folds, seed = settings
    if lam is not None:
        return np.full(len(y), lam), []
    questions = np.unique(codes)
    folds = min(folds, len(questions))
    if folds < 2:
        found = _lambda(y, f, rest)
        notes = ["the judge's scores never vary: people alone"] if found is None else []
        return np.full(len(y), 0.0 if found is None else found), notes
    of_question = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    of_question[np.random.default_rng(seed).permutation(questions)] = np.arange(len(questions)) % folds
    fold = of_question[codes]
    weights = np.zeros(len(y))
    for number in range(folds):
        inside = fold == number
        weights[inside] = _lambda(y[~inside], f[~inside], rest) or 0.0
    return weights, []


def _shared_codes(
    human: Sequence[Hashable] | None, judge: Sequence[Hashable] | None, n: int, rest: int
) -> tuple[Codes, int]:
    """Cluster numbers of the labelled, then of the unlabelled, and how many clusters hold a label."""
    if human is None:
        return cluster_codes(None, n + rest), n
    codes = cluster_codes([*human, *(() if judge is None else judge)], n + rest)
    return codes, len(np.unique(codes[:n]))


def _centred_by(values: Floats, weights: Floats) -> Floats:
    """The values less the mean of those that share a weight (a fold)."""
    centred = values.copy()
    for weight in np.unique(weights):
        inside = weights == weight
        centred[inside] -= values[inside].mean()
    return centred


def _clustered_root(parts: Floats, codes: Codes, labelled: int, *, exact: bool) -> float | None:
    """Root of the summed squares of the clusters' sums; with the small-sample factor where ``exact``."""
    if labelled < 2:
        return None
    sums = np.bincount(codes, weights=parts)
    return math.sqrt(float(sums @ sums) * (labelled / (labelled - 1) if exact else 1.0))


def _quantile(level: float, labelled: int, *, exact: bool) -> float:
    return t_quantile(level, labelled - 1) if exact and labelled > 1 else normal_quantile(level)


def _around(value: float, se: float | None, quantile: float) -> tuple[float | None, float | None]:
    return (None, None) if se is None else (value - quantile * se, value + quantile * se)


def _alone(
    rest: Floats, codes: Codes, level: float, *, clustered: bool
) -> tuple[float | None, float | None, float | None, float | None]:
    """The judge's own mean, error and interval over the unlabelled."""
    if not len(rest):
        return None, None, None, None
    mean, questions = float(rest.mean()), len(np.unique(codes))
    se = _clustered_root((rest - mean) / len(rest), codes, questions, exact=clustered)
    low, high = _around(mean, se, _quantile(level, questions, exact=clustered))
    return mean, se, low, high
