"""judge-card.md: every judge card of a run as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from judgebench.report.judge_card import JudgeCard, Trial, card_title, trial_table
from judgebench.report.markdown import plain, titled


def render_markdown(cards: Sequence[JudgeCard]) -> str:
    """All cards as Markdown."""
    lines = ["# Judge cards", "", "What each judge was worth against people or gold labels; a card holds for its "
             "rubric and judge model alone. Intervals: 95 %, whole questions drawn with replacement.", ""]  # fmt: skip
    for card in cards:
        lines += [f"## {plain(card_title(card))}", ""]
        model = ", ".join(f"{name} {value}" for name, value in card.model.items() if value)
        lines += [f"Swap policy: {card.policy}." + (f" Judge model: {plain(model)}." if model else ""), ""]
        lines += [f"**{plain(note)}.**\n" for note in card.notes]
        for trial in card.trials:
            lines += [*titled(trial_table(trial), 3), *_confusion(trial)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _confusion(trial: Trial) -> list[str]:
    if not trial.confusion:
        return []
    head = ["truth \\ judge", *trial.labels]
    rows = [[name, *map(str, row)] for name, row in zip(trial.labels, trial.confusion, strict=True)]
    cells = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(row) + " |" for row in cells), ""]
