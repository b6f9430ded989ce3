"""Bradley-Terry by people and judge together: the prediction-powered fit, and the joint model of the judge's biases."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from judgebench.errors import UserError
from judgebench.judges.debias import points_of
from judgebench.ratings.active_ratings import active_bradley_terry
from judgebench.ratings.joint_bias import JointRatings, joint_bias
from judgebench.ratings.ppi_ratings import PPIRatings, ppi_bradley_terry
from judgebench.types import Game, Record, Verdict

Answers = Mapping[tuple[str, str, str, int], tuple[str, ...]]
"""(suite, item, model, sample) → its words, turn by turn."""

Shown = tuple[tuple[str, int], ...]
"""(model, answer sample), in the order shown."""

EFFECTS = ("position", "own", "length")
"""Biases of a judge that the joint model may have, in the order in which they are tried where not all can be told."""

WORDS = {
    "position": "what is shown first",
    "own": "its own family's answers",
    "length": "longer answers (one sd), beyond people's taste",
}
"""The effects in words."""


class Labelled(NamedTuple):
    """Games of one judge, with people's score where there is one."""

    games: list[Game]
    """The judge's games."""
    human: list[float | None]
    """People's mean score of left in each; None where nobody labelled it."""


class Effect(Record, frozen=True, kw_only=True):
    """One bias of the judge in the joint model."""

    name: str
    """``position``, ``own`` or ``length``."""
    value: float | None
    """Log-odds for what is shown first, for its own family's answer, for one sd of length beyond people's taste; None
    where it is not in the model."""
    se: float | None
    """Error of that, clustered by question."""
    note: str = ""
    """Why it is not in the model."""


class Fits(NamedTuple):
    """The fits of one judge's games."""

    ratings: PPIRatings | None
    """By people and judge; None where there is no fit."""
    joint: JointRatings | None
    """The joint bias model of the same games; None where there is none."""
    effects: tuple[Effect, ...]
    """The judge's biases in it, and those that are not."""
    note: str
    """What a reader must know."""


class Bouts(NamedTuple):
    """Every order of every game, as it was shown: the joint model's rows, labelled and not."""

    known: list[tuple[str, str, float, float]]
    """(first shown, second, people's score of the first, the judge's)."""
    rest: list[tuple[str, str, float]]
    """(first shown, second, the judge's score of the first)."""
    lengths: Mapping[bool, list[tuple[float, float]]]
    """Characters of the two answers; True: of the labelled."""
    own: Mapping[bool, list[float]]
    """1 where the first is of the judge's own family, -1 where the second is, else 0."""
    questions: Mapping[bool, list[str]]
    """The item."""


def fits_of(
    group: Labelled, verdicts: Iterable[Verdict], answers: Answers, own: Iterable[str],
    chances: Sequence[float] | None = None,
) -> Fits:  # fmt: skip
    """The calibrated fits of one judge's games along one dimension, or why there is none.

    Args:
        group: the games with people's scores.
        verdicts: the judge's verdicts that the games were made of: who was shown first.
        answers: what was judged, for lengths.
        own: the models of the judge's own family.
        chances: chance of a label for each game, where labels were drawn so; None where they are a random sample.
    """
    sides = [(game.left, game.right, game.score) for game in group.games]
    items = [game.item for game in group.games]
    if chances is not None:
        note = "no joint model: it takes labels as drawn at random, each as likely as the other"
        try:
            return Fits(active_bradley_terry(sides, group.human, chances, clusters=items), None, (), note)
        except UserError as error:
            return Fits(None, None, (), f"no calibrated Bradley-Terry: {error}")
    known = [number for number, score in enumerate(group.human) if score is not None]
    rest = [number for number, score in enumerate(group.human) if score is None]
    labels = [score for score in group.human if score is not None]
    try:
        found = ppi_bradley_terry(
            [(*sides[number][:2], score, sides[number][2]) for number, score in zip(known, labels, strict=True)],
            [sides[number] for number in rest],
            human_clusters=[items[number] for number in known],
            judge_clusters=[items[number] for number in rest],
        )
    except UserError as error:
        return Fits(None, None, (), f"no calibrated Bradley-Terry: {error}")
    if not rest:
        return Fits(found, None, (), "")
    joint, effects = joint_fit(bouts_of(group, verdicts, answers, own))
    why = "; ".join(dict.fromkeys(each.note for each in effects)) or "no bias could be told"
    return Fits(found, joint, effects, "" if joint is not None else f"no joint model: {why}")


def bouts_of(group: Labelled, verdicts: Iterable[Verdict], answers: Answers, own: Iterable[str]) -> Bouts:
    """The orders in which the games were shown, a row each; samples of the judge are averaged within an order.

    Where a game holds both orders, each label stands beside both: the two rows together say what the game says.
    """
    places: dict[tuple[str, str, int, str, str], float | None] = {
        (game.suite, game.item, game.turn, game.left, game.right): score
        for game, score in zip(group.games, group.human, strict=True)
    }
    shares: dict[tuple[str, str, int, Shown], list[float]] = defaultdict(list)
    for verdict in verdicts:
        points = points_of(verdict)
        if points is not None:
            share = points if verdict.shown[0] == min(verdict.shown) else 1 - points
            shares[verdict.suite, verdict.item, verdict.turn, verdict.shown].append(share)
    kin = set(own)
    bouts = Bouts([], [], {True: [], False: []}, {True: [], False: []}, {True: [], False: []})
    for (suite, item, turn, shown), given in sorted(shares.items()):
        first, second = (model for model, _ in shown)
        left, right = sorted((first, second))
        place = (suite, item, turn, left, right)
        if place not in places:
            continue
        label, share = places[place], sum(given) / len(given)
        if label is None:
            bouts.rest.append((first, second, share))
        else:
            bouts.known.append((first, second, label if first == left else 1 - label, share))
        labelled = label is not None
        one, other = [_length(answers.get((suite, item, *each)), turn) for each in shown]
        bouts.lengths[labelled].append((one, other))
        bouts.own[labelled].append(float(first in kin) - float(second in kin))
        bouts.questions[labelled].append(item)
    return bouts


def joint_fit(bouts: Bouts) -> tuple[JointRatings | None, tuple[Effect, ...]]:
    """The joint model with all biases that the games can tell apart, and what is in it; why another is not."""
    missing = {}
    if not any(bouts.own[True] + bouts.own[False]):
        missing["own"] = "no pair sets the judge's own family against another"
    wanted = [name for name in EFFECTS if name not in missing]
    joint, why = _tried(bouts, wanted)
    if joint is None:
        kept: list[str] = []
        for name in wanted:
            found, why = _tried(bouts, [*kept, name])
            if found is None:
                missing[name] = why
            else:
                kept, joint = [*kept, name], found
        wanted = kept
    return joint, tuple(_effect(name, joint if name in wanted else None, missing.get(name, "")) for name in EFFECTS)


def _tried(bouts: Bouts, names: Sequence[str]) -> tuple[JointRatings | None, str]:
    """The joint model with these biases, or why there is none."""
    try:
        found = joint_bias(
            bouts.known, bouts.rest, position="position" in names,
            lengths=(bouts.lengths[True], bouts.lengths[False]) if "length" in names else None,
            own=(bouts.own[True], bouts.own[False]) if "own" in names else None,
            human_clusters=bouts.questions[True], judge_clusters=bouts.questions[False],
        )  # fmt: skip
    except UserError as error:
        return None, str(error)
    return found, ""


def _effect(name: str, joint: JointRatings | None, why: str) -> Effect:
    if joint is None:
        return Effect(name=name, value=None, se=None, note=why)
    values = {"position": joint.position, "own": joint.own, "length": joint.length_excess}
    return Effect(name=name, value=values[name], se=joint.se["length_excess" if name == "length" else name])


def _length(turns: Sequence[str] | None, turn: int) -> float:
    """Characters of what was judged; not a number where the run holds no answer."""
    if turns is None:
        return math.nan
    return float(sum(map(len, turns[turn - 1 : turn] if turn else turns)))
