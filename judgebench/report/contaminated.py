"""The mark of a model that was trained on what it is asked here, or judges here."""

from __future__ import annotations

from judgebench.report.tables import Summary


def taint(summary: Summary, suite: str, model: str, role: str = "models") -> str:
    """What a reader must know of a model's numbers on a suite (empty: all suites); empty where there is nothing.

    Args:
        summary: a run's summary.json, decoded.
        suite: name of the suite.
        model: name of the model.
        role: ``models`` or ``judges``, where it stands in the summary.
    """
    for entry in summary[role]:
        if entry["name"] == model:
            found = [
                f"{shared} of {items} items of {name}"
                for name, (shared, items) in entry.get("contaminated", {}).items()
                if suite in ("", name)
            ]
            if found:
                return f"contaminated: trained on {', '.join(found)}"
    return ""
