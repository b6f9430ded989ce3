"""The whole way, from suites to report, with scripted models: what is asked, what is kept, what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

import judgebench
from judgebench.backends.scripted import ScriptedBackend
from judgebench.errors import RunConflict, TooManyUnscored, UserError
from judgebench.runs import Run
from judgebench.types import Item, Message, Model, Reply

CLOSED = """name: sums
license: Apache-2.0
prompt: "Q: {question}\\nA:"
scorer: number
items:
  - {id: "1", question: 1+1, reference: "2", category: easy}
  - {id: "2", question: 2+2, reference: "4", category: easy}
  - {id: "3", question: 30+12, reference: "42", category: hard}
"""
CHAT = """name: talk
license: Apache-2.0
items:
  - {id: "1", turns: [Hello, Shorter], reference: [Good day, Hi], category: greeting}
  - {id: "2", turns: [Name a fruit, Another], reference: [Apple, Pear], category: food}
"""
THREE = """name: three
mode: pairwise
dimensions: {help: does it help, truth: is it true, style: is it well put}
ask: each
prompt: "{dimensions} {question} <{answer_a}> <{answer_b}> {format}"
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name, text in {"sums.yaml": CLOSED, "talk.yaml": CHAT, "three.yaml": THREE}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    paths = {name: str(tmp_path / f"{name}.yaml") for name in ("sums", "talk", "three")}
    return {**paths, "run": str(tmp_path / "runs" / "r")}


def right(chat: list[dict[str, str]]) -> str:
    last = chat[-1]["content"]
    return str(eval(last[3:-3])) if last.startswith("Q: ") else f"good {len(chat)}"


def wrong(chat: list[dict[str, str]]) -> str:
    return "I do not know" if chat[-1]["content"].startswith("Q: ") else f"bad {len(chat)}"


def headline(results: judgebench.Results) -> list[dict[str, Any]]:
    """The accuracy rows of the suites' own rules."""
    return [row for row in results.summary["accuracy"] if row["dimension"] == "accuracy"]


def by_key(frame: Any, method: str, dimension: str = "overall") -> dict[str, float]:
    rows = frame[(frame.method == method) & (frame.dimension == dimension)]
    return dict(zip(rows.model, rows.value, strict=True))


def test_exact_scores_judged_pairs_and_ratings_come_out_of_one_call(files: dict[str, str]) -> None:
    judge = ScriptedBackend.of(lambda chat: "[[A]]" if _good_first(chat[-1]["content"]) else "[[B]]")
    results = judgebench.run(
        files["run"], suite=[files["sums"], files["talk"]], model={"right": right, "wrong": wrong},
        judge={"j": judge}, rubric=[files["three"]],
    )  # fmt: skip
    assert by_key(results.ratings, "accuracy", "accuracy") == {"right": 1.0, "wrong": 0.0}
    row = next(row for row in headline(results) if row["model"] == "wrong")
    assert (row["planned"], row["n"], row["unextracted"], row["accuracy_read"]) == (3, 3, 3, None)
    assert len(judge.asked) == 2 * 2 * 2 * 3  # items × turns × orders × dimensions
    for dimension in ("help", "truth", "style", "overall"):
        assert by_key(results.ratings, "win-rate", dimension) == {"right": 1.0, "wrong": 0.0}
    overall = results.ratings[(results.ratings.dimension == "overall") & (results.ratings.method == "win-rate")]
    assert "mean of the dimensions" in overall.note.iloc[0]
    assert set(results.games.dimension) == {"help", "truth", "style", "overall"}
    assert {(row["scored"], row["planned"]) for row in results.summary["verdicts"]} == {(8, 8)}
    for name in ("manifest.json", "config.yaml", "ratings.jsonl", "summary.json", "leaderboard.csv", "report.html",
                 "report.md"):  # fmt: skip
        assert (results.path / name).stat().st_size > 0, name


def _good_first(text: str) -> bool:
    good, bad = text.find("good "), text.find("bad ")
    return good < bad


def test_a_second_run_asks_nobody_anything(files: dict[str, str]) -> None:
    arguments = {"suite": [files["sums"], files["talk"]], "rubric": [files["three"]]}
    for expected in ((3 + 4, 24), (0, 0)):
        model, judge = ScriptedBackend.of(right), ScriptedBackend.of(lambda _: "[[A]]")
        judgebench.run(files["run"], model={"a": model, "b": wrong}, judge={"j": judge}, **arguments)
        assert (len(model.asked), len(judge.asked)) == expected


def test_a_judge_that_always_picks_the_first_gives_ties_and_a_bias_of_one_half(files: dict[str, str]) -> None:
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"j": lambda _: "[[A]]"},
        rubric=["pairwise-mtbench"],
    )  # fmt: skip
    assert by_key(results.ratings, "win-rate") == {"a": 0.5, "b": 0.5}
    assert results.summary["bias"][0]["position_bias"] == 0.5
    assert results.summary["bias"][0]["consistency"] == 0.0


def test_the_second_turn_is_asked_with_the_first_reply_before_it(files: dict[str, str]) -> None:
    model = ScriptedBackend.of(right)
    judgebench.run(files["run"], suite=[files["talk"]], model={"m": model})
    chats = [[(m.role, m.content) for m in request.messages] for request in model.asked if request.turn == 2]
    assert [("user", "Hello"), ("assistant", "good 1"), ("user", "Shorter")] in chats


def test_unreadable_verdicts_enter_no_mean_and_are_counted_and_not_asked_again(files: dict[str, str]) -> None:
    def half(chat: list[dict[str, str]]) -> str:
        return "no idea" if "Hello" in chat[-1]["content"] else "[[C]]"

    judge = ScriptedBackend.of(half)
    arguments: dict[str, Any] = {"suite": [files["talk"]], "rubric": ["pairwise-mtbench"]}
    with pytest.raises(TooManyUnscored, match=r"4 of 8 unscored \(unreadable: no verdict\).*asks none of these again"):
        judgebench.run(files["run"], model={"a": right, "b": wrong}, judge={"j": judge}, **arguments)
    summary = judgebench.load(files["run"]).summary
    (row,) = summary["verdicts"]
    assert (row["planned"], row["scored"], row["unscored"]) == (8, 4, 4)
    assert row["reasons"] == {"unreadable: no verdict": 4}
    (pair,) = summary["pairs"]
    assert (pair["n"], pair["ties"], pair["left_out"]) == (2, 2, 2)
    assert len(judge.asked) == 8
    with pytest.raises(TooManyUnscored):
        judgebench.run(files["run"], model={"a": right, "b": wrong}, judge={"j": judge}, **arguments)
    assert len(judge.asked) == 8
    relaxed = judgebench.Settings(max_unscored=0.6)
    judgebench.run(files["run"], model={"a": right, "b": wrong}, judge={"j": judge}, settings=relaxed, **arguments)


def test_a_failed_call_is_no_zero_and_is_asked_again_next_time(files: dict[str, str]) -> None:
    broken = True

    def flaky(chat: list[dict[str, str]]) -> str | Reply:
        if broken and "2+2" in chat[-1]["content"]:
            return Reply(finish="error", error="http: 500")
        return right(chat)

    model = ScriptedBackend.of(flaky)
    with pytest.raises(TooManyUnscored, match=r"1 of 3 unscored \(no answer: http 500\)"):
        judgebench.run(files["run"], suite=[files["sums"]], model={"m": model})
    (row,) = headline(judgebench.load(files["run"]))
    assert (row["value"], row["n"], row["planned"], row["unscored"]) == (1.0, 2, 3, 1)
    broken = False
    results = judgebench.run(files["run"], suite=[files["sums"]], model={"m": model})
    (row,) = headline(results)
    assert (row["value"], row["n"], row["unscored"]) == (1.0, 3, 0)
    assert Counter(request.item for request in model.asked) == {"1": 1, "2": 2, "3": 1}


def test_an_answer_with_one_of_two_turns_goes_on_with_the_second(files: dict[str, str]) -> None:
    run = Path(files["run"])
    broken = True

    def second_fails(chat: list[dict[str, str]]) -> str | Reply:
        return Reply(finish="error", error="timeout: 1 s") if broken and len(chat) > 1 else right(chat)

    model = ScriptedBackend.of(second_fails)
    judgebench.run(run, suite=[files["talk"]], model={"m": model})
    assert [(a.turns, bool(a.error)) for a in Run(run).answers().values()] == [(("good 1",), True)] * 2
    broken = False
    judgebench.run(run, suite=[files["talk"]], model={"m": model})
    assert [a.turns for a in Run(run).answers().values()] == [("good 1", "good 3")] * 2
    assert Counter(request.turn for request in model.asked) == {1: 2, 2: 4}


def test_limit_grows_and_takes_categories_in_turn(files: dict[str, str]) -> None:
    model = ScriptedBackend.of(right)
    limited = judgebench.Settings(limit=2)
    results = judgebench.run(files["run"], suite=[files["sums"]], model={"m": model}, settings=limited)
    assert {request.item for request in model.asked} == {"1", "3"}
    assert results.summary["suites"][0]["items"] == 2
    assert results.summary["suites"][0]["available"] == 3
    judgebench.run(files["run"], suite=[files["sums"]], model={"m": model})
    assert [request.item for request in model.asked][2:] == ["2"]


def test_a_changed_prompt_is_refused_for_that_suite_alone(files: dict[str, str]) -> None:
    judgebench.run(files["run"], suite=[files["sums"], files["talk"]], model={"m": right})
    path = Path(files["sums"])
    path.write_text(CLOSED.replace("Q: {question}", "Please: {question}"), encoding="utf-8")
    model = ScriptedBackend.of(right)
    with pytest.raises(RunConflict, match=r"sums \| m: suite prompt was .* and is now"):
        judgebench.run(files["run"], suite=[files["sums"]], model={"m": model})
    judgebench.run(files["run"], suite=[files["talk"]], model={"m": model, "n": model})
    assert {request.suite for request in model.asked} == {"talk"}


def test_a_changed_rubric_is_refused_until_its_verdicts_are_deleted_and_then_asked_anew(files: dict[str, str]) -> None:
    judge = ScriptedBackend.of(lambda _: "[[A]]")
    arguments: dict[str, Any] = {"suite": [files["talk"]], "model": {"a": right, "b": wrong}, "judge": {"j": judge}}
    judgebench.run(files["run"], rubric=[files["three"]], **arguments)
    Path(files["three"]).write_text(THREE.replace("does it help", "is it of use"), encoding="utf-8")
    with pytest.raises(RunConflict, match="delete its file under verdicts/ to have it redone"):
        judgebench.run(files["run"], rubric=[files["three"]], **arguments)
    (Path(files["run"]) / "verdicts" / "j+three.jsonl").unlink()
    results = judgebench.run(files["run"], rubric=[files["three"]], **arguments)
    assert len(judge.asked) == 48
    assert {(row["planned"], row["scored"]) for row in results.summary["verdicts"]} == {(8, 8)}
    assert len({row["rubric"] for row in results.summary["verdicts"]}) == 1


def test_a_model_redone_is_scored_and_judged_anew(files: dict[str, str]) -> None:
    judge = ScriptedBackend.of(lambda chat: "[[A]]" if _good_first(chat[-1]["content"]) else "[[B]]")
    arguments: dict[str, Any] = {
        "suite": [files["sums"], files["talk"]], "judge": {"j": judge}, "rubric": ["pairwise-mtbench"],
    }  # fmt: skip
    first = judgebench.run(files["run"], model={"a": right, "b": wrong}, **arguments)
    assert by_key(first.ratings, "win-rate") == {"a": 1.0, "b": 0.0}
    for name in ("a", "b"):
        (first.path / "answers" / f"{name}.jsonl").unlink()
    from judgebench.stages.rate import rate

    bare = rate(Run(first.path), judgebench.Settings())
    assert bare["pairs"] == []
    assert any("verdicts are on answers that were redone or deleted" in line for line in bare["warnings"])
    again = judgebench.run(files["run"], model={"a": wrong, "b": right}, **arguments)
    assert by_key(again.ratings, "win-rate") == {"a": 0.0, "b": 1.0}
    assert by_key(again.ratings, "accuracy", "accuracy") == {"a": 0.0, "b": 1.0}
    assert len(judge.asked) == 16
    assert len(again.verdicts[again.verdicts.judge == "j"]) == 8


def test_a_model_and_a_judge_of_one_name_are_two(files: dict[str, str]) -> None:
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"a": lambda _: "[[A]]"},
        rubric=["pairwise-mtbench"],
    )  # fmt: skip
    assert not results.answers.turns.map(lambda turns: "[[A]]" in turns).any()
    assert set(results.verdicts.reply) == {"[[A]]"}


def test_a_refused_command_leaves_the_run_as_it_was(files: dict[str, str]) -> None:
    model = ScriptedBackend.of(right)
    results = judgebench.run(files["run"], suite=[files["sums"]], model={"m": model})
    before = {path: path.read_bytes() for path in results.path.rglob("*") if path.is_file() and "lock" not in path.name}
    asked = len(model.asked)
    refused: list[dict[str, Any]] = [
        {"model": {"m": model}, "settings": judgebench.Settings(temperature=0.5)},
        {"model": {"n": "openai/x"}, "settings": judgebench.Settings(option={"n.temprature": "1"})},
        {"model": {"m": model, "n": "openai/x"},
         "settings": judgebench.Settings(option={"n.base_url": "http://user:hunter2@127.0.0.1:9/v1"})},
        {"model": {"m": model, "n": "replay/none.jsonl"}},
    ]  # fmt: skip
    for change in refused:
        with pytest.raises(UserError):
            judgebench.run(files["run"], suite=[files["sums"]], **change)
    after = {path: path.read_bytes() for path in results.path.rglob("*") if path.is_file() and "lock" not in path.name}
    assert after == before
    assert len(model.asked) == asked
    judgebench.run(files["run"], suite=[files["sums"]], model={"m": model, "n": wrong})


def test_one_order_is_drawn_by_lot_rated_and_said(files: dict[str, str]) -> None:
    text = CHAT + "".join(f'  - {{id: "{i}", turns: [Q{i}], reference: [r]}}\n' for i in range(3, 43))
    Path(files["talk"]).write_text(text, encoding="utf-8")
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"j": lambda _: "[[A]]"},
        rubric=["pairwise-mtbench"], settings=judgebench.Settings(orders="one"),
    )  # fmt: skip
    assert len(results.verdicts) == 44
    assert 0.2 < by_key(results.ratings, "win-rate")["a"] < 0.8
    assert any("shown in one order" in line for line in results.summary["warnings"])
    (comparison,) = judgebench.compare(files["run"], "a", "b")
    assert comparison.n == 44
    from judgebench.stages.rate import rate

    assert len(rate(Run(results.path), judgebench.Settings())["pairs"]) == 1


def test_frame_comparison_and_summary_use_the_policy_last_rated_with(files: dict[str, str]) -> None:
    def sometimes(chat: list[dict[str, str]]) -> str:
        return "[[C]]" if chat[-1]["content"].find("good") < chat[-1]["content"].find("bad") else "[[B]]"

    judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"j": sometimes},
        rubric=["pairwise-mtbench"],
    )  # fmt: skip
    from judgebench.stages.rate import rate

    for policy, value in (("tie", 0.5), ("half", 0.75)):
        summary = rate(Run(Path(files["run"])), judgebench.Settings(swap_policy=policy))  # type: ignore[arg-type]
        assert summary["pairs"][0]["win_rate"] == value
        assert judgebench.load(files["run"]).games.score.mean() == value
        assert judgebench.compare(files["run"], "a", "b")[0].value == value


def test_a_dimension_lost_for_an_item_leaves_its_overall_out_and_counts_it(files: dict[str, str]) -> None:
    def no_truth(chat: list[dict[str, str]]) -> str:
        lost = "is it true" in chat[-1]["content"] and "Name a fruit" in chat[-1]["content"]
        return "well" if lost else "[[A]]"

    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"j": no_truth},
        rubric=[files["three"]], settings=judgebench.Settings(max_unscored=1.0),
    )  # fmt: skip
    pairs = {row["dimension"]: (row["n"], row["left_out"]) for row in results.summary["pairs"]}
    assert pairs == {"help": (4, 0), "style": (4, 0), "truth": (2, 2), "overall": (2, 2)}


def test_a_dimension_lost_altogether_leaves_no_overall(files: dict[str, str]) -> None:
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong},
        judge={"j": lambda chat: "well" if "is it true" in chat[-1]["content"] else "[[A]]"},
        rubric=[files["three"]], settings=judgebench.Settings(max_unscored=1.0),
    )  # fmt: skip
    assert {row["dimension"] for row in results.summary["pairs"]} == {"help", "style"}


def test_a_turn_without_a_reference_is_not_judged_by_it(files: dict[str, str]) -> None:
    Path(files["talk"]).write_text(CHAT.replace("[Apple, Pear]", "[Apple]"), encoding="utf-8")
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge=["baseline/overlap"],
        rubric=["pairwise-mtbench"],
    )  # fmt: skip
    assert len(results.verdicts) == 6
    assert any("1 items of talk lack a reference" in line for line in results.summary["warnings"])


def test_each_pair_is_judged_once_however_it_is_listed(files: dict[str, str]) -> None:
    judge = ScriptedBackend.of(lambda _: "[[C]]")
    settings = judgebench.Settings(pair=("a:b", "b:a", "llama3:8b:a"))
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong, "llama3:8b": right}, judge={"j": judge},
        rubric=["pairwise-mtbench"], settings=settings,
    )  # fmt: skip
    (row,) = results.summary["verdicts"]
    assert (len(judge.asked), row["planned"], row["scored"]) == (16, 16, 16)
    with pytest.raises(UserError, match="a model does not meet itself"):
        judgebench.run(
            files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"j": judge},
            rubric=["pairwise-mtbench"], settings=judgebench.Settings(pair=("a:a",)),
        )  # fmt: skip


def test_growing_a_run_judges_what_was_asked_of_both_and_only_what_is_named(files: dict[str, str]) -> None:
    judge = ScriptedBackend.of(lambda _: "[[C]]")
    arguments: dict[str, Any] = {"suite": [files["talk"]], "judge": {"j": judge}, "rubric": ["pairwise-mtbench"]}
    judgebench.run(
        files["run"], model={"a": right, "b": wrong}, settings=judgebench.Settings(limit=1), **arguments
    )  # fmt: skip
    assert len(judge.asked) == 4
    results = judgebench.run(files["run"], model={"c": right}, **arguments)
    assert len(judge.asked) == 4 + 8  # c meets a and b on the item that all were asked
    (row,) = results.summary["verdicts"]
    assert (row["planned"], row["scored"]) == (12, 12)
    judgebench.run(files["run"], model={"a": right, "b": wrong}, settings=judgebench.Settings(limit=1), **arguments)
    assert len(judge.asked) == 12


def test_generate_and_rate_without_score_say_what_is_missing(files: dict[str, str]) -> None:
    from judgebench.cli import main

    script = Path(files["sums"]).with_name("model.py")
    script.write_text("def answer(chat):\n    return '42'\n", encoding="utf-8")
    assert (
        main(["generate", files["run"], "--suite", files["sums"], "--model", f"m=scripted/{script}:answer", "--quiet"])
        == 0
    )
    with pytest.raises(TooManyUnscored, match="not scored yet"):
        main(["rate", files["run"], "--quiet"])
    (row,) = headline(judgebench.load(files["run"]))
    assert (row["planned"], row["unscored"], row["value"]) == (3, 3, None)


def test_judging_alone_ends_with_too_many_unscored_too(files: dict[str, str]) -> None:
    from judgebench.cli import main

    judgebench.run(files["run"], suite=[files["talk"]], model={"a": right, "b": wrong})
    script = Path(files["sums"]).with_name("model.py")
    script.write_text("def mumbles(chat):\n    return 'hm'\n", encoding="utf-8")
    words = ["--judge", f"j=scripted/{script}:mumbles", "--rubric", "pairwise-mtbench", "--quiet"]
    with pytest.raises(TooManyUnscored, match="8 of 8 unscored"):
        main(["judge", files["run"], *words])


def test_samples_at_temperature_zero_are_refused_and_of_one_suite_do_not_reach_another(files: dict[str, str]) -> None:
    with pytest.raises(UserError, match="every sample is the same"):
        judgebench.run(
            files["run"], suite=[files["sums"]], model={"a": right}, settings=judgebench.Settings(samples=2)
        )  # fmt: skip
    warm = judgebench.Settings(samples=3, temperature=1.0)
    judgebench.run(files["run"], suite=[files["sums"]], model={"a": right, "b": wrong}, settings=warm)
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge={"j": lambda _: "[[C]]"},
        rubric=["pairwise-mtbench"], settings=judgebench.Settings(temperature=1.0),
    )  # fmt: skip
    assert results.summary["verdicts"][0]["planned"] == 8


def test_what_is_wrong_is_said_before_anything_is_asked(files: dict[str, str]) -> None:
    model = ScriptedBackend.of(right)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("did you mean 'pairwise-mtbench'", {"judge": ["baseline/first"], "rubric": ["pairwise-mtbnch"]}),
        ("no judge is called 'baseline/frist'", {"judge": ["baseline/frist"], "rubric": ["pairwise-mtbench"]}),
        ("a judge needs a --rubric", {"judge": ["baseline/first"]}),
        ("a --rubric needs a --judge", {"rubric": ["pairwise-mtbench"]}),
        ("judges pairwise rubrics only", {"judge": ["baseline/first"], "rubric": ["pointwise-general"]}),
        ("no suite", {"suite": [files["talk"], "mmul"]}),
        ("is named twice", {"suite": [files["talk"], files["talk"]]}),
        ("--samples 0", {"settings": judgebench.Settings(samples=0)}),
        ("several samples at temperature 0", {"settings": judgebench.Settings(samples=2, temperature=0.0)}),
        ("no model, judge or backend of that name", {"settings": judgebench.Settings(option={"x.y": "1"})}),
        ("no backend is called 'hff'", {"model": ["hff/x"]}),
        ("a baseline judges, it does not answer", {"model": ["baseline/first"]}),
        ("two models are called 'x'", {"model": ["hf/a/x", "hf/b/x"]}),
        (
            "did you mean 'temperature'",
            {"model": {"a": model, "b": "openai/x"}, "settings": judgebench.Settings(option={"b.temprature": "1"})},
        ),
        (
            "did you mean 'timeout'",
            {
                "judge": ["openai/x"],
                "rubric": ["pairwise-mtbench"],
                "settings": judgebench.Settings(option={"x.timeuot": "1"}),
            },
        ),
        (
            "has no effect with --pairs all",
            {
                "judge": ["baseline/first"],
                "rubric": ["pairwise-mtbench"],
                "settings": judgebench.Settings(pairs="all", baseline="a"),
            },
        ),
        ("a baseline keeps its own name", {"judge": ["j=baseline/first"], "rubric": ["pairwise-mtbench"]}),
        (
            "no model, judge or backend",
            {
                "judge": ["baseline/first"],
                "rubric": ["pairwise-mtbench"],
                "settings": judgebench.Settings(option={"baseline.x": "1"}),
            },
        ),
        ("are given as a list", {"suite": "mini-math"}),
        ("a function needs a name in the run: {'right': …}", {"model": right}),
        ("'/' and '=' are not allowed", {"model": {"org/m": model}}),
    ]
    for says, change in cases:
        arguments = {"suite": [files["talk"]], "model": {"a": model, "b": model}, **change}
        with pytest.raises(UserError) as caught:
            judgebench.run(files["run"], **arguments)
        assert says in str(caught.value), (says, str(caught.value))
    assert model.asked == []


def test_code_is_refused_before_the_first_answer_is_paid_for(files: dict[str, str]) -> None:
    model = ScriptedBackend.of(right)
    with pytest.raises(UserError, match="--allow-code-execution"):
        judgebench.run(files["run"], suite=["mini-code"], model={"m": model})
    assert model.asked == []


def test_items_without_a_reference_are_left_out_aloud_where_the_judge_needs_one(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(files["talk"])
    path.write_text(CHAT.replace(", reference: [Apple, Pear]", ""), encoding="utf-8")
    results = judgebench.run(
        files["run"], suite=[str(path)], model={"a": lambda _: "Good day", "b": wrong}, judge=["baseline/overlap"],
        rubric=["pairwise-mtbench"], quiet=False,
    )  # fmt: skip
    assert "1 of 2 items of talk lack a reference" in capsys.readouterr().err
    assert results.summary["verdicts"][0]["planned"] == 4
    assert set(results.verdicts.item) == {"1"}
    assert by_key(results.ratings, "win-rate")["a"] > 0.5
    assert any("a baseline, no language model" in line for line in results.summary["warnings"])


@pytest.mark.parametrize("baseline", ["longest", "first", "random", "overlap"])
def test_every_baseline_gives_a_whole_run_for_nothing(files: dict[str, str], baseline: str) -> None:
    results = judgebench.run(
        files["run"], suite=[files["talk"]], model={"a": right, "b": wrong}, judge=[f"baseline/{baseline}"],
        rubric=["pairwise-general"],
    )  # fmt: skip
    assert set(results.verdicts.judge) == {f"baseline/{baseline}"}
    assert all(usage["requests"] == 0 for usage in results.verdicts.usage.map(msgspec.to_builtins))
    assert {row["scored"] for row in results.summary["verdicts"]} == {8}
    if baseline == "longest":
        assert by_key(results.ratings, "win-rate") == {"a": 1.0, "b": 0.0}
    if baseline == "first":
        assert results.summary["bias"][0]["position_bias"] == 0.5


def test_samples_are_answers_of_their_own_with_seeds_of_their_own(files: dict[str, str]) -> None:
    model = ScriptedBackend.of(right)
    settings = judgebench.Settings(samples=3, temperature=0.7, seed=5)
    results = judgebench.run(files["run"], suite=[files["sums"]], model={"m": model}, settings=settings)
    assert len({request.sampling.seed for request in model.asked}) == 9
    (row,) = headline(results)
    assert (row["n"], row["clusters"], row["planned"]) == (9, 3, 9)


def test_the_config_of_a_run_makes_the_same_run_again(files: dict[str, str]) -> None:
    from judgebench.cli import main

    script = Path(files["sums"]).with_name("model.py")
    script.write_text("def answer(chat):\n    return '42'\n", encoding="utf-8")
    spec = f"m=scripted/{script}:answer"
    assert main(["run", files["run"], "--suite", files["sums"], "--model", spec, "--seed", "7", "--quiet"]) == 0
    again = files["run"] + "2"
    assert main(["run", again, "--config", f"{files['run']}/config.yaml", "--quiet"]) == 0
    first, second = (judgebench.load(path) for path in (files["run"], again))
    assert first.ratings.equals(second.ratings)
    assert (first.path / "config.yaml").read_text() == (second.path / "config.yaml").read_text()
    assert [json.loads(line)["item"] for line in (second.path / "answers/m.jsonl").read_text().splitlines()]


def test_compare_pairs_the_items_and_says_how_many_more_are_needed(files: dict[str, str]) -> None:
    def two_of_three(chat: list[dict[str, str]]) -> str:
        return "0" if "30" in chat[-1]["content"] else right(chat)

    judgebench.run(
        files["run"], suite=[files["sums"], files["talk"]], model={"a": right, "b": two_of_three},
        judge={"j": lambda _: "[[C]]"}, rubric=["pairwise-mtbench"],
    )  # fmt: skip
    exact, judged = [c for c in judgebench.compare(files["run"], "a", "b") if c.dimension != "accuracy_strict"]
    assert (exact.method, exact.n, round(exact.value or 0, 6)) == ("paired difference", 3, 0.333333)
    assert exact.paired is not None
    assert exact.paired.items_needed is not None
    assert (judged.method, judged.value, judged.n) == ("win rate", 0.5, 4)
    with pytest.raises(UserError, match="no model is called 'c'"):
        judgebench.compare(files["run"], "a", "c")


def test_models_that_were_not_asked_alike_are_not_compared(files: dict[str, str]) -> None:
    judgebench.run(files["run"], suite=[files["sums"]], model={"a": right})
    warm = judgebench.Settings(temperature=0.9)
    other = judgebench.run(files["run"] + "x", suite=[files["sums"]], model={"b": wrong}, settings=warm)
    with pytest.raises(RunConflict, match="sums: temperature differ"):
        judgebench.compare([files["run"], other.path], "a", "b")
    found = judgebench.compare([files["run"], other.path], "a", "b", allow_unlike=True)[0]
    assert "temperature" in found.note


def test_a_judge_of_several_steps_needs_nothing_from_the_stage(files: dict[str, str]) -> None:
    """A panel of questions: the judge asks, hears, asks again, and only then decides."""
    from judgebench.rubrics import load_rubric
    from judgebench.stages import judging as stage
    from judgebench.stages.settings import Settings
    from judgebench.types import Matchup, Reading, Request

    class TwoSteps:
        name, rubric, mode = "j", load_rubric("pairwise-mtbench").id, "pairwise"

        def deliberate(self, matchup: Matchup) -> Any:
            def say(text: str) -> Request:
                return Request(id="", messages=(Message(role="user", content=text),), sampling=matchup.sampling)

            facts = yield [say(f"one {a.model}") for a in matchup.shown]
            (last,) = yield [say("|".join(reply.text for reply in facts))]
            return {"overall": Reading(scores=(1.0, 0.0), reply=last.text, kind="preference")}

    judgebench.run(files["run"], suite=[files["talk"]], model={"a": right, "b": wrong})
    backend = ScriptedBackend.of(lambda chat: chat[-1]["content"].upper())
    original = stage.make_judge
    stage.make_judge = lambda model, rubric: TwoSteps()  # type: ignore[assignment, return-value]
    try:
        stage.judge(
            Run(Path(files["run"])), [Model(name="j", backend="scripted", id="x")], [load_rubric("pairwise-mtbench")],
            Settings(), {("judge", "j"): backend}, quiet=True,
        )  # fmt: skip
    finally:
        stage.make_judge = original
    verdicts = [v for v in Run(Path(files["run"])).verdicts().values() if v.judge == "j"]
    assert len(verdicts) == 8
    assert {v.reply for v in verdicts} == {"ONE A|ONE B", "ONE B|ONE A"}
    assert len(backend.asked) == 24


def test_the_run_holds_what_judging_needs_without_the_benchmarks_files(files: dict[str, str]) -> None:
    judgebench.run(files["run"], suite=[files["talk"]], model={"a": right, "b": wrong})
    Path(files["talk"]).unlink()
    results = judgebench.judge(files["run"], judge={"j": lambda _: "[[B]]"}, rubric=["pairwise-mtbench"])
    assert len(results.verdicts) == 8
    assert isinstance(Run(Path(files["run"])).items("talk")["1"], Item)


@pytest.mark.filterwarnings("error")
def test_it_runs_inside_a_running_event_loop(files: dict[str, str]) -> None:
    import asyncio

    async def cell() -> Any:
        return judgebench.run(files["run"], suite=[files["sums"]], model={"a": right})

    assert len(asyncio.run(cell()).answers) == 3
