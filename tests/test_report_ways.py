"""From every number down to its items: the list behind a number holds exactly what was counted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_report_bad_input import reported
from test_report_html import ALLOWED, Page
from test_report_runs import ITEMS, made, right

from judgebench.cli import main
from judgebench.report import exact, heat, judge_record, overview
from judgebench.report.behind import Behind
from judgebench.report.brief import brief_table
from judgebench.report.calibrated import calibrated_table
from judgebench.report.judged import groups, leaderboard
from judgebench.report.tables import Cell, Table
from judgebench.report.ways import Ways, compact, data
from judgebench.report.where import Where
from judgebench.runs import Journal, Run
from judgebench.stages.rate import rate
from judgebench.stages.report import behind, read_summary, report
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Verdict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three models with flips, ties, unreadable orders, cut-off, failed and missing answers, unextracted scores."""
    run = made(tmp_path_factory.mktemp("ways") / "run", {"base": "", "first": "", "second": ""})
    with Journal(run.answers_file("base")) as journal:
        for k in (1, 2, 3):
            journal.append(Answer(suite="sums", item=str(k), model="base", turns=("cut",), finish=("length",)))
        journal.append(Answer(suite="sums", item="4", model="base", error="timeout: 60 s"))
    with Journal(run.verdicts_file("exact@number", "")) as journal:
        for k in (5, 6):
            journal.append(Verdict(suite="sums", item=str(k), judge="exact@number", dimension="accuracy",
                                   shown=(("base", 0),), scores=(0.0,), error="unextracted: no number"))  # fmt: skip
        journal.append(Verdict(suite="sums", item="7", judge="exact@number", dimension="accuracy",
                               shown=(("base", 0),), error="timeout: 60 s"))  # fmt: skip
    order = ("first", 0), ("base", 0)
    with Journal(run.verdicts_file("j", "r")) as journal:
        for k, scores in ((8, (0.0, 1.0)), (9, ()), (10, (0.0, 1.0))):
            journal.append(Verdict(suite="talk", item=str(k), rubric="r@1", judge="j", kind="preference", shown=order,
                                   scores=scores, error="" if scores else "unreadable: no verdict"))  # fmt: skip
        for k in (8, 10):
            journal.append(Verdict(suite="talk", item=str(k), rubric="r@1", judge="j", kind="preference",
                                   shown=order[::-1], scores=(0.0, 1.0)))  # fmt: skip
    rate(run, Settings())
    return run


@pytest.fixture(scope="module")
def summary(run: Run) -> dict[str, Any]:
    return read_summary(run)


@pytest.fixture(scope="module")
def finder(run: Run) -> Behind:
    items = [(suite, item) for suite in run.manifest["suites"] for item in run.items(suite).values()]
    return behind(run, (items, run.answers().values(), run.verdicts().values()))


def cells(table: Table, *titles: str) -> list[Cell]:
    places = [place for place, column in enumerate(table.columns) if column.title in titles]
    assert len(places) == len(titles)
    return [row[place] for row in table.rows for place in places]


def behind_each(finder: Behind, found: list[Cell]) -> list[tuple[float | None, int]]:
    return [(cell.sort, len(finder.places(cell.where))) for cell in found if cell.where is not None]


def test_counts_of_answers_and_exact_scores_lead_to_as_many_items(finder: Behind, summary: dict[str, Any]) -> None:
    answers = cells(overview.answers_table(summary), "Planned", "Answered", "Failed", "Unfinished", "Truncated")
    scores = cells(exact.accuracy_table(summary), "Questions", "Extraction rate", "Unextracted", "Truncated")
    pairs = behind_each(finder, answers) + behind_each(finder, scores)
    assert all(counted == held for counted, held in pairs)
    assert {counted for counted, _ in pairs} >= {0, 1, 2, 3, ITEMS}
    cut = next(cell for cell in answers if cell.sort == 3)
    assert finder.places(cut.where) == [("sums", "1"), ("sums", "2"), ("sums", "3")]


def test_wins_ties_losses_and_games_left_out_of_every_pair_lead_to_as_many_items(
    finder: Behind, summary: dict[str, Any]
) -> None:
    (group,) = groups(summary)
    table = judge_record.pairs_table(summary, group)
    pairs = behind_each(finder, cells(table, "Wins", "Ties", "Losses", "Left out", "Games", "Questions"))
    assert len(pairs) == 18
    assert all(counted == held for counted, held in pairs)
    (left_out,) = [cell for cell in cells(table, "Left out") if cell.sort]
    assert finder.places(left_out.where) == [("talk", "9")]


def test_flips_conflicts_and_unscored_verdicts_lead_to_their_items(finder: Behind, summary: dict[str, Any]) -> None:
    (group,) = groups(summary)
    bias = judge_record.bias_table(summary, group)
    (flips,) = cells(bias, "Flips")
    assert flips.sort == len(finder.places(flips.where)) == 2
    assert finder.places(flips.where) == [("talk", "8"), ("talk", "10")]
    assert set(finder.places(cells(bias, "Conflict rate")[0].where)) >= set(finder.places(flips.where))
    verdicts = judge_record.verdicts_table(summary, group)
    assert finder.places(cells(verdicts, "Unscored")[0].where) == [("talk", "9")]
    for title in ("First order", "Second order"):
        assert len(finder.places(cells(verdicts, title)[0].where)) == ITEMS


def test_headline_counts_a_models_row_and_the_leaderboard_lead_to_items(
    finder: Behind, summary: dict[str, Any]
) -> None:
    tiles = {entry.label: entry for entry in overview.headline_counts(summary)}
    for label, ids in (("unextracted", {"5", "6"}), ("unreadable", {"9"}), ("answers truncated", {"1", "2", "3"})):
        assert {item for _, item in finder.places(tiles[label].where)} == ids
    (group,) = groups(summary)
    for board in (leaderboard(summary, group, "overall"), brief_table(summary)):
        linked = [cell for row in board.rows for cell in row if cell.where is not None]
        assert len(linked) >= 6
        assert all(finder.places(cell.where) for cell in linked)


def test_what_is_right_and_not_right_parts_what_was_scored(finder: Behind) -> None:
    def held(what: str) -> set[tuple[str, str]]:
        return set(finder.places(Where(of="exact", what=what, suite="sums", model="second")))

    assert held("right") == {("sums", str(k)) for k in range(ITEMS) if right("second", k)}
    assert held("right") | held("not right") == held("scored")
    assert not held("right") & held("not right")


def test_a_run_that_fits_one_page_filters_its_own_items_and_every_link_has_a_target_without_a_script(
    run: Run, summary: dict[str, Any]
) -> None:
    report(run, quiet=True)
    source = (run.path / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    ways = [attributes for tag, attributes in page.elements if tag == "a" and attributes.get("class") == "way"]
    assert len(ways) > 60
    assert {attributes["href"][1:] for attributes in ways} <= ids
    lists = json.loads(re.search(r'id="lists">(.*?)</script>', source)[1])
    for attributes in ways:
        runs = lists[int(attributes["data-list"])][1]
        count = sum(last - first + 1 for first, last in zip(runs[::2], runs[1::2], strict=True))
        assert attributes["title"].startswith(f"{count:,} items: ")
    assert {tag for tag, _ in page.elements} <= ALLOWED
    assert not (run.path / "report-items").exists()


def test_a_larger_run_leads_to_lists_on_the_index_which_lead_to_pages(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "<b>", "first": ""}, items=range(60))
    rate(run, Settings())
    report(run, quiet=True)
    source = (run.path / "report.html").read_text(encoding="utf-8")
    index = (run.path / "report-items" / "index.html").read_text(encoding="utf-8")
    page = Page(index)
    lists = json.loads(re.search(r'id="lists">(.*?)</script>', index)[1])
    places = json.loads(re.search(r'id="places">(.*?)</script>', index)[1])
    assert len(places["items"]) == 120
    targets = re.findall(r'href="report-items/index\.html#list-(\d+)"', source)
    assert len(targets) > 40
    assert max(map(int, targets)) < len(lists)
    for _, runs in lists:
        assert runs[0] >= 0
        assert runs[-1] < len(places["items"])
    for number in (0, 59, 60, 119):
        _, item, place, _, _ = places["items"][number]
        text = (run.path / "report-items" / places["pages"][place]).read_text(encoding="utf-8")
        (card,) = re.findall(rf'<details class="card" id="item-{number}".*?</b>', text)
        assert card.endswith(f"<b>{item}</b>")
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert links == {"../report.html", *places["pages"]}


def test_a_heat_map_cell_leads_to_the_pairs_items_and_forty_models_get_small_cells(
    finder: Behind, summary: dict[str, Any]
) -> None:
    (group,) = groups(summary)
    ways = Ways(finder, [("talk", str(k)) for k in range(ITEMS)], "index.html")
    few = heat.heat_map(summary, group, "overall", ways)
    assert few is not None
    assert few.count('class="way"') == 6
    names = [f"model-{number:02d}" for number in range(40)]
    pair = summary["pairs"][0]
    many = {**summary, "pairs": [{**pair, "left": a, "right": b} for a in names for b in names if a < b], "ratings": []}
    large = heat.heat_map(many, group, "overall")
    assert large is not None
    assert 'class="heat large"' in large
    assert "games" not in large
    assert len(large) < 200_000


def test_data_on_a_page_can_end_no_element_and_is_ascii() -> None:
    hostile = "</script><script>alert(1)</script><!-- \u2028 \ud800 &amp;"
    written = data("x", [hostile])
    assert written.count("<") == 2
    assert written.isascii()
    inside = written.partition(">")[2].rpartition("<")[0]
    assert json.loads(inside) == [hostile]


def test_numbers_become_runs_and_nothing_is_lost() -> None:
    numbers = [0, 1, 2, 5, 9, 10]
    runs = compact(numbers)
    assert [n for a, b in zip(runs[::2], runs[1::2], strict=True) for n in range(a, b + 1)] == numbers


def test_a_judge_card_stands_in_the_report_and_its_counts_lead_to_what_people_judged_too(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "", "first": ""})
    run.manifest["judges"]["human@ann"] = {"backend": "imported", "id": "human@ann", "options": {}, "baseline": False,
                                           "rubrics": {}, "sample": "random"}  # fmt: skip
    run.save_manifest()
    with Journal(run.verdicts_file("human@ann", "")) as journal:
        for k in range(12):
            scores = float(k % 2), float(1 - k % 2)
            journal.append(Verdict(suite="talk", item=str(k), judge="human@ann", kind="preference", rubric="r@1",
                                   shown=(("base", 0), ("first", 0)), scores=scores))  # fmt: skip
    assert main(["meta-eval", str(run.path), "--judge", "j"]) == 0
    _, page = reported(run)
    assert "Judge card: what the judge is worth against people" in page.text
    assert "talk · overall · pairs against" in page.text
    titles = {attributes.get("title") or "" for tag, attributes in page.elements if tag == "a"}
    assert any(title.startswith("12 items: judged by people or gold labels too") for title in titles)


def test_people_and_judge_stand_beside_one_another_once_a_run_is_calibrated(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "", "first": ""})
    run.manifest["judges"]["human@ann"] = {"backend": "imported", "id": "human@ann", "options": {}, "baseline": False,
                                           "rubrics": {}, "sample": "random"}  # fmt: skip
    run.save_manifest()
    with Journal(run.verdicts_file("human@ann", "")) as journal:
        for k in range(20):
            scores = right("base", k), 1 - right("base", k)
            journal.append(Verdict(suite="talk", item=str(k), judge="human@ann", kind="preference",
                                   shown=(("base", 0), ("first", 0)), scores=scores))  # fmt: skip
    assert main(["rate", str(run.path), "--calibrate", "human", "--quiet", "--max-unscored", "1"]) == 0
    report(run, quiet=True)
    page = Page((run.path / "report.html").read_text(encoding="utf-8"))
    assert "Judge and people" in page.text
    (row,) = [row for row in json.loads((run.path / "calibrated.json").read_text()) if row["model"] == "base"]
    for prefix in ("people_win_rate", "win_rate"):
        assert f"{row[prefix]:.3f} [" in page.text
    summary = read_summary(run)
    (judge,) = [r for r in summary["ratings"] if (r["model"], r["method"], r["judge"]) == ("base", "win-rate", "j")]
    board = calibrated_table({**summary, "calibrated": [row]}, groups(summary)[-1])
    assert cells(board, "Judge alone [95 % interval]")[0].sort == judge["value"]
    assert cells(board, "Games")[0].sort == judge["n"] == ITEMS
    assert "holds other verdicts now" not in page.text
    titles = {attributes.get("title") or "" for tag, attributes in page.elements if tag == "a"}
    assert any(title.startswith("20 items: judged by people or gold labels too · base") for title in titles)
    assert "Judge and people" in (run.path / "report.md").read_text(encoding="utf-8")
    with Journal(run.verdicts_file("j", "r")) as journal:
        for shown in ((("base", 0), ("first", 0)), (("first", 0), ("base", 0))):
            journal.append(Verdict(suite="talk", item="3", rubric="r@1", judge="j", kind="preference", shown=shown,
                                   error="unreadable: no verdict"))  # fmt: skip
    rate(run, Settings())
    report(run, quiet=True)
    assert "holds other verdicts now" in (run.path / "report.html").read_text(encoding="utf-8")


def test_labels_lead_to_the_pairs_of_that_model_and_dimension_that_people_scored_and_to_no_others(
    tmp_path: Path,
) -> None:
    run = made(tmp_path / "run", {"base": "", "first": "", "second": ""})
    for name in ("ann", "bob"):
        run.manifest["judges"][f"human@{name}"] = {"backend": "imported", "id": name, "options": {}, "baseline": False,
                                                   "rubrics": {}, "sample": "random"}  # fmt: skip
    run.save_manifest()

    def labels(who: str, left: str, other: str, ks: range, *, dimension: str = "overall", error: str = "") -> None:
        with Journal(run.verdicts_file(who, "")) as journal:
            for k in ks:
                scores = () if error else (float(k % 2), float(1 - k % 2))
                journal.append(Verdict(suite="talk", item=str(k), judge=who, kind="preference", dimension=dimension,
                                       shown=((left, 0), (other, 0)), scores=scores, error=error))  # fmt: skip

    labels("human@ann", "base", "first", range(12))
    labels("human@ann", "base", "second", range(12, 19))
    labels("human@ann", "first", "second", range(20, 24), error="skipped: cannot tell")
    labels("human@ann", "first", "second", range(24, 28), dimension="tone")
    labels("human@bob", "first", "second", range(30, 40))
    run = Run(run.path)
    assert main(["rate", str(run.path), "--calibrate", "human@ann", "--quiet", "--max-unscored", "1"]) == 0
    rows = json.loads((run.path / "calibrated.json").read_text())
    summary = {**read_summary(run), "calibrated": rows}
    items = [(suite, item) for suite in run.manifest["suites"] for item in run.items(suite).values()]
    finder = behind(run, (items, run.answers().values(), run.verdicts().values()))
    (group,) = [group for group in groups(summary) if group.judge == "j"]
    board = calibrated_table(summary, group)
    wanted = {"base": {*range(19)}, "first": {*range(12)}, "second": {*range(12, 19)}}
    for row in board.rows:
        (model,) = [name for name in wanted if row[1].text.startswith(name)]
        for place in (3, 7):
            where = row[place].where
            assert where is not None
            assert {int(item) for _, item in finder.places(where)} == wanted[model]
        assert row[7].sort == len(wanted[model])
    card = Where(of="labelled", what="pairs", suite="talk", judge="j", rubric="r@1", dimension="overall")
    for people, found in (("human", {*range(19), *range(30, 40)}), ("human@bob", {*range(30, 40)}), ("no", set())):
        of = Where(**{**{name: getattr(card, name) for name in card.__struct_fields__}, "people": (people,)})
        assert {int(item) for _, item in finder.places(of)} == found


def test_grades_that_people_gave_too_lead_to_the_answers_that_both_scored() -> None:
    def grade(judge: str, item: str, model: str, *scores: float, dimension: str = "overall") -> Verdict:
        return Verdict(suite="talk", item=item, judge=judge, rubric="r@1" if judge == "j" else "", kind="grade",
                       dimension=dimension, shown=((model, 0),), scores=scores,
                       error="" if scores else "unreadable: no grade")  # fmt: skip

    verdicts = [grade("j", k, "base", 1.0) for k in "abcd"] + [grade("j", "e", "base")]
    verdicts += [grade("human@ann", "a", "base", 1.0), grade("human@ann", "b", "other", 1.0),
                 grade("human@ann", "c", "base", 1.0, dimension="tone"), grade("human@ann", "d", "base"),
                 grade("human@ann", "e", "base", 1.0)]  # fmt: skip
    finder = Behind([("talk", Item(id=k, turns=("?",))) for k in "abcde"], [], verdicts)
    where = Where(of="labelled", what="grades", suite="talk", judge="j", rubric="r@1", dimension="overall",
                  people=("human",))  # fmt: skip
    assert finder.places(where) == [("talk", "a")]


def test_ratings_at_equal_length_stand_beside_those_as_judged(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "", "first": "", "second": " and more"})
    assert main(["rate", str(run.path), "--control", "style", "--quiet", "--max-unscored", "1"]) == 0
    report(run, quiet=True)
    page = Page((run.path / "report.html").read_text(encoding="utf-8"))
    assert "At equal length or style" in page.text
    for row in json.loads((run.path / "controlled.json").read_text()):
        if row["value"] is not None:
            assert f"{row['value']:.1f}" in page.text
            assert f"{row['plain']:.1f}" in page.text


def test_no_place_is_given_where_some_numbers_have_no_interval(summary: dict[str, Any]) -> None:
    (group,) = groups(summary)
    board = brief_table(summary)
    assert any("#1" in cell.text for row in board.rows for cell in row)
    ratings = [
        {**row, "low": None, "high": None} if row["model"] == "second" and row["method"] == "bradley-terry" else row
        for row in summary["ratings"]
    ]
    fewer = brief_table({**summary, "ratings": ratings, "fits": []})
    assert not any("#" in cell.text for row in fewer.rows for cell in row)
    assert group.dimensions == ("overall",)
