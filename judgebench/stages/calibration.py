"""Labels of people beside a judge's verdicts on the same: what of a run can be calibrated, and by whom.

People are the judges ``human@NAME``. Whether their labels are a random sample of what the judge judged is part of the
run: the manifest's ``judges`` → ``human@NAME`` → ``sample`` is ``random``, or it is declared on the command line.
Without it PPI is refused.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.joint_bias import JointRatings, joint_bias
from judgebench.ratings.ppi import PPIEstimate, ppi_mean
from judgebench.ratings.ppi_ratings import PPIRatings, ppi_bradley_terry
from judgebench.runs import Run
from judgebench.stages.games import games_of, standing
from judgebench.types import Game, Record, Verdict

PEOPLE = "human"
"""``--calibrate human``: everyone whose judge name begins with ``human@``."""

FOLDS = 2
"""λ of one half of the labels is tuned on the other."""

Answers = Mapping[tuple[str, str, str], tuple[str, ...]]
"""(suite, item, model) → the words of its first sample, turn by turn."""

Place = tuple[str, str, int, str, str, str]
"""(suite, item, turn, dimension, left, right): what a person and a judge can both have judged."""


class Calibrated(Record, frozen=True, kw_only=True):
    """What one judge by one rubric says of one dimension, calibrated by people."""

    suite: str
    """Name of the suite."""
    judge: str
    """Name of the judge."""
    rubric: str
    """``name@hash``."""
    dimension: str
    """What was judged."""
    people: tuple[str, ...]
    """Whose labels."""
    win_rates: dict[str, PPIEstimate]
    """Model → win rate against whom it met."""
    ratings: PPIRatings | None
    """Bradley-Terry on people's scale; None where there is no fit."""
    joint: JointRatings | None = None
    """The joint bias model of the same games, with the test between the two; None where there is no fit."""
    note: str = ""
    """What a reader must know."""


class Labelled(NamedTuple):
    """Games of one judge, with people's score where there is one."""

    games: list[Game]
    """The judge's games."""
    human: list[float | None]
    """People's mean score of left in each; None where nobody labelled it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of calibration."""
    group = parser.add_argument_group("people")
    group.add_argument(
        "--calibrate", metavar="human[@NAME]", help="correct judges by people's labels in the run (PPI++), shown beside"
    )
    group.add_argument(
        "--random-labels", action="store_true", help="declare that the labels are a random sample of what was judged"
    )


def people_of(verdicts: Iterable[Verdict], wanted: str) -> list[str]:
    """The people among the judges whom ``--calibrate`` names.

    Raises:
        UserError: there are none of that name.
    """
    known = sorted({verdict.judge for verdict in verdicts if verdict.judge.startswith("human@")})
    if not known:
        raise UserError("--calibrate: the run holds no labels of people (judges human@NAME)")
    found = known if wanted == PEOPLE else [name for name in known if name == wanted]
    if not found:
        raise UserError(f"--calibrate {wanted}: no such labels here: {did_you_mean(wanted, [PEOPLE, *known])}")
    return found


def refuse_unsampled(run: Run, people: Sequence[str], *, declared: bool) -> None:
    """Nothing, when the labels are a random sample by the run's manifest or by declaration.

    Raises:
        UserError: neither says so.
    """
    unknown = [name for name in people if run.manifest["judges"].get(name, {}).get("sample") != "random"]
    if unknown and not declared:
        raise UserError(
            f"{unknown[0]}: nothing says that these labels are a random sample of what was judged, and otherwise no "
            "interval by them holds (PPI); where they were drawn at random, say so with --random-labels"
        )


def labelled(judge_games: Iterable[Game], human_games: Iterable[Game]) -> dict[tuple[str, str, str, str], Labelled]:
    """(suite, judge, rubric, dimension) → the judge's games with people's mean scores beside."""
    said: dict[Place, list[float]] = defaultdict(list)
    for game in human_games:
        said[place_of(game)].append(game.score)
    groups: dict[tuple[str, str, str, str], Labelled] = {}
    for game in judge_games:
        scores = said.get(place_of(game))
        group = groups.setdefault((game.suite, game.judge, game.rubric, game.dimension), Labelled([], []))
        group.games.append(game)
        group.human.append(sum(scores) / len(scores) if scores else None)
    return groups


def mean_of(
    values: Sequence[float], human: Sequence[float | None], questions: Sequence[str], seed: int = 0
) -> PPIEstimate | None:
    """The calibrated mean of a judge's values; None where nobody labelled any of them."""
    known = [number for number, score in enumerate(human) if score is not None]
    if not known:
        return None
    rest = [number for number, score in enumerate(human) if score is None]
    return ppi_mean(
        [score for score in human if score is not None],
        [values[number] for number in known],
        [values[number] for number in rest],
        folds=FOLDS,
        human_clusters=[questions[number] for number in known],
        judge_clusters=[questions[number] for number in rest],
        seed=seed,
    )


def calibrate(run: Run, wanted: str, *, declared: bool = False) -> list[Calibrated]:
    """Win rates and Bradley-Terry ratings of every judge of pairs, calibrated by people.

    Args:
        run: whose verdicts are read.
        wanted: ``human`` or one ``human@NAME``.
        declared: whether the labels are said to be a random sample.

    Raises:
        UserError: no such people, labels that are no random sample, or no pair that both judged.
    """
    verdicts = standing(run, run.verdicts().values())[0]
    people = people_of(verdicts, wanted)
    refuse_unsampled(run, people, declared=declared)
    games = games_of(run, verdicts)[0]
    human = [game for game in games if game.judge in people]
    lengths = {(each.suite, each.item, each.model): each.turns for each in run.answers().values() if not each.sample}
    judged = [game for game in games if not game.judge.startswith("human@")]
    found = [
        _calibrated(key, group, people, run.manifest.get("seed", 0), lengths)
        for key, group in sorted(labelled(judged, human).items())
        if any(score is not None for score in group.human)
    ]
    if not found:
        raise UserError(f"--calibrate {wanted}: people and judges judged no pair alike")
    return found


def rows_of(found: Iterable[Calibrated]) -> list[dict[str, Any]]:
    """A flat row for each model: judge alone, people alone, both."""
    rows = []
    for each in found:
        for model, rate in sorted(each.win_rates.items()):
            ratings, joint = each.ratings, each.joint
            notes = [each.note, rate.note, ratings.note if ratings else ""]
            rows.append(
                {
                    "suite": each.suite, "judge": each.judge, "rubric": each.rubric, "dimension": each.dimension,
                    "model": model, "people": list(each.people), "labels": rate.n_human, "verdicts": rate.n_judge,
                    "lambda": rate.lam, "win_rate": rate.value, "win_rate_low": rate.low, "win_rate_high": rate.high,
                    "judge_win_rate": rate.judge_value, "judge_low": rate.judge_low, "judge_high": rate.judge_high,
                    "people_win_rate": rate.human_value, "people_low": rate.human_low, "people_high": rate.human_high,
                    "elo": ratings and ratings.elo.get(model), "elo_low": ratings and ratings.low.get(model),
                    "elo_high": ratings and ratings.high.get(model),
                    "joint_elo": joint and joint.elo.get(model), "joint_low": joint and joint.low.get(model),
                    "joint_high": joint and joint.high.get(model), "joint_p": joint and joint.p_value,
                    "headline": joint.headline if joint else "ppi",
                    "note": "; ".join(dict.fromkeys(filter(None, notes))),
                }
            )  # fmt: skip
    return rows


def describe(estimate: PPIEstimate, form: str = ".3f") -> list[str]:
    """Lines on a calibrated mean: both together, then the judge alone and people alone; ``form`` is of its numbers."""

    def interval(low: float | None, high: float | None) -> str:
        return "—" if low is None or high is None else f"[{low:{form}}, {high:{form}}]"

    gain = "" if estimate.effective_n_ratio is None else f", worth {estimate.effective_n_ratio:.2f} times the labels"
    said = [
        f"people and judge: {estimate.value:{form}} {interval(estimate.low, estimate.high)}, "
        f"{estimate.n_human} labels and {estimate.n_judge} verdicts more, λ {estimate.lam:.2f}{gain}"
    ]
    if estimate.judge_value is not None:
        alone = interval(estimate.judge_low, estimate.judge_high)
        said.append(f"judge alone: {estimate.judge_value:{form}} {alone}, which allows for no bias of the judge")
    said.append(f"people alone: {estimate.human_value:{form}} {interval(estimate.human_low, estimate.human_high)}")
    if estimate.note:
        said.append(f"note: {estimate.note}")
    return said


def lines(found: Iterable[Calibrated]) -> Iterator[str]:
    """The lines of several calibrations, for the terminal."""
    for each in found:
        yield f"{each.suite}, {each.dimension}, {each.judge} by {each.rubric}, calibrated by {', '.join(each.people)}"
        for model, rate in sorted(each.win_rates.items(), key=lambda row: -row[1].value):
            yield f"  win rate of {model}"
            yield from (f"    {line}" for line in describe(rate))
        if each.ratings is not None:
            for model, elo in sorted(each.ratings.elo.items(), key=lambda row: -row[1]):
                ends = f"[{each.ratings.low[model]:.0f}, {each.ratings.high[model]:.0f}]"
                yield f"  Elo of {model} by people and judge: {elo:.0f} {ends}"
            if each.joint is not None:
                said = [f"{name} {elo:.0f}" for name, elo in sorted(each.joint.elo.items(), key=lambda row: -row[1])]
                which = "PPI" if each.joint.headline == "ppi" else "the joint model"
                yield f"  Elo by a joint model of the judge's taste for length: {', '.join(said)}"
                yield f"  do the two agree? p = {each.joint.p_value:.2g}: {which} is the headline"
            if each.ratings.note:
                yield f"  note: {each.ratings.note}"
        if each.note:
            yield f"  note: {each.note}"


def place_of(game: Game) -> Place:
    """What a person and a judge can both have judged."""
    return game.suite, game.item, game.turn, game.dimension, game.left, game.right


def _calibrated(
    key: tuple[str, str, str, str], group: Labelled, people: Sequence[str], seed: int, answers: Answers
) -> Calibrated:
    suite, judge, rubric, dimension = key
    rates = {}
    for model in sorted({name for game in group.games for name in (game.left, game.right)}):
        own = [number for number, game in enumerate(group.games) if model in (game.left, game.right)]
        estimate = mean_of(
            [_share(group.games[number], model, group.games[number].score) for number in own],
            [_side(group, number, model) for number in own],
            [group.games[number].item for number in own],
            seed,
        )
        if estimate is not None:
            rates[model] = estimate
    ratings, joint, note = _ratings(group, answers)
    return Calibrated(
        suite=suite, judge=judge, rubric=rubric, dimension=dimension, people=tuple(people), win_rates=rates,
        ratings=ratings, joint=joint, note=note,
    )  # fmt: skip


def _ratings(group: Labelled, answers: Answers) -> tuple[PPIRatings | None, JointRatings | None, str]:
    """The calibrated fit, or why there is none, and the joint model's."""
    known: list[tuple[str, str, float, float]] = []
    rest: list[tuple[str, str, float]] = []
    questions: Mapping[bool, list[str]] = {True: [], False: []}
    lengths: Mapping[bool, list[tuple[float, float]]] = {True: [], False: []}
    for game, score in zip(group.games, group.human, strict=True):
        questions[score is not None].append(game.item)
        lengths[score is not None].append((_length(game, game.left, answers), _length(game, game.right, answers)))
        if score is None:
            rest.append((game.left, game.right, game.score))
        else:
            known.append((game.left, game.right, score, game.score))
    try:
        found = ppi_bradley_terry(known, rest, human_clusters=questions[True], judge_clusters=questions[False])
    except UserError as error:
        return None, None, f"no calibrated Bradley-Terry: {error}"
    try:
        # Names, not places, stand left and right in a game: where both orders were shown, position has cancelled.
        joint = joint_bias(
            known, rest, lengths=(lengths[True], lengths[False]), position=False,
            human_clusters=questions[True], judge_clusters=questions[False],
        )  # fmt: skip
    except UserError as error:
        return found, None, f"no joint model: {error}"
    return found, joint, ""


def _length(game: Game, model: str, answers: Answers) -> float:
    """Characters of what was judged; not a number where the run holds no answer."""
    turns = answers.get((game.suite, game.item, model))
    if turns is None:
        return math.nan
    return float(sum(map(len, turns[game.turn - 1 : game.turn] if game.turn else turns)))


def _share(game: Game, model: str, score: float) -> float:
    return score if game.left == model else 1 - score


def _side(group: Labelled, number: int, model: str) -> float | None:
    score = group.human[number]
    return None if score is None else _share(group.games[number], model, score)
