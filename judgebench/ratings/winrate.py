"""Win rates: every definition in use, the rating by half-wins, the pair table and the matrix."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from judgebench.ratings.intervals import (
    clopper_pearson,
    clustered_error,
    clustered_interval,
    finite,
    normal_interval,
    t_interval,
    wilson,
)
from judgebench.ratings.paired import sign_test
from judgebench.ratings.pools import Pool, pools, question
from judgebench.types import Game, Rating, Record


class WinRates(Record, frozen=True, kw_only=True):
    """One model's results under every definition; None where a definition divides by nothing."""

    n: int
    """Games."""
    wins: int
    """Games with more than half the point."""
    ties: int
    """Games with exactly half."""
    losses: int
    """Games with less than half."""
    win_rate_half: float | None
    """Mean score, ties and halves counted as they are: the headline."""
    strict_win_rate: float | None
    """wins / n."""
    loss_rate: float | None
    """losses / n."""
    tie_rate: float | None
    """ties / n."""
    decisive_win_rate: float | None
    """wins / (wins + losses)."""
    net_win_rate: float | None
    """(wins - losses) / n."""
    win_or_tie_rate: float | None
    """(wins + ties) / n."""
    win_odds: float | None
    """(wins + ties/2) / (losses + ties/2)."""
    win_ratio: float | None
    """wins / losses."""
    sem_half: float | None
    """sd (ddof 1) / sqrt n of the half-win rate; games taken as independent."""
    ci95_normal: tuple[float, float] | None
    """Half-win rate ± 1.96 sem; None for one game, or where no game differs from another."""
    ci95_t: tuple[float, float] | None
    """Half-win rate ± t(n-1) sem; None as there."""
    decisive_wilson95: tuple[float, float] | None
    """Wilson's interval of the decisive win rate."""
    decisive_clopper_pearson95: tuple[float, float] | None
    """Clopper and Pearson's interval of the decisive win rate."""
    sign_test_p: float | None
    """Exact two-sided sign test of wins against losses."""


class PairResult(Record, frozen=True, kw_only=True):
    """How one model did against another."""

    suite: str
    """Name of the suite."""
    judge: str
    """Name of the judge."""
    rubric: str
    """``name@hash``."""
    dimension: str
    """What was judged."""
    left: str
    """Model whose wins are counted."""
    right: str
    """The other model."""
    games: int
    """Games between them."""
    clusters: int
    """Questions."""
    wins: int
    """Games with more than half the point for left."""
    ties: int
    """Games with exactly half."""
    losses: int
    """Games with less than half."""
    win_rate: float
    """Left's half-win rate."""
    low: float | None
    """Lower end of the question-clustered 95 % interval."""
    high: float | None
    """Upper end."""
    se: float | None
    """Question-clustered standard error of the win rate; sd (ddof 1) / sqrt n where each question has one game."""
    consistent: float
    """Share of the games in which both orders named the same winner."""
    note: str = ""
    """What a reader must know."""


class WinMatrix(Record, frozen=True, kw_only=True):
    """Half-win rate of every row's model against every column's."""

    models: tuple[str, ...]
    """Sorted names of rows and columns."""
    rates: tuple[tuple[float | None, ...], ...]
    """None on the diagonal and where two models never met."""
    games: tuple[tuple[int, ...], ...]
    """Games behind each rate."""


def _ratio(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None


def win_rates(outcomes: Sequence[float]) -> WinRates:
    """All win-rate definitions of one model's scores (1 win, 0.5 tie, 0 loss, or between).

    Raises:
        UserError: a score that is not finite or outside [0, 1].
    """
    scores = finite(outcomes)
    n = len(scores)
    wins, losses = int((scores > 0.5).sum()), int((scores < 0.5).sum())
    ties, decisive = n - wins - losses, wins + losses
    mean = clustered_interval(outcomes).value
    error = clustered_error(outcomes).clt if n else None
    return WinRates(
        n=n,
        wins=wins,
        ties=ties,
        losses=losses,
        win_rate_half=mean,
        strict_win_rate=_ratio(wins, n),
        loss_rate=_ratio(losses, n),
        tie_rate=_ratio(ties, n),
        decisive_win_rate=_ratio(wins, decisive),
        net_win_rate=_ratio(wins - losses, n),
        win_or_tie_rate=_ratio(wins + ties, n),
        win_odds=_ratio(wins + ties / 2, losses + ties / 2),
        win_ratio=_ratio(wins, losses),
        sem_half=error,
        ci95_normal=None if mean is None or not error else normal_interval(mean, error),
        ci95_t=None if mean is None or not error else t_interval(mean, error, n - 1),
        decisive_wilson95=wilson(wins, decisive) if decisive else None,
        decisive_clopper_pearson95=clopper_pearson(wins, decisive) if decisive else None,
        sign_test_p=sign_test(wins, losses) if decisive else None,
    )


def rate(games: Sequence[Game]) -> list[Rating]:
    """Half-win rate of every model in every (suite, judge, rubric, dimension), with question-clustered intervals.

    The mean runs over a model's games, whoever the opponent; where models met different opponents the note says so.
    The interval is `clustered_interval`'s.
    """
    ratings = []
    for pool, members in pools(games).items():
        scores: dict[str, list[float]] = defaultdict(list)
        questions: dict[str, list[tuple[str, str]]] = defaultdict(list)
        met: dict[str, set[str]] = defaultdict(set)
        for game in members:
            for model, other, score in ((game.left, game.right, game.score), (game.right, game.left, 1 - game.score)):
                scores[model].append(score)
                questions[model].append(question(game))
                met[model].add(other)
        everyone = set(scores)
        for model in sorted(scores):
            estimate = clustered_interval(scores[model], questions[model])
            missing = sorted(everyone - met[model] - {model})
            notes = [estimate.note] if estimate.note else []
            if missing:
                notes.append(f"never met {', '.join(missing)}: rates over different opponents are not comparable")
            ratings.append(
                Rating(
                    model=model,
                    dimension=pool.dimension,
                    method="win-rate",
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    n=estimate.n,
                    clusters=estimate.clusters,
                    suite=pool.suite,
                    judge=pool.judge,
                    rubric=pool.rubric,
                    note="; ".join(notes),
                )
            )
    return ratings


def pair_table(games: Sequence[Game]) -> list[PairResult]:
    """One row for each pair of models in each (suite, judge, rubric, dimension), left being the first by name."""
    rows: dict[tuple[Pool, str, str], list[tuple[Game, float]]] = defaultdict(list)
    for pool, members in pools(games).items():
        for game in members:
            if game.left <= game.right:
                rows[pool, game.left, game.right].append((game, game.score))
            else:
                rows[pool, game.right, game.left].append((game, 1 - game.score))
    table = []
    for (pool, left, right), pairs in sorted(rows.items()):
        scores = [score for _, score in pairs]
        estimate = clustered_interval(scores, [question(game) for game, _ in pairs])
        table.append(
            PairResult(
                suite=pool.suite,
                judge=pool.judge,
                rubric=pool.rubric,
                dimension=pool.dimension,
                left=left,
                right=right,
                games=len(pairs),
                clusters=estimate.clusters,
                wins=sum(score > 0.5 for score in scores),
                ties=sum(score == 0.5 for score in scores),
                losses=sum(score < 0.5 for score in scores),
                win_rate=math.fsum(scores) / len(scores),
                low=estimate.low,
                high=estimate.high,
                se=estimate.se,
                consistent=sum(game.consistent for game, _ in pairs) / len(pairs),
                note=estimate.note,
            )
        )
    return table


def win_matrix(games: Sequence[Game]) -> WinMatrix:
    """The half-win rates of every model against every other, over all the games given: give those of one pool."""
    points: dict[tuple[str, str], list[float]] = defaultdict(list)
    for game in games:
        points[game.left, game.right].append(game.score)
        points[game.right, game.left].append(1 - game.score)
    models = sorted({name for pair in points for name in pair})
    cells = [[points.get((row, column), []) for column in models] for row in models]
    return WinMatrix(
        models=tuple(models),
        rates=tuple(tuple(_ratio(math.fsum(cell), len(cell)) for cell in row) for row in cells),
        games=tuple(tuple(len(cell) for cell in row) for row in cells),
    )
