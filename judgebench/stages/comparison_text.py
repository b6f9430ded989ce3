"""A comparison in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from judgebench.stages.calibration_text import describe

if TYPE_CHECKING:
    from judgebench.stages.comparisons import Comparison


def lines(found: Sequence[Comparison]) -> Iterator[str]:
    """The lines of several comparisons."""
    for each in found:
        by = f"{each.judge} by {each.rubric}" if each.rubric else each.judge
        games = each.method == "win rate"
        what = f"win rate of {each.left} over {each.right}" if games else f"{each.left} minus {each.right}"
        form = ".3f" if games else "+.3f"
        value = "—" if each.value is None else f"{each.value:{form}}"
        yield f"{each.suite}, {each.dimension}, {by}"
        yield (
            f"  {what}: {value} {_interval(each.low, each.high, form)}, {each.n} {'games' if games else 'scores'} on "
            f"{each.clusters} questions"
        )
        yield "  " + (", ".join(_details(each)) or "no variation to test")
        if each.equivalence is not None:
            yield "  " + _equivalence(each, "win rate less 0.5" if games else "difference")
        if each.bootstrap is not None:
            yield f"  {each.bootstrap.note}: {_interval(each.bootstrap.low, each.bootstrap.high, form)}"
        if each.calibrated is not None:
            yield from (f"  {line}" for line in describe(each.calibrated, form, share=games))
        if each.note:
            yield f"  note: {each.note}"
    tested = [each for each in found if each.holm_p is not None]
    if tested:
        sure = sum((each.holm_p or 0) < 0.05 for each in tested)
        likely = sum((each.screened_p or 0) < 0.05 for each in tested)
        untested = len(found) - len(tested)
        yield (
            f"{len(tested)} comparisons: {sure} differ, any mistake at most 5 % likely (Holm); {likely} differ, "
            f"at most 5 % by mistake (Benjamini-Hochberg)" + (f"; {untested} have no test" if untested else "")
        )


def _interval(low: float | None, high: float | None, form: str = "+.3f") -> str:
    return "—" if low is None or high is None else f"[{low:{form}}, {high:{form}}]"


def _details(each: Comparison) -> Iterator[str]:
    paired = each.paired
    if each.p_value is not None:
        yield f"p = {each.p_value:.3g}"
    if each.holm_p is not None:
        yield f"by Holm {each.holm_p:.3g}, by Benjamini-Hochberg {each.screened_p:.3g}"
    if paired is not None and paired.mcnemar_p is not None:
        yield f"McNemar p = {paired.mcnemar_p:.3g}"
    if paired is not None and paired.correlation is not None:
        yield f"correlation {paired.correlation:.2f}"
    if paired is not None and paired.effect is not None:
        yield f"effect {paired.effect:+.2f} sd"
    if each.smallest_difference is not None:
        yield f"smallest detectable difference {each.smallest_difference:.3f} at power 0.8"
    middle = 0.5 if each.method == "win rate" else 0.0
    open_ = each.low is not None and each.high is not None and each.low <= middle <= each.high
    if each.items_needed is not None and open_:
        more = each.items_needed - each.clusters
        if more > 0:
            yield f"about {more} more questions would decide a difference of this size"


def _equivalence(each: Comparison, what: str) -> str:
    found = each.equivalence
    assert found is not None
    if found.equivalent:
        said = "as good as one another"
    elif found.not_worse:
        said = f"{each.left} is no worse, though it may be better"
    else:
        said = "not shown to be as good as one another"
    interval = _interval(found.low, found.high)
    return f"within {found.margin:g}: {said} (p = {found.p_value:.3g}; 90 % of the {what}: {interval})"
