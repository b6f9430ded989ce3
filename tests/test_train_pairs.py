"""Training data out of a run: which pairs are made, which are left out and why, and what the guard keeps out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_checkpoint

from judgebench.backends.scripted import ScriptedBackend
from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.train.guard import Guard, keep_out
from judgebench.train.preferences import from_games, from_grades, sure
from judgebench.train.record import read_record
from judgebench.train.wording import unescaped, words
from judgebench.types import Item, Verdict


def preference(item: str, shown: tuple[str, str], scores: tuple[float, ...], judge: str = "j", **more: Any) -> Verdict:
    both = ((shown[0], 0), (shown[1], 0))
    return Verdict(suite="s", item=item, judge=judge, rubric="r@1", shown=both, kind="preference", scores=scores,
                   error="" if scores else "unreadable: no verdict", **more)  # fmt: skip


def both_orders(item: str, first: tuple[float, ...], second: tuple[float, ...], judge: str = "j") -> list[Verdict]:
    """``a`` and ``b``: the scores shown a first, and those shown b first, in the order shown."""
    return [preference(item, ("a", "b"), first, judge), preference(item, ("b", "a"), second, judge)]


def test_margin_agreement_and_consistency_are_those_worked_out_by_hand() -> None:
    verdicts = [
        *both_orders("clear", (1, 0), (0, 1)),  # a wins both orders: margin 1, agreement 1
        *both_orders("half", (1, 0), (0.5, 0.5)),  # a wins one, ties one: share 3/4, margin 1/2, agreement 1/2
        *both_orders("split", (1, 0), (1, 0)),  # whoever is first: tie
        *both_orders("lost", (1, 0), ()),
        *both_orders("two", (0, 1), (1, 0), "j"),
        *both_orders("two", (0, 1), (1, 0), "k"),
        *both_orders("against", (0, 1), (1, 0), "j"),  # b by j, tie by k: share of b 3/4
        *both_orders("against", (0.5, 0.5), (0.5, 0.5), "k"),
    ]
    found, standings, dropped = from_games(verdicts, "half", lambda judge, rubric: "both")
    by_item = {each.asked[1]: each for each in found}
    assert dropped == {"tie": 1, "unscored: one order unreadable": 1}
    shown = {item: (e.better[0], e.margin, e.agreement, e.consistent, e.judges) for item, e in by_item.items()}
    assert shown == {
        "clear": ("a", 1.0, 1.0, True, 1), "half": ("a", 0.5, 0.5, False, 1), "two": ("b", 1.0, 1.0, True, 2),
        "against": ("b", 0.5, 0.5, False, 2),
    }  # fmt: skip
    assert {s.asked[1]: s.values for s in standings}["half"] == {("a", 0): 0.75, ("b", 0): 0.25}
    kept, unclear = sure(found, margin=0.6)
    assert ({each.asked[1] for each in kept}, unclear) == ({"clear", "two"}, {"margin below 0.6": 2})
    assert sure(found, agreement=0.5)[1] == {}
    assert sure(found, agreement=0.51)[1] == {"agreement below 0.51": 2}
    assert sure(found, consistent=True)[1] == {"orders or judges disagree": 2}


def grade(shown: tuple[str, int], score: float | None, judge: str = "j") -> Verdict:
    return Verdict(suite="s", item="1", judge=judge, shown=(shown,), scores=() if score is None else (score,),
                   scale=(1, 5))  # fmt: skip


def test_grades_make_pairs_of_every_two_answers_on_the_unit_interval() -> None:
    verdicts = [grade(("a", 0), 5), grade(("a", 1), 3), grade(("b", 0), 1), grade(("b", 1), None),
                grade(("a", 0), 1, "k"), grade(("b", 0), 5, "k")]  # fmt: skip
    found, standings, dropped = from_grades(verdicts)
    # means on 0 to 1: a#0 (1 + 0)/2, a#1 1/2, b#0 (0 + 1)/2: all alike
    assert (found, dropped) == ([], {"unscored": 1, "tie": 3})
    assert standings[0].values == {("a", 0): 0.5, ("a", 1): 0.5, ("b", 0): 0.5}
    found, _, _ = from_grades(verdicts[:3])
    assert [(e.better, e.worse, e.margin) for e in found] == [
        (("a", 0), ("a", 1), 0.5), (("a", 0), ("b", 0), 1.0), (("a", 1), ("b", 0), 0.5)
    ]  # fmt: skip


# The guard ---------------------------------------------------------------------------------------------------------

LONG = "A train leaves the old station at noon and travels north for three hours at fifty miles an hour"
ITEMS = {
    "rides": [Item(id="1", turns=(LONG,)), Item(id="2", turns=("What is 3 + 4?",)), Item(id="3", turns=("Hello",))],
    "facts": [
        Item(id="9", turns=("Which is true?",), choices=("ice floats", "iron floats")),
        Item(id="10", turns=("Of these things, which one can float on water for long?",), choices=("a nail", "a cork")),
        Item(id="11", turns=("Why does 12 * 7 - 4 not give the number that I want to have?",)),
    ],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LONG, ("rides", "1", "exact")),
        (f"  {LONG}\n", ("rides", "1", "exact")),
        (LONG.upper().replace(" ", "  ") + "!", ("rides", "1", "normalised")),
        ("I said: a train leaves the old station at noon and travels north for six days.", None),  # 12 words
        ("I said: a train leaves the old station at noon and travels north for three days.", ("rides", "1", "n-gram")),
        ("Tell me, what is 3+4? Thanks.", ("rides", "2", "n-gram")),
        ("What is 3 - 4?", None),
        ("What is 3 + 45?", None),
        ("hello!", ("rides", "3", "normalised")),
        ("Say hello to Eve.", None),
        ("Which is true? The sun is hot or cold.", None),
        ("Which is true?\nB. Iron floats\nA. Ice floats", ("facts", "9", "n-gram")),
        ("Which is true? That ice floats.", ("facts", "9", "n-gram")),
        ("of these things, WHICH one can float on water for long", ("facts", "10", "normalised")),
        ("Say of these things, which one can float on water for long?", ("facts", "10", "n-gram")),
        ("Why does 12 * 7 - 4 not give the number that I want to have?", ("facts", "11", "exact")),
        ("Why does 12×7−4 not give the number that I want to have?", ("facts", "11", "normalised")),
        ("Why does 12 * 7 + 4 not give the number that I want to have?", None),
        ("Sowhydoes12*7-4notgivethenumberthatIwanttohave?", ("facts", "11", "letters")),
        ("Why does 12*7-45 not give the number that I want to have?", None),
    ],
)
def test_the_guard_finds_questions_whole_reworded_in_form_and_in_part(
    text: str, found: tuple[str, str, str] | None
) -> None:
    overlap = Guard(ITEMS).overlap([text])
    assert (overlap and (overlap.suite, overlap.item, overlap.how)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Which is the largest?\nA. 84\nB. 13", None),
        ("Which is the largest?\nA. 62\nB. 84\nC. 13", "2"),
        ("Which is the largest? 13, 62 or 84?", "2"),
        ("Which is the smallest? It is 7.", "4"),
    ],
)
def test_of_questions_in_the_very_same_words_all_choices_tell_which_is_meant(text: str, found: str | None) -> None:
    numbers = {"1": ("84", "20", "31"), "2": ("84", "13", "62"), "3": ("13", "95", "20")}
    items = [Item(id=key, turns=("Which is the largest?",), choices=each) for key, each in numbers.items()]
    items.append(Item(id="4", turns=("Which is the smallest?",), choices=("7", "8")))
    overlap = Guard({"numbers": items}).overlap([text])
    assert (overlap and overlap.item) == found


@given(
    st.lists(st.sampled_from("abkmq347+我是"), min_size=3, max_size=40),
    st.text(max_size=30), st.text(max_size=30), st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_text_that_holds_a_question_whole_is_always_found(
    question: list[str], before: str, after: str, chance
) -> None:  # type: ignore[no-untyped-def]
    others = [Item(id=f"o{n}", turns=(" ".join(question[n:] + question[:n]),)) for n in range(1, 4)]
    guard = Guard({"s": [Item(id="1", turns=(" ".join(question),)), *others]})
    shuffled = "".join(word.upper() + chance.choice([" ", "  ", "\n", ", "]) for word in question)
    assert guard.overlap([f"{before} {shuffled} {after}"]) is not None


# What a question may be set in, none of which hides it: each takes the text and gives rows of columns.
LOOKS = dict(zip("aceiopxyABEKMHOPCTX", "асеіорхуАВЕКМНОРСТХ", strict=True))
SETTINGS = {
    "capitals": str.upper,
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "letters of another script": lambda text: "".join(LOOKS.get(c, c) for c in text),
    "accents": lambda text: "".join(f"{c}\u0301" if c in "aeiou" else c for c in text),
    "zero width": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: text.replace("e", "\u00ade"),
    "no spaces": lambda text: text.replace(" ", ""),
    "letters apart": " ".join,
    "lines": lambda text: text.replace(" ", "\n\n"),
    "underscores": lambda text: text.replace(" ", "_"),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "no-break spaces": lambda text: text.replace(" ", "&nbsp;"),
    "tags": lambda text: "<li>" + text.replace(" ", "</li> <li class='x'>") + "</li>",
    "a link": lambda text: text.replace(" ", "%20"),
    "escapes": lambda text: text.replace(" ", "\\u0020"),
    "quotes": lambda text: "“" + text.replace("'", "’") + "”",
}
ORDER = "abdfghjklmnqrstuvwz"


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces that end at these places."""
    ends = sorted({place % len(text) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(ends)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("abcdeiopxy", min_size=2, max_size=9), min_size=6, max_size=40),
    st.lists(st.sampled_from(sorted(SETTINGS)), max_size=2),
    st.sampled_from(["a prompt", "both", "a pair", "talk", "user"]),
    st.lists(st.integers(0, 400), max_size=4), st.text(ORDER + " ", max_size=30),
)  # fmt: skip
def test_no_setting_and_no_cut_hides_a_question_that_a_row_holds_whole(
    question: list[str], ways: list[str], form: str, places: list[int], around: str
) -> None:
    text = whole = " ".join(question)
    guard = Guard({"s": [Item(id="1", turns=(whole,)), Item(id="2", turns=("quite another one",))]})
    if {"entities", "tags", "no-break spaces", "escapes", "a link"} & set(ways):
        form = "a prompt"  # a cut through an escape leaves none
    for way in sorted(ways, key=lambda way: way in ("entities", "tags", "no-break spaces", "escapes", "a link")):
        text = SETTINGS[way](text)
    pieces = cut(text, places)
    said = [{"role": "user", "content": piece} for piece in pieces]
    row: dict[str, Any] = {
        "a prompt": {"prompt": f"{around} {text} {around}", "completion": around},
        "both": {"prompt": "".join(pieces[:1]), "completion": "".join(pieces[1:])},
        "a pair": {"prompt": "".join(pieces[:-1]), "chosen": around, "rejected": pieces[-1]},
        "talk": {"messages": [{**each, "role": ("user", "assistant")[n % 2]} for n, each in enumerate(said)]},
        "user": {"messages": [each for piece in said for each in (piece, {"role": "assistant", "content": "go on"})]},
    }[form]
    if len("".join(question)) < 16 and (form != "a prompt" or set(ways) - {"capitals", "quotes", "lines"}):
        return  # so few letters are looked for as words alone
    assert keep_out([row], guard)[1].dropped, (text, row)


def test_a_question_is_not_found_in_words_that_are_its_own_only_in_part() -> None:
    guard = Guard(ITEMS)
    for text in (
        " ".join(LONG.split()[:12]),  # 12 of its words in a row
        " ".join(reversed(LONG.split())),
        " ".join("else" if n % 12 == 11 else word for n, word in enumerate(LONG.split())),  # by design
        "A train that goes north from a station reaches fifty miles an hour after three hours.",  # other words
    ):
        assert guard.overlap([text]) is None


def test_letters_in_a_row_end_where_a_number_does() -> None:
    guard = Guard({"s": [Item(id="1", turns=("12 and what else makes 129?",))]})
    assert guard.overlap(["So:12andwhatelsemakes129!"]).how == "letters"  # type: ignore[union-attr]
    assert guard.overlap(["So: 12andwhatelsemakes1290"]) is None
    assert guard.overlap(["So: 412andwhatelsemakes129"]) is None


def test_mark_up_and_escapes_are_read_as_a_reader_sees_them() -> None:
    assert unescaped("a &lt; b &amp; c") == "a < b & c"
    assert words(unescaped("<p>Why%20is<br/>it\\u003f</p>")) == ("why", "is", "it")
    assert unescaped("3 < 4 and 5 > 2") == "3 < 4 and 5 > 2"


def test_words_that_several_questions_share_are_their_form() -> None:
    form = "Here is a list of words; write the last letters of all of them in order please: "
    suite = {
        "letters": [Item(id=str(n), turns=(f"{form}{name} {name}son",)) for n, name in enumerate(("ann", "bob", "cy"))]
    }
    guard = Guard(suite)
    assert guard.overlap([f"{form}dan danson"]) is None
    assert guard.overlap([f"{form}bob bobson, and then some"]).item == "1"  # type: ignore[union-attr]


def test_a_prompt_as_asked_and_a_question_in_an_answer_are_found_too() -> None:
    asked = Item(id="1", turns=("Q: Who?\nA:",), question=("Who?",))
    guard = Guard({"s": [asked, *ITEMS["rides"]]})
    assert guard.overlap(["q: who? a:"]).how == "normalised"  # type: ignore[union-attr]
    rows = [{"prompt": "hm", "chosen": LONG, "rejected": "x"}, {"messages": [{"role": "user", "content": "free"}]}]
    kept, held = keep_out(rows, guard)
    assert (kept, held.dropped) == ([1], [{"row": 1, "suite": "s", "item": "1", "how": "exact"}])
    kept, held = keep_out(rows, guard, allow=True)
    assert (kept, held.dropped, held.trained_on) == ([0, 1], [], {"s": ["1"]})


def test_full_width_and_signs_are_read_as_a_person_would() -> None:
    assert words("Ｗhat is 3＋4?") == words("what is 3 + 4")
    assert words("well-known") == words("well known")
    assert words("10-4") != words("10 4")
    assert words("W\u200bhat i\u00ads 3\u2060+4?\ufeff") == words("What is 3+4?")
    assert words("Wháṫ іѕ 3−4×2") == words("what is 3-4*2")
    assert words("add_two") == words("add two")


# The stage ---------------------------------------------------------------------------------------------------------

MODELS = """
def good(chat):
    return "The best answer to " + chat[-1]["content"]

def bad(chat):
    return "no"

def prefers(chat):
    text = chat[-1]["content"]
    first, second = text.find("The best answer"), text.find("\\nno\\n")
    return "My final verdict is: [[A]]" if first < second else "My final verdict is: [[B]]"
"""


def suite(path: Path, name: str, questions: list[str]) -> str:
    lines = "".join(f"  - id: q{n}\n    question: {json.dumps(text)}\n" for n, text in enumerate(questions))
    path.write_text(f"name: {name}\nversion: '1'\nabout: test\nlicense: CC0\nitems:\n{lines}", encoding="utf-8")
    return str(path)


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A run of a training suite, whose second question is also one of the evaluation suite."""
    (tmp_path / "m.py").write_text(MODELS)
    train = suite(
        tmp_path / "t.yaml", "drill", ["How do boats float on water?", "Why is the sky blue?", "Why do we sleep?"]
    )
    held = suite(tmp_path / "e.yaml", "exam", ["Tell me: why is the sky blue?", "Why is the sky blue? "])
    code = main([
        "run", str(tmp_path / "run"), "--suite", f"{train},{held}", "--model", f"good=scripted/{tmp_path}/m.py:good",
        "--model", f"bad=scripted/{tmp_path}/m.py:bad", "--judge", f"j=scripted/{tmp_path}/m.py:prefers",
        "--rubric", "pairwise-mtbench", "--quiet",
    ])  # fmt: skip
    assert code == 0
    return tmp_path / "run"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_pairs_are_made_of_the_training_suite_and_evaluation_items_are_kept_out(judged: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    assert main(["pairs", str(judged), "--train-suite", "drill", "--out", str(out), "--quiet"]) == 0
    rows = read(out)
    assert [row["item"] for row in rows] == ["q0", "q2"]
    assert rows[0]["prompt"] == "How do boats float on water?"
    assert (rows[0]["chosen"], rows[0]["rejected"]) == ("The best answer to How do boats float on water?", "no")
    made = json.loads((tmp_path / "p.jsonl.manifest.json").read_text())
    assert made["contamination"]["suites"] == {"exam": 2}
    assert made["contamination"]["dropped"] == [{"row": 2, "suite": "exam", "item": "q1", "how": "exact"}]
    assert made["dropped"] == {"overlapping exam (exact)": 1}
    assert made["contamination"]["trained_on"] == {"drill": ["q0", "q2"]}
    assert Run(judged).manifest["data"]["p.jsonl"]["kept_out"] == 1


@pytest.mark.parametrize(
    ("form", "columns"),
    [("best", {"prompt", "completion"}), ("ranked", {"prompt", "responses", "scores"}),
     ("marked", {"prompt", "completion", "label"})],
)  # fmt: skip
def test_the_other_forms_have_the_fields_columns(judged: Path, tmp_path: Path, form: str, columns: set[str]) -> None:
    out = tmp_path / "p.jsonl"
    args = ["pairs", str(judged), "--train-suite", "drill", "--as", form, "--out", str(out), "--quiet"]
    assert main(args) == 0
    rows = read(out)
    assert columns <= set(rows[0])
    if form == "ranked":
        assert rows[0]["responses"][0].startswith("The best answer")
        assert rows[0]["scores"] == [1.0, 0.0]
    if form == "marked":
        assert [row["label"] for row in rows] == [True, False, True, False]
    assert main([*args, "--messages"]) == 0
    assert read(out)[0]["prompt"] == [{"role": "user", "content": "How do boats float on water?"}]


def test_which_suite_is_training_data_must_be_said(judged: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--train-suite NAME \(drill, exam\)"):
        main(["pairs", str(judged), "--out", str(tmp_path / "p.jsonl")])
    with pytest.raises(UserError, match="did you mean 'drill'"):
        main(["pairs", str(judged), "--train-suite", "dril", "--out", str(tmp_path / "p.jsonl")])
    with pytest.raises(UserError, match="no row is left to train on"):
        main(["pairs", str(judged), "--train-suite", "exam", "--guard", str(tmp_path / "t.yaml"), "--quiet",
              "--min-agreement", "1", "--out", str(tmp_path / "p.jsonl")])  # fmt: skip


def dpo(run: Path, data: Path, name: str, *more: str) -> int:
    return main(["dpo", str(run), "--model", f"hf/{tiny_checkpoint('')}", "--data", str(data), "--name", name,
                 "--steps", "1", "--batch-size", "2", "--quiet", *more])  # fmt: skip


def test_a_model_trained_on_evaluation_items_takes_a_flag_and_every_later_report_says_so(
    judged: Path, tmp_path: Path
) -> None:
    data = tmp_path / "p.jsonl"
    main(["pairs", str(judged), "--train-suite", "drill", "--out", str(data), "--quiet"])
    assert dpo(judged, data, "clean") == 0
    clean = read_record(judged / "models" / "clean")
    assert clean is not None
    assert clean.contamination["trained_on"] == {"drill": ["q0", "q2"]}
    assert clean.contamination["suites"] == {"exam": 2}
    main(["pairs", str(judged), "--allow-contamination", "--out", str(data), "--quiet"])
    with pytest.raises(UserError, match="every row is an evaluation item"):
        dpo(judged, data, "tainted")
    assert dpo(judged, data, "tainted", "--allow-contamination") == 0
    tainted = read_record(judged / "models" / "tainted")
    assert tainted is not None
    assert tainted.contamination["trained_on"] == {"drill": ["q0", "q1", "q2"], "exam": ["q0", "q1"]}
    assert len(tainted.contamination["let_in"]) == 5
    # a child inherits what its parent was trained on
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps({"prompt": f"{n}?", "chosen": "a", "rejected": "b"}) + "\n" for n in range(2)))
    main(["dpo", str(judged), "--model", f"hf/{judged / 'models' / 'tainted'}", "--data", str(own), "--name", "child",
          "--steps", "1", "--batch-size", "2", "--quiet"])  # fmt: skip
    child = read_record(judged / "models" / "child")
    assert child is not None
    assert child.contamination["trained_on"] == tainted.contamination["trained_on"]


def test_a_report_marks_the_model_trained_on_what_it_is_asked(judged: Path, tmp_path: Path) -> None:
    data = tmp_path / "p.jsonl"
    main(["pairs", str(judged), "--train-suite", "drill", "--out", str(data), "--quiet"])
    dpo(judged, data, "tuned")
    later = tmp_path / "later"
    reference = f"{tmp_path}/t.yaml,{tmp_path}/e.yaml"
    code = main(["run", str(later), "--suite", reference, "--model", f"tuned=hf/{judged / 'models' / 'tuned'}",
                 "--model", f"good=scripted/{tmp_path}/m.py:good", "--max-tokens", "2", "--judge", "baseline/longest",
                 "--rubric", "pairwise-general", "--quiet"])  # fmt: skip
    assert code == 0
    mark = "contaminated: trained on 2 of 3 items of drill"
    by_model = dict.fromkeys(("tuned", "good"), "")
    for line in (later / "leaderboard.csv").read_text().splitlines()[1:]:
        by_model[line.split(",")[0]] += line
    assert mark in by_model["tuned"]
    assert mark not in by_model["good"]
    report = (later / "report.md").read_text()
    assert mark in report
    assert "tuned was trained on 2 of 3 items of drill" in report
    assert "items of exam" not in report
    assert "guard: 1 rows kept out, 0 let in, against exam (2 items)" in report
    shown = json.loads((later / "summary.json").read_text())
    assert shown["models"][0]["origin"].startswith(f"dpo of hf/{tiny_checkpoint('')} on 2 rows of {data}; guard: 1 ")
    assert [model["contaminated"] for model in shown["models"]] == [{"drill": [2, 3]}, {}]
    assert mark in (later / "report.html").read_text()


def test_a_judge_trained_on_what_it_judges_is_named_in_the_report_and_on_its_card(
    judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = {"training": {"stage": "sft", "contamination": {"trained_on": {"drill": ["q0", "q2"]}, "let_in": []}}}
    describe = ScriptedBackend.describe
    monkeypatch.setattr(
        ScriptedBackend, "describe",
        lambda self: {**describe(self), **(trained if self.model.name == "own" else {})},
    )  # fmt: skip
    capsys.readouterr()
    assert main(["judge", str(judged), "--judge", f"own=scripted/{tmp_path}/m.py:prefers", "--rubric",
                 "pairwise-mtbench", "--quiet"]) == 0  # fmt: skip
    assert main(["rate", str(judged)]) == 0
    assert main(["report", str(judged), "--quiet"]) == 0
    line = "judge own was trained on 2 of 3 items of drill: its verdicts there are not of unseen questions"
    assert line in " ".join(capsys.readouterr().out.split())
    shown = json.loads((judged / "summary.json").read_text())
    assert {judge["name"]: judge["contaminated"] for judge in shown["judges"]} == {"j": {}, "own": {"drill": [2, 3]}}
    assert line in shown["warnings"]
    for name in ("report.md", "report.html"):
        text = (judged / name).read_text()
        assert line in text
        assert "contaminated: trained on 2 of 3 items of drill" in text
    assert main(["meta-eval", str(judged), "--against", "j", "--judge", "own"]) == 0
    assert line in " ".join(capsys.readouterr().out.split())
    assert line in (judged / "judge-card.md").read_text()
    [card] = json.loads((judged / "judge-card.json").read_text())
    assert card["notes"] == [line]


def test_a_data_file_that_was_changed_is_not_what_its_manifest_says(judged: Path, tmp_path: Path) -> None:
    data = tmp_path / "p.jsonl"
    main(["pairs", str(judged), "--train-suite", "drill", "--out", str(data), "--quiet"])
    data.write_text(data.read_text() + data.read_text())
    with pytest.raises(UserError, match="is not as it was written"):
        dpo(judged, data, "x")
