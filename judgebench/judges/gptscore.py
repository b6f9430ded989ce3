"""GPTScore: how probable an answer is under the judge model, given an instruction, an aspect and the question.

Source: Fu et al. (2023), "GPTScore", section 3: (1/m) Σ log p(h_t | h_<t, instruction, aspect, source) with equal
weights, over the tokens of the hypothesis only. The number is per token of the judge's own tokenizer: those of
different judges have no common unit and are never pooled.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping

from judgebench.errors import UserError
from judgebench.judges.rubric import ITEM_LACKS, ItemLacks, RubricJudge
from judgebench.rubrics import Rubric
from judgebench.types import ChoiceReply, ChoiceRequest, Matchup, Reading

SCALE = (-20.0, 0.0)
"""Natural log-probability a token: 0 is certainty, -20 one in 485 million."""

HOLE = "{answer}"
"""Where the prompt ends and the answer begins."""


class LogLikelihoodJudge(RubricJudge):
    """Asks for the log-probability of the answer behind the rubric's prompt, which ends with ``{answer}``.

    Nothing is generated, and nothing is read but numbers. Where the judge model has a chat template, the prompt is the
    user's message and the answer its reply.

    Raises:
        UserError: the prompt does not end with ``{answer}``, or the rubric's mode or keys ask for words.
    """

    needs = frozenset({"loglikelihood"})

    def __init__(self, name: str, rubric: Rubric) -> None:
        super().__init__(name, rubric)
        who = f"rubric {rubric.name}: judge {rubric.made_by}"
        if rubric.mode != "pointwise":
            raise UserError(f"{who} judges in mode pointwise, not {rubric.mode}")
        if not rubric.prompt.rstrip("\n").endswith(HOLE) or rubric.prompt.count(HOLE) != 1:
            raise UserError(f"{who}: the prompt must end with {HOLE}, and hold it only there: it is what is scored")
        if len(rubric.dimensions) > 1 and rubric.ask != "each":
            raise UserError(f"{who} scores one aspect a prompt: say ask: each, and show {{dimensions}}")
        if rubric.steps or rubric.options:
            raise UserError(f"{who} takes neither steps nor options")

    def deliberate(  # type: ignore[override]  # what it asks for is not text
        self, matchup: Matchup
    ) -> Generator[list[ChoiceRequest], list[ChoiceReply], Mapping[str, Reading]]:
        """One question: how probable is the answer?"""
        try:
            values = self.values(matchup)
        except ItemLacks as lack:
            return dict.fromkeys(matchup.dimensions, Reading(error=f"{ITEM_LACKS}: {lack}", scale=SCALE))
        hypothesis = matchup.shown[0].turns[max(matchup.turn, 1) - 1].strip()
        if not hypothesis:
            error = "unreadable: the answer is empty, so it has no token to be scored"
            return dict.fromkeys(matchup.dimensions, Reading(error=error, scale=SCALE))
        messages = self.messages({**values, "answer": ""}, matchup.dimensions)
        (reply,) = yield [ChoiceRequest(id="", messages=messages, choices=(hypothesis,))]
        return dict.fromkeys(matchup.dimensions, reading_of(reply))


def reading_of(reply: ChoiceReply) -> Reading:
    """The mean log-probability a token, with the sum, the tokens and the bytes in the words."""
    if reply.error:
        return Reading(error=reply.error, scale=SCALE)
    (found,) = reply.choices
    if not found.tokens or not math.isfinite(found.logprob):
        return Reading(error=f"unreadable: the log-probability is {found.logprob}", scale=SCALE)
    words = f"log-probability {found.logprob:.6f}; tokens {found.tokens}; bytes {found.bytes}"
    return Reading(scores=(found.logprob / found.tokens,), reply=words, scale=SCALE)
