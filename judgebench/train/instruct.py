"""New instructions and their answers: Self-Instruct from seeds, Evol-Instruct from given ones."""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Sequence

from judgebench.errors import UserError
from judgebench.judges.steps import entries
from judgebench.stages import settings as flags
from judgebench.stages.named_models import parse_models
from judgebench.stages.reasons import reason
from judgebench.stages.settings import Settings
from judgebench.train.asking import Prompts, asked, filled, read_prompts, spoken, teachable
from judgebench.train.columns import Row, prompt_text
from judgebench.train.duplicates import Seen
from judgebench.train.replies import kept_replies
from judgebench.train.wording import words
from judgebench.types import Backend, Model, Sampling

SEEDS_SHOWN, MADE_SHOWN = 6, 2
"""Examples of one request that people wrote, and that a model did (Wang et al. 2023, section 2.2)."""
PATIENCE = 3
"""Rounds in a row without a new instruction, after which there are none."""
FEWEST, MOST = 4, 150
"""Words of a new instruction."""

SELF = {"instructions": frozenset({"examples", "count", "fence"}), "answer": frozenset({"instruction", "fence"})}
EVOL = {"evolve": frozenset({"change", "instruction", "fence"}), "answer": frozenset({"instruction", "fence"}),
        "same": frozenset({"instruction", "evolved", "fence"})}  # fmt: skip
_SORRY = re.compile(r"\bsorry\b", re.IGNORECASE)


def self_instruct(args: argparse.Namespace, rows: Sequence[Row]) -> tuple[list[Row], dict[str, int], list[str]]:
    """``--count`` new instructions with answers (Self-Instruct, Wang et al. 2023, arXiv 2212.10560).

    Each request shows six seeds and two instructions made so far, and asks for more. Left out are those too short or
    long, that hold words of what text cannot do, that begin with a sign, and those as much alike as ``--most-alike`` to
    any seed or new one. Rounds end at the count, or when three in a row bring nothing.

    Args:
        args: the stage's flags.
        rows: the seeds.

    Raises:
        UserError: every call failed, or the prompt file is not fit.
    """
    prompts = read_prompts("self-instruct", SELF, args.prompts)
    settings = flags.resolve(argparse.Namespace(**{**vars(args), "temperature": None}))
    model = _writer(settings)
    seeds = [prompt_text(row) for row in rows]
    seen = Seen(args.by, args.most_alike)
    for seed in seeds:
        seen.add(seed)
    made: list[str] = []
    dropped: Counter[str] = Counter()
    sampling = Sampling(temperature=args.temperature, max_tokens=args.max_new_tokens)
    chance = random.Random(settings.seed)
    empty = turn = 0
    with kept_replies(args, "model", model, settings) as backend:
        while len(made) < args.count and empty < PATIENCE:
            chats = []
            for _ in range(args.requests):
                shown = chance.sample(seeds, min(SEEDS_SHOWN, len(seeds)))
                shown += chance.sample(made, min(MADE_SHOWN, len(made)))
                chance.shuffle(shown)
                listed = "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(shown, 1))
                chats.append(filled(prompts, "instructions", examples=listed, count=str(len(shown))))
            before = len(made)
            for reply in asked(backend, chats, sampling, settings.seed, "self-instruct", turn):
                if reply.error:
                    dropped[f"requests: {reason(reply.error)}"] += 1
                    continue
                for text in entries(spoken(reply)):
                    why = unfit(text, prompts.excluded) or ("like one before" if seen.like(text) else "")
                    if why:
                        dropped[why] += 1
                    elif len(made) < args.count:
                        seen.add(text)
                        made.append(text)
            empty = empty + 1 if len(made) == before else 0
            turn += 1
        kept = _answered(backend, prompts, [{"instruction": text} for text in made], sampling, settings.seed, dropped)
    notes = [] if len(made) >= args.count else [f"{len(made)} of {args.count} instructions: {PATIENCE} rounds in a row "
                                                "brought nothing new"]  # fmt: skip
    return kept, dict(dropped), notes


def unfit(text: str, excluded: Sequence[str] = ()) -> str:
    """Why a new instruction is left out; empty where it is not.

    Args:
        text: the instruction.
        excluded: words it may not hold.

    >>> unfit("Do it."), unfit("!Tell me of the sea"), unfit("Draw the picture of a cat", ["picture"])
    ('shorter than 4 words', 'begins with a sign', "holds 'picture'")
    """
    found = words(text)
    if len(found) < FEWEST:
        return f"shorter than {FEWEST} words"
    if len(found) > MOST:
        return f"longer than {MOST} words"
    if not text.lstrip()[0].isalnum():
        return "begins with a sign"
    for word in excluded:
        part = words(word)
        if any(found[at : at + len(part)] == part for at in range(len(found))):
            return f"holds {word!r}"
    return ""


def evol_instruct(args: argparse.Namespace, rows: Sequence[Row]) -> tuple[list[Row], dict[str, int], list[str]]:
    """Changed instructions with answers, ``--rounds`` times over (Evol-Instruct, Xu et al. 2023, arXiv 2304.12244).

    Each round changes every instruction in one way drawn by lot (five deepen it, one broadens the set). Left out are,
    by the paper's four rules: changes that the model finds to ask the same; answers of under 80 words that say sorry;
    answers of nothing but signs; instructions that copy words of the request. An instruction whose change failed
    stands for another change in the next round.

    Args:
        args: the stage's flags.
        rows: with the instructions.

    Raises:
        UserError: every call failed, or the prompt file is not fit.
    """
    prompts = read_prompts("evol-instruct", EVOL, args.prompts)
    settings = flags.resolve(argparse.Namespace(**{**vars(args), "temperature": None}))
    model = _writer(settings)
    sampling = Sampling(temperature=args.temperature, max_tokens=args.max_new_tokens)
    chance = random.Random(settings.seed)
    seen = Seen(args.by, args.most_alike)
    pool = [prompt_text(row) for row in rows]
    for text in pool:
        seen.add(text)
    kept: list[Row] = []
    dropped: Counter[str] = Counter()
    with kept_replies(args, "model", model, settings) as backend:
        for turn in range(1, args.rounds + 1):
            ways = [chance.choice(sorted(prompts.kinds)) for _ in pool]
            chats = [filled(prompts, "evolve", change=prompts.kinds[way], instruction=text)
                     for way, text in zip(ways, pool, strict=True)]  # fmt: skip
            found: list[Row] = []
            replies = asked(backend, chats, sampling, settings.seed, "evolve", turn)
            for at, reply in enumerate(replies):
                text = spoken(reply)
                why = f"requests: {reason(reply.error)}" if reply.error else "" if text else "no instruction"
                why = why or copied(text, prompts.excluded) or ("like one before" if seen.like(text) else "")
                if why:
                    dropped[why] += 1
                    continue
                found.append({"instruction": text, "by": ways[at], "round": turn, "at": at})
            found = _changed(backend, prompts, pool, found, settings.seed, dropped)
            for row in _answered(backend, prompts, found, sampling, settings.seed, dropped):
                if empty_answer(row["completion"]):
                    dropped[empty_answer(row["completion"])] += 1
                    continue
                pool[row.pop("at")] = prompt_text(row)
                seen.add(prompt_text(row))
                kept.append(row)
    return kept, dict(dropped), []


def copied(text: str, excluded: Sequence[str]) -> str:
    """Why an instruction shows that it was made by request; empty where it does not."""
    return next((f"holds {word!r}" for word in excluded if word.lower() in text.lower()), "")


def empty_answer(text: str) -> str:
    """Why an answer teaches nothing; empty where it does.

    >>> empty_answer("Sorry, no."), empty_answer("...!"), empty_answer("Yes")
    ('answer says sorry', 'answer without words', '')
    """
    if _SORRY.search(text) and len(text.split()) < 80:
        return "answer says sorry"
    return "" if re.search(r"\w", text) else "answer without words"


def _changed(
    backend: Backend, prompts: Prompts, pool: Sequence[str], found: Sequence[Row], seed: int, dropped: Counter[str]
) -> list[Row]:
    """Those that the model itself finds to ask for something else."""
    chats = [filled(prompts, "same", instruction=pool[row["at"]], evolved=row["instruction"]) for row in found]
    kept = []
    for row, reply in zip(found, asked(backend, chats, Sampling(max_tokens=64), seed, "same"), strict=True):
        said = words(spoken(reply))
        if reply.error or not {"equal", "different"} & set(said):
            dropped["unscored: equal or different"] += 1
        elif "equal" in said and "different" not in said:
            dropped["asks the same"] += 1
        else:
            kept.append(row)
    return kept


def _answered(
    backend: Backend, prompts: Prompts, found: Sequence[Row], sampling: Sampling, seed: int, dropped: Counter[str]
) -> list[Row]:
    """The instructions as prompts with the model's answers; those without an answer are counted."""
    chats = [filled(prompts, "answer", instruction=row["instruction"]) for row in found]
    kept: list[Row] = []
    for row, reply in zip(found, asked(backend, chats, sampling, seed, "answer"), strict=True):
        text, why = teachable(reply)
        if why:
            dropped["without an answer" if why == "none" else f"answer {why}"] += 1
        else:
            more = {key: value for key, value in row.items() if key != "instruction"}
            prompt = [{"role": "user", "content": row["instruction"]}]
            kept.append({"prompt": prompt, "completion": text, **more})
    return kept


def _writer(settings: Settings) -> Model:
    models = parse_models(settings.model, settings.option)
    if len(models) != 1:
        raise UserError(f"one model writes, and {len(models)} are named: --model [NAME=]BACKEND/ID")
    return models[0]
