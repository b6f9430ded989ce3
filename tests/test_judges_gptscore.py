"""GPTScore: the log-probability of the answer's own tokens, on a tiny model, in a run; and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from judgebench import cli
from judgebench.errors import UserError
from judgebench.judges.gptscore import LogLikelihoodJudge, reading_of
from judgebench.judges.probability import sequence_score
from judgebench.rubrics import check_rubric, load_rubric
from judgebench.runs import Run
from judgebench.types import Answer, ChoiceReply, ChoiceScore, Item, Matchup

SHIPPED = Path(__file__).parent.parent / "rubrics" / "gptscore.yaml"


def matchup(text: str = "Paris.", dimension: str = "fluency", turn: int = 1) -> Matchup:
    item = Item(id="1", turns=("Capital of France?", "And of Spain?"))
    shown = (Answer(suite="s", item="1", model="a", turns=("Paris.", text)[-turn:] if turn == 1 else ("Paris.", text)),)
    return Matchup(suite="s", item=item, turn=turn, shown=shown, dimensions=(dimension,))


def asked(case: Matchup) -> Any:
    judge = LogLikelihoodJudge("j", load_rubric("gptscore"))
    (request,) = next(judge.deliberate(case))
    return request


def test_only_the_answer_is_scored_and_it_stands_in_no_prompt() -> None:
    request = asked(matchup("It is Lutetia. "))
    assert request.choices == ("It is Lutetia.",)
    (message,) = request.messages
    assert message.content.endswith("Answer:\n")
    assert "fluent and free of errors" in message.content
    assert "coherent" not in message.content
    assert "Lutetia" not in message.content


def test_a_second_turn_scores_its_own_reply_behind_both_questions() -> None:
    request = asked(matchup("Madrid.", turn=2))
    assert request.choices == ("Madrid.",)
    assert "And of Spain?" in request.messages[0].content


def test_the_score_is_the_mean_over_tokens() -> None:
    reading = reading_of(ChoiceReply(choices=(ChoiceScore(logprob=-6.0, tokens=4, bytes=11),)))
    assert (reading.scores, reading.scale) == ((-1.5,), (-20.0, 0.0))
    assert reading.reply == "log-probability -6.000000; tokens 4; bytes 11"
    assert sequence_score([-1, -2, -1, -2]).mean == -1.5


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (ChoiceReply(error="context: too long"), "context: too long"),
        (ChoiceReply(choices=(ChoiceScore(logprob=-math.inf, tokens=2, bytes=2),)), "unreadable: the log-probability"),
        (ChoiceReply(choices=(ChoiceScore(logprob=math.nan, tokens=2, bytes=2),)), "unreadable: the log-probability"),
    ],
)
def test_no_finite_log_probability_is_no_score(reply: ChoiceReply, error: str) -> None:
    reading = reading_of(reply)
    assert reading.scores == ()
    assert reading.error.startswith(error)


def test_an_empty_answer_is_unscored_and_never_asked_about() -> None:
    judge = LogLikelihoodJudge("j", load_rubric("gptscore"))
    with pytest.raises(StopIteration) as end:
        next(judge.deliberate(matchup("  ")))
    assert end.value.value["fluency"].error.startswith("unreadable: the answer is empty")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  {answer}", "  {answer}\n  The end.", "the prompt must end with {answer}"),
        ("  Question:\n", "  {answer}\n  Question:\n", "hold it only there"),
        ("ask: each\n", "", "one aspect a prompt: say ask: each"),
        ("ask: each\n", "ask: each\noptions: {a: 1}\n", "takes neither steps nor options"),
    ],
)
def test_a_prompt_that_does_not_end_with_the_answer_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = SHIPPED.read_text()
    assert text.count(old) == 1
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as caught:
        LogLikelihoodJudge("j", check_rubric(path))
    assert message in str(caught.value)


# A run

SUITE = "name: qa\nversion: '1'\nlicense: CC0-1.0\nitems:\n  - {id: one, turns: [Capital of France?]}\n"
SCRIPT = "def good(chat):\n    return 'Paris it is.'\n\n\ndef empty(chat):\n    return ' '\n"


def run(tmp_path: Path, judge: str, *more: str) -> Run:
    (tmp_path / "qa.yaml").write_text(SUITE)
    (tmp_path / "script.py").write_text(SCRIPT)
    models = [f"--model={name}=scripted/{tmp_path}/script.py:{name}" for name in ("good", "empty")]
    code = cli.main(
        ["run", str(tmp_path / "run"), "--suite", str(tmp_path / "qa.yaml"), *models, "--rubric", "gptscore", "--quiet",
         "--judge", judge, "--max-unscored", "1", *more]
    )  # fmt: skip
    assert code == 0
    return Run(tmp_path / "run")


def test_a_tiny_model_gives_the_sum_that_a_plain_forward_pass_gives(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import tiny_checkpoint
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny_checkpoint()
    found = run(tmp_path, f"tiny=hf/{folder}")
    verdicts = {(v.shown[0][0], v.dimension): v for v in found.verdicts().values()}
    prompt = asked(matchup(dimension="fluency")).messages[0].content
    assert "Capital of France?" in prompt
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    before = tokenizer(prompt)["input_ids"]
    whole = tokenizer(prompt + "Paris it is.")["input_ids"]
    with torch.inference_mode():
        chances = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    wanted = [float(chances[at - 1, whole[at]]) for at in range(len(before), len(whole))]
    score = verdicts["good", "fluency"]
    assert score.scores == pytest.approx((sequence_score(wanted).mean,), abs=1e-4)
    assert f"tokens {len(wanted)};" in score.reply
    assert score.usage.requests == 1
    assert verdicts["good", "coherence"].scores != score.scores
    assert verdicts["empty", "fluency"].error.startswith("unreadable: the answer is empty")
    assert [r.value for r in found.ratings() if r.dimension == "fluency"] == pytest.approx([score.scores[0]])


def test_a_backend_without_log_probabilities_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs log-probabilities of a given text, which the backend 'scripted'.*hf, "):
        run(tmp_path, f"j=scripted/{tmp_path}/script.py:good")
    assert not (tmp_path / "run").exists()
