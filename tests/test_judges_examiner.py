"""LM-Examiner: questions and follow-ups become a suite, answers are graded without a reference, peers are a panel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.judges.examiner import Examined, ExaminerJudge
from judgebench.rubrics import load_rubric
from judgebench.runs import Run
from judgebench.suites import check_suite
from judgebench.types import Answer, Item, Matchup, Reply, Request


def examined(
    reply: Callable[[str], Reply | str], count: int = 2, follow_ups: int = 0
) -> tuple[Examined, list[list[Request]]]:
    talk, asked = ExaminerJudge("e", load_rubric("lm-examiner")).examine("physics", count, follow_ups), []
    try:
        requests = next(talk)
        while True:
            asked.append(requests)
            said = [reply(one.messages[-1].content) for one in requests]
            requests = talk.send([Reply(text=one) if isinstance(one, str) else one for one in said])
    except StopIteration as end:
        return end.value, asked


def examiner(prompt: str) -> str:
    if "exam questions on the domain" in prompt:
        return "1. Why is ice light?\n2. What is heat?\n3. Why is ice  light?\n"
    if "Answer the last question" in prompt:
        return "<think>hm</think>Because of bonds." if "ice" in prompt else "Motion."
    return "How strong are they?" if "Because of bonds." in prompt else "- And cold?"


def test_follow_ups_build_on_the_examiners_own_answer_and_become_turns() -> None:
    found, asked = examined(examiner, follow_ups=1)
    assert found.items == (("Why is ice light?", "How strong are they?"), ("What is heat?", "And cold?"))
    assert found.notes == ()
    assert [len(step) for step in asked] == [1, 2, 2]
    assert "Write 2 exam questions" in asked[0][0].messages[-1].content
    assert "<think>" not in asked[2][0].messages[-1].content
    found, asked = examined(examiner, follow_ups=2)
    assert [len(item) for item in found.items] == [3, 3]
    assert "[Turn 2] How strong are they?" in asked[3][0].messages[-1].content


def test_repeated_questions_count_once_and_what_is_missing_is_said() -> None:
    found, _ = examined(examiner, count=5)
    assert [item[0] for item in found.items] == ["Why is ice light?", "What is heat?"]
    assert found.notes == ("2 questions of 5 wanted (3 listed, repeated ones left out)",)
    found, _ = examined(examiner, count=1)
    assert found.items == (("Why is ice light?",),)
    assert found.notes == ("2 questions listed, the first 1 taken",)


@pytest.mark.parametrize("reply", ["I cannot.", "", Reply(finish="error", error="timeout: 9 s")])
def test_an_examiner_without_a_list_gives_no_question_and_the_reason(reply: Reply | str) -> None:
    found, asked = examined(lambda prompt: reply, follow_ups=1)
    assert found.items == ()
    assert found.error == (reply.error if isinstance(reply, Reply) else "unreadable: no list of questions")
    assert len(asked) == 1


def test_a_follow_up_that_cannot_be_read_leaves_its_question_alone() -> None:
    def unclear(prompt: str) -> str:
        said = examiner(prompt)
        return "One?\nTwo?" if "follow-up" in prompt and "bonds" in prompt else said

    found, _ = examined(unclear, follow_ups=1)
    assert found.items == (("Why is ice light?",), ("What is heat?", "And cold?"))
    assert found.notes == ("1 follow-ups could not be read: those questions stay without",)


GRADES = '{"reasoning": "so", "accuracy": 4, "coherence": 5, "factuality": 3, "comprehensiveness": 2, "overall": 4}'


def test_grades_are_read_for_each_dimension_and_prose_is_unscored() -> None:
    item = Item(id="1", turns=("Why is ice light?",))
    rubric = load_rubric("lm-examiner")
    case = Matchup(
        suite="s", item=item, turn=1, shown=(Answer(suite="s", item="1", model="a", turns=("Bonds.",)),),
        dimensions=tuple(rubric.dimensions),
    )  # fmt: skip
    for said, scores in ((GRADES, (4.0, 5.0, 3.0, 2.0, 4.0)), ("A fine answer.", None), (GRADES.replace("2", "9"), 4)):
        talk = ExaminerJudge("e", rubric).deliberate(case)
        (request,) = next(talk)
        assert "Bonds." in request.messages[-1].content
        with pytest.raises(StopIteration) as end:
            talk.send([Reply(text=said)])
        readings = end.value.value
        if isinstance(scores, tuple):
            assert tuple(readings[name].scores[0] for name in rubric.dimensions) == scores
        else:
            assert readings["comprehensiveness"].scores == ()
            assert readings["comprehensiveness"].error.startswith("unreadable: ")


SCRIPT = """\
import json


def answer(chat):
    return "Bonds." if len(chat) == 1 else "Very."


def examiner(chat, grade=4):
    prompt = chat[-1]["content"]
    if "exam questions on the domain" in prompt:
        return "1. Why is ice light?\\n2. What is heat?"
    if "Answer the last question" in prompt:
        return "So."
    if "follow-up question" in prompt:
        return "How come?"
    names = ("accuracy", "coherence", "factuality", "comprehensiveness", "overall")
    return json.dumps({"reasoning": "", **dict.fromkeys(names, grade)})


def strict(chat):
    return examiner(chat, 2)


def mute(chat):
    return "No."
"""


def test_examiners_write_a_suite_that_a_run_takes_and_grade_it_as_peers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, out = tmp_path / "script.py", tmp_path / "exam.yaml"
    script.write_text(SCRIPT)
    judges = [f"--judge={name}=scripted/{script}:{name}" for name in ("examiner", "strict")]
    args = ["examine", str(out), *judges, "--domain", "physics", "--questions", "2", "--follow-ups", "1"]
    assert main(args) == 0
    assert "4 questions on physics, written by examiner, strict" in capsys.readouterr().out
    suite = check_suite(out)
    assert suite.name == "exam"
    run = tmp_path / "run"
    more = ["--model", f"m=scripted/{script}:answer", *judges, "--rubric", "lm-examiner", "--quiet"]
    assert main(["run", str(run), "--suite", str(out), *more]) == 0
    items = Run(run).items("exam")
    assert [item.turns for item in items.values()] == [
        ("Why is ice light?", "How come?"), ("What is heat?", "How come?"),
    ] * 2  # fmt: skip
    assert [item.meta["examiner"] for item in items.values()] == ["examiner"] * 2 + ["strict"] * 2
    assert main(["rate", str(run), "--quiet", "--panel", "peers=examiner,strict"]) == 0
    grades = json.loads((run / "summary.json").read_text())["grades"]
    means = {(row["judge"], row["dimension"]): row["value"] for row in grades}
    assert means["panel@peers", "overall"] == 3.0
    with pytest.raises(UserError, match="exists: give another name"):
        main(args)


def test_mistakes_are_said_before_anyone_is_asked_and_no_question_is_no_file(tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "exam.yaml"
    script.write_text(SCRIPT)
    judge = ["--judge", f"j=scripted/{script}:mute"]
    for args, message in (
        ([str(out), *judge], "at least one --judge and one --domain"),
        ([str(out), *judge, "--domain", "x", "--questions", "0"], "--questions 0: must be at least 1"),
        ([str(tmp_path / "exam"), *judge, "--domain", "x"], "is written as FILE.yaml"),
        ([str(out), *judge, "--domain", "x", "--rubric", "pointwise-general"], "'examiner' writes questions"),
        ([str(out), *judge, "--domain", "x", "--quiet"], "nothing is written"),
    ):
        with pytest.raises(UserError, match=message):
            main(["examine", *args])
    assert not out.exists()
