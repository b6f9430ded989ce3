"""The way down: items with their answers and verdicts, chosen so that what needs a look comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from judgebench.types import Answer, Item, Record, Verdict

Shown = tuple[str, int]
"""(model, answer sample), as verdicts write it."""

FLAGS = {
    "disagree": "orders disagree",
    "unscored": "unscored verdict",
    "unextracted": "nothing extracted",
    "truncated": "answer truncated",
    "failed": "no whole answer",
}
"""What makes an item worth a look → how it is said; in order of interest."""


class Card(Record, frozen=True, kw_only=True):
    """One item with everything said about it."""

    suite: str
    """Name of the suite."""
    item: Item
    """The question."""
    answers: tuple[Answer, ...]
    """The answers shown, by model and sample in the order of the run."""
    answers_left_out: int
    """Answers to this item that are not shown."""
    verdicts: tuple[Verdict, ...]
    """The verdicts shown."""
    verdicts_left_out: int
    """Verdicts on this item that are not shown."""
    flags: tuple[str, ...]
    """Keys of ``FLAGS`` that hold."""


class Details(Record, frozen=True, kw_only=True):
    """The items that a report shows, and how many there are in all."""

    cards: tuple[Card, ...] = ()
    """The items shown, by suite."""
    items: int = 0
    """Items in all."""
    answers: int = 0
    """Answers in all."""
    verdicts: int = 0
    """Verdicts in all."""
    characters: int = 4000
    """Characters shown of each question, answer and reply."""


class Limits(Record, frozen=True, kw_only=True):
    """How much detail a report may hold."""

    items: int = 100
    """Items, shared evenly by the suites."""
    answers: int = 12
    """Answers per item."""
    verdicts: int = 60
    """Verdicts per item."""
    characters: int = 4000
    """Characters of each text."""


def preferred(verdict: Verdict) -> Shown | None:
    """The answer with the higher score of a scored verdict on two; None is a tie, or no verdict on two."""
    if len(verdict.scores) != 2 or len(verdict.shown) != 2 or verdict.scores[0] == verdict.scores[1]:
        return None
    return verdict.shown[0 if verdict.scores[0] > verdict.scores[1] else 1]


def by_question(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, ...]]:
    """Verdicts on a pair that differ only in the order shown, together; so are one judge's grades of all models."""
    found: dict[object, list[Verdict]] = {}
    for verdict in verdicts:
        who = tuple(sorted(verdict.shown)) if len(verdict.shown) > 1 else ()
        key = (verdict.judge, verdict.rubric, verdict.turn, verdict.dimension, who, verdict.sample)
        found.setdefault(key, []).append(verdict)
    return [tuple(group) for group in found.values()]


def disagree(group: Sequence[Verdict]) -> bool:
    """True where two scored orders of one question name different winners (a tie beside a win counts)."""
    scored = [verdict for verdict in group if len(verdict.scores) == 2]
    return len(scored) > 1 and len({preferred(verdict) for verdict in scored}) > 1


def _flags(item: Item, answers: Sequence[Answer], verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    holds = {
        "disagree": any(disagree(group) for group in by_question(verdicts)),
        "unscored": any(not verdict.scores for verdict in verdicts),
        "unextracted": any(verdict.scores and verdict.error for verdict in verdicts),
        "truncated": any(answer.truncated for answer in answers),
        "failed": any(answer.error or len(answer.turns) < len(item.turns) for answer in answers),
    }
    return tuple(flag for flag in FLAGS if holds[flag])


def gather(
    items: Iterable[tuple[str, Item]],
    answers: Iterable[Answer],
    verdicts: Iterable[Verdict],
    limits: Limits | None = None,
) -> Details:
    """The details of a run, within limits; of records with one key the last counts, as on disk.

    Each suite gets an even share of the items, what another suite does not use included. Within a suite those come
    first that have a flag of `FLAGS`, the most interesting flag first; then the others in file order.

    Args:
        items: (suite, item) of every item of the run.
        answers: every answer of the run.
        verdicts: every verdict of the run.
        limits: how much to show.
    """
    limits = limits or Limits()
    answer_of = {answer.key: answer for answer in answers}
    verdict_of = {verdict.key: verdict for verdict in verdicts}
    answers_to: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in answer_of.values():
        answers_to[answer.suite, answer.item].append(answer)
    verdicts_on: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdict_of.values():
        verdicts_on[verdict.suite, verdict.item].append(verdict)
    cards: dict[str, list[Card]] = {}
    for suite, item in items:
        card = _card(suite, item, answers_to[suite, item.id], verdicts_on[suite, item.id], limits)
        cards.setdefault(suite, []).append(card)
    interest = {flag: place for place, flag in enumerate(FLAGS)}
    shown: list[Card] = []
    room, suites = limits.items, sorted(cards, key=lambda suite: len(cards[suite]))
    share: dict[str, int] = {}
    for place, suite in enumerate(suites):
        share[suite] = min(len(cards[suite]), room // (len(suites) - place))
        room -= share[suite]
    for suite, of_suite in cards.items():
        of_suite.sort(key=lambda card: interest[card.flags[0]] if card.flags else len(FLAGS))
        shown += of_suite[: share[suite]]
    return Details(
        cards=tuple(shown),
        items=sum(map(len, cards.values())),
        answers=len(answer_of),
        verdicts=len(verdict_of),
        characters=limits.characters,
    )


def _card(suite: str, item: Item, answers: list[Answer], verdicts: list[Verdict], limits: Limits) -> Card:
    return Card(
        suite=suite,
        item=item,
        answers=tuple(answers[: limits.answers]),
        answers_left_out=max(0, len(answers) - limits.answers),
        verdicts=tuple(verdicts[: limits.verdicts]),
        verdicts_left_out=max(0, len(verdicts) - limits.verdicts),
        flags=_flags(item, answers, verdicts),
    )


def everything(details: Details) -> bool:
    """True where no item, answer or verdict is left out."""
    return _shown(details) == (details.items, details.answers, details.verdicts)


def _shown(details: Details) -> tuple[int, int, int]:
    cards = details.cards
    return len(cards), sum(len(card.answers) for card in cards), sum(len(card.verdicts) for card in cards)


def left_out(details: Details, *, paged: bool = False) -> str:
    """What the report does not show, in plain words; ``paged`` where further pages hold it."""
    shown, answers, verdicts = _shown(details)
    where = "on the pages below" if paged else "in the run's answers/ and verdicts/ folders"
    if everything(details):
        text = f"All {shown:,} items with their {answers:,} answers and {verdicts:,} verdicts are shown."
    else:
        text = (
            f"Shown are {shown:,} of {details.items:,} items, {answers:,} of {details.answers:,} answers and "
            f"{verdicts:,} of {details.verdicts:,} verdicts; those that need a look come first, so they are not a "
            f"random sample. Everything is {where}."
        )
    return f"{text} Texts are cut after {details.characters:,} characters, and say so."
