"""AlignScore-style consistency: chunks, sentences, the mean of maxima, a tiny classifier, and what is refused."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from judgebench import cli
from judgebench.errors import BackendError, UserError
from judgebench.judges.consistency import ConsistencyJudge, alignment, chunked, sentences
from judgebench.judges.passages import tokens
from judgebench.rubrics import load_rubric, with_options
from judgebench.runs import Run
from judgebench.types import Answer, Item, Matchup, Message, Model, Reading, Reply, Request, TokenLogprob

LABELS = ("contradiction", "neutral", "entailment")


def labelled(chance: float, labels: tuple[str, ...] = LABELS) -> Reply:
    """A classifier's reply with this chance on the last label, the rest shared."""
    rest = (1 - chance) / (len(labels) - 1)
    top = tuple((label, math.log(chance if label == labels[-1] else rest)) for label in labels)
    return Reply(text=labels[-1], logprobs=(TokenLogprob(token=labels[-1], logprob=top[-1][1], top=top),))


def judge_of(**options: Any) -> ConsistencyJudge:
    given = {f"consistency.{key}": value for key, value in options.items()}
    return ConsistencyJudge("j", with_options(load_rubric("consistency"), given))


def matchup(text: str, reference: str = "It rained. The match was off.", **meta: object) -> Matchup:
    item = Item(id="1", turns=("What happened?",), reference=(reference,) if reference else (), meta=meta)
    shown = (Answer(suite="s", item="1", model="a", turns=(text,)),)
    return Matchup(suite="s", item=item, turn=1, shown=shown, dimensions=("consistency",))


def hear(
    judge: ConsistencyJudge, case: Matchup, reply: Callable[[str, str], Reply]
) -> tuple[Reading, list[tuple[str, str]]]:
    talk, asked = judge.deliberate(case), []
    try:
        requests = next(talk)
        while True:
            pairs = [(one.messages[0].content, one.messages[1].content) for one in requests]
            asked += pairs
            requests = talk.send([reply(*pair) for pair in pairs])
    except StopIteration as end:
        return end.value["consistency"], asked


# The number


def test_each_sentence_counts_with_its_best_chunk() -> None:
    found = alignment([[0.1, 0.9, 0.9], [0.3, 0.2, 0.0]])
    assert (found.score, found.sentences, found.chunks) == (pytest.approx(0.6), (0.9, 0.3), (1, 0))
    assert alignment([]).score is None
    for wrong in ([[]], [[1.2]], [[math.nan]]):
        with pytest.raises(UserError):
            alignment(wrong)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "no." Then he left.', ['He said "no.', "Then he left."]),
        ("- a point\n- another\n\n...", ["- a point", "- another"]),
        ("天气很好。我们去公园！好吗？", ["天气很好。", "我们去公园！", "好吗？"]),
        ("3.5 metres", ["3.5 metres"]),
        ("", []),
    ],
)
def test_sentences_end_at_marks_and_lines(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_chunks_keep_sentences_whole_are_of_about_one_size_and_lose_no_word() -> None:
    text = " ".join(f"Sentence {number} has exactly six words." for number in range(100))
    found = chunked(text, 350)
    assert [word for chunk in found for word in tokens(chunk)] == tokens(text)
    assert len(found) == 2
    assert max(len(tokens(chunk)) for chunk in found) <= 350
    assert abs(len(tokens(found[0])) - len(tokens(found[1]))) <= 12
    assert chunked("word " * 900) == ["word " * 899 + "word"]


# The judge


def test_every_sentence_meets_every_chunk_and_the_best_counts() -> None:
    def reply(premise: str, claim: str) -> Reply:
        return labelled(0.9 if claim.split()[-1] in premise else 0.2)

    reading, asked = hear(judge_of(words="3"), matchup("So it rained. It was sunny."), reply)
    assert asked == [
        ("It rained.", "So it rained."), ("The match was off.", "So it rained."),
        ("It rained.", "It was sunny."), ("The match was off.", "It was sunny."),
    ]  # fmt: skip
    assert reading.scores == pytest.approx(((0.9 + 0.2) / 2,))
    assert '"sentences":["So it rained.","It was sunny."]' in reading.reply


def test_the_context_is_the_reference_the_question_or_a_field() -> None:
    for option, premise in (("reference", "It rained. The match was off."), ("question", "What happened?"),
                            ("source.text", "From the field.")):  # fmt: skip
        case = matchup("Yes.", source={"text": "From the field."})
        _, asked = hear(judge_of(context=option), case, lambda one, two: labelled(0.5))
        assert asked == [(premise, "Yes.")]
    assert judge_of().needs_reference
    reading, asked = hear(judge_of(context="source"), matchup("Yes."), lambda one, two: labelled(0.5))
    assert (asked, reading.error) == ([], "item lacks: no 'source' in its meta")


def test_a_label_of_another_name_is_found_or_asked_for() -> None:
    other = ("SUPPORTS NOT", "Aligned")
    reading, _ = hear(judge_of(), matchup("Yes."), lambda one, two: labelled(0.7, other))
    assert reading.scores == pytest.approx((0.7,))
    bare = ("LABEL_1", "LABEL_0")
    reading, _ = hear(judge_of(), matchup("Yes."), lambda one, two: labelled(0.7, bare))
    assert reading.error == (
        "unreadable: which label means support? --option consistency.label says so; there are LABEL_0, LABEL_1"
    )
    reading, _ = hear(judge_of(label="label_0"), matchup("Yes."), lambda one, two: labelled(0.7, bare))
    assert reading.scores == pytest.approx((0.7,))


def test_no_sentence_no_labels_and_failed_calls_are_unscored() -> None:
    reading, asked = hear(judge_of(), matchup("..."), lambda one, two: labelled(0.5))
    assert (asked, reading.error) == ([], "unreadable: the answer claims nothing: it holds no sentence")
    reading, _ = hear(judge_of(), matchup("Yes."), lambda one, two: Reply(text="entailment"))
    assert reading.error.endswith("there are none")
    failing = Reply(finish="error", error="context: 600 tokens")
    reading, _ = hear(judge_of(), matchup("Yes. No."), lambda one, two: failing if two == "No." else labelled(0.9))
    assert (reading.scores, reading.error) == ((), "context: 600 tokens")


# The classifier


@cache
def tiny_classifier(labels: tuple[str, ...] = LABELS, architecture: str = "bert", *, padded: bool = True) -> Path:
    """Folder of a random classifier with a byte-level tokenizer, made from a config."""
    import torch
    from tiny_models import _save_tokenizer
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

    folder = Path(tempfile.mkdtemp(prefix="judgebench-tiny-classifier-"))
    size = _save_tokenizer(folder, "", add_bos=True, special=True)
    if padded:
        AutoTokenizer.from_pretrained(folder, pad_token="</s>").save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64, initializer_range=0.5, id2label=dict(enumerate(labels)),
            label2id={label: at for at, label in enumerate(labels)},
        )  # fmt: skip
        model = BertForSequenceClassification(config) if architecture == "bert" else BertModel(config)
    model.save_pretrained(folder)
    return folder


def classifier(folder: Path, **options: Any) -> Any:
    from judgebench.backends.classifier import ClassifierBackend

    return ClassifierBackend(Model(name="c", backend="classifier", id=str(folder), options=options))


def pair(number: int, *texts: str) -> Request:
    return Request(id=str(number), messages=tuple(Message(role="user", content=text) for text in texts))


@pytest.mark.parametrize("padded", [True, False])
def test_a_classifiers_probabilities_are_those_of_each_pair_alone(padded: bool) -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny_classifier(padded=padded)
    texts = [("rain", "it rained"), ("a", "b"), ("x" * 70, "too long"), ("sun", "dry")]
    opened = classifier(folder, batch_size="2")
    found = {request.id: reply for request, reply in opened.generate(pair(n, *one) for n, one in enumerate(texts))}
    assert found["2"].error == "context: premise and claim have 80 tokens, more than the model's 64"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for number in (0, 1, 3):
        with torch.inference_mode():
            inputs = tokenizer(*texts[number], return_tensors="pt")
            wanted = model(**inputs).logits[0].log_softmax(-1).tolist()
        top = dict(found[str(number)].logprobs[0].top)
        assert [top[label] for label in LABELS] == pytest.approx(wanted, abs=1e-5)
        assert found[str(number)].text == max(top, key=lambda label: top[label])
    ((_, alone),) = opened.generate([pair(9, "only one")])
    assert alone.error.startswith("model: a classifier takes two messages")
    opened.close()
    opened.close()


def test_what_is_no_classifier_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(UserError, match="there is no folder"):
        classifier(tmp_path / "none")
    with pytest.raises(UserError, match="BertModel is no classifier"):
        classifier(tiny_classifier(architecture="plain"))
    with pytest.raises(UserError, match="it has one output"):
        classifier(tiny_classifier(("score",)))
    with pytest.raises(UserError, match="unknown option 'batch'"):
        classifier(tiny_classifier(), batch=1)
    with pytest.raises((UserError, BackendError), match="device='cuda:99'"):
        list(classifier(tiny_classifier(), device="cuda:99").generate([pair(0, "a", "b")]))


SUITE = """\
name: news
version: "1"
license: CC0-1.0
items:
  - {id: one, turns: [What happened?], reference: [It rained.]}
"""


def test_a_run_grades_consistency_by_a_local_classifier(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "news.yaml").write_text(SUITE)
    (tmp_path / "script.py").write_text("def answer(chat):\n    return 'Rain. Sun.'\n")
    args = [
        "run", str(tmp_path / "run"), "--suite", str(tmp_path / "news.yaml"), "--rubric", "consistency", "--quiet",
        "--model", f"m=scripted/{tmp_path}/script.py:answer",
    ]  # fmt: skip
    with pytest.raises(UserError, match="needs labels of a premise and a claim, which the backend 'hf'"):
        cli.main([*args, "--judge", f"j=hf/{tiny_classifier()}"])
    assert cli.main([*args, "--judge", f"nli=classifier/{tiny_classifier()}"]) == 0
    run = Run(tmp_path / "run")
    (verdict,) = run.verdicts().values()
    assert 0 < verdict.scores[0] < 1
    assert verdict.usage.requests == 2
    assert run.manifest["judges"]["nli"]["loaded"]["labels"]["2"] == "entailment"


def test_a_chance_that_is_no_number_makes_no_verdict() -> None:
    top = (("contradiction", -1.0), ("entailment", math.nan))
    talk = judge_of().deliberate(matchup("It rained."))
    requests = next(talk)
    reply = Reply(text="entailment", logprobs=(TokenLogprob(token="entailment", logprob=math.nan, top=top),))
    with pytest.raises(StopIteration) as end:
        talk.send([reply for _ in requests])
    assert end.value.value["consistency"].error == "unreadable: 'entailment' has nan for a log-probability"
