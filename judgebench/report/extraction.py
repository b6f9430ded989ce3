"""The audit of extraction: every answer that a scorer's two rules do not read the same, or that a model was given."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping

from judgebench.report.cells import guarded
from judgebench.report.visible import one_line
from judgebench.types import Answer, Item, Record, Verdict

TAIL = 160
"""Characters of an answer's end that are shown."""


class Disagreement(Record, frozen=True, kw_only=True):
    """One answer, read in two ways."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    model: str
    """Name of the model."""
    sample: int
    """0-based sample of the answer."""
    scorer: str
    """``exact@SCORER``."""
    strict: str
    """What the strict rule read; empty where nothing."""
    flexible: str
    """What the flexible rule read; empty where nothing."""
    strict_score: float
    """Its score by the strict rule."""
    flexible_score: float
    """Its score by the flexible rule."""
    fallback: str
    """What each model asked read of it, ``NAME: words``, joined by ``; ``; empty where none was asked."""
    reference: str
    """The right answer."""
    truncated: bool
    """Whether the answer ended at the token limit."""
    tail: str
    """The end of the answer, on one line."""


def disagreements(
    items: Mapping[tuple[str, str], Item], answers: Iterable[Answer], verdicts: Iterable[Verdict]
) -> list[Disagreement]:
    """The answers whose two readings differ: in what was read, in the score, or in whether anything was read.

    Those that no rule read, and a model was asked about, are among them.

    Args:
        items: (suite, id) → item.
        answers: of the run.
        verdicts: of the run; those of exact scorers with two rules are looked at.
    """
    given = {answer.key: answer for answer in answers}
    read: dict[tuple[str, str, str, str, int], dict[str, Verdict]] = defaultdict(dict)
    by_models: dict[tuple[str, str, str, str, int], list[str]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.judge.startswith("exact@"):
            model, sample = verdict.shown[0]
            judge, _, reader = verdict.judge.partition("+")
            key = verdict.suite, verdict.item, judge, model, sample
            if reader:
                by_models[key].append(f"{reader}: {_words(verdict) or 'nothing'}")
            elif verdict.scores:
                read[key][verdict.dimension] = verdict
    rows = []
    for (suite, item, judge, model, sample), found in sorted(read.items()):
        other = "strict" if "accuracy_strict" in found else "flexible"
        if "accuracy" not in found or f"accuracy_{other}" not in found:
            continue
        by = {other: found[f"accuracy_{other}"]}
        by["flexible" if other == "strict" else "strict"] = found["accuracy"]
        strict, flexible = by["strict"], by["flexible"]
        fallback = by_models.get((suite, item, judge, model, sample), [])
        if (strict.scores, _words(strict)) == (flexible.scores, _words(flexible)) and not fallback:
            continue
        answer = given.get((suite, item, model, sample))
        last = answer.turns[-1] if answer is not None and answer.turns else ""
        reference = items[suite, item].reference if (suite, item) in items else ()
        rows.append(
            Disagreement(
                suite=suite, item=item, model=model, sample=sample, scorer=judge, strict=_words(strict),
                flexible=_words(flexible), strict_score=strict.scores[0], flexible_score=flexible.scores[0],
                fallback="; ".join(sorted(fallback)),
                reference=reference[-1] if reference else "",
                truncated=answer is not None and answer.truncated, tail=one_line(last[-TAIL:]),
            )
        )  # fmt: skip
    return rows


def _words(verdict: Verdict) -> str:
    return "" if verdict.error else verdict.reply


def render_text(rows: Iterable[Disagreement]) -> str:
    """The audit as text: a block of three lines for each answer, and the count."""
    lines = []
    rows = list(rows)
    for row in rows:
        cut = ", truncated" if row.truncated else ""
        lines += [
            one_line(f"{row.suite} {row.item}, {row.model}") + (f" sample {row.sample}" if row.sample else "") + cut,
            f"  strict {_shown(row.strict)} ({row.strict_score:g}), flexible {_shown(row.flexible)} "
            f"({row.flexible_score:g}), reference {_shown(row.reference)}"
            + (f", by a model {_shown(row.fallback)}" if row.fallback else ""),
            f"  … {row.tail}",
        ]
    alike = sum((row.strict, row.strict_score) == (row.flexible, row.flexible_score) for row in rows)
    lines.append(
        f"{len(rows) - alike} answers on which the strict and the flexible rule differ"
        + (f", and {alike} that neither read and a model was asked about" if alike else "")
    )
    return "\n".join(lines) + "\n"


def _shown(text: str) -> str:
    return f"'{one_line(text[:60])}'" if text else "nothing"


def render_csv(rows: Iterable[Disagreement]) -> str:
    """The audit as CSV with a header, one row an answer; what a spreadsheet would run stands behind a quote."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = Disagreement.__struct_fields__
    writer.writerow(fields)
    for row in rows:
        writer.writerow([_cell(getattr(row, field)) for field in fields])
    return out.getvalue()


def _cell(value: str | float | bool) -> str:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else f"{value:g}"
    text = one_line(value)
    return guarded(text)
