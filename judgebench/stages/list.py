"""Lists what there is: suites, rubrics, backends, scorers, judges, ratings, stages, formats, or a folder's runs."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import judgebench
from judgebench import plugins
from judgebench.errors import UserError
from judgebench.report.visible import one_line, visible

KINDS = ("suites", "rubrics", "backends", "scorers", "judges", "ratings", "stages", "importers", "exporters", "runs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("kind", choices=KINDS, help="what to list")
    parser.add_argument("folder", nargs="?", default="results", help="folder of runs (default results)")
    parser.add_argument("--json", action="store_true", help="one JSON list of names and descriptions")


def main(args: argparse.Namespace) -> int:
    """Prints one line for each.

    Returns:
        0.
    """
    rows = list(_rows(args.kind, Path(args.folder)))
    if args.json:
        found = [{"name": name, "about": about} for name, about in rows]
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{visible(line)}\n" for line in _lines(rows))
        if not rows:
            sys.stderr.write(one_line(f"no runs in {args.folder}") + "\n")
    return 0


def _lines(rows: Sequence[tuple[str, str]]) -> Iterable[str]:
    """A line for each name; in a terminal folded to its width, below the start of the text."""
    width = max((len(name) for name, _ in rows), default=0)
    if not sys.stdout.isatty():
        return (f"{name:<{width}}  {about}".rstrip() for name, about in rows)
    room = max(shutil.get_terminal_size().columns - width - 2, 20)
    return (
        f"{'' if place else name:<{width}}  {part}".rstrip()
        for name, about in rows
        for place, part in enumerate(textwrap.wrap(about, room) or [""])
    )


def _rows(kind: str, folder: Path) -> Iterable[tuple[str, str]]:
    if kind == "suites":
        from judgebench.files import shipped

        return sorted((path.stem, _about(path)) for path in shipped("suites").glob("*.yaml"))
    if kind == "rubrics":
        from judgebench.rubrics import list_rubrics, load_rubric

        return ((rubric.name, f"{rubric.mode}; {rubric.about}") for rubric in map(load_rubric, list_rubrics()))
    if kind == "runs":
        return ((path.parent.name, _models(path.parent)) for path in sorted(folder.glob("*/manifest.json")))
    group = plugins.BUILT_IN[kind]
    whole = kind == "importers"  # a module is one format
    about = {name: _said(target.partition(":")[0] if whole else target) for name, target in group.items()}
    return ((name, about.get(name, "plug-in")) for name in plugins.names(kind))


def _said(target: str) -> str:
    """First line of what a built-in says of itself, read from its source: nothing is imported for a list."""
    module, _, name = target.partition(":")
    place = Path(judgebench.__file__).parent.joinpath(*module.split(".")[1:])
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = (node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name)
    return (ast.get_docstring(next(named, tree)) or "").partition("\n")[0].replace("``", "")


def _models(run: Path) -> str:
    from judgebench.runs import read_manifest

    try:
        return ", ".join(read_manifest(run)["models"])
    except UserError as error:
        return f"damaged: {error}"


def _about(path: Path) -> str:
    """The line ``about`` of a suite file, found without reading the whole as YAML: a list need not check what it lists.

    A text in double quotes on one line is read here; any other form by `check_suite`.
    """
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("about:"):
                quoted = re.fullmatch(r'about:\s*("(?:[^"\\]|\\["\\nt])*")\s*(?:#.*)?', line.rstrip("\n"))
                if quoted:
                    return str(json.loads(quoted[1]))
                break
    from judgebench.suites import check_suite

    return check_suite(path).about
