"""FActScore: the share of an answer's atomic facts that a source supports, with a penalty on few facts.

Source: Min et al. (2023), "FActScore", section 3; the length penalty is that of their code: 1 where an answer has more
than gamma facts, else exp(1 - gamma / facts).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from judgebench.errors import UserError
from judgebench.types import Record, Verdict
from judgebench.verdict_words import decisions

GAMMA = 10.0
"""Facts up to which an answer is penalised."""


class FactScore(Record, frozen=True, kw_only=True):
    """How far answers are supported; what rests on no answer is None."""

    score: float | None
    """Mean over answers that respond, each multiplied by its length penalty."""
    supported: float | None
    """The same mean without penalty."""
    respond_ratio: float | None
    """Answers that hold at least one fact, over all."""
    facts_per_response: float | None
    """Mean number of facts of answers that respond."""
    responses: int
    """Answers that respond."""
    answers: int
    """All answers."""
    unread: int
    """Answers with a decision that could not be read: in no number here but this."""
    scores: tuple[float | None, ...]
    """Penalised score of each answer given; None where it abstains or is unread."""


def length_penalty(facts: int, gamma: float = GAMMA) -> float:
    """1 above gamma facts, else exp(1 - gamma / facts); 0 without any; gamma 0 is no penalty.

    >>> length_penalty(12), round(length_penalty(5), 6)
    (1.0, 0.367879)
    """
    if facts < 1:
        return 0.0
    return 1.0 if facts > gamma else math.exp(1 - gamma / facts)


def factscore(answers: Sequence[Sequence[bool | int | None] | None], gamma: float = GAMMA) -> FactScore:
    """FActScore of answers whose atomic facts were held against a source.

    Args:
        answers: for each answer its facts: True or 1 supported, False or 0 not, None unread (then the whole answer is
            left out and counted). An empty list, or None, is an answer that abstains.
        gamma: facts up to which an answer is penalised; 0 is no penalty.

    Returns:
        FactScore: means over the answers that respond; `FactScore.respond_ratio` says how many do.

    >>> found = factscore([[True] * 9 + [False] * 3, [True], []])
    >>> round(found.supported, 3), round(found.score, 3), round(found.respond_ratio, 3)
    (0.875, 0.375, 0.667)

    Raises:
        UserError: a decision that is neither, or gamma below 0.
    """
    if not gamma >= 0:
        raise UserError(f"gamma is a number of facts, 0 or more; found {gamma}")
    scores: list[float | None] = []
    plain: list[float] = []
    counts: list[int] = []
    unread = 0
    for number, given in enumerate(answers, 1):
        facts = list(given or ())
        if any(fact not in (0, 1, None) for fact in facts):
            raise UserError(f"answer {number}: facts are true, false or none, found {facts}")
        if not facts or None in facts:
            unread += bool(facts)
            scores.append(None)
            continue
        share = sum(fact == 1 for fact in facts) / len(facts)
        plain.append(share)
        counts.append(len(facts))
        scores.append(share * length_penalty(len(facts), gamma))
    read = len(answers) - unread
    known = [score for score in scores if score is not None]
    return FactScore(
        score=math.fsum(known) / len(known) if known else None,
        supported=math.fsum(plain) / len(plain) if plain else None, respond_ratio=len(plain) / read if read else None,
        facts_per_response=sum(counts) / len(counts) if counts else None, responses=len(plain), answers=len(answers),
        unread=unread, scores=tuple(scores),
    )  # fmt: skip


def of_verdicts(verdicts: Iterable[Verdict], gamma: float = GAMMA) -> dict[tuple[str, str, str, str], FactScore]:
    """(suite, judge, rubric, model) → FActScore, out of the words of verdicts on facts; others are passed over."""
    return {whose: factscore(facts, gamma) for whose, facts in decisions(verdicts, "facts", "supported").items()}
