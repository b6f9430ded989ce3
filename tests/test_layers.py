"""The house stands: imports go downwards, siblings do not meet, and starting up loads nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "judgebench"

FLOORS = {
    "types": 0, "errors": 0,
    "prompts": 1, "plugins": 1, "thinking": 1, "generated": 1, "yaml_tree": 1, "verdict_words": 1,
    "files": 2, "rubrics": 2, "suites": 2, "suite_files": 2, "columns": 2, "sources": 2, "archives": 2, "agieval": 2,
    "hub": 2, "mapping": 2, "runs": 2, "published": 2, "importers": 2,
    "backends": 3, "scorers": 3, "judges": 3, "ratings": 3,
    "report": 4, "stages": 5, "train": 5, "web": 5, "api": 6, "cli": 6, "__main__": 7, "__init__": 7,
}  # fmt: skip
SIBLINGS = ("backends", "scorers", "judges", "ratings")
FORBIDDEN_NAMES = {"utils", "util", "common", "core", "base", "helpers", "misc"}
HEAVY = ("torch", "transformers", "vllm", "ray", "scipy", "pandas", "numpy", "openai", "aiohttp", "rich", "yaml")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Rooms of this package that a module imports, anywhere in it."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "judgebench" else [f"judgebench.{n.name}" for n in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "judgebench" and len(parts) > 1 and parts[1] in FLOORS:
                rooms.add(parts[1])
    return rooms


MODULES = sorted(PACKAGE.rglob("*.py"))


def files_imported(path: Path, names: dict[str, Path]) -> set[Path]:
    """Files of this package that a module imports, anywhere in it, for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        wanted = []
        if isinstance(node, ast.ImportFrom) and node.module:
            wanted = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        found |= {names[name] for name in wanted if name in names}
    return found - {path}


def circle_in(imports: dict[Path, set[Path]]) -> list[Path]:
    """Files of which each is imported, at last, by itself; none where imports only lead downwards."""
    left = dict(imports)
    while free := [path for path, wanted in left.items() if not wanted & left.keys()]:
        for path in free:
            del left[path]
    while above := left.keys() - set().union(*left.values(), set()):
        left = {path: wanted for path, wanted in left.items() if path not in above}
    return sorted(left)


def test_no_files_import_one_another_in_a_circle() -> None:
    inner = [path for path in MODULES if path.name != "__init__.py"]
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in inner}
    assert circle_in({path: files_imported(path, names) for path in inner}) == []


def test_the_circle_test_sees_a_circle_and_only_what_is_in_it() -> None:
    one, two, three, four = (Path(name) for name in ("one", "two", "three", "four"))
    assert circle_in({one: {two}, two: {three}, three: {two, four}, four: set()}) == [three, two]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_and_siblings_never_meet(path: Path) -> None:
    here = room(path)
    assert here in FLOORS, f"{here} has no floor: add it to the picture in docs/architecture.md and here"
    for other in imported(path) - {here}:
        assert FLOORS[other] <= FLOORS[here], f"{path} imports upwards: {other}"
        assert not (here in SIBLINGS and other in SIBLINGS), f"{path} imports its sibling {other}"


def test_the_layer_test_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    module = tmp_path / "x.py"
    module.write_text("def f():\n    from judgebench.stages import run\n    import judgebench.cli\n")
    assert imported(module) == {"stages", "cli"}


def test_no_module_is_called_by_a_name_that_says_nothing() -> None:
    assert not {path.stem for path in MODULES} & FORBIDDEN_NAMES
    assert not {path.name for path in PACKAGE.rglob("*") if path.is_dir()} & FORBIDDEN_NAMES


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, json\n{code}\nsys.stderr.write(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_and_the_package_itself_load_nothing_heavy() -> None:
    modules = loaded_by("import judgebench\nfrom judgebench.cli import main\nmain(['--help'])")
    assert not [name for name in HEAVY if name in modules]
    assert not [name for name in modules if name.startswith("judgebench.stages")]


def test_checking_files_loads_no_model_and_no_numbers() -> None:
    code = "from judgebench.cli import main\nmain(['list', 'rubrics'])\nmain(['list', 'suites'])"
    assert not [name for name in HEAVY if name in loaded_by(code) and name != "yaml"]
