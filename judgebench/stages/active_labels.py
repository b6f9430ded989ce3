"""Items drawn for people where the judge is unsure, each with a known chance, none of them 0.

What is drawn is an item with all its pairs. The chances stand in the manifest beside the people whose labels they are
(`judgebench.stages.label_samples`), so that ``compare`` and ``rate --calibrate`` can allow for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.errors import RunConflict, UserError
from judgebench.ratings.active import draw_labels, label_chances
from judgebench.runs import Run
from judgebench.stages.label_samples import ACTIVE, ItemKey, record_of
from judgebench.types import Game, Record

FILE = "active.jsonl"
"""The items drawn, in the run folder."""

UNSEEN = 1.0
"""Doubt about an item on which the judge's own verdicts made no game."""


class Drawn(Record, frozen=True, kw_only=True):
    """One item that people are to label, with all its pairs."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    chance: float
    """Chance with which it was drawn."""
    doubt: float
    """Mean of 1 - confidence over its games, in [0, 1]."""


def draw(
    run: Run, games: Sequence[Game], doubts: Mapping[ItemKey, float], person: str, labels: int, *,
    uniform: float = 0.2, seed: int = 0,
) -> list[Drawn]:  # fmt: skip
    """The items drawn for a person; the manifest holds their chances and everyone else's afterwards.

    Args:
        run: whose manifest is written.
        games: of all judges: every item that has one can be drawn.
        doubts: how unsure the judge is of an item.
        person: ``human@NAME``.
        labels: items in expectation.
        uniform: share of the chances that is even over all items.
        seed: of the draw.

    Raises:
        UserError: no person's name, more labels than items, or a share outside (0, 1].
        RunConflict: the person's labels were chosen before, in another way.
    """
    if not person.startswith("human@") or person == "human@":
        raise UserError(f"--active needs --people human@NAME: whose labels they will be, found {person!r}")
    items = sorted({(game.suite, game.item) for game in games if not game.judge.startswith("human@")})
    if not items:
        raise UserError("nothing to draw from: no judge has judged pairs in this run")
    wanted = [doubts.get(item, UNSEEN) for item in items]
    chances = dict(zip(items, label_chances(wanted, labels, uniform), strict=True))
    drawn = [item for item, taken in zip(items, draw_labels(list(chances.values()), seed), strict=True) if taken]
    held: dict[str, dict[str, float]] = defaultdict(dict)
    out: dict[str, list[str]] = defaultdict(list)
    for (suite, item), chance in chances.items():
        held[suite][item] = chance
    for suite, item in drawn:
        out[suite].append(item)
    record = {"sample": ACTIVE, "chances": dict(held), "drawn": dict(out), "labels": labels, "uniform": uniform,
              "seed": seed}  # fmt: skip
    _keep(run, person, record)
    return [
        Drawn(suite=item[0], item=item[1], chance=chances[item], doubt=doubts.get(item, UNSEEN))
        for item in sorted(drawn, key=lambda item: (-doubts.get(item, UNSEEN), item))
    ]


def doubts_of(confidences: Sequence[tuple[ItemKey, float]]) -> dict[ItemKey, float]:
    """Item → mean of 1 - confidence over its games."""
    each: dict[ItemKey, list[float]] = defaultdict(list)
    for item, confidence in confidences:
        each[item].append(1 - confidence)
    return {item: sum(held) / len(held) for item, held in each.items()}


def _keep(run: Run, person: str, record: Mapping[str, Any]) -> None:
    """Writes how the person's labels are chosen into the manifest.

    Raises:
        RunConflict: they were chosen before, in another way.
    """
    known = record_of(run, person)
    if {name: known.get(name) for name in record} == record:
        return
    if known.get("sample") or any(verdict.judge == person for verdict in run.verdicts().values()):
        raise RunConflict(
            f"{run.path}: {person} has labels, or a draw, from before, and chances fixed afterwards would be wrong; "
            "name other people"
        )
    entry = run.manifest["judges"].setdefault(
        person, {"backend": "person", "id": person, "options": {}, "baseline": False, "rubrics": {}}
    )
    entry.update(record)
    run.save_manifest()
