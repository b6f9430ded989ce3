"""Suite files: what one YAML may say of a benchmark, and the checks that need no rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from judgebench import plugins
from judgebench.columns import Column, Columns
from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.files import line_of, read_yaml, shipped
from judgebench.generated import Generate, check_generate
from judgebench.mapping import Rules, naming, settled
from judgebench.prompts import holes, unknown_hole
from judgebench.sources import Source
from judgebench.types import Item, Sampling

Form = Literal["text", "turns"]

COMPARING = frozenset({"choice", "number", "text", "math", "several"})
"""Built-in scorers that compare with a reference; the others have their tests in an item's ``meta``."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sampling of a suite or category, where it differs from what stands above it."""

    temperature: float | msgspec.UnsetType | None = msgspec.UNSET
    top_p: float | msgspec.UnsetType | None = msgspec.UNSET
    max_tokens: int | msgspec.UnsetType = msgspec.UNSET

    def over(self, sampling: Sampling) -> Sampling:
        """The sampling with what is set here put in."""
        return msgspec.structs.replace(sampling, **{key: each for key, each in msgspec.structs.asdict(self).items()
                                                    if each is not msgspec.UNSET})  # fmt: skip


class ScorerChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scorer with its options."""

    name: str
    options: dict[str, Any] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question written in the suite file itself."""

    id: str
    question: str = ""
    """The question of one turn."""
    turns: list[str] = []
    """Or the turns."""
    choices: list[str] = []
    reference: str | list[str] = []
    """The right answer; a list has one per turn."""
    category: str = ""
    meta: dict[str, Any] = {}


class Fewshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The examples shown before a question: the first rows of the source's ``fewshot`` file, or items written here."""

    count: int
    """How many, for each question; of its own category where there is one file for each."""
    intro: str = ""
    """What stands before the examples (and before the question where count is 0)."""
    intro_alone: str | None = None
    """What stands there instead where count is 0, for an intro that announces examples; None keeps the intro."""
    answer: str = " {reference}"
    """What follows the prompt of an example."""
    by: Literal["file", "category"] = "file"
    """Whose examples a question gets: those of its file, or those of one file whose category is the question's."""
    separator: str = "\n\n"
    """Between examples, and before the question, in one text."""
    items: list[Entry] = []
    """Examples written here."""


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How answers are handed in where the authors keep the right ones."""

    form: Literal["json", "jsonl"]
    """``json``: one file, category → id → letter; ``jsonl``: one file a category, upstream's rows with the answer."""
    id: str = "id"
    """Name in meta of the id that upstream knows a question by."""


class SuiteFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a suite file may say."""

    name: str
    """Name used in records and on the command line."""
    version: str = "1"
    """Version of this file's way of asking; a source may name its own, which then counts."""
    about: str = ""
    """One line for people."""
    license: str = ""
    """Licence of the questions."""
    categories: list[str] | dict[str, str] = []
    """Categories expected, in order, or category → name shown as {category}; required where a path holds {category}."""
    source: Source | list[Source] | None = None
    """Where rows come from; of several versions the first that is found is used, and said."""
    map: Columns | None = None
    """Fields of an item → columns of a row."""
    items: list[Entry] = []
    """Or the questions themselves."""
    generate: Generate | None = None
    """Or a rule that makes them."""
    prompt: str = "{question}"
    """How the first turn is shown, with {question}, {choices} (a line each), {options} (in one line), {category} and
    texts of meta."""
    then: list[str] = []
    """What the user says in the turns after it; the last one's answer is scored."""
    system: str = ""
    """System message; empty sends none."""
    fewshot: Fewshot | None = None
    """Examples before the question."""
    fewshot_as: Form = "text"
    """One text, or a chat of question and answer turns."""
    scorer: str | ScorerChoice = ""
    """Exact scorer; empty is judged."""
    submission: Submission | None = None
    """Where the authors keep the answers: a question without a reference is left unscored, and its answer handed in."""
    choose: Literal["letters", "texts"] = "letters"
    """What ``--answer choose`` compares: the choices' letters, or their full texts."""
    sampling: Part = Part()
    """How answers are drawn; greedy where it does not say."""
    category_sampling: dict[str, Part] = {}
    """Category → what differs there."""
    stop: list[str] = []
    """Texts at which an answer ends."""

    @property
    def sources(self) -> list[Source]:
        """The versions, in order of preference."""
        return self.source if isinstance(self.source, list) else [self.source] if self.source else []

    @property
    def category_names(self) -> dict[str, str]:
        """Category → name shown, where the file gives names."""
        return self.categories if isinstance(self.categories, dict) else {}

    @property
    def scorer_choice(self) -> ScorerChoice:
        """The scorer with its options; an empty name is judged."""
        return self.scorer if isinstance(self.scorer, ScorerChoice) else ScorerChoice(name=self.scorer)

    @property
    def lettered(self) -> bool:
        """True where references are to be letters."""
        return self.scorer_choice.name == "choice"


def list_suites() -> list[str]:
    """Names of the shipped suites."""
    return sorted(path.stem for path in shipped("suites").glob("*.yaml"))


def find_suite_file(name: str | Path) -> Path:
    """The file of a shipped suite's name, or the path given.

    Raises:
        UserError: nothing has that name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in str(name):
        if not path.is_file():
            raise UserError(f"no suite file {name}")
        return path
    path = shipped("suites") / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"no suite is called {str(name)!r}: {did_you_mean(str(name), list_suites())}; or a file's path")
    return path


def check_suite(path: str | Path) -> SuiteFile:
    """A suite file, once everything that can be told without its rows is found in order.

    Raises:
        FileError: the first mistake, with line and key.
    """
    suite = read_yaml(path, SuiteFile)

    def fail(key: str, message: str, offset: int = 0) -> FileError:
        keys = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
        return FileError(path, message, line=line_of(path, keys, offset), key=key)

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", suite.name):
        raise fail("name", f"{suite.name!r} is not a name; letters, digits, '.', '_' and '-' are allowed")
    if sum(map(bool, (suite.items, suite.sources, suite.generate))) != 1:
        raise fail("source", "a suite needs either 'source' or 'items' or 'generate', and not both")
    if suite.generate is not None:
        try:
            check_generate(suite.generate)
        except UserError as error:
            raise fail("generate", str(error)) from None
    if suite.sources and suite.map is None:
        raise fail("source", "needs 'map', which says what columns hold")
    if suite.map is not None:
        if not suite.sources:
            raise fail("map", "is of no use without 'source'")
        if (suite.map.question is None) == (suite.map.turns is None):
            raise fail("map", "needs either 'question' or 'turns', and not both")
        for spec in _specs(suite.map):
            _check_pattern(spec.pattern, "map", fail)
            _check_pattern(spec.split, "map", fail)
            if bool(spec.column) == bool(spec.template):
                raise fail("map", "a mapping needs either 'column' or 'template', and not both")
    for source in suite.sources:
        for file in (source.items, source.fewshot, source.join):
            if file is not None and (file.per_category or "{category}" in file.url) and not suite.categories:
                raise fail("categories", f"is missing: {file.path} has a file for each category")
            if file is not None:
                for pattern in (file.pattern, file.head):
                    _check_pattern(pattern, "source", fail)
                if file.format == "text" and not re.compile(file.pattern).groupindex:
                    raise fail("source", f"{file.path} is text: needs a pattern with named groups, its columns")
            if file is not None and file.hub is not None and not file.path.endswith(".jsonl"):
                raise fail("source", f"{file.path}: the path of a hub's split ends in .jsonl, as 'pull' writes it")
            if file is not None and file.hub is not None and file.url:
                raise fail("source", f"{file.path} has both 'url' and 'hub'; one is allowed")
            if file is not None and file.url and not re.match(r"https?://", file.url):
                raise fail("source", f"{file.url!r} is not a http or https address")
    known = plugins.names("scorers")
    choice = suite.scorer_choice
    if choice.name and choice.name not in known:
        raise fail("scorer", f"no scorer is called {choice.name!r}: {did_you_mean(choice.name, known)}")
    if choice.options:
        try:
            kind = plugins.load("scorers", choice.name)
            getattr(kind, "check_options", kind)(**choice.options)  # what needs a permission to be built can be checked
        except (TypeError, UserError) as error:
            raise fail("scorer.options", f"{choice.name} does not take them: {error}") from None
    if suite.submission is not None:
        if not suite.scorer:
            raise fail("submission", "needs a scorer, which reads the answers to be handed in")
        if suite.map is None or suite.submission.id not in suite.map.meta:
            raise fail("submission.id", f"map.meta has no {suite.submission.id!r}")
    if suite.fewshot is not None:
        if suite.fewshot.count < 0:
            raise fail("fewshot.count", f"found {suite.fewshot.count}; allowed: 0 or more")
        made = suite.generate is not None or any(each.fewshot for each in suite.sources)
        if suite.fewshot.count and not suite.fewshot.items and not made:
            raise fail("fewshot", "has no examples: give fewshot.items, or source.fewshot a file")
    _check_holes(suite, fail)
    _check_entries(suite, fail)
    named = set(suite.categories) | {each.category for each in suite.items}
    for category in suite.category_sampling if suite.categories or suite.items else ():
        if category not in named:
            raise fail(f"category_sampling.{category}", f"no such category: {did_you_mean(category, named)}")
    return suite


def bare_item(entry: Entry) -> Item:
    """The item of a question written in the suite file, no prompt around it."""
    reference = (entry.reference,) if isinstance(entry.reference, str) else tuple(entry.reference)
    return Item(
        id=entry.id,
        turns=tuple(entry.turns) or (entry.question,),
        reference=reference,
        choices=tuple(entry.choices),
        category=entry.category,
        meta=entry.meta,
    )


def written_items(suite: SuiteFile) -> list[Item]:
    """The questions written in a checked suite file, their references letters where the scorer is that of choices."""
    items, rules = [bare_item(each) for each in suite.items], Rules(Columns(), lettered=suite.lettered)
    kind = naming(items, rules.columns)
    return [settled(item, suite.name, rules, kind) for item in items]


def letters(choices: Sequence[str]) -> list[str]:
    """A, B, C ... as many as there are choices."""
    return [chr(ord("A") + index) for index in range(len(choices))]


def among(reference: str, choices: Sequence[str]) -> bool:
    """True where a reference is the letter or the text of a choice."""
    return reference.strip() in letters(choices) or reference.strip() in [each.strip() for each in choices]


def _specs(columns: Columns) -> list[Column]:
    names = ("id", "question", "turns", "choices", "reference", "labels", "category")
    fields = [getattr(columns, name) for name in names]
    return [spec for spec in [*fields, *columns.meta.values()] if isinstance(spec, Column)]


def _check_pattern(pattern: str, key: str, fail: Any) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise fail(key, f"the pattern {pattern!r} is not a regular expression: {error}") from None


def _check_holes(suite: SuiteFile, fail: Any) -> None:
    meta = set(suite.map.meta) if suite.map else {key for entry in suite.items for key in entry.meta}
    if suite.generate is not None:
        meta = {"solution"}
    allowed = {"question", "choices", "options", "category"} | meta
    places = [("prompt", suite.prompt, allowed)]
    places += [(f"then.{number}", each, allowed) for number, each in enumerate(suite.then)]
    if suite.fewshot is not None:
        places.append(("fewshot.intro", suite.fewshot.intro, allowed))
        places.append(("fewshot.intro_alone", suite.fewshot.intro_alone or "", allowed))
        places.append(("fewshot.answer", suite.fewshot.answer, allowed | {"reference"}))
    for key, template, names in places:
        for name, offset in holes(template):
            if name not in names:
                raise fail(key, unknown_hole(name, names), offset)
    if not holes(suite.prompt):
        raise fail("prompt", "does not show the {question}")


def _check_entries(suite: SuiteFile, fail: Any) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(suite.items):
        place = f"items.{number}"
        if entry.id in seen:
            raise fail(f"{place}.id", f"two questions have the id {entry.id!r}")
        seen.add(entry.id)
        _check_entry(entry, place, fail)
        if suite.scorer_choice.name in COMPARING and not "".join(bare_item(entry).reference[-1:]).strip():
            raise fail(place, f"has no reference, which the scorer {suite.scorer_choice.name!r} compares with")
    for number, entry in enumerate(suite.fewshot.items if suite.fewshot else ()):
        place = f"fewshot.items.{number}"
        _check_entry(entry, place, fail)
        shown = suite.fewshot is not None and "reference" in dict(holes(suite.fewshot.answer))
        if shown and not "".join(bare_item(entry).reference[:1]).strip():
            raise fail(place, "has no reference, which fewshot.answer shows")
    if suite.lettered:
        items = [bare_item(entry) for entry in suite.items]
        kind = naming(items, Columns())
        for number, item in enumerate(items):
            try:
                settled(item, "", Rules(Columns(), lettered=True), kind)
            except UserError as error:
                raise fail(f"items.{number}.reference", str(error).removeprefix(": ")) from None


def _check_entry(entry: Entry, place: str, fail: Any) -> None:
    if bool(entry.question.strip()) == any(turn.strip() for turn in entry.turns):
        raise fail(place, "needs either 'question' or 'turns', and not both")
    if not all(turn.strip() for turn in entry.turns):
        raise fail(f"{place}.turns", "a turn is empty")
    if entry.choices and entry.reference and not among(bare_item(entry).reference[0], entry.choices):
        shown = ", ".join([*letters(entry.choices), *entry.choices])
        raise fail(f"{place}.reference", f"{entry.reference!r} is not among the choices: {shown}")
