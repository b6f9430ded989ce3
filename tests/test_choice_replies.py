"""Choices: what realistic replies, in English and Chinese, are read as, and which are read as nothing."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from judgebench.errors import Unreadable
from judgebench.published import read_zero_shot_cot_log
from judgebench.scorers.choice import ChoiceScorer, extract_choice, strict_choice
from judgebench.types import Answer, Item

CITIES = ("London", "Paris", "New York", "York")
STAEDTE = ("伦敦", "巴黎", "纽约", "东京")


def read(reply: str, choices: tuple[str, ...] = CITIES) -> str:
    """The letter by the flexible rule, reasoning taken off; empty where nothing is read."""
    item = Item(id="1", turns=("?",), reference=("A",), choices=choices)
    answer = Answer(suite="s", item="1", model="m", turns=(reply,))
    reading = ChoiceScorer().score(item, answer)["accuracy"]
    return "" if reading.error else reading.reply


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        # an explicit answer, and commentary behind it
        ("The answer is (B). Option A is likely a distractor.", "B"),
        ("The answer is (B). A is right only if the question means England.", "B"),
        ("The answer is B. A is correct if England is meant.", "B"),
        ("The correct answer is B. The incorrect answer is A.", "B"),
        ("The answer is B. The wrong option is C.", "B"),
        ("Answer: B. One might think the answer is A.", "B"),
        ("The answer is B. Many students think the answer is A.", "B"),
        ("The answer is B. The least likely option is D.", "B"),
        ("\\boxed{B} A would be correct for England.", "B"),
        ("Answer: C\n\nSo A is wrong, B is wrong and D is wrong.", "C"),
        ("B\n\nOption A is the best known capital. D is correct only in the north.", "B"),
        ("B. Paris\n\nA is the right choice for England, C is correct in America.", "B"),
        ("The answer is B. You might be tempted to say A.", "B"),
        ("The best answer is B; the second-best answer is D.", "B"),
        ("The answer is B. It is a common mistake to think it's A.", "B"),
        ("The answer is B. If the answer were A, England would be meant.", "B"),
        ("The answer is B. I don't think the answer is A.", "B"),
        ("**Answer: B**\n\n- A is the right answer to a different question", "B"),
        # people who correct themselves
        ("The answer is A. Wait, the answer is B.", "B"),
        ("The answer is A. Wait, that is wrong: B is correct.", "B"),
        ("\\boxed{A}. On second thought, it's B.", "B"),
        ("I thought the answer was A, but it is B.", "B"),
        ("The answer is A. The answer is B.", "B"),
        ("So it's A. No, it's B.", "B"),
        ("Is it A? No. Is it C? No. It's B.", "B"),
        # plain right replies
        ("most likely C.", "C"),
        ("Most likely C", "C"),
        ("D, York. It is an old city in the north.", "D"),
        ("It's B.", "B"),
        ("It is B", "B"),
        ("I believe it's B.", "B"),
        ("I think it is (B).", "B"),
        ("B is the answer.", "B"),
        ("B is the right answer because of the Seine.", "B"),
        ("(B) is correct.", "B"),
        ("**B** is the correct choice.", "B"),
        ("B (Paris) is correct.", "B"),
        ("The answer would be 'B'", "B"),
        ("The answer would be \"B\".", "B"),
        ("Definitely B", "B"),
        ("Ans: B", "B"),
        ("Ans. is B", "B"),
        ("Correct: B", "B"),
        ("Final answer: B", "B"),
        ("FINAL ANSWER - B", "B"),
        ("Solution: (B)", "B"),
        ("\\boxed{\\mathrm{B}}", "B"),
        ("\\boxed{\\mathbf{B}}", "B"),
        ("$\\boxed{\\textbf{(B)}\\ \\text{Paris}}$", "B"),
        ("The answer is \\(B\\).", "B"),
        ("The answer is $\\mathbf{B}$", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>\nB\n</answer>", "B"),
        ('{"answer": "B"}', "B"),
        ('```json\n{"answer": "B", "reason": "A is the capital of England"}\n```', "B"),
        ("{'final_answer': 'B'}", "B"),
        ("The answer is <b>B</b>", "B"),
        ("<b>Answer:</b> B", "B"),
        ("**The correct option is:** B", "B"),
        ("## Answer: (B)", "B"),
        ("The answer is _B_.", "B"),
        ("Answer: B, because the Seine flows there.", "B"),
        ("A is wrong and B is correct.", "B"),
        ("After some thought, the answer is B.", "B"),
        ("Therefore, we can say that the answer is B.", "B"),
        ("Of the four, only B is correct.", "B"),
        ("The answer to the question, after all, is: B.", "B"),
        ("Hence option (C).", "C"),
        ("Answer: A London", "A"),
        ("B Paris", "B"),
        ("B - Paris", "B"),
        ("answer is option b)", "B"),
        ("B, melted butter. That is all.", "B"),
        ("B--Paris", "B"),
        ('most likely "B"--Paris.', "B"),
        ("Let's analyze each option:\n\n(A) London - no.\n(B) Paris - yes.\n\nSo the best guess is **B**.", "B"),
        ("To find the correct answer:\n\n(A) London: no.\n(B) Paris: yes.\n\nThus, (B) Paris is the best answer.", "B"),
        ("Among the options:\n\n(A) London\n(B) Paris\n\nThe correct answer appears to be (B).", "B"),
        ("The options:\n(A) No.\n(B) Yes.\n\nThus, the most accurate statement is:\n(B) Paris.", "B"),
        ("The option that fits best is:\n(B) Paris, on the Seine.", "B"),
        ("**Answer Choice (B) Paris**", "B"),
        ("Given this analysis, option **B** is the most appropriate as it names the capital.", "B"),
        ("The final answer is likely:\n- (B) Paris.", "B"),
        ("The correct answers are:\n- (A) for England\n- (B) for France", ""),
        # texts
        ("The answer is Paris.", "B"),
        ("The answer is \"New York\", as the Hudson shows.", "C"),
        ("The correct answer is New York (C).", "C"),
        ("It isn't London. It's Paris.", ""),
        ("The answer is not Paris.", ""),
        ("Not Paris", ""),
        ("New Yorkers know", ""),
        # think-blocks
        ("<think>A? The answer is A.</think>It's B.", "B"),
        ("The answer is A, no.</think>\n\n**B**", "B"),
        ("<think>The answer is B.", ""),
        # nothing is stated, or several
        ("The incorrect answer is A.", ""),
        ("The wrong option is A.", ""),
        ("You might think the answer is A.", ""),
        ("I don't think it's A.", ""),
        ("Option A is likely a distractor.", ""),
        ("A is right only if the moon is blue.", ""),
        ("Neither A nor B is correct.", ""),
        ("A or B is correct.", ""),
        ("A is correct. B is correct.", ""),
        ("Statement A is correct.", ""),
        ("The answer is A or B.", ""),
        ("The answer could be A, B or C.", ""),
        ("I can't decide whether the answer is A.", ""),
        ("Let's say A stands for the number of cities.", ""),
        ("It is a city.", ""),
        ("So a city is meant.", ""),
        ("Is the answer B?", ""),
    ],
)  # fmt: skip
def test_a_reply_is_read_as_a_person_reads_it(reply: str, letter: str) -> None:
    assert read(reply) == letter


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B选项正确", "B"), ("选项B正确。", "B"), ("B、巴黎", "B"), ("正确的是B", "B"), ("B是正确答案", "B"),
        ("B是正确的", "B"),
        ("B 选项是正确的，因为塞纳河流经巴黎。", "B"), ("正确选项为B。", "B"), ("正确的选项是：B", "B"),
        ("B", "B"), ("B。", "B"), ("（B）", "B"), ("【B】", "B"), ("**B**", "B"), ("B．巴黎", "B"), ("B.巴黎", "B"),
        ("B：巴黎", "B"), ("B 巴黎", "B"), ("B巴黎", "B"), ("巴黎", "B"), ("巴黎。", "B"), ("答案是巴黎。", "B"),
        ("答案：巴黎", "B"),
        ("答案是：B、巴黎", "B"), ("答案为（B）。", "B"), ("答案应为B", "B"), ("答案应该是B。", "B"),
        ("正确答案：**B**", "B"), ("所以选B", "B"), ("因此，本题选B。", "B"),
        ("故答案为：B", "B"), ("我选择B。", "B"),
        ("应该选择B选项", "B"),
        ("只能选B", "B"), ("A错误，C错误，D错误，B正确。", "B"), ("A不正确，B正确", "B"),
        ("答案是B。A选项有一定道理，但不正确。", "B"), ("答案是B，不是A。", "B"), ("A不对，B不对，D不对，故选C。", "C"),
        ("答案是A。等等，不对，答案应该是B。", "B"), ("如果选A，则不符合题意，所以选B。", "B"),
        ("排除A、C，选B", "B"),
        ("<think>选A？不。</think>选B", "B"), ("\\boxed{B}", "B"), ("答案是 $B$", "B"), ("答案是“B”。", "B"),
        ("答案：\nB", "B"),
        ("B项正确，A项错误。", "B"),
        ("最佳答案是B", "B"), ("只有B符合题意。", "B"), ("答案为B选项：巴黎", "B"),
        ("B不对，不选B", ""), ("B不正确", ""), ("B选项错误", ""),
        ("选B是错的", ""), ("错误答案是B", ""), ("不正确的是B", ""),
        ("答案是B吗？", ""), ("为什么不选B", ""), ("答案不是B", ""), ("选A或B", ""), ("答案是A和B", ""), ("不知道", ""),
        ("A和B都正确", ""), ("是否选B？", ""), ("B并不正确", ""), ("误选B", ""), ("答案不是巴黎", ""),
    ],
)  # fmt: skip
def test_a_chinese_reply_is_read_as_a_person_reads_it(reply: str, letter: str) -> None:
    assert read(reply, STAEDTE) == letter


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B. Paris is the capital of France, so the answer is B.", "B"), ("I would choose Paris.", "B"),
        ("Sure! The answer is B) Paris.", "B"), ("Answer is B", "B"), ("answer: b. paris", "B"),
        ("B is right.", "B"), ("Paris (B)", "B"), ("Paris, so B", "B"), ("**Paris**", "B"),
        ("The answer is option (B), Paris", "B"), ("It should be B.", "B"), ("Must be B", "B"),
        ("I'm going with B.", "B"), ("My pick: B", "B"), ("I pick B", "B"), ("Going with B.", "B"),
        ("The correct answer is not A; it is B.", "B"), ("The correct answer is B, not A.", "B"),
        ("A? No. B? Yes.", ""), ("None of the above", ""), ("I cannot answer that question.", ""),
        ("As an AI model, I can't choose.", ""), ("A", "A"), ("A.", "A"), ("a", "A"), ("I", ""), ("Option B", "B"),
        ("Option B: Paris", "B"), ("Choice (B)", "B"), ("The answer is letter B", "B"),
        ("The answer is: **B. Paris**", "B"), ("The answer: B", "B"), ("Correct answer: B. Paris", "B"),
        ("The correct option is B", "B"), ("Correct option: (B)", "B"),
        ("(B) Paris is the capital of France.", "B"),
        ("B) Paris\n\nParis is the capital. A) London is wrong since it is in England.", "B"),
        ("A: London\nB: Paris\n\nB", "B"), ("Both B and C", ""), ("B/C", ""), ("B, C", ""), ("B & C", ""),
        ("B and C are correct", ""), ("Either B or C", ""), ("Eliminate A, C and D. That leaves B.", "B"),
        ("By elimination, B.", "B"), ("B!!", "B"), ("✅ B", "B"), ("👉 B. Paris", "B"), ("Answer → B", "B"),
        ("Answer = B", "B"), ("`B`", "B"), ("```\nB\n```", "B"), ("> B", "B"), ("- B", "B"), ("1. B", ""),
        ("Answer (B)", "B"), ("Answer B", "B"),
        ("The answer is B (Paris). Note that the answer is often mistaken for A.", "B"),
        ("The answer isn't A. It's B.", "B"), ("The answer cannot be A. The answer is B", "B"),
        ("The answer can't be A.", ""), ("The answer is neither A nor B.", ""), ("The answer is not B.", ""),
        ("The answer is definitely not B.", ""), ("If the answer is B, then so be it.", ""),
        ("What is B? The answer is C", "C"), ("Assume B is correct. Then contradiction. So it's C.", "C"),
        ("Suppose the answer is B. Then no. Hence C.", "C"), ("The final answer is \\text{B}.", "B"),
        ("The answer is $\\text{(B) Paris}$", "B"), ("\\boxed{\\text{(B)}}", "B"), ("\\boxed{B) Paris}", "B"),
        ("\\boxed{Paris}", "B"), ("\\boxed{\\text{Paris}}", "B"), ("$$\\boxed{B}$$", "B"),
        ("\\boxed{A}, correction: \\boxed{B}", "B"), ("{\"answer\": \"Paris\"}", "B"), ("{\"choice\": \"B\"}", "B"),
        ("{\"reasoning\": \"A is tempting\", \"answer\": \"B\"}", "B"), ("<answer>Paris</answer>", "B"),
        ("<answer> (B) </answer>", "B"), ("<final_answer>B</final_answer>", "B"), ("[[B]]", "B"), ("[B]", "B"),
        ("Answer: [B]", "B"), ("ANSWER: B", "B"), ("answer is b", "B"), ("The answer is b.", "B"),
        ("The answer is (b).", "B"), ("The answer is a.", "A"), ("The answer is a", "A"),
        ("The answer is A. London is in England", "A"), ("I say B", "B"), ("Reply: B", "B"),
        ("The capital is Paris, so the correct choice is B.", "B"), ("The correct letter is B.", "B"),
        ("B, obviously.", "B"), ("Obviously B.", "B"), ("Of course, B.", "B"), ("I'd say B", "B"),
        ("I'd say it's B.", "B"), ("I guess B.", "B"), ("My guess is B", "B"),
        ("I am confident that B is the answer.", "B"), ("I'm not sure, but I think B.", "B"), ("I think B", "B"),
        ("I think the answer is B", "B"), ("I don't know, but maybe B", "B"),
    ],
)  # fmt: skip
def test_a_short_reply_is_read_as_a_person_reads_it(reply: str, letter: str) -> None:
    assert read(reply) == letter


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("答案B", "B"), ("选项B", "B"), ("选 B 。", "B"), ("正确答案B", "B"), ("本题答案为B", "B"),
        ("B是对的", "B"), ("应选（B）", "B"), ("我认为是B", "B"), ("我认为正确答案是B。", "B"),
        ("我认为答案是巴黎", "B"), ("应该是B", "B"), ("所以是B", "B"), ("因此，正确的选项应该是 B。", "B"),
        ("综上所述，B", "B"), ("综上，答案选B", "B"), ("答案选择B", "B"), ("答案是选项B：巴黎", "B"),
        ("答案:B.", "B"), ("【答案】B", "B"), ("【答案】\nB", "B"), ("[答案] B", "B"),
        ("【解析】A错。\n【答案】B", "B"), ("**答案：B**", "B"), ("答案：**B. 巴黎**", "B"), ("最终答案：B", "B"),
        ("最终答案是：\\boxed{B}", "B"), ("A. 伦敦 错误\nB. 巴黎 正确\nC. 纽约 错误\nD. 东京 错误", ""),
        ("A选项错误；B选项正确；C选项错误", "B"), ("A错，B对，C错", "B"), ("正确的是巴黎", "B"), ("选巴黎", "B"),
        ("不是A，是B", "B"), ("A是错误的，正确的是B", "B"), ("不正确，答案是B", "B"), ("B错误", ""),
        ("B不是正确答案", ""), ("B不符合题意", ""), ("没有正确答案", ""), ("无法确定", ""), ("A、B都对", ""),
        ("AB", ""), ("选AB", ""), ("答案是A、B", ""), ("可能是B", "B"), ("答案可能是B", "B"), ("正确答案不是B", ""),
        ("答案并非B", ""), ("故选：B．", "B"), ("故选B.", "B"), ("故答案选B", "B"), ("答案就是B", "B"),
        ("因此选择（B）项", "B"), ("答案A的说法是错的，答案B", "B"),
    ],
)  # fmt: skip
def test_a_short_chinese_reply_is_read_as_a_person_reads_it(reply: str, letter: str) -> None:
    assert read(reply, STAEDTE) == letter


@pytest.mark.parametrize(
    ("choices", "reply", "letter"),
    [
        (("牛", "兔", "水稻", "蔬菜"), "The answer is 兔.", "B"),
        (("牛", "兔", "水稻", "蔬菜"), "答案是兔。", "B"),
        (("10", "10,000", "100", "1"), "10,000", "B"),
        (("10", "10,500", "100", "1"), "The answer is 10,000.", ""),
        (("10", "11", "12", "13"), "It is 10,000 in all.", ""),
        (("10", "11", "12", "13"), "The answer is 10.5", ""),
        (("10", "11", "12", "13"), "The answer is 10%", ""),
        (("10", "11", "12", "13"), "-10", ""),
        (("10", "11", "12", "13"), "The answer is 10, as 5 and 5 are 10.", "A"),
        (("10", "-10", "12", "13"), "The answer is -10.", "B"),
        (("AA", "Aa", "aa", "Bb"), "The answer is Aa.", "B"),
        (("AA", "Aa", "aa", "Bb"), "aa", "C"),
        (("AA", "Aa", "aa", "Bb"), "The genotype must be AA.", "A"),
        (("AA", "Aa", "aa", "Bb"), "bb", "D"),
        (("m2", "m²", "m", "m3"), "m²", "B"),
        (("I only", "II only", "I and II", "neither"), "The answer is I only.", "A"),
        (("T cells", "mast cells", "B cells", "none"), "The answer is B cells.", "C"),
        (("T cells", "mast cells", "B cells", "none"), "The answer is B.", "B"),
        (("new", "New York", "old", "York"), "The answer is new york.", "B"),
        (("g", "d", "r", "n"), "D", "D"),
        (("g", "d", "r", "n"), "The answer is d.", "B"),
        (("C", "A", "B", "none"), "The answer is A.", "A"),
        (("<p>", "<br>", "<b>", "<i>"), "The answer is <br>.", "B"),
    ],
)  # fmt: skip
def test_texts_that_are_nearly_alike_are_told_apart_or_refused(
    choices: tuple[str, ...], reply: str, letter: str
) -> None:
    assert read(reply, choices) == letter


@pytest.mark.parametrize("reply", ["fly", "The answer is fly.", "It must be to fly.", "fly\n", "I'd choose FLY"])
def test_a_text_that_two_choices_have_is_no_letter_and_says_so(reply: str) -> None:
    choices = ("swim", "fly", "walk", "fly", "run")
    with pytest.raises(Unreadable, match=r"ambiguous: .* is the text of choices B and D"):
        extract_choice(reply, choices)
    assert extract_choice("The answer is (D) fly.", choices) == "D"
    assert extract_choice("D. fly", choices) == "D"


def test_the_strict_rule_takes_no_answer_that_is_named_to_be_refused() -> None:
    assert strict_choice("The answer is (B). The incorrect answer is A.", CITIES) == "B"
    assert strict_choice("B、巴黎", STAEDTE) == "B"
    for reply in ("The incorrect answer is A.", "One might think the answer is A.", "错误答案是B"):
        with pytest.raises(Unreadable):
            strict_choice(reply, CITIES)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "missed"),
    [
        ("aqua_zero_shot", 0),
        ("aqua_zero_shot_cot", 1),
        ("commonsensqa_zero_shot", 4),
        ("commonsensqa_zero_shot_cot", 0),
    ],
)
def test_recorded_replies_that_name_one_letter_are_read_as_it(data_dir: Path, name: str, missed: int) -> None:
    recording = read_zero_shot_cot_log(data_dir / f"zero_shot_cot/log/{name}.log.gz")
    found: Counter[bool] = Counter()
    for recorded in recording.recorded:
        reply = recorded.answers[0].turns[-1]
        letters = set(re.findall(r"(?<![A-Za-z0-9])[A-E](?![A-Za-z0-9])", reply))
        if len(letters) == 1:
            found[read(reply, ("1zz", "2zz", "3zz", "4zz", "5zz")) == letters.pop()] += 1
    # missed: "closest to D, 35%", "A motel room", "B crowd" in quotes, a text alone, a letter before unknown words
    assert (found[False], found[True] >= 237) == (missed, True)


@pytest.mark.data
def test_long_reasoning_over_ten_choices_is_hardly_ever_read_as_another_letter(data_dir: Path) -> None:
    """The authors had the letter repeated five times (``BBBBB``): the rest of the reply is read against it."""
    path = data_dir / "judgebench-scalerlab/data/dataset=judgebench,response_model=gpt-4o-2024-05-13.jsonl.gz"
    found: Counter[str] = Counter()
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        row = json.loads(line)
        options = re.findall(r"^\(([A-J])\) (.*)$", row["question"], re.MULTILINE)
        lettered = "".join(letter for letter, _ in options) == "ABCDEFGHIJ"[: len(options)]
        if not row["source"].startswith("mmlu-pro") or not lettered:
            continue
        for reply in (row["response_A"], row["response_B"]):
            repeated = re.findall(r"([A-J])\1{4}", reply)
            if repeated:
                rest = re.sub(r"[^.\n]*([A-J])\1{4}[^\n]*", "", reply)
                letter = read(rest, tuple(text for _, text in options))
                found["right" if letter == repeated[-1] else "other" if letter else "unread"] += 1
    assert found["other"] <= 4
    assert found["right"] >= 240
