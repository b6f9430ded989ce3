"""lm-evaluation-harness: ``MODEL/samples_SUITE_DATE.jsonl`` and ``MODEL/results_DATE.json`` of the exact scores.

One row a question, a column for each dimension, as ``--log_samples`` writes it; ``judgebench import lm-eval`` reads it.
Means and standard errors (sample standard deviation over the root of n) are over questions. An unscored number is NaN,
as the tool writes what it could not compute, and enters no mean.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean, stdev
from typing import Any

import msgspec

from judgebench.files import safe_name
from judgebench.report.exports.fastchat import number
from judgebench.report.exports.held import Exported, Held, document, lines, whole_answers
from judgebench.types import Answer, Item, Verdict

Scores = dict[str, Verdict]
"""Dimension → verdict on one answer."""


def lm_eval(held: Held) -> Exported:
    """Samples and results of every model and suite with exact scores."""
    out = Exported()
    answers = whole_answers(held, out)
    scores = exact_scores(held, out)
    date = held.created.rstrip("Z").replace(":", "-") + ".000000"
    for model in held.models:
        results: dict[str, dict[str, Any]] = {}
        counts: dict[str, dict[str, int]] = {}
        for suite in dict.fromkeys(suite for suite, _ in held.items):
            rows = []
            for (of, id), item in held.items.items():
                found = scores.get((suite, id, model), {})
                if of != suite or not found:
                    continue
                if len(item.turns) > 1:
                    out.leave_out("scores of questions of several turns, which lm-eval does not know", len(found))
                    continue
                said = {k: each for (name, k), each in answers.get((of, id), {}).items() if name == model}
                rows.append(_row(item, [said[k] for k in sorted(said)], found))
            if rows:
                out.add(f"{safe_name(model)}/samples_{safe_name(suite)}_{date}.jsonl", lines(rows))
                results[suite] = {"alias": suite, **_means(rows)}
                planned = int(held.suites.get(suite, {}).get("available") or len(rows))
                counts[suite] = {"original": planned, "effective": len(rows)}
        if results:
            record = held.models[model]
            whole = {
                "results": results, "n-samples": counts, "versions": {name: _version(held, name) for name in results},
                "config": {"model": record.get("backend", ""), "model_args": f"model={record.get('id', '')}"},
                "model_name": model, "model_source": record.get("backend", ""),
                "model_name_sanitized": safe_name(model),
                "git_hash": None, "date": datetime.fromisoformat(held.created).timestamp(),
                "harness": f"JudgeBench {held.version}",
            }  # fmt: skip
            out.add(f"{safe_name(model)}/results_{date}.json", document(whole))
    judged = sum(not each.judge.startswith("exact@") for each in held.verdicts)
    out.leave_out("verdicts of judges and people, which these files do not hold", judged)
    return out


def exact_scores(held: Held, out: Exported) -> dict[tuple[str, str, str], Scores]:
    """(suite, item, model) → its exact scores of the first sample; those of further samples are counted."""
    found: dict[tuple[str, str, str], Scores] = {}
    for verdict in held.verdicts:
        if not verdict.judge.startswith("exact@") or (verdict.suite, verdict.item) not in held.items:
            continue
        if verdict.shown[0][1]:
            out.leave_out("exact scores of further samples; their words stand beside the first's")
        else:
            found.setdefault((verdict.suite, verdict.item, verdict.shown[0][0]), {})[verdict.dimension] = verdict
    return found


def _row(item: Item, said: Sequence[Answer], scores: Mapping[str, Verdict]) -> dict[str, Any]:
    target = item.reference[0] if item.reference else None
    asked = item.turns[0]
    if item.shots:
        chat = [*msgspec.to_builtins(item.shots), {"role": "user", "content": asked}]
        asked = msgspec.json.encode(chat).decode()  # as the tool writes a chat
    doc = {
        "id": item.id, "question": (item.question or item.turns)[0], "choices": list(item.choices),
        "category": item.category, "answer": target,
    }  # fmt: skip
    read = next(iter(scores.values())).reply
    values = {name: verdict.scores[0] if verdict.scores else math.nan for name, verdict in scores.items()}
    return {
        "doc_id": number(item.id), "doc": doc, "target": target,
        "arguments": {"gen_args_0": {"arg_0": asked, "arg_1": {}}},
        "resps": [[answer.turns[0] for answer in said]], "filtered_resps": [read], "filter": "none",
        "metrics": list(values), "doc_hash": _hash(msgspec.json.encode(doc).decode()), "prompt_hash": _hash(asked),
        "target_hash": _hash(str(target)), **values,
    }  # fmt: skip


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | str]:
    """Mean and standard error of every metric over the questions that have it."""
    found: dict[str, float | str] = {}
    for name in dict.fromkeys(name for row in rows for name in row["metrics"]):
        values = [row[name] for row in rows if name in row and not math.isnan(row[name])]
        found[f"{name},none"] = fmean(values) if values else math.nan
        found[f"{name}_stderr,none"] = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else "N/A"
    return found


def _version(held: Held, suite: str) -> str:
    return str(held.suites.get(suite, {}).get("version", ""))
