"""PRD, Peer Rank and Discussion (Li et al. 2023): reviews of several models and votes of people.

Reviews hold answer ids; the votes of people hold none and do not tell the people apart: the file's name says which
answer was the first, and each row on a question is a vote (``human@votes``, numbered by sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgebench.importers.records import Gathered, Options, as_tie
from judgebench.importers.reviews import gather
from judgebench.importers.rows import no_form


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Questions, answers, reviews and votes in files.

    Raises:
        UserError: a row is not of that form, its score is none, or no file tells whose an answer is.
    """
    gathered, others = gather(files, options, options.suite or "prd")
    for row in others:
        raise no_form(row, "prd", "question_id with text, answer_id and model_id, or score")
    if options.compat:
        gathered.verdicts = [as_tie(each, gathered) for each in gathered.verdicts]
    return gathered
