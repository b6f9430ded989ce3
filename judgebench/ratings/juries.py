"""Several judges together: majority, Dawid–Skene, votes weighted and stacked by people's labels, and what a jury is
worth.

Sources: Dawid and Skene 1979 (EM over confusion matrices, begun at the vote shares); log-odds weights: Nitzan and
Paroush 1982; effective number: Kish 1965. A jury whose judges share their errors can be worse than its best judge and
more sure of it, so none should be used without labels that anchor it: see `jury_card`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import FLAT, Codes, Floats, finite
from judgebench.ratings.label_tables import missing
from judgebench.types import Record

Votes = Sequence[Sequence[Hashable | None]]
"""Items × judges; None where a judge gave no verdict."""


class Consensus(Record, frozen=True, kw_only=True):
    """What judges say together."""

    classes: tuple[Hashable, ...]
    """The verdicts that occur, sorted; the order of ``probabilities``."""
    labels: tuple[Hashable | None, ...]
    """Verdict of each item; None where the best two are equal or nobody voted."""
    probabilities: tuple[tuple[float, ...], ...]
    """Items × classes; for a majority the shares of votes."""
    undecided: int
    """Items without a label."""
    priors: tuple[float, ...] = ()
    """Dawid-Skene: share of each class."""
    confusion: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """Dawid-Skene: judge × true class × verdict, chances."""
    iterations: int = 0
    """Dawid-Skene: rounds of EM."""


class JuryCard(Record, frozen=True, kw_only=True):
    """What a jury is worth by people's labels."""

    judges: int
    """Judges."""
    items: int
    """Items with a label."""
    accuracy: tuple[float, ...]
    """Of each judge, on what it voted on."""
    best: float
    """The best judge's."""
    majority: float
    """The majority's; undecided counts as wrong."""
    correlations: tuple[tuple[float | None, ...], ...]
    """Judges × judges: correlation of their errors; None where one never, or always, errs."""
    error_correlation: float | None
    """Mean over pairs."""
    effective_judges: float | None
    """k / (1 + (k - 1) r): so many independent judges the jury is worth."""
    note: str = ""
    """What a reader must know."""


def majority(votes: Votes) -> Consensus:
    """The verdict that most judges give; ties and items without votes stay undecided.

    Raises:
        UserError: no votes at all, or rows of unlike length.
    """
    classes, table = _table(votes)
    counts = table.sum(axis=1)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, counts / np.maximum(total, 1), 1 / len(classes))
    return _consensus(classes, shares)


def dawid_skene(votes: Votes, iterations: int = 100, tolerance: float = 1e-12) -> Consensus:
    """Dawid and Skene's EM: each judge's confusion matrix and each item's verdict, from the votes alone.

    Begun at the vote shares; ended when the evidence lower bound, over the number of votes, moves by less than
    ``tolerance`` in a round, or after ``iterations`` rounds. 1e-5 stops where crowd-kit does by default, which can be a
    hundredth of a probability short of the fixed point. It takes judges as independent given the truth: where they
    share errors it is over-confident.

    Args:
        votes: items × judges; None where there is none.
        iterations: most rounds.
        tolerance: as above.

    Raises:
        UserError: no votes at all, rows of unlike length, or fewer than one round.
    """
    if iterations < 1:
        raise UserError(f"Dawid-Skene needs at least one round, found {iterations}")
    classes, table = _table(votes)
    count = max(1.0, float(table.sum()))
    voted = table.sum(axis=1)
    total = voted.sum(axis=1, keepdims=True)
    chances: Floats = np.where(total > 0, voted / np.maximum(total, 1), 1 / len(classes))
    reached = -math.inf
    priors, confusion = _maximised(table, chances)
    rounds = 0
    while rounds < iterations:
        rounds += 1
        logs = np.log(priors) + np.einsum("ijo,jto->it", table, np.log(confusion))
        chances = special.softmax(logs, axis=1)
        priors, confusion = _maximised(table, chances)
        # As crowd-kit counts it: the prior of an item once for each of its votes.
        bound = total * np.log(priors) + np.einsum("ijo,jto->it", table, np.log(confusion))
        level = float((chances * bound).sum() + special.entr(chances).sum()) / count
        if abs(level - reached) < tolerance:
            break
        reached = level
    found = _consensus(classes, chances)
    return Consensus(
        classes=found.classes, labels=found.labels, probabilities=found.probabilities, undecided=found.undecided,
        priors=tuple(float(each) for each in priors),
        confusion=tuple(tuple(tuple(float(each) for each in row) for row in judge) for judge in confusion),
        iterations=rounds,
    )  # fmt: skip


def anchored_weights(votes: Votes, truth: Sequence[Hashable]) -> list[float]:
    """Log-odds weight of each judge by people's labels: ln(p (K - 1) / (1 - p)), p = (right + 1) / (votes + 2).

    A judge worse than chance gets a negative weight; one without a vote on the anchors 0.

    Args:
        votes: anchor items × judges.
        truth: people's label of each anchor.

    Raises:
        UserError: lengths that differ, no anchors, or one without a label.
    """
    right, given = _right(votes, truth)
    kinds = max(2, len({*truth} | {each for row in votes for each in row if not missing(each)}))
    share = (right.sum(axis=0) + 1) / (given.sum(axis=0) + 2)
    weights = np.log(share * (kinds - 1) / (1 - share))
    return [float(each) for each in np.where(given.sum(axis=0) > 0, weights, 0.0)]


def weighted_vote(votes: Votes, weights: Sequence[float]) -> Consensus:
    """The verdict of the largest sum of weights; probabilities are the softmax of the sums.

    Raises:
        UserError: not one weight for each judge, or no votes.
    """
    classes, table = _table(votes)
    weight = finite(weights)
    if len(weight) != table.shape[1]:
        raise UserError(f"one weight for each judge, found {len(weight)} for {table.shape[1]}")
    return _consensus(classes, special.softmax(np.einsum("ijo,j->io", table, weight), axis=1))


def stacked(
    anchor_scores: Sequence[Sequence[float | None]],
    truth: Sequence[float],
    scores: Sequence[Sequence[float | None]],
    ridge: float = 1.0,
) -> list[float]:
    """People's score of each item as predicted by a ridge regression on all judges, fitted to the anchors; cut to [0,
    1].

    Args:
        anchor_scores: anchors × judges, in [0, 1]; a verdict not given counts as the judge's mean over its anchors.
        truth: people's score of each anchor, in [0, 1].
        scores: items × judges.
        ridge: penalty on the judges' weights, about equal and summing to one: so few anchors fall back on the mean
            judge.

    Returns:
        A score for each row of ``scores``, NaN for one without any verdict.

    Raises:
        UserError: fewer than two anchors, lengths that differ, or a ridge that is not above 0.
    """
    if not len(scores):
        return []
    y = finite(truth)
    known, fresh = _filled(anchor_scores), _filled(scores)
    if len(known) != len(y) or len(y) < 2 or known.shape[1] != fresh.shape[1]:
        raise UserError("stacking needs two anchors or more, and the same judges on anchors and items")
    if not ridge > 0:
        raise UserError(f"ridge must be above 0, found {ridge}")
    means = np.nan_to_num(np.nanmean(np.where(np.isnan(known).all(axis=0), 0.5, known), axis=0), nan=0.5)
    x = np.where(np.isnan(known), means, known) - means
    even = np.full(x.shape[1], 1 / x.shape[1])
    residual = y - y.mean() - x @ even
    weights = even + np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ residual)
    found = y.mean() + (np.where(np.isnan(fresh), means, fresh) - means) @ weights
    unknown = np.isnan(fresh).all(axis=1)
    return [float(each) for each in np.where(unknown, math.nan, np.clip(found, 0, 1))]


def jury_card(votes: Votes, truth: Sequence[Hashable]) -> JuryCard:
    """Each judge's accuracy, the correlation of errors and the effective number of judges, by people's labels.

    Args:
        votes: labelled items × judges.
        truth: people's label of each.

    Raises:
        UserError: lengths that differ, no labels, or fewer than two judges.
    """
    right, given = _right(votes, truth)
    judges = right.shape[1]
    if judges < 2:
        raise UserError("a jury has at least two judges")
    accuracy = right.sum(axis=0) / np.maximum(given.sum(axis=0), 1)
    pairs: list[list[float | None]] = [[1.0 if a == b else None for b in range(judges)] for a in range(judges)]
    for a in range(judges):
        for b in range(a):
            both = given[:, a] & given[:, b]
            first, second = right[both, a].astype(float), right[both, b].astype(float)
            if len(first) > 1 and np.ptp(first) > FLAT and np.ptp(second) > FLAT:
                pairs[a][b] = pairs[b][a] = float(np.corrcoef(first, second)[0, 1])
    known = [pairs[a][b] for a in range(judges) for b in range(a)]
    defined = [each for each in known if each is not None]
    mean = sum(defined) / len(defined) if defined else None
    whole = sum(label == true for label, true in zip(majority(votes).labels, truth, strict=True)) / len(truth)
    best = float(accuracy.max())
    undefined = len(known) - len(defined)
    notes = [f"{undefined} pairs of judges without an error correlation"] if undefined else []
    if whole < best:
        notes.append("the majority is worse than the best judge alone: weigh the votes by labels, or use that judge")
    if len(truth) < 30:
        notes.append(f"{len(truth)} labels: rough")
    return JuryCard(
        judges=judges, items=len(truth), accuracy=tuple(float(each) for each in accuracy), best=best, majority=whole,
        correlations=tuple(tuple(row) for row in pairs), error_correlation=mean,
        effective_judges=None if mean is None else effective_judges(judges, mean), note="; ".join(notes),
    )  # fmt: skip


def effective_judges(judges: int, correlation: float) -> float:
    """How many independent judges k judges of error correlation r are worth: k / (1 + (k - 1) r), r below 0 taken as 0.

    Raises:
        UserError: no judges, or a correlation outside [-1, 1].

    >>> effective_judges(5, 0.5)
    1.6666666666666667
    """
    if judges < 1 or not -1 <= correlation <= 1:
        raise UserError(f"one judge or more and a correlation in [-1, 1], found {judges} and {correlation}")
    return judges / (1 + (judges - 1) * max(0.0, correlation))


def _table(votes: Votes) -> tuple[list[Hashable], Floats]:
    """Classes, and items × judges × classes of 0 and 1."""
    if len({len(row) for row in votes}) > 1:
        raise UserError("every item needs one vote (or None) from each judge")
    kinds = {each for row in votes for each in row if not missing(each)}
    if not kinds:
        raise UserError("no votes: all are unscored")
    classes = sorted(
        kinds, key=lambda each: (str(type(each)), each) if isinstance(each, (int, float, str)) else ("", str(each))
    )
    index: Mapping[Hashable, int] = {name: number for number, name in enumerate(classes)}
    table = np.zeros((len(votes), len(votes[0]), len(classes)))
    for item, row in enumerate(votes):
        for judge, vote in enumerate(row):
            if not missing(vote):
                table[item, judge, index[vote]] = 1
    return classes, table


def _maximised(table: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """Priors, and judge × true × verdict, of the items' chances."""
    priors = np.maximum(chances.mean(axis=0), 1e-10)
    counts = np.maximum(np.einsum("ijo,it->jto", table, chances), 1e-10)
    return priors, counts / counts.sum(axis=2, keepdims=True)


def _consensus(classes: Sequence[Hashable], chances: Floats) -> Consensus:
    best = chances.max(axis=1, keepdims=True)
    alone = (chances > best - 1e-9).sum(axis=1) == 1
    chosen = chances.argmax(axis=1)
    labels = tuple(classes[int(k)] if one else None for k, one in zip(chosen, alone, strict=True))
    return Consensus(
        classes=tuple(classes), labels=labels, probabilities=tuple(tuple(float(p) for p in row) for row in chances),
        undecided=int((~alone).sum()),
    )  # fmt: skip


def _right(votes: Votes, truth: Sequence[Hashable]) -> tuple[Codes, np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """Items × judges: whether right, and whether voted."""
    if len(votes) != len(truth) or not len(truth):
        raise UserError(f"one label for each row of votes, and at least one, found {len(truth)} for {len(votes)}")
    if len({len(row) for row in votes}) > 1:
        raise UserError("every item needs one vote (or None) from each judge")
    if any(map(missing, truth)):
        raise UserError("a row has no label: leave out what people did not label")
    right = np.array([[int(each == true) for each in row] for row, true in zip(votes, truth, strict=True)])
    return right, np.array([[not missing(each) for each in row] for row in votes])


def _filled(scores: Sequence[Sequence[float | None]]) -> Floats:
    return np.array([[math.nan if each is None else float(each) for each in row] for row in scores], dtype=np.float64)
