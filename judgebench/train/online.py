"""Rewards for answers made while training: an exact scorer, a judge by a pointwise rubric, or a reward model."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from judgebench import plugins
from judgebench.errors import UserError, did_you_mean
from judgebench.rubrics import Rubric
from judgebench.stages.settings import Settings
from judgebench.train.rows import Rows, read_rows
from judgebench.train.settings import TrainSettings
from judgebench.types import Answer, Backend, Item, Judge, Matchup, Model, Reading, Reply, Request, Sampling, Scorer

OPTIONS = ("scorer", "judge", "rubric", "reward_model")
COLUMNS = ("reference", "choices")
"""Optional columns that scorers and judges read beside the prompt."""


class Rewards(Protocol):
    """What a reward comes from."""

    def of(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[str]) -> list[Reading]:
        """One reading for each answer; its one score is the reward, none is unscored."""
        ...


def add_reward(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say where rewards come from."""
    group = parser.add_argument_group("reward (one of them)")
    group.add_argument("--scorer", metavar="NAME", help="an exact scorer, over the column 'reference' ('choices' too)")
    group.add_argument("--judge", metavar="[NAME=]BACKEND/ID", help="a judge, with --rubric")
    group.add_argument("--rubric", metavar="NAME", help="the pointwise rubric it judges by")
    group.add_argument("--reward-model", metavar="FOLDER", help="a model that the stage 'reward' made")


def read_prompts(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``, with ``reference`` and ``choices`` where they have them; the reward's flags are checked.

    Raises:
        UserError: not one source of rewards, one that is unknown, or one that lacks what it reads.
    """
    given = [name for name in ("scorer", "judge", "reward_model") if getattr(args, name)]
    if len(given) != 1:
        raise UserError(
            "a reward is needed, and one only: --scorer NAME, --judge MODEL --rubric NAME, or --reward-model"
        )
    if bool(args.judge) != bool(args.rubric):
        raise UserError("--judge and --rubric go together")
    rows = read_rows(settings.data, (("prompt",),), optional=COLUMNS)
    if args.scorer:
        known = plugins.names("scorers")
        if args.scorer not in known:
            raise UserError(f"--scorer {args.scorer}: {did_you_mean(args.scorer, known)}")
        without = sum("reference" not in row for row in rows.rows)
        if without:
            raise UserError(f"--data {settings.data}: {without} rows have no 'reference', which --scorer compares with")
    if args.judge:
        _judge_of(args, settings)
    return rows


@contextlib.contextmanager
def opened_rewards(args: argparse.Namespace, settings: TrainSettings, tokenizer: Any) -> Iterator[Rewards]:
    """The source of rewards that the flags name, closed at the end."""
    if args.scorer:
        from judgebench.stages.scoring import close, open_scorer

        scorer = open_scorer(args.scorer, {}, Settings())
        try:
            yield ScorerRewards(scorer)
        finally:
            close(scorer)
    elif args.judge:
        from judgebench.stages.judge_sampling import refuse_unable
        from judgebench.stages.opening import WITHOUT_MODEL, opened

        model, rubric, maker, sampling = _judge_of(args, settings)
        if model.backend in WITHOUT_MODEL:
            yield JudgeRewards(maker, rubric, None, sampling)
            return
        with opened("judge", model, Settings(), {}, quiet=True) as (backend, _):
            refuse_unable(maker, model, backend)
            yield JudgeRewards(maker, rubric, backend, sampling)
    else:
        yield ModelRewards(args.reward_model, tokenizer)


def _judge_of(args: argparse.Namespace, settings: TrainSettings) -> tuple[Model, Rubric, Judge, Sampling]:
    from judgebench.stages.judge_sampling import drawn
    from judgebench.stages.judging import make_judge, plan

    judging = Settings(judge=(args.judge,), rubric=(args.rubric,), seed=settings.seed)
    [model], [rubric] = plan(judging)
    if rubric.mode == "pairwise":
        raise UserError(
            f"--rubric {args.rubric}: it compares pairs, and a reward is of one answer: take a pointwise one"
        )
    return model, rubric, make_judge(model, rubric), drawn(rubric, judging)[1]


class ScorerRewards:
    """An exact scorer's accuracy as the reward."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def of(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[str]) -> list[Reading]:
        """The scorer's ``accuracy`` of each answer."""
        read = [self._scorer.score(*_asked(row, text)) for row, text in zip(rows, answers, strict=True)]
        return [each.get("accuracy", Reading(error="the scorer gave no accuracy")) for each in read]


class JudgeRewards:
    """A judge's grade by a pointwise rubric, on 0 to 1, as the reward; the mean over dimensions."""

    def __init__(self, maker: Judge, rubric: Rubric, backend: Backend | None, sampling: Sampling) -> None:
        self._maker, self._rubric, self._backend, self._sampling = maker, rubric, backend, sampling

    def of(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[str]) -> list[Reading]:
        """The grade of each answer; unscored where any dimension is."""
        from judgebench.judges.matchups import calls

        matchups: list[tuple[int, Matchup]] = []
        for number, (row, text) in enumerate(zip(rows, answers, strict=True)):
            item, answer = _asked(row, text)
            for dimensions in calls(self._rubric, item):
                matchups.append((number, Matchup(suite="training", item=item, turn=1, shown=(answer,),
                                                 dimensions=dimensions, sampling=self._sampling)))  # fmt: skip
        readings = heard(self._maker, [matchup for _, matchup in matchups], self._backend)
        found: list[list[Reading]] = [[] for _ in answers]
        for (number, _), each in zip(matchups, readings, strict=True):
            found[number] += each.values()
        return [_mean(each) for each in found]


class ModelRewards:
    """A reward model's score as the reward.

    Raises:
        UserError: the folder is no reward model.
    """

    def __init__(self, folder: str, tokenizer: Any) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        folder = folder.removeprefix("hf/")
        if not (Path(folder) / "config.json").is_file() and (Path(folder).exists() or folder[:1] in "/."):
            raise UserError(f"--reward-model {folder}: there is no model in such a folder (it has no config.json)")
        try:
            self._model = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype="float32", local_files_only=True, use_safetensors=True
            ).eval()
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"--reward-model {folder}: cannot be loaded: {reason}") from error
        if self._model.config.num_labels != 1:
            raise UserError(f"--reward-model {folder}: gives {self._model.config.num_labels} numbers, not one reward")
        if torch.cuda.is_available():
            self._model.to("cuda")

    def of(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[str]) -> list[Reading]:
        """The model's score of each answer after its prompt."""
        import torch

        from judgebench.train.tokens import with_reply

        read = []
        for row, text in zip(rows, answers, strict=True):
            ids, _ = with_reply(self._tokenizer, row["prompt"], text)
            with torch.inference_mode():
                logits = self._model(input_ids=torch.tensor([ids], device=self._model.device)).logits
            read.append(Reading(scores=(float(logits[0, 0]),)))
        return read


class GroupRewards:
    """The reward function that TRL calls: unscored answers take their group's mean, so that nothing is learned of them.

    With the mean of the scored in its place, an unscored answer's advantage over its group is 0; it is neither a good
    nor a bad answer. Counted by reason.

    Args:
        rewards: where they come from.
        group: answers of one prompt, which follow one another.
    """

    __name__ = "reward"

    def __init__(self, rewards: Rewards, group: int) -> None:
        self._rewards, self._group = rewards, group
        self.scored = 0
        self.unscored: Counter[str] = Counter()

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float]:
        """One number for each completion.

        Raises:
            UserError: none could be scored since training began.
        """
        rows = [
            {"prompt": prompt, **{name: columns[name][place] for name in COLUMNS if columns.get(name)}}
            for place, prompt in enumerate(prompts)
        ]
        texts = [each if isinstance(each, str) else each[-1]["content"] for each in completions]
        read = self._rewards.of(rows, texts)
        for reading in read:
            if reading.scores:
                self.scored += 1
            else:
                self.unscored[reading.error.partition(":")[0] or "no reason given"] += 1
        if not self.scored:
            reason = next((reading.error for reading in read), "")
            raise UserError(f"no answer could be given a reward: {' '.join(reason.split())[:200]}")
        return filled([reading.scores[0] if reading.scores else None for reading in read], self._group)


def filled(rewards: Sequence[float | None], group: int) -> list[float]:
    """The rewards with each unscored one as the mean of its group's scored ones; 0 for all of a group without any.

    >>> filled([1.0, None, 0.0, None, None, None], 3)
    [1.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    """
    made: list[float] = []
    for start in range(0, len(rewards), group):
        part = rewards[start : start + group]
        known = [value for value in part if value is not None]
        mean = sum(known) / len(known) if known else 0.0
        made += [mean if value is None else value for value in part]
    return made


def heard(maker: Judge, matchups: Sequence[Matchup], backend: Backend | None) -> list[Mapping[str, Reading]]:
    """What a judge reads of each matchup, its requests put to the backend in waves.

    Raises:
        UserError: it asks a model, and there is none.
    """
    talks = [maker.deliberate(matchup) for matchup in matchups]
    done: dict[int, Mapping[str, Reading]] = {}
    replies: dict[int, list[Any]] = {}
    waiting = list(range(len(talks)))
    while waiting:
        asked: dict[int, list[Request]] = {}
        for number in waiting:
            try:
                sent = talks[number].send(replies[number]) if number in replies else next(talks[number])
                asked[number] = [each for each in sent if isinstance(each, Request)]
            except StopIteration as end:
                done[number] = end.value
        if asked and backend is None:
            raise UserError(f"judge {maker.name} asks a model, and it was named without one")
        replies = _put(asked, backend) if backend is not None else {}
        waiting = list(asked)
    return [done[number] for number in range(len(talks))]


def _put(asked: Mapping[int, Sequence[Request]], backend: Backend) -> dict[int, list[Reply]]:
    import msgspec

    requests = [
        msgspec.structs.replace(request, id=f"{number}.{index}")
        for number, each in asked.items()
        for index, request in enumerate(each)
    ]
    answered = {request.id: reply for request, reply in backend.generate(requests)}
    return {number: [answered[f"{number}.{index}"] for index in range(len(each))] for number, each in asked.items()}


def counted(scored: int, unscored: Mapping[str, int]) -> str:
    """How many answers were given a reward and how many were not, by reason."""
    left = ", ".join(f"{count} {reason}" for reason, count in unscored.items())
    return f"rewards: {scored} scored, {sum(unscored.values())} unscored{f' ({left})' if left else ''}"


def _asked(row: Mapping[str, Any], text: str) -> tuple[Item, Answer]:
    prompt = row["prompt"]
    words = prompt if isinstance(prompt, str) else "\n\n".join(message["content"] for message in prompt)
    reference = row.get("reference")
    item = Item(
        id="1", turns=(words,), reference=() if reference is None else (str(reference),),
        choices=tuple(row.get("choices") or ()),
    )  # fmt: skip
    return item, Answer(suite="training", item="1", model="trained", turns=(text,), finish=("stop",))


def _mean(readings: Sequence[Reading]) -> Reading:
    """The mean of the dimensions on 0 to 1; unscored with the first reason where one is."""
    for reading in readings:
        if not reading.scores:
            return Reading(error=reading.error or "no reason given")
    shares = [(each.scores[0] - each.scale[0]) / (each.scale[1] - each.scale[0]) for each in readings]
    return Reading(scores=(sum(shares) / len(shares),)) if shares else Reading(error="the judge gave no reading")
