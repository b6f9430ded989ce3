"""Do debiased intervals cover the truth? ``python benchmarks/coverage_bias.py [--runs 1000] [--questions 80]``.

A simulated judge with planted position, length and self-preference biases and simulated people without any judge the
same four models on the same questions, every pair in both orders. The truth does not depend on length, but the worst
model writes the most, so that a judge that likes length rates it too high. Printed for each parameter: its true value,
the mean estimate, how far that is off, and the share of 95 % intervals that cover the truth, with their interval.
Ratings stand twice, ``plain`` (Bradley–Terry on the judge's verdicts) and ``debiased``. No model is asked.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from simulated_judge import SimulatedJudge

from judgebench.ratings.intervals import clopper_pearson
from judgebench.ratings.sway import sway

STRENGTHS = {"own": 0.3, "best": 0.6, "middle": -0.2, "worst": -0.7}
LENGTHS = {"own": 700.0, "best": 500.0, "middle": 900.0, "worst": 1400.0}
BIASES = {"position": 0.6, "length": 1.5, "self": 0.7}
ELO = 400 / math.log(10)


class Covered(NamedTuple):
    """One line of the table."""

    kind: str
    name: str
    truth: float
    mean: float
    covered: float
    runs: int


def coverage(runs: int, questions: int = 80, seed: int = 0) -> list[Covered]:
    """A line for each effect and each model's rating, plain and debiased."""
    judge = SimulatedJudge(STRENGTHS, position=BIASES["position"], length=BIASES["length"], own={"own": BIASES["self"]})
    people = SimulatedJudge(STRENGTHS)
    truth = {("effect", name): value for name, value in BIASES.items()}
    for kind in ("plain", "debiased"):
        truth.update({(kind, name): 1000 + ELO * value for name, value in STRENGTHS.items()})
    found: dict[tuple[str, str], list[tuple[float, bool]]] = {key: [] for key in truth}
    random = np.random.default_rng(seed)

    def note(kind: str, name: str, value: float | None, low: float | None, high: float | None) -> None:
        if value is None or low is None or high is None:
            raise RuntimeError(f"{kind} {name} is undefined")
        found[kind, name].append((value, low <= truth[kind, name] <= high))

    for _ in range(runs):
        shown = judge.verdicts(random, questions, LENGTHS)
        estimates = sway(shown, {"own"}, people.verdicts(random, questions, LENGTHS))
        for effect in estimates.effects:
            if effect.name in BIASES:
                note("effect", effect.name, effect.value, effect.low, effect.high)
        for row in estimates.ratings:
            note("plain", row.model, row.plain, row.plain_low, row.plain_high)
            note("debiased", row.model, row.debiased, row.debiased_low, row.debiased_high)
    return [
        Covered(kind, name, truth[kind, name], float(np.mean([value for value, _ in values])),
                float(np.mean([inside for _, inside in values])), len(values))
        for (kind, name), values in found.items()
    ]  # fmt: skip


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{given.runs} runs, {given.questions} questions, 4 models, both orders, seed {given.seed}\n")
    print(f"{'':10}{'':10}{'truth':>9}{'mean':>9}{'off by':>9}{'covered':>9}   95 % interval")
    for row in coverage(given.runs, given.questions, given.seed):
        low, high = clopper_pearson(round(row.covered * row.runs), row.runs)
        numbers = f"{row.truth:9.3f}{row.mean:9.3f}{row.mean - row.truth:+9.3f}{row.covered:9.3f}"
        print(f"{row.kind:10}{row.name:10}{numbers}   [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
