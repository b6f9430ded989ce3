"""What every trial of a judge shares: what was judged by both sides, how intervals are drawn, how a number is named."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from judgebench.judges.debias import Policy
from judgebench.ratings.intervals import Estimate
from judgebench.ratings.resampling import Resample
from judgebench.report.judge_card import Measure
from judgebench.stages.trial_units import FIRST, SECOND, TIE, PairUnit

POINTS = {FIRST: 1.0, TIE: 0.5, SECOND: 0.0}
"""Label → share of the point of the answer called first."""


class Bench(NamedTuple):
    """What a trial needs beside verdicts."""

    policy: Policy
    """What two orders that disagree say together."""
    resample: Resample
    """How intervals are drawn."""
    answers: Mapping[tuple[str, str, str, int], Sequence[str]]
    """(suite, item, model, sample) → turns."""
    own: frozenset[str]
    """Models under test that are the judge itself."""


class Rows(NamedTuple):
    """The units of one suite and dimension that were put to the judge and have a true label."""

    units: list[PairUnit]
    """In order."""
    clusters: list[Hashable]
    """(suite, item) of each."""
    judge: list[str | None]
    """The judge's label, None where it gave none."""
    truth: list[str]
    """The true label."""


def measure(name: str, found: Estimate) -> Measure:
    """An estimate under a name; what every interval shares is not repeated in each note."""
    note = "; ".join(part for part in found.note.split("; ") if not part.startswith("cluster bootstrap: B="))
    return Measure(
        name=name, value=found.value, low=found.low, high=found.high, n=found.n, clusters=found.clusters, note=note
    )


def items_of(
    items: Iterable[str], truth: Sequence[Hashable], judge: Sequence[Hashable], labels: Sequence[Hashable]
) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """The items behind each cell of a confusion matrix (rows: truth; columns: the judge), each once in a cell.

    Args:
        items: id of what each row is about.
        truth: the true labels.
        judge: the judge's, in the same order; None is none.
        labels: in the order of the matrix.
    """
    found: dict[tuple[Hashable, Hashable], dict[str, None]] = {}
    for item, right, said in zip(items, truth, judge, strict=True):
        found.setdefault((right, said), {})[item] = None
    return tuple(tuple(tuple(found.get((right, said), ())) for said in labels) for right in labels)


def share_of(said: str | None) -> float | None:
    """A label as points of the answer called first; None stays None."""
    return None if said is None else POINTS[said]
