"""Answering by log-probability: which suites and models can, what is asked, and how the answer's record grows."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

import msgspec

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.runs import Journal, Run
from judgebench.scorers.choose import ChooseForm, best
from judgebench.stages.opening import Ready
from judgebench.stages.progress import Progress, say
from judgebench.stages.settings import Settings
from judgebench.suite_files import letters
from judgebench.suites import Suite
from judgebench.types import Answer, Backend, ChoiceReply, ChoiceRequest, ComparesChoices, Item, Message, Model

CHOSEN = "choice"
"""How a turn ended that the model did not write: it is the most probable choice."""


def compared(suite: Suite, settings: Settings) -> ChooseForm | None:
    """What is compared of the suite's choices; None where its answers are generated."""
    if settings.answer == "generate" or unfit(suite):
        return None
    return settings.choose or suite.choose


def generated(suite: Suite, settings: Settings) -> bool:
    """Whether the suite's answers are generated."""
    return settings.answer != "choose" or bool(unfit(suite))


def unfit(suite: Suite) -> str:
    """Why the suite's answers cannot be found by comparing choices; empty where they can."""
    if suite.scorer != "choice":
        return f"its scorer is {suite.scorer!r}, not 'choice'" if suite.scorer else "it is judged"
    for item in suite.items:
        if len(item.turns) > 1:
            return f"item {item.id!r} has {len(item.turns)} turns"
        if len(item.choices) < 2:
            return f"item {item.id!r} has {len(item.choices)} choices"
    return ""


def check(suites: Sequence[Suite], models: Sequence[Model], settings: Settings, ready: Ready,
          *, quiet: bool = False) -> None:  # fmt: skip
    """Nothing, when every model can do what is asked; suites that are generated all the same are named aloud.

    Raises:
        UserError: a model's backend knows no log-probabilities.
    """
    if settings.answer == "generate":
        return
    for suite in suites:
        if why := unfit(suite):
            say(f"note: {suite.name}: answers are generated, there is nothing to choose from: {why}", quiet=quiet)
    if not any(compared(suite, settings) for suite in suites):
        return
    for model in models:
        kind = ready.get(("model", model.name)) or plugins.load("backends", model.backend)
        if not hasattr(kind, "loglikelihood"):
            raise UserError(
                f"--answer {settings.answer}: the backend {model.backend!r} of model {model.name!r} gives no "
                "log-probabilities of choices; hf and vllm do"
            )


def keep(run: Run, suite: Suite, model: Model, settings: Settings) -> None:
    """Writes into the manifest in which ways the suite is answered, beside those of earlier calls."""
    ways = run.manifest.setdefault("ways", {}).setdefault(f"{suite.name} | {model.name}", {})
    form = compared(suite, settings)
    if form:
        ways["choose"] = form
    if generated(suite, settings):
        ways["generate"] = True


def ways(run: Run, suite: str, model: str) -> tuple[bool, ChooseForm | None]:
    """Whether a suite's answers of a model are generated, and what is compared."""
    found = run.manifest.get("ways", {}).get(f"{suite} | {model}")
    return (True, None) if found is None else ("generate" in found, found.get("choose"))


def chosen(answer: Answer) -> bool:
    """True where the answer's turn is its most probable choice, and nothing was generated."""
    return CHOSEN in answer.finish


def request(suite: Suite, item: Item, form: ChooseForm, messages: Sequence[Message], number: int) -> ChoiceRequest:
    """The call that compares an item's choices."""
    texts = tuple(letters(item.choices)) if form == "letters" else tuple(choice.strip() for choice in item.choices)
    return ChoiceRequest(
        id=str(number),
        messages=tuple(messages),
        choices=texts,
        lead=_lead(messages[-1].content) if suite.lead is None else suite.lead,
        suite=suite.name,
        item=item.id,
    )


def _lead(prompt: str) -> str:
    """A space, but none after white space, an opening bracket or a wide character such as ：."""
    last = prompt[-1:]
    wide = bool(last) and unicodedata.east_asian_width(last) in "WF"
    return "" if not last or last.isspace() or wide or last in "([{\"'“‘" else " "


def taken(before: Answer, item: Item, reply: ChoiceReply, *, alone: bool) -> Answer:
    """The answer with the choices' log-probabilities, or with the reason why there are none.

    Args:
        before: the answer so far.
        item: the question.
        reply: what came back.
        alone: True where nothing is generated: then the best choice is the answer's turn, unless it has one.
    """
    usage = before.usage + reply.usage
    if reply.error:
        error = reply.error if alone and not before.turns else before.error
        return msgspec.structs.replace(before, usage=usage, choices=(), choices_error=reply.error, error=error)
    answer = msgspec.structs.replace(before, usage=usage, choices=reply.choices, choices_error="")
    if not alone or before.turns:
        return answer
    return msgspec.structs.replace(answer, turns=(letters(item.choices)[best(reply.choices)],), finish=(CHOSEN,))


def compare(
    requests: Callable[[], Iterator[ChoiceRequest]], count: int, take: Callable[[ChoiceRequest, ChoiceReply], Answer],
    backend: Backend, journal: Journal, name: str, *, quiet: bool,
) -> None:  # fmt: skip
    """Puts the requests to the backend and writes each answer as soon as it is known."""
    assert isinstance(backend, ComparesChoices)
    done = 0
    with Progress(f"{name}: choices", count, backend=backend, quiet=quiet) as progress:
        for asked, reply in backend.loglikelihood(requests()):
            journal.append(take(asked, reply))
            progress.advance(failed=bool(reply.error), usage=reply.usage)
            done += 1
    if done != count:
        raise RuntimeError(f"the backend lost {count - done} of its requests")
