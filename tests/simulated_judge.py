"""A judge whose biases are known, because they are planted; the truth it is swayed from does not depend on length.

    judge = SimulatedJudge(strengths={"a": 0.4, "b": -0.4}, position=0.6, length=1.5, own={"a": 0.7})
    judge.verdicts(random, questions=80)             # (question, first, second, score, length of first, of second)

    with EndpointServer(judge.behave(answers)) as server:   # the same judge behind HTTP, for the whole way of a run
        ...

Answers carry who wrote them only to the simulator, which knows the texts; the prompt names nobody.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from endpoint_server import Act, Behaviour

from judgebench.ratings.sway import ShownPair


def style(length: int) -> dict[str, int]:
    """The looks of a plain answer of so many characters."""
    return {"length": length, "lists": 0, "headers": 0, "bold": 0}


@dataclass(frozen=True)
class SimulatedJudge:
    """Draws verdicts with logit P(first) = θ_first - θ_second + position + length·(l1 - l2)/(l1 + l2) + own family."""

    strengths: Mapping[str, float]
    """Model → θ, in log-odds."""
    position: float = 0.0
    """Added for being shown first."""
    length: float = 0.0
    """Added for one unit of (l1 - l2) / (l1 + l2)."""
    own: Mapping[str, float] = field(default_factory=dict)
    """Model of the judge's family → what it is favoured by."""
    ties: float = 0.0
    """Share of verdicts that are a tie, whatever the answers."""

    def chance(self, first: str, second: str, length_first: float, length_second: float) -> float:
        """P(first preferred)."""
        relative = (length_first - length_second) / (length_first + length_second)
        logit = self.strengths[first] - self.strengths[second] + self.position + self.length * relative
        return 1 / (1 + math.exp(-logit - self.own.get(first, 0.0) + self.own.get(second, 0.0)))

    def verdicts(
        self, random: np.random.Generator, questions: int, mean_length: Mapping[str, float], *, orders: int = 2
    ) -> list[ShownPair]:
        """Every pair on every question in both orders; lengths are drawn around each model's own mean."""
        return list(self._verdicts(random, questions, mean_length, orders))

    def _verdicts(
        self, random: np.random.Generator, questions: int, mean_length: Mapping[str, float], orders: int
    ) -> Iterator[ShownPair]:
        for question in range(questions):
            lengths = {name: max(20, int(random.lognormal(math.log(mean_length[name]), 0.5))) for name in mean_length}
            for left, right in itertools.combinations(self.strengths, 2):
                for first, second in ((left, right), (right, left))[:orders]:
                    chance = self.chance(first, second, lengths[first], lengths[second])
                    score = 0.5 if random.random() < self.ties else float(random.random() < chance)
                    yield ShownPair(question, first, second, score, style(lengths[first]), style(lengths[second]))

    def behave(self, answers: Mapping[str, str]) -> Behaviour:
        """The judge as an endpoint: knows each answer's model by its text, draws by the prompt, so that it repeats.

        Args:
            answers: text → model.
        """

        def reply(body: dict[str, Any], count: int) -> Act:
            prompt = str(body["messages"][-1]["content"])
            found = sorted((prompt.index(text), text) for text in answers if text in prompt)
            assert len(found) == 2, f"{len(found)} known answers in the prompt"
            (_, one), (_, two) = found
            chance = self.chance(answers[one], answers[two], len(one), len(two))
            draw = int.from_bytes(hashlib.sha256(f"{one}\n{two}".encode()).digest()[:7], "big") / 2**56
            return Act(text=f"Both were weighed.\n\n[[{'A' if draw < chance else 'B'}]]")

        return reply
