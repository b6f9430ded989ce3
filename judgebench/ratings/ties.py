"""Ratings that model ties as an outcome of their own: Davidson and Rao–Kupper, and which of them the games fit.

Sources: Davidson 1970; Rao and Kupper 1967; clustered sandwich: Liang and Zeger 1986; Vuong 1989. Their θ is not that
of half-wins: there a tie is half a point and θ says the expected score; here ties are set aside, so gaps are wider. The
headline stays the half-win fit (`bradley_terry`), as every game has an expected score, also where orders disagree.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.bradley_terry import ELO, FEW
from judgebench.ratings.intervals import Codes, Floats, cluster_codes, t_quantile
from judgebench.ratings.sandwich import meat
from judgebench.ratings.tallies import Tally, separation, tally
from judgebench.types import Record

Kind = Literal["davidson", "rao-kupper"]
"""davidson: P(tie) ∝ ν sqrt(π_i π_j); rao-kupper: P(win) = 1 / (1 + exp(η - d))."""


LEAST = 1e-3
"""Least information about any direction: one game that goes the other way holds about 1, none runs towards 0."""


class TieFit(Record, frozen=True, kw_only=True):
    """A fit with ties as an outcome; dictionaries are by model, the θ sum to 0."""

    kind: Kind
    """Which model of ties."""
    models: tuple[str, ...]
    """Sorted names, the first rows of ``covariance``."""
    theta: dict[str, float]
    """Log-odds strengths: ln P(i wins) - ln P(j wins) = θ_i - θ_j for Davidson."""
    elo: dict[str, float]
    """1000 + 400 / ln 10 · θ."""
    se: dict[str, float] | None
    """Clustered sandwich errors of θ (CR0); None with one cluster."""
    low: dict[str, float] | None
    """Elo less t(G-1) · sqrt(G/(G-1)) · its error."""
    high: dict[str, float] | None
    """Upper end."""
    tie: float
    """Davidson's ν, or Rao and Kupper's η: 0 would be no ties at all."""
    tie_se: float | None
    """Its clustered sandwich error."""
    covariance: Floats
    """(m + 1) × (m + 1) sandwich covariance of θ and ln ν, or of θ and η."""
    log_likelihood: float
    """Σ ln P(outcome) over wins, ties and losses."""
    games: int
    """Games."""
    ties: int
    """Ties among them."""
    clusters: int
    """Clusters."""
    note: str
    """What a reader must know."""

    def probabilities(self, left: str, right: str) -> tuple[float, float, float]:
        """P(left wins), P(tie), P(right wins)."""
        gap = np.array([self.theta[left] - self.theta[right]])
        win, tie, loss = np.exp(_logs(self.kind, gap, math.log(self.tie) if self.kind == "davidson" else self.tie))
        return float(win[0]), float(tie[0]), float(loss[0])


class TieComparison(Record, frozen=True, kw_only=True):
    """Which model of ties the games fit, and whether either does."""

    davidson: float
    """Log-likelihood of Davidson's model."""
    rao_kupper: float
    """Log-likelihood of Rao and Kupper's."""
    saturated: float
    """Log-likelihood where every pair of models has its own shares of wins, ties and losses."""
    better: Kind
    """The model of the higher likelihood; both have as many parameters."""
    vuong: float | None
    """Davidson less Rao–Kupper over its clustered error (CR1): a standard normal where they fit alike."""
    vuong_p: float | None
    """Its two-sided p-value; None where they differ in nothing."""
    deviance: dict[str, float]
    """2 · (saturated - model) by model."""
    df: int
    """Degrees of freedom of the deviance: 2 · pairs - m."""
    deviance_p: dict[str, float] | None
    """χ² p-values: small means the model does not fit. None without degrees of freedom. Games as independent."""
    note: str
    """What a reader must know."""


def fit(
    left: Sequence[str],
    right: Sequence[str],
    score: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    kind: Kind = "davidson",
    level: float = 0.95,
) -> TieFit:
    """The maximum-likelihood fit with ties as an outcome of their own.

    Davidson: P(i wins) = π_i / D, P(tie) = ν sqrt(π_i π_j) / D, D = π_i + π_j + ν sqrt(π_i π_j), θ = ln π.
    Rao and Kupper: P(i wins) = 1 / (1 + exp(η - d)), P(j wins) = 1 / (1 + exp(η + d)), d = θ_i - θ_j, the rest ties.

    Args:
        left: name of one model of each game.
        right: name of the other.
        score: 1, 0.5 or 0 for left; what lies between is neither a win nor a tie.
        clusters: the question of each game; None takes games as independent.
        kind: which model of ties.
        level: coverage of ``low`` and ``high``.

    Raises:
        UserError: a score other than 0, 0.5 or 1; no ties or nothing but ties; and what `bradley_terry.fit` refuses.
    """
    games = _three_outcomes(left, right, score)
    return _fitted(games, clusters, kind, level)


def compare(
    left: Sequence[str], right: Sequence[str], score: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> TieComparison:
    """Which of the two models of ties the games fit, by their likelihoods, and whether it fits at all.

    Args:
        left: name of one model of each game.
        right: name of the other.
        score: 1, 0.5 or 0 for left.
        clusters: the question of each game, for the test between the two.

    Raises:
        UserError: what `fit` refuses.
    """
    games = _three_outcomes(left, right, score)
    found = {kind: _fitted(games, clusters, kind, 0.95) for kind in ("davidson", "rao-kupper")}
    codes = cluster_codes(clusters, len(games.scores))
    gaps = {kind: np.array(list(each.theta.values())) for kind, each in found.items()}
    each_game = []
    for kind, fitted in found.items():
        gap = gaps[kind][games.a] - gaps[kind][games.b]
        logs = _logs(fitted.kind, gap, math.log(fitted.tie) if kind == "davidson" else fitted.tie)
        each_game.append(np.select([games.scores == 1, games.scores == 0.5], [logs[0], logs[1]], logs[2]))
    difference = each_game[0] - each_game[1]
    sums = np.bincount(codes, weights=difference - difference.mean())
    groups = len(sums)
    spread = math.sqrt(float(sums @ sums) * groups / (groups - 1)) if groups > 1 else 0.0
    vuong = float(difference.sum()) / spread if spread > 1e-9 else None
    wins, ties = _tables(games)
    lost = wins.T
    met = wins + ties + lost
    upper = np.triu(met) > 0
    saturated = sum(float(special.xlogy(part, np.divide(part, met, where=met > 0, out=np.ones_like(met)))[upper].sum())
                    for part in (wins, ties, lost))  # fmt: skip
    df = 2 * int(upper.sum()) - len(games.models)
    deviance = {kind: 2 * (saturated - each.log_likelihood) for kind, each in found.items()}
    davidson, other = found["davidson"], found["rao-kupper"]
    return TieComparison(
        davidson=davidson.log_likelihood,
        rao_kupper=other.log_likelihood,
        saturated=saturated,
        better="davidson" if davidson.log_likelihood >= other.log_likelihood else "rao-kupper",
        vuong=vuong,
        vuong_p=None if vuong is None else float(2 * special.ndtr(-abs(vuong))),
        deviance=deviance,
        df=df,
        deviance_p={kind: float(special.chdtrc(df, max(0.0, value))) for kind, value in deviance.items()}
        if df
        else None,
        note="half-wins are no model of ties: their likelihood is not on this scale",
    )


def _three_outcomes(left: Sequence[str], right: Sequence[str], score: Sequence[float]) -> Tally:
    """The games, all of them wins, ties or losses that some finite strengths could have brought about."""
    games = tally(left, right, score)
    odd = np.setdiff1d(games.scores, (0.0, 0.5, 1.0))
    if len(odd):
        raise UserError(f"a model of ties needs scores of 0, 0.5 or 1, found {odd[0]:g}: half-wins take any share")
    tied = int((games.scores == 0.5).sum())
    if tied in (0, len(games.scores)):
        raise UserError(
            f"{'no game is a tie' if not tied else 'every game is a tie'}: how likely ties are cannot be told"
        )
    apart = separation(games.models, games.points)
    if apart:
        raise UserError(f"separated: {apart}; no finite fit exists")
    return games


def _tables(games: Tally) -> tuple[Floats, Floats]:
    """Two m × m tables: wins of the row's model over the column's, and their ties (symmetric)."""
    m = len(games.models)
    key, turned = games.a * m + games.b, games.b * m + games.a

    def count(cells: Codes) -> Floats:
        return np.bincount(cells, minlength=m * m).reshape(m, m).astype(np.float64)

    won, lost, tied = games.scores == 1, games.scores == 0, games.scores == 0.5
    ties = count(key[tied])
    return np.asarray(count(key[won]) + count(turned[lost])), ties + ties.T


def _logs(kind: Kind, gap: Floats, tie: float) -> tuple[Floats, Floats, Floats]:
    """Logs of P(win), P(tie) and P(loss); ``tie`` is ln ν or η."""
    if kind == "davidson":
        total = np.logaddexp(np.logaddexp(gap / 2, -gap / 2), tie)
        return gap / 2 - total, tie - total, -gap / 2 - total
    win, loss = special.log_expit(gap - tie), special.log_expit(-gap - tie)
    return win, win + loss + math.log(math.expm1(2 * tie)) if tie > 0 else np.full_like(gap, -math.inf), loss


class _Slopes(NamedTuple):
    """First and second derivatives of ln P of one outcome by the gap and by the tie parameter."""

    gap: Floats
    tie: Floats
    gap_gap: Floats
    gap_tie: Floats
    tie_tie: Floats


def _slopes(kind: Kind, gap: Floats, tie: float, outcome: Literal["win", "tie", "loss"]) -> _Slopes:
    """Derivatives where the outcome is a win, a tie or a loss of the left model."""
    if kind == "davidson":
        win, tied, loss = (np.exp(each) for each in _logs(kind, gap, tie))
        lead = (win - loss) / 2
        seen = {"win": 0.5, "tie": 0.0, "loss": -0.5}[outcome]
        spread = (win + loss) / 4 - lead**2
        return _Slopes(seen - lead, float(outcome == "tie") - tied, -spread, tied * lead, -tied * (1 - tied))
    u, v = special.expit(gap - tie), special.expit(-gap - tie)
    of_win, of_loss = float(outcome != "loss"), float(outcome != "win")
    own = float(outcome == "tie")
    first, second = of_win * (1 - u), of_loss * (1 - v)
    bend, other = of_win * u * (1 - u), of_loss * v * (1 - v)
    grown = -math.expm1(-2 * tie)
    extra = own * 2 / grown
    return _Slopes(
        first - second, extra - first - second, -bend - other, bend - other,
        -bend - other - own * 4 * math.exp(-2 * tie) / grown**2,
    )  # fmt: skip


def _fitted(games: Tally, clusters: Sequence[Hashable] | None, kind: Kind, level: float) -> TieFit:
    """The fit of games that have passed the checks."""
    models, a, b, scores, _ = games
    m, codes = len(models), cluster_codes(clusters, len(scores))
    theta, tie, hessian, likelihood = _maximise(_tables(games), kind)
    flat = np.zeros_like(hessian)
    flat[:m, :m] = 1 / m
    inverse = np.linalg.inv(hessian + flat) - flat
    gap = theta[a] - theta[b]
    slopes = [_slopes(kind, gap, tie, outcome) for outcome in ("win", "tie", "loss")]
    seen = [scores == 1, scores == 0.5]
    by_gap = np.select(seen, [slopes[0].gap, slopes[1].gap], slopes[2].gap)
    by_tie = np.select(seen, [slopes[0].tie, slopes[1].tie], slopes[2].tie)
    covariance = np.asarray(inverse @ meat(a, b, by_gap, codes, m, by_tie[:, None]) @ inverse, dtype=np.float64)
    errors = np.sqrt(np.clip(np.diag(covariance), 0, None))
    groups = int(codes.max()) + 1
    defined = groups > 1
    half = (
        ELO * t_quantile(level, groups - 1) * math.sqrt(groups / (groups - 1)) * errors[:m] if defined else errors[:m]
    )
    elo = 1000 + ELO * theta
    note = "one question: no interval" if groups == 1 else ""
    if 1 < groups < FEW:
        note = f"{groups} questions: the interval is rough"
    value = math.exp(tie) if kind == "davidson" else tie

    def by_model(values: Floats) -> dict[str, float]:
        return dict(zip(models, values.tolist(), strict=True))

    return TieFit(
        kind=kind,
        models=tuple(models),
        theta=by_model(theta),
        elo=by_model(elo),
        se=by_model(errors[:m]) if defined else None,
        low=by_model(elo - half) if defined else None,
        high=by_model(elo + half) if defined else None,
        tie=value,
        tie_se=float(errors[m]) * (value if kind == "davidson" else 1.0) if defined else None,
        covariance=covariance,
        log_likelihood=likelihood,
        games=len(scores),
        ties=int(seen[1].sum()),
        clusters=groups,
        note=note,
    )


def _maximise(tables: tuple[Floats, Floats], kind: Kind) -> tuple[Floats, float, Floats, float]:
    """θ (sum 0), ln ν or η, the negative Hessian, and the log-likelihood."""
    wins, ties = tables
    m = len(wins)
    upper = np.triu_indices(m, 1)
    counts = wins[upper], ties[upper], wins.T[upper]
    met = sum(counts)
    i, j = upper[0][met > 0], upper[1][met > 0]
    counts = counts[0][met > 0], counts[1][met > 0], counts[2][met > 0]
    design = np.zeros((len(i), m))
    design[np.arange(len(i)), i], design[np.arange(len(i)), j] = 1, -1
    level = np.zeros((m + 1, m + 1))
    level[:m, :m] = 1 / m

    def value(beta: Floats) -> float:
        logs = _logs(kind, design @ beta[:m], float(beta[m]))
        total = sum(float((count * log)[count > 0].sum()) for count, log in zip(counts, logs, strict=True))
        return total if math.isfinite(total) else -math.inf

    share = float(ties.sum() / 2 / (wins.sum() + ties.sum() / 2))
    beta = np.zeros(m + 1)
    # Where all are equal: ν = 2 share / (1 - share), and exp η = (1 + share) / (1 - share).
    beta[m] = math.log(2 * share / (1 - share)) if kind == "davidson" else math.log((1 + share) / (1 - share))
    reached = value(beta)
    for _ in range(100):
        gap = design @ beta[:m]
        parts = [_slopes(kind, gap, float(beta[m]), outcome) for outcome in ("win", "tie", "loss")]
        sums = [sum(count * part[at] for count, part in zip(counts, parts, strict=True)) for at in range(5)]
        hessian = np.zeros((m + 1, m + 1))
        hessian[:m, :m] = -design.T @ (design * np.asarray(sums[2])[:, None])
        hessian[:m, m] = hessian[m, :m] = -design.T @ np.asarray(sums[3])
        hessian[m, m] = -float(np.sum(sums[4]))
        gradient = np.append(design.T @ np.asarray(sums[0]), float(np.sum(sums[1])))
        if float(np.linalg.eigvalsh(hessian + level)[0]) < LEAST:
            break
        step = np.linalg.solve(hessian + level, gradient)
        if np.abs(step).max() < 1e-10:
            return beta[:m], float(beta[m]), hessian, reached
        for _ in range(60):
            tried = beta + step
            tried[:m] -= tried[:m].mean()
            now = value(tried)
            if now >= reached - 1e-12 * abs(reached):
                break
            step /= 2
        beta, reached = tried, now
        if np.abs(beta).max() > 25:
            break
    raise UserError("separated: wins, ties and losses do not hold each other in check, so that no finite fit exists")
