"""The command line as a process: what it prints, its exit codes, plug-ins really installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_models import tiny_checkpoint

ROOT = Path(__file__).resolve().parent.parent
SUITE = """name: sums
scorer: number
items:
  - {id: "1", question: 1+1, reference: "2"}
  - {id: "2", question: 2+2, reference: "4"}
"""


def judgebench(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "judgebench", *map(str, words)], cwd=cwd, capture_output=True, text=True,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "sums.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "model.py").write_text(
        "import time\n\ndef two(chat):\n    return '2'\n\ndef slow(chat):\n    time.sleep(60)\n    return '2'\n"
        "\ndef fails(chat):\n    raise ValueError('nothing to say')\n", encoding="utf-8",
    )  # fmt: skip
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.yaml").write_text("name: x\n  - a: b\nc: {\n")
    return tmp_path


def test_help_names_every_stage(here: Path) -> None:
    done = judgebench("--help", cwd=here)
    assert done.returncode == 0
    for stage in ("run", "generate", "score", "judge", "rate", "report", "compare", "pull", "list", "check", "demo"):
        assert f"\n  {stage} " in done.stdout
        assert judgebench(stage, "--help", cwd=here).returncode == 0


def test_a_bare_name_is_a_folder_under_results(here: Path) -> None:
    done = judgebench("run", "try", "--suite", "sums.yaml", "--model", "m=scripted/model.py:two", cwd=here)
    assert done.returncode == 0, done.stderr
    summary = json.loads((here / "results/try/summary.json").read_text())
    assert summary["accuracy"][0]["value"] == 0.5
    assert "50" in done.stdout
    assert "m: answers: 2/2" in done.stderr
    assert json.loads(judgebench("report", "try", "--json", cwd=here).stdout) == summary
    assert json.loads(judgebench("rate", "try", "--json", cwd=here).stdout) == summary
    assert judgebench("list", "runs", cwd=here).stdout.split() == ["try", "m"]
    for kind in ("backends", "scorers", "judges", "ratings", "stages", "importers", "exporters"):
        said = judgebench("list", kind, cwd=here).stdout.splitlines()
        assert all(len(line.split()) > 2 for line in said), kind  # a name and what it is
    nothing = judgebench("list", "runs", "elsewhere", cwd=here)
    assert (nothing.stdout, nothing.stderr) == ("", "no runs in elsewhere\n")


MISTAKES = [
    (["rnu", "x"], "did you mean 'run'?"),
    (["run"], "arguments are required: RUN"),
    (["run", "x", "--suit", "sums.yaml"], "did you mean '--suite'?"),
    (["run", "x", "--swap-policy", "halv"], "did you mean 'half'?"),
    (["list", "suits"], "did you mean 'suites'?"),
    (["ppo", "x", "--model", "hf/x"], "take 'judgebench rloo'"),
    (["run", "x", "--suite", "sums.yaml"], "at least one --suite and one --model"),
    (["run", "x", "--suite", "nothing.yaml", "--model", "hf/x"], "nothing.yaml"),
    (["run", "x", "--suite", "mmul", "--model", "hf/x"], "did you mean 'mmlu'?"),
    (["run", "x", "--suite", "sums.yaml", "--model", "hf"], "is not [NAME=]BACKEND/ID"),
    (["run", "x", "--suite", "sums.yaml", "--model", "m=folder"], "did you mean m=hf/folder?"),
    (["run", "x", "--suite", "sums.yaml", "--model", "hf/not/a/model"], "not/a/model"),
    (["run", "x", "--suite", "sums.yaml", "--model", "m=scripted/model.py:tow"], "tow"),
    (["run", "x", "--suite", "sums.yaml", "--model", "m=replay/none.jsonl"], "none.jsonl"),
    (["run", "x", "--suite", "sums.yaml", "--model", "openai/m"], "OPENAI_API_KEY"),
    (["run", "x", "--suite", "sums.yaml", "--model", "openai/m", "--option", "m.base_url=http://127.0.0.1:9/v1"],
     "127.0.0.1:9"),
    (["run", "x", "--suite", "sums.yaml", "--model", "openai/m", "--option", "m.base_ulr=http://127.0.0.1:9/v1"],
     "did you mean 'base_url'?"),
    (["run", "x", "--suite", "sums.yaml", "--model", "m=scripted/model.py:two", "--limit", "0"], "--limit 0"),
    (["run", "x", "--suite", "sums.yaml", "--model", "m=scripted/model.py:two", "--option", "m"],
     "--option 'm' is not"),
    (["run", "sums.yaml/", "--suite", "sums.yaml", "--model", "m=scripted/model.py:two"], "sums.yaml"),
    (["judge", "nowhere", "--judge", "baseline/first", "--rubric", "pairwise-mtbench"], "no run in results/nowhere"),
    (["run", "x", "--suite", "gsm8k", "--model", "m=scripted/model.py:two"], "judgebench pull gsm8k"),
    (["run", "x", "--config", "none.yaml"], "none.yaml"),
    (["check", "model.py"], "model.py"),
    (["check", "empty.yaml"], "empty.yaml: is empty"),
    (["check", "broken.yaml"], "broken.yaml:2: "),
]  # fmt: skip


@pytest.mark.parametrize(("words", "says"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_one_clear_line_and_exit_code_2(here: Path, words: list[str], says: str) -> None:
    done = judgebench(*words, cwd=here)
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("judgebench: ")
    assert says in line
    assert "Traceback" not in done.stderr
    answers = here / "results/x/answers"
    assert not answers.exists() or not any(file.stat().st_size for file in answers.glob("*.jsonl"))


def test_too_many_unscored_is_exit_code_3_and_a_whole_run(here: Path) -> None:
    done = judgebench("run", "x", "--suite", "sums.yaml", "--model", "m=scripted/model.py:fails", cwd=here)
    assert done.returncode == 3
    assert "over --max-unscored 0.1" in done.stderr
    assert "the same command goes on" in done.stderr  # the calls failed: they are made again
    assert (here / "results/x/report.html").is_file()
    assert judgebench("rate", "x", "--quiet", "--max-unscored", "1", cwd=here).returncode == 0


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(here: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "judgebench", "run", "x", "--suite", "sums.yaml", "--model", "m=scripted/model.py:slow"],
        cwd=here, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    while "answers: 0/2" not in process.stderr.readline():
        pass
    time.sleep(0.2)
    process.send_signal(2)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on" in error
    assert "Traceback" not in error


def test_a_closed_pipe_is_no_error(here: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m judgebench list rubrics | head -n 1", shell=True, capture_output=True, text=True, cwd=here
    )
    assert done.stderr == ""


def test_check_takes_rubrics_suites_and_run_files_and_names_each_mistake(here: Path) -> None:
    shipped = [*sorted((ROOT / "rubrics").glob("*.yaml")), *sorted((ROOT / "suites").glob("*.yaml"))]
    assert judgebench("check", *shipped, cwd=here).returncode == 0
    (here / "run.yaml").write_text("suite: [sums.yaml]\nmodel: [m=scripted/model.py:two]\nlimit: 1\n")
    assert judgebench("check", "run.yaml", "sums.yaml", cwd=here).stdout.splitlines() == [
        "run.yaml: a sound run file",
        "sums.yaml: a sound suite",
    ]
    (here / "bad.yaml").write_text((ROOT / "rubrics/pairwise-mtbench.yaml").read_text().replace("{format}", "{fromat}"))
    (here / "run.yaml").write_text("suite: [sums.yaml]\nlimti: 1\n")
    done = judgebench("check", "bad.yaml", "run.yaml", cwd=here)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert "bad.yaml:" in first
    assert "did you mean 'format'?" in first
    assert "run.yaml:2" in second
    assert "did you mean 'limit'?" in second


def test_check_for_machines_is_one_document_with_the_line_and_key_of_each_mistake(here: Path) -> None:
    (here / "run.yaml").write_text("suite: [sums.yaml]\nlimti: 1\n")
    (here / "rubric.yaml").write_text((ROOT / "rubrics/pairwise-mtbench.yaml").read_text().replace("{fence}", ""))
    odd = b"no\xfftext.yaml"
    (here / os.fsdecode(odd)).write_text(SUITE)
    done = judgebench("check", "sums.yaml", "run.yaml", "rubric.yaml", os.fsdecode(odd), "--json", cwd=here)
    assert done.returncode == 2
    sums, run, rubric, named = json.loads(done.stdout)
    assert sums == {
        "file": "sums.yaml", "sound": True, "kind": "suite", "mistake": "", "line": None, "key": "", "note": ""
    }  # fmt: skip
    assert (run["sound"], run["kind"], run["line"], run["key"]) == (False, "", 2, "limti")
    assert done.stderr.splitlines() == [f"judgebench: {run['mistake']}"]
    assert (rubric["kind"], "fence" in rubric["note"]) == ("rubric", True)
    assert (named["sound"], os.fsencode(named["file"])) == (True, odd)
    quiet = judgebench("check", "sums.yaml", "--json", "--quiet", cwd=here)
    assert (quiet.returncode, json.loads(quiet.stdout), quiet.stderr) == (0, [sums], "")


def test_compare_prints_interval_and_what_it_would_take(here: Path) -> None:
    (here / "model.py").write_text(
        "def two(chat):\n    return '2'\n\ndef right(chat):\n    return str(eval(chat[-1]['content']))\n"
    )
    models = ["--model", "a=scripted/model.py:two", "--model", "b=scripted/model.py:right"]
    assert judgebench("run", "x", "--suite", "sums.yaml", *models, "--quiet", cwd=here).returncode == 0
    done = judgebench("compare", "x", "a", "b", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "a minus b: -0.500" in done.stdout
    assert json.loads(judgebench("compare", "x", "a", "b", "--json", cwd=here).stdout)[0]["n"] == 2


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-in package really installed, metadata and all."""
    folder = tmp_path_factory.mktemp("plugin")
    source, site = folder / "source", folder / "site"
    shutil.copytree(ROOT / "tests/plugin_package", source)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site),
         str(source)], check=True,
    )  # fmt: skip
    return site


def test_an_installed_plug_in_adds_a_backend_a_scorer_and_a_stage(here: Path, plugin: Path) -> None:
    environment = {"PYTHONPATH": str(plugin)}
    assert judgebench("hello", "you", cwd=here, **environment).stdout == "hello you\n"
    assert "hello" in judgebench("--help", cwd=here, **environment).stdout
    assert "echo" in judgebench("list", "backends", cwd=here, **environment).stdout
    (here / "vowels.yaml").write_text(SUITE.replace("number", "vowels").replace("1+1", "aab"), encoding="utf-8")
    done = judgebench("run", "x", "--suite", "vowels.yaml", "--model", "echo/any", "--quiet", cwd=here, **environment)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((here / "results/x/summary.json").read_text())["accuracy"]
    assert row["value"] == pytest.approx((2 / 3 + 0) / 2)


def test_an_installed_plug_in_adds_a_training_stage_and_a_loss_in_ten_lines(here: Path, plugin: Path) -> None:
    pytest.importorskip("trl")
    lines = (ROOT / "tests/plugin_package/judgebench_margin.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 10
    rows = [{"prompt": f"{i}+1?", "responses": [f"{i + 1}", "no"]} for i in range(4)]
    (here / "ranked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--model", f"hf/{tiny_checkpoint('')}", "--data", "ranked.jsonl", "--name", "x", "--steps", "1", "--quiet"]
    done = judgebench("tune", "tuned", *flags, cwd=here, PYTHONPATH=str(plugin))
    assert done.returncode == 0, done.stderr
    record = json.loads((here / "results/tuned/models/x/training.json").read_text())
    assert (record["settings"]["loss"], record["steps"]) == ("margin", 1)
    assert "margin" in judgebench("rank", "r", *flags, "--loss", "margn", cwd=here, PYTHONPATH=str(plugin)).stderr


def test_a_plug_in_may_not_take_a_built_in_name(here: Path, plugin: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(plugin, site)
    (entries,) = site.glob("*.dist-info/entry_points.txt")
    entries.write_text(entries.read_text().replace("echo =", "openai ="))
    done = judgebench("list", "backends", cwd=here, PYTHONPATH=str(site))
    assert done.returncode == 2
    assert "may not take the built-in name 'openai'" in done.stderr
