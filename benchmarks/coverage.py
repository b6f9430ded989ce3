"""How often nominal 95 % intervals hold: ``python benchmarks/coverage.py [--data DIR] [--draws 2000] [--seed 0]``.

Each row draws the same experiment anew and counts how often the interval held the truth that it was drawn from. Rows on
PandaLM draw recorded comparisons (people's majority label and the recorded judge's verdict) with replacement, so the
truth is that of the whole file. What must hold covers 93 to 97 %; "judge alone" is there to show what does not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from judgebench.ratings.bradley_terry import fit
from judgebench.ratings.intervals import clustered_interval
from judgebench.ratings.ppi import ppi_mean
from judgebench.ratings.ppi_ratings import ppi_bradley_terry

Hits = Iterator[tuple[str, bool]]
"""(row, whether the interval held the truth), once an interval."""

THETA = {"a": -0.6, "b": -0.2, "c": 0.0, "d": 0.3, "e": 0.5}
PAIRS = [(a, b) for a in THETA for b in THETA if a < b]
ELO = 400 / math.log(10)


def holds(low: float | None, high: float | None, truth: float) -> bool:
    """Whether the interval is there and holds the truth."""
    return low is not None and high is not None and low <= truth <= high


def correlated(random: np.random.Generator, chance: np.ndarray, share: float) -> np.ndarray:
    """0 or 1 with these chances (questions × games): the games of a question share their luck with chance ``share``."""
    common = random.random((len(chance), 1))
    luck = np.where(random.random(chance.shape) < share, common, random.random(chance.shape))
    return (luck < chance).astype(float)


def win_rate(random: np.random.Generator) -> Hits:
    """80 questions of two turns, true win rate 0.6."""
    scores = correlated(random, np.full((80, 2), 0.6), 0.6)
    found = clustered_interval(scores.ravel(), np.repeat(np.arange(80), 2).tolist())
    yield "win rate, 80 questions x 2 turns", holds(found.low, found.high, 0.6)


def _chances(theta: dict[str, float]) -> np.ndarray:
    return np.array([1 / (1 + math.exp(theta[b] - theta[a])) for a, b in PAIRS])


def _fit_hits(random: np.random.Generator, theta: dict[str, float], row: str) -> Hits:
    left, right = [a for a, _ in PAIRS] * 80, [b for _, b in PAIRS] * 80
    chance = np.tile(_chances(theta), (80, 1))
    # Both orders: the mean of two verdicts that agree more often than by chance, so a good share are half-wins.
    score = (correlated(random, chance, 0.5) + correlated(random, chance, 0.5)) / 2
    found = fit(left, right, score.ravel().tolist(), np.repeat(np.arange(80), len(PAIRS)).tolist())
    middle = sum(theta.values()) / len(theta)
    for name, value in theta.items():
        assert found.low is not None
        assert found.high is not None
        yield row, holds(found.low[name], found.high[name], 1000 + ELO * (value - middle))


def bradley_terry(random: np.random.Generator) -> Hits:
    """Five models, all pairs on 80 questions, half-wins."""
    yield from _fit_hits(random, THETA, "Bradley-Terry, 5 models, 80 questions, half-wins")


def per_dimension(random: np.random.Generator) -> Hits:
    """Three dimensions, each with strengths of its own."""
    for number, scale in enumerate((1.0, 0.5, -0.7)):
        theta = {name: scale * value + 0.1 * number for name, value in THETA.items()}
        yield from _fit_hits(random, theta, "Bradley-Terry of each of three dimensions")


def ppi_win_rate(random: np.random.Generator) -> Hits:
    """100 labelled of 1,000 questions; the judge agrees with people four times in five and is 10 points too kind."""
    truth = 0.6
    human = (random.random(1000) < truth).astype(float)
    judge = np.where(random.random(1000) < 0.8, human, 1 - human)
    judge = np.where((judge == 0) & (random.random(1000) < 0.3), 1.0, judge)
    found = ppi_mean(human[:100], judge[:100], judge[100:], folds=2, seed=int(random.integers(2**31)),
                     human_clusters=list(range(100)), judge_clusters=list(range(100, 1000)))  # fmt: skip
    yield "PPI++ win rate, 100 of 1,000 labelled", holds(found.low, found.high, truth)
    yield "... judge alone", holds(found.judge_low, found.judge_high, truth)
    yield "... people alone", holds(found.human_low, found.human_high, truth)


def taste_for_length(random: np.random.Generator) -> Hits:
    """As before, but judge and people both like length, the judge more; the model's answers are longer."""
    size = random.normal(0.8, 1.0, 1000)
    luck = random.random(1000)
    truth = _mean_logistic(-0.4, 0.3, 0.8)
    human = (luck < 1 / (1 + np.exp(0.4 - 0.3 * size))).astype(float)
    luck = np.where(random.random(1000) < 0.7, luck, random.random(1000))
    judge = (luck < 1 / (1 + np.exp(0.4 - 1.2 * size))).astype(float)
    found = ppi_mean(human[:100], judge[:100], judge[100:], folds=2, seed=int(random.integers(2**31)),
                     human_clusters=list(range(100)), judge_clusters=list(range(100, 1000)))  # fmt: skip
    yield "PPI++ win rate, judge with a taste for length", holds(found.low, found.high, truth)
    yield "... judge alone (length)", holds(found.judge_low, found.judge_high, truth)


def _mean_logistic(start: float, slope: float, mean: float) -> float:
    """E expit(start + slope · x), x normal of that mean and sd 1."""
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    return float((weights / (1 + np.exp(-(start + slope * (points + mean))))).sum() / weights.sum())


def ppi_ratings(random: np.random.Generator) -> Hits:
    """Five models, 1,000 games of 250 questions, the 200 games of 50 questions labelled; the judge likes model 'b'."""
    questions, labelled = 250, 50
    picked = np.array([random.choice(len(PAIRS), 4, replace=False) for _ in range(questions)])
    chance = _chances(THETA)[picked]
    luck = random.random(chance.shape)
    taste = np.array([0.8 * ((a == "b") - (b == "b")) for a, b in PAIRS])[picked]
    own = np.where(random.random(chance.shape) < 0.8, luck, random.random(chance.shape))
    human = (luck < chance).astype(float)
    judge = (own < 1 / (1 + np.exp(-(np.log(chance / (1 - chance)) + taste)))).astype(float)
    rows = [
        (q, PAIRS[picked[q, k]][0], PAIRS[picked[q, k]][1], human[q, k], judge[q, k])
        for q in range(questions)
        for k in range(4)
    ]
    found = ppi_bradley_terry(
        [row[1:] for row in rows if row[0] < labelled],
        [(a, b, f) for q, a, b, _, f in rows if q >= labelled],
        human_clusters=[row[0] for row in rows if row[0] < labelled],
        judge_clusters=[row[0] for row in rows if row[0] >= labelled],
    )
    middle = sum(THETA.values()) / len(THETA)
    for name, value in THETA.items():
        yield (
            "PPI++ Bradley-Terry, 200 of 1,000 games labelled",
            holds(found.low[name], found.high[name], 1000 + ELO * (value - middle)),
        )
    assert found.judge_relative is not None
    assert found.judge_se_relative is not None
    half = 1.96 * found.judge_se_relative["b"]
    middle_b = found.judge_relative["b"]
    yield "... judge alone, the model it likes", abs(middle_b - (THETA["b"] - THETA["a"])) <= half


def pandalm(data: Path) -> Callable[[np.random.Generator], Hits]:
    """llama-7b's win rate on PandaLM's test set: 2,000 comparisons drawn, 100 of them labelled by people."""
    people = json.loads(gzip.decompress((data / "pandalm" / "data" / "testset-v1.json.gz").read_bytes()))
    verdicts = json.loads((data / "pandalm" / "data" / "pandalm-7b-testset-v1.json").read_text())
    human_scores, judge_scores = [], []
    for row, said in zip(people, verdicts, strict=True):
        if "llama-7b" not in row["cmp_key"].split("_"):
            continue
        ours = 1 + row["cmp_key"].split("_").index("llama-7b")
        labels = [row[f"annotator{number}"] for number in (1, 2, 3)]
        label = max(set(labels), key=labels.count)
        human_scores.append(0.5 if label == 0 else float(label == ours))
        verdict = str(said["pandalm_result"])
        judge_scores.append(0.5 if verdict == "0" else float(verdict == str(ours)))
    human, judge = np.array(human_scores), np.array(judge_scores)
    truth = float(human.mean())

    def draw(random: np.random.Generator) -> Hits:
        drawn = random.integers(0, len(human), 2000)
        y, f = human[drawn], judge[drawn]
        found = ppi_mean(y[:100], f[:100], f[100:], folds=2, seed=int(random.integers(2**31)),
                         human_clusters=list(range(100)), judge_clusters=list(range(100, 2000)))  # fmt: skip
        yield "PandaLM, PPI++ with PandaLM-7B, 100 of 2,000", holds(found.low, found.high, truth)
        yield "... PandaLM-7B alone", holds(found.judge_low, found.judge_high, truth)
        yield "... people alone (PandaLM)", holds(found.human_low, found.human_high, truth)

    return draw


EXPERIMENTS = (win_rate, bradley_terry, per_dimension, ppi_win_rate, taste_for_length, ppi_ratings)


def covered(draw: Callable[[np.random.Generator], Hits], draws: int, seed: int) -> dict[str, tuple[float, int]]:
    """Row → share of intervals that held the truth, and how many there were."""
    random = np.random.default_rng(seed)
    counts: dict[str, list[int]] = {}
    for _ in range(draws):
        for row, held in draw(random):
            count = counts.setdefault(row, [0, 0])
            count[0] += held
            count[1] += 1
    return {row: (held / count, count) for row, (held, count) in counts.items()}


def main() -> None:
    """Prints a row for each interval."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with pandalm/")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    experiments: list[Callable[[np.random.Generator], Hits]] = list(EXPERIMENTS)
    if (args.data / "pandalm").is_dir():
        experiments.append(pandalm(args.data))
    else:
        print(f"no pandalm/ in {args.data}: its rows are left out")
    for experiment in experiments:
        began = time.perf_counter()
        for row, (share, count) in covered(experiment, args.draws, args.seed).items():
            print(f"{row:<52} {100 * share:6.2f} %  of {count:,}", flush=True)
        print(f"{'':<52} {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
