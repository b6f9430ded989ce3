"""The Bradley–Terry likelihood of a table of points, and where it is highest."""

from __future__ import annotations

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import Floats


def log_likelihood(points: Floats, theta: Floats) -> float:
    """Σ points · ln P(row beats column)."""
    return float(-(points * np.logaddexp(0, theta[None, :] - theta[:, None])).sum())


def maximise(points: Floats, ridge: float) -> tuple[Floats, Floats]:
    """θ that sums to 0 and the negative Hessian there."""
    m = len(points)
    met, won = points + points.T, points.sum(axis=1)
    theta = np.zeros(m)
    value = log_likelihood(points, theta)
    for _ in range(200):
        chance = special.expit(theta[:, None] - theta[None, :])
        information = met * chance * (1 - chance)
        hessian = np.diag(information.sum(axis=1) + ridge) - information
        gradient = won - (met * chance).sum(axis=1) - ridge * theta
        step = np.linalg.solve(hessian + 1 / m, gradient)
        if np.abs(step).max() < 1e-10:
            return theta, hessian
        # The concave likelihood makes halving enough; the slack is for rounding near the top.
        for _ in range(60):
            tried = theta + step
            tried -= tried.mean()
            reached = log_likelihood(points, tried) - ridge / 2 * float(tried @ tried)
            if reached >= value - 1e-12 * abs(value):
                break
            step /= 2
        theta, value = tried, reached
    raise UserError("Bradley-Terry did not converge: some model hardly ever yields a point; a ridge above 0 would help")
