"""Settings of a run: the flags, the run file with the same names, and the resolved form written into the run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from judgebench.errors import UserError
from judgebench.files import read_yaml
from judgebench.judges.debias import Policy
from judgebench.stages.named_models import parse_options


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Everything a run can be told; each field is the command line's flag and the run file's key of that name."""

    suite: tuple[str, ...] = ()
    """Suites by name or file."""
    model: tuple[str, ...] = ()
    """Models under test, ``[name=]backend/id``."""
    judge: tuple[str, ...] = ()
    """Judge models ``[name=]backend/id``, or ``baseline/NAME``."""
    rubric: tuple[str, ...] = ()
    """Rubrics by name or file."""
    option: dict[str, Any] = {}
    """``NAME.key`` → value for one model or judge, or for all of a backend's."""
    data: str = ""
    """Folder with benchmark files; empty is JUDGEBENCH_DATA, then the cache."""
    limit: int | None = None
    """Items of each suite, round-robin over its categories."""
    fewshot: int | None = None
    """Few-shot examples, where the suite's own number is not wanted."""
    fewshot_as: Literal["text", "turns"] | None = None
    """Few-shot examples as one text or as turns; None is the suite's own."""
    chat_template: Literal["auto", "on", "off"] = "auto"
    """Whether local backends put messages through the model's chat template."""
    seed: int = 0
    """Seed of sampling, shuffles and bootstraps."""
    samples: int | None = None
    """Answers of each model to each item; None is one, or as many as a replayed file holds."""
    temperature: float | None = None
    """Sampling temperature, over the suite's own."""
    max_tokens: int | None = None
    """Most new tokens of an answer, over the suite's own."""
    answer: Literal["generate", "choose", "both"] = "generate"
    """Multiple choice by generating and extracting, by comparing the choices' log-probabilities, or both."""
    choose: Literal["letters", "texts"] | None = None
    """What is compared of the choices; None is the suite's own."""
    pairs: Literal["", "all", "baseline", "listed"] = ""
    """Which models meet before a pairwise judge; empty is all, up to five models."""
    baseline: str = ""
    """The model that the others meet."""
    pair: tuple[str, ...] = ()
    """``NAME:NAME`` of listed pairs."""
    orders: Literal["both", "one"] = "both"
    """Whether each pair is shown in both orders."""
    judge_samples: int | None = None
    """Verdicts of each judge on each matchup; None is the rubric's own number, or one."""
    judge_temperature: float | msgspec.UnsetType | None = msgspec.UNSET
    """Sampling temperature of judges; None leaves it to the server, unset is the rubric's own, or 0."""
    judge_max_tokens: int | None = None
    """Most new tokens of a judge's reply; None is the rubric's own number, or 2048."""
    judge_scored: bool = False
    """Whether judges see suites too that are scored exactly, as when they are held against the scorer."""
    stop_when: Literal["all", "decided"] = "all"
    """``decided``: judge in batches, and no more once every pair is decided; ``all`` judges everything."""
    swap_policy: Policy = "half"
    """What two orders that disagree are worth, applied when rating."""
    max_concurrency: int = 16
    """Most calls in flight at an endpoint."""
    batch_size: int = 8
    """Requests of one batch of a local backend."""
    executor: Literal["local", "ray"] = "local"
    """Where models answer: in this process, or in replicas on a Ray cluster."""
    replicas: int = 1
    """Replicas of each model on the Ray cluster."""
    replica_cpus: float = 1.0
    """CPUs of each replica."""
    replica_gpus: float | None = None
    """GPUs of each replica; None is as many as its backend needs where the cluster has GPUs, else none."""
    max_unscored: float = 0.1
    """Share of unscored verdicts of one judge or scorer past which the run ends with exit code 3."""
    allow_code_execution: bool = False
    """Whether programs written by a model may be run, in the sandbox."""
    allow_unsandboxed_code: bool = False
    """Whether they may be run where this machine cannot contain them."""
    extract_with: str = ""
    """Model ``[name=]backend/id`` that reads what a scorer's rules could not; empty asks none."""
    no_cache: bool = False
    """Whether replies are neither looked for in the response cache nor kept there."""
    prices: str = ""
    """YAML file with the prices of tokens; empty is none."""
    max_cost: float | None = None
    """Most money that the run may spend in all, in the currency of the prices; past it, exit code 4."""
    max_tokens_total: int | None = None
    """Most tokens, read and written, that the run may use in all; past it, exit code 4."""


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the RUN argument."""
    parser.add_argument("run", metavar="RUN", help="run folder; a bare name means results/NAME")


def add_suites(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose items."""
    group = parser.add_argument_group("suites")
    group.add_argument("--suite", action="append", metavar="NAME", help="suite name or file; repeat, or use commas")
    group.add_argument(
        "--data", metavar="DIR", help="folder with benchmark files (default: JUDGEBENCH_DATA, then the cache)"
    )
    group.add_argument("--limit", type=int, metavar="N", help="items of each suite, round-robin over its categories")
    group.add_argument("--fewshot", type=int, metavar="N", help="few-shot examples (default: the suite's own)")
    group.add_argument("--fewshot-as", choices=("text", "turns"), help="few-shot examples as one text or as turns")


def add_models(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose and drive models under test."""
    group = parser.add_argument_group("models")
    group.add_argument(
        "--model", action="append", metavar="[NAME=]BACKEND/ID", help="model under test; repeat for more"
    )
    group.add_argument(
        "--samples", type=int, metavar="N", help="answers to each item (default 1; all that a replayed file holds)"
    )
    group.add_argument("--temperature", type=float, metavar="T", help="over the suite's own")
    group.add_argument("--max-tokens", type=int, metavar="N", help="most new tokens of an answer, over the suite's own")
    group.add_argument("--chat-template", choices=("auto", "on", "off"), help="for local backends (default auto)")
    group.add_argument("--answer", choices=("generate", "choose", "both"),
                       help="multiple choice: write, compare log-probabilities, or both")  # fmt: skip
    group.add_argument("--choose", choices=("letters", "texts"), help="what is compared (default: the suite's own)")


def add_judges(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose and drive judges."""
    group = parser.add_argument_group("judges")
    group.add_argument(
        "--judge", action="append", metavar="[NAME=]BACKEND/ID", help="judge model, or baseline/NAME; repeat for more"
    )
    group.add_argument("--rubric", action="append", metavar="NAME", help="rubric name or file; repeat, or use commas")
    group.add_argument(
        "--pairs", choices=("all", "baseline", "listed"), help="who meets (default all, up to five models)"
    )
    group.add_argument("--baseline", metavar="MODEL", help="the model that the others meet")
    group.add_argument("--pair", action="append", metavar="NAME:NAME", help="one listed pair; repeat for more")
    group.add_argument("--orders", choices=("both", "one"), help="orders in which a pair is shown (default both)")
    group.add_argument(
        "--judge-samples", type=int, metavar="N", help="verdicts on each matchup (default: the rubric's, or 1)"
    )
    group.add_argument(
        "--judge-scored", action="store_const", const=True, help="suites that are scored exactly too, to try judges"
    )
    group.add_argument("--stop-when", choices=("all", "decided"), help="decided: no more once every pair is decided")
    group.add_argument("--judge-temperature", type=float, metavar="T", help="default: the rubric's, or 0")
    group.add_argument("--judge-max-tokens", type=int, metavar="N", help="default: the rubric's, or 2048")


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of exact scoring."""
    parser.add_argument(
        "--extract-with", metavar="[NAME=]BACKEND/ID",
        help="model that reads what a scorer's rules could not; counted apart, never in place of them",
    )  # fmt: skip
    group = parser.add_argument_group("code execution")
    group.add_argument(
        "--allow-code-execution", action="store_const", const=True, help="run programs that models wrote, in a sandbox"
    )
    group.add_argument(
        "--allow-unsandboxed-code",
        action="store_const",
        const=True,
        help="... even where this machine cannot contain them",
    )


def add_rating(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of rating."""
    group = parser.add_argument_group("ratings")
    group.add_argument(
        "--swap-policy", choices=get_args(Policy), help="what two orders that disagree are worth (default half)"
    )
    group.add_argument("--max-unscored", type=float, metavar="SHARE", help="exit code 3 past this share (default 0.1)")


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that every stage with models takes."""
    group = parser.add_argument_group("how")
    group.add_argument("--option", action="append", metavar="NAME.KEY=VALUE",
                       help="option of one model or judge, or of all models of a backend; repeat for more")  # fmt: skip
    group.add_argument("--max-concurrency", type=int, metavar="N", help="calls in flight at an endpoint (default 16)")
    group.add_argument("--batch-size", type=int, metavar="N", help="requests of a local batch (default 8)")
    group.add_argument("--executor", choices=("local", "ray"), help="where models answer (docs/scaling.md)")
    group.add_argument("--replicas", type=int, metavar="N", help="replicas of each model on Ray (default 1)")
    group.add_argument("--replica-cpus", type=float, metavar="N", help="CPUs of each replica (default 1)")
    group.add_argument("--replica-gpus", type=float, metavar="N", help="GPUs of each replica (default: what it needs)")
    group.add_argument("--seed", type=int, metavar="N", help="seed of sampling, shuffles and bootstraps (default 0)")
    group.add_argument("--no-cache", action="store_const", const=True, help="ask again what other runs were answered")
    group = parser.add_argument_group("money")
    group.add_argument("--prices", metavar="FILE", help="prices of tokens, as in examples/prices.yaml")
    group.add_argument(
        "--max-cost", type=float, metavar="MONEY", help="most that the run may cost; exit code 4 past it"
    )
    group.add_argument(
        "--max-tokens-total", type=int, metavar="N", help="most tokens that the run may use; exit code 4 past it"
    )
    add_config(parser)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that only plans."""
    parser.add_argument("--dry-run", action="store_true", help="print requests, tokens, price and time; ask nobody")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that every stage of a run takes."""
    parser.add_argument("--config", metavar="FILE", help="run file with these names as keys; flags win over it")
    parser.add_argument("--quiet", action="store_true", help="no progress, no tables")


_LISTS = ("suite", "model", "judge", "rubric", "pair")
_COMMAS = ("suite", "rubric")


def resolve(args: argparse.Namespace, stored: Path | None = None) -> Settings:
    """Settings out of flags, over the run file, over what the run was made with, over the defaults.

    Args:
        args: parsed flags; those not given are None.
        stored: the run's own config.yaml, read by single stages so that they go on as they were begun.

    Raises:
        UserError: a value out of range, or a malformed ``--option``.
        FileError: a mistake in the run file.
    """
    values: dict[str, Any] = {}
    config = getattr(args, "config", None)
    for path in (stored, Path(config) if config else None):
        if path is not None and (path.is_file() or path is not stored):
            given = msgspec.structs.asdict(read_yaml(path, Settings))
            written = {key.replace("-", "_") for key in read_yaml(path, dict)}
            values.update({name: given[name] for name in given if name in written})
    for name in Settings.__struct_fields__:
        value = getattr(args, name, None)
        if value is None or value == []:
            continue
        if name == "option":
            values["option"] = {**values.get("option", {}), **parse_options(value)}
        elif name in _LISTS:
            parts = [part for text in value for part in (text.split(",") if name in _COMMAS else [text])]
            values[name] = tuple(dict.fromkeys(part for part in parts if part))
        else:
            values[name] = value
    if getattr(args, "answer", None) == "generate" and getattr(args, "choose", None) is None:
        values.pop("choose", None)  # the run file's, for its own way of answering
    return checked(Settings(**values))


def checked(settings: Settings) -> Settings:
    """The settings, when every number is in its range.

    Raises:
        UserError: one is not.
    """
    for name in (
        "limit",
        "samples",
        "judge_samples",
        "max_tokens",
        "judge_max_tokens",
        "max_concurrency",
        "batch_size",
        "max_tokens_total",
    ):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value}: must be at least 1")
    for name in ("temperature", "judge_temperature", "fewshot"):
        value = getattr(settings, name)
        if isinstance(value, (int, float)) and value < 0:
            raise UserError(f"--{name.replace('_', '-')} {value}: must not be negative")
    if settings.max_cost is not None and not settings.max_cost > 0:
        raise UserError(f"--max-cost {settings.max_cost:g}: must be above 0")
    if settings.max_cost is not None and not settings.prices:
        raise UserError("--max-cost needs --prices FILE: what a token costs is not known here")
    for name in ("replicas", "replica_cpus", "replica_gpus"):
        value, usual = getattr(settings, name), getattr(Settings(), name)
        if value != usual and settings.executor != "ray":
            raise UserError(f"--{name.replace('_', '-')} {value:g}: there are replicas only with --executor ray")
    if settings.replicas < 1:
        raise UserError(f"--replicas {settings.replicas}: must be at least 1")
    if settings.replica_cpus < 0 or (settings.replica_gpus or 0) < 0:
        raise UserError("--replica-cpus and --replica-gpus must not be negative")
    if not 0 <= settings.max_unscored <= 1:
        raise UserError(f"--max-unscored {settings.max_unscored}: must be a share between 0 and 1")
    if settings.choose and settings.answer == "generate":
        raise UserError(f"--choose {settings.choose} compares nothing where answers are generated; add --answer choose")
    if settings.answer != "generate" and (settings.samples or 1) > 1:
        raise UserError(f"--answer {settings.answer}: every sample has the same log-probabilities; leave --samples out")
    if ((settings.samples or 1) > 1 and settings.temperature == 0) or (
        (settings.judge_samples or 1) > 1 and settings.judge_temperature == 0
    ):
        raise UserError("several samples at temperature 0 are the same sample; give a temperature above 0")
    return settings


def run_path(text: str) -> Path:
    """The folder of a run; a bare name means ``results/NAME``."""
    return Path(text) if os.sep in text or text in (".", "..") else Path("results") / text


def stored_settings(path: Path) -> Settings:
    """The settings a run was made with, or the defaults where it holds none."""
    return read_yaml(path, Settings) if path.is_file() else Settings()
