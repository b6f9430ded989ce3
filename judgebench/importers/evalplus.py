"""EvalPlus (Liu et al. 2023): ``…_eval_results.json``, and the problems of HumanEvalPlus.jsonl or MbppPlus.jsonl.

Each solution of a task is a sample. ``accuracy_base`` is that the base tests pass, ``accuracy`` that those added pass
as well: EvalPlus counts a solution only if both do. Fail and timeout are 0. The model is named after the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgebench.importers.records import Gathered, Judged, Options, Side
from judgebench.importers.rows import Row, no_form, read_rows, short

JUDGE = "exact@evalplus"
"""The judge of these scores."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Problems, solutions and their scores in files.

    Raises:
        UserError: a file is not of that form, or a status is none.
    """
    gathered = Gathered()
    for path in files:
        for row in read_rows(path):
            if isinstance(row.get("eval"), dict):
                _results(row, gathered, options)
            elif "task_id" in row and "prompt" in row:
                task = row.text("task_id")
                gathered.item(_suite(task, options), (row.text("prompt"),), id=task, place=row.place)
            else:
                raise no_form(row, "evalplus", "eval; or task_id and prompt")
    return gathered


def _suite(task: str, options: Options) -> str:
    return options.suite or f"{task.partition('/')[0].lower()}-plus"


def _results(row: Row, gathered: Gathered, options: Options) -> None:
    model = re.sub(r"[._-]?eval_results(\.json)?(\.gz)?$", "", row.path.name)
    for task, solutions in row.value["eval"].items():
        suite = _suite(task, options)
        gathered.scorers[suite] = "evalplus"
        item = gathered.item(suite, (), id=task, place=row.place)
        given: list[dict[str, Any]] = solutions if isinstance(solutions, list) else [solutions]
        for sample, each in enumerate(given):
            place = f"{row.path}: row {task}"
            solution = each.get("solution") if isinstance(each, dict) else None
            if not isinstance(solution, str):
                raise row.fail(f"{task}: its solution is {short(solution)}; a text is needed")
            side = Side(model=model, text=(solution,), sample=sample)
            status = {name: _passed(row, task, name, each.get(name)) for name in ("base_status", "plus_status")}
            base, plus = status["base_status"], status["plus_status"]
            scores = {"accuracy_base": base, "accuracy": None if base is None or plus is None else base and plus}
            for dimension, passed in scores.items():
                if passed is not None:
                    gathered.verdicts.append(
                        Judged(
                            place=place, suite=suite, item=item, shown=(side,), judge=JUDGE, dimension=dimension,
                            kind="grade", scores=(float(passed),),
                        )
                    )  # fmt: skip


def _passed(row: Row, task: str, name: str, status: object) -> bool | None:
    if status is None:
        return None
    if status not in ("pass", "fail", "timeout"):
        raise row.fail(f"{task}: unknown label {short(status)} in {name!r}; pass, fail and timeout are allowed")
    return status == "pass"
