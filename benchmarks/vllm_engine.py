"""Our run on vLLM against a bare ``LLM.generate`` on the same requests and the same engine.

    python benchmarks/vllm_engine.py --size 8b        # on a GPU: random weights of an 8B-class architecture
    VLLM_CPU_KVCACHE_SPACE=1 python benchmarks/vllm_engine.py --size tiny --requests 200 --max-tokens 32     # CPU build

Weights are vLLM's own dummy ones, so nothing is fetched. Both contenders use one engine in turn, its prefix cache
emptied before each: the floor gets the prompts as token ids in one call; ours is ``judgebench generate`` from the suite
to the answers on disk. Of a ratio of 1.00 nothing is lost to rendering, tokenising, decoding and writing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# In place of this folder, some of whose names are those of other modules.
sys.path[0] = str(Path(__file__).resolve().parent.parent / "tests")

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 260},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256},
}  # fmt: skip
"""Shapes of Llama models; ``8b`` is that of Llama 3 8B."""


def main() -> None:
    """Prints the two times of each round and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="8b")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--shared", type=int, default=128, help="of these, at the head of every prompt")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as scratch:
        measure(args, Path(scratch))


def measure(args: argparse.Namespace, scratch: Path) -> None:
    """Runs both contenders in turn and prints what they took."""
    from judgebench.backends.vllm import VLLMBackend
    from judgebench.backends.vllm_engine import version
    from judgebench.types import Model

    folder, suite = checkpoint(scratch / "model", args.size), suite_file(scratch / "speed.yaml", args)
    options: dict[str, Any] = {"load_format": "dummy", "dtype": "bfloat16" if args.size == "8b" else "float32",
                               "max_model_len": args.prompt_tokens + args.max_tokens + 64,
                               "enforce_eager": args.size == "tiny"}  # fmt: skip
    backend = VLLMBackend(Model(name="m", backend="vllm", id=str(folder), options=options))
    floor, prompts = bare(backend, suite, args)
    contenders: dict[str, Callable[[int], int]] = {
        "bare": lambda number: floor(),
        "ours": lambda number: ours(backend, suite, scratch / f"run-{number}"),
    }
    for contender in contenders.values():  # once for nothing: graphs, kernels, imports
        contender(-1)
    print(
        f"{version()}, torch {importlib.metadata.version('torch')}, {hardware()}; Llama of size {args.size}: "
        f"{len(prompts)} requests of {round(statistics.mean(map(len, prompts)))} tokens, {args.shared} of them shared, "
        f"and at most {args.max_tokens} new ones"
    )
    ratios, written, spent = [], {}, dict.fromkeys(contenders, 0.0)
    for number in range(args.rounds):
        taken = {}
        for name in list(contenders)[:: 1 if number % 2 else -1]:
            backend._engine._llm.reset_prefix_cache()  # type: ignore[union-attr]
            begin, used = time.perf_counter(), time.process_time()
            written[name] = contenders[name](number)
            taken[name] = time.perf_counter() - begin
            spent[name] += time.process_time() - used
        ratios.append(taken["bare"] / taken["ours"])
        print(f"round {number + 1}: bare {taken['bare']:.2f} s, ours {taken['ours']:.2f} s, ratio {ratios[-1]:.3f}")
    assert len(set(written.values())) == 1, f"the contenders wrote different numbers of tokens: {written}"
    print(f"median ratio {statistics.median(ratios):.3f}; {written['ours']} tokens written by each")
    each = {name: 1000 * seconds / args.rounds / args.requests for name, seconds in spent.items()}
    print(f"CPU of this process, engine apart: bare {each['bare']:.2f} ms a request, ours {each['ours']:.2f} ms")
    backend.close()


def bare(backend: Any, suite: Path, args: argparse.Namespace) -> tuple[Callable[[], int], list[list[int]]]:
    """A call of ``LLM.generate`` on the suite's prompts, which gives the tokens written, and the prompts."""
    from vllm import SamplingParams

    from judgebench.backends.local_sampling import settle
    from judgebench.backends.vllm_sampling import sampling_arguments
    from judgebench.types import Message, Request, Sampling

    llm = backend._load()._llm
    prompts, parameters = [], []
    for item in json.loads(suite.read_text())["items"]:
        messages = (Message(role="user", content=item["turns"][0]),)
        request = Request(id=item["id"], messages=messages, sampling=Sampling(max_tokens=args.max_tokens))
        prompts.append(backend._chat.prompt(messages)[0])
        parameters.append(SamplingParams(**sampling_arguments(settle(request, backend.options, {}), backend._ends)))

    def call() -> int:
        asked = [{"prompt_token_ids": prompt} for prompt in prompts]
        outputs = llm.generate(asked, parameters, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    return call, prompts


def ours(backend: Any, suite: Path, folder: Path) -> int:
    """Tokens written by ``judgebench generate`` for the suite."""
    from judgebench.runs import Run
    from judgebench.stages.answering import generate, load_suites
    from judgebench.stages.settings import Settings

    settings = Settings(suite=(str(suite),))
    run = Run(folder, create=True)
    generate(run, load_suites(settings, quiet=True), [backend.model], settings, {("model", "m"): backend}, quiet=True)
    return sum(answer.usage.completion_tokens for answer in run.answers().values())


def checkpoint(folder: Path, size: str) -> Path:
    """A folder with a config and a tokenizer of bytes, and no weights."""
    from tiny_models import _save_tokenizer
    from transformers import LlamaConfig

    folder.mkdir()
    _save_tokenizer(folder, "", add_bos=True, special=True)
    LlamaConfig(
        **SIZES[size], max_position_embeddings=8192, architectures=["LlamaForCausalLM"], bos_token_id=0, eos_token_id=1
    ).save_pretrained(folder)
    return folder


def suite_file(path: Path, args: argparse.Namespace) -> Path:
    """A suite of prompts that begin alike; a byte is a token."""
    draw = random.Random(1)

    def text(length: int) -> str:
        return "".join(draw.choices("abcdefghijklmnopqrstuvwxyz ,.", k=length))

    head = text(args.shared)
    items = [
        {"id": str(n), "turns": [f"{head}{text(args.prompt_tokens - args.shared - 8)}{n:06d}."]}
        for n in range(args.requests)
    ]
    sampling = {"temperature": 0, "max_tokens": args.max_tokens}
    path.write_text(json.dumps({"name": "speed", "version": "1", "sampling": sampling, "items": items}))
    return path


def hardware() -> str:
    """The GPU's name, or the number of cores."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"


if __name__ == "__main__":
    main()
