r"""Mathematics as the answer (MATH): equal as expressions, as the ``math-verify`` package reads and compares them."""

from __future__ import annotations

import importlib.util
import json
import re
import selectors
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from judgebench.errors import MissingPackage, Unreadable, UserError
from judgebench.scorers.blanks import blanks, filled, stated_line
from judgebench.scorers.extraction import read_exact, visible
from judgebench.types import Answer, Item, Reading

_INSIDE = Path(__file__).with_name("math_inside.py")
_START = 300.0
"""Seconds in which the comparing process must come up, on however slow a machine."""
_BRACES = re.compile(r"\\\\|\\[{}]|(?P<box>\\(?:boxed|fbox)\s*)?\{|\}")
"""Braces with what they open; escaped ones, which open nothing, are matched to be passed over."""


class MathScorer:
    r"""Right where what the reply states equals the reference as mathematics.

    The last ``\boxed{}`` counts, as with the authors of MATH; where there is none, the last expression stated, as
    math-verify finds it. Equality (numbers, expressions, sets, intervals, matrices, equations) is math-verify's. It
    runs in a process of its own that is started once: an expression that needs more than ``seconds`` of CPU or 4 GiB
    ends that process alone, and scores 0 as unextracted. A reference of several blanks (``$5$;$10$``) wants each of
    them, in that order (`judgebench.scorers.blanks`).

    Args:
        boxed: read nothing but what stands in a ``\boxed{}`` or ``\fbox{}``.
        seconds: CPU seconds for one comparison.

    Raises:
        MissingPackage: math-verify is not installed.
    """

    name = "math"
    workers = 1

    def __init__(self, boxed: bool = False, seconds: float = 10.0) -> None:
        if not seconds > 0:
            raise UserError(f"seconds is {seconds}; allowed: more than 0")
        if importlib.util.find_spec("math_verify") is None:
            raise MissingPackage("math_verify", "math")
        self.boxed, self.seconds = boxed, seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def score(self, item: Item, answer: Answer) -> dict[str, Reading]:
        """``accuracy`` → 1 where the two are equal; ``accuracy_strict`` the same of what is boxed alone."""
        equal: list[bool] = []

        def extract(reply: str) -> str:
            box = last_boxed(reply)
            if self.boxed and not box:
                raise Unreadable("nothing is boxed")
            reference = last_boxed(item.reference[-1]) or item.reference[-1]
            wanted = blanks(reference)
            if len(wanted) > 1:
                read, same = self._each(wanted, filled(reply, len(wanted)))
            else:
                bare = "" if box else stated_line(reply)
                read, same = self.compare(reference, box or (formula(bare) if bare else reply))
            equal.append(same)
            return read

        (reading,) = read_exact(item, answer, extract, lambda _: equal[-1]).values()
        unboxed = not reading.error and not last_boxed(visible(answer))
        strict = Reading(scores=(0.0,), error="unextracted: nothing is boxed") if unboxed else reading
        return {"accuracy": reading, "accuracy_strict": strict}

    def compare(self, reference: str, reply: str) -> tuple[str, bool]:
        """What was read of a reply, and whether it equals the reference.

        Raises:
            Unreadable: the reply holds no mathematics, or comparing it took more than it may.
        """
        with self._lock:
            process = self._process or self._start()
            found = _asked(process, [reference, reply, self.seconds], max(60.0, 20 * self.seconds))
            if found is None:
                self._end()
                raise Unreadable(f"comparing took more than {self.seconds:g} s or 4 GiB")
        read, same = found
        if not read:
            raise Unreadable("no mathematics")
        return str(read), bool(same)

    def _each(self, wanted: list[str], given: list[str]) -> tuple[str, bool]:
        found = [self.compare(one, formula(other)) for one, other in zip(wanted, given, strict=True)]
        return "; ".join(read for read, _ in found), all(same for _, same in found)

    def close(self) -> None:
        """Ends the comparing process; safe to call twice."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        self._end()

    def _start(self) -> subprocess.Popen[str]:
        # -P: this folder holds a math.py, which must not stand before the standard library's.
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", str(_INSIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        if _answered(process, _START) is None:
            self._end()
            raise RuntimeError(f"the process that compares mathematics did not start: {sys.executable} -P {_INSIDE}")
        return process

    def _end(self) -> None:
        process, self._process = getattr(self, "_process", None), None
        if process is not None:
            process.kill()
            process.communicate()


def last_boxed(text: str) -> str:
    r"""The last ``\boxed{...}`` of a text whose braces close, written so, or an empty text.

    >>> last_boxed(r"\boxed{1}, no, \fbox{\frac{1}{2}} of {all}")
    '\\boxed{\\frac{1}{2}}'
    """
    opened: list[int] = []
    last = (-1, -1)
    for match in _BRACES.finditer(text):
        if match[0].startswith("\\") and not match["box"]:
            continue
        if match[0].endswith("{"):
            opened.append(match.end() if match["box"] else -1)
        elif match[0] == "}" and opened and (start := opened.pop()) > last[0]:
            last = start, match.start()
    return f"\\boxed{{{text[last[0] : last[1]]}}}" if last[0] >= 0 else ""


def formula(text: str) -> str:
    r"""One blank's content as the library reads one: between dollars as it is, else in a box.

    >>> formula("$\\frac12$"), formula("0.5")
    ('$\\frac12$', '\\boxed{0.5}')
    """
    return text if re.search(r"(?<!\\)\$", text) else f"\\boxed{{{text}}}"


def _asked(process: subprocess.Popen[str], request: list[Any], seconds: float) -> list[Any] | None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    return _answered(process, seconds)


def _answered(process: subprocess.Popen[str], seconds: float) -> list[Any] | None:
    """The next line that the process says; None where it ended or took too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(seconds):
            return None
    line = process.stdout.readline()
    return json.loads(line) if line.endswith("\n") else None
