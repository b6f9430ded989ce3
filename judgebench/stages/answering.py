"""Generation: items → answers. One file a model, turn after turn, resumed where a killed run left off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from judgebench.errors import UserError
from judgebench.runs import Journal, Run, read_records
from judgebench.scorers.choose import ChooseForm
from judgebench.stages import choose
from judgebench.stages.budget import budget_of
from judgebench.stages.opening import Ready, closing_words, identity, loaded_identity, opened
from judgebench.stages.progress import Progress, say
from judgebench.stages.seeds import draw_seed
from judgebench.stages.settings import Settings
from judgebench.suites import Suite, load_suite
from judgebench.types import (
    Answer,
    Backend,
    ChoiceReply,
    ChoiceRequest,
    Item,
    Message,
    Model,
    Reply,
    Request,
    Sampling,
)


def load_suites(settings: Settings, *, quiet: bool = False) -> list[Suite]:
    """The suites named, with all they have to say said aloud: version read, files missing, hashes that differ."""
    suites: list[Suite] = []
    for name in settings.suite:
        suite = load_suite(
            name,
            Path(settings.data) if settings.data else None,
            fewshot=settings.fewshot,
            fewshot_as=settings.fewshot_as,
            limit=settings.limit,
        )
        if any(suite.name == other.name for other in suites):
            raise UserError(f"suite {suite.name!r} is named twice")
        for note in suite.notes:
            say(f"note: {suite.name}: {note}", quiet=quiet)
        suites.append(suite)
    return suites


def generate(
    run: Run, suites: Sequence[Suite], models: Sequence[Model], settings: Settings, ready: Ready,
    *, quiet: bool = False,
) -> None:  # fmt: skip
    """Writes an answer for each suite × item × model × sample that has none, whole and without error.

    Args:
        run: where to.
        suites: loaded suites.
        models: models under test.
        settings: sampling, samples, seed and the shared flags.
        ready: backends already open.
        quiet: no progress.

    Raises:
        RunConflict: answers of a model to a suite were made under other settings.
        BackendError: a backend cannot answer at all; what was answered before is kept.
        BudgetReached: a limit of the settings is reached; what was answered before is kept.
    """
    check(run, suites, models, settings, ready, quiet=quiet)
    register(run, suites, models, settings)
    budget = budget_of(run, settings)
    for model in models:
        planned = tasks_of(run, suites, model, settings, ready)
        todo = [task for task in planned if not task.finished]
        if not todo:
            say(f"{model.name}: all {len(planned)} answers are there", quiet=quiet)
            continue
        with opened("model", model, settings, ready, budget=budget, run=run, quiet=quiet) as (backend, description):
            run.manifest["models"][model.name]["loaded"] = description
            held = _held(run, model)
            for suite in suites:
                key = f"{suite.name} | {model.name}"
                run.check_fingerprint("answers", key, loaded_identity(description), held=suite.name in held)
            run.save_manifest()
            try:
                with Journal(run.answers_file(model.name)) as journal:
                    _answer(todo, backend, journal, settings, quiet=quiet)
            finally:
                run.manifest["models"][model.name]["loaded"] = closing_words(backend, model, description, quiet=quiet)
                run.save_manifest()


def register(run: Run, suites: Sequence[Suite], models: Sequence[Model], settings: Settings) -> None:
    """Writes into the run what is asked of whom: items, suites, models and the ways of answering."""
    for suite in suites:
        for model in models:
            choose.keep(run, suite, model, settings)
    for suite in suites:
        run.save_items(suite.name, suite.items)
        run.manifest["suites"][suite.name] = suite_record(suite, len(run.items(suite.name)))
    for model in models:
        entry = run.manifest["models"].setdefault(model.name, {})
        entry.update(backend=model.backend, id=model.id, options=model.options)
    run.save_manifest()


def check(
    run: Run, suites: Sequence[Suite], models: Sequence[Model], settings: Settings, ready: Ready, *, quiet: bool = False
) -> None:
    """Nothing, when these models can be asked these suites in this way, and the run's answers were asked for alike.

    Raises:
        RunConflict: the run's answers of a model to a suite were made under other settings.
        UserError: a model cannot do what is asked, or several samples would be the same one.
    """
    choose.check(suites, models, settings, ready, quiet=quiet)
    for model in models:
        held = _held(run, model)
        for suite in suites:
            drawn = [sampling(suite, item, settings) for item in suite.items]
            if (settings.samples or 1) > 1 and model.backend != "replay" and all(s.temperature == 0 for s in drawn):
                raise UserError(
                    f"--samples {settings.samples}: {suite.name} is asked at temperature 0, where every sample is the "
                    "same; give a --temperature above 0"
                )
            key = f"{suite.name} | {model.name}"
            run.check_fingerprint("answers", key, _parts(suite, model, settings), held=suite.name in held)


def _held(run: Run, model: Model) -> set[str]:
    """Suites of which the run holds answers of a model."""
    return {answer.suite for answer in read_records(run.answers_file(model.name), Answer)}


def tasks_of(run: Run, suites: Sequence[Suite], model: Model, settings: Settings, ready: Ready) -> list[Task]:
    """Everything one model is to answer, done or not; the numbers are kept in the manifest."""
    recorded: Callable[[str, str], int] | None = None
    by_text = False
    if settings.samples is None and model.backend == "replay":
        here = msgspec.structs.replace(settings, executor="local")
        with opened("model", model, here, ready, quiet=True) as (backend, description):
            recorded, by_text = getattr(backend, "samples_of", None), description.get("key") == "text"
    known = run.answers(model.name)
    tasks: list[Task] = []
    for suite in suites:
        before = len(tasks)
        ways = choose.generated(suite, settings), choose.compared(suite, settings)
        for item in suite.items:
            key = item.turns[0] if by_text else item.id
            samples = max(1, recorded(key, suite.name)) if recorded else settings.samples or 1
            for sample in range(samples):
                answer = known.get((suite.name, item.id, model.name, sample))
                tasks.append(Task(suite, item, model.name, sample, answer, ways))
        counts = run.manifest["planned"]
        key = f"{suite.name} | {model.name}"
        counts[key] = max(counts.get(key, 0), len(tasks) - before)
    run.save_manifest()
    return tasks


class Task:
    """One item to be answered once by one model, and how far it has come."""

    def __init__(
        self, suite: Suite, item: Item, model: str, sample: int, answer: Answer | None,
        ways: tuple[bool, ChooseForm | None],
    ) -> None:  # fmt: skip
        self.suite, self.item = suite, item
        self.generates, self.compares = ways
        blank = Answer(suite=suite.name, item=item.id, model=model, sample=sample)
        self.answer = blank if answer is None else msgspec.structs.replace(answer, error="", choices_error="")
        self.failed = answer is not None and bool(answer.error)
        if self.generates and choose.chosen(self.answer):  # chosen in an earlier call, not written
            self.answer = msgspec.structs.replace(self.answer, turns=(), finish=())

    @property
    def finished(self) -> bool:
        """Whether nothing is to be asked."""
        return self.written and not self.to_compare and not (self.generates and self.failed)

    @property
    def written(self) -> bool:
        """Whether there is nothing to generate."""
        return not self.generates or len(self.answer.turns) >= len(self.item.turns)

    @property
    def to_compare(self) -> bool:
        """Whether choices are to be compared."""
        return self.compares is not None and not self.answer.choices

    def take_choices(self, reply: ChoiceReply) -> Answer:
        """The answer with its choices' log-probabilities, or with the reason why there are none."""
        self.answer = choose.taken(self.answer, self.item, reply, alone=not self.generates)
        self.failed = bool(self.answer.error)
        return self.answer

    def messages(self) -> list[Message]:
        """The chat before the next turn."""
        messages = [Message(role="system", content=self.suite.system)] if self.suite.system else []
        messages += self.item.shots
        for asked, replied in zip(self.item.turns, self.answer.turns, strict=False):
            messages += [Message(role="user", content=asked), Message(role="assistant", content=replied)]
        return messages

    def request(self, settings: Settings) -> Request:
        """The call for the next turn, the earlier turns before it."""
        turn = len(self.answer.turns) + 1
        messages = [*self.messages(), Message(role="user", content=self.item.turns[turn - 1])]
        key = (self.suite.name, self.item.id, turn, self.answer.sample)
        return Request(
            id="\x1f".join(map(str, key)),
            messages=tuple(messages),
            sampling=sampling(self.suite, self.item, settings, turn, self.answer.sample),
            suite=self.suite.name,
            item=self.item.id,
            turn=turn,
            sample=self.answer.sample,
        )

    def take(self, reply: Reply) -> Answer:
        """The answer with one more turn, or with the reason why there is none."""
        before = self.answer
        if reply.error:
            self.failed = True
            return msgspec.structs.replace(before, usage=before.usage + reply.usage, error=reply.error)
        self.failed = False
        reasoning = before.reasoning
        if reply.reasoning or reasoning:
            reasoning = (*reasoning, *[""] * (len(before.turns) - len(reasoning)), reply.reasoning)
        self.answer = msgspec.structs.replace(
            before,
            turns=(*before.turns, reply.text),
            finish=(*before.finish, reply.finish),
            reasoning=reasoning,
            usage=before.usage + reply.usage,
        )
        return self.answer


def _compare(tasks: list[Task], backend: Backend, journal: Journal, *, quiet: bool) -> None:
    """Log-probabilities of the choices, for the tasks that want them."""

    def requests() -> Iterator[ChoiceRequest]:
        for number, task in enumerate(tasks):
            asked = [Message(role="user", content=task.item.turns[0])]
            before = [Message(role="system", content=task.suite.system)] if task.suite.system else []
            assert task.compares is not None
            yield choose.request(task.suite, task.item, task.compares, [*before, *task.item.shots, *asked], number)

    def take(request: ChoiceRequest, reply: ChoiceReply) -> Answer:
        return tasks[int(request.id)].take_choices(reply)

    if tasks:
        choose.compare(requests, len(tasks), take, backend, journal, tasks[0].answer.model, quiet=quiet)


def _answer(todo: list[Task], backend: Backend, journal: Journal, settings: Settings, *, quiet: bool) -> None:
    _compare([task for task in todo if task.to_compare], backend, journal, quiet=quiet)
    todo = [task for task in todo if task.generates and (task.failed or not task.written)]
    if not todo:
        return
    turns = sum(len(task.item.turns) - len(task.answer.turns) for task in todo)
    with Progress(f"{todo[0].answer.model}: answers", turns, backend=backend, quiet=quiet) as progress:
        while todo:
            asked: dict[str, Task] = {}

            def requests(todo: list[Task] = todo, asked: dict[str, Task] = asked) -> Iterator[Request]:
                for task in todo:
                    request = task.request(settings)
                    asked[request.id] = task
                    yield request

            for request, reply in backend.generate(requests()):
                journal.append(asked.pop(request.id).take(reply))
                progress.advance(failed=bool(reply.error), usage=reply.usage)
            if asked:
                raise RuntimeError(f"the backend lost {len(asked)} of its requests")
            todo = [task for task in todo if not task.failed and not task.written]


def sampling(suite: Suite, item: Item, settings: Settings, turn: int = 1, sample: int = 0) -> Sampling:
    """How one answer is drawn: the command line over the item's category over the suite; a seed where it is random.

    The seeds of an item's samples follow one another, so that an engine may draw them in one request.
    """
    chosen = item.sampling or suite.sampling
    if settings.temperature is not None:
        chosen = msgspec.structs.replace(chosen, temperature=settings.temperature)
    if settings.max_tokens is not None:
        chosen = msgspec.structs.replace(chosen, max_tokens=settings.max_tokens)
    first = draw_seed(settings.seed, suite.name, item.id, turn)
    seed = (first + sample) % (1 << 31) if chosen.temperature != 0 else None
    return msgspec.structs.replace(chosen, seed=seed)


def _parts(suite: Suite, model: Model, settings: Settings) -> dict[str, object]:
    form = choose.compared(suite, settings)
    return {
        **({"choose": [form, suite.lead]} if form else {}),
        **{f"suite {name}": value for name, value in suite.fingerprint.items()},
        **identity(model, settings),
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "seed": settings.seed,
    }


def suite_record(suite: Suite, items: int) -> dict[str, object]:
    """What the manifest keeps of a suite: all that scoring, judging and reporting need without its file."""
    return {
        "version": suite.version, "about": suite.about, "license": suite.license, "scorer": suite.scorer,
        "scorer_options": suite.scorer_options, "items": items, "available": suite.available,
        "missing": list(suite.missing), "notes": list(suite.notes), "fingerprint": suite.fingerprint,
        "submission": suite.submission, "system": suite.system,
    }  # fmt: skip
