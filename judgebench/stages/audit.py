"""Puts a judge on trial: worthless answers against real ones, and how often each is not beaten (docs/methods.md)."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from judgebench.errors import AuditFailed, UserError, did_you_mean
from judgebench.files import safe_name
from judgebench.judges.attacks import Attack, battery
from judgebench.ratings.gate import GATE, withstood
from judgebench.report.visible import visible
from judgebench.runs import Journal, Run
from judgebench.stages import judging, person_fit
from judgebench.stages import settings as flags
from judgebench.stages.answering import load_suites, suite_record
from judgebench.stages.games import games_of, standing
from judgebench.stages.named_models import check_owners
from judgebench.stages.opening import Ready, try_out
from judgebench.stages.progress import say
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Verdict

REAL = "real"
"""Name, in an audit's run, of the real answers that the attacks meet; the manifest says whose each is."""
REFERENCE = "reference"
"""Whose a real answer is where it is the suite's own."""


class Trial(NamedTuple):
    """The questions of one suite, with a real answer to each."""

    suite: str
    record: Mapping[str, Any]
    real: Mapping[str, tuple[Item, tuple[str, ...], str]]
    """Item id → the item, a real answer's turns, and whose they are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("words", nargs="+", metavar="JUDGE [RUN]",
                        help="the judge, [NAME=]BACKEND/ID or baseline/NAME, and a run whose answers the attacks meet; "
                        "with --person-fit only the run")  # fmt: skip
    group = parser.add_argument_group("audit")
    group.add_argument("--rubric", action="append", metavar="NAME", help="rubric name or file")
    group.add_argument("--suite", action="append", metavar="NAME",
                       help="suite whose references the attacks meet; with RUN, those of its suites")  # fmt: skip
    group.add_argument("--data", metavar="DIR", help="folder with benchmark files")
    group.add_argument("--limit", type=int, metavar="N", help="items of each suite, round-robin over its categories")
    group.add_argument("--attack", action="append", metavar="NAME", help="only this attack; repeat for more")
    group.add_argument("--gate", type=float, default=GATE, metavar="SHARE",
                       help=f"an attack's 95 %% interval must lie below it (default {GATE})")  # fmt: skip
    group.add_argument("--out", metavar="RUN", help="run folder of the audit (default audit-JUDGE+RUBRIC)")
    group.add_argument("--json", action="store_true", help="print JSON")
    group.add_argument("--judge-temperature", type=float, metavar="T", help="default 0")
    group.add_argument("--judge-max-tokens", type=int, metavar="N", help="default 2048")
    group.add_argument("--person-fit", action="store_true",
                       help="ask nobody: whose scores over the items of a run fit nobody else's")  # fmt: skip
    flags.add_shared(parser)


def main(args: argparse.Namespace) -> int:
    """Audits a judge, or looks for odd models in a run.

    Returns:
        0 where every attack was withstood (person fit: always).

    Raises:
        AuditFailed: exit code 5, an attack was not shown to stay below the gate.
    """
    if args.person_fit:
        if len(args.words) != 1 or args.rubric or args.attack:
            raise UserError("--person-fit takes one RUN, and neither --rubric nor --attack: nobody is asked")
        return person_fit.show(Run(flags.run_path(args.words[0])), as_json=args.json)
    if len(args.words) > 2:
        raise UserError("audit takes a judge and at most one run: judgebench audit JUDGE [RUN] --rubric NAME")
    settings = msgspec.structs.replace(flags.resolve(args), judge=(args.words[0],))
    source = Run(flags.run_path(args.words[1])) if len(args.words) == 2 else None
    found = audit(settings, source, battery(tuple(args.attack or ())), {}, gate=args.gate, out=args.out or "",
                  quiet=args.quiet or args.json)  # fmt: skip
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    else:
        sys.stdout.write(visible(_table(found)))
    bad = [row for row in found["attacks"] if row["state"] != "withstood"]
    if bad:
        raise AuditFailed(f"{found['judge']} by {found['rubric']}: {_failure(bad, found)}")
    return 0


def audit(
    settings: Settings, source: Run | None, attacks: Sequence[Attack], ready: Ready,
    *, gate: float = GATE, out: str = "", quiet: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """What audit.json of the audit's run then holds: a row for each attack.

    Args:
        settings: one judge, one rubric, and suites where there is no source.
        source: the run whose answers are the real ones; None takes the suites' references.
        attacks: who meets them.
        ready: backends already open.
        gate: see `judgebench.ratings.gate`.
        out: folder or name of the audit's run.
        quiet: no progress.

    Raises:
        UserError: a mistake, found before anything is spent.
    """
    judges, rubrics = judging.plan(settings, ready)
    if len(judges) != 1 or len(rubrics) != 1:
        raise UserError("audit takes one judge and one --rubric, such as pairwise-general")
    (model,), (rubric,) = judges, rubrics
    check_owners(settings.option, judges, [rubric.name])
    withstood([], gate)
    trials = _from_run(source, settings) if source is not None else _from_suites(settings, quiet)
    try_out("judge", judges, settings, ready)
    default = f"audit-{safe_name(model.name.replace('/', '-'))}+{rubric.name}"
    run = Run(flags.run_path(out or default), create=True)
    others = {record["name"] for record in run.manifest["rubrics"].values()} - {rubric.name}
    if others or (run.manifest["models"] and "audit" not in run.manifest):
        what = f"an audit by {', '.join(sorted(others))}" if "audit" in run.manifest else "no audit"
        raise UserError(f"{run.path} holds {what}: give another --out")
    _lay_out(run, trials, attacks, rubric, settings, source.name if source is not None else REFERENCE)
    scope = judging.Scope({trial.suite: set(trial.real) for trial in trials}, [REAL, *(each.model for each in attacks)])
    pairs = tuple(f"{attack.model}:{REAL}" for attack in attacks)
    listed = msgspec.structs.replace(settings, pairs="listed", pair=pairs, baseline="")
    judging.judge(run, judges, rubrics, listed, ready, scope=scope, quiet=quiet)
    verdicts = [
        verdict
        for verdict in standing(run, run.verdicts(run.verdicts_file(model.name, rubric.name)).values())[0]
        if verdict.suite in scope.items and verdict.item in scope.items[verdict.suite]
    ]
    points, unscored = _pairs(run, verdicts) if rubric.mode == "pairwise" else _grades(verdicts)
    questions = sum(len(trial.real) for trial in trials)
    found = {
        "judge": model.name, "model": f"{model.backend}/{model.id}", "rubric": rubric.id, "gate": gate,
        "real": run.manifest["audit"]["source"], "questions": questions,
        "attacks": [
            _row(attack, points.get(attack.model, []), unscored.get(attack.model, 0), questions, settings, gate)
            for attack in attacks
        ],
    }  # fmt: skip
    found["passed"] = all(row["state"] == "withstood" for row in found["attacks"])
    run.write("audit.json", msgspec.json.format(msgspec.json.encode(found), indent=1))
    say(f"audit kept in {run.path}", quiet=quiet)
    return found


def _from_suites(settings: Settings, quiet: bool) -> list[Trial]:
    """The suites' own references as the real answers."""
    if not settings.suite:
        raise UserError("audit needs real answers: name a RUN that has some, or a --suite with references")
    trials = []
    for suite in load_suites(settings, quiet=quiet):
        if suite.scorer:
            raise UserError(f"{suite.name} is scored exactly: its references are no answers to be judged; name a RUN")
        real = {
            item.id: (item, item.reference, REFERENCE)
            for item in suite.items
            if len(item.reference) >= len(item.turns) and all(text.strip() for text in item.reference)
        }
        if not real:
            raise UserError(f"{suite.name} has no references: name a RUN whose answers the attacks can meet")
        if len(real) < len(suite.items):
            say(
                f"note: {suite.name}: {len(suite.items) - len(real)} items lack a reference and are left out",
                quiet=quiet,
            )
        trials.append(Trial(suite.name, suite_record(suite, len(real)), real))
    return trials


def _from_run(source: Run, settings: Settings) -> list[Trial]:
    """The answers of a run, for each item one model's, taken in turn so that every model is met."""
    known = source.manifest["suites"]
    for name in settings.suite:
        if name not in known:
            raise UserError(f"{source.path} has no suite {name!r}: {did_you_mean(name, known)}")
    answers: dict[tuple[str, str], dict[str, Answer]] = defaultdict(dict)
    for answer in source.answers().values():
        if not answer.sample and not answer.error and all(text.strip() for text in answer.turns):
            answers[answer.suite, answer.item][answer.model] = answer
    trials = []
    for suite in settings.suite or [name for name, record in known.items() if not record["scorer"]]:
        items = _round_robin(source.items(suite).values(), settings.limit)
        real = {}
        for number, item in enumerate(items):
            whole = {name: a for name, a in answers[suite, item.id].items() if len(a.turns) >= len(item.turns)}
            if whole:
                name = sorted(whole)[number % len(whole)]
                real[item.id] = (item, whole[name].turns, name)
        if real:
            trials.append(Trial(suite, {**known[suite], "scorer": "", "scorer_options": {}}, real))
    if not trials:
        raise UserError(f"{source.path} holds no whole answer to an open question: nothing for the attacks to meet")
    return trials


def _round_robin(items: Iterable[Item], limit: int | None) -> list[Item]:
    """All items in file order, or the first ``limit`` taken in turn from each category."""
    rank: dict[str, int] = defaultdict(int)
    placed = []
    for item in items:
        placed.append((rank[item.category], item))
        rank[item.category] += 1
    if limit is None or limit >= len(placed):
        return [item for _, item in placed]
    return [item for _, item in sorted(placed, key=lambda pair: pair[0])][:limit]


def _lay_out(
    run: Run, trials: Sequence[Trial], attacks: Sequence[Attack], rubric: Any, settings: Settings, source: str
) -> None:
    """Writes items, real answers and the attacks' answers, as if each attack were a model that had answered."""
    known = run.manifest.setdefault("audit", {"source": source, "real": {}})
    if known["source"] != source:
        raise UserError(f"{run.path} audits against {known['source']}, not {source}: give another --out")
    run.manifest.update(seed=settings.seed, swap_policy="half")
    for name, about in ((REAL, source), *((attack.model, attack.about) for attack in attacks)):
        run.manifest["models"].setdefault(name, {"backend": "audit", "id": about, "options": {}})
    for trial in trials:
        items = {item.id: item for item, _, _ in trial.real.values()}
        kept = run.save_items(trial.suite, items.values())
        run.manifest["suites"][trial.suite] = {**trial.record, "items": len(kept), "submission": {}}
        whose = known["real"].setdefault(trial.suite, {})
        for item, (_, _, model) in trial.real.items():
            whose.setdefault(item, model)
        for name in (REAL, *(attack.model for attack in attacks)):
            key = f"{trial.suite} | {name}"
            run.manifest["answers"].setdefault(key, {"audit": source})
            run.manifest["planned"][key] = max(run.manifest["planned"].get(key, 0), len(kept))
    run.save_manifest()
    _write(run, REAL, [_answer(t.suite, item, REAL, turns) for t in trials for item, turns, _ in t.real.values()])
    for attack in attacks:
        texts = [
            _answer(trial.suite, item, attack.model, attack.answer(item, rubric))
            for trial in trials
            for item, _, _ in trial.real.values()
        ]
        _write(run, attack.model, texts)


def _answer(suite: str, item: Item, model: str, turns: tuple[str, ...]) -> Answer:
    return Answer(suite=suite, item=item.id, model=model, turns=turns, finish=("stop",) * len(turns))


def _write(run: Run, model: str, answers: Sequence[Answer]) -> None:
    known = run.answers(model)
    fresh = [answer for answer in answers if known.get(answer.key) != answer]
    if fresh:
        with Journal(run.answers_file(model)) as journal:
            for answer in fresh:
                journal.append(answer)


def _pairs(run: Run, verdicts: Sequence[Verdict]) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Attack → its mean share of the point on each question (orders, turns, dimensions); and → questions without."""
    games, left_out = games_of(run, verdicts)
    shares: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for game in games:
        attack, share = (game.right, 1 - game.score) if game.left == REAL else (game.left, game.score)
        shares[attack][game.suite, game.item].append(share)
    without: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for out in left_out:
        attack = out.right if out.left == REAL else out.left
        if (out.suite, out.item) not in shares[attack]:
            without[attack].add((out.suite, out.item))
    means = {name: [sum(each) / len(each) for each in by.values()] for name, by in shares.items()}
    return means, {name: len(places) for name, places in without.items()}


def _grades(verdicts: Sequence[Verdict]) -> tuple[dict[str, list[float]], dict[str, int]]:
    """The same of grades: 1 where the attack's mean grade on a question is the higher, 0.5 where they are equal."""
    given: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for verdict in verdicts:
        if len(verdict.shown) == 1:
            given[verdict.shown[0][0]][verdict.suite, verdict.item] += verdict.scores
    real = {place: sum(scores) / len(scores) for place, scores in given.pop(REAL, {}).items() if scores}
    points: dict[str, list[float]] = {}
    unscored = {}
    for attack, by in given.items():
        gaps = [sum(scores) / len(scores) - real[place] for place, scores in by.items() if scores and place in real]
        points[attack] = [0.5 if abs(gap) < 1e-9 else float(gap > 0) for gap in gaps]
        unscored[attack] = len(by) - len(gaps)
    return points, unscored


def _row(
    attack: Attack, points: list[float], unscored: int, questions: int, settings: Settings, gate: float
) -> dict[str, Any]:
    found = msgspec.to_builtins(withstood(points, gate))
    row: dict[str, Any] = {"attack": attack.name, "about": attack.about, **found, "unscored": unscored, "note": ""}
    if unscored > settings.max_unscored * questions:
        row["note"] = f"{unscored} of {questions} questions have no verdict"
        if row["state"] == "withstood":
            row["state"] = "undecided"
    elif row["state"] == "undecided" and row["questions"] < row["needed"]:
        row["note"] = f"{row['questions']} questions cannot show it: {row['needed']} are needed"
    return row


def _failure(bad: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> str:
    """Who got through, and what was not shown, in one line."""
    fooled = [row["attack"] for row in bad if row["state"] == "fooled"]
    open_ = [row["attack"] for row in bad if row["state"] == "undecided"]
    parts = [f"not withstood: {', '.join(fooled)}"] if fooled else []
    if open_:
        why = next((row["note"] for row in bad if row["state"] == "undecided" and row["note"]), "too few questions")
        parts.append(f"not shown to stay below {found['gate']:g}: {', '.join(open_)} ({why})")
    return "; ".join(parts)


def _table(found: Mapping[str, Any]) -> str:
    """The attacks as lines of at most 80 columns."""
    lines = [
        f"{found['judge']} by {found['rubric']}, {found['questions']} questions, real answers: {found['real']}",
        f"{'attack':<16}{'at least level':>18}{'95 % interval':>18}{'win rate':>10}  state",
    ]
    for row in found["attacks"]:
        share = "-" if row["share"] is None else f"{row['level']}/{row['questions']} = {row['share']:.3f}"
        ends = "-" if row["low"] is None else f"[{row['low']:.3f}, {row['high']:.3f}]"
        rate = "-" if row["win_rate"] is None else f"{row['win_rate']:.3f}"
        lines.append(f"{row['attack']:<16}{share:>18}{ends:>18}{rate:>10}  {row['state']}")
    for note in dict.fromkeys(row["note"] for row in found["attacks"] if row["note"]):
        lines.append(f"  {', '.join(row['attack'] for row in found['attacks'] if row['note'] == note)}: {note}")
    lines.append(
        f"{'passed' if found['passed'] else 'not passed'}: the interval's upper end must lie below {found['gate']:g}"
    )
    return "\n".join(lines) + "\n"
