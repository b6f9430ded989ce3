"""``judgebench rate RUN --control length|style``: what ratings would be at equal length or style."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings import alpaca_length, length_control, style_control
from judgebench.ratings.pools import Pool, pools
from judgebench.ratings.style import FEATURES
from judgebench.ratings.sway import ShownPair
from judgebench.runs import Run
from judgebench.stages.games import games_of, standing
from judgebench.stages.summary_sway import Looks
from judgebench.types import Answer, Game, Record


class Controlled(Record, frozen=True, kw_only=True):
    """One model at equal length or style, by one judge along one dimension."""

    control: Literal["length", "style"]
    """What was held equal."""
    suite: str
    """Name of the suite."""
    judge: str
    """Name of the judge."""
    rubric: str
    """``name@hash``."""
    dimension: str
    """What was judged."""
    model: str
    """Whom it rates."""
    baseline: str
    """length: the model that its answers were held against."""
    plain: float | None
    """Per cent of the points (length), or Elo (style), as judged."""
    value: float | None
    """The same at equal length or style."""
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    """Upper end."""
    longer: float | None
    """Share of its pairs in which its answer is the longer."""
    n: int
    """Games or verdicts."""
    note: str
    """What a reader must know, or why there is no value."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    group = parser.add_argument_group("length and style")
    group.add_argument(
        "--control", choices=("length", "style"),
        help="also print win rates against a baseline at equal length (AlpacaEval's model), or ratings at equal "
        "length, lists, headers and bold (the chat arenas' form)",
    )  # fmt: skip
    group.add_argument("--control-baseline", metavar="MODEL", help="length: the model to hold others against (default: "
                       "the one that all games share)")  # fmt: skip
    group.add_argument("--gamed", metavar="FILE", help="length: AlpacaEval's df_gamed.csv, for the published penalised "
                       "model instead of the plain one")  # fmt: skip


def control(run: Run, wanted: str, baseline: str | None = None, gamed: str | None = None) -> list[Controlled]:
    """A row for every model, by judge, rubric and dimension.

    Args:
        run: whose answers and verdicts are read.
        wanted: ``length`` or ``style``.
        baseline: the model to hold others against.
        gamed: path of ``df_gamed.csv``.

    Raises:
        UserError: no pairs were judged, or the baseline is unknown or not to be guessed.
    """
    verdicts = [verdict for verdict in standing(run, run.verdicts().values())[0] if len(verdict.shown) == 2]
    if not verdicts:
        raise UserError(f"{run.name} holds no verdicts on pairs: there is nothing to control")
    if wanted == "style":
        groups: dict[Pool, list[ShownPair]] = defaultdict(list)
        looks = Looks(run.answers())
        for verdict in verdicts:
            pair = looks.pair(verdict)
            if pair is not None and pair.first != pair.second:
                groups[Pool(verdict.suite, verdict.judge, verdict.rubric, verdict.dimension)].append(pair)
        return [row for pool, pairs in sorted(groups.items()) for row in _style(pool, pairs)]
    rows = alpaca_length.read_gamed(Path(gamed)) if gamed else None
    games = games_of(run, verdicts)[0]
    found = []
    for pool, own in pools(games).items():
        against = _baseline(own, baseline)
        order = {item: at for at, item in enumerate(run.items(pool.suite))}
        for model in sorted({name for game in own for name in (game.left, game.right)} - {against}):
            met = [game for game in own if {game.left, game.right} == {model, against}]
            if met:
                found.append(_length(pool, (model, against), met, run.answers(), (rows, order)))
    return found


def _baseline(games: Sequence[Game], named: str | None) -> str:
    """The model that others are held against."""
    seen = Counter(name for game in games for name in {game.left, game.right})
    if named is not None:
        if named not in seen:
            raise UserError(f"no game has {named!r}: {did_you_mean(named, sorted(seen))}")
        return named
    shared = [name for name, count in seen.items() if count == len(games)]
    if len(shared) != 1:
        raise UserError(f"which of {', '.join(sorted(seen))} is the baseline? say --control-baseline MODEL")
    return shared[0]


def _length(
    pool: Pool,
    models: tuple[str, str],
    games: Sequence[Game],
    answers: Mapping[tuple[str, str, str, int], Answer],
    side: tuple[Sequence[alpaca_length.GamedRow] | None, Mapping[str, int]],
) -> Controlled:
    """One model against the baseline at equal length."""
    (model, baseline), (gamed, order) = models, side
    points: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    items: list[str] = []
    for game in games:
        lengths = [_characters(answers, game, name) for name in models]
        if lengths[0] is not None and lengths[1] is not None:
            points.append(game.score if game.left == model else 1 - game.score)
            ours.append(lengths[0])
            theirs.append(lengths[1])
            items.append(game.item)
    missing = len(games) - len(points)
    try:
        if gamed is None:
            found = length_control.fit(points, ours, theirs, clusters=items)
        else:
            instructions = 1 + max(row.index for row in gamed)
            if len(order) != instructions:
                raise UserError(f"the gamed rows are of {instructions} instructions in AlpacaEval's order, the run has "
                                f"{len(order)} items: which is which cannot be told")  # fmt: skip
            found = alpaca_length.fit(points, ours, theirs, [order[item] for item in items], gamed, items)
    except UserError as error:
        return _row("length", pool, model, baseline, n=len(points), note=str(error))
    note = found.note + ("; " if found.note and missing else "")
    note += f"{missing} games on answers that the run does not hold are left out" if missing else ""
    return _row(
        "length", pool, model, baseline, plain=found.raw, value=found.win_rate, low=found.low, high=found.high,
        longer=found.longer, n=found.n, note=note,
    )  # fmt: skip


def _characters(answers: Mapping[tuple[str, str, str, int], Answer], game: Game, model: str) -> float | None:
    """Mean length over samples of what was judged of a model's answer; None where the run does not hold it."""
    found: list[int] = []
    sample = 0
    while (answer := answers.get((game.suite, game.item, model, sample))) is not None:
        turns = answer.turns[game.turn - 1 : game.turn] if game.turn else answer.turns
        found += [sum(len(turn) for turn in turns)] if turns else []
        sample += 1
    return sum(found) / len(found) if found else None


def _style(pool: Pool, pairs: Sequence[ShownPair]) -> list[Controlled]:
    """Every model of one pool at equal style."""
    games = [(pair.first, pair.second, pair.score) for pair in pairs]
    first = {name: [pair.first_style[name] for pair in pairs] for name in FEATURES}
    second = {name: [pair.second_style[name] for pair in pairs] for name in FEATURES}
    names = sorted({name for one, other, _ in games for name in (one, other)})
    try:
        found = style_control.fit(games, first, second, [pair.question for pair in pairs])
    except UserError as error:
        return [_row("style", pool, name, "", n=len(games), note=str(error)) for name in names]
    fitted = found.controlled
    effects = ", ".join(f"{name} {value:+.2f}" for name, value in fitted.coefficients.items())
    note = "; ".join(part for part in (f"log-odds of one sd: {effects}", found.note, fitted.note) if part)
    return [
        _row(
            "style", pool, name, "", plain=found.plain.elo[name], value=fitted.elo[name],
            low=fitted.elo_low[name] if fitted.elo_low else None,
            high=fitted.elo_high[name] if fitted.elo_high else None,
            longer=found.more.get("length", {}).get(name), n=len(games), note=note,
        )
        for name in names
    ]  # fmt: skip


def _row(
    kind: Literal["length", "style"], pool: Pool, model: str, baseline: str, *, n: int, note: str,
    plain: float | None = None, value: float | None = None, low: float | None = None, high: float | None = None,
    longer: float | None = None,
) -> Controlled:  # fmt: skip
    return Controlled(
        control=kind, suite=pool.suite, judge=pool.judge, rubric=pool.rubric, dimension=pool.dimension, model=model,
        baseline=baseline, plain=plain, value=value, low=low, high=high, longer=longer, n=n, note=note,
    )  # fmt: skip


def lines(rows: Sequence[Controlled]) -> list[str]:
    """The rows as text, a heading for each judge and dimension, notes below."""
    said: list[str] = []
    groups: dict[tuple[str, str, str, str, str], list[Controlled]] = defaultdict(list)
    for row in rows:
        groups[row.suite, row.judge, row.rubric, row.dimension, row.baseline].append(row)
    for (suite, judge, rubric, dimension, baseline), own in groups.items():
        against = f" against {baseline}" if baseline else ""
        said.append(f"At equal {own[0].control}{against}: {suite}, {dimension}, {judge} by {rubric}")
        for row in sorted(own, key=lambda row: (row.value is None, -(row.value or 0.0), row.model)):
            if row.value is None or row.plain is None:
                said.append(f"  {row.model}: — ({row.note})")
                continue
            unit = " %" if row.control == "length" else ""
            ends = f" [{row.low:.1f}, {row.high:.1f}]" if row.low is not None and row.high is not None else ""
            longer = (
                ""
                if row.longer is None
                else f", the longer in {row.longer:.0%} of {row.n if baseline else 'its'} pairs"
            )
            said.append(f"  {row.model}: {row.value:.1f}{unit}{ends}, as judged {row.plain:.1f}{unit}{longer}")
        for note in dict.fromkeys(row.note for row in own if row.note and row.value is not None):
            said.append(f"  note: {note}")
    return said


def rows_of(rows: Sequence[Controlled]) -> list[dict[str, Any]]:
    """The rows as plain data, for ``controlled.json``."""
    return [msgspec.to_builtins(row) for row in rows]
