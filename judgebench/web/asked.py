"""What a judge was asked: its prompt built anew from what a run holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.judges import matchups
from judgebench.rubrics import Rubric
from judgebench.runs import read_manifest
from judgebench.types import ChoiceRequest, Matchup, Message, Verdict
from judgebench.web.view_data import Row


def prompt_of(path: Path, row: Row, verdict: Verdict) -> tuple[list[Message], str]:
    """The first request that led to a verdict, built anew from the run's rubric, item and answers; or why not."""
    record: dict[str, Any] | None = read_manifest(path)["rubrics"].get(verdict.rubric)
    if verdict.judge.startswith(("human@", "exact@", "baseline/")) or record is None:
        return [], "no model was asked"
    if not record.get("prompt"):
        return [], "this verdict was imported without its prompt"
    held = {(answer.model, answer.sample): answer for answer in row.answers}
    try:
        rubric = msgspec.convert(record, Rubric, strict=False)
        judge = plugins.load("judges", rubric.made_by)(verdict.judge, rubric)
        asked = next(call for call in matchups.calls(rubric, row.item) if verdict.dimension in call)
        matchup = Matchup(
            suite=row.suite, item=row.item, turn=verdict.turn, shown=tuple(held[each] for each in verdict.shown),
            dimensions=asked, sample=verdict.sample,
        )  # fmt: skip
        deliberation = judge.deliberate(matchup)
        first = next(deliberation)
        deliberation.close()
    except (UserError, ValueError, TypeError, LookupError, StopIteration) as error:  # of a damaged or foreign record
        return [], f"cannot be rebuilt: {error or type(error).__name__}"
    requests = [request for request in first if not isinstance(request, ChoiceRequest)]
    return [message for request in requests[:1] for message in request.messages], (
        "" if len(requests) == 1 else f"the first of {len(first)} requests of this step"
    )
