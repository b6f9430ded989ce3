"""Why a call, an answer or a verdict failed, as a short kind to count by."""

from __future__ import annotations

import re
from typing import Any

Row = dict[str, Any]
"""One row of a summary: plain data, ready for JSON."""


NOT_APPLICABLE = "not applicable"
"""Reason of a verdict that a judge was allowed to leave out: no failure of anybody."""


def reason(error: str) -> str:
    """The kind of an error, short enough to count by: its head without numbers and addresses, of HTTP with its status.

    >>> reason("http: 500 it broke (asked 7 times)"), reason("timeout: 30 s")
    ('http 500', 'timeout')
    """
    head, _, rest = error.partition(":")
    head = head.strip()
    status = re.match(r" ([1-5]\d\d)\b", rest)
    if head == "http" and status:
        return f"http {status[1]}"
    if head == "unreadable":
        return re.sub(r"[-+]?\d+(\.\d+)?", "N", re.sub(r"'[^']*'", "'…'", error))[:80]
    if head == "no answer":
        return "no answer"
    return head[:40] or "unknown"
