"""Ratings of many games: ``python benchmarks/ratings.py --games 1000000 [--peer PYTHON]``.

Games among 100 models of unequal popularity, about 11 % of them ties, 50 to a question. Each contender runs in a child
of its own that is forked after the games are made; rounds are interleaved, one thread, and medians of per-round ratios
of CPU seconds are printed, so that other work on the machine counts little.

- ``fit floor``: names to codes by pandas, a table of points, Newton's method. ``fit``: `bradley_terry.fit` from the
  same name strings, with its errors, intervals and refusals; ``fit, clustered``: given the question of every game.
- ``sandwich``: the clustered covariance alone, of coded games; seconds, no ratio.
- ``boot floor``: 1,000 resamples of games, drawn as multinomial counts of (pair, outcome), two Newton steps each in
  batches. ``boot``: `bootstrap` of games, ``boot, clustered``: of whole questions.
- ``elo floor``: one pass over a list of ratings. ``elo``: `sequential_elo` from name strings.
- ``evalica`` (``--peer PYTHON``, an interpreter that has it): Bradley–Terry from names, and 20 (5 from half a million
  games on) of its bootstrap's resamples, scaled up.

Every fit is checked against the floor's in Elo points; a bootstrap by the ratio of its interval widths to the floor's.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import exp
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

UNIT = np.log(10) / 400
"""Log-odds of one Elo point."""

A_QUESTION = 50
"""Games of one question."""


class Games:
    """Simulated games, as names and as codes."""

    def __init__(self, n: int, m: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        theta = random.normal(0, 1, m)
        popularity = random.dirichlet(np.full(m, 3.0))
        self.a = random.choice(m, n, p=popularity)
        self.b = random.choice(m, n, p=popularity)
        while (same := self.a == self.b).any():
            self.b[same] = random.choice(m, int(same.sum()), p=popularity)
        gap = theta[self.a] - theta[self.b]
        drawn = random.random(n)
        wins = 1 / (1 + np.exp(0.3 - gap))
        losses = 1 / (1 + np.exp(0.3 + gap))
        self.score = np.where(drawn < wins, 1.0, np.where(drawn < wins + losses, 0.0, 0.5))
        self.question = random.integers(0, max(2, n // A_QUESTION), n)
        self.models = [f"model-{number:03d}" for number in range(m)]
        self.left = [self.models[number] for number in self.a]
        self.right = [self.models[number] for number in self.b]
        self.scores = self.score.tolist()
        self.m, self.n = m, n


def table(a: Any, b: Any, score: Any, m: int) -> Any:
    """The m × m table of points."""
    won = np.bincount(a * m + b, weights=score, minlength=m * m)
    return (won + np.bincount(b * m + a, weights=1 - score, minlength=m * m)).reshape(m, m)


def newton(points: Any) -> Any:
    """The floor's fit: plain Newton steps, nothing checked."""
    m = len(points)
    met, won, theta = points + points.T, points.sum(axis=1), np.zeros(len(points))
    for _ in range(50):
        chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
        weight = met * chance * (1 - chance)
        step = np.linalg.solve(np.diag(weight.sum(axis=1)) - weight + 1 / m, won - (met * chance).sum(axis=1))
        theta = theta + step
        if np.abs(step).max() < 1e-9:
            break
    return theta - theta.mean()


def fit_floor(games: Games) -> Any:
    """The floor: pandas and Newton."""
    import pandas as pd

    codes, names = pd.factorize(np.array(games.left + games.right, dtype=object))
    theta = newton(table(codes[: games.n], codes[games.n :], games.score, len(names)))
    return theta[np.argsort(names)]


def fit(games: Games) -> Any:
    """One fit from names."""
    from judgebench.ratings.bradley_terry import fit as ours

    found = ours(games.left, games.right, games.score)
    return [found.theta[name] for name in games.models]


def fit_clustered(games: Games) -> Any:
    """The same with questions."""
    from judgebench.ratings.bradley_terry import fit as ours

    found = ours(games.left, games.right, games.score, games.question)
    return [found.theta[name] for name in games.models]


def sandwich(games: Games) -> Any:
    """The middle of the sandwich alone."""
    from judgebench.ratings.sandwich import meat

    return meat(games.a, games.b, games.score - 0.5, games.question, games.m)


def elo_floor(games: Games) -> Any:
    """One pass over a list."""
    ratings, left, right = [1000.0] * games.m, games.a.tolist(), games.b.tolist()
    for one, other, score in zip(left, right, games.scores, strict=True):
        change = 4 * (score - 1 / (1 + exp((ratings[other] - ratings[one]) * UNIT)))
        ratings[one] += change
        ratings[other] -= change
    return np.array(ratings) * UNIT


def elo(games: Games) -> Any:
    """One pass from names."""
    from judgebench.ratings.elo import sequential_elo

    found = sequential_elo(zip(games.left, games.right, games.scores, strict=True))
    return np.array([found[name] for name in games.models]) * UNIT


def boot_floor(games: Games, draws: int) -> Any:
    """Interval ends of θ by batched Newton."""
    m, random = games.m, np.random.default_rng(1)
    low, high = np.minimum(games.a, games.b), np.maximum(games.a, games.b)
    points = np.where(games.a < games.b, games.score, 1 - games.score)
    counts = np.bincount((low * m + high) * 3 + (2 * points).astype(np.int64), minlength=3 * m * m)
    cells = np.flatnonzero(counts)
    pair, worth = cells // 3, cells % 3 / 2
    pairs, first = np.unique(pair, return_index=True)
    one, other = pairs // m, pairs % m
    start, found = newton(table(games.a, games.b, games.score, m)), []
    diagonal = np.arange(m)
    for begun in range(0, draws, 100):
        rows = min(100, draws - begun)
        drawn = random.multinomial(games.n, counts[cells] / games.n, size=rows).astype(float)
        met, won = np.add.reduceat(drawn, first, axis=1), np.add.reduceat(drawn * worth, first, axis=1)
        played, taken = np.zeros((rows, m, m)), np.zeros((rows, m, m))
        played[:, one, other] = played[:, other, one] = met
        taken[:, one, other], taken[:, other, one] = won, met - won
        theta = np.tile(start, (rows, 1))
        for _ in range(2):
            chance = 1 / (1 + np.exp(theta[:, None, :] - theta[:, :, None]))
            gradient = taken.sum(axis=2) - (played * chance).sum(axis=2)
            weight = -played * chance * (1 - chance)
            weight[:, diagonal, diagonal] = 0
            weight[:, diagonal, diagonal] = -weight.sum(axis=2)
            theta = theta + np.linalg.solve(weight + 1 / m, gradient[:, :, None])[:, :, 0]
        found.append(theta - theta.mean(axis=1, keepdims=True))
    return np.percentile(np.concatenate(found), [2.5, 97.5], axis=0)


def boot(games: Games, draws: int) -> Any:
    """Interval ends of θ, games resampled."""
    from judgebench.ratings.bootstrap import bootstrap

    found = bootstrap(games.left, games.right, games.score, draws=draws)
    return [[end[name] * UNIT for name in games.models] for end in (found.low, found.high)]


def boot_clustered(games: Games, draws: int) -> Any:
    """Interval ends of θ, questions resampled."""
    from judgebench.ratings.bootstrap import bootstrap

    found = bootstrap(games.left, games.right, games.score, games.question, draws=draws)
    return [[end[name] * UNIT for name in games.models] for end in (found.low, found.high)]


PEER = """
import json, pickle, sys, time
import numpy as np, evalica
with open(sys.argv[1], "rb") as file: names, left, right, scores, draws = pickle.load(file)
winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
start = time.process_time()
coded = [winners[score] for score in scores]
fitted = evalica.bradley_terry(left, right, coded, tolerance=1e-8, limit=10000)
point = time.process_time() - start
few = 20 if len(left) < 500000 else 5
start = time.process_time()
settings = {"n_resamples": few, "bootstrap_method": "percentile", "random_state": 1}
evalica.bootstrap(evalica.bradley_terry, left, right, coded, **settings)
boot = (time.process_time() - start) * draws / few
theta = np.log(fitted.scores.reindex(names).to_numpy())
print(json.dumps({"point": point, "boot": boot, "theta": (theta - theta.mean()).tolist()}))
"""


def alone(contender: Callable[[Games], Any], games: Games) -> tuple[float, float, Any]:
    """CPU seconds, growth of memory in MiB and result of a contender in a forked child."""
    end, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        found = contender(games)
        spent = time.process_time() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        with os.fdopen(out, "wb") as file:
            pickle.dump((spent, grown, np.asarray(found, dtype=float)), file)
        os._exit(0)
    os.close(out)
    with os.fdopen(end, "rb") as file:
        answer: tuple[float, float, Any] = pickle.load(file)
    os.waitpid(child, 0)
    return answer


def peer(python: str, games: Games, draws: int) -> dict[str, Any]:
    """What evalica takes and finds."""
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "games.pickle"
        path.write_bytes(pickle.dumps((games.models, games.left, games.right, games.scores, draws)))
        done = subprocess.run([python, "-c", PEER, str(path)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--games", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help="an interpreter that has evalica")
    args = parser.parse_args()
    import pandas  # noqa: F401
    import scipy.optimize
    import scipy.sparse.csgraph  # noqa: F401

    import judgebench.ratings.bootstrap
    import judgebench.ratings.bradley_terry
    import judgebench.ratings.elo  # noqa: F401

    games = Games(args.games, args.models)
    print(f"{games.n} games, {games.m} models, {(games.score == 0.5).mean():.1%} ties", file=sys.stderr)
    contenders: dict[str, tuple[str, Callable[[Games], Any]]] = {
        "fit floor": ("fit floor", fit_floor),
        "fit": ("fit floor", fit),
        "fit, clustered": ("fit floor", fit_clustered),
        "sandwich": ("fit floor", sandwich),
        "boot floor": ("boot floor", lambda data: boot_floor(data, args.draws)),
        "boot": ("boot floor", lambda data: boot(data, args.draws)),
        "boot, clustered": ("boot floor", lambda data: boot_clustered(data, args.draws)),
        "elo floor": ("elo floor", elo_floor),
        "elo": ("elo floor", elo),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    grown: dict[str, float] = {}
    results: dict[str, Any] = {}
    for _ in range(args.rounds):
        for name, (_, contender) in contenders.items():
            spent, grown[name], results[name] = alone(contender, games)
            times[name].append(spent)
    print(f"| {'contender':16} | CPU s | ratio to its floor | MiB more | agreement |\n|---|---|---|---|---|")
    for name, (floor, _) in contenders.items():
        ratio = statistics.median(own / base for own, base in zip(times[name], times[floor], strict=True))
        own, reference = results[name], results[floor]
        if name == "sandwich":
            said = ""
        elif floor == "boot floor":
            said = f"width {np.median((own[1] - own[0]) / (reference[1] - reference[0])):.3f}"
        else:
            said = f"{np.abs((own - own.mean()) - (reference - reference.mean())).max() / UNIT:.2g} Elo"
        print(f"| {name:16} | {statistics.median(times[name]):.4f} | {ratio:.2f} | {grown[name]:.0f} | {said} |")
    if args.peer:
        found = peer(args.peer, games, args.draws)
        off = np.abs(np.array(found["theta"]) - results["fit floor"]).max() / UNIT
        fitted, boots = statistics.median(times["fit"]), statistics.median(times["boot"])
        print(f"| evalica fit | {found['point']:.4f} | {found['point'] / fitted:.1f} × fit | | {off:.2g} Elo |")
        print(f"| evalica boot | {found['boot']:.1f} (scaled) | {found['boot'] / boots:.1f} × boot | | |")


if __name__ == "__main__":
    main()
