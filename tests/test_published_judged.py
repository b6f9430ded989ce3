"""Published tables of judging, from recorded verdicts alone: import, then rate or meta-eval (docs/published.md)."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from judgebench.cli import main
from judgebench.ratings.elo import shuffled_elo
from judgebench.runs import Run
from judgebench.stages.games import games_of

pytestmark = pytest.mark.data


def imported(run: Path, format: str, *files: Path, flags: Sequence[str] = ()) -> None:
    assert main(["import", format, *map(str, files), str(run), "--quiet", *flags]) == 0


def rated(run: Path, policy: str = "half") -> dict[str, Any]:
    assert main(["rate", str(run), "--quiet", "--max-unscored", "1", "--swap-policy", policy]) == 0
    found: dict[str, Any] = json.loads((run / "summary.json").read_bytes())
    return found


def trials(run: Path, judge: str, against: str, policy: str = "tie") -> dict[str, dict[str, Any]]:
    """Suite → what meta-eval measures of a judge there."""
    flags = ["--judge", judge, "--against", against, "--swap-policy", policy, "--draws", "20", "--json"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["meta-eval", str(run), *flags]) == 0
    (card,) = json.loads(said.getvalue())
    return {
        trial["suite"]: {each["name"]: each for each in trial["measures"]} | {"trial": trial}
        for trial in card["trials"]
    }


def win_rates(run: Path, judge: str) -> dict[str, float]:
    rows = [json.loads(line) for line in (run / "ratings.jsonl").read_text().splitlines()]
    return {row["model"]: row["value"] for row in rows if row["judge"] == judge and row["method"] == "win-rate"}


def leaderboard(path: Path) -> dict[str, dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    numbers = ("win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total")
    return {row[""]: {name: float(row[name]) for name in numbers} for row in rows}


# AlpacaEval --------------------------------------------------------------------------------------------------------


def test_alpaca_evals_leaderboard_comes_out_for_every_model_recorded(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "alpaca_eval"
    files = sorted(folder.glob("results/*/*/annotations.json.gz")) + sorted(
        folder.glob("results/*/model_outputs.json.gz")
    )
    imported(tmp_path / "run", "alpaca-eval", *files, flags=["--name", "example=NullModel"])
    tables = {
        judge: leaderboard(folder / "src/alpaca_eval/leaderboards" / table / f"{judge}_leaderboard.csv")
        for judge, table in (
            ("weighted_alpaca_eval_gpt4_turbo", "data_AlpacaEval_2"),
            ("alpaca_eval_gpt4", "data_AlpacaEval"),
        )
    }
    seen = set()
    for row in rated(tmp_path / "run")["pairs"]:
        baseline = "gpt4_1106_preview" if row["judge"].startswith("weighted") else "text_davinci_003"
        turned = row["left"] == baseline
        model = (row["right"] if turned else row["left"]).removesuffix("#2")
        published = tables[row["judge"]][model]
        rate = 1 - row["win_rate"] if turned else row["win_rate"]
        wins, losses = (row["losses"], row["wins"]) if turned else (row["wins"], row["losses"])
        assert 100 * rate == pytest.approx(published["win_rate"], abs=1e-6)
        assert 100 * row["se"] == pytest.approx(published["standard_error"], abs=1e-6)
        counts = [published[name] for name in ("n_wins", "n_wins_base", "n_draws", "n_total")]
        assert [wins, losses, row["ties"], row["n"]] == counts
        seen.add((row["judge"], model))
    assert len(seen) == 8
    assert {judge for judge, _ in seen} == set(tables)


# LLMBar ------------------------------------------------------------------------------------------------------------


def test_llmbars_accuracy_and_positional_agreement_come_out_for_every_evaluator(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "llmbar/Dataset"
    results = sorted(folder.glob("**/result.json.gz"))
    imported(tmp_path / "run", "llmbar", *sorted(folder.glob("**/dataset.json")), *results)
    assert main(["meta-eval", str(tmp_path / "run"), "--against", "gold", "--draws", "5", "--quiet"]) == 0
    cards = json.loads((tmp_path / "run/judge-card.json").read_bytes())
    found = {}
    for card in cards["cards"] if isinstance(cards, dict) else cards:
        for trial in card["trials"]:
            measures = {each["name"]: each["value"] for each in trial["measures"]}
            found[trial["suite"], card["judge"], card["rubric"].partition("@")[0]] = measures
    assert len(found) == len(results) == 76
    for path in results:
        *_, name, _, judge, strategy, _ = path.parts
        authors = json.loads(path.with_name("statistics.json").read_bytes())
        ours = found[f"llmbar-{name.lower()}", judge, strategy]
        for field, measure in (("correct_both", "both_orders_right"), ("equal", "positional_agreement")):
            right, of = authors[field].partition("=")[0].split("/")
            assert ours[measure] == pytest.approx(int(right) / int(of), abs=1e-6)
        right = [int(authors[field].partition("/")[0]) for field in ("correct_False", "correct_True")]
        assert ours["single_verdicts_right"] == pytest.approx(sum(right) / 2 / int(of), abs=1e-6)


# PandaLM -----------------------------------------------------------------------------------------------------------


def test_pandalms_people_and_its_judge_come_out_as_published(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "pandalm/data"
    run = tmp_path / "run"
    imported(run, "pandalm", folder / "testset-v1.json.gz", folder / "pandalm-7b-testset-v1.json")
    kappas = [
        trials(run, f"human@annotator{one}", f"human@annotator{other}")["pandalm"]["cohen_kappa"]["value"]
        for one, other in ((1, 2), (1, 3), (2, 3))
    ]
    assert kappas == pytest.approx([0.8520, 0.8789, 0.8617], abs=5e-5)
    measures = trials(run, "pandalm", "human")["pandalm"]
    names = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
    assert [measures[name]["value"] for name in names] == pytest.approx([0.6677, 0.5738, 0.5750, 0.5743], abs=5e-5)
    assert measures["accuracy"]["n"] == 999
    ceiling = {each["name"]: each["value"] for each in measures["trial"]["people"]}
    assert ceiling["fleiss_kappa"] == pytest.approx(0.864, abs=5e-4)


def test_pandalms_people_prefer_by_majority_as_its_readme_counts(data_dir: Path, tmp_path: Path) -> None:
    run, folder = tmp_path / "run", data_dir / "pandalm/data"
    imported(run, "pandalm", folder / "testset-v1.json.gz", folder / "pandalm-7b-testset-v1.json")
    trial = trials(run, "pandalm", "human")["pandalm"]["trial"]
    labels = {label: sum(counts) for label, counts in zip(trial["labels"], trial["confusion"], strict=True)}
    assert labels == {"first": 422, "second": 472, "tie": 105}


# Auto-J, ScalerLab ---------------------------------------------------------------------------------------------------


def test_auto_js_agreement_and_consistency_come_out_as_published(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "auto-j/data"
    imported(tmp_path / "run", "auto-j", *sorted(folder.glob("test/*")), *sorted(folder.glob("outputs/*")))
    measures = trials(tmp_path / "run", "auto-j", "gold")["auto-j"]
    assert measures["both_orders_right"]["n"] == 1392
    assert 100 * measures["both_orders_right"]["value"] == pytest.approx(54.957, abs=5e-4)
    assert 100 * measures["consistency"]["value"] == pytest.approx(83.405, abs=5e-4)


@pytest.mark.parametrize(
    ("judge", "percent", "inconsistent"),
    [
        ("o1-mini-2024-09-12", 65.71, 110),
        ("Skywork/Skywork-Reward-Gemma-2-27B", 64.29, 3),
        ("internlm/internlm2-20b-reward", 63.43, 0),
    ],
)
def test_scalerlabs_judgebench_comes_out_as_published(
    data_dir: Path, tmp_path: Path, judge: str, percent: float, inconsistent: int
) -> None:
    imported(tmp_path / "run", "judgebench-scalerlab", *sorted((data_dir / "judgebench-scalerlab").glob("*/*.gz")))
    measures = trials(tmp_path / "run", judge, "gold")["judgebench-scalerlab"]
    assert 100 * measures["net_right"]["value"] == pytest.approx(percent, abs=5e-3)
    assert round(350 * measures["conflict_rate"]["value"]) == inconsistent


# Vicuna's 80 questions -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vicuna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of four imports: FastChat's reviews, FairEval's labels, QLoRA's and PRD's verdicts."""
    data_dir = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    if not data_dir.is_dir():
        pytest.skip(f"no recorded data in {data_dir}")
    run = tmp_path_factory.mktemp("vicuna") / "run"
    table = data_dir / "fastchat-vicuna80-gpt4-reviews/fastchat/eval/table"
    imported(run, "fastchat", *sorted(table.glob("*.jsonl")), *sorted(table.glob("*/**/*.jsonl")))
    imported(
        run, "faireval", *sorted((data_dir / "faireval").glob("**/*.jsonl")), *(data_dir / "faireval/review").glob("*")
    )
    qlora = data_dir / "qlora/eval"
    imported(run, "qlora", qlora / "prompts/vicuna_questions.jsonl", *sorted(qlora.glob("generations/vicuna/*")),
             *sorted(qlora.glob("ratings-gpt4/vicuna/*/*")))  # fmt: skip
    prd = data_dir / "prd/data/vicuna80"
    imported(run, "prd", *sorted(prd.glob("generations/*")), *sorted(prd.glob("ratings-*/*")))
    return run


SHORT = {
    "gpt-3.5-turbo:20230327": "chatgpt", "vicuna-13b:20230322-clean-lang": "vicuna", "bard:20230327": "bard",
    "gpt-4:20230520": "gpt-4", "claude:20230617": "claude", "alpaca-13b:v1": "alpaca", "llama-13b:v1": "llama",
}  # fmt: skip


def short(model: str) -> str:
    return SHORT.get(model, model.removesuffix("-vicuna-generations-topp0.9-temp0.7"))


def test_four_imports_are_one_suite_of_eighty_questions(vicuna: Path) -> None:
    manifest = json.loads((vicuna / "manifest.json").read_bytes())
    assert [record["items"] for record in manifest["suites"].values()] == [80]


@pytest.fixture(scope="module")
def summary(vicuna: Path) -> dict[str, Any]:
    return rated(vicuna)


def test_vicunas_total_scores_come_out_as_published(summary: dict[str, Any]) -> None:
    published = {"llama": (513.0, 694.0), "alpaca": (583.0, 704.0), "bard": (664.0, 655.5), "chatgpt": (693.0, 638.0)}
    sums = {}
    for row in summary["score_sums"]:
        pair = {short(row["left"]): row["left_sum"], short(row["right"]): row["right_sum"]}
        if row["judge"] == "gpt-4-0328" and "vicuna" in pair and row["n"] == 80:
            (other,) = pair.keys() - {"vicuna"}
            sums[other] = pair[other], pair["vicuna"]
    assert sums == published


def test_qloras_scores_relative_to_chatgpt_come_out_as_published(summary: dict[str, Any]) -> None:
    published = {
        "gpt-4": (110.11, 119.41, 114.49), "bard": (93.17, 96.36, 94.76), "vicuna": (91.21, 98.66, 94.87),
        "65b-guanaco": (96.65, 101.95, 99.26), "30b-guanaco": (96.46, 99.18, 97.82),
        "13b-guanaco": (87.34, 93.43, 90.39), "7b-guanaco": (84.06, 89.85, 86.97),
        "65b-alpaca": (63.00, 77.87, 70.66), "30b-alpaca": (67.24, 79.73, 73.65),
        "13b-alpaca": (63.76, 76.66, 70.53), "7b-alpaca": (57.33, 71.20, 64.43),
        "65b-flan": (37.01, 59.56, 48.44), "30b-flan": (26.28, 49.72, 38.03),
        "13b-flan": (32.42, 61.17, 47.00), "7b-flan": (33.29, 56.11, 44.81),
    }  # fmt: skip
    found: dict[str, dict[str, float]] = {}
    for row in summary["score_sums"]:
        sides = {short(row["left"]): "left", short(row["right"]): "right"}
        if row["judge"] == "gpt4" and "chatgpt" in sides:
            (system,) = sides.keys() - {"chatgpt"}
            order = {"either": "pooled", sides["chatgpt"]: "chatgpt"}.get(row["shown_first"], "system")
            found.setdefault(system, {})[order] = row[f"{sides[system]}_percent"]
    assert found.keys() == published.keys()
    for system, percents in published.items():
        ours = [found[system][order] for order in ("chatgpt", "system", "pooled")]
        assert ours == pytest.approx(percents, abs=0.0051), system


def test_qloras_elo_comes_out_at_k_4_with_each_order_a_game(data_dir: Path, tmp_path: Path) -> None:
    """The paper's Elo is a mean over random orders of games; `rate` goes over orders of questions."""
    published = {"gpt-4": 1348, "65b-guanaco": 1022, "30b-guanaco": 992, "vicuna": 974, "chatgpt": 966,
                 "13b-guanaco": 916, "bard": 902, "7b-guanaco": 879}  # fmt: skip
    run, folder = tmp_path / "run", data_dir / "qlora/eval"
    answers = sorted(folder.glob("generations/vicuna/answer_*"))
    imported(run, "qlora", *answers, *sorted(folder.glob("ratings-gpt4/vicuna/pairwise/*")))
    rated(run, "each")
    rows = [json.loads(line) for line in (run / "ratings.jsonl").read_text().splitlines()]
    elo = {
        short(row["model"]): row for row in rows
        if row["method"] == "online-elo" and row["judge"] == "gpt4" and row["rubric"].startswith("three-class")
    }  # fmt: skip
    assert sum(row["n"] for row in elo.values()) == 2 * 4467
    for system, rating in published.items():
        assert elo[system]["value"] == pytest.approx(rating, abs=3)
    held = Run(run)
    battles = [(game.left, game.right, game.score) for game in games_of(held, held.verdicts().values())[0]]
    assert len(battles) == 4467
    spread = {short(model): each.mean for model, each in shuffled_elo(battles, shuffles=1000).items()}
    assert spread == pytest.approx(published, abs=1.5)


@pytest.mark.parametrize(
    ("judge", "policy", "percents"),
    [
        ("gpt4", "half", {"gpt-4": 0.85625, "claude": 0.70859375, "vicuna": 0.3484375, "chatgpt": 0.3421875,
                          "bard": 0.24453125}),
        ("claude", "half", {"gpt-4": 0.77109375, "claude": 0.6703125, "vicuna": 0.39921875, "chatgpt": 0.32890625,
                            "bard": 0.33046875}),
        ("human@votes", "majority", {"gpt-4": 0.821875, "claude": 0.6890625, "vicuna": 0.3890625,
                                     "chatgpt": 0.3140625, "bard": 0.2859375}),
    ],
)  # fmt: skip
def test_prds_win_rates_come_out_as_printed(
    data_dir: Path, tmp_path: Path, judge: str, policy: str, percents: dict[str, float]
) -> None:
    prd = data_dir / "prd/data/vicuna80"
    imported(tmp_path / "run", "prd", *sorted(prd.glob("generations/*")), *sorted(prd.glob("ratings-*/*")))
    rated(tmp_path / "run", policy)
    found = {short(model): value for model, value in win_rates(tmp_path / "run", judge).items()}
    assert found == pytest.approx(percents, abs=1e-9)


def test_fairevals_people_prefer_as_published(summary: dict[str, Any]) -> None:
    (row,) = [row for row in summary["pairs"] if row["judge"] == "human@majority"]
    assert (short(row["left"]), row["wins"], row["losses"], row["ties"]) == ("chatgpt", 41, 25, 14)


@pytest.mark.parametrize(
    ("judge", "policy", "accuracy", "kappa", "conflicts"),
    [
        ("gpt-4-0328", "first", 0.5250, 0.2280, None),
        ("gpt4+two-grades", "first", 0.5500, 0.2502, 42),
        ("gpt4+two-grades", "second", 0.5000, 0.2195, 42),
        ("gpt4+two-grades", "score", 0.5625, 0.3028, 42),
        ("gpt4+three-class", "first", 0.5000, 0.1960, 34),
        ("gpt4+three-class", "second", 0.5125, 0.2525, 34),
        ("gpt4+three-class", "score", 0.4875, 0.2268, 34),
        ("claude", "first", 0.4125, 0.1011, 47),
        ("claude", "second", 0.5625, 0.2933, 47),
        ("claude", "score", 0.4500, 0.2152, 47),
    ],
)
def test_judges_against_fairevals_people_come_out_in_either_order_and_calibrated(
    vicuna: Path, judge: str, policy: str, accuracy: float, kappa: float, conflicts: int | None
) -> None:
    (measures,) = trials(vicuna, judge, "human@majority", policy).values()
    assert measures["accuracy"]["n"] == 80
    assert measures["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-9)
    assert measures["cohen_kappa"]["value"] == pytest.approx(kappa, abs=1e-4)
    if conflicts is not None:
        assert measures["conflict_rate"]["value"] == pytest.approx(conflicts / 80)


# Grades and exact scores ---------------------------------------------------------------------------------------------


def test_arena_bench_of_2023_comes_out_as_its_script_prints(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "arena-hard/data/arena-bench-v1"
    imported(tmp_path / "run", "arena-hard", folder / "question.jsonl", *sorted(folder.glob("*/*.gz")),
             flags=["--judge", "gpt-4"])  # fmt: skip
    found = {row["model"]: (round(row["value"], 3), row["n"]) for row in rated(tmp_path / "run")["grades"]}
    assert found == {"claude-2.1": (6.438, 299), "gpt-3.5-turbo-1106": (6.676, 299), "vicuna-33b-v1.3": (4.400, 295),
                     "gpt-4-0314": (8.549, 297), "palm-2-chat-bison-001": (3.252, 294)}  # fmt: skip


def test_evalplus_results_come_out_as_recorded(data_dir: Path, tmp_path: Path) -> None:
    files = sorted((data_dir / "evalplus/inferenced_output/humaneval").glob("*"))
    imported(tmp_path / "run", "evalplus", *files)
    found = {}
    for row in rated(tmp_path / "run")["accuracy"]:
        found["Instruct" in row["model"], row["dimension"]] = round(row["value"] * row["n"])
    assert found == {(True, "accuracy_base"): 105, (True, "accuracy"): 94, (False, "accuracy_base"): 45,
                     (False, "accuracy"): 39}  # fmt: skip
