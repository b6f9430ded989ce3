r"""Blanks to fill (AGIEval's cloze): what stands in each, of one or several, in a reference and in a reply."""

from __future__ import annotations

import re
from itertools import pairwise

from judgebench.errors import Unreadable

_TOKEN = re.compile(r"\\(?:left|right)?[()\[\]{}|.]|\\.|[$()\[\]{};；]", re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_LOOSE = re.compile(r"[,，、]|\s(?:and|和|与|及)\s|和|与")
_CUE = re.compile(r"(?s)\A.*(?:答案\s*(?:是|为|：|:)+|\banswers?\b[^.\n;；$]{0,40}?(?:\bis\b|\bare\b|:))")


def blanks(text: str) -> list[str]:
    r"""What stands between the semicolons of a text, those inside brackets and formulas left alone.

    >>> blanks("$5$;$10$"), blanks("(1; 2)"), blanks("1；\\frac{8}{9}")
    (['$5$', '$10$'], ['(1; 2)'], ['1', '\\frac{8}{9}'])
    """
    depth, formula, cuts = 0, False, [-1]
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "$":
            formula = not formula
        elif token in ("(", "[", "{"):
            depth += 1
        elif token in (")", "]", "}"):
            depth = max(0, depth - 1)
        elif token in (";", "；") and not depth and not formula:
            cuts.append(match.start())
    parts = [text[start + 1 : end].strip() for start, end in pairwise([*cuts, len(text)])]
    return [part for part in parts if part]


def filled(reply: str, count: int) -> list[str]:
    r"""What a reply puts into that many blanks, in their order.

    Read in this order: as many boxes as there are blanks; the last box, or else the last line that does, cut at
    semicolons; the same cut at commas and "and"; the last formulas between dollars.

    Args:
        reply: the model's words, reasoning taken off.
        count: blanks there are; two or more.

    Raises:
        Unreadable: nothing gives that many.

    >>> filled("The answers are 5; $10$.", 2)
    ['5', '$10$']
    """
    boxes = boxed(reply)
    if len(boxes) >= count and len(blanks(boxes[-1])) == 1:
        return boxes[-count:]
    lines = [_CUE.sub("", line).strip(" \t*。.") for line in reply.splitlines()]
    lines = [line for line in lines if line]
    places = [_bare(boxes[-1])] if boxes else [*reversed(lines)]
    for place in places:
        if len(found := blanks(place)) == count:
            return found
    for place in places[:1]:
        if len(found := [each.strip() for each in _LOOSE.split(place) if each.strip()]) == count:
            return found
    formulas = re.findall(r"(?<!\\)\$[^$\n]+(?<!\\)\$", places[0]) if places else []
    if len(formulas) >= count:
        return list(formulas[-count:])
    raise Unreadable(f"no {count} answers stated")


def stated_line(reply: str) -> str:
    r"""The last line of a reply after ``answer is`` or ``答案是``, where it is bare mathematics without dollars; else
    nothing, as the reply is then better read whole.

    >>> stated_line("所以答案是2。"), stated_line("\\frac{1}{2}"), stated_line("so $x$ it is"), stated_line("5 apples")
    ('2', '\\frac{1}{2}', '', '')
    """
    lines = [line for line in reply.splitlines() if line.strip()]
    line = _CUE.sub("", lines[-1]).strip(" \t*。.") if lines else ""
    words = re.search(r"[^\W\d_]{2,}|[\u3000-\u9fff]", re.sub(r"\\[a-zA-Z]+", " ", line))
    marked = re.search(r"\$|\\[(\[]|\\boxed|\\fbox", line)
    return "" if words or marked else line


def boxed(text: str) -> list[str]:
    r"""Contents of the boxes of a text whose braces close, in order; of nested ones the outer.

    >>> boxed(r"\boxed{1} and \boxed{\frac{1}{2}}")
    ['1', '\\frac{1}{2}']
    """
    found, position = [], 0
    while match := _BOX.search(text, position):
        depth, end = 1, match.end()
        for token in re.finditer(r"\\.|[{}]", text[end:], re.DOTALL):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if not depth:
                found.append(text[end : end + token.start()])
                end += token.end()
                break
        position = end
    return found


def _bare(text: str) -> str:
    return re.sub(r"\\[;!,]", " ", text)
