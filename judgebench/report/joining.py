"""Several runs as one: whether they were asked alike, what both have, and whose answers are the same in both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec

from judgebench.report.where import Place
from judgebench.types import Answer, Item, Record, Verdict

PEOPLE = ("human@", "gold")
"""How names of people's verdicts begin: people need not be asked alike."""


class Side(Record, frozen=True, kw_only=True):
    """One of the runs."""

    name: str
    """How it is called here; no two alike."""
    manifest: Mapping[str, Any]
    """Its manifest."""
    items: Mapping[str, Mapping[str, Item]]
    """Suite → id → item."""
    answers: tuple[Answer, ...]
    """Of records with one key the last."""
    verdicts: tuple[Verdict, ...]
    """Those that stand."""


class Share(Record, frozen=True, kw_only=True):
    """What the runs have in common of one suite."""

    suite: str
    """Name of the suite."""
    items: dict[str, int]
    """Run → its items; runs without the suite are left out."""
    common: int
    """Items that all of these runs hold."""
    joined: tuple[str, ...]
    """Those of them that every model answered whole, in the order of the first run: what is compared."""
    lacking: dict[str, int]
    """Model → common items that it did not answer whole, and that are left out for it; models that answered none are
    in ``absent``."""
    absent: tuple[str, ...]
    """Models that were asked and answered none of them."""


class Joined(Record, frozen=True, kw_only=True):
    """The runs as one."""

    models: dict[str, tuple[str, ...]]
    """Model as it is called here → the runs it is of; several where its answers are the same in them."""
    names: dict[str, dict[str, str]]
    """Run → model's name there → how it is called here."""
    shares: tuple[Share, ...]
    """Suites that two runs or more hold."""
    alone: tuple[tuple[str, str, int], ...]
    """(suite, run, items) that only one run holds."""
    judged_alone: tuple[tuple[str, str, str, str], ...]
    """(suite, judge, rubric, run) that judged in one run only, of suites that several hold."""
    answers: tuple[Answer, ...]
    """Those compared, models renamed."""
    verdicts: tuple[Verdict, ...]
    """Those compared, models renamed."""
    twice: int
    """Verdicts that several runs hold on the same answers; the first run's count."""
    differing: int
    """Those of them that do not say the same."""
    repeated: tuple[tuple[str, str, str], ...]
    """(model as two runs call it, how it is called here in the one, and in the other): one model, asked twice, whose
    answers changed."""


def unlike(sides: Sequence[Side]) -> list[str]:
    """What keeps runs from being compared, a line each that names the difference and the two runs; empty: nothing.

    Looked at is what two runs both have: of a suite its version, rows, prompt, few-shot examples, sampling, scorer,
    the wording of its items, and the limits on answers; of a judge its model and settings; of a rubric its version; of
    pairwise verdicts the swap policy. That models differ is what is compared, and nobody's fault.
    """
    return list(dict.fromkeys(line for one, other in combinations(sides, 2) for line in _between(one, other)))


def _between(one: Side, other: Side) -> Iterator[str]:
    both = f"{one.name} and {other.name}"
    pairwise = [any(len(verdict.shown) == 2 for verdict in side.verdicts) for side in (one, other)]
    for suite in one.items:
        if suite not in other.items:
            continue
        asked = [_asked(side, suite) for side in (one, other)]
        for part in asked[0]:
            if part in asked[1] and asked[0][part] != asked[1][part]:
                yield f"{both} are unlike: {suite}: {part} is {_short(asked[0][part])} and {_short(asked[1][part])}"
        shared = [key for key in one.items[suite] if key in other.items[suite]]
        changed = [key for key in shared if _wording(one.items[suite][key]) != _wording(other.items[suite][key])]
        if changed:
            yield (
                f"{both} are unlike: {suite}: {len(changed):,} of {len(shared):,} items of both are not worded alike "
                f"(such as {changed[0]!r})"
            )
        judged = [_judged(side, suite) for side in (one, other)]
        if all(judged) and not judged[0].keys() & judged[1].keys():
            said = [", ".join(f"{judge} by {rubric}" for judge, rubric in each) for each in judged]
            yield f"{both} are unlike: {suite}: no judge and rubric in common: {said[0]}; and {said[1]}"
        for judge, bare in judged[0].keys() & judged[1].keys():
            rubrics = [each[judge, bare] for each in judged]
            if rubrics[0] != rubrics[1]:
                yield f"{both} are unlike: rubric {bare} is {_short(rubrics[0])} and {_short(rubrics[1])}"
            told = [side.manifest["verdicts"].get(f"{bare} | {judge}", {}) for side in (one, other)]
            for part in told[0]:
                if part in told[1] and part not in ("rubric", "seed") and told[0][part] != told[1][part]:
                    yield (
                        f"{both} are unlike: judge {judge} by {bare}: {part} is {_short(told[0][part])} and "
                        f"{_short(told[1][part])}"
                    )
        policies = [side.manifest.get("swap_policy", "half") for side in (one, other)]
        if all(pairwise) and policies[0] != policies[1]:
            yield (
                f"{both} are unlike: swap policy is {policies[0]} and {policies[1]} "
                "('judgebench rate RUN --swap-policy' changes it without a call)"
            )


def _asked(side: Side, suite: str) -> dict[str, Any]:
    """What every model of a run was asked of a suite by: the suite's fingerprint, limits, how it is scored."""
    record = side.manifest["suites"].get(suite, {})
    parts: dict[str, Any] = {}
    for name in ("version", "scorer", "scorer_options"):
        if record.get(name):
            parts[name] = record[name]
    parts |= {f"suite {name}": value for name, value in (record.get("fingerprint") or {}).items()}
    for key, found in side.manifest["answers"].items():
        if key.rpartition(" | ")[0] == suite:
            parts |= {name: found[name] for name in found if name.startswith("suite ")}
            own = found.get("suite sampling", {}).get("suite", {})
            for name in ("temperature", "max_tokens"):  # what the command line says over what the suite does
                given = found.get(name)
                if given is not None or own.get(name) is not None:
                    parts[name] = own.get(name) if given is None else given
            parts |= {"choose": found["choose"]} if "choose" in found else {}
    return parts


def _wording(item: Item) -> tuple[object, ...]:
    return item.turns, item.reference, item.choices


def _judged(side: Side, suite: str) -> dict[tuple[str, str], str]:
    """(judge, bare rubric) → ``rubric@hash`` of everything that judged a suite, people left out."""
    return {
        (verdict.judge, verdict.rubric.partition("@")[0]): verdict.rubric
        for verdict in side.verdicts
        if verdict.suite == suite and not verdict.judge.startswith(("exact@", *PEOPLE))
    }


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"


def join(sides: Sequence[Side]) -> Joined:
    """The runs as one: on the items that all have and every model answered, a model with its own answers in each run.

    A model that answered alike in two runs is one model, so that what it met in both joins their games. One that
    answered differently is two, called ``NAME (RUN)``.

    Args:
        sides: two runs or more.
    """
    models, names = _called(sides)
    suites = list(dict.fromkeys(suite for side in sides for suite in side.items))
    shares: list[Share] = []
    alone: list[tuple[str, str, int]] = []
    answers: dict[tuple[str, str, str, int], Answer] = {}
    for side in sides:
        for answer in side.answers:
            renamed = msgspec.structs.replace(answer, model=names[side.name].get(answer.model, answer.model))
            answers.setdefault(renamed.key, renamed)
    whole: dict[tuple[str, str], set[str]] = defaultdict(set)
    for answer in answers.values():
        item = next(
            (s.items[answer.suite][answer.item] for s in sides if answer.item in s.items.get(answer.suite, {})), None
        )
        if item is not None and not answer.error and len(answer.turns) >= len(item.turns):
            whole[answer.suite, answer.model].add(answer.item)
    for suite in suites:
        holders = [side for side in sides if suite in side.items]
        if len(holders) == 1:
            alone.append((suite, holders[0].name, len(holders[0].items[suite])))
            continue
        shares.append(_share(suite, holders, names, whole))
    kept = {(share.suite, item) for share in shares for item in share.joined}
    present = {(share.suite, model) for share in shares for model in models if model not in share.absent}
    chosen = [
        answer for answer in answers.values()
        if (answer.suite, answer.item) in kept and (answer.suite, answer.model) in present
    ]  # fmt: skip
    verdicts, twice, differing = _verdicts(sides, names, kept)
    judges: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for side in sides:
        for verdict in side.verdicts:
            if not verdict.judge.startswith("exact@"):
                judges[verdict.suite, verdict.judge, verdict.rubric].add(side.name)
    common = {share.suite for share in shares}
    return Joined(
        models=models,
        names=names,
        shares=tuple(shares),
        alone=tuple(alone),
        judged_alone=tuple(
            (*key, next(iter(held))) for key, held in sorted(judges.items()) if len(held) == 1 and key[0] in common
        ),
        answers=tuple(chosen),
        verdicts=tuple(verdicts),
        twice=twice,
        differing=differing,
        repeated=tuple(_repeated(sides, names)),
    )


def _share(
    suite: str, holders: Sequence[Side], names: Mapping[str, Mapping[str, str]], whole: Mapping[Place, set[str]]
) -> Share:
    common = [item for item in holders[0].items[suite] if all(item in side.items[suite] for side in holders[1:])]
    asked = dict.fromkeys(
        names[side.name][answer.model] for side in holders for answer in side.answers if answer.suite == suite
    )
    done = {model: whole.get((suite, model), set()) & set(common) for model in asked}
    present = [model for model in asked if done[model]]
    return Share(
        suite=suite,
        items={side.name: len(side.items[suite]) for side in holders},
        common=len(common),
        joined=tuple(item for item in common if all(item in done[model] for model in present)),
        lacking={model: len(common) - len(done[model]) for model in present if len(done[model]) < len(common)},
        absent=tuple(model for model in asked if not done[model]),
    )


def _verdicts(
    sides: Sequence[Side], names: Mapping[str, Mapping[str, str]], kept: set[Place]
) -> tuple[list[Verdict], int, int]:
    found: dict[tuple[Any, ...], Verdict] = {}
    twice = differing = 0
    for side in sides:
        own = names[side.name]
        for verdict in side.verdicts:
            if (verdict.suite, verdict.item) not in kept or any(model not in own for model, _ in verdict.shown):
                continue
            shown = tuple((own[model], sample) for model, sample in verdict.shown)
            renamed = msgspec.structs.replace(verdict, shown=shown)
            known = found.setdefault(renamed.key, renamed)
            if known is not renamed:
                twice += 1
                differing += known.scores != renamed.scores
    return list(found.values()), twice, differing


def _called(sides: Sequence[Side]) -> tuple[dict[str, tuple[str, ...]], dict[str, dict[str, str]]]:
    """Models as they are called here, and the same by run and own name."""
    holders: dict[str, list[Side]] = defaultdict(list)
    said: dict[str, dict[str, dict[tuple[str, str, int], tuple[tuple[str, ...], str]]]] = {}
    for side in sides:
        own: dict[str, dict[tuple[str, str, int], tuple[tuple[str, ...], str]]] = defaultdict(dict)
        for answer in side.answers:
            own[answer.model][answer.suite, answer.item, answer.sample] = answer.turns, answer.error
        said[side.name] = own
        for model in dict.fromkeys([*side.manifest["models"], *own]):
            holders[model].append(side)
    models: dict[str, tuple[str, ...]] = {}
    names: dict[str, dict[str, str]] = {side.name: {} for side in sides}
    for model, held in holders.items():
        groups: list[list[Side]] = []
        for side in held:
            for group in groups:
                if all(_is(model, side, each, said) for each in group):
                    group.append(side)
                    break
            else:
                groups.append([side])
        for group in groups:
            runs = tuple(side.name for side in group)
            label = model if len(groups) == 1 else f"{model} ({', '.join(runs)})"
            while label in models or (label != model and label in holders):
                label += "′"
            models[label] = runs
            for run in runs:
                names[run][model] = label
    return models, names


def _is(model: str, one: Side, other: Side, said: Mapping[str, Mapping[str, Mapping[Any, object]]]) -> bool:
    """True where a name stands for one model in both runs, which answered alike."""
    return _identity(model, one) == _identity(model, other) and _same(said[one.name][model], said[other.name][model])


def _identity(model: str, side: Side) -> tuple[object, object]:
    record = side.manifest["models"].get(model, {})
    return record.get("backend"), record.get("id")


def _same(one: Mapping[Any, object], other: Mapping[Any, object]) -> bool:
    """True where some question was answered in both, and every such one in the same words."""
    both = one.keys() & other.keys()
    return bool(both) and all(one[key] == other[key] for key in both)


def _repeated(sides: Sequence[Side], names: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    for one, other in combinations(sides, 2):
        for model in one.manifest["models"]:
            if model not in other.manifest["models"] or names[one.name][model] == names[other.name][model]:
                continue
            if _identity(model, one) == _identity(model, other):
                yield model, names[one.name][model], names[other.name][model]


class Changed(Record, frozen=True, kw_only=True):
    """How the answers of two models to one suite differ: of one model asked twice, what changed."""

    suite: str
    """Name of the suite."""
    one: str
    """A model."""
    other: str
    """The other, or the same at another time."""
    same: int
    """Questions that both answered in the same words."""
    changed: tuple[str, ...]
    """Ids of those answered in other words."""


def changes(joined: Joined, one: str, other: str) -> list[Changed]:
    """Which answers of two models are not the same, by suite; first samples, on the items compared."""
    said: dict[str, dict[str, dict[str, tuple[str, ...]]]] = defaultdict(lambda: defaultdict(dict))
    for answer in joined.answers:
        if answer.sample == 0 and answer.model in (one, other):
            said[answer.suite][answer.model][answer.item] = answer.turns
    found = []
    for suite, by_model in said.items():
        both = [item for item in by_model[one] if item in by_model[other]]
        changed = tuple(item for item in both if by_model[one][item] != by_model[other][item])
        found.append(Changed(suite=suite, one=one, other=other, same=len(both) - len(changed), changed=changed))
    return found
