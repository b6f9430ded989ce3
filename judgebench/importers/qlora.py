"""QLoRA's evaluation files (Dettmers et al. 2023): generations, and GPT-4's reviews in both orders.

The names of most of its review files say the order the other way round than the answer ids do; the ids are right. The
systems trained there have no ids in their files of generations: theirs are told by the known id beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgebench.importers.records import Gathered, Options
from judgebench.importers.reviews import gather
from judgebench.importers.rows import no_form


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Questions, answers and reviews in files.

    Raises:
        UserError: a row is not of that form, its score is none, or no file tells whose an answer is.
    """
    gathered, others = gather(files, options, options.suite or "qlora")
    for row in others:
        raise no_form(row, "qlora", "question_id with text, generation, answer_id and model_id, or answer1_id, "
                      "answer2_id and score")  # fmt: skip
    return gathered
