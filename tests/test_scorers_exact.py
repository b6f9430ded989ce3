"""Choice, number and text: what realistic replies are read as."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from judgebench.errors import Unreadable, UserError
from judgebench.scorers.choice import ChoiceScorer, extract_choice, letter_of
from judgebench.scorers.number import NumberScorer, extract_number, same_number
from judgebench.scorers.text import TextScorer
from judgebench.types import Answer, Item, Reading

CITIES = ("London", "Paris", "New York", "York")


def answered(*turns: str, error: str = "") -> Answer:
    return Answer(suite="s", item="1", model="m", turns=turns, error=error)


def item(reference: str, choices: tuple[str, ...] = ()) -> Item:
    return Item(id="1", turns=("?",), reference=(reference,) if reference else (), choices=choices)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        (" B\n", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("**B**", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("`C`", "C"),
        ('"D"', "D"),
        ("B) Paris", "B"),
        ("B. Paris", "B"),
        ("**B. Paris**", "B"),
        ("B: Paris", "B"),
        ("(B) Paris", "B"),
        ("Answer: B", "B"),
        ("Answer: (b) Paris", "B"),
        ("**Answer:** B", "B"),
        ("**Answer: B**", "B"),
        ("Answer: **B**", "B"),
        ("The answer is B", "B"),
        ("The answer is B.", "B"),
        ("The answer is (B).", "B"),
        ("The answer is **B**", "B"),
        ("The answer is option B.", "B"),
        ("The answer is A.", "A"),
        ("The answer is A", "A"),
        ("The answer is A because London is the capital.", "A"),
        ("The correct answer is: B) Paris", "B"),
        ("The correct choice would be **B**.", "B"),
        ("the best answer to this question is therefore C.", "C"),
        ("The final answer is $\\boxed{C}$.", "C"),
        ("\\boxed{\\text{D}}", "D"),
        ("\\boxed{B. Paris}", "B"),
        ("I would go with C.", "C"),
        ("I'd choose option D, as it is in the north.", "D"),
        ("Option B is correct.", "B"),
        ("B is the correct answer.", "B"),
        ("Let us see. London is in England. So it is B.", "B"),
        ("The answer is Paris.", "B"),
        ("The correct answer is **New York**.", "C"),
        ("Paris", "B"),
        ("It must be Paris, on the Seine.", "B"),
        ("New York!", "C"),
        ("First I thought the answer is A. But no: the answer is C.", "C"),
        ("A. London is no capital of France.\nB. Paris is.\nC. No.\nD. No.\n\nAnswer: B", "B"),
        ("Reasoning first.\n\nB", "B"),
        ("B\n\nExplanation: Paris is the capital.", "B"),
        ("B. Paris\n\nThe others:\nA. London is in England\nC. New York is in America", "B"),
        ("A and C can be excluded, and the answer is B, not D.", "B"),
        ("Option A is not correct. Option B is correct.", "B"),
        ("答案是B。", "B"),
        ("答案:C", "C"),
        ("故选 D", "D"),
        ("Ｂ", "B"),
        ("The right choice is (B), Paris. A is wrong.", "B"),
        ("My answer: **(C)**", "C"),
        ("Answer:\nB", "B"),
        ("### Answer\n\nB", "B"),
        ("Answer: I think it's B", "B"),
        ("The answer is not A but C.", "C"),
        ("The answer is A and B is wrong", "A"),
        ("The answer is C (New York), not A.", "C"),
        ("Choice B", "B"),
        ("Let's go with option C", "C"),
        ("Answer - B", "B"),
        ("B is incorrect, so the answer is A", "A"),
    ],
)
def test_a_choice_is_read_from(reply: str, letter: str) -> None:
    assert extract_choice(reply, CITIES) == letter


@pytest.mark.parametrize(
    "reply",
    [
        "A city in France is meant.",
        "The answer is a city in France.",
        "The answer is A city in France.",
        "I think a good answer would be hard to give.",
        "I do not know.",
        "Answer: B or C",
        "Both London and Paris fit.",
        "It is not Paris.",
        "A. No\nB. No\nC. Perhaps\nD. No",
        "Is the answer E?",
        "Answer: E",
        "(A) or (B)",
        "...",
    ],
)
def test_no_choice_is_read_from(reply: str) -> None:
    with pytest.raises(Unreadable):
        extract_choice(reply, CITIES)


def test_a_reference_is_a_letter_or_the_text_of_a_choice() -> None:
    given = {"B": "B", "(B)": "B", "Paris": "B", " new york ": "C", "Rome": "Rome", "b": "b"}
    assert {each: letter_of(each, CITIES) for each in given} == given
    assert letter_of("b", ("a", "c", "b")) == "C"
    assert (letter_of("b", ()), letter_of("(d)", ()), letter_of("J", ())) == ("B", "D", "J")
    unknown = ChoiceScorer().score(item("Rome", CITIES), answered("The answer is B."))
    for reading in unknown.values():
        assert (reading.scores, reading.error) == ((), "the reference 'Rome' is not one of the choices")
    assert set(unknown) == {"accuracy", "accuracy_strict"}
    assert ChoiceScorer().score(item("Paris", CITIES), answered("The answer is B."))["accuracy"].scores == (1.0,)
    assert ChoiceScorer().score(item("A", CITIES), answered("The answer is B."))["accuracy"].scores == (0.0,)


def test_the_letters_follow_the_number_of_choices() -> None:
    ten = tuple(f"choice number {index}" for index in range(10))
    assert extract_choice("The answer is J.", ten) == "J"
    assert extract_choice("I think the answer is (I).", ten) == "I"
    with pytest.raises(Unreadable):
        extract_choice("I cannot say.", ten)


@pytest.mark.parametrize("scorer", [ChoiceScorer(), NumberScorer(), TextScorer()])
def test_no_answer_is_unscored_and_an_empty_one_is_unextracted(scorer: ChoiceScorer) -> None:
    broken = scorer.score(item("B"), answered(error="timeout: 60 s"))["accuracy"]
    assert broken == Reading(error="no answer: timeout: 60 s")
    assert scorer.score(item("B"), answered(" \n"))["accuracy"] == Reading(
        scores=(0.0,), error="unextracted: empty reply"
    )
    assert scorer.score(item(""), answered("B"))["accuracy"] == Reading(error="no reference")
    assert scorer.workers == 1


def test_reasoning_is_no_answer() -> None:
    read = ChoiceScorer().score(item("B", CITIES), answered("<think>The answer is A? No.</think>\nB"))["accuracy"]
    assert (read.scores, read.reply) == ((1.0,), "B")
    unclosed = ChoiceScorer().score(item("A", CITIES), answered("<think>The answer is A"))["accuracy"]
    assert unclosed.scores == (0.0,)
    assert unclosed.error.startswith("unextracted: ")


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("#### 42", "42"),
        ("12 + 30 = 42\n#### 1,042", "1042"),
        ("#### $5\nQ: 7", "5"),
        ("The answer is 42.", "42"),
        ("The answer is $1,234.50.", "1234.50"),
        ("The answer is -3", "-3"),
        ("The answer is −3", "-3"),
        ("The answer is -$3", "-3"),
        ("The answer is **18** dollars, for 3 days.", "18"),
        ("The final answer is: $\\boxed{1{,}200}$ over 3 years", "1200"),
        ("answer: 6 * 3 = 18 eggs", "18"),
        ("A: 7 of 9", "7"),
        ("Answer: 7", "7"),
        ("The answer is 5. Wait, the answer is 6.", "6"),
        ("She sells 16 - 3 - 4 = 9 eggs and makes 9 * 2 = $18", "18"),
        ("It takes 8-3 hours", "3"),
        ("That is 3.5", "3.5"),
        ("That is .5", ".5"),
        ("She eats 1/2", "1/2"),
        ("70%", "70"),
        ("10,000,000 people", "10000000"),
        ("1, 2, 3", "3"),
        ("答案是 12。", "12"),
    ],
)
def test_a_number_is_read_from(reply: str, number: str) -> None:
    assert extract_number(reply) == number


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("答案是B选项。", "B"), ("故选B项", "B"), ("答案是B项", "B"), ("正确答案是选项B。", "B"),
        ("故正确选项是B", "B"),
        ("我会选择选项B", "B"), ("答案：B巴黎", "B"), ("应选A。", "A"),
        ("不选A", ""), ("不应选A", ""), ("排除选A", ""), ("不能选择C", ""),
    ],
)  # fmt: skip
def test_chinese_statements_are_read_and_their_denials_are_not(reply: str, letter: str) -> None:
    cities = ("伦敦", "巴黎", "纽约", "东京")
    if letter:
        assert extract_choice(reply, cities) == letter
    else:
        with pytest.raises(Unreadable):
            extract_choice(reply, cities)


def test_numbers_are_compared_as_numbers() -> None:
    assert same_number("18.00", "18")
    assert same_number("1,000", "1000.")
    assert same_number("-0", "0")
    assert not same_number("18.01", "18")
    assert not same_number("1/2", "2")
    read = NumberScorer().score(item("1,200"), answered("The answer is $1200.00."))["accuracy"]
    assert (read.scores, read.reply) == ((1.0,), "1200.00")
    assert NumberScorer().score(item("3"), answered("no idea"))["accuracy"].error == "unextracted: no number"
    assert NumberScorer(pattern="A: ([0-9.]+)").score(item("3"), answered("A: 1.2.3"))["accuracy"].scores == (0.0,)


@pytest.mark.parametrize(
    ("options", "reply", "reference", "right"),
    [
        ({}, "  The  Nile ", "the nile", 1.0),
        ({}, "The Nile.", "the nile", 0.0),
        ({"ignore_punctuation": True}, "The Nile.", "the nile", 1.0),
        ({"ignore_articles": True}, "The Nile", "Nile", 1.0),
        ({"ignore_case": False}, "Nile", "nile", 0.0),
        ({"pattern": r"answer is (\w+)"}, "the answer is x. the answer is yes.", "yes", 1.0),
    ],
)
def test_a_text_is_compared_after_normalisation(
    options: dict[str, bool], reply: str, reference: str, right: float
) -> None:
    assert TextScorer(**options).score(item(reference), answered(reply))["accuracy"].scores == (right,)  # type: ignore[arg-type]


@pytest.mark.parametrize("scorer", [ChoiceScorer, NumberScorer, TextScorer])
def test_a_pattern_that_is_none_is_the_users_mistake(scorer: type[TextScorer]) -> None:
    with pytest.raises(UserError, match="not a regular expression"):
        scorer(pattern="(")


@pytest.mark.data
def test_the_published_gsm8k_flags_are_reproduced_all_5276(data_dir: Path) -> None:
    scorer = NumberScorer(pattern=r"A: *\$?(-?[0-9][0-9.,]*)")
    file = data_dir / "gsm8k/grade_school_math/data/example_model_solutions.jsonl.gz"
    right = dict.fromkeys(("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"), 0)
    agree = rows = 0
    for line in gzip.decompress(file.read_bytes()).decode().splitlines():
        row = json.loads(line)
        rows += 1
        reference = row["ground_truth"].rpartition("A:")[2].strip()
        for name in right:
            score = scorer.score(item(reference), answered(row[name]["solution"]))["accuracy"].scores[0]
            right[name] += int(score)
            agree += bool(score) == row[name]["is_correct"]
    assert (rows, agree) == (1319, 5276)
    assert {name: round(100 * count / rows, 2) for name, count in right.items()} == {
        "6b_finetuning": 21.68, "6b_verification": 39.04, "175b_finetuning": 34.72, "175b_verification": 56.25
    }  # fmt: skip


@pytest.mark.parametrize(
    "piece", ["\\boxed{", "the answer is ", "London ", "answer is **(", "1,", " ", "A. x\n", "<think>"]
)
def test_a_long_reply_of_one_piece_over_and_over_is_read_or_refused(piece: str) -> None:
    for scorer in (ChoiceScorer(), NumberScorer()):
        read = scorer.score(item("B", CITIES), answered(piece * (60_000 // len(piece))))["accuracy"]
        assert read.scores in ((0.0,), (1.0,))
