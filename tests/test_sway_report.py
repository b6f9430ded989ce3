"""What sways a judge, from verdicts on disk to summary, reports and terminal; families; swap policies by command."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from endpoint_server import EndpointServer
from rich.console import Console
from simulated_judge import SimulatedJudge

import judgebench
from judgebench.cli import main
from judgebench.judges.debias import Policy
from judgebench.judges.families import kinship, lines
from judgebench.report.details import Details
from judgebench.report.html import render_html
from judgebench.report.markdown import render_markdown
from judgebench.report.terminal import print_summary
from judgebench.runs import Journal, Run
from judgebench.stages.settings import Settings
from judgebench.types import Verdict

STRENGTHS = {"long": -0.4, "own": 0.0, "short": 0.4}
WORDS = {"long": 90, "own": 50, "short": 30}
QUESTIONS = 60


def text(model: str, number: int) -> str:
    """An answer whose length depends on the model and, more, on chance; no two are alike."""
    random = np.random.default_rng([number, sorted(STRENGTHS).index(model)])
    count = max(5, int(random.lognormal(math.log(WORDS[model]), 0.6)))
    return f"{model[0].upper()}{number}: " + " ".join(["word"] * count) + f" {number}{model[0]}."


def suite(path: Path) -> str:
    items = "".join(f'  - {{id: "{i}", question: "Question number {i}"}}\n' for i in range(QUESTIONS))
    (path / "talk.yaml").write_text(f"name: talk\nlicense: Apache-2.0\nitems:\n{items}", encoding="utf-8")
    return str(path / "talk.yaml")


def contestant(model: str) -> Any:
    return lambda chat: text(model, int(chat[-1]["content"].rsplit(" ", 1)[1]))


def people(run: Run, judge: str = "human@ann") -> None:
    """Labels of a person without any of the judge's biases, who likes length a little."""
    random = np.random.default_rng(21)
    truth = SimulatedJudge(STRENGTHS, length=0.5)
    with Journal(run.verdicts_file(judge, "")) as journal:
        for i in range(QUESTIONS):
            for first, second in (("long", "own"), ("short", "long"), ("own", "short")):
                chance = truth.chance(first, second, len(text(first, i)), len(text(second, i)))
                won = float(random.random() < chance)
                journal.append(
                    Verdict(suite="talk", item=str(i), judge=judge, shown=((first, 0), (second, 0)), kind="preference",
                            scores=(won, 1 - won))
                )  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> judgebench.Results:
    """A run judged over HTTP by a judge with planted biases, and labelled by a person."""
    path = tmp_path_factory.mktemp("judged")
    answers = {text(model, i): model for model in STRENGTHS for i in range(QUESTIONS)}
    biased = SimulatedJudge(STRENGTHS, position=0.9, length=1.6, own={"own": 1.2})
    with EndpointServer(biased.behave(answers)) as server:
        settings = Settings(option={"gpt-4o.base_url": server.base_url})
        names = {"gpt-3.5" if model == "own" else model: contestant(model) for model in STRENGTHS}
        judgebench.run(
            path / "run", suite=[suite(path)], model=names, judge=["openai/gpt-4o"], rubric=["pairwise-mtbench"],
            settings=settings,
        )  # fmt: skip
        assert len(server.seen) == QUESTIONS * 3 * 2
    run = Run(path / "run")
    people(run)
    renamed = run.verdicts_file("human@ann", "")
    renamed.write_text(renamed.read_text().replace('["own"', '["gpt-3.5"'))
    assert main(["rate", str(path / "run"), "--quiet", "--max-unscored", "1"]) == 0
    assert main(["report", str(path / "run"), "--quiet"]) == 0
    return judgebench.load(path / "run")


def row_of(results: judgebench.Results, judge: str = "gpt-4o") -> dict[str, Any]:
    (row,) = [row for row in results.summary["sway"] if row["judge"] == judge]
    return row


def test_over_http_the_raw_estimates_are_off_and_the_debiased_hold_the_truth(judged: judgebench.Results) -> None:
    row = row_of(judged)
    effects = {effect["name"]: effect for effect in row["effects"]}
    assert row["reference"] == "people"
    for name, planted in (("position", 0.9), ("length", 1.6), ("self", 1.2)):
        assert abs(effects[name]["value"] - planted) < 3 * effects[name]["se"], name
        assert effects[name]["low"] > 0, name
    assert effects["length"]["people_low"] < 0.5 < effects["length"]["people_high"]
    rows = {each["model"]: each for each in row["ratings"]}
    for name, strength in STRENGTHS.items():
        each = rows["gpt-3.5" if name == "own" else name]
        truth = 1000 + 400 / math.log(10) * strength
        assert each["debiased_low"] < truth < each["debiased_high"], name
    assert rows["gpt-3.5"]["plain_low"] > 1000  # its family is favoured
    assert rows["short"]["plain_high"] < 1000 + 400 / math.log(10) * 0.4


def test_a_judge_of_ones_own_family_is_warned_of_with_what_says_so(judged: judgebench.Results) -> None:
    (line,) = [line for line in judged.summary["warnings"] if "family" in line]
    assert line == (
        "gpt-4o judges models of its own family (gpt-3.5: both of the GPT line: gpt, gpt): it may favour them"
    )
    assert row_of(judged, "human@ann")["own"] == {}


def test_every_report_shows_the_effects_and_the_debiased_ratings(judged: judgebench.Results) -> None:
    summary = judged.summary
    html, markdown = render_html(summary, Details()), render_markdown(summary)
    out = io.StringIO()
    print_summary(summary, Console(file=out, width=80))
    effect = next(effect for effect in row_of(judged)["effects"] if effect["name"] == "position")
    shown = f"{effect['value']:+.3f}"
    debiased = f"{row_of(judged)['ratings'][0]['debiased']:.0f}"
    for page in (html, markdown, out.getvalue()):
        assert "What sways the judge" in page
        assert "of its own family" in page
        assert shown in page
        assert debiased in page
    assert "excess over people" in markdown
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_people_stand_beside_the_judge_in_how_often_the_longer_is_preferred(judged: judgebench.Results) -> None:
    longer = row_of(judged)["longer"]
    assert longer["prefers_longer"]["value"] > longer["people"]["value"]
    assert longer["excess"]["value"] == pytest.approx(
        longer["prefers_longer"]["value"] - longer["people"]["value"], abs=0.05
    )
    assert row_of(judged, "human@ann")["longer"]["people"] is None


def test_a_baseline_has_no_family_and_a_separated_judge_says_that_nothing_is_estimated(
    judged: judgebench.Results, tmp_path: Path
) -> None:
    results = judgebench.run(
        tmp_path / "run", suite=[suite(tmp_path)], model={"a": lambda chat: "x", "b": lambda chat: "longer"},
        judge=["baseline/longest"], rubric=["pairwise-mtbench"],
    )  # fmt: skip
    (row,) = results.summary["sway"]
    assert row["ratings"] == []
    assert "separated" in row["note"]
    assert "separated" in (tmp_path / "run" / "report.md").read_text()
    assert not [line for line in results.summary["warnings"] if "family" in line]


@pytest.mark.parametrize("policy", get_args(Policy))
def test_every_swap_policy_is_reached_from_the_command_line(
    policy: str, judged: judgebench.Results, tmp_path: Path
) -> None:
    """O14's twelve double games as a run: what `rate --swap-policy` makes of them is the worked win rate."""
    run = Run(tmp_path / "twelve", create=True)
    run.manifest["suites"]["s"] = {
        "scorer": "", "version": "1", "items": 12, "available": 12, "missing": [], "license": "", "about": "",
        "notes": [],
    }  # fmt: skip
    run.manifest["models"] = {name: {"backend": "import", "id": name} for name in "AB"}
    run.save_manifest()
    twelve = ["AA", "AB", "BB", "TA", "AT", "TT", "BA", "AA", "BB", "AB", "Ax", "TB"]
    points = {"A": (1.0, 0.0), "B": (0.0, 1.0), "T": (0.5, 0.5), "x": ()}
    with Journal(run.verdicts_file("j", "r")) as journal:
        for item, (one, two) in enumerate(twelve):
            for shown, scores in (("AB", points[one]), ("BA", points[two][::-1])):
                pair = ((shown[0], 0), (shown[1], 0))
                journal.append(
                    Verdict(suite="s", item=str(item), rubric="r@1", judge="j", shown=pair, kind="preference",
                            scores=scores)
                )  # fmt: skip
    assert main(["rate", str(tmp_path / "twelve"), "--swap-policy", policy, "--quiet", "--max-unscored", "1"]) == 0
    (row,) = json.loads((tmp_path / "twelve" / "summary.json").read_text())["pairs"]
    expected = {"half": 0.522727, "tie": 0.5, "score": 0.545455, "drop": 0.5, "majority": 0.545455, "first": 0.625,
                "second": 0.454545}  # fmt: skip
    used = {"first": 12, "second": 11, "drop": 5, "random": row["n"], "each": 23}.get(policy, 11)
    assert (row["policy"], row["n"], row["left_out"]) == (policy, used, (24 if policy == "each" else 12) - used)
    if policy in expected:
        assert row["win_rate"] == pytest.approx(expected[policy], abs=1e-6)


@pytest.mark.parametrize(
    ("judge", "model", "says"),
    [
        (("openai", "gpt-4o"), ("openai", "o3-mini"), "both of the GPT line"),
        (("hf", "meta-llama/Llama-3-8B"), ("hf", "lmsys/vicuna-7b"), "both of the Llama line: llama, vicuna"),
        (("openai", "claude-3"), ("openai", "gpt-4"), ""),
        (("openai", "same"), ("openai", "same"), "the same model, same"),
        (("openai", "acme/foo-1"), ("vllm", "acme/bar-2"), "both of acme"),
        (("hf", "examples/tiny-base"), ("hf", "examples/tiny-tuned"), "both called tiny"),
        (("hf", "models/a"), ("hf", "models/b"), ""),
        (("scripted", "f.py:judge"), ("scripted", "f.py:model"), ""),
        (("hf", "EleutherAI/gpt-neo-125m"), ("openai", "gpt-4"), ""),
        (("openai", "weighted_alpaca_eval_gpt4_turbo"), ("hf", "alpaca-7b"), ""),
    ],
)
def test_families_are_told_by_name(judge: tuple[str, str], model: tuple[str, str], says: str) -> None:
    one, two = ({"backend": backend, "id": each} for backend, each in (judge, model))
    found = kinship(one, two)
    assert found.startswith(says) if says else found == "", found
    assert bool(found) == bool(kinship(two, one))


def test_names_that_only_resemble_a_line_are_of_none() -> None:
    for name in ("gpt2", "gpt-j-6b", "EleutherAI/gpt-neo", "foo1-large", "philosophy", "elyi-34b"):
        assert lines({"id": name}) == {}, name
