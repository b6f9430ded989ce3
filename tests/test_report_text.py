"""Markdown, CSV and terminal: golden files, and what must hold for every text."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from summary_fixture import HOSTILE_MODEL, empty_summary, summary

from judgebench.report import figures
from judgebench.report.cells import name_cell, restored
from judgebench.report.judged import Group, dimension_label, leaderboard, matrix
from judgebench.report.leaderboard import COLUMNS, leaderboard_rows, render_csv
from judgebench.report.markdown import plain, render_markdown
from judgebench.report.places import rank_ranges
from judgebench.report.terminal import print_summary
from judgebench.report.visible import visible

GOLDEN = Path(__file__).parent / "golden"
GPT = Group(suite="vicuna-80", judge="gpt", rubric="pairwise-general@ab12cd34", dimensions=("helpfulness", "overall"))


def golden(name: str, found: str) -> None:
    """Holds ``found`` against tests/golden/NAME; JUDGEBENCH_UPDATE_GOLDEN=1 writes it anew."""
    path = GOLDEN / name
    if os.environ.get("JUDGEBENCH_UPDATE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def printed(data: dict[str, object], encoding: str = "utf-8", *, terminal: bool = False) -> str:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        print_summary(data, Console(file=file, width=80, force_terminal=terminal, color_system=None))
        file.flush()
        return raw.getvalue().decode(encoding)


def test_markdown_is_as_recorded():
    golden("report.md", render_markdown(summary()))


def test_leaderboard_csv_is_as_recorded():
    golden("report_leaderboard.csv", render_csv(leaderboard_rows(summary())))


def test_terminal_output_is_as_recorded_when_piped():
    golden("report_terminal.txt", printed(summary()))


@pytest.mark.parametrize("terminal", [True, False])
def test_no_line_in_the_terminal_is_wider_than_80_columns(terminal):
    assert max(len(line) for line in printed(summary(), terminal=terminal).splitlines()) <= 80


@pytest.mark.parametrize("terminal", [True, False])
def test_names_too_long_for_a_table_stand_below_it_in_full_behind_one_key_each(terminal):
    long = "organisation-of-a-long-name--a-model-of-many-parameters-70B-Instruct-v0.3-quantised-{}"
    text = json.dumps(summary())
    for model in ("base", "tuned"):
        text = text.replace(f'"{model}"', f'"{long.format(model)}"')
    said = printed(json.loads(text), terminal=terminal)
    assert max(len(line) for line in said.splitlines()) <= 80
    whole = said.replace("\n", "")
    keys = {model: set(re.findall(rf"(\[\d+\]) {long.format(model)}", whole)) for model in ("base", "tuned")}
    assert all(len(found) == 1 for found in keys.values())  # the same in every table
    assert keys["base"] != keys["tuned"]
    assert "organisatio\n" not in said  # nothing is cut into slivers


def test_a_narrower_terminal_loses_no_column():
    raw = io.StringIO()
    print_summary(summary(), Console(file=raw, width=50, force_terminal=True, color_system=None))
    for heading in ("scored", "unex.", "trunc.", "Elo ± sd", "completion tokens"):
        assert heading in raw.getvalue()


def test_no_piped_line_ends_in_spaces():
    assert [line for line in printed(summary()).splitlines() if line != line.rstrip()] == []


def test_a_terminal_without_unicode_gets_every_number_and_no_error():
    text = printed(summary(), "ascii")
    assert "0.406 [0.207, 0.793]" in text
    assert "1066 +/- 9" in text


def test_no_escape_sequence_and_no_bidirectional_control_reaches_a_terminal_or_markdown():
    data = summary()
    data["warnings"].append("\x1b]0;owned\x07 \u202eback \u009b31m")
    for text in (printed(data), render_markdown(data)):
        assert not set(text) & set("\x1b\x07\u202e\u009b")
        assert "⟨U+001B⟩]0;owned⟨U+0007⟩ ⟨U+202E⟩back ⟨U+009B⟩31m" in text


def test_rich_markup_in_a_name_is_text():
    data = summary()
    data["warnings"] = ["[bold red]gone[/bold red] [/nothing]"]
    assert "[bold red]gone[/bold red] [/nothing]" in printed(data)


@pytest.mark.parametrize("render", [render_markdown, printed])
def test_an_empty_run_is_reported_without_a_single_table(render):
    text = render(empty_summary())
    assert "Exact scores" not in text
    assert "Judged" not in text


def test_every_table_row_in_markdown_has_as_many_cells_as_its_heading():
    lines = render_markdown(summary()).splitlines()
    for above, line in pairwise(lines):
        if line.startswith("|") and above.startswith("|"):
            cells = [text.replace("\\|", "").count("|") for text in (above, line)]
            assert cells[0] == cells[1], line


def test_a_name_cannot_open_a_column_a_line_or_an_element_in_markdown():
    assert plain("a|b\n<img src=x> [l](u) `c` *s* _e_ in_side") == (
        r"a\|b⏎&lt;img src=x&gt; [l\](u) \`c\` \*s\* \_e\_ in_side"
    )


def test_csv_has_one_row_per_model_and_method_and_its_columns_in_order():
    rows = list(csv.DictReader(io.StringIO(render_csv(leaderboard_rows(summary())))))
    assert list(rows[0]) == list(COLUMNS)
    keys = [tuple(row[column] for column in COLUMNS[:6]) for row in rows]
    assert len(keys) == len(set(keys))
    assert sum(row["method"] == "accuracy" for row in rows) == 3
    assert sum(row["method"] == "grade" for row in rows) == 2


def test_an_undefined_value_is_an_empty_cell_with_its_note_and_never_0():
    rows = csv.DictReader(io.StringIO(render_csv(leaderboard_rows(summary()))))
    undefined = [row for row in rows if row["value"] == ""]
    assert {row["note"] for row in undefined} == {
        "nothing scored",
        "lost every game: the maximum lies at minus infinity",
    }


def test_csv_counts_are_those_of_the_dimension_and_their_sum_for_a_mean_of_dimensions():
    found = {(row["dimension"], row["method"]): (row["scored"], row["planned"]) for row in leaderboard_rows(summary())}
    assert found["helpfulness", "win-rate"] == (157, 160)
    assert found["overall", "bradley-terry"] == (471, 480)


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "|1", "%1", "＝1", "＋1", "－1", "＠1", "'=1"]
)
def test_no_csv_cell_starts_like_a_formula_and_each_can_be_undone(name):
    data = summary()
    data["ratings"][0]["model"] = name
    rows = list(csv.DictReader(io.StringIO(render_csv(leaderboard_rows(data)))))
    assert "'" + name in {row["model"] for row in rows}
    assert restored("'" + name) == name


@pytest.mark.parametrize(
    ("name", "cell"),
    [("a\u202eb", "a⟨U+202E⟩b"), ("a\nb", "a⟨U+000A⟩b"), ("a\r\nb", "a⟨U+000D⟩⟨U+000A⟩b"), ("\t=1", "⟨U+0009⟩=1"),
     ("\r=1", "⟨U+000D⟩=1"), ("a\x00\ud800", "a⟨U+0000⟩⟨U+D800⟩"), ("\u200b=1", "⟨U+200B⟩=1")],
)  # fmt: skip
def test_what_a_name_hides_is_written_out_in_csv_and_its_row_is_one_line(name, cell):
    data = summary()
    data["ratings"][0]["model"] = "plain"
    plain_lines = render_csv(leaderboard_rows(data)).count("\n")
    data["ratings"][0]["model"] = name
    text = render_csv(leaderboard_rows(data))
    assert text.count("\n") == plain_lines
    assert cell in {row["model"] for row in csv.DictReader(io.StringIO(text))}


def test_a_hostile_name_leaves_nothing_raw_in_csv():
    data = summary()
    data["ratings"][0]["model"] = HOSTILE_MODEL
    text = render_csv(leaderboard_rows(data))
    assert name_cell(HOSTILE_MODEL) in {row["model"] for row in csv.DictReader(io.StringIO(text))}
    assert all(character == "\n" or character.isprintable() for character in text)


def test_a_negative_number_stays_a_number_in_csv():
    data = summary()
    data["ratings"][0]["value"] = -0.25
    assert next(csv.DictReader(io.StringIO(render_csv(leaderboard_rows(data)))))["value"] == "-0.25"


def test_ranks_are_ranges_where_intervals_overlap():
    rows = [
        {"model": model, "low": low, "high": high}
        for model, low, high in [("a", 8.0, 9.0), ("b", 5.0, 7.0), ("c", 6.0, 7.5), ("d", 1.0, 2.0), ("e", None, None)]
    ]
    assert rank_ranges(rows) == {"a": (1, 1), "b": (2, 3), "c": (2, 3), "d": (4, 4)}


def test_the_matrix_mirrors_value_and_interval():
    cells = matrix(summary(), GPT, "helpfulness").cells
    assert cells["tuned", "base"] == (0.684, 0.583, 0.773, 79)
    assert cells["base", "tuned"] == pytest.approx((0.316, 0.227, 0.417, 79))


def test_overall_is_called_a_mean_only_where_it_is_one():
    data = summary()
    assert dimension_label(data, GPT, "overall") == "overall (mean of dimensions)"
    asked = {**data, "verdicts": [{**data["verdicts"][0], "dimension": "overall"}], "ratings": []}
    assert dimension_label(asked, GPT, "overall") == "overall"


def test_an_undefined_rating_is_a_dash_that_points_to_its_reason():
    board = leaderboard(summary(), GPT, "language")
    last = board.rows[-1]
    assert last[3].text == "—¹"
    assert board.remarks == ("¹ lost every game: the maximum lies at minus infinity",)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(2, 100, ""), (3, 100, "warn"), (10, 100, "warn"), (11, 100, "bad"), (0, 0, ""), (1, 1, "bad")],
)
def test_more_than_2_per_cent_warns_and_more_than_10_is_bad(part, whole, expected):
    assert figures.level(part, whole) == expected


def test_a_judge_that_is_a_baseline_is_named_so_wherever_it_appears_even_under_another_name():
    data = summary()
    renamed = [
        {key: "dice" if value == "baseline/overlap" else value for key, value in row.items()}
        for row in data["verdicts"]
    ]
    judges = [{"name": "dice", "rubric": "r", "baseline": True, "mode": "pairwise"}]
    data = {**empty_summary(), "verdicts": renamed, "judges": judges}
    for text in (render_markdown(data), printed(data)):
        assert "judge dice (baseline)" in text


@given(st.text())
@example("a\u034fb\u3164")  # printable by Unicode, and nothing is seen of them
def test_visible_text_holds_no_control_and_keeps_every_printable_character(text):
    shown = visible(text)
    assert all(character.isprintable() or character in "\n\t" or ord(character) > 0x7F for character in shown)
    assert not set(shown) & set("\x1b\u202e\u2066\u200b\ufeff\x00")
    shown.encode("utf-8")
    kept = [character for character in text if character.isprintable() and visible(character) == character]
    remaining = iter(shown)
    assert all(character in remaining for character in kept)
