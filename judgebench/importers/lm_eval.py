"""lm-evaluation-harness: ``samples_TASK_DATE.jsonl`` as ``--log_samples`` writes it, and ``results_DATE.json``.

A row: doc_id, doc, target, arguments, resps, filtered_resps, filter, and a number for each of its metrics. The prompt
is the first argument; of choices compared by log-probability the most probable is the answer. Each metric is a
dimension, with the filter's name where it is another than ``none``. Task is the file's name, model the results
file's, else the folder's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgebench.importers.records import Gathered, Judged, Options, Side
from judgebench.importers.rows import Row, no_form, read_rows, short

JUDGE = "exact@lm-eval"
"""The judge of these scores."""
NO_METRICS = frozenset({"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"})
"""Columns that hold no metric; so do those that end in ``_hash``."""
_DATE = r"_\d{4}-\d{2}-\d{2}T[\d.:-]+"


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Prompts, answers and scores in files.

    Raises:
        UserError: a file is not of that form.
    """
    gathered = Gathered()
    models: dict[Path, str] = {}
    samples: list[tuple[Path, list[Row]]] = []
    for path in files:
        rows = read_rows(path)
        if "results" in rows[0] and ("config" in rows[0] or "model_name" in rows[0]):
            models[path.parent.absolute()] = _model(rows[0])
        else:
            samples.append((path, rows))
    for path, rows in samples:
        model = models.get(path.parent.absolute()) or path.absolute().parent.name.replace("__", "/")
        suite = options.suite or _task(path)
        gathered.scorers[suite] = "lm-eval"
        for row in rows:
            if "doc_id" not in row or "arguments" not in row or "filtered_resps" not in row:
                raise no_form(row, "lm-eval", "doc_id, doc, target, arguments, resps, filtered_resps and metrics")
            _sample(row, suite, model, gathered)
    return gathered


def _task(path: Path) -> str:
    stem = re.sub(r"(\.(jsonl|json|gz))+$", "", path.name)
    return re.sub(rf"^samples_|{_DATE}$", "", stem)


def _model(row: Row) -> str:
    if isinstance(row.get("model_name"), str):
        return row.text("model_name")
    config = row.get("config")
    arguments = config.get("model_args", "") if isinstance(config, dict) else ""
    if isinstance(arguments, dict):
        return str(arguments.get("pretrained") or arguments.get("model") or "")
    found = re.search(r"(?:pretrained|model)=([^,]+)", str(arguments))
    return found[1] if found else ""


def _sample(row: Row, suite: str, model: str, gathered: Gathered) -> None:
    asked = _arguments(row)
    choices = [each[1] for each in asked if len(each) > 1 and isinstance(each[1], str)]
    doc = row.get("doc")
    category = doc.get("subject") or doc.get("category") if isinstance(doc, dict) else ""
    item = gathered.item(
        suite, (str(asked[0][0]),), id=row.text("doc_id"), place=row.place, choices=choices if len(choices) > 1 else (),
        reference=(str(row.get("target")),) if row.get("target") is not None else (),
        category=category if isinstance(category, str) else "",
    )  # fmt: skip
    said = _said(row, choices)
    for number, text in enumerate(said):
        gathered.answer(row.place, suite, item, model, (text,), sample=number)
    metrics = row.get("metrics")
    names = metrics if isinstance(metrics, list) else [key for key in row.value if key not in NO_METRICS]
    filter = row.get("filter")
    for name in names:
        value = row.get(name)
        if isinstance(value, bool | int | float) and not name.endswith("_hash"):
            finite = math.isfinite(value)
            gathered.verdicts.append(
                Judged(
                    place=row.place, suite=suite, item=item, shown=(Side(model=model, text=(said[0],), sample=0),),
                    judge=JUDGE, dimension=name if filter in (None, "", "none") else f"{name} {filter}", kind="grade",
                    scores=(float(value),) if finite else (), reply=_filtered(row),
                    error="" if finite else f"unreadable: recorded as {short(value)}",
                )
            )  # fmt: skip
        elif name in row and not name.endswith("_hash"):
            gathered.note(f"{row.path}: metric {name!r} is {short(value)} in places, no number: left out")


def _arguments(row: Row) -> list[list[Any]]:
    """(prompt, continuation or settings) of each call."""
    found: Any = row.get("arguments")
    if isinstance(found, dict):
        found = [list(each.values()) if isinstance(each, dict) else each for each in found.values()]
    if not isinstance(found, list) or not found or not all(isinstance(each, list) and each for each in found):
        raise row.fail(f"'arguments' is {short(found)}; the calls are needed")
    return found


def _said(row: Row, choices: Sequence[str]) -> list[str]:
    """What the model said, one text a repeat; the most probable choice where choices were compared."""
    found: Any = row.get("resps")
    if not isinstance(found, list) or not found:
        return [_filtered(row)]
    first = found[0]
    if len(choices) > 1 and len(found) == len(choices):
        scores = [_logprob(each) for each in found]
        known = [score for score in scores if score is not None]
        return [choices[scores.index(max(known))]] if len(known) == len(scores) else [_filtered(row)]
    repeats = first if isinstance(first, list) else [first]
    return [each for each in repeats if isinstance(each, str)] or [_filtered(row)]


def _logprob(reply: Any) -> float | None:
    while isinstance(reply, list) and reply:
        reply = reply[0]
    try:
        return float(reply)
    except (TypeError, ValueError):
        return None


def _filtered(row: Row) -> str:
    found = row.get("filtered_resps")
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, str) else short(found)
