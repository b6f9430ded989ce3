"""Replies that a data verb was given, kept beside its output until that is written: nothing is paid for twice."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from judgebench.backends.cache import CachedBackend, cached
from judgebench.backends.responses import ResponseCache
from judgebench.stages.opening import Role, identity, loaded_identity, opened
from judgebench.stages.prices import FREE
from judgebench.stages.progress import say
from judgebench.stages.settings import Settings
from judgebench.types import Backend, Model

ENDING = ".replies"
"""After the output's name, while the verb is at work."""


class _AtOnce(ResponseCache):
    """A file of replies in which each is written as soon as it is known."""

    @property
    def due(self) -> bool:
        """Whether anything is not written yet."""
        return bool(self._pending)


@contextlib.contextmanager
def kept_replies(args: argparse.Namespace, role: Role, model: Model, settings: Settings) -> Iterator[Backend]:
    """A backend whose replies are found again by the same command, after a kill too.

    Replies are kept in the response cache where all that decides them is known; else, and with ``--no-cache``, in a
    file beside the output, which goes once that is written.

    Args:
        args: with ``out`` and ``quiet``.
        role: whether it answers or judges.
        model: whose backend it is.
        settings: shared flags.

    Raises:
        UserError: as `judgebench.stages.opening.opened`.
    """
    with opened(role, model, settings, {}, quiet=args.quiet) as (backend, description):
        if isinstance(backend, CachedBackend) or model.backend in FREE:
            yield backend
            return
        decides = {**identity(model, settings), **loaded_identity(description), "role": role, "verb": args.verb}
        own = cached(backend, _AtOnce(_file(args)), model, decides)
        try:
            yield own
        finally:
            own.cache.close()
        if own.hits:
            say(f"note: {model.name}: {own.hits} replies were there from before", quiet=args.quiet)


def forget_replies(args: argparse.Namespace) -> None:
    """Removes the file of replies of an output that was written."""
    _file(args).unlink(missing_ok=True)


def _file(args: argparse.Namespace) -> Path:
    return Path(args.out + ENDING)
