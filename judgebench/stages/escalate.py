"""Which of a judge's verdicts may stand so that it agrees with people as often as promised; the rest goes to people.

``--active N`` draws, before there are labels, the items that people should label, with known chances.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.selective import Threshold, agreement_threshold
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages import active_labels, calibration
from judgebench.stages.games import games_of, standing
from judgebench.stages.label_samples import refuse_unsampled, sample_of
from judgebench.stages.settings import run_path
from judgebench.types import Game, Record

FILE = "escalated.jsonl"
"""What goes to people, in the run folder, the least sure first."""


class Escalated(Record, frozen=True, kw_only=True):
    """One pair that goes to people."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    turn: int
    """1-based turn, 0 the whole conversation."""
    dimension: str
    """What was judged."""
    left: str
    """One model."""
    right: str
    """The other."""
    score: float
    """Left's share of the point by the judge, or the mean of the panel."""
    confidence: float
    """|2 · score - 1|: 0 where orders, samples or judges cancel, 1 where all say the same."""


class Selection(Record, frozen=True, kw_only=True):
    """What a judge, or a panel's mean, may decide on one suite and dimension."""

    suite: str
    """Name of the suite."""
    dimension: str
    """What was judged."""
    judges: tuple[str, ...]
    """Who."""
    target: float
    """Agreement promised."""
    delta: float
    """Chance that the promise is broken."""
    threshold: Threshold
    """Where the line is."""
    labels: int
    """Pairs judged by people and judge."""
    kept: int
    """Pairs that stay with the judge, of all that have no label."""
    escalated: int
    """Pairs that go to people."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("run", metavar="RUN", help="run folder; a bare name means results/NAME")
    parser.add_argument(
        "--judge", action="append", metavar="NAME", help="judge; several are a panel (default: the only)"
    )
    parser.add_argument("--target", type=float, default=0.9, metavar="P", help="agreement with people (default 0.9)")
    parser.add_argument("--delta", type=float, default=0.1, metavar="P", help="chance that it is less (default 0.1)")
    parser.add_argument(
        "--people", default=calibration.PEOPLE, metavar="human[@NAME]", help="whose labels (default all)"
    )
    parser.add_argument("--random-labels", action="store_true", help="declare that the labels are a random sample")
    group = parser.add_argument_group("labels to ask for")
    group.add_argument(
        "--active", type=int, metavar="N",
        help="draw N items on average for --people human@NAME, more likely where the judge is unsure, and keep the "
        "chances, which --calibrate of compare and rate allows for",
    )  # fmt: skip
    group.add_argument("--uniform", type=float, metavar="P", default=0.2,
                       help="share of those chances that is even over all items (default 0.2)")  # fmt: skip
    group.add_argument("--seed", type=int, metavar="N", default=0, help="seed of the draw (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Prints where the line is and writes what goes to people.

    Returns:
        0; exit codes of errors are theirs.
    """
    run = Run(run_path(args.run))
    if args.active is not None:
        drawn = ask(run, args.judge or (), args.people, args.active, uniform=args.uniform, seed=args.seed)
        if args.json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(drawn), indent=1).decode() + "\n")
            return 0
        low = min((each.chance for each in drawn), default=0.0)
        sys.stdout.write(
            f"{len(drawn)} items for {args.people} are in {run.path / active_labels.FILE}, the least sure first "
            f"(chances from {low:.3f}); label all their pairs, then 'compare --calibrate' or 'rate --calibrate'\n"
        )
        return 0
    found, out = select(run, args.judge or (), args.people, (args.target, args.delta), declared=args.random_labels)
    run.write(FILE, b"".join(msgspec.json.encode(each) + b"\n" for each in out))
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
        return 0
    for each in found:
        sys.stdout.write(one_line(f"{each.suite}, {each.dimension}, {' + '.join(each.judges)}: {_words(each)}") + "\n")
    sys.stdout.write(one_line(f"{len(out)} pairs for people are in {run.path / FILE}, the least sure first") + "\n")
    return 0


def ask(
    run: Run, judges: Sequence[str], person: str, labels: int, *, uniform: float = 0.2, seed: int = 0
) -> list[active_labels.Drawn]:
    """The items drawn for a person to label, the least sure first; the run keeps them and all chances.

    Args:
        run: whose verdicts are read.
        judges: names, whose doubt counts; several are a panel of which the mean counts; empty is the only one there is.
        person: ``human@NAME``.
        labels: items in expectation.
        uniform: share of the chances that is even over all items, so that none is 0.
        seed: of the draw.

    Raises:
        UserError: unknown judges, no person's name, or more labels than items.
        RunConflict: the person has labels, or another draw, from before.
    """
    games = games_of(run, standing(run, run.verdicts().values())[0])[0]
    means = _means(games, _panel(games, judges), whole=True)
    doubts = active_labels.doubts_of([(place[:2], _confidence(score)) for place, score in means.items()])
    drawn = active_labels.draw(run, games, doubts, person, labels, uniform=uniform, seed=seed)
    run.write(active_labels.FILE, b"".join(msgspec.json.encode(each) + b"\n" for each in drawn))
    return drawn


def select(
    run: Run, judges: Sequence[str], people: str, promise: tuple[float, float], *, declared: bool = False
) -> tuple[list[Selection], list[Escalated]]:
    """Where the line is on each suite and dimension, and what lies below it.

    Agreement is of winners, a tie being one; people's winner is that of their mean score. Confidence is |2 · score -
    1|.

    Args:
        run: whose verdicts are read.
        judges: names; several are a panel of which the mean counts; empty is the only one there is.
        people: ``human`` or one ``human@NAME``.
        promise: agreement, and the chance that it is less.
        declared: whether the labels are said to be a random sample.

    Raises:
        UserError: unknown judges or people, labels that are no random sample, or nothing that both judged.
    """
    verdicts, fallen = standing(run, run.verdicts().values())
    names = calibration.people_of(verdicts, people, fallen.lines)
    refuse_unsampled(run, names, declared=declared)
    games = games_of(run, verdicts)[0]
    panel = _panel(games, judges)
    gap = sample_of([run], names, declared=declared).gap(
        each for each in verdicts if each.judge in panel and len(each.shown) == 2
    )
    if gap:
        raise UserError(f"{people}: {gap}")
    judged, said = _means(games, panel, whole=True), _means(games, names, whole=False)
    groups: dict[tuple[str, str], list[calibration.Place]] = defaultdict(list)
    for place in judged:
        groups[place[0], place[3]].append(place)
    found, out = [], []
    for (suite, dimension), places in sorted(groups.items()):
        known = [place for place in places if place in said]
        if not known:
            continue
        line = agreement_threshold(
            [_confidence(judged[place]) for place in known],
            [_winner(judged[place]) == _winner(said[place]) for place in known],
            *promise,
        )
        rest = sorted((_confidence(judged[place]), place) for place in places if place not in said)
        below = [each for each in rest if line.threshold is None or each[0] < line.threshold]
        out += [
            Escalated(
                suite=suite, item=place[1], turn=place[2], dimension=dimension, left=place[4], right=place[5],
                score=judged[place], confidence=confidence,
            )
            for confidence, place in below
        ]  # fmt: skip
        found.append(
            Selection(
                suite=suite, dimension=dimension, judges=tuple(panel), target=promise[0], delta=promise[1],
                threshold=line, labels=len(known), kept=len(rest) - len(below), escalated=len(below),
            )
        )  # fmt: skip
    if not found:
        raise UserError("people and judge judged no pair alike: nothing can be promised")
    return found, sorted(out, key=lambda each: each.confidence)


def _panel(games: Sequence[Game], judges: Sequence[str]) -> list[str]:
    """The judges named, or the only one.

    Raises:
        UserError: one is unknown, or none is named where there are several.
    """
    known = sorted({game.judge for game in games if not game.judge.startswith("human@")})
    for name in judges:
        if name not in known:
            raise UserError(f"no judge of pairs is called {name!r} here: {did_you_mean(name, known)}")
    if judges:
        return list(dict.fromkeys(judges))
    if len(known) != 1:
        raise UserError(f"name a --judge: the run holds {', '.join(known) or 'none that judged pairs'}")
    return known


def _means(games: Sequence[Game], judges: Sequence[str], *, whole: bool) -> Mapping[calibration.Place, float]:
    """Place → mean score of left over the judges; ``whole``: only where all of them judged."""
    scores: dict[calibration.Place, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for game in games:
        if game.judge in judges:
            scores[calibration.place_of(game)][game.judge].append(game.score)
    means = {}
    for place, by in scores.items():
        if not whole or len(by) == len(judges):
            each = [sum(held) / len(held) for held in by.values()]
            means[place] = sum(each) / len(each)
    return means


def _confidence(score: float) -> float:
    return round(abs(2 * score - 1), 9)


def _winner(score: float) -> int:
    """1 left, -1 right, 0 neither."""
    return 0 if abs(score - 0.5) < 1e-9 else 1 if score > 0.5 else -1


def _words(each: Selection) -> str:
    line: Any = each.threshold
    if line.threshold is None:
        return f"no verdict may stand by {each.labels} labels ({line.note})"
    return (
        f"verdicts of confidence {line.threshold:g} and above agree with people at least {each.target:.0%} of the "
        f"time, {1 - each.delta:.0%} sure (found {line.agreement:.1%} of {line.kept}): {each.kept} stay, "
        f"{each.escalated} go to people"
    )
