"""Files in the layout of Vicuna's first evaluation: questions, answers with ids, and reviews of pairs of answer ids.

FastChat's first tables, FairEval, QLoRA and PRD all write it. A review's ``score`` is a pair of grades of 1 to 10, or
one of 1 (the answer shown first is better), 2 and 3 (a tie); -1 says that the reply could not be read. Which answer
was shown first is what the ids say. A file's name decides only where no file knows an id: then both names of
``A-vs-B-JUDGE-reviewer`` are known, and the id beside a known one is the other's. Who judged is what the file's name
says, else what its reviewers' names begin with; a reviewer that is a number is that line of ``reviewer.jsonl``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from judgebench.importers.records import FIRST, SECOND, TIE, Gathered, Judged, Options, Side
from judgebench.importers.rows import Row, read_rows, short

PAIR_GRADES, THREE_CLASS = "two-grades", "three-class"
"""What a judge was asked for: a grade for each answer, or which is better."""

VOTES = "human@votes"
"""Judge of people's votes that the files do not tell apart."""

Names = dict[Path, tuple[str, str, str]]
"""Review file → (first, second, judge) as its name says; empty texts where it does not."""


def is_question(row: Row) -> bool:
    """True for a question: its words and none of an answer or a review."""
    return "question_id" in row and ("turns" in row or "text" in row) and not any(
        key in row for key in ("answer_id", "model_id", "generation", "score", "review_id", "choices")
    )  # fmt: skip


def is_answer(row: Row) -> bool:
    """True for an answer."""
    return "question_id" in row and ("model_id" in row or "generation" in row) and "score" not in row


def is_review(row: Row) -> bool:
    """True for a review of two answers."""
    return "question_id" in row and "score" in row and "model" not in row


def is_setting(row: Row) -> bool:
    """True for a line on prompts, reviewers or models, of which nothing becomes a record."""
    return "question_id" not in row and any(key in row for key in ("prompt_id", "reviewer_id", "model_name"))


def gather(files: Sequence[Path], options: Options, suite: str) -> tuple[Gathered, list[Row]]:
    """What such files hold, and the rows that are of another form.

    Raises:
        UserError: a row holds a score that is none, or no file tells whose an answer is.
    """
    gathered = Gathered()
    reviews: dict[Path, list[Row]] = {}
    others: list[Row] = []
    reviewers: dict[int, str] = {}
    for path in files:
        for row in read_rows(path):
            if is_review(row):
                reviews.setdefault(path, []).append(row)
            elif is_question(row):
                question(row, suite, gathered)
            elif is_answer(row):
                answer(row, suite, gathered)
            elif is_setting(row):
                if isinstance(row.get("reviewer_id"), str):
                    reviewers.setdefault(row.number, row.text("reviewer_id"))
                gathered.note(f"{path} tells of prompts, reviewers or models; nothing of it becomes a record")
            else:
                others.append(row)
    review(reviews, reviewers, options, suite, gathered)
    return gathered, others


def question(row: Row, suite: str, gathered: Gathered) -> str:
    """The id of a question, once it is gathered."""
    turns = row.texts("turns") if "turns" in row else [row.text("text")]
    reference = row.texts("reference") if row.get("reference") else []
    return gathered.item(
        suite, turns, id=row.text("question_id"), place=row.place, reference=reference,
        category=str(row.get("category") or ""),
    )  # fmt: skip


def answer(row: Row, suite: str, gathered: Gathered) -> None:
    """Gathers an answer: with an id, or of a file that is named after its model."""
    item = row.text("question_id")
    turns: list[list[object]]
    if "generation" in row:
        item = gathered.item(
            suite, [row.text("text")], id=item, place=row.place, category=str(row.get("category") or "")
        )
        model, turns = plain(row.path), [[row.text("generation")]]
    else:
        gathered.item(suite, (), id=item, place=row.place)
        model = row.text("model_id")
        turns = [_turns(each, row) for each in row.objects("choices")] if "choices" in row else [[row.text("text")]]
    gathered.aliases[key(plain(row.path))] = model
    for number, words in enumerate(turns):
        id = row.text("answer_id") if "answer_id" in row and not number else ""
        sample = number if len(turns) > 1 else None
        gathered.answer(row.place, suite, item, model, [_said(each, row) for each in words], id=id, sample=sample)


def _turns(choice: Mapping[str, object], row: Row) -> list[object]:
    turns = choice.get("turns")
    if not isinstance(turns, list):
        raise row.fail(f"'turns' of a choice is {short(turns)}; a list of texts is needed")
    return turns


def _said(turn: object, row: Row) -> str:
    if isinstance(turn, dict):
        turn = turn.get("content")
    if not isinstance(turn, str):
        raise row.fail(f"a turn is {short(turn)}; a text is needed")
    return turn


def plain(path: Path) -> str:
    """A file's name without endings and without ``answer_`` or ``review_`` before it."""
    stem = re.sub(r"(\.(jsonl|json|txt|gz|parquet))+$", "", path.name)
    return _bare(stem)


def key(name: str) -> str:
    """A name without what files write it differently by: case, and all but letters and digits."""
    return re.sub(r"[^a-z0-9]", "", _bare(name).lower())


def review(
    files: dict[Path, list[Row]], reviewers: dict[int, str], options: Options, suite: str, gathered: Gathered
) -> None:
    """Gathers the reviews of files."""
    known = {**options.aliases, **gathered.aliases}
    names = names_of(files, known)
    owners = _Owners(files, names, known, {**options.answers, **_ids(gathered)})
    for id, models in options.learned.items():
        owners.learned.setdefault(id, set()).update(models)
    gathered.learned = owners.learned
    for path, rows in files.items():
        first, second, by = names[path]
        judge = by if by == "human" else options.judge or by or _reviewer(rows, reviewers)
        if not judge:
            raise rows[0].fail("does not say who judged; name the judge with --judge NAME")
        for row in rows:
            if "text" in row and "review_id" not in row and "answer1_id" not in row:
                item = question(row, suite, gathered)
            else:
                item = gathered.item(suite, (), id=row.text("question_id"), place=row.place)
            if "answer1_id" in row:
                shown: tuple[Side, ...] = owners.of(row, names[path])
            elif first and second:
                shown = tuple(Side(model=known.get(key(each), each)) for each in (first, second))
                for each in (first, second):
                    if key(each) not in known and each not in options.names:
                        gathered.note(f"{each} is named after files of reviews: import its answers first or with them, "
                                      f"or map it with --name {each}=NAME")  # fmt: skip
            else:
                raise row.fail("has no answer ids, and the file's name is not A-vs-B-JUDGE-reviewer")
            gathered.verdicts.append(judged(row, suite, item, shown, judge))


def judged(row: Row, suite: str, item: str, shown: tuple[Side, ...], judge: str) -> Judged:
    """The judgement of a review's ``score``.

    Raises:
        UserError: the score is none.
    """
    score, people = row.get("score"), judge == "human"
    scores: tuple[float, ...] | None
    if isinstance(score, list):
        if len(score) != 2 or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in score):
            raise row.unknown("score", score, "two numbers, or 1, 2, 3 and -1,")
        if any(math.isinf(each) for each in score):
            raise row.unknown("score", score, "two finite numbers, or 1, 2, 3 and -1,")
        unread = -1 in score or any(math.isnan(each) for each in score)
        scores = () if unread else (float(score[0]), float(score[1]))
    else:
        scores = {1: FIRST, 2: SECOND, 3: TIE, -1: ()}.get(score) if isinstance(score, int) else None
        if scores is None or isinstance(score, bool):
            raise row.unknown("score", score, "1, 2, 3 (a tie) and -1 (unreadable), or two numbers,")
    grades = isinstance(score, list)
    return Judged(
        place=row.place, suite=suite, item=item, shown=shown, judge=VOTES if people else judge, vote=people,
        rubric="" if people else PAIR_GRADES if grades else THREE_CLASS, kind="grade" if grades else "preference",
        scores=scores, scale=(1.0, 10.0) if grades else (0.0, 1.0),
        reply="" if people else str(row.get("text") or ""),
        error="" if scores else f"unreadable: recorded as {short(score)}",
    )  # fmt: skip


def names_of(files: Iterable[Path], known: Iterable[str]) -> Names:
    """What the names of review files say: two models and the judge of ``A-vs-B-JUDGE-reviewer…``."""
    split = {path: plain(path).split("-vs-", 1) for path in files}
    stems = sorted({*known, *(key(parts[0]) for parts in split.values() if len(parts) == 2)}, key=len, reverse=True)
    names: Names = {}
    for path, parts in split.items():
        if len(parts) < 2:
            names[path] = "", "", ""
            continue
        rest = key(parts[1])
        stem = next((each for each in stems if each and rest.startswith(each) and "reviewer" in rest[len(each) :]), "")
        found = re.match(r"(.*?)reviewer", rest[len(stem) :]) if stem else re.match(r".*?()reviewer", rest)
        second = _written(parts[1], stem) if stem else re.sub(r"[-_]?[^-_]+[-_]reviewer.*$", "", _bare(parts[1]))
        judge = found[1] if found and stem else (re.findall(r"([^-_]+)[-_]reviewer", parts[1]) or [""])[-1]
        names[path] = parts[0], second, judge
    return names


def _written(text: str, stem: str) -> str:
    """The beginning of a text that is ``stem`` without its signs."""
    for end in range(1, len(text) + 1):
        if key(text[:end]) == stem and (end == len(text) or not text[end].isalnum()):
            return _bare(text[:end])
    return stem


def _bare(name: str) -> str:
    return re.sub(r"^(answer|review)[_-]", "", name)


def _ids(gathered: Gathered) -> dict[str, str]:
    return {each.side.id: each.side.model for each in gathered.answers if each.side.id}


class _Owners:
    """Whose answers ids name: of the files of answers, else the one that stands beside a known id in a file's name."""

    def __init__(self, files: dict[Path, list[Row]], names: Names, known: dict[str, str], ids: dict[str, str]) -> None:
        self._known, self._ids = known, ids
        self.learned: dict[str, set[str]] = {}
        for path, rows in files.items():
            for row in rows:
                if "answer1_id" in row and all(names[path][:2]):
                    found = self._beside(row, self._models(names[path]), ids)
                    for id, model in zip(_ids_of(row), found, strict=True) if found else ():
                        self.learned.setdefault(id, set()).add(model)

    def of(self, row: Row, names: tuple[str, str, str]) -> tuple[Side, Side]:
        """The two answers of a review, as its ids say.

        Raises:
            UserError: no file tells whose one of them is.
        """
        first, second = _ids_of(row)
        if first in self._ids and second in self._ids:
            return Side(model=self._ids[first], id=first), Side(model=self._ids[second], id=second)
        models = self._models(names)
        found = self._beside(row, models, self._ids)
        if not found:
            only = {
                id: each.pop() for id in (first, second) if len(each := self.learned.get(id, set()) & {*models}) == 1
            }
            found = self._beside(row, models, only)
        if not found:
            missing = next(id for id in (first, second) if id not in self._ids)
            raise row.fail(f"no file tells whose answer {missing!r} is; import the file of answers as well")
        return Side(model=found[0], id=first), Side(model=found[1], id=second)

    def _models(self, names: tuple[str, str, str]) -> list[str]:
        return [self._known.get(key(each), each) for each in names[:2] if each]

    @staticmethod
    def _beside(row: Row, models: Sequence[str], ids: dict[str, str]) -> tuple[str, str] | None:
        """(first, second) of a file's two models, where either id is known to be one of them; None where neither is."""
        if len(models) < 2 or models[0] == models[1]:
            return None
        first, second = (ids.get(id, "") for id in _ids_of(row))
        if first in models:
            return first, models[1 - models.index(first)]
        if second in models:
            return models[1 - models.index(second)], second
        return None


def _ids_of(row: Row) -> tuple[str, str]:
    return row.text("answer1_id"), row.text("answer2_id")


def _reviewer(rows: Sequence[Row], reviewers: dict[int, str]) -> str:
    """What the reviewers' names of a file begin with, whole parts of it: gpt-4-0328 of gpt-4-0328-math and -coding."""
    found = {row.get("reviewer_id") for row in rows}
    named = {reviewers.get(each, "") if isinstance(each, int) else str(each or "") for each in found}
    names = [each.split("-") for each in named]
    shared = []
    for parts in zip(*names, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "-".join(shared)
