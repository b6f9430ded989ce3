"""Person fit: does a model's profile of scores over the items look like anybody else's? No model is asked.

A model that answers is good where others are good too: hard items are hard. One that plays the judge, and not the
questions, has a profile of its own however high it ranks. The statistic is the Spearman correlation of a model's scores
with the mean of the others', and its robust z, (r - median) / (1.4826 MAD) (Iglewicz and Hoaglin 1993 for the scale).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import Floats
from judgebench.types import Record

FLAG_BELOW = -2.5
"""Robust z below which a model is flagged."""
MAD_TO_SD = 1.4826
"""Makes the median absolute deviation a standard deviation where values are normal."""


class PersonFit(Record, frozen=True, kw_only=True):
    """One model's fit; what is undefined is None and ``note`` says why."""

    model: str
    """Whom it is about."""
    correlation: float | None
    """Spearman correlation of its scores with the mean of the other models' on the same items."""
    robust_z: float | None
    """(correlation - median) / (1.4826 · median absolute deviation), over all models with a correlation."""
    flagged: bool
    """robust_z below the limit."""
    mean: float | None
    """Its mean score."""
    items: int
    """Items on which it and at least one other model have a score."""
    note: str = ""
    """Why it was left out."""


class Permutation(Record, frozen=True, kw_only=True):
    """Do answers belong to their instructions? A test that shuffles which answer goes with which."""

    observed: float
    """Mean similarity of an instruction and its own answer."""
    shuffled: float
    """Mean over the shuffles."""
    p_value: float
    """(1 + shuffles at least as similar) / (1 + shuffles): large where answers have nothing to do with instructions."""
    items: int
    """Pairs tested."""


def person_fit(
    scores: Mapping[str, Mapping[Hashable, float]], *, limit: float = FLAG_BELOW, least: int = 10
) -> list[PersonFit]:
    """One row for each model, the best fit first, those without a correlation last.

    Models whose scores never differ (a baseline against itself, say) have no correlation; they are named in a note and
    enter nobody's mean. At least three models with a correlation are needed for a robust z.

    Args:
        scores: model → item → its score there (its preference over one baseline, its win rate, its grade).
        limit: robust z below which a model is flagged.
        least: fewest shared items for a correlation.

    Raises:
        UserError: a score that is not finite.
    """
    for model, own in scores.items():
        bad = [item for item, value in own.items() if not math.isfinite(value)]
        if bad:
            raise UserError(f"{model}, item {bad[0]!r}: the score is {own[bad[0]]}; leave unscored verdicts out")
    constant = {model for model, own in scores.items() if len(set(own.values())) < 2}
    varied = sorted(set(scores) - constant)
    items = sorted({item for model in varied for item in scores[model]}, key=repr)
    place = {item: index for index, item in enumerate(items)}
    table = np.full((len(varied), len(items)), np.nan)
    for row, model in enumerate(varied):
        for item, value in scores[model].items():
            table[row, place[item]] = value
    found: dict[str, tuple[float | None, int, str]] = {}
    for row, model in enumerate(varied):
        found[model] = _correlation(table, row, least)
    values = np.array([r for r, _, _ in found.values() if r is not None])
    median = float(np.median(values)) if len(values) else math.nan
    spread = MAD_TO_SD * float(np.median(np.abs(values - median))) if len(values) else 0.0
    rows = []
    for model in sorted(scores):
        given = list(scores[model].values())
        mean = math.fsum(given) / len(given) if given else None
        why = "every score is the same: left out" if given else "no scores: left out"
        r, n, note = found.get(model, (None, len(given), why))
        z = None
        if r is not None:
            if len(values) < 3:
                note = "fewer than three models with a correlation: no robust z"
            elif spread < 1e-12:
                note = "the correlations do not differ: no robust z"
            else:
                z = (r - median) / spread
        flagged = z is not None and z < limit
        rows.append(PersonFit(model=model, correlation=r, robust_z=z, flagged=flagged, mean=mean, items=n, note=note))
    return sorted(rows, key=lambda row: (row.correlation is None, -(row.correlation or 0.0), row.model))


def duplicate_rate(answers: Sequence[str | None]) -> float | None:
    """Share of answers whose text, white space aside, another answer given has too; None for fewer than two.

    An answer that is None is not there and not counted.

    >>> duplicate_rate(["yes", "yes ", "no", "maybe"])
    0.5
    """
    texts = [" ".join(answer.split()) for answer in answers if answer is not None]
    counts = Counter(texts)
    return sum(counts[text] > 1 for text in texts) / len(texts) if len(texts) > 1 else None


def permutation_test(
    instructions: Sequence[str], answers: Sequence[str], *, shuffles: int = 999, seed: int = 0
) -> Permutation | None:
    """Whether answers share more words with their own instructions than with others'; None for fewer than two pairs.

    The similarity of two texts is the cosine of their words, weighted by how rare they are among all texts given
    (tf-idf, sublinear). A constant answer has exactly the similarity that shuffles have: p is 1.

    Args:
        instructions: what was asked.
        answers: what one model replied, in the same order.
        shuffles: random assignments of answers to instructions.
        seed: of numpy's default generator.

    Raises:
        UserError: lengths that differ.
    """
    if len(instructions) != len(answers):
        raise UserError(f"{len(instructions)} instructions but {len(answers)} answers")
    n = len(answers)
    if n < 2:
        return None
    similarity = _similarities(instructions, answers)
    rows = np.arange(n)
    observed = float(similarity[rows, rows].mean())
    random = np.random.default_rng(seed)
    means = np.array([float(similarity[rows, random.permutation(n)].mean()) for _ in range(shuffles)])
    at_least = int((means >= observed - 1e-12).sum())
    p_value = (1 + at_least) / (1 + shuffles)
    return Permutation(observed=observed, shuffled=float(means.mean()), p_value=p_value, items=n)


def _correlation(table: Floats, row: int, least: int) -> tuple[float | None, int, str]:
    """Spearman of one row with the mean of the others, shared items, and why there is none."""
    from scipy import stats  # slow to import

    others = np.delete(table, row, axis=0)
    known = ~np.isnan(others)
    counts = known.sum(axis=0)
    shared = (counts > 0) & ~np.isnan(table[row])
    n = int(shared.sum())
    if n < least:
        return None, n, f"{n} items shared with other models, {least} are needed"
    means = np.where(known, others, 0).sum(axis=0)[shared] / counts[shared]
    own = table[row][shared]
    if own.min() == own.max() or means.min() == means.max():
        return None, n, "every score is the same on the shared items: left out"
    return float(stats.spearmanr(own, means).statistic), n, ""


def _similarities(instructions: Sequence[str], answers: Sequence[str]) -> Floats:
    """Cosine of tf-idf vectors of every instruction with every answer, n × n."""
    from scipy import sparse

    texts = [Counter(re.findall(r"\w+", text.lower())) for text in (*instructions, *answers)]
    spread = Counter(word for counts in texts for word in counts)
    weight = {word: math.log((1 + len(texts)) / (1 + count)) for word, count in spread.items() if count > 1}
    index = {word: column for column, word in enumerate(weight)}
    rows, columns, values = [], [], []
    for row, counts in enumerate(texts):
        own = {index[word]: (1 + math.log(k)) * weight[word] for word, k in counts.items() if word in index}
        norm = math.sqrt(math.fsum(value * value for value in own.values())) or 1.0
        rows += [row] * len(own)
        columns += list(own)
        values += [value / norm for value in own.values()]
    table = sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), max(1, len(index))))
    n = len(instructions)
    found: Floats = (table[:n] @ table[n:].T).toarray()
    return found
