"""Fills the {holes} of a prompt, once: a brace inside a value never opens another."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from judgebench.errors import UserError, did_you_mean

_HOLE = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with each ``{name}`` replaced by its value, in a single pass.

    Only an identifier in braces is a hole; ``{{name}}`` stands for the text ``{name}``; all other braces stay as they
    are, so JSON in a prompt needs no escaping.

    Raises:
        UserError: a hole has no value.

    >>> fill('{answer} {"score": 1} {{answer}}', {"answer": "{question}"})
    '{question} {"score": 1} {answer}'
    """

    def put(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped is not None:
            return "{" + str(escaped) + "}"
        if name not in values:
            raise UserError(unknown_hole(name, values))
        return values[name]

    return _HOLE.sub(put, template)


def holes(template: str) -> list[tuple[str, int]]:
    """(name, offset of its brace) of each hole in order; a name may come several times.

    >>> holes("Q: {question} {{not}} {}")
    [('question', 3)]
    """
    return [(match[2], match.start()) for match in _HOLE.finditer(template) if match[2] is not None]


@functools.lru_cache(maxsize=256)
def hole_names(template: str) -> frozenset[str]:
    """The names of all holes; a template is asked for each of thousands of prompts."""
    return frozenset(name for name, _ in holes(template))


def unknown_hole(name: str, allowed: Iterable[str]) -> str:
    """The message for a hole that nothing fills, with a suggestion and how to write a literal brace."""
    return f"unknown hole {{{name}}}: {did_you_mean(name, allowed)}; for the text itself write {{{{{name}}}}}"
