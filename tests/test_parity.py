"""``judgebench parity``: one model asked in several ways, and where they part."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from served_checkpoint import served
from tiny_models import CHATML, WITH_BOS, tiny_checkpoint

from judgebench.backends.prompt_tokens import PromptTokens
from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.stages.parity import lines, parity
from judgebench.stages.parity_found import Heard, Parity, compare, logprob_gaps
from judgebench.stages.settings import Settings
from judgebench.types import ChoiceReply, ChoiceScore, Model, Reply, TokenLogprob, Usage

INSTALLED = importlib.util.find_spec("vllm") is not None

SUITE = """
name: sums
version: "1"
scorer: choice
sampling: {max_tokens: 12}
items:
  - {id: "1", turns: ["1+1? A. 2 B. 3"], choices: ["2", "3"], reference: [A]}
  - {id: "2", turns: ["2+2? A. 5 B. 4"], choices: ["5", "4"], reference: [B]}
  - {id: "3", turns: ["3+3? A. 6 B. 7"], choices: ["6", "7"], reference: [A]}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slower on many."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "sums.yaml"
    path.write_text(SUITE)
    return str(path)


def hf(name: str, folder: Path, **options: Any) -> Model:
    return Model(name=name, backend="hf", id=str(folder), options=options)


def endpoint(base_url: str) -> Model:
    return Model(name="served", backend="openai", id="served", options={"base_url": base_url})


def held(suite: str, *models: Model) -> Parity:
    [found] = parity(models, Settings(suite=(suite,)), quiet=True)
    return found


@pytest.mark.parametrize("template", ["", CHATML])
def test_one_checkpoint_here_and_behind_an_endpoint_agrees_in_everything(suite: str, template: str) -> None:
    folder = tiny_checkpoint(template)
    with served(folder) as base_url:
        found = held(suite, hf("here", folder), endpoint(base_url))
    assert found.agrees, lines(found)
    assert (found.prompts_known, found.prompts_same, found.prompt_lengths, found.texts_same) == (3, 3, 3, 3)
    assert found.tokens_compared > 10
    assert found.logprob_largest == pytest.approx(0, abs=1e-4)
    assert found.scores["accuracy"][2] == 0


def test_a_bos_that_one_side_puts_twice_is_named_with_its_place(suite: str) -> None:
    folder = tiny_checkpoint(WITH_BOS)

    def twice(tokens: Sequence[int]) -> list[int]:
        return [0, *tokens]

    with served(folder, reads=twice) as base_url:
        found = held(suite, hf("here", folder), endpoint(base_url))
    assert not found.agrees
    assert found.begins == (1, 2)
    assert (found.prompts_same, found.prompt_lengths) == (0, 0)
    said = "\n".join(lines(found))
    assert "prompts: 0 of 3 are the same" in said
    assert "BOS at the head: 1 and 2" in said
    assert "apart from token 1 on" in said


def test_a_server_that_does_not_tell_its_tokens_is_compared_by_their_number(suite: str) -> None:
    folder = tiny_checkpoint()
    with served(folder, tokenizes=False) as base_url:
        found = held(suite, hf("here", folder), endpoint(base_url))
    assert (found.prompts_known, found.prompt_lengths) == (0, 3)
    assert "HTTP 404 at /tokenize" in found.prompt_difference
    assert "HTTP 404 at /tokenize" in "\n".join(lines(found))


def test_a_template_switched_off_is_seen_in_the_first_token_that_differs(suite: str) -> None:
    folder = tiny_checkpoint(CHATML)
    found = held(suite, hf("chat", folder), hf("plain", folder, chat_template="off"))
    assert found.prompts_same == 0
    assert "apart from token 0 on: '<|im_start|>use' and '<s>1+1'" in found.prompt_difference
    assert not found.agrees


def test_other_weights_read_the_same_and_write_something_else(suite: str) -> None:
    found = held(suite, hf("one", tiny_checkpoint()), hf("two", tiny_checkpoint(seed=1)))
    assert found.prompts_same == found.prompts_known == 3
    assert found.texts_same == 0
    assert "sums | 1: from character" in found.text_difference
    assert found.choices_items == 3
    assert found.choices_largest is not None
    assert found.choices_largest > 0.01


def test_the_command_prints_words_or_json(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_checkpoint()
    words = ["parity", f"a=hf/{folder}", f"b=hf/{folder}", "--suite", suite, "--limit", "2", "--quiet"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("b beside a: 2 items\n  prompts: 2 of 2 are the same, token by token\n")
    assert main([*words, "--json", "--max-tokens", "3"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["agrees"] is True
    assert row["tokens_compared"] == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=scripted/echo"], "name at least two"),
        (["a=scripted/echo", "b=scripted/echo"], "--suite NAME"),
        (["a=scripted/echo", "a=scripted/other"], "two models are called 'a'"),
        (["a=scripted/echo", "b=scripted/echo", "--option", "c.x=1"], "no model, judge or backend"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anybody_is_asked(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(["parity", *words])


def heard(text: str, tokens: list[str] | None = None, logprob: float = -1.0, **more: Any) -> Heard:
    noted = tuple(TokenLogprob(token=token, logprob=logprob) for token in tokens or ())
    reply = Reply(text=text, logprobs=noted, usage=Usage(prompt_tokens=2), **more)
    return Heard(item="s | 1", prompt=PromptTokens(tokens=(1, 2)), reply=reply)


def test_log_probabilities_are_compared_up_to_the_first_token_that_differs() -> None:
    one, other = heard("abc", ["a", "b", "c"]), heard("abd", ["a", "b", "d", "e"], -1.25)
    assert logprob_gaps(one.reply, other.reply) == [0.25, 0.25]
    found = compare("other", {"s | 1": other}, "one", {"s | 1": one})
    assert (found.tokens_compared, found.logprob_largest, found.logprob_mean) == (2, 0.25, 0.25)
    assert found.text_difference == "s | 1: from character 2 on: 'abc' and 'abd'"


def test_ends_that_differ_and_replies_that_are_missing_are_counted_and_never_agree() -> None:
    whole, cut, failed = heard("a"), heard("a", finish="length"), heard("", finish="error", error="http: 500")
    found = compare("other", {"1": cut, "2": failed}, "one", {"1": whole, "2": whole})
    assert found.finishes == {"stop → length": 1}
    assert found.errors == {"http: 500": 1}
    assert (found.items, found.answered, found.texts_same) == (2, 1, 1)
    assert not found.agrees
    missing = compare("other", {"1": failed}, "one", {"1": whole})
    assert (missing.answered, missing.logprob_largest, missing.agrees) == (0, None, False)


def test_choices_are_compared_in_value_and_in_which_is_best() -> None:
    def with_choices(*values: float) -> Heard:
        scores = tuple(ChoiceScore(logprob=value, tokens=1, bytes=1) for value in values)
        return Heard(item="1", prompt=PromptTokens(), reply=Reply(text="a"), choices=ChoiceReply(choices=scores))

    found = compare("other", {"1": with_choices(-1.0, -2.0)}, "one", {"1": with_choices(-2.5, -2.0)})
    assert (found.choices_compared, found.choices_items, found.choices_same_best) == (2, 1, 0)
    assert found.choices_largest == 1.5


@pytest.mark.skipif(not INSTALLED, reason="vllm is not installed here: make test-vllm")
def test_hf_vllm_and_vllms_own_server_agree_on_one_checkpoint(suite: str) -> None:
    from vllm_server import vllm_server

    folder = tiny_checkpoint(CHATML)
    vllm = Model(
        name="offline",
        backend="vllm",
        id=str(folder),
        options={"enforce_eager": True, "dtype": "float32", "max_model_len": 512},
    )
    server = Model(name="served", backend="openai", id="tiny", options={"base_url": vllm_server(folder)})
    offline, online = parity([hf("here", folder), vllm, server], Settings(suite=(suite,)), quiet=True)
    for found in (offline, online):
        assert found.prompts_same == found.prompts_known == 3, lines(found)
        assert (found.answered, found.finishes, found.scores["accuracy"][2]) == (3, {}, 0)
        assert found.tokens_compared >= 3
        assert found.logprob_largest is not None
        assert found.logprob_largest < 1e-3
    assert offline.agrees, lines(offline)
    assert offline.tokens_compared > 10
    # Of bytes that are no whole character the server gives other texts than we do, as tokens and at a reply's end.
    assert online.prompt_lengths == 3
    assert offline.choices_largest is not None
    assert offline.choices_largest < 1e-3
