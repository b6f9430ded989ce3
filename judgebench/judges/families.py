"""Which models are of one family: by name only, as a reason to look, never as proof.

A judge tends to favour answers like its own (Panickssery et al. 2024; Wataoka et al. 2024). What can be known before
any call is a name: the same model, the same line, a line built on the other's weights, or one organisation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LINES = {
    "GPT": r"gpt(?!-?(?:j|neo|neox|2)(?![a-z0-9]))|davinci|o[134](?=-|$)",
    "Claude": r"claude",
    "Gemini": r"gemini|gemma|bard|palm-?2",
    "Llama": r"llama|vicuna|alpaca(?!_?eval)|guanaco|koala|wizardlm|tulu|pandalm|auto-?j(?![a-z])|openhermes|longchat",
    "Qwen": r"qwen|qwq",
    "Mistral": r"mistral|mixtral|ministral|magistral|zephyr",
    "DeepSeek": r"deepseek",
    "Phi": r"phi-?\d",
    "Yi": r"yi-(?:\d|large|lightning)",
    "GLM": r"(?:chat)?glm",
    "Command": r"command-(?:r|a|light|nightly)|c4ai|aya-",
    "Grok": r"grok",
    "Falcon": r"falcon",
    "Baichuan": r"baichuan",
    "InternLM": r"internlm",
    "OLMo": r"olmo",
    "Granite": r"granite",
    "Kimi": r"kimi|moonshot",
    "ERNIE": r"ernie",
    "Hunyuan": r"hunyuan",
}
"""Line of models → how its members, and those built on its weights, are called."""

_PATTERNS = {line: re.compile(rf"(?<![a-z])(?:{pattern})") for line, pattern in LINES.items()}
_PLAIN = ("hf", "vllm", "openai")
"""Backends whose id is a model's own name."""
_FOLDERS = {
    "models",
    "results",
    "examples",
    "checkpoints",
    "data",
    "home",
    "mnt",
    "tmp",
    "workspace",
    "weights",
    "runs",
}
_WORDS = {"model", "base", "test", "judge", "final", "checkpoint", "chat", "instruct", "baseline", "latest", "large"}


def lines(record: Mapping[str, Any], name: str = "") -> dict[str, str]:
    """Line → the word of a model's id or name that says so.

    >>> lines({"id": "lmsys/vicuna-7b-v1.5"})
    {'Llama': 'vicuna'}
    """
    text = f"{record.get('id', '')} {name}".lower()
    matches = {line: pattern.search(text) for line, pattern in _PATTERNS.items()}
    return {line: match[0] for line, match in matches.items() if match}


def kinship(judge: Mapping[str, Any], model: Mapping[str, Any], names: tuple[str, str] = ("", "")) -> str:
    """Why a judge and a model seem to be of one family, in words; empty where nothing says so.

    Args:
        judge: ``backend`` and ``id`` of the judge, as a manifest records them.
        model: the same of the model judged.
        names: what the two are called in records; a name may tell the line where the id is a file.

    >>> kinship({"backend": "openai", "id": "gpt-4o"}, {"backend": "replay", "id": "answers.jsonl"}, ("j", "gpt-3.5"))
    'both of the GPT line: gpt, gpt'
    """
    one, two = str(judge.get("id", "")), str(model.get("id", ""))
    if one and one == two and judge.get("backend") == model.get("backend"):
        return f"the same model, {one}"
    ours, theirs = lines(judge, names[0]), lines(model, names[1])
    for line in ours:
        if line in theirs:
            return f"both of the {line} line: {ours[line]}, {theirs[line]}"
    if (ours and theirs) or not (judge.get("backend") in _PLAIN and model.get("backend") in _PLAIN):
        return ""
    organisations = {_organisation(one), _organisation(two)}
    if len(organisations) == 1 and "" not in organisations:
        return f"both of {organisations.pop()}"
    stems = {_stem(one), _stem(two)}
    if len(stems) == 1 and "" not in stems:
        return f"both called {stems.pop()}"
    return ""


def _organisation(identifier: str) -> str:
    """``org`` of ``org/name``; empty for paths."""
    match = re.fullmatch(r"([A-Za-z][\w.-]*)/[\w.-]+", identifier)
    return match[1] if match and match[1].lower() not in _FOLDERS else ""


def _stem(identifier: str) -> str:
    """The first word of a model's name, where it could name a line."""
    match = re.match(r"[a-z]{4,}", identifier.rstrip("/").rsplit("/", 1)[-1].lower())
    return match[0] if match and match[0] not in _WORDS else ""
