"""What of a run counts when it is rated: verdicts that stand, and the games they make in the way the run was judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Literal, NamedTuple

from judgebench.judges.debias import LeftOut, Policy
from judgebench.judges.debias import games as to_games
from judgebench.judges.matchups import digest
from judgebench.runs import Run
from judgebench.stages.scoring import seen
from judgebench.types import Answer, Game, Verdict

AnswerKey = tuple[str, str, str, int]
"""(suite, item, model, sample)."""


class Fallen(NamedTuple):
    """Verdicts of a run that do not stand; they count nowhere."""

    stale: int = 0
    """On answers that were redone or deleted since."""
    unheld: int = 0
    """People's labels about a question, a model or an answer that the run does not hold."""
    first: str = ""
    """The first of those, in words."""

    @property
    def lines(self) -> list[str]:
        """A line on each kind that there is."""
        said = []
        if self.stale:
            said.append(f"{self.stale} verdicts are on answers that were redone or deleted since, and count nowhere")
        if self.unheld:
            first = f" (the first: {self.first})"
            said.append(f"{self.unheld} labels are about what the run does not hold, and count nowhere{first}")
        return said


def standing(run: Run, verdicts: Iterable[Verdict]) -> tuple[list[Verdict], Fallen]:
    """The verdicts on answers as they are now, and how many others there are.

    A label of which no hash of its answers is known, as of an import without their words, stands unless the run holds
    other questions of its suite and not this one, other models, or other answers of its model to the suite.
    """
    answers = run.answers()
    unheld = _Unheld(run, answers)
    kept, stale, strange, first = [], 0, 0, ""
    for verdict in verdicts:
        if verdict.seen:
            if seen_of(verdict, answers) == verdict.seen:
                kept.append(verdict)
            else:
                stale += 1
        elif why := unheld.why(verdict):
            strange, first = strange + 1, first or f"{verdict.judge} on {why}"
        else:
            kept.append(verdict)
    return kept, Fallen(stale, strange, first)


def seen_of(verdict: Verdict, answers: Mapping[AnswerKey, Answer]) -> str:
    """A short hash of the answers that a verdict is on, as they are now; empty where one of them is not there."""
    shown = [answers.get((verdict.suite, verdict.item, *each)) for each in verdict.shown]
    found = [answer for answer in shown if answer is not None]
    if len(found) < len(shown):
        return ""
    return seen(found[0]) if verdict.judge.startswith("exact@") else digest(found, verdict.turn)


class _Unheld:
    """Says of people's labels what of them a run does not hold."""

    def __init__(self, run: Run, answers: Mapping[AnswerKey, Answer]) -> None:
        self._run, self._answers = run, answers
        self._items: dict[str, Collection[str]] = {}

    @cached_property
    def _answered(self) -> set[tuple[str, str]]:
        """(suite, model) of which there are answers."""
        return {(suite, model) for suite, _, model, _ in self._answers}

    def why(self, verdict: Verdict) -> str:
        """What of a label the run does not hold; empty where it holds all, or the verdict is no person's."""
        if verdict.judge != "gold" and not verdict.judge.startswith("human@"):
            return ""
        suite, manifest = verdict.suite, self._run.manifest
        if manifest["suites"] and suite not in manifest["suites"]:
            return f"suite {suite!r}"
        if suite not in self._items:
            self._items[suite] = self._run.items(suite)
        if self._items[suite] and verdict.item not in self._items[suite]:
            return f"question {verdict.item!r} of {suite}"
        for model, sample in verdict.shown:
            if manifest["models"] and model not in manifest["models"]:
                return f"model {model!r}"
            if (suite, model) in self._answered and (suite, verdict.item, model, sample) not in self._answers:
                return f"answer {sample} of {model} to {verdict.item!r} of {suite}"
        return ""


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
