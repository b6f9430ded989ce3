"""What a run is exported as: our own importers and the tools' own readers find in it what the run holds."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import judgebench
from judgebench import plugins
from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.ratings.bradley_terry import rate as bradley_terry
from judgebench.report.cells import restored
from judgebench.report.exports.held import Held
from judgebench.runs import Run
from judgebench.types import Answer, Game, Item, Verdict

SUMS = """name: sums
license: Apache-2.0
prompt: "Q: {question}\\nA:"
scorer: number
items:
  - {id: "1", question: 1+1, reference: "2", category: easy}
  - {id: "2", question: 2+2, reference: "4", category: easy}
  - {id: "3", question: 30+12, reference: "42", category: hard}
"""
TALK = """name: talk
license: Apache-2.0
items:
  - {id: "11", question: Name a fruit, category: food}
  - {id: "12", question: "Say, in French: hello", category: greeting}
"""
MODELS = ("+good, one", "bad")


def said(good: bool) -> Any:
    def reply(chat: list[dict[str, str]]) -> str:
        asked = chat[-1]["content"]
        if asked.startswith("Q: "):
            return str(eval(asked[3:-3])) if good or "1+1" in asked else "I do not know"
        return f"{'good' if good else 'bad'} «{asked}»"

    return reply


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models on sums and talk, judged in both orders; on one question the judge always takes the first."""
    folder = tmp_path_factory.mktemp("exported")
    for name, text in {"sums.yaml": SUMS, "talk.yaml": TALK}.items():
        (folder / name).write_text(text, encoding="utf-8")

    def judge(chat: list[dict[str, str]]) -> str:
        words = chat[-1]["content"]
        if "French" in words:
            return "The first. [[A]]"
        return "[[A]]" if words.find("good «") < words.find("bad «") else "[[B]]"

    judgebench.run(
        folder / "run", suite=[str(folder / "sums.yaml"), str(folder / "talk.yaml")],
        model={name: said(name != "bad") for name in MODELS},
        judge={"llm": judge}, rubric=["pairwise-general"],
    )  # fmt: skip
    return folder / "run"


def exported(run: Path, format: str, folder: Path, *flags: str) -> list[Path]:
    assert main(["export", str(run), format, "--to", str(folder), "--quiet", *flags]) == 0
    return sorted(path for path in folder.rglob("*") if path.is_file())


def imported(folder: Path, format: str, files: list[Path], *flags: str) -> Run:
    assert main(["import", format, *map(str, files), str(folder), "--quiet", *flags]) == 0
    return Run(folder)


def judged(run: Run, *dimensions: str) -> set[tuple[Any, ...]]:
    return {
        (each.item, each.turn or 1, each.judge, each.shown, each.scores, each.reply, each.sample)
        for each in run.verdicts().values() if each.dimension in dimensions and not each.judge.startswith("exact@")
    }  # fmt: skip


def along(dimension: str, files: list[Path]) -> list[Path]:
    """The files without the judgements along other dimensions, which these tools know nothing of."""
    return [each for each in files if not any("llm+" in part and f"+{dimension}" not in part for part in each.parts)]


def words(run: Run, suite: str) -> set[tuple[Any, ...]]:
    return {(each.item, each.model, each.turns) for each in run.answers().values() if each.suite == suite}


def by_question(run: Run) -> dict[str, str]:
    return {id: item.turns[0] for suite in run.manifest["suites"] for id, item in run.items(suite).items()}


def test_fastchat_files_come_back_with_every_answer_and_both_games(run: Path, tmp_path: Path) -> None:
    files = exported(run, "fastchat", tmp_path / "out")
    back = imported(
        tmp_path / "back",
        "fastchat",
        [each for each in along("helpfulness", files) if "talk" in each.parts],
        "--suite",
        "talk",
    )
    assert judged(back, "overall") == judged(Run(run), "helpfulness")
    assert len(judged(back, "overall")) == 4
    assert words(back, "talk") == words(Run(run), "talk")
    assert by_question(back) == {id: text for id, text in by_question(Run(run)).items() if len(id) == 2}


def test_alpaca_eval_files_come_back_with_order_shares_and_words(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = exported(run, "alpaca-eval", tmp_path / "out", "--baseline", "bad")
    chosen = [each for each in along("accuracy", files) if each.suffix == ".json"]
    back = imported(tmp_path / "back", "alpaca-eval", chosen, "--suite", "all")
    asked, before = by_question(back), by_question(Run(run))
    assert {(asked[item], *rest) for item, *rest in judged(back, "overall")} == {
        (before[item], *rest) for item, *rest in judged(Run(run), "accuracy")
    }
    assert main(["export", str(run), "alpaca-eval", "--to", str(tmp_path / "out"), "--baseline", "bad"]) == 0
    assert "note: annotations.json holds both orders, a row each" in capsys.readouterr().out
    told = {(asked[item], model, turns) for item, model, turns in words(back, "all")}
    every = words(Run(run), "talk") | words(Run(run), "sums")
    assert told == {(before[item], model, turns) for item, model, turns in every}
    (board,) = [each for each in files if each.name.endswith("+overall.csv")]
    ((name, *numbers),) = list(csv.reader(board.read_text(encoding="utf-8").splitlines()))[1:]
    assert name == "'+good, one"  # a spreadsheet does not run it
    won, error, wins, losses, draws, total = map(float, numbers[:6])
    assert (won, wins, losses, draws, total) == (75.0, 1, 0, 1, 2)
    assert error == pytest.approx(100 * math.sqrt(0.125) / math.sqrt(2))


def test_alpaca_eval_asks_for_the_baseline_where_nothing_says_which_it_is(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--baseline \+good, one or another of \+good, one, bad"):
        main(["export", str(run), "alpaca-eval", "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_lm_eval_files_come_back_with_prompts_references_and_scores(run: Path, tmp_path: Path) -> None:
    files = exported(run, "lm-eval", tmp_path / "out")
    back = imported(tmp_path / "back", "lm-eval", files)

    def scores(run: Run) -> set[tuple[Any, ...]]:
        exact = (each for each in run.verdicts().values() if each.judge.startswith("exact@"))
        return {(each.suite, each.item, each.dimension, each.shown, each.scores) for each in exact}

    assert scores(back) == scores(Run(run))
    assert words(back, "sums") == words(Run(run), "sums")
    items, before = back.items("sums"), Run(run).items("sums")
    assert {id: (item.turns, item.reference, item.category) for id, item in items.items()} == {
        id: (item.turns, item.reference, item.category) for id, item in before.items()
    }
    results = json.loads(
        next(each for each in files if each.parent.name == "bad" and "results" in each.name).read_text()
    )
    assert results["results"]["sums"]["accuracy,none"] == pytest.approx(1 / 3)
    assert results["results"]["sums"]["accuracy_stderr,none"] == pytest.approx(math.sqrt(1 / 3) / math.sqrt(3))
    assert isinstance(results["date"], float)  # as the tool's own EvalResults has it
    assert results["n-samples"] == {"sums": {"original": 3, "effective": 3}}


@pytest.mark.parametrize(
    ("format", "left", "right", "wins"),
    [("evalica", "left", "right", ("left", "right")), ("arena", "model_a", "model_b", ("model_a", "model_b"))],
)
def test_the_battles_of_a_csv_give_the_rating_of_the_run(
    format: str, left: str, right: str, wins: tuple[str, str], tmp_path: Path
) -> None:
    games = [
        Game(suite="s", item=str(at), turn=1, rubric="r@1", judge="j", dimension="overall", left=one, right=two,
             score=won)
        for at, (one, two, won) in enumerate([("a", "b", 1.0), ("a", "b", 0.0), ("b", "c", 1.0), ("c", "a", 0.5),
                                              ("b", "c", 0.0), ("a", "c", 1.0)])
    ]  # fmt: skip
    made = plugins.load("exporters", format)(_held(games=tuple(games)))
    ((path, content),) = made.files.items()
    assert path == "j+r@1+overall.csv"
    read = [
        msgspec.structs.replace(
            games[0], item=str(at), left=row[left], right=row[right],
            score={wins[0]: 1.0, wins[1]: 0.0, "tie": 0.5}[row["winner"]],
        )
        for at, row in enumerate(csv.DictReader(content.splitlines()))
    ]  # fmt: skip
    assert [(each.model, each.value) for each in bradley_terry(read)] == [
        (each.model, each.value) for each in bradley_terry(games)
    ]
    assert not made.notes


@pytest.mark.parametrize("format", ["evalica", "arena"])
def test_pairs_in_csv_hide_nothing_run_nowhere_and_say_what_was_written_otherwise(format: str) -> None:
    names = ("|cmd", "a\u202eb\nc")
    game = Game(suite="s", item="＝1", turn=1, rubric="r@1", judge="j", dimension="d", left=names[0], right=names[1],
                score=1.0)  # fmt: skip
    made = plugins.load("exporters", format)(_held(games=(game,)))
    (content,) = made.files.values()
    assert content.count("\n") == 2
    (row,) = csv.DictReader(content.splitlines())
    left, right, item = ("left", "right", "item") if format == "evalica" else ("model_a", "model_b", "question_id")
    assert (row[left], row[right], row[item]) == ("'|cmd", "a⟨U+202E⟩b⟨U+000A⟩c", "'＝1")
    assert restored(row[left]) == "|cmd"
    assert any("stand behind an apostrophe" in note for note in made.notes)
    assert any("written out by their code points" in note for note in made.notes)


def test_a_model_index_hides_nothing() -> None:
    name = "a\u202eb\nc"
    row = {"model": name, "suite": "s", "dimension": "accuracy", "value": 0.5, "low": None, "high": None}
    held = msgspec.structs.replace(_held(), models={name: {}}, summary={"accuracy": [row]})
    made = plugins.load("exporters", "model-index")(held)
    (content,) = made.files.values()
    assert yaml.safe_load(content)["model-index"][0]["name"] == "a⟨U+202E⟩b⟨U+000A⟩c"
    assert any("written out by their code points" in note for note in made.notes)


def test_a_game_between_win_and_tie_says_so_and_keeps_its_share() -> None:
    game = Game(suite="s", item="1", turn=1, rubric="r@1", judge="j", dimension="d", left="a", right="b", score=0.75)
    made = plugins.load("exporters", "evalica")(_held(games=(game,)))
    (row,) = csv.DictReader(made.files["j+r@1+d.csv"].splitlines())
    assert (row["winner"], row["share"]) == ("left", "0.75")
    assert "1 games lie between win, tie and loss" in made.notes[0]


def _held(**more: Any) -> Held:
    named = {name: {"backend": "hf", "id": name} for name in ("a", "b", "c")}
    return Held(**{
        "name": "r", "created": "2026-01-02T03:04:05Z", "version": "1", "models": named, "suites": {"s": {}},
        "items": {("s", "1"): Item(id="1", turns=("Q?",))}, "answers": (), "verdicts": (), **more,
    })  # fmt: skip


def test_people_and_a_single_order_become_preferences_that_come_back(tmp_path: Path) -> None:
    answers = tuple(Answer(suite="s", item="1", model=name, turns=(f"I am {name}",), finish=("stop",)) for name in "ab")
    shown = (("b", 0), ("a", 0))
    verdicts = tuple(
        Verdict(suite="s", item="1", judge=judge, rubric=rubric, shown=shown, kind="preference", scores=(1.0, 0.0))
        for judge, rubric in (("human@ann", ""), ("llm", "r@1"))
    )
    unread = msgspec.structs.replace(verdicts[1], judge="other", scores=(), error="unreadable: nothing")
    made = plugins.load("exporters", "fastchat")(_held(answers=answers, verdicts=(*verdicts, unread)))
    for name, content in made.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    back = imported(tmp_path / "back", "fastchat", sorted((tmp_path / "s").rglob("*.jsonl")))
    assert {(each.judge, each.shown, each.scores) for each in back.verdicts().values()} == {
        ("human@ann", shown, (1.0, 0.0)), ("llm", shown, (1.0, 0.0))
    }  # fmt: skip
    assert made.notes == ["1 left out: unscored verdicts of one order: a preference has no such mark"]


def test_what_a_form_cannot_hold_is_left_out_counted_and_never_a_zero() -> None:
    grade = Verdict(suite="s", item="1", judge="exact@number", dimension="accuracy", shown=(("a", 0),), error="boom: x")
    scored = msgspec.structs.replace(grade, item="2", scores=(1.0,), error="")
    items = {("s", id): Item(id=id, turns=("Q?",), reference=("2",)) for id in ("1", "2")}
    answers = tuple(Answer(suite="s", item=id, model="a", turns=("x",), finish=("stop",)) for id in ("1", "2"))
    held = _held(items=items, answers=answers, verdicts=(grade, scored))
    ((path, text),) = plugins.load("exporters", "inspect")(held).files.items()
    assert re.fullmatch(r"a/2026-01-02T03-04-05\+00-00_s_[0-9a-f]{22}\.json", path)
    log = json.loads(text)
    assert log["samples"][0]["scores"] == {}
    (of_all,) = log["results"]["scores"]
    assert (of_all["metrics"]["mean"]["value"], of_all["scored_samples"], of_all["unscored_samples"]) == (1.0, 1, 1)
    files = plugins.load("exporters", "lm-eval")(held).files
    results = json.loads(next(text for name, text in files.items() if "results" in name))["results"]["s"]
    assert (results["accuracy,none"], results["accuracy_stderr,none"]) == (1.0, "N/A")


def test_inspects_own_reader_opens_the_logs(run: Path, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    files = exported(run, "inspect", tmp_path / "out")
    assert len(files) == 4
    heads = [log.read_eval_log(each, header_only=True) for each in log.list_eval_logs(str(tmp_path / "out"))]
    assert sorted((each.eval.task, each.eval.model) for each in heads) == sorted(
        (task, f"scripted/{name}") for task in ("sums", "talk") for name in MODELS
    )
    found = {each.eval.model: each for each in map(log.read_eval_log, map(str, files)) if each.eval.task == "sums"}
    assert [sample.scores["accuracy"].value for sample in found["scripted/bad"].samples] == [1.0, 0.0, 0.0]


def test_an_inspect_log_holds_every_sample_with_its_chat_and_scores(run: Path, tmp_path: Path) -> None:
    files = exported(run, "inspect", tmp_path / "out")
    logs = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    (log,) = [each for each in logs if each["eval"]["task"] == "sums" and each["eval"]["model"].endswith("/bad")]
    assert (log["version"], log["status"], log["eval"]["dataset"]["sample_ids"]) == (2, "success", [1, 2, 3])
    assert list(log)[-1] == "samples"  # the head is read without what follows
    assert {"eval", "plan", "results", "stats"} <= set(log)  # Inspect reads no head without them
    second = log["samples"][1]
    assert [each["content"] for each in second["messages"]] == ["Q: 2+2\nA:", "I do not know"]
    assert (second["target"], second["scores"]["accuracy"]["value"], second["epoch"]) == ("4", 0.0, 1)
    means = {each["name"]: each["metrics"]["mean"]["value"] for each in log["results"]["scores"]}
    assert means["accuracy"] == pytest.approx(1 / 3)


def test_a_model_index_is_what_the_hubs_own_reader_takes(run: Path, tmp_path: Path) -> None:
    repocard = pytest.importorskip("huggingface_hub.repocard_data")
    files = exported(run, "model-index", tmp_path / "out")
    blocks = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]
    (block,) = [each for each in blocks if each["model-index"][0]["name"] == "bad"]
    name, results = repocard.model_index_to_eval_results(block["model-index"])
    found = {
        (each.dataset_type, each.metric_type, each.metric_name.split(" (")[0]): each.metric_value for each in results
    }
    assert name == "bad"
    assert found["sums", "accuracy", "accuracy"] == pytest.approx(1 / 3)
    rubric = next(iter(Run(run).manifest["rubrics"]))
    assert found[
        "talk", "win-rate", f"win-rate, overall, judge llm, rubric {rubric}, against +good, one"
    ] == pytest.approx(0.25)


def test_a_model_card_shows_numbers_with_intervals_and_no_markup_of_a_name(run: Path, tmp_path: Path) -> None:
    files = exported(run, "model-card", tmp_path / "out")
    text = next(path for path in files if path.name == "bad.md").read_text(encoding="utf-8")
    assert "| sums | accuracy | 0.333 [" in text
    assert "| talk | llm |" in text
    assert "Win rates and ratings are against +good, one." in text
    assert "- llm by pairwise-general@" in text
    assert "no judge card" in text
    elo = next(line for line in text.splitlines() if "| online-elo |" in line)
    assert re.search(r"\| \d+ ± \d+ \|", elo)  # a spread of order, in no brackets of an interval
    assert re.search(r"\| hierarchical \| \d+ \[-?\d+, \d+\] \|", text)
    for line in text.splitlines():
        if line.startswith("| "):
            assert line.count("|") in (6, 9)


def test_an_unknown_format_and_an_unrated_run_are_said_in_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no exporter is called 'evalca'.*evalica"):
        main(["export", str(run), "evalca"])
    Run(tmp_path / "empty", create=True)
    with pytest.raises(UserError, match="holds nothing that fastchat files could hold"):
        main(["export", str(tmp_path / "empty"), "fastchat"])
    with pytest.raises(UserError, match="is not rated yet"):
        main(["export", str(tmp_path / "empty"), "model-card"])


def test_exporting_again_replaces_the_files_and_names_what_else_lies_there(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {path: path.read_bytes() for path in exported(run, "arena", tmp_path / "out")}
    (tmp_path / "out" / "mine.csv").write_text("x")
    assert main(["export", str(run), "arena", "--to", str(tmp_path / "out")]) == 0
    assert "holds 1 other files, left as they are: mine.csv" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in first} == first


def test_an_export_for_machines_is_one_document_that_names_every_file_and_what_is_left_out(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for quiet in ((), ("--quiet",)):
        folder = tmp_path / os.fsdecode(b"no\xfftext")
        assert main(["export", str(run), "fastchat", "--to", str(folder), "--json", *quiet]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["format"], said["folder"]) == ("fastchat", str(folder))
        held = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        assert said["files"] == held
        assert len(held) > 3
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.csv").write_text("x")
    assert main(["export", str(run), "arena", "--to", str(tmp_path / "out"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert any("mine.csv" in note for note in said["notes"])
    assert "mine.csv" not in said["files"]
    words = [sys.executable, "-m", "judgebench", "export", run, "evalca", "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
