"""TRL's trainer with a loss over all the answers to one prompt at once. It imports torch and trl."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from trl import SFTTrainer

Loss = Callable[[Any, Any, Any], Any]
"""(logps, lengths, scores) of one prompt's answers, best first → scalar tensor."""


class ListTrainer(SFTTrainer):  # type: ignore[misc]
    """Trains on lists of answers: the mean over prompts of a loss of their summed log-probabilities.

    Args:
        loss: of one prompt's answers.
        pad: token that fills rows up.
        more: as `trl.SFTTrainer`.
    """

    loss_is_scaled_for_ga = False

    def __init__(self, *, loss: Loss, pad: int, **more: Any) -> None:
        self._list_loss, self._pad_with = loss, pad
        super().__init__(data_collator=self._collate, **more)

    def _collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Every answer of every prompt as a row padded on the right; ``counts`` says how many each prompt has."""
        answers = [ids for row in rows for ids in row["answers"]]
        starts = [start for row in rows for start in row["starts"]]
        width = max(len(ids) for ids in answers)
        ids = torch.tensor([list(each) + [self._pad_with] * (width - len(each)) for each in answers])
        lengths = torch.tensor([len(each) for each in answers])
        place = torch.arange(width)[None]
        scores = [row.get("scores") for row in rows]
        return {
            "input_ids": ids,
            "attention_mask": (place < lengths[:, None]).long(),
            "learned": (place >= torch.tensor(starts)[:, None]) & (place < lengths[:, None]),
            "counts": torch.tensor([len(row["answers"]) for row in rows]),
            "scores": None if None in scores else torch.tensor([value for each in scores for value in each or ()]),
        }

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean loss of the batch's prompts."""
        ids, learned = inputs["input_ids"], inputs["learned"][:, 1:]
        outputs = model(input_ids=ids, attention_mask=inputs["attention_mask"], use_cache=False)
        logits = outputs.logits[:, -ids.shape[1] :][:, :-1].float()  # prompt tuning puts positions of its own in front
        tokens = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        logps, lengths = (tokens * learned).sum(-1), learned.sum(-1)
        counts = inputs["counts"].tolist()
        given = inputs["scores"]
        scores = given.split(counts) if given is not None else [None] * len(counts)
        losses = [
            self._list_loss(*each) for each in zip(logps.split(counts), lengths.split(counts), scores, strict=True)
        ]
        loss = torch.stack(losses).mean()
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs without the token counts of supervised training, which do not apply here."""
        super(SFTTrainer, self).log(logs, start_time)
