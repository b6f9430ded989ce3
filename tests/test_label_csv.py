"""Labels by spreadsheet: whatever names, reasons and answers hold, what comes back is what was there."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_web_annotate import GRADES, labels_of, made

from judgebench.errors import UserError
from judgebench.report.cells import name_cell, named_by, restored, runs, turned_back, written_out
from judgebench.report.visible import visible
from judgebench.runs import Journal, Run
from judgebench.stages.label_csv import defused, export_csv, import_csv
from judgebench.stages.label_verdicts import reason_of
from judgebench.stages.labels import Labels
from judgebench.types import Answer, Verdict

LETTERS = st.sampled_from(
    [*"⟨⟩U+0279E8aF⟨", "\u202e", "\u200b", "\u200d", "\ufe0f", "\x1b", "\r", "\n", "\t", "'", "="]
)
PARTS = ["⟨U+", "⟨U+27E8⟩", "⟨U+202E⟩", "⟩", "\u202e", "FFFFFF⟩", "00", "'", "-"]
TEXTS = st.one_of(st.text(), st.text(LETTERS), st.lists(st.sampled_from(PARTS)).map("".join))
REASONS = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.sampled_from(PARTS)).map("".join)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def graded(folder: Path, names: list[str], items: int = 3) -> Run:
    """A run graded on dimensions of these names, as an import may bring them."""
    run = made(folder, items, mode="pointwise")
    run.manifest["rubrics"][GRADES]["dimensions"] = dict.fromkeys(names, "")
    run.save_manifest()
    for judge in "jk":
        run.verdicts_file(judge, "g").unlink()
        with Journal(run.verdicts_file(judge, "g")) as journal:
            for item in map(str, range(items)):
                for name in names:
                    journal.append(
                        Verdict(suite="talk", item=item, rubric=GRADES, judge=judge, dimension=name,
                                shown=(("secret-one", 0),), scores=(3.0,), scale=(1.0, 6.0))
                    )  # fmt: skip
    return run


@settings(max_examples=300, deadline=None)
@given(TEXTS)
@example("⟨U+202E⟩\u202e⟨U+27E8⟩")
@example("⟨U+20\u200b2E⟩")
@example("⟨U+FFFFFF⟩⟨U+D800⟩")
@example("a\r\nb\r\u200d\n")
def test_a_text_written_out_shows_everything_on_one_line_and_comes_back_exactly(text: str) -> None:
    shown = written_out(text)
    assert turned_back(shown) == text
    assert visible(shown) == shown
    assert len(shown.splitlines()) <= 1
    cell = name_cell(text)
    assert not runs(cell) or cell.startswith("'")
    assert turned_back(restored(cell)) == text


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS)
@example("⟨U+202E⟩", "\u202e")
def test_two_texts_never_give_one_cell(one: str, two: str) -> None:
    assert (name_cell(one) == name_cell(two)) == (one == two)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example("one\r\ntwo ⟨U+202E⟩ \u202e")
def test_a_text_to_look_at_keeps_its_lines_and_what_is_written_out_in_it_is_told_from_what_it_says(text: str) -> None:
    cell = defused(text)
    assert turned_back(restored(cell)) == text.replace("\r\n", "\n")
    assert "\r" not in cell


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REASONS, min_size=6, max_size=6))
@example(["\u200bhard", "⟨U+200B⟩hard", "⟨U+27E8⟩", "=\u202e1", "'⟨U+202E⟩", "x" * 450 + "\u200b" * 50])
def test_skips_of_any_words_come_back_into_another_run_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, reasons: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("skips")
    labels, other = labels_of(made(folder / "r", 6)), labels_of(made(folder / "s", 6))
    kept = {}
    for number, reason in enumerate(reasons):
        if reason.split():
            labels.skip(number, reason)
            kept[number] = reason_of(reason)
    export_csv(labels, folder / "a.csv")
    size = labels.file.stat().st_size if kept else 0
    assert import_csv(labels, folder / "a.csv") == (0, len(kept), 6 - len(kept))
    assert (labels.file.stat().st_size if kept else 0) == size  # nothing was taken for another reason
    import_csv(other, folder / "a.csv")
    assert {number: other.skip_reason(number) for number in kept} == kept


@pytest.mark.parametrize(
    "names",
    [
        ["dep\u200bth", "dep⟨U+200B⟩th"],
        ["\u202edepth", "depth"],
        ["-cost\r\nof it", "-cost\nof it"],
        ["⟨U+27E8⟩", "⟨"],
    ],
)
def test_labels_on_names_that_hide_something_come_back_each_to_its_own(tmp_path: Path, names: list[str]) -> None:
    run = graded(tmp_path / "r", names)
    labels = labels_of(run)
    labels.label(0, {names[0]: "2", names[1]: "5"})
    export_csv(labels, tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    columns = {named_by(column).removeprefix("label: "): column for column in rows[0] if "label: " in column}
    assert columns.keys() == set(names)
    assert [rows[0][columns[name]] for name in names] == ["2", "5"]
    rows[1] |= {columns[names[0]]: "6", columns[names[1]]: "1"}
    assert import_csv(labels, written(tmp_path / "b.csv", rows)) == (2, 0, 1)
    assert labels.given(1) == {names[0]: "6", names[1]: "1"}
    assert Labels(Run(run.path), labels.plan).given(1) == {names[0]: "6", names[1]: "1"}


def test_a_reason_that_is_no_text_is_refused_with_its_row(tmp_path: Path) -> None:
    labels = labels_of(made(tmp_path / "r", 3))
    export_csv(labels, tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    rows[1]["skip_because"] = "half of ⟨U+D83D⟩"
    with pytest.raises(UserError, match=r"row 3: .*half a character"):
        import_csv(labels, written(tmp_path / "b.csv", rows))
    assert not labels.file.exists()


def test_a_label_in_a_column_that_no_task_asks_for_is_refused_and_never_dropped(tmp_path: Path) -> None:
    labels = labels_of(made(tmp_path / "r", 3))
    export_csv(labels, tmp_path / "a.csv")
    rows = [{**row, "label: tone": "", "my own column": "yes"} for row in rows_of(tmp_path / "a.csv")]
    assert import_csv(labels, written(tmp_path / "b.csv", rows)) == (0, 0, 3)
    rows[1]["label: tone"] = "2"
    with pytest.raises(UserError, match=r"row 3: 'label: tone' is not asked of this task; asked are: 'label: overall'"):
        import_csv(labels, written(tmp_path / "b.csv", rows))
    assert not labels.file.exists()


def test_a_sheet_in_which_something_would_be_passed_over_is_refused_whole(tmp_path: Path) -> None:
    labels = labels_of(made(tmp_path / "r", 3))
    export_csv(labels, tmp_path / "a.csv")
    head, *rows = csv.reader(io.StringIO((tmp_path / "a.csv").read_text("utf-8-sig"), newline=""))
    label = head.index("label: overall")

    def refused(said: str, header: list[str], *lines: list[str]) -> None:
        with (tmp_path / "b.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *lines])
        with pytest.raises(UserError, match=said):
            import_csv(labels, tmp_path / "b.csv")
        assert not labels.file.exists()

    marked = [*rows[0][:label], "1", *rows[0][label + 1 :]]
    refused("column 'label: overall' stands there twice", [*head, head[label]], [*marked, ""])
    refused("row 3: has more cells than there are columns", head, marked, [*rows[1][:-1], "cannot tell", " really not"])
    for number in ("1e999", "nan", "1.9", "first"):
        refused(f"row 2: '{number}' is no number of a task", head, [number, *marked[1:]])
    with (tmp_path / "b.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [[*head, "", "", "mine", "mine"], [f"{marked[0]}.0", *marked[1:], "", "", "1", "2", " "]]
        )
    assert import_csv(labels, tmp_path / "b.csv") == (1, 0, 0)  # what a spreadsheet adds is no mistake


def test_answers_that_hold_the_letters_of_an_escape_are_told_from_those_that_hold_the_character(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 1)
    for model, text in (("secret-one", "⟨U+202E⟩"), ("secret-two", "\u202e")):
        with Journal(run.answers_file(model)) as journal:
            journal.append(Answer(suite="talk", item="0", model=model, turns=(text,), finish=("stop",)))
    export_csv(labels_of(run), tmp_path / "a.csv")
    (row,) = rows_of(tmp_path / "a.csv")
    assert {row["answer_1"], row["answer_2"]} == {"⟨U+27E8⟩U+202E⟩", "⟨U+202E⟩"}
