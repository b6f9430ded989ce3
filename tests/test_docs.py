"""What the documents say works, works as printed."""

from __future__ import annotations

import asyncio
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tour_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    names = runpy.run_path(str(ROOT / "docs" / "tutorial.py"))
    assert "position bias 0.0 consistency 1.0" in capsys.readouterr().out
    assert set(names["results"].ratings.method) >= {"accuracy", "win-rate", "bradley-terry", "online-elo"}


def test_the_tour_runs_inside_an_event_loop_as_a_notebook_would() -> None:
    async def cell() -> dict[str, Any]:
        return runpy.run_path(str(ROOT / "docs" / "tutorial.py"))

    assert len(asyncio.run(cell())["results"].verdicts) > 0


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_add_a_rubric_takes_one_short_file_and_one_command_and_works_as_printed(tmp_path: Path) -> None:
    text = section("Add a rubric")
    (rubric,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (name,) = re.findall(r"`(\w+\.yaml)`", text)
    assert len(rubric.strip().splitlines()) <= 20
    assert len(command.strip().splitlines()) == 1
    (tmp_path / name).write_text(rubric, encoding="utf-8")
    (tmp_path / "model.py").write_text(
        "def hi(chat):\n    return 'hi'\n\ndef good(chat):\n    return 'Good day to you'\n"
    )
    models = ["--model", "tiny-base=scripted/model.py:hi", "--model", "tiny-tuned=scripted/model.py:good"]
    python = [sys.executable, "-m"]
    subprocess.run(
        [*python, "judgebench", "run", "demo", "--suite", "mini-chat", *models, "--quiet"], cwd=tmp_path, check=True
    )
    done = subprocess.run([*python, *shlex.split(command)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kind = rubric.split("name: ")[1].split("\n")[0]
    assert (tmp_path / f"results/demo/verdicts/baseline%2Foverlap+{kind}.jsonl").stat().st_size > 0
    assert kind in (tmp_path / "results/demo/report.md").read_text(encoding="utf-8")


def test_every_command_in_the_readme_names_stages_flags_and_files_that_exist() -> None:
    commands = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
    stages = [line.split()[1] for line in commands if line.startswith("judgebench ")]
    assert stages
    from judgebench.cli import HELP

    assert set(stages) <= set(HELP)
    pages: dict[str, str] = {}
    for line in commands:
        stage = line.split()[1] if line.startswith("judgebench ") else ""
        for flag in re.findall(r"(?<=\s)--[a-z-]+", line) if stage else ():
            if stage not in pages:
                asked = [sys.executable, "-m", "judgebench", stage, "--help"]
                pages[stage] = subprocess.run(asked, capture_output=True, text=True).stdout
            assert flag == "--help" or flag in pages[stage], line
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert link.startswith("http") or (path.parent / link).exists(), link
