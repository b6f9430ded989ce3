"""Input that says nothing: every documented function refuses it, or gives None with its reason, never a number."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from judgebench.errors import UserError
from judgebench.types import Record

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "methods.md").read_text()
NAN = math.nan

NEVER_LOSES = [("A", "B", 1), ("A", "C", 1), ("B", "C", 0.5), ("B", "C", 1), ("C", "B", 1), ("A", "B", 1)]
APART = [("A", "B", 1), ("B", "A", 1), ("C", "D", 1), ("D", "C", 1)]
TIES = [("A", "B", 0.5), ("B", "C", 0.5), ("A", "C", 0.5)] * 3
EVEN = [("A", "B", 1), ("A", "B", 0)] * 9
SAME = ["q"] * 18


def columns(games: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    return tuple([game[column] for game in games] for column in range(3))


def people(games: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*game, game[2]) for game in games]


def found(name: str) -> Callable[..., Any]:
    module, function = name.rsplit(".", 1)
    return getattr(importlib.import_module(f"judgebench.{module}"), function)


REFUSED: dict[str, list[tuple[tuple[Any, ...], dict[str, Any], str]]] = {}
"""Function → arguments, keywords, what the refusal says."""


def refuses(name: str, says: str, /, *arguments: Any, **keywords: Any) -> None:
    REFUSED.setdefault(name, []).append((arguments, keywords, says))


for name in ("bradley_terry.fit", "bootstrap.bootstrap"):
    refuses(f"ratings.{name}", "separated", *columns(NEVER_LOSES))
    refuses(f"ratings.{name}", "not comparable", *columns(APART))
    refuses(f"ratings.{name}", "no games", [], [], [])
    refuses(f"ratings.{name}", "leave unscored", ["A"], ["B"], [None])
for name in ("ties.fit", "ties.compare"):
    refuses(f"ratings.{name}", "separated", *columns(NEVER_LOSES))
    refuses(f"ratings.{name}", "not comparable", *columns(APART))
    refuses(f"ratings.{name}", "every game is a tie", *columns(TIES))
    refuses(f"ratings.{name}", "no game is a tie", *columns(EVEN))
    for kind in ("davidson", "rao-kupper") if name == "ties.fit" else ():
        refuses("ratings.ties.fit", "separated", *columns([("A", "B", 1)] * 5 + [("A", "B", 0.5)] * 2), kind=kind)
refuses("ratings.ties.compare", "separated", *columns([("A", "B", 1)] * 5 + [("A", "B", 0.5)] * 2))
refuses("ratings.covariates.fit", "separated", NEVER_LOSES)
refuses("ratings.covariates.fit", "not comparable", APART)
refuses("ratings.covariates.fit", "cannot be told apart", EVEN, {"length": [0.0] * 18})
refuses("ratings.elo.shuffled_elo", "not comparable", APART)
refuses("ratings.elo.shuffled_elo", "no battles", [])
refuses("ratings.elo.sequential_elo", "score in", [("A", "B", NAN)])
refuses("ratings.dimensions.multi_elo", "not comparable", {"accuracy": APART})
refuses("ratings.dimensions.multi_elo", "no battles", {"accuracy": []})
refuses("ratings.hierarchy.fit", "separated", {"accuracy": NEVER_LOSES})
refuses("ratings.hierarchy.fit", "not comparable", {"accuracy": APART})
refuses("ratings.style_control.fit", "not comparable", APART, {"length": [1, 2, 3, 4]}, {"length": [4, 3, 2, 2]})
refuses("ratings.style_control.fit", "no feature of style", EVEN, {"length": [5] * 18}, {"length": [5] * 18})
refuses("ratings.style_control.differences", "never varies", {"length": [1, 1]}, {"length": [1, 1]})
refuses("ratings.style_control.differences", "no games", {"length": []}, {"length": []})
refuses("ratings.length_control.fit", "", [0.5] * 20, [10] * 20, [10] * 20)
refuses("ratings.length_control.fit", "", [1.0], [10], [20])
refuses("ratings.intervals.clustered_error", "no scores", [])
refuses("ratings.intervals.wilson", "successes", 0, 0)
refuses("ratings.intervals.clopper_pearson", "successes", 3, 2)
refuses("ratings.grades.mean_grade", "leave unscored", [None, 1])
refuses("ratings.passk.pass_at_k", "needs 1 <= k <= samples", 5, 1, 10)
refuses("ratings.passk.mean_pass_at_k", "no questions", [], 1)
refuses("ratings.paired.paired_difference", "share no scored question", [], [])
refuses("ratings.equivalence.equivalence", "undefined here: one question", [1], [1], 0.1)
refuses("ratings.equivalence.equivalence", "never differ", [1] * 9, [1] * 9, 0.1)
refuses("ratings.equivalence.tost", "finite difference", NAN, 0.1, 0.1)
refuses("ratings.equivalence.tost", "standard error above 0", 0.1, 0.0, 0.1)
refuses("ratings.multiplicity.holm", "leave undefined ones out", [NAN])
refuses("ratings.multiplicity.benjamini_hochberg", "leave undefined ones out", [1.5])
refuses("ratings.multiplicity.bonferroni", "leave undefined ones out", [NAN])
refuses("ratings.power.items_needed", "nothing varies", 0.1, 0.0)
refuses("ratings.power.items_needed", "difference of 0", 0.0, 0.1)
refuses("ratings.power.smallest_difference", "nothing varies", 10, 0.0)
refuses("ratings.power.variance_of_difference", "one sample", 0.1, 0.1, 0.1, 0, 1)
refuses("ratings.power.win_rate_power", "between 0 and 1", 10, 1.0)
refuses("ratings.power.items_for_win_rate", "no number of games", 0.5)
refuses("ratings.power.difference_power", "at least one question", 0, 0.1, 0.1)
refuses("ratings.power.plan", "does not vary", 10, 0.0)
refuses("ratings.ranks.rank_intervals", "no rank follows", {"A": NAN}, {"A": 1.0})
refuses("ratings.ppi.ppi_mean", "no labels", [], [], [1])
refuses("ratings.ppi.ppi_mean", "at random", [1, 0] * 9, [1, 0] * 9, [1, 0], random_sample=False)
refuses("ratings.ppi.tuned_lambda", "every label needs", [1, 0], [1, 0, 1], [1])
for name in ("ppi_ratings.ppi_bradley_terry", "joint_bias.joint_bias"):
    refuses(f"ratings.{name}", "at random", people(EVEN), EVEN, random_sample=False)
    refuses(f"ratings.{name}", "no labelled games", [], EVEN)
    refuses(f"ratings.{name}", "not comparable", people(APART), APART)
    refuses(f"ratings.{name}", "no finite fit", people(NEVER_LOSES), NEVER_LOSES)
    refuses(f"ratings.{name}", "no variation", people(TIES), TIES, **({"position": False} if "joint" in name else {}))
    refuses(f"ratings.{name}", "", people(EVEN), EVEN, human_clusters=SAME, judge_clusters=SAME)
refuses("ratings.prevalence.rogan_gladen", "no better than chance", 0.5, 100, 0.5, 10, 0.5, 10)
refuses("ratings.prevalence.rogan_gladen", "at least one verdict", 0.5, 0, 0.9, 10, 0.9, 10)
refuses("ratings.active.augmented_mean", "must be above 0", [1, 0], [1, None], [0.5, 0])
refuses("ratings.active.augmented_mean", "no labels", [1, 0], [None, None], [0.5, 0.5])
refuses("ratings.active.inverse_propensity_mean", "must be above 0", [1, None], [0.5, 0])
refuses("ratings.active.active_estimate", "must be above 0", [1, 0], [1, None], [0.5, 0])
refuses("ratings.active.active_estimate", "lost", [1, 0], [1, None], [0.5, 1])
refuses("ratings.active_ratings.active_bradley_terry", "must be above 0", [("A", "B", 1)], [1], [0])
refuses("ratings.active_ratings.active_bradley_terry", "no labels", [("A", "B", 1)], [None], [0.5])
refuses("ratings.active_ratings.active_bradley_terry", "no finite fit", [("A", "B", 1)] * 9, [1] * 9, [1] * 9)
refuses("ratings.active_ratings.active_bradley_terry", "one labelled question", [("A", "B", 1), ("A", "B", 0)],
        [1, 0], [1, 1], clusters=["q", "q"])  # fmt: skip
refuses("ratings.active.label_chances", "uniform share", [1, 0, 0], 1, 0.0)
refuses("ratings.active.draw_labels", "must be above 0", [0.0, 1.0])
refuses("ratings.selective.agreement_threshold", "at random", [0.5] * 30, [1] * 30, random_sample=False)
refuses("ratings.selective.agreement_bound", "", 0, 0)
for name in ("majority", "dawid_skene"):
    refuses(f"ratings.juries.{name}", "all are unscored", [[None, None]] * 3)
refuses("ratings.juries.weighted_vote", "all are unscored", [[None, None]] * 3, [1, 1])
refuses("ratings.juries.jury_card", "", [[None, None]] * 3, ["A"] * 3)
refuses("ratings.juries.anchored_weights", "has no label", [["A", None]], [None])
refuses("ratings.juries.jury_card", "has no label", [["A", "A"]] * 2, ["A", NAN])
refuses("ratings.ranks.rank_intervals", "no rank follows", {"A": None}, {"A": None})
refuses("ratings.juries.stacked", "two anchors", [[1, 1]], [1], [[1, 1]])
refuses("ratings.juries.effective_judges", "one judge or more", 0, 0.3)
refuses("ratings.sequential.betting", "alpha must lie", [1], 0.5, 0.0)
refuses("ratings.sequential.betting_mixture", "bets must lie", [1], [3])
refuses("ratings.sequential.beta_mixture", "ties need|wins and losses", [0.5])
for name in ("betting_interval", "empirical_bernstein", "asymptotic"):
    refuses(f"ratings.sequential.{name}", "scores must lie", [2])
    refuses(f"ratings.sequential.{name}", "leave unscored", [NAN])
refuses("ratings.sequential.hedged", "scores must lie", [[2.0]])
refuses("ratings.stopping.pair_states", "against itself", [], [("A", "A")], ["q"])
refuses("ratings.stopping.pair_states", "leave unscored", [("q", "A", "B", NAN)], [("A", "B")], ["q"])
refuses("ratings.stopping.next_batch", "not among those drawn", [("x", "A", "B", 1)], [("A", "B")], ["q"])
refuses("ratings.stopping.draw_order", "twice", ["a", "a"])
refuses("ratings.stopping.pair_states", "leave unscored", [("q", "A", "B", None)], [("A", "B")], ["q"])
refuses("ratings.self_preference.self_preference", "", 1.2, 0.5)
refuses("ratings.self_preference.excess_log_odds", "leave unscored", [(1, None)])
refuses("ratings.bias.length_effect", "one is not known", [(10, None)], [1])
refuses("ratings.bias.verbosity", "one is not known", [(NAN, 10)], [1])
refuses("ratings.bias.difference_of_shares", "not a finite number", [math.inf], [1])
refuses("ratings.correlations.pearson", "finite numbers", [math.inf, 1, 2], [1, 2, 3])
refuses("ratings.correlations.leaderboard_correlation", "model of each row", [None, "B"], [1, 2], [2, 1])
refuses("ratings.selective.agreement_threshold", "leave unscored", [0.5] * 3, [1, 0, None])
refuses("ratings.selective.agreement_threshold", "yes or no", [0.5] * 3, [1, 0, 0.5])
refuses("ratings.raters.fleiss_kappa_of_counts", "equally many raters", [[math.inf, 0], [math.inf, 0]])
refuses("ratings.raters.fleiss_kappa_of_counts", "equally many raters", [[4, -1], [3, 0]])
refuses("ratings.style_control.fit", "leave unscored", EVEN, {"length": [None, *[5] * 17]}, {"length": [4] * 18})
refuses("ratings.power.difference_power", "at least one question", math.inf, 0.1, 0.1)
for name in ("bradley_terry.fit", "bootstrap.bootstrap", "ties.fit"):
    refuses(f"ratings.{name}", "without a name", ["A", None, "B"], ["B", "A", "A"], [1, 0.5, 0])
for name in ("sequential_elo", "shuffled_elo"):
    refuses(f"ratings.elo.{name}", r"score in \[0, 1\]", [("A", "B", None)])
refuses("ratings.bias.equal_opportunity", "leave unscored", [None], [None])
refuses("ratings.gate.withstood", "leave unscored", [None])
refuses("ratings.raters.fleiss_kappa_of_counts", "", [[3, 0], [2, 0]])
refuses("judges.probability.sequence_score", "at least one token", [])
refuses("judges.debias.settle", "", NAN, 1.0)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_says_nothing_is_refused_with_its_reason(name: str) -> None:
    for arguments, keywords, says in REFUSED[name]:
        with pytest.raises(UserError) as refusal:
            found(name)(*arguments, **keywords)
        assert re.search(says, str(refusal.value)), f"{arguments}: {refusal.value}"


UNDEFINED: dict[str, list[tuple[tuple[Any, ...], dict[str, Any], str]]] = {}
"""Function → arguments, keywords, fields that must be undefined (empty: the answer itself), a note being there."""


def undefined(name: str, fields: str, /, *arguments: Any, **keywords: Any) -> None:
    UNDEFINED.setdefault(name, []).append((arguments, keywords, fields))


ONES, HALVES, SIX = [1.0] * 9, [0.5] * 9, list("abcdef")
undefined("ratings.bradley_terry.fit", "se low high", *columns(TIES))
undefined("ratings.bradley_terry.fit", "se low high", *columns(EVEN), SAME)
undefined("ratings.bootstrap.bootstrap", "se low high rank_low best", *columns(TIES), draws=20)
undefined("ratings.bootstrap.bootstrap", "se low high rank_low best", *columns(EVEN), SAME, draws=20)
undefined("ratings.covariates.fit", "theta_se elo_low se low p_values", TIES, {"length": [1.0] * 9})
undefined("ratings.hierarchy.fit", "low high", {"accuracy": TIES, "style": TIES})
undefined("ratings.intervals.clustered_interval", "low high se", [1.0])
undefined("ratings.intervals.clustered_interval", "value low", [])
undefined("ratings.intervals.clustered_interval", "low high se", [1, 0, 1], ["q"] * 3)
undefined("ratings.intervals.clustered_t_interval", "low high", HALVES)
undefined("ratings.intervals.cluster_bootstrap", "low high", ONES)
undefined("ratings.intervals.clustered_error", "clt miller cr0 cr1 design_effect|", [1.0])
undefined("ratings.grades.mean_grade", "low high", [1.0])
undefined("ratings.paired.paired_difference", "se low high p_value items_needed", [1], [0])
undefined("ratings.paired.paired_difference", "low high p_value effect", ONES, [0.0] * 9)
undefined("ratings.paired.t_test", "", 0.1, 0.1, 1)
undefined("ratings.winrate.win_rates", "sem_half ci95_normal ci95_t|", [1.0])
undefined("ratings.winrate.win_rates", "ci95_normal ci95_t decisive_win_rate decisive_wilson95 win_ratio|", HALVES)
undefined("ratings.winrate.win_rates", "win_rate_half strict_win_rate win_odds sem_half|", [])
undefined("ratings.battles.weighted_battles", "score clustered_se low", [None, NAN], [1, 1], [1, 2])
undefined("ratings.battles.arena_hard_score", "score clustered_se low", [None, NAN])
undefined("ratings.battles.arena_hard_score", "low high", ["A=B"] * 5)
undefined("ratings.battles.arena_hard_score", "low high", ["A>B"])
undefined("ratings.checklists.drfr", "micro macro all_pass|", [[None]])
undefined("ratings.skills.breakdown", "mean low high|", [{"skill": "logic", "score": "N/A"}])
undefined("judges.factscore.factscore", "score supported|", [[None], None])
undefined("judges.evidence.evidence", "cs verdict bpde conflict|", [None], [None])
undefined("judges.evidence.evidence", "cs verdict bpde conflict|", [NAN], [NAN])
undefined("judges.evidence.conflict_rate", "", [])
undefined("judges.debias.position_of", "first_rate position_bias consistency flip_rate|", [(None, 1.0), (NAN, 1.0)])
undefined("judges.probability.label_preference", "p_first preference", {"x": -1.0})
undefined("judges.probability.scale_score", "score variance", {"good": -1.0})
undefined("judges.probability.sampled_score", "score|", ["no number", None])
undefined("ratings.bias.position_shares", "first_rate.value consistency.value|", [(None, 1.0)])
undefined("ratings.bias.position_shares", "first_rate.low flip_rate.low|", [(1.0, 0.0)])
undefined("ratings.bias.repetition_stability", "mode_share.value pairwise_agreement.value|", [["A"], [None, None]])
undefined("ratings.bias.verbosity", "prefers_longer.value coefficient.value|", [(10, 10)] * 9, ONES)
undefined("ratings.bias.verbosity", "coefficient.value|", [(10, 90)] * 9, [1, 0, 1] * 3)
undefined("ratings.bias.length_effect", "value low", [(10, 90)] * 9, [1, 0, 1] * 3)
undefined("ratings.bias.difference_of_shares", "value low", [None], [None])
undefined("ratings.bias.difference_of_shares", "low high", ONES, ONES)
undefined("ratings.bias.equal_opportunity", "value low", ONES, ONES)
undefined("ratings.self_preference.self_preference", "log_odds log_odds_se|", 1.0, 0.5, n=10)
undefined("ratings.self_preference.excess_log_odds", "value low", [(1, 0)] * 5)
undefined("ratings.self_preference.excess_log_odds", "low high", [(0.5, 0.5)] * 5)
undefined("ratings.person_fit.person_fit", "correlation robust_z", {"A": dict.fromkeys(range(20), 0.5)})
undefined("ratings.person_fit.duplicate_rate", "", ["a"])
undefined("ratings.person_fit.duplicate_rate", "", ["a", None])
undefined("ratings.person_fit.permutation_test", "", ["a"], ["a"])
undefined("ratings.gate.withstood", "share low high win_rate|", [])
for name in ("cohen_kappa", "scott_pi", "gwet_ac1"):
    undefined(f"ratings.agreement.{name}", "value low high", ["A"] * 6, ["A"] * 6, clusters=SIX)
    undefined(f"ratings.agreement.{name}", "value", ["A"], ["A"])
for name in ("accuracy", "tie_discounted_accuracy", "agreement_s1", "agreement_s2"):
    undefined(f"ratings.agreement.{name}", "low high", ["A"] * 6, ["A"] * 6, clusters=SIX)
    undefined(f"ratings.agreement.{name}", "low high", ["A", "B"], ["A", "A"], clusters=["q", "q"])
    undefined(f"ratings.agreement.{name}", "value low", [None] * 6, ["A"] * 6)
undefined("ratings.agreement.agreement_s2", "value low", ["T"] * 6, ["T"] * 6)
for name in ("macro_f1", "macro_precision", "macro_recall"):
    undefined(f"ratings.confusion.{name}", "value", [None], ["A"])
undefined("ratings.confusion.macro_scores", "accuracy precision recall f1 weighted_f1|", [None], ["A"])
undefined("ratings.confusion.label_shares", "value", [None], ["A"])
undefined("ratings.raters.fleiss_kappa", "value", [[1, 1, 1]] * 5)
undefined("ratings.raters.fleiss_kappa", "value", [[1, None]] * 5)
undefined("ratings.raters.krippendorff_alpha", "value", [[1, 1, 1]] * 5, "ordinal")
undefined("ratings.raters.pairwise_agreement", "value", [[1, None]] * 5)
undefined("ratings.raters.leave_one_out_agreement", "value", [[1, None]] * 5)
undefined("ratings.raters.majority_vote", "", ["A", "B"])
for name in ("spearman", "kendall_tau_b", "kendall_tau_c", "pearson", "correlation"):
    undefined(f"ratings.correlations.{name}", "value", [1, 1, 1], [1, 2, 3])
    undefined(f"ratings.correlations.{name}", "value", [1], [2])
undefined("ratings.correlations.leaderboard_correlation", "value", ["A", "B"], [1, 2], [2, 1])
undefined("ratings.correlations.document_correlation", "mean.value|", [1, 1], [1, 1], [1, 2])
undefined("ratings.annotators.human_agreement", "value", [None], [[1, 2]])
undefined("ratings.annotators.leave_one_out", "value", [[1]])
undefined("ratings.annotators.annotator_variance", "value", [[1]])
undefined("ratings.annotators.annotator_bias", "low", [[1]], [[1]])
undefined("ratings.annotators.prefers_lists", "value", [("a", "b"), ("- a", None)], [1, 1])
undefined("ratings.ppi.ppi_mean", "low high", [1], [1], [1, 0])
undefined("ratings.ppi.ppi_mean", "low high human_low judge_low effective_n_ratio", ONES, ONES, ONES)
undefined("ratings.ppi.tuned_lambda", "", [1, 0] * 5, [*HALVES, 0.5], HALVES)
undefined("ratings.prevalence.rogan_gladen", "low high", 0.0, 100, 1.0, 10, 1.0, 10)
undefined("ratings.active.augmented_mean", "low high", [1] * 3, [1] * 3, [1] * 3)
undefined("ratings.active.augmented_mean", "low high se", [1, 0], [1, 0], [0.5, 0.5], clusters=["q", "q"])
undefined("ratings.active.inverse_propensity_mean", "low se", [1], [0.5])
undefined("ratings.active.active_estimate", "low high se judge_low", [1], [1], [0.5])
undefined("ratings.active.active_estimate", "low high judge_low human_low", [1] * 3, [1] * 3, [1] * 3)
undefined("ratings.selective.agreement_threshold", "threshold agreement", [0.5], [1])
undefined("ratings.juries.majority", "labels|", [["A", "B"]] * 3)
undefined("ratings.juries.weighted_vote", "labels|", [["A", "B"]], [0, 0])
undefined("ratings.panels.shared_errors", "correlation effective_judges|", [[1, 0], [1, NAN]] * 3, [NAN, 1] * 3)
undefined("ratings.juries.jury_card", "error_correlation effective_judges", [["A", "A"]] * 4, ["A"] * 4)
undefined("ratings.juries.stacked", "", [[1, 0], [0, 1]], [1, 0], [[None, None]])
undefined("ratings.juries.stacked", "", [[1, 0], [0, 1]], [1, 0], [])
undefined("ratings.sequential.betting", "first above|", HALVES)
undefined("ratings.stopping.pair_states", "mean at|", [], [("A", "B")], ["q"])
undefined("ratings.resampling.with_interval", "value", lambda scores: sum(scores) / len(scores), [[]])
undefined("ratings.resampling.with_interval", "low se", lambda scores: sum(scores) / len(scores), [[1, 0]], ["q", "q"])


def nothing(value: object) -> bool:
    """Whether it is None, NaN, or holds nothing else."""
    if isinstance(value, Mapping):
        return all(map(nothing, value.values()))
    if isinstance(value, Iterable) and not isinstance(value, str | Record):
        return all(map(nothing, value))
    return value is None or (isinstance(value, float) and math.isnan(value))


@pytest.mark.parametrize("name", sorted(UNDEFINED))
def test_what_is_undefined_is_none_with_its_reason_and_never_a_number(name: str) -> None:
    for arguments, keywords, fields in UNDEFINED[name]:
        answer = found(name)(*arguments, **keywords)
        if not fields:
            assert nothing(answer), f"{arguments}: {answer}"
            continue
        for record in answer if isinstance(answer, list) else [answer]:
            for field in fields.rstrip("|").split():
                value: Any = record
                for part in field.split("."):
                    value = getattr(value, part)
                assert nothing(value), f"{arguments}: {field} is {value}"
            if not fields.endswith("|"):  # records that have a note
                assert record.note, f"{arguments}: no reason"


NEEDS_NOTHING = {
    # Takes records of a run, whose tests are those of the stages.
    "judges.debias.games judges.debias.position judges.debias.position_by judges.evidence.of_verdicts "
    "judges.factscore.of_verdicts ratings.battles.of_verdicts ratings.checklists.of_verdicts ratings.skills.rows_of "
    "ratings.grades.rate ratings.grades.item_means ratings.grades.grade_games ratings.passk.rate "
    "ratings.winrate.rate ratings.winrate.pair_table ratings.winrate.win_matrix ratings.score_sums.score_sums "
    "ratings.elo.rate ratings.bradley_terry.rate ratings.joint_dimensions.families "
    "ratings.joint_dimensions.ratings_of ratings.dimensions.with_overall ratings.dimensions.rate ratings.sway.sway "
    "judges.parse.read ratings.ranks.fit_ranks ratings.panels.panel_verdicts ratings.panels.agreement_weights "
    "ratings.panels.shared_errors",
    # No data goes in: a formula of given numbers, text, or names.
    "judges.evidence.for_people judges.factscore.length_penalty judges.compat.read_as judges.compat.flask "
    "judges.fences.fence judges.fences.without_quotations ratings.intervals.normal_interval "
    "ratings.intervals.t_interval ratings.paired.sign_test ratings.elo.expected_score ratings.pools.groups_that_meet "
    "ratings.pools.classes_that_trade ratings.style.style_counts ratings.style.style_differences "
    "ratings.confusion.confusion_matrix ratings.confusion.collapse_ab_cd ratings.confusion.collapse "
    "ratings.grades.graded_pairs ratings.raters.majority_votes ratings.selective.escalated "
    "ratings.juries.anchored_weights ratings.alpaca_length.fit ratings.alpaca_length.against",
}


def documented() -> set[str]:
    """Every function of the ratings in a table of the methods page, without ``judgebench.``."""
    names = set()
    for line in PAGE.splitlines():
        cells = line.split("|")
        module = ""
        for name in re.findall(r"`([A-Za-z_][\w.]*)`", cells[2]) if len(cells) > 5 else []:
            if name.startswith("judgebench."):
                module = name.removeprefix("judgebench.").rsplit(".", 1)[0]
                names.add(name.removeprefix("judgebench."))
            elif module:
                names.add(f"{module}.{name}")
    return {name for name in names if name.startswith("ratings.")}


def test_every_documented_rating_that_takes_data_is_tried_on_input_that_says_nothing() -> None:
    tried = set(REFUSED) | set(UNDEFINED) | {name for names in NEEDS_NOTHING for name in names.split()}
    assert sorted(documented() - tried) == []


def test_nan_is_no_vote_as_none_is_none() -> None:
    for name in ("ratings.juries.majority", "ratings.juries.dawid_skene", "ratings.panels.agreement_weights"):
        votes = [["A", "A", None], ["A", "B", "B"], [None, "A", "A"], ["B", "B", "A"]]
        gaps = [[NAN if vote is None else vote for vote in row] for row in votes]
        assert found(name)(gaps) == found(name)(votes), name
    assert found("ratings.panels.agreement_weights")([]) == ()


def test_grades_that_are_no_numbers_are_dropped_and_counted() -> None:
    pairs = found("ratings.grades.graded_pairs")({1: NAN, 2: 3.0, 3: None}, {1: 1.0, 2: 1.0, 3: 1.0})
    assert msgspec.structs.astuple(pairs) == (1, 0, 0, 2)


def test_plain_lists_and_numpy_arrays_say_the_same() -> None:
    for name, arguments in {
        "ratings.ppi.ppi_mean": ([1, 0, 1, 1], [1, 0, 0, 1], [1, 0, 1]),
        "ratings.intervals.clustered_interval": ([1, 0, 1, 1], [1, 1, 2, 3]),
        "ratings.self_preference.excess_log_odds": ([[1, 0], [0, 1], [1, 1]],),
        "ratings.raters.krippendorff_alpha": ([[1, 2, 1], [2, 2, 2], [1, 1, 1]], "ordinal"),
        "ratings.raters.fleiss_kappa": ([[1, 2, 1], [2, 2, 2], [1, 1, 1]],),
        "ratings.battles.weighted_battles": ([1, 0.5, 0], [3, 1, 1], [1, 2, 3]),
        "ratings.annotators.annotator_bias": ([[1, 2], [2, 2]], [[1, 2, 1], [2, 2, 1]]),
    }.items():
        arrays = [np.array(each) if isinstance(each, list) else each for each in arguments]
        assert str(found(name)(*arguments)) == str(found(name)(*arrays)), name
    games = [["q1", "A", "B", 1], ["q2", "A", "B", 0]]
    states = found("ratings.stopping.pair_states")(games, [["A", "B"]], ["q1", "q2"])
    assert [state.questions for state in states] == [2]
    assert found("ratings.pools.groups_that_meet")([["A", "B"], ["C", "D"]]) == [["A", "B"], ["C", "D"]]
    assert found("ratings.pools.classes_that_trade")([[0, 1], [0, 0]]) == [[0], [1]]
    up, down = found("ratings.sequential.hedged")([[1, 0.5], [0, 0]])
    assert up.shape == down.shape == (2, 2)
