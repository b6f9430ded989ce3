"""Verdicts from the probabilities of a reply's tokens, and the pure functions behind them.

Sources: AlpacaEval 2 (Dubois et al. 2024): the two answers are labelled ``m`` and ``M``, one token is asked for, and
p(m) over p(m) + p(M) is the preference. G-Eval (Liu et al. 2023, section 2.3): the score is the sum of the scale's
values weighed by their probabilities, renormalised over those found. GPTScore (Fu et al. 2023): the mean
log-probability of the tokens of the hypothesis.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from judgebench.errors import Unreadable, UserError
from judgebench.judges.rubric import RubricJudge
from judgebench.rubrics import Rubric
from judgebench.thinking import strip_thinking
from judgebench.types import Matchup, Reading, Record, Reply, Sampling

TOP_LABELS, TOP_SCALE = 5, 20
"""Alternatives asked for: AlpacaEval's five; for a scale, the most that endpoints give."""

LEAST_MASS = 0.9
"""Below this share of the probability on the scale a grade is said to be doubtful."""

MOST_LOGPROB = 0.01
"""Above this a number is no log-probability."""

NONE_GIVEN = "the backend gave no log-probabilities"


class LabelPreference(Record, frozen=True, kw_only=True):
    """What the probabilities of two labels say."""

    p_first: float | None
    """p(first) / (p(first) + p(second)); None where neither label is among the tokens."""
    preference: float | None
    """AlpacaEval's number: 2 - p_first, from 1 (all for the first) to 2 (all for the second)."""
    mass: float
    """Probability of both labels together, at most 1."""
    note: str = ""
    """Which label was missing."""


class ScaleScore(Record, frozen=True, kw_only=True):
    """What the probabilities of a scale's values say."""

    score: float | None
    """Mean of the values weighed by their renormalised probabilities; None where no value is among the tokens."""
    mass: float
    """Probability of all values together before it is renormalised; under 0.9 the grade is doubtful."""
    variance: float | None
    """Variance of the values under the renormalised probabilities."""
    note: str = ""
    """``doubtful: …`` where the mass is small."""


class SampledScore(Record, frozen=True, kw_only=True):
    """What several sampled replies say."""

    score: float | None
    """Mean of the numbers read; None where there is none."""
    parsed: tuple[float | None, ...]
    """The number read from each reply."""
    unparsed: int
    """Replies without one: dropped and counted."""
    zero_filled: float | None
    """The mean with 0 for those, as the reference code has it; for comparison only."""


class SequenceScore(Record, frozen=True, kw_only=True):
    """How probable a text is, token by token."""

    mean: float
    """Weighted mean of the log-probabilities: GPTScore."""
    total: float
    """Their sum."""
    perplexity: float
    """exp(-mean)."""
    tokens: int
    """Tokens counted."""


def label_preference(top_logprobs: Mapping[str, float], first: str = "m", second: str = "M") -> LabelPreference:
    """The preference for the first of two answers, by the probabilities of their labels (AlpacaEval 2).

    A label that is not among the tokens has probability 0, as in the reference; where both are missing, or one's number
    is no log-probability (NaN, above 0), there is no preference. Tokens count as a label once white space around them
    is taken off; several such are added up.

    Args:
        top_logprobs: token → natural log-probability, at the verdict's place.
        first: label of the answer shown first.
        second: label of the other.

    >>> round(label_preference({"m": -0.3, "M": -1.4}).preference, 9)
    1.249739894
    """
    if why := _no_logprob(top_logprobs, (first, second)):
        return LabelPreference(p_first=None, preference=None, mass=0.0, note=why)
    one, other = _mass(top_logprobs, first), _mass(top_logprobs, second)
    if one + other == 0:
        return LabelPreference(p_first=None, preference=None, mass=0.0, note=f"neither {first!r} nor {second!r}")
    missing = [label for label, mass in ((first, one), (second, other)) if mass == 0]
    p_first = one / (one + other)
    return LabelPreference(
        p_first=p_first, preference=2 - p_first, mass=min(1.0, one + other),
        note=f"no {missing[0]!r} among the tokens" if missing else "",
    )  # fmt: skip


def scale_score(top_logprobs: Mapping[str, float], scale: tuple[float, float] = (1, 5)) -> ScaleScore:
    """The probability-weighted grade on a scale of whole numbers (G-Eval, section 2.3).

    Args:
        top_logprobs: token → natural log-probability, at the grade's place.
        scale: lowest and highest value.

    >>> round(scale_score({"4": -0.1, "5": -2.5}).score, 3)
    4.083
    """
    low, high = round(scale[0]), round(scale[1])
    if why := _no_logprob(top_logprobs, [str(value) for value in range(low, high + 1)]):
        return ScaleScore(score=None, mass=0.0, variance=None, note=why)
    masses = {value: _mass(top_logprobs, str(value)) for value in range(low, high + 1)}
    mass = math.fsum(masses.values())
    if mass == 0:
        return ScaleScore(score=None, mass=0.0, variance=None, note=f"no token from {low} to {high}")
    score = math.fsum(value * each for value, each in masses.items()) / mass
    variance = math.fsum((value - score) ** 2 * each for value, each in masses.items()) / mass
    note = f"doubtful: {mass:.2f} of the probability is on the scale" if mass < LEAST_MASS else ""
    return ScaleScore(score=score, mass=min(1.0, mass), variance=variance, note=note)


def sampled_score(replies: Sequence[str | None], scale: tuple[float, float] | None = None) -> SampledScore:
    """The mean of the numbers that replies begin with (G-Eval without log-probabilities); others are dropped, counted.

    Args:
        replies: the judge's words, one for each sample; None is no reply, and counts as one without a number.
        scale: where given, numbers outside it count as none.
    """
    parsed: list[float | None] = []
    for reply in replies:
        found = re.match(r"\s*[-+]?\d+(?:\.\d+)?", reply or "")
        value = float(found[0]) if found else None
        inside = value is not None and (scale is None or scale[0] <= value <= scale[1])
        parsed.append(value if inside else None)
    read = [value for value in parsed if value is not None]
    return SampledScore(
        score=math.fsum(read) / len(read) if read else None, parsed=tuple(parsed), unparsed=len(parsed) - len(read),
        zero_filled=math.fsum(read) / len(parsed) if parsed else None,
    )  # fmt: skip


def sequence_score(logprobs: Sequence[float], weights: Sequence[float] | None = None) -> SequenceScore:
    """How probable a text is under a model: GPTScore's weighted mean of its tokens' log-probabilities.

    Args:
        logprobs: of the hypothesis' tokens only, each given all before it.
        weights: one each; equal where None.

    Raises:
        UserError: no tokens, or weights that do not fit.
    """
    if not len(logprobs) or not all(math.isfinite(value) for value in logprobs):
        raise UserError("a text needs at least one token, each with a finite log-probability")
    weights = [1.0] * len(logprobs) if weights is None else list(weights)
    if len(weights) != len(logprobs) or min(weights) < 0 or math.fsum(weights) == 0:
        raise UserError(f"{len(weights)} weights for {len(logprobs)} tokens: one each, none below 0, are meant")
    mean = math.fsum(w * value for w, value in zip(weights, logprobs, strict=True)) / math.fsum(weights)
    return SequenceScore(mean=mean, total=math.fsum(logprobs), perplexity=math.exp(-mean), tokens=len(logprobs))


def _no_logprob(top_logprobs: Mapping[str, float], labels: Sequence[str]) -> str:
    """Why a label's number is no log-probability; empty where all are. Endpoints round a certain 0 to just above it."""
    for token, value in top_logprobs.items():
        if token.strip() in labels and not value <= MOST_LOGPROB:
            return f"{token!r} has {value} for a log-probability"
    return ""


def _mass(top_logprobs: Mapping[str, float], label: str) -> float:
    found = [math.exp(value) for token, value in top_logprobs.items() if token.strip() == label]
    return min(1.0, math.fsum(found))


class _ProbabilityJudge(RubricJudge):
    """Asks for log-probabilities and reads the first token that is not white space."""

    needs = frozenset({"logprobs"})
    top = TOP_LABELS

    def sampling(self, matchup: Matchup) -> Sampling:
        """The matchup's, with log-probabilities."""
        return msgspec.structs.replace(super().sampling(matchup), logprobs=self.top)

    def read(self, matchup: Matchup, reply: Reply) -> Mapping[str, Reading]:
        """Dimension → reading of the tokens' probabilities."""
        if reply.error:
            return dict.fromkeys(matchup.dimensions, Reading(error=reply.error, reply=reply.text))
        try:
            reading = self.weigh(self._tokens(reply))
        except Unreadable as error:
            reading = Reading(error=f"unreadable: {error}")
        words = f"{reply.text} | {reading.reply}" if reading.reply else reply.text
        return dict.fromkeys(matchup.dimensions, msgspec.structs.replace(reading, reply=words))

    def weigh(self, top_logprobs: Mapping[str, float]) -> Reading:
        """The reading of the tokens at the verdict's place."""
        raise NotImplementedError

    def readable(self, reply: str) -> bool:
        """An example's reply must be a token that is weighed, and nothing else."""
        return bool(self.weigh({reply.strip(): 0.0}).scores)

    def _tokens(self, reply: Reply) -> dict[str, float]:
        """Token → log-probability at the verdict's place; several of one text are added up."""
        if not reply.logprobs:
            self.remarks[NONE_GIVEN] += 1
            raise Unreadable(NONE_GIVEN)
        said = strip_thinking("".join(one.token for one in reply.logprobs)).lstrip()
        place, rest = len(reply.logprobs), 0
        while place and rest < len(said):
            place -= 1
            rest += len(reply.logprobs[place].token)
        while place < len(reply.logprobs) - 1 and not reply.logprobs[place].token.strip():
            place += 1
        found: dict[str, float] = {}
        at = reply.logprobs[place]
        for token, value in dict([(at.token, at.logprob), *at.top]).items():
            found[token] = value
        return found


class LabelJudge(_ProbabilityJudge):
    """The preference between two answers by the probabilities of the rubric's two ``tokens``."""

    def __init__(self, name: str, rubric: Rubric) -> None:
        super().__init__(name, rubric)
        if rubric.mode != "pairwise":
            raise UserError(f"rubric {rubric.name}: judge label-probability compares pairs; its mode is {rubric.mode}")
        _one_dimension(rubric)

    def weigh(self, top_logprobs: Mapping[str, float]) -> Reading:
        """Scores (p, 1 - p) of kind probability."""
        first, second = self.spec.tokens
        found = label_preference(top_logprobs, first, second)
        words = f"p({first}) = {found.p_first}; mass {found.mass:.6g}" + (f"; {found.note}" if found.note else "")
        if found.p_first is None:
            return Reading(error=f"unreadable: no preference among the tokens given ({found.note})", kind="probability")
        return Reading(scores=(found.p_first, 1 - found.p_first), reply=words, kind="probability")


class ScaleJudge(_ProbabilityJudge):
    """The probability-weighted grade on the rubric's scale of whole numbers.

    Each value should be one token: where a tokenizer splits 10, its first token counts as a 1.
    """

    top = TOP_SCALE

    def __init__(self, name: str, rubric: Rubric) -> None:
        super().__init__(name, rubric)
        low, high = rubric.scale
        if rubric.mode != "pointwise" or low != round(low) or high != round(high) or not 0 <= low < high <= 100:
            raise UserError(
                f"rubric {rubric.name}: judge scale-probability grades on whole numbers from 0 to at most 100"
            )
        _one_dimension(rubric)

    def weigh(self, top_logprobs: Mapping[str, float]) -> Reading:
        """The weighted grade, its mass on the scale in the words; a small mass is remarked on."""
        found = scale_score(top_logprobs, self.spec.scale)
        if found.score is None:
            return Reading(error=f"unreadable: {found.note}", scale=self.spec.scale)
        if found.mass < LEAST_MASS:
            self.remarks[f"less than {LEAST_MASS:g} of the probability is on the scale"] += 1
        words = f"weighted {found.score:.6f}; mass on the scale {found.mass:.6g}"
        return Reading(scores=(found.score,), reply=words, scale=self.spec.scale)


def _one_dimension(rubric: Rubric) -> None:
    if len(rubric.dimensions) > 1 and rubric.ask == "together":
        raise UserError(f"rubric {rubric.name}: judge {rubric.made_by} reads one token: say ask: each")
