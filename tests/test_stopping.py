"""`--stop-when decided`: the judge is asked no more than a decision takes, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

import judgebench
from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.stages.comparisons import compare_pairs
from judgebench.stages.settings import Settings

ITEMS = 60
SUITE = "name: talk\nlicense: Apache-2.0\nitems:\n" + "".join(
    f'  - {{id: "{k}", turns: ["Question {k}"]}}\n' for k in range(ITEMS)
)
RUBRIC = """name: better
mode: pairwise
dimensions: {overall: which is better}
prompt: "{question} <{answer_a}> <{answer_b}> {format}"
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "talk.yaml").write_text(SUITE)
    (tmp_path / "better.yaml").write_text(RUBRIC)
    (tmp_path / "grade.yaml").write_text(
        "name: grade\nmode: pointwise\ndimensions: {overall: how good}\nscale: [1, 10]\n"
        'prompt: "{question} <{answer}> {format}"\n'
    )
    return tmp_path


def _judge(chat: list[dict[str, str]]) -> str:
    """Prefers the answer with the higher level written in it."""
    text = chat[-1]["content"]
    first, second = (float(part.split(">")[0]) for part in text.split("<level ")[1:3])
    return "[[C]]" if first == second else "[[A]]" if first > second else "[[B]]"


def _answering(level: float):
    return lambda chat: f"level {level}"


def _run(here: Path, name: str, levels: dict[str, float], judge=None, **settings) -> list[str]:
    """The prompts that the judge was shown."""
    asked: list[str] = []

    def heard(chat: list[dict[str, str]]) -> str:
        asked.append(chat[-1]["content"])
        return (judge or _judge)(chat)

    judgebench.run(
        here / name, suite=[str(here / "talk.yaml")], rubric=[str(here / "better.yaml")], judge={"j": heard},
        model={name: _answering(level) for name, level in levels.items()}, settings=Settings(**settings),
    )  # fmt: skip
    return asked


def _stopped(here: Path, name: str):
    return Run(here / name).manifest["judges"]["j"]["rubrics"]["better"]["stopped"]


def test_a_plain_case_is_decided_with_a_fraction_of_the_calls(here: Path) -> None:
    asked = _run(here, "x", {"a": 2, "b": 1}, stop_when="decided")
    stopped = _stopped(here, "x")
    assert stopped["pairs"][0]["winner"] == "a"
    assert len(asked) == stopped["put"] < 0.5 * 2 * ITEMS
    summary = (here / "x" / "summary.json").read_text()
    assert "judged until decided" in summary
    assert "not asked yet" not in summary
    assert all("take no account" in each.note for each in compare_pairs([Run(here / "x")], [("a", "b")]))


def test_equal_models_are_judged_in_full_and_said_to_be_undecided(here: Path) -> None:
    asked = _run(here, "x", {"a": 1, "b": 1}, stop_when="decided")
    assert len(asked) == 2 * ITEMS
    assert _stopped(here, "x")["pairs"][0]["winner"] == ""


def test_the_same_command_again_asks_nothing_and_all_asks_the_rest(here: Path) -> None:
    first = _run(here, "x", {"a": 2, "b": 1}, stop_when="decided")
    again = _run(here, "x", {"a": 2, "b": 1}, stop_when="decided")
    assert not again
    rest = _run(here, "x", {"a": 2, "b": 1}, stop_when="all")
    assert len(first) + len(rest) == 2 * ITEMS


def test_against_a_baseline_everyone_is_decided_and_corrected_for_their_number(here: Path) -> None:
    asked = _run(here, "x", {"base": 2, "a": 3, "b": 1, "c": 2}, stop_when="decided", baseline="base")
    stopped = _stopped(here, "x")
    assert stopped["hypotheses"] == 3
    winners = {frozenset((each["left"], each["right"])): each["winner"] for each in stopped["pairs"]}
    assert winners == {
        frozenset(("a", "base")): "a", frozenset(("b", "base")): "base", frozenset(("c", "base")): "",
    }  # fmt: skip
    # The one that is as good as the baseline is asked in full, the others are not.
    even = [prompt for prompt in asked if "level 1" not in prompt and "level 3" not in prompt]
    assert len(even) == 2 * ITEMS
    assert len(asked) < 1.8 * 2 * ITEMS


def test_a_ranking_leaves_out_what_follows_from_others(here: Path) -> None:
    levels = {"a": 1, "b": 2, "c": 3, "d": 4}
    asked = _run(here, "x", levels, stop_when="decided")
    stopped = _stopped(here, "x")
    for each in stopped["pairs"]:
        assert each["winner"] == max(each["left"], each["right"], key=levels.__getitem__)
    assert len(asked) < 0.6 * 6 * 2 * ITEMS


def test_unreadable_verdicts_are_not_asked_again_and_decide_nothing(here: Path) -> None:
    asked = _run(here, "x", {"a": 2, "b": 1}, judge=lambda chat: "no idea", stop_when="decided", max_unscored=1.0)
    assert len(asked) == 2 * ITEMS
    assert _stopped(here, "x")["pairs"][0]["questions"] == 0


def test_grades_cannot_be_decided_and_that_is_said_before_anything_is_asked(here: Path) -> None:
    def never(chat: list[dict[str, str]]) -> str:
        raise AssertionError("asked")

    with pytest.raises(UserError, match="for pairs"):
        judgebench.run(here / "y", suite=[str(here / "talk.yaml")], model={"a": never}, judge={"j": never},
                       rubric=[str(here / "grade.yaml")], settings=Settings(stop_when="decided"))  # fmt: skip


def test_a_larger_suite_goes_on_where_the_smaller_one_was(here: Path) -> None:
    def close(chat: list[dict[str, str]]) -> str:
        number = int(chat[-1]["content"].split("Question ")[1].split()[0])
        return "[[C]]" if number % 7 else _judge(chat)

    first = _run(here, "x", {"a": 2, "b": 1}, judge=close, stop_when="decided", limit=30)
    again = _run(here, "x", {"a": 2, "b": 1}, judge=close, stop_when="decided", limit=ITEMS)
    assert len(first) == 2 * 30
    assert not set(first) & set(again)
    assert len(again) <= 2 * 30


def test_items_without_what_the_rubric_needs_are_not_called_decided(here: Path, capsys) -> None:
    (here / "strict.yaml").write_text(RUBRIC.replace("better", "strict").replace("{format}", "{reference} {format}"))

    def never(chat: list[dict[str, str]]) -> str:
        raise AssertionError("asked")

    for stop in ("decided", "all"):
        judgebench.run(
            here / stop, suite=[str(here / "talk.yaml")], rubric=[str(here / "strict.yaml")], judge={"j": never},
            model={"a": _answering(2), "b": _answering(1)}, settings=Settings(stop_when=stop, max_unscored=1.0),
            quiet=False,
        )  # fmt: skip
        said = capsys.readouterr().err
        assert "j by strict: nothing could be planned: the items lack what the rubric needs" in said
        assert "decided, or" not in said
        assert "all 0 verdicts" not in said


def test_answers_that_failed_leave_nothing_to_decide_and_that_is_said(here: Path, capsys) -> None:
    def silent(chat: list[dict[str, str]]) -> str:
        raise RuntimeError("down")

    for _ in range(2):
        judgebench.run(
            here / "x", suite=[str(here / "talk.yaml")], rubric=[str(here / "better.yaml")], judge={"j": _judge},
            model={"a": _answering(2), "b": silent}, settings=Settings(stop_when="decided", max_unscored=1.0),
            quiet=False,
        )  # fmt: skip
    said = capsys.readouterr().err
    assert "every pair is decided" not in said
    assert "j by better: nothing can be judged: no answer" in said
