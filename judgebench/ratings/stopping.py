"""What to judge next, and when the answer is known: a pure function of the games so far.

Every hypothesis is a pair of models; its e-process bets on the questions' mean scores in an order of questions drawn
once. A pair is decided when its capital reaches (number of hypotheses) / alpha, so that the chance of any wrong
decision is at most alpha, whenever and however one looks (Ville 1939, and a union bound).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.sequential import betting, betting_interval
from judgebench.types import Record


class Step(NamedTuple):
    """One thing to judge: a question for a pair."""

    question: str
    """Key of the question."""
    left: str
    """One model of the pair."""
    right: str
    """The other."""


class PairState(Record, frozen=True, kw_only=True):
    """What is known of one pair."""

    left: str
    """One model."""
    right: str
    """The other."""
    questions: int
    """Questions with a score."""
    mean: float | None
    """Left's mean share of the point; None before any score."""
    low: float
    """Lower end of the confidence sequence at alpha / hypotheses: holds wherever one stops."""
    high: float
    """Upper end."""
    log_e: float
    """Highest log capital so far."""
    winner: str
    """Who is better; empty while undecided."""
    at: int | None
    """Questions at which it was decided; None where undecided or implied."""
    implied_by: str = ""
    """For a ranking: the model in between through which it follows."""


def pair_states(
    games: Sequence[tuple[str, str, str, float]],
    pairs: Sequence[tuple[str, str]],
    order: Sequence[str],
    *,
    alpha: float = 0.05,
    hypotheses: int | None = None,
    transitive: bool = False,
) -> list[PairState]:
    """The state of every pair.

    Args:
        games: (question, left, right, left's share of the point); several of a question and pair are averaged.
        pairs: the hypotheses, fixed before any game: their number is the correction.
        order: the questions in the order drawn before any game, from first to last.
        alpha: chance of any wrong decision.
        hypotheses: how many the correction is for, where there are others beside these pairs; None is their number.
        transitive: for a ranking: who is better than one that is better than a third counts as better than the third.

    Raises:
        UserError: the same pair twice or of one model, a question twice in the order, a game of a question that is not
            in it, or a score outside [0, 1].
    """
    return _states(games, pairs, order, (alpha, hypotheses), transitive=transitive, interval=True)


def _states(
    games: Sequence[tuple[str, str, str, float]],
    pairs: Sequence[tuple[str, str]],
    order: Sequence[str],
    level: tuple[float, int | None],
    *,
    transitive: bool,
    interval: bool,
) -> list[PairState]:
    """`pair_states`, with or without the intervals, which cost most."""
    alpha, hypotheses = level
    pairs = [(left, right) for left, right in pairs]
    if len({frozenset(pair) for pair in pairs}) != len(pairs):
        raise UserError("a pair stands twice among the hypotheses")
    for left, right in pairs:
        if left == right:
            raise UserError(f"a hypothesis joins two models, found {left!r} against itself")
    place = {question: number for number, question in enumerate(order)}
    if len(place) != len(order):
        raise UserError("a question stands twice in the order")
    scores: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    ways = {(left, right): ((left, right), False) for left, right in pairs}
    ways |= {(right, left): ((left, right), True) for left, right in pairs}
    for question, left, right, score in games:
        if (left, right) not in ways:
            continue
        if question not in place:
            raise UserError(f"question {question!r} is not among those drawn")
        pair, turned = ways[left, right]
        if score is None:
            raise UserError("a game has a score in [0, 1]: leave unscored verdicts out and count them")
        scores[pair][place[question]].append(1 - score if turned else score)
    states = [
        _state(pair, scores.get(pair, {}), alpha / (hypotheses or len(pairs)), interval=interval) for pair in pairs
    ]
    return _implied(states) if transitive else states


def next_batch(
    games: Sequence[tuple[str, str, str, float]],
    pairs: Sequence[tuple[str, str]],
    order: Sequence[str],
    asked: Collection[tuple[str, str, str]] = (),
    *,
    alpha: float = 0.05,
    size: int = 16,
    hypotheses: int | None = None,
    transitive: bool = False,
) -> list[Step]:
    """What to judge next: nothing where every pair is decided or out of questions.

    Every open pair first gets a share of its first questions; after that, the pairs that are expected to be decided
    soonest come first (log capital still needed over its growth a question, both by the pair's scores so far, shrunk
    towards even), and of each the next questions in the order drawn. Which pair is asked may depend on the scores;
    which question of it may not.

    Args:
        games: as `pair_states`.
        pairs: as `pair_states`.
        order: as `pair_states`.
        asked: (question, left, right) of everything put already, also what came back without a score: none is asked
            twice.
        alpha: chance of any wrong decision.
        size: most steps returned; at least one open pair gets four.
        hypotheses: as `pair_states`.
        transitive: as `pair_states`.

    Raises:
        UserError: as `pair_states`, or a size below 1.
    """
    if size < 1:
        raise UserError(f"a batch has at least one step, found {size}")
    states = _states(games, pairs, order, (alpha, hypotheses), transitive=transitive, interval=False)
    done: dict[frozenset[str], set[str]] = defaultdict(set)
    for question, left, right in asked:
        done[frozenset((left, right))].add(question)
    for question, left, right, _ in games:
        done[frozenset((left, right))].add(question)
    needed = math.log((hypotheses or len(states)) / alpha) if states else 0.0
    waiting = []
    for number, state in enumerate(states):
        known = done[frozenset((state.left, state.right))]
        left_over = [question for question in order if question not in known]
        if not state.winner and left_over:
            waiting.append((_urgency(state, len(known), needed), number, state, left_over))
    waiting.sort(key=lambda each: each[:2])
    steps: list[Step] = []
    share = max(4, math.ceil(size / len(waiting))) if waiting else 0
    for _, _, state, left_over in waiting:
        steps += [Step(question, state.left, state.right) for question in left_over[:share]]
        if len(steps) >= size:
            break
    return steps[:size]


def draw_order(questions: Sequence[str], seed: int = 0, strata: Mapping[str, str] | None = None) -> list[str]:
    """The questions in a random order; with strata (a category each), every stretch holds them in proportion.

    Raises:
        UserError: a question twice.
    """
    if len(set(questions)) != len(questions):
        raise UserError("a question stands twice among those to draw from")
    random = np.random.default_rng(seed)
    shuffled = [questions[int(each)] for each in random.permutation(len(questions))]
    if not strata:
        return shuffled
    groups: dict[str, list[str]] = defaultdict(list)
    for question in shuffled:
        groups[strata.get(question, "")].append(question)
    placed = []
    for name in sorted(groups):
        start = random.random()
        placed += [((number + start) / len(groups[name]), question) for number, question in enumerate(groups[name])]
    return [question for _, question in sorted(placed)]


def _state(pair: tuple[str, str], scores: Mapping[int, Sequence[float]], alpha: float, *, interval: bool) -> PairState:
    """The state of one pair out of place in the order → scores."""
    x = [sum(scores[number]) / len(scores[number]) for number in sorted(scores)]
    found = betting(x, alpha=alpha)
    low, high = betting_interval(x, alpha, grid=200) if interval else (0.0, 1.0)
    left, right = pair
    return PairState(
        left=left, right=right, questions=len(x), mean=sum(x) / len(x) if x else None, low=low, high=high,
        log_e=math.log(max(found.e_values)) if x else 0.0,
        winner="" if found.above is None else left if found.above else right, at=found.first,
    )  # fmt: skip


def _urgency(state: PairState, asked: int, needed: float) -> tuple[bool, float]:
    """Sort key: pairs hardly begun first, then by the questions that a decision is expected to take."""
    if asked < 4 or state.mean is None:
        return False, asked
    n = state.questions
    gap = abs(state.mean - 0.5) * n / (n + 4) + 0.25 / math.sqrt(n)
    growth = gap**2 / 2 / max(0.25 - gap**2, 0.05)
    return True, max(0.0, needed - state.log_e) / growth


def _implied(states: Sequence[PairState]) -> list[PairState]:
    """The states, undecided pairs filled in through models in between."""
    above: dict[str, set[str]] = defaultdict(set)
    for state in states:
        if state.winner:
            above[state.winner].add(state.right if state.winner == state.left else state.left)

    def through(better: str, worse: str) -> str:
        """The first model on a way down from better to worse; empty where there is none."""
        seen, waiting = set(), [(each, each) for each in sorted(above[better])]
        while waiting:
            here, first = waiting.pop(0)
            if worse in above[here]:
                return first
            if here not in seen:
                seen.add(here)
                waiting += [(each, first) for each in sorted(above[here])]
        return ""

    filled = []
    for state in states:
        if not state.winner:
            down, up = through(state.left, state.right), through(state.right, state.left)
            if bool(down) != bool(up):
                state = PairState(
                    left=state.left, right=state.right, questions=state.questions, mean=state.mean, low=state.low,
                    high=state.high, log_e=state.log_e, winner=state.left if down else state.right, at=None,
                    implied_by=down or up,
                )  # fmt: skip
        filled.append(state)
    return filled
