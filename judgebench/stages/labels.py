"""Labels of one annotator: written as verdicts one by one, undone, skipped, counted.

A label is on the disk (fsync) before anybody is told that it is there. What is undone or skipped is written too: the
last line of a key counts, and a line without scores says why. What another process writes meanwhile is read before
anything is shown or written.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from judgebench.errors import RunConflict, UserError
from judgebench.judges.matchups import digest
from judgebench.runs import Journal, Run, read_records
from judgebench.stages.label_samples import SKIPPED
from judgebench.stages.label_verdicts import (
    UNDONE,
    Asked,
    code_of,
    fields_of,
    labelled,
    marks_of,
    skipped,
    undone,
)
from judgebench.stages.labelling import Plan
from judgebench.types import Answer, Item, Verdict

ELSEWHERE = "something was labelled, skipped or taken back in another window meanwhile; nothing was undone"
"""Why an undo is refused."""


class Counts(NamedTuple):
    """How far an annotator is."""

    labelled: int
    """Tasks with a label on every dimension."""
    skipped: int
    """Tasks skipped with a reason."""
    total: int
    """Tasks in all."""


class Labels:
    """One annotator's labels in a run; safe for several threads of one process.

    Args:
        run: where the labels go.
        plan: what is asked.
    """

    def __init__(self, run: Run, plan: Plan) -> None:
        self.run, self.plan = run, plan
        self.file = run.verdicts_file(plan.annotator, "")
        self._lock = threading.Lock()
        wanted = {(task.suite, task.item, *each) for task in plan.tasks for each in task.shown}
        held = run.answers()
        lost = next((key for key in sorted(wanted) if key not in held), None)
        if lost is not None:
            raise UserError(
                f"{run.path}: {plan.annotator} is to label an answer that is gone: {' '.join(map(str, lost))}"
            )
        self._answers: Mapping[tuple[str, str, str, int], Answer] = {key: held[key] for key in wanted}
        self._items = {suite: run.items(suite) for suite in {task.suite for task in plan.tasks}}
        self._said: dict[tuple[int, str], Verdict] = {}
        self.history: list[int] = []
        self._stamp: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Reads the labels again where another process has written some.

        Raises:
            UserError: the file of labels is damaged.
        """
        with self._lock:
            self._catch_up()

    def _catch_up(self) -> None:
        stamp = self._stamp_now()
        if stamp != self._stamp or stamp is None:
            self._load()
            self._stamp = stamp

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            status = self.file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size

    def _load(self) -> None:
        self._said.clear()
        self.history.clear()
        places = {}
        for number, task in enumerate(self.plan.tasks):
            for dimension in task.dimensions:
                places[task.suite, task.item, task.turn, task.shown, dimension] = number
        for verdict in read_records(self.file, Verdict):
            found = places.get((verdict.suite, verdict.item, verdict.turn, verdict.shown, verdict.dimension))
            if found is not None:
                self._said[found, verdict.dimension] = verdict
                self._remember(found, undone=verdict.error == UNDONE)

    def _remember(self, number: int, *, undone: bool) -> None:
        if number in self.history:
            self.history.remove(number)
        if not undone:
            self.history.append(number)

    def item(self, number: int) -> Item:
        """The question of a task."""
        task = self.plan.tasks[number]
        return self._items[task.suite][task.item]

    def answers(self, number: int) -> list[Answer]:
        """The answers of a task, in the order shown."""
        task = self.plan.tasks[number]
        return [self._answers[task.suite, task.item, model, sample] for model, sample in task.shown]

    def check(self, number: int) -> str:
        """Hash of annotator and answers as shown, which a spreadsheet carries along."""
        seen = digest(self.answers(number), self.plan.tasks[number].turn)
        return hashlib.sha256(f"{self.plan.annotator}\n{seen}".encode()).hexdigest()[:12]

    def state(self, number: int) -> str:
        """Names what is known of a task; it changes with every label, so that two windows do not overwrite each other.

        ``new``, ``skipped``, or codes and reasons of its dimensions.
        """
        task = self.plan.tasks[number]
        parts = []
        for dimension in task.dimensions:
            verdict = self._said.get((number, dimension))
            if verdict is None or verdict.error == UNDONE:
                return "new"
            parts.append(code_of(self.plan.guide, verdict) or verdict.error)
        marks = marks_of(self.plan.guide, self.verdicts(number))
        return "; ".join([*parts, *marks.values()])

    def fields(self, number: int) -> dict[str, str]:
        """What a task has to be given a label for → what it asks: its dimensions, or the questions of its checklist."""
        return fields_of(self.plan.guide, self.plan.tasks[number], self.item(number))

    def verdicts(self, number: int) -> dict[str, Verdict]:
        """Dimension → the last verdict on a task, skipped and undone ones included."""
        found = {name: self._said.get((number, name)) for name in self.plan.tasks[number].dimensions}
        return {name: verdict for name, verdict in found.items() if verdict is not None}

    def given(self, number: int) -> dict[str, str]:
        """Field → label of a task; empty where it has none."""
        said = self.verdicts(number)
        if self.plan.guide.mode == "checklist":
            return marks_of(self.plan.guide, said)
        found = {name: code_of(self.plan.guide, verdict) for name, verdict in said.items()}
        return {name: code for name, code in found.items() if code}

    def skip_reason(self, number: int) -> str:
        """Why a task was skipped; empty where it was not."""
        verdict = self._said.get((number, self.plan.tasks[number].dimensions[0]))
        return verdict.error.removeprefix(SKIPPED) if verdict and verdict.error.startswith(SKIPPED) else ""

    def next_open(self, start: int = 0) -> int | None:
        """The first task from ``start`` on, then from the beginning, that has neither label nor reason."""
        total = len(self.plan.tasks)
        order = [*range(start, total), *range(min(start, total))]
        return next((number for number in order if self.state(number) == "new"), None)

    def counts(self) -> Counts:
        """How far the annotator is."""
        states = [self.state(number) for number in range(len(self.plan.tasks))]
        left_out = sum(state.startswith(SKIPPED) for state in states)
        return Counts(len(states) - left_out - states.count("new"), left_out, len(states))

    def label(self, number: int, labels: Mapping[str, str], *, was: str | None = None) -> None:
        """Writes a label for everything that a task asks, to the disk.

        Args:
            number: 0-based number of the task.
            labels: field → code, or a number on the scale.
            was: the state that the annotator saw; None writes over whatever there is.

        Raises:
            UserError: a field has no label, or one that is none.
            RunConflict: the task was labelled elsewhere meanwhile, or another process writes these labels.
        """
        self._write([(number, labelled(self._asked(number), labels))], was)

    def skip(self, number: int, reason: str, *, was: str | None = None) -> None:
        """Writes that a task is skipped and why, to the disk.

        Raises:
            UserError: there is no reason.
            RunConflict: as `label`.
        """
        self._write([(number, skipped(self._asked(number), reason))], was)

    def take(self, labels: Mapping[int, Mapping[str, str]], reasons: Mapping[int, str]) -> None:
        """Writes many labels and skips at once, over whatever there is: all of them or none.

        Args:
            labels: number of a task → its labels, as of `label`.
            reasons: number of a task → why it is skipped.

        Raises:
            UserError: one of them is no label or no reason, or they cannot be written.
        """
        many = [(number, labelled(self._asked(number), given)) for number, given in labels.items()]
        many += [(number, skipped(self._asked(number), reason)) for number, reason in reasons.items()]
        if many:
            self._write(sorted(many, key=lambda each: each[0]), None)

    def last(self) -> str:
        """Names the last label or skip, which `undo` takes back; empty where there is none."""
        return f"{self.history[-1] + 1}: {self.state(self.history[-1])}" if self.history else ""

    def undo(self, *, was: str | None = None) -> int | None:
        """Takes back the last label or skip and returns its task; None where there is none.

        Args:
            was: what the annotator saw as the `last`; None takes back whatever it is.

        Raises:
            RunConflict: another window labelled, skipped or took back something meanwhile.
        """
        self.refresh()
        if was is not None and was != self.last():
            raise RunConflict(ELSEWHERE)
        if not self.history:
            return None
        number, state = self.history[-1], self.state(self.history[-1])
        self._write([(number, undone(self._asked(number)))], state, last=number)
        return number

    def _asked(self, number: int) -> Asked:
        if not 0 <= number < len(self.plan.tasks):
            raise UserError(f"there is no task {number + 1}: {len(self.plan.tasks)} are planned")
        return Asked(self.plan, self.plan.tasks[number], self.item(number), self.answers(number))

    def _write(
        self, many: Sequence[tuple[int, Sequence[Verdict]]], was: str | None, *, last: int | None = None
    ) -> None:
        with self._lock:
            self._register()
            try:
                with Journal(self.file) as journal:
                    self._catch_up()
                    if was is not None and any(was != self.state(number) for number, _ in many):
                        raise RunConflict("this was labelled in another window meanwhile; your label was not saved")
                    if last is not None and self.history[-1:] != [last]:
                        raise RunConflict(ELSEWHERE)
                    self._stamp = None
                    journal.append(*(verdict for _, verdicts in many for verdict in verdicts))
                    journal.sync()
            except OSError as error:
                raise UserError(
                    f"cannot force {self.file} to the disk: {error.strerror}; open the task again to see what is there"
                ) from error
            for number, verdicts in many:
                for verdict in verdicts:
                    self._said[number, verdict.dimension] = verdict
                self._remember(number, undone=verdicts[0].error == UNDONE)
            self._stamp = self._stamp_now()

    def _register(self) -> None:
        """Writes into the manifest, before the first label, who labels and how the tasks were drawn."""
        plan, judges = self.plan, self.run.manifest["judges"]
        entry: dict[str, Any] = {
            "backend": "person", "id": plan.annotator, "options": {}, "baseline": False, "rubrics": {},
            "sample": "active" if plan.how == "unsure" else plan.how,
            "labelling": {
                "seed": plan.seed, "rubric": plan.guide.rubric, "tasks": len(plan.tasks), "population": plan.population,
            },
        }  # fmt: skip
        if plan.chances:
            drawn: dict[str, list[str]] = {suite: [] for suite in plan.chances}
            for suite, item in sorted({(task.suite, task.item) for task in plan.tasks}):
                drawn[suite].append(item)
            # What was drawn before, items without a task included, stays drawn.
            entry.update(chances=plan.chances, drawn=judges.get(plan.annotator, {}).get("drawn", drawn))
        if judges.get(plan.annotator) != entry:
            judges[plan.annotator] = entry
            self.run.save_manifest()
