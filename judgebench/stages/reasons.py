"""Why a call, an answer or a verdict failed, as a short kind to count by."""

from __future__ import annotations

import re
from typing import Any

Row = dict[str, Any]
"""One row of a summary: plain data, ready for JSON."""


NOT_APPLICABLE = "not applicable"
"""Reason of a verdict that a judge was allowed to leave out: no failure of anybody."""


def reason(error: str) -> str:
    """The kind of an error, short enough to count by: its head without numbers and addresses."""
    head = error.partition(":")[0].strip()
    if head == "unreadable":
        return re.sub(r"[-+]?\d+(\.\d+)?", "N", re.sub(r"'[^']*'", "'…'", error))[:80]
    if head == "no answer":
        return "no answer"
    return head[:40] or "unknown"
