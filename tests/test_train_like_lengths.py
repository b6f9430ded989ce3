"""Rows of like length share a batch, and the order of batches tells nothing of their length."""

from __future__ import annotations

import itertools
import random

from judgebench.train.like_lengths import LikeLengths


def batches(sampler: LikeLengths) -> list[list[int]]:
    rows = list(sampler)
    return [rows[at : at + sampler.batch_size] for at in range(0, len(rows), sampler.batch_size)]


def padding(sampler: LikeLengths, made: list[list[int]]) -> int:
    return sum(max(sampler.lengths[row] for row in batch) - sampler.lengths[row] for batch in made for row in batch)


def lengths(count: int) -> list[int]:
    draw = random.Random(1)
    return [draw.randint(10, 300) for _ in range(count)]


def test_every_row_is_read_once_and_a_batch_that_is_not_full_comes_last() -> None:
    sampler = LikeLengths(lengths(1_003), 8, 1)
    assert len(sampler) == 1_003
    assert sorted(sampler) == list(range(1_003))
    assert [len(batch) for batch in batches(sampler)] == [8] * 125 + [3]


def test_batches_hold_little_padding_and_come_in_no_order_of_length() -> None:
    sampler = LikeLengths(lengths(1_600), 8, 1)
    made = batches(sampler)
    plain = list(range(1_600))
    assert padding(sampler, made) < padding(sampler, [plain[at : at + 8] for at in range(0, 1_600, 8)]) / 10
    longest = [max(sampler.lengths[row] for row in batch) for batch in made]
    falls = sum(one > two for one, two in itertools.pairwise(longest))
    assert 70 < falls < 130  # of 199; in the order of length all of them but three


def test_an_epoch_has_an_order_of_its_own_and_the_same_when_it_is_resumed() -> None:
    first, again = LikeLengths(lengths(400), 8, 1), LikeLengths(lengths(400), 8, 1)
    orders = []
    for epoch in (0, 1):
        first.set_epoch(epoch)
        orders.append(list(first))
    again.set_epoch(1)
    assert orders[0] != orders[1]
    assert list(again) == orders[1]
    assert list(LikeLengths(lengths(400), 8, 2)) != orders[0]


def test_no_rows_have_no_order() -> None:
    assert list(LikeLengths([], 8, 1)) == []
