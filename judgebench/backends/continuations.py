"""A prompt and the choices that could follow it → token ids, tokenised in context; the same for ``hf`` and ``vllm``.

A choice is tokenised together with the prompt before it, since a tokenizer may merge across the boundary (``:`` and a
space and ``B``). What is scored of each choice begins at the first token that differs between the prompt alone and the
prompt with *any* of its choices: so every choice is conditioned on the same tokens, and where a merge swallows the
prompt's end, all choices are scored over it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from judgebench.backends.chat import THINK_OPEN, Chat, Rendered, TemplateRefused
from judgebench.backends.chat_completions import with_system
from judgebench.types import ChoiceRequest, ChoiceScore, Message

CHECKED = 4
"""Prompts whose tokens are found both ways before the short way is trusted."""

_REPLY = "A~judgebench~reply"
"""Stands for a reply when a template is asked what it puts before one."""

LONGEST_LEAD = 200
"""Characters beyond which what a template puts before a reply is no lead."""


class Continued(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with its choices, in tokens."""

    request: ChoiceRequest
    """What is asked."""
    prompt: list[int]
    """Tokens on which every choice is conditioned; at least one."""
    choices: list[list[int]]
    """Tokens scored of each choice; at least one each."""

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest choice."""
        return len(self.prompt) + max(map(len, self.choices))

    def scores(self, sums: Sequence[float]) -> tuple[ChoiceScore, ...]:
        """The choices' scores out of their summed log-probabilities."""
        return tuple(
            ChoiceScore(logprob=logprob, tokens=len(tokens), bytes=len(text.encode()))
            for logprob, tokens, text in zip(sums, self.choices, self.request.choices, strict=True)
        )


class Continuations:
    """Tokenises requests for one model.

    Tokenising a long prompt again for each choice would cost more than scoring it on a GPU. So the prompt is tokenised
    once, and with each choice only its last line is; where the last line alone does not give the prompt's own last
    tokens, or one of the first prompts comes out otherwise than by tokenising everything, the whole is tokenised.

    Args:
        chat: the model's tokenizer and template.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._short, self._checked = True, 0
        self._tails: dict[tuple[str, tuple[str, ...], bool], tuple[list[int], list[list[int]]]] = {}
        self._template_lead: str | None = None
        self.notes: dict[str, None] = {}

    def prepare(self, request: ChoiceRequest) -> Continued | str:
        """The request in tokens, or why it cannot be asked, as a reply's error."""
        if not request.choices:
            return "model: no text whose log-probability is wanted"
        try:
            ids, rendered = self._chat.prompt(request.messages)
        except TemplateRefused as error:
            return f"model: the chat template refuses the messages: {error}"
        lead = self._lead(request, rendered)
        texts = tuple(lead + choice for choice in request.choices)
        wholes = self._wholes(ids, rendered, texts)
        if not rendered.text:  # BOS was put there by hand
            wholes = [whole if whole[: len(ids)] == ids else ids + whole for whole in wholes]
        shared = min(min(common(ids, whole), len(whole) - 1) for whole in wholes)
        if shared < 1:
            return "empty: no token of the prompt stands before the choices, and the tokenizer has no BOS to begin with"
        return Continued(request=request, prompt=wholes[0][:shared], choices=[whole[shared:] for whole in wholes])

    def _lead(self, request: ChoiceRequest, rendered: Rendered) -> str:
        if rendered.templated:
            return self._before_reply(request.messages, rendered) + request.lead.lstrip()
        if not rendered.text or rendered.text[-1].isspace():
            return request.lead.lstrip()
        return request.lead

    def _before_reply(self, messages: tuple[Message, ...], rendered: Rendered) -> str:
        """What the template itself prints between the start of a reply and its words; found out once."""
        if self._template_lead is None:
            self._template_lead = ""
            chat = [*with_system(messages, self._chat.system), Message(role="assistant", content=_REPLY)]
            options = {**self._chat.template_kwargs, "add_generation_prompt": False}
            try:
                # Rendered as a conversation that has the reply already.
                text = str(
                    self._chat.tokenizer.apply_chat_template(
                        [{"role": each.role, "content": each.content} for each in chat], tokenize=False, **options
                    )
                )
            except Exception:  # a template may refuse it in any way at all; then replies begin at once
                text = ""
            before, found, _ = text.partition(_REPLY)
            if found and before.startswith(rendered.text) and len(before) - len(rendered.text) <= LONGEST_LEAD:
                self._template_lead = before[len(rendered.text) :]
            if (rendered.text + self._template_lead).rstrip().endswith(THINK_OPEN):
                self.notes["the template opens a reasoning block: choices are compared where reasoning would begin"] = (
                    None
                )
            elif THINK_OPEN in self._template_lead:
                self.notes["choices are compared after the empty reasoning block that the template prints"] = None
        return self._template_lead

    def _wholes(self, ids: list[int], rendered: Rendered, texts: tuple[str, ...]) -> list[list[int]]:
        short = self._by_last_line(ids, rendered, texts) if self._short else None
        if short is not None and self._checked >= CHECKED:
            return short
        wholes = [self._chat.tokens(rendered.text + text, templated=rendered.templated) for text in texts]
        if short is not None:
            self._checked += 1
            self._short = short == wholes
        return wholes

    def _by_last_line(self, ids: list[int], rendered: Rendered, texts: tuple[str, ...]) -> list[list[int]] | None:
        """The tokens with each text, only the last line tokenised anew; None where that is not sure to be the same."""
        text = rendered.text
        cut = text.rfind("\n", 0, len(text.rstrip())) + 1
        tail = text[cut:]
        if not cut or not tail.strip():
            return None
        key = (tail, texts, rendered.templated)
        if key not in self._tails:
            if len(self._tails) >= 4096:
                self._tails.clear()
            bare = self._chat.tokens(tail, templated=True)
            self._tails[key] = bare, [self._chat.tokens(tail + each, templated=True) for each in texts]
        bare, wholes = self._tails[key]
        head = len(ids) - len(bare)
        if head < 1 or not bare or ids[head:] != bare or any(whole[:1] != bare[:1] for whole in wholes):
            return None
        return [ids[:head] + whole for whole in wholes]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def unfit(asked: Continued, most: int | None, context: int | None, rows: int | None = None) -> str:
    """Why a prepared request cannot be answered, as a reply's error; empty where it can.

    Args:
        asked: the request in tokens.
        most: longest prompt that the user allows.
        context: positions of the model.
        rows: embeddings of the model, where known.
    """
    if most is not None and len(asked.prompt) > most:
        return f"context: the prompt has {len(asked.prompt)} tokens, more than max_input_tokens={most}"
    if context is not None and asked.longest > context:
        return f"context: {asked.longest} tokens of prompt and longest choice exceed the model's {context}"
    if rows is not None and max(asked.prompt + [max(tokens) for tokens in asked.choices]) >= rows:
        return f"model: the tokenizer gives a token past the model's {rows} embeddings"
    return ""
