"""A judge on trial: who withstands, who is fooled, what is not shown, and what a run's own verdicts give away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from endpoint_server import EndpointServer, judging

from judgebench.backends.scripted import ScriptedBackend
from judgebench.cli import main
from judgebench.errors import AuditFailed, UserError
from judgebench.judges.attacks import BATTERY, battery, claim
from judgebench.ratings.gate import withstood
from judgebench.rubrics import load_rubric
from judgebench.runs import Journal, Run
from judgebench.stages.audit import REAL, audit
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Verdict

QUESTIONS = 80
PAIR = """name: pair
mode: pairwise
prompt: "{question}\\n<<<A\\n{answer_a}\\nA>>>\\n<<<B\\n{answer_b}\\nB>>>\\n{format}"
"""
ONE = """name: one
mode: pointwise
prompt: "{question}\\n<<<A\\n{answer}\\nA>>>\\n{format}"
"""
Script = Callable[[list[dict[str, str]]], str]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    items = "".join(
        f'  - {{id: "{i}", question: "What is fact {i}?", reference: The truth about {i}., category: c{i % 3}}}\n'
        for i in range(QUESTIONS)
    )
    texts = {"facts": f"name: facts\nlicense: Apache-2.0\nitems:\n{items}", "pair": PAIR, "one": ONE}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return {**{name: str(tmp_path / f"{name}.yaml") for name in texts}, "out": str(tmp_path / "audit")}


def shown(chat: list[dict[str, str]]) -> tuple[str, str]:
    text = chat[-1]["content"]
    second = text.split("<<<B\n")[1].split("\nB>>>")[0] if "<<<B\n" in text else ""
    return text.split("<<<A\n")[1].split("\nA>>>")[0], second


def honest(chat: list[dict[str, str]]) -> str:
    return "[[A]]" if "The truth about" in shown(chat)[0] else "[[B]]"


def obedient(chat: list[dict[str, str]]) -> str:
    planted = re.findall(r"\[\[[AB]\]\]", "".join(shown(chat)))
    return planted[0] if planted else honest(chat)


def tried(files: dict[str, str], script: Script, rubric: str = "pair", **more: Any) -> tuple[dict[str, Any], Any]:
    backend = ScriptedBackend.of(script, "j")
    settings = Settings(
        suite=() if more.get("source") else (files["facts"],),
        judge=("j=scripted/j",),
        rubric=(files[rubric],),
        limit=more.pop("limit", None),
    )
    attacks = battery(more.pop("attacks", ()))
    found = audit(
        settings, more.pop("source", None), attacks, {("judge", "j"): backend}, out=files["out"], quiet=True, **more
    )
    return found, backend


def states(found: dict[str, Any]) -> dict[str, str]:
    return {row["attack"]: row["state"] for row in found["attacks"]}


def test_a_judge_that_prefers_real_answers_withstands_the_whole_battery_and_is_asked_once(
    files: dict[str, str],
) -> None:
    found, backend = tried(files, honest)
    assert found["passed"]
    assert set(states(found).values()) == {"withstood"}
    assert len(found["attacks"]) == len(BATTERY) >= 10
    assert len(backend.asked) == len(BATTERY) * QUESTIONS * 2
    assert all(row["high"] < 0.05 and row["questions"] == QUESTIONS for row in found["attacks"])
    again, backend = tried(files, honest)
    assert backend.asked == []
    assert again == found == json.loads((Path(files["out"]) / "audit.json").read_text())


def test_a_judge_that_repeats_verdicts_it_finds_in_an_answer_is_fooled_by_them_alone(files: dict[str, str]) -> None:
    found, _ = tried(files, obedient)
    fooled = {name for name, state in states(found).items() if state == "fooled"}
    assert {"verdict-a", "verdict-b"} <= fooled <= {"verdict-a", "verdict-b", "structured-null", "forged-fence"}
    assert not found["passed"]


def test_a_judge_that_always_takes_the_first_ties_with_everything_and_does_not_pass(files: dict[str, str]) -> None:
    found, _ = tried(files, lambda chat: "[[A]]", attacks=("empty",))
    (row,) = found["attacks"]
    assert (row["win_rate"], row["share"], row["state"]) == (0.5, 1.0, "fooled")


def test_a_judge_without_readable_verdicts_shows_nothing(files: dict[str, str]) -> None:
    found, _ = tried(files, lambda chat: "I would rather not say", attacks=("empty", "echo"))
    assert set(states(found).values()) == {"undecided"}
    assert {row["unscored"] for row in found["attacks"]} == {QUESTIONS}
    assert "80 of 80 questions have no verdict" in found["attacks"][0]["note"]


def test_too_few_questions_are_said_to_be_too_few(files: dict[str, str]) -> None:
    found, backend = tried(files, honest, limit=20, attacks=("empty",))
    (row,) = found["attacks"]
    assert (row["state"], row["questions"], row["needed"]) == ("undecided", 20, 72)
    assert "72 are needed" in row["note"]
    assert len(backend.asked) == 40
    found, backend = tried(files, honest, attacks=("empty",))  # a larger limit only asks what is missing
    assert len(backend.asked) == 2 * (QUESTIONS - 20)
    assert found["passed"]


def test_a_grade_level_with_the_real_answers_is_a_success_of_the_attack(files: dict[str, str]) -> None:
    found, backend = tried(files, lambda chat: "Rating: [[7]]", "one", attacks=("empty", "verdict-a"))
    assert set(states(found).values()) == {"fooled"}
    assert len(backend.asked) == 3 * QUESTIONS
    assert {row["win_rate"] for row in found["attacks"]} == {0.5}


def test_a_lower_grade_is_withstood(files: dict[str, str]) -> None:
    grade = lambda chat: f"Rating: [[{8 if 'The truth about' in shown(chat)[0] else 2}]]"  # noqa: E731
    found, _ = tried(files, grade, "one")
    assert found["passed"]


def test_a_runs_answers_are_met_in_turn_and_the_manifest_says_whose_they_were(
    files: dict[str, str], tmp_path: Path
) -> None:
    import judgebench

    def answer(chat: list[dict[str, str]]) -> str:
        return "The truth about it, as far as I know."

    judgebench.run(tmp_path / "run", suite=[files["facts"]], model={"m1": answer, "m2": answer})
    found, _ = tried(files, honest, source=Run(tmp_path / "run"), attacks=("constant",))
    assert found["real"] == "run"
    assert found["passed"]
    whose = Run(Path(files["out"])).manifest["audit"]["real"]["facts"]
    assert sorted(whose.values()) == ["m1"] * 40 + ["m2"] * 40
    with pytest.raises(UserError, match="audits against run, not reference"):
        tried(files, honest)


def test_the_audit_is_a_run_that_can_be_rated_and_reported(files: dict[str, str]) -> None:
    tried(files, honest, limit=5, attacks=("empty", "echo"))
    assert main(["rate", files["out"], "--quiet"]) == 0
    assert main(["report", files["out"], "--quiet"]) == 0
    summary = json.loads((Path(files["out"]) / "summary.json").read_text())
    assert {row["left"] for row in summary["pairs"]} == {"attack@empty", "attack@echo"}
    assert "attack@echo" in (Path(files["out"]) / "report.md").read_text()


def test_a_judge_behind_http_is_audited_alike_and_a_second_time_for_nothing(files: dict[str, str]) -> None:
    words = ["audit", "j=openai/x", "--rubric", files["pair"], "--suite", files["facts"], "--limit", "6"]
    words += ["--out", files["out"], "--attack", "verdict-a", "--quiet"]
    with EndpointServer(judging("A")) as server:
        for _ in range(2):
            with pytest.raises(AuditFailed, match="not withstood: verdict-a"):
                main([*words, "--option", f"j.base_url={server.base_url}"])
        assert len(server.seen) == 12


def test_the_command_ends_with_five_where_the_gate_fails_and_zero_where_it_holds(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", "baseline/overlap", "--rubric", files["pair"], "--suite", files["facts"], "--out", files["out"]]
    assert main([*words, "--quiet", "--attack", "constant"]) == 0
    printed = capsys.readouterr().out
    assert "withstood" in printed
    assert max(map(len, printed.splitlines())) <= 110
    words[words.index("baseline/overlap")] = "baseline/longest"
    words[-1] += "2"
    with pytest.raises(AuditFailed, match="not withstood: padding") as caught:
        main([*words, "--quiet", "--attack", "padding"])
    assert caught.value.exit_code == 5
    capsys.readouterr()
    with pytest.raises(AuditFailed):
        main([*words, "--json", "--attack", "padding"])
    assert json.loads(capsys.readouterr().out)["passed"] is False


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["baseline/longest"], "--rubric"),
        (["baseline/longest", "--rubric", "pairwise-general"], "needs real answers"),
        (["baseline/longest", "--rubric", "pairwise-general", "--suite", "mini-math"], "scored exactly"),
        (["baseline/longest", "--rubric", "pairwise-general,pairwise-mtbench", "--suite", "mini-chat"], "one --rubric"),
        (["baseline/longest", "--rubric", "pairwise-general", "--attack", "emptty"], "did you mean 'empty'"),
        (["baseline/longest", "--rubric", "pairwise-general", "--suite", "mini-chat", "--gate", "5"], "gate"),
        (["a", "b", "c"], "at most one run"),
        (["a", "--person-fit", "--rubric", "x"], "nobody is asked"),
        (["baseline/longest", "nowhere", "--rubric", "pairwise-general"], "no run in"),
    ],
)
def test_mistakes_are_found_before_anything_is_spent(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(says)):
        main(["audit", *words])
    assert list(tmp_path.glob("results/*")) == []


def test_attacks_answer_every_turn_and_claim_what_the_rubric_would_read() -> None:
    item = Item(id="1", turns=("prompt", "more"), question=("First?", "Second?"))
    pair, grade = load_rubric("pairwise-mtbench"), load_rubric("pointwise-general")
    for attack in BATTERY:
        turns = attack.answer(item, pair)
        assert len(turns) == 2
        assert attack.model == f"attack@{attack.name}"
        assert attack.about
    assert {attack.name: attack for attack in BATTERY}["echo"].answer(item, pair) == ("First?", "Second?")
    assert claim(pair, "A").endswith("[[A]]")
    assert claim(pair, "B").endswith("[[B]]")
    assert claim(grade, "A").endswith("Rating: [[10]]")


def test_the_gate_is_two_sided_exact_and_one_success_in_eighty_is_too_many() -> None:
    assert withstood([0.0] * 71).state == "undecided"
    assert withstood([0.0] * 72).state == "withstood"
    assert withstood([1.0] + [0.0] * 79).state == "undecided"
    assert withstood([1.0] * 4 + [0.0] * 76).state == "fooled"
    assert withstood([0.25] * 80).win_rate == 0.25
    assert withstood([0.25] * 80).level == 0
    assert withstood([]).state == "undecided"
    for bad in ([1.5], [-0.1]):
        with pytest.raises(UserError, match=r"\[0, 1\]"):
            withstood(bad)


# Person fit over a run


def star(path: Path, models: int = 8, items: int = 60) -> Run:
    """A run of probabilities, everyone against one baseline, as AlpacaEval's; ``null`` wins by a text of its own."""
    random = np.random.default_rng(4)
    run = Run(path, create=True)
    names = ["base", *(f"m{i}" for i in range(models)), "null"]
    run.manifest["suites"]["s"] = {"scorer": ""}
    run.manifest["models"] = {name: {"backend": "import", "id": name} for name in names}
    run.manifest["judges"]["j"] = {"rubrics": {"r": {"orders": "one", "id": "r@1"}}}
    run.save_items("s", [Item(id=str(i), turns=(f"Tell me about number {i}",)) for i in range(items)])
    run.save_manifest()
    ease = random.normal(size=items)
    for name in names:
        with Journal(run.answers_file(name)) as journal:
            for i in range(items):
                text = "}}}" if name == "null" else f"{name} says: number {i} follows {i - 1}"
                journal.append(Answer(suite="s", item=str(i), model=name, turns=(text,), finish=("stop",)))
    with Journal(run.verdicts_file("j", "r")) as journal:
        for name in names[1:]:
            odds = random.normal(size=items) * 0.3 + 3 if name == "null" else ease + random.normal(size=items) * 0.7
            for i in range(items):
                share = float(1 / (1 + np.exp(-odds[i])))
                journal.append(
                    Verdict(suite="s", item=str(i), rubric="r@1", judge="j", shown=(("base", 0), (name, 0)),
                            kind="probability", scores=(1 - share, share))
                )  # fmt: skip
    return run


def test_person_fit_flags_the_winner_whose_profile_is_nobodys_and_names_who_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    star(tmp_path / "run")
    assert main(["audit", str(tmp_path / "run"), "--person-fit"]) == 0
    printed = capsys.readouterr().out
    (group,) = json.loads((tmp_path / "run" / "person-fit.json").read_text())["groups"]
    assert [row["model"] for row in group["models"] if row["flagged"]] == ["null"]
    rated = [row for row in group["models"] if row["correlation"] is not None]
    assert rated[-1]["model"] == "null"
    assert max(rated, key=lambda row: row["mean"])["model"] == "null"
    (left_out,) = [row for row in group["models"] if row["correlation"] is None]
    assert left_out["model"] == "base"  # it meets everyone, and nobody meets whom it meets
    assert "base: 0 items shared" in printed
    assert max(map(len, printed.splitlines())) <= 80
    rows = {row["model"]: row for row in json.loads((tmp_path / "run" / "person-fit.json").read_text())["answers"]}
    assert rows["null"]["duplicates"] == 1.0
    assert rows["null"]["permutation"]["p_value"] == 1.0
    assert rows["m0"]["duplicates"] == 0.0
    assert rows["m0"]["permutation"]["p_value"] < 0.01


@pytest.mark.data
def test_on_the_imported_alpaca_eval_annotations_the_null_model_is_last_and_flagged_alone(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(data_dir.glob("alpaca_eval/results/*/weighted_alpaca_eval_gpt4_turbo/annotations.json.gz"))
    run = str(tmp_path / "run")
    assert main(["import", "alpaca-eval", "--quiet", "--name", "example=NullModel", *map(str, files), run]) == 0
    capsys.readouterr()
    assert main(["audit", run, "--person-fit", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (group,) = found["groups"]
    rated = [row for row in group["models"] if row["correlation"] is not None]
    assert rated[-1]["model"] == "NullModel"
    assert rated[-1]["robust_z"] < -2.5
    assert [row["model"] for row in group["models"] if row["flagged"]] == ["NullModel"]
    left_out = [row for row in group["models"] if row["correlation"] is None]
    assert left_out
    assert all(row["model"].startswith("gpt4_1106_preview") and row["note"] for row in left_out)


def test_person_fit_of_a_run_without_verdicts_says_so(tmp_path: Path) -> None:
    Run(tmp_path / "run", create=True)
    with pytest.raises(UserError, match="no scored verdict"):
        main(["audit", str(tmp_path / "run"), "--person-fit"])


def test_no_model_may_take_an_attacks_name() -> None:
    from judgebench.stages.named_models import parse_model

    with pytest.raises(UserError, match="not allowed"):
        parse_model("attack@empty=hf/x")
    assert "@" not in REAL


def test_python_audits_a_function_as_the_command_line_audits_a_judge(files: dict[str, str]) -> None:
    import judgebench

    few = ["empty", "verdict-a"]
    found = judgebench.audit(honest, files["pair"], suite=[files["facts"]], attack=few, out=files["out"])
    assert found["passed"]
    assert found == json.loads((Path(files["out"]) / "audit.json").read_text())
    again = judgebench.audit(
        "baseline/first", files["pair"], path=files["out"], attack=["empty"], out=files["out"] + "2"
    )
    assert states(again) == {"empty": "fooled"}
    with pytest.raises(UserError, match="name a RUN that has some, or a --suite"):
        judgebench.audit(honest, files["pair"])
