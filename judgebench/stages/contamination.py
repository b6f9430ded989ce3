"""Models that were trained on items of this run's suites: told by their training record, marked in every report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from judgebench.runs import Run
from judgebench.stages.reasons import Row

Role = Literal["models", "judges"]
"""Where a model stands in the manifest: under test, or judging."""


def contaminated(run: Run, model: str, role: Role = "models") -> dict[str, list[int]]:
    """Suite of the run → [its items that the model or a parent was trained on, its items]; empty where there are none.

    The training record is what the model's checkpoint said of itself when it answered, else what lies beside it now,
    else what this run recorded when it trained the model. A model behind an endpoint or a replayed file tells nothing.

    Args:
        run: the run.
        model: a name in its manifest.
        role: whether it answers or judges there.
    """
    trained = _held(run, model, role).get("trained_on", {})
    found = {}
    for suite in run.manifest["suites"]:
        items = run.items(suite)
        shared = sum(each in items for each in trained.get(suite, ()))
        if shared:
            found[suite] = [shared, len(items)]
    return found


def lines(models: list[Row], run: Run, role: Role = "models") -> list[str]:
    """A warning for each model and suite, and one for a model that was let train on evaluation items.

    Args:
        models: rows with ``name`` and ``contaminated``.
        run: the run.
        role: whether they answer or judge there.
    """
    said = []
    for model in models:
        name = model["name"] if role == "models" else f"judge {model['name']}"
        what = "its numbers there are" if role == "models" else "its verdicts there are"
        for suite, (shared, items) in model["contaminated"].items():
            said.append(f"{name} was trained on {shared} of {items} items of {suite}: {what} not of unseen questions")
        let_in = _held(run, model["name"], role).get("let_in", ())
        if let_in:
            where = ", ".join(sorted({each["suite"] for each in let_in}))
            said.append(f"{name} was trained with --allow-contamination on {len(let_in)} rows that hold "
                        f"evaluation items ({where})")  # fmt: skip
    return list(dict.fromkeys(said))


def of_judge(run: Run, judge: str) -> list[str]:
    """The warnings of one judge, or of each member of a panel A+B; none of people, baselines and scorers."""
    known = [name for name in ([judge] if judge in run.manifest["judges"] else judge.split("+"))
             if name in run.manifest["judges"]]  # fmt: skip
    return lines([{"name": name, "contaminated": contaminated(run, name, "judges")} for name in known], run, "judges")


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


def _held(run: Run, model: str, role: Role) -> dict[str, Any]:
    return dict(_record(run, model, role).get("contamination", {}))


def _record(run: Run, model: str, role: Role = "models") -> dict[str, Any]:
    entry = run.manifest[role][model]
    told: dict[str, Any] = entry.get("loaded", {}).get("training", {})
    if told or entry.get("backend") not in ("hf", "vllm"):
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
