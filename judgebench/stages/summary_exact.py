"""Counts and numbers of exact scoring for the summary: answers, accuracy, and what the two rules of a scorer read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from judgebench.runs import Run
from judgebench.stages.reasons import Row, reason
from judgebench.types import Answer, Item, Rating, Verdict


def answer_rows(run: Run, items: dict[str, dict[str, Item]], answers: Sequence[Answer]) -> list[Row]:
    """A row of counts for each (suite, model): planned = answered + failed + unfinished."""
    groups: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.item in items.get(answer.suite, {}):
            groups[answer.suite, answer.model].append(answer)
    rows = []
    for key in run.manifest["answers"]:
        suite, _, model = key.partition(" | ")
        found = groups[suite, model]
        failed = [answer for answer in found if answer.error]
        whole = [a for a in found if not a.error and len(a.turns) >= len(items[suite][a.item].turns)]
        planned = max(run.manifest["planned"].get(key, 0), len(found))
        rows.append(
            {
                "suite": suite, "model": model, "planned": planned, "answered": len(whole),
                "failed": len(failed), "unfinished": planned - len(whole) - len(failed),
                "truncated": sum(answer.truncated for answer in whole),
                "failures": dict(Counter(reason(answer.error) for answer in failed)),
            }
        )  # fmt: skip
    return rows


def accuracy_rows(
    run: Run, items: dict[str, dict[str, Item]], answers: Sequence[Answer], verdicts: Sequence[Verdict],
    ratings: Sequence[Rating],
) -> list[Row]:  # fmt: skip
    """A row for each (suite, scorer, dimension, model): accuracy with its interval, and planned = scored + unscored."""
    truncated = {(a.suite, a.item, a.model, a.sample) for a in answers if a.truncated}
    groups: dict[tuple[str, str, str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.judge.startswith("exact@"):
            groups[verdict.suite, verdict.judge, verdict.dimension, verdict.shown[0][0]].append(verdict)
    scored_pairs = {(suite, model) for suite, _, _, model in groups}
    for suite, model in (tuple(key.split(" | ")) for key in run.manifest["answers"]):
        scorer = run.manifest["suites"].get(suite, {}).get("scorer")
        if scorer and (suite, model) not in scored_pairs:
            groups[suite, f"exact@{scorer}", "accuracy", model] = []
    planned = {(row["suite"], row["model"]): row["planned"] for row in answer_rows(run, items, answers)}
    rated = {(r.suite, r.judge, r.dimension, r.model): r for r in ratings if r.method == "accuracy"}
    rows = []
    for (suite, judge, dimension, model), group in sorted(groups.items()):
        rating = rated.get((suite, judge, dimension, model))
        scored = [verdict for verdict in group if verdict.scores]
        read = [verdict for verdict in scored if not verdict.error]
        wanted = max(planned.get((suite, model), 0), len(group))
        reasons = Counter(reason(verdict.error) for verdict in group if not verdict.scores)
        if wanted > len(group):
            reasons["not scored yet"] = wanted - len(group)
        by_category: dict[str, list[float]] = defaultdict(list)
        for verdict in scored:
            item = items[suite].get(verdict.item)
            if item is not None and item.category:
                by_category[item.category].append(verdict.scores[0])
        rows.append(
            {
                "suite": suite, "model": model, "dimension": dimension, "scorer": judge,
                "value": rating.value if rating else None, "low": rating.low if rating else None,
                "high": rating.high if rating else None, "n": len(scored),
                "clusters": rating.clusters if rating else 0, "planned": wanted, "unscored": wanted - len(scored),
                "reasons": dict(reasons), "unextracted": len(scored) - len(read),
                "truncated": sum((suite, v.item, *v.shown[0]) in truncated for v in group),
                "accuracy_read": sum(v.scores[0] for v in read) / len(read) if read else None,
                "by_category": {
                    name: {"value": sum(values) / len(values), "n": len(values)}
                    for name, values in sorted(by_category.items())
                },
                "note": rating.note if rating else "no score at all",
            }
        )  # fmt: skip
    return rows


def other_rule(dimension: str) -> str:
    """``strict``, ``flexible`` or ``fallback`` where a dimension is accuracy read in that further way, else nothing."""
    head, _, rule = dimension.rpartition("_")
    return rule if head == "accuracy" and rule in ("strict", "flexible", "fallback") else ""


def extraction_rows(accuracy: Sequence[Row], verdicts: Sequence[Verdict]) -> list[Row]:
    """What the strict and the flexible rule of each scorer read of each model's answers, beside one another."""
    readings: dict[tuple[str, str, str], dict[tuple[str, int], dict[str, Verdict]]] = {}
    asked: dict[tuple[str, str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if other_rule(verdict.dimension) == "fallback":
            asked[verdict.suite, verdict.judge, verdict.shown[0][0]].append(verdict)
        elif verdict.judge.startswith("exact@") and verdict.scores:
            (model, sample), *_ = verdict.shown
            group = readings.setdefault((verdict.suite, verdict.judge, model), defaultdict(dict))
            group[verdict.item, sample][verdict.dimension] = verdict
    by_key = {(row["suite"], row["scorer"], row["model"], row["dimension"]): row for row in accuracy}
    rows = []
    for (suite, scorer, model, dimension), row in by_key.items():
        rule = other_rule(dimension)
        headline = by_key.get((suite, scorer, model, "accuracy"))
        if rule not in ("strict", "flexible") or headline is None:
            continue
        other = "flexible" if rule == "strict" else "strict"
        both = {rule: row, other: headline}
        pairs = [found for found in readings.get((suite, scorer, model), {}).values()
                 if dimension in found and "accuracy" in found]  # fmt: skip
        rows.append(
            {
                "suite": suite, "model": model, "scorer": scorer, "headline": other,
                "differ": sum(differ(found["accuracy"], found[dimension]) for found in pairs),
                "rules": {
                    name: {field: both[name][field] for field in
                           ("value", "low", "high", "n", "unextracted", "truncated", "accuracy_read")}
                    for name in ("strict", "flexible")
                },
                "fallback": [
                    _fallback(by, group) for (of, by, who), group in sorted(asked.items())
                    if (of, who) == (suite, model) and by.startswith(f"{scorer}+")
                ],
            }
        )  # fmt: skip
    return rows


def _fallback(judge: str, verdicts: Sequence[Verdict]) -> Row:
    """What a model read of the answers that the rules could not."""
    scored = [verdict for verdict in verdicts if verdict.scores]
    return {
        "by": judge.partition("+")[2], "asked": len(verdicts), "read": sum(not verdict.error for verdict in scored),
        "right": sum(verdict.scores[0] for verdict in scored), "unscored": len(verdicts) - len(scored),
    }  # fmt: skip


def differ(one: Verdict, other: Verdict) -> bool:
    """True where two readings of an answer are not the same: other words, another score, or one of them unread."""
    return (one.scores, one.reply, bool(one.error)) != (other.scores, other.reply, bool(other.error))
