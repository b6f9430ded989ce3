"""Labels of people beside a judge's verdicts on the same: what of a run can be calibrated, and by whom.

People are the judges ``human@NAME``. How their labels were chosen is part of the run (`label_samples`): at random,
which PPI++ takes; with known chances, which augmented means take; otherwise calibration is refused.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.active import active_estimate
from judgebench.ratings.joint_bias import JointRatings
from judgebench.ratings.ppi import PPIEstimate, ppi_mean
from judgebench.ratings.ppi_ratings import PPIRatings
from judgebench.runs import Run
from judgebench.stages.games import games_of, standing
from judgebench.stages.label_samples import LabelSample, sample_of
from judgebench.stages.people_fits import Answers, Effect, Labelled, fits_of
from judgebench.stages.summary_sway import kin
from judgebench.types import Game, Record, Verdict

UNLABELLED = "nobody labelled any of these"
"""Why there is no calibrated figure."""

PEOPLE = "human"
"""``--calibrate human``: everyone whose judge name begins with ``human@``."""

FOLDS = 2
"""λ of one half of the labels is tuned on the other."""

Place = tuple[str, str, int, str, str, str]
"""(suite, item, turn, dimension, left, right): what a person and a judge can both have judged."""


class Uncalibrated(Record, frozen=True, kw_only=True):
    """A model that the judge judged and of which no calibrated figure holds."""

    labels: int
    """Its games with a label."""
    verdicts: int
    """Its games without."""
    why: str
    """The reason."""


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
    effects: tuple[Effect, ...] = ()
    """The judge's biases in the joint model, and why another is not."""
    without: dict[str, Uncalibrated] = msgspec.field(default_factory=dict)
    """Model → why it has no calibrated figure."""
    note: str = ""
    """What a reader must know."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of calibration."""
    group = parser.add_argument_group("people")
    group.add_argument(
        "--calibrate",
        metavar="human[@NAME]",
        help="correct judges by people's labels in the run, shown beside: PPI++, or augmented means by "
        "chances where labels were drawn so",
    )
    group.add_argument(
        "--random-labels", action="store_true", help="declare that the labels are a random sample of what was judged"
    )


def people_of(verdicts: Iterable[Verdict], wanted: str, fallen: Sequence[str]) -> list[str]:
    """The people among the judges whom ``--calibrate`` names.

    Args:
        verdicts: those that stand.
        wanted: ``human`` or one ``human@NAME``.
        fallen: lines on the others, for the error: they may be all there was.

    Raises:
        UserError: there are none of that name.
    """
    known = sorted({verdict.judge for verdict in verdicts if verdict.judge.startswith("human@")})
    if not known:
        none = "--calibrate: the run holds no labels of people that count (judges human@NAME)"
        raise UserError("; ".join([f"{none}: 'judgebench annotate RUN' makes some", *fallen]))
    found = known if wanted == PEOPLE else [name for name in known if name == wanted]
    if not found:
        why = f"--calibrate {wanted}: no such labels here: {did_you_mean(wanted, [PEOPLE, *known])}"
        raise UserError("; ".join([why, *fallen]))
    return found


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
    values: Sequence[float], human: Sequence[float | None], questions: Sequence[str], seed: int = 0,
    chances: Sequence[float] | None = None,
) -> PPIEstimate | None:  # fmt: skip
    """The calibrated mean of a judge's values; None where nobody labelled any of them.

    Args:
        values: the judge's.
        human: people's, None where there is no label.
        questions: the item of each.
        seed: of the folds.
        chances: chance of a label for each, where labels were drawn so; None where they are a random sample.
    """
    known = [number for number, score in enumerate(human) if score is not None]
    if not known:
        return None
    if chances is not None:
        return active_estimate(values, human, chances, clusters=questions)
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
        UserError: no such people, labels of which nothing says how they were chosen, or no pair that both judged.
    """
    verdicts, fallen = standing(run, run.verdicts().values())
    people = people_of(verdicts, wanted, fallen.lines)
    sample = sample_of([run], people, declared=declared)
    games = games_of(run, verdicts)[0]
    human = [game for game in games if game.judge in people]
    answers = {(each.suite, each.item, each.model, each.sample): each.turns for each in run.answers().values()}
    judged = [game for game in games if not game.judge.startswith("human@")]
    shown: dict[tuple[str, str, str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if len(verdict.shown) == 2:
            shown[verdict.suite, verdict.judge, verdict.rubric, verdict.dimension].append(verdict)
    both = [each for each in sorted(labelled(judged, human).items()) if _any(each[1].human)]
    if not both:
        raise UserError(f"--calibrate {wanted}: people and judges judged no pair alike")
    gaps = {key: sample.gap(shown[key]) for key, _ in both}
    if all(gaps.values()):
        raise UserError(f"--calibrate {wanted}: {gaps[both[0][0]]}")
    return [
        _refused(key, group, people, gaps[key])
        if gaps[key]
        else _calibrated(run, key, (group, shown[key], answers), people, sample)
        for key, group in both
    ]


def place_of(game: Game) -> Place:
    """What a person and a judge can both have judged."""
    return game.suite, game.item, game.turn, game.dimension, game.left, game.right


def _calibrated(
    run: Run, key: tuple[str, str, str, str], held: tuple[Labelled, Sequence[Verdict], Answers],
    people: Sequence[str], sample: LabelSample,
) -> Calibrated:  # fmt: skip
    (suite, judge, rubric, dimension), (group, verdicts, answers) = key, held
    scores, chances, odd = sample.beside(group.human, [(suite, game.item) for game in group.games])
    group = Labelled(group.games, scores)
    rates = {}
    for model in sorted({name for game in group.games for name in (game.left, game.right)}):
        own = [number for number, game in enumerate(group.games) if model in (game.left, game.right)]
        estimate = mean_of(
            [_share(group.games[number], model, group.games[number].score) for number in own],
            [_side(group, number, model) for number in own],
            [group.games[number].item for number in own],
            run.manifest.get("seed", 0),
            None if chances is None else [chances[number] for number in own],
        )
        if estimate is not None:
            rates[model] = estimate
    names = {name for game, score in zip(group.games, group.human, strict=True) if score is not None
             for name in (game.left, game.right)}  # fmt: skip
    kept = [number for number, game in enumerate(group.games) if {game.left, game.right} <= names]
    without = _without(group, UNLABELLED)
    fits = fits_of(
        Labelled([group.games[number] for number in kept], [group.human[number] for number in kept]), verdicts, answers,
        kin(run, judge), None if chances is None else [chances[number] for number in kept],
    )  # fmt: skip
    left_out = [name for name in without if name not in rates]
    notes = [odd, fits.note]
    if left_out:
        notes.append(f"games of {', '.join(left_out)} are left out of the calibrated ratings: nobody labelled any")
    return Calibrated(
        suite=suite, judge=judge, rubric=rubric, dimension=dimension, people=tuple(people), win_rates=rates,
        ratings=fits.ratings, joint=fits.joint, effects=fits.effects, note="; ".join(filter(None, notes)),
        without={name: without[name] for name in left_out},
    )  # fmt: skip


def _refused(key: tuple[str, str, str, str], group: Labelled, people: Sequence[str], why: str) -> Calibrated:
    (suite, judge, rubric, dimension) = key
    return Calibrated(
        suite=suite, judge=judge, rubric=rubric, dimension=dimension, people=tuple(people), win_rates={}, ratings=None,
        without=_without(group, why),
    )  # fmt: skip


def _without(group: Labelled, why: str) -> dict[str, Uncalibrated]:
    """Every model of the games, were none of them calibrated."""
    found = {}
    for model in sorted({name for game in group.games for name in (game.left, game.right)}):
        labels = [score is not None for game, score in zip(group.games, group.human, strict=True)
                  if model in (game.left, game.right)]  # fmt: skip
        found[model] = Uncalibrated(labels=sum(labels), verdicts=len(labels) - sum(labels), why=why)
    return found


def _any(human: Iterable[float | None]) -> bool:
    return any(score is not None for score in human)


def _share(game: Game, model: str, score: float) -> float:
    return score if game.left == model else 1 - score


def _side(group: Labelled, number: int, model: str) -> float | None:
    score = group.human[number]
    return None if score is None else _share(group.games[number], model, score)
