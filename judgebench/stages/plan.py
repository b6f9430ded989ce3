"""Plans a comparison before anything is spent: what it can show, and its calls, tokens and price."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from judgebench.errors import UserError
from judgebench.judges.matchups import calls as calls_of
from judgebench.ratings.power import PRIORS, PowerPlan, plan, win_rate_power
from judgebench.report.visible import one_line
from judgebench.rubrics import load_rubric
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.comparisons import compare_pairs
from judgebench.types import Record

CHARACTERS_A_TOKEN = 4
"""Rough size of a token of English text: what is estimated by it is called an estimate."""

FEW = 30
"""Below this many questions a pilot's spread is called rough."""


class Cost(Record, frozen=True, kw_only=True):
    """What is asked of one role."""

    role: str
    """``models`` or ``judge``."""
    calls: int
    """Calls."""
    prompt_tokens: int
    """Tokens read."""
    completion_tokens: int
    """Tokens written."""
    price: float | None
    """In the currency of the prices given; None without them."""
    basis: str
    """Where the tokens a call are from."""


class Planned(Record, frozen=True, kw_only=True):
    """A plan: what it can show on each basis, and what it costs."""

    plans: dict[str, PowerPlan]
    """Basis (a prior's or a pilot's) → what it shows."""
    notes: dict[str, str]
    """Basis → where it is from."""
    exact_power: float | None
    """Power of the exact sign test for the win rate hoped for; None where none was named."""
    costs: tuple[Cost, ...]
    """Calls, tokens and prices."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument(
        "pilot", nargs="?", metavar="RUN", help="a run whose spread and token counts are used (a pilot)"
    )
    group = parser.add_argument_group("what")
    group.add_argument("--items", type=int, metavar="N", help="questions")
    group.add_argument("--suite", action="append", metavar="NAME", help="... or those of suites; repeat, or use commas")
    group.add_argument("--data", default="", metavar="DIR", help="folder with benchmark files")
    group.add_argument("--limit", type=int, metavar="N", help="items of each suite")
    group.add_argument("--prior", choices=sorted(PRIORS), action="append", help="what is known before (default: all)")
    group.add_argument("--difference", type=float, metavar="D", help="the difference hoped for, such as 0.03")
    group.add_argument("--win-rate", type=float, metavar="P", help="the win rate hoped for, such as 0.6")
    group.add_argument("--power", type=float, default=0.8, metavar="P", help="chance to find it (default 0.8)")
    group.add_argument(
        "--alpha", type=float, default=0.05, metavar="P", help="level of all tests together (default 0.05)"
    )
    group = parser.add_argument_group("calls")
    group.add_argument("--models", type=int, default=2, metavar="N", help="models under test (default 2)")
    group.add_argument("--pairs", choices=("all", "baseline"), default="all", help="who meets (default all)")
    group.add_argument("--rubric", metavar="NAME", help="rubric, for its calls a matchup")
    group.add_argument("--orders", choices=("both", "one"), default="both", help="orders of a pair (default both)")
    group.add_argument("--samples", type=int, default=1, metavar="N", help="answers to each item (default 1)")
    group.add_argument("--judge-samples", type=int, default=1, metavar="N", help="verdicts on each matchup (default 1)")
    group.add_argument("--answer-tokens", type=int, metavar="N", help="tokens of an answer (default: pilot's, or 300)")
    group.add_argument("--reply-tokens", type=int, metavar="N", help="tokens of a verdict (default: pilot's, or 200)")
    group.add_argument(
        "--price", type=float, nargs=2, metavar=("IN", "OUT"), help="of a million tokens, models under test"
    )
    group.add_argument("--judge-price", type=float, nargs=2, metavar=("IN", "OUT"), help="of a million tokens, judge")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Prints the plan.

    Returns:
        0; 2 where a difference is hoped for that the questions are too few to show.
    """
    planned = planned_of(args)
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(planned), indent=1).decode() + "\n")
    else:
        sys.stdout.write("".join(one_line(line) + "\n" for line in lines(planned, args.power)))
    short = {name: found for name, found in planned.plans.items() if found.enough is False}
    if short:
        name, found = max(short.items(), key=lambda each: each[1].items_needed or 0)
        raise UserError(
            f"{found.items} questions are too few to say who is better by {found.difference:g}: power "
            f"{found.power:.2f}, and {found.items_needed} are needed ({name})"
        )
    return 0


def planned_of(args: argparse.Namespace) -> Planned:
    """The plan that the flags describe.

    Raises:
        UserError: no questions named, or a flag out of range.
    """
    run = Run(flags.run_path(args.pilot)) if args.pilot else None
    items, asked = _items(args, run)
    if args.difference is not None and args.win_rate is not None:
        raise UserError("name --difference or --win-rate, not both")
    if args.win_rate is not None and not 0 < args.win_rate < 1:
        raise UserError(f"--win-rate {args.win_rate:g}: must lie in (0, 1)")
    for name in ("power", "alpha"):
        if not 0 < getattr(args, name) < 1:
            raise UserError(f"--{name} {getattr(args, name):g}: must lie in (0, 1)")
    for name in ("models", "samples", "judge_samples"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be at least 1")
    difference = args.difference if args.win_rate is None else args.win_rate - 0.5
    if difference == 0:
        raise UserError("no number of questions shows a difference of 0: name the smallest that matters")
    pairs = args.models - 1 if args.pairs == "baseline" else args.models * (args.models - 1) // 2
    bases = _pilot(run) if run is not None else {}
    if args.prior or not bases:
        wanted = args.prior or (["head-to-head"] if args.win_rate is not None else sorted(PRIORS))
        bases |= {name: (PRIORS[name].sd, PRIORS[name].source) for name in wanted}
    plans = {
        name: plan(items, sd, difference=difference, comparisons=max(1, pairs), alpha=args.alpha, power=args.power)
        for name, (sd, _) in bases.items()
    }
    exact = None if args.win_rate is None else win_rate_power(items, args.win_rate, args.alpha / max(1, pairs))[1]
    return Planned(
        plans=plans, notes={name: note for name, (_, note) in bases.items()}, exact_power=exact,
        costs=_costs(args, run, items, asked, pairs),
    )  # fmt: skip


def lines(planned: Planned, power: float) -> list[str]:
    """The plan in words."""
    said = []
    for name, found in planned.plans.items():
        corrected = f", {found.comparisons} comparisons at {found.alpha:.3g} each" if found.comparisons > 1 else ""
        said.append(f"{name} (sd {found.sd:.3f}; {planned.notes[name]})")
        said.append(
            f"  {found.items} questions show a difference of {found.smallest_difference:.3f} or more with power "
            f"{power:g}{corrected}"
        )
        if found.difference is not None:
            said.append(
                f"  a true difference of {found.difference:g} would be found with power {found.power:.2f}; "
                f"{found.items_needed} questions give {power:g}"
            )
    if planned.exact_power is not None:
        said.append(f"exact sign test of a win rate like this: power {planned.exact_power:.2f}")
    for cost in planned.costs:
        price = "no price given" if cost.price is None else f"price {cost.price:,.2f}"
        said.append(
            f"{cost.role}: {cost.calls:,} calls, {cost.prompt_tokens:,} tokens read, "
            f"{cost.completion_tokens:,} written ({cost.basis}), {price}"
        )
    return said


def _items(args: argparse.Namespace, run: Run | None) -> tuple[int, float]:
    """Questions, and the mean characters of what is asked."""
    if args.items is not None and args.suite:
        raise UserError("name --items or --suite, not both")
    if args.items is not None:
        if args.items < 1:
            raise UserError(f"--items {args.items}: must be at least 1")
        return args.items, 0.0
    if args.suite:
        from judgebench.stages.answering import load_suites

        names = tuple(name for text in args.suite for name in text.split(",") if name)
        suites = load_suites(flags.Settings(suite=names, data=args.data, limit=args.limit), quiet=True)
        texts = [sum(map(len, item.turns)) for suite in suites for item in suite.items]
        return len(texts), sum(texts) / max(1, len(texts))
    if run is not None:
        count = sum(len(run.items(suite)) for suite in run.manifest["suites"])
        if count:
            return count, 0.0
    raise UserError("plan needs the number of questions: --items N, --suite NAME, or a pilot RUN that holds items")


def _pilot(run: Run) -> dict[str, tuple[float, str]]:
    """Basis → (sd over questions, where it is from), one for each thing the pilot scored: the pair that varies most."""
    found: dict[str, tuple[float, str]] = {}
    for each in compare_pairs([run], None, allow_unlike=True):
        if each.spread is None or each.judge.startswith("human@"):
            continue
        name = f"pilot: {each.suite}, {each.dimension}, {each.judge}, {each.method}"
        rough = ", rough" if each.clusters < FEW else ""
        note = f"{each.left} and {each.right} on {each.clusters} questions{rough}"
        if name not in found or found[name][0] < each.spread:
            found[name] = (each.spread, note)
    if not found:
        raise UserError(f"{run.path}: no two models vary on shared questions, so it is no pilot; name a --prior")
    return found


def _costs(args: argparse.Namespace, run: Run | None, items: int, asked: float, pairs: int) -> tuple[Cost, ...]:
    """Calls of the models and of the judge."""
    spent = _spent(run) if run is not None else {}
    guess = "an estimate" if asked else "an estimate without the questions' own tokens"
    answers = items * args.models * args.samples
    read, written, basis = spent.get("models", (asked / CHARACTERS_A_TOKEN, 300.0, guess))
    written = written if args.answer_tokens is None else args.answer_tokens
    costs = [_cost("models", answers, (read, written), args.price, basis)]
    matchups = items * args.samples * args.judge_samples
    orders, per = (2 if args.orders == "both" else 1), 1
    prompt = 0.0
    if args.rubric:
        rubric = load_rubric(args.rubric)
        per, prompt = len(calls_of(rubric)), len(rubric.prompt) / CHARACTERS_A_TOKEN
        matchups *= pairs * orders if rubric.mode == "pairwise" else args.models
    else:
        matchups *= pairs * orders
    judge_read, judge_written, judge_basis = spent.get(
        "judge", (prompt + asked / CHARACTERS_A_TOKEN + 2 * written, 200.0, guess)
    )
    judge_written = judge_written if args.reply_tokens is None else args.reply_tokens
    if matchups:
        costs.append(_cost("judge", matchups * per, (judge_read, judge_written), args.judge_price, judge_basis))
    return tuple(costs)


def _cost(role: str, calls: int, tokens: tuple[float, float], price: Sequence[float] | None, basis: str) -> Cost:
    read, written = round(calls * tokens[0]), round(calls * tokens[1])
    total = None if price is None else (read * price[0] + written * price[1]) / 1e6
    return Cost(
        role=role, calls=calls, prompt_tokens=read, completion_tokens=written, price=total, basis=basis
    )  # fmt: skip


def _spent(run: Run) -> dict[str, tuple[float, float, str]]:
    """Role → tokens read and written a call in the pilot."""
    found: dict[str, Any] = {}
    groups = {
        "models": [answer.usage for answer in run.answers().values()],
        "judge": [verdict.usage for verdict in run.verdicts().values()],
    }
    for role, usages in groups.items():
        held = [usage for usage in usages if usage.requests and usage.prompt_tokens]
        requests = sum(usage.requests for usage in held)
        if requests:
            read = sum(usage.prompt_tokens for usage in held) / requests
            written = sum(usage.completion_tokens for usage in held) / requests
            found[role] = (read, written, f"mean of {requests} calls of the pilot")
    return found
