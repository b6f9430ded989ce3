"""report.html: one file that needs nothing else, from a summary and its details."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from judgebench.report import apart, judged, overview, protocols, sway
from judgebench.report.cards import badge, items_section
from judgebench.report.charts import Axis, Point, dot_plot, fitted, shares, spanning
from judgebench.report.details import Details
from judgebench.report.figures import MISSING, count, estimate, rate, share
from judgebench.report.judged import Group
from judgebench.report.markup import Child, Safe, element, raw, together
from judgebench.report.script import SCRIPT
from judgebench.report.styles import STEPS, STYLES
from judgebench.report.tables import Cell, Column, Row, Summary, Table, baselines, distinct, matching, suite_label
from judgebench.report.usage import usage_table

LEVELS = {"": ("", ""), "warn": (" !", " (warning)"), "bad": (" !!", " (too high)")}
"""Level → its mark and what a screen reader hears."""


def render_html(summary: Summary, details: Details, pages: Sequence[tuple[str, str]] = ()) -> str:
    """The whole page as text: no network, no scripts but our own, everything that a model or user wrote escaped.

    Args:
        summary: a run's summary.json, decoded.
        details: the items to show, from `judgebench.report.details.gather`.
        pages: (address, title) of the pages that hold every item, where this one does not.
    """
    suites = distinct([*(suite["name"] for suite in summary["suites"]), *(card.suite for card in details.cards)])
    anchors = {suite: f"items-{number}" for number, suite in enumerate(suites)}
    shown = {card.suite for card in details.cards}
    links = {suite: anchor for suite, anchor in anchors.items() if suite in shown}
    sections: list[tuple[str, str, Safe]] = [("counts", "Counts", _counts(summary))]
    if summary["warnings"]:
        lines = [element("li", line) for line in summary["warnings"]]
        sections.append(("warnings", "Warnings", element("ul.warnings", lines)))
    if summary["accuracy"]:
        sections.append(("exact", "Exact scores", _exact(summary, links)))
    found = judged.groups(summary)
    if found:
        blocks = [_group(summary, group, f"judged-{number}", links) for number, group in enumerate(found)]
        notes = [element("p.muted", judged.RANK_NOTE)]
        if any(row["method"] == "online-elo" for row in summary["ratings"]):
            notes.append(element("p.muted", judged.ELO_NOTE))
        sections.append(("judged", "Judged", together(notes, blocks)))
    sections.append(("run", "What was run", _run(summary)))
    if summary["usage"]:
        sections.append(("usage", "Usage", _table(usage_table(summary), caption=False)))
    sections.append(("items", "Items", items_section(details, baselines(summary), anchors, pages)))
    menu = element("nav", {"aria-label": "Sections"}, element("ul", [_menu(*section) for section in sections]))
    body = [element("section", element("h2", {"id": name}, title), content) for name, title, content in sections]
    page = element("body", _header(summary), element("main", menu, body), raw("script", SCRIPT))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, head(summary), page)}\n"


def head(summary: Summary, title: str = "") -> Safe:
    """The head of a page: its policy lets nothing in but our own style and script.

    Args:
        summary: a run's summary.json, decoded.
        title: what the page holds; empty for the report itself.
    """
    policy = (
        f"default-src 'none'; style-src '{_digest(STYLES)}'; script-src '{_digest(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", f"JudgeBench: {summary['run']}" + (f": {title}" if title else "")),
        raw("style", STYLES),
    )


def _digest(code: str) -> str:
    """How a content security policy names code that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def _header(summary: Summary) -> Safe:
    models = ", ".join(model["name"] for model in summary["models"]) or "no models"
    suites = ", ".join(suite["name"] for suite in summary["suites"]) or "no suites"
    judges: list[Child] = []
    for name in distinct(judge["name"] for judge in summary["judges"]):
        judges += [", " if judges else "; judged by ", name, _baseline(name in baselines(summary))]
    made = f"Run of {summary['created']}, JudgeBench {summary['judgebench']}"
    return element(
        "header",
        element("h1", summary["run"]),
        element("p", element("b", models), " on ", suites, judges),
        element("p.muted", made),
    )


def _baseline(is_baseline: bool) -> Safe | None:
    return badge("baseline", "baseline") if is_baseline else None


def _menu(name: str, title: str, _: Safe) -> Safe:
    return element("li", element("a", {"href": f"#{name}"}, title))


def _cell(cell: Cell, column: Column, first: bool) -> Safe:
    mark, spoken = LEVELS[cell.level]
    attributes = {"data-sort": None if cell.sort is None else f"{cell.sort:.12g}"}
    content = (
        cell.text,
        _baseline(cell.badge == "baseline"),
        element("span", {"aria-hidden": "true"}, mark) if mark else None,
        element("span.unseen", spoken) if spoken else None,
    )
    kind = "number" if column.numeric else "words"
    if first:
        return element(f"th.{kind}", attributes, {"scope": "row"}, content)
    return element(f"td.{kind}.{cell.level}" if cell.level else f"td.{kind}", attributes, content)


def _table(table: Table, *, caption: bool = True) -> Safe:
    heads = [
        element("th.number" if column.numeric else "th", {"scope": "col"}, column.title) for column in table.columns
    ]
    named = next((place for place, column in enumerate(table.columns) if not column.numeric), 0)
    rows = [
        element(
            "tr",
            [
                _cell(cell, column, place == named)
                for place, (cell, column) in enumerate(zip(row, table.columns, strict=True))
            ],
        )
        for row in table.rows
    ]
    written = element(
        "table.sortable",
        element("caption" if caption else "caption.unseen", table.title),
        element("thead", element("tr", heads)),
        element("tbody", rows),
    )
    box = element("div.scroll", {"tabindex": "0", "role": "region", "aria-label": table.title}, written)
    return together(box, _remarks(table.remarks))


def _remarks(lines: tuple[str, ...]) -> Safe | None:
    return element("ul.remarks", [element("li", line) for line in lines]) if lines else None


def _fold(title: str, *content: Child) -> Safe:
    return element("details.fold", element("summary", title), content)


def _counts(summary: Summary) -> Safe:
    tiles = []
    for entry in overview.headline_counts(summary):
        mark, spoken = LEVELS[entry.alarm]
        whole = f" of {count(entry.whole)} ({share(entry.part, entry.whole)})" if entry.whole else ""
        tiles.append(
            element(
                f"li.tile.{entry.alarm}" if entry.alarm else "li.tile",
                element("b", count(entry.part) + mark, element("span.unseen", spoken) if spoken else None),
                element("small", entry.label + whole),
            )
        )
    parts = [element("ul.tiles", tiles) if tiles else element("p.muted", "Nothing has been answered yet.")]
    if summary["answers"]:
        parts.append(_table(overview.answers_table(summary)))
    parts.append(element("p.muted", overview.THRESHOLDS))
    return together(parts)


def _run(summary: Summary) -> Safe:
    parts: list[Child] = []
    if summary["models"]:
        parts.append(_table(overview.models_table(summary)))
    if summary["judges"]:
        parts.append(_table(overview.judges_table(summary)))
    for suite in overview.suite_facts(summary):
        facts = f"{suite.items} · scorer: {suite.scorer} · licence: {suite.license}"
        parts += [element("h3", suite.name), element("p", suite.about) if suite.about else None, element("p", facts)]
        if suite.missing:
            files = element("ul", [element("li.mono", name) for name in suite.missing])
            parts.append(_fold(f"{len(suite.missing):,} files of this suite were not found", files))
    return together(parts)


def _link(suite: str, links: dict[str, str]) -> Safe | None:
    if suite not in links:
        return None
    return element("p", element("a", {"href": f"#{links[suite]}", "data-suite": suite}, f"Items of {suite}"))


def _exact(summary: Summary, links: dict[str, str]) -> Safe:
    parts: list[Child] = [_table(overview.accuracy_table(summary), caption=False)]
    figures = []
    kinds = dict.fromkeys((row["suite"], row["dimension"]) for row in summary["accuracy"])
    for number, (suite, dimension) in enumerate(kinds):
        rows = matching(summary["accuracy"], suite=suite, dimension=dimension)
        title = f"{suite_label(suite)}: {dimension}"
        points = [_point(row, estimate(row["value"], row["low"], row["high"], rate)) for row in rows]
        plot = dot_plot(f"exact-{number}", title, points, shares(f"{dimension}, with 95 % interval"))
        figures.append(element("figure", element("figcaption", title), plot, _link(suite, links)))
    parts.append(element("div.panels", figures))
    tables = [overview.extraction_table(summary), *overview.category_tables(summary)]
    parts += [_fold(table.title, _table(table, caption=False)) for table in tables if table.rows]
    return together(parts)


def _point(row: Row, text: str) -> Point:
    return Point(label=row["model"], text=text, value=row["value"], low=row["low"], high=row["high"])


def _group(summary: Summary, group: Group, ident: str, links: dict[str, str]) -> Safe:
    title = judged.group_title(summary, group)
    mark = _baseline(group.judge in baselines(summary))
    parts: list[Child] = [element("h3", {"id": ident}, title, " ", mark), _link(group.suite, links)]
    card = judged.card_line(summary, group)
    parts += [element("p.muted", card)] if card else []
    boards = [judged.leaderboard(summary, group, dimension) for dimension in group.dimensions]
    parts += [together(element("h4", board.title), _table(board, caption=False)) for board in boards if board.rows]
    parts.append(_plots(summary, group, ident))
    heats = [_heat(summary, group, dimension) for dimension in group.dimensions]
    if any(heats):
        parts += [element("h4", "Win rates: row over column"), _legend(), element("div.heats", heats)]
    parts += [_table(table) for table in protocols.protocol_tables(summary, group)]
    cells = protocols.cells_table(summary, group)
    parts += [_fold(cells.title, _table(cells, caption=False))] if cells.rows else []
    tables = [judged.verdicts_table(summary, group), judged.bias_table(summary, group)]
    tables += [sway.sway_table(summary, group), sway.debiased_table(summary, group), apart.apart_table(summary, group)]
    parts += [_table(table) for table in tables if table.rows]
    pairs = judged.pairs_table(summary, group)
    if pairs.rows:
        parts.append(_fold("Wins, ties and losses of every pair", _table(pairs, caption=False)))
    return together(parts)


def _plots(summary: Summary, group: Group, ident: str) -> Safe | None:
    """One dot plot per dimension of the method that ranks it; plots of one method share their axis."""
    by_method: dict[str, list[tuple[str, list[Point]]]] = {}
    for dimension in group.dimensions:
        method = judged.headline_method(summary, group, dimension)
        rows = judged.estimates(summary, group, dimension, method)
        points = [_point(row, judged.rating_text(row)) for row in rows]
        if points:
            by_method.setdefault(method, []).append((dimension, points))
    figures: list[Safe] = []
    for method, panels in by_method.items():
        axis = _axis(method, [point for _, points in panels for point in points])
        for dimension, points in panels:
            ends = judged.grade_scale(summary, group, dimension) if method == "grade" else None
            if ends:
                axis = spanning("grade, with 95 % interval, on the rubric's scale", *ends)
            label = judged.dimension_label(summary, group, dimension)
            plot = dot_plot(f"{ident}-plot-{len(figures)}", f"{label}: {method}", points, axis)
            figures.append(element("figure", element("figcaption", label), plot))
    return element("div.panels", figures) if figures else None


def _axis(method: str, points: list[Point]) -> Axis:
    if method == "win-rate":
        return shares("win rate, with 95 % interval (dashed: even)", reference=0.5)
    if method == "bradley-terry":
        return fitted("Bradley–Terry rating, with 95 % interval (dashed: mean)", points, reference=1000.0)
    if method == "online-elo":
        return fitted("online Elo, ± one sd over shuffles", points, reference=1000.0)
    return fitted(f"{method}, with 95 % interval", points)


def _heat(summary: Summary, group: Group, dimension: str) -> Safe | None:
    found = judged.matrix(summary, group, dimension)
    if not found.models:
        return None
    rows = []
    for left in found.models:
        cells = [element("th", {"scope": "row"}, left)]
        for right in found.models:
            value, low, high, games = found.cells.get((left, right), (None, None, None, 0))
            if left == right:
                cells.append(element("td.none", "·"))
            elif value is None:
                cells.append(element("td.none", MISSING, element("small", f"{count(games)} games")))
            else:
                text = estimate(value, low, high)
                number, _, interval = text.partition(" ")
                small = element("small", f"{interval}", element("br"), f"{count(games)} games")
                cells.append(element(f"td.h{round(value * STEPS)}", element("b", number), small))
        rows.append(element("tr", cells))
    head = element("tr", element("td"), [element("th", {"scope": "col"}, model) for model in found.models])
    label = judged.dimension_label(summary, group, dimension)
    table = element("table.heat", element("caption", label), element("thead", head), element("tbody", rows))
    name = f"Win rates, {label}"
    return element("div.scroll", {"tabindex": "0", "role": "region", "aria-label": name}, table)


def _legend() -> Safe:
    steps = [element(f"i.h{step}") for step in range(STEPS + 1)]
    return element(
        "p.legend", {"aria-hidden": "true"}, element("span", "row loses"), steps, element("span", "row wins")
    )
