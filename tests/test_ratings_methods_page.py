"""The methods page says what the code does."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from judgebench.types import Rating

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "methods.md").read_text()


def test_the_worked_example_prints_what_the_page_says():
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    said = re.search(r"```text\n(.*?)```", PAGE, re.S)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == said


def test_every_function_the_page_names_exists():
    named = re.findall(r"`(judgebench(?:\.\w+)+)\.(\w+)`", PAGE)
    assert len(named) > 30
    for module, name in named:
        if (module, name) != ("judgebench.errors", "UserError"):
            assert callable(getattr(importlib.import_module(module), name))


def rows() -> Iterator[tuple[list[tuple[ModuleType, str]], list[str]]]:
    """Each row of the page's tables: the functions it names with their modules, and its cells."""
    for line in PAGE.splitlines():
        if not line.startswith("|") or "judgebench." not in line:
            continue
        cells = [cell.replace("\0", "|").strip() for cell in line.replace("\\|", "\0").strip("|").split("|")]
        functions, module = [], None
        for named in re.findall(r"`([\w.]+)`", cells[1]):
            place, _, name = named.rpartition(".")
            module = importlib.import_module(place) if place else module
            assert module is not None, cells[1]
            functions.append((module, name))
        yield functions, cells


def test_every_second_function_of_a_row_exists_too() -> None:
    named = [(module, name) for functions, _ in rows() for module, name in functions]
    assert len(named) > 150
    assert [name for module, name in named if not callable(getattr(module, name, None))] == []


def test_every_field_the_page_lists_is_a_field_of_its_record() -> None:
    listed = 0
    for functions, cells in rows():
        for name, fields in re.findall(r"`([A-Z]\w+)`s?(?: by pair and order)?: `([^`]+)`", cells[3]):
            record = record_of(functions, name)
            if record is Rating:  # followed by names of methods
                continue
            said = tuple(field.strip() for field in fields.split(","))
            assert said == getattr(record, "__struct_fields__", None) or said == record._fields, name
            listed += 1
    assert listed > 55


def record_of(functions: Sequence[tuple[ModuleType, str]], name: str) -> Any:
    """The record of that name as the modules of a row's functions know it."""
    for module, _ in functions:
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(f"{name} is known to none of {functions}")


def test_every_input_that_must_be_given_is_named_in_its_row() -> None:
    tried = 0
    for functions, cells in rows():
        if "as above" in cells[2] or "the same" in cells[2]:
            continue
        said = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", cells[2]))))
        for module, name in functions:
            for parameter in inspect.signature(getattr(module, name)).parameters.values():
                if parameter.default is inspect.Parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
                    tried += 1
                    assert parameter.name in said, f"{module.__name__}.{name}: {parameter.name}"
    assert tried > 250


def test_every_default_the_page_states_is_the_functions_own() -> None:
    tried = 0
    for functions, cells in rows():
        for name, value in re.findall(
            r"\b([a-z_0-9]+)=(\"?[\w.-]+\"?)(?![\w(])", " ".join(re.findall(r"`([^`]+)`", cells[2]))
        ):
            for module, function in functions:
                found = inspect.signature(getattr(module, function)).parameters.get(name)
                if found is None or found.default is inspect.Parameter.empty:
                    continue
                if isinstance(found.default, bool | int | float | str | None):
                    tried += 1
                    said = {"e": repr(math.e)}.get(value, value.strip('"'))
                    same = str(found.default) == said or (
                        isinstance(found.default, int | float) and float(said) == found.default
                    )
                    assert same, f"{function}: {name}={value}, found {found.default!r}"
    assert tried > 100
