"""Shares of checklists met: micro (InFoBench's DRFR), macro and all-pass, with the questions that nobody could read.

Sources: Qin et al. (2024), "InFoBench", section 3.2: DRFR = questions answered with yes / all questions. TICK (Cook et
al. 2024) reports the share of an item and the share of items that meet all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from judgebench.errors import UserError
from judgebench.ratings.battles import weighted_battles
from judgebench.ratings.intervals import clustered_interval
from judgebench.types import Record, Verdict
from judgebench.verdict_words import decisions


class ChecklistShares(Record, frozen=True, kw_only=True):
    """How far checklists were met; shares are None where nothing was read."""

    micro: float | None
    """Questions answered with yes over questions read: DRFR."""
    micro_low: float | None
    """Lower end of its 95 % interval, clustered by item."""
    micro_high: float | None
    """Upper end."""
    macro: float | None
    """Mean over items of their own share."""
    macro_low: float | None
    """Lower end of its 95 % interval."""
    macro_high: float | None
    """Upper end."""
    all_pass: float | None
    """Share of items read in full whose questions are all answered with yes."""
    items: int
    """Items with a question read."""
    questions: int
    """Questions read."""
    met: int
    """... answered with yes."""
    unread: int
    """Questions without a readable answer: in no share."""


def drfr(items: Sequence[Sequence[bool | int | None]]) -> ChecklistShares:
    """Micro, macro and all-pass shares of checklists.

    Args:
        items: for each item its questions' answers: True or 1 yes, False or 0 no, None unread.

    >>> found = drfr([[True, True, False], [True]])
    >>> found.micro, found.macro, found.all_pass
    (0.75, 0.8333333333333333, 0.5)

    Raises:
        UserError: an answer that is neither.
    """
    points: list[float | None] = []
    owner: list[int] = []
    shares: list[float] = []
    whole: list[bool] = []
    for number, answers in enumerate(items):
        if any(answer not in (0, 1, None) for answer in answers):
            raise UserError(f"item {number + 1}: answers are true, false or none, found {list(answers)}")
        read = [bool(answer) for answer in answers if answer is not None]
        points += [None if answer is None else float(answer) for answer in answers]
        owner += [number] * len(answers)
        if read:
            shares.append(sum(read) / len(read))
        if read and len(read) == len(answers):
            whole.append(all(read))
    battles = weighted_battles(points, [1.0] * len(points), owner)
    macro = clustered_interval(shares)
    return ChecklistShares(
        micro=battles.score, micro_low=battles.low, micro_high=battles.high, macro=macro.value, macro_low=macro.low,
        macro_high=macro.high, all_pass=sum(whole) / len(whole) if whole else None, items=len(shares),
        questions=battles.battles, met=sum(point == 1 for point in points), unread=battles.unread,
    )  # fmt: skip


def of_verdicts(verdicts: Iterable[Verdict]) -> dict[tuple[str, str, str, str], ChecklistShares]:
    """(suite, judge, rubric, model) → shares, out of the words of checklist verdicts; others are passed over."""
    return {whose: drfr(answers) for whose, answers in decisions(verdicts, "questions", "answers").items()}
