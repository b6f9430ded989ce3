"""Bad input to judging: what a judge, an endpoint or another tool's file can say that is no verdict."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from judgebench import plugins
from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.judges import compat, factscore, steps
from judgebench.judges.probability import label_preference, scale_score
from judgebench.ratings import checklists
from judgebench.rubrics import load_rubric
from judgebench.runs import Run
from judgebench.types import Answer, Item, Matchup, Reading, Reply, Sampling, TokenLogprob, Verdict

META = {
    "skill": ["Factuality"], "checklist": ["Is it short?"], "decomposed_questions": ["Is it short?"],
    "score_rubric": {"criteria": "c", **{f"score{at}_description": "d" for at in range(1, 6)}},
}  # fmt: skip
SAID = {
    "a refusal": "I'm sorry, but I can't help with that.", "prose": "Both have their merits; the first is longer.",
    "two verdicts": "[[A]] and [[B]]", "two levels": "[[A>>B]] or [[B>>A]]", "nan": "Rating: [[NaN]]",
    "eleven": "Rating: [[11/10]]", "eleven out of ten": "11 out of 10", "nothing": "", "white space": " \n\t ",
    "infinity": '{"helpfulness": 1e999, "accuracy": NaN, "language": null, "Factuality": Infinity}',
    "braces": "{" * 3000, "nan grades": "Score of the Assistant 1: nan\nScore of the Assistant 2: 11",
    "a number without end": "{'Factuality': 0x" + "f" * 5000 + "}",
    "off a rubric's scale": "Feedback: fine. [RESULT] 11",
}  # fmt: skip
RUBRICS = (
    "pairwise-mtbench", "pairwise-json", "pointwise-general", "flask", "mec", "evidence-pair", "arena-hard",
    "item-rubric", "ordinal-4", "pandalm", "lima-pairwise", "helpfulness-6", "checklist-tick", "alpaca-eval-2",
    "g-eval",
)  # fmt: skip


def heard(name: str, reply: Reply) -> dict[str, Reading]:
    rubric = load_rubric(name)
    judge = plugins.load("judges", rubric.made_by)("j", rubric)
    shown = tuple(
        Answer(suite="s", item="1", model=model, turns=(f"words of {model}",))
        for model in ("ab" if rubric.mode == "pairwise" else "a")
    )
    dimensions = ("factuality",) if name == "flask" else tuple(rubric.dimensions)
    item = Item(id="1", turns=("Why?",), reference=("So.",), meta=META)
    talk = judge.deliberate(
        Matchup(suite="s", item=item, turn=1, shown=shown, dimensions=dimensions, sampling=Sampling(max_tokens=9))
    )
    try:
        requests = next(talk)
        while True:
            requests = talk.send([reply for _ in requests])
    except StopIteration as end:
        found: dict[str, Reading] = dict(end.value)
        return found


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("name", RUBRICS)
def test_what_is_no_verdict_is_unscored_with_its_reason_in_every_rubric(name: str, said: str) -> None:
    for reading in heard(name, Reply(text=SAID[said])).values():
        assert reading.scores == ()
        assert reading.error.startswith("unreadable: ")


@pytest.mark.parametrize("name", [*RUBRICS, "pointwise-own-reference"])
def test_reasoning_that_never_ends_is_no_verdict(name: str) -> None:
    for reading in heard(name, Reply(text="<think>Is it A? [[A]] YES True\n- a fact")).values():
        assert reading.scores == ()
        assert reading.error.startswith("unreadable: ")


def test_a_step_whose_reasoning_never_ends_lists_nothing_and_says_nothing() -> None:
    assert steps.failed(Reply(text="<think>- a fact")) == "unreadable: the reasoning of a step never ended"
    assert steps.failed(Reply(text="<think>so</think>- a fact")) == ""
    assert steps.entries("<think>\n- a fact") == []
    assert steps.last_word("<think>True", ("True", "False")) == ""


def test_a_judges_reasoning_is_no_part_of_its_own_reference() -> None:
    rubric = load_rubric("pointwise-own-reference")
    judge = plugins.load("judges", rubric.made_by)("j", rubric)
    shown = (Answer(suite="s", item="1", model="a", turns=("words",)),)
    talk = judge.deliberate(
        Matchup(suite="s", item=Item(id="1", turns=("Why?",)), turn=1, shown=shown, dimensions=("overall",),
                sampling=Sampling(max_tokens=9))
    )  # fmt: skip
    next(talk)
    (request,) = talk.send([Reply(text="<think>hidden doubts</think>Because.", finish="length")])
    assert "Because." in request.messages[-1].content
    assert "hidden doubts" not in request.messages[-1].content
    assert sum(judge.remarks.values()) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, 800.0, 0.5])
def test_a_number_that_is_no_log_probability_makes_no_verdict(value: float) -> None:
    assert label_preference({"m": value, "M": -1.0}).p_first is None
    assert label_preference({"M": -0.2, "m": value}).preference is None
    assert scale_score({"4": value, "5": -1.0}).score is None
    for name, label in (("alpaca-eval-2", "m"), ("g-eval", "4")):
        token = TokenLogprob(token=label, logprob=value, top=((label, value), ("M", -1.0), ("5", -1.0)))
        for reading in heard(name, Reply(text=label, logprobs=(token,))).values():
            assert reading.scores == ()
            assert "for a log-probability" in reading.error


def test_numbers_of_other_tokens_and_certainty_a_little_above_zero_do_no_harm() -> None:
    assert label_preference({"m": 1e-6, "the": math.nan}).p_first == 1.0
    assert label_preference({"m": -math.inf, "M": -0.1}).p_first == 0.0
    assert scale_score({"4": 1e-6, "x": math.nan}).score == 4.0


def test_ranks_that_are_no_numbers_are_no_ranks() -> None:
    assert compat.alpaca_ranking("[{'model': 'model_1', 'rank': 1e999}]") is None


def test_words_that_only_begin_like_a_checklists_or_a_fact_judges_are_passed_over() -> None:
    for words in ('{"questions": 1}', '{"questions"', '{"facts": ["x"]}', '{"facts": [], "supported": ["yes"]}'):
        verdict = Verdict(suite="s", item="1", judge="j", rubric="r", shown=(("a", 0),), scores=(1.0,), reply=words)
        assert checklists.of_verdicts([verdict]) == {}
        assert factscore.of_verdicts([verdict]) == {}


def review(score: object) -> dict[str, Any]:
    return {"question_id": 1, "text": "q", "score": score}


def test_a_grade_recorded_as_nan_is_unscored_and_the_run_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a-vs-b-gpt-reviewer.jsonl"
    file.write_text(json.dumps(review([math.nan, 7])) + "\n")
    answers = [{"question_id": 1, "text": who, "answer_id": who, "model_id": who} for who in "ab"]
    texts = tmp_path / "answers.jsonl"
    texts.write_text("".join(json.dumps(each) + "\n" for each in answers))
    assert main(["import", "qlora", str(file), str(texts), str(tmp_path / "run"), "--quiet"]) == 0
    (verdict,) = Run(tmp_path / "run").verdicts().values()
    assert verdict.scores == ()
    assert verdict.error == "unreadable: recorded as [NaN, 7]"


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("qlora", review([math.inf, 7])),
    ("alpaca-eval", {"instruction": "i", "output_1": "x", "output_2": "y", "generator_1": "a", "generator_2": "b",
                     "annotator": "j", "preference": math.inf}),
    ("fastchat", {"question_id": 1, "model": "a", "judge": "j", "score": math.inf}),
    ("fastchat", {"question_id": 1, "model": "a", "judge": "j", "score": 7, "turn": "second"}),
    ("fastchat", {"question_id": 1, "model": "a", "judge": "j", "score": 7, "turn": 0}),
    ("fastchat", {"question_id": 1, "answer_id": "x", "model_id": "a", "choices": [{}]}),
    ("fastchat", {"question_id": 1, "answer_id": "x", "model_id": "a", "choices": "words"}),
    ("fastchat", {"question_id": 1, "model_a": "a", "model_b": "b", "winner": "tie", "judge": "p",
                  "conversation_a": ["Hi"], "conversation_b": ["Ho"]}),
    ("arena-hard", {"uid": "1", "model": "m", "baseline": "b", "judge": "j", "games": ["A>B"]}),
    ("arena-hard", {"uid": "1", "model": "m", "ans_id": "x", "messages": ["Hi"]}),
    ("arena-hard", {"uid": "1", "model": "m", "ans_id": "x", "choices": [{"index": 0}]}),
    ("judgebench-scalerlab", {"pair_id": "1", "question": "q", "response_A": "x", "response_B": "y", "label": "A>B",
                              "judge_name": "j", "judgments": ["A>B"]}),
    ("judgebench-scalerlab", {"pair_id": "1", "question": "q", "response_A": "x", "response_B": "y", "label": "A>B",
                              "judge_name": "j", "judgments": [{"decision": "A>B", "judgment": "words"}]}),
    ("evalplus", {"eval": {"HumanEval/0": ["pass"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("format", "row"), BROKEN)
def test_a_row_that_is_broken_inside_is_an_error_that_names_it_and_leaves_no_run(
    format: str, row: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "a-vs-b-human-reviewer.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=r"reviewer\.jsonl: row 1: "):
        main(["import", format, str(file), str(tmp_path / "run"), "--quiet"])
    assert not (tmp_path / "run").exists()
