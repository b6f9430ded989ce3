"""Falling back to a model for what a scorer's rules could not read: it copies the answer out, the scorer scores it.

Its readings are a further dimension, ``accuracy_fallback`` of ``exact@SCORER+MODEL``; what the rules said stands.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from judgebench.errors import Unreadable, UserError
from judgebench.prompts import fill
from judgebench.runs import Journal, Run
from judgebench.stages import scoring
from judgebench.stages.budget import budget_of
from judgebench.stages.named_models import parse_models
from judgebench.stages.opening import Ready, opened
from judgebench.stages.progress import Progress, say
from judgebench.stages.settings import Settings
from judgebench.thinking import strip_thinking
from judgebench.types import Answer, Backend, Item, Message, Model, Reading, Request, Sampling, Scorer, Verdict

DIMENSION = "accuracy_fallback"
MOST = 2048
"""New tokens of a reply at most, where ``--judge-max-tokens`` does not say: reasoning may stand before the answer."""
RULES = ("accuracy", "accuracy_strict", "accuracy_flexible")
"""Dimensions of a scorer's rules; a model is asked only where none of them read anything."""
NONE = "NONE"
PROMPT = """Somebody was asked the question below and gave the answer below it. Do not answer the question yourself and
do not correct anything: copy the final answer that is stated there, {form}, and write nothing else. If no final answer
is stated, write NONE.

<question>
{question}
</question>

<answer>
{answer}
</answer>"""


def reader(text: str, settings: Settings) -> Model:
    """The model of ``--extract-with``, with its options.

    Args:
        text: ``[name=]backend/id``.
        settings: shared flags, options of the model among them.

    Raises:
        UserError: it is malformed, or a baseline.
    """
    (model,) = parse_models((text,), settings.option)
    if model.backend == "baseline":
        raise UserError(f"--extract-with {text}: a baseline cannot copy an answer out; name a model")
    return model


def fall_back(run: Run, text: str, settings: Settings, ready: Ready | None = None, *, quiet: bool = False) -> None:
    """Writes a reading by a model for each scored answer that no rule could read and that has none yet.

    An answer that is empty, or nothing but reasoning that never ended, states none, and no call is made for it. A call
    that fails writes nothing and is made again next time; a reply that cannot be read is unscored.

    Args:
        run: a scored run.
        text: the model, ``[name=]backend/id``.
        settings: shared flags, options of the model among them.
        ready: backends already open.
        quiet: no progress.

    Raises:
        UserError: there is no such model or it refuses an option.
    """
    model = reader(text, settings)
    budget = budget_of(run, settings)
    with opened("judge", model, settings, ready or {}, budget=budget, run=run, quiet=quiet) as (backend, described):
        for suite, (name, options) in scoring.scorers_of(run).items():
            if name == "code":
                continue
            judge = f"exact@{name}+{model.name}"
            known = [verdict for verdict in _verdicts(run, judge) if verdict.suite == suite]
            asker = {key: value for key, value in described.items() if key != "notes"}
            parts = {"options": options, "model": [model.backend, model.id], "asked": PROMPT, "loaded": asker}
            run.check_fingerprint("verdicts", f"{suite} | {judge}", parts, held=bool(known))
            done = {(verdict.item, verdict.shown, verdict.seen) for verdict in known}
            missed = {
                str(number): pair
                for number, pair in enumerate(_missed(run, suite, f"exact@{name}"))
                if (pair[0].id, ((pair[1].model, pair[1].sample),), scoring.seen(pair[1])) not in done
            }
            if not missed:
                say(f"{judge}: nothing of {suite} is left to read", quiet=quiet)
                continue
            scorer = scoring.open_scorer(name, options, settings)
            _ask(run, judge, missed, backend, scorer, settings.judge_max_tokens or MOST, quiet=quiet)
    run.save_manifest()


def _verdicts(run: Run, judge: str) -> list[Verdict]:
    return list(run.verdicts(run.verdicts_file(judge, "")).values())


def _missed(run: Run, suite: str, judge: str) -> list[tuple[Item, Answer]]:
    """The suite's answers, as they are now, of which no rule read anything though words stand there."""
    answers, items = run.answers(), run.items(suite)
    read: dict[tuple[str, str, int], list[bool]] = defaultdict(list)
    for verdict in _verdicts(run, judge):
        key = (verdict.item, *verdict.shown[0])
        answer = answers.get((suite, *key))
        if verdict.suite == suite and verdict.dimension in RULES and answer and verdict.seen == scoring.seen(answer):
            read[key].append(not verdict.scores or "unextracted" not in verdict.error)
    found = []
    for key, by_rule in read.items():
        answer = answers[suite, *key]
        if not any(by_rule) and key[0] in items and _visible(answer.turns[-1] if answer.turns else ""):
            found.append((items[key[0]], answer))
    return found


def _visible(text: str) -> str:
    """A reply without its reasoning; empty where there is nothing else."""
    try:
        return strip_thinking(text).strip()
    except Unreadable:
        return ""


def _ask(
    run: Run, judge: str, missed: Mapping[str, tuple[Item, Answer]], backend: Backend, scorer: Scorer, most: int, *,
    quiet: bool,
) -> None:  # fmt: skip
    """Asks about each answer and writes what was read of it."""
    requests = [_request(key, item, answer, most) for key, (item, answer) in missed.items()]
    try:
        with (
            Journal(run.verdicts_file(judge, "")) as journal,
            Progress(judge, len(requests), backend=backend, quiet=quiet) as progress,
        ):
            for request, reply in backend.generate(requests):
                item, answer = missed[request.id]
                if not reply.error:
                    reading = _read(scorer, item, answer, reply.text)
                    verdict = scoring.verdict_of(answer.suite, item, answer, judge, DIMENSION, reading)
                    journal.append(msgspec.structs.replace(verdict, usage=reply.usage))
                progress.advance(failed=bool(reply.error), usage=reply.usage)
    finally:
        scoring.close(scorer)


def _request(key: str, item: Item, answer: Answer, most: int) -> Request:
    form = "the letter of the choice" if item.choices else "as it is written there"
    first, *later = item.question or item.turns
    if item.choices:
        listed = "\n".join(f"{chr(ord('A') + number)}. {choice}" for number, choice in enumerate(item.choices))
        first = f"{first}\n{listed}"
    fields = {"form": form, "question": "\n\n".join([first, *later]), "answer": _visible(answer.turns[-1])}
    return Request(
        id=key, messages=(Message(role="user", content=fill(PROMPT, fields)),),
        sampling=Sampling(temperature=0.0, max_tokens=most),
        suite=answer.suite, item=item.id, turn=len(item.turns), sample=answer.sample,
    )  # fmt: skip


def _read(scorer: Scorer, item: Item, answer: Answer, said: str) -> Reading:
    """The scorer's reading of what the model copied out, bare or as a statement; unscored where its reply is none."""
    try:
        copied = strip_thinking(said).strip()
    except Unreadable as error:
        return Reading(error=f"unreadable: {error}", reply=said)
    if not copied:
        return Reading(error="unreadable: empty reply", reply=said)
    none = re.match(rf"\W*{NONE}\b", copied) or re.search(r"(?i)\bno (?:final |clear )?answer\b", copied)
    if none or copied.strip(".'\"`* ").upper() == NONE:
        return Reading(scores=(0.0,), error="unextracted: the model found no answer stated")
    found = Reading()
    for text in (copied, f"The answer is {copied}"):
        readings = scorer.score(item, msgspec.structs.replace(answer, turns=(text,), finish=("stop",)))
        found = readings["accuracy_flexible" if "accuracy_flexible" in readings else "accuracy"]
        if not found.error:
            break
    return found
