"""Where a checkpoint lies and what it is made of, found out without loading torch.

A checkpoint is a folder with ``config.json``, a tokenizer and safetensors weights, or a hub name that holds these.
Pickled weights are never read: unpickling runs whatever they say.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from judgebench.backends.chat_completions import one_line
from judgebench.backends.deciding import pieces_of, small_files
from judgebench.errors import BackendError, MissingPackage, UserError
from judgebench.types import Model

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
FETCHED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What is fetched of a hub model; ``*.py`` too where remote code is allowed."""

HASHED_BYTES = 4 << 30
"""Weights of more bytes than this are recorded by name, size and time, not by hash."""

ADAPTER = "adapter_model.safetensors"
"""The weights of a PEFT adapter."""

IN_FRONT = ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING")
"""Adapters that stand in front of a prompt instead of changing weights."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class CheckpointOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every backend that loads a checkpoint itself."""

    dtype: Dtype = "auto"
    """Number format of the weights; auto is the checkpoint's own."""
    revision: str = ""
    """Commit, tag or branch of a hub model."""
    trust_remote_code: bool = False
    """Run Python code that the checkpoint brings; recorded in the manifest."""
    chat_template: Literal["auto", "on", "off"] = "auto"
    """Use the tokenizer's chat template where it has one, always, or never."""
    chat_template_kwargs: dict[str, Any] = {}
    """Further variables of the chat template (``enable_thinking`` ...)."""
    system: str = ""
    """System prompt put first; a rubric's or suite's own follows it in the same message."""
    max_input_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """A longer prompt is an error of its item; nothing is ever cut."""
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Instead of the request's."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Instead of the request's."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Instead of the request's."""


class Checkpoint:
    """A checked folder or hub name.

    Args:
        model: its ``id`` is the folder or the hub name.
        options: ``revision`` and ``trust_remote_code`` are used.
        weights: False where weights are not read at all (vLLM's dummy weights).
        causal: False where a model need not continue a text (classifiers).
        adapters: whether a folder with a PEFT adapter is taken, its base found by what its config names.

    Raises:
        UserError: not a folder with a model, pickled weights, or a hub name that is unknown or out of reach.
    """

    def __init__(
        self, model: Model, options: CheckpointOptions, *, weights: bool = True, causal: bool = True,
        adapters: bool = False,
    ) -> None:  # fmt: skip
        self.name = f"{model.backend}/{model.id}"
        self._id, self._options, self._weights = model.id, options, weights
        self.adapter: dict[str, Any] = {}
        """The adapter's config; empty where the checkpoint is a model."""
        self.config: dict[str, Any]
        self._base: Checkpoint | None = None
        path = Path(model.id).expanduser()
        self.local = path.exists() or _is_path(model.id)
        if self.local:
            if options.revision:
                raise UserError(f"{self.name}: a folder has no revision; found revision={options.revision!r}")
            self.adapter = _adapter(self.name, path) if adapters else {}
            if self.adapter:
                self._base = _base_of(self.name, path, self.adapter, options)
                self.config = self._base.config
            else:
                _check_folder(self.name, path, weights)
                self.config = _read_json(self.name, path / "config.json")
        else:
            self.config = _read_json(self.name, self._fetch_config())
        if causal and self.config.get("is_encoder_decoder"):
            raise UserError(f"{self.name}: an encoder-decoder model; only models that continue a text are taken")
        kinds = [str(kind) for kind in self.config.get("architectures") or () if "Classification" in str(kind)]
        if causal and kinds:
            raise UserError(f"{self.name}: a {kinds[0]}, such as a reward model: it scores texts and writes none")
        self._folder = path if self.local else None

    @property
    def folder(self) -> Path:
        """The folder that holds it; a hub model is fetched on first use.

        Raises:
            UserError: it cannot be fetched, or what was fetched is not a model.
        """
        if self._folder is None:
            folder = self._fetch_all()
            _check_folder(self.name, folder, self._weights)
            self._folder = folder
        return self._folder

    @property
    def model_folder(self) -> Path:
        """The folder of the weights: the base's where this is an adapter."""
        return self.folder if self._base is None else self._base.folder

    @property
    def context(self) -> int | None:
        """Most tokens of prompt and reply together; None where the architecture sets no bound."""
        if self._base is not None:
            context = self._base.context
            return context if context is None else context - int(self.adapter.get("num_virtual_tokens") or 0)
        for config in (self.config, self.config.get("text_config") or {}):
            for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
                if isinstance(config.get(key), int):
                    return int(config[key])
        return None

    @property
    def dtype(self) -> str:
        """The number format the checkpoint declares; ``auto`` where it declares none."""
        for config in (self.config, self.config.get("text_config") or {}):
            for key in ("dtype", "torch_dtype"):
                if config.get(key):
                    return str(config[key])
        return "auto"

    @functools.cached_property
    def generation(self) -> dict[str, Any]:
        """``generation_config.json``; empty where there is none."""
        path = self.model_folder / "generation_config.json"
        return _read_json(self.name, path) if path.is_file() else {}

    def ends(self, tokenizer: Any) -> frozenset[int]:
        """Ids of the tokens that end a reply: those of ``generation_config.json``, the config and the tokenizer."""
        found: set[int] = set()
        text = self.config.get("text_config") or {}
        declared = self.generation.get("eos_token_id", self.config.get("eos_token_id", text.get("eos_token_id")))
        for value in (declared, tokenizer.eos_token_id):
            found.update(value if isinstance(value, list) else [] if value is None else [value])
        return frozenset(found)

    @functools.cached_property
    def weights(self) -> dict[str, Any]:
        """File → sha256 for weights up to 4 GiB in all; name, size and time of larger ones, which says so."""
        if self._base is not None:
            return {"adapter": {ADAPTER: _sha256(self.folder / ADAPTER)}, "base": self._base.weights}
        files = sorted(self.folder.glob("*.safetensors"))
        if sum(path.stat().st_size for path in files) <= HASHED_BYTES:
            return {"sha256": {path.name: _sha256(path) for path in files}}
        seen = {path.name: [path.stat().st_size, int(path.stat().st_mtime)] for path in files}
        return {"not_hashed": "more than 4 GiB: size in bytes and time of change instead", "files": seen}

    def describe(self) -> dict[str, Any]:
        """Name, revision and commit, weights, and whether its own code may run."""
        commit = self.folder.name if not self.local and re.fullmatch(r"[0-9a-f]{40}", self.folder.name) else ""
        return {
            "model": self._id,
            "revision": self._options.revision,
            "commit": commit,
            "architectures": self.config.get("architectures") or [],
            "generation_config": self.generation,
            "weights": self.weights if self._weights else {},
            "trust_remote_code": self._options.trust_remote_code,
            **({"base": self._base.identity} if self._base else {}),
            **self._training(),
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the answers beside the hash of the weights: commit, or files, and pieces of hashless weights."""
        if not self.local:
            return {"commit": self.describe()["commit"]}
        pieces = {path.name: pieces_of(path) for path in sorted(self.folder.glob("*.safetensors"))}
        return {"files": small_files(self.folder), **({"pieces": pieces} if "not_hashed" in self.weights else {})}

    def _training(self) -> dict[str, Any]:
        """Stage, parent and data of a checkpoint that this program trained, for the manifest."""
        if not self.local or not (self.folder / "training.json").is_file():
            return {}
        read = _read_json(self.name, self.folder / "training.json")
        wanted = ("stage", "parent", "data", "data_sha256", "used", "steps", "peft", "contamination")
        return {"training": {key: read[key] for key in wanted if key in read}}

    def _fetch_config(self) -> Path:
        from huggingface_hub import hf_hub_download

        return Path(self._from_hub(hf_hub_download, filename="config.json"))

    def _fetch_all(self) -> Path:
        from huggingface_hub import snapshot_download

        wanted = [pattern for pattern in FETCHED if self._weights or pattern != "*.safetensors"]
        patterns = [*wanted, *(["*.py"] if self._options.trust_remote_code else [])]
        return Path(self._from_hub(snapshot_download, allow_patterns=patterns))

    def _from_hub(self, fetch: Any, **what: Any) -> str:
        from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

        try:
            return str(fetch(self._id, revision=self._options.revision or None, **what))
        except (OSError, HFValidationError, OfflineModeIsEnabled) as error:
            reason = f"{type(error).__name__}: {one_line(str(error), 160)}"
            raise UserError(f"{self.name}: no such folder, and not to be had from the hub: {reason}") from error


def load_tokenizer(checkpoint: Checkpoint, *, trust_remote_code: bool) -> Any:
    """The checkpoint's tokenizer, as transformers loads it.

    Raises:
        BackendError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            str(checkpoint.folder if has_tokenizer(checkpoint.folder) else checkpoint.model_folder),
            trust_remote_code=trust_remote_code,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise BackendError(f"{checkpoint.name}: its tokenizer cannot be loaded: {one_line(str(error))}") from error


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer (an adapter's may lie with its base)."""
    return any((folder / file).is_file() for file in TOKENIZER_FILES)


def require(packages: Sequence[str], extra: str) -> None:
    """Returns where all packages are installed, without importing them.

    Raises:
        MissingPackage: one is not.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingPackage(package, extra)


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or (name.count("/") != 1 and "/" in name) or "\\" in name or not name


def _check_folder(name: str, folder: Path, weights: bool) -> None:
    if not folder.exists():
        raise UserError(f"{name}: there is no folder {folder}")
    if not folder.is_dir():
        raise UserError(f"{name}: {folder} is a file; the folder of a checkpoint is meant")
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            way = f", or take vllm/BASE with --option NAME.adapter={folder}" if name.startswith("vllm/") else ""
            kind = str(_read_json(name, folder / "adapter_config.json").get("peft_type"))
            if kind.upper() in IN_FRONT:
                raise UserError(
                    f"{name}: {folder} holds an adapter of type {kind}, which cannot be merged: hf serves it"
                )
            raise UserError(f"{name}: {folder} holds an adapter, not a model; merge it into its base first{way}")
        raise UserError(f"{name}: {folder} is not a model: it has no config.json")
    if not has_tokenizer(folder):
        raise UserError(f"{name}: {folder} has no tokenizer; one of these is due: {', '.join(TOKENIZER_FILES)}")
    if weights:
        _check_weights(name, folder)


def _adapter(name: str, folder: Path) -> dict[str, Any]:
    """The config of the adapter in a folder; empty where it holds none, or a model too."""
    if not (folder / "adapter_config.json").is_file() or (folder / "config.json").is_file():
        return {}
    if not (folder / ADAPTER).is_file():
        raise UserError(f"{name}: the adapter {folder} has no {ADAPTER}; pickled weights are never read")
    return _read_json(name, folder / "adapter_config.json")


def _base_of(name: str, folder: Path, adapter: dict[str, Any], options: CheckpointOptions) -> Checkpoint:
    """The model that an adapter belongs to: a folder, seen from the adapter's own, or a hub name."""
    base = adapter.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UserError(f"{name}: {folder / 'adapter_config.json'} names no base_model_name_or_path")
    beside = (folder / base).resolve()
    found = Model(name="base", backend="hf", id=str(beside) if beside.is_dir() else base)
    return Checkpoint(found, options)


def _check_weights(name: str, folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(_read_json(name, index).get("weight_map", {}).values())
        missing = sorted(str(shard) for shard in shards if not (folder / str(shard)).is_file())
        if missing:
            raise UserError(f"{name}: {folder} lacks {missing[0]}, which {index.name} lists ({len(missing)} missing)")
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise UserError(
            f"{name}: {folder} has only pickled weights ({pickles[0]}), which can run code when read: "
            "save them as safetensors (save_pretrained does)"
        )
    raise UserError(f"{name}: {folder} has no weights: no *.safetensors")


def _read_json(name: str, path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: {path} cannot be read: {one_line(str(error))}") from error
    if not isinstance(read, dict):
        raise UserError(f"{name}: {path} is not a JSON object")
    return read


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
