"""The order of rows in which those of like length share a batch, and batches come in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

BATCHES = 50
"""Batches among whose rows like lengths are sought: enough to save padding, few enough to leave the rest to chance."""


class LikeLengths:
    """A sampler: rows of like length stand together, and the batches that they make are shuffled.

    The trainers' own way of grouping takes the longest rows of every 50 batches first and the shortest last; where
    length tells one kind of row from another, kinds are then learned in turns, and forgotten.

    Args:
        lengths: tokens of each row.
        batch_size: rows in a batch, at least 1.
        seed: of the order; each epoch has another one, and the same at every resumption.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Takes the order of an epoch, counted from 0; the trainer's data loader calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self.seed} {self.epoch}")
        rows = list(range(len(self.lengths)))
        draw.shuffle(rows)
        batches: list[list[int]] = []
        size = self.batch_size * BATCHES
        for start in range(0, len(rows), size):
            ordered = sorted(rows[start : start + size], key=self.lengths.__getitem__, reverse=True)
            batches += [ordered[at : at + self.batch_size] for at in range(0, len(ordered), self.batch_size)]
        last = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        draw.shuffle(batches)
        for batch in batches + last:
            yield from batch
