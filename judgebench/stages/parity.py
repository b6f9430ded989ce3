"""Puts the same items to one model in several ways (hf, vllm, an endpoint) and says where they part."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Sequence

import msgspec

from judgebench.backends.prompt_tokens import PromptTokens, of_server
from judgebench.errors import UserError
from judgebench.report.visible import visible
from judgebench.stages import choose
from judgebench.stages import settings as flags
from judgebench.stages.answering import load_suites, sampling
from judgebench.stages.named_models import check_owners, parse_models
from judgebench.stages.opening import closing_words, opened, try_out
from judgebench.stages.parity_found import Heard, Parity, compare
from judgebench.stages.progress import Progress
from judgebench.stages.scoring import close, open_scorer
from judgebench.stages.settings import Settings
from judgebench.suites import Suite
from judgebench.types import (
    Answer,
    Backend,
    ChoiceReply,
    ChoiceRequest,
    ComparesChoices,
    Item,
    Message,
    Model,
    Reply,
    Request,
)

ITEMS = 20
"""Items of each suite where no ``--limit`` is given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("model", nargs="+", metavar="MODEL",
                        help="two or more of [NAME=]BACKEND/ID; the others are held against the first")  # fmt: skip
    group = parser.add_argument_group("what is asked")
    group.add_argument("--suite", action="append", metavar="NAME", help="suite by name or file; repeat, or use commas")
    group.add_argument("--data", metavar="DIR", help="folder with benchmark files")
    group.add_argument("--limit", type=int, metavar="N", help=f"items of each suite (default {ITEMS})")
    group.add_argument("--max-tokens", type=int, metavar="N", help="most new tokens (default: the suite's own)")
    group.add_argument("--chat-template", choices=("auto", "on", "off"), help="of local models (default auto)")
    group.add_argument("--option", action="append", metavar="NAME.KEY=VALUE", help="an option of one model or backend")
    group.add_argument("--max-concurrency", type=int, metavar="N", help="most calls at once to an endpoint")
    group.add_argument("--batch-size", type=int, metavar="N", help="of hf")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def main(args: argparse.Namespace) -> int:
    """Prints how far each model agrees with the first.

    Returns:
        0, also where they part: saying so is what this stage is for (``--json`` holds ``agrees``).
    """
    settings = flags.resolve(args)
    if settings.limit is None:
        settings = msgspec.structs.replace(settings, limit=ITEMS)
    models = parse_models(settings.model, settings.option)
    check_owners(settings.option, models)
    found = parity(models, settings, quiet=args.quiet)
    if args.json:
        rows = [{**msgspec.to_builtins(each), "agrees": each.agrees} for each in found]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode() + "\n")
    else:
        sys.stdout.write(visible("\n".join("\n".join(lines(each)) for each in found)) + "\n")
    return 0


def parity(models: Sequence[Model], settings: Settings, *, quiet: bool = False) -> list[Parity]:
    """How far each model but the first agrees with the first, on the first turn of each item, drawn greedily.

    One model is open at a time, so that several engines can take turns on one GPU.

    Args:
        models: the first is what the others are held against.
        settings: suites, limit, length of replies, and the shared flags.
        quiet: no progress.

    Raises:
        UserError: fewer than two models, no suite, or a mistake in one of them: found before anybody is asked.
        BackendError: one cannot answer at all.
    """
    if len(models) < 2:
        raise UserError("parity holds models against one another: name at least two")
    if not settings.suite:
        raise UserError("parity needs items to ask: --suite NAME")
    settings = msgspec.structs.replace(settings, temperature=0.0)
    suites = load_suites(settings, quiet=quiet)
    try_out("model", models, settings, {})
    heard = [_heard(model, suites, settings, quiet=quiet) for model in models]
    return [
        compare(model.name, found, models[0].name, heard[0]) for model, found in zip(models[1:], heard[1:], strict=True)
    ]


def lines(found: Parity) -> list[str]:
    """One comparison in words."""
    said = [f"{found.model} beside {found.reference}: {found.items} items"]
    if found.prompts_known:
        said.append(f"  prompts: {found.prompts_same} of {found.prompts_known} are the same, token by token")
        if max(found.begins) != 1 or found.begins[0] != found.begins[1]:
            said.append(f"  BOS at the head: {found.begins[0]} and {found.begins[1]}")
    same_lengths = f"{found.prompt_lengths} of {found.answered} are counted as equally long"
    said.append(f"  {'        ' if found.prompts_known else 'prompts:'} {same_lengths}")
    if found.prompt_difference:
        said.append(f"    {found.prompt_difference}")
    said.append(f"  replies: {found.texts_same} of {found.answered} are the same")
    if found.text_difference:
        said.append(f"    {found.text_difference}")
    ends = ", ".join(f"{count} {which}" for which, count in sorted(found.finishes.items()))
    said.append(f"  ends: {ends or 'all for the same reason'}")
    if found.logprob_largest is not None:
        said.append(
            f"  log-probabilities of {found.tokens_compared} tokens: differ by at most {found.logprob_largest:.2g}, "
            f"by {found.logprob_mean:.2g} in the mean"
        )
    if found.choices_largest is not None:
        said.append(
            f"  log-probabilities of {found.choices_compared} choices: differ by at most {found.choices_largest:.2g}; "
            f"the same choice is best in {found.choices_same_best} of {found.choices_items} items"
        )
    for dimension, (one, other, differ) in found.scores.items():
        said.append(f"  {dimension}: {one:.3f} and {other:.3f}, {other - one:+.3f}; {differ} items differ")
    said += [f"  no reply for {count}: {error}" for error, count in sorted(found.errors.items())]
    return said


def _heard(model: Model, suites: Sequence[Suite], settings: Settings, *, quiet: bool) -> dict[str, Heard]:
    """Item → what a model makes of it."""
    afresh = msgspec.structs.replace(settings, no_cache=True)
    with opened("model", model, afresh, {}, quiet=quiet) as (backend, described):
        logprobs = 1 if "logprobs" in getattr(backend, "provides", ()) else 0
        asked = {
            f"{suite.name} | {item.id}": (suite, item, _request(suite, item, settings, logprobs))
            for suite in suites
            for item in suite.items
        }
        prompts = {name: _prompt(backend, model, request.messages) for name, (_, _, request) in asked.items()}
        replies: dict[str, Reply] = {}
        with Progress(model.name, len(asked), quiet=quiet) as progress:
            for request, reply in backend.generate(request for _, _, request in asked.values()):
                replies[request.id] = reply
                progress.advance(failed=bool(reply.error))
        choices = _choices(backend, {suite.name for suite in suites if not choose.unfit(suite)}, asked.values())
        closing_words(backend, model, described, quiet=quiet)
    scores = _scores(suites, settings, model, replies)
    return {
        name: Heard(
            item=name,
            prompt=prompts[name],
            reply=replies[name],
            scores=scores.get(name, {}),
            choices=choices.get(name),
        )
        for name in asked
    }


def _request(suite: Suite, item: Item, settings: Settings, logprobs: int) -> Request:
    """The call for an item's first turn."""
    system = [Message(role="system", content=suite.system)] if suite.system else []
    return Request(
        id=f"{suite.name} | {item.id}",
        messages=(*system, *item.shots, Message(role="user", content=item.turns[0])),
        sampling=msgspec.structs.replace(sampling(suite, item, settings), logprobs=logprobs),
        suite=suite.name,
        item=item.id,
    )


def _prompt(backend: Backend, model: Model, messages: tuple[Message, ...]) -> PromptTokens:
    shows = getattr(backend, "prompt_tokens", None)
    if shows is not None:
        shown: PromptTokens = shows(messages)
        return shown
    address = getattr(backend, "base_url", None)
    if address:
        return of_server(address, model.id, messages, backend.options)  # type: ignore[attr-defined]
    return PromptTokens(unknown=f"{model.backend} does not say what its model reads")


def _choices(
    backend: Backend, fit: Collection[str], asked: Iterable[tuple[Suite, Item, Request]]
) -> dict[str, ChoiceReply]:
    """Item → the log-probabilities of its choices, where its suite is fit for it and the backend can."""
    if not isinstance(backend, ComparesChoices):
        return {}
    requests: list[ChoiceRequest] = []
    for suite, item, request in asked:
        if suite.name in fit:
            made = choose.request(suite, item, suite.choose, request.messages, len(requests))
            requests.append(msgspec.structs.replace(made, id=request.id))
    return {request.id: reply for request, reply in backend.loglikelihood(requests)} if requests else {}


def _scores(
    suites: Sequence[Suite], settings: Settings, model: Model, replies: dict[str, Reply]
) -> dict[str, dict[str, float]]:
    """Item → dimension → exact score of the first turn; suites of several turns and programs are left out."""
    found: dict[str, dict[str, float]] = {}
    for suite in suites:
        if not suite.scorer or suite.scorer == "code" or any(len(item.turns) > 1 for item in suite.items):
            continue
        scorer = open_scorer(suite.scorer, suite.scorer_options, settings)
        try:
            for item in suite.items:
                name = f"{suite.name} | {item.id}"
                reply = replies[name]
                if reply.error:
                    continue
                answer = Answer(
                    suite=suite.name, item=item.id, model=model.name, turns=(reply.text,), finish=(reply.finish,)
                )
                found[name] = {
                    dimension: reading.scores[0]
                    for dimension, reading in scorer.score(item, answer).items()
                    if reading.scores
                }
        finally:
            close(scorer)
    return found
