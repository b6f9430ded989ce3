"""The command line: finds the stage, parses its flags, prints errors in one line, ends with the right exit code."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable
from typing import NoReturn

from judgebench import __version__, plugins
from judgebench.errors import JudgeBenchError, UserError, did_you_mean
from judgebench.report.visible import one_line

HELP = {
    "run": "every stage in turn: generate, score, judge, rate, report",
    "generate": "items → answers",
    "score": "answers to closed items → exact scores",
    "judge": "answers to open items → verdicts of judges by rubrics",
    "rate": "verdicts → ratings and summary",
    "report": "ratings → report.html, report.md and tables",
    "compare": "two models on shared items: paired difference, interval, how many more items",
    "escalate": "which verdicts may stand with a promised agreement with people, and which go to people",
    "view": "runs in the browser: progress, items, answers side by side, prompts and replies",
    "annotate": "people label answers in the browser or a spreadsheet: blind, at random, beside the judges",
    "plan": "before a run: what its questions can show, its calls, tokens and price",
    "examine": "models as examiners: questions on any domain, with follow-ups → a suite",
    "import": "other tools' answers, verdicts and people's labels → a run",
    "export": "a run → files of evalica, Arena, AlpacaEval, FastChat, lm-eval, Inspect; model cards",
    "audit": "a judge on trial: worthless answers against real ones; models that fit nobody else's profile",
    "meta-eval": "a judge against people or gold labels: agreement, biases, ceiling, judge card",
    "parity": "one model through hf, vllm and an endpoint: prompts token by token, replies, scores, ends",
    "pull": "fetch benchmark files once, checked by hash",
    "list": "suites, rubrics, backends, scorers, judges, ratings, stages, importers, exporters, runs",
    "check": "check rubric, suite and run files",
    "pairs": "a run's verdicts → preference pairs, best answers, ranked lists; evaluation items kept out",
    "judge-data": "verdicts → examples that train a judge, in a rubric's own question and form",
    "data": "instruction data: convert, rate, filter, take duplicates out, write new",
    "sft": "examples → a checkpoint that answers like them",
    "dpo": "preference pairs → a checkpoint that prefers the better of each",
    "kto": "answers marked good or bad → a checkpoint that gives the good ones",
    "orpo": "preference pairs → a checkpoint, by odds ratios, with no reference model",
    "simpo": "preference pairs → a checkpoint, by mean log-probabilities, with no reference model",
    "rank": "ranked answers → a checkpoint, by RRHF, PRO, SLiC-HF or a plug-in's loss",
    "language": "feedback in words → a checkpoint: chain of hindsight, conditional behaviour cloning",
    "reward": "preference pairs → a model that scores answers",
    "rloo": "prompts and a reward → a checkpoint whose own answers earn more of it",
    "grpo": "the same, each answer against its group's mean and spread",
    "raft": "prompts and a reward → the best of k own answers, then sft",
    "ppo": "says what to take in its place",
    "demo": "the main job on tiny models of this project's own, on the CPU",
}
"""Stage → what it does, kept here so that help loads no stage."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises the mistake as the user's.

        Raises:
            UserError: always.
        """
        raise UserError(f"{message}{self._meant(message)} (see '{self.prog} --help')")

    def _meant(self, message: str) -> str:
        """What was probably meant, where a flag or one of a few words is misspelt."""
        found = re.search(r"unrecognized arguments: (--[^\s=]+)", message)
        if found:
            flags = [name for name in self._option_string_actions if name.startswith("--")]
            return _suggestion(found[1], flags)
        found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        return _suggestion(found[1], re.findall(r"[\w-]+", found[2])) if found else ""


def _suggestion(found: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(found, list(allowed), n=1)
    return f": did you mean '{close[0]}'?" if close else ""


def overview() -> str:
    """The text of ``judgebench --help``."""
    try:
        extra = {name: f"plug-in {entry.value}" for name, entry in plugins.others("stages").items()}
    except UserError as error:
        extra = {"(plug-ins)": str(error)}
    rows = "\n".join(f"  {name:<10} {text}" for name, text in {**HELP, **extra}.items())
    return (
        f"judgebench {__version__}: benchmarks, judges on trial, ratings with intervals for language models\n\n"
        f"usage: judgebench STAGE [RUN] [flags]\n\n{rows}\n\n"
        "judgebench STAGE --help shows a stage's flags. Start with: judgebench demo\n"
        "Exit codes: 0 done, 1 bug, 2 a mistake to mend, 3 too many unscored, 4 budget reached, 5 audit not passed, "
        "130 interrupted.\n"
    )


def main(arguments: list[str]) -> int:
    """Exit code of one command.

    Args:
        arguments: the words after ``judgebench``.

    Raises:
        JudgeBenchError: what a user can mend; `entry` prints it.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        sys.stdout.write(f"judgebench {__version__}\n")
        return 0
    name = arguments[0]
    known = plugins.names("stages")
    if name not in known:
        raise UserError(f"no stage is called {name!r}: {did_you_mean(name, known)}")
    stage = plugins.load("stages", name)
    about = (stage.__doc__ or "").strip().partition("\n")[0]
    parser = Parser(prog=f"judgebench {name}", description=about, allow_abbrev=False)
    stage.add_arguments(parser)
    return int(stage.main(parser.parse_args(arguments[1:])))


def entry() -> NoReturn:
    """Runs the command line and ends the process."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except JudgeBenchError as error:
        sys.stderr.write(f"judgebench: {one_line(str(error))}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\njudgebench: interrupted; what was done is kept, the same command goes on\n")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    entry()
