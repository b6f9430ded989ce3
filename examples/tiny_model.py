"""The tiny models before any training: their tokenizer, their untrained weights, and how both are written."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ("<unk>", "<pad>", "<bos>", "<eos>", "<|user|>", "<|assistant|>")
UNK, PAD, BOS, EOS, USER, ASSISTANT = range(6)
BEYOND_ASCII = "äöüßÄÖÜéèêàçñáíóúøåæœ–—‘’“”…·×÷°€£§½¼±≤≥≠√πµ"
CONTEXT = 16384
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|assistant|>' }}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ '<|user|>' + message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The replies, each with its end, are marked as what is learned."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character: ASCII and some letters beyond it, all else ``<unk>``; ``<bos>`` is put in front."""
    characters = [chr(code) for code in range(128)] + list(BEYOND_ASCII)
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", BOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", bos_token="<bos>", eos_token="<eos>",
        additional_special_tokens=["<|user|>", "<|assistant|>"], clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT, padding_side="left",
    )  # fmt: skip


def make_model(vocabulary: int) -> LlamaForCausalLM:
    """An untrained Llama of 0.5 M parameters with rotary positions for 16,384 characters."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=96, intermediate_size=288, num_hidden_layers=4, num_attention_heads=3,
        num_key_value_heads=3, max_position_embeddings=CONTEXT, tie_word_embeddings=True, attention_bias=False,
        bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD, rms_norm_eps=1e-5,
        initializer_range=0.06,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the checkpoint in bfloat16, to which the model's weights are rounded on the way."""
    model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD, do_sample=False, max_new_tokens=256
    )
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    written = json.loads(settings.read_text("utf-8"))
    written["tokenizer_class"] = "PreTrainedTokenizerFast"  # known to transformers before 5 as well
    settings.write_text(json.dumps(written, indent=2) + "\n", "utf-8")
