"""Output forms of rubrics: the words that ask for a verdict and the reader of that verdict, in one place.

`ask_for(rubric, dimensions)` fills the hole ``{format}``; `read(rubric, dimensions, reply)` reads what comes back. The
last well-formed verdict wins; a reply without one is `Unreadable`, which is never a bad verdict. Token forms are the
published ones: ``[[A]]``, ``[[B]]``, ``[[C]]`` and ``[[7]]`` (Zheng et al. 2023, MT-Bench), letters for ordinal levels
(Wang et al. 2022, Self-Instruct). The wording is ours.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from judgebench.errors import Unreadable
from judgebench.judges import structured
from judgebench.judges.fences import without_quotations
from judgebench.rubrics import Rubric
from judgebench.thinking import strip_thinking
from judgebench.types import Kind, Reading, Reply

_PAIR = {"A": (1.0, 0.0), "B": (0.0, 1.0), "C": (0.5, 0.5), "TIE": (0.5, 0.5)}
_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_MARKUP = " \t\r\n.*_`\"'"
"""What may stand between a verdict and the end of a reply that was cut off."""

_SIDE_BY_SIDE = re.compile(r"[\W_]{0,12}(?:(?:and|or|und|oder|et|ou|y|o|e|和|或|与|や|か)[\W_]{0,6})?", re.IGNORECASE)
"""What may stand between two verdicts that are given as one."""

NOT_APPLICABLE = "not applicable: the judge says so"
"""The error of a verdict that a judge was allowed to leave out, and did."""


def ask_for(rubric: Rubric, dimensions: tuple[str, ...]) -> str:
    """The instruction that tells the judge in which form to give its verdict.

    Args:
        rubric: whose form it is.
        dimensions: those asked for in this call; several give one line each.
    """
    options, example = _options(rubric)
    if rubric.form == "json":
        return structured.ask_for(rubric, dimensions, options, example)
    first = "First explain your reasoning in a few sentences. Then finish" if rubric.reason_first else "Reply"
    if len(dimensions) == 1:
        line = "Rating: [[x]]" if rubric.mode == "pointwise" else ""
        lead = f"a last line of the form '{line}', with" if line else "a last line that holds only"
        if not rubric.reason_first:
            lead = f"one line of the form '{line}', with" if line else "only"
        return f"{first} with {lead} {options}."
    lines = "\n".join(f"{name}: {example}" for name in dimensions)
    return (
        f"{first} with one line for each of the following, in this form and order:\n{lines}\n"
        f"In each line the brackets hold {options}."
    )


def labels(rubric: Rubric) -> dict[str, tuple[float, ...]]:
    """What a verdict can be → its scores, in the order in which it is offered; empty where verdicts are numbers.

    Labels whose margins are all 1, 0 and -1 share one point. Others score the margin, for the answer that is ahead.
    """
    if rubric.mode == "checklist":
        return {"YES": (1.0,), "NO": (0.0,)}
    if rubric.mode == "ordinal":
        return {letter: (float(level),) for letter, level in ordinal_letters(rubric).items()}
    if rubric.mode == "pointwise":
        return {}
    if not rubric.verdicts:
        return {label: scores for label, scores in _PAIR.items() if label in "AB" or (rubric.ties and label == "C")}
    if weighed(rubric):
        return {name: (max(0.0, each.margin), max(0.0, -each.margin)) for name, each in rubric.verdicts.items()}
    return {name: ((1 + each.margin) / 2, (1 - each.margin) / 2) for name, each in rubric.verdicts.items()}


def weighed(rubric: Rubric) -> bool:
    """True where verdicts say by how much an answer is ahead, beyond win, tie and loss."""
    return any(label.margin not in (-1, 0, 1) for label in rubric.verdicts.values())


def one_of(rubric: Rubric) -> tuple[str, ...]:
    """Every reply that is a verdict and nothing else: what a decoder can be held to."""
    if rubric.mode == "pointwise":
        low, high = rubric.scale
        return tuple(f"Rating: [[{value}]]" for value in range(round(low), round(high) + 1))
    return tuple(label if rubric.mode == "checklist" else f"[[{label}]]" for label in labels(rubric))


def _options(rubric: Rubric) -> tuple[str, str]:
    """What a verdict can be, in words, and one of them as an example."""
    bare = rubric.form == "json"

    def token(label: str) -> str:
        return f'"{label}"' if bare else f"[[{label}]]"

    if rubric.mode == "checklist":
        return "YES or NO", "YES"
    if rubric.mode == "pairwise" and rubric.verdicts:
        told = [f"{token(label)} if {each.means or label}" for label, each in rubric.verdicts.items()]
        return "; ".join(told), token(next(iter(rubric.verdicts)))
    if rubric.mode == "pairwise":
        options = f"{token('A')} if Answer A is better, {token('B')} if Answer B is better"
        tie = f", or {token('C')} if they are equally good"
        return options + (tie if rubric.ties else "; you must choose one of the two"), token("A")
    if rubric.mode == "ordinal":
        letters = ordinal_letters(rubric)
        options = "; ".join(f"{token(letter)} {rubric.levels[level]}" for letter, level in letters.items())
        return options, token(next(iter(letters)))
    low, high = rubric.scale
    options = f"{'' if bare else '[[x]], where x is '}a number from {low:g} to {high:g}"
    if rubric.levels:
        meanings = "; ".join(f"{level} = {meaning}" for level, meaning in sorted(rubric.levels.items()))
        options += f" ({meanings})"
    middle = f"{low + (high - low) // 2:g}"
    return options, middle if bare else f"[[{middle}]]"


def read(rubric: Rubric, dimensions: tuple[str, ...], reply: Reply, shown: Sequence[str] = ()) -> Mapping[str, Reading]:
    """Dimension → reading of one reply; a dimension without a verdict is unscored with its reason, the others stand.

    Args:
        rubric: whose form it is.
        dimensions: those asked for.
        reply: the judge's.
        shown: texts of the answers judged: a verdict that the judge quotes from them is none.
    """
    if reply.error:
        return {name: Reading(error=reply.error, reply=reply.text) for name in dimensions}
    readings = {}
    for name in dimensions:
        found = Reading(reply=reply.text, kind=kind(rubric), scale=scale(rubric))
        try:
            if rubric.form == "json":
                scores = _read_object(rubric, name, dimensions, reply, shown)
            else:
                scores = _read_one(rubric, name if len(dimensions) > 1 else "", reply, shown)
            error = "" if scores else NOT_APPLICABLE
        except Unreadable as unreadable:
            why = "cut off at the token limit" if reply.finish == "length" else str(unreadable)
            scores, error = (), f"unreadable: {'stopped by a content filter' if reply.finish == 'filter' else why}"
        readings[name] = msgspec.structs.replace(found, scores=scores, error=error)
    return readings


def kind(rubric: Rubric) -> Kind:
    """Which kind of scores the rubric gives."""
    return "preference" if rubric.mode == "pairwise" and not _two_scores(rubric) and not weighed(rubric) else "grade"


def scale(rubric: Rubric) -> tuple[float, float]:
    """Lowest and highest score that its verdicts can hold."""
    if kind(rubric) == "preference" or rubric.mode == "checklist":
        return 0.0, 1.0
    if rubric.mode == "ordinal":
        return float(min(rubric.levels)), float(max(rubric.levels))
    if weighed(rubric):
        return 0.0, max(abs(label.margin) for label in rubric.verdicts.values())
    return rubric.scale


def _two_scores(rubric: Rubric) -> bool:
    return "(?P<score_a>" in rubric.pattern


def ordinal_letters(rubric: Rubric) -> dict[str, int]:
    """Letter → level of an ordinal rubric, the best level first."""
    return {chr(ord("A") + i): level for i, level in enumerate(sorted(rubric.levels, reverse=True))}


def _read_object(
    rubric: Rubric, name: str, dimensions: tuple[str, ...], reply: Reply, shown: Sequence[str]
) -> tuple[float, ...]:
    text = strip_thinking(reply.text)
    if not text.strip():
        raise Unreadable("empty reply")
    read = structured.read(without_quotations(text, shown, structured.FLAT), dimensions)
    if name not in read:
        raise Unreadable(f"no verdict on {name}")
    found = read[name]
    try:
        words = str(found)
    except ValueError:  # Python writes out no whole number of more than some thousand digits
        raise Unreadable("a number too long to be a verdict") from None
    if rubric.not_applicable and isinstance(found, str) and found.strip().upper().rstrip(".") in ("N/A", "NA"):
        return ()
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        raise Unreadable(f"verdict {found!r} is none of those allowed")
    if rubric.mode == "pointwise":
        return (_in_scale(words, rubric.scale),)
    return _label(rubric, words)


def _read_one(rubric: Rubric, dimension: str, reply: Reply, shown: Sequence[str]) -> tuple[float, ...]:
    text = strip_thinking(reply.text)
    if not text.strip():
        raise Unreadable("empty reply")
    text = without_quotations(text, shown, re.compile(rubric.pattern) if rubric.pattern else _look(rubric))
    found, end = _last_pattern(rubric, dimension, text) if rubric.pattern else _last_token(rubric, dimension, text)
    if reply.finish == "length" and rubric.reason_first and text[end:].strip(_MARKUP):
        raise Unreadable("cut off at the token limit")  # what was read may be a quotation on the way to the verdict
    if "score_a" in found:
        return _in_scale(found["score_a"], rubric.scale), _in_scale(found["score_b"], rubric.scale)
    if rubric.mode == "pointwise":
        return (_in_scale(found["score"], rubric.scale),)
    return _label(rubric, found["verdict"])


def _label(rubric: Rubric, found: str) -> tuple[float, ...]:
    """The scores of a label; the mirror image of one counts as it, so that ``B<A`` is ``A>B``."""
    known = {_plain(label): scores for label, scores in labels(rubric).items()}
    known.update({_plain(label[::-1].translate(_MIRROR)): scores for label, scores in labels(rubric).items()
                  if {"<", ">", "="} & set(label)})  # fmt: skip
    if rubric.mode == "pairwise" and not rubric.verdicts and rubric.ties:
        known["TIE"] = _PAIR["TIE"]
    word = _plain(found.strip().removeprefix("[[").removesuffix("]]"))
    if word not in known:
        raise Unreadable(f"verdict {found!r} is none of those allowed")
    return known[word]


_MIRROR = str.maketrans("<>", "><")


def _plain(label: str) -> str:
    return "".join(label.split()).upper()


def _body(rubric: Rubric) -> str:
    """What stands between the brackets, as a regular expression."""
    if rubric.mode == "pointwise":
        return _NUMBER
    words = list(labels(rubric))
    if rubric.mode == "pairwise":
        words += ["tie"] if not rubric.verdicts and rubric.ties else []
        words += [word[::-1].translate(_MIRROR) for word in words if {"<", ">", "="} & set(word)]
    spaced = [r"\s{0,3}".join(re.escape(part) for part in re.findall(r"[<>=]+|[^<>=\s]+", word)) for word in words]
    return "|".join(sorted(spaced, key=len, reverse=True))


def _look(rubric: Rubric) -> re.Pattern[str]:
    """Anything that looks like a verdict in this form, with the words that the form puts before it."""
    leads = ["rating", *rubric.dimensions]
    lead = rf"(?:(?:{'|'.join(map(re.escape, leads))})[\W_]{{0,8}})?"
    return re.compile(rf"{lead}\[\[\s{{0,8}}(?:{_body(rubric)})[^\[\]\n]{{0,12}}\]\]", re.IGNORECASE)


def _last_token(rubric: Rubric, dimension: str, text: str) -> tuple[dict[str, str], int]:
    """The last verdict token and where it ends; with a dimension, of the lines that begin with its name."""
    body = _body(rubric)
    top = rf"(?:\s*/\s*{rubric.scale[1]:g})?" if rubric.mode == "pointwise" else ""
    tokens = [rf"\[\[\s{{0,8}}({body}){top}\s{{0,8}}\]\]"]
    if rubric.mode == "checklist":
        alone = r"^\W{0,8}(?:(?:final )?answer\W{0,6})?(YES|NO)\b"
        alone = rf"{alone}\W{{0,8}}$" if rubric.reason_first else rf"\A{alone.removeprefix('^')}"
        tokens = [tokens[0], alone]
    if dimension:
        lead = rf"^[>*_`#\-\d.\t ]{{0,12}}{re.escape(dimension)}[*_`\t ]{{0,8}}[:=\-–]?[*_`\t ]{{0,8}}"
        tokens = [lead + tokens[0]]
    elif rubric.mode == "pointwise":
        tokens.append(rf"rating\W{{0,6}}\[\s{{0,8}}({_NUMBER})\s{{0,8}}\]")
    for token in tokens:
        matches = deque(re.finditer(token, text, flags=re.IGNORECASE | re.MULTILINE), maxlen=2)
        if len(matches) == 2 and _plain(matches[0][1]) != _plain(matches[1][1]) and _SIDE_BY_SIDE.fullmatch(
            text, matches[0].end(), matches[1].start()
        ):  # fmt: skip
            raise Unreadable("two verdicts side by side that contradict each other")
        if matches:
            return {"score" if rubric.mode == "pointwise" else "verdict": matches[-1][1]}, matches[-1].end()
    raise Unreadable("no verdict" + (f" on {dimension}" if dimension else ""))


def _last_pattern(rubric: Rubric, dimension: str, text: str) -> tuple[dict[str, str], int]:
    """The groups of the pattern's last match that holds what the mode needs, and where it ends."""
    forms = [{"score"}] if rubric.mode == "pointwise" else [{"verdict"}]
    if rubric.mode == "pairwise":
        forms.append({"score_a", "score_b"})
    last: tuple[dict[str, str], int] | None = None
    for match in re.finditer(rubric.pattern, text):
        groups = {name: value for name, value in match.groupdict().items() if value is not None}
        mine = not dimension or groups.get("dimension", "").strip().lower() == dimension.lower()
        if mine and any(form <= set(groups) for form in forms):
            last = groups, match.end()
    if last is None:
        raise Unreadable("no verdict" + (f" on {dimension}" if dimension else ""))
    return last


def _in_scale(text: str, scale: tuple[float, float]) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Unreadable(f"{text!r} is no number") from None
    if not scale[0] <= value <= scale[1]:
        raise Unreadable(f"out of scale: {text.strip()} is not in {scale[0]:g} to {scale[1]:g}")
    return value
