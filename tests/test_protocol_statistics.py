"""The protocols' own statistics, from scripted judges by the shipped rubrics to every report."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import judgebench
from judgebench.report.protocols import BATTLES, EVIDENCE, protocol_tables
from judgebench.report.terminal import print_summary
from judgebench.runs import Journal, Run
from judgebench.stages.rate import rate
from judgebench.types import Answer, Item, Verdict

SUITE = """name: talk
license: Apache-2.0
items:
  - id: "1"
    turns: [Say hello]
    reference: [Good day]
    meta:
      skill: [Factuality, Harmlessness]
      difficulty: simple
      domain: [Everyday, Food]
      checklist: [Is it polite?, Is it short?, Is it true?]
  - id: "2"
    turns: [Name a fruit]
    reference: [Apple]
    meta: {skill: [Factuality], difficulty: expert, domain: [Food], checklist: [Is it a fruit?]}
"""
LOOSE = judgebench.Settings(max_unscored=1.0)
Chat = list[dict[str, str]]


@pytest.fixture
def talk(tmp_path: Path) -> str:
    path = tmp_path / "talk.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return str(path)


def good(chat: Chat) -> str:
    return "Good day, an apple."


def poor(chat: Chat) -> str:
    return "Hm."


def judged(path: Path, talk: str, rubric: str, judge: Any, **settings: Any) -> judgebench.Results:
    chosen = judgebench.Settings(max_unscored=1.0, **settings)
    return judgebench.run(
        path, suite=[talk], model={"a": good, "b": poor}, judge={"j": judge}, rubric=[rubric], settings=chosen
    )


def reports(found: judgebench.Results) -> dict[str, str]:
    """What each report says, the page without its markup."""
    raw = io.StringIO()
    print_summary(found.summary, Console(file=raw, width=80))
    page = (found.path / "report.html").read_text()
    return {
        "terminal": raw.getvalue(), "markdown": (found.path / "report.md").read_text(),
        "html": re.sub(r"<[^>]*>", " ", page),
    }  # fmt: skip


def first_is_good(prompt: str) -> bool:
    return prompt.find("Good day, an apple.") < prompt.find("Hm.")


def five_levels(chat: Chat) -> str:
    prompt = chat[-1]["content"]
    if "Name a fruit" in prompt:
        return "[[A=B]]"
    return "[[A>>B]]" if first_is_good(prompt) else "[[A>B]]"


def test_arena_hards_score_weighs_a_significant_win_as_three_whatever_the_swap_policy(
    tmp_path: Path, talk: str
) -> None:
    found = judged(tmp_path / "r", talk, "arena-hard", five_levels, baseline="b")
    (row,) = found.summary["protocols"]["battles"]
    assert (row["model"], row["baseline"]) == ("a", "b")
    assert row["score"] == pytest.approx((3 * 1 + 0 + 0.5 + 0.5) / 6)
    assert (row["battles"], row["expanded"], row["clusters"], row["unread"]) == (4, 6.0, 2, 0)
    assert [pair["win_rate"] for pair in found.summary["pairs"]] == [0.5]
    for said in reports(found).values():
        assert "0.667" in said
        assert "a – b" in said
        assert "count A>>B as they count A>B" in " ".join(said.replace("&gt;", ">").split())


def test_an_unread_battle_is_left_out_of_arena_hards_score_and_counted(tmp_path: Path, talk: str) -> None:
    def judge(chat: Chat) -> str:
        return "I refuse." if "Name a fruit" in chat[-1]["content"] else five_levels(chat)

    (row,) = judged(tmp_path / "r", talk, "arena-hard", judge, baseline="b").summary["protocols"]["battles"]
    assert (row["score"], row["battles"], row["unread"]) == (0.75, 2, 2)


def evidence(chat: Chat) -> str:
    prompt = chat[-1]["content"]
    if "Name a fruit" in prompt:
        one, other = (7, 7)
    else:
        one, other = (9, 3) if first_is_good(prompt) else (6, 5)
    return f"Evaluation evidence: …\nScore of the Assistant 1: {one}\nScore of the Assistant 2: {other}"


def test_fairevals_calibrated_outcome_conflicts_and_items_for_people_are_printed(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "evidence-pair", evidence)
    (row,) = found.summary["protocols"]["evidence"]
    assert (row["wins"], row["ties"], row["losses"], row["without"]) == (1, 1, 0, 0)
    assert (row["conflict_rate"], row["both_orders"]) == (0.5, 2)
    assert row["bpde"] == pytest.approx((0.6309297535714574 + 0) / 2)
    assert row["for_people"] == []
    assert not found.summary["protocols"]["battles"]
    for said in reports(found).values():
        assert "1 / 1 / 0" in said
        assert "0.315" in said


def test_one_sample_in_one_order_has_no_entropy_and_picks_nobody_for_people(tmp_path: Path, talk: str) -> None:
    (row,) = judged(tmp_path / "r", talk, "evidence-pair", evidence, orders="one").summary["protocols"]["evidence"]
    assert (row["bpde"], row["conflict_rate"], row["for_people"], row["samples"]) == (None, None, [], 2)


def lima(chat: Chat) -> str:
    if "Name a fruit" in chat[-1]["content"]:
        return "[[C]]"
    return "[[A]]" if first_is_good(chat[-1]["content"]) else "[[B]]"


def test_limas_shares_of_win_tie_and_loss_and_of_equal_or_better_are_printed(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "lima-pairwise", lima)
    (row,) = found.summary["protocols"]["preferences"]
    assert (row["win"], row["tie"], row["loss"], row["equal_or_better"]) == (0.5, 0.5, 0.0, 1.0)
    assert (row["n"], row["clusters"]) == (2, 2)
    assert row["equal_or_better_low"] < 0.5  # two questions show little
    for said in reports(found).values():
        assert "equal or better" in said.lower()


def tick(chat: Chat) -> str:
    prompt = chat[-1]["content"]
    if "Is it true?" in prompt:
        return "Who knows."
    return "[[NO]]" if "Hm." in prompt or "Is it short?" in prompt else "[[YES]]"


def test_a_checklists_micro_macro_and_all_pass_shares_leave_out_what_was_not_read(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "checklist-tick", tick)
    rows = {row["model"]: row for row in found.summary["protocols"]["checklists"]}
    mine = rows["a"]
    assert (mine["met"], mine["questions"], mine["unread"]) == (2, 3, 1)
    assert (mine["micro"], mine["macro"], mine["all_pass"]) == pytest.approx((2 / 3, 0.75, 1.0))
    assert rows["b"]["micro"] == 0
    for said in reports(found).values():
        assert "0.667" in said
        assert "DRFR" in said


def flask(chat: Chat) -> str:
    prompt = chat[-1]["content"]
    if "Name a fruit" in prompt:
        return "{'Factuality': 5}" if "an apple" in prompt else "It is nothing."
    return "{'Factuality': 3, 'Harmlessness': 'N/A'}"


def test_flasks_grades_are_broken_down_by_skill_difficulty_domain_and_all_three(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "flask", flask)
    rows = found.summary["protocols"]["skills"]
    mine = {(row["by"], row["skill"], row["difficulty"], row["domain"]): row for row in rows if row["model"] == "a"}
    assert mine["skill", "factuality", "", ""]["mean"] == 4
    assert mine["skill", "harmlessness", "", ""]["not_applicable"] == 1
    assert mine["skill", "harmlessness", "", ""]["mean"] is None
    assert mine["difficulty", "", "simple", ""]["mean"] == 3
    assert mine["domain", "", "", "Food"]["n"] == 2
    assert mine["domain", "", "", "Everyday"]["mean"] == 3
    assert mine["skill, difficulty and domain", "factuality", "expert", "Food"]["mean"] == 5
    said = reports(found)
    for text in said.values():
        assert "Grades by skill" in text
        assert "Grades by difficulty" in text
        assert "Grades by domain" in text
    assert "Grades by skill, difficulty and domain" in said["html"]


def levels(chat: Chat) -> str:
    prompt = chat[-1]["content"]
    if "Hm." in prompt:
        return "[[D]]" if "Name a fruit" in prompt else "No."
    return "[[B]]" if "Name a fruit" in prompt else "[[A]]"


def test_self_instructs_levels_are_counted_and_a_or_b_is_a_share_of_the_read(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "ordinal-4", levels)
    rows = {row["model"]: row for row in found.summary["protocols"]["levels"]}
    assert rows["a"]["counts"] == {"A": 1, "B": 1, "C": 0, "D": 0}
    assert (rows["a"]["acceptable"], rows["b"]["acceptable"]) == (1.0, 0.0)
    assert (rows["b"]["n"], rows["b"]["unscored"]) == (1, 1)
    for said in reports(found).values():
        assert "A or B" in said


def test_limas_six_levels_are_counted_without_a_share_that_nobody_published(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "helpfulness-6", lambda chat: "Rating: [[4]]")
    assert {row["acceptable"] for row in found.summary["protocols"]["levels"]} == {None}
    assert found.summary["protocols"]["levels"][0]["counts"]["4"] == 2
    assert all("A or B" not in said for said in reports(found).values())


def test_a_run_without_such_verdicts_shows_no_such_table(tmp_path: Path, talk: str) -> None:
    found = judged(tmp_path / "r", talk, "pairwise-mtbench", lambda chat: "[[A]]")
    assert not any(found.summary["protocols"].values())
    assert not any(title in said for said in reports(found).values() for title in (BATTLES, EVIDENCE))


def test_imported_battles_are_against_the_model_that_all_met(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", create=True)
    rubric = "arena-hard@0123456789ab"
    run.manifest["judges"]["j"] = {
        "backend": "imported", "id": "j", "options": {}, "baseline": False,
        "rubrics": {"arena-hard": {"id": rubric, "orders": "both", "without_reference": {}}},
    }  # fmt: skip
    run.manifest["rubrics"][rubric] = {"name": "arena-hard", "mode": "pairwise", "dimensions": {"overall": ""}}
    run.save_items("s", [Item(id="1", turns=("?",))])
    run.manifest["suites"]["s"] = {
        "version": "1", "items": 1, "available": 1, "scorer": "", "missing": [], "license": "", "about": "",
        "notes": [],
    }  # fmt: skip
    for model in ("base", "x", "y"):
        run.manifest["models"][model] = {"backend": "imported", "id": model, "options": {}}
        with Journal(run.answers_file(model)) as journal:
            journal.append(Answer(suite="s", item="1", model=model, turns=("words",), finish=("stop",)))
    with Journal(run.verdicts_file("j", "arena-hard")) as journal:
        for model, points in (("x", (0.0, 3.0)), ("y", (1.0, 0.0))):
            for shown, scores in ((("base", model), points), ((model, "base"), points[::-1])):
                journal.append(
                    Verdict(
                        suite="s", item="1", judge="j", rubric=rubric, kind="grade", scale=(0.0, 3.0), scores=scores,
                        shown=tuple((name, 0) for name in shown),
                    )
                )  # fmt: skip
    run.save_manifest()
    rows = rate(Run(tmp_path / "r"), LOOSE)["protocols"]["battles"]
    assert [(row["model"], row["baseline"], row["score"], row["expanded"]) for row in rows] == [
        ("x", "base", 1.0, 6.0), ("y", "base", 0.0, 2.0),
    ]  # fmt: skip


def test_no_protocol_table_is_wider_than_a_terminal(tmp_path: Path, talk: str) -> None:
    judges: dict[str, Any] = {"checklist-tick": tick, "arena-hard": five_levels, "evidence-pair": evidence}
    for rubric, judge in {**judges, "lima-pairwise": lima, "flask": flask, "ordinal-4": levels}.items():
        found = judged(tmp_path / rubric, talk, rubric, judge)
        assert max(map(len, reports(found)["terminal"].splitlines())) <= 80
        from judgebench.report.judged import groups

        assert any(protocol_tables(found.summary, group) for group in groups(found.summary))
