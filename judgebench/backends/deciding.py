"""All that decides a model's answers beside the request: what kept replies are found by, never a name that can move."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judgebench.backends.responses import FORM
from judgebench.types import Model

SPEED_ONLY = frozenset(
    {"max_concurrency", "batch_size", "batch_positions", "max_in_flight", "timeout", "max_retries", "api_key_env"}
    | {"gpu_memory_utilization", "proxy", "client", "notes", "served", "executor"}
    | {"batch", "batch_poll", "batch_window"}
)
"""Options and parts of a description that change how fast an answer comes, or grow while calls are made."""

DATED = re.compile(r"[-@](20\d\d-?[01]\d-?[0-3]\d)$")
"""How the name of a model ends that its provider promises never to change."""

SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja", "*.py")
"""Files of a checkpoint beside its weights that decide what it says: configuration, tokenizer, template, own code."""

BLOCK, BLOCKS = 1 << 16, 64
"""Size and number of the pieces of a weights file that are hashed where all of it is too much."""


def deciding(model: Model, description: Mapping[str, Any]) -> dict[str, Any] | str:
    """All that decides a model's answers beside the request; or, as text, why that is not known: nothing is kept then.

    - ``hf`` and ``vllm``: the whole description but for speed (weights' hash or the hub's commit, versions, number
      format, device, template), with the hash of the configuration, tokenizer, template and adapter files. Of weights
      too large to be hashed whole: size, time of change to the nanosecond, and the hash of 64 pieces of each file.
      Weights that are made up (``load_format=dummy``) are not known.
    - ``openai``: the address, the model's name and the options, where the option ``revision`` says what stands behind
      the name, or the name itself ends in a date at an https address. Any other name may mean another model tomorrow.
    - Other backends cost nothing, or do not say what decides their answers.

    Args:
        model: as the user named it.
        description: of its open backend.
    """
    options = {name: value for name, value in sorted(model.options.items()) if name not in SPEED_ONLY}
    parts: dict[str, Any] = {"form": FORM, "backend": model.backend, "options": options}
    if model.backend == "openai":
        address = description.get("base_url")
        addresses = [address] if isinstance(address, str) else list(address or ())
        secure = all(urllib.parse.urlsplit(str(each)).scheme == "https" for each in addresses)
        if not description.get("revision") and not (secure and DATED.search(model.id)):
            return (
                f"nothing says which model stands behind the name {model.id!r} today and tomorrow; the option "
                f"{model.name}.revision=… does"
            )
        return {**parts, "model": model.id, "base_url": addresses}
    if model.backend not in ("hf", "vllm"):
        return f"the backend {model.backend!r} does not say what decides its answers"
    said = {name: value for name, value in description.items() if name not in SPEED_ONLY}
    folder = Path(model.id).expanduser()
    if not description.get("weights"):
        return "its weights are made up"
    if folder.is_dir():
        said.pop("model", None)
        parts["files"] = small_files(folder)
        if "not_hashed" in description["weights"]:
            parts["pieces"] = {path.name: pieces_of(path) for path in sorted(folder.glob("*.safetensors"))}
    elif not description.get("commit"):
        return "its revision on the hub is not known"
    adapter = description.get("adapter") or {}
    if adapter:
        parts["adapter"] = small_files(Path(adapter["folder"]))
    return {**parts, "said": said}


def small_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a checkpoint's folder that decides what it says beside its weights."""
    paths = {path for pattern in SMALL_FILES for path in folder.glob(pattern)} | set(folder.rglob("*.py"))
    found = sorted(path for path in paths if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def pieces_of(path: Path) -> list[Any]:
    """Size, time of change, and the hash of evenly spaced pieces of a file, its first and last among them."""
    seen = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for number in range(BLOCKS):
            file.seek(max(0, seen.st_size - BLOCK) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
    return [seen.st_size, seen.st_mtime_ns, digest.hexdigest()]
