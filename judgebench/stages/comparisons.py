"""Comparisons of models on what a run holds: differences, win rates, and what is asked for beside them."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from judgebench.errors import RunConflict, UserError, did_you_mean
from judgebench.judges.debias import LeftOut
from judgebench.ratings.equivalence import Equivalence, tost
from judgebench.ratings.grades import item_means
from judgebench.ratings.intervals import FLAT, Estimate, cluster_bootstrap, clustered_error, clustered_interval
from judgebench.ratings.multiplicity import benjamini_hochberg, holm
from judgebench.ratings.paired import PairedDifference, paired_difference, t_test
from judgebench.ratings.power import items_needed, smallest_difference
from judgebench.ratings.ppi import PPIEstimate
from judgebench.runs import Run
from judgebench.stages import calibration
from judgebench.stages.games import games_of, standing
from judgebench.stages.label_samples import LabelSample, sample_of
from judgebench.types import Game, Record, Verdict

Key = tuple[str, str, str, str]
"""(suite, judge, rubric, dimension)."""


class Comparison(Record, frozen=True, kw_only=True):
    """A against B on one thing that was scored."""

    suite: str
    """Name of the suite."""
    judge: str
    """Judge or scorer."""
    rubric: str
    """``name@hash``; empty for exact scores."""
    dimension: str
    """What was judged."""
    method: str
    """``paired difference`` of scores, or ``win rate`` of games between the two."""
    left: str = ""
    """A."""
    right: str = ""
    """B."""
    value: float | None
    """A minus B on the scale of the scores; or A's win rate."""
    low: float | None
    """Lower end of the question-clustered 95 % interval."""
    high: float | None
    """Upper end."""
    n: int
    """Paired scores, or games."""
    clusters: int
    """Questions."""
    p_value: float | None = None
    """Two-sided clustered t-test that the two are alike."""
    holm_p: float | None = None
    """The same, corrected by Holm for all that this command compared."""
    screened_p: float | None = None
    """The same by Benjamini and Hochberg."""
    spread: float | None = None
    """Standard deviation over questions of what is averaged; None where nothing varies."""
    smallest_difference: float | None = None
    """Smallest difference that this many questions show at power 0.8."""
    items_needed: int | None = None
    """Questions needed to show the difference found, were it the true one."""
    equivalence: Equivalence | None = None
    """Whether they are as good as one another, where a margin was given."""
    calibrated: PPIEstimate | None = None
    """The same by people and judge together, where asked for."""
    bootstrap: Estimate | None = None
    """Question bootstrap, stratified by category, where asked for."""
    paired: PairedDifference | None = None
    """Everything about a paired difference."""
    note: str = ""
    """What a reader must know."""


class Extras(NamedTuple):
    """What is computed beside the difference."""

    margin: float | None = None
    """Smallest difference that matters: tests whether the two are as good as one another."""
    calibrate: str = ""
    """``human`` or ``human@NAME``."""
    random_labels: bool = False
    """Whether people's labels are said to be a random sample."""
    bootstrap: int = 0
    """Draws of the question bootstrap."""
    seed: int = 0
    """Of the bootstrap and the folds."""


NOTHING = Extras()

UNTIL_DECIDED = (
    "judged until decided: interval and p-value take no account of that; those that hold are the decisions in the "
    "manifest"
)


class Held(NamedTuple):
    """What the runs hold."""

    verdicts: list[Verdict]
    """Those that stand, of all runs."""
    games: list[Game]
    """Their games."""
    left_out: list[LeftOut]
    """Pairs that made none."""
    categories: dict[tuple[str, str], str]
    """(suite, item) → category."""
    stopped: set[tuple[str, str]]
    """(judge, rubric) that were asked until decided, and not everything."""
    fallen: list[str]
    """Lines on verdicts that do not stand."""
    sample: LabelSample = LabelSample()
    """How people's labels came about."""


def compare_pairs(
    runs: Sequence[Run], pairs: Sequence[tuple[str, str]] | None, extras: Extras = NOTHING, *,
    allow_unlike: bool = False,
) -> list[Comparison]:  # fmt: skip
    """As `compare`, for several pairs (None: every two models that share something), p-values corrected for their
    number.

    The correction is over all that is compared: every pair on every suite, judge, rubric and dimension.

    Raises:
        UserError: a model is unknown, a pair shares nothing, or what the extras refuse.
        RunConflict: two models were asked in different ways.
    """
    names = sorted({name for run in runs for name in run.manifest["models"]})
    chosen = list(itertools.combinations(names, 2)) if pairs is None else list(pairs)
    if not chosen:
        raise UserError(f"nothing to compare: the runs hold {len(names)} model")
    for name in (name for pair in chosen for name in pair):
        if name not in names:
            raise UserError(f"no model is called {name!r} here: {did_you_mean(name, names)}")
    if extras.margin is not None and not extras.margin > 0:
        raise UserError(f"--margin {extras.margin:g}: must be above 0, the smallest difference that matters")
    held = _held(runs)
    people = calibration.people_of(held.verdicts, extras.calibrate, held.fallen) if extras.calibrate else []
    if people:
        held = held._replace(sample=sample_of(runs, people, declared=extras.random_labels))
    found: list[Comparison] = []
    for left, right in chosen:
        unlike = _unlike(runs, left, right)
        if unlike and not allow_unlike:
            raise RunConflict(
                f"{left} and {right} were not asked alike: {unlike[0]} (--allow-unlike compares them all the same)"
            )
        here = [*_scores(held, (left, right), people, extras), *_games(held, (left, right), people, extras)]
        if not here and pairs is not None:
            raise UserError(f"{left} and {right} share no scored item")
        if unlike:
            here = [msgspec.structs.replace(each, note="; ".join(filter(None, [each.note, *unlike]))) for each in here]
        found += here
    if not found:
        raise UserError("no two models share a scored item")
    if people and not any(each.calibrated for each in found):
        whys = [each.note.partition("not calibrated: ")[2] for each in found]
        why = next((each for each in whys if each and not each.startswith(calibration.UNLABELLED)), "")
        raise UserError(f"--calibrate {extras.calibrate}: {why or 'people and judges judged nothing alike'}")
    return _corrected(found)


def _held(runs: Sequence[Run]) -> Held:
    held = Held([], [], [], {}, set(), [])
    for run in runs:
        verdicts, fallen = standing(run, run.verdicts().values())
        held.fallen.extend(fallen.lines)
        games, left_out = games_of(run, verdicts)
        held.verdicts.extend(verdicts)
        held.games.extend(games)
        held.left_out.extend(left_out)
        for name, judge in run.manifest["judges"].items():
            for record in judge["rubrics"].values():
                if (stopped := record.get("stopped", {})) and stopped["put"] < stopped["matchups"]:
                    held.stopped.add((name, record["id"]))
        for suite in run.manifest["suites"]:
            held.categories.update({(suite, item.id): item.category for item in run.items(suite).values()})
    return held


def _unlike(runs: Sequence[Run], left: str, right: str) -> list[str]:
    """Suites in which the two were asked in different ways, a line each."""
    asked: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for run in runs:
        for key, parts in run.manifest["answers"].items():
            suite, _, model = key.partition(" | ")
            if model in (left, right):
                asked[suite][model] = {
                    name: value
                    for name, value in parts.items()
                    if name.startswith("suite ") or name in ("temperature", "max_tokens")
                }
    lines = []
    for suite, parts in asked.items():
        if len(parts) == 2:
            a, b = parts[left], parts[right]
            differing = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
            if differing:
                lines.append(f"{suite}: {', '.join(differing)} differ")
    return lines


def _scores(held: Held, pair: tuple[str, str], people: Sequence[str], extras: Extras) -> list[Comparison]:
    left, right = pair
    groups: dict[Key, list[Verdict]] = defaultdict(list)
    for verdict in held.verdicts:
        if len(verdict.shown) == 1 and verdict.shown[0][0] in pair:
            groups[_key(verdict)].append(verdict)
    found = []
    for key, group in sorted(groups.items()):
        means = item_means(group)
        ours, theirs = means.get(left, {}), means.get(right, {})
        shared = [place for place in ours if place in theirs]
        if not shared:
            continue
        paired = paired_difference([ours[place] for place in shared], [theirs[place] for place in shared])
        alone = len({*ours, *theirs}) - len(shared)
        notes = [paired.note, f"{alone} items scored for one of the two only are left out" if alone else ""]
        notes.append(_untested(paired.se, extras.margin))
        delta = {place: ours[place] - theirs[place] for place in shared}
        said = _people_differences(groups, key, pair, people)
        calibrated = None
        if people and not key[1].startswith(("human@", "exact@")):
            odd = held.sample.gap(each for each in group if (each.suite, each.item) in delta) if said else ""
            if not odd:
                labels, chances, odd = held.sample.beside([said.get(place) for place in shared], shared)
                calibrated = calibration.mean_of(
                    list(delta.values()), labels, [item for _, item in shared], extras.seed, chances
                )
            notes.append(odd if calibrated else f"not calibrated: {odd or calibration.UNLABELLED}")
        found.append(
            Comparison(
                suite=key[0], judge=key[1], rubric=key[2], dimension=key[3], method="paired difference", left=left,
                right=right, value=paired.difference, low=paired.low, high=paired.high, n=paired.n,
                clusters=paired.clusters, p_value=paired.p_value,
                spread=paired.se * math.sqrt(paired.clusters) if paired.se else None,
                smallest_difference=paired.smallest_difference,
                items_needed=paired.items_needed, calibrated=calibrated, paired=paired,
                equivalence=_equivalence(paired.difference, paired.se, paired.clusters, extras.margin),
                bootstrap=_bootstrap(list(delta.values()), shared, held, extras), note="; ".join(filter(None, notes)),
            )
        )  # fmt: skip
    return found


def _key(verdict: Verdict) -> Key:
    return verdict.suite, verdict.judge, verdict.rubric, verdict.dimension


def _people_differences(
    groups: Mapping[Key, Sequence[Verdict]], key: Key, pair: tuple[str, str], people: Sequence[str]
) -> dict[tuple[str, str], float]:
    """(suite, item) → mean over people of A minus B, where they graded both by this dimension on the same scale."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    scale = {verdict.scale for verdict in groups[key]}
    for (suite, judge, _, dimension), group in groups.items():
        if judge in people and (suite, dimension) == (key[0], key[3]) and {each.scale for each in group} == scale:
            means = item_means(list(group))
            for place, score in means.get(pair[0], {}).items():
                if place in means.get(pair[1], {}):
                    found[place].append(score - means[pair[1]][place])
    return {place: sum(scores) / len(scores) for place, scores in found.items()}


def _games(held: Held, pair: tuple[str, str], people: Sequence[str], extras: Extras) -> list[Comparison]:
    left, right = pair
    met = [game for game in held.games if {game.left, game.right} == set(pair)]
    missing = [out for out in held.left_out if {out.left, out.right} == set(pair)]
    human = [game for game in met if game.judge in people]
    shown = [each for each in held.verdicts if {model for model, _ in each.shown} == set(pair)] if people else []
    found = []
    for key, group in sorted(calibration.labelled(met, human).items()):
        turned = [game.left != left for game in group.games]
        scores = [1 - game.score if turn else game.score for game, turn in zip(group.games, turned, strict=True)]
        items = [game.item for game in group.games]
        estimate = clustered_interval(scores, items)
        error = clustered_error(scores, items)
        gone = sum((out.suite, out.judge, out.rubric, out.dimension) == key for out in missing)
        notes = [estimate.note, f"{gone} pairs with an unreadable order are left out" if gone else ""]
        notes.append(_untested(error.cr1, extras.margin))
        if key[1:3] in held.stopped:
            notes.append(UNTIL_DECIDED)
        varies = error.cr1 is not None and error.cr1 >= FLAT
        variance = (error.cr1 or 0.0) ** 2 * error.clusters if varies else None
        gap = error.mean - 0.5
        calibrated = None
        if people and not key[1].startswith("human@"):
            said = [
                None if score is None else 1 - score if turn else score
                for score, turn in zip(group.human, turned, strict=True)
            ]
            odd = held.sample.gap(each for each in shown if _key(each) == key)
            if not odd:
                said, chances, odd = held.sample.beside(said, [(key[0], item) for item in items])
                calibrated = calibration.mean_of(scores, said, items, extras.seed, chances)
            notes.append(odd if calibrated else f"not calibrated: {odd or calibration.UNLABELLED}")
        found.append(
            Comparison(
                suite=key[0], judge=key[1], rubric=key[2], dimension=key[3], method="win rate", left=left, right=right,
                value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, clusters=estimate.clusters,
                p_value=t_test(gap, error.cr1, error.clusters),
                spread=None if variance is None else math.sqrt(variance),
                smallest_difference=None if variance is None else smallest_difference(error.clusters, variance),
                items_needed=None if variance is None or abs(gap) < FLAT else math.ceil(items_needed(gap, variance)),
                equivalence=_equivalence(gap, error.cr1, error.clusters, extras.margin), calibrated=calibrated,
                bootstrap=_bootstrap(scores, [(key[0], item) for item in items], held, extras),
                note="; ".join(filter(None, notes)),
            )
        )  # fmt: skip
    return found


def _equivalence(difference: float, se: float | None, clusters: int, margin: float | None) -> Equivalence | None:
    """The test against the margin; None where none was asked for or nothing varies."""
    return tost(difference, se, margin, clusters - 1) if margin is not None and se is not None and se > FLAT else None


def _untested(se: float | None, margin: float | None) -> str:
    """Why there is no test against a margin that was asked for; empty where there is one, or none was asked for."""
    tested = margin is None or (se is not None and se > FLAT)
    return "" if tested else f"no test within {margin:g}: no variation between questions to test by"


def _bootstrap(
    scores: Sequence[float], places: Sequence[tuple[str, str]], held: Held, extras: Extras
) -> Estimate | None:
    if not extras.bootstrap:
        return None
    strata = [held.categories.get(place, "") for place in places]
    return cluster_bootstrap(scores, places, strata=strata, draws=extras.bootstrap, seed=extras.seed)


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons, p-values corrected for their number where there are several."""
    tested = [number for number, each in enumerate(found) if each.p_value is not None]
    if len(tested) < 2:
        return list(found)
    p_values = [found[number].p_value or 0.0 for number in tested]
    confirmed, screened = holm(p_values).adjusted, benjamini_hochberg(p_values).adjusted
    made = list(found)
    for place, number in enumerate(tested):
        made[number] = msgspec.structs.replace(made[number], holm_p=confirmed[place], screened_p=screened[place])
    return made
