"""What of a run counts when it is rated: verdicts that stand, and the games they make in the way the run was judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from judgebench.judges.debias import LeftOut, Policy
from judgebench.judges.debias import games as to_games
from judgebench.judges.matchups import digest
from judgebench.runs import Run
from judgebench.stages.scoring import seen
from judgebench.types import Game, Verdict


def standing(run: Run, verdicts: Iterable[Verdict]) -> tuple[list[Verdict], int]:
    """The verdicts on answers as they are now, and how many there are on answers that were since redone or deleted."""
    answers = run.answers()
    kept, stale = [], 0
    for verdict in verdicts:
        shown = [answers.get((verdict.suite, verdict.item, *each)) for each in verdict.shown]
        found = [answer for answer in shown if answer is not None]
        if verdict.seen and len(found) == len(shown):
            exact = verdict.judge.startswith("exact@")
            now = seen(found[0]) if exact else digest(found, verdict.turn)
        else:
            now = "" if verdict.seen else verdict.seen
        if now == verdict.seen:
            kept.append(verdict)
        else:
            stale += 1
    return kept, stale


def dimensions_of(run: Run) -> dict[str, list[str]]:
    """``name@hash`` → dimensions of every rubric the run was judged by."""
    return {rubric: list(record["dimensions"]) for rubric, record in run.manifest["rubrics"].items()}


def policy_of(run: Run) -> Policy:
    """The swap policy that the run was last rated with."""
    policy: Policy = run.manifest.get("swap_policy", "half")
    return policy


def orders_said(run: Run, judge: str, rubric: str) -> Literal["both", "one"] | None:
    """In how many orders a judge was shown pairs by a rubric (``name@hash``); None where the run does not say."""
    known = run.manifest["judges"].get(judge, {})
    record = known.get("rubrics", {}).get(rubric.partition("@")[0], known)
    orders: Literal["both", "one"] | None = record.get("orders")
    return orders


def orders_of(run: Run, judge: str, rubric: str) -> Literal["both", "one"]:
    """The same; where the run does not say, people and gold labels were shown one order and all others both."""
    return orders_said(run, judge, rubric) or ("one" if judge == "gold" or judge.startswith("human@") else "both")


def games_of(run: Run, verdicts: Iterable[Verdict]) -> tuple[list[Game], list[LeftOut]]:
    """The games that verdicts of this run make under its swap policy, and the pairs that make none.

    Args:
        run: whose policy, orders, seed and categories are used.
        verdicts: of the run; those on a single answer are passed over.
    """
    categories = {
        (suite, item.id): item.category for suite in run.manifest["suites"] for item in run.items(suite).values()
    }
    groups: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if len(verdict.shown) > 1:
            groups[verdict.judge, verdict.rubric].append(verdict)
    games: list[Game] = []
    left_out: list[LeftOut] = []
    for (judge, rubric), group in sorted(groups.items()):
        orders, seed = orders_of(run, judge, rubric), run.manifest.get("seed", 0)
        made, missed = to_games(group, policy_of(run), categories, orders=orders, seed=seed)
        games += made
        left_out += missed
    return games, left_out
