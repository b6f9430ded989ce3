"""Models that were trained on items of this run's suites: told by their training record, marked in every report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from judgebench.runs import Run
from judgebench.stages.reasons import Row


def contaminated(run: Run, model: str) -> dict[str, list[int]]:
    """Suite of the run → [its items that the model or a parent was trained on, its items]; empty where there are none.

    The training record is what the model's checkpoint said of itself when it answered, else what lies beside it now,
    else what this run recorded when it trained the model. A model behind an endpoint or a replayed file tells nothing.
    """
    trained = _held(run, model).get("trained_on", {})
    found = {}
    for suite in run.manifest["suites"]:
        items = run.items(suite)
        shared = sum(each in items for each in trained.get(suite, ()))
        if shared:
            found[suite] = [shared, len(items)]
    return found


def lines(models: list[Row], run: Run) -> list[str]:
    """A warning for each model and suite, and one for a model that was let train on evaluation items."""
    said = []
    for model in models:
        for suite, (shared, items) in model["contaminated"].items():
            said.append(f"{model['name']} was trained on {shared} of {items} items of {suite}: its numbers there are "
                        "not of unseen questions")  # fmt: skip
        let_in = _held(run, model["name"]).get("let_in", ())
        if let_in:
            where = ", ".join(sorted({each["suite"] for each in let_in}))
            said.append(f"{model['name']} was trained with --allow-contamination on {len(let_in)} rows that hold "
                        f"evaluation items ({where})")  # fmt: skip
    return said


def origin(run: Run, model: str) -> str:
    """Parent, data and the guard's counts of a model that this program trained; empty for others."""
    record = _record(run, model)
    if not record:
        return ""
    held = record.get("contamination", {})
    text = f"{record['stage']} of {record['parent']} on {record['used']} rows of {record['data']}"
    if held:
        suites = ", ".join(f"{name} ({items} items)" for name, items in held["suites"].items()) or "no suite"
        kept_out = len(held["dropped"]) + len(held["earlier"])
        text += f"; guard: {kept_out} rows kept out, {len(held['let_in'])} let in, against {suites}"
    return text


def _held(run: Run, model: str) -> dict[str, Any]:
    return dict(_record(run, model).get("contamination", {}))


def _record(run: Run, model: str) -> dict[str, Any]:
    entry = run.manifest["models"][model]
    told: dict[str, Any] = entry.get("loaded", {}).get("training", {})
    if told or entry["backend"] not in ("hf", "vllm"):
        return told
    folder = Path(entry["id"])
    try:
        return dict(msgspec.json.decode((folder / "training.json").read_bytes()))
    except (OSError, msgspec.DecodeError):
        pass
    for trained in run.manifest.get("trained", {}).values():
        if folder.parts[-2:] == Path(trained["folder"]).parts[-2:]:
            return dict(trained)
    return {}
