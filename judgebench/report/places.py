"""Places on a leaderboard: by tests of differences where the games were fitted, else by intervals; and which model of
ties fits.
"""

from __future__ import annotations

from collections.abc import Sequence

from judgebench.report.tables import Row

BY_TESTS = "Ranks by tests of every two models' difference, Bonferroni: at 95 % they hold for all models at once."
BY_INTERVALS = "Ranks by intervals of single models that do not overlap."


def ranked(headline: Sequence[Row], fitted: Sequence[Row]) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Model → best and worst place, and lines on how they were told.

    Args:
        headline: ratings of the method that ranks.
        fitted: the row of the summary's ``fits`` for the same games, where there is one.
    """
    lines = [ties_line(row["ties"]) for row in fitted if row["ties"]]
    if headline and headline[0]["method"] == "bradley-terry" and fitted and fitted[0]["ranks"]:
        return {row["model"]: (row["best"], row["worst"]) for row in fitted[0]["ranks"]}, [BY_TESTS, *lines]
    ranks = rank_ranges(headline)
    return ranks, [BY_INTERVALS, *lines] if ranks and fitted else lines


def rank_ranges(rows: Sequence[Row]) -> dict[str, tuple[int, int]]:
    """Model → best and worst rank its interval allows; models without an interval are left out.

    The best rank is 1 + the number of models whose interval lies wholly above, as arena leaderboards count it; the
    worst leaves below it only those whose interval lies wholly below.
    """
    ends = {row["model"]: (row["low"], row["high"]) for row in rows if None not in (row["low"], row["high"])}
    ranks = {}
    for model, (low, high) in ends.items():
        above = sum(other_low > high for other_low, _ in ends.values())
        below = sum(other_high < low for _, other_high in ends.values())
        ranks[model] = (1 + above, len(ends) - below)
    return ranks


def ties_line(ties: Row) -> str:
    """Which model of ties fits the games, and whether it fits at all."""
    names = {"davidson": "Davidson", "rao-kupper": "Rao–Kupper"}
    logs = f"Davidson {ties['davidson']:.1f}, Rao–Kupper {ties['rao_kupper']:.1f}"
    told = "" if ties["vuong_p"] is None else f", Vuong p = {ties['vuong_p']:.2g}"
    fits = "" if not ties["deviance_p"] else f"; it fits at p = {ties['deviance_p'][ties['better']]:.2g} (deviance)"
    return f"Ties as an outcome of their own: {names[ties['better']]} is the likelier ({logs}{told}){fits}."
