"""A run file of steps: stages one after another, each with its own flags, all checked before the first begins."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import msgspec

from judgebench import plugins
from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.files import line_of, read_yaml
from judgebench.stages.progress import say
from judgebench.stages.settings import Settings, run_path


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of a run file of steps."""

    stage: str
    """Its name, as on the command line."""
    about: str = ""
    """What it is for; said aloud before it begins."""
    arguments: tuple[str, ...] = ()
    """What stands on the command line without a flag, such as the run folder."""
    flags: dict[str, Any] = {}
    """Flag (without its dashes) → value: true where it takes none, a list where it is repeated."""


class Steps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run file of steps. In every text ``{run}`` is the folder of the run and ``{here}`` that of the file."""

    run: str
    """The run where the command line names none; a bare name means ``results/NAME``."""
    about: str = ""
    """What it is for."""
    steps: tuple[Step, ...]
    """In their order."""


class Planned(NamedTuple):
    """A step whose words were understood."""

    step: Step
    """As in the file."""
    stage: ModuleType
    """Its module."""
    args: argparse.Namespace
    """Its parsed flags."""


def has_steps(config: str | None) -> bool:
    """Whether a run file is one of steps.

    Raises:
        FileError: it cannot be read.
    """
    return bool(config) and "steps" in read_yaml(str(config), dict)


def walk(config: str, run: str | None, *, quiet: bool) -> int:
    """Takes the steps of a run file one after another; ends where one does not end well.

    Nothing is remembered between steps but what they wrote: each finds its own work done, or goes on with it. The same
    command therefore resumes whichever step was killed.

    Args:
        config: the file.
        run: the run folder, over the file's own.
        quiet: no progress, no tables, where a step's stage can be told so.

    Returns:
        The exit code of the last step taken.

    Raises:
        FileError: a step names no stage, or flags that its stage has not; before the first step begins.
    """
    code = 0
    planned = plan(config, run, quiet=quiet)
    for number, (step, stage, args) in enumerate(planned, 1):
        about = f": {step.about}" if step.about else ""
        say(f"step {number} of {len(planned)}, {step.stage}{about}", quiet=quiet)
        code = int(stage.main(args))
        if code:
            break
    return code


def plan(config: str, run: str | None, *, quiet: bool) -> list[Planned]:
    """The steps of a run file with their words understood. Args and raises as `walk`."""
    file = read_yaml(config, Steps)
    holes = {"run": str(run_path(run or file.run)), "here": str(_near(Path(config).resolve().parent))}
    if not file.steps:
        raise FileError(config, "there is no step", line=line_of(config, ("steps",)), key="steps")
    planned = []
    for number, step in enumerate(file.steps):
        where: tuple[str | int, ...] = ("steps", number)

        def wrong(text: str, where: tuple[str | int, ...] = where, number: int = number) -> NoReturn:
            raise FileError(config, text, line=line_of(config, where), key=f"steps[{number}]")

        known = plugins.names("stages")
        if step.stage not in known:
            wrong(f"no stage is called {step.stage!r}: {did_you_mean(step.stage, known)}")
        stage = plugins.load("stages", step.stage)
        parser = _Parser(prog=step.stage, allow_abbrev=False, add_help=False)
        stage.add_arguments(parser)
        try:
            args = parser.parse_args(words(step, holes))
        except UserError as error:
            wrong(f"{step.stage}: {error}")
        if quiet and hasattr(args, "quiet"):
            args.quiet = True
        planned.append(Planned(step, stage, args))
    return planned


def words(step: Step, holes: Mapping[str, str]) -> list[str]:
    """The words of a step as a command line would have them, its holes filled.

    >>> words(Step(stage="sft", arguments=("{run}",), flags={"steps": 3, "quiet": True}), {"run": "results/x"})
    ['results/x', '--steps=3', '--quiet']
    """
    found = [_filled(text, holes) for text in step.arguments]
    for flag, value in step.flags.items():
        for each in value if isinstance(value, list) else [value]:
            if each is True:
                found.append(f"--{flag}")
            elif each is not False and each is not None:
                found.append(f"--{flag}={_filled(str(each), holes)}")
    return found


def refuse_flags(args: argparse.Namespace) -> None:
    """Nothing, when the command line says nothing that the steps of a file should say.

    Raises:
        UserError: it does.
    """
    for name in (*Settings.__struct_fields__, "dry_run"):
        if getattr(args, name, None):
            raise UserError(f"--{name.replace('_', '-')}: {args.config} has steps, and each step has its own flags")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are the file's."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def _filled(text: str, holes: Mapping[str, str]) -> str:
    for name, value in holes.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _near(path: Path) -> Path:
    """The path as seen from here where it lies below, so that records hold no machine's paths."""
    here = Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
