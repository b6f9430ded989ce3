"""Judge cards on disk: written by meta-eval, looked up by rate and report, here and in the runs beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judgebench.report.judge_card import JudgeCard, headline
from judgebench.report.judge_card_markdown import render_markdown
from judgebench.runs import Run
from judgebench.stages.reasons import Row

CARDS = "judge-card.json"
"""The file of a run's judge cards."""
NO_CARD = "no judge card: what this judge is worth against people was not measured ('judgebench meta-eval RUN' does)"
"""What is said of a judge that was never tried."""


def model_of(run: Run, judge: str) -> dict[str, Any]:
    """Backend, id and options of a judge, as far as the run knows them."""
    record = run.manifest["judges"].get(judge, {})
    return {name: record[name] for name in ("backend", "id", "options") if name in record}


def card_key(judge: str, rubric: str, model: Mapping[str, Any]) -> str:
    """A short hash of the rubric, its prompt included, and of the judge model: what a card holds for."""
    who = model or {"name": judge}
    return hashlib.sha256(msgspec.json.encode([rubric, who], order="deterministic")).hexdigest()[:12]


def write_cards(run: Run, cards: Sequence[JudgeCard]) -> None:
    """judge-card.json and judge-card.md with these cards; what it held of others stays."""
    kept: dict[tuple[str, str], JudgeCard] = {(card.judge, card.rubric): card for card in read_cards(run)}
    for card in cards:
        old = kept.get((card.judge, card.rubric))
        if old is not None and (old.key, old.policy) == (card.key, card.policy):
            redone = {(trial.suite, trial.dimension, trial.kind, trial.against) for trial in card.trials}
            others = [
                trial for trial in old.trials if (trial.suite, trial.dimension, trial.kind, trial.against) not in redone
            ]
            card = msgspec.structs.replace(card, trials=(*card.trials, *others))
        kept[card.judge, card.rubric] = card
    found = [kept[place] for place in sorted(kept)]
    run.write(CARDS, msgspec.json.format(msgspec.json.encode(found), indent=1))
    run.write("judge-card.md", render_markdown(found))


def read_cards(run: Run) -> list[JudgeCard]:
    """The run's judge cards; none where nothing was meta-evaluated.

    Raises:
        UserError: the file is damaged.
    """
    return run.rows(CARDS, JudgeCard, f"meta-eval {run.path}")


def card_rows(run: Run, judged: Sequence[Row]) -> list[Row]:
    """What is known of each (judge, rubric) that judged: its card's headline, or that it has none.

    A card of another run of the same folder holds too where its key, the hash of rubric and judge model, is the same.

    Args:
        run: the run.
        judged: the summary's rows of verdicts.
    """
    own = {(card.judge, card.rubric): card for card in read_cards(run)}
    beside: dict[str, tuple[str, JudgeCard]] | None = None
    rows = []
    for judge, rubric in sorted({(row["judge"], row["rubric"]) for row in judged}):
        if judge.startswith(("human@", "exact@")) or judge == "gold":
            continue
        model = model_of(run, judge)
        key, card, where = card_key(judge, rubric, model), own.get((judge, rubric)), ""
        if card is None or card.key != key:
            if beside is None:
                beside = _beside(run)
            where, card = beside.get(key, ("", None)) if model else ("", None)
        text = NO_CARD if card is None else f"judge card{f' (run {where})' if where else ''}: {headline(card)}"
        found = {"judge": judge, "rubric": rubric, "key": key, "card": card is not None, "text": text}
        rows.append(found)
    return rows


def _beside(run: Run) -> dict[str, tuple[str, JudgeCard]]:
    """Key → (run, card) of every readable card file in the folders beside this run."""
    found: dict[str, tuple[str, JudgeCard]] = {}
    for path in sorted(run.path.resolve().parent.glob(f"*/{CARDS}")):
        if path.parent != run.path.resolve():
            for card in _decoded(path):
                found.setdefault(card.key, (path.parent.name, card))
    return found


def _decoded(path: Path) -> list[JudgeCard]:
    """The cards of another run's file; a damaged one is that run's own trouble."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[JudgeCard])
    except (OSError, msgspec.MsgspecError):
        return []
