"""How far two ways of asking one model agree: prompts token by token, replies, log-probabilities, scores, ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from judgebench.backends.prompt_tokens import PromptTokens
from judgebench.types import ChoiceReply, Record, Reply

AROUND = 3
"""Tokens shown before and after the first that differs."""


class Heard(Record, frozen=True, kw_only=True):
    """What one model made of one item."""

    item: str
    """``suite | item``."""
    prompt: PromptTokens
    """What it read."""
    reply: Reply
    """What it wrote."""
    scores: dict[str, float] = msgspec.field(default_factory=dict)
    """Dimension → exact score; empty where the suite has no scorer."""
    choices: ChoiceReply | None = None
    """What it makes of the item's choices; None where they were not compared."""


class Parity(Record, frozen=True, kw_only=True):
    """How far a model agrees with the first one, over the same items."""

    model: str
    """Whose numbers these are."""
    reference: str
    """The first model."""
    items: int
    """Items asked of both."""
    prompts_known: int
    """Items whose prompt both show in tokens."""
    prompts_same: int
    """... and where these are the same."""
    prompt_lengths: int
    """Items where the prompts have the same number of tokens, as counted by each (``usage``)."""
    prompt_difference: str
    """The first prompt that differs, and where; or why prompts are not known. Empty where all are the same."""
    begins: tuple[int, int]
    """Most BOS in a row at the head of a prompt: the reference's, this model's (2 is one too many)."""
    answered: int
    """Items that both answered: what follows is over these."""
    texts_same: int
    """Items with the same reply, to the letter."""
    text_difference: str
    """The first reply that differs, and where."""
    finishes: dict[str, int]
    """``reference's → this model's`` → items: why replies ended, where they ended differently."""
    tokens_compared: int
    """Tokens of replies with a log-probability on both sides, up to the first token that differs."""
    logprob_largest: float | None
    """Largest difference of their log-probabilities; None where none could be compared."""
    logprob_mean: float | None
    """Mean absolute difference."""
    choices_compared: int
    """Choices whose log-probabilities both gave."""
    choices_largest: float | None
    """Largest difference of a choice's log-probability."""
    choices_same_best: int
    """Items of those where the same choice is most probable."""
    choices_items: int
    """Items whose choices both compared."""
    scores: dict[str, tuple[float, float, int]]
    """Dimension → mean score of the reference, of this model, and items where they differ."""
    errors: dict[str, int]
    """Why one of the two gave no reply → items."""

    @property
    def agrees(self) -> bool:
        """True where every known prompt is the same token by token, and no reply or score differs or is missing."""
        return (
            self.prompts_same == self.prompts_known
            and self.texts_same == self.answered == self.items
            and not self.finishes
            and not any(differ for _, _, differ in self.scores.values())
        )


def compare(model: str, heard: Mapping[str, Heard], reference: str, first: Mapping[str, Heard]) -> Parity:
    """How far a model agrees with the first.

    Args:
        model: its name.
        heard: item → what it made of it.
        reference: the first model's name.
        first: item → what the first made of it.
    """
    shared = [item for item in first if item in heard]
    both = [(first[item], heard[item]) for item in shared]
    known = [(one, other) for one, other in both if one.prompt.tokens and other.prompt.tokens]
    apart = [(one, other) for one, other in known if one.prompt.tokens != other.prompt.tokens]
    answered = [(one, other) for one, other in both if not one.reply.error and not other.reply.error]
    unlike = [(one, other) for one, other in answered if one.reply.text != other.reply.text]
    gaps = [gap for one, other in answered for gap in logprob_gaps(one.reply, other.reply)]
    compared = [
        (a, b) for one, other in both if (a := one.choices) and (b := other.choices) and a.choices and b.choices
    ]
    differences = [
        abs(here.logprob - there.logprob)
        for one, other in compared
        for here, there in zip(one.choices, other.choices, strict=True)
    ]
    return Parity(
        model=model,
        reference=reference,
        items=len(shared),
        prompts_known=len(known),
        prompts_same=len(known) - len(apart),
        prompt_lengths=sum(one.reply.usage.prompt_tokens == other.reply.usage.prompt_tokens for one, other in answered),
        prompt_difference=prompt_difference(*apart[0]) if apart else _unknown(both),
        begins=(_begins([one.prompt for one, _ in known], known), _begins([other.prompt for _, other in known], known)),
        answered=len(answered),
        texts_same=len(answered) - len(unlike),
        text_difference=_text_difference(*unlike[0]) if unlike else "",
        finishes=dict(
            Counter(
                f"{one.reply.finish} → {other.reply.finish}"
                for one, other in answered
                if one.reply.finish != other.reply.finish
            )
        ),
        tokens_compared=len(gaps),
        logprob_largest=max(gaps) if gaps else None,
        logprob_mean=sum(gaps) / len(gaps) if gaps else None,
        choices_compared=len(differences),
        choices_largest=max(differences) if differences else None,
        choices_same_best=sum(_best(one) == _best(other) for one, other in compared),
        choices_items=len(compared),
        scores=_scores(answered),
        errors=dict(Counter(each.reply.error.partition("\n")[0] for pair in both for each in pair if each.reply.error)),
    )


def logprob_gaps(one: Reply, other: Reply) -> list[float]:
    """|difference| of the log-probabilities of each token, up to the first that differs: after it, they are of
    different texts.
    """
    gaps = []
    for here, there in zip(one.logprobs, other.logprobs, strict=False):
        if here.token != there.token:
            break
        gaps.append(abs(here.logprob - there.logprob))
    return gaps


def prompt_difference(one: Heard, other: Heard) -> str:
    """Where two prompts part, in words: the first token that differs, with those around it."""
    here, there = one.prompt.tokens, other.prompt.tokens
    place = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    return (
        f"{one.item}: {len(here)} and {len(there)} tokens, apart from token {place} on: "
        f"{_shown(one.prompt, place)} and {_shown(other.prompt, place)}"
    )


def _shown(prompt: PromptTokens, place: int) -> str:
    """The tokens around a place, in words where they are known."""
    within = slice(max(0, place - AROUND), place + AROUND + 1)
    if prompt.words:
        return repr("".join(prompt.words[within]))
    return str(list(prompt.tokens[within]))


def _unknown(both: Sequence[tuple[Heard, Heard]]) -> str:
    return next((each.prompt.unknown for pair in both for each in pair if each.prompt.unknown), "")


def _begins(prompts: Sequence[PromptTokens], known: Sequence[tuple[Heard, Heard]]) -> int:
    """Most BOS in a row at the head; its id is that of whichever side knows it."""
    begin = next((each.prompt.begin for pair in known for each in pair if each.prompt.begin is not None), None)
    if begin is None:
        return 0
    return max((_run(prompt.tokens, begin) for prompt in prompts), default=0)


def _run(tokens: Sequence[int], begin: int) -> int:
    count = 0
    while count < len(tokens) and tokens[count] == begin:
        count += 1
    return count


def _text_difference(one: Heard, other: Heard) -> str:
    here, there = one.reply.text, other.reply.text
    place = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    begin = max(0, place - 20)
    return f"{one.item}: from character {place} on: {here[begin : place + 20]!r} and {there[begin : place + 20]!r}"


def _best(reply: ChoiceReply) -> int:
    values = [choice.logprob for choice in reply.choices]
    return values.index(max(values))


def _scores(answered: Sequence[tuple[Heard, Heard]]) -> dict[str, tuple[float, float, int]]:
    """Dimension → means of both sides and the number of items that differ, over items that both have."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for one, other in answered:
        for dimension in one.scores.keys() & other.scores.keys():
            pairs.setdefault(dimension, []).append((one.scores[dimension], other.scores[dimension]))
    return {
        dimension: (
            sum(here for here, _ in found) / len(found),
            sum(there for _, there in found) / len(found),
            sum(here != there for here, there in found),
        )
        for dimension, found in sorted(pairs.items())
    }
