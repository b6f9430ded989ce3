"""How many questions a comparison needs, and what difference a number of questions can show.

Sources: Miller 2024, section 5 (sample size with K samples per question); the one-sample test of a share for win rates.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.types import Record


def variance_of_difference(
    omega2: float, sigma_a2: float = 0.0, sigma_b2: float = 0.0, samples_a: int = 1, samples_b: int = 1
) -> float:
    """Variance of one question's difference: ω² + σ_A²/K_A + σ_B²/K_B (Miller 2024, section 5).

    Args:
        omega2: variance over questions of the difference of the two expected scores.
        sigma_a2: mean variance over samples of A's score on one question.
        sigma_b2: the same of B.
        samples_a: samples per question of A.
        samples_b: samples per question of B.

    Raises:
        UserError: a variance below 0, or no samples.
    """
    if min(omega2, sigma_a2, sigma_b2) < 0 or min(samples_a, samples_b) < 1:
        raise UserError("variances are 0 or above, and each model needs at least one sample a question")
    return omega2 + sigma_a2 / samples_a + sigma_b2 / samples_b


def items_needed(difference: float, variance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Questions (not rounded up) at which a two-sided z-test finds ``difference`` with the given power.

    n = (z_{α/2} + z_β)² · variance / difference², ``variance`` being that of one question's difference.

    Raises:
        UserError: a difference of 0, which no number of questions can show, or a variance that is not above 0.
    """
    if not variance > 0:
        raise UserError(f"the variance of a difference must be above 0, found {variance:g}: nothing varies here")
    if difference == 0:
        raise UserError("no number of questions shows a difference of 0: name the smallest that matters")
    return _reach(alpha, power) ** 2 * variance / difference**2


def smallest_difference(items: int, variance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest difference that ``items`` questions show with the given power: (z_{α/2} + z_β) · sqrt(variance / n).

    Raises:
        UserError: no items, or a variance that is not above 0.
    """
    if items < 1:
        raise UserError(f"a comparison needs at least one question, found {items}")
    if not variance > 0:
        raise UserError(f"the variance of a difference must be above 0, found {variance:g}: nothing varies here")
    return _reach(alpha, power) * math.sqrt(variance / items)


class Prior(Record, frozen=True, kw_only=True):
    """What is known of a comparison before any of it was made."""

    sd: float
    """Standard deviation over questions of what is averaged."""
    correlation: float | None
    """Correlation of the two models' scores; None where there is one score a question (a game)."""
    source: str
    """Where it is from."""


PRIORS = {
    "against-baseline": Prior(
        sd=0.241,
        correlation=0.38,
        source="AlpacaEval 2, 56 models: median pair's difference of preferences over a baseline",
    ),
    "against-baseline-strong": Prior(sd=0.337, correlation=0.41, source="AlpacaEval 2, strong models: the same"),
    "head-to-head": Prior(sd=0.5, correlation=None, source="games won or lost: the most that a win rate can vary"),
    "accuracy": Prior(
        sd=0.5, correlation=0.5, source="two models right half the time, correlated 0.5: sd sqrt(2 x 0.25 x 0.5)"
    ),
}
"""Name → prior. Differences of scores in [0, 1], or a win rate."""


class PowerPlan(Record, frozen=True, kw_only=True):
    """What a number of questions can show."""

    items: int
    """Questions."""
    sd: float
    """Standard deviation over questions, of the prior or pilot."""
    alpha: float
    """Level of each test, after Bonferroni for the comparisons planned."""
    comparisons: int
    """Comparisons planned."""
    smallest_difference: float
    """Smallest true difference found with the power asked for."""
    difference: float | None
    """The difference hoped for; None where none was named."""
    power: float | None
    """Chance to find it."""
    items_needed: int | None
    """Questions at which that chance is the power asked for."""
    enough: bool | None
    """Whether there are as many."""


def plan(
    items: int, sd: float, *, difference: float | None = None, comparisons: int = 1, alpha: float = 0.05,
    power: float = 0.8,
) -> PowerPlan:  # fmt: skip
    """What ``items`` questions show of a mean (a difference, or a win rate less 0.5) whose sd over questions is ``sd``.

    Raises:
        UserError: no items or comparisons, an sd that is not above 0, or a difference of 0.
    """
    if not sd > 0:
        raise UserError(f"a plan needs a standard deviation above 0, found {sd:g}: the pilot does not vary")
    if comparisons < 1:
        raise UserError(f"a plan needs at least one comparison, found {comparisons}")
    level = alpha / comparisons
    needed = None if difference is None else math.ceil(items_needed(difference, sd**2, level, power))
    return PowerPlan(
        items=items, sd=sd, alpha=level, comparisons=comparisons,
        smallest_difference=smallest_difference(items, sd**2, level, power), difference=difference,
        power=None if difference is None else difference_power(items, difference, sd**2, level), items_needed=needed,
        enough=None if needed is None else items >= needed,
    )  # fmt: skip


def difference_power(items: int, difference: float, variance: float, alpha: float = 0.05) -> float:
    """Power of a two-sided z-test of a mean over ``items`` questions at a true ``difference``, both tails.

    Raises:
        UserError: no items, or a variance that is not above 0.
    """
    if not 1 <= items < math.inf or not variance > 0:
        raise UserError("power needs at least one question and a variance above 0")
    z, shift = float(special.ndtri(1 - alpha / 2)), abs(difference) / math.sqrt(variance / items)
    return float(special.ndtr(shift - z) + special.ndtr(-shift - z))


def win_rate_power(items: int, share: float, alpha: float = 0.05) -> tuple[float, float]:
    """Power of a two-sided test against 0.5 when A wins a true ``share`` of decisive games: (normal, exact binomial).

    The normal value counts the nearer tail only; the exact one adds both rejection regions of the exact sign test.

    Raises:
        UserError: no games, or a share outside (0, 1).
    """
    if items < 1 or not 0 < share < 1:
        raise UserError(f"power needs a game and a win rate between 0 and 1, found {items} games and {share:g}")
    z = float(special.ndtri(1 - alpha / 2))
    sd = math.sqrt(share * (1 - share))
    normal = float(special.ndtr((abs(share - 0.5) * math.sqrt(items) - z / 2) / sd))
    wins = np.arange(items + 1)
    rejected = wins[special.bdtr(wins, items, 0.5) <= alpha / 2]
    most = int(rejected[-1]) if len(rejected) else -1
    if most < 0:
        return normal, 0.0
    exact = float(special.bdtr(most, items, share)) + float(special.bdtrc(items - most - 1, items, share))
    return normal, exact


def items_for_win_rate(share: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Decisive games at which a two-sided normal test against 0.5 has the given power at a true ``share``.

    Raises:
        UserError: a share of 0.5, which differs from nothing, or one outside (0, 1).
    """
    if not 0 < share < 1:
        raise UserError(f"a win rate between 0 and 1 is meant, found {share:g}")
    if share == 0.5:
        raise UserError("a win rate of 0.5 differs from 0.5 at no number of games: name the smallest that matters")
    z, reach = float(special.ndtri(1 - alpha / 2)), float(special.ndtri(power))
    return math.ceil(((z / 2 + reach * math.sqrt(share * (1 - share))) / (share - 0.5)) ** 2)


def _reach(alpha: float, power: float) -> float:
    """z_{α/2} + z_β."""
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
