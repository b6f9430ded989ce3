"""IFEval's instructions by their published definitions, and several right answers at once."""

from __future__ import annotations

from typing import Any

import pytest

from judgebench.errors import UserError
from judgebench.scorers.instruction_checks import CHECKS, sentences
from judgebench.scorers.instructions import InstructionsScorer, follows, instructions_of, pooled, variants
from judgebench.scorers.several import SeveralScorer, stated_letters
from judgebench.types import Answer, Item

pytest.importorskip("langdetect")

ENGLISH = "The quick brown fox jumps over the lazy dog while the farmer watches from the old wooden fence"
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund, während der Bauer vom alten Zaun aus zusieht."

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["Fox", "dog"]}, "A fox and a dog.", "A fox and a cat."),
    ("keywords:frequency", {"keyword": "no", "frequency": 2, "relation": "at least"}, "No, no.", "No."),
    ("keywords:frequency", {"keyword": "no", "frequency": 2, "relation": "less than"}, "No.", "No, no."),
    ("keywords:forbidden_words", {"forbidden_words": ["can"]}, "A candle.", "I can."),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 3, "let_relation": "at least"}, "Eee", "see"),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "less than"}, "# x", "## x"),
    ("language:response_language", {"language": "de"}, GERMAN, ENGLISH),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "One. ", "One. Two!"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "One? Two", "Mr. One."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n***\n***\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\na\n***\nb\n***", "a\n\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "a b c", "a, b"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "a b", "a b c"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        'a\n\n"Then, b',
        "a\n\nb then",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "a"},
        "A. b\n\nc",
        "a\n\nb\n\nc",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] [street]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP. S. more", "Bye. PS more"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p.p.s more", "P.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n* b\n* c"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "* a\n**bold**", "a"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe.", "My answer is perhaps."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b*", "*a* and **"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2\nb",
        "SECTION 1\na",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<poem of joy>>\nx", "<<  >>\nx"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi. "}, "say HI.\nhi", "hi. Say hi."),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, 'So. "any questions?"', "Any questions? No."),
    ("startend:quotation", {}, ' "x y" ', '"'),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "ONE-TWO and X",
        "ONE",
    ),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), GERMAN.lower()),
    ("punctuation:no_comma", {}, "a; b", "a, b"),
]


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_an_instruction_is_followed_by_one_reply_and_not_by_the_other(
    name: str, arguments: dict[str, Any], good: str, bad: str
) -> None:
    assert follows(good, name, arguments)
    assert not follows(bad, name, arguments)


def test_every_one_of_the_25_instructions_is_tried_here() -> None:
    assert {case[0] for case in CASES} == set(CHECKS)
    assert len(CHECKS) == 25


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("One", 1),
        ("Dr. A. No came at 3.30 p.m. today. Did he?", 2),
        ("你好。再见！", 2),
        ("a\n\nb\n\n", 2),
        ("...", 0),
    ],
)
def test_sentences_are_counted_by_their_ends(text: str, count: int) -> None:
    assert sentences(text) == count


def item(*told: tuple[str, dict[str, Any]]) -> Item:
    names, arguments = [name for name, _ in told], [given for _, given in told]
    return Item(id="7", turns=("x",), meta={"instructions": names, "arguments": arguments})


def answer(text: str, error: str = "") -> Answer:
    return Answer(suite="s", item="7", model="m", turns=(text,) if text else (), error=error)


def test_strict_takes_the_reply_as_it_is_and_loose_any_variant() -> None:
    asked = item(("punctuation:no_comma", {"keywords": None}), ("startend:end_checker", {"end_phrase": "Bye"}))
    readings = InstructionsScorer().score(asked, answer("Sure, here:\nHello\n*Bye*"))
    assert {name: reading.scores for name, reading in readings.items()} == {
        "prompt_strict": (0.0,),
        "instruction_strict": (0.0,),
        "prompt_loose": (1.0,),
        "instruction_loose": (1.0,),
    }
    assert readings["prompt_strict"].reply == "not followed: punctuation:no_comma, startend:end_checker"
    assert variants("a*\nb\nc") == ["a*\nb\nc", "b\nc", "a*\nb", "b", "a\nb\nc", "b\nc", "a\nb", "b"]


def test_half_followed_is_half_an_instruction_score_and_no_prompt_score() -> None:
    asked = item(("punctuation:no_comma", {}), ("startend:quotation", {}))
    readings = InstructionsScorer().score(asked, answer("<think>a, b</think>plain"))
    assert (readings["prompt_strict"].scores, readings["instruction_strict"].scores) == ((0.0,), (0.5,))
    one = item(("punctuation:no_comma", {}))
    pairs = [(asked, readings), (one, InstructionsScorer().score(one, answer("x")))]
    assert pooled(pairs) == pytest.approx(2 / 3)


def test_no_answer_is_unscored_and_an_empty_one_scores_nothing() -> None:
    asked = item(("punctuation:no_comma", {}))
    readings = InstructionsScorer().score(asked, answer("", "timeout: 9 s"))
    assert {(each.scores, each.error) for each in readings.values()} == {((), "no answer: timeout: 9 s")}
    readings = InstructionsScorer().score(asked, answer(" "))
    assert {(each.scores, each.error) for each in readings.values()} == {((0.0,), "unextracted: empty reply")}


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (
            ("punctuation:no_coma", {}),
            "no instruction is called 'punctuation:no_coma': did you mean 'punctuation:no_comma'",
        ),
        (("keywords:existence", {"keyword": "x"}), "keywords:existence needs 'keywords'; found: keyword"),
        (("keywords:frequency", {"keyword": "x", "frequency": 1, "relation": None}), "needs 'relation'"),
    ],
)
def test_an_unknown_instruction_is_an_error_and_never_a_pass(told: tuple[str, dict[str, Any]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        InstructionsScorer().score(item(told), answer("x"))


def test_an_item_without_instructions_and_an_unknown_relation_are_errors() -> None:
    with pytest.raises(UserError, match="item 7: meta needs 'instructions'"):
        instructions_of(Item(id="7", turns=("x",)))
    with pytest.raises(UserError, match="the relation 'exactly' is unknown"):
        follows("x", "length_constraints:number_words", {"num_words": 1, "relation": "exactly"})


# --- several right answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "letters"),
    [
        ("AC", "AC"),
        ("A、C", "AC"),
        ("C, A", "AC"),
        ("答案是 A、C。", "AC"),
        ("分析：B 不对。故选ACD", "ACD"),
        ("先选A。不对，答案：BD", "BD"),
        ("The answers are A and C.", "AC"),
        ("(A)(B)", "AB"),
        ("正确答案为：A B", "AB"),
        ("**BD**", "BD"),
        ("故选：AC", "AC"),
        ("答案是 A\nC选项错误", "A"),
        ("The answer is A\nBecause C is wrong", "A"),
    ],
)
def test_letters_are_read_as_they_are_stated(reply: str, letters: str) -> None:
    assert stated_letters(reply, 4) == letters


@pytest.mark.parametrize("reply", ["我不知道", "A 是错的, B 也是错的", "答案是 E", "An apple"])
def test_letters_that_are_not_stated_score_nothing_and_are_counted(reply: str) -> None:
    asked = Item(id="7", turns=("x",), choices=("a", "b", "c", "d"), reference=("AC",))
    reading = SeveralScorer(letters=True).score(asked, answer(reply))["accuracy"]
    assert reading.scores == (0.0,)
    assert reading.error.startswith("unextracted: ")


def test_all_letters_must_be_given_and_no_other() -> None:
    asked = Item(id="7", turns=("x",), choices=("a", "b", "c", "d"), reference=("AC",))
    scores = [SeveralScorer(letters=True).score(asked, answer(each))["accuracy"].scores for each in ("CA", "A", "ABC")]
    assert scores == [(1.0,), (0.0,), (0.0,)]


def test_texts_between_separators_are_compared_as_sets_with_f1_beside() -> None:
    asked = Item(id="7", turns=("x",), reference=("May 1;first Monday in May",))
    scorer = SeveralScorer(separator=";")
    readings = scorer.score(asked, answer("First monday in May; may 1.\nI hope this helps"))
    assert (readings["accuracy"].scores, readings["f1"].scores) == ((1.0,), (1.0,))
    readings = scorer.score(asked, answer("May 1; June 1; July 1"))
    assert readings["accuracy"].scores == (0.0,)
    assert readings["f1"].scores == (pytest.approx(2 / 5),)


@pytest.mark.parametrize(
    ("cue", "reply", "reference", "strict", "flexible"),
    [
        ("", "Mysore", "Mysore", 1.0, 1.0),
        ("", "The answer is Mysore.", "Mysore", 0.0, 1.0),
        ("", "**Mysore**", "Mysore", 0.0, 1.0),
        ("", "**Answer:** true", "true", 0.0, 1.0),
        ("", "Answer: May 1; **first Monday**", "May 1;first Monday", 0.0, 1.0),
        ("", "I doubt that it is Mysore", "Mysore", 0.0, 0.0),
        ("(?i)answer is:?", "He did. So the answer is: Lahore.", "Lahore", 1.0, 1.0),
        ("(?i)answer is:?", "So **the answer is:** Lahore", "Lahore", 0.0, 1.0),
    ],
)
def test_texts_are_read_strictly_as_asked_for_and_flexibly_without_what_marks_them(
    cue: str, reply: str, reference: str, strict: float, flexible: float
) -> None:
    asked = Item(id="7", turns=("x",), reference=(reference,))
    found = SeveralScorer(cue=cue, headline="strict").score(asked, answer(reply))
    assert (found["accuracy"].scores, found["accuracy_flexible"].scores) == ((strict,), (flexible,))
    assert SeveralScorer(cue=cue).score(asked, answer(reply))["accuracy"].scores == (flexible,)


@pytest.mark.parametrize(
    ("reply", "strict"),
    [("AC", 1.0), ("A、C", 1.0), ("答案是 AC。", 1.0), ("The answer is A, C.", 1.0), ("应选A和C", 0.0), ("A\nC", 0.0)],
)
def test_letters_are_read_strictly_where_they_stand_alone_or_end_a_statement(reply: str, strict: float) -> None:
    asked = Item(id="7", turns=("x",), choices=("a", "b", "c", "d"), reference=("AC",))
    assert SeveralScorer(letters=True).score(asked, answer(reply))["accuracy_strict"].scores == (strict,)


def test_what_follows_the_cue_is_the_answer() -> None:
    asked = Item(id="7", turns=("x",), reference=("producer",))
    scorer = SeveralScorer(cue="(?i)answer is:?")
    for reply in (
        "Both act. So the answer is: Producer.",
        "producer",
        "The answer is: x. No, the answer is producer\nQ:",
    ):
        assert scorer.score(asked, answer(reply))["accuracy"].scores == (1.0,)
    assert scorer.score(asked, answer("So the answer is:"))["accuracy"].error == "unextracted: no answer stated"


@pytest.mark.parametrize(
    "piece", ["[", "<<", ".", "*", "* ", "\n", " ", "A ", "A\n", "(", "- ", "选", "答案 ", ".a", "***", "answer "]
)
def test_long_hostile_replies_are_read_to_the_end(piece: str) -> None:
    reply = piece * 50_000 + "x"
    for name, arguments, _, _ in CASES:
        if "language" not in name and "english" not in name:
            follows(reply, name, arguments)
    asked = Item(id="7", turns=("x",), choices=("a", "b"), reference=("A",))
    assert SeveralScorer(letters=True).score(asked, answer(reply))["accuracy"].scores
    assert SeveralScorer(cue="(?i)answer is:?").score(asked, answer(reply))["accuracy"].scores
