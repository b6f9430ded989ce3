"""Person fit: a profile unlike everybody's is found whatever its rank; answers that ignore their instructions too."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from judgebench.errors import UserError
from judgebench.ratings.person_fit import duplicate_rate, permutation_test, person_fit


def crowd(seed: int = 1, models: int = 8, items: int = 100) -> dict[str, dict[int, float]]:
    random = np.random.default_rng(seed)
    ease = random.normal(size=items)
    profiles = ease + random.normal(scale=0.8, size=(models, items))
    return {f"m{i}": dict(enumerate((1 / (1 + np.exp(-row))).tolist())) for i, row in enumerate(profiles)}


@pytest.mark.data
def test_the_null_model_ranks_last_and_is_flagged_alone_on_the_recorded_annotations(data_dir: Path) -> None:
    scores, texts = {}, {}
    for path in sorted(data_dir.glob("alpaca_eval/results/*/weighted_alpaca_eval_gpt4_turbo/annotations.json.gz")):
        rows = [row for row in json.loads(gzip.decompress(path.read_bytes())) if row["preference"] is not None]
        model = path.parent.parent.name
        scores[model] = {row["instruction"]: (row["preference"] or 1.5) - 1 for row in rows}
        texts[model] = [(row["instruction"], row["output_2"]) for row in rows]
    rows = person_fit(scores)
    assert len(rows) == 7
    rated = [row for row in rows if row.correlation is not None]
    assert rated[-1].model == "NullModel"
    assert rated[-1].robust_z < -2.5
    assert [row.model for row in rows if row.flagged] == ["NullModel"]
    assert max(row.mean for row in rated) == rated[-1].mean  # it has the highest win rate of all
    (left_out,) = [row for row in rows if row.correlation is None]
    assert left_out.model == "gpt4_1106_preview"
    assert "every score is the same" in left_out.note
    null = permutation_test(*zip(*texts["NullModel"][:150], strict=True), shuffles=199)
    real = permutation_test(*zip(*texts["claude-2.1"][:150], strict=True), shuffles=199)
    assert null.p_value == 1.0
    assert real.p_value == 1 / 200
    assert duplicate_rate([text for _, text in texts["NullModel"]]) == 1.0
    assert duplicate_rate([text for _, text in texts["claude-2.1"]]) == 0.0


def test_a_model_that_plays_the_judge_is_flagged_although_it_wins() -> None:
    scores = crowd()
    random = np.random.default_rng(7)
    scores["cheat"] = dict(enumerate((0.9 + 0.1 * random.random(100)).tolist()))
    rows = person_fit(scores)
    assert [row.model for row in rows if row.flagged] == ["cheat"]
    assert rows[-1].model == "cheat"


def test_honest_models_are_rarely_flagged() -> None:
    flagged = sum(row.flagged for seed in range(20) for row in person_fit(crowd(seed)))
    assert flagged <= 12  # of 160: the robust z of eight values has heavy tails


def test_constant_models_are_named_and_enter_no_mean() -> None:
    scores = crowd()
    with_constant = person_fit({**scores, "still": dict.fromkeys(range(100), 0.5)})
    assert with_constant[-1].model == "still"
    assert with_constant[-1].correlation is None
    assert [row for row in with_constant if row.model != "still"] == person_fit(scores)


def test_two_models_have_a_correlation_and_no_robust_z() -> None:
    rows = person_fit(dict(list(crowd().items())[:2]))
    assert all(row.robust_z is None and not row.flagged and "fewer than three" in row.note for row in rows)
    few = person_fit({"a": {1: 0.0, 2: 1.0}, "b": {1: 1.0, 2: 0.0}})
    assert all("10 are needed" in row.note for row in few)
    assert person_fit({"a": {}})[0].note == "no scores: left out"


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(UserError, match="leave unscored verdicts out"):
        person_fit({"a": {1: math.nan}})


def test_monotone_changes_of_one_models_scores_change_no_correlation_of_its_own() -> None:
    scores = crowd()
    squared = {**scores, "m0": {item: value**2 for item, value in scores["m0"].items()}}
    before, after = ({row.model: row.correlation for row in person_fit(each)} for each in (scores, squared))
    assert after["m0"] == pytest.approx(before["m0"])


def test_answers_dealt_to_other_instructions_are_told_from_their_own() -> None:
    topics = ["apples pears", "engines pistons", "violins cellos", "rivers lakes", "kings queens", "stars planets"]
    asked = [f"Tell me about {topic}" for topic in topics]
    own = [f"Here is what I know of {topic} today" for topic in topics]
    assert permutation_test(asked, own).p_value < 0.02
    assert permutation_test(asked, own[1:] + own[:1]).p_value > 0.3
    assert permutation_test(asked, ["the same"] * 6).p_value == 1.0
    assert permutation_test(["a"], ["b"]) is None
    assert duplicate_rate(["a"]) is None
