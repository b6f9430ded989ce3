"""Other tools' files become runs: small files of ours in each tool's form, joined by question, answer id and words."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from judgebench import plugins
from judgebench.cli import main
from judgebench.errors import RunConflict, UserError
from judgebench.runs import Run
from judgebench.types import Verdict

Rows = Sequence[dict[str, Any]]


def jsonl(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def imported(run: Path, format: str, *files: Path, flags: Sequence[str] = ()) -> Run:
    assert main(["import", format, *map(str, files), str(run), "--quiet", *flags]) == 0
    return Run(run)


def verdicts(run: Run, judge: str = "") -> list[Verdict]:
    return [each for each in run.verdicts().values() if judge in ("", each.judge)]


def alpaca(preference: object, **more: object) -> dict[str, Any]:
    row = {"instruction": "Say hi.", "output_1": "Hi!", "generator_1": "base", "output_2": "Hello.",
           "generator_2": "new", "dataset": "tiny", "annotator": "judge", "preference": preference}  # fmt: skip
    return {**row, **more}


def answers(model: str, words: dict[int, str], ids: str = "") -> list[dict[str, Any]]:
    return [
        {"question_id": at, "text": text, "answer_id": f"{ids or model}-{at}", "model_id": model}
        for at, text in words.items()
    ]


def questions(count: int = 2) -> list[dict[str, Any]]:
    return [{"question_id": at, "text": f"Question {at}?", "category": "c"} for at in range(1, count + 1)]


def review(at: int, first: str, second: str, score: object) -> dict[str, Any]:
    return {"review_id": f"{first}{second}{at}", "question_id": at, "answer1_id": f"{first}-{at}",
            "answer2_id": f"{second}-{at}", "reviewer_id": 1, "text": "why", "score": score}  # fmt: skip


# AlpacaEval --------------------------------------------------------------------------------------------------------


def test_a_preference_is_the_models_share_above_one_and_zero_is_a_draw(tmp_path: Path) -> None:
    rows = [alpaca(value, instruction=f"q{at}") for at, value in enumerate((1.25, 2, 0, 1.5, None))]
    run = imported(tmp_path / "run", "alpaca-eval", jsonl(tmp_path / "annotations.json", rows))
    found = verdicts(run)
    assert [each.scores for each in found] == [(0.75, 0.25), (0.0, 1.0), (0.5, 0.5), (0.5, 0.5), ()]
    assert {each.kind for each in found} == {"probability"}
    assert found[-1].error == "unreadable: no preference is recorded"
    assert found[0].shown == (("base", 0), ("new", 0))


def test_names_are_mapped_and_other_words_are_another_sample(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", [alpaca(1.2)])
    run = imported(tmp_path / "run", "alpaca-eval", file, flags=["--name", "new=renamed"])
    assert set(run.manifest["models"]) == {"base", "renamed"}
    other = jsonl(tmp_path / "b.jsonl", [alpaca(1.9, output_2="Good day.", annotator="judge2")])
    run = imported(tmp_path / "run", "alpaca-eval", other, flags=["--name", "new=renamed"])
    assert {key[2:]: answer.turns for key, answer in run.answers("renamed").items()} == {
        ("renamed", 0): ("Hello.",), ("renamed", 1): ("Good day.",)
    }  # fmt: skip
    assert verdicts(run, "judge2")[0].shown[1] == ("renamed", 1)


def test_the_order_is_kept_where_the_annotations_tell_it(tmp_path: Path) -> None:
    rows = [alpaca(1.25, is_switched_outputs=True), alpaca(1.25, instruction="q", is_switched_outputs=False)]
    found = verdicts(imported(tmp_path / "run", "alpaca-eval", jsonl(tmp_path / "a.json", rows)))
    assert [(each.shown, each.scores) for each in found] == [
        ((("new", 0), ("base", 0)), (0.25, 0.75)), ((("base", 0), ("new", 0)), (0.75, 0.25))
    ]  # fmt: skip


def test_a_model_against_itself_is_two_contestants(tmp_path: Path) -> None:
    run = imported(
        tmp_path / "run", "alpaca-eval", jsonl(tmp_path / "a.json", [alpaca(1.5, generator_2="base", output_2="Hi!")])
    )
    assert verdicts(run)[0].shown == (("base", 0), ("base#2", 0))


# Joining -----------------------------------------------------------------------------------------------------------


def vicuna(folder: Path, name: str, rows: Rows) -> list[Path]:
    """Questions, two models' answers and a file of reviews of that name."""
    return [
        jsonl(folder / "questions.jsonl", questions()),
        jsonl(folder / "answer_old.jsonl", answers("old:v1", {1: "one", 2: "two"}, "a")),
        jsonl(folder / "answer_new.jsonl", answers("new:v2", {1: "uno", 2: "dos"}, "b")),
        jsonl(folder / name, rows),
    ]


def test_answer_ids_say_who_was_shown_first_whatever_the_files_name_says(tmp_path: Path) -> None:
    files = vicuna(
        tmp_path, "old-vs-new-gpt-4-reviewer.jsonl", [review(1, "b", "a", [9, 4]), review(2, "b", "a", [-1, -1])]
    )
    found = verdicts(imported(tmp_path / "run", "qlora", *files))
    assert [each.shown for each in found] == [(("new:v2", 0), ("old:v1", 0))] * 2
    assert [(each.judge, each.kind, each.scale, each.scores) for each in found] == [
        ("gpt4", "grade", (1.0, 10.0), (9.0, 4.0)), ("gpt4", "grade", (1.0, 10.0), ())
    ]  # fmt: skip
    assert found[1].error == "unreadable: recorded as [-1, -1]"


def test_an_id_that_no_file_of_answers_has_is_the_one_beside_a_known_id(tmp_path: Path) -> None:
    """Two systems without ids share one, as equal words do in QLoRA's files; each file tells its own pair."""
    files = vicuna(tmp_path, "old-vs-tuned-gpt4-reviewer.jsonl", [review(1, "x", "a", 1), review(2, "a", "x", 3)])
    files.append(jsonl(tmp_path / "old-vs-other-gpt4-reviewer.jsonl", [review(1, "x", "a", 2)]))
    files.append(jsonl(tmp_path / "tuned-vs-new-gpt4-reviewer.jsonl", [review(1, "x", "b", 2)]))
    run = imported(tmp_path / "run", "qlora", *files)
    assert [[name for name, _ in each.shown] for each in verdicts(run)] == [
        ["tuned", "old:v1"], ["old:v1", "tuned"], ["other", "old:v1"], ["tuned", "new:v2"]
    ]  # fmt: skip
    later = jsonl(tmp_path / "later/tuned-vs-new-claude-reviewer.jsonl", [review(1, "x", "b", 1)])
    (found,) = verdicts(imported(tmp_path / "run", "qlora", later), "claude")
    assert (found.shown, found.scores) == ((("tuned", 0), ("new:v2", 0)), (1.0, 0.0))


def test_an_answer_of_an_unknown_id_is_an_error_that_names_the_row_and_leaves_no_verdict(tmp_path: Path) -> None:
    files = vicuna(tmp_path, "reviews.jsonl", [review(1, "a", "b", 1), review(2, "a", "zz", 1)])
    with pytest.raises(UserError, match=r"reviews\.jsonl: row 2: no file tells whose answer 'zz-2' is"):
        imported(tmp_path / "run", "qlora", *files, flags=["--judge", "j"])
    assert not (tmp_path / "run").exists()


def test_an_answer_id_that_stands_for_other_words_than_before_is_refused(tmp_path: Path) -> None:
    imported(tmp_path / "run", "qlora", *vicuna(tmp_path, "r.jsonl", [review(1, "a", "b", 1)]), flags=["--judge", "j"])
    changed = jsonl(tmp_path / "answer_old.jsonl", answers("old:v1", {1: "changed"}, "a"))
    with pytest.raises(RunConflict, match="answer 'a-1' of old:v1 has other words here than before"):
        imported(tmp_path / "run", "qlora", changed)


def test_imports_join_on_the_words_of_questions_and_answers(tmp_path: Path) -> None:
    run = imported(tmp_path / "run", "fastchat", *vicuna(tmp_path, "r.jsonl", [review(1, "a", "b", 3)]),
                   flags=["--judge", "gpt-4"])  # fmt: skip
    bar = tmp_path / "Set/evaluators/J/Vanilla/result.json"
    said = {"swap = False": {"completion": ["(a)", "stop"], "winner": "1"}, "swap = True": {"winner": "None"}}
    jsonl(bar, [
        {"input": "Question  1?", "output_1": "uno\n", "output_2": "one", "label": 1, "results": [{}, said]},
        {"input": "Question 2?", "output_1": "never seen", "output_2": "nor this", "label": 2, "results": [said]},
    ])  # fmt: skip
    run = imported(tmp_path / "run", "llmbar", bar)
    assert list(run.manifest["suites"]) == ["fastchat"]
    assert [item.id for item in run.items("fastchat").values()] == ["1", "2"]
    known, unknown = verdicts(run, "human@gold")
    assert (known.item, known.shown, known.scores) == ("1", (("new:v2", 0), ("old:v1", 0)), (1.0, 0.0))
    assert (unknown.shown, unknown.scores) == ((("output-1", 0), ("output-2", 0)), (0.0, 1.0))
    first, second, *_ = verdicts(run, "J")
    assert (first.shown, first.scores, first.reply) == (known.shown, (1.0, 0.0), "(a)")
    assert (second.shown, second.scores, second.error) == (known.shown[::-1], (), 'unreadable: recorded as "None"')


def test_a_question_of_the_same_id_and_other_words_is_refused(tmp_path: Path) -> None:
    imported(tmp_path / "run", "qlora", jsonl(tmp_path / "q.jsonl", questions()))
    other = jsonl(tmp_path / "p.jsonl", [{"question_id": 1, "text": "Something else?"}])
    with pytest.raises(RunConflict, match="question '1' of qlora has other words"):
        imported(tmp_path / "run", "qlora", other)
    imported(tmp_path / "run", "qlora", other, flags=["--suite", "another"])
    assert list(Run(tmp_path / "run").manifest["suites"]) == ["qlora", "another"]


def test_another_verdict_of_the_same_judge_on_the_same_pair_is_refused(tmp_path: Path) -> None:
    imported(tmp_path / "run", "alpaca-eval", jsonl(tmp_path / "a.json", [alpaca(1)]))
    with pytest.raises(RunConflict, match=r"b\.json: row 1: the run holds another verdict of judge"):
        imported(tmp_path / "run", "alpaca-eval", jsonl(tmp_path / "b.json", [alpaca(2)]))


def test_votes_of_unnamed_people_are_counted_and_importing_them_again_adds_none(tmp_path: Path) -> None:
    def votes(path: Path, *scores: int) -> Path:
        return jsonl(path, [{"question_id": 1, "text": "Question 1?", "score": score} for score in scores])

    stem = "answer_old-vs-answer_new-human-reviewer_threeclass.jsonl"
    first, second = votes(tmp_path / "one" / stem, 1, 1, 2), votes(tmp_path / "two" / stem, 1)
    run = imported(tmp_path / "run", "prd", first)
    run = imported(tmp_path / "run", "prd", second)
    imported(tmp_path / "run", "prd", first, second)
    found = verdicts(run, "human@votes")
    assert [(each.sample, each.scores) for each in found] == [
        (0, (1.0, 0.0)), (1, (1.0, 0.0)), (2, (0.0, 1.0)), (3, (1.0, 0.0))
    ]  # fmt: skip
    assert found[0].shown == (("old", 0), ("new", 0))


def test_equal_pairs_in_two_rows_stay_two_pairs(tmp_path: Path) -> None:
    pair = {"prompt": "p", "response 1": "x", "response 2": "y"}
    test = jsonl(tmp_path / "test.jsonl", [{**pair, "label": 0}, {**pair, "label": 1}])
    said = jsonl(tmp_path / "out.jsonl", [{"output": 0}, {"output": "?"}])
    exchanged = jsonl(tmp_path / "out_exchange.jsonl", [{"output": 0}, {"output": 2}])
    run = imported(tmp_path / "run", "auto-j", test)
    run = imported(tmp_path / "run", "auto-j", said, exchanged)
    run = imported(tmp_path / "run", "auto-j", test, said, exchanged)
    shown = [each.shown for each in verdicts(run, "human@gold")]
    assert shown == [(("output-1", 0), ("output-2", 0)), (("output-1", 1), ("output-2", 1))]
    assert [(each.shown, each.scores) for each in verdicts(run, "auto-j")] == [
        (shown[0], (1.0, 0.0)), (shown[1], ()), (shown[0][::-1], (1.0, 0.0)), (shown[1][::-1], (0.5, 0.5))
    ]  # fmt: skip


# Other formats -------------------------------------------------------------------------------------------------------


def test_fairevals_labels_are_names_of_the_files_two_models(tmp_path: Path) -> None:
    files = vicuna(tmp_path, "unused.jsonl", [review(1, "a", "b", 3)])[:3]
    labels = tmp_path / "review_old_new_human.txt"
    labels.write_text("TIE\nNEW\n")
    run = imported(tmp_path / "run", "faireval", *files, labels)
    assert [(each.shown, each.scores) for each in verdicts(run)] == [
        ((("old:v1", 0), ("new:v2", 0)), (0.5, 0.5)), ((("old:v1", 0), ("new:v2", 0)), (0.0, 1.0))
    ]  # fmt: skip
    labels.write_text("NEW\nCHATBOT\n")
    run = imported(tmp_path / "two", "faireval", *files, labels)
    assert {name for each in verdicts(run) for name, _ in each.shown} == {"old:v1", "new:v2"}
    labels.write_text("NEW\nWRONG\nCHATBOT\n")
    files[0] = jsonl(tmp_path / "questions.jsonl", questions(3))
    with pytest.raises(UserError, match=r"human\.txt: row \d: unknown label"):
        imported(tmp_path / "three", "faireval", *files, labels)


def test_pandalms_garbage_is_unscored_or_with_compat_a_tie(tmp_path: Path) -> None:
    row = {"instruction": "i", "input": "", "response1": True, "response2": "y", "annotator1": 1, "annotator2": 0}
    test = jsonl(tmp_path / "t.json", [{**row, "idx": 0, "cmp_key": "m_n"}, {**row, "idx": 1, "cmp_key": "o"}])
    judge = jsonl(tmp_path / "j.json", [{"idx": 0, "gpt_result": "2"}, {"idx": 1, "gpt_result": "garbage"}])
    one, two = verdicts(imported(tmp_path / "run", "pandalm", test, judge), "gpt")
    assert (one.shown, one.scores) == ((("m", 0), ("n", 0)), (0.0, 1.0))
    assert (two.shown, two.scores) == ((("output-1", 0), ("output-2", 0)), ())
    _, two = verdicts(imported(tmp_path / "compat", "pandalm", test, judge, flags=["--compat"]), "gpt")
    assert (two.scores, two.reply) == ((0.5, 0.5), 'unreadable: recorded as "garbage"')
    with pytest.raises(UserError, match="--compat has no effect with qlora"):
        imported(tmp_path / "no", "qlora", test, flags=["--compat"])


def test_fastchats_grades_and_games_are_read_in_their_orders(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question_id": 81, "model": "m", "judge": ["gpt-4", "single-v1"], "judgment": "[[11]]", "score": 11,
         "turn": 1},
        {"question_id": 81, "model": "m", "judge": ["gpt-4", "single-v1-multi-turn"], "score": -1, "turn": 2},
        {"question_id": 81, "model_1": "m", "model_2": "n", "g1_winner": "model_2", "g2_winner": "error",
         "judge": ["gpt-4", "pair-v2"], "g1_judgment": "[[B]]", "turn": 1},
        {"question_id": 81, "model_a": "m", "model_b": "n", "winner": "tie", "judge": "expert_3", "turn": 2,
         "conversation_a": [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1"}],
         "conversation_b": [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "b1"}]},
    ]  # fmt: skip
    question = {"question_id": 81, "category": "writing", "turns": ["q1"]}
    run = imported(tmp_path / "run", "fastchat", jsonl(tmp_path / "f.jsonl", [question, *rows]))
    found = [(each.judge, each.turn, each.shown, each.scores) for each in verdicts(run)]
    m, n = ("m", 0), ("n", 0)
    assert sorted(found) == sorted([
        ("gpt-4", 1, (m,), (11.0,)), ("gpt-4", 2, (m,), ()), ("gpt-4", 1, (m, n), (0.0, 1.0)),
        ("gpt-4", 1, (n, m), ()), ("human@expert_3", 2, (m, n), (0.5, 0.5)),
    ])  # fmt: skip
    assert run.answers("n")["fastchat", "81", "n", 0].turns == ("b1",)


def test_arena_hards_first_game_shows_the_baseline_first_and_much_better_weighs_three(tmp_path: Path) -> None:
    games = [{"score": "A>>B", "judgment": "[[A>>B]]"}, {"score": None}]
    rows: list[dict[str, Any]] = [
        {"uid": "u", "prompt": "p", "cluster": "c"},
        {"uid": "u", "ans_id": "x", "model": "new",
         "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": {"answer": "said"}}]},
        {"question_id": "u", "model": "new", "judge": "gpt-4-1106", "games": games},
        {"uid": "u", "model": "new", "judge": "other", "baseline": "ref",
         "games": [{"score": "B>A"}, {"score": "A=B"}]},
    ]  # fmt: skip
    file = jsonl(tmp_path / "f.jsonl", rows)
    with pytest.raises(UserError, match=r"row 3: does not say whom the model met; name it with --baseline MODEL"):
        imported(tmp_path / "none", "arena-hard", file)
    run = imported(tmp_path / "run", "arena-hard", file, flags=["--baseline", "gpt-4-0314"])
    one, two = verdicts(run, "gpt-4-1106")
    assert (one.shown, one.scores, one.scale) == ((("gpt-4-0314", 0), ("new", 0)), (3.0, 0.0), (0.0, 3.0))
    assert (two.shown, two.scores) == ((("new", 0), ("gpt-4-0314", 0)), ())
    assert [each.scores for each in verdicts(run, "other")] == [(0.0, 1.0), (0.0, 0.0)]
    assert verdicts(run, "other")[0].shown == (("ref", 0), ("new", 0))


def test_lm_evals_samples_keep_prompt_answer_and_every_metric(tmp_path: Path) -> None:
    folder = tmp_path / "org__model"
    stamp = "2026-01-01T00-00-00.123"
    generated: dict[str, Any] = {
        "doc_id": 0, "doc": {"q": "2+2?"}, "target": "4",
        "arguments": {"gen_args_0": {"arg_0": "Q: 2+2?", "arg_1": {}}},
        "resps": [["The answer is 4."]], "filtered_resps": ["4"], "filter": "strict-match", "metrics": ["exact_match"],
        "exact_match": 1.0, "doc_hash": "h",
    }  # fmt: skip
    flexible = {**generated, "filter": "flexible-extract", "exact_match": 0.0}
    chosen = {"doc_id": 0, "doc": {"subject": "law"}, "target": 1, "arguments": [["Q", " A"], ["Q", " B"]],
              "resps": [[[-3.0, False]], [[-1.0, False]]], "filtered_resps": [[-3.0, False], [-1.0, False]],
              "acc": 1.0, "acc_norm": 0.0, "perplexity": 12.5}  # fmt: skip
    files = [jsonl(folder / f"samples_gsm8k_{stamp}.jsonl", [generated, flexible]),
             jsonl(folder / f"samples_mmlu_law_{stamp}.jsonl", [chosen])]  # fmt: skip
    run = imported(tmp_path / "run", "lm-eval", *files)
    assert {(each.suite, each.dimension, each.scores[0]) for each in verdicts(run)} == {
        ("gsm8k", "exact_match strict-match", 1.0), ("gsm8k", "exact_match flexible-extract", 0.0),
        ("mmlu_law", "acc", 1.0), ("mmlu_law", "acc_norm", 0.0), ("mmlu_law", "perplexity", 12.5),
    }  # fmt: skip
    assert run.answers("org/model")["gsm8k", "0", "org/model", 0].turns == ("The answer is 4.",)
    assert run.answers("org/model")["mmlu_law", "0", "org/model", 0].turns == (" B",)
    item = run.items("mmlu_law")["0"]
    assert (item.turns, item.choices, item.category, item.reference) == (("Q",), (" A", " B"), "law", ("1",))
    results = jsonl(
        folder / f"results_{stamp}.json", [{"results": {}, "config": {"model_args": "pretrained=o/n,dtype=x"}}]
    )
    assert set(imported(tmp_path / "named", "lm-eval", *files, results).manifest["models"]) == {"o/n"}


def test_evalplus_solutions_alike_stay_two_samples(tmp_path: Path) -> None:
    passed = {"solution": "pass", "base_status": "pass", "plus_status": "fail"}
    file = tmp_path / "m_eval_results.json"
    file.write_text(json.dumps({"date": "d", "hash": "h", "eval": {"HumanEval/0": [passed, passed]}}))
    run = imported(tmp_path / "run", "evalplus", file)
    run = imported(tmp_path / "run", "evalplus", file)
    assert len(run.answers("m")) == 2
    found = {(each.dimension, each.shown[0][1]): each.scores for each in verdicts(run)}
    assert found == {("accuracy_base", 0): (1.0,), ("accuracy", 0): (0.0,), ("accuracy_base", 1): (1.0,),
                     ("accuracy", 1): (0.0,)}  # fmt: skip


# Bad input and what follows ------------------------------------------------------------------------------------------

PAIR = {"pair_id": "p", "question": "q", "response_A": "a", "response_B": "b", "source": "s"}
UNKNOWN: dict[str, tuple[str, Rows]] = {
    "alpaca-eval": ("preference", [alpaca(1), alpaca(2.5)]),
    "pandalm": ("annotator1", [
        {"idx": at, "instruction": "i", "response1": "x", "response2": "y", "annotator1": label}
        for at, label in enumerate((1, "one"))
    ]),
    "llmbar": ("label", [{"input": "i", "output_1": "x", "output_2": "y", "label": label} for label in (1, 3)]),
    "auto-j": ("label", [{"prompt": "i", "response 1": "x", "response 2": "y", "label": label} for label in (1, 3)]),
    "judgebench-scalerlab": ("label", [{**PAIR, "label": label} for label in ("A>B", "A")]),
    "fastchat": ("g1_winner", [
        {"question_id": 1, "model_1": "a", "model_2": "b", "judge": "j", "g1_winner": who, "g2_winner": "tie"}
        for who in ("model_1", "me")
    ]),
    "qlora": ("score", [{**answers("m", {1: "x"})[0]}, review(1, "m", "m", 7)]),
    "prd": ("score", [{"question_id": 1, "text": "q", "score": score} for score in (1, 4)]),
    "arena-hard": ("score", [
        {"uid": "1", "model": "m", "baseline": "b", "judge": "j", "games": [{"score": score}]} for score in ("A>B", "A")
    ]),
}  # fmt: skip


@pytest.mark.parametrize("format", UNKNOWN)
def test_an_unknown_label_is_an_error_that_names_file_row_and_column(format: str, tmp_path: Path) -> None:
    column, rows = UNKNOWN[format]
    file = jsonl(tmp_path / "answer_a-vs-answer_b-human-reviewer.jsonl", rows)
    with pytest.raises(UserError, match=rf"reviewer\.jsonl: row 2: unknown label .* in '{column}'"):
        imported(tmp_path / "run", format, file)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("format", plugins.BUILT_IN["importers"])
def test_a_file_of_another_form_is_an_error_that_names_the_row(format: str, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "f.jsonl", [{"question_id": "1", "nothing": 1}])
    with pytest.raises(UserError, match=r"f\.jsonl: row 1: is no row of"):
        imported(tmp_path / "run", format, file)


def test_formats_and_broken_files_are_told_plainly(tmp_path: Path) -> None:
    good = jsonl(tmp_path / "a.jsonl", [alpaca(1)])
    with pytest.raises(UserError, match="no importer is called 'alpaca': did you mean 'alpaca-eval'"):
        imported(tmp_path / "run", "alpaca", good)
    (tmp_path / "b.json").write_text('{"instruction": ')
    with pytest.raises(UserError, match=r"b\.json:1: is not JSON"):
        imported(tmp_path / "run", "alpaca-eval", tmp_path / "b.json")
    with pytest.raises(UserError, match="--name 'x' is not OLD=NEW"):
        imported(tmp_path / "run", "alpaca-eval", good, flags=["--name", "x"])
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(json.dumps(alpaca(1)).encode()))
    assert len(verdicts(imported(tmp_path / "run", "alpaca-eval", tmp_path / "c.jsonl.gz"))) == 1


def test_an_imported_run_is_rated_reported_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [review(at, *order, [score, 5]) for at in (1, 2) for order, score in (("ab", 7), ("ba", 4))]
    files = vicuna(tmp_path, "r.jsonl", rows)
    run = imported(tmp_path / "run", "fastchat", *files, flags=["--judge", "gpt-4"])
    before = {path.name: path.read_bytes() for path in run.path.glob("**/*.jsonl")}
    assert main(["import", "fastchat", *map(str, files), str(run.path), "--judge", "gpt-4"]) == 0
    assert (
        "0 questions, 0 answers, 0 verdicts added to fastchat; 4 verdicts were there already" in capsys.readouterr().out
    )
    assert {path.name: path.read_bytes() for path in run.path.glob("**/*.jsonl")} == before
    assert main(["rate", str(run.path), "--quiet"]) == 0
    assert main(["report", str(run.path), "--quiet"]) == 0
    assert "old:v1" in (run.path / "report.md").read_text()
    summary = json.loads((run.path / "summary.json").read_bytes())
    (row,) = summary["pairs"]
    assert (row["left"], row["wins"], row["win_rate"], row["n"]) == ("new:v2", 0, 0.0, 2)
    sums = {each["shown_first"]: (each["n"], each["left_sum"], each["right_sum"]) for each in summary["score_sums"]}
    assert sums == {"left": (2, 8.0, 10.0), "right": (2, 10.0, 14.0), "either": (4, 18.0, 24.0)}
    assert main(["compare", str(run.path), "new:v2", "old:v1"]) == 0
    manifest = run.manifest["imports"]
    assert {each["file"] for each in manifest.values()} == {path.name for path in files}
    assert all(len(digest) == 64 for digest in manifest)


def test_each_readable_order_is_a_game_under_the_policy_each(tmp_path: Path) -> None:
    rows = [review(1, "a", "b", 1), review(1, "b", "a", 1), review(2, "a", "b", 2), review(2, "b", "a", -1)]
    run = imported(tmp_path / "run", "qlora", *vicuna(tmp_path, "r.jsonl", rows), flags=["--judge", "j"])
    assert main(["rate", str(run.path), "--quiet", "--swap-policy", "each", "--max-unscored", "1"]) == 0
    (row,) = json.loads((run.path / "summary.json").read_bytes())["pairs"]
    assert (row["n"], row["wins"], row["losses"], row["left_out"], row["clusters"]) == (3, 2, 1, 1, 2)


@pytest.mark.data
def test_mt_benchs_single_grades_come_out_as_in_the_worked_example(data_dir: Path, tmp_path: Path) -> None:
    """O32: turns are pooled, -1 is left out."""
    example = json.loads((data_dir.parent / "oracles/O32_mtbench_single.json").read_bytes())
    rows = [{"judge": ["gpt-4", "single-math-v1" if row["category"] == "math" else "single-v1"], **row}
            for row in example["inputs"]]  # fmt: skip
    asked = [{"question_id": id, "category": name, "turns": [f"{id}a", f"{id}b"]}
             for id, name in {row["question_id"]: row["category"] for row in rows}.items()]  # fmt: skip
    run = imported(tmp_path / "run", "fastchat", jsonl(tmp_path / "f.jsonl", [*asked, *rows]))
    assert main(["rate", str(run.path), "--quiet", "--max-unscored", "1"]) == 0
    grades = {row["model"]: row["value"] for row in json.loads((run.path / "summary.json").read_bytes())["grades"]}
    assert grades == pytest.approx(example["expected"]["average"])
    assert sum(not each.scores for each in verdicts(run)) == example["expected"]["n_dropped"]


def test_python_imports_what_the_command_line_imports(tmp_path: Path) -> None:
    import judgebench

    file = jsonl(tmp_path / "annotations.json", [])
    file.write_text(json.dumps([alpaca(1.25)]))
    found = judgebench.import_files(tmp_path / "r", "alpaca-eval", [file], names={"new": "newer"})
    assert (found.items, found.answers, found.verdicts) == (1, 2, 1)
    run = imported(tmp_path / "s", "alpaca-eval", file, flags=["--name", "new=newer"])
    assert list(Run(tmp_path / "r").verdicts().values()) == list(run.verdicts().values())
    with pytest.raises(UserError, match="given as a list"):
        judgebench.import_files(tmp_path / "r", "alpaca-eval", str(file))
