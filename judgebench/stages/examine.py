"""Has examiners write a suite: questions by domain with follow-ups (LM-Examiner), in a file like any other suite."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from judgebench.errors import BackendError, UserError
from judgebench.files import write_atomic
from judgebench.judges.examiner import Examined, ExaminerJudge
from judgebench.report.visible import one_line
from judgebench.rubrics import load_rubric, with_options
from judgebench.stages import settings as flags
from judgebench.stages.named_models import check_owners, parse_models
from judgebench.stages.opening import opened, try_out
from judgebench.stages.progress import say
from judgebench.stages.seeds import draw_seed
from judgebench.stages.settings import Settings
from judgebench.types import Backend, Model, Reply, Request, Sampling


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("out", metavar="FILE.yaml", help="suite file to be written; run it with --suite FILE.yaml")
    group = parser.add_argument_group("examiners")
    group.add_argument(
        "--judge", action="append", metavar="[NAME=]BACKEND/ID",
        help="examiner; repeat for several, each of whom writes questions on every domain",
    )  # fmt: skip
    group.add_argument("--rubric", default="lm-examiner", metavar="NAME", help="its prompts (default lm-examiner)")
    group.add_argument("--domain", action="append", default=[], metavar="TEXT", help="what to ask about; repeat")
    group.add_argument("--questions", type=int, default=10, metavar="N", help="on each domain (default 10)")
    group.add_argument("--follow-ups", type=int, default=0, metavar="N", help="turns after each question (default 0)")
    group.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the examiners (default 1)")
    group.add_argument("--license", default="", metavar="TEXT", help="what the examiners' terms say of their output")
    flags.add_shared(parser)


def main(args: argparse.Namespace) -> int:
    """Writes the suite file.

    Returns:
        0; exit codes of errors are theirs.
    """
    out = Path(args.out)
    if out.suffix not in (".yaml", ".yml"):
        raise UserError(f"{out}: the suite is written as FILE.yaml")
    if out.exists():
        raise UserError(f"{out} exists: give another name, or delete it")
    for flag, least in (("questions", 1), ("follow_ups", 0), ("temperature", 0)):
        if getattr(args, flag) < least:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag):g}: must be at least {least}")
    temperature, args.temperature, named, args.rubric = args.temperature, None, args.rubric, None
    settings = flags.resolve(args)
    models = parse_models(settings.judge, settings.option)
    domains = list(dict.fromkeys(args.domain))
    if not models or not domains:
        raise UserError("examine needs at least one --judge and one --domain")
    rubric = with_options(load_rubric(named), settings.option)
    if rubric.judge != "examiner":
        raise UserError(f"rubric {rubric.name}: its judge is {rubric.made_by!r}, and 'examiner' writes questions")
    check_owners(settings.option, models, [rubric.name])
    try_out("judge", models, settings, {})
    sampling = Sampling(temperature=temperature, max_tokens=2048)
    items: list[dict[str, Any]] = []
    for model in models:
        maker = ExaminerJudge(model.name, rubric)
        with opened("judge", model, settings, {}, quiet=args.quiet) as (backend, _):
            talks = [maker.examine(domain, args.questions, args.follow_ups, sampling) for domain in domains]
            for examined in driven(talks, backend, settings):
                items += _items(model, examined, len(items), quiet=args.quiet)
    if not items:
        raise BackendError("no examiner wrote a question that can be read: nothing is written")
    suite = {
        "name": out.stem, "version": "1", "license": args.license or "unknown",
        "about": f"{len(items)} questions on {', '.join(domains)}, written by {', '.join(m.name for m in models)}",
        "items": items,
    }  # fmt: skip
    write_atomic(out, yaml.safe_dump(suite, allow_unicode=True, sort_keys=False, width=120))
    if not args.quiet:
        sys.stdout.write(one_line(f"{out}: {suite['about']}") + "\n")
    return 0


def driven(
    talks: Sequence[Generator[list[Request], list[Reply], Examined]], backend: Backend, settings: Settings
) -> list[Examined]:
    """What every talk comes to, all of them asked in waves."""
    done: dict[int, Examined] = {}
    waiting: dict[int, list[Reply] | None] = dict.fromkeys(range(len(talks)))
    wave = 0
    while waiting:
        asked: dict[str, Request] = {}
        sizes: dict[int, int] = {}
        for number, replies in waiting.items():
            try:
                requests = next(talks[number]) if replies is None else talks[number].send(replies)
            except StopIteration as end:
                done[number] = end.value
                continue
            sizes[number] = len(requests)
            for at, request in enumerate(requests):
                key = f"{number}.{at}"
                seed = draw_seed(settings.seed, "examine", number, wave, at)
                drawn = request.sampling if request.sampling.temperature == 0 else _seeded(request.sampling, seed)
                asked[key] = msgspec.structs.replace(request, id=key, sampling=drawn)
        found = {request.id: reply for request, reply in backend.generate(asked.values())} if asked else {}
        waiting = {number: [found[f"{number}.{at}"] for at in range(size)] for number, size in sizes.items()}
        wave += 1
    return [done[number] for number in range(len(talks))]


def _seeded(sampling: Sampling, seed: int) -> Sampling:
    return msgspec.structs.replace(sampling, seed=seed)


def _items(model: Model, examined: Examined, before: int, *, quiet: bool) -> list[dict[str, Any]]:
    """The suite's items of one examiner and domain; what went wrong is said aloud."""
    for note in (*examined.notes, *([examined.error] if examined.error else [])):
        say(f"note: {model.name} on {examined.domain}: {note}", quiet=quiet)
    return [
        {"id": str(number), "category": examined.domain, "turns": list(turns), "meta": {"examiner": model.name}}
        for number, turns in enumerate(examined.items, before + 1)
    ]
