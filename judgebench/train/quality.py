"""Instruction data by what a judge says: grades (AlpaGasus, IFS), and what a student lacks of its teacher (Lion)."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.errors import UserError, did_you_mean
from judgebench.judges.matchups import calls
from judgebench.ratings.intervals import clustered_interval
from judgebench.stages import settings as flags
from judgebench.stages.judge_sampling import drawn, refuse_unable
from judgebench.stages.judging import make_judge, plan
from judgebench.stages.named_models import parse_models
from judgebench.stages.opening import WITHOUT_MODEL
from judgebench.stages.reasons import reason
from judgebench.stages.settings import Settings
from judgebench.train.asking import asked, teachable
from judgebench.train.columns import Row, prompt_text
from judgebench.train.online import heard
from judgebench.train.replies import kept_replies
from judgebench.types import Answer, Item, Matchup, Message, Reading, Sampling


def rate(args: argparse.Namespace, rows: Sequence[Row]) -> tuple[list[Row], dict[str, int], list[str]]:
    """The rows of at least ``--least`` on the rubric's scale, each with its grade as ``score`` (AlpaGasus; IFS).

    AlpaGasus (Chen et al. 2023, arXiv 2307.08701) keeps what is graded 4.5 of 5 or more. The mean grade by the rubric
    ``ifs`` is the instruction-following score (AlShikh et al. 2023, arXiv 2307.03692). Unscored rows are left out.

    Raises:
        UserError: no judge, a pairwise rubric, or a dimension it does not have.
    """
    answered = [row for row in rows if isinstance(row.get("completion"), str)]
    dropped: Counter[str] = Counter({"without an answer": len(rows) - len(answered)})
    found = graded(args, [(row, row["completion"]) for row in answered])
    kept, scores, prompts = [], [], []
    for row, reading in zip(answered, found, strict=True):
        if not reading.scores:
            dropped[f"unscored: {reason(reading.error)}"] += 1
            continue
        scores.append(reading.scores[0])
        prompts.append(prompt_text(row))
        if args.least is not None and reading.scores[0] < args.least:
            dropped[f"graded below {args.least:g}"] += 1
        else:
            kept.append({**row, "score": reading.scores[0]})
    return kept, _counted(dropped), [mean_words(scores, prompts, found)]


def mean_words(scores: Sequence[float], prompts: Sequence[str], found: Sequence[Reading]) -> str:
    """The mean grade with its interval, prompts being the questions."""
    low, high = next((reading.scale for reading in found if reading.scores), (0.0, 1.0))
    if not scores:
        return f"mean grade undefined: 0 of {len(found)} rows scored"
    units = [(score - low) / (high - low) for score in scores]
    estimate = clustered_interval(units, list(prompts))
    ends = "[undefined]" if estimate.low is None or estimate.high is None else (
        f"[{low + (high - low) * estimate.low:.3f}, {low + (high - low) * estimate.high:.3f}]")  # fmt: skip
    mean = sum(scores) / len(scores)
    return f"mean grade {mean:.3f} {ends} on {low:g} to {high:g}, {len(scores)} of {len(found)} rows scored"


def lion(args: argparse.Namespace, rows: Sequence[Row]) -> tuple[list[Row], dict[str, int], list[str]]:
    """Prompts with the teacher's answers, where the student's are worse by ``--threshold`` on the rubric's scale.

    Lion (Jiang et al. 2023, arXiv 2305.12870, section 3.2): a referee scores both answers, in both orders; hard are the
    instructions where the teacher's mean score is above the student's by the threshold, 1.0 of 10 in the paper. With a
    pointwise rubric each answer is graded alone. Reasoning is neither judged nor taught, nor is an answer of the
    teacher that was cut off at the token limit.

    Raises:
        UserError: every call of a model failed; no judge; a dimension that the rubric does not have.
    """
    settings = _settings(args)
    answers = {}
    sampling = Sampling(temperature=args.temperature, max_tokens=args.max_new_tokens)
    for role in ("teacher", "student"):
        model = parse_models((getattr(args, role),), settings.option)[0]
        chats = [[Message(role=m["role"], content=m["content"]) for m in row["prompt"]] for row in rows]
        with kept_replies(args, "model", model, settings) as backend:
            answers[role] = asked(backend, chats, sampling, settings.seed, "lion", role)
    dropped: Counter[str] = Counter()
    whole, cut = [], 0
    for at, row in enumerate(rows):
        (teacher, unfit), (student, lacking) = (teachable(answers[role][at]) for role in ("teacher", "student"))
        silent = "teacher" if unfit == "none" else "student" if lacking == "none" else ""
        if silent or unfit:
            dropped[f"no answer of the {silent}" if silent else f"answer of the teacher {unfit}"] += 1
        else:
            cut += bool(lacking)
            whole.append((row, teacher, student))
    gaps = _gaps(args, whole)
    kept = []
    for (row, teacher, _), gap in zip(whole, gaps, strict=True):
        if isinstance(gap, str):
            dropped[f"unscored: {reason(gap)}"] += 1
            continue
        hard = gap >= args.threshold
        if not hard and not args.all:
            dropped["easy for the student"] += 1
            continue
        kept.append({"prompt": row["prompt"], "completion": teacher, "gap": gap, "hard": hard})
    read = [gap for gap in gaps if not isinstance(gap, str)]
    notes = [f"{sum(gap >= args.threshold for gap in read)} of {len(read)} instructions are hard"]
    if cut:
        notes.append(f"{cut} answers of the student were cut off at the token limit, and judged so")
    return kept, _counted(dropped), notes


def graded(args: argparse.Namespace, answers: Sequence[tuple[Row, str]]) -> list[Reading]:
    """The grade of each answer along ``--dimension``, on the rubric's scale; unscored with its reason."""
    return [found[0] for found in _read(args, [(row, (text,)) for row, text in answers])]


def _gaps(args: argparse.Namespace, pairs: Sequence[tuple[Row, str, str]]) -> list[float | str]:
    """How far the first answer is above the second on the rubric's scale, or why that is not known."""
    both = _read(args, [(row, (first, second)) for row, first, second in pairs])
    made: list[float | str] = []
    for readings in both:
        error = next((reading.error or "no reason given" for reading in readings if not reading.scores), "")
        if error:
            made.append(error)
        elif len(readings[0].scores) == 1:  # each alone
            made.append(readings[0].scores[0] - readings[1].scores[0])
        else:  # together, in both orders
            forth, back = readings[0].scores, readings[1].scores
            made.append((forth[0] - forth[1] + back[1] - back[0]) / 2)
    return made


def _read(args: argparse.Namespace, shown: Sequence[tuple[Row, tuple[str, ...]]]) -> list[list[Reading]]:
    """For each row the readings of its matchups: one answer each, or a pair in both orders."""
    settings = _settings(args)
    models, rubrics = plan(settings)
    if len(models) != 1 or len(rubrics) != 1:
        raise UserError("one judge is needed, and one rubric: --judge MODEL --rubric NAME")
    [model], [rubric] = models, rubrics
    pairs = rubric.mode == "pairwise"
    if pairs and any(len(texts) == 1 for _, texts in shown):
        raise UserError(f"--rubric {rubric.name}: it compares pairs; take a pointwise one")
    dimension = args.dimension or ("overall" if "overall" in rubric.dimensions else next(iter(rubric.dimensions)))
    if dimension not in rubric.dimensions:
        raise UserError(f"--dimension {dimension}: {did_you_mean(dimension, rubric.dimensions)}")
    maker, sampling = make_judge(model, rubric), drawn(rubric, settings)[1]
    matchups: list[Matchup] = []
    for number, (row, texts) in enumerate(shown):
        item = Item(id=str(number), turns=(prompt_text(row),))
        answers = [Answer(suite="data", item=item.id, model=str(at), turns=(text,), finish=("stop",))
                   for at, text in enumerate(texts)]  # fmt: skip
        orders = [tuple(answers), tuple(answers[::-1])] if pairs else [(answer,) for answer in answers]
        asks = next(each for each in calls(rubric, item) if dimension in each)
        matchups += [
            Matchup(suite="data", item=item, turn=1, shown=order, dimensions=asks, sampling=sampling)
            for order in orders
        ]
    found: list[Mapping[str, Reading]]
    if model.backend in WITHOUT_MODEL:
        found = heard(maker, matchups, None)
    else:
        with kept_replies(args, "judge", model, settings) as backend:
            refuse_unable(maker, model, backend)
            found = heard(maker, matchups, backend)
    readings = iter([each[dimension] for each in found])
    return [[next(readings) for _ in range(2 if pairs else len(texts))] for _, texts in shown]


def _settings(args: argparse.Namespace) -> Settings:
    return flags.resolve(argparse.Namespace(**{**vars(args), "temperature": None, "model": None}))


def _counted(dropped: Mapping[str, int]) -> dict[str, Any]:
    return {why: count for why, count in dropped.items() if count}
