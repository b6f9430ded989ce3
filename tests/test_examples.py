"""The two tiny checkpoints of the demo: what they are, that they load and run, and what they have never read."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
CHECKPOINTS = ("tiny-base", "tiny-tuned")
SPECIAL = ("<unk>", "<pad>", "<bos>", "<eos>", "<|user|>", "<|assistant|>")

sys.path.insert(0, str(EXAMPLES))
import checkpoint_data  # noqa: E402
import held_out  # noqa: E402
import measure  # noqa: E402
import task_texts  # noqa: E402
import tiny_model  # noqa: E402

HELD = held_out.held_out()
TOKENIZERS = {
    name: transformers.AutoTokenizer.from_pretrained(EXAMPLES / name, local_files_only=True) for name in CHECKPOINTS
}


def items(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((ROOT / "suites" / f"mini-{name}.yaml").read_text("utf-8"))["items"]


def header(checkpoint: Path) -> dict[str, Any]:
    """The table of tensors at the head of a safetensors file."""
    with (checkpoint / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))


@pytest.fixture(scope="module", params=CHECKPOINTS)
def loaded(request: pytest.FixtureRequest) -> tuple[str, Any, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(EXAMPLES / request.param, local_files_only=True)
    return request.param, model, TOKENIZERS[request.param]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_bfloat16_and_at_most_two_megabytes(name: str) -> None:
    table = header(EXAMPLES / name)
    assert {entry["dtype"] for key, entry in table.items() if key != "__metadata__"} == {"BF16"}
    assert (EXAMPLES / name / "model.safetensors").stat().st_size <= 2_000_000


def test_everything_under_examples_is_at_most_five_megabytes() -> None:
    tracked = [path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in tracked) <= 5_000_000


def test_a_checkpoint_loads_offline_with_at_most_a_million_parameters_and_a_long_context(
    loaded: tuple[str, Any, Any],
) -> None:
    _, model, tokenizer = loaded
    assert sum(weight.numel() for weight in model.parameters()) <= 1_000_000
    assert model.dtype == torch.bfloat16
    assert model.config.max_position_embeddings >= 16_384
    assert model.config.vocab_size == len(tokenizer)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids("<eos>")
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id


def test_a_prompt_of_12000_characters_gives_finite_logits(loaded: tuple[str, Any, Any]) -> None:
    _, model, tokenizer = loaded
    shots = "Question: What is 21 + 34?\nAnswer: 55\n\nThe following is a question about astronomy (with answers).\n"
    prompt = (shots * 200)[:12_000]
    batch = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        logits = model(**batch, logits_to_keep=4).logits
    assert batch["input_ids"].shape == (1, 12_001)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", CHECKPOINTS)
@given(text=st.text(st.characters(max_codepoint=127), max_size=200))
@settings(max_examples=60, deadline=None)
def test_ascii_text_comes_back_from_the_tokenizer_as_it_was(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode(text, add_special_tokens=False)
    if not any(mark in text for mark in SPECIAL):
        assert len(ids) == len(text)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("name", CHECKPOINTS)
@given(text=st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_unicode_text_is_one_token_a_character(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    if not any(mark in text for mark in SPECIAL):
        assert len(tokenizer.encode(text, add_special_tokens=False)) == len(text)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_an_unknown_character_is_the_unknown_token_and_a_text_begins_with_one_bos(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    assert tokenizer.encode("é龍", add_special_tokens=False)[1] == tokenizer.unk_token_id
    assert tokenizer.encode("ab")[0] == tokenizer.bos_token_id
    assert tokenizer.encode("ab")[1:] == tokenizer.encode("ab", add_special_tokens=False)
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}) == 4


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_has_a_chat_template_that_shows_a_system_message_as_a_users(name: str) -> None:
    chat = [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye"},
    ]  # fmt: skip
    shown = TOKENIZERS[name].apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert shown == "<bos><|user|>Be kind.<|user|>Hi<|assistant|>Hello.<eos><|user|>Bye<|assistant|>"


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_what_is_learned_of_a_chat_are_its_replies_each_with_its_end(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    chat = checkpoint_data.row((("Hi", "Hello."), ("Bye", "Ciao.")))["messages"]
    shown = tokenizer.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
    learned = [token for token, mine in zip(shown["input_ids"], shown["assistant_masks"], strict=True) if mine]
    assert tokenizer.decode(learned) == "Hello.<eos>Ciao.<eos>"
    assert tokenizer.chat_template == tiny_model.CHAT_TEMPLATE


@pytest.fixture(scope="module")
def read() -> list[str]:
    """Every text that the two checkpoints were trained on."""
    texts: list[str] = []
    for name, step in checkpoint_data.STEPS.items():
        made = checkpoint_data.texts_of(name, HELD)
        assert len(made) == step.texts
        texts += ["\n".join(part for asked in text for part in asked) for text in made]
    return texts


def test_no_training_text_holds_a_question_or_a_turn_of_a_mini_suite(read: list[str]) -> None:
    asked = [item["question"] for item in items("math") + items("code")]
    asked += [held_out.with_choices(item["question"], item["choices"]) for item in items("choice")]
    asked += [turn for item in items("chat") for turn in item["turns"]]
    whole = "\n\n".join(" ".join(text.lower().split()) for text in read)
    assert [question for question in asked if " ".join(question.lower().split()).rstrip(".?") in whole] == []


def test_no_training_text_adds_or_subtracts_the_two_numbers_of_an_item(read: list[str]) -> None:
    tried = yaml.safe_load((EXAMPLES / "judge-held-out.yaml").read_text("utf-8"))["items"]
    asked = [sorted(map(int, re.findall(r"\d+", item["question"]))) for item in items("math") + tried]
    held = {(numbers[0], numbers[1]) for numbers in asked if len(numbers) == 2}
    seen: set[tuple[int, int]] = set()
    stories = 0
    for text in read:
        found = re.findall(r"(\d+) [+-] (\d+)\b", text)
        told = [tuple(re.findall(r"\d+", each.partition("\nAnswer:")[0])) for each in text.split("Question:")[1:]]
        assert {len(numbers) for numbers in told} <= {2}
        stories += len(told)
        seen |= {(min(pair), max(pair)) for pair in (tuple(map(int, numbers)) for numbers in found + told)}
    assert len(held) >= 80
    assert stories == sum(text.count("Answer:") for text in read) > 10_000
    assert len(seen) > 3_000
    assert seen & held == set()


def test_a_training_text_with_a_suite_item_in_it_is_refused() -> None:
    for question in ("What is  34 + 25?", "make it SHORTER", items("code")[0]["question"]):
        with pytest.raises(ValueError, match="holds the suite item"):
            checkpoint_data.checked([(("Hello.", f"{question} Yes."),)], HELD)


def test_the_general_form_of_a_function_sees_through_its_argument_name() -> None:
    item = next(item for item in items("code") if item["meta"]["entry_point"] == "add_37")
    assert held_out.instruction('def f(zebra):\n    """Return zebra plus 37."""\n') == held_out.instruction(
        item["question"]
    )


def test_the_tuned_checkpoint_is_clearly_better_than_the_base_on_sums_and_choices() -> None:
    accuracy = {}
    for name in CHECKPOINTS:
        hits = []
        for title in ("mini-choice", "mini-math"):
            suite = yaml.safe_load((ROOT / "suites" / f"{title}.yaml").read_text("utf-8"))
            replies = measure.replies_of(EXAMPLES / name, measure.prompts_of(suite), suite["stop"])
            hits += [
                measure.right(item, suite["scorer"], said) for item, said in zip(suite["items"], replies, strict=True)
            ]
        accuracy[name] = sum(hits) / len(hits)
    assert accuracy["tiny-tuned"] >= accuracy["tiny-base"] + 0.1


def test_the_untrained_model_is_what_the_committed_checkpoints_grew_from(tmp_path: Path) -> None:
    checkpoint_data.main(["--out", str(tmp_path), "--share", "0.001"])
    for name in CHECKPOINTS:
        begun, kept = header(tmp_path / "start"), header(EXAMPLES / name)
        assert {key: entry["shape"] for key, entry in begun.items() if key != "__metadata__"} == {
            key: entry["shape"] for key, entry in kept.items() if key != "__metadata__"
        }
        for file in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
            assert json.loads((tmp_path / "start" / file).read_text()) == json.loads(
                (EXAMPLES / name / file).read_text()
            ), file


def test_the_modules_under_test_are_those_of_this_checkout() -> None:
    modules: tuple[ModuleType, ...] = (checkpoint_data, held_out, measure, task_texts, tiny_model)
    assert {Path(module.__file__ or "").parent for module in modules} == {EXAMPLES}
