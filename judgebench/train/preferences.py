"""Verdicts → which answer is better, by how much and how surely: what pairs, best answers and ranks rest on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

from judgebench.judges.debias import SLACK, Policy, games, points_of
from judgebench.types import Record, Verdict

Shown = tuple[str, int]
"""(model, answer sample)."""
Asked = tuple[str, str, int]
"""(suite, item, turn)."""
Orders = Callable[[str, str], Literal["both", "one"]]
"""(judge, rubric) → in how many orders it was shown pairs."""


class Preference(Record, frozen=True, kw_only=True):
    """Two answers to one question, the better first."""

    asked: tuple[str, str, int]
    """(suite, item, turn)."""
    better: tuple[str, int]
    """(model, sample) of the better answer."""
    worse: tuple[str, int]
    """(model, sample) of the other."""
    margin: float
    """How far apart, in (0, 1]: 2·share - 1 of the point in games, the difference of mean grades on 0 to 1."""
    agreement: float
    """Share of the readable verdicts (games), or of judges' grades of both (grades), that name the better one."""
    consistent: bool
    """False where any judge's orders disagree, or judges name different winners; ties disagree with wins."""
    judges: int
    """Judges heard."""


class Standing(Record, frozen=True, kw_only=True):
    """What every answer to one question is worth."""

    asked: tuple[str, str, int]
    """(suite, item, turn)."""
    values: dict[tuple[str, int], float]
    """(model, sample) → mean share of the points of its games, or mean grade on 0 to 1; best first."""


def from_games(
    verdicts: Iterable[Verdict], policy: Policy, orders: Orders, seed: int = 0
) -> tuple[list[Preference], list[Standing], dict[str, int]]:
    """Preferences, standings and what gave none, of pairwise verdicts along one dimension.

    Every judge's verdicts on a pair make one game under the swap policy; judges weigh the same.

    Args:
        verdicts: pairwise; others are passed over.
        policy: of orders that disagree; ``each`` counts as ``half``, since a pair is one.
        orders: in how many orders each judge was shown pairs.
        seed: of policy ``random``.

    Returns:
        The preferences, the standings, and reason → judge's games or pairs left out.
    """
    pairs: dict[tuple[Asked, Shown, Shown], dict[tuple[str, str], list[Verdict]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for verdict in verdicts:
        if len(verdict.shown) == 2:
            left, right = sorted(verdict.shown)
            asked = verdict.suite, verdict.item, verdict.turn
            pairs[asked, left, right][verdict.judge, verdict.rubric].append(verdict)
    found: list[Preference] = []
    shares: dict[Asked, dict[Shown, list[float]]] = defaultdict(lambda: defaultdict(list))
    dropped: Counter[str] = Counter()
    for (asked, left, right), by_judge in sorted(pairs.items()):
        played, read = [], []
        for (judge, rubric), own in sorted(by_judge.items()):
            way = orders(judge, rubric)
            made, left_out = games(own, "half" if policy == "each" else policy, orders=way, seed=seed)
            dropped.update(f"unscored: {each.reason}" for each in left_out)
            if made:
                played += made
                read += [points for each in own if (points := points_of(each)) is not None]
        if not played:
            continue
        share = sum(game.score for game in played) / len(played)
        shares[asked][left].append(share)
        shares[asked][right].append(1 - share)
        if abs(share - 0.5) <= SLACK:
            dropped["tie"] += 1
            continue
        won = share > 0.5
        winners = {_side(game.score) for game in played}
        found.append(
            Preference(
                asked=asked, better=left if won else right, worse=right if won else left, margin=abs(2 * share - 1),
                agreement=sum(_side(points) == (1 if won else -1) for points in read) / len(read),
                consistent=all(game.consistent for game in played) and len(winners) == 1,
                judges=len({game.judge for game in played}),
            )
        )  # fmt: skip
    return found, _standings({asked: _means(own) for asked, own in shares.items()}), dict(dropped)


def from_grades(verdicts: Iterable[Verdict]) -> tuple[list[Preference], list[Standing], dict[str, int]]:
    """Preferences, standings and what gave none, of exact scores or grades along one dimension.

    A judge's grades of an answer are averaged on 0 to 1, then the judges'; every two answers to a question make a pair.

    Args:
        verdicts: on single answers; others are passed over.

    Returns:
        The preferences, the standings, and reason → verdicts or pairs left out.
    """
    grades: dict[Asked, dict[tuple[str, str], dict[Shown, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    dropped: Counter[str] = Counter()
    for verdict in verdicts:
        if len(verdict.shown) != 1:
            continue
        if not verdict.scores:
            dropped["unscored"] += 1
            continue
        low, high = verdict.scale
        asked = verdict.suite, verdict.item, verdict.turn
        value = (verdict.scores[0] - low) / (high - low)
        grades[asked][verdict.judge, verdict.rubric][verdict.shown[0]].append(value)
    found: list[Preference] = []
    values: dict[Asked, dict[Shown, float]] = {}
    for asked, by_judge in sorted(grades.items()):
        each_judge = [_means(own) for own in by_judge.values()]
        answers = sorted({shown for own in each_judge for shown in own})
        own_values = {
            shown: sum(own[shown] for own in each_judge if shown in own) / sum(shown in own for own in each_judge)
            for shown in answers
        }
        values[asked] = own_values
        for one, other in combinations(answers, 2):
            gap = own_values[one] - own_values[other]
            if abs(gap) <= SLACK:
                dropped["tie"] += 1
                continue
            better, worse = (one, other) if gap > 0 else (other, one)
            both = [_side(own[better] - own[worse], 0.0) for own in each_judge if better in own and worse in own]
            if not both:
                dropped["unscored: no judge graded both"] += 1
                continue
            found.append(
                Preference(
                    asked=asked, better=better, worse=worse, margin=abs(gap),
                    agreement=both.count(1) / len(both), consistent=set(both) == {1}, judges=len(both),
                )
            )  # fmt: skip
    return found, _standings(values), dict(dropped)


def sure(
    preferences: Sequence[Preference], *, margin: float = 0.0, agreement: float = 0.0, consistent: bool = False
) -> tuple[list[Preference], dict[str, int]]:
    """The preferences that are clear enough, and reason → how many were not.

    Args:
        preferences: any.
        margin: least margin.
        agreement: least agreement.
        consistent: keep only those on which all orders and judges name the same.
    """
    kept, dropped = [], Counter[str]()
    for each in preferences:
        if each.margin < margin - SLACK:
            dropped[f"margin below {margin:g}"] += 1
        elif each.agreement < agreement - SLACK:
            dropped[f"agreement below {agreement:g}"] += 1
        elif consistent and not each.consistent:
            dropped["orders or judges disagree"] += 1
        else:
            kept.append(each)
    return kept, dict(dropped)


def _standings(values: Mapping[Asked, Mapping[Shown, float]]) -> list[Standing]:
    return [
        Standing(asked=asked, values=dict(sorted(own.items(), key=lambda entry: (-entry[1], entry[0]))))
        for asked, own in sorted(values.items())
    ]


def _means(values: Mapping[Shown, Sequence[float]]) -> dict[Shown, float]:
    return {shown: sum(own) / len(own) for shown, own in values.items()}


def _side(value: float, middle: float = 0.5) -> int:
    """1 above the middle, -1 below, 0 on it."""
    return 0 if abs(value - middle) <= SLACK else 1 if value > middle else -1
