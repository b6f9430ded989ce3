"""From pairwise verdicts to games: un-swapping to model identity, the swap policies, and the position bias itself.

Sources: the conservative tie of MT-Bench (Zheng et al. 2023, section 3.4); the score average and conflict rate of
FairEval (Wang et al. 2023); a single random order as AlpacaEval asks; the drop filter of PandaLM.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from judgebench.errors import UserError, did_you_mean
from judgebench.types import Game, Record, Verdict

Policy = Literal["half", "tie", "score", "drop", "majority", "first", "second", "random", "each"]
"""What to make of two orders.

half: mean of the two (default). tie: a tie unless both name the same winner. score: whose mean score is higher.
drop: left out unless both agree. majority: the winner by count, a tie breaks for the other order's winner.
first / second: only the order that shows the first (second) model by name first. random: one order, drawn by seed.
each: every readable order is a game of its own, so a pair makes two (QLoRA's Elo, Arena-Hard's battles).
"""

SLACK = 1e-9
"""Below this a difference of means is rounding."""

Group = tuple[str, str, int, str, str, str, tuple[str, int], tuple[str, int]]
"""(suite, item, turn, rubric, judge, dimension, left, right), left and right being (model, answer sample)."""


class LeftOut(Record, frozen=True, kw_only=True):
    """A pair that made no game, and why."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    turn: int
    """Turn judged."""
    rubric: str
    """``name@hash``."""
    judge: str
    """Name of the judge."""
    dimension: str
    """What was judged."""
    left: str
    """First model by name."""
    right: str
    """The other."""
    reason: str
    """One of: one order unreadable, both orders unreadable, one order missing, orders disagree, same model."""


class PositionBias(Record, frozen=True, kw_only=True):
    """How much the order decides, over pairs readable in both orders; rates are None where there is no such pair."""

    pairs: int
    """Pairs readable in both orders."""
    left_out: int
    """Pairs of which an order is unreadable or missing."""
    consistent: int
    """Pairs in which both orders say the same: win, tie or loss."""
    first_rate: float | None
    """Mean share of the point that went to the answer shown first; 0.5 without bias."""
    position_bias: float | None
    """first_rate - 0.5: above 0 is primacy, 0.5 is a judge that always picks the first."""
    consistency: float | None
    """consistent / pairs."""
    conflict_rate: float | None
    """1 - consistency: any change of win, tie or loss."""
    flips: int
    """Pairs in which the orders name opposite winners."""
    flip_rate: float | None
    """flips / pairs."""
    primacy: int
    """Flips in which each order prefers the answer shown first."""
    recency: int
    """Flips in which each order prefers the answer shown second."""
    favours_first: int
    """Pairs that change towards the answer shown first, ties included."""
    favours_second: int
    """Pairs that change towards the answer shown second, ties included."""


class _Order(NamedTuple):
    """What one order says of the left model, samples averaged."""

    points: float
    margin: float


class _Orders(NamedTuple):
    """The two orders of one pair: readings of the left model by sample, and how many verdicts there were."""

    first: list[_Order]
    second: list[_Order]
    asked: list[int]


def settle(
    first: float | None, second: float | None, policy: Policy = "half", *, seed: int = 0, key: str = ""
) -> float | None:
    """One model's share of the point from its points in the two orders; None where the policy leaves the pair out.

    Args:
        first: points in [0, 1] in the order that shows the model first; None is unreadable.
        second: points of the same model where it is shown second.
        policy: see `Policy`; ``score`` compares these points as if they were scores.
        seed: for ``random``.
        key: names the pair for ``random``, so that the draw depends on no order of calls.

    >>> [settle(1.0, 0.5, policy) for policy in ("half", "tie", "majority", "drop")]
    [0.75, 0.5, 1.0, None]

    Raises:
        UserError: an unknown policy, or points outside [0, 1].
    """
    if policy not in get_args(Policy):
        raise UserError(f"no swap policy is called {policy!r}: {did_you_mean(policy, get_args(Policy))}")
    if any(points is not None and not 0 <= points <= 1 for points in (first, second)):
        raise UserError(f"points must lie in [0, 1], found {first} and {second}")
    if policy == "each":
        raise UserError("swap policy 'each' makes two games of a pair, not one share of the point")
    if policy == "random":
        policy = random.Random(f"{seed}\n{key}").choice(("first", "second"))
    if policy in ("first", "second"):
        return first if policy == "first" else second
    if first is None or second is None:
        return None
    if policy == "half":
        return (first + second) / 2
    if policy == "score":
        return _winner((first + second) / 2)
    ours, theirs = _winner(first), _winner(second)
    if policy == "majority":
        return _winner((ours + theirs) / 2)
    if ours == theirs:
        return ours
    return 0.5 if policy == "tie" else None


def position_of(pairs: Sequence[tuple[float | None, float | None]]) -> PositionBias:
    """The position bias of pairs given as one model's points (shown first, shown second); None or NaN is unreadable.

    >>> position_of([(1.0, 0.0), (1.0, 0.0)]).position_bias
    0.5
    """
    told = [(first, second) for first, second in pairs if first is not None and second is not None]
    read = [pair for pair in told if not any(map(math.isnan, pair))]
    moves = [(_winner(first), _winner(second)) for first, second in read]
    n = len(read)
    consistent = sum(first == second for first, second in moves)
    flips = sum(abs(first - second) == 1 for first, second in moves)
    # The answer shown first is ours in one order and the other's in the second.
    first_rate = math.fsum((first + 1 - second) / 2 for first, second in read) / n if n else None
    return PositionBias(
        pairs=n,
        left_out=len(pairs) - n,
        consistent=consistent,
        first_rate=first_rate,
        position_bias=None if first_rate is None else first_rate - 0.5,
        consistency=consistent / n if n else None,
        conflict_rate=(n - consistent) / n if n else None,
        flips=flips,
        flip_rate=flips / n if n else None,
        primacy=sum(move == (1.0, 0.0) for move in moves),
        recency=sum(move == (0.0, 1.0) for move in moves),
        favours_first=sum(first > second for first, second in moves),
        favours_second=sum(first < second for first, second in moves),
    )


def games(
    verdicts: Iterable[Verdict],
    policy: Policy = "half",
    categories: Mapping[tuple[str, str], str] | None = None,
    *,
    orders: Literal["both", "one"] = "both",
    seed: int = 0,
) -> tuple[list[Game], list[LeftOut]]:
    """The games that pairwise verdicts make under a swap policy, and the pairs that make none.

    A pair is two answers, (model, sample) each, of one (suite, item, turn, rubric, judge, dimension); left is the first
    by name. Several samples of the judge are averaged within an order first. Of verdicts with one identity the last
    counts. Verdicts on a single answer are not pairs and are passed over (`judgebench.ratings.grades` reads those).

    Points: a grade pair gives the point to the higher score, half each where equal; a preference or probability
    shares it as its scores say, (1 + u_left - u_right) / 2 with u the score on the unit interval. Policy ``score``
    compares mean raw scores over the two orders, each order weighing the same.

    Args:
        verdicts: any; identities may come in any order.
        policy: what to do where orders disagree.
        categories: (suite, item) → category.
        orders: ``both`` leaves out a pair of which an order is missing or unreadable; ``one`` says that a single order
            was asked for on purpose, and takes whatever is readable. The policies ``first``, ``second`` and ``random``
            leave out only pairs whose chosen order is unreadable.
        seed: for policy ``random``.

    Raises:
        UserError: an unknown policy, a verdict on more than two answers, or scores that do not fit what was shown.
    """
    if policy not in get_args(Policy):
        raise UserError(f"no swap policy is called {policy!r}: {did_you_mean(policy, get_args(Policy))}")
    played, left_out = [], []
    for group, found in _grouped(verdicts).items():
        suite, item, turn, rubric, judge, dimension, left, right = group
        first, second = _mean(found.first), _mean(found.second)
        agree = first is None or second is None or _winner(first.points) == _winner(second.points)
        settled = (
            [_settled(group, found, policy, orders, seed)]
            if policy != "each"
            else [_settled(group, found, order, "both", seed) for order in _asked(found)]
        )
        for score, reason in settled:
            if score is None:
                left_out.append(
                    LeftOut(
                        suite=suite, item=item, turn=turn, rubric=rubric, judge=judge, dimension=dimension,
                        left=left[0], right=right[0], reason=reason,
                    )
                )  # fmt: skip
                continue
            played.append(
                Game(
                    suite=suite, item=item, turn=turn, rubric=rubric, judge=judge, dimension=dimension, left=left[0],
                    right=right[0], score=score, consistent=agree,
                    category=(categories or {}).get((suite, item), ""),
                )
            )  # fmt: skip
    return played, left_out


def position(verdicts: Iterable[Verdict]) -> PositionBias:
    """The position bias of all pairwise verdicts given; several samples of the judge are averaged within an order."""
    return position_of([_points(found) for found in _grouped(verdicts).values()])


def position_by(verdicts: Iterable[Verdict]) -> dict[tuple[str, str, str, str], PositionBias]:
    """(suite, judge, rubric, dimension) → position bias, sorted."""
    pairs: dict[tuple[str, str, str, str], list[tuple[float | None, float | None]]] = defaultdict(list)
    for (suite, _, _, rubric, judge, dimension, _, _), found in _grouped(verdicts).items():
        pairs[suite, judge, rubric, dimension].append(_points(found))
    return {key: position_of(members) for key, members in sorted(pairs.items())}


def points_of(verdict: Verdict) -> float | None:
    """The share of the point, in [0, 1], that the first answer by name gets in one pairwise verdict; None is unscored.

    Raises:
        UserError: the scores do not fit what was shown.
    """
    if not verdict.scores:
        return None
    return _read(verdict, 0 if verdict.shown[0] == min(verdict.shown) else 1).points


def first_points(verdict: Verdict) -> float | None:
    """The share of the point, in [0, 1], that the answer shown first gets in one pairwise verdict; None is unscored.

    Raises:
        UserError: the scores do not fit what was shown.
    """
    return _read(verdict, 0).points if verdict.scores else None


def _winner(points: float) -> float:
    """1, 0.5 or 0: who has more than half the point."""
    return 0.5 if abs(points - 0.5) <= SLACK else float(points > 0.5)


def _grouped(verdicts: Iterable[Verdict]) -> dict[Group, _Orders]:
    """What every pair of answers got in each order, sorted by pair."""
    last = {verdict.key: verdict for verdict in verdicts if len(verdict.shown) != 1}
    found: dict[Group, _Orders] = {}
    for verdict in last.values():
        if len(verdict.shown) != 2:
            raise UserError(
                f"a pairwise verdict shows two answers, found {len(verdict.shown)} of item {verdict.item!r}"
            )
        left, right = sorted(verdict.shown)
        order = 0 if verdict.shown[0] == left else 1
        group = (
            verdict.suite,
            verdict.item,
            verdict.turn,
            verdict.rubric,
            verdict.judge,
            verdict.dimension,
            left,
            right,
        )
        entry = found.setdefault(group, _Orders([], [], [0, 0]))
        entry.asked[order] += 1
        if verdict.scores:
            (entry.first, entry.second)[order].append(_read(verdict, order))
    return dict(sorted(found.items()))


def _read(verdict: Verdict, order: int) -> _Order:
    """The left model's points and its margin over the right, on the raw scale."""
    if len(verdict.scores) != 2 or not all(map(math.isfinite, verdict.scores)):
        raise UserError(
            f"item {verdict.item!r}: {verdict.judge} was shown two answers but scored them {list(verdict.scores)}: "
            "two finite numbers are needed, or none where it is unscored"
        )
    left, right = verdict.scores if order == 0 else verdict.scores[::-1]
    if verdict.kind == "grade":
        return _Order(0.5 if left == right else float(left > right), left - right)
    bottom, top = verdict.scale
    if not top > bottom:
        raise UserError(f"item {verdict.item!r}: a scale runs from low to high, found {bottom:g} to {top:g}")
    share = (1 + (left - right) / (top - bottom)) / 2
    if not -SLACK <= share <= 1 + SLACK:
        raise UserError(
            f"item {verdict.item!r}: {verdict.judge} shared {list(verdict.scores)} between two answers on a scale from "
            f"{bottom:g} to {top:g}"
        )
    return _Order(min(1.0, max(0.0, share)), left - right)


def _asked(found: _Orders) -> list[Literal["first", "second"]]:
    """The orders in which the pair was shown at all."""
    orders: list[Literal["first", "second"]] = []
    if found.asked[0]:
        orders.append("first")
    if found.asked[1]:
        orders.append("second")
    return orders


def _mean(samples: Sequence[_Order]) -> _Order | None:
    """The samples of one order, averaged; None where none is readable."""
    if not samples:
        return None
    n = len(samples)
    return _Order(
        math.fsum(sample.points for sample in samples) / n, math.fsum(sample.margin for sample in samples) / n
    )


def _points(found: _Orders) -> tuple[float | None, float | None]:
    """The left model's points, shown first and shown second."""
    first, second = _mean(found.first), _mean(found.second)
    return first.points if first else None, second.points if second else None


def _settled(
    group: Group, found: _Orders, policy: Policy, orders: Literal["both", "one"], seed: int
) -> tuple[float | None, str]:
    """The left model's share, or None and the reason."""
    left, right = group[-2], group[-1]
    if left[0] == right[0]:
        return None, "same model"
    first, second = _mean(found.first), _mean(found.second)
    if first is None and second is None:
        return None, "both orders unreadable" if all(found.asked) else "one order unreadable"
    if orders == "one":
        # A lone order stands for both, so that every policy reads it as it would a pair that agrees.
        first, second = first or second, second or first
    if policy == "score" and first is not None and second is not None:
        margin = first.margin + second.margin
        return (0.5 if abs(margin) <= SLACK else float(margin > 0)), ""
    key = "\n".join(map(str, group))
    points = first.points if first else None, second.points if second else None
    share = settle(*points, policy, seed=seed, key=key)
    if share is not None:
        return share, ""
    if first is not None and second is not None:
        return None, "orders disagree"
    return None, "one order unreadable" if all(found.asked) else "one order missing"
