"""Name → object: built-ins are a plain table, others come through entry points, nothing loads until named."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from judgebench.errors import MissingPackage, UserError, did_you_mean

BUILT_IN: dict[str, dict[str, str]] = {
    "backends": {
        "hf": "judgebench.backends.hf:HFBackend",
        "openai": "judgebench.backends.openai:OpenAIBackend",
        "vllm": "judgebench.backends.vllm:VLLMBackend",
        "scripted": "judgebench.backends.scripted:ScriptedBackend",
        "replay": "judgebench.backends.replay:ReplayBackend",
        "classifier": "judgebench.backends.classifier:ClassifierBackend",
    },
    "scorers": {
        "choice": "judgebench.scorers.choice:ChoiceScorer",
        "number": "judgebench.scorers.number:NumberScorer",
        "text": "judgebench.scorers.text:TextScorer",
        "math": "judgebench.scorers.math:MathScorer",
        "code": "judgebench.scorers.code:CodeScorer",
        "several": "judgebench.scorers.several:SeveralScorer",
        "instructions": "judgebench.scorers.instructions:InstructionsScorer",
    },
    "judges": {
        "rubric": "judgebench.judges.rubric:RubricJudge",
        "checklist": "judgebench.judges.checklist:ChecklistJudge",
        "label-probability": "judgebench.judges.probability:LabelJudge",
        "scale-probability": "judgebench.judges.probability:ScaleJudge",
        "own-reference": "judgebench.judges.own_reference:OwnReferenceJudge",
        "facts": "judgebench.judges.facts:FactsJudge",
        "examiner": "judgebench.judges.examiner:ExaminerJudge",
        "consistency": "judgebench.judges.consistency:ConsistencyJudge",
        "log-likelihood": "judgebench.judges.gptscore:LogLikelihoodJudge",
        "baseline/longest": "judgebench.judges.baselines:Longest",
        "baseline/first": "judgebench.judges.baselines:First",
        "baseline/random": "judgebench.judges.baselines:Random",
        "baseline/overlap": "judgebench.judges.baselines:Overlap",
    },
    "ratings": {
        "win-rate": "judgebench.ratings.winrate:rate",
        "bradley-terry": "judgebench.ratings.bradley_terry:rate",
        "online-elo": "judgebench.ratings.elo:rate",
    },
    "importers": {
        "alpaca-eval": "judgebench.importers.alpaca_eval:read",
        "fastchat": "judgebench.importers.fastchat:read",
        "faireval": "judgebench.importers.faireval:read",
        "pandalm": "judgebench.importers.pandalm:read",
        "llmbar": "judgebench.importers.llmbar:read",
        "qlora": "judgebench.importers.qlora:read",
        "prd": "judgebench.importers.prd:read",
        "auto-j": "judgebench.importers.auto_j:read",
        "arena-hard": "judgebench.importers.arena_hard:read",
        "judgebench-scalerlab": "judgebench.importers.scalerlab:read",
        "lm-eval": "judgebench.importers.lm_eval:read",
        "evalplus": "judgebench.importers.evalplus:read",
    },
    "exporters": {
        "evalica": "judgebench.report.exports.battles:evalica",
        "arena": "judgebench.report.exports.battles:arena",
        "alpaca-eval": "judgebench.report.exports.alpaca_eval:alpaca_eval",
        "fastchat": "judgebench.report.exports.fastchat:fastchat",
        "lm-eval": "judgebench.report.exports.lm_eval:lm_eval",
        "inspect": "judgebench.report.exports.inspect_logs:inspect_logs",
        "model-card": "judgebench.report.exports.model_cards:model_card",
        "model-index": "judgebench.report.exports.model_cards:model_index",
    },
    "losses": {
        "rrhf": "judgebench.train.losses:rrhf",
        "pro": "judgebench.train.losses:pro",
        "slic": "judgebench.train.losses:slic",
    },
    "stages": {
        "run": "judgebench.stages.run",
        "generate": "judgebench.stages.generate",
        "score": "judgebench.stages.score",
        "judge": "judgebench.stages.judge",
        "rate": "judgebench.stages.rate",
        "report": "judgebench.stages.report",
        "compare": "judgebench.stages.compare",
        "meta-eval": "judgebench.stages.meta_eval",
        "import": "judgebench.stages.importing",
        "export": "judgebench.stages.export",
        "audit": "judgebench.stages.audit",
        "pull": "judgebench.stages.pull",
        "list": "judgebench.stages.list",
        "check": "judgebench.stages.check",
        "demo": "judgebench.stages.demo",
        "plan": "judgebench.stages.plan",
        "examine": "judgebench.stages.examine",
        "parity": "judgebench.stages.parity",
        "escalate": "judgebench.stages.escalate",
        "annotate": "judgebench.stages.annotate",
        "view": "judgebench.stages.view",
        "pairs": "judgebench.train.pairs",
        "data": "judgebench.train.data",
        "judge-data": "judgebench.train.judge_data",
        "sft": "judgebench.train.sft",
        "dpo": "judgebench.train.dpo",
        "kto": "judgebench.train.kto",
        "orpo": "judgebench.train.orpo",
        "simpo": "judgebench.train.simpo",
        "reward": "judgebench.train.reward",
        "rloo": "judgebench.train.rloo",
        "grpo": "judgebench.train.grpo",
        "raft": "judgebench.train.raft",
        "rank": "judgebench.train.rank",
        "language": "judgebench.train.language",
        "ppo": "judgebench.train.ppo",
    },
}
"""Group → name → ``module:object`` (a stage is a module)."""

EXTRAS = {"torch": "hf", "transformers": "hf", "vllm": "vllm", "trl": "train", "peft": "train", "ray": "ray",
          "math_verify": "math", "datasets": "datasets", "pyarrow": "datasets", "langdetect": "ifeval",
          "bm25s": "facts", "rouge_score": "train", "datasketch": "train",
          "starlette": "ui", "uvicorn": "ui", "jinja2": "ui"}  # fmt: skip
"""Top-level package → the extra that brings it."""


def others(group: str) -> dict[str, EntryPoint]:
    """Entry points of other packages in ``judgebench.GROUP``, by name.

    Raises:
        UserError: one of them takes a built-in's name, or two take the same.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"judgebench.{group}"):
        if entry.name in BUILT_IN[group]:
            raise UserError(f"plug-in {entry.value!r} may not take the built-in name {entry.name!r} of {group}")
        if entry.name in found and found[entry.name].value != entry.value:
            raise UserError(f"two plug-ins claim {group} {entry.name!r}: {found[entry.name].value}, {entry.value}")
        found[entry.name] = entry
    return found


def names(group: str) -> list[str]:
    """Every name that ``load(group, name)`` takes, built-ins first."""
    return [*BUILT_IN[group], *sorted(others(group))]


def load(group: str, name: str) -> Any:
    """The object (for stages: the module) behind a name.

    Raises:
        UserError: nothing has that name; the message suggests one.
        MissingPackage: its module needs a package of an extra that is not installed.
    """
    target = BUILT_IN[group].get(name)
    if target is None:
        entry = others(group).get(name)
        if entry is None:
            raise UserError(f"no {group[:-1]} is called {name!r}: {did_you_mean(name, names(group))}")
        try:
            return entry.load()
        except ImportError as error:
            raise UserError(f"plug-in {entry.value!r} of {group} {name!r} cannot be loaded: {error}") from error
    module, _, attribute = target.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = (error.name or "").partition(".")[0]
        if top in EXTRAS:
            raise MissingPackage(top, EXTRAS[top]) from error
        raise
    return getattr(loaded, attribute) if attribute else loaded
