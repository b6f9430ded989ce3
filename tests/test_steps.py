"""Run files of steps: checked whole before the first step, taken in order, resumable because each step is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgebench.cli import main
from judgebench.errors import FileError, UserError
from judgebench.stages.steps import Step, words

SUITE = """
name: two
version: "1"
about: two questions
license: Apache-2.0
items:
  - {id: "1", question: "Say a.", reference: "a"}
  - {id: "2", question: "Say b.", reference: "b"}
"""

STEPS = """
run: unused
steps:
  - stage: run
    about: first
    arguments: ["{run}/first"]
    flags: {suite: "{here}/two.yaml", model: ["a=scripted/{here}/a.json", "b=scripted/{here}/b.json"],
            judge: baseline/overlap, rubric: pairwise-mtbench}
  - stage: compare
    arguments: ["{run}/first", a, b]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(SUITE, "utf-8")
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps({"*": name}), "utf-8")
    (tmp_path / "steps.yaml").write_text(STEPS, "utf-8")
    return tmp_path / "steps.yaml"


def test_words_are_a_command_lines_with_holes_filled_lists_repeated_and_false_left_out() -> None:
    step = Step(stage="run", arguments=("{run}/x",), flags={"model": ["a", "b"], "quiet": True, "no": False, "n": 3})
    assert words(step, {"run": "results/r"}) == ["results/r/x", "--model=a", "--model=b", "--quiet", "--n=3"]


def test_a_mistake_in_the_last_step_is_found_before_the_first_begins(file: Path) -> None:
    file.write_text(STEPS.replace("stage: compare", "stage: compair"), "utf-8")
    with pytest.raises(FileError, match=r"steps\[1\].*no stage is called 'compair': did you mean 'compare'"):
        main(["run", "out", "--config", str(file)])
    file.write_text(STEPS.replace("suite:", "siute:"), "utf-8")
    with pytest.raises(FileError, match=r"steps\[0\].*run: .*--siute"):
        main(["run", "out", "--config", str(file)])
    assert not Path("results").exists()


def test_flags_beside_a_file_of_steps_are_refused_and_a_run_without_a_folder_too(file: Path) -> None:
    with pytest.raises(UserError, match=r"--seed: .* has steps, and each step has its own flags"):
        main(["run", "--config", str(file), "--seed", "3"])
    with pytest.raises(UserError, match="arguments are required: RUN"):
        main(["run", "--suite", "mini-math"])


def test_steps_are_taken_in_order_and_the_same_command_again_asks_nobody_and_ends_the_same(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "out", "--config", str(file)]) == 0
    said = capsys.readouterr()
    assert said.err.index("step 1 of 2, run: first") < said.err.index("step 2 of 2, compare")
    assert "a" in said.out
    folder = Path("results/out/first")
    before = {path.name: path.read_bytes() for path in (folder / "answers").iterdir()}
    summary = json.loads((folder / "summary.json").read_bytes())
    assert main(["run", "out", "--config", str(file)]) == 0
    assert "all 2 answers are there" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (folder / "answers").iterdir()} == before
    assert json.loads((folder / "summary.json").read_bytes())["ratings"] == summary["ratings"]
