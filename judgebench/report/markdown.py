"""report.md: the numbers of a run as Markdown tables to paste anywhere."""

from __future__ import annotations

import re

from judgebench.report import apart, exact, judge_record, judged, overview, protocols, sway
from judgebench.report.brief import brief_table
from judgebench.report.calibrated import calibrated_table
from judgebench.report.controlled import controlled_table
from judgebench.report.figures import count, share
from judgebench.report.tables import Cell, Summary, Table, distinct, judge_label
from judgebench.report.usage import usage_table
from judgebench.report.visible import one_line

_SPECIAL = re.compile(r"[\\`*|~<>&$]|(?<!\w)_|_(?!\w)|\](?=[\[(:])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_MARKS = {"": "", "warn": " (!)", "bad": " (!!)"}


def plain(text: str) -> str:
    r"""A text on one line that Markdown shows as it is, inside a table too.

    >>> plain("a|b <i> tiny_base")
    'a\\|b &lt;i&gt; tiny_base'
    """

    def escaped(match: re.Match[str]) -> str:
        return _ENTITIES.get(match.group(), f"\\{match.group()}")

    return _SPECIAL.sub(escaped, one_line(text))


def _cell(cell: Cell) -> str:
    badge = f" ({cell.badge})" if cell.badge and cell.badge not in cell.text else ""
    return plain(cell.text) + badge + _MARKS[cell.level]


def _table(table: Table) -> list[str]:
    lines = [
        f"| {' | '.join(plain(column.title) for column in table.columns)} |",
        f"|{'|'.join('---:' if column.numeric else '---' for column in table.columns)}|",
        *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows),
        "",
    ]
    for remark in table.remarks:
        lines += [plain(remark), ""]
    return lines


def titled(table: Table, level: int) -> list[str]:
    """A table below its heading; nothing where it has no rows."""
    return [f"{'#' * level} {plain(table.title)}", "", *_table(table)] if table.rows else []


def render_markdown(summary: Summary) -> str:
    """report.md as text: the same numbers and marks as report.html, without the items.

    Args:
        summary: a run's summary.json, decoded.
    """
    lines = [f"# {plain(summary['run'])}", "", *_header(summary), *titled(brief_table(summary), 2), *_counts(summary)]
    if summary["warnings"]:
        lines += ["## Warnings", "", *(f"- {plain(line)}" for line in summary["warnings"]), ""]
    lines += titled(exact.accuracy_table(summary), 2)
    for table in (exact.extraction_table(summary), *exact.category_tables(summary)):
        lines += titled(table, 3)
    lines += _judged(summary)
    lines += _run(summary)
    lines += titled(usage_table(summary), 2)
    return "\n".join(lines).rstrip("\n") + "\n"


def _header(summary: Summary) -> list[str]:
    models = ", ".join(model["name"] for model in summary["models"]) or "no models"
    suites = ", ".join(suite["name"] for suite in summary["suites"]) or "no suites"
    judges = ", ".join(distinct(judge_label(summary, judge["name"]) for judge in summary["judges"]))
    judged_by = f"; judged by {plain(judges)}" if judges else ""
    made = f"Run of {plain(summary['created'])}, JudgeBench {plain(summary['judgebench'])}."
    return [f"**{plain(models)}** on {plain(suites)}{judged_by}.", "", made, ""]


def _counts(summary: Summary) -> list[str]:
    counts = overview.headline_counts(summary)
    lines = ["## Counts", ""]
    if not counts:
        return [*lines, "Nothing has been answered yet.", ""]
    for entry in counts:
        whole = f" of {count(entry.whole)} ({share(entry.part, entry.whole)})" if entry.whole else ""
        lines.append(f"- {entry.label}: {count(entry.part)}{whole}{_MARKS[entry.alarm]}")
    return [*lines, "", overview.THRESHOLDS, "", *titled(overview.answers_table(summary), 3)]


def _judged(summary: Summary) -> list[str]:
    found = judged.groups(summary)
    if not found:
        return []
    lines = ["## Judged", "", judged.RANK_NOTE, ""]
    if any(row["method"] == "online-elo" for row in summary["ratings"]):
        lines += [judged.ELO_NOTE, ""]
    for group in found:
        lines += [f"### {plain(judged.group_title(summary, group))}", ""]
        card = judged.card_line(summary, group)
        lines += [plain(card), ""] if card else []
        for dimension in group.dimensions:
            lines += titled(judged.leaderboard(summary, group, dimension), 4)
        for further in (calibrated_table(summary, group), controlled_table(summary, group)):
            lines += titled(further, 4)
        for dimension in group.dimensions:
            lines += titled(judged.matrix_table(summary, group, dimension), 4)
        for table in protocols.protocol_tables(summary, group):
            lines += titled(table, 4)
        mine = (
            judge_record.pairs_table,
            judge_record.verdicts_table,
            judge_record.bias_table,
            sway.sway_table,
            sway.debiased_table,
        )
        for made in (*mine, apart.apart_table):
            lines += titled(made(summary, group), 4)
    return lines


def _run(summary: Summary) -> list[str]:
    lines = ["## What was run", ""]
    for suite in overview.suite_facts(summary):
        about = f" {plain(suite.about)}" if suite.about else ""
        facts = f"{suite.items}; scorer: {plain(suite.scorer)}; licence: {plain(suite.license)}."
        lines.append(f"- **{plain(suite.name)}**: {facts}{about}")
        lines += [f"  - not found: {plain(name)}" for name in suite.missing]
    if summary["suites"]:
        lines.append("")
    return [*lines, *titled(overview.models_table(summary), 3), *titled(overview.judges_table(summary), 3)]
