"""The errors JudgeBench raises on purpose.

    JudgeBenchError                 exit code
    ├── UserError                   2    one line that names what is wrong, what was found and what is allowed
    │   ├── FileError               2    ... in a file the user wrote: path, line, key
    │   ├── MissingPackage          2    an optional package is not installed; says which extra brings it
    │   ├── BackendError            2    a backend cannot start or refuses every call (key, address, model name)
    │   └── RunConflict             2    what is on disk was made with other settings
    ├── TooManyUnscored             3    the run ended, but more than --max-unscored of a judge's verdicts are missing
    ├── AuditFailed                 5    the audit ended, and an attack on the judge was not shown to be withstood
    ├── BudgetReached               4    a limit of the user's is reached; with a higher one the same command goes on
    └── Unreadable                  -    a reply or an answer holds no verdict; never ends a run

Anything else that reaches the command line is a bug and keeps its traceback (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class JudgeBenchError(Exception):
    """Root of every error raised on purpose; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UserError(JudgeBenchError):
    """Something the user can mend; the message is one line and needs no traceback."""

    exit_code = 2


class FileError(UserError):
    """A mistake in a file the user wrote.

    Args:
        path: the file.
        message: what was found and what is allowed.
        line: 1-based line, 0 where no line can be named.
        key: dotted key inside the file, empty where none applies.
    """

    def __init__(self, path: object, message: str, *, line: int = 0, key: str = "") -> None:
        self.path, self.line, self.key = str(path), line, key
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{place}: {key}: {message}" if key else f"{place}: {message}")


class MissingPackage(UserError):
    """An optional package is not installed.

    Args:
        package: the name that failed to import.
        extra: the extra of this project that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}: pip install 'judgebench[{extra}]'")


class BackendError(UserError):
    """A backend cannot start, or refuses every call: wrong key, wrong address, unknown model."""


class RunConflict(UserError):
    """What is on disk in a run was made with settings other than those asked for now."""


class TooManyUnscored(JudgeBenchError):
    """The share of verdicts without a score is above ``--max-unscored``."""

    exit_code = 3


class BudgetReached(JudgeBenchError):
    """A limit set by the user was reached; what was done is kept, and with a higher limit the same command goes on."""

    exit_code = 4


class AuditFailed(JudgeBenchError):
    """An attack on a judge was not shown to stay below the gate."""

    exit_code = 5


class Unreadable(JudgeBenchError):
    """A reply holds no well-formed verdict; the message is the reason that is counted."""


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """The tail of an error message: a suggestion where one name is close, then all that is allowed.

    >>> did_you_mean("questoin", ["question", "answer"])
    "did you mean 'question'? Allowed: answer, question"
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(found, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Allowed: {', '.join(names)}"
