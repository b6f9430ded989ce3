"""FairEval's calibrations over samples of two scores: MEC, BPC, their combination, and what to hand to people.

Source: Wang et al. (2023), "Large Language Models are not Fair Evaluators", sections 3.1 to 3.3. Scores here are told
by model: in both orders the first number of a pair belongs to the first model. A sample without scores is None.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from judgebench.errors import UserError
from judgebench.types import Record, Verdict

Pair = Sequence[float] | None
"""Scores of the first and second model in one sample; None where they could not be read."""

Outcome = Literal["win", "tie", "lose"]

SLACK = 1e-9
"""Below this a difference of means is rounding."""


class Evidence(Record, frozen=True, kw_only=True):
    """What all samples on one item say of the first model against the second."""

    mec_order12: tuple[float, float] | None
    """Mean scores over the samples that show the first model first (MEC); None where none is readable."""
    mec_order21: tuple[float, float] | None
    """… over those that show the second model first."""
    verdict_order12: Outcome | None
    """Who has the higher mean there."""
    verdict_order21: Outcome | None
    """… and there."""
    conflict: bool | None
    """Whether the two orders differ in win, tie or loss; None where an order is missing."""
    cs: tuple[float, float] | None
    """Calibrated scores, the mean over all readable samples of both orders (MEC+BPC, as the reference pools them)."""
    verdict: Outcome | None
    """Who has the higher calibrated score; exactly equal ones are a tie."""
    cs_balanced: tuple[float, float] | None
    """Mean of the two orders' means: the same but where orders lost samples unequally; None where one is missing."""
    verdict_balanced: Outcome | None
    """Who is higher by that."""
    shares: tuple[float, float, float] | None
    """Shares of readable samples that say win, tie and lose."""
    bpde: float | None
    """Balanced position diversity entropy in nats, from 0 to ln 3: how much the samples of both orders disagree."""
    bpde_bits: float | None
    """The same in bits."""
    bpde_normalised: float | None
    """The same as a share of ln 3."""
    diversity: float | None
    """The entropy over the first order's samples alone, in nats (vanilla DE, the control)."""
    samples: int
    """Readable samples."""
    unread: int
    """Samples left out."""


def evidence(order12: Sequence[Pair], order21: Sequence[Pair] = ()) -> Evidence:
    """MEC, BPC, MEC+BPC and the diversity entropies of one item.

    BPC is one sample in each order, MEC one order with several, EC one of both.

    Args:
        order12: samples that show the first model first, each (score of the first model, score of the second).
        order21: samples that show the second model first, told by model as well.

    >>> evidence([(8, 7), (9, 7)], [(7, 8), None]).cs
    (8.0, 7.333333333333333)
    """
    first, second = _read(order12), _read(order21)
    pooled = first + second
    one, other, both = _mean(first), _mean(second), _mean(pooled)
    balanced = None
    if one is not None and other is not None:
        balanced = (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
    shares = _shares(pooled)
    entropy = None if shares is None else _entropy(shares)
    vanilla = _shares(first)
    verdicts = _verdict(one), _verdict(other)
    return Evidence(
        mec_order12=one, mec_order21=other, verdict_order12=verdicts[0], verdict_order21=verdicts[1],
        conflict=None if None in verdicts else verdicts[0] != verdicts[1],
        cs=both, verdict=_verdict(both), cs_balanced=balanced, verdict_balanced=_verdict(balanced),
        shares=shares, bpde=entropy, bpde_bits=None if entropy is None else entropy / math.log(2),
        bpde_normalised=None if entropy is None else entropy / math.log(3),
        diversity=None if vanilla is None else _entropy(vanilla),
        samples=len(pooled), unread=len(order12) + len(order21) - len(pooled),
    )  # fmt: skip


def conflict_rate(items: Iterable[Evidence]) -> float | None:
    """Share of the items readable in both orders whose win, tie or loss changes with the order; None without any."""
    known = [item.conflict for item in items if item.conflict is not None]
    return sum(known) / len(known) if known else None


def for_people(
    items: Mapping[str, Evidence], share: float = 0.2, by: Literal["bpde", "diversity"] = "bpde"
) -> list[str]:
    """The items whose samples disagree most, to be judged by people instead (HITLC), the most disagreeing first.

    Equal entropies keep the order of ``items``. An item without a readable sample comes before all others: nothing is
    known of it.

    Args:
        items: name → evidence.
        share: of the items, rounded to the nearest number (half up); the paper's is 0.2.
        by: the entropy of both orders, or of one (the control).

    Raises:
        UserError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise UserError(f"the share of items for people is {share}; from 0 to 1 is meant")
    count = math.floor(share * len(items) + 0.5)

    def doubt(name: str) -> float:
        value: float | None = getattr(items[name], by)
        return math.inf if value is None else value

    return sorted(items, key=lambda name: -doubt(name))[:count]


def of_verdicts(verdicts: Iterable[Verdict]) -> dict[tuple[str, ...], dict[str, Evidence]]:
    """(suite, judge, rubric, dimension, left, right) → item → evidence, of verdicts that score both answers shown.

    Left is the first model by name; turns of an item are told apart as ``item/turn`` after the first.
    """
    last = {verdict.key: verdict for verdict in verdicts if len(verdict.shown) == 2 and verdict.kind == "grade"}
    pairs: dict[tuple[str, ...], dict[str, tuple[list[Pair], list[Pair]]]] = defaultdict(dict)
    for verdict in last.values():
        left, right = sorted(verdict.shown)
        name = verdict.item if verdict.turn == 1 else f"{verdict.item}/{verdict.turn}"
        key = verdict.suite, verdict.judge, verdict.rubric, verdict.dimension, left[0], right[0]
        swapped = verdict.shown[0] != left
        orders = pairs[key].setdefault(name, ([], []))
        scores = verdict.scores[::-1] if swapped else verdict.scores
        orders[swapped].append(scores or None)
    return {key: {name: evidence(*orders) for name, orders in items.items()} for key, items in sorted(pairs.items())}


def _read(samples: Sequence[Pair]) -> list[tuple[float, float]]:
    read = []
    for pair in samples:
        if pair is None or pair != pair:  # NaN, as tables write what is missing
            continue
        if len(pair) != 2 or not all(math.isfinite(score) for score in pair):
            raise UserError(f"a sample is two finite scores, or None; found {list(pair)}")
        read.append((float(pair[0]), float(pair[1])))
    return read


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    if not pairs:
        return None
    return math.fsum(one for one, _ in pairs) / len(pairs), math.fsum(other for _, other in pairs) / len(pairs)


def _verdict(pair: tuple[float, float] | None) -> Outcome | None:
    if pair is None:
        return None
    difference = pair[0] - pair[1]
    return "tie" if abs(difference) <= SLACK else "win" if difference > 0 else "lose"


def _shares(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float] | None:
    if not pairs:
        return None
    said = [_verdict(pair) for pair in pairs]
    return said.count("win") / len(said), said.count("tie") / len(said), said.count("lose") / len(said)


def _entropy(shares: Sequence[float]) -> float:
    return -math.fsum(share * math.log(share) for share in shares if share) + 0.0
