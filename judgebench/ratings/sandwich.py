"""The middle of the clustered sandwich: Σ_c U_c U_c', U_c the score of a question's games (Liang and Zeger 1986)."""

from __future__ import annotations

import numpy as np

from judgebench.ratings.intervals import Codes, Floats

BLOCK = 4_000_000
"""Numbers of U held at a time, so that memory stays flat in the number of clusters."""


def meat(a: Codes, b: Codes, residuals: Floats, codes: Codes, m: int, extra: Floats | None = None) -> Floats:
    """Σ_c U_c U_c', U_c = Σ_{games of c} (residual · (e_a - e_b), extra).

    Args:
        a: model number of each game's left.
        b: of its right.
        residuals: derivative of each game's log-likelihood by its difference of strengths.
        codes: cluster number of each game, 0 to G-1.
        m: models.
        extra: n × k derivatives by other parameters; None: there are none.

    Returns:
        (m + k) × (m + k).
    """
    from scipy.linalg.blas import dsyrk
    from scipy.sparse import csr_matrix

    n, clusters = len(codes), int(codes.max()) + 1
    k = 0 if extra is None else extra.shape[1]
    if clusters == n and not k:
        square = np.bincount(a * m + b, weights=residuals**2, minlength=m * m).reshape(m, m)
        square = square + square.T
        return np.diag(square.sum(axis=1)) - square
    found = np.zeros((m + k, m + k))
    if clusters * m <= BLOCK and not k:
        flat = np.bincount(codes * m + a, weights=residuals, minlength=clusters * m)
        flat -= np.bincount(codes * m + b, weights=residuals, minlength=clusters * m)
        found = dsyrk(1.0, flat.reshape(clusters, m).T)
    else:
        values, columns, rows = [residuals, -residuals], [a, b], [codes, codes]
        for at in range(k):
            values.append(np.asarray(extra)[:, at])
            columns.append(np.full(n, m + at, dtype=np.int64))
            rows.append(codes)
        where = np.concatenate(rows), np.concatenate(columns)
        scores = csr_matrix((np.concatenate(values), where), (clusters, m + k))
        step = max(1, BLOCK // (m + k))
        for start in range(0, clusters, step):
            part = scores[start : start + step].toarray()
            found = dsyrk(1.0, part.T, beta=1.0, c=found, overwrite_c=0)
    upper: Floats = np.triu(found)
    return upper + np.triu(found, 1).T
