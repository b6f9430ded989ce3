"""Every training stage and adapter on tiny random models: a step or two each, and what their first losses must be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_train import SHORT, chats, jsonl, pairs, reply, trained
from tiny_models import CHATML, tiny_checkpoint

from judgebench.backends.hf import HFBackend
from judgebench.backends.vllm import VLLMBackend
from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.train import losses
from judgebench.types import Message, Model, Reply, Request, Sampling


def ranked() -> list[dict[str, Any]]:
    return [{"prompt": f"{i}+1?", "responses": [f"{i + 1}", f"{i}", "banana"], "scores": [3, 2, 1]} for i in range(4)]


def marked() -> list[dict[str, Any]]:
    return [{"prompt": f"{i}+1?", "completion": f"{i + 1}", "label": i % 2 == 0} for i in range(4)]


def asked() -> list[dict[str, Any]]:
    return [{"prompt": f"{i}+1?", "reference": str(i + 1)} for i in range(4)]


def first_logprob(folder: Path) -> float:
    backend = HFBackend(Model(name="m", backend="hf", id=str(folder)))
    request = Request(
        id="1", messages=(Message(role="user", content="a"),), sampling=Sampling(max_tokens=1, logprobs=1)
    )
    [(_, said)] = list(backend.generate([request]))
    return said.logprobs[0].logprob


def test_the_first_kto_loss_is_one_half(tmp_path: Path) -> None:
    record = trained(tmp_path, "kto", jsonl(tmp_path / "d.jsonl", marked()))
    assert record.loss["first"] == pytest.approx(0.5, abs=1e-6)
    both = trained(tmp_path, "kto", jsonl(tmp_path / "p.jsonl", pairs()), name="pairs")
    assert both.used == 12  # a good and a bad one of each of the six


@pytest.mark.parametrize("stage", ["orpo", "simpo", "language"])
def test_the_stages_over_pairs_train_and_hf_serves_what_they_write(tmp_path: Path, stage: str) -> None:
    record = trained(tmp_path, stage, jsonl(tmp_path / "d.jsonl", pairs()), template=CHATML)
    assert record.steps == 2
    assert math.isfinite(record.loss["last"] or math.nan)
    assert reply(tmp_path / "run/models/x") is not None


def parent_logps(parts: list[tuple[str, bool]]) -> tuple[list[float], list[float]]:
    """The parent's log-probabilities of the tokens of texts put together and the end: of the marked parts, and of all.

    Worked out apart from the code under test: a byte is a token of this tokenizer, BOS comes first and EOS last.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint(""))
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint("")).eval()
    ids = [0, *tokenizer("".join(text for text, _ in parts), add_special_tokens=False)["input_ids"], 1]
    marks = [mark for text, mark in parts for _ in text.encode()] + [True]
    assert len(ids) == len(marks) + 1
    with torch.inference_mode():
        logps = model(torch.tensor([ids])).logits.log_softmax(-1)[0]
    every = [float(logps[place, token]) for place, token in enumerate(ids[1:])]
    return [each for each, mark in zip(every, marks, strict=True) if mark], every


PAIR = {"prompt": "3+1?", "chosen": "44 is it", "rejected": "no"}


def means() -> tuple[float, float, float]:
    """Mean log-probability of a token of PAIR's better answer, of the worse, and of prompt and better answer."""
    better, whole = parent_logps([("3+1?", False), ("44 is it", True)])
    worse, _ = parent_logps([("3+1?", False), ("no", True)])
    return sum(better) / len(better), sum(worse) / len(worse), sum(whole) / len(whole)


def first_loss(tmp_path: Path, stage: str, rows: list[dict[str, Any]], *more: str) -> float:
    data = jsonl(tmp_path / "one.jsonl", rows)
    loss = trained(tmp_path, stage, data, "--steps", "1", *more, name=stage).loss["first"]
    assert loss is not None
    return loss


@pytest.mark.parametrize("loss", ["rrhf", "pro", "slic"])
def test_rank_trains_by_the_loss_of_whole_lists(tmp_path: Path, loss: str) -> None:
    found = [parent_logps([("0+1?", False), (text, True)])[0] for text in ranked()[0]["responses"]]
    by_hand = getattr(losses, loss)([sum(each) for each in found], [len(each) for each in found], [3, 2, 1])
    assert first_loss(tmp_path, "rank", ranked()[:1], "--loss", loss) == pytest.approx(float(by_hand), rel=1e-4)


def test_simpo_and_orpo_begin_at_their_formulas(tmp_path: Path) -> None:
    better, worse, whole = means()
    assert first_loss(tmp_path, "simpo", [PAIR], "--gamma", "0.5") == pytest.approx(
        float(losses.simpo([better], [worse], beta=2.0, gamma=0.5)), rel=1e-4
    )
    # TRL takes the likelihood of the prompt into ORPO's first term, as its authors' code does.
    assert first_loss(tmp_path, "orpo", [PAIR], "--beta", "0.3") == pytest.approx(
        float(losses.orpo([better], [worse], beta=0.3)) + better - whole, rel=1e-4
    )


def test_ipo_begins_at_its_square(tmp_path: Path) -> None:
    assert first_loss(tmp_path, "dpo", [PAIR], "--loss", "ipo", "--beta", "0.25") == pytest.approx(4.0, abs=1e-5)


def test_hindsight_learns_both_answers_in_both_orders_and_nothing_of_what_asks_for_them(tmp_path: Path) -> None:
    poor_first = [("3+1?\n\nGive a poor answer.\n", False), ("no\n", True), ("Give a good answer.\n", False),
                  ("44 is it\n", True)]  # fmt: skip
    good_first = [("3+1?\n\nGive a good answer.\n", False), ("44 is it\n", True), ("Give a poor answer.\n", False),
                  ("no\n", True)]  # fmt: skip
    learned = [logp for told in (poor_first, good_first) for logp in parent_logps(told)[0]]
    assert first_loss(tmp_path, "language", [PAIR]) == pytest.approx(-sum(learned) / len(learned), rel=1e-4)


def test_conditional_cloning_begins_at_its_formula(tmp_path: Path) -> None:
    rows = [{"prompt": "3+1?", "completion": "44 is it", "label": True},
            {"prompt": "3+1?", "completion": "no", "label": False}]  # fmt: skip
    good, _ = parent_logps([("3+1?\n\nGive a good answer.\n", False), ("44 is it", True)])
    bad, _ = parent_logps([("3+1?\n\nGive a poor answer.\n", False), ("no", True)])
    by_hand = -(sum(good) / len(good) + 0.25 * sum(bad) / len(bad)) / 2
    found = first_loss(tmp_path, "language", rows, "--method", "conditional", "--bad-weight", "0.25")
    assert found == pytest.approx(by_hand, rel=1e-4)


def test_pro_wants_scores_that_fall_strictly(tmp_path: Path) -> None:
    equal = [{**row, "scores": [1, 1, 1]} for row in ranked()]
    with pytest.raises(UserError, match="scores must fall strictly"):
        trained(tmp_path, "rank", jsonl(tmp_path / "e.jsonl", equal), "--loss", "pro", name="equal")


def test_conditional_cloning_trains_on_marked_answers(tmp_path: Path) -> None:
    record = trained(tmp_path, "language", jsonl(tmp_path / "d.jsonl", marked()), "--method", "conditional")
    assert record.used == 4
    assert "Give a good answer." in record.notes[-1]


def test_a_reward_model_gives_rewards_and_is_refused_as_a_model_that_writes(tmp_path: Path) -> None:
    trained(tmp_path, "reward", jsonl(tmp_path / "p.jsonl", pairs()), name="judge")
    folder = tmp_path / "run/models/judge"
    for backend in (HFBackend, VLLMBackend):
        with pytest.raises(UserError, match="scores texts and writes none"):
            backend(Model(name="m", backend="hf", id=str(folder)))
    data = jsonl(tmp_path / "d.jsonl", asked())
    more = ["--reward-model", str(folder), "--k", "2", "--max-new-tokens", "4", "--keep-truncated"]
    record = trained(tmp_path, "raft", data, *more, name="best")
    assert any(note.startswith("rewards: ") and note.endswith(" 0 unscored") for note in record.notes)
    best = [json.loads(line) for line in (tmp_path / "run/models/best/best.jsonl").read_text().splitlines()]
    assert {row["prompt"] for row in best} <= {row["prompt"] for row in asked()}


def test_raft_teaches_no_answer_that_was_cut_off_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replies(self: HFBackend, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        for place, request in enumerate(requests):
            texts = {0: ("11", "stop"), 1: ("1", "length"), 2: ("no", "stop"), 3: ("2", "length")}
            text, finish = texts.get(place, (" ", "stop"))
            yield request, Reply(text=text, finish=finish)  # type: ignore[arg-type]

    monkeypatch.setattr(HFBackend, "generate", replies)
    data = jsonl(tmp_path / "d.jsonl", asked())
    more = ["--scorer", "number", "--k", "2", "--max-new-tokens", "4"]
    monkeypatch.setattr("trl.SFTTrainer.train", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, "raft", data, *more)
    monkeypatch.undo()
    record = trained(tmp_path, "raft", data, *more)  # goes on with the answers chosen before the kill
    best = [json.loads(line) for line in (tmp_path / "run/models/x/best.jsonl").read_text().splitlines()]
    assert [(row["prompt"], row["completion"]) for row in best] == [("0+1?", "11"), ("1+1?", "no")]
    assert record.notes == (
        "4 of 8 answers are empty and are left out",
        "2 of 8 answers were cut off at the token limit and are left out",
        "rewards: 2 scored, 0 unscored",
        "2 of 2 best answers have the reward 0, the lowest there is, and are taught too",
        "2 prompts had no answer with a reward, and are left out",
    )


def killed(*given: Any, **more: Any) -> None:
    raise KeyboardInterrupt


def test_raft_says_what_to_raise_where_every_answer_was_cut_off(tmp_path: Path) -> None:
    more = ["--scorer", "number", "--k", "2", "--max-new-tokens", "2"]
    with pytest.raises(
        UserError, match=r"8 of 8 answers were cut off .*raise --max-new-tokens \(now 2\), or --keep-tr"
    ):
        trained(tmp_path, "raft", jsonl(tmp_path / "d.jsonl", asked()), *more)


@pytest.mark.parametrize(
    ("stage", "more"),
    [("rloo", ["--scorer", "number"]), ("grpo", ["--judge", "baseline/overlap", "--rubric", "pointwise-reference"])],
)
def test_the_online_stages_learn_from_a_scorer_or_a_judge(tmp_path: Path, stage: str, more: list[str]) -> None:
    data = jsonl(tmp_path / "d.jsonl", asked())
    record = trained(tmp_path, stage, data, *more, "--generations", "2", "--max-new-tokens", "4", "--steps", "1")
    assert record.notes == ("rewards: 2 scored, 0 unscored",)
    assert record.steps == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "a reward is needed, and one only"),
        (["--scorer", "numbr"], "did you mean 'number'"),
        (["--judge", "baseline/overlap", "--rubric", "pairwise-general"], "a reward is of one answer"),
        (["--scorer", "number", "--generations", "3"], "must divide --batch-size"),
    ],
)
def test_a_reward_that_cannot_be_is_said_before_anything_is_loaded(tmp_path: Path, more: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        trained(tmp_path, "rloo", jsonl(tmp_path / "d.jsonl", asked()), *more)


def test_ppo_says_that_rloo_takes_its_place() -> None:
    with pytest.raises(UserError, match="judgebench rloo"):
        main(["ppo", "run", "--model", "hf/m", "--data", "d.jsonl", "--name", "x"])


def test_adaloras_ranks_change_and_keep_their_sum(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    record = trained(tmp_path, "dpo", data, "--peft", "adalora", "--rank", "2", "--steps", "4")
    [note] = [note for note in record.notes if note.startswith("AdaLoRA's ranks")]
    total, matrices, low, high = [int(word) for word in note.replace(",", "").split() if word.isdigit()]
    assert total == 2 * matrices
    assert low < high
    assert record.merged
    assert reply(tmp_path / "run/models/x") is not None


def test_a_reward_model_trained_by_qlora_gives_rewards(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    assert trained(tmp_path, "reward", jsonl(tmp_path / "p.jsonl", pairs()), "--peft", "qlora", name="judge").merged
    more = ["--reward-model", str(tmp_path / "run/models/judge"), "--generations", "2", "--max-new-tokens", "2"]
    record = trained(tmp_path, "rloo", jsonl(tmp_path / "d.jsonl", asked()), *more, "--steps", "1")
    assert record.notes == ("rewards: 2 scored, 0 unscored",)


@pytest.mark.parametrize("kind", ["dora", "ia3", "qlora"])
def test_adapters_that_can_be_merged_are_and_serve_as_models(tmp_path: Path, kind: str) -> None:
    if kind == "qlora":
        pytest.importorskip("bitsandbytes")
    record = trained(tmp_path, "sft", jsonl(tmp_path / "d.jsonl", chats()), "--peft", kind, template=CHATML)
    assert record.merged
    assert not (tmp_path / "run/models/x/adapter_config.json").exists()
    assert reply(tmp_path / "run/models/x") is not None


def test_a_lora_adapter_kept_apart_answers_in_hf_as_the_merged_one(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", chats())
    lora = ["--peft", "lora", "--rank", "4", "--learning-rate", "0.05"]
    apart = trained(tmp_path, "sft", data, *lora, "--no-merge", template=CHATML, name="apart")
    trained(tmp_path, "sft", data, *lora, template=CHATML, name="merged")
    assert not apart.merged
    said = reply(tmp_path / "run/models/apart")
    assert said == reply(tmp_path / "run/models/merged")
    assert said != reply(tiny_checkpoint(CHATML))


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
def test_virtual_tokens_serve_in_hf_alone_and_vllm_refuses_them_in_one_line(tmp_path: Path, kind: str) -> None:
    data = jsonl(tmp_path / "d.jsonl", chats())
    more = ["--peft", kind, "--virtual-tokens", "3"]
    record = trained(tmp_path, "sft", data, *more, template=CHATML)
    folder = tmp_path / "run/models/x"
    assert not record.merged
    assert first_logprob(folder) != pytest.approx(first_logprob(tiny_checkpoint(CHATML)), abs=1e-4)
    with pytest.raises(
        UserError, match=r"an adapter of type .*_TUNING, which cannot be merged: hf serves it"
    ) as caught:
        VLLMBackend(Model(name="m", backend="vllm", id=str(folder)))
    assert "\n" not in str(caught.value)


def test_a_hub_or_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    with pytest.raises(UserError, match="only a checkpoint can be trained"):
        main(["dpo", str(tmp_path / "run"), "--model", "openai/x", "--data", data, "--name", "x", *SHORT])
