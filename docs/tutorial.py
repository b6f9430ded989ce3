"""A tour of JudgeBench from Python, as a notebook: every ``# %%`` is a cell. The tests run it as it stands."""

# %% [markdown]
# ## Two models, one suite
# A model is a text such as `hf/path/to/checkpoint` or `openai/NAME`, or any function from a chat to a reply.
# Functions keep this tour free of downloads.

# %%
import re
import tempfile
from pathlib import Path

import judgebench

folder = Path(tempfile.mkdtemp())


def adds(chat: list[dict[str, str]]) -> str:
    """Answers sums, and greets politely."""
    numbers = [int(text) for text in re.findall(r"\d+", chat[-1]["content"])]
    return f"The answer is {sum(numbers)}" if numbers else "Good day to you. How can I help?"


def guesses(chat: list[dict[str, str]]) -> str:
    """Always says the same."""
    return "The answer is 42"


results = judgebench.run(
    folder / "tour",
    suite=["mini-math", "mini-chat"],
    model={"adds": adds, "guesses": guesses},
    judge=["baseline/overlap"],
    rubric=["pairwise-mtbench"],
)

# %% [markdown]
# ## What came out
# Everything is a pandas frame, read from the run folder. Answers are read by a flexible rule (`accuracy`) and by a
# strict one (`accuracy_strict`), which takes nothing but the form that was asked for.

# %%
accuracy = results.ratings.query("method == 'accuracy'")[["dimension", "model", "value", "low", "high", "n"]]
print(accuracy.to_string(index=False))

# %%
games = results.games
print(games.groupby("left").score.mean())

# %% [markdown]
# ## A judge of one's own
# `judge` may be a model or, here, a function that prefers politeness. Only the verdicts that are missing are asked for.


# %%
def polite(chat: list[dict[str, str]]) -> str:
    """Prefers the conversation that says 'Good day'."""
    first, _, second = chat[-1]["content"].partition("assistant B begins")
    if ("Good day" in first) == ("Good day" in second):
        return "Neither is more polite. [[C]]"
    return "One is more polite. " + ("[[A]]" if "Good day" in first else "[[B]]")


results = judgebench.judge(folder / "tour", judge={"polite": polite}, rubric=["pairwise-mtbench"])
bias = next(row for row in results.summary["bias"] if row["judge"] == "polite")
print("position bias", bias["position_bias"], "consistency", bias["consistency"])

# %% [markdown]
# ## Which is better, and how sure are we?

# %%
for comparison in judgebench.compare(folder / "tour", "adds", "guesses"):
    print(
        f"{comparison.suite}, {comparison.dimension} by {comparison.judge}: {comparison.method} {comparison.value:.3f}"
    )
    print(f"  95 % interval {comparison.low:.3f} to {comparison.high:.3f}")

# %%
print(results.path / "report.html")
