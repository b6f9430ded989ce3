"""Instruction data: columns converted, rows graded and filtered, near duplicates out, new instructions written."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import Act, EndpointServer

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.train.columns import WRITTEN, read_data, write_form
from judgebench.train.duplicates import Seen, jaccard, unlike
from judgebench.train.instruct import empty_answer, unfit
from judgebench.train.lima import unfit as lima_unfit
from judgebench.train.lima import within_quota

MODELS = '''
import re

def grades(chat):
    """The grade that the reply itself names; none where it names none."""
    found = re.search(r"worth (\\S+)", chat[-1]["content"])
    return f"I see. Rating: [[{found[1]}]]" if found else "I would rather not say."

def teacher(chat):
    return "teacher: " + chat[-1]["content"]

def student(chat):
    return "" if "silent" in chat[-1]["content"] else "student: " + chat[-1]["content"]

def thinker(chat):
    from judgebench.types import Reply
    text = chat[-1]["content"]
    if "long" in text:
        return Reply(text="teacher: a begin", finish="length")
    return "<think>reasoning for ever" if "deep" in text else f"<think>reasoning</think>teacher: {text}"

def referee(chat):
    """Scores the teacher 8 and the student 5 (easy: 7.5), and whoever is first one point more."""
    text = chat[-1]["content"]
    if "mute" in text:
        return "no scores"
    low = 7.5 if "easy" in text else 5
    first = 8 if text.find("teacher:") < text.find("student:") else low
    second = low if first == 8 else 8
    return f"Evaluation evidence: x\\nScore of the Assistant 1: {first + 1}\\nScore of the Assistant 2: {second}"

def writer(chat):
    text = chat[-1]["content"]
    if "Write" in text and "tasks" in text:
        return """1. Name three rivers of northern Europe and their lengths.
2. Do it.
3. Draw a picture of a house by the lake.
4. Explain how a heat pump warms a house in winter.
5. Explain how a heat pump warms a house in winter!
6. What is the name of the largest ocean on Earth?"""
    return "An answer to: " + text

def evolver(chat):
    text = chat[-1]["content"]
    if "Answer with one word" in text:
        return "Equal" if "List five trees" in text else "Different."
    if "Change an instruction" in text:
        if "trees" in text:
            return "List five trees of any kind, will you, and no more than that"
        if "apology" in text:
            return "Write an apology to a neighbour whose window the ball of your child broke"
        if "rewrite" in text:
            return "Here is the changed instruction: tell of the sea"
        return "Explain in three steps why the tide comes twice a day, and when it does not"
    return "Sorry, I cannot." if "apology" in text else "Because of the moon."
'''


@pytest.fixture
def models(tmp_path: Path) -> str:
    (tmp_path / "m.py").write_text(MODELS)
    return f"scripted/{tmp_path}/m.py:"


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def data(
    tmp_path: Path, verb: str, rows: list[dict[str, Any]], *more: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and manifest of one verb."""
    out = tmp_path / "out.jsonl"
    assert main(["data", verb, jsonl(tmp_path / "in.jsonl", rows), "--out", str(out), "--quiet", *more]) == 0
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    return [json.loads(line) for line in out.read_text().splitlines()], manifest


# Columns -----------------------------------------------------------------------------------------------------------

TALK = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Ho."}]


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"messages": TALK}, "messages"),
        ({"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Ho."}]}, "sharegpt"),
        ({"prompt": "Hi?", "completion": "Ho."}, "completion"),
        ({"instruction": "Hi?", "input": "", "output": "Ho."}, "alpaca"),
    ],
)
def test_every_form_of_examples_becomes_every_other_and_itself_again(
    tmp_path: Path, row: dict[str, Any], form: str
) -> None:
    rows, found = read_data(jsonl(tmp_path / "a.jsonl", [row]))
    assert found == form
    assert rows == [{"prompt": TALK[:1], "completion": "Ho."}]
    for other in ("messages", "sharegpt", "completion", "alpaca"):
        [made], dropped = write_form(rows, other)
        assert not dropped
        again, known = read_data(jsonl(tmp_path / "b.jsonl", [made]))
        assert (known, again) == (other, rows)
    assert write_form(rows, form)[0] == [row]


def test_pairs_become_marked_answers_ranked_lists_and_examples(tmp_path: Path) -> None:
    pair = {"prompt": "Hi?", "chosen": "Ho.", "rejected": "No.", "margin": 0.5}
    for row in (pair, {"chosen": TALK, "rejected": [TALK[0], {"role": "assistant", "content": "No."}], "margin": 0.5}):
        rows, _ = read_data(jsonl(tmp_path / "a.jsonl", [row]))
        assert write_form(rows, "pairs") == ([pair], {})
        assert write_form(rows, "marked")[0] == [
            {"prompt": "Hi?", "completion": "Ho.", "label": True, "margin": 0.5},
            {"prompt": "Hi?", "completion": "No.", "label": False, "margin": 0.5},
        ]
        assert write_form(rows, "ranked")[0] == [{"prompt": "Hi?", "responses": ["Ho.", "No."], "margin": 0.5}]
        assert write_form(rows, "completion")[0] == [{"prompt": "Hi?", "completion": "Ho.", "margin": 0.5}]
    rows, _ = read_data(jsonl(tmp_path / "a.jsonl", [{"prompt": "Hi?"}]))
    assert {form: write_form(rows, form)[1] for form in WRITTEN if form != "prompts"} == {
        "messages": {"without an answer": 1}, "sharegpt": {"without an answer": 1},
        "completion": {"without an answer": 1}, "alpaca": {"without an answer": 1},
        "pairs": {"without a rejected answer": 1}, "marked": {"without a label": 1},
        "ranked": {"without ranked answers": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"text": "a"}],
            r"in\.jsonl:1: has the columns text; known are .*; messages; conversations; prompt\+completion",
        ),
        ([{"prompt": "a", "completion": "b"}, {"messages": TALK}], r"in\.jsonl:2: has the columns of messages"),
        ([{"messages": [{"role": "robot", "content": "a"}]}], "a message needs a role"),
        ([], "it is empty"),
        ([{"prompt": 1, "completion": "b"}], "a text or a list of messages is meant, found 1"),
        ([{"instruction": None, "output": "b"}], "instruction and input are texts"),
        ([{"prompt": "a", "responses": "b"}], "responses is a list of texts"),
    ],
)
def test_unknown_columns_are_one_line(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        data(tmp_path, "convert", rows, "--as", "messages")


@pytest.mark.parametrize(
    ("verb", "more", "words"),
    [
        ("rate", ["--judge", "baseline/overlap", "--least", "nan"], "--least nan: must be a finite number"),
        ("self-instruct", ["--model", "hf/x", "--temperature", "-1"], "--temperature -1: must not be negative"),
        ("lima", ["--min-chars", "9", "--max-chars", "3"], "--min-chars 9 is above --max-chars 3"),
        ("dedup", ["--most-alike", "nan"], "--most-alike nan"),
    ],
)
def test_a_number_out_of_range_is_said_before_anything_is_asked(
    tmp_path: Path, verb: str, more: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        data(tmp_path, verb, [{"prompt": "a", "completion": "b"}], *more)


def test_a_conversion_keeps_what_is_known_of_evaluation_items(tmp_path: Path) -> None:
    first, _ = data(tmp_path, "convert", [{"prompt": "a", "completion": "b"}], "--as", "messages")
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    manifest["contamination"]["trained_on"] = {"drill": ["q0"]}
    manifest["training_suites"] = ["drill"]
    (tmp_path / "out.jsonl.manifest.json").write_text(json.dumps(manifest))
    args = [
        "data",
        "convert",
        str(tmp_path / "out.jsonl"),
        "--as",
        "alpaca",
        "--out",
        str(tmp_path / "c.jsonl"),
        "--quiet",
    ]
    assert main(args) == 0
    made = json.loads((tmp_path / "c.jsonl.manifest.json").read_text())
    assert made["contamination"]["trained_on"] == {"drill": ["q0"]}
    assert made["training_suites"] == ["drill"]
    assert first


# Grades ------------------------------------------------------------------------------------------------------------


def test_alpagasus_keeps_what_is_graded_high_and_unscored_is_not_graded_low(tmp_path: Path, models: str) -> None:
    rows = [{"prompt": f"p{n}", "completion": f"worth {grade}"} for n, grade in enumerate((5, 4.5, 4, 1))]
    rows += [{"prompt": "p9", "completion": "worthless"}]
    kept, made = data(tmp_path, "rate", rows, "--judge", f"j={models}grades", "--least", "4.5")
    assert [(row["prompt"], row["score"]) for row in kept] == [("p0", 5), ("p1", 4.5)]
    assert made["dropped"]["graded below 4.5"] == 2
    assert sum(made["dropped"].values()) == 3
    assert any(why.startswith("unscored: unreadable") for why in made["dropped"])
    # (5 + 4.5 + 4 + 1) / 4 = 3.625
    assert made["notes"][0].startswith("mean grade 3.625 [")
    assert made["notes"][0].endswith("on 0 to 5, 4 of 5 rows scored")


def test_the_instruction_following_score_is_the_share_of_replies(tmp_path: Path, models: str) -> None:
    rows = [{"prompt": f"p{n}", "completion": f"worth {grade}"} for n, grade in enumerate((1, 0, 1, 1))]
    kept, made = data(tmp_path, "rate", rows, "--judge", f"j={models}grades", "--rubric", "ifs", "--least", "1")
    assert len(kept) == 3
    assert made["notes"][0].startswith("mean grade 0.750 [")


def test_lion_keeps_what_the_student_lacks_by_both_orders(tmp_path: Path, models: str) -> None:
    rows = [{"prompt": text} for text in ("hard one", "easy one", "silent one", "mute one")]
    flags = ["--teacher", f"t={models}teacher", "--student", f"s={models}student", "--judge", f"j={models}referee"]
    kept, made = data(tmp_path, "lion", rows, *flags)
    # first by one point more: (9 - 5 + 8 - 6) / 2 = 3 for hard, (8.5 - ...) 0.5 for easy
    assert [(row["prompt"], row["completion"], row["gap"]) for row in kept] == [("hard one", "teacher: hard one", 3.0)]
    assert made["dropped"]["easy for the student"] == 1
    assert made["dropped"]["no answer of the student"] == 1
    assert sum(made["dropped"].values()) == 3
    assert made["notes"] == ["1 of 2 instructions are hard"]
    kept, _ = data(tmp_path, "lion", rows, *flags, "--all")
    assert [(row["gap"], row["hard"]) for row in kept] == [(3.0, True), (0.5, False)]


def test_lion_teaches_no_reasoning_and_no_answer_that_was_cut_off(tmp_path: Path, models: str) -> None:
    rows = [{"prompt": text} for text in ("hard one", "long one", "deep one")]
    flags = ["--teacher", f"t={models}thinker", "--student", f"s={models}student", "--judge", f"j={models}referee"]
    kept, made = data(tmp_path, "lion", rows, *flags)
    assert [row["completion"] for row in kept] == ["teacher: hard one"]
    assert made["dropped"] == {"answer of the teacher cut off at the token limit": 1, "no answer of the teacher": 1}


def kept(file: Path) -> int:
    """Replies in a file of replies that another process writes; 0 where it is not there yet."""
    if not file.is_file():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as replies:
        tables = replies.execute("SELECT count(*) FROM sqlite_master WHERE name = 'replies'").fetchone()[0]
        return int(replies.execute("SELECT count(*) FROM replies").fetchone()[0]) if tables else 0


def test_a_verb_killed_half_way_pays_for_no_reply_twice(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": f"answer {n}"} for n in range(12)]
    source = jsonl(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out.jsonl"
    slow = threading.Event()

    def act(body: dict[str, Any], count: int) -> Act:
        """A grade at once; the last three never, until the command was killed."""
        late = any(f"answer {n}" in json.dumps(body) for n in (9, 10, 11))
        return Act(fault="stall") if late and not slow.is_set() else Act(text="Rating: [[4]]")

    with EndpointServer(act) as server:
        words = ["data", "rate", source, "--out", str(out), "--judge", "j=openai/some-model", "--option",
                 f"j.base_url={server.base_url}", "--max-concurrency", "3", "--quiet"]  # fmt: skip
        process = subprocess.Popen([sys.executable, "-m", "judgebench", *words], stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while kept(tmp_path / "out.jsonl.replies") < 9 or len(server.seen) < 12:  # the last three are under way
            assert time.monotonic() < until
            assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists()
        slow.set()
        before = len(server.seen)
        assert main(words) == 0
        assert len(server.seen) - before == 3
    assert [json.loads(line)["score"] for line in out.read_text().splitlines()] == [4.0] * 12
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("out")) == [
        "out.jsonl", "out.jsonl.manifest.json",
    ]  # fmt: skip


# Likeness ----------------------------------------------------------------------------------------------------------


def test_rouge_l_and_jaccard_are_those_worked_out_by_hand() -> None:
    seen = Seen()
    # longest common subsequence of 5 in 6 and 6 words: F = 5/6; 2 of 3 and 4: F = 2·(2/3)(2/4)/(2/3 + 2/4) = 4/7
    assert seen.rouge("the cat sat on the mat", "The cat lay on the mat.") == pytest.approx(5 / 6)
    assert seen.rouge("a b c", "a x y c") == pytest.approx(4 / 7)
    assert seen.rouge("我是学生", "我是老师") == pytest.approx(0.5)
    assert jaccard("a b c d", "a b c e") == pytest.approx(1 / 3)


@pytest.mark.parametrize("method", ["rouge-l", "minhash"])
def test_near_duplicates_go_and_the_first_stays(tmp_path: Path, method: str) -> None:
    texts = ["Name the largest river that flows through the old town of Prague today, please",
             "Name the largest river that flows through the old town of Prague today, please!",
             "Explain why leaves turn red in autumn and not in spring"]  # fmt: skip
    assert unlike(texts, method) == [0, 2]  # type: ignore[arg-type]
    kept, made = data(tmp_path, "dedup", [{"prompt": text, "completion": "x"} for text in texts], "--by", method)
    assert [row["prompt"] for row in kept] == [texts[0], texts[2]]
    assert made["dropped"] == {"like one before": 1}


# LIMA --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("x" * 1199, "shorter than 1200 characters"), ("x" * 1200, ""), ("x" * 4096, ""),
        ("x" * 4097, "longer than 4096 characters"), ("In my view " + "x" * 1200, "first person"),
        ("`for I in my:` " + "x" * 1200, ""), ("As already mentioned, " + "x" * 1200, "mentions other answers"),
        ("I/O is slow. " + "x" * 1200, ""),
    ],
)  # fmt: skip
def test_limas_filters_hold_at_their_edges(answer: str, why: str) -> None:
    assert lima_unfit(answer) == why


def test_the_quota_takes_the_best_of_each_kind_in_file_order(tmp_path: Path) -> None:
    rows = [{"category": kind, "score": score} for kind, score in (("a", 1), ("a", 3), ("b", 0), ("a", 3), ("a", 2))]
    assert within_quota(rows, "category", 2) == [1, 2, 3]
    examples = [{"prompt": str(n), "completion": "y" * 20, **row} for n, row in enumerate(rows)]
    kept, made = data(tmp_path, "lima", examples, "--min-chars", "5", "--quota", "1")
    assert [row["prompt"] for row in kept] == ["1", "2"]
    assert made["dropped"] == {"over the quota of their kind": 3}


# New instructions --------------------------------------------------------------------------------------------------


def test_self_instruct_writes_new_instructions_and_counts_what_it_leaves_out(tmp_path: Path, models: str) -> None:
    seeds = [{"prompt": "What is the name of the largest ocean on our Earth?"}, {"prompt": "Sing a song of spring."}]
    kept, made = data(
        tmp_path, "self-instruct", seeds, "--model", f"w={models}writer", "--count", "9", "--requests", "1"
    )
    assert [row["prompt"] for row in kept] == [
        "Name three rivers of northern Europe and their lengths.",
        "Explain how a heat pump warms a house in winter.",
    ]
    assert kept[0]["completion"] == "An answer to: Name three rivers of northern Europe and their lengths."
    # four rounds: one that brings two, three that bring nothing
    assert made["dropped"] == {"shorter than 4 words": 4, "holds 'picture'": 4, "like one before": 2 + 3 * 4}
    assert made["notes"] == ["2 of 9 instructions: 3 rounds in a row brought nothing new"]


def test_evol_instruct_leaves_out_by_the_papers_four_rules(tmp_path: Path, models: str) -> None:
    rows = [{"prompt": text} for text in ("List five trees", "Write an apology", "Explain tides", "Do rewrite this")]
    kept, made = data(tmp_path, "evol-instruct", rows, "--model", f"w={models}evolver")
    assert [row["prompt"] for row in kept] == [
        "Explain in three steps why the tide comes twice a day, and when it does not"
    ]
    assert kept[0]["completion"] == "Because of the moon."
    assert kept[0]["by"] in ("constraints", "deepen", "concretise", "reasoning", "input", "breadth")
    assert made["dropped"] == {"asks the same": 1, "answer says sorry": 1, "holds 'changed instruction'": 1}
    again, _ = data(tmp_path, "evol-instruct", rows, "--model", f"w={models}evolver")
    assert again == kept


def test_answers_that_say_nothing_are_told() -> None:
    assert empty_answer("sorry " + "word " * 80) == ""
    assert unfit("word " * 151) == "longer than 150 words"


def test_a_prompt_file_of_ones_own_is_checked(tmp_path: Path, models: str) -> None:
    own = tmp_path / "p.yaml"
    own.write_text(
        "name: mine\nversion: '1'\nabout: x\nsteps:\n  instructions: 'More like {exmples}'\n  answer: '{instruction}'\n"
    )
    with pytest.raises(UserError, match=r"exmples.*did you mean 'examples'"):
        data(tmp_path, "self-instruct", [{"prompt": "a"}], "--model", f"w={models}writer", "--prompts", str(own))
    with pytest.raises(UserError, match="0 are named"):
        data(tmp_path, "self-instruct", [{"prompt": "a"}])
