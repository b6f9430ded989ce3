"""A panel's verdict out of its judges' verdicts: mean, majority, weighted by agreement, Dawid-Skene, weighed by labels.

The methods are those of `judgebench.ratings.juries`; here they take points and give points, so that what comes out is
a verdict like any other. Weights from labels are cross-fitted: no label has a say in the verdict on its own question,
so that a panel may be held against the very people who anchor it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, get_args

import numpy as np

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.juries import (
    Consensus,
    anchored_weights,
    dawid_skene,
    effective_judges,
    majority,
    weighted_vote,
)
from judgebench.ratings.label_tables import missing
from judgebench.types import Record

Method = Literal["mean", "majority", "reliability", "dawid-skene", "anchored"]
"""How a panel comes to its verdict.

mean: the mean of the judges' points. majority: the verdict of most, a split is undecided. reliability: the mean,
weighted by how far each judge agrees with the others. dawid-skene: expected points under Dawid and Skene's model.
anchored: expected points under votes weighted by people's labels.
"""

Points = Sequence[Sequence[float | None]]
"""Rows × judges: the first answer's share of the point in [0, 1]; None is unscored."""

QUORUM = 2
"""Judges without whose verdicts a panel has none."""

FOLDS = 5
"""Parts of the questions with labels; the weights for one part come from the others."""

LEAST_ROWS = 4
"""Rows with which two judges' errors can be correlated: fewer fit their labels exactly, or nearly."""

SLACK = 1e-9
"""Points this near to a half are a tie."""


class PanelVerdicts(Record, frozen=True, kw_only=True):
    """What a panel says of every row."""

    points: tuple[float | None, ...]
    """The first answer's share of the point; None where there is no quorum or the votes are split."""
    weights: tuple[float, ...]
    """Weight of each judge, over all rows; equal for a mean and a majority."""
    undecided: int
    """Rows with a quorum and no verdict."""
    note: str = ""
    """What a reader must know."""


class SharedErrors(Record, frozen=True, kw_only=True):
    """How far judges err together."""

    correlation: float | None
    """Mean over pairs of judges of the correlation of their errors; None where no pair has one."""
    effective_judges: float | None
    """k / (1 + (k - 1) r): so many independent judges the panel is worth."""
    pairs: int
    """Pairs of judges with a correlation."""


def panel_verdicts(
    points: Points,
    method: Method = "mean",
    truth: Sequence[float | None] | None = None,
    clusters: Sequence[Hashable] | None = None,
    *,
    bounded: bool = True,
) -> PanelVerdicts:
    """A panel's points for every row.

    Args:
        points: rows × judges.
        method: how it comes to them.
        truth: people's points of each row, None where there are none; only ``anchored`` looks at them.
        clusters: the question of each row; rows are questions by default.
        bounded: whether points are shares in [0, 1]; where not (grades), only ``mean`` pools them, as they are.

    Raises:
        UserError: fewer than two judges, rows of unlike length, points outside [0, 1] or not finite, an unknown method,
            one that does not pool grades, or labels on fewer than two questions for ``anchored``.

    >>> panel_verdicts([[1, 1, 0], [1, 0, None], [1, None, None]], "majority").points
    (1.0, None, None)
    """
    if method not in get_args(Method):
        raise UserError(f"panel method {method!r}: {did_you_mean(method, get_args(Method))}")
    if len({len(row) for row in points}) > 1 or any(len(row) < QUORUM for row in points):
        raise UserError("a panel has at least two judges, and every row a place for each")
    given = [value for row in points for value in row if value is not None]
    if bounded and any(not 0 <= value <= 1 for value in given):
        raise UserError("a panel takes points in [0, 1]")
    if not bounded and method != "mean":
        raise UserError(f"panel method {method!r} decides on pairs: grades are averaged (mean)")
    if not all(map(math.isfinite, given)):
        raise UserError("a panel takes finite numbers, and None where a judge is unscored")
    here = [at for at, row in enumerate(points) if sum(value is not None for value in row) >= QUORUM]
    count = len(points[0]) if points else 0
    even = (1.0,) * count
    found: list[float | None] = [None] * len(points)
    if not here:
        return PanelVerdicts(points=tuple(found), weights=even, undecided=0, note="no row has a quorum")
    rows = [points[at] for at in here]
    votes = [[_vote(value) for value in row] for row in rows]
    weights, note = even, ""
    if method == "mean":
        said: Sequence[float | None] = [_mean(row, even) for row in rows]
    elif method == "majority":
        said = [None if label is None else float(str(label)) for label in majority(votes).labels]
    elif method == "reliability":
        weights = agreement_weights(votes)
        said = [_mean(row, weights) for row in rows]
    elif method == "dawid-skene":
        consensus = dawid_skene(votes)
        said = _expected(consensus)
        weights = tuple(_accuracy(consensus, judge) for judge in range(count))
        note = "Dawid-Skene takes judges as independent given the truth: where they share errors it is over-confident"
    else:
        labels = [None] * len(points) if truth is None else [_vote(value) for value in truth]
        questions = list(range(len(points))) if clusters is None else list(clusters)
        if len(labels) != len(points) or len(questions) != len(points):
            raise UserError("one label (or None) and one question for each row are meant")
        said, weights = _anchored(votes, [labels[at] for at in here], [questions[at] for at in here])
    for at, value in zip(here, said, strict=True):
        found[at] = value
    return PanelVerdicts(
        points=tuple(found), weights=weights, undecided=sum(value is None for value in said), note=note
    )


def agreement_weights(votes: Sequence[Sequence[Hashable | None]]) -> tuple[float, ...]:
    """Weight of each judge by how often it says what the majority of the others says, without any label.

    ln(p / (1 - p)) with p = (agreed + 1) / (compared + 2), and 0 where that is below 0; equal weights where all are 0.
    Judges that share an error agree too: this is reliability among themselves, not truth.
    """
    count = len(votes[0]) if votes else 0
    weights = []
    for judge in range(count):
        own = [None if missing(row[judge]) else row[judge] for row in votes]
        others = [[vote for at, vote in enumerate(row) if at != judge] for row in votes]
        known = [at for at, row in enumerate(others) if own[at] is not None and not all(map(missing, row))]
        labels = majority([others[at] for at in known]).labels if known else ()
        pairs = [(own[at], label) for at, label in zip(known, labels, strict=True) if label is not None]
        share = (sum(mine == label for mine, label in pairs) + 1) / (len(pairs) + 2)
        weights.append(max(0.0, math.log(share / (1 - share))))
    return tuple(weights) if any(weights) else (1.0,) * count


def shared_errors(points: Points, truth: Sequence[float | None]) -> SharedErrors:
    """How far judges err together: the correlation of their values over rows with a label, given the label.

    Each judge's values are first freed of what is linear in the label, so that what two judges rightly have in common
    is no shared error. For verdicts that are right or wrong `judgebench.ratings.juries.jury_card` counts errors.

    Args:
        points: rows × judges, on any one scale.
        truth: people's value of each row on that scale; None or NaN where there is none, as in ``points``.

    Raises:
        UserError: lengths differ.
    """
    if len(points) != len(truth):
        raise UserError(f"one label (or None) for each row, found {len(truth)} for {len(points)}")
    count = len(points[0]) if points else 0
    found = []
    for one in range(count):
        for other in range(one):
            known = [
                (first, second, label)
                for row, label in zip(points, truth, strict=True)
                if not missing(label) and not missing(first := row[one]) and not missing(second := row[other])
            ]
            values = np.array(known, dtype=np.float64).reshape(-1, 3)
            if len(values) < LEAST_ROWS:
                continue
            given = np.column_stack([np.ones(len(values)), values[:, 2]])
            errors = values[:, :2] - given @ np.linalg.lstsq(given, values[:, :2], rcond=None)[0]
            if float(np.ptp(errors, axis=0).min()) > SLACK:
                found.append(float(np.corrcoef(errors[:, 0], errors[:, 1])[0, 1]))
    mean = math.fsum(found) / len(found) if found else None
    return SharedErrors(
        correlation=mean, effective_judges=None if mean is None else effective_judges(count, mean), pairs=len(found)
    )


def _anchored(
    votes: Sequence[Sequence[float | None]], labels: Sequence[float | None], questions: Sequence[Hashable]
) -> tuple[list[float | None], tuple[float, ...]]:
    """Expected points, and the weights by all labels; a row's own question never weighs it."""
    known = list(dict.fromkeys(q for q, label in zip(questions, labels, strict=True) if label is not None))
    if len(known) < 2:
        raise UserError(f"an anchored panel needs people's labels on two questions or more, found {len(known)}")
    folds = min(FOLDS, len(known))
    fold = {question: at % folds for at, question in enumerate(known)}
    said: list[float | None] = [None] * len(votes)
    for part in (None, *range(folds)):
        kept = [at for at, q in enumerate(questions) if labels[at] is not None and (part is None or fold[q] != part)]
        weights = anchored_weights([votes[at] for at in kept], [labels[at] for at in kept])
        if part is None:
            overall = tuple(weights)
        meant = [at for at, q in enumerate(questions) if fold.get(q) == part]
        if meant:
            for at, value in zip(meant, _expected(weighted_vote([votes[at] for at in meant], weights)), strict=True):
                said[at] = value
    return said, overall


def _vote(value: float | None) -> float | None:
    """Win, tie or loss as 1, 0.5 and 0."""
    return None if value is None else 0.5 if abs(value - 0.5) <= SLACK else float(value > 0.5)


def _mean(row: Sequence[float | None], weights: Sequence[float]) -> float | None:
    pairs = [(value, weight) for value, weight in zip(row, weights, strict=True) if value is not None]
    total = math.fsum(weight for _, weight in pairs)
    return math.fsum(value * weight for value, weight in pairs) / total if total else None


def _expected(found: Consensus) -> list[float | None]:
    values = [float(str(name)) for name in found.classes]
    return [math.fsum(p * v for p, v in zip(row, values, strict=True)) for row in found.probabilities]


def _accuracy(found: Consensus, judge: int) -> float:
    """Chance that a judge's vote is right, by Dawid and Skene's own estimate."""
    return math.fsum(prior * found.confusion[judge][at][at] for at, prior in enumerate(found.priors))
