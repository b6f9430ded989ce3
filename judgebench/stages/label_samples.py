"""How people's labels came about: a random sample, a draw with known chances, or nothing that is known.

A run says so in its manifest, under ``judges`` → ``human@NAME``: ``sample`` is ``random``, or ``active`` with
``chances`` (suite → item → chance of a label, of every item that could have been drawn, all above 0) and ``drawn``
(suite → the items drawn). What is drawn is an item with all its pairs. Without either no estimate by labels holds, and
by labels picked where judges disagree (``disagree``) none does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.stages.games import standing
from judgebench.stages.label_plans import population_of, read_plan
from judgebench.stages.label_pools import Unit
from judgebench.types import Verdict

RANDOM, ACTIVE, PICKED = "random", "active", "disagree"
"""What ``sample`` may say; by the last no estimate holds, whatever is declared."""
SKIPPED = "skipped: "
"""Begins the error of a person's verdict on what they did not want to label; their reason follows."""

ItemKey = tuple[str, str]
"""(suite, item)."""


class LabelSample(NamedTuple):
    """Which items people's labels are of, and how those came to be chosen."""

    chances: Mapping[ItemKey, float] | None = None
    """Chance of every item to be labelled; None where the labels are a random sample."""
    drawn: frozenset[ItemKey] = frozenset()
    """The items drawn with those chances."""
    skipped: int = 0
    """Things of a random sample that people left out, each with a reason."""
    fallen: int = 0
    """Their labels that do not stand: on answers that were redone since, or on what the run does not hold."""
    populations: Mapping[str, frozenset[Unit]] = {}
    """Who labels a random sample → what it was drawn from, where a plan says so."""

    def gap(self, verdicts: Iterable[Verdict]) -> str:
        """Why the labels are no random sample of what these verdicts of a judge are of; empty where nothing says so."""
        judged = {
            (each.suite, each.item, each.turn, tuple(sorted(each.shown)))
            for each in verdicts
            if len({model for model, _ in each.shown}) == len(each.shown)
        }
        for person, known in sorted(self.populations.items()):
            later = judged - known
            if later:
                suite, item, _, shown = min(later)
                first = f"{suite} {item}, {' and '.join(model for model, _ in shown)}"
                return (
                    f"{len(later)} of {len(judged)} things judged were not there when labels were drawn at random for "
                    f"{person} (the first: {first}): these are no random sample of all that is judged now; draw labels "
                    "anew for other people"
                )
        return ""

    def beside(
        self, human: Sequence[float | None], items: Sequence[ItemKey]
    ) -> tuple[list[float | None], list[float] | None, str]:
        """The labels that count, each one's chance (None: a random sample), and what a reader must know.

        Args:
            human: people's score of each, None where there is none.
            items: the item of each.

        Raises:
            UserError: an item of unknown chance, or drawn items without a label.
        """
        if self.chances is None or all(score is None for score in human):
            return list(human), None, self._left_out()
        unknown = sorted({item for item in items if item not in self.chances})
        if unknown:
            raise UserError(
                f"{len(unknown)} items that were judged were not there when labels were drawn (the first: "
                f"{' '.join(unknown[0])}): their chances are not known; draw labels anew for other people"
            )
        missing = {item for item, score in zip(items, human, strict=True) if item in self.drawn and score is None}
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self.drawn & set(items))} items drawn for people lack a label (the first: "
                f"{' '.join(min(missing))}): an estimate would lean towards those that have one; label them first"
            )
        kept = [score if item in self.drawn else None for item, score in zip(items, human, strict=True)]
        odd = sum(score is not None for score in human) - sum(score is not None for score in kept)
        note = f"{odd} labels of items that were not drawn are left out" if odd else ""
        return kept, [self.chances[item] for item in items], note

    def _left_out(self) -> str:
        notes = []
        if self.skipped:
            notes.append(
                f"{self.skipped} of the sample were skipped: where those were hard, the labels are no random sample"
            )
        if self.fallen:
            notes.append(
                f"{self.fallen} labels are on answers that were redone or deleted since, or on what the run does not "
                "hold, and count nowhere"
            )
        return "; ".join(notes)


def record_of(run: Run, person: str) -> dict[str, Any]:
    """What the manifest holds of ``human@NAME``; empty where nothing."""
    found: dict[str, Any] = run.manifest["judges"].get(person, {})
    return found


def sample_of(runs: Sequence[Run], people: Sequence[str], *, declared: bool) -> LabelSample:
    """How the labels of these people came about, by the runs' manifests or by declaration.

    Raises:
        UserError: nothing says how; people or runs whose labels came about in different ways.
    """
    for run in runs:
        refuse_picked(run, people)
    records = [record_of(run, name) for run in runs for name in people if name in run.manifest["judges"]]
    active = [record for record in records if record.get("sample") == ACTIVE]
    if not active:
        for run in runs:
            refuse_unsampled(run, people, declared=declared)
        skipped = sum(_skipped(run, name) for run in runs for name in people)
        fallen = sum(_fallen(run, people) for run in runs)
        return LabelSample(skipped=skipped, populations=_populations(runs, people), fallen=fallen)
    if declared:
        raise UserError("--random-labels: the run says that labels were drawn with known chances, not at random")
    if len(active) < len(records):
        raise UserError("some of the labels were drawn with known chances and others not: name one human@NAME")
    chances: dict[ItemKey, float] = {}
    drawn: set[ItemKey] = set()
    for record in active:
        mine = {(suite, item): chance for suite, held in record["chances"].items() for item, chance in held.items()}
        own = {(suite, item) for suite, items in record["drawn"].items() for item in items}
        both = mine.keys() & chances.keys()
        if any(mine[item] != chances[item] or (item in own) != (item in drawn) for item in both):
            raise UserError("labels were drawn more than once, with different chances: name one human@NAME and one run")
        chances.update(mine)
        drawn |= own
    return LabelSample(chances, frozenset(drawn))


def _populations(runs: Sequence[Run], people: Sequence[str]) -> dict[str, frozenset[Unit]]:
    """Who → what could have been drawn for them in all runs in which they label; without those no plan is known of."""
    found: dict[str, list[frozenset[Unit]]] = defaultdict(list)
    unknown = set()
    for run in runs:
        for name in people:
            if name in run.manifest["judges"] or run.verdicts_file(name, "").exists():
                plan = read_plan(run, name)
                if plan is None:
                    unknown.add(name)
                else:
                    found[name].append(population_of(run, plan))
    return {name: frozenset().union(*each) for name, each in found.items() if name not in unknown}


def _skipped(run: Run, person: str) -> int:
    said = run.verdicts(run.verdicts_file(person, "")).values()
    return len({(each.suite, each.item, each.turn, each.shown) for each in said if each.error.startswith(SKIPPED)})


def _fallen(run: Run, people: Sequence[str]) -> int:
    said = [each for name in people for each in run.verdicts(run.verdicts_file(name, "")).values() if each.scores]
    fallen = standing(run, said)[1]
    return fallen.stale + fallen.unheld


def refuse_picked(run: Run, people: Sequence[str]) -> None:
    """Nothing, unless the manifest says that someone's labels were picked where judges disagree.

    Raises:
        UserError: it says so.
    """
    picked = [name for name in people if record_of(run, name).get("sample") == PICKED]
    if picked:
        raise UserError(
            f"{picked[0]}: the manifest records --sample {PICKED}: these labels were picked where judges disagree, and "
            "are no random sample of what was judged; no estimate by them holds ('annotate --sample random' asks for "
            "labels by which one does)"
        )


def refuse_unsampled(run: Run, people: Sequence[str], *, declared: bool) -> None:
    """Nothing, when the labels are a random sample by the run's manifest or by declaration.

    Raises:
        UserError: neither says so, or the manifest says otherwise.
    """
    refuse_picked(run, people)
    unknown = [name for name in people if record_of(run, name).get("sample") != RANDOM]
    active = [name for name in unknown if record_of(run, name).get("sample") == ACTIVE]
    if active:
        raise UserError(
            f"{active[0]}: these labels were drawn with unequal chances, and what is promised here needs a random "
            "sample; 'compare --calibrate' and 'rate --calibrate' allow for the chances"
        )
    if unknown and not declared:
        raise UserError(
            f"{unknown[0]}: nothing says that these labels are a random sample of what was judged, and otherwise no "
            "interval by them holds (PPI); where they were drawn at random, say so with --random-labels"
        )
