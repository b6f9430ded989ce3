"""Meta-evaluation: a judge, a panel or people against people or gold labels, on the verdicts that a run holds."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.judges.debias import Policy
from judgebench.ratings.resampling import DRAWS, Resample
from judgebench.report.judge_card import JudgeCard, Trial
from judgebench.runs import Run
from judgebench.stages import panels
from judgebench.stages.cards import card_key, model_of, write_cards
from judgebench.stages.contamination import of_judge
from judgebench.stages.games import dimensions_of, orders_said, standing
from judgebench.stages.settings import run_path
from judgebench.stages.trial_bench import Bench
from judgebench.stages.trial_grades import grade_trial
from judgebench.stages.trial_pairs import pair_trial
from judgebench.stages.trial_units import (
    GOLD,
    Graded,
    GradeUnit,
    Orders,
    Pairs,
    Truth,
    graded_of,
    is_person,
    item_labels,
    mean,
    pairs_of,
    pairs_of_grades,
    scales_at,
    truth_of,
)
from judgebench.types import Verdict


class Rater(NamedTuple):
    """Everything one judge said by one rubric."""

    judge: str
    """Its name."""
    rubric: str
    """``name@hash``; empty for people."""
    pairs: Pairs
    """On pairs."""
    graded: Graded
    """On single answers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("run", metavar="RUN", help="run folder; a bare name means results/NAME")
    parser.add_argument(
        "--judge", action="append", default=[], metavar="NAME",
        help="judge to try: its name, human@NAME, or A+B+… for a panel's majority; repeat (default: every judge)",
    )  # fmt: skip
    parser.add_argument(
        "--against", default="", metavar="WHO",
        help="human (everyone's majority), human@NAME, gold, exact@SCORER or a judge (default: human, else gold)",
    )  # fmt: skip
    parser.add_argument("--suite", action="append", default=[], metavar="NAME", help="only this suite; repeat for more")
    parser.add_argument(
        "--turn", action="append", type=int, default=[], metavar="N",
        help="only this turn, 0 being the whole conversation; repeat (default: all turns together)",
    )  # fmt: skip
    parser.add_argument("--dimension", action="append", default=[], metavar="NAME", help="only this dimension; repeat")
    parser.add_argument(
        "--swap-policy", choices=get_args(Policy), default="tie",
        help="what two orders that disagree say (default tie, as MT-Bench counts agreement)",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help=f"bootstrap draws (default {DRAWS})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the bootstrap (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="write the files, print nothing")


def main(args: argparse.Namespace) -> int:
    """Writes judge-card.json and judge-card.md and prints the tables.

    Returns:
        0; exit codes of errors are theirs.
    """
    run = Run(run_path(args.run))
    panels.refresh(run)
    cards = meta_evaluate(
        run, args.judge, args.against, suites=args.suite, dimensions=args.dimension, turns=args.turn,
        policy=args.swap_policy, resample=Resample(args.draws, args.seed),
    )  # fmt: skip
    write_cards(run, cards)
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(cards), indent=1).decode() + "\n")
    elif not args.quiet:
        from rich.console import Console

        from judgebench.report.terminal import print_cards

        print_cards(cards, Console())
        sys.stdout.write(f"\n{run.path / 'judge-card.md'}\n")
    return 0


def meta_evaluate(
    run: Run,
    judges: Sequence[str] = (),
    against: str = "",
    *,
    suites: Sequence[str] = (),
    dimensions: Sequence[str] = (),
    turns: Sequence[int] = (),
    policy: Policy = "tie",
    resample: Resample | None = None,
) -> list[JudgeCard]:
    """A card for each judge and rubric, with a trial for each suite and dimension.

    Args:
        run: holds the verdicts of all sides.
        judges: names; ``A+B`` is a panel; by default all that are no people, or people where there are no others.
        against: ``human``, ``human@NAME``, ``gold``, ``exact@SCORER`` (its accuracy, for every dimension) or a judge's
            name; ``human`` where there are people, else ``gold``.
        suites: only these; all by default.
        dimensions: only these; all by default.
        turns: only these; all together by default.
        policy: what two orders that disagree say together.
        resample: how intervals are drawn.

    Raises:
        UserError: a name is unknown, or nothing was judged by both sides.
    """
    held, fallen = standing(run, run.verdicts().values())
    verdicts = [
        verdict
        for verdict in held
        if (not suites or verdict.suite in suites)
        and (not dimensions or verdict.dimension in dimensions)
        and (not turns or verdict.turn in turns)
    ]
    _known(run, verdicts, suites, dimensions, fallen.lines)
    raters = [*_raters(run, verdicts), *_scored(run, against, {verdict.dimension for verdict in verdicts}, suites)]
    people = sorted({rater.judge for rater in raters if is_person(rater.judge)})
    truth_name = against or ("human" if people else "gold")
    if truth_name in judges:
        raise UserError(f"--judge {truth_name} is held against itself: name another with --against")
    chosen = _chosen(raters, judges, truth_name)
    for panel in (rater.judge for rater in chosen if "+" in rater.judge):
        for member in panel.split("+"):
            for rater in _named(raters, member)[:1]:
                panels.refuse_own_units(run, panel, rater.rubric)
    bench = Bench(
        policy=policy, resample=resample or Resample(), own=frozenset(),
        answers={answer.key: answer.turns for answer in run.answers().values()},
    )  # fmt: skip
    cards = []
    for rater in chosen:
        trials = _trials(run, rater, raters, truth_name, bench._replace(own=_own(run, rater.judge)))
        if trials:
            known = model_of(run, rater.judge)
            cards.append(
                JudgeCard(
                    judge=rater.judge, rubric=rater.rubric, key=card_key(rater.judge, rater.rubric, known), model=known,
                    policy=policy, trials=tuple(trials), notes=(*of_judge(run, rater.judge), *fallen.lines),
                )
            )  # fmt: skip
    if not cards:
        raise UserError("; ".join([_nothing(chosen, raters, truth_name), *fallen.lines]))
    return cards


def _known(
    run: Run, verdicts: Sequence[Verdict], suites: Sequence[str], dimensions: Sequence[str], fallen: Sequence[str]
) -> None:
    if verdicts:
        return
    held = run.verdicts().values()
    if not held:
        raise UserError(f"{run.path} holds no verdicts: judge its answers, or import people's labels, first")
    for flag, wanted, found in (
        ("--suite", suites, {verdict.suite for verdict in held}),
        ("--dimension", dimensions, {verdict.dimension for verdict in held}),
    ):
        for name in wanted:
            if name not in found:
                raise UserError(f"{flag} {name}: nothing was judged on it: {did_you_mean(name, found)}")
    why = f"{run.path}: nothing was judged on these suites, dimensions and turns together"
    raise UserError("; ".join([why, *fallen]))


def _raters(run: Run, verdicts: Iterable[Verdict]) -> list[Rater]:
    groups: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if not verdict.judge.startswith("exact@"):
            groups[verdict.judge, verdict.rubric].append(verdict)
    return [
        Rater(judge, rubric, pairs_of(group, orders_said(run, judge, rubric)), graded_of(group))
        for (judge, rubric), group in sorted(groups.items())
    ]


def _scored(run: Run, scorer: str, dimensions: Iterable[str], suites: Sequence[str]) -> list[Rater]:
    """An exact scorer as one whose accuracy is its grade on every dimension; nothing where it is no scorer's name."""
    if not scorer.startswith("exact@"):
        return []
    own = [
        verdict
        for verdict in standing(run, run.verdicts().values())[0]
        if verdict.judge == scorer and verdict.dimension == "accuracy" and (not suites or verdict.suite in suites)
    ]
    grades = [msgspec.structs.replace(verdict, dimension=name) for name in sorted(dimensions) for verdict in own]
    return [Rater(scorer, "", Pairs({}, False, {}), graded_of(grades))] if own else []


def _chosen(raters: Sequence[Rater], judges: Sequence[str], against: str) -> list[Rater]:
    if not judges:
        machines = [rater for rater in raters if not is_person(rater.judge) and rater.judge not in (*GOLD, against)]
        return machines or [rater for rater in raters if is_person(rater.judge) and rater.judge != against]
    chosen = []
    for name in judges:
        found = _named(raters, name)
        if not found and "+" in name:
            members = name.split("+")
            groups = [_named(raters, member) for member in members]
            for member, group in zip(members, groups, strict=True):
                if not group:
                    raise UserError(f"--judge {name}: {_unknown(member, raters)}")
            found = [_panel(name, [group[0] for group in groups])]
        if not found and name == "human":
            found = [_panel("human", [rater for rater in raters if is_person(rater.judge)])]
        if not found:
            raise UserError(f"--judge {_unknown(name, raters)}")
        chosen += found
    return chosen


def _named(raters: Sequence[Rater], name: str) -> list[Rater]:
    """The raters of that name, or of NAME+RUBRIC."""
    bare = [rater for rater in raters if rater.judge == name]
    return bare or [rater for rater in raters if f"{rater.judge}+{rater.rubric.partition('@')[0]}" == name]


def _unknown(name: str, raters: Sequence[Rater]) -> str:
    return f"no judge is called {name!r} here: {did_you_mean(name, {rater.judge for rater in raters})}"


def _panel(name: str, members: Sequence[Rater]) -> Rater:
    """The majority of several raters, as one that was asked in one order."""
    points = {"first": 1.0, "tie": 0.5, "second": 0.0}
    truth = truth_of({str(at): member.pairs for at, member in enumerate(members)})
    read = {}
    for unit, turned in truth.flipped.items():
        share = points.get(truth.labels.get(unit, ""))
        read[unit] = Orders({0: share if share is None or not turned else 1 - share}, {})
    shown = {unit: unit[5] if turned else unit[4] for unit, turned in truth.flipped.items()}
    return Rater(name, "", Pairs(read, False, shown), _pooled([member.graded for member in members]))


def _pooled(members: Sequence[Graded]) -> Graded:
    """Mean grades of several raters; of their shares where they graded on different scales."""
    grades: dict[GradeUnit, list[float | None]] = {}
    shares: dict[GradeUnit, list[float | None]] = {}
    scales = {place: scales_at(place, members) for member in members for place in member.scales}
    for unit in dict.fromkeys(unit for member in members for unit in member.grades):
        among = scales.get((unit[0], unit[3]), frozenset())
        grades[unit] = [mean(mean(member.comparable(among).get(unit, [])) for member in members)]
        shares[unit] = [mean(mean(member.shares.get(unit, [])) for member in members)]
    unit_scale = frozenset({(0.0, 1.0)})
    return Graded(grades, shares, {place: found if len(found) < 2 else unit_scale for place, found in scales.items()})


def _truths(raters: Sequence[Rater], against: str, judge: str) -> dict[str, Rater]:
    """Whose verdicts are the truth, by name; the judge's own never are."""
    members = set(judge.split("+"))
    if against == "human":
        found = [rater for rater in raters if is_person(rater.judge)]
    elif against == "gold":
        found = [rater for rater in raters if rater.judge in GOLD]
    else:
        found = _named(raters, against)
        if not found:
            raise UserError(f"--against {_unknown(against, raters)}")
        if len({rater.rubric for rater in found}) > 1:
            names = ", ".join(f"{against}+{rater.rubric.partition('@')[0]}" for rater in found)
            raise UserError(f"--against {against}: it judged by several rubrics; name one of {names}")
    return {f"{rater.judge}+{rater.rubric}": rater for rater in found if rater.judge not in members}


def _trials(run: Run, judge: Rater, raters: Sequence[Rater], against: str, bench: Bench) -> list[Trial]:
    truths = _truths(raters, against, judge.judge)
    read = {name: rater.pairs for name, rater in truths.items() if rater.pairs.read}
    pairs = judge.pairs
    own = judge.graded.grades
    graded = {name: rater.graded for name, rater in truths.items() if rater.graded.grades}
    if read and not pairs.read and own:
        pairs = pairs_of_grades(own, {unit for each in read.values() for unit in each.read})
    elif pairs.read and not read:
        implied = {name: pairs_of_grades(each.grades, pairs.read) for name, each in graded.items()}
        read = {name: each for name, each in implied.items() if each.read}
    truth = truth_of(read, bench.policy)
    if not truth.labels and against == "gold":
        truth = _references(run, pairs)
    dimensions = list(dimensions_of(run).get(judge.rubric, ()))

    def order(place: tuple[str, str]) -> tuple[str, int, str]:
        suite, dimension = place
        return suite, dimensions.index(dimension) if dimension in dimensions else len(dimensions), dimension

    found = []
    for place in sorted({(unit[0], unit[3]) for unit in pairs.read}, key=order):
        trial = pair_trial(place, against, pairs, truth, bench)
        if trial is not None:
            found.append(trial)
    for place in sorted({(unit[0], unit[3]) for unit in own}, key=order):
        trial = grade_trial(place, against, judge.graded, graded, bench)
        if trial is not None:
            found.append(trial)
    return found


def _references(run: Run, pairs: Pairs) -> Truth:
    suites = sorted({unit[0] for unit in pairs.read})
    return item_labels(pairs.read, {(suite, item.id): item for suite in suites for item in run.items(suite).values()})


def _own(run: Run, judge: str) -> frozenset[str]:
    """Models under test that are the judge: of its name, or loaded from the same place."""
    models, record = run.manifest["models"], run.manifest["judges"].get(judge, {})
    same = {
        name
        for name, model in models.items()
        if record.get("id") and (model.get("backend"), model.get("id")) == (record.get("backend"), record["id"])
    }
    return frozenset(same | ({judge} if judge in models else set()))


def _nothing(chosen: Sequence[Rater], raters: Sequence[Rater], against: str) -> str:
    if against == "gold" and not any(is_person(rater.judge) for rater in raters):
        return (
            "the run holds no labels to hold a judge against, neither of people (human@NAME) nor gold: 'judgebench "
            "annotate RUN' asks people, 'judgebench import' brings labels along"
        )
    judges = ", ".join(sorted({rater.judge for rater in chosen})) or "no judge"
    people = ", ".join(sorted({rater.judge for rater in raters if is_person(rater.judge)})) or "nobody"
    sides = [
        f"{rater.judge}: {', '.join(sorted({u[3] for u in rater.pairs.read} | {u[3] for u in rater.graded.grades}))}"
        for rater in raters
    ]
    return (
        f"nothing was judged both by {judges} and by {against} (people in the run: {people}); "
        f"they meet on suite, item, turn, dimension and pair; dimensions are {'; '.join(sides[:4]) or 'none'}"
    )
