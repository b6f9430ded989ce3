"""One batch of prompts → the tokens a transformers model writes, each row with a drawing and an end of its own.

transformers' ``generate`` runs the model, its cache and its positions; which token is taken and when a row ends is
decided here. So rows of one batch may differ in temperature, seed, stop texts and limit, and a draw depends on its
own logits and seed alone. What of a row still depends on the others is the rounding of batched arithmetic: in half
precision that can turn a near tie between two tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from judgebench.backends.chat import Chat
from judgebench.backends.local_sampling import Drawing

TAIL_MARGIN = 8
"""Tokens decoded beyond those that a stop text can fill, when looking for it at the end of a row."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt of a batch."""

    prompt: list[int]
    """Token ids, at least one."""
    drawing: Drawing
    """How tokens are drawn and when to stop."""


class Written(msgspec.Struct, kw_only=True):
    """What a row has written so far."""

    tokens: list[int]
    """New tokens, the one that ended it included."""
    finish: Literal["", "eos", "stop", "length"] = ""
    """Empty while it goes on."""
    logprobs: list[tuple[float, list[tuple[int, float]]]] = []
    """For each new token, where asked for: its log-probability, and (token, log-probability) of the best there."""


def write(model: Any, rows: Sequence[Row], chat: Chat, ends: frozenset[int], pad: int) -> list[Written]:
    """What each row writes, in the order of ``rows``.

    Args:
        model: a causal model of transformers, in evaluation mode.
        rows: at least one; padded on the left to the longest.
        chat: turns tokens into words, to find stop texts.
        ends: tokens that end a row.
        pad: any valid token id; masked wherever it stands.
    """
    width = max(len(row.prompt) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row.prompt)) + row.prompt for row in rows], device=model.device)
    mask = torch.tensor([[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=model.device)
    written = [Written(tokens=[]) for _ in rows]
    config = GenerationConfig(
        max_new_tokens=max(row.drawing.max_tokens for row in rows), do_sample=False, num_beams=1, pad_token_id=pad
    )
    drawers: list[LogitsProcessor] = []
    recorder = _Recorder(rows, written, model.device) if any(row.drawing.logprobs for row in rows) else None
    if recorder is not None:
        drawers.append(recorder)
    if any(row.drawing.temperature > 0 for row in rows):
        drawers.append(_Drawer(rows, width, model.device))
    with torch.inference_mode():
        model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=LogitsProcessorList(drawers),
            stopping_criteria=StoppingCriteriaList([_Ends(rows, written, chat, ends, recorder)]),
        )
    return written


def draw(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, top_k: torch.Tensor, uniform: torch.Tensor
) -> torch.Tensor:
    """Token ids drawn from the tempered softmax by its inverse distribution function, shape (rows,).

    Nucleus: the fewest most probable tokens whose mass reaches ``top_p`` (Holtzman et al. 2020, section 3.1); ``top_k``
    keeps at most so many.

    Args:
        logits: shape (rows, vocabulary).
        temperature: shape (rows,), above 0.
        top_p: shape (rows,), in (0, 1].
        top_k: shape (rows,), 0 is off.
        uniform: shape (rows,), in [0, 1): the only randomness.
    """
    scale = torch.float32 if logits.device.type == "mps" else torch.float64
    logits = logits.to(scale)
    probability = torch.softmax((logits - logits.amax(-1, keepdim=True)) / temperature.to(scale)[:, None], -1)
    probability, order = probability.sort(dim=-1, descending=True, stable=True)
    before = probability.cumsum(-1) - probability
    rank = torch.arange(logits.shape[-1], device=logits.device)
    cut_off = (before >= top_p.to(scale)[:, None]) & (top_p < 1)[:, None]
    cut_off |= (rank >= top_k[:, None]) & (top_k > 0)[:, None]
    cut_off[:, 0] = False
    kept = probability.masked_fill(cut_off, 0.0)
    total = kept.cumsum(-1)
    place = torch.searchsorted(total, uniform.to(scale)[:, None] * total[:, -1:], right=True)
    last = (kept > 0).sum(-1, keepdim=True) - 1
    return order.gather(-1, torch.minimum(place, last)).squeeze(-1)


class _Drawer(LogitsProcessor):  # type: ignore[misc]
    """Puts all mass on the token drawn, for the rows that are not greedy."""

    def __init__(self, rows: Sequence[Row], width: int, device: Any) -> None:
        self._width = width
        self._chosen = [place for place, row in enumerate(rows) if row.drawing.temperature > 0]
        drawings = [rows[place].drawing for place in self._chosen]
        self._index = torch.tensor(self._chosen, device=device)
        self._temperature = torch.tensor([one.temperature for one in drawings], device=device)
        self._top_p = torch.tensor([one.top_p for one in drawings], device=device)
        self._top_k = torch.tensor([one.top_k for one in drawings], device=device)
        self._generators = [torch.Generator().manual_seed(one.seed) for one in drawings]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores, those of drawn rows minus infinity but for one token."""
        uniform = torch.cat([torch.rand(1, generator=one, dtype=torch.float64) for one in self._generators])
        chosen = scores[self._index]
        precise = torch.float32 if scores.device.type == "mps" else torch.float64
        uniform = uniform.to(dtype=precise).to(scores.device)
        tokens = draw(chosen, self._temperature, self._top_p, self._top_k, uniform)
        only = torch.full_like(chosen, -torch.inf).scatter_(-1, tokens[:, None], 0.0)
        return scores.index_copy(0, self._index, only)


class _Recorder(LogitsProcessor):  # type: ignore[misc]
    """Keeps each step's log-probabilities until its tokens are known; it stands before whatever changes the scores."""

    def __init__(self, rows: Sequence[Row], written: list[Written], device: Any) -> None:
        self._asking = {place: n for n, place in enumerate(p for p, row in enumerate(rows) if row.drawing.logprobs)}
        self._index = torch.tensor(list(self._asking), device=device)
        self._rows, self._written = rows, written
        self._last: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as they are."""
        self._last = torch.log_softmax(scores[self._index].float(), -1)
        return scores

    def take(self, place: int, token: int) -> None:
        """Notes the token that a row has just written."""
        number = self._asking.get(place)
        if number is None or self._last is None:
            return
        found = self._last[number]
        values, tokens = found.topk(min(self._rows[place].drawing.logprobs, found.shape[-1]))
        best = list(zip(tokens.tolist(), values.tolist(), strict=True))
        self._written[place].logprobs.append((float(found[token]), best))


class _Ends(StoppingCriteria):  # type: ignore[misc]
    """Notes each row's tokens, and ends it at an end token, a complete stop text or its own limit."""

    def __init__(
        self, rows: Sequence[Row], written: list[Written], chat: Chat, ends: frozenset[int],
        recorder: _Recorder | None = None,
    ) -> None:  # fmt: skip
        self._rows, self._written, self._chat, self._ends = rows, written, chat, ends
        self._recorder = recorder
        longest = [max((len(text) for text in row.drawing.stop), default=0) for row in rows]
        self._tails = [4 * length + TAIL_MARGIN if length else 0 for length in longest]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """True for each row that has ended, shape (rows,)."""
        for place, token in enumerate(input_ids[:, -1].tolist()):
            written = self._written[place]
            if written.finish:
                continue
            written.tokens.append(token)
            if self._recorder is not None:
                self._recorder.take(place, token)
            if token in self._ends:
                written.finish = "eos"
            elif self._tails[place] and self._stopped(place):
                written.finish = "stop"
            elif len(written.tokens) >= self._rows[place].drawing.max_tokens:
                written.finish = "length"
        return torch.tensor([bool(one.finish) for one in self._written], device=input_ids.device)

    def _stopped(self, place: int) -> bool:
        row, tokens, most = self._rows[place], self._written[place].tokens, self._tails[place]
        stops = row.drawing.stop
        if len(tokens) > most and not any(text in self._chat.tail(tokens[-most:]) for text in stops):
            return False
        words = self._chat.words(row.prompt, tokens)
        return any(text in words for text in stops)
