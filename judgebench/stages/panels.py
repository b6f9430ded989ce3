"""Panels: several judges by one rubric as one more judge, ``panel@NAME``, computed from stored verdicts without calls.

A panel's verdicts are made anew whenever a run is rated or meta-evaluated, one for each thing shown to its judges in
one order; what follows (swap policy, ratings, judge cards) is as for any judge. The manifest's ``panels`` says who is
in it and how it decides.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.judges.debias import first_points
from judgebench.ratings.juries import jury_card
from judgebench.ratings.panels import QUORUM, Method, panel_verdicts, shared_errors
from judgebench.runs import Run
from judgebench.stages.games import standing
from judgebench.stages.reasons import Row
from judgebench.stages.trial_units import GOLD, is_person, mean, pairs_of, share_of_scale, truth_of
from judgebench.types import Verdict

PREFIX = "panel@"
"""How the names of panels begin in verdicts."""

OWN_UNITS = ("log-likelihood",)
"""Judges whose scores mean something among their own only: no panel pools them."""

Place = tuple[str, str, int, str, tuple[tuple[str, int], ...]]
"""(suite, item, turn, dimension, shown): what the judges of a panel meet on."""


class Seat(NamedTuple):
    """What a panel makes of one rubric."""

    rubric: str
    """``name@hash``."""
    verdicts: list[Verdict]
    """The panel's own."""
    row: Row
    """What it is worth, as data."""
    line: str
    """... and in words."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of panels."""
    group = parser.add_argument_group("panels")
    group.add_argument(
        "--panel", action="append", default=[], metavar="NAME=JUDGE,JUDGE[,…]",
        help="judges of this run as one, rated beside them as panel@NAME; kept for later calls; repeat for more",
    )  # fmt: skip
    group.add_argument(
        "--panel-method", choices=get_args(Method),
        help="how the panels named here decide on pairs (default mean); grades are averaged",
    )  # fmt: skip


def keep(run: Run, texts: Sequence[str], method: Method | None) -> None:
    """Writes the panels named into the run's manifest.

    Args:
        run: the run.
        texts: ``NAME=JUDGE,JUDGE`` each.
        method: how they decide; mean by default.

    Raises:
        UserError: a text of another form, an unknown judge, fewer than two, or a method without a panel.
    """
    if method and not texts:
        raise UserError(f"--panel-method {method} has no effect without --panel NAME=JUDGE,JUDGE")
    known = sorted({verdict.judge for verdict in run.verdicts().values()})
    known = [name for name in known if not name.startswith(("exact@", PREFIX)) and not is_person(name)]
    for text in texts:
        name, equals, listed = text.partition("=")
        members = list(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
        if not equals or not re.fullmatch(r"\w[\w.-]*", name):
            raise UserError(f"--panel {text!r} is not NAME=JUDGE,JUDGE")
        for member in members:
            if member not in known:
                raise UserError(f"--panel {name}: no judge is called {member!r} here: {did_you_mean(member, known)}")
        if len(members) < QUORUM:
            raise UserError(f"--panel {name}: a panel has at least two judges, found {', '.join(members) or 'none'}")
        run.manifest.setdefault("panels", {})[name] = {"judges": members, "method": method or "mean"}


def refresh(run: Run) -> list[Seat]:
    """Makes the verdicts of all panels of a run anew and writes them; what each is worth comes back.

    Raises:
        UserError: the judges of a panel judged by no rubric together, or an anchored one has no labels.
    """
    panels = run.manifest.get("panels", {})
    if not panels:
        return []
    verdicts = standing(run, (one for one in run.verdicts().values() if not one.judge.startswith(PREFIX)))[0]
    seats: list[Seat] = []
    for name, record in sorted(panels.items()):
        judge = f"{PREFIX}{name}"
        own = _seats(run, judge, record["judges"], record["method"], verdicts)
        entry = run.manifest["judges"].setdefault(judge, {"rubrics": {}})
        entry.update(backend="panel", id=f"{record['method']} of {', '.join(record['judges'])}", options={},
                     baseline=False)  # fmt: skip
        files = set()
        for seat in own:
            bare = seat.rubric.partition("@")[0]
            path = run.verdicts_file(judge, bare)
            files.add(path)
            run.write(f"verdicts/{path.name}", b"".join(msgspec.json.encode(one) + b"\n" for one in seat.verdicts))
            first = run.manifest["judges"][record["judges"][0]]["rubrics"].get(bare, {})
            entry["rubrics"][bare] = {
                "without_reference": {}, "id": seat.rubric, "orders": first.get("orders", "both"), "samples": 1,
                "temperature": None, "max_tokens": None,
            }  # fmt: skip
        for path in (run.path / "verdicts").glob(f"{run.verdicts_file(judge, '').stem}+*.jsonl"):
            if path not in files:
                path.unlink()
        seats += own
    run.save_manifest()
    return seats


def refuse_own_units(run: Run, panel: str, rubric: str) -> None:
    """Nothing, when grades of different judges by this rubric have a common unit.

    Raises:
        UserError: they have none.
    """
    if run.manifest["rubrics"].get(rubric, {}).get("judge") in OWN_UNITS:
        raise UserError(
            f"{panel}: log-likelihoods of different models (rubric {rubric.partition('@')[0]}) have no common unit "
            "and are never pooled"
        )


def _seats(run: Run, judge: str, members: Sequence[str], method: Method, verdicts: Iterable[Verdict]) -> list[Seat]:
    people: dict[str, list[Verdict]] = defaultdict(list)
    said: dict[str, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for verdict in verdicts:
        if is_person(verdict.judge) or verdict.judge in GOLD:
            people[verdict.judge].append(verdict)
        elif verdict.judge in members:
            said[verdict.rubric][verdict.judge].append(verdict)
    found = []
    for rubric, by_judge in sorted(said.items()):
        if len(by_judge) < QUORUM:
            continue
        by = run.manifest["rubrics"].get(rubric, {})
        refuse_own_units(run, judge, rubric)
        present = [name for name in members if name in by_judge]
        pairwise = by.get("mode", "pairwise") == "pairwise"
        used: Method = method if pairwise else "mean"
        seat = _seat(judge, rubric, {name: by_judge[name] for name in present}, (used, pairwise), people)
        absent = [name for name in members if name not in by_judge]
        less = f"; without {', '.join(absent)}, which judged nothing by this rubric" if absent else ""
        found.append(seat._replace(line=seat.line + less))
    if not found:
        raise UserError(f"{judge}: its judges ({', '.join(members)}) judged by no rubric together")
    return found


def _seat(
    judge: str, rubric: str, by_judge: Mapping[str, list[Verdict]], how: tuple[Method, bool],
    people: Mapping[str, list[Verdict]],
) -> Seat:  # fmt: skip
    method, pairwise = how
    said: dict[Place, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for name, verdicts in by_judge.items():
        for one in verdicts:
            said[one.suite, one.item, one.turn, one.dimension, one.shown][name].append(one)
    places = sorted(said)
    names = list(by_judge)
    scales = {one.scale for verdicts in by_judge.values() for one in verdicts if one.scores and len(one.shown) == 1}
    points = [[_points(said[place].get(name, [])) for name in names] for place in places]
    truth = _truth(places, people)
    clusters = [place[:2] for place in places]
    try:
        found = panel_verdicts(points, method, truth, clusters, bounded=pairwise)
    except UserError as error:
        raise UserError(f"{judge}: {error}") from None
    scale = scales.pop() if len(scales) == 1 else (0.0, 1.0)
    verdicts = []
    for place, row, value in zip(places, points, found.points, strict=True):
        given = {name: one for name, one in zip(names, row, strict=True) if one is not None}
        verdicts.append(_verdict(judge, rubric, place, said[place], value, (given, len(names), method, scale)))
    worth, line = _worth(judge, rubric, method, names, (places, points, truth))
    note = "; ".join(filter(None, (found.note, _off_scale(by_judge.values()))))
    worth |= {"weights": dict(zip(names, found.weights, strict=True)), "undecided": found.undecided, "note": note}
    return Seat(rubric, verdicts, worth, "; ".join(filter(None, (line, note))))


def _off_scale(said: Iterable[list[Verdict]]) -> str:
    """How many grades lie off their own scale, in words; imported ones are kept and averaged as they are."""
    shares = [share_of_scale(one) for verdicts in said for one in verdicts if len(one.shown) == 1]
    off = sum(share is not None and not 0 <= share <= 1 for share in shares)
    return f"{off} of {len(shares)} grades lie off the judge's own scale and are averaged as they are" if off else ""


def _verdict(
    judge: str, rubric: str, place: Place, said: Mapping[str, list[Verdict]], value: float | None,
    how: tuple[Mapping[str, float], int, Method, tuple[float, float]],
) -> Verdict:  # fmt: skip
    given, count, method, scale = how
    suite, item, turn, dimension, shown = place
    error = ""
    scores: tuple[float, ...] = ()
    if value is not None:
        scores = (value, 1 - value) if len(shown) == 2 else (scale[0] + value * (scale[1] - scale[0]),)
    elif len(given) < QUORUM:
        error = f"no quorum: {len(given)} of {count} judges gave a verdict"
        causes = Counter(one.error for verdicts in said.values() for one in verdicts if one.error)
        error = "not applicable: the judges say so" if not given and _all_left_out(said, count) else error
        error += f" ({causes.most_common(1)[0][0]})" if causes and error.startswith("no quorum") else ""
    else:
        error = "undecided: the votes are split"
    words = msgspec.json.encode({"method": method, "votes": dict(given)}).decode()
    seen = next((one.seen for verdicts in said.values() for one in verdicts if one.seen), "")
    pair = len(shown) == 2
    return Verdict(
        suite=suite, item=item, turn=turn, rubric=rubric, judge=judge, dimension=dimension, shown=shown,
        kind="probability" if pair else "grade", scores=scores, scale=(0.0, 1.0) if pair else scale, reply=words,
        error=error, seen=seen,
    )  # fmt: skip


def _all_left_out(said: Mapping[str, list[Verdict]], count: int) -> bool:
    """Whether every judge was allowed to leave it out, and did."""
    errors = [one.error for verdicts in said.values() for one in verdicts]
    return len(said) == count and all(error.startswith("not applicable") for error in errors)


def _points(verdicts: Sequence[Verdict]) -> float | None:
    """Mean over a judge's samples: the share of the point of what was shown first, or the grade on the unit scale."""
    values: list[float | None] = []
    for one in verdicts:
        if len(one.shown) == 2:
            values.append(first_points(one))
        elif one.scores:
            values.append(share_of_scale(one))
    return mean(values)


def _truth(places: Sequence[Place], people: Mapping[str, list[Verdict]]) -> list[float | None]:
    """People's majority on each pair as points of what was shown first, or their mean grade on the unit scale."""
    read = {name: pairs_of(verdicts) for name, verdicts in people.items()}
    labels = truth_of(read)
    grades: dict[Place, list[float | None]] = defaultdict(list)
    for verdicts in people.values():
        for one in verdicts:
            if len(one.shown) == 1:
                grades[one.suite, one.item, one.turn, one.dimension, one.shown].append(_points([one]))
    found: list[float | None] = []
    for place in places:
        shown = place[4]
        if len(shown) == 1:
            found.append(mean(grades.get(place, [])))
            continue
        left, right = sorted(shown)
        unit = (*place[:4], left, right)
        share = {"first": 1.0, "tie": 0.5, "second": 0.0}.get(labels.labels.get(unit, ""))
        if share is not None and (left if not labels.flipped[unit] else right) != shown[0]:
            share = 1 - share
        found.append(share)
    return found


def _worth(
    judge: str, rubric: str, method: Method, names: Sequence[str],
    known: tuple[Sequence[Place], Sequence[Sequence[float | None]], Sequence[float | None]],
) -> tuple[Row, str]:  # fmt: skip
    """What a panel is worth by people's labels, as data and in words; without labels that they are missing."""
    places, points, truth = known
    at = [number for number, label in enumerate(truth) if label is not None]
    questions = len({places[number][:2] for number in at})
    row: Row = {"judge": judge, "rubric": rubric, "method": method, "judges": list(names),
                           "labels": len(at), "questions": questions}  # fmt: skip
    who = f"{judge} by {rubric.partition('@')[0]} ({method} of {', '.join(names)})"
    if not at:
        row |= {"accuracy": {}, "majority": None, "error_correlation": None, "effective_judges": None}
        return row, (
            f"{who}: no label of people anchors it, so it is not known which errors its judges share; such a panel "
            "can be worse than its best judge"
        )
    labels = [truth[number] for number in at]
    said = ""
    if all(len(place[4]) == 2 for place in places):
        votes = [[None if v is None else 0.5 if abs(v - 0.5) < 1e-9 else float(v > 0.5) for v in points[n]] for n in at]
        card = jury_card(votes, labels)
        correlation, effective = card.error_correlation, card.effective_judges
        row |= {"accuracy": dict(zip(names, card.accuracy, strict=True)), "majority": card.majority}
        each = ", ".join(f"{name} {share:.2f}" for name, share in row["accuracy"].items())
        said = f" accuracy {each}, majority {card.majority:.2f};"
        if card.majority < card.best:
            said += " the majority is worse than the best judge alone;"
    else:
        shared = shared_errors([points[number] for number in at], labels)
        correlation, effective = shared.correlation, shared.effective_judges
    row |= {"error_correlation": correlation, "effective_judges": effective}
    worth = (
        "error correlation unknown: too few labels, or judges that never or always err"
        if correlation is None or effective is None
        else f"error correlation {correlation:.2f}, worth {effective:.1f} independent judges"
    )
    return row, f"{who}: by people's labels on {questions} questions:{said} {worth}"
