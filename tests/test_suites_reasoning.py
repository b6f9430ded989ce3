"""The reasoning suites: what they ask, and what their authors asked; questions made by a rule; equal mathematics."""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgebench import plugins
from judgebench.errors import FileError, MissingPackage, UserError
from judgebench.generated import NAMES, Generate, check_generate, generated, generated_examples
from judgebench.published import read_bbh_outputs, read_zero_shot_cot_log, rescore
from judgebench.scorers.math import MathScorer
from judgebench.suites import Suite, check_suite, find_suite_file, load_suite
from judgebench.types import Answer, Item, Scorer

SYMBOLIC = ("coin-flip", "last-letter")


def truth(question: str) -> str:
    """The answer to a generated question, worked out from its words alone."""
    if question.startswith("Take"):
        return "".join(word[-1] for word in re.findall('"(.*)"', question)[0].split())
    return "no" if len(re.findall(" flips the coin", question)) % 2 else "yes"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SYMBOLIC), st.integers(2, 300), st.integers(1, 12), st.integers(0, 2**40))
def test_questions_of_any_length_and_seed_are_right_different_and_begin_alike(
    kind: str, length: int, count: int, seed: int
) -> None:
    items = generated(Generate(kind=kind, length=length, count=count, seed=seed))  # type: ignore[arg-type]
    assert [item.id for item in items] == [str(number) for number in range(1, count + 1)]
    assert all(item.reference == (truth(item.turns[0]),) for item in items)
    assert all(item.meta["solution"].endswith(f"The answer is {item.reference[0]}.") for item in items)
    assert len({item.turns for item in items}) == count
    more = generated(Generate(kind=kind, length=length, count=count + 3, seed=seed))  # type: ignore[arg-type]
    assert more[:count] == items


def test_a_generated_question_stays_as_it_is_from_version_to_version() -> None:
    (coin,) = generated(Generate(kind="coin-flip", length=3, count=1, seed=7))
    (word,) = generated(Generate(kind="last-letter", length=3, count=1, seed=7))
    assert coin.turns[0].startswith(
        "A coin is heads up. Ana flips the coin. Clara does not flip the coin. Emma does not"
    )
    assert word.turns == ('Take the last letters of each words in "Yusuf Hugo Nina" and concatenate them.',)


def test_both_answers_to_a_coin_come_about_equally_often() -> None:
    counts = Counter(item.reference[0] for item in generated(Generate(kind="coin-flip", count=1000)))
    assert 430 < counts["yes"] < 570


def test_another_seed_or_length_asks_other_questions() -> None:
    rules = [Generate(kind="last-letter", seed=seed, length=length, count=50) for seed in (0, 1) for length in (3, 4)]
    asked = [item.turns for rule in rules for item in generated(rule)]
    assert len(set(asked)) == 200
    assert all(len(item.reference[0]) == 4 for item in generated(rules[1]))


def test_names_come_twice_only_where_all_were_used() -> None:
    (item,) = generated(Generate(kind="last-letter", length=2 * len(NAMES), count=1))
    assert set(Counter(re.findall('"(.*)"', item.turns[0])[0].split()).values()) == {2}


@pytest.mark.parametrize("length", [2, 4])
def test_examples_are_never_among_the_questions(length: int) -> None:
    rule = Generate(kind="coin-flip", length=length, count=300, examples_length=2)
    examples = generated_examples(rule, 8)
    assert {len(re.findall("the coin[.]", item.turns[0])) for item in examples} == {2}
    assert not {item.turns for item in examples} & {item.turns for item in generated(rule)}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Generate(kind="coin-flip", length=0), "length is 0; allowed: 1 to 10000"),
        (Generate(kind="coin-flip", count=0), "count is 0"),
        (Generate(kind="last-letter", length=1, count=100), "count is 100; allowed for last-letter .* 1: 1 to 65"),
        (Generate(kind="last-letter", examples_length=-1), "examples_length is -1"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_followed_is_refused(rule: Generate, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_generate(rule)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_a_suite_made_by_a_rule_needs_no_files_and_takes_few_shot_examples(tmp_path: Path) -> None:
    rule = "generate: {kind: last-letter, length: 3, count: 9, seed: 5}\n"
    rest = 'prompt: "Q: {question}\\nA:"\nfewshot: {count: 2, answer: " {solution}"}\nscorer: text\n'
    suite = load_suite(written(tmp_path, "name: mine\n" + rule + rest))
    assert (len(suite.items), suite.notes, suite.missing) == (9, (), ())
    assert suite.items[0].turns[0].count("The answer is ") == 2
    assert load_suite(tmp_path / "mine.yaml", fewshot=0).items[0].turns[0].startswith("Q: Take the last")
    other = load_suite(written(tmp_path, "name: mine\n" + rule.replace("seed: 5", "seed: 6") + rest))
    assert suite.fingerprint["rows"] != other.fingerprint["rows"]
    with pytest.raises(FileError, match="generate: count is 99999999"):
        load_suite(written(tmp_path, "name: mine\n" + rule.replace("count: 9", "count: 99999999") + rest))
    with pytest.raises(FileError, match=r"last-leter"):
        load_suite(written(tmp_path, "name: mine\n" + rule.replace("last-letter", "last-leter") + rest))
    with pytest.raises(FileError, match="either 'source' or 'items' or 'generate'"):
        load_suite(written(tmp_path, "name: mine\n" + rule + "items: [{id: a, question: b}]\n" + rest))


def test_what_the_user_says_next_is_a_turn_of_its_own(tmp_path: Path) -> None:
    text = 'name: mine\nthen: ["So {category}, it is"]\nprompt: "Q: {question} {options}"\nscorer: choice\n'
    text += "items: [{id: a, question: x?, choices: [u, v], reference: B, category: now}]\n"
    suite = load_suite(written(tmp_path, text))
    assert suite.items[0].turns == ("Q: x? (A) u (B) v", "So now, it is")
    assert suite.items[0].question == ("x?", "So now, it is")
    shorter = load_suite(written(tmp_path, text.replace('then: ["So {category}, it is"]\n', "")))
    assert shorter.fingerprint["prompt"] != suite.fingerprint["prompt"]
    with pytest.raises(FileError, match=r"then\.0: unknown hole \{categry\}"):
        load_suite(written(tmp_path, text.replace("So {category}", "So {categry}")))


TEXT = r"""name: mine
categories: [one]
source:
  items: {path: "{category}.json", rows: examples}
  fewshot:
    path: "{category}.txt"
    format: text
    head: "-----\\n(?P<about>[^\\n]*)"
    pattern: "(?sm)^Q: (?P<input>.*?)\\nA: (?P<solution>.*? is (?P<target>\\w+)[.])"
map:
  question: {template: "{input}{more}"}
  reference: target
  meta: {about: {column: about, optional: true}, solution: {column: solution, optional: true}}
prompt: "Q: {question}\nA:"
fewshot: {count: 2, intro: "{about}\n\n", answer: " {solution}"}
scorer: text
"""


def test_examples_are_read_out_of_a_text_and_its_head_stands_before_them(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace('{template: "{input}{more}"}', "input"))
    (tmp_path / "one.json").write_text(json.dumps({"examples": [{"input": "4?", "target": "four"}]}))
    (tmp_path / "one.txt").write_text("canary\n-----\nCount.\n\nQ: 1?\nA: It is one.\n\nQ: 2?\nA: 1+1\nso it is two.")
    (item,) = load_suite(path, tmp_path).items
    assert item.turns == ("Count.\n\nQ: 1?\nA: It is one.\n\nQ: 2?\nA: 1+1\nso it is two.\n\nQ: 4?\nA:",)
    assert load_suite(path, tmp_path, fewshot=0).items[0].turns == ("Count.\n\nQ: 4?\nA:",)
    with pytest.raises(UserError, match="3 examples asked for; there are 2"):
        load_suite(path, tmp_path, fewshot=3)
    (tmp_path / "one.txt").write_text("canary")
    with pytest.raises(FileError, match=r"one\.txt: the head .* matches nothing"):
        load_suite(path, tmp_path)
    for old, new in (("(?P<input>.*?)", "("), ("(?P<about>", "(?P<1>")):
        with pytest.raises(FileError, match="is not a regular expression"):
            load_suite(written(tmp_path, TEXT.replace(old, new)), tmp_path)
    with pytest.raises(FileError, match="named groups"):
        load_suite(written(tmp_path, re.sub(r"\?P<\w+>", "", TEXT)), tmp_path)


def test_a_template_joins_columns_and_names_the_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('[{"a": " x ", "b": 2, "c": "y"}]')
    text = "name: mine\nsource: {items: {path: r.json}}\nscorer: text\n"
    text += 'map: {question: {template: "{a}-{b}"}, reference: c}\n'
    assert load_suite(written(tmp_path, text), tmp_path).items[0].turns == ("x-2",)
    with pytest.raises(UserError, match=r"r\.json: row 1: no column 'z'"):
        load_suite(written(tmp_path, text.replace("{b}", "{z}")), tmp_path)
    with pytest.raises(FileError, match="either 'column' or 'template'"):
        load_suite(written(tmp_path, text.replace("template:", "column: a, template:")), tmp_path)


def test_math_is_read_out_of_its_authors_archive_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "math").mkdir()
    with tarfile.open(tmp_path / "math" / "MATH.tar", "w") as archive:
        for split, subject, number in [
            *(("test", "algebra", number) for number in (10, 2)),
            ("test", "geometry", 1),
            *(("train", subject, number) for subject in ("algebra", "geometry") for number in (9, 1, 3, 4, 5)),
        ]:
            row = {
                "problem": f"{split} {number}",
                "solution": f"So \\boxed{{{number}}}.",
                "level": "Level 1",
                "type": "t",
            }
            content = json.dumps(row).encode()
            info = tarfile.TarInfo(f"MATH/{split}/{subject}/{number}.json")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    suite = load_suite("math", tmp_path)
    assert [(item.id, item.question) for item in suite.items] == [
        ("algebra/1", ("test 2",)), ("algebra/2", ("test 10",)), ("geometry/1", ("test 1",)),
    ]  # fmt: skip
    assert re.findall("Problem: (.*)", suite.items[1].turns[0]) == [
        "train 1",
        "train 3",
        "train 4",
        "train 5",
        "test 10",
    ]
    assert len(suite.missing) == 5


# --- mathematics


@pytest.fixture(scope="module")
def scorer() -> MathScorer:
    return MathScorer(seconds=3)


def grade(scorer: Scorer, reference: str, reply: str) -> tuple[float, str]:
    item = Item(id="1", turns=("?",), reference=(reference,))
    reading = scorer.score(item, Answer(suite="s", item="1", model="m", turns=(reply,), finish=("stop",)))["accuracy"]
    return reading.scores[0], reading.error


@pytest.mark.parametrize(
    ("reference", "reply", "right"),
    [
        ("\\frac{1}{2}", "Adding up, the answer is $0.5$.", True),
        ("\\frac{1}{2}", "So we get \\boxed{\\dfrac{2}{4}}.", True),
        ("\\frac{1}{2}", "First \\boxed{3}, no: \\boxed{\\tfrac12}", True),
        ("\\frac{1}{2}", "\\boxed{2}", False),
        ("p - q", "Thus \\boxed{-q+p}.", True),
        ("x^2+2x+1", "$\\boxed{(x+1)^2}$", True),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\boxed{(3, \\pi/2)}", True),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\boxed{(\\pi/2, 3)}", False),
        ("1,-2", "\\boxed{-2, 1}", True),
        ("(-\\infty, 2]", "\\boxed{(-\\infty, 2]}", True),
        ("(-\\infty, 2]", "\\boxed{(-\\infty, 2)}", False),
        ("\\$32,\\!348", "It costs \\boxed{\\$32348}.", True),
        ("\\text{Evelyn}", "\\boxed{\\text{Evelyn}}", True),
        ("7", "So $\\{7\\}$ is \\boxed{7}, as \\boxed{8 would be too {much}.", True),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\boxed{\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}}", True),
        ("So it is \\boxed{42}, as $6 \\cdot 7 = 42$.", "<think>43?</think>It is \\boxed{42}.", True),
    ],
)
def test_equal_mathematics_is_right_however_it_is_written(
    scorer: MathScorer, reference: str, reply: str, right: bool
) -> None:
    assert grade(scorer, reference, reply) == (float(right), "")


@pytest.mark.parametrize(
    ("reference", "reply", "right"),
    [
        ("$5$;$10$", "$5$;$10$", 1.0),
        ("$5$;$10$", "\\boxed{5; 10}", 1.0),
        ("$5$;$10$", "So \\boxed{5} and \\boxed{10}.", 1.0),
        ("$5$;$10$", "斜率是$5$，离心率是$10$。", 1.0),
        ("1;$\\frac{8}{9}$", "答案是1；\\frac{16}{18}。", 1.0),
        ("1;$\\frac{8}{9}$", "The answers are 1 and 8/9.", 1.0),
        ("$5$;$10$", "$10$;$5$", 0.0),
        ("$5$;$10$", "$4$;$10$", 0.0),
        ("$5$;$10$", "$10$", 0.0),
        ("2", "所以答案是2。", 1.0),
        ("$2\\sqrt{3}$", "2\\sqrt{3}", 1.0),
        ("$[0,2]$", "答案是 [0,2]", 1.0),
        ("$(1; 2)$", "\\boxed{(1; 2)}", 1.0),
    ],
)
def test_every_blank_wants_its_own_answer(scorer: MathScorer, reference: str, reply: str, right: float) -> None:
    assert grade(scorer, reference, reply)[0] == right


@pytest.mark.data
def test_every_answer_of_agieval_cloze_is_met_by_its_own_text(data_dir: Path, scorer: MathScorer) -> None:
    references = [item.reference[0] for item in load_suite("agieval-cloze", data_dir).items]
    for wrote in ("{}", "所以答案是{}。", "\\boxed{{{}}}"):
        assert [each for each in references if grade(scorer, each, wrote.format(each)) != (1.0, "")] == []
    bare = [each.replace("$", "") for each in references]
    assert [each for each, said in zip(references, bare, strict=True) if grade(scorer, each, said) != (1.0, "")] == []


def test_what_holds_no_mathematics_is_unextracted(scorer: MathScorer) -> None:
    assert grade(scorer, "5", "I do not know.") == (0.0, "unextracted: no mathematics")
    assert grade(scorer, "5", " ") == (0.0, "unextracted: empty reply")
    assert grade(MathScorer(boxed=True), "5", "It is 5.") == (0.0, "unextracted: nothing is boxed")


def test_an_expression_without_end_costs_one_answer_and_the_next_one_is_compared(scorer: MathScorer) -> None:
    score, error = grade(scorer, "1", "\\boxed{9^{9^{9^{9^9}}}}")
    assert (score, error) == (0.0, "unextracted: comparing took more than 3 s or 4 GiB")
    assert grade(scorer, "1", "\\boxed{1}") == (1.0, "")


def test_mathematics_is_compared_in_any_thread(scorer: MathScorer) -> None:
    found: list[tuple[float, str]] = []
    threads = [threading.Thread(target=lambda: found.append(grade(scorer, "2", "\\boxed{1+1}"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(1.0, "")] * 4


def test_the_comparing_process_ends_with_the_scorer() -> None:
    one = MathScorer()
    assert grade(one, "2", "\\boxed{2}") == (1.0, "")
    process = one._process
    assert process is not None
    one.close()
    one.close()
    assert process.poll() is not None
    assert grade(one, "2", "\\boxed{2}") == (1.0, "")
    one.close()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"pip install 'judgebench\[math\]'"):
        MathScorer()


# --- against upstream's files


def opened(suite: Suite) -> Scorer:
    scorer: Scorer = plugins.load("scorers", suite.scorer)(**suite.scorer_options)
    return scorer


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("math-500", 500), ("commonsense-qa", 1221), ("strategy-qa", 2290), ("coin-flip", 500), ("last-letter", 500),
        ("aqua", 254), ("aqua-cot", 254), ("commonsense-qa-cot", 1221),
        ("svamp", 1000), ("multi-arith", 600), ("add-sub", 395), ("bbh", 3011), ("bbh-cot", 3011),
    ],
)  # fmt: skip
def test_a_suite_holds_all_of_upstreams_questions(data_dir: Path, name: str, count: int) -> None:
    suite = load_suite(name, data_dir)
    assert (len(suite.items), suite.notes) == (count, ())
    assert all(len(item.reference) == 1 and item.reference[0].strip() for item in suite.items)
    assert len(suite.missing) == (14 if name.startswith("bbh") else 0)


@pytest.mark.data
@pytest.mark.parametrize("mode", ["direct", "cot"])
def test_bbh_is_asked_word_for_word_as_its_authors_asked(data_dir: Path, mode: str) -> None:
    suite = load_suite("bbh" if mode == "direct" else "bbh-cot", data_dir)
    asked = [(item.category, item.turns[0], item.reference[0]) for item in suite.items]
    recorded = []
    for task in dict.fromkeys(category for category, *_ in asked):
        folder = data_dir / f"bbh/code-davinci-002-outputs/code-davinci-002-{mode}"
        recording = read_bbh_outputs(folder / f"{task}_few_shot_template_0-255000.json.gz")
        for each in recording.recorded:
            # Upstream mended a choice of an example after the direct answers were recorded.
            said = each.item.turns[0].replace("(A) 01/11/1961\n(B) 01/03/1961", "(A) 01/11/1961\n(B) 01/03/1963")
            recorded.append((task, said, each.item.reference[0]))
        assert rescore(recording, opened(suite)).accuracy == recording.accuracy
    different = [(one, other) for one, other in zip(asked, recorded, strict=True) if one != other]
    # One snark stands cut short in the file of questions.
    assert [(one[0], len(one[1]) < len(other[1])) for one, other in different] == [("snarks", True)]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("multi-arith", "multiarith"), ("add-sub", "addsub"), ("coin-flip", "coin_flip"),
        ("last-letter", "last_letters"), ("commonsense-qa", "commonsensqa"), ("commonsense-qa-cot", "commonsensqa"),
    ],
)  # fmt: skip
def test_zero_shot_questions_are_those_of_the_authors_logs(data_dir: Path, name: str, log: str) -> None:
    suite = load_suite(name, data_dir)
    recording = read_zero_shot_cot_log(data_dir / f"zero_shot_cot/log/{log}_zero_shot_cot.log.gz")
    asked = Counter((item.turns[0].partition("\nA:")[0], item.reference[0]) for item in suite.items)
    assert asked == Counter(
        (each.item.turns[0].partition("\nA:")[0], each.item.reference[0]) for each in recording.recorded
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("coin-flip", "coin_flip"), ("last-letter", "last_letters"), ("multi-arith", "multiarith"), ("aqua", "aqua"),
        ("aqua-cot", "aqua"), ("commonsense-qa", "commonsensqa"), ("commonsense-qa-cot", "commonsensqa"),
        ("add-sub", "addsub"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["zero_shot", "zero_shot_cot"])
def test_a_suites_headline_is_the_published_accuracy(data_dir: Path, name: str, log: str, method: str) -> None:
    recording = read_zero_shot_cot_log(data_dir / f"zero_shot_cot/log/{log}_{method}.log.gz")
    scorer = opened(load_suite(name, data_dir))
    assert rescore(recording, scorer).accuracy == recording.accuracy


@pytest.mark.parametrize(
    "name",
    ["aqua", "aqua-cot", "commonsense-qa", "commonsense-qa-cot", "add-sub", "svamp", "multi-arith", "strategy-qa",
     "coin-flip", "last-letter", "bbh", "bbh-cot", "kola", "kola-multihop"],
)  # fmt: skip
def test_the_headline_is_the_authors_rule_and_the_flexible_one_stands_beside(name: str) -> None:
    suite = check_suite(find_suite_file(name))
    scorer = plugins.load("scorers", suite.scorer_choice.name)(**suite.scorer_choice.options)
    item = Item(id="1", turns=("?",), reference=("A",), choices=("1", "2", "3", "4", "5"))
    found = scorer.score(item, Answer(suite="s", item="1", model="m", turns=("x",), finish=("stop",)))
    assert {"accuracy", "accuracy_flexible"} <= set(found)
    assert "accuracy_strict" not in found


@pytest.mark.parametrize(("name", "reply", "right"), [
    ("add-sub", "70.0", (1.0, 0.0)), ("add-sub", "70", (1.0, 1.0)), ("svamp", "$70", (1.0, 1.0)),
    ("multi-arith", "70.", (1.0, 1.0)),
])  # fmt: skip
def test_the_authors_compare_digits_and_the_flexible_rule_numbers(
    name: str, reply: str, right: tuple[float, float]
) -> None:
    suite = check_suite(find_suite_file(name))
    scorer = plugins.load("scorers", suite.scorer_choice.name)(**suite.scorer_choice.options)
    item = Item(id="1", turns=("?",), reference=("70",))
    found = scorer.score(item, Answer(suite="s", item="1", model="m", turns=(reply,), finish=("stop",)))
    assert (found["accuracy_flexible"].scores[0], found["accuracy"].scores[0]) == right


@pytest.mark.parametrize(
    ("name", "reply", "reference", "right"),
    [
        ("multi-arith", "Therefore, the answer (arabic numerals) is **51**.", "51", (1.0, 1.0)),
        ("multi-arith", "With 3 friends, the answer is 51.", "51", (1.0, 0.0)),
        ("coin-flip", "Therefore, the answer (Yes or No) is **Yes**.", "yes", (1.0, 0.0)),
        ("strategy-qa", "No.", "no", (1.0, 1.0)),
        ("aqua", "The Answer is (C).", "C", (1.0, 0.0)),
        ("aqua", " C. 12", "C", (1.0, 1.0)),
        ("last-letter", "Therefore, the answer is **yajo**.", "yajo", (1.0, 0.0)),
        ("last-letter", ' "ya jo".', "yajo", (1.0, 1.0)),
        ("bbh", "**Yes**", "Yes", (1.0, 0.0)),
        ("bbh", "B", "(B)", (1.0, 0.0)),
        ("bbh", "(b)", "(B)", (1.0, 0.0)),
        ("bbh", "(B) 12/23/2021", "(B)", (1.0, 0.0)),
        ("bbh", "(A) or (B)", "(A)", (0.0, 0.0)),
        ("bbh", "true", "True", (1.0, 0.0)),
        ("bbh", "Yesterday", "Yes", (0.0, 0.0)),
        ("bbh", "] ])}", "] ] ) }", (1.0, 0.0)),
        ("bbh", "] )]}", "] ] ) }", (0.0, 0.0)),
        ("bbh", "50", "-50", (0.0, 0.0)),
        ("bbh", "bed, cab, dog", "bed cab dog", (1.0, 0.0)),
        ("bbh", "Let us see.\nSo the answer is: no", "No", (1.0, 0.0)),
        ("coin-flip-generated", "That is odd. The answer is no.", "no", (1.0, 1.0)),
        ("coin-flip-generated", "The answer is: **No**", "no", (1.0, 0.0)),
        ("last-letter-generated", "Joined they are. The answer is aei.", "aei", (1.0, 1.0)),
        ("last-letter-generated", 'So the answer is "aei", I think', "aei", (1.0, 0.0)),
        ("bbh", "Yes\n\nQ: and", "Yes", (1.0, 1.0)),
        ("bbh-cot", "We count.\nSo the answer is: (B)", "(B)", (1.0, 0.0)),
        ("bbh-cot", "So the answer is ] ] >.", "] ] >", (1.0, 1.0)),
        ("bbh-cot", "So the answer is ] }", "] }", (1.0, 1.0)),
        ("bbh-cot", "Thus $\\boxed{\\text{(B)}}$.", "(B)", (1.0, 0.0)),
        ("bbh-cot", "**Answer:** b) 12/23/2021", "(B)", (1.0, 0.0)),
    ],
)
def test_a_chats_wording_is_read_by_the_flexible_rule_and_the_authors_stands_beside(
    name: str, reply: str, reference: str, right: tuple[float, float]
) -> None:
    suite = check_suite(find_suite_file(name))
    scorer = plugins.load("scorers", suite.scorer_choice.name)(**suite.scorer_choice.options)
    item = Item(
        id="1", turns=("?",), reference=(reference,), choices=("1", "2", "12", "4", "5") if name == "aqua" else ()
    )
    found = scorer.score(item, Answer(suite="s", item="1", model="m", turns=(reply,), finish=("stop",)))
    flexible = found.get("accuracy_flexible", found["accuracy"])
    strict = found.get("accuracy_strict", found["accuracy"])
    assert (flexible.scores, strict.scores) == ((right[0],), (right[1],))


@pytest.mark.data
def test_every_worked_solution_of_math_500_equals_its_answer(data_dir: Path, scorer: MathScorer) -> None:
    items = load_suite("math-500", data_dir).items
    wrong = [item.id for item in items if grade(scorer, item.reference[0], item.meta["solution"]) != (1.0, "")]
    assert wrong == []


@pytest.mark.data
def test_five_choices_are_shown_in_one_line(data_dir: Path) -> None:
    aqua, sense = load_suite("aqua", data_dir).items[0], load_suite("commonsense-qa", data_dir).items[0]
    assert aqua.choices[0] == "5(√3 + 1)"
    assert "Answer Choices: (A) 5(√3 + 1) (B) " in aqua.turns[0]
    assert sense.turns[0].endswith("(D) mall (E) new york\nA: Among A through E, the answer is")
    assert all(len(item.choices) == 5 for item in load_suite("aqua", data_dir).items)
    reasoned = load_suite("aqua-cot", data_dir).items[0]
    assert reasoned.turns[0].endswith("(E) None of these\nA: Let's think step by step.")
    assert reasoned.turns[1] == "Therefore, among A through E, the answer is"
