"""The middle of the clustered sandwich: Σ_c U_c U_c', U_c the score of a question's games (Liang and Zeger 1986)."""

from __future__ import annotations

import numpy as np

from judgebench.ratings.intervals import Codes, Floats

BLOCK = 4_000_000
"""Numbers of U held at a time, so that memory stays flat in the number of clusters."""


def meat(a: Codes, b: Codes, residuals: Floats, codes: Codes, m: int) -> Floats:
    """Σ_c U_c U_c', U_c = Σ_{games of c} residual · (e_a - e_b).

    Args:
        a: model number of each game's left.
        b: of its right.
        residuals: score less expected score.
        codes: cluster number of each game, 0 to G-1.
        m: models.

    Returns:
        m × m.
    """
    from scipy.linalg.blas import dsyrk
    from scipy.sparse import csr_matrix

    n, clusters = len(codes), int(codes.max()) + 1
    if clusters == n:
        square = np.bincount(a * m + b, weights=residuals**2, minlength=m * m).reshape(m, m)
        square = square + square.T
        return np.diag(square.sum(axis=1)) - square
    found = np.zeros((m, m))
    if clusters * m <= BLOCK:
        flat = np.bincount(codes * m + a, weights=residuals, minlength=clusters * m)
        flat -= np.bincount(codes * m + b, weights=residuals, minlength=clusters * m)
        found = dsyrk(1.0, flat.reshape(clusters, m).T)
    else:
        rows = np.concatenate([codes, codes])
        scores = csr_matrix((np.concatenate([residuals, -residuals]), (rows, np.concatenate([a, b]))), (clusters, m))
        step = max(1, BLOCK // m)
        for start in range(0, clusters, step):
            part = scores[start : start + step].toarray()
            found = dsyrk(1.0, part.T, beta=1.0, c=found, overwrite_c=0)
    upper: Floats = np.triu(found)
    return upper + np.triu(found, 1).T
