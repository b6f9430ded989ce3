"""Suites: the questions of a suite file, found, mapped, limited and put into the form a model sees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from judgebench.columns import Row, text, value
from judgebench.errors import FileError, UserError
from judgebench.generated import generated, generated_examples
from judgebench.mapping import Rules, bare, naming, settled
from judgebench.prompts import fill
from judgebench.sources import choose, read_rows, roots
from judgebench.suite_files import (
    Form,
    SuiteFile,
    bare_item,
    check_suite,
    find_suite_file,
    letters,
    list_suites,
    written_items,
)
from judgebench.types import Item, Message, Record, Sampling

__all__ = ["Suite", "SuiteFile", "check_suite", "find_suite_file", "list_suites", "load_suite"]


class Suite(Record, frozen=True, kw_only=True):
    """A benchmark, ready to be asked."""

    name: str
    """Name used in records."""
    version: str
    """Version of the rows where the source names one, else of the file."""
    about: str
    """One line for people."""
    license: str
    """Licence of the questions."""
    items: tuple[Item, ...]
    """The questions asked: all, or the first ``limit`` round-robin over the categories."""
    scorer: str
    """Name of the exact scorer; empty is judged."""
    scorer_options: dict[str, Any]
    """What the scorer is built with."""
    sampling: Sampling
    """How answers are drawn, stop texts included, where an item has no sampling of its own."""
    system: str
    """System message; empty sends none."""
    available: int
    """Questions there were before ``limit``."""
    missing: tuple[str, ...]
    """Upstream files that are not there; their questions are not asked."""
    choose: Literal["letters", "texts"] = "letters"
    """What is compared where choices are compared by log-probability."""
    lead: str | None = None
    """What the suite's examples put between question and letter; None where they do not tell."""
    submission: dict[str, str]
    """Form of the file that the authors score where they keep the answers (`Submission`); empty elsewhere."""
    notes: tuple[str, ...]
    """What has to be said aloud: the version used, hashes that differ."""
    fingerprint: dict[str, Any]
    """What must be equal for two runs to compare: version, rows, prompt, fewshot, fewshot_as, sampling."""

    @property
    def judged(self) -> bool:
        """True where no exact scorer is named."""
        return not self.scorer


def load_suite(
    name: str | Path,
    data: Path | None = None,
    *,
    fewshot: int | None = None,
    fewshot_as: Form | str | None = None,
    limit: int | None = None,
) -> Suite:
    """A suite with its questions, from the file itself, the data folder (or JUDGEBENCH_DATA) or the cache.

    Args:
        name: a shipped suite's name or the path of a file.
        data: folder laid out as the files' ``path`` says.
        fewshot: number of examples in place of the file's.
        fewshot_as: ``text`` or ``turns`` in place of the file's.
        limit: at most this many questions, round-robin over the categories in file order.

    Raises:
        FileError: a mistake in the suite file or in a row; names file and row.
        UserError: the rows are nowhere (says how to get them), or an argument is out of range.
    """
    path = find_suite_file(name)
    suite = check_suite(path)
    if limit is not None and limit < 1:
        raise UserError(f"limit is {limit}; allowed: 1 or more")
    if fewshot_as not in (None, "text", "turns"):
        raise UserError(f"fewshot_as is {fewshot_as!r}; allowed: text, turns")
    form = fewshot_as or suite.fewshot_as
    count = (suite.fewshot.count if suite.fewshot else 0) if fewshot is None else fewshot
    if count < 0 or (count and suite.fewshot is None):
        allowed = "0 or more" if suite.fewshot else f"0, as {suite.name} has no examples"
        raise UserError(f"few-shot is {count}; allowed: {allowed}")
    items, shots, missing, notes, version, heads = _rows(suite, path, data, count)
    if fewshot_as == "turns" and not count:
        notes = (*notes, "--fewshot-as turns changes nothing: no examples are shown")
    _unique(items, path)
    chosen = _round_robin(items, limit)
    sampling = msgspec.structs.replace(suite.sampling.over(Sampling()), stop=tuple(suite.stop))
    own = {category: part.over(sampling) for category, part in suite.category_sampling.items()}
    asked = tuple(_ask(suite, item, shots, heads, form, own.get(item.category)) for item in chosen)
    used = {category: _digest(examples) for category, examples in sorted(shots.items())} if count else {}
    fingerprint = {
        "version": version,
        "rows": _digest(items),
        "prompt": _digest(
            [suite.prompt, suite.system, _wording(suite, count), *suite.then, *([heads] if heads else [])]
        ),
        "fewshot": {"count": count, "rows": _digest(used)} if count else {"count": 0},
        "fewshot_as": form if count else "",
        "sampling": {"suite": _drawn(sampling), "categories": {name: _drawn(part) for name, part in own.items()}},
    }
    return Suite(
        choose=suite.choose,
        lead=_lead(suite),
        name=suite.name,
        version=version,
        about=suite.about,
        license=suite.license,
        items=asked,
        scorer=suite.scorer_choice.name,
        scorer_options=suite.scorer_choice.options,
        sampling=sampling,
        system=suite.system,
        available=len(items),
        missing=missing,
        submission=msgspec.to_builtins(suite.submission) if suite.submission else {},
        notes=notes,
        fingerprint=fingerprint,
    )


def _rows(
    suite: SuiteFile, path: Path, data: Path | None, count: int
) -> tuple[list[Item], dict[str, list[Item]], tuple[str, ...], tuple[str, ...], str, dict[str, dict[str, str]]]:
    """Bare questions, bare examples per category (or under an empty name), missing files, notes, version, heads.

    Heads are what an example file says once for all: category → holes of the intro.
    """
    written = [bare_item(each) for each in (suite.fewshot.items if suite.fewshot else [])]
    if suite.items or suite.generate is not None:
        if suite.generate is None:
            questions = written_items(suite)
        else:
            questions = generated(suite.generate)
            written = written or generated_examples(suite.generate, count)
        return questions, {"": _first(written, count, suite.name)}, (), (), suite.version, {}
    folders = roots(data)
    categories = tuple(suite.categories)
    source = choose(suite.sources, categories, folders)
    if source is None:
        looked = " and ".join(f"{folder}/{suite.sources[0].items.path}" for folder in folders)
        fetched = any(file and (file.url or file.hub) for each in suite.sources for file in (each.items, each.fewshot))
        pull = f"judgebench pull {suite.name}, or " if fetched else ""
        raise UserError(
            f"the questions of {suite.name} are not here (looked for {looked}): "
            f"{pull}--data DIR (or JUDGEBENCH_DATA) with that file"
        )
    assert suite.map is not None
    found = read_rows(source.items, categories, folders)
    joined: dict[str, Any] = {}
    missing, notes = list(found.missing), list(found.notes)
    if source.join is not None:
        extra = read_rows(source.join, (), folders)
        missing += extra.missing
        notes += extra.notes
        for row in extra.rows:
            joined[text(value(row, source.join_on), row, source.join_on)] = row.value
    rules = Rules(suite.map, source.join_on, bool(suite.scorer), suite.submission is not None, suite.lettered)
    items = [bare(row, rules, joined) for row in found.rows]
    kind = naming(items, suite.map)
    items = [settled(item, row.place, rules, kind) for item, row in zip(items, found.rows, strict=True)]
    _distinct(items, found.rows)
    shots: dict[str, list[Item]] = {"": _first(written, count, suite.name)} if written else {}
    heads: dict[str, dict[str, str]] = {}
    if not written and source.fewshot is not None and (count or source.fewshot.head):
        here = {item.category for item in items} if source.fewshot.per_category else set()
        examples = read_rows(source.fewshot, tuple(each for each in categories if each in here), folders)
        if examples.missing:
            raise UserError(f"{suite.name}: no file for its {count} examples: {', '.join(examples.missing)}; or use 0")
        notes += examples.notes
        for row in examples.rows:
            shown = rules._replace(kept_back=False, lettered=False)  # an example shows the reference as it is written
            example = settled(bare(row, shown, {}), row.place, shown, kind)
            by = example.category if suite.fewshot is not None and suite.fewshot.by == "category" else row.category
            shots.setdefault(by, []).append(example)
        if source.fewshot.head:
            heads = {each: _values(rows[0]) for each, rows in shots.items()}
        if suite.fewshot is not None and suite.fewshot.by == "category":
            shots = {each: shots.get(each, []) for each in dict.fromkeys(item.category for item in items)}
        shots = {each: _first(rows, count, f"{suite.name} {each}".strip()) for each, rows in shots.items()}
    version = source.version or suite.version
    if source.note:
        notes.insert(0, f"version {version}: {source.note}")
    return items, shots, tuple(missing), tuple(notes), version, heads


def _first(examples: list[Item], count: int, name: str) -> list[Item]:
    if len(examples) < count:
        raise UserError(f"{name}: {count} examples asked for; there are {len(examples)}")
    return examples[:count]


def _values(item: Item, names: Mapping[str, str] = {}) -> dict[str, str]:
    """What fills the holes of a prompt; an item's own meta may not hide the four fixed names."""
    meta = {key: str(each) for key, each in item.meta.items() if isinstance(each, str | int | float)}
    lettered = list(zip(letters(item.choices), item.choices, strict=True))
    fixed = {
        "question": item.turns[0],
        "choices": "\n".join(f"{letter}. {choice}" for letter, choice in lettered),
        "options": " ".join(f"({letter}) {choice}" for letter, choice in lettered),
        "category": names.get(item.category) or item.category.replace("_", " "),
    }
    return {**meta, **fixed, "reference": item.reference[0] if item.reference else ""}


def _ask(
    suite: SuiteFile,
    bare: Item,
    shots: dict[str, list[Item]],
    heads: dict[str, dict[str, str]],
    form: str,
    sampling: Sampling | None,
) -> Item:
    """The item as shown to the model: prompt filled, examples before it."""
    values = _values(bare, suite.category_names)
    prompt = fill(suite.prompt, values)
    messages: list[Message] = []
    if suite.fewshot is not None:
        before = []
        for example in shots.get(bare.category, shots.get("", [])):
            inside = _values(example, suite.category_names)
            before.append((fill(suite.prompt, inside), fill(suite.fewshot.answer, inside)))
        few = suite.fewshot
        opening = few.intro if before or few.intro_alone is None else few.intro_alone
        intro = fill(opening, {**heads.get(bare.category, heads.get("", {})), **values})
        if form == "turns" and before:
            for number, (asked, answered) in enumerate(before):
                messages.append(Message(role="user", content=asked if number else intro + asked))
                messages.append(Message(role="assistant", content=answered.strip()))
        else:
            prompt = intro + suite.fewshot.separator.join([*(asked + answered for asked, answered in before), prompt])
    then = tuple(fill(each, values) for each in suite.then)
    turns = (prompt, *bare.turns[1:], *then)
    return msgspec.structs.replace(
        bare,
        turns=turns,
        question=(*bare.turns, *then) if turns != bare.turns else (),
        shots=tuple(messages),
        sampling=sampling,
    )


def _round_robin(items: list[Item], limit: int | None) -> list[Item]:
    """The items in file order, or the first ``limit`` taken in turn from each category."""
    if limit is None or limit >= len(items):
        return items
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.category, []).append(item)
    longest = max(map(len, groups.values()))
    ordered = (group[index] for index in range(longest) for group in groups.values() if index < len(group))
    return [item for item, _ in zip(ordered, range(limit), strict=False)]


def _distinct(items: list[Item], rows: list[Row]) -> None:
    """Nothing, when no id comes twice.

    Raises:
        FileError: one does; names both rows.
    """
    seen: dict[str, str] = {}
    for item, row in zip(items, rows, strict=True):
        if item.id in seen:
            raise FileError(row.place, f"two questions have the id {item.id!r}; the first is at {seen[item.id]}")
        seen[item.id] = row.place


def _unique(items: Iterable[Item], path: Path) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise FileError(path, f"two questions have the id {item.id!r}")
        seen.add(item.id)


def _drawn(sampling: Sampling) -> dict[str, Any]:
    """What of a sampling a suite decides, as plain data."""
    every = msgspec.json.decode(msgspec.json.encode(sampling))
    return {name: every[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed")}


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


def _wording(suite: SuiteFile, count: int) -> list[str]:
    few = suite.fewshot
    names = [f"{category}: {name}" for category, name in suite.category_names.items()]
    if few is None:
        return names
    return [few.intro if count or few.intro_alone is None else few.intro_alone, few.answer, few.separator, *names]


def _lead(suite: SuiteFile) -> str | None:
    """What stands before the reference in an example's answer, where that is plain text."""
    before, hole, _ = suite.fewshot.answer.partition("{reference}") if suite.fewshot else ("", "", "")
    return before if hole and "{" not in before else None
