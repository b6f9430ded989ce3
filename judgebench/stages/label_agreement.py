"""How far the annotators of a run agree, in a coefficient that allows for chance, with an interval over questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from judgebench.ratings.raters import Metric, krippendorff_alpha, pairwise_agreement
from judgebench.stages.labels import Labels
from judgebench.types import Record


class Agreement(Record, frozen=True, kw_only=True):
    """How far people agree along one dimension."""

    dimension: str
    """What was labelled."""
    coefficient: str
    """``Krippendorff's α`` and its metric: nominal for who is better, ordinal for grades and for by how much."""
    value: float | None
    """α: 1 is agreement, 0 what chance would give; None where it is undefined, and ``note`` says why."""
    low: float | None
    """Lower end of the 95 % interval, by a bootstrap over questions."""
    high: float | None
    """Upper end."""
    same: float | None
    """Share of pairs of people that gave the same label."""
    units: int
    """Things that two people or more have labelled."""
    note: str = ""
    """What a reader must know."""

    @property
    def said(self) -> str:
        """All of it in one line, for people."""
        parts = [f"{self.coefficient} {'undefined' if self.value is None else f'{self.value:.2f}'}"]
        if self.low is not None and self.high is not None:
            parts[0] += f" (95 % from {self.low:.2f} to {self.high:.2f})"
        if self.same is not None:
            parts.append(f"the same label {100 * self.same:.0f} % of the time")
        parts.append(f"{self.units} labelled by two or more")
        return ", ".join(parts) + (f" [{self.note}]" if self.note else "")


def agreement(each: Sequence[Labels]) -> list[Agreement]:
    """One row for each dimension, of several annotators of one run.

    Labels join by suite, item, turn, answers and dimension, whatever the order in which the answers were shown.
    """
    said: dict[str, dict[tuple[str, str, int, object], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    metric: dict[str, Metric] = {}
    for labels in each:
        for number, task in enumerate(labels.plan.tasks):
            for dimension, verdict in labels.verdicts(number).items():
                if not verdict.scores:
                    continue
                value = verdict.scores[0]
                if len(task.shown) == 2:
                    ahead = verdict.scores[0] - verdict.scores[1]
                    value = -ahead if task.shown[0] > task.shown[1] else ahead
                metric[dimension] = "nominal" if verdict.kind == "preference" else "ordinal"
                unit = task.suite, task.item, task.turn, tuple(sorted(task.shown))
                said[dimension][unit][labels.plan.annotator] = value
    names = [labels.plan.annotator for labels in each]
    found = []
    for dimension, units in said.items():
        table = [[given.get(name) for name in names] for given in units.values()]
        twice = sum(sum(label is not None for label in row) > 1 for row in table)
        clusters = [unit[:2] for unit in units]
        alpha = krippendorff_alpha(table, metric[dimension], clusters=clusters)
        found.append(
            Agreement(
                dimension=dimension, coefficient=f"Krippendorff's α ({metric[dimension]})", value=alpha.value,
                low=alpha.low, high=alpha.high, units=twice, note=alpha.note,
                same=pairwise_agreement(table).value if twice else None,
            )
        )  # fmt: skip
    return found
