"""Cells that lead to their items: what a judge took for what, and grades by skill, difficulty and domain."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from test_report_runs import made

from judgebench.ratings.resampling import Resample
from judgebench.report.behind import Behind
from judgebench.report.card_tables import card_tables
from judgebench.report.judged import groups
from judgebench.report.protocols import EVERY_CELL, SKILLS, levels_table, skills_table
from judgebench.report.tables import Cell
from judgebench.report.where import Place
from judgebench.runs import Journal, Run
from judgebench.stages.cards import card_rows, write_cards
from judgebench.stages.meta_eval import meta_evaluate
from judgebench.stages.rate import rate
from judgebench.stages.report import behind, read_summary, report, with_trials
from judgebench.stages.settings import Settings
from judgebench.types import Item, Verdict

FEW = Resample(50, 0)
SAID = {"first": (1.0, 0.0), "tie": (0.5, 0.5), "second": (0.0, 1.0)}
"""Label of a pair shown in order of name → its scores."""
DIFFICULTIES = ("easy", "hard", "")
DOMAINS = (["Food"], ["Food", "Law"], [])
WORDS = ("Logical_Robustness", "Factuality")


def person(run: Run, name: str) -> None:
    run.manifest["judges"][name] = {"backend": "imported", "id": name, "options": {}, "baseline": False, "rubrics": {}}
    run.save_manifest()


def truth(k: int) -> str:
    return ("first", "first", "tie", "second", "first")[k % 5]


def word(k: int) -> str:
    return ("first", "second", "tie", "second", "tie", "first", "first")[k % 7]


def paired(folder: Path, items: int) -> Run:
    """A run whose judge said `word` and a person `truth` of the two answers to every item, but for the last one."""
    run = made(folder, {"a": "", "b": ""}, items=range(items))
    with Journal(run.verdicts_file("j", "r")) as journal:
        for k in range(items):
            for swapped in (False, True):
                shown, scores = (("a", 0), ("b", 0)), SAID[word(k)]
                journal.append(
                    Verdict(suite="talk", item=str(k), rubric="r@1", judge="j", kind="preference",
                            shown=shown[::-1] if swapped else shown, scores=scores[::-1] if swapped else scores)
                )  # fmt: skip
    with Journal(run.verdicts_file("human@ann", "")) as journal:
        for k in range(items - 1):
            journal.append(Verdict(suite="talk", item=str(k), judge="human@ann", kind="preference",
                                   shown=(("a", 0), ("b", 0)), scores=SAID[truth(k)]))  # fmt: skip
    person(run, "human@ann")
    write_cards(run, meta_evaluate(run, ["j"], resample=FEW))
    rate(run, Settings())
    return run


def finder_of(run: Run) -> Behind:
    items = [(suite, item) for suite in run.manifest["suites"] for item in run.items(suite).values()]
    return behind(run, (items, run.answers().values(), run.verdicts().values()))


def confusion_of(run: Run, *, of: str = "pairs") -> list[list[Cell]]:
    """The counts of the confusion matrix in the run's report, row by row."""
    summary = read_summary(run)
    summary["cards"] = with_trials(run, card_rows(run, summary["verdicts"]))
    (group,) = [each for each in groups(summary) if each.judge == "j"]
    (table,) = [each for each in card_tables(summary, group) if each.title.endswith(f"{of} against human: confusion")]
    return [list(row[1:]) for row in table.rows]


def places_of(finder: Behind, cell: Cell) -> list[Place]:
    return [] if cell.where is None else finder.places(cell.where)


def listed(source: str, index: str, title: str) -> tuple[str, ...]:
    """The ids of the items to which the report's one link of this title leads, by way of the index."""
    numbers = set(re.findall(rf'href="report-items/index\.html#list-(\d+)" title="[\d,]+ items: {title}"', source))
    assert len(numbers) == 1, numbers
    lists = json.loads(re.search(r'id="lists">(.*?)</script>', index)[1])
    places = json.loads(re.search(r'id="places">(.*?)</script>', index)[1])["items"]
    ends = lists[int(numbers.pop())][1]
    found = [places[number] for a, b in zip(ends[::2], ends[1::2], strict=True) for number in range(a, b + 1)]
    return tuple(sorted(item for _, item, *_ in found))


def test_each_cell_of_a_confusion_matrix_leads_to_the_pairs_that_it_counts_and_to_no_others(tmp_path: Path) -> None:
    run = paired(tmp_path / "run", 36)
    finder, rows = finder_of(run), confusion_of(run)
    labels = ("second", "tie", "first")
    wanted: dict[tuple[str, str], set[Place]] = defaultdict(set)
    for k in range(35):
        wanted[truth(k), word(k)].add(("talk", str(k)))
    assert sum(len(each) for each in wanted.values()) == 35
    for right, cells in zip(labels, rows, strict=True):
        for said, cell in zip(labels, cells, strict=True):
            found = places_of(finder, cell)
            assert set(found) == wanted[right, said]
            assert cell.sort == len(found)
    assert len({cell.sort for cells in rows for cell in cells}) > 2


def test_a_cell_leads_to_the_items_that_the_card_counted_although_they_were_judged_anew_since(tmp_path: Path) -> None:
    run = paired(tmp_path / "run", 36)
    before = [[(cell.sort, places_of(finder_of(run), cell)) for cell in row] for row in confusion_of(run)]
    assert all(number == len(places) for row in before for number, places in row)
    with Journal(run.verdicts_file("human@ann", "")) as journal:
        for k in range(20):
            journal.append(Verdict(suite="talk", item=str(k), judge="human@ann", kind="preference",
                                   shown=(("a", 0), ("b", 0)), scores=(0.5, 0.5)))  # fmt: skip
    run = Run(run.path)
    rate(run, Settings())
    assert [[(cell.sort, places_of(finder_of(run), cell)) for cell in row] for row in confusion_of(run)] == before


def test_cells_lead_over_paged_items_to_exactly_what_they_count(tmp_path: Path) -> None:
    run = paired(tmp_path / "run", 230)
    report(run, quiet=True)
    pages = sorted(path.name for path in (run.path / "report-items").glob("page-*.html"))
    assert len(pages) > 2
    source = (run.path / "report.html").read_text(encoding="utf-8")
    index = (run.path / "report-items" / "index.html").read_text(encoding="utf-8")
    for right, said in (("first", "second"), ("first", "first"), ("second", "tie")):
        ids = tuple(sorted(str(k) for k in range(229) if (truth(k), word(k)) == (right, said)))
        title = rf"{right} by human, {said} by the judge · talk · overall · j · r@1"
        assert len(ids) > 5
        assert listed(source, index, title) == ids
        counts = re.findall(rf'title="([\d,]+) items: {title}">([\d,]+)</a>', source)
        assert counts == [(str(len(ids)), str(len(ids)))]


def level(k: int) -> float:
    return float(1 + (k * 7) % 4)


def graded(folder: Path, items: int) -> Run:
    """A run whose judge graded one model by two skills: N/A on every fifth item, nothing of the second on odd ones."""
    run = made(folder, {"a": ""}, items=range(items), rubric="skills@1")
    run.manifest["rubrics"]["skills@1"] |= {
        "mode": "pointwise", "dimensions": dict.fromkeys(WORDS, ""), "scale": [1, 5], "dimensions_from": "skill",
    }  # fmt: skip
    run.save_manifest()
    asked = [
        Item(id=str(k), turns=(f"talk {k}?",),
             meta={"difficulty": DIFFICULTIES[k % 3], "domain": DOMAINS[k // 3 % 3], "skill": list(WORDS)})
        for k in range(items)
    ]  # fmt: skip
    run.save_items("talk", asked)
    run.verdicts_file("j", "skills").unlink(missing_ok=True)
    with Journal(run.verdicts_file("j", "skills")) as journal:
        for k in range(items):
            for skill in WORDS if k % 2 == 0 else WORDS[:1]:
                scores = () if k % 5 == 0 else (level(k),)
                journal.append(Verdict(suite="talk", item=str(k), judge="j", rubric="skills@1", dimension=skill,
                                       shown=(("a", 0),), scale=(1.0, 5.0), scores=scores,
                                       error="" if scores else "not applicable: N/A"))  # fmt: skip
    rate(run, Settings())
    return run


def of_cell(k: int, skill: str, place: dict[str, str]) -> bool:
    """Whether an item's grade by a skill counts in a cell."""
    domains = DOMAINS[k // 3 % 3] or [""]
    return (
        (k % 2 == 0 or skill == WORDS[0])
        and place.get("skill", skill.replace("_", " ").lower()) == skill.replace("_", " ").lower()
        and place.get("difficulty", DIFFICULTIES[k % 3]) == DIFFICULTIES[k % 3]
        and place.get("domain", domains[0]) in domains
    )


@pytest.mark.parametrize("by", [*SKILLS, EVERY_CELL])
def test_grades_by_skill_difficulty_and_domain_lead_to_the_items_that_they_count(tmp_path: Path, by: str) -> None:
    run = graded(tmp_path / "run", 45)
    finder, summary = finder_of(run), read_summary(run)
    (group,) = [each for each in groups(summary) if each.judge == "j"]
    table = skills_table(summary, group, by)
    fields = ("skill", "difficulty", "domain") if by == EVERY_CELL else (by,)
    assert len(table.rows) == {"skill": 2, "difficulty": 3, "domain": 3, EVERY_CELL: 18}[by]
    for row in table.rows:
        place = {name: "" if cell.text == "not said" else cell.text for name, cell in zip(fields, row, strict=False)}
        grades = [(k, k % 5 != 0) for k in range(45) for skill in WORDS if of_cell(k, skill, place)]
        mean, count, questions, without = row[len(fields) + 1 :]
        assert count.sort == sum(read for _, read in grades)
        assert without.sort == sum(not read for _, read in grades)
        for cell, wanted in ((mean, True), (count, True), (questions, True), (without, False)):
            assert {int(item) for _, item in places_of(finder, cell)} == {k for k, read in grades if read is wanted}
        assert questions.sort == len(places_of(finder, questions))


def test_a_number_by_difficulty_leads_over_paged_items_to_its_questions(tmp_path: Path) -> None:
    run = graded(tmp_path / "run", 240)
    report(run, quiet=True)
    assert len(list((run.path / "report-items").glob("page-*.html"))) > 2
    source = (run.path / "report.html").read_text(encoding="utf-8")
    index = (run.path / "report-items" / "index.html").read_text(encoding="utf-8")
    for cell, said in (({"difficulty": "hard"}, "difficulty hard"), ({"difficulty": ""}, "difficulty not said"),
                       ({"skill": "factuality", "difficulty": "easy", "domain": "Law"},
                        "skill factuality, difficulty easy, domain Law")):  # fmt: skip
        for what, read in (("scored", True), ("not applicable or unread", False)):
            ids = {k for k in range(240) for skill in WORDS if of_cell(k, skill, cell) and (k % 5 != 0) is read}
            title = f"grades, {what} · a · {said} · talk · j · skills@1"
            assert listed(source, index, title) == tuple(sorted(map(str, ids)))
            assert ids


def test_a_confusion_of_grades_leads_to_the_items_of_every_level(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"a": ""}, items=range(20), rubric="g@1")
    run.manifest["rubrics"]["g@1"] |= {"mode": "pointwise", "scale": [1, 5]}
    person(run, "human@ann")

    def grades(judge: str, rubric: str, shift: int) -> None:
        with Journal(run.verdicts_file(judge, rubric.partition("@")[0])) as journal:
            for k in range(20):
                journal.append(Verdict(suite="talk", item=str(k), judge=judge, rubric=rubric, shown=(("a", 0),),
                                       scale=(1.0, 5.0), scores=(level(k // shift),)))  # fmt: skip

    run.verdicts_file("j", "g").unlink(missing_ok=True)
    grades("j", "g@1", 1)
    grades("human@ann", "", 2)
    write_cards(run, meta_evaluate(run, ["j"], resample=FEW))
    rate(run, Settings())
    finder, rows = finder_of(run), confusion_of(run, of="grades")
    found: dict[str, Any] = {}
    for right, cells in zip(range(1, 5), rows, strict=True):
        for said, cell in zip(range(1, 5), cells, strict=True):
            found[f"{right}{said}"] = {int(item) for _, item in places_of(finder, cell)}
            assert cell.sort == len(found[f"{right}{said}"])
            assert found[f"{right}{said}"] == {k for k in range(20) if (level(k // 2), level(k)) == (right, said)}
    assert sum(map(len, found.values())) == 20


def test_each_level_of_a_scale_leads_to_the_items_that_were_given_it_and_grades_between_levels_to_theirs(
    tmp_path: Path,
) -> None:
    run = made(tmp_path / "run", {"a": "", "b": ""}, items=range(20), rubric="six@1")
    run.manifest["rubrics"]["six@1"] |= {"mode": "pointwise", "scale": [1, 4], "levels": dict.fromkeys("1234", "")}
    run.save_manifest()
    run.verdicts_file("j", "six").unlink()
    with Journal(run.verdicts_file("j", "six")) as journal:
        for shift, model in enumerate("ab"):
            for k in range(20):
                scores = () if k == 19 else (2.5,) if k % 6 == 5 else (level(k + shift),)
                journal.append(Verdict(suite="talk", item=str(k), judge="j", rubric="six@1", shown=((model, 0),),
                                       scale=(1.0, 4.0), scores=scores,
                                       error="" if scores else "unreadable: x"))  # fmt: skip
    rate(run, Settings())
    finder, summary = finder_of(run), read_summary(run)
    (group,) = [each for each in groups(summary) if each.judge == "j"]
    table = levels_table(summary, group)
    names = [column.title for column in table.columns]
    assert names[2:] == ["4", "3", "2", "1", "between levels", "Unscored"]
    for shift, row in enumerate(table.rows):
        for name, cell in zip(names[2:], row[2:], strict=True):
            given = [k for k in range(20) if k != 19 and (name == "between levels") == (k % 6 == 5)]
            given = (
                [19]
                if name == "Unscored"
                else [k for k in given if name in ("between levels", f"{level(k + shift):g}")]
            )
            assert [int(item) for _, item in places_of(finder, cell)] == given
            assert cell.sort == len(given)


def test_a_judge_cards_own_numbers_lead_to_what_both_judged_and_measures_of_nothing_nowhere(tmp_path: Path) -> None:
    run = paired(tmp_path / "run", 12)
    summary = read_summary(run)
    summary["cards"] = with_trials(run, card_rows(run, summary["verdicts"]))
    (group,) = [each for each in groups(summary) if each.judge == "j"]
    table, finder = card_tables(summary, group)[0], finder_of(run)
    assert {len(places_of(finder, row[1])) for row in table.rows if row[2].sort} == {11}
    assert all(row[1].where is None for row in table.rows if not row[2].sort)
    assert {bool(row[2].sort) for row in table.rows} == {True, False}
