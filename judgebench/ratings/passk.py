"""pass@k without bias (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import comb

from judgebench.errors import UserError
from judgebench.ratings.intervals import clustered_interval
from judgebench.types import Rating, Verdict


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Chance that at least one of k samples, drawn from those made without putting back, passes.

    1 - C(n-c, k) / C(n, k). The plug-in 1 - (1 - c/n)^k is biased and not used.

    >>> round(pass_at_k(10, 3, 5), 6)
    0.916667

    Raises:
        UserError: k above the samples made or below 1, or more passed than made.
    """
    if not 1 <= k <= samples:
        raise UserError(f"pass@{k} needs 1 <= k <= samples, found {samples} samples: make more or lower k")
    if not 0 <= passed <= samples:
        raise UserError(f"passed must be 0 to {samples} samples, found {passed}")
    return 1 - comb(samples - passed, k) / comb(samples, k)


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> float:
    """Mean of pass@k over questions, each given as (samples, passed).

    Raises:
        UserError: no questions, or one with fewer than k samples.
    """
    if not len(counts):
        raise UserError("pass@k of no questions is undefined")
    return sum(pass_at_k(samples, passed, k) for samples, passed in counts) / len(counts)


def rate(verdicts: Iterable[Verdict], k: int) -> list[Rating]:
    """pass@k of every (suite, scorer, dimension, model) among exact verdicts, with an interval over questions.

    A sample passes where its score is the top of the scale. Samples are counted as made where they are scored.

    Raises:
        UserError: a question has fewer than k scored samples.
    """
    made: dict[tuple[str, str, str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for verdict in {verdict.key: verdict for verdict in verdicts}.values():
        if len(verdict.shown) == 1 and verdict.judge.startswith("exact@") and verdict.scores:
            group = verdict.suite, verdict.judge, verdict.dimension, verdict.shown[0][0]
            made[group][verdict.item].append(verdict.scores[0] >= verdict.scale[1])
    ratings = []
    for (suite, judge, dimension, model), items in sorted(made.items()):
        for item, passed in items.items():
            if len(passed) < k:
                raise UserError(f"pass@{k}: {model} has {len(passed)} scored samples of {suite}/{item}, {k} are needed")
        shares = [pass_at_k(len(passed), sum(passed), k) for passed in items.values()]
        estimate = clustered_interval(shares)
        ratings.append(
            Rating(
                model=model,
                dimension=dimension,
                method=f"pass@{k}",
                value=estimate.value,
                low=estimate.low,
                high=estimate.high,
                n=sum(map(len, items.values())),
                clusters=len(items),
                suite=suite,
                judge=judge,
                note=estimate.note,
            )
        )
    return ratings
