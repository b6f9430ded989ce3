"""The hf backend on tiny random checkpoints: what it writes is what transformers writes for each prompt alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import CHATML, NO_SYSTEM, SILENT, WITH_BOS, tiny_checkpoint

from judgebench.errors import BackendError, UserError
from judgebench.types import Message, Model, Reply, Request, Sampling

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from judgebench.backends.chat import PLAIN_STOP, Chat, cut, render  # noqa: E402
from judgebench.backends.decoding import draw  # noqa: E402
from judgebench.backends.hf import HFBackend  # noqa: E402

PROMPTS = ["", "a", "Q: 1+1?\nAnswer:", "x" * 100, "Grüße, 世界! 🧪", "the quick brown fox " * 9, "end with space "]


def backend(folder: Path, **options: Any) -> HFBackend:
    return HFBackend(Model(name="tiny", backend="hf", id=str(folder), options=options))


def user(content: str) -> tuple[Message, ...]:
    return (Message(role="user", content=content),)


def asking(contents: list[str], **sampling: Any) -> list[Request]:
    sampling = {"max_tokens": 24, **sampling}
    return [
        Request(id=str(number), messages=user(content), sampling=Sampling(**sampling))
        for number, content in enumerate(contents)
    ]


def replies(to: HFBackend, requests: list[Request]) -> dict[str, Reply]:
    return {request.id: reply for request, reply in to.generate(requests)}


def alone(folder: Path, prompt: str, tokens: int) -> str:
    """What transformers itself writes for one prompt, unbatched and greedy."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        written = model.generate(**inputs, max_new_tokens=tokens, do_sample=False, pad_token_id=1)
    return str(tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on many threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def llama() -> Path:
    return tiny_checkpoint()


@pytest.fixture(scope="module")
def loaded(llama: Path) -> Iterator[HFBackend]:
    opened = backend(llama)
    yield opened
    opened.close()


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_batch_of_mixed_lengths_gives_what_transformers_gives_for_each_prompt_alone(architecture: str) -> None:
    folder = tiny_checkpoint(architecture=architecture)
    together = replies(backend(folder, batch_size=len(PROMPTS)), asking(PROMPTS))
    one_by_one = replies(backend(folder, batch_size=1), asking(PROMPTS))
    assert {key: reply.text for key, reply in together.items()} == {key: r.text for key, r in one_by_one.items()}
    for number, prompt in enumerate(PROMPTS):
        assert together[str(number)].text == alone(folder, prompt, 24)
    assert len({reply.text for reply in together.values()}) > 1


def test_usage_counts_the_tokens_read_and_written(loaded: HFBackend) -> None:
    reply = replies(loaded, asking(["abc"]))["0"]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.requests) == (4, 24, 1)
    assert reply.finish == "length"


def test_each_request_keeps_its_own_limit_within_a_batch(loaded: HFBackend) -> None:
    requests = [
        Request(id=str(limit), messages=user("abc"), sampling=Sampling(max_tokens=limit)) for limit in (1, 3, 17)
    ]
    answered = replies(loaded, requests)
    assert {key: reply.usage.completion_tokens for key, reply in answered.items()} == {"1": 1, "3": 3, "17": 17}
    longest = loaded._load_chat().tokenizer.encode(answered["17"].text, add_special_tokens=False)
    assert longest


def test_an_end_token_ends_the_reply_and_is_no_part_of_it(llama: Path, tmp_path: Path) -> None:
    free = backend(llama)
    tokens = 12
    [row] = _tokens(free, "abc", tokens)
    ender = row[5]
    folder = tmp_path / "ends"
    shutil.copytree(llama, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, ender]}))
    reply = replies(backend(folder), asking(["abc", "q"], max_tokens=tokens))["0"]
    first = row.index(ender)
    assert reply.finish == "stop"
    assert reply.usage.completion_tokens == first + 1
    chat = free._load_chat()
    assert reply.text == chat.words(chat.prompt(user("abc"))[0], row[:first])
    exactly = replies(backend(folder), asking(["abc"], max_tokens=first + 1))["0"]
    assert (exactly.finish, exactly.text) == ("stop", reply.text)
    before = replies(backend(folder), asking(["abc"], max_tokens=first))["0"] if first else None
    assert before is None or before.finish == "length"


def _tokens(of: HFBackend, prompt: str, tokens: int) -> list[list[int]]:
    from judgebench.backends.decoding import Row, write
    from judgebench.backends.local_sampling import settle

    of._load()
    chat = of._load_chat()
    [request] = asking([prompt], max_tokens=tokens)
    rows = [Row(prompt=chat.prompt(request.messages)[0], drawing=settle(request, of.options, {}))]
    return [one.tokens for one in write(of._loaded, rows, chat, frozenset(), 0)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_reply_is_the_free_reply_cut_at_the_first_stop_text_and_ends_there(loaded: HFBackend, data: Any) -> None:
    prompts = data.draw(st.lists(st.sampled_from(PROMPTS), min_size=1, max_size=4, unique=True))
    free = replies(loaded, asking(prompts, max_tokens=32))
    text = free["0"].text
    starts = data.draw(st.lists(st.integers(0, max(len(text) - 1, 0)), min_size=1, max_size=3))
    taken = [text[start : start + data.draw(st.integers(1, 4))] for start in starts]
    stops = tuple(stop for stop in taken if stop and "\ufffd" not in stop)
    stopped = replies(loaded, asking(prompts, max_tokens=32, stop=stops))
    for key, reply in stopped.items():
        expected, hit = cut(free[key].text, stops)
        assert reply.text == expected
        assert not any(stop in reply.text for stop in stops)
        assert reply.finish == ("stop" if hit else free[key].finish)
        if hit and len(expected) < len(free[key].text) // 2:
            assert reply.usage.completion_tokens < free[key].usage.completion_tokens


@given(text=st.text("abc", max_size=12), stops=st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_a_cut_is_what_looking_after_every_character_would_give(text: str, stops: list[str]) -> None:
    expected: tuple[str, bool] = (text, False)
    for end in range(1, len(text) + 1):
        ended = [stop for stop in stops if text[:end].endswith(stop)]
        if ended:
            expected = (text[: end - max(map(len, ended))], True)
            break
    assert cut(text, stops) == expected


def test_a_seeded_reply_does_not_depend_on_what_shares_its_batch(loaded: HFBackend) -> None:
    seeded = [
        Request(id=f"s{seed}", messages=user("abc"), sampling=Sampling(temperature=0.9, max_tokens=16, seed=seed))
        for seed in (1, 2, 3)
    ]
    crowd = asking(PROMPTS, temperature=1.3)
    apart = {key: reply.text for one in seeded for key, reply in replies(loaded, [one]).items()}
    mixed = replies(loaded, [*crowd[:3], *seeded, *crowd[3:]])
    assert {key: mixed[key].text for key in apart} == apart
    assert len(set(apart.values())) == 3


def test_unseeded_samples_differ_from_one_another_and_come_again(loaded: HFBackend) -> None:
    requests = [
        Request(id=str(n), messages=user("abc"), sampling=Sampling(temperature=1.0, max_tokens=12), sample=n)
        for n in range(4)
    ]
    first, second = replies(loaded, requests), replies(loaded, requests[::-1])
    assert {k: r.text for k, r in first.items()} == {k: r.text for k, r in second.items()}
    assert len({reply.text for reply in first.values()}) == 4


def test_draws_follow_the_tempered_softmax() -> None:
    count = 20_000
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0]).repeat(count, 1)
    generator = torch.Generator().manual_seed(7)
    uniform = torch.rand(count, generator=generator, dtype=torch.float64)
    one, off = torch.ones(count), torch.zeros(count, dtype=torch.long)
    drawn = torch.bincount(draw(logits, one * 2.0, one, off, uniform), minlength=4) / count
    expected = torch.softmax(logits[0] / 2.0, -1)
    assert (drawn - expected).abs().max() < 4 * (0.25 / count) ** 0.5
    nucleus = torch.bincount(draw(logits, one, one * 0.7, off, uniform), minlength=4) / count
    kept = torch.softmax(logits[0, :2], -1)
    assert (nucleus[:2] - kept).abs().max() < 4 * (0.25 / count) ** 0.5
    assert nucleus[2:].sum() == 0
    assert set(draw(logits, one, one, off + 1, uniform).tolist()) == {0}


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-53])
def test_a_draw_never_leaves_the_nucleus_at_either_end(uniform: float) -> None:
    logits = torch.randn(8, 50, generator=torch.Generator().manual_seed(0))
    full = torch.full((8,), uniform, dtype=torch.float64)
    drawn = draw(logits, torch.ones(8), torch.full((8,), 0.01), torch.zeros(8, dtype=torch.long), full)
    assert drawn.tolist() == logits.argmax(-1).tolist()


def test_greedy_and_drawn_rows_share_a_batch(loaded: HFBackend) -> None:
    greedy, [drawn] = asking(["abc"]), asking(["abc"], temperature=1.5, seed=3)
    mixed = replies(loaded, [*greedy, Request(id="d", messages=drawn.messages, sampling=drawn.sampling)])
    assert mixed["0"].text == replies(loaded, greedy)["0"].text
    assert mixed["d"].text != mixed["0"].text


def test_a_text_prompt_is_continued_where_it_ends(loaded: HFBackend) -> None:
    chat = loaded._load_chat()
    prompt = "Q: 2+2?\nAnswer: 4\n\nQ: 3+3?\nAnswer:"
    ids, rendered = chat.prompt(user(prompt))
    assert rendered.text == prompt
    assert ids == [0, *chat.tokenizer.encode(prompt, add_special_tokens=False)]
    assert "NO CHAT TEMPLATE" in loaded.describe()["notes"][0]


def test_several_plain_turns_take_one_form_and_the_reply_ends_before_the_next_user() -> None:
    tokenizer = _tokenizer("")
    chat = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="One?"),
        Message(role="assistant", content="1"),
        Message(role="user", content="Two?"),
    )
    rendered = render(chat, tokenizer)
    assert rendered.text == "Be brief.\n\nUser: One?\n\nAssistant: 1\n\nUser: Two?\n\nAssistant:"
    assert rendered.stop == (PLAIN_STOP,)
    assert render(chat[:2], tokenizer).text == "Be brief.\n\nOne?"
    assert render(chat[:2], tokenizer).stop == ()


def _tokenizer(template: str, **options: Any) -> Any:
    return transformers.AutoTokenizer.from_pretrained(tiny_checkpoint(template, **options))


def test_a_template_is_used_where_there_is_one_and_bos_is_not_doubled() -> None:
    chat = Chat(_tokenizer(WITH_BOS))
    ids, rendered = chat.prompt(user("hi"))
    assert rendered.templated
    assert rendered.text == "<s><|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert ids.count(0) == 1
    assert ids == chat.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], add_generation_prompt=True, return_dict=False
    )
    assert len(chat.describe()["template_sha256"]) == 64


def test_a_template_that_prints_no_bos_gets_none() -> None:
    ids, _ = Chat(_tokenizer(CHATML)).prompt(user("hi"))
    assert 0 not in ids


def test_switched_off_a_template_is_not_used_and_that_is_said() -> None:
    opened = backend(tiny_checkpoint(CHATML), chat_template="off")
    described = opened.describe()
    assert not described["templated"]
    assert "switched off" in described["notes"][0]
    assert replies(opened, asking(["hi"]))["0"].usage.prompt_tokens == 3
    assert replies(backend(tiny_checkpoint(CHATML)), asking(["hi"]))["0"].usage.prompt_tokens > 3


def test_insisting_on_a_template_that_is_not_there_is_the_users_mistake(llama: Path) -> None:
    with pytest.raises(UserError, match="no chat template; allowed here: auto, off"):
        backend(llama, chat_template="on").describe()


@pytest.mark.parametrize("template", [NO_SYSTEM, SILENT])
def test_a_system_message_without_a_place_stands_before_the_first_question(template: str) -> None:
    chat = Chat(_tokenizer(template), system="Be kind.")
    _, rendered = chat.prompt(user("hi"))
    assert "<|im_start|>user\nBe kind.\n\nhi<|im_end|>" in rendered.text
    assert any("system" in note for note in chat.notes)


def test_messages_that_the_template_refuses_are_an_error_of_that_request_alone() -> None:
    picky = "{% if messages|length > 1 %}{{ raise_exception('one at a time') }}{% endif %}" + CHATML
    opened = backend(tiny_checkpoint(picky))
    two = Request(id="two", messages=(*user("a"), Message(role="assistant", content="b"), *user("c")))
    answered = replies(opened, [two, *asking(["fine"])])
    assert answered["two"].error == "model: the chat template refuses the messages: one at a time"
    assert answered["0"].error == ""


def test_template_variables_reach_the_template() -> None:
    template = "{{ tone | default('plain') }}: {{ messages[0].content }}"
    assert Chat(_tokenizer(template)).prompt(user("hi"))[1].text == "plain: hi"
    assert Chat(_tokenizer(template), "auto", {"tone": "loud"}).prompt(user("hi"))[1].text == "loud: hi"


def test_spaces_that_a_decoder_strips_at_the_start_of_a_text_are_kept() -> None:
    """A sentencepiece decoder drops the first space: four spaces of code would come back as three."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {"<unk>": 0, "▁": 1, "a": 2, ":": 3, "▁a": 4}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("▁", "a")], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    assert tokenizer.decode([1, 1, 4], clean_up_tokenization_spaces=False) == "  a"
    assert Chat(tokenizer).words([4, 3], [1, 1, 4]) == "   a"


def test_reasoning_is_kept_apart_where_the_vocabulary_marks_its_end() -> None:
    tokenizer = _tokenizer(CHATML)
    tokenizer.add_tokens(["<think>", "</think>"])
    chat = Chat(tokenizer)
    _, rendered = chat.prompt(user("hi"))
    assert chat.reasoning("<think>\nhm\n</think>\n\n4", rendered) == ("hm", "4")
    assert chat.reasoning("hm</think>4", rendered) == ("hm", "4")
    assert chat.reasoning("<think>\nhm", rendered) == ("hm", "")
    assert chat.reasoning("just 4", rendered) == ("", "just 4")
    assert Chat(_tokenizer(CHATML)).reasoning("a</think>b", rendered) == ("", "a</think>b")


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_prompt_over_the_context_is_its_own_error_and_its_neighbours_are_answered(architecture: str) -> None:
    opened = backend(tiny_checkpoint(architecture=architecture, positions=64), batch_size=4)
    fits, over, short = "x" * 39, "x" * 40, "y"
    requests = asking([fits, over, short, "z" * 5000])
    requests.append(Request(id="long", messages=user("y"), sampling=Sampling(max_tokens=60)))
    answered = replies(opened, requests)
    assert answered["1"].error == "context: 41 prompt tokens and max_tokens=24 exceed the model's 64"
    assert answered["3"].error.startswith("context: ")
    assert [answered[key].error for key in ("0", "2", "long")] == ["", "", ""]
    assert answered["long"].usage.completion_tokens == 60
    assert answered["2"].text == answered["long"].text[: len(answered["2"].text)]


def test_a_prompt_over_the_users_own_limit_is_an_error_and_never_cut(llama: Path) -> None:
    reply = replies(backend(llama, max_input_tokens=3), asking(["abc"]))["0"]
    assert reply.error == "context: the prompt has 4 tokens, more than max_input_tokens=3"


def test_an_empty_prompt_without_bos_is_said_to_be_empty() -> None:
    reply = replies(backend(tiny_checkpoint(special=False)), asking([""]))["0"]
    assert reply.error.startswith("empty: ")


def test_a_model_without_end_or_padding_tokens_answers_batches() -> None:
    folder = tiny_checkpoint(special=False)
    together = replies(backend(folder), asking(["a", "bcd", "ef" * 30]))
    assert [together[str(n)].text for n in range(3)] == [alone(folder, p, 24) for p in ("a", "bcd", "ef" * 30)]


class Shrinks:
    """A hook on a real model that runs out of memory above so many rows, or so many tokens a row."""

    def __init__(self, rows: int, tokens: int = 1 << 20) -> None:
        self.rows, self.tokens, self.seen = rows, tokens, []

    def __call__(self, module: Any, args: Any, kwargs: Any) -> None:
        rows, tokens = kwargs["input_ids"].shape
        self.seen.append(rows)
        if rows > self.rows or tokens > self.tokens:
            raise torch.OutOfMemoryError("no memory for this")


def test_out_of_memory_halves_the_batch_until_it_fits(llama: Path) -> None:
    opened = backend(llama)
    expected = replies(opened, asking(PROMPTS))
    hook = Shrinks(rows=2)
    opened._loaded.register_forward_pre_hook(hook, with_kwargs=True)
    assert replies(opened, asking(PROMPTS)) == expected
    assert max(hook.seen) > 2
    assert any("out of memory with" in note for note in opened.describe()["notes"])


def test_a_prompt_too_large_for_memory_alone_is_an_error_of_that_item(llama: Path) -> None:
    opened = backend(llama)
    opened._load()
    opened._loaded.register_forward_pre_hook(Shrinks(rows=8, tokens=50), with_kwargs=True)
    answered = replies(opened, asking(["a", "x" * 100, "b"]))
    assert answered["1"].error == "model: out of memory for this one prompt of 101 tokens alone"
    assert (answered["0"].error, answered["2"].error) == ("", "")


def test_an_interrupt_passes_through_and_the_backend_goes_on(llama: Path) -> None:
    opened = backend(llama)
    opened._load()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    hook = opened._loaded.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(opened.generate(asking(["a"])))
    hook.remove()
    assert replies(opened, asking(["a"]))["0"].error == ""


def test_two_models_answer_one_after_the_other_and_each_closes_twice() -> None:
    texts = []
    for seed in (1, 2):
        opened = backend(tiny_checkpoint(seed=seed))
        texts.append(replies(opened, asking(["abc"]))["0"].text)
        opened.close()
        opened.close()
        assert opened._loaded is None
    assert texts[0] != texts[1]


def test_the_checkpoints_own_sampling_settings_are_not_mixed_in(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "opinionated"
    shutil.copytree(llama, folder)
    own = {"eos_token_id": 1, "do_sample": True, "temperature": 0.01, "repetition_penalty": 5.0, "top_k": 1}
    (folder / "generation_config.json").write_text(json.dumps(own))
    assert replies(backend(folder), asking(["abc"])) == replies(backend(llama), asking(["abc"]))
    drawn = asking(["abc"], temperature=1.0, seed=4)
    assert replies(backend(folder), drawn) == replies(backend(llama), drawn)
    left = asking(["abc"], temperature=None, seed=4)
    assert replies(backend(folder), left)["0"].text == replies(backend(llama), asking(["abc"]))["0"].text


def test_options_of_the_model_stand_over_the_request(llama: Path) -> None:
    reply = replies(backend(llama, max_tokens="5", temperature="0"), asking(["abc"], temperature=1.0))["0"]
    assert reply.usage.completion_tokens == 5
    assert replies(backend(llama), asking(["abc"]))["0"].text.startswith(reply.text.rstrip("\ufffd"))


def test_a_half_precision_checkpoint_runs_in_its_own_format() -> None:
    opened = backend(tiny_checkpoint(dtype="bfloat16"))
    assert replies(opened, asking(["abc"]))["0"].error == ""
    assert opened.describe()["dtype"] == "bfloat16"
    assert opened._loaded.dtype == torch.bfloat16


def _broken(tmp_path: Path, llama: Path, *, without: str = "", **files: str) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(llama, folder)
    for path in folder.glob(without or "nothing"):
        path.unlink()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("without", "files", "words"),
    [
        ("config.json", {}, "is not a model: it has no config.json"),
        ("config.json", {"adapter_config__json": "{}"}, "has no adapter_model.safetensors"),
        ("*.safetensors", {}, "no weights: no *.safetensors"),
        ("*.safetensors", {"pytorch_model__bin": "x"}, "only pickled weights (pytorch_model.bin)"),
        ("tokenizer*", {}, "has no tokenizer"),
        ("nothing", {"config__json": "{"}, "cannot be read"),
        ("nothing", {"config__json": '{"is_encoder_decoder": true}'}, "encoder-decoder"),
        (
            "nothing",
            {"model__safetensors__index__json": '{"weight_map": {"a": "model-2.safetensors"}}'},
            "lacks model-2.safetensors",
        ),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    without: str, files: dict[str, str], words: str, tmp_path: Path, llama: Path
) -> None:
    folder = _broken(tmp_path, llama, without=without, **files)
    with pytest.raises(UserError) as raised:
        backend(folder)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_model_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a model")
    program = (
        "import sys\nfrom judgebench.backends.hf import HFBackend\nfrom judgebench.errors import UserError\n"
        "from judgebench.types import Model\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        HFBackend(Model(name='m', backend='hf', id=name))\n"
        "    except UserError as error:\n        print(error)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    names = [str(tmp_path), str(tmp_path / "nowhere"), str(tmp_path / "notes.txt"), "nobody/no-such-model"]
    environment = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True, check=True, env=environment
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert "it has no config.json" in lines[0]
    assert "there is no folder" in lines[1]
    assert "is a file" in lines[2]
    assert "not to be had from the hub" in lines[3]


def test_weights_that_do_not_fit_the_config_are_refused_rather_than_filled_in(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deeper"
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(BackendError, match="the weights do not fit the config: 9 tensors"):
        replies(backend(folder), asking(["a"]))


def test_torn_weights_are_refused_in_one_line(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "torn"
    shutil.copytree(llama, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BackendError, match="the model cannot be loaded") as raised:
        replies(backend(folder), asking(["a"]))
    assert "\n" not in str(raised.value)


def test_code_of_the_checkpoint_runs_only_when_allowed(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "custom"
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "made-up", "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Net"}}
    (folder / "config.json").write_text(json.dumps(config))
    ran = tmp_path / "ran"
    (folder / "code.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).write_text('yes')\n")
    with pytest.raises(BackendError) as raised:
        replies(backend(folder), asking(["a"]))
    assert "trust_remote_code" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batchsize": 4}, "did you mean 'batch_size'"),
        ({"batch_size": 0}, "batch_size"),
        ({"dtype": "int3"}, "dtype"),
        ({"revision": "main"}, "a folder has no revision"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], words: str, llama: Path) -> None:
    with pytest.raises(UserError, match=words):
        backend(llama, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_the_users_mistake(llama: Path) -> None:
    with pytest.raises(UserError, match="device='cuda' cannot be used"):
        replies(backend(llama, device="cuda"), asking(["a"]))


def test_it_says_what_was_loaded(loaded: HFBackend) -> None:
    described = loaded.describe()
    assert described["transformers"] == transformers.__version__
    assert list(described["weights"]["sha256"]) == ["model.safetensors"]
    assert (described["device"], described["dtype"]) == ("cuda" if torch.cuda.is_available() else "cpu", "float32")


def test_nothing_is_printed_and_nothing_warns(llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = backend(llama)
    replies(opened, asking(["a"], temperature=0.7))
    opened.close()
    assert capfd.readouterr() == ("", "")
