"""The formulas of the judging protocols against worked examples recorded beside the checkout, and their edges."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgebench.errors import UserError
from judgebench.judges import compat
from judgebench.judges.evidence import Evidence, conflict_rate, evidence, for_people, of_verdicts
from judgebench.judges.probability import label_preference, sampled_score, scale_score, sequence_score
from judgebench.ratings.battles import arena_hard_score
from judgebench.ratings.battles import of_verdicts as battles_of
from judgebench.ratings.checklists import drfr
from judgebench.ratings.skills import breakdown
from judgebench.types import Verdict


@pytest.fixture
def oracle(data_dir: Path) -> Any:
    def read(name: str) -> Any:
        (path,) = (data_dir.parent / "oracles").glob(f"{name}_*.json")
        return json.loads(path.read_text())

    return read


@pytest.mark.data
def test_o15_evidence_calibration_both_orders_and_what_goes_to_people(oracle: Any) -> None:
    worked = oracle("O15")
    found = {name: evidence(item["order12"], item["order21"]) for name, item in worked["inputs"]["items"].items()}
    expected, near = worked["expected"], worked["tolerance"]
    fields = {
        "mec_order12": "mec_order12", "mec_order21": "mec_order21", "cs": "cs", "p_win_tie_lose": "shares",
        "bpde_nats": "bpde", "bpde_bits": "bpde_bits", "bpde_normalised": "bpde_normalised",
        "vanilla_de_nats": "diversity",
    }  # fmt: skip
    for name, item in expected["items"].items():
        for key, field in fields.items():
            assert getattr(found[name], field) == pytest.approx(item[key], abs=near), (name, key)
        for key, field in {"mec_order12_verdict": "verdict_order12", "mec_order21_verdict": "verdict_order21"}.items():
            assert getattr(found[name], field) == item[key]
        assert (found[name].verdict, found[name].conflict) == (item["verdict"], item["conflict"])
    assert conflict_rate(found.values()) == pytest.approx(expected["conflict_rate"])
    assert for_people(found, worked["inputs"]["beta"]) == expected["hitlc_beta40_selected"]
    verdicts = [item.verdict for item in found.values()]
    assert [verdicts.count(word) for word in ("win", "tie", "lose")] == [
        expected["wins"], expected["ties"], expected["losses"],
    ]  # fmt: skip


def test_orders_that_lost_samples_unequally_are_balanced_beside_the_pool() -> None:
    found = evidence([(10, 1), None, None], [(4, 5), (4, 5), (4, 5)])
    assert found.cs == pytest.approx((5.5, 4.0))
    assert found.cs_balanced == pytest.approx((7.0, 3.0))
    assert (found.samples, found.unread) == (4, 2)


def test_an_item_without_samples_has_no_numbers_and_goes_to_people_first() -> None:
    empty = evidence([None], [])
    assert (empty.cs, empty.bpde, empty.verdict, empty.conflict) == (None, None, None, None)
    assert for_people({"a": evidence([(2, 1)], [(2, 1)]), "b": empty}, 0.5) == ["b"]
    assert conflict_rate([empty]) is None
    with pytest.raises(UserError, match="two finite scores"):
        evidence([(1.0, math.nan)])


SCORES = st.lists(st.none() | st.tuples(st.integers(1, 10), st.integers(1, 10)), max_size=4)


@given(SCORES, SCORES)
def test_swapping_the_models_swaps_the_scores_and_keeps_the_entropy(one: Any, other: Any) -> None:
    def swapped(pairs: Any) -> Any:
        return [None if pair is None else pair[::-1] for pair in pairs]

    here, there = evidence(one, other), evidence(swapped(one), swapped(other))
    assert here.cs == (there.cs[::-1] if there.cs else None)
    assert here.bpde == pytest.approx(there.bpde) if there.bpde is not None else here.bpde is None
    assert here.bpde is None or -1e-12 <= here.bpde <= math.log(3) + 1e-12


def scored(item: str, first: str, second: str, scores: tuple[float, ...], **fields: Any) -> Verdict:
    given = {"suite": "s", "judge": "j", "rubric": "r@1", "kind": "grade", "scale": (1.0, 10.0), **fields}
    return Verdict(item=item, shown=((first, 0), (second, 0)), scores=scores, error="" if scores else "x", **given)


def test_evidence_is_read_off_verdicts_told_by_model() -> None:
    verdicts = [
        scored("1", "a", "b", (8, 7)), scored("1", "a", "b", (9, 7), sample=1), scored("1", "b", "a", (6, 5)),
        scored("1", "b", "a", (), sample=1),
    ]  # fmt: skip
    ((key, items),) = of_verdicts(verdicts).items()
    assert key == ("s", "j", "r@1", "overall", "a", "b")
    assert items["1"] == evidence([(8, 7), (9, 7)], [(5, 6), None])
    assert isinstance(items["1"], Evidence)


@pytest.mark.data
def test_o16_scores_from_probabilities(oracle: Any) -> None:
    worked = oracle("O16")
    given, expected, near = worked["inputs"], worked["expected"], worked["tolerance"]
    weighed = scale_score(given["geval_top_logprobs"], (1, 5))
    assert weighed.score == pytest.approx(expected["geval_weighted"], abs=near)
    assert weighed.mass == pytest.approx(expected["geval_mass_on_scale"], abs=near)
    assert weighed.variance == pytest.approx(expected["geval_variance"], abs=near)
    drawn = sampled_score(given["geval_samples"])
    assert list(drawn.parsed) == expected["geval_sample_parsed"]
    assert drawn.score == pytest.approx(expected["geval_sample_mean_drop_unparsed"], abs=near)
    assert drawn.zero_filled == pytest.approx(expected["geval_sample_mean_reference_zero_fill"], abs=near)
    assert drawn.unparsed == expected["n_unparsed"]
    preferences = [label_preference(top).preference for top in given["alpaca_top_logprobs"]]
    assert preferences == pytest.approx(expected["alpaca_preference"], abs=near)
    read = [preference - 1 for preference in preferences if preference is not None]
    assert sum(read) / len(read) == pytest.approx(expected["alpaca_win_rate_of_output2"], abs=near)
    text = sequence_score(given["gptscore_token_logprobs"])
    assert text.mean == pytest.approx(expected["gptscore_mean"], abs=near)
    assert text.total == pytest.approx(expected["gptscore_sum"], abs=near)
    assert text.perplexity == pytest.approx(expected["perplexity"], abs=near)


def test_a_scale_of_which_little_is_seen_is_doubtful_and_one_of_which_nothing_is_has_no_score() -> None:
    assert scale_score({"4": -1.0, "The": -0.5}).note.startswith("doubtful: 0.37")
    assert scale_score({"The": -0.5}).score is None
    assert scale_score({" 4": -1.0, "4": -1.0}).mass == pytest.approx(2 * math.exp(-1))
    assert scale_score({"10": -0.1, "1": -3.0}, (1, 10)).score == pytest.approx(9.54, abs=0.1)
    with pytest.raises(UserError, match="at least one token"):
        sequence_score([])


SPECIAL = {4: "A"}
"""Of O19's rows, those whose expectation is told in prose."""


@pytest.mark.data
def test_o19_the_references_own_readers(oracle: Any) -> None:
    worked = oracle("O19")
    for number, (row, expected) in enumerate(zip(worked["inputs"], worked["expected"], strict=True)):
        read = compat.read_as(row["format"], row["text"])
        assert read == SPECIAL.get(number, expected), row
        assert type(read) is bool if isinstance(expected, bool) else True


@pytest.mark.parametrize(
    ("form", "text", "read"),
    [
        ("arena_hard", "[[a>b]] at first, then [[B>>A]]", "B>>A"),
        ("arena_hard", "nothing", None),
        ("mtbench_pair_scores", "[[7, 8.5]]", [7.0, 8.5]),
        ("mtbench_pair_scores", "[[7]]", [-1.0, -1.0]),
        ("faireval", "one line", [-1.0, -1.0]),
        ("vicuna_2score", "eight 9\n", [-1.0, -1.0]),
        ("prometheus_abs", "no result", None),
        ("alpaca_ranking", "[{'model': 'model_1'", None),
        ("checklist", "It depends", None),
        ("g_eval", "N/A", 0.0),
    ],
)
def test_a_compat_reader_keeps_its_references_sentinels(form: str, text: str, read: object) -> None:
    assert compat.read_as(form, text) == read


def test_flasks_last_dictionary_is_read_with_its_keys_made_alike() -> None:
    assert compat.flask("{'a': 1} then {'Logical_Robustness': 4, 'Harmlessness': 'N/A'}") == {
        "logical robustness": 4, "harmlessness": "N/A",
    }  # fmt: skip
    assert compat.flask("{broken") is None
    with pytest.raises(UserError, match="did you mean 'pandalm'"):
        compat.read_as("panda", "1")


# Five levels


def test_a_significant_verdict_is_worth_three_battles_whoever_is_the_model() -> None:
    found = arena_hard_score(["A>>B", "B>A", "A=B", "A>B"], ["1", "1", "2", "2"])
    expanded = [1, 1, 1, 0, 0.5, 1]
    assert (found.score, found.expanded, found.battles, found.clusters) == (sum(expanded) / 6, 6.0, 4, 2)
    mean = sum(expanded) / 6
    naive = math.sqrt(sum((x - mean) ** 2 for x in expanded) / 5 / 6)
    assert found.naive_se == pytest.approx(naive)
    sums = (3 - 4 * mean, 1.5 - 2 * mean)
    cr0 = math.sqrt(sum(x * x for x in sums)) / 6
    assert found.clustered_se_cr0 == pytest.approx(cr0)
    assert found.clustered_se == pytest.approx(cr0 * math.sqrt(2))
    other = arena_hard_score(["A>>B", "B>A", "A=B", "A>B"], model_is="B")
    assert other.score == pytest.approx(1 - mean)
    assert arena_hard_score(["B<<A", "A<B", "B=A", "B<A"]).score == found.score
    assert arena_hard_score(["[[A>>B]]", None]).unread == 1
    assert arena_hard_score(["A>>B", "B>A"], weight=1).score == 0.5


def test_two_orders_of_a_question_are_one_cluster_so_the_error_is_not_the_naive_one() -> None:
    labels = ["A>>B", "A>>B", "B>>A", "B>>A"] * 5
    groups = [number // 2 for number in range(20)]
    found = arena_hard_score(labels, groups)
    assert found.clustered_se is not None
    assert found.naive_se is not None
    assert found.clustered_se > 2 * found.naive_se
    assert arena_hard_score(["A>B"], ["1"]).note == "one question: no interval"
    assert arena_hard_score([]).score is None
    with pytest.raises(UserError, match="no verdict is called"):
        arena_hard_score(["A wins"])


def test_battles_are_read_off_verdicts_of_both_orders_by_their_margins() -> None:
    fields = {"scale": (0.0, 3.0)}
    verdicts = [
        scored("1", "m", "base", (3, 0), **fields), scored("1", "base", "m", (1, 0), **fields),
        scored("2", "m", "base", (0, 0), **fields), scored("2", "base", "m", (), **fields),
        scored("3", "m", "other", (3, 0), **fields),
    ]  # fmt: skip
    ((key, found),) = battles_of(verdicts, "base").items()
    assert key == ("s", "j", "r@1", "overall", "m")
    assert (found.score, found.expanded, found.unread) == (3.5 / 5, 5.0, 1)


# Checklists and skills


def test_the_micro_share_weighs_questions_the_macro_share_items() -> None:
    found = drfr([[True, True, False], [True], [False, None]])
    assert (found.micro, found.macro, found.all_pass) == (3 / 5, (2 / 3 + 1 + 0) / 3, 0.5)
    assert (found.items, found.questions, found.met, found.unread) == (3, 5, 3, 1)
    assert drfr([]).micro is None
    assert drfr([[1, 0, 1]]).micro == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="true, false or none"):
        drfr([["yes"]])  # type: ignore[list-item]


def test_grades_are_broken_down_by_skill_difficulty_and_domain_and_what_does_not_apply_is_counted() -> None:
    rows = [
        {
            "model": "m",
            "item": 1,
            "skill": "Factuality",
            "difficulty": "expert",
            "domain": ["Math", "Coding"],
            "score": 4,
        },
        {"model": "m", "item": 2, "skill": "factuality", "difficulty": "simple", "domain": ["Math"], "score": 2},
        {
            "model": "m",
            "item": 2,
            "skill": "Logical_Robustness",
            "difficulty": "simple",
            "domain": "Math",
            "score": "N/A",
        },
    ]
    by_skill = {cell.skill: cell for cell in breakdown(rows)}
    assert (by_skill["factuality"].mean, by_skill["factuality"].clusters) == (3.0, 2)
    assert (by_skill["logical robustness"].mean, by_skill["logical robustness"].not_applicable) == (None, 1)
    cells = {(cell.skill, cell.difficulty, cell.domain): cell.mean for cell in breakdown(rows, ("skill", "domain"))}
    assert cells["factuality", "", "Math"] == 3.0
    assert cells["factuality", "", "Coding"] == 4.0
    assert [cell.mean for cell in breakdown(rows, ())] == [3.0]
    with pytest.raises(UserError, match="broken down by"):
        breakdown(rows, ("colour",))
