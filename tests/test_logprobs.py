"""Log-probabilities of a reply's tokens: asked for, read, kept, and said to be missing where they are."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from endpoint_calls import asking, only, opened
from endpoint_server import EndpointServer

from judgebench.backends.chat_completions import read_reply
from judgebench.types import Message, Model, Reply, Request, Sampling, TokenLogprob


def test_an_endpoint_is_asked_for_them_in_the_protocols_words_and_only_where_they_are_wanted() -> None:
    with EndpointServer() as server:
        backend = opened(server)
        only(backend)
        only(backend, asking(logprobs=5, max_tokens=1))
        free, wanting = (seen.body for seen in server.seen)
    assert not free.keys() & {"logprobs", "top_logprobs", "response_format"}
    assert (wanting["logprobs"], wanting["top_logprobs"], wanting["max_tokens"]) == (True, 5, 1)


def test_a_schema_is_sent_as_a_response_format() -> None:
    schema = {"type": "object", "properties": {"verdict": {"enum": ["A", "B"]}}}
    with EndpointServer() as server:
        only(opened(server), asking(json_schema=schema))
        sent = server.seen[0].body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == schema
    assert sent["json_schema"]["strict"] is True


CONTENT = [
    {"token": "m", "logprob": -0.3, "bytes": [109], "top_logprobs": [{"token": "m", "logprob": -0.3},
                                                                    {"token": "M", "logprob": -1.4}]},
    {"token": ".", "logprob": -0.5},
]  # fmt: skip


def body(logprobs: object) -> bytes:
    choice = {"message": {"role": "assistant", "content": "m."}, "finish_reason": "stop", "logprobs": logprobs}
    return json.dumps({"choices": [choice]}).encode()


def test_tokens_are_read_with_what_could_have_stood_in_their_place() -> None:
    found = read_reply(body({"content": CONTENT}))
    assert isinstance(found, tuple)
    assert found[0].logprobs == (
        TokenLogprob(token="m", logprob=-0.3, top=(("m", -0.3), ("M", -1.4))),
        TokenLogprob(token=".", logprob=-0.5),
    )


@pytest.mark.parametrize(
    "given", [None, {}, {"content": None}, {"content": [{"token": "m"}]}, {"content": ["m"]}, [1], {"content": 3}]
)
def test_what_a_server_leaves_out_or_mangles_is_not_there(given: object) -> None:
    found = read_reply(body(given))
    assert isinstance(found, tuple)
    assert found[0].logprobs == ()
    assert found[0].text == "m."


def test_what_vllm_says_of_each_token_is_cut_to_what_was_asked_for() -> None:
    from types import SimpleNamespace

    from judgebench.backends.vllm_sampling import noted

    def at(**values: float) -> dict[int, Any]:
        return {int(token[1:]): SimpleNamespace(logprob=value) for token, value in values.items()}

    given = [at(t9=-4.0, t2=-0.1, t3=-2.5), at(t2=-0.2, t7=-1.9)]
    assert noted([9, 2], given, 2) == [(-4.0, [(2, -0.1), (3, -2.5)]), (-0.2, [(2, -0.2), (7, -1.9)])]
    assert noted([9], None, 2) == []


def test_transformers_gives_them_before_temperature_and_beside_a_row_that_wants_none() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import tiny_checkpoint
    from transformers import AutoModelForCausalLM

    from judgebench.backends.hf import HFBackend

    folder = tiny_checkpoint()
    backend = HFBackend(Model(name="m", backend="hf", id=str(folder), options={"batch_size": 4}))

    def request(name: str, **sampling: object) -> Request:
        words = Sampling(max_tokens=5, **sampling)  # type: ignore[arg-type]
        return Request(id=name, messages=(Message(role="user", content="the quick"),), sampling=words)

    asked = [request("greedy", logprobs=3), request("none"), request("drawn", logprobs=2, temperature=5.0, seed=7)]
    replies: dict[str, Reply] = {one.id: reply for one, reply in backend.generate(asked)}
    assert replies["none"].logprobs == ()
    greedy, drawn = replies["greedy"].logprobs, replies["drawn"].logprobs
    assert len(greedy) == len(drawn) == 5
    assert all(one.logprob == one.top[0][1] and len(one.top) == 3 for one in greedy)
    assert any(one.logprob < one.top[0][1] for one in drawn)
    chat = backend._load_chat()
    prompt, _ = chat.prompt(asked[0].messages)
    model = AutoModelForCausalLM.from_pretrained(str(folder)).eval()
    with torch.inference_mode():
        exact = torch.log_softmax(model(torch.tensor([prompt])).logits[0, -1].float(), -1).topk(3).values.tolist()
    for reply in (greedy, drawn):
        best = [value for _, value in reply[0].top]
        assert all(math.isclose(one, other, abs_tol=1e-4) for one, other in zip(best, exact, strict=False))
    backend.close()
