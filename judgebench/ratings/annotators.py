"""What AlpacaEval's analyzer says of an annotator: human agreement, bias, variance, P(prefers lists).

Preferences are numbers, as AlpacaEval's 1 and 2 or points in [0, 1]; a probability stays one. Two preferences agree by
1 - |a - b|, which is 1 or 0 for plain choices. The majority is the median; where it falls between two choices, both
count half: the expectation of the reference's random draw.

Source: Dubois et al. 2023 (AlpacaFarm, section 3 and appendix); AlpacaEval's analyzer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Hashable, Sequence

from judgebench.errors import UserError
from judgebench.ratings.intervals import Estimate, clustered_interval
from judgebench.ratings.label_tables import missing
from judgebench.ratings.resampling import same_length
from judgebench.ratings.style import style_counts

Preferences = Sequence[Sequence[float | None]]
"""A row for each pair judged, a column for each sample of the judge, or each person; None or NaN is unscored."""


def human_agreement(
    judge: Preferences | Sequence[float | None],
    people: Preferences,
    votes: int | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Mean agreement of one verdict of the judge with the people's majority, in [0, 1].

    For people themselves give `leave_one_out`, which compares each with the majority of the others.

    Args:
        judge: a preference, or several samples, for each pair; samples are averaged over, not put to a vote.
        people: the people's preferences on the same pairs.
        votes: people in a majority; every choice of that many is averaged over. All by default.
        clusters: the question of each pair; pairs are questions by default.
        level: coverage.

    Returns:
        Estimate: pairs without a verdict or without people are left out and counted in the note.

    Raises:
        UserError: lengths differ, or preferences that are more than 1 apart.

    >>> human_agreement([1, 2], [[1, 1, 2], [1, 1, 1]]).value
    0.5
    """
    return _agreement(_rows(judge), people, 1, votes, clusters, level)


def leave_one_out(people: Preferences, *, clusters: Sequence[Hashable] | None = None, level: float = 0.95) -> Estimate:
    """Mean agreement of one person with the majority of the others: the human agreement of people themselves.

    >>> leave_one_out([[1, 1, 1, 1], [2, 2, 2, 1]]).value
    0.875
    """
    same_length([people] if clusters is None else [people, clusters])
    scores: list[float | None] = []
    for row in people:
        known = [float(value) for value in row if value is not None and not missing(value)]
        each = [
            _alike([value], known[:place] + known[place + 1 :]) for place, value in enumerate(known) if len(known) > 1
        ]
        scores.append(math.fsum(each) / len(each) if each else None)
    return _mean(scores, clusters, level)


def annotator_variance(
    judge: Preferences, *, clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """1 - agreement of one sample of the judge with the majority of its others; pairs asked once are left out."""
    return _rest(leave_one_out(judge, clusters=clusters, level=level))


def annotator_bias(
    judge: Preferences, people: Preferences, *, clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """1 - agreement of the judge's majority over its samples with the people's: an upper bound of bias."""
    return _rest(_agreement(_rows(judge), people, None, None, clusters, level))


def prefers_lists(
    texts: Sequence[tuple[str | None, str | None]],
    preferences: Sequence[float | None],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """P(prefers the answer with a list), over decisive verdicts on pairs of which exactly one holds a list.

    Args:
        texts: the two answers of each pair; one of which a text is None is left out.
        preferences: points of the first in [0, 1]; None is unscored, 0.5 decides nothing.
        clusters: the question of each pair; pairs are questions by default.
        level: coverage.

    Raises:
        UserError: lengths differ.
    """
    same_length([texts, preferences] if clusters is None else [texts, preferences, clusters])
    scores: list[float | None] = []
    for (first, second), points in zip(texts, preferences, strict=True):
        listed = [style_counts(text)["lists"] > 0 for text in (first, second) if text is not None]
        decided = points is not None and not missing(points) and points != 0.5 and len(set(listed)) == 2
        scores.append(float((points > 0.5) == listed[0]) if decided and points is not None else None)
    return _mean(scores, clusters, level, said=False)


def _rows(judge: Preferences | Sequence[float | None]) -> list[list[float | None]]:
    return [list(row) if isinstance(row, Collection) else [row] for row in judge]


def _agreement(
    judge: Sequence[Sequence[float | None]],
    people: Preferences,
    samples: int | None,
    votes: int | None,
    clusters: Sequence[Hashable] | None,
    level: float,
) -> Estimate:
    same_length([judge, people] if clusters is None else [judge, people, clusters])
    scores: list[float | None] = []
    for own, others in zip(judge, people, strict=True):
        sides = [[float(v) for v in row if v is not None and not missing(v)] for row in (own, others)]
        sizes = [len(side) if size is None else size for side, size in zip(sides, (samples, votes), strict=True)]
        if any(not side or len(side) < size for side, size in zip(sides, sizes, strict=True)):
            scores.append(None)
            continue
        each = [
            _alike(mine, theirs)
            for mine in itertools.combinations(sides[0], sizes[0])
            for theirs in itertools.combinations(sides[1], sizes[1])
        ]
        scores.append(math.fsum(each) / len(each))
    return _mean(scores, clusters, level)


def _medians(values: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper median."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]


def _alike(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """1 - |a - b| of two majorities, averaged over their medians."""
    gaps = [abs(a - b) for a in _medians(mine) for b in _medians(theirs)]
    if max(gaps) > 1:
        raise UserError(
            f"preferences must lie within 1 of one another (1 to 2, or 0 to 1), found a gap of {max(gaps):g}"
        )
    return 1 - math.fsum(gaps) / len(gaps)


def _mean(
    scores: Sequence[float | None], clusters: Sequence[Hashable] | None, level: float, *, said: bool = True
) -> Estimate:
    kept = [place for place, score in enumerate(scores) if score is not None]
    found = clustered_interval(
        [score for score in scores if score is not None],
        kept if clusters is None else [clusters[place] for place in kept],
        level,
    )
    left_out = len(scores) - len(kept)
    note = f"{left_out} of {len(scores)} pairs lack a verdict and are left out" if said and left_out else ""
    return Estimate(
        value=found.value, low=found.low, high=found.high, se=found.se, n=found.n, clusters=found.clusters,
        note="; ".join(filter(None, (found.note, note))),
    )  # fmt: skip


def _rest(found: Estimate) -> Estimate:
    """1 less an estimate."""

    def flipped(value: float | None) -> float | None:
        return None if value is None else 1 - value

    return Estimate(
        value=flipped(found.value), low=flipped(found.high), high=flipped(found.low), se=found.se, n=found.n,
        clusters=found.clusters, note=found.note,
    )  # fmt: skip
