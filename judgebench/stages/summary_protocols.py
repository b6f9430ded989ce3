"""The protocols' own statistics for the summary: what their authors publish, where a run holds such verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from judgebench.judges import evidence, factscore
from judgebench.ratings import battles, checklists, skills
from judgebench.ratings.confusion import label_shares
from judgebench.ratings.intervals import clustered_interval
from judgebench.runs import Run
from judgebench.stages.games import policy_of
from judgebench.stages.reasons import Row
from judgebench.stages.settings import stored_settings
from judgebench.types import Game, Item, Verdict

PEOPLE_SHARE = 0.2
"""Share of the items that FairEval hands to people (Wang et al. 2023, section 3.3)."""
EVERY_CELL = "skill, difficulty and domain"
"""What ``by`` of a row of skills says where grades are broken down by all three at once."""
ACCEPTABLE = ("A", "B")
"""Self-Instruct's levels of a valid response (Wang et al. 2022, section 4.3)."""

BETWEEN = "between levels"
"""Where a grade is counted that is none of the levels."""


class Judged(NamedTuple):
    """Every verdict of one judge by one rubric on one suite."""

    place: Row
    """Suite, judge and rubric."""
    rubric: Mapping[str, Any]
    """The rubric as the run keeps it."""
    verdicts: list[Verdict]
    """The last of each identity."""


def protocol_rows(
    run: Run, verdicts: Iterable[Verdict], games: Iterable[Game], items: Mapping[str, Mapping[str, Item]]
) -> dict[str, list[Row]]:
    """Kind of statistic → its rows; a kind that no verdict is of has none.

    ``battles``: Arena-Hard's score. ``evidence``: FairEval's calibrated outcome, conflict rate, entropy, and what to
    hand to people. ``checklists``: DRFR, macro, all-pass. ``facts``: FActScore. ``skills``: FLASK's breakdown.
    ``levels``: how often each level was given, Self-Instruct's A or B. ``preferences``: LIMA's win, tie, loss and equal
    or better.

    Args:
        run: whose rubrics and settings are read.
        verdicts: those that stand.
        games: made of them.
        items: suite → id → item.
    """
    groups: dict[tuple[str, str, str], dict[tuple[object, ...], Verdict]] = defaultdict(dict)
    for verdict in verdicts:
        if verdict.rubric:
            groups[verdict.suite, verdict.judge, verdict.rubric][verdict.key] = verdict
    found: dict[str, list[Row]] = {
        "battles": [], "evidence": [], "checklists": [], "facts": [], "skills": [], "levels": [], "preferences": [],
    }  # fmt: skip
    played = list(games)
    for (suite, judge, rubric), held in sorted(groups.items()):
        place = {"suite": suite, "judge": judge, "rubric": rubric}
        group = Judged(place, run.manifest["rubrics"].get(rubric, {}), list(held.values()))
        if group.rubric.get("mode") == "pairwise":
            found["battles" if _weighed(group.rubric) else "evidence"] += (
                _battles(run, group) if _weighed(group.rubric) else _evidence(group)
            )
            found["preferences"] += _preferences(run, group, played)
            continue
        found["checklists"] += _shares(place, checklists.of_verdicts(group.verdicts))
        found["facts"] += _facts(group)
        found["skills"] += _skills(group, items.get(suite, {}))
        found["levels"] += _levels(group)
    return found


def _weighed(rubric: Mapping[str, Any]) -> bool:
    """True where a verdict says by how much, so that one counts as several battles; imported ones are known by name."""
    margins = [label["margin"] for label in rubric.get("verdicts", {}).values()]
    return any(margin not in (-1, 0, 1) for margin in margins) or (not margins and rubric.get("name") == "arena-hard")


def _battles(run: Run, group: Judged) -> list[Row]:
    """A row for each model against the baseline; where there is none, for each pair, the first by name counting."""
    pairs: dict[tuple[str, str, str], list[Verdict]] = defaultdict(list)
    for verdict in group.verdicts:
        names = sorted({name for name, _ in verdict.shown})
        if len(names) == 2:
            pairs[verdict.dimension, names[0], names[1]].append(verdict)
    rows = []
    chosen = stored_settings(run.path / "config.yaml").baseline
    for (dimension, one, other), held in sorted(pairs.items()):
        own = [set(key[1:]) for key in pairs if key[0] == dimension]
        everywhere = sorted(set.intersection(*own))
        baseline = everywhere[0] if len(everywhere) == 1 else chosen if chosen in (one, other) else other
        for (*_, model), score in battles.of_verdicts(held, baseline).items():
            rows.append(
                {
                    **group.place, "dimension": dimension, "model": model, "baseline": baseline,
                    **msgspec.to_builtins(score), "policy": policy_of(run),
                }
            )  # fmt: skip
    return rows


def _evidence(group: Judged) -> list[Row]:
    """A row for each pair whose answers were both given scores."""
    scored = [verdict for verdict in group.verdicts if len({name for name, _ in verdict.shown}) == 2]
    rows = []
    for (_, _, _, dimension, left, right), found in evidence.of_verdicts(scored).items():
        said = [each.verdict for each in found.values()]
        several = [each for each in found.values() if each.samples > 1]  # one sample cannot disagree with itself
        entropies = [each.bpde_normalised for each in several if each.bpde_normalised is not None]
        rows.append(
            {
                **group.place, "dimension": dimension, "left": left, "right": right, "items": len(found),
                "wins": said.count("win"), "ties": said.count("tie"), "losses": said.count("lose"),
                "without": said.count(None), "both_orders": sum(each.conflict is not None for each in found.values()),
                "conflict_rate": evidence.conflict_rate(found.values()),
                "bpde": sum(entropies) / len(entropies) if entropies else None,
                "samples": sum(each.samples for each in found.values()),
                "unread": sum(each.unread for each in found.values()), "people_share": PEOPLE_SHARE,
                "for_people": evidence.for_people(found, PEOPLE_SHARE) if several else [],
            }
        )  # fmt: skip
    return rows


def _preferences(run: Run, group: Judged, games: Sequence[Game]) -> list[Row]:
    """LIMA's shares of win, tie and loss for each pair, of its pairwise question and copies of it."""
    if not str(group.rubric.get("name", "")).startswith("lima"):
        return []
    pairs: dict[tuple[str, str, str], list[Game]] = defaultdict(list)
    for game in games:
        if (game.suite, game.judge, game.rubric) == tuple(group.place.values()):
            pairs[game.dimension, game.left, game.right].append(game)
    rows = []
    for (dimension, left, right), held in sorted(pairs.items()):
        questions = [game.item for game in held]
        shares = {
            "win": [float(game.score > 0.5) for game in held], "tie": [float(game.score == 0.5) for game in held],
            "loss": [float(game.score < 0.5) for game in held],
            "equal_or_better": [float(game.score >= 0.5) for game in held],
        }  # fmt: skip
        row = {**group.place, "dimension": dimension, "left": left, "right": right, "n": len(held)}
        for name, outcomes in shares.items():
            estimate = clustered_interval(outcomes, questions)
            row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        rows.append({**row, "clusters": len(set(questions)), "policy": policy_of(run)})
    return rows


def _shares(place: Row, found: Mapping[tuple[str, str, str, str], msgspec.Struct]) -> list[Row]:
    return [{**place, "model": key[-1], **msgspec.to_builtins(shares)} for key, shares in found.items()]


def _facts(group: Judged) -> list[Row]:
    gamma = float(group.rubric.get("options", {}).get("gamma", factscore.GAMMA))
    rows = _shares(group.place, factscore.of_verdicts(group.verdicts, gamma))
    for row in rows:
        del row["scores"]  # one for each answer: the verdicts hold them
        row["gamma"] = gamma
    return rows


def _skills(group: Judged, items: Mapping[str, Item]) -> list[Row]:
    """Rows by skill, by difficulty, by domain, and by all three, of rubrics whose items say which skills are due."""
    if not group.rubric.get("dimensions_from"):
        return []
    suite = group.place["suite"]
    graded = skills.rows_of(group.verdicts, {(suite, id): item for id, item in items.items()})
    low, high = group.rubric.get("scale", (1, 5))
    rows = []
    for by in (("skill",), ("difficulty",), ("domain",), skills.EVERY):
        cells = skills.breakdown(graded, by, (low, high))
        if all(getattr(cell, by[-1]) == "" for cell in cells):
            continue  # the items do not say
        label = by[0] if len(by) == 1 else EVERY_CELL
        rows += [{**group.place, "by": label, **msgspec.to_builtins(cell)} for cell in cells]
    return rows


def _levels(group: Judged) -> list[Row]:
    """How often each level was given to each model, the best level first; the share of A and B of four levels."""
    levels = sorted((int(level) for level in group.rubric.get("levels", {})), reverse=True)
    if not levels:
        return []
    ordinal = group.rubric.get("mode") == "ordinal"
    names = {float(level): chr(ord("A") + at) if ordinal else str(level) for at, level in enumerate(levels)}
    given: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in group.verdicts:
        if len(verdict.shown) == 1:
            given[verdict.dimension, verdict.shown[0][0]].append(verdict)
    rows = []
    for (dimension, model), held in sorted(given.items()):
        read = [verdict for verdict in held if verdict.scores]
        labels = [names.get(verdict.scores[0], BETWEEN) for verdict in read]
        questions = [verdict.item for verdict in read]
        columns = [*names.values(), *([BETWEEN] if BETWEEN in labels else [])]
        row: Row = {
            **group.place, "dimension": dimension, "model": model, "n": len(read), "clusters": len(set(questions)),
            "unscored": len(held) - len(read), "counts": {name: labels.count(name) for name in columns},
            "grades": {name: level for level, name in names.items()},
            "acceptable": None, "acceptable_low": None, "acceptable_high": None,
        }  # fmt: skip
        if ordinal and len(levels) == 4 and read:
            share = label_shares(labels, ACCEPTABLE, clusters=questions)
            row |= {"acceptable": share.value, "acceptable_low": share.low, "acceptable_high": share.high}
        rows.append(row)
    return rows
