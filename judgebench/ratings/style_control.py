"""Style control as the public chat arenas do it: Bradley–Terry with length, lists, headers and bold as covariates.

Source: the arenas' public rating code: each feature is (a - b) / (a + b + 1), put to mean 0 and standard deviation 1
over the games; θ is in units of ln 10, and a ridge of 0.5 lies on all parameters. Errors are the clustered sandwich's.
What a covariate takes out is what judges reward in the games at hand, merit that comes with length included.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.covariates import CovariateFit
from judgebench.ratings.covariates import fit as fit_covariates
from judgebench.ratings.elo import Battle
from judgebench.ratings.intervals import finite
from judgebench.types import Record

RIDGE, BASE = 0.5, 10.0
"""The arenas' penalty, and the base in which their θ are."""

ONE_SIDED = 0.05
"""Share of a model's games on the rarer side of an equal count under which it is said to be extrapolated."""


class StyleControlled(Record, frozen=True, kw_only=True):
    """Ratings with and without style among the covariates."""

    plain: CovariateFit
    """Without any feature, under the same ridge."""
    controlled: CovariateFit
    """With all of them: ``elo`` at equal style, ``coefficients`` by standard deviation of each feature."""
    more: dict[str, dict[str, float]]
    """Feature → model → share of its games in which it has more of it than its opponent."""
    note: str
    """What is extrapolated, and which features were left out as they never differ."""


def differences(
    first: Mapping[str, Sequence[float]],
    second: Mapping[str, Sequence[float]],
    *,
    add_one: bool = True,
    standardise: bool = True,
) -> dict[str, list[float]]:
    """Feature → (first - second) / (first + second + 1) of each game, at mean 0 and sd 1 (ddof 0) over the games.

    Args:
        first: feature → its count in the first answer of each game.
        second: in the second.
        add_one: False divides by the bare sum, and gives 0 where that is 0.
        standardise: False leaves them as they are, in [-1, 1].

    Raises:
        UserError: other features or numbers of games in one than in the other, a count below 0, or, to be
            standardised, a feature that never varies.
    """
    if set(first) != set(second):
        raise UserError(f"both answers need the same features, found {sorted(first)} and {sorted(second)}")
    found = {}
    for name in first:
        ours, theirs = finite(first[name]), finite(second[name])
        if len(ours) != len(theirs):
            raise UserError(f"{name!r}: {len(ours)} counts of first answers but {len(theirs)} of second ones")
        if not len(ours):
            raise UserError(f"{name!r}: no games, no differences")
        if min(ours.min(), theirs.min()) < 0:
            raise UserError(f"{name!r}: a count is below 0")
        total = ours + theirs + add_one
        value = np.divide(ours - theirs, total, out=np.zeros_like(total), where=total > 0)
        if standardise:
            spread = float(value.std())
            if not spread > 0:
                raise UserError(f"{name!r} never varies between answers: it cannot be standardised")
            value = (value - value.mean()) / spread
        found[name] = value.tolist()
    return found


def fit(
    games: Sequence[Battle],
    first: Mapping[str, Sequence[float]],
    second: Mapping[str, Sequence[float]],
    clusters: Sequence[Hashable] | None = None,
    *,
    ridge: float = RIDGE,
    base: float = BASE,
    level: float = 0.95,
) -> StyleControlled:
    """Ratings at equal style, in the arenas' form.

    Args:
        games: (first, second, first's share of the point).
        first: feature → its count in the first answer of each game.
        second: in the second.
        clusters: the question of each game.
        ridge: penalty ridge/2 · (Σ (θ / ln base)² + Σ b²).
        base: see ``ridge``.
        level: coverage of the sandwich intervals.

    Raises:
        UserError: what `covariates.fit` and `differences` refuse, or no feature that ever differs.
    """
    sizes = {len(values) for values in (*first.values(), *second.values())}
    if not len(games) or sizes != {len(games)}:
        raise UserError(f"style control needs one count a game of each feature, found {sorted(sizes)} for {len(games)}")
    for values in (*first.values(), *second.values()):
        finite(values)
    held = [name for name in first if name in second and np.ptp(np.subtract(first[name], second[name])) > 0]
    gone = sorted(set(first) - set(held))
    if not held:
        raise UserError("no feature of style ever differs between two answers: there is nothing to control for")
    features = differences({name: first[name] for name in held}, {name: second[name] for name in held})
    more: dict[str, dict[str, float]] = {}
    notes = [f"left out as they never differ: {', '.join(gone)}"] if gone else []
    for name in held:
        gap = np.subtract(first[name], second[name])
        sides: dict[str, list[float]] = {}
        for (one, other, _), value in zip(games, gap.tolist(), strict=True):
            sides.setdefault(one, []).append(value)
            sides.setdefault(other, []).append(-value)
        more[name] = {model: float(np.mean(np.array(values) > 0)) for model, values in sorted(sides.items())}
        if name == "length":
            for model, values in sorted(sides.items()):
                rarer = min(np.mean(np.array(values) > 0), np.mean(np.array(values) < 0))
                if rarer < ONE_SIDED:
                    notes.append(f"extrapolated: {model} is the longer in {more[name][model]:.1%} of its games")
    return StyleControlled(
        plain=fit_covariates(games, {}, clusters, ridge=ridge, base=base, level=level),
        controlled=fit_covariates(games, features, clusters, ridge=ridge, base=base, level=level),
        more=more,
        note="; ".join(notes),
    )
