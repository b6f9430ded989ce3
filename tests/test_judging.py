"""Protocols through the stages: what a rubric decides, what the command line decides, what the manifest keeps."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from endpoint_server import Act, EndpointServer

import judgebench
from judgebench import plugins
from judgebench.backends.openai import OpenAIBackend
from judgebench.backends.scripted import ScriptedBackend
from judgebench.cli import main
from judgebench.errors import RunConflict, UserError
from judgebench.runs import Run
from judgebench.types import Model, Reply, TokenLogprob

SUITE = """name: talk
license: Apache-2.0
items:
  - id: "1"
    turns: [Say hello]
    reference: [Good day]
    meta:
      skill: [Factuality, Harmlessness]
      difficulty: simple
      domain: [Everyday]
      checklist: [Is it polite?, Is it short?]
  - id: "2"
    turns: [Name a fruit]
    reference: [Apple]
    meta: {skill: [Factuality], difficulty: expert, domain: [Food]}
"""
LOOSE = judgebench.Settings(max_unscored=1.0)


@pytest.fixture
def talk(tmp_path: Path) -> str:
    path = tmp_path / "talk.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return str(path)


def good(chat: list[dict[str, str]]) -> str:
    return "Good day, an apple."


def poor(chat: list[dict[str, str]]) -> str:
    return "Hm."


def judged(
    path: Path, talk: str, rubric: str, judge: Any, settings: judgebench.Settings = LOOSE, models: Any = None,
    quiet: bool = True,
) -> judgebench.Results:  # fmt: skip
    chosen = models or {"a": good, "b": poor}
    return judgebench.run(
        path, suite=[talk], model=chosen, judge={"j": judge}, rubric=[rubric], settings=settings, quiet=quiet
    )


def entry(path: Path, rubric: str) -> dict[str, Any]:
    found: dict[str, Any] = Run(path).manifest["judges"]["j"]["rubrics"][rubric]
    return found


def scores_by_length(chat: list[dict[str, str]]) -> str:
    one, other = (8, 3) if chat[-1]["content"].find("Good day") < chat[-1]["content"].find("Hm.") else (3, 8)
    return f"Evaluation evidence: …\nScore of the Assistant 1: {one}\nScore of the Assistant 2: {other}"


def test_a_rubric_says_how_its_judge_draws_and_the_manifest_keeps_it(tmp_path: Path, talk: str) -> None:
    judge = ScriptedBackend.of(scores_by_length)
    judged(tmp_path / "r", talk, "mec", judge)
    assert len(judge.asked) == 2 * 2 * 3
    assert {(r.sampling.temperature, r.sampling.max_tokens) for r in judge.asked} == {(1.0, 512)}
    assert len({r.sampling.seed for r in judge.asked}) == 12
    kept = entry(tmp_path / "r", "mec")
    assert (kept["samples"], kept["temperature"], kept["max_tokens"]) == (3, 1.0, 512)
    from judgebench.judges.evidence import of_verdicts

    (items,) = of_verdicts(judgebench.load(tmp_path / "r").run.verdicts().values()).values()
    assert {item.verdict for item in items.values()} == {"win"}
    assert {item.samples for item in items.values()} == {6}


def test_the_command_line_wins_over_the_rubric_and_a_changed_temperature_is_another_judgement(
    tmp_path: Path, talk: str
) -> None:
    judge = ScriptedBackend.of(scores_by_length)
    once = judgebench.Settings(judge_samples=1, judge_temperature=0.0, judge_max_tokens=99)
    judged(tmp_path / "r", talk, "mec", judge, once)
    assert {(r.sampling.temperature, r.sampling.max_tokens) for r in judge.asked} == {(0.0, 99)}
    assert len(judge.asked) == 4
    assert entry(tmp_path / "r", "mec")["samples"] == 1
    with pytest.raises(RunConflict, match="temperature"):
        judged(tmp_path / "r", talk, "mec", judge)
    with pytest.raises(UserError, match="3 samples at temperature 0 are the same sample"):
        judged(tmp_path / "s", talk, "mec", judge, judgebench.Settings(judge_temperature=0.0))


def test_the_run_file_of_a_run_keeps_an_unset_temperature_unset(tmp_path: Path, talk: str) -> None:
    judged(tmp_path / "r", talk, "mec", scores_by_length)
    text = (tmp_path / "r" / "config.yaml").read_text()
    assert "judge-temperature" not in text
    judged(tmp_path / "s", talk, "mec", scores_by_length, judgebench.Settings(judge_temperature=None))
    assert "judge-temperature: null" in (tmp_path / "s" / "config.yaml").read_text()


def test_a_backend_that_cannot_give_what_a_rubric_needs_is_refused_before_anything_is_asked(
    tmp_path: Path, talk: str
) -> None:
    class Plain(ScriptedBackend):
        provides = frozenset()  # type: ignore[var-annotated]

    judge = Plain.of(good)
    says = "rubric g-eval needs log-probabilities of replies, which the backend 'scripted' of judge 'j' does not give"
    with pytest.raises(UserError, match=says):
        judged(tmp_path / "r", talk, "g-eval", judge)
    assert judge.asked == []
    assert not (tmp_path / "r").exists()


def test_the_command_line_refuses_it_before_the_first_answer_is_paid_for(tmp_path: Path, talk: str) -> None:
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text(json.dumps({"question_id": 1, "text": "x"}) + "\n")
    command = ["run", str(tmp_path / "r"), "--suite", talk, "--model", f"a=replay/{recorded}", "--quiet"]
    with pytest.raises(UserError, match="needs log-probabilities of replies"):
        main([*command, "--judge", f"j=replay/{recorded}", "--rubric", "g-eval"])
    assert not (tmp_path / "r").exists()


def grading(body: dict[str, Any], top: list[tuple[str, float]] | None) -> Act:
    """One token, with log-probabilities or without."""
    told = [{"token": token, "logprob": value} for token, value in top or ()]
    logprobs = {"content": [{**told[0], "top_logprobs": told}]} if told else None
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "4"},
        "finish_reason": "length",
        "logprobs": logprobs,
    }
    return Act(raw=json.dumps({"model": body["model"], "choices": [choice], "usage": {"prompt_tokens": 9}}).encode())


def endpoint(behave: Callable[[dict[str, Any]], Act]) -> EndpointServer:
    return EndpointServer(lambda body, count: behave(body))


def remote(server: EndpointServer) -> OpenAIBackend:
    return OpenAIBackend(Model(name="j", backend="openai", id="some-judge", options={"base_url": server.base_url}))


def test_an_endpoints_log_probabilities_become_weighted_grades(tmp_path: Path, talk: str) -> None:
    with endpoint(lambda body: grading(body, [("4", -0.1), ("5", -2.5)])) as server:
        results = judged(tmp_path / "r", talk, "g-eval", remote(server), models={"a": good})
        assert {(seen.body["top_logprobs"], seen.body["max_tokens"]) for seen in server.seen} == {(20, 1)}
    grades = [rating for rating in results.summary["ratings"] if rating["method"] == "grade"]
    assert [round(rating["value"], 4) for rating in grades] == [4.0832] * 4


def test_a_server_that_ignores_the_wish_leaves_verdicts_unscored_and_it_is_said_once(
    tmp_path: Path, talk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint(lambda body: grading(body, None)) as server:
        judged(tmp_path / "r", talk, "g-eval", remote(server), models={"a": good}, quiet=False)
    verdicts = [v for v in Run(tmp_path / "r").verdicts().values() if v.judge == "j"]
    assert {(v.scores, v.error) for v in verdicts} == {((), "unreadable: the backend gave no log-probabilities")}
    assert len(verdicts) == 8
    said = [line for line in capsys.readouterr().err.splitlines() if "gave no log-probabilities" in line]
    assert [line for line in said if line.startswith("note: ")] == [
        "note: j by g-eval: the backend gave no log-probabilities: 8 times"
    ]
    warnings = judgebench.load(tmp_path / "r").summary["warnings"]
    assert "j: the backend gave no log-probabilities: 8 times" in warnings
    assert entry(tmp_path / "r", "g-eval")["remarks"] == {"the backend gave no log-probabilities": 8}


def test_an_endpoint_is_held_to_the_schema_of_the_rubric(tmp_path: Path, talk: str) -> None:
    said = '{"reasoning": "x", "helpfulness": "A", "accuracy": "A", "language": "C"}'
    with endpoint(lambda body: Act(text=said)) as server:
        judged(tmp_path / "r", talk, "pairwise-json", remote(server))
        schema = server.seen[0].body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["reasoning", "helpfulness", "accuracy", "language"]
    assert all(v.scores for v in Run(tmp_path / "r").verdicts().values())


MINE = """name: mine
mode: pointwise
scale: [1, 5]
prompt: "{question} <{answer}> {format}"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_judge_is_asked_once_more_where_the_rubric_allows_it_and_it_is_counted(tmp_path: Path, talk: str) -> None:
    def second(chat: list[dict[str, str]]) -> str:
        if len(chat) > 1:
            assert chat[1] == {"role": "assistant", "content": "Quite good, I think."}
            assert "Rating: [[x]]" in chat[2]["content"]
            return "Rating: [[4]]" if "fruit" in chat[0]["content"] else "As I said, good."
        return "Quite good, I think."

    judge = ScriptedBackend.of(second)
    judged(tmp_path / "r", talk, written(tmp_path, MINE + "reask: true\n"), judge, models={"a": good})
    verdicts = {v.item: v for v in Run(tmp_path / "r").verdicts().values() if v.judge == "j"}
    assert (verdicts["2"].scores, verdicts["1"].scores) == ((4.0,), ())
    assert {v.usage.requests for v in verdicts.values()} == {2}
    assert verdicts["2"].reply == "Quite good, I think.\n\n[asked once more]\n\nRating: [[4]]"
    remarks = entry(tmp_path / "r", "mine")["remarks"]
    assert remarks == {"asked once more for a verdict that could not be read": 2}
    judge = ScriptedBackend.of(second)
    judged(tmp_path / "s", talk, written(tmp_path, MINE), judge, models={"a": good})
    assert len(judge.asked) == 2


def test_skills_come_from_the_items_and_what_does_not_apply_is_in_no_mean_and_not_asked_again(
    tmp_path: Path, talk: str
) -> None:
    def grades(chat: list[dict[str, str]]) -> str:
        return "{'factuality': 3, 'harmlessness': 'N/A'}"

    judge = ScriptedBackend.of(grades)
    results = judged(tmp_path / "r", talk, "flask", judge, judgebench.Settings(), models={"a": good})
    assert not [line for line in results.summary["warnings"] if "unscored" in line]
    row = {row["dimension"]: row for row in results.summary["verdicts"] if row["planned"]}
    assert {name: (each["planned"], each["scored"]) for name, each in row.items()} == {
        "factuality": (2, 2), "harmlessness": (1, 0),
    }  # fmt: skip
    assert row["harmlessness"]["reasons"] == {"not applicable": 1}
    judged(tmp_path / "r", talk, "flask", judge, models={"a": good})
    assert len(judge.asked) == 2
    from judgebench.ratings.skills import breakdown, rows_of

    run = Run(tmp_path / "r")
    items = {("talk", name): item for name, item in run.items("talk").items()}
    cells = breakdown(rows_of(run.verdicts().values(), items), ("skill", "difficulty"))
    assert [(c.skill, c.difficulty, c.mean, c.not_applicable) for c in cells] == [
        ("factuality", "expert", 3.0, 0), ("factuality", "simple", 3.0, 0), ("harmlessness", "simple", None, 1),
    ]  # fmt: skip


def test_a_suite_that_lists_no_skills_is_refused_in_words(tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text("name: plain\nlicense: Apache-2.0\nitems: [{id: '1', turns: [Hi], reference: [Ho]}]\n")
    with pytest.raises(UserError, match="judges what an item's 'skill' lists, and item '1' lists nothing"):
        judged(tmp_path / "r", str(plain), "flask", good, models={"a": good})


def test_an_item_without_a_checklist_is_left_unscored_for_nothing_and_the_shares_come_out_of_the_run(
    tmp_path: Path, talk: str
) -> None:
    def ticks(chat: list[dict[str, str]]) -> str:
        return "[[YES]]" if "polite" in chat[-1]["content"] else "[[NO]]"

    judge = ScriptedBackend.of(ticks)
    judged(tmp_path / "r", talk, "checklist-tick", judge, models={"a": good})
    assert len(judge.asked) == 2
    verdicts = {(v.item, v.dimension): v for v in Run(tmp_path / "r").verdicts().values() if v.judge == "j"}
    assert verdicts["1", "met"].scores == (0.5,)
    assert verdicts["2", "met"].error == "item lacks: no 'checklist' in its meta"
    from judgebench.ratings.checklists import of_verdicts

    (shares,) = of_verdicts(verdicts.values()).values()
    assert (shares.micro, shares.items, shares.all_pass) == (0.5, 1, 0.0)
    judged(tmp_path / "r", talk, "checklist-tick", judge, models={"a": good})
    assert len(judge.asked) == 2


def test_labels_probabilities_become_verdicts_of_kind_probability(tmp_path: Path, talk: str) -> None:
    def prefers_good(chat: list[dict[str, str]]) -> Reply:
        text = chat[-1]["content"]
        first = text.index("Good day") < text.index("Hm.")
        top = (("m", -0.1), ("M", -2.4)) if first else (("M", -0.1), ("m", -2.4))
        return Reply(text=top[0][0], logprobs=(TokenLogprob(token=top[0][0], logprob=-0.1, top=top),))

    judged(tmp_path / "r", talk, "alpaca-eval-2", ScriptedBackend.of(prefers_good))
    verdicts = [v for v in Run(tmp_path / "r").verdicts().values() if v.judge == "j"]
    assert {v.kind for v in verdicts} == {"probability"}
    (pair,) = judgebench.load(tmp_path / "r").summary["pairs"]
    assert pair["win_rate"] == pytest.approx(1 / (1 + 2.718281828459045**-2.3))


def test_a_plug_in_judge_that_asks_a_model_is_named_by_the_rubric(
    tmp_path: Path, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from judgebench.judges.rubric import RubricJudge

    class Twice(RubricJudge):
        def deliberate(self, matchup: Any) -> Any:
            first = yield from super().deliberate(matchup)
            second = yield from super().deliberate(matchup)
            mean = (first["overall"].scores[0] + second["overall"].scores[0]) / 2
            return {"overall": msgspec.structs.replace(first["overall"], scores=(mean,))}

    module = types.ModuleType("judge_of_another")
    module.Twice = Twice  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "judge_of_another", module)
    monkeypatch.setitem(plugins.BUILT_IN["judges"], "twice", "judge_of_another:Twice")
    judge = ScriptedBackend.of(lambda chat: f"Rating: [[{1 + (len(judge.asked) > 2)}]]")
    judged(tmp_path / "r", talk, written(tmp_path, MINE + "judge: twice\n"), judge, models={"a": good})
    assert len(judge.asked) == 4
    assert {v.scores for v in Run(tmp_path / "r").verdicts().values() if v.judge == "j"} == {(1.5,)}
