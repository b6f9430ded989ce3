"""Calibrations as rows for files and as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from judgebench.ratings.ppi import PPIEstimate
from judgebench.report.figures import cut, outside, uncut
from judgebench.stages.calibration import Calibrated
from judgebench.stages.people_fits import WORDS

BY = {"ppi": "PPI++ (labels drawn at random)", "augmented": "augmented means (labels drawn with known chances)"}
"""How people and judge are put together, in words."""


def rows_of(found: Iterable[Calibrated]) -> list[dict[str, Any]]:
    """A flat row for each model: judge alone, people alone, both; None where there is no calibrated figure."""
    rows: list[dict[str, Any]] = []
    for each in found:
        for model, lack in sorted(each.without.items()):
            rows.append(
                {
                    "suite": each.suite, "judge": each.judge, "rubric": each.rubric, "dimension": each.dimension,
                    "model": model, "people": list(each.people), "labels": lack.labels, "verdicts": lack.verdicts,
                    **dict.fromkeys(FIGURES), "joint_effects": {}, "note": lack.why,
                }
            )  # fmt: skip
        for model, rate in sorted(each.win_rates.items()):
            ratings, joint = each.ratings, each.joint
            notes = [each.note, rate.note, ratings.note if ratings else ""]
            rows.append(
                {
                    "suite": each.suite, "judge": each.judge, "rubric": each.rubric, "dimension": each.dimension,
                    "model": model, "people": list(each.people), "labels": rate.n_human, "verdicts": rate.n_judge,
                    "method": rate.method,
                    "lambda": rate.lam, "win_rate": rate.value, "win_rate_low": rate.low, "win_rate_high": rate.high,
                    "judge_win_rate": rate.judge_value, "judge_low": rate.judge_low, "judge_high": rate.judge_high,
                    "people_win_rate": rate.human_value, "people_low": rate.human_low, "people_high": rate.human_high,
                    "elo": ratings and ratings.elo.get(model), "elo_low": ratings and ratings.low.get(model),
                    "elo_high": ratings and ratings.high.get(model),
                    "joint_elo": joint and joint.elo.get(model), "joint_low": joint and joint.low.get(model),
                    "joint_high": joint and joint.high.get(model), "joint_p": joint and joint.p_value,
                    "headline": joint.headline if joint else rate.method,
                    "joint_effects": {
                        effect.name: {"value": effect.value, "se": effect.se, "note": effect.note}
                        for effect in each.effects
                    },
                    "note": "; ".join(dict.fromkeys(filter(None, notes))),
                }
            )  # fmt: skip
    return rows


FIGURES = (
    "method", "lambda", "win_rate", "win_rate_low", "win_rate_high", "judge_win_rate", "judge_low", "judge_high",
    "people_win_rate", "people_low", "people_high", "elo", "elo_low", "elo_high", "joint_elo", "joint_low",
    "joint_high", "joint_p", "headline",
)  # fmt: skip
"""What is None of a model without a calibrated figure."""


def describe(estimate: PPIEstimate, form: str = ".3f", *, share: bool = True) -> list[str]:
    """Lines on a calibrated mean: both together, then the judge alone and people alone.

    Args:
        estimate: the mean.
        form: of its numbers.
        share: whether it is a share: what lies outside [0, 1] is shown cut, with a mark and a line that tells it whole.
    """
    odd: list[str] = []

    def one(value: float) -> str:
        return f"{cut(value):{form}}*" if share and outside(value) else f"{value:{form}}"

    def whole(value: float, low: float | None, high: float | None) -> str:
        if share and (outside(value) or outside(low) or outside(high)):
            odd.append(uncut(value, low, high))
        return f"{one(value)} " + ("—" if low is None or high is None else f"[{one(low)}, {one(high)}]")

    gain = "" if estimate.effective_n_ratio is None else f", worth {estimate.effective_n_ratio:.2f} times the labels"
    said = [
        f"people and judge: {whole(estimate.value, estimate.low, estimate.high)}, "
        f"{estimate.n_human} labels and {estimate.n_judge} verdicts more, λ {estimate.lam:.2f}{gain}, "
        f"by {BY[estimate.method]}"
    ]
    if estimate.judge_value is not None:
        alone = whole(estimate.judge_value, estimate.judge_low, estimate.judge_high)
        every = estimate.method == "augmented"  # its mean is over all, labelled or not
        on = f"all {estimate.n_judge + estimate.n_human}" if every else f"the {estimate.n_judge} without a label"
        said.append(f"judge alone: {alone} on {on}, which allows for no bias of the judge")
    said.append(f"people alone: {whole(estimate.human_value, estimate.human_low, estimate.human_high)}")
    said += [f"* {each}" for each in odd]
    if estimate.note:
        said.append(f"note: {estimate.note}")
    return said


def lines(found: Iterable[Calibrated]) -> Iterator[str]:
    """The lines of several calibrations, for the terminal."""
    for each in found:
        yield f"{each.suite}, {each.dimension}, {each.judge} by {each.rubric}, calibrated by {', '.join(each.people)}"
        for model, rate in sorted(each.win_rates.items(), key=lambda row: -row[1].value):
            yield f"  win rate of {model}"
            yield from (f"    {line}" for line in describe(rate))
        for model, lack in sorted(each.without.items()):
            yield f"  no calibrated figure of {model}: {lack.why}"
        if each.ratings is not None:
            for model, elo in sorted(each.ratings.elo.items(), key=lambda row: -row[1]):
                ends = f"[{each.ratings.low[model]:.0f}, {each.ratings.high[model]:.0f}]"
                yield f"  Elo of {model} by people and judge: {elo:.0f} {ends}"
            if each.joint is not None:
                said = [f"{name} {elo:.0f}" for name, elo in sorted(each.joint.elo.items(), key=lambda row: -row[1])]
                which = "PPI" if each.joint.headline == "ppi" else "the joint model"
                yield f"  Elo by a joint model of people, judge and the judge's biases: {', '.join(said)}"
                for effect in each.effects:
                    if effect.value is None:
                        yield f"    {WORDS[effect.name]}: not in it, {effect.note}"
                    else:
                        yield f"    {WORDS[effect.name]}: {effect.value:+.2f} log-odds (error {effect.se:.2f})"
                yield f"  do the two agree? p = {each.joint.p_value:.2g}: {which} is the headline"
            if each.ratings.note:
                yield f"  note: {each.ratings.note}"
        if each.note:
            yield f"  note: {each.note}"
