"""What each model and judge of a run used, and what it cost, as far as anybody counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec

from judgebench.runs import Run
from judgebench.stages.prices import FREE
from judgebench.stages.reasons import Row
from judgebench.types import Answer, Usage, Verdict

ELSEWHERE = ("imported", "")
"""Backends of those whom others asked: what that took is not in the records. The empty one is nobody's."""
NO_TOKENS = ("human@", "exact@")
"""How the names begin of those who judge without a model, as ``gold`` does."""


def usage_rows(run: Run, answers: Iterable[Answer], verdicts: Iterable[Verdict]) -> list[Row]:
    """A row for each model and judge: ``name, role``, the fields of `Usage`, ``uncounted`` and ``cost``.

    ``uncounted`` is the number of replies whose tokens nobody counted: the server did not say them, or another tool
    asked. With it the tokens are what is known of them. ``cost`` is None where it is not known at all.

    Args:
        run: whose manifest says who they are and what they cost.
        answers: that count.
        verdicts: that count.
    """
    sums: dict[tuple[str, str], Usage] = defaultdict(Usage)
    uncounted: Counter[tuple[str, str]] = Counter()
    backends = {("model", name): str(record.get("backend", "")) for name, record in run.manifest["models"].items()}
    backends |= {("judge", name): str(record.get("backend", "")) for name, record in run.manifest["judges"].items()}

    def add(place: tuple[str, str], usage: Usage, *, failed: bool) -> None:
        sums[place] += usage
        uncounted[place] += not _counted(usage, backends.get(place, ""), failed=failed)

    for answer in answers:
        add(("model", answer.model), answer.usage, failed=bool(answer.error) and not answer.turns)
    for verdict in verdicts:
        no_model = verdict.judge == "gold" or verdict.judge.startswith(NO_TOKENS)
        if verdict.usage != Usage() or (backends.get(("judge", verdict.judge)) in ELSEWHERE and not no_model):
            said = bool(verdict.scores or verdict.reply)  # what cannot be read was written all the same
            add(("judge", verdict.judge), verdict.usage, failed=bool(verdict.error) and not said)
    prices = run.manifest.get("prices", {}).get("by", {})
    rows: list[Row] = []
    for place, usage in sorted(sums.items()):
        role, name = place
        price = prices.get(f"{role} | {name}")
        used = usage.prompt_tokens + usage.completion_tokens
        cost = None if used or uncounted[place] else 0.0
        if price is not None and (used or not uncounted[place]):
            cost = (usage.prompt_tokens * price[0] + usage.completion_tokens * price[1]) / 1e6
        counts = msgspec.to_builtins(usage)
        rows.append({"name": name, "role": role, **counts, "uncounted": uncounted[place], "cost": cost})
    return rows


def _counted(usage: Usage, backend: str, *, failed: bool) -> bool:
    """Whether a record says all that it took; of calls that failed, without any reply, nobody expects it."""
    if usage.prompt_tokens or usage.completion_tokens or usage.cached:
        return True
    if backend in ELSEWHERE and not usage.requests:
        return False
    return not usage.requests or failed or backend in FREE
