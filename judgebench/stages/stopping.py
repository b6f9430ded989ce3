"""``--stop-when decided``: judging in batches, each planned from the verdicts so far, until every pair is decided.

What is next is a pure function of the games (`judgebench.ratings.stopping`); this module turns its steps into matchups
and has them heard. A hypothesis is a pair on one suite and dimension; their number is the correction.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from judgebench.errors import UserError
from judgebench.judges.debias import games as to_games
from judgebench.ratings.stopping import PairState, next_batch, pair_states
from judgebench.runs import Run
from judgebench.stages.progress import say
from judgebench.stages.settings import Settings
from judgebench.types import Judge, Matchup

ALPHA = 0.05
"""Chance of any wrong decision among all pairs, suites and dimensions of one judge by one rubric."""

Family = tuple[str, str]
"""(suite, dimension)."""

Pair = tuple[str, str]
"""Two models, sorted."""


class Plan(NamedTuple):
    """What could be judged, and how it is drawn."""

    matchups: dict[tuple[str, str, Pair], list[Matchup]]
    """(suite, item, pair) → all orders, turns, calls and samples of it."""
    pairs: dict[Family, list[Pair]]
    """The hypotheses."""
    orders: dict[str, list[str]]
    """Suite → item ids in the order drawn."""
    categories: dict[tuple[str, str], str]
    """(suite, item) → category."""

    @property
    def hypotheses(self) -> int:
        """How many there are."""
        return sum(map(len, self.pairs.values()))


def plan_of(run: Run, maker: Judge, planned: Sequence[Matchup], settings: Settings) -> Plan:
    """The plan that a judge's matchups make.

    Raises:
        UserError: a matchup of one answer or of more than two: only pairs are decided.
    """
    matchups: dict[tuple[str, str, Pair], list[Matchup]] = defaultdict(list)
    pairs: dict[Family, dict[Pair, None]] = defaultdict(dict)
    items: dict[str, dict[str, str]] = defaultdict(dict)
    for matchup in planned:
        if len(matchup.shown) != 2:
            raise UserError("--stop-when decided is for rubrics that compare pairs: others have nothing to decide")
        pair = _pair(matchup)
        matchups[matchup.suite, matchup.item.id, pair].append(matchup)
        items[matchup.suite][matchup.item.id] = matchup.item.category
        for dimension in matchup.dimensions:
            pairs[matchup.suite, dimension][pair] = None
    orders = {suite: _order(run, suite, maker, settings.seed) for suite in items}
    categories = {(suite, item): name for suite, held in items.items() for item, name in held.items()}
    return Plan(dict(matchups), {family: list(held) for family, held in pairs.items()}, orders, categories)


def _order(run: Run, suite: str, maker: Judge, seed: int) -> list[str]:
    """The items of a suite in an order drawn by the seed: those judged before first, so that a larger suite goes on.

    Drawing each item's place by a hash keeps the order among those judged what it was when they were judged.
    """
    file = run.verdicts_file(maker.name, maker.rubric.partition("@")[0])
    before = {verdict.item for verdict in run.verdicts(file).values() if verdict.suite == suite}

    def place(item: str) -> tuple[bool, bytes]:
        return item not in before, hashlib.sha256(repr((seed, suite, item)).encode()).digest()

    return sorted(run.items(suite), key=place)


def states(run: Run, maker: Judge, plan: Plan, settings: Settings) -> dict[Family, list[PairState]]:
    """Family → the state of every pair."""
    played = _played(run, maker, plan, settings)
    return {
        family: pair_states(
            played[family], pairs, plan.orders[family[0]], alpha=ALPHA, hypotheses=plan.hypotheses,
            transitive=_ranks(pairs, settings),
        )
        for family, pairs in plan.pairs.items()
    }  # fmt: skip


def _played(run: Run, maker: Judge, plan: Plan, settings: Settings) -> dict[Family, list[tuple[str, str, str, float]]]:
    """Family → its games so far."""
    file = run.verdicts_file(maker.name, maker.rubric.partition("@")[0])
    verdicts = [each for each in run.verdicts(file).values() if each.rubric == maker.rubric and len(each.shown) == 2]
    games = to_games(verdicts, settings.swap_policy, plan.categories, orders=settings.orders, seed=settings.seed)[0]
    played: dict[Family, list[tuple[str, str, str, float]]] = defaultdict(list)
    for game in games:
        played[game.suite, game.dimension].append((game.item, game.left, game.right, game.score))
    return played


def next_matchups(run: Run, maker: Judge, plan: Plan, open_: Iterable[Matchup], settings: Settings) -> list[Matchup]:
    """What to put to the judge now; empty where all is decided or asked.

    Args:
        run: whose verdicts are read.
        maker: the judge.
        plan: what could be judged.
        open_: matchups neither standing nor put in this command.
        settings: orders, policy, seed and concurrency.
    """
    waiting: dict[tuple[str, str, Pair], list[Matchup]] = defaultdict(list)
    for matchup in open_:
        waiting[matchup.suite, matchup.item.id, _pair(matchup)].append(matchup)
    found: dict[int, Matchup] = {}
    played = _played(run, maker, plan, settings)
    size = max(16, settings.max_concurrency // max(1, len(plan.pairs)))
    for family, pairs in plan.pairs.items():
        suite, dimension = family
        asked = {
            (item, *pair)
            for (where, item, pair) in plan.matchups
            if where == suite and not any(dimension in each.dimensions for each in waiting.get((where, item, pair), ()))
        }
        # Items that a pair cannot be judged on (one of the two was not asked) are as good as asked.
        offered = {(item, pair) for where, item, pair in plan.matchups if where == suite}
        asked |= {(item, *pair) for item in plan.orders[suite] for pair in pairs if (item, pair) not in offered}
        for step in next_batch(
            played[family], pairs, plan.orders[suite], asked, alpha=ALPHA, size=size,
            hypotheses=plan.hypotheses, transitive=_ranks(pairs, settings),
        ):  # fmt: skip
            for matchup in waiting[suite, step.question, (step.left, step.right)]:
                if dimension in matchup.dimensions:
                    found[id(matchup)] = matchup
    return list(found.values())


def hear_until_decided(
    run: Run, maker: Judge, planned: Sequence[Matchup], open_: Sequence[Matchup],
    put: Callable[[list[Matchup]], None], settings: Settings, *, quiet: bool,
) -> list[Matchup]:  # fmt: skip
    """Has matchups heard in batches until every pair is decided or out of items; gives back all that were ever put.

    Args:
        run: where verdicts go, and where the decisions are recorded (manifest, ``stopped`` of the judge's rubric).
        maker: the judge.
        planned: all matchups.
        open_: those without a standing verdict.
        put: has a batch heard.
        settings: orders, policy, seed and concurrency.
        quiet: say nothing.
    """
    plan = plan_of(run, maker, planned, settings)
    left = {id(matchup): matchup for matchup in open_}
    while True:
        batch = next_matchups(run, maker, plan, left.values(), settings)
        if not batch:
            break
        put(batch)
        for matchup in batch:
            del left[id(matchup)]
    held = states(run, maker, plan, settings)
    _record(run, maker, held, len(planned), len(planned) - len(left))
    for line in lines(held):
        say(f"{maker.name} by {maker.rubric.partition('@')[0]}: {line}", quiet=quiet)
    share = len(left) / len(planned) if planned else 0.0
    say(f"{len(planned) - len(left)} of {len(planned)} matchups were put, {share:.0%} saved", quiet=quiet)
    return [matchup for matchup in planned if id(matchup) not in left]


def lines(held: Mapping[Family, Sequence[PairState]]) -> list[str]:
    """What is known of each pair, in words."""
    said = []
    for (suite, dimension), found in held.items():
        for state in found:
            if state.implied_by:
                what = f"{state.winner} is better, through {state.implied_by}"
            elif state.winner:
                what = f"{state.winner} is better, decided after {state.at} questions"
            else:
                what = f"not decided by {state.questions} questions"
            mean = "—" if state.mean is None else f"{state.mean:.3f} [{state.low:.3f}, {state.high:.3f}]"
            said.append(f"{suite}, {dimension}: {state.left} against {state.right}: {what}; win rate {mean}")
    return said


def _record(run: Run, maker: Judge, held: Mapping[Family, Sequence[PairState]], planned: int, put: int) -> None:
    """Writes the decisions into the manifest."""
    entry: dict[str, Any] = run.manifest["judges"][maker.name]["rubrics"][maker.rubric.partition("@")[0]]
    entry["stopped"] = {
        "alpha": ALPHA,
        "hypotheses": sum(map(len, held.values())),
        "matchups": planned,
        "put": put,
        "pairs": [
            {"suite": suite, "dimension": dimension, **msgspec.to_builtins(state)}
            for (suite, dimension), found in held.items()
            for state in found
        ],
    }
    run.save_manifest()


def _pair(matchup: Matchup) -> Pair:
    first, second = sorted(answer.model for answer in matchup.shown)
    return first, second


def _ranks(pairs: Sequence[Pair], settings: Settings) -> bool:
    """Whether a whole ranking is asked for: everyone meets everyone, and what follows need not be asked."""
    models = {name for pair in pairs for name in pair}
    return not settings.baseline and len(models) > 2 and len(pairs) == len(models) * (len(models) - 1) // 2
