"""Several runs in one report: unlike ones are refused, what they have in common is joined and rated, and compared."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from judgebench.errors import RunConflict, UserError
from judgebench.files import safe_name, write_atomic
from judgebench.ratings.grades import item_means
from judgebench.ratings.multiplicity import holm
from judgebench.ratings.pools import groups_that_meet
from judgebench.report import overview, runs_compared, usage
from judgebench.report.behind import Behind
from judgebench.report.joining import Joined, Side, changes, join, unlike
from judgebench.report.markdown import render_markdown
from judgebench.report.pages import Records, report_files
from judgebench.runs import Run
from judgebench.stages.cards import card_rows
from judgebench.stages.comparisons import Comparison, compare_pairs
from judgebench.stages.games import dimensions_of, games_of, standing
from judgebench.stages.rate import rate
from judgebench.stages.reasons import Row
from judgebench.stages.settings import Settings
from judgebench.stages.spending import usage_rows
from judgebench.stages.summary_exact import accuracy_rows, answer_rows, other_rule
from judgebench.stages.unscored import judged_rows
from judgebench.types import Game, Item, Verdict

OUT = "comparison.html"
"""Where the page goes where nobody says."""

Finder = Callable[[Run, Records], Behind]
"""What finds the items behind a number of a run."""


def report_runs(
    runs: Sequence[Run], out: Path, behind: Finder, *, allow_unlike: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The comparison of several runs and the summary of them as one; ``out``, its pages and its .md hold both.

    Args:
        runs: two or more.
        out: the page to write, ending in .html.
        behind: finds the items behind a number.
        allow_unlike: compare runs that were not asked alike, and say so on the page.

    Raises:
        RunConflict: they were not asked alike; the message names the difference and the two runs.
        UserError: a run is named twice, they have nothing in common, or ``out`` cannot be written.
    """
    if out.suffix != ".html":
        raise UserError(f"--out {out}: the page's name must end in .html")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}")
    sides = [side_of(run, name) for run, name in zip(runs, _names(runs), strict=True)]
    lines = unlike(sides)
    if lines and not allow_unlike:
        more = f" (and {len(lines) - 1} more differences)" if len(lines) > 1 else ""
        raise RunConflict(f"{lines[0]}{more}; --allow-unlike puts them side by side all the same")
    joined = join(sides)
    called = " and ".join(side.name for side in sides)
    if not joined.shares:
        raise UserError(f"{called} have no suite in common")
    if not any(share.joined for share in joined.shares):
        raise UserError(f"{called} have no item in common that every model answered whole")
    with tempfile.TemporaryDirectory(prefix="judgebench-runs-") as folder:
        made = _written(Path(folder) / "run", sides, joined)
        summary = rate(made, Settings(swap_policy=made.manifest["swap_policy"]))
        summary.update(run=", ".join(side.name for side in sides), usage=[], cards=_cards(runs))
        summary["created"] = max(side.manifest["created"] for side in sides)
        verdicts = list(made.verdicts().values())
        games, _ = games_of(made, verdicts)
        _part(summary, games)
        summary["warnings"] = [*lines, *summary["warnings"]]
        found: dict[str, Any] = {
            "runs": [_run_row(run, side, out) for run, side in zip(runs, sides, strict=True)],
            "unlike": lines,
            "models": [{"model": model, "runs": list(of)} for model, of in joined.models.items()],
            "suites": [msgspec.to_builtins(share) for share in joined.shares],
            "only": {
                "suites": [dict(zip(("suite", "run", "items"), each, strict=True)) for each in joined.alone],
                "judged": [
                    dict(zip(("suite", "judge", "rubric", "run"), each, strict=True)) for each in joined.judged_alone
                ],
            },
            "twice": joined.twice,
            "differing": joined.differing,
            "differences": list(_differences(made, joined, verdicts, games)),
            "changed": [
                msgspec.to_builtins(each) for _, one, other in joined.repeated for each in changes(joined, one, other)
            ],
        }
        items = [(suite, item) for suite in made.manifest["suites"] for item in made.items(suite).values()]
        records = items, list(made.answers().values()), verdicts
        finder = behind(made, records)
        names = set()
        for name, content in report_files(
            summary, records, finder, out.stem, lambda ways: runs_compared.sections(found, ways)
        ):
            (out.parent / name).parent.mkdir(exist_ok=True)
            write_atomic(out.parent / name, content)
            names.add(out.parent / name)
        for path in (out.parent / f"{out.stem}-items").glob("*.html"):
            if path not in names:
                path.unlink()  # of an earlier, longer comparison
        text = runs_compared.render_comparison_markdown(found) + render_markdown(summary).partition("\n")[2]
        write_atomic(out.with_suffix(".md"), text)
    return found, summary


def _names(runs: Sequence[Run]) -> list[str]:
    """What each run is called: its folder's name, with the folder above where two are named alike.

    Raises:
        UserError: one run is named twice.
    """
    paths = [run.path.resolve() for run in runs]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise UserError(f"{runs[number].path} is named twice; a run is compared with others")
    alone = [sum(path.name == other.name for other in paths) == 1 for path in paths]
    named = [path.name if one else f"{path.parent.name}/{path.name}" for path, one in zip(paths, alone, strict=True)]
    return named if len(set(named)) == len(named) else [str(run.path) for run in runs]


def side_of(run: Run, name: str) -> Side:
    """What a comparison reads of a run."""
    return Side(
        name=name,
        manifest=run.manifest,
        items={suite: run.items(suite) for suite in run.manifest["suites"]},
        answers=tuple(run.answers().values()),
        verdicts=tuple(standing(run, run.verdicts().values())[0]),
    )


def _written(path: Path, sides: Sequence[Side], joined: Joined) -> Run:
    """The runs as one run folder that holds what is compared."""
    made = Run(path, create=True)
    manifest = made.manifest
    items: dict[str, dict[str, Item]] = {}
    for side in reversed(sides):  # of what several say, the first counts
        own = side.manifest
        for name, label in joined.names[side.name].items():
            manifest["models"][label] = own["models"].get(name, {"backend": "unknown", "id": name, "options": {}})
        for share in joined.shares:
            if share.suite in side.items:
                manifest["suites"][share.suite] = {
                    **own["suites"][share.suite], "items": len(share.joined), "available": max(share.items.values()),
                }  # fmt: skip
                items[share.suite] = {item: side.items[share.suite][item] for item in share.joined}
                for name, label in joined.names[side.name].items():
                    parts = own["answers"].get(f"{share.suite} | {name}")
                    if parts is not None and label not in share.absent:
                        manifest["answers"][f"{share.suite} | {label}"] = parts
        for judge, record in own["judges"].items():
            before = manifest["judges"].get(judge, {}).get("rubrics", {})
            manifest["judges"][judge] = {**record, "rubrics": {**before, **record["rubrics"]}}
        manifest["rubrics"] |= own["rubrics"]
        manifest["verdicts"] |= own["verdicts"]
        manifest["trained"] = {**manifest.get("trained", {}), **own.get("trained", {})}
        manifest["seed"] = own.get("seed", 0)
        manifest["swap_policy"] = own.get("swap_policy", "half")
    for name in ("models", "suites", "answers", "judges"):
        manifest[name] = dict(reversed(manifest[name].items()))
    made.save_manifest()
    for suite, by_id in items.items():
        made.save_items(suite, by_id.values())
    _lines(made, "answers", ((safe_name(answer.model), answer) for answer in joined.answers))
    _lines(made, "verdicts", ((made.verdicts_file(each.judge, each.rubric.partition("@")[0]).stem, each)
                              for each in joined.verdicts))  # fmt: skip
    return made


def _lines(run: Run, folder: str, records: Iterator[tuple[str, Any]]) -> None:
    files: dict[str, list[bytes]] = defaultdict(list)
    for name, record in records:
        files[name].append(msgspec.json.encode(record) + b"\n")
    (run.path / folder).mkdir(exist_ok=True)
    for name, lines in files.items():
        run.write(f"{folder}/{name}.jsonl", b"".join(lines))


def _cards(runs: Sequence[Run]) -> list[Row]:
    found: dict[tuple[str, str], Row] = {}
    for run in runs:
        for row in card_rows(run, judged_rows(run)):
            known = found.setdefault((row["judge"], row["rubric"]), row)
            if row["card"] and not known["card"]:
                found[row["judge"], row["rubric"]] = row
    return list(found.values())


def _part(summary: dict[str, Any], games: Sequence[Game]) -> None:
    """Takes away ratings over games that join no two groups of models: such were never about the same pair."""
    pools: dict[tuple[str, str, str], set[tuple[str, str]]] = defaultdict(set)
    for game in games:
        pools[game.suite, game.judge, game.rubric].add((game.left, game.right))
    for (suite, judge, rubric), pairs in pools.items():
        groups = groups_that_meet(pairs)
        if len(groups) < 2:
            continue
        said = "; ".join(", ".join(group) for group in groups)
        note = f"not rated together: no game joins {said}"
        for row in summary["ratings"]:
            if (row["suite"], row["judge"], row["rubric"]) == (suite, judge, rubric) and row["method"] != "grade":
                row.update(value=None, low=None, high=None, note=note)
        summary["fits"] = [row for row in summary["fits"] if (row["suite"], row["judge"], row["rubric"])
                           != (suite, judge, rubric)]  # fmt: skip
        summary["warnings"].insert(0, f"{suite}, {judge} by {rubric}: {note}; see each run's own report")


def _run_row(run: Run, side: Side, out: Path) -> dict[str, Any]:
    """A run by itself: when it was made, who is in it, its counts, what it spent, its own report where there is one."""
    items = {suite: dict(by_id) for suite, by_id in side.items.items()}
    exact = accuracy_rows(run, items, side.answers, side.verdicts, [])
    counted = {
        "answers": answer_rows(run, items, side.answers),
        "accuracy": [row for row in exact if not other_rule(row["dimension"])],
        "verdicts": judged_rows(run, side.verdicts),
    }
    own = run.path / "report.html"
    used = usage_rows(run, side.answers, side.verdicts)
    prices = {name: side.manifest.get("prices", {}).get(name, "") for name in ("date", "currency")}
    return {
        "name": side.name,
        "created": side.manifest["created"],
        "models": list(side.manifest["models"]),
        "suites": list(side.manifest["suites"]),
        "counts": {
            entry.label: {"part": entry.part, "whole": entry.whole, "alarm": entry.alarm}
            for entry in overview.headline_counts(counted)
        },
        "usage": used,
        "prices": prices,
        "spent": msgspec.to_builtins(usage.spent(used)),
        "report": quote(os.path.relpath(own, out.parent)) if own.is_file() else "",
    }


def _differences(
    made: Run, joined: Joined, verdicts: Sequence[Verdict], games: Sequence[Game]
) -> Iterator[dict[str, Any]]:
    """Every two models of different runs on everything both were scored on, the later run's first."""
    order = {run: number for number, run in enumerate(joined.names)}
    scored: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for verdict in verdicts:
        if len(verdict.shown) == 1 and verdict.scores:
            key = verdict.suite, verdict.judge, verdict.rubric, verdict.dimension, verdict.item
            scored[verdict.shown[0][0]].add(key)
    met = {frozenset((game.left, game.right)) for game in games}
    pairs = [
        (other, one)
        for one, runs in joined.models.items()
        for other, others in joined.models.items()
        if set(runs) != set(others) and order[runs[0]] <= order[others[0]] and one != other
        and (scored[one] & scored[other] or frozenset((one, other)) in met)
    ]  # fmt: skip
    pairs = [pair for number, pair in enumerate(pairs) if (pair[1], pair[0]) not in pairs[:number]]
    if not pairs:
        return
    found = [
        each for each in compare_pairs([made], pairs, allow_unlike=True)
        if not (each.judge.startswith("exact@") and other_rule(each.dimension))
    ]  # fmt: skip
    dimensions, groups = dimensions_of(made), dict[tuple[str, ...], int]()
    found.sort(key=lambda each: _order(each, groups, list(dimensions.get(each.rubric, ()))))
    tested = [each.p_value for each in found if each.p_value is not None]
    corrected = iter(holm(tested).adjusted if len(tested) > 1 else tested)  # over what is shown, and nothing else
    for each in found:
        p_value = None if each.p_value is None else next(corrected)
        yield {**_row(each), "holm_p": p_value, **_lists(each, verdicts, games)}


def _order(each: Comparison, groups: dict[tuple[str, ...], int], dimensions: Sequence[str]) -> tuple[int, int]:
    """Comparisons stay in order; those that differ in the dimension alone are in that of the rubric."""
    group = each.left, each.right, each.suite, each.judge, each.rubric, each.method
    place = dimensions.index(each.dimension) if each.dimension in dimensions else len(dimensions)
    return groups.setdefault(group, len(groups)), place


def _row(each: Comparison) -> dict[str, Any]:
    fields = ("suite", "judge", "rubric", "dimension", "method", "left", "right", "value", "low", "high", "n",
              "clusters", "p_value", "holm_p", "smallest_difference", "items_needed", "note")  # fmt: skip
    return {name: getattr(each, name) for name in fields}


def _lists(each: Comparison, verdicts: Sequence[Verdict], games: Sequence[Game]) -> Mapping[str, list[str]]:
    """Ids of the items on which the left model is better, worse, or alike."""
    place = each.suite, each.judge, each.rubric, each.dimension
    leads: dict[str, float] = {}
    if each.method == "win rate":
        by_item: dict[str, list[float]] = defaultdict(list)
        for game in games:
            if (game.suite, game.judge, game.rubric, game.dimension) == place and {game.left, game.right} == {
                each.left, each.right
            }:  # fmt: skip
                by_item[game.item].append((game.score if game.left == each.left else 1 - game.score) - 0.5)
        leads = {item: sum(points) / len(points) for item, points in by_item.items()}
    else:
        means = item_means(
            [v for v in verdicts if (v.suite, v.judge, v.rubric, v.dimension) == place and len(v.shown) == 1]
        )
        ours, theirs = means.get(each.left, {}), means.get(each.right, {})
        leads = {item: ours[suite, item] - theirs[suite, item] for suite, item in ours if (suite, item) in theirs}
    return {
        "better": [item for item, lead in leads.items() if lead > 1e-9],
        "worse": [item for item, lead in leads.items() if lead < -1e-9],
        "alike": [item for item, lead in leads.items() if abs(lead) <= 1e-9],
    }
