"""Exact scoring: closed answers → verdicts of ``exact@SCORER``. No model is asked; running code must be allowed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from judgebench.runs import Journal, Run
from judgebench.scorers.choose import ChooseScorer
from judgebench.stages import choose, rate, report
from judgebench.stages import settings as flags
from judgebench.stages.fallback import fall_back
from judgebench.stages.progress import Progress, say
from judgebench.stages.scoring import KEPT_BACK, check_scorers, close, open_scorer, scorers_of, seen, verdict_of
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Reading, Scorer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    flags.add_run(parser)
    flags.add_scoring(parser)
    flags.add_shared(parser)


def main(args: argparse.Namespace) -> int:
    """Scores every answer to a closed item that has no score yet; a run that was rated is rated and reported again.

    Returns:
        0; exit codes of errors are theirs.
    """
    path = flags.run_path(args.run)
    run = Run(path)
    settings = flags.resolve(args, path / "config.yaml")
    check_scorers(scorers_of(run), settings)
    score(run, settings, quiet=args.quiet)
    if settings.extract_with:
        fall_back(run, settings.extract_with, settings, quiet=args.quiet)
    if (path / "summary.json").is_file():
        rate.rate(run, settings)
        report.report(run, quiet=True)
    return 0


def score(run: Run, settings: Settings, *, quiet: bool = False) -> None:
    """Writes a verdict for each answer of a closed suite that has none, or has none that stands.

    A verdict stands while the answer is the one it was given to, unless it is unscored through the harness's own fault.
    """
    answers = run.answers()
    for suite, name, options, wanted in _jobs(run):
        judge = f"exact@{name}"
        file = run.verdicts_file(judge, "")
        known = [verdict for verdict in run.verdicts(file).values() if verdict.suite == suite]
        run.check_fingerprint("verdicts", f"{suite} | {judge}", {"options": options}, held=bool(known))
        whole = {"accuracy"} & {verdict.dimension for verdict in known}  # it is written last of an answer's dimensions
        standing = {
            (verdict.item, verdict.shown[0], verdict.seen)
            for verdict in known
            if (verdict.scores or not verdict.error.startswith("harness")) and (not whole or verdict.dimension in whole)
        }
        items = run.items(suite)
        submission = run.manifest["suites"][suite].get("submission")
        todo = [
            (items[answer.item], answer)
            for answer in answers.values()
            if answer.suite == suite
            and answer.item in items
            and wanted(items[answer.item], answer)
            and (answer.item, (answer.model, answer.sample), seen(answer)) not in standing
        ]
        if not todo:
            say(f"{judge}: all of {suite} is scored", quiet=quiet)
            continue
        scorer = ChooseScorer(**options) if name == ChooseScorer.name else open_scorer(name, options, settings)
        try:
            with Journal(file) as journal, Progress(f"{judge}: {suite}", len(todo), quiet=quiet) as progress:
                for item, answer, readings in _scored(scorer, todo):
                    for dimension, reading in sorted(readings.items(), key=lambda pair: pair[0] == "accuracy"):
                        if submission and reading.error == "no reference":
                            reading = Reading(error=KEPT_BACK)
                        journal.append(verdict_of(suite, item, answer, judge, dimension, reading))
                    progress.advance(failed=any(not reading.scores for reading in readings.values()))
        finally:
            close(scorer)
    run.save_manifest()


def _jobs(run: Run) -> Iterator[tuple[str, str, dict[str, Any], Callable[[Item, Answer], bool]]]:
    """(suite, scorer, its options, whether an answer is its to score); a suite answered in two ways has two."""

    def written(item: Item, answer: Answer) -> bool:
        generated, _ = choose.ways(run, answer.suite, answer.model)
        return generated and bool(answer.error or (len(answer.turns) >= len(item.turns) and not choose.chosen(answer)))

    def compared(item: Item, answer: Answer) -> bool:
        _, form = choose.ways(run, answer.suite, answer.model)
        return form is not None and bool(answer.choices or answer.choices_error)

    for suite, (name, options) in scorers_of(run).items():
        yield suite, name, options, written
        forms = {choose.ways(run, suite, model)[1] for model in run.manifest["models"]}
        for form in sorted(each for each in forms if each):
            yield suite, ChooseScorer.name, {"form": form}, compared


def _scored(scorer: Scorer, todo: list[tuple[Item, Answer]]) -> Iterator[tuple[Item, Answer, Mapping[str, Reading]]]:
    if scorer.workers <= 1:
        for item, answer in todo:
            yield item, answer, scorer.score(item, answer)
        return
    with ThreadPoolExecutor(scorer.workers) as pool:
        try:
            for (item, answer), readings in zip(todo, pool.map(lambda pair: scorer.score(*pair), todo), strict=True):
                yield item, answer, readings
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
