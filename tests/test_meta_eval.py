"""A judge against people: what is joined, what is counted, what the card says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.ratings.resampling import Resample
from judgebench.report.judge_card import JudgeCard, Measure, Trial
from judgebench.runs import Journal, Run
from judgebench.stages.cards import NO_CARD, card_rows
from judgebench.stages.meta_eval import meta_evaluate, write_cards
from judgebench.types import Answer, Item, Verdict

RUBRIC = "pair@0123456789ab"
FEW = Resample(draws=200)
WORDS = {"A": (1.0, 0.0), "B": (0.0, 1.0), "T": (0.5, 0.5), None: ()}


def pair(
    item: int, said: str | None, judge: str, *, swapped: bool = False, models: Sequence[str] = ("a", "b"),
    rubric: str = "", **changed: Any,
) -> Verdict:  # fmt: skip
    """A verdict on models[0] (A) against models[1] (B), shown the other way round where ``swapped``."""
    scores, shown = WORDS[said], tuple((name, 0) for name in models)
    fields: dict[str, Any] = {
        "suite": "s", "item": str(item), "judge": judge, "rubric": rubric, "kind": "preference",
        "shown": shown[::-1] if swapped else shown, "scores": scores[::-1] if swapped else scores,
        "error": "" if scores else "unreadable: no verdict",
    }  # fmt: skip
    return Verdict(**{**fields, **changed})


def grade(item: int, model: str, value: float | None, judge: str, **changed: Any) -> Verdict:
    return Verdict(
        suite="s", item=str(item), judge=judge, shown=((model, 0),), scores=() if value is None else (value,),
        scale=(1.0, 5.0), error="" if value is not None else "unreadable: no verdict", **changed,
    )  # fmt: skip


def run_of(path: Path, verdicts: Iterable[Verdict], texts: dict[str, str] | None = None) -> Run:
    """A run that holds the verdicts, and one text a model as its answer to every item."""
    run = Run(path, create=True)
    held = list(verdicts)
    seen = {(verdict.judge, verdict.item, verdict.shown) for verdict in held if len(verdict.shown) == 2}
    twice = {judge for judge, item, shown in seen if (judge, item, shown[::-1]) in seen}
    for verdict in held:
        with Journal(run.verdicts_file(verdict.judge, verdict.rubric.partition("@")[0])) as journal:
            journal.append(verdict)
        entry = run.manifest["judges"].setdefault(
            verdict.judge, {"backend": "openai", "id": verdict.judge, "options": {}, "baseline": False, "rubrics": {}}
        )
        if verdict.rubric:
            entry["rubrics"][verdict.rubric.partition("@")[0]] = {
                "id": verdict.rubric, "orders": "both" if verdict.judge in twice else "one", "without_reference": {},
            }  # fmt: skip
            run.manifest["rubrics"][verdict.rubric] = {"mode": "pairwise", "dimensions": {"overall": ""}}
    items = sorted({verdict.item for verdict in held}, key=int)
    run.save_items("s", [Item(id=item, turns=("?",)) for item in items])
    for model, text in (texts or {}).items():
        run.manifest["models"][model] = {"backend": "openai", "id": model, "options": {}}
        with Journal(run.answers_file(model)) as journal:
            for item in items:
                journal.append(Answer(suite="s", item=item, model=model, turns=(text,), finish=("stop",)))
    run.save_manifest()
    return run


def only(cards: Sequence[JudgeCard], judge: str = "j") -> Trial:
    (card,) = [card for card in cards if card.judge == judge]
    (trial,) = card.trials
    return trial


def numbers(measures: Sequence[Measure]) -> dict[str, float | None]:
    return {measure.name: measure.value for measure in measures}


GAMES = ["AA", "AB", "BB", "TA", "AT", "TT", "BA", "AA", "BB", "AB", "A ", "TB"]
"""O14's twelve pairs: what the judge said in each order, by model; blank is unreadable."""
TRUTH = "AABATTBABBAB"


def both_orders(judge: str = "j", games: Sequence[str] = GAMES, **changed: Any) -> list[Verdict]:
    return [
        pair(item, game[order].strip() or None, judge, swapped=bool(order), rubric=RUBRIC, **changed)
        for item, game in enumerate(games)
        for order in (0, 1)
    ]


def test_two_orders_are_joined_unswapped_and_an_unreadable_one_is_left_out_and_counted(tmp_path: Path) -> None:
    people = [pair(item, said, "human@x") for item, said in enumerate(TRUTH)]
    trial = only(meta_evaluate(run_of(tmp_path / "r", [*both_orders(), *people]), resample=FEW))
    found = numbers(trial.measures)
    # Policy tie: AA AB→T BB TA→T AT→T TT BA→T AA BB AB→T TB→T against AABATTBABB(A)B.
    assert found["accuracy"] == pytest.approx(6 / 11)
    assert found["accuracy_unscored_wrong"] == pytest.approx(6 / 12)
    assert trial.units == 11
    assert trial.left_out == {"judge: one order unscored": 1}
    assert found["agreement_s2"] == 1.0
    assert found["tie_discounted_accuracy"] == pytest.approx((6 + 5 / 2) / 11)
    assert found["both_orders_right"] == pytest.approx(5 / 12)
    right = sum(said == truth for game, truth in zip(GAMES, TRUTH, strict=True) for said in game)
    assert found["single_verdicts_right"] == pytest.approx(right / 24)
    assert found["consistency"] == pytest.approx(5 / 11)
    assert found["conflict_rate"] == pytest.approx(6 / 11)
    assert found["flip_rate"] == pytest.approx(3 / 11)
    assert found["positional_agreement"] == pytest.approx(5 / 12)
    assert found["position_bias"] == pytest.approx(0.0681818182)
    assert sum(map(sum, trial.confusion)) == 11


def test_net_right_takes_right_and_tie_but_not_right_and_wrong(tmp_path: Path) -> None:
    games = ["AA", "AT", "AB", "TT", "BB", "A "]
    people = [pair(item, "A", "human@gold") for item in range(6)]
    trial = only(meta_evaluate(run_of(tmp_path / "r", [*both_orders(games=games), *people]), against="gold"))
    assert numbers(trial.measures)["net_right"] == pytest.approx(3 / 6)


def test_names_of_models_and_the_order_on_file_change_nothing(tmp_path: Path) -> None:
    people = [pair(item, said, "human@x") for item, said in enumerate(TRUTH)]
    plain = only(meta_evaluate(run_of(tmp_path / "1", [*both_orders(), *people]), resample=FEW))
    renamed = [
        *both_orders(models=("z", "b")), *(pair(i, said, "human@x", models=("z", "b")) for i, said in enumerate(TRUTH)),
    ]  # fmt: skip
    found = only(meta_evaluate(run_of(tmp_path / "2", renamed[::-1]), resample=FEW))
    assert numbers(found.measures) == numbers(plain.measures)
    assert found.confusion == plain.confusion


def test_a_label_says_who_the_people_were_shown_first(tmp_path: Path) -> None:
    # The same labels by place, whatever the names: kappa and macro scores of files that number their answers hold.
    verdicts = []
    for item, (human, judge) in enumerate(zip("ABTABBTA", "ABTBBATA", strict=True)):
        models = ("a", "b") if item % 2 else ("b", "a")
        verdicts += [pair(item, human, "human@x", models=models), pair(item, judge, "j", models=models, rubric=RUBRIC)]
    trial = only(meta_evaluate(run_of(tmp_path / "r", verdicts), resample=FEW))
    from judgebench.ratings.confusion import macro_scores

    expected = macro_scores("ABTABBTA", "ABTBBATA")
    assert numbers(trial.measures)["macro_f1"] == pytest.approx(expected.f1)
    assert trial.labels == ("second", "tie", "first")
    assert trial.confusion == ((2, 0, 1), (0, 2, 0), (1, 0, 2))


def test_people_vote_a_split_is_no_label_and_their_ceiling_stands_beside(tmp_path: Path) -> None:
    votes = {"human@x": "AABB", "human@y": "AABA", "human@z": "ABBT"}
    people = [pair(item, said, name) for name, column in votes.items() for item, said in enumerate(column)]
    judge = [pair(item, "A", "j", rubric=RUBRIC) for item in range(4)]
    trial = only(meta_evaluate(run_of(tmp_path / "r", [*people, *judge]), resample=FEW))
    found, ceiling = numbers(trial.measures), numbers(trial.people)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert trial.left_out == {"human split or unscored": 1}
    assert found["each_person_s1"] == pytest.approx((3 + 2 + 0 + 1) / 12)
    assert ceiling["accuracy"] == pytest.approx((3 + 1 + 3 + 0) / 12)
    assert ceiling["leave_one_out"] is not None
    assert ceiling["fleiss_kappa"] is not None
    assert set(trial.baselines) == {"baseline/random", "baseline/first"}
    assert numbers(trial.baselines["baseline/first"])["accuracy"] == pytest.approx(2 / 3)


def test_a_person_is_held_against_the_others_or_against_one(tmp_path: Path) -> None:
    votes = {"human@x": "AAB", "human@y": "AAB", "human@z": "ABA"}
    run = run_of(tmp_path / "r", [pair(i, said, name) for name, row in votes.items() for i, said in enumerate(row)])
    cards = meta_evaluate(run, resample=FEW)
    assert [card.judge for card in cards] == ["human@x", "human@y", "human@z"]
    assert numbers(only(cards, "human@z").measures)["accuracy"] == pytest.approx(1 / 3)
    one = only(meta_evaluate(run, ["human@x"], "human@z", resample=FEW), "human@x")
    assert numbers(one.measures)["accuracy"] == pytest.approx(1 / 3)
    assert one.against == "human@z"


def test_a_panel_is_the_majority_of_its_members(tmp_path: Path) -> None:
    said = {"j1": "AAB", "j2": "ABB", "j3": "BBB"}
    verdicts = [pair(i, word, name, rubric=RUBRIC) for name, row in said.items() for i, word in enumerate(row)]
    people = [pair(item, "A", "human@x") for item in range(3)]
    trial = only(meta_evaluate(run_of(tmp_path / "r", [*verdicts, *people]), ["j1+j2+j3"], resample=FEW), "j1+j2+j3")
    assert numbers(trial.measures)["accuracy"] == pytest.approx(1 / 3)


def test_gold_is_the_items_own_reference_where_no_verdict_says_it(tmp_path: Path) -> None:
    run = run_of(tmp_path / "r", [pair(item, said, "j", rubric=RUBRIC) for item, said in enumerate("AAB")])
    names = ("a", "b", "tie")
    run.save_items("s", [Item(id=str(i), turns=("?",), reference=(name,)) for i, name in enumerate(names)])
    trial = only(meta_evaluate(run, resample=FEW))
    assert trial.against == "gold"
    assert numbers(trial.measures)["accuracy"] == pytest.approx(1 / 3)


def test_an_exact_scorers_accuracy_is_a_truth_for_pairs_on_any_dimension(tmp_path: Path) -> None:
    scored = [
        grade(item, model, float(model == right), "exact@number", dimension="accuracy")
        for item, right in enumerate("aab")
        for model in "ab"
    ]
    said = [pair(item, said, "j", rubric=RUBRIC) for item, said in enumerate("ABB")]
    run = run_of(tmp_path / "r", [*said, *scored])
    trial = only(meta_evaluate(run, against="exact@number", resample=FEW))
    assert (trial.against, trial.dimension) == ("exact@number", "overall")
    assert numbers(trial.measures)["accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="exact@text"):
        meta_evaluate(run, against="exact@text", resample=FEW)


def test_repeats_length_and_self_preference_stand_beside_the_people(tmp_path: Path) -> None:
    texts = {"j": "x" * 100, "other": "y" * 10}
    models = ("j", "other")
    judge = [pair(item, "A", "j", models=models, rubric=RUBRIC) for item in range(8)]
    again = [pair(item, "AB"[item % 2], "j", models=models, rubric=RUBRIC, sample=1) for item in range(8)]
    people = [pair(item, "AABBBBAA"[item], "human@x", models=models) for item in range(8)]
    run = run_of(tmp_path / "r", [*judge, *again, *people], texts)
    found = numbers(only(meta_evaluate(run, resample=FEW)).measures)
    assert found["mode_share"] == pytest.approx((4 * 1 + 4 * 0.5) / 8)
    assert found["repeat_agreement"] == pytest.approx(0.5)
    assert found["prefers_longer"] == 1.0
    # Where the two samples differ the judge has said tie, which is no taste for length.
    assert found["people_prefer_longer"] == pytest.approx(0.5)
    assert found["self_preference"] == pytest.approx((4 * 1 + 4 * 0.5) / 8 - 0.5)
    longest = numbers(only(meta_evaluate(run, resample=FEW)).baselines["baseline/longest"])
    assert longest["accuracy"] == pytest.approx(0.5)


def test_self_preference_is_less_what_the_judge_gives_everyone_who_meets_the_same_opponent(tmp_path: Path) -> None:
    def said(model: str, wins: int, judge: str) -> list[Verdict]:
        who = RUBRIC if judge == "j" else ""
        return [pair(i, "A" if i < wins else "B", judge, models=(model, "base"), rubric=who) for i in range(8)]

    # The judge is hard on the baseline: it gives everyone 6 of 8 where people give 4, and itself no more than that.
    hard = [*said("j", 6, "j"), *said("other", 6, "j"), *said("j", 4, "human@x"), *said("other", 4, "human@x")]
    found = numbers(only(meta_evaluate(run_of(tmp_path / "r", hard, dict.fromkeys(("j", "other", "base"), "x")),
                                       ["j"], resample=FEW)).measures)  # fmt: skip
    assert found["self_preference_log_odds"] == pytest.approx(math.log(3))
    assert found["self_preference_did"] == pytest.approx(0)
    fond = [*said("j", 6, "j"), *said("other", 4, "j"), *said("j", 4, "human@x"), *said("other", 4, "human@x")]
    found = numbers(only(meta_evaluate(run_of(tmp_path / "s", fond, dict.fromkeys(("j", "other", "base"), "x")),
                                       ["j"], resample=FEW)).measures)  # fmt: skip
    assert found["self_preference_did"] == pytest.approx(math.log(3))
    alone = [*said("j", 6, "j"), *said("j", 4, "human@x")]
    found = numbers(only(meta_evaluate(run_of(tmp_path / "t", alone, dict.fromkeys(("j", "base"), "x")),
                                       ["j"], resample=FEW)).measures)  # fmt: skip
    assert "self_preference_did" not in found


def test_grades_are_held_against_grades_and_against_pairs(tmp_path: Path) -> None:
    grades = {"a": [5, 4, 4, 2, 3], "b": [3, 4, 2, 1, 5], "c": [1, 2, 2, 1, 4]}
    human = {"a": [5, 5, 4, 3, 3], "b": [3, 4, 2, 2, 4], "c": [1, 1, 3, 1, 4]}
    judge = [grade(i, m, v, "j", rubric="g@0") for m, row in grades.items() for i, v in enumerate(row)]
    people = [grade(i, m, v, "human@x") for m, row in human.items() for i, v in enumerate(row)]
    lost = grade(9, "a", None, "j", rubric="g@0")
    alone = grade(9, "a", 3, "human@x")
    trial = only(meta_evaluate(run_of(tmp_path / "1", [*judge, *people, lost, alone]), resample=FEW))
    found = numbers(trial.measures)
    from scipy import stats

    mine, theirs = [[value for row in each.values() for value in row] for each in (grades, human)]
    assert trial.kind == "grades"
    assert trial.left_out == {"judge: unscored": 1}
    assert found["accuracy"] == pytest.approx(sum(x == y for x, y in zip(mine, theirs, strict=True)) / 15)
    assert found["spearman"] == pytest.approx(stats.spearmanr(mine, theirs).statistic)
    assert found["leaderboard_spearman"] == pytest.approx(1.0)
    by_question = [
        stats.spearmanr([grades[m][i] for m in "abc"], [human[m][i] for m in "abc"]).statistic for i in range(5)
    ]
    assert found["document_spearman"] == pytest.approx(sum(by_question) / 5)
    pairs = [pair(item, said, "human@x") for item, said in enumerate("ATABB")]
    implied = only(meta_evaluate(run_of(tmp_path / "2", [*judge, *pairs]), resample=FEW))
    assert implied.kind == "pairs"
    assert numbers(implied.measures)["accuracy"] == pytest.approx(4 / 5)


def test_policy_score_compares_sums_of_raw_scores_over_both_orders(tmp_path: Path) -> None:
    first = pair(0, "A", "j", rubric=RUBRIC, kind="grade", scale=(1.0, 10.0))
    nines = msgspec.structs.replace(first, scores=(9.0, 6.0))
    eights = msgspec.structs.replace(first, shown=first.shown[::-1], scores=(8.0, 7.0))
    run = run_of(tmp_path / "r", [nines, eights, pair(0, "A", "human@x")])
    by_policy = {
        policy: numbers(only(meta_evaluate(run, policy=policy)).measures)["accuracy"] for policy in ("tie", "score")
    }
    assert by_policy == {"tie": 0.0, "score": 1.0}


def test_turns_are_pooled_unless_one_is_asked_for(tmp_path: Path) -> None:
    verdicts = [pair(item, "A", "j", rubric=RUBRIC, turn=turn) for item in range(3) for turn in (1, 2)]
    people = [pair(item, "AB"[turn - 1], "human@x", turn=turn) for item in range(3) for turn in (1, 2)]
    run = run_of(tmp_path / "r", [*verdicts, *people])
    pooled = only(meta_evaluate(run, resample=FEW))
    assert (pooled.units, pooled.questions) == (6, 3)
    found = [numbers(only(meta_evaluate(run, turns=[turn])).measures)["accuracy"] for turn in (1, 2)]
    assert [numbers(pooled.measures)["accuracy"], *found] == [0.5, 1.0, 0.0]


def test_grades_on_different_scales_are_correlated_and_never_called_equal(tmp_path: Path) -> None:
    judge = [grade(i, m, v, "j", rubric="g@0") for i, (m, v) in enumerate([("a", 1), ("b", 3), ("a", 5), ("b", 2)])]
    people = [
        msgspec.structs.replace(each, judge="human@x", rubric="", scale=(1.0, 10.0), scores=(each.scores[0] * 2,))
        for each in judge
    ]
    found = {each.name: each for each in only(meta_evaluate(run_of(tmp_path / "r", [*judge, *people]))).measures}
    assert found["accuracy"].value is None
    assert "1 to 5 and 1 to 10" in found["accuracy"].note
    assert "cohen_kappa" not in found
    assert "krippendorff_interval" not in found
    assert found["spearman"].value == pytest.approx(1.0)


def test_people_on_different_scales_are_never_averaged_or_called_equal_grade_by_grade(tmp_path: Path) -> None:
    marks = [("a", 1), ("b", 3), ("a", 5), ("b", 2), ("a", 4)]
    judge = [grade(i, m, v, "j", rubric="g@0") for i, (m, v) in enumerate(marks)]
    fives = [msgspec.structs.replace(each, judge="human@x", rubric="") for each in judge]
    tens = [
        msgspec.structs.replace(each, judge="human@y", scale=(1.0, 10.0), scores=(1 + (each.scores[0] - 1) * 2.25,))
        for each in fives[:4]
    ]
    trial = only(meta_evaluate(run_of(tmp_path / "r", [*judge, *fives, *tens]), resample=FEW))
    found, people = ({each.name: each for each in side} for side in (trial.measures, trial.people))
    assert found["spearman"].value == pytest.approx(1.0)  # raw means would put item 3 of both above item 4 of one
    assert found["pearson"].value == pytest.approx(1.0)
    assert people["pearson"].value == pytest.approx(1.0)
    assert people["accuracy"].value is None
    assert "1 to 5 and 1 to 10" in people["accuracy"].note
    assert {"krippendorff_all", "krippendorff_interval", "cohen_kappa"}.isdisjoint(people)


def test_a_scale_of_another_suite_does_not_keep_grades_from_being_compared(tmp_path: Path) -> None:
    judge = [grade(i, m, v, "j", rubric="g@0") for i, (m, v) in enumerate([("a", 1), ("b", 3), ("a", 5), ("b", 2)])]
    judge += [msgspec.structs.replace(each, dimension="style", scale=(0.0, 1.0), scores=(0.5,)) for each in judge]
    people = [msgspec.structs.replace(each, judge="human@x", rubric="") for each in judge]
    (card,) = meta_evaluate(run_of(tmp_path / "r", [*judge, *people]), resample=FEW)
    by_dimension = {trial.dimension: numbers(trial.measures) for trial in card.trials}
    assert by_dimension["overall"]["accuracy"] == 1.0
    assert by_dimension["overall"]["cohen_kappa"] == 1.0


def test_one_pair_that_a_person_labels_twice_does_not_cost_the_persons_other_labels(tmp_path: Path) -> None:
    people = [pair(item, said, "human@x") for item, said in enumerate("AABB")]
    twice = pair(0, "A", "human@x", swapped=True)
    judge = [pair(item, "A", "j", rubric=RUBRIC, swapped=swapped) for item in range(4) for swapped in (False, True)]
    trial = only(meta_evaluate(run_of(tmp_path / "1", [*judge, *people, twice]), resample=FEW))
    assert (trial.units, dict(trial.left_out)) == (4, {})
    assert numbers(trial.measures)["accuracy"] == 0.5
    other = pair(0, "B", "human@x", swapped=True)
    trial = only(meta_evaluate(run_of(tmp_path / "2", [*judge, *people, other]), resample=FEW))
    assert numbers(trial.measures)["accuracy"] == 0.25  # labels that disagree are a tie under the policy


def test_a_judge_that_was_to_see_both_orders_has_no_verdict_where_most_pairs_lack_one(tmp_path: Path) -> None:
    verdicts = [pair(item, "A", "j", rubric=RUBRIC) for item in range(3)]
    verdicts.append(pair(0, "A", "j", rubric=RUBRIC, swapped=True))
    run = run_of(tmp_path / "r", [*verdicts, *(pair(item, "A", "human@x") for item in range(3))])
    run.manifest["judges"]["j"]["rubrics"]["pair"]["orders"] = "both"
    run.save_manifest()
    trial = only(meta_evaluate(run, resample=FEW))
    assert (trial.units, dict(trial.left_out)) == (1, {"judge: one order missing": 2})


def test_what_cannot_be_compared_is_said_in_one_line(tmp_path: Path) -> None:
    judge = [pair(item, "A", "j", rubric=RUBRIC) for item in range(3)]
    people = [pair(item, "A", "human@x", dimension="style") for item in range(3)]
    run = run_of(tmp_path / "r", [*judge, *people])
    with pytest.raises(UserError, match="did you mean 'human@x'"):
        meta_evaluate(run, ["human@y"])
    with pytest.raises(UserError, match="no judge is called 'hunam'"):
        meta_evaluate(run, against="hunam")
    with pytest.raises(UserError, match="held against itself"):
        meta_evaluate(run, ["human"], "human")
    with pytest.raises(UserError, match="nothing was judged both by j and by human") as caught:
        meta_evaluate(run)
    assert "style" in str(caught.value)
    with pytest.raises(UserError, match=r"--dimension styl: .*did you mean 'style'"):
        meta_evaluate(run, dimensions=["styl"])
    with pytest.raises(UserError, match="holds no verdicts"):
        meta_evaluate(Run(tmp_path / "empty", create=True))


def test_a_card_is_kept_per_judge_and_rubric_and_shown_by_rate_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [pair(item, said, "human@x") for item, said in enumerate(TRUTH)]
    run_of(tmp_path / "r", [*both_orders(), *both_orders("k"), *people], {"a": "one", "b": "two"})
    path = str(tmp_path / "r")
    assert main(["meta-eval", path, "--judge", "j", "--draws", "100"]) == 0
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert max(len(line) for line in printed.splitlines() if str(tmp_path) not in line) <= 80
    assert main(["rate", path, "--max-unscored", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "judge card: s · overall · pairs against human: accuracy" in said
    assert NO_CARD.partition(":")[0] in said
    assert main(["report", path, "--quiet"]) == 0
    for name in ("report.md", "report.html"):
        page = (tmp_path / "r" / name).read_text()
        assert page.count("no judge card") == 1
        assert "judge card: s" in page
    # The next judge's card stands beside the first.
    assert main(["meta-eval", path, "--judge", "k", "--against", "j", "--draws", "100", "--json"]) == 0
    (card,) = json.loads(capsys.readouterr().out)
    assert card["judge"] == "k"
    held = msgspec.json.decode((tmp_path / "r" / "judge-card.json").read_bytes(), type=list[JudgeCard])
    assert [each.judge for each in held] == ["j", "k"]
    assert "judge\\|" not in (tmp_path / "r" / "judge-card.md").read_text().partition("\n")[0]
    assert (tmp_path / "r" / "judge-card.md").read_text().startswith("# Judge cards\n")


def test_a_card_holds_for_its_rubric_and_judge_model_alone_in_other_runs_too(tmp_path: Path) -> None:
    people = [pair(item, said, "human@x") for item, said in enumerate(TRUTH)]
    run = run_of(tmp_path / "tried", [*both_orders(), *people])
    write_cards(run, meta_evaluate(run, resample=FEW))
    judged: list[dict[str, Any]] = [{"judge": "j", "rubric": RUBRIC}, {"judge": "human@x", "rubric": ""}]
    (row,) = card_rows(run, judged)
    assert row["card"]
    beside = run_of(tmp_path / "beside", both_orders())
    (row,) = card_rows(beside, judged)
    assert row["text"].startswith("judge card (run tried): ")
    for changed in ({"judge": "j", "rubric": "pair@other"},):
        assert card_rows(beside, [changed])[0]["text"] == NO_CARD
    beside.manifest["judges"]["j"]["id"] = "another-model"
    assert card_rows(beside, judged)[0]["text"] == NO_CARD
    run.manifest["judges"]["j"]["id"] = "another-model"
    assert card_rows(run, judged)[0]["text"] == NO_CARD
    (tmp_path / "tried" / "judge-card.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        card_rows(run, judged)


def test_python_makes_and_keeps_the_same_cards(tmp_path: Path) -> None:
    import judgebench

    people = [pair(item, said, "human@x") for item, said in enumerate(TRUTH)]
    run = run_of(tmp_path / "r", [*both_orders(), *people])
    cards = judgebench.meta_eval(tmp_path / "r", ["j"], "human")
    assert cards == meta_evaluate(run, ["j"], "human")
    assert (tmp_path / "r" / "judge-card.json").is_file()
