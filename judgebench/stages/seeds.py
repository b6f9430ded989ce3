"""The seed of one draw."""

from __future__ import annotations

import hashlib


def draw_seed(seed: int, *key: object) -> int:
    """A seed in 0…2³¹−1 that depends on the run's seed and on what is drawn, never on the order of calls."""
    return int.from_bytes(hashlib.sha256(repr((seed, *key)).encode()).digest()[:4], "big") >> 1
