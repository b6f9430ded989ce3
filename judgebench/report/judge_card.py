"""The judge card: what a judge was worth against people or gold labels, as a file and as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judgebench.report.figures import MISSING, count, estimate
from judgebench.report.tables import Cell, Column, Table, name_column
from judgebench.types import Record

TITLES = {
    "accuracy": "accuracy (S1: ties kept)",
    "accuracy_unscored_wrong": "… unscored counted as wrong",
    "agreement_s2": "agreement S2 (both name a winner)",
    "tie_discounted_accuracy": "tie-discounted accuracy (LIMA)",
    "cohen_kappa": "Cohen's kappa",
    "cohen_kappa_linear": "… linear weights",
    "cohen_kappa_quadratic": "… quadratic weights",
    "scott_pi": "Scott's pi",
    "gwet_ac1": "Gwet's AC1",
    "krippendorff_nominal": "Krippendorff's alpha, nominal",
    "krippendorff_ordinal": "… ordinal",
    "krippendorff_interval": "… interval",
    "fleiss_kappa": "Fleiss' kappa",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "single_verdicts_right": "single verdicts right, of all asked",
    "both_orders_right": "both orders right, of all pairs",
    "net_right": "net right over both orders, of all pairs",
    "consistency": "consistency of the orders",
    "conflict_rate": "conflict rate",
    "positional_agreement": "orders read alike, unread ones too",
    "kappa_between_orders": "kappa between the orders",
    "flip_rate": "flip rate (opposite winners)",
    "position_bias": "position bias (first - 1/2)",
    "mode_share": "repeat stability: mode share",
    "repeat_agreement": "repeat stability: equal pairs",
    "prefers_longer": "P(prefers the longer)",
    "people_prefer_longer": "… people on the same items",
    "excess_length": "… excess over people",
    "self_preference": "own answers' points, excess over people",
    "self_preference_log_odds": "… in log-odds",
    "self_preference_did": "… less that of others (log-odds)",
    "equal_opportunity": "self-preference (equal opportunity)",
    "leaderboard_spearman": "leaderboard Spearman",
    "leaderboard_kendall": "leaderboard Kendall tau-b",
    "leaderboard_pearson": "leaderboard Pearson",
    "spearman": "Spearman over all answers",
    "kendall": "Kendall tau-b over all answers",
    "pearson": "Pearson over all answers",
    "document_spearman": "Spearman within questions",
    "document_kendall": "Kendall tau-b within questions",
    "document_pearson": "Pearson within questions",
    "human_agreement": "agreement with people's median (AlpacaEval)",
    "each_person_s1": "accuracy against each person (S1)",
    "each_person_s2": "… where both name a winner (S2)",
    "leave_one_out": "each against the others' majority",
    "krippendorff_all": "Krippendorff's alpha over all people",
    "prefers_lists": "P(prefers the one with a list)",
    "people_prefer_lists": "… people on the same items",
}
"""Name of a measure → how it is said."""
JUDGE = "judge [95 %]"
"""Heading of the judge's own numbers, in a terminal."""
HEADLINE = ("accuracy", "agreement_s2", "cohen_kappa", "consistency", "leaderboard_spearman", "spearman")
"""Measures that stand for a trial in one line."""


class Measure(Record, frozen=True, kw_only=True):
    """One number of a trial."""

    name: str
    """A key of `TITLES`, or a name of its own."""
    value: float | None
    """The number; None where it is undefined, with the reason in ``note``."""
    low: float | None = None
    """Lower end of its question-clustered 95 % interval."""
    high: float | None = None
    """Upper end."""
    n: int = 0
    """Rows behind it."""
    clusters: int = 0
    """Questions behind it."""
    note: str = ""
    """What a reader must know."""


class Trial(Record, frozen=True, kw_only=True):
    """One judge by one rubric against one truth, on one suite and dimension."""

    suite: str
    """Name of the suite."""
    dimension: str
    """What was judged."""
    kind: str
    """``pairs`` or ``grades``."""
    against: str
    """Who was right by definition."""
    units: int
    """Things that both judged and scored."""
    questions: int
    """Questions they are on."""
    left_out: dict[str, int]
    """Reason → things that the judge or the people judged and that do not enter."""
    labels: tuple[str, ...] = ()
    """Labels of the confusion matrix."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows: truth; columns: the judge."""
    items: tuple[tuple[tuple[str, ...], ...], ...] = ()
    """Ids of the items behind each count of ``confusion``, each once; empty in cards that did not keep them."""
    measures: tuple[Measure, ...]
    """The judge's."""
    people: tuple[Measure, ...] = ()
    """What people reach with one another on the same suite: the ceiling."""
    baselines: Mapping[str, tuple[Measure, ...]] = {}
    """Baseline → its measures on the same things."""


class JudgeCard(Record, frozen=True, kw_only=True):
    """Everything that was measured of one judge by one rubric."""

    judge: str
    """Name of the judge."""
    rubric: str
    """``name@hash``; empty for people."""
    key: str
    """Hash of the rubric (its prompt included) and the judge model: a card holds for this and nothing else."""
    model: Mapping[str, Any] = {}
    """Backend, id and options of the judge model, as far as the run knows them."""
    policy: str
    """Swap policy by which two orders became one label."""
    trials: tuple[Trial, ...]
    """By suite, dimension and truth."""
    notes: tuple[str, ...] = ()
    """What a reader must know of the judge: that it was trained on what it judges here."""


def title(name: str) -> str:
    """A measure's name as it is said."""
    return TITLES.get(name, name)


def trial_title(trial: Trial) -> str:
    """Suite, dimension, kind and truth in one line."""
    return f"{trial.suite} · {trial.dimension} · {trial.kind} against {trial.against}"


def trial_table(trial: Trial) -> Table:
    """Every measure of the judge, beside the people's and the baselines' own."""
    others: dict[str, dict[str, Measure]] = {}
    if trial.people:
        others["people"] = {measure.name: measure for measure in trial.people}
    for name, measures in trial.baselines.items():
        others[name.removeprefix("baseline/")] = {measure.name: measure for measure in measures}
    columns = [
        name_column("Measure"),
        Column(title="Judge [95 % interval]", brief=JUDGE),
        Column(title="n", brief="n"),
    ]
    columns += [Column(title=name, brief=name) for name in others]
    names = [measure.name for measure in trial.measures]
    names += [measure.name for measure in trial.people if measure.name not in names]
    own = {measure.name: measure for measure in trial.measures}
    rows = []
    for name in names:
        measure = own.get(name)
        cells = [Cell(text=title(name))]
        if measure is None:
            cells += [Cell(text=MISSING), Cell(text=MISSING)]
        else:
            cells += [
                Cell(text=estimate(measure.value, measure.low, measure.high), sort=measure.value),
                Cell(text=count(measure.n), sort=measure.n),
            ]
        for of_other in others.values():
            other = of_other.get(name)
            cells.append(Cell(text=MISSING if other is None else _value(other), sort=other.value if other else None))
        rows.append(tuple(cells))
    said = [f"{title(measure.name)}: {measure.note}" for measure in trial.measures if measure.value is None]
    if trial.left_out:
        said.insert(0, "left out: " + ", ".join(f"{number:,} {why}" for why, number in trial.left_out.items()))
    said.insert(0, f"{trial.units:,} {trial.kind} on {trial.questions:,} questions; intervals draw whole questions")
    return Table(title=trial_title(trial), columns=tuple(columns), rows=tuple(rows), remarks=tuple(said))


def _value(measure: Measure) -> str:
    return estimate(measure.value, measure.low, measure.high).partition(" ")[0]


def card_title(card: JudgeCard) -> str:
    """Judge, rubric and key in one line."""
    return f"{card.judge}" + (f" by {card.rubric}" if card.rubric else "") + f" (card {card.key})"


def headline(card: JudgeCard) -> str:
    """The card in one line: where it was tried and its first numbers.

    Of several trials the one on most questions speaks.
    """
    if not card.trials:
        return "judge card without a trial"
    trial = max(card.trials, key=lambda each: each.questions)
    own = {measure.name: measure for measure in trial.measures}
    parts = [
        f"{title(name)} {estimate(own[name].value, own[name].low, own[name].high)}"
        for name in HEADLINE
        if name in own and own[name].value is not None
    ]
    more = f"; {len(card.trials) - 1} more trials" if len(card.trials) > 1 else ""
    noted = "".join(f"; {note}" for note in card.notes)
    return f"{trial_title(trial)}: {', '.join(parts[:3]) or 'nothing could be measured'}{more}{noted}"
