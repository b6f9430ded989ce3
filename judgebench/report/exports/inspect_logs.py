"""Inspect (UK AI Security Institute): one log in JSON, version 2, for each model and suite; ``inspect view`` opens it.

Each sample of an answer is an epoch. Exact scores and judges' grades of the answer are its scores, named by scorer or
judge and dimension; an unscored one is left out of ``scores``, so that it enters no mean, and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from judgebench.files import safe_name
from judgebench.report.exports.fastchat import number
from judgebench.report.exports.held import Exported, Held, document
from judgebench.types import Answer, Item, Verdict

STOPS = {"length": "max_tokens", "filter": "content_filter", "stop": "stop"}
"""Why a turn ended → as Inspect says it."""


def inspect_logs(held: Held) -> Exported:
    """A log of every model and suite, as ``MODEL/DATE_SUITE_ID.json``."""
    out = Exported()
    verdicts: dict[tuple[str, str, str, int], list[Verdict]] = {}
    for verdict in held.verdicts:
        if len(verdict.shown) > 1:
            out.leave_out("verdicts on several answers, which a log of one model does not hold")
        elif verdict.sample:
            out.leave_out("further samples of a judge: a log holds one score of each name")
        elif not verdict.scores:
            out.leave_out("unscored verdicts: they are no score of 0")
        else:
            verdicts.setdefault((verdict.suite, verdict.item, *verdict.shown[0]), []).append(verdict)
    groups: dict[tuple[str, str], list[Answer]] = {}
    for answer in held.answers:
        if (answer.suite, answer.item) in held.items:
            groups.setdefault((answer.model, answer.suite), []).append(answer)
        else:
            out.leave_out("answers to questions that the run does not hold")
    for (model, suite), answers in groups.items():
        log = _log(held, model, suite, answers, verdicts)
        out.add(f"{safe_name(model)}/{_file_name(held, suite, log['eval']['task_id'])}", document(log))
    return out


def _log(
    held: Held, model: str, suite: str, answers: Sequence[Answer],
    verdicts: Mapping[tuple[str, str, str, int], Sequence[Verdict]],
) -> dict[str, Any]:  # fmt: skip
    samples = [
        _sample(held.items[suite, answer.item], answer, verdicts.get(answer.key, ())) for answer in answers
    ]  # fmt: skip
    ids = list(dict.fromkeys(sample["id"] for sample in samples))
    record = held.models.get(model, {})
    ident = hashlib.sha256(f"{held.name}\0{held.created}\0{model}\0{suite}".encode()).hexdigest()[:22]
    failed = sum("error" in sample for sample in samples)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": ident, "run_id": ident, "task_id": ident, "created": _time(held.created), "task": suite,
            "task_version": str(held.suites.get(suite, {}).get("version", "")) or "0",
            "dataset": {"name": suite, "samples": len(ids), "sample_ids": ids},
            "model": f"{record.get('backend', '')}/{model}", "config": {"epochs": max(a.sample for a in answers) + 1},
            "packages": {"judgebench": held.version}, "metadata": {"run": held.name},
        },
        "plan": {"name": "judgebench", "steps": [], "config": {}},
        "results": {
            "total_samples": len(samples), "completed_samples": len(samples) - failed, "scores": _results(samples),
        },
        "stats": {"started_at": _time(held.created), "completed_at": _time(held.created)},
        "samples": samples,
    }  # fmt: skip


def _file_name(held: Held, suite: str, ident: str) -> str:
    """A name as Inspect gives one, DATE_TASK_ID: it lists no others of a folder."""
    task = safe_name(suite)
    for separator in "_+%":
        task = task.replace(separator, "-")
    return f"{_time(held.created).replace(':', '-')}_{task}_{ident}.json"


def _time(created: str) -> str:
    return created.removesuffix("Z") + "+00:00"


def _sample(item: Item, answer: Answer, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    before = [{"role": each.role, "content": each.content} for each in item.shots]
    chat = list(before)
    for place, asked in enumerate(item.turns[: max(len(answer.turns), 1)]):
        chat.append({"role": "user", "content": asked})
        if place < len(answer.turns):
            chat.append({"role": "assistant", "content": answer.turns[place], "source": "generate"})
    first = item.turns[0]
    sample: dict[str, Any] = {
        "id": number(item.id), "epoch": answer.sample + 1,
        "input": [*before, {"role": "user", "content": first}] if before else first,
        "target": list(item.reference) if len(item.reference) != 1 else item.reference[0],
        "messages": chat,
        "metadata": {"category": item.category} if item.category else {},
        "scores": {name: _score(each) for name, each in _named(verdicts).items()},
    }  # fmt: skip
    if item.choices:
        sample["choices"] = list(item.choices)
    if answer.turns:
        stop = STOPS.get(answer.finish[-1] if answer.finish else "stop", "unknown")
        usage = {
            "input_tokens": answer.usage.prompt_tokens, "output_tokens": answer.usage.completion_tokens,
            "total_tokens": answer.usage.prompt_tokens + answer.usage.completion_tokens,
        }  # fmt: skip
        sample["output"] = {
            "model": answer.model, "choices": [{"message": chat[-1], "stop_reason": stop}], "usage": usage,
        }  # fmt: skip
    if answer.error:
        sample["error"] = {"message": answer.error, "traceback": "", "traceback_ansi": ""}
    return sample


def _named(verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    """Verdicts by name: dimension for exact scores, judge, rubric and dimension (and turn) for the others."""
    several = len({each.turn for each in verdicts}) > 1
    found = {}
    for each in verdicts:
        parts = [each.judge, each.rubric, each.dimension] if not each.judge.startswith("exact@") else [each.dimension]
        name = " ".join(filter(None, parts))
        found[f"{name} turn {each.turn}" if several else name] = each
    return found


def _score(verdict: Verdict) -> dict[str, Any]:
    exact = verdict.judge.startswith("exact@")
    score: dict[str, Any] = {"value": verdict.scores[0], "metadata": {"scale": list(verdict.scale)}}
    if verdict.reply:
        score["answer" if exact else "explanation"] = verdict.reply
    return {**score, "explanation": verdict.error} if verdict.error else score


def _results(samples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name in dict.fromkeys(name for sample in samples for name in sample["scores"]):
        values = [sample["scores"][name]["value"] for sample in samples if name in sample["scores"]]
        found.append({
            "name": name, "scorer": name, "scored_samples": len(values),
            "unscored_samples": len(samples) - len(values),
            "metrics": {"mean": {"name": "mean", "value": fmean(values)}},
        })  # fmt: skip
    return found
