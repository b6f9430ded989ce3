"""The items of a report as HTML: question, answers side by side, the judge's words in both orders, the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from judgebench.report.details import FLAGS, Card, Details, Shown, by_question, disagree, left_out, preferred
from judgebench.report.markup import Child, Safe, element, together
from judgebench.report.tables import distinct
from judgebench.report.visible import one_line, shorten
from judgebench.types import Answer, Verdict

LINE = 600
"""Characters of an error, a category or a name on a card."""


def badge(text: str, kind: str = "") -> Safe:
    """A short word in a rounded frame; ``kind`` is warn, bad, baseline or empty."""
    return element(f"span.badge.{kind}" if kind else "span.badge", text)


def _text(text: str, characters: int) -> Safe:
    """A text as written, line by line, cut after ``characters`` with a plain statement of what is missing."""
    if not text:
        return element("p.muted", "(empty)")
    start, more = shorten(text, characters)
    cut = element("p.muted", f"… cut here: {more:,} more characters are in the run folder") if more else None
    return together(element("pre", {"dir": "auto"}, start), cut)


def _cut(text: str, characters: int) -> str:
    """A text that should be one line, cut where it is longer than any line that is read."""
    start, more = shorten(text, min(characters, LINE))
    return f"{start} … and {more:,} more characters" if more else start


def _who(shown: Shown, several: bool) -> str:
    model, sample = shown
    return f"{model} (sample {sample})" if several or sample else model


def _answer_box(answer: Answer, turn: int, several: bool, characters: int) -> Safe:
    badges = []
    if answer.finish[turn - 1 : turn] == ("length",):
        badges.append(badge("truncated", "warn"))
    if answer.finish[turn - 1 : turn] == ("filter",):
        badges.append(badge("stopped by a content filter", "warn"))
    if len(answer.turns) < turn:
        badges.append(badge("no answer", "bad"))
        why = _cut(answer.error, characters)
        body = element("p.muted", why or "not asked: an earlier turn has no answer, or the run is not done")
    else:
        body = _text(answer.turns[turn - 1], characters)
        if answer.error and turn == len(answer.turns):
            badges.append(badge(_cut(answer.error, characters), "bad"))
    who = element("p", element("b", _who((answer.model, answer.sample), several)), badges)
    thought = "".join(answer.reasoning[turn - 1 : turn])
    return element("div.box", who, _fold("Reasoning", _text(thought, characters)) if thought else None, body)


def _turns(card: Card, characters: int) -> list[Safe]:
    """Every turn: what was asked, the reference, and all answers side by side."""
    several = any(answer.sample for answer in card.answers)
    questions = card.item.question or card.item.turns
    parts = []
    for turn, question in enumerate(questions, start=1):
        title = f"Question, turn {turn}" if len(questions) > 1 else "Question"
        parts += [element("h4", title), element("div.question", _text(question, characters))]
        if turn == 1 and card.item.choices:
            choices = ", ".join(
                f"{letter}: {choice}" for letter, choice in zip("ABCDEFGHIJ", card.item.choices, strict=False)
            )
            parts.append(element("p.muted", "Choices: ", shorten(choices, characters)[0]))
        if turn <= len(card.item.reference):
            parts.append(_fold("Reference", _text(card.item.reference[turn - 1], characters)))
        boxes = [_answer_box(answer, turn, several, characters) for answer in card.answers]
        parts.append(element("div.beside", boxes) if boxes else element("p.muted", "No answers."))
    if card.answers_left_out:
        parts.append(element("p.muted", f"{card.answers_left_out:,} more answers are in the run folder."))
    return parts


def _fold(title: str, *content: Child) -> Safe:
    return element("details.fold", element("summary", title), content)


def _score(number: float) -> str:
    return f"{number:g}"


def _outcome(verdict: Verdict) -> str:
    """What one verdict says, in words."""
    if not verdict.scores:
        return "unscored"
    low, high = verdict.scale
    names = [_who(shown, False) for shown in verdict.shown]
    if len(names) == 1:
        return f"{names[0]}: {_score(verdict.scores[0])} on {low:g}–{high:g}"
    winner = preferred(verdict)
    numbers = ", ".join(f"{name} {_score(score)}" for name, score in zip(names, verdict.scores, strict=True))
    said = "tie" if winner is None else f"{_who(winner, False)} preferred"
    return f"{said} ({numbers}, on {low:g}–{high:g})"


def _verdict_box(verdict: Verdict, characters: int) -> Safe:
    letters = [f"{letter} = {_who(shown, False)}" for letter, shown in zip("ABCDEFGH", verdict.shown, strict=False)]
    order = element("span.muted", f"shown as {', '.join(letters)}") if len(letters) > 1 else None
    why = (
        element("p", badge("unscored" if not verdict.scores else "note", "warn"), _cut(verdict.error, characters))
        if verdict.error
        else None
    )
    heading = element("p", element("b", _outcome(verdict)), " ", order)
    exact = verdict.judge.startswith("exact@")
    said = element("p.muted", "Extracted:" if exact else "In the judge's words:") if verdict.reply else None
    words = _text(verdict.reply, characters) if verdict.reply else element("p.muted", "No words recorded.")
    return element("div.box", heading, why, said, words)


def _verdicts(card: Card, baselines: frozenset[str], characters: int) -> list[Safe]:
    """Every judge's verdicts, the orders of one question side by side."""
    parts = []
    for judge, rubric in dict.fromkeys((verdict.judge, verdict.rubric) for verdict in card.verdicts):
        mark = badge("baseline", "baseline") if judge in baselines or judge.startswith("baseline/") else None
        parts.append(element("h4", "Verdicts of ", judge, mark, f" · {rubric}" if rubric else None))
        of_judge = [verdict for verdict in card.verdicts if (verdict.judge, verdict.rubric) == (judge, rubric)]
        for group in by_question(of_judge):
            parts.append(element("p", _group_title(group, len(card.item.turns))))
            parts.append(element("div.beside", [_verdict_box(verdict, characters) for verdict in group]))
    if card.verdicts_left_out:
        parts.append(element("p.muted", f"{card.verdicts_left_out:,} more verdicts are in the run folder."))
    return parts


def _group_title(group: Sequence[Verdict], turns: int) -> list[Child]:
    first = group[0]
    parts = [first.dimension]
    if turns > 1:
        parts.append("whole conversation" if first.turn == 0 else f"turn {first.turn}")
    if first.sample:
        parts.append(f"sample {first.sample}")
    said: Safe | None = None
    if disagree(group):
        said = badge("the orders disagree", "warn")
    elif len(first.shown) > 1 and len(group) > 1 and all(verdict.scores for verdict in group):
        winner = preferred(first)
        said = badge("both orders: " + ("tie" if winner is None else _who(winner, False)))
    return [" · ".join(parts), " ", said]


def _card(card: Card, baselines: frozenset[str], characters: int, ident: str) -> Safe:
    question = one_line(shorten((card.item.question or card.item.turns)[0], 110)[0])
    flags = [badge(FLAGS[flag], "bad" if flag in ("failed", "unscored") else "warn") for flag in card.flags]
    category = badge(_cut(card.item.category, characters)) if card.item.category else None
    summary = element("summary", element("b", card.item.id), " ", category, flags, " ", element("span.muted", question))
    attributes = {"id": ident, "data-suite": card.suite, "data-flags": " ".join(card.flags)}
    return element(
        "details.card", attributes, summary, _turns(card, characters), _verdicts(card, baselines, characters)
    )


def items_section(
    details: Details, baselines: frozenset[str], anchors: dict[str, str], pages: Sequence[tuple[str, str]] = (),
    first: int = 0,
) -> Safe:  # fmt: skip
    """All cards by suite, behind controls that only a script shows.

    Args:
        details: the cards.
        baselines: judges that are no model.
        anchors: suite → its id on the page.
        pages: (address, title) of the pages that hold every item, where these cards do not.
        first: number of the first card, by which lists name it.
    """
    if not details.items:
        return element("p.muted", "No items are part of this report.")
    parts: list[Child] = [element("p", left_out(details, paged=bool(pages)))]
    if pages:
        links = [element("li", element("a", {"href": address}, title)) for address, title in pages]
        parts.append(_fold(f"All {details.items:,} items, on {len(pages):,} pages", element("ul", links)))
    parts.append(_controls(details))
    for suite in distinct(card.suite for card in details.cards):
        heading = {"id": anchors[suite], "data-suite": suite}
        parts.append(element("h3.suite-heading", heading, suite))
        parts.append(
            [
                _card(card, baselines, details.characters, f"item-{number}")
                for number, card in enumerate(details.cards, first)
                if card.suite == suite
            ]
        )
    return together(parts)


def _controls(details: Details) -> Safe:
    suites = distinct(card.suite for card in details.cards)
    flags = [flag for flag in FLAGS if any(flag in card.flags for card in details.cards)]

    def choice(ident: str, label: str, options: list[tuple[str, str]]) -> Safe:
        written = [element("option", {"value": value}, text) for value, text in options]
        return element("label", label, element("select", {"id": ident}, written))

    return element(
        "div.controls",
        {"id": "controls", "hidden": ""},
        element("label", "Find in items", element("input", {"id": "find", "type": "search"})),
        choice("suite", "Suite", [("", "all"), *((suite, suite) for suite in suites)]),
        choice("flag", "What to look at", [("", "everything"), *((flag, FLAGS[flag]) for flag in flags)]),
        element("button", {"id": "toggle", "type": "button"}, "Open or close all"),
        element("p", {"id": "listed", "hidden": ""}),
        element("output", {"id": "count"}),
    )
