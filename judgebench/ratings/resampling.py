"""Intervals of any statistic by drawing whole questions with replacement.

A statistic that is a function of sums over rows (a table of label pairs, a coincidence matrix) is drawn by weighing the
clusters' sums, all draws at once; any other is computed again on every drawn set of rows.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from judgebench.errors import UserError
from judgebench.ratings.intervals import FLAT, Codes, Estimate, Floats, cluster_codes

DRAWS = 2000
"""Draws of a bootstrap unless told otherwise."""
MOST_UNDEFINED = 0.5
"""Share of draws without a value past which there is no interval."""
BLOCK = 2_000_000
"""Numbers held at once."""

Finish = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Sums of shape (draws, …) → one value for each draw, NaN where undefined."""


class Resample(NamedTuple):
    """How an interval is drawn."""

    draws: int = DRAWS
    """Number of resamples, B."""
    seed: int = 0
    """Of numpy's default generator."""
    level: float = 0.95
    """Coverage."""


RESAMPLE = Resample()
"""2,000 draws, seed 0, 95 %."""


def with_interval(
    statistic: Callable[..., Any],
    data: Sequence[Sequence[Any]],
    clusters: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Any statistic with a percentile interval over whole clusters drawn with replacement.

    Args:
        statistic: takes the columns of ``data`` and gives a number, None or an `Estimate`. One of this package's that
            takes ``clusters`` itself is asked for its own interval, which is the same and quicker.
        data: columns of one length; a row of each belongs together and is drawn together.
        clusters: what rows share, one hashable each; None means that no two share anything.
        draws: number of resamples, B.
        seed: of numpy's default generator.
        level: coverage.

    Returns:
        Estimate: value on all rows; None with a note where it is undefined. Draws in which the statistic is undefined
        are left out and counted in the note; where they are more than half, there is no interval.

    Raises:
        UserError: columns or clusters of different lengths, or fewer than two draws.

    >>> with_interval(lambda scores: sum(scores) / len(scores), [[1, 1, 0, 1]]).value
    0.75
    """
    columns = [list(column) for column in data]
    n = same_length(columns)
    codes = cluster_codes(clusters, n)
    parameters = inspect.signature(statistic).parameters
    if "clusters" in parameters and "resample" in parameters:
        own: Estimate = statistic(*columns, clusters=codes.tolist(), resample=Resample(draws, seed, level))
        return own
    if not n:
        return Estimate(value=None, note="no scores")
    value, note = _plain(statistic(*columns))
    groups = len(set(codes.tolist()))
    if value is None or groups < 2:
        note = note or ("undefined" if value is None else "one question: no interval")
        return Estimate(value=value, n=n, clusters=groups, note=note)
    _enough(draws)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(groups + 1))
    members = [order[ends[group] : ends[group + 1]] for group in range(groups)]
    random = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        rows = np.concatenate([members[group] for group in random.integers(0, groups, groups)]).tolist()
        found = _plain(statistic(*([column[row] for row in rows] for column in columns)))[0]
        values[draw] = math.nan if found is None else found
    return _interval(value, values, n, groups, note, level, seed)


def bootstrap_sums(
    parts: Floats,
    finish: Finish,
    clusters: Sequence[Hashable] | None,
    resample: Resample = RESAMPLE,
    *,
    note: str = "",
    undefined: str = "",
) -> Estimate:
    """A function of sums over rows, with its interval where clusters are given.

    Args:
        parts: (rows, …): what each row adds.
        finish: sums of shape (draws, …) → values.
        clusters: one for each row; None asks for no interval.
        resample: draws, seed and level; statistics of the same clusters with the same seed see the same draws.
        note: kept in the estimate.
        undefined: the note where the statistic has no value.
    """
    n = len(parts)
    if n == 0:
        return Estimate(value=None, note=note or undefined or "no scores")
    whole = float(finish(parts.sum(axis=0)[None])[0])
    codes = cluster_codes(clusters, n)
    groups = int(codes.max()) + 1
    if math.isnan(whole):
        return Estimate(
            value=None, n=n, clusters=groups, note="; ".join(filter(None, (note, undefined or "undefined")))
        )
    if clusters is None:
        return Estimate(value=whole, n=n, clusters=groups, note=note)
    if groups < 2:
        return Estimate(
            value=whole, n=n, clusters=groups, note="; ".join(filter(None, (note, "one question: no interval")))
        )
    draws, seed, level = resample
    _enough(draws)
    flat = _by_cluster(parts.reshape(n, -1), codes, groups)
    # Blocks of draws depend on the clusters alone, so that all statistics of them see the same draws.
    block, some = max(1, min(draws, BLOCK // groups)), max(1, BLOCK // flat.shape[1])
    values = []
    for start in range(0, draws, block):
        weights = _weights(groups, min(block, draws - start), seed, start)
        for at in range(0, len(weights), some):
            sums = weights[at : at + some].astype(np.float64) @ flat
            values.append(finish(sums.reshape(-1, *parts.shape[1:])))
    return _interval(whole, np.concatenate(values), n, groups, note, level, seed)


def same_length(columns: Sequence[Sequence[Any]]) -> int:
    """The length that all columns share.

    Raises:
        UserError: there is no column, or their lengths differ.
    """
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise UserError(f"columns of one length are needed, found lengths {sorted(lengths)}")
    return lengths.pop()


def _plain(found: Any) -> tuple[float | None, str]:
    """The number and the note of whatever a statistic returned."""
    if isinstance(found, Estimate):
        return found.value, found.note
    if found is None or math.isnan(found):
        return None, ""
    return float(found), ""


def _enough(draws: int) -> None:
    if draws < 2:
        raise UserError(f"a bootstrap needs at least two draws, found {draws}")


def _by_cluster(parts: Floats, codes: Codes, groups: int) -> Floats:
    sums = np.zeros((groups, parts.shape[1]))
    np.add.at(sums, codes, parts)
    return sums


@functools.lru_cache(maxsize=64)
def _weights(groups: int, rows: int, seed: int, start: int) -> npt.NDArray[np.uint8]:
    """How often each cluster is drawn, in each of ``rows`` draws; kept in a byte each, as many statistics share them.

    That one cluster is drawn more than 255 times has a chance below 1e-500.
    """
    random = np.random.default_rng([seed, start])
    drawn = random.integers(0, groups, size=(rows, groups))
    drawn += groups * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.uint8)


def _interval(value: float, values: Floats, n: int, groups: int, note: str, level: float, seed: int) -> Estimate:
    """The estimate with type-7 percentiles of the draws."""
    defined = values[~np.isnan(values)]
    draws, missing = len(values), len(values) - len(defined)
    notes = [note, f"cluster bootstrap: B={draws}, seed={seed}"]
    if missing:
        notes.append(f"undefined in {missing} draws")
    kept = "; ".join(filter(None, notes))
    if missing > MOST_UNDEFINED * draws or len(defined) < 2:
        return Estimate(value=value, n=n, clusters=groups, note=kept + ": no interval")
    if np.ptp(defined) < FLAT:
        kept = "; ".join(filter(None, (note, "no variation between questions: no interval")))
        return Estimate(value=value, se=0.0, n=n, clusters=groups, note=kept)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2], method="linear")
    return Estimate(
        value=value, low=float(low), high=float(high), se=float(defined.std(ddof=1)), n=n, clusters=groups, note=kept
    )
