"""Which items stand behind a number: the way from a count, a mean or a cell down to what it was made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from judgebench.judges.debias import LeftOut
from judgebench.ratings.skills import EVERY, items_of
from judgebench.report.where import Place, Where
from judgebench.types import Answer, Game, Item, Verdict

Pool = tuple[str, str, str, str]
"""(suite, judge, rubric, dimension)."""

Bout = tuple[str, int, tuple[str, ...]]
"""(item, turn, names of the models whose answers were judged)."""

T = TypeVar("T")

HUMAN, GOLD = "human", "gold"
"""All people, and all gold labels, where nobody is named."""
PEOPLE = (HUMAN, GOLD)
"""Whose labels count where nobody is named."""
SPLIT = 1e-9
"""Below this a game's score is a half."""


def sign(number: float) -> int:
    """1, 0 or -1; what is within rounding of 0 is 0."""
    return (number > SPLIT) - (number < -SPLIT)


def _among(pool: Pool, people: Sequence[str]) -> bool:
    """Whether a pool is of one of those named."""
    judge, rubric = pool[1], pool[2].partition("@")[0]
    gold = judge in (GOLD, f"{HUMAN}@{GOLD}")
    kind = GOLD if gold else HUMAN if judge.startswith(f"{HUMAN}@") else ""
    return bool({judge, kind, f"{judge}+{rubric}"} & {*people})


def _sides(bout: Bout) -> set[Bout]:
    """The single answers of a pair."""
    item, turn, models = bout
    return {(item, turn, (model,)) for model in models}


class Behind:
    """The items behind every number of one run's report.

    Args:
        items: (suite, item) of every item, in order.
        answers: every answer; of records with one key the last counts.
        verdicts: those that stand.
        games: made of them, the overall of several dimensions included.
        left_out: pairs that made no game.
        kind: an error as the short kind it is counted by.
    """

    def __init__(
        self, items: Iterable[tuple[str, Item]], answers: Iterable[Answer], verdicts: Iterable[Verdict],
        games: Iterable[Game] = (), left_out: Iterable[LeftOut] = (), kind: Callable[[str], str] = str,
    ) -> None:  # fmt: skip
        self.items = {(suite, item.id): item for suite, item in items}
        self._kind = kind
        self._answers: dict[Place, list[Answer]] = defaultdict(list)
        for answer in {each.key: each for each in answers}.values():
            if (answer.suite, answer.item) in self.items:
                self._answers[answer.suite, answer.model].append(answer)
        self._exact: dict[tuple[str, str, str, str], list[Verdict]] = defaultdict(list)
        self._judged: dict[Pool, list[Verdict]] = defaultdict(list)
        for verdict in {each.key: each for each in verdicts}.values():
            if verdict.judge.startswith("exact@"):
                self._exact[verdict.suite, verdict.judge, verdict.dimension, verdict.shown[0][0]].append(verdict)
            else:
                self._judged[verdict.suite, verdict.judge, verdict.rubric, verdict.dimension].append(verdict)
        self._games: dict[Pool, dict[tuple[str, str], list[tuple[str, int, float | None]]]] = {}
        self._scored: dict[Pool, set[Bout]] = {}
        self._of_models: dict[Pool, dict[str, list[Verdict]]] = {}
        self._cells: dict[tuple[str, ...], dict[tuple[str, ...], tuple[list[Place], list[Place]]]] = {}
        for game in games:
            self._met(game, game.score)
        for out in left_out:
            self._met(out, None)

    def _met(self, of: Game | LeftOut, score: float | None) -> None:
        pool = self._games.setdefault((of.suite, of.judge, of.rubric, of.dimension), defaultdict(list))
        pool[of.left, of.right].append((of.item, of.turn, score))
        pool[of.right, of.left].append((of.item, of.turn, None if score is None else 1 - score))

    def places(self, where: Where) -> list[Place]:
        """The items, each once, in the order of the run; those that the run does not hold are left out."""
        of = {"answers": self.answers, "exact": self.exact, "verdicts": self.verdicts, "games": self.games,
              "orders": self.orders, "readings": self.readings, "skills": self.skills,
              "labelled": self.labelled}  # fmt: skip
        found = where.places if where.of == "listed" else of[where.of](where)
        wanted = dict.fromkeys(place for place in found if place in self.items)
        if where.category:
            wanted = {place: None for place in wanted if self.items[place].category == where.category}
        return list(wanted)

    def answers(self, where: Where) -> Iterator[Place]:
        """``planned``, ``answered``, ``failed``, ``unfinished``, ``truncated`` or a kind of failure."""
        for (suite, model), group in self._answers.items():
            if (where.suite and suite != where.suite) or (where.model and model != where.model):
                continue
            for answer in group:
                whole = not answer.error and len(answer.turns) >= len(self.items[suite, answer.item].turns)
                if (
                    where.what in ("", "planned")
                    or (where.what == "answered" and whole)
                    or (where.what == "failed" and answer.error)
                    or (where.what == "unfinished" and not whole and not answer.error)
                    or (where.what == "truncated" and whole and answer.truncated)
                    or (answer.error and self._kind(answer.error) == where.what)
                ):
                    yield suite, answer.item
            if where.what in ("", "planned", "unfinished"):
                begun = {answer.item for answer in group}
                yield from (place for place in self.items if place[0] == suite and place[1] not in begun)

    def exact(self, where: Where) -> Iterator[Place]:
        """``scored``, ``unscored``, ``read``, ``unextracted``, ``truncated``, ``right``, ``not right`` or a reason."""
        for (suite, judge, dimension, model), group in self._exact.items():
            narrowed = ((where.suite, suite), (where.judge, judge), (where.dimension, dimension), (where.model, model))
            if any(wanted and wanted != found for wanted, found in narrowed):
                continue
            cut = {(each.item, each.sample) for each in self._answers.get((suite, model), ()) if each.truncated}
            for verdict in group:
                if {
                    "": True,
                    "scored": bool(verdict.scores),
                    "unscored": not verdict.scores,
                    "read": bool(verdict.scores) and not verdict.error,
                    "unextracted": bool(verdict.scores and verdict.error),
                    "truncated": (verdict.item, verdict.shown[0][1]) in cut,
                    "right": verdict.scores == (1.0,),
                    "not right": bool(verdict.scores) and verdict.scores[0] < 1,
                }.get(where.what, not verdict.scores and self._kind(verdict.error) == where.what):
                    yield suite, verdict.item

    def readings(self, where: Where) -> Iterator[Place]:
        """Answers that a scorer's strict and flexible rule do not read alike."""
        key = where.suite, where.judge
        headline = self._exact.get((*key, "accuracy", where.model), [])
        read = {(each.item, each.shown): each for each in headline if each.scores}
        for rule in ("accuracy_strict", "accuracy_flexible"):
            for verdict in self._exact.get((*key, rule, where.model), ()):
                beside = read.get((verdict.item, verdict.shown))
                if beside is not None and verdict.scores:
                    said, other = ((each.scores, each.reply, bool(each.error)) for each in (beside, verdict))
                    if said != other:
                        yield verdict.suite, verdict.item

    def verdicts(self, where: Where) -> Iterator[Place]:
        """``scored``, ``unscored``, ``first order``, ``second order``, ``unreadable``, ``otherwise unscored``, a
        grade ``given`` or ``between`` levels, or a reason.
        """
        levels = [(grade,) for grade in where.grades]
        for pool, group in self._pools(where, self._judged):
            for verdict in self._of_model(pool, where.model) if where.model else group:
                why = "" if verdict.scores else self._kind(verdict.error)
                order = ""
                if len(verdict.shown) == 2:
                    order = "first order" if verdict.shown[0] < verdict.shown[1] else "second order"
                if {
                    "": True,
                    "scored": bool(verdict.scores),
                    "unscored": not verdict.scores,
                    "unreadable": why.startswith("unreadable"),
                    "otherwise unscored": not verdict.scores and not why.startswith("unreadable"),
                    "first order": order == "first order",
                    "second order": order == "second order",
                    "given": verdict.scores in levels,
                    "between": len(verdict.scores) == 1 and verdict.scores not in levels,
                }.get(where.what, bool(why) and why == where.what):
                    yield pool[0], verdict.item

    def skills(self, where: Where) -> Sequence[Place]:
        """Grades of a cell of skill, difficulty and domain, as the protocol's table counts them: ``scored``, or those
        that are ``not applicable or unread``.
        """
        by = tuple(name for name, _ in where.cell)
        key = where.suite, where.judge, where.rubric, *by
        if key not in self._cells:
            graded = [each for pool, group in self._judged.items() if pool[:3] == key[:3] for each in group]
            self._cells[key] = items_of(graded, self.items, by)
        value = dict(where.cell)
        scored, others = self._cells[key].get((where.model, *(value.get(name, "") for name in EVERY)), ([], []))
        return scored if where.what == "scored" else others

    def labelled(self, where: Where) -> Iterator[Place]:
        """Items on which the judge and people (or gold labels) scored the same: ``pairs``, ``grades``, or with nothing
        said the pairs whose games both have.

        Where only one side judged pairs, the other's grades of both answers stand for them, as `meta-eval` has it.
        """
        truth = [pool for pool in (*self._judged, *self._exact_pools()) if _among(pool, where.people or PEOPLE)]
        gold = where.people == (GOLD,) and not truth  # the references themselves say who is better
        for pool, _ in self._pools(where, self._judged):
            theirs = [
                each
                for each in truth
                if each[0] == pool[0] and each[1] != pool[1]
                and (each[3] == pool[3] or (each[3] == "accuracy" and each[1].startswith("exact@")))
            ]  # fmt: skip
            pairs, singles = self._pairs_of(pool), self._graded(pool)
            their_pairs = {bout for each in theirs for bout in self._pairs_of(each)}
            their_singles = {one for each in theirs for one in self._graded(each)}
            if where.what == "grades":
                found = singles & their_singles
            elif gold:
                found = pairs
            else:
                found = pairs & their_pairs
                if where.what and not their_pairs:
                    found = {bout for bout in pairs if _sides(bout) <= their_singles}
                elif where.what and not pairs:
                    found = {bout for bout in their_pairs if _sides(bout) <= singles}
            yield from (
                (pool[0], item) for item, _, models in sorted(found) if not where.model or where.model in models
            )

    def _of_model(self, pool: Pool, model: str) -> list[Verdict]:
        """A pool's verdicts on answers of a model; sorted out once, as a table asks for many models and levels."""
        if pool not in self._of_models:
            sorted_out: dict[str, list[Verdict]] = defaultdict(list)
            for verdict in self._judged[pool]:
                for shown in {name for name, _ in verdict.shown}:
                    sorted_out[shown].append(verdict)
            self._of_models[pool] = sorted_out
        return self._of_models[pool].get(model, [])

    def _exact_pools(self) -> Iterator[Pool]:
        yield from {(suite, judge, "", dimension): None for suite, judge, dimension, _ in self._exact}

    def _pairs_of(self, pool: Pool) -> set[Bout]:
        """The pairs whose games a pool has."""
        if pool not in self._scored:
            self._scored[pool] = {
                (item, turn, tuple(sorted(pair)))
                for pair, met in self._games.get(pool, {}).items()
                for item, turn, score in met
                if score is not None
            }
        return self._scored[pool]

    def _graded(self, pool: Pool) -> set[Bout]:
        """The single answers that a pool scored."""
        suite, judge, _, dimension = pool
        exact = [each for key, group in self._exact.items() if key[:3] == (suite, judge, dimension) for each in group]
        return {
            (each.item, each.turn, (each.shown[0][0],))
            for each in (*self._judged.get(pool, ()), *exact)
            if len(each.shown) == 1 and each.scores
        }

    def games(self, where: Where) -> Iterator[Place]:
        """``wins``, ``ties``, ``losses`` of the left model, ``left out``, or every game; verdicts where none was
        made.
        """
        found = False
        for pool, pairs in self._pools(where, self._games):
            both = (where.model, where.other)
            chosen = [both] if all(both) else [pair for pair in pairs if where.model in ("", pair[0])]
            for pair in chosen:
                met = pairs.get(pair, [])
                found = found or bool(met)
                for item, _, score in met:
                    if {
                        "": score is not None,
                        "wins": score is not None and score > 0.5 + SPLIT,
                        "losses": score is not None and score < 0.5 - SPLIT,
                        "ties": score is not None and abs(score - 0.5) <= SPLIT,
                        "left out": score is None,
                    }[where.what]:
                        yield pool[0], item
        if not found and not where.what:
            yield from self.verdicts(where)

    def orders(self, where: Where) -> Iterator[Place]:
        """Pairs judged in both orders: all, ``conflicts`` (any change), or ``flips`` (the winner changes sides)."""
        for pool, group in self._pools(where, self._judged):
            leads: dict[tuple[object, ...], dict[object, list[float]]] = defaultdict(lambda: defaultdict(list))
            for verdict in group:
                if len(verdict.scores) == 2:
                    one, other = sorted(verdict.shown)
                    lead = verdict.scores[0] - verdict.scores[1]
                    pair = verdict.item, verdict.turn, one, other
                    leads[pair][verdict.shown].append(lead if verdict.shown[0] == one else -lead)
            for place, by_order in leads.items():
                if len(by_order) == 2:
                    first, second = (sign(sum(each)) for each in by_order.values())
                    if {"": True, "conflicts": first != second, "flips": first * second < 0}[where.what]:
                        yield pool[0], str(place[0])

    def _pools(self, where: Where, held: dict[Pool, T]) -> Iterator[tuple[Pool, T]]:
        """The pools that a place narrows to; of an overall that nobody was asked for, those of its dimensions."""
        narrowed = (where.suite, where.judge, where.rubric, where.dimension)
        if all(narrowed):
            whole = (where.suite, where.judge, where.rubric, where.dimension)
            if whole in held:
                yield whole, held[whole]
                return
        wanted: Sequence[str] = narrowed[:3] if where.dimension == "overall" else narrowed
        for pool, each in list(held.items()):
            if all(not part or part == found for part, found in zip(wanted, pool, strict=False)):
                yield pool, each
