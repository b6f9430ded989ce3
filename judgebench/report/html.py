"""report.html: one file that needs nothing else, from a summary and its details."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from judgebench.report import apart, exact, judge_record, judged, overview, protocols, sway
from judgebench.report.brief import brief_table
from judgebench.report.calibrated import calibrated_table
from judgebench.report.card_tables import card_tables
from judgebench.report.cards import items_section
from judgebench.report.charts import Axis, Point, dot_plot, fitted, shares, spanning
from judgebench.report.controlled import controlled_table
from judgebench.report.details import Details
from judgebench.report.figures import count, estimate, rate, share
from judgebench.report.heat import heat_map, legend
from judgebench.report.html_tables import LEVELS, baseline_badge, fold, linked, table_of
from judgebench.report.judged import Group
from judgebench.report.markup import Child, Safe, element, raw, together
from judgebench.report.script import SCRIPT
from judgebench.report.styles import STYLES
from judgebench.report.tables import Row, Summary, baselines, distinct, matching, suite_label
from judgebench.report.usage import usage_table
from judgebench.report.ways import Ways

NAMED = 10
"""Most models and suites that are named in the header."""
Section = tuple[str, str, Safe]
"""(id, title, content)."""


def render_html(
    summary: Summary, details: Details, pages: Sequence[tuple[str, str]] = (), ways: Ways | None = None,
    more: Sequence[Section] = (),
) -> str:  # fmt: skip
    """The whole page as text: no network, no scripts but our own, everything that a model or user wrote escaped.

    Args:
        summary: a run's summary.json, decoded.
        details: the items to show, from `judgebench.report.details.gather`.
        pages: (address, title) of the pages that hold every item, where this one does not.
        ways: links numbers to the items behind them; None links nothing.
        more: sections that follow the leaderboard.
    """
    anchors = anchors_of(summary, details)
    shown = {card.suite for card in details.cards}
    links = {suite: anchor for suite, anchor in anchors.items() if suite in shown}
    sections: list[Section] = [("glance", "At a glance", _glance(summary, ways)), *more]
    if summary["accuracy"]:
        sections.append(("exact", "Exact scores", _exact(summary, links, ways)))
    found = judged.groups(summary)
    if found:
        blocks = [_group(summary, group, f"judged-{number}", links, ways) for number, group in enumerate(found)]
        notes = [element("p.muted", judged.RANK_NOTE)]
        if any(row["method"] == "online-elo" for row in summary["ratings"]):
            notes.append(element("p.muted", judged.ELO_NOTE))
        sections.append(("judged", "Judged", together(notes, blocks)))
    if summary["answers"]:
        sections.append(("counts", "Answers", table_of(overview.answers_table(summary), ways, caption=False)))
    sections.append(("run", "What was run", _run(summary)))
    if summary["usage"]:
        sections.append(("usage", "Usage", table_of(usage_table(summary), caption=False)))
    sections.append(("items", "Items", items_section(details, baselines(summary), anchors, pages)))
    menu = element("nav", {"aria-label": "Sections"}, element("ul", [_menu(*section) for section in sections]))
    body = [element("section", element("h2", {"id": name}, title), content) for name, title, content in sections]
    lists = ways.data() if ways is not None and not ways.address else None
    page = element("body", _header(summary), element("main", menu, body), lists, raw("script", SCRIPT))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, head(summary), page)}\n"


def anchors_of(summary: Summary, details: Details) -> dict[str, str]:
    """Suite → the id of its items on the page."""
    suites = distinct([*(suite["name"] for suite in summary["suites"]), *(card.suite for card in details.cards)])
    return {suite: f"items-{number}" for number, suite in enumerate(suites)}


def head(summary: Summary, title: str = "", script: str = SCRIPT) -> Safe:
    """The head of a page: its policy lets nothing in but our own style and script.

    Args:
        summary: a run's summary.json, decoded.
        title: what the page holds; empty for the report itself.
        script: the one that may run.
    """
    policy = (
        f"default-src 'none'; style-src '{_digest(STYLES)}'; script-src '{_digest(script)}'; "
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
    models = _some([model["name"] for model in summary["models"]], "models")
    suites = _some([suite["name"] for suite in summary["suites"]], "suites")
    judges: list[Child] = []
    for name in distinct(judge["name"] for judge in summary["judges"]):
        judges += [", " if judges else "; judged by ", name, baseline_badge(name in baselines(summary))]
    made = f"Run of {summary['created']}, JudgeBench {summary['judgebench']}"
    return element(
        "header",
        element("h1", summary["run"]),
        element("p", element("b", models), " on ", suites, judges),
        element("p.muted", made),
    )


def _some(names: Sequence[str], what: str) -> str:
    """The names, or how many they are where they would fill the page; the tables below have them all."""
    return ", ".join(names) or f"no {what}" if len(names) <= NAMED else f"{len(names)} {what}"


def _menu(name: str, title: str, _: Safe) -> Safe:
    return element("li", element("a", {"href": f"#{name}"}, title))


def _glance(summary: Summary, ways: Ways | None) -> Safe:
    """What matters first: the leaderboard, and beside it what makes it doubtful."""
    parts: list[Child] = []
    board = brief_table(summary)
    if board.rows:
        parts.append(table_of(board, ways, caption=False))
    parts.append(_tiles(summary, ways))
    if summary["warnings"]:
        lines = [element("li", line) for line in summary["warnings"]]
        parts += [element("h3", {"id": "warnings"}, "Warnings"), element("ul.warnings", lines)]
    return together(parts)


def _tiles(summary: Summary, ways: Ways | None) -> Safe:
    tiles = []
    for entry in overview.headline_counts(summary):
        mark, spoken = LEVELS[entry.alarm]
        whole = f" of {count(entry.whole)} ({share(entry.part, entry.whole)})" if entry.whole else ""
        number = element(
            "b",
            linked(ways, entry.where if entry.part else None, count(entry.part)),
            mark,
            element("span.unseen", spoken) if spoken else None,
        )
        tiles.append(
            element(
                f"li.tile.{entry.alarm}" if entry.alarm else "li.tile", number, element("small", entry.label + whole)
            )
        )
    if not tiles:
        return element("p.muted", "Nothing has been answered yet.")
    return together(element("ul.tiles", tiles), element("p.muted", overview.THRESHOLDS))


def _run(summary: Summary) -> Safe:
    parts: list[Child] = []
    if summary["models"]:
        parts.append(table_of(overview.models_table(summary)))
    if summary["judges"]:
        parts.append(table_of(overview.judges_table(summary)))
    for suite in overview.suite_facts(summary):
        facts = f"{suite.items} · scorer: {suite.scorer} · licence: {suite.license}"
        parts += [element("h3", suite.name), element("p", suite.about) if suite.about else None, element("p", facts)]
        if suite.missing:
            files = element("ul", [element("li.mono", name) for name in suite.missing])
            parts.append(fold(f"{len(suite.missing):,} files of this suite were not found", files))
    return together(parts)


def _link(suite: str, links: dict[str, str]) -> Safe | None:
    if suite not in links:
        return None
    return element("p", element("a", {"href": f"#{links[suite]}", "data-suite": suite}, f"Items of {suite}"))


def _exact(summary: Summary, links: dict[str, str], ways: Ways | None) -> Safe:
    parts: list[Child] = [table_of(exact.accuracy_table(summary), ways, caption=False)]
    figures = []
    kinds = dict.fromkeys((row["suite"], row["dimension"]) for row in summary["accuracy"])
    for number, (suite, dimension) in enumerate(kinds):
        rows = matching(summary["accuracy"], suite=suite, dimension=dimension)
        title = f"{suite_label(suite)}: {dimension}"
        points = [_point(row, estimate(row["value"], row["low"], row["high"], rate)) for row in rows]
        plot = dot_plot(f"exact-{number}", title, points, shares(f"{dimension}, with 95 % interval"))
        figures.append(element("figure", element("figcaption", title), plot, _link(suite, links)))
    parts.append(element("div.panels", figures))
    tables = [exact.extraction_table(summary), *exact.category_tables(summary)]
    parts += [fold(table.title, table_of(table, ways, caption=False)) for table in tables if table.rows]
    return together(parts)


def _point(row: Row, text: str) -> Point:
    return Point(label=row["model"], text=text, value=row["value"], low=row["low"], high=row["high"])


def _group(summary: Summary, group: Group, ident: str, links: dict[str, str], ways: Ways | None) -> Safe:
    title = judged.group_title(summary, group)
    mark = baseline_badge(group.judge in baselines(summary))
    parts: list[Child] = [element("h3", {"id": ident}, title, " ", mark), _link(group.suite, links)]
    card = judged.card_line(summary, group)
    parts += [element("p.muted", card)] if card else []
    trials = card_tables(summary, group)
    if trials:
        parts.append(
            fold("Judge card: what the judge is worth against people", [table_of(each, ways) for each in trials])
        )
    dimensions = sorted(group.dimensions, key=lambda dimension: dimension != "overall")
    boards = [judged.leaderboard(summary, group, dimension) for dimension in dimensions]
    parts += [
        together(element("h4", board.title), table_of(board, ways, caption=False)) for board in boards if board.rows
    ]
    for table in (calibrated_table(summary, group), controlled_table(summary, group)):
        parts += [element("h4", table.title), table_of(table, ways, caption=False)] if table.rows else []
    parts.append(_plots(summary, group, ident))
    heats = [heat_map(summary, group, dimension, ways) for dimension in dimensions]
    if any(heats):
        parts += [element("h4", "Win rates: row over column"), legend(), element("div.heats", heats)]
    parts += [table_of(table, ways) for table in protocols.protocol_tables(summary, group)]
    cells = protocols.cells_table(summary, group)
    parts += [fold(cells.title, table_of(cells, ways, caption=False))] if cells.rows else []
    tables = [judge_record.verdicts_table(summary, group), judge_record.bias_table(summary, group)]
    tables += [sway.sway_table(summary, group), sway.debiased_table(summary, group), apart.apart_table(summary, group)]
    parts += [table_of(table, ways) for table in tables if table.rows]
    pairs = judge_record.pairs_table(summary, group)
    if pairs.rows:
        parts.append(fold("Wins, ties and losses of every pair", table_of(pairs, ways, caption=False)))
    return together(parts)


def _plots(summary: Summary, group: Group, ident: str) -> Safe | None:
    """One dot plot per dimension of the method that ranks it; plots of one method share their axis."""
    by_method: dict[str, list[tuple[str, list[Point]]]] = {}
    for dimension in sorted(group.dimensions, key=lambda each: each != "overall"):
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
