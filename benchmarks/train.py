"""Training stages beside TRL's own trainers on the same rows, in one process: ``python benchmarks/train.py``.

Each round trains a small random Llama by ``judgebench`` (the whole stage: reading, checking, tokenising, training,
checkpoints, weights and record) and by TRL alone (``Dataset.from_list``, trainer, ``train()``, ``save_model()``) with
the same settings, in an order that alternates. Printed are medians and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from judgebench.cli import main as judgebench
from judgebench.train.quiet import quiet_libraries

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def parent(folder: Path, width: int) -> Path:
    """A random Llama over bytes with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(["<s>", "</s>", *letters])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=258, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=1024, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def rows(stage: str, count: int) -> list[dict[str, object]]:
    """Conversations for ``sft``, pairs for ``dpo``."""
    made: list[dict[str, object]] = []
    for number in range(count):
        question = [{"role": "user", "content": f"What are {number} and {number % 7} together? " * 3}]
        good = [{"role": "assistant", "content": f"They are {number + number % 7} together. " * 3}]
        bad = [{"role": "assistant", "content": f"I would say {number} or so. " * 4}]
        pair = {"prompt": question, "chosen": good, "rejected": bad}
        made.append(pair if stage == "dpo" else {"prompt": question, "completion": good})
    return made


def by_trl(stage: str, model: Path, data: list[dict[str, object]], out: Path, batch: int) -> None:
    """TRL's own trainer with the settings of the stage."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    shared = {
        "output_dir": str(out), "per_device_train_batch_size": batch, "num_train_epochs": 1, "learning_rate": 1e-4,
        "logging_steps": 10, "save_strategy": "steps", "save_steps": 100, "save_total_limit": 1, "bf16": False,
        "use_cpu": True, "gradient_checkpointing": False, "report_to": "none", "disable_tqdm": True,
        "max_length": None, "dataloader_pin_memory": False,
    }  # fmt: skip
    trainer, config = (DPOTrainer, DPOConfig) if stage == "dpo" else (SFTTrainer, SFTConfig)
    made = trainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"), args=config(**shared),
        train_dataset=Dataset.from_list(data), processing_class=AutoTokenizer.from_pretrained(model),
    )  # fmt: skip
    made.train()
    made.save_model(str(out / "final"))


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    return time.process_time() - began


def main() -> None:
    """Prints, for each stage, CPU seconds of both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=128)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)  # threads that wait for one another spin, which counts as CPU time
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = parent(folder / "parent", args.width)
        for stage in ("sft", "dpo"):
            data = rows(stage, args.rows)
            file = folder / f"{stage}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")

            def ours(name: str, stage: str = stage, file: Path = file) -> None:
                judgebench([
                    stage, str(folder / "run"), "--model", f"hf/{model}", "--data", str(file), "--name", name,
                    "--epochs", "1", "--batch-size", str(args.batch), "--learning-rate", "1e-4", "--quiet",
                    "--device", "cpu",
                ])  # fmt: skip

            def theirs(name: str, stage: str = stage, data: list[dict[str, object]] = data) -> None:
                with quiet_libraries():
                    by_trl(stage, model, data, folder / name, args.batch)

            theirs(f"{stage}-warm")
            ours(f"{stage}-warm-ours")
            taken: list[tuple[float, float]] = []
            for number in range(args.rounds):
                pair = [(ours, f"{stage}-ours-{number}"), (theirs, f"{stage}-trl-{number}")]
                spent = {}
                for work, name in pair if number % 2 else pair[::-1]:
                    spent[work] = seconds(lambda work=work, name=name: work(name))
                taken.append((spent[ours], spent[theirs]))
            ratio = statistics.median(a / b for a, b in taken)
            ours_s, theirs_s = (statistics.median(each) for each in zip(*taken, strict=True))
            spread = f"{min(a / b for a, b in taken):.3f} to {max(a / b for a, b in taken):.3f}"
            print(f"{stage}: judgebench {ours_s:.2f} CPU s, TRL {theirs_s:.2f} CPU s, ratio {ratio:.3f} ({spread})")


if __name__ == "__main__":
    main()
