"""Files and a run side by side: which question, answer and pair of the run a file speaks of."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping

import msgspec

from judgebench.errors import RunConflict, UserError
from judgebench.importers.records import Gathered, Judged, Options, Side, fingerprint, said
from judgebench.runs import Run
from judgebench.types import Answer, Item, Record, Verdict

Shown = tuple[str, int]
"""(model, answer sample)."""

KEYS = "imports.json"
"""The file of a run that keeps what later imports join by: answer ids, pairs, stems of files' names."""


class Keys(Record, frozen=True, kw_only=True):
    """What later imports of a run join by."""

    answers: dict[str, tuple[str, str, str, int]] = msgspec.field(default_factory=dict)
    """Id of an answer in its tool → (suite, item, model, sample)."""
    pairs: dict[str, tuple[str, str, Shown, Shown]] = msgspec.field(default_factory=dict)
    """Key of a pair → (suite, item, first, second)."""
    aliases: dict[str, str] = msgspec.field(default_factory=dict)
    """Stem of a file's name → model."""
    learned: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """Id of an answer that no file of answers has → the models whose it is."""


def read_keys(run: Run) -> Keys:
    """What earlier imports of the run left to join by.

    Raises:
        UserError: the file is damaged.
    """
    path = run.path / KEYS
    if not path.is_file():
        return Keys()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Keys)
    except msgspec.MsgspecError as error:
        raise UserError(f"{path} is damaged: {error}") from error


class Joined:
    """The run and the files, side by side."""

    def __init__(self, run: Run, gathered: Gathered, options: Options) -> None:
        self.run, self.gathered, self.names = run, gathered, options.names
        held = read_keys(run)
        self._ids, self._pairs, self._aliases = dict(held.answers), dict(held.pairs), dict(held.aliases)
        self._aliases.update({stem: self._name(model) for stem, model in gathered.aliases.items()})
        self._learned = {id: set(models) for id, models in held.learned.items()}
        for id, models in gathered.learned.items():
            self._learned.setdefault(id, set()).update(map(self._name, models))
        self._samples: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
        self._texts: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
        self._words: dict[tuple[str, str, str, int], str] = {}
        self._most: Counter[tuple[str, str, str]] = Counter()
        for answer in run.answers().values():
            self._hold(answer.suite, answer.item, answer.model, answer.sample, answer.turns)
        self._taken = {(suite, item, *sorted(shown)): key for key, (suite, item, *shown) in self._pairs.items()}
        self.suites: dict[str, str] = {}
        self._held: dict[str, dict[str, Item]] = {}
        self._items: dict[tuple[str, str], str] = {}
        self.fresh_items: dict[str, list[Item]] = {}
        self.fresh: dict[str, list[Answer]] = defaultdict(list)

    def keys(self) -> Keys:
        """What later imports join by, this one included."""
        return Keys(
            answers=self._ids, pairs=self._pairs, aliases=self._aliases,
            learned={id: sorted(models) for id, models in sorted(self._learned.items())},
        )  # fmt: skip

    # Questions ---------------------------------------------------------------------------------------------------

    def add_items(self) -> int:
        """How many questions the run does not hold; ``fresh_items`` are those, and those of which more is known now."""
        by_suite: dict[str, dict[str, Item]] = defaultdict(dict)
        for (suite, id), item in self.gathered.items.items():
            by_suite[suite][id] = item
        judged = [each.suite for each in self.gathered.verdicts]
        for suite in dict.fromkeys([*(each.suite for each in self.gathered.answers), *judged]):
            by_suite.setdefault(suite, {})
        added = 0
        known = self._held = {name: self.run.items(name) for name in self.run.manifest["suites"]}
        for suite, items in by_suite.items():
            target = self.suites[suite] = _home(suite, items, known)
            held = known.get(target, {})
            by_text = {fingerprint(_bare(item)): id for id, item in held.items() if any(item.turns)}
            fresh = []
            for id, item in items.items():
                here = by_text.get(fingerprint(item.turns)) if any(item.turns) else id
                if here is None:
                    if id in held and any(held[id].turns):
                        raise RunConflict(
                            f"{self.run.path}: question {id!r} of {target} has other words in these files than in the "
                            "run; import them into another run, or with --suite under another name"
                        )
                    here = id
                self._items[suite, id] = here
                if here not in held or (any(item.turns) and not any(held[here].turns)):
                    added += here not in held
                    fresh.append(msgspec.structs.replace(item, id=here))
                elif item.category and not held[here].category:
                    fresh.append(msgspec.structs.replace(held[here], category=item.category))
            if fresh:
                self.fresh_items.setdefault(target, []).extend(fresh)
        return added

    def place_of(self, suite: str, item: str) -> tuple[str, str]:
        """The run's suite and id of a question of the files."""
        return self.suites[suite], self._items.get((suite, item), item)

    # Answers -----------------------------------------------------------------------------------------------------

    def answer(self, suite: str, item: str, side: Side, place: str, *, fresh: bool = False) -> Shown:
        """Which answer of the run a side is; one that the run does not hold is added.

        Args:
            suite: of the files.
            item: of the files.
            side: what the file tells of it.
            place: file and row.
            fresh: add it under a sample of its own, whether or not the run holds one of the same words.

        Raises:
            UserError: the file does not tell which answer it is.
        """
        if side.id in self._ids and self._name(side.model) in ("", self._ids[side.id][2]):
            *_, model, sample = self._ids[side.id]
            if side.text is not None:
                key = *self.place_of(suite, item), model, sample
                if self._words.get(key, said(side.text)) != said(side.text):
                    raise RunConflict(
                        f"{place}: answer {side.id!r} of {model} has other words here than before; import into another "
                        "run, or under another --name"
                    )
                self._add(*key, side.text)
            return model, sample
        if not side.model:
            raise UserError(f"{place}: no file tells whose answer {side.id!r} is; import the file of answers as well")
        target, id = self.place_of(suite, item)
        model, sample = self._name(side.model), 0
        if side.text is not None:
            words = said(side.text)
            others = [name for name in self._texts[target, id, words] if not _anonymous(name)]
            if side.anonymous and model == side.model and len(others) == 1 and not fresh:
                (model,) = others
            known = self._samples[target, id, model]
            if side.sample is not None:
                sample = side.sample
                if self._words.get((target, id, model, sample), words) != words:
                    raise RunConflict(
                        f"{place}: answer {sample} of {model} to {id!r} has other words here than in the run; import "
                        "into another run, or under another --name"
                    )
                self._add(target, id, model, sample, side.text)
            elif words in known and not fresh:
                sample = known[words]
            else:
                sample = self._most[target, id, model]
                self._add(target, id, model, sample, side.text)
        if side.id and side.text is not None:  # some tools give answers of the same words one id, whoever wrote them
            self._ids.setdefault(side.id, (target, id, model, sample))
        return model, sample

    def pair(self, key: str) -> tuple[str, str, Shown, Shown]:
        """(suite, item, first, second) of a pair by its key.

        Raises:
            UserError: no file tells what the pair is, or the run knows another under that key.
        """
        gathered = self.gathered.pairs.get(key)
        if gathered is None:
            if key not in self._pairs:
                raise UserError(f"no file tells what pair {key!r} is; import the file of pairs as well, or first")
            return self._pairs[key]
        target, item = self.place_of(gathered.suite, gathered.item)
        if key in self._pairs:
            held = self._pairs[key]
            same = all(
                self._words.get((target, item, *shown)) == said(side.text or ())
                for shown, side in zip(held[2:], gathered.shown, strict=True)
            )
            if held[:2] != (target, item) or not same:
                raise RunConflict(f"{gathered.place}: pair {key!r} is another one in the run; import into another run")
            return held
        first, second = (self.answer(gathered.suite, gathered.item, side, gathered.place) for side in gathered.shown)
        if (target, item, *sorted((first, second))) in self._taken or first == second:
            first, second = (
                self.answer(gathered.suite, gathered.item, side, gathered.place, fresh=True) for side in gathered.shown
            )
        self._taken[target, item, *sorted((first, second))] = key
        self._pairs[key] = target, item, first, second
        return self._pairs[key]

    def _add(self, suite: str, item: str, model: str, sample: int, turns: tuple[str, ...]) -> None:
        if (suite, item, model, sample) in self._words:
            return
        self.fresh[model].append(
            Answer(suite=suite, item=item, model=model, sample=sample, turns=turns, finish=("stop",) * len(turns))
        )
        self._hold(suite, item, model, sample, turns)

    def _hold(self, suite: str, item: str, model: str, sample: int, turns: tuple[str, ...]) -> None:
        words = said(turns)
        self._words[suite, item, model, sample] = words
        self._samples[suite, item, model].setdefault(words, sample)
        self._texts[suite, item, words][model] = None
        self._most[suite, item, model] = max(self._most[suite, item, model], sample + 1)

    def _name(self, name: str) -> str:
        return self.names.get(name, name)

    # Verdicts ----------------------------------------------------------------------------------------------------

    def verdicts(self) -> list[tuple[Judged, Verdict]]:
        """Each judgement as a verdict of the run, in the files' order."""
        found = []
        for each in self.gathered.verdicts:
            if each.pair:
                suite, item, first, second = self.pair(each.pair)
                shown: tuple[Shown, ...] = (second, first) if each.swapped else (first, second)
            else:
                suite, item = self.place_of(each.suite, each.item)
                if (each.suite, each.item) not in self._items and item not in self._held.get(suite, {}):
                    raise UserError(f"{each.place}: no file tells what question {each.item!r} is")
                shown = tuple(self.answer(each.suite, each.item, side, each.place) for side in each.shown)
            rubric = rubric_id(each.rubric, len(shown)) if each.rubric else ""
            found.append((each, Verdict(
                suite=suite, item=item, turn=each.turn, rubric=rubric, judge=each.judge, dimension=each.dimension,
                shown=shown, sample=each.sample, kind=each.kind, scores=each.scores, scale=each.scale,
                reply=each.reply, error=each.error,
            )))  # fmt: skip
        return found


def rubric_id(name: str, shown: int) -> str:
    """``name@hash`` of what an imported judge was asked; its words are not known, so the hash is of name and mode."""
    mode = "pairwise" if shown == 2 else "pointwise"
    return f"{name}@{hashlib.sha256(f'imported {mode} {name}'.encode()).hexdigest()[:12]}"


def _home(suite: str, items: Mapping[str, Item], known: Mapping[str, Mapping[str, Item]]) -> str:
    """The run's suite that questions belong to: the one of their name, else the one that shares most of them."""
    if suite in known or not known:
        return suite
    shared = Counter[str]()
    texts = {fingerprint(item.turns) for item in items.values() if any(item.turns)}
    for name, held in known.items():
        if texts:
            shared[name] = sum(fingerprint(_bare(item)) in texts for item in held.values())
        elif items and items.keys() <= held.keys():
            shared[name] = len(items)
    ranked = shared.most_common(1)
    if not items and len(known) == 1:
        return next(iter(known))
    return ranked[0][0] if ranked and ranked[0][1] else suite


def _bare(item: Item) -> tuple[str, ...]:
    return item.question or item.turns


def _anonymous(model: str) -> bool:
    return model.startswith("output-")
