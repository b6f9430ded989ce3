"""Every suite whose files are at hand: its references, stated plainly, score 1, and wrong answers stated so score 0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from judgebench import plugins
from judgebench.scorers.choice_texts import folded, plain
from judgebench.suites import Suite, check_suite, find_suite_file, list_suites, load_suite
from judgebench.types import Answer, Item, Scorer

DATA = pytest.mark.data
CHOICES = ("agieval", "agieval-zh", "aqua", "aqua-cot", "cmmlu", "commonsense-qa", "commonsense-qa-cot", "m3ke", "mmlu")
CHINESE = ("agieval-zh", "cmmlu", "m3ke", "ceval")
ASKED = {
    "add-sub": "{}", "agieval-cloze": "答案是{}", "bbh": " {}", "bbh-cot": " So the answer is {}.",
    "coin-flip": " {}.", "coin-flip-generated": "The coin is flipped. The answer is {}.", "gsm8k": "So many.\n#### {}",
    "kola": "{}", "kola-multihop": "So the answer is: {}", "last-letter": " {}.",
    "last-letter-generated": "The letters are there. The answer is {}.", "math-500": "So it is $\\boxed{{{}}}$.",
    "mini-math": "{}", "multi-arith": "{}", "strategy-qa": " {}.", "svamp": "{}",
}  # fmt: skip
"""Suite without choices → the form in which it asks for an answer."""
SAID = ("The answer is {}.", "Some thought comes first.\n\nThe answer is {}.", "**Answer:** {}")
"""Forms that the flexible rules read in any suite."""
OUTSIDE = {
    # what upstream's rows and the sandbox for Python say of the rest is tested elsewhere
    "humaneval", "humaneval-plus", "mbpp", "mbpp-plus", "mini-code", "ds-1000", "ds-1000-insertion", "ifeval",
    "m3ke-test",
    # no files beside the checkout: the same rules on small files of the same columns in test_sources_hub.py
    "agieval-math", "agieval-multi", "arc-challenge", "arc-easy", "ceval", "ceval-test", "gpqa", "hellaswag", "math",
    "mmlu-pro", "truthfulqa",
}  # fmt: skip
ONLY_BOXED = ("agieval-cloze",)
"""Suites that ask for no box, which is all that the strict rule of mathematics reads."""
MOST = {"math-500": 60, "agieval-cloze": 40}
"""Items asked about where that is fewer than 160: mathematics is compared in a process of its own."""


def test_every_closed_suite_is_asked_about_here_or_said_to_be_elsewhere() -> None:
    closed = {name for name in list_suites() if check_suite(find_suite_file(name)).scorer}
    assert {*CHOICES, "mini-choice", *ASKED, *OUTSIDE} == closed


def some(suite: Suite) -> list[Item]:
    """All items with a reference, or evenly as many as the limit."""
    items = [item for item in suite.items if item.reference]
    assert items
    return items[:: max(1, len(items) // MOST.get(suite.name, 160))]


def opened(suite: Suite) -> Scorer:
    scorer: Scorer = plugins.load("scorers", suite.scorer)(**suite.scorer_options)
    return scorer


def faults(scorer: Scorer, item: Item, reply: str, score: float, *, strict: bool = False) -> Iterator[str]:
    """In words, the readings of a reply that do not have this score: the flexible one, and with ``strict`` both."""
    turns = (*[""] * (len(item.turns) - 1), reply)
    readings = scorer.score(item, Answer(suite="s", item=item.id, model="m", turns=turns))
    flexible = "accuracy_flexible" if "accuracy_flexible" in readings else "accuracy"
    for name, reading in readings.items():
        counts = name == flexible or (strict and name in ("accuracy", "accuracy_strict"))
        if counts and reading.scores != (score,):
            read = reading.reply or reading.error
            yield f"{item.id}: {name} of {reply[-90:]!r} is {reading.scores}, not {score:g}: {read}"


def choice_faults(suite: Suite) -> Iterator[str]:
    scorer = opened(suite)
    strictly = ["{letter}", "({letter})", "The answer is {letter}."]
    others = [
        "{letter}. {text}",
        "The answer is ({letter}) {text}",
        "The answer is {text}.",
        "\\boxed{{{letter}}}",
        "It's {letter}.",
    ]
    if suite.name in CHINESE:
        strictly += ["答案是{letter}。", "答案：{letter}", "故选{letter}"]
        others += ["答案是{text}。", "{letter}、{text}", "选项{letter}正确。", "{letter}选项正确", "正确的是{letter}"]
    for item in some(suite):
        right = ord(item.reference[0]) - ord("A")
        texts = [plain(each) for each in item.choices]
        for place, text in enumerate(item.choices):
            for form in [*strictly, *others]:
                if "{letter}" not in form and text.strip() in list("ABCDEFGHIJ"):
                    continue  # read as the letter
                reply = form.format(letter=chr(ord("A") + place), text=text)
                refused = "{letter}" not in form and texts.count(plain(text)) > 1
                score = float(place == right and not refused)
                yield from faults(scorer, item, reply, score, strict=form in strictly)
            if suite.name in CHINESE:
                yield from faults(scorer, item, "{0}不对，不选{0}".format(chr(ord("A") + place)), 0.0)


def other_reference(items: list[Item], number: int) -> str:
    """The first reference after an item's own that is another one."""
    own = items[number].reference[-1]
    wanted = (each.reference[-1] for each in [*items[number + 1 :], *items])
    return next(each for each in wanted if not alike(each, own))


def alike(one: str, other: str) -> bool:
    return folded(one).strip("()") == folded(other).strip("()")


def plain_faults(suite: Suite) -> Iterator[str]:
    scorer, items = opened(suite), some(suite)
    try:
        for number, item in enumerate(items):
            for form in (ASKED[suite.name], *SAID):
                asked = form == ASKED[suite.name] and suite.name not in ONLY_BOXED
                for stated, score in ((item.reference[-1], 1.0), (other_reference(items, number), 0.0)):
                    # a formula in a sentence stands between dollars
                    bare = suite.name != "math-500" or "boxed" in form
                    reply = form.format(stated if bare else f"${stated}$")
                    yield from faults(scorer, item, reply, score, strict=asked)
    finally:
        if hasattr(scorer, "close"):
            scorer.close()


@DATA
@pytest.mark.parametrize("name", CHOICES)
def test_each_choice_stated_plainly_scores_as_it_should(name: str, data_dir: Path) -> None:
    assert not list(choice_faults(load_suite(name, data_dir)))[:10]


def test_each_choice_of_our_own_suite_scores_as_it_should() -> None:
    assert not list(choice_faults(load_suite("mini-choice")))[:10]


@DATA
@pytest.mark.parametrize("name", ASKED)
def test_each_reference_stated_plainly_scores_1_and_another_0(name: str, data_dir: Path) -> None:
    if "math" in name or "cloze" in name:
        pytest.importorskip("math_verify")
    assert not list(plain_faults(load_suite(name, data_dir)))[:10]
