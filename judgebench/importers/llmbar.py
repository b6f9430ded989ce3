"""LLMBar (Zeng et al. 2023): ``dataset.json`` with gold labels, and ``result.json`` of evaluators in both orders.

A row: input, output_1, output_2, label (1 or 2: the better output). A result adds ``results``, one entry a round; the
last round's winners count, ``'swap = False'`` with output_1 first and ``'swap = True'`` with output_2 first, both
told by the original numbers. What is neither '1' nor '2' is unscored. Judge and strategy are the folders of
``…/SET/evaluators/JUDGE/STRATEGY/result.json``, and SET names the suite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgebench.importers.records import FIRST, SECOND, Gathered, Judged, Options, Pair, Side, fingerprint, preference
from judgebench.importers.rows import Row, no_form, read_rows, short

GOLD = "human@gold"
"""The judge of the labels."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """The pairs, labels and verdicts in files.

    Raises:
        UserError: a row is not of that form, its label is none, or its evaluator is not known.
    """
    gathered = Gathered()
    labels: dict[str, tuple[float, float]] = {}
    for path in files:
        suite, judge, strategy = _folders(path, options)
        seen: Counter[str] = Counter()
        for row in read_rows(path):
            if not all(key in row for key in ("input", "output_1", "output_2", "label")):
                raise no_form(row, "llmbar", "input, output_1, output_2, label and, of an evaluator, results")
            key = _pair(row, suite, seen, labels, gathered)
            if "results" in row:
                if not judge:
                    raise row.fail("does not lie in evaluators/JUDGE/STRATEGY; name the judge with --judge NAME")
                gathered.verdicts += _verdicts(row, suite, key, judge, strategy)
    return gathered


def _folders(path: Path, options: Options) -> tuple[str, str, str]:
    """(suite, judge, strategy) as the folders of a file name them."""
    parts = path.absolute().parts
    at = len(parts) - 1 - parts[::-1].index("evaluators") if "evaluators" in parts else 0
    name = parts[at - 1] if at else path.absolute().parent.name
    folders = parts[at + 1 : -1] if at else ()
    judge = options.judge or (folders[0] if folders else "")
    strategy = "-".join(folders[1:]) or "llmbar"
    return options.suite or f"llmbar-{name.lower()}", judge, strategy


def _pair(row: Row, suite: str, seen: Counter[str], labels: dict[str, tuple[float, float]], gathered: Gathered) -> str:
    """The key of a row's pair, once it and its label are gathered: its words, and how often the file had them."""
    sides = [Side(model=f"output-{at}", text=(row.text(f"output_{at}"),), anonymous=True) for at in (1, 2)]
    item = gathered.item(suite, (row.text("input"),), place=row.place)
    words = fingerprint([row.text("input"), row.text("output_1"), row.text("output_2")])[:16]
    seen[words] += 1
    key = f"{suite} {words}" + (f" {seen[words]}" if seen[words] > 1 else "")
    scores = preference(row.get("label"))
    if scores is None or scores not in (FIRST, SECOND):
        raise row.unknown("label", row.get("label"), "1 and 2")
    if labels.setdefault(key, scores) != scores:
        raise row.fail(f"label {row.text('label')} is another than this pair's before")
    if key not in gathered.pairs:
        gathered.pairs[key] = Pair(place=row.place, suite=suite, item=item, shown=(sides[0], sides[1]))
        gathered.verdicts.append(Judged(place=row.place, suite=suite, pair=key, judge=GOLD, scores=scores))
    return key


def _verdicts(row: Row, suite: str, key: str, judge: str, strategy: str) -> list[Judged]:
    rounds = row.get("results")
    if not isinstance(rounds, list) or not rounds or not isinstance(rounds[-1], dict):
        raise row.fail(f"'results' is {short(rounds)}; a list of rounds is needed")
    found = []
    for name, swapped in (("swap = False", False), ("swap = True", True)):
        said: Any = rounds[-1].get(name)
        if not isinstance(said, dict) or "winner" not in said:
            raise row.fail(f"the last round has no winner under {name!r}")
        winner = said["winner"]
        scores = preference(str(winner), "2", "1", None) if swapped else preference(str(winner), "1", "2", None)
        completion = said.get("completion")
        reply = completion[0] if isinstance(completion, list) and completion else completion
        found.append(
            Judged(
                place=row.place, suite=suite, pair=key, swapped=swapped, judge=judge, rubric=strategy,
                scores=scores or (), reply=reply if isinstance(reply, str) else "",
                error="" if scores else f"unreadable: recorded as {short(winner)}",
            )
        )  # fmt: skip
    return found
