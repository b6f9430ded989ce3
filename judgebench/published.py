"""Outputs that benchmarks' authors recorded, read as answers and scored again by the authors' own rule.

Three forms: GSM8K's ``example_model_solutions.jsonl`` (Cobbe et al. 2021), BIG-Bench Hard's
``code-davinci-002-outputs`` (Suzgun et al. 2022) and the logs of zero-shot-CoT (Kojima et al. 2022). The rule is a
scorer with options, as a suite file has one; `rescore` gives the accuracy that the authors report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from judgebench import plugins
from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.sources import read_content
from judgebench.types import Answer, Item, Reading, Record, Scorer

Rule = tuple[str, dict[str, Any]]
"""Name of a scorer, and what it is built with."""

GSM8K_RULE: Rule = ("number", {"pattern": r"A: *\$?(-?[0-9][0-9.,]*)"})
"""The number after the last ``A:``."""

BBH_RULES: dict[str, Rule] = {
    "cot": ("text", {"pattern": r"\A(?s:.*)the answer is ([^\n]*?)\.?(?:\n|\Z)", "ignore_case": False}),
    "direct": ("text", {"pattern": r"\A\s*([^\n]*)", "ignore_case": False}),
}
"""Mode → rule: what stands after the last "the answer is", without one full stop; or the first line."""


def _letter(last: str) -> Rule:
    return "text", {"pattern": rf"\A[^A-{last}]*([A-{last}])", "ignore_case": False}


_NUMBER: Rule = ("number", {"pattern": r"(?s)\A.*?(-?,*\d[\d,]*\.?[\d,]*)", "as_text": True})
_YES_NO: Rule = ("text", {"pattern": r"(?is)\A(?:.*?[\"'\s.:,])??(yes|no)(?=[\"'\s.:,]|\Z)"})
ZERO_SHOT_COT_RULES: dict[str, Rule] = {
    **dict.fromkeys(("gsm8k", "addsub", "multiarith", "svamp", "singleeq"), _NUMBER),
    **dict.fromkeys(("strategyqa", "coin_flip"), _YES_NO),
    **dict.fromkeys(("aqua", "commonsensqa"), _letter("E")),
    "bigbench_date": _letter("F"),
    "object_tracking": _letter("C"),
    "last_letters": ("text", {"remove": r"[\"'.\s]", "ignore_case": False}),
}
"""Data set, as a log names it → rule: the first number, yes or no, or letter; or all letters of the reply. Numbers are
compared as they are written: 70.0 is not 70, and a reference of 1,200 is never met."""


class Recorded(Record, frozen=True, kw_only=True):
    """One question with what a model answered."""

    item: Item
    """The question, as it was put, and its reference."""
    answers: tuple[Answer, ...]
    """The samples; one where decoding was greedy."""
    right: bool | None = None
    """Whether the authors counted it as right; None where they do not say."""


class Recording(Record, frozen=True, kw_only=True):
    """One model's answers to one data set, with the rule by which its authors scored them."""

    suite: str
    """Data set, as the authors name it."""
    mode: str
    """How it was asked: direct, cot, zero_shot, zero_shot_cot; empty where there is one way."""
    model: str
    """Who answered."""
    recorded: tuple[Recorded, ...]
    """The questions in the file's order."""
    scorer: str
    """Scorer of the authors' rule."""
    options: dict[str, Any]
    """What it is built with."""
    accuracy: float | None = None
    """The accuracy that the authors printed, in percent; None where they printed none."""


class Rescored(Record, frozen=True, kw_only=True):
    """What a recording scores."""

    accuracy: float
    """Percent right, of all questions."""
    right: int
    """Questions right."""
    count: int
    """Questions."""
    unextracted: int
    """Questions whose answer could not be read; they count as wrong."""
    differing: tuple[str, ...]
    """Ids of questions that the authors counted otherwise."""


def rescore(recording: Recording, scorer: Scorer | None = None, dimension: str = "accuracy") -> Rescored:
    """The score of a recording by its authors' rule, or by the scorer given and that dimension of it.

    Of several samples of a question the answer given most often counts, of equals the first.
    """
    if scorer is None:
        scorer = plugins.load("scorers", recording.scorer)(**recording.options)
    right = unextracted = 0
    differing = []
    for each in recording.recorded:
        readings = [scorer.score(each.item, answer)[dimension] for answer in each.answers]
        reading = _majority(readings)
        score = sum(reading.scores) > 0
        right += score
        unextracted += bool(reading.error)
        if each.right is not None and each.right != score:
            differing.append(each.item.id)
    count = len(recording.recorded)
    return Rescored(
        accuracy=right / count * 100,
        right=right,
        count=count,
        unextracted=unextracted,
        differing=tuple(differing),
    )


def read_gsm8k_solutions(path: Path) -> list[Recording]:
    """One recording for each model in GSM8K's ``example_model_solutions.jsonl``, plain or gzip.

    Raises:
        FileError: a row is not of that form.
    """
    found: dict[str, list[Recorded]] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        row = _decoded(path, line, number)
        try:
            reference = re.findall(r"A: *\$?(-?[0-9][0-9.,]*)", row["ground_truth"])[-1]
            item = Item(id=str(number), turns=(row["question"],), reference=(reference,))
            solved = {key: each for key, each in row.items() if isinstance(each, dict)}
            for model, each in solved.items():
                answer = _answer("gsm8k", item.id, model, each["solution"])
                recorded = Recorded(item=item, answers=(answer,), right=each["is_correct"])
                found.setdefault(model, []).append(recorded)
        except (KeyError, IndexError, TypeError) as error:
            raise FileError(path, f"is no row of GSM8K's model solutions: {error!r}", line=number) from None
    if not found:
        raise FileError(path, "holds no model's solutions")
    name, options = GSM8K_RULE
    return [
        Recording(suite="gsm8k", mode="", model=model, recorded=tuple(rows), scorer=name, options=options)
        for model, rows in found.items()
    ]


def read_bbh_outputs(path: Path) -> Recording:
    """The recording in a file of BIG-Bench Hard's recorded outputs, with the accuracy of the metrics file beside it.

    The mode is told from the questions: a chain of thought was asked for by "Let's think step by step.".

    Raises:
        FileError: it is not of that form.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".json")
    task = stem.partition("_few_shot")[0]
    content = _decoded(path, _text(path), 0)
    try:
        rows = [(each["input"], each["prediction"], each["target"]) for each in content["outputs"]]
        cot = rows[0][0].rstrip().endswith("Let's think step by step.")
    except (KeyError, TypeError, IndexError) as error:
        raise FileError(path, f"is no file of recorded BBH outputs: {error!r}") from None
    metrics = path.with_name(f"{stem}_eval_metrics.jsonl")
    accuracy = _decoded(metrics, _text(metrics), 1).get("accuracy") if metrics.is_file() else None
    mode = "cot" if cot else "direct"
    name, options = BBH_RULES[mode]
    model = path.parent.name.removesuffix(f"-{mode}")
    recorded = tuple(
        Recorded(
            item=Item(id=str(number), turns=(asked,), reference=(target,), category=task),
            answers=(_answer(task, str(number), model, said),),
        )
        for number, (asked, said, target) in enumerate(rows, 1)
    )
    return Recording(
        suite=task, mode=mode, model=model, recorded=recorded, scorer=name, options=options, accuracy=accuracy
    )


def read_zero_shot_cot_log(path: Path) -> Recording:
    """The recording in a log of zero-shot-CoT, plain or gzip, with the accuracy of its last line.

    ``right`` is whether the log's own ``pred_mode`` is its ``GT``, as stripped texts, which is the authors' comparison.

    Raises:
        FileError: it is not of that form, or ends within a question.
        UserError: no rule is known for its data set or method.
    """
    content = _text(path)
    header = content.partition("data size")[0]
    arguments = dict(re.findall(r"\b(dataset|method|model)='([^']*)'", header))
    dataset, method = arguments.get("dataset", ""), arguments.get("method", "")
    if not dataset or not method:
        raise FileError(path, "does not name its dataset and method in its first lines")
    if dataset not in ZERO_SHOT_COT_RULES:
        raise UserError(f"{path}: no rule for dataset {dataset!r}: {did_you_mean(dataset, ZERO_SHOT_COT_RULES)}")
    if method not in ("zero_shot", "zero_shot_cot"):
        raise UserError(
            f"{path}: no rule for method {method!r}: {did_you_mean(method, ('zero_shot', 'zero_shot_cot'))}"
        )
    model = arguments.get("model", "")
    printed = re.findall(r"(?m)^accuracy : (.+)$", content)
    name, options = ZERO_SHOT_COT_RULES[dataset]
    recorded = tuple(_logged(path, content, dataset, model))
    if not recorded:
        raise FileError(path, "holds no question")
    return Recording(
        suite=dataset,
        mode=method,
        model=model,
        recorded=recorded,
        scorer=name,
        options=options,
        accuracy=float(printed[-1]) if printed else None,
    )


def _logged(path: Path, content: str, dataset: str, model: str) -> Iterator[Recorded]:
    """Each question of a log: asked (after ``N_th_sampling``), said (from ``pred_before``), then its key (``GT``)."""
    asked: list[str] = []
    said: list[str] = []
    samples: list[tuple[str, str]] = []
    chosen, number, state = "", 0, "between"
    for line in content.split("\n"):
        if state == "asked" and line.startswith("pred_before : "):
            state, said = "said", [line.removeprefix("pred_before : ")]
        elif state == "said" and line.startswith("pred_after : "):
            state = "between"
            samples.append(("\n".join(asked), "\n".join(said)))
        elif state != "between":
            (asked if state == "asked" else said).append(line)
        elif re.fullmatch(r"\d+_th_sampling", line):
            state, asked = "asked", []
        elif line.startswith("pred_mode : "):
            chosen = line.removeprefix("pred_mode : ")
        elif line.startswith("GT : "):
            number += 1
            reference = line.removeprefix("GT : ").strip()
            yield _question(str(number), dataset, model, samples, reference, chosen.strip() == reference)
            samples, chosen = [], ""
    if state != "between" or samples:
        raise FileError(path, f"ends within question {number + 1}")


def _question(
    id: str, dataset: str, model: str, samples: list[tuple[str, str]], reference: str, right: bool
) -> Recorded:
    question, _, rest = samples[0][0].partition("\nA:")
    answers = [
        msgspec.structs.replace(_answer(dataset, id, model, said), sample=index, reasoning=(rest.strip(),))
        for index, (_, said) in enumerate(samples)
    ]
    item = Item(id=id, turns=(f"{question}\nA:",), reference=(reference,))
    return Recorded(item=item, answers=tuple(answers), right=right)


def _majority(readings: list[Reading]) -> Reading:
    """The reading of the answer given most often; of equals the one given first."""
    ((most, _),) = Counter(each.reply for each in readings).most_common(1)
    return next(each for each in readings if each.reply == most)


def _answer(suite: str, item: str, model: str, said: str) -> Answer:
    return Answer(suite=suite, item=item, model=model, turns=(said,), finish=("stop",))


def _text(path: Path) -> str:
    try:
        return read_content(path).decode()
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8: {error}") from None


def _decoded(path: Path, text: str, line: int) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FileError(path, f"is not a JSON object: {error}", line=line) from None
