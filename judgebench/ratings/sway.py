"""What sways a judge, estimated together, and the ratings with all of it taken out.

logit P(first preferred) = θ_first - θ_second + position + b'·(differences of length and style) + s·[own family], each
verdict in the order shown, ties as half-wins, errors clustered by question (`judgebench.ratings.covariates`). One judge
alone cannot show a taste for its own family, as that is the same as merit: s needs a reference that judged the same
models, people or a judge of another family, and is the excess over it (a difference-in-differences in log-odds).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.covariates import POSITION, CovariateFit, fit
from judgebench.ratings.intervals import FLAT
from judgebench.ratings.pools import classes_that_trade
from judgebench.ratings.style import FEATURES, style_differences
from judgebench.types import Record

EACH_EFFECT_NEEDS = 5
"""Questions that each effect needs, and one part more for the models, before it is estimated at all."""
SELF = "self"
"""Name of the effect of an answer of the judge's own family, over the reference."""


class ShownPair(NamedTuple):
    """One verdict on two answers in the order shown."""

    question: Hashable
    """The sampling unit."""
    first: str
    """Model shown first."""
    second: str
    """Model shown second."""
    score: float
    """First's share of the point."""
    first_style: dict[str, int]
    """`style_counts` of the first answer."""
    second_style: dict[str, int]
    """Of the second."""


class Effect(Record, frozen=True, kw_only=True):
    """What one thing adds to the log-odds of an answer; undefined ones are None and ``note`` says why."""

    name: str
    """position, length, lists, headers, bold or self."""
    value: float | None
    """Log-odds; of position for being shown first, of length and style for one unit of (a - b) / (a + b)."""
    low: float | None = None
    """Lower end of the question-clustered 95 % interval."""
    high: float | None = None
    """Upper end."""
    se: float | None = None
    """Clustered error."""
    share: float | None = None
    """Win rate of equal answers that differ only in this: 1 / (1 + exp(-value · typical)); 0.5 is no effect."""
    typical: float | None = None
    """Mean absolute difference there is: 1 for position and self."""
    people: float | None = None
    """The people's own value on the same questions; None where no people judged or it is position or self."""
    people_low: float | None = None
    """Lower end of that."""
    people_high: float | None = None
    """Upper end."""
    note: str = ""
    """Why it is undefined, or what a reader must know."""


class Standing(Record, frozen=True, kw_only=True):
    """One model's Bradley–Terry rating on the Elo scale, plain and with every effect taken out."""

    model: str
    """Whose."""
    plain: float
    """From the same verdicts without covariates."""
    plain_low: float | None
    """Lower end."""
    plain_high: float | None
    """Upper end."""
    debiased: float
    """With every covariate at 0: no order, equal length and style, nobody's family."""
    debiased_low: float | None
    """Lower end."""
    debiased_high: float | None
    """Upper end."""


class Sway(Record, frozen=True, kw_only=True):
    """Everything of one judge."""

    effects: tuple[Effect, ...]
    """Position, length, lists, headers, bold; self where a model is of the judge's family."""
    ratings: tuple[Standing, ...]
    """Best debiased first; empty where no fit exists, and the note says why."""
    verdicts: int
    """Verdicts that entered."""
    clusters: int
    """Questions."""
    note: str
    """What a reader must know."""


def sway(
    shown: Sequence[ShownPair],
    own: Collection[str] = (),
    reference: Sequence[ShownPair] = (),
    *,
    people: bool = True,
    level: float = 0.95,
) -> Sway:
    """The effects of position, length, style and self on a judge, and ratings without them.

    An effect that these verdicts cannot show (never varies, fixed by who plays whom, separated, too few questions) is
    undefined, with its reason, and not in the fit. Where some models never yield or never win a point, the verdicts
    among the largest group that trades points are used, and the note names who is left out.

    Args:
        shown: the judge's verdicts.
        own: models of the judge's family.
        reference: verdicts of people, or of judges of other families, on the same models: what self is the excess over.
        people: whether the reference is people, whose own values of length and style then stand beside the judge's.
        level: coverage.
    """
    judged = _Verdicts.of(shown)
    plain, why = _tried(judged, [], level)
    outside = ""
    if plain is None:
        judged, outside = _trading(judged)
        plain, why = _tried(judged, [], level) if outside else (None, why)
    clusters = len(judged.questions)
    if plain is None:
        effects = tuple(Effect(name=name, value=None, note=why) for name in (POSITION, *FEATURES))
        return Sway(effects=effects, ratings=(), verdicts=len(judged.pairs), clusters=clusters, note=why)
    names, notes, found = _usable(judged, level)
    known = {name for pair in judged.pairs for name in (pair.first, pair.second)}
    others = _Verdicts.of([pair for pair in reference if {pair.first, pair.second} <= known])
    theirs = _usable(others, level)[2] if people and others.pairs else None
    joint, self_note = _with_self(judged, own, others, names, level)
    chosen = joint or found or plain
    effects = tuple(_effect(name, chosen, judged, notes, theirs) for name in (POSITION, *FEATURES))
    if own:
        effects += (_effect(SELF, chosen, judged, {SELF: self_note}, None),)
    return Sway(
        effects=effects,
        ratings=_standings(plain, chosen),
        verdicts=len(judged.pairs),
        clusters=clusters,
        note="; ".join(dict.fromkeys(part for part in (outside, chosen.note, plain.note) if part)),
    )


class _Verdicts(NamedTuple):
    """Verdicts on two different models, with the values of every covariate."""

    pairs: list[ShownPair]
    columns: dict[str, list[float]]
    questions: list[Hashable]
    """Each once."""

    @classmethod
    def of(cls, shown: Sequence[ShownPair]) -> _Verdicts:
        pairs = [pair for pair in shown if pair.first != pair.second]
        gaps = [style_differences(pair.first_style, pair.second_style) for pair in pairs]
        columns = {POSITION: [1.0] * len(pairs), **{name: [gap[name] for gap in gaps] for name in FEATURES}}
        return cls(pairs, columns, list(dict.fromkeys(pair.question for pair in pairs)))

    def fit(self, columns: Mapping[str, Sequence[float]], level: float) -> CovariateFit:
        games = [(pair.first, pair.second, pair.score) for pair in self.pairs]
        return fit(games, columns, [pair.question for pair in self.pairs], level=level)


def _trading(judged: _Verdicts) -> tuple[_Verdicts, str]:
    """The verdicts among the largest group of models that trade points, and who is left out; all if none is."""
    models = sorted({name for pair in judged.pairs for name in (pair.first, pair.second)})
    index = {name: row for row, name in enumerate(models)}
    points = np.zeros((len(models), len(models)))
    for pair in judged.pairs:
        points[index[pair.first], index[pair.second]] += pair.score
        points[index[pair.second], index[pair.first]] += 1 - pair.score
    classes = [] if not models else classes_that_trade(points)
    if not classes or len(classes[0]) < 2 or len(classes) < 2 or len(classes[1]) == len(classes[0]):
        return judged, ""
    inside = {models[row] for row in classes[0]}
    kept = _Verdicts.of([pair for pair in judged.pairs if {pair.first, pair.second} <= inside])
    outside = ", ".join(sorted(set(models) - inside))
    return kept, f"without {outside}, which trade no points with the others (separated)"


def _tried(found: _Verdicts, names: Sequence[str], level: float) -> tuple[CovariateFit | None, str]:
    """The fit with these covariates, or why there is none."""
    questions = len(found.questions)
    if names and questions < EACH_EFFECT_NEEDS * (1 + len(names)):
        return None, f"{questions} questions are too few for {len(names)} effects"
    try:
        return found.fit({name: found.columns[name] for name in names}, level), ""
    except UserError as error:
        return None, str(error)


def _usable(found: _Verdicts, level: float) -> tuple[list[str], dict[str, str], CovariateFit | None]:
    """Covariates that can be told apart, why the others cannot, and the fit with the former; None without any."""
    every = [name for name in (POSITION, *FEATURES) if any(found.columns[name])]
    made, _ = _tried(found, every, level)
    if made is not None:
        return every, {name: "never differs between the answers" for name in FEATURES if name not in every}, made
    names: list[str] = []
    notes: dict[str, str] = {}
    best = None
    for name in (POSITION, *FEATURES):
        made, why = (
            _tried(found, [*names, name], level) if name in every else (None, "never differs between the answers")
        )
        if made is None:
            notes[name] = why
        else:
            names.append(name)
            best = made
    return names, notes, best


def _with_self(
    judged: _Verdicts, own: Collection[str], others: _Verdicts, names: Sequence[str], level: float
) -> tuple[CovariateFit | None, str]:
    """The fit of the judge and the reference together, each with its own effects and one θ; or why there is none."""
    if not own:
        return None, ""
    if not others.pairs:
        return None, "no people and no judge of another family on these models: a taste for one's own looks like merit"
    n, rest = len(judged.pairs), len(others.pairs)
    columns = {name: [*judged.columns[name], *[0.0] * rest] for name in names}
    columns.update({f"{name} of the reference": [*[0.0] * n, *others.columns[name]] for name in names})
    signs = [float((pair.first in own) - (pair.second in own)) for pair in judged.pairs]
    columns[SELF] = [*signs, *[0.0] * rest]
    both = _Verdicts([*judged.pairs, *others.pairs], {}, [])
    while True:
        try:
            return both.fit(columns, level), ""
        except UserError as error:
            named = [name for name in columns if repr(name) in str(error) and name.endswith("of the reference")]
            if not named:
                return None, str(error)
            del columns[named[0]]


def _effect(
    name: str, found: CovariateFit, judged: _Verdicts, notes: Mapping[str, str], theirs: CovariateFit | None
) -> Effect:
    if name not in found.coefficients:
        return Effect(name=name, value=None, note=notes.get(name, "not estimated"))
    value = found.coefficients[name]
    sizes = judged.columns[name] if name in FEATURES else [1.0]
    typical = math.fsum(map(abs, sizes)) / len(sizes)
    flat = found.se is not None and found.se[name] < FLAT
    beside = theirs is not None and name in FEATURES and name in theirs.coefficients
    return Effect(
        name=name,
        value=value,
        low=found.low[name] if found.low and not flat else None,
        high=found.high[name] if found.high and not flat else None,
        se=found.se[name] if found.se else None,
        note="no variation between questions: no interval" if flat else "",
        share=1 / (1 + math.exp(-max(-700.0, min(700.0, value * typical)))),
        typical=typical,
        people=theirs.coefficients[name] if theirs and beside else None,
        people_low=theirs.low[name] if theirs and beside and theirs.low else None,
        people_high=theirs.high[name] if theirs and beside and theirs.high else None,
    )


def _elo_ends(found: CovariateFit, model: str) -> tuple[float | None, float | None]:
    """A rating's interval; none where nothing varies between questions, as an interval without width would say."""
    if found.elo_low is None or found.elo_high is None or found.theta_se is None or found.theta_se[model] < FLAT:
        return None, None
    return found.elo_low[model], found.elo_high[model]


def _standings(plain: CovariateFit, found: CovariateFit) -> tuple[Standing, ...]:
    rows = []
    for model in plain.models:
        plain_low, plain_high = _elo_ends(plain, model)
        low, high = _elo_ends(found, model)
        rows.append(
            Standing(
                model=model, plain=plain.elo[model], plain_low=plain_low, plain_high=plain_high,
                debiased=found.elo[model], debiased_low=low, debiased_high=high,
            )
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (-row.debiased, row.model)))
