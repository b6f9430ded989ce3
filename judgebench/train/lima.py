"""LIMA's filters of instruction data: length, first person, mentions of other answers, a quota for each kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
SHORTEST, LONGEST = 1200, 4096
"""Characters of an answer (Zhou et al. 2023, arXiv 2305.11206, section 2.1)."""

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_FIRST = re.compile(r"\b(?:I|[Mm]y|[Mm]e|[Mm]ine|[Mm]yself)\b(?!\.\w|/)")
_OTHERS = re.compile(r"\b(?:as (?:\w+ )?mentioned|stack ?exchange|other answers?|the accepted answer)\b", re.IGNORECASE)


def unfit(answer: str, shortest: int = SHORTEST, longest: int = LONGEST) -> str:
    """Why an answer is left out; empty where it is not.

    Args:
        answer: the text; its code is not looked at for words.
        shortest: least characters.
        longest: most characters.

    >>> unfit("I think so.", 5), unfit("As mentioned, no.", 5), unfit("Yes, it is so.", 5), unfit("No.", 5)
    ('first person', 'mentions other answers', '', 'shorter than 5 characters')
    """
    if len(answer) < shortest:
        return f"shorter than {shortest} characters"
    if len(answer) > longest:
        return f"longer than {longest} characters"
    prose = _CODE.sub(" ", answer)
    if _FIRST.search(prose):
        return "first person"
    return "mentions other answers" if _OTHERS.search(prose) else ""


def within_quota(rows: Sequence[Row], by: str, quota: int, score: str = "score") -> list[int]:
    """Indices of at most ``quota`` rows of each kind: the highest scores first, of rows alike the earlier; file order.

    Args:
        rows: any.
        by: column that holds the kind; rows without it are one kind.
        quota: most rows of a kind.
        score: column of a number by which to choose; rows without it come last.
    """

    def key(index: int) -> tuple[bool, float, int]:
        value = rows[index].get(score)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return False, -float(value), index
        return True, 0.0, index

    taken: Counter[str] = Counter()
    kept = []
    for index in sorted(range(len(rows)), key=key):
        kind = str(rows[index].get(by, ""))
        if taken[kind] < quota:
            taken[kind] += 1
            kept.append(index)
    return sorted(kept)
