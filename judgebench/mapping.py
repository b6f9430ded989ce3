"""One upstream row → one bare item: columns become fields, and what cannot be a question is refused by file and row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from judgebench.columns import Column, Columns, Row, Spec, text, texts, value
from judgebench.errors import UserError
from judgebench.types import Item

MOST_CHOICES = 26
"""Letters there are for the choices of one question."""


class Rules(NamedTuple):
    """What a suite expects of its rows."""

    columns: Columns
    """Fields → columns."""
    join_on: str = "id"
    """Column that holds the id in joined rows."""
    scored: bool = False
    """True where an exact scorer compares with the reference."""
    kept_back: bool = False
    """True where the authors keep the answers: an empty reference is none."""
    lettered: bool = False
    """True where a reference becomes the letter of its choice, as the scorer of choices wants it."""


Naming = Literal["letters", "texts", "either"]
"""What a suite's references are: letters, texts of choices, or both by turns."""


def bare(row: Row, rules: Rules, joined: dict[str, Any]) -> Item:
    """The item of a row: its turns are upstream's words, no prompt around them; `settled` does the rest.

    A question keeps the number of choices that its own row has.

    Args:
        row: upstream's.
        rules: the suite's.
        joined: id → columns of a second file, put under ``join``.

    Raises:
        UserError: a column is missing or holds what it may not; a choice is empty, or the reference is none of them;
            names file and row.
    """
    columns = rules.columns
    if joined and isinstance(row.value, dict):
        key = text(value(row, rules.join_on), row, rules.join_on)
        row = row._replace(value={**row.value, "join": joined.get(key, {})})
    default = f"{row.category}/{row.number}" if row.category else str(row.number)
    name = default if columns.id is None else text(value(row, columns.id), row, "id")
    choices = _get(row, columns.choices)
    _check_choices(row, columns.choices, choices)
    reference = _reference(row, rules, choices)
    return Item(
        id=name,
        turns=_turns(row, columns),
        reference=reference,
        choices=choices,
        category=row.category if columns.category is None else "".join(_get(row, columns.category)),
        meta={key: found for key, spec in columns.meta.items() if (found := value(row, spec)) is not None},
    )


def naming(items: Iterable[Item], columns: Columns) -> Naming:
    """What references are that could be a letter and a text: as the rows tell in which they can be only one.

    Args:
        items: of `bare`.
        columns: the suite's; labels, positions and lists of letters are letters.
    """
    spec = columns.reference
    if columns.labels is not None or (isinstance(spec, Column) and (spec.position_of or spec.join is not None)):
        return "letters"
    by_letter = by_text = False
    for item in items:
        if item.choices and len(item.reference) == 1:
            wanted = item.reference[0].strip()
            is_letter, is_text = wanted in letters(len(item.choices)), wanted in _stripped(item.choices)
            by_letter, by_text = by_letter or (is_letter and not is_text), by_text or (is_text and not is_letter)
    return "letters" if by_letter and not by_text else "either" if by_letter else "texts"


def settled(item: Item, place: str, rules: Rules, kind: Naming) -> Item:
    """The item with its choices in their order, and its reference as a letter where that is wanted.

    Args:
        item: of `bare`.
        place: file and row, for messages.
        rules: the suite's.
        kind: what the references of all rows are (`naming`).

    Raises:
        UserError: the reference may be either of two choices; names file and row.
    """
    seed, spec = rules.columns.shuffle, rules.columns.reference
    several = isinstance(spec, Column) and spec.join is not None
    if not item.choices or several or len(item.reference) > 1 or (seed is None and not rules.lettered):
        return item
    letter = ""
    if item.reference:
        try:
            letter = right_letter(item.reference[0], item.choices, kind)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
    if seed is not None:
        order = _order(item, seed)
        letter = letter and letters(len(order))[order.index(ord(letter) - ord("A"))]
        item = msgspec.structs.replace(item, choices=tuple(item.choices[at] for at in order))
    return msgspec.structs.replace(item, reference=(letter,) if letter else item.reference)


def right_letter(reference: str, choices: Sequence[str], kind: Naming = "texts") -> str:
    """The letter of the right choice; what is a text and a letter is the text, where ``kind`` does not tell.

    Args:
        reference: the letter or the text of a choice.
        choices: texts of the choices.
        kind: ``letters`` takes a letter first, ``texts`` a text, ``either`` refuses what could be two choices.

    Raises:
        UserError: it is none of the choices, or ambiguous.

    >>> right_letter("A", ["O", "A", "B"]), right_letter("A", ["O", "A", "B"], "letters"), right_letter("C", "xyz")
    ('B', 'A', 'C')
    """
    wanted, names = reference.strip(), letters(len(choices))
    shown = ", ".join([*names, *choices])
    fits = [letter for letter, each in zip(names, _stripped(choices), strict=True) if each == wanted]
    if wanted in names and (kind == "letters" or not fits):
        return wanted
    if not fits:
        raise UserError(f"the reference {reference!r} is not among the choices: {shown}")
    if len(fits) > 1:
        raise UserError(f"the reference {reference!r} is ambiguous: it is the text of choices {' and '.join(fits)}")
    if kind == "either" and wanted in names and fits != [wanted]:
        raise UserError(
            f"the reference {reference!r} is ambiguous: it is a letter and the text of choice {fits[0]}, and other "
            "rows have references of both kinds ('labels' in the mapping names the choices as the reference does)"
        )
    return fits[0]


def _stripped(choices: Sequence[str]) -> list[str]:
    return [each.strip() for each in choices]


def letters(count: int) -> list[str]:
    """A, B, C ... as many as there are choices."""
    return [chr(ord("A") + index) for index in range(count)]


def _get(row: Row, spec: Spec | None) -> tuple[str, ...]:
    return () if spec is None else texts(value(row, spec), row, str(spec))


def _turns(row: Row, columns: Columns) -> tuple[str, ...]:
    if isinstance(columns.question, list):
        parts = (value(row, each) for each in columns.question)
        joined = "\n\n".join(
            words for part in parts if part is not None for words in texts(part, row, "question") if words
        )
        turns: tuple[str, ...] = (joined,) if joined else ()
    else:
        turns = _get(row, columns.question if columns.question is not None else columns.turns)
    if not turns or (columns.question is not None and len(turns) != 1):
        allowed = "one" if columns.question else "one or more"
        raise UserError(f"{row.place}: found {len(turns)} turns; allowed: {allowed}")
    if not all(turn.strip() for turn in turns):
        raise UserError(f"{row.place}: the question is empty" if len(turns) == 1 else f"{row.place}: a turn is empty")
    return turns


def _check_choices(row: Row, spec: Spec | None, choices: tuple[str, ...]) -> None:
    if spec is None:
        return
    if not 2 <= len(choices) <= MOST_CHOICES:
        raise UserError(f"{row.place}: found {len(choices)} choices; allowed: 2 to {MOST_CHOICES}")
    for letter, choice in zip(letters(len(choices)), choices, strict=True):
        if not choice.strip():
            raise UserError(f"{row.place}: choice {letter} is empty")


def _reference(row: Row, rules: Rules, choices: tuple[str, ...]) -> tuple[str, ...]:
    """The reference checked against the choices; one of several letters stays a text of letters."""
    spec = rules.columns.reference
    reference = _get(row, spec)
    if not any(each.strip() for each in reference):
        if rules.kept_back:
            return ()
        if reference and rules.scored:
            raise UserError(
                f"{row.place}: the reference is empty; where the authors keep the answers, the suite says 'submission'"
            )
        if choices and spec is not None and rules.scored:
            raise UserError(f"{row.place}: there is no reference")
        return reference
    if not choices:
        return reference
    shown = ", ".join([*letters(len(choices)), *choices])
    several = isinstance(spec, Column) and spec.join is not None
    if several:
        for letter in reference[0].replace(spec.join, "") if isinstance(spec, Column) and spec.join else reference[0]:
            if letter not in letters(len(choices)):
                raise UserError(f"{row.place}: {letter!r} of the reference is not among the choices: {shown}")
        return reference
    if len(reference) > 1:
        raise UserError(
            f"{row.place}: the reference is a list ({', '.join(reference)}); allowed: one choice, or 'join' in the "
            "mapping where several are right together"
        )
    if rules.columns.labels is not None:
        names = [each.strip() for each in _get(row, rules.columns.labels)]
        if len(names) != len(choices):
            raise UserError(f"{row.place}: {len(names)} labels for {len(choices)} choices")
        if reference[0].strip() not in names:
            raise UserError(f"{row.place}: the reference {reference[0]!r} is not among the labels: {', '.join(names)}")
        return (letters(len(choices))[names.index(reference[0].strip())],)
    wanted = reference[0].strip()
    if wanted not in letters(len(choices)) and wanted not in [each.strip() for each in choices]:
        raise UserError(f"{row.place}: the reference {reference[0]!r} is not among the choices: {shown}")
    return reference


def _order(item: Item, seed: int) -> list[int]:
    """The places of the choices by the sha256 of ``SEED/ID/PLACE`` (0-based place)."""
    places = range(len(item.choices))
    return sorted(places, key=lambda place: hashlib.sha256(f"{seed}/{item.id}/{place}".encode()).hexdigest())
