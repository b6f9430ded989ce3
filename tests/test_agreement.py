"""Agreement, kappas, alphas and correlations against worked examples, laws and degenerate input."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgebench.errors import UserError
from judgebench.ratings import agreement, annotators, confusion, correlations, raters
from judgebench.ratings.agreement import accuracy, cohen_kappa, gwet_ac1, scott_pi, tie_discounted_accuracy
from judgebench.ratings.raters import fleiss_kappa_of_counts, krippendorff_alpha, majority_vote
from judgebench.ratings.resampling import Resample, with_interval

NONE = None
KRIPPENDORFF_2011 = [
    [1, 1, NONE, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4], [1, 1, 2, 1],
    [2, 2, 2, 2], [NONE, 5, 5, 5], [NONE, NONE, 1, 1], [NONE, 3, NONE, NONE],
]  # fmt: skip
"""Four observers, twelve units: the example of Krippendorff 2011, section C."""
FLEISS_1971_FORM = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""Fourteen raters, ten subjects, five categories: kappa is 0.210."""


@pytest.mark.data
def test_o11_two_raters(data_dir: Path) -> None:
    worked = json.loads((data_dir.parent / "oracles" / "O11_agreement_pair.json").read_text())
    human, judge, order = (worked["inputs"][key] for key in ("human", "judge", "order"))
    numbers = [[order.index(label) for label in side] for side in (human, judge)]
    rows = list(zip(human, judge, strict=True))
    found = {
        "accuracy": accuracy(human, judge),
        "cohen_kappa": cohen_kappa(human, judge),
        "cohen_kappa_linear": cohen_kappa(human, judge, "linear", order),
        "cohen_kappa_quadratic": cohen_kappa(human, judge, "quadratic", order),
        "scott_pi": scott_pi(human, judge),
        "gwet_ac1": gwet_ac1(human, judge),
        "tie_discounted_accuracy_LIMA": tie_discounted_accuracy(human, judge),
        "agreement_S1_with_ties": agreement.agreement_s1(human, judge),
        "agreement_S2_non_tie": agreement.agreement_s2(human, judge),
        "spearman": correlations.spearman(*numbers),
        "kendall_tau_b": correlations.kendall_tau_b(*numbers),
        "kendall_tau_c": correlations.kendall_tau_c(*numbers),
        "pearson": correlations.pearson(*numbers),
        "macro_f1": confusion.macro_f1(human, judge),
        "krippendorff_nominal": krippendorff_alpha(rows),
        "krippendorff_ordinal": krippendorff_alpha(rows, "ordinal", order),
    }
    for name, value in worked["expected"].items():
        got = found["agreement_S2_non_tie"].n if name == "n_S2" else found[name].value
        assert got == pytest.approx(value, abs=worked["tolerance"]), name


def test_alpha_is_krippendorffs_own_on_his_example_with_missing_ratings() -> None:
    found = [krippendorff_alpha(KRIPPENDORFF_2011, metric).value for metric in raters.METRICS]
    assert found == pytest.approx([0.743421, 0.815388, 0.849108, 0.797404], abs=1e-5)
    assert "1 of 12 rows" in krippendorff_alpha(KRIPPENDORFF_2011).note


def test_fleiss_on_the_textbook_table_and_on_the_ratings_it_counts() -> None:
    assert fleiss_kappa_of_counts(FLEISS_1971_FORM).value == pytest.approx(0.20993, abs=1e-5)
    ratings = [[label for label, count in enumerate(row) for _ in range(count)] for row in FLEISS_1971_FORM]
    assert raters.fleiss_kappa(ratings).value == pytest.approx(0.20993, abs=1e-5)
    with_gap = [*ratings, [None, *ratings[0][1:]]]
    found = raters.fleiss_kappa(with_gap)
    assert (found.value, found.n) == (pytest.approx(0.20993, abs=1e-5), 10)
    assert "1 of 11 rows" in found.note
    with pytest.raises(UserError, match="equally many raters"):
        fleiss_kappa_of_counts([[1, 1], [2, 1]])


@pytest.mark.parametrize(
    "statistic",
    [cohen_kappa, partial(cohen_kappa, weights="quadratic"), scott_pi, gwet_ac1],
    ids=["cohen", "quadratic", "scott", "ac1"],
)
def test_one_label_by_both_is_undefined_with_a_reason_and_not_perfect(statistic) -> None:
    found = statistic(["A"] * 5, ["A"] * 5, clusters=range(5))
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "0/0" in found.note
    assert krippendorff_alpha([["A", "A"]] * 5).value is None
    assert fleiss_kappa_of_counts([[3, 0]] * 5).value is None
    assert accuracy(["A"] * 5, ["A"] * 5).value == 1.0


def test_nothing_in_common_is_no_number() -> None:
    found = accuracy(["A", None], [None, float("nan")])
    assert found.value is None
    assert "2 of 2 rows" in found.note
    assert krippendorff_alpha([["A", None]]).value is None
    assert correlations.spearman([1, 1, 1], [1, 2, 3]).value is None
    assert confusion.macro_scores([None], ["A"]).f1 is None
    assert raters.fleiss_kappa([]).value is None
    with pytest.raises(UserError, match="one length"):
        accuracy(["A"], ["A", "B"])


def test_a_missing_label_is_left_out_and_counted_never_a_disagreement() -> None:
    found = accuracy(["A", "B", None], ["A", "B", "A"])
    assert (found.value, found.n) == (1.0, 2)
    assert "1 of 3 rows" in found.note


def test_ties_discount_half_only_where_one_side_says_tie() -> None:
    assert tie_discounted_accuracy(["A", "T", "A", "T"], ["A", "A", "B", "T"]).value == (1 + 0.5 + 0 + 1) / 4
    assert tie_discounted_accuracy(["A", "="], ["=", "B"], "=").value == 0.5
    none = agreement.agreement_s2(["T", "A"], ["A", "T"])
    assert (none.value, none.n) == (None, 0)
    assert "name a winner" in none.note


def test_macro_scores_count_a_label_that_is_never_given_as_0() -> None:
    found = confusion.macro_scores(["a", "a", "b", "c"], ["a", "a", "a", "c"])
    assert found.precision == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx((0.8 + 0 + 1) / 3)
    assert found.weighted_f1 == pytest.approx((0.8 * 2 + 0 + 1) / 4)
    assert found.by_label["b"] == (0.0, 0.0, 0.0, 1)
    table = confusion.confusion_matrix(["a", "a", "b", None], ["a", "b", "b", "a"])
    assert (table.labels, table.counts, table.n, table.left_out) == (("a", "b"), ((1, 1), (0, 1)), 3, 1)
    with pytest.raises(UserError, match="label 'x'"):
        confusion.confusion_matrix(["x"], ["a"], ["a", "b"])


def test_self_instruct_levels_collapse_to_acceptable_or_not() -> None:
    assert confusion.collapse_ab_cd(["A", "B", "C", "D", None]) == ["AB", "AB", "CD", "CD", None]
    acceptable = confusion.label_shares(["A", "B", "C", "D", None], ["A", "B"])
    assert (acceptable.value, acceptable.n) == (0.5, 4)
    assert "1 of 5 rows" in acceptable.note
    first, second = list("AABBCCDD"), list("BABCCDDD")
    four, two = cohen_kappa(first, second).value, cohen_kappa(*map(confusion.collapse_ab_cd, (first, second))).value
    assert four is not None
    assert two == pytest.approx(0.75)
    assert four < two


def test_a_split_vote_is_no_vote() -> None:
    assert majority_vote(["A", "B", "B", None]) == "B"
    assert majority_vote(["A", "B"]) is None
    assert majority_vote(["A", "B"], "T") == "T"
    assert majority_vote(["A", "B", "T"]) is None
    assert majority_vote([None]) is None


def test_ceilings_compare_every_two_people_and_each_with_the_others() -> None:
    ratings = [["A", "A", "A"], ["A", "A", "B"], ["B", "B", None]]
    assert raters.pairwise_agreement(ratings).value == pytest.approx((3 + 1 + 1) / 7)
    alone = raters.leave_one_out_agreement(ratings)
    # In the second row the others of each A are split and say nothing; B is against the majority A.
    assert (alone.value, alone.n) == (pytest.approx((3 + 0 + 2) / 6), 6)
    assert "2 of 8 rows" in alone.note


def test_every_statistic_takes_clusters_and_whole_questions_are_drawn() -> None:
    random_ = random.Random(1)
    truth = [random_.choice("ABT") for _ in range(120)]
    judge = [label if random_.random() < 0.7 else random_.choice("ABT") for label in truth]
    alone = accuracy(truth, judge, clusters=range(120))
    assert alone.low is not None
    assert alone.high is not None
    assert alone.low < alone.value < alone.high
    # Every question four times over: as much to know as from one copy.
    copies = accuracy(truth * 4, judge * 4, clusters=list(range(120)) * 4)
    naive = accuracy(truth * 4, judge * 4, clusters=range(480))
    assert copies.se == pytest.approx(alone.se, rel=0.01)
    assert naive.se == pytest.approx(alone.se / 2, rel=0.1)
    one = accuracy(truth, judge, clusters=[1] * 120)
    assert (one.low, one.clusters) == (None, 1)
    assert "one question" in one.note


def test_with_interval_draws_any_statistic_and_agrees_with_the_quick_way() -> None:
    truth, judge = list("ABTABABTAB" * 4), list("ABAABBBTAA" * 4)
    quick = with_interval(cohen_kappa, [truth, judge], draws=4000)
    slow = with_interval(lambda a, b: cohen_kappa(a, b).value, [truth, judge], draws=400)
    assert quick.value == slow.value == cohen_kappa(truth, judge).value
    assert quick.se == pytest.approx(slow.se, rel=0.15)
    assert (quick.low, quick.high) == pytest.approx((slow.low, slow.high), abs=0.06)
    weighted = with_interval(partial(cohen_kappa, weights="linear"), [truth, judge], seed=3, draws=50)
    assert weighted == cohen_kappa(truth, judge, "linear", clusters=range(40), resample=Resample(50, 3))
    assert with_interval(lambda a: None, [truth]).value is None
    with pytest.raises(UserError, match="at least two draws"):
        with_interval(lambda a: 1.0, [truth], draws=1)


def test_draws_without_a_value_are_counted_in_the_note() -> None:
    found = cohen_kappa(["A", "A", "A", "B"], ["A", "A", "B", "B"], clusters=range(4))
    assert "undefined in" in found.note
    assert found.low is not None


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABT"), st.sampled_from("ABT")), min_size=2, max_size=30))
def test_agreement_does_not_care_who_is_called_first_nor_how_labels_are_named(rows: list[tuple[str, str]]) -> None:
    first, second = [a for a, _ in rows], [b for _, b in rows]
    named = {"A": 1, "B": 2, "T": 3}
    for statistic in (accuracy, cohen_kappa, scott_pi, gwet_ac1, tie_discounted_accuracy):
        value = statistic(first, second).value
        assert value == pytest.approx(statistic(second, first).value, nan_ok=True) or value is None
        if statistic is not tie_discounted_accuracy:
            renamed = statistic([named[a] for a in first], [named[b] for b in second]).value
            assert (value is None) == (renamed is None)
            assert value is None or value == pytest.approx(renamed)
    alpha, pi = krippendorff_alpha(rows).value, scott_pi(first, second).value
    if alpha is not None and pi is not None:
        # Alpha of two raters without gaps is pi, corrected for the sample's size.
        assert 1 - alpha == pytest.approx((1 - pi) * (2 * len(rows) - 1) / (2 * len(rows)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=40))
def test_rank_correlations_are_scipys(rows: list[tuple[int, int]]) -> None:
    from scipy import stats

    first, second = [a for a, _ in rows], [b for _, b in rows]
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert correlations.spearman(first, second).value is None
        return
    assert correlations.spearman(first, second).value == pytest.approx(stats.spearmanr(first, second).statistic)
    assert correlations.kendall_tau_b(first, second).value == pytest.approx(stats.kendalltau(first, second).statistic)
    assert correlations.kendall_tau_c(first, second).value == pytest.approx(
        stats.kendalltau(first, second, variant="c").statistic
    )
    assert correlations.pearson(first, second).value == pytest.approx(stats.pearsonr(first, second).statistic)


def test_values_too_fine_for_a_table_are_correlated_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = random.Random(2)
    first = [random_.random() for _ in range(30)]
    second = [value + random_.random() for value in first]
    plain = correlations.spearman(first, second, clusters=range(30), resample=Resample(300))
    monkeypatch.setattr(correlations, "MOST_CELLS", 10)
    loose = correlations.spearman(first, second, clusters=range(30), resample=Resample(300))
    assert loose.value == pytest.approx(plain.value)
    assert loose.se == pytest.approx(plain.se, rel=0.2)


def test_documents_on_which_a_side_is_constant_are_skipped_and_counted() -> None:
    documents = ["d1"] * 3 + ["d2"] * 3 + ["d3"] * 3
    judge, people = [1, 2, 3, 5, 5, 5, 1, 3, 2], [1, 2, 4, 1, 2, 3, 1, 2, 3]
    found = correlations.document_correlation(documents, judge, people)
    assert (found.documents, found.skipped) == (2, 1)
    assert found.mean.value == pytest.approx((1 + 0.5) / 2)
    assert set(found.by_document) == {"d1", "d3"}


def test_leaderboards_are_means_of_models_and_questions_are_drawn() -> None:
    models = ["a", "b", "c"] * 40
    random_ = random.Random(5)
    people = [{"a": 0.3, "b": 0.5, "c": 0.8}[model] + random_.gauss(0, 0.2) for model in models]
    judge = [value + random_.gauss(0, 0.1) for value in people]
    questions = [place // 3 for place in range(120)]
    for method in correlations.METHODS:
        found = correlations.leaderboard_correlation(models, judge, people, method, clusters=questions)
        assert found.value == pytest.approx(1.0, abs=0.01)
        assert (found.n, found.clusters) == (3, 40)
        assert found.low is not None
    assert correlations.leaderboard_correlation(["a", "b"], [1, 2], [1, 2]).value is None
    with pytest.raises(UserError, match="no correlation"):
        correlations.leaderboard_correlation(models, judge, people, "kendal")  # type: ignore[arg-type]


def test_the_analyzers_examples_of_alpacaeval() -> None:
    people = [[1, 1, 1, 1], [2, 2, 2, 1]]
    assert annotators.leave_one_out(people).value == 0.875
    assert annotators.annotator_variance(people).value == 0.125
    # Against every one of the others alone: three quarters, as the reference's own example says.
    assert raters.pairwise_agreement(people).value == 0.75
    assert annotators.human_agreement([1, 2], people).value == 1.0
    assert annotators.human_agreement([2, 2], people).value == 0.5
    # A split majority is both medians, half each; a missing verdict is counted.
    split = annotators.human_agreement([1, None], [[1, 2], [1, 1]])
    assert (split.value, split.n) == (0.5, 1)
    assert "1 of 2 pairs" in split.note
    assert annotators.annotator_bias([[1, 1, 2], [2, 2, 2]], [[1, 1, 1], [1, 1, 2]]).value == 0.5
    # Probabilities count by how near they are.
    assert annotators.human_agreement([1.25], [[1, 1]]).value == 0.75
    with pytest.raises(UserError, match="within 1"):
        annotators.human_agreement([7], [[1, 1]])


def test_lists_count_where_exactly_one_answer_has_one() -> None:
    listed, plain = "- one\n- two", "one and two"
    texts = [(listed, plain), (plain, listed), (listed, listed), (plain, listed), (plain, listed)]
    found = annotators.prefers_lists(texts, [1.0, 1.0, 1.0, 0.5, None])
    assert (found.value, found.n) == (0.5, 2)


def test_an_interval_of_kappa_covers_as_often_as_it_says() -> None:
    random_ = random.Random(11)
    covered, runs = 0, 200
    truth_of_kappa = 0.55  # P(same) = 0.5 · (0.1 + 0.9 / 2) + 0.5 = 0.775, and chance is 0.5
    for run in range(runs):
        first, second, questions = [], [], []
        for question in range(60):
            hard = random_.random() < 0.5
            for _ in range(3):
                label = random_.choice("AB")
                copied = random_.random() < (0.1 if hard else 1.0)
                first.append(label)
                second.append(label if copied else random_.choice("AB"))
                questions.append(question)
        found = cohen_kappa(first, second, clusters=questions, resample=Resample(400, run))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth_of_kappa <= found.high
    assert 0.89 <= covered / runs <= 0.985
