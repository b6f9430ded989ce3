"""What is to be judged: which pairs, in which orders, which turns, how often. Pure plans over items and answers."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from judgebench.errors import UserError, did_you_mean
from judgebench.rubrics import Rubric
from judgebench.types import Answer, Item, Matchup, Sampling

MOST_MODELS_FOR_ALL_PAIRS = 5
"""Past this many models, all pairs must be asked for by name: their number grows with the square."""

GREEDY = Sampling()

Recorded = Mapping[str, Mapping[str, Mapping[int, Answer]]]
"""Item → model → sample → answer: what was asked of whom."""


def pairs(
    models: Sequence[str], how: str = "", baseline: str = "", listed: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """Which two models meet, each pair once.

    Args:
        models: names, in the order given.
        how: ``all``, ``baseline`` (everyone against one), ``listed``, or empty for the default.
        baseline: the one, for ``baseline``.
        listed: ``NAME:NAME`` each, for ``listed``.

    Raises:
        UserError: a name is unknown, a flag has no effect, or the default would be more pairs than should come unasked.
    """
    listed = list(listed)
    chosen = how or ("baseline" if baseline else "listed" if listed else "")
    if chosen not in ("", "all", "baseline", "listed"):
        raise UserError(f"--pairs {chosen!r}: {did_you_mean(chosen, ('all', 'baseline', 'listed'))}")
    if baseline and chosen != "baseline":
        raise UserError(f"--baseline {baseline} has no effect with --pairs {chosen}")
    if listed and chosen != "listed":
        raise UserError(f"--pair has no effect with --pairs {chosen}")
    if chosen == "baseline":
        if not baseline:
            raise UserError("--pairs baseline needs --baseline MODEL")
        _known(baseline, models)
        return [(name, baseline) for name in models if name != baseline]
    if chosen == "listed":
        found = [_pair(text, models) for text in listed]
        if not found:
            raise UserError("--pairs listed needs --pair NAME:NAME, once for each pair")
        return list({frozenset(pair): pair for pair in reversed(found)}.values())[::-1]
    if not chosen and len(models) > MOST_MODELS_FOR_ALL_PAIRS:
        count = len(models) * (len(models) - 1) // 2
        raise UserError(
            f"{len(models)} models make {count} pairs: say --pairs all, or --baseline MODEL, or --pair NAME:NAME"
        )
    return list(itertools.combinations(models, 2))


def _pair(text: str, models: Sequence[str]) -> tuple[str, str]:
    """The two names of NAME:NAME, either of which may hold colons itself."""
    splits = [(text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == ":"]
    if not splits:
        raise UserError(f"--pair {text!r} is not NAME:NAME")
    for left, right in splits:
        if left in models and right in models:
            if left == right:
                raise UserError(f"--pair {text!r}: a model does not meet itself")
            return left, right
    for name in splits[0]:
        _known(name, models)
    raise UserError(f"--pair {text!r}: no two models have these names")


def _known(name: str, models: Sequence[str]) -> None:
    if name not in models:
        raise UserError(f"no model is called {name!r}: {did_you_mean(name, models)}")


def calls(rubric: Rubric, item: Item | None = None) -> list[tuple[str, ...]]:
    """The dimensions of each call: one call each, or one for all; those that the item names, where the rubric says so.

    Raises:
        UserError: the item names none, or one that the rubric does not have.
    """
    names = tuple(rubric.dimensions)
    if rubric.dimensions_from and item is not None:
        return [_named(rubric, item)]
    return [(name,) for name in names] if rubric.ask == "each" and rubric.mode != "checklist" else [names]


def _named(rubric: Rubric, item: Item) -> tuple[str, ...]:
    """The rubric's dimensions that an item names, in the rubric's order; case and underscores do not matter."""
    field = rubric.dimensions_from
    listed = item.meta.get(field)
    if not isinstance(listed, (list, tuple)) or not listed:
        raise UserError(
            f"rubric {rubric.name} judges what an item's {field!r} lists, and item {item.id!r} lists nothing"
        )
    known = {_plain(name): name for name in rubric.dimensions}
    for name in listed:
        if _plain(name) not in known:
            raise UserError(f"item {item.id!r} lists {name!r} in {field!r}: {did_you_mean(_plain(name), known)}")
    wanted = {known[_plain(name)] for name in listed}
    return tuple(name for name in rubric.dimensions if name in wanted)


def _plain(name: object) -> str:
    return " ".join(str(name).replace("_", " ").split()).lower()


def turns(item: Item, *, needs_reference: bool) -> list[int]:
    """The 1-based turns a judge can be put before: those with a reference of their own where it needs one."""
    numbers = range(1, len(item.turns) + 1)
    return [turn for turn in numbers if not needs_reference or "".join(item.reference[turn - 1 : turn]).strip()]


def pointwise(
    suite: str, items: Iterable[Item], recorded: Recorded, models: Sequence[str], rubric: Rubric, *,
    needs_reference: bool = False, samples: int = 1, sampling: Sampling = GREEDY,
) -> Iterator[Matchup]:  # fmt: skip
    """Every answer alone: item × turn × model × answer sample × call × judge sample.

    Args:
        suite: name of the suite.
        items: the items to judge.
        recorded: what was asked of whom; what was never asked is not judged, a failed answer is shown with its error.
        models: names.
        rubric: what is asked.
        needs_reference: leave out turns without a reference.
        samples: judge samples of each matchup.
        sampling: how the judge draws.
    """
    for item in items:
        answers = [answer for name in models for _, answer in sorted(recorded.get(item.id, {}).get(name, {}).items())]
        for turn, answer in itertools.product(turns(item, needs_reference=needs_reference), answers):
            for dimensions, sample in itertools.product(calls(rubric, item), range(samples)):
                yield Matchup(
                    suite=suite, item=item, turn=turn, shown=(_whole(item, answer),), dimensions=dimensions,
                    sample=sample, sampling=sampling,
                )  # fmt: skip


def pairwise(
    suite: str, items: Iterable[Item], recorded: Recorded, meetings: Sequence[tuple[str, str]], rubric: Rubric, *,
    needs_reference: bool = False, samples: int = 1, sampling: Sampling = GREEDY, both_orders: bool = True,
    seed: int = 0,
) -> Iterator[Matchup]:  # fmt: skip
    """Every pair, in both orders unless told otherwise: item × turn × pair × order × call × judge sample.

    Args: as `pointwise`; ``meetings`` are the pairs. Answer samples meet by number, as many as both models have. With
    one order it is drawn by lot for each item and pair (by ``seed``), so that no model has the better place throughout.
    """
    for item in items:
        own = recorded.get(item.id, {})
        met = [
            (_whole(item, own[left][number]), _whole(item, own[right][number]))
            for left, right in meetings
            for number in sorted(own.get(left, {}).keys() & own.get(right, {}).keys())
        ]
        for turn, (left_answer, right_answer) in itertools.product(turns(item, needs_reference=needs_reference), met):
            orders = [(left_answer, right_answer), (right_answer, left_answer)]
            if not both_orders:
                orders = [orders[_lot(seed, suite, item.id, sorted((left_answer.model, right_answer.model)))]]
                if left_answer.model > right_answer.model:
                    orders = [orders[0][::-1]]
            for shown, dimensions, sample in itertools.product(orders, calls(rubric), range(samples)):
                yield Matchup(
                    suite=suite, item=item, turn=turn, shown=shown, dimensions=dimensions, sample=sample,
                    sampling=sampling,
                )  # fmt: skip


def digest(shown: Sequence[Answer], turn: int) -> str:
    """A short hash of what a judge of this turn sees of the answers; a verdict stands only while it is the same."""
    texts = [answer.turns[:turn] if turn else answer.turns for answer in shown]
    return hashlib.sha256(repr(texts).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _lot(*key: object) -> int:
    """0 or 1, evenly, by the key alone."""
    return hashlib.sha256(repr(key).encode()).digest()[0] & 1


def _whole(item: Item, answer: Answer) -> Answer:
    """The answer, or one that says why it cannot be shown."""
    if answer.error or len(answer.turns) >= len(item.turns):
        return answer
    return Answer(
        suite=answer.suite, item=item.id, model=answer.model, sample=answer.sample, error="no answer: unfinished"
    )
