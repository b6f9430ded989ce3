"""Arena-Hard's score: battles with five verdicts, a significant win weighing as several, clustered by question.

Source: Li et al. (2024), "From Crowdsourced Data to High-Quality Benchmarks": both orders are kept as battles against
one baseline, ``>>`` counts as three. Upstream draws its interval from battles as if they were independent; the two
orders and repeats of one question are not, so here the error is that of a ratio of sums over questions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.intervals import FLAT, t_interval
from judgebench.ratings.label_tables import missing
from judgebench.types import Record, Verdict

WEIGHT = 3
"""Battles that a significant win or loss counts as."""

_FORWARD = {"A>>B": 2, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -2}
LABELS = {**_FORWARD, "B<<A": 2, "B<A": 1, "B=A": 0, "A<B": -1, "A<<B": -2}
"""Verdict → how it stands for A: 2 and -2 are the significant ones."""


class BattleScore(Record, frozen=True, kw_only=True):
    """A model's share of the points against the baseline."""

    score: float | None
    """Points won over battles expanded, in [0, 1]; None without any."""
    naive_se: float | None
    """sd(ddof = 1) / sqrt(n) over the expanded battles, as if they were independent."""
    clustered_se: float | None
    """Of the ratio of sums over questions: sqrt(G/(G - 1) Σ_c (Σ w (s - score))²) / Σ w; None for one question."""
    clustered_se_cr0: float | None
    """The same without that factor."""
    low: float | None
    """Lower end of the 95 % interval, score ∓ t(G - 1) · clustered_se, kept in [0, 1]."""
    high: float | None
    """Upper end."""
    battles: int
    """Verdicts that entered."""
    expanded: float
    """Battles that they weigh as."""
    clusters: int
    """Questions."""
    unread: int
    """Verdicts that are None: left out."""
    note: str = ""
    """Why a number is missing."""


def arena_hard_score(
    labels: Sequence[str | None],
    clusters: Sequence[Hashable] | None = None,
    *,
    model_is: Sequence[str] | str = "A",
    weight: float = WEIGHT,
) -> BattleScore:
    """The model's score against the baseline from verdicts of five levels.

    Args:
        labels: ``A>>B``, ``A>B``, ``A=B``, ``B>A``, ``B>>A`` or their mirror images; None is unread.
        clusters: question of each; every verdict its own where None.
        model_is: ``A`` or ``B``, who of the two is the model: for all, or one for each verdict.
        weight: battles that ``>>`` counts as; 1 treats it as ``>``.

    >>> arena_hard_score(["A>>B", "B>A", "A=B", "A>B"], ["q1", "q1", "q2", "q2"]).score
    0.75

    Raises:
        UserError: an unknown label, or lengths that differ.
    """
    sides = [model_is] * len(labels) if isinstance(model_is, str) else list(model_is)
    groups = list(range(len(labels))) if clusters is None else list(clusters)
    if len(groups) != len(labels) or len(sides) != len(labels):
        raise UserError(f"{len(labels)} verdicts, {len(groups)} clusters and {len(sides)} sides: one each is meant")
    points: list[float | None] = []
    weights: list[float] = []
    for label, side in zip(labels, sides, strict=True):
        if side not in ("A", "B"):
            raise UserError(f"the model is {side!r}; A or B is meant")
        if missing(label):
            points.append(None)
            weights.append(0.0)
            continue
        level = LABELS.get("".join(str(label).upper().split()).strip("[]"))
        if level is None:
            raise UserError(f"no verdict is called {label!r}: {did_you_mean(str(label), LABELS)}")
        level = level if side == "A" else -level
        points.append(0.5 if level == 0 else float(level > 0))
        weights.append(float(weight) if abs(level) == 2 else 1.0)
    return weighted_battles(points, weights, groups)


def weighted_battles(
    points: Sequence[float | None], weights: Sequence[float], clusters: Sequence[Hashable]
) -> BattleScore:
    """The weighted share of points, with the naive error and the one clustered by question.

    Args:
        points: the model's share of each battle, in [0, 1]; None or NaN is unread.
        weights: battles that each counts as, above 0.
        clusters: question of each.

    Raises:
        UserError: points outside [0, 1], weights of 0 or below, or lengths that differ.
    """
    if not len(points) == len(weights) == len(clusters):
        raise UserError(f"{len(points)} points, {len(weights)} weights and {len(clusters)} clusters: one each is meant")
    columns = zip(points, weights, clusters, strict=True)
    read = [(float(p), float(w), c) for p, w, c in columns if p is not None and not math.isnan(p)]
    if any(not 0 <= p <= 1 for p, _, _ in read) or any(not (math.isfinite(w) and w > 0) for _, w, _ in read):
        raise UserError("points must lie in [0, 1], and what each battle counts as above 0")
    unread = len(points) - len(read)
    total = math.fsum(w for _, w, _ in read)
    if not read or total <= 0:
        return BattleScore(
            score=None, naive_se=None, clustered_se=None, clustered_se_cr0=None, low=None, high=None, battles=0,
            expanded=0.0, clusters=0, unread=unread, note="no verdict was read",
        )  # fmt: skip
    score = math.fsum(p * w for p, w, _ in read) / total
    squares = math.fsum(w * (p - score) ** 2 for p, w, _ in read)
    naive = math.sqrt(squares / (total - 1) / total) if total > 1 else None
    sums: dict[Hashable, float] = defaultdict(float)
    for p, w, c in read:
        sums[c] += w * (p - score)
    cr0 = math.sqrt(math.fsum(value * value for value in sums.values())) / total
    groups = len(sums)
    if groups < 2:
        return BattleScore(
            score=score, naive_se=naive, clustered_se=None, clustered_se_cr0=None, low=None, high=None,
            battles=len(read), expanded=total, clusters=groups, unread=unread, note="one question: no interval",
        )  # fmt: skip
    error = cr0 * math.sqrt(groups / (groups - 1))
    if error < FLAT:
        return BattleScore(
            score=score, naive_se=naive, clustered_se=0.0, clustered_se_cr0=0.0, low=None, high=None,
            battles=len(read), expanded=total, clusters=groups, unread=unread,
            note="no variation between questions: no interval",
        )  # fmt: skip
    low, high = t_interval(score, error, groups - 1)
    return BattleScore(
        score=score, naive_se=naive, clustered_se=error, clustered_se_cr0=cr0, low=max(0.0, low), high=min(1.0, high),
        battles=len(read), expanded=total, clusters=groups, unread=unread,
    )  # fmt: skip


def of_verdicts(verdicts: Iterable[Verdict], baseline: str) -> dict[tuple[str, str, str, str, str], BattleScore]:
    """(suite, judge, rubric, dimension, model) → score against the baseline, of verdicts whose margins are weights.

    Both orders enter as battles of their own, as upstream; an unread one is left out alone, and counted.
    """
    found: dict[tuple[str, str, str, str, str], tuple[list[float | None], list[float], list[str]]] = {}
    for verdict in {verdict.key: verdict for verdict in verdicts}.values():
        names = [name for name, _ in verdict.shown]
        if len(names) != 2 or baseline not in names or names[0] == names[1]:
            continue
        place = names.index(baseline)
        key = verdict.suite, verdict.judge, verdict.rubric, verdict.dimension, names[1 - place]
        points, weights, clusters = found.setdefault(key, ([], [], []))
        margin = verdict.scores[1 - place] - verdict.scores[place] if verdict.scores else None
        points.append(None if margin is None else 0.5 if margin == 0 else float(margin > 0))
        weights.append(abs(margin) if margin else 1.0)
        clusters.append(verdict.item)
    return {key: weighted_battles(*columns) for key, columns in sorted(found.items())}
