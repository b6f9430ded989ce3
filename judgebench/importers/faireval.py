"""FairEval (Wang et al. 2023): questions and answers as Vicuna's, and a text file with one label a line.

``review_A_B_human.txt``: line i is the label of the i-th question: the name of the better model, or TIE. A label is
the model whose name it is, by ``--name`` or but for its signs; where one of the two labels is so known, the other is
the other model of the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgebench.errors import UserError
from judgebench.importers.records import FIRST, SECOND, TIE, Gathered, Judged, Options, Side
from judgebench.importers.reviews import gather, key, plain
from judgebench.importers.rows import no_form, read_text, short

PEOPLE = "human@majority"
"""The judge of these labels: what the annotators came to."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Questions, answers and labels in files.

    Raises:
        UserError: a row is not of that form, or a label is none of the file's two models and TIE.
    """
    suite = options.suite or "faireval"
    labels = [path for path in files if path.name.removesuffix(".gz").endswith(".txt")]
    gathered, others = gather([path for path in files if path not in labels], options, suite)
    for row in others:
        raise no_form(row, "faireval", "question_id with text, answer_id and model_id, or score; and labels in .txt")
    known = {**options.aliases, **gathered.aliases}
    for path in labels:
        _labels(path, suite, known, gathered, options)
    return gathered


def _labels(path: Path, suite: str, known: dict[str, str], gathered: Gathered, options: Options) -> None:
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    models = _models(path, lines, known, options)
    questions = [id for (of, id) in gathered.items if of == suite] or [str(at) for at in range(1, len(lines) + 1)]
    if len(questions) != len(lines):
        raise UserError(f"{path}: holds {len(lines)} labels, and there are {len(questions)} questions")
    names = sorted(models.values(), key=lambda name: _place(name, path, known))
    for number, (line, id) in enumerate(zip(lines, questions, strict=True), 1):
        place = f"{path}: row {number}"
        if line.upper() != "TIE" and line not in models:
            raise UserError(f"{place}: unknown label {short(line)}; TIE, {' and '.join(models)} are allowed")
        scores = TIE if line.upper() == "TIE" else FIRST if models[line] == names[0] else SECOND
        item = gathered.item(suite, (), id=id, place=place)
        gathered.verdicts.append(
            Judged(
                place=place, suite=suite, item=item, judge=PEOPLE, scores=scores, reply=line,
                shown=tuple(Side(model=name) for name in names),
            )
        )  # fmt: skip


def _place(model: str, path: Path, known: dict[str, str]) -> int:
    """Where a model stands in a file's name, 0 or 1; models that it does not name keep their order."""
    stems = [known.get(key(part), part) for part in plain(path).split("_")]
    return stems.index(model) if model in stems else len(stems)


def _models(path: Path, lines: Sequence[str], known: dict[str, str], options: Options) -> dict[str, str]:
    """Label → model, for the two that a file's labels name.

    Raises:
        UserError: a label is no model's name.
    """
    labels = list(dict.fromkeys(line for line in lines if line.upper() != "TIE"))
    stems = [part for part in plain(path).split("_") if part.lower() != "human"]
    rows = {label: number for number, label in reversed(list(enumerate(lines, 1)))}
    found: dict[str, str] = {}
    for label in labels:
        if label in options.names:
            found[label] = options.names[label]
        elif key(label) in known:
            found[label] = known[key(label)]
    if len(stems) == 2:
        of_name = [known.get(key(stem), stem) for stem in stems]
        for stem, model in zip(stems, of_name, strict=True):
            for label in labels:
                if key(label) == key(stem):
                    found.setdefault(label, model)
        left = [label for label in labels if label not in found]
        free = [model for model in of_name if model not in found.values()]
        if len(left) == 1 and len(free) == 1 and len(labels) <= 2:
            found[left[0]] = free[0]
        if len(found) == 1 and len(labels) == 1 and len(free) == 1:
            found[f"({stems[0]} or {stems[1]})"] = free[0]
    unknown = [label for label in labels if label not in found]
    if unknown or len(found) != 2:
        label = unknown[0] if unknown else labels[-1] if labels else "TIE"
        raise UserError(
            f"{path}: row {rows.get(label, 1)}: unknown label {short(label)}: two models and TIE are allowed; "
            f"say whose name it is with --name {label}=MODEL"
        )
    return found
