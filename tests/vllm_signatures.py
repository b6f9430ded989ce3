"""Reads the signatures of vLLM off its source, for tests/golden/vllm_signatures.json: names, kinds and defaults.

    python -m pip download --no-deps --no-binary :all: vllm==0.31.0     # or unpack a wheel
    python tests/vllm_signatures.py 0.26.0=DIR 0.31.0=DIR 0.33.0=DIR > tests/golden/vllm_signatures.json

DIR holds the folder ``vllm``. Nothing of it is imported or run: the source is only parsed.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FUNCTIONS = {
    "LLM.__init__": "entrypoints/llm.py",
    "LLM.enqueue": "entrypoints/llm.py",
    "LLM.generate": "entrypoints/llm.py",
    "LLM.chat": "entrypoints/llm.py",
    "LLMEngine.step": "v1/engine/llm_engine.py",
    "LLMEngine.abort_request": "v1/engine/llm_engine.py",
    "LLMEngine.has_unfinished_requests": "v1/engine/llm_engine.py",
    "LLMEngine.add_lora": "v1/engine/llm_engine.py",
    "InprocClient.shutdown": "v1/engine/core_client.py",
    "MPClient.shutdown": "v1/engine/core_client.py",
    "cleanup_dist_env_and_memory": "distributed/parallel_state.py",
    "RequestOutput.__init__": "outputs.py",
}
"""Functions and methods that we call, or whose arguments we read as attributes."""

FIELDS = {
    "EngineArgs": "engine/arg_utils.py",
    "SamplingParams": "sampling_params.py",
    "StructuredOutputsParams": "sampling_params.py",
    "LoRARequest": "lora/request.py",
    "Logprob": "logprobs.py",
    "CompletionOutput": "outputs.py",
    "VllmConfig": "config/vllm.py",
    "ModelConfig": "config/model.py",
    "CacheConfig": "config/cache.py",
    "BackgroundResources": "v1/engine/core_client.py",
    "Platform": "platforms/interface.py",
}
"""Classes whose fields are their arguments, or are read."""

ATTRIBUTES = {
    "LLM": "entrypoints/llm.py",
    "LLMEngine": "v1/engine/llm_engine.py",
    "InprocClient": "v1/engine/core_client.py",
    "SyncMPClient": "v1/engine/core_client.py",
    "MPClient": "v1/engine/core_client.py",
    "RequestOutput": "outputs.py",
}
"""Classes of which we read what their methods set on ``self``."""


def signatures(folder: Path) -> dict[str, Any]:
    """What one version offers of all that we use."""
    source = folder / "vllm"
    ranks = next(
        node.value
        for node in _tree(source / "config/lora.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MaxLoRARanks"
    )
    return {
        "exports": sorted(set(_exports(source)) & {"LLM", "EngineArgs", "SamplingParams"}),
        "functions": {name: _parameters(source / path, name) for name, path in FUNCTIONS.items()},
        "fields": {name: _fields(source / path, name) for name, path in FIELDS.items()},
        "attributes": {name: _attributes(source / path, name) for name, path in ATTRIBUTES.items()},
        "lora_ranks": ast.literal_eval(ranks.slice) if isinstance(ranks, ast.Subscript) else [],
        "server": (source / "entrypoints/openai/api_server.py").is_file(),
    }


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _named(path: Path, name: str) -> Any:
    """The class, function or method of that dotted name."""
    body: list[ast.stmt] = _tree(path).body
    found: Any = None
    for part in name.split("."):
        found = next(
            node
            for node in body
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
            and node.name == part
            and not any(ast.unparse(each) == "overload" for each in node.decorator_list)
        )
        body = found.body
    return found


def _parameters(path: Path, name: str) -> list[list[Any]]:
    """[name, kind, default or None] of each parameter but ``self``."""
    arguments = _named(path, name).args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + [ast.unparse(each) for each in arguments.defaults]
    found: list[list[Any]] = [
        [each.arg, "positional", default] for each, default in zip(plain, defaults, strict=True) if each.arg != "self"
    ]
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append([each.arg, "keyword", None if default is None else ast.unparse(default)])
    if arguments.kwarg:
        found.append([arguments.kwarg.arg, "rest", None])
    return found


def _fields(path: Path, name: str) -> list[str]:
    return [
        node.target.id
        for node in _named(path, name).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not node.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(node.annotation)
    ]


def _attributes(path: Path, name: str) -> list[str]:
    def own(node: ast.AST) -> Iterator[str]:
        for each in ast.walk(node):
            if (
                isinstance(each, ast.Attribute)
                and isinstance(each.ctx, ast.Store)
                and ast.unparse(each.value) == "self"
            ):
                yield each.attr

    return sorted(name for name in set(own(_named(path, name))) if not name.startswith("_"))


def _exports(source: Path) -> Iterator[str]:
    for node in _tree(source / "__init__.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield from ast.literal_eval(node.value)


def _laid_out(value: Any, depth: int = 0) -> str:
    """JSON with a line for each function or class."""
    if not isinstance(value, dict):
        return json.dumps(value)
    space = " " * (depth + 1)
    rows = [f"{space}{json.dumps(key)}: {_laid_out(each, depth + 1)}" for key, each in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + " " * depth + "}"


if __name__ == "__main__":
    read = {version: signatures(Path(folder)) for version, folder in (each.split("=", 1) for each in sys.argv[1:])}
    print(_laid_out(read))
