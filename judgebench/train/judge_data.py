"""Verdicts → examples that train a judge: a rubric's own question, and the verdict in the rubric's own form."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec

from judgebench import __version__
from judgebench.errors import UserError, did_you_mean
from judgebench.files import write_atomic
from judgebench.judges import matchups, parse
from judgebench.judges.rubric import ItemLacks, RubricJudge, shown_texts
from judgebench.rubrics import Rubric, load_rubric
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.games import standing
from judgebench.stages.progress import say
from judgebench.stages.trial_units import Pairs, Truth, grades_of, is_person, mean, pairs_of, pairs_of_grades, truth_of
from judgebench.train.guard import keep_out, reasons, united
from judgebench.train.held_out import ENDING, DataManifest, add_guard, guard_of, training_suites
from judgebench.types import Answer, Matchup, Reply, Verdict

Place = tuple[str, str, int, str, tuple[tuple[str, int], ...]]
"""Suite, item, turn, dimension, (model, sample) as shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    flags.add_run(parser)
    parser.add_argument("--rubric", required=True, metavar="NAME", help="whose question and form the judge learns")
    parser.add_argument("--from", dest="source", default="human", metavar="WHO",
                        help="human (majority; the default), human@NAME, gold, exact@SCORER or a judge")  # fmt: skip
    parser.add_argument("--out", required=True, metavar="FILE.jsonl", help="rows; FILE.jsonl.manifest.json beside them")
    parser.add_argument("--as", dest="form", choices=("examples", "pairs"), default="examples",
                        help="examples: messages, for sft; pairs: right and wrong verdict, for dpo")  # fmt: skip
    parser.add_argument(
        "--dimension", metavar="NAME", help="of the verdicts: what they say of it is learned of all of the rubric's"
    )
    parser.add_argument("--train-suite", action="append", metavar="NAME",
                        help="suite of the run that is training data; repeat; all others are kept out")  # fmt: skip
    add_guard(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def main(args: argparse.Namespace) -> int:
    """Writes the data file and its manifest.

    Returns:
        0; exit codes of errors are theirs.
    """
    run, rubric = Run(flags.run_path(args.run)), load_rubric(args.rubric)
    if rubric.made_by not in ("rubric", "label-probability", "scale-probability"):
        raise UserError(f"--rubric {rubric.name}: its judge ({rubric.made_by}) asks more than one question")
    suites = training_suites(run, args.train_suite, everything=args.allow_contamination)
    verdicts, fallen = chosen(run, args.source, suites)
    for line in fallen:
        say(f"note: {line}", quiet=args.quiet)
    dropped: Counter[str] = Counter()
    rows = list(rows_of(run, rubric, verdicts, args.form, args.dimension or "", dropped))
    places, held = keep_out(rows, guard_of(run, args, suites), allow=args.allow_contamination)
    dropped.update(reasons(held.dropped))
    kept = [rows[at] for at in places]
    counted = "; ".join(f"{count} {why}" for why, count in sorted(dropped.items())) or "nothing"
    if not kept:
        raise UserError(f"{run.path}: no row is left to train a judge on (left out: {counted})")
    content = b"".join(msgspec.json.encode(row) + b"\n" for row in kept)
    used: dict[str, list[str]] = defaultdict(list)
    for row in kept:
        used[row["suite"]].append(row["item"])
    held = msgspec.structs.replace(held, trained_on=united(held.trained_on, used))
    explained = sum(row["explained"] for row in kept)
    note = f"{explained} of {len(kept)} verdicts come with an explanation"
    made = DataManifest(
        judgebench=__version__, stage="judge-data", form="messages" if args.form == "examples" else
        "prompt+chosen+rejected", sha256=hashlib.sha256(content).hexdigest(), rows=len(kept), dropped=dict(dropped),
        training_suites=suites if args.train_suite else [], contamination=held, notes=[note],
        settings={"run": run.name, "from": args.source, "rubric": rubric.id, "dimension": args.dimension or ""},
    )  # fmt: skip
    write_atomic(args.out, content)
    write_atomic(args.out + ENDING, msgspec.json.format(msgspec.json.encode(made), indent=1))
    say(
        f"{args.out}: {len(kept)} rows from {args.source} by {rubric.id}, {note}; left out: {counted}", quiet=args.quiet
    )
    return 0


def chosen(run: Run, source: str, suites: Sequence[str]) -> tuple[list[Verdict], list[str]]:
    """The standing verdicts of those named, on these suites, and lines on those of the run that do not stand.

    Raises:
        UserError: nobody of that name judged them.
    """
    held, fallen = standing(run, run.verdicts().values())
    found = [each for each in held if each.suite in suites]
    own = [each for each in found if each.judge == source or (source == "human" and is_person(each.judge))]
    if not own:
        known = {each.judge for each in found}
        words = f"--from {source}: no verdict of theirs on {', '.join(suites)}: {did_you_mean(source, known)}"
        raise UserError("; ".join([words, *fallen.lines]))
    return own, fallen.lines


def rows_of(
    run: Run, rubric: Rubric, verdicts: Sequence[Verdict], form: str, dimension: str, dropped: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Training rows: a pair in both orders, each with the verdict as seen in that order.

    Args:
        run: holds questions and answers.
        rubric: whose messages are asked and in whose form the verdict is written.
        verdicts: of one rater, or of several, whose majority counts. Only the words of raters whose own verdict is the
            one taught explain it. Where an exact scorer's, the item's reference explains them.
        form: ``examples`` (``messages``) or ``pairs`` (``prompt``, ``chosen``, ``rejected``, explained both or neither:
            nobody argues for the wrong one, and length would be learnt).
        dimension: of the verdicts, taken for each of the rubric's; empty is those of the same name, or the only one
            where the rubric has one too.
        dropped: reason → rows left out, added to.
    """
    judge = RubricJudge("judge-data", rubric)
    if rubric.mode != "pairwise":
        given, wide = verdicts, parse.scale(rubric)
        verdicts = [each for each in given if not each.scores or each.scale == wide]
        if len(verdicts) < len(given):
            dropped["graded on another scale than the rubric's"] += len(given) - len(verdicts)
    wanted = truths(verdicts, pairwise=rubric.mode == "pairwise")
    heard = _heard(verdicts)
    scored = all(each.judge.startswith("exact@") for each in verdicts)
    names = {place[3] for place in wanted}
    answers = run.answers()
    items = {suite: run.items(suite) for suite in {place[0] for place in wanted}}
    done: set[tuple[Any, ...]] = set()
    for place in sorted(wanted):
        suite, identifier, turn, _, shown = place
        found = [answers.get((suite, identifier, *who)) for who in shown]
        item = items[suite].get(identifier)
        if item is None or any(each is None for each in found):
            dropped["without its answer"] += 1
            continue
        for asked in matchups.calls(rubric, item):
            key = (suite, identifier, turn, shown, asked)
            if key in done:
                continue
            done.add(key)
            scores, said_at = {}, []
            for name in asked:
                alone = len(names) == len(rubric.dimensions) == 1
                said = dimension or (next(iter(names)) if alone else name)
                at = (suite, identifier, turn, said, shown)
                if at in wanted:
                    scores[name] = wanted[at]
                    said_at.append(at)
            if len(scores) < len(asked):
                dropped["on dimensions that the rubric does not ask"] += 1
                continue
            matchup = Matchup(
                suite=suite, item=item, turn=turn or len(item.turns), dimensions=asked,
                shown=tuple(each for each in found if isinstance(each, Answer)),
            )  # fmt: skip
            if scored:
                explained_by = "".join(item.reference[matchup.turn - 1 : matchup.turn])
            else:
                explained_by = "" if form == "pairs" else _agreeing(rubric, heard, said_at, wanted)
            right, wrong, explained = _sides(rubric, matchup, scores, explained_by, pair=form == "pairs")
            if not right or (form == "pairs" and not wrong):
                dropped["whose verdict the rubric cannot say"] += 1
                continue
            try:
                prompt = [{"role": each.role, "content": each.content} for each in judge.ask(matchup)]
            except ItemLacks:
                dropped["whose item lacks what the rubric shows"] += 1
                continue
            told: dict[str, Any] = {"messages": [*prompt, _said(right)]}
            if form == "pairs":
                told = {"prompt": prompt, "chosen": [_said(right)], "rejected": [_said(wrong)]}
            yield {**told, "suite": suite, "item": identifier, "turn": turn, "shown": shown, "explained": explained}


def truths(verdicts: Sequence[Verdict], *, pairwise: bool) -> dict[Place, tuple[float, ...]]:
    """Place → scores: both orders of every pair whose verdict is settled (two orders that disagree are a tie).

    Raters who graded single answers alone, as exact scorers do, prefer of any two the one with the higher grade.
    """
    raters = {name: [each for each in verdicts if each.judge == name] for name in {each.judge for each in verdicts}}
    found: dict[Place, tuple[float, ...]] = {}
    if not pairwise:
        grades: dict[Any, list[float]] = defaultdict(list)
        for own in raters.values():
            for unit, given in grades_of(own).items():
                value = mean(given)
                if value is not None:
                    grades[unit].append(value)
        for unit, values in grades.items():
            found[(*unit[:4], (unit[4],))] = (sum(values) / len(values),)
        return found
    truth: Truth = truth_of({name: _as_pairs(own) for name, own in raters.items()})
    for pair, said in truth.labels.items():
        suite, item, turn, dimension, left, right = pair
        first, second = (right, left) if truth.flipped[pair] else (left, right)
        share = {"first": 1.0, "second": 0.0}.get(said, 0.5)
        found[suite, item, turn, dimension, (first, second)] = (share, 1 - share)
        found[suite, item, turn, dimension, (second, first)] = (1 - share, share)
    return found


def _as_pairs(verdicts: Sequence[Verdict]) -> Pairs:
    """One rater's readings of pairs, out of grades where no two answers were shown together."""
    if any(len(verdict.shown) == 2 for verdict in verdicts):
        return pairs_of(verdicts)
    grades = grades_of(verdicts)
    places: dict[tuple[str, str, int, str], list[tuple[str, int]]] = defaultdict(list)
    for suite, item, turn, dimension, who in grades:
        places[suite, item, turn, dimension].append(who)
    units = [(*place, *pair) for place, found in places.items() for pair in combinations(sorted(found), 2)]
    return pairs_of_grades(grades, units)


def _heard(verdicts: Sequence[Verdict]) -> dict[Place, list[Verdict]]:
    """Place → what raters said there who use words, by their names: the order of files decides nothing."""
    found: dict[Place, list[Verdict]] = defaultdict(list)
    for each in sorted(verdicts, key=_hearing):
        if each.scores and not _mute(each.judge):
            found[_place(each)].append(each)
    return found


def _agreeing(
    rubric: Rubric, heard: Mapping[Place, Sequence[Verdict]], places: Sequence[Place],
    wanted: Mapping[Place, tuple[float, ...]],
) -> str:  # fmt: skip
    """The words of the first rater whose own verdicts are those taught, on all dimensions; empty where none has any."""
    for hearing in map(_hearing, heard.get(places[0], ())):
        own = [each for place in places for each in heard.get(place, ()) if _hearing(each) == hearing]
        agrees = all(_same(rubric, each.scores, wanted[_place(each)]) for each in own)
        if agrees and {_place(each) for each in own} == set(places):
            words = next((each.reply for each in own if each.reply.strip()), "")
            if words:
                return words
    return ""


def _hearing(verdict: Verdict) -> tuple[str, str, int]:
    """Who said it and when: verdicts of one hearing on several dimensions have the same."""
    return verdict.judge, verdict.rubric, verdict.sample


def _sides(
    rubric: Rubric, matchup: Matchup, scores: Mapping[str, tuple[float, ...]], words: str, *, pair: bool
) -> tuple[str, str, bool]:
    """The right reply, a wrong one, and whether they are explained; of a pair both are, or neither."""

    def wrong(said: str) -> str:
        return next(filter(None, (reply_of(rubric, matchup, other, said) for other in _others(rubric, scores))), "")

    right, bare = reply_of(rubric, matchup, scores, words), reply_of(rubric, matchup, scores, "")
    explained = right != bare
    if not pair:
        return right, "", explained
    if explained and wrong(words) != wrong(""):
        return right, wrong(words), True
    return bare, wrong(""), False


def reply_of(rubric: Rubric, matchup: Matchup, scores: Mapping[str, tuple[float, ...]], words: str) -> str:
    """A reply that the rubric's own reader reads as these scores, with the words before it where that can be.

    Args:
        rubric: whose form it is.
        matchup: what is judged.
        scores: dimension → scores, a pair's as shares of the point.
        words: an explanation, or a whole reply; left out where the verdict could then not be read, or where they hold
            another one.

    Returns:
        The reply; empty where the form has no way to say them.
    """

    def read(text: str) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        found = parse.read(rubric, matchup.dimensions, Reply(text=text), shown_texts(matchup))
        return [(found[name].scores, scores[name]) for name in matchup.dimensions]

    verdict = _verdict(rubric, scores)
    plain = [verdict] if verdict else []
    opposed = any(found and not _same(rubric, found, wanted) for found, wanted in read(words))
    if words.strip() and rubric.reason_first and not opposed:
        plain = [words.strip(), *(f"{words.strip()}\n\n{each}" for each in plain), *plain]
    for text in plain:
        if all(_same(rubric, found, wanted) for found, wanted in read(text)):
            return text
    return ""


def _verdict(rubric: Rubric, scores: Mapping[str, tuple[float, ...]]) -> str:
    """The bare verdict in the rubric's form; empty where its labels or its scale have none for these scores."""
    values: dict[str, Any] = {}
    for name, wanted in scores.items():
        if rubric.mode == "pointwise":
            values[name] = round(wanted[0]) if rubric.form == "json" else f"{wanted[0]:g}"
        else:
            known = (label for label, own in parse.labels(rubric).items() if _same(rubric, own, wanted))
            label = next(known, "")
            if not label:
                return ""
            values[name] = label
    if rubric.form == "json":
        return msgspec.json.encode(values).decode()
    if rubric.mode == "checklist":
        return str(next(iter(values.values())))
    if len(values) > 1:
        return "\n".join(f"{name}: [[{value}]]" for name, value in values.items())
    (value,) = values.values()
    return f"Rating: [[{value}]]" if rubric.mode == "pointwise" else f"[[{value}]]"


def _others(rubric: Rubric, scores: Mapping[str, tuple[float, ...]]) -> Iterator[dict[str, tuple[float, ...]]]:
    """Wrong verdicts, the most wrong first."""
    if rubric.mode == "pairwise":
        flipped = {name: own[::-1] if own[0] != own[1] else (1.0, 0.0) for name, own in scores.items()}
        yield flipped
        return
    low, high = parse.scale(rubric)
    yield {name: ((high if own[0] - low < high - own[0] else low),) for name, own in scores.items()}


def _same(rubric: Rubric, read: tuple[float, ...], wanted: tuple[float, ...]) -> bool:
    """Whether two readings say the same; of a pair, that the same answer is ahead."""
    if len(read) != len(wanted):
        return False
    if rubric.mode == "pairwise":
        return (read[0] > read[1]) == (wanted[0] > wanted[1]) and (read[0] < read[1]) == (wanted[0] < wanted[1])
    return all(abs(one - two) < 1e-9 for one, two in zip(read, wanted, strict=True))


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _mute(judge: str) -> bool:
    """Whether a judge's words explain nothing: a baseline's or a scorer's are its numbers."""
    return judge.startswith(("baseline/", "exact@"))


def _place(verdict: Verdict) -> Place:
    return verdict.suite, verdict.item, verdict.turn, verdict.dimension, tuple(verdict.shown)
