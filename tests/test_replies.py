"""Replies of judges as they come in practice, in many languages and forms, and what is read from each.

An empty tuple is unscored. The rubrics are those shipped, so the table is of what a user would see.
"""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgebench.judges import parse
from judgebench.rubrics import list_rubrics, load_rubric
from judgebench.types import Reply

A, B, TIE, NO = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5), ()
PAIR, GRADE, FIVE, LEVEL, JSON, EVIDENCE = (
    "pairwise-mtbench", "pointwise-general", "arena-hard", "ordinal-4", "pairwise-json", "mec",
)  # fmt: skip

TABLE: list[tuple[str, str, tuple[float, ...]]] = [
    # Plain and decorated
    (PAIR, "Assistant A gives the right year and a source.\n\n[[A]]", A),
    (PAIR, "**Final verdict:** [[B]]", B),
    (PAIR, "### Verdict\n\n> [[A]]\n", A),
    (PAIR, "| criterion | A | B |\n|---|---|---|\n| accuracy | 1 | 0 |\n\n**[[A]]**", A),
    (PAIR, "1. A is longer.\n2. B is right.\n\nTherefore: `[[B]]`", B),
    (PAIR, "<verdict>[[B]]</verdict>", B),
    (PAIR, "\\[\\[A\\]\\] is what I would print, but the form says [[A]]", A),
    (PAIR, "My verdict is [[ b ]].", B),
    (PAIR, "[[Tie]] – they say the same.", TIE),
    (PAIR, "Both are fine, none is better.\n[[C]]", TIE),
    (PAIR, "[[A]]\r\n", A),
    (PAIR, "\ufeff[[A]]", A),
    # Languages
    (PAIR, "助手A的回答更准确,也更有条理。\n\n最终判断:[[A]]", A),
    (PAIR, "アシスタントBの方が正確です。[[B]]", B),
    (PAIR, "두 답변은 비슷합니다. [[C]]", TIE),
    (PAIR, "Die Antwort von B ist vollständiger und fehlerfrei.\n\nUrteil: [[B]]", B),
    (PAIR, "La réponse A est plus précise ; la B se trompe de date.\n[[A]]", A),
    (PAIR, "La respuesta B explica mejor el porqué. Veredicto final: [[B]]", B),
    (PAIR, "Ответ А точнее и полнее. [[A]]", A),
    (PAIR, "إجابة المساعد A أفضل. [[A]]", A),
    (PAIR, "Ответ лучше у первого: [[А]]", NO),  # a Cyrillic А
    (PAIR, "助手B更好 【B】", NO),
    (GRADE, "回答は概ね正しいです。\n\n評価: Rating: [[8]]", (8.0,)),
    (GRADE, "Gute Antwort, ein Fehler.\nBewertung: [[6]]", (6.0,)),
    # Reasoning before the verdict
    (PAIR, "<think>Maybe [[A]]? No, A is wrong about the date.</think>\n\nB is right. [[B]]", B),
    (PAIR, "<think>\nA or B? [[A]]\n</think>\n\nI cannot decide between the two.", NO),
    (PAIR, "<think>First A: fine. Then B: fine as well. Hence [[C]]", NO),
    (PAIR, "Okay, so A it is: [[A]]</think>[[B]]", B),
    (PAIR, "<reasoning>…</reasoning>Verdict: [[A]]", A),
    (GRADE, "<think>7? 8? Rating: [[7]]</think>Rating: [[8]]", (8.0,)),
    # Contradictions and second thoughts
    (PAIR, "[[A]] [[B]]", NO),
    (PAIR, "[[A]] and [[B]]", NO),
    (PAIR, "[[A]]/[[B]]", NO),
    (PAIR, "[[A]] 和 [[B]]", NO),
    (PAIR, "[[A]]\n[[A]]", A),
    (PAIR, "[[A]] would be too generous given the false date. [[B]]", B),
    (PAIR, "If style counted, [[A]]; by correctness, [[B]]. Final: [[B]]", B),
    (GRADE, "Rating: [[7]] or [[8]]", NO),
    (GRADE, "Rating: [[3]] for style; overall Rating: [[5]]", (5.0,)),
    # Refusals, prose, nothing
    (PAIR, "", NO),
    (PAIR, "\n\n  \t", NO),
    (PAIR, "I'm sorry, but I can't help with comparing these responses.", NO),
    (PAIR, "As an AI language model, I have no preferences.", NO),
    (PAIR, "Assistant A is clearly better.", NO),
    (PAIR, "A", NO),
    (PAIR, "[[A or B or C]]", NO),
    (PAIR, "[[AB]]", NO),
    (PAIR, "[[Assistant A]]", NO),
    (GRADE, "I would give this a seven.", NO),
    (GRADE, "N/A", NO),
    # Numbers on and off the scale
    (GRADE, "Rating: [[10]]", (10.0,)),
    (GRADE, "Rating: [[1]]", (1.0,)),
    (GRADE, "Rating: [[7.5]]", (7.5,)),
    (GRADE, "Rating: [[9/10]]", (9.0,)),
    (GRADE, "Rating: [[11]]", NO),
    (GRADE, "Rating: [[11/10]]", NO),
    (GRADE, "Rating: [[0]]", NO),
    (GRADE, "Rating: [[-3]]", NO),
    (GRADE, "Rating: [[NaN]]", NO),
    (GRADE, "Rating: [[inf]]", NO),
    (GRADE, "Rating: [[1e1]]", NO),
    (GRADE, "Rating: [[7,5]]", NO),
    (GRADE, "11/10, would read again!", NO),
    (GRADE, "**Rating:** [6]", (6.0,)),
    # Five levels
    (FIVE, "## My answer\n42.\n\n## Comparison\n\nAssistant A is significantly better: [[A>>B]]", (3.0, 0.0)),
    (FIVE, "Slightly: [[B>A]]", (0.0, 1.0)),
    (FIVE, "tie, my final verdict is [[A=B]]", (0.0, 0.0)),
    (FIVE, "[[A<<B]]", (0.0, 3.0)),
    (FIVE, "[[A>>>B]]", NO),
    (FIVE, "[[A]]", NO),
    (FIVE, "A>>B", NO),
    # Letters
    (LEVEL, "Minor slips only, so [[B]].", (3.0,)),
    (LEVEL, "[[E]]", NO),
    (LEVEL, "B. acceptable", NO),
    # JSON, well formed and less so
    (JSON, '{"reasoning": "x", "helpfulness": "A", "accuracy": "A", "language": "A"}', A),
    (JSON, '```json\n{"accuracy": "B", "helpfulness": "B", "language": "C"}\n```', B),
    (JSON, 'Sure! Here it is:\n{"result": {"accuracy": "B", "helpfulness": "A", "language": "A"}}', B),
    (JSON, '{"accuracy": "A"} hmm, no: {"accuracy": "B", "helpfulness": "B", "language": "B"}', B),
    (JSON, "{'accuracy': 'A', 'helpfulness': 'B', 'language': 'C'}", A),
    (JSON, '{"Accuracy": " a ", "helpfulness": "B"}', A),
    (JSON, '{"reasoning": "the answer says {\\"accuracy\\": \\"B\\"}", "accuracy": "A"}', A),
    (JSON, '{"accuracy": "both"}', NO),
    (JSON, '{"accuracy": true}', NO),
    (JSON, '{"accuracy": null}', NO),
    (JSON, '{"accuracy": ["A"]}', NO),
    (JSON, '{"accuracy": "A"', NO),
    (JSON, '{"verdict": "A"}', NO),
    (JSON, "[]", NO),
    (JSON, "{" * 3000, NO),
    # Two scores
    (EVIDENCE, "Evaluation evidence: …\nScore of the Assistant 1: 8\nScore of the Assistant 2: 7.5", (8.0, 7.5)),
    (EVIDENCE, "**Score of the Assistant 1:** 8/10\n\n**Score of the Assistant 2:** 9/10\n", (8.0, 9.0)),
    (EVIDENCE, "score of assistant 1: 10\nscore of assistant 2: 10", (10.0, 10.0)),
    (EVIDENCE, "Score of the Assistant 1: 8\nScore of the Assistant 2: seven", NO),
    (EVIDENCE, "Score of the Assistant 1: 8", NO),
    (EVIDENCE, "Score of the Assistant 1: 0\nScore of the Assistant 2: 7", NO),
    (EVIDENCE, "Score of the Assistant 2: 7\nScore of the Assistant 1: 8", NO),
    (EVIDENCE, "Score of the Assistant 1: 8\nScore of the Assistant 2: 7\n\nOn reflection:\n"
               "Score of the Assistant 1: 5\nScore of the Assistant 2: 9", (5.0, 9.0)),
]  # fmt: skip


def test_the_table_is_as_long_as_it_says() -> None:
    assert len({(rubric, text) for rubric, text, _ in TABLE}) == len(TABLE) >= 90


@pytest.mark.parametrize(("name", "text", "scores"), TABLE)
def test_the_last_well_formed_verdict_counts_and_what_has_none_is_unscored(
    name: str, text: str, scores: tuple[float, ...]
) -> None:
    rubric = load_rubric(name)
    dimensions = tuple(rubric.dimensions)
    reading = parse.read(rubric, dimensions, Reply(text=text))["accuracy" if name == JSON else "overall"]
    assert reading.scores == scores, reading.error
    assert reading.error.startswith("unreadable: ") == (scores == NO)


def test_of_two_verdicts_side_by_side_the_reason_names_the_contradiction() -> None:
    reading = parse.read(load_rubric(PAIR), ("overall",), Reply(text="[[A]] and [[B]]"))["overall"]
    assert reading.error == "unreadable: two verdicts side by side that contradict each other"


@pytest.mark.parametrize("text", ["{" * 2_000_000, '{"a":' * 400_000, "{'" * 1_000_000, "[[A" * 1_000_000])
def test_megabytes_of_broken_json_are_read_like_any_other_reply(text: str) -> None:
    assert parse.read(load_rubric(JSON), ("accuracy", "language"), Reply(text=text))["accuracy"].scores == ()


PIECES = st.sampled_from(
    ["[[", "]]", "A", "B", "C", ">>", "=", "YES", "Rating: ", "[RESULT]", "7", "-1", "1e999", "9" * 5000, "NaN", "{",
     "}", "'", '"', ":", ",", "accuracy", "overall", "\\", "\n", " ", "<think>", "</think>", "é", "\ud800", "\x00",
     "Score of the Assistant 1: ", "None", "[", "]", "(", "not ", "lambda: 0", "0x1F", "1_000"]
)  # fmt: skip
RUBRICS = {name: load_rubric(name) for name in list_rubrics()}


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from(["stop", "length", "filter"]), st.data())
def test_nothing_that_a_judge_writes_raises_and_every_score_is_on_the_scale(
    text: str, finish: Literal["stop", "length", "filter"], data: st.DataObject
) -> None:
    rubric = RUBRICS[data.draw(st.sampled_from(sorted(RUBRICS)))]
    shown = (text[: len(text) // 2],)
    low, high = parse.scale(rubric)
    for reading in parse.read(rubric, tuple(rubric.dimensions), Reply(text=text, finish=finish), shown).values():
        assert len(reading.scores) == (0 if reading.error else 2 if rubric.mode == "pairwise" else 1)
        assert all(low <= score <= high for score in reading.scores)
